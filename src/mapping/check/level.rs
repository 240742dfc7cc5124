//! The rows whose columns an expression can name.

use std::borrow::Cow;
use std::collections::BTreeMap;

use passerelle_change::{Column, Type};

use crate::config::model::Related;
use crate::mapping::related::Fold;

/// A row whose columns an expression can name.
pub(in crate::mapping) struct Level<'c> {
    /// Its table, as a fault calls it.
    pub(in crate::mapping) table: Cow<'c, str>,
    pub(in crate::mapping) columns: Cow<'c, [Column]>,
    /// Names of the table's other columns, to offer them.
    pub(in crate::mapping) others: Cow<'c, [String]>,
    /// Names of columns that are null in every row, whether they are there or not.
    pub(in crate::mapping) nulls: BTreeMap<String, Type>,
    /// How text of its columns is compared.
    pub(in crate::mapping) folded: BTreeMap<String, Fold>,
    pub(in crate::mapping) relations: &'c [Related],
    /// What its columns are named behind; empty for the scope's own row.
    pub(in crate::mapping) path: String,
    /// The ask that finds it.
    pub(in crate::mapping) ask: Option<usize>,
    /// The columns are not known: each that is named is taken to be there, of any type, and absent in every row.
    pub(in crate::mapping) is_unknown: bool,
}

impl<'c> Level<'c> {
    /// A scope's own row, of a table that a fault calls so.
    pub(in crate::mapping) fn own(table: impl Into<Cow<'c, str>>, columns: impl Into<Cow<'c, [Column]>>) -> Self {
        Self {
            table: table.into(),
            columns: columns.into(),
            others: Cow::Borrowed(&[]),
            nulls: BTreeMap::new(),
            folded: BTreeMap::new(),
            relations: &[],
            path: String::new(),
            ask: None,
            is_unknown: false,
        }
    }

    /// A column's name from the scope's own row on.
    pub(in crate::mapping) fn path_of(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}.{name}", self.path) }
    }

    /// Whether its table has a column of that name.
    pub(in crate::mapping) fn has(&self, name: &str) -> bool {
        self.columns.iter().any(|column| column.name == name) || self.others.iter().any(|other| other == name)
    }
}
