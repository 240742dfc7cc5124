//! How much log the slot holds back, who is to blame, and when that is an alarm. Pure but for the reading of it.

use passerelle_change::Micros;
use serde::Serialize;
use tokio_postgres::Client;

use super::{ServerFacts, SlotFacts};
use crate::{Error, Lsn};

/// What `/v1/offsets` shows of a source's log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Retention {
    /// The server process that streams from the slot.
    pub active_pid: Option<i32>,
    /// The oldest log the slot needs.
    pub restart_lsn: Option<String>,
    /// What was acknowledged.
    pub confirmed_flush_lsn: Option<String>,
    /// `reserved`, `extended`, `unreserved` or `lost`, from 13 on.
    pub wal_status: Option<String>,
    /// Bytes that can still be written before the slot may be lost, where there is a limit.
    pub safe_wal_bytes: Option<u64>,
    /// Bytes of log that the server keeps for the slot.
    pub wal_held_bytes: u64,
    /// Who is to blame.
    pub held_by: Option<HeldBy>,
    /// Transactions since the slot's `catalog_xmin`.
    pub catalog_xmin_age: Option<u32>,
    /// `max_slot_wal_keep_size` in bytes, where it is limited.
    pub max_slot_wal_keep_bytes: Option<u64>,
}

/// Who makes the server keep log.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum HeldBy {
    /// We have not acknowledged what is there.
    Us {
        /// Our walsender.
        pid: Option<i32>,
    },
    /// A transaction that has been open for long: decoding would begin with it (PG-46).
    OpenTransaction {
        /// Its server process.
        pid: i32,
        /// When it began.
        since: Micros,
    },
    /// Another slot needs older log than ours.
    OtherSlot {
        /// Its name.
        slot: String,
        /// Its reader.
        pid: Option<i32>,
        /// Since when nobody reads it, from 17 on.
        since: Option<Micros>,
    },
}

/// A state of the slot that someone should see now (PG-09).
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Alarm {
    /// More than `max_wal_size` is held.
    #[error("the server holds more log for us than max_wal_size")]
    Extended,
    /// The next checkpoint may throw the slot's log away.
    #[error("the server may throw away log that we need at its next checkpoint")]
    Unreserved,
    /// It is gone.
    #[error("the server has thrown away log that we need ({0})")]
    Lost(String),
}

/// The alarm of a slot, if any.
pub fn alarm(slot: &SlotFacts) -> Option<Alarm> {
    if let Some(why) = super::lost(slot) {
        return Some(Alarm::Lost(why));
    }
    match slot.wal_status.as_deref() {
        Some("extended") => Some(Alarm::Extended),
        Some("unreserved") => Some(Alarm::Unreserved),
        _ => None,
    }
}

/// Another slot of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct OtherSlot {
    pub(super) name: String,
    pub(super) pid: Option<i32>,
    pub(super) restart_lsn: Lsn,
    pub(super) since: Option<Micros>,
}

/// A transaction with an id that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct OpenTransaction {
    pub(super) pid: i32,
    pub(super) since: Micros,
}

/// Who makes the server keep log since the slot's restart position: the slot that needs the oldest; else, where we have
/// acknowledged most of it and the slot stays behind, the oldest open transaction; else we.
pub fn held_by(facts: &ServerFacts, other: Option<HeldBy>, open: Option<HeldBy>) -> Option<HeldBy> {
    let slot = facts.slot.as_ref()?;
    let restart = slot.restart_lsn?;
    let unacknowledged = facts.head.bytes_since(slot.confirmed_flush_lsn.unwrap_or(restart));
    let acknowledged = slot.confirmed_flush_lsn.unwrap_or(restart).bytes_since(restart);
    let us = || HeldBy::Us { pid: slot.active.as_ref().map(|reader| reader.pid) };
    Some(other.or_else(|| open.filter(|_| acknowledged > unacknowledged)).unwrap_or_else(us))
}

/// Reads the rest of what `/v1/offsets` shows.
pub async fn retention(client: &Client, facts: &ServerFacts) -> Result<Retention, Error> {
    let slot = facts.slot.clone().unwrap_or_default();
    let restart = slot.restart_lsn;
    let others = super::facts::other_slots(client, facts.version, &slot.name).await?;
    let oldest = others.into_iter().min_by_key(|other| other.restart_lsn);
    let other = oldest
        .filter(|other| restart.is_some_and(|ours| other.restart_lsn < ours))
        .map(|other| HeldBy::OtherSlot { slot: other.name, pid: other.pid, since: other.since });
    let open = super::facts::oldest_transaction(client).await?;
    let open = open.map(|open| HeldBy::OpenTransaction { pid: open.pid, since: open.since });
    Ok(Retention {
        active_pid: slot.active.as_ref().map(|reader| reader.pid),
        restart_lsn: restart.map(|lsn| lsn.to_string()),
        confirmed_flush_lsn: slot.confirmed_flush_lsn.map(|lsn| lsn.to_string()),
        wal_held_bytes: restart.map_or(0, |restart| facts.head.bytes_since(restart)),
        held_by: held_by(facts, other, open),
        wal_status: slot.wal_status,
        safe_wal_bytes: slot.safe_wal_bytes,
        catalog_xmin_age: slot.catalog_xmin_age,
        max_slot_wal_keep_bytes: facts.max_slot_wal_keep_bytes,
    })
}
