//! The replication connection's commands: who the server is, slots, the start of the stream.
//!
//! Source: the server's manual, "Streaming Replication Protocol".

use std::time::Duration;

use crate::connection::{Connection, TextRow};
use crate::stream::Stream;
use crate::wire::Malformed;
use crate::{Error, Lsn, Options, ServerError};

/// For a command that the server answers at once.
const COMMAND_LIMIT: Duration = Duration::from_secs(30);

/// Starting may have to read much log before the server answers.
const START_LIMIT: Duration = Duration::from_mins(2);

/// Slots that are kept over a failover came with 17.
const FAILOVER: u32 = 170_000;

/// What the server does when it is not told (its default).
const DEFAULT_WAL_SENDER_TIMEOUT: Duration = Duration::from_mins(1);

/// A connection in replication mode that does not stream yet.
#[derive(Debug)]
pub struct Replication {
    connection: Connection,
    options: Options,
}

/// What `IDENTIFY_SYSTEM` says (PG-08).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct System {
    /// The cluster's identity.
    pub system_id: String,
    /// Its timeline.
    pub timeline: u32,
    /// The end of its log.
    pub wal_head: Lsn,
    /// The database of this connection.
    pub database: String,
}

/// How long a slot lives.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SlotKind {
    /// Until it is dropped.
    Durable,
    /// As long as the connection.
    Temporary,
}

/// A slot that was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CreatedSlot {
    /// Where its stream begins: everything before is in the snapshot.
    pub consistent_point: Lsn,
    /// For `SET TRANSACTION SNAPSHOT`, until the next command on this connection or its end (PG-11).
    pub snapshot: String,
}

impl Replication {
    /// Connects and authenticates.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        Ok(Self { connection: Connection::open(options).await?, options: options.clone() })
    }

    /// The server's version as `server_version_num`: 150018 is 15.18.
    pub fn server_version(&self) -> u32 {
        self.connection.server_version
    }

    /// Asks who the server is and where its log ends.
    pub async fn identify_system(&mut self) -> Result<System, Error> {
        let rows = self.connection.query("IDENTIFY_SYSTEM", "IDENTIFY_SYSTEM", COMMAND_LIMIT).await?;
        let read = |row: TextRow| {
            let [system_id, timeline, head, database] = <[_; 4]>::try_from(row).ok()?.map(Option::unwrap_or_default);
            Some(System { system_id, timeline: timeline.parse().ok()?, wal_head: head.parse().ok()?, database })
        };
        Ok(rows
            .into_iter()
            .next()
            .and_then(read)
            .ok_or(Malformed("an answer to IDENTIFY_SYSTEM that cannot be read"))?)
    }

    /// The history file of a timeline, as the server has it: which timelines led to it, and where each ended.
    pub async fn timeline_history(&mut self, timeline: u32) -> Result<String, Error> {
        let command = format!("TIMELINE_HISTORY {timeline}");
        let rows = self.connection.query(&command, "TIMELINE_HISTORY", COMMAND_LIMIT).await?;
        let content = rows.into_iter().next().and_then(|row| row.into_iter().nth(1)).flatten();
        Ok(content.ok_or(Malformed("an answer to TIMELINE_HISTORY that cannot be read"))?)
    }

    /// Makes a logical slot for pgoutput and exports its snapshot. One for good is marked, where the server knows that,
    /// to be kept over a failover: standbys that synchronise slots have it, too (PG-44). Waits at most `wait` for each transaction that was
    /// open before (PG-10), then ends with [`Error::SlotBlocked`], leaving no slot behind.
    pub async fn create_slot(&mut self, name: &str, kind: SlotKind, wait: Duration) -> Result<CreatedSlot, Error> {
        // statement_timeout has no effect on the command, lock_timeout has.
        let set = format!("SET lock_timeout = {}", wait.as_millis().clamp(1, 2_147_483_647));
        self.connection.query(&set, "setting lock_timeout", COMMAND_LIMIT).await?;
        let temporary = match kind {
            SlotKind::Durable => "",
            SlotKind::Temporary => " TEMPORARY",
        };
        let export = match (kind, self.server_version()) {
            (SlotKind::Durable, FAILOVER..) => "(SNAPSHOT 'export', FAILOVER)",
            (_, 150_000..) => "(SNAPSHOT 'export')",
            (_, _) => "EXPORT_SNAPSHOT",
        };
        let command = format!("CREATE_REPLICATION_SLOT {}{temporary} LOGICAL \"pgoutput\" {export}", identifier(name));
        // It may wait for three generations of transactions.
        let answer = self.connection.query(&command, "creating the replication slot", wait * 3 + COMMAND_LIMIT).await;
        let rows = answer.map_err(|error| match error {
            Error::Server(error) => match error.code.as_str() {
                "55P03" => Error::SlotBlocked { slot: name.to_owned(), after: wait },
                "42710" => Error::SlotExists { slot: name.to_owned() },
                _ => Error::Server(error),
            },
            other => other,
        })?;
        let read = |row: TextRow| {
            let [_name, point, snapshot, _plugin] = <[_; 4]>::try_from(row).ok()?;
            Some(CreatedSlot { consistent_point: point?.parse().ok()?, snapshot: snapshot? })
        };
        let created = rows.into_iter().next().and_then(read);
        Ok(created.ok_or(Malformed("an answer to CREATE_REPLICATION_SLOT that cannot be read"))?)
    }

    /// Drops a slot that nobody uses.
    pub async fn drop_slot(&mut self, name: &str) -> Result<(), Error> {
        let command = format!("DROP_REPLICATION_SLOT {}", identifier(name));
        let done = self.connection.query(&command, "dropping the replication slot", COMMAND_LIMIT).await;
        done.map(|_| ()).map_err(|error| of_slot(error, name))
    }

    /// Starts the stream of `publication` from `from` (or from where the slot stands, where that is later: PG-05).
    pub async fn start(mut self, slot: &str, publication: &str, from: Lsn) -> Result<Stream, Error> {
        let wal_sender_timeout = self.wal_sender_timeout().await?;
        let names = literal(&identifier(publication));
        let command = format!(
            "START_REPLICATION SLOT {} LOGICAL {from} (proto_version '1', publication_names {names})",
            identifier(slot)
        );
        self.connection.start_copy(&command, START_LIMIT).await.map_err(|error| of_slot(error, slot))?;
        Ok(Stream {
            connection: self.connection,
            options: self.options,
            slot: slot.to_owned(),
            publication: publication.to_owned(),
            from,
            wal_sender_timeout,
        })
    }

    /// `None` where the server never gives up. Servers that refuse queries here (PG-42) are taken for the default.
    async fn wal_sender_timeout(&mut self) -> Result<Option<Duration>, Error> {
        let sql = "SELECT setting FROM pg_catalog.pg_settings WHERE name = 'wal_sender_timeout'";
        let rows = match self.connection.query(sql, "asking for wal_sender_timeout", COMMAND_LIMIT).await {
            Ok(rows) => rows,
            Err(Error::Server(_)) => return Ok(Some(DEFAULT_WAL_SENDER_TIMEOUT)),
            Err(other) => return Err(other),
        };
        let millis = rows.first().and_then(|row| row.first()?.as_ref()?.parse().ok());
        let timeout = millis.map_or(DEFAULT_WAL_SENDER_TIMEOUT, Duration::from_millis);
        Ok((!timeout.is_zero()).then_some(timeout))
    }

    /// Ends the connection in good order.
    pub async fn close(self) {
        self.connection.end().await;
    }
}

/// Names the errors that a slot can have before its stream begins (PG-09, PG-12).
fn of_slot(error: Error, slot: &str) -> Error {
    let Error::Server(error) = error else { return error };
    let slot = slot.to_owned();
    match error.code.as_str() {
        "55006" => match last_number(&error.message) {
            Some(pid) => Error::SlotActive { slot, pid },
            None => Error::Server(error),
        },
        "42704" => Error::SlotMissing { slot },
        "55000" => Error::SlotLost { slot, text: error.message },
        _ => Error::Server(error),
    }
}

/// Names the errors that come in the stream (PG-09, PG-13).
pub(crate) fn of_stream(error: ServerError, slot: &str, publication: &str) -> Error {
    match error.code.as_str() {
        "42704" => Error::PublicationMissing { publication: publication.to_owned() },
        // 58P01: the segment's file is gone.
        "55000" | "58P01" => Error::SlotLost { slot: slot.to_owned(), text: error.message },
        _ => Error::Server(error),
    }
}

/// From 18 on a publication that is not there is a warning and no error, and its changes are passed over (PG-13):
/// `skipped loading publication "…"`. To us it is the same error, before anything after it is acknowledged.
pub(crate) fn of_notice(notice: &ServerError, publication: &str) -> Option<Error> {
    let is_skipped = notice.code == "55000" && notice.message.contains(publication);
    is_skipped.then(|| Error::PublicationMissing { publication: publication.to_owned() })
}

/// "… is active for PID 4711", in whatever language.
fn last_number(text: &str) -> Option<i32> {
    text.rsplit(|c: char| !c.is_ascii_digit()).find(|digits| !digits.is_empty())?.parse().ok()
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn server(code: &str, message: &str) -> ServerError {
        ServerError { code: code.into(), message: message.into(), hint: None }
    }

    #[test]
    fn pg_12_the_holder_of_the_slot_is_named() {
        let error = of_slot(Error::Server(server("55006", "replication slot \"s1\" is active for PID 4711")), "s1");
        assert!(matches!(error, Error::SlotActive { pid: 4711, .. }), "{error}");
    }

    #[test]
    fn pg_09_pg_13_errors_of_the_stream_are_named() {
        let named = |code| of_stream(server(code, "text"), "s", "p");
        assert!(matches!(named("42704"), Error::PublicationMissing { .. }));
        assert!(matches!(named("58P01"), Error::SlotLost { .. }));
        assert!(matches!(named("55000"), Error::SlotLost { .. }));
        assert!(matches!(named("57P01"), Error::Server(_)));
    }

    #[test]
    fn pg_13_a_publication_that_is_passed_over_is_missing() {
        let skipped = server("55000", "skipped loading publication \"p \"1\"\"");
        assert!(matches!(of_notice(&skipped, "p \"1\""), Some(Error::PublicationMissing { .. })));
        assert!(of_notice(&server("01000", "skipped loading publication \"p\""), "p").is_none());
        assert!(of_notice(&server("55000", "something else"), "p1").is_none());
    }

    #[test]
    fn names_are_quoted() {
        assert_eq!(literal(&identifier("it's a \"name\"")), "'\"it''s a \"\"name\"\"\"'");
    }
}
