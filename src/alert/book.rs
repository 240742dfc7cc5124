//! Which alerts are open and who was told of them: pure.
//!
//! A condition becomes an alert when it has held for its grace, and an alert ends when nothing was seen of it for the quiet time.
//! What comes and goes counts up while it holds and down while it does not, so that a connection that breaks every minute is an
//! alert in the end, and one reconnect is none.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{Hash, Hasher};
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use super::look::{Condition, Seen};
use super::model::{About, Alert, Event, Message};
use super::setting::Setting;
use crate::config::alert::is_address;
use crate::config::model::{AlertChannel, AlertKind, ChannelKind};

/// More alerts than this are not open at once: an administrator reads no more, and the state stays small.
const MOST_OPEN: usize = 1_000;
/// News of one alert that are kept, and so told, beyond what it began with.
const MOST_NEWS: usize = 200;
/// What an alert says at most, in characters.
const LONGEST_TEXT: usize = 1_000;

/// What is open, and what is about to be.
#[derive(Clone, Debug, Default)]
pub(super) struct Book {
    open: BTreeMap<String, Open>,
    /// How long what is not an alert yet has held.
    arising: BTreeMap<String, Duration>,
}

/// An alert that has not ended, as it is kept.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Open {
    /// The alert.
    pub alert: Alert,
    /// What of it was told.
    news: BTreeSet<String>,
    /// The channels that were, or are being, told that it began.
    pub channels: BTreeSet<String>,
    /// How long nothing was seen of it.
    #[serde(skip)]
    quiet: Duration,
}

/// What a look changes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Changes {
    /// What is to be told, in this order.
    pub messages: Vec<Message>,
    /// Alerts to be kept, by their keys, or no longer.
    pub keep: Vec<(String, Option<String>)>,
    /// What began and what ended, for the journal.
    pub journal: Vec<(Event, Alert)>,
}

/// The time of a look.
#[derive(Clone, Copy, Debug)]
pub(super) struct Look {
    /// By the wall clock.
    pub at: Timestamp,
    /// Since the last look, by the steady one.
    pub passed: Duration,
}

impl Book {
    /// Goes on from what was kept. What can't be read is left out: it begins anew.
    pub(super) fn restored(kept: impl IntoIterator<Item = (String, String)>) -> Self {
        let read = |(key, text): (String, String)| Some((key, serde_json::from_str(&text).ok()?));
        Self { open: kept.into_iter().filter_map(read).collect(), arising: BTreeMap::new() }
    }

    /// What is open.
    pub(super) fn open(&self) -> impl Iterator<Item = &Open> {
        self.open.values()
    }

    /// Takes in what was seen.
    pub(super) fn look(&mut self, seen: Seen, setting: &Setting, look: Look) -> Changes {
        let mut changes = Changes::default();
        let Seen { conditions, unknown } = seen;
        let conditions: BTreeMap<String, Condition> =
            conditions.into_iter().map(|condition| (condition.key(), condition)).collect();
        let mut dirty = BTreeSet::new();
        self.fade(&conditions, look.passed);
        self.end_what_is_quiet(&conditions, &unknown, setting, look, &mut changes);
        for (key, condition) in conditions {
            if let Some(open) = self.open.get_mut(&key) {
                if open.go_on(condition, setting, look, &mut changes) {
                    dirty.insert(key);
                }
            } else if self.has_risen(&key, &condition, look.passed) && self.open.len() < MOST_OPEN {
                self.arising.remove(&key);
                let open = Open::new(&key, condition, setting, look);
                changes.journal.push((Event::Began, open.alert.clone()));
                dirty.insert(key.clone());
                self.open.insert(key, open);
            }
        }
        for (key, open) in &mut self.open {
            if open.tell_new_channels(setting, look, &mut changes) {
                dirty.insert(key.clone());
            }
        }
        // What serde writes of these can't fail.
        let text = |key: &String| self.open.get(key).and_then(|open| serde_json::to_string(open).ok());
        changes.keep.extend(dirty.iter().map(|key| (key.clone(), text(key))));
        changes
    }

    /// What does not hold any more is forgotten as fast as it was noted.
    fn fade(&mut self, conditions: &BTreeMap<String, Condition>, passed: Duration) {
        self.arising.retain(|key, held| {
            if !conditions.contains_key(key) {
                *held = held.saturating_sub(passed);
            }
            conditions.contains_key(key) || !held.is_zero()
        });
    }

    /// Whether a condition has held for its grace.
    fn has_risen(&mut self, key: &str, condition: &Condition, passed: Duration) -> bool {
        // It may have begun at any time since the last look; the first look at it counts for nothing.
        match self.arising.get_mut(key) {
            Some(held) => {
                *held += passed;
                *held >= condition.grace
            }
            None if condition.grace.is_zero() => true,
            None => {
                if self.arising.len() < MOST_OPEN {
                    self.arising.insert(key.to_owned(), Duration::ZERO);
                }
                false
            }
        }
    }

    fn end_what_is_quiet(
        &mut self,
        conditions: &BTreeMap<String, Condition>,
        unknown: &BTreeSet<(AlertKind, About)>,
        setting: &Setting,
        look: Look,
        changes: &mut Changes,
    ) {
        self.open.retain(|key, open| {
            let alert = &open.alert;
            let is_configured = setting.has(&alert.about);
            if is_configured {
                if conditions.contains_key(key) {
                    open.quiet = Duration::ZERO;
                    return true;
                }
                if unknown.contains(&(alert.kind, alert.about.clone())) {
                    return true;
                }
                open.quiet += look.passed;
                if open.quiet < quiet(alert.kind, setting) {
                    return true;
                }
            }
            let told = setting.channels.values().filter(|channel| open.channels.contains(&channel.name));
            changes.messages.extend(told.flat_map(|channel| messages(channel, alert, Event::Ended, look.at)));
            changes.journal.push((Event::Ended, alert.clone()));
            changes.keep.push((key.clone(), None));
            false
        });
    }
}

impl Open {
    fn new(key: &str, condition: Condition, setting: &Setting, look: Look) -> Self {
        let mut hasher = SipHasher13::new();
        (key, look.at.as_microsecond()).hash(&mut hasher);
        let watched = match &condition.about {
            About::Mapping(name) => setting.mappings.get(name),
            About::Daemon | About::Source(_) | About::Crm(_) => None,
        };
        let alert = Alert {
            id: format!("{:016x}", hasher.finish()),
            kind: condition.kind,
            severity: condition.severity,
            of: watched.map(|watched| (watched.source.clone(), watched.crm.clone())),
            text: shortened(&condition.text),
            next_command: condition.next_command,
            owner: watched.and_then(|watched| watched.owner.clone()),
            since: condition.since.unwrap_or(look.at),
            about: condition.about,
        };
        let news = condition.news.into_iter().take(MOST_NEWS).collect();
        Self { alert, news, channels: BTreeSet::new(), quiet: Duration::ZERO }
    }

    /// It still holds. Whether there is something new of it, which is told.
    fn go_on(&mut self, condition: Condition, setting: &Setting, look: Look, changes: &mut Changes) -> bool {
        self.alert.text = shortened(&condition.text);
        self.alert.next_command = condition.next_command;
        // What has been critical stays it to its end: who was called is not told that it is half as bad now.
        self.alert.severity = self.alert.severity.max(condition.severity);
        let before = self.news.len();
        self.news.extend(condition.news.into_iter().take(MOST_NEWS.saturating_sub(before)));
        if self.news.len() == before {
            return false;
        }
        let told = setting.channels.values().filter(|channel| self.channels.contains(&channel.name));
        changes.messages.extend(told.flat_map(|channel| messages(channel, &self.alert, Event::Changed, look.at)));
        changes.journal.push((Event::Changed, self.alert.clone()));
        true
    }

    /// Tells the channels that have not been told. Whether they are others than before.
    fn tell_new_channels(&mut self, setting: &Setting, look: Look, changes: &mut Changes) -> bool {
        let before = self.channels.len();
        // One that is configured again is told again: what it had not told was forgotten with it.
        self.channels.retain(|name| setting.channels.contains_key(name));
        let is_fewer = self.channels.len() < before;
        let alert = &self.alert;
        let new = setting.channels.values().filter(|channel| {
            !self.channels.contains(&channel.name)
                && channel.tells(alert.kind, alert.severity)
                && setting.concerns(channel, &alert.about)
        });
        let new: Vec<_> = new.collect();
        changes.messages.extend(new.iter().flat_map(|channel| messages(channel, alert, Event::Began, look.at)));
        self.channels.extend(new.iter().map(|channel| channel.name.clone()));
        is_fewer || !new.is_empty()
    }
}

/// How long nothing has to be seen of an alert. What a person ends has ended.
fn quiet(kind: AlertKind, setting: &Setting) -> Duration {
    const BY_A_PERSON: Duration = Duration::from_secs(30);
    let quiet = setting.limits.quiet;
    match kind {
        AlertKind::Drift | AlertKind::Guard | AlertKind::MappingHeld => quiet.min(BY_A_PERSON),
        AlertKind::Catalog
        | AlertKind::Lag
        | AlertKind::SourceDown
        | AlertKind::CrmDown
        | AlertKind::DeadLetters
        | AlertKind::Freshness
        | AlertKind::Quota
        | AlertKind::DiskBudget
        | AlertKind::LogLost => quiet,
    }
}

/// What a channel says: to its own receivers, and by e-mail to the owner.
fn messages(channel: &AlertChannel, alert: &Alert, event: Event, at: Timestamp) -> Vec<Message> {
    let id = match event {
        Event::Began | Event::Ended | Event::Test => format!("{}-{}", alert.id, event.word()),
        Event::Changed => format!("{}-{}-{}", alert.id, event.word(), at.as_microsecond()),
    };
    let message = Message { id, channel: channel.name.clone(), copy_to: None, event, at, alert: alert.clone() };
    let owner = match &channel.kind {
        ChannelKind::Email(email) if email.to_owner => {
            alert.owner.clone().filter(|owner| is_address(owner) && !email.to.contains(owner))
        }
        ChannelKind::Email(_) | ChannelKind::Webhook(_) | ChannelKind::Command { .. } => None,
    };
    let copy = owner.map(|owner| Message { copy_to: Some(owner), ..message.clone() });
    std::iter::once(message).chain(copy).collect()
}

fn shortened(text: &str) -> String {
    match text.char_indices().nth(LONGEST_TEXT) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

#[cfg(test)]
mod tests;
