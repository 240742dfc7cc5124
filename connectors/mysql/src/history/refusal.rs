//! Why nothing is started.

use crate::position::LogPosition;

/// Why nothing is started.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum HistoryRefusal {
    /// It writes no log.
    #[error("the server writes no binary log")]
    NoLog,
    /// MY-10: without GTIDs a place in the log is one on that very server.
    #[error("this is another server: it is {server}, the checkpoint belongs to {ours}")]
    OtherServer {
        /// The one that the checkpoint belongs to.
        ours: String,
        /// The one that answers.
        server: String,
    },
    /// MY-10: it is the same server, and its log has something else where the checkpoint is.
    #[error(
        "the log has another history at our checkpoint {checkpoint}: the server was restored from a backup, or its log was reset"
    )]
    OtherHistory {
        /// The checkpoint.
        checkpoint: Box<LogPosition>,
    },
    /// MY-09, MY-21: the server knows less than we do.
    #[error(
        "the checkpoint {checkpoint} is beyond the end of the server's log {head}: the server was restored from a backup, its log was reset, or it is another one"
    )]
    AheadOfServer {
        /// The checkpoint.
        checkpoint: Box<LogPosition>,
        /// The end of the server's log.
        head: Box<LogPosition>,
        /// It is another server than the one we know: a replica that took over may still have to catch up.
        may_lag: bool,
    },
    /// MY-09: what comes after the checkpoint is not there any more.
    #[error("the server has thrown away changes after {checkpoint}: its oldest log is {oldest}")]
    Purged {
        /// The checkpoint.
        checkpoint: Box<LogPosition>,
        /// The oldest file that it has.
        oldest: String,
    },
    /// MY-22: another server than the one we know, and transactions have no names there.
    #[error("this is another server than the one we know, and its gtid_mode is not ON: places cannot be compared")]
    GtidsOff,
}

impl HistoryRefusal {
    /// A word for status and metrics that never changes.
    pub fn code(&self) -> &'static str {
        match self {
            Self::NoLog => "log_off",
            Self::OtherServer { .. } => "other_server",
            Self::OtherHistory { .. } => "other_history",
            Self::AheadOfServer { .. } => "ahead_of_server",
            Self::Purged { .. } => "log_purged",
            Self::GtidsOff => "gtids_off",
        }
    }

    /// Whether it may pass by itself: a replica that took over may catch up.
    pub fn may_pass(&self) -> bool {
        match self {
            Self::AheadOfServer { may_lag, .. } => *may_lag,
            Self::NoLog
            | Self::OtherServer { .. }
            | Self::OtherHistory { .. }
            | Self::Purged { .. }
            | Self::GtidsOff => false,
        }
    }

    /// The next safe command for the operator: a shell command, SQL or a line of a configuration.
    pub fn next_command(&self, source: &str) -> String {
        match self {
            Self::NoLog => {
                "set log_bin = binlog and server_id = 1 in [mysqld] of the server, and restart it".to_owned()
            }
            Self::OtherServer { .. } | Self::OtherHistory { .. } | Self::AheadOfServer { .. } | Self::Purged { .. } => {
                format!("passerelle recover {source}")
            }
            Self::GtidsOff => format!(
                "set host in [source.{source}] to the server that was followed, or: SET GLOBAL gtid_mode = ON, in the steps that the server asks for"
            ),
        }
    }
}
