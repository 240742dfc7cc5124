//! Keys on disk. The first byte is a kind that is never reused; numbers are big-endian, so that keys sort as they count.

use passerelle_change::{Seq, TableId};
use serde::{Deserialize, Serialize};

/// A mapping's number in the state: given once to a name, never reused. Its lane has the same number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct MappingId(pub u32);

/// A source's number in the state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct SourceId(pub u32);

/// A generation of a lane. Given out in order, over restarts too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Generation(pub u64);

/// A record's address in the state: CRM and object by number, the external key by its keyed hash.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RecordId {
    /// The number of the (CRM, object) pair.
    pub object: u32,
    /// Keyed hash of the external key, as the vendor compares keys.
    pub hash: [u8; 16],
}

/// Kinds of keys. A number that was given up stays given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub(crate) enum Kind {
    Row = 1,
    Queued = 2,
    Generation = 3,
    Link = 4,
    Record = 5,
    Member = 6,
    Backref = 7,
    Parked = 8,
    Waiting = 9,
    Dead = 10,
    // 11 is kept for intents, 12 for bulk jobs.
    Spool = 13,
    Checkpoint = 14,
    Acknowledged = 15,
    Table = 16,
    Column = 17,
    Move = 18,
    Load = 19,
    Name = 20,
    Format = 21,
    HashKey = 22,
    Cursor = 23,
    Day = 24,
    Truncated = 25,
    History = 26,
    Hold = 27,
    Deletions = 28,
    Figures = 29,
    ParkedAt = 34,
    Catalog = 35,
    Edits = 36,
    Prepared = 37,
    Folding = 38,
    Suspected = 39,
    SuspectedRow = 40,
    LoadNumber = 41,
    FormerFit = 42,
    Strange = 43,
    Decided = 44,
    RenamedColumns = 45,
    Fit = 46,
    Indexed = 31,
    Group = 33,
    Alert = 50,
    Telling = 51,
    RelatedRow = 52,
    Line = 53,
    Dependent = 54,
    Needs = 55,
    FanOut = 56,
    Mark = 57,
    MarkAt = 58,
    Expiry = 59,
    ExpiryOf = 60,
    Built = 61,
    RelationName = 62,
    WantedRows = 63,
    Hope = 64,
    Unkept = 65,
    UnkeptDue = 66,
    // 30 is kept for encrypted OAuth tokens, 32 for clusters.
}

/// Writes keys of one kind into a fresh vector.
#[derive(Debug)]
pub(crate) struct Key(Vec<u8>);

impl Key {
    pub(crate) fn new(kind: Kind) -> Self {
        let mut bytes = Vec::with_capacity(40);
        bytes.push(kind as u8);
        Self(bytes)
    }

    pub(crate) fn u32(mut self, n: u32) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(crate) fn u64(mut self, n: u64) -> Self {
        self.0.extend_from_slice(&n.to_be_bytes());
        self
    }

    pub(crate) fn record(self, id: RecordId) -> Self {
        self.u32(id.object).bytes(&id.hash)
    }

    pub(crate) fn bytes(mut self, bytes: &[u8]) -> Self {
        self.0.extend_from_slice(bytes);
        self
    }

    /// Bytes with their length before them, so that what follows can be told apart.
    pub(crate) fn sized(self, bytes: &[u8]) -> Self {
        self.u32(bytes.len() as u32).bytes(bytes)
    }

    pub(crate) fn done(self) -> Vec<u8> {
        self.0
    }
}

/// Reads a key's parts in order; `None` where the key is too short.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Parts<'a>(pub(crate) &'a [u8]);

impl<'a> Parts<'a> {
    /// Skips the kind.
    pub(crate) fn of(key: &'a [u8]) -> Self {
        Self(key.get(1..).unwrap_or_default())
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        let (head, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        Some(u32::from_be_bytes(*head))
    }

    pub(crate) fn u64(&mut self) -> Option<u64> {
        let (head, rest) = self.0.split_first_chunk::<8>()?;
        self.0 = rest;
        Some(u64::from_be_bytes(*head))
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.0
    }
}

/// Appends the key of a row: table, then the encoded row key.
pub(crate) fn row_into(table: TableId, row_key: &[u8], out: &mut Vec<u8>) {
    out.push(Kind::Row as u8);
    out.extend_from_slice(&table.0.to_be_bytes());
    out.extend_from_slice(row_key);
}

/// Appends the key of a queue entry.
pub(crate) fn queued_into(lane: MappingId, generation: Generation, row_key: &[u8], out: &mut Vec<u8>) {
    out.push(Kind::Queued as u8);
    out.extend_from_slice(&lane.0.to_be_bytes());
    out.extend_from_slice(&generation.0.to_be_bytes());
    out.extend_from_slice(row_key);
}

pub(crate) fn table_prefix(table: TableId) -> Vec<u8> {
    Key::new(Kind::Row).u32(table.0).done()
}

pub(crate) fn move_key(source: SourceId, seq: Seq) -> Vec<u8> {
    Key::new(Kind::Move).u32(source.0).u64(seq.0).done()
}

/// The first key after every key with this prefix.
pub(crate) fn after_prefix(prefix: &[u8]) -> Vec<u8> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < 0xff {
            end.push(last + 1);
            break;
        }
    }
    end
}
