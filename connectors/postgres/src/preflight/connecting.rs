//! Why a connection failed, and the line or statement that mends it. Pure.

use crate::{Error, Options, ServerError, sql};
use passerelle_change::{Class, Finding};

/// Before version 14 a server keeps new passwords as md5, which the method of our line of `pg_hba.conf` does not take;
/// while the connection fails, nobody knows its version.
const SCRAM: &str = "SET password_encryption = 'scram-sha-256'; ";

/// The finding of a failed connection.
pub(super) fn finding(options: &Options, error: &Error) -> Finding {
    match error {
        Error::Server(server) => of_server(options, server),
        Error::NotAServer { address } => Finding::fault(
            "pooler",
            format!("{address} is a connection pooler, not the server"),
            "poolers such as PgBouncer and RDS Proxy do not pass on the replication protocol",
        )
        .mended_by("set `host` and `port` of the source to the server itself"),
        Error::TooOld { .. } => {
            let title = format!("{} is too old", options.address());
            Finding::fault("version", title, error.to_string()).mended_by("upgrade the server")
        }
        other => {
            let finding = Finding::fault("connect", format!("cannot connect to {}", options.address()), told(other));
            match other.class() {
                Class::Operator { hint } => finding.mended_by(hint),
                Class::Transient | Class::Fatal => finding,
            }
        }
    }
}

fn of_server(options: &Options, error: &ServerError) -> Finding {
    let user = sql::identifier(&options.user);
    let fault = |code, title: String| Finding::fault(code, title, error.message.clone());
    match error.code.as_str() {
        "28000" if error.message.contains("pg_hba.conf") => fault(
            "pg_hba",
            format!("pg_hba.conf does not let {} in", options.user),
        )
        .mended_by(format!("{}\n{}", hba_line(options, &error.message), hba_then(&error.message))),
        "28000" if error.message.contains("does not exist") => {
            fault("role", format!("there is no role {}", options.user))
                .mended_by(format!("{SCRAM}CREATE ROLE {user} LOGIN REPLICATION PASSWORD '…';"))
        }
        "28000" if error.message.contains("log in") => {
            fault("role", format!("{} may not log in", options.user)).mended_by(format!("ALTER ROLE {user} LOGIN;"))
        }
        "28P01" => fault("password", format!("the password of {} is wrong", options.user))
            .mended_by(format!("correct `password` of the source, or: {SCRAM}ALTER ROLE {user} PASSWORD '…';")),
        "3D000" => fault("database", format!("there is no database {}", options.database))
            .mended_by("correct `database` of the source"),
        "42501" => fault("role", format!("{} may not connect as it must", options.user)).mended_by(format!(
            "ALTER ROLE {user} REPLICATION; GRANT CONNECT ON DATABASE {} TO {user};",
            sql::identifier(&options.database)
        )),
        "53300" => fault("connections", "the server has no connection left".into()).mended_by(
            "ALTER SYSTEM SET max_connections = …; ALTER SYSTEM SET max_wal_senders = …; then restart the server",
        ),
        _ => {
            let finding = fault("connect", format!("{} refused the connection", options.address()));
            match Error::Server(error.clone()).class() {
                Class::Operator { hint } => finding.mended_by(hint),
                Class::Transient | Class::Fatal => finding,
            }
        }
    }
}

/// The line that lets this user in from where the server saw it come. Logical replication is let in by the database's
/// name; the keyword `replication` is for physical replication alone (the manual, "The pg_hba.conf File").
fn hba_line(options: &Options, message: &str) -> String {
    let (database, user) = (hba_name(&options.database), hba_name(&options.user));
    let from = message.split_once("host \"").and_then(|(_, rest)| rest.split_once('"')).map(|(address, _)| address);
    match from {
        None | Some("[local]") => format!("local {database} {user} scram-sha-256"),
        Some(address) => {
            let kind =
                if message.contains("SSL encryption") || message.contains("SSL on") { "hostssl" } else { "host" };
            let bits = if address.contains(':') { 128 } else { 32 };
            format!("{kind} {database} {user} {address}/{bits} scram-sha-256")
        }
    }
}

/// The first line that fits counts.
fn hba_then(message: &str) -> &'static str {
    if message.contains("rejects") {
        "above the line that rejects it; then: SELECT pg_reload_conf();"
    } else {
        "then: SELECT pg_reload_conf();"
    }
}

/// Names with anything unusual in them, and those that are keywords there, stand in quotes.
fn hba_name(name: &str) -> String {
    let plain = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    let keyword = ["all", "sameuser", "samerole", "samegroup", "replication"].contains(&name);
    if plain && !keyword && !name.is_empty() { name.to_owned() } else { format!("\"{}\"", name.replace('"', "\"\"")) }
}

/// An error and what it came from.
fn told(error: &Error) -> String {
    let mut told = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        told = format!("{told}: {cause}");
        source = cause.source();
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::TlsMode;

    fn options() -> Options {
        Options {
            host: "db".into(),
            port: 5432,
            database: "odoo".into(),
            user: "erp-sync".into(),
            password: None,
            tls: TlsMode::Prefer,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            application_name: "passerelle".into(),
        }
    }

    fn check(code: &str, message: &str, found: &str, remedy: &str) {
        let error = Error::Server(ServerError { code: code.into(), message: message.into(), hint: None });
        let finding = finding(&options(), &error);
        assert_eq!((finding.code, finding.remedy.as_deref()), (found, Some(remedy)));
    }

    #[test]
    fn pg_48_the_line_of_pg_hba_is_exact() {
        let then = "\nthen: SELECT pg_reload_conf();";
        check(
            "28000",
            "no pg_hba.conf entry for host \"10.1.2.3\", user \"erp-sync\", database \"odoo\", no encryption",
            "pg_hba",
            &format!("host odoo \"erp-sync\" 10.1.2.3/32 scram-sha-256{then}"),
        );
        check(
            "28000",
            "no pg_hba.conf entry for host \"fd00::1\", user \"erp-sync\", database \"odoo\", SSL encryption",
            "pg_hba",
            &format!("hostssl odoo \"erp-sync\" fd00::1/128 scram-sha-256{then}"),
        );
        check(
            "28000",
            "no pg_hba.conf entry for host \"[local]\", user \"erp-sync\", database \"odoo\", no encryption",
            "pg_hba",
            &format!("local odoo \"erp-sync\" scram-sha-256{then}"),
        );
    }

    #[test]
    fn pg_48_roles_and_databases_that_are_not_there() {
        check(
            "28000",
            "role \"erp-sync\" does not exist",
            "role",
            "SET password_encryption = 'scram-sha-256'; CREATE ROLE \"erp-sync\" LOGIN REPLICATION PASSWORD '…';",
        );
        check("3D000", "database \"odoo\" does not exist", "database", "correct `database` of the source");
    }

    #[test]
    fn pg_47_a_pooler_is_named() {
        assert_eq!(finding(&options(), &Error::NotAServer { address: "db:6432".into() }).code, "pooler");
    }
}
