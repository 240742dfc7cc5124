//! The short windows: governor's GCRA, set so that no rolling window ever holds more than its limit.
//!
//! A GCRA with burst `b` and one cell every `t` admits at most `b + floor(w / t)` calls in any window of length `w`; set
//! the usual way (`b = limit`, `t = w / limit`) that is twice the limit. Here `t = (w + JITTER) / (limit - b + 1)`, rounded
//! up, so that it is at most `limit`, even when the network delays one call by up to [`JITTER`] more than a later one.
//!
//! A call needs a cell of every window. governor has no way to look without taking, so its state store is ours: it
//! looks in all of them first and takes from none unless all agree.
//!
//! At the start every window is drained: what an earlier process sent just before it ended is then covered, since a drained
//! window is the strictest state the earlier one can have been in.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use governor::clock::Clock;
use governor::middleware::NoOpMiddleware;
use governor::nanos::Nanos;
use governor::state::{NotKeyed, StateStore};
use governor::{Quota, RateLimiter};

/// How much closer together calls may arrive than they were sent.
pub const JITTER: Duration = Duration::from_millis(100);

/// Part of a limit that may be used at once after a rest: a tenth.
const BURST_SHARE: u32 = 10;

/// What a window has been used for, for people.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WindowUse {
    /// `per_second`, `per_10_seconds`, `per_minute`.
    pub name: &'static str,
    /// Calls in the last window, an estimate between two counts; never more than the limit.
    pub used: u32,
    /// Calls allowed.
    pub limit: u32,
    /// When the count starts again.
    pub resets_in: Duration,
}

/// The short windows together. Time is passed in, as the time since the limiter was made; it must not go backward.
#[derive(Debug)]
pub struct Windows {
    clock: GivenClock,
    windows: Vec<Window>,
}

impl Windows {
    /// One window for each limit: a name, a length and how many calls it may hold. A limit of 0 admits nothing.
    pub fn new(limits: impl IntoIterator<Item = (&'static str, Duration, u32)>) -> Self {
        let clock = GivenClock::default();
        let windows =
            limits.into_iter().map(|(name, length, limit)| Window::new(name, length, limit, &clock)).collect();
        Self { clock, windows }
    }

    /// How long until every window admits a call; `None` when they do now. Takes nothing.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        self.clock.set(now);
        self.windows.iter().filter_map(|window| window.look(now)).max()
    }

    /// Takes a call from every window, or from none and says how long to wait.
    pub fn take(&mut self, now: Duration) -> Result<(), Duration> {
        if let Some(wait) = self.wait(now) {
            return Err(wait);
        }
        for window in &mut self.windows {
            window.take(now);
        }
        Ok(())
    }

    /// What each window has been used for.
    pub fn used(&self, now: Duration) -> Vec<WindowUse> {
        self.windows.iter().map(|window| window.used(now)).collect()
    }
}

#[derive(Debug)]
struct Window {
    name: &'static str,
    length: Duration,
    limit: u32,
    next_free: NextFree,
    gcra: RateLimiter<NotKeyed, NextFree, GivenClock, NoOpMiddleware<Nanos>>,
    slot: u64,
    calls: u32,
    calls_before: u32,
}

impl Window {
    fn new(name: &'static str, length: Duration, limit: u32, clock: &GivenClock) -> Self {
        let burst = (limit / BURST_SHARE).max(1);
        let every_nanos = (length + JITTER).as_nanos().div_ceil(u128::from(limit.saturating_sub(burst) + 1)) + 1;
        let every = Duration::from_nanos(u64::try_from(every_nanos).unwrap_or(u64::MAX));
        let next_free = NextFree::drained(every * burst);
        let quota = Quota::with_period(every)
            .unwrap_or(Quota::per_second(NonZeroU32::MIN))
            .allow_burst(NonZeroU32::new(burst).unwrap_or(NonZeroU32::MIN));
        let gcra = RateLimiter::new(quota, next_free.clone(), clock.clone());
        Self { name, length, limit, next_free, gcra, slot: 0, calls: 0, calls_before: 0 }
    }

    fn look(&self, now: Duration) -> Option<Duration> {
        if self.limit == 0 {
            return Some(self.length);
        }
        self.next_free.keep.store(false, Ordering::Relaxed);
        self.gcra.check().err().map(|not_until| not_until.wait_time_from(now.into()))
    }

    fn take(&mut self, now: Duration) {
        self.next_free.keep.store(true, Ordering::Relaxed);
        let taken = self.gcra.check();
        debug_assert!(taken.is_ok(), "a look at the same time was favourable");
        let slot = self.slot_at(now);
        if slot != self.slot {
            self.calls_before = if slot == self.slot + 1 { self.calls } else { 0 };
            self.calls = 0;
            self.slot = slot;
        }
        self.calls += 1;
    }

    fn used(&self, now: Duration) -> WindowUse {
        let slot = self.slot_at(now);
        let into = Duration::from_nanos(u64::try_from(now.as_nanos() % self.length.as_nanos()).unwrap_or(0));
        let share_before = 1.0 - into.as_secs_f64() / self.length.as_secs_f64();
        let (before, here) = match slot.saturating_sub(self.slot) {
            0 => (self.calls_before, self.calls),
            1 => (self.calls, 0),
            2.. => (0, 0),
        };
        #[allow(clippy::cast_sign_loss)] // a product of two numbers that are not negative
        let used = here + (f64::from(before) * share_before) as u32;
        WindowUse {
            name: self.name,
            used: used.min(self.limit),
            limit: self.limit,
            resets_in: self.length.saturating_sub(into),
        }
    }

    fn slot_at(&self, now: Duration) -> u64 {
        u64::try_from(now.as_nanos() / self.length.as_nanos()).unwrap_or(u64::MAX)
    }
}

/// governor's state of one window: the theoretical arrival time, kept only when `keep` says so.
#[derive(Clone, Debug)]
struct NextFree {
    nanos: Arc<AtomicU64>,
    keep: Arc<AtomicBool>,
}

impl NextFree {
    fn drained(burst: Duration) -> Self {
        let nanos = u64::try_from(burst.as_nanos()).unwrap_or(u64::MAX / 2);
        Self { nanos: Arc::new(AtomicU64::new(nanos)), keep: Arc::default() }
    }
}

impl StateStore for NextFree {
    type Key = NotKeyed;

    fn measure_and_replace<T, F, E>(&self, _: &NotKeyed, decide: F) -> Result<T, E>
    where
        F: Fn(Option<Nanos>) -> Result<(T, Nanos), E>,
    {
        let (outcome, next) = decide(Some(self.nanos.load(Ordering::Relaxed).into()))?;
        if self.keep.load(Ordering::Relaxed) {
            self.nanos.store(next.into(), Ordering::Relaxed);
        }
        Ok(outcome)
    }
}

/// A clock that stands where it was put.
#[derive(Clone, Debug, Default)]
struct GivenClock(Arc<AtomicU64>);

impl GivenClock {
    fn set(&self, now: Duration) {
        self.0.store(u64::try_from(now.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }
}

impl Clock for GivenClock {
    type Instant = Nanos;

    fn now(&self) -> Nanos {
        self.0.load(Ordering::Relaxed).into()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    fn windows(per_second: u32, per_10: u32, per_minute: u32) -> Windows {
        Windows::new([
            ("per_second", SECOND, per_second),
            ("per_10_seconds", 10 * SECOND, per_10),
            ("per_minute", 60 * SECOND, per_minute),
        ])
    }

    /// The most calls that stand in any closed rolling window of `length`.
    fn densest(calls: &[Duration], length: Duration) -> usize {
        let mut first = 0;
        let mut most = 0;
        for (last, &at) in calls.iter().enumerate() {
            while at.saturating_sub(calls[first]) > length {
                first += 1;
            }
            most = most.max(last - first + 1);
        }
        most
    }

    proptest! {
        /// Whatever the rhythm of the demand, the restarts and the delays of the network, no rolling window holds more
        /// than its limit.
        #[test]
        fn no_rolling_window_is_passed(
            per_second in 1_u32..40, per_10 in 1_u32..200, per_minute in 1_u32..600,
            steps in proptest::collection::vec((0_u64..400, 0_u32..100, 0_u64..100), 1..1500),
        ) {
            let mut start = Duration::ZERO;
            let mut now = Duration::ZERO;
            let mut windows = windows(per_second, per_10, per_minute);
            let mut arrived = Vec::new();
            for (pause_ms, dice, delay_ms) in steps {
                match dice {
                    0 => {
                        start = now;
                        windows = self::windows(per_second, per_10, per_minute);
                    }
                    1..=20 => now += Duration::from_millis(pause_ms),
                    21..=23 => now += Duration::from_millis(pause_ms * 50),
                    _ => if let Some(wait) = windows.wait(now.checked_sub(start).unwrap_or_default()) {
                        now += wait;
                    }
                }
                if windows.take(now.checked_sub(start).unwrap_or_default()).is_ok() {
                    arrived.push(now + Duration::from_millis(delay_ms));
                }
            }
            arrived.sort();
            prop_assert!(densest(&arrived, SECOND) <= per_second as usize);
            prop_assert!(densest(&arrived, 10 * SECOND) <= per_10 as usize);
            prop_assert!(densest(&arrived, 60 * SECOND) <= per_minute as usize);
        }

        /// The wait it names is enough, and one nanosecond less is not.
        #[test]
        fn the_wait_is_exact(limit in 1_u32..100, calls in 1_usize..50) {
            let mut windows = Windows::new([("per_second", SECOND, limit)]);
            let mut now = Duration::ZERO;
            for _ in 0..calls {
                while windows.take(now).is_ok() {}
                let wait = windows.wait(now).expect("it was just refused");
                prop_assert!(windows.wait(now + wait.checked_sub(Duration::from_nanos(1)).unwrap_or_default()).is_some());
                now += wait;
                prop_assert_eq!(windows.wait(now), None);
            }
        }
    }

    #[test]
    fn most_of_a_limit_can_be_used() {
        for limit in [1_u32, 2, 10, 25, 100] {
            let mut windows = Windows::new([("per_second", SECOND, limit)]);
            let mut now = Duration::ZERO;
            let mut calls = 0;
            while now < 100 * SECOND {
                match windows.take(now) {
                    Ok(()) => calls += 1,
                    Err(wait) => now += wait,
                }
            }
            assert!(calls >= 80 * limit, "{calls} calls of {} were admitted", 100 * limit);
        }
    }

    #[test]
    fn a_window_that_refuses_takes_from_no_other() {
        let mut windows = Windows::new([("per_second", SECOND, 10), ("per_minute", 60 * SECOND, 1)]);
        let mut now = windows.wait(Duration::ZERO).expect("drained at the start");
        assert_eq!(windows.take(now), Ok(()));
        now += 10 * SECOND;
        for _ in 0..1000 {
            assert!(windows.take(now).is_err());
        }
        now += windows.wait(now).expect("the minute is used");
        assert_eq!(windows.take(now), Ok(()));
    }

    #[test]
    fn it_starts_drained_and_a_limit_of_nothing_admits_nothing() {
        assert!(Windows::new([("per_second", SECOND, 1000)]).wait(Duration::ZERO).is_some());
        assert_eq!(Windows::new([("per_second", SECOND, 0)]).wait(100 * SECOND), Some(SECOND));
        assert_eq!(Windows::new([]).wait(Duration::ZERO), None);
    }

    #[test]
    fn use_is_counted_for_people() {
        let mut windows = Windows::new([("per_10_seconds", 10 * SECOND, 100)]);
        let now = 21 * SECOND;
        for _ in 0..5 {
            windows.take(now).expect("a burst of ten");
        }
        let used = |at| windows.used(at).first().map(|w| (w.used, w.limit, w.resets_in));
        assert_eq!(used(now), Some((5, 100, 9 * SECOND)));
        assert_eq!(used(35 * SECOND), Some((2, 100, 5 * SECOND)));
        assert_eq!(used(45 * SECOND), Some((0, 100, 5 * SECOND)));
    }
}
