//! `/metrics`: the board in the text format of Prometheus.
//!
//! The rule of names: `passerelle_<part>_<thing>_<unit>`, with `_total` behind what only grows since the start. Parts
//! are `daemon`, `source`, `mapping`, `crm` and `alert_channel`, and the part's name is the label of that name; `passerelle_alerts`
//! counts open alerts by their kind, also where there are none. What is not known has no
//! sample. A state is a gauge of 1 with the label `state`.
//!
//! The figures live on the board already, so they are written from there: a second registry would only copy them.
//! Format: <https://prometheus.io/docs/instrumenting/exposition_formats/>.

use std::fmt::{Display, Write};

use jiff::Timestamp;

use crate::config::model::AlertKind;

use super::model::{AlertChannelStatus, CrmStatus, MappingStatus, Offsets, SourceOffsets, SourceStatus, Status};

/// Content type of the text format.
pub(super) const CONTENT_TYPE: &str = "text/plain; version=0.0.4; charset=utf-8";

/// The exposition of both documents.
pub(super) fn render(status: &Status, offsets: &Offsets) -> String {
    let mut text = Text(String::with_capacity(8 * 1024));
    daemon(&mut text, status);
    sources(&mut text, &status.sources);
    positions(&mut text, &offsets.sources);
    mappings(&mut text, &status.mappings);
    crms(&mut text, &status.crms);
    alerts(&mut text, status);
    text.0
}

fn daemon(text: &mut Text, status: &Status) {
    let daemon = &status.daemon;
    text.one("daemon_info", "The program", [("version", daemon.version.as_str())], Some(1));
    text.one("daemon_state_info", "What the daemon does", [("state", &word(&daemon.state))], Some(1));
    text.one("daemon_uptime_seconds", "Time since the start", [], Some(daemon.uptime_seconds));
    text.one("daemon_state_bytes", "Disk that the state takes", [], daemon.state_bytes);
    text.one("daemon_memory_bytes", "Resident memory", [], daemon.memory_bytes);
    text.one("daemon_disk_full_seconds", "Forecast: until the disk budget", [], daemon.disk_full_in_seconds);
    text.one("daemon_config_stale", "1: files differ from what runs", [], daemon.config_stale.map(u8::from));
    text.one("daemon_drifts", "Schema changes that are not settled", [], Some(status.drift.len()));
}

fn sources(text: &mut Text, sources: &[SourceStatus]) {
    let mut family = |name: &str, help: &str, figure: &dyn Fn(&SourceStatus) -> Option<f64>| {
        text.family(name, help, sources.iter().map(|source| ([("source", source.name.as_str())], figure(source))));
    };
    family("source_lag_bytes", "Log of the server not durable here", &|s| s.lag_bytes.map(number));
    family("source_lag_seconds", "Age of the oldest commit not durable here", &|s| s.lag_seconds);
    family("source_changes_total", "Row changes received", &|s| Some(number(s.changes_total)));
    family("source_transactions_total", "Transactions received", &|s| Some(number(s.transactions_total)));
    family("source_reconnects_total", "Reconnects", &|s| Some(number(s.reconnects_total)));
    family("source_last_change_timestamp_seconds", "When the last change arrived", &|s| seconds(s.last_change_at));
    family("source_last_contact_timestamp_seconds", "When the server was heard", &|s| seconds(s.last_contact_at));
    family("source_open_transaction_bytes", "Received of the transaction that arrives", &|s| {
        Some(s.open_transaction.as_ref().map_or(0.0, |open| number(open.bytes)))
    });
    text.family(
        "source_state_info",
        "What the source does",
        sources.iter().map(|s| ([("source", s.name.clone()), ("state", word(&s.state))], Some(1.0))),
    );
}

fn positions(text: &mut Text, sources: &[SourceOffsets]) {
    let mut family = |name: &str, help: &str, figure: &dyn Fn(&SourceOffsets) -> Option<f64>| {
        text.family(name, help, sources.iter().map(|source| ([("source", source.name.as_str())], figure(source))));
    };
    family("source_capture_lag_bytes", "Log of the server not received", &|s| s.lag.capture_bytes.map(number));
    family("source_delivery_lag_seconds", "Age of the oldest change not in the CRMs", &|s| s.lag.delivery_seconds);
    family("source_wal_held_bytes", "Log that our slot keeps", &|s| s.postgres.as_ref()?.wal_held_bytes.map(number));
    family("source_wal_safe_bytes", "Log until our slot is lost", &|s| {
        Some(s.postgres.as_ref()?.safe_wal_bytes? as f64)
    });
    family("source_log_lost_seconds", "Forecast: until log that we need is lost", &|s| {
        let postgres = s.postgres.as_ref().and_then(|postgres| postgres.lost_in_seconds);
        postgres.or(s.mysql.as_ref().and_then(|mysql| mysql.lost_in_seconds)).map(number)
    });
}

fn mappings(text: &mut Text, mappings: &[MappingStatus]) {
    let mut family = |name: &str, help: &str, figure: &dyn Fn(&MappingStatus) -> Option<f64>| {
        text.family(name, help, mappings.iter().map(|m| ([("mapping", m.name.as_str())], figure(m))));
    };
    family("mapping_pending_rows", "Rows not reconciled with the CRM", &|m| m.pending.map(number));
    family("mapping_freshness_seconds", "Age of the oldest of them", &|m| m.freshness_seconds);
    family("mapping_freshness_target_seconds", "The age that is wanted", &|m| m.freshness_target_seconds);
    family("mapping_waiting_parent_records", "Records that wait for a parent", &|m| m.waiting_parent.map(number));
    family("mapping_in_flight_records", "Records in a request", &|m| Some(number(m.in_flight)));
    family("mapping_delivered_records_total", "Records accepted", &|m| Some(number(m.delivered_total)));
    family("mapping_unchanged_records_total", "Records that cost no call", &|m| Some(number(m.unchanged_total)));
    family("mapping_deletes_last_hour_records", "Deletions in the last hour", &|m| m.deletes_last_hour.map(number));
    family("mapping_guard_tripped", "1: the guard holds deletions", &|m| Some(f64::from(u8::from(m.guard_tripped))));
    family("mapping_last_delivered_timestamp_seconds", "When a record was accepted", &|m| seconds(m.last_delivered_at));
    family("mapping_dead_letters_records", "Dead letters", &|m| m.dead_letters.map(number));
    family("mapping_left_out_rows_total", "Rows that limit, only or mode kept", &|m| Some(number(m.left_out_total)));
    let observed = mappings.iter().filter(|m| m.mode.is_some()).flat_map(|m| {
        let writes = [
            ("create", m.observed_creations_total),
            ("update", m.observed_updates_total),
            ("delete", m.observed_deletions_total),
        ];
        writes.map(|(write, count)| ([("mapping", m.name.as_str()), ("write", write)], Some(number(count))))
    });
    text.family("mapping_observed_writes_total", "Writes that mode = observe kept", observed);
    let people = mappings.iter().filter(|m| m.owner.is_some() || m.purpose.is_some()).map(|m| {
        let [owner, purpose] = [&m.owner, &m.purpose].map(|text| text.as_deref().unwrap_or_default());
        ([("mapping", m.name.as_str()), ("owner", owner), ("purpose", purpose)], Some(1.0))
    });
    text.family("mapping_people_info", "Whom to ask, and what the data is for", people);
    let by_reason = mappings.iter().flat_map(|m| {
        m.dead_letters_by_reason
            .iter()
            .map(|(code, count)| ([("mapping", m.name.as_str()), ("code", code.as_str())], Some(number(*count))))
    });
    text.family("mapping_dead_letters_by_code_records", "Dead letters by the refusal's code", by_reason);
    let ambiguous = mappings.iter().flat_map(|m| {
        m.ambiguous_total.iter().map(|(relation, count)| {
            ([("mapping", m.name.as_str()), ("relation", relation.as_str())], Some(number(*count)))
        })
    });
    text.family(
        "mapping_ambiguous_rows_total",
        "Related rows where one was asked for and there were several",
        ambiguous,
    );
    text.family(
        "mapping_state_info",
        "What the mapping does",
        mappings.iter().map(|m| ([("mapping", m.name.clone()), ("state", word(&m.state))], Some(1.0))),
    );
}

fn crms(text: &mut Text, crms: &[CrmStatus]) {
    let mut family = |name: &str, help: &str, figure: &dyn Fn(&CrmStatus) -> Option<f64>| {
        text.family(name, help, crms.iter().map(|crm| ([("crm", crm.name.as_str())], figure(crm))));
    };
    family("crm_requests_total", "Requests sent", &|c| Some(number(c.requests_total)));
    family("crm_records_total", "Records sent", &|c| Some(number(c.records_total)));
    family("crm_throttled_requests_total", "Requests refused for their rate", &|c| Some(number(c.throttled_total)));
    family("crm_exhausted_timestamp_seconds", "Forecast: the day's budget is used up", &|c| seconds(c.exhausted_at));
    family("crm_token_expires_timestamp_seconds", "When the token ends", &|c| seconds(c.token_expires_at));
    let windows = |figure: fn(&super::model::Window) -> Option<u64>| {
        crms.iter().flat_map(move |c| {
            c.windows
                .iter()
                .map(move |w| ([("crm", c.name.as_str()), ("window", w.name.as_str())], figure(w).map(number)))
        })
    };
    text.family("crm_window_used_requests", "Used of a limit", windows(|window| window.used));
    text.family("crm_window_limit_requests", "The limit", windows(|window| Some(window.limit)));
    text.family(
        "crm_state_info",
        "What the CRM does",
        crms.iter().map(|c| ([("crm", c.name.clone()), ("state", word(&c.state))], Some(1.0))),
    );
}

fn alerts(text: &mut Text, status: &Status) {
    let open = |kind: &str| status.alerts.iter().filter(|alert| alert.kind == kind).count();
    let kinds = AlertKind::ALL.iter().map(|(kind, _)| ([("kind", *kind)], Some(open(kind))));
    text.family("alerts", "Open alerts", kinds);
    let mut family = |name: &str, help: &str, figure: &dyn Fn(&AlertChannelStatus) -> Option<f64>| {
        let channels = status.alert_channels.iter();
        text.family(name, help, channels.map(|channel| ([("alert_channel", channel.name.as_str())], figure(channel))));
    };
    family("alert_channel_waiting_messages", "Messages not told yet", &|c| Some(number(c.waiting)));
    family("alert_channel_told_messages_total", "Messages told", &|c| Some(number(c.told_total)));
    family("alert_channel_lost_messages_total", "Messages given up", &|c| Some(number(c.lost_total)));
    family("alert_channel_failing", "1: every try fails", &|c| Some(f64::from(u8::from(c.failing_since.is_some()))));
}

/// The exposition as it grows.
struct Text(String);

impl Text {
    /// A family of one sample.
    fn one<const N: usize, V: Display>(&mut self, name: &str, help: &str, labels: [(&str, &str); N], value: Option<V>) {
        self.family(name, help, [(labels, value)]);
    }

    /// A family: its head, then a sample for each value that is known. Without any it is left out.
    fn family<'a, const N: usize, L: AsRef<str>, V: Display>(
        &mut self,
        name: &str,
        help: &str,
        samples: impl IntoIterator<Item = ([(&'a str, L); N], Option<V>)>,
    ) {
        let mut headed = false;
        for (labels, value) in samples {
            let Some(value) = value else { continue };
            if !headed {
                let kind = if name.ends_with("_total") { "counter" } else { "gauge" };
                self.line(format_args!("# HELP passerelle_{name} {help}"));
                self.line(format_args!("# TYPE passerelle_{name} {kind}"));
                headed = true;
            }
            let labels: Vec<String> =
                labels.iter().map(|(label, value)| format!("{label}=\"{}\"", escaped(value.as_ref()))).collect();
            if labels.is_empty() {
                self.line(format_args!("passerelle_{name} {value}"));
            } else {
                self.line(format_args!("passerelle_{name}{{{}}} {value}", labels.join(",")));
            }
        }
    }

    fn line(&mut self, line: std::fmt::Arguments<'_>) {
        // Writing to a `String` has no error.
        let _ = writeln!(self.0, "{line}");
    }
}

/// A label's value with what the format reserves escaped.
fn escaped(value: &str) -> String {
    value.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n")
}

fn number(value: u64) -> f64 {
    value as f64
}

fn seconds(at: Option<Timestamp>) -> Option<f64> {
    at.map(|at| at.as_microsecond() as f64 / 1e6)
}

/// A state as the documents spell it.
fn word(state: &impl serde::Serialize) -> String {
    match serde_json::to_value(state) {
        Ok(serde_json::Value::String(word)) => word,
        Ok(_) | Err(_) => String::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::model::{SourceState, Window};

    #[test]
    fn the_exposition_reads_as_prometheus_wants_it() {
        let mut status = Status::default();
        status.daemon.version = "0.1.0".to_owned();
        status.sources.push(SourceStatus {
            name: "a\"b\\c\nd".to_owned(),
            state: SourceState::CatchingUp,
            changes_total: 12_345_678_901,
            ..SourceStatus::default()
        });
        status.mappings.push(MappingStatus {
            name: "contacts".to_owned(),
            dead_letters_by_reason: [("REQUIRED_FIELD_MISSING".to_owned(), 3)].into(),
            ..MappingStatus::default()
        });
        status.crms.push(CrmStatus {
            name: "sales".to_owned(),
            windows: vec![Window { name: "per_day".to_owned(), used: Some(5), limit: 10, resets_at: None }],
            ..CrmStatus::default()
        });
        let text = render(&status, &Offsets::default());
        for line in [
            "# TYPE passerelle_daemon_info gauge",
            "passerelle_daemon_info{version=\"0.1.0\"} 1",
            "# TYPE passerelle_source_changes_total counter",
            "passerelle_source_changes_total{source=\"a\\\"b\\\\c\\nd\"} 12345678901",
            "passerelle_source_state_info{source=\"a\\\"b\\\\c\\nd\",state=\"catching_up\"} 1",
            "passerelle_mapping_dead_letters_by_code_records{mapping=\"contacts\",code=\"REQUIRED_FIELD_MISSING\"} 3",
            "passerelle_crm_window_used_requests{crm=\"sales\",window=\"per_day\"} 5",
        ] {
            assert!(text.lines().any(|have| have == line), "{line} is missing in\n{text}");
        }
        assert!(!text.contains("passerelle_source_lag_bytes"), "what is not known has no sample");
        assert!(text.ends_with('\n'));
    }

    #[test]
    fn every_family_is_headed_once() {
        let second = SourceStatus { name: "b".to_owned(), ..SourceStatus::default() };
        let status = Status { sources: vec![SourceStatus::default(), second], ..Status::default() };
        let text = render(&status, &Offsets::default());
        let heads: Vec<&str> = text.lines().filter(|line| line.starts_with("# TYPE")).collect();
        let mut once = heads.clone();
        once.dedup();
        assert_eq!(heads, once);
    }
}
