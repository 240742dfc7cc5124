//! One source: its tables, its stream, its loads, kept running.
//!
//! [`setup`] reads the catalogue and compiles the mappings against it. [`Source::run`] then keeps a stream open: its kind
//! of database ([`database`], [`postgres`], [`mysql`]) checks the server's history, begins anew or goes on, and starts the stream;
//! [`tail`] reads it, [`load`] reads tables beside it, and it is made again whenever the connection ends. What was handed to
//! capture is durable before it connects again, so that nothing is folded twice and nothing older over something newer.
//! [`fetch`] reads single rows that the log gave in part. [`watching`] sees when the schema of a table is not what it was.

mod database;
pub(crate) mod drifts;
mod fetch;
mod load;
pub(crate) mod mysql;
pub(crate) mod postgres;
mod publish;
mod setup;
pub mod table;
mod tail;
mod watching;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use jiff::Timestamp;
use passerelle_change::{Class, ColumnIds, Position, Suspicion};
use passerelle_state::{Hold, LoadStage, SourceId, StateError, Store};
use serde::Serialize;
use serde::de::DeserializeOwned;
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use crate::capture::{Durable, Input};
use crate::config::model;
use crate::control::board::Board;
use crate::control::model::{LastError, SourceState, TableState, TableStatus};
use crate::wanted::Wanted;
use database::{Refusal, Untold};

pub use database::{Database, Error, address, has_passed, parts};
pub use publish::refresh;
pub use setup::{
    CompiledBeside, CompiledMapping, Footed, SetupFault, Table, Tables, prepare, prepare_remembered, wanted_rows,
    written,
};
pub(crate) use setup::{Seen, look};

/// The first wait after a connection that failed; it doubles up to [`LONGEST_WAIT`].
const FIRST_WAIT: Duration = Duration::from_millis(200);
const LONGEST_WAIT: Duration = Duration::from_secs(30);
/// Something that a person has to mend is looked at again this often.
const OPERATOR_WAIT: Duration = Duration::from_secs(10);

/// One source at work.
pub struct Source {
    /// As configured.
    pub config: model::Source,
    /// Its number in the state.
    pub id: SourceId,
    /// Its tables, as the catalogue has them.
    pub tables: Arc<Tables>,
    /// Its mappings, for what they need of the tables.
    pub mappings: Arc<[CompiledMapping]>,
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
    Database(Error),
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
    Refused(Refusal),
    /// For good.
    Fatal(SourceError),
}

impl From<SourceError> for Ended {
    fn from(error: SourceError) -> Self {
        Self::Fatal(error)
    }
}

impl From<StateError> for Ended {
    fn from(error: StateError) -> Self {
        Self::Fatal(error.into())
    }
}

impl From<Error> for Ended {
    fn from(error: Error) -> Self {
        Self::Failed(error)
    }
}

impl From<passerelle_postgres::Error> for Ended {
    fn from(error: passerelle_postgres::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl From<passerelle_mysql::Error> for Ended {
    fn from(error: passerelle_mysql::Error) -> Self {
        Self::Failed(error.into())
    }
}

impl Source {
    /// Keeps the source running until `cancel`.
    pub async fn run(self) -> Result<(), SourceError> {
        let mut failures = 0_u32;
        let ticker = tokio::spawn(publish::ticker(
            self.config.clone(),
            Arc::clone(&self.board),
            self.durable.clone(),
            Arc::clone(&self.tables),
        ));
        let _stop_ticker = tokio_util::task::AbortOnDropHandle::new(ticker);
        let fetching = tokio::spawn(fetch::Fetching::of(&self).run());
        let _stop_fetching = tokio_util::task::AbortOnDropHandle::new(fetching);
        let watching = tokio::spawn(watching::Watching::of(&self).run());
        let _stop_watching = tokio_util::task::AbortOnDropHandle::new(watching);
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
                    Ended::Refused(refusal) => self.refused(refusal).await,
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
        if let Some(mapping) = self.mappings.iter().find(|mapping| mapping.fails().is_some()) {
            return Ended::Refused(failing(mapping));
        }
        let resume = match self.settle().await {
            Ok(resume) => resume,
            Err(error) => return Ended::Fatal(error),
        };
        let opened = tokio::select! {
            () = self.cancel.cancelled() => return Ended::Stopped,
            opened = self.tables.database.open(self, resume) => opened,
        };
        let (stream, load) = match opened {
            Ok(opened) => opened,
            Err(ended) => return ended,
        };
        *failures = 0;
        self.state(SourceState::CatchingUp, None, None);
        // A load goes on over reconnections: only the daemon's end stops it.
        if let Some(load) = load {
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

    /// The log has left out changes of these tables: those that were read before are read again before they are delivered,
    /// and what is not in them is gone.
    async fn suspect_untold(&self, untold: &[Untold]) -> Result<(), SourceError> {
        for Untold { table, columns } in untold {
            let Some(table) = self.tables.there().find(|known| known.facts.name == *table) else { continue };
            let load = self.store.load(table.id)?.filter(|load| matches!(load.stage, LoadStage::Loaded { .. }));
            let Some(load) = load else { continue };
            // A column that is mapped from now on was never told, and is read for that.
            let is_known = |name: &String| table.schema.column(name).is_some_and(|it| load.columns.contains(&it.id.0));
            if columns.as_ref().is_none_or(|columns| columns.iter().any(is_known)) {
                tracing::error!(source = %self.config.name, table = %table.facts.name, "the publication did not have all of the table: changes are missing, and it is read again");
                let suspect = Input::Suspect { table: table.id, why: Suspicion::NotPublished };
                self.capture.send(suspect).await.map_err(|_| SourceError::CaptureGone)?;
            }
        }
        self.settle().await.map(drop)
    }

    /// What the state has kept of the server's history, as the kind of database writes it.
    fn history<H: DeserializeOwned>(&self) -> Result<Option<H>, Ended> {
        let Some(text) = self.store.history(self.id)? else { return Ok(None) };
        serde_json::from_str(&text).map(Some).map_err(|_| {
            let name = &self.config.name;
            Ended::Refused(Refusal {
                text: format!(
                    "what the state has kept of source {name} is of another kind of database than {}",
                    self.config.kind.title()
                ),
                code: "other_kind",
                next: "give the source another name, or write the `kind` that it had".to_owned(),
                may_pass: false,
            })
        })
    }

    fn keep_history<H: Serialize>(&self, history: &H) -> Result<(), StateError> {
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
            // It may be a connection of our own, which the next look tells.
            Class::Operator { .. } if error.is_taken() => {
                self.state(SourceState::Retrying, Some(text.clone()), None);
                Duration::from_secs(1)
            }
            Class::Operator { hint } => {
                tracing::error!(source = %self.config.name, error = %text, hint = %hint, "the source needs a person");
                self.state(SourceState::Stopped, Some(text.clone()), Some(hint));
                OPERATOR_WAIT
            }
            Class::Fatal => return Err(SourceError::Database(error)),
        };
        let code = error.code();
        self.board.source(&self.config.name, |source| {
            source.last_error = Some(LastError { code, text, at: Some(Timestamp::now()) });
            source.reconnects_total += 1;
        });
        self.wait(wait).await;
        Ok(())
    }

    async fn refused(&self, refusal: Refusal) {
        let Refusal { text, code, next, may_pass } = refusal;
        tracing::error!(source = %self.config.name, reason = %text, next = %next, "the source is stopped");
        self.state(SourceState::Stopped, Some(text.clone()), Some(next));
        self.board.source(&self.config.name, |source| {
            source.last_error = Some(LastError { code: Some(code.to_owned()), text, at: Some(Timestamp::now()) });
        });
        self.wait(if may_pass { Duration::from_secs(1) } else { OPERATOR_WAIT }).await;
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
            source.kind = self.config.kind.word().into();
            source.state = state;
            source.reason = reason;
            source.next_command = next;
        });
    }
}

/// A mapping whose `on_drift` is `fail`.
fn failing(mapping: &CompiledMapping) -> Refusal {
    let name = &mapping.config.name;
    let text = mapping.fails().unwrap_or_default();
    Refusal {
        text: format!("mapping {name} stops its source (on_drift = \"fail\"): {text}"),
        code: "drift",
        next: format!("passerelle drift show {name}"),
        may_pass: false,
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
