//! A stream and its forwarding to capture, on a thread of their own: the connector sleeps for parts of a millisecond.

use std::sync::Arc;
use std::time::Duration;

use passerelle_change::Batch;
use passerelle_state::Store;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use super::database::{Error, Stream};
use super::{Ended, Source, SourceError};
use crate::capture::{Durable, Input};
use crate::control::board::Board;
use crate::control::model::SourceState;

/// Batches between the connector and capture, of up to 1 MiB each.
const BATCHES: usize = 2;
/// A load that failed is begun again this often; a table that is suspected again and again is read no oftener.
const LOAD_AGAIN: Duration = Duration::from_secs(30);
/// At the disk budget reading stops; below this share of it, it goes on.
const GO_ON_BELOW: f64 = 0.9;

/// Runs a stream until it ends.
pub(super) async fn run(source: &Source, stream: Stream) -> Ended {
    let thread = Thread {
        name: source.config.name.clone(),
        capture: source.capture.clone(),
        durable: source.durable.clone(),
        store: Arc::clone(&source.store),
        board: Arc::clone(&source.board),
        disk_budget_bytes: source.disk_budget_bytes,
        cancel: source.cancel.child_token(),
    };
    let stop = thread.cancel.clone();
    let (done, ended) = tokio::sync::oneshot::channel();
    let spawned = std::thread::Builder::new().name(format!("source-{}", source.config.name)).spawn(move || {
        // The receiver waits for this; it is gone only when the daemon is.
        let _ = done.send(thread.run(stream));
    });
    if let Err(error) = spawned {
        return Ended::Failed(Error::Thread(error));
    }
    tokio::pin!(ended);
    let mut next_look = tokio::time::Instant::now() + LOAD_AGAIN;
    // What is suspected after a quiet time is read at once.
    let mut reread_from = tokio::time::Instant::now();
    let ended = loop {
        tokio::select! {
            ended = &mut ended => break ended,
            () = tokio::time::sleep(Duration::from_millis(500)) => match source.is_paused() {
                Ok(true) => stop.cancel(),
                Ok(false) => match source.is_suspecting() {
                    Ok(true) if tokio::time::Instant::now() >= reread_from => {
                        next_look = tokio::time::Instant::now() + LOAD_AGAIN;
                        reread_from = next_look;
                        source.load_again().await;
                    }
                    Ok(_) => {}
                    Err(error) => { stop.cancel(); return error.into() }
                },
                Err(error) => { stop.cancel(); return error.into() }
            },
            () = tokio::time::sleep_until(next_look) => {
                next_look = tokio::time::Instant::now() + LOAD_AGAIN;
                source.load_again().await;
            }
        }
    };
    match ended {
        Ok(Ok(())) => Ended::Stopped,
        Ok(Err(error)) => Ended::Failed(error),
        Err(_) => Ended::Fatal(SourceError::CaptureGone),
    }
}

struct Thread {
    name: String,
    capture: mpsc::Sender<Input>,
    durable: watch::Receiver<Durable>,
    store: Arc<Store>,
    board: Arc<Board>,
    disk_budget_bytes: u64,
    cancel: CancellationToken,
}

impl Thread {
    fn run(self, stream: Stream) -> Result<(), Error> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Error::Thread)?;
        runtime.block_on(async {
            let (out, batches) = mpsc::channel(BATCHES);
            let reading = stream.run(out, self.durable.clone(), self.cancel.clone());
            let forwarding = self.forward(batches);
            tokio::pin!(reading, forwarding);
            let mut forwarded = false;
            loop {
                tokio::select! {
                    ended = &mut reading => return ended,
                    // Ends when the stream has closed its end, or capture its own: reading ends with it.
                    () = &mut forwarding, if !forwarded => forwarded = true,
                }
            }
        })
    }

    async fn forward(&self, mut batches: mpsc::Receiver<Batch>) {
        while let Some(batch) = batches.recv().await {
            self.wait_for_disk().await;
            if self.capture.send(Input::Stream(batch)).await.is_err() {
                return;
            }
        }
    }

    /// At the disk budget nothing is read (invariant 9); the connection is kept alive meanwhile.
    async fn wait_for_disk(&self) {
        if self.store.size_bytes_recently() < self.disk_budget_bytes {
            return;
        }
        tracing::error!(source = %self.name, budget_bytes = self.disk_budget_bytes, "the disk budget is used up: nothing is read from the source until there is room");
        let go_on = (self.disk_budget_bytes as f64 * GO_ON_BELOW) as u64;
        while self.store.size_bytes() >= go_on && !self.cancel.is_cancelled() {
            self.board.source(&self.name, |source| source.state = SourceState::DiskFull);
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        self.board.source(&self.name, |source| source.state = SourceState::CatchingUp);
    }
}
