//! A private MariaDB server.

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::Signal;
use tempfile::TempDir;

use crate::spawn::{self, RunAs};
use crate::wait::{signal_to, wait_until};

/// A running server: user `root` without a password on 127.0.0.1 and on a Unix socket, with a binary log of rows, UTF-8,
/// UTC. Ends, with its folder, when it is dropped.
#[derive(Debug)]
pub struct MariadbServer {
    process: Option<Child>,
    run_as: RunAs,
    port: u16,
    folder: TempDir,
}

/// What a server is to be like.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    settings: Vec<(String, String)>,
}

/// Settings of every server; what [`Builder::setting`] says comes after them.
const SETTINGS: &[(&str, &str)] = &[
    ("bind_address", "127.0.0.1"),
    ("log_bin", "mbin"),
    ("server_id", "1"),
    ("binlog_format", "ROW"),
    ("character_set_server", "utf8mb4"),
    ("default_time_zone", "+00:00"),
    ("innodb_buffer_pool_size", "32M"),
    ("innodb_log_file_size", "8M"),
    // A killed process loses nothing by it.
    ("innodb_flush_log_at_trx_commit", "2"),
    ("sync_binlog", "0"),
    ("performance_schema", "OFF"),
    ("skip_name_resolve", "ON"),
];

impl Builder {
    /// Adds a setting of `[mariadbd]`; later ones win.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<MariadbServer> {
        // The server refuses to run as root.
        let run_as = RunAs::unless_root("nobody")?;
        let folder = new_folder()?;
        run_as.own(folder.path())?;
        let mut server = MariadbServer { process: None, run_as, port: 0, folder };
        server.fill()?;
        for attempt in 1.. {
            server.port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
            std::fs::write(server.file("my.cnf"), self.configuration(&server))?;
            match server.launch() {
                Ok(()) => break,
                // Between finding the port and using it, someone else may have taken it.
                Err(_) if attempt < 5 && server.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(server)
    }

    fn configuration(&self, server: &MariadbServer) -> String {
        let (data, socket) = (server.data_dir(), server.socket());
        let mut text = format!(
            "[mariadbd]\nport = {}\nsocket = {}\ndatadir = {}\ntmpdir = {}\npid_file = {}\n",
            server.port,
            socket.display(),
            data.display(),
            server.folder.path().display(),
            server.file("pid").display()
        );
        let settings = self.settings.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        for (name, value) in SETTINGS.iter().copied().chain(settings) {
            let _ = writeln!(text, "{name} = {value}");
        }
        text
    }
}

impl MariadbServer {
    /// Starts a server as most tests need it.
    pub fn start() -> Result<Self> {
        Self::builder().start()
    }

    /// One with other settings.
    pub fn builder() -> Builder {
        Builder::default()
    }

    /// The TCP port on 127.0.0.1. Stays the same over restarts.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The Unix socket.
    pub fn socket(&self) -> PathBuf {
        self.file("socket")
    }

    /// The data folder, where the binary logs are.
    pub fn data_dir(&self) -> PathBuf {
        self.file("data")
    }

    /// What the server logged since it was made. Empty when it cannot be read.
    pub fn log(&self) -> String {
        std::fs::read(self.file("log")).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// Runs `sql` by the `mariadb` client over the Unix socket; answers its rows, one a line, columns separated by tabs, as
    /// the client escapes them; null is `NULL`.
    pub fn sql(&self, database: &str, sql: &str) -> Result<String> {
        let mut command = Command::new("mariadb");
        command.args([
            "--no-defaults",
            "--batch",
            "--skip-column-names",
            "--default-character-set=utf8mb4",
            "-u",
            "root",
        ]);
        command.arg("--socket").arg(self.socket());
        if !database.is_empty() {
            command.args(["-D", database]);
        }
        let done = command.arg("-e").arg(sql).output().context(INSTALL)?;
        if !done.status.success() {
            bail!("mariadb: {}\n{sql}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(String::from_utf8(done.stdout)?.trim_end_matches('\n').to_owned())
    }

    /// Ends the file of the binary log that is written, and answers the bytes of the files that are complete, in order.
    pub fn binlogs(&self) -> Result<Vec<Vec<u8>>> {
        self.sql("", "flush binary logs")?;
        let listed = self.sql("", "show binary logs")?;
        let names: Vec<_> = listed.lines().filter_map(|line| line.split('\t').next()).collect();
        let (_, complete) = names.split_last().context("the server has no binary log")?;
        complete.iter().map(|name| std::fs::read(self.data_dir().join(name)).context("cannot read a log")).collect()
    }

    /// Stops it in order and waits for its end. Without effect when it is not running.
    pub fn stop(&mut self) -> Result<()> {
        self.end(Signal::TERM)
    }

    /// Kills it, as a power failure would, and waits for its end.
    pub fn kill(&mut self) -> Result<()> {
        self.end(Signal::KILL)
    }

    /// Stops it where it runs, and starts it again, on the same port with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop()?;
        self.launch()
    }

    fn end(&mut self, signal: Signal) -> Result<()> {
        let Some(mut process) = self.process.take() else { return Ok(()) };
        signal_to(process.id(), signal);
        let ended = wait_until("the server to stop", || Ok(process.try_wait()?.is_some()));
        if ended.is_err() {
            process.kill()?;
            process.wait()?;
        }
        ended
    }

    /// Makes the data folder.
    fn fill(&self) -> Result<()> {
        let done = self
            .run_as
            .command(&program("mariadb-install-db")?, "KILL")
            .args([
                "--no-defaults",
                "--auth-root-authentication-method=normal",
                "--skip-test-db",
                "--skip-name-resolve",
            ])
            .args(["--innodb-log-file-size=8M", "--innodb-flush-log-at-trx-commit=0"])
            .arg(format!("--datadir={}", self.data_dir().display()))
            .arg(format!("--tmpdir={}", self.folder.path().display()))
            .stdin(Stdio::null())
            .output()
            .context(INSTALL)?;
        if !done.status.success() {
            bail!("mariadb-install-db failed: {}", String::from_utf8_lossy(&done.stderr));
        }
        Ok(())
    }

    fn launch(&mut self) -> Result<()> {
        let output = std::fs::OpenOptions::new().create(true).append(true).open(self.file("log"))?;
        let mut command = self.run_as.command(&program("mariadbd")?, "KILL");
        command
            .arg(format!("--defaults-file={}", self.file("my.cnf").display()))
            .stdin(Stdio::null())
            .stdout(output.try_clone()?)
            .stderr(output);
        let mut process = spawn::from_lasting_thread(command)?;
        let ready = wait_until("the server to accept connections", || {
            if let Some(status) = process.try_wait()? {
                bail!("the server ended with {status}");
            }
            Ok(self.sql("", "select 1").is_ok())
        });
        self.process = Some(process);
        ready.or_else(|error| {
            self.kill()?;
            Err(error).with_context(|| format!("MariaDB does not start:\n{}", self.log()))
        })
    }

    fn file(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }
}

impl Drop for MariadbServer {
    fn drop(&mut self) {
        // Nothing is to be saved, and a test that fails already has more to say than this.
        let _ = self.kill();
    }
}

const INSTALL: &str = "MariaDB is not installed (Debian: apt-get install mariadb-server-core mariadb-client-core)";

/// Debian keeps the server out of the path of most users.
fn program(name: &str) -> Result<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain(["/usr/sbin", "/usr/bin", "/usr/local/bin"].map(PathBuf::from));
    folders.map(|folder| folder.join(name)).find(|program| program.is_file()).context(INSTALL)
}

/// A folder that other users may enter, with a path short enough for a Unix socket in it.
fn new_folder() -> Result<TempDir> {
    let short = std::env::temp_dir();
    let short = if short.as_os_str().len() <= 60 { short.as_path() } else { Path::new("/tmp") };
    let folder = tempfile::Builder::new().prefix("passerelle-mariadb-").tempdir_in(short)?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open)?;
    Ok(folder)
}
