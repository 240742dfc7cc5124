//! What is wrong with a mapping.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::{Condition, Documents, Seen};
use crate::alert::model::About;
use crate::alert::setting::Watched;
use crate::cli::humane::{count, counted, span};
use crate::config::model::{AlertKind, Severity};
use crate::control::model::{CrmState, Drift, MappingState, MappingStatus, Status};

/// Changes of a table that one alert names.
const NAMED: usize = 5;

const KINDS: [AlertKind; 5] =
    [AlertKind::Drift, AlertKind::DeadLetters, AlertKind::Freshness, AlertKind::Guard, AlertKind::MappingHeld];

pub(super) fn look(seen: &mut Seen, documents: &Documents<'_>, name: &str, watched: &Watched) {
    let about = About::Mapping(name.to_owned());
    let status = documents.status.mappings.iter().find(|mapping| mapping.name == name);
    let Some(mapping) = status.filter(|mapping| mapping.state != MappingState::Starting) else {
        seen.unknown(&about, &KINDS);
        return;
    };
    if mapping.guard_tripped {
        let text = "the guard holds its deletions: more records were to be deleted than it lets through".to_owned();
        let condition = Condition::new(AlertKind::Guard, about.clone(), Severity::Warning, text);
        seen.conditions.push(condition.next(format!("passerelle resume mapping/{name} --confirm")));
    }
    held(seen, documents.status, mapping, &about);
    dead_letters(seen, documents, mapping, &about);
    freshness(seen, documents, mapping, watched, &about);
}

fn held(seen: &mut Seen, status: &Status, mapping: &MappingStatus, about: &About) {
    // Held for a change of its table, it is told as that.
    let is_drift = status.drift.iter().any(|drift| drift.held && drift.mapping.as_deref() == Some(&*mapping.name));
    if mapping.state != MappingState::Held || is_drift {
        return;
    }
    let reason = mapping.held_reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    let text = format!("is held, and its records wait{reason}");
    let condition = Condition::new(AlertKind::MappingHeld, about.clone(), Severity::Critical, text);
    // The mapping says a moment later than its drift that it goes on.
    let grace = Duration::from_secs(5);
    seen.conditions.push(Condition { grace, ..condition.next(format!("passerelle resume mapping/{}", mapping.name)) });
}

fn dead_letters(seen: &mut Seen, documents: &Documents<'_>, mapping: &MappingStatus, about: &About) {
    let (Some(dead), Some(records)) = (mapping.dead_letters, mapping.records) else {
        seen.unknown(about, &[AlertKind::DeadLetters]);
        return;
    };
    let share = dead as f64 / (dead + records).max(1) as f64;
    if share <= documents.setting.limits.dead_letters {
        return;
    }
    let mut reasons: Vec<(&String, &u64)> = mapping.dead_letters_by_reason.iter().collect();
    reasons.sort_by_key(|(code, number)| (std::cmp::Reverse(**number), *code));
    let reasons: Vec<String> =
        reasons.iter().take(3).map(|(code, number)| format!("{} {code}", count(**number))).collect();
    let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join(", ")) };
    let dead = counted(dead, "dead letter", "dead letters");
    let text = format!("{dead}{reasons}: {:.1} % of its records are refused for good", share * 100.0);
    let condition = Condition::new(AlertKind::DeadLetters, about.clone(), Severity::Warning, text);
    seen.conditions.push(condition.next(format!("passerelle dead-letters list {}", mapping.name)));
}

fn freshness(seen: &mut Seen, documents: &Documents<'_>, mapping: &MappingStatus, watched: &Watched, about: &About) {
    let crm = documents.status.crms.iter().find(|crm| crm.name == watched.crm).map(|crm| crm.state);
    let is_told_otherwise = match crm {
        Some(CrmState::Ready | CrmState::Throttled | CrmState::Exhausted) => false,
        Some(CrmState::Starting | CrmState::Retrying | CrmState::Stopped | CrmState::Paused) | None => true,
    };
    let is_at_work = match mapping.state {
        MappingState::Running | MappingState::Scheduled => true,
        MappingState::Starting | MappingState::Loading | MappingState::Held | MappingState::Paused => false,
    };
    let reckoned = documents.status.daemon.reckoned_at;
    let (Some(reckoned), Some(target), true) = (reckoned, mapping.freshness_target_seconds, mapping.pending.is_some())
    else {
        seen.unknown(about, &[AlertKind::Freshness]);
        return;
    };
    // What has been delivered since it was counted is no reason for an alert.
    let age = mapping.oldest_pending_at.map_or(0.0, |oldest| reckoned.duration_since(oldest).as_secs_f64());
    if age <= target {
        return;
    }
    if is_told_otherwise || !is_at_work {
        seen.unknown(about, &[AlertKind::Freshness]);
        return;
    }
    let text = format!(
        "its oldest change waits for {}, and {} are wanted; {}",
        span(age),
        span(target),
        counted(mapping.pending.unwrap_or(0), "row is pending", "rows are pending"),
    );
    let condition = Condition::new(AlertKind::Freshness, about.clone(), Severity::Warning, text);
    let (since, grace) = (mapping.oldest_pending_at, documents.setting.limits.freshness);
    seen.conditions.push(Condition { since, grace, ..condition.next("passerelle status") });
}

/// The changes of each table as one alert for each mapping; another change of it is told again. What harms nothing is in the
/// status, and no alert.
pub(super) fn drift(seen: &mut Seen, status: &Status) {
    let mut tables: BTreeMap<(Option<&str>, &str), Vec<&Drift>> = BTreeMap::new();
    for drift in status.drift.iter().filter(|drift| drift.held || drift.severity != "none") {
        tables.entry((drift.mapping.as_deref(), &drift.table)).or_default().push(drift);
    }
    for ((name, table), changes) in tables {
        let about = name.map_or(About::Daemon, |name| About::Mapping(name.to_owned()));
        let is_held = changes.iter().any(|drift| drift.held);
        let (severity, standing) = if is_held { (Severity::Critical, "is held: ") } else { (Severity::Warning, "") };
        let mut text = format!("{standing}the schema of {table} has changed: ");
        let named: Vec<String> = changes.iter().take(NAMED).map(|drift| sentence(drift)).collect();
        text.push_str(&named.join("; "));
        if changes.len() > NAMED {
            // Writing to a `String` has no error.
            let _ = write!(text, "; and {} more", count((changes.len() - NAMED) as u64));
        }
        let mut condition = Condition::new(AlertKind::Drift, about, severity, text);
        condition.news.extend(changes.iter().map(|drift| drift.change.clone()));
        condition.since = changes.iter().filter_map(|drift| drift.since).min();
        table.clone_into(&mut condition.part);
        let next = changes.iter().find_map(|drift| drift.next_command.clone());
        seen.conditions.push(condition.next(next.unwrap_or_else(|| "passerelle drift list".to_owned())));
    }
}

/// `phone is gone (Phone can't be computed; 112 of 40,310 rows have it)`.
fn sentence(drift: &Drift) -> String {
    let effect = Some(&drift.effect).filter(|effect| !effect.is_empty());
    let more: Vec<&str> = effect.into_iter().chain(&drift.counted).map(String::as_str).collect();
    if more.is_empty() { drift.change.clone() } else { format!("{} ({})", drift.change, more.join("; ")) }
}
