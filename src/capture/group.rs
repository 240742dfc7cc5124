//! The open transaction of a log that takes back: what is in memory of it, and how it is cut.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use passerelle_change::{Batch, Event, Micros, Suspicion, TableId};
use passerelle_state::SpoolId;

/// The open transaction.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) number: u64,
    pub(super) committed_at: Micros,
    /// What is in memory of it, after what is in the spool.
    pub(super) pieces: Vec<Piece>,
    /// Row, truncate and decided events that stand, in the spool and in memory.
    pub(super) rows: u64,
    pub(super) spool: Option<SpoolId>,
    /// How many of them are in the spool.
    pub(super) spooled: u64,
    /// Bytes that were written to the spool.
    pub(super) bytes: u64,
    /// Suspicions of single rows that were written there.
    pub(super) asides: u64,
    /// It decides distributed transactions.
    pub(super) decides: bool,
    /// Tables that it makes suspect, whatever is taken back of it.
    pub(super) suspects: BTreeMap<TableId, Suspicion>,
}

/// A run of events of a batch.
#[derive(Debug)]
pub(super) struct Piece {
    pub(super) batch: Arc<Batch>,
    pub(super) events: Range<usize>,
    /// Row, truncate and decided events of the transaction before it.
    pub(super) before: u64,
    /// Those in it.
    pub(super) rows: u64,
}

impl Group {
    pub(super) fn new(number: u64, committed_at: Micros) -> Self {
        Self {
            number,
            committed_at,
            pieces: Vec::new(),
            rows: 0,
            spool: None,
            spooled: 0,
            bytes: 0,
            asides: 0,
            decides: false,
            suspects: BTreeMap::new(),
        }
    }

    /// Holds a run of events. True if the columns of a table are among them.
    pub(super) fn hold(&mut self, batch: &Arc<Batch>, events: Range<usize>) -> bool {
        let (mut rows, mut describes) = (0, false);
        for event in batch.events().get(events.clone()).unwrap_or_default() {
            rows += u64::from(counts(event));
            match event {
                Event::Decided { .. } => self.decides = true,
                Event::Suspect { table, key: None, why } => self.suspected(*table, *why),
                Event::Schema { .. } => describes = true,
                Event::Row(_)
                | Event::Truncate(_)
                | Event::Suspect { key: Some(_), .. }
                | Event::Begin { .. }
                | Event::End { .. }
                | Event::Undo { .. }
                | Event::Prepared { .. }
                | Event::Idle { .. } => {}
            }
        }
        self.pieces.push(Piece { batch: Arc::clone(batch), events, before: self.rows, rows });
        self.rows += rows;
        describes
    }

    /// The first reason that holds a table counts, else the last.
    fn suspected(&mut self, table: TableId, why: Suspicion) {
        let known = self.suspects.entry(table).or_insert(why);
        if !known.holds() {
            *known = why;
        }
    }

    /// Cuts off what is in memory after the first `kept`. What was said of the last of those stays, too.
    pub(super) fn cut(&mut self, kept: u64) {
        self.rows = self.rows.min(kept);
        while let Some(piece) = self.pieces.last_mut().filter(|piece| piece.before + piece.rows > kept) {
            piece.rows = kept.saturating_sub(piece.before);
            let run = piece.batch.events().get(piece.events.clone()).unwrap_or_default();
            let mut counted = run.iter().enumerate().filter(|(_, event)| counts(event)).map(|(at, _)| at);
            let stays = if piece.before > kept { Some(0) } else { counted.nth(piece.rows as usize) };
            piece.events.end = piece.events.start + stays.unwrap_or(run.len());
            if !piece.events.is_empty() {
                break;
            }
            self.pieces.pop();
        }
    }

    /// The memory that it takes: a batch is held as a whole.
    pub(super) fn held_bytes(&self) -> usize {
        let mut last: Option<&Arc<Batch>> = None;
        let mut bytes = 0;
        for piece in &self.pieces {
            if last.is_none_or(|last| !Arc::ptr_eq(last, &piece.batch)) {
                bytes += piece.batch.size_bytes();
            }
            last = Some(&piece.batch);
        }
        bytes
    }
}

/// Events by which places in a transaction are counted.
pub(super) fn counts(event: &Event) -> bool {
    matches!(event, Event::Row(_) | Event::Truncate(_) | Event::Decided { .. })
}
