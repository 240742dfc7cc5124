//! The first load: tables read as they were at one moment, by COPY, as batches of full rows.
//!
//! Text format: the same output functions under the same settings as the stream's, so that a value is byte-equal from
//! both (SN-09). Memory is flat: a batch, and what the channel holds.

mod copy;

use passerelle_change::{Batch, Event, TableSchema};
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::catalog::{TableFacts, TableKind, server_version};
use crate::{Error, Options, sql};
use copy::{Columns, Lines};

/// A batch is handed on before it grows beyond this; one row may.
pub const BATCH_BYTES: usize = 1 << 20;

/// A transaction that sees one moment of the database, and nothing later. Ends when it is dropped.
#[derive(Debug)]
pub struct Reader {
    client: Client,
    server_version: u32,
}

impl Reader {
    /// Opens a transaction that sees what the exported `snapshot` sees, or without one what is there now.
    ///
    /// An exported snapshot lives until the next command on the connection that exported it: open every reader first
    /// (PG-11). [`Error::SnapshotGone`] where it has ended.
    pub async fn open(options: &Options, snapshot: Option<&str>) -> Result<Self, Error> {
        let client = sql::connect(options).await?;
        // A load may take hours. Rows that a policy hides would be missing without a word: rather an error.
        client
            .batch_execute(
                "SET statement_timeout = 0; SET lock_timeout = 0; SET idle_in_transaction_session_timeout = 0; \
                 SET row_security = off; BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            )
            .await?;
        if let Some(snapshot) = snapshot {
            let import = format!("SET TRANSACTION SNAPSHOT {}", sql::literal(snapshot));
            client.batch_execute(&import).await.map_err(of_import)?;
        }
        let server_version = server_version(&client).await?;
        Ok(Self { client, server_version })
    }

    /// Sends every row of a table as [`Op::Full`](passerelle_change::Op::Full), the columns of `schema`, and answers
    /// how many there were. The first batch begins with the schema; there is no `Begin` and no `End`.
    ///
    /// Ends with [`Error::Cancelled`] when told to, or when nobody receives. The reader is of no use after an error.
    pub async fn copy(
        &self,
        facts: &TableFacts,
        schema: &TableSchema,
        batches: &mpsc::Sender<Batch>,
        cancel: &CancellationToken,
    ) -> Result<u64, Error> {
        let columns = Columns::new(schema, |name| self.is_streamed(facts, name))?;
        let statement = copy_statement(facts, &columns.names);
        let stream = cancellable(cancel, self.client.copy_out(&statement)).await??;
        futures_util::pin_mut!(stream);
        let mut lines = Lines::default();
        let mut batch = Batch::with_capacity(BATCH_BYTES);
        batch.push(Event::Schema(schema.clone()));
        let mut rows = 0;
        while let Some(chunk) = cancellable(cancel, futures_util::StreamExt::next(&mut stream)).await? {
            lines.feed(chunk?);
            while let Some(line) = lines.next() {
                if batch.size_bytes() + columns.most_bytes(line.len()) > BATCH_BYTES && batch.rows() > 0 {
                    send(batches, cancel, std::mem::replace(&mut batch, Batch::with_capacity(BATCH_BYTES))).await?;
                }
                columns.pack(&line, &mut batch)?;
                rows += 1;
            }
        }
        if !lines.is_empty() {
            return Err(Error::MalformedCopy { table: facts.name.clone() });
        }
        send(batches, cancel, batch).await?;
        Ok(rows)
    }

    /// Whether the stream carries the column: what it never carries would be of one age for ever (PG-59).
    fn is_streamed(&self, facts: &TableFacts, name: &str) -> bool {
        facts.column(name).is_ok_and(|column| column.generated.is_streamed(self.server_version))
    }
}

fn copy_statement(facts: &TableFacts, columns: &[String]) -> String {
    // Tables that inherit from an ordinary one are not published with it, so they are not loaded with it.
    let only = if matches!(facts.kind, TableKind::Ordinary) { "ONLY " } else { "" };
    format!("COPY (SELECT {} FROM {only}{}) TO STDOUT", sql::identifiers(columns), sql::table(&facts.name))
}

async fn send(batches: &mpsc::Sender<Batch>, cancel: &CancellationToken, batch: Batch) -> Result<(), Error> {
    cancellable(cancel, batches.send(batch)).await?.map_err(|_| Error::Cancelled)
}

async fn cancellable<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Result<T, Error> {
    cancel.run_until_cancelled(work).await.ok_or(Error::Cancelled)
}

/// The server knows no such snapshot: the exporting transaction has ended.
fn of_import(error: tokio_postgres::Error) -> Error {
    match error.code().map(tokio_postgres::error::SqlState::code) {
        Some("22023" | "42704" | "55000") => Error::SnapshotGone,
        Some(_) | None => Error::from(error),
    }
}
