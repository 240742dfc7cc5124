//! The running stream: reads, decodes, hands on.
//!
//! One task does all of it, so that order needs no lock. A transaction is never held in memory: its rows are handed on as
//! they come, batch by batch, and what the log takes back is said. What a stream decides about positions and silence is in
//! `ledger` and is pure.

mod head;
mod ledger;
mod progress;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::FutureExt;
use passerelle_change::{Batch, Event, Micros, Position};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::catalog::{self, Readings};
use crate::connection::{Connection, ERROR, server_error};
use crate::decode::{Decoded, Decoder};
use crate::error::DumpFault;
use crate::wire::{HEADER_BYTES, Malformed};
use crate::{Error, Options, sql};
use ledger::Ledger;
pub use progress::{OpenTransaction, Progress};

/// A batch that has this much is handed on before more is decoded.
const BATCH_BYTES: usize = 1 << 20;

/// The most that is read before it is decoded.
const GULP_BYTES: usize = 1 << 20;

/// At the end, for what was handed on to become durable.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// A stream that was started by [`Replication::start`](crate::replication::Replication::start).
#[derive(Debug)]
pub struct Stream {
    pub(crate) connection: Connection,
    pub(crate) options: Options,
    pub(crate) server_id: u32,
    pub(crate) readings: Readings,
}

/// Runs the stream until `cancel`, an error, or the end of the receiver of `out` or of the sender of `acknowledged`.
///
/// - `out` gets the events in the order of the log; a transaction may come in several batches, of a mebibyte or one row.
/// - `acknowledged` is up to where everything handed on is durable. The server has no use for it: it is waited for at the
///   end, and shown.
/// - The catalogue is read again for tables that a statement in the log changed ([`Decoder::stale`]), before what comes
///   after it is decoded.
/// - On `cancel` nothing more is read; `out` is closed, and what is in flight has a few seconds to be acknowledged.
pub async fn run(
    mut stream: Stream,
    decoder: Decoder,
    out: mpsc::Sender<Batch>,
    mut acknowledged: watch::Receiver<Option<Position>>,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> Result<(), Error> {
    stream.connection.move_here()?;
    let looking = head::watch(stream.options.clone(), &progress);
    let mut reader = Reader::new(stream, decoder, Arc::clone(&progress));
    reader.acknowledge(&mut acknowledged);
    let end = tokio::select! {
        end = reader.read_on(&out, &mut acknowledged, &cancel) => end,
        () = looking => Ok(()), // never
    };
    if end.is_err() && !reader.batch.is_empty() {
        // What came before the fault is good: an error that stays must not hold it back for ever.
        let _ = tokio::time::timeout(SETTLE_LIMIT, out.send(std::mem::take(&mut reader.batch))).await;
    }
    drop(out);
    if end.is_ok() {
        reader.settle(acknowledged).await;
    }
    reader.connection.end().await;
    end
}

/// Why reading stopped without an error.
enum Stop {
    No,
    Yes,
}

struct Reader {
    connection: Connection,
    options: Options,
    server_id: u32,
    readings: Readings,
    decoder: Decoder,
    /// The event at hand is not read to its end.
    is_partly: bool,
    batch: Batch,
    ledger: Ledger,
    progress: Arc<Progress>,
}

impl Reader {
    fn new(stream: Stream, decoder: Decoder, progress: Arc<Progress>) -> Self {
        Self {
            connection: stream.connection,
            options: stream.options,
            server_id: stream.server_id,
            readings: stream.readings,
            decoder,
            is_partly: false,
            batch: Batch::new(),
            ledger: Ledger::new(Instant::now()),
            progress,
        }
    }

    async fn read_on(
        &mut self,
        out: &mpsc::Sender<Batch>,
        acknowledged: &mut watch::Receiver<Option<Position>>,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        loop {
            let was_full = self.decode()?;
            let open = self.decoder.open_transaction().is_some();
            if let Some(position) = self.ledger.idle(open, Instant::now()) {
                self.batch.push(Event::Idle { position });
            }
            if let Stop::Yes = self.hand_on(out) {
                return Ok(());
            }
            if self.decoder.stale().next().is_some() {
                match cancel.run_until_cancelled(self.read_catalogue()).await {
                    Some(read) => read?,
                    None => return Ok(()),
                }
                continue;
            }
            let has_room = self.batch.size_bytes() < BATCH_BYTES;
            if !has_room {
                self.ledger.busy(Instant::now());
            } else if self.is_partly || was_full {
                // What is left of what was read may be the end of all there is: nothing else would bring us back to it.
                continue;
            }
            let wake = tokio::time::Instant::from_std(self.ledger.wake_at(open));
            // In this order: the end, then what is due, then room made by the receiver, then more to read. All of them are
            // cancel-safe.
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                () = out.closed() => return Ok(()),
                changed = acknowledged.changed() => match changed {
                    Ok(()) => self.acknowledge(acknowledged),
                    Err(_) => return Ok(()),
                },
                () = tokio::time::sleep_until(wake) => self.check_silence()?, // a silence or an idle position is due then
                permit = out.reserve(), if !self.batch.is_empty() => match permit {
                    Ok(permit) => self.send(permit),
                    Err(_) => return Ok(()),
                },
                read = self.connection.read_some(GULP_BYTES), if has_room => self.gulp(read?),
            }
        }
    }

    fn acknowledge(&mut self, acknowledged: &mut watch::Receiver<Option<Position>>) {
        self.ledger.acknowledge(acknowledged.borrow_and_update().clone());
        self.progress.set_acknowledged(self.ledger.acknowledged());
    }

    fn check_silence(&self) -> Result<(), Error> {
        self.ledger.too_silent(Instant::now()).map_or(Ok(()), |silence| Err(Error::Silent(silence)))
    }

    /// Gives the batch away if there is room for it.
    fn hand_on(&mut self, out: &mpsc::Sender<Batch>) -> Stop {
        if self.batch.is_empty() {
            return Stop::No;
        }
        match out.try_reserve() {
            Ok(permit) => self.send(permit),
            Err(mpsc::error::TrySendError::Full(())) => {}
            Err(mpsc::error::TrySendError::Closed(())) => return Stop::Yes,
        }
        Stop::No
    }

    fn send(&mut self, permit: mpsc::Permit<'_, Batch>) {
        // The next one is likely to be as large as this one.
        let next = Batch::with_capacity(self.batch.size_bytes().min(BATCH_BYTES) / 2);
        permit.send(std::mem::replace(&mut self.batch, next));
        self.decoder.handed_on();
    }

    /// Something was read: takes what else is there, without waiting.
    fn gulp(&mut self, first: usize) {
        let mut read = first;
        while read < GULP_BYTES {
            match self.connection.read_some(GULP_BYTES - read).now_or_never() {
                Some(Ok(more)) => read += more,
                // What came before the end may say why: it is decoded first, and the end is met again.
                Some(Err(_)) | None => break,
            }
        }
        self.ledger.heard(Instant::now());
        self.progress.read(read, clock());
    }

    /// Decodes what is whole in the buffer, as far as the batch has room and the catalogue is known. True where the batch is
    /// full.
    fn decode(&mut self) -> Result<bool, Error> {
        let (rows, taken) = (self.batch.rows(), self.connection.inbound.taken());
        while self.batch.size_bytes() < BATCH_BYTES {
            let told = self.batch.events().len();
            let mut may_be_stale = false;
            let decoded = if self.is_partly {
                self.decoder.more(&mut self.batch)?
            } else {
                let Some(packet) = self.connection.inbound.next()? else { break };
                let event = event(packet, self.server_id)?;
                may_be_stale = names_a_statement(event);
                self.decoder.event(event, &mut self.batch)?
            };
            self.is_partly = decoded == Decoded::Partly;
            if self.batch.events().len() != told
                && let Some(Event::End { position, .. } | Event::Prepared { position, .. }) = self.batch.events().last()
            {
                self.ledger.transaction(position);
                self.progress.transaction();
            }
            if may_be_stale && self.decoder.stale().next().is_some() {
                // Before the catalogue is read again, and anything is told that comes after the statement.
                self.progress.renamed_columns(self.decoder.take_renamed_columns());
                break;
            }
        }
        if let Some(quiet) = self.decoder.take_quiet() {
            self.ledger.quiet(quiet);
        }
        let open = self.decoder.open_transaction();
        let bytes = self.connection.inbound.taken().saturating_sub(taken);
        self.progress.decoded(self.decoder.ended(), self.batch.rows().saturating_sub(rows), open, bytes);
        self.progress.committed(self.decoder.committed_at());
        Ok(self.batch.size_bytes() >= BATCH_BYTES)
    }

    /// Tables changed: what the log does not say of their columns is asked for. It may be newer than the place in the log;
    /// a table that does not fit is held until a later change fits, and holds up no other (MY-38).
    async fn read_catalogue(&mut self) -> Result<(), Error> {
        let names: Vec<_> = self.decoder.stale().cloned().collect();
        let mut connection = sql::connect(&self.options).await?;
        let catalogue = catalog::read(&mut connection, &names, &self.readings).await?;
        connection.close().await;
        for name in &names {
            // Of one that is gone nothing is known, and nothing more comes.
            let known = catalogue.table(name).map(catalog::TableFacts::known).unwrap_or_default();
            self.decoder.know(name, known);
        }
        tracing::debug!(tables = names.len(), "the catalogue was read again");
        self.ledger.busy(Instant::now());
        Ok(())
    }

    /// What is in flight becomes durable, or not in time.
    async fn settle(&mut self, mut acknowledged: watch::Receiver<Option<Position>>) {
        let settle = async {
            self.acknowledge(&mut acknowledged);
            while !self.ledger.settled() && acknowledged.changed().await.is_ok() {
                self.acknowledge(&mut acknowledged);
            }
        };
        let _ = tokio::time::timeout(SETTLE_LIMIT, settle).await;
    }
}

/// `ER_SLAVE_SAME_ID` of MariaDB: the connection that was there first ends for one that came later (MY-08).
const SAME_ID: u16 = 4052;

/// The event that a packet of the stream is.
fn event(packet: &[u8], server_id: u32) -> Result<&[u8], Error> {
    match packet.split_first() {
        Some((0, event)) => Ok(without_semi_sync(event)),
        Some((&ERROR, _)) => Err(match server_error(packet) {
            Some(Error::Dump { fault: DumpFault::ServerIdClash, .. }) => Error::ServerIdClash(server_id),
            Some(Error::Server(error)) if error.code == SAME_ID => Error::ServerIdClash(server_id),
            Some(error) => error,
            None => Error::Closed,
        }),
        // The server ends the stream: it shuts down.
        Some((0xfe, rest)) if rest.len() < 8 => Err(Error::Closed),
        _ => Err(Malformed("a packet of the stream that is neither an event nor an error").into()),
    }
}

/// An event of a sender that takes us for a semi-synchronous replica, which we never say we are (MY-07), has two bytes more
/// before it: then its length is as it says only without them.
fn without_semi_sync(event: &[u8]) -> &[u8] {
    let says = |event: &[u8]| {
        let size = event.get(9..13).and_then(|bytes| bytes.first_chunk::<4>());
        size.is_some_and(|size| u32::from_le_bytes(*size) as usize == event.len())
    };
    match event {
        [0xef, _, rest @ ..] if !says(event) && says(rest) => rest,
        _ => event,
    }
}

/// Whether an event may have a statement that changes tables: QUERY, plain and compressed, EXECUTE_LOAD_QUERY, and a
/// transaction as a whole.
fn names_a_statement(event: &[u8]) -> bool {
    event.len() > HEADER_BYTES && matches!(event.get(4), Some(2 | 18 | 40 | 165))
}

fn clock() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_07_what_semi_synchronous_replication_adds_is_taken_off() {
        let mut bytes = vec![0; 30];
        bytes[9] = 30;
        assert_eq!(without_semi_sync(&bytes), bytes);
        // A time that begins with that byte is no mark.
        bytes[0] = 0xef;
        assert_eq!(without_semi_sync(&bytes), bytes);
        let marked = [&[0xef, 1], bytes.as_slice()].concat();
        assert_eq!(without_semi_sync(&marked), bytes);
    }

    #[test]
    fn my_08_my_09_errors_in_the_stream_are_named() {
        let clash = b"\xff\xd4\x04#HY000A slave with the same server_uuid/server_id as this slave has connected to the master; the first event 'm' at 4";
        assert_eq!(event(clash, 7), Err(Error::ServerIdClash(7)));
        let clash = b"\xff\xd4\x0f#HY000A slave with the same server_uuid/server_id is already connected";
        assert_eq!(event(clash, 7), Err(Error::ServerIdClash(7)));
        let purged = b"\xff\xd4\x04#HY000Could not find first log file name in binary log index file";
        assert!(matches!(event(purged, 7), Err(Error::Dump { fault: DumpFault::Purged, .. })));
        assert_eq!(event(b"\xfe\0\0\x02\0", 7), Err(Error::Closed));
        assert!(matches!(event(b"\x07", 7), Err(Error::Malformed(_))));
        assert!(matches!(event(b"", 7), Err(Error::Malformed(_))));
        assert_eq!(event(b"\0abc", 7), Ok(b"abc".as_slice()));
    }
}
