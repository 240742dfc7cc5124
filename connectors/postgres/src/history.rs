//! Whether the server's history is the one that our checkpoint belongs to, and where to go on. Pure.
//!
//! [`verify`] decides before every start of the stream, from what the state has kept ([`Kept`]) and what the server says
//! ([`ServerFacts`], read by [`facts`](fn@facts)). It never guesses: what does not fit is a [`HistoryRefusal`] that names its
//! reason and the next safe command. `START_REPLICATION` itself refuses nothing: a position before the slot's is moved
//! forward in silence (PG-05), one beyond the server's log is waited for (PG-06).

mod facts;
mod retention;

use passerelle_change::Micros;
use serde::{Deserialize, Serialize};

use crate::Lsn;

pub use facts::{facts, slot_facts, switches};
pub use retention::{Alarm, HeldBy, Retention, alarm, held_by, retention};

/// What the state keeps of the server whose log it follows.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct History {
    /// The cluster's system identifier.
    pub system_id: u64,
    /// The timeline when the checkpoint was last moved on.
    pub timeline: u32,
    /// The database. Another one under the same name is another database.
    pub database_oid: u32,
    /// The slot's name.
    pub slot: String,
    /// Where the slot began: the mark of its generation. `None` is the intent to create it, stored before that is
    /// done, so that a slot that was left half-made is known to be ours.
    pub slot_consistent_point: Option<Lsn>,
}

/// What the state knows when it starts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Kept<'a> {
    /// The history, once a start has stored one.
    pub history: Option<&'a History>,
    /// The end of the last transaction that is durable.
    pub checkpoint: Option<Lsn>,
    /// What was told to the server last, of this generation of the slot.
    pub acknowledged: Option<Lsn>,
}

/// What the server says about itself and our slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServerFacts {
    /// The cluster's system identifier.
    pub system_id: u64,
    /// Its timeline.
    pub timeline: u32,
    /// The database's oid.
    pub database_oid: u32,
    /// The database's name.
    pub database: String,
    /// `server_version_num`, 150018 for 15.18.
    pub version: u32,
    /// It is a standby.
    pub in_recovery: bool,
    /// The end of its log: written, or on a standby replayed.
    pub head: Lsn,
    /// Where each earlier timeline ended, as far as we may read it.
    pub switches: Vec<Switch>,
    /// `max_slot_wal_keep_size` in bytes; `None` where it keeps everything (or is older than 13).
    pub max_slot_wal_keep_bytes: Option<u64>,
    /// Our slot, where there is one of that name.
    pub slot: Option<SlotFacts>,
}

/// The end of a timeline.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Switch {
    /// The timeline that ended.
    pub timeline: u32,
    /// Where the next one began.
    pub at: Lsn,
}

/// A row of `pg_replication_slots`. Columns that the server's version lacks are `None` or `false`.
// The flags are the view's own columns.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SlotFacts {
    /// Its name.
    pub name: String,
    /// Its output plugin; `None` is a physical slot.
    pub plugin: Option<String>,
    /// The database it belongs to.
    pub database: Option<String>,
    /// Ends with the session that made it.
    pub temporary: bool,
    /// Decodes prepared transactions before they are committed.
    pub two_phase: bool,
    /// Who streams from it.
    pub active: Option<Reader>,
    /// The oldest log it needs.
    pub restart_lsn: Option<Lsn>,
    /// The position up to which its reader has acknowledged.
    pub confirmed_flush_lsn: Option<Lsn>,
    /// `reserved`, `extended`, `unreserved` or `lost`, from 13 on.
    pub wal_status: Option<String>,
    /// Bytes that can still be written before it may be lost, where there is a limit.
    pub safe_wal_bytes: Option<u64>,
    /// Transactions since its `catalog_xmin`.
    pub catalog_xmin_age: Option<u32>,
    /// Why it is invalid, from 17 on (before that only [`wal_status`](Self::wal_status) and conflicts on a standby).
    pub invalidation: Option<String>,
    /// To be kept over a failover, from 17 on.
    pub failover: bool,
    /// Came from another server by synchronisation, from 17 on.
    pub synced: bool,
    /// Since when nobody reads it, from 17 on.
    pub inactive_since: Option<Micros>,
}

/// The server process that streams from a slot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reader {
    /// Its process id.
    pub pid: i32,
    /// The `application_name` of its client, as far as we may see it.
    pub application_name: Option<String>,
}

/// How to start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Start {
    /// Store the intent, create the slot, load.
    Create,
    /// A slot that we began to create and never used: drop it, then as [`Start::Create`].
    Recreate,
    /// Go on.
    Resume {
        /// Where `START_REPLICATION` begins: the checkpoint.
        from: Lsn,
        /// A walsender of ours that has not noticed yet that we are gone: to be ended before (PG-12).
        stale: Option<i32>,
    },
}

/// Why nothing is started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryRefusal {
    /// PG-43: a slot on a standby lives by what the primary sends and can be lost by what it removes.
    #[error("this server is a standby: the log is followed on the primary alone")]
    Standby,
    /// PG-08.
    #[error("this is another database cluster: its system identifier is {server}, the checkpoint belongs to {ours}")]
    OtherSystem {
        /// The one that the checkpoint belongs to.
        ours: u64,
        /// The server's.
        server: u64,
    },
    /// PG-08.
    #[error(
        "database \"{database}\" is not the one that the checkpoint belongs to: it was dropped and created again, or the name was changed"
    )]
    OtherDatabase {
        /// The database's name.
        database: String,
    },
    /// PG-08.
    #[error(
        "the server has gone from timeline {ours} to {server} by a failover or a restore, and it is not certain that this history holds our checkpoint {checkpoint}"
    )]
    OtherTimeline {
        /// The one that the checkpoint belongs to.
        ours: u32,
        /// The server's.
        server: u32,
        /// The checkpoint.
        checkpoint: Lsn,
    },
    /// PG-06.
    #[error(
        "the checkpoint {checkpoint} is beyond the end of the server's log {head}: the server was restored from a backup, or is another one"
    )]
    AheadOfServer {
        /// What we hold or have acknowledged.
        checkpoint: Lsn,
        /// The server's end of log.
        head: Lsn,
    },
    /// The configuration names another slot than the checkpoint belongs to.
    #[error("the checkpoint belongs to replication slot \"{ours}\", and the configuration names \"{configured}\"")]
    OtherSlot {
        /// The slot that the checkpoint belongs to.
        ours: String,
        /// The slot configured.
        configured: String,
    },
    /// PG-07: no slot, and a checkpoint.
    #[error("replication slot \"{slot}\" is gone: changes after {checkpoint} cannot be had from the log any more")]
    SlotMissing {
        /// The slot.
        slot: String,
        /// The checkpoint.
        checkpoint: Lsn,
    },
    /// A slot, and a state that knows of none.
    #[error(
        "replication slot \"{slot}\" exists, and this state knows nothing of it: the state folder is new, or something else reads this slot"
    )]
    SlotNotOurs {
        /// The slot.
        slot: String,
    },
    /// PG-07: the slot is older than the one we made.
    #[error(
        "replication slot \"{slot}\" is not the one that was made here: it stands at {confirmed}, before ours began at {began}"
    )]
    SlotReplaced {
        /// The slot.
        slot: String,
        /// Where it stands.
        confirmed: Lsn,
        /// Where ours began.
        began: Lsn,
    },
    /// The slot cannot be used.
    #[error("replication slot \"{slot}\" cannot be used: {why}")]
    SlotUnusable {
        /// The slot.
        slot: String,
        /// Why.
        why: Unusable,
    },
    /// PG-09.
    #[error("replication slot \"{slot}\" is lost ({why}): the server has thrown away changes after {checkpoint}")]
    SlotLost {
        /// The slot.
        slot: String,
        /// The server's word for it.
        why: String,
        /// The checkpoint.
        checkpoint: Lsn,
    },
    /// PG-05, PG-07.
    #[error(
        "changes between {ours} and {confirmed} are missing: replication slot \"{slot}\" was moved on or created again by someone else"
    )]
    Gap {
        /// The slot.
        slot: String,
        /// What we hold or have acknowledged.
        ours: Lsn,
        /// Where the slot stands.
        confirmed: Lsn,
    },
    /// PG-12.
    #[error("replication slot \"{slot}\" is in use by server process {pid}{}", .application_name.as_ref().map(|name| format!(" (\"{name}\")")).unwrap_or_default())]
    SlotActive {
        /// The slot.
        slot: String,
        /// The server process.
        pid: i32,
        /// Its client's name.
        application_name: Option<String>,
    },
}

/// What makes a slot unusable.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unusable {
    /// It is physical.
    #[error("it is a physical slot")]
    Physical,
    /// It has another output plugin.
    #[error("its output plugin is {0}, not pgoutput")]
    Plugin(String),
    /// It belongs to another database.
    #[error("it belongs to database \"{0}\"")]
    Database(String),
    /// It is temporary.
    #[error("it is temporary")]
    Temporary,
    /// It was made for two-phase decoding.
    #[error("it decodes prepared transactions before they are committed")]
    TwoPhase,
}

impl HistoryRefusal {
    /// A word for status and metrics that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::Standby => "standby",
            Self::OtherSystem { .. } => "other_system",
            Self::OtherDatabase { .. } => "other_database",
            Self::OtherTimeline { .. } => "other_timeline",
            Self::AheadOfServer { .. } => "ahead_of_server",
            Self::OtherSlot { .. } => "other_slot",
            Self::SlotMissing { .. } => "slot_missing",
            Self::SlotNotOurs { .. } => "slot_not_ours",
            Self::SlotReplaced { .. } => "slot_replaced",
            Self::SlotUnusable { .. } => "slot_unusable",
            Self::SlotLost { .. } => "slot_lost",
            Self::Gap { .. } => "gap",
            Self::SlotActive { .. } => "slot_active",
        }
    }

    /// Whether it may pass by itself: the other reader may leave, the standby may be promoted.
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::SlotActive { .. } | Self::Standby)
    }

    /// The next safe command for the operator, a shell command or SQL.
    pub fn next_command(&self, source: &str) -> String {
        match self {
            Self::OtherSystem { .. }
            | Self::OtherDatabase { .. }
            | Self::OtherTimeline { .. }
            | Self::AheadOfServer { .. }
            | Self::SlotMissing { .. }
            | Self::SlotReplaced { .. }
            | Self::SlotLost { .. }
            | Self::Gap { .. } => format!("passerelle recover {source}"),
            Self::Standby => format!("set host in [source.{source}] to the primary"),
            Self::OtherSlot { ours, .. } => format!("set slot = \"{ours}\" in [source.{source}]"),
            Self::SlotNotOurs { slot } | Self::SlotUnusable { slot, .. } => format!(
                "if nothing else uses it: SELECT pg_drop_replication_slot({}); else set another slot in [source.{source}]",
                crate::sql::literal(slot)
            ),
            Self::SlotActive { pid, .. } => {
                format!("stop the other reader; to see it: SELECT * FROM pg_stat_activity WHERE pid = {pid}")
            }
        }
    }
}

/// Decides how to start. `slot` is the configured one, `us` our own `application_name`, by which a walsender that we
/// left behind is known.
pub fn verify(kept: Kept<'_>, facts: &ServerFacts, slot: &str, us: &str) -> Result<Start, HistoryRefusal> {
    if facts.in_recovery {
        return Err(HistoryRefusal::Standby);
    }
    let Some(history) = kept.history else { return first_start(kept, facts, slot) };
    if history.slot != slot {
        return Err(HistoryRefusal::OtherSlot { ours: history.slot.clone(), configured: slot.to_owned() });
    }
    same_database(history, facts)?;
    // Until a transaction is durable, what we hold is what the slot began with.
    let Some(checkpoint) = kept.checkpoint.or(history.slot_consistent_point) else {
        return half_made(facts, us);
    };
    let reached = kept.acknowledged.map_or(checkpoint, |acknowledged| acknowledged.max(checkpoint));
    if reached > facts.head {
        return Err(HistoryRefusal::AheadOfServer { checkpoint: reached, head: facts.head });
    }
    let Some(found) = &facts.slot else {
        return Err(HistoryRefusal::SlotMissing { slot: slot.to_owned(), checkpoint });
    };
    usable(found, facts)?;
    if let Some(why) = lost(found) {
        return Err(HistoryRefusal::SlotLost { slot: slot.to_owned(), why, checkpoint });
    }
    same_timeline(history, facts, found, reached)?;
    if let (Some(confirmed), Some(began)) = (found.confirmed_flush_lsn, history.slot_consistent_point)
        && confirmed < began
    {
        return Err(HistoryRefusal::SlotReplaced { slot: slot.to_owned(), confirmed, began });
    }
    no_gap(slot, found.confirmed_flush_lsn, checkpoint, kept.acknowledged)?;
    Ok(Start::Resume { from: checkpoint, stale: reader(found, us)? })
}

/// PG-05: to be asked again with what a second connection reads *after* `START_REPLICATION`, since the slot may have
/// been moved between.
pub fn no_gap(
    slot: &str,
    confirmed: Option<Lsn>,
    checkpoint: Lsn,
    acknowledged: Option<Lsn>,
) -> Result<(), HistoryRefusal> {
    let ours = acknowledged.map_or(checkpoint, |acknowledged| acknowledged.max(checkpoint));
    match confirmed {
        Some(confirmed) if confirmed > ours => Err(HistoryRefusal::Gap { slot: slot.to_owned(), ours, confirmed }),
        Some(_) | None => Ok(()),
    }
}

/// The history to store before a slot is created on this server: its consistent point is filled in afterwards.
pub fn intent(facts: &ServerFacts, slot: &str) -> History {
    History {
        system_id: facts.system_id,
        timeline: facts.timeline,
        database_oid: facts.database_oid,
        slot: slot.to_owned(),
        slot_consistent_point: None,
    }
}

fn first_start(kept: Kept<'_>, facts: &ServerFacts, slot: &str) -> Result<Start, HistoryRefusal> {
    match (&facts.slot, kept.checkpoint) {
        (None, None) => Ok(Start::Create),
        (None, Some(checkpoint)) => Err(HistoryRefusal::SlotMissing { slot: slot.to_owned(), checkpoint }),
        (Some(_), _) => Err(HistoryRefusal::SlotNotOurs { slot: slot.to_owned() }),
    }
}

/// The intent to create a slot was stored, and no more.
fn half_made(facts: &ServerFacts, us: &str) -> Result<Start, HistoryRefusal> {
    let Some(found) = &facts.slot else { return Ok(Start::Create) };
    usable(found, facts)?;
    // A walsender that still creates it would leave it again; it is ended with the slot.
    reader(found, us).map(|_| Start::Recreate)
}

fn same_database(history: &History, facts: &ServerFacts) -> Result<(), HistoryRefusal> {
    if history.system_id != facts.system_id {
        return Err(HistoryRefusal::OtherSystem { ours: history.system_id, server: facts.system_id });
    }
    if history.database_oid != facts.database_oid {
        return Err(HistoryRefusal::OtherDatabase { database: facts.database.clone() });
    }
    Ok(())
}

/// A slot survives a failover only where it was synchronised; and what we hold must lie before the fork.
fn same_timeline(history: &History, facts: &ServerFacts, slot: &SlotFacts, reached: Lsn) -> Result<(), HistoryRefusal> {
    if history.timeline == facts.timeline {
        return Ok(());
    }
    let fork = facts.switches.iter().find(|switch| switch.timeline == history.timeline);
    let ours_is_before = fork.is_some_and(|switch| reached <= switch.at);
    if facts.timeline > history.timeline && (slot.failover || slot.synced) && ours_is_before {
        return Ok(());
    }
    Err(HistoryRefusal::OtherTimeline { ours: history.timeline, server: facts.timeline, checkpoint: reached })
}

fn usable(slot: &SlotFacts, facts: &ServerFacts) -> Result<(), HistoryRefusal> {
    let why = match (&slot.plugin, &slot.database) {
        (None, _) => Some(Unusable::Physical),
        (Some(plugin), _) if plugin != "pgoutput" => Some(Unusable::Plugin(plugin.clone())),
        (_, Some(database)) if *database != facts.database => Some(Unusable::Database(database.clone())),
        _ if slot.temporary => Some(Unusable::Temporary),
        _ if slot.two_phase => Some(Unusable::TwoPhase),
        _ => None,
    };
    why.map_or(Ok(()), |why| Err(HistoryRefusal::SlotUnusable { slot: slot.name.clone(), why }))
}

fn lost(slot: &SlotFacts) -> Option<String> {
    let lost = slot.wal_status.as_deref() == Some("lost") || slot.restart_lsn.is_none();
    slot.invalidation.clone().or_else(|| lost.then(|| "wal_removed".to_owned()))
}

/// The walsender that we left behind, if any; a refusal when it is someone else's.
fn reader(slot: &SlotFacts, us: &str) -> Result<Option<i32>, HistoryRefusal> {
    match &slot.active {
        None => Ok(None),
        Some(reader) if reader.application_name.as_deref() == Some(us) => Ok(Some(reader.pid)),
        Some(reader) => Err(HistoryRefusal::SlotActive {
            slot: slot.name.clone(),
            pid: reader.pid,
            application_name: reader.application_name.clone(),
        }),
    }
}

#[cfg(test)]
mod tests;
