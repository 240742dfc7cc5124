//! What the server says, read for the judges. Every query works with the least rights, or says that it did not.

use std::collections::HashMap;

use passerelle_change::TableName;

use super::Request;
use crate::catalog::{self, Catalog};
use crate::history::{self, ServerFacts};
use crate::sql::{Connection, Row, Server};
use crate::{Error, Flavor};

/// Everything that is judged.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) server: Server,
    /// What it says of its log; none without the right to see it.
    pub(super) facts: Option<ServerFacts>,
    /// Settings by name, in lower case.
    pub(super) settings: HashMap<String, String>,
    /// What `binlog_do_db` and `binlog_ignore_db` name.
    pub(super) filters: Filters,
    /// It is a replica of another; none where our user may not see it.
    pub(super) is_replica: Option<bool>,
    /// Our account as the server knows it: `'user'@'%'`.
    pub(super) account: String,
    pub(super) grants: Grants,
    pub(super) catalog: Catalog,
    /// For tables that are not there: what there is.
    pub(super) other_names: Vec<TableName>,
}

/// Databases whose changes are, or are not, in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Filters {
    pub(super) only: Vec<String>,
    pub(super) ignored: Vec<String>,
}

/// Rights that our user has everywhere, as `SHOW GRANTS` prints them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Grants(Vec<String>);

const SETTINGS: &str = "\
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'server_id', 'binlog_format', 'binlog_row_image', \
'binlog_row_metadata', 'binlog_row_value_options', 'log_slave_updates', 'log_replica_updates', 'gtid_mode', \
'expire_logs_days', 'binlog_expire_logs_seconds', 'basedir', 'max_binlog_total_size')";

impl Observed {
    pub(super) async fn read(connection: &mut Connection, request: &Request<'_>) -> Result<Self, Error> {
        let facts = match history::facts(connection).await {
            Ok(facts) => Some(facts),
            Err(Error::MissingRights { .. }) => None,
            Err(other) => return Err(other),
        };
        let names: Vec<TableName> = request.tables.iter().map(|(name, _)| name.clone()).collect();
        let catalog = catalog::read(connection, &names, &request.readings).await?;
        let other_names = match names.iter().find(|name| catalog.table(name).is_err()) {
            Some(missing) => catalog::names_like(connection, missing).await?,
            None => Vec::new(),
        };
        let pair = |row: &Row| Some((row.text(0)?.to_ascii_lowercase(), row.text(1)?.to_owned()));
        Ok(Self {
            server: connection.server().clone(),
            settings: connection.rows(SETTINGS).await?.iter().filter_map(pair).collect(),
            filters: filters(connection).await?,
            is_replica: is_replica(connection).await?,
            account: account(connection).await?,
            grants: Grants::parse(connection.rows("SHOW GRANTS").await?.iter().filter_map(|row| row.text(0))),
            facts,
            catalog,
            other_names,
        })
    }

    /// A setting; empty where the server has none of that name.
    pub(super) fn setting(&self, name: &str) -> &str {
        self.settings.get(name).map_or("", String::as_str)
    }
}

impl Grants {
    /// `GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO …`: those of roles that are on stand there, too.
    pub(super) fn parse<'g>(lines: impl Iterator<Item = &'g str>) -> Self {
        let rights = |line: &str| {
            let (rights, _) = line.strip_prefix("GRANT ")?.split_once(" ON *.* TO ")?;
            Some(rights.split(',').map(|right| right.trim().to_ascii_uppercase()).collect::<Vec<_>>())
        };
        Self(lines.filter_map(rights).flatten().collect())
    }

    /// Whether one of these names of a right is among them.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        self.0.iter().any(|right| right == "ALL PRIVILEGES" || names.contains(&right.as_str()))
    }
}

async fn account(connection: &mut Connection) -> Result<String, Error> {
    let row = connection.row("SELECT CURRENT_USER()").await?;
    let text = row.as_ref().and_then(|row| row.text(0)).unwrap_or_default();
    let (user, host) = text.rsplit_once('@').unwrap_or((text, "%"));
    Ok(format!("{}@{}", crate::sql::literal(user), crate::sql::literal(host)))
}

async fn filters(connection: &mut Connection) -> Result<Filters, Error> {
    let is_new = connection.flavor() == Flavor::Mysql && connection.version() >= 80_200;
    let statement = if is_new { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let Some(row) = allowed(connection.row(statement).await)?.flatten() else { return Ok(Filters::default()) };
    let names = |column: &str| {
        let names = row.named(column).unwrap_or_default().split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(str::to_owned).collect()
    };
    Ok(Filters { only: names("Binlog_Do_DB"), ignored: names("Binlog_Ignore_DB") })
}

async fn is_replica(connection: &mut Connection) -> Result<Option<bool>, Error> {
    let statement = match (connection.flavor(), connection.version()) {
        (Flavor::Mariadb, _) => "SHOW ALL SLAVES STATUS",
        (Flavor::Mysql, 80_022..) => "SHOW REPLICA STATUS",
        (Flavor::Mysql, _) => "SHOW SLAVE STATUS",
    };
    match allowed(connection.rows(statement).await)? {
        Some(rows) => Ok(Some(!rows.is_empty())),
        None if connection.flavor() == Flavor::Mysql => Ok(None),
        // Whatever was replicated ever has left its place.
        None => {
            let row = connection.row("SELECT @@GLOBAL.gtid_slave_pos").await?;
            Ok(row.and_then(|row| row.text(0).map(str::is_empty)).filter(|never| *never).map(|_| false))
        }
    }
}

/// None where our user may not ask.
fn allowed<T>(answer: Result<T, Error>) -> Result<Option<T>, Error> {
    match answer {
        Ok(answer) => Ok(Some(answer)),
        Err(Error::Server(error)) if error.code == 1227 => Ok(None),
        Err(other) => Err(other),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rights_are_those_on_everything() {
        let grants = Grants::parse(
            [
                "GRANT `r1`@`%` TO `poor`@`%`",
                "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO `poor`@`%` IDENTIFIED BY PASSWORD '*X'",
                "GRANT RELOAD ON `shop`.* TO `poor`@`%`",
            ]
            .into_iter(),
        );
        assert!(grants.has(&["REPLICATION SLAVE"]) && grants.has(&["REPLICATION CLIENT", "BINLOG MONITOR"]));
        assert!(!grants.has(&["RELOAD"]) && !grants.has(&["SUPER"]));
        let all = Grants::parse(std::iter::once("GRANT ALL PRIVILEGES ON *.* TO `root`@`localhost` WITH GRANT OPTION"));
        assert!(all.has(&["RELOAD"]));
    }
}
