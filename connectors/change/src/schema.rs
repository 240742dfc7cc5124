//! Tables, columns and their types, as the core knows them.

use std::collections::HashMap;
use std::fmt;

use serde::{Deserialize, Serialize};

/// A table's number in the state. Given once, never reused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableId(pub u32);

/// A column's number in the state: stable per (table, column name, type), so that rows captured under several schemas
/// merge without schema versions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct ColumnId(pub u32);

/// A table's full name. MySQL has no schemas: there it is the database.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct TableName {
    /// Schema (PostgreSQL) or database (MySQL).
    pub schema: String,
    /// The table's own name.
    pub name: String,
}

impl fmt::Display for TableName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.schema, self.name)
    }
}

/// What a column holds. Says how the canonical text of a cell is read; see [`crate::Value::parse`].
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Type {
    /// `t` or `f`.
    Bool,
    /// An integer of any width, signed or not.
    Int,
    /// An exact decimal; NaN and infinities may occur in PostgreSQL.
    Decimal {
        /// Digits in all and after the point, where they are declared.
        precision: Option<(u16, i16)>,
    },
    /// A float of either width, printed so that it reads back exactly.
    Float,
    /// Text.
    Text {
        /// Declared length in characters.
        max_chars: Option<u32>,
    },
    /// One of the labels, by its text.
    Enum {
        /// The labels in order.
        labels: Vec<String>,
    },
    /// `YYYY-MM-DD`.
    Date,
    /// `HH:MM:SS[.ffffff]`.
    Time,
    /// A date and time without a zone: `YYYY-MM-DD HH:MM:SS[.ffffff]`.
    DateTime,
    /// An instant: the same with `+00` behind it.
    Timestamp,
    /// A span of time, as text.
    Interval,
    /// Lower-case, with hyphens.
    Uuid,
    /// `\x` and hex digits.
    Bytes,
    /// JSON text as the database printed it.
    Json,
    /// A list of values, in PostgreSQL's array syntax (`{a,NULL,"b c"}`).
    Array(Box<Type>),
    /// Anything else, by the database's name for it: handed on as text.
    Other(String),
}

/// One mapped column of a table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Column {
    /// Its number in the state.
    pub id: ColumnId,
    /// Its name in the source.
    pub name: String,
    /// What it holds.
    pub ty: Type,
    /// The database's own spelling of the type, `numeric(10,2)`; identity of the column id, and for people.
    pub type_name: String,
    /// Whether null may occur.
    pub nullable: bool,
}

/// The mapped columns of a table, and which of them are its key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableSchema {
    /// Its number in the state.
    pub table: TableId,
    /// Its name in the source.
    pub name: TableName,
    /// The mapped columns and the key columns, in the table's order.
    pub columns: Vec<Column>,
    /// Names of the columns of the row key, in its order.
    pub key: Vec<String>,
}

impl TableSchema {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&Column> {
        self.columns.iter().find(|column| column.name == name)
    }
}

/// Gives out column ids: the same (table, name, type) always gets the same one.
///
/// Owned by whoever decodes a source. A [`crate::Event::Schema`] carries the ids to the state, which writes them in the
/// batch of the first rows that use them; after a restart the allocator starts from what was written.
#[derive(Clone, Debug, Default)]
pub struct ColumnIds {
    known: HashMap<(TableId, String, String), ColumnId>,
    next: u32,
}

impl ColumnIds {
    /// Starts from the columns that the state knows, over all sources.
    pub fn from_known(known: impl IntoIterator<Item = (TableId, Column)>) -> Self {
        let mut ids = Self { known: HashMap::new(), next: 1 };
        for (table, column) in known {
            ids.next = ids.next.max(column.id.0 + 1);
            ids.known.insert((table, column.name, column.type_name), column.id);
        }
        ids
    }

    /// The id of a column, new or known.
    pub fn id(&mut self, table: TableId, name: &str, type_name: &str) -> ColumnId {
        *self.known.entry((table, name.to_owned(), type_name.to_owned())).or_insert_with(|| {
            let id = ColumnId(self.next.max(1));
            self.next = id.0 + 1;
            id
        })
    }
}
