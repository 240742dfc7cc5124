//! A private PostgreSQL server.

mod install;
mod process;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::spawn::RunAs;
use crate::tls::Certificates;
use crate::wait::wait_until;
use install::Install;
use process::Process;

/// A running server: superuser `postgres` without a password on 127.0.0.1 and on a Unix socket, `wal_level = logical`,
/// passwords kept as SCRAM (before version 14 not the default), encoding UTF8, locale C. Ends, with its folder, when it
/// is dropped.
#[derive(Debug)]
pub struct PgServer {
    process: Option<Process>,
    install: Install,
    run_as: RunAs,
    port: u16,
    certificates: Option<Certificates>,
    folder: TempDir,
}

/// How a server is stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StopMode {
    /// Waits until every client has gone.
    Smart,
    /// Ends sessions, waits for walsenders to drain, writes a checkpoint.
    Fast,
    /// Ends at once; the next start recovers.
    Immediate,
}

/// What a server is to be like.
#[derive(Clone, Debug, Default)]
pub struct Builder {
    settings: Vec<(String, String)>,
    hba: Vec<String>,
    fsync: bool,
    tls_client: Option<String>,
    own_system_id: bool,
}

impl Builder {
    /// Adds a line to `postgresql.conf`; later ones win.
    #[must_use]
    pub fn setting(mut self, name: &str, value: &str) -> Self {
        self.settings.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a line to `pg_hba.conf`, before those that trust everyone: the first that fits counts.
    #[must_use]
    pub fn hba(mut self, line: &str) -> Self {
        self.hba.push(line.to_owned());
        self
    }

    /// Whether the server waits for the disk. Default no: a killed process loses nothing by it.
    #[must_use]
    pub fn fsync(mut self, on: bool) -> Self {
        self.fsync = on;
        self
    }

    /// Turns TLS on with fresh certificates; the client's one is for the database user `client_user`.
    #[must_use]
    pub fn tls(mut self, client_user: &str) -> Self {
        self.tls_client = Some(client_user.to_owned());
        self
    }

    /// A system identifier that no other server of the tests has; otherwise they share one.
    #[must_use]
    pub fn own_system_id(mut self) -> Self {
        self.own_system_id = true;
        self
    }

    /// Starts it.
    pub fn start(self) -> Result<PgServer> {
        let install = Install::find()?;
        let run_as = RunAs::unless_root("postgres")?;
        let folder = new_folder()?;
        run_as.own(folder.path())?;
        install.fill(&folder.path().join("data"), run_as, self.own_system_id)?;
        let certificates = self.tls_client.as_deref().map(|user| Certificates::make(&folder.path().join("tls"), user));
        let certificates = certificates.transpose()?;
        std::fs::create_dir(folder.path().join("socket"))?;
        run_as.own(folder.path())?;
        let mut server = PgServer { process: None, install, run_as, port: 0, certificates, folder };
        server.set_hba(&self.hba.iter().map(String::as_str).collect::<Vec<_>>())?;
        for attempt in 1.. {
            server.port = free_port()?;
            std::fs::write(server.data_dir().join("postgresql.conf"), self.configuration(&server))?;
            match server.launch() {
                Ok(()) => break,
                // Between finding the port and using it, someone else may have taken it.
                Err(_) if attempt < 5 && server.log().contains("Address already in use") => {}
                Err(error) => return Err(error),
            }
        }
        Ok(server)
    }

    fn configuration(&self, server: &PgServer) -> String {
        let mut text = format!(
            "listen_addresses = '127.0.0.1'\nport = {}\nunix_socket_directories = '{}'\n\
             wal_level = logical\npassword_encryption = 'scram-sha-256'\nmax_connections = 50\nshared_buffers = 32MB\njit = off\n\
             log_min_messages = warning\nlog_line_prefix = '%m [%p] %a '\nfsync = {}\n",
            server.port,
            server.socket_dir().display(),
            if self.fsync { "on" } else { "off" },
        );
        if let Some(files) = &server.certificates {
            let (ca, certificate, key) = (files.ca(), files.server(), files.server_key());
            let lines = [("ssl_ca_file", ca), ("ssl_cert_file", certificate), ("ssl_key_file", key)];
            text.push_str("ssl = on\n");
            for (name, file) in lines {
                let _ = writeln!(text, "{name} = '{}'", file.display());
            }
        }
        for (name, value) in &self.settings {
            let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        }
        text
    }
}

impl PgServer {
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

    /// The folder of the Unix socket.
    pub fn socket_dir(&self) -> PathBuf {
        self.folder.path().join("socket")
    }

    /// The data folder.
    pub fn data_dir(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    /// One of PostgreSQL's programs, `pg_recvlogical` say.
    pub fn program(&self, name: &str) -> PathBuf {
        self.install.program(name)
    }

    /// The major version, 15 for 15.18.
    pub fn major_version(&self) -> u32 {
        self.install.major()
    }

    /// The certificates, where [`Builder::tls`] asked for them.
    pub fn certificates(&self) -> Option<&Certificates> {
        self.certificates.as_ref()
    }

    /// The process id of the postmaster, while it runs.
    pub fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(Process::id)
    }

    /// What the server logged since it was made. Empty when it cannot be read.
    pub fn log(&self) -> String {
        std::fs::read(self.log_file()).map(|text| String::from_utf8_lossy(&text).into_owned()).unwrap_or_default()
    }

    /// A connection string of the superuser, over TCP, as libpq and tokio-postgres read it.
    pub fn connection_string(&self, database: &str) -> String {
        format!("host=127.0.0.1 port={} user=postgres dbname={database}", self.port)
    }

    /// Runs `sql` by `psql` over the Unix socket; answers its rows, columns joined by `|`.
    pub fn psql(&self, database: &str, sql: &str) -> Result<String> {
        let done = Command::new(self.install.program("psql"))
            .args(["-X", "-A", "-t", "-q", "-v", "ON_ERROR_STOP=1", "-U", "postgres", "-d", database])
            .arg("-h")
            .arg(self.socket_dir())
            .args(["-p", &self.port.to_string(), "-c", sql])
            .output()
            .context("cannot run psql")?;
        if !done.status.success() {
            bail!("psql: {}\n{sql}", String::from_utf8_lossy(&done.stderr).trim());
        }
        Ok(String::from_utf8(done.stdout)?.trim_end_matches('\n').to_owned())
    }

    /// A superuser's client over the Unix socket; its connection runs as a task of the current runtime.
    pub async fn client(&self, database: &str) -> Result<tokio_postgres::Client> {
        let mut config = tokio_postgres::Config::new();
        config.host_path(self.socket_dir()).port(self.port).user("postgres").dbname(database);
        let (client, connection) = config.connect(tokio_postgres::NoTls).await?;
        // Ends when the client is dropped; a broken connection shows in the client's next call.
        tokio::spawn(connection);
        Ok(client)
    }

    /// Replaces `pg_hba.conf` by these lines and, after them, those that trust everyone; [`PgServer::reload`] makes a
    /// running server read it.
    pub fn set_hba(&self, lines: &[&str]) -> Result<()> {
        let trusting = [
            "local all all trust",
            "host all all 127.0.0.1/32 trust",
            "local replication all trust",
            "host replication all 127.0.0.1/32 trust",
        ];
        let all: Vec<&str> = lines.iter().copied().chain(trusting).collect();
        std::fs::write(self.data_dir().join("pg_hba.conf"), all.join("\n") + "\n").context("cannot write pg_hba.conf")
    }

    /// Appends a setting to `postgresql.conf`, for the next [`PgServer::reload`] or [`PgServer::restart`].
    pub fn set(&self, name: &str, value: &str) -> Result<()> {
        let file = self.data_dir().join("postgresql.conf");
        let mut text = std::fs::read_to_string(&file)?;
        let _ = writeln!(text, "{name} = '{}'", value.replace('\'', "''"));
        std::fs::write(&file, text).context("cannot write postgresql.conf")
    }

    /// Makes the server read its files again, and waits until it has.
    pub fn reload(&self) -> Result<()> {
        let before = self.psql("postgres", "select pg_conf_load_time()")?;
        self.psql("postgres", "select pg_reload_conf()")?;
        wait_until("the server to read its configuration", || {
            Ok(self.psql("postgres", "select pg_conf_load_time()")? != before)
        })
    }

    /// Stops it and waits for its end. Without effect when it is not running.
    pub fn stop(&mut self, mode: StopMode) -> Result<()> {
        match self.process.take() {
            Some(process) => process.stop(mode),
            None => Ok(()),
        }
    }

    /// Kills the server and all its sessions, as a power failure would, and waits for their end.
    pub fn kill(&mut self) -> Result<()> {
        match self.process.take() {
            Some(process) => process.kill(),
            None => Ok(()),
        }
    }

    /// Stops it (fast) where it runs, and starts it again, on the same port with the same data.
    pub fn restart(&mut self) -> Result<()> {
        self.stop(StopMode::Fast)?;
        self.launch()
    }

    fn launch(&mut self) -> Result<()> {
        let mut command = self.run_as.command(&self.install.program("postgres"), "QUIT");
        command.arg("-D").arg(self.data_dir());
        let started = Process::start(command, &self.data_dir(), &self.log_file());
        self.process = Some(started.with_context(|| format!("PostgreSQL does not start:\n{}", self.log()))?);
        Ok(())
    }

    fn log_file(&self) -> PathBuf {
        self.folder.path().join("log")
    }
}

impl Drop for PgServer {
    fn drop(&mut self) {
        // Nothing is to be saved, and a test that fails already has more to say than this.
        let _ = self.stop(StopMode::Immediate);
    }
}

/// A folder that other users may enter, with a path short enough for a Unix socket in it.
fn new_folder() -> Result<TempDir> {
    let short = std::env::temp_dir();
    let short = if short.as_os_str().len() <= 60 { short.as_path() } else { Path::new("/tmp") };
    let folder = tempfile::Builder::new().prefix("passerelle-pg-").tempdir_in(short)?;
    let open = std::os::unix::fs::PermissionsExt::from_mode(0o755);
    std::fs::set_permissions(folder.path(), open)?;
    Ok(folder)
}

fn free_port() -> Result<u16> {
    Ok(TcpListener::bind("127.0.0.1:0")?.local_addr()?.port())
}
