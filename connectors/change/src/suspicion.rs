//! Why what is held of a table, or of a row of it, can't be trusted any more.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What a source's log does not say, or what nobody could read of it. Kept on disk by number: new ones come last.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Suspicion {
    /// The table was dropped or made anew, or rows went or came with a part of it (MY-40).
    Replaced,
    /// A change is in the log as text (MY-33).
    LoggedAsText,
    /// A foreign key of another table may have changed rows (MY-31).
    ForeignKey,
    /// A transaction was rolled back that had changed tables without transactions, whose changes stay (MY-29, MY-30).
    RolledBack,
    /// The server lost a part of its log (MY-36).
    LogLost,
    /// The log does not name the columns, and the catalogue has another number of them (MY-52).
    NoColumnNames,
    /// The log does not name the columns, and the catalogue was not read since they were changed.
    CatalogBehind,
    /// A column of the row key is not in the table.
    NoKeyColumn,
    /// A row came without a value for its key.
    NoKeyValue,
    /// A document changed in part, and the log does not have the rest (MY-57). Of a single row.
    PartOfDocument,
    /// A distributed transaction was committed that had been prepared before anything was read (MY-28).
    NeverPrepared,
    /// For a while the table lacked a column that it has again: what rows of that time hold in it is not in the log.
    SchemaPassed,
    /// The publication did not have the table, or a part of it, for a while (PostgreSQL).
    NotPublished,
}

impl Suspicion {
    /// Nothing of the table may be delivered until it is read again: rows of it may be put together from old and new, or
    /// changes of it are lost as long as this lasts. Otherwise what is delivered is true, and no older than what was
    /// delivered before; only something is missing.
    pub fn holds(self) -> bool {
        match self {
            Self::Replaced
            | Self::LogLost
            | Self::NoColumnNames
            | Self::CatalogBehind
            | Self::NoKeyColumn
            | Self::SchemaPassed
            | Self::NotPublished => true,
            Self::LoggedAsText
            | Self::ForeignKey
            | Self::RolledBack
            | Self::NoKeyValue
            | Self::PartOfDocument
            | Self::NeverPrepared => false,
        }
    }
}

impl fmt::Display for Suspicion {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Replaced => "the table was made anew or lost rows, which the log does not say row by row",
            Self::LoggedAsText => "a change was logged as a statement, not row by row",
            Self::ForeignKey => "a foreign key may have changed rows, which the log does not say",
            Self::RolledBack => "a transaction was rolled back that had changed tables without transactions",
            Self::LogLost => "the server lost a part of its log",
            Self::NoColumnNames => {
                "the log does not name the table's columns, and the catalogue has another number of them: \
                 SET GLOBAL binlog_row_metadata = 'FULL'"
            }
            Self::CatalogBehind => {
                "the table was changed, the log does not name its columns, and the catalogue was not read since"
            }
            Self::NoKeyColumn => "a column of the row key is not in the table",
            Self::NoKeyValue => "a row came without a value for its key",
            Self::PartOfDocument => "a JSON document changed in part, and the log does not have the rest",
            Self::SchemaPassed => "for a while the table lacked a column that it has again",
            Self::NotPublished => "the publication did not have all of the table for a while",
            Self::NeverPrepared => "a distributed transaction was committed whose changes were never read",
        })
    }
}
