//! The shell: looks at the board every second, keeps what has changed, and hands messages to the channels.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use jiff::Timestamp;
use passerelle_state::{AlertChanges, StateError, Store, Telling};
use tokio::sync::{mpsc, watch};
use tokio::task::{JoinHandle, JoinSet};
use tokio_util::sync::CancellationToken;

use super::book::{Book, Changes, Look, Open};
use super::channel::Sender;
use super::look::{Documents, look};
use super::model::{Alert, Event, Message};
use super::setting::Setting;
use super::trial::{Test, TestReply, try_channels};
use super::worker::{Post, Work, work};
use crate::config::Config;
use crate::config::model::{AlertChannel, Severity};
use crate::control::board::Board;
use crate::control::model::{AlertChannelStatus, AlertStatus};
use crate::control::request::{CommandError, CommandFault, Handle, Request};
use crate::failpoint;

/// Between two looks at the board.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A look after a longer time than this counts as one after this: the machine was suspended, or stood still.
const LONGEST_PASSED: Duration = Duration::from_secs(5);
/// Between two wishes for the figures that are dear to reckon, such as dead letters and what the server keeps of its log.
const REFRESH_EVERY: Duration = Duration::from_secs(30);
/// Longer than that a refresh is not waited for.
const REFRESH_WITHIN: Duration = Duration::from_secs(20);
/// What is under way at the end has this long. What is not told by then is told after the next start.
const END_WITHIN: Duration = Duration::from_secs(3);
/// Tests of channels that may wait.
const TESTS: usize = 4;

/// The alerts of a daemon: they go on over reloads of its configuration.
#[derive(Debug)]
pub struct Alerts {
    setting: watch::Sender<Option<Arc<Setting>>>,
    tests: mpsc::Sender<Test>,
    stop: CancellationToken,
    task: Mutex<Option<JoinHandle<()>>>,
}

/// Starts them with what is kept. Nothing is looked at before the first [`Alerts::configure`].
///
/// # Errors
/// When the state can't be read.
pub fn start(handle: Handle, store: Arc<Store>) -> Result<Alerts, StateError> {
    let book = Book::restored(store.alerts()?);
    let untold: Vec<(u64, Message)> =
        store.tellings()?.into_iter().filter_map(|telling| Some((telling.number, read(&telling)?))).collect();
    let (setting, settings) = watch::channel(None);
    let (tests, wishes) = mpsc::channel(TESTS);
    let stop = CancellationToken::new();
    let last_number = untold.last().map_or(0, |(number, _)| *number);
    let engine = Engine {
        board: Arc::clone(&handle.board),
        store,
        book,
        untold,
        last_number,
        channels: BTreeMap::new(),
        began: Instant::now(),
        looked: Instant::now(),
    };
    let ran = run(engine, settings, wishes, stop.clone());
    let refreshing = refresh(handle, stop.clone());
    let task = tokio::spawn(async move {
        tokio::join!(ran, refreshing);
    });
    Ok(Alerts { setting, tests, stop, task: Mutex::new(Some(task)) })
}

impl Alerts {
    /// Goes by this configuration from now on.
    pub fn configure(&self, config: &Config) {
        self.setting.send_replace(Some(Arc::new(Setting::of(config))));
    }

    /// Sends a test through a channel, or through all. Does not wait for it.
    pub fn test(&self, name: Option<String>, reply: TestReply) {
        if let Err(refused) = self.tests.try_send(Test { name, reply }) {
            let busy = CommandError::new(CommandFault::Unavailable, "other tests of channels are under way");
            let (mpsc::error::TrySendError::Full(test) | mpsc::error::TrySendError::Closed(test)) = refused;
            // One who has stopped waiting is no fault.
            let _ = test.reply.send(Err(busy));
        }
    }

    /// Ends them. What is under way has a few seconds; what is not told is kept.
    pub async fn stop(&self) -> anyhow::Result<()> {
        self.stop.cancel();
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        match task {
            Some(task) => task.await.context("the alerts"),
            None => Ok(()),
        }
    }
}

struct Engine {
    board: Arc<Board>,
    store: Arc<Store>,
    book: Book,
    /// Messages of the last life, until their channels are there.
    untold: Vec<(u64, Message)>,
    last_number: u64,
    channels: BTreeMap<String, Channel>,
    /// The steady clock's zero.
    began: Instant,
    looked: Instant,
}

/// A channel with its own task.
struct Channel {
    config: Arc<AlertChannel>,
    post: Arc<Post>,
    task: JoinHandle<()>,
    /// No further message is begun.
    end: CancellationToken,
}

async fn run(
    mut engine: Engine,
    mut settings: watch::Receiver<Option<Arc<Setting>>>,
    mut tests: mpsc::Receiver<Test>,
    stop: CancellationToken,
) {
    let mut setting: Option<Arc<Setting>> = None;
    let mut tick = tokio::time::interval(LOOK_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    let mut testing = JoinSet::new();
    loop {
        tokio::select! {
            () = stop.cancelled() => break,
            Ok(()) = settings.changed() => {
                setting.clone_from(&settings.borrow_and_update());
                if let Some(setting) = &setting {
                    engine.configure(setting);
                }
            }
            _ = tick.tick() => if let Some(setting) = &setting { engine.look(setting) },
            Some(test) = tests.recv(), if setting.is_some() => {
                let channels = setting.as_ref().map(|setting| setting.channels.clone()).unwrap_or_default();
                testing.spawn(try_channels(channels, test));
            }
            Some(_) = testing.join_next() => {}
        }
    }
    engine.end().await;
}

/// Asks now and then for the figures that are dear to reckon.
async fn refresh(handle: Handle, stop: CancellationToken) {
    let mut tick = tokio::time::interval_at(tokio::time::Instant::now() + LOOK_EVERY, REFRESH_EVERY);
    tick.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = tick.tick() => {}
        }
        let asked = tokio::time::timeout(REFRESH_WITHIN, handle.ask(|reply| Request::Refresh { reply }));
        tokio::select! {
            () = stop.cancelled() => return,
            answer = asked => if !matches!(answer, Ok(Ok(()))) {
                tracing::debug!("figures were not refreshed for the alerts");
            },
        }
    }
}

impl Engine {
    /// Ends the channels and begins those of the configuration. What is under way goes on to its end first.
    fn configure(&mut self, setting: &Setting) {
        let mut before = std::mem::take(&mut self.channels);
        for (name, config) in &setting.channels {
            let old = before.remove(name);
            let post = old.as_ref().map_or_else(|| Arc::new(Post::default()), |old| Arc::clone(&old.post));
            post.outbox().begin_anew();
            let previous = old.map(|old| {
                old.end.cancel();
                old.task
            });
            let end = CancellationToken::new();
            let work = work(Work {
                name: name.clone(),
                sender: Sender::new(config),
                post: Arc::clone(&post),
                store: Arc::clone(&self.store),
                zero: self.began,
                end: end.clone(),
            });
            let task = tokio::spawn(async move {
                if let Some(previous) = previous {
                    let _ = previous.await;
                }
                work.await;
            });
            self.channels.insert(name.clone(), Channel { config: Arc::clone(config), post, task, end });
        }
        let mut nobodys: Vec<u64> = Vec::new();
        for old in before.into_values() {
            old.end.cancel();
            nobodys.extend(old.post.outbox().numbers());
        }
        for (number, message) in std::mem::take(&mut self.untold) {
            match self.channels.get(&message.channel) {
                Some(channel) => drop(channel.post.add(number, message)),
                None => nobodys.push(number),
            }
        }
        let changes = AlertChanges { forget: nobodys, ..AlertChanges::default() };
        if !changes.is_empty()
            && let Err(error) = self.store.change_alerts(&changes)
        {
            tracing::warn!(%error, "messages of channels that are not configured any more are still kept");
        }
    }

    /// One look: what has changed is kept first, then it is told.
    fn look(&mut self, setting: &Setting) {
        let now = Instant::now();
        let look_at = Look { at: Timestamp::now(), passed: (now - self.looked).min(LONGEST_PASSED) };
        self.looked = now;
        let (status, offsets) = (self.board.status(look_at.at), self.board.offsets_document());
        let documents = Documents { status: &status, offsets: &offsets, setting, now: look_at.at };
        let mut book = self.book.clone();
        let Changes { messages, keep, journal } = book.look(look(&documents), setting, look_at);
        let messages: Vec<(u64, Message)> = messages.into_iter().map(|message| (self.number(), message)).collect();
        let tell = messages.iter().filter_map(|(number, message)| {
            Some(Telling { number: *number, text: serde_json::to_string(message).ok()? })
        });
        let changes = AlertChanges { alerts: keep, tell: tell.collect(), forget: Vec::new() };
        if !changes.is_empty() {
            if let Err(error) = self.store.change_alerts(&changes) {
                tracing::error!(%error, "alerts can't be kept, and are told once they can");
                return;
            }
            failpoint::hit("alert_kept");
        }
        self.book = book;
        for (event, alert) in &journal {
            note(*event, alert);
        }
        let mut given_up = Vec::new();
        for (number, message) in messages {
            if let Some(channel) = self.channels.get(&message.channel) {
                given_up.extend(channel.post.add(number, message));
            }
        }
        if !given_up.is_empty() {
            tracing::error!(
                messages = given_up.len(),
                "too many messages wait for a channel of alerts: the oldest are given up"
            );
            let changes = AlertChanges { forget: given_up, ..AlertChanges::default() };
            if let Err(error) = self.store.change_alerts(&changes) {
                tracing::warn!(%error, "messages that were given up are still kept");
            }
        }
        self.publish();
    }

    /// Above every number that was given before, also by an earlier life.
    fn number(&mut self) -> u64 {
        let clock = u64::try_from(Timestamp::now().as_microsecond()).unwrap_or_default();
        self.last_number = clock.max(self.last_number + 1);
        self.last_number
    }

    fn publish(&self) {
        let told = |open: &Open| {
            let told = self.channels.iter().filter(|(name, channel)| {
                open.channels.contains(*name) && !channel.post.outbox().is_untold(&open.alert.id)
            });
            told.map(|(name, _)| name.clone()).collect()
        };
        let alerts = self.book.open().map(|open| shown(&open.alert, told(open))).collect();
        let channels = self.channels.values().map(Channel::status).collect();
        self.board.alerts(alerts, channels);
    }

    async fn end(self) {
        let mut tasks = JoinSet::new();
        for channel in self.channels.into_values() {
            channel.end.cancel();
            tasks.spawn(async move {
                let mut task = channel.task;
                // What is dropped here is told after the next start, and a command ends with its group.
                if tokio::time::timeout(END_WITHIN, &mut task).await.is_err() {
                    task.abort();
                    let _ = task.await;
                }
            });
        }
        while tasks.join_next().await.is_some() {}
    }
}

impl Channel {
    fn status(&self) -> AlertChannelStatus {
        let outbox = self.post.outbox();
        AlertChannelStatus {
            name: self.config.name.clone(),
            kind: self.config.kind.word().to_owned(),
            waiting: outbox.len() as u64,
            told_total: outbox.told_total,
            lost_total: outbox.lost_total,
            failing_since: outbox.failing_since,
            last_error: outbox.last_error.clone(),
        }
    }
}

/// The journal's line.
fn note(event: Event, alert: &Alert) {
    let Alert { id, kind, severity, about, text, .. } = alert;
    let next = alert.next_command.as_deref().unwrap_or_default();
    match (event, severity) {
        (Event::Ended | Event::Test, _) => {
            tracing::info!(alert = %id, kind = kind.word(), "alert ended: {about}: {text}");
        }
        (Event::Began | Event::Changed, Severity::Critical) => {
            tracing::error!(alert = %id, kind = kind.word(), next, "alert {}: {about}: {text}", event.word());
        }
        (Event::Began | Event::Changed, Severity::Warning) => {
            tracing::warn!(alert = %id, kind = kind.word(), next, "alert {}: {about}: {text}", event.word());
        }
    }
}

fn shown(alert: &Alert, told: Vec<String>) -> AlertStatus {
    AlertStatus {
        id: alert.id.clone(),
        kind: alert.kind.word().to_owned(),
        severity: alert.severity,
        about: alert.about.to_string(),
        text: alert.text.clone(),
        next_command: alert.next_command.clone(),
        owner: alert.owner.clone(),
        since: Some(alert.since),
        told,
    }
}

/// A message as it was kept; what can't be read is nothing to be told.
fn read(telling: &Telling) -> Option<Message> {
    serde_json::from_str(&telling.text).ok()
}
