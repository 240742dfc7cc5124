//! Connections that a call can have cut: the client sees the end of the connection and no answer.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};

use axum::extract::connect_info::Connected;
use axum::serve::{IncomingStream, Listener};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};

/// The knife of one connection.
#[derive(Clone, Debug, Default)]
pub(super) struct Knife {
    one: Arc<AtomicBool>,
    all: Arc<AtomicBool>,
}

impl Knife {
    /// From now on the connection reads and writes nothing; the server drops it, which closes the socket.
    pub(super) fn cut(&self) {
        self.one.store(true, Ordering::Release);
    }

    fn check(&self) -> io::Result<()> {
        if self.one.load(Ordering::Acquire) || self.all.load(Ordering::Acquire) {
            return Err(io::ErrorKind::ConnectionReset.into());
        }
        Ok(())
    }
}

/// Cuts all connections of a listener when it is dropped: an idle one is closed when its client next speaks, unheard.
pub(super) struct CutAll(Arc<AtomicBool>);

impl Drop for CutAll {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Release);
    }
}

/// A TCP listener whose connections have a knife.
pub(super) struct Connections {
    listener: TcpListener,
    all: Arc<AtomicBool>,
}

impl Connections {
    pub(super) fn new(listener: TcpListener) -> (Self, CutAll) {
        let all = Arc::new(AtomicBool::new(false));
        (Self { listener, all: Arc::clone(&all) }, CutAll(all))
    }
}

/// One of them.
pub(super) struct Connection {
    stream: TcpStream,
    knife: Knife,
}

impl Listener for Connections {
    type Io = Connection;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Connection, SocketAddr) {
        // The listener of axum waits out errors such as too many open files.
        let (stream, addr) = Listener::accept(&mut self.listener).await;
        // Answers are small and someone waits for each. Where it cannot be set, they are only later.
        let _ = stream.set_nodelay(true);
        let knife = Knife { one: Arc::default(), all: Arc::clone(&self.all) };
        (Connection { stream, knife }, addr)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Connections>> for Knife {
    fn connect_info(stream: IncomingStream<'_, Connections>) -> Self {
        stream.io().knife.clone()
    }
}

impl AsyncRead for Connection {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        self.knife.check()?;
        Pin::new(&mut self.stream).poll_read(cx, buf)
    }
}

impl AsyncWrite for Connection {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.knife.check()?;
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.knife.check()?;
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.knife.check()?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}
