//! What people decide about changed schemas: checked against what is true now, and in force with the next set-up.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::Shared;
use super::requests::Answer;
use crate::config::model;
use crate::control::request::{AcceptDrift, CommandError, CommandFault, Done};
use crate::drift::{
    self, Accepted, Child, Decision, InForce, Kept, Look, Patch, Pending, Side, Weighed, Whole, decide,
};
use crate::source::table::TableFacts;
use crate::source::{self, CompiledMapping, Footed, Seen, Tables, chain};

/// A source as it was set up, for what its mappings need of it.
pub(super) struct Known {
    pub(super) config: model::Source,
    pub(super) tables: Arc<Tables>,
    pub(super) mappings: Arc<[CompiledMapping]>,
}

/// One table of a mapping with what is not settled of it.
struct Open<'m> {
    footed: Footed<'m>,
    accepted: Accepted,
    pending: Pending,
    seen: Seen,
}

/// Decides about what holds a mapping: what is said is of its own table; what has changed of related tables is taken as it
/// is, where that needs no word.
///
/// # Errors
/// `Conflict` where nothing is held, where a table is not any more as it was shown, or where the decision does not settle
/// it, with what is true now; `Unavailable` where the catalogue can't be read. Nothing is changed then.
pub(super) async fn accept(
    shared: &Shared,
    known: &Known,
    mapping: &CompiledMapping,
    accept: &AcceptDrift,
) -> Answer<Done> {
    let name = &mapping.config.name;
    let show = format!("passerelle drift show {name}");
    let open = open(shared, known, mapping).await?;
    let Some(first) = open.first() else { return Err(nothing_held(name)) };
    if !accept.decisions.is_empty() && first.footed.relation.is_some() {
        let text = format!("nothing of {} itself has changed: no word is needed of it", mapping.config.table);
        let hint = "columns of related rows are named in the mapping file: write it anew, then `passerelle reload`";
        return Err(conflict(text).hint(hint));
    }
    let parents = |name: &str| known.tables.parent(&known.mappings, name);
    let children = Child::of(name, known.mappings.iter().map(|other| &*other.config));
    let whole = Whole {
        mapping: &mapping.config,
        sides: mapping.footed().map(|footed| side(footed, &open)).collect(),
        parents: &parents,
        time_zone: &known.config.time_zone,
    };
    let written = source::written(&mapping.config, &known.config);
    let looked = |open: &Open<'_>, then: &mut dyn FnMut(&Look<'_>)| {
        let Open { footed, seen, .. } = open;
        let hints = seen.hints();
        let place = mapping.footed().position(|other| other.fit == footed.fit).unwrap_or_default();
        let with = |table: &TableFacts, patch: &Patch| whole.compiled_with(place, table, patch);
        let children = if footed.relation.is_none() { &children[..] } else { &[] };
        let look = source::look(&known.config, (footed.config, seen.table.as_ref()), &hints, &parents, children);
        then(&Look { written, relation: footed.relation, whole: &with, ..look });
    };
    let (mut now, mut shown) = (Vec::new(), Vec::new());
    for open in &open {
        looked(open, &mut |look| now.push(look.weighed(&open.accepted.table, &open.accepted.patch)));
        shown.push(open.pending.weighed.clone());
    }
    if now != shown || accept.seen.as_ref().is_some_and(|seen| *seen != drift::mark(&now.concat())) {
        // What it is now is shown as soon as the source is set up for it; else it is shown already.
        if now != shown {
            shared.outdated.cancel();
        }
        let text = format!("{} has changed again since it was shown", first.footed.config.table);
        return Err(conflict(text).hint(show));
    }
    let mut decided = Vec::new();
    for (open, weighed) in open.iter().zip(&now) {
        let mut result = Err(nothing_held(name));
        looked(open, &mut |look| result = decided_of(open, weighed, look, &accept.decisions, &show));
        decided.push((open.footed.fit, result?));
    }
    let again: BTreeSet<&str> = decided.iter().flat_map(|(_, decided)| &decided.reload).map(String::as_str).collect();
    let again: Vec<&str> = again.into_iter().collect();
    let again = if again.is_empty() { String::new() } else { format!("; read again: {}", again.join(", ")) };
    let tables = if mapping.config.with.is_empty() { "table as it is" } else { "tables as they are" };
    if accept.dry_run {
        return Ok(Done::new(format!("nothing was done: --dry-run. {name} would go on with its {tables}{again}"), 0));
    }
    for (fit, decided) in &decided {
        let text = serde_json::to_string(decided).unwrap_or_default();
        shared.store.set_decided(*fit, Some(&text))?;
        tracing::info!(mapping = %name, decided = text, "a person has decided about a changed schema");
    }
    shared.outdated.cancel();
    Ok(Done::new(format!("{name} goes on with its {tables} now{again}"), 1))
}

/// What is not settled of a mapping, its own table first, with the tables as they are now.
async fn open<'m>(shared: &Shared, known: &Known, mapping: &'m CompiledMapping) -> Answer<Vec<Open<'m>>> {
    let mut all = Vec::new();
    for footed in mapping.footed() {
        let Kept { accepted: Some(accepted), pending: Some(pending), .. } = Kept::read(&shared.store, footed.fit)?
        else {
            continue;
        };
        let seen = Seen::of(&known.config, (footed.table, &shared.store), &accepted.table).await.map_err(|fault| {
            let text = format!("the catalogue of source {} can't be read: {}", known.config.name, chain(&fault));
            CommandError::new(CommandFault::Unavailable, text).hint("nothing was decided")
        })?;
        all.push(Open { footed, accepted, pending, seen });
    }
    Ok(all)
}

/// A table as it was accepted, and as it is now where that is another.
fn side<'a>(footed: Footed<'a>, open: &'a [Open<'_>]) -> Side<'a> {
    let Accepted { table, patch, .. } = &footed.footing.accepted;
    let open = open.iter().find(|open| open.footed.fit == footed.fit);
    let now = open.map_or(Some(table), |open| open.seen.table.as_ref());
    Side { name: &footed.config.table, accepted: Some((table, patch)), now }
}

/// What is decided about one table.
fn decided_of(
    open: &Open<'_>,
    weighed: &[Weighed],
    look: &Look<'_>,
    decisions: &[Decision],
    show: &str,
) -> Answer<InForce> {
    let Open { footed, accepted, .. } = open;
    let subject = look.subject(&accepted.table, &accepted.patch);
    let decisions = if footed.relation.is_none() { decisions } else { &[] };
    if footed.relation.is_some()
        && let Some((weighed, out)) = weighed.iter().find_map(|one| Some((one, drift::way_out(one, &subject)?)))
    {
        return Err(conflict(format!("{}: {}", footed.config.table, weighed.change)).hint(out));
    }
    let decided = decide(weighed, &subject, look.table, decisions)
        .map_err(|undecided| conflict(undecided.text).hint(undecided.hint.unwrap_or(show.to_owned())))?;
    let Some(table) = look.table else {
        return Err(conflict(format!("{} is gone", footed.config.table)).hint(show));
    };
    if let Err(faults) = look.compiled(table, &decided.patch) {
        let texts: Vec<String> = faults.into_iter().map(|fault| fault.message).collect();
        let text = format!("{} can't go on like that: {}", footed.config.name, texts.join("; "));
        return Err(conflict(text).hint("write the mapping anew, then `passerelle reload`"));
    }
    Ok(InForce { patch: decided.patch, reload: decided.reload, table: table.clone(), written: look.written })
}

fn conflict(text: String) -> CommandError {
    CommandError::new(CommandFault::Conflict, text)
}

/// The answer about a mapping of which nothing waits.
pub(super) fn nothing_held(mapping: &str) -> CommandError {
    let text = format!("nothing of {mapping} waits for a decision");
    CommandError::new(CommandFault::Conflict, text).hint("passerelle drift list")
}
