//! What is asked of the daemon through the status socket.

use std::sync::Arc;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, oneshot};

use super::board::Board;
use super::model::{DeadLetter, DeadLetterPage};
use crate::drift::Decision;

/// Where the answer goes. One who has stopped waiting is no fault.
pub type Reply<T> = oneshot::Sender<Result<T, CommandError>>;

/// Requests that may wait for the daemon; one more is refused as busy.
pub const QUEUE: usize = 64;

/// What is asked of the daemon.
#[derive(Debug)]
pub enum Request {
    /// Which dead letters there are, oldest first.
    ListDeadLetters {
        /// Which of them.
        query: DeadLetterQuery,
        /// The page.
        reply: Reply<DeadLetterPage>,
    },
    /// One dead letter with its payload.
    ShowDeadLetter {
        /// Its mapping.
        mapping: String,
        /// Its row key.
        key: String,
        /// The dead letter.
        reply: Reply<DeadLetter>,
    },
    /// Try dead letters again, with the newest state of their rows.
    RetryDeadLetters {
        /// Which of them.
        retry: Retry,
        /// How many.
        reply: Reply<Done>,
    },
    /// Forget one dead letter. Its row is delivered again when it changes.
    DropDeadLetter {
        /// Its mapping.
        mapping: String,
        /// Its row key.
        key: String,
        /// What was done.
        reply: Reply<Done>,
    },
    /// Decide about what has changed of a mapping's table.
    AcceptDrift {
        /// What, and about which mapping.
        accept: AcceptDrift,
        /// What was done.
        reply: Reply<Done>,
    },
    /// Stop a part until it is resumed, over restarts.
    Pause {
        /// Which part.
        target: Target,
        /// What was done.
        reply: Reply<Done>,
    },
    /// Let a part go on.
    Resume {
        /// Which part.
        target: Target,
        /// Lets deletions through that the guard holds.
        confirm: bool,
        /// What was done.
        reply: Reply<Done>,
    },
    /// Read the configuration again, and run it.
    Reload {
        /// Say what would change, and change nothing.
        dry_run: bool,
        /// What changed.
        reply: Reply<Done>,
    },
    /// Send a test through channels of alerts.
    TestAlerts {
        /// This one; `None` for all.
        name: Option<String>,
        /// What became of it, a line a channel.
        reply: Reply<Done>,
    },
    /// Bring the figures on the board up to date that are dear to reckon: pending counts, facts of the server. Sent
    /// before a reading, which waits for it only briefly.
    Refresh {
        /// When it is done.
        reply: Reply<()>,
    },
}

/// What is decided about a mapping whose table has changed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct AcceptDrift {
    /// The mapping.
    pub mapping: String,
    /// What is said of its columns; nothing where all of it is taken as the database tells.
    pub decisions: Vec<Decision>,
    /// The mark of what was shown ([`Drift::seen`](super::model::Drift::seen)): refused where it is something else by now.
    pub seen: Option<String>,
    /// Say what would be, and decide nothing.
    pub dry_run: bool,
}

/// Which dead letters to list.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DeadLetterQuery {
    /// Of this mapping only.
    pub mapping: Option<String>,
    /// At most so many; the server caps it.
    pub limit: Option<usize>,
    /// After this one: `next` of the page before.
    pub after: Option<String>,
}

/// Which dead letters to try again. What is set narrows the choice; nothing set needs `all`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Retry {
    /// Of this mapping.
    pub mapping: Option<String>,
    /// Of this row key; needs the mapping.
    pub key: Option<String>,
    /// With this code.
    pub code: Option<String>,
    /// All of them, or all that the others leave.
    pub all: bool,
}

/// What is paused or resumed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// A mapping.
    Mapping(String),
    /// A CRM.
    Crm(String),
    /// A source: its server keeps its log meanwhile.
    Source(String),
    /// Whatever has this name.
    Named(String),
    /// Every write to every CRM; capture goes on.
    Writes,
    /// Everything that a command can pause.
    All,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Mapping(name) => write!(f, "mapping {name}"),
            Self::Crm(name) => write!(f, "crm {name}"),
            Self::Source(name) => write!(f, "source {name}"),
            Self::Named(name) => write!(f, "{name}"),
            Self::Writes => f.write_str("all writes"),
            Self::All => f.write_str("everything"),
        }
    }
}

/// What a command did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Done {
    /// In a sentence.
    pub message: String,
    /// How many things it touched.
    pub affected: u64,
    /// What there is to say beside, a line each.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lines: Vec<String>,
}

/// Why a command did nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error("{message}")]
pub struct CommandError {
    /// Which kind of fault.
    pub code: CommandFault,
    /// What happened.
    pub message: String,
    /// What to do.
    pub hint: Option<String>,
}

/// Kinds of faults of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum CommandFault {
    /// Nothing has that name (404).
    NotFound,
    /// Not in this state (409).
    Conflict,
    /// The request makes no sense (400).
    Invalid,
    /// Not this user (403).
    Forbidden,
    /// Not now: busy, starting or stopping (503).
    Unavailable,
    /// A fault of ours (500).
    Failed,
}

impl Done {
    /// It touched so many things.
    pub fn new(message: impl Into<String>, affected: u64) -> Self {
        Self { message: message.into(), affected, lines: Vec::new() }
    }
}

impl CommandError {
    /// A fault without a hint.
    pub fn new(code: CommandFault, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The same with what to do.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }
}

/// The server's end of the daemon: what it reads and where it sends.
#[derive(Clone, Debug)]
pub struct Handle {
    /// What the pipelines publish.
    pub board: Arc<Board>,
    /// To the daemon.
    pub requests: mpsc::Sender<Request>,
}

impl Handle {
    /// Sends a request and waits for its answer. The caller bounds the wait.
    pub async fn ask<T>(&self, make: impl FnOnce(Reply<T>) -> Request) -> Result<T, CommandError> {
        let (reply, answer) = oneshot::channel();
        self.requests.try_send(make(reply)).map_err(|refused| match refused {
            mpsc::error::TrySendError::Full(_) => {
                CommandError::new(CommandFault::Unavailable, "the daemon is busy with other commands")
            }
            mpsc::error::TrySendError::Closed(_) => {
                CommandError::new(CommandFault::Unavailable, "the daemon is stopping")
            }
        })?;
        answer.await.unwrap_or_else(|_| {
            Err(CommandError::new(CommandFault::Unavailable, "the daemon stopped before it had answered"))
        })
    }
}
