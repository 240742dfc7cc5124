//! Records that their rows have left: `on_key_change = "recreate"`.
//!
//! A row whose external key changes leaves its record, and goes on like any row that feeds none: a new record is made, or
//! one that is there already is joined. What refers to the row is looked at again, as when a parent was made anew. The
//! record that it left is noted in the same batch, under a name of its own among the rows set aside
//! ([`passerelle_change::key::left_behind`]), and goes as `on_delete` says, behind the guard, once
//!
//! - the row's new record is in the CRM, or the row is gone or has no record by its mapping's own rules, and
//! - no record of ours refers to it any more: some vendors delete children together with their parent, and
//! - no other row waits for its key, to join it.
//!
//! Each step is durable before the next is taken, so a crash goes on where it was. A record that is fed again meanwhile
//! stays.

use std::sync::Arc;

use passerelle_change::key::{left_behind, of_left_behind};
use passerelle_change::{FieldValue, Micros, Outcome, Seq, Write, WriteOp};
use passerelle_state::{DeliveryBatch, Link, MappingId, Parked, ParkedRow, ParkedWhy, Record, RecordId, StateError};

use super::engine::Engine;
use super::lane::{Entry, Lane};
use super::parents::RowName;
use super::prepare::{Plan, Subject, Then, Verdict, World, on_its_way};
use super::settle::{After, MOST_ATTEMPTS, Notes, payload};
use crate::config::model::{Departure, FieldSource, OnKeyChange};
use crate::mapping::Desired;

/// Rows set aside that are looked at before a record goes: those whose key is taken are due soon, so they stand first.
const LOOKS: usize = 200;

impl Subject<'_> {
    /// Whether the row leaves its record for a new one, rather than to have it renamed. A renaming in doubt is seen to
    /// its end first.
    pub(super) fn leaves(&self, record: &Record) -> bool {
        self.lane.config.on_key_change == OnKeyChange::Recreate
            && !self.lane.config.observe
            && record.crm_id.is_some()
            && record.perhaps.is_empty()
    }
}

/// The record and the row that a name stands for, where it is that of a record that was left.
pub(super) fn of_name(name: &[u8]) -> Option<(RecordId, &[u8])> {
    let (row_key, record) = of_left_behind(name)?;
    let (object, hash) = record.split_first_chunk::<4>()?;
    Some((RecordId { object: u32::from_be_bytes(*object), hash: hash.try_into().ok()? }, row_key))
}

fn name_of(id: RecordId, row_key: &[u8]) -> Vec<u8> {
    let mut record = id.object.to_be_bytes().to_vec();
    record.extend_from_slice(&id.hash);
    left_behind(row_key, &record)
}

/// Decides about a record that its row has left.
pub(super) fn former(
    world: &World<'_>,
    lane: &Lane,
    entry: &Entry,
    (id, row_key): (RecordId, &[u8]),
) -> Result<Verdict, StateError> {
    let store = world.store;
    let over = Verdict::Note { link: None, was: None, record: None };
    // A row that changed its row key takes the name along.
    if store.parked(lane.id, &entry.row_key)?.is_none() {
        return Ok(Verdict::Drop);
    }
    if world.is_busy(id) {
        return Ok(Verdict::Busy(id));
    }
    let Some(record) = store.record(id)? else { return Ok(over) };
    let is_fed = !store.members(id, 1)?.is_empty() || record.claim_of.is_some();
    let Some(crm_id) = record.crm_id.clone().filter(|_| !is_fed && *lane.config.on_replaced() != Departure::Ignore)
    else {
        return Ok(over);
    };
    if lane.config.observe || !lane.names(row_key) {
        return Ok(Verdict::Park(ParkedWhy::LeftOut));
    }
    if !is_replaced(world, lane, row_key)?
        || is_referred_to(world, (lane.id, row_key), &crm_id)?
        || is_awaited(world, lane, id)?
    {
        return Ok(Verdict::Park(ParkedWhy::Left));
    }
    let (op, fields) = match lane.config.on_replaced() {
        Departure::Delete => (WriteOp::Delete, Vec::new()),
        Departure::Set(fields) => {
            let differs = |(name, value): &&(Arc<str>, FieldValue)| {
                record.fields.get(&**name).is_none_or(|known| known.hash != store.field_hash(value))
            };
            (WriteOp::Update, fields.iter().filter(differs).cloned().collect())
        }
        Departure::Ignore => return Ok(over),
    };
    if op == WriteOp::Update && fields.is_empty() {
        return Ok(over);
    }
    let write = Write {
        object: Arc::clone(&lane.config.object),
        op,
        key_field: Arc::clone(&lane.config.key_field),
        key: FieldValue::Text(record.key),
        crm_id: Some(crm_id),
        fields,
    };
    Ok(Verdict::Send(Box::new(Plan::new(write, Then::LetGo { id }, Seq::ZERO, None))))
}

/// The row feeds another record that is in the CRM, or none for good. One that is a dead letter may still get one.
fn is_replaced(world: &World<'_>, lane: &Lane, row_key: &[u8]) -> Result<bool, StateError> {
    let store = world.store;
    let link = store.link(lane.id, row_key)?;
    if let Some(new) = link.as_ref().and_then(|link| link.record) {
        return Ok(store.record(new)?.is_some_and(|record| record.crm_id.is_some()));
    }
    if store.dead_letter(lane.id, row_key)?.is_some() {
        return Ok(false);
    }
    let Some(row) = world.view.row(lane.table, row_key)?.filter(|row| lane.swept.is_there(row)) else {
        return Ok(true);
    };
    Ok(link.is_some_and(|link| link.seq >= row.seq && link.revision == lane.revision()))
}

/// Whether a row that found the record's key taken is about to join it.
fn is_awaited(world: &World<'_>, lane: &Lane, id: RecordId) -> Result<bool, StateError> {
    for ParkedRow { row_key, parked, .. } in world.store.due(lane.id, u64::MAX, LOOKS)? {
        if parked.why != ParkedWhy::KeyTaken {
            continue;
        }
        let row = world.view.row(lane.table, &row_key)?.filter(|row| lane.swept.is_there(row));
        let desired = row.map(|row| world.desired(lane, &row_key, &row)).transpose()?;
        if let Some(Desired::Present(desired)) = desired
            && world.store.record_id(lane.object_id, &desired.key) == id
        {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether a record of ours refers to the one with this id, or may do so: one whose reference is not known, since its turn
/// is still to come or the CRM refused it.
fn is_referred_to(world: &World<'_>, parent: (MappingId, &[u8]), crm_id: &str) -> Result<bool, StateError> {
    let store = world.store;
    let former = store.field_hash(&FieldValue::Text(crm_id.to_owned()));
    let Some(parent_name) = world.lane(parent.0).map(|lane| Arc::clone(&lane.config.name)) else { return Ok(false) };
    for (mapping, row_key) in store.children(parent, usize::MAX)? {
        let Some(lane) = world.lane(mapping) else { continue };
        let Some(id) = store.link(mapping, &row_key)?.and_then(|link| link.record) else { continue };
        let Some(record) = store.record(id)? else { continue };
        if record.crm_id.is_none() || record.fields.values().any(|field| field.hash == former) {
            return Ok(true);
        }
        let refers = |source: &FieldSource| source.parents().iter().any(|mapping| **mapping == *parent_name);
        let mut references = lane.config.fields.iter().filter(|field| refers(&field.value));
        let is_unknown = references.any(|field| !record.fields.contains_key(&*field.name));
        let has_its_turn = || -> Result<bool, StateError> {
            Ok(on_its_way(world, lane, &row_key).is_some()
                || world.is_busy(id)
                || store.parked(mapping, &row_key)?.is_some()
                || store.waiting(mapping, &row_key)?.is_some()
                || store.dead_letter(mapping, &row_key)?.is_some())
        };
        if is_unknown && has_its_turn()? {
            return Ok(true);
        }
    }
    Ok(false)
}

impl Notes<'_> {
    /// The row leaves its record, which is noted, and is looked at again.
    pub(super) fn leave(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        link: &Link,
        id: RecordId,
    ) -> Result<(), StateError> {
        let parked = Parked { seq: Seq::ZERO, attempts: 0, since: entry.since.clone(), why: ParkedWhy::Left };
        self.batch.park(lane.id, self.now, &name_of(id, &entry.row_key), &parked)?;
        let alone = Link { record: None, ..link.clone() };
        self.relink(lane, &entry.row_key, Some(&alone), Some(link))
    }

    /// What became of a record that its row has left.
    pub(super) fn let_go(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        plan: &Plan,
        outcome: Outcome,
    ) -> Result<After, StateError> {
        let Then::LetGo { id } = plan.then else { return Ok(After::Settled) };
        match outcome {
            Outcome::Accepted { .. } | Outcome::Missing => {
                lane.refusals = (String::new(), 0);
                lane.figures.delivered += 1;
                lane.last_delivered_at = Some(Micros(i64::try_from(self.now).unwrap_or(i64::MAX)));
                if plan.write.op == WriteOp::Delete || outcome == Outcome::Missing {
                    self.batch.record(id, None);
                }
                self.batch.link(lane.id, &entry.row_key, None);
                self.forget_trouble(lane, &entry.row_key)?;
                self.done(lane, entry)?;
            }
            Outcome::Retry { .. } | Outcome::ParentMissing(_) if entry.attempts() < MOST_ATTEMPTS => {
                self.park(lane, entry, ParkedWhy::Retry)?;
            }
            Outcome::Rejected(refusal) | Outcome::ParentMissing(refusal) | Outcome::Retry { refusal, .. } => {
                let key = plan.write.key.to_string();
                self.dead(lane, entry, Seq::ZERO, None, refusal, key, &[], payload(&plan.write))?;
            }
        }
        Ok(After::Settled)
    }
}

impl Engine<'_> {
    /// The records that a moved row has left go on under its new name.
    pub(super) fn take_along(
        &self,
        batch: &mut DeliveryBatch<'_>,
        from: &RowName,
        to: &RowName,
    ) -> Result<(), StateError> {
        for ParkedRow { due, row_key: name, parked } in self.store.parked_under(from.0, &left_behind(&from.1, &[]))? {
            if let Some((id, _)) = of_name(&name) {
                batch.unpark(from.0, due, &name)?;
                batch.park(to.0, due, &name_of(id, &to.1), &parked)?;
            }
        }
        Ok(())
    }
}
