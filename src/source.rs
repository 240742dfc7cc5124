//! One source: its tables, its stream, its loads, kept running.
//!
//! [`setup`] reads the catalogue and compiles the mappings against it. [`Source::run`] then keeps a stream open: it
//! checks the server's history, makes the slot on the first start, reads the tables through the slot's own snapshot
//! ([`load`]), and connects again whenever the connection ends. What was handed to capture is durable before it
//! connects again, so that nothing is folded twice and nothing older over something newer. Beside the stream, [`fetch`]
//! reads single rows that the log gave in part.

mod fetch;
mod load;
mod publish;
mod setup;
mod tail;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use passerelle_change::{Class, ColumnIds, Position};
use passerelle_postgres::history::{self, History, Kept, Start};
use passerelle_postgres::replication::{Replication, SlotKind};
use passerelle_postgres::stream::Progress;
use passerelle_postgres::{Error, Lsn, Options, publication, sql};
use passerelle_state::{Checkpoint, Hold, Load, LoadStage, SourceId, StateError, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::capture::{Durable, Input};
use crate::config::model;
use crate::control::board::Board;
use crate::control::model::{LastError, SourceState, TableState, TableStatus};
use crate::wanted::Wanted;

pub use publish::refresh;
pub use setup::{CompiledMapping, SetupFault, Tables, prepare, prepare_remembered};

/// The first wait after a connection that failed; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Something that a person has to mend is looked at again this often.
const OPERATOR_WAIT: Duration = Duration::from_secs(10);
/// How long the creation of a slot may wait for transactions that are open (PG-10).
const SLOT_WAIT: Duration = Duration::from_secs(60);

/// One source at work.
pub struct Source {
    /// As configured.
    pub config: model::Source,
    /// Its number in the state.
    pub id: SourceId,
    /// Its tables, as the catalogue has them.
    pub tables: Arc<Tables>,
    /// Column ids, shared by all sources.
    pub ids: Arc<Mutex<ColumnIds>>,
    /// The state.
    pub store: Arc<Store>,
    /// Where it publishes.
    pub board: Arc<Board>,
    /// To its capture.
    pub capture: mpsc::Sender<Input>,
    /// From its capture.
    pub durable: watch::Receiver<Durable>,
    /// How far its stream is.
    pub progress: Arc<Progress>,
    /// Rows that delivery can't do without, and that the log gave in part.
    pub wanted: Arc<Wanted>,
    /// How much disk the state may take, in bytes.
    pub disk_budget_bytes: u64,
    /// Ends it.
    pub cancel: CancellationToken,
    /// Told when the tables are not as they were remembered: the source has ended, and is to be set up anew.
    pub outdated: CancellationToken,
}

/// Why a source ends for good.
#[derive(Debug, thiserror::Error)]
pub enum SourceError {
    /// The state can't be written.
    #[error(transparent)]
    State(#[from] StateError),
    /// What the server says contradicts what we hold.
    #[error(transparent)]
    Postgres(Error),
    /// Capture has ended, which says why itself.
    #[error("capture has ended")]
    CaptureGone,
}

/// Why one connection ended.
enum Ended {
    /// The daemon stops.
    Stopped,
    /// Connect again.
    Failed(Error),
    /// The tables are not what they were set up for.
    Outdated,
    /// The history does not fit: nothing is read until it does.
    Refused(history::HistoryRefusal),
    /// For good.
    Fatal(SourceError),
}

impl<E: Into<SourceError>> From<E> for Ended {
    fn from(error: E) -> Self {
        Self::Fatal(error.into())
    }
}

/// The connection options of a source.
pub fn options(config: &model::Source) -> Options {
    Options {
        host: config.host.clone(),
        port: config.port,
        database: config.database.clone(),
        user: config.user.clone(),
        password: config.password.clone(),
        tls: match config.tls {
            model::Tls::Disable => passerelle_postgres::TlsMode::Disable,
            model::Tls::Prefer => passerelle_postgres::TlsMode::Prefer,
            model::Tls::Require => passerelle_postgres::TlsMode::Require,
            model::Tls::VerifyCa => passerelle_postgres::TlsMode::VerifyCa,
            model::Tls::VerifyFull => passerelle_postgres::TlsMode::VerifyFull,
        },
        tls_ca: config.tls_ca.clone(),
        tls_cert: config.tls_cert.clone(),
        tls_key: config.tls_key.clone(),
        application_name: application_name(config),
    }
}

/// Names this source's connections, so that a walsender of ours that was left behind is known as ours (PG-12).
fn application_name(config: &model::Source) -> String {
    format!("passerelle/{}", config.name)
}

/// Whether a position is at or past another: PostgreSQL's own order.
pub fn has_passed(at: &Position, mark: &Position) -> bool {
    matches!((Lsn::try_from(at), Lsn::try_from(mark)), (Ok(at), Ok(mark)) if at >= mark)
}

impl Source {
    /// Keeps the source running until `cancel`.
    pub async fn run(self) -> Result<(), SourceError> {
        let mut failures = 0_u32;
        let ticker = tokio::spawn(publish::ticker(
            self.config.name.clone(),
            Arc::clone(&self.board),
            self.durable.clone(),
            Arc::clone(&self.progress),
        ));
        let _stop_ticker = tokio_util::task::AbortOnDropHandle::new(ticker);
        let fetching = tokio::spawn(fetch::Fetching::of(&self).run());
        let _stop_fetching = tokio_util::task::AbortOnDropHandle::new(fetching);
        self.show_tables()?;
        loop {
            if self.is_paused()? {
                self.state(SourceState::Paused, None, None);
                self.wait(Duration::from_millis(500)).await;
            } else {
                let began = tokio::time::Instant::now();
                match self.connection(&mut failures).await {
                    Ended::Stopped => {}
                    Ended::Outdated => {
                        tracing::info!(source = %self.config.name, "the tables have changed since they were last seen: the source is set up anew");
                        self.outdated.cancel();
                        return Ok(());
                    }
                    Ended::Fatal(error) => return Err(error),
                    Ended::Refused(refusal) => self.refused(&refusal).await,
                    Ended::Failed(error) => {
                        if began.elapsed() > LONGEST_WAIT {
                            failures = 0;
                        }
                        self.failed(error, &mut failures).await?;
                    }
                }
            }
            if self.cancel.is_cancelled() {
                return Ok(());
            }
        }
    }

    /// The tables as the last run left them.
    fn show_tables(&self) -> Result<(), StateError> {
        let mut shown = Vec::new();
        for table in &self.tables.all {
            let (state, loaded) = match self.store.load(table.id)?.map(|load| load.stage) {
                Some(LoadStage::Loaded { rows, .. }) => (TableState::Streaming, rows),
                Some(LoadStage::Wanted) | None => (TableState::Waiting, 0),
            };
            let total = Some(table.facts.estimated_rows.max(loaded));
            shown.push(TableStatus { name: table.facts.name.to_string(), state, loaded, total });
        }
        self.board.source(&self.config.name, |source| source.tables = shown);
        Ok(())
    }

    /// One connection, from its opening to its end.
    async fn connection(&self, failures: &mut u32) -> Ended {
        let resume = match self.settle().await {
            Ok(resume) => resume,
            Err(error) => return Ended::Fatal(error),
        };
        let opened = tokio::select! {
            () = self.cancel.cancelled() => return Ended::Stopped,
            opened = self.open(resume) => opened,
        };
        let (stream, loads) = match opened {
            Ok(opened) => opened,
            Err(ended) => return ended,
        };
        *failures = 0;
        self.state(SourceState::CatchingUp, None, None);
        // Loads go on over reconnections: only the daemon's end stops them.
        for load in loads {
            tokio::spawn(load.run());
        }
        tail::run(self, stream).await
    }

    /// Everything handed to capture is durable. Returns where the log goes on.
    async fn settle(&self) -> Result<Option<Position>, SourceError> {
        let (reply, position) = oneshot::channel();
        self.capture.send(Input::Reconnecting(reply)).await.map_err(|_| SourceError::CaptureGone)?;
        position.await.map_err(|_| SourceError::CaptureGone)
    }

    /// Checks the history, makes what is missing, starts the stream.
    async fn open(
        &self,
        resume: Option<Position>,
    ) -> Result<(passerelle_postgres::stream::Stream, Vec<load::LoadTask>), Ended> {
        let options = options(&self.config);
        let client = sql::connect(&options).await.map_err(Ended::Failed)?;
        if !self.tables.are_current(&client).await.map_err(Ended::Failed)? {
            return Err(Ended::Outdated);
        }
        let mut facts = history::facts(&client, &self.config.slot).await.map_err(Ended::Failed)?;
        let kept_history = self.history()?;
        if facts.switches.is_empty() && kept_history.as_ref().is_some_and(|kept| kept.timeline != facts.timeline) {
            facts.switches = history::switches(&options, facts.timeline).await.map_err(Ended::Failed)?;
        }
        let acknowledged = self.store.acknowledged(self.id)?.as_ref().and_then(|at| Lsn::try_from(at).ok());
        let checkpoint = self.store.checkpoint(self.id)?.filter(|_| kept_history.is_some());
        let resume = resume.filter(|_| checkpoint.is_some());
        let kept = Kept {
            history: kept_history.as_ref(),
            checkpoint: resume.as_ref().and_then(|at| Lsn::try_from(at).ok()),
            acknowledged,
        };
        let start =
            history::verify(kept, &facts, &self.config.slot, &options.application_name).map_err(Ended::Refused)?;
        let wanted = self.tables.published(facts.version).map_err(Ended::Failed)?;
        publication::ensure(&client, &self.config.publication, &wanted, true).await.map_err(Ended::Failed)?;
        let mut replication = Replication::connect(&options).await.map_err(Ended::Failed)?;
        let (from, loads) = match start {
            Start::Create | Start::Recreate => {
                if start == Start::Recreate {
                    replication.drop_slot(&self.config.slot).await.map_err(Ended::Failed)?;
                }
                self.create(&mut replication, &facts, &options).await?
            }
            Start::Resume { from, stale } => {
                if let Some(pid) = stale {
                    self.end_stale(&client, facts.version, pid).await.map_err(Ended::Failed)?;
                }
                let history = History {
                    timeline: facts.timeline,
                    ..kept_history.unwrap_or_else(|| history::intent(&facts, &self.config.slot))
                };
                self.keep_history(&history)?;
                (from, self.loads_wanted(&options).await?)
            }
        };
        let stream =
            replication.start(&self.config.slot, &self.config.publication, from).await.map_err(Ended::Failed)?;
        // START forwards in silence to what the slot has confirmed: look after it, too (PG-05).
        if matches!(start, Start::Resume { .. }) {
            let slot = history::slot_facts(&client, facts.version, &self.config.slot).await.map_err(Ended::Failed)?;
            let confirmed = slot.and_then(|slot| slot.confirmed_flush_lsn);
            history::no_gap(&self.config.slot, confirmed, from, acknowledged).map_err(Ended::Refused)?;
        }
        Ok((stream, loads))
    }

    /// Ends a walsender of ours that has not noticed that we were gone (PG-12), and waits until the slot is free.
    async fn end_stale(&self, client: &tokio_postgres::Client, version: u32, pid: i32) -> Result<(), Error> {
        tracing::info!(source = %self.config.name, pid, "ending our own walsender that was left behind");
        client.execute("SELECT pg_terminate_backend($1)", &[&pid]).await?;
        for _ in 0..50 {
            let slot = history::slot_facts(client, version, &self.config.slot).await?;
            if slot.is_none_or(|slot| slot.active.is_none_or(|reader| reader.pid != pid)) {
                break;
            }
            self.wait(Duration::from_millis(100)).await;
        }
        Ok(())
    }

    /// The first start: the slot, and with it the snapshot that the tables are read through.
    async fn create(
        &self,
        replication: &mut Replication,
        facts: &history::ServerFacts,
        options: &Options,
    ) -> Result<(Lsn, Vec<load::LoadTask>), Ended> {
        self.state(SourceState::Loading, None, None);
        let intent = history::intent(facts, &self.config.slot);
        self.keep_history(&intent)?;
        let slot =
            replication.create_slot(&self.config.slot, SlotKind::Durable, SLOT_WAIT).await.map_err(Ended::Failed)?;
        crate::failpoint::hit("source.slot_created");
        let mut loads = Vec::new();
        for table in &self.tables.all {
            let load = self.next_load(table.id, table.schema.columns.iter().map(|column| column.id.0).collect())?;
            self.store.set_load(table.id, &load)?;
            loads.push((table, load));
        }
        let position = slot.consistent_point.position();
        let seq = self.durable.borrow().seq;
        let first =
            Checkpoint { position: position.clone(), committed_at: passerelle_change::Micros(0), seq, open: None };
        self.capture.send(Input::Begin(first)).await.map_err(|_| SourceError::CaptureGone)?;
        self.settle().await?;
        self.keep_history(&History { slot_consistent_point: Some(slot.consistent_point), ..intent })?;
        let task =
            load::LoadTask::open(self, options, Some(&slot.snapshot), loads, position).await.map_err(Ended::Failed)?;
        Ok((slot.consistent_point, vec![task]))
    }

    /// Tables that are not loaded, or not all their columns: read through the snapshot of a slot made for it.
    async fn loads_wanted(&self, options: &Options) -> Result<Vec<load::LoadTask>, Ended> {
        let mut wanted = Vec::new();
        for table in &self.tables.all {
            if self.tables.is_loading(table.id) {
                continue;
            }
            let columns: Vec<u32> = table.schema.columns.iter().map(|column| column.id.0).collect();
            let known = self.store.load(table.id)?;
            let whole = known.as_ref().is_some_and(|load| {
                matches!(load.stage, LoadStage::Loaded { .. }) && columns.iter().all(|id| load.columns.contains(id))
            });
            if !whole {
                let load = self.next_load(table.id, columns)?;
                // What an earlier load brought goes on being delivered while the rest is read.
                if !known.is_some_and(|load| matches!(load.stage, LoadStage::Loaded { .. })) {
                    self.store.set_load(table.id, &load)?;
                }
                wanted.push((table, load));
            }
        }
        if wanted.is_empty() {
            return Ok(Vec::new());
        }
        let mut replication = Replication::connect(options).await.map_err(Ended::Failed)?;
        let name = format!("{}_load_{}", &self.config.slot.chars().take(40).collect::<String>(), std::process::id());
        let slot = replication.create_slot(&name, SlotKind::Temporary, SLOT_WAIT).await.map_err(Ended::Failed)?;
        let position = slot.consistent_point.position();
        let task =
            load::LoadTask::open(self, options, Some(&slot.snapshot), wanted, position).await.map_err(Ended::Failed)?;
        replication.close().await;
        Ok(vec![task])
    }

    /// Begins loads again that have failed. What stands in the way is tried again later.
    async fn load_again(&self) {
        match self.loads_wanted(&options(&self.config)).await {
            Ok(loads) => loads.into_iter().for_each(|load| drop(tokio::spawn(load.run()))),
            Err(Ended::Failed(error)) => {
                tracing::warn!(source = %self.config.name, error = %chain(&error), "a load can't begin yet");
            }
            Err(Ended::Stopped | Ended::Outdated | Ended::Refused(_) | Ended::Fatal(_)) => {}
        }
    }

    fn next_load(&self, table: passerelle_change::TableId, columns: Vec<u32>) -> Result<Load, StateError> {
        let number = self.store.load(table)?.map_or(0, |load| load.number) + 1;
        Ok(Load { number, low: self.durable.borrow().seq, columns, stage: LoadStage::Wanted })
    }

    fn history(&self) -> Result<Option<History>, StateError> {
        let kept = self.store.history(self.id)?;
        Ok(kept.and_then(|text| serde_json::from_str(&text).ok()))
    }

    fn keep_history(&self, history: &History) -> Result<(), StateError> {
        let text = serde_json::to_string(history).unwrap_or_default();
        if self.store.history(self.id)?.as_deref() == Some(&text) {
            return Ok(());
        }
        self.store.set_history(self.id, &text)
    }

    fn is_paused(&self) -> Result<bool, StateError> {
        let name = format!("source/{}", self.config.name);
        let holds: Vec<(String, Hold)> = self.store.holds()?;
        Ok(holds.iter().any(|(held, _)| *held == name))
    }

    /// Where errors are told apart: what happens next, and what a person is told.
    async fn failed(&self, error: Error, failures: &mut u32) -> Result<(), SourceError> {
        let text = chain(&error);
        let wait = match error.class() {
            Class::Transient => {
                let bound = FIRST_WAIT.saturating_mul(1 << (*failures).min(10)).min(LONGEST_WAIT);
                *failures += 1;
                tracing::warn!(source = %self.config.name, error = %text, "the connection failed; it is made again");
                self.state(SourceState::Retrying, Some(text.clone()), None);
                bound.mul_f64(rand::random_range(0.0..1.0))
            }
            // Whoever reads it may be our own walsender, which the next look at the slot tells.
            Class::Operator { .. } if matches!(error, Error::SlotActive { .. }) => {
                self.state(SourceState::Retrying, Some(text.clone()), None);
                Duration::from_secs(1)
            }
            Class::Operator { hint } => {
                tracing::error!(source = %self.config.name, error = %text, hint = %hint, "the source needs a person");
                self.state(SourceState::Stopped, Some(text.clone()), Some(hint));
                OPERATOR_WAIT
            }
            Class::Fatal => return Err(SourceError::Postgres(error)),
        };
        let code = error.sqlstate().map(str::to_owned);
        self.board.source(&self.config.name, |source| {
            source.last_error = Some(LastError { code, text, at: Some(Timestamp::now()) });
            source.reconnects_total += 1;
        });
        self.wait(wait).await;
        Ok(())
    }

    async fn refused(&self, refusal: &history::HistoryRefusal) {
        let (text, next) = (refusal.to_string(), refusal.next_command(&self.config.name));
        tracing::error!(source = %self.config.name, reason = %text, next = %next, "the source is stopped");
        self.state(SourceState::Stopped, Some(text.clone()), Some(next));
        self.board.source(&self.config.name, |source| {
            let code = Some(refusal.code().to_owned());
            source.last_error = Some(LastError { code, text, at: Some(Timestamp::now()) });
        });
        self.wait(if refusal.may_pass() { Duration::from_secs(1) } else { OPERATOR_WAIT }).await;
    }

    async fn wait(&self, time: Duration) {
        tokio::select! {
            () = self.cancel.cancelled() => {}
            () = tokio::time::sleep(time) => {}
        }
    }

    fn state(&self, state: SourceState, reason: Option<String>, next: Option<String>) {
        self.board.source(&self.config.name, |source| {
            if source.state != state {
                source.since = Some(Timestamp::now());
            }
            source.kind = "postgres".into();
            source.state = state;
            source.reason = reason;
            source.next_command = next;
        });
    }
}

/// An error with what caused it, on one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}
