//! The pause after a "too many requests": the vendor's time where it tells one, else full jitter that grows.

use std::time::Duration;

/// The least pause that a throttled answer causes.
const FLOOR: Duration = Duration::from_millis(250);
/// What the first pause is drawn from.
const BASE: Duration = Duration::from_secs(1);
/// What no drawn pause exceeds.
const CEILING: Duration = Duration::from_mins(1);
/// What no pause exceeds, whatever a vendor says.
const LONGEST: Duration = Duration::from_hours(24);

/// When calls may go on. Time is passed in, as the time since the limiter was made.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pause {
    until: Duration,
    growth: u32,
}

impl Pause {
    /// The vendor refused a call for its rate. `chance` is drawn from 0.0 to 1.0. Several answers to calls that were
    /// under way together grow the pause once.
    pub fn throttled(&mut self, retry_after: Option<Duration>, now: Duration, chance: f64) {
        if self.wait(now).is_none() {
            self.growth = self.growth.saturating_add(1);
            let most = BASE.saturating_mul(2_u32.saturating_pow(self.growth)).min(CEILING);
            self.until = now + most.mul_f64(chance.clamp(0.0, 1.0)).max(FLOOR);
        }
        if let Some(told) = retry_after {
            self.until = self.until.max(now + told.min(LONGEST));
        }
    }

    /// A call was served. One that was under way when the pause began says nothing.
    pub fn served(&mut self, now: Duration) {
        if self.wait(now).is_none() {
            self.growth = 0;
        }
    }

    /// How long to wait still; `None` when there is no pause.
    pub fn wait(&self, now: Duration) -> Option<Duration> {
        self.until.checked_sub(now).filter(|wait| !wait.is_zero())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const S: Duration = Duration::from_secs(1);

    #[test]
    fn it_grows_while_throttled_and_starts_again_when_served() {
        let mut pause = Pause::default();
        let mut now = Duration::ZERO;
        let mut pauses = Vec::new();
        for _ in 0..8 {
            pause.throttled(None, now, 1.0);
            let wait = pause.wait(now).expect("paused");
            pauses.push(wait.as_secs());
            now += wait;
            assert_eq!(pause.wait(now), None);
        }
        assert_eq!(pauses, [2, 4, 8, 16, 32, 60, 60, 60]);
        pause.served(now);
        pause.throttled(None, now, 0.0);
        assert_eq!(pause.wait(now), Some(FLOOR));
    }

    #[test]
    fn answers_that_were_under_way_together_count_once() {
        let mut pause = Pause::default();
        pause.throttled(None, S, 1.0);
        pause.throttled(None, S, 1.0);
        pause.served(S);
        assert_eq!(pause.wait(S), Some(2 * S));
        pause.throttled(None, 3 * S, 1.0);
        assert_eq!(pause.wait(3 * S), Some(4 * S));
    }

    #[test]
    fn the_vendors_word_is_kept_within_a_day() {
        let mut pause = Pause::default();
        pause.throttled(Some(90 * S), S, 0.5);
        assert_eq!(pause.wait(S), Some(90 * S));
        pause.throttled(Some(5 * S), 2 * S, 0.5);
        assert_eq!(pause.wait(2 * S), Some(89 * S), "a shorter word does not shorten it");
        pause.throttled(Some(Duration::MAX), 2 * S, 0.5);
        assert_eq!(pause.wait(2 * S), Some(LONGEST));
    }
}
