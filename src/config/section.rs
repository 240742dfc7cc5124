//! Reads a table key by key and collects every fault on the way: what is taken is known, what is left is unknown. What a
//! key may be, and what holds without it, stands in the table's [`Keys`].
//!
//! A reader of a table takes all its keys first, each as an `Option` that is `None` when the fault is already noted,
//! and only then puts them together. So one wrong key hides no other.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::time::Duration;

use passerelle_change::FieldValue;

use super::fault::Fault;
use super::files::Files;
use super::keys::{Cases, Form, Key, Keys, Rule, Words};
use super::model::{Expr, Place};
use super::nearest::{did_you_mean, list, nearest};
use super::tree::{Entry, Node, Table, Value, written};
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
    keys: &'static Keys,
    table: &'a Table,
    /// The case of the table, where its keys are divided into some.
    case: Option<&'static str>,
    /// What has not been taken.
    left: Vec<&'a Entry>,
}

impl<'a> Section<'a> {
    pub(super) fn new(
        title: String,
        place: &'a Place,
        table: &'a Table,
        keys: &'static Keys,
        context: &'a Context<'a>,
    ) -> Self {
        Self { title, place, context, keys, table, case: case(keys, table), left: table.entries.iter().collect() }
    }

    /// A key, which is left to be taken. A key of another case than the table's is not there.
    pub(super) fn find(&self, name: &str) -> Option<Found<'a>> {
        let key = self.keys.get(name);
        debug_assert!(key.is_some(), "`{name}` is no key of {}", self.title);
        let key = key.filter(|key| key.is_of(self.case))?;
        let entry = self.left.iter().find(|entry| entry.key == name)?;
        Some(Found::new(entry, &key.form, key.example, self.context))
    }

    /// The same, taken.
    pub(super) fn take(&mut self, name: &str) -> Option<Found<'a>> {
        let found = self.find(name)?;
        self.left.retain(|entry| entry.key != name);
        Some(found)
    }

    /// Whether a key is built already.
    pub(super) fn knows(&self, name: &str) -> bool {
        self.keys.get(name).is_some_and(|key| !matches!(key.rule, Rule::Later(_)))
    }

    /// A key that must be there: [`Section::finish`] says so where it is not.
    pub(super) fn need<T>(&mut self, name: &str, read: impl FnOnce(&Found<'a>) -> Option<T>) -> Option<T> {
        self.take(name).and_then(|found| read(&found))
    }

    /// A key with a default, which is read as if it were written.
    pub(super) fn or<T>(&mut self, name: &str, read: impl FnOnce(&Found<'_>) -> Option<T>) -> Option<T> {
        if let Some(found) = self.take(name) {
            return read(&found);
        }
        let key = self.keys.get(name)?;
        let Rule::Default(text) = key.rule else { return None };
        let node = written(text, self.place)?;
        let (form, example, context) = (&key.form, key.example, self.context);
        read(&Found { name: key.name, key_place: self.place, node: &node, context, form, example })
    }

    /// A key that may be missing; the outer `None` is a fault.
    #[allow(clippy::option_option)] // the outer one is "faulty", the inner one "not there"
    pub(super) fn maybe<T>(&mut self, name: &str, read: impl FnOnce(&Found<'a>) -> Option<T>) -> Option<Option<T>> {
        self.take(name).map_or(Some(None), |found| read(&found).map(Some))
    }

    /// Notes what is left, and what must be there and is not. `stray` may explain an unknown key better than its
    /// nearest neighbour does, and what to do about a key of another case.
    pub(super) fn finish(self, stray: impl Fn(&str) -> Option<String>) {
        self.report_missing();
        for entry in &self.left {
            let fault = match self.keys.get(&entry.key) {
                Some(Key { name, rule: Rule::Later(instead), .. }) => {
                    Fault::error(format!("`{name}` is not supported yet")).hint(*instead)
                }
                Some(key) if !key.is_of(self.case) => self.of_another_case(key, stray(key.name)),
                // It may be right: nothing says yet which case it is.
                Some(key) if !key.cases.is_empty() && self.case.is_none() => continue,
                Some(_) | None => self.unknown(&entry.key, &stray),
            };
            self.context.note(fault.at(&entry.key_place));
        }
    }

    fn unknown(&self, name: &str, stray: impl Fn(&str) -> Option<String>) -> Fault {
        let known = || self.keys.of(self.case).map(|key| key.name);
        let hint = match nearest(name, known()) {
            // `mapping.contacts.source = …` behind another table's head.
            _ if ["source", "crm", "mapping", "lookup", "alert"].contains(&name) => {
                format!("what follows a head belongs to its table: begin another with [{name}.NAME]")
            }
            Some(near) => format!("did you mean `{near}`?"),
            None => stray(name).unwrap_or_else(|| format!("keys of {}: {}", self.title, list(known()))),
        };
        Fault::error(format!("unknown key `{name}` in {}", self.title)).hint(hint)
    }

    /// A key that does not go with those that make the table's case.
    fn of_another_case(&self, key: &Key, instead: Option<String>) -> Fault {
        let case = self.case.unwrap_or_default();
        let shown = |case: &str| match self.keys.cases {
            Cases::Word(key) => format!("{key} = \"{case}\""),
            Cases::Key(_) | Cases::None => format!("`{case}`"),
        };
        if matches!(self.keys.cases, Cases::Key(cases) if cases.contains(&key.name)) {
            let message = format!("{} has both `{case}` and `{}`", self.title, key.name);
            return Fault::error(message).hint("keep one of them");
        }
        let cases: Vec<_> = key.cases.iter().map(|case| shown(case)).collect();
        let message = format!("`{}` does not go with {}", key.name, shown(case));
        Fault::error(message)
            .hint(instead.unwrap_or_else(|| format!("`{}` goes with {}", key.name, cases.join(" or "))))
    }

    fn report_missing(&self) {
        for key in self.keys.of(self.case) {
            let Some(other) = key.beside.and_then(|other| self.keys.get(other)) else { continue };
            if let (Some(entry), None) = (self.entry(key.name), self.entry(other.name)) {
                let fault = Fault::error(format!("`{}` needs `{}` beside it", key.name, other.name));
                self.context.note(fault.at(&entry.key_place).hint(format!("add {} = {}", other.name, other.example)));
            }
        }
        // A key that is nearly the missing one will be reported as unknown: once is enough.
        let misspelt = |key: &str| self.left.iter().any(|entry| nearest(&entry.key, [key]).is_some());
        let is_missing = |key: &&Key| {
            let needed = matches!(key.rule, Rule::Needed) && (key.cases.is_empty() || self.case.is_some());
            needed && self.entry(key.name).is_none() && !misspelt(key.name)
        };
        let missing: Vec<_> = self.keys.of(self.case).filter(is_missing).collect();
        if !missing.is_empty() {
            let verb = if missing.len() == 1 { "is" } else { "are" };
            let lines: Vec<_> = missing.iter().map(|key| format!("add {} = {}", key.name, key.example)).collect();
            let names = list(missing.iter().map(|key| key.name));
            let fault = Fault::error(format!("{names} {verb} missing in {}", self.title)).absent().at(self.place);
            self.context.note(fault.hint(lines.join("\n")));
        }
        // What is left is unknown, and says it all already.
        if let (Cases::Key(cases), None, true) = (self.keys.cases, self.case, self.left.is_empty()) {
            let fault = Fault::error(format!("{} has none of {}", self.title, list(cases.iter().copied()))).absent();
            self.context.note(fault.at(self.place).hint(self.keys.forms()));
        }
    }

    fn entry(&self, name: &str) -> Option<&'a Entry> {
        self.table.entries.iter().find(|entry| entry.key == name)
    }
}

/// The case that a table is.
fn case(keys: &Keys, table: &Table) -> Option<&'static str> {
    let written = |name: &str| table.entries.iter().find(|entry| entry.key == name).map(|entry| &entry.node.value);
    match keys.cases {
        Cases::None => None,
        Cases::Key(cases) => cases.iter().copied().find(|case| written(case).is_some()),
        Cases::Word(key) => match written(key)? {
            Value::Text(text, _) => keys.case_names().into_iter().find(|case| case == text),
            _ => None,
        },
    }
}

/// One key that was found.
#[derive(Clone, Copy)]
pub(super) struct Found<'a> {
    pub(super) name: &'a str,
    pub(super) key_place: &'a Place,
    pub(super) node: &'a Node,
    pub(super) context: &'a Context<'a>,
    /// What its value may be.
    form: &'static Form,
    /// A value as TOML writes it.
    example: &'static str,
}

impl<'a> Found<'a> {
    fn new(entry: &'a Entry, form: &'static Form, example: &'static str, context: &'a Context<'a>) -> Self {
        Self { name: &entry.key, key_place: &entry.key_place, node: &entry.node, context, form, example }
    }

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

    /// A whole number of the form's range.
    pub(super) fn int<T: TryFrom<i128>>(&self) -> Option<T> {
        let expected = self.form.allowed();
        let Value::Int(number) = self.node.value else {
            return self.wrong(&expected);
        };
        let fits = matches!(self.form, Form::Whole { least, most } if (*least..=*most).contains(&number));
        match T::try_from(number) {
            Ok(value) if fits => Some(value),
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

    /// A table of known keys, to be taken.
    pub(super) fn table(&self) -> Option<Section<'a>> {
        self.titled_table(format!("`{}`", self.name))
    }

    /// The same under a title of its own.
    pub(super) fn titled_table(&self, title: String) -> Option<Section<'a>> {
        match (&self.node.value, self.form.keys()) {
            (Value::Table(table), Some(keys)) => Some(Section::new(title, self.key_place, table, keys, self.context)),
            _ if self.example.starts_with("{ ") => {
                self.wrong_form("a table", format!("{} = {}", self.name, self.example))
            }
            _ => self.wrong("a table"),
        }
    }

    /// The entries of a table whose keys are names of somebody else's.
    pub(super) fn named(&self) -> Option<Vec<Found<'a>>> {
        let (Value::Table(table), Form::Named { of, .. }) = (&self.node.value, self.form) else {
            return self.wrong("a table");
        };
        Some(table.entries.iter().map(|entry| Found::new(entry, of, "", self.context)).collect())
    }

    /// One of some words, which are shown in quotes.
    pub(super) fn word<T: Clone>(&self, words: &Words<T>) -> Option<T> {
        let allowed = self.form.allowed();
        let Value::Text(text, _) = &self.node.value else {
            return self.wrong(&format!("one of {allowed}"));
        };
        if let Some((_, value)) = words.words.iter().find(|(word, _)| word == text) {
            return Some(value.clone());
        }
        if words.later.contains(&text.as_str()) {
            return self
                .fault(format!("{} = \"{text}\" is not supported yet", self.name), format!("supported: {allowed}"));
        }
        let near = nearest(text, words.words.iter().map(|(word, _)| *word));
        let hint = match near {
            Some(near) if allowed == format!("\"{near}\"") => format!("write \"{near}\""),
            Some(near) => format!("did you mean \"{near}\"? allowed: {allowed}"),
            None => format!("allowed: {allowed}"),
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

    /// A duration of the form's range.
    pub(super) fn duration(&self) -> Option<Duration> {
        let value = self.parsed("a duration", units::duration)?;
        if matches!(self.form, Form::Duration { least, most } if (*least..=*most).contains(&value)) {
            return Some(value);
        }
        self.fault(format!("`{}` is out of range", self.name), self.form.allowed())
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
        let fault = Fault::error(format!("there is no [{what}.{text}]")).absent();
        self.context.note(fault.at(&self.node.place).hint(hint));
        None
    }
}
