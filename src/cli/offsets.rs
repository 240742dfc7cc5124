//! `passerelle offsets`.

use jiff::Timestamp;

use super::client::Client;
use super::humane::{UNKNOWN, ago, bytes, count, known, span, tame, word};
use super::table::{Paint, Side, Table, Tone};
use super::{Failure, Global, print_json, stdout_paint};
use crate::control::model::{MysqlOffsets, Offset, Offsets, PostgresOffsets, SourceOffsets};

/// Reads and prints the offsets.
pub(super) async fn offsets(global: &Global) -> Result<(), Failure> {
    let client = Client::new(global)?;
    let document = client.get("/v1/offsets", &[]).await?;
    if global.json {
        return print_json(&document);
    }
    super::print(&render(&client.read(document)?, Timestamp::now(), stdout_paint()))
}

/// The screen: a paragraph a source.
fn render(offsets: &Offsets, now: Timestamp, paint: Paint) -> String {
    if offsets.sources.is_empty() {
        return "no source has reported yet\n".to_owned();
    }
    offsets.sources.iter().map(|source| paragraph(source, now, paint)).collect::<Vec<_>>().join("\n")
}

fn paragraph(source: &SourceOffsets, now: Timestamp, paint: Paint) -> String {
    let mut text = format!("{}  {}, {}\n\n", paint.text(Tone::Bold, &source.name), source.kind, word(&source.state));
    text.push_str(&positions(source, now).render(paint));
    let mut facts = vec![("behind", behind(source))];
    for held in &source.delivered_held_by {
        let since = held.since.map_or_else(String::new, |at| format!(" since {}", ago(Some(at), now)));
        facts.push(("held back by", format!("mapping {}{since}: {}", held.mapping, held.reason)));
    }
    if let Some(postgres) = &source.postgres {
        facts.extend(postgres_facts(postgres, now));
    }
    if let Some(mysql) = &source.mysql {
        facts.extend(mysql_facts(mysql));
    }
    text.push('\n');
    for (name, fact) in facts {
        text.push_str(&paint.text(Tone::Soft, &format!("{name:<13}")));
        text.push_str(&tame(&fact));
        text.push('\n');
    }
    text
}

fn positions(source: &SourceOffsets, now: Timestamp) -> Table {
    let mut table =
        Table::new(&[("", Side::Left), ("POSITION", Side::Left), ("COMMITTED", Side::Right), ("", Side::Left)]);
    let mut row = |name: &str, offset: &Offset, meaning: &str| {
        table.row([
            (name.to_owned(), Tone::Plain),
            (offset.value.clone().unwrap_or_else(|| UNKNOWN.to_owned()), Tone::Plain),
            (ago(offset.committed_at, now), Tone::Plain),
            (meaning.to_owned(), Tone::Soft),
        ]);
    };
    row("server", &source.server, "head of the server's log");
    row("received", &source.received, "has reached us");
    row("durable", &source.durable, "is on our disk");
    // Servers of MySQL and MariaDB are not told.
    let is_told = !matches!(source.kind.as_str(), "mysql" | "mariadb");
    let meaning = if is_told { "was confirmed to the server" } else { "the server may purge what is before" };
    row("acknowledged", &source.acknowledged, meaning);
    row("delivered", &source.delivered, "is in the CRMs");
    table
}

fn behind(source: &SourceOffsets) -> String {
    format!(
        "received by {}, durable by {}, delivered by {}",
        known(source.lag.capture_bytes, bytes),
        known(source.lag.durable_bytes, bytes),
        known(source.lag.delivery_seconds, span),
    )
}

fn postgres_facts(facts: &PostgresOffsets, now: Timestamp) -> Vec<(&'static str, String)> {
    let mut lines = vec![(
        "slot",
        format!(
            "{}, publication {}, backend {}, wal_status {}",
            text(facts.slot.as_ref()),
            text(facts.publication.as_ref()),
            known(facts.active_pid, |pid| pid.to_string()),
            text(facts.wal_status.as_ref()),
        ),
    )];
    lines.push((
        "slot lsn",
        format!(
            "restart {}, confirmed_flush {}",
            text(facts.restart_lsn.as_ref()),
            text(facts.confirmed_flush_lsn.as_ref())
        ),
    ));
    let safe = facts.safe_wal_bytes.and_then(|safe| u64::try_from(safe).ok());
    let lost = facts.lost_in_seconds.map_or_else(String::new, |lost| format!(", lost in {}", span(lost as f64)));
    let safe =
        safe.map_or_else(|| ", no limit is set".to_owned(), |safe| format!(", {} until it is lost", bytes(safe)));
    lines.push(("log kept", format!("{}{safe}{lost}", known(facts.wal_held_bytes, bytes))));
    if let Some(holder) = &facts.held_by {
        let pid = holder.pid.map_or_else(String::new, |pid| format!(", backend {pid}"));
        let since = holder.since.map_or_else(String::new, |at| format!(", since {}", ago(Some(at), now)));
        lines.push(("kept for", format!("{}{pid}{since}", word(&holder.kind))));
    }
    lines.push((
        "server",
        format!(
            "system {}, timeline {}, catalog_xmin age {}",
            text(facts.system_id.as_ref()),
            known(facts.timeline, |timeline| timeline.to_string()),
            known(facts.catalog_xmin_age, count),
        ),
    ));
    lines
}

fn mysql_facts(facts: &MysqlOffsets) -> Vec<(&'static str, String)> {
    vec![
        ("binlog", format!("{}:{}", text(facts.file.as_ref()), known(facts.position, |at| at.to_string()))),
        (
            "gtid",
            format!("executed {}, purged {}", text(facts.gtid_executed.as_ref()), text(facts.gtid_purged.as_ref())),
        ),
        (
            "log kept",
            format!(
                "needed from {}, there from {}{}",
                text(facts.first_needed_file.as_ref()),
                text(facts.oldest_available.as_ref()),
                facts.lost_in_seconds.map_or_else(String::new, |lost| format!(", lost in {}", span(lost as f64))),
            ),
        ),
        (
            "replica",
            format!(
                "server_id {}, thread {}",
                known(facts.server_id, |id| id.to_string()),
                known(facts.dump_thread_id, |thread| thread.to_string()),
            ),
        ),
        (
            "server",
            format!(
                "{}, format {}, image {}, metadata {}, checksum {}",
                text(facts.server_uuid.as_ref()),
                text(facts.format.as_ref()),
                text(facts.row_image.as_ref()),
                text(facts.row_metadata.as_ref()),
                text(facts.checksum.as_ref()),
            ),
        ),
    ]
}

fn text(fact: Option<&String>) -> &str {
    fact.map_or(UNKNOWN, String::as_str)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::model::{HeldBy, Lag, SourceState, WalHeldBy, WalHolder};

    #[test]
    fn a_postgres_source() {
        let second = |second| Timestamp::from_second(second).ok();
        let offset = |value: &str| Offset { value: Some(value.to_owned()), committed_at: second(995) };
        let source = SourceOffsets {
            name: "erp".to_owned(),
            kind: "postgres".to_owned(),
            state: SourceState::Streaming,
            server: offset("16/B374D848"),
            received: offset("16/B374D848"),
            durable: offset("16/B374D800"),
            acknowledged: offset("16/B374D800"),
            delivered: Offset::default(),
            lag: Lag { capture_bytes: Some(0), durable_bytes: Some(72), delivery_seconds: Some(4.0) },
            delivered_held_by: vec![HeldBy {
                mapping: "contacts".to_owned(),
                since: second(400),
                reason: "paused by command".to_owned(),
            }],
            postgres: Some(PostgresOffsets {
                slot: Some("passerelle_erp".to_owned()),
                publication: Some("passerelle_erp".to_owned()),
                active_pid: Some(4711),
                wal_status: Some("reserved".to_owned()),
                wal_held_bytes: Some(2_000_000),
                held_by: Some(WalHeldBy { kind: WalHolder::OpenTransaction, pid: Some(99), since: second(0) }),
                timeline: Some(1),
                ..PostgresOffsets::default()
            }),
            mysql: None,
        };
        let expect = "\
erp  postgres, streaming

              POSITION     COMMITTED
server        16/B374D848  5.0 s ago  head of the server's log
received      16/B374D848  5.0 s ago  has reached us
durable       16/B374D800  5.0 s ago  is on our disk
acknowledged  16/B374D800  5.0 s ago  was confirmed to the server
delivered     –                    –  is in the CRMs

behind       received by 0 B, durable by 72 B, delivered by 4.0 s
held back by mapping contacts since 10 min ago: paused by command
slot         passerelle_erp, publication passerelle_erp, backend 4711, wal_status reserved
slot lsn     restart –, confirmed_flush –
log kept     1.9 MiB, no limit is set
kept for     open transaction, backend 99, since 16 min ago
server       system –, timeline 1, catalog_xmin age –
";
        let text = render(&Offsets { sources: vec![source] }, second(1_000).unwrap(), Paint(false));
        assert_eq!(text, expect);
    }
}
