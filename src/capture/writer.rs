//! The thread that syncs: one batch at a time, in order.

use std::sync::Arc;
use std::thread::JoinHandle;

use passerelle_state::{Gate, SealedBatch, StateError, Store};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};

use super::{CaptureError, Durable};
use crate::failpoint;

/// Syncs batches on a thread of its own.
#[derive(Debug)]
pub(super) struct Writer {
    batches: mpsc::Sender<Sealed>,
    /// One permit: whoever holds it may hand over the next batch. It comes back when the batch is synced.
    idle: Arc<Semaphore>,
    thread: JoinHandle<Result<(), StateError>>,
}

/// The right to hand over the next batch.
pub(super) struct Turn {
    slot: mpsc::OwnedPermit<Sealed>,
    idle: OwnedSemaphorePermit,
}

struct Sealed {
    batch: SealedBatch,
    ends_transaction: bool,
    durable: Durable,
    _idle: OwnedSemaphorePermit,
}

impl Writer {
    /// Starts the thread. It ends after `most` batches, as if it had been killed.
    pub(super) fn start(store: &Arc<Store>, gate: &Arc<Gate>, durable: watch::Sender<Durable>, most: u64) -> Self {
        let (batches, mut inbox) = mpsc::channel::<Sealed>(1);
        let (store, gate) = (Arc::clone(store), Arc::clone(gate));
        let thread = std::thread::spawn(move || {
            for _ in 0..most {
                let Some(sealed) = inbox.blocking_recv() else { break };
                failpoint::hit("capture.before_sync");
                store.write_capture(sealed.batch, &gate, sealed.ends_transaction)?;
                failpoint::hit("capture.after_sync");
                durable.send_replace(sealed.durable);
            }
            Ok(())
        });
        Self { batches, idle: Arc::new(Semaphore::new(1)), thread }
    }

    /// Waits until the last batch is synced. Cancel-safe.
    pub(super) async fn turn(&self) -> Result<Turn, CaptureError> {
        let idle = tokio::select! {
            biased;
            idle = Arc::clone(&self.idle).acquire_owned() => idle.map_err(|_| CaptureError::WriterGone)?,
            // A batch that was handed over just when the thread ended gives its permit back no more.
            () = self.batches.closed() => return Err(CaptureError::WriterGone),
        };
        let slot = self.batches.clone().reserve_owned().await.map_err(|_| CaptureError::WriterGone)?;
        Ok(Turn { slot, idle })
    }

    /// Waits until everything handed over is synced.
    pub(super) async fn settled(&self) -> Result<(), CaptureError> {
        self.turn().await.map(drop)
    }

    /// Ends the thread, after what was handed over.
    pub(super) fn finish(self) -> Result<(), CaptureError> {
        drop(self.batches);
        // The thread ends with its last sync: joining it holds up this thread only, which has nothing else to do.
        match self.thread.join() {
            Ok(result) => Ok(result?),
            Err(_) => Err(CaptureError::WriterGone),
        }
    }
}

impl Turn {
    pub(super) fn hand_over(self, batch: SealedBatch, ends_transaction: bool, durable: Durable) {
        self.slot.send(Sealed { batch, ends_transaction, durable, _idle: self.idle });
    }
}
