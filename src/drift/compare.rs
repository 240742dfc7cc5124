//! What changed of a table between two looks at it. Pure.
//!
//! Columns are paired first. In PostgreSQL a column's number is never used again in its table, so it says for certain
//! which column is which, whatever they are called (PG-20). In MySQL and MariaDB, and where another table stands under
//! the name, the log's statement says it; else the name; and what is left, if it is one column on either side, is a guess:
//! same place, same type.
//!
//! A column that was dropped and made anew under its name is told as [`Change::Rewritten`], and as retyped where its type
//! is another: a mapping knows columns by their names, and what is true of its values is the same.

use std::collections::BTreeMap;

use passerelle_change::{TableName, Type};

use super::change::{Change, Retyping};
use super::retyping::{Spelled, prints_otherwise, retyping};
use crate::source::table::{ColumnFacts, Generated, TableFacts};

/// What is known beside the two looks.
#[derive(Clone, Debug, Default)]
pub struct Hints<'h> {
    /// Columns that the log's statements have renamed, over all of them: the name in the old look and in the new one.
    pub renamed_columns: &'h [(String, String)],
    /// Where the table of the old look has gone, as the log's statements say, though another one may stand under its name.
    pub renamed_table: Option<TableName>,
    /// The publication does not have the table any more.
    pub unpublished: bool,
}

/// What changed from `old` to `new`, of the table first, then column by column; empty where nothing did. `new` is the table
/// that stands under the name now, or the one with the old one's oid under another name; `None` where there is neither.
pub fn compare(old: &TableFacts, new: Option<&TableFacts>, hints: &Hints<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    let Some(new) = new else {
        changes.push(match &hints.renamed_table {
            Some(to) if *to != old.name => Change::TableRenamed { to: to.to_string() },
            Some(_) | None => Change::TableDropped,
        });
        return changes;
    };
    changes.extend(table_changes(old, new, hints));
    let pairs = Pairs::of(old, new, hints);
    let rewriting = Rewriting::of(old, new);
    for was in &old.columns {
        pairs.changes_of(was, rewriting, &mut changes);
    }
    changes.extend(pairs.added().map(|column| Change::ColumnAdded { column: column.name.clone() }));
    changes.extend(key_change(old, new, &pairs));
    changes
}

fn table_changes(old: &TableFacts, new: &TableFacts, hints: &Hints<'_>) -> Vec<Change> {
    let mut changes = Vec::new();
    if new.name != old.name {
        changes.push(Change::TableRenamed { to: new.name.to_string() });
    } else if is_replaced(old, new, hints) {
        let by_swap = hints.renamed_table.as_ref().is_some_and(|to| is_aside(&old.name.name, &to.name));
        changes.push(Change::TableReplaced { by_swap });
    }
    if hints.unpublished {
        changes.push(Change::Unpublished);
    }
    if let (Some(from), Some(to)) = (&old.replica_identity, &new.replica_identity)
        && from != to
    {
        changes.push(Change::IdentityChanged { from: from.clone(), to: to.clone() });
    }
    let only = |these: &[String], those: &[String]| -> Vec<String> {
        these.iter().filter(|partition| !those.contains(partition)).cloned().collect()
    };
    let detached = only(&old.partitions, &new.partitions).into_iter();
    changes.extend(detached.map(|partition| Change::PartitionDetached { partition }));
    let attached = only(&new.partitions, &old.partitions).into_iter();
    changes.extend(attached.map(|partition| Change::PartitionAttached { partition }));
    changes
}

/// Whether another table stands under the name.
fn is_replaced(old: &TableFacts, new: &TableFacts, hints: &Hints<'_>) -> bool {
    let is_other_object = matches!((old.object, new.object), (Some(was), Some(now)) if was != now);
    is_other_object || hints.renamed_table.as_ref().is_some_and(|to| *to != old.name)
}

/// Whether an online schema change calls the table that it has swapped out so: `_orders_del`, `_orders_20261122140000_del`
/// (gh-ost), `_orders_old`, `__orders_old` (pt-online-schema-change), `orders_old`.
fn is_aside(name: &str, aside: &str) -> bool {
    let Some(rest) = aside.trim_start_matches('_').strip_prefix(name.trim_start_matches('_')) else { return false };
    let middle = rest.strip_suffix("_del").or_else(|| rest.strip_suffix("_old"));
    middle.is_some_and(|middle| middle.chars().all(|char| char == '_' || char.is_ascii_digit()))
}

/// Whether all rows were written anew between the looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Rewriting {
    Yes,
    No,
    /// The database does not tell.
    Unknown,
}

impl Rewriting {
    fn of(old: &TableFacts, new: &TableFacts) -> Self {
        match (old.storage, new.storage) {
            // What holds another table's rows says nothing.
            _ if old.object != new.object => Self::No,
            (Some(was), Some(now)) if was == now => Self::No,
            (Some(_), Some(_)) => Self::Yes,
            _ => Self::Unknown,
        }
    }
}

/// What a column of the old look is in the new one.
#[derive(Clone, Copy, Debug)]
enum Match<'t> {
    /// This one, of whatever name; whether that is certain.
    Same { now: &'t ColumnFacts, is_certain: bool },
    /// Another one of its name.
    Remade(&'t ColumnFacts),
}

impl<'t> Match<'t> {
    fn now(self) -> &'t ColumnFacts {
        match self {
            Self::Same { now, .. } | Self::Remade(now) => now,
        }
    }
}

/// Which columns of two looks belong together.
struct Pairs<'t> {
    /// By the name in the old look.
    matches: BTreeMap<&'t str, Match<'t>>,
    old: &'t TableFacts,
    new: &'t TableFacts,
}

impl<'t> Pairs<'t> {
    fn of(old: &'t TableFacts, new: &'t TableFacts, hints: &Hints<'_>) -> Self {
        let mut pairs = Self { matches: BTreeMap::new(), old, new };
        if old.object.is_some() && old.object == new.object {
            pairs.by_number();
        } else {
            pairs.by_name(hints);
            pairs.by_guess();
        }
        pairs
    }

    fn by_number(&mut self) {
        for was in &self.old.columns {
            if let Some(now) = self.new.columns.iter().find(|now| now.number == was.number) {
                self.matches.insert(&was.name, Match::Same { now, is_certain: true });
            }
        }
        for was in &self.old.columns {
            if !self.matches.contains_key(&*was.name)
                && let Some(now) = self.new.column(&was.name)
                && !self.is_taken(&now.name)
            {
                self.matches.insert(&was.name, Match::Remade(now));
            }
        }
    }

    fn by_name(&mut self, hints: &Hints<'_>) {
        for (from, to) in hints.renamed_columns {
            if let (Some(was), Some(now)) = (self.old.column(from), self.new.column(to)) {
                self.matches.insert(&was.name, Match::Same { now, is_certain: true });
            }
        }
        for was in &self.old.columns {
            if !self.matches.contains_key(&*was.name)
                && let Some(now) = self.new.column(&was.name)
                && !self.is_taken(&now.name)
            {
                self.matches.insert(&was.name, Match::Same { now, is_certain: true });
            }
        }
    }

    fn by_guess(&mut self) {
        let mut gone = self.old.columns.iter().enumerate().filter(|(_, was)| !self.matches.contains_key(&*was.name));
        let mut added = self.new.columns.iter().enumerate().filter(|(_, now)| !self.is_taken(&now.name));
        let only = (gone.next(), gone.next(), added.next(), added.next());
        if let (Some((place, was)), None, Some((place_now, now)), None) = only
            && place == place_now
            && was.ty == now.ty
            && was.type_name == now.type_name
        {
            self.matches.insert(&was.name, Match::Same { now, is_certain: false });
        }
    }

    fn is_taken(&self, new_name: &str) -> bool {
        self.matches.values().any(|found| found.now().name == new_name)
    }

    fn added(&self) -> impl Iterator<Item = &'t ColumnFacts> {
        self.new.columns.iter().filter(|now| !self.is_taken(&now.name))
    }

    /// What changed of one column.
    fn changes_of(&self, was: &ColumnFacts, rewriting: Rewriting, changes: &mut Vec<Change>) {
        let column = was.name.clone();
        let (now, rewriting) = match self.matches.get(&*was.name) {
            None => {
                changes.push(Change::ColumnDropped { column });
                return;
            }
            Some(Match::Same { now, is_certain }) => {
                if now.name != was.name {
                    let (to, is_certain) = (now.name.clone(), *is_certain);
                    changes.push(Change::ColumnRenamed { column, to, is_certain });
                }
                (now, rewriting)
            }
            Some(Match::Remade(now)) => {
                changes.extend(retyped(was, now));
                changes.push(Change::Rewritten { column });
                changes.extend(label_changes(was, now));
                changes.extend(other_changes(was, now));
                return;
            }
        };
        let retyped = retyped(was, now);
        let is_rewritten = is_rewritten(was, now, retyped.as_ref(), rewriting);
        changes.extend(retyped);
        if is_rewritten {
            changes.push(Change::Rewritten { column: was.name.clone() });
        }
        changes.extend(label_changes(was, now));
        changes.extend(other_changes(was, now));
    }
}

fn retyped(was: &ColumnFacts, now: &ColumnFacts) -> Option<Change> {
    let how = retyping(was.spelled(), now.spelled())?;
    let (from, to) = (was.type_name.clone(), now.type_name.clone());
    Some(Change::Retyped { column: was.name.clone(), from, to, ty: now.ty.clone(), how })
}

/// Whether its values may be others without a word in the log. Of a column that is narrowed or converted that goes without
/// saying; one that is widened stays what it is, but for `USING` and how it is printed.
fn is_rewritten(was: &ColumnFacts, now: &ColumnFacts, retyped: Option<&Change>, rewriting: Rewriting) -> bool {
    match (retyped, rewriting) {
        (Some(Change::Retyped { how: Retyping::Widened, .. }), Rewriting::Yes) => true,
        (Some(Change::Retyped { how: Retyping::Widened, .. }), Rewriting::Unknown) => {
            prints_otherwise(was.spelled(), now.spelled())
        }
        // VACUUM FULL and CLUSTER write the rows anew and leave the columns' definitions as they are.
        (None, Rewriting::Yes) => {
            matches!((was.definition, now.definition), (Some(before), Some(after)) if before != after)
        }
        (Some(_), _) | (None, Rewriting::No | Rewriting::Unknown) => false,
    }
}

/// Other labels of an enum. One that is known by the same number is the same, however it is called (PostgreSQL's `ALTER TYPE
/// … RENAME VALUE`). MySQL and MariaDB know labels by their text, and have no such renaming.
fn label_changes(was: &ColumnFacts, now: &ColumnFacts) -> Vec<Change> {
    let (Type::Enum { labels: before }, Type::Enum { labels: after }) = (&was.ty, &now.ty) else { return Vec::new() };
    let column = || was.name.clone();
    let renamed = |place: usize| -> Option<&String> {
        let id = was.label_ids.get(place)?;
        let to = after.get(now.label_ids.iter().position(|other| other == id)?)?;
        (!before.contains(to)).then_some(to)
    };
    let mut changes = Vec::new();
    for (place, from) in before.iter().enumerate().filter(|(_, label)| !after.contains(label)) {
        changes.push(match renamed(place) {
            Some(to) => Change::LabelRenamed { column: column(), from: from.clone(), to: to.clone() },
            None => Change::LabelRemoved { column: column(), label: from.clone() },
        });
    }
    for label in after.iter().filter(|label| !before.contains(label)) {
        let is_renamed = |change: &Change| matches!(change, Change::LabelRenamed { to, .. } if to == label);
        if !changes.iter().any(is_renamed) {
            changes.push(Change::LabelAdded { column: column(), label: label.clone() });
        }
    }
    changes
}

fn other_changes(was: &ColumnFacts, now: &ColumnFacts) -> Vec<Change> {
    let column = || was.name.clone();
    let mut changes = Vec::new();
    match (was.nullable, now.nullable) {
        (false, true) => changes.push(Change::NullAllowed { column: column() }),
        (true, false) => changes.push(Change::NullRefused { column: column() }),
        (true, true) | (false, false) => {}
    }
    if was.default != now.default {
        changes.push(Change::DefaultChanged { column: column(), from: was.default.clone(), to: now.default.clone() });
    }
    if let (Some(from), Some(to)) = (&was.charset, &now.charset)
        && from != to
    {
        changes.push(Change::CharsetChanged { column: column(), from: from.clone(), to: to.clone() });
    }
    let is_generated = now.generated != Generated::No;
    if is_generated != (was.generated != Generated::No) {
        changes.push(Change::GeneratedChanged { column: column(), is_generated });
    }
    if was.readable && !now.readable {
        changes.push(Change::Unreadable { column: column() });
    }
    changes
}

/// Another row key; the same columns under other names are the same key.
fn key_change(old: &TableFacts, new: &TableFacts, pairs: &Pairs<'_>) -> Option<Change> {
    let (from, is_same) = match (&old.row_key, &new.row_key) {
        (Err(_), Err(_)) => return None,
        (Err(_), Ok(_)) => (Vec::new(), false),
        (Ok(was), Err(_)) => (was.clone(), false),
        (Ok(was), Ok(now)) => {
            let names_now = was.iter().map(|name| pairs.matches.get(&**name).map(|found| found.now().name.as_str()));
            (was.clone(), names_now.eq(now.iter().map(|name| Some(name.as_str()))))
        }
    };
    (!is_same).then(|| Change::KeyChanged { from, to: new.row_key.clone() })
}

impl ColumnFacts {
    /// Its type and how the database spells it.
    pub fn spelled(&self) -> Spelled<'_> {
        Spelled { ty: &self.ty, name: &self.type_name }
    }
}
