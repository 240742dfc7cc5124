//! What the catalogue says about tables: kind, key, replica identity, columns with their types.
//!
//! Types are named by [`types::describe`](crate::types::describe), here and in the stream, so that a column has one id.

mod read;
mod watch;

use std::collections::HashMap;

use passerelle_change::{Column, ColumnIds, KnownName, TableId, TableName, TableSchema, Type, WantedTable};

use serde::{Deserialize, Serialize};

use crate::publication::GENERATED_COLUMNS;
use crate::types::DynamicType;
use crate::{Error, sql};

pub use read::{dynamic_types, names_like, read, server_version};
pub use watch::Watch;

/// What was read of some tables.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Catalog {
    /// The tables that are there, in the order asked for.
    pub tables: Vec<TableFacts>,
    /// The types of their columns that are not built in, and those they are made of, by oid.
    pub types: HashMap<u32, DynamicType>,
}

/// A table, or what else goes by such a name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TableFacts {
    /// Its oid.
    pub oid: u32,
    /// Its name.
    pub name: TableName,
    /// What it is.
    pub kind: TableKind,
    /// Whether its changes are logged.
    pub persistence: Persistence,
    /// Its replica identity.
    pub identity: ReplicaIdentity,
    /// Columns of the primary key, in its order; empty where there is none.
    pub primary_key: Vec<String>,
    /// Columns that the log carries of the row before an update of them, or a delete; all of them where it is FULL.
    pub identity_columns: Vec<String>,
    /// Its columns in order.
    pub columns: Vec<ColumnFacts>,
    /// Its partitions at every level, sorted, with their schema where that is another one.
    #[serde(default)]
    pub partitions: Vec<String>,
    /// `pg_class.relfilenode`: another one when all rows were written anew. Of a table that has no rows of its own, none.
    #[serde(default)]
    pub storage: Option<u32>,
    /// The replica identity of one of its partitions is FULL.
    pub whole_partitions: bool,
    /// The planner's idea of how many rows it has.
    pub estimated_rows: u64,
}

/// A column.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ColumnFacts {
    /// Its name.
    pub name: String,
    /// Its number in the table. Never reused there.
    pub attnum: i16,
    /// Its type's oid.
    pub type_oid: u32,
    /// Its type's modifier.
    pub typmod: i32,
    /// What it holds.
    pub ty: Type,
    /// The type's name.
    pub type_name: String,
    /// Whether null may occur.
    pub nullable: bool,
    /// Whether it is computed from others (PG-59).
    pub generated: Generated,
    /// Whether our user may read it.
    pub readable: bool,
    /// What a new row begins with, as the server prints it.
    #[serde(default)]
    pub default: Option<String>,
    /// `xmin` of its entry in `pg_attribute`: another one whenever its definition was written anew, as by `ALTER … TYPE …
    /// USING` of the same type; by a `GRANT` on it, too.
    #[serde(default)]
    pub definition: Option<u32>,
    /// `pg_enum.oid` of each label of an enum, in the order of the labels: it outlasts `ALTER TYPE … RENAME VALUE`.
    #[serde(default)]
    pub label_ids: Vec<u32>,
}

/// What goes by a table's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum TableKind {
    /// An ordinary table.
    Ordinary,
    /// A partitioned table.
    Partitioned,
    /// A partition, itself partitioned or not.
    Partition,
    /// A view.
    View,
    /// A materialised view.
    MaterializedView,
    /// A foreign table.
    Foreign,
    /// A sequence, an index, a composite type.
    Other,
}

/// Whether a table's changes are logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Persistence {
    /// They are.
    Logged,
    /// `UNLOGGED`.
    Unlogged,
    /// Temporary.
    Temporary,
}

/// What the log carries of a row before the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum ReplicaIdentity {
    /// The primary key, where there is one.
    Default,
    /// Every column.
    Full,
    /// Nothing.
    Nothing,
    /// The columns of an index.
    Index,
    /// The columns of an index that is not there any more, or not valid (PG-18).
    DroppedIndex,
}

impl ReplicaIdentity {
    /// As it is spelled in SQL, lower-case; an index that is gone is an index still.
    pub fn word(self) -> &'static str {
        match self {
            Self::Default => "default",
            Self::Full => "full",
            Self::Nothing => "nothing",
            Self::Index | Self::DroppedIndex => "index",
        }
    }
}

/// Whether a column is computed from others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Generated {
    /// It is not.
    No,
    /// When the row is written. Not in the stream before version 18.
    Stored,
    /// When the row is read. Never in the stream.
    Virtual,
}

impl Generated {
    /// Whether a server of this version (`server_version_num`) can put such a column into the stream (PG-59).
    pub fn is_streamed(self, server_version: u32) -> bool {
        match self {
            Self::No => true,
            Self::Stored => server_version >= GENERATED_COLUMNS,
            Self::Virtual => false,
        }
    }
}

impl Catalog {
    /// The facts of a table.
    pub fn table(&self, name: &TableName) -> Result<&TableFacts, Error> {
        let found = self.tables.iter().find(|table| table.name == *name);
        found.ok_or_else(|| Error::TableMissing { table: name.clone() })
    }

    /// Whether a source is set up by it as by another that was read earlier or later: estimates, partitions, defaults and
    /// what was written anew do not count.
    pub fn agrees_with(&self, other: &Self) -> bool {
        let column = |column: &ColumnFacts| ColumnFacts {
            default: None,
            definition: None,
            label_ids: Vec::new(),
            ..column.clone()
        };
        let facts = |table: &TableFacts| TableFacts {
            estimated_rows: 0,
            storage: None,
            partitions: Vec::new(),
            columns: table.columns.iter().map(column).collect(),
            ..table.clone()
        };
        self.types == other.types && self.tables.iter().map(facts).eq(other.tables.iter().map(facts))
    }
}

impl TableFacts {
    /// The column of that name.
    pub fn column(&self, name: &str) -> Result<&ColumnFacts, Error> {
        let found = self.columns.iter().find(|column| column.name == name);
        found.ok_or_else(|| Error::ColumnMissing { table: self.name.clone(), column: name.to_owned() })
    }

    /// The columns of the row key: those that every change of a row tells, its deletion too. The primary key, or those
    /// of the index that is the replica identity.
    pub fn row_key(&self) -> Result<&[String], Error> {
        let table = sql::table(&self.name);
        let refused = |why, remedy| Err(Error::NoRowKey { table: self.name.clone(), why, remedy });
        match self.identity {
            ReplicaIdentity::Index => Ok(&self.identity_columns),
            ReplicaIdentity::DroppedIndex => refused(
                "the index of its replica identity was dropped",
                format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
            ),
            ReplicaIdentity::Nothing => {
                refused("its replica identity is NOTHING", format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT"))
            }
            ReplicaIdentity::Default | ReplicaIdentity::Full if self.primary_key.is_empty() => refused(
                "it has no primary key",
                format!(
                    "ALTER TABLE {table} ADD PRIMARY KEY (…), or REPLICA IDENTITY USING INDEX a unique index on columns that are NOT NULL"
                ),
            ),
            ReplicaIdentity::Default | ReplicaIdentity::Full => Ok(&self.primary_key),
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
        let key = self.row_key()?;
        let column = |facts: &ColumnFacts| Column {
            id: ids.id(table, &facts.name, &facts.type_name),
            name: facts.name.clone(),
            ty: facts.ty.clone(),
            type_name: facts.type_name.clone(),
            // All that the stream can tell; the two are to be equal.
            nullable: !key.contains(&facts.name),
        };
        let columns = self.needed(mapped)?.into_iter().map(column).collect();
        Ok(TableSchema { table, name: self.name.clone(), columns, key: key.to_vec() })
    }
}
