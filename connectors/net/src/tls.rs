//! TLS by [`TlsMode`], over rustls with aws-lc-rs.

mod verifier;

use std::path::Path;
use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use rustls_pki_types::pem::PemObject;
use rustls_pki_types::{CertificateDer, PrivateKeyDer, ServerName};

use crate::{Error, UnusableFile, WrongSettings};
use verifier::Verifier;

/// How a connection is protected, as libpq's `sslmode`; the clients of MySQL and MariaDB have the same modes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TlsMode {
    /// Never.
    Disable,
    /// When the server offers it; its certificate is not checked.
    Prefer,
    /// Always; its certificate is not checked.
    Require,
    /// Always, and the certificate is signed by a trusted authority.
    VerifyCa,
    /// The same, and it is for this host.
    VerifyFull,
}

/// How a connection is to be protected, and the files for it. All are PEM.
#[derive(Clone, Copy, Debug)]
pub struct TlsSettings<'a> {
    /// How it is protected.
    pub mode: TlsMode,
    /// The trusted authorities; the system's otherwise.
    pub ca: Option<&'a Path>,
    /// The client certificate (and its chain).
    pub cert: Option<&'a Path>,
    /// Its key.
    pub key: Option<&'a Path>,
}

/// The client certificate that is shown to the server, and where it came from.
#[derive(Debug)]
pub struct Identity<'a> {
    /// The certificate and its chain.
    pub chain: Vec<CertificateDer<'static>>,
    /// Its key.
    pub key: PrivateKeyDer<'static>,
    /// The file of the certificates.
    pub chain_path: &'a Path,
    /// The file of the key.
    pub key_path: &'a Path,
}

impl<'a> TlsSettings<'a> {
    /// The configuration of rustls for the mode. For [`TlsMode::Disable`], where nobody should ask, it is that of
    /// [`TlsMode::Require`].
    ///
    /// Reads the files, so it is made anew for each connection: rotated certificates are taken up.
    pub fn client_config(&self) -> Result<Arc<ClientConfig>, Error> {
        let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
        let roots = match self.mode {
            TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => None,
            TlsMode::VerifyCa | TlsMode::VerifyFull => Some(self.roots()?),
        };
        let verifier = Verifier { roots, by_name: self.mode == TlsMode::VerifyFull, provider: provider.clone() };
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|error| WrongSettings(error.to_string()))?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(verifier));
        let config = match self.identity()? {
            Some(Identity { chain, key, key_path, .. }) => {
                builder.with_client_auth_cert(chain, key).map_err(|error| UnusableFile::new(key_path, &error))?
            }
            None => builder.with_no_client_auth(),
        };
        Ok(Arc::new(config))
    }

    /// The trusted authorities: those of the file, all of which must be usable, else those of the system that are.
    pub fn authorities(&self) -> Result<Vec<CertificateDer<'static>>, Error> {
        if let Some(path) = self.ca {
            let authorities = certificates(path)?;
            for authority in &authorities {
                usable(authority).map_err(|error| UnusableFile::new(path, &error))?;
            }
            return Ok(authorities);
        }
        let mut authorities = rustls_native_certs::load_native_certs().certs;
        authorities.retain(|authority| usable(authority).is_ok());
        if authorities.is_empty() {
            return Err(WrongSettings("the system has no trusted authorities: set `tls_ca`".into()).into());
        }
        Ok(authorities)
    }

    /// The client certificate, where one is set.
    pub fn identity(&self) -> Result<Option<Identity<'a>>, Error> {
        match (self.cert, self.key) {
            (Some(chain_path), Some(key_path)) => {
                let chain = certificates(chain_path)?;
                let key =
                    PrivateKeyDer::from_pem_file(key_path).map_err(|error| UnusableFile::new(key_path, &error))?;
                Ok(Some(Identity { chain, key, chain_path, key_path }))
            }
            (None, None) => Ok(None),
            (Some(_), None) | (None, Some(_)) => {
                Err(WrongSettings("`tls_cert` and `tls_key` go together".into()).into())
            }
        }
    }

    fn roots(&self) -> Result<RootCertStore, Error> {
        let mut roots = RootCertStore::empty();
        roots.add_parsable_certificates(self.authorities()?);
        Ok(roots)
    }
}

/// The host as TLS names it: a DNS name or an address.
pub fn server_name(host: &str) -> Result<ServerName<'static>, Error> {
    ServerName::try_from(host.to_owned())
        .map_err(|_| WrongSettings(format!("`{host}` is neither a host name nor an address")).into())
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, UnusableFile> {
    let read = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = read.map_err(|error| UnusableFile::new(path, &error))?;
    if certificates.is_empty() {
        return Err(UnusableFile::new(path, &"no certificate in it"));
    }
    Ok(certificates)
}

/// Whether it can be trusted at all.
fn usable(certificate: &CertificateDer<'static>) -> Result<(), rustls::Error> {
    RootCertStore::empty().add(certificate.clone())
}

#[cfg(test)]
mod tests;
