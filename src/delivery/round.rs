//! One round of the loop: decide and send as much as may be sent now.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use passerelle_change::{Position, WriteOp};
use passerelle_crm::limiter::forecast::{Forecast, linger};
use passerelle_crm::{Acquire, Moment, Permit};
use passerelle_state::{DeliveryBatch, Durability, Generation, Link, MappingId, ParkedWhy, StateError, Store, View};

use super::ahead::Ahead;
use super::enforce::Enforced;
use super::engine::{Engine, LONGEST_WAIT};
use super::lane::{Entry, Lane, is_loaded};
use super::now_micros;
use super::prepare::{Decided, Verdict, World, prepare};
use super::reach::Turn;
use super::related::{Indexes, Pace};
use super::requests::Staged;
use super::settle::Notes;
use crate::capture::Durable;
use crate::failpoint;

/// The rate that the day's forecast goes on with is a mean over about this long.
const RATE_OVER: Duration = Duration::from_mins(10);
/// The loop does not look again sooner than that unless something wakes it.
const LEAST_WAIT: Duration = Duration::from_millis(2);
/// Rows decided about before the loop looks up again.
const ROWS_A_ROUND: usize = 2_000;

/// What a look at rows came to.
#[derive(Clone, Copy, Debug, Default)]
struct Filled {
    /// Rows looked at.
    rows: usize,
    /// There may be more: the look ended so that something else has its turn.
    leaves_some: bool,
}

impl Engine<'_> {
    /// Decides and sends as much as may be sent now; returns when there is something to do again.
    pub(super) fn round(&mut self) -> Result<Option<Instant>, StateError> {
        let now = Instant::now();
        // While nothing may be sent, what capture makes durable is no reason to look.
        self.listens = false;
        if self.held {
            return Ok(None);
        }
        if let Some(at) = self.not_before.filter(|&at| at > now) {
            return Ok(Some(at));
        }
        let store = self.store;
        let mut views = self.views(store)?;
        let (mut wake, mut closed) = (None, false);
        let (mut more, mut pace);
        loop {
            if !self.apply_moves(&views)? {
                // Keys move only when no request is under way: wait for those that are.
                return Ok(None);
            }
            // Both read, and ask nobody: also while nothing may be sent.
            pace = self.catch_up(&views)?;
            more = self.look_ahead(&views)? || pace == Pace::More;
            let moment = Moment::now();
            if let Some(wait) = self.limiter.look(moment) {
                // When all are under way, the next that ends wakes the loop.
                wake = (!wait.is_zero()).then(|| moment.steady + wait);
                closed = true;
                break;
            }
            self.fill_ahead(&views)?;
            let look = self.look_due().filter(|_| !self.requests.has_ahead());
            let filled = if look.is_some() { Filled::default() } else { self.fill(&views)? };
            let ask = if look.is_some() || self.requests.has_ahead() { None } else { self.ask_due()? };
            let may_send = look.is_some()
                || ask.is_some()
                || self.requests.has_full_bin()
                || self.requests.linger_ends(self.linger).is_some_and(|at| at <= Instant::now());
            if may_send && self.expect_org.is_some() && self.requests.in_flight() > 0 {
                // The CRM is being asked which org it is: what it says wakes the loop.
                self.put_back_staged();
                closed = true;
                break;
            }
            if may_send {
                match self.permit()? {
                    Ok(permit) => {
                        if let Some(org) = self.expect_org.clone() {
                            self.put_back_staged();
                            self.requests.ask(self.client, permit, org);
                            closed = true;
                            break;
                        }
                        match (look, ask) {
                            (Some((mapping, look)), _) => self.begin_look(permit, mapping, look),
                            (None, Some(ask)) => self.begin_ask(permit, ask),
                            (None, None) => self.send(permit)?,
                        }
                        continue;
                    }
                    Err(at) => {
                        // What is staged is decided about again when it may go: it may have changed by then.
                        self.put_back_staged();
                        (wake, closed) = (at, true);
                        break;
                    }
                }
            }
            // Also while one lane has much to look through: those that are drained ask for what is new to them.
            let is_newer = self.next_generations(&mut views, store)?;
            if filled.leaves_some {
                more = true;
                break;
            }
            if is_newer {
                continue;
            }
            // Rows that are marked have had their turn: those who wait for that come next. Otherwise what is settled wakes the loop.
            more |= pace == Pace::Waits && filled.rows > 0;
            break;
        }
        self.listens = !closed;
        if more {
            return Ok(Some(now));
        }
        Ok(if closed { wake } else { self.next_wake() })
    }

    /// Takes what the views show into the indexes of related rows. A mapping whose indexes are behind is not delivered.
    fn catch_up(&mut self, views: &[Option<View<'_>>]) -> Result<Pace, StateError> {
        let now = i64::try_from(now_micros()).unwrap_or(i64::MAX);
        let mut pace = Pace::Done;
        for (index, view) in views.iter().enumerate() {
            let (Some(view), false) = (view, self.indexes[index].is_empty()) else { continue };
            let (indexes, source) = (&mut self.indexes[index], &self.sources[index]);
            pace = pace.max(indexes.catch_up((self.store, view), (&source.gate, &source.wanted), now)?);
            for (mapping, row_keys) in indexes.marked() {
                let lane = self.by_id.get(&mapping).map(|&lane| &mut self.lanes[lane]);
                if let Some(ahead) = lane.and_then(|lane| lane.ahead.as_mut()) {
                    ahead.look_at(row_keys);
                }
            }
            let of = self.lanes.iter_mut().filter(|lane| lane.source_index == index && indexes.has(lane.id));
            of.for_each(|lane| {
                // A relation that is new to a mapping with records holds up no other field of it.
                let goes_on = lane.figures.records > 0;
                lane.behind = !indexes.is_at_view(lane.id, goes_on);
                lane.lacks_relations = indexes.is_building(lane.id);
            });
        }
        Ok(pace)
    }

    /// What rows were evaluated with: a change of it finds them.
    fn note_asked(&self, notes: &mut Notes<'_>) -> Result<(), StateError> {
        for (dependent, now) in self.asked.take() {
            let before = self.store.needs(&dependent)?;
            if before != now {
                notes.batch.needs(&dependent, &before, &now);
            }
        }
        Ok(())
    }

    /// Sends a request's worth of what is staged.
    fn send(&mut self, permit: Permit) -> Result<(), StateError> {
        if let Some(mut staged) = self.requests.take(self.client, &self.urgent) {
            self.intend(&mut staged)?;
            failpoint::hit("delivery.before_send");
            self.requests.send(self.client, permit, staged);
        }
        Ok(())
    }

    /// What a request may change is noted, synced, before it is sent: whatever becomes of the answer, the next look at
    /// its rows finds out.
    fn intend(&mut self, staged: &mut [Staged]) -> Result<(), StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        for one in staged {
            if let Some(&index) = self.by_id.get(&one.lane) {
                notes.intend(&mut self.lanes[index], &one.entry, &mut one.plan)?;
            }
        }
        if !notes.batch.is_empty() {
            self.store.write_delivery(notes.batch, Durability::Synced)?;
        }
        Ok(())
    }

    /// The right to one request, or when to ask again.
    fn permit(&mut self) -> Result<Result<Permit, Option<Instant>>, StateError> {
        loop {
            let moment = Moment::now();
            match self.limiter.try_acquire(moment) {
                Acquire::Granted(permit) => return Ok(Ok(permit)),
                // A request that ends wakes the loop.
                Acquire::Busy => return Ok(Err(None)),
                Acquire::Wait(wait) => return Ok(Err(Some(moment.steady + wait))),
                Acquire::NeedsDayReservation(reservation) => {
                    let record = serde_json::to_string(reservation.record()).unwrap_or_default();
                    self.store.set_day(self.name, &record)?;
                    if !self.limiter.reserved(&reservation, moment) {
                        return Ok(Err(Some(moment.steady + Duration::from_millis(100))));
                    }
                }
                Acquire::Exhausted { until } => {
                    let left = until.0.saturating_sub(moment.wall.0).max(1_000_000).unsigned_abs();
                    return Ok(Err(Some(moment.steady + Duration::from_micros(left).min(LONGEST_WAIT))));
                }
            }
        }
    }

    /// The store at the end of a transaction, for each source that is not inside one.
    fn views<'v>(&mut self, store: &'v Store) -> Result<Vec<Option<View<'v>>>, StateError> {
        let mut views = Vec::new();
        for index in 0..self.sources.len() {
            // Read before the view is taken: what it says is in the view.
            let durable = self.sources[index].durable.borrow().clone();
            let seen = self.sources[index].gate.between_transactions(|closed| (store.view(), closed));
            if let Some((view, closed)) = &seen {
                self.show(index, view, closed, &durable)?;
            }
            views.push(seen.map(|(view, _)| view));
        }
        Ok(views)
    }

    /// Tells the lanes of a source what a new view shows. Everything is read through the view: a load that ends after it
    /// was taken is not over yet.
    fn show(
        &mut self,
        source: usize,
        view: &View<'_>,
        closed: &BTreeMap<MappingId, Generation>,
        durable: &Durable,
    ) -> Result<(), StateError> {
        let has_passed = self.sources[source].has_passed;
        // Also over log that carried nothing for us: a quiet database must not hold back what was loaded.
        let reached = [durable.position.as_ref(), durable.acknowledged.as_ref()];
        let passed = |high: &Position| reached.iter().flatten().any(|at| has_passed(at, high));
        let now = now_micros();
        self.indexes[source].show(view, closed, passed)?;
        let mut newly_held = Vec::new();
        for lane in self.lanes.iter_mut().filter(|lane| lane.source_index == source) {
            lane.relations = self.indexes[source].revision(lane.id).unwrap_or_default();
            if let Some(&closed) = closed.get(&lane.id) {
                lane.queue.sees(closed);
            }
            if let Some(ahead) = &mut lane.ahead
                && let Some(&closed) = closed.get(&ahead.id())
            {
                ahead.sees(closed);
            }
            lane.begin_run(now);
            let was_held = lane.is_held();
            lane.drift = view.drift(lane.id)?.or_else(|| self.indexes[source].drift(lane.id).cloned());
            if lane.is_held() && !was_held {
                newly_held.push(lane.id);
            }
            lane.swept.truncated = view.truncated(lane.table)?;
            lane.suspected = view.suspected(lane.table)?.map(|suspected| suspected.why).filter(|why| why.holds());
            if lane.suspected.is_some() {
                lane.loaded = false;
            } else if !lane.loaded {
                let mut all = true;
                for &table in &lane.needs {
                    all &= is_loaded(view.load(table)?.as_ref(), passed);
                }
                lane.loaded = all;
            }
            if lane.loaded
                && let Some(load) = view.load(lane.table)?
                && is_loaded(Some(&load), passed)
            {
                lane.swept = lane.swept.by_load(&load);
                lane.begin_scan(self.store, &load, durable.seq)?;
            }
        }
        newly_held.into_iter().try_for_each(|mapping| self.release_waiting_for(mapping))
    }

    /// Lanes that have been taken empty ask for their next generation. True when a new view shows more.
    fn next_generations<'v>(
        &mut self,
        views: &mut Vec<Option<View<'v>>>,
        store: &'v Store,
    ) -> Result<bool, StateError> {
        let before: Vec<_> = self.lanes.iter().map(|lane| lane.queue.closed()).collect();
        let known: Vec<_> = self.indexes.iter().flat_map(Indexes::closed).collect();
        // Those that are drained have asked for theirs when they were.
        let mut wanted = self.indexes.iter().any(Indexes::wants_more);
        for lane in self.lanes.iter_mut().filter(|lane| lane.queue.is_exhausted()) {
            self.sources[lane.source_index].gate.want(lane.id);
            wanted = true;
            if let Some(low) = lane.queue.drained_before() {
                let mut batch = DeliveryBatch::new(store);
                batch.drained(lane.id, low);
                store.write_delivery(batch, Durability::WithTheNext)?;
            }
        }
        if !wanted {
            return Ok(false);
        }
        views.clear();
        views.append(&mut self.views(store)?);
        let more = self.lanes.iter().zip(before).any(|(lane, before)| lane.queue.closed() > before);
        Ok(more || self.indexes.iter().flat_map(Indexes::closed).zip(known).any(|(now, before)| now > before))
    }

    /// Decides about rows until a request's worth is staged or nothing is left, but for so many at most.
    fn fill(&mut self, views: &[Option<View<'_>>]) -> Result<Filled, StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        let mut filled = Filled::default();
        self.lanes.iter_mut().for_each(Lane::begin_round);
        'lanes: for index in 0..self.lanes.len() {
            let Some(Some(view)) = views.get(self.lanes[index].source_index) else { continue };
            notes.position = self.sources[self.lanes[index].source_index].durable.borrow().position.clone();
            let mut tried = 0;
            while let Some(entry) = self.lanes[index].take(self.store, view, notes.now)? {
                filled.rows += 1;
                tried += 1;
                let turn = self.lanes[index].turn(self.store, view, &entry, notes.now)?;
                if turn != Turn::Now {
                    notes.passed_over(&mut self.lanes[index], &entry, turn)?;
                    continue;
                }
                let Decided { verdict, hoped, unasked } = prepare(&self.world(view), index, &entry)?;
                if let Some(hoped) = hoped.filter(|_| self.lanes[index].hopes) {
                    notes.hopes(&self.lanes[index], &entry, &hoped)?;
                }
                notes.ask_for(&unasked);
                self.note_asked(&mut notes)?;
                if self.act(&mut notes, index, entry, verdict)? {
                    // A circle of waiting rows is seen only in what is written.
                    self.write(&mut notes)?;
                }
                let (is_full, is_enough) = (self.requests.has_full_bin(), filled.rows >= ROWS_A_ROUND);
                // Others have their turn.
                let is_cut = is_enough || tried >= ROWS_A_ROUND / 2;
                filled.leaves_some |= is_cut;
                if is_full || is_enough {
                    break 'lanes;
                }
                if is_cut {
                    break;
                }
            }
        }
        self.write(&mut notes)?;
        Ok(filled)
    }

    /// What a decision may look at.
    pub(super) fn world<'w>(&'w self, view: &'w View<'w>) -> World<'w> {
        World {
            store: self.store,
            view,
            lanes: &self.lanes,
            by_id: &self.by_id,
            requests: &self.requests,
            blocked: &self.blocked,
            now: now_micros(),
            indexes: &self.indexes,
            asked: &self.asked,
        }
    }

    /// Does what a verdict says. True when it has to be written before the next row is looked at.
    fn act(&mut self, notes: &mut Notes<'_>, index: usize, entry: Entry, verdict: Verdict) -> Result<bool, StateError> {
        let lane = &mut self.lanes[index];
        match verdict {
            Verdict::Drop => {
                notes.done(lane, &entry)?;
                Ok(false)
            }
            Verdict::Note { link, was, record } => {
                let fed = |link: &Option<Link>| link.as_ref().and_then(|link| link.record);
                // The record's other rows have to see who has left it: the last one takes it along.
                let moved = fed(&link) != fed(&was);
                notes.note(lane, &entry, link.as_ref(), was.as_ref(), record.as_ref())?;
                Ok(moved || !notes.wake.is_empty() || !notes.given_up.is_empty())
            }
            Verdict::Unlink { link, id } => {
                notes.unlink(lane, &entry, &link, id)?;
                lane.give_back(entry);
                Ok(true)
            }
            Verdict::Leave { link, id } => {
                notes.leave(lane, &entry, &link, id)?;
                lane.give_back(entry);
                Ok(true)
            }
            Verdict::Send(plan) if lane.config.observe => {
                notes.observed(lane, &entry, &plan)?;
                Ok(false)
            }
            Verdict::Send(plan) => {
                lane.begins(&entry.row_key, &plan);
                if plan.write.op == WriteOp::Delete && !self.admits(index, &entry.row_key) {
                    notes.park(&mut self.lanes[index], &entry, ParkedWhy::Guarded)?;
                    return Ok(false);
                }
                let before = plan.was.as_ref().map_or(&[][..], |was| &was.parents);
                // Before the request: a parent may be accepted while it is under way.
                notes.refer_to(self.lanes[index].id, &entry.row_key, &plan.parents, before);
                self.requests.stage(self.lanes[index].id, entry, *plan);
                Ok(false)
            }
            Verdict::Busy(id) => {
                self.blocked.entry(id).or_default().push((lane.id, entry));
                Ok(false)
            }
            Verdict::Wait { parent, parents } => {
                notes.wait(lane, &entry, parent, &parents)?;
                Ok(true)
            }
            Verdict::Hope { until, parent, parents } => {
                notes.hope(lane, &entry, until, parent, &parents)?;
                Ok(true)
            }
            Verdict::Park(ParkedWhy::Incomplete) if !lane.fetches(&entry) => {
                notes.done(lane, &entry)?;
                Ok(false)
            }
            Verdict::Park(why) => {
                if why == ParkedWhy::Incomplete {
                    self.sources[lane.source_index].wanted.ask(lane.table, &entry.row_key);
                }
                if why == ParkedWhy::Children && entry.attempts() == 0 && lane.has_rivals {
                    // What refers to it may refer to the record of another mapping before it goes.
                    notes.wake.push((lane.id, entry.row_key.clone()));
                }
                notes.park(lane, &entry, why)?;
                Ok(false)
            }
            Verdict::Dead { refusal, key, seq, parents } => {
                let was = self.store.link(lane.id, &entry.row_key)?;
                notes.dead(lane, &entry, seq, was.as_ref(), refusal, key, &parents, String::new())?;
                self.hold_when_refused(index)?;
                Ok(true)
            }
        }
    }

    /// Whether the guard lets one more deletion through; asked once a deletion, however often it is sent.
    fn admits(&mut self, index: usize, row_key: &[u8]) -> bool {
        let lane = &mut self.lanes[index];
        let name = (lane.id, row_key.to_vec());
        if self.admitted.contains(&name) {
            return true;
        }
        let tripped = lane.guard.is_tripped();
        let admitted = lane.guard.admits(now_micros() / 1_000_000, lane.figures.records);
        if admitted {
            self.admitted.insert(name);
        } else if !tripped {
            tracing::warn!(mapping = %lane.config.name, "the guard on deletions has tripped: deletions are held until `passerelle resume {} --confirm`", lane.config.name);
        }
        admitted
    }

    pub(super) fn write(&mut self, notes: &mut Notes<'_>) -> Result<(), StateError> {
        notes.wake_children()?;
        let batch = std::mem::replace(&mut notes.batch, DeliveryBatch::new(notes.store));
        if !batch.is_empty() {
            self.store.write_delivery(batch, Durability::WithTheNext)?;
        }
        Ok(())
    }

    /// When to look again without being woken.
    fn next_wake(&self) -> Option<Instant> {
        let now = Instant::now();
        let linger = self.requests.linger_ends(self.linger);
        let lanes = self.lanes.iter().filter(|lane| !lane.is_held());
        let lines = lanes.flat_map(|lane| std::iter::once(lane.id).chain(lane.ahead.as_ref().map(Ahead::id)));
        let due = lines.filter_map(|line| {
            let at = self.store.next_due(line).ok().flatten()?;
            let left = Duration::from_micros(at.saturating_sub(now_micros()));
            (left < Duration::from_secs(3_600)).then(|| now + left)
        });
        let runs = self.lanes.iter().filter(|lane| lane.run_until.is_none()).filter_map(|lane| lane.next_run);
        // The clock may be set meanwhile: what is far off is looked at again before.
        let runs = runs.map(|at| now + Duration::from_micros(at.saturating_sub(now_micros())).min(LONGEST_WAIT));
        let looks = self.lanes.iter().filter(|lane| !lane.is_held() && lane.loaded);
        let looks = looks.filter_map(|lane| lane.enforced.as_ref().and_then(Enforced::due));
        let expiries = self.indexes.iter().filter_map(Indexes::next_expiry);
        let expiries = expiries.map(|at| {
            let left = at.saturating_sub(i64::try_from(now_micros()).unwrap_or(i64::MAX)).max(0).unsigned_abs();
            now + Duration::from_micros(left).min(LONGEST_WAIT)
        });
        let next = due.chain(linger).chain(runs).chain(looks).chain(expiries).chain(self.next_ask(now)).min();
        // What is due and was not done now waits for something else: it is no reason to go round and round.
        next.map(|at| at.max(now + LEAST_WAIT))
    }

    /// The linger that the day's forecast asks for: nothing while it fits the budget.
    pub(super) fn plan_linger(&mut self, now: Instant, calls: u64) {
        let (at, records_then, calls_then) = self.recent;
        let elapsed = now.duration_since(at);
        if elapsed < Duration::from_secs(10) {
            return;
        }
        let (records, used) = ((self.records_total - records_then) as f64, (calls - calls_then) as f64);
        // A burst says little of the day: a first load, or what waited while the CRM was down.
        let share = (elapsed.as_secs_f64() / RATE_OVER.as_secs_f64()).min(1.0);
        self.records_per_second += (records / elapsed.as_secs_f64() - self.records_per_second) * share;
        if self.linger.is_zero() && records > 0.0 {
            self.calls_per_record = (used / records).clamp(0.005, 1.0);
        }
        let freshness = self.lanes.iter().map(|lane| lane.config.freshness).min().unwrap_or(Duration::from_secs(60));
        self.linger = match self.limiter.outlook(Moment::now()) {
            None => Duration::ZERO,
            Some(outlook) => linger(&Forecast {
                calls_left: outlook.calls_left,
                within: outlook.within,
                records_per_second: self.records_per_second,
                calls_per_record: self.calls_per_record,
                lanes: self.lanes.len() as u32,
                freshness,
            }),
        };
        self.recent = (now, self.records_total, calls);
    }
}
