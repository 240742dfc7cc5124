//! Drift as `/v1/drift` has it. Pure.

use std::hash::Hasher;

use jiff::Timestamp;
use siphasher::sip::SipHasher13;

use super::answers::{answers, way_out};
use super::change::Effect;
use super::subject::Subject;
use super::weigh::Weighed;
use crate::control::model::{Drift, DriftEffect};
use crate::source::table::TableFacts;

/// One change as it is shown. `all` are all changes of the mapping that are not settled, which its mark is of; `now` is the
/// table as it is now. What was counted is the caller's to set.
pub fn document(
    weighed: &Weighed,
    all: &[Weighed],
    subject: &Subject<'_>,
    now: Option<&TableFacts>,
    since: Timestamp,
    is_held: bool,
) -> Drift {
    let effect = |effect: &Effect| DriftEffect {
        part: effect.part.to_string(),
        severity: effect.severity.to_string(),
        text: effect.text.clone(),
    };
    Drift {
        mapping: Some(subject.mapping.name.to_string()),
        table: subject.table.name.to_string(),
        relation: subject.relation.map(str::to_owned),
        kind: weighed.change.kind().to_owned(),
        column: weighed.change.column().map(str::to_owned),
        effect: weighed.sentence(),
        since: Some(since),
        change: weighed.change.to_string(),
        severity: weighed.severity().to_string(),
        fields: weighed.fields(),
        effects: weighed.effects.iter().map(effect).collect(),
        held: is_held,
        counted: None,
        answers: answers(weighed, subject, now).into_iter().map(|answer| answer.words).collect(),
        way_out: way_out(weighed, subject),
        seen: mark(all),
        next_command: is_held.then(|| format!("passerelle drift show {}", subject.mapping.name)),
    }
}

/// A mark of all changes of a mapping that are not settled: another one when anything of them is. Whoever accepts may name
/// it, and is refused when it is not what he has seen.
pub fn mark(weighed: &[Weighed]) -> String {
    let mut hasher = SipHasher13::new();
    // Changes and effects have no form that JSON lacks.
    hasher.write(serde_json::to_string(weighed).unwrap_or_default().as_bytes());
    format!("{:016x}", hasher.finish())
}
