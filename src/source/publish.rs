//! What a source publishes: figures at intervals, the server's own at a reading.

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle_change::Micros;
use passerelle_state::{MappingId, SourceId, StateError, Store};
use tokio::sync::watch;

use super::database::ask;
use super::setup::Tables;
use crate::capture::Durable;
use crate::config::model;
use crate::control::board::Board;
use crate::control::growth::Growth;
use crate::control::model::{HeldBy, MysqlOffsets, Offset, OpenTransaction, PostgresOffsets, SourceState};

/// Publishes what is known without asking, twice a second.
pub(super) async fn ticker(
    config: model::Source,
    board: Arc<Board>,
    durable: watch::Receiver<Durable>,
    tables: Arc<Tables>,
) {
    let name = &config.name;
    let mut tick = tokio::time::interval(Duration::from_millis(500));
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut lag = Growth::default();
    loop {
        tick.tick().await;
        let durable = durable.borrow().clone();
        let figures = tables.database.figures(&durable);
        let behind = figures.not_durable_bytes;
        let is_behind = behind.is_some_and(|bytes| bytes > 0);
        let committed = time(durable.committed_at);
        if let Some(bytes) = behind {
            lag.note(Instant::now(), bytes as f64);
        }
        board.source(name, |source| {
            source.last_contact_at = figures.last_contact.and_then(time);
            source.last_change_at = committed;
            source.lag_bytes = behind;
            source.lag_seconds = Some(if is_behind { age(committed) } else { 0.0 });
            source.changes_total = durable.rows;
            source.transactions_total = durable.transactions;
            source.open_transaction =
                figures.open_transaction.map(|(id, bytes)| OpenTransaction { id, bytes, since: None });
            if source.state == SourceState::CatchingUp && behind.is_some_and(|bytes| bytes < 1 << 20) {
                source.state = SourceState::Streaming;
                source.since = Some(Timestamp::now());
            } else if source.state == SourceState::Streaming && behind.is_some_and(|bytes| bytes > 64 << 20) {
                source.state = SourceState::CatchingUp;
            }
        });
        board.offsets(name, |offsets| {
            offsets.kind = config.kind.word().into();
            offsets.server = Offset { value: figures.server, committed_at: None };
            offsets.received = Offset { value: figures.received, committed_at: None };
            let position = durable.position.as_ref().map(ToString::to_string);
            offsets.durable = Offset { value: position, committed_at: committed };
            offsets.acknowledged = Offset { value: figures.acknowledged, committed_at: None };
            offsets.lag.capture_bytes = figures.not_received_bytes;
            offsets.lag.durable_bytes = behind;
            if let Some(postgres) = &mut offsets.postgres {
                // As long as we keep up, the server's log is let go of as it grows.
                let lost_in = postgres.safe_wal_bytes.and_then(|bytes| lag.until(bytes as f64));
                postgres.lost_in_seconds = lost_in.map(|left| left.as_secs());
            }
            if let Some(mysql) = &mut offsets.mysql {
                mysql.server_id = figures.server_id.or(mysql.server_id);
            }
        });
    }
}

/// Asks the server and the state for what is dear to reckon: before a reading. Each mapping comes with its lanes: its own, and
/// those in which changes of its related rows stand.
pub async fn refresh(
    config: &model::Source,
    id: SourceId,
    mappings: &[(Vec<MappingId>, Arc<str>)],
    store: &Store,
    board: &Board,
) -> Result<(), StateError> {
    delivered(config, id, mappings, store, board)?;
    let durable = store.checkpoint(id)?;
    // A server that does not answer leaves the old figures; the source's state says that it does not.
    let asked = tokio::time::timeout(Duration::from_secs(3), ask(config, durable.as_ref())).await;
    if let Ok(Ok(asked)) = asked {
        board.offsets(&config.name, |offsets| {
            offsets.server.value = Some(asked.server);
            // These are known without asking.
            let lost_in_seconds = offsets.postgres.as_ref().and_then(|before| before.lost_in_seconds);
            offsets.postgres = asked.postgres.map(|now| PostgresOffsets { lost_in_seconds, ..now });
            let server_id = offsets.mysql.as_ref().and_then(|before| before.server_id);
            offsets.mysql = asked.mysql.map(|now| MysqlOffsets { server_id: server_id.or(now.server_id), ..now });
        });
    }
    Ok(())
}

/// The position up to which the CRMs hold everything, by the lanes of each mapping and its related tables: the least of the mappings', and which of them hold it back.
fn delivered(
    config: &model::Source,
    id: SourceId,
    mappings: &[(Vec<MappingId>, Arc<str>)],
    store: &Store,
    board: &Board,
) -> Result<(), StateError> {
    let Some(checkpoint) = store.checkpoint(id)? else { return Ok(()) };
    let mut oldest: Option<passerelle_state::Since> = None;
    let mut held_by = Vec::new();
    for (lanes, name) in mappings {
        let mut since: Option<passerelle_state::Since> = None;
        for lane in lanes {
            let waiting = store.mapping_since(*lane)?;
            since = [since, waiting].into_iter().flatten().min_by_key(|since| since.seq);
        }
        if let Some(since) = since {
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

fn time(at: Micros) -> Option<Timestamp> {
    Timestamp::from_microsecond(at.0).ok().filter(|_| at.0 > 0)
}

/// Seconds since then; a source's clock that is ahead of ours counts as none.
fn age(at: Option<Timestamp>) -> f64 {
    at.map_or(0.0, |at| Timestamp::now().duration_since(at).as_secs_f64().max(0.0))
}
