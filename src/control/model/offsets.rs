//! How far each source is: `GET /v1/offsets`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SourceState;

/// `GET /v1/offsets`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offsets {
    /// Sources by name.
    pub sources: Vec<SourceOffsets>,
}

/// How far a source is, as its database's own tools print it.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceOffsets {
    /// Its name.
    pub name: String,
    /// `postgres`, `mysql`, `mariadb`.
    pub kind: String,
    /// What it does.
    pub state: SourceState,
    /// Head of the server's log.
    pub server: Offset,
    /// What has reached us.
    pub received: Offset,
    /// The checkpoint.
    pub durable: Offset,
    /// What the source was told.
    pub acknowledged: Offset,
    /// What the CRMs hold, or is a dead letter.
    pub delivered: Offset,
    /// Distances.
    pub lag: Lag,
    /// Mappings that hold `delivered` back, the worst first.
    pub delivered_held_by: Vec<HeldBy>,
    /// Facts of PostgreSQL; `null` for another kind.
    pub postgres: Option<PostgresOffsets>,
    /// Facts of MySQL and MariaDB; `null` for another kind.
    pub mysql: Option<MysqlOffsets>,
}

/// A position and when it was committed, by the source's clock.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Offset {
    /// As the database prints it.
    pub value: Option<String>,
    /// When it was committed.
    pub committed_at: Option<Timestamp>,
}

/// Distances between the positions.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Lag {
    /// From `server` to `received`.
    pub capture_bytes: Option<u64>,
    /// From `server` to `durable`.
    pub durable_bytes: Option<u64>,
    /// Age of the oldest change that the CRMs do not hold.
    pub delivery_seconds: Option<f64>,
}

/// A mapping that holds the delivered position back.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct HeldBy {
    /// The mapping.
    pub mapping: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: String,
}

/// What a DBA asks of a PostgreSQL source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct PostgresOffsets {
    /// System identifier of the cluster.
    pub system_id: Option<String>,
    /// Timeline.
    pub timeline: Option<u32>,
    /// Our slot.
    pub slot: Option<String>,
    /// Our publication.
    pub publication: Option<String>,
    /// The backend that holds the slot.
    pub active_pid: Option<i32>,
    /// Oldest log that the slot keeps.
    pub restart_lsn: Option<String>,
    /// What the server knows to be confirmed.
    pub confirmed_flush_lsn: Option<String>,
    /// `reserved`, `extended`, `unreserved`, `lost`.
    pub wal_status: Option<String>,
    /// Log that may still be written before the slot is lost.
    pub safe_wal_bytes: Option<i64>,
    /// Log that the slot keeps.
    pub wal_held_bytes: Option<u64>,
    /// Forecast: when the slot is lost.
    pub lost_in_seconds: Option<u64>,
    /// Who holds the log.
    pub held_by: Option<WalHeldBy>,
    /// Age of the slot's catalog_xmin in transactions.
    pub catalog_xmin_age: Option<u64>,
}

/// Who holds the server's log.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct WalHeldBy {
    /// Which kind.
    pub kind: WalHolder,
    /// Its backend.
    pub pid: Option<i32>,
    /// Since when.
    pub since: Option<Timestamp>,
}

/// Kinds of holders of the server's log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum WalHolder {
    /// We: we have not confirmed yet.
    Us,
    /// A transaction that is open on the server.
    OpenTransaction,
    /// The slot of another.
    OtherSlot,
}

/// What a DBA asks of a MySQL or MariaDB source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MysqlOffsets {
    /// `server_uuid` of the server.
    pub server_uuid: Option<String>,
    /// Our server id.
    pub server_id: Option<u32>,
    /// Thread of the server that sends to us.
    pub dump_thread_id: Option<u64>,
    /// The file of the log that the server writes.
    pub file: Option<String>,
    /// Its end.
    pub position: Option<u64>,
    /// What the server has executed; of MariaDB, what its log has come to.
    pub gtid_executed: Option<String>,
    /// What is not in its log any more.
    pub gtid_purged: Option<String>,
    /// The oldest file that we need.
    pub first_needed_file: Option<String>,
    /// The oldest file that the server has.
    pub oldest_available: Option<String>,
    /// Forecast: when a file that we need is purged.
    pub lost_in_seconds: Option<u64>,
    /// `binlog_format`.
    pub format: Option<String>,
    /// `binlog_row_image`.
    pub row_image: Option<String>,
    /// `binlog_row_metadata`.
    pub row_metadata: Option<String>,
    /// `binlog_checksum`.
    pub checksum: Option<String>,
}
