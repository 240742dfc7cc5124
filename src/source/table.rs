//! A table as its database's catalogue has it, in words that all kinds of database share.

use passerelle_change::{TableName, Type};

/// A table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableFacts {
    /// Its name.
    pub name: TableName,
    /// Its columns in order.
    pub columns: Vec<ColumnFacts>,
    /// The columns by which a row is known in the log, in their order; or why there are none, in a sentence.
    pub row_key: Result<Vec<String>, String>,
    /// The server's idea of how many rows it has.
    pub estimated_rows: u64,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub ty: Type,
    /// The database's own name for that.
    pub type_name: String,
    /// Whether null may occur.
    pub nullable: bool,
    /// Whether it is computed from others.
    pub generated: Generated,
    /// Whether our user may read it.
    pub readable: bool,
}

/// Whether a column is computed from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Generated {
    /// It is not.
    No,
    /// When the row is written.
    Stored,
    /// When the row is read.
    Virtual,
}

impl TableFacts {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Option<&ColumnFacts> {
        self.columns.iter().find(|column| column.name == name)
    }

    /// The columns of the row key with their types; `None` where there are none.
    pub fn typed_key(&self) -> Option<Vec<(String, Type)>> {
        let key = self.row_key.as_ref().ok()?.iter();
        Some(key.filter_map(|name| Some((name.clone(), self.column(name)?.ty.clone()))).collect())
    }
}
