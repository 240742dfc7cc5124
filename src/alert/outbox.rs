//! What a channel has yet to tell, and when it tries next: pure.
//!
//! Messages go one at a time. Those about one alert go in their order to one receiver; one that the receiver refuses for what it is lets
//! the others pass. Where the receiver is not there at all, everything waits.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::Timestamp;

use super::model::{Event, Message};

/// Messages that wait for a channel at most. The oldest are given up for newer ones.
pub(super) const MOST_WAITING: usize = 1_000;
/// A message that is refused for so long is given up.
const GIVEN_UP_AFTER: Duration = Duration::from_hours(24);
/// A channel that has failed for so long fails for long.
const LONG: Duration = Duration::from_mins(5);
/// The first wait after a failure, which doubles.
const FIRST_WAIT: Duration = Duration::from_secs(1);
/// And the longest.
const LONGEST_WAIT: Duration = Duration::from_mins(5);

/// Why a message was not taken.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum Unsent {
    /// The receiver is not there, or takes nothing: later, as any other message.
    #[error("{0}")]
    Later(String),
    /// The receiver refuses this message; others it may take.
    #[error("refused: {0}")]
    Refused(String),
}

/// What a channel has yet to tell.
#[derive(Debug, Default)]
pub(super) struct Outbox {
    waiting: BTreeMap<u64, Waiting>,
    /// Before this time by the steady clock nothing is tried.
    not_before: Duration,
    /// Failures in a row.
    failures: u32,
    /// It was said that it fails for long.
    is_said: bool,
    /// Since when every try fails.
    pub failing_since: Option<Timestamp>,
    /// Why the last one did.
    pub last_error: Option<String>,
    /// Messages that the receiver took.
    pub told_total: u64,
    /// Messages that were given up.
    pub lost_total: u64,
}

#[derive(Debug)]
struct Waiting {
    message: Message,
    tries: u32,
    not_before: Duration,
}

/// What a failure means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Failure {
    /// The message is given up.
    pub is_given_up: bool,
    /// How the channel stands.
    pub standing: Standing,
}

/// How a channel stands that has failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It worked before.
    First,
    /// It failed before.
    Again,
    /// It has failed for [`LONG`]; said once, until it works again.
    Long,
}

/// What to do next.
#[derive(Debug, PartialEq)]
pub(super) enum Next {
    /// Send this one.
    Send(u64, Box<Message>),
    /// Wait until this time by the steady clock.
    Wait(Duration),
    /// Nothing waits.
    Idle,
}

impl Outbox {
    /// Adds a message. Gives the numbers of those that are given up for it.
    pub(super) fn add(&mut self, number: u64, message: Message) -> Vec<u64> {
        self.waiting.insert(number, Waiting { message, tries: 0, not_before: Duration::ZERO });
        let mut given_up = Vec::new();
        while self.waiting.len() > MOST_WAITING
            && let Some((number, _)) = self.waiting.pop_first()
        {
            given_up.push(number);
        }
        self.lost_total += given_up.len() as u64;
        given_up
    }

    /// Everything may be tried at once: the channel is another now.
    pub(super) fn begin_anew(&mut self) {
        (self.not_before, self.failures) = (Duration::ZERO, 0);
        for waiting in self.waiting.values_mut() {
            (waiting.not_before, waiting.tries) = (Duration::ZERO, 0);
        }
    }

    /// How many wait.
    pub(super) fn len(&self) -> usize {
        self.waiting.len()
    }

    /// The numbers of those that wait.
    pub(super) fn numbers(&self) -> Vec<u64> {
        self.waiting.keys().copied().collect()
    }

    /// Whether the channel still has to say that an alert began.
    pub(super) fn is_untold(&self, alert: &str) -> bool {
        let mut messages = self.waiting.values().map(|waiting| &waiting.message);
        messages.any(|message| message.event == Event::Began && message.copy_to.is_none() && message.alert.id == alert)
    }

    /// What to do at `now`, by the steady clock.
    pub(super) fn next(&self, now: Duration) -> Next {
        if self.waiting.is_empty() {
            return Next::Idle;
        }
        if self.not_before > now {
            return Next::Wait(self.not_before);
        }
        let mut blocked: Vec<(&str, Option<&str>)> = Vec::new();
        let mut soonest = None;
        for (number, waiting) in &self.waiting {
            let thread = (waiting.message.alert.id.as_str(), waiting.message.copy_to.as_deref());
            if blocked.contains(&thread) {
                continue;
            }
            if waiting.not_before <= now {
                return Next::Send(*number, Box::new(waiting.message.clone()));
            }
            soonest = Some(soonest.map_or(waiting.not_before, |soonest: Duration| soonest.min(waiting.not_before)));
            blocked.push(thread);
        }
        soonest.map_or(Next::Idle, Next::Wait)
    }

    /// The receiver has it. Whether the channel had failed before.
    pub(super) fn told(&mut self, number: u64) -> bool {
        self.waiting.remove(&number);
        self.told_total += 1;
        self.failures = 0;
        self.is_said = false;
        self.not_before = Duration::ZERO;
        self.last_error = None;
        self.failing_since.take().is_some()
    }

    /// The receiver has it not. `now` is by the steady clock, `jitter` from 0.0 to 1.0.
    pub(super) fn failed(&mut self, number: u64, why: &Unsent, now: Duration, at: Timestamp, jitter: f64) -> Failure {
        let standing = match self.failing_since {
            None => Standing::First,
            Some(since) if !self.is_said && age(since, at) >= LONG => Standing::Long,
            Some(_) => Standing::Again,
        };
        self.is_said |= standing == Standing::Long;
        self.failing_since.get_or_insert(at);
        self.last_error = Some(why.to_string());
        let is_given_up = match why {
            Unsent::Later(_) => {
                self.not_before = now + wait(self.failures, jitter);
                self.failures = self.failures.saturating_add(1);
                false
            }
            Unsent::Refused(_) => self.waiting.get_mut(&number).is_some_and(|waiting| {
                waiting.not_before = now + wait(waiting.tries, jitter);
                waiting.tries = waiting.tries.saturating_add(1);
                age(waiting.message.at, at) >= GIVEN_UP_AFTER
            }),
        };
        if is_given_up {
            self.waiting.remove(&number);
            self.lost_total += 1;
        }
        Failure { is_given_up, standing }
    }
}

fn age(since: Timestamp, at: Timestamp) -> Duration {
    Duration::try_from(at.duration_since(since)).unwrap_or_default()
}

/// Doubles, and is between the half and the whole of that by chance.
fn wait(failures: u32, jitter: f64) -> Duration {
    let bound = FIRST_WAIT.saturating_mul(1 << failures.min(10)).min(LONGEST_WAIT);
    bound.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0)
}

#[cfg(test)]
mod tests;
