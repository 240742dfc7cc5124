//! The day: calls in any 24 hours, counted by the hour, reserved on disk before they are used.
//!
//! A call of an hour counts until 25 hours after that hour began, which is never too early. Calls are taken from a block
//! that was [planned](Day::plan), written and synced by the caller, then [`Day::reserved`]; what a crash leaves unused of
//! a block stays counted. A block ends with its hour: what is unused of it is given back, so that no call is counted in an earlier
//! hour than its own.
//!
//! The vendor counts too, and counts what others use: the greater of both counts is believed. The vendor's count is a
//! reading; our calls after it are added to it. When the reading says that nothing is left, one call each
//! [`ASK_AGAIN`] asks whether that still holds, as long as our own count allows.

use std::collections::VecDeque;
use std::time::Duration;

use passerelle_change::{Micros, Usage};
use serde::{Deserialize, Serialize};

/// The largest block that is reserved at once. At ten calls a second one sync in five seconds; a crash costs at most this.
const BLOCK: u64 = 50;
/// A block is at most this part of what is left, so that a crash near the end of the budget costs little.
const BLOCK_SHARE: u64 = 20;
/// How long a reading that says "nothing left" is believed before one call asks again.
pub const ASK_AGAIN: Duration = Duration::from_mins(15);
/// How long a higher reading outlives a slightly lower one: answers to calls made side by side overtake each other.
const OVERTAKEN: Duration = Duration::from_mins(1);
/// How much lower such an answer may be.
const OVERTAKEN_BY: u64 = 64;
/// A reading without a newer one says nothing any more.
const READING_ENDS: Duration = Duration::from_hours(25);

/// The limit of a day that was refused as used up before any limit was known: closed, and asked again.
const UNKNOWN: u64 = u64::MAX;

const HOUR_MICROS: i64 = 3_600_000_000;
const HOURS: i64 = 25;

/// What is kept of the day on disk.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayRecord {
    /// Calls used or reserved, by the hour since 1970, ascending.
    hours: VecDeque<(i64, u64)>,
    reading: Option<Reading>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Reading {
    used: u64,
    limit: u64,
    /// Our calls after the reading, and those that were under way when it was taken.
    since: u64,
    at: Micros,
}

/// What became of a wish for one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Take {
    /// The call is counted.
    Taken,
    /// This many have to be reserved first: [`Day::plan`].
    NeedsReservation(u64),
    /// Nothing is left before this time.
    Exhausted {
        /// When it is worth asking again.
        until: Micros,
    },
}

/// A block that is to be reserved: write [`Reservation::record`] and sync it, then hand this to [`Day::reserved`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reservation {
    record: DayRecord,
    hour: i64,
    tokens: u64,
    plan: u64,
}

impl Reservation {
    /// What to write.
    pub fn record(&self) -> &DayRecord {
        &self.record
    }

    /// How many calls it reserves.
    pub fn tokens(&self) -> u64 {
        self.tokens
    }
}

/// The tightest stretch ahead, for [`super::forecast`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlook {
    /// Calls that may be made within it.
    pub calls_left: u64,
    /// Its length.
    pub within: Duration,
}

/// The day's count. Time is passed in, by the wall clock; a clock that is set back within
/// a day stands still here until it has caught up; one that leaps forward lets calls stop counting too early.
#[derive(Clone, Debug)]
pub struct Day {
    record: DayRecord,
    limit: Option<u64>,
    reserve: f64,
    /// Calls of the newest hour's count that are reserved and not used.
    spare: u64,
    plan: u64,
}

impl Day {
    /// Goes on from what was kept. `limit` is the configured one; `reserve` is the share of it, 0.0 to 1.0, that is left to
    /// others. Without a configured limit the vendor's own holds once it has told it.
    pub fn new(record: DayRecord, limit: Option<u64>, reserve: f64) -> Self {
        Self { record, limit, reserve, spare: 0, plan: 0 }
    }

    /// Takes one call, if the day allows and a reserved one is there.
    pub fn take(&mut self, now: Micros) -> Take {
        let hour = self.roll(now);
        let Some(cap) = self.cap() else {
            self.count(hour, 1);
            self.count_after_reading(false, now);
            return Take::Taken;
        };
        let asks = match self.closed_until(cap, now) {
            Ok(asks) => asks,
            Err(until) => return Take::Exhausted { until },
        };
        if self.spare == 0 {
            return Take::NeedsReservation(self.block(cap, asks));
        }
        self.spare -= 1;
        self.count_after_reading(asks, now);
        Take::Taken
    }

    /// Plans the block that [`Day::take`] asked for; `None` when there is nothing to reserve.
    pub fn plan(&mut self, now: Micros) -> Option<Reservation> {
        let Take::NeedsReservation(tokens) = self.clone().take(now) else { return None };
        let hour = self.roll(now);
        let mut after = self.clone();
        after.count(hour, tokens);
        Some(Reservation { record: after.record, hour, tokens, plan: self.plan })
    }

    /// The block is on disk: its calls may be used. False, and nothing done, when another block was reserved since it was
    /// planned or its hour has passed; then plan again.
    pub fn reserved(&mut self, reservation: &Reservation, now: Micros) -> bool {
        let hour = self.roll(now);
        if reservation.plan != self.plan || reservation.hour != hour {
            return false;
        }
        self.plan += 1;
        self.count(hour, reservation.tokens);
        self.spare += reservation.tokens;
        true
    }

    /// The vendor told its own count in an answer; `in_flight` calls are under way that it may not know yet.
    pub fn corrected(&mut self, usage: Usage, in_flight: u64, now: Micros) {
        self.roll(now);
        if let Some(known) = self.record.reading.as_mut().filter(|known| known.limit == usage.limit) {
            let (before, told) = (known.used.saturating_add(known.since), usage.used.saturating_add(in_flight));
            let overtaken = told < before && before - told <= OVERTAKEN_BY;
            if overtaken && between(known.at, now) < OVERTAKEN {
                return;
            }
        }
        self.record.reading = Some(Reading { used: usage.used, limit: usage.limit, since: in_flight, at: now });
    }

    /// The vendor refused a call because the day is used up, whatever the counts say.
    pub fn refused(&mut self, now: Micros) {
        self.roll(now);
        let limit = self.record.reading.map(|reading| reading.limit).or(self.limit).unwrap_or(UNKNOWN);
        self.record.reading = Some(Reading { used: limit, limit, since: 0, at: now });
    }

    /// Calls used, by the greater of both counts, and how many there are for us; the latter only where a limit is known.
    pub fn used(&self, now: Micros) -> (u64, Option<u64>) {
        let mut day = self.clone();
        day.roll(now);
        let own = day.own().saturating_sub(day.spare);
        match day.record.reading {
            Some(reading) if reading.limit == UNKNOWN => (own, day.limit),
            Some(_) | None => (own.max(day.read()), day.cap()),
        }
    }

    /// When the first of the counted calls stops counting; `None` when none is counted.
    pub fn resets_at(&self, now: Micros) -> Option<Micros> {
        let mut day = self.clone();
        day.roll(now);
        day.record.hours.front().map(|&(hour, _)| ends(hour))
    }

    /// The stretch ahead in which the fewest calls a second may be made; `None` without a limit.
    pub fn outlook(&self, now: Micros) -> Option<Outlook> {
        let mut day = self.clone();
        day.roll(now);
        let cap = day.cap()?;
        let used = day.own().saturating_sub(day.spare).max(day.read());
        let mut left = cap.saturating_sub(used);
        let mut tightest = Outlook { calls_left: left, within: Duration::from_hours(24) };
        let mut least = f64::INFINITY;
        for &(hour, calls) in &day.record.hours {
            let within = between(now, ends(hour)).max(Duration::from_secs(1));
            let rate = left as f64 / within.as_secs_f64();
            if rate < least {
                least = rate;
                tightest = Outlook { calls_left: left, within };
            }
            left = left.saturating_add(calls).min(cap);
        }
        Some(tightest)
    }

    /// What to keep of it.
    pub fn record(&self) -> &DayRecord {
        &self.record
    }

    /// How many calls the rolling day holds for us; the vendor's limit and ours, less the reserve.
    fn cap(&self) -> Option<u64> {
        let told = self.record.reading.map(|reading| reading.limit);
        let limit = match (self.limit, told) {
            (Some(own), Some(told)) => own.min(told),
            (own, told) => own.or(told)?,
        };
        #[allow(clippy::cast_sign_loss)] // a share of a number that is not negative
        let reserved = (limit as f64 * self.reserve.clamp(0.0, 1.0)).ceil() as u64;
        Some(limit.saturating_sub(reserved))
    }

    /// Whether a call may be made: `Ok(true)` when it would only ask whether the vendor's count still holds.
    fn closed_until(&self, cap: u64, now: Micros) -> Result<bool, Micros> {
        let own = self.own().saturating_sub(self.spare);
        if own >= cap {
            return Err(self.falls_below(cap, now));
        }
        match self.record.reading {
            Some(reading) if self.read() >= cap => {
                let ask_at = after(reading.at, ASK_AGAIN);
                if now < ask_at { Err(ask_at) } else { Ok(true) }
            }
            Some(_) | None => Ok(false),
        }
    }

    /// When our own count falls below `cap`.
    fn falls_below(&self, cap: u64, now: Micros) -> Micros {
        let mut own = self.own().saturating_sub(self.spare);
        for &(hour, calls) in &self.record.hours {
            own = own.saturating_sub(calls);
            if own < cap {
                return ends(hour);
            }
        }
        after(now, Duration::from_hours(24))
    }

    /// How many calls to reserve: at least one, which [`Day::closed_until`] has allowed.
    fn block(&self, cap: u64, asks: bool) -> u64 {
        let left = cap.saturating_sub(self.own().max(self.read()));
        if asks { 1 } else { (left / BLOCK_SHARE).clamp(1, BLOCK) }
    }

    /// Everything we have used or reserved.
    fn own(&self) -> u64 {
        self.record.hours.iter().fold(0, |sum, &(_, calls)| sum.saturating_add(calls))
    }

    /// The vendor's count and our calls after it.
    fn read(&self) -> u64 {
        self.record.reading.map_or(0, |reading| reading.used.saturating_add(reading.since))
    }

    fn count(&mut self, hour: i64, calls: u64) {
        match self.record.hours.back_mut() {
            Some((newest, count)) if *newest == hour => *count = count.saturating_add(calls),
            Some(_) | None => self.record.hours.push_back((hour, calls)),
        }
    }

    fn count_after_reading(&mut self, asks: bool, now: Micros) {
        if let Some(reading) = &mut self.record.reading {
            reading.since = reading.since.saturating_add(1);
            if asks {
                reading.at = now;
            }
        }
    }

    /// The clock was set back. By less than a day, the count stands still until it has caught up; by more, it had been
    /// wrong, and everything counts as used now.
    fn forget_the_future(&mut self, now: Micros, now_hour: i64) {
        if self.record.hours.back().is_some_and(|&(newest, _)| newest >= now_hour.saturating_add(HOURS)) {
            let calls = self.own();
            self.record.hours = VecDeque::from([(now_hour, calls)]);
        }
        if let Some(reading) = &mut self.record.reading {
            reading.at = reading.at.min(now);
        }
    }

    /// Forgets what stops counting and gives an older hour's spare back; returns the hour that counts now.
    fn roll(&mut self, now: Micros) -> i64 {
        let now_hour = now.0.div_euclid(HOUR_MICROS);
        self.forget_the_future(now, now_hour);
        let newest = self.record.hours.back().map(|&(hour, _)| hour);
        let hour = now_hour.max(newest.unwrap_or(i64::MIN));
        if newest.is_some_and(|newest| newest < hour) {
            if let Some((_, calls)) = self.record.hours.back_mut() {
                *calls = calls.saturating_sub(self.spare);
            }
            self.spare = 0;
        }
        while self.record.hours.front().is_some_and(|&(oldest, _)| oldest.saturating_add(HOURS) <= hour) {
            self.record.hours.pop_front();
        }
        if self.record.reading.is_some_and(|reading| between(reading.at, now) >= READING_ENDS) {
            self.record.reading = None;
        }
        hour
    }
}

/// When the calls of an hour stop counting.
fn ends(hour: i64) -> Micros {
    Micros(hour.saturating_add(HOURS).saturating_mul(HOUR_MICROS))
}

fn after(at: Micros, wait: Duration) -> Micros {
    Micros(at.0.saturating_add(i64::try_from(wait.as_micros()).unwrap_or(i64::MAX)))
}

fn between(from: Micros, to: Micros) -> Duration {
    Duration::from_micros(u64::try_from(to.0.saturating_sub(from.0)).unwrap_or(0))
}

#[cfg(test)]
mod tests;
