//! Rows fetched by their keys: those that the log gave in part only, and that delivery can't do without the rest of
//! (STATE.md, rule 2).
//!
//! What is fetched may be newer than the log as we have read it. So it is folded once the checkpoint has passed the
//! moment at which it was read: nothing of it runs ahead of the log, and whatever changed since is there already. Then
//! it fills what is absent, no more. Delivery looks at the row again by itself, and asks again where that was not enough.

use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{Batch, Position};
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

/// Fetches what is asked for, until the daemon stops.
pub(super) struct Fetching {
    source: String,
    wanted: Arc<Wanted>,
    tables: Arc<Tables>,
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
        loop {
            let (table, keys) = self.wanted.take(ROWS).await;
            let tables = Arc::clone(&self.tables);
            let Some(table) = tables.table(table) else { continue };
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

    async fn fetch(&mut self, table: &Table, keys: &[Vec<u8>]) -> Result<usize, Error> {
        let (batches, high) = self.read(table, keys).await?;
        let has_passed = self.has_passed;
        let passed = |durable: &Durable| {
            let reached = [durable.position.as_ref(), durable.acknowledged.as_ref()];
            reached.iter().flatten().any(|at| has_passed(at, &high))
        };
        self.durable.wait_for(passed).await.map_err(|_| Error::Cancelled)?;
        let mut rows = 0;
        for batch in batches {
            rows += batch.rows();
            self.capture.send(Input::Fetched { table: table.id, batch }).await.map_err(|_| Error::Cancelled)?;
        }
        Ok(rows)
    }

    /// The rows, and a position by which the log has told all that they hold.
    async fn read(&self, table: &Table, keys: &[Vec<u8>]) -> Result<(Vec<Batch>, Position), Error> {
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
        let reader = match copied {
            Ok(_) => reader,
            // Enough for now. Its connection is in the middle of an answer; another sees no less.
            Err(Error::Cancelled) => database.reader().await?,
            Err(error) => return Err(error),
        };
        Ok((batches, reader.seen_up_to().await?))
    }
}
