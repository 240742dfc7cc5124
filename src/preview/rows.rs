//! Reads single rows as the stream would tell them.
//!
//! By simple queries: they answer with the text of the same output functions that the stream and COPY use, under the
//! settings that every connection of ours pins.

use passerelle_change::{CellsBuf, Column, ColumnId, Type};
use passerelle_postgres::catalog::{Generated, TableFacts, TableKind};
use passerelle_postgres::publication::GENERATED_COLUMNS;
use passerelle_postgres::{Error, sql};
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use crate::online::tables;

/// Rows of one fetch of a scan.
const FETCHED: usize = 50;

/// What is read of a table: the columns that a mapping uses, and its row key.
#[derive(Debug)]
pub(super) struct Shape {
    columns: Vec<(ColumnId, String, Type)>,
    key: Vec<String>,
    from: String,
    typed: Vec<Column>,
}

/// A row.
#[derive(Debug)]
pub(super) struct RowText {
    pub(super) key: String,
    pub(super) cells: CellsBuf,
}

impl Shape {
    /// Of the used columns and the key; columns that this server's stream never carries are left out, and so absent.
    pub(super) fn new(facts: &TableFacts, used: &[String], version: u32) -> Result<Self, Error> {
        let key = facts.row_key()?.to_vec();
        let streamed = |generated: Generated| match generated {
            Generated::No => true,
            Generated::Stored => version >= GENERATED_COLUMNS,
            Generated::Virtual => false,
        };
        let columns = facts.columns.iter().enumerate().filter(|(_, column)| {
            (used.contains(&column.name) || key.contains(&column.name)) && streamed(column.generated)
        });
        // Numbered as `tables::columns` does.
        let columns =
            columns.map(|(at, column)| (ColumnId(at as u32), column.name.clone(), column.ty.clone())).collect();
        let only = if matches!(facts.kind, TableKind::Ordinary) { "ONLY " } else { "" };
        let typed = tables::columns(facts);
        Ok(Self { columns, key, from: format!("{only}{}", sql::table(&facts.name)), typed })
    }

    /// How many columns the row key has.
    pub(super) fn key_columns(&self) -> usize {
        self.key.len()
    }

    /// Whether a column is read.
    pub(super) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|(_, known, _)| known == name)
    }

    /// The columns that are read: number, name, type.
    pub(super) fn columns(&self) -> &[(ColumnId, String, Type)] {
        &self.columns
    }

    /// All columns of the table, as expressions are compiled against.
    pub(super) fn typed(&self) -> &[Column] {
        &self.typed
    }

    fn select(&self) -> String {
        let names: Vec<String> = self.columns.iter().map(|(_, name, _)| name.clone()).collect();
        format!("SELECT {} FROM {}", sql::identifiers(&names), self.from)
    }

    fn row(&self, row: &SimpleQueryRow) -> Result<RowText, Error> {
        let mut cells = CellsBuf::new();
        let mut texts = Vec::with_capacity(self.columns.len());
        for (at, (id, name, _)) in self.columns.iter().enumerate() {
            let text = row.try_get(at)?;
            cells.push(*id, text.map(str::as_bytes));
            texts.push((name, text.unwrap_or_default()));
        }
        let part = |name: &String| texts.iter().find(|(known, _)| *known == name).map_or("", |(_, text)| text);
        Ok(RowText { key: self.key.iter().map(part).collect::<Vec<_>>().join(","), cells })
    }
}

/// A connection that can only read.
pub(super) struct Reader {
    client: Client,
}

impl Reader {
    pub(super) async fn new(client: Client) -> Result<Self, Error> {
        // Rows that a policy hides would be missing without a word: rather an error.
        client.batch_execute("SET default_transaction_read_only = on; SET row_security = off").await?;
        Ok(Self { client })
    }

    /// The row with this key; `None` also where the parts are no values of the key's columns.
    pub(super) async fn by_key(&self, shape: &Shape, parts: &[String]) -> Result<Option<RowText>, Error> {
        if parts.len() != shape.key.len() {
            return Ok(None);
        }
        let is = |(name, part): (&String, &String)| format!("{} = {}", sql::identifier(name), sql::literal(part));
        let condition = shape.key.iter().zip(parts).map(is).collect::<Vec<_>>().join(" AND ");
        self.one(shape, &condition).await
    }

    /// A row with this value in a column.
    pub(super) async fn by_column(&self, shape: &Shape, column: &str, value: &str) -> Result<Option<RowText>, Error> {
        self.one(shape, &format!("{} = {}", sql::identifier(column), sql::literal(value))).await
    }

    async fn one(&self, shape: &Shape, condition: &str) -> Result<Option<RowText>, Error> {
        let query = format!("{} WHERE {condition} LIMIT 1", shape.select());
        match self.client.simple_query(&query).await {
            Ok(messages) => rows(&messages).next().map(|row| shape.row(row)).transpose(),
            // Class 22: the text is no value of the column's type, so that no row can have it.
            Err(fault) if fault.code().is_some_and(|code| code.code().starts_with("22")) => Ok(None),
            Err(fault) => Err(fault.into()),
        }
    }

    /// Hands rows to `take` in the order of their keys, until it says no or `most` were handed. Whether there were more.
    pub(super) async fn scan(
        &self,
        shape: &Shape,
        most: usize,
        mut take: impl FnMut(RowText) -> bool,
    ) -> Result<bool, Error> {
        let order = sql::identifiers(&shape.key);
        let open = format!("BEGIN; DECLARE preview NO SCROLL CURSOR FOR {} ORDER BY {order}", shape.select());
        self.client.batch_execute(&open).await?;
        let mut seen = 0;
        loop {
            let messages = self.client.simple_query(&format!("FETCH {FETCHED} FROM preview")).await?;
            let fetched: Vec<&SimpleQueryRow> = rows(&messages).collect();
            for (at, row) in fetched.iter().enumerate() {
                seen += 1;
                if !take(shape.row(row)?) || seen >= most {
                    self.client.batch_execute("ROLLBACK").await?;
                    return Ok(at + 1 < fetched.len() || fetched.len() == FETCHED);
                }
            }
            if fetched.len() < FETCHED {
                self.client.batch_execute("ROLLBACK").await?;
                return Ok(false);
            }
        }
    }
}

fn rows(messages: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}
