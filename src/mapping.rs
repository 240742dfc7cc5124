//! The mapping language, and the pure evaluation of a row to the record as it should be.
//!
//! A mapping is compiled once against the columns of its table ([`Mapping::compile`]): every expression is parsed,
//! its names are resolved, its types are checked, and all faults come out at once with their places. Then
//! [`Mapping::evaluate`] turns a row into a [`Desired`]: no I/O, no clock, no randomness, steps bounded by the
//! expressions' own size.
//!
//! What holds here:
//! - *absent is not null*: an expression that names an absent column is not evaluated, so `default` does not fire; its
//!   field is [`Target::Absent`], and a `where`, `deleted` or `key` makes the row [`Desired::Incomplete`];
//! - null is SQL's: a comparison with null is null, `and` and `or` have three values, and a `where` that is null
//!   counts as false. `or` over anything but booleans takes the first side that is neither null nor empty text;
//! - integers and decimals are exact; `/` rounds at the 28th digit, a result that does not fit is bad, never rounded;
//! - a reason never holds any of the row, so that reasons can be counted by and logged.
//! - related rows (`a.b`) are no I/O either: an evaluation is handed what its relations have found ([`related`]).

mod check;
mod compile;
mod evaluate;
mod expression;
mod fault;
mod filters;
mod foreign;
mod identifiers;
mod kind;
mod lexer;
mod number;
mod output;
mod program;
pub mod related;
mod revision;
mod row;
mod shape;
mod syntax;
mod text;
mod trace;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use passerelle_change::{FieldValue, Refusal, TableName, Type};

use crate::config::model;

use related::uses::{Use, Uses};

pub use compile::{Compile, MappingFault};
pub use expression::Expression;
pub use fault::Fault;
pub use filters::{Filter, Param, THEMES, Theme, reference};
pub use related::{Ask, Branch, Entry, Fold, Form, Found, JoinKey, Made, RelatedTable, Relation, Scope, Tables};
pub use shape::{Sent, Shape};
pub use syntax::{MAX_DEPTH, MAX_LENGTH};
pub use trace::{Step, StepKind, Trace};

/// The names of the row's columns that an expression uses, without knowing any types.
pub fn columns(expr: &str) -> Result<BTreeSet<String>, Fault> {
    let mut names = BTreeSet::new();
    syntax::visit_columns(&syntax::parse(expr)?, &mut |name, _| {
        names.insert(name.to_owned());
    });
    Ok(names)
}

/// Whether a text is a form of dates, as `date('DD/MM/YYYY')` takes it.
pub fn is_date_form(text: &str) -> bool {
    filters::time::Form::new(Some(text), jiff::tz::TimeZone::UTC).is_some()
}

/// The names of the columns that a mapping uses: what has to be captured of its table, besides the row key.
pub fn columns_of(config: &model::Mapping) -> Result<BTreeSet<String>, Vec<MappingFault>> {
    let Uses { columns, faults, .. } = Uses::of(config);
    let own = columns.into_iter().filter(|used| used.is_own).map(|used| used.column);
    if faults.is_empty() { Ok(own.collect()) } else { Err(faults) }
}

/// The names of the own table's columns that an expression of a mapping uses: those by which it asks for related rows, too.
/// None of one that cannot be read.
pub fn columns_of_part(config: &model::Mapping, expr: &model::Expr) -> BTreeSet<String> {
    let uses = Uses::of_these(config, [expr]);
    uses.columns.into_iter().filter(|used| used.is_own).map(|used| used.column).collect()
}

/// Takes out the relations that no expression asks for. The revision stays as it is.
pub fn drop_unused_relations(config: &mut model::Mapping) {
    let used: BTreeSet<Arc<str>> = Uses::of(config).used().map(|related| related.name.clone()).collect();
    config.with.retain(|related| used.contains(&related.name));
}

/// The related tables that a mapping uses, each with the columns that it uses of it: what has to be captured besides the
/// row keys. Expressions that cannot be read are passed over: [`columns_of`] says what is wrong with them.
pub fn tables_of(config: &model::Mapping) -> Vec<(TableName, BTreeSet<String>)> {
    Uses::of(config).tables()
}

/// The relations that no expression asks for: their paths, and where they stand.
pub fn unused_relations(config: &model::Mapping) -> Vec<(String, model::Place)> {
    Uses::of(config).unused()
}

/// What is wrong with a table's column, and the hint.
pub type Judge<'j> = &'j dyn Fn(&TableName, &str) -> Option<(String, String)>;

/// Faults of the columns that a mapping uses, of its own table and of related ones, at the first use of each: `judge` gives
/// what is wrong with a table's column, and the hint. Expressions that cannot be read are passed over.
pub fn column_faults(config: &model::Mapping, judge: Judge<'_>) -> Vec<MappingFault> {
    let (mut seen, mut faults) = (BTreeSet::new(), Vec::new());
    let uses = Uses::of(config);
    for Use { tables, column, expr, span, .. } in &uses.columns {
        for table in *tables {
            if !seen.insert((table, column)) {
                continue;
            }
            if let Some((message, hint)) = judge(table, column) {
                faults.push(MappingFault::of(Fault::new(span.clone(), message).hint(hint), expr));
            }
        }
    }
    faults
}

/// What is wrong with a mapping's expressions as far as it shows without its table: their syntax, filters, arguments.
/// `time_zone` is its source's.
pub fn faults_without_types(config: &model::Mapping, time_zone: &str) -> Vec<MappingFault> {
    compile::without_types(config, time_zone)
}

/// What [`Mapping::revision`] will be of a mapping, once it is compiled. `time_zone` is its source's.
pub fn revision_of(config: &model::Mapping, time_zone: &str) -> u64 {
    revision::of(config, &BTreeMap::new(), time_zone)
}

/// What a mapping needs to know of the mapping that its reference names.
#[derive(Clone, Debug)]
pub struct ParentInfo {
    /// The caller's number of that mapping; handed back in [`Target::Reference`].
    pub mapping: usize,
    /// The columns of its table's row key, in order: name and type.
    pub key: Vec<(String, Type)>,
    /// Its records' external key field.
    pub key_field: Arc<str>,
}

/// A compiled mapping.
#[derive(Debug)]
pub struct Mapping {
    scope: related::Scope,
    relations: Vec<related::Relation>,
    filter: Option<program::Program>,
    deleted: Option<program::Program>,
    key: program::Program,
    fields: Vec<compile::CompiledField>,
    /// Of an association: its first fields, which name what it joins.
    ends: usize,
    zone: jiff::tz::TimeZone,
    revision: u64,
}

impl Mapping {
    /// A stable hash of everything that changes the outcome of an evaluation: expressions, fields, maps, keys. The same
    /// over restarts and machines; a change of it means that every row has to be evaluated again.
    pub fn revision(&self) -> u64 {
        self.revision
    }

    /// Names of the own table's columns that are used.
    pub fn columns(&self) -> impl Iterator<Item = &str> {
        self.scope.columns()
    }

    /// The relations that are used, flattened: the entries of one ask only for those before it.
    pub fn relations(&self) -> &[related::Relation] {
        &self.relations
    }

    /// What a record's evaluation asks for.
    pub fn scope(&self) -> &related::Scope {
        &self.scope
    }

    /// Whether a record can be created from this: no field waits for an absent column. Where one does, the row must be
    /// fetched first.
    pub fn complete_for_create(&self, record: &Record) -> bool {
        record.fields.iter().all(|field| field.target != Target::Absent)
    }

    /// Names of the absent columns that a record's fields wait for; empty when it is complete.
    /// Those of related rows are among them with their paths, where `found` has them not.
    pub fn absent_columns(&self, cells: passerelle_change::Cells<'_>, found: &[related::Found]) -> Vec<String> {
        let row = self.scope.row(cells, found);
        let absent = self.scope.slots().iter().enumerate().filter(|(slot, _)| row.is_absent(*slot));
        absent.map(|(_, slot)| slot.name.clone()).collect()
    }
}

/// What the CRM should hold for a row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Desired {
    /// This record.
    Present(Record),
    /// Nothing of this mapping's: `where` is false or null. `on_leave` says what becomes of a record that is there.
    Left,
    /// Nothing: `deleted` is true. `on_delete` says what becomes of a record that is there.
    Deleted,
    /// Nothing: an association that does not name one of the two that it would join. One that is there goes.
    Apart,
    /// Not known yet: `where`, `deleted` or `key` names columns that are absent. The row must be fetched.
    Incomplete {
        /// Names of the absent columns.
        columns: Vec<String>,
    },
    /// The row can have no record as it is: a dead letter. Codes: `KEY_EMPTY`, `KEY_BAD`, `WHERE_BAD`, `DELETED_BAD`,
    /// `FIELD_REQUIRED`, `FIELD_BAD`.
    Refused(Refusal),
}

/// A record as it should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// The external key.
    pub key: String,
    /// One entry for each field of the mapping, in its order.
    pub fields: Vec<Field>,
    /// Fields whose value was bad and that were left out or cleared, as `on_bad` says.
    pub bad: Vec<BadField>,
}

/// One field of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    /// Its place in the mapping's fields.
    pub index: usize,
    /// What it should be.
    pub target: Target,
}

/// What a field should be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// This value; null clears the field.
    Set(FieldValue),
    /// Unchanged and unknown: it names a column that is absent.
    Absent,
    /// The record of another mapping's row.
    Reference {
        /// The parents' mappings, as in [`ParentInfo::mapping`]: the first counts that has a record for the row.
        mappings: Arc<[usize]>,
        /// The parent's row key, encoded by [`passerelle_change::key`].
        row_key: Vec<u8>,
    },
    /// The record that another mapping, as in [`ParentInfo::mapping`], makes of the same row.
    Own(usize),
    /// The record of the CRM that has this text in the field by which it is found.
    Unkept(String),
    /// Left out, since its value is bad.
    Omitted,
}

/// A field whose value was bad.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BadField {
    /// Its place in the mapping's fields.
    pub index: usize,
    /// Its name.
    pub name: Arc<str>,
    /// Why: one of a few reasons, without anything of the row.
    pub reason: &'static str,
}

#[cfg(test)]
mod tests;
