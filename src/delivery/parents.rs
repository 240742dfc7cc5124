//! References between records: a parent is accepted before its child is sent, and a parent that never comes holds no
//! child for ever (STATE.md, rule 8).

use std::sync::Arc;

use passerelle_change::key::printed;
use passerelle_change::{FieldValue, Refusal};
use passerelle_state::unkept::key_of;
use passerelle_state::{Found, Hope, Link, MappingId, RecordId, RowBuf, StateError};

use super::lane::Lane;
use super::prepare::{World, on_its_way};
use super::reconcile::WantedField;
use crate::config::model::{Departure, Field, FieldSource, Missing};
use crate::mapping::{self, Desired, Target};

/// Steps along a chain of waiting rows before it counts as a circle.
const LONGEST_CHAIN: usize = 1_000;

/// A row of a mapping.
pub(super) type RowName = (MappingId, Vec<u8>);

/// A record's fields with their references looked up.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub fields: Vec<WantedField>,
    /// Reference fields whose parent is not in the CRM, with the rows that could be it.
    pub parentless: Vec<(Arc<str>, Vec<RowName>)>,
    /// Every parent row that is referred to.
    pub parents: Vec<RowName>,
    /// The records that are referred to by their external key: it must stay until the write is answered.
    pub named: Vec<RecordId>,
    /// The parent whose turn comes first.
    pub wait_for: Option<RowName>,
    /// Records that no mapping keeps and that nobody has asked the CRM for.
    pub unasked: Vec<RowName>,
    /// A reference without its parent that the record may not go without.
    pub missing: Option<Refusal>,
    /// One of the two that the record would join is not in the CRM: there is no record.
    pub apart: bool,
    /// The parents that are waited for although nobody says that they come.
    pub hoped: Hoped,
    /// A field names an absent column.
    pub incomplete: bool,
}

/// The parents that a row waits for, as `missing = "wait 1h"` says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Hoped {
    /// Each that is not there, and when the row first waited for it; also when that was too long ago.
    pub all: Vec<Hope>,
    /// The last moment at which one of them is still waited for, in microseconds since 1970, and one of those.
    pub until: Option<(u64, RowName)>,
}

/// How a parent stands.
enum Parent {
    /// In the CRM.
    Ready(Ready),
    /// It waits its turn.
    Coming,
    /// It is a dead letter, filtered out, unknown, or held.
    Missing,
}

/// A parent that is in the CRM under this external key; or about to take another, or perhaps under another.
struct Ready {
    id: RecordId,
    key_field: String,
    key: String,
    crm_id: String,
    is_moving: bool,
    /// Its row feeds it, and is going to.
    is_fed: bool,
}

/// How the rows stand that could be the parent.
enum Standing {
    /// This one is in the CRM.
    Ready(Ready),
    /// This one has its turn first.
    Coming(RowName),
    /// None of them is there or comes. `waits` unless one of them waits for the child.
    Missing { waits: bool },
}

/// Looks the references of a record up. `link` is what was known of its row before.
pub(super) fn resolve(
    world: &World<'_>,
    lane: usize,
    (row_key, link): (&[u8], Option<&Link>),
    record: mapping::Record,
) -> Result<Resolved, StateError> {
    let config = &world.lanes[lane].config;
    let child = (world.lanes[lane].id, row_key.to_vec());
    let mut search = Search { world, child, link, hopes: None, resolved: Resolved::default() };
    for field in record.fields {
        let Some(known) = config.fields.get(field.index) else { continue };
        let mut first = known.on_create.clone().map(|value| (world.store.field_hash(&value), value));
        let mut create_only = known.create_only;
        let rows = candidates(&field.target, &search.child);
        let (value, hash) = match field.target {
            Target::Set(value) => (value, None),
            Target::Omitted => {
                // A value that is bad: a new record begins all the same.
                let is_bad = record.bad.iter().any(|bad| bad.index == field.index);
                let Some((_, value)) = first.take().filter(|_| is_bad) else { continue };
                create_only = true;
                (value, None)
            }
            Target::Absent => {
                search.resolved.incomplete = true;
                continue;
            }
            Target::Reference { .. } | Target::Own(_) => {
                let Some((value, hash)) = search.reference(known, rows)? else {
                    search.resolved.apart |= field.index < config.ends();
                    continue;
                };
                (value, Some(hash))
            }
            Target::Unkept(value) => {
                let Some(line) = world.lanes[lane].lines.get(&field.index) else { continue };
                let Some((value, hash)) = search.unkept(known, (*line, key_of(&value)))? else {
                    search.resolved.apart |= field.index < config.ends();
                    continue;
                };
                (value, Some(hash))
            }
        };
        let hash = hash.unwrap_or_else(|| world.store.field_hash(&value));
        let first = first.map(|(hash, value)| (value, hash));
        let (name, enforced) = (Arc::clone(&known.name), known.enforce);
        search.resolved.fields.push(WantedField { name, value, hash, create_only, enforced, first });
    }
    Ok(search.resolved)
}

/// The rows whose records a field may refer to: the first counts that has one.
fn candidates(target: &Target, child: &RowName) -> Vec<RowName> {
    match target {
        Target::Reference { mappings, row_key } => {
            mappings.iter().map(|mapping| (MappingId(*mapping as u32), row_key.clone())).collect()
        }
        Target::Own(mapping) => vec![(MappingId(*mapping as u32), child.1.clone())],
        Target::Set(_) | Target::Unkept(_) | Target::Absent | Target::Omitted => Vec::new(),
    }
}

/// The references of one record.
struct Search<'a> {
    world: &'a World<'a>,
    child: RowName,
    link: Option<&'a Link>,
    /// What the row waited for before, once it was asked for.
    hopes: Option<Vec<Hope>>,
    resolved: Resolved,
}

impl Search<'_> {
    /// A reference to the record of the first of these rows that has one: what to send, and the hash by which it is known.
    fn reference(&mut self, field: &Field, rows: Vec<RowName>) -> Result<Option<(FieldValue, u64)>, StateError> {
        self.resolved.parents.extend(rows.iter().cloned());
        match first_of(self.world, &self.child, &rows)? {
            Standing::Ready(Ready { id, key_field, key, crm_id, is_moving, .. }) => {
                // What the CRM keeps of it: a parent that is renamed stays, one that is made anew is another.
                let hash = self.world.store.field_hash(&FieldValue::Text(crm_id.clone()));
                if is_moving || of_several_objects(self.world, &rows) {
                    return Ok(Some((FieldValue::ReferenceById(crm_id), hash)));
                }
                self.resolved.named.push(id);
                Ok(Some((FieldValue::Reference { key_field, key }, hash)))
            }
            Standing::Coming(parent) => {
                self.resolved.wait_for.get_or_insert(parent);
                Ok(None)
            }
            Standing::Missing { waits } => {
                let name = &field.name;
                let message = format!("the record that the required field {name} refers to is not in the CRM");
                let without = self.missing(field, &rows, waits, "PARENT_MISSING", message)?;
                if without.is_none() {
                    self.resolved.parentless.push((Arc::clone(name), rows));
                }
                Ok(without)
            }
        }
    }

    /// A reference to a record that no mapping keeps. Where it is not found and the field is left out, the CRM keeps what it
    /// has.
    fn unkept(&mut self, field: &Field, name: RowName) -> Result<Option<(FieldValue, u64)>, StateError> {
        let store = self.world.store;
        self.resolved.parents.push(name.clone());
        let (what, by) = match &field.value {
            FieldSource::Unkept { object, by, .. } => (&**object, &**by),
            FieldSource::Value(_) | FieldSource::Const(_) | FieldSource::Reference { .. } => ("record", "field"),
        };
        let found = store.unkept(name.0, &name.1)?.map(|known| known.found);
        let (code, message) = match found {
            Some(Found::One(crm_id)) => {
                let hash = store.field_hash(&FieldValue::Text(crm_id.clone()));
                return Ok(Some((FieldValue::ReferenceById(crm_id), hash)));
            }
            None | Some(Found::Unasked) => {
                if found.is_none() {
                    self.resolved.unasked.push(name.clone());
                }
                self.resolved.wait_for.get_or_insert(name);
                return Ok(None);
            }
            Some(Found::Nothing) => {
                ("PARENT_MISSING", format!("the CRM has no {what} with the {by} for {}", field.name))
            }
            Some(Found::Several) => {
                ("PARENT_AMBIGUOUS", format!("the CRM has several {what} records with the {by} for {}", field.name))
            }
            Some(Found::Refused) => {
                ("PARENT_UNKNOWN", format!("the CRM cannot be asked for {what} records by {by}, for {}", field.name))
            }
        };
        self.missing(field, &[name], true, code, message)
    }

    /// What a field is without its parent.
    fn missing(
        &mut self,
        field: &Field,
        rows: &[RowName],
        waits: bool,
        code: &str,
        message: String,
    ) -> Result<Option<(FieldValue, u64)>, StateError> {
        let name = &field.name;
        match if field.required { Missing::Reject } else { field.missing } {
            Missing::Reject => {
                let refusal = Refusal { code: code.into(), message, fields: vec![name.to_string()] };
                self.resolved.missing.get_or_insert(refusal);
            }
            Missing::Null => return Ok(Some((FieldValue::Null, self.world.store.field_hash(&FieldValue::Null)))),
            Missing::Wait(time) if waits => self.hope(name, rows, time.as_micros() as u64)?,
            Missing::Omit | Missing::Wait(_) => {}
        }
        Ok(None)
    }

    /// The row waits for one of these, unless it has done so for long enough, or has gone without it before.
    fn hope(&mut self, name: &str, rows: &[RowName], time: u64) -> Result<(), StateError> {
        let went_without = |link: &Link| rows.iter().all(|row| link.parents.contains(row));
        let Some(first) = rows.first().filter(|_| !self.link.is_some_and(went_without)) else { return Ok(()) };
        let (store, now) = (self.world.store, self.world.now);
        let known = match &mut self.hopes {
            Some(known) => known,
            unread => unread.insert(store.hopes(self.child.0, &self.child.1)?),
        };
        let whom = store.field_hash(&FieldValue::Text(format!("{name}\0{}", printed(&first.1))));
        // The clock may have been set back.
        let since = known.iter().find(|hope| hope.whom == whom).map_or(now, |hope| hope.since.min(now));
        let hoped = &mut self.resolved.hoped;
        hoped.all.push(Hope { whom, since });
        let until = since.saturating_add(time);
        if until > now && hoped.until.as_ref().is_none_or(|(last, _)| *last < until) {
            hoped.until = Some((until, first.clone()));
        }
        Ok(())
    }
}

/// How the first of these rows stands that has a record or is going to; a record that its row feeds no more counts where
/// there is no other.
fn first_of(world: &World<'_>, child: &RowName, rows: &[RowName]) -> Result<Standing, StateError> {
    let (mut left, mut waits) = (None, true);
    for row in rows {
        match parent_of(world, row, rows.len() > 1)? {
            Parent::Ready(ready) if ready.is_fed => return Ok(Standing::Ready(ready)),
            Parent::Ready(ready) => {
                left.get_or_insert(ready);
            }
            Parent::Coming if !is_circle(world, child, row)? => return Ok(Standing::Coming(row.clone())),
            Parent::Coming => waits = false,
            Parent::Missing => {}
        }
    }
    Ok(left.map_or(Standing::Missing { waits }, Standing::Ready))
}

/// Whether the records of these rows are of several objects: then they are referred to by id, since a key does not say of
/// which object it is.
fn of_several_objects(world: &World<'_>, rows: &[RowName]) -> bool {
    let mut objects = rows.iter().filter_map(|(mapping, _)| world.lane(*mapping)).map(|lane| lane.object_id);
    let first = objects.next();
    objects.any(|object| Some(object) != first)
}

/// How a row stands. With a `choice` of others it is asked whether it is going to feed its record.
fn parent_of(world: &World<'_>, (mapping, row_key): &RowName, choice: bool) -> Result<Parent, StateError> {
    let Some(lane) = world.lane(*mapping) else { return Ok(Parent::Missing) };
    let link = world.store.link(*mapping, row_key)?;
    if let Some(id) = link.as_ref().and_then(|link| link.record)
        && let Some(record) = world.store.record(id)?
        && let Some(crm_id) = record.crm_id
    {
        let is_moving = world.is_moving(id) || !record.perhaps.is_empty();
        let key_field = lane.config.key_field.to_string();
        let is_fed = !choice || goes_on(world, lane, row_key)?;
        return Ok(Parent::Ready(Ready { id, key_field, key: record.key, crm_id, is_moving, is_fed }));
    }
    if lane.is_held() || lane.leaves_out(row_key) || world.store.dead_letter(*mapping, row_key)?.is_some() {
        return Ok(Parent::Missing);
    }
    let Some(row) = world.view.row(lane.table, row_key)? else { return Ok(Parent::Missing) };
    if !lane.swept.is_there(&row) {
        return Ok(Parent::Missing);
    }
    let reconciled = link.is_some_and(|link| link.seq >= row.seq && link.revision == lane.revision());
    match world.desired(lane, row_key, &row)? {
        Desired::Present(_) | Desired::Incomplete { .. } if !reconciled => Ok(Parent::Coming),
        Desired::Left if lane.config.on_leave != Departure::Delete => left_behind(world, lane, &row),
        Desired::Deleted if lane.config.on_delete != Departure::Delete => left_behind(world, lane, &row),
        Desired::Present(_)
        | Desired::Incomplete { .. }
        | Desired::Left
        | Desired::Deleted
        | Desired::Apart
        | Desired::Refused(_) => Ok(Parent::Missing),
    }
}

/// Whether a row that feeds a record goes on doing so.
fn goes_on(world: &World<'_>, lane: &Lane, row_key: &[u8]) -> Result<bool, StateError> {
    let Some(row) = world.view.row(lane.table, row_key)?.filter(|row| lane.swept.is_there(row)) else {
        return Ok(false);
    };
    Ok(match world.desired(lane, row_key, &row)? {
        Desired::Present(_) | Desired::Incomplete { .. } | Desired::Refused(_) => true,
        Desired::Left | Desired::Deleted | Desired::Apart => false,
    })
}

/// A row that feeds no record any more, and whose record stays in the CRM: what refers to it goes on doing so.
fn left_behind(world: &World<'_>, lane: &Lane, row: &RowBuf) -> Result<Parent, StateError> {
    let Some(key) = world.key_of(lane, row)? else { return Ok(Parent::Missing) };
    let id = world.store.record_id(lane.object_id, &key);
    let record = world.store.record(id)?.and_then(|record| Some((record.crm_id?, record.perhaps)));
    let Some((crm_id, perhaps)) = record else { return Ok(Parent::Missing) };
    let key_field = lane.config.key_field.to_string();
    let is_moving = world.is_moving(id) || !perhaps.is_empty();
    Ok(Parent::Ready(Ready { id, key_field, key, crm_id, is_moving, is_fed: false }))
}

/// Whether the parent waits, along whatever chain, for the child.
fn is_circle(world: &World<'_>, child: &RowName, parent: &RowName) -> Result<bool, StateError> {
    let mut at = parent.clone();
    for _ in 0..LONGEST_CHAIN {
        if at == *child {
            return Ok(true);
        }
        match world.store.waiting(at.0, &at.1)? {
            Some(waiting) => at = waiting.parent,
            None => return Ok(false),
        }
    }
    Ok(true)
}

/// A deletion goes after the writes of the rows that refer to the row: whether one of them still has its turn to come, or is
/// to be pointed at the record of another mapping.
pub(super) fn children_are_coming(world: &World<'_>, parent: (MappingId, &[u8])) -> Result<bool, StateError> {
    for (mapping, row_key) in world.store.children(parent, 100)? {
        let Some(lane) = world.lane(mapping).filter(|lane| !lane.is_held()) else { continue };
        let (oldest, newest) = lane.queue.generations();
        if world.view.is_queued(mapping, oldest, newest, &row_key)? {
            return Ok(true);
        }
    }
    if !world.lane(parent.0).is_some_and(|lane| lane.has_rivals) {
        return Ok(false);
    }
    let Some(id) = world.store.link(parent.0, parent.1)?.and_then(|link| link.record) else { return Ok(false) };
    let Some(crm_id) = world.store.record(id)?.and_then(|record| record.crm_id) else { return Ok(false) };
    for (mapping, row_key) in world.store.children(parent, usize::MAX)? {
        if changes_parent(world, (mapping, &row_key), parent, &crm_id)? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the CRM's record of a child refers to the parent with this id, and is to refer to that of another mapping.
fn changes_parent(
    world: &World<'_>,
    child: (MappingId, &[u8]),
    parent: (MappingId, &[u8]),
    crm_id: &str,
) -> Result<bool, StateError> {
    let Some(lane) = world.lane(child.0).filter(|lane| !lane.is_held() && !lane.config.observe) else {
        return Ok(false);
    };
    let former = world.store.field_hash(&FieldValue::Text(crm_id.to_owned()));
    let Some(id) = world.store.link(child.0, child.1)?.and_then(|link| link.record) else { return Ok(false) };
    let Some(record) = world.store.record(id)? else { return Ok(false) };
    // What a write on its way changes is not known of its record.
    let has_its_turn = || -> Result<bool, StateError> {
        Ok(on_its_way(world, lane, child.1).is_some()
            || world.is_busy(id)
            || world.store.parked(child.0, child.1)?.is_some())
    };
    if record.fields.values().all(|field| field.hash != former) && !has_its_turn()? {
        return Ok(false);
    }
    let row = world.view.row(lane.table, child.1)?.filter(|row| lane.swept.is_there(row));
    let desired = row.map(|row| world.desired(lane, child.1, &row)).transpose()?;
    let Some(Desired::Present(desired)) = desired else { return Ok(false) };
    let named = (child.0, child.1.to_vec());
    for field in desired.fields {
        let rows = candidates(&field.target, &named);
        let name = lane.config.fields.get(field.index).map(|known| &*known.name).unwrap_or_default();
        // One alone is no rival of itself.
        if rows.len() < 2 || rows.iter().all(|(_, row_key)| row_key != parent.1) {
            continue;
        }
        match record.fields.get(name) {
            Some(known) if known.hash == former => {}
            None if has_its_turn()? => {}
            Some(_) | None => continue,
        }
        match first_of(world, &named, &rows)? {
            Standing::Ready(ready) if ready.crm_id != crm_id => return Ok(true),
            Standing::Coming(_) => return Ok(true),
            Standing::Ready(_) | Standing::Missing { .. } => {}
        }
    }
    Ok(false)
}
