//! The facts that are kept besides rows and lanes: checkpoints, loads, links, records, dead letters.

use std::collections::BTreeMap;

use passerelle_change::{Micros, Position, Refusal, Seq, TableId, TableName};
use serde::{Deserialize, Serialize};

use crate::keys::{MappingId, RecordId};

/// Up to where every change of a source is durable here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The end of the last transaction that is durable as a whole.
    pub position: Position,
    /// When that transaction was committed, by the source's clock.
    pub committed_at: Micros,
    /// The last sequence number given out.
    pub seq: Seq,
    /// A transaction of which a part is durable already: its number and how many of its events are. A replay skips
    /// that many.
    pub open: Option<OpenTransaction>,
}

/// A transaction of which a part is durable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OpenTransaction {
    /// Its number in [`passerelle_change::Event::Begin`].
    pub transaction: u64,
    /// How many of its row and truncate events are durable, those of distributed transactions that it decides included.
    pub ordinal: u64,
}

/// A table that is captured.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Table {
    /// Its name in the source.
    pub name: TableName,
    /// The source it belongs to.
    pub source: u32,
}

/// The load of a table: how its rows got here before the stream.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Load {
    /// Its number, so that rows tell which load saw them.
    pub number: u32,
    /// The newest durable change when it began.
    pub low: Seq,
    /// The columns it loads, by id.
    pub columns: Vec<u32>,
    /// How far it is.
    pub stage: LoadStage,
}

/// How far a load is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum LoadStage {
    /// Not done. It starts again from the beginning.
    Wanted,
    /// Every row is durable; deliverable once the checkpoint has passed `high`.
    Loaded {
        /// The log's position of its snapshot.
        high: Position,
        /// How many rows it read.
        rows: u64,
    },
}

/// A row that changed its key: delivery moves what it knows of the old key to the new one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Move {
    /// The table.
    pub table: TableId,
    /// The row key before.
    #[serde(with = "serde_bytes")]
    pub old: Vec<u8>,
    /// The row key after.
    #[serde(with = "serde_bytes")]
    pub new: Vec<u8>,
}

/// What delivery knows of a row under a mapping: the version that was reconciled last, and the record it feeds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// The row's sequence that was reconciled.
    pub seq: Seq,
    /// The mapping's revision by which it was.
    pub revision: u64,
    /// The record, while the row feeds one.
    pub record: Option<RecordId>,
    /// The parent rows it refers to.
    pub parents: Vec<(MappingId, Vec<u8>)>,
}

/// What the CRM last accepted for a record.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The external key, as sent.
    pub key: String,
    /// The CRM's id, once an answer has named it.
    pub crm_id: Option<String>,
    /// The fields it accepted.
    pub fields: BTreeMap<String, AcceptedField>,
    /// Where else it may be by now: the addresses of keys that it was to take, and whose answers are not known.
    pub perhaps: Vec<RecordId>,
    /// Nothing is here but a claim: the record of that address may have taken this key. It counts while that record
    /// names this address in `perhaps`.
    pub claim_of: Option<RecordId>,
}

/// A field as the CRM last accepted it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct AcceptedField {
    /// Keyed hash of the value.
    pub hash: u64,
    /// The mapping that wrote it.
    pub owner: MappingId,
    /// The sequence of the row it came from.
    pub seq: Seq,
}

/// The moment before a change: what it holds `delivered` back to until the CRM has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Since {
    /// The first change's sequence, to compare by.
    pub seq: Seq,
    /// The end of the transaction before it.
    pub position: Position,
    /// When it was committed, by the source's clock.
    pub committed_at: Micros,
}

/// A row that waits for its parent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The parent row.
    pub parent: (MappingId, Vec<u8>),
    /// What its change holds `delivered` back to.
    pub since: Option<Since>,
}

/// A parent that a row waits for, though nobody says that it comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hope {
    /// A keyed hash of the field and of the parent's row key.
    pub whom: u64,
    /// When the row first waited for it, in microseconds since 1970.
    pub since: u64,
}

/// Where a row that is set aside stands in line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parked {
    /// The row's sequence when it was parked.
    pub seq: Seq,
    /// How often it has been tried.
    pub attempts: u32,
    /// What its change holds `delivered` back to; none for a row of a load.
    pub since: Option<Since>,
    /// Why it is here.
    pub why: ParkedWhy,
}

/// Why a row is set aside.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ParkedWhy {
    /// The CRM said "not now" about this record.
    Retry,
    /// Its parent was accepted, or it has to be looked at again for another reason.
    Again,
    /// The columns it needs are not here yet.
    Incomplete,
    /// Another record holds its external key.
    KeyTaken,
    /// Its children's writes go first.
    Children,
    /// The guard on deletions holds it.
    Guarded,
    /// It is sent when it has been still for long enough, as it was at `seq`.
    Quiet,
    /// The mapping leaves it out for now, and it feeds a record.
    LeftOut,
    /// The CRM's server failed at it alone: it goes alone until it is taken.
    Suspected,
    /// A record that its row has left: it goes when the row's new one is there and nothing refers to it any more.
    Left,
    /// It waits for a parent that may never come, until then at most.
    Parent,
}

/// A record that the CRM refuses for good.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The record's external key, or the row's key where there is none.
    pub key: String,
    /// The CRM object.
    pub object: String,
    /// The reason.
    pub refusal: Refusal,
    /// The row's sequence that was refused.
    pub seq: Seq,
    /// The checkpoint when it was refused.
    pub position: Option<Position>,
    /// What was sent, as JSON; for people, never for logs.
    pub payload: String,
    /// When it was refused first and last.
    pub first_at: Micros,
    /// When it was refused last.
    pub last_at: Micros,
    /// How often it was sent.
    pub attempts: u32,
}

/// Where a re-evaluation of all rows of a mapping's table stands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cursor {
    /// The revision it evaluates for.
    pub revision: u64,
    /// The load whose rows it evaluates; 0 for none.
    pub load: u32,
    /// Rows newer than this are in the lane.
    pub upper: Seq,
    /// The last row key that is done; `None` at the beginning.
    pub after: Option<Vec<u8>>,
    /// Nothing is left to do.
    pub done: bool,
}

/// How far a mapping has looked for what people edited in the CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edits {
    /// A hash of the fields that were looked at.
    pub fields: u64,
    /// Edits from here on are still to be looked for, in microseconds since 1970.
    pub since: u64,
}

/// Figures of a mapping that survive a restart.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Figures {
    /// Writes that the CRM accepted.
    pub delivered: u64,
    /// Rows that needed no call.
    pub unchanged: u64,
    /// Records that the mapping feeds now.
    pub records: u64,
}

/// What a person or the daemon holds.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Why, for status.
    pub reason: String,
    /// Since when.
    pub since: Micros,
    /// A person asked for it (`pause`), rather than the daemon.
    pub by_person: bool,
}
