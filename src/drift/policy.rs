//! What a mapping does about its drift by itself: `on_drift`. Pure.
//!
//! | | additions | no effect | lossy | breaking | of the table, breaking |
//! | --- | --- | --- | --- | --- | --- |
//! | nothing said | goes on | goes on | holds | holds | holds |
//! | `"hold"` | goes on | holds, of a mapped column | holds | holds | holds |
//! | `"continue"` | goes on | goes on | goes on | goes on without the fields | holds |
//! | `"fail"` | goes on | goes on | stops the source | stops the source | stops the source |

use std::collections::BTreeSet;

use super::change::{Change, Part, Patch, Severity};
use super::decide::reloads;
use super::subject::Subject;
use super::weigh::Weighed;
use crate::config::model::OnDrift;

/// What follows from changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The mapping goes on.
    Go {
        /// What was decided about it, with what the policy adds.
        patch: Patch,
        /// Columns that are to be read from the table again, by their names there.
        reload: BTreeSet<String>,
    },
    /// It waits for a person.
    Hold,
    /// Its source stops.
    Fail,
}

/// What the policy makes of all changes that are not settled, `weighed` against the `subject`.
pub fn verdict(policy: Option<OnDrift>, weighed: &[Weighed], subject: &Subject<'_>) -> Verdict {
    let is_bad = |weighed: &&Weighed| !weighed.change.is_addition() && weighed.severity() > Severity::None;
    let worst = weighed.iter().find(is_bad);
    match (policy, worst) {
        (Some(OnDrift::Fail), Some(_)) => Verdict::Fail,
        (None, Some(_)) => Verdict::Hold,
        (Some(OnDrift::Hold), _) if worst.is_some() || weighed.iter().any(touches_a_column) => Verdict::Hold,
        (Some(OnDrift::Continue), Some(_)) => match without_what_broke(weighed, subject.patch) {
            Some(patch) => go(patch, weighed, subject),
            None => Verdict::Hold,
        },
        (None | Some(OnDrift::Hold | OnDrift::Continue | OnDrift::Fail), _) => {
            go(subject.patch.clone(), weighed, subject)
        }
    }
}

fn touches_a_column(weighed: &Weighed) -> bool {
    !weighed.change.is_addition() && !weighed.names.is_empty()
}

fn go(patch: Patch, weighed: &[Weighed], subject: &Subject<'_>) -> Verdict {
    let mut reload = BTreeSet::new();
    for weighed in weighed {
        reload.extend(reloads(weighed, &patch, subject));
    }
    Verdict::Go { patch, reload }
}

/// Renames that the database itself tells are followed; of what else breaks a field, the field is left out. `None` where
/// something breaks that the mapping can't do without.
fn without_what_broke(weighed: &[Weighed], current: &Patch) -> Option<Patch> {
    let mut patch = current.clone();
    for Weighed { change, names, effects } in weighed.iter().filter(|weighed| !weighed.change.is_addition()) {
        if let Change::ColumnRenamed { to, is_certain: true, .. } = change {
            for name in names {
                patch.rename(name, to);
            }
            continue;
        }
        if effects.iter().all(|effect| effect.severity < Severity::Breaking) {
            continue;
        }
        // To leave the column out is to leave out all that needs it.
        if effects.iter().any(|effect| !matches!(effect.part, Part::Field(_))) {
            return None;
        }
        for name in names {
            patch.leave_out(name);
        }
    }
    Some(patch)
}
