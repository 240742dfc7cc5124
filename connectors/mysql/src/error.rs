//! What can go wrong with a MySQL or MariaDB source, and who can do something about it. No variant carries a cell's value
//! or a secret.

use passerelle_change::Class;

use crate::wire::Malformed;

/// What went wrong.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// Bytes that are not the binary log.
    #[error("the server sent what is not its binary log: {0}")]
    Malformed(#[from] Malformed),
    /// An event that is neither known nor may be skipped (MY-47).
    #[error("the log has {name} (type {kind}), which is not known here and may not be skipped")]
    UnknownEvent {
        /// Its type.
        kind: u8,
        /// Its name, where it has one.
        name: &'static str,
    },
    /// Changes in a form that servers wrote before MySQL 5.1 (MY-53).
    #[error("the log has {name}, which only servers before MySQL 5.1 write")]
    TooOld {
        /// The event's name.
        name: &'static str,
    },
}

impl Error {
    /// Who can do something about it, and what.
    pub fn class(&self) -> Class {
        match self {
            Self::Malformed(_) => Class::Fatal,
            Self::UnknownEvent { .. } => Class::Operator {
                hint: "the server is newer than this program, or a feature of its log is on that it does not read: \
                       look for a newer version, or switch the feature off and run `passerelle recover SOURCE`"
                    .to_owned(),
            },
            Self::TooOld { .. } => Class::Operator {
                hint: "upgrade the server that wrote the log, and run `passerelle recover SOURCE`".to_owned(),
            },
        }
    }
}
