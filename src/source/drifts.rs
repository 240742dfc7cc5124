//! What is not settled of a source's mappings, for `/v1/drift` and the status, and in the journal when it begins and ends.

use std::collections::BTreeSet;

use passerelle_state::Store;

use super::chain;
use super::setup::{CompiledMapping, Footed};
use crate::control::board::Board;
use crate::control::model::Drift;
use crate::drift::{self, Accepted, Stand, Subject};

/// Rows that are looked at for a change, at most: a second's work.
const MOST_COUNTED: u64 = 250_000;

/// Shows what is not settled of these mappings, instead of what was shown of them before.
pub(crate) fn show(board: &Board, source: &str, mappings: &[CompiledMapping]) {
    board.drift(|shown| {
        let ours: BTreeSet<&str> = mappings.iter().map(|mapping| &*mapping.config.name).collect();
        let is_ours = |drift: &Drift| drift.mapping.as_deref().is_some_and(|name| ours.contains(name));
        let before: BTreeSet<String> =
            shown.iter().filter(|drift| is_ours(drift)).filter_map(|drift| drift.mapping.clone()).collect();
        shown.retain(|drift| !is_ours(drift));
        for mapping in mappings {
            let name = &*mapping.config.name;
            for footed in mapping.footed() {
                for passed in &footed.footing.passed {
                    let (change, effect) = (passed.change.to_string(), passed.sentence());
                    tracing::info!(
                        source,
                        mapping = name,
                        table = %footed.config.table,
                        change,
                        effect,
                        "the table has changed, and the mapping goes on"
                    );
                }
            }
            match (mapping.is_pending(), before.contains(name)) {
                (true, was_shown) => {
                    if !was_shown {
                        tell(source, mapping);
                    }
                    shown.extend(documents(mapping));
                }
                (false, true) => tracing::info!(source, mapping = name, "the mapping fits its table again"),
                (false, false) => {}
            }
        }
    });
}

/// Counts the rows that each change touches, and shows that beside it. It reads the rows of the state, so it is for a thread on
/// which nobody waits.
pub(crate) fn count(board: &Board, store: &Store, mappings: &[CompiledMapping]) {
    for mapping in mappings {
        let (name, seen) = (&*mapping.config.name, seen(mapping));
        for footed in mapping.footed() {
            for weighed in footed.footing.pending.iter().flat_map(|pending| &pending.weighed) {
                match drift::count::told(store, footed.table, &weighed.change, MOST_COUNTED) {
                    Ok(None) => {}
                    Ok(Some(counted)) => board.drift(|shown| {
                        let change = weighed.change.to_string();
                        let is_it = |drift: &&mut Drift| {
                            let is_of_table = drift.relation.as_deref() == footed.relation;
                            let is_of_mapping = drift.mapping.as_deref() == Some(name) && drift.seen == seen;
                            is_of_table && is_of_mapping && drift.change == change
                        };
                        if let Some(drift) = shown.iter_mut().find(is_it) {
                            drift.counted = Some(counted);
                        }
                    }),
                    Err(error) => {
                        tracing::warn!(mapping = name, error = %chain(&error), "rows that a change touches can't be counted");
                    }
                }
            }
        }
    }
}

/// The mark of all that is not settled of a mapping.
fn seen(mapping: &CompiledMapping) -> String {
    let pending = mapping.footed().filter_map(|footed| footed.footing.pending.as_ref());
    drift::mark(&pending.flat_map(|pending| pending.weighed.clone()).collect::<Vec<_>>())
}

fn tell(source: &str, mapping: &CompiledMapping) {
    for footed in mapping.footed() {
        if let Stand::Held(reason) | Stand::Fails(reason) = &footed.footing.stand {
            let name = &*mapping.config.name;
            tracing::error!(
                source,
                mapping = name,
                reason,
                "the mapping is held for a changed schema: `passerelle drift show {name}`"
            );
        }
    }
}

fn documents(mapping: &CompiledMapping) -> Vec<Drift> {
    let seen = seen(mapping);
    let of = |footed: Footed<'_>| -> Vec<Drift> {
        let Some(pending) = &footed.footing.pending else { return Vec::new() };
        let Accepted { table, patch, .. } = &footed.footing.accepted;
        // What is shown needs no compiler, and so none of the mappings around it.
        let subject = Subject {
            mapping: footed.config,
            patch,
            table,
            parents: &|_| None,
            children: &[],
            time_zone: "UTC",
            relation: footed.relation,
        };
        let is_held = footed.footing.stand != Stand::Fits;
        let all = &pending.weighed;
        let one = |weighed| drift::document(weighed, all, &subject, pending.table.as_ref(), pending.since, is_held);
        all.iter().map(one).map(|document| Drift { seen: seen.clone(), ..document }).collect()
    };
    mapping.footed().flat_map(of).collect()
}
