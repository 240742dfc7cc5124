//! Rows of MySQL and MariaDB, by the reader that loads are read with: the text that the stream has for the same datum.

use passerelle_change::{
    Batch, CellsBuf, Column, Event, KeyBuf, RowChange, TableId, TableName, TableSchema, Type, key,
};
use passerelle_mysql::catalog::{self, Catalog, Readings};
use passerelle_mysql::snapshot::{self, Rows};
use passerelle_mysql::sql::{self, Connection};
use passerelle_mysql::{Error as MysqlError, Options};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use super::{RowText, Shape};
use crate::config::model::{Mysql, Source};
use crate::source::table::TableFacts;
use crate::source::{Error, mysql as source};

/// Row keys that a statement asks for.
const KEYS_AT_ONCE: usize = 500;

/// A connection that only reads.
pub(in crate::preview) struct Reader {
    options: Options,
    readings: Readings,
    /// To look keys up.
    asking: Connection,
    reading: snapshot::Reader,
    catalog: Catalog,
}

impl Reader {
    pub(super) async fn open(
        config: &Source,
        settings: &Mysql,
        names: &[TableName],
    ) -> Result<(Self, Vec<TableFacts>), Error> {
        let options = source::options(config, settings, "passerelle preview");
        let readings = source::readings(settings);
        let mut asking = sql::connect(&options).await?;
        let catalog = catalog::read(&mut asking, names, &readings).await?;
        let reading = snapshot::Reader::open_now(&options, &readings).await?;
        let tables = source::facts(&catalog);
        Ok((Self { options, readings, asking, reading, catalog }, tables))
    }

    /// A row by its key, which may be no key of the table.
    pub(super) async fn by_key(&mut self, shape: &Shape, parts: &[String]) -> Result<Option<RowText>, Error> {
        let schema = schema(shape);
        let mut packed = Vec::new();
        for (name, part) in schema.key.iter().zip(parts) {
            let is_integer = schema.column(name).is_some_and(|column| column.ty == Type::Int);
            KeyBuf(&mut packed).push(is_integer, part.as_bytes());
        }
        Ok(self.of_keys(shape, &schema, &[packed]).await?.pop())
    }

    /// The rows of these keys.
    async fn of_keys(&mut self, shape: &Shape, schema: &TableSchema, keys: &[Vec<u8>]) -> Result<Vec<RowText>, Error> {
        let facts = self.catalog.table(&shape.table)?;
        let (send, inbox) = mpsc::channel(1);
        let go_on = CancellationToken::new();
        let copying = async {
            let copied = self.reading.copy(facts, schema, Rows::Of(keys), &send, &go_on).await;
            drop(send);
            copied
        };
        let mut found = Vec::new();
        let (copied, _) = tokio::join!(
            copying,
            each(inbox, |row| {
                found.push(row);
                true
            })
        );
        copied?;
        Ok(found)
    }

    /// A row with this value in a column.
    pub(super) async fn by_column(
        &mut self,
        shape: &Shape,
        column: &str,
        value: &str,
    ) -> Result<Option<RowText>, Error> {
        Ok(self.matching(shape, &[(column.to_owned(), value.to_owned())], 1).await?.pop())
    }

    /// At most so many rows with these values in these columns, in the order of their keys.
    pub(super) async fn matching(
        &mut self,
        shape: &Shape,
        values: &[(String, String)],
        most: usize,
    ) -> Result<Vec<RowText>, Error> {
        let schema = schema(shape);
        let is_bytes = |name: &str| schema.column(name).is_some_and(|column| column.ty == Type::Bytes);
        let shown = |name: &String| {
            let name_in_sql = sql::identifier(name);
            if is_bytes(name) { format!("concat('\\\\x', lower(hex({name_in_sql})))") } else { name_in_sql }
        };
        let is = |(column, value): &(String, String)| {
            let wanted = match value.strip_prefix("\\x").filter(|_| is_bytes(column)) {
                Some(digits) if digits.bytes().all(|byte| byte.is_ascii_hexdigit()) => format!("x'{digits}'"),
                Some(_) | None => sql::literal(value),
            };
            format!("{} = {wanted}", sql::identifier(column))
        };
        let key: Vec<String> = shape.key.iter().map(|name| sql::identifier(name)).collect();
        let statement = format!(
            "SELECT {} FROM {} WHERE {} ORDER BY {} LIMIT {most}",
            shape.key.iter().map(shown).collect::<Vec<_>>().join(", "),
            sql::name(&shape.table),
            values.iter().map(is).collect::<Vec<_>>().join(" AND "),
            key.join(", "),
        );
        let mut keys = Vec::new();
        for row in self.asking.rows(&statement).await? {
            let mut packed = Vec::new();
            for (at, name) in schema.key.iter().enumerate() {
                let is_integer = schema.column(name).is_some_and(|column| column.ty == Type::Int);
                KeyBuf(&mut packed).push(is_integer, row.text(at).unwrap_or_default().as_bytes());
            }
            keys.push(packed);
        }
        let mut found = Vec::with_capacity(keys.len());
        for keys in keys.chunks(KEYS_AT_ONCE) {
            found.extend(self.of_keys(shape, &schema, keys).await?);
        }
        Ok(found)
    }

    /// Rows as the server comes to them: mostly in the order of the primary key.
    pub(super) async fn scan(
        &mut self,
        shape: &Shape,
        most: usize,
        mut take: impl FnMut(RowText) -> bool,
    ) -> Result<bool, Error> {
        let facts = self.catalog.table(&shape.table)?;
        let schema = schema(shape);
        let mut reader = snapshot::Reader::open_now(&self.options, &self.readings).await?;
        let (send, inbox) = mpsc::channel(1);
        let go_on = CancellationToken::new();
        let copying = async {
            let copied = reader.copy(facts, &schema, Rows::All, &send, &go_on).await;
            drop(send);
            copied
        };
        let mut seen = 0;
        let taking = each(inbox, |row| {
            seen += 1;
            take(row) && seen < most
        });
        match tokio::join!(copying, taking) {
            // Nobody received any more.
            (Ok(_) | Err(MysqlError::Cancelled), more) => Ok(more),
            (Err(error), _) => Err(error.into()),
        }
    }
}

/// Hands rows to `take` until it says no; whether there were more then.
async fn each(mut inbox: mpsc::Receiver<Batch>, mut take: impl FnMut(RowText) -> bool) -> bool {
    while let Some(batch) = inbox.recv().await {
        let mut rows = batch.events().iter().filter_map(|event| match event {
            Event::Row(row) => Some(row),
            _ => None,
        });
        while let Some(row) = rows.next() {
            if !take(text(&batch, row)) {
                return rows.next().is_some() || inbox.recv().await.is_some_and(|next| next.rows() > 0);
            }
        }
    }
    false
}

fn text(batch: &Batch, row: &RowChange) -> RowText {
    let mut cells = CellsBuf::new();
    for (id, cell) in batch.cells(row).iter().map_while(Result::ok) {
        cells.push(id, cell);
    }
    RowText { key: key::printed(batch.bytes(row.key)), cells }
}

/// What is read, as loads are asked for; the table's number matters to the state alone.
fn schema(shape: &Shape) -> TableSchema {
    let is_read = |column: &&Column| shape.columns.iter().any(|(id, ..)| *id == column.id);
    TableSchema {
        table: TableId(0),
        name: shape.table.clone(),
        columns: shape.typed.iter().filter(is_read).cloned().collect(),
        key: shape.key.clone(),
    }
}
