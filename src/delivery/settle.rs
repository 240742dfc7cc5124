//! What is noted of verdicts and of outcomes: one batch {accepted, parked, dead letters, entries done}.

use passerelle_change::{Micros, Outcome, Position, Refusal, Seq, Write, WriteOp};
use passerelle_state::{DeadLetter, DeliveryBatch, Link, MappingId, ParkedWhy, Record, RecordId, StateError, Store};

use super::lane::{Entry, Lane, Origin};
use super::parents::RowName;
use super::prepare::{Plan, Then};
use crate::config::model::OnGone;

/// A record that the CRM can't take now is tried so often before it is a dead letter.
pub(super) const MOST_ATTEMPTS: u32 = 20;
/// Refusals with one code and nothing accepted between that hold a mapping (STATE.md, rule 9).
pub(super) const REFUSALS_HOLD: u32 = 50;

/// Notes for one batch.
pub(super) struct Notes<'s> {
    pub store: &'s Store,
    pub batch: DeliveryBatch<'s>,
    /// Microseconds since 1970.
    pub now: u64,
    /// The checkpoint, for dead letters.
    pub position: Option<Position>,
    /// Parent rows whose children are to be looked at again.
    pub wake: Vec<RowName>,
    /// Rows that will not come: whoever waits for one of them goes without it.
    pub given_up: Vec<RowName>,
    /// References that this batch adds, parent first: the state does not show them yet.
    pub(super) referred: Vec<(RowName, RowName)>,
}

/// What a row's settlement leaves to do.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing: the row is settled.
    Settled,
    /// It is to be looked at again at once.
    Again,
}

impl<'s> Notes<'s> {
    pub(super) fn new(store: &'s Store, now: u64, position: Option<Position>) -> Self {
        Self {
            store,
            batch: DeliveryBatch::new(store),
            now,
            position,
            wake: Vec::new(),
            given_up: Vec::new(),
            referred: Vec::new(),
        }
    }

    /// The row does not stand anywhere any more.
    pub(super) fn done(&mut self, lane: &mut Lane, entry: &Entry) -> Result<(), StateError> {
        let stands_in = lane.stands_in(entry);
        match &entry.origin {
            Origin::Queue(..) => {
                if let Some(queued) = entry.queued() {
                    self.batch.dequeue(stands_in, &queued);
                }
            }
            Origin::Parked { due, .. } => self.batch.unpark(stands_in, *due, &entry.row_key)?,
            Origin::Marked(marked) => self.batch.unmark(stands_in, marked)?,
            Origin::Scan { .. } | Origin::Hint => {}
        }
        lane.settled(self.store, entry)
    }

    /// The row is reconciled without a call.
    pub(super) fn note(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        link: Option<&Link>,
        was: Option<&Link>,
        record: Option<&(RecordId, Record)>,
    ) -> Result<(), StateError> {
        if let Some((id, record)) = record {
            self.batch.record(*id, Some(record));
        }
        self.relink(lane, &entry.row_key, link, was)?;
        self.forget_trouble(lane, &entry.row_key)?;
        lane.figures.unchanged += 1;
        if lane.has_children && link.is_none_or(|link| link.record.is_none()) {
            self.given_up.push((lane.id, entry.row_key.clone()));
        }
        self.done(lane, entry)
    }

    /// The row leaves its record, and is looked at again.
    pub(super) fn unlink(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        link: &Link,
        id: RecordId,
    ) -> Result<(), StateError> {
        if let Some(mut record) = self.store.record(id)? {
            record.fields.retain(|_, field| field.owner != lane.id);
            self.batch.record(id, Some(&record));
        }
        let alone = Link { record: None, ..link.clone() };
        self.relink(lane, &entry.row_key, Some(&alone), Some(link))?;
        Ok(())
    }

    /// Writes the link, and what hangs on it: membership, references.
    pub(super) fn relink(
        &mut self,
        lane: &mut Lane,
        row_key: &[u8],
        link: Option<&Link>,
        was: Option<&Link>,
    ) -> Result<(), StateError> {
        let (record, before) = (link.and_then(|link| link.record), was.and_then(|was| was.record));
        if record != before {
            if let Some(before) = before {
                self.settle_key(before, record)?;
                self.batch.member(before, lane.id, row_key, false);
                lane.figures.records = lane.figures.records.saturating_sub(1);
            }
            if let Some(record) = record {
                self.batch.member(record, lane.id, row_key, true);
                lane.figures.records += 1;
                lane.has_begun(row_key);
            }
            if lane.has_children {
                self.wake.push((lane.id, row_key.to_vec()));
            }
        }
        self.refer(lane.id, row_key, link.map_or(&[], |link| &link.parents), was.map_or(&[], |was| &was.parents));
        self.batch.link(lane.id, row_key, link);
        Ok(())
    }

    pub(super) fn refer(&mut self, mapping: MappingId, row_key: &[u8], parents: &[RowName], before: &[RowName]) {
        for gone in before.iter().filter(|parent| !parents.contains(parent)) {
            self.batch.backref((gone.0, &gone.1), (mapping, row_key), false);
        }
        self.refer_to(mapping, row_key, parents, before);
    }

    /// Notes which rows a row refers to beside those of `before`: they wake it when they come or go.
    pub(super) fn refer_to(&mut self, mapping: MappingId, row_key: &[u8], parents: &[RowName], before: &[RowName]) {
        for new in parents.iter().filter(|parent| !before.contains(parent)) {
            self.batch.backref((new.0, &new.1), (mapping, row_key), true);
            self.referred.push((new.clone(), (mapping, row_key.to_vec())));
        }
    }

    pub(super) fn forget_trouble(&mut self, lane: &Lane, row_key: &[u8]) -> Result<(), StateError> {
        if self.store.dead_letter(lane.id, row_key)?.is_some() {
            self.batch.dead(lane.id, row_key, None);
        }
        if self.store.waiting(lane.id, row_key)?.is_some() {
            self.batch.waiting(lane.id, row_key, None);
        }
        Ok(())
    }

    /// Keeps the row as a dead letter. Its next change tries again.
    #[expect(clippy::too_many_arguments, reason = "the parts of a dead letter, each once")]
    pub(super) fn dead(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        seq: Seq,
        was: Option<&Link>,
        refusal: Refusal,
        key: String,
        parents: &[RowName],
        payload: String,
    ) -> Result<(), StateError> {
        let at = Micros(i64::try_from(self.now).unwrap_or(i64::MAX));
        let before = self.store.dead_letter(lane.id, &entry.row_key)?;
        let letter = DeadLetter {
            key,
            object: lane.config.object.to_string(),
            seq,
            position: self.position.clone(),
            payload,
            first_at: before.as_ref().map_or(at, |letter| letter.first_at),
            last_at: at,
            attempts: before.map_or(0, |letter| letter.attempts) + 1,
            refusal,
        };
        if lane.refusals.0 != letter.refusal.code {
            lane.refusals = (letter.refusal.code.clone(), 0);
        }
        lane.refusals.1 += 1;
        self.batch.dead(lane.id, &entry.row_key, Some(&letter));
        if self.store.waiting(lane.id, &entry.row_key)?.is_some() {
            self.batch.waiting(lane.id, &entry.row_key, None);
        }
        self.refer(lane.id, &entry.row_key, parents, &[]);
        let link = Link {
            seq,
            revision: lane.revision(),
            record: was.and_then(|was| was.record),
            parents: was.map_or_else(|| parents.to_vec(), |was| was.parents.clone()),
        };
        self.batch.link(lane.id, &entry.row_key, Some(&link));
        if lane.has_children {
            self.given_up.push((lane.id, entry.row_key.clone()));
        }
        self.done(lane, entry)
    }

    /// One write's outcome.
    pub(super) fn outcome(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        plan: Plan,
        outcome: Outcome,
    ) -> Result<After, StateError> {
        if matches!(plan.then, Then::Ahead { .. }) {
            return self.went_ahead(lane, entry, plan, &outcome);
        }
        if matches!(plan.then, Then::LetGo { .. }) {
            return self.let_go(lane, entry, &plan, outcome);
        }
        match outcome {
            Outcome::Accepted { crm_id, .. } => self.accepted(lane, entry, plan, crm_id),
            Outcome::Rejected(refusal) => {
                self.refused(lane, entry, &plan, refusal)?;
                Ok(After::Settled)
            }
            Outcome::Missing => self.missing(lane, entry, plan),
            Outcome::ParentMissing(refusal) | Outcome::Retry { refusal, .. } => {
                if entry.attempts() >= MOST_ATTEMPTS {
                    self.refused(lane, entry, &plan, refusal)?;
                } else {
                    self.park(lane, entry, ParkedWhy::Retry)?;
                }
                Ok(After::Settled)
            }
        }
    }

    pub(super) fn refused(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        plan: &Plan,
        refusal: Refusal,
    ) -> Result<(), StateError> {
        let key = plan.write.key.to_string();
        let payload = payload(&plan.write);
        let mut was = plan.was.clone();
        if let (true, Some(link)) = (plan.first, &mut was)
            && let Some(id) = link.record.take()
        {
            self.batch.record(id, None);
            self.batch.member(id, lane.id, &entry.row_key, false);
            lane.figures.records = lane.figures.records.saturating_sub(1);
        }
        self.dead(lane, entry, plan.seq, was.as_ref(), refusal, key, &plan.parents, payload)
    }

    /// A write is about to be sent. What a creation makes is known before it can be there, so that a record whose answer
    /// is never noted is found again; what an update changes is unknown until its answer is noted, so that it is sent
    /// again even if the row changes back meanwhile. Tells whether it is a creation.
    pub(super) fn intend(&mut self, lane: &mut Lane, entry: &Entry, plan: &mut Plan) -> Result<(), StateError> {
        let (id, after) = match &plan.then {
            Then::Holds { id, was, .. } if plan.write.op == WriteOp::Update => {
                return self.forget(was.unwrap_or(*id), *id, &plan.write);
            }
            Then::Stepped { id, was, .. } => return self.forget(*was, *id, &plan.write),
            Then::Holds { id, after, .. } => (id, after),
            Then::Departed { id, .. } | Then::Ahead { id, .. } => return self.forget(*id, *id, &plan.write),
            Then::LetGo { id } if plan.write.op == WriteOp::Update => return self.forget(*id, *id, &plan.write),
            Then::Deleted { id } | Then::LetGo { id } => {
                // Should the row come back before the answer is known, all of it is sent, and finds out.
                if let Some(record) = self.store.record(*id)? {
                    self.batch.record(*id, Some(&Record { fields: std::collections::BTreeMap::new(), ..record }));
                }
                return Ok(());
            }
            Then::Found { .. } => return Ok(()),
        };
        let is_new = plan.was.as_ref().is_none_or(|was| was.record.is_none());
        if plan.write.op != WriteOp::Upsert || plan.write.crm_id.is_some() || !is_new {
            return Ok(());
        }
        let record = Record { key: after.key.clone(), ..Record::default() };
        let before = plan.was.take();
        let (seq, revision) = before.as_ref().map_or((Seq::ZERO, 0), |was| (was.seq, was.revision));
        let parents = before.map(|was| was.parents).unwrap_or_default();
        let link = Link { seq, revision, record: Some(*id), parents };
        self.batch.record(*id, Some(&record));
        self.batch.member(*id, lane.id, &entry.row_key, true);
        self.batch.link(lane.id, &entry.row_key, Some(&link));
        lane.figures.records += 1;
        lane.has_begun(&entry.row_key);
        (plan.was, plan.first) = (Some(link), true);
        Ok(())
    }

    /// What a write changes of a record is not known any more. A key that it is to take is claimed for it.
    fn forget(&mut self, id: RecordId, to: RecordId, write: &Write) -> Result<(), StateError> {
        let Some(mut record) = self.store.record(id)? else { return Ok(()) };
        for (name, _) in &write.fields {
            record.fields.remove(&**name);
        }
        if write.moves_key() && !record.perhaps.contains(&to) {
            record.perhaps.push(to);
        }
        self.batch.record(id, Some(&record));
        if to != id {
            let claim = Record { key: write.key.to_string(), claim_of: Some(id), ..Record::default() };
            self.batch.record(to, Some(&claim));
        }
        Ok(())
    }

    /// The record at `id` has one key for sure, at `to`, or nobody of ours feeds it any more: its claims end. Of one that
    /// nobody feeds and whose key is not known, nothing is kept.
    fn settle_key(&mut self, id: RecordId, to: Option<RecordId>) -> Result<(), StateError> {
        let perhaps = self.store.record(id)?.map(|record| record.perhaps).unwrap_or_default();
        for claimed in perhaps.iter().filter(|claimed| Some(**claimed) != to && **claimed != id) {
            self.batch.record(*claimed, None);
        }
        if to.is_none() && !perhaps.is_empty() {
            self.batch.record(id, None);
        }
        Ok(())
    }

    fn accepted(&mut self, lane: &mut Lane, entry: &Entry, plan: Plan, crm_id: String) -> Result<After, StateError> {
        if let Then::Found { id, mut record } = plan.then {
            record.crm_id = Some(crm_id);
            self.batch.record(id, Some(&record));
            return Ok(After::Again);
        }
        lane.refusals = (String::new(), 0);
        lane.figures.delivered += 1;
        lane.last_delivered_at = Some(Micros(i64::try_from(self.now).unwrap_or(i64::MAX)));
        let revision = lane.revision();
        let link = |record| Link { seq: plan.seq, revision, record, parents: plan.parents.clone() };
        match plan.then {
            Then::Holds { id, was, mut after } => {
                if !crm_id.is_empty() && after.crm_id.as_ref() != Some(&crm_id) {
                    after.crm_id = Some(crm_id);
                    if lane.has_children {
                        // Made anew, after a person deleted it: what referred to it does so no more.
                        self.wake.push((lane.id, entry.row_key.clone()));
                    }
                }
                if plan.write.moves_key() {
                    self.settle_key(was.unwrap_or(id), Some(id))?;
                }
                if let Some(was) = was.filter(|was| *was != id) {
                    self.batch.record(was, None);
                }
                self.batch.record(id, Some(&after));
                let link = link(Some(id));
                // A record that began with other values than it is to have is looked at again, also after a crash. A row of
                // a load may be of no sequence: only the revision tells that it is not settled.
                let link = if plan.begins { Link { seq: Seq::ZERO, revision: 0, ..link } } else { link };
                self.relink(lane, &entry.row_key, Some(&link), plan.was.as_ref())?;
                lane.reach.absent.remove(&id);
                if lane.has_children && plan.write.op == WriteOp::Upsert {
                    self.wake.push((lane.id, entry.row_key.clone()));
                }
                self.forget_trouble(lane, &entry.row_key)?;
                if plan.begins {
                    return Ok(After::Again);
                }
                self.done(lane, entry)?;
                Ok(After::Settled)
            }
            Then::Stepped { id, was, mut after } => {
                self.settle_key(was, Some(id))?;
                after.perhaps.clear();
                self.batch.record(was, None);
                self.batch.record(id, Some(&after));
                let before = plan.was.clone().unwrap_or_else(|| link(Some(was)));
                let stepped = Link { record: Some(id), ..before };
                self.relink(lane, &entry.row_key, Some(&stepped), plan.was.as_ref())?;
                Ok(After::Again)
            }
            Then::Deleted { id } if plan.seq == Seq::ZERO => {
                // Given up for another record, which the row joins now.
                self.batch.record(id, None);
                let before = plan.was.clone().unwrap_or_else(|| link(None));
                self.relink(lane, &entry.row_key, Some(&Link { record: None, ..before }), plan.was.as_ref())?;
                Ok(After::Again)
            }
            Then::Deleted { id } => {
                self.batch.record(id, None);
                self.departed(lane, entry, plan.was.as_ref(), &link(None), plan.gone)?;
                Ok(After::Settled)
            }
            // Answered above, or elsewhere.
            Then::Found { .. } | Then::Ahead { .. } | Then::LetGo { .. } => Ok(After::Again),
            Then::Departed { id, after } => {
                self.batch.record(id, Some(&after));
                self.departed(lane, entry, plan.was.as_ref(), &link(None), plan.gone)?;
                Ok(After::Settled)
            }
        }
    }

    /// The row feeds no record any more; of a row that is gone nothing is kept.
    fn departed(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        was: Option<&Link>,
        link: &Link,
        gone: bool,
    ) -> Result<(), StateError> {
        self.relink(lane, &entry.row_key, (!gone).then_some(link), was)?;
        self.forget_trouble(lane, &entry.row_key)?;
        self.done(lane, entry)
    }

    /// A person deleted the record in the CRM.
    fn missing(&mut self, lane: &mut Lane, entry: &Entry, plan: Plan) -> Result<After, StateError> {
        if plan.write.op == WriteOp::Delete {
            return self.accepted(lane, entry, plan, String::new());
        }
        if let Then::Found { id, .. } = &plan.then {
            lane.reach.is_absent(*id);
            self.batch.record(*id, None);
            let before = plan.was.as_ref();
            let alone = before.map(|was| Link { record: None, ..was.clone() });
            self.relink(lane, &entry.row_key, alone.as_ref(), before)?;
            return Ok(After::Again);
        }
        if lane.config.on_gone == OnGone::Reject {
            let message = "the record was deleted in the CRM; see on_gone".to_owned();
            let refusal = Refusal { code: "RECORD_GONE".into(), message, fields: Vec::new() };
            self.refused(lane, entry, &plan, refusal)?;
            return Ok(After::Settled);
        }
        match &plan.then {
            Then::Holds { id, was, .. } => {
                let known = was.unwrap_or(*id);
                self.settle_key(known, Some(known))?;
                let key = self.store.record(known)?.map(|record| record.key).unwrap_or_default();
                self.batch.record(known, Some(&Record { key, ..Record::default() }));
            }
            Then::Stepped { was, .. } => {
                self.settle_key(*was, Some(*was))?;
                let key = self.store.record(*was)?.map(|record| record.key).unwrap_or_default();
                self.batch.record(*was, Some(&Record { key, ..Record::default() }));
            }
            Then::Deleted { .. }
            | Then::Departed { .. }
            | Then::Found { .. }
            | Then::Ahead { .. }
            | Then::LetGo { .. } => {
                return self.accepted(lane, entry, plan, String::new());
            }
        }
        Ok(After::Again)
    }
}

/// What was sent, for people to read in a dead letter.
pub(super) fn payload(write: &Write) -> String {
    use passerelle_change::FieldValue;
    let json = |value: &FieldValue| match value {
        FieldValue::Null => serde_json::Value::Null,
        FieldValue::Bool(b) => (*b).into(),
        FieldValue::Number(n) => n.clone().into(),
        FieldValue::Text(text) => text.clone().into(),
        FieldValue::Reference { key_field, key } => serde_json::json!({ key_field: key }),
        FieldValue::ReferenceById(crm_id) => serde_json::json!({ "id": crm_id }),
    };
    let mut fields = serde_json::Map::new();
    fields.insert(write.key_field.to_string(), json(&write.key));
    fields.extend(write.fields.iter().map(|(name, value)| (name.to_string(), json(value))));
    serde_json::Value::Object(fields).to_string()
}
