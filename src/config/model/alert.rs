//! `[alerts]` and `[alert.NAME]`: what is worth an alert, and whom it goes to.

use std::path::PathBuf;
use std::time::Duration;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};

/// `[alerts]`: from where on something is worth an alert.
#[derive(Clone, Debug, PartialEq)]
pub struct Alerts {
    /// The age of a commit that is not captured.
    pub lag: Duration,
    /// How long a source may be disconnected.
    pub source_down: Duration,
    /// How long a CRM may fail.
    pub crm_down: Duration,
    /// The share of a mapping's records that may be dead letters, 0.0 to 1.0.
    pub dead_letters: f64,
    /// How long a mapping may be later than its `freshness`.
    pub freshness: Duration,
    /// How long the forecast has to hold that a CRM's day is used up before it is over.
    pub quota: Duration,
    /// The share of `disk_budget` that the state may take, 0.0 to 1.0.
    pub disk_budget: f64,
    /// The forecast time to the disk budget.
    pub disk_full: Duration,
    /// The forecast time until log that is needed is lost.
    pub log_lost: Duration,
    /// How long something has to be over before its end is told.
    pub quiet: Duration,
}

/// `[alert.NAME]`: a channel.
#[derive(Clone, Debug)]
pub struct AlertChannel {
    /// Its name.
    pub name: String,
    /// How it tells.
    pub kind: ChannelKind,
    /// The kinds of alerts that it tells.
    pub on: Vec<AlertKind>,
    /// The least severity that it tells.
    pub severity: Severity,
    /// Only what touches mappings of these sources; `None` for all.
    pub sources: Option<Vec<String>>,
    /// Only what touches these mappings; `None` for all.
    pub mappings: Option<Vec<String>>,
    /// The most that one try may take.
    pub timeout: Duration,
}

/// How a channel tells.
#[derive(Clone, Debug)]
pub enum ChannelKind {
    /// By an HTTP request.
    Webhook(Webhook),
    /// By a program that is run.
    Command {
        /// The program and its arguments; at least the program.
        argv: Vec<String>,
    },
    /// By e-mail over SMTP.
    Email(Email),
}

/// `kind = "webhook"`.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Where to. It may hold a secret, as those of Slack do, and is never shown.
    pub url: SecretString,
    /// What the body looks like.
    pub format: WebhookFormat,
    /// What bodies are signed with.
    pub secret: Option<SecretString>,
    /// Address of the proxy that requests go through; the environment's is not used.
    pub proxy: Option<String>,
    /// PEM file of authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// `format` of a webhook.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum WebhookFormat {
    /// The alert's own document.
    Json,
    /// What Slack's incoming webhooks take.
    Slack,
}

/// `kind = "email"`.
#[derive(Clone, Debug)]
pub struct Email {
    /// The mail server's name or address.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is protected.
    pub tls: MailTls,
    /// PEM file of authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
    /// The sender's address.
    pub from: String,
    /// The receivers' addresses; at least one.
    pub to: Vec<String>,
    /// The mapping's `owner` gets a copy, where it is an address.
    pub to_owner: bool,
    /// The user and the password, where the server asks for them.
    pub login: Option<(String, SecretString)>,
}

/// `tls` of an e-mail channel.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MailTls {
    /// Never.
    None,
    /// Plain text at first, then always TLS.
    StartTls,
    /// From the first byte.
    Tls,
}

/// What an alert is about; a word of `on`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum AlertKind {
    /// The schema of a table has changed under a mapping.
    Drift,
    /// The catalogue of a source can't be read.
    Catalog,
    /// Capture is behind.
    Lag,
    /// A source is disconnected or stopped.
    SourceDown,
    /// A CRM is not reached, or fails.
    CrmDown,
    /// Too many records of a mapping are refused for good.
    DeadLetters,
    /// A mapping is later than its `freshness`.
    Freshness,
    /// A CRM's day is, or will be, used up.
    Quota,
    /// The guard holds deletions.
    Guard,
    /// The disk budget is near or reached.
    DiskBudget,
    /// The source's server is about to drop log that is needed.
    LogLost,
    /// A mapping is held.
    MappingHeld,
}

/// How bad an alert is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Somebody should look at it today.
    #[default]
    Warning,
    /// Data does not arrive, or will be lost.
    Critical,
}

impl AlertKind {
    /// All of them, each with its word.
    pub const ALL: [(&'static str, Self); 12] = [
        ("drift", Self::Drift),
        ("catalog", Self::Catalog),
        ("lag", Self::Lag),
        ("source_down", Self::SourceDown),
        ("crm_down", Self::CrmDown),
        ("dead_letters", Self::DeadLetters),
        ("freshness", Self::Freshness),
        ("quota", Self::Quota),
        ("guard", Self::Guard),
        ("disk_budget", Self::DiskBudget),
        ("log_lost", Self::LogLost),
        ("mapping_held", Self::MappingHeld),
    ];

    /// Its word.
    pub fn word(self) -> &'static str {
        Self::ALL.iter().find(|(_, kind)| *kind == self).map_or("", |(word, _)| *word)
    }
}

impl Severity {
    /// Its word.
    pub fn word(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl ChannelKind {
    /// Its word.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Command { .. } => "command",
            Self::Email(_) => "email",
        }
    }
}

impl AlertChannel {
    /// Whether it tells alerts of a kind, as bad as that.
    pub fn tells(&self, kind: AlertKind, severity: Severity) -> bool {
        self.on.contains(&kind) && severity >= self.severity
    }

    /// Whether it tells of what touches a mapping of a source.
    pub fn is_of(&self, mapping: &str, source: &str) -> bool {
        let among = |names: &Option<Vec<String>>, name: &str| {
            names.as_ref().is_none_or(|names| names.iter().any(|known| known == name))
        };
        among(&self.mappings, mapping) && among(&self.sources, source)
    }
}
