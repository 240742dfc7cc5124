//! A connection in replication mode, up to the moment it streams: socket, TLS, startup, simple queries.
//!
//! `tokio-postgres` cannot do this: it has no `replication` startup parameter and no `CopyBoth`.

mod auth;
pub(crate) mod socket;

use std::time::Duration;

use bytes::{Buf, BufMut, BytesMut};
use passerelle_net::Socket;
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::{self, Malformed};
use crate::{Error, Options, ServerError};

/// For the name, TCP, TLS, startup and authentication together.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// At the end, for the server to close its side.
const END_LIMIT: Duration = Duration::from_secs(1);

/// Before the stream, no message of the server comes near this: notices and rows of a few names.
const MAX_FRAME_BYTES: usize = 1 << 20;

/// A row of a simple query: text or null.
pub(crate) type TextRow = Vec<Option<String>>;

/// An open connection in replication mode, ready for a query.
#[derive(Debug)]
pub(crate) struct Connection {
    pub(crate) socket: Socket,
    /// What was received and not yet read.
    pub(crate) inbound: BytesMut,
    /// As `server_version_num`: 150018 is 15.18.
    pub(crate) server_version: u32,
}

/// A frame that was taken out of the buffer.
#[derive(Debug)]
pub(crate) struct OwnedFrame {
    pub(crate) tag: u8,
    pub(crate) body: BytesMut,
}

impl Connection {
    /// Connects and authenticates.
    pub(crate) async fn open(options: &Options) -> Result<Self, Error> {
        let late = |_| Error::Timeout { step: "connecting", after: CONNECT_LIMIT };
        tokio::time::timeout(CONNECT_LIMIT, Self::open_now(options)).await.map_err(late)?
    }

    async fn open_now(options: &Options) -> Result<Self, Error> {
        let (socket, protection) = socket::open(options).await?;
        let mut connection = Self { socket, inbound: BytesMut::with_capacity(8192), server_version: 0 };
        let session = Options::session();
        let parameters = [
            ("user", options.user.as_str()),
            ("database", options.database.as_str()),
            ("replication", "database"),
            ("application_name", options.application_name.as_str()),
            ("options", session.as_str()),
        ];
        connection.send(|out| frontend::startup_message(parameters, out)).await?;
        auth::authenticate(&mut connection, options, &protection).await.map_err(|error| match error {
            Error::Server(error) if is_a_pooler(&error) => Error::NotAServer { address: options.address() },
            other => other,
        })?;
        loop {
            let OwnedFrame { tag, body } = connection.frame().await?;
            match tag {
                b'S' => connection.parameter(&body),
                b'K' | b'N' => {}
                b'Z' => return Ok(connection),
                b'E' => return Err(Error::Server(wire::server_error(&body))),
                _ => return Err(Malformed("an unexpected message during startup").into()),
            }
        }
    }

    fn parameter(&mut self, body: &[u8]) {
        let mut parts = body.split(|&byte| byte == 0);
        if parts.next() == Some(b"server_version") {
            self.server_version = parts.next().map_or(0, server_version);
        }
    }

    /// Writes what `fill` appends, and flushes it.
    pub(crate) async fn send(&mut self, fill: impl FnOnce(&mut BytesMut) -> std::io::Result<()>) -> Result<(), Error> {
        let mut out = BytesMut::new();
        fill(&mut out)?;
        self.write(&out).await
    }

    /// Writes and flushes.
    pub(crate) async fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.socket.write_all(bytes).await?;
        self.socket.flush().await?;
        Ok(())
    }

    /// The next frame. Not for the stream itself, which reads in larger pieces. Cancel-safe.
    pub(crate) async fn frame(&mut self) -> Result<OwnedFrame, Error> {
        self.frame_of(MAX_FRAME_BYTES).await
    }

    /// The next frame, of at most `limit` bytes. Cancel-safe.
    pub(crate) async fn frame_of(&mut self, limit: usize) -> Result<OwnedFrame, Error> {
        loop {
            if let Some(frame) = wire::frame(&self.inbound, limit)? {
                let (tag, length) = (frame.tag, frame.body.len());
                self.inbound.advance(5);
                return Ok(OwnedFrame { tag, body: self.inbound.split_to(length) });
            }
            self.read_some(8192).await?;
        }
    }

    /// Reads what is there, at least a byte, into the buffer, which grows by `room` at most. Cancel-safe.
    pub(crate) async fn read_some(&mut self, room: usize) -> Result<usize, Error> {
        self.inbound.reserve(room);
        match self.socket.read_buf(&mut self.inbound).await? {
            0 => Err(Error::Closed),
            read => Ok(read),
        }
    }

    /// A simple query or a replication command; its rows. After an error of the server the connection is ready again.
    pub(crate) async fn query(
        &mut self,
        sql: &str,
        step: &'static str,
        limit: Duration,
    ) -> Result<Vec<TextRow>, Error> {
        let late = |_| Error::Timeout { step, after: limit };
        tokio::time::timeout(limit, self.query_now(sql)).await.map_err(late)?
    }

    async fn query_now(&mut self, sql: &str) -> Result<Vec<TextRow>, Error> {
        self.send(|out| frontend::query(sql, out)).await?;
        let (mut rows, mut failed) = (Vec::new(), None);
        loop {
            let OwnedFrame { tag, body } = self.frame().await?;
            match tag {
                b'D' => rows.push(data_row(&body)?),
                b'E' => failed = Some(wire::server_error(&body)),
                b'Z' => return failed.map_or(Ok(rows), |error| Err(Error::Server(error))),
                b'T' | b'C' | b'I' | b'N' | b'S' => {}
                _ => return Err(Malformed("an unexpected answer to a query").into()),
            }
        }
    }

    /// `START_REPLICATION`: returns when both sides copy.
    pub(crate) async fn start_copy(&mut self, command: &str, limit: Duration) -> Result<(), Error> {
        let late = |_| Error::Timeout { step: "starting replication", after: limit };
        let start = async {
            self.send(|out| frontend::query(command, out)).await?;
            loop {
                let OwnedFrame { tag, body } = self.frame().await?;
                match tag {
                    b'W' => return Ok(()),
                    b'E' => return Err(Error::Server(wire::server_error(&body))),
                    b'N' | b'S' => {}
                    _ => return Err(Malformed("an unexpected answer to START_REPLICATION").into()),
                }
            }
        };
        tokio::time::timeout(limit, start).await.map_err(late)?
    }

    /// Says goodbye, as far as the other side listens, and waits a little until it has gone: its place among the
    /// walsenders is free then.
    pub(crate) async fn end(mut self) {
        let mut out = BytesMut::new();
        frontend::terminate(&mut out);
        let gone = async {
            self.write(&out).await?;
            loop {
                self.inbound.clear();
                self.read_some(1024).await?;
            }
        };
        let _: Result<Result<(), Error>, _> = tokio::time::timeout(END_LIMIT, gone).await;
        let _ = self.socket.shutdown().await;
    }
}

/// PgBouncer and its like refuse the `replication` parameter (PG-47).
fn is_a_pooler(error: &ServerError) -> bool {
    error.code == "08P01" && error.message.contains("startup parameter")
}

/// `15.18 (Debian …)`, `18beta1` as `server_version_num`.
fn server_version(text: &[u8]) -> u32 {
    let number = |part: &[u8]| {
        let digits = part.iter().take_while(|byte| byte.is_ascii_digit()).take(4);
        digits.fold(0, |n, digit| n * 10 + u32::from(digit - b'0'))
    };
    let mut parts = text.split(|&byte| byte == b'.');
    parts.next().map_or(0, number) * 10_000 + parts.next().map_or(0, number)
}

fn data_row(body: &[u8]) -> Result<TextRow, Malformed> {
    const SHORT: Malformed = Malformed("a row that ends too early");
    let mut rest = body;
    let count = rest.try_get_u16().map_err(|_| SHORT)?;
    let mut row = Vec::new();
    for _ in 0..count {
        let length = rest.try_get_i32().map_err(|_| SHORT)?;
        let Ok(length) = usize::try_from(length) else {
            row.push(None);
            continue;
        };
        let (text, after) = rest.split_at_checked(length).ok_or(SHORT)?;
        rest = after;
        row.push(Some(String::from_utf8_lossy(text).into_owned()));
    }
    Ok(row)
}

/// Appends a `CopyDone` frame.
pub(crate) fn push_copy_done(out: &mut Vec<u8>) {
    out.put_slice(&[b'c', 0, 0, 0, 4]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions() {
        for (text, want) in
            [("15.18 (Debian 15.18-0+deb12u1)", 150_018), ("18beta1", 180_000), ("", 0), ("11.2.3", 110_002)]
        {
            assert_eq!(server_version(text.as_bytes()), want, "{text}");
        }
    }

    #[test]
    fn rows() {
        let body = [0, 2, 0, 0, 0, 1, b'a', 0xff, 0xff, 0xff, 0xff];
        assert_eq!(data_row(&body), Ok(vec![Some("a".into()), None]));
        assert!(data_row(&body[..10]).is_err());
        assert!(data_row(&[0xff, 0xff]).is_err());
    }

    #[test]
    fn pg_47_poolers_are_named() {
        let error = |code: &str, message: &str| ServerError { code: code.into(), message: message.into(), hint: None };
        assert!(is_a_pooler(&error("08P01", "unsupported startup parameter: replication")));
        assert!(!is_a_pooler(&error("28P01", "password authentication failed")));
    }
}
