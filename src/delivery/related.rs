//! Indexes of related rows, kept at the view: what a mapping's `with` leads to, and which records a change touches.
//!
//! A changed row of a related table stands in a lane of its own, beside those of mappings. Before a mapping with related
//! rows is delivered by a view, the lanes of its tables are drained up to that view ([`Indexes::catch_up`]), so that what
//! is evaluated is one transaction's end (STATE.md, rule 3). Where that takes longer than [`BUDGET`], other mappings go on.
//!
//! - [`reader`]: what an expression's relations have for a row, and with which join keys it was asked for;
//! - [`taking`]: a changed row → its entries, groups and lines, one batch;
//! - [`fan`]: a changed join key → the records and entries that were evaluated with it, marked or made again;
//! - [`building`]: rows that are there already, after a load, a TRUNCATE, or for a relation that is new.

mod building;
mod fan;
mod reader;
mod taking;

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};

use passerelle_change::{Position, TableId, TableName};
use passerelle_state::{
    Built, BuiltBranch, DeliveryBatch, Durability, Gate, Generation, MappingId, Queued, RelationId, StateError, Store,
    Swept, View,
};

use super::lane::is_loaded;
use super::queue::Queue;
use crate::mapping::Mapping;
use crate::wanted::Wanted;

pub(super) use reader::Reader;
use taking::Work;

/// So long an index is caught up before other mappings have their turn.
const BUDGET: Duration = Duration::from_millis(25);
/// Rows that are taken at a time.
const TAKEN: usize = 200;
/// Rows that came in part are asked for again this often.
const ASK_AGAIN: Duration = Duration::from_secs(10);

/// What is left to do for indexes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Pace {
    /// Nothing.
    Done,
    /// Something that waits until rows that are marked have had their turn.
    Waits,
    /// Something that can be done at once.
    More,
}

/// A table whose rows a mapping is evaluated with, as the daemon sets it up.
#[derive(Clone, Debug)]
pub struct RelatedSetup {
    /// Its number.
    pub table: TableId,
    /// Its name.
    pub name: TableName,
    /// The lane in which its changed rows stand.
    pub lane: MappingId,
    /// The columns that are used of it, by id: they have to be loaded.
    pub columns: Vec<u32>,
    /// Under which it is kept how the mapping stands to it.
    pub fit: MappingId,
}

/// The indexes of one source's tables for one CRM's mappings.
pub(super) struct Indexes {
    tables: Vec<Table>,
    relations: Vec<Relation>,
    /// A mapping's relations in [`Indexes::relations`], in the order of [`Mapping::relations`].
    of: HashMap<MappingId, Vec<usize>>,
    /// Rows that have no entry yet, for they came in part, and the generation in which they stand, if in one. They are asked
    /// for.
    incomplete: HashMap<(usize, Vec<u8>), Option<Generation>>,
    /// When they are asked for again.
    ask_again: Instant,
    /// The table that is caught up first: each has its turn.
    turn: usize,
    /// Mappings of which rows have been marked since they were last asked for.
    marked: BTreeMap<MappingId, Vec<Vec<u8>>>,
    /// The tables of each mapping, and under which it is kept how it stands to them.
    fits: BTreeMap<MappingId, Vec<(MappingId, TableName)>>,
    /// Mappings that do not fit a related table, and why. Nothing is taken into their indexes: rows may lack what entries are
    /// made of. They are made again once the mapping goes on ([`make_indexes_again`]).
    held: BTreeMap<MappingId, String>,
    /// When the next row leaves a window, in microseconds since 1970; unknown at the start.
    next_expiry: Option<i64>,
    fans: bool,
}

/// A related table.
struct Table {
    id: TableId,
    columns: Vec<u32>,
    queue: Queue,
    swept: Swept,
    /// The newest load that may be read.
    load: u32,
    loaded: bool,
    /// It is read again before anything of it is delivered.
    suspected: bool,
    /// The relations that take its rows, and as which of their tables.
    uses: Vec<(usize, u8)>,
}

/// A relation of a mapping.
struct Relation {
    id: RelationId,
    mapping: MappingId,
    /// The mapping's own table.
    main: TableId,
    compiled: Arc<Mapping>,
    /// Its place in the mapping's relations.
    number: usize,
    /// Its tables, in the order of its branches.
    tables: Vec<usize>,
    built: Built,
    /// Records are evaluated with it: it is built, and so are the others that came with it.
    is_known: bool,
    /// How often several rows stood where one was asked for.
    ambiguous: Cell<u64>,
}

impl Relation {
    fn compiled(&self) -> &crate::mapping::related::Relation {
        &self.compiled.relations()[self.number]
    }

    fn is_built(&self) -> bool {
        let branches = self.compiled().branches().len();
        (self.built.branches.len(), self.tables.len()) == (branches, branches)
            && self.built.branches.iter().all(|branch| branch.was_done)
    }
}

/// The indexes of a mapping are made again of the rows that are there. While no delivery runs.
pub(crate) fn make_indexes_again(store: &Store, id: MappingId, mapping: &Mapping) -> Result<(), StateError> {
    let mut batch = DeliveryBatch::new(store);
    for compiled in mapping.relations() {
        let relation = store.relation_id(id, &name_of(compiled))?;
        let mut built = store.built(relation)?;
        for branch in &mut built.branches {
            *branch = BuiltBranch { was_done: branch.was_done, ..BuiltBranch::default() };
        }
        batch.built(relation, &built);
    }
    if batch.is_empty() { Ok(()) } else { store.write_delivery(batch, Durability::Synced) }
}

/// The name under which the state knows a relation of a mapping.
fn name_of(compiled: &crate::mapping::related::Relation) -> String {
    format!("{}#{:016x}", compiled.path(), compiled.definition())
}

/// A mapping, as its indexes are set up.
pub(super) struct Described<'a> {
    pub id: MappingId,
    pub table: TableId,
    pub mapping: &'a Arc<Mapping>,
    pub related: &'a [RelatedSetup],
}

impl<'a> From<&'a super::LaneSetup> for Described<'a> {
    fn from(lane: &'a super::LaneSetup) -> Self {
        Self { id: lane.id, table: lane.table, mapping: &lane.mapping, related: &lane.related }
    }
}

impl Indexes {
    /// Sets up what these mappings need; what is kept for relations that they do not have any more is forgotten.
    pub(super) fn new(store: &Store, mappings: &[Described<'_>]) -> Result<Self, StateError> {
        let mut indexes = Self {
            tables: Vec::new(),
            relations: Vec::new(),
            of: HashMap::new(),
            incomplete: HashMap::new(),
            ask_again: Instant::now(),
            turn: 0,
            marked: BTreeMap::new(),
            fits: BTreeMap::new(),
            held: BTreeMap::new(),
            next_expiry: Some(i64::MIN),
            fans: true,
        };
        for described in mappings {
            let fits = described.related.iter().map(|related| (related.fit, related.name.clone()));
            indexes.fits.insert(described.id, fits.collect());
            let mut known: BTreeMap<String, RelationId> = store.relations_of(described.id)?.into_iter().collect();
            for (number, compiled) in described.mapping.relations().iter().enumerate() {
                let name = name_of(compiled);
                known.remove(&name);
                let id = store.relation_id(described.id, &name)?;
                let at = indexes.relations.len();
                let setup = |name: &TableName| described.related.iter().find(|setup| setup.name == *name);
                let setups: Option<Vec<_>> = compiled.branches().iter().map(|branch| setup(branch.table())).collect();
                // Without one of its tables nothing is known of a relation.
                let setups = setups.unwrap_or_default().into_iter();
                let tables: Vec<usize> = setups.map(|setup| indexes.table(setup)).collect();
                for (branch, &table) in tables.iter().enumerate() {
                    indexes.tables[table].uses.push((at, branch as u8));
                }
                indexes.of.entry(described.id).or_default().push(at);
                let mut relation = Relation {
                    id,
                    mapping: described.id,
                    main: described.table,
                    compiled: Arc::clone(described.mapping),
                    number,
                    tables,
                    built: store.built(id)?,
                    is_known: false,
                    ambiguous: Cell::new(0),
                };
                relation.is_known = relation.is_built();
                indexes.relations.push(relation);
            }
            for (name, id) in known {
                store.forget_relation(id)?;
                store.forget_relation_name(described.id, &name)?;
            }
        }
        if indexes.relations.is_empty() {
            // Nobody looks for one.
            indexes.next_expiry = None;
        }
        Ok(indexes)
    }

    fn table(&mut self, setup: &RelatedSetup) -> usize {
        if let Some(known) = self.tables.iter().position(|table| table.id == setup.table) {
            self.tables[known].columns.extend(&setup.columns);
            return known;
        }
        self.tables.push(Table {
            id: setup.table,
            columns: setup.columns.clone(),
            queue: Queue::new(setup.lane),
            swept: Swept::default(),
            load: 0,
            loaded: false,
            suspected: false,
            uses: Vec::new(),
        });
        self.tables.len() - 1
    }

    pub(super) fn is_empty(&self) -> bool {
        self.relations.is_empty()
    }

    /// Another number whenever one of the mapping's relations is another than it was, and when the last of them is known: what
    /// was evaluated with the former one, or without it, is no longer found by it, and all rows are looked at again. `None`
    /// where it has none.
    pub(super) fn revision(&self, mapping: MappingId) -> Option<u64> {
        let relations = self.of.get(&mapping)?.iter().map(|&at| u64::from(self.relations[at].id.0) << 32);
        let revision = relations.fold(0, |revision: u64, id| revision.wrapping_mul(31).wrapping_add(id));
        Some(revision.wrapping_add(u64::from(self.is_building(mapping))))
    }

    /// Whether the mapping is evaluated with related rows.
    pub(super) fn has(&self, mapping: MappingId) -> bool {
        self.of.contains_key(&mapping)
    }

    /// Tells what a new view shows.
    pub(super) fn show(
        &mut self,
        view: &View<'_>,
        closed: &BTreeMap<MappingId, Generation>,
        passed: impl Fn(&Position) -> bool + Copy,
    ) -> Result<(), StateError> {
        self.held.clear();
        for (mapping, fits) in &self.fits {
            for (fit, name) in fits {
                if let Some(why) = view.drift(*fit)? {
                    let name = name.to_string();
                    let why = if why.starts_with(&name) { why } else { format!("{name}: {why}") };
                    self.held.insert(*mapping, why);
                }
            }
        }
        for table in &mut self.tables {
            if let Some(&closed) = closed.get(&table.queue.id()) {
                table.queue.sees(closed);
            }
            table.swept.truncated = view.truncated(table.id)?;
            table.suspected = view.suspected(table.id)?.is_some_and(|suspected| suspected.why.holds());
            if let Some(load) = view.load(table.id)?
                && is_loaded(Some(&load), passed)
            {
                table.swept = table.swept.by_load(&load);
                table.load = load.number;
                table.loaded = table.columns.iter().all(|column| load.columns.contains(column));
            }
        }
        Ok(())
    }

    /// Why a mapping is not to be delivered as its related tables are now, in a sentence.
    pub(super) fn drift(&self, mapping: MappingId) -> Option<&String> {
        self.held.get(&mapping)
    }

    /// Whether everything that the mapping is evaluated with is as the view shows it; where it `goes_on`, but for relations that
    /// are not known yet: what names them is absent.
    pub(super) fn is_at_view(&self, mapping: MappingId, goes_on: bool) -> bool {
        self.of.get(&mapping).into_iter().flatten().all(|&relation| {
            let relation = &self.relations[relation];
            if goes_on && !relation.is_known {
                return true;
            }
            let is_ready = |&table: &usize| {
                let table = &self.tables[table];
                table.loaded && !table.suspected && table.queue.is_exhausted()
            };
            self.has_all(relation) && relation.tables.iter().all(is_ready)
        })
    }

    /// Takes what the view shows into the indexes, for so long. `now` is microseconds since 1970.
    pub(super) fn catch_up(
        &mut self,
        (store, view): (&Store, &View<'_>),
        (gate, wanted): (&Gate, &Wanted),
        now: i64,
    ) -> Result<Pace, StateError> {
        let until = Instant::now() + BUDGET;
        self.ask(wanted);
        // A chunk of each in turn, and then the next: one that is never drained holds up no other.
        while Instant::now() < until {
            let mut turns = (0..self.tables.len()).map(|step| (self.turn + step) % self.tables.len());
            let Some(at) = turns.find(|&at| !self.tables[at].queue.is_exhausted()) else { break };
            self.turn = at + 1;
            self.drain(at, (store, view), wanted, now)?;
        }
        for queue in self.tables.iter_mut().map(|table| &mut table.queue).filter(|queue| queue.is_exhausted()) {
            gate.want(queue.id());
            if let Some(low) = queue.drained_before() {
                let mut batch = DeliveryBatch::new(store);
                batch.drained(queue.id(), low);
                store.write_delivery(batch, Durability::WithTheNext)?;
            }
        }
        let is_behind = self.tables.iter().any(|table| !table.queue.is_exhausted());
        let drained = if is_behind { Pace::More } else { Pace::Done };
        let built = self.build(store, view, now, until)?;
        let told = self.tell(store, view, now, until)?;
        Ok(drained.max(built).max(told).max(self.expire(store, now, until)?))
    }

    /// Takes a chunk of a table's changed rows.
    fn drain(
        &mut self,
        at: usize,
        (store, view): (&Store, &View<'_>),
        wanted: &Wanted,
        now: i64,
    ) -> Result<(), StateError> {
        let queue = &mut self.tables[at].queue;
        let entries = queue.take(store, view, queue.closed(), TAKEN)?;
        let mut work = Work::new(store, now);
        for entry in &entries {
            let Some(queued) = entry.queued() else { continue };
            if self.take(&mut work, view, (at, &entry.row_key), entry.since.as_ref())? {
                self.taken(&mut work, at, queued);
            } else {
                wanted.ask(self.tables[at].id, &entry.row_key);
                // It stands where it does until it is whole: then it comes again.
                self.incomplete.insert((at, queued.row_key), Some(queued.generation));
            }
        }
        work.flush(self)
    }

    /// Asks again for rows that came in part, now and then: that they were asked for may have been forgotten.
    fn ask(&mut self, wanted: &Wanted) {
        if self.incomplete.is_empty() || Instant::now() < self.ask_again {
            return;
        }
        self.ask_again = Instant::now() + ASK_AGAIN;
        for (at, row_key) in self.incomplete.keys() {
            wanted.ask(self.tables[*at].id, row_key);
        }
    }

    /// A lane's entry is done, and so is one that stood in the lane before for a row that had come in part.
    fn taken(&mut self, work: &mut Work<'_>, table: usize, queued: Queued) {
        let before = self.incomplete.remove(&(table, queued.row_key.clone())).flatten();
        let before = before.filter(|before| *before != queued.generation);
        let before = before.map(|generation| Queued { generation, ..queued.clone() });
        let queue = &mut self.tables[table].queue;
        for queued in before.into_iter().chain([queued]) {
            queue.settled(queued.generation);
            work.done(queue.id(), queued);
        }
    }

    /// The newest closed generations of its lanes, to compare with.
    pub(super) fn closed(&self) -> Vec<Generation> {
        self.tables.iter().map(|table| table.queue.closed()).collect()
    }

    /// A lane is drained, and wants its next generation.
    pub(super) fn wants_more(&self) -> bool {
        self.tables.iter().any(|table| table.queue.is_exhausted())
    }

    /// Rows that have been marked since this was asked last, by their mappings.
    pub(super) fn marked(&mut self) -> BTreeMap<MappingId, Vec<Vec<u8>>> {
        std::mem::take(&mut self.marked)
    }

    /// When the next row leaves a window.
    pub(super) fn next_expiry(&self) -> Option<i64> {
        self.next_expiry
    }

    /// Relations of a mapping to one row whose join keys led to several: their names, and how often that was met.
    pub(super) fn ambiguous(&self, mapping: MappingId) -> impl Iterator<Item = (&str, u64)> {
        let of = self.of.get(&mapping).into_iter().flatten().map(|&at| &self.relations[at]);
        of.map(|relation| (relation.compiled().path(), relation.ambiguous.get())).filter(|(_, count)| *count > 0)
    }

    /// Whether the indexes of a mapping are being built.
    pub(super) fn is_building(&self, mapping: MappingId) -> bool {
        self.of.get(&mapping).into_iter().flatten().any(|&at| !self.relations[at].is_known)
    }

    /// Relations that came together are known together: a record gets what they give by one write.
    fn know(&mut self, mapping: MappingId) {
        let Some(of) = self.of.get(&mapping) else { return };
        if of.iter().all(|&at| self.relations[at].is_built()) {
            for &at in of {
                self.relations[at].is_known = true;
            }
        }
    }
}
