//! References between records: a parent is accepted before its child is sent, and a parent that never comes holds no
//! child for ever (STATE.md, rule 8).

use std::sync::Arc;

use passerelle_change::FieldValue;
use passerelle_state::{MappingId, RecordId, RowBuf, StateError};

use super::lane::Lane;
use super::prepare::World;
use super::reconcile::WantedField;
use crate::config::model::{Departure, Missing};
use crate::mapping::{self, Desired, Target};

/// Steps along a chain of waiting rows before it counts as a circle.
const LONGEST_CHAIN: usize = 1_000;

/// A row of a mapping.
pub(super) type RowName = (MappingId, Vec<u8>);

/// A record's fields with their references looked up.
#[derive(Debug, Default)]
pub(super) struct Resolved {
    pub fields: Vec<WantedField>,
    /// Reference fields whose parent is not in the CRM.
    pub parentless: Vec<(Arc<str>, RowName)>,
    /// Every parent row that is referred to.
    pub parents: Vec<RowName>,
    /// The records that are referred to by their external key: it must stay until the write is answered.
    pub named: Vec<RecordId>,
    /// The parent whose turn comes first.
    pub wait_for: Option<RowName>,
    /// A required reference without its parent.
    pub missing: Option<Arc<str>>,
    /// A field names an absent column.
    pub incomplete: bool,
}

/// How a parent stands.
enum Parent {
    /// In the CRM, under this external key; or about to take another, or perhaps under another.
    Ready { id: RecordId, key_field: String, key: String, crm_id: String, is_moving: bool },
    /// It waits its turn.
    Coming,
    /// It is a dead letter, filtered out, unknown, or held.
    Missing,
}

/// Looks the references of a record up.
pub(super) fn resolve(
    world: &World<'_>,
    lane: usize,
    row_key: &[u8],
    record: mapping::Record,
) -> Result<Resolved, StateError> {
    let config = &world.lanes[lane].config;
    let child = (world.lanes[lane].id, row_key.to_vec());
    let mut resolved = Resolved::default();
    for field in record.fields {
        let Some(known) = config.fields.get(field.index) else { continue };
        let name = Arc::clone(&known.name);
        let mut hash = None;
        let mut first = known.on_create.clone().map(|value| (world.store.field_hash(&value), value));
        let mut create_only = known.create_only;
        let value = match field.target {
            Target::Set(value) => value,
            Target::Omitted => {
                // A value that is bad: a new record begins all the same.
                let is_bad = record.bad.iter().any(|bad| bad.index == field.index);
                let Some((_, value)) = first.take().filter(|_| is_bad) else { continue };
                create_only = true;
                value
            }
            Target::Absent => {
                resolved.incomplete = true;
                continue;
            }
            Target::Reference { mapping, row_key } => {
                let parent = (MappingId(mapping as u32), row_key);
                let standing = parent_of(world, &parent)?;
                resolved.parents.push(parent.clone());
                match standing {
                    Parent::Ready { id, key_field, key, crm_id, is_moving } => {
                        // What the CRM keeps of it: a parent that is renamed stays, one that is made anew is another.
                        hash = Some(world.store.field_hash(&FieldValue::Text(crm_id.clone())));
                        if is_moving {
                            FieldValue::ReferenceById(crm_id)
                        } else {
                            resolved.named.push(id);
                            FieldValue::Reference { key_field, key }
                        }
                    }
                    Parent::Coming if !is_circle(world, &child, &parent)? => {
                        resolved.wait_for.get_or_insert(parent);
                        continue;
                    }
                    Parent::Coming | Parent::Missing => {
                        let missing = if known.required { Missing::Reject } else { known.missing };
                        match missing {
                            Missing::Reject => resolved.missing = Some(Arc::clone(&name)),
                            Missing::Omit => {}
                            Missing::Null => {
                                let hash = world.store.field_hash(&FieldValue::Null);
                                let value = FieldValue::Null;
                                resolved.fields.push(WantedField {
                                    name,
                                    value,
                                    hash,
                                    create_only,
                                    enforced: false,
                                    first: None,
                                });
                                continue;
                            }
                        }
                        resolved.parentless.push((name, parent));
                        continue;
                    }
                }
            }
        };
        let hash = hash.unwrap_or_else(|| world.store.field_hash(&value));
        let first = first.map(|(hash, value)| (value, hash));
        resolved.fields.push(WantedField { name, value, hash, create_only, enforced: known.enforce, first });
    }
    Ok(resolved)
}

fn parent_of(world: &World<'_>, (mapping, row_key): &RowName) -> Result<Parent, StateError> {
    let Some(lane) = world.lane(*mapping) else { return Ok(Parent::Missing) };
    let link = world.store.link(*mapping, row_key)?;
    if let Some(id) = link.as_ref().and_then(|link| link.record)
        && let Some(record) = world.store.record(id)?
        && let Some(crm_id) = record.crm_id
    {
        let is_moving = world.is_moving(id) || !record.perhaps.is_empty();
        let key_field = lane.config.key_field.to_string();
        return Ok(Parent::Ready { id, key_field, key: record.key, crm_id, is_moving });
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
        Desired::Present(_) | Desired::Incomplete { .. } | Desired::Left | Desired::Deleted | Desired::Refused(_) => {
            Ok(Parent::Missing)
        }
    }
}

/// A row that feeds no record any more, and whose record stays in the CRM: what refers to it goes on doing so.
fn left_behind(world: &World<'_>, lane: &Lane, row: &RowBuf) -> Result<Parent, StateError> {
    let Some(key) = world.key_of(lane, row)? else { return Ok(Parent::Missing) };
    let id = world.store.record_id(lane.object_id, &key);
    let record = world.store.record(id)?.and_then(|record| Some((record.crm_id?, record.perhaps)));
    let Some((crm_id, perhaps)) = record else { return Ok(Parent::Missing) };
    let key_field = lane.config.key_field.to_string();
    let is_moving = world.is_moving(id) || !perhaps.is_empty();
    Ok(Parent::Ready { id, key_field, key, crm_id, is_moving })
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

/// A deletion goes after the writes of the rows that refer to the row: whether one of them still has its turn to come.
pub(super) fn children_are_coming(world: &World<'_>, parent: (MappingId, &[u8])) -> Result<bool, StateError> {
    for (mapping, row_key) in world.store.children(parent, 100)? {
        let Some(lane) = world.lane(mapping).filter(|lane| !lane.is_held()) else { continue };
        let (oldest, newest) = lane.queue.generations();
        if world.view.is_queued(mapping, oldest, newest, &row_key)? {
            return Ok(true);
        }
    }
    Ok(false)
}
