//! `with`: rows of other tables that belong to a row.

use std::sync::Arc;

use passerelle_change::TableName;

use super::{Expr, Place};

/// `[mapping.NAME.with.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Related {
    /// Its name: the first part of `country.code`.
    pub name: Arc<str>,
    /// The tables of its rows: several only where it is a pivot.
    pub tables: Vec<TableName>,
    /// `on`: an expression over a related row, and one over the row that it belongs to. Both have the same value.
    pub on: Vec<(Expr, Expr)>,
    /// `where`: related rows for which it is not true are none.
    pub filter: Option<Expr>,
    /// What is made of the rows.
    pub form: RelatedForm,
    /// Rows that belong to a related row.
    pub with: Vec<Related>,
    /// Where its name stands.
    pub place: Place,
}

/// What is made of related rows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum RelatedForm {
    /// One row: its columns have values.
    One {
        /// `pick`: the first one by this order. Without it, the one with the lowest key.
        pick: Option<Expr>,
    },
    /// Rows to names and values.
    Pivot {
        /// What a row is called.
        name: Expr,
        /// What it holds.
        value: Expr,
        /// The names that there are.
        only: Option<Vec<OnlyName>>,
        /// Of rows with one name the first one by this order.
        pick: Option<Expr>,
    },
    /// Rows to figures, by name, in the order written.
    Rollup(Vec<(Arc<str>, Expr)>),
}

/// One of the names that a pivot has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OnlyName {
    /// The name.
    pub name: String,
    /// Where it stands.
    pub place: Place,
}
