//! From the documents of the board to the conditions that hold now: pure.
//!
//! A condition is no alert yet: the book waits for its grace first. Where a figure is not known, neither that a condition holds
//! nor that it does not is said.

mod crm;
mod mapping;
mod source;

use std::collections::BTreeSet;
use std::time::Duration;

use jiff::Timestamp;

use super::model::About;
use super::setting::Setting;
use crate::cli::humane::{bytes, span};
use crate::config::model::{AlertKind, Severity};
use crate::control::model::{DaemonStatus, Offsets, SourceState, Status};

/// Something that holds now.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Condition {
    /// Which kind.
    pub kind: AlertKind,
    /// What it is about.
    pub about: About,
    /// What of that, where it can have several of a kind: a table. Else empty.
    pub part: String,
    /// How bad it is.
    pub severity: Severity,
    /// In a sentence, lower-case, without its full stop.
    pub text: String,
    /// What to run next.
    pub next_command: Option<String>,
    /// Since when, where that is known.
    pub since: Option<Timestamp>,
    /// How long it has to hold before it is an alert.
    pub grace: Duration,
    /// What is told of it: where there is something new, it is told again.
    pub news: BTreeSet<String>,
}

/// What a look has seen. A kind of a thing that is in neither does not hold.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Seen {
    /// What holds.
    pub conditions: Vec<Condition>,
    /// Of which nothing is known.
    pub unknown: BTreeSet<(AlertKind, About)>,
}

/// The documents that are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Documents<'a> {
    pub status: &'a Status,
    pub offsets: &'a Offsets,
    pub setting: &'a Setting,
    pub now: Timestamp,
}

/// Looks at everything that is configured.
pub(super) fn look(documents: &Documents<'_>) -> Seen {
    let mut seen = Seen::default();
    let Documents { status, setting, .. } = *documents;
    disk(&mut seen, documents);
    for name in &setting.sources {
        source::look(&mut seen, documents, name);
    }
    for name in &setting.crms {
        crm::look(&mut seen, documents, name);
    }
    for (name, watched) in &setting.mappings {
        mapping::look(&mut seen, documents, name, watched);
    }
    mapping::drift(&mut seen, status);
    seen
}

fn disk(seen: &mut Seen, Documents { status, setting, .. }: &Documents<'_>) {
    let DaemonStatus { state_bytes, disk_full_in_seconds, .. } = status.daemon;
    let is_full = status.sources.iter().any(|source| source.state == SourceState::DiskFull);
    let budget = setting.disk_budget_bytes;
    let share = state_bytes.map(|taken| taken as f64 / budget.max(1) as f64);
    let is_near = share.is_some_and(|share| share > setting.limits.disk_budget);
    let is_soon = disk_full_in_seconds.filter(|left| Duration::from_secs(*left) < setting.limits.disk_full);
    let taken = state_bytes.map_or_else(String::new, |taken| format!(": {} of {}", bytes(taken), bytes(budget)));
    let (severity, text, grace) = match (is_full, is_soon, is_near) {
        (true, _, _) => {
            (Severity::Critical, format!("the disk budget is used up and nothing more is read{taken}"), Duration::ZERO)
        }
        (false, Some(left), _) => {
            let text = format!("the disk budget is used up in about {}{taken}", span(left as f64));
            // A burst of a minute is no trend.
            (Severity::Warning, text, if is_near { Duration::ZERO } else { Duration::from_mins(2) })
        }
        (false, None, true) => (Severity::Warning, format!("the disk budget is nearly used up{taken}"), Duration::ZERO),
        (false, None, false) => {
            if state_bytes.is_none() {
                seen.unknown.insert((AlertKind::DiskBudget, About::Daemon));
            }
            return;
        }
    };
    let condition = Condition::new(AlertKind::DiskBudget, About::Daemon, severity, text);
    seen.conditions.push(Condition { grace, ..condition.next("passerelle status") });
}

impl Seen {
    /// Nothing is known of these.
    fn unknown(&mut self, about: &About, kinds: &[AlertKind]) {
        self.unknown.extend(kinds.iter().map(|kind| (*kind, about.clone())));
    }
}

impl Condition {
    fn new(kind: AlertKind, about: About, severity: Severity, text: String) -> Self {
        let news = BTreeSet::from([severity.word().to_owned()]);
        let (part, next_command, since, grace) = (String::new(), None, None, Duration::ZERO);
        Self { kind, about, part, severity, text, next_command, since, grace, news }
    }

    fn next(self, command: impl Into<String>) -> Self {
        Self { next_command: Some(command.into()), ..self }
    }

    /// Its name in the state: the same as long as it is the same thing that is wrong.
    pub(super) fn key(&self) -> String {
        let Self { kind, about, part, .. } = self;
        let key = format!("{} {about}", kind.word());
        if part.is_empty() { key } else { format!("{key} {part}") }
    }
}

#[cfg(test)]
mod tests;
