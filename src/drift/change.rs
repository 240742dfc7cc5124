//! The words of drift: what changed, what it does to a mapping, what was decided about it.

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::Type;
use serde::{Deserialize, Serialize};

/// One change of a table, between the schema that a mapping was written for and the one it has now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Change {
    /// The table is not there any more.
    TableDropped,
    /// It goes by another name now.
    TableRenamed {
        /// Schema and name.
        to: String,
    },
    /// Another table stands under its name: dropped and made anew, or swapped by an online schema change.
    TableReplaced,
    /// Its rows are not published any more (PostgreSQL).
    Unpublished,
    /// A column is new.
    ColumnAdded {
        /// Its name.
        column: String,
    },
    /// A column is gone.
    ColumnDropped {
        /// Its name.
        column: String,
    },
    /// A column has another name.
    ColumnRenamed {
        /// As the mapping knows it.
        column: String,
        /// As it is called now.
        to: String,
        /// The database itself says so (PostgreSQL by the column's number, MySQL by the statement). Otherwise it is a guess by
        /// place and type.
        is_certain: bool,
    },
    /// A column holds another type.
    Retyped {
        /// Its name.
        column: String,
        /// The database's own spelling, before.
        from: String,
        /// And now.
        to: String,
        /// What it holds now.
        ty: Type,
        /// What becomes of values.
        how: Retyping,
    },
    /// Its values were written anew, without a word in the log about each row (`ALTER … TYPE … USING`).
    Rewritten {
        /// Its name.
        column: String,
    },
    /// Null may occur now.
    NullAllowed {
        /// Its name.
        column: String,
    },
    /// Null may not occur any more.
    NullRefused {
        /// Its name.
        column: String,
    },
    /// New rows begin with another value.
    DefaultChanged {
        /// Its name.
        column: String,
        /// Before.
        from: Option<String>,
        /// And now.
        to: Option<String>,
    },
    /// An enum has a new label.
    LabelAdded {
        /// The column.
        column: String,
        /// The label.
        label: String,
    },
    /// An enum has lost a label.
    LabelRemoved {
        /// The column.
        column: String,
        /// The label.
        label: String,
    },
    /// A label has another name: rows that did not change have it, without a word in the log (PG-24).
    LabelRenamed {
        /// The column.
        column: String,
        /// Before.
        from: String,
        /// And now.
        to: String,
    },
    /// Text is kept in another character set.
    CharsetChanged {
        /// The column.
        column: String,
        /// Before.
        from: String,
        /// And now.
        to: String,
    },
    /// A column is computed by the database now, or is not any more.
    GeneratedChanged {
        /// The column.
        column: String,
        /// It is computed now.
        is_generated: bool,
    },
    /// The columns by which rows are known in the log are others.
    KeyChanged {
        /// Before.
        from: Vec<String>,
        /// And now; or why there are none.
        to: Result<Vec<String>, String>,
    },
    /// The log carries something else of a row before its change (REPLICA IDENTITY).
    IdentityChanged {
        /// Before.
        from: String,
        /// And now.
        to: String,
    },
    /// A partition came with its rows, of which the log says nothing.
    PartitionAttached {
        /// Its name.
        partition: String,
    },
    /// A partition left with its rows, of which the log says nothing.
    PartitionDetached {
        /// Its name.
        partition: String,
    },
    /// Our user may not read a column any more.
    Unreadable {
        /// The column.
        column: String,
    },
}

/// What becomes of a column's values when its type changes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Retyping {
    /// Each stays what it is: `int` to `bigint`, `varchar(40)` to `text`.
    Widened,
    /// Some may not fit any more: `text` to `varchar(40)`, `numeric(12,4)` to `numeric(12,2)`.
    Narrowed,
    /// It is another kind of value: `text` to `integer`.
    Converted,
}

/// How bad a change is for a mapping.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Nothing of what is delivered changes.
    None,
    /// Values may be cut, rounded, or come late.
    Lossy,
    /// What the mapping says can't be computed any more, or would write what is not so.
    Breaking,
}

/// A part of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of it.
    Whole,
    /// Its `key`.
    Key,
    /// Its `where`.
    Where,
    /// Its `deleted`.
    Deleted,
    /// A field, by its name in the CRM.
    Field(String),
}

/// What one change does to one part of a mapping.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Effect {
    /// Which part.
    pub part: Part,
    /// How bad.
    pub severity: Severity,
    /// In a sentence, lower-case, without a full stop.
    pub text: String,
}

/// What a person decides about one column of a held mapping.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// `--rename old=new`: what the mapping calls `column` is the column `to` now.
    Rename {
        /// As the mapping calls it.
        column: String,
        /// As it is called now.
        to: String,
    },
    /// `--drop COLUMN`: fields that need it are left out; what they wrote stays in the CRM.
    Drop(String),
    /// `--as-null COLUMN`: it is null in every row.
    AsNull(String),
    /// `--reload COLUMN`: its values are read from the table again.
    Reload(String),
}

/// What was decided about a mapping, as it is applied until the mapping itself is written anew. Empty at first.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Patch {
    /// From the name that the mapping uses to the column's name now.
    pub renamed: BTreeMap<String, String>,
    /// Columns without which the mapping goes on: fields that need them are left out.
    pub dropped: BTreeSet<String>,
    /// Columns that are null in every row.
    pub nulls: BTreeSet<String>,
}
