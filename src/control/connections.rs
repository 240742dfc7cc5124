//! Serves one router on accepted connections: bounded in number, in header size and in time.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::Semaphore;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{debug, warn};

/// Connections at once, a listener. One more waits in the kernel's queue.
const CONNECTIONS: usize = 32;
/// How long a client may take for the head of a request; also how long an idle connection is kept.
const HEAD_WITHIN: Duration = Duration::from_secs(15);
/// The most a request's head may take, in bytes.
const HEAD_BYTES: usize = 16 * 1024;
/// After a failed accept (out of file handles): time for connections to end.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
/// How long a stop waits for answers that are being written.
const GRACE: Duration = Duration::from_secs(5);

/// Accepts until the token is cancelled, then lets the answers under way be written.
///
/// `accept` gives a connection and the router for it. It must be cancel-safe, as the accepts of tokio are.
pub(super) async fn serve<S, F>(what: &'static str, accept: impl Fn() -> F, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
    F: Future<Output = std::io::Result<(S, Router)>>,
{
    let permits = Arc::new(Semaphore::new(CONNECTIONS));
    let connections = TaskTracker::new();
    loop {
        let accepted = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = async {
                // The semaphore is never closed; without a permit nothing is accepted.
                let permit = permits.clone().acquire_owned().await;
                (permit, accept().await)
            } => accepted,
        };
        match accepted {
            (Ok(permit), Ok((stream, router))) => {
                let stop = stop.clone();
                connections.spawn(async move {
                    connection(stream, router, stop).await;
                    drop(permit);
                });
            }
            (Err(_), _) => break,
            (Ok(_), Err(error)) => {
                warn!(listener = what, %error, "a connection could not be accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await; // descriptors come back as connections end
            }
        }
    }
    connections.close();
    if tokio::time::timeout(GRACE, connections.wait()).await.is_err() {
        debug!(listener = what, "connections were cut at the stop");
    }
}

async fn connection<S>(stream: S, router: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let connection = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD_WITHIN)
        .max_buf_size(HEAD_BYTES)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router));
    tokio::pin!(connection);
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        debug!(%error, "a client's connection ended early");
    }
}
