//! The replication connection, up to the moment it streams: socket, TLS, authentication, commands that are answered by OK.
//!
//! Queries go through `mysql_async`. Its stream of the log is not used: it inflates a whole compressed transaction in memory
//! without a limit and hands its pieces on as events of the log, ends the stream over a table map that it cannot read, keeps
//! no checksum apart, and panics on an event that is shorter than it says. Here an event is the bytes that the server sent,
//! in the buffer that they were read into; what they mean is for [`crate::wire`] alone.
//!
//! Sources: "Client/Server Protocol" of MySQL's source documentation, "Clientserver Protocol" of MariaDB's knowledge base.

mod auth;
mod greeting;
mod inbound;
mod rows;

use std::io;
use std::time::Duration;

use passerelle_net::{Socket, server_name};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::wire::{Malformed, Reader};
use crate::{Error, Options};
use greeting::Greeting;
pub(crate) use inbound::Inbound;
pub(crate) use rows::{Cells, Next};

/// For the name, TCP, TLS and authentication together.
const CONNECT_LIMIT: Duration = Duration::from_secs(15);

/// For a command that the server answers at once.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// What is read at once before the stream.
const SMALL_READ_BYTES: usize = 8 << 10;

/// Before the stream no packet of the server comes near this.
const MAX_DIALOGUE_BYTES: usize = 1 << 20;

/// A connection that is authenticated.
#[derive(Debug)]
pub(crate) struct Connection {
    socket: Socket,
    /// What was received and not yet read.
    pub(crate) inbound: Inbound,
}

impl Connection {
    /// Connects and authenticates.
    pub(crate) async fn open(options: &Options) -> Result<Self, Error> {
        let late = |_| Error::Timeout { step: "connecting", after: CONNECT_LIMIT };
        tokio::time::timeout(CONNECT_LIMIT, Self::open_now(options)).await.map_err(late)?
    }

    async fn open_now(options: &Options) -> Result<Self, Error> {
        let mut connection = Self { socket: reach(options).await?, inbound: Inbound::new(MAX_DIALOGUE_BYTES) };
        let packet = connection.packet().await?;
        if let Some(error) = server_error(&packet) {
            return Err(error);
        }
        let greeting = Greeting::read(&packet)?;
        let login = greeting.login(options);
        if greeting.offers_tls() && connection.socket.wants_tls(options.tls) {
            connection.send(&login.tls_request()).await?;
            if !connection.inbound.is_empty() {
                // What came in clear text behind the greeting would not be the server's.
                return Err(Malformed("bytes in clear text where TLS begins").into());
            }
            connection.socket = protect(connection.socket, options).await?;
        } else if connection.socket.needs_tls(options.tls) {
            return Err(Error::NoTls { address: options.address() });
        }
        auth::authenticate(&mut connection, options, &greeting, login).await?;
        Ok(connection)
    }

    /// Moves the connection to the runtime that this runs on: one that was opened on another stays registered there.
    pub(crate) fn move_here(&mut self) -> Result<(), Error> {
        Ok(self.socket.move_here()?)
    }

    /// Runs a statement that has no rows.
    pub(crate) async fn run(&mut self, statement: &str) -> Result<(), Error> {
        let mut command = vec![COM_QUERY];
        command.extend_from_slice(statement.as_bytes());
        self.command(&command).await
    }

    /// Sends a command that the server answers by OK or an error.
    pub(crate) async fn command(&mut self, command: &[u8]) -> Result<(), Error> {
        let late = |_| Error::Timeout { step: "a command of replication", after: COMMAND_LIMIT };
        let answered = async {
            self.send_command(command).await?;
            let answer = self.packet().await?;
            match answer.first() {
                Some(&OK) => Ok(()),
                _ => {
                    Err(server_error(&answer).unwrap_or(Malformed("an answer that is neither OK nor an error").into()))
                }
            }
        };
        tokio::time::timeout(COMMAND_LIMIT, answered).await.map_err(late)?
    }

    /// Sends a command, whatever follows.
    pub(crate) async fn send_command(&mut self, command: &[u8]) -> Result<(), Error> {
        self.inbound.begin_command();
        self.send(command).await
    }

    /// Sends the next packet of the dialogue. Ours are short: none has to be cut.
    async fn send(&mut self, payload: &[u8]) -> Result<(), Error> {
        let mut out = Vec::with_capacity(payload.len() + 4);
        out.extend_from_slice(&(payload.len() as u32).to_le_bytes()[..3]);
        out.push(self.inbound.next_sequence());
        out.extend_from_slice(payload);
        self.socket.write_all(&out).await?;
        self.socket.flush().await?;
        Ok(())
    }

    /// The next packet of the dialogue. Cancel-safe.
    async fn packet(&mut self) -> Result<Vec<u8>, Error> {
        loop {
            if let Some(packet) = self.inbound.next()? {
                return Ok(packet.to_vec());
            }
            self.read_some(SMALL_READ_BYTES).await?;
        }
    }

    /// Reads what is there, at least a byte, into the buffer, which grows by about `room` at most. Cancel-safe.
    pub(crate) async fn read_some(&mut self, room: usize) -> Result<usize, Error> {
        match self.socket.read_buf(self.inbound.room(room)).await? {
            0 => Err(Error::Closed),
            read => Ok(read),
        }
    }

    /// Ends the connection. While the log is sent no command is heard: the end of the socket is what the server notices.
    pub(crate) async fn end(mut self) {
        let _ = self.socket.shutdown().await;
    }
}

/// Connects, without TLS: the server speaks first.
async fn reach(options: &Options) -> Result<Socket, Error> {
    let connected = match options.socket_path() {
        Some(path) => Socket::unix(&path).await,
        None => Socket::tcp(&options.host, options.port, None).await,
    };
    connected.map_err(|error| Error::Connect { address: options.address(), why: error.to_string() })
}

/// The same connection under TLS.
async fn protect(socket: Socket, options: &Options) -> Result<Socket, Error> {
    let (config, name) = (options.tls_settings().client_config()?, server_name(&options.host)?);
    let failed = |error: io::Error| Error::TlsHandshake { address: options.address(), why: error.to_string() };
    socket.protect(config, name).await.map_err(failed)
}

const COM_QUERY: u8 = 0x03;
const OK: u8 = 0x00;
/// The first byte of an error.
pub(crate) const ERROR: u8 = 0xff;

/// The error that a packet is, if it is one: `FF`, its number, `#` and SQLSTATE (not before the login), its words.
pub(crate) fn server_error(packet: &[u8]) -> Option<Error> {
    let mut read = Reader(packet.strip_prefix(&[ERROR])?);
    let Ok(code) = read.u16() else { return Some(Malformed("an error without a number").into()) };
    let (state, message) = match read.0 {
        [b'#', rest @ ..] => rest.split_at_checked(5).unwrap_or((rest, b"")),
        rest => (b"HY000".as_slice(), rest),
    };
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(mysql_async::ServerError { code, state: text(state), message: text(message) }.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ServerError;

    #[test]
    fn errors_of_the_server() {
        let error = |packet: &[u8]| server_error(packet);
        let want = |code, state: &str, message: &str| {
            Some(Error::Server(ServerError { code, state: state.into(), message: message.into() }))
        };
        assert_eq!(error(b"\xff\x15\x04#28000Access denied"), want(1045, "28000", "Access denied"));
        assert_eq!(error(b"\xff\x10\x04Too many connections"), want(1040, "HY000", "Too many connections"));
        assert_eq!(error(b"\xff\x10"), Some(Malformed("an error without a number").into()));
        assert_eq!(error(b"\x00\x10"), None);
    }
}
