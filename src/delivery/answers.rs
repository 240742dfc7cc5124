//! What comes back from a request: outcomes, or a failure; and what becomes of the rows behind it.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use passerelle_change::key::printed;
use passerelle_change::{Outcome, RequestError, RetryScope, WriteOp};
use passerelle_crm::Moment;
use passerelle_state::{Hold, MappingId, StateError};

use super::engine::{Engine, LONGEST_WAIT};
use super::former::of_name;
use super::lane::Entry;
use super::now_micros;
use super::requests::{Answered, Returned, Staged};
use super::settle::{After, Notes, REFUSALS_HOLD};
use crate::failpoint;

/// After a fault that a person has to mend, one request is tried this often.
const OPERATOR_WAIT: Duration = Duration::from_secs(30);
/// While a record is looked for that the CRM's server fails at, the waits are no longer than this.
const SEARCH_WAIT: Duration = Duration::from_secs(1);

impl Engine<'_> {
    /// Something has come back.
    pub(super) fn returned(&mut self, returned: Returned) -> Result<(), StateError> {
        match returned {
            Returned::Answered(answered) => self.settle(answered),
            Returned::Sought(sought) => self.sought(sought),
            Returned::Told(told) => self.told(told),
        }
    }

    /// A request has come back.
    fn settle(&mut self, answered: Answered) -> Result<(), StateError> {
        failpoint::hit("delivery.before_note");
        let Answered { staged, result, took, permit } = answered;
        tracing::debug!(crm = self.name, records = staged.len(), took_ms = took.as_millis() as u64, "request answered");
        for one in &staged {
            self.requests.free(one);
        }
        match result {
            Ok(answer) => {
                self.failures = 0;
                self.fault = None;
                self.not_before = None;
                self.limiter.served(answer.usage, Moment::now());
                if staged.is_empty() {
                    // The org was asked for, and is the one that is expected.
                    self.expect_org = None;
                }
                if let Some(one) = staged.first() {
                    self.requests.suspicions.served(&one.plan.write.object, staged.len());
                }
                self.outcomes(staged, answer.outcomes)?;
            }
            Err(error) => self.failed(staged, error)?,
        }
        drop(permit);
        failpoint::hit("delivery.after_note");
        self.unblock();
        Ok(())
    }

    fn outcomes(&mut self, staged: Vec<Staged>, outcomes: Vec<Outcome>) -> Result<(), StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        let mut again = Vec::new();
        let mut touched = HashSet::new();
        for (one, outcome) in staged.into_iter().zip(outcomes) {
            let Some(&index) = self.by_id.get(&one.lane) else { continue };
            notes.position = self.sources[self.lanes[index].source_index].durable.borrow().position.clone();
            if let Outcome::Retry { scope: RetryScope::Object | RetryScope::Credential, .. } = &outcome {
                self.not_before = Some(Instant::now() + Duration::from_secs(1));
            }
            let accepted = matches!(outcome, Outcome::Accepted { .. } | Outcome::Missing);
            let is_deletion = one.plan.write.op == WriteOp::Delete;
            self.records_total += u64::from(accepted);
            let lane = &mut self.lanes[index];
            touched.insert(index);
            match notes.outcome(lane, &one.entry, one.plan, outcome)? {
                After::Settled => {
                    if is_deletion {
                        self.admitted.remove(&(one.lane, one.entry.row_key));
                    }
                }
                After::Again => again.push((one.lane, one.entry)),
            }
        }
        for &index in &touched {
            let lane = &self.lanes[index];
            notes.batch.figures(lane.id, &lane.figures);
            notes.batch.deletions(lane.id, &lane.guard.times());
        }
        self.write(&mut notes)?;
        for (mapping, entry) in again {
            self.give_back(mapping, entry);
        }
        for index in touched {
            self.hold_when_refused(index)?;
        }
        Ok(())
    }

    /// A request gave no outcomes: its rows are looked at afresh when it is tried again.
    fn failed(&mut self, staged: Vec<Staged>, error: RequestError) -> Result<(), StateError> {
        let text = error.to_string();
        match error {
            RequestError::Rejected(refusal) if staged.len() == 1 => {
                return self.outcomes(staged, vec![Outcome::Rejected(refusal)]);
            }
            RequestError::Rejected(_) => {
                for one in &staged {
                    self.requests.keep_busy(one);
                }
                self.requests.split(staged);
                return Ok(());
            }
            RequestError::Throttled { retry_after, daily, .. } => {
                self.throttled_total += 1;
                self.limiter.throttled(retry_after, daily, Moment::now());
            }
            RequestError::Transient { .. } => {
                self.limiter.served(None, Moment::now());
                let (mut searches, mut alone) = (false, false);
                if let Some(one) = staged.first() {
                    let object = &one.plan.write.object;
                    let searched = self.requests.suspicions.is_searching(object);
                    let is_last = self.requests.suspicions.failed(object, staged.len());
                    alone = staged.len() == 1 && (is_last || one.entry.goes_alone());
                    searches = searched || self.requests.suspicions.is_searching(object);
                }
                if searches {
                    // These are tries, which say nothing about how long an outage has lasted.
                    self.not_before = Some(Instant::now() + SEARCH_WAIT.mul_f64(rand::random_range(0.1..1.0)));
                } else {
                    self.back_off(Duration::from_millis(250));
                }
                if alone {
                    return self.suspect(staged, &text);
                }
            }
            RequestError::Operator { hint, .. } => {
                self.limiter.served(None, Moment::now());
                self.not_before = Some(Instant::now() + OPERATOR_WAIT);
                tracing::error!(crm = self.name, error = %text, hint = %hint, "the CRM needs a person");
            }
        }
        if self.fault.as_deref() != Some(&text) {
            tracing::warn!(crm = self.name, error = %text, "a request failed; its records wait");
        }
        self.fault = Some(text);
        for one in staged.into_iter().rev() {
            self.give_back(one.lane, one.entry);
        }
        self.put_back_staged();
        Ok(())
    }

    /// The server failed at a record alone: it is set aside, and what else there is goes on.
    fn suspect(&mut self, staged: Vec<Staged>, text: &str) -> Result<(), StateError> {
        let accepted = self.records_total > self.records_before_suspect;
        if !accepted {
            // Nothing says that it takes others: it may be down.
            self.fault = Some(text.to_owned());
        }
        self.records_before_suspect = self.records_total;
        let mut notes = Notes::new(self.store, now_micros(), None);
        for one in staged {
            let Some(&index) = self.by_id.get(&one.lane) else { continue };
            let lane = &mut self.lanes[index];
            notes.position = self.sources[lane.source_index].durable.borrow().position.clone();
            tracing::warn!(crm = self.name, mapping = %lane.config.name, record = %printed(&one.entry.row_key), error = %text, "the CRM fails at a record; it is tried alone");
            notes.suspect(lane, &one.entry, &one.plan, text.to_owned(), accepted)?;
        }
        self.write(&mut notes)
    }

    /// Full jitter below a bound that doubles.
    fn back_off(&mut self, first: Duration) {
        let bound = first.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures += 1;
        self.not_before = Some(Instant::now() + bound.mul_f64(rand::random_range(0.1..1.0)));
    }

    pub(super) fn put_back_staged(&mut self) {
        for one in self.requests.unstage().into_iter().rev() {
            self.give_back(one.lane, one.entry);
        }
        self.unblock();
    }

    pub(super) fn give_back(&mut self, mapping: MappingId, entry: Entry) {
        if let Some(&index) = self.by_id.get(&mapping) {
            self.lanes[index].give_back(entry);
        }
    }

    /// Rows whose record has become free are looked at again.
    pub(super) fn unblock(&mut self) {
        let busy = self.requests.busy();
        let free: Vec<_> = self.blocked.keys().filter(|id| !busy.contains(id)).copied().collect();
        for id in free {
            let mut entries = self.blocked.remove(&id).unwrap_or_default();
            // The last one given back is the first to go: a record that was left goes after whoever may join it.
            entries.sort_by_key(|(_, entry)| of_name(&entry.row_key).is_none());
            for (mapping, entry) in entries {
                self.give_back(mapping, entry);
            }
        }
    }

    /// Fifty refusals with one code and nothing accepted between hold the mapping (STATE.md, rule 9).
    pub(super) fn hold_when_refused(&mut self, index: usize) -> Result<(), StateError> {
        let lane = &mut self.lanes[index];
        if lane.refusals.1 < REFUSALS_HOLD || lane.held.is_some() || lane.config.observe {
            return Ok(());
        }
        let reason = format!("{} records in a row were refused with {}", lane.refusals.1, lane.refusals.0);
        let hold = Hold {
            reason: reason.clone(),
            since: passerelle_change::Micros(i64::try_from(now_micros()).unwrap_or(i64::MAX)),
            by_person: false,
        };
        self.store.set_hold(&format!("mapping/{}", lane.config.name), Some(&hold))?;
        tracing::warn!(mapping = %lane.config.name, reason = %reason, "held: mend it, then `passerelle resume {}`", lane.config.name);
        lane.held = Some(reason);
        let id = lane.id;
        self.release_waiting_for(id)
    }
}
