//! What is not settled of a source's mappings, for `/v1/drift` and the status, and in the journal when it begins and ends.

use std::collections::BTreeSet;

use super::setup::CompiledMapping;
use crate::control::board::Board;
use crate::control::model::Drift;
use crate::drift::{Pending, Stand};

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
            match (&mapping.footing.pending, before.contains(name)) {
                (Some(pending), was_shown) => {
                    if !was_shown {
                        tell(source, mapping);
                    }
                    shown.extend(documents(mapping, pending));
                }
                (None, true) => tracing::info!(source, mapping = name, "the mapping fits its table again"),
                (None, false) => {}
            }
        }
    });
}

fn tell(source: &str, mapping: &CompiledMapping) {
    if let Stand::Held(reason) | Stand::Fails(reason) = &mapping.footing.stand {
        let name = &*mapping.config.name;
        tracing::error!(
            source,
            mapping = name,
            reason,
            "the mapping is held for a changed schema: `passerelle drift show {name}`"
        );
    }
}

fn documents(mapping: &CompiledMapping, pending: &Pending) -> Vec<Drift> {
    let one = |weighed: &crate::drift::Weighed| Drift {
        mapping: Some(mapping.config.name.to_string()),
        table: mapping.config.table.to_string(),
        kind: weighed.change.kind().to_owned(),
        column: weighed.change.column().map(str::to_owned),
        effect: weighed.sentence(),
        since: Some(pending.since),
    };
    pending.weighed.iter().map(one).collect()
}
