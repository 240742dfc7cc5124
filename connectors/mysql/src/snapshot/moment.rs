//! One moment of the server, and its place in the log, without a lock on any table (SN-03).
//!
//! - MariaDB, and Percona Server, say of `START TRANSACTION WITH CONSISTENT SNAPSHOT` itself which place of the log it stands
//!   for: `binlog_snapshot_file` and `binlog_snapshot_position`.
//! - MySQL with GTIDs: `gtid_executed` has a transaction only once its changes are to be seen. Read before the snapshot is
//!   taken, it names nothing that the snapshot lacks. What was committed between the two is seen, and comes in the stream
//!   again, which the fold of a load allows for (STATE.md, rule 5).
//! - MySQL without: the log is ahead of what is to be seen, by the transactions that are being committed. A new file of
//!   the log waits for those, and for nothing else (`MYSQL_BIN_LOG::new_file_impl`): whatever is in the files before it is
//!   to be seen. `FLUSH TABLES WITH READ LOCK` would wait for every statement that runs, and everybody behind it;
//!   `LOCK INSTANCE FOR BACKUP` does not hold commits; `performance_schema.log_status` needs `BACKUP_ADMIN`.
//!
//! Tables without transactions are read as they are when they are read, by every server: until the stream has passed the end of the
//! load, they are of no single moment.

use crate::connection::Connection;
use crate::gtid::{MariadbGtids, MysqlGtids};
use crate::position::Gtids;
use crate::sql::Server;
use crate::{Error, Flavor, LogPosition};

/// Where a file of the log begins.
const FILE_BEGINS: u64 = 4;

const BEGIN: &str = "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY";

/// Begins a transaction, and answers a place in the log: all that is before it is to be seen in the transaction.
pub(super) async fn begin_at(connection: &mut Connection, server: &Server) -> Result<LogPosition, Error> {
    match server.flavor {
        Flavor::Mariadb => {
            begin(connection).await?;
            of_snapshot(connection).await?.ok_or(Error::NoLog)
        }
        Flavor::Mysql => begin_mysql(connection, server).await,
    }
}

/// Begins a transaction that sees what is there now.
pub(super) async fn begin(connection: &mut Connection) -> Result<(), Error> {
    connection.run(BEGIN).await
}

/// The end of the log: whatever is to be seen now is before it. Without GTIDs of MySQL, which are behind what is to be
/// seen.
pub(super) async fn end_of_log(connection: &mut Connection, server: &Server) -> Result<LogPosition, Error> {
    let statement = match (server.flavor, server.version) {
        (Flavor::Mysql, 80_200..) => "SHOW BINARY LOG STATUS",
        (_, _) => "SHOW MASTER STATUS",
    };
    let rows = connection.rows(statement).await?;
    let [Some(file), Some(offset), ..] = rows.first().map_or(&[][..], Vec::as_slice) else { return Err(Error::NoLog) };
    let gtids = match server.flavor {
        // Written with the log itself, before a change is to be seen.
        Flavor::Mariadb => mariadb_gtids(&scalar(connection, "SELECT @@global.gtid_binlog_pos").await?)?,
        Flavor::Mysql => Gtids::None,
    };
    Ok(LogPosition { file: file.clone(), offset: number(offset)?, gtids })
}

async fn begin_mysql(connection: &mut Connection, server: &Server) -> Result<LogPosition, Error> {
    if scalar(connection, "SELECT @@global.gtid_mode").await? == "ON" {
        // In this order. What the set does not have is in this file, from its beginning on, or in a later one.
        let LogPosition { file, .. } = end_of_log(connection, server).await?;
        let executed = scalar(connection, "SELECT @@global.gtid_executed").await?;
        begin(connection).await?;
        let gtids: MysqlGtids = executed.parse().map_err(|_| Error::Catalog("gtid_executed is no set of GTIDs"))?;
        let gtids = if gtids.is_empty() { Gtids::None } else { Gtids::Mysql(gtids) };
        return Ok(LogPosition { file, offset: FILE_BEGINS, gtids });
    }
    begin(connection).await?;
    if let Some(position) = of_snapshot(connection).await? {
        return Ok(position);
    }
    connection.run("ROLLBACK").await?;
    connection.run("FLUSH LOCAL BINARY LOGS").await.map_err(may_not_flush)?;
    let LogPosition { file, .. } = end_of_log(connection, server).await?;
    begin(connection).await?;
    Ok(LogPosition { file, offset: FILE_BEGINS, gtids: Gtids::None })
}

/// The place that the transaction's snapshot stands for, where the server says it.
async fn of_snapshot(connection: &mut Connection) -> Result<Option<LogPosition>, Error> {
    let rows = connection.rows("SHOW STATUS LIKE 'binlog\\_snapshot\\_%'").await?;
    let status = |name: &str| {
        let row = rows.iter().find(|row| matches!(row.first(), Some(Some(found)) if found.eq_ignore_ascii_case(name)));
        row.and_then(|row| row.get(1)?.clone()).filter(|text| !text.is_empty())
    };
    let (Some(file), Some(offset)) = (status("binlog_snapshot_file"), status("binlog_snapshot_position")) else {
        return Ok(None);
    };
    let offset = number(&offset)?;
    let asked = format!("SELECT BINLOG_GTID_POS({}, {offset})", crate::sql::literal(&file));
    let gtids = match scalar(connection, &asked).await {
        Ok(gtids) => mariadb_gtids(&gtids)?,
        // Percona Server has no such function.
        Err(Error::Server(error)) if error.code == 1305 => Gtids::None,
        Err(other) => return Err(other),
    };
    Ok(Some(LogPosition { file, offset, gtids }))
}

/// The one value of a query; empty where it is null.
async fn scalar(connection: &mut Connection, sql: &str) -> Result<String, Error> {
    let rows = connection.rows(sql).await?;
    Ok(rows.into_iter().next().and_then(|row| row.into_iter().next()).flatten().unwrap_or_default())
}

fn mariadb_gtids(text: &str) -> Result<Gtids, Error> {
    let gtids: MariadbGtids = text.parse().map_err(|_| Error::Catalog("a position that is no list of GTIDs"))?;
    Ok(if gtids.is_empty() { Gtids::None } else { Gtids::Mariadb(gtids) })
}

fn number(text: &str) -> Result<u64, Error> {
    text.parse().map_err(|_| Error::Catalog("an offset in the log that is no number"))
}

fn may_not_flush(error: Error) -> Error {
    match error {
        Error::Server(error) if error.code == 1227 => Error::MissingRights {
            what: "begin a new file of the log, which a load needs where gtid_mode is OFF".into(),
            statements: vec!["GRANT RELOAD ON *.* TO CURRENT_USER()".into()],
        },
        other => other,
    }
}
