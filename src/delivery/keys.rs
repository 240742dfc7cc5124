//! External keys: which record has one, which may have it, and how rows take them from one another.
//!
//! A record is renamed by its id, once its new key is free. Until the answer to a renaming is known, the record may have
//! either key: the new one is claimed, and nobody else takes it.

use std::sync::Arc;

use passerelle_change::{FieldValue, Refusal, Seq, WriteOp};
use passerelle_state::{Link, ParkedWhy, Record, RecordId, StateError};

use super::parents::RowName;
use super::prepare::{Plan, Subject, Then, Verdict};
use super::reconcile::{Standing, Wanted};
use crate::config::model::{Departure, OnCollision};
use crate::mapping::Desired;

impl Subject<'_> {
    /// The external key of a record that the row feeds has changed: renamed by id, when the new key is free.
    pub(super) fn renamed(&self, wanted: &Wanted, old: RecordId) -> Result<Result<Record, Verdict>, StateError> {
        let world = self.world;
        let known = world.store.record(old)?;
        let is_unanswered = known.as_ref().is_some_and(|record| record.crm_id.is_none());
        let record = known.unwrap_or_default();
        let Some(link) = self.link.clone() else { return Ok(Ok(record)) };
        if is_unanswered {
            return Ok(Err(self.find(&link, old, record)));
        }
        let is_us = |(mapping, key): &RowName| *mapping == self.lane.id && *key == self.entry.row_key;
        if world.store.members(old, 2)?.iter().any(|member| !is_us(member)) {
            return Ok(Err(Verdict::Unlink { link, id: old }));
        }
        if self.leaves(&record) {
            return Ok(Err(Verdict::Leave { link, id: old }));
        }
        let holders = match self.standing_at(wanted.id)? {
            None => return Ok(Ok(record)),
            Some((at, _)) if at == old => return Ok(Ok(record)),
            Some((at, _)) => world.store.members(at, 4)?,
        };
        let holders: Vec<_> = holders.into_iter().filter(|held| !is_us(held)).collect();
        if holders.is_empty() {
            // Nobody feeds the record that has this key. It is joined, once ours has gone as a deleted row's would.
            return Ok(Err(self.give_up(link, old, &record)));
        }
        let mut circle = false;
        for holder in &holders {
            match self.wish_of(holder)? {
                Some(wish) if wish == wanted.id => {
                    return Ok(Err(if self.lane.config.on_collision == OnCollision::Newest {
                        self.give_up(link, old, &record)
                    } else {
                        Verdict::Dead {
                            refusal: key_collision(),
                            key: wanted.key.clone(),
                            seq: self.seq,
                            parents: Vec::new(),
                        }
                    }));
                }
                Some(wish) => circle |= self.leads_to(wish, old)?,
                None => {}
            }
        }
        Ok(Err(if circle { self.step_aside(old, record) } else { Verdict::Park(ParkedWhy::KeyTaken) }))
    }

    /// The row's own record goes as `on_delete` says, so that the row can join another.
    fn give_up(&self, link: Link, old: RecordId, record: &Record) -> Verdict {
        let Some(crm_id) = record.crm_id.clone().filter(|_| *self.lane.config.on_replaced() == Departure::Delete)
        else {
            return Verdict::Unlink { link, id: old };
        };
        let write = self.write(WriteOp::Delete, &record.key, Some(crm_id), Vec::new());
        let was = Some(Link { seq: Seq::ZERO, ..link });
        Verdict::Send(Box::new(Plan::new(write, Then::Deleted { id: old }, Seq::ZERO, was)))
    }

    /// Keys swapped in a circle: this record takes a temporary key, so that the others can move.
    fn step_aside(&self, old: RecordId, mut record: Record) -> Verdict {
        let key = format!("passerelle-{:08x}-{:016x}", self.lane.id.0, self.seq.0);
        let id = self.world.store.record_id(self.lane.object_id, &key);
        let fields = vec![(Arc::clone(&self.lane.config.key_field), FieldValue::Text(key.clone()))];
        let write = self.write(WriteOp::Update, &key, record.crm_id.clone(), fields);
        record.key = key;
        let then = Then::Stepped { id, was: old, after: record };
        Verdict::Send(Box::new(Plan::new(write, then, self.seq, self.link.clone())))
    }

    /// The record that has a key, or may have it, and its address.
    fn standing_at(&self, id: RecordId) -> Result<Option<(RecordId, Record)>, StateError> {
        let store = self.world.store;
        let Some(record) = store.record(id)? else { return Ok(None) };
        let Some(owner) = record.claim_of else { return Ok(Some((id, record))) };
        Ok(store.record(owner)?.filter(|owner| owner.perhaps.contains(&id)).map(|record| (owner, record)))
    }

    /// The record address that a row wants now; `None` when it wants none.
    fn wish_of(&self, (mapping, row_key): &RowName) -> Result<Option<RecordId>, StateError> {
        let world = self.world;
        let Some(lane) = world.lane(*mapping) else { return Ok(None) };
        let Some(row) = world.view.row(lane.table, row_key)? else { return Ok(None) };
        if !lane.swept.is_there(&row) {
            return Ok(None);
        }
        Ok(match world.desired(lane, row_key, &row)? {
            Desired::Present(record) => Some(world.store.record_id(lane.object_id, &record.key)),
            Desired::Left | Desired::Deleted | Desired::Apart | Desired::Incomplete { .. } | Desired::Refused(_) => {
                None
            }
        })
    }

    /// Whether the wishes of those who hold `from`, and so on, come back to `to`.
    fn leads_to(&self, mut from: RecordId, to: RecordId) -> Result<bool, StateError> {
        for _ in 0..16 {
            if from == to {
                return Ok(true);
            }
            let Some((at, _)) = self.standing_at(from)? else { return Ok(false) };
            let Some(holder) = self.world.store.members(at, 1)?.pop() else { return Ok(false) };
            match self.wish_of(&holder)? {
                Some(wish) if wish != from => from = wish,
                Some(_) | None => return Ok(false),
            }
        }
        Ok(false)
    }

    /// The row feeds no record yet: a new one, or one that is there already.
    pub(super) fn joined(&self, wanted: &Wanted) -> Result<Result<Standing, Verdict>, StateError> {
        let world = self.world;
        let Some((at, record)) = self.standing_at(wanted.id)? else { return Ok(Ok(Standing::Unknown)) };
        if at != wanted.id || !record.perhaps.is_empty() {
            // Which key the record has is not known: the row that feeds it finds out.
            return Ok(Err(Verdict::Park(ParkedWhy::KeyTaken)));
        }
        let is_us = |(mapping, key): &RowName| *mapping == self.lane.id && *key == self.entry.row_key;
        let members: Vec<_> = world.store.members(wanted.id, 8)?.into_iter().filter(|held| !is_us(held)).collect();
        if self.lane.config.on_collision == OnCollision::Reject {
            for member in members.iter().filter(|(mapping, _)| *mapping == self.lane.id) {
                match self.wish_of(member)? {
                    Some(wish) if wish == wanted.id => {
                        let (key, seq) = (wanted.key.clone(), self.seq);
                        return Ok(Err(Verdict::Dead { refusal: key_collision(), key, seq, parents: Vec::new() }));
                    }
                    // It is about to take another key, and its record with it.
                    Some(_) => return Ok(Err(Verdict::Park(ParkedWhy::KeyTaken))),
                    // It goes, and leaves the record to us.
                    None => {}
                }
            }
        }
        Ok(Ok(Standing::Joined { record, others: !members.is_empty() }))
    }
}

fn key_collision() -> Refusal {
    Refusal {
        code: "KEY_COLLISION".into(),
        message: "another row of this mapping feeds the record with this external key; see on_collision".into(),
        fields: Vec::new(),
    }
}
