//! The words: an alert, what it is about, and a message about it. As they are kept in the state, as JSON.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::model::{AlertKind, Severity};

/// What an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum About {
    /// The daemon itself.
    Daemon,
    /// A source, by its name.
    Source(String),
    /// A CRM.
    Crm(String),
    /// A mapping.
    Mapping(String),
}

/// Something that is wrong, from its beginning to its end.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Alert {
    /// Its name among all that ever were, 16 characters.
    pub id: String,
    /// Which kind.
    pub kind: AlertKind,
    /// How bad it has become.
    pub severity: Severity,
    /// What it is about.
    pub about: About,
    /// The mapping's source and CRM, where it is about a mapping.
    pub of: Option<(String, String)>,
    /// In a sentence, lower-case, without its full stop.
    pub text: String,
    /// What to run next.
    pub next_command: Option<String>,
    /// The mapping's owner.
    pub owner: Option<String>,
    /// Since when.
    pub since: Timestamp,
}

/// What a message says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Event {
    /// Something is wrong.
    Began,
    /// It has become worse, or there is more of it.
    Changed,
    /// It is over.
    Ended,
    /// Nothing is wrong: somebody tries the channel.
    Test,
}

/// What a channel tells.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Message {
    /// Its name: a receiver that has seen it passes over it.
    pub id: String,
    /// The channel.
    pub channel: String,
    /// Whom a copy is for, in place of the channel's own receivers.
    pub copy_to: Option<String>,
    /// What it says.
    pub event: Event,
    /// When that was seen.
    pub at: Timestamp,
    /// The alert as it was then.
    pub alert: Alert,
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Daemon => f.write_str("daemon"),
            Self::Source(name) => write!(f, "source {name}"),
            Self::Crm(name) => write!(f, "crm {name}"),
            Self::Mapping(name) => write!(f, "mapping {name}"),
        }
    }
}

impl Event {
    /// Its word.
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Began => "began",
            Self::Changed => "changed",
            Self::Ended => "ended",
            Self::Test => "test",
        }
    }
}

impl Alert {
    /// The source that it is about, or that its mapping reads.
    pub(super) fn source(&self) -> Option<&str> {
        match &self.about {
            About::Source(name) => Some(name),
            About::Mapping(_) => self.of.as_ref().map(|(source, _)| source.as_str()),
            About::Daemon | About::Crm(_) => None,
        }
    }

    /// The CRM that it is about, or that its mapping writes to.
    pub(super) fn crm(&self) -> Option<&str> {
        match &self.about {
            About::Crm(name) => Some(name),
            About::Mapping(_) => self.of.as_ref().map(|(_, crm)| crm.as_str()),
            About::Daemon | About::Source(_) => None,
        }
    }

    /// The mapping that it is about.
    pub(super) fn mapping(&self) -> Option<&str> {
        match &self.about {
            About::Mapping(name) => Some(name),
            About::Daemon | About::Source(_) | About::Crm(_) => None,
        }
    }
}

impl Message {
    /// The kind of its alert; `test` where there is none.
    pub(super) fn kind(&self) -> &'static str {
        match self.event {
            Event::Began | Event::Changed | Event::Ended => self.alert.kind.word(),
            Event::Test => "test",
        }
    }

    /// One that tries a channel.
    pub(super) fn test(channel: &str, at: Timestamp) -> Self {
        let id = format!("test-{}", at.as_microsecond());
        let alert = Alert {
            id: id.clone(),
            kind: AlertKind::SourceDown,
            severity: Severity::Warning,
            about: About::Daemon,
            of: None,
            text: "this is a test of the channel: nothing is wrong".to_owned(),
            next_command: None,
            owner: None,
            since: at,
        };
        Self { id, channel: channel.to_owned(), copy_to: None, event: Event::Test, at, alert }
    }
}
