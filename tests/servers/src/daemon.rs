//! passerelle itself as a process of its own, as an operator runs it: what the demo, the benches and the end-to-end
//! tests start, kill and ask.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::spawn::{self, RunAs};

/// Between two looks at a process or a document. There is nothing to subscribe to.
const LOOK_EVERY: Duration = Duration::from_millis(5);
/// Longer than a drain may take.
const STOP_WITHIN: Duration = Duration::from_secs(60);

/// What a daemon is started with. Cheap to keep: one value starts it again and again.
#[derive(Clone, Debug)]
pub struct Program {
    /// The executable.
    pub executable: PathBuf,
    /// The configuration: a file or a folder.
    pub config: PathBuf,
    /// The status socket that the configuration names.
    pub socket: PathBuf,
    /// Where its log goes; appended to.
    pub log: PathBuf,
    /// `--log`: what is logged.
    pub log_filter: String,
    /// Further environment variables.
    pub environment: Vec<(String, String)>,
}

/// A running daemon. Killed when it is dropped, and when the process that started it ends.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    socket: PathBuf,
    log: PathBuf,
    http: reqwest::Client,
}

impl Program {
    /// A program with warnings in its log and nothing in its environment.
    pub fn new(executable: &Path, config: &Path, socket: &Path, log: &Path) -> Self {
        Self {
            executable: executable.to_owned(),
            config: config.to_owned(),
            socket: socket.to_owned(),
            log: log.to_owned(),
            log_filter: "warn".to_owned(),
            environment: Vec::new(),
        }
    }

    /// Starts `passerelle run`. Returns at once: [`Daemon::until`] waits for what is wanted of it.
    pub fn start(&self) -> Result<Daemon> {
        let log = File::options().create(true).append(true).open(&self.log)?;
        let mut command = RunAs::Ourselves.command(&self.executable, "TERM");
        command
            .arg("--config")
            .arg(&self.config)
            .args(["--log", &self.log_filter, "run"])
            .envs(self.environment.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log);
        let child = spawn::from_lasting_thread(command)?;
        let http = reqwest::Client::builder()
            .unix_socket(self.socket.clone())
            .no_proxy()
            .timeout(Duration::from_secs(30))
            .build()?;
        Ok(Daemon { child, socket: self.socket.clone(), log: self.log.clone(), http })
    }

    /// Runs another verb against the same configuration and waits for its end; what it printed.
    pub fn verb(&self, arguments: &[&str]) -> Result<String> {
        let mut command = Command::new(&self.executable);
        command.arg("--config").arg(&self.config).args(arguments);
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        let done = command.output().with_context(|| format!("cannot run {}", self.executable.display()))?;
        if !done.status.success() {
            bail!("passerelle {}: {}", arguments.join(" "), String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(String::from_utf8(done.stdout)?)
    }
}

impl Daemon {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Whether it has ended, and how.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        Ok(self.child.try_wait()?)
    }

    /// Kills it (SIGKILL) and waits for its end.
    pub fn kill(mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// Asks it to stop (SIGTERM) and waits until it has.
    pub async fn stop(mut self) -> Result<ExitStatus> {
        if let Some(pid) = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw) {
            // It may have ended by itself.
            let _ = kill_process(pid, Signal::TERM);
        }
        let start = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait()? {
                return Ok(status);
            }
            if start.elapsed() > STOP_WITHIN {
                bail!("the daemon did not stop within {STOP_WITHIN:?} of SIGTERM");
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// A document of the status socket, `/v1/status` say.
    pub async fn get(&self, path: &str) -> Result<Value> {
        let answer = self.http.get(format!("http://x{path}")).send().await.with_context(|| self.unanswered(path))?;
        Ok(answer.error_for_status()?.json().await?)
    }

    /// A command through the status socket.
    pub async fn post(&self, path: &str, body: &Value) -> Result<Value> {
        let request = self.http.post(format!("http://x{path}")).json(body);
        let answer = request.send().await.with_context(|| self.unanswered(path))?;
        let (status, text) = (answer.status(), answer.text().await?);
        if !status.is_success() {
            bail!("{path}: {status}: {text}");
        }
        Ok(serde_json::from_str(&text)?)
    }

    /// Looks at a document until it is as wanted. Fails when the daemon ends or it takes longer than `limit`. A daemon that
    /// does not answer yet is looked at again.
    pub async fn until(
        &mut self,
        limit: Duration,
        path: &str,
        what: &str,
        wanted: impl Fn(&Value) -> bool,
    ) -> Result<Value> {
        let start = Instant::now();
        let mut seen = None;
        loop {
            if let Ok(document) = self.get(path).await {
                if wanted(&document) {
                    return Ok(document);
                }
                seen = Some(document);
            }
            if let Some(status) = self.ended()? {
                bail!("the daemon ended ({status}) before {what}\n{}", self.log_tail(20));
            }
            if start.elapsed() > limit {
                bail!("waited {limit:?} for {what}; last seen: {seen:?}\n{}", self.log_tail(20));
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Waits until every source streams.
    pub async fn until_streaming(&mut self, limit: Duration) -> Result<()> {
        let streams = |status: &Value| {
            let states = status["sources"].as_array().into_iter().flatten().map(|source| &source["state"]);
            let mut states = states.peekable();
            states.peek().is_some() && states.all(|state| state == "streaming")
        };
        self.until(limit, "/v1/status", "every source streams", streams).await.map(drop)
    }

    /// The most memory that it has had resident so far, in bytes; `None` where the kernel does not tell.
    pub fn peak_memory_bytes(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    }

    /// The last lines of its log.
    pub fn log_tail(&self, lines: usize) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    fn unanswered(&self, path: &str) -> String {
        format!("no answer to {path} on {}", self.socket.display())
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // It may have ended; either way there is nobody to tell.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
