//! The guard on deletions: one a mapping, whatever the cause of a deletion (STATE.md, rule 10). Pure; time is passed in.

use std::collections::VecDeque;

use crate::config::model::Guard;

/// Deletions of the last while.
#[derive(Clone, Debug)]
pub(super) struct DeletionGuard {
    limits: Guard,
    /// When deletions were let through, in seconds since 1970.
    times: VecDeque<u64>,
    tripped: bool,
    /// Deletions that a person has let through.
    allowance: bool,
}

impl DeletionGuard {
    pub(super) fn new(limits: Guard, times: Vec<u64>) -> Self {
        Self { limits, times: times.into(), tripped: false, allowance: false }
    }

    /// Whether one more deletion may go at `now`, of a mapping that feeds `records` records. A `true` is counted.
    pub(super) fn admits(&mut self, now: u64, records: u64) -> bool {
        if self.limits.share >= 1.0 {
            return true;
        }
        let horizon = now.saturating_sub(self.limits.within.as_secs());
        while self.times.front().is_some_and(|&at| at <= horizon) {
            self.times.pop_front();
        }
        if self.tripped && !self.allowance {
            return false;
        }
        if !self.allowance && self.times.len() as u64 >= self.most(records) {
            self.tripped = true;
            return false;
        }
        self.times.push_back(now);
        true
    }

    /// The larger of the share and the number.
    fn most(&self, records: u64) -> u64 {
        ((records as f64 * self.limits.share) as u64).max(self.limits.count)
    }

    /// A person has looked: what is held now may go.
    pub(super) fn confirm(&mut self) {
        self.tripped = false;
        self.allowance = true;
    }

    /// What was held has gone: counting begins again.
    pub(super) fn settle(&mut self) {
        if self.allowance {
            self.allowance = false;
            self.times.clear();
        }
    }

    /// Deletions were held before a restart: it is tripped still, unless it was switched off. Whether it is.
    pub(super) fn holds_on(&mut self) -> bool {
        self.tripped = self.limits.share < 1.0;
        self.tripped
    }

    pub(super) fn is_tripped(&self) -> bool {
        self.tripped
    }

    /// Deletions within the time.
    pub(super) fn recent(&self) -> u64 {
        self.times.len() as u64
    }

    /// For the state: the newest are enough.
    pub(super) fn times(&self) -> Vec<u64> {
        self.times.iter().copied().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn guard(share: f64, count: u64) -> DeletionGuard {
        DeletionGuard::new(Guard { share, count, within: Duration::from_secs(3600) }, Vec::new())
    }

    #[test]
    fn it_trips_at_the_larger_of_share_and_number() {
        let mut guard = guard(0.01, 3);
        let let_through = (0..20).filter(|_| guard.admits(1_000, 100)).count();
        assert_eq!((let_through, guard.is_tripped()), (3, true));
    }

    #[test]
    fn the_share_counts_for_large_mappings() {
        let mut guard = guard(0.01, 3);
        assert_eq!((0..20).filter(|_| guard.admits(1_000, 1_000)).count(), 10);
    }

    #[test]
    fn time_passing_does_not_untrip_it_and_a_person_does() {
        let mut guard = guard(0.0, 1);
        assert!(guard.admits(1_000, 10));
        assert!(!guard.admits(1_001, 10));
        assert!(!guard.admits(9_999, 10), "held until someone looks");
        guard.confirm();
        assert!(guard.admits(10_000, 10) && guard.admits(10_000, 10), "everything that is held goes");
        guard.settle();
        assert!(guard.admits(10_001, 10));
        assert!(!guard.admits(10_002, 10), "and then it counts again");
    }

    #[test]
    fn what_was_held_before_a_restart_is_held_until_someone_looks() {
        let mut held = guard(0.0, 5);
        assert!(held.holds_on() && held.is_tripped() && !held.admits(1_000, 10));
        held.confirm();
        assert!(held.admits(1_001, 10));
        assert!(!guard(1.0, 0).holds_on(), "the guard was switched off");
    }

    #[test]
    fn slow_deletions_pass() {
        let mut guard = guard(0.0, 1);
        assert!((0..10).all(|n| guard.admits(n * 3_601 + 1, 10)));
    }

    #[test]
    fn a_whole_share_switches_it_off() {
        let mut guard = guard(1.0, 0);
        assert!((0..1_000).all(|_| guard.admits(1, 0)));
    }
}
