//! The loop of one CRM's delivery.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use passerelle_change::{Outcome, Position, RequestError, RetryScope, Seq, TableId, WriteOp};
use passerelle_crm::limiter::forecast::{Forecast, linger};
use passerelle_crm::{Acquire, Limiter, Moment, Permit};
use passerelle_state::{Durability, Gate, Hold, MappingId, ParkedWhy, SourceId, StateError, Store, View};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::lane::{Entry, Lane, is_loaded};
use super::prepare::{Verdict, World, prepare};
use super::requests::{Answered, Requests};
use super::settle::{After, Notes, REFUSALS_HOLD};
use super::{Command, SharedClient, now_micros};
use crate::capture::Durable;
use crate::config::model;
use crate::control::board::Board;
use crate::failpoint;
use crate::mapping::Mapping;

/// The wait after a failed request doubles up to this.
const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// After a fault that a person has to mend, one request is tried this often.
const OPERATOR_WAIT: Duration = Duration::from_secs(30);
/// Rows decided about before the loop looks up again.
const ROWS_A_ROUND: usize = 2_000;
/// Requests under way are given this long when the daemon stops.
const GRACE: Duration = Duration::from_secs(20);

/// One mapping, as the daemon sets it up.
pub struct LaneSetup {
    /// Its number.
    pub id: MappingId,
    /// Its source.
    pub source: SourceId,
    /// Its place in [`Delivery::sources`].
    pub source_index: usize,
    /// Its table.
    pub table: TableId,
    /// The number of its object.
    pub object_id: u32,
    /// As configured.
    pub config: Arc<model::Mapping>,
    /// Compiled.
    pub mapping: Arc<Mapping>,
    /// Tables that must be loaded first.
    pub needs: Vec<TableId>,
    /// Others refer to it.
    pub has_children: bool,
}

/// A source as delivery sees it.
pub struct SourceView {
    /// Its number.
    pub id: SourceId,
    /// Its gate.
    pub gate: Arc<Gate>,
    /// What is durable.
    pub durable: watch::Receiver<Durable>,
    /// Whether the first position is at or past the second: the connector's own comparison.
    pub has_passed: fn(&Position, &Position) -> bool,
}

/// One CRM's delivery.
pub struct Delivery {
    /// The CRM's name.
    pub name: String,
    /// Its client.
    pub client: SharedClient,
    /// Its limiter.
    pub limiter: Arc<Limiter>,
    /// The state.
    pub store: Arc<Store>,
    /// Where figures are published.
    pub board: Arc<Board>,
    /// The sources of its mappings.
    pub sources: Vec<SourceView>,
    /// Its mappings: urgent ones first, then parents before children.
    pub lanes: Vec<LaneSetup>,
    /// What people ask for.
    pub commands: mpsc::Receiver<Command>,
    /// Ends it; requests under way are finished within a grace.
    pub cancel: CancellationToken,
}

/// What the loop knows.
pub(super) struct Engine<'s> {
    pub name: &'s str,
    pub store: &'s Store,
    pub board: &'s Board,
    pub client: &'s SharedClient,
    pub limiter: &'s Limiter,
    pub sources: &'s mut [SourceView],
    pub lanes: Vec<Lane>,
    pub by_id: HashMap<MappingId, usize>,
    pub requests: Requests,
    /// Rows whose record is busy, by that record.
    pub blocked: HashMap<passerelle_state::RecordId, Vec<(MappingId, Entry)>>,
    /// Deletions that the guard has let through and that are not accepted yet.
    pub admitted: HashSet<(MappingId, Vec<u8>)>,
    pub permit: Option<Permit>,
    pub urgent: HashSet<MappingId>,
    /// Failed requests in a row, and when the next may go.
    pub failures: u32,
    pub not_before: Option<Instant>,
    pub fault: Option<String>,
    /// Held by a person: this CRM, or all writes.
    pub held: bool,
    pub records_total: u64,
    pub throttled_total: u64,
    pub linger: Duration,
    /// When the forecast was last made, and the totals of records and calls then.
    pub recent: (Instant, u64, u64),
    /// What a record cost while nothing lingered.
    pub calls_per_record: f64,
    /// Key changes that were applied, by source.
    pub moves_done: HashMap<SourceId, Seq>,
}

impl Delivery {
    /// Runs until `cancel`.
    ///
    /// # Errors
    /// When the state can't be read or written: nothing more is delivered then.
    pub async fn run(mut self) -> Result<(), StateError> {
        let store = Arc::clone(&self.store);
        let now = Instant::now();
        let mut lanes = Vec::new();
        for setup in self.lanes.drain(..) {
            let ids = (setup.id, setup.source, setup.table, setup.object_id);
            let (index, needs, children) = (setup.source_index, setup.needs, setup.has_children);
            lanes.push(Lane::new(&store, ids, index, setup.config, setup.mapping, needs, children, now)?);
        }
        let mut engine = Engine {
            name: &self.name,
            store: &store,
            board: &self.board,
            client: &self.client,
            limiter: &self.limiter,
            sources: &mut self.sources,
            by_id: lanes.iter().enumerate().map(|(index, lane)| (lane.id, index)).collect(),
            urgent: lanes.iter().filter(|lane| lane.config.urgent).map(|lane| lane.id).collect(),
            lanes,
            requests: Requests::default(),
            blocked: HashMap::new(),
            admitted: HashSet::new(),
            permit: None,
            failures: 0,
            not_before: None,
            fault: None,
            held: false,
            records_total: 0,
            throttled_total: 0,
            linger: Duration::ZERO,
            recent: (now, 0, 0),
            calls_per_record: 1.0,
            moves_done: HashMap::new(),
        };
        engine.read_holds()?;
        engine.rounds(&mut self.commands, &self.cancel).await?;
        engine.finish().await
    }
}

/// What wakes the loop.
enum Event {
    Stop,
    Answered(Answered),
    Command(Command),
    Report,
    Look,
}

impl Engine<'_> {
    async fn rounds(&mut self, commands: &mut mpsc::Receiver<Command>, cancel: &CancellationToken) -> Result<(), StateError> {
        let mut report = tokio::time::interval(Duration::from_millis(500));
        report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = self.round()?;
            let event = {
                let Engine { requests, sources, .. } = &mut *self;
                tokio::select! {
                    biased;
                    // Each is cancel-safe: what is not received stays where it is.
                    () = cancel.cancelled() => Event::Stop,
                    answered = requests.answered() => Event::Answered(answered),
                    command = commands.recv() => command.map_or(Event::Stop, Event::Command),
                    _ = report.tick() => Event::Report,
                    () = any_change(sources) => Event::Look,
                    () = until(wake) => Event::Look,
                }
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Answered(answered) => self.settle(answered)?,
                Event::Command(command) => self.command(command)?,
                Event::Report => self.report()?,
                Event::Look => {}
            }
        }
    }

    /// Decides and sends as much as may be sent now; returns when there is something to do again.
    fn round(&mut self) -> Result<Option<Instant>, StateError> {
        let now = Instant::now();
        if self.held {
            return Ok(None);
        }
        if let Some(at) = self.not_before.filter(|&at| at > now) {
            return Ok(Some(at));
        }
        let store = self.store;
        let mut views = self.views(store)?;
        let mut wake;
        loop {
            if !self.apply_moves(&views)? {
                // Keys move only when no request is under way: wait for those that are.
                return Ok(None);
            }
            wake = self.take_permit()?;
            if self.permit.is_none() {
                break;
            }
            let decided = self.fill(&views)?;
            let may_send = self.requests.has_full_bin()
                || self.requests.linger_ends(self.linger).is_some_and(|at| at <= Instant::now());
            if may_send && let Some(permit) = self.permit.take() {
                failpoint::hit("delivery.before_send");
                self.permit = self.requests.send(self.client, permit, &self.urgent);
                continue;
            }
            if self.next_generations(&mut views, store)? || decided >= ROWS_A_ROUND {
                continue;
            }
            break;
        }
        Ok(self.next_wake(wake))
    }

    /// A permit in hand, before anything is decided. Otherwise when to ask again.
    fn take_permit(&mut self) -> Result<Option<Instant>, StateError> {
        while self.permit.is_none() {
            let moment = Moment::now();
            match self.limiter.try_acquire(moment) {
                Acquire::Granted(permit) => self.permit = Some(permit),
                // A request that ends wakes the loop.
                Acquire::Busy => return Ok(None),
                Acquire::Wait(wait) => return Ok(Some(moment.steady + wait)),
                Acquire::NeedsDayReservation(reservation) => {
                    let record = serde_json::to_string(reservation.record()).unwrap_or_default();
                    self.store.set_day(self.name, &record)?;
                    if !self.limiter.reserved(&reservation, moment) {
                        return Ok(Some(moment.steady + Duration::from_millis(100)));
                    }
                }
                Acquire::Exhausted { until } => {
                    let left = until.0.saturating_sub(moment.wall.0).max(1_000_000).unsigned_abs();
                    return Ok(Some(moment.steady + Duration::from_micros(left).min(LONGEST_WAIT)));
                }
            }
        }
        Ok(None)
    }

    /// The store at the end of a transaction, for each source that is not inside one.
    fn views<'v>(&mut self, store: &'v Store) -> Result<Vec<Option<View<'v>>>, StateError> {
        let mut views = Vec::new();
        for index in 0..self.sources.len() {
            let seen = self.sources[index].gate.between_transactions(|closed| (store.view(), closed));
            if let Some((_, closed)) = &seen {
                self.show(index, closed)?;
            }
            views.push(seen.map(|(view, _)| view));
        }
        Ok(views)
    }

    /// Tells the lanes of a source what a new view shows.
    fn show(&mut self, source: usize, closed: &BTreeMap<MappingId, passerelle_state::Generation>) -> Result<(), StateError> {
        let durable = self.sources[source].durable.borrow().clone();
        let has_passed = self.sources[source].has_passed;
        let now = Instant::now();
        for lane in self.lanes.iter_mut().filter(|lane| lane.source_index == source) {
            if let Some(&closed) = closed.get(&lane.id) {
                lane.sees(closed);
            }
            lane.begin_run(now);
            if !lane.loaded {
                let passed = |high: &Position| durable.position.as_ref().is_some_and(|at| has_passed(at, high));
                let mut all = true;
                for &table in &lane.needs {
                    all &= is_loaded(self.store.load(table)?.as_ref(), passed);
                }
                lane.loaded = all;
            }
            if lane.loaded
                && let Some(load) = self.store.load(lane.table)?
            {
                lane.begin_scan(self.store, &load, durable.seq)?;
            }
        }
        Ok(())
    }

    /// Lanes that have been taken empty ask for their next generation. True when a new view shows more.
    fn next_generations<'v>(&mut self, views: &mut Vec<Option<View<'v>>>, store: &'v Store) -> Result<bool, StateError> {
        let before: Vec<_> = self.lanes.iter().map(|lane| lane.closed).collect();
        let mut wanted = false;
        for lane in self.lanes.iter_mut().filter(|lane| lane.is_exhausted()) {
            self.sources[lane.source_index].gate.want(lane.id);
            wanted = true;
            if let Some(low) = lane.drained_before() {
                let mut batch = passerelle_state::DeliveryBatch::new(store);
                batch.drained(lane.id, low);
                store.write_delivery(batch, Durability::WithTheNext)?;
            }
        }
        if !wanted {
            return Ok(false);
        }
        views.clear();
        views.append(&mut self.views(store)?);
        Ok(self.lanes.iter().zip(before).any(|(lane, before)| lane.closed > before))
    }

    /// Applies key changes before any row of the view is looked at. False while requests are under way.
    fn apply_moves(&mut self, views: &[Option<View<'_>>]) -> Result<bool, StateError> {
        for (index, view) in views.iter().enumerate() {
            let Some(view) = view else { continue };
            let source = self.sources[index].id;
            loop {
                let moves = view.moves(source, 500)?;
                let pending: Vec<_> = moves.into_iter().filter(|(seq, _)| *seq > self.moves_done.get(&source).copied().unwrap_or_default()).collect();
                if pending.is_empty() {
                    break;
                }
                if self.requests.in_flight() > 0 {
                    return Ok(false);
                }
                self.put_back_staged();
                for (seq, moved) in pending {
                    self.apply_move(source, seq, &moved)?;
                }
                break;
            }
        }
        Ok(true)
    }

    /// Decides about rows until a request's worth is staged or nothing is left. Returns how many were looked at.
    fn fill(&mut self, views: &[Option<View<'_>>]) -> Result<usize, StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        let mut looked = 0;
        'lanes: for index in 0..self.lanes.len() {
            let Some(Some(view)) = views.get(self.lanes[index].source_index) else { continue };
            notes.position = self.sources[self.lanes[index].source_index].durable.borrow().position.clone();
            let mut tried = 0;
            while let Some(entry) = self.lanes[index].take(self.store, view, notes.now)? {
                looked += 1;
                tried += 1;
                let world = World {
                    store: self.store,
                    view,
                    lanes: &self.lanes,
                    by_id: &self.by_id,
                    busy: self.requests.busy(),
                };
                let verdict = prepare(&world, index, &entry)?;
                if self.act(&mut notes, index, entry, verdict)? {
                    // A circle of waiting rows is seen only in what is written.
                    self.write(&mut notes)?;
                }
                if self.requests.has_full_bin() || looked >= ROWS_A_ROUND {
                    break 'lanes;
                }
                if tried >= ROWS_A_ROUND / 2 {
                    break;
                }
            }
        }
        self.write(&mut notes)?;
        Ok(looked)
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
                notes.note(lane, &entry, link.as_ref(), was.as_ref(), record)?;
                Ok(!notes.wake.is_empty())
            }
            Verdict::Unlink { link, id } => {
                notes.unlink(lane, &entry, &link, id)?;
                lane.give_back(entry);
                Ok(true)
            }
            Verdict::Send(plan) => {
                if plan.write.op == WriteOp::Delete && !self.admits(index, &entry.row_key) {
                    notes.park(&mut self.lanes[index], &entry, ParkedWhy::Guarded)?;
                    return Ok(false);
                }
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
            Verdict::Park(why) => {
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

    fn write(&mut self, notes: &mut Notes<'_>) -> Result<(), StateError> {
        notes.wake_children()?;
        let batch = std::mem::replace(&mut notes.batch, passerelle_state::DeliveryBatch::new(notes.store));
        if !batch.is_empty() {
            self.store.write_delivery(batch, Durability::WithTheNext)?;
        }
        Ok(())
    }

    /// A request has come back.
    fn settle(&mut self, answered: Answered) -> Result<(), StateError> {
        failpoint::hit("delivery.before_note");
        let Answered { staged, result, took } = answered;
        tracing::debug!(crm = self.name, records = staged.len(), took_ms = took.as_millis() as u64, "request answered");
        for one in &staged {
            self.requests.free(&one.plan);
        }
        match result {
            Ok(answer) => {
                self.failures = 0;
                self.fault = None;
                self.not_before = None;
                self.limiter.served(answer.usage, Moment::now());
                self.outcomes(staged, answer.outcomes)?;
            }
            Err(error) => self.failed(staged, error)?,
        }
        failpoint::hit("delivery.after_note");
        self.unblock();
        Ok(())
    }

    fn outcomes(&mut self, staged: Vec<super::requests::Staged>, outcomes: Vec<Outcome>) -> Result<(), StateError> {
        let mut notes = Notes::new(self.store, now_micros(), None);
        let mut again = Vec::new();
        let mut touched = HashSet::new();
        for (one, outcome) in staged.into_iter().zip(outcomes) {
            let Some(&index) = self.by_id.get(&one.lane) else { continue };
            notes.position = self.sources[self.lanes[index].source_index].durable.borrow().position.clone();
            if let Outcome::Retry { scope: RetryScope::Object | RetryScope::Credential, .. } = &outcome {
                self.not_before = Some(Instant::now() + Duration::from_secs(1));
            }
            let accepted = matches!(outcome, Outcome::Accepted { .. } | Outcome::Missing);
            let is_deletion = one.plan.write.op == WriteOp::Delete;
            self.records_total += u64::from(accepted);
            let lane = &mut self.lanes[index];
            touched.insert(index);
            match notes.outcome(lane, &one.entry, one.plan, outcome)? {
                After::Settled => {
                    if is_deletion {
                        self.admitted.remove(&(one.lane, one.entry.row_key));
                    }
                }
                After::Again => again.push((one.lane, one.entry)),
            }
        }
        for &index in &touched {
            let lane = &self.lanes[index];
            notes.batch.figures(lane.id, &lane.figures);
            notes.batch.deletions(lane.id, &lane.guard.times());
        }
        self.write(&mut notes)?;
        for (mapping, entry) in again {
            self.give_back(mapping, entry);
        }
        for index in touched {
            self.hold_when_refused(index)?;
        }
        Ok(())
    }

    /// A request gave no outcomes: its rows are looked at afresh when it is tried again.
    fn failed(&mut self, staged: Vec<super::requests::Staged>, error: RequestError) -> Result<(), StateError> {
        let text = error.to_string();
        match error {
            RequestError::Rejected(refusal) if staged.len() == 1 => {
                return self.outcomes(staged, vec![Outcome::Rejected(refusal)]);
            }
            RequestError::Rejected(_) => {
                for one in &staged {
                    self.requests.keep_busy(&one.plan);
                }
                self.requests.split(staged);
                return Ok(());
            }
            RequestError::Throttled { retry_after, daily, .. } => {
                self.throttled_total += 1;
                self.limiter.throttled(retry_after, daily, Moment::now());
            }
            RequestError::Transient { .. } => {
                self.limiter.served(None, Moment::now());
                self.back_off(Duration::from_millis(250));
            }
            RequestError::Operator { hint, .. } => {
                self.limiter.served(None, Moment::now());
                self.not_before = Some(Instant::now() + OPERATOR_WAIT);
                tracing::error!(crm = self.name, error = %text, hint = %hint, "the CRM needs a person");
            }
        }
        if self.fault.as_deref() != Some(&text) {
            tracing::warn!(crm = self.name, error = %text, "a request failed; its records wait");
        }
        self.fault = Some(text);
        for one in staged.into_iter().rev() {
            self.give_back(one.lane, one.entry);
        }
        self.put_back_staged();
        Ok(())
    }

    /// Full jitter below a bound that doubles.
    fn back_off(&mut self, first: Duration) {
        let bound = first.saturating_mul(1 << self.failures.min(10)).min(LONGEST_WAIT);
        self.failures += 1;
        self.not_before = Some(Instant::now() + bound.mul_f64(rand::random_range(0.1..1.0)));
    }

    pub(super) fn put_back_staged(&mut self) {
        for one in self.requests.unstage().into_iter().rev() {
            self.give_back(one.lane, one.entry);
        }
        self.unblock();
    }

    fn give_back(&mut self, mapping: MappingId, entry: Entry) {
        if let Some(&index) = self.by_id.get(&mapping) {
            self.lanes[index].give_back(entry);
        }
    }

    /// Rows whose record has become free are looked at again.
    fn unblock(&mut self) {
        let busy = self.requests.busy();
        let free: Vec<_> = self.blocked.keys().filter(|id| !busy.contains(id)).copied().collect();
        for id in free {
            for (mapping, entry) in self.blocked.remove(&id).unwrap_or_default() {
                self.give_back(mapping, entry);
            }
        }
    }

    /// Fifty refusals with one code and nothing accepted between hold the mapping (STATE.md, rule 9).
    fn hold_when_refused(&mut self, index: usize) -> Result<(), StateError> {
        let lane = &mut self.lanes[index];
        if lane.refusals.1 < REFUSALS_HOLD || lane.held.is_some() {
            return Ok(());
        }
        let reason = format!("{} records in a row were refused with {}", lane.refusals.1, lane.refusals.0);
        let hold = Hold {
            reason: reason.clone(),
            since: passerelle_change::Micros(i64::try_from(now_micros()).unwrap_or(i64::MAX)),
            by_person: false,
        };
        self.store.set_hold(&format!("mapping/{}", lane.config.name), Some(&hold))?;
        tracing::warn!(mapping = %lane.config.name, reason = %reason, "held: mend it, then `passerelle resume {}`", lane.config.name);
        lane.held = Some(reason);
        let id = lane.id;
        self.release_waiting_for(id)
    }

    /// When to look again without being woken.
    fn next_wake(&mut self, permit: Option<Instant>) -> Option<Instant> {
        let now = Instant::now();
        let linger = self.requests.linger_ends(self.linger);
        let due = self.lanes.iter().filter(|lane| lane.held.is_none()).filter_map(|lane| {
            let at = self.store.next_due(lane.id).ok().flatten()?;
            let left = Duration::from_micros(at.saturating_sub(now_micros()));
            (left < Duration::from_secs(3_600)).then(|| now + left.max(Duration::from_millis(2)))
        });
        let runs = self.lanes.iter().filter_map(|lane| lane.next_run.filter(|_| lane.run_until.is_none()));
        match permit {
            Some(at) => Some(at),
            None => due.chain(linger).chain(runs).min(),
        }
    }

    /// The linger that the day's forecast asks for: nothing while it fits the budget.
    pub(super) fn plan_linger(&mut self, now: Instant, calls: u64) {
        let (at, records_then, calls_then) = self.recent;
        let elapsed = now.duration_since(at);
        if elapsed < Duration::from_secs(10) {
            return;
        }
        let (records, used) = ((self.records_total - records_then) as f64, (calls - calls_then) as f64);
        if self.linger.is_zero() && records > 0.0 {
            self.calls_per_record = (used / records).clamp(0.005, 1.0);
        }
        let freshness = self.lanes.iter().map(|lane| lane.config.freshness).min().unwrap_or(Duration::from_secs(60));
        self.linger = match self.limiter.outlook(Moment::now()) {
            None => Duration::ZERO,
            Some(outlook) => linger(&Forecast {
                calls_left: outlook.calls_left,
                within: outlook.within,
                records_per_second: records / elapsed.as_secs_f64(),
                calls_per_record: self.calls_per_record,
                lanes: self.lanes.len() as u32,
                freshness,
            }),
        };
        self.recent = (now, self.records_total, calls);
    }

    /// Stopping: nothing new is sent, what is under way is finished within the grace.
    async fn finish(mut self) -> Result<(), StateError> {
        let deadline = tokio::time::Instant::now() + GRACE;
        self.requests.unstage();
        while self.requests.in_flight() > 0 {
            match tokio::time::timeout_at(deadline, self.requests.answered()).await {
                Ok(answered) => self.settle(answered)?,
                Err(_) => break,
            }
        }
        self.report()
    }
}

/// Pends until a source has made something durable. A source whose capture has ended is silent: what it made durable is
/// still delivered.
async fn any_change(sources: &mut [SourceView]) {
    let changes = sources.iter_mut().map(|source| {
        Box::pin(async {
            if source.durable.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        })
    });
    let changes: Vec<_> = changes.collect();
    if changes.is_empty() {
        std::future::pending::<()>().await;
    }
    futures_util::future::select_all(changes).await;
}

async fn until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at.into()).await,
        None => std::future::pending().await,
    }
}
