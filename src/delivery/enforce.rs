//! `enforce = true`: a person's edit of the field in the CRM is put back.
//!
//! Two halves that fill each other's gap:
//! - every write of a record carries its enforced fields, changed or not ([`super::reconcile`]);
//! - now and then the CRM is asked which records somebody else than we edited last. Of those whose enforced field is not
//!   what the row says, what was accepted is forgotten and the row is looked at again: the field is sent like any other
//!   that differs.
//!
//! So an edit that is followed by a write of ours, after which we are the last editor, is put back by that write, and
//! every other one is found. A look costs a call, and no more than a twentieth of the day's calls goes to looks. How far
//! they came is kept, with a margin for the CRM's clock: what was edited while the daemon was down is found, too, and so
//! is what was edited before the field was enforced.

use std::hash::Hasher;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle_change::{FieldValue, RequestError};
use passerelle_crm::salesforce::{EditsWanted, Found};
use passerelle_crm::{Moment, Permit};
use passerelle_state::{Edits as Looked, MappingId, StateError, Store};
use rust_decimal::Decimal;
use siphasher::sip::SipHasher24;

use super::engine::Engine;
use super::lane::Lane;
use super::requests::{Seen, Sought};
use super::settle::Notes;
use super::{Client, now_micros};
use crate::config::model;
use crate::mapping::{Desired, Target};

/// No look follows another sooner.
const SOONEST: Duration = Duration::from_secs(5);
/// Of what is left of the day, one part in so many may go to looks.
const SHARE: u64 = 20;
/// An edit may show so long after its own time: clocks differ, and long transactions end late.
const MARGIN: Duration = Duration::from_mins(15);

/// What a look at the CRM needs to know.
#[derive(Clone, Debug)]
pub(super) struct Look {
    object: Arc<str>,
    key_field: Arc<str>,
    fields: Vec<Arc<str>>,
    /// Our user's id, once it is known.
    us: Option<String>,
    since: Option<String>,
    page: Option<String>,
}

/// How far a mapping's looks came.
#[derive(Debug)]
pub(super) struct Enforced {
    fields: Vec<Arc<str>>,
    /// A hash of them: another field has not been looked at.
    revision: u64,
    /// Edits from here on are still to be looked for, in microseconds since 1970; all of them where it is `None`.
    since: Option<u64>,
    /// The next page of the look under way, and when that one began.
    page: Option<String>,
    begun: u64,
    due: Instant,
    is_asking: bool,
}

impl Enforced {
    /// For a mapping that enforces fields.
    pub(super) fn of(store: &Store, id: MappingId, config: &model::Mapping) -> Result<Option<Self>, StateError> {
        let fields = config.fields.iter().filter(|field| field.enforce).map(|field| Arc::clone(&field.name));
        let fields: Vec<_> = fields.collect();
        if fields.is_empty() || config.observe {
            return Ok(None);
        }
        // Fixed keys: the hash is written to the state.
        let mut hasher = SipHasher24::new_with_keys(0x7061_7373_6572_656c, 0x6c65_2f65_6469_7401);
        for name in &fields {
            hasher.write(name.as_bytes());
            hasher.write_u8(0);
        }
        let revision = hasher.finish();
        let since = store.edits(id)?.filter(|looked| looked.fields == revision).map(|looked| looked.since);
        let due = Instant::now();
        Ok(Some(Self { fields, revision, since, page: None, begun: 0, due, is_asking: false }))
    }

    /// When to look next.
    pub(super) fn due(&self) -> Option<Instant> {
        (!self.is_asking).then_some(self.due)
    }

    /// The look is over: the next one begins where this one did.
    fn is_over(&mut self, store: &Store, id: MappingId) -> Result<(), StateError> {
        self.page = None;
        let since = self.begun.saturating_sub(MARGIN.as_micros() as u64);
        self.since = Some(since);
        store.set_edits(id, &Looked { fields: self.revision, since })
    }
}

impl Client {
    /// A look at what others edited; our own id is asked for first.
    pub(super) async fn look(&self, look: &Look) -> Result<Seen, RequestError> {
        match self {
            Self::Salesforce(salesforce) => {
                let Some(us) = &look.us else {
                    return Ok(Seen::Us(salesforce.identity().await?.user_id));
                };
                let fields: Vec<&str> = look.fields.iter().map(|name| &**name).collect();
                let wanted = EditsWanted {
                    object: &look.object,
                    key_field: &look.key_field,
                    fields: &fields,
                    us,
                    since: look.since.as_deref(),
                    page: look.page.as_deref(),
                };
                salesforce.edits(&wanted).await.map(Seen::Edits)
            }
        }
    }
}

impl Engine<'_> {
    /// The look that is due.
    pub(super) fn look_due(&self) -> Option<(MappingId, Look)> {
        let now = Instant::now();
        let is_due = |lane: &&Lane| {
            let due = lane.enforced.as_ref().and_then(Enforced::due);
            !lane.is_held() && lane.loaded && due.is_some_and(|due| due <= now)
        };
        let lane = self.lanes.iter().find(is_due)?;
        let enforced = lane.enforced.as_ref()?;
        let since = enforced.since.and_then(|since| Timestamp::from_microsecond(i64::try_from(since).ok()?).ok());
        let look = Look {
            object: Arc::clone(&lane.config.object),
            key_field: Arc::clone(&lane.config.key_field),
            fields: enforced.fields.clone(),
            us: self.us.clone(),
            since: since.map(|since| since.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            page: enforced.page.clone(),
        };
        Some((lane.id, look))
    }

    /// Sends a look on its way.
    pub(super) fn begin_look(&mut self, permit: Permit, id: MappingId, look: Look) {
        let Some(&index) = self.by_id.get(&id) else { return };
        if let Some(enforced) = &mut self.lanes[index].enforced {
            enforced.is_asking = true;
            if enforced.page.is_none() {
                enforced.begun = now_micros();
            }
            self.requests.look(self.client, permit, id, look);
        }
    }

    /// What a look has found.
    pub(super) fn sought(&mut self, sought: Sought) -> Result<(), StateError> {
        let Sought { mapping, result, permit } = sought;
        drop(permit);
        let wait = self.between_looks(mapping);
        let Some(&index) = self.by_id.get(&mapping) else { return Ok(()) };
        let Some(enforced) = &mut self.lanes[index].enforced else { return Ok(()) };
        enforced.is_asking = false;
        enforced.due = Instant::now() + wait;
        let name = Arc::clone(&self.lanes[index].config.name);
        match result {
            Ok(Seen::Us(us)) if us.is_empty() => {
                self.limiter.served(None, Moment::now());
                tracing::warn!(mapping = %name, "edits in the CRM could not be looked for: it does not say who we are");
            }
            Ok(Seen::Us(us)) => {
                self.limiter.served(None, Moment::now());
                self.us = Some(us);
                self.look_again_at(index, Duration::ZERO);
            }
            Ok(Seen::Edits(edits)) => {
                self.limiter.served(None, Moment::now());
                self.put_back(index, &edits.found)?;
                let (store, lane) = (self.store, &mut self.lanes[index]);
                if let Some(enforced) = &mut lane.enforced {
                    enforced.page = edits.next;
                    match enforced.page {
                        Some(_) => enforced.due = Instant::now(),
                        None => enforced.is_over(store, lane.id)?,
                    }
                }
            }
            Err(RequestError::Throttled { retry_after, daily, .. }) => {
                self.throttled_total += 1;
                self.limiter.throttled(retry_after, daily, Moment::now());
            }
            Err(error @ (RequestError::Transient { .. } | RequestError::Operator { .. })) => {
                self.limiter.served(None, Moment::now());
                tracing::warn!(mapping = %name, error = %error, "edits in the CRM could not be looked for");
            }
            Err(RequestError::Rejected(refusal)) => {
                self.limiter.served(None, Moment::now());
                let (store, lane) = (self.store, &mut self.lanes[index]);
                let Some(enforced) = &mut lane.enforced else { return Ok(()) };
                tracing::warn!(mapping = %name, code = %refusal.code, "edits in the CRM could not be looked for: {}", refusal.message);
                // A page that has expired is asked for from the beginning. What an org is too large to list at once is
                // not asked for again: edits from now on are.
                if enforced.page.take().is_none() && enforced.since.is_none() {
                    enforced.is_over(store, lane.id)?;
                }
            }
        }
        Ok(())
    }

    fn look_again_at(&mut self, index: usize, wait: Duration) {
        if let Some(enforced) = &mut self.lanes[index].enforced {
            enforced.due = Instant::now() + wait;
        }
    }

    /// As often as the mapping's freshness says, within the share of the day's calls.
    fn between_looks(&self, mapping: MappingId) -> Duration {
        let lane = self.by_id.get(&mapping).and_then(|&index| self.lanes.get(index));
        let wanted = lane.map_or(SOONEST, |lane| lane.config.freshness).max(SOONEST);
        let lookers = self.lanes.iter().filter(|lane| lane.enforced.is_some()).count() as u32;
        let Some(outlook) = self.limiter.outlook(Moment::now()) else { return wanted };
        let calls = u32::try_from((outlook.calls_left / SHARE).max(1)).unwrap_or(u32::MAX);
        wanted.max(outlook.within.saturating_mul(lookers) / calls)
    }

    /// Rows whose record has another value in an enforced field are looked at again.
    fn put_back(&mut self, index: usize, found: &[Found]) -> Result<(), StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        let mut edited = 0;
        for record in found {
            edited += u64::from(self.forget_edited(&mut notes, &self.lanes[index], record)?);
        }
        self.write(&mut notes)?;
        if edited > 0 {
            let mapping = &self.lanes[index].config.name;
            tracing::info!(mapping = %mapping, records = edited, "people edited enforced fields: they are put back");
        }
        Ok(())
    }

    /// True where the record was edited and one of our rows says otherwise.
    fn forget_edited(&self, notes: &mut Notes<'_>, lane: &Lane, found: &Found) -> Result<bool, StateError> {
        let store = self.store;
        let Some(key) = field_of(found, &lane.config.key_field) else { return Ok(false) };
        let id = store.record_id(lane.object_id, &key.to_string());
        // A write on its way carries the fields; if it went before the edit, the next look says so.
        let Some(mut record) = store.record(id)?.filter(|_| !self.requests.busy().contains(&id)) else {
            return Ok(false);
        };
        let same_id = |known: &String| known.get(..15) == found.crm_id.get(..15);
        if !record.crm_id.as_ref().is_some_and(same_id) {
            return Ok(false);
        }
        let mut edited = false;
        for (mapping, row_key) in store.members(id, 64)? {
            if mapping != lane.id || !lane.names(&row_key) {
                continue;
            }
            let row = store.row_now(lane.table, &row_key)?.filter(|row| lane.swept.is_there(row));
            let view = store.view();
            let desired = row.map(|row| self.world(&view).desired(lane, &row_key, &row)).transpose()?;
            let Some(Desired::Present(desired)) = desired else { continue };
            let mut differs = false;
            for field in desired.fields {
                let Some(known) = lane.config.fields.get(field.index).filter(|known| known.enforce) else { continue };
                let (Target::Set(value), Some(held)) = (field.target, field_of(found, &known.name)) else { continue };
                // What the CRM has not accepted yet is on its way by itself.
                let accepted = record.fields.get(&*known.name);
                if accepted.is_some_and(|accepted| accepted.hash == store.field_hash(&value)) && !is_same(&value, held)
                {
                    record.fields.remove(&*known.name);
                    differs = true;
                }
            }
            if differs {
                notes.look_again(lane.id, &row_key, None)?;
            }
            edited |= differs;
        }
        if edited {
            notes.batch.record(id, Some(&record));
        }
        Ok(edited)
    }
}

fn field_of<'f>(found: &'f Found, name: &str) -> Option<&'f FieldValue> {
    found.fields.iter().find(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value)
}

/// Whether the CRM holds what was sent, in whatever form it writes it: numbers by value, moments by time, text without
/// the blanks around it. Where this says no to what is the same, a person's edit costs one write too many, and no more.
fn is_same(sent: &FieldValue, held: &FieldValue) -> bool {
    use FieldValue::{Bool, Null, Number, Text};
    match (sent, held) {
        (Null, Null | Bool(false)) => true,
        (Text(text), Null) | (Null, Text(text)) => text.trim().is_empty(),
        (Bool(a), Bool(b)) => a == b,
        (Number(a) | Text(a), Number(b) | Text(b)) => {
            a.trim() == b.trim()
                || number(a).is_some_and(|a| number(b) == Some(a))
                || moment(a).is_some_and(|a| moment(b) == Some(a))
        }
        _ => false,
    }
}

fn number(text: &str) -> Option<Decimal> {
    text.parse().ok().or_else(|| Decimal::from_scientific(text).ok())
}

/// The CRM writes `2026-01-31T08:00:00.000+0000`.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.strip_suffix("+0000").map_or_else(|| text.to_owned(), |text| format!("{text}Z"));
    text.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_crm_writes_in_its_own_form_is_the_same() {
        let text = |text: &str| FieldValue::Text(text.into());
        let number = |text: &str| FieldValue::Number(text.into());
        for (sent, held, same) in [
            (text("Ada"), text("Ada"), true),
            (text(" Ada "), text("Ada"), true),
            (text("Ada"), text("ada"), false),
            (text("Ada"), FieldValue::Null, false),
            (text(""), FieldValue::Null, true),
            (FieldValue::Null, FieldValue::Bool(false), true),
            (FieldValue::Null, FieldValue::Bool(true), false),
            (FieldValue::Bool(true), FieldValue::Bool(true), true),
            (number("12.50"), number("12.5"), true),
            (number("12.50"), number("1.25E1"), true),
            (number("12.50"), number("12.51"), false),
            (text("12"), number("12.0"), true),
            (text("2026-01-31T08:00:00Z"), text("2026-01-31T08:00:00.000+0000"), true),
            (text("2026-01-31T08:00:00Z"), text("2026-01-31T08:00:01.000+0000"), false),
            (text("2026-01-31"), text("2026-01-31"), true),
        ] {
            assert_eq!(is_same(&sent, &held), same, "{sent:?} {held:?}");
        }
    }
}
