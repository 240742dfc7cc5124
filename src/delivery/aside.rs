//! Rows that wait: why, for how long, and what wakes them.

use passerelle_change::{Refusal, Seq};
use passerelle_state::{MappingId, Parked, ParkedWhy, Since, StateError, Waiting};

use super::lane::{Entry, Lane, Origin};
use super::parents::{Hoped, RowName};
use super::prepare::Plan;
use super::settle::{MOST_ATTEMPTS, Notes};

/// When a row is due that waits until someone lets it go, in microseconds: far beyond the calendar.
pub(super) const NEVER: u64 = u64::MAX / 4;
/// A row whose key is taken is looked at so often.
const MOST_LOOKS: u32 = 40;

impl Notes<'_> {
    /// The row waits for a parent, which wakes it.
    pub(super) fn wait(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        parent: RowName,
        parents: &[RowName],
    ) -> Result<(), StateError> {
        self.refer(lane.id, &entry.row_key, parents, &[]);
        let waiting = Waiting { parent, since: entry.since.clone() };
        self.batch.waiting(lane.id, &entry.row_key, Some(&waiting));
        self.done(lane, entry)
    }

    /// The row waits for a parent that may never come, until then at most. A parent that comes wakes it.
    pub(super) fn hope(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        until: u64,
        parent: RowName,
        parents: &[RowName],
    ) -> Result<(), StateError> {
        self.refer(lane.id, &entry.row_key, parents, &[]);
        let waiting = Waiting { parent, since: entry.since.clone() };
        self.batch.waiting(lane.id, &entry.row_key, Some(&waiting));
        self.set_aside(lane, entry, until, (Seq::ZERO, ParkedWhy::Parent))
    }

    /// Notes which parents the row waits for, and since when; one that waits for none any more is not set aside for that.
    pub(super) fn hopes(&mut self, lane: &Lane, entry: &Entry, hoped: &Hoped) -> Result<(), StateError> {
        let before = self.store.hopes(lane.id, &entry.row_key)?;
        if before != hoped.all {
            self.batch.hopes(lane.id, &entry.row_key, &hoped.all);
        }
        if before.is_empty() || hoped.until.is_some() {
            return Ok(());
        }
        let stands_there = matches!(&entry.origin, Origin::Parked { .. });
        if let Some((due, parked)) = self.store.parked_until(lane.id, &entry.row_key)?
            && parked.why == ParkedWhy::Parent
            && !stands_there
        {
            self.batch.unpark(lane.id, due, &entry.row_key)?;
        }
        Ok(())
    }

    /// Sets the row aside.
    pub(super) fn park(&mut self, lane: &mut Lane, entry: &Entry, why: ParkedWhy) -> Result<(), StateError> {
        let attempts = entry.attempts() + 1;
        if why == ParkedWhy::KeyTaken && attempts > MOST_LOOKS {
            let message = "another record holds the external key, and does not give it up".to_owned();
            let refusal = Refusal { code: "KEY_TAKEN".into(), message, fields: Vec::new() };
            let key = passerelle_change::key::printed(&entry.row_key);
            // What it feeds, it goes on feeding: only its new key is not to be had.
            let was = self.store.link(lane.id, &entry.row_key)?;
            let seq = was.as_ref().map_or(Seq::ZERO, |was| was.seq);
            return self.dead(lane, entry, seq, was.as_ref(), refusal, key, &[], String::new());
        }
        let due = self.now.saturating_add(delay_micros(why, attempts));
        let seq = Seq::ZERO;
        let parked = Parked { seq, attempts, since: entry.since.clone(), why };
        self.done(lane, entry)?;
        self.batch.park(lane.id, due, &entry.row_key, &parked)
    }

    /// The CRM's server failed at the row alone. It counts as an attempt if something else was `accepted` since that
    /// happened last: else nobody knows that the server is up.
    pub(super) fn suspect(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        plan: &Plan,
        text: String,
        accepted: bool,
    ) -> Result<(), StateError> {
        if entry.ahead {
            // The whole row finds out, in its turn.
            return self.done(lane, entry);
        }
        let attempts = entry.attempts() + u32::from(accepted);
        if attempts > MOST_ATTEMPTS {
            let refusal = Refusal { code: "SERVER_ERROR".into(), message: text, fields: Vec::new() };
            return self.refused(lane, entry, plan, refusal);
        }
        let due = self.now.saturating_add(delay_micros(ParkedWhy::Suspected, attempts));
        let parked = Parked { seq: Seq::ZERO, attempts, since: entry.since.clone(), why: ParkedWhy::Suspected };
        self.done(lane, entry)?;
        self.batch.park(lane.id, due, &entry.row_key, &parked)
    }

    /// The row is not sent before it is due, and then only as it was at `seq`. What it holds back, it goes on holding back.
    pub(super) fn set_aside(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        due: u64,
        (seq, why): (Seq, ParkedWhy),
    ) -> Result<(), StateError> {
        let before = self.store.parked(lane.id, &entry.row_key)?.and_then(|parked| parked.since);
        let since = match (before, entry.since.clone()) {
            (Some(before), Some(since)) => Some(if before.seq <= since.seq { before } else { since }),
            (before, since) => before.or(since),
        };
        self.done(lane, entry)?;
        self.batch.park(lane.id, due, &entry.row_key, &Parked { seq, attempts: 0, since, why })
    }

    /// The mapping does not write the row, which feeds no record. It is looked at again when the mapping says otherwise:
    /// that is another revision.
    pub(super) fn leave_out(&mut self, lane: &mut Lane, entry: &Entry) -> Result<(), StateError> {
        self.forget_trouble(lane, &entry.row_key)?;
        lane.reach.left_out += 1;
        if lane.has_children {
            self.given_up.push((lane.id, entry.row_key.clone()));
        }
        self.done(lane, entry)
    }

    /// Rows that refer to parents that came or went are looked at again, and those that wait for one that will not come.
    pub(super) fn wake_children(&mut self) -> Result<(), StateError> {
        let referred = std::mem::take(&mut self.referred);
        for parent in std::mem::take(&mut self.wake) {
            let mut children = self.store.children((parent.0, &parent.1), usize::MAX)?;
            // A row that refers to itself, or to one that was settled together with it.
            children.extend(referred.iter().filter(|(to, _)| *to == parent).map(|(_, child)| child.clone()));
            for (child, child_key) in children {
                let since = self.store.waiting(child, &child_key)?.and_then(|waiting| waiting.since);
                self.look_again(child, &child_key, since)?;
            }
        }
        // Only those: two rows that refer to each other and feed no record would wake each other for ever.
        for parent in std::mem::take(&mut self.given_up) {
            for (child, child_key) in self.store.children((parent.0, &parent.1), usize::MAX)? {
                if let Some(waiting) = self.store.waiting(child, &child_key)?.filter(|waiting| waiting.parent == parent)
                {
                    self.look_again(child, &child_key, waiting.since)?;
                }
            }
        }
        Ok(())
    }

    /// What the row was set aside for before is kept: how often it was tried, and what it holds back.
    pub(super) fn look_again(
        &mut self,
        mapping: MappingId,
        row_key: &[u8],
        since: Option<Since>,
    ) -> Result<(), StateError> {
        let before = self.store.parked(mapping, row_key)?;
        // A parent that came or went is a reason to begin again; a key that is taken stays taken.
        let goes_on = |parked: &&Parked| matches!(parked.why, ParkedWhy::KeyTaken | ParkedWhy::Children);
        let attempts = before.as_ref().filter(goes_on).map_or(0, |parked| parked.attempts);
        let since = before.and_then(|parked| parked.since).or(since);
        let parked = Parked { seq: Seq::ZERO, attempts, since, why: ParkedWhy::Again };
        self.batch.waiting(mapping, row_key, None);
        self.batch.park(mapping, self.now, row_key, &parked)
    }
}

/// How long a row is set aside: at least, and jittered so that a crowd does not come back at once.
pub(super) fn delay_micros(why: ParkedWhy, attempts: u32) -> u64 {
    let doubled = |first: u64, most: u64| first.saturating_mul(1 << attempts.min(20)).min(most);
    let bound = match why {
        ParkedWhy::Again | ParkedWhy::Quiet | ParkedWhy::Parent => return 0,
        ParkedWhy::KeyTaken | ParkedWhy::Children => doubled(5_000, 2_000_000),
        ParkedWhy::Left => doubled(5_000, 60_000_000),
        ParkedWhy::Retry | ParkedWhy::Suspected => doubled(500_000, 30_000_000),
        // It is being fetched.
        ParkedWhy::Incomplete => doubled(250_000, 60_000_000),
        // Until someone lets them go.
        ParkedWhy::Guarded | ParkedWhy::LeftOut => return NEVER,
    };
    bound / 2 + rand::random_range(0..=bound / 2)
}
