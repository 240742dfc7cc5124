//! The running stream: reads, decodes, hands on, acknowledges.
//!
//! One task does all of it, so that order needs no lock; it never waits for the channel without also answering the
//! server (PG-02). What it decides about positions is in `ledger` and is pure.

mod ledger;
mod progress;
mod rhythm;

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use bytes::{Buf, BytesMut};
use futures_util::FutureExt;
use passerelle_change::{Batch, Event, Micros};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::connection::{Connection, OwnedFrame, push_copy_done};
use crate::decode::Decoder;
use crate::replication::{of_notice, of_stream};
use crate::wire::{self, Copied, MAX_FRAME_BYTES, Malformed};
use crate::{Error, Lsn, Options, catalog, sql};
use ledger::Ledger;
pub use progress::Progress;
use rhythm::Rhythm;

/// A batch that has this much is handed on before more is decoded.
const BATCH_BYTES: usize = 1 << 20;

/// The most that is read before it is decoded.
const GULP_BYTES: usize = 1 << 20;

/// After a row that needed more, the buffer is made small again.
const KEPT_BUFFER_BYTES: usize = 8 << 20;

/// For a look at types that are new: far from the time after which servers end a stream that is silent.
const TYPES_LIMIT: Duration = Duration::from_secs(15);

/// At the end, for what was handed on to become durable.
const SETTLE_LIMIT: Duration = Duration::from_secs(3);

/// At the end, for the server to say that it has ended, too.
const FAREWELL_LIMIT: Duration = Duration::from_secs(5);

/// A stream that was started by [`Replication::start`](crate::replication::Replication::start).
#[derive(Debug)]
pub struct Stream {
    pub(crate) connection: Connection,
    pub(crate) options: Options,
    pub(crate) slot: String,
    pub(crate) publication: String,
    pub(crate) from: Lsn,
    pub(crate) wal_sender_timeout: Option<Duration>,
}

/// Runs the stream until `cancel`, an error, or the end of the receiver of `out` or of the sender of `acknowledged`.
///
/// - `out` gets the events in the order of the log; a transaction may come in several batches.
/// - `acknowledged` is up to where everything handed on is durable: the end of a transaction or an idle position. The
///   server is told no more than that.
/// - The catalogue is asked for types that are new since it was read ([`Decoder::unknown_types`]), before what comes after
///   their names is decoded.
/// - On `cancel` nothing more is read; `out` is closed, what is in flight has a few seconds to be acknowledged, the
///   server is told, and the slot is free when this returns.
///
/// To be called on a thread of its own with a runtime of one thread: while behind, it lets the thread sleep for
/// milliseconds.
pub async fn run(
    mut stream: Stream,
    decoder: Decoder,
    out: mpsc::Sender<Batch>,
    mut acknowledged: watch::Receiver<Option<Lsn>>,
    progress: Arc<Progress>,
    cancel: CancellationToken,
) -> Result<(), Error> {
    stream.connection.socket.move_here()?;
    let mut reader = Reader::new(stream, decoder, progress);
    reader.acknowledge(*acknowledged.borrow_and_update());
    let end = reader.read_on(&out, &mut acknowledged, &cancel).await;
    if end.is_err() && !reader.batch.is_empty() {
        // What came before the fault is good: an error that stays must not hold it back for ever.
        let _ = tokio::time::timeout(SETTLE_LIMIT, out.send(std::mem::take(&mut reader.batch))).await;
    }
    drop(out);
    match &end {
        Err(Error::Broken(_) | Error::Closed | Error::Silent(_)) => {}
        _ => reader.close(acknowledged).await,
    }
    end
}

/// Why reading stopped without an error.
enum Stop {
    No,
    Yes,
}

/// How far what is in the buffer was decoded.
#[derive(PartialEq, Eq)]
enum Decoded {
    /// As far as it is whole.
    All,
    /// Until the batch was full.
    UntilFull,
    /// Until a type that is not known.
    UntilType,
}

struct Reader {
    connection: Connection,
    options: Options,
    slot: String,
    publication: String,
    decoder: Decoder,
    batch: Batch,
    ledger: Ledger,
    progress: Arc<Progress>,
    rhythm: Rhythm,
    /// Status messages on their way out.
    outbound: Vec<u8>,
}

impl Reader {
    fn new(stream: Stream, decoder: Decoder, progress: Arc<Progress>) -> Self {
        Self {
            ledger: Ledger::new(stream.from, stream.wal_sender_timeout, Instant::now()),
            connection: stream.connection,
            options: stream.options,
            slot: stream.slot,
            publication: stream.publication,
            decoder,
            batch: Batch::new(),
            progress,
            rhythm: Rhythm::new(),
            outbound: Vec::new(),
        }
    }

    async fn read_on(
        &mut self,
        out: &mpsc::Sender<Batch>,
        acknowledged: &mut watch::Receiver<Option<Lsn>>,
        cancel: &CancellationToken,
    ) -> Result<(), Error> {
        loop {
            let decoded = self.decode()?;
            self.send_due_status().await?;
            if let Stop::Yes = self.hand_on(out) {
                return Ok(());
            }
            if decoded == Decoded::UntilType {
                match cancel.run_until_cancelled(self.read_types()).await {
                    Some(read) => read?,
                    None => return Ok(()),
                }
                continue;
            }
            if decoded == Decoded::UntilFull && self.batch.is_empty() {
                // What is left may be the end of all there is: nothing else would bring us back to it.
                continue;
            }
            let has_room = self.batch.size_bytes() < BATCH_BYTES;
            if !has_room {
                // The silence that follows is ours.
                self.ledger.heard(Instant::now());
            } else if let Some(nap) = self.rhythm.nap() {
                sleep(nap);
            }
            let wake = tokio::time::Instant::from_std(self.ledger.wake_at(self.decoder.open_transaction().is_some()));
            // In this order: the end, then what lets the server free its log, then what is due, then room made by the
            // receiver, or its end, then more to read. All of them are cancel-safe.
            tokio::select! {
                biased;
                () = cancel.cancelled() => return Ok(()),
                changed = acknowledged.changed() => match changed {
                    Ok(()) => self.acknowledge(*acknowledged.borrow_and_update()),
                    Err(_) => return Ok(()),
                },
                () = tokio::time::sleep_until(wake) => self.check_silence()?, // a status or a silence is due then
                permit = out.reserve(), if !self.batch.is_empty() => match permit {
                    Ok(permit) => permit.send(self.take_batch()),
                    Err(_) => return Ok(()),
                },
                () = out.closed() => return Ok(()),
                read = self.connection.read_some(GULP_BYTES), if has_room => self.gulp(read?),
            }
        }
    }

    fn acknowledge(&mut self, lsn: Option<Lsn>) {
        if let Some(lsn) = lsn {
            self.ledger.acknowledge(lsn);
        }
    }

    fn check_silence(&self) -> Result<(), Error> {
        self.ledger.too_silent(Instant::now()).map_or(Ok(()), |silence| Err(Error::Silent(silence)))
    }

    async fn send_due_status(&mut self) -> Result<(), Error> {
        let now = Instant::now();
        if let Some(idle) = self.ledger.idle(self.decoder.open_transaction().is_some(), now) {
            self.batch.push(Event::Idle { position: idle.position() });
        }
        if self.ledger.status_due() > now {
            return Ok(());
        }
        self.outbound.clear();
        self.ledger.push_status(&mut self.outbound, clock(), now);
        self.progress.set_acknowledged(self.ledger.flushed());
        self.connection.write(&self.outbound).await
    }

    /// Gives the batch away if there is room for it.
    fn hand_on(&mut self, out: &mpsc::Sender<Batch>) -> Stop {
        if self.batch.is_empty() {
            return Stop::No;
        }
        match out.try_reserve() {
            Ok(permit) => permit.send(self.take_batch()),
            Err(mpsc::error::TrySendError::Full(())) => {}
            Err(mpsc::error::TrySendError::Closed(())) => return Stop::Yes,
        }
        Stop::No
    }

    fn take_batch(&mut self) -> Batch {
        // The next one is likely to be as large as this one.
        let next = Batch::with_capacity(self.batch.size_bytes().min(BATCH_BYTES) / 2);
        std::mem::replace(&mut self.batch, next)
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
        self.rhythm.gulped(read);
        self.ledger.heard(Instant::now());
        self.progress.read(read, clock());
    }

    /// Decodes what is whole in the buffer, as far as the batch has room.
    fn decode(&mut self) -> Result<Decoded, Error> {
        let (mut done, mut sent_at, mut needs_types) = (0, None, false);
        let rows = self.batch.rows();
        while !needs_types && self.batch.size_bytes() < BATCH_BYTES {
            let rest = self.connection.inbound.get(done..).unwrap_or_default();
            let Some(frame) = wire::frame(rest, MAX_FRAME_BYTES)? else { break };
            done += frame.wire_bytes();
            match frame.tag {
                b'd' => match wire::copied(frame.body)? {
                    Copied::Data { start, sent_at: at, message, .. } => {
                        sent_at = Some(at);
                        self.ledger.data(start);
                        self.decoder.message(message, &mut self.batch)?;
                        match message.first() {
                            Some(b'C') => committed(&mut self.decoder, &mut self.ledger, &self.progress),
                            Some(b'Y') => needs_types = self.decoder.unknown_types().next().is_some(),
                            _ => {}
                        }
                    }
                    Copied::Keepalive { end, reply, .. } => {
                        self.ledger.keepalive(end, reply);
                        self.progress.set_server(end);
                    }
                },
                b'E' => return Err(of_stream(wire::server_error(frame.body), &self.slot, &self.publication)),
                b'N' => {
                    let notice = wire::server_error(frame.body);
                    if let Some(error) = of_notice(&notice, &self.publication) {
                        return Err(error);
                    }
                    tracing::debug!(slot = self.slot, code = notice.code, "{}", notice.message);
                }
                b'S' => {}
                // The server ends the copy: it shuts down.
                b'c' | b'C' | b'Z' => return Err(Error::Closed),
                _ => return Err(Malformed("an unexpected message in the stream").into()),
            }
        }
        if let (Some(sent), Some(committed)) = (sent_at, self.decoder.committed_at()) {
            self.rhythm.aged(Duration::from_micros(sent.0.saturating_sub(committed.0).max(0).unsigned_abs()));
        }
        let open = self.decoder.open_transaction();
        self.progress.decoded(self.ledger.received(), self.batch.rows() - rows, open, done);
        let inbound = &mut self.connection.inbound;
        inbound.advance(done);
        if inbound.capacity() > KEPT_BUFFER_BYTES && inbound.len() < GULP_BYTES {
            *inbound = BytesMut::from(&inbound[..]);
        }
        Ok(match needs_types {
            true => Decoded::UntilType,
            false if self.batch.size_bytes() < BATCH_BYTES => Decoded::All,
            false => Decoded::UntilFull,
        })
    }

    /// A type was made since the catalogue was read: what it is, is asked for, so that its columns are named in the stream
    /// as they are in the catalogue (PG-24). It may have changed since then; the names that count are those of now.
    async fn read_types(&mut self) -> Result<(), Error> {
        let oids: Vec<u32> = self.decoder.unknown_types().collect();
        let asking = async {
            let client = sql::connect(&self.options).await?;
            catalog::dynamic_types(&client, &oids).await
        };
        // The server waits for a status meanwhile, and gives up after its own time.
        let late = |_| Error::Timeout { step: "asking for a type", after: TYPES_LIMIT };
        let types = tokio::time::timeout(TYPES_LIMIT, asking).await.map_err(late)??;
        tracing::debug!(slot = self.slot, types = types.len(), "the catalogue was asked for new types");
        self.decoder.know_types(types);
        self.ledger.heard(Instant::now());
        Ok(())
    }

    /// The end in good order (PG-41): what is in flight settles, the server hears of it, and both sides end the copy.
    async fn close(mut self, mut acknowledged: watch::Receiver<Option<Lsn>>) {
        let settle = async {
            while !self.ledger.settled() && acknowledged.changed().await.is_ok() {
                self.acknowledge(*acknowledged.borrow_and_update());
            }
        };
        let _ = tokio::time::timeout(SETTLE_LIMIT, settle).await;
        self.acknowledge(*acknowledged.borrow());
        let farewell = async {
            self.outbound.clear();
            self.ledger.push_status(&mut self.outbound, clock(), Instant::now());
            push_copy_done(&mut self.outbound);
            self.connection.write(&self.outbound).await?;
            // Data that was on its way comes first, and is thrown away: it comes again.
            loop {
                let OwnedFrame { tag, .. } = self.connection.frame_of(MAX_FRAME_BYTES).await?;
                if matches!(tag, b'Z' | b'E') {
                    return Ok::<_, Error>(());
                }
            }
        };
        match tokio::time::timeout(FAREWELL_LIMIT, farewell).await {
            Ok(Ok(())) => self.progress.set_acknowledged(self.ledger.flushed()),
            Ok(Err(error)) => tracing::debug!(slot = self.slot, "the stream did not end in good order: {error}"),
            Err(_) => tracing::debug!(slot = self.slot, "the server did not end the stream in time"),
        }
        self.connection.end().await;
    }
}

fn committed(decoder: &mut Decoder, ledger: &mut Ledger, progress: &Progress) {
    if let Some(end) = decoder.take_quiet() {
        ledger.quiet(end);
    } else {
        ledger.transaction(decoder.ended());
        progress.transaction();
    }
}

/// The thread itself has to sleep: the runtime, waiting for a timer, is woken by each piece that comes.
#[expect(clippy::disallowed_methods, reason = "the thread is the stream's own")]
fn sleep(nap: Duration) {
    std::thread::sleep(nap); // the server fills the socket meanwhile: see `rhythm`
}

fn clock() -> Micros {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Micros(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
