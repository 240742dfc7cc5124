//! The socket under a connection: Unix, TCP, or TLS over TCP.

use std::io;
use std::os::fd::AsFd;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::TlsMode;

/// What the kernel may hold for us: a server whose sends never wait for us writes in larger pieces.
const RECEIVE_BUFFER_BYTES: u32 = 512 << 10;

/// A peer that vanished is noticed after 30 + 3 × 10 s without traffic.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);

/// A connected socket.
#[derive(Debug)]
pub enum Socket {
    /// It does not leave the machine.
    Unix(UnixStream),
    /// In clear text.
    Tcp(TcpStream),
    /// Protected by TLS.
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Connects to a Unix socket.
    pub async fn unix(path: &Path) -> io::Result<Self> {
        UnixStream::connect(path).await.map(Self::Unix)
    }

    /// Connects over TCP, without TLS as yet. Tries every address of the name, in the resolver's order. With
    /// `user_timeout` a peer has vanished, too, when something we sent is not acknowledged for that long
    /// (`TCP_USER_TIMEOUT` of tcp(7)).
    pub async fn tcp(host: &str, port: u16, user_timeout: Option<Duration>) -> io::Result<Self> {
        let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
        for address in tokio::net::lookup_host((host, port)).await? {
            let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
            // Before connecting: the window that TCP agrees on depends on it.
            socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
            match socket.connect(address).await {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    let options = SockRef::from(&stream);
                    options.set_tcp_keepalive(&KEEPALIVE)?;
                    if user_timeout.is_some() {
                        options.set_tcp_user_timeout(user_timeout)?;
                    }
                    return Ok(Self::Tcp(stream));
                }
                Err(error) => last = error,
            }
        }
        Err(last)
    }

    /// The same connection under TLS, once both sides have agreed on it. A Unix socket stays as it is.
    pub async fn protect(self, config: Arc<ClientConfig>, name: ServerName<'static>) -> io::Result<Self> {
        let Self::Tcp(tcp) = self else { return Ok(self) };
        let stream = TlsConnector::from(config).connect(name, tcp).await?;
        Ok(Self::Tls(Box::new(stream)))
    }

    /// In this mode, TLS is to be used where the server has it: not within the machine, and not twice.
    pub fn wants_tls(&self, mode: TlsMode) -> bool {
        matches!(self, Self::Tcp(_)) && mode != TlsMode::Disable
    }

    /// In this mode, nothing goes without it.
    pub fn needs_tls(&self, mode: TlsMode) -> bool {
        self.wants_tls(mode) && mode != TlsMode::Prefer
    }

    /// It is protected by TLS.
    pub fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Nobody between us and the server reads what is sent.
    pub fn is_private(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Unix(_))
    }

    /// The certificate that the server has shown.
    pub fn server_certificate(&self) -> Option<&CertificateDer<'static>> {
        match self {
            Self::Tls(stream) => stream.get_ref().1.peer_certificates()?.first(),
            Self::Tcp(_) | Self::Unix(_) => None,
        }
    }

    /// Moves the socket to the runtime that this runs on. One that was connected on another stays registered there, and
    /// each piece that comes wakes a thread of that one.
    pub fn move_here(&mut self) -> io::Result<()> {
        match self {
            Self::Unix(socket) => *socket = UnixStream::from_std(socket.as_fd().try_clone_to_owned()?.into())?,
            Self::Tcp(socket) => *socket = moved(socket)?,
            Self::Tls(stream) => {
                let (socket, _) = stream.get_mut();
                *socket = moved(socket)?;
            }
        }
        Ok(())
    }
}

/// The same connection by another descriptor, registered with the runtime that this runs on.
fn moved(socket: &TcpStream) -> io::Result<TcpStream> {
    TcpStream::from_std(socket.as_fd().try_clone_to_owned()?.into())
}

impl AsyncRead for Socket {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tcp(socket) => Pin::new(socket).poll_read(cx, buffer),
            Self::Tls(socket) => Pin::new(socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Socket {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::Unix(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tcp(socket) => Pin::new(socket).poll_write(cx, bytes),
            Self::Tls(socket) => Pin::new(socket).poll_write(cx, bytes),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tcp(socket) => Pin::new(socket).poll_flush(cx),
            Self::Tls(socket) => Pin::new(socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::Unix(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tcp(socket) => Pin::new(socket).poll_shutdown(cx),
            Self::Tls(socket) => Pin::new(socket).poll_shutdown(cx),
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::net::{TcpListener, UnixListener};

    use super::*;

    #[tokio::test]
    async fn a_peer_that_vanishes_is_noticed() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        for user_timeout in [None, Some(Duration::from_mins(1))] {
            let socket = Socket::tcp("localhost", port, user_timeout).await.unwrap();
            let Socket::Tcp(stream) = &socket else { panic!("{socket:?}") };
            let options = SockRef::from(stream);
            assert!(options.tcp_nodelay().unwrap() && options.keepalive().unwrap());
            assert_eq!(options.tcp_keepalive_time().unwrap(), Duration::from_secs(30));
            assert_eq!(options.tcp_keepalive_interval().unwrap(), Duration::from_secs(10));
            assert_eq!(options.tcp_keepalive_retries().unwrap(), 3);
            assert_eq!(options.tcp_user_timeout().unwrap(), user_timeout);
        }
    }

    #[tokio::test]
    async fn tls_is_for_tcp_alone_and_by_the_mode() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let tcp = Socket::tcp("127.0.0.1", listener.local_addr().unwrap().port(), None).await.unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("socket");
        let listener = UnixListener::bind(&path).unwrap();
        let mut unix = Socket::unix(&path).await.unwrap();
        let modes = [TlsMode::Disable, TlsMode::Prefer, TlsMode::Require, TlsMode::VerifyCa, TlsMode::VerifyFull];
        assert_eq!(modes.map(|mode| tcp.wants_tls(mode)), [false, true, true, true, true]);
        assert_eq!(modes.map(|mode| tcp.needs_tls(mode)), [false, false, true, true, true]);
        assert!(modes.iter().all(|&mode| !unix.wants_tls(mode) && !unix.needs_tls(mode)));
        assert!(unix.is_private() && !unix.is_tls() && !tcp.is_private());

        let (mut served, _) = listener.accept().await.unwrap();
        unix.move_here().unwrap();
        served.write_u8(7).await.unwrap();
        assert_eq!(unix.read_u8().await.unwrap(), 7);
    }
}
