//! The words of drift: what changed, what it does to a mapping, what was decided about it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use passerelle_change::Type;
use serde::{Deserialize, Serialize};

/// One change of a table, between the schema that a mapping was written for and the one it has now.
///
/// A column goes by the name that it had in the former, also where it has another one now; only one that is new goes by
/// its new name. `Display` is a sentence for people, lower-case, without a full stop.
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
    /// Another table stands under its name.
    TableReplaced {
        /// An online schema change has put a copy of it there (gh-ost, pt-online-schema-change): it has the same rows.
        /// Otherwise it was dropped and made anew, and may have any.
        by_swap: bool,
    },
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
    /// Its values were written anew, without a word in the log about each row (`ALTER … TYPE … USING`); or it was dropped
    /// and another one made under its name.
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
    /// From the name that the mapping uses to those that the column had in between, oldest first: rows that were captured
    /// then wait under them.
    pub formerly: BTreeMap<String, Vec<String>>,
    /// Columns without which the mapping goes on: fields that need them are left out.
    pub dropped: BTreeSet<String>,
    /// Columns that are null in every row, each of the type that it had when it was last of use: expressions were written for
    /// that.
    pub nulls: BTreeMap<String, Type>,
}

impl Change {
    /// Its kind, as its JSON has it: `column_dropped`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::TableDropped => "table_dropped",
            Self::TableRenamed { .. } => "table_renamed",
            Self::TableReplaced { .. } => "table_replaced",
            Self::Unpublished => "unpublished",
            Self::ColumnAdded { .. } => "column_added",
            Self::ColumnDropped { .. } => "column_dropped",
            Self::ColumnRenamed { .. } => "column_renamed",
            Self::Retyped { .. } => "retyped",
            Self::Rewritten { .. } => "rewritten",
            Self::NullAllowed { .. } => "null_allowed",
            Self::NullRefused { .. } => "null_refused",
            Self::DefaultChanged { .. } => "default_changed",
            Self::LabelAdded { .. } => "label_added",
            Self::LabelRemoved { .. } => "label_removed",
            Self::LabelRenamed { .. } => "label_renamed",
            Self::CharsetChanged { .. } => "charset_changed",
            Self::GeneratedChanged { .. } => "generated_changed",
            Self::KeyChanged { .. } => "key_changed",
            Self::IdentityChanged { .. } => "identity_changed",
            Self::PartitionAttached { .. } => "partition_attached",
            Self::PartitionDetached { .. } => "partition_detached",
            Self::Unreadable { .. } => "unreadable",
        }
    }

    /// The column that it is about; `None` where it is about the table.
    pub fn column(&self) -> Option<&str> {
        match self {
            Self::ColumnAdded { column }
            | Self::ColumnDropped { column }
            | Self::ColumnRenamed { column, .. }
            | Self::Retyped { column, .. }
            | Self::Rewritten { column }
            | Self::NullAllowed { column }
            | Self::NullRefused { column }
            | Self::DefaultChanged { column, .. }
            | Self::LabelAdded { column, .. }
            | Self::LabelRemoved { column, .. }
            | Self::LabelRenamed { column, .. }
            | Self::CharsetChanged { column, .. }
            | Self::GeneratedChanged { column, .. }
            | Self::Unreadable { column } => Some(column),
            Self::TableDropped
            | Self::TableRenamed { .. }
            | Self::TableReplaced { .. }
            | Self::Unpublished
            | Self::KeyChanged { .. }
            | Self::IdentityChanged { .. }
            | Self::PartitionAttached { .. }
            | Self::PartitionDetached { .. } => None,
        }
    }

    /// Whether something came that was not there, and nothing that was there is another: such a change never holds.
    pub fn is_addition(&self) -> bool {
        matches!(self, Self::ColumnAdded { .. } | Self::LabelAdded { .. } | Self::PartitionAttached { .. })
    }
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::TableDropped => f.write_str("the table is gone"),
            Self::TableRenamed { to } => write!(f, "the table is called {to} now"),
            Self::TableReplaced { by_swap: true } => f.write_str("an online schema change has put a copy in its place"),
            Self::TableReplaced { by_swap: false } => f.write_str("another table stands under its name"),
            Self::Unpublished => f.write_str("its rows are not published any more"),
            Self::ColumnAdded { column } => write!(f, "{column} is new"),
            Self::ColumnDropped { column } => write!(f, "{column} is gone"),
            Self::ColumnRenamed { column, to, is_certain: true } => write!(f, "{column} is called {to} now"),
            Self::ColumnRenamed { column, to, is_certain: false } => {
                write!(f, "{column} is gone, and {to} looks like it: same place, same type")
            }
            Self::Retyped { column, from, to, how, .. } => write!(f, "{column} was {from} and is {to} now: {how}"),
            Self::Rewritten { column } => write!(f, "{column} was written anew, without a word in the log of any row"),
            Self::NullAllowed { column } => write!(f, "{column} may be null now"),
            Self::NullRefused { column } => write!(f, "{column} is never null now"),
            Self::DefaultChanged { column, from, to } => {
                let shown = |value: &Option<String>| value.clone().unwrap_or_else(|| "nothing".to_owned());
                write!(f, "{column} begins with {} now, with {} before", shown(to), shown(from))
            }
            Self::LabelAdded { column, label } => write!(f, "{column} has a new label '{label}'"),
            Self::LabelRemoved { column, label } => write!(f, "{column} has no label '{label}' any more"),
            Self::LabelRenamed { column, from, to } => write!(f, "the label '{from}' of {column} is called '{to}' now"),
            Self::CharsetChanged { column, from, to } => write!(f, "{column} is kept in {to}, before in {from}"),
            Self::GeneratedChanged { column, is_generated: true } => {
                write!(f, "{column} is computed by the database now")
            }
            Self::GeneratedChanged { column, is_generated: false } => {
                write!(f, "{column} is not computed by the database any more")
            }
            Self::KeyChanged { from, to } => {
                let shown = |key: &[String]| if key.is_empty() { "nothing".to_owned() } else { key.join(", ") };
                match to {
                    Ok(to) => write!(f, "a row is known by {} now, before by {}", shown(to), shown(from)),
                    Err(why) => write!(f, "a row is not known by {} any more: {why}", shown(from)),
                }
            }
            Self::IdentityChanged { from, to } => write!(f, "its replica identity is {to} now, before {from}"),
            Self::PartitionAttached { partition } => write!(f, "the partition {partition} came with its rows"),
            Self::PartitionDetached { partition } => write!(f, "the partition {partition} left with its rows"),
            Self::Unreadable { column } => write!(f, "our user may not read {column} any more"),
        }
    }
}

impl fmt::Display for Retyping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Widened => "widened",
            Self::Narrowed => "narrowed",
            Self::Converted => "converted",
        })
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::None => "none",
            Self::Lossy => "lossy",
            Self::Breaking => "breaking",
        })
    }
}

impl fmt::Display for Part {
    /// As the configuration calls it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Whole => f.write_str("all of it"),
            Self::Key => f.write_str("key"),
            Self::Where => f.write_str("where"),
            Self::Deleted => f.write_str("deleted"),
            Self::Field(name) => f.write_str(name),
        }
    }
}
