//! What was received, handed on and acknowledged, and when the server is told. Pure: time is passed in.

use std::time::{Duration, Instant};

use passerelle_change::Micros;

use crate::{Lsn, wire};

/// Under load acknowledgements come with every synced batch; the server needs to hear of them this often.
const ACKNOWLEDGEMENTS_EVERY: Duration = Duration::from_millis(100);

/// An idle position costs a synced write; the server's log is held back by no more than this for want of one.
const IDLE_EVERY: Duration = Duration::from_secs(1);

/// The longest time between two statuses (PG-02).
const STATUS_EVERY: Duration = Duration::from_secs(10);

/// How long a server may be silent beyond its own timeout. It answers at least every half of that, even while it
/// decodes a transaction that has nothing for us.
const SILENCE_MARGIN: Duration = Duration::from_secs(30);

#[derive(Debug)]
pub(super) struct Ledger {
    /// The highest place in the log that was heard of.
    received: Lsn,
    /// What the caller acknowledged: never goes backward.
    flushed: Lsn,
    /// The end of the last transaction, or the last idle position, that was handed on.
    handed: Lsn,
    /// Up to here the log had nothing for us since `handed`.
    quiet: Lsn,
    /// The server waits for an answer.
    asked: bool,
    /// `flushed` was not told yet.
    untold: bool,
    status_every: Duration,
    silence: Duration,
    told_at: Instant,
    idle_at: Option<Instant>,
    heard_at: Instant,
}

impl Ledger {
    /// For a stream that starts from `from`; `wal_sender_timeout` is `None` where the server never gives up.
    pub(super) fn new(from: Lsn, wal_sender_timeout: Option<Duration>, now: Instant) -> Self {
        let timeout = wal_sender_timeout.unwrap_or(Duration::from_mins(2));
        Self {
            received: from,
            flushed: from,
            handed: from,
            quiet: from,
            asked: false,
            untold: false,
            // A third: half is when the server begins to ask.
            status_every: wal_sender_timeout.map_or(STATUS_EVERY, |timeout| STATUS_EVERY.min(timeout / 3)),
            silence: timeout + SILENCE_MARGIN,
            told_at: now,
            idle_at: None,
            heard_at: now,
        }
    }

    pub(super) fn received(&self) -> Lsn {
        self.received
    }

    pub(super) fn flushed(&self) -> Lsn {
        self.flushed
    }

    /// Something came, whatever it was. Also while nobody reads: that silence is ours.
    pub(super) fn heard(&mut self, now: Instant) {
        self.heard_at = now;
    }

    /// How long the server has been silent, where that is too long.
    pub(super) fn too_silent(&self, now: Instant) -> Option<Duration> {
        let silence = now.saturating_duration_since(self.heard_at);
        (silence >= self.silence).then_some(silence)
    }

    /// A message of the log at `lsn`.
    pub(super) fn data(&mut self, lsn: Lsn) {
        self.received = self.received.max(lsn);
    }

    /// A transaction with something for us ended.
    pub(super) fn transaction(&mut self, end: Lsn) {
        self.received = self.received.max(end);
        self.handed = self.handed.max(end);
    }

    /// A transaction without anything for us ended (servers before 15 send those, PG-04).
    pub(super) fn quiet(&mut self, end: Lsn) {
        self.received = self.received.max(end);
        self.quiet = self.quiet.max(end);
    }

    /// A keepalive: everything up to `end` has been sent (PG-03).
    pub(super) fn keepalive(&mut self, end: Lsn, reply: bool) {
        self.quiet(end);
        self.asked |= reply;
    }

    /// The caller holds everything up to `lsn` durably.
    pub(super) fn acknowledge(&mut self, lsn: Lsn) {
        if lsn > self.flushed {
            self.flushed = lsn;
            self.untold = true;
        }
    }

    /// Whether all that was handed on is acknowledged.
    pub(super) fn settled(&self) -> bool {
        self.flushed >= self.handed
    }

    /// An idle position to hand on, where one is due; `open` is whether a transaction is (PG-03). A server that waits
    /// for an answer may be shutting down and waits for this (PG-40).
    pub(super) fn idle(&mut self, open: bool, now: Instant) -> Option<Lsn> {
        let due = self.idle_due(open)?;
        if !self.asked && due > now {
            return None;
        }
        self.handed = self.quiet;
        self.idle_at = Some(now);
        Some(self.quiet)
    }

    fn idle_due(&self, open: bool) -> Option<Instant> {
        let wanted = !open && self.settled() && self.quiet > self.handed.max(self.flushed);
        wanted.then(|| self.idle_at.map_or(self.told_at, |at| at + IDLE_EVERY))
    }

    /// When something is to be done though nothing comes.
    pub(super) fn wake_at(&self, open: bool) -> Instant {
        let silent = self.heard_at + self.silence;
        let status = self.status_due().min(silent);
        self.idle_due(open).map_or(status, |idle| idle.min(status))
    }

    /// When the next status is due.
    pub(super) fn status_due(&self) -> Instant {
        if self.asked {
            self.told_at
        } else if self.untold {
            self.told_at + ACKNOWLEDGEMENTS_EVERY.min(self.status_every)
        } else {
            self.told_at + self.status_every
        }
    }

    /// Appends a status. One that the timer brings asks for a sign of life: the answer tells an idle stream how far the
    /// log has come, and that the server is there.
    pub(super) fn push_status(&mut self, out: &mut Vec<u8>, clock: Micros, now: Instant) {
        let by_timer = !self.asked && !self.untold;
        wire::push_status(out, self.received, self.flushed, clock, by_timer);
        (self.asked, self.untold, self.told_at) = (false, false, now);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MINUTE: Option<Duration> = Some(Duration::from_mins(1));

    fn flush_of(ledger: &mut Ledger, now: Instant) -> u64 {
        let mut out = Vec::new();
        ledger.push_status(&mut out, Micros(0), now);
        u64::from_be_bytes(out[14..22].try_into().expect("eight bytes"))
    }

    proptest! {
        #[test]
        fn pg_01_flush_is_what_was_acknowledged_and_never_goes_back(steps: Vec<(u8, u16)>) {
            let now = Instant::now();
            let mut ledger = Ledger::new(Lsn(100), MINUTE, now);
            let (mut acknowledged, mut last) = (100, 0);
            for (step, lsn) in steps {
                let lsn = Lsn(lsn.into());
                match step % 5 {
                    0 => ledger.data(lsn),
                    1 => ledger.transaction(lsn),
                    2 => ledger.keepalive(lsn, lsn.0.is_multiple_of(2)),
                    3 => { ledger.idle(false, now); }
                    _ => { ledger.acknowledge(lsn); acknowledged = acknowledged.max(lsn.0); }
                }
                let flush = flush_of(&mut ledger, now);
                prop_assert!(flush == acknowledged && flush >= last);
                last = flush;
            }
        }
    }

    #[test]
    fn pg_02_statuses_come_within_half_of_the_servers_timeout() {
        let now = Instant::now();
        let due = |timeout| Ledger::new(Lsn(1), timeout, now).wake_at(true) - now;
        assert_eq!(due(MINUTE), Duration::from_secs(10));
        assert_eq!(due(None), Duration::from_secs(10));
        assert!(due(Some(Duration::from_secs(4))) <= Duration::from_secs(2));
    }

    #[test]
    fn pg_02_an_answer_that_is_asked_for_is_due_at_once() {
        let now = Instant::now();
        let mut ledger = Ledger::new(Lsn(1), MINUTE, now);
        ledger.keepalive(Lsn(1), true);
        assert!(ledger.status_due() <= now);
        flush_of(&mut ledger, now);
        assert!(ledger.status_due() > now);
    }

    #[test]
    fn pg_03_the_idle_position_waits_for_what_is_in_hand() {
        let now = Instant::now();
        let mut ledger = Ledger::new(Lsn(1), MINUTE, now);
        ledger.transaction(Lsn(50));
        ledger.keepalive(Lsn(60), false);
        assert_eq!(ledger.idle(false, now), None, "not everything is acknowledged");
        ledger.acknowledge(Lsn(50));
        assert_eq!(ledger.idle(true, now), None, "a transaction is open");
        assert_eq!(ledger.idle(false, now), Some(Lsn(60)));
        assert_eq!(ledger.idle(false, now), None, "said already");
        ledger.acknowledge(Lsn(60));
        ledger.keepalive(Lsn(70), false);
        assert_eq!(ledger.idle(false, now), None, "too soon");
        assert_eq!(ledger.idle(false, now + IDLE_EVERY), Some(Lsn(70)));
        ledger.acknowledge(Lsn(70));
        ledger.keepalive(Lsn(80), true);
        assert_eq!(ledger.idle(false, now + IDLE_EVERY), Some(Lsn(80)), "pg_40: the server waits");
    }

    #[test]
    fn acknowledgements_are_told_soon_and_at_once_when_idle() {
        let now = Instant::now();
        let mut ledger = Ledger::new(Lsn(1), MINUTE, now);
        ledger.acknowledge(Lsn(5));
        assert_eq!(ledger.status_due() - now, ACKNOWLEDGEMENTS_EVERY);
        let later = now + Duration::from_secs(1);
        assert!(ledger.status_due() <= later);
    }

    #[test]
    fn silence_beyond_the_servers_timeout_is_noticed() {
        let now = Instant::now();
        let ledger = Ledger::new(Lsn(1), MINUTE, now);
        assert_eq!(ledger.too_silent(now + Duration::from_secs(89)), None);
        assert_eq!(ledger.too_silent(now + Duration::from_secs(90)), Some(Duration::from_secs(90)));
    }
}
