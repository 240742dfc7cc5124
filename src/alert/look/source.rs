//! What is wrong with a source.

use std::time::Duration;

use jiff::Timestamp;

use super::{Condition, Documents, Seen};
use crate::alert::model::About;
use crate::cli::humane::span;
use crate::config::model::{AlertKind, Severity};
use crate::control::model::{SourceOffsets, SourceState, SourceStatus};

/// A source that says it streams must have been heard within this time, as for `/healthz`.
const SILENCE: Duration = Duration::from_secs(90);
/// A source that needs a person is tried again at once now and then, which may help.
const STOPPED: Duration = Duration::from_secs(5);
/// A forecast of less than this may be a burst.
const BURST: Duration = Duration::from_secs(60);

pub(super) fn look(seen: &mut Seen, documents: &Documents<'_>, name: &str) {
    let about = About::Source(name.to_owned());
    let status = documents.status.sources.iter().find(|source| source.name == name);
    let Some(source) = status.filter(|source| source.state != SourceState::Starting) else {
        seen.unknown(&about, &[AlertKind::SourceDown, AlertKind::Lag, AlertKind::LogLost, AlertKind::Catalog]);
        return;
    };
    down(seen, documents, source, &about);
    lag(seen, documents, source, &about);
    if let Some(fault) = &source.catalog_error {
        let text = format!("its catalogue can't be read, so that changes of its schema may be seen late: {fault}");
        let condition = Condition::new(AlertKind::Catalog, about.clone(), Severity::Warning, text);
        let grace = documents.setting.limits.source_down;
        seen.conditions.push(Condition { grace, ..condition.next("passerelle check --online") });
    }
    match documents.offsets.sources.iter().find(|offsets| offsets.name == name) {
        Some(offsets) if offsets.postgres.is_some() || offsets.mysql.is_some() => {
            log_lost(seen, documents, source, offsets, &about);
        }
        Some(_) | None => seen.unknown(&about, &[AlertKind::LogLost]),
    }
}

fn down(seen: &mut Seen, documents: &Documents<'_>, source: &SourceStatus, about: &About) {
    let reason = source.reason.as_ref().or(source.last_error.as_ref().map(|error| &error.text));
    let because = reason.map_or_else(String::new, |reason| format!(": {reason}"));
    let limit = documents.setting.limits.source_down;
    let (text, since, grace) = match source.state {
        SourceState::Retrying => (format!("is disconnected{because}"), source.since, limit),
        SourceState::Stopped => (format!("is stopped until a person has acted{because}"), source.since, STOPPED),
        SourceState::Loading | SourceState::CatchingUp | SourceState::Streaming => {
            let Some((heard, silent)) = silence(source, documents.now) else { return };
            (format!("has not been heard for {}", span(silent.as_secs_f64())), Some(heard), limit)
        }
        // Somebody wanted it, or it is told as what it is.
        SourceState::Starting | SourceState::Paused | SourceState::DiskFull => return,
    };
    let condition = Condition::new(AlertKind::SourceDown, about.clone(), Severity::Critical, text);
    let next = source.next_command.clone().unwrap_or_else(|| "passerelle check --online".to_owned());
    seen.conditions.push(Condition { since, grace, ..condition.next(next) });
}

/// When the server was heard last, if that is too long ago.
fn silence(source: &SourceStatus, now: Timestamp) -> Option<(Timestamp, Duration)> {
    let heard = source.last_contact_at?;
    let silent = Duration::try_from(now.duration_since(heard)).unwrap_or_default();
    (silent > SILENCE).then_some((heard, silent))
}

fn lag(seen: &mut Seen, documents: &Documents<'_>, source: &SourceStatus, about: &About) {
    let seconds = match source.state {
        SourceState::Loading | SourceState::CatchingUp | SourceState::Streaming => source.lag_seconds,
        // Nothing arrives, for a reason that is told as what it is.
        SourceState::Starting
        | SourceState::Retrying
        | SourceState::Stopped
        | SourceState::Paused
        | SourceState::DiskFull => None,
    };
    let Some(seconds) = seconds else {
        seen.unknown(about, &[AlertKind::Lag]);
        return;
    };
    let limit = documents.setting.limits.lag;
    if seconds <= limit.as_secs_f64() {
        return;
    }
    let text = format!("is {} behind: the limit is {}", span(seconds), span(limit.as_secs_f64()));
    let since = Duration::try_from_secs_f64(seconds).ok().and_then(|lag| documents.now.checked_sub(lag).ok());
    let condition = Condition::new(AlertKind::Lag, about.clone(), Severity::Warning, text);
    // A commit that was long in the making is captured within seconds.
    seen.conditions.push(Condition { since, grace: Duration::from_secs(10), ..condition.next("passerelle offsets") });
}

fn log_lost(seen: &mut Seen, documents: &Documents<'_>, source: &SourceStatus, offsets: &SourceOffsets, about: &About) {
    let limit = documents.setting.limits.log_lost;
    let (what, left, is_going) = match (&offsets.postgres, &offsets.mysql) {
        (Some(postgres), _) => {
            let slot = postgres.slot.as_deref().unwrap_or("?");
            let is_going = match postgres.wal_status.as_deref() {
                Some("lost") => Some(format!("the slot {slot} is lost: the server has dropped log that was not read")),
                Some("unreserved") => {
                    Some(format!("the slot {slot} is lost at the server's next checkpoint, unless it is read"))
                }
                // `reserved` and `extended` are safe.
                Some(_) | None => None,
            };
            (format!("log of the slot {slot} is dropped by the server"), postgres.lost_in_seconds, is_going)
        }
        (None, Some(mysql)) => {
            let file = mysql.first_needed_file.as_deref().unwrap_or("the oldest that is needed");
            (format!("the log file {file} is purged by the server"), mysql.lost_in_seconds, None)
        }
        (None, None) => return,
    };
    let left = left.map(Duration::from_secs).filter(|left| *left < limit);
    let (text, is_critical, grace) = match (is_going, left) {
        (Some(text), _) => (text, true, Duration::ZERO),
        (None, Some(left)) => {
            let text = format!("{what} in about {}, and is not read yet", span(left.as_secs_f64()));
            (text, left < limit / 4, BURST)
        }
        (None, None) => return,
    };
    let severity = if is_critical { Severity::Critical } else { Severity::Warning };
    let next = source.next_command.clone().unwrap_or_else(|| "passerelle offsets".to_owned());
    let condition = Condition::new(AlertKind::LogLost, about.clone(), severity, text);
    seen.conditions.push(Condition { grace, ..condition.next(next) });
}
