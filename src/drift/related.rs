//! A mapping as a change of one of its related tables is weighed for it: as if it were of that table. Pure.
//!
//! Each part of the mapping that names related rows uses columns of their tables: those that it names, and those by which
//! the rows are found, chosen and folded. The mapping *over* a related table has the same parts, each with an expression
//! that uses these columns and goes with any type; so whatever weighs, shows and decides goes on as it does for the
//! mapping's own table. Whether the real expressions still go with the types is asked of the compiler ([`super::Whole`]).

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::TableName;

use super::change::Part;
use super::subject::alone;
use crate::config::model::{self, Expr, FieldSource, Place, Related};
use crate::mapping;

/// A table that a mapping uses rows of, besides its own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Beside {
    /// The table.
    pub table: TableName,
    /// The first relation that has its rows, as expressions name it: `orders`, `orders.p`.
    pub relation: String,
    /// Where that relation stands in the files.
    pub place: Place,
}

/// The tables that a mapping's expressions use related rows of, each once.
pub fn beside(mapping: &model::Mapping) -> Vec<Beside> {
    if mapping.with.is_empty() {
        return Vec::new();
    }
    let mut first = BTreeMap::new();
    walk(&mapping.with, "", &mut |related, path| {
        for table in &related.tables {
            first.entry(table.clone()).or_insert_with(|| (path.to_owned(), related.place.clone()));
        }
    });
    let used = mapping::tables_of(mapping).into_iter();
    used.filter_map(|(table, _)| {
        let (relation, place) = first.get(&table)?.clone();
        Some(Beside { table, relation, place })
    })
    .collect()
}

/// The mapping over one of its related tables.
pub fn over(mapping: &model::Mapping, beside: &Beside) -> model::Mapping {
    let uses = |part: &Part| -> BTreeSet<String> {
        let tables = mapping::tables_of(&alone(mapping, part));
        tables.into_iter().find(|(table, _)| *table == beside.table).map(|(_, columns)| columns).unwrap_or_default()
    };
    let condition = |part: &Part, expr: &Option<Expr>| {
        let columns = uses(part);
        expr.as_ref().filter(|_| !columns.is_empty()).map(|expr| any_missing(&columns, &expr.place))
    };
    let mut over = mapping.clone();
    let key = uses(&Part::Key);
    if key.is_empty() {
        "'-'".clone_into(&mut over.key_value.text);
    } else {
        let missing = any_missing(&key, &over.key_value.place);
        over.key_value.text = format!("'-' if {} else '+'", missing.text);
    }
    over.filter = condition(&Part::Where, &mapping.filter);
    over.deleted = condition(&Part::Deleted, &mapping.deleted);
    over.fields.retain_mut(|field| {
        let columns = uses(&Part::Field(field.name.to_string()));
        field.value = FieldSource::Value(any_missing(&columns, &field.place));
        (field.map, field.when, field.check, field.on_create) = (None, None, None, None);
        field.required = false;
        !columns.is_empty()
    });
    over.with.clear();
    over.table = beside.table.clone();
    over.place = beside.place.clone();
    over
}

/// The names of all relations of a mapping. A column that came later and has one of them is not meant by it.
pub fn relation_names(mapping: &model::Mapping) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    walk(&mapping.with, "", &mut |related, _| names.extend([&*related.name]));
    names
}

/// True where one of these columns is null: an expression that uses them, whatever their types.
fn any_missing(columns: &BTreeSet<String>, place: &Place) -> Expr {
    let escaped = |name: &String| name.replace('\\', r"\\").replace('\'', r"\'");
    let one = |name| format!("row['{}'] is none", escaped(name));
    Expr { text: columns.iter().map(one).collect::<Vec<_>>().join(" or "), place: place.clone() }
}

fn walk<'m>(with: &'m [Related], before: &str, see: &mut dyn FnMut(&'m Related, &str)) {
    for related in with {
        let path = if before.is_empty() { related.name.to_string() } else { format!("{before}.{}", related.name) };
        see(related, &path);
        walk(&related.with, &path, see);
    }
}
