//! The first load, and rows fetched by their keys: read as they were at one moment, as batches of full rows.
//!
//! Rows are read from the socket into a batch, one by one: memory is a batch and what the channel holds. Values are the
//! same bytes as the stream's (SN-09), which [`form`] sees to.

mod form;
mod moment;

use std::collections::HashSet;

use passerelle_change::cells::push_cell;
use passerelle_change::key::{self, KeyPart};
use passerelle_change::{Batch, ColumnId, Event, KeyBuf, Op, RowChange, TableId, TableName, TableSchema, Type};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::catalog::{Readings, TableFacts};
use crate::connection::{Cells, Connection, Next};
use crate::sql::{self, Server};
use crate::value::{Charset, Written, ZeroDates};
use crate::wire::MAX_EVENT_BYTES;
use crate::{Error, LogPosition, Options};
use form::Form;

/// A batch is handed on before it grows beyond this; one row may.
pub const BATCH_BYTES: usize = 1 << 20;

/// What is read at once.
const READ_BYTES: usize = 256 << 10;

/// Which rows of a table are read.
#[derive(Clone, Copy, Debug)]
pub enum Rows<'a> {
    /// Every one.
    All,
    /// Those of these row keys, as the stream packs them; a key that no row has is passed over.
    Of(&'a [Vec<u8>]),
}

/// A transaction that sees one moment of the server's tables, and nothing later. Ends when it is dropped.
#[derive(Debug)]
pub struct Reader {
    connection: Connection,
    server: Server,
    zero_dates: ZeroDates,
    position: Option<LogPosition>,
}

impl Reader {
    /// Opens a transaction for a load: what [`Reader::position`] says is a place for the stream to start from, and every
    /// change before it is seen. No table is locked for it (SN-03).
    pub async fn open(options: &Options, readings: &Readings) -> Result<Self, Error> {
        let mut reader = Self::connect(options, readings).await?;
        let position = moment::begin_at(&mut reader.connection, &reader.server).await?;
        reader.position = Some(position);
        Ok(reader)
    }

    /// Opens a transaction that sees what is there now, wherever the log is: to fetch some rows.
    pub async fn open_now(options: &Options, readings: &Readings) -> Result<Self, Error> {
        let mut reader = Self::connect(options, readings).await?;
        moment::begin(&mut reader.connection).await?;
        Ok(reader)
    }

    async fn connect(options: &Options, readings: &Readings) -> Result<Self, Error> {
        let asking = sql::connect(options).await?;
        let server = asking.server().clone();
        asking.close().await;
        let mut connection = Connection::open(options).await?;
        for statement in sql::session_statements(server.flavor, server.version) {
            connection.run(statement).await?;
        }
        // Text comes as the bytes of its own character set, as the log has it: what is invalid is told and not replaced.
        connection.run("SET SESSION character_set_results = NULL").await?;
        connection.inbound.allow(MAX_EVENT_BYTES);
        Ok(Self { connection, server, zero_dates: readings.zero_dates, position: None })
    }

    /// A place in the log: every change before it is seen. `None` of [`Reader::open_now`].
    pub fn position(&self) -> Option<&LogPosition> {
        self.position.as_ref()
    }

    /// Sends rows of a table as [`Op::Full`], the columns of `schema`, and answers how many there were. The first batch
    /// begins with the schema; there is no `Begin` and no `End`.
    ///
    /// Ends with [`Error::Cancelled`] when told to, or when nobody receives. The reader is of no use after an error.
    pub async fn copy(
        &mut self,
        facts: &TableFacts,
        schema: &TableSchema,
        rows: Rows<'_>,
        batches: &mpsc::Sender<Batch>,
        cancel: &CancellationToken,
    ) -> Result<u64, Error> {
        let columns = Columns::new(facts, schema, self.zero_dates)?;
        let (condition, only) = match rows {
            Rows::All => (String::new(), None),
            Rows::Of(keys) => (columns.condition(keys), Some(keys.iter().map(Vec::as_slice).collect())),
        };
        let statement = format!("SELECT {} FROM {}{condition}", columns.selected(), sql::name(&facts.name));
        let mut packing =
            Packing { columns, only, batch: Batch::with_capacity(BATCH_BYTES), text: Vec::new(), rows: 0 };
        packing.batch.push(Event::Schema { schema: schema.clone(), behind: None });
        cancellable(cancel, self.connection.query(&statement)).await??;
        loop {
            match self.connection.next_row()? {
                Next::Row(cells) => packing.row(cells)?,
                Next::End => break,
                Next::Nothing => {
                    cancellable(cancel, self.connection.read_some(READ_BYTES)).await??;
                }
            }
            if packing.batch.size_bytes() >= BATCH_BYTES {
                let full = std::mem::replace(&mut packing.batch, Batch::with_capacity(BATCH_BYTES));
                send(batches, cancel, full).await?;
            }
        }
        send(batches, cancel, packing.batch).await?;
        Ok(packing.rows)
    }

    /// A position of the log that no change which was seen here lies behind: a stream that has passed it has told
    /// everything that was read. Call it after reading. Of MySQL it has no GTIDs and is to be compared by place.
    pub async fn seen_up_to(&mut self) -> Result<LogPosition, Error> {
        moment::end_of_log(&mut self.connection, &self.server).await
    }
}

/// The columns that are read, in the order in which they come, and which of them are the key.
#[derive(Debug)]
struct Columns {
    table: TableId,
    name: TableName,
    all: Vec<Column>,
    /// Places of the key's columns.
    key: Vec<usize>,
    zero_dates: ZeroDates,
}

#[derive(Debug)]
struct Column {
    id: ColumnId,
    name: String,
    form: Form,
    is_integer: bool,
}

impl Columns {
    fn new(facts: &TableFacts, schema: &TableSchema, zero_dates: ZeroDates) -> Result<Self, Error> {
        let mut all = Vec::new();
        for column in &schema.columns {
            let known = facts.column(&column.name)?;
            let charset = known.charset.as_deref().and_then(Charset::named);
            let form = Form::of(&known.column_type, charset, &column.ty);
            let is_integer = column.ty == Type::Int;
            all.push(Column { id: column.id, name: column.name.clone(), form, is_integer });
        }
        let missing = |name: &String| Error::ColumnMissing { table: schema.name.clone(), column: name.clone() };
        let place =
            |name: &String| all.iter().position(|column: &Column| column.name == *name).ok_or_else(|| missing(name));
        let key = schema.key.iter().map(place).collect::<Result<_, _>>()?;
        Ok(Self { table: schema.table, name: schema.name.clone(), all, key, zero_dates })
    }

    fn selected(&self) -> String {
        self.all.iter().map(|column| column.form.selected(&column.name)).collect::<Vec<_>>().join(", ")
    }

    /// ` WHERE (a = 1 AND b = 'x') OR …`. Keys that do not read back name no row.
    fn condition(&self, keys: &[Vec<u8>]) -> String {
        let of_part = |(&at, part): (&usize, &KeyPart)| {
            let column = self.all.get(at)?;
            let text = match part {
                KeyPart::Int(n) => n.to_string(),
                KeyPart::Text(text) => String::from_utf8(text.clone()).ok()?,
            };
            column.form.condition(&column.name, &text)
        };
        let of_key = |key: &Vec<u8>| {
            let parts = key::parts(key).filter(|parts| parts.len() == self.key.len())?;
            let parts: Option<Vec<String>> = self.key.iter().zip(&parts).map(of_part).collect();
            Some(format!("({})", parts?.join(" AND ")))
        };
        let conditions: Vec<String> = keys.iter().filter_map(of_key).collect();
        if conditions.is_empty() { " WHERE FALSE".into() } else { format!(" WHERE {}", conditions.join(" OR ")) }
    }
}

/// Rows on their way into a batch.
struct Packing<'k> {
    columns: Columns,
    /// The keys that were asked for: a collation may find others that it holds to be the same.
    only: Option<HashSet<&'k [u8]>>,
    batch: Batch,
    text: Vec<u8>,
    rows: u64,
}

impl Packing<'_> {
    fn row(&mut self, mut cells: Cells<'_>) -> Result<(), Error> {
        let Self { columns, batch, text, .. } = self;
        let mut sent = Vec::with_capacity(columns.all.len());
        for _ in &columns.all {
            sent.push(cells.next()?);
        }
        let mut is_whole = true;
        let key = batch.pack(|out| {
            for at in &columns.key {
                match (columns.all.get(*at), sent.get(*at)) {
                    (Some(column), Some(Some(sent))) => {
                        // A key is never null, so that a date that is none keeps its text.
                        let _ = column.form.write(sent, ZeroDates::Text, text);
                        KeyBuf(out).push(column.is_integer, text);
                    }
                    _ => is_whole = false,
                }
            }
        });
        if !is_whole {
            return Err(Error::RowWithoutKey { table: columns.name.clone() });
        }
        if self.only.as_ref().is_some_and(|only| !only.contains(batch.bytes(key))) {
            return Ok(());
        }
        let packed = batch.pack(|out| {
            for (column, cell) in columns.all.iter().zip(&sent) {
                let written = cell.map_or(Written::Null, |sent| column.form.write(sent, columns.zero_dates, text));
                push_cell(out, column.id, (written == Written::Text).then_some(text.as_slice()));
            }
        });
        batch.push(Event::Row(RowChange { table: columns.table, op: Op::Full, key, old_key: None, cells: packed }));
        self.rows += 1;
        Ok(())
    }
}

async fn send(batches: &mpsc::Sender<Batch>, cancel: &CancellationToken, batch: Batch) -> Result<(), Error> {
    cancellable(cancel, batches.send(batch)).await?.map_err(|_| Error::Cancelled)
}

async fn cancellable<T>(cancel: &CancellationToken, work: impl Future<Output = T>) -> Result<T, Error> {
    cancel.run_until_cancelled(work).await.ok_or(Error::Cancelled)
}
