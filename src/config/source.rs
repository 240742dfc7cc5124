//! `[source.NAME]`.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use super::model::{Source, SourceKind, Tls};
use super::nearest::nearest;
use super::secret;
use super::section::{Found, Section};

/// The longest name PostgreSQL keeps, in bytes.
const LONGEST_IDENTIFIER: usize = 63;

/// Reads `[source.NAME]`.
pub(super) fn read(name: &str, mut section: Section<'_>) -> Option<Source> {
    let kind = section.need("kind", "\"postgres\"", |found| {
        found.one_of(&[("postgres", SourceKind::Postgres)], &["mysql", "mariadb", "files", "sqlserver"])
    });
    let host = section.need("host", "\"127.0.0.1\"", host);
    let port = section.or("port", 5432, |found| found.int(1..=65_535));
    let database = section.need("database", "\"odoo\"", Found::string);
    let user = section.need("user", "\"passerelle\"", Found::string);
    let password = section.maybe("password", secret::read);
    let tls = section.maybe("tls", |found| tls(found, host.as_deref()));
    let tls_files = ["tls_ca", "tls_cert", "tls_key"].map(|key| section.take(key));
    let [tls_ca, tls_cert, tls_key] =
        tls_files.map(|found| found.map_or(Some(None), |found| pem_file(&found).map(Some)));
    let default_name = default_name(name);
    let slot = section.or("slot", default_name.clone(), slot);
    let publication = section.or("publication", default_name, publication);
    let time_zone = section.or("time_zone", "UTC".to_owned(), time_zone);
    let prefix = section.or("prefix", String::new(), prefix);
    section.later(&[("server_id", "it belongs to MySQL and MariaDB; for PostgreSQL leave it out")]);
    let place = section.place;
    let context = section.context;
    section.finish(|_| None);

    let tls = tls?.or_else(|| host.as_deref().map(default_tls));
    if let [_, Some(one), None] | [_, None, Some(one)] = tls_files {
        let other = if one.name == "tls_cert" { "tls_key" } else { "tls_cert" };
        context.note(
            super::Fault::error(format!("`{}` needs `{other}` beside it", one.name))
                .at(one.key_place)
                .hint(format!("add {other} = \"FILE\"")),
        );
        return None;
    }
    if let ([Some(ca), ..], Some(Tls::Disable | Tls::Prefer | Tls::Require)) = (tls_files, tls) {
        ca.warn(
            "`tls_ca` is not looked at: only verify-ca and verify-full check the certificate",
            "set tls = \"verify-full\"",
        );
    }
    let source = Source {
        name: name.to_owned(),
        kind: kind?,
        host: host?,
        port: port?,
        database: database?,
        user: user?,
        password: password?,
        tls: tls?,
        tls_ca: tls_ca?,
        tls_cert: tls_cert?,
        tls_key: tls_key?,
        slot: slot?,
        publication: publication?,
        time_zone: time_zone?,
        prefix: prefix?,
    };
    if matches!(source.tls, Tls::Disable | Tls::Prefer) && !is_local(&source.host) {
        let message = format!("the connection to {} can be read on the way", source.host);
        context.note(super::Fault::warning(message).at(place).hint("set tls = \"verify-full\""));
    }
    Some(source)
}

fn host(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    if text.contains("://") {
        return found.fault(
            "`host` is an address, not a URL",
            "host = \"db.example\", with port, database and user as keys of their own",
        );
    }
    let brackets = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
    let text = brackets.unwrap_or(text);
    if text.starts_with('/') || text.parse::<IpAddr>().is_ok() {
        return Some(text.to_owned());
    }
    if let Some((host, port)) = text.rsplit_once(':') {
        return found.fault("the port is a key of its own", format!("host = \"{host}\" and port = {port}"));
    }
    if text.contains(|char: char| char.is_whitespace() || char == '/') {
        return found.fault(
            format!("`{text}` is not a host name"),
            "a name, an address, or the folder of a Unix socket (/run/postgresql)",
        );
    }
    Some(text.to_owned())
}

fn tls(found: &Found<'_>, host: Option<&str>) -> Option<Tls> {
    let words = [
        ("disable", Tls::Disable),
        ("prefer", Tls::Prefer),
        ("require", Tls::Require),
        ("verify-ca", Tls::VerifyCa),
        ("verify-full", Tls::VerifyFull),
    ];
    let tls = found.one_of(&words, &[])?;
    let over_socket = host.is_some_and(|host| host.starts_with('/'));
    if over_socket && matches!(tls, Tls::Require | Tls::VerifyCa | Tls::VerifyFull) {
        return found.fault("there is no TLS over a Unix socket", "leave `tls` out, or name the host by its address");
    }
    Some(tls)
}

/// Nothing leaves the machine: no TLS asked for. Else the full check.
fn default_tls(host: &str) -> Tls {
    match host {
        _ if host.starts_with('/') => Tls::Disable,
        _ if is_local(host) => Tls::Prefer,
        _ => Tls::VerifyFull,
    }
}

fn is_local(host: &str) -> bool {
    host.starts_with('/') || host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

/// A PEM file that can be read.
pub(super) fn pem_file(found: &Found<'_>) -> Option<PathBuf> {
    let path = found.path()?;
    if found.context.read_secrets
        && let Err(error) = fs::File::open(&path)
    {
        return found
            .fault(format!("cannot read {}: {error}", path.display()), "a PEM file that the user passerelle can read");
    }
    Some(path)
}

/// `passerelle_<source>` with what a slot's name may not have as `_`.
fn default_name(source: &str) -> String {
    let name: String =
        source.to_lowercase().chars().map(|char| if char.is_ascii_alphanumeric() { char } else { '_' }).collect();
    let mut name = format!("passerelle_{name}");
    name.truncate(LONGEST_IDENTIFIER);
    name
}

/// PostgreSQL, "Replication slots": lower-case letters, numbers and the underscore.
fn slot(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    let fits = text.len() <= LONGEST_IDENTIFIER
        && text.chars().all(|char| char.is_ascii_lowercase() || char.is_ascii_digit() || char == '_');
    if fits {
        return Some(text.to_owned());
    }
    let hint = format!(
        "lower-case letters, digits and _, at most {LONGEST_IDENTIFIER}: slot = \"{}\"",
        default_name(text).trim_start_matches("passerelle_")
    );
    found.fault(format!("PostgreSQL takes no slot named `{text}`"), hint)
}

fn publication(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    if text.len() <= LONGEST_IDENTIFIER && !text.chars().any(char::is_control) {
        return Some(text.to_owned());
    }
    found.fault(
        "PostgreSQL takes no publication of that name",
        format!("at most {LONGEST_IDENTIFIER} bytes, no control characters"),
    )
}

/// What a table's name begins with: without a schema, which stands in `table`.
fn prefix(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    if text.contains('"') || text.contains('`') {
        let plain = text.replace(['"', '`'], "");
        return found.fault("names of tables are quoted by passerelle", format!("prefix = \"{plain}\""));
    }
    if let Some((schema, rest)) = text.split_once('.') {
        let hint = format!("prefix = \"{rest}\", and the schema in each mapping: table = \"{schema}.customer\"");
        return found.fault("`prefix` is of a table's name, not of its schema", hint);
    }
    Some(text.to_owned())
}

fn time_zone(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    let zones = jiff::tz::db();
    if zones.get(text).is_ok() {
        return Some(text.to_owned());
    }
    let known: Vec<_> = zones.available().map(|zone| zone.as_str().to_owned()).collect();
    // A machine without the database has none to compare with.
    if known.is_empty() {
        return Some(text.to_owned());
    }
    let near = nearest(text, known.iter().map(String::as_str));
    let form = || "a name of the IANA database: \"UTC\", \"Europe/Paris\"".to_owned();
    let hint = near.map_or_else(form, |near| format!("did you mean \"{near}\"?"));
    found.fault(format!("there is no time zone `{text}`"), hint)
}
