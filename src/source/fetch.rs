//! Rows fetched by their keys: those that the log gave in part only, and that delivery can't do without the rest of
//! (STATE.md, rule 2).
//!
//! What is fetched may be newer than the log as we have read it. So it is folded once the checkpoint has passed the
//! moment at which it was read: nothing of it runs ahead of the log, and whatever changed since is there already. Then
//! it fills what is absent, no more. Delivery looks at the row again by itself, and asks again where that was not enough.
//!
//! A row that is suspected is read again by itself, and replaced if it has not changed since.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Batch, Event, Position};
use passerelle_state::{StateError, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::database::{Error, Rows};
use super::setup::{Table, Tables};
use super::{Source, chain, has_passed};
use crate::capture::{Durable, Input};
use crate::wanted::Wanted;

/// Rows of one query.
const ROWS: usize = 200;
/// What is fetched is held until the log has passed it: no more than this, in batches of up to 1 MiB. The rest is asked
/// for again.
const BATCHES: usize = 8;
/// The wait after a query that failed.
const AGAIN: Duration = Duration::from_secs(1);
/// Rows that became suspect are looked for this often.
const LOOK: Duration = Duration::from_secs(1);

/// Fetches what is asked for, until the daemon stops.
pub(super) struct Fetching {
    source: String,
    wanted: Arc<Wanted>,
    tables: Arc<Tables>,
    store: Arc<Store>,
    capture: mpsc::Sender<Input>,
    durable: watch::Receiver<Durable>,
    has_passed: fn(&Position, &Position) -> bool,
    cancel: CancellationToken,
}

impl Fetching {
    pub(super) fn of(source: &Source) -> Self {
        Self {
            source: source.config.name.clone(),
            wanted: Arc::clone(&source.wanted),
            tables: Arc::clone(&source.tables),
            store: Arc::clone(&source.store),
            capture: source.capture.clone(),
            durable: source.durable.clone(),
            has_passed: has_passed(&source.config),
            cancel: source.cancel.clone(),
        }
    }

    pub(super) async fn run(mut self) {
        let cancel = self.cancel.clone();
        // Nothing is lost when it is cut short: what is folded is folded whole, and the rest is asked for again.
        let _ = cancel.run_until_cancelled(self.fetch_all()).await;
    }

    async fn fetch_all(&mut self) {
        let mut look = tokio::time::interval(LOOK);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            let (table, keys) = tokio::select! {
                taken = self.wanted.take(ROWS) => taken,
                _ = look.tick() => {
                    if let Err(error) = self.ask_for_suspects() {
                        tracing::warn!(source = %self.source, error = %chain(&error), "rows that are to be read again can't be looked for");
                    }
                    continue;
                }
            };
            let tables = Arc::clone(&self.tables);
            let Some(table) = tables.table(table).filter(|table| table.is_there) else { continue };
            match self.fetch(table, &keys).await {
                Ok(rows) => {
                    tracing::debug!(source = %self.source, table = %table.facts.name, asked = keys.len(), rows, "fetched rows by their keys");
                }
                Err(Error::Cancelled) => return,
                Err(error) => {
                    tracing::warn!(source = %self.source, table = %table.facts.name, rows = keys.len(), error = %chain(&error), "rows that came in part can't be fetched yet");
                    tokio::time::sleep(AGAIN).await; // the server may be back by then
                }
            }
        }
    }

    fn ask_for_suspects(&self) -> Result<(), StateError> {
        for table in self.tables.there() {
            for row_key in self.store.suspected_rows(table.id, ROWS)? {
                self.wanted.ask(table.id, &row_key);
            }
        }
        Ok(())
    }

    async fn fetch(&mut self, table: &Table, keys: &[Vec<u8>]) -> Result<usize, Error> {
        let low = self.durable.borrow().seq;
        let Read { batches, high, whole } = self.read(table, keys).await?;
        let has_passed = self.has_passed;
        let passed = |durable: &Durable| {
            let reached = [durable.position.as_ref(), durable.acknowledged.as_ref()];
            reached.iter().flatten().any(|at| has_passed(at, &high))
        };
        self.durable.wait_for(passed).await.map_err(|_| Error::Cancelled)?;
        let mut rows = 0;
        let mut missing: BTreeSet<Vec<u8>> = if whole { keys.iter().cloned().collect() } else { BTreeSet::new() };
        for batch in batches {
            rows += batch.rows();
            for event in batch.events() {
                if let Event::Row(row) = event {
                    missing.remove(batch.bytes(row.key));
                }
            }
            let fetched = Input::Fetched { table: table.id, low, batch };
            self.capture.send(fetched).await.map_err(|_| Error::Cancelled)?;
        }
        if !missing.is_empty() {
            let missing = Input::Missing { table: table.id, low, keys: missing.into_iter().collect() };
            self.capture.send(missing).await.map_err(|_| Error::Cancelled)?;
        }
        Ok(rows)
    }

    /// Reads rows, until there is enough of them.
    async fn read(&self, table: &Table, keys: &[Vec<u8>]) -> Result<Read, Error> {
        let database = &self.tables.database;
        let mut reader = database.reader().await?;
        let (send, mut inbox) = mpsc::channel(1);
        let copied = async {
            let copied = reader.copy(table, Rows::Of(keys), &send, &self.cancel).await;
            drop(send);
            copied
        };
        let held = async move {
            let mut held = Vec::new();
            while held.len() < BATCHES
                && let Some(batch) = inbox.recv().await
            {
                held.push(batch);
            }
            held
        };
        let (copied, batches) = tokio::join!(copied, held);
        let (mut reader, whole) = match copied {
            Ok(_) => (reader, true),
            // Enough for now. Its connection is in the middle of an answer; another sees no less.
            Err(Error::Cancelled) => (database.reader().await?, false),
            Err(error) => return Err(error),
        };
        Ok(Read { batches, high: reader.seen_up_to().await?, whole })
    }
}

/// What was read of some rows.
struct Read {
    batches: Vec<Batch>,
    /// By this position the log has told all that they hold.
    high: Position,
    /// Every one of them that is there was read.
    whole: bool,
}
