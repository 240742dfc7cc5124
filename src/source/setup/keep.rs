//! What a set-up found is written, once it is to run and before capture does.

use std::collections::BTreeSet;

use passerelle_change::{Column, ColumnId, Position, Suspicion};
use passerelle_state::{Checkpoint, Fit, LoadStage, MappingId, SourceId, StateError, Store, Strange, drift};

use super::{CompiledMapping, Footed, Table, Tables};
use crate::delivery;
use crate::drift::{Footing, Reread, Stand};

impl Tables {
    /// Keeps the catalogue for a start without the database, and how each mapping stands to its table. What is to be read
    /// again is noted first, so that a crash between leaves it to the next set-up. `has_passed` compares positions of the
    /// source's log.
    pub fn keep(
        &self,
        source: SourceId,
        store: &Store,
        mappings: &[CompiledMapping],
        has_passed: fn(&Position, &Position) -> bool,
    ) -> Result<(), StateError> {
        if !self.are_remembered() {
            store.set_catalog(source, &self.database.catalog())?;
        }
        let checkpoint = store.checkpoint(source)?;
        let wanted = super::wanted_rows(mappings);
        self.forget_others(source, store)?;
        for table in &self.all {
            let ours = |mapping: &CompiledMapping| mapping.footed().any(|footed| footed.table == table.id);
            if !mappings.iter().any(|mapping| ours(mapping) && mapping.is_pending())
                && !store.renamed_columns(table.id)?.is_empty()
            {
                store.set_renamed_columns(table.id, &[])?;
            }
            let loaded = columns_loaded(store, table)?;
            forget_unwanted(store, table)?;
            want_rows(store, table, wanted.get(&table.id).map(|rows| &rows.values))?;
            let all = mappings.iter().flat_map(|mapping| mapping.footed().map(move |footed| (mapping, footed)));
            for (mapping, footed) in all.filter(|(_, footed)| footed.table == table.id) {
                reread(store, table, &footed.footing.reread, checkpoint.as_ref())?;
                let before = store.fit(footed.fit)?.unwrap_or_default();
                let waited = before.held.is_some() || is_strange(store, footed.fit, &before)?;
                let mut fit = fit_of(footed.footing, before.clone());
                if let Some(checkpoint) = &checkpoint {
                    fit.forget(|until| has_passed(&checkpoint.position, until));
                }
                if fit.held.is_none() && table.is_there {
                    fit.know(drift::fingerprint(&table.schema, footed.names), self.looked_at.as_ref());
                    // Of what the log has shown since, a catalogue that is remembered says nothing.
                    let strange = if self.are_remembered() { None } else { store.strange(footed.fit)? };
                    if let Some(strange) = strange.filter(|strange| !fit.is_settled(strange)) {
                        // Nobody has seen a change, and the table is as it was.
                        let is_unseen = before.drift.is_none() && before.newest() == fit.newest();
                        fit.settle(&strange, self.looked_at.as_ref(), is_unseen);
                        let passed = Passed { strange: &strange, table, names: footed.names, loaded: &loaded };
                        if passed.leaves_gaps(store, &fit, is_unseen)? {
                            suspect(store, table, checkpoint.as_ref(), Suspicion::SchemaPassed)?;
                        }
                    }
                }
                let goes_on = fit.held.is_none() && !is_strange(store, footed.fit, &fit)?;
                if footed.relation.is_some() && waited && goes_on {
                    // What came meanwhile was left out of them.
                    delivery::make_indexes_again(store, mapping.id, &mapping.mapping)?;
                }
                if fit != before {
                    store.set_fit(footed.fit, &fit)?;
                }
                if !self.are_remembered() {
                    forget_decided(store, &footed)?;
                }
            }
        }
        Ok(())
    }
}

/// Rows that were left out of a table before, and are wanted now, are read: all of it is.
fn want_rows(store: &Store, table: &Table, names: Option<&BTreeSet<String>>) -> Result<(), StateError> {
    let before = store.wanted_rows(table.id)?;
    let lacks = match (&before, names) {
        (Some(before), Some(names)) => !names.is_subset(before),
        (Some(_), None) => true,
        (None, _) => false,
    };
    if lacks {
        let all = store.columns_of(table.id)?.into_iter().map(|column| column.id).collect();
        store.forget_columns(table.id, &all)?;
    }
    if before.as_ref() == names { Ok(()) } else { store.set_wanted_rows(table.id, names) }
}

impl Tables {
    /// What was read of tables that nobody names now is not followed, and gets old.
    fn forget_others(&self, source: SourceId, store: &Store) -> Result<(), StateError> {
        for table in store.tables_of(source)?.into_iter().filter(|table| self.table(*table).is_none()) {
            let all = store.columns_of(table)?.into_iter().map(|column| column.id).collect();
            store.forget_columns(table, &all)?;
        }
        Ok(())
    }
}

/// How a mapping stands now.
fn fit_of(footing: &Footing, before: Fit) -> Fit {
    Fit {
        accepted: json(&footing.accepted),
        drift: footing.pending.as_ref().map(json),
        held: match &footing.stand {
            Stand::Fits => None,
            Stand::Held(reason) | Stand::Fails(reason) => Some(reason.clone()),
        },
        ..before
    }
}

/// What was decided is in force, or was about a table that has changed again. What is remembered of the table can't tell.
fn forget_decided(store: &Store, footed: &Footed<'_>) -> Result<(), StateError> {
    if store.decided(footed.fit)?.is_none() {
        return Ok(());
    }
    if footed.footing.stand != Stand::Fits {
        tracing::warn!(mapping = %footed.config.name, table = %footed.config.table, "the table has changed again since it was decided about: the decision is not in force");
    }
    store.set_decided(footed.fit, None)
}

/// Whether the log has shown what nobody has looked into.
fn is_strange(store: &Store, fit: MappingId, known: &Fit) -> Result<bool, StateError> {
    Ok(store.strange(fit)?.is_some_and(|strange| !known.is_settled(&strange)))
}

fn json<T: serde::Serialize>(fact: &T) -> String {
    serde_json::to_string(fact).unwrap_or_default()
}

fn reread(store: &Store, table: &Table, reread: &Reread, checkpoint: Option<&Checkpoint>) -> Result<(), StateError> {
    let known = store.columns_of(table.id)?;
    let ids = |name: &str| -> BTreeSet<ColumnId> {
        known.iter().filter(|column| column.name == name).map(|column| column.id).collect()
    };
    for (former, now) in &reread.renamed {
        store.loaded_as(table.id, &ids(former), &ids(now))?;
    }
    let again: BTreeSet<ColumnId> = if reread.rows {
        known.iter().map(|column| column.id).collect()
    } else {
        reread.columns.iter().flat_map(|name| ids(name)).collect()
    };
    if !again.is_empty() {
        store.forget_columns(table.id, &again)?;
    }
    if reread.replaced {
        suspect(store, table, checkpoint, Suspicion::Replaced)?;
    }
    Ok(())
}

/// Without a checkpoint nothing was read yet.
fn suspect(store: &Store, table: &Table, checkpoint: Option<&Checkpoint>, why: Suspicion) -> Result<(), StateError> {
    let Some(checkpoint) = checkpoint else { return Ok(()) };
    store.suspect(table.id, checkpoint.seq, why, checkpoint.committed_at)
}

/// What was read of a table: columns that are not in it are read whatever the log has shown.
fn columns_loaded(store: &Store, table: &Table) -> Result<BTreeSet<ColumnId>, StateError> {
    let load = store.load(table.id)?.filter(|load| matches!(load.stage, LoadStage::Loaded { .. }));
    Ok(load.map(|load| load.columns.into_iter().map(ColumnId).collect()).unwrap_or_default())
}

/// What was read of columns that no mapping wants now is not followed, and gets old: whoever wants them again reads them
/// again.
fn forget_unwanted(store: &Store, table: &Table) -> Result<(), StateError> {
    let is_other_name = |name: &String| table.renamed.values().any(|others| others.contains(name));
    let is_wanted =
        |name: &String| table.schema.column(name).is_some() || table.former.contains(name) || is_other_name(name);
    let known = store.columns_of(table.id)?;
    let unwanted: BTreeSet<ColumnId> =
        known.iter().filter(|column| !is_wanted(&column.name)).map(|column| column.id).collect();
    // Of one that is away nothing is known but what is wanted of it.
    if table.is_there && !unwanted.is_empty() { store.forget_columns(table.id, &unwanted) } else { Ok(()) }
}

/// A schema that the log has shown and that nobody has weighed, of a mapping that fits its table.
struct Passed<'a> {
    strange: &'a Strange,
    table: &'a Table,
    /// The columns that the mapping depends on.
    names: &'a BTreeSet<String>,
    /// The columns of the table that were read.
    loaded: &'a BTreeSet<ColumnId>,
}

impl Passed<'_> {
    /// Whether the schema is not the table's any more, and rows of that time may lack what the table has, or have it in
    /// another column: nobody can tell but the table. Of a change that is unseen any difference counts; otherwise it was
    /// weighed, and what it calls for is read again.
    fn leaves_gaps(&self, store: &Store, fit: &Fit, is_unseen: bool) -> Result<bool, StateError> {
        if fit.newest() == Some(self.strange.schema) || fit.is_usual(self.strange.schema) {
            return Ok(false);
        }
        let columns = self.table.schema.columns.iter();
        let is_ours = |column: &&Column| self.names.contains(&column.name) && self.loaded.contains(&column.id);
        let ours: Vec<&Column> = columns.filter(is_ours).collect();
        if is_unseen {
            let ids: Vec<ColumnId> = ours.iter().map(|column| column.id).collect();
            let theirs = self.strange.columns.iter().copied().filter(|id| ids.contains(id));
            return Ok(!theirs.eq(ids.iter().copied()));
        }
        let known = store.columns_of(self.table.id)?;
        let had = |name: &String| {
            known.iter().any(|column| column.name == *name && self.strange.columns.contains(&column.id))
        };
        let had_any =
            |name: &String| had(name) || self.table.renamed.get(name).is_some_and(|others| others.iter().any(had));
        Ok(!ours.iter().all(|column| had_any(&column.name)))
    }
}
