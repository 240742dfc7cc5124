//! The socket under the connection: Unix, TCP, or TLS over TCP.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::tls;
use crate::{Error, Options, TlsMode};

/// What the kernel may hold for us: the server need not wait for every gulp of ours.
const RECEIVE_BUFFER_BYTES: u32 = 512 << 10;

/// A peer that vanished is noticed after 30 + 3 × 10 s without traffic.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);

#[derive(Debug)]
pub(super) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

impl Socket {
    /// Connects, without TLS: the server speaks first.
    pub(super) async fn open(options: &Options) -> Result<Self, Error> {
        let unreachable = |error: io::Error| Error::Connect { address: options.address(), why: error.to_string() };
        match options.socket_path() {
            Some(path) => Ok(Self::Unix(UnixStream::connect(path).await.map_err(unreachable)?)),
            None => Ok(Self::Tcp(connect_tcp(&options.host, options.port).await.map_err(unreachable)?)),
        }
    }

    /// TLS is to be used where the server has it.
    pub(super) fn wants_tls(&self, options: &Options) -> bool {
        matches!(self, Self::Tcp(_)) && options.tls != TlsMode::Disable
    }

    /// Nothing goes without it.
    pub(super) fn needs_tls(&self, options: &Options) -> bool {
        self.wants_tls(options) && options.tls != TlsMode::Prefer
    }

    /// The same connection under TLS.
    pub(super) async fn protect(self, options: &Options) -> Result<Self, Error> {
        let Self::Tcp(tcp) = self else { return Ok(self) };
        let failed = |error: io::Error| Error::TlsHandshake { address: options.address(), why: error.to_string() };
        let connector = TlsConnector::from(tls::client_config(options)?);
        let stream = connector.connect(tls::server_name(&options.host)?, tcp).await.map_err(failed)?;
        Ok(Self::Tls(Box::new(stream)))
    }

    pub(super) fn is_tls(&self) -> bool {
        matches!(self, Self::Tls(_))
    }

    /// Nobody between us and the server reads what is sent.
    pub(super) fn is_private(&self) -> bool {
        matches!(self, Self::Tls(_) | Self::Unix(_))
    }

    /// Moves the socket to the runtime that this runs on. One that was connected on another stays registered there, and
    /// each piece that comes wakes a thread of that one.
    pub(super) fn move_here(&mut self) -> io::Result<()> {
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

/// Tries every address of the name, in the resolver's order.
async fn connect_tcp(host: &str, port: u16) -> io::Result<TcpStream> {
    let mut last = io::Error::new(io::ErrorKind::NotFound, "the name has no address");
    for address in tokio::net::lookup_host((host, port)).await? {
        let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        // Before connecting: the window that TCP agrees on depends on it.
        socket.set_recv_buffer_size(RECEIVE_BUFFER_BYTES)?;
        match socket.connect(address).await {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                SockRef::from(&stream).set_tcp_keepalive(&KEEPALIVE)?;
                return Ok(stream);
            }
            Err(error) => last = error,
        }
    }
    Err(last)
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
