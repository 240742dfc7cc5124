//! One mapping's work: where its rows come from, and what became of those in hand.
//!
//! Three sources, in this order: the lane's closed generations (live changes), rows set aside that are due, and a scan
//! of all rows (after a load, a changed mapping, a TRUNCATE). Whatever is taken stays where it stands until it is
//! settled, so that a crash or a failed request loses nothing.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Micros, Seq, Suspicion, TableId};
use passerelle_state::{
    Cursor, Figures, Generation, Load, LoadStage, MappingId, Marked, Parked, ParkedRow, ParkedWhy, Queued, RowBuf,
    Since, StateError, Store, Swept, View,
};

use super::ahead::Ahead;
use super::enforce::Enforced;
use super::engine::LaneSetup;
use super::guard::DeletionGuard;
use super::now_micros;
use super::queue::Queue;
use super::reach::{self, Reach};
use crate::config::model::{self, Missing};
use crate::control::growth::Growth;
use crate::mapping::Mapping;

/// Rows of one mapping in hand at once: bounds the memory, and keeps one mapping from holding up the others.
const IN_HAND: usize = 1_200;
/// Rows that a scan takes at a time.
const SCAN: usize = 200;
/// Scans under way.
const SCANS: usize = 6;

/// A row to reconcile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub row_key: Vec<u8>,
    pub origin: Origin,
    /// What the change holds `delivered` back to; none for a row of a scan.
    pub since: Option<Since>,
    /// It stands in the lane of urgent fields, and only those are looked at.
    pub ahead: bool,
}

/// Where it stands until it is settled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    Queue(Generation, Seq),
    Parked {
        due: u64,
        parked: Parked,
    },
    Scan {
        chunk: u64,
    },
    /// Something that it was evaluated with has changed.
    Marked(Marked),
    /// In the lane of urgent fields only: it stands in its mapping's own as well.
    Hint,
}

impl Entry {
    /// How often it was tried.
    pub(super) fn attempts(&self) -> u32 {
        match &self.origin {
            Origin::Parked { parked, .. } => parked.attempts,
            Origin::Queue(..) | Origin::Scan { .. } | Origin::Marked(_) | Origin::Hint => 0,
        }
    }

    /// The CRM's server failed at it, so nobody is to share its request.
    pub(super) fn goes_alone(&self) -> bool {
        matches!(&self.origin, Origin::Parked { parked, .. } if parked.why == ParkedWhy::Suspected)
    }

    /// The queue entry behind it.
    pub(super) fn queued(&self) -> Option<Queued> {
        match self.origin {
            Origin::Queue(generation, seq) => Some(Queued { generation, row_key: self.row_key.clone(), seq }),
            Origin::Parked { .. } | Origin::Scan { .. } | Origin::Marked(_) | Origin::Hint => None,
        }
    }
}

/// A mapping and its work.
#[expect(clippy::struct_excessive_bools, reason = "independent facts, each named")]
pub(super) struct Lane {
    pub id: MappingId,
    pub source_index: usize,
    pub table: TableId,
    pub object_id: u32,
    pub config: Arc<model::Mapping>,
    pub mapping: Arc<Mapping>,
    pub guard: DeletionGuard,
    pub figures: Figures,
    /// Rows that were settled, for the forecast.
    pub settled: Growth,
    /// Mappings whose fields refer to this one.
    pub has_children: bool,
    /// Some of those refer to this one or another.
    pub has_rivals: bool,
    /// Some of its rows wait for parents that may never come.
    pub hopes: bool,
    /// The lines of its fields that refer to records that no mapping keeps, by the place of the field.
    pub lines: HashMap<usize, MappingId>,
    /// Tables that must be loaded before this mapping is delivered: its own and its parents'.
    pub needs: Vec<TableId>,
    pub loaded: bool,
    /// The newest load of its table that is delivered.
    load: u32,
    /// The columns that a load of the table brings, by id.
    columns: Vec<u32>,
    /// That load lacks some of them: another is to come, and all rows are looked at then.
    awaits_columns: bool,
    /// The last TRUNCATE of its table that the view shows, and the last load.
    pub swept: Swept,
    /// Why its table is read again before anything of it is delivered.
    pub suspected: Option<Suspicion>,
    /// Why nothing of it is delivered: by command, or after refusals.
    pub held: Option<String>,
    /// Why nothing of it is delivered: its table is not what it was written for.
    pub drift: Option<String>,
    /// Held by a person.
    pub paused: bool,
    /// Refusals with one code since the last acceptance.
    pub refusals: (String, u32),
    pub last_delivered_at: Option<Micros>,
    /// A delivery at intervals or times: when the next begins (microseconds since 1970), and up to which generation the one under way goes.
    pub next_run: Option<u64>,
    pub run_until: Option<Generation>,
    pub queue: Queue,
    /// The lane of its urgent fields, if it has some.
    pub ahead: Option<Ahead>,
    /// The fields that are put back when people edit them, if it has some.
    pub enforced: Option<Enforced>,
    ready: VecDeque<Entry>,
    /// Rows in hand: ready, blocked, staged or in flight.
    in_hand: usize,
    parked_in_hand: HashSet<(u64, Vec<u8>)>,
    /// Rows that are due were taken in this round. What became of them is not written before its end.
    parked_taken: bool,
    scan: Option<Scan>,
    /// Rows that something they were evaluated with has changed of; of a mapping with related rows.
    marks: Option<Marks>,
    /// A number for the relations that it has, and whether all are known.
    pub relations: u64,
    /// Some of them are not known yet: what names them is absent.
    pub lacks_relations: bool,
    /// What its rows are evaluated with is not as the view shows it yet.
    pub behind: bool,
    /// Which rows are written, and what became of the others.
    pub reach: Reach,
}

/// Where a mapping stands in the line of its marked rows.
#[derive(Default)]
struct Marks {
    after: Option<(u64, Vec<u8>)>,
    in_hand: HashSet<Vec<u8>>,
    /// The line was looked through to its end in this round.
    ended: bool,
}

struct Scan {
    cursor: Cursor,
    /// Last key, rows not settled: in order of the table.
    chunks: VecDeque<(u64, Vec<u8>, usize)>,
    next: u64,
    after: Option<Vec<u8>>,
    ended: bool,
}

impl Lane {
    pub(super) fn new(store: &Store, setup: LaneSetup, relations: Option<u64>, now: u64) -> Result<Self, StateError> {
        let LaneSetup {
            id,
            source_index,
            table,
            columns,
            object_id,
            config,
            mapping,
            needs,
            has_children,
            has_rivals,
            ahead,
            lines,
            related: _,
        } = setup;
        let next_run = match &config.delivery {
            model::Delivery::Realtime => None,
            model::Delivery::Every(_) => Some(now),
            // What waited when the time came is sent at once where nobody was there to do it.
            model::Delivery::Cron(schedule) => {
                let since = store.mapping_since(id)?.map_or(now, |since| since.committed_at.0.max(0).unsigned_abs());
                Some(reach::next_time(schedule, since.min(now)))
            }
        };
        let enforced = Enforced::of(store, id, &config)?;
        Ok(Self {
            id,
            source_index,
            table,
            object_id,
            guard: DeletionGuard::new(config.guard, store.deletions(id)?),
            figures: store.figures(id)?,
            settled: Growth::default(),
            reach: Reach::new(&config),
            hopes: config.fields.iter().any(|field| matches!(field.missing, Missing::Wait(_))),
            config,
            mapping,
            has_children,
            has_rivals,
            lines,
            needs,
            loaded: false,
            load: 0,
            columns,
            awaits_columns: false,
            swept: Swept::default(),
            suspected: None,
            held: None,
            drift: None,
            paused: false,
            refusals: (String::new(), 0),
            last_delivered_at: None,
            next_run,
            run_until: None,
            queue: Queue::new(id),
            ahead: ahead.map(Ahead::new),
            enforced,
            ready: VecDeque::new(),
            in_hand: 0,
            parked_in_hand: HashSet::new(),
            parked_taken: false,
            scan: None,
            marks: relations.map(|_| Marks::default()),
            behind: relations.is_some(),
            lacks_relations: false,
            relations: relations.unwrap_or_default(),
        })
    }

    /// What rows are reconciled by: the mapping, its relations, and the load that its columns came with. A load fills cells without
    /// making rows newer.
    pub(super) fn revision(&self) -> u64 {
        self.mapping.revision().wrapping_add(u64::from(self.load)).wrapping_add(self.relations)
    }

    /// Nothing of it is delivered, whatever waits.
    pub(super) fn is_held(&self) -> bool {
        self.held.is_some() || self.drift.is_some()
    }

    /// A round begins: everything that was noted before is written.
    pub(super) fn begin_round(&mut self) {
        self.parked_taken = false;
        if let Some(marks) = &mut self.marks {
            marks.ended = false;
        }
    }

    /// Takes the next row to reconcile.
    pub(super) fn take(&mut self, store: &Store, view: &View<'_>, now: u64) -> Result<Option<Entry>, StateError> {
        if self.is_held() || !self.loaded || self.behind || self.in_hand_full() {
            return Ok(None);
        }
        if self.ready.is_empty() {
            self.pull(store, view, now)?;
        }
        Ok(self.ready.pop_front())
    }

    fn in_hand_full(&self) -> bool {
        self.ready.is_empty() && self.in_hand >= IN_HAND
    }

    /// Puts rows back that could not be sent, or that may be looked at now.
    pub(super) fn give_back(&mut self, entry: Entry) {
        match &mut self.ahead {
            Some(ahead) if entry.ahead => ahead.give_back(entry),
            Some(_) | None => self.ready.push_front(entry),
        }
    }

    /// Where the row stands while it is queued or set aside.
    pub(super) fn stands_in(&self, entry: &Entry) -> MappingId {
        self.ahead.as_ref().filter(|_| entry.ahead).map_or(self.id, Ahead::id)
    }

    pub(super) fn in_hand(&self) -> usize {
        self.in_hand
    }

    fn pull(&mut self, store: &Store, view: &View<'_>, now: u64) -> Result<(), StateError> {
        let room = IN_HAND - self.in_hand;
        if !self.queue.is_exhausted() && self.runs() {
            let newest = self.run_until.unwrap_or(self.queue.closed());
            for entry in self.queue.take(store, view, newest, room.min(SCAN))? {
                self.accept(entry);
            }
            if self.queue.is_exhausted() {
                self.finish_run();
            }
        }
        if self.ready.is_empty() {
            self.pull_marked(store)?;
        }
        if self.ready.is_empty() && !self.parked_taken {
            self.parked_taken = true;
            for ParkedRow { due, row_key, parked } in store.due(self.id, now, SCAN + self.parked_in_hand.len())? {
                if self.parked_in_hand.insert((due, row_key.clone())) {
                    let since = parked.since.clone();
                    self.accept(Entry { row_key, origin: Origin::Parked { due, parked }, since, ahead: false });
                }
            }
        }
        if self.ready.is_empty() {
            self.pull_scan(store, view)?;
        }
        Ok(())
    }

    /// The next rows that are marked, in line; from its beginning again when it has ended.
    fn pull_marked(&mut self, store: &Store) -> Result<(), StateError> {
        let Some(marks) = self.marks.as_mut().filter(|marks| !marks.ended) else { return Ok(()) };
        let after = marks.after.as_ref().map(|(at, row_key)| (*at, row_key.as_slice()));
        let found = store.marked(self.id, after, SCAN)?;
        marks.ended = found.len() < SCAN;
        marks.after = found.last().filter(|_| found.len() == SCAN).map(|last| (last.at, last.row_key.clone()));
        let new: Vec<_> = found.into_iter().filter(|found| marks.in_hand.insert(found.row_key.clone())).collect();
        for marked in new {
            let (row_key, since) = (marked.row_key.clone(), marked.since.clone());
            self.accept(Entry { row_key, origin: Origin::Marked(marked), since, ahead: false });
        }
        Ok(())
    }

    fn accept(&mut self, entry: Entry) {
        self.in_hand += 1;
        self.ready.push_back(entry);
    }

    /// A delivery at intervals takes what is closed when it begins, and no more.
    fn runs(&self) -> bool {
        self.next_run.is_none() || self.run_until.is_some()
    }

    /// Begins the run of a delivery at intervals that is due.
    pub(super) fn begin_run(&mut self, now: u64) {
        if let (model::Delivery::Every(every), Some(at)) = (&self.config.delivery, &mut self.next_run) {
            // The clock may have been set back.
            *at = (*at).min(now.saturating_add(every.as_micros() as u64));
        }
        if self.run_until.is_none() && self.next_run.is_some_and(|at| at <= now) {
            self.run_until = Some(self.queue.closed());
            self.queue.begin();
        }
    }

    fn finish_run(&mut self) {
        if self.run_until.take().is_none() {
            return;
        }
        let now = now_micros();
        self.next_run = match &self.config.delivery {
            model::Delivery::Realtime => None,
            model::Delivery::Every(every) => {
                Some(now.saturating_add((*every).max(Duration::from_secs(1)).as_micros() as u64))
            }
            model::Delivery::Cron(schedule) => Some(reach::next_time(schedule, now)),
        };
    }

    /// Begins the scan that a load, a new revision or a TRUNCATE calls for, if it is not done. It finds the rows that the
    /// load did not see, too.
    pub(super) fn begin_scan(&mut self, store: &Store, load: &Load, newest: Seq) -> Result<(), StateError> {
        let truncated = self.swept.truncated.unwrap_or_default();
        if self.load != load.number {
            self.load = load.number;
            self.awaits_columns = !self.columns.iter().all(|id| load.columns.contains(id));
        }
        let revision = self.revision();
        if let Some(scan) = &self.scan
            && scan.cursor.revision == revision
            && scan.cursor.load == load.number
            && scan.cursor.upper >= truncated
        {
            return Ok(());
        }
        // What would be sent is counted from the start, so all of it is looked at.
        let counts = self.config.observe && self.scan.is_none();
        let kept = store
            .cursor(self.id)?
            .filter(|_| !counts)
            .filter(|cursor| cursor.revision == revision && cursor.load == load.number && cursor.upper >= truncated);
        let cursor = if let Some(cursor) = kept {
            cursor
        } else {
            let cursor = Cursor { revision, load: load.number, upper: newest, after: None, done: false };
            store.set_cursor(self.id, &cursor)?;
            cursor
        };
        let (after, ended) = (cursor.after.clone(), cursor.done);
        self.scan = Some(Scan { cursor, chunks: VecDeque::new(), next: 0, after, ended });
        Ok(())
    }

    /// Whether a row that lacks columns is to be asked for: one of a scan is looked at again when the columns are loaded, and
    /// all rows are when its relations are known.
    pub(super) fn fetches(&self, entry: &Entry) -> bool {
        !(self.lacks_relations || self.awaits_columns && matches!(entry.origin, Origin::Scan { .. }))
    }

    /// Rows of a scan are still to come or in hand.
    pub(super) fn is_scanning(&self) -> bool {
        self.scan.as_ref().is_some_and(|scan| !scan.cursor.done)
    }

    fn pull_scan(&mut self, store: &Store, view: &View<'_>) -> Result<(), StateError> {
        while let Some(scan) = self.scan.as_mut().filter(|scan| !scan.ended && scan.chunks.len() < SCANS) {
            let rows = view.rows(self.table, scan.after.as_deref(), SCAN)?;
            scan.ended = rows.len() < SCAN;
            let Some((last, _)) = rows.last() else {
                return self.scan_settled(store);
            };
            let (last, chunk) = (last.clone(), scan.next);
            scan.next += 1;
            scan.after = Some(last.clone());
            let (upper, revision) = (scan.cursor.upper, scan.cursor.revision);
            let mut taken = Vec::new();
            for (row_key, row) in rows {
                if row.seq <= upper && !self.is_reconciled(store, &row_key, &row, revision)? {
                    taken.push(row_key);
                }
            }
            if let Some(scan) = &mut self.scan {
                scan.chunks.push_back((chunk, last, taken.len()));
            }
            for row_key in taken {
                self.accept(Entry { row_key, origin: Origin::Scan { chunk }, since: None, ahead: false });
            }
            self.scan_settled(store)?;
            if !self.ready.is_empty() {
                break;
            }
        }
        Ok(())
    }

    fn is_reconciled(&self, store: &Store, row_key: &[u8], row: &RowBuf, revision: u64) -> Result<bool, StateError> {
        let truncated = self.swept.truncated.unwrap_or_default();
        let seq = row.seq.max(if row.seq <= truncated { truncated } else { Seq::ZERO });
        Ok(store.link(self.id, row_key)?.is_some_and(|link| link.seq >= seq && link.revision == revision))
    }

    /// A row in hand is settled: it stands nowhere any more.
    pub(super) fn settled(&mut self, store: &Store, entry: &Entry) -> Result<(), StateError> {
        if let Some(ahead) = self.ahead.as_mut().filter(|_| entry.ahead) {
            ahead.settled(entry);
            return Ok(());
        }
        self.has_begun(&entry.row_key);
        self.in_hand = self.in_hand.saturating_sub(1);
        match &entry.origin {
            Origin::Queue(generation, _) => {
                self.queue.settled(*generation);
                Ok(())
            }
            Origin::Parked { due, .. } => {
                self.parked_in_hand.remove(&(*due, entry.row_key.clone()));
                Ok(())
            }
            Origin::Scan { chunk } => {
                let chunks = self.scan.as_mut().map(|scan| &mut scan.chunks);
                if let Some((_, _, left)) = chunks.and_then(|all| all.iter_mut().find(|(number, ..)| number == chunk)) {
                    *left = left.saturating_sub(1);
                }
                self.scan_settled(store)
            }
            Origin::Marked(marked) => {
                if let Some(marks) = &mut self.marks {
                    marks.in_hand.remove(&marked.row_key);
                }
                Ok(())
            }
            Origin::Hint => Ok(()),
        }
    }

    /// Moves the scan's cursor over the chunks that are settled, in order.
    fn scan_settled(&mut self, store: &Store) -> Result<(), StateError> {
        let Some(scan) = &mut self.scan else { return Ok(()) };
        let mut moved = false;
        while let Some((_, last, _)) = scan.chunks.pop_front_if(|(_, _, left)| *left == 0) {
            scan.cursor.after = Some(last);
            moved = true;
        }
        let done = scan.ended && scan.chunks.is_empty();
        if moved || done != scan.cursor.done {
            scan.cursor.done = done;
            store.set_cursor(self.id, &scan.cursor)?;
        }
        Ok(())
    }
}

/// Whether a table's load is there, and passed by the checkpoint.
pub(super) fn is_loaded(load: Option<&Load>, passed: impl Fn(&passerelle_change::Position) -> bool) -> bool {
    match load.map(|load| &load.stage) {
        Some(LoadStage::Loaded { high, .. }) => passed(high),
        Some(LoadStage::Wanted) | None => false,
    }
}
