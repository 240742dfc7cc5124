//! `kind = "webhook"`: a POST with the message as its body, signed where there is a secret.

use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::redirect::Policy;
use reqwest::{Certificate, Client, StatusCode};
use secrecy::{ExposeSecret, SecretString};
use sha2::Sha256;

use super::chain;
use crate::alert::form;
use crate::alert::model::Message;
use crate::alert::outbox::Unsent;
use crate::config::model::{self, WebhookFormat};

/// The header with the message's id, by which a receiver knows one that it has seen.
const ID: &str = "passerelle-alert-id";
/// The header with the signature: `t=SECONDS,v1=HEX`.
const SIGNATURE: &str = "passerelle-signature";

#[derive(Debug)]
pub(super) struct Webhook {
    client: Client,
    url: SecretString,
    format: WebhookFormat,
    secret: Option<SecretString>,
}

impl Webhook {
    /// # Errors
    /// Why there can't be one, in a sentence without its address.
    pub(super) fn new(config: &model::Webhook, timeout: Duration) -> Result<Self, String> {
        let said = |error: reqwest::Error| chain(&error.without_url());
        let builder = Client::builder()
            .user_agent(concat!("passerelle/", env!("CARGO_PKG_VERSION")))
            .timeout(timeout)
            // A secret of the address goes nowhere else.
            .redirect(Policy::none())
            .retry(reqwest::retry::never());
        let builder = match &config.proxy {
            Some(address) => builder.proxy(reqwest::Proxy::all(address).map_err(said)?),
            None => builder.no_proxy(),
        };
        let builder = match &config.ca {
            Some(path) => {
                let pem = std::fs::read(path).map_err(|error| format!("cannot read {}: {error}", path.display()))?;
                builder.tls_certs_merge(Certificate::from_pem_bundle(&pem).map_err(said)?)
            }
            None => builder,
        };
        let client = builder.build().map_err(said)?;
        Ok(Self { client, url: config.url.clone(), format: config.format, secret: config.secret.clone() })
    }

    pub(super) async fn send(&self, message: &Message, host: &str) -> Result<(), Unsent> {
        let body = match self.format {
            WebhookFormat::Json => form::json(message, host),
            WebhookFormat::Slack => form::slack(message, host),
        };
        let mut request = self.client.post(self.url.expose_secret());
        if let Some(secret) = &self.secret {
            let now = Timestamp::now().as_second();
            request = request.header(SIGNATURE, signature(secret.expose_secret(), now, &body));
        }
        let request = request.header("content-type", "application/json").header(ID, &message.id).body(body);
        match request.send().await {
            // Of the answer nothing but its status matters.
            Ok(answer) => taken(answer.status()),
            Err(error) => Err(Unsent::Later(chain(&error.without_url()))),
        }
    }
}

/// What a status says: of the receiver, or of this message.
fn taken(status: StatusCode) -> Result<(), Unsent> {
    let text = format!("HTTP {status}");
    match status {
        status if status.is_success() => Ok(()),
        StatusCode::BAD_REQUEST
        | StatusCode::CONFLICT
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(Unsent::Refused(text)),
        _ => Err(Unsent::Later(text)),
    }
}

/// `t=SECONDS,v1=HEX`: HMAC-SHA256 (RFC 2104) of the time, a full stop and the body, so that neither can be changed or
/// sent again later.
fn signature(secret: &str, seconds: i64, body: &str) -> String {
    // HMAC takes keys of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(secret.as_bytes()) else { return String::new() };
    mac.update(format!("{seconds}.").as_bytes());
    mac.update(body.as_bytes());
    let digest = mac.finalize().into_bytes();
    let hex: Vec<String> = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    format!("t={seconds},v1={}", hex.concat())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_hmac_of_time_and_body() {
        // printf '1763818067.{"id":"x"}' | openssl dgst -sha256 -hmac 'a secret'
        let expect = "91f3049f18941dd79f18be4801588fe54191b4b16401fcf3b17dd20d72f524b2";
        assert_eq!(signature("a secret", 1_763_818_067, r#"{"id":"x"}"#), format!("t=1763818067,v1={expect}"));
    }

    #[test]
    fn a_status_is_of_the_receiver_or_of_the_message() {
        let check = |status: u16, expect: &str| {
            let word = match taken(StatusCode::from_u16(status).unwrap()) {
                Ok(()) => "taken",
                Err(Unsent::Later(_)) => "later",
                Err(Unsent::Refused(_)) => "refused",
            };
            assert_eq!(word, expect, "{status}");
        };
        for status in [200, 201, 202, 204] {
            check(status, "taken");
        }
        for status in [301, 401, 403, 404, 408, 410, 429, 500, 502, 503, 504] {
            check(status, "later");
        }
        for status in [400, 409, 413, 415, 422] {
            check(status, "refused");
        }
    }
}
