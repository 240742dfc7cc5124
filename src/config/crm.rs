//! `[crm.NAME]`.

use std::net::IpAddr;

use secrecy::ExposeSecret;

use super::model::{Auth, Crm, CrmKind, Limits};
use super::secret;
use super::section::{Found, Section};
use super::source::pem_file;
use super::units;

/// Requests at once where nothing is said.
const DEFAULT_CONCURRENT: u32 = 8;

/// Reads `[crm.NAME]`.
pub(super) fn read(name: &str, mut section: Section<'_>) -> Option<Crm> {
    let kind = section.need("kind", "\"salesforce\"", |found| {
        let later = ["hubspot", "dynamics", "dataverse", "zoho", "pipedrive", "brevo", "odoo", "twenty", "http", "csv"];
        found.one_of(&[("salesforce", CrmKind::Salesforce)], &later)
    });
    let url = section.need("url", "\"https://acme.my.salesforce.com\"", url);
    let example = "{ method = \"token\", token = { env = \"SF_TOKEN\" } }";
    let auth = section.need("auth", example, |found| auth(found, url.as_deref()));
    let limits = section.or("limits", Limits { concurrent: Some(DEFAULT_CONCURRENT), ..Limits::default() }, limits);
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
    let form = "{ org = \"00D5g000004Xyz1EAC\" }";
    let mut section = found.table_like(form)?;
    let org = section.need("org", "\"00D5g000004Xyz1EAC\"", |found| {
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
    section.finish(|_| Some(format!("expect = {form}")));
    org
}

/// `http://host:port`. A secret has no place in it: requests stay encrypted to the CRM.
fn proxy(found: &Found<'_>) -> Option<String> {
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

fn is_loopback(authority: &str) -> bool {
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

fn auth(found: &Found<'_>, url: Option<&str>) -> Option<Auth> {
    let mut section = found.table_like("{ method = \"token\", token = { env = \"SF_TOKEN\" } }")?;
    let methods = [("token", Method::Token), ("jwt", Method::Jwt), ("client_credentials", Method::ClientCredentials)];
    let method = section.need("method", "\"token\", \"jwt\" or \"client_credentials\"", |found| {
        found.one_of(&methods, &["refresh_token"])
    });
    let Some(method) = method else {
        section.report_missing();
        return None;
    };
    let secret_example = "{ file = \"/etc/passerelle/secrets/salesforce\" }";
    let key_example = "\"3MVG9…\", the consumer key of the connected app";
    match method {
        Method::Token => {
            let token = section.need("token", secret_example, secret::read);
            section.finish(|key| other_method(key, "token"));
            Some(Auth::Token { token: token? })
        }
        Method::Jwt => {
            let client_id = section.need("client_id", key_example, Found::string);
            let username = section.need("username", "\"passerelle@acme.example\"", Found::string);
            let private_key =
                section.need("private_key", "{ file = \"/etc/passerelle/secrets/salesforce.pem\" }", private_key);
            let audience = section.or("audience", default_audience(url), base_url);
            let token_url = section.maybe("token_url", base_url);
            section.finish(|key| other_method(key, "jwt"));
            Some(Auth::Jwt {
                client_id: client_id?,
                username: username?,
                private_key: private_key?,
                audience: audience?,
                token_url: token_url?,
            })
        }
        Method::ClientCredentials => {
            let client_id = section.need("client_id", key_example, Found::string);
            let client_secret = section.need("client_secret", secret_example, secret::read);
            let token_url = section.maybe("token_url", base_url);
            section.finish(|key| other_method(key, "client_credentials"));
            Some(Auth::ClientCredentials {
                client_id: client_id?,
                client_secret: client_secret?,
                token_url: token_url?,
            })
        }
    }
}

/// A key that another method has.
fn other_method(key: &str, method: &str) -> Option<String> {
    let owner = match key {
        "token" => "token",
        "username" | "private_key" | "audience" => "jwt",
        "client_secret" => "client_credentials",
        "client_id" | "token_url" => "jwt or client_credentials",
        _ => return None,
    };
    Some(format!("`{key}` belongs to the method {owner}; this one is {method}"))
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
    let mut section = found.table_like("{ per_second = 25, per_day = 80000, reserve = \"10%\" }")?;
    let most = i128::from(u32::MAX);
    let per_second = section.maybe("per_second", |found| found.int(1..=most));
    let per_10_seconds = section.maybe("per_10_seconds", |found| found.int(1..=most));
    let per_minute = section.maybe("per_minute", |found| found.int(1..=most));
    let per_day = section.maybe("per_day", |found| found.int(1..=i128::from(u64::MAX)));
    let concurrent = section.or("concurrent", DEFAULT_CONCURRENT, |found| found.int(1..=256));
    let reserve = section.or("reserve", 0.0, reserve);
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
