//! Transactions that may still be taken back: nothing of them is folded before their end.
//!
//! The open one is held as pieces of the batches that it came in ([`Group`]). At its end it is folded from there as if it
//! had just come; what the log took back is cut off before, without a copy. What is more than
//! [`super::Bounds::held_bytes`] goes to a spool in the state, and at the end all of it is made durable there first
//! ([`Folding`]): then it is folded in parts, each with the checkpoint that says how many of its changes are folded, and
//! nothing of it is seen before the last. A distributed transaction stays in its spool, under its name, until another
//! decides it.
//!
//! Whatever ends between two batches leaves one of three: a spool that nobody knows, which the next start throws away
//! since the log says it again; a [`Folding`], with which the next start begins; or, where a transaction was folded from
//! memory in more than one batch, a checkpoint that says how much of it the replay skips. Its changes are counted as they
//! are folded: what was taken back never counts, so that a replay that takes back at other moments counts the same.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use passerelle_change::{Batch, Event, Micros, Position, Suspicion, TableId};
use passerelle_state::{CaptureBatch, Folding, Gate, Generation, MappingId, Place, Prepared, SpoolId, Store};

use super::CaptureError;
use super::fold::Fold;
use super::group::{Group, Piece, counts};
use super::writer::Writer;
use crate::failpoint;

impl Fold {
    /// Takes a batch of a log that may take back what it says.
    pub(super) async fn tentative<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        batch: Batch,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let batch = Arc::new(batch);
        let events = batch.events();
        let mut at = 0;
        while let Some(event) = events.get(at) {
            let Some(group) = &mut self.group else {
                self.outside(&mut into, &batch, event)?;
                at += 1;
                continue;
            };
            let run = events[at..].iter().position(ends_run).unwrap_or(events.len() - at);
            if run > 0 {
                if group.hold(&batch, at..at + run) {
                    self.schemas(&mut into, &events[at..at + run]);
                }
                at += run;
                continue;
            }
            into = self.turn(into, &batch, event, writer).await?;
            at += 1;
        }
        if let Some(mut group) = self.group.take() {
            if group.spool.is_some() || group.held_bytes() > self.bounds.held_bytes {
                self.spool(&mut into, &mut group);
            }
            self.group = Some(group);
        }
        Ok(into)
    }

    /// What stands between transactions.
    fn outside(&mut self, into: &mut CaptureBatch<'_>, batch: &Batch, event: &Event) -> Result<(), CaptureError> {
        match event {
            Event::Begin { transaction, committed_at } => {
                self.group = Some(Group::new(*transaction, *committed_at));
                Ok(())
            }
            Event::Schema { .. } | Event::Suspect { .. } | Event::Idle { .. } => self.event(into, batch, event),
            Event::Row(_) | Event::Truncate(_) | Event::Undo { .. } | Event::Decided { .. } => {
                Err(CaptureError::OutOfStep("a change outside a transaction"))
            }
            Event::End { .. } | Event::Prepared { .. } => {
                Err(CaptureError::OutOfStep("a transaction ended that had not begun"))
            }
        }
    }

    /// Columns are known from when they are told: whether the transaction stands makes no difference to them.
    fn schemas(&mut self, into: &mut CaptureBatch<'_>, events: &[Event]) {
        for event in events {
            if let Event::Schema { schema, behind } = event {
                self.schema(into, schema, behind.as_ref());
            }
        }
    }

    /// What decides about the open transaction.
    async fn turn<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        batch: &Batch,
        event: &Event,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        match event {
            Event::End { position, committed_at } => return self.commit(into, position, *committed_at, writer).await,
            Event::Prepared { name, position, committed_at } => {
                self.prepare(&mut into, batch.bytes(*name), position, *committed_at)?;
            }
            Event::Undo { kept } => self.undo(&mut into, *kept),
            Event::Begin { transaction, committed_at } => {
                // The one before never ended: its server crashed.
                self.drop_group(&mut into);
                self.group = Some(Group::new(*transaction, *committed_at));
            }
            Event::Idle { .. }
            | Event::Row(_)
            | Event::Truncate(_)
            | Event::Schema { .. }
            | Event::Suspect { .. }
            | Event::Decided { .. } => {}
        }
        Ok(into)
    }

    /// Takes back all but the first changes of the open transaction.
    fn undo(&mut self, into: &mut CaptureBatch<'_>, kept: u64) {
        let Some(group) = &mut self.group else { return };
        group.cut(kept);
        let Some(spool) = group.spool.filter(|_| kept < group.spooled) else { return };
        group.spooled = kept;
        if kept == 0 && group.asides == 0 {
            group.spool = None;
            into.drop_spool(self.source, spool);
        } else {
            into.unspool(self.source, spool, kept);
        }
    }

    /// The open transaction will never end.
    pub(super) fn drop_group(&mut self, into: &mut CaptureBatch<'_>) {
        if let Some(spool) = self.group.take().and_then(|group| group.spool) {
            into.drop_spool(self.source, spool);
        }
    }

    /// The log is read from another place: what was held belongs to the old one. A distributed transaction that is decided
    /// there is one that was never read.
    pub(super) async fn forget_tentative<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        self.drop_group(&mut into);
        let mut into = self.written(into, writer).await?;
        for (name, prepared) in into.store().all_prepared(self.source, usize::MAX)? {
            into.prepared(self.source, &name, None);
            into.drop_spool(self.source, prepared.spool);
        }
        Ok(into)
    }

    /// Moves what is in memory of a transaction to its spool.
    fn spool(&mut self, into: &mut CaptureBatch<'_>, group: &mut Group) {
        let spool = *group.spool.get_or_insert_with(|| {
            let next = SpoolId(self.next_spool.0 + 1);
            std::mem::replace(&mut self.next_spool, next)
        });
        for piece in group.pieces.drain(..) {
            let mut ordinal = piece.before;
            for event in piece.batch.events().get(piece.events).unwrap_or_default() {
                let place = if counts(event) {
                    ordinal += 1;
                    Place { ordinal, aside: 0 }
                } else {
                    group.asides += 1;
                    Place { ordinal, aside: group.asides }
                };
                group.bytes += into.spool(self.source, spool, place, event, &piece.batch) as u64;
            }
        }
        group.spooled = group.rows;
    }

    /// The open transaction is held under a name. The checkpoint moves past it.
    fn prepare(
        &mut self,
        into: &mut CaptureBatch<'_>,
        name: &[u8],
        position: &Position,
        at: Micros,
    ) -> Result<(), CaptureError> {
        let Some(mut group) = self.group.take() else { return Ok(()) };
        if group.decides {
            return Err(CaptureError::OutOfStep("a transaction decided another before it was decided itself"));
        }
        self.spool(into, &mut group);
        let prepared = Prepared {
            spool: group.spool.unwrap_or_default(),
            rows: group.rows,
            bytes: group.bytes,
            position: position.clone(),
            prepared_at: at,
            suspects: group.suspects.into_iter().collect(),
        };
        into.prepared(self.source, name, Some(&prepared));
        self.reached(position, at);
        Ok(())
    }

    /// The open transaction is committed: folds it.
    async fn commit<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        position: &Position,
        at: Micros,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let Some(mut group) = self.group.take() else { return Ok(into) };
        if group.spool.is_none() {
            if group.decides {
                // What it decides about has to be found.
                into = self.written(into, writer).await?;
            }
            self.begin(group.number, group.committed_at)?;
            for Piece { batch, events, .. } in &group.pieces {
                into = if group.decides {
                    self.fold_deciding(into, batch, events.clone(), writer).await?
                } else {
                    self.fold_rows(into, batch, events.clone(), writer).await?
                };
            }
            self.fold_end(&mut into, group.suspects, position, at)?;
            return Ok(into);
        }
        self.spool(&mut into, &mut group);
        let folding = Folding {
            spool: group.spool.unwrap_or_default(),
            transaction: group.number,
            position: position.clone(),
            committed_at: at,
            suspects: group.suspects.into_iter().collect(),
        };
        into.folding(self.source, Some(&folding));
        let into = self.written(into, writer).await?;
        failpoint::hit("capture.folding");
        self.fold_spool(into, &folding, writer).await
    }

    /// Goes on with what the last run had begun to fold, before anything else is read. Gives which generations have their
    /// position.
    pub(super) async fn finish_folding(
        &mut self,
        store: &Store,
        gate: &Gate,
        writer: &Writer,
    ) -> Result<BTreeMap<MappingId, Generation>, CaptureError> {
        let Some(folding) = store.folding(self.source)? else { return Ok(BTreeMap::new()) };
        let into = CaptureBatch::begin(store, gate, false, BTreeMap::new());
        let into = self.fold_spool(into, &folding, writer).await?;
        Ok(self.hand_over(into, writer.turn().await?))
    }

    /// Folds a committed transaction that is in a spool as a whole, in parts.
    async fn fold_spool<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        folding: &Folding,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        self.begin(folding.transaction, folding.committed_at)?;
        let mut after = None;
        loop {
            let part = into.store().spool_part(self.source, folding.spool, after, self.bounds.part_bytes)?;
            if part.last.is_none() {
                break;
            }
            after = part.last;
            into = self.fold_deciding(into, &part.batch, 0..part.batch.events().len(), writer).await?;
            into = self.next_part(into, writer).await?;
        }
        self.fold_end(&mut into, folding.suspects.iter().copied().collect(), &folding.position, folding.committed_at)?;
        into.drop_spool(self.source, folding.spool);
        into.folding(self.source, None);
        Ok(into)
    }

    /// Folds events among which are decisions about distributed transactions.
    async fn fold_deciding<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        batch: &Batch,
        events: Range<usize>,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        let mut from = events.start;
        while from < events.end {
            let run = batch.events().get(from..events.end).unwrap_or_default();
            let to = run.iter().position(|event| matches!(event, Event::Decided { .. })).unwrap_or(run.len()) + from;
            into = self.fold_rows(into, batch, from..to, writer).await?;
            if let Some(Event::Decided { name, committed }) = batch.events().get(to).filter(|_| to < events.end) {
                into = self.decide(into, batch.bytes(*name), *committed, writer).await?;
            }
            from = to + 1;
        }
        Ok(into)
    }

    /// Folds what is held under a name, or lets go of it. It stays until the transaction that decides has ended.
    async fn decide<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        name: &[u8],
        committed: bool,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        if self.decided.iter().any(|(decided, _)| decided == name) {
            return Ok(into);
        }
        let Some(prepared) = into.store().prepared(self.source, name)? else {
            if committed {
                // It was prepared before anything was read: what it changed, nobody has seen.
                self.doubts.extend(self.lanes.tables().map(|table| (table, Suspicion::NeverPrepared)));
            }
            return Ok(into);
        };
        self.decided.push((name.to_vec(), prepared.spool));
        if !committed {
            return Ok(into);
        }
        self.doubts.extend(prepared.suspects);
        let mut after = None;
        loop {
            let part = into.store().spool_part(self.source, prepared.spool, after, self.bounds.part_bytes)?;
            if part.last.is_none() {
                return Ok(into);
            }
            after = part.last;
            into = self.fold_rows(into, &part.batch, 0..part.batch.events().len(), writer).await?;
            into = self.next_part(into, writer).await?;
        }
    }

    /// Folds changes that stand.
    async fn fold_rows<'s>(
        &mut self,
        mut into: CaptureBatch<'s>,
        batch: &Batch,
        events: Range<usize>,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        for event in batch.events().get(events).unwrap_or_default() {
            match event {
                Event::Row(row) if row.old_key.is_some() => into = self.moved(into, batch, row, writer).await?,
                // Said when they came, or at the end.
                Event::Schema { .. } | Event::Suspect { key: None, .. } => {}
                event => self.event(&mut into, batch, event)?,
            }
        }
        Ok(into)
    }

    /// What a transaction leaves behind besides its rows, and its end.
    fn fold_end(
        &mut self,
        into: &mut CaptureBatch<'_>,
        suspects: BTreeMap<TableId, Suspicion>,
        position: &Position,
        at: Micros,
    ) -> Result<(), CaptureError> {
        self.end(position, at)?;
        for (table, why) in std::mem::take(&mut self.doubts).into_iter().chain(suspects) {
            self.suspect(into, table, why);
        }
        for (name, spool) in self.decided.drain(..) {
            into.prepared(self.source, &name, None);
            into.drop_spool(self.source, spool);
        }
        Ok(())
    }

    /// Hands a batch over that is full, inside a transaction that goes on.
    async fn next_part<'s>(
        &mut self,
        into: CaptureBatch<'s>,
        writer: &Writer,
    ) -> Result<CaptureBatch<'s>, CaptureError> {
        if into.size_bytes() < self.bounds.batch_bytes {
            return Ok(into);
        }
        let (store, gate) = (into.store(), into.gate());
        let stamped = self.hand_over(into, writer.turn().await?);
        Ok(CaptureBatch::begin(store, gate, self.between_transactions(), stamped))
    }
}

/// Events at which something becomes of the open transaction.
fn ends_run(event: &Event) -> bool {
    matches!(
        event,
        Event::Begin { .. } | Event::End { .. } | Event::Undo { .. } | Event::Prepared { .. } | Event::Idle { .. }
    )
}
