//! What was handed on, what was quiet since, and how long the server has been silent. Pure: time is passed in.

use std::time::{Duration, Instant};

use passerelle_change::Position;

use crate::LogPosition;
use crate::replication::HEARTBEAT;

/// An idle position costs a synced write; what a restart reads again is no more than this for want of one.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// How long a server may be silent that says something every [`HEARTBEAT`].
const SILENCE: Duration = HEARTBEAT.saturating_mul(6);

/// The same before it has said anything: it may have to look for our place in much log (MY-06).
const SEARCH: Duration = Duration::from_mins(10);

#[derive(Debug)]
pub(super) struct Ledger {
    /// The end of the last transaction, or the last idle position, that was pushed.
    handed: Option<Position>,
    /// What the caller acknowledged.
    acknowledged: Option<Position>,
    /// Up to here the log had nothing for us since `handed`.
    quiet: Option<LogPosition>,
    idle_at: Option<Instant>,
    heard_at: Instant,
    has_spoken: bool,
}

impl Ledger {
    pub(super) fn new(now: Instant) -> Self {
        Self { handed: None, acknowledged: None, quiet: None, idle_at: None, heard_at: now, has_spoken: false }
    }

    /// Something came, whatever it was.
    pub(super) fn heard(&mut self, now: Instant) {
        (self.heard_at, self.has_spoken) = (now, true);
    }

    /// Nobody read meanwhile: that silence was ours.
    pub(super) fn busy(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// How long the server has been silent, where that is too long.
    pub(super) fn too_silent(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.heard_at);
        (silence >= self.patience()).then_some(silence)
    }

    fn patience(&self) -> Duration {
        if self.has_spoken { SILENCE } else { SEARCH }
    }

    /// A transaction with something for us ended and was pushed.
    pub(super) fn transaction(&mut self, end: &Position) {
        self.handed = Some(end.clone());
        self.quiet = None;
    }

    /// The log up to here had nothing for us.
    pub(super) fn quiet(&mut self, at: LogPosition) {
        self.quiet = Some(at);
    }

    /// The caller holds everything up to there durably.
    pub(super) fn acknowledge(&mut self, at: Option<Position>) {
        self.acknowledged = at.or(self.acknowledged.take());
    }

    pub(super) fn acknowledged(&self) -> Option<&Position> {
        self.acknowledged.as_ref()
    }

    /// Whether all that was handed on is acknowledged.
    pub(super) fn settled(&self) -> bool {
        self.handed.is_none() || self.handed == self.acknowledged
    }

    /// An idle position to push, where one is due; `open` is whether a transaction is.
    pub(super) fn idle(&mut self, open: bool, now: Instant) -> Option<Position> {
        if self.idle_due(open)? > now {
            return None;
        }
        let position = self.quiet.take()?.position();
        (self.handed, self.idle_at) = (Some(position.clone()), Some(now));
        Some(position)
    }

    fn idle_due(&self, open: bool) -> Option<Instant> {
        let is_due = self.quiet.is_some() && !open;
        is_due.then(|| self.idle_at.map_or(self.heard_at, |at| at + IDLE_EVERY))
    }

    /// When there is something to do though nothing comes.
    pub(super) fn wake_at(&self, open: bool) -> Instant {
        let silent = self.heard_at + self.patience();
        self.idle_due(open).map_or(silent, |due| due.min(silent))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(offset: u64) -> LogPosition {
        LogPosition { file: "mbin.000001".into(), offset, ..LogPosition::default() }
    }

    #[test]
    fn idle_positions_come_at_most_once_a_second_and_never_inside_a_transaction() {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        assert_eq!(ledger.idle(false, now), None);
        ledger.quiet(at(10));
        assert_eq!(ledger.idle(true, now), None);
        assert_eq!(ledger.idle(false, now), Some(at(10).position()));
        assert_eq!(ledger.idle(false, now), None);
        ledger.quiet(at(20));
        ledger.quiet(at(30));
        let early = now + IDLE_EVERY / 2;
        assert_eq!(ledger.idle(false, early), None);
        assert_eq!(ledger.wake_at(false), now + IDLE_EVERY);
        assert_eq!(ledger.idle(false, now + IDLE_EVERY), Some(at(30).position()));
    }

    #[test]
    fn a_transaction_ends_what_was_quiet_before_it() {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        ledger.quiet(at(10));
        ledger.transaction(&at(20).position());
        assert_eq!(ledger.idle(false, now), None);
        assert!(!ledger.settled());
        ledger.acknowledge(Some(at(20).position()));
        ledger.acknowledge(None);
        assert!(ledger.settled());
    }

    #[test]
    fn my_06_a_server_that_says_nothing_is_left_after_some_heartbeats() {
        let now = Instant::now();
        let mut ledger = Ledger::new(now);
        assert_eq!(ledger.too_silent(now + SILENCE), None);
        ledger.heard(now);
        assert_eq!(ledger.too_silent(now + SILENCE), Some(SILENCE));
        assert_eq!(ledger.wake_at(false), now + SILENCE);
        ledger.busy(now + SILENCE);
        assert_eq!(ledger.too_silent(now + SILENCE), None);
    }
}
