//! What `/v1/offsets` has of a PostgreSQL source.

use jiff::Timestamp;
use passerelle_change::Micros;
use passerelle_postgres::history::{self, HeldBy, Retention, ServerFacts};
use passerelle_postgres::{Lsn, sql};

use super::super::database::{Asked, Error, Figures};
use super::{Postgres, our_options};
use crate::capture::Durable;
use crate::config::model;
use crate::control::model::{PostgresOffsets, WalHeldBy, WalHolder};

/// Asks the server.
pub(in crate::source) async fn ask(config: &model::Source, settings: &model::Postgres) -> Result<Asked, Error> {
    let client = sql::connect(&our_options(config)).await?;
    let facts = history::facts(&client, &settings.slot).await?;
    let kept = history::retention(&client, &facts).await?;
    let server = facts.head.to_string();
    Ok(Asked { server, postgres: Some(offsets(settings, &facts, kept)), mysql: None })
}

impl Postgres {
    /// What is known without asking.
    pub(in crate::source) fn figures(&self, durable: &Durable) -> Figures {
        let progress = &self.progress;
        let position = durable.position.as_ref().and_then(|at| Lsn::try_from(at).ok());
        let reached = durable.acknowledged.as_ref().and_then(|at| Lsn::try_from(at).ok()).max(position);
        let (received, server) = (progress.received(), progress.server().max(progress.received()));
        Figures {
            server: at(server),
            received: at(received),
            acknowledged: at(progress.acknowledged()),
            not_received_bytes: Some(server.bytes_since(received)),
            not_durable_bytes: reached.map(|reached| server.bytes_since(reached)),
            last_contact: progress.last_contact(),
            open_transaction: progress.open_transaction().map(|open| (open.number.to_string(), open.bytes)),
            server_id: None,
        }
    }
}

fn offsets(settings: &model::Postgres, facts: &ServerFacts, kept: Retention) -> PostgresOffsets {
    let held_by = kept.held_by.map(|holder| match holder {
        HeldBy::Us { pid } => WalHeldBy { kind: WalHolder::Us, pid, since: None },
        HeldBy::OpenTransaction { pid, since } => {
            WalHeldBy { kind: WalHolder::OpenTransaction, pid: Some(pid), since: time(since) }
        }
        HeldBy::OtherSlot { pid, since, .. } => {
            WalHeldBy { kind: WalHolder::OtherSlot, pid, since: since.and_then(time) }
        }
    });
    PostgresOffsets {
        system_id: Some(facts.system_id.to_string()),
        timeline: Some(facts.timeline),
        slot: Some(settings.slot.clone()),
        publication: Some(settings.publication.clone()),
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

fn time(at: Micros) -> Option<Timestamp> {
    Timestamp::from_microsecond(at.0).ok().filter(|_| at.0 > 0)
}
