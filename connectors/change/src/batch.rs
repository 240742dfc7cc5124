//! What a source hands to capture: a byte-bounded batch of events, its keys and cells in one arena.

use serde::{Deserialize, Serialize};

use crate::{Cells, Micros, Position, Suspicion, TableId, TableSchema};

/// A piece of the arena of a [`Batch`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Span {
    start: u32,
    end: u32,
}

/// What happened to a row, as the log says it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Op {
    /// The row is as the cells say, and every mapped column is there.
    Full,
    /// The row has changed; mapped columns that are absent are as they were (unchanged TOAST, partial row image).
    Partial,
    /// The row is gone. No cells.
    Gone,
}

/// One committed row insert, update or delete.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RowChange {
    /// The table, by the number the state keeps for it.
    pub table: TableId,
    /// What happened.
    pub op: Op,
    /// The encoded row key ([`crate::key`]) after the change.
    pub key: Span,
    /// The encoded row key before it, when the change moved the row to another key.
    pub old_key: Option<Span>,
    /// The packed cells.
    pub cells: Span,
}

/// One step of a source's log. Row events stand between `Begin` and `End`.
#[derive(Clone, Debug, PartialEq)]
pub enum Event {
    /// A transaction begins. `transaction` tells it from others in the same log (PostgreSQL: the final LSN of it); a
    /// replay of the same transaction begins with the same number and repeats the same row events in the same order.
    Begin {
        /// Its number.
        transaction: u64,
        /// When it was committed, by the source's clock.
        committed_at: Micros,
    },
    /// A row change.
    Row(RowChange),
    /// Every row of the table is gone.
    Truncate(TableId),
    /// The columns of a table from here on, with the ids that the cells use.
    Schema {
        /// The columns.
        schema: TableSchema,
        /// The log up to here was said before, and whatever comes lies behind it; `None` of rows that are not from the log.
        /// Near enough to tell whether the columns are older than a look into the catalogue, and no place to go on from.
        behind: Option<Position>,
    },
    /// The transaction ended: everything up to `position` has been said.
    End {
        /// The position after it.
        position: Position,
        /// When it was committed, by the source's clock.
        committed_at: Micros,
    },
    /// Of the row, truncate and decided events of the open transaction only the first `kept` happened: the log took back
    /// what came after them (a savepoint, or a rollback of what was handed on already). What was suspected of whole tables
    /// stays.
    Undo {
        /// How many stay.
        kept: u64,
    },
    /// What is held of a table, or of one row of it, can't be trusted from here on: something happened that the log does
    /// not say. It has to be read again from the source.
    Suspect {
        /// The table.
        table: TableId,
        /// The encoded key of the row; the whole table otherwise.
        key: Option<Span>,
        /// Why.
        why: Suspicion,
    },
    /// The open transaction ended undecided (a distributed one): its changes are held under a name, over restarts too,
    /// until a [`Event::Decided`] names it. It may have no changes for us: then its name is known, no more.
    Prepared {
        /// The name, in the batch's arena.
        name: Span,
        /// The position after it.
        position: Position,
        /// When, by the source's clock.
        committed_at: Micros,
    },
    /// Inside a transaction: the changes that are held under this name happened now, or never.
    Decided {
        /// The name, in the batch's arena.
        name: Span,
        /// They happened.
        committed: bool,
    },
    /// The log up to `position` carried nothing for us, and no transaction is open.
    Idle {
        /// The head of the log as the server has sent it.
        position: Position,
    },
}

/// A batch of events. Its size in bytes is bounded by the source that fills it (one row may exceed the bound).
#[derive(Clone, Debug, Default)]
pub struct Batch {
    arena: Vec<u8>,
    events: Vec<Event>,
    rows: usize,
}

impl Batch {
    /// An empty batch.
    pub fn new() -> Self {
        Self::default()
    }

    /// An empty batch with room for `bytes` of keys and cells.
    pub fn with_capacity(bytes: usize) -> Self {
        Self { arena: Vec::with_capacity(bytes), ..Self::default() }
    }

    /// Appends an event; spans of a row are those that [`Batch::pack`] gave.
    pub fn push(&mut self, event: Event) {
        self.rows += usize::from(matches!(event, Event::Row(_)));
        self.events.push(event);
    }

    /// Drops the events from the `first` on that are not to be kept. What they packed stays in the arena.
    pub fn retain_from(&mut self, first: usize, mut keep: impl FnMut(&Event) -> bool) {
        let mut at = 0;
        self.events.retain(|event| {
            at += 1;
            at <= first || keep(event)
        });
        self.rows = self.events.iter().filter(|event| matches!(event, Event::Row(_))).count();
    }

    /// Lets `write` append to the arena and returns the span of what it wrote.
    pub fn pack(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> Span {
        let start = self.arena.len();
        write(&mut self.arena);
        debug_assert!(u32::try_from(self.arena.len()).is_ok(), "a batch is bounded far below 4 GiB");
        Span { start: start as u32, end: self.arena.len() as u32 }
    }

    /// The bytes of a span of this batch.
    pub fn bytes(&self, span: Span) -> &[u8] {
        self.arena.get(span.start as usize..span.end as usize).unwrap_or_default()
    }

    /// The cells of a row of this batch.
    pub fn cells(&self, row: &RowChange) -> Cells<'_> {
        Cells::new(self.bytes(row.cells))
    }

    /// The events in order.
    pub fn events(&self) -> &[Event] {
        &self.events
    }

    /// How many of the events are rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The bytes it holds, by which the channel is bounded.
    pub fn size_bytes(&self) -> usize {
        self.arena.len() + self.events.len() * size_of::<Event>()
    }

    /// No event yet.
    pub fn is_empty(&self) -> bool {
        self.events.is_empty()
    }

    /// Empties it, keeping its room.
    pub fn clear(&mut self) {
        self.arena.clear();
        self.events.clear();
        self.rows = 0;
    }
}
