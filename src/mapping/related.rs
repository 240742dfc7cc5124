//! Related rows: what the tables of a mapping's `with` give to its expressions.
//!
//! A relation is a node of the `with` tree, flattened ([`Mapping::relations`](super::Mapping::relations)). Of each an
//! index is kept by whoever evaluates: one [`Entry`] for each related row, under the join key that it has. An expression is
//! evaluated over a row and what its [`Scope`]'s [`Ask`]s have *found*; a record's scope asks for what its fields name, an
//! entry's for what makes the entry (`on`'s left side, `where`, `pick`, what a pivot or a rollup takes). Pure: who asks, and
//! what depends on whom, is the caller's.

pub(super) mod asking;
mod entry;
mod faults;
mod figures;
mod flat;
mod join;
mod making;
pub mod order;
pub mod rollup;
mod scope;
pub mod stored;
pub(super) mod uses;

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::{Cells, Column, TableName};

pub use entry::{Entry, Made};
pub use figures::{FUNCTIONS, RowFunction, reference};
pub use join::Fold;
use rollup::{Figure, Rollup};
pub use scope::Scope;

/// A table as relations need to know it.
#[derive(Clone, Debug, Default)]
pub struct RelatedTable {
    /// All known columns that may be used, newest last (a column whose type was changed is there several times).
    pub columns: Vec<Column>,
    /// The names of all columns that it has, to offer them.
    pub names: Vec<String>,
    /// The columns of its row key, in order. None: its rows cannot be told apart.
    pub key: Vec<String>,
    /// How the text of a column is compared, where it is not by its bytes.
    pub folded: BTreeMap<String, Fold>,
}

/// Knows a related table; `None` where there is none.
pub type Tables<'c> = &'c dyn Fn(&TableName) -> Option<RelatedTable>;

/// One relation that a scope needs something of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ask {
    /// Its place in [`Mapping::relations`](super::Mapping::relations).
    pub relation: usize,
}

/// Under which key a relation is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum JoinKey {
    /// This one.
    Key(Vec<u8>),
    /// A part of it is null or bad, or it is of a related row that there is not: nothing is related.
    Null,
    /// It names an absent column, or what is not known.
    Absent,
}

/// What a relation has for a join key.
#[derive(Clone, Debug, PartialEq)]
pub enum Found {
    /// Not known (yet): whatever names it is absent.
    Unknown,
    /// No row: its columns are null; of a pivot every name is.
    Nothing,
    /// The row of a relation to one: its packed cells.
    Row(Vec<u8>),
    /// A pivot's names and their values, as [`stored`] has them, in any order.
    Pivot(Vec<(String, Vec<u8>)>),
    /// A rollup's figures in their order. Of no rows there are figures, too.
    Figures(Vec<Figure>),
}

/// A relation: rows of a table that belong to a row.
#[derive(Debug)]
pub struct Relation {
    path: String,
    definition: u64,
    branches: Vec<Branch>,
    form: Form,
    wanted: Option<(String, BTreeSet<String>)>,
}

/// What is made of a relation's rows.
#[derive(Clone, Debug)]
pub enum Form {
    /// One of them is taken.
    One {
        /// The join key is the row key itself: a row is found in the row store without an index.
        by_row_key: bool,
        /// The first one by the entries' order; without it, the one with the lowest row key.
        picks: bool,
    },
    /// Names and values: of rows with one name the first by the entries' order, then by row key.
    Pivot,
    /// Figures over all of them.
    Rollup(Rollup),
}

/// One table of a relation.
#[derive(Debug)]
pub struct Branch {
    table: TableName,
    scope: Scope,
    maker: entry::Maker,
}

impl Relation {
    /// Its names from the mapping's own table on: `orders`, `orders.p`. A nested relation that records name and that makes
    /// entries, too, is there twice.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// A stable hash of everything that determines its entries, the same over restarts and machines. A change of it means
    /// that all of them are to be made again.
    pub fn definition(&self) -> u64 {
        self.definition
    }

    /// One for each of its tables.
    pub fn branches(&self) -> &[Branch] {
        &self.branches
    }

    /// What is made of its rows.
    pub fn form(&self) -> &Form {
        &self.form
    }

    /// Of a pivot whose rows are called by a column as it is: that column, and the names that are used. Other rows never
    /// make an entry, and need not be captured.
    pub fn wanted_rows(&self) -> Option<(&str, &BTreeSet<String>)> {
        self.wanted.as_ref().map(|(column, names)| (column.as_str(), names))
    }
}

impl Branch {
    /// The rows' table.
    pub fn table(&self) -> &TableName {
        &self.table
    }

    /// What an entry depends on besides its row.
    pub fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Names of the table's columns that are used: of those that make an entry, and of those that are read of one.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.scope.columns()
    }

    /// The columns of its own that make the join key, part by part; `None` where an expression makes one.
    pub fn key_columns(&self) -> Option<Vec<&str>> {
        let column = |slot: usize| {
            let slot = self.scope.slots().get(slot)?;
            slot.column().filter(|_| slot.ask.is_none())
        };
        self.maker.key.iter().map(|(program, _)| column(program.slot()?)).collect()
    }

    /// The entry of a row, with what its scope's asks have found, in their order.
    pub fn entry(&self, cells: Cells<'_>, found: &[Found]) -> Made {
        self.maker.entry(&self.scope, cells, found)
    }
}
