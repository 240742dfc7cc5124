//! Whether the server's log is the one that our checkpoint belongs to, and where to go on. Pure, but for reading.
//!
//! [`verify`] decides before every start of the stream, from what the state has kept ([`Kept`]) and what the server says
//! ([`ServerFacts`]). It never guesses: what does not fit is a [`HistoryRefusal`] that names its reason and the next safe
//! command. The server itself refuses little: it reads on in whatever file has the name (MY-10), and a set of transactions
//! that was given out anew after a restore looks like the old one. So, on the server that we know, the log is looked at at
//! the very place of the checkpoint ([`facts_at`]); on another one, GTIDs decide.

mod facts;
mod refusal;
mod retention;

use serde::{Deserialize, Serialize};

use crate::gtid::{MariadbGtid, MariadbGtids, MysqlGtids};
use crate::position::{Gtids, LogPosition};
use crate::{Flavor, sql::Server};

pub(crate) use facts::log_right;
pub use facts::{end_of_log, facts, facts_at};
pub use refusal::HistoryRefusal;
pub use retention::{Retention, retention};

/// What the state keeps of the server whose log it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// Its kind.
    pub flavor: Flavor,
    /// `server_uuid` of MySQL; `server_uid` of MariaDB, where it has one.
    pub server_uuid: Option<String>,
    /// `server_id`.
    pub server_id: u32,
    /// `gtid_domain_id` of MariaDB.
    pub gtid_domain: Option<u32>,
}

/// What the state knows when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The history, once a start has stored one.
    pub history: Option<&'a History>,
    /// The end of the last transaction that is durable.
    pub checkpoint: Option<&'a LogPosition>,
}

/// What the server says about itself and its log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// Its kind and version.
    pub server: Server,
    /// `server_uuid` of MySQL; `server_uid` of MariaDB, where it has one.
    pub server_uuid: Option<String>,
    /// `server_id`.
    pub server_id: u32,
    /// `gtid_domain_id` of MariaDB.
    pub gtid_domain: Option<u32>,
    /// Whether it writes a log.
    pub log_is_on: bool,
    /// The files of the log that are there, in order.
    pub files: Vec<LogFile>,
    /// The end of the log.
    pub head: LogPosition,
    /// The transactions before the oldest file: `gtid_purged` of MySQL, the first list of MariaDB.
    pub purged: Gtids,
    /// `gtid_binlog_state` of MariaDB: the last group of each domain and server.
    pub binlog_state: Vec<MariadbGtid>,
    /// `gtid_mode` of MySQL.
    pub gtid_mode: GtidMode,
    /// How long a file is kept after it was written last, in seconds; `None` for ever.
    pub expire_seconds: Option<u64>,
    /// `binlog_format`.
    pub format: String,
    /// `binlog_row_image`.
    pub row_image: String,
    /// `binlog_row_metadata`; empty where the server has none.
    pub row_metadata: String,
    /// `binlog_checksum`.
    pub checksum: String,
    /// What the log has at the place of the checkpoint, where [`facts_at`] looked.
    pub at_checkpoint: Option<At>,
}

/// A file of the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogFile {
    /// Its name.
    pub name: String,
    /// Its size in bytes.
    pub bytes: u64,
}

/// `gtid_mode` of MySQL.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GtidMode {
    /// Every transaction has a name. MariaDB's always have.
    #[default]
    On,
    /// New ones have, replicated ones may not.
    OnPermissive,
    /// New ones have none, replicated ones may.
    OffPermissive,
    /// None has.
    Off,
}

/// What the log has at a place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum At {
    /// What must be there, if it is our log.
    Ours,
    /// Something else.
    Other,
}

/// How to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Nothing is held of this source.
    Begin,
    /// The checkpoint is on this server, and all that comes after it.
    Resume {
        /// Where the stream begins: the checkpoint. Without its GTIDs where they cannot be used (MY-22): the place counts
        /// then.
        from: LogPosition,
    },
}

impl History {
    /// What is to be kept of a server: stored with the first checkpoint that is a place in its log, and not before, since a
    /// place counts as one of the server that is kept.
    pub fn of(facts: &ServerFacts) -> Self {
        Self {
            flavor: facts.server.flavor,
            server_uuid: facts.server_uuid.clone(),
            server_id: facts.server_id,
            gtid_domain: facts.gtid_domain,
        }
    }

    /// Whether it is the same server, and not just one with the same data. MariaDB has had a name of its own for each only
    /// lately; its number must do before.
    fn is_of(&self, facts: &ServerFacts) -> bool {
        self.flavor == facts.server.flavor
            && match (&self.server_uuid, &facts.server_uuid) {
                (Some(ours), Some(theirs)) => ours == theirs,
                (None, _) | (_, None) => self.server_id == facts.server_id,
            }
    }

    fn identity(&self) -> String {
        identity(self.server_uuid.as_deref(), self.server_id)
    }
}

impl ServerFacts {
    fn identity(&self) -> String {
        identity(self.server_uuid.as_deref(), self.server_id)
    }

    /// Whether the place is in a file that is there.
    fn place(&self, at: &LogPosition) -> Place {
        if let Some(file) = self.files.iter().find(|file| file.name == at.file) {
            return if at.offset <= file.bytes { Place::There } else { Place::Beyond };
        }
        let oldest = self.files.first().map(LogFile::number);
        match (at.file_number(), oldest) {
            (Some(number), Some(Some(oldest))) if number < oldest => Place::Purged,
            // One that was never written here, or under another name.
            (Some(_) | None, Some(_)) => Place::Beyond,
            (Some(_) | None, None) => Place::Purged,
        }
    }
}

impl LogFile {
    fn number(&self) -> Option<u64> {
        LogPosition { file: self.name.clone(), ..LogPosition::default() }.file_number()
    }
}

/// Where a place is in the files of a log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Place {
    There,
    /// In a file that was there.
    Purged,
    /// Behind what was ever written.
    Beyond,
}

/// Decides how to start.
pub fn verify(kept: Kept<'_>, facts: &ServerFacts) -> Result<Start, HistoryRefusal> {
    if !facts.log_is_on {
        return Err(HistoryRefusal::NoLog);
    }
    let Some(checkpoint) = kept.checkpoint else { return Ok(Start::Begin) };
    if let Some(history) = kept.history
        && history.flavor != facts.server.flavor
    {
        return Err(other_server(kept, facts));
    }
    if kept.history.is_some_and(|history| history.is_of(facts)) {
        return on_the_same_server(checkpoint, facts);
    }
    match &checkpoint.gtids {
        Gtids::None => Err(other_server(kept, facts)),
        Gtids::Mysql(ours) => by_mysql_gtids(ours, checkpoint, facts, true),
        Gtids::Mariadb(ours) => by_mariadb_gtids(ours, checkpoint, facts, true),
    }
}

/// The file and the offset are to be ours; where the file is gone, GTIDs may show that nothing was in it.
fn on_the_same_server(checkpoint: &LogPosition, facts: &ServerFacts) -> Result<Start, HistoryRefusal> {
    match (facts.place(checkpoint), &facts.at_checkpoint) {
        (Place::Beyond, _) => Err(ahead(checkpoint, facts, false)),
        (Place::There, Some(At::Other)) => {
            Err(HistoryRefusal::OtherHistory { checkpoint: Box::new(checkpoint.clone()) })
        }
        (Place::There, Some(At::Ours) | None) => {
            let looked = facts.at_checkpoint.is_some();
            there(checkpoint, facts, looked)
        }
        (Place::Purged, _) => match &checkpoint.gtids {
            Gtids::None => Err(purged(checkpoint, facts)),
            Gtids::Mysql(ours) => by_mysql_gtids(ours, checkpoint, facts, false),
            Gtids::Mariadb(ours) => by_mariadb_gtids(ours, checkpoint, facts, false),
        },
    }
}

/// The place is there: nothing that comes after it is lost. GTIDs go along as far as the server takes them.
fn there(checkpoint: &LogPosition, facts: &ServerFacts, looked: bool) -> Result<Start, HistoryRefusal> {
    let by_place = || LogPosition { gtids: Gtids::None, ..checkpoint.clone() };
    let from = match (&checkpoint.gtids, &facts.purged) {
        (Gtids::None, _) => checkpoint.clone(),
        (Gtids::Mysql(_), _) if facts.gtid_mode != GtidMode::On => by_place(),
        (Gtids::Mysql(ours), purged) => {
            if !executed(facts).contains_all(ours) {
                return Err(ahead(checkpoint, facts, false));
            }
            match purged {
                Gtids::Mysql(purged) if !ours.contains_all(purged) => by_place(),
                Gtids::Mysql(_) | Gtids::Mariadb(_) | Gtids::None => checkpoint.clone(),
            }
        }
        (Gtids::Mariadb(ours), _) => {
            // Numbers may go backward where strict mode is off (MY-23); the place has told already that it is our log.
            if !looked && !state_has(facts, ours) {
                return Err(ahead(checkpoint, facts, false));
            }
            checkpoint.clone()
        }
    };
    Ok(Start::Resume { from })
}

/// MY-21: ours must be among those that it has executed, those that it has purged among ours.
fn by_mysql_gtids(
    ours: &MysqlGtids,
    checkpoint: &LogPosition,
    facts: &ServerFacts,
    is_other: bool,
) -> Result<Start, HistoryRefusal> {
    match facts.gtid_mode {
        GtidMode::On | GtidMode::OnPermissive => {}
        GtidMode::OffPermissive | GtidMode::Off if is_other => return Err(HistoryRefusal::GtidsOff),
        GtidMode::OffPermissive | GtidMode::Off => return Err(purged(checkpoint, facts)),
    }
    if !executed(facts).contains_all(ours) {
        return Err(ahead(checkpoint, facts, is_other));
    }
    match &facts.purged {
        Gtids::Mysql(gone) if !ours.contains_all(gone) => Err(purged(checkpoint, facts)),
        Gtids::Mysql(_) | Gtids::None | Gtids::Mariadb(_) => Ok(Start::Resume { from: checkpoint.clone() }),
    }
}

/// MY-23: the same, domain by domain.
fn by_mariadb_gtids(
    ours: &MariadbGtids,
    checkpoint: &LogPosition,
    facts: &ServerFacts,
    is_other: bool,
) -> Result<Start, HistoryRefusal> {
    if ours.is_empty() || !state_has(facts, ours) {
        return Err(ahead(checkpoint, facts, is_other));
    }
    match &facts.purged {
        Gtids::Mariadb(gone) if !ours.contains_all(gone) => Err(purged(checkpoint, facts)),
        Gtids::Mariadb(_) | Gtids::None | Gtids::Mysql(_) => Ok(Start::Resume { from: checkpoint.clone() }),
    }
}

/// Whether the server has logged each of these groups.
fn state_has(facts: &ServerFacts, ours: &MariadbGtids) -> bool {
    let has = |gtid: MariadbGtid| {
        let same = |other: &&MariadbGtid| other.domain == gtid.domain && other.server == gtid.server;
        facts.binlog_state.iter().find(same).is_some_and(|last| last.sequence >= gtid.sequence)
    };
    ours.iter().all(has)
}

fn executed(facts: &ServerFacts) -> MysqlGtids {
    match &facts.head.gtids {
        Gtids::Mysql(executed) => executed.clone(),
        Gtids::None | Gtids::Mariadb(_) => MysqlGtids::default(),
    }
}

fn ahead(checkpoint: &LogPosition, facts: &ServerFacts, may_lag: bool) -> HistoryRefusal {
    HistoryRefusal::AheadOfServer {
        checkpoint: Box::new(checkpoint.clone()),
        head: Box::new(facts.head.clone()),
        may_lag,
    }
}

fn purged(checkpoint: &LogPosition, facts: &ServerFacts) -> HistoryRefusal {
    HistoryRefusal::Purged {
        checkpoint: Box::new(checkpoint.clone()),
        oldest: facts.files.first().map(|file| file.name.clone()).unwrap_or_default(),
    }
}

fn other_server(kept: Kept<'_>, facts: &ServerFacts) -> HistoryRefusal {
    HistoryRefusal::OtherServer {
        ours: kept.history.map_or_else(|| "unknown".to_owned(), History::identity),
        server: facts.identity(),
    }
}

fn identity(uuid: Option<&str>, id: u32) -> String {
    match uuid {
        Some(uuid) => format!("{uuid} (server_id {id})"),
        None => format!("server_id {id}"),
    }
}

#[cfg(test)]
pub(crate) mod tests;
