//! The listeners: the status socket, and the loopback address for a browser and Prometheus.

use std::net::SocketAddr;
use std::path::PathBuf;

use axum::Extension;
use tokio::net::TcpListener;
use tokio_util::sync::CancellationToken;

use super::request::Handle;
use super::{connections, routes, socket};

/// Where to listen.
#[derive(Clone, Debug)]
pub struct Options {
    /// The status socket.
    pub socket: PathBuf,
    /// Readings for a browser and Prometheus; a loopback address. No commands.
    pub http: Option<SocketAddr>,
}

/// Why the server cannot listen.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another daemon answers there.
    #[error("another passerelle answers on {}: stop it, or give this one a socket of its own", path.display())]
    Running {
        /// The socket.
        path: PathBuf,
    },
    /// Something else is in the socket's place.
    #[error("{} is no socket: move it away, or set `socket` in [daemon] to another path", path.display())]
    NotASocket {
        /// The path.
        path: PathBuf,
    },
    /// The socket cannot be made.
    #[error("cannot listen on {}", path.display())]
    Socket {
        /// The socket.
        path: PathBuf,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The address is not free.
    #[error("cannot listen on {address}")]
    Http {
        /// The address.
        address: SocketAddr,
        /// The system's reason.
        source: std::io::Error,
    },
    /// The address can be reached from other machines.
    #[error("{address} is no loopback address: the dashboard has no password yet, so it stays on this machine")]
    NotLoopback {
        /// The address.
        address: SocketAddr,
    },
}

/// Listeners that are bound but do not answer yet.
#[derive(Debug)]
pub struct Server {
    socket: socket::Socket,
    http: Option<TcpListener>,
}

/// Binds and serves until the token is cancelled. For one who wants to know of a refusal before the rest starts:
/// [`Server::bind`], then [`Server::run`].
pub async fn serve(options: Options, handle: Handle, stop: CancellationToken) -> Result<(), ServeError> {
    Server::bind(&options).await?.run(handle, stop).await;
    Ok(())
}

impl Server {
    /// Takes the socket and the address. A socket that a living daemon answers on is refused, a dead one's taken over.
    pub async fn bind(options: &Options) -> Result<Self, ServeError> {
        let http = match options.http {
            None => None,
            Some(address) if !address.ip().is_loopback() => return Err(ServeError::NotLoopback { address }),
            Some(address) => {
                Some(TcpListener::bind(address).await.map_err(|source| ServeError::Http { address, source })?)
            }
        };
        Ok(Self { socket: socket::listen(&options.socket)?, http })
    }

    /// The address that was bound: the port is the system's choice where 0 was asked for.
    pub fn http_address(&self) -> Option<SocketAddr> {
        self.http.as_ref().and_then(|listener| listener.local_addr().ok())
    }

    /// Serves until the token is cancelled, then finishes the answers under way. The socket's file goes with it.
    pub async fn run(self, handle: Handle, stop: CancellationToken) {
        let (listener, owner, file) = self.socket.into_parts();
        let full = routes::socket(handle.clone());
        let on_socket = connections::serve(
            "socket",
            || async {
                let (stream, _) = listener.accept().await?;
                let peer = stream.peer_cred().ok().map(|peer| peer.uid());
                let peer = routes::Peer { commands: socket::may_command(peer, owner) };
                Ok((stream, full.clone().layer(Extension(peer))))
            },
            stop.clone(),
        );
        let readings = routes::loopback(handle);
        let on_loopback = async {
            if let Some(listener) = self.http {
                let accept = || async {
                    let (stream, _) = listener.accept().await?;
                    Ok((stream, readings.clone()))
                };
                connections::serve("http", accept, stop).await;
            }
        };
        tokio::join!(on_socket, on_loopback);
        drop(file);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use tokio::sync::mpsc;

    use super::*;
    use crate::control::Board;
    use crate::control::request::QUEUE;

    #[tokio::test]
    async fn a_loopback_address_is_wanted() {
        let folder = tempfile::tempdir().unwrap();
        let options = Options { socket: folder.path().join("s"), http: Some(([0, 0, 0, 0], 0).into()) };
        let refusal = Server::bind(&options).await.unwrap_err();
        assert!(refusal.to_string().starts_with("0.0.0.0:0 is no loopback address"), "{refusal}");
        assert!(!options.socket.exists());
    }

    #[tokio::test]
    async fn both_listeners_answer_and_stop_with_the_token() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("s");
        let options = Options { socket: path.clone(), http: Some(([127, 0, 0, 1], 0).into()) };
        let server = Server::bind(&options).await.unwrap();
        let address = server.http_address().unwrap();
        let (requests, mut asked) = mpsc::channel(QUEUE);
        let stop = CancellationToken::new();
        let handle = Handle { board: Arc::new(Board::new()), requests };
        let serving = tokio::spawn(server.run(handle, stop.clone()));
        let daemon = tokio::spawn(async move {
            while let Some(request) = asked.recv().await {
                if let super::super::Request::Reload { reply, .. } = request {
                    let done = super::super::Done::new("reloaded", 1);
                    let _ = reply.send(Ok(done));
                }
            }
        });

        let on_socket = reqwest::Client::builder().unix_socket(path.clone()).build().unwrap();
        let status: super::super::model::Status =
            on_socket.get("http://x/v1/status").send().await.unwrap().json().await.unwrap();
        assert_eq!(status.daemon.version, env!("CARGO_PKG_VERSION"));
        // The tests run as the owner of the socket, who may command.
        let done = on_socket.post("http://x/v1/reload").json(&serde_json::json!({})).send().await.unwrap();
        assert_eq!(done.text().await.unwrap(), r#"{"message":"reloaded","affected":1}"#);

        let browser = reqwest::Client::builder().no_proxy().build().unwrap();
        let address = format!("http://{address}");
        let metrics = browser.get(format!("{address}/metrics")).send().await.unwrap().text().await.unwrap();
        assert!(metrics.contains("passerelle_daemon_info"), "{metrics}");
        let command = browser.post(format!("{address}/v1/reload")).send().await.unwrap();
        assert_eq!(command.status(), 404);

        stop.cancel();
        serving.await.unwrap();
        daemon.await.unwrap();
        assert!(!path.exists(), "the socket's file goes with the server");
        assert!(browser.get(format!("{address}/metrics")).send().await.is_err());
    }
}
