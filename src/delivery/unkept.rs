//! Records of the CRM that no mapping keeps, found by a field: `Owner = { crm = "User", by = "Email", … }`.
//!
//! A value that a row names is a parent to it like any other: the row waits for the CRM's answer, which wakes it, and holds
//! up no other row. An object and a field are a line. The values of a line that nobody has asked for are asked together, one
//! call at a time, so that those which come meanwhile ride in the next. What the CRM told is kept in the state, and asked
//! again: what was found after a day, what was not after some minutes, then ever more seldom; such calls take no more than a
//! twentieth of what is left of the day. Where another record is found, the rows that name the value are looked at again.
//! A value that no row names any more is forgotten when it is due.

use std::sync::Arc;
use std::time::{Duration, Instant};

use passerelle_change::key::{KeyPart, parts};
use passerelle_change::{Refusal, RequestError};
use passerelle_crm::salesforce::Match;
use passerelle_crm::{Moment, Permit};
use passerelle_state::unkept::key_of;
use passerelle_state::{DeliveryBatch, Durability, Found, MappingId, StateError, Unkept};

use super::engine::{Engine, LONGEST_WAIT};
use super::requests::Told;
use super::settle::Notes;
use super::{Client, now_micros};

/// Values of one call; the client says how many of them fit by their length.
const MOST_VALUES: usize = 200;
/// What was found is asked for again after so long.
const FOUND_FOR: Duration = Duration::from_hours(24);
/// What was not found is asked for again after so long; each time the same is told, it is twice as long, up to a day.
const LACKING_FOR: Duration = Duration::from_mins(5);
/// No call to refresh what is known follows another one sooner.
const SOONEST: Duration = Duration::from_secs(5);
/// The loop is not woken again sooner for a value that is due.
const SHORTEST: Duration = Duration::from_millis(2);
/// Of what is left of the day, one part in so many may go to such calls.
const SHARE: u64 = 20;
/// After a fault that a person has to mend, the CRM is asked this often.
const OPERATOR_WAIT: Duration = Duration::from_secs(30);
/// Codes that say of an object or a field that it can't be asked for, whatever the values.
const OF_ALL: [&str; 6] = [
    "INVALID_FIELD",
    "INVALID_TYPE",
    "INSUFFICIENT_ACCESS",
    "INSUFFICIENT_ACCESS_OR_READONLY",
    "FUNCTIONALITY_NOT_ENABLED",
    "NAME",
];

/// An object and a field of it by which its records are found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LineSetup {
    /// Its number.
    pub id: MappingId,
    /// The object.
    pub object: Arc<str>,
    /// The field.
    pub by: Arc<str>,
}

/// A line at work.
#[derive(Debug)]
pub(super) struct Line {
    setup: LineSetup,
    is_asking: bool,
    /// Values of its next call: fewer after one that was refused, to find the value.
    most: usize,
    failures: u32,
    not_before: Option<Instant>,
    /// When what is known may be asked for again.
    refresh_at: Instant,
}

/// Values to ask the CRM for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Ask {
    line: usize,
    pub object: Arc<str>,
    pub by: Arc<str>,
    pub values: Vec<String>,
}

impl Line {
    pub(super) fn new(setup: LineSetup) -> Self {
        let (is_asking, failures, not_before) = (false, 0, None);
        Self { setup, is_asking, most: MOST_VALUES, failures, not_before, refresh_at: Instant::now() }
    }

    /// When it is to be looked at, given when its next value is due.
    fn wakes(&self, due: u64, now: Instant) -> Option<Instant> {
        let at = now + Duration::from_micros(due.saturating_sub(now_micros())).clamp(SHORTEST, LONGEST_WAIT);
        let at = if due == 0 { at } else { at.max(self.refresh_at) };
        (!self.is_asking).then(|| self.not_before.map_or(at, |not_before| at.max(not_before)))
    }
}

impl Client {
    /// The record of an object that has each of these values in a field.
    pub(super) async fn matches(&self, ask: &Ask) -> Result<Vec<Match>, RequestError> {
        match self {
            Self::Salesforce(salesforce) => salesforce.matches(&ask.object, &ask.by, &ask.values).await,
        }
    }

    fn values_per_ask(&self, by: &str, values: &[String]) -> usize {
        let values: Vec<_> = values.iter().cloned().map(passerelle_change::FieldValue::Text).collect();
        match self {
            Self::Salesforce(_) => passerelle_crm::salesforce::keys_per_read(by, &values),
        }
    }
}

impl Notes<'_> {
    /// Values that nobody has asked for.
    pub(super) fn ask_for(&mut self, unasked: &[(MappingId, Vec<u8>)]) {
        for (line, key) in unasked {
            self.batch.unkept(*line, key, None, Some(&Unkept { found: Found::Unasked, due: 0, told: 0 }));
        }
    }
}

impl Engine<'_> {
    /// The values that the CRM is to be asked for next.
    pub(super) fn ask_due(&self) -> Result<Option<Ask>, StateError> {
        let (now, micros) = (Instant::now(), now_micros());
        for (index, line) in self.lines.iter().enumerate() {
            if line.is_asking || line.not_before.is_some_and(|at| at > now) {
                continue;
            }
            let due = self.store.unkept_due(line.setup.id, micros, line.most)?;
            let is_new = due.first().is_some_and(|(due, _)| *due == 0);
            if due.is_empty() || (!is_new && line.refresh_at > now) {
                continue;
            }
            let mut values = self.named(line.setup.id, due)?;
            values.truncate(self.client.values_per_ask(&line.setup.by, &values).max(1));
            if !values.is_empty() {
                let (object, by) = (Arc::clone(&line.setup.object), Arc::clone(&line.setup.by));
                return Ok(Some(Ask { line: index, object, by, values }));
            }
        }
        Ok(None)
    }

    /// Those of the values that rows name. The others are forgotten.
    fn named(&self, line: MappingId, due: Vec<(u64, Vec<u8>)>) -> Result<Vec<String>, StateError> {
        let mut values = Vec::with_capacity(due.len());
        let mut batch = DeliveryBatch::new(self.store);
        for (at, key) in due {
            match value_of(&key) {
                Some(value) if !self.store.children((line, &key), 1)?.is_empty() => values.push(value),
                Some(_) | None => {
                    let known = Unkept { found: Found::Unasked, due: at, told: 0 };
                    batch.unkept(line, &key, Some(&known), None);
                }
            }
        }
        if !batch.is_empty() {
            self.store.write_delivery(batch, Durability::WithTheNext)?;
        }
        Ok(values)
    }

    /// Sends it on its way.
    pub(super) fn begin_ask(&mut self, permit: Permit, ask: Ask) {
        if let Some(line) = self.lines.get_mut(ask.line) {
            line.is_asking = true;
            self.requests.find(self.client, permit, ask);
        }
    }

    /// What the CRM told.
    pub(super) fn told(&mut self, told: Told) -> Result<(), StateError> {
        let Told { ask, result, permit } = told;
        drop(permit);
        let Some(line) = self.lines.get_mut(ask.line) else { return Ok(()) };
        line.is_asking = false;
        match result {
            Ok(matches) => {
                self.limiter.served(None, Moment::now());
                self.fault = None;
                line.most = line.most.saturating_mul(2).min(MOST_VALUES);
                (line.failures, line.not_before) = (0, None);
                let found = matches.into_iter().map(|found| match found {
                    Match::None => Found::Nothing,
                    Match::One(id) => Found::One(id),
                    Match::Several => Found::Several,
                });
                self.learn(ask.line, ask.values.into_iter().zip(found))
            }
            Err(RequestError::Throttled { retry_after, daily, .. }) => {
                self.throttled_total += 1;
                self.limiter.throttled(retry_after, daily, Moment::now());
                Ok(())
            }
            Err(error @ RequestError::Transient { .. }) => {
                self.limiter.served(None, Moment::now());
                let bound = Duration::from_millis(250).saturating_mul(1 << line.failures.min(10)).min(LONGEST_WAIT);
                line.failures += 1;
                line.not_before = Some(Instant::now() + bound.mul_f64(rand::random_range(0.1..1.0)));
                tracing::warn!(crm = self.name, object = %ask.object, error = %error, "records could not be looked for");
                Ok(())
            }
            Err(RequestError::Operator { code, text, hint }) if !OF_ALL.contains(&code.as_str()) => {
                self.limiter.served(None, Moment::now());
                line.not_before = Some(Instant::now() + OPERATOR_WAIT);
                tracing::error!(crm = self.name, error = %text, hint = %hint, "the CRM needs a person");
                self.fault = Some(text);
                Ok(())
            }
            Err(RequestError::Operator { code, text, .. }) => {
                self.refused_to_say(ask, &Refusal { code, message: text, fields: Vec::new() })
            }
            Err(RequestError::Rejected(refusal))
                if ask.values.len() > 1 && !OF_ALL.contains(&refusal.code.as_str()) =>
            {
                self.limiter.served(None, Moment::now());
                // One of them it can't take: they are asked for in parts, until that one is found.
                line.most = ask.values.len() / 2;
                Ok(())
            }
            Err(RequestError::Rejected(refusal)) => self.refused_to_say(ask, &refusal),
        }
    }

    /// The CRM can't be asked for these values, or for any of their object and field: no row waits for them.
    fn refused_to_say(&mut self, ask: Ask, refusal: &Refusal) -> Result<(), StateError> {
        self.limiter.served(None, Moment::now());
        let Refusal { code, message, .. } = refusal;
        let (object, by) = (&ask.object, &ask.by);
        tracing::warn!(crm = self.name, %object, %by, %code, "records cannot be looked for: {message}");
        self.learn(ask.line, ask.values.into_iter().map(|value| (value, Found::Refused)))
    }

    /// Notes what the CRM told; where another record is found, the rows that name the value are looked at again.
    fn learn(&mut self, line: usize, told: impl Iterator<Item = (String, Found)>) -> Result<(), StateError> {
        let wait = self.between_asks();
        let Some(line) = self.lines.get_mut(line) else { return Ok(()) };
        line.refresh_at = Instant::now() + wait;
        let id = line.setup.id;
        let mut notes = Notes::new(self.store, now_micros(), None);
        for (value, found) in told {
            let key = key_of(&value);
            let Some(before) = self.store.unkept(id, &key)? else { continue };
            let is_another = before.found != found;
            // What was found and is no more stays as it is in the CRM, until the row changes.
            let is_news = is_another && matches!((&before.found, &found), (Found::Unasked, _) | (_, Found::One(_)));
            let told = if is_another { 1 } else { before.told.saturating_add(1) };
            let due = notes.now.saturating_add(lasts(&found, told).as_micros() as u64);
            notes.batch.unkept(id, &key, Some(&before), Some(&Unkept { found, due, told }));
            if is_news {
                notes.wake.push((id, key));
            }
        }
        self.write(&mut notes)
    }

    /// As seldom as the share of the day's calls asks for.
    fn between_asks(&self) -> Duration {
        let Some(outlook) = self.limiter.outlook(Moment::now()) else { return SOONEST };
        let calls = u32::try_from((outlook.calls_left / SHARE).max(1)).unwrap_or(u32::MAX);
        SOONEST.max(outlook.within.saturating_mul(self.lines.len() as u32) / calls)
    }

    /// When the next value is due.
    pub(super) fn next_ask(&self, now: Instant) -> Option<Instant> {
        let due = |line: &Line| self.store.unkept_next_due(line.setup.id).ok().flatten();
        self.lines.iter().filter_map(|line| line.wakes(due(line)?, now)).min()
    }
}

/// How long an answer counts that has come so often.
fn lasts(found: &Found, told: u32) -> Duration {
    match found {
        Found::Unasked => Duration::ZERO,
        Found::One(_) => FOUND_FOR,
        Found::Nothing | Found::Several | Found::Refused => {
            LACKING_FOR.saturating_mul(1 << told.saturating_sub(1).min(10)).min(FOUND_FOR)
        }
    }
}

fn value_of(key: &[u8]) -> Option<String> {
    match parts(key)?.pop()? {
        KeyPart::Text(text) => String::from_utf8(text).ok(),
        KeyPart::Int(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_value_reads_back_from_its_key() {
        for value in ["ada@x.example", "", "é\0'\\"] {
            assert_eq!(value_of(&key_of(value)).as_deref(), Some(value));
        }
    }

    #[test]
    fn what_was_found_lasts_a_day_and_what_was_not_ever_longer() {
        assert_eq!(lasts(&Found::One("005".into()), 1), Duration::from_hours(24));
        let minutes = [1, 2, 3, 9, 10, 500].map(|told| lasts(&Found::Nothing, told).as_secs() / 60);
        assert_eq!(minutes, [5, 10, 20, 1_280, 1_440, 1_440]);
    }
}
