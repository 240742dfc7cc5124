//! What a person may decide about a held mapping, and what comes of it. Pure.
//!
//! Nothing is guessed: what the database tells for certain is taken as it is, and whatever else keeps a part from being
//! computed needs a word. A word about what is not so is refused with what is.

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::Type;

use super::answers::{WITHOUT_TABLE, answers_for, needed_by, needs_word, way_out};
use super::change::{Change, Decision, Part, Patch, Retyping, Severity};
use super::retyping::retyping;
use super::subject::Subject;
use super::weigh::Weighed;
use crate::config;
use crate::source::table::TableFacts;

/// What was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Decided {
    /// How the mapping is run from now on.
    pub patch: Patch,
    /// Columns that are to be read from the table again, by their names there now.
    pub reload: BTreeSet<String>,
}

/// Why nothing was decided.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{text}")]
pub struct Undecided {
    /// What is true, lower-case, without a full stop.
    pub text: String,
    /// What to say instead.
    pub hint: Option<String>,
}

/// Decides about all changes that are not settled: `weighed` against the `subject`, whose table is as it is `now`.
/// What was decided before ([`Subject::patch`]) stays in force, but for columns of which there is a new word.
pub fn decide(
    weighed: &[Weighed],
    subject: &Subject<'_>,
    now: Option<&TableFacts>,
    decisions: &[Decision],
) -> Result<Decided, Undecided> {
    let name = &subject.mapping.name;
    if weighed.is_empty() {
        let hint = "`passerelle drift list` shows what is";
        return Err(undecided(format!("nothing of {name} is held")).or(hint));
    }
    let Some(now) = now else {
        return Err(undecided(format!("the table {} is gone", subject.table.name)).or(WITHOUT_TABLE));
    };
    let case = Case { weighed, subject, now, words: words(subject, decisions)? };
    weighed.iter().try_for_each(|weighed| case.table_stands(weighed))?;
    for (name, word) in &case.words.by_name {
        case.is_true(name, word)?;
    }
    case.nothing_is_open()?;
    case.decided()
}

/// Columns that have to be read again for a change that is accepted, by their names in the table as `patch` has them.
pub(super) fn reloads(weighed: &Weighed, patch: &Patch, subject: &Subject<'_>) -> BTreeSet<String> {
    let is_run = |name: &&String| !patch.dropped.contains(*name) && !patch.nulls.contains_key(*name);
    let now = |name: &String| patch.name_now(name).to_owned();
    let column = || weighed.names.iter().filter(is_run).map(now).collect();
    match &weighed.change {
        Change::Rewritten { .. }
        | Change::LabelRenamed { .. }
        | Change::LabelRemoved { .. }
        | Change::Retyped { how: Retyping::Narrowed | Retyping::Converted, .. } => column(),
        Change::CharsetChanged { .. } if weighed.severity() > Severity::None => column(),
        Change::TableReplaced { by_swap: false } | Change::PartitionAttached { .. } => {
            subject.written_names().iter().filter(is_run).map(now).collect()
        }
        Change::ColumnRenamed { to, is_certain, .. } => {
            // Rows may have cells of another column under that name, or were captured under none of the two.
            let had_it = |name: &str| name == to || patch.formerly.get(name).is_some_and(|former| former.contains(to));
            let is_due = |name: &&String| {
                patch.name_now(name) == to && (!is_certain || subject.table.column(to).is_some() || had_it(name))
            };
            weighed.names.iter().filter(is_run).filter(is_due).map(now).collect()
        }
        Change::TableDropped
        | Change::TableRenamed { .. }
        | Change::TableReplaced { by_swap: true }
        | Change::Unpublished
        | Change::ColumnAdded { .. }
        | Change::ColumnDropped { .. }
        | Change::Retyped { how: Retyping::Widened, .. }
        | Change::NullAllowed { .. }
        | Change::NullRefused { .. }
        | Change::DefaultChanged { .. }
        | Change::LabelAdded { .. }
        | Change::CharsetChanged { .. }
        | Change::GeneratedChanged { .. }
        | Change::KeyChanged { .. }
        | Change::IdentityChanged { .. }
        | Change::PartitionDetached { .. }
        | Change::Unreadable { .. } => BTreeSet::new(),
    }
}

/// What is said of a column, by the name that the mapping has for it.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Word {
    Rename(String),
    Drop,
    AsNull,
}

#[derive(Debug, Default)]
struct Words {
    by_name: BTreeMap<String, Word>,
    reload: BTreeSet<String>,
}

/// The decisions by the mapping's names: each of a column that it has, and one a column.
fn words(subject: &Subject<'_>, decisions: &[Decision]) -> Result<Words, Undecided> {
    let mut words = Words::default();
    for decision in decisions {
        let (column, word) = match decision {
            Decision::Rename { column, to } => (column, Word::Rename(to.clone())),
            Decision::Drop(column) => (column, Word::Drop),
            Decision::AsNull(column) => (column, Word::AsNull),
            Decision::Reload(column) => {
                words.reload.extend(known_as(subject, column)?);
                continue;
            }
        };
        for name in known_as(subject, column)? {
            if words.by_name.get(&name).is_some_and(|other| *other != word) {
                return Err(undecided(format!("two things are said of {name}")).or("say one of them"));
            }
            words.by_name.insert(name, word.clone());
        }
    }
    Ok(words)
}

/// The mapping's names for a column that is called by one of them, or as the table calls it.
fn known_as(subject: &Subject<'_>, column: &str) -> Result<Vec<String>, Undecided> {
    let names = subject.written_names();
    if names.contains(column) {
        return Ok(vec![column.to_owned()]);
    }
    let of_table = subject.names_for(column);
    if !of_table.is_empty() {
        return Ok(of_table);
    }
    let fault = undecided(format!("{} has no column {column}", subject.mapping.name));
    Err(match config::nearest(column, names.iter().map(String::as_str)) {
        Some(near) => fault.or(format!("did you mean {near}?")),
        None => fault.or(format!("it has {}", listed(&names))),
    })
}

struct Case<'c> {
    weighed: &'c [Weighed],
    subject: &'c Subject<'c>,
    now: &'c TableFacts,
    words: Words,
}

impl Case<'_> {
    /// What breaks the mapping as a whole can't be accepted, but for a row key's column that has another name.
    fn table_stands(&self, weighed: &Weighed) -> Result<(), Undecided> {
        let broken =
            weighed.effects.iter().find(|effect| effect.part == Part::Whole && effect.severity == Severity::Breaking);
        let Some(broken) = broken else { return Ok(()) };
        if let Change::ColumnRenamed { to, is_certain, .. } = &weighed.change {
            let is_said = |name: &String| self.words.by_name.get(name) == Some(&Word::Rename(to.clone()));
            // A column that only the row key has is in no word.
            if *is_certain || weighed.names.is_empty() || weighed.names.iter().any(is_said) {
                return Ok(());
            }
        }
        let hint = way_out(weighed, self.subject).unwrap_or_default();
        Err(undecided(format!("{}, and {}", weighed.change, broken.text)).or(hint))
    }

    /// Whether what is said of a column can be so.
    fn is_true(&self, name: &str, word: &Word) -> Result<(), Undecided> {
        match word {
            Word::Rename(to) => self.is_renamed(name, to),
            Word::Drop => {
                self.is_of_no_use(name, "dropped")?;
                self.is_spared(name, "dropped", &[Part::Key, Part::Where, Part::Deleted])
            }
            Word::AsNull => {
                self.is_of_no_use(name, "null")?;
                self.is_spared(name, "null", &[Part::Key])
            }
        }
    }

    fn is_renamed(&self, name: &str, to: &str) -> Result<(), Undecided> {
        let before = self.subject.patch.name_now(name);
        let table = &self.subject.table.name;
        let patch = self.subject.patch;
        let was_given_up = patch.dropped.contains(name) || patch.nulls.contains_key(name);
        if !was_given_up && self.changes_of(name).next().is_none() {
            return Err(undecided(format!("{before} is there as it was: {to} can't be taken for it")));
        }
        let Some(column) = self.now.column(to) else {
            let fault = undecided(format!("{table} has no column {to}"));
            return Err(match config::nearest(to, self.now.columns.iter().map(|column| column.name.as_str())) {
                Some(near) => fault.or(format!("did you mean {near}?")),
                None => fault.or(format!("it has {}", listed(self.now.columns.iter().map(|column| &column.name)))),
            });
        };
        if !column.readable {
            return Err(undecided(format!("our user may not read {to}")).or(format!("GRANT SELECT ({to}) ON {table}")));
        }
        let Some(was) = self.subject.table.column(before) else { return Ok(()) };
        match retyping(was.spelled(), column.spelled()) {
            None | Some(Retyping::Widened) => Ok(()),
            Some(Retyping::Narrowed | Retyping::Converted) => {
                let text = format!("{to} is {}, and {name} was {}: it is no rename", column.type_name, was.type_name);
                Err(undecided(text).or(format!("if {to} is to be used all the same, write it in the mapping")))
            }
        }
    }

    /// Only what is gone, or what a part can't be computed with, is given up.
    fn is_of_no_use(&self, name: &str, what: &str) -> Result<(), Undecided> {
        let breaks = |weighed: &&Weighed| weighed.severity() == Severity::Breaking && !weighed.change.is_addition();
        let Patch { dropped, nulls, .. } = self.subject.patch;
        let was_given_up = dropped.contains(name) || nulls.contains_key(name);
        if was_given_up || self.changes_of(name).any(|weighed| breaks(&weighed)) {
            return Ok(());
        }
        let before = self.subject.patch.name_now(name);
        let text = format!("{before} is there and can be used: it can't be {what}");
        Err(undecided(text).or("what is not to be sent any more is taken out of the mapping"))
    }

    fn is_spared(&self, name: &str, what: &str, parts: &[Part]) -> Result<(), Undecided> {
        match needed_by(name, self.subject, parts) {
            Some(part) => {
                let text = format!("`{part}` of {} needs {name}: it can't be {what}", self.subject.mapping.name);
                Err(undecided(text).or(format!("write another `{part}` in the mapping, or --rename {name}=…")))
            }
            None => Ok(()),
        }
    }

    fn changes_of<'n>(&'n self, name: &'n str) -> impl Iterator<Item = &'n Weighed> {
        self.weighed.iter().filter(move |weighed| weighed.names.iter().any(|known| known == name))
    }

    /// Whatever keeps a part from being computed has a word, or needs none.
    fn nothing_is_open(&self) -> Result<(), Undecided> {
        let mut open: BTreeMap<&str, &Weighed> = BTreeMap::new();
        for weighed in self.weighed.iter().filter(|weighed| needs_word(weighed)) {
            let unsaid = weighed.names.iter().filter(|name| !self.words.by_name.contains_key(*name));
            for name in unsaid {
                open.entry(name).or_insert(weighed);
            }
        }
        if open.is_empty() {
            return Ok(());
        }
        let mut told: Vec<String> = Vec::new();
        for weighed in open.values() {
            let why = match &weighed.change {
                Change::ColumnDropped { .. } | Change::ColumnRenamed { .. } | Change::Unreadable { .. } => {
                    weighed.change.to_string()
                }
                _ => format!("{} ({})", weighed.change, weighed.sentence()),
            };
            if !told.contains(&why) {
                told.push(why);
            }
        }
        let options: Vec<String> = open.iter().map(|(name, weighed)| self.options(name, weighed)).collect();
        Err(undecided(told.join("; ")).or(format!("say what becomes of {}", options.join("; of "))))
    }

    /// `phone: --rename phone=tel (looks like it: same place, same type), --drop phone, --as-null phone`.
    fn options(&self, name: &str, weighed: &Weighed) -> String {
        let answers = answers_for(name, weighed, self.subject, Some(self.now));
        let options: Vec<String> = answers.iter().map(ToString::to_string).collect();
        if options.is_empty() {
            return format!("{name}: only another mapping can do without it");
        }
        format!("{name}: {}", options.join(", "))
    }

    fn decided(self) -> Result<Decided, Undecided> {
        let mut patch = self.subject.patch.clone();
        let mut reload = BTreeSet::new();
        for Weighed { change, names, .. } in self.weighed {
            if let Change::ColumnRenamed { to, is_certain: true, .. } = change {
                let followed = names.iter().filter(|name| !self.words.by_name.contains_key(*name));
                for name in followed {
                    patch.rename(name, to);
                }
            }
        }
        for (name, word) in &self.words.by_name {
            match word {
                Word::Rename(to) => {
                    patch.rename(name, to);
                    let is_told = |weighed: &Weighed| matches!(&weighed.change, Change::ColumnRenamed { to: told, is_certain: true, .. } if told == to);
                    if !self.changes_of(name).any(is_told) {
                        reload.insert(to.clone());
                    }
                }
                Word::Drop => patch.leave_out(name),
                Word::AsNull => {
                    let was = self.subject.table.column(self.subject.patch.name_now(name));
                    patch.make_null(name, was.map_or(Type::Text { max_chars: None }, |was| was.ty.clone()));
                }
            }
        }
        for weighed in self.weighed {
            reload.extend(reloads(weighed, &patch, self.subject));
        }
        for name in &self.words.reload {
            let column = patch.name_now(name);
            let is_given_up = patch.dropped.contains(name) || patch.nulls.contains_key(name);
            if is_given_up || self.now.column(column).is_none() {
                return Err(undecided(format!("{column} can't be read again: the mapping goes on without it")));
            }
            reload.insert(column.to_owned());
        }
        Ok(Decided { patch, reload })
    }
}

fn listed<'n>(names: impl IntoIterator<Item = &'n String>) -> String {
    let mut names: Vec<&str> = names.into_iter().map(String::as_str).collect();
    let more = names.len().saturating_sub(MOST_LISTED);
    names.truncate(MOST_LISTED);
    let names = names.join(", ");
    if more == 0 { names } else { format!("{names} and {more} more") }
}

/// The most columns that a hint names.
const MOST_LISTED: usize = 12;

fn undecided(text: impl Into<String>) -> Undecided {
    Undecided { text: text.into(), hint: None }
}

impl Undecided {
    fn or(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}
