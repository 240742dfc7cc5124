//! Which answers there are to a change that holds a mapping, as they are typed behind `passerelle drift accept`. Pure.

use std::fmt;

use super::change::{Change, Part, Retyping, Severity};
use super::retyping::retyping;
use super::subject::Subject;
use super::weigh::Weighed;
use crate::source::table::{ColumnFacts, TableFacts};

/// An answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// As it is typed: `--rename phone=tel`.
    pub words: String,
    /// Why it is likely.
    pub why: Option<&'static str>,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.why {
            Some(why) => write!(f, "{} ({why})", self.words),
            None => f.write_str(&self.words),
        }
    }
}

/// The answers to a change, likely ones first; none where it needs no word, or where no word helps ([`way_out`]). `now` is
/// the table as it is now.
pub fn answers(weighed: &Weighed, subject: &Subject<'_>, now: Option<&TableFacts>) -> Vec<Answer> {
    if !needs_word(weighed) || way_out(weighed, subject).is_some() {
        return Vec::new();
    }
    weighed.names.iter().flat_map(|name| answers_for(name, weighed, subject, now)).collect()
}

/// What to do about a change that can't be accepted, since it breaks the mapping as a whole; `None` where it can.
pub fn way_out(weighed: &Weighed, subject: &Subject<'_>) -> Option<String> {
    let table = &subject.table.name;
    let breaks_all =
        weighed.effects.iter().any(|effect| effect.part == Part::Whole && effect.severity == Severity::Breaking);
    if let Some(relation) = subject.relation {
        return way_out_beside(weighed, relation, breaks_all);
    }
    Some(match &weighed.change {
        _ if !breaks_all => return None,
        // What is known to be the row key's column is followed.
        Change::ColumnRenamed { is_certain: true, .. } => return None,
        Change::ColumnRenamed { column, to, .. } => {
            format!("if it is the same column: --rename {}", typed(column, Some(to)))
        }
        Change::TableDropped => WITHOUT_TABLE.to_owned(),
        Change::TableRenamed { to } => format!("write table = \"{to}\" in the mapping, then `passerelle reload`"),
        Change::Unpublished => {
            "put it into the publication again: `passerelle check --sql-for-dba` prints how".to_owned()
        }
        Change::IdentityChanged { .. } => format!("ALTER TABLE {table} REPLICA IDENTITY DEFAULT"),
        _ => "put the key back, or write the mapping anew under another name".to_owned(),
    })
}

/// The same of a table whose rows are the relation's: no word of `accept` helps, but the mapping can be written anew.
fn way_out_beside(weighed: &Weighed, relation: &str, breaks_all: bool) -> Option<String> {
    if !needs_word(weighed) && !breaks_all {
        return None;
    }
    let then = "then `passerelle reload`";
    Some(match &weighed.change {
        Change::ColumnRenamed { is_certain: true, .. } => return None,
        Change::ColumnRenamed { column, to, .. } => {
            format!("if it is the same column, write {relation}.{to} for {relation}.{column} in the mapping, {then}")
        }
        Change::TableDropped => {
            format!("take {relation} out of the mapping, or write it for another table, {then}; or put the table back")
        }
        Change::TableRenamed { to } => format!("write table = \"{to}\" for {relation} in the mapping, {then}"),
        Change::Unpublished => {
            "put it into the publication again: `passerelle check --sql-for-dba` prints how".to_owned()
        }
        change => match change.column() {
            Some(column) => format!("write the mapping without {relation}.{column}, {then}; or put it back"),
            None => format!("put it back; or write {relation} anew in the mapping, {then}"),
        },
    })
}

/// What there is to do where the table is gone.
pub(super) const WITHOUT_TABLE: &str =
    "take the mapping out of the configuration, write it for another table, or put the table back: it goes on then";

/// Whether a part can't be computed, and the database does not say how it goes on.
pub(super) fn needs_word(weighed: &Weighed) -> bool {
    let is_followed = matches!(weighed.change, Change::ColumnRenamed { is_certain: true, .. });
    let is_broken = |part: &Part| *part != Part::Whole;
    !weighed.change.is_addition()
        && !is_followed
        && weighed.effects.iter().any(|effect| effect.severity == Severity::Breaking && is_broken(&effect.part))
}

/// The answers for one of the mapping's names.
pub(super) fn answers_for(
    name: &str,
    weighed: &Weighed,
    subject: &Subject<'_>,
    now: Option<&TableFacts>,
) -> Vec<Answer> {
    let rename = |to: &str, why| Answer { words: format!("--rename {}", typed(name, Some(to))), why: Some(why) };
    let mut answers = Vec::new();
    match &weighed.change {
        Change::ColumnRenamed { to, .. } => {
            let may_be_read = now.and_then(|now| now.column(to)).is_none_or(|column| column.readable);
            answers.extend(may_be_read.then(|| rename(to, "looks like it: same place, same type")));
        }
        Change::ColumnDropped { .. } => {
            let likely = now.and_then(|now| likely(name, subject, now));
            answers.extend(likely.map(|to| rename(to, "new, of a type that fits")));
        }
        _ => {}
    }
    if needed_by(name, subject, &[Part::Key, Part::Where, Part::Deleted]).is_none() {
        answers.push(Answer { words: format!("--drop {}", typed(name, None)), why: None });
    }
    if needed_by(name, subject, &[Part::Key]).is_none() {
        answers.push(Answer { words: format!("--as-null {}", typed(name, None)), why: None });
    }
    answers
}

/// The first of these parts that needs what the mapping calls `name`.
pub(super) fn needed_by(name: &str, subject: &Subject<'_>, parts: &[Part]) -> Option<Part> {
    let needed = subject.parts_with(subject.patch.name_now(name));
    needed.into_iter().find(|part| parts.contains(part))
}

/// The only new column that could be the one that is gone.
fn likely<'n>(name: &str, subject: &Subject<'_>, now: &'n TableFacts) -> Option<&'n str> {
    let was = subject.table.column(subject.patch.name_now(name))?;
    let is_new = |column: &&ColumnFacts| subject.table.column(&column.name).is_none();
    let fits =
        |column: &&ColumnFacts| matches!(retyping(was.spelled(), column.spelled()), None | Some(Retyping::Widened));
    let mut likely = now.columns.iter().filter(|column| column.readable).filter(is_new).filter(fits);
    let first = likely.next()?;
    likely.next().is_none().then_some(first.name.as_str())
}

/// `phone=tel`, as a shell takes it for one word.
fn typed(name: &str, to: Option<&str>) -> String {
    let word = to.map_or_else(|| name.to_owned(), |to| format!("{name}={to}"));
    let is_plain = |char: char| char.is_ascii_alphanumeric() || "_-.=".contains(char);
    if word.chars().all(is_plain) { word } else { format!("'{}'", word.replace('\'', r"'\''")) }
}
