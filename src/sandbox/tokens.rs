//! OAuth 2.0 as far as a CRM's clients use it: tokens are given out for client credentials, signed assertions and refresh
//! tokens. Assertions are checked in shape and time; their signature is not, for the sandbox knows no keys.

use std::collections::{HashMap, VecDeque};
use std::time::{Duration, Instant};

use rand::Rng;
use serde_json::{Value, json};

use super::faults::invalid_session;
use super::problem::Refusal;

/// How our tokens begin, as an organisation's id does.
const PREFIX: &str = "00DPA0000000001!";
/// How users' ids begin.
const USER: &str = "005PA0";
/// Tokens that are remembered; older ones have expired.
const MAX_TOKENS: usize = 1_000;

#[derive(Debug)]
struct Token {
    text: String,
    number: u64,
    until: Instant,
}

/// The tokens given out.
#[derive(Debug)]
pub(super) struct Tokens {
    given: VecDeque<Token>,
    /// The number of the last one.
    pub(super) last: u64,
    life: Duration,
    /// Whether tokens that we did not give out are refused.
    only_ours: bool,
}

impl Tokens {
    pub(super) fn new(life: Duration, only_ours: bool) -> Self {
        Self { given: VecDeque::new(), last: 0, life, only_ours }
    }

    /// The number of the token in an `Authorization` header, 0 for one that is not ours; refused if it is missing, wrong or
    /// too old.
    pub(super) fn check(&self, header: Option<&str>, now: Instant) -> Result<u64, Refusal> {
        let token = header.and_then(|header| header.split_once(' ')).filter(|(scheme, _)| {
            // The vendor takes both.
            scheme.eq_ignore_ascii_case("bearer") || scheme.eq_ignore_ascii_case("oauth")
        });
        let token =
            token.map(|(_, token)| token.trim()).filter(|token| !token.is_empty()).ok_or_else(invalid_session)?;
        if let Some(known) = self.given.iter().find(|known| known.text == token) {
            return if now < known.until { Ok(known.number) } else { Err(invalid_session()) };
        }
        if self.only_ours || token.starts_with(PREFIX) { Err(invalid_session()) } else { Ok(0) }
    }

    /// The id of the user behind an `Authorization` header: one for all tokens that we gave out, and one for each other.
    pub(super) fn user(header: Option<&str>) -> String {
        let token = header.and_then(|header| header.split_once(' ')).map_or("", |(_, token)| token.trim());
        if token.starts_with(PREFIX) {
            return format!("{USER}{:09}", 1);
        }
        let number = token.bytes().fold(7_u64, |sum, byte| (sum * 31 + u64::from(byte)) % 999_999_937);
        format!("{USER}{:09}", number + 2)
    }

    /// Answers a request for a token; the error's code and sentence where it is refused.
    pub(super) fn give(
        &mut self,
        form: &HashMap<String, String>,
        url: &str,
        now: Instant,
        unix_seconds: i64,
    ) -> Result<Value, (&'static str, &'static str)> {
        let given = |name: &str| form.get(name).map_or("", String::as_str);
        match given("grant_type") {
            "client_credentials" if given("client_id").is_empty() => {
                Err(("invalid_client_id", "client identifier invalid"))
            }
            "client_credentials" if given("client_secret").is_empty() => {
                Err(("invalid_client", "invalid client credentials"))
            }
            "refresh_token" if given("refresh_token").is_empty() => {
                Err(("invalid_grant", "expired access/refresh token"))
            }
            "client_credentials" | "refresh_token" => Ok(()),
            "urn:ietf:params:oauth:grant-type:jwt-bearer" => check_assertion(given("assertion"), unix_seconds),
            _ => Err(("unsupported_grant_type", "grant type not supported")),
        }?;
        let mut dice = rand::rng();
        let text = format!("{PREFIX}{:032x}{:032x}", dice.random::<u128>(), dice.random::<u128>());
        self.last += 1;
        self.given.push_back(Token { text: text.clone(), number: self.last, until: now + self.life });
        if self.given.len() > MAX_TOKENS {
            self.given.pop_front();
        }
        Ok(json!({
            "access_token": text, "instance_url": url, "id": format!("{url}/id/00DPA0000000001/005PA0000000001"),
            "token_type": "Bearer", "scope": "api", "issued_at": (unix_seconds * 1000).to_string(),
        }))
    }
}

/// Whether an assertion has the shape and the time that the vendor asks for.
fn check_assertion(assertion: &str, now: i64) -> Result<(), (&'static str, &'static str)> {
    let invalid = ("invalid_grant", "invalid assertion");
    let parts: Vec<&str> = assertion.split('.').collect();
    let [header, claims, signature] = parts.as_slice() else { return Err(invalid) };
    let json = |part: &str| serde_json::from_slice::<Value>(&base64url(part)?).ok();
    let (Some(header), Some(claims)) = (json(header), json(claims)) else { return Err(invalid) };
    if header["alg"] != "RS256" || base64url(signature).is_none_or(|bytes| bytes.len() < 128) {
        return Err(invalid);
    }
    if ["iss", "sub"].iter().any(|claim| claims[claim].as_str().is_none_or(str::is_empty)) {
        return Err(invalid);
    }
    if !claims["aud"].as_str().is_some_and(|audience| audience.starts_with("http")) {
        return Err(("invalid_grant", "audience is invalid"));
    }
    // Three to five minutes at most; the rest is for clocks that differ.
    match claims["exp"].as_i64() {
        Some(expiry) if expiry > now && expiry <= now + 360 => Ok(()),
        _ => Err(("invalid_grant", "assertion expired or valid for too long")),
    }
}

/// Decodes base64 in the alphabet of URLs, without padding.
fn base64url(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() * 3 / 4);
    let (mut bits, mut held) = (0_u32, 0_u32);
    for letter in text.bytes() {
        let value = match letter {
            b'A'..=b'Z' => letter - b'A',
            b'a'..=b'z' => letter - b'a' + 26,
            b'0'..=b'9' => letter - b'0' + 52,
            b'-' => 62,
            b'_' => 63,
            _ => return None,
        };
        bits = (bits << 6 | u32::from(value)) & 0xFFF;
        held += 6;
        if held >= 8 {
            held -= 8;
            bytes.push((bits >> held & 0xFF) as u8);
        }
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn form(fields: &[(&str, &str)]) -> HashMap<String, String> {
        fields.iter().map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }

    #[test]
    fn tokens_are_given_out_and_expire() {
        let now = Instant::now();
        let mut tokens = Tokens::new(Duration::from_mins(1), false);
        let asked = form(&[("grant_type", "client_credentials"), ("client_id", "a"), ("client_secret", "b")]);
        let answer = tokens.give(&asked, "http://x", now, 0).unwrap();
        let header = format!("Bearer {}", answer["access_token"].as_str().unwrap());
        assert_eq!(tokens.check(Some(&header), now).unwrap(), 1);
        assert_eq!(tokens.check(Some(&header), now + Duration::from_mins(1)).unwrap_err().status, 401);
        assert_eq!(tokens.check(Some("Bearer other"), now).unwrap(), 0);
        for bad in [None, Some(""), Some("Bearer "), Some("Basic eA=="), Some("Bearer 00DPA0000000001!forged")] {
            assert_eq!(tokens.check(bad, now).unwrap_err().problem.code, "INVALID_SESSION_ID");
        }
        let strict = Tokens::new(Duration::from_mins(1), true);
        assert!(strict.check(Some("Bearer other"), now).is_err());
    }

    #[test]
    fn assertions_are_checked() {
        // {"alg":"RS256"} and {"iss":"k","sub":"u","aud":"https://login.example.com","exp":1000}
        let signed = format!(
            "eyJhbGciOiJSUzI1NiJ9.eyJpc3MiOiJrIiwic3ViIjoidSIsImF1ZCI6Imh0dHBzOi8vbG9naW4uZXhhbXBsZS5jb20iLCJleHAiOjEwMDB9.{}",
            "A".repeat(342)
        );
        assert_eq!(check_assertion(&signed, 800), Ok(()));
        assert!(check_assertion(&signed, 1000).is_err(), "expired");
        assert!(check_assertion(&signed, 100).is_err(), "valid for too long");
        assert!(check_assertion(&signed[..signed.len() - 300], 800).is_err(), "a short signature");
        assert!(check_assertion("a.b", 800).is_err());
        assert!(check_assertion("", 800).is_err());
    }

    #[test]
    fn unknown_grants_are_refused() {
        let mut tokens = Tokens::new(Duration::from_mins(1), false);
        for asked in [form(&[]), form(&[("grant_type", "password")]), form(&[("grant_type", "client_credentials")])] {
            assert!(tokens.give(&asked, "http://x", Instant::now(), 0).is_err());
        }
    }
}
