//! How far a stream is, for whoever asks while it runs.

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering::Relaxed};
use std::sync::{Mutex, MutexGuard, PoisonError};

use passerelle_change::{Micros, Position};

use crate::LogPosition;
use crate::decode::RenamedColumns;

/// More statements that rename columns than anybody runs while nobody looks.
const MAX_RENAMES: usize = 1000;

/// How far a stream is. Outlives connections: the next one goes on counting.
#[derive(Debug, Default)]
pub struct Progress {
    places: Mutex<Places>,
    last_contact: AtomicI64,
    committed_at: AtomicI64,
    bytes: AtomicU64,
    rows: AtomicU64,
    transactions: AtomicU64,
    open_transaction: AtomicU64,
    open_bytes: AtomicU64,
    renamed_columns: Mutex<Vec<RenamedColumns>>,
}

/// What has no atomic form; written once for each piece that is read.
#[derive(Debug, Default)]
struct Places {
    received: Option<LogPosition>,
    server: Option<LogPosition>,
    acknowledged: Option<Position>,
    /// The files of the server's log by their numbers, and their bytes.
    files: Vec<(u64, u64)>,
}

/// The transaction that is being received.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OpenTransaction {
    /// Its number, as [`passerelle_change::Event::Begin`] has it.
    pub number: u64,
    /// How much of it has been received, about.
    pub bytes: u64,
}

impl Progress {
    /// The end of the last transaction that was received, or of the log as far as it had nothing for us.
    pub fn received(&self) -> Option<LogPosition> {
        self.places().received.clone()
    }

    /// Where the server's log ended when it was last heard of: looked at every few seconds. Its GTIDs are not asked for.
    pub fn server(&self) -> Option<LogPosition> {
        self.places().server.clone()
    }

    /// What the caller has acknowledged to be durable. The server is not told: it keeps its log for as long as it is
    /// configured to.
    pub fn acknowledged(&self) -> Option<Position> {
        self.places().acknowledged.clone()
    }

    /// The bytes of the log between a place and its end on the server; `None` where the files between are not known.
    pub fn bytes_behind(&self, at: &LogPosition) -> Option<u64> {
        let places = self.places();
        let server = places.server.as_ref()?;
        let (from, to) = (at.file_number()?, server.file_number()?);
        if from >= to {
            return Some(if from == to { server.offset.saturating_sub(at.offset) } else { 0 });
        }
        let sizes = places.files.iter().filter(|(number, _)| (from..to).contains(number));
        let (count, bytes) =
            sizes.fold((0, 0_u64), |(count, bytes), (_, size)| (count + 1, bytes.saturating_add(*size)));
        (count == to - from).then(|| bytes.saturating_sub(at.offset).saturating_add(server.offset))
    }

    /// When the server was last heard of, by our clock; `None` before the first time.
    pub fn last_contact(&self) -> Option<Micros> {
        stored(&self.last_contact)
    }

    /// When the last transaction that was received was committed, by the server's clock, whether it had something for us
    /// or not. The log itself has seconds; MySQL's GTIDs have microseconds.
    pub fn committed_at(&self) -> Option<Micros> {
        stored(&self.committed_at)
    }

    /// Bytes received.
    pub fn bytes(&self) -> u64 {
        self.bytes.load(Relaxed)
    }

    /// Row changes decoded.
    pub fn rows(&self) -> u64 {
        self.rows.load(Relaxed)
    }

    /// Transactions decoded that had something for us.
    pub fn transactions(&self) -> u64 {
        self.transactions.load(Relaxed)
    }

    /// The transaction that is being received.
    pub fn open_transaction(&self) -> Option<OpenTransaction> {
        let number = self.open_transaction.load(Relaxed);
        (number != 0).then(|| OpenTransaction { number, bytes: self.open_bytes.load(Relaxed) })
    }

    /// Takes the columns that statements in the log renamed, in its order. The oldest are forgotten where nobody takes them.
    /// A stream that begins again before such a statement says it again.
    pub fn take_renamed_columns(&self) -> Vec<RenamedColumns> {
        std::mem::take(&mut *self.renamed_columns.lock().unwrap_or_else(PoisonError::into_inner))
    }

    pub(super) fn renamed_columns(&self, mut more: Vec<RenamedColumns>) {
        if more.is_empty() {
            return;
        }
        let mut renamed = self.renamed_columns.lock().unwrap_or_else(PoisonError::into_inner);
        renamed.append(&mut more);
        let too_many = renamed.len().saturating_sub(MAX_RENAMES);
        renamed.drain(..too_many);
    }

    /// The log's end, and its files where they were asked for.
    pub(super) fn set_server(&self, server: LogPosition, files: Option<Vec<(u64, u64)>>) {
        let mut places = self.places();
        places.server = Some(server);
        if let Some(files) = files {
            places.files = files;
        }
    }

    pub(super) fn set_acknowledged(&self, at: Option<&Position>) {
        self.places().acknowledged = at.cloned();
    }

    pub(super) fn read(&self, bytes: usize, now: Micros) {
        self.bytes.fetch_add(bytes as u64, Relaxed);
        self.last_contact.store(now.0, Relaxed);
    }

    pub(super) fn transaction(&self) {
        self.transactions.fetch_add(1, Relaxed);
    }

    /// A piece was decoded: `rows` in `bytes`, with `open` left open behind it.
    pub(super) fn decoded(&self, received: &LogPosition, rows: usize, open: Option<u64>, bytes: usize) {
        let mut places = self.places();
        if places.received.as_ref() != Some(received) {
            places.received = Some(received.clone());
        }
        drop(places);
        self.rows.fetch_add(rows as u64, Relaxed);
        let open = open.unwrap_or(0);
        if self.open_transaction.swap(open, Relaxed) == open {
            self.open_bytes.fetch_add(if open == 0 { 0 } else { bytes as u64 }, Relaxed);
        } else {
            self.open_bytes.store(if open == 0 { 0 } else { bytes as u64 }, Relaxed);
        }
    }

    pub(super) fn committed(&self, at: Option<Micros>) {
        if let Some(at) = at {
            self.committed_at.store(at.0, Relaxed);
        }
    }

    fn places(&self) -> MutexGuard<'_, Places> {
        // Nothing in it is ever half written.
        self.places.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stored(at: &AtomicI64) -> Option<Micros> {
    let at = at.load(Relaxed);
    (at != 0).then_some(Micros(at))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(file: &str, offset: u64) -> LogPosition {
        LogPosition { file: file.into(), offset, ..LogPosition::default() }
    }

    #[test]
    fn my_42_the_newest_renames_wait_for_whoever_takes_them() {
        let progress = Progress::default();
        let renamed = |n: usize| RenamedColumns {
            table: passerelle_change::TableName { schema: "shop".into(), name: "t".into() },
            columns: vec![(n.to_string(), (n + 1).to_string())],
        };
        (0..MAX_RENAMES + 7).for_each(|n| progress.renamed_columns(vec![renamed(n)]));
        let taken = progress.take_renamed_columns();
        assert_eq!((taken.len(), &taken[0]), (MAX_RENAMES, &renamed(7)));
        assert_eq!(progress.take_renamed_columns(), []);
    }

    #[test]
    fn bytes_are_counted_over_files_where_they_are_known() {
        let progress = Progress::default();
        assert_eq!(progress.bytes_behind(&at("b.000001", 4)), None);
        progress.set_server(at("b.000003", 50), None);
        assert_eq!(progress.bytes_behind(&at("b.000003", 20)), Some(30));
        assert_eq!(progress.bytes_behind(&at("b.000003", 60)), Some(0));
        assert_eq!(progress.bytes_behind(&at("b.000004", 4)), Some(0));
        assert_eq!(progress.bytes_behind(&at("b.000002", 4)), None);
        progress.set_server(at("b.000003", 50), Some(vec![(1, 100), (2, 200), (3, 50)]));
        assert_eq!(progress.bytes_behind(&at("b.000001", 40)), Some(60 + 200 + 50));
        assert_eq!(progress.bytes_behind(&at("b.000000", 4)), None);
    }
}
