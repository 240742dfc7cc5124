//! `kind = "command"`: a program is run, with the message as JSON on its standard input and in its environment.
//!
//! It gets no other environment than a login has, as ours may hold secrets. When it has ended, or its time has, everything that it
//! has started goes with it: it is a process group of its own.

use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;

use crate::alert::form;
use crate::alert::model::Message;
use crate::alert::outbox::Unsent;
use crate::cli::humane::tame;

/// What is read of its words to standard error.
const MOST_WORDS: u64 = 4 * 1024;
/// How long they are waited for after its end.
const LAST_WORDS: Duration = Duration::from_millis(100);
/// What is shown of them, in characters.
const MOST_SHOWN: usize = 200;
/// Variables of our own environment that it gets.
const ENVIRONMENT: [&str; 8] = ["PATH", "HOME", "USER", "LOGNAME", "SHELL", "LANG", "LC_ALL", "TZ"];

#[derive(Debug)]
pub(super) struct Command {
    /// The program and its arguments.
    argv: Vec<String>,
    timeout: Duration,
}

/// Ends the group of the process when it is dropped, however that comes about.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Nobody may be left in it.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

impl Command {
    pub(super) fn new(argv: Vec<String>, timeout: Duration) -> Self {
        Self { argv, timeout }
    }

    pub(super) async fn send(&self, message: &Message, host: &str) -> Result<(), Unsent> {
        let Some((program, arguments)) = self.argv.split_first() else {
            return Err(Unsent::Later("no program is named".to_owned()));
        };
        let mut command = tokio::process::Command::new(program);
        command.args(arguments).env_clear().process_group(0).kill_on_drop(true);
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        command.envs(form::variables(message, host));
        command.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().map_err(|error| Unsent::Later(format!("{program} cannot be run: {error}")))?;
        let group = Group(child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?)));
        let ran = tokio::time::timeout(self.timeout, run(&mut child, &form::json(message, host))).await;
        drop(group);
        match ran {
            Ok(Ok((status, _))) if status.success() => Ok(()),
            Ok(Ok((status, words))) => Err(Unsent::Later(ended(status, &words))),
            Ok(Err(error)) => Err(Unsent::Later(format!("{program}: {error}"))),
            Err(_) => {
                let _ = child.wait().await;
                Err(Unsent::Later(format!("{program} was killed: not done within {} s", self.timeout.as_secs_f64())))
            }
        }
    }
}

/// Its end, and the last line that it wrote to standard error.
async fn run(child: &mut Child, input: &str) -> std::io::Result<(ExitStatus, String)> {
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let mut words = Vec::new();
    let tell = async {
        if let Some(mut stdin) = stdin {
            // One that does not read its input is no fault: it has it in its environment.
            let _ = stdin.write_all(input.as_bytes()).await;
        }
    };
    let listen = async {
        if let Some(stderr) = stderr {
            let _ = stderr.take(MOST_WORDS).read_to_end(&mut words).await;
        }
    };
    let status = {
        let mut talk = std::pin::pin!(async { tokio::join!(tell, listen) });
        tokio::select! {
            status = child.wait() => {
                // What it has written before its end can be read at once; more is of something that it has started.
                let _ = tokio::time::timeout(LAST_WORDS, talk).await;
                status?
            }
            _ = &mut talk => child.wait().await?,
        }
    };
    Ok((status, String::from_utf8_lossy(&words).into_owned()))
}

fn ended(status: ExitStatus, words: &str) -> String {
    let last = words.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or_default();
    let last: String = tame(last).chars().take(MOST_SHOWN).collect();
    if last.is_empty() { format!("{status}") } else { format!("{status}: {last}") }
}

#[cfg(test)]
mod tests;
