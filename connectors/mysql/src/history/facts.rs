//! Reads what [`super::verify`] decides from.

use std::collections::HashMap;

use super::{At, GtidMode, LogFile, Place, ServerFacts};
use crate::gtid::{MariadbGtid, MariadbGtids};
use crate::position::{Gtids, LogPosition};
use crate::sql::{Connection, literal};
use crate::{Error, Flavor, sql};

/// Settings that short texts tell. Sets of transactions may be longer than `SHOW VARIABLES` prints.
const VARIABLES: &str = "\
SHOW GLOBAL VARIABLES WHERE Variable_name IN ('log_bin', 'server_id', 'server_uuid', 'server_uid', 'gtid_mode', \
'gtid_domain_id', 'binlog_format', 'binlog_row_image', 'binlog_row_metadata', 'binlog_checksum', 'expire_logs_days', \
'binlog_expire_logs_seconds')";

/// Reads the server's facts.
pub async fn facts(connection: &mut Connection) -> Result<ServerFacts, Error> {
    let variables = variables(connection).await?;
    let text = |name: &str| variables.get(name).cloned().unwrap_or_default();
    let mut facts = ServerFacts {
        server: connection.server().clone(),
        server_uuid: variables.get("server_uuid").or_else(|| variables.get("server_uid")).cloned(),
        server_id: text("server_id").parse().unwrap_or(0),
        gtid_domain: text("gtid_domain_id").parse().ok(),
        log_is_on: text("log_bin") == "ON",
        files: Vec::new(),
        head: LogPosition::default(),
        purged: Gtids::None,
        binlog_state: Vec::new(),
        gtid_mode: match (connection.flavor(), text("gtid_mode").as_str()) {
            (Flavor::Mariadb, _) | (Flavor::Mysql, "ON") => GtidMode::On,
            (Flavor::Mysql, "ON_PERMISSIVE") => GtidMode::OnPermissive,
            (Flavor::Mysql, "OFF_PERMISSIVE") => GtidMode::OffPermissive,
            (Flavor::Mysql, _) => GtidMode::Off,
        },
        expire_seconds: expire_seconds(&variables),
        format: text("binlog_format"),
        row_image: text("binlog_row_image"),
        row_metadata: text("binlog_row_metadata"),
        checksum: text("binlog_checksum"),
        at_checkpoint: None,
    };
    if !facts.log_is_on {
        return Ok(facts);
    }
    facts.files = files(connection).await?;
    facts.head = head(connection).await?;
    match connection.flavor() {
        Flavor::Mysql => {
            let row = connection.row("SELECT @@GLOBAL.gtid_executed, @@GLOBAL.gtid_purged").await?;
            let set = |at| mysql(row.as_ref().and_then(|row| row.text(at)).unwrap_or_default());
            (facts.head.gtids, facts.purged) = (set(0)?, set(1)?);
        }
        Flavor::Mariadb => {
            let row = connection.row("SELECT @@GLOBAL.gtid_binlog_pos, @@GLOBAL.gtid_binlog_state").await?;
            let text = |at| row.as_ref().and_then(|row| row.text(at)).unwrap_or_default();
            facts.head.gtids = mariadb(text(0))?;
            facts.binlog_state = state(text(1))?;
            if let Some(oldest) = facts.files.first() {
                let before = LogPosition { file: oldest.name.clone(), offset: 4, gtids: Gtids::None };
                facts.purged = mariadb(&gtids_at(connection, &before).await?.unwrap_or_default())?;
            }
        }
    }
    Ok(facts)
}

/// The same, and what the log has at the checkpoint.
pub async fn facts_at(connection: &mut Connection, checkpoint: &LogPosition) -> Result<ServerFacts, Error> {
    let mut facts = facts(connection).await?;
    if facts.place(checkpoint) != Place::There {
        return Ok(facts);
    }
    let is_ours = match connection.flavor() {
        Flavor::Mysql => mysql_has(connection, &facts, checkpoint).await?,
        Flavor::Mariadb => {
            let found = gtids_at(connection, checkpoint).await?;
            match &checkpoint.gtids {
                Gtids::Mariadb(ours) => {
                    found.is_some_and(|found| found.parse().is_ok_and(|found: MariadbGtids| found == *ours))
                }
                Gtids::None | Gtids::Mysql(_) => found.is_some(),
            }
        }
    };
    facts.at_checkpoint = Some(if is_ours { At::Ours } else { At::Other });
    Ok(facts)
}

/// What each domain has come to before a place; `None` where no event begins there.
async fn gtids_at(connection: &mut Connection, at: &LogPosition) -> Result<Option<String>, Error> {
    let row = connection.row(&format!("SELECT BINLOG_GTID_POS({}, {})", literal(&at.file), at.offset)).await?;
    Ok(row.and_then(|row| row.text(0).map(str::to_owned)))
}

/// An event begins at the place, or the file ends there; and all that is before the file is ours.
async fn mysql_has(connection: &mut Connection, facts: &ServerFacts, at: &LogPosition) -> Result<bool, Error> {
    let file = literal(&at.file);
    let row = match connection.row(&format!("SHOW BINLOG EVENTS IN {file} FROM {} LIMIT 1", at.offset)).await {
        Ok(row) => row,
        // ER_ERROR_WHEN_EXECUTING_COMMAND: older versions refuse a place in the middle of an event.
        Err(Error::Server(error)) if error.code == 1220 => return Ok(false),
        Err(error) => return Err(error),
    };
    let begins = match row {
        // Newer ones go on to the next.
        Some(row) => row.named("Pos").and_then(|pos| pos.parse().ok()) == Some(at.offset),
        None => facts.files.iter().any(|file| file.name == at.file && file.bytes == at.offset),
    };
    let Gtids::Mysql(ours) = &at.gtids else { return Ok(begins) };
    // Behind the format description.
    let head = connection.rows(&format!("SHOW BINLOG EVENTS IN {file} LIMIT 2")).await?;
    let previous = head.iter().find(|row| row.named("Event_type") == Some("Previous_gtids"));
    let before = mysql(previous.and_then(|row| row.named("Info")).unwrap_or_default())?;
    let is_ours = match before {
        Gtids::Mysql(before) => ours.contains_all(&before),
        Gtids::None | Gtids::Mariadb(_) => true,
    };
    Ok(begins && is_ours)
}

async fn variables(connection: &mut Connection) -> Result<HashMap<String, String>, Error> {
    let rows = connection.rows(VARIABLES).await?;
    let pair = |row: &sql::Row| Some((row.text(0)?.to_ascii_lowercase(), row.text(1)?.to_owned()));
    Ok(rows.iter().filter_map(pair).collect())
}

async fn files(connection: &mut Connection) -> Result<Vec<LogFile>, Error> {
    let rows = may(connection.rows("SHOW BINARY LOGS").await, connection)?;
    let file = |row: &sql::Row| Some(LogFile { name: row.text(0)?.to_owned(), bytes: row.number(1)? });
    Ok(rows.iter().filter_map(file).collect())
}

/// The end of the log: whatever is to be seen later and was not before lies behind it. MySQL's GTIDs may be behind the place.
pub async fn end_of_log(connection: &mut Connection) -> Result<LogPosition, Error> {
    let head = head(connection).await?;
    let statement = match connection.flavor() {
        // Of what was written without them they say nothing.
        Flavor::Mysql => "SELECT IF(@@GLOBAL.gtid_mode = 'ON', @@GLOBAL.gtid_executed, '')",
        Flavor::Mariadb => "SELECT @@GLOBAL.gtid_binlog_pos",
    };
    let row = connection.row(statement).await?;
    let text = row.as_ref().and_then(|row| row.text(0)).unwrap_or_default();
    let gtids = match connection.flavor() {
        Flavor::Mysql => mysql(text)?,
        Flavor::Mariadb => mariadb(text)?,
    };
    Ok(LogPosition { gtids, ..head })
}

/// The end of the log, without its GTIDs (MY-13).
async fn head(connection: &mut Connection) -> Result<LogPosition, Error> {
    let is_new = connection.flavor() == Flavor::Mysql && connection.version() >= 80_200;
    let statement = if is_new { "SHOW BINARY LOG STATUS" } else { "SHOW MASTER STATUS" };
    let row = may(connection.row(statement).await, connection)?.ok_or(Error::NoLog)?;
    let file = row.named("File").ok_or(Error::Catalog("its log has no file"))?.to_owned();
    let offset = row.named("Position").and_then(|offset| offset.parse().ok());
    Ok(LogPosition { file, offset: offset.ok_or(Error::Catalog("its log has no end"))?, gtids: Gtids::None })
}

/// Without the right, the statement that gives it.
fn may<T>(answer: Result<T, Error>, connection: &Connection) -> Result<T, Error> {
    match answer {
        Err(Error::Server(error)) if error.code == 1227 => {
            let right = log_right(connection.flavor(), connection.version());
            Err(Error::MissingRights {
                what: "see where the log is".to_owned(),
                statements: vec![format!("GRANT {right} ON *.* TO the source's user")],
            })
        }
        other => other,
    }
}

/// The right to see the log's files and its end. MariaDB has split it from the others with 10.5.
pub(crate) fn log_right(flavor: Flavor, version: u32) -> &'static str {
    if flavor == Flavor::Mariadb && version >= 100_502 { "BINLOG MONITOR" } else { "REPLICATION CLIENT" }
}

/// Days came first, and may have a part of one.
fn expire_seconds(variables: &HashMap<String, String>) -> Option<u64> {
    let number = |name: &str| variables.get(name).and_then(|text| text.parse::<f64>().ok());
    let seconds = number("binlog_expire_logs_seconds").filter(|seconds| *seconds > 0.0);
    let days = number("expire_logs_days").filter(|days| *days > 0.0).map(|days| days * 86_400.0);
    seconds.or(days).map(|seconds| seconds as u64)
}

fn mysql(text: &str) -> Result<Gtids, Error> {
    match text.trim() {
        "" => Ok(Gtids::None),
        text => text.parse().map(Gtids::Mysql).map_err(|_| Error::Catalog("its set of GTIDs cannot be read")),
    }
}

fn mariadb(text: &str) -> Result<Gtids, Error> {
    match text.trim() {
        "" => Ok(Gtids::None),
        text => text.parse().map(Gtids::Mariadb).map_err(|_| Error::Catalog("its GTIDs cannot be read")),
    }
}

/// A domain stands there once for each server that wrote in it.
fn state(text: &str) -> Result<Vec<MariadbGtid>, Error> {
    let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
    let parse = |part: &str| part.parse().map_err(|_| Error::Catalog("its GTIDs cannot be read"));
    parts.map(parse).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_15_how_long_files_are_kept() {
        let of = |pairs: &[(&str, &str)]| {
            expire_seconds(&pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
        };
        assert_eq!(of(&[("binlog_expire_logs_seconds", "2592000")]), Some(2_592_000));
        assert_eq!(of(&[("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "0.000000")]), None);
        assert_eq!(of(&[("binlog_expire_logs_seconds", "0"), ("expire_logs_days", "0.5")]), Some(43_200));
        assert_eq!(of(&[("expire_logs_days", "10")]), Some(864_000));
        assert_eq!(of(&[]), None);
    }

    #[test]
    fn my_23_a_domain_may_have_several_servers() {
        assert_eq!(state("0-1-5,0-2-7,3-1-1").unwrap().len(), 3);
        assert!(state("0-1").is_err());
        assert_eq!(mariadb("").unwrap(), Gtids::None);
    }
}
