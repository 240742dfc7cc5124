//! Alerts in `/v1/status`.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::config::model::Severity;

/// Something that is wrong now.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertStatus {
    /// Its name, given when it began; every message about it carries it.
    pub id: String,
    /// A word of `on`: `lag`, `source_down`, …
    pub kind: String,
    /// How bad it is.
    pub severity: Severity,
    /// `source erp`, `crm sales`, `mapping contacts`, `daemon`.
    pub about: String,
    /// What is wrong, in a sentence.
    pub text: String,
    /// What to run next.
    pub next_command: Option<String>,
    /// The mapping's owner.
    pub owner: Option<String>,
    /// Since when.
    pub since: Option<Timestamp>,
    /// The channels that have told it.
    pub told: Vec<String>,
}

/// How a channel of alerts does.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AlertChannelStatus {
    /// Its name.
    pub name: String,
    /// `webhook`, `command`, `email`.
    pub kind: String,
    /// Messages that its receiver does not have yet.
    pub waiting: u64,
    /// Messages that its receiver took since the start.
    pub told_total: u64,
    /// Messages that were given up since the start: refused for a day, or more than may wait.
    pub lost_total: u64,
    /// Since when every try fails; `null` where the last one did not.
    pub failing_since: Option<Timestamp>,
    /// Why the last try failed.
    pub last_error: Option<String>,
}
