//! What was decided, applied: the mapping without what was dropped, the columns by the names that it uses. Pure.

use std::collections::BTreeSet;

use passerelle_change::{Column, Type};

use super::change::{Change, Part, Patch};
use crate::config::model;
use crate::mapping;

/// A part that a mapping can't do without needs columns that were dropped.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{part}` needs {}", columns.join(", "))]
pub struct Needed {
    /// Its `key`, `where` or `deleted`.
    pub part: Part,
    /// The columns, as the mapping calls them.
    pub columns: Vec<String>,
}

/// The mapping as it is run: without the fields that need a dropped column.
pub fn patched(mapping: &model::Mapping, patch: &Patch) -> Result<model::Mapping, Needed> {
    for (part, columns) in parts(mapping) {
        let columns: Vec<String> = columns.intersection(&patch.dropped).cloned().collect();
        if !columns.is_empty() && !matches!(part, Part::Field(_)) {
            return Err(Needed { part, columns });
        }
    }
    let mut ready = mapping.clone();
    ready.fields.retain(|field| field_columns(mapping, field).is_disjoint(&patch.dropped));
    if ready.fields.len() < mapping.fields.len() {
        mapping::drop_unused_relations(&mut ready);
    }
    Ok(ready)
}

/// The columns as the mapping calls them: each name that was decided about has the columns of all its names, those of the
/// oldest first, so that the newest wins; the others are as they are. A column may be there under several names.
pub fn columns_for(patch: &Patch, columns: Vec<Column>) -> Vec<Column> {
    let decided: BTreeSet<&String> = patch.renamed.keys().chain(patch.formerly.keys()).collect();
    let mut named: Vec<Column> = Vec::new();
    for &wanted in &decided {
        for name in patch.names_of(wanted) {
            let of_name = columns.iter().filter(|column| column.name == name);
            named.extend(of_name.map(|column| Column { name: wanted.clone(), ..column.clone() }));
        }
    }
    let others = columns.into_iter().filter(|column| !decided.contains(&column.name));
    others.chain(named).collect()
}

/// Every part of a mapping with the columns that its expressions name.
pub(super) fn parts(mapping: &model::Mapping) -> Vec<(Part, BTreeSet<String>)> {
    let conditions = [(Part::Where, &mapping.filter), (Part::Deleted, &mapping.deleted)];
    let conditions = conditions
        .into_iter()
        .filter_map(|(part, expr)| Some((part, mapping::columns_of_part(mapping, expr.as_ref()?))));
    let fields =
        mapping.fields.iter().map(|field| (Part::Field(field.name.to_string()), field_columns(mapping, field)));
    std::iter::once((Part::Key, mapping::columns_of_part(mapping, &mapping.key_value)))
        .chain(conditions)
        .chain(fields)
        .collect()
}

fn field_columns(mapping: &model::Mapping, field: &model::Field) -> BTreeSet<String> {
    field.value.expr().into_iter().chain(&field.when).flat_map(|expr| mapping::columns_of_part(mapping, expr)).collect()
}

impl Patch {
    /// Whether nothing was decided.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    /// The column that the mapping means by a name, as it is called now.
    pub fn name_now<'p>(&'p self, name: &'p str) -> &'p str {
        self.renamed.get(name).map_or(name, String::as_str)
    }

    /// All names that the column has had which the mapping means by a name, oldest first, each once.
    pub fn names_of<'p>(&'p self, name: &'p str) -> Vec<&'p str> {
        let former = self.formerly.get(name).into_iter().flatten().map(String::as_str);
        let mut names = Vec::new();
        for name in std::iter::once(name).chain(former).chain([self.name_now(name)]) {
            names.retain(|known| *known != name);
            names.push(name);
        }
        names
    }

    /// What the mapping calls `name` is the column `to` from now on.
    pub fn rename(&mut self, name: &str, to: &str) {
        let before = self.name_now(name).to_owned();
        self.dropped.remove(name);
        self.nulls.remove(name);
        if before == to {
            return;
        }
        if before != name || self.formerly.contains_key(name) {
            self.formerly.entry(name.to_owned()).or_default().push(before);
        }
        if to == name {
            self.renamed.remove(name);
        } else {
            self.renamed.insert(name.to_owned(), to.to_owned());
        }
    }

    /// What is left of it for a mapping that was written anew, which calls columns as they are called now: the names that they
    /// had before. Rows that were captured then wait under them.
    #[must_use]
    pub fn forgotten(&self, changes: &[Change]) -> Self {
        let mut forgotten = Self::default();
        for name in self.renamed.keys().chain(self.formerly.keys()) {
            let now = self.name_now(name);
            let before = self.names_of(name).into_iter().filter(|other| *other != now).map(str::to_owned);
            forgotten.formerly.insert(now.to_owned(), before.collect());
        }
        for change in changes {
            if let Change::ColumnRenamed { column, to, is_certain: true } = change {
                let mut before = forgotten.formerly.remove(column).unwrap_or_default();
                before.push(column.clone());
                forgotten.formerly.insert(to.clone(), before);
            }
        }
        forgotten
    }

    /// The mapping goes on without a column.
    pub fn leave_out(&mut self, name: &str) {
        self.nulls.remove(name);
        self.dropped.insert(name.to_owned());
    }

    /// A column is null in every row. `ty` is what it was when it was last of use; of one that is null already, that stays.
    pub fn make_null(&mut self, name: &str, ty: Type) {
        self.dropped.remove(name);
        self.nulls.entry(name.to_owned()).or_insert(ty);
    }
}
