//! The loop of one CRM's delivery.

use std::cell::RefCell;
use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use passerelle_change::{Position, Seq, TableId};
use passerelle_crm::Limiter;
use passerelle_state::{Dependent, Gate, JoinKey, MappingId, RecordId, SourceId, StateError, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::lane::{Entry, Lane};
use super::related::{Described, Indexes, RelatedSetup};
use super::requests::{Requests, Returned};
use super::unkept::{Line, LineSetup};
use super::{Command, SharedClient, now_micros};
use crate::capture::Durable;
use crate::config::model;
use crate::control::board::Board;
use crate::control::growth::Growth;
use crate::mapping::Mapping;
use crate::wanted::Wanted;

/// The wait after a failed request doubles up to this.
pub(super) const LONGEST_WAIT: Duration = Duration::from_secs(60);
/// Requests under way are given this long when the daemon stops.
const GRACE: Duration = Duration::from_secs(20);

/// One mapping, as the daemon sets it up.
pub struct LaneSetup {
    /// Its number.
    pub id: MappingId,
    /// Its place in [`Delivery::sources`].
    pub source_index: usize,
    /// Its table.
    pub table: TableId,
    /// The columns that a load of the table brings, by id.
    pub columns: Vec<u32>,
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
    /// Some of those refer to it or another.
    pub has_rivals: bool,
    /// The lane of its urgent fields, if it has some.
    pub ahead: Option<MappingId>,
    /// The lines of its fields that refer to records that no mapping keeps, by the place of the field.
    pub lines: HashMap<usize, MappingId>,
    /// The tables whose rows it is evaluated with.
    pub related: Vec<RelatedSetup>,
}

/// A source as delivery sees it.
pub struct SourceView {
    /// Its number.
    pub id: SourceId,
    /// Its gate.
    pub gate: Arc<Gate>,
    /// What is durable.
    pub durable: watch::Receiver<Durable>,
    /// Where rows are asked for that came in part.
    pub wanted: Arc<Wanted>,
    /// Whether the first position is at or past the second: the connector's own comparison.
    pub has_passed: fn(&Position, &Position) -> bool,
}

/// One CRM's delivery.
pub struct Delivery {
    /// The CRM's name.
    pub name: String,
    /// The org that it must be, by its id.
    pub expect_org: Option<String>,
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
    /// The objects and fields by which records are found that no mapping keeps, each once.
    pub lines: Vec<LineSetup>,
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
    pub lines: Vec<Line>,
    pub by_id: HashMap<MappingId, usize>,
    /// What related rows are found by, a source each.
    pub indexes: Vec<Indexes>,
    /// What rows were evaluated with, to be noted.
    pub asked: RefCell<Vec<(Dependent, Vec<JoinKey>)>>,
    pub requests: Requests,
    /// The org that the CRM must be: taken away when it was found to be that one. Nothing is written before.
    pub expect_org: Option<String>,
    /// Our user's id in the CRM, once a look for edits has asked for it.
    pub us: Option<String>,
    /// Rows whose record is busy, by that record.
    pub blocked: HashMap<RecordId, Vec<(MappingId, Entry)>>,
    /// Deletions that the guard has let through and that are not accepted yet.
    pub admitted: HashSet<(MappingId, Vec<u8>)>,
    pub urgent: HashSet<MappingId>,
    /// Failed requests in a row, and when the next may go.
    pub failures: u32,
    pub not_before: Option<Instant>,
    pub fault: Option<String>,
    /// Held by a person: this CRM, or all writes.
    pub held: bool,
    pub records_total: u64,
    pub throttled_total: u64,
    /// `records_total` when the CRM's server failed at a record alone last.
    pub records_before_suspect: u64,
    pub linger: Duration,
    /// Something could be sent: what capture makes durable is looked at at once.
    pub listens: bool,
    /// When the forecast was last made, and the totals of records and calls then.
    pub recent: (Instant, u64, u64),
    /// Records accepted a second, over the last minutes.
    pub records_per_second: f64,
    /// What a record cost while nothing lingered.
    pub calls_per_record: f64,
    /// How the day's calls are used, for the forecast of their end.
    pub day_used: Growth,
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
        let mut indexes = Vec::new();
        for source in 0..self.sources.len() {
            let of = self.lanes.iter().filter(|lane| lane.source_index == source);
            let described: Vec<_> = of.map(Described::from).collect();
            indexes.push(Indexes::new(&store, &described)?);
        }
        let mut lanes = Vec::new();
        for setup in self.lanes.drain(..) {
            let relations = indexes[setup.source_index].revision(setup.id);
            lanes.push(Lane::new(&store, setup, relations, now_micros())?);
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
            lines: self.lines.drain(..).map(Line::new).collect(),
            indexes,
            asked: RefCell::default(),
            requests: Requests::default(),
            expect_org: self.expect_org.take(),
            us: None,
            blocked: HashMap::new(),
            admitted: HashSet::new(),
            failures: 0,
            not_before: None,
            fault: None,
            held: false,
            records_total: 0,
            throttled_total: 0,
            records_before_suspect: 0,
            linger: Duration::ZERO,
            listens: true,
            recent: (now, 0, 0),
            records_per_second: 0.0,
            calls_per_record: 1.0,
            day_used: Growth::default(),
            moves_done: HashMap::new(),
        };
        engine.read_holds()?;
        engine.release_left_out()?;
        engine.rounds(&mut self.commands, &self.cancel).await?;
        engine.finish().await
    }
}

/// What wakes the loop.
enum Event {
    Stop,
    Returned(Returned),
    Command(Command),
    Report,
    Look,
}

impl Engine<'_> {
    async fn rounds(
        &mut self,
        commands: &mut mpsc::Receiver<Command>,
        cancel: &CancellationToken,
    ) -> Result<(), StateError> {
        let mut report = tokio::time::interval(Duration::from_millis(500));
        report.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let wake = self.round()?;
            let event = {
                let Engine { requests, sources, listens, .. } = &mut *self;
                tokio::select! {
                    biased;
                    // Each is cancel-safe: what is not received stays where it is.
                    () = cancel.cancelled() => Event::Stop,
                    returned = requests.returned() => Event::Returned(returned),
                    command = commands.recv() => command.map_or(Event::Stop, Event::Command),
                    _ = report.tick() => Event::Report,
                    () = any_change(sources), if *listens => Event::Look,
                    () = until(wake) => Event::Look,
                }
            };
            match event {
                Event::Stop => return Ok(()),
                Event::Returned(returned) => self.returned(returned)?,
                Event::Command(command) => self.command(command)?,
                Event::Report => self.report(),
                Event::Look => {}
            }
        }
    }

    /// Stopping: nothing new is sent, what is under way is finished within the grace.
    async fn finish(mut self) -> Result<(), StateError> {
        let deadline = tokio::time::Instant::now() + GRACE;
        self.requests.unstage();
        while self.requests.in_flight() > 0 {
            match tokio::time::timeout_at(deadline, self.requests.returned()).await {
                Ok(returned) => self.returned(returned)?,
                Err(_) => break,
            }
        }
        self.report();
        Ok(())
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
        // Whoever else is ready is polled before.
        Some(at) if at <= Instant::now() => tokio::task::yield_now().await,
        Some(at) => tokio::time::sleep_until(at.into()).await, // when a row, a retry or a window is due
        None => std::future::pending().await,
    }
}
