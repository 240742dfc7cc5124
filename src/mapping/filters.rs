//! The filters: how one is found, given its arguments, built and applied. [`THEMES`] is the table of them all.
//!
//! A filter on null gives null (only `default` acts on it). Text that is blank counts as null for those that read
//! something from it: an empty field is not a bad one. A filter takes time in proportion to its text, and makes none
//! of more than 4 MiB that was not that long before.

mod amount;
mod coded;
mod contact;
mod documentation;
mod html;
mod json;
mod letters;
mod lists;
mod person;
mod php;
mod plain;
mod table;
pub(super) mod time;

use std::borrow::Cow;
use std::ops::Range;

use jiff::tz::TimeZone;
use passerelle_change::Value;
use regex::Regex;

use super::check::Typed;
use super::fault::Fault;
use super::kind::Kind;
use super::program::{Bad, Node, Yield};
use super::row::Row;
use super::text;
use table::LATER;

pub use documentation::reference;
pub use table::{THEMES, Theme};

/// A filter, as the documentation shows it.
#[derive(Debug)]
pub struct Filter {
    /// Its name.
    pub name: &'static str,
    /// What it is applied to, in words.
    pub takes: &'static str,
    /// Its parameters in order.
    pub params: &'static [Param],
    /// What it gives, in words.
    pub gives: &'static str,
    /// What it does.
    pub about: &'static str,
    /// Which values are bad, in words; empty when none is.
    pub errors: &'static str,
    /// Expressions and the text of their values; a bad one is written `bad: reason`.
    pub examples: &'static [(&'static str, &'static str)],
    accepts: fn(&Kind) -> bool,
    build: fn(&mut Call) -> Result<(Op, Kind), Fault>,
}

/// A parameter of a filter.
#[derive(Debug)]
pub struct Param {
    /// Its name.
    pub name: &'static str,
    /// What holds when it is not given; `None` when it must be.
    pub default: Option<&'static str>,
    /// What it means.
    pub about: &'static str,
}

/// A filter with its arguments.
#[derive(Debug)]
pub(super) enum Op {
    Abs,
    Base64,
    Bool,
    Country,
    Date(time::Form),
    DateTime(time::Form),
    Default { value: Node, blank: bool },
    Email,
    Hash(coded::Digest),
    Hex,
    HtmlText,
    Join { separator: String, skip_blank: bool },
    Json { path: json::Path, form: json::Form },
    Lines,
    Lower,
    Map(Box<Op>),
    Matches(Box<Regex>),
    MinorUnits(Node),
    Number { decimal: plain::Mark },
    Person(person::NamePart),
    Phone(Option<Node>),
    Php { path: json::Path, form: json::Form },
    PhpItems,
    Replace { old: String, new: String },
    Round(u32),
    Slug,
    Split(String),
    StripAccents,
    Time(time::Form),
    Title,
    Trim,
    Truncate(usize),
    Upper,
}

impl Op {
    pub(super) fn apply<'v>(&'v self, input: Value<'v>, row: &'v Row<'v>) -> Yield<'v> {
        if let Self::Default { value, blank } = self {
            let replaced = match &input {
                Value::Null => true,
                Value::Text(text) => *blank && text.trim().is_empty(),
                _ => false,
            };
            return if replaced { value.evaluate(row) } else { Ok(input) };
        }
        if input == Value::Null {
            return Ok(Value::Null);
        }
        match self {
            Self::Default { .. } => Ok(input),
            Self::Abs => amount::abs(input),
            Self::Base64 => coded::base64(&input),
            Self::Bool => plain::boolean(input),
            Self::Hash(digest) => coded::hash(&input, *digest),
            Self::Hex => coded::hex(&input),
            Self::Join { separator, skip_blank } => lists::join(input, separator, *skip_blank),
            Self::Json { path, form } => json::read(json_text(input)?, path, *form),
            Self::Map(filter) => lists::map(input, filter, row),
            Self::MinorUnits(currency) => amount::minor_units(&input, &currency.evaluate(row)?),
            Self::Number { decimal } => plain::number(input, *decimal),
            Self::Round(places) => amount::round(&input, *places),
            Self::Date(form) => form.date(input),
            Self::DateTime(form) => form.datetime(input),
            Self::Time(form) => form.time(input),
            Self::Phone(country) => {
                let country = match country {
                    Some(country) => country.evaluate(row)?,
                    None => Value::Null,
                };
                contact::phone(&plain::text(input)?, &country)
            }
            Self::Country
            | Self::Email
            | Self::HtmlText
            | Self::Lines
            | Self::Lower
            | Self::Matches(_)
            | Self::Person(_)
            | Self::Php { .. }
            | Self::PhpItems
            | Self::Replace { .. }
            | Self::Slug
            | Self::Split(_)
            | Self::StripAccents
            | Self::Title
            | Self::Trim
            | Self::Truncate(_)
            | Self::Upper => self.of_text(plain::text(input)?),
        }
    }

    /// Those that take text alone.
    fn of_text<'v>(&self, text: Cow<'v, str>) -> Yield<'v> {
        match self {
            Self::Country => contact::country(&text),
            Self::Email => contact::email(text),
            Self::HtmlText => Ok(Value::Text(Cow::Owned(html::shown(&text)))),
            Self::Lines => lists::lines(text),
            Self::Lower => Ok(plain::lower(text)),
            Self::Matches(pattern) => Ok(Value::Bool(pattern.is_match(&text))),
            Self::Person(part) => Ok(person::part(&text, *part)),
            Self::Php { path, form } => match php::json(&text)? {
                Some(json) => json::read(Cow::Owned(json), path, *form),
                None => Ok(Value::Null),
            },
            Self::PhpItems => php::items(&text),
            Self::Replace { old, new } => plain::replace(text, old, new),
            Self::Slug => Ok(letters::slug(&text)),
            Self::Split(separator) => lists::split(text, separator),
            Self::StripAccents => Ok(letters::strip_accents(text)),
            Self::Title => Ok(plain::title(&text)),
            Self::Trim => Ok(plain::trim(text)),
            Self::Truncate(length) => Ok(plain::truncate(text, *length)),
            Self::Upper => Ok(plain::upper(text)),
            _ => Err(WRONG_KIND),
        }
    }
}

/// An argument as it was given: its name, if it had one, and its node unless that has faults.
pub(super) type Given = (Option<(String, Range<usize>)>, Option<Typed>);

/// Finds the filter, puts the arguments in their places, and builds it. `None` for the input: it has a fault already.
pub(super) fn build(
    name: &str,
    span: &Range<usize>,
    input: Option<Typed>,
    given: Vec<Given>,
    zone: &TimeZone,
) -> Result<(Node, Kind), Option<Fault>> {
    if name == "map" {
        return build_map(span, input, given, zone);
    }
    let Some(filter) = all().find(|filter| filter.name == name) else {
        let fault = Fault::new(span.clone(), format!("there is no filter `{name}`"));
        let known = all().map(|filter| filter.name);
        return Err(Some(if LATER.contains(&name) {
            fault.hint("it is part of the language and comes later")
        } else {
            fault.nearest(name, known)
        }));
    };
    let arguments = placed(filter, span, given)?;
    let input = input.ok_or(None)?;
    if !(filter.accepts)(&input.kind) && input.kind != Kind::Null {
        let message = format!("`{name}` takes {}; this is {}", filter.takes, input.kind.name());
        return Err(Some(Fault::new(input.span, message)));
    }
    let mut call = Call { input: input.kind, span: span.clone(), arguments, zone: zone.clone() };
    let (op, kind) = (filter.build)(&mut call)?;
    Ok((Node::Filter { op: Box::new(op), input: Box::new(input.node) }, kind))
}

/// `map('filter', …)`: the filter is built for one item, with the arguments behind its name.
fn build_map(
    span: &Range<usize>,
    input: Option<Typed>,
    mut given: Vec<Given>,
    zone: &TimeZone,
) -> Result<(Node, Kind), Option<Fault>> {
    const HINT: &str = "it is written list | map('filter', its arguments)";
    let unnamed = |(name, _): &Given| name.as_ref().is_none_or(|(name, _)| name == "filter");
    let Some(first) = given.iter().position(unnamed) else {
        return Err(Some(Fault::new(span.clone(), "`map` needs its argument `filter`").hint(HINT)));
    };
    let filter = given.remove(first).1.ok_or(None)?;
    let name = match &filter.node {
        Node::Constant(Value::Text(name)) if name != "map" => name.to_string(),
        _ => return Err(Some(Fault::new(filter.span, "`map` takes a filter's name in quotes").hint(HINT))),
    };
    let input = input.ok_or(None)?;
    let kind = match input.kind {
        Kind::List(item) => *item,
        Kind::Null => Kind::Null,
        other => {
            let message = format!("`map` takes a list; this is {}", other.name());
            return Err(Some(Fault::new(input.span, message)));
        }
    };
    let item = Typed { node: Node::Constant(Value::Null), kind, span: input.span };
    match build(&name, &filter.span, Some(item), given, zone)? {
        (Node::Filter { op, .. }, kind) => {
            let op = Box::new(Op::Map(op));
            Ok((Node::Filter { op, input: Box::new(input.node) }, Kind::List(Box::new(kind))))
        }
        _ => Err(None),
    }
}

/// Every filter.
fn all() -> impl Iterator<Item = &'static Filter> {
    THEMES.iter().flat_map(|theme| theme.filters)
}

/// The text of JSON, or text that holds it.
fn json_text(value: Value<'_>) -> Result<Cow<'_, str>, Bad> {
    match value {
        Value::Json(_) | Value::Text(_) => text::of(value),
        _ => Err(WRONG_KIND),
    }
}

/// Arguments by the parameters' order.
fn placed(filter: &Filter, span: &Range<usize>, given: Vec<Given>) -> Result<Vec<Option<Typed>>, Option<Fault>> {
    let signature = || format!("it is written {}", filter.signature());
    let mut places: Vec<Option<Typed>> = filter.params.iter().map(|_| None).collect();
    for (at, (name, argument)) in given.into_iter().enumerate() {
        let argument = argument.ok_or(None)?;
        let place = match &name {
            None => at,
            Some((name, span)) => {
                let unknown = || Fault::new(span.clone(), format!("`{}` has no argument `{name}`", filter.name));
                let place = filter.params.iter().position(|param| param.name == name);
                place.ok_or_else(|| unknown().hint(signature()))?
            }
        };
        match places.get_mut(place) {
            Some(empty @ None) => *empty = Some(argument),
            Some(Some(_)) => return Err(Some(Fault::new(argument.span, "the argument is given twice"))),
            None => {
                let message = format!("`{}` has no more than {} arguments", filter.name, filter.params.len());
                return Err(Some(Fault::new(argument.span, message).hint(signature())));
            }
        }
    }
    for (param, place) in filter.params.iter().zip(&places) {
        if param.default.is_none() && place.is_none() {
            let fault = Fault::new(span.clone(), format!("`{}` needs its argument `{}`", filter.name, param.name));
            return Err(Some(fault.hint(signature())));
        }
    }
    Ok(places)
}

impl Filter {
    /// As it is written: `date(format='YYYY-MM-DD', zone=the source's)`.
    pub fn signature(&self) -> String {
        let params = self.params.iter().map(|param| match param.default {
            Some(default) => format!("{}={default}", param.name),
            None => param.name.to_owned(),
        });
        let params: Vec<_> = params.collect();
        if params.is_empty() { self.name.to_owned() } else { format!("{}({})", self.name, params.join(", ")) }
    }
}

/// What a filter is built from.
struct Call {
    input: Kind,
    span: Range<usize>,
    arguments: Vec<Option<Typed>>,
    zone: TimeZone,
}

impl Call {
    fn optional(&mut self, at: usize) -> Option<Typed> {
        self.arguments.get_mut(at).and_then(Option::take)
    }

    fn take(&mut self, at: usize) -> Result<Typed, Fault> {
        self.optional(at).ok_or_else(|| Fault::new(self.span.clone(), "an argument is missing"))
    }

    fn is_given(&self, at: usize) -> bool {
        self.arguments.get(at).is_some_and(Option::is_some)
    }

    fn span_of(&self, at: usize) -> Range<usize> {
        let argument = self.arguments.get(at).and_then(Option::as_ref);
        argument.map_or(self.span.clone(), |typed| typed.span.clone())
    }

    fn constant(&self, at: usize) -> Result<Option<&Value<'static>>, Fault> {
        match self.arguments.get(at).and_then(Option::as_ref) {
            None => Ok(None),
            Some(Typed { node: Node::Constant(value), .. }) => Ok(Some(value)),
            Some(_) => Err(self.fault(at, "this argument must be written out: it cannot be computed from the row")),
        }
    }

    fn text(&self, at: usize) -> Result<Option<String>, Fault> {
        match self.constant(at)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(self.fault(at, "this argument is text")),
        }
    }

    fn integer(&self, at: usize) -> Result<Option<i128>, Fault> {
        match self.constant(at)? {
            None => Ok(None),
            Some(Value::Int(n)) => Ok(Some(*n)),
            Some(_) => Err(self.fault(at, "this argument is an integer")),
        }
    }

    fn flag(&self, at: usize) -> Result<bool, Fault> {
        match self.constant(at)? {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(self.fault(at, "this argument is true or false")),
        }
    }

    fn time_form(
        &self,
        format: usize,
        zone: usize,
        form: fn(Option<&str>, TimeZone) -> Option<time::Form>,
    ) -> Result<time::Form, Fault> {
        let zone = match self.text(zone)? {
            None => self.zone.clone(),
            Some(name) => TimeZone::get(&name).map_err(|_| {
                let fault = self.fault(zone, &format!("'{name}' is no time zone"));
                fault.hint("zones have names like 'Europe/Paris'")
            })?,
        };
        let written = self.text(format)?;
        form(written.as_deref(), zone).ok_or_else(|| {
            let fault = self.fault(format, "not a form of dates or times");
            fault.hint("it is made of YYYY, MM, DD, HH, mm and ss, like 'DD/MM/YYYY'")
        })
    }

    fn fault(&self, at: usize, message: &str) -> Fault {
        Fault::new(self.span_of(at), message)
    }
}

/// A value of a type that the check would not have let pass.
const WRONG_KIND: Bad = Bad("a value of another type than the filter takes");
