//! How a server is reached, and the session settings that every connection pins.

use std::fmt::Write as _;
use std::path::PathBuf;

use passerelle_net::{TlsMode, TlsSettings};
use secrecy::SecretString;

/// How a server is reached.
#[derive(Clone, Debug)]
pub struct Options {
    /// Host name, address, or (with a leading `/`) the folder of a Unix socket.
    pub host: String,
    /// Port; of a Unix socket, the number in its name.
    pub port: u16,
    /// Database.
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
    /// What `pg_stat_activity` shows.
    pub application_name: String,
}

/// Settings that decide how values are printed (PG-50) and what we are told. A role's or a database's own settings never show through: what
/// the startup packet says goes before them.
pub const SESSION: &[(&str, &str)] = &[
    ("client_encoding", "UTF8"),
    ("datestyle", "ISO"),
    ("intervalstyle", "postgres"),
    ("timezone", "UTC"),
    ("extra_float_digits", "3"),
    ("bytea_output", "hex"),
    ("lc_monetary", "C"),
    ("xmloption", "content"),
    // A name (`regclass`, `regtype`) is printed with its schema where the path does not lead to it.
    ("search_path", "pg_catalog"),
    // That a publication is missing is only a warning from 18 on (PG-13).
    ("client_min_messages", "warning"),
];

impl Options {
    /// [`SESSION`] as the `options` parameter of the startup packet.
    pub fn session() -> String {
        let mut text = String::new();
        for (name, value) in SESSION {
            let _ = write!(text, "{}-c {name}={value}", if text.is_empty() { "" } else { " " });
        }
        text
    }

    /// The path of the Unix socket, where the host is a folder.
    pub fn socket_path(&self) -> Option<PathBuf> {
        self.host.starts_with('/').then(|| PathBuf::from(&self.host).join(format!(".s.PGSQL.{}", self.port)))
    }

    /// The address for people: `host:port`, or the socket's path.
    pub fn address(&self) -> String {
        match self.socket_path() {
            Some(path) => path.display().to_string(),
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

    #[test]
    fn session_settings_need_no_escaping() {
        for (name, value) in SESSION {
            let plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
            assert!(plain(name) && plain(value), "{name}={value}");
        }
        assert!(Options::session().starts_with("-c client_encoding=UTF8 -c datestyle=ISO "));
    }
}
