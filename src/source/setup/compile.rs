//! Mappings compiled, each for its table as it was accepted.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex, PoisonError};

use passerelle_change::{Column, ColumnIds, TableId, TableName};
use passerelle_state::{MappingId, StateError, Store};

use super::super::table::TableFacts;
use super::standing::{Standing, StandingBeside};
use super::{CompiledBeside, CompiledMapping, SetupFault, Tables};
use crate::config::model;
use crate::delivery::RelatedSetup;
use crate::drift::{columns_for, patched, related_table, relation_names};
use crate::mapping::related::RelatedTable;
use crate::mapping::{Compile, Mapping, MappingFault, ParentInfo};

/// What compiling needs besides the mapping.
pub(super) struct Compiler<'a> {
    pub(super) store: &'a Store,
    pub(super) ids: &'a Mutex<ColumnIds>,
    pub(super) time_zone: &'a str,
    pub(super) numbers: &'a HashMap<String, MappingId>,
    pub(super) parents: &'a dyn Fn(&str) -> Option<ParentInfo>,
}

impl Compiler<'_> {
    /// Compiles all of them; every fault comes out.
    pub(super) fn compile(&self, all: Vec<Standing>, tables: &Tables) -> Result<Vec<CompiledMapping>, SetupFault> {
        let (mut compiled, mut faults) = (Vec::new(), Vec::new());
        for standing in all {
            let Some(table) = tables.all.iter().find(|table| table.facts.name == standing.config.table) else {
                continue;
            };
            match self.mapping(&standing, table.id, tables)? {
                Ok((mapping, run)) => {
                    let related = self.related(&standing, tables)?;
                    let Standing { config, footing, names, beside, .. } = standing;
                    let is_urgent = config.fields.iter().any(|field| field.urgent);
                    // No mapping has such a name.
                    let ahead =
                        is_urgent.then(|| self.store.mapping_id(&format!("{}/urgent", config.name))).transpose()?;
                    compiled.push(CompiledMapping {
                        ahead,
                        id: self.numbers[&config.name.to_string()],
                        table: table.id,
                        columns: table.schema.columns.iter().map(|column| column.id.0).collect(),
                        mapping: Arc::new(mapping),
                        run: Arc::new(run),
                        parents: parents(&config, self.numbers),
                        related,
                        beside: compiled_beside(beside, tables),
                        names: names.all(),
                        footing: Arc::new(footing),
                        config,
                    });
                }
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(compiled) } else { Err(SetupFault::Mappings(faults)) }
    }

    fn mapping(
        &self,
        standing: &Standing,
        table: TableId,
        tables: &Tables,
    ) -> Result<Result<(Mapping, model::Mapping), Vec<MappingFault>>, StateError> {
        let Standing { config, footing, names, is_known, .. } = standing;
        let patch = &footing.accepted.patch;
        let facts = &footing.accepted.table;
        let columns = columns_for(patch, self.columns(table, facts, &names.all())?);
        let taken = if *is_known { relation_names(config) } else { BTreeSet::new() };
        let others = facts.columns.iter().map(|column| column.name.clone());
        let others: Vec<String> = others.filter(|name| !taken.contains(&**name)).collect();
        let ready = match patched(config, patch) {
            Ok(ready) => ready,
            Err(needed) => return Ok(Err(vec![MappingFault::of_setting(config, "table", needed.to_string())])),
        };
        let (parents, zone) = (self.parents, self.time_zone);
        let related = self.related_tables(standing, tables)?;
        let compiled = Mapping::compile(
            &ready,
            &Compile {
                names: &others,
                nulls: &patch.nulls,
                related: Some(&|name| related.iter().find(|(known, _)| known == name).map(|(_, table)| table.clone())),
                ..Compile::new(&columns, parents, zone)
            },
        );
        Ok(compiled.map(|mapping| (mapping, ready)))
    }

    /// The tables of related rows, as they were accepted.
    fn related_tables(
        &self,
        standing: &Standing,
        tables: &Tables,
    ) -> Result<Vec<(TableName, RelatedTable)>, StateError> {
        let mut related = Vec::new();
        for StandingBeside { over, footing, names, .. } in &standing.beside {
            let name = &over.table;
            let Some(table) = tables.all.iter().find(|table| table.facts.name == *name) else { continue };
            let (facts, patch) = (&footing.accepted.table, &footing.accepted.patch);
            let columns = columns_for(patch, self.columns(table.id, facts, &names.all())?);
            related.push((name.clone(), related_table(&standing.config, facts, patch, columns)));
        }
        Ok(related)
    }

    /// The same as delivery follows them.
    fn related(&self, standing: &Standing, tables: &Tables) -> Result<Vec<RelatedSetup>, StateError> {
        let mut related = Vec::new();
        for StandingBeside { fit, over, names, .. } in &standing.beside {
            let Some(table) = tables.all.iter().find(|table| table.facts.name == over.table) else { continue };
            let wanted = names.all();
            let is_wanted = |name: &String| wanted.contains(name) || table.schema.key.contains(name);
            let columns = table.schema.columns.iter().filter(|column| is_wanted(&column.name));
            related.push(RelatedSetup {
                table: table.id,
                lane: self.store.related_lane(&standing.config.crm, table.id)?,
                columns: columns.map(|column| column.id.0).collect(),
                name: over.table.clone(),
                fit: *fit,
            });
        }
        Ok(related)
    }

    /// The columns by these names, of whatever type they ever were: cells of older types may still stand in the row store.
    /// Those of the table as it was accepted come last, and win.
    fn columns(&self, table: TableId, facts: &TableFacts, names: &BTreeSet<String>) -> Result<Vec<Column>, StateError> {
        let ours: Vec<Column> = {
            let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
            let ours = facts.columns.iter().filter(|column| names.contains(&column.name));
            ours.map(|column| facts.numbered(column, table, &mut ids)).collect()
        };
        let mut columns = self.store.columns_of(table)?;
        columns.retain(|column| names.contains(&column.name) && !ours.iter().any(|now| now.id == column.id));
        columns.extend(ours);
        Ok(columns)
    }
}

fn compiled_beside(standing: Vec<StandingBeside>, tables: &Tables) -> Vec<CompiledBeside> {
    let one = |StandingBeside { fit, relation, over, footing, names }| {
        let table = tables.all.iter().find(|table| table.facts.name == over.table)?.id;
        Some(CompiledBeside { fit, table, relation, over, footing: Arc::new(footing), names: names.all() })
    };
    standing.into_iter().filter_map(one).collect()
}

fn parents(mapping: &model::Mapping, numbers: &HashMap<String, MappingId>) -> Vec<MappingId> {
    let names = mapping.fields.iter().flat_map(|field| field.value.parents());
    names.filter_map(|name| numbers.get(name).copied()).collect()
}
