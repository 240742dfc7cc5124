//! How a server is reached, and which of the two kinds it is.

use std::fmt;
use std::path::{Path, PathBuf};

use passerelle_net::{TlsMode, TlsSettings};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// The kinds of server. They share a protocol and differ in GTIDs, types, catalogue and words.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Flavor {
    /// MySQL, and what is built from it (Percona Server, Aurora).
    Mysql,
    /// MariaDB.
    Mariadb,
}

impl Flavor {
    /// The word in the configuration.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Mysql => "mysql",
            Self::Mariadb => "mariadb",
        }
    }

    /// The oldest version that can be followed, as [`crate::sql::Connection::version`] has it: rows with the layouts that
    /// are read here, and GTIDs.
    pub fn oldest_version(self) -> u32 {
        match self {
            Self::Mysql => 50_600,
            Self::Mariadb => 100_200,
        }
    }
}

impl fmt::Display for Flavor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Mysql => "MySQL",
            Self::Mariadb => "MariaDB",
        })
    }
}

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Which kind it is said to be. One that is the other is refused.
    pub flavor: Flavor,
    /// Host name, address, or (with a leading `/`) a Unix socket or the folder of one.
    pub host: String,
    /// Port. Without effect on a Unix socket.
    pub port: u16,
    /// The database that names without one belong to.
    pub database: String,
    /// User.
    pub user: String,
    /// Password, where the server asks for one.
    pub password: Option<SecretString>,
    /// How the connection is protected. Without effect on a Unix socket.
    pub tls: TlsMode,
    /// PEM file of the trusted authorities; the system's otherwise.
    pub tls_ca: Option<PathBuf>,
    /// PEM file of the client certificate (and its chain).
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub tls_key: Option<PathBuf>,
    /// The `server_id` by which the server tells its replicas apart; by chance otherwise (MY-08).
    pub server_id: Option<u32>,
    /// What the server shows as `program_name` of the connection (`performance_schema.session_connect_attrs`).
    pub application_name: String,
}

/// The socket's names in the folders of packages: of Debian and Fedora, and of the servers' own builds.
const SOCKETS: [&str; 2] = ["mysqld.sock", "mysql.sock"];

impl Options {
    /// The path of the Unix socket, where the host is one. Looks at the folder for the name.
    pub fn socket_path(&self) -> Option<PathBuf> {
        let path = Path::new(&self.host);
        if !self.host.starts_with('/') {
            return None;
        }
        if !path.is_dir() {
            return Some(path.to_owned());
        }
        let found = SOCKETS.iter().map(|name| path.join(name)).find(|path| path.exists());
        Some(found.unwrap_or_else(|| path.join(SOCKETS[0])))
    }

    /// The address for people: `host:port`, or the socket's path.
    pub fn address(&self) -> String {
        match self.socket_path() {
            Some(path) => path.display().to_string(),
            None if self.host.contains(':') => format!("[{}]:{}", self.host, self.port),
            None => format!("{}:{}", self.host, self.port),
        }
    }

    /// What concerns TLS of it.
    pub(crate) fn tls_settings(&self) -> TlsSettings<'_> {
        TlsSettings {
            mode: self.tls,
            ca: self.tls_ca.as_deref(),
            cert: self.tls_cert.as_deref(),
            key: self.tls_key.as_deref(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(host: &str) -> Options {
        Options {
            flavor: Flavor::Mariadb,
            host: host.into(),
            port: 3306,
            database: "shop".into(),
            user: "passerelle".into(),
            password: None,
            tls: TlsMode::Prefer,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            server_id: None,
            application_name: "passerelle".into(),
        }
    }

    #[test]
    fn a_host_is_a_name_an_address_or_a_socket() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        let folder_host = folder.path().to_str().unwrap().to_owned();
        assert_eq!(options("db").socket_path(), None);
        assert_eq!(options("db").address(), "db:3306");
        assert_eq!(options("fd00::1").address(), "[fd00::1]:3306");
        assert_eq!(options(&folder_host).socket_path(), Some(path("mysqld.sock")));
        std::fs::write(path("mysql.sock"), "").unwrap();
        assert_eq!(options(&folder_host).socket_path(), Some(path("mysql.sock")));
        let file = path("mysql.sock");
        assert_eq!(options(file.to_str().unwrap()).address(), file.display().to_string());
    }

    #[test]
    fn a_password_is_never_printed() {
        let with = Options { password: Some("geheim".into()), ..options("db") };
        assert!(!format!("{with:?}").contains("geheim"));
    }
}
