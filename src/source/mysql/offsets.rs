//! What `/v1/offsets` has of a source of MySQL or MariaDB.

use std::sync::atomic::Ordering::Relaxed;

use jiff::Timestamp;
use passerelle_change::Position;
use passerelle_mysql::{LogPosition, history, sql};
use passerelle_state::Checkpoint;

use super::super::database::{Asked, Error, Figures};
use super::{Mysql, our_options};
use crate::capture::Durable;
use crate::config::model;
use crate::control::model::MysqlOffsets;

/// Asks the server; `durable` is where the log goes on for us.
pub(in crate::source) async fn ask(
    config: &model::Source,
    settings: &model::Mysql,
    durable: Option<&Checkpoint>,
) -> Result<Asked, Error> {
    let mut connection = sql::connect(&our_options(config, settings)).await?;
    let facts = history::facts(&mut connection).await?;
    let needed = durable.and_then(|checkpoint| LogPosition::try_from(&checkpoint.position).ok());
    let kept = history::retention(&mut connection, &facts, needed.as_ref().unwrap_or(&facts.head)).await?;
    connection.close().await;
    let kept = match durable.map(|checkpoint| checkpoint.committed_at.0).filter(|at| *at > 0) {
        Some(at) => kept.aged(Timestamp::now().as_microsecond().saturating_sub(at).max(0).unsigned_abs() / 1_000_000),
        None => kept,
    };
    let known = |text: String| Some(text).filter(|text| !text.is_empty());
    let mysql = MysqlOffsets {
        server_uuid: kept.server_uuid,
        // One by chance is known to the stream alone.
        server_id: settings.server_id,
        dump_thread_id: kept.dump_thread_id,
        file: Some(kept.file),
        position: Some(kept.position),
        gtid_executed: known(kept.gtid_executed),
        gtid_purged: known(kept.gtid_purged),
        first_needed_file: kept.first_needed_file,
        oldest_available: kept.oldest_available,
        lost_in_seconds: kept.lost_in_seconds,
        format: known(kept.format),
        row_image: known(kept.row_image),
        row_metadata: known(kept.row_metadata),
        checksum: known(kept.checksum),
    };
    Ok(Asked { server: facts.head.to_string(), postgres: None, mysql: Some(mysql) })
}

impl Mysql {
    /// What is known without asking.
    pub(in crate::source) fn figures(&self, durable: &Durable) -> Figures {
        let progress = &self.progress;
        let place = |at: &Position| LogPosition::try_from(at).ok();
        let position = durable.position.as_ref().and_then(place);
        let acknowledged = durable.acknowledged.as_ref().and_then(place);
        let reached = match (position, acknowledged) {
            (Some(position), Some(acknowledged)) if acknowledged.has_reached(&position) => Some(acknowledged),
            (position, acknowledged) => position.or(acknowledged),
        };
        let received = progress.received();
        let behind = |at: &Option<LogPosition>| at.as_ref().and_then(|at| progress.bytes_behind(at));
        Figures {
            server: progress.server().map(|at| at.to_string()),
            not_received_bytes: behind(&received),
            received: received.map(|at| at.to_string()),
            acknowledged: progress.acknowledged().map(|at| at.to_string()),
            not_durable_bytes: behind(&reached),
            last_contact: progress.last_contact(),
            open_transaction: progress.open_transaction().map(|open| (open.number.to_string(), open.bytes)),
            server_id: Some(self.server_id.load(Relaxed)).filter(|id| *id > 0),
        }
    }
}
