//! How mappings stand to their tables: each to its own, and to those of its related rows.

use std::collections::HashMap;
use std::sync::Arc;

use passerelle_change::TableName;
use passerelle_state::{MappingId, StateError, Store};

use super::super::table::TableFacts;
use super::names::Names;
use super::{Setup, SetupFault, fit_name, hints, look, written};
use crate::config::model;
use crate::drift::{self, Beside, Child, Footing, Kept, Look, Side, Whole};
use crate::mapping::{MappingFault, ParentInfo};

/// A mapping, how it stands, and its columns.
pub(super) struct Standing {
    /// As it is written.
    pub(super) config: Arc<model::Mapping>,
    /// How it stands to its own table.
    pub(super) footing: Footing,
    /// The columns of its own table.
    pub(super) names: Names,
    /// The tables of its related rows.
    pub(super) beside: Vec<StandingBeside>,
    /// It was accepted before as it is written now: what came to its tables since is no fault of it.
    pub(super) is_known: bool,
}

/// The same of a table of related rows.
pub(super) struct StandingBeside {
    /// Its number in the state.
    pub(super) fit: MappingId,
    /// The relation.
    pub(super) relation: String,
    /// The mapping over the table.
    pub(super) over: Arc<model::Mapping>,
    /// How it stands to it.
    pub(super) footing: Footing,
    /// The columns of the table.
    pub(super) names: Names,
}

impl Standing {
    /// Every table of the mapping: its name, how the mapping stands to it, and the columns.
    pub(super) fn tables(&self) -> impl Iterator<Item = (&TableName, &Footing, &Names)> {
        let beside = self.beside.iter().map(|beside| (&beside.over.table, &beside.footing, &beside.names));
        std::iter::once((&self.config.table, &self.footing, &self.names)).chain(beside)
    }
}

/// What is known of one table of a mapping.
struct Known<'a> {
    fit: MappingId,
    /// The mapping, or the mapping over a related table.
    config: Arc<model::Mapping>,
    relation: Option<String>,
    table: Option<&'a TableFacts>,
    kept: Kept,
    renamed: Vec<(String, String)>,
    moved: Option<TableName>,
}

impl Setup<'_> {
    /// How each mapping stands to its tables, as they are `known` to be. `moved` says where tables have gone.
    pub(super) fn standings(
        &self,
        known: &[TableFacts],
        moved: &HashMap<TableName, TableName>,
        parents: &dyn Fn(&str) -> Option<ParentInfo>,
    ) -> Result<Vec<Standing>, SetupFault> {
        let (mut all, mut faults) = (Vec::new(), Vec::new());
        for config in self.mappings {
            let mut tables = vec![self.known(&config.name, config, None, known, moved)?];
            for beside in drift::beside(config) {
                let over = Arc::new(drift::over(config, &beside));
                let Beside { table, relation, .. } = beside;
                let name = fit_name(&config.name, &table);
                tables.push(self.known(&name, &over, Some(relation), known, moved)?);
            }
            match self.standing(config, tables, parents) {
                Ok(standing) => all.push(standing),
                Err(more) => faults.extend(more),
            }
        }
        if faults.is_empty() { Ok(all) } else { Err(SetupFault::Mappings(faults)) }
    }

    fn known<'k>(
        &self,
        fit: &str,
        config: &Arc<model::Mapping>,
        relation: Option<String>,
        known: &'k [TableFacts],
        moved: &HashMap<TableName, TableName>,
    ) -> Result<Known<'k>, StateError> {
        let fit = self.store.mapping_id(fit)?;
        let kept = Kept::read(self.store, fit)?;
        Ok(Known {
            fit,
            config: Arc::clone(config),
            relation,
            table: known.iter().find(|table| table.name == config.table),
            // Of another table there is nothing to compare with.
            kept: Kept { accepted: kept.accepted.filter(|accepted| accepted.table.name == config.table), ..kept },
            renamed: self.store.renamed_columns(self.store.table_id(self.id, &config.table)?)?,
            moved: moved.get(&config.table).cloned(),
        })
    }

    /// How one mapping stands to `tables`, its own first.
    fn standing(
        &self,
        config: &Arc<model::Mapping>,
        tables: Vec<Known<'_>>,
        parents: &dyn Fn(&str) -> Option<ParentInfo>,
    ) -> Result<Standing, Vec<MappingFault>> {
        let children = Child::of(&config.name, self.mappings.iter().map(|mapping| &**mapping));
        let written = written(config, self.config);
        let sides = tables.iter().map(|known| Side {
            name: &known.config.table,
            accepted: known.kept.accepted.as_ref().map(|accepted| (&accepted.table, &accepted.patch)),
            now: known.table,
        });
        let whole = Whole { mapping: config, sides: sides.collect(), parents, time_zone: &self.config.time_zone };
        let looked = |place: usize, then: &mut dyn FnMut(&Look<'_>, Kept)| {
            let known = &tables[place];
            let hints = hints(&known.renamed, known.moved.clone());
            let relation = known.relation.as_deref();
            let children = if relation.is_none() { &children[..] } else { &[] };
            let with = |table: &TableFacts, patch: &drift::Patch| whole.compiled_with(place, table, patch);
            let look = look(self.config, (&known.config, known.table), &hints, parents, children);
            then(&Look { relation, written, whole: &with, ..look }, known.kept.clone());
        };
        let (mut footings, mut faults) = (Vec::new(), Vec::new());
        for place in 0..tables.len() {
            looked(place, &mut |look, kept| match look.footing(kept) {
                Ok(footing) => footings.push(footing),
                Err(more) => faults.extend(more),
            });
        }
        if !faults.is_empty() {
            return Err(faults);
        }
        if let Err(faults) = together(&whole, &footings) {
            for (place, footing) in footings.iter_mut().enumerate() {
                looked(place, &mut |look, kept| {
                    if let Some(waits) = look.waits(kept, footing, &faults) {
                        *footing = waits;
                    }
                });
            }
            together(&whole, &footings)?;
        }
        let is_known = tables[0].kept.accepted.as_ref().is_some_and(|accepted| accepted.written == written);
        let mut all = tables.iter().zip(footings);
        let (_, footing) = all.next().ok_or_else(Vec::new)?;
        let mut beside = Vec::new();
        for (Known { fit, config, relation, .. }, footing) in all {
            let names = Names::of(config, &footing)?;
            let (over, relation) = (Arc::clone(config), relation.clone().unwrap_or_default());
            beside.push(StandingBeside { fit: *fit, relation, over, footing, names });
        }
        let names = Names::of(config, &footing)?;
        Ok(Standing { config: Arc::clone(config), footing, names, beside, is_known })
    }
}

/// Whether a mapping compiles with all its tables as they are accepted.
fn together(whole: &Whole<'_>, footings: &[Footing]) -> Result<(), Vec<MappingFault>> {
    if footings.len() == 1 {
        return Ok(());
    }
    let tables = whole.sides.iter().zip(footings);
    let tables = tables.map(|(side, footing)| (side.name, Some((&footing.accepted.table, &footing.accepted.patch))));
    whole.compiled(&tables.collect::<Vec<_>>())
}

/// What the state has of the tables of a mapping, its own first.
pub(super) fn kept_of(store: &Store, mapping: &model::Mapping) -> Result<Vec<Kept>, StateError> {
    let beside = drift::beside(mapping).into_iter().map(|beside| fit_name(&mapping.name, &beside.table));
    let names = std::iter::once(mapping.name.to_string()).chain(beside);
    names.map(|name| Kept::read(store, store.mapping_id(&name)?)).collect()
}
