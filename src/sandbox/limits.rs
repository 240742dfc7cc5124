//! Counts calls over rolling windows, tells which one is too many, and remembers the most that any window held. Time is
//! passed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use super::problem::Refusal;

/// What the sandbox allows. What is not set does not limit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SandboxLimits {
    /// Calls in any second.
    pub per_second: Option<u32>,
    /// Calls in any 10 seconds.
    pub per_10_seconds: Option<u32>,
    /// Calls in all, as if the sandbox ran for a day.
    pub per_day: Option<u64>,
    /// Calls at once.
    pub concurrent: Option<u32>,
}

/// The day's allowance that is told where none is set: a Developer Edition has 15,000, an Enterprise one 100,000.
pub(super) const TOLD_PER_DAY: u64 = 100_000;

/// Most arrivals that a window remembers; beyond, its count is too low, and never its memory too large.
const MAX_REMEMBERED: usize = 1_000_000;

/// Calls within a span that ends now.
#[derive(Debug)]
struct Window {
    span: Duration,
    times: VecDeque<Instant>,
    most: usize,
}

impl Window {
    fn new(seconds: u64) -> Self {
        Self { span: Duration::from_secs(seconds), times: VecDeque::new(), most: 0 }
    }

    fn count(&mut self, now: Instant) -> usize {
        while self.times.front().is_some_and(|&oldest| now.duration_since(oldest) >= self.span) {
            self.times.pop_front();
        }
        self.times.len()
    }

    fn add(&mut self, now: Instant) {
        if self.count(now) < MAX_REMEMBERED {
            self.times.push_back(now);
        }
        self.most = self.most.max(self.times.len());
    }
}

/// The counts of all calls to the API.
#[derive(Debug)]
pub(super) struct Meter {
    limits: SandboxLimits,
    /// Every call that arrived, whatever became of it.
    arrived: [Window; 2],
    /// Calls that no limit refused.
    admitted: [Window; 2],
    pub(super) calls: u64,
    /// Calls that count for the day.
    pub(super) used: u64,
    pub(super) over_limit: u64,
    pub(super) in_flight: u32,
    pub(super) most_in_flight: u32,
}

impl Meter {
    pub(super) fn new(limits: SandboxLimits) -> Self {
        let windows = || [Window::new(1), Window::new(10)];
        let (arrived, admitted) = (windows(), windows());
        Self { limits, arrived, admitted, calls: 0, used: 0, over_limit: 0, in_flight: 0, most_in_flight: 0 }
    }

    /// A call arrived. Pair it with [`left`](Self::left).
    pub(super) fn arrive(&mut self, now: Instant) {
        self.calls += 1;
        self.in_flight += 1;
        self.most_in_flight = self.most_in_flight.max(self.in_flight);
        for window in &mut self.arrived {
            window.add(now);
        }
    }

    /// The call is over, answered or not.
    pub(super) fn left(&mut self) {
        self.in_flight = self.in_flight.saturating_sub(1);
    }

    /// Whether the call that arrived is within the limits; if so, it counts.
    pub(super) fn admit(&mut self, now: Instant) -> Result<(), Refusal> {
        let limits = self.limits;
        let reached = |limit: Option<u32>, count: usize| limit.is_some_and(|limit| count >= limit as usize);
        let [second, ten] = &mut self.admitted;
        let text = if limits.per_day.is_some_and(|limit| self.used >= limit) {
            "TotalRequests Limit exceeded."
        } else if limits.concurrent.is_some_and(|limit| self.in_flight > limit) {
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded."
        } else if reached(limits.per_second, second.count(now)) || reached(limits.per_10_seconds, ten.count(now)) {
            "Request rate limit exceeded."
        } else {
            self.used += 1;
            second.add(now);
            ten.add(now);
            return Ok(());
        };
        self.over_limit += 1;
        Err(Refusal::new(403, "REQUEST_LIMIT_EXCEEDED", text))
    }

    /// The most calls in any second, and in any 10 seconds.
    pub(super) fn most(&self) -> (usize, usize) {
        (self.arrived[0].most, self.arrived[1].most)
    }

    /// Calls in the last second.
    pub(super) fn rate(&mut self, now: Instant) -> usize {
        self.arrived[0].count(now)
    }

    /// The day's allowance.
    pub(super) fn per_day(&self) -> u64 {
        self.limits.per_day.unwrap_or(TOLD_PER_DAY)
    }

    pub(super) fn limits(&self) -> SandboxLimits {
        self.limits
    }

    /// Changes the limits from now on.
    pub(super) fn set_limits(&mut self, limits: SandboxLimits) {
        self.limits = limits;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_window_ends_with_the_call_and_rolls() {
        let start = Instant::now();
        let at = |ms: u64| start + Duration::from_millis(ms);
        let mut meter = Meter::new(SandboxLimits { per_second: Some(2), ..SandboxLimits::default() });
        let allowed: Vec<bool> = [0, 600, 999, 1000, 1100, 1599, 1600, 2000]
            .map(|ms| {
                meter.arrive(at(ms));
                let admitted = meter.admit(at(ms)).is_ok();
                meter.left();
                admitted
            })
            .into();
        assert_eq!(allowed, [true, true, false, true, false, false, true, true]);
        assert_eq!((meter.calls, meter.used, meter.over_limit), (8, 5, 3));
        assert_eq!(meter.most(), (5, 8), "600, 999, 1000, 1100 and 1599 are within a second");
    }

    #[test]
    fn the_day_and_the_calls_at_once_are_limited() {
        let now = Instant::now();
        let limits = SandboxLimits { per_day: Some(1), concurrent: Some(1), ..SandboxLimits::default() };
        let mut meter = Meter::new(limits);
        meter.arrive(now);
        meter.arrive(now);
        assert!(meter.admit(now).unwrap_err().problem.message.starts_with("ConcurrentRequests"));
        meter.left();
        assert!(meter.admit(now).is_ok());
        assert!(meter.admit(now).unwrap_err().problem.message.starts_with("TotalRequests"));
        assert_eq!(meter.most_in_flight, 2);
    }
}
