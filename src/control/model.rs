//! The documents of the status socket, field by field as the design page gives them.
//!
//! What is not known is `null`. Reading is lenient (a field that is missing is its default), so that the command line
//! of one version can read the daemon of another. Times are RFC 3339 in UTC, sizes bytes, spans seconds.

mod alert;
mod offsets;

use std::collections::BTreeMap;

use jiff::Timestamp;
use passerelle_change::Micros;
use serde::{Deserialize, Serialize};

pub use alert::{AlertChannelStatus, AlertStatus};
pub use offsets::{HeldBy, Lag, MysqlOffsets, Offset, Offsets, PostgresOffsets, SourceOffsets, WalHeldBy, WalHolder};

/// A time of the state or of a source as the documents print it; `None` when it is out of the calendar's range.
pub fn at(micros: Micros) -> Option<Timestamp> {
    Timestamp::from_microsecond(micros.0).ok()
}

/// `GET /v1/status`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Status {
    /// The process.
    pub daemon: DaemonStatus,
    /// Sources by name.
    pub sources: Vec<SourceStatus>,
    /// Mappings by name.
    pub mappings: Vec<MappingStatus>,
    /// CRMs by name.
    pub crms: Vec<CrmStatus>,
    /// Schema changes that are not settled.
    pub drift: Vec<Drift>,
    /// What is wrong now and worth an alert.
    pub alerts: Vec<AlertStatus>,
    /// Whom alerts go to, by name.
    pub alert_channels: Vec<AlertChannelStatus>,
}

/// The process.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DaemonStatus {
    /// Version of the program.
    pub version: String,
    /// What it does.
    pub state: DaemonState,
    /// Seconds since it started.
    pub uptime_seconds: u64,
    /// Hash of the configuration in force.
    pub config_hash: Option<String>,
    /// The files on disk differ from the configuration in force.
    pub config_stale: Option<bool>,
    /// Disk that the state takes.
    pub state_bytes: Option<u64>,
    /// Forecast: when the disk budget is reached.
    pub disk_full_in_seconds: Option<u64>,
    /// Resident memory.
    pub memory_bytes: Option<u64>,
    /// When what waits and what is dead was counted. Where counting takes long it is done less often.
    pub reckoned_at: Option<Timestamp>,
}

/// What the daemon does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DaemonState {
    /// Opening the state, connecting.
    #[default]
    Starting,
    /// Capturing and delivering.
    Running,
    /// Capturing; all writes to CRMs are paused by command.
    WritesPaused,
    /// Finishing what is in flight.
    Stopping,
}

/// One source.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct SourceStatus {
    /// Its name.
    pub name: String,
    /// `postgres`, `mysql`, `mariadb`.
    pub kind: String,
    /// What it does.
    pub state: SourceState,
    /// Why it does not go on, in a sentence.
    pub reason: Option<String>,
    /// The next safe command.
    pub next_command: Option<String>,
    /// Since when it is in this state.
    pub since: Option<Timestamp>,
    /// When the last change arrived.
    pub last_change_at: Option<Timestamp>,
    /// When the server was heard last.
    pub last_contact_at: Option<Timestamp>,
    /// Reconnects since the start.
    pub reconnects_total: u64,
    /// The last error, also when it has passed.
    pub last_error: Option<LastError>,
    /// Why the catalogue can't be read, while it can't: changes of the schema show in the log only.
    pub catalog_error: Option<String>,
    /// Log of the server that is not durable here.
    pub lag_bytes: Option<u64>,
    /// Age of the oldest commit that is not durable here, by the source's clock.
    pub lag_seconds: Option<f64>,
    /// Row changes since the start.
    pub changes_total: u64,
    /// Transactions since the start.
    pub transactions_total: u64,
    /// The transaction that is being received.
    pub open_transaction: Option<OpenTransaction>,
    /// Mapped tables.
    pub tables: Vec<TableStatus>,
}

/// What a source does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SourceState {
    /// Connecting and verifying for the first time.
    #[default]
    Starting,
    /// Streaming while tables are loaded for the first time.
    Loading,
    /// Streaming, behind the head of the log.
    CatchingUp,
    /// Streaming, at the head of the log.
    Streaming,
    /// The connection is lost; tried again.
    Retrying,
    /// Stopped until a person has acted: see `reason` and `next_command`.
    Stopped,
    /// Stopped by command. The server keeps its log meanwhile.
    Paused,
    /// Stopped at the disk budget. The server keeps its log meanwhile.
    DiskFull,
}

/// An error, its code and when it happened.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct LastError {
    /// The code of whoever reported it: an SQLSTATE, a vendor's error code.
    pub code: Option<String>,
    /// What happened.
    pub text: String,
    /// When.
    pub at: Option<Timestamp>,
}

/// A transaction of which only a part has arrived.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct OpenTransaction {
    /// The source's number for it.
    pub id: String,
    /// What has arrived of it.
    pub bytes: u64,
    /// Since when it arrives.
    pub since: Option<Timestamp>,
}

/// A mapped table.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct TableStatus {
    /// Schema and name.
    pub name: String,
    /// How far its first load is.
    pub state: TableState,
    /// Rows loaded.
    pub loaded: u64,
    /// Rows in all, an estimate of the server.
    pub total: Option<u64>,
}

/// How far the first load of a table is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TableState {
    /// Not begun.
    #[default]
    Waiting,
    /// Being read.
    Loading,
    /// Loaded: the stream alone keeps it.
    Streaming,
    /// The load failed; tried again.
    Failed,
}

/// One mapping.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct MappingStatus {
    /// Its name.
    pub name: String,
    /// What it does.
    pub state: MappingState,
    /// Rows whose newest state is not reconciled yet. Exact up to 10,000, an estimate beyond.
    pub pending: Option<u64>,
    /// Commit of the oldest of them.
    pub oldest_pending_at: Option<Timestamp>,
    /// Age of the oldest of them; 0 with none. Reckoned when it is read.
    pub freshness_seconds: Option<f64>,
    /// `freshness` of the configuration.
    pub freshness_target_seconds: Option<f64>,
    /// Records that wait for their parent's turn.
    pub waiting_parent: Option<u64>,
    /// Records in a request now.
    pub in_flight: u64,
    /// Records that it feeds in the CRM.
    pub records: Option<u64>,
    /// Dead letters.
    pub dead_letters: Option<u64>,
    /// The same by the code of the refusal.
    pub dead_letters_by_reason: BTreeMap<String, u64>,
    /// Records that the CRM accepted since the start.
    pub delivered_total: u64,
    /// Records that were equal to what the CRM holds, and cost no call, since the start.
    pub unchanged_total: u64,
    /// When the CRM accepted the last one.
    pub last_delivered_at: Option<Timestamp>,
    /// Why it is held, in a sentence.
    pub held_reason: Option<String>,
    /// `observe` where nothing is written, else `null`.
    pub mode: Option<String>,
    /// Whom to ask, of the configuration.
    pub owner: Option<String>,
    /// What the data is for, of the configuration.
    pub purpose: Option<String>,
    /// How often several related rows stood where one was asked for, since the start, by the relation: the one with the
    /// lowest key was taken.
    pub ambiguous_total: BTreeMap<String, u64>,
    /// Rows that were not written since the start, because of `limit`, `only` or `mode`.
    pub left_out_total: u64,
    /// Records that `mode = "observe"` did not create since the start.
    pub observed_creations_total: u64,
    /// Updates that it did not send.
    pub observed_updates_total: u64,
    /// Deletions that it did not send.
    pub observed_deletions_total: u64,
    /// When a mapping that is delivered at intervals runs next.
    pub next_run_at: Option<Timestamp>,
    /// Forecast: when what is pending is delivered.
    pub drained_in_seconds: Option<f64>,
    /// Deletions within the last hour.
    pub deletes_last_hour: Option<u64>,
    /// The guard on deletions holds them until `resume --confirm`.
    pub guard_tripped: bool,
}

/// What a mapping does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MappingState {
    /// Not begun.
    #[default]
    Starting,
    /// Its table is loaded for the first time.
    Loading,
    /// Changes are delivered as they come.
    Running,
    /// Waits for its next run.
    Scheduled,
    /// Held by drift, by refusals or by its CRM: see `held_reason`.
    Held,
    /// Paused by command.
    Paused,
}

/// One CRM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct CrmStatus {
    /// Its name.
    pub name: String,
    /// `salesforce`.
    pub kind: String,
    /// What it does.
    pub state: CrmState,
    /// The organisation that answers there.
    pub org: Option<String>,
    /// Requests since the start.
    pub requests_total: u64,
    /// Records sent since the start.
    pub records_total: u64,
    /// Requests that the vendor refused for their rate, since the start.
    pub throttled_total: u64,
    /// Limits and what is used of them.
    pub windows: Vec<Window>,
    /// Forecast: when the day's budget is used up.
    pub exhausted_at: Option<Timestamp>,
    /// When the token ends.
    pub token_expires_at: Option<Timestamp>,
    /// When it is tried again.
    pub retry_at: Option<Timestamp>,
    /// The last error, also when it has passed.
    pub last_error: Option<LastError>,
}

/// What a CRM does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CrmState {
    /// Not asked yet.
    #[default]
    Starting,
    /// Takes records.
    Ready,
    /// Refuses for the rate; tried again at `retry_at`.
    Throttled,
    /// The day's budget is used up.
    Exhausted,
    /// Not reached, or failing; tried again at `retry_at`.
    Retrying,
    /// Stopped until a person has acted: see `last_error`.
    Stopped,
    /// Paused by command.
    Paused,
}

/// One limit of a CRM.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Window {
    /// `per_second`, `per_day`, `concurrent`, …
    pub name: String,
    /// Used of it now.
    pub used: Option<u64>,
    /// The most.
    pub limit: u64,
    /// When it is whole again.
    pub resets_at: Option<Timestamp>,
}

/// A change of a source table's schema that touches a mapping and is not settled.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Drift {
    /// The mapping that it touches.
    pub mapping: Option<String>,
    /// Schema and name of the table.
    pub table: String,
    /// The mapping's relation whose rows the table has, as expressions name it; `null` of its own table.
    pub relation: Option<String>,
    /// What changed: `column_dropped`, `retyped`, …
    pub kind: String,
    /// The column, by the name that it had.
    pub column: Option<String>,
    /// What it does to the mapping, in a sentence.
    pub effect: String,
    /// Since when.
    pub since: Option<Timestamp>,
    /// What changed, in a sentence: `phone is gone`.
    pub change: String,
    /// How bad it is at worst: `none`, `lossy`, `breaking`.
    pub severity: String,
    /// The fields that it touches, by their names in the CRM.
    pub fields: Vec<String>,
    /// What it does to each part of the mapping.
    pub effects: Vec<DriftEffect>,
    /// The mapping is not delivered until it is settled.
    pub held: bool,
    /// How many rows it touches: `112 of 40,310 rows would be cut at 40 characters`.
    pub counted: Option<String>,
    /// What can be said of it behind `passerelle drift accept MAPPING`, likely words first: `--rename phone=tel`. Empty where
    /// nothing needs to be said.
    pub answers: Vec<String>,
    /// What to do where it can't be accepted.
    pub way_out: Option<String>,
    /// A mark of all that is not settled of the mapping, to accept just that.
    pub seen: String,
    /// The command that helps.
    pub next_command: Option<String>,
}

/// What a change does to one part of a mapping.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftEffect {
    /// `key`, `where`, `deleted`, a field by its name in the CRM, or `all of it`.
    pub part: String,
    /// `none`, `lossy`, `breaking`.
    pub severity: String,
    /// In a sentence.
    pub text: String,
}

/// `GET /v1/drift`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DriftList {
    /// Schema changes that are not settled.
    pub drift: Vec<Drift>,
}

/// `GET /v1/dead-letters`.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetterPage {
    /// Oldest first, without payloads.
    pub dead_letters: Vec<DeadLetter>,
    /// Pass it as `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

/// A record that the CRM refuses for good.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct DeadLetter {
    /// The mapping.
    pub mapping: String,
    /// The row's key in the source, as commands take it.
    pub key: String,
    /// The CRM.
    pub crm: Option<String>,
    /// The CRM object.
    pub object: Option<String>,
    /// The external key, where it could be reckoned.
    pub record: Option<String>,
    /// Code of the refusal: the vendor's, or ours in lower case.
    pub code: String,
    /// The refusal in a sentence.
    pub reason: String,
    /// Fields that the refusal names.
    pub fields: Vec<String>,
    /// Source position of the change.
    pub position: Option<String>,
    /// When it became a dead letter.
    pub at: Option<Timestamp>,
    /// How often it was tried.
    pub attempts: Option<u32>,
    /// What was sent; only when one dead letter is shown.
    pub payload: Option<serde_json::Value>,
}
