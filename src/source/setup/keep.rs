//! What a set-up found is written, once it is to run and before capture does.

use std::collections::BTreeSet;

use passerelle_change::{ColumnId, Suspicion};
use passerelle_state::{Checkpoint, Fit, SourceId, StateError, Store, drift};

use super::{CompiledMapping, Table, Tables};
use crate::drift::{Reread, Stand};

impl Tables {
    /// Keeps the catalogue for a start without the database, and how each mapping stands to its table. What is to be read
    /// again is noted first, so that a crash between leaves it to the next set-up.
    pub fn keep(&self, source: SourceId, store: &Store, mappings: &[CompiledMapping]) -> Result<(), StateError> {
        if !self.are_remembered() {
            store.set_catalog(source, &self.database.catalog())?;
        }
        let checkpoint = store.checkpoint(source)?;
        for table in &self.all {
            let mut ours = mappings.iter().filter(|mapping| mapping.table == table.id);
            if ours.all(|mapping| mapping.footing.pending.is_none()) && !store.renamed_columns(table.id)?.is_empty() {
                store.set_renamed_columns(table.id, &[])?;
            }
        }
        let wanted = super::wanted_rows(mappings);
        for table in &self.all {
            let names = wanted.get(&table.id).map(|rows| &rows.values);
            want_rows(store, table, names)?;
        }
        for mapping in mappings {
            let Some(table) = self.table(mapping.table) else { continue };
            let footing = &mapping.footing;
            reread(store, table, &footing.reread, checkpoint.as_ref())?;
            let mut fit = store.fit(mapping.id)?.unwrap_or_default();
            let before = fit.clone();
            fit.accepted = json(&footing.accepted);
            fit.drift = footing.pending.as_ref().map(json);
            fit.held = match &footing.stand {
                Stand::Fits => None,
                Stand::Held(reason) | Stand::Fails(reason) => Some(reason.clone()),
            };
            if footing.stand == Stand::Fits && table.is_there {
                fit.know(drift::fingerprint(&table.schema, &mapping.names));
                passed(store, table, mapping, &mut fit, checkpoint.as_ref())?;
            }
            if fit != before {
                store.set_fit(mapping.id, &fit)?;
            }
            // What was decided about the table as it is now can't be judged by what is remembered of it.
            if !self.are_remembered() && store.decided(mapping.id)?.is_some() {
                if footing.stand != Stand::Fits {
                    tracing::warn!(mapping = %mapping.config.name, "the table has changed again since it was decided about: the decision is not in force");
                }
                store.set_decided(mapping.id, None)?;
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
    if before.as_ref() != names { store.set_wanted_rows(table.id, names) } else { Ok(()) }
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
    if let Some(checkpoint) = checkpoint.filter(|_| reread.replaced) {
        store.suspect(table.id, checkpoint.seq, Suspicion::Replaced, checkpoint.committed_at)?;
    }
    Ok(())
}

/// A schema that the log has shown and that is not the table's any more. What the rows of that time lack, and the table has,
/// nobody can tell but the table.
fn passed(
    store: &Store,
    table: &Table,
    mapping: &CompiledMapping,
    fit: &mut Fit,
    checkpoint: Option<&Checkpoint>,
) -> Result<(), StateError> {
    let Some(strange) = store.strange(mapping.id)?.filter(|strange| !fit.known.contains(&strange.schema)) else {
        return Ok(());
    };
    let known = store.columns_of(table.id)?;
    let had = |name: &str| known.iter().any(|column| column.name == name && strange.columns.contains(&column.id));
    let had_any = |name: &String| {
        had(name) || table.renamed.get(name).is_some_and(|others| others.iter().any(|other| had(other)))
    };
    let is_lacking = table.mapped.iter().filter(|name| mapping.names.contains(*name)).any(|name| !had_any(name));
    if let Some(checkpoint) = checkpoint.filter(|_| is_lacking) {
        store.suspect(table.id, checkpoint.seq, Suspicion::SchemaPassed, checkpoint.committed_at)?;
    }
    fit.know(strange.schema);
    Ok(())
}
