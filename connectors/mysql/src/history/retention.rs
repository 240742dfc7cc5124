//! What the server still has of its log, and how long it has it (MY-15).

use std::fmt;

use serde::Serialize;

use super::{Place, ServerFacts};
use crate::Error;
use crate::position::{Gtids, LogPosition};
use crate::sql::Connection;

/// What `/v1/offsets` shows of a source's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// `server_uuid` of MySQL; `server_uid` of MariaDB, where it has one.
    pub server_uuid: Option<String>,
    /// `server_id`.
    pub server_id: u32,
    /// The server's thread that sends its log to our user, where it can be seen.
    pub dump_thread_id: Option<u64>,
    /// The file that is written.
    pub file: String,
    /// Its end.
    pub position: u64,
    /// The transactions in the log's history: `gtid_executed`, of MariaDB `gtid_binlog_pos`.
    pub gtid_executed: String,
    /// Those before its oldest file: `gtid_purged`, of MariaDB the list at its beginning.
    pub gtid_purged: String,
    /// The oldest file that we need; none where it is not there.
    pub first_needed_file: Option<String>,
    /// The oldest file that the server has.
    pub oldest_available: Option<String>,
    /// Bytes of log from our place to the end, where the files in between are there.
    pub log_held_bytes: Option<u64>,
    /// How long files are kept, in seconds; none for ever.
    pub expire_seconds: Option<u64>,
    /// Seconds until the file that we need may be thrown away, at the earliest; 0 where it is gone. None where files are
    /// kept for ever, where it is still written, or as long as nobody said how old the place is ([`Retention::aged`]).
    pub lost_in_seconds: Option<u64>,
    /// `binlog_format`.
    pub format: String,
    /// `binlog_row_image`.
    pub row_image: String,
    /// `binlog_row_metadata`.
    pub row_metadata: String,
    /// `binlog_checksum`.
    pub checksum: String,
}

impl Retention {
    /// With the age of what we need, in seconds: of the last commit that is durable. A file is thrown away so long after it
    /// was written last, which was no earlier than that. SQL does not tell when it was.
    #[must_use]
    pub fn aged(self, seconds: u64) -> Self {
        let is_closed = self.first_needed_file.as_ref().is_some_and(|file| *file != self.file);
        let left = self.expire_seconds.filter(|_| is_closed).map(|expire| expire.saturating_sub(seconds));
        Self { lost_in_seconds: self.lost_in_seconds.or(left), ..self }
    }
}

/// Reads the rest of what `/v1/offsets` shows. `needed` is the checkpoint.
pub async fn retention(
    connection: &mut Connection,
    facts: &ServerFacts,
    needed: &LogPosition,
) -> Result<Retention, Error> {
    let dump_thread_id = dump_thread(connection).await?;
    Ok(of(facts, needed, dump_thread_id))
}

fn of(facts: &ServerFacts, needed: &LogPosition, dump_thread_id: Option<u64>) -> Retention {
    let place = facts.place(needed);
    Retention {
        server_uuid: facts.server_uuid.clone(),
        server_id: facts.server_id,
        dump_thread_id,
        file: facts.head.file.clone(),
        position: facts.head.offset,
        gtid_executed: printed(&facts.head.gtids),
        gtid_purged: printed(&facts.purged),
        first_needed_file: (place == Place::There).then(|| needed.file.clone()),
        oldest_available: facts.files.first().map(|file| file.name.clone()),
        log_held_bytes: held(facts, needed),
        expire_seconds: facts.expire_seconds,
        lost_in_seconds: (place == Place::Purged).then_some(0),
        format: facts.format.clone(),
        row_image: facts.row_image.clone(),
        row_metadata: facts.row_metadata.clone(),
        checksum: facts.checksum.clone(),
    }
}

fn held(facts: &ServerFacts, needed: &LogPosition) -> Option<u64> {
    let at = facts.files.iter().position(|file| file.name == needed.file)?;
    let all: u64 = facts.files.iter().skip(at).map(|file| file.bytes).sum();
    Some(all.saturating_sub(needed.offset))
}

/// A thread that our user sees is our user's, or our user sees all of them: then the last one that began.
async fn dump_thread(connection: &mut Connection) -> Result<Option<u64>, Error> {
    let user = connection.row("SELECT SUBSTRING_INDEX(USER(), '@', 1)").await?;
    let user = user.as_ref().and_then(|row| row.text(0)).unwrap_or_default();
    let rows = connection.rows("SHOW PROCESSLIST").await?;
    let ours = rows.iter().filter(|row| {
        row.named("User") == Some(user)
            && row.named("Command").is_some_and(|command| command.starts_with("Binlog Dump"))
    });
    Ok(ours.filter_map(|row| row.named("Id")?.parse().ok()).max())
}

fn printed(gtids: &Gtids) -> String {
    let text = |gtids: &dyn fmt::Display| gtids.to_string();
    match gtids {
        Gtids::None => String::new(),
        Gtids::Mysql(gtids) => text(gtids),
        Gtids::Mariadb(gtids) => text(gtids),
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::{facts_of_mysql, place};
    use super::*;

    #[test]
    fn my_15_what_is_left_of_the_time() {
        let facts = ServerFacts { expire_seconds: Some(86_400), ..facts_of_mysql() };
        let closed = of(&facts, &place("mbin.000004:100"), None);
        assert_eq!((closed.lost_in_seconds, closed.log_held_bytes), (None, Some(1000 - 100 + 500)));
        assert_eq!(closed.clone().aged(400).lost_in_seconds, Some(86_000));
        assert_eq!(closed.aged(90_000).lost_in_seconds, Some(0));
        let open = of(&facts, &place("mbin.000005:100"), None);
        assert_eq!(open.first_needed_file.as_deref(), Some("mbin.000005"));
        assert_eq!(open.aged(90_000).lost_in_seconds, None);
        let gone = of(&facts, &place("mbin.000001:100"), None).aged(5);
        assert_eq!((gone.lost_in_seconds, gone.first_needed_file), (Some(0), None));
        let kept = ServerFacts { expire_seconds: None, ..facts };
        assert_eq!(of(&kept, &place("mbin.000004:100"), None).aged(90_000).lost_in_seconds, None);
    }
}
