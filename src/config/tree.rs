//! TOML as a tree in which every key and value knows its place, over several files.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::files::Files;
use super::model::Place;

/// A value and its place.
#[derive(Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

/// A TOML value.
#[derive(Debug)]
pub(super) enum Value {
    /// Text, and where it stands without its quotes.
    Text(String, Place),
    /// A whole number.
    Int(i128),
    /// Any other number, as written.
    Float(String),
    Bool(bool),
    /// A date or time, as written.
    Time(String),
    List(Vec<Node>),
    Table(Table),
}

impl Value {
    /// What it is, for people.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::Text(..) => "text",
            Self::Int(_) => "a whole number",
            Self::Float(_) => "a number",
            Self::Bool(_) => "true or false",
            Self::Time(_) => "a date or time",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
        }
    }
}

/// The entries of a table, in the order written.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) entries: Vec<Entry>,
}

/// One key and its value.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: String,
    pub(super) key_place: Place,
    pub(super) node: Node,
}

/// Tables whose entries may stand in different files, each entry in one.
const COLLECTIONS: [&str; 4] = ["source", "crm", "mapping", "record"];

/// Reads every file and merges them. What could not be read is a fault, the rest is in the tree.
pub(super) fn parse(files: &Files) -> (Table, Vec<Fault>) {
    let mut whole = Table::default();
    let mut faults = Vec::new();
    for (file, text) in files.texts().enumerate() {
        let (table, errors) = DeTable::parse_recoverable(text);
        let reading = Reading { file, text };
        let table = reading.table(table.into_inner());
        faults.extend(errors.iter().map(|error| reading.fault(error, &table)));
        merge(&mut whole, table, &mut faults);
    }
    (whole, faults)
}

fn merge(whole: &mut Table, table: Table, faults: &mut Vec<Fault>) {
    for entry in table.entries {
        let Some(known) = whole.entries.iter_mut().find(|known| known.key == entry.key) else {
            whole.entries.push(entry);
            continue;
        };
        match (&mut known.node.value, entry.node.value) {
            (Value::Table(known), Value::Table(table)) if COLLECTIONS.contains(&entry.key.as_str()) => {
                for named in table.entries {
                    match known.entries.iter().find(|known| known.key == named.key) {
                        Some(first) => faults.push(twice(
                            &format!("{}.{}", entry.key, named.key),
                            &named.key_place,
                            &first.key_place,
                        )),
                        None => known.entries.push(named),
                    }
                }
            }
            _ => faults.push(twice(&entry.key, &entry.key_place, &known.key_place)),
        }
    }
}

fn twice(title: &str, place: &Place, first: &Place) -> Fault {
    let fault = Fault::error(format!("[{title}] stands in two files")).at(place).also(first, "first here");
    fault.hint("keep all of it in one file, or give the second another name")
}

/// One file on its way into the tree.
struct Reading<'t> {
    file: usize,
    text: &'t str,
}

impl Reading<'_> {
    fn place(&self, span: Range<usize>) -> Place {
        Place { file: self.file, span }
    }

    fn table(&self, table: DeTable<'_>) -> Table {
        let mut entries: Vec<Entry> = table
            .into_iter()
            .map(|(key, value)| Entry {
                key_place: self.place(key.span()),
                key: key.into_inner().into_owned(),
                node: self.node(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.key_place.span.start);
        Table { entries }
    }

    fn node(&self, value: Spanned<DeValue<'_>>) -> Node {
        let place = self.place(value.span());
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text.into_owned(), self.place(self.inside_quotes(&place.span))),
            DeValue::Integer(number) => match i128::from_str_radix(number.as_str(), number.radix()) {
                Ok(number) => Value::Int(number),
                Err(_) => Value::Float(number.to_string()),
            },
            DeValue::Float(number) => Value::Float(number.as_str().to_owned()),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(items) => Value::List(items.into_iter().map(|item| self.node(item)).collect()),
            DeValue::Table(table) => Value::Table(self.table(table)),
        };
        Node { place, value }
    }

    /// The span of a text without its quotes. An offset in the text can be added to its start as long as no escape
    /// (`\n`, `\"`) stands before it; [`Files::place_in`] knows about those.
    fn inside_quotes(&self, span: &Range<usize>) -> Range<usize> {
        let raw = self.text.get(span.clone()).unwrap_or_default();
        for quote in ["\"\"\"", "'''", "\"", "'"] {
            if let Some(body) = raw.strip_prefix(quote).and_then(|raw| raw.strip_suffix(quote)) {
                let first_line = body.strip_prefix("\r\n").or(body.strip_prefix('\n')).filter(|_| quote.len() == 3);
                let newline = body.len() - first_line.unwrap_or(body).len();
                return span.start + quote.len() + newline..span.end - quote.len();
            }
        }
        span.clone()
    }

    fn fault(&self, error: &toml::de::Error, table: &Table) -> Fault {
        let span = error.span().unwrap_or(self.text.len()..self.text.len());
        let place = self.place(span.clone());
        if error.message() == "duplicate key" {
            let (title, first) = self.duplicate(table, &span);
            let fault = Fault::error(format!("{title} is defined twice")).at(&place).hint("keep one of them");
            return match first {
                Some(first) => fault.also(&first, "first here"),
                None => fault,
            };
        }
        let message = if error.message().starts_with("string values must be quoted") {
            "text must stand in quotes".to_owned()
        } else {
            format!("this is not TOML: {}", error.message())
        };
        Fault::error(message).at(&place).maybe_hint(self.syntax_hint(&span))
    }

    /// What was defined twice, and where it was first.
    fn duplicate(&self, table: &Table, span: &Range<usize>) -> (String, Option<Place>) {
        let line_start = self.text.get(..span.start).unwrap_or_default().rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[line_start..].lines().next().unwrap_or_default().trim();
        if line.starts_with('[') {
            let header = line.split_inclusive(']').next().unwrap_or(line);
            let first = self.text.find(header).filter(|at| *at < line_start);
            return (header.to_owned(), first.map(|at| self.place(at..at + header.len())));
        }
        let key = self.text.get(span.clone()).unwrap_or_default().trim_matches(['"', '\'']);
        (format!("`{key}`"), self.first_definition(table, key, span.start).cloned())
    }

    /// The key of that name in the table that is being written at an offset: the nearest before it, not counting inline
    /// tables that have ended.
    fn first_definition<'a>(&self, table: &'a Table, key: &str, before: usize) -> Option<&'a Place> {
        let mut found: Option<&Place> = None;
        for entry in table.entries.iter().filter(|entry| entry.key_place.span.start < before) {
            let deeper = match &entry.node.value {
                Value::Table(inner) if !self.is_ended(&entry.node, before) => self.first_definition(inner, key, before),
                _ => None,
            };
            let own = (entry.key == key).then_some(&entry.key_place);
            found = [found, own, deeper].into_iter().flatten().max_by_key(|place| place.span.start);
        }
        found
    }

    fn is_ended(&self, node: &Node, before: usize) -> bool {
        self.text.get(node.place.span.clone()).is_some_and(|raw| raw.starts_with('{')) && node.place.span.end <= before
    }

    /// What people most often get wrong in TOML.
    fn syntax_hint(&self, span: &Range<usize>) -> Option<String> {
        let start = self.text.get(..span.start)?.rfind('\n').map_or(0, |at| at + 1);
        let line = self.text.get(start..)?.lines().next()?;
        let (key, value) = line.split_once('=')?;
        let value = value.trim();
        let key = key.trim();
        let bare = |char: char| char.is_ascii_alphanumeric() || char == '_' || char == '-' || char == '.';
        if !key.is_empty() && !key.chars().all(bare) && !key.starts_with(['"', '\'', '[', '{', '#']) {
            return Some(format!(
                "a key with other characters than letters, digits, _ and - stands in quotes: \"{key}\""
            ));
        }
        let quotes = value.matches('"').count();
        if value.starts_with('"') && quotes == 1 {
            return Some("close the text with a quote".to_owned());
        }
        if value.starts_with('"') && quotes > 2 {
            return Some("a text that has double quotes in it can stand in single ones: 'a \"b\" c'".to_owned());
        }
        let scalar = value.starts_with(|char: char| char.is_ascii_alphabetic() || char == '/');
        (scalar && value != "true" && value != "false").then(|| format!("write {key} = \"…\""))
    }
}
