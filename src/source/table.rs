//! A table as its database's catalogue has it, in words that all kinds of database share.

use std::collections::BTreeMap;

use passerelle_change::{Column, ColumnIds, TableId, TableName, Type};
use serde::{Deserialize, Serialize};

use crate::mapping::Fold;

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name.
    pub name: TableName,
    /// Its columns in order.
    pub columns: Vec<ColumnFacts>,
    /// The columns by which a row is known in the log, in their order; or why there are none, in a sentence.
    pub row_key: Result<Vec<String>, String>,
    /// The server's idea of how many rows it has.
    pub estimated_rows: u64,
    /// Which table it is, whatever it is called: PostgreSQL's oid. MySQL has none that lasts.
    pub object: Option<u32>,
    /// What holds its rows: another one when all of them were written anew (PostgreSQL's relfilenode).
    pub storage: Option<u32>,
    /// What the log carries of a row before its change, by PostgreSQL's word: `default`, `full`, `index`, `nothing`.
    pub replica_identity: Option<String>,
    /// Its partitions by name, at every level, sorted.
    pub partitions: Vec<String>,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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
    /// Its number: PostgreSQL's attnum, never used twice in a table; its place, from 1, in MySQL.
    pub number: u32,
    /// What a new row begins with, as the database prints it.
    pub default: Option<String>,
    /// The character set, where the column has one of its own (MySQL).
    pub charset: Option<String>,
    /// The collation by which its text is compared (MySQL).
    #[serde(default)]
    pub collation: Option<String>,
    /// Another one whenever the column's definition was written anew (PostgreSQL's xmin of its entry).
    pub definition: Option<u32>,
    /// What each label of an enum is known by, in the order of the labels, however it is called: PostgreSQL's `pg_enum.oid`.
    /// Empty where the database has no such thing.
    #[serde(default)]
    pub label_ids: Vec<u32>,
}

/// Whether a column is computed from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

    /// A column with its number in the state.
    pub fn numbered(&self, column: &ColumnFacts, table: TableId, ids: &mut ColumnIds) -> Column {
        let is_key = self.row_key.as_ref().is_ok_and(|key| key.contains(&column.name));
        Column {
            id: ids.id(table, &column.name, &column.type_name),
            name: column.name.clone(),
            ty: column.ty.clone(),
            type_name: column.type_name.clone(),
            // All that the log can tell; the two are to be equal.
            nullable: !is_key,
        }
    }

    /// How the text of its columns is compared, where it is not by its bytes.
    pub fn folded(&self) -> BTreeMap<String, Fold> {
        let fold = |column: &ColumnFacts| match &column.collation {
            Some(collation) => Fold::of_collation(collation),
            None => Fold::of_type(&column.type_name),
        };
        let all = self.columns.iter().map(|column| (column.name.clone(), fold(column)));
        all.filter(|(_, fold)| !fold.is_none()).collect()
    }

    /// The columns of the row key with their types; `None` where there are none.
    pub fn typed_key(&self) -> Option<Vec<(String, Type)>> {
        let key = self.row_key.as_ref().ok()?.iter();
        Some(key.filter_map(|name| Some((name.clone(), self.column(name)?.ty.clone()))).collect())
    }
}
