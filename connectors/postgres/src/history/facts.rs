//! Reads what [`super::verify`] decides from. Columns of `pg_replication_slots` vary by version, 11 to 18.

use passerelle_change::Micros;
use tokio_postgres::{Client, Row};

use super::retention::{OpenTransaction, OtherSlot};
use super::{Reader, ServerFacts, SlotFacts, Switch};
use crate::replication::Replication;
use crate::{Error, Lsn, Options};

/// Reads the server's facts, and those of the slot of that name.
pub async fn facts(client: &Client, slot: &str) -> Result<ServerFacts, Error> {
    let row = client
        .query_one(
            "SELECT s.system_identifier, c.timeline_id, d.oid, d.datname::text, \
                    current_setting('server_version_num')::int4, pg_is_in_recovery(), \
                    CASE WHEN pg_is_in_recovery() THEN pg_last_wal_replay_lsn() ELSE pg_current_wal_lsn() END::text, \
                    CASE WHEN pg_is_in_recovery() THEN NULL ELSE pg_walfile_name(pg_current_wal_lsn()) END, \
                    (SELECT CASE WHEN setting::int8 < 0 THEN NULL ELSE setting::int8 * 1048576 END \
                     FROM pg_settings WHERE name = 'max_slot_wal_keep_size') \
             FROM pg_control_system() s, pg_control_checkpoint() c, pg_database d \
             WHERE d.datname = current_database()",
            &[],
        )
        .await?;
    let version = row.try_get::<_, i32>(4)?.cast_unsigned();
    // The control file names the timeline of the last checkpoint; right after a promotion the log is on the next one.
    let walfile: Option<String> = row.try_get(7)?;
    let current = walfile.as_deref().and_then(|name| u32::from_str_radix(name.get(..8)?, 16).ok());
    let checkpointed = row.try_get::<_, i32>(1)?.cast_unsigned();
    let timeline = current.unwrap_or(checkpointed);
    Ok(ServerFacts {
        system_id: row.try_get::<_, i64>(0)?.cast_unsigned(),
        timeline,
        database_oid: row.try_get(2)?,
        database: row.try_get(3)?,
        version,
        in_recovery: row.try_get(5)?,
        head: lsn(&row, 6).unwrap_or_default(),
        switches: readable_switches(client, timeline).await,
        max_slot_wal_keep_bytes: row.try_get::<_, Option<i64>>(8)?.map(i64::cast_unsigned),
        slot: slot_facts(client, version, slot).await?,
    })
}

/// The slot alone: cheap enough to be asked for every few seconds, and after `START_REPLICATION` (PG-05).
pub async fn slot_facts(client: &Client, version: u32, slot: &str) -> Result<Option<SlotFacts>, Error> {
    let Some(row) = client.query_opt(&slot_query(version), &[&slot]).await? else { return Ok(None) };
    let name: Option<String> = row.try_get(4)?;
    Ok(Some(SlotFacts {
        name: slot.to_owned(),
        plugin: row.try_get(0)?,
        database: row.try_get(1)?,
        temporary: row.try_get(2)?,
        active: row.try_get::<_, Option<i32>>(3)?.map(|pid| Reader { pid, application_name: name }),
        restart_lsn: lsn(&row, 5),
        confirmed_flush_lsn: lsn(&row, 6),
        catalog_xmin_age: row.try_get::<_, Option<i32>>(7)?.map(i32::unsigned_abs),
        wal_status: row.try_get(8)?,
        safe_wal_bytes: row.try_get::<_, Option<i64>>(9)?.map(|bytes| u64::try_from(bytes).unwrap_or(0)),
        two_phase: row.try_get(10)?,
        invalidation: row.try_get(11)?,
        failover: row.try_get(12)?,
        synced: row.try_get(13)?,
        inactive_since: row.try_get::<_, Option<i64>>(14)?.map(Micros),
    }))
}

/// The other slots of the cluster, of any kind.
pub(super) async fn other_slots(client: &Client, version: u32, ours: &str) -> Result<Vec<OtherSlot>, Error> {
    let since = if version >= 170_000 { micros("inactive_since") } else { "NULL::int8".to_owned() };
    let rows = client
        .query(
            &format!(
                "SELECT slot_name::text, active_pid, restart_lsn::text, {since} FROM pg_replication_slots \
                 WHERE slot_name <> $1 AND restart_lsn IS NOT NULL"
            ),
            &[&ours],
        )
        .await?;
    let other = |row: &Row| {
        Ok(OtherSlot {
            name: row.try_get(0)?,
            pid: row.try_get(1)?,
            restart_lsn: lsn(row, 2).unwrap_or_default(),
            since: row.try_get::<_, Option<i64>>(3)?.map(Micros),
        })
    };
    rows.iter().map(other).collect()
}

/// The transaction that has been open longest among those that have written, as far as we may see them.
pub(super) async fn oldest_transaction(client: &Client) -> Result<Option<OpenTransaction>, Error> {
    let row = client
        .query_opt(
            &format!(
                "SELECT pid, {} FROM pg_stat_activity WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() \
                 AND xact_start IS NOT NULL ORDER BY age(backend_xid) DESC LIMIT 1",
                micros("xact_start")
            ),
            &[],
        )
        .await?;
    let Some(row) = row else { return Ok(None) };
    Ok(Some(OpenTransaction { pid: row.try_get(0)?, since: Micros(row.try_get(1)?) }))
}

/// Where the timelines before `timeline` ended, over a replication connection: the right `REPLICATION` is enough, and
/// [`facts`] may have none for want of another. None where the server has no history file.
pub async fn switches(options: &Options, timeline: u32) -> Result<Vec<Switch>, Error> {
    let mut replication = Replication::connect(options).await?;
    let history = replication.timeline_history(timeline).await;
    replication.close().await;
    match history {
        Ok(text) => Ok(parse_switches(&text)),
        Err(Error::Server(error)) => {
            tracing::debug!(%error, "the server tells no history of its timeline");
            Ok(Vec::new())
        }
        Err(other) => Err(other),
    }
}

/// The same from the server's file. Reading it needs a right that few have; without it the answer is none.
async fn readable_switches(client: &Client, timeline: u32) -> Vec<Switch> {
    if timeline <= 1 {
        return Vec::new();
    }
    let file = format!("pg_wal/{timeline:08X}.history");
    let read = client.query_one("SELECT pg_read_file($1)", &[&file]).await.and_then(|row| row.try_get::<_, String>(0));
    match read.map_err(Error::from) {
        Ok(text) => parse_switches(&text),
        Err(error) => {
            tracing::debug!(%error, "the timeline's history file cannot be read");
            Vec::new()
        }
    }
}

/// Lines of `timeline`, tab, position, tab, reason; comments begin with `#`.
fn parse_switches(text: &str) -> Vec<Switch> {
    let lines = text.lines().filter(|line| !line.trim_start().starts_with('#'));
    let switch = |line: &str| {
        let mut words = line.split_whitespace();
        Some(Switch { timeline: words.next()?.parse().ok()?, at: words.next()?.parse().ok()? })
    };
    lines.filter_map(switch).collect()
}

fn slot_query(version: u32) -> String {
    let from = |since: u32, expression: &str, otherwise: &str| {
        if version >= since { expression.to_owned() } else { otherwise.to_owned() }
    };
    let invalidation = if version >= 170_000 {
        "s.invalidation_reason".to_owned()
    } else {
        // 16 says so of every slot that is invalid, whatever the reason.
        from(160_000, "CASE WHEN s.conflicting AND s.wal_status <> 'lost' THEN 'conflicting' END", "NULL::text")
    };
    format!(
        "SELECT s.plugin::text, s.database::text, s.temporary, s.active_pid, a.application_name, \
                s.restart_lsn::text, s.confirmed_flush_lsn::text, age(s.catalog_xmin), {}, {}, {}, {invalidation}, {}, {}, {} \
         FROM pg_replication_slots s LEFT JOIN pg_stat_activity a ON a.pid = s.active_pid WHERE s.slot_name = $1",
        from(130_000, "s.wal_status", "NULL::text"),
        from(130_000, "s.safe_wal_size", "NULL::int8"),
        from(140_000, "s.two_phase", "false"),
        from(170_000, "s.failover", "false"),
        from(170_000, "s.synced", "false"),
        from(170_000, &micros("s.inactive_since"), "NULL::int8"),
    )
}

/// A timestamp as microseconds since 1970.
fn micros(column: &str) -> String {
    format!("(extract(epoch FROM {column}) * 1000000)::int8")
}

fn lsn(row: &Row, column: usize) -> Option<Lsn> {
    row.try_get::<_, Option<&str>>(column).ok()??.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_history_file_gives_the_ends_of_its_timelines() {
        let text = "# comment\n1\t0/3000158\tno recovery target specified\n\n2\t16/B374D848\tbefore 2026-01-01\n";
        let want = [Switch { timeline: 1, at: Lsn(0x0300_0158) }, Switch { timeline: 2, at: Lsn(0x16_B374_D848) }];
        assert_eq!(parse_switches(text), want);
        assert_eq!(parse_switches("nonsense\n7\n\t\n"), []);
    }

    #[test]
    fn old_servers_are_not_asked_for_columns_they_lack() {
        let asks = |version| {
            ["wal_status", "two_phase", "conflicting", "invalidation_reason", "failover", "inactive_since"]
                .map(|column| slot_query(version).contains(column))
        };
        assert_eq!(asks(110_022), [false; 6]);
        assert_eq!(asks(130_000), [true, false, false, false, false, false]);
        assert_eq!(asks(150_018), [true, true, false, false, false, false]);
        assert_eq!(asks(160_000), [true, true, true, false, false, false]);
        assert_eq!(asks(180_000), [true, true, false, true, true, true]);
    }
}
