//! Why a connection failed, and the line or statement that mends it. Pure.

use passerelle_change::{Class, Finding};

use crate::sql::literal;
use crate::{Error, Options, ServerError};

/// The finding of a failed connection.
pub(super) fn finding(options: &Options, error: &Error) -> Finding {
    let code = match error {
        Error::Server(server) => return of_server(options, server),
        Error::OtherFlavor { .. } => "kind",
        Error::ServerTooOld { .. } => "version",
        Error::ServerIdClash(_) => "server_id",
        Error::NoTls { .. } | Error::TlsHandshake { .. } | Error::TlsFile(_) | Error::TlsSettings(_) => "tls",
        Error::CleartextRefused | Error::Authentication(_) => "authentication",
        Error::Connect { .. }
        | Error::Broken(_)
        | Error::Closed
        | Error::Timeout { .. }
        | Error::Protocol(_)
        | Error::Catalog(_) => "connect",
        // Not of connecting; told all the same.
        _ => "check",
    };
    let finding = Finding::fault(code, format!("cannot connect to {}", options.address()), error.to_string());
    with_hint(finding, error)
}

fn of_server(options: &Options, error: &ServerError) -> Finding {
    let user = account(options, &error.message);
    let fault = |code, title: String| Finding::fault(code, title, error.message.clone());
    match error.code {
        // 1698: the account has a plugin that takes no password from us.
        1045 | 1698 => fault("password", format!("{} is not let in as {}", options.user, user)).mended_by(format!(
            "correct `user` and `password` of the source, or: CREATE USER IF NOT EXISTS {user} IDENTIFIED BY '…'; \
             ALTER USER {user} IDENTIFIED BY '…';"
        )),
        1130 => fault("host", "the server lets nobody in from this host".into())
            .mended_by(format!("CREATE USER {user} IDENTIFIED BY '…';")),
        1049 => fault("database", format!("there is no database {}", options.database))
            .mended_by("correct `database` of the source"),
        1044 => fault("database", format!("{} may not use the database {}", options.user, options.database))
            .mended_by(format!("GRANT SELECT ON {}.* TO {user};", crate::sql::identifier(&options.database))),
        1040 | 1203 => fault("connections", "the server has no connection left".into()).mended_by(
            "SET GLOBAL max_connections = …; or for the user alone: ALTER USER … WITH MAX_USER_CONNECTIONS 0;",
        ),
        // ER_SECURE_TRANSPORT_REQUIRED.
        3159 | 4164 => fault("tls", "the server takes protected connections alone".into())
            .mended_by("set `tls = \"verify-full\"` in the source's configuration"),
        _ => {
            let finding = fault("connect", format!("{} refused the connection", options.address()));
            with_hint(finding, &Error::Server(error.clone()))
        }
    }
}

fn with_hint(finding: Finding, error: &Error) -> Finding {
    match error.class() {
        Class::Operator { hint } => finding.mended_by(hint),
        Class::Transient | Class::Fatal => finding,
    }
}

/// Our account from where the server saw it come: it names the host in its message, `'user'@'host'` or `Host 'host'`.
fn account(options: &Options, message: &str) -> String {
    let after = |mark: &str| message.split_once(mark).and_then(|(_, rest)| rest.split_once('\'')).map(|(host, _)| host);
    let host = after("'@'").or_else(|| after("Host '")).filter(|host| !host.is_empty()).unwrap_or("%");
    format!("{}@{}", literal(&options.user), literal(host))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Flavor, TlsMode};

    fn options() -> Options {
        Options {
            flavor: Flavor::Mysql,
            host: "db".into(),
            port: 3306,
            database: "sh`op".into(),
            user: "o'neill".into(),
            password: None,
            tls: TlsMode::Prefer,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            server_id: None,
            application_name: "passerelle".into(),
        }
    }

    fn check(code: u16, message: &str, found: &str, remedy: &str) {
        let error = Error::Server(ServerError { code, state: "HY000".into(), message: message.into() });
        let finding = finding(&options(), &error);
        assert_eq!(finding.code, found);
        assert!(finding.remedy.as_deref().is_some_and(|text| text.contains(remedy)), "{finding:?}");
    }

    #[test]
    fn my_17_the_account_is_the_one_that_the_server_saw() {
        let denied = "Access denied for user 'o'neill'@'10.1.2.3' (using password: YES)";
        check(1045, denied, "password", "ALTER USER 'o''neill'@'10.1.2.3' IDENTIFIED BY '…';");
        check(
            1130,
            "Host '10.1.2.3' is not allowed to connect to this MySQL server",
            "host",
            "CREATE USER 'o''neill'@'10.1.2.3' IDENTIFIED BY '…';",
        );
        check(1044, "Access denied", "database", "GRANT SELECT ON `sh``op`.* TO 'o''neill'@'%';");
        check(1049, "Unknown database", "database", "correct `database`");
        check(1040, "Too many connections", "connections", "max_connections");
    }

    #[test]
    fn a_server_of_the_other_kind_is_named() {
        let error = Error::OtherFlavor {
            configured: Flavor::Mysql,
            found: Flavor::Mariadb,
            version: "10.11.19-MariaDB".into(),
        };
        let finding = finding(&options(), &error);
        assert_eq!((finding.code, finding.remedy.is_some_and(|text| text.contains("mariadb"))), ("kind", true));
    }
}
