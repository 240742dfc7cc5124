//! TLS by [`TlsMode`], over rustls with aws-lc-rs, as the client library takes it.
//!
//! Files are read for each connection: rotated certificates are taken up.

use std::path::Path;

use mysql_async::{ClientIdentity, SslOpts};
use rustls::RootCertStore;
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer};

use crate::{Error, Options, TlsMode};

/// The name that `verify-ca` asks the server's certificate for. Its chain is checked first, then the name, and that it is
/// not this one is forgiven: the library knows that fault by the word `NotValidForName` in the error's text, where rustls
/// has come to print the name that was asked for instead. Where the library mends that, the name is of no matter; should
/// either change otherwise, the connection is refused.
const NO_NAME: &str = "NotValidForName";

/// What the library is told, for the mode of `options`. Not for [`TlsMode::Disable`] and Unix sockets.
pub(super) fn options(options: &Options) -> Result<SslOpts, Error> {
    let tls = SslOpts::default().with_client_identity(identity(options)?);
    let verified = |tls: SslOpts| {
        let roots = roots(options)?.into_iter().map(|certificate| certificate.to_vec().into()).collect();
        Ok(tls.with_disable_built_in_roots(true).with_root_certs(roots))
    };
    match options.tls {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Ok(tls.with_danger_accept_invalid_certs(true)),
        TlsMode::VerifyCa => {
            Ok(verified(tls)?.with_danger_skip_domain_validation(true).with_danger_tls_hostname_override(Some(NO_NAME)))
        }
        TlsMode::VerifyFull => verified(tls),
    }
}

/// The trusted authorities: those of `tls_ca`, else the system's.
fn roots(options: &Options) -> Result<Vec<CertificateDer<'static>>, Error> {
    let certificates = if let Some(path) = &options.tls_ca {
        let certificates = certificates(path)?;
        for certificate in &certificates {
            usable(certificate).map_err(|why| Error::TlsFile { path: path.clone(), why })?;
        }
        certificates
    } else {
        let native = rustls_native_certs::load_native_certs().certs;
        native.into_iter().filter(|certificate| usable(certificate).is_ok()).collect()
    };
    if certificates.is_empty() {
        return Err(Error::TlsSettings("the system has no trusted authorities: set `tls_ca`".into()));
    }
    Ok(certificates)
}

/// Whether it can be trusted at all.
fn usable(certificate: &CertificateDer<'static>) -> Result<(), String> {
    RootCertStore::empty().add(certificate.clone()).map_err(|error| error.to_string())
}

fn identity(options: &Options) -> Result<Option<ClientIdentity>, Error> {
    match (&options.tls_cert, &options.tls_key) {
        (Some(cert), Some(key)) => {
            let fault = |why: String| Error::TlsFile { path: key.clone(), why };
            certificates(cert)?;
            let chain = read(cert)?;
            let pem = read(key)?;
            PrivateKeyDer::from_pem_slice(&pem).map_err(|error| fault(error.to_string()))?;
            Ok(Some(ClientIdentity::new(chain.into(), pem.into())))
        }
        (None, None) => Ok(None),
        (Some(_), None) | (None, Some(_)) => Err(Error::TlsSettings("`tls_cert` and `tls_key` go together".into())),
    }
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Error> {
    let fault = |why: String| Error::TlsFile { path: path.to_owned(), why };
    let pem = read(path)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let certificates = certificates.map_err(|error| fault(error.to_string()))?;
    if certificates.is_empty() {
        return Err(fault("no certificate in it".into()));
    }
    Ok(certificates)
}

fn read(path: &Path) -> Result<Vec<u8>, Error> {
    std::fs::read(path).map_err(|error| Error::TlsFile { path: path.to_owned(), why: error.to_string() })
}
