//! The first load, and rows fetched by their keys: read as they were at one moment, by COPY, as batches of full rows.
//!
//! Text format: the same output functions under the same settings as the stream's, so that a value is byte-equal from
//! both (SN-09). Memory is flat: a batch, and what the channel holds.

mod copy;

use passerelle_change::key::{self, KeyPart};
use passerelle_change::{Batch, Event, TableSchema};
use tokio::sync::mpsc;
use tokio_postgres::Client;
use tokio_util::sync::CancellationToken;

use crate::catalog::{TableFacts, TableKind, server_version};
use crate::wire::Malformed;
use crate::{Error, Lsn, Options, sql};
use copy::{Columns, Lines};

/// A batch is handed on before it grows beyond this; one row may.
pub const BATCH_BYTES: usize = 1 << 20;

/// Which rows of a table are read.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Every one.
    All,
    /// Those of these row keys, as the stream packs them; a key that no row has is passed over.
    Of(&'a [Vec<u8>]),
}

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

    /// Sends rows of a table as [`Op::Full`](passerelle_change::Op::Full), the columns of `schema`, and answers
    /// how many there were. The first batch begins with the schema; there is no `Begin` and no `End`.
    ///
    /// Ends with [`Error::Cancelled`] when told to, or when nobody receives. The reader is of no use after an error.
    pub async fn copy(
        &self,
        facts: &TableFacts,
        schema: &TableSchema,
        rows: Rows<'_>,
        batches: &mpsc::Sender<Batch>,
        cancel: &CancellationToken,
    ) -> Result<u64, Error> {
        let columns = Columns::new(schema, |name| self.is_streamed(facts, name))?;
        let statement = match rows {
            Rows::All => copy_statement(facts, &columns.names, ""),
            Rows::Of(keys) => copy_statement(facts, &columns.names, &condition(&schema.key, keys)),
        };
        let stream = cancellable(cancel, self.client.copy_out(&statement)).await??;
        futures_util::pin_mut!(stream);
        let mut lines = Lines::default();
        let mut batch = Batch::with_capacity(BATCH_BYTES);
        batch.push(Event::Schema { schema: schema.clone(), behind: None });
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

    /// A position of the log that no change which was seen here lies behind: a stream that has passed it has told
    /// everything that was read. Call it after reading.
    pub async fn seen_up_to(&self) -> Result<Lsn, Error> {
        end_of_log(&self.client).await
    }

    /// Whether the stream carries the column: what it never carries would be of one age for ever (PG-59).
    fn is_streamed(&self, facts: &TableFacts, name: &str) -> bool {
        facts.column(name).is_ok_and(|column| column.generated.is_streamed(self.server_version))
    }
}

/// The end of the log: whatever is to be seen now was told before it.
pub async fn end_of_log(client: &Client) -> Result<Lsn, Error> {
    // What was committed asynchronously is seen before it is flushed: the end of what was inserted, not of what
    // was flushed. A standby has no such end; it shows what it has replayed.
    let statement = "SELECT CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_insert_lsn() END::text, \
                     current_setting('wal_block_size')::int8";
    let row = client.query_one(statement, &[]).await?;
    let (at, page_bytes): (&str, i64) = (row.try_get(0)?, row.try_get(1)?);
    let at: Lsn = at.parse().map_err(|_| Malformed("a position of the log that is none"))?;
    Ok(end_of_record(at, page_bytes.unsigned_abs()))
}

fn copy_statement(facts: &TableFacts, columns: &[String], condition: &str) -> String {
    // Tables that inherit from an ordinary one are not published with it, so they are not loaded with it.
    let only = if matches!(facts.kind, TableKind::Ordinary) { "ONLY " } else { "" };
    format!("COPY (SELECT {} FROM {only}{}{condition}) TO STDOUT", sql::identifiers(columns), sql::table(&facts.name))
}

/// ` WHERE (a, b) IN (('1', 'x'), …)`: constants without a type take that of their column. Keys that do not read back
/// name no row.
fn condition(columns: &[String], keys: &[Vec<u8>]) -> String {
    let constant = |part: &KeyPart| sql::literal(&part.to_text());
    let row = |key: &Vec<u8>| {
        let parts = key::parts(key).filter(|parts| parts.len() == columns.len())?;
        Some(format!("({})", parts.iter().map(constant).collect::<Vec<_>>().join(", ")))
    };
    let rows: Vec<String> = keys.iter().filter_map(row).collect();
    if rows.is_empty() {
        return " WHERE false".to_owned();
    }
    format!(" WHERE ({}) IN ({})", sql::identifiers(columns), rows.join(", "))
}

/// Where the last record ends, from where the next will begin: at the beginning of a page that is behind the page's
/// head (`XLogPageHeaderData`, 24 bytes; 40 at the beginning of a segment), which no record ends in.
fn end_of_record(next: Lsn, page_bytes: u64) -> Lsn {
    match next.0.checked_rem(page_bytes) {
        Some(head @ (24 | 40)) => Lsn(next.0 - head),
        Some(_) | None => next,
    }
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

#[cfg(test)]
mod tests {
    use passerelle_change::KeyBuf;

    use super::*;

    #[test]
    fn a_page_begins_where_the_last_record_ends() {
        let at = |next: u64| end_of_record(Lsn(next), 8192).0;
        assert_eq!(at(8192 * 5 + 24), 8192 * 5);
        assert_eq!(at((16 << 20) + 40), 16 << 20);
        assert_eq!(at(8192 * 5), 8192 * 5);
        assert_eq!(at(8192 * 5 + 25), 8192 * 5 + 25);
        assert_eq!(at(8192 * 5 + 64), 8192 * 5 + 64);
    }

    #[test]
    fn keys_are_constants_whatever_is_in_them() {
        let mut key = Vec::new();
        KeyBuf(&mut key).push_int(-7);
        KeyBuf(&mut key).push_text(b"it's \\ \"here\"");
        let columns = ["id".to_owned(), "My \"Code\"".to_owned()];
        let expected = r#" WHERE ("id", "My ""Code""") IN (('-7', E'it''s \\ "here"'))"#;
        assert_eq!(condition(&columns, &[key.clone(), vec![9]]), expected);
        assert_eq!(condition(&columns[..1], &[key]), " WHERE false");
    }
}
