//! The postmaster's process: started, waited for, ended.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use anyhow::{Result, bail};
use rustix::process::Signal;

use super::StopMode;
use crate::spawn;
use crate::wait::{signal_to, wait_until};

/// A postmaster.
#[derive(Debug)]
pub(super) struct Process {
    child: Child,
}

impl Process {
    /// Starts it and waits until it accepts connections.
    pub(super) fn start(mut command: Command, data: &Path, log: &Path) -> Result<Self> {
        let output = std::fs::OpenOptions::new().create(true).append(true).open(log)?;
        command
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut child = spawn::from_lasting_thread(command)?;
        let ready = wait_until("the server to accept connections", || {
            if let Some(status) = child.try_wait()? {
                bail!("the server ended with {status}");
            }
            Ok(is_ready(data, child.id()))
        });
        let process = Self { child };
        match ready {
            Ok(()) => Ok(process),
            Err(error) => {
                // Its end is all that can be done here; the error says why it was not wanted.
                let _ = process.kill();
                Err(error)
            }
        }
    }

    /// Its process id.
    pub(super) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Stops it in order and waits for its end; one that does not stop within the limit is killed.
    pub(super) fn stop(mut self, mode: StopMode) -> Result<()> {
        let signal = match mode {
            StopMode::Smart => Signal::TERM,
            StopMode::Fast => Signal::INT,
            StopMode::Immediate => Signal::QUIT,
        };
        signal_to(self.child.id(), signal);
        let stopped = wait_until("the server to stop", || Ok(self.child.try_wait()?.is_some()));
        if stopped.is_err() {
            self.kill()?;
        }
        stopped
    }

    /// Kills it and its children, and waits until all are gone.
    pub(super) fn kill(mut self) -> Result<()> {
        let children = children_of(self.child.id());
        signal_to(self.child.id(), Signal::KILL);
        for &pid in &children {
            signal_to(pid, Signal::KILL);
        }
        self.child.wait()?;
        wait_until("the server's sessions to end", || Ok(!children.iter().any(|&pid| is_alive(pid))))
    }
}

/// The postmaster writes its state into the eighth line of its lock file, its process id into the first.
fn is_ready(data: &Path, pid: u32) -> bool {
    let Ok(lock) = std::fs::read_to_string(data.join("postmaster.pid")) else { return false };
    let mut lines = lock.lines();
    lines.next() == Some(&pid.to_string()) && lines.nth(6).is_some_and(|state| state.trim() == "ready")
}

fn children_of(parent: u32) -> Vec<u32> {
    let entries = Path::new("/proc").read_dir().into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    pids.filter(|&pid| stat(pid).is_some_and(|(_, of)| of == parent)).collect()
}

fn is_alive(pid: u32) -> bool {
    stat(pid).is_some_and(|(state, _)| state != 'Z')
}

/// State and parent of a process. The second word of the line is its name, in parentheses, and may hold anything.
fn stat(pid: u32) -> Option<(char, u32)> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    let mut words = rest.split_whitespace();
    Some((words.next()?.chars().next()?, words.next()?.parse().ok()?))
}
