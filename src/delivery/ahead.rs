//! Urgent fields: a change of one goes ahead of everything else, however much waits.
//!
//! Nothing is evaluated on capture's path (STATE.md, rule 1), so which of a million changed rows is the urgent one is found
//! out here. A mapping with urgent fields has a second lane: capture names each changed row in both. The second is looked
//! through as fast as rows can be read, whatever the limiter says, and the rows of which an urgent field differs from what
//! the CRM accepted are sent next.
//!
//! Only those fields are sent, by the CRM's id: neither a parent that is not there yet nor another field that is refused
//! holds them up, and nothing is created. The rest of the row follows in its turn, where the mapping's own lane names it;
//! whatever can't be done here is left to that turn. So an entry of this lane may be dropped whenever it has nothing to
//! say, and stands where it does until then: a crash loses nothing.

use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

use passerelle_change::{FieldValue, Micros, Outcome, Write, WriteOp};
use passerelle_state::{AcceptedField, Generation, MappingId, Parked, ParkedRow, ParkedWhy, StateError, Store, View};

use super::aside::delay_micros;
use super::engine::Engine;
use super::lane::{Entry, Lane, Origin};
use super::prepare::{Plan, Then, Verdict, World};
use super::queue::Queue;
use super::settle::{After, MOST_ATTEMPTS, Notes};
use super::{now_micros, prepare};
use crate::config::model::OnCollision;
use crate::mapping::{Desired, Target};

/// Urgent rows of one mapping in hand at once. Beyond that they wait in their lane.
const IN_HAND: usize = 600;
/// Rows that are looked at before something is sent again.
const LOOKS: usize = 1_000;
/// Rows that are to be looked at for something else than a change of theirs; the others wait their turn.
const HINTS: usize = 10_000;
/// Rows that are taken at a time.
const TAKEN: usize = 200;

/// The lane of a mapping's urgent fields.
pub(super) struct Ahead {
    queue: Queue,
    /// Rows with something urgent to send.
    ready: VecDeque<Entry>,
    /// Those, and the ones that are blocked, staged or in flight.
    in_hand: usize,
    parked_in_hand: HashSet<(u64, Vec<u8>)>,
    /// Rows that something they are evaluated with has changed of. They stand in the mapping's own line: none is lost.
    hints: VecDeque<Vec<u8>>,
}

impl Ahead {
    pub(super) fn new(id: MappingId) -> Self {
        Self {
            queue: Queue::new(id),
            ready: VecDeque::new(),
            in_hand: 0,
            parked_in_hand: HashSet::new(),
            hints: VecDeque::new(),
        }
    }

    /// The lane's number: its rows are queued and set aside under it.
    pub(super) fn id(&self) -> MappingId {
        self.queue.id()
    }

    /// A new view shows generations up to `closed`.
    pub(super) fn sees(&mut self, closed: Generation) {
        self.queue.sees(closed);
    }

    /// These rows may have something urgent to send, though they have not changed themselves.
    pub(super) fn look_at(&mut self, row_keys: Vec<Vec<u8>>) {
        let room = HINTS.saturating_sub(self.hints.len());
        self.hints.extend(row_keys.into_iter().take(room));
    }

    pub(super) fn give_back(&mut self, entry: Entry) {
        self.ready.push_front(entry);
    }

    /// A row in hand is settled: it stands nowhere in this lane any more.
    pub(super) fn settled(&mut self, entry: &Entry) {
        self.in_hand = self.in_hand.saturating_sub(1);
        match &entry.origin {
            Origin::Queue(generation, _) => self.queue.settled(*generation),
            Origin::Parked { due, .. } => {
                self.parked_in_hand.remove(&(*due, entry.row_key.clone()));
            }
            Origin::Scan { .. } | Origin::Marked(_) | Origin::Hint => {}
        }
    }

    fn has_room(&self) -> bool {
        self.in_hand + TAKEN <= IN_HAND
    }

    /// Rows that were never looked at.
    fn take(&mut self, store: &Store, view: &View<'_>, now: u64) -> Result<Vec<Entry>, StateError> {
        let hints = self.hints.drain(..self.hints.len().min(TAKEN));
        let hint = |row_key| Entry { row_key, origin: Origin::Hint, since: None, ahead: true };
        let mut taken: Vec<Entry> = hints.map(hint).collect();
        if taken.is_empty() && !self.queue.is_exhausted() {
            taken = self.queue.take(store, view, self.queue.closed(), TAKEN)?;
        }
        if taken.is_empty() {
            for ParkedRow { due, row_key, parked } in store.due(self.id(), now, TAKEN + self.parked_in_hand.len())? {
                if self.parked_in_hand.insert((due, row_key.clone())) {
                    let since = parked.since.clone();
                    taken.push(Entry { row_key, origin: Origin::Parked { due, parked }, since, ahead: false });
                }
            }
        }
        self.in_hand += taken.len();
        for entry in &mut taken {
            entry.ahead = true;
        }
        Ok(taken)
    }
}

impl Engine<'_> {
    /// Looks through the lanes of urgent fields, within bounds. True when there is more to look at.
    pub(super) fn look_ahead(&mut self, views: &[Option<View<'_>>]) -> Result<bool, StateError> {
        let mut more = false;
        for index in 0..self.lanes.len() {
            let Some(Some(view)) = views.get(self.lanes[index].source_index) else { continue };
            more |= self.look_ahead_in(index, view)?;
        }
        Ok(more)
    }

    fn look_ahead_in(&mut self, index: usize, view: &View<'_>) -> Result<bool, StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        let mut looked = 0;
        let more = loop {
            let lane = &mut self.lanes[index];
            let is_open = !lane.is_held() && lane.loaded && !lane.behind;
            let Some(ahead) = lane.ahead.as_mut().filter(|ahead| is_open && ahead.has_room()) else { break false };
            if looked >= LOOKS {
                break true;
            }
            let taken = ahead.take(self.store, view, notes.now)?;
            looked += taken.len();
            if taken.is_empty() {
                break false;
            }
            for entry in taken {
                let verdict = urgent(&self.world(view), index, &entry)?;
                let lane = &mut self.lanes[index];
                match (verdict, &mut lane.ahead) {
                    (Verdict::Send(_) | Verdict::Busy(_), Some(ahead)) => ahead.ready.push_back(entry),
                    // Its turn will come.
                    (_, Some(_) | None) => notes.done(lane, &entry)?,
                }
            }
        };
        let lane = &mut self.lanes[index];
        if let Some(ahead) = lane.ahead.as_mut().filter(|ahead| ahead.queue.is_exhausted()) {
            self.sources[lane.source_index].gate.want(ahead.id());
            if let Some(low) = ahead.queue.drained_before() {
                notes.batch.drained(ahead.id(), low);
            }
        }
        self.write(&mut notes)?;
        Ok(more)
    }

    /// Stages what is urgent. Decided about again: it may have changed since it was found.
    pub(super) fn fill_ahead(&mut self, views: &[Option<View<'_>>]) -> Result<(), StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        for index in 0..self.lanes.len() {
            let lane = &mut self.lanes[index];
            let Some(Some(view)) = views.get(lane.source_index) else { continue };
            let (id, is_held) = (lane.id, lane.is_held());
            let Some(ahead) = lane.ahead.as_mut().filter(|_| !is_held) else { continue };
            for entry in std::mem::take(&mut ahead.ready) {
                match urgent(&self.world(view), index, &entry)? {
                    Verdict::Send(plan) => self.requests.stage(id, entry, *plan),
                    Verdict::Busy(record) => self.blocked.entry(record).or_default().push((id, entry)),
                    Verdict::Drop
                    | Verdict::Note { .. }
                    | Verdict::Unlink { .. }
                    | Verdict::Leave { .. }
                    | Verdict::Wait { .. }
                    | Verdict::Hope { .. }
                    | Verdict::Park(_)
                    | Verdict::Dead { .. } => notes.done(&mut self.lanes[index], &entry)?,
                }
            }
        }
        self.write(&mut notes)
    }
}

/// The urgent fields of a row that differ from what the CRM accepted; [`Verdict::Drop`] where there is none, or where
/// they can't go by themselves: a record that is not in the CRM is created in its turn.
fn urgent(world: &World<'_>, index: usize, entry: &Entry) -> Result<Verdict, StateError> {
    let (lane, store) = (&world.lanes[index], world.store);
    if lane.config.observe || !lane.names(&entry.row_key) {
        return Ok(Verdict::Drop);
    }
    let Some(link) = store.link(lane.id, &entry.row_key)? else { return Ok(Verdict::Drop) };
    let Some(id) = link.record else { return Ok(Verdict::Drop) };
    if let Some(busy) = prepare::on_its_way(world, lane, &entry.row_key).or(world.is_busy(id).then_some(id)) {
        return Ok(Verdict::Busy(busy));
    }
    let Some(record) = store.record(id)? else { return Ok(Verdict::Drop) };
    let Some(row) = world.view.row(lane.table, &entry.row_key)?.filter(|row| lane.swept.is_there(row)) else {
        return Ok(Verdict::Drop);
    };
    let (Some(crm_id), Desired::Present(desired)) = (&record.crm_id, world.desired(lane, &entry.row_key, &row)?) else {
        return Ok(Verdict::Drop);
    };
    // A row that leaves a record to others has nothing to say about it any more.
    if store.record_id(lane.object_id, &desired.key) != id && store.members(id, 2)?.len() > 1 {
        return Ok(Verdict::Drop);
    }
    let (mut fields, mut accepted, mut carried) = (Vec::new(), Vec::new(), Vec::new());
    for field in desired.fields {
        let Some(known) = lane.config.fields.get(field.index).filter(|known| known.urgent || known.enforce) else {
            continue;
        };
        let Target::Set(value) = field.target else { continue };
        let hash = store.field_hash(&value);
        let before = record.fields.get(&*known.name);
        let is_ours = |before: &&AcceptedField| before.owner == lane.id;
        if lane.config.on_collision == OnCollision::Reject && before.is_some_and(|before| !is_ours(&before)) {
            continue;
        }
        if before.is_some_and(|before| before.hash == hash) {
            carried.extend(known.enforce.then(|| (Arc::clone(&known.name), value)));
        } else if known.urgent {
            fields.push((Arc::clone(&known.name), value));
            accepted.push((known.name.to_string(), AcceptedField { hash, owner: lane.id, seq: row.seq }));
        }
    }
    if fields.is_empty() {
        return Ok(Verdict::Drop);
    }
    // As every write does: what the CRM accepted of them before is no reason for it to refuse this.
    for (name, value) in carried {
        let hash = store.field_hash(&value);
        accepted.push((name.to_string(), AcceptedField { hash, owner: lane.id, seq: row.seq }));
        fields.push((name, value));
    }
    let write = Write {
        object: Arc::clone(&lane.config.object),
        op: WriteOp::Update,
        key_field: Arc::clone(&lane.config.key_field),
        key: FieldValue::Text(record.key.clone()),
        crm_id: Some(crm_id.clone()),
        fields,
    };
    Ok(Verdict::Send(Box::new(Plan::new(write, Then::Ahead { id, accepted }, row.seq, Some(link)))))
}

impl Notes<'_> {
    /// What became of urgent fields that went by themselves.
    pub(super) fn went_ahead(
        &mut self,
        lane: &mut Lane,
        entry: &Entry,
        plan: Plan,
        outcome: &Outcome,
    ) -> Result<After, StateError> {
        let Then::Ahead { id, accepted } = plan.then else { return Ok(After::Settled) };
        match outcome {
            Outcome::Accepted { .. } => {
                lane.refusals = (String::new(), 0);
                lane.figures.delivered += 1;
                lane.last_delivered_at = Some(Micros(i64::try_from(self.now).unwrap_or(i64::MAX)));
                if let Some(mut record) = self.store.record(id)? {
                    record.fields.extend(accepted);
                    self.batch.record(id, Some(&record));
                }
                self.done(lane, entry)?;
            }
            Outcome::Retry { .. } | Outcome::ParentMissing(_) if entry.attempts() < MOST_ATTEMPTS => {
                let attempts = entry.attempts() + 1;
                let due = self.now.saturating_add(delay_micros(ParkedWhy::Retry, attempts));
                let (since, why) = (entry.since.clone(), ParkedWhy::Retry);
                let parked = Parked { seq: passerelle_change::Seq::ZERO, attempts, since, why };
                self.done(lane, entry)?;
                self.batch.park(lane.stands_in(entry), due, &entry.row_key, &parked)?;
            }
            // The whole row says what is wrong, in its turn: a dead letter, or a record that is made anew.
            Outcome::Retry { .. } | Outcome::ParentMissing(_) | Outcome::Rejected(_) | Outcome::Missing => {
                self.done(lane, entry)?;
            }
        }
        Ok(After::Settled)
    }
}
