//! What a change is weighed for: a mapping, and the table as it was written for.

use std::collections::BTreeSet;

use passerelle_change::{Column, ColumnId, Type};

use super::change::{Part, Patch};
use super::patch::{columns_for, parts};
use crate::config::model::{self, Expr, FieldSource};
use crate::mapping::{self, Compile, Mapping, MappingFault, ParentInfo};
use crate::source::table::{ColumnFacts, TableFacts};

/// A mapping with everything that a change of its table is weighed by. Cheap to make.
#[derive(Clone, Copy)]
pub struct Subject<'s> {
    /// The mapping as it is written.
    pub mapping: &'s model::Mapping,
    /// What was decided about it before.
    pub patch: &'s Patch,
    /// The table that both fit: the one of the old look.
    pub table: &'s TableFacts,
    /// What is known of the mappings that its references name.
    pub parents: &'s dyn Fn(&str) -> Option<ParentInfo>,
    /// Reference fields of other mappings that lead to its rows.
    pub children: &'s [Child],
    /// Its source's time zone.
    pub time_zone: &'s str,
    /// The relation whose rows the table has, where the mapping is [`over`](super::over) it; `None` of its own.
    pub relation: Option<&'s str>,
}

/// A reference field of another mapping.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Child {
    /// The mapping.
    pub mapping: String,
    /// The field, by its name in the CRM.
    pub field: String,
}

impl Child {
    /// The fields of `mappings` that refer to rows of the mapping called `parent`.
    pub fn of<'m>(parent: &str, mappings: impl IntoIterator<Item = &'m model::Mapping>) -> Vec<Self> {
        let mut children = Vec::new();
        for mapping in mappings {
            for field in &mapping.fields {
                if matches!(&field.value, FieldSource::Reference { mappings, .. } if mappings.iter().any(|name| name == parent))
                {
                    children.push(Self { mapping: mapping.name.to_string(), field: field.name.to_string() });
                }
            }
        }
        children
    }
}

impl<'s> Subject<'s> {
    /// Every part that is run, with the names of its columns as the mapping calls them; without what was dropped or is null.
    pub(super) fn parts(&self) -> Vec<(Part, BTreeSet<String>)> {
        let Patch { dropped, nulls, .. } = self.patch;
        let is_run = |(part, columns): &(Part, BTreeSet<String>)| {
            !matches!(part, Part::Field(_)) || columns.is_disjoint(dropped)
        };
        let without_nulls = |(part, mut columns): (Part, BTreeSet<String>)| {
            columns.retain(|name| !nulls.contains_key(name));
            (part, columns)
        };
        parts(self.mapping).into_iter().filter(is_run).map(without_nulls).collect()
    }

    /// All names of columns that stand in the mapping, whatever was decided about them.
    pub(super) fn written_names(&self) -> BTreeSet<String> {
        parts(self.mapping).into_iter().flat_map(|(_, columns)| columns).collect()
    }

    /// What the mapping calls a column of the table; several names where several were renamed to it.
    pub(super) fn names_for(&self, column: &str) -> Vec<String> {
        let used: BTreeSet<String> = self.parts().into_iter().flat_map(|(_, columns)| columns).collect();
        used.into_iter().filter(|name| self.patch.name_now(name) == column).collect()
    }

    /// The parts that use a column of the table.
    pub(super) fn parts_with(&self, column: &str) -> Vec<Part> {
        let uses = |columns: &BTreeSet<String>| columns.iter().any(|name| self.patch.name_now(name) == column);
        self.parts().into_iter().filter(|(_, columns)| uses(columns)).map(|(part, _)| part).collect()
    }

    /// All columns of the table that the mapping uses, by their names in the table.
    pub fn columns(&self) -> BTreeSet<String> {
        let used = self.parts().into_iter().flat_map(|(_, columns)| columns);
        used.map(|name| self.patch.name_now(&name).to_owned()).collect()
    }

    /// Whether rows are known by a column of the table.
    pub(super) fn is_row_key(&self, column: &str) -> bool {
        self.table.row_key.as_ref().is_ok_and(|key| key.iter().any(|name| name == column))
    }

    /// The field of that name.
    pub(super) fn field(&self, name: &str) -> Option<&'s model::Field> {
        self.mapping.fields.iter().find(|field| *field.name == *name)
    }

    /// The table's columns as the mapping calls them, one of them of another type.
    pub(super) fn columns_with(&self, column: &str, ty: &Type, type_name: &str) -> Vec<Column> {
        let of_table = |(place, facts): (usize, &ColumnFacts)| {
            let is_it = facts.name == column;
            Column {
                id: ColumnId(place as u32 + 1),
                name: facts.name.clone(),
                ty: if is_it { ty.clone() } else { facts.ty.clone() },
                type_name: if is_it { type_name.to_owned() } else { facts.type_name.clone() },
                nullable: facts.nullable,
            }
        };
        columns_for(self.patch, self.table.columns.iter().enumerate().map(of_table).collect())
    }

    /// What the compiler says of one part over these columns; `None` where nothing is wrong with it.
    pub(super) fn fault(&self, part: &Part, columns: &[Column]) -> Option<MappingFault> {
        let alone = alone(self.mapping, part);
        let compiled = Mapping::compile(
            &alone,
            &Compile { nulls: &self.patch.nulls, ..Compile::new(columns, self.parents, self.time_zone) },
        );
        compiled.err().and_then(|faults| faults.into_iter().next())
    }
}

/// A mapping of one part, so that what is wrong, or used, is so of that.
pub(super) fn alone(mapping: &model::Mapping, part: &Part) -> model::Mapping {
    let mut alone = mapping.clone();
    if *part != Part::Key {
        alone.key_value = Expr { text: "'-'".to_owned(), place: mapping.key_value.place.clone() };
    }
    if *part != Part::Where {
        alone.filter = None;
    }
    if *part != Part::Deleted {
        alone.deleted = None;
    }
    alone.fields.retain(|field| matches!(part, Part::Field(name) if *field.name == **name));
    // What is wrong with a relation is wrong with those that ask for it.
    mapping::drop_unused_relations(&mut alone);
    alone
}
