//! The socket under a connection: Unix, TCP, or TLS over TCP.

use std::io;
use std::os::fd::AsFd;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::BytesMut;
use postgres_protocol::message::frontend;
use socket2::{SockRef, TcpKeepalive};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, ReadBuf};
use tokio::net::{TcpSocket, TcpStream, UnixStream};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::{Error, Options, TlsMode, tls};

/// What the kernel may hold for us: a server whose sends never wait for us writes in larger pieces.
const RECEIVE_BUFFER_BYTES: u32 = 512 << 10;

/// A peer that vanished is noticed after 30 + 3 × 10 s without traffic.
const KEEPALIVE: TcpKeepalive =
    TcpKeepalive::new().with_time(Duration::from_secs(30)).with_interval(Duration::from_secs(10)).with_retries(3);

/// And after this, where something we sent is not acknowledged.
const USER_TIMEOUT: Duration = Duration::from_mins(1);

/// The socket.
#[derive(Debug)]
pub(crate) enum Socket {
    Unix(UnixStream),
    Tcp(TcpStream),
    Tls(Box<TlsStream<TcpStream>>),
}

/// How what is sent over a socket is protected from others.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Protection {
    /// Not at all.
    None,
    /// It does not leave the machine.
    Local,
    /// TLS, with the data of `tls-server-end-point` where the certificate allows it.
    Tls { end_point: Option<Vec<u8>> },
}

impl Socket {
    /// Connects, with TLS as the options say.
    pub(crate) async fn open(options: &Options) -> Result<(Self, Protection), Error> {
        let unreachable = |source| Error::Connect { address: options.address(), source };
        if let Some(path) = options.socket_path() {
            let socket = UnixStream::connect(path).await.map_err(unreachable)?;
            return Ok((Self::Unix(socket), Protection::Local));
        }
        let config = tls::client_config(options)?;
        let mut tcp = connect_tcp(&options.host, options.port).await.map_err(unreachable)?;
        let Some(config) = config else { return Ok((Self::Tcp(tcp), Protection::None)) };
        match ask_for_tls(&mut tcp).await? {
            b'S' => {}
            b'N' if options.tls == TlsMode::Prefer => return Ok((Self::Tcp(tcp), Protection::None)),
            b'N' => return Err(Error::NoTls { address: options.address() }),
            _ => return Err(Error::NotAServer { address: options.address() }),
        }
        let failed = |source| Error::TlsHandshake { address: options.address(), source };
        let name = tls::server_name(&options.host)?;
        let stream = TlsConnector::from(config).connect(name, tcp).await.map_err(failed)?;
        let end_point = tls::channel_binding(&stream);
        Ok((Self::Tls(Box::new(stream)), Protection::Tls { end_point }))
    }

    /// Moves the socket to the runtime that this runs on. One that was connected on another stays registered there, and
    /// each piece that comes wakes a thread of that one.
    pub(crate) fn move_here(&mut self) -> io::Result<()> {
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

/// `SSLRequest` and its one byte of answer. No more is read: what came behind it in clear text would not be the server's.
async fn ask_for_tls(tcp: &mut TcpStream) -> Result<u8, Error> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    tcp.write_all(&request).await?;
    Ok(tcp.read_u8().await?)
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
                let options = SockRef::from(&stream);
                options.set_tcp_keepalive(&KEEPALIVE)?;
                options.set_tcp_user_timeout(Some(USER_TIMEOUT))?;
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
