//! A mapping compiled over its own table and those of its related rows at once: what fits each by itself may not fit
//! together, as the columns that two tables are joined by. Pure.

use passerelle_change::{Column, ColumnIds, TableId, TableName};

use super::change::Patch;
use super::patch::{columns_for, patched};
use super::related::relation_names;
use crate::config::model;
use crate::mapping::related::RelatedTable;
use crate::mapping::{Compile, Mapping, MappingFault, ParentInfo};
use crate::source::table::TableFacts;

/// A mapping with all its tables.
#[derive(Clone)]
pub struct Whole<'a> {
    /// As it is written.
    pub mapping: &'a model::Mapping,
    /// Its own table, then those of related rows.
    pub sides: Vec<Side<'a>>,
    /// The mappings that references name.
    pub parents: &'a dyn Fn(&str) -> Option<ParentInfo>,
    /// The source's.
    pub time_zone: &'a str,
}

/// One of a mapping's tables, as it was accepted and as it is now.
#[derive(Clone, Copy)]
pub struct Side<'a> {
    /// Its name.
    pub name: &'a TableName,
    /// As the mapping was accepted for it, with what was decided.
    pub accepted: Option<(&'a TableFacts, &'a Patch)>,
    /// As it is now, where that can be read.
    pub now: Option<&'a TableFacts>,
}

static NOTHING_DECIDED: std::sync::LazyLock<Patch> = std::sync::LazyLock::new(Patch::default);

impl<'a> Whole<'a> {
    /// Whether the mapping compiles with one of its tables as it is given, and the others as they were accepted or as they
    /// are now.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compiled_with(&self, place: usize, table: &TableFacts, patch: &Patch) -> Result<(), Vec<MappingFault>> {
        if self.mapping.with.is_empty() {
            return Ok(());
        }
        let choose = |wants_now: bool| {
            let side = |(at, side): (usize, &Side<'a>)| {
                let decided = side.accepted.map_or(&*NOTHING_DECIDED, |(_, patch)| patch);
                let now = side.now.map(|now| (now, decided));
                let other = if wants_now { now.or(side.accepted) } else { side.accepted.or(now) };
                (side.name, if at == place { Some((table, patch)) } else { other })
            };
            self.sides.iter().enumerate().map(side).collect::<Vec<_>>()
        };
        self.compiled(&choose(false)).or_else(|_| self.compiled(&choose(true)))
    }

    /// Whether it compiles with these tables, its own first.
    ///
    /// # Errors
    /// What the compiler says.
    pub fn compiled(&self, tables: &[(&TableName, Option<(&TableFacts, &Patch)>)]) -> Result<(), Vec<MappingFault>> {
        let Some((_, Some((own, patch)))) = tables.first() else { return Ok(()) };
        let refused = |needed: super::Needed| vec![MappingFault::of_setting(self.mapping, "table", needed.to_string())];
        let ready = patched(self.mapping, patch).map_err(refused)?;
        let columns = numbered(self.mapping, own, patch);
        let related = |name: &TableName| {
            let (facts, patch) = tables.iter().skip(1).find(|(table, _)| *table == name)?.1?;
            Some(related_table(self.mapping, facts, patch, numbered(self.mapping, facts, patch)))
        };
        let with = Compile {
            nulls: &patch.nulls,
            related: Some(&related),
            ..Compile::new(&columns, self.parents, self.time_zone)
        };
        Mapping::compile(&ready, &with).map(drop)
    }
}

/// A related table as a mapping is compiled for it: `columns` by the names that the mapping uses.
pub fn related_table(
    mapping: &model::Mapping,
    facts: &TableFacts,
    patch: &Patch,
    columns: Vec<Column>,
) -> RelatedTable {
    let taken = relation_names(mapping);
    let names = facts.columns.iter().map(|column| column.name.clone());
    let names = names.filter(|name| !taken.contains(&**name)).collect();
    let called = |column: &String| {
        let name = patch.renamed.iter().find(|(_, now)| *now == column).map(|(name, _)| name);
        name.unwrap_or(column).clone()
    };
    let key = facts.row_key.iter().flatten().map(called).collect();
    let folded = facts.folded().into_iter().map(|(name, fold)| (called(&name), fold)).collect();
    RelatedTable { columns, names, key, folded }
}

/// The columns of a table as the mapping calls them, with numbers of no meaning.
pub(super) fn numbered(mapping: &model::Mapping, table: &TableFacts, patch: &Patch) -> Vec<Column> {
    let (mut ids, taken) = (ColumnIds::default(), relation_names(mapping));
    let columns = table.columns.iter().filter(|column| !taken.contains(&*column.name));
    columns_for(patch, columns.map(|column| table.numbered(column, TableId(0), &mut ids)).collect())
}
