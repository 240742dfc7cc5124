//! A new configuration for a running daemon: what it changes, and whether it can be run. Nothing is changed here.

use std::collections::BTreeSet;
use std::path::Path;
use std::sync::Arc;

use passerelle_state::{LoadStage, MappingId};

use super::{Shared, source_faults};
use crate::config::{self, Change, Loaded, What, model};
use crate::control::request::{CommandError, CommandFault};
use crate::source::{self, CompiledMapping, SetupFault, Tables, chain};

/// Keys of `[daemon]` that are taken at the start only.
const FIXED: [&str; 3] = ["state_dir", "socket", "http"];

/// A configuration that can be run, and what it changes, for people.
pub(super) struct Next {
    pub(super) loaded: Loaded,
    pub(super) lines: Vec<String>,
}

/// The configuration in force.
pub(super) struct Current<'a> {
    pub(super) files: &'a config::Files,
    /// The revision that a mapping runs with, and its number.
    pub(super) mapping: &'a dyn Fn(&str) -> Option<(MappingId, u64)>,
}

/// Reads the files again and checks them against the databases.
///
/// # Errors
/// Every fault of the files, as `check` shows them; a database that can't be asked; keys that need a restart.
pub(super) async fn read(shared: &Shared, path: &Path, current: Current<'_>) -> Result<Next, CommandError> {
    let refused = |text: String| CommandError::new(CommandFault::Conflict, text);
    let faulty = |faults: config::Faults| {
        refused(format!("the new configuration can't be run, and nothing was changed\n\n{faults}"))
    };
    let loaded = config::load(path).map_err(faulty)?;
    let changes = config::difference(current.files, &loaded.files);
    let fixed = changes.iter().filter(|change| change.kind == "daemon").flat_map(|change| match &change.what {
        What::Keys(keys) => keys.iter().map(|key| key.key.as_str()).filter(|key| FIXED.contains(key)).collect(),
        What::Added | What::Removed => FIXED.to_vec(),
    });
    let fixed: Vec<&str> = fixed.collect();
    if !fixed.is_empty() {
        let text = format!("{} of [daemon] can be changed by a restart only", fixed.join(", "));
        return Err(refused(text).hint("systemctl restart passerelle: nothing is lost by it"));
    }
    let mut compiled = Vec::new();
    for source in loaded.config.sources.values() {
        let ours = loaded.config.mappings.values().filter(|mapping| mapping.source == source.name);
        let ours: Vec<_> = ours.cloned().map(Arc::new).collect();
        if ours.is_empty() {
            continue;
        }
        let id = shared.store.source_id(&source.name)?;
        match source::prepare(source, id, &ours, &shared.store, &shared.ids).await {
            Ok(ready) => compiled.push(ready),
            Err(SetupFault::State(error)) => return Err(error.into()),
            Err(SetupFault::Mappings(faults)) => {
                return Err(faulty(source_faults(faults, loaded.files)));
            }
            Err(SetupFault::Database(error)) => {
                let text = format!("source {} can't be asked whether the mappings fit: {}", source.name, chain(&error));
                return Err(CommandError::new(CommandFault::Unavailable, text).hint("nothing was changed"));
            }
        }
    }
    let mut lines = Vec::new();
    for change in &changes {
        describe(shared, change, &current, &loaded.config, &compiled, &mut lines)?;
    }
    // What all mappings share may change what one of them makes of its rows.
    for ready in compiled.iter().flat_map(|(_, mappings)| mappings) {
        let name = &*ready.config.name;
        let is_described = changes.iter().any(|change| change.kind == "mapping" && change.name == *name);
        if let Some((id, revision)) = (current.mapping)(name).filter(|_| !is_described)
            && ready.mapping.revision() != revision
        {
            lines.push(format!("~ mapping {name}{}", evaluated_again(shared, id)?));
        }
    }
    if lines.is_empty() {
        lines.push("nothing has changed".to_owned());
    }
    Ok(Next { loaded, lines })
}

fn describe(
    shared: &Shared,
    change: &Change,
    current: &Current<'_>,
    new: &config::Config,
    compiled: &[(Tables, Vec<CompiledMapping>)],
    lines: &mut Vec<String>,
) -> Result<(), CommandError> {
    let is_mapping = change.kind == "mapping";
    match &change.what {
        What::Added if is_mapping => lines.push(format!("+ {change}: its rows are read and delivered")),
        What::Removed if is_mapping => lines.push(format!("- {change}: its records stay in the CRM as they are")),
        What::Added => lines.push(format!("+ {change}")),
        What::Removed => lines.push(format!("- {change}")),
        What::Keys(keys) => {
            let mut line = format!("~ {change}");
            let running = (current.mapping)(&change.name).filter(|_| is_mapping);
            let found = compiled.iter().find_map(|(tables, mappings)| {
                let mapping = mappings.iter().find(|mapping| is_mapping && *mapping.config.name == *change.name)?;
                Some((tables, mapping))
            });
            if let (Some((id, revision)), Some((_, ready))) = (running, found)
                && ready.mapping.revision() != revision
            {
                line.push_str(&evaluated_again(shared, id)?);
            }
            lines.push(line);
            for key in keys {
                let value = match (&key.old, &key.new) {
                    (Some(old), Some(new)) if old != new => format!(": {old} → {new}"),
                    (None, Some(new)) if !new.is_empty() => format!(": {new}"),
                    (Some(_), None) => " is taken out".to_owned(),
                    (Some(_) | None, Some(_)) | (None, None) => String::new(),
                };
                let effect = new.mappings.get(&change.name).filter(|_| is_mapping);
                let effect = effect.map_or_else(String::new, |mapping| effect_of(&key.key, key.new.is_none(), mapping));
                lines.push(format!("    {}{value}{effect}", key.key));
            }
            if let Some((tables, ready)) = found {
                lines.extend(new_columns(shared, tables, ready)?);
            }
        }
    }
    Ok(())
}

fn evaluated_again(shared: &Shared, mapping: MappingId) -> Result<String, CommandError> {
    let records = shared.store.figures(mapping)?.records;
    Ok(format!(": {records} records are evaluated again, and what differs is sent"))
}

/// What a changed key does beyond an evaluation, behind its line.
fn effect_of(key: &str, removed: bool, mapping: &model::Mapping) -> String {
    let guard = || {
        let guard = mapping.guard;
        format!("{:.0}% or {} in {} s", guard.share * 100.0, guard.count, guard.within.as_secs())
    };
    match key {
        "where" => format!("; rows that no longer match: {}", departure(&mapping.on_leave, &guard)),
        "deleted" => format!("; rows that are deleted now: {}", departure(&mapping.on_delete, &guard)),
        "key.value" | "key.field" | "key" if mapping.on_key_change == model::OnKeyChange::Recreate => {
            let old = departure(&mapping.on_delete, &guard);
            format!("; records whose key differs are created anew; of the old ones: {old}")
        }
        "key.value" | "key.field" | "key" => "; records whose key differs are renamed".to_owned(),
        _ if removed && key.starts_with("fields.") => ": its value stays in the CRM".to_owned(),
        _ => String::new(),
    }
}

fn departure(departure: &model::Departure, guard: &dyn Fn() -> String) -> String {
    match departure {
        model::Departure::Ignore => "their records stay as they are".to_owned(),
        model::Departure::Delete => format!("their records are deleted, behind the guard ({})", guard()),
        model::Departure::Set(fields) => {
            let names: Vec<&str> = fields.iter().map(|(name, _)| &**name).collect();
            format!("{} is set on their records", names.join(", "))
        }
    }
}

/// Columns that have to be read from the database first.
fn new_columns(shared: &Shared, tables: &Tables, ready: &CompiledMapping) -> Result<Option<String>, CommandError> {
    let Some(table) = tables.table(ready.table) else { return Ok(None) };
    let load = shared.store.load(table.id)?;
    let is_known = |id: u32| {
        load.as_ref().is_some_and(|load| matches!(load.stage, LoadStage::Loaded { .. }) && load.columns.contains(&id))
    };
    let new = table.schema.columns.iter().filter(|column| !is_known(column.id.0));
    let names: BTreeSet<&str> = new.map(|column| &*column.name).collect();
    if names.is_empty() {
        return Ok(None);
    }
    let names: Vec<&str> = names.into_iter().collect();
    Ok(Some(format!("    {} of {} is read from the database once", names.join(", "), table.facts.name)))
}
