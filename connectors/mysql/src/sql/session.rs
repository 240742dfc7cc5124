//! What a server says of itself, and the settings that every session is given.

use super::{Connection, Server};
use crate::{Error, Flavor};

/// For every server. Times in seconds: the server waits for a slow reader for as long as a reader may be slow (MY-14), and
/// no longer for a lock than a person would.
const SESSION: &str = "\
SET SESSION time_zone = '+00:00', sql_mode = '', autocommit = 1, sql_auto_is_null = 0, sql_big_selects = 1, sql_quote_show_create = 1, \
sql_select_limit = DEFAULT, net_write_timeout = 3600, net_read_timeout = 3600, wait_timeout = 28800, \
lock_wait_timeout = 10, innodb_lock_wait_timeout = 10";

impl Server {
    /// Before it has been asked.
    pub(super) fn unknown(flavor: Flavor) -> Self {
        Self {
            flavor,
            version: 0,
            version_text: String::new(),
            version_comment: String::new(),
            lower_case_table_names: 0,
        }
    }
}

/// Asks a server what it is. Its own variables tell the kinds apart: a version can be made up by configuration.
pub(super) async fn server(connection: &mut Connection) -> Result<Server, Error> {
    let rows = connection
        .rows(
            "SHOW GLOBAL VARIABLES WHERE Variable_name IN \
             ('version', 'version_comment', 'lower_case_table_names', 'gtid_domain_id', 'gtid_binlog_pos')",
        )
        .await?;
    let value = |name: &str| {
        let of_name = rows.iter().find(|row| row.text(0).is_some_and(|found| found.eq_ignore_ascii_case(name)));
        of_name.and_then(|row| row.text(1)).map(str::to_owned)
    };
    let version_text = value("version").ok_or(Error::Catalog("it tells no version"))?;
    let is_mariadb = value("gtid_domain_id").is_some() || value("gtid_binlog_pos").is_some();
    let flavor = if is_mariadb { Flavor::Mariadb } else { Flavor::Mysql };
    Ok(Server {
        flavor,
        version: version(&version_text),
        version_text,
        version_comment: value("version_comment").unwrap_or_default(),
        lower_case_table_names: value("lower_case_table_names").and_then(|text| text.parse().ok()).unwrap_or(0),
    })
}

/// Pins what every server has; before anything is asked, since `init_connect` may have set anything.
pub(super) async fn pin(connection: &mut Connection) -> Result<(), Error> {
    connection.execute("SET NAMES utf8mb4").await?;
    connection.execute(SESSION).await?;
    connection.execute("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ").await
}

/// Pins what only some have.
pub(super) async fn pin_more(connection: &mut Connection) -> Result<(), Error> {
    if let Some(more) = more(connection.flavor(), connection.version()) {
        connection.execute(more).await?;
    }
    Ok(())
}

/// The statements that pin a session.
pub(crate) fn statements(flavor: Flavor, version: u32) -> impl Iterator<Item = &'static str> {
    let common = ["SET NAMES utf8mb4", SESSION, "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ"];
    common.into_iter().chain(more(flavor, version))
}

/// What only some have: no limit on how long a statement runs or a transaction idles, the present of system-versioned
/// tables, and the primary key that the server made itself (MY-59).
fn more(flavor: Flavor, version: u32) -> Option<&'static str> {
    match (flavor, version) {
        (Flavor::Mariadb, 100_300..) => Some(
            "SET SESSION max_statement_time = 0, idle_transaction_timeout = 0, idle_readonly_transaction_timeout = 0, \
             idle_write_transaction_timeout = 0, system_versioning_asof = DEFAULT",
        ),
        (Flavor::Mariadb, _) => Some("SET SESSION max_statement_time = 0"),
        (Flavor::Mysql, 80_030..) => {
            Some("SET SESSION max_execution_time = 0, show_gipk_in_create_table_and_information_schema = ON")
        }
        (Flavor::Mysql, 50_708..) => Some("SET SESSION max_execution_time = 0"),
        (Flavor::Mysql, _) => None,
    }
}

/// `10.11.19-MariaDB-log` as 101119.
fn version(text: &str) -> u32 {
    let mut parts = text.split(|char: char| !char.is_ascii_digit()).map(|part| part.parse::<u32>().unwrap_or(0));
    let mut part = |most: u32| parts.next().unwrap_or(0).min(most);
    part(9_999) * 10_000 + part(99) * 100 + part(99)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        for (text, want) in [
            ("10.11.19-MariaDB-0+deb12u1-log", 101_119),
            ("9.7.0", 90_700),
            ("8.0.40-0ubuntu0.22.04.1", 80_040),
            ("5.6.51-log", 50_651),
            ("8.0.30-Vitess", 80_030),
            ("", 0),
            ("x", 0),
            ("4294967296.1.1", 101),
        ] {
            assert_eq!(version(text), want, "{text}");
        }
    }

    #[test]
    fn old_servers_are_not_given_settings_they_lack() {
        assert_eq!(more(Flavor::Mysql, 50_600), None);
        assert!(more(Flavor::Mysql, 80_000).is_some_and(|sql| !sql.contains("gipk")));
        assert!(more(Flavor::Mysql, 90_700).is_some_and(|sql| sql.contains("gipk")));
        assert!(more(Flavor::Mariadb, 100_200).is_some_and(|sql| !sql.contains("system_versioning")));
    }
}
