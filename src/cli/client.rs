//! The command line's end of the status socket.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use super::Global;
use crate::control::CommandError;

/// Where a packaged daemon listens.
const DEFAULT_SOCKET: &str = "/run/passerelle/passerelle.sock";
/// Longer than the daemon itself takes to give up.
const ANSWER_WITHIN: Duration = Duration::from_secs(65);

/// Talks to the daemon.
#[derive(Debug)]
pub(super) struct Client {
    socket: PathBuf,
    http: reqwest::Client,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ClientError {
    /// Nothing listens.
    #[error("passerelle is not running: nothing answers on {}", socket.display())]
    NotRunning { socket: PathBuf },
    /// The file's mode says no.
    #[error("this user may not use {}", socket.display())]
    NotAllowed { socket: PathBuf },
    /// The socket cannot be reached for another reason.
    #[error("cannot connect to {}: {source}", socket.display())]
    Unreachable { socket: PathBuf, source: std::io::Error },
    /// The daemon refuses.
    #[error("{0}")]
    Refused(CommandError),
    /// Something answers that is no passerelle of this kind.
    #[error("the answer on {} is not understood: {what}", socket.display())]
    Strange { socket: PathBuf, what: String },
    /// The connection broke, or the answer took too long.
    #[error("no answer on {}: {source}", socket.display())]
    Broken { socket: PathBuf, source: reqwest::Error },
}

impl ClientError {
    /// What to do about it.
    pub(super) fn hint(&self) -> Option<String> {
        match self {
            Self::NotRunning { .. } => Some(
                "start it with `systemctl start passerelle`; `journalctl -u passerelle -n 50` shows why it ended. \
                 Does it listen elsewhere? Then name its --config or --socket"
                    .to_owned(),
            ),
            Self::NotAllowed { .. } => {
                Some("use sudo, or join the socket's group: `sudo usermod -aG passerelle $USER`".to_owned())
            }
            Self::Refused(refusal) => refusal.hint.clone(),
            Self::Strange { .. } => Some("are the daemon and this program of one version?".to_owned()),
            Self::Unreachable { .. } | Self::Broken { .. } => None,
        }
    }
}

/// The body of a refusal.
#[derive(Deserialize)]
struct Refusal {
    error: CommandError,
}

impl Client {
    /// The client for `--socket`, else for the socket of the configuration, else for the packaged one.
    pub(super) fn new(global: &Global) -> anyhow::Result<Self> {
        let socket = global.socket.clone().or_else(|| configured_socket(&global.config));
        let socket = socket.unwrap_or_else(|| PathBuf::from(DEFAULT_SOCKET));
        let http = reqwest::Client::builder().unix_socket(socket.clone()).no_proxy().timeout(ANSWER_WITHIN).build()?;
        Ok(Self { socket, http })
    }

    /// A reading.
    pub(super) async fn get(&self, path: &str, query: &[(&str, String)]) -> Result<Value, ClientError> {
        self.send(self.http.get(url(path)).query(query)).await
    }

    /// A command.
    pub(super) async fn post(&self, path: &str, body: &Value) -> Result<Value, ClientError> {
        self.send(self.http.post(url(path)).json(body)).await
    }

    /// A document as its type.
    pub(super) fn read<T: DeserializeOwned>(&self, document: Value) -> Result<T, ClientError> {
        serde_json::from_value(document).map_err(|fault| self.strange(fault.to_string()))
    }

    async fn send(&self, request: reqwest::RequestBuilder) -> Result<Value, ClientError> {
        self.knock().await?;
        let broken = |source| ClientError::Broken { socket: self.socket.clone(), source };
        let answer = request.send().await.map_err(broken)?;
        let status = answer.status();
        let body = answer.bytes().await.map_err(broken)?;
        if status.is_success() {
            return serde_json::from_slice(&body).map_err(|fault| self.strange(fault.to_string()));
        }
        match serde_json::from_slice::<Refusal>(&body) {
            Ok(Refusal { error }) => Err(ClientError::Refused(error)),
            Err(_) => Err(self.strange(format!("HTTP {status}"))),
        }
    }

    /// Connects once, because the HTTP client does not tell one failure from another.
    async fn knock(&self) -> Result<(), ClientError> {
        let socket = self.socket.clone();
        match tokio::net::UnixStream::connect(&socket).await {
            Ok(_) => Ok(()),
            Err(source) => Err(match source.kind() {
                std::io::ErrorKind::NotFound | std::io::ErrorKind::ConnectionRefused => {
                    ClientError::NotRunning { socket }
                }
                std::io::ErrorKind::PermissionDenied => ClientError::NotAllowed { socket },
                _ => ClientError::Unreachable { socket, source },
            }),
        }
    }

    fn strange(&self, what: String) -> ClientError {
        ClientError::Strange { socket: self.socket.clone(), what }
    }
}

/// The host says nothing on a Unix socket.
fn url(path: &str) -> String {
    format!("http://passerelle{path}")
}

/// `daemon.socket` of the configuration, read leniently: a reading of a running daemon must not fail for a file that
/// is being edited, or for a secret that this user may not see.
fn configured_socket(config: &Path) -> Option<PathBuf> {
    let mut files = if config.is_dir() {
        let files = std::fs::read_dir(config).ok()?.filter_map(|file| Some(file.ok()?.path()));
        files.filter(|file| file.extension().is_some_and(|extension| extension == "toml")).collect()
    } else {
        vec![config.to_owned()]
    };
    files.sort();
    files.iter().find_map(|file| {
        let document: toml::Table = std::fs::read_to_string(file).ok()?.parse().ok()?;
        Some(PathBuf::from(document.get("daemon")?.get("socket")?.as_str()?))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn global(config: &Path, socket: Option<PathBuf>) -> Global {
        Global { config: config.to_owned(), socket, ..Global::default() }
    }

    #[test]
    fn the_socket_is_found_in_the_configuration() {
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("10-sources.toml"), "[source.erp]\nkind = \"postgres\"").unwrap();
        std::fs::write(folder.path().join("20-broken.toml"), "[source").unwrap();
        assert_eq!(configured_socket(folder.path()), None);
        std::fs::write(folder.path().join("90.toml"), "[daemon]\nsocket = \"/tmp/p.sock\"").unwrap();
        assert_eq!(configured_socket(folder.path()), Some(PathBuf::from("/tmp/p.sock")));
        let client = Client::new(&global(folder.path(), None)).unwrap();
        assert_eq!(client.socket, PathBuf::from("/tmp/p.sock"));
        let client = Client::new(&global(folder.path(), Some(PathBuf::from("/tmp/other")))).unwrap();
        assert_eq!(client.socket, PathBuf::from("/tmp/other"));
        let client = Client::new(&global(Path::new("/nonexistent"), None)).unwrap();
        assert_eq!(client.socket, PathBuf::from(DEFAULT_SOCKET));
    }

    #[tokio::test]
    async fn a_daemon_that_is_not_there_says_what_to_do() {
        let folder = tempfile::tempdir().unwrap();
        let client = Client::new(&global(folder.path(), Some(folder.path().join("s")))).unwrap();
        let fault = client.get("/v1/status", &[]).await.unwrap_err();
        assert!(fault.to_string().starts_with("passerelle is not running: nothing answers on /"), "{fault}");
        assert!(fault.hint().unwrap().contains("systemctl start passerelle"));
    }
}
