//! A channel's task: sends one message after the other, and takes off what its receiver has.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle_state::{AlertChanges, Store};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::channel::Sender;
use super::model::Message;
use super::outbox::{Next, Outbox, Standing, Unsent};
use crate::failpoint;

/// What a channel's task and the engine share.
#[derive(Debug, Default)]
pub(super) struct Post {
    outbox: Mutex<Outbox>,
    more: Notify,
}

impl Post {
    /// What waits; nothing is awaited while it is held.
    pub(super) fn outbox(&self) -> MutexGuard<'_, Outbox> {
        self.outbox.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Adds a message, and wakes the task. Gives the numbers of those that are given up for it.
    pub(super) fn add(&self, number: u64, message: Message) -> Vec<u64> {
        let given_up = self.outbox().add(number, message);
        self.more.notify_one();
        given_up
    }
}

/// What the task works with.
pub(super) struct Work {
    /// The channel's name.
    pub name: String,
    pub sender: Sender,
    pub post: Arc<Post>,
    pub store: Arc<Store>,
    /// The steady clock's zero.
    pub zero: Instant,
    /// No further message is begun.
    pub end: CancellationToken,
}

/// A channel's task: one message after the other.
pub(super) async fn work(work: Work) {
    let Work { name, sender, post, store, zero, end } = work;
    loop {
        let next = post.outbox().next(zero.elapsed());
        let (number, message) = match next {
            Next::Send(number, message) if !end.is_cancelled() => (number, message),
            Next::Send(..) => return,
            Next::Wait(until) => {
                tokio::select! {
                    () = end.cancelled() => return,
                    () = post.more.notified() => {}
                    () = tokio::time::sleep(until.saturating_sub(zero.elapsed())) => {}
                }
                continue;
            }
            Next::Idle => {
                tokio::select! {
                    () = end.cancelled() => return,
                    () = post.more.notified() => {}
                }
                continue;
            }
        };
        let sent = sender.send(&message).await;
        failpoint::hit("alert_sent");
        settle(&name, &post, &store, number, &message, &sent, zero.elapsed());
    }
}

/// What became of a message.
fn settle(
    channel: &str,
    post: &Post,
    store: &Store,
    number: u64,
    message: &Message,
    sent: &Result<(), Unsent>,
    now: Duration,
) {
    let at = Timestamp::now();
    let is_done = match sent {
        Ok(()) => {
            if post.outbox().told(number) {
                tracing::info!(channel, "the channel of alerts works again");
            }
            true
        }
        Err(why) => {
            let failure = post.outbox().failed(number, why, now, at, rand::random_range(0.0..1.0));
            match failure.standing {
                Standing::First => {
                    tracing::warn!(channel, error = %why, "an alert could not be told; it is tried again");
                }
                Standing::Again => tracing::debug!(channel, error = %why, "an alert could not be told"),
                Standing::Long => tracing::error!(channel, error = %why, "the channel of alerts fails for long"),
            }
            if failure.is_given_up {
                tracing::error!(channel, alert = %message.id, error = %why, "an alert is given up: it was refused for a day");
            }
            failure.is_given_up
        }
    };
    let changes = AlertChanges { forget: vec![number], ..AlertChanges::default() };
    if is_done && let Err(error) = store.change_alerts(&changes) {
        tracing::warn!(channel, %error, "an alert that was told is still kept: it may be told again after a restart");
    }
}
