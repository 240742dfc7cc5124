//! Faults on demand: each is switched on for a number of times, for a while, or with a probability, and fires when a call
//! or a record meets it. The dice are seeded.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde::{Deserialize, Deserializer, Serialize};

use super::problem::{Problem, Refusal};

/// Faults that can be on at once.
const MAX_FAULTS: usize = 10_000;

/// What goes wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FaultKind {
    /// The connection is cut before anything is read from the call: nobody is there. Tokens are not given out either.
    Down,
    /// 503 SERVER_UNAVAILABLE.
    Unavailable,
    /// 429 with `Retry-After` of `retry_after` seconds.
    Throttle,
    /// 403 REQUEST_LIMIT_EXCEEDED.
    Limit,
    /// 401 INVALID_SESSION_ID for every token that was given out before.
    Unauthorized,
    /// 500 UNKNOWN_EXCEPTION.
    ServerError,
    /// The connection is cut, and nothing was written.
    CutBefore,
    /// What the call asks for is written, then the connection is cut without an answer.
    CutAfterWrite,
    /// The call waits for `ms` before it is looked at.
    Hang,
    /// What the call asks for is written, then the answer is held back for `ms`.
    HangAfterWrite,
    /// One record is refused with `code`.
    RejectRecord,
    /// The whole call is refused with status 400 and `code`, for a record in it.
    RejectBatch,
    /// One record is refused with UNABLE_TO_LOCK_ROW.
    LockRow,
    /// 500 UNKNOWN_EXCEPTION for the whole call, for a record in it. Nothing is written.
    FailBatch,
}

/// A fault, as it is asked for. In JSON: `{"kind": "reject_record", "object": "Contact", "key": "17", "times": 2}`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fault {
    /// What goes wrong.
    pub kind: FaultKind,
    /// Only for this object.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub object: Option<String>,
    /// Only for the record with this external key (records and batches).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// The code of a refusal, where the kind does not fix it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// How long to hang, in milliseconds. Default 10,000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ms: Option<u64>,
    /// What `Retry-After` says, in seconds. Default 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub retry_after: Option<u64>,
    /// How many times it fires; for ever if not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub times: Option<u64>,
    /// How likely it is to fire, 0 to 1; always if not told.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub probability: Option<f64>,
    /// How long it is on, such as `10s`; until it is switched off if not told.
    #[serde(default, rename = "for", skip_serializing, deserialize_with = "duration")]
    pub lasts: Option<Duration>,
}

impl Fault {
    /// A fault that always fires, for every object, until it is switched off.
    pub fn new(kind: FaultKind) -> Self {
        let (object, key, code, lasts) = (None, None, None, None);
        Self { kind, object, key, code, ms: None, retry_after: None, times: None, probability: None, lasts }
    }

    /// Fires so many times.
    #[must_use]
    pub fn times(self, times: u64) -> Self {
        Self { times: Some(times), ..self }
    }

    /// Fires with this probability, 0 to 1.
    #[must_use]
    pub fn probability(self, probability: f64) -> Self {
        Self { probability: Some(probability), ..self }
    }

    /// Is over after this time.
    #[must_use]
    pub fn lasting(self, lasts: Duration) -> Self {
        Self { lasts: Some(lasts), ..self }
    }

    /// Only for this object.
    #[must_use]
    pub fn object(self, object: &str) -> Self {
        Self { object: Some(object.to_owned()), ..self }
    }

    /// Only for the record with this external key.
    #[must_use]
    pub fn key(self, key: &str) -> Self {
        Self { key: Some(key.to_owned()), ..self }
    }

    /// With this code.
    #[must_use]
    pub fn code(self, code: &str) -> Self {
        Self { code: Some(code.to_owned()), ..self }
    }

    /// How long it hangs.
    #[must_use]
    pub fn hanging(self, held: Duration) -> Self {
        Self { ms: Some(u64::try_from(held.as_millis()).unwrap_or(u64::MAX)), ..self }
    }

    /// How long a call hangs.
    pub(super) fn held(&self) -> Duration {
        Duration::from_millis(self.ms.unwrap_or(10_000))
    }

    fn code_or(&self, otherwise: &str) -> String {
        self.code.clone().unwrap_or_else(|| otherwise.to_owned())
    }
}

/// What to do with a call before it is looked at.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Before {
    Cut,
    Refuse(Refusal),
    Hang(Duration),
}

/// What to do with a call after it was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum After {
    Cut,
    Hang(Duration),
}

/// A fault that is on.
#[derive(Clone, Debug, Serialize)]
pub struct ActiveFault {
    /// Its number, to switch it off by.
    pub id: u64,
    /// What was asked for.
    #[serde(flatten)]
    pub fault: Fault,
    /// How often it fired.
    pub fired: u64,
    #[serde(skip)]
    until: Option<Instant>,
    /// Tokens with a number above this one are not refused by `unauthorized`.
    #[serde(skip)]
    tokens_before: u64,
}

/// The faults that are on, and how often each kind fired.
#[derive(Debug)]
pub(super) struct Faults {
    active: Vec<ActiveFault>,
    next_id: u64,
    dice: StdRng,
    fired: BTreeMap<FaultKind, u64>,
}

impl Faults {
    pub(super) fn new(seed: u64) -> Self {
        Self { active: Vec::new(), next_id: 1, dice: StdRng::seed_from_u64(seed), fired: BTreeMap::new() }
    }

    /// Switches a fault on. `tokens` is the number of the last token given out.
    pub(super) fn add(&mut self, fault: Fault, now: Instant, tokens: u64) -> Result<u64, String> {
        if self.active.len() >= MAX_FAULTS {
            return Err(format!("{MAX_FAULTS} faults are on already"));
        }
        if fault.probability.is_some_and(|probability| !(0.0..=1.0).contains(&probability)) {
            return Err("the probability is not between 0 and 1".to_owned());
        }
        let id = self.next_id;
        self.next_id += 1;
        let until = fault.lasts.and_then(|lasts| now.checked_add(lasts));
        self.active.push(ActiveFault { id, fault, fired: 0, until, tokens_before: tokens });
        Ok(id)
    }

    /// Switches one fault off; whether it was on.
    pub(super) fn remove(&mut self, id: u64) -> bool {
        let before = self.active.len();
        self.active.retain(|active| active.id != id);
        self.active.len() < before
    }

    pub(super) fn clear(&mut self) {
        self.active.clear();
    }

    pub(super) fn active(&mut self, now: Instant) -> &[ActiveFault] {
        self.expire(now);
        &self.active
    }

    pub(super) fn fired(&self) -> &BTreeMap<FaultKind, u64> {
        &self.fired
    }

    /// Whether nobody is there for a call that asks for a token.
    pub(super) fn is_down(&mut self, now: Instant) -> bool {
        self.fire(now, |active| active.fault.kind == FaultKind::Down && active.fault.object.is_none()).is_some()
    }

    /// What happens to a call before it is looked at: by its object, if it has one, and the number of its token.
    pub(super) fn before(&mut self, now: Instant, object: Option<&str>, token: u64) -> Option<Before> {
        use FaultKind as Kind;
        let fault = self.fire(now, |active| {
            let fault = &active.fault;
            let concerns = match fault.kind {
                Kind::Down
                | Kind::Unavailable
                | Kind::Throttle
                | Kind::Limit
                | Kind::ServerError
                | Kind::CutBefore
                | Kind::Hang => true,
                Kind::Unauthorized => token <= active.tokens_before,
                Kind::CutAfterWrite
                | Kind::HangAfterWrite
                | Kind::RejectRecord
                | Kind::RejectBatch
                | Kind::FailBatch
                | Kind::LockRow => false,
            };
            concerns && is_for(fault, object)
        })?;
        Some(match fault.kind {
            Kind::Unavailable => Before::Refuse(Refusal::new(
                503,
                "SERVER_UNAVAILABLE",
                "The server is temporarily unavailable. Please try again later.",
            )),
            Kind::Throttle => {
                let refusal = Refusal::new(429, "TOO_MANY_REQUESTS", "Too many requests.");
                Before::Refuse(Refusal { retry_after: Some(fault.retry_after.unwrap_or(1)), ..refusal })
            }
            Kind::Limit => Before::Refuse(Refusal::new(403, "REQUEST_LIMIT_EXCEEDED", "TotalRequests Limit exceeded.")),
            Kind::Unauthorized => Before::Refuse(invalid_session()),
            Kind::ServerError => {
                let code = fault.code_or("UNKNOWN_EXCEPTION");
                Before::Refuse(Refusal::new(
                    500,
                    &code,
                    "An unexpected error occurred. Please include this ErrorId if you contact support: 1",
                ))
            }
            Kind::Hang => Before::Hang(fault.held()),
            Kind::Down
            | Kind::CutBefore
            | Kind::CutAfterWrite
            | Kind::HangAfterWrite
            | Kind::RejectRecord
            | Kind::RejectBatch
            | Kind::FailBatch
            | Kind::LockRow => Before::Cut,
        })
    }

    /// What happens to a call that wrote, after it did.
    pub(super) fn after(&mut self, now: Instant, object: Option<&str>) -> Option<After> {
        let fault = self.fire(now, |active| {
            matches!(active.fault.kind, FaultKind::CutAfterWrite | FaultKind::HangAfterWrite)
                && is_for(&active.fault, object)
        })?;
        Some(if fault.kind == FaultKind::CutAfterWrite { After::Cut } else { After::Hang(fault.held()) })
    }

    /// Whether the whole call is refused for the records in it.
    pub(super) fn batch(&mut self, now: Instant, object: &str, holds: impl Fn(&str) -> bool) -> Option<Refusal> {
        if self.active.is_empty() {
            return None;
        }
        let fault = self.fire(now, |active| {
            let fault = &active.fault;
            matches!(fault.kind, FaultKind::RejectBatch | FaultKind::FailBatch)
                && is_for(fault, Some(object))
                && fault.key.as_deref().is_none_or(&holds)
        })?;
        if fault.kind == FaultKind::FailBatch {
            return Some(Refusal::new(500, "UNKNOWN_EXCEPTION", "An unexpected error occurred."));
        }
        let code = fault.code_or("JSON_PARSER_ERROR");
        Some(Refusal::new(400, &code, "The HTTP entity body is required, but this one could not be read"))
    }

    /// Whether a record is refused.
    pub(super) fn record(&mut self, now: Instant, object: &str, key: Option<&str>) -> Option<Problem> {
        if self.active.is_empty() {
            return None;
        }
        let fault = self.fire(now, |active| {
            let fault = &active.fault;
            matches!(fault.kind, FaultKind::RejectRecord | FaultKind::LockRow)
                && is_for(fault, Some(object))
                && (fault.key.is_none() || fault.key.as_deref() == key)
        })?;
        Some(if fault.kind == FaultKind::LockRow {
            Problem::new("UNABLE_TO_LOCK_ROW", "unable to obtain exclusive access to this record")
        } else {
            Problem::new(
                &fault.code_or("FIELD_CUSTOM_VALIDATION_EXCEPTION"),
                "refused by a validation rule of the sandbox",
            )
        })
    }

    /// The first fault that concerns this and whose dice fall so.
    fn fire(&mut self, now: Instant, concerns: impl Fn(&ActiveFault) -> bool) -> Option<Fault> {
        self.expire(now);
        for active in &mut self.active {
            if !concerns(active) {
                continue;
            }
            if active.fault.probability.is_some_and(|probability| !self.dice.random_bool(probability)) {
                continue;
            }
            active.fired += 1;
            *self.fired.entry(active.fault.kind).or_default() += 1;
            return Some(active.fault.clone());
        }
        None
    }

    fn expire(&mut self, now: Instant) {
        self.active.retain(|active| {
            active.until.is_none_or(|until| now < until) && active.fault.times.is_none_or(|times| active.fired < times)
        });
    }
}

/// The vendor's answer to a token that is missing, wrong or too old.
pub(super) fn invalid_session() -> Refusal {
    Refusal::new(401, "INVALID_SESSION_ID", "Session expired or invalid")
}

fn is_for(fault: &Fault, object: Option<&str>) -> bool {
    fault.object.as_deref().is_none_or(|wanted| object.is_some_and(|object| object.eq_ignore_ascii_case(wanted)))
}

fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Duration>, D::Error> {
    let text = String::deserialize(deserializer)?;
    humantime::parse_duration(&text).map(Some).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn faults_end_by_count_and_by_time() {
        let now = Instant::now();
        let mut faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::Limit).times(2), now, 0).unwrap();
        faults.add(Fault::new(FaultKind::Unavailable).lasting(Duration::from_secs(1)), now, 0).unwrap();
        let mut status = |after_ms| match faults.before(now + Duration::from_millis(after_ms), None, 0) {
            Some(Before::Refuse(refusal)) => refusal.status,
            _ => 0,
        };
        assert_eq!([status(0), status(1), status(2), status(999), status(1000)], [403, 403, 503, 503, 0]);
    }

    #[test]
    fn faults_meet_their_records() {
        let now = Instant::now();
        let mut faults = Faults::new(1);
        let spec =
            r#"{"kind": "reject_record", "object": "Contact", "key": "17", "code": "STRING_TOO_LONG", "for": "1m"}"#;
        faults.add(serde_json::from_str(spec).unwrap(), now, 0).unwrap();
        assert_eq!(faults.record(now, "Account", Some("17")), None);
        assert_eq!(faults.record(now, "Contact", Some("18")), None);
        assert_eq!(faults.record(now, "Contact", Some("17")).unwrap().code, "STRING_TOO_LONG");
        assert_eq!(faults.record(now + Duration::from_mins(1), "Contact", Some("17")), None);
    }

    #[test]
    fn dice_are_seeded() {
        let now = Instant::now();
        let throws = |seed| {
            let mut faults = Faults::new(seed);
            faults.add(Fault::new(FaultKind::CutBefore).probability(0.5), now, 0).unwrap();
            (0..64).map(|_| faults.before(now, None, 0).is_some()).collect::<Vec<_>>()
        };
        assert_eq!(throws(7), throws(7));
        assert_ne!(throws(7), throws(8));
    }

    #[test]
    fn newer_tokens_are_not_refused() {
        let now = Instant::now();
        let mut faults = Faults::new(1);
        faults.add(Fault::new(FaultKind::Unauthorized), now, 3).unwrap();
        assert!(faults.before(now, None, 3).is_some());
        assert!(faults.before(now, None, 4).is_none());
    }
}
