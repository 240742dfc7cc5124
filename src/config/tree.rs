//! TOML as a tree in which every key and value knows its place, over several files.

use std::borrow::Cow;
use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::fault::Fault;
use super::files::Files;
use super::mask;
use super::model::Place;
use super::not_toml;

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

/// The parser's message for a key or table that is there already.
const DUPLICATE: &str = "duplicate key";

/// Tables whose entries may stand in different files, each entry in one.
const COLLECTIONS: [&str; 4] = ["source", "crm", "mapping", "record"];

/// The most lines of a file that are shown as no TOML.
const MOST_BROKEN: usize = 50;

/// Reads every file and merges them. What could not be read is a fault, the rest is in the tree.
pub(super) fn parse(files: &Files) -> (Table, Vec<Fault>) {
    let mut whole = Table::default();
    let mut faults = Vec::new();
    for (file, text) in files.texts().enumerate() {
        let (table, found) = parse_file(file, text);
        faults.extend(found);
        merge(&mut whole, table, &mut faults);
    }
    (whole, faults)
}

/// One file. A line that is no TOML is read as if it were empty, so that it hides nothing that stands behind it.
fn parse_file(file: usize, original: &str) -> (Table, Vec<Fault>) {
    let secrets = mask::secrets(original);
    let (mut text, mut faults) = (Cow::Borrowed(original), Vec::<Fault>::new());
    loop {
        let (table, errors) = DeTable::parse_recoverable(&text);
        let reading = Reading { file, text: &text };
        let table = reading.table(table.into_inner());
        let span = |error: &toml::de::Error| error.span().unwrap_or(text.len()..text.len());
        let broken = errors.iter().filter(|error| error.message() != DUPLICATE).min_by_key(|error| span(error).start);
        let Some(error) = broken.filter(|_| faults.len() < MOST_BROKEN) else {
            faults.extend(reading.duplicates(&errors, &table));
            return (table, faults);
        };
        let line = line_of(original, span(error).start);
        let is_secret = secrets.iter().any(|secret| secret.start < line.end && line.start < secret.end);
        let found = not_toml::explain(original, &span(error), error.message(), is_secret);
        let lost = found.lost.unwrap_or_else(|| line_of(original, found.span.start));
        let is_open = found.message == not_toml::SWALLOWED;
        let fault = Fault::error(found.message).at(&reading.place(found.span)).maybe_hint(found.hint);
        // A file in another language says so once.
        let is_other = faults.iter().any(|known| known.message.starts_with("this looks like"));
        if !is_other || !fault.message.starts_with("this looks like") && !fault.message.starts_with("behind a key") {
            faults.push(fault);
        }
        match without(&text, &lost).filter(|_| !is_open) {
            Some(next) => text = Cow::Owned(next),
            None => return (table, faults),
        }
    }
}

/// The line in which an offset stands.
fn line_of(text: &str, at: usize) -> Range<usize> {
    let at = at.min(text.len());
    let start = text.get(..at).unwrap_or_default().rfind('\n').map_or(0, |end| end + 1);
    let end = text.get(start..).and_then(|rest| rest.find('\n')).map_or(text.len(), |end| start + end);
    start..end
}

/// The text with blanks for a part of it, as long as it was; `None` where there are only blanks.
fn without(text: &str, part: &Range<usize>) -> Option<String> {
    let lost = text.get(part.clone()).filter(|lost| !lost.trim().is_empty())?;
    let blank: String = lost.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }).collect();
    Some(format!("{}{blank}{}", &text[..part.start], &text[part.end..]))
}

/// A value that is written nowhere, as if it stood at a place.
pub(super) fn written(text: &str, place: &Place) -> Option<Node> {
    let text = format!("x = {text}");
    let table = DeTable::parse(&text).ok()?.into_inner();
    let entry = Reading { file: place.file, text: &text }.table(table).entries.pop()?;
    Some(Node { place: place.clone(), value: entry.node.value })
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

    /// What is defined twice. All keys of a table that stands twice are there twice: that is said of the table.
    fn duplicates(&self, errors: &[toml::de::Error], table: &Table) -> Vec<Fault> {
        let spans = errors.iter().filter(|error| error.message() == DUPLICATE).filter_map(toml::de::Error::span);
        let mut spans: Vec<_> = spans.collect();
        spans.sort_by_key(|span| span.start);
        let (mut faults, mut twice) = (Vec::new(), None::<String>);
        for span in spans {
            let (title, first) = self.duplicate(table, &span);
            if twice.as_ref().is_some_and(|head| self.head_before(span.start).starts_with(head.as_str())) {
                continue;
            }
            if title.starts_with('[') {
                twice = Some(title.trim_end_matches(']').to_owned());
            }
            let fault =
                Fault::error(format!("{title} is defined twice")).at(&self.place(span)).hint("keep one of them");
            faults.push(match first {
                Some(first) => fault.also(&first, "first here"),
                None => fault,
            });
        }
        faults
    }

    /// The head of the table in which an offset stands, as written.
    fn head_before(&self, at: usize) -> &str {
        let line_end = self.text.get(at..).and_then(|rest| rest.find('\n')).map_or(self.text.len(), |end| at + end);
        let before = self.text.get(..line_end).unwrap_or_default();
        before.lines().rev().find(|line| line.trim_start().starts_with('[')).unwrap_or_default().trim()
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
}
