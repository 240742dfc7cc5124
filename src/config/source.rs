//! `[source.NAME]`.

use std::fs;
use std::net::IpAddr;
use std::path::PathBuf;

use super::keys::{Cases, Form, Key, Keys, PATH, TEXT, Words, text};
use super::model::{Flavor, Mysql, Postgres, PublishColumns, Source, SourceKind, Tinyint1, Tls, ZeroDates};
use super::nearest::nearest;
use super::secret;
use super::section::{Found, Section};

/// The longest name PostgreSQL keeps, in bytes.
const LONGEST_IDENTIFIER: usize = 63;

/// Which kind of database.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Postgres,
    Mysql(Flavor),
}

static KINDS: Words<Kind> = Words {
    words: &[
        ("postgres", Kind::Postgres),
        ("mysql", Kind::Mysql(Flavor::Mysql)),
        ("mariadb", Kind::Mysql(Flavor::Mariadb)),
    ],
    later: &["files", "sqlserver"],
};

const POSTGRES: &[&str] = &["postgres"];
const MYSQL: &[&str] = &["mysql", "mariadb"];

static PUBLISH_COLUMNS: Words<PublishColumns> =
    Words::new(&[("all", PublishColumns::All), ("mapped", PublishColumns::Mapped)]);
static ZERO_DATES: Words<ZeroDates> =
    Words::new(&[("null", ZeroDates::Null), ("text", ZeroDates::Text), ("dead_letter", ZeroDates::DeadLetter)]);

static TINYINT1: Words<Tinyint1> = Words::new(&[("bool", Tinyint1::Bool), ("int", Tinyint1::Int)]);

static TLS: Words<Tls> = Words::new(&[
    ("disable", Tls::Disable),
    ("prefer", Tls::Prefer),
    ("require", Tls::Require),
    ("verify-ca", Tls::VerifyCa),
    ("verify-full", Tls::VerifyFull),
]);

/// The keys of `[source.NAME]`.
pub(super) static KEYS: Keys = Keys { keys: KEYS_OF_ALL_KINDS, cases: Cases::Word("kind") };

const KEYS_OF_ALL_KINDS: &[Key] = &[
    Key::need(
        "kind",
        Form::Words(&KINDS),
        r#""postgres""#,
        "PostgreSQL 11 and later; MySQL 5.6 and later, or what has grown from it (Percona Server, Aurora); MariaDB 10.2 and later",
    ),
    Key::need(
        "host",
        // A name, a folder, or an address; a port is a key of its own.
        text("text", r"^(/|[^\s/:]+$|\[?[0-9A-Fa-f.]*:[0-9A-Fa-f.]*:[0-9A-Fa-f:.]*\]?$)"),
        r#""127.0.0.1""#,
        "a name, an address, or the folder of a Unix socket: `\"/run/postgresql\"`; of MySQL and MariaDB also the socket's path: `\"/run/mysqld/mysqld.sock\"`",
    ),
    Key::maybe("port", Form::Whole { least: 1, most: 65_535 }, "5432", "the server's port")
        .without("`5432`, of MySQL and MariaDB `3306`"),
    Key::need(
        "database",
        TEXT,
        r#""odoo""#,
        "the database's name. Of MySQL and MariaDB the one of tables that are named without theirs; mappings may name tables of others",
    ),
    Key::need(
        "user",
        TEXT,
        r#""passerelle""#,
        "a user with `SELECT` on the mapped tables, and `REPLICATION`; of MySQL and MariaDB `REPLICATION SLAVE` and `REPLICATION CLIENT`",
    ),
    Key::maybe(
        "password",
        secret::FORM,
        r#"{ credential = "erp" }"#,
        "not needed with peer authentication or a client certificate",
    ),
    Key::maybe("tls", Form::Words(&TLS), r#""verify-full""#, "how the connection is protected; see below")
        .without("as `host` needs it"),
    Key::maybe(
        "tls_ca",
        PATH,
        r#""/etc/passerelle/erp-ca.pem""#,
        "PEM file of the authorities to trust, for `verify-ca` and `verify-full`",
    )
    .without("the system's"),
    Key::maybe("tls_cert", PATH, r#""/etc/passerelle/erp.pem""#, "PEM file of a client certificate").beside("tls_key"),
    Key::maybe("tls_key", PATH, r#""/etc/passerelle/erp-key.pem""#, "PEM file of its key").beside("tls_cert"),
    Key::maybe(
        "slot",
        text("text", "^[a-z0-9_]{1,63}$"),
        r#""passerelle_erp""#,
        "replication slot, made if it is not there. Lower-case letters, digits and `_`, at most 63. Two sources on one server cannot share one",
    )
    .without("`passerelle_NAME`")
    .with(POSTGRES),
    Key::maybe(
        "publication",
        text("text", r"^[^\x00-\x1f]{1,63}$"),
        r#""passerelle_erp""#,
        "publication, made if it is not there",
    )
    .without("`passerelle_NAME`")
    .with(POSTGRES),
    Key::or(
        "publish_columns",
        Form::Words(&PUBLISH_COLUMNS),
        r#""all""#,
        "which columns of the mapped tables leave the server: all, and what nobody maps is passed over here; or `\"mapped\"`, from version 15 on, at a price: PostgreSQL then refuses the application to drop a mapped column or to change its type",
    )
    .with(POSTGRES),
    Key::maybe(
        "server_id",
        Form::Whole { least: 1, most: u32::MAX as i128 },
        "4001",
        "the number by which the server knows us among its replicas; no other replica, and no server that it replicates with, may have it",
    )
    .without("one by chance")
    .with(MYSQL),
    Key::or(
        "zero_dates",
        Form::Words(&ZERO_DATES),
        r#""null""#,
        "what is made of dates that no calendar has, `0000-00-00`: null, the text that the server shows, or a bad value",
    )
    .with(MYSQL),
    Key::or(
        "tinyint1",
        Form::Words(&TINYINT1),
        r#""bool""#,
        "what `tinyint(1)` is, which `BOOL` is a name for: true or false, or a number. Unsigned ones are numbers",
    )
    .with(MYSQL),
    Key::or(
        "time_zone",
        text("IANA name", r"\S"),
        r#""UTC""#,
        "what a timestamp without time zone means: `\"Europe/Paris\"`",
    ),
    Key::maybe(
        "prefix",
        text("text", r#"^[^."`]+$"#),
        r#""ps_""#,
        "what the tables' names begin with (`\"ps_\"`): mappings say `\"public.customer\"`, the table is `public.ps_customer`. A name that has it already stays as it is",
    ),
];

/// Reads `[source.NAME]`.
pub(super) fn read(name: &str, mut section: Section<'_>) -> Option<Source> {
    let kind = section.need("kind", |found| found.word(&KINDS));
    let host = section.need("host", host);
    let port = section.maybe("port", |found| found.int());
    let database = section.need("database", Found::string);
    let user = section.need("user", Found::string);
    let password = section.maybe("password", secret::read);
    let tls = section.maybe("tls", |found| tls(found, host.as_deref()));
    let authorities = section.find("tls_ca");
    let [tls_ca, tls_cert, tls_key] = ["tls_ca", "tls_cert", "tls_key"].map(|key| section.maybe(key, pem_file));
    let slot = section.maybe("slot", slot);
    let publication = section.maybe("publication", publication);
    let publish_columns = section.or("publish_columns", |found| found.word(&PUBLISH_COLUMNS));
    let server_id = section.maybe("server_id", |found| found.int());
    let zero_dates = section.or("zero_dates", |found| found.word(&ZERO_DATES));
    let tinyint1 = section.or("tinyint1", |found| found.word(&TINYINT1));
    let time_zone = section.or("time_zone", time_zone);
    let prefix = section.maybe("prefix", prefix);
    let place = section.place;
    let context = section.context;
    section.finish(|key| of_another_kind(key).map(str::to_owned));

    let tls = tls?.or_else(|| host.as_deref().map(default_tls));
    if let (Some(ca), Some(Tls::Disable | Tls::Prefer | Tls::Require)) = (authorities, tls) {
        ca.warn(
            "`tls_ca` is not looked at: only verify-ca and verify-full check the certificate",
            "set tls = \"verify-full\"",
        );
    }
    let (kind, default_port) = match kind? {
        Kind::Postgres => {
            let settings = Postgres {
                slot: slot?.unwrap_or_else(|| default_name(name)),
                publication: publication?.unwrap_or_else(|| default_name(name)),
                publish_columns: publish_columns?,
            };
            (SourceKind::Postgres(settings), 5432)
        }
        Kind::Mysql(flavor) => {
            let settings = Mysql { flavor, server_id: server_id?, zero_dates: zero_dates?, tinyint1: tinyint1? };
            (SourceKind::Mysql(settings), 3306)
        }
    };
    let source = Source {
        name: name.to_owned(),
        kind,
        host: host?,
        port: port?.unwrap_or(default_port),
        database: database?,
        user: user?,
        password: password?,
        tls: tls?,
        tls_ca: tls_ca?,
        tls_cert: tls_cert?,
        tls_key: tls_key?,
        time_zone: time_zone?,
        prefix: prefix?.unwrap_or_default(),
    };
    if matches!(source.tls, Tls::Disable | Tls::Prefer) && !is_local(&source.host) {
        let message = format!("the connection to {} can be read on the way", source.host);
        context.note(super::Fault::warning(message).at(place).hint("set tls = \"verify-full\""));
    }
    Some(source)
}

/// What to do about a key that belongs to another kind of database.
fn of_another_kind(key: &str) -> Option<&'static str> {
    match key {
        "slot" | "publication" | "publish_columns" => {
            Some("leave it out: these servers know neither slots nor publications, and know us by `server_id`")
        }
        "server_id" => Some("leave it out: PostgreSQL knows us by `slot`"),
        "zero_dates" => Some("leave it out: PostgreSQL has no such dates"),
        "tinyint1" => Some("leave it out: PostgreSQL has booleans"),
        _ => None,
    }
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
    let tls = found.word(&TLS)?;
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
