//! `[crm.NAME]`.

use std::net::IpAddr;

use secrecy::ExposeSecret;

use super::keys::{Cases, Form, Key, Keys, PATH, SHARE, TEXT, Words, text};
use super::model::{Auth, Crm, CrmKind, Limits};
use super::secret;
use super::section::{Found, Section};
use super::source::pem_file;
use super::units;

static KINDS: Words<CrmKind> = Words {
    words: &[("salesforce", CrmKind::Salesforce)],
    later: &["hubspot", "dynamics", "dataverse", "zoho", "pipedrive", "brevo", "odoo", "twenty", "http", "csv"],
};

/// The keys of `[crm.NAME]`.
pub(super) static KEYS: Keys = Keys::all(&[
    Key::need("kind", Form::Words(&KINDS), r#""salesforce""#, "which CRM (others: not yet)"),
    Key::need(
        "url",
        text("URL", r#"^https?://[^\s/@?#"]+/*$"#),
        r#""https://acme.my.salesforce.com""#,
        "the org's My Domain: `\"https://acme.my.salesforce.com\"`, `\"https://acme--test.sandbox.my.salesforce.com\"`. `https`, or `http` on a loopback address",
    ),
    Key::need(
        "auth",
        Form::Table(&AUTH),
        r#"{ method = "token", token = { env = "SF_TOKEN" } }"#,
        "how we show who we are; see below",
    ),
    Key::or("limits", Form::Table(&LIMITS), "{}", "what may be used; see below")
        .such_as(r#"{ per_second = 25, per_day = 80000, reserve = "10%" }"#),
    Key::maybe(
        "expect",
        Form::Table(&EXPECT),
        r#"{ org = "00D5g000004Xyz1EAC" }"#,
        "the id of the org that must be found (15 or 18 characters; Setup, Company Information). It is asked for before the first write after a start; at another org nothing is written, and `status` says so",
    )
    .without("any org"),
    Key::maybe(
        "proxy",
        text("URL", r#"^https?://[^\s/@?#"]+/*$"#),
        r#""http://proxy.example:3128""#,
        "every request goes through it, those that sign in as well. `HTTPS_PROXY` of the environment is not used",
    ),
    Key::maybe(
        "ca",
        PATH,
        r#""/etc/passerelle/proxy-ca.pem""#,
        "PEM file of authorities to trust beside the system's, for a proxy that opens TLS",
    ),
]);

static EXPECT: Keys = Keys::all(&[Key::need(
    "org",
    text("id", "^00D[A-Za-z0-9]{12}([A-Za-z0-9]{3})?$"),
    r#""00D5g000004Xyz1EAC""#,
    "the org's id",
)]);

/// The keys of `auth`.
pub(super) static AUTH: Keys = Keys {
    keys: &[
        Key::need(
            "method",
            Form::Words(&METHODS),
            r#""jwt""#,
            "`\"token\"`: an access token that someone else keeps fresh; `\"jwt\"`: OAuth 2.0 JWT bearer; `\"client_credentials\"`: OAuth 2.0 client credentials",
        ),
        Key::need("token", secret::FORM, r#"{ credential = "salesforce-token" }"#, "the access token").with(&["token"]),
        Key::need("client_id", TEXT, r#""3MVG9…""#, "the consumer key of the connected app")
            .with(&["jwt", "client_credentials"]),
        Key::need("username", TEXT, r#""passerelle@acme.example""#, "the user to act as, approved beforehand")
            .with(&["jwt"]),
        Key::need(
            "private_key",
            secret::FORM,
            r#"{ file = "/etc/passerelle/secrets/salesforce.pem" }"#,
            "RSA key in PEM",
        )
        .with(&["jwt"]),
        Key::need("client_secret", secret::FORM, r#"{ credential = "salesforce" }"#, "the consumer secret")
            .with(&["client_credentials"]),
        Key::maybe("audience", BASE_URL, r#""https://login.salesforce.com""#, "whom the token is for")
            .without("`\"https://login.salesforce.com\"`, for a sandbox's `url` `\"https://test.salesforce.com\"`")
            .with(&["jwt"]),
        Key::maybe("token_url", BASE_URL, r#""https://acme.my.salesforce.com""#, "where to ask for the token")
            .without("the audience, with `client_credentials` the CRM's `url`")
            .with(&["jwt", "client_credentials"]),
    ],
    cases: Cases::Word("method"),
};

/// An address that secrets may be sent to.
const BASE_URL: Form = text("URL", "^https?://");

/// The keys of `limits`.
pub(super) static LIMITS: Keys = Keys::all(&[
    Key::maybe("per_second", CALLS, "25", "calls in any second").without("no limit"),
    Key::maybe("per_10_seconds", CALLS, "190", "calls in any 10 seconds").without("no limit"),
    Key::maybe("per_minute", CALLS, "1000", "calls in any minute").without("no limit"),
    Key::maybe("per_day", Form::Whole { least: 1, most: u64::MAX as i128 }, "80000", "calls in any 24 hours")
        .without("no limit"),
    Key::or("concurrent", Form::Whole { least: 1, most: 256 }, "8", "requests at once"),
    Key::or("reserve", SHARE, r#""0%""#, "of the day, left to people and other integrations; less than `\"100%\"`"),
]);

const CALLS: Form = Form::Whole { least: 1, most: u32::MAX as i128 };

/// Reads `[crm.NAME]`.
pub(super) fn read(name: &str, mut section: Section<'_>) -> Option<Crm> {
    let kind = section.need("kind", |found| found.word(&KINDS));
    let url = section.need("url", url);
    let auth = section.need("auth", |found| auth(found, url.as_deref()));
    let limits = section.or("limits", limits);
    let expect_org = section.maybe("expect", expect);
    let proxy = section.maybe("proxy", proxy);
    let ca = section.maybe("ca", pem_file);
    section.finish(|_| None);
    Some(Crm {
        name: name.to_owned(),
        kind: kind?,
        url: url?,
        auth: auth?,
        limits: limits?,
        expect_org: expect_org?,
        proxy: proxy?,
        ca: ca?,
    })
}

/// `expect = { org = "00D…" }`.
fn expect(found: &Found<'_>) -> Option<String> {
    let mut section = found.table()?;
    let org = section.need("org", |found| {
        let text = found.text()?;
        let is_id = matches!(text.len(), 15 | 18) && text.chars().all(|char| char.is_ascii_alphanumeric());
        if is_id && text.starts_with("00D") {
            return Some(text.to_owned());
        }
        found.fault(
            format!("`{text}` is not the id of an org"),
            "15 or 18 letters and digits that begin with 00D: Setup, Company Information, Salesforce.com Organization ID",
        )
    });
    section.finish(|_| Some(format!("expect = {}", EXPECT.forms())));
    org
}

/// `http://host:port`. A secret has no place in it: requests stay encrypted to the CRM.
pub(super) fn proxy(found: &Found<'_>) -> Option<String> {
    const FORM: &str = "proxy = \"http://proxy.example:3128\"";
    let text = found.text()?.trim_end_matches('/');
    let Some((scheme, authority)) = text.split_once("://") else {
        return found.fault("`proxy` is not a URL", FORM);
    };
    if authority.contains('@') {
        return found.fault(
            "`proxy` has a user name or password in it",
            "a proxy that asks for a password is not supported: let it admit this machine by its address",
        );
    }
    if !matches!(scheme, "http" | "https") {
        return found.fault(format!("`{scheme}` is not a scheme of a proxy"), FORM);
    }
    let is_plain = !authority.is_empty()
        && !authority.contains(|char: char| char.is_whitespace() || matches!(char, '/' | '?' | '#' | '"'));
    if is_plain { Some(text.to_owned()) } else { found.fault("`proxy` is an address without a path", FORM) }
}

/// `https://host[:port]`, or `http` for a loopback address, where the sandbox listens. Without the slash at its end.
fn url(found: &Found<'_>) -> Option<String> {
    let text = base_url(found)?;
    let host = text.split_once("://").map_or("", |(_, host)| host);
    if host.contains('/') {
        let base = text.splitn(4, '/').take(3).collect::<Vec<_>>().join("/");
        return found.fault("`url` is the org's address without a path", format!("url = \"{base}\""));
    }
    if let Some(org) = host.strip_suffix(".lightning.force.com") {
        let hint = format!("url = \"https://{org}.my.salesforce.com\" (Setup, My Domain)");
        return found.fault("that is the address of the pages, not of the API", hint);
    }
    Some(text)
}

/// An address that secrets may be sent to.
fn base_url(found: &Found<'_>) -> Option<String> {
    let text = found.text()?.trim_end_matches('/');
    let form = format!("{} = \"https://acme.my.salesforce.com\"", found.name);
    let Some((scheme, rest)) = text.split_once("://") else {
        return found.fault(format!("`{}` is not a URL", found.name), form);
    };
    let authority = rest.split('/').next().unwrap_or_default();
    // The message must not repeat what stands before the @.
    if authority.contains('@') {
        return found.fault(
            format!("`{}` has a user name or password in it", found.name),
            "take it out; `auth` says who we are",
        );
    }
    if authority.is_empty()
        || text.contains(|char: char| char.is_whitespace() || char == '"')
        || text.contains(['?', '#'])
    {
        return found.fault(format!("`{}` is not the base of a URL", found.name), form);
    }
    match scheme {
        "https" => Some(text.to_owned()),
        "http" if is_loopback(authority) => Some(text.to_owned()),
        "http" => found.fault(
            format!("`{}` must be https: the token would cross the network in plain text", found.name),
            format!("{} = \"https://{rest}\"", found.name),
        ),
        _ => found.fault(format!("`{scheme}` is not a scheme of a CRM's API"), form),
    }
}

pub(super) fn is_loopback(authority: &str) -> bool {
    let host = match authority.rsplit_once(':') {
        Some((host, port)) if port.parse::<u16>().is_ok() => host,
        _ => authority,
    };
    let host = host.trim_start_matches('[').trim_end_matches(']');
    host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[derive(Clone, Copy)]
enum Method {
    Token,
    Jwt,
    ClientCredentials,
}

static METHODS: Words<Method> = Words {
    words: &[("token", Method::Token), ("jwt", Method::Jwt), ("client_credentials", Method::ClientCredentials)],
    later: &["refresh_token"],
};

fn auth(found: &Found<'_>, url: Option<&str>) -> Option<Auth> {
    let mut section = found.table()?;
    match section.need("method", |found| found.word(&METHODS)) {
        Some(Method::Token) => {
            let token = section.need("token", secret::read);
            section.finish(|_| None);
            Some(Auth::Token { token: token? })
        }
        Some(Method::Jwt) => {
            let client_id = section.need("client_id", Found::string);
            let username = section.need("username", Found::string);
            let private_key = section.need("private_key", private_key);
            let audience = section.maybe("audience", base_url);
            let token_url = section.maybe("token_url", base_url);
            section.finish(|_| None);
            Some(Auth::Jwt {
                client_id: client_id?,
                username: username?,
                private_key: private_key?,
                audience: audience?.unwrap_or_else(|| default_audience(url)),
                token_url: token_url?,
            })
        }
        Some(Method::ClientCredentials) => {
            let client_id = section.need("client_id", Found::string);
            let client_secret = section.need("client_secret", secret::read);
            let token_url = section.maybe("token_url", base_url);
            section.finish(|_| None);
            Some(Auth::ClientCredentials {
                client_id: client_id?,
                client_secret: client_secret?,
                token_url: token_url?,
            })
        }
        None => {
            // Which keys would be right is not known without it.
            section.finish(|_| None);
            None
        }
    }
}

fn private_key(found: &Found<'_>) -> Option<secrecy::SecretString> {
    let key = secret::read(found)?;
    if found.context.read_secrets && !key.expose_secret().trim_start().starts_with("-----BEGIN") {
        return found.fault("`private_key` is not a PEM file", "it starts with -----BEGIN PRIVATE KEY-----");
    }
    Some(key)
}

/// Salesforce: sandboxes have a login host of their own.
fn default_audience(url: Option<&str>) -> String {
    let sandbox = url.is_some_and(|url| url.contains(".sandbox.my."));
    if sandbox { "https://test.salesforce.com" } else { "https://login.salesforce.com" }.to_owned()
}

fn limits(found: &Found<'_>) -> Option<Limits> {
    let mut section = found.table()?;
    let per_second = section.maybe("per_second", Found::int);
    let per_10_seconds = section.maybe("per_10_seconds", Found::int);
    let per_minute = section.maybe("per_minute", Found::int);
    let per_day = section.maybe("per_day", Found::int);
    let concurrent = section.or("concurrent", |found| found.int());
    let reserve = section.or("reserve", reserve);
    section.finish(|_| None);
    Some(Limits {
        per_second: per_second?,
        per_10_seconds: per_10_seconds?,
        per_minute: per_minute?,
        per_day: per_day?,
        concurrent: Some(concurrent?),
        reserve: reserve?,
    })
}

fn reserve(found: &Found<'_>) -> Option<f64> {
    let share = found.parsed("a share", units::share)?;
    if share >= 1.0 {
        return found.fault(
            "`reserve` leaves nothing for passerelle",
            "the share of the day's calls that is left to others: reserve = \"10%\"",
        );
    }
    Some(share)
}
