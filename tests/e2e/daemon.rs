//! The daemon as a process: started, asked, stopped, killed.

use std::fs::File;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

/// The program that is tested.
pub(crate) const PROGRAM: &str = env!("CARGO_BIN_EXE_passerelle");

/// A daemon and where it keeps things. Killed when it is dropped.
#[derive(Debug)]
pub(crate) struct Daemon {
    pub(crate) config: PathBuf,
    pub(crate) socket: PathBuf,
    /// What it prints, of all its lives.
    log: PathBuf,
    http: reqwest::Client,
    child: Option<Child>,
}

impl Daemon {
    /// One in `folder`, not started yet.
    pub(crate) fn in_folder(folder: &Path) -> Self {
        let socket = folder.join("p.sock");
        let http = reqwest::Client::builder().unix_socket(socket.clone()).no_proxy().build().unwrap();
        Self { config: folder.join("passerelle.toml"), socket, log: folder.join("log"), http, child: None }
    }

    /// Starts it. `failpoint` is where it is to die by itself: `name:n`.
    pub(crate) fn start(&mut self, failpoint: Option<&str>) {
        self.start_under(&[], failpoint);
    }

    /// Starts it as the argument of another program, which has to keep its process id.
    pub(crate) fn start_under(&mut self, tracer: &[&str], failpoint: Option<&str>) {
        assert!(self.child.is_none(), "it runs already");
        let log = File::options().create(true).append(true).open(&self.log).unwrap();
        let mut command = Command::new("setpriv");
        // The daemon ends with the tests, whatever becomes of them.
        command.args(["--pdeathsig", "KILL", "--"]).args(tracer).arg(PROGRAM).arg("run").arg("--config");
        command.arg(&self.config).env("SANDBOX_SECRET", "any").env_remove("PASSERELLE_FAILPOINT");
        if let Some(failpoint) = failpoint {
            command.env("PASSERELLE_FAILPOINT", failpoint);
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("setpriv runs the daemon (Debian: apt-get install util-linux)"));
    }

    /// Its process id.
    pub(crate) fn pid(&self) -> u32 {
        self.child.as_ref().expect("it runs").id()
    }

    /// How it ended, if it has.
    pub(crate) fn ended(&mut self) -> Option<ExitStatus> {
        let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
        if ended.is_some() {
            self.child = None;
        }
        ended
    }

    /// `kill -9`, and waits for its end. Without effect when it has ended by itself.
    pub(crate) fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            child.wait().unwrap();
        }
    }

    /// Sends a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let pid = Pid::from_raw(i32::try_from(self.pid()).unwrap()).unwrap();
        kill_process(pid, signal).unwrap();
    }

    /// SIGTERM; it ends in order, with status 0.
    pub(crate) fn stop(&mut self) {
        self.signal(Signal::TERM);
        let status = self.child.take().expect("it runs").wait().unwrap();
        assert!(status.success(), "after SIGTERM: {status}\n{}", self.log());
    }

    /// Waits for its end by itself. The caller bounds the wait.
    pub(crate) async fn end(&mut self) -> ExitStatus {
        loop {
            if let Some(status) = self.ended() {
                return status;
            }
            tokio::time::sleep(crate::world::LOOK_EVERY).await;
        }
    }

    /// A document of the status socket; `None` while nothing answers.
    pub(crate) async fn get(&self, path: &str) -> Option<Value> {
        let answer = self.http.get(format!("http://passerelle{path}")).send().await.ok()?;
        answer.json().await.ok()
    }

    /// The same as text.
    pub(crate) async fn text(&self, path: &str) -> Option<String> {
        let answer = self.http.get(format!("http://passerelle{path}")).send().await.ok()?;
        answer.text().await.ok()
    }

    /// Runs a verb of the command line: its status, and what it printed to both.
    pub(crate) fn cli(&self, arguments: &[&str]) -> (ExitStatus, String) {
        let mut command = Command::new(PROGRAM);
        command.args(arguments).arg("--config").arg(&self.config).arg("--socket").arg(&self.socket);
        let done = command.env("SANDBOX_SECRET", "any").env("NO_COLOR", "1").output().unwrap();
        let text = [done.stdout, done.stderr].map(|bytes| String::from_utf8_lossy(&bytes).into_owned()).concat();
        (done.status, text)
    }

    /// What it has printed.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// The last lines of it.
    pub(crate) fn last_words(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(60)..].join("\n")
    }

    /// The most memory it has had, and what it has now, in KiB.
    pub(crate) fn memory_kib(&self) -> Option<(u64, u64)> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.pid())).ok()?;
        let figure = |name: &str| {
            let line = status.lines().find(|line| line.starts_with(name))?;
            line.split_whitespace().nth(1)?.parse().ok()
        };
        Some((figure("VmHWM:")?, figure("VmRSS:")?))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        self.kill();
    }
}

/// Whether it died at a failpoint, which aborts.
pub(crate) fn is_failpoint(status: ExitStatus) -> bool {
    status.signal() == Some(6)
}
