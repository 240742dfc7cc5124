//! Lanes in generations: how changes are coalesced with no read, and how delivery gets whole transactions.
//!
//! Capture puts row names blindly into the open generation of a lane; delivery drains closed ones. A generation is
//! closed only between transactions and only when no batch that uses it is under way, so nothing is ever added to what
//! delivery drains, and delivery's deletes can't meet capture's puts. A row stands at most twice in a lane, however
//! often it changes: once in the generation being drained, once in the open one.
//!
//! The [`Gate`] keeps this for the lanes of one source. It lives in memory only: after a restart everything that is
//! queued belongs to closed generations, and the open one is the next.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::keys::{Generation, MappingId};

/// Who may add to which generation, for the lanes of one source.
#[derive(Debug, Default)]
pub struct Gate(Mutex<Inner>);

#[derive(Debug, Default)]
struct Inner {
    lanes: BTreeMap<MappingId, LaneState>,
    /// Batches that were begun and are not written yet.
    batches: u32,
    /// A part of a transaction is written, and its end is not.
    inside_transaction: bool,
}

#[derive(Debug)]
struct LaneState {
    /// New batches add to this one.
    open: Generation,
    /// Something stands in the open one.
    used: bool,
    /// How many batches under way may still add to the generation before `open`.
    closing: u32,
    /// Delivery has drained every closed one and wants the next.
    wanted: bool,
}

impl Gate {
    /// Adds a lane whose next generation is `open`. If the source was stopped inside a transaction, its lanes wait
    /// until that transaction has ended: say so with [`Gate::reopen_inside_transaction`].
    pub fn add(&self, lane: MappingId, open: Generation) {
        self.lock().lanes.insert(lane, LaneState { open, used: false, closing: 0, wanted: false });
    }

    /// After a restart inside a transaction: nothing may be seen before its end is written.
    pub fn reopen_inside_transaction(&self) {
        self.lock().inside_transaction = true;
    }

    /// Capture begins to fill a batch. Returns the generation that each lane's puts go to in this batch.
    pub fn begin_batch(&self, between_transactions: bool) -> BTreeMap<MappingId, Generation> {
        let mut inner = self.lock();
        let under_way = inner.batches;
        inner.batches += 1;
        let open = |(&id, lane): (&MappingId, &mut LaneState)| {
            let may_be_used = lane.used || under_way > 0;
            if between_transactions && lane.wanted && may_be_used && lane.closing == 0 {
                lane.close(under_way);
            }
            (id, lane.open)
        };
        inner.lanes.iter_mut().map(open).collect()
    }

    /// Just before a batch that ends inside a transaction is written.
    pub fn writing_part(&self) {
        self.lock().inside_transaction = true;
    }

    /// A batch is written, which put something in the lanes `used`. `ends_transaction` tells whether it ended between
    /// transactions.
    pub fn batch_written(&self, used: &[MappingId], ends_transaction: bool) {
        let mut inner = self.lock();
        inner.batches = inner.batches.saturating_sub(1);
        inner.inside_transaction = !ends_transaction;
        let idle = inner.batches == 0 && ends_transaction;
        for (id, lane) in &mut inner.lanes {
            if lane.closing > 0 {
                lane.closing -= 1;
            } else {
                lane.used |= used.contains(id);
            }
            if idle && lane.wanted && lane.used {
                lane.close(0);
            }
        }
    }

    /// Delivery has drained what was closed: asks for the next generation of a lane, which is closed now or as soon as
    /// no transaction is open.
    pub fn want(&self, lane: MappingId) {
        let mut inner = self.lock();
        let idle = inner.batches == 0 && !inner.inside_transaction;
        let Some(lane) = inner.lanes.get_mut(&lane) else { return };
        if idle && lane.used {
            lane.close(0);
        } else {
            lane.wanted = true;
        }
    }

    /// Runs `look` (taking a RocksDB snapshot) at the end of a transaction, with the newest closed generation of each
    /// lane; `None` while a part of a transaction is written and its end is not.
    pub fn between_transactions<T>(&self, look: impl FnOnce(BTreeMap<MappingId, Generation>) -> T) -> Option<T> {
        let inner = self.lock();
        if inner.inside_transaction {
            return None;
        }
        let closed = inner.lanes.iter().map(|(&id, lane)| (id, lane.closed())).collect();
        Some(look(closed))
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl LaneState {
    fn close(&mut self, under_way: u32) {
        self.open = Generation(self.open.0 + 1);
        self.used = false;
        self.wanted = false;
        self.closing = under_way;
    }

    /// The newest generation that nothing will be added to.
    fn closed(&self) -> Generation {
        Generation(self.open.0.saturating_sub(1 + u64::from(self.closing > 0)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LANE: MappingId = MappingId(7);

    fn gate() -> Gate {
        let gate = Gate::default();
        gate.add(LANE, Generation(1));
        gate
    }

    fn closed(gate: &Gate) -> Option<u64> {
        gate.between_transactions(|closed| closed[&LANE].0)
    }

    #[test]
    fn idle_the_open_generation_closes_at_once() {
        let gate = gate();
        assert_eq!(gate.begin_batch(true)[&LANE], Generation(1));
        gate.batch_written(&[LANE], true);
        assert_eq!(closed(&gate), Some(0));
        gate.want(LANE);
        assert_eq!(closed(&gate), Some(1));
        assert_eq!(gate.begin_batch(true)[&LANE], Generation(2));
    }

    #[test]
    fn a_wish_is_kept_until_there_is_something_to_close() {
        let gate = gate();
        gate.want(LANE);
        assert_eq!(closed(&gate), Some(0));
        gate.begin_batch(true);
        gate.batch_written(&[LANE], true);
        assert_eq!(closed(&gate), Some(1), "closed with the batch that used it, without another wish");
    }

    #[test]
    fn nothing_closes_while_a_batch_that_uses_it_is_under_way() {
        let gate = gate();
        gate.begin_batch(true);
        gate.want(LANE);
        assert_eq!(closed(&gate), Some(0));
        // The next batch is begun before the first is written: it goes to the next generation.
        assert_eq!(gate.begin_batch(true)[&LANE], Generation(2));
        assert_eq!(closed(&gate), Some(0), "the first is not written yet");
        gate.batch_written(&[LANE], true);
        assert_eq!(closed(&gate), Some(1));
        gate.batch_written(&[LANE], true);
        assert_eq!(closed(&gate), Some(1));
    }

    #[test]
    fn nothing_is_seen_inside_a_transaction() {
        let gate = gate();
        gate.begin_batch(true);
        gate.writing_part();
        assert_eq!(closed(&gate), None);
        gate.batch_written(&[LANE], false);
        gate.want(LANE);
        assert_eq!(closed(&gate), None);
        assert_eq!(gate.begin_batch(false)[&LANE], Generation(1), "a transaction stays in one generation");
        gate.batch_written(&[LANE], true);
        assert_eq!(closed(&gate), Some(1));
    }

    #[test]
    fn after_a_restart_inside_a_transaction_its_lanes_wait() {
        let gate = gate();
        gate.reopen_inside_transaction();
        assert_eq!(closed(&gate), None);
        gate.begin_batch(false);
        gate.batch_written(&[LANE], true);
        assert_eq!(closed(&gate), Some(0));
    }
}
