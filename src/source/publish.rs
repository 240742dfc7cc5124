//! What a source publishes: figures at intervals, the server's own at a reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle_change::{Micros, Position};
use passerelle_postgres::history::{self, HeldBy as Holder, Retention};
use passerelle_postgres::stream::Progress;
use passerelle_postgres::{Error, Lsn, sql};
use passerelle_state::{MappingId, SourceId, StateError, Store};
use tokio::sync::watch;

use crate::capture::Durable;
use crate::config::model;
use crate::control::board::Board;
use crate::control::growth::Growth;
use crate::control::model::{HeldBy, Offset, OpenTransaction, PostgresOffsets, SourceState, WalHeldBy, WalHolder};

/// Publishes what is known without asking, twice a second.
pub(super) async fn ticker(
    name: String,
    board: Arc<Board>,
    durable: watch::Receiver<Durable>,
    progress: Arc<Progress>,
) {
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lag = Growth::default();
    loop {
        tick.tick().await;
        let durable = durable.borrow().clone();
        let position = durable.position.as_ref().and_then(|at| Lsn::try_from(at).ok());
        let reached = durable.acknowledged.as_ref().and_then(|at| Lsn::try_from(at).ok()).max(position);
        let (received, server) = (progress.received(), progress.server().max(progress.received()));
        let behind = reached.map(|reached| server.bytes_since(reached));
        let is_behind = behind.is_some_and(|bytes| bytes > 0);
        let committed = time(durable.committed_at);
        if let Some(bytes) = behind {
            lag.note(Instant::now(), bytes as f64);
        }
        board.source(&name, |source| {
            source.last_contact_at = progress.last_contact().and_then(time);
            source.last_change_at = committed;
            source.lag_bytes = behind;
            source.lag_seconds = Some(if is_behind { age(committed) } else { 0.0 });
            source.changes_total = durable.rows;
            source.transactions_total = durable.transactions;
            source.open_transaction = progress.open_transaction().map(|open| OpenTransaction {
                id: open.number.to_string(),
                bytes: open.bytes,
                since: None,
            });
            if source.state == SourceState::CatchingUp && behind.is_some_and(|bytes| bytes < 1 << 20) {
                source.state = SourceState::Streaming;
                source.since = Some(Timestamp::now());
            } else if source.state == SourceState::Streaming && behind.is_some_and(|bytes| bytes > 64 << 20) {
                source.state = SourceState::CatchingUp;
            }
        });
        board.offsets(&name, |offsets| {
            offsets.kind = "postgres".into();
            offsets.server = Offset { value: at(server), committed_at: None };
            offsets.received = Offset { value: at(received), committed_at: None };
            offsets.durable = Offset { value: durable.position.as_ref().map(text), committed_at: committed };
            offsets.acknowledged = Offset { value: at(progress.acknowledged()), committed_at: None };
            offsets.lag.capture_bytes = Some(server.bytes_since(received));
            offsets.lag.durable_bytes = behind;
            if let Some(postgres) = &mut offsets.postgres {
                // As long as we keep up, the server's log is let go of as it grows.
                let lost_in = postgres.safe_wal_bytes.and_then(|bytes| lag.until(bytes as f64));
                postgres.lost_in_seconds = lost_in.map(|left| left.as_secs());
            }
        });
    }
}

/// Asks the server and the state for what is dear to reckon: before a reading.
pub async fn refresh(
    config: &model::Source,
    id: SourceId,
    mappings: &[(MappingId, Arc<str>)],
    store: &Store,
    board: &Board,
) -> Result<(), StateError> {
    delivered(config, id, mappings, store, board)?;
    // A server that does not answer leaves the old figures; the source's state says that it does not.
    let asked = tokio::time::timeout(Duration::from_secs(3), ask(config)).await;
    if let Ok(Ok((facts, kept))) = asked {
        board.offsets(&config.name, |offsets| {
            offsets.server.value = Some(facts.head.to_string());
            let lost_in_seconds = offsets.postgres.as_ref().and_then(|before| before.lost_in_seconds);
            offsets.postgres = Some(PostgresOffsets { lost_in_seconds, ..postgres(config, &facts, kept) });
        });
    }
    Ok(())
}

async fn ask(config: &model::Source) -> Result<(history::ServerFacts, Retention), Error> {
    let client = sql::connect(&super::options(config)).await?;
    let facts = history::facts(&client, &config.slot).await?;
    let kept = history::retention(&client, &facts).await?;
    Ok((facts, kept))
}

/// The position up to which the CRMs hold everything: the least of the mappings', and which of them hold it back.
fn delivered(
    config: &model::Source,
    id: SourceId,
    mappings: &[(MappingId, Arc<str>)],
    store: &Store,
    board: &Board,
) -> Result<(), StateError> {
    let Some(checkpoint) = store.checkpoint(id)? else { return Ok(()) };
    let mut oldest: Option<passerelle_state::Since> = None;
    let mut held_by = Vec::new();
    for (mapping, name) in mappings {
        if let Some(since) = store.mapping_since(*mapping)? {
            held_by.push(HeldBy {
                mapping: name.to_string(),
                since: time(since.committed_at),
                reason: "changes wait to be delivered".into(),
            });
            if oldest.as_ref().is_none_or(|known| since.seq < known.seq) {
                oldest = Some(since);
            }
        }
    }
    let (position, committed, seconds) = match oldest {
        Some(since) => (since.position, time(since.committed_at), age(time(since.committed_at))),
        None => (checkpoint.position, time(checkpoint.committed_at), 0.0),
    };
    board.offsets(&config.name, |offsets| {
        offsets.delivered = Offset { value: Some(position.to_string()), committed_at: committed };
        offsets.lag.delivery_seconds = Some(seconds);
        offsets.delivered_held_by = held_by;
    });
    Ok(())
}

fn postgres(config: &model::Source, facts: &history::ServerFacts, kept: Retention) -> PostgresOffsets {
    let held_by = kept.held_by.map(|holder| match holder {
        Holder::Us { pid } => WalHeldBy { kind: WalHolder::Us, pid, since: None },
        Holder::OpenTransaction { pid, since } => {
            WalHeldBy { kind: WalHolder::OpenTransaction, pid: Some(pid), since: time(since) }
        }
        Holder::OtherSlot { pid, since, .. } => {
            WalHeldBy { kind: WalHolder::OtherSlot, pid, since: since.and_then(time) }
        }
    });
    PostgresOffsets {
        system_id: Some(facts.system_id.to_string()),
        timeline: Some(facts.timeline),
        slot: Some(config.slot.clone()),
        publication: Some(config.publication.clone()),
        active_pid: kept.active_pid,
        restart_lsn: kept.restart_lsn,
        confirmed_flush_lsn: kept.confirmed_flush_lsn,
        wal_status: kept.wal_status,
        safe_wal_bytes: kept.safe_wal_bytes.and_then(|bytes| i64::try_from(bytes).ok()),
        wal_held_bytes: Some(kept.wal_held_bytes),
        lost_in_seconds: None,
        held_by,
        catalog_xmin_age: kept.catalog_xmin_age.map(u64::from),
    }
}

fn at(lsn: Lsn) -> Option<String> {
    (lsn.0 > 0).then(|| lsn.to_string())
}

fn text(position: &Position) -> String {
    position.to_string()
}

fn time(at: Micros) -> Option<Timestamp> {
    Timestamp::from_microsecond(at.0).ok().filter(|_| at.0 > 0)
}

/// Seconds since then; a source's clock that is ahead of ours counts as none.
fn age(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| Timestamp::now().duration_since(at).as_secs_f64().max(0.0))
}
