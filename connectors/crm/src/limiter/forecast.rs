//! Linger: how long a batch waits for company, planned from what the day still allows (STATE.md, rule 9).

use std::time::Duration;

/// What is known when a batch could be sent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Forecast {
    /// Calls that may still be made.
    pub calls_left: u64,
    /// The time they have to last for.
    pub within: Duration,
    /// Records that became pending a second, lately.
    pub records_per_second: f64,
    /// Calls a record cost while nothing lingered, above 0.0 up to 1.0. (What it costs while batches linger would make the
    /// linger swing between its ends.) 1.0 where it is not known.
    pub calls_per_record: f64,
    /// Kinds of batches that fill side by side: (object, form) pairs with something to send.
    pub lanes: u32,
    /// The mapping's `freshness`: the most it may linger.
    pub freshness: Duration,
}

/// The linger: 0 while the forecast of the day fits the budget, else as long as makes the calls last, at most the freshness.
/// Whole milliseconds, rounded up: a linger cut short would spend more calls than there are.
pub fn linger(forecast: &Forecast) -> Duration {
    let seconds = forecast.within.as_secs_f64();
    let needed = forecast.records_per_second.max(0.0) * forecast.calls_per_record.clamp(0.0, 1.0) * seconds;
    if needed <= forecast.calls_left as f64 {
        return Duration::ZERO;
    }
    if forecast.calls_left == 0 {
        return forecast.freshness;
    }
    let wanted_ms = (f64::from(forecast.lanes.max(1)) * seconds * 1_000.0 / forecast.calls_left as f64).ceil();
    Duration::try_from_secs_f64(wanted_ms / 1_000.0).unwrap_or(Duration::MAX).min(forecast.freshness)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: Duration = Duration::from_hours(24);

    fn check(calls_left: u64, records_per_second: f64, lanes: u32, expect_ms: u128) {
        let freshness = Duration::from_mins(1);
        let got =
            linger(&Forecast { calls_left, within: DAY, records_per_second, calls_per_record: 1.0, lanes, freshness });
        assert_eq!(
            got.as_millis(),
            expect_ms,
            "{calls_left} calls left, {records_per_second} records a second, {lanes} lanes"
        );
    }

    #[test]
    fn it_rises_when_the_day_does_not_suffice() {
        check(86_400, 0.0, 1, 0);
        check(86_400, 1.0, 1, 0);
        check(86_400, 1.1, 1, 1_000);
        check(86_400, 500.0, 1, 1_000);
        check(86_400, 500.0, 3, 3_000);
        check(8_640, 1.0, 1, 10_000);
        check(100, 1.0, 1, 60_000);
        check(0, 0.0, 1, 0);
        check(0, 0.1, 1, 60_000);
        check(3_277_642_970_217_228_545, f64::MAX, 11_266_346, 1);
    }

    proptest! {
        #[test]
        fn it_stays_within_the_freshness_and_makes_the_calls_last(
            calls_left: u64, within_s in 0_u64..200_000, rate in any::<f64>(), cost in any::<f64>(), lanes: u32, fresh_s in 0_u64..100_000,
        ) {
            let forecast = Forecast {
                calls_left, within: Duration::from_secs(within_s), records_per_second: rate, calls_per_record: cost, lanes,
                freshness: Duration::from_secs(fresh_s),
            };
            let linger = linger(&forecast);
            prop_assert!(linger <= forecast.freshness);
            if !linger.is_zero() && linger < forecast.freshness {
                let calls = f64::from(lanes.max(1)) * forecast.within.as_secs_f64() / linger.as_secs_f64();
                prop_assert!(calls <= calls_left as f64 * (1.0 + 1e-6));
            }
        }
    }
}
