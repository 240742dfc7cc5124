//! Authentication: SCRAM-SHA-256 with and without channel binding, md5, and clear text where nobody listens.

use bytes::Buf;
use postgres_protocol::authentication::md5_hash;
use postgres_protocol::authentication::sasl::{ChannelBinding, SCRAM_SHA_256, SCRAM_SHA_256_PLUS, ScramSha256};
use postgres_protocol::message::frontend;
use secrecy::ExposeSecret;

use super::socket::Protection;
use super::{Connection, OwnedFrame};
use crate::wire::{self, Malformed};
use crate::{Error, Options};

/// Answers the server's requests until it is content.
pub(super) async fn authenticate(
    connection: &mut Connection,
    options: &Options,
    protection: &Protection,
) -> Result<(), Error> {
    loop {
        let (kind, body) = request(connection).await?;
        match kind {
            0 => return Ok(()),
            3 if *protection == Protection::None => return Err(Error::CleartextRefused),
            3 => {
                let password = password(options)?;
                connection.send(|out| frontend::password_message(password, out)).await?;
            }
            5 => {
                let salt = *body.first_chunk::<4>().ok_or(Malformed("an md5 request without salt"))?;
                let hash = md5_hash(options.user.as_bytes(), password(options)?, salt);
                connection.send(|out| frontend::password_message(hash.as_bytes(), out)).await?;
            }
            10 => scram(connection, &body, password(options)?, protection).await?,
            2 => return Err(Error::Authentication("Kerberos".into())),
            7 | 8 => return Err(Error::Authentication("GSSAPI".into())),
            9 => return Err(Error::Authentication("SSPI".into())),
            other => return Err(Error::Authentication(format!("authentication method {other}"))),
        }
    }
}

/// SASL: the server must prove that it knows the password, too, before it is believed.
async fn scram(
    connection: &mut Connection,
    offer: &[u8],
    password: &[u8],
    protection: &Protection,
) -> Result<(), Error> {
    let offers = |name: &str| offer.split(|&byte| byte == 0).any(|mechanism| mechanism == name.as_bytes());
    let end_point = match protection {
        Protection::Tls { end_point } => end_point.clone(),
        Protection::None | Protection::Local => None,
    };
    let (mechanism, binding) = match end_point {
        Some(data) if offers(SCRAM_SHA_256_PLUS) => (SCRAM_SHA_256_PLUS, ChannelBinding::tls_server_end_point(data)),
        // Says that we could: a server that can as well then knows that its offer was tampered with.
        Some(_) if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unrequested()),
        None if offers(SCRAM_SHA_256) => (SCRAM_SHA_256, ChannelBinding::unsupported()),
        Some(_) | None => return Err(Error::Authentication("a SASL mechanism other than SCRAM-SHA-256".into())),
    };
    let mut scram = ScramSha256::new(password, binding);
    connection.send(|out| frontend::sasl_initial_response(mechanism, scram.message(), out)).await?;
    let body = expect(connection, 11).await?;
    scram
        .update(&body)
        .map_err(|error| Error::Authentication(format!("a SCRAM exchange that cannot be followed ({error})")))?;
    connection.send(|out| frontend::sasl_response(scram.message(), out)).await?;
    let body = expect(connection, 12).await?;
    scram.finish(&body).map_err(|_| Error::ServerProof)
}

async fn expect(connection: &mut Connection, want: u32) -> Result<bytes::BytesMut, Error> {
    let (kind, body) = request(connection).await?;
    if kind == want { Ok(body) } else { Err(Malformed("an unexpected step of SCRAM").into()) }
}

/// The next authentication request: its number and what follows.
async fn request(connection: &mut Connection) -> Result<(u32, bytes::BytesMut), Error> {
    loop {
        let OwnedFrame { tag, mut body } = connection.frame().await?;
        match tag {
            b'R' => {
                let kind =
                    body.try_get_u32().map_err(|_| Malformed("an authentication request that ends too early"))?;
                return Ok((kind, body));
            }
            b'E' => return Err(Error::Server(wire::server_error(&body))),
            // NegotiateProtocolVersion and notices.
            b'v' | b'N' => {}
            _ => return Err(Malformed("an unexpected message during authentication").into()),
        }
    }
}

fn password(options: &Options) -> Result<&[u8], Error> {
    options.password.as_ref().map(|password| password.expose_secret().as_bytes()).ok_or(Error::NoPassword)
}
