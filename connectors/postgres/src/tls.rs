//! TLS, the same for both halves: one [`ClientConfig`] by [`TlsMode`], and channel binding (RFC 5929).

use std::future::Future;
use std::io;
use std::path::Path;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use aws_lc_rs::digest;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{WebPkiServerVerifier, verify_server_cert_signed_by_trust_anchor};
use rustls::crypto::{CryptoProvider, verify_tls12_signature, verify_tls13_signature};
use rustls::server::ParsedCertificate;
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_postgres::tls::{ChannelBinding, MakeTlsConnect, TlsConnect};
use tokio_rustls::client::TlsStream;

use crate::{Error, Options, TlsMode};

/// The configuration for the mode of `options`; `None` where no TLS is wanted (also on a Unix socket).
///
/// Reads the files it names, so it is made anew for each connection: rotated certificates are taken up.
pub fn client_config(options: &Options) -> Result<Option<Arc<ClientConfig>>, Error> {
    if options.socket_path().is_some() {
        return Ok(None);
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let verifier: Arc<dyn ServerCertVerifier> = match options.tls {
        TlsMode::Disable => return Ok(None),
        TlsMode::Prefer | TlsMode::Require => Arc::new(Unchecked { provider: provider.clone() }),
        TlsMode::VerifyCa => Arc::new(ChainOnly { roots: roots(options)?, provider: provider.clone() }),
        TlsMode::VerifyFull => WebPkiServerVerifier::builder_with_provider(Arc::new(roots(options)?), provider.clone())
            .build()
            .map_err(|error| Error::TlsSettings(error.to_string()))?,
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| Error::TlsSettings(error.to_string()))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => builder
            .with_client_auth_cert(certificates(cert)?, private_key(key)?)
            .map_err(|error| Error::TlsFile { path: key.clone(), text: error.to_string() })?,
        (None, None) => builder.with_no_client_auth(),
        (Some(_), None) | (None, Some(_)) => {
            return Err(Error::TlsSettings("`tls_cert` and `tls_key` go together".into()));
        }
    };
    Ok(Some(Arc::new(config)))
}

/// The host as TLS names it: a DNS name or an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| Error::TlsSettings(format!("`{host}` is neither a host name nor an address")))
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

/// [`server_end_point`] of the other side of a connection.
pub fn channel_binding<S>(stream: &TlsStream<S>) -> Option<Vec<u8>> {
    server_end_point(stream.get_ref().1.peer_certificates()?.first()?)
}

fn roots(options: &Options) -> Result<RootCertStore, Error> {
    let mut roots = RootCertStore::empty();
    if let Some(path) = &options.tls_ca {
        for certificate in certificates(path)? {
            roots.add(certificate).map_err(|error| Error::TlsFile { path: path.clone(), text: error.to_string() })?;
        }
        return Ok(roots);
    }
    let native = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(native.certs);
    if roots.is_empty() {
        return Err(Error::TlsSettings("the system has no trusted authorities: set `tls_ca`".into()));
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let fault = |text: String| Error::TlsFile { path: path.to_owned(), text };
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| fault(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault("no certificate in it".into()));
    }
    Ok(certificates)
}

fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, Error> {
    PrivateKeyDer::from_pem_file(path)
        .map_err(|error| Error::TlsFile { path: path.to_owned(), text: error.to_string() })
}

/// `verify-ca`: the chain must lead to a trusted authority; the name does not count.
#[derive(Debug)]
struct ChainOnly {
    roots: RootCertStore,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for ChainOnly {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let certificate = ParsedCertificate::try_from(end_entity)?;
        let algorithms = self.provider.signature_verification_algorithms.all;
        verify_server_cert_signed_by_trust_anchor(&certificate, &self.roots, intermediates, now, algorithms)?;
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

/// `prefer` and `require`: against listeners only, as libpq has it. The handshake's signature is still checked.
#[derive(Debug)]
struct Unchecked {
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Unchecked {
    fn verify_server_cert(
        &self,
        _end_entity: &CertificateDer<'_>,
        _intermediates: &[CertificateDer<'_>],
        _server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        _now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
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
        channel_binding(&self.0).map_or_else(ChannelBinding::none, ChannelBinding::tls_server_end_point)
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
