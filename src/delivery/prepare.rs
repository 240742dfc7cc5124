//! From a row in hand to what is to be done about it: reads, evaluates, and asks [`super::reconcile`].

use std::cell::RefCell;
use std::collections::HashMap;
use std::sync::Arc;

use passerelle_change::{FieldValue, Refusal, Seq, Write, WriteOp};
use passerelle_state::{
    AcceptedField, Dependent, JoinKey, Link, MappingId, ParkedWhy, Record, RecordId, RowBuf, StateError, Store, View,
};

use super::former;
use super::lane::{Entry, Lane, Origin};
use super::parents::{Hoped, RowName, children_are_coming, resolve};
use super::reconcile::{Decision, Standing, Wanted, WantedField, decide};
use super::related::{Indexes, Reader};
use super::requests::Requests;
use crate::config::model::{Departure, OnCollision, OnTruncate};
use crate::mapping::Desired;

/// Everything that a decision may look at.
pub(super) struct World<'a> {
    pub store: &'a Store,
    pub view: &'a View<'a>,
    pub lanes: &'a [Lane],
    pub by_id: &'a HashMap<MappingId, usize>,
    /// Writes on their way, and staged ones.
    pub requests: &'a Requests,
    /// Rows that wait until their record is free.
    pub blocked: &'a HashMap<RecordId, Vec<(MappingId, Entry)>>,
    /// Microseconds since 1970.
    pub now: u64,
    /// What related rows are found by, a source each.
    pub indexes: &'a [Indexes],
    /// What rows were evaluated with, to be noted.
    pub asked: &'a RefCell<Vec<(Dependent, Vec<JoinKey>)>>,
}

impl World<'_> {
    pub(super) fn lane(&self, mapping: MappingId) -> Option<&Lane> {
        self.by_id.get(&mapping).and_then(|&index| self.lanes.get(index))
    }

    /// What the CRM should hold for a row.
    pub(super) fn desired(&self, lane: &Lane, row_key: &[u8], row: &RowBuf) -> Result<Desired, StateError> {
        self.desired_and(lane, row_key, row, false)
    }

    /// The same, and that this is what is decided by: when something that it was evaluated with changes, it is again.
    fn desired_and(&self, lane: &Lane, row_key: &[u8], row: &RowBuf, decided: bool) -> Result<Desired, StateError> {
        let indexes = &self.indexes[lane.source_index];
        if !indexes.has(lane.id) {
            return Ok(lane.mapping.evaluate(row.cells(), &[]));
        }
        let reader = Reader { store: self.store, view: self.view, indexes, asked: self.asked };
        reader.desired((lane.id, &lane.mapping), row_key, row, decided)
    }

    /// The external key of a row, whether or not it comes to a record.
    pub(super) fn key_of(&self, lane: &Lane, row: &RowBuf) -> Result<Option<String>, StateError> {
        let indexes = &self.indexes[lane.source_index];
        let reader = Reader { store: self.store, view: self.view, indexes, asked: self.asked };
        reader.key_of((lane.id, &lane.mapping), row)
    }

    /// A row is gone: nothing that it was evaluated with concerns it any more.
    fn forget_asked(&self, lane: &Lane, row_key: &[u8]) {
        if self.indexes[lane.source_index].has(lane.id) {
            let gone = Dependent::Record { mapping: lane.id, row_key: row_key.to_vec() };
            self.asked.borrow_mut().push((gone, Vec::new()));
        }
    }

    pub(super) fn is_busy(&self, id: RecordId) -> bool {
        self.requests.busy().contains(&id)
    }

    /// Whether the record may have another external key when the CRM sees what is prepared now.
    pub(super) fn is_moving(&self, id: RecordId) -> bool {
        self.requests.is_moving(id) || self.blocked.contains_key(&id)
    }
}

/// What is to be done about a row.
#[derive(Debug)]
pub(super) enum Verdict {
    /// Nothing, and nothing is to be noted but that it was looked at.
    Drop,
    /// Nothing to send. The row is reconciled like this.
    Note { link: Option<Link>, was: Option<Link>, record: Option<(RecordId, Record)> },
    /// The row leaves its record, and is looked at again.
    Unlink { link: Link, id: RecordId },
    /// The row leaves its record, which goes when another has taken its place, and is looked at again.
    Leave { link: Link, id: RecordId },
    /// This, and then what follows from its acceptance.
    Send(Box<Plan>),
    /// A request carries its record: look again when it is settled.
    Busy(RecordId),
    /// Its parent's turn comes first.
    Wait { parent: RowName, parents: Vec<RowName> },
    /// Its parent is waited for until then, in microseconds since 1970, though nobody says that it comes.
    Hope { until: u64, parent: RowName, parents: Vec<RowName> },
    /// Set aside.
    Park(ParkedWhy),
    /// Refused before it was sent.
    Dead { refusal: Refusal, key: String, seq: Seq, parents: Vec<RowName> },
}

/// What was decided about a row.
#[derive(Debug)]
pub(super) struct Decided {
    pub verdict: Verdict,
    /// The parents that it waits for, though nobody says that they come; `None` where that was not looked at.
    pub hoped: Option<Hoped>,
    /// What it refers to and nobody has asked the CRM for.
    pub unasked: Vec<RowName>,
}

/// A write, and what follows from its acceptance.
#[derive(Debug)]
pub(super) struct Plan {
    pub write: Write,
    pub then: Then,
    /// The row's version.
    pub seq: Seq,
    /// What was known of the row before.
    pub was: Option<Link>,
    pub parents: Vec<RowName>,
    /// The records that it names by their external key.
    pub named: Vec<RecordId>,
    /// The row itself is gone: once accepted, nothing is kept of it.
    pub gone: bool,
    /// The creation begins with other values than the record is to have: they follow at once.
    pub begins: bool,
    /// The first attempt at a creation: the intent was noted for it, and a refusal takes it back.
    pub first: bool,
}

/// What follows from the acceptance of a write.
#[derive(Debug)]
pub(super) enum Then {
    /// The row feeds the record at `id`, which is as `after`; it was at `was`.
    Holds { id: RecordId, was: Option<RecordId>, after: Record },
    /// The record is under a key of ours until its own is free: look at the row again.
    Stepped { id: RecordId, was: RecordId, after: Record },
    /// The record is gone.
    Deleted { id: RecordId },
    /// The record stays as `after`, and the row does not feed it any more.
    Departed { id: RecordId, after: Record },
    /// The record of an unanswered creation is there after all, or not: look at the row again.
    Found { id: RecordId, record: Record },
    /// Urgent fields of the record went by themselves: these are accepted. The row has its turn all the same.
    Ahead { id: RecordId, accepted: Vec<(String, AcceptedField)> },
    /// A record that its row has left is gone, or set as `on_delete` says.
    LetGo { id: RecordId },
}

impl Plan {
    pub(super) fn new(write: Write, then: Then, seq: Seq, was: Option<Link>) -> Self {
        Self { write, then, seq, was, parents: Vec::new(), named: Vec::new(), gone: false, begins: false, first: false }
    }

    /// The records that it carries.
    pub(super) fn records(&self) -> impl Iterator<Item = RecordId> {
        let (first, second) = match &self.then {
            Then::Holds { id, was, .. } => (*id, was.filter(|was| was != id)),
            Then::Stepped { id, was, .. } => (*id, Some(*was)),
            Then::Deleted { id }
            | Then::Departed { id, .. }
            | Then::Found { id, .. }
            | Then::Ahead { id, .. }
            | Then::LetGo { id } => (*id, None),
        };
        std::iter::once(first).chain(second)
    }
}

/// Decides about one row.
pub(super) fn prepare(world: &World<'_>, index: usize, entry: &Entry) -> Result<Decided, StateError> {
    let mut found = Besides::default();
    let verdict = decided(world, index, entry, &mut found)?;
    // A write on its way names the record by its key: the key stays until that one is answered.
    if let Verdict::Send(plan) = &verdict
        && plan.write.moves_key()
        && let Some(named) = plan.records().find(|id| world.requests.is_named(*id))
    {
        return Ok(Decided { verdict: Verdict::Busy(named), hoped: None, unasked: found.unasked });
    }
    Ok(Decided { verdict, hoped: found.hoped, unasked: found.unasked })
}

/// What was found on the way to a verdict.
#[derive(Default)]
struct Besides {
    hoped: Option<Hoped>,
    unasked: Vec<RowName>,
}

fn decided(world: &World<'_>, index: usize, entry: &Entry, found: &mut Besides) -> Result<Verdict, StateError> {
    let lane = &world.lanes[index];
    if let Some(left) = former::of_name(&entry.row_key) {
        return former::former(world, lane, entry, left);
    }
    // A creation on its way has left no link yet: what the row is now is told from what comes of it.
    if let Some(id) = on_its_way(world, lane, &entry.row_key) {
        return Ok(Verdict::Busy(id));
    }
    let row = world.view.row(lane.table, &entry.row_key)?;
    let link = world.store.link(lane.id, &entry.row_key)?;
    let truncated = lane.swept.truncated;
    let row_seq = row.as_ref().map_or(Seq::ZERO, |row| row.seq);
    let was_truncated = truncated.is_some_and(|at| row_seq <= at);
    let seq = if was_truncated { truncated.unwrap_or(row_seq) } else { row_seq };
    let look_again = matches!(&entry.origin, Origin::Parked { .. } | Origin::Marked(_));
    let revision = lane.revision();
    if !look_again && link.as_ref().is_some_and(|link| link.seq >= seq && link.revision == revision) {
        return Ok(Verdict::Drop);
    }
    let row = row.filter(|row| lane.swept.is_there(row));
    let subject = Subject { world, lane, index, entry, link, seq, parents: Vec::new() };
    let Some(row) = row else {
        world.forget_asked(lane, &entry.row_key);
        let policy = if was_truncated && lane.config.on_truncate == OnTruncate::Ignore {
            &Departure::Ignore
        } else {
            &lane.config.on_delete
        };
        found.hoped = Some(Hoped::default());
        return subject.depart(policy, true);
    };
    let desired = world.desired_and(lane, &entry.row_key, &row, true)?;
    if matches!(desired, Desired::Left | Desired::Deleted | Desired::Apart) {
        found.hoped = Some(Hoped::default());
    }
    match desired {
        Desired::Present(record) => subject.present(record, found),
        Desired::Left => subject.depart(&lane.config.on_leave, false),
        Desired::Deleted => subject.depart(&lane.config.on_delete, false),
        Desired::Apart => subject.depart(lane.config.on_replaced(), false),
        Desired::Incomplete { .. } => Ok(Verdict::Park(ParkedWhy::Incomplete)),
        Desired::Refused(refusal) => Ok(subject.dead(refusal, None, Vec::new())),
    }
}

/// The record that a write on its way carries for the row.
pub(super) fn on_its_way(world: &World<'_>, lane: &Lane, row_key: &[u8]) -> Option<RecordId> {
    world.requests.rows().get(&lane.id).and_then(|rows| rows.get(row_key)).copied()
}

/// The row that is decided about.
pub(super) struct Subject<'a> {
    pub world: &'a World<'a>,
    pub lane: &'a Lane,
    index: usize,
    pub entry: &'a Entry,
    pub link: Option<Link>,
    pub seq: Seq,
    /// The rows that it refers to, where it is to be looked at again when one of them has a record.
    parents: Vec<RowName>,
}

impl Subject<'_> {
    fn present(self, record: crate::mapping::Record, found: &mut Besides) -> Result<Verdict, StateError> {
        let world = self.world;
        let id = world.store.record_id(self.lane.object_id, &record.key);
        let old = self.link.as_ref().and_then(|link| link.record);
        for known in [Some(id), old].into_iter().flatten() {
            if world.is_busy(known) {
                return Ok(Verdict::Busy(known));
            }
        }
        let key = record.key.clone();
        let resolved = resolve(world, self.index, (&self.entry.row_key, self.link.as_ref()), record)?;
        let until = resolved.hoped.until.clone();
        *found = Besides { hoped: Some(resolved.hoped), unasked: resolved.unasked };
        if let Some(refusal) = resolved.missing {
            return Ok(self.dead(refusal, Some(key), resolved.parents));
        }
        if let Some(parent) = resolved.wait_for {
            return Ok(Verdict::Wait { parent, parents: resolved.parents });
        }
        if let Some((until, parent)) = until {
            return Ok(Verdict::Hope { until, parent, parents: resolved.parents });
        }
        if resolved.apart {
            return Self { parents: resolved.parents, ..self }.depart(self.lane.config.on_replaced(), false);
        }
        let wanted = Wanted {
            key,
            id,
            fields: resolved.fields,
            cleared: self.moved_references(&resolved.parentless),
            parentless: resolved.parentless.into_iter().map(|(name, _)| name).collect(),
            null_hash: world.store.field_hash(&FieldValue::Null),
            incomplete: resolved.incomplete,
            seq: self.seq,
        };
        let (standing, was) = match old {
            Some(old) if old == id => {
                let record = world.store.record(old)?.unwrap_or_default();
                (Standing::Ours { record, renamed: false }, Some(old))
            }
            Some(old) => match self.renamed(&wanted, old)? {
                Ok(record) => (Standing::Ours { record, renamed: true }, Some(old)),
                Err(verdict) => return Ok(verdict),
            },
            None => match self.joined(&wanted)? {
                // A first value, or one that is a creation's only, must not reach a record that people have made already.
                Ok(Standing::Unknown) if self.lane.reach.looks_up(id) => return Ok(self.look_up(&wanted)),
                Ok(standing) => (standing, None),
                Err(verdict) => return Ok(verdict),
            },
        };
        Ok(self.compared(&wanted, standing, was, (resolved.parents, resolved.named)))
    }

    /// Reference fields whose parent is another than when the row was reconciled last.
    fn moved_references(&self, parentless: &[(Arc<str>, Vec<RowName>)]) -> Vec<Arc<str>> {
        let known = |parent: &RowName| self.link.as_ref().is_some_and(|link| link.parents.contains(parent));
        parentless.iter().filter(|(_, rows)| !rows.iter().any(known)).map(|(name, _)| Arc::clone(name)).collect()
    }

    /// Compares with what was accepted.
    fn compared(
        self,
        wanted: &Wanted,
        standing: Standing,
        was: Option<RecordId>,
        (parents, named): (Vec<RowName>, Vec<RecordId>),
    ) -> Verdict {
        let crm_id = match &standing {
            Standing::Unknown => None,
            Standing::Ours { record, .. } | Standing::Joined { record, .. } => record.crm_id.clone(),
        };
        let newest_wins = self.lane.config.on_collision == OnCollision::Newest;
        match decide(wanted, standing, self.lane.id, &self.lane.config.key_field, newest_wins) {
            Decision::Nothing { record } => {
                let revision = self.lane.revision();
                let link = Link { seq: self.seq, revision, record: Some(wanted.id), parents };
                Verdict::Note { link: Some(link), was: self.link, record: Some((wanted.id, record)) }
            }
            Decision::Send { op, fields, after } => {
                let write = self.write(op, &wanted.key, crm_id, fields);
                let then = Then::Holds { id: wanted.id, was, after };
                let begins = op == WriteOp::Upsert && wanted.fields.iter().any(WantedField::begins_otherwise);
                Verdict::Send(Box::new(Plan { parents, named, begins, ..Plan::new(write, then, self.seq, self.link) }))
            }
            Decision::Incomplete => Verdict::Park(ParkedWhy::Incomplete),
            Decision::Collision(refusal) => {
                let key = wanted.key.clone();
                self.dead(refusal, Some(key), parents)
            }
        }
    }

    /// Whether the CRM has the record is asked before anything is written to it.
    fn look_up(self, wanted: &Wanted) -> Verdict {
        let write = self.write(WriteOp::Find, &wanted.key, None, Vec::new());
        let record = Record { key: wanted.key.clone(), ..Record::default() };
        let then = Then::Found { id: wanted.id, record };
        Verdict::Send(Box::new(Plan::new(write, then, self.seq, self.link)))
    }

    /// A creation was sent and its answer never noted: whether the record is there has to be known first.
    pub(super) fn find(&self, link: &Link, id: RecordId, record: Record) -> Verdict {
        let write = self.write(WriteOp::Find, &record.key, None, Vec::new());
        let (was, parents) = (Some(link.clone()), link.parents.clone());
        let then = Then::Found { id, record };
        Verdict::Send(Box::new(Plan { parents, ..Plan::new(write, then, self.seq, was) }))
    }

    /// The row is gone, deleted softly, or left the filter.
    fn depart(self, policy: &Departure, gone: bool) -> Result<Verdict, StateError> {
        let world = self.world;
        let note = |link: Option<Link>, was: Option<Link>| Verdict::Note { link, was, record: None };
        let Some(link) = self.link.clone() else {
            // One that came and went unsent: its children do not wait for it any more.
            let is_unknown =
                gone && !self.lane.has_children && world.store.waiting(self.lane.id, &self.entry.row_key)?.is_none();
            return Ok(if is_unknown { Verdict::Drop } else { note((!gone).then(|| self.reconciled()), None) });
        };
        let left = (!gone).then(|| self.reconciled());
        let Some(id) = link.record else { return Ok(note(left, Some(link))) };
        if world.is_busy(id) {
            return Ok(Verdict::Busy(id));
        }
        let others = world
            .store
            .members(id, 2)?
            .into_iter()
            .any(|(mapping, key)| mapping != self.lane.id || key != self.entry.row_key);
        let Some(mut record) = world.store.record(id)? else { return Ok(note(left, Some(link))) };
        if others {
            record.fields.retain(|_, field| field.owner != self.lane.id);
            return Ok(Verdict::Note { link: left, was: Some(link), record: Some((id, record)) });
        }
        let Some(crm_id) = record.crm_id.clone() else {
            return Ok(match policy {
                Departure::Ignore => note(left, Some(link)),
                Departure::Delete | Departure::Set(_) => self.find(&link, id, record),
            });
        };
        let plan = |write, then| {
            let was = Some(link.clone());
            Verdict::Send(Box::new(Plan {
                gone,
                parents: self.parents.clone(),
                ..Plan::new(write, then, self.seq, was)
            }))
        };
        match policy {
            Departure::Ignore => Ok(note(left, Some(link))),
            Departure::Set(fields) => {
                let differs = |(name, value): &&(Arc<str>, FieldValue)| {
                    let hash = world.store.field_hash(value);
                    record.fields.get(&**name).is_none_or(|known| known.hash != hash)
                };
                let fields: Vec<_> = fields.iter().filter(differs).cloned().collect();
                if fields.is_empty() {
                    return Ok(note(left, Some(link.clone())));
                }
                let write = self.write(WriteOp::Update, &record.key, Some(crm_id), fields);
                Ok(plan(write, Then::Departed { id, after: record }))
            }
            Departure::Delete => {
                if self.entry.attempts() < 50 && children_are_coming(world, (self.lane.id, &self.entry.row_key))? {
                    return Ok(Verdict::Park(ParkedWhy::Children));
                }
                let write = self.write(WriteOp::Delete, &record.key, Some(crm_id), Vec::new());
                Ok(plan(write, Then::Deleted { id }))
            }
        }
    }

    /// Reconciled, and feeds no record.
    fn reconciled(&self) -> Link {
        Link { seq: self.seq, revision: self.lane.revision(), record: None, parents: self.parents.clone() }
    }

    pub(super) fn write(
        &self,
        op: WriteOp,
        key: &str,
        crm_id: Option<String>,
        fields: Vec<(Arc<str>, FieldValue)>,
    ) -> Write {
        let config = &self.lane.config;
        let key = FieldValue::Text(key.to_owned());
        Write { object: Arc::clone(&config.object), op, key_field: Arc::clone(&config.key_field), key, crm_id, fields }
    }

    pub(super) fn dead(&self, refusal: Refusal, key: Option<String>, parents: Vec<RowName>) -> Verdict {
        let key = key.unwrap_or_else(|| passerelle_change::key::printed(&self.entry.row_key));
        Verdict::Dead { refusal, key, seq: self.seq, parents }
    }
}
