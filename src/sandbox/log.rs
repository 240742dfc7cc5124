//! The log of accepted writes: a ring, bounded in entries and in bytes, with numbers that never repeat.

use std::collections::VecDeque;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

/// What a write did.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Operation {
    /// The record is new.
    Created,
    /// Fields of a record were written.
    Updated,
    /// The record is gone.
    Deleted,
}

/// One accepted write.
#[derive(Clone, Debug, Serialize)]
pub struct WriteEntry {
    /// Its number, from 1, without gaps.
    pub n: u64,
    /// When it was applied, in microseconds since 1970.
    pub at: i64,
    /// The object.
    pub object: String,
    /// The record's id, 18 characters.
    pub id: String,
    /// The record's first external id, if it has one.
    pub key: Option<String>,
    /// What happened.
    pub op: Operation,
    /// The fields as they were stored, nulls included; empty for a deletion.
    pub fields: Map<String, Value>,
    /// Whether every field was already so: a write that changed nothing.
    pub duplicate_of_previous: bool,
    /// Which write to this record it was, from 1.
    pub version: u64,
}

/// The ring. `next` of an empty one is 1.
#[derive(Debug)]
pub(super) struct Log {
    entries: VecDeque<(usize, Arc<WriteEntry>)>,
    next: u64,
    bytes: usize,
    max_entries: usize,
    max_bytes: usize,
}

impl Log {
    pub(super) fn new(max_entries: usize, max_bytes: usize) -> Self {
        Self { entries: VecDeque::new(), next: 1, bytes: 0, max_entries: max_entries.max(1), max_bytes }
    }

    /// The number of the newest entry, 0 if there was none.
    pub(super) fn last(&self) -> u64 {
        self.next - 1
    }

    /// Appends, numbers the entry, and lets the oldest go where the bounds ask for it.
    pub(super) fn push(&mut self, mut entry: WriteEntry) {
        entry.n = self.next;
        self.next += 1;
        let bytes = weight(&entry);
        self.bytes += bytes;
        self.entries.push_back((bytes, Arc::new(entry)));
        while self.entries.len() > self.max_entries || (self.bytes > self.max_bytes && self.entries.len() > 1) {
            if let Some((bytes, _)) = self.entries.pop_front() {
                self.bytes -= bytes;
            }
        }
    }

    /// Up to `limit` entries after number `n`, oldest first. Where the oldest are gone already, the first entry's number is
    /// not `n + 1`.
    pub(super) fn after(&self, n: u64, limit: usize) -> Vec<Arc<WriteEntry>> {
        let oldest = self.next - self.entries.len() as u64;
        let skip = (n + 1).saturating_sub(oldest);
        let skip = usize::try_from(skip).unwrap_or(usize::MAX);
        self.entries.iter().skip(skip).take(limit).map(|(_, entry)| Arc::clone(entry)).collect()
    }

    /// Forgets all entries; numbers go on.
    pub(super) fn clear(&mut self) {
        self.entries.clear();
        self.bytes = 0;
    }
}

/// Roughly what an entry takes in memory, in bytes.
fn weight(entry: &WriteEntry) -> usize {
    let of_value = |value: &Value| value.as_str().map_or(0, str::len);
    let fields: usize = entry.fields.iter().map(|(name, value)| 100 + name.len() + of_value(value)).sum();
    200 + fields
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry(bytes: usize) -> WriteEntry {
        let fields = Map::from_iter([("Name".to_owned(), Value::from("x".repeat(bytes)))]);
        let (object, id, op) = ("Account".to_owned(), String::new(), Operation::Created);
        WriteEntry { n: 0, at: 0, object, id, key: None, op, fields, duplicate_of_previous: false, version: 1 }
    }

    fn numbers(log: &Log, after: u64, limit: usize) -> Vec<u64> {
        log.after(after, limit).iter().map(|entry| entry.n).collect()
    }

    #[test]
    fn the_ring_keeps_the_newest() {
        let mut log = Log::new(3, usize::MAX);
        assert_eq!((log.last(), numbers(&log, 0, 9)), (0, vec![]));
        for _ in 0..5 {
            log.push(entry(1));
        }
        assert_eq!(log.last(), 5);
        assert_eq!(numbers(&log, 0, 9), [3, 4, 5]);
        assert_eq!(numbers(&log, 3, 1), [4]);
        assert!(numbers(&log, 5, 9).is_empty());
        assert!(numbers(&log, 99, 9).is_empty());
    }

    #[test]
    fn the_ring_is_bounded_in_bytes() {
        let mut log = Log::new(1_000, 10_000);
        for _ in 0..10 {
            log.push(entry(4_000));
        }
        assert_eq!(numbers(&log, 0, 9), [9, 10]);
        log.push(entry(40_000));
        assert_eq!(numbers(&log, 0, 9), [11], "the newest stays, however large");
    }
}
