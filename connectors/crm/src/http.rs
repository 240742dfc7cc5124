//! One HTTP client for every vendor: its timeouts, its bounds, and what a status says about trying again.
//!
//! Invariants: an answer is bounded in bytes after decompression; no redirect is followed, so that a token never leaves for
//! another host; an error's text holds no address, header or body.

use std::error::Error as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use passerelle_change::RequestError;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, RequestBuilder};
use rustls::CertificateError;

/// The largest answer that is read, in bytes after decompression.
pub const MAX_ANSWER_BYTES: usize = 16 << 20;
/// How long connecting may take.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// How long an idle connection is kept.
const IDLE: Duration = Duration::from_mins(1);

/// How to reach a CRM.
#[derive(Clone, Debug)]
pub struct HttpOptions {
    /// How long a request may take from its first byte to the last of its answer.
    pub timeout: Duration,
    /// A proxy's address; the environment's proxies are not used.
    pub proxy: Option<String>,
    /// A PEM file of authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_mins(2), proxy: None, ca: None }
    }
}

/// A client could not be made.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// A proxy's address that is none, a certificate that is none, no trusted certificates on this machine.
    #[error("the HTTP client cannot be set up")]
    Client(#[source] reqwest::Error),
    /// The file of authorities cannot be read.
    #[error("cannot read the authorities to trust in {}", path.display())]
    Authorities {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// The file of authorities has none in it.
    #[error("there is no certificate in {}", .0.display())]
    NoAuthority(PathBuf),
}

/// The client.
#[derive(Clone, Debug)]
pub struct Http {
    client: Client,
    timeout: Duration,
}

/// An answer, whatever its status.
#[derive(Clone, Debug)]
pub struct Reply {
    /// The HTTP status.
    pub status: u16,
    /// The headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Vec<u8>,
}

impl Http {
    /// A client with its own pool of connections.
    pub fn new(options: &HttpOptions) -> Result<Self, HttpError> {
        let builder = Client::builder()
            .user_agent(concat!("passerelle/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .timeout(options.timeout)
            .pool_idle_timeout(IDLE)
            .redirect(Policy::none())
            // Every request has a permit: the client itself repeats none.
            .retry(reqwest::retry::never());
        let builder = match &options.proxy {
            Some(address) => builder.proxy(reqwest::Proxy::all(address).map_err(HttpError::Client)?),
            None => builder.no_proxy(),
        };
        let builder = match &options.ca {
            Some(path) => builder.tls_certs_merge(authorities(path)?),
            None => builder,
        };
        Ok(Self { client: builder.build().map_err(HttpError::Client)?, timeout: options.timeout })
    }

    /// The client, to build a request with.
    pub fn client(&self) -> &Client {
        &self.client
    }

    /// Sends a request and reads its answer whole. Every error is [`RequestError::Transient`], but a request that cannot be
    /// built, which is [`RequestError::Operator`].
    pub async fn send(&self, request: RequestBuilder) -> Result<Reply, RequestError> {
        let mut response = request.send().await.map_err(|error| self.failed(error))?;
        let mut body = Vec::new();
        while let Some(chunk) = response.chunk().await.map_err(|error| self.failed(error))? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                return Err(RequestError::Transient {
                    text: format!("the answer is larger than {MAX_ANSWER_BYTES} bytes"),
                });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Reply { status: response.status().as_u16(), headers: std::mem::take(response.headers_mut()), body })
    }

    fn failed(&self, error: reqwest::Error) -> RequestError {
        let error = error.without_url();
        if error.is_builder() {
            return RequestError::Operator {
                code: "REQUEST".into(),
                text: "the request cannot be built".into(),
                hint: "check the CRM's url, its token and the names of its objects and fields".into(),
            };
        }
        let what = if error.is_timeout() && !error.is_connect() {
            return RequestError::Transient { text: format!("no answer within {} s", self.timeout.as_secs_f64()) };
        } else if error.is_connect() {
            "cannot connect"
        } else {
            "the connection broke"
        };
        if let Some(reason) = refused_certificate(&error) {
            return RequestError::Transient { text: format!("{what}: {reason}") };
        }
        let mut cause = error.source();
        while let Some(deeper) = cause.and_then(std::error::Error::source) {
            cause = Some(deeper);
        }
        let text = cause.map_or_else(|| what.to_owned(), |cause| format!("{what}: {cause}"));
        RequestError::Transient { text }
    }
}

/// Why the server's certificate was refused, if that is what happened.
fn refused_certificate(error: &reqwest::Error) -> Option<String> {
    let mut cause = error.source();
    while let Some(current) = cause {
        // An I/O error holds the one of TLS, and names that one's cause as its own.
        let inner = current.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        let tls = inner.map_or_else(|| current.downcast_ref(), |inner| inner.downcast_ref());
        if let Some(rustls::Error::InvalidCertificate(reason)) = tls {
            return Some(explained(reason));
        }
        cause = match inner {
            Some(inner) => Some(inner),
            None => current.source(),
        };
    }
    None
}

fn explained(reason: &CertificateError) -> String {
    match reason {
        // The second where another authority has the name of the one that is trusted.
        CertificateError::UnknownIssuer | CertificateError::BadSignature => {
            "the server's certificate is signed by an authority that is not trusted; \
             where that is meant, `ca` names a file with it"
                .to_owned()
        }
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            "the server's certificate has expired".to_owned()
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            "the server's certificate is not valid yet: are the clocks right?".to_owned()
        }
        CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
            "the server's certificate is for another name than the one in `url`".to_owned()
        }
        // Rare ones in the words of the library, whose list of them grows.
        other => format!("the server's certificate is refused: {other}"),
    }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, HttpError> {
    let pem = std::fs::read(path).map_err(|error| HttpError::Authorities { path: path.to_owned(), error })?;
    let found = Certificate::from_pem_bundle(&pem).map_err(HttpError::Client)?;
    if found.is_empty() { Err(HttpError::NoAuthority(path.to_owned())) } else { Ok(found) }
}

/// What a status says about trying again, where a vendor's own code does not say more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StatusClass {
    /// Done.
    Success,
    /// The credential is not (any more) taken.
    SignIn,
    /// Too many requests.
    Throttled,
    /// The server or its load.
    Transient,
    /// The content of the request.
    Rejected,
    /// Rights, address, version.
    Operator,
}

/// The class of a status.
pub fn class(status: u16) -> StatusClass {
    match status {
        200..=299 => StatusClass::Success,
        401 => StatusClass::SignIn,
        429 => StatusClass::Throttled,
        // 409 and 423: the resource is in use; 425: too early.
        408 | 409 | 423 | 425 | 500..=599 => StatusClass::Transient,
        // 413, 414 and 431: too large, which a smaller batch mends.
        400 | 412 | 413 | 414 | 422 | 428 | 431 => StatusClass::Rejected,
        // Redirects, rights, unknown addresses and versions, and what no HTTP server says.
        0..=199 | 300..=499 | 600.. => StatusClass::Operator,
    }
}

/// `Retry-After` as a time to wait, from seconds or a date (RFC 9110, 10.2.3); `None` when it is absent or neither.
pub fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 22 Nov 2026 01:00:00 GMT").expect("a date");
        let check = |text: &str, expect: Option<u64>| {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().expect("a header"))]);
            assert_eq!(retry_after(&headers, now), expect.map(Duration::from_secs), "{text}");
        };
        check("0", Some(0));
        check(" 17 ", Some(17));
        check("Sun, 22 Nov 2026 01:01:30 GMT", Some(90));
        check("Sun, 22 Nov 2026 00:59:00 GMT", Some(0));
        check("-1", None);
        check("soon", None);
        check("99999999999999999999999", None);
        assert_eq!(retry_after(&HeaderMap::new(), now), None);
    }

    #[test]
    fn a_file_of_authorities_that_has_none_is_no_way_to_the_crm() {
        let made = |path: &Path| Http::new(&HttpOptions { ca: Some(path.to_owned()), ..HttpOptions::default() });
        assert!(matches!(made(Path::new("/nowhere/ca.pem")), Err(HttpError::Authorities { .. })));
        assert!(matches!(made(Path::new("/dev/null")), Err(HttpError::NoAuthority(_))));
    }

    #[test]
    fn statuses_have_classes() {
        let check = |status: u16, expect: StatusClass| assert_eq!(class(status), expect, "{status}");
        check(200, StatusClass::Success);
        check(204, StatusClass::Success);
        check(301, StatusClass::Operator);
        check(400, StatusClass::Rejected);
        check(401, StatusClass::SignIn);
        check(403, StatusClass::Operator);
        check(404, StatusClass::Operator);
        check(413, StatusClass::Rejected);
        check(429, StatusClass::Throttled);
        check(500, StatusClass::Transient);
        check(503, StatusClass::Transient);
        check(999, StatusClass::Operator);
    }
}
