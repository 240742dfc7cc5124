//! What is read from the source besides its log: tables and rows that are suspect, rows that came in part.
//!
//! Whoever reads says which change was durable when it began (`low`). What was read has seen every change up to there,
//! and what the log did not say: it ends suspicions that are no newer, and replaces rows that are no newer. Everything else
//! the log knows better.

use passerelle_change::{Batch, Cells, Event, Op, Seq, Suspicion, TableId};
use passerelle_state::{CaptureBatch, Load, LoadStage, Row, RowBuf, Standing, StateError, Store, Suspected};

use super::CaptureError;
use super::fold::Fold;
use super::writer::Writer;

impl Fold {
    /// A table is to be read again as a whole: the source sees to it. A sequence of its own tells which loads began later.
    pub(super) fn suspect(&mut self, into: &mut CaptureBatch<'_>, table: TableId, why: Suspicion) {
        self.seq = self.seq.next();
        let before = self.suspected.get(&table).copied();
        let suspected = Suspected::again(before, self.seq, why, self.committed_at);
        into.suspected(table, Some(&suspected));
        self.suspected.insert(table, suspected);
    }

    /// A load got on.
    pub(super) fn load(&mut self, into: &mut CaptureBatch<'_>, table: TableId, load: &Load) {
        if matches!(load.stage, LoadStage::Loaded { .. }) {
            self.sieve.loading(table, false);
        }
        into.load(table, load);
        if self.suspected.get(&table).is_some_and(|suspected| suspected.is_ended_by(load)) {
            self.suspected.remove(&table);
            into.suspected(table, None);
        }
    }

    /// Fills what rows lack with what was fetched of them, which makes them no newer; replaces those that are suspect.
    pub(super) async fn fetched<'s>(
        &mut self,
        into: CaptureBatch<'s>,
        table: TableId,
        low: Seq,
        batch: &Batch,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let mut into = self.written(into, writer).await?;
        for event in batch.events() {
            let Event::Row(fetched) = event else { continue };
            let (key, cells, store) = (batch.bytes(fetched.key), batch.cells(fetched), into.store());
            let row = store.row_now(table, key)?;
            if is_replaced(store, table, key, row.as_ref(), low)? {
                self.seq = self.seq.next();
                self.replace(&mut into, table, key, &Row::changed(Op::Full, self.seq, cells));
            } else if let Some(row) = row.filter(|row| row.standing != Standing::Gone) {
                let whole = row.completed_by(&Row::changed(Op::Full, Seq::ZERO, cells));
                into.put_row(table, key, &whole.as_row());
                // A mapping that asked for it looks again by itself.
                self.enqueue_for_indexes(&mut into, table, key, self.committed_at);
            }
        }
        Ok(into)
    }

    /// Of rows that are not in the source, those that are suspect have gone without a word.
    pub(super) async fn missing<'s>(
        &mut self,
        into: CaptureBatch<'s>,
        table: TableId,
        low: Seq,
        keys: &[Vec<u8>],
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let mut into = self.written(into, writer).await?;
        for key in keys {
            let store = into.store();
            let row = store.row_now(table, key)?;
            if !is_replaced(store, table, key, row.as_ref(), low)? {
                continue;
            }
            if row.is_some_and(|row| row.standing != Standing::Gone) {
                self.seq = self.seq.next();
                self.replace(&mut into, table, key, &Row::changed(Op::Gone, self.seq, Cells::default()));
            } else {
                into.suspected_row(table, key, None);
            }
        }
        Ok(into)
    }

    fn replace(&mut self, into: &mut CaptureBatch<'_>, table: TableId, key: &[u8], row: &Row<'_>) {
        into.put_row(table, key, row);
        into.suspected_row(table, key, None);
        self.enqueue(into, table, key, self.committed_at);
    }
}

/// A row is suspect, and neither it nor the suspicion is newer than what was read.
fn is_replaced(store: &Store, table: TableId, key: &[u8], row: Option<&RowBuf>, low: Seq) -> Result<bool, StateError> {
    let since = store.suspected_row(table, key)?;
    Ok(since.is_some_and(|since| since <= low) && row.is_none_or(|row| row.seq <= low))
}
