//! `passerelle status`.

use std::fmt::Write;

use jiff::Timestamp;

use super::client::Client;
use super::humane::{UNKNOWN, ago, bytes, count, counted, known, span, tame, word};
use super::table::{Paint, Side, Table, Tone};
use super::{Failure, Global, print_json, stdout_paint};
use crate::config::model::Severity;
use crate::control::model::{AlertStatus, CrmState, CrmStatus, DaemonState, MappingState, MappingStatus};
use crate::control::model::{SourceState, SourceStatus, Status, TableState, Window};

/// What is forecast for later than this, in seconds, is not worth a line: a day.
const SOON: u64 = 86_400;

/// Reads and prints the status.
pub(super) async fn status(global: &Global) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let document = client.get("/v1/status", &[]).await?;
    if global.json {
        return print_json(&document);
    }
    super::print(&render(&client.read(document)?, Timestamp::now(), stdout_paint()))
}

/// The screen.
fn render(status: &Status, now: Timestamp, paint: Paint) -> String {
    let parts = [
        daemon(status, paint),
        sources(status, now, paint),
        mappings(status, paint),
        crms(status, now, paint),
        alerts(status, now, paint),
    ];
    let mut text = parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join("\n");
    let notes = notes(status, now);
    if !notes.is_empty() {
        text.push('\n');
    }
    for Note { tone, about, text: note, next } in notes {
        // Writing to a `String` has no error.
        let _ = writeln!(text, "{}: {}", paint.text(tone, &about), tame(&note));
        if let Some(next) = next {
            let _ = writeln!(text, "  next: {}", paint.text(Tone::Bold, &tame(&next)));
        }
    }
    text
}

fn daemon(status: &Status, paint: Paint) -> String {
    let daemon = &status.daemon;
    let state = word(&daemon.state);
    let tone = if daemon.state == DaemonState::Running { Tone::Good } else { Tone::Warning };
    format!(
        "passerelle {}  {} for {}  state {}  memory {}\n",
        daemon.version,
        paint.text(tone, &state),
        span(daemon.uptime_seconds as f64),
        known(daemon.state_bytes, bytes),
        known(daemon.memory_bytes, bytes),
    )
}

fn sources(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("SOURCE", Side::Left),
        ("STATE", Side::Left),
        ("BEHIND", Side::Right),
        ("AGE", Side::Right),
        ("CHANGES", Side::Right),
        ("LAST CHANGE", Side::Right),
        ("LAST CONTACT", Side::Right),
    ]);
    for source in &status.sources {
        table.row([
            plain(&source.name),
            (word(&source.state), source_tone(source.state)),
            plain(&known(source.lag_bytes, bytes)),
            plain(&known(source.lag_seconds, span)),
            plain(&count(source.changes_total)),
            plain(&ago(source.last_change_at, now)),
            plain(&ago(source.last_contact_at, now)),
        ]);
    }
    shown(&table, status.sources.is_empty(), paint)
}

fn mappings(status: &Status, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("MAPPING", Side::Left),
        ("STATE", Side::Left),
        ("PENDING", Side::Right),
        ("OLDEST", Side::Right),
        ("DELIVERED", Side::Right),
        ("UNCHANGED", Side::Right),
        ("DEAD LETTERS", Side::Right),
    ]);
    for mapping in &status.mappings {
        let late =
            mapping.freshness_seconds.zip(mapping.freshness_target_seconds).is_some_and(|(age, most)| age > most);
        let dead = mapping.dead_letters.unwrap_or(0) > 0;
        table.row([
            plain(&mapping.name),
            (word(&mapping.state), mapping_tone(mapping.state)),
            plain(&known(mapping.pending, count)),
            (known(mapping.freshness_seconds, span), if late { Tone::Warning } else { Tone::Plain }),
            plain(&count(mapping.delivered_total)),
            plain(&count(mapping.unchanged_total)),
            (known(mapping.dead_letters, count), if dead { Tone::Bad } else { Tone::Plain }),
        ]);
    }
    shown(&table, status.mappings.is_empty(), paint)
}

fn crms(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("CRM", Side::Left),
        ("STATE", Side::Left),
        ("REQUESTS", Side::Right),
        ("RECORDS", Side::Right),
        ("THROTTLED", Side::Right),
        ("LIMITS", Side::Left),
    ]);
    for crm in &status.crms {
        table.row([
            plain(&crm.name),
            (word(&crm.state), crm_tone(crm.state)),
            plain(&count(crm.requests_total)),
            plain(&count(crm.records_total)),
            plain(&count(crm.throttled_total)),
            plain(&limits(&crm.windows, now)),
        ]);
    }
    shown(&table, status.crms.is_empty(), paint)
}

fn alerts(status: &Status, now: Timestamp, paint: Paint) -> String {
    let mut table = Table::new(&[
        ("ALERT", Side::Left),
        ("SEVERITY", Side::Left),
        ("ABOUT", Side::Left),
        ("SINCE", Side::Right),
        ("TOLD", Side::Left),
    ]);
    for alert in &status.alerts {
        let told = if alert.told.is_empty() { UNKNOWN.to_owned() } else { alert.told.join(", ") };
        table.row([
            plain(&alert.kind.replace('_', " ")),
            (word(&alert.severity), alert_tone(alert.severity)),
            plain(&alert.about),
            plain(&ago(alert.since, now)),
            plain(&told),
        ]);
    }
    shown(&table, status.alerts.is_empty(), paint)
}

fn limits(windows: &[Window], now: Timestamp) -> String {
    if windows.is_empty() {
        return UNKNOWN.to_owned();
    }
    let one = |window: &Window| {
        let used = known(window.used, count);
        let resets = window.resets_at.map_or_else(String::new, |at| format!(" (whole in {})", until(at, now)));
        format!("{} {used} of {}{resets}", window.name.replace('_', " "), count(window.limit))
    };
    windows.iter().map(one).collect::<Vec<_>>().join(", ")
}

/// A line below the tables.
struct Note {
    tone: Tone,
    about: String,
    text: String,
    next: Option<String>,
}

/// What a person should know, and what to do.
fn notes(status: &Status, now: Timestamp) -> Vec<Note> {
    let mut notes = Vec::new();
    if status.daemon.config_stale == Some(true) {
        let text = "its files have changed since they were read".to_owned();
        notes.push(note(Tone::Warning, "configuration", text, Some("passerelle check && passerelle reload")));
    }
    if let Some(seconds) = status.daemon.disk_full_in_seconds.filter(|&seconds| seconds < SOON) {
        let text = format!("the disk budget is reached in {}", span(seconds as f64));
        notes.push(note(Tone::Warning, "state", text, None));
    }
    status.sources.iter().for_each(|source| source_notes(&mut notes, source));
    status.mappings.iter().for_each(|mapping| mapping_notes(&mut notes, mapping));
    status.crms.iter().for_each(|crm| crm_notes(&mut notes, crm, now));
    status.alerts.iter().for_each(|alert| alert_notes(&mut notes, alert));
    for channel in &status.alert_channels {
        if let (Some(since), Some(error)) = (channel.failing_since, &channel.last_error) {
            let waiting = counted(channel.waiting, "message waits", "messages wait");
            let text = format!("fails since {}, {waiting}: {error}", ago(Some(since), now));
            let next = format!("passerelle alert test {}", channel.name);
            notes.push(note(Tone::Warning, &format!("alert {}", channel.name), text, Some(&next)));
        }
    }
    for drift in &status.drift {
        let text = format!("{}: {}; {}", drift.table, drift.change, drift.effect);
        let tone = if drift.held { Tone::Bad } else { Tone::Warning };
        notes.push(note(tone, "drift", text, drift.next_command.as_deref()));
    }
    notes
}

fn source_notes(notes: &mut Vec<Note>, source: &SourceStatus) {
    let about = format!("source {}", source.name);
    if let Some(reason) = &source.reason {
        notes.push(note(source_tone(source.state), &about, reason.clone(), source.next_command.as_deref()));
    } else if source.state == SourceState::Retrying
        && let Some(error) = &source.last_error
    {
        notes.push(note(Tone::Warning, &about, error.text.clone(), source.next_command.as_deref()));
    }
    if let Some(open) = &source.open_transaction {
        let text = format!("transaction {} is arriving, {} so far", open.id, bytes(open.bytes));
        notes.push(note(Tone::Plain, &about, text, None));
    }
    for table in source.tables.iter().filter(|table| matches!(table.state, TableState::Loading | TableState::Failed)) {
        let total = table.total.map_or_else(String::new, |total| format!(" of about {}", count(total)));
        let text = format!("{} {}: {}{total} rows", word(&table.state), table.name, count(table.loaded));
        let tone = if table.state == TableState::Failed { Tone::Warning } else { Tone::Plain };
        notes.push(note(tone, &about, text, None));
    }
}

fn mapping_notes(notes: &mut Vec<Note>, mapping: &MappingStatus) {
    let about = format!("mapping {}", mapping.name);
    if let Some(reason) = &mapping.held_reason {
        let next = format!("passerelle resume mapping/{}", mapping.name);
        let next = (mapping.state == MappingState::Held && !mapping.guard_tripped).then_some(next);
        notes.push(note(mapping_tone(mapping.state), &about, reason.clone(), next.as_deref()));
    }
    if mapping.guard_tripped {
        let text = "the guard holds its deletions";
        let next = format!("passerelle resume mapping/{} --confirm", mapping.name);
        notes.push(note(Tone::Bad, &about, text.to_owned(), Some(&next)));
    }
    if mapping.mode.as_deref() == Some("observe") {
        let text = format!(
            "observes: {}, {} and {} would have been sent since the start",
            counted(mapping.observed_creations_total, "creation", "creations"),
            counted(mapping.observed_updates_total, "update", "updates"),
            counted(mapping.observed_deletions_total, "deletion", "deletions"),
        );
        notes.push(note(Tone::Plain, &about, text, None));
    } else if mapping.left_out_total > 0 {
        let rows = counted(mapping.left_out_total, "row was", "rows were");
        notes.push(note(Tone::Plain, &about, format!("{rows} left out by `limit` or `only` since the start"), None));
    }
    for (relation, number) in &mapping.ambiguous_total {
        let text = format!(
            "`{relation}` leads to several rows where one is asked for ({}): the one with the lowest key is taken; `pick` chooses",
            count(*number)
        );
        notes.push(note(Tone::Plain, &about, text, None));
    }
    if let Some(dead) = mapping.dead_letters.filter(|dead| *dead > 0) {
        let mut reasons: Vec<(&String, &u64)> = mapping.dead_letters_by_reason.iter().collect();
        reasons.sort_by_key(|(_, number)| std::cmp::Reverse(**number));
        let most: Vec<String> =
            reasons.iter().take(3).map(|(code, number)| format!("{} {code}", count(**number))).collect();
        let mut text = counted(dead, "dead letter", "dead letters");
        if !most.is_empty() {
            text = format!("{text} ({})", most.join(", "));
        }
        let next = format!("passerelle dead-letters list {}", mapping.name);
        notes.push(note(Tone::Bad, &about, text, Some(&next)));
    }
}

fn crm_notes(notes: &mut Vec<Note>, crm: &CrmStatus, now: Timestamp) {
    let about = format!("crm {}", crm.name);
    let again = crm.retry_at.map_or_else(String::new, |at| format!(", tried again in {}", until(at, now)));
    match crm.state {
        CrmState::Retrying | CrmState::Stopped | CrmState::Throttled => {
            let error = crm.last_error.as_ref().map_or("no reason is known", |error| error.text.as_str());
            notes.push(note(crm_tone(crm.state), &about, format!("{error}{again}"), None));
        }
        CrmState::Exhausted => {
            notes.push(note(crm_tone(crm.state), &about, format!("the day's budget is used up{again}"), None));
        }
        CrmState::Starting | CrmState::Ready | CrmState::Paused => {}
    }
    if let Some(at) = crm.exhausted_at.filter(|at| *at > now) {
        let text = format!("at this pace the day's budget is used up in {}", until(at, now));
        notes.push(note(Tone::Warning, &about, text, None));
    }
}

/// What an alert says that no other line does.
fn alert_notes(notes: &mut Vec<Note>, alert: &AlertStatus) {
    const SAID_BY_OTHERS: [&str; 6] = ["source_down", "crm_down", "dead_letters", "guard", "mapping_held", "drift"];
    if !SAID_BY_OTHERS.contains(&alert.kind.as_str()) {
        notes.push(note(alert_tone(alert.severity), &alert.about, alert.text.clone(), alert.next_command.as_deref()));
    }
}

fn alert_tone(severity: Severity) -> Tone {
    match severity {
        Severity::Warning => Tone::Warning,
        Severity::Critical => Tone::Bad,
    }
}

fn note(tone: Tone, about: &str, text: String, next: Option<&str>) -> Note {
    Note { tone, about: about.to_owned(), text, next: next.map(str::to_owned) }
}

fn plain(text: &str) -> (String, Tone) {
    (text.to_owned(), Tone::Plain)
}

fn until(at: Timestamp, now: Timestamp) -> String {
    span(at.duration_since(now).as_secs_f64())
}

fn shown(table: &Table, empty: bool, paint: Paint) -> String {
    if empty { String::new() } else { table.render(paint) }
}

fn source_tone(state: SourceState) -> Tone {
    match state {
        SourceState::Streaming => Tone::Good,
        SourceState::Loading | SourceState::CatchingUp => Tone::Plain,
        SourceState::Starting | SourceState::Retrying | SourceState::Paused => Tone::Warning,
        SourceState::Stopped | SourceState::DiskFull => Tone::Bad,
    }
}

fn mapping_tone(state: MappingState) -> Tone {
    match state {
        MappingState::Running | MappingState::Scheduled => Tone::Good,
        MappingState::Starting | MappingState::Loading => Tone::Plain,
        MappingState::Paused => Tone::Warning,
        MappingState::Held => Tone::Bad,
    }
}

fn crm_tone(state: CrmState) -> Tone {
    match state {
        CrmState::Ready => Tone::Good,
        CrmState::Starting => Tone::Plain,
        CrmState::Throttled | CrmState::Retrying | CrmState::Paused => Tone::Warning,
        CrmState::Exhausted | CrmState::Stopped => Tone::Bad,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::model::{AlertChannelStatus, DaemonStatus};

    fn second(second: i64) -> Option<Timestamp> {
        Timestamp::from_second(second).ok()
    }

    fn calm() -> Status {
        let daemon = DaemonStatus {
            version: "0.1.0".to_owned(),
            state: DaemonState::Running,
            uptime_seconds: 270_000,
            state_bytes: Some(1_503_238_554),
            memory_bytes: Some(60_817_408),
            ..DaemonStatus::default()
        };
        let source = SourceStatus {
            name: "erp".to_owned(),
            state: SourceState::Streaming,
            lag_bytes: Some(0),
            lag_seconds: Some(0.0),
            changes_total: 1_204_332,
            last_change_at: second(997),
            last_contact_at: second(1_000),
            ..SourceStatus::default()
        };
        let mapping = MappingStatus {
            name: "contacts".to_owned(),
            state: MappingState::Running,
            pending: Some(0),
            freshness_seconds: Some(0.0),
            dead_letters: Some(0),
            delivered_total: 12_004,
            unchanged_total: 3_201,
            ..MappingStatus::default()
        };
        let crm = CrmStatus {
            name: "sales".to_owned(),
            state: CrmState::Ready,
            requests_total: 310,
            records_total: 12_010,
            windows: vec![Window { name: "per_day".to_owned(), used: Some(310), limit: 80_000, resets_at: None }],
            ..CrmStatus::default()
        };
        Status { daemon, sources: vec![source], mappings: vec![mapping], crms: vec![crm], ..Status::default() }
    }

    fn screen(status: &Status) -> String {
        render(status, second(1_000).unwrap(), Paint(false))
    }

    #[test]
    fn a_calm_day() {
        let expect = "\
passerelle 0.1.0  running for 3 d 3 h  state 1.4 GiB  memory 58.0 MiB

SOURCE  STATE      BEHIND    AGE    CHANGES  LAST CHANGE  LAST CONTACT
erp     streaming     0 B  0.0 s  1 204 332    3.0 s ago     0.0 s ago

MAPPING   STATE    PENDING  OLDEST  DELIVERED  UNCHANGED  DEAD LETTERS
contacts  running        0   0.0 s     12 004      3 201             0

CRM    STATE  REQUESTS  RECORDS  THROTTLED  LIMITS
sales  ready       310   12 010          0  per day 310 of 80 000
";
        assert_eq!(screen(&calm()), expect);
    }

    #[test]
    fn trouble_is_named_with_the_next_command() {
        let mut status = calm();
        status.sources[0].state = SourceState::Stopped;
        status.sources[0].reason = Some("the slot passerelle_erp is lost".to_owned());
        status.sources[0].next_command = Some("passerelle recover erp".to_owned());
        status.mappings[0].dead_letters = Some(3);
        status.mappings[0].dead_letters_by_reason = [("A".to_owned(), 1), ("B".to_owned(), 2)].into();
        status.mappings[0].guard_tripped = true;
        status.crms[0].state = CrmState::Retrying;
        status.crms[0].retry_at = second(1_030);
        let screen = screen(&status);
        let notes: Vec<&str> = screen.lines().skip(10).collect();
        let expect = [
            "source erp: the slot passerelle_erp is lost",
            "  next: passerelle recover erp",
            "mapping contacts: the guard holds its deletions",
            "  next: passerelle resume mapping/contacts --confirm",
            "mapping contacts: 3 dead letters (2 B, 1 A)",
            "  next: passerelle dead-letters list contacts",
            "crm sales: no reason is known, tried again in 30 s",
        ];
        assert_eq!(notes[1..], expect, "{screen}");
    }

    #[test]
    fn open_alerts_and_channels_that_fail_are_shown() {
        let alert = |kind: &str, severity, text: &str| AlertStatus {
            kind: kind.to_owned(),
            severity,
            about: "source erp".to_owned(),
            text: text.to_owned(),
            next_command: Some("passerelle offsets".to_owned()),
            since: second(280),
            ..AlertStatus::default()
        };
        let mut status = calm();
        let lag = alert("lag", Severity::Warning, "is 12 min behind: the limit is 10 min");
        status.alerts.push(AlertStatus { told: vec!["mail".to_owned(), "ops".to_owned()], ..lag });
        status.alerts.push(alert("source_down", Severity::Critical, "is stopped"));
        let last_error = Some("HTTP 503 Service Unavailable".to_owned());
        let failing_since = second(880);
        let channel = AlertChannelStatus {
            name: "ops".to_owned(),
            waiting: 1,
            failing_since,
            last_error,
            ..AlertChannelStatus::default()
        };
        status.alert_channels.push(channel);
        let expect = "
ALERT        SEVERITY  ABOUT            SINCE  TOLD
lag          warning   source erp  12 min ago  mail, ops
source down  critical  source erp  12 min ago  –

source erp: is 12 min behind: the limit is 10 min
  next: passerelle offsets
alert ops: fails since 2 min ago, 1 message waits: HTTP 503 Service Unavailable
  next: passerelle alert test ops
";
        let screen = screen(&status);
        assert!(screen.ends_with(expect), "{screen}");
    }

    #[test]
    fn what_is_not_known_is_a_dash() {
        let source = SourceStatus { name: "erp".to_owned(), ..SourceStatus::default() };
        let status = Status { sources: vec![source], ..Status::default() };
        let line = screen(&status).lines().nth(3).map(str::to_owned);
        assert_eq!(line.as_deref(), Some("erp     starting       –    –        0            –             –"));
    }
}
