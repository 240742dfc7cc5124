//! Reads a table key by key and collects every fault on the way: what is taken is known, what is left is unknown.
//!
//! A reader of a table takes all its keys first, each as an `Option` that is `None` when the fault is already noted,
//! and only then puts them together. So one wrong key hides no other.

use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::time::Duration;

use passerelle_change::FieldValue;

use super::fault::Fault;
use super::files::Files;
use super::model::{Expr, Place};
use super::nearest::{did_you_mean, list, nearest};
use super::tree::{Entry, Node, Table, Value};
use super::units;

/// What reading needs, and the faults so far.
pub(super) struct Context<'a> {
    pub(super) files: &'a Files,
    /// The environment's variables.
    pub(super) env: &'a dyn Fn(&str) -> Option<String>,
    /// Whether secrets and key files are read, or only their form checked.
    pub(super) read_secrets: bool,
    pub(super) faults: RefCell<Vec<Fault>>,
}

impl Context<'_> {
    pub(super) fn note(&self, fault: Fault) {
        self.faults.borrow_mut().push(fault);
    }
}

/// A table on its way to be read.
pub(super) struct Section<'a> {
    /// As people name it: `[source.erp]`.
    pub(super) title: String,
    pub(super) place: &'a Place,
    pub(super) context: &'a Context<'a>,
    entries: Vec<&'a Entry>,
    known: Vec<&'static str>,
    missing: Vec<(&'static str, String)>,
}

impl<'a> Section<'a> {
    pub(super) fn new(title: String, place: &'a Place, table: &'a Table, context: &'a Context<'a>) -> Self {
        Self { title, place, context, entries: table.entries.iter().collect(), known: Vec::new(), missing: Vec::new() }
    }

    /// A key that may be missing.
    pub(super) fn take(&mut self, key: &'static str) -> Option<Found<'a>> {
        self.known.push(key);
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        let entry = self.entries.remove(index);
        Some(Found { name: &entry.key, key_place: &entry.key_place, node: &entry.node, context: self.context })
    }

    /// A key that must be there; `example` is its value in the hint.
    pub(super) fn need<T>(
        &mut self,
        key: &'static str,
        example: &str,
        read: impl FnOnce(&Found<'a>) -> Option<T>,
    ) -> Option<T> {
        if let Some(found) = self.take(key) {
            return read(&found);
        }
        self.missing.push((key, example.to_owned()));
        None
    }

    /// A key with a default.
    pub(super) fn or<T>(
        &mut self,
        key: &'static str,
        default: T,
        read: impl FnOnce(&Found<'a>) -> Option<T>,
    ) -> Option<T> {
        self.take(key).map_or(Some(default), |found| read(&found))
    }

    /// A key that may be missing; the outer `None` is a fault.
    #[allow(clippy::option_option)] // the outer one is "faulty", the inner one "not there"
    pub(super) fn maybe<T>(
        &mut self,
        key: &'static str,
        read: impl FnOnce(&Found<'a>) -> Option<T>,
    ) -> Option<Option<T>> {
        self.take(key).map_or(Some(None), |found| read(&found).map(Some))
    }

    /// Keys of the language that are not built yet: each a fault of its own, with what to do instead.
    pub(super) fn later(&mut self, keys: &[(&'static str, &str)]) {
        for (key, instead) in keys {
            let found = self.take(key);
            self.known.pop();
            if let Some(found) = found {
                let fault = Fault::error(format!("`{key}` is not supported yet")).at(found.key_place);
                self.context.note(fault.hint(*instead));
            }
        }
    }

    /// What is left is unknown. `stray` may explain a key better than its nearest neighbour does.
    /// Gives their number.
    pub(super) fn finish(self, stray: impl Fn(&str) -> Option<String>) -> usize {
        self.report_missing();
        for entry in &self.entries {
            let near = nearest(&entry.key, self.known.iter().copied());
            let hint = match near {
                Some(near) => Some(format!("did you mean `{near}`?")),
                None => stray(&entry.key)
                    .or_else(|| Some(format!("keys of {}: {}", self.title, list(self.known.iter().copied())))),
            };
            let fault = Fault::error(format!("unknown key `{}` in {}", entry.key, self.title)).at(&entry.key_place);
            self.context.note(fault.maybe_hint(hint));
        }
        self.entries.len()
    }

    /// Notes what must be there and is not; [`Section::finish`] does it, too.
    pub(super) fn report_missing(&self) {
        // A key that is nearly the missing one will be reported as unknown: once is enough.
        let misspelt = |key: &str| self.entries.iter().any(|entry| nearest(&entry.key, [key]).is_some());
        let missing: Vec<_> = self.missing.iter().filter(|(key, _)| !misspelt(key)).collect();
        let verb = if missing.len() == 1 { "is" } else { "are" };
        let lines: Vec<_> = missing.iter().map(|(key, example)| format!("add {key} = {example}")).collect();
        if !missing.is_empty() {
            let message = format!("{} {verb} missing in {}", list(missing.iter().map(|(key, _)| *key)), self.title);
            self.context.note(Fault::error(message).at(self.place).hint(lines.join("\n")));
        }
    }

    /// Whether a key is there that has not been taken.
    pub(super) fn has(&self, key: &str) -> bool {
        self.entries.iter().any(|entry| entry.key == key)
    }

    /// Whether every key has been taken.
    pub(super) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// All entries, whatever their keys.
    pub(super) fn all(self) -> impl Iterator<Item = Found<'a>> {
        let context = self.context;
        self.entries.into_iter().map(move |entry| Found {
            name: &entry.key,
            key_place: &entry.key_place,
            node: &entry.node,
            context,
        })
    }
}

/// One key that was found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) name: &'a str,
    pub(super) key_place: &'a Place,
    pub(super) node: &'a Node,
    pub(super) context: &'a Context<'a>,
}

impl<'a> Found<'a> {
    /// Notes a fault at the value.
    pub(super) fn fault<T>(&self, message: impl Into<String>, hint: impl Into<String>) -> Option<T> {
        self.context.note(Fault::error(message).at(&self.node.place).hint(hint));
        None
    }

    /// Notes a warning at the value.
    pub(super) fn warn(&self, message: impl Into<String>, hint: impl Into<String>) {
        self.context.note(Fault::warning(message).at(&self.node.place).hint(hint));
    }

    /// Notes that the value is of another kind; says how to write it.
    pub(super) fn wrong_form<T>(&self, expected: &str, form: impl Into<String>) -> Option<T> {
        self.fault(format!("`{}` must be {expected}, not {}", self.name, self.node.value.kind()), form)
    }

    /// Notes that the value is of another kind.
    pub(super) fn wrong<T>(&self, expected: &str) -> Option<T> {
        let fault = Fault::error(format!("`{}` must be {expected}, not {}", self.name, self.node.value.kind()))
            .at(&self.node.place);
        let hint = match &self.node.value {
            Value::Text(text, _) if expected.contains("number") && text.parse::<f64>().is_ok() => {
                Some(format!("without quotes: {} = {text}", self.name))
            }
            Value::Text(text, _) if expected.contains("true") && (text == "true" || text == "false") => {
                Some(format!("without quotes: {} = {text}", self.name))
            }
            Value::Int(number) if expected.contains("text") => Some(format!("in quotes: {} = \"{number}\"", self.name)),
            Value::Float(number) | Value::Time(number) if expected.contains("text") => {
                Some(format!("in quotes: {} = \"{number}\"", self.name))
            }
            Value::Bool(value) if expected.contains("text") => Some(format!("in quotes: {} = \"{value}\"", self.name)),
            _ => None,
        };
        self.context.note(fault.maybe_hint(hint));
        None
    }

    /// Text that is not empty.
    pub(super) fn text(&self) -> Option<&'a str> {
        match &self.node.value {
            Value::Text(text, _) if text.trim().is_empty() => {
                self.context.note(Fault::error(format!("`{}` is empty", self.name)).at(&self.node.place));
                None
            }
            Value::Text(text, _) => Some(text),
            _ => self.wrong("text"),
        }
    }

    /// The same, owned.
    pub(super) fn string(&self) -> Option<String> {
        self.text().map(str::to_owned)
    }

    /// `true` or `false`.
    pub(super) fn bool(&self) -> Option<bool> {
        match self.node.value {
            Value::Bool(value) => Some(value),
            _ => self.wrong("true or false"),
        }
    }

    /// A whole number of a range.
    pub(super) fn int<T: TryFrom<i128>>(&self, range: RangeInclusive<i128>) -> Option<T> {
        let expected = if *range.end() >= i128::from(u32::MAX) {
            format!("a whole number, {} or more", range.start())
        } else {
            format!("a whole number from {} to {}", range.start(), range.end())
        };
        let Value::Int(number) = self.node.value else {
            return self.wrong(&expected);
        };
        match T::try_from(number) {
            Ok(value) if range.contains(&number) => Some(value),
            _ => self.fault(format!("`{}` cannot be {number}", self.name), expected),
        }
    }

    /// The entries of a list, each with the list's name; at least one.
    pub(super) fn list(&self, form: &str) -> Option<Vec<Found<'a>>> {
        let Value::List(items) = &self.node.value else {
            return self.wrong_form("a list", format!("{} = {form}", self.name));
        };
        if items.is_empty() {
            return self.fault(format!("`{}` is empty", self.name), format!("{} = {form}", self.name));
        }
        Some(items.iter().map(|node| Found { node, ..*self }).collect())
    }

    /// An expression of the mapping language, not compiled.
    pub(super) fn expr(&self) -> Option<Expr> {
        match &self.node.value {
            Value::Text(text, place) if !text.trim().is_empty() => {
                Some(Expr { text: text.clone(), place: place.clone() })
            }
            Value::Text(..) => self.text().and(None),
            Value::Int(_) | Value::Float(_) | Value::Bool(_) => self.wrong("an expression in text"),
            Value::Time(_) | Value::List(_) | Value::Table(_) => self.wrong("an expression"),
        }
    }

    /// A table, with its keys to be taken.
    pub(super) fn table(&self, title: String) -> Option<Section<'a>> {
        match &self.node.value {
            Value::Table(table) => Some(Section::new(title, self.key_place, table, self.context)),
            _ => self.wrong("a table"),
        }
    }

    /// The same, with the way to write it where it is no table.
    pub(super) fn table_like(&self, form: &str) -> Option<Section<'a>> {
        match &self.node.value {
            Value::Table(_) => self.table(format!("`{}`", self.name)),
            _ => self.wrong_form("a table", format!("{} = {form}", self.name)),
        }
    }

    /// One of some words, which are shown in quotes; `later` are those that are not built yet.
    pub(super) fn one_of<T: Copy>(&self, words: &[(&str, T)], later: &[&str]) -> Option<T> {
        let allowed = || words.iter().map(|(word, _)| format!("\"{word}\"")).collect::<Vec<_>>().join(", ");
        let Value::Text(text, _) = &self.node.value else {
            return self.wrong(&format!("one of {}", allowed()));
        };
        if let Some((_, value)) = words.iter().find(|(word, _)| word == text) {
            return Some(*value);
        }
        if later.contains(&text.as_str()) {
            return self.fault(
                format!("{} = \"{text}\" is not supported yet", self.name),
                format!("supported: {}", allowed()),
            );
        }
        let near = nearest(text, words.iter().map(|(word, _)| *word));
        let hint = match near {
            Some(near) if words.len() == 1 => format!("write \"{near}\""),
            Some(near) => format!("did you mean \"{near}\"? allowed: {}", allowed()),
            None => format!("allowed: {}", allowed()),
        };
        self.fault(format!("`{}` cannot be \"{text}\"", self.name), hint)
    }

    /// Text read by a function whose error says how to write it.
    pub(super) fn parsed<T>(&self, what: &str, read: impl Fn(&str) -> Result<T, String>) -> Option<T> {
        let Value::Text(text, _) = &self.node.value else {
            return self.wrong_form(&format!("{what} in quotes"), read("").err().unwrap_or_default());
        };
        match read(text) {
            Ok(value) => Some(value),
            Err(form) => self.fault(format!("\"{text}\" is not {what}"), form),
        }
    }

    /// A duration of a range.
    pub(super) fn duration(&self, range: RangeInclusive<Duration>) -> Option<Duration> {
        let value = self.parsed("a duration", units::duration)?;
        if range.contains(&value) {
            return Some(value);
        }
        let (least, most) = (range.start().as_secs(), range.end().as_secs() / 86_400);
        self.fault(format!("`{}` is out of range", self.name), format!("from {least}s to {most}d"))
    }

    /// A path; a relative one starts at the folder of the file it stands in.
    pub(super) fn path(&self) -> Option<PathBuf> {
        self.text().map(|text| self.context.files.folder(self.node.place.file).join(Path::new(text)))
    }

    /// A constant for a CRM field.
    pub(super) fn constant(&self) -> Option<FieldValue> {
        match &self.node.value {
            Value::Text(text, _) => Some(FieldValue::Text(text.clone())),
            Value::Int(number) => Some(FieldValue::Number(number.to_string())),
            Value::Float(number) if number.contains("inf") || number.contains("nan") => self.wrong("a finite number"),
            Value::Float(number) => Some(FieldValue::Number(number.trim_start_matches('+').to_owned())),
            Value::Bool(value) => Some(FieldValue::Bool(*value)),
            Value::Time(time) => Some(FieldValue::Text(time.clone())),
            Value::List(_) | Value::Table(_) => self.wrong("text, a number, true or false"),
        }
    }

    /// Checks that a name is among those declared.
    pub(super) fn declared(&self, what: &str, names: &[&str]) -> Option<String> {
        let text = self.text()?;
        if names.contains(&text) {
            return Some(text.to_owned());
        }
        let plural = format!("{}s", if what == "crm" { "CRM" } else { what });
        let hint = did_you_mean(text, &plural, names.iter().copied());
        let hint = hint.unwrap_or_else(|| format!("there is no [{what}.NAME] yet: add [{what}.{text}]"));
        self.fault(format!("there is no [{what}.{text}]"), hint)
    }
}
