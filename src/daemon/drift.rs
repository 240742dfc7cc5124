//! What people decide about changed schemas: checked against what is true now, and in force with the next set-up.

use std::sync::Arc;

use super::Shared;
use super::requests::Answer;
use crate::config::model;
use crate::control::request::{AcceptDrift, CommandError, CommandFault, Done};
use crate::drift::{self, Child, InForce, Kept, decide};
use crate::source::{self, CompiledMapping, Seen, Tables, chain};

/// A source as it was set up, for what its mappings need of it.
pub(super) struct Known {
    pub(super) config: model::Source,
    pub(super) tables: Arc<Tables>,
    pub(super) mappings: Arc<[CompiledMapping]>,
}

/// Decides about what holds a mapping.
///
/// # Errors
/// `Conflict` where nothing is held, where the table is not any more as it was shown, or where the decision does not settle
/// it, with what is true now; `Unavailable` where the catalogue can't be read. Nothing is changed then.
pub(super) async fn accept(
    shared: &Shared,
    known: &Known,
    mapping: &CompiledMapping,
    accept: &AcceptDrift,
) -> Answer<Done> {
    let name = &mapping.config.name;
    let conflict = |text: String| CommandError::new(CommandFault::Conflict, text);
    let show = format!("passerelle drift show {name}");
    let Kept { accepted: Some(accepted), pending: Some(pending), .. } = Kept::read(&shared.store, mapping.id)? else {
        return Err(nothing_held(name));
    };
    let seen = Seen::of(&known.config, (mapping.table, &shared.store), &accepted.table).await.map_err(|fault| {
        let text = format!("the catalogue of source {} can't be read: {}", known.config.name, chain(&fault));
        CommandError::new(CommandFault::Unavailable, text).hint("nothing was decided")
    })?;
    let parents = |name: &str| known.tables.parent(&known.mappings, name);
    let children = Child::of(name, known.mappings.iter().map(|other| &*other.config));
    let hints = seen.hints();
    let look = source::look(&known.config, (&mapping.config, seen.table.as_ref()), &hints, &parents, &children);
    let weighed = look.weighed(&accepted.table, &accepted.patch);
    if weighed != pending.weighed || accept.seen.as_ref().is_some_and(|seen| *seen != drift::mark(&weighed)) {
        // What it is now is shown as soon as the source is set up for it; else it is shown already.
        if weighed != pending.weighed {
            shared.outdated.cancel();
        }
        return Err(conflict(format!("{} has changed again since it was shown", mapping.config.table)).hint(show));
    }
    let subject = look.subject(&accepted.table, &accepted.patch);
    let decided = decide(&weighed, &subject, look.table, &accept.decisions)
        .map_err(|undecided| conflict(undecided.text).hint(undecided.hint.unwrap_or(show.clone())))?;
    let Some(table) = look.table else {
        return Err(conflict(format!("{} is gone", mapping.config.table)).hint(show));
    };
    if let Err(faults) = look.compiled(table, &decided.patch) {
        let texts: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
        let text = format!("{name} can't go on like that: {}", texts.join("; "));
        return Err(conflict(text).hint("write the mapping anew, then `passerelle reload`"));
    }
    let again: Vec<&str> = decided.reload.iter().map(String::as_str).collect();
    let again = if again.is_empty() { String::new() } else { format!("; read again: {}", again.join(", ")) };
    if accept.dry_run {
        return Ok(Done::new(
            format!("nothing was done: --dry-run. {name} would go on with its table as it is{again}"),
            0,
        ));
    }
    let decided = InForce { patch: decided.patch, reload: decided.reload, table: table.clone(), written: look.written };
    let text = serde_json::to_string(&decided).unwrap_or_default();
    shared.store.set_decided(mapping.id, Some(&text))?;
    tracing::info!(mapping = %name, decided = text, "a person has decided about a changed schema");
    shared.outdated.cancel();
    Ok(Done::new(format!("{name} goes on with its table as it is now{again}"), 1))
}

/// The answer about a mapping of which nothing waits.
pub(super) fn nothing_held(mapping: &str) -> CommandError {
    let text = format!("nothing of {mapping} waits for a decision");
    CommandError::new(CommandFault::Conflict, text).hint("passerelle drift list")
}
