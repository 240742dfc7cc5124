//! What the catalogue says about tables: their kind, columns, keys and foreign keys.
//!
//! The log names a table's columns only where `binlog_row_metadata` is `FULL`, and never says of some what they hold:
//! [`TableFacts::known`] is what the decoder of the log takes from here. A column has the same id in both halves, since both
//! name its type by [`crate::types::describe`].

mod column;
mod known;
mod made;
mod read;
mod watch;

use passerelle_change::{Column, ColumnIds, KnownName, TableId, TableName, TableSchema, Type, WantedTable};
use serde::{Deserialize, Serialize};

use crate::value::ZeroDates;
use crate::{Error, sql};

pub use known::{KnownColumn, KnownTable, KnownTables, Special};
pub use read::{names_like, read};
pub use watch::Watch;

/// How the configuration has ambiguous columns read: it decides their types.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Readings {
    /// What is made of dates that no calendar has.
    pub zero_dates: ZeroDates,
    /// What TINYINT(1) is.
    pub tinyint1: Tinyint1,
}

/// What TINYINT(1) with a sign is. Servers print the width since MySQL 8.0.19 for this one type alone.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Tinyint1 {
    /// A yes or no, as BOOL declares it.
    #[default]
    Bool,
    /// An integer like any other.
    Int,
}

/// The facts of the tables that were asked for and are there, in the order in which they were asked for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The tables.
    pub tables: Vec<TableFacts>,
}

/// A table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its name as it was asked for: where the server ignores case it may have another (MY-79).
    pub name: TableName,
    /// What it is.
    pub kind: TableKind,
    /// Its storage engine, `InnoDB`; none of a view.
    pub engine: Option<String>,
    /// Its columns in the order of the log, also those that `SELECT *` leaves out.
    pub columns: Vec<ColumnFacts>,
    /// The columns of the primary key in order.
    pub primary_key: Vec<String>,
    /// The columns of the other unique keys that hold no null and no mere beginning of a column, in the server's order.
    pub unique_keys: Vec<Vec<String>>,
    /// Foreign keys by which rows of it change without a word in the log (MY-31).
    pub cascades: Vec<Cascade>,
    /// Our user has a right on the table, not on some columns alone: else the server tells neither the other columns, nor
    /// which of them are JSON, nor foreign keys.
    pub seen_whole: bool,
    /// Its partitions and their parts by name, sorted.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// How many rows the engine believes it has.
    pub estimated_rows: u64,
}

/// What a table is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    /// A table.
    Base,
    /// A view: the log has the tables behind it.
    View,
    /// A table of MariaDB that keeps the rows it had (MY-58).
    SystemVersioned,
    /// A sequence of MariaDB.
    Sequence,
    /// Anything else, like the server's own views.
    Other,
}

/// A foreign key whose action changes rows of the table that has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cascade {
    /// Its name.
    pub constraint: String,
    /// The table it points to.
    pub parent: String,
    /// `ON DELETE CASCADE`, `ON UPDATE SET NULL`, or both.
    pub action: String,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// What it holds.
    pub ty: Type,
    /// The name of its type; the identity of its id.
    pub type_name: String,
    /// `COLUMN_TYPE` as the server prints it.
    pub column_type: String,
    /// The name of its character set; none where it is no text.
    pub charset: Option<String>,
    /// The name of its collation, by which its text is compared; none where it is no text.
    #[serde(default)]
    pub collation: Option<String>,
    /// Whether it may be null.
    pub nullable: bool,
    /// Whether it is computed from others.
    pub generated: Generated,
    /// `SELECT *` leaves it out.
    pub hidden: bool,
    /// Our user may read it, and it can be named at all.
    pub readable: bool,
    /// What the log does not say of its type.
    pub special: Special,
    /// Its place in the table, from 1; those that the catalogue does not have come last.
    #[serde(default)]
    pub number: u32,
    /// What a new row begins with, as the server prints it; none of a column that is computed.
    #[serde(default)]
    pub default: Option<String>,
}

/// Whether a column is computed from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generated {
    /// It is not.
    No,
    /// When the row is written.
    Stored,
    /// When the row is read. The log has it nevertheless.
    Virtual,
}

impl Catalog {
    /// The facts of a table.
    pub fn table(&self, name: &TableName) -> Result<&TableFacts, Error> {
        let found = self.tables.iter().find(|table| table.name == *name);
        found.ok_or_else(|| Error::TableMissing { table: name.clone() })
    }

    /// Whether a source is set up by it as by another that was read earlier or later: estimates, partitions and defaults do
    /// not count.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let column = |column: &ColumnFacts| ColumnFacts { number: 0, default: None, ..column.clone() };
        let facts = |table: &TableFacts| TableFacts {
            estimated_rows: 0,
            partitions: Vec::new(),
            columns: table.columns.iter().map(column).collect(),
            ..table.clone()
        };
        self.tables.iter().map(facts).eq(other.tables.iter().map(facts))
    }

    /// What the decoder of the log is to know of them all.
    pub fn known(&self) -> KnownTables {
        self.tables.iter().map(|table| (table.name.clone(), table.known())).collect()
    }
}

impl TableFacts {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Result<&ColumnFacts, Error> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| Error::ColumnMissing { table: self.name.clone(), column: name.to_owned() })
    }

    /// The columns of the row key: the primary key, else the first unique key that is all NOT NULL, which is what the
    /// server itself logs of a row where `binlog_row_image` is `MINIMAL`.
    pub fn row_key(&self) -> Result<&[String], Error> {
        if !self.primary_key.is_empty() {
            return Ok(&self.primary_key);
        }
        let refused = |why, remedy| Err(Error::NoRowKey { table: self.name.clone(), why, remedy });
        match (self.kind, self.unique_keys.first()) {
            (TableKind::View, _) => refused("it is a view", "map the tables behind the view".to_owned()),
            (TableKind::Sequence, _) => refused("it is a sequence", "map a table".to_owned()),
            (TableKind::Base | TableKind::SystemVersioned | TableKind::Other, Some(key)) => Ok(key),
            (TableKind::Base | TableKind::SystemVersioned | TableKind::Other, None) => refused(
                "it has no primary key, and no unique key whose columns are all NOT NULL",
                format!("ALTER TABLE {} ADD PRIMARY KEY (…)", sql::name(&self.name)),
            ),
        }
    }

    /// The mapped columns and those of the key, in the table's order. A mapped column that is not there is an error.
    pub fn needed(&self, mapped: &[String]) -> Result<Vec<&ColumnFacts>, Error> {
        for name in mapped {
            self.column(name)?;
        }
        let key = self.row_key()?;
        Ok(self.columns.iter().filter(|column| mapped.contains(&column.name) || key.contains(&column.name)).collect())
    }

    /// What the decoder of the stream is to look for.
    pub fn wanted(&self, table: TableId, mapped: &[String]) -> Result<WantedTable, Error> {
        let columns = self.needed(mapped)?.into_iter().map(|column| column.name.clone()).collect();
        Ok(WantedTable {
            known: self.known_names(),
            ..WantedTable::new(table, self.name.clone(), columns, self.row_key()?.to_vec())
        })
    }

    /// Its columns, as [`WantedTable::known`] has them.
    pub fn known_names(&self) -> Vec<KnownName> {
        let known = |facts: &ColumnFacts| KnownName { name: facts.name.clone(), type_name: facts.type_name.clone() };
        self.columns.iter().map(known).collect()
    }

    /// The schema of the mapped columns and those of the key, for the core; new columns get an id.
    pub fn schema(&self, table: TableId, mapped: &[String], ids: &mut ColumnIds) -> Result<TableSchema, Error> {
        let column = |facts: &ColumnFacts| Column {
            id: ids.id(table, &facts.name, &facts.type_name),
            name: facts.name.clone(),
            ty: facts.ty.clone(),
            type_name: facts.type_name.clone(),
            nullable: facts.nullable,
        };
        let columns = self.needed(mapped)?.into_iter().map(column).collect();
        Ok(TableSchema { table, name: self.name.clone(), columns, key: self.row_key()?.to_vec() })
    }

    /// What the decoder of the log is to know of it.
    pub fn known(&self) -> KnownTable {
        KnownTable {
            columns: self.columns.iter().map(ColumnFacts::known).collect(),
            cascades: !self.cascades.is_empty(),
        }
    }
}

#[cfg(test)]
mod tests;
