//! Reaching a server: the socket under a connection, with TLS where it is asked for.

use std::time::Duration;

use bytes::BytesMut;
use passerelle_net::{Socket, server_name};
use postgres_protocol::message::frontend;
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::{Error, Options, TlsMode, tls};

/// A peer that vanished is noticed after this, too, where something we sent is not acknowledged.
const USER_TIMEOUT: Duration = Duration::from_mins(1);

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

/// Connects, with TLS as the options say.
pub(crate) async fn open(options: &Options) -> Result<(Socket, Protection), Error> {
    let unreachable = |source| Error::Connect { address: options.address(), source };
    if let Some(path) = options.socket_path() {
        let socket = Socket::unix(&path).await.map_err(unreachable)?;
        return Ok((socket, Protection::Local));
    }
    let config = tls::client_config(options)?;
    let mut socket = Socket::tcp(&options.host, options.port, Some(USER_TIMEOUT)).await.map_err(unreachable)?;
    let Some(config) = config else { return Ok((socket, Protection::None)) };
    match ask_for_tls(&mut socket).await? {
        b'S' => {}
        b'N' if options.tls == TlsMode::Prefer => return Ok((socket, Protection::None)),
        b'N' => return Err(Error::NoTls { address: options.address() }),
        _ => return Err(Error::NotAServer { address: options.address() }),
    }
    let failed = |source| Error::TlsHandshake { address: options.address(), source };
    let socket = socket.protect(config, server_name(&options.host)?).await.map_err(failed)?;
    let end_point = socket.server_certificate().and_then(tls::server_end_point);
    Ok((socket, Protection::Tls { end_point }))
}

/// `SSLRequest` and its one byte of answer. No more is read: what came behind it in clear text would not be the server's.
async fn ask_for_tls(socket: &mut Socket) -> Result<u8, Error> {
    let mut request = BytesMut::new();
    frontend::ssl_request(&mut request);
    socket.write_all(&request).await?;
    Ok(socket.read_u8().await?)
}
