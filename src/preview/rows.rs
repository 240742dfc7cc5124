//! Reads single rows as the stream would tell them.

mod mysql;
mod postgres;

use passerelle_change::{Cells, CellsBuf, Column, ColumnId, KeyBuf, TableName, Type};

use crate::config::model::{Source, SourceKind};
use crate::online::tables;
use crate::source::Error;
use crate::source::table::{ColumnFacts, TableFacts};

/// What is read of a table: the columns that a mapping uses, and its row key.
#[derive(Debug)]
pub(super) struct Shape {
    table: TableName,
    columns: Vec<(ColumnId, String, Type)>,
    key: Vec<String>,
    typed: Vec<Column>,
}

/// A row.
#[derive(Debug)]
pub(super) struct RowText {
    pub(super) key: String,
    pub(super) cells: CellsBuf,
}

/// A connection that can only read.
pub(super) enum Reader {
    Postgres(Box<postgres::Reader>),
    Mysql(Box<mysql::Reader>),
}

impl Shape {
    /// Of the used columns and the key; columns that this server's stream never carries are left out, and so absent. Why
    /// not, where the table has no row key.
    pub(super) fn new(
        facts: &TableFacts,
        used: &[String],
        is_streamed: impl Fn(&ColumnFacts) -> bool,
    ) -> Result<Self, String> {
        let key = facts.row_key.clone()?;
        let columns =
            facts.columns.iter().enumerate().filter(|(_, column)| {
                (used.contains(&column.name) || key.contains(&column.name)) && is_streamed(column)
            });
        // Numbered as `tables::columns` does.
        let columns =
            columns.map(|(at, column)| (ColumnId(at as u32), column.name.clone(), column.ty.clone())).collect();
        Ok(Self { table: facts.name.clone(), columns, key, typed: tables::columns(facts) })
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

    /// The row key of a row, packed: rows of equal rank stand in its order.
    pub(super) fn row_key(&self, cells: Cells<'_>) -> Vec<u8> {
        let mut packed = Vec::new();
        for key in &self.key {
            let Some((id, _, ty)) = self.columns.iter().find(|(_, name, _)| name == key) else { continue };
            KeyBuf(&mut packed).push(*ty == Type::Int, cells.get(*id).flatten().unwrap_or_default());
        }
        packed
    }

    /// A row by the texts of the columns that are read; `None` is null.
    fn row(&self, texts: &[Option<&str>]) -> RowText {
        let mut cells = CellsBuf::new();
        let named = || self.columns.iter().zip(texts);
        for ((id, ..), text) in named() {
            cells.push(*id, text.map(str::as_bytes));
        }
        let part = |key: &String| {
            let found = named().find(|((_, name, _), _)| name == key);
            found.and_then(|(_, text)| *text).unwrap_or_default()
        };
        RowText { key: self.key.iter().map(part).collect::<Vec<_>>().join(","), cells }
    }
}

impl Reader {
    /// Connects, and asks for the tables of these names.
    pub(super) async fn open(source: &Source, names: &[TableName]) -> Result<(Self, Vec<TableFacts>), Error> {
        match &source.kind {
            SourceKind::Postgres(_) => {
                let (reader, tables) = postgres::Reader::open(source, names).await?;
                Ok((Self::Postgres(Box::new(reader)), tables))
            }
            SourceKind::Mysql(settings) => {
                let (reader, tables) = mysql::Reader::open(source, settings, names).await?;
                Ok((Self::Mysql(Box::new(reader)), tables))
            }
        }
    }

    /// Whether this server's stream carries the column.
    pub(super) fn is_streamed(&self, column: &ColumnFacts) -> bool {
        match self {
            Self::Postgres(reader) => reader.is_streamed(column),
            // Virtual ones, too.
            Self::Mysql(_) => true,
        }
    }

    /// The row with this key; `None` also where the parts are no values of the key's columns.
    pub(super) async fn by_key(&mut self, shape: &Shape, parts: &[String]) -> Result<Option<RowText>, Error> {
        if parts.len() != shape.key.len() {
            return Ok(None);
        }
        match self {
            Self::Postgres(reader) => reader.by_key(shape, parts).await,
            Self::Mysql(reader) => reader.by_key(shape, parts).await,
        }
    }

    /// A row with this value in a column.
    pub(super) async fn by_column(
        &mut self,
        shape: &Shape,
        column: &str,
        value: &str,
    ) -> Result<Option<RowText>, Error> {
        match self {
            Self::Postgres(reader) => reader.one(shape, &[(column.to_owned(), value.to_owned())]).await,
            Self::Mysql(reader) => reader.by_column(shape, column, value).await,
        }
    }

    /// At most so many rows with these values in these columns, in the order of their keys.
    pub(super) async fn matching(
        &mut self,
        shape: &Shape,
        values: &[(String, String)],
        most: usize,
    ) -> Result<Vec<RowText>, Error> {
        match self {
            Self::Postgres(reader) => reader.matching(shape, values, most).await,
            Self::Mysql(reader) => reader.matching(shape, values, most).await,
        }
    }

    /// Hands rows to `take` in the order of their keys, until it says no or `most` were handed. Whether there were more.
    pub(super) async fn scan(
        &mut self,
        shape: &Shape,
        most: usize,
        take: impl FnMut(RowText) -> bool,
    ) -> Result<bool, Error> {
        match self {
            Self::Postgres(reader) => reader.scan(shape, most, take).await,
            Self::Mysql(reader) => reader.scan(shape, most, take).await,
        }
    }
}
