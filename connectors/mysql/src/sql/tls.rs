//! TLS by [`TlsMode`], as the client library takes it.
//!
//! It makes its configuration of rustls itself and takes none that is ready: so the modes are said a second time here, in
//! its words. Files are read and judged as for the connection of the log; those of the client certificate it then reads
//! by itself.

use mysql_async::{ClientIdentity, SslOpts};

use crate::{Error, Options, TlsMode};

/// The name that `verify-ca` asks the server's certificate for. Its chain is checked first, then the name, and that it is
/// not this one is forgiven: the library knows that fault by the word `NotValidForName` in the error's text, where rustls
/// has come to print the name that was asked for instead. Where the library mends that, the name is of no matter; should
/// either change otherwise, the connection is refused.
const NO_NAME: &str = "NotValidForName";

/// What the library is told, for the mode of `options`. Not for [`TlsMode::Disable`] and Unix sockets.
pub(super) fn options(options: &Options) -> Result<SslOpts, Error> {
    let settings = options.tls_settings();
    let identity = settings.identity()?;
    let identity = identity.map(|identity| {
        ClientIdentity::new(identity.chain_path.to_owned().into(), identity.key_path.to_owned().into())
    });
    let tls = SslOpts::default().with_client_identity(identity);
    let verified = |tls: SslOpts| {
        let roots = settings.authorities()?.into_iter().map(|certificate| certificate.to_vec().into()).collect();
        Ok::<_, Error>(tls.with_disable_built_in_roots(true).with_root_certs(roots))
    };
    match options.tls {
        TlsMode::Disable | TlsMode::Prefer | TlsMode::Require => Ok(tls.with_danger_accept_invalid_certs(true)),
        TlsMode::VerifyCa => {
            Ok(verified(tls)?.with_danger_skip_domain_validation(true).with_danger_tls_hostname_override(Some(NO_NAME)))
        }
        TlsMode::VerifyFull => verified(tls),
    }
}
