//! TLS, the same for both halves, and what is PostgreSQL's own of it: channel binding (RFC 5929).

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use passerelle_net::server_name;
use rustls::ClientConfig;
use rustls_pki_types::{CertificateDer, ServerName};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::client::TlsStream;

use crate::{Error, Options, TlsMode};

/// The configuration for the mode of `options`; `None` where no TLS is wanted (also on a Unix socket).
///
/// Reads the files it names, so it is made anew for each connection: rotated certificates are taken up.
pub fn client_config(options: &Options) -> Result<Option<Arc<ClientConfig>>, Error> {
    if options.socket_path().is_some() || options.tls == TlsMode::Disable {
        return Ok(None);
    }
    Ok(Some(options.tls_settings().client_config()?))
}

/// The data of `tls-server-end-point` for a server's certificate: its hash by the hash of its signature, with SHA-256
/// in place of MD5 and SHA-1. `None` where the signature has no such hash (Ed25519): then there is no channel binding,
/// as in libpq.
pub fn server_end_point(certificate: &CertificateDer<'_>) -> Option<Vec<u8>> {
    let algorithm = match signature_hash(certificate)? {
        SignatureHash::Sha256 => &digest::SHA256,
        SignatureHash::Sha384 => &digest::SHA384,
        SignatureHash::Sha512 => &digest::SHA512,
    };
    Some(digest::digest(algorithm, certificate).as_ref().to_vec())
}

/// TLS for `tokio-postgres`, with the same configuration. On a Unix socket, or where the mode is `disable`, the caller
/// uses `NoTls` instead.
#[derive(Clone, Debug)]
pub struct Connector(pub Arc<ClientConfig>);

/// One handshake of a [`Connector`].
#[derive(Debug)]
pub struct Handshake {
    config: Arc<ClientConfig>,
    name: ServerName<'static>,
}

/// A stream that [`Connector`] made.
#[derive(Debug)]
pub struct Stream<S>(TlsStream<S>);

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> MakeTlsConnect<S> for Connector {
    type Stream = Stream<S>;
    type TlsConnect = Handshake;
    type Error = Error;

    fn make_tls_connect(&mut self, host: &str) -> Result<Handshake, Error> {
        Ok(Handshake { config: self.0.clone(), name: server_name(host)? })
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send + 'static> TlsConnect<S> for Handshake {
    type Stream = Stream<S>;
    type Error = io::Error;
    type Future = Pin<Box<dyn Future<Output = io::Result<Stream<S>>> + Send>>;

    fn connect(self, stream: S) -> Self::Future {
        Box::pin(
            async move { Ok(Stream(tokio_rustls::TlsConnector::from(self.config).connect(self.name, stream).await?)) },
        )
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> tokio_postgres::tls::TlsStream for Stream<S> {
    fn channel_binding(&self) -> ChannelBinding {
        let shown = self.0.get_ref().1.peer_certificates().and_then(|certificates| certificates.first());
        let end_point = shown.and_then(server_end_point);
        end_point.map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for Stream<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Stream<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SignatureHash {
    Sha256,
    Sha384,
    Sha512,
}

/// `Certificate ::= SEQUENCE { tbsCertificate SEQUENCE, signatureAlgorithm SEQUENCE { OID, parameters }, … }` (RFC 5280).
fn signature_hash(certificate: &[u8]) -> Option<SignatureHash> {
    let (certificate, _) = take_der(certificate, 0x30)?;
    let (_tbs, rest) = take_der(certificate, 0x30)?;
    let (algorithm, _) = take_der(rest, 0x30)?;
    let (oid, parameters) = take_der(algorithm, 0x06)?;
    match oid {
        // md5WithRSA, sha1WithRSA, ecdsaWithSHA1: replaced by SHA-256 (RFC 5929, 4.1). sha256WithRSA, ecdsaWithSHA256.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x04"
        | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"
        | b"\x2a\x86\x48\xce\x3d\x04\x01"
        | b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0b"
        | b"\x2a\x86\x48\xce\x3d\x04\x03\x02" => Some(SignatureHash::Sha256),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0c" | b"\x2a\x86\x48\xce\x3d\x04\x03\x03" => Some(SignatureHash::Sha384),
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d" | b"\x2a\x86\x48\xce\x3d\x04\x03\x04" => Some(SignatureHash::Sha512),
        // RSASSA-PSS names its hash in the parameters: SEQUENCE { [0] { SEQUENCE { OID } } }; absent is SHA-1.
        b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a" => {
            let (parameters, _) = take_der(parameters, 0x30)?;
            let Some((hash, _)) = take_der(parameters, 0xa0) else { return Some(SignatureHash::Sha256) };
            let (hash, _) = take_der(hash, 0x30)?;
            match take_der(hash, 0x06)?.0 {
                b"\x60\x86\x48\x01\x65\x03\x04\x02\x01" => Some(SignatureHash::Sha256),
                b"\x60\x86\x48\x01\x65\x03\x04\x02\x02" => Some(SignatureHash::Sha384),
                b"\x60\x86\x48\x01\x65\x03\x04\x02\x03" => Some(SignatureHash::Sha512),
                _ => None,
            }
        }
        _ => None,
    }
}

/// The content of the DER element with this tag at the front, and what follows it.
fn take_der(bytes: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&found, rest) = bytes.split_first()?;
    let (&first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0..=0x7f => (usize::from(first), rest),
        0x81..=0x84 => {
            let (digits, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
            (digits.iter().fold(0, |length, &digit| length << 8 | usize::from(digit)), rest)
        }
        _ => return None,
    };
    (found == tag).then(|| rest.split_at_checked(length)).flatten()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn certificate(algorithm: &[u8]) -> Vec<u8> {
        let element = |tag: u8, content: &[u8]| [&[tag, content.len() as u8], content].concat();
        let tbs = element(0x30, &element(0x02, &[1]));
        element(0x30, &[tbs, element(0x30, algorithm)].concat())
    }

    #[test]
    fn the_hash_follows_the_signature() {
        let oid = |body: &[u8]| [&[6, body.len() as u8], body].concat();
        let check = |algorithm: &[u8], want| assert_eq!(signature_hash(&certificate(algorithm)), want);
        check(&oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x05"), Some(SignatureHash::Sha256));
        check(&oid(b"\x2a\x86\x48\xce\x3d\x04\x03\x03"), Some(SignatureHash::Sha384));
        check(&oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0d"), Some(SignatureHash::Sha512));
        check(&oid(b"\x2b\x65\x70"), None); // Ed25519
        let pss = oid(b"\x2a\x86\x48\x86\xf7\x0d\x01\x01\x0a");
        check(&[&pss[..], &[0x30, 0]].concat(), Some(SignatureHash::Sha256));
        let sha512 = b"\x30\x0f\xa0\x0d\x30\x0b\x06\x09\x60\x86\x48\x01\x65\x03\x04\x02\x03";
        check(&[&pss[..], sha512].concat(), Some(SignatureHash::Sha512));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            let _ = signature_hash(&bytes);
        }
    }
}
