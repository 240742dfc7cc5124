//! A socket of ours, connected and protected already, handed to `tokio-postgres`: so that both halves reach a server
//! in one way, with channel binding, and neither gives a password away.

use std::future::{Ready, ready};
use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use passerelle_net::Socket;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, TlsConnect, TlsStream};

use crate::Error;
use crate::connection::socket::Protection;

/// The socket, and the data of channel binding where it is protected by TLS.
#[derive(Debug)]
pub(super) struct Handed {
    socket: Socket,
    end_point: Option<Vec<u8>>,
    /// Looks for a request for the password in clear text, where others could read the answer.
    watch: Option<Watch>,
}

/// Stands for the handshake that is done already.
#[derive(Clone, Copy, Debug)]
pub(super) struct Done;

impl Handed {
    pub(super) fn new(socket: Socket, protection: Protection) -> Self {
        match protection {
            Protection::None => Self { socket, end_point: None, watch: Some(Watch::default()) },
            Protection::Local => Self { socket, end_point: None, watch: None },
            Protection::Tls { end_point } => Self { socket, end_point, watch: None },
        }
    }
}

impl TlsConnect<Handed> for Done {
    type Stream = Handed;
    type Error = io::Error;
    type Future = Ready<io::Result<Handed>>;

    fn connect(self, stream: Handed) -> Self::Future {
        ready(Ok(stream))
    }
}

impl TlsStream for Handed {
    fn channel_binding(&self) -> ChannelBinding {
        self.end_point.clone().map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl AsyncRead for Handed {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let before = buffer.filled().len();
        let read = Pin::new(&mut this.socket).poll_read(cx, buffer);
        if let Some(watch) = &mut this.watch {
            match watch.look(buffer.filled().get(before..).unwrap_or_default()) {
                Seen::Nothing => {}
                Seen::Authenticated => this.watch = None,
                Seen::Cleartext => return Poll::Ready(Err(io::Error::other(Error::CleartextRefused))),
            }
        }
        read
    }
}

impl AsyncWrite for Handed {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.socket).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.socket).poll_shutdown(cx)
    }
}

/// Tag, length and the first number of the body: what tells one request for authentication from another.
const HEAD: usize = 9;

/// Follows the frames of the startup as they are read.
#[derive(Debug, Default)]
struct Watch {
    head: Vec<u8>,
    /// Bytes of the frame that are of no interest.
    skip: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Seen {
    Nothing,
    Authenticated,
    Cleartext,
}

impl Watch {
    fn look(&mut self, mut bytes: &[u8]) -> Seen {
        while let Some((&byte, rest)) = bytes.split_first() {
            if self.skip > 0 {
                let skipped = self.skip.min(bytes.len());
                self.skip -= skipped;
                bytes = bytes.get(skipped..).unwrap_or_default();
                continue;
            }
            self.head.push(byte);
            bytes = rest;
            match self.frame() {
                None => {}
                Some(Seen::Nothing) => self.head.clear(),
                Some(seen) => return seen,
            }
        }
        Seen::Nothing
    }

    /// What the frame is, once enough of it is there; sets how much of it is left.
    fn frame(&mut self) -> Option<Seen> {
        let (&tag, length) = self.head.split_first()?;
        let length = u32::from_be_bytes(*length.first_chunk::<4>()?) as usize;
        let whole = length.saturating_add(1).clamp(5, HEAD);
        if self.head.len() < whole {
            return None;
        }
        self.skip = length.saturating_add(1).saturating_sub(self.head.len());
        Some(match (tag, self.head.get(5..HEAD)) {
            (b'R', Some([0, 0, 0, 3])) => Seen::Cleartext,
            (b'R', Some([0, 0, 0, 0])) => Seen::Authenticated,
            _ => Seen::Nothing,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(tag: u8, body: &[u8]) -> Vec<u8> {
        [&[tag][..], &(body.len() as u32 + 4).to_be_bytes(), body].concat()
    }

    /// However the bytes are cut, the same is seen.
    fn check(frames: &[Vec<u8>], want: Seen) {
        let bytes = frames.concat();
        for cut in 1..=bytes.len() {
            let mut watch = Watch::default();
            let seen = bytes.chunks(cut).map(|chunk| watch.look(chunk)).find(|&seen| seen != Seen::Nothing);
            assert_eq!(seen.unwrap_or(Seen::Nothing), want, "cut at {cut}");
        }
    }

    #[test]
    fn a_request_for_the_password_is_seen_wherever_it_stands() {
        let (clear, ok) = (frame(b'R', &[0, 0, 0, 3]), frame(b'R', &[0, 0, 0, 0]));
        let (notice, empty) = (frame(b'N', b"SNOTICE\0Mlong words\0\0"), frame(b'N', b""));
        let sasl = frame(b'R', b"\0\0\0\x0aSCRAM-SHA-256\0\0");
        check(std::slice::from_ref(&clear), Seen::Cleartext);
        check(&[notice.clone(), empty.clone(), clear.clone()], Seen::Cleartext);
        check(&[sasl.clone(), clear], Seen::Cleartext);
        check(&[notice, sasl.clone(), empty, ok], Seen::Authenticated);
        check(&[sasl], Seen::Nothing);
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            Watch::default().look(&bytes);
        }
    }
}
