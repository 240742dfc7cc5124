//! Which rows are written, and when: `quiet`, `limit`, `only`, `mode = "observe"`, and the times of `delivery`.
//!
//! A row that has to be still first is parked until it may be. A row that is left out and feeds no record is let go: the
//! settings are part of the mapping's revision, so that another setting looks at every row again. One that feeds a record
//! is parked instead, since only its entry knows that it was deleted; it is looked at again at the next start.

use std::collections::HashSet;

use jiff::Timestamp;
use passerelle_change::key::printed;
use passerelle_change::{Seq, WriteOp};
use passerelle_state::{DeliveryBatch, Durability, Parked, ParkedWhy, RecordId, StateError, Store, View};

use super::aside::NEVER;
use super::engine::Engine;
use super::former;
use super::lane::{Entry, Lane, Origin};
use super::now_micros;
use super::prepare::Plan;
use super::settle::Notes;
use crate::config::{model, schedule};

/// Records known to be absent from the CRM; beyond that they are asked for again.
const MOST_ABSENT: usize = 10_000;

/// What is known of the rows that a mapping writes and of those that it does not.
#[derive(Debug, Default)]
pub(super) struct Reach {
    only: Option<HashSet<String>>,
    limit: Option<u64>,
    /// Rows on their way to be records: they count against `limit`.
    begun: HashSet<Vec<u8>>,
    /// Some fields are for a creation: whether the CRM has the record is asked before.
    asks: bool,
    /// Records that were asked for and are not there.
    pub absent: HashSet<RecordId>,
    /// Rows that were not written, since the start.
    pub left_out: u64,
    /// Writes that `mode = "observe"` kept, since the start.
    pub observed: Observed,
}

/// What would have been written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Observed {
    pub creations: u64,
    pub updates: u64,
    pub deletions: u64,
}

/// Whether it is a row's turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    /// It is.
    Now,
    /// It has to be still until then, as it is at this version.
    Still { due: u64, seq: Seq },
    /// Its turn comes where it is parked.
    Parked,
    /// It is not written, and feeds a record or not.
    LeftOut { feeds: bool },
}

impl Reach {
    pub(super) fn new(config: &model::Mapping) -> Self {
        let canary = &config.canary;
        Self {
            only: canary.only.as_ref().map(|keys| keys.iter().cloned().collect()),
            limit: canary.limit,
            asks: config.fields.iter().any(|field| field.create_only || field.on_create.is_some()),
            ..Self::default()
        }
    }

    /// Whether the CRM is to be asked for a record before it is created.
    pub(super) fn looks_up(&self, id: RecordId) -> bool {
        self.asks && !self.absent.contains(&id)
    }

    /// The CRM was asked, and has no such record.
    pub(super) fn is_absent(&mut self, id: RecordId) {
        if self.absent.len() >= MOST_ABSENT {
            self.absent.clear();
        }
        self.absent.insert(id);
    }
}

impl Lane {
    /// Whether it is the turn of a row in hand.
    pub(super) fn turn(&self, store: &Store, view: &View<'_>, entry: &Entry, now: u64) -> Result<Turn, StateError> {
        if former::of_name(&entry.row_key).is_some() {
            return Ok(Turn::Now);
        }
        if self.reach.only.is_some() || self.reach.limit.is_some() {
            let feeds = store.link(self.id, &entry.row_key)?.is_some_and(|link| link.record.is_some());
            if !self.names(&entry.row_key) || !(feeds || self.has_room(&entry.row_key)) {
                return Ok(Turn::LeftOut { feeds });
            }
        }
        let Some(quiet) = self.config.quiet else { return Ok(Turn::Now) };
        let is_quiet = |parked: &Parked| parked.why == ParkedWhy::Quiet;
        let seq = view.row(self.table, &entry.row_key)?.map_or(Seq::ZERO, |row| row.seq);
        Ok(match &entry.origin {
            Origin::Parked { parked, .. } if !is_quiet(parked) || parked.seq == seq => Turn::Now,
            Origin::Scan { .. } | Origin::Marked(_)
                if store.parked(self.id, &entry.row_key)?.as_ref().is_some_and(is_quiet) =>
            {
                Turn::Parked
            }
            Origin::Scan { .. } | Origin::Marked(_) | Origin::Hint => Turn::Now,
            Origin::Queue(..) | Origin::Parked { .. } => {
                Turn::Still { due: now.saturating_add(quiet.as_micros() as u64), seq }
            }
        })
    }

    /// Whether a row that feeds no record is not going to: nobody waits for it.
    pub(super) fn leaves_out(&self, row_key: &[u8]) -> bool {
        self.config.observe || !self.names(row_key) || !self.has_room(row_key)
    }

    /// Whether `only` lets the row through.
    pub(super) fn names(&self, row_key: &[u8]) -> bool {
        self.reach.only.as_ref().is_none_or(|only| only.contains(&printed(row_key)))
    }

    fn has_room(&self, row_key: &[u8]) -> bool {
        let begun = &self.reach.begun;
        let taken = self.figures.records + begun.len() as u64;
        self.reach.limit.is_none_or(|limit| taken < limit || begun.contains(row_key))
    }

    /// A write is staged: one that makes the row feed a record takes a place.
    pub(super) fn begins(&mut self, row_key: &[u8], plan: &Plan) {
        let feeds = plan.was.as_ref().is_some_and(|was| was.record.is_some());
        if self.reach.limit.is_some() && !feeds {
            self.reach.begun.insert(row_key.to_vec());
        }
    }

    /// The row feeds a record now and is counted as such, or has come to another end.
    pub(super) fn has_begun(&mut self, row_key: &[u8]) {
        self.reach.begun.remove(row_key);
    }
}

impl Notes<'_> {
    /// Notes a row whose turn it is not.
    pub(super) fn passed_over(&mut self, lane: &mut Lane, entry: &Entry, turn: Turn) -> Result<(), StateError> {
        match turn {
            Turn::Now => Ok(()),
            Turn::Still { due, seq } => self.set_aside(lane, entry, due, (seq, ParkedWhy::Quiet)),
            Turn::Parked => self.done(lane, entry),
            // A row of a scan is there, and another setting scans it again.
            Turn::LeftOut { feeds } if !feeds || matches!(entry.origin, Origin::Scan { .. }) => {
                self.leave_out(lane, entry)
            }
            Turn::LeftOut { .. } => {
                lane.reach.left_out += 1;
                self.set_aside(lane, entry, NEVER, (Seq::ZERO, ParkedWhy::LeftOut))
            }
        }
    }

    /// Counts a write instead of sending it.
    pub(super) fn observed(&mut self, lane: &mut Lane, entry: &Entry, plan: &Plan) -> Result<(), StateError> {
        let feeds = plan.was.as_ref().is_some_and(|was| was.record.is_some());
        let observed = &mut lane.reach.observed;
        match plan.write.op {
            WriteOp::Delete => observed.deletions += 1,
            WriteOp::Update => observed.updates += 1,
            WriteOp::Find if feeds => observed.updates += 1,
            WriteOp::Upsert | WriteOp::Find => observed.creations += 1,
        }
        // Before the row is let go: what it refers to wakes it when it is written one day.
        let before = plan.was.as_ref().map_or(&[][..], |was| &was.parents);
        self.refer_to(lane.id, &entry.row_key, &plan.parents, before);
        self.passed_over(lane, entry, Turn::LeftOut { feeds })
    }
}

impl Engine<'_> {
    /// Rows that were left out are looked at again: the mapping may write them now. Deletions that the guard held are held
    /// still, until a person lets them through or takes the guard away.
    pub(super) fn release_left_out(&mut self) -> Result<(), StateError> {
        for lane in &mut self.lanes {
            let mut batch = DeliveryBatch::new(self.store);
            for row in self.store.due(lane.id, u64::MAX, usize::MAX)? {
                let is_freed = row.parked.why == ParkedWhy::Guarded && !lane.guard.holds_on();
                if is_freed || row.parked.why == ParkedWhy::LeftOut {
                    let parked = Parked { why: ParkedWhy::Again, ..row.parked };
                    batch.park(lane.id, now_micros(), &row.row_key, &parked)?;
                }
            }
            if !batch.is_empty() {
                self.store.write_delivery(batch, Durability::Synced)?;
            }
        }
        Ok(())
    }
}

/// The first time of a schedule after another, both in microseconds since 1970.
pub(super) fn next_time(schedule: &str, after: u64) -> u64 {
    let after = i64::try_from(after).ok().and_then(|at| Timestamp::from_microsecond(at).ok());
    let next = after.and_then(|after| schedule::next_after(schedule, after));
    next.map_or(NEVER, |next| next.as_microsecond().max(0).unsigned_abs())
}
