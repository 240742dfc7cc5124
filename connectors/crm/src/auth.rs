//! Who we are to a CRM: a token that is given, or one that is asked for by OAuth 2.0 and asked for again when it ends.
//!
//! A token is minted lazily and shared; while one caller mints, the others wait for it (single flight). A secret is
//! printed by nothing here, and a token goes only to `https` addresses or to this machine.
//!
//! Vendor's pages: `help.salesforce.com`, "OAuth 2.0 JWT Bearer Flow for Server-to-Server Integration" and "OAuth 2.0
//! Client Credentials Flow for Server-to-Server Integration".

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use jsonwebtoken::{Algorithm, EncodingKey, Header};
use passerelle_change::RequestError;
use reqwest::Url;
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use tokio::sync::Mutex;

use crate::http::{Http, Reply, StatusClass, class, retry_after};

/// How long an assertion is good for; Salesforce takes at most five minutes.
const ASSERTION_LASTS: Duration = Duration::from_mins(3);
const TOKEN_PATH: &str = "/services/oauth2/token";
const JWT_BEARER: &str = "urn:ietf:params:oauth:grant-type:jwt-bearer";

/// How to sign in.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A token that someone else keeps fresh.
    Token {
        /// The token.
        token: SecretString,
    },
    /// OAuth 2.0 JWT bearer (RFC 7523).
    Jwt {
        /// Consumer key.
        client_id: String,
        /// The user to act as.
        username: String,
        /// RSA private key, PEM (PKCS #1 or #8).
        private_key: SecretString,
        /// `https://login.salesforce.com`, `https://test.salesforce.com` or the site's address.
        audience: String,
        /// Where to ask, the whole address; default the audience and `/services/oauth2/token`.
        token_url: Option<String>,
    },
    /// OAuth 2.0 client credentials (RFC 6749, 4.4).
    ClientCredentials {
        /// Consumer key.
        client_id: String,
        /// Consumer secret.
        client_secret: SecretString,
        /// Where to ask, the whole address; default the CRM's url and `/services/oauth2/token`.
        token_url: Option<String>,
    },
}

/// What is wrong with an [`Auth`] or an address before anything was sent.
#[derive(Debug, thiserror::Error)]
pub enum AuthError {
    /// Not an address, or one that would carry a secret in clear over a network.
    #[error("{what} is no https address (http is for this machine only)")]
    Address {
        /// Which setting.
        what: &'static str,
    },
    /// Not an RSA key in PEM.
    #[error("the private key is no RSA key in PEM")]
    PrivateKey(#[source] jsonwebtoken::errors::Error),
}

/// A token and where it is good.
pub struct Token {
    /// The token itself.
    pub access: SecretString,
    /// The address to call with it, without a slash at its end.
    pub base: Url,
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Token").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

/// The token of one credential, shared by all its requests.
pub struct Tokens {
    http: Http,
    grant: Grant,
    base: Url,
    current: Mutex<Option<Arc<Token>>>,
}

impl fmt::Debug for Tokens {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tokens").field("base", &self.base.as_str()).finish_non_exhaustive()
    }
}

enum Grant {
    Given(SecretString),
    Jwt { client_id: String, username: String, key: EncodingKey, audience: String, url: Url },
    ClientCredentials { client_id: String, client_secret: SecretString, url: Url },
}

impl Tokens {
    /// Checks the addresses and the key; sends nothing.
    pub fn new(auth: Auth, url: &str, http: Http) -> Result<Self, AuthError> {
        let base = safe_address(url, "url")?;
        let grant = match auth {
            Auth::Token { token } => Grant::Given(token),
            Auth::Jwt { client_id, username, private_key, audience, token_url } => {
                let url = token_address(token_url, &audience)?;
                let key =
                    EncodingKey::from_rsa_pem(private_key.expose_secret().as_bytes()).map_err(AuthError::PrivateKey)?;
                Grant::Jwt { client_id, username, key, audience, url }
            }
            Auth::ClientCredentials { client_id, client_secret, token_url } => {
                Grant::ClientCredentials { client_id, client_secret, url: token_address(token_url, base.as_str())? }
            }
        };
        Ok(Self { http, grant, base, current: Mutex::new(None) })
    }

    /// The token, minted if there is none. Cancel-safe: a mint that is cancelled leaves none.
    pub async fn current(&self) -> Result<Arc<Token>, RequestError> {
        let mut current = self.current.lock().await;
        if let Some(token) = current.as_ref() {
            return Ok(Arc::clone(token));
        }
        let token = Arc::new(self.mint().await?);
        *current = Some(Arc::clone(&token));
        Ok(token)
    }

    /// Another token than the one that was refused: minted, unless someone else has done so meanwhile. `None` for a given
    /// token, which nobody here can renew.
    pub async fn renewed(&self, refused: &Arc<Token>) -> Result<Option<Arc<Token>>, RequestError> {
        if let Grant::Given(_) = self.grant {
            return Ok(None);
        }
        {
            let mut current = self.current.lock().await;
            if current.as_ref().is_some_and(|token| Arc::ptr_eq(token, refused)) {
                *current = None;
            }
        }
        self.current().await.map(Some)
    }

    async fn mint(&self) -> Result<Token, RequestError> {
        let (url, form) = match &self.grant {
            Grant::Given(token) => return Ok(Token { access: token.clone(), base: self.base.clone() }),
            Grant::Jwt { client_id, username, key, audience, url } => {
                let claims = Claims { iss: client_id, sub: username, aud: audience, exp: expires(SystemTime::now()) };
                let assertion = jsonwebtoken::encode(&Header::new(Algorithm::RS256), &claims, key).map_err(|_| {
                    refused(
                        "private_key",
                        "the assertion could not be signed",
                        "give the RSA private key whose certificate the connected app has",
                    )
                })?;
                (url, vec![("grant_type", JWT_BEARER.to_owned()), ("assertion", assertion)])
            }
            Grant::ClientCredentials { client_id, client_secret, url } => {
                let secret = client_secret.expose_secret().to_owned();
                let grant = ("grant_type", "client_credentials".to_owned());
                (url, vec![grant, ("client_id", client_id.clone()), ("client_secret", secret)])
            }
        };
        let reply = self.http.send(self.http.client().post(url.clone()).form(&form)).await?;
        let token = token_of(&reply, &self.base)?;
        tracing::info!(url = %token.base, "signed in");
        Ok(token)
    }
}

/// Whether a secret may be sent there: `https`, or `http` to this machine. The text becomes an address without a slash at its end.
pub fn safe_address(text: &str, what: &'static str) -> Result<Url, AuthError> {
    let url = Url::parse(text.trim_end_matches('/')).map_err(|_| AuthError::Address { what })?;
    let this_machine = match url.host_str() {
        Some(host) => {
            let ip = host.trim_start_matches('[').trim_end_matches(']').parse::<std::net::IpAddr>();
            host == "localhost" || ip.is_ok_and(|ip| ip.is_loopback())
        }
        None => false,
    };
    match url.scheme() {
        "https" => Ok(url),
        "http" if this_machine => Ok(url),
        _ => Err(AuthError::Address { what }),
    }
}

#[derive(Serialize)]
struct Claims<'a> {
    iss: &'a str,
    sub: &'a str,
    aud: &'a str,
    exp: u64,
}

#[derive(Deserialize)]
struct Granted {
    access_token: String,
    instance_url: Option<String>,
}

#[derive(Deserialize)]
struct Refused {
    error: String,
    #[serde(default)]
    error_description: String,
}

fn token_address(configured: Option<String>, default_host: &str) -> Result<Url, AuthError> {
    match configured {
        Some(url) => safe_address(&url, "token_url"),
        None => safe_address(&format!("{}{TOKEN_PATH}", default_host.trim_end_matches('/')), "audience"),
    }
}

fn expires(now: SystemTime) -> u64 {
    (now + ASSERTION_LASTS).duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// Reads the answer of a token address; pure but for the clock behind `Retry-After`.
fn token_of(reply: &Reply, base: &Url) -> Result<Token, RequestError> {
    match class(reply.status) {
        StatusClass::Success => {
            let granted: Granted = serde_json::from_slice(&reply.body)
                .map_err(|_| RequestError::Transient { text: "the answer to signing in was not understood".into() })?;
            let base = match granted.instance_url.as_deref() {
                Some(url) => safe_address(url, "instance_url").map_err(|error| {
                    refused("instance_url", &error.to_string(), "check token_url: it names an unsafe place to go on")
                })?,
                None => base.clone(),
            };
            Ok(Token { access: granted.access_token.into(), base })
        }
        StatusClass::Throttled => Err(RequestError::Throttled {
            text: "too many sign-ins".into(),
            retry_after: retry_after(&reply.headers, SystemTime::now()),
            daily: false,
        }),
        StatusClass::Transient => {
            Err(RequestError::Transient { text: format!("signing in was answered with HTTP {}", reply.status) })
        }
        StatusClass::SignIn | StatusClass::Rejected | StatusClass::Operator => Err(sign_in_refused(reply)),
    }
}

fn sign_in_refused(reply: &Reply) -> RequestError {
    let Ok(Refused { error, error_description }) = serde_json::from_slice(&reply.body) else {
        let text = format!("signing in was answered with HTTP {}", reply.status);
        return refused("sign_in", &text, "check the CRM's url and its auth.token_url");
    };
    let description: String = error_description.chars().take(300).collect();
    if description.contains("rate exceeded") {
        return RequestError::Throttled { text: description, retry_after: None, daily: false };
    }
    let code: String = error.chars().take(60).collect();
    refused(&code, &description, hint(&code, &description))
}

/// What a person can do about a refused sign-in, by OAuth's code and the vendor's words.
fn hint(code: &str, description: &str) -> &'static str {
    const BY_WORDS: [(&str, &str); 7] = [
        (
            "hasn't approved this consumer",
            "pre-authorise the connected app for the user: permitted users, profile or permission set",
        ),
        ("no client credentials user", "choose a run-as user in the connected app's client credentials flow"),
        ("request not supported on this domain", "use the My Domain address of the org as url or auth.token_url"),
        (
            "audience",
            "auth.audience is https://login.salesforce.com, https://test.salesforce.com for a sandbox, or the site's address",
        ),
        (
            "assertion",
            "check that the private key belongs to the connected app's certificate, and this machine's clock",
        ),
        ("expired", "check this machine's clock"),
        ("inactive", "the user or the org is not active"),
    ];
    const BY_CODE: [(&str, &str); 4] = [
        ("invalid_client_id", "auth.client_id is not the consumer key of a connected app of this org"),
        ("invalid_client", "check auth.client_id and auth.client_secret"),
        ("invalid_app_access", "the user is not admitted to the connected app"),
        ("unsupported_grant_type", "enable this flow in the connected app"),
    ];
    let by_words = BY_WORDS.iter().find(|(words, _)| description.contains(words));
    let by_code = BY_CODE.iter().find(|(known, _)| *known == code);
    by_words.or(by_code).map_or("check the connected app and the crm's auth settings", |(_, hint)| hint)
}

fn refused(code: &str, text: &str, hint: &str) -> RequestError {
    RequestError::Operator { code: code.into(), text: format!("signing in was refused: {text}"), hint: hint.into() }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use reqwest::header::HeaderMap;

    use super::*;

    fn answer(status: u16, body: &str) -> Result<Token, RequestError> {
        let base = Url::parse("https://acme.my.salesforce.com").expect("an address");
        token_of(&Reply { status, headers: HeaderMap::new(), body: body.as_bytes().to_vec() }, &base)
    }

    #[test]
    fn a_secret_goes_only_where_it_is_safe() {
        let check = |address: &str, expect: bool| assert_eq!(safe_address(address, "url").is_ok(), expect, "{address}");
        check("https://acme.my.salesforce.com/", true);
        check("http://127.0.0.1:8080", true);
        check("http://[::1]:8080", true);
        check("http://localhost:8080", true);
        check("http://acme.my.salesforce.com", false);
        check("http://127.0.0.1.evil.example", false);
        check("ftp://127.0.0.1", false);
        check("acme", false);
    }

    #[test]
    fn an_answer_names_where_to_go_on() {
        let token = answer(200, r#"{"access_token":"00D!x","instance_url":"https://eu1.my.salesforce.com","id":"…"}"#);
        assert_eq!(token.expect("granted").base.host_str(), Some("eu1.my.salesforce.com"));
        let token = answer(200, r#"{"access_token":"00D!x"}"#).expect("granted");
        assert_eq!(token.base.host_str(), Some("acme.my.salesforce.com"));
        assert!(!format!("{token:?}").contains("00D"));
        let elsewhere = answer(200, r#"{"access_token":"00D!x","instance_url":"http://eu1.example"}"#);
        assert!(matches!(elsewhere, Err(RequestError::Operator { code, .. }) if code == "instance_url"));
    }

    #[test]
    fn refusals_say_what_to_do() {
        let check = |status: u16, body: &str, expect: &str| {
            let got = match answer(status, body) {
                Ok(_) => "granted".to_owned(),
                Err(RequestError::Operator { code, hint, .. }) => format!("{code}: {hint}"),
                Err(RequestError::Transient { .. }) => "transient".into(),
                Err(RequestError::Throttled { .. }) => "throttled".into(),
                Err(RequestError::Rejected(_)) => "rejected".into(),
            };
            assert!(got.contains(expect), "{body} gave {got}");
        };
        check(
            400,
            r#"{"error":"invalid_grant","error_description":"user hasn't approved this consumer"}"#,
            "pre-authorise",
        );
        check(400, r#"{"error":"invalid_grant","error_description":"no client credentials user enabled"}"#, "run-as");
        check(400, r#"{"error":"invalid_client_id","error_description":"client identifier invalid"}"#, "consumer key");
        check(400, r#"{"error":"invalid_grant","error_description":"login rate exceeded"}"#, "throttled");
        check(400, "<html>", "sign_in: check the CRM's url");
        check(302, "", "sign_in");
        check(503, "", "transient");
        check(429, "", "throttled");
        check(200, "[]", "transient");
    }

    proptest! {
        #[test]
        fn any_answer_ends_without_panic(status: u16, body: Vec<u8>) {
            let base = Url::parse("https://acme.my.salesforce.com").expect("an address");
            let _ = token_of(&Reply { status, headers: HeaderMap::new(), body }, &base);
        }
    }
}
