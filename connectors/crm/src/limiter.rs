//! The limits of one CRM credential: no request leaves without a [`Permit`] of its limiter.
//!
//! The parts are pure and take the time as an argument: [`windows`] (seconds to a minute), [`day`] (24 hours, kept on
//! disk), [`pause`] (after the vendor said "too many"), [`forecast`] (how long to linger). [`Limiter`] holds them behind
//! one lock and adds the permits of concurrent requests.
//!
//! Invariant: over any rolling window, whatever the demand, across restarts and crashes, no more calls are granted than
//! the limit. What it costs is at most a tenth of the limit of one second, less of longer ones.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use passerelle_change::{Micros, Usage};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub mod day;
pub mod forecast;
pub mod pause;
pub mod windows;

pub use day::{Day, DayRecord, Outlook, Reservation, Take};
pub use forecast::{Forecast, linger};
use pause::Pause;
use windows::Windows;

/// Requests at once where nothing is configured.
const CONCURRENT: u32 = 8;
/// More requests at once than this are not made, whatever is configured.
const MOST_CONCURRENT: u32 = 1024;

/// What may be used. What is not set does not limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Calls in any second.
    pub per_second: Option<u32>,
    /// Calls in any 10 seconds.
    pub per_10_seconds: Option<u32>,
    /// Calls in any minute.
    pub per_minute: Option<u32>,
    /// Calls in any 24 hours. Without it the vendor's own limit holds once it has told it.
    pub per_day: Option<u64>,
    /// Requests at once, 1 to 1024. Default 8.
    pub concurrent: Option<u32>,
    /// Share of the day that is left to others, 0.0 to 1.0.
    pub reserve: f64,
}

/// One reading of both clocks: the steady one for seconds and minutes, the wall's for the day, which outlives the process.
#[derive(Clone, Copy, Debug)]
pub struct Moment {
    /// By the steady clock.
    pub steady: Instant,
    /// By the wall clock.
    pub wall: Micros,
}

impl Moment {
    /// Reads the clocks.
    pub fn now() -> Self {
        let since_1970 = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        Self { steady: Instant::now(), wall: Micros(i64::try_from(since_1970.as_micros()).unwrap_or(i64::MAX)) }
    }
}

/// The right to one request, and its place among the concurrent ones until it is dropped.
#[derive(Debug)]
pub struct Permit {
    _slot: OwnedSemaphorePermit,
}

/// What became of a wish for one request.
#[derive(Debug)]
pub enum Acquire {
    /// Send it.
    Granted(Permit),
    /// As many requests as allowed are under way: await [`Limiter::slot_free`], or the end of one of them.
    Busy,
    /// A short window is full, or the vendor asked for a pause: not before this time has passed.
    Wait(Duration),
    /// Write the reservation's record, sync it, hand it to [`Limiter::reserved`], ask again.
    NeedsDayReservation(Reservation),
    /// The day is used up.
    Exhausted {
        /// When it is worth asking again.
        until: Micros,
    },
}

/// A window and its use, for status.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WindowFigure {
    /// `per_second`, `per_10_seconds`, `per_minute`, `per_day`, `concurrent`.
    pub name: &'static str,
    /// Calls used; for `concurrent`, under way.
    pub used: u64,
    /// Calls allowed.
    pub limit: u64,
    /// When the first of them stops counting.
    pub resets_at: Option<Micros>,
}

/// The limiter of one credential, shared by all who send under it.
#[derive(Debug)]
pub struct Limiter {
    started: Instant,
    core: Mutex<Core>,
    slots: Arc<Semaphore>,
    concurrent: u32,
}

#[derive(Debug)]
struct Core {
    windows: Windows,
    day: Day,
    pause: Pause,
}

impl Limiter {
    /// Starts with drained windows, and with the day as it was kept.
    pub fn new(limits: &Limits, day: DayRecord, now: Moment) -> Self {
        let second = Duration::from_secs(1);
        let windows = Windows::new(
            [
                ("per_second", second, limits.per_second),
                ("per_10_seconds", 10 * second, limits.per_10_seconds),
                ("per_minute", 60 * second, limits.per_minute),
            ]
            .into_iter()
            .filter_map(|(name, length, limit)| Some((name, length, limit?))),
        );
        let concurrent = limits.concurrent.unwrap_or(CONCURRENT).clamp(1, MOST_CONCURRENT);
        let day = Day::new(day, limits.per_day, limits.reserve);
        Self {
            started: now.steady,
            core: Mutex::new(Core { windows, day, pause: Pause::default() }),
            slots: Arc::new(Semaphore::new(concurrent as usize)),
            concurrent,
        }
    }

    /// Whether a request could go now, as far as that is known without taking anything: for one who decides at the last
    /// moment what to send. `None` when it could; a wait of nothing when as many requests as allowed are under way, the
    /// end of one of which is the time to look again.
    pub fn look(&self, now: Moment) -> Option<Duration> {
        let elapsed = self.elapsed(now);
        let core = self.core();
        let full = (self.slots.available_permits() == 0).then_some(Duration::ZERO);
        core.pause.wait(elapsed).max(core.windows.wait(elapsed)).or(full)
    }

    /// Takes one request from every limit, or from none.
    pub fn try_acquire(&self, now: Moment) -> Acquire {
        let elapsed = self.elapsed(now);
        let mut core = self.core();
        let wait = core.pause.wait(elapsed).max(core.windows.wait(elapsed));
        if let Some(wait) = wait {
            return Acquire::Wait(wait);
        }
        let Ok(slot) = Arc::clone(&self.slots).try_acquire_owned() else {
            return Acquire::Busy;
        };
        match core.day.take(now.wall) {
            Take::Taken => match core.windows.take(elapsed) {
                Ok(()) => Acquire::Granted(Permit { _slot: slot }),
                Err(wait) => Acquire::Wait(wait),
            },
            Take::NeedsReservation(_) => match core.day.plan(now.wall) {
                Some(reservation) => Acquire::NeedsDayReservation(reservation),
                None => Acquire::Busy,
            },
            Take::Exhausted { until } => Acquire::Exhausted { until },
        }
    }

    /// Waits until fewer requests than allowed are under way. Cancel-safe.
    pub async fn slot_free(&self) {
        // It is closed by nobody, so that the error cannot be.
        let _ = self.slots.acquire().await;
    }

    /// The reservation's record is on disk. False when another one overtook it: ask again.
    pub fn reserved(&self, reservation: &Reservation, now: Moment) -> bool {
        self.core().day.reserved(reservation, now.wall)
    }

    /// A request was answered in the ordinary way.
    pub fn served(&self, usage: Option<Usage>, now: Moment) {
        self.core().pause.served(self.elapsed(now));
        if let Some(usage) = usage {
            self.corrected(usage, now);
        }
    }

    /// The vendor told its own count. Call it while the permit of that request is still held.
    pub fn corrected(&self, usage: Usage, now: Moment) {
        let others = self.in_flight().saturating_sub(1);
        self.core().day.corrected(usage, others, now.wall);
    }

    /// The vendor refused a request for its limits; `daily` when it is the day that is used up.
    pub fn throttled(&self, retry_after: Option<Duration>, daily: bool, now: Moment) {
        let elapsed = self.elapsed(now);
        let chance = rand::random();
        let mut core = self.core();
        core.pause.throttled(retry_after, elapsed, chance);
        if daily {
            core.day.refused(now.wall);
        }
    }

    /// How long the vendor's "too many" still holds everything back.
    pub fn paused_for(&self, now: Moment) -> Option<Duration> {
        self.core().pause.wait(self.elapsed(now))
    }

    /// What the day still allows, for [`linger`]; `None` without a limit.
    pub fn outlook(&self, now: Moment) -> Option<Outlook> {
        self.core().day.outlook(now.wall)
    }

    /// What to keep of the day: at a stop, so that the unused part of a block is not lost.
    pub fn day_record(&self) -> DayRecord {
        self.core().day.record().clone()
    }

    /// The figures for status.
    pub fn figures(&self, now: Moment) -> Vec<WindowFigure> {
        let elapsed = self.elapsed(now);
        let core = self.core();
        let mut figures: Vec<_> = core
            .windows
            .used(elapsed)
            .into_iter()
            .map(|window| WindowFigure {
                name: window.name,
                used: window.used.into(),
                limit: window.limit.into(),
                resets_at: Some(Micros(now.wall.0 + i64::try_from(window.resets_in.as_micros()).unwrap_or(0))),
            })
            .collect();
        if let (used, Some(limit)) = core.day.used(now.wall) {
            figures.push(WindowFigure { name: "per_day", used, limit, resets_at: core.day.resets_at(now.wall) });
        }
        let limit = self.concurrent.into();
        figures.push(WindowFigure { name: "concurrent", used: self.in_flight(), limit, resets_at: None });
        figures
    }

    fn in_flight(&self) -> u64 {
        u64::from(self.concurrent).saturating_sub(self.slots.available_permits() as u64)
    }

    fn elapsed(&self, now: Moment) -> Duration {
        now.steady.saturating_duration_since(self.started)
    }

    fn core(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn limits(per_second: u32, per_day: u64, concurrent: u32) -> Limits {
        Limits {
            per_second: Some(per_second),
            per_day: Some(per_day),
            concurrent: Some(concurrent),
            ..Limits::default()
        }
    }

    fn later(now: Moment, wait: Duration) -> Moment {
        Moment { steady: now.steady + wait, wall: Micros(now.wall.0 + i64::try_from(wait.as_micros()).expect("short")) }
    }

    /// Asks as the daemon does until it is granted, moving the time on; `None` when the day is used up.
    fn acquire(limiter: &Limiter, now: &mut Moment) -> Option<Permit> {
        loop {
            match limiter.try_acquire(*now) {
                Acquire::Granted(permit) => return Some(permit),
                Acquire::Wait(wait) => *now = later(*now, wait),
                Acquire::NeedsDayReservation(reservation) => assert!(limiter.reserved(&reservation, *now)),
                Acquire::Exhausted { .. } => return None,
                Acquire::Busy => panic!("nobody else sends"),
            }
        }
    }

    #[test]
    fn requests_at_once_are_counted() {
        let mut now = Moment::now();
        let limiter = Limiter::new(&limits(10, 1000, 2), DayRecord::default(), now);
        let first = acquire(&limiter, &mut now).expect("free");
        let second = acquire(&limiter, &mut now).expect("free");
        now = later(now, Duration::from_secs(1));
        assert!(matches!(limiter.try_acquire(now), Acquire::Busy));
        assert_eq!(limiter.figures(now).last().map(|f| (f.name, f.used, f.limit)), Some(("concurrent", 2, 2)));
        drop(first);
        assert!(matches!(limiter.try_acquire(now), Acquire::Granted(_)));
        drop(second);
    }

    #[test]
    fn the_day_ends_and_outlives_the_process() {
        let mut now = Moment::now();
        let limiter = Limiter::new(&limits(100, 30, 8), DayRecord::default(), now);
        let mut calls = 0;
        while acquire(&limiter, &mut now).is_some() {
            calls += 1;
        }
        assert_eq!(calls, 30);
        let restarted = Limiter::new(&limits(100, 30, 8), limiter.day_record(), now);
        assert!(acquire(&restarted, &mut now).is_none());
        let day = restarted.figures(now).into_iter().find(|f| f.name == "per_day").expect("limited");
        assert_eq!((day.used, day.limit), (30, 30));
        assert!(day.resets_at.is_some_and(|at| at > now.wall));
    }

    #[test]
    fn a_throttled_credential_waits() {
        let mut now = Moment::now();
        let limiter = Limiter::new(&Limits::default(), DayRecord::default(), now);
        drop(acquire(&limiter, &mut now));
        limiter.throttled(Some(Duration::from_secs(7)), false, now);
        assert!(matches!(limiter.try_acquire(now), Acquire::Wait(wait) if wait >= Duration::from_secs(7)));
        assert!(limiter.paused_for(now).is_some());
        now = later(now, Duration::from_secs(61));
        assert!(limiter.paused_for(now).is_none());
        assert!(acquire(&limiter, &mut now).is_some());
        limiter.corrected(Usage { used: 15_000, limit: 15_000 }, now);
        assert!(matches!(limiter.try_acquire(now), Acquire::Exhausted { .. }));
    }

    #[tokio::test]
    async fn a_free_slot_is_awaited() {
        let mut now = Moment::now();
        let limiter =
            Arc::new(Limiter::new(&Limits { concurrent: Some(1), ..Limits::default() }, DayRecord::default(), now));
        let permit = acquire(&limiter, &mut now).expect("free");
        let waiting = tokio::spawn({
            let limiter = Arc::clone(&limiter);
            async move { limiter.slot_free().await }
        });
        drop(permit);
        waiting.await.expect("it is free now");
        assert!(matches!(limiter.try_acquire(now), Acquire::Granted(_)));
    }
}
