//! How fast a figure grows, and when it will have reached another: what the forecasts of the status are made of.

use std::time::{Duration, Instant};

/// A rate is a mean over at least this long, and no longer than the double.
const WINDOW: Duration = Duration::from_secs(60);

/// A figure that is looked at again and again.
#[derive(Clone, Copy, Debug, Default)]
pub struct Growth {
    /// Where the window began, and the one before it.
    marks: [Option<(Instant, f64)>; 2],
    last: Option<(Instant, f64)>,
}

impl Growth {
    /// The figure is `value` at `at`. Looks come in the order of their times.
    pub fn note(&mut self, at: Instant, value: f64) {
        match self.marks[0] {
            None => self.marks = [Some((at, value)); 2],
            Some((since, _)) if at.saturating_duration_since(since) >= WINDOW => {
                self.marks = [Some((at, value)), self.marks[0]];
            }
            Some(_) => {}
        }
        self.last = Some((at, value));
    }

    /// How much it grows a second; negative where it shrinks, `None` before it was seen for a second.
    pub fn per_second(&self) -> Option<f64> {
        let ((began, from), (at, value)) = (self.marks[1]?, self.last?);
        let seconds = at.saturating_duration_since(began).as_secs_f64();
        (seconds >= 1.0).then(|| (value - from) / seconds)
    }

    /// When it will have grown by `amount`; `None` where it does not grow, or not within a year.
    pub fn until(&self, amount: f64) -> Option<Duration> {
        const YEAR: f64 = 365.0 * 86_400.0;
        let rate = self.per_second().filter(|rate| *rate > 0.0)?;
        let seconds = amount.max(0.0) / rate;
        (seconds < YEAR).then(|| Duration::from_secs_f64(seconds))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(values: impl IntoIterator<Item = (u64, f64)>) -> Growth {
        let start = Instant::now();
        let mut growth = Growth::default();
        for (second, value) in values {
            growth.note(start + Duration::from_secs(second), value);
        }
        growth
    }

    #[test]
    fn a_steady_figure_is_told_from_the_second_look() {
        assert_eq!(seen([(0, 100.0)]).per_second(), None);
        assert_eq!(seen([(0, 100.0), (2, 120.0)]).per_second(), Some(10.0));
        assert_eq!(seen([(0, 100.0), (2, 120.0)]).until(50.0), Some(Duration::from_secs(5)));
        assert_eq!(seen([(0, 100.0), (2, 120.0)]).until(-1.0), Some(Duration::ZERO));
    }

    #[test]
    fn what_stands_or_shrinks_never_gets_there() {
        assert_eq!(seen([(0, 5.0), (60, 5.0)]).until(1.0), None);
        assert_eq!(seen([(0, 5.0), (60, 1.0)]).until(1.0), None);
        assert_eq!(seen([(0, 0.0), (60, 1.0)]).until(1e12), None, "in thousands of years");
    }

    #[test]
    fn what_was_long_ago_is_forgotten() {
        let burst = (0..=10).map(|second| (second, second as f64 * 1_000.0));
        let calm = (11..=200).map(|second| (second, 10_000.0 + second as f64));
        let rate = seen(burst.chain(calm)).per_second();
        assert!(rate.is_some_and(|rate| (rate - 1.0).abs() < 0.01), "{rate:?}");
    }
}
