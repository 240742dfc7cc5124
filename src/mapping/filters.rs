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
mod lookup;
mod person;
mod php;
mod plain;
mod table;
pub(super) mod time;

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;
use passerelle_change::Value;
use regex::Regex;

use super::check::Typed;
use super::fault::Fault;
use super::foreign;
use super::kind::Kind;
use super::program::{Bad, Node, Yield};
use super::row::Row;
use super::text;
use crate::config::model::{Lookup, Standard};

pub use documentation::reference;
pub(super) use letters::plain as without_accents;
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
    Lookup(Box<lookup::Found>),
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
            Self::Lookup(found) => found.of(input, row),
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
    standard: &Standard,
) -> Result<(Node, Kind), Option<Fault>> {
    if name == "map" {
        return build_map(span, input, given, zone, standard);
    }
    let Some(filter) = all().find(|filter| filter.name == name) else {
        return Err(Some(unknown(name, span)));
    };
    let arguments = placed(filter, span, given)?;
    let input = input.ok_or(None)?;
    if !(filter.accepts)(&input.kind) && !matches!(input.kind, Kind::Null | Kind::Any) {
        let message = format!("`{name}` takes {}; this is {}", filter.takes, input.kind.name());
        return Err(Some(Fault::new(input.span, message).maybe_hint(conversion(filter, &input.kind))));
    }
    let mut call = Call {
        filter,
        input: input.kind,
        span: span.clone(),
        arguments,
        zone: zone.clone(),
        lookups: standard.lookups.clone(),
    };
    let (op, kind) = (filter.build)(&mut call)?;
    Ok((Node::Filter { op: Box::new(op), input: Box::new(input.node) }, kind))
}

/// The argument of `map` that names its filter: its place, and the name where it is one.
pub(super) fn mapped_filter(given: &[Given]) -> Option<(usize, Option<&str>)> {
    let names_it = |(name, _): &Given| name.as_ref().is_none_or(|(name, _)| name == "filter");
    let at = given.iter().position(names_it)?;
    let name = match &given[at].1 {
        Some(Typed { node: Node::Constant(Value::Text(name)), .. }) => Some(&**name),
        _ => None,
    };
    Some((at, name))
}

/// `map('filter', …)`: the filter is built for one item, with the arguments behind its name.
fn build_map(
    span: &Range<usize>,
    input: Option<Typed>,
    mut given: Vec<Given>,
    zone: &TimeZone,
    standard: &Standard,
) -> Result<(Node, Kind), Option<Fault>> {
    const HINT: &str = "it is written list | map('filter', its arguments)";
    let Some((first, name)) = mapped_filter(&given) else {
        return Err(Some(Fault::new(span.clone(), "`map` needs its argument `filter`").hint(HINT)));
    };
    let name = name.filter(|name| *name != "map").map(str::to_owned);
    let filter = given.remove(first).1.ok_or(None)?;
    let Some(name) = name else {
        return Err(Some(Fault::new(filter.span, "`map` takes a filter's name in quotes").hint(HINT)));
    };
    let input = input.ok_or(None)?;
    let kind = match input.kind {
        Kind::List(item) => *item,
        Kind::Null => Kind::Null,
        Kind::Any => Kind::Any,
        other => {
            let message = format!("`map` takes a list; this is {}", other.name());
            let fault = Fault::new(input.span, message);
            let hint = format!("one value is filtered alone: `x | {name}`");
            return Err(Some(if is_filter(&name) { fault.hint(hint) } else { fault }));
        }
    };
    let item = Typed { node: Node::Constant(Value::Null), kind, span: input.span };
    match build(&name, &filter.span, Some(item), given, zone, standard)? {
        (Node::Filter { op, .. }, kind) => {
            let op = Box::new(Op::Map(op));
            Ok((Node::Filter { op, input: Box::new(input.node) }, Kind::List(Box::new(kind))))
        }
        _ => Err(None),
    }
}

/// A filter that is not there.
fn unknown(name: &str, span: &Range<usize>) -> Fault {
    let fault = Fault::new(span.clone(), format!("there is no filter `{name}`"));
    if let Some(same) = names().find(|known| known.eq_ignore_ascii_case(name)) {
        return fault.hint(format!("filters are written in lower case: `{same}`"));
    }
    match foreign::filter(name) {
        Some(foreign::Instead::Called(ours)) => {
            let filter = all().find(|filter| filter.name == ours);
            let form = filter.map_or_else(|| ours.to_owned(), Filter::signature);
            fault.hint(if form == ours {
                format!("it is called `{ours}` here")
            } else {
                format!("it is called `{ours}` here: {form}")
            })
        }
        Some(foreign::Instead::Say(instead)) => fault.hint(instead),
        None => fault.hint(all_names()).nearest(name, names()),
    }
}

fn all_names() -> String {
    let mut names: Vec<&str> = names().collect();
    names.sort_unstable();
    format!("filters: {}", names.join(", "))
}

/// How a value of a kind comes to be what a filter takes.
fn conversion(filter: &Filter, kind: &Kind) -> Option<String> {
    let name = filter.name;
    let takes = |what: &str| filter.takes.split(", ").any(|kind| kind == what || kind.starts_with(what));
    Some(match kind {
        Kind::List(_) if takes("text") => {
            format!("each item: `x | map('{name}')`; all of them as one text: `x | concat(', ') | {name}`")
        }
        Kind::List(_) => format!("each item: `x | map('{name}')`"),
        Kind::Text | Kind::Enum(_) if takes("a list") => {
            format!("a list is made of text with `split`: `x | split(',') | {name}`, or `lines`")
        }
        Kind::Text | Kind::Enum(_) | Kind::Float if takes("a number") || takes("a decimal") => {
            format!("it is read as a number first: `x | number | {name}`")
        }
        Kind::Json => format!("a part of it is taken first: `x | json('name') | {name}`"),
        Kind::Bytes if takes("text") => format!("text of it is its digits: `x | hex | {name}`"),
        Kind::Bool if takes("text") => "text of it: `'yes' if x else 'no'`".to_owned(),
        _ if takes("text") => format!("text of it is made with `~`: `(x ~ '') | {name}`"),
        _ => return None,
    })
}

/// Whether there is a filter of that name.
pub(super) fn is_filter(name: &str) -> bool {
    names().any(|known| known == name)
}

/// Whether a filter has arguments; one that is not there may have.
pub(super) fn takes_arguments(name: &str) -> bool {
    all().find(|filter| filter.name == name).is_none_or(|filter| !filter.params.is_empty())
}

/// Every filter's name.
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    all().map(|filter| filter.name)
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
                let names = filter.params.iter().map(|param| param.name);
                place.ok_or_else(|| unknown().hint(signature()).nearest(name, names))?
            }
        };
        match places.get_mut(place) {
            Some(empty @ None) => *empty = Some(argument),
            Some(Some(_)) => return Err(Some(Fault::new(argument.span, "the argument is given twice"))),
            None => {
                let message = match filter.params.len() {
                    0 => format!("`{}` takes no argument", filter.name),
                    1 => format!("`{}` takes one argument only", filter.name),
                    most => format!("`{}` takes {most} arguments at most", filter.name),
                };
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
    filter: &'static Filter,
    input: Kind,
    span: Range<usize>,
    arguments: Vec<Option<Typed>>,
    zone: TimeZone,
    lookups: BTreeMap<String, Arc<Lookup>>,
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
            Some(_) => {
                let message = format!("{} must be written out: it cannot be computed from the row", self.argument(at));
                Err(self.fault(at, &message))
            }
        }
    }

    fn text(&self, at: usize) -> Result<Option<String>, Fault> {
        match self.constant(at)? {
            None => Ok(None),
            Some(Value::Text(text)) => Ok(Some(text.to_string())),
            Some(_) => Err(self.wants(at, "a text in quotes")),
        }
    }

    fn integer(&self, at: usize) -> Result<Option<i128>, Fault> {
        match self.constant(at)? {
            None => Ok(None),
            Some(Value::Int(n)) => Ok(Some(*n)),
            Some(_) => Err(self.wants(at, "a whole number")),
        }
    }

    fn flag(&self, at: usize) -> Result<bool, Fault> {
        match self.constant(at)? {
            None => Ok(false),
            Some(Value::Bool(b)) => Ok(*b),
            Some(_) => Err(self.wants(at, "true or false")),
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
            Some(name) => TimeZone::get(&name).map_err(|_| self.no_zone(zone, &name))?,
        };
        let written = self.text(format)?;
        form(written.as_deref(), zone).ok_or_else(|| {
            let fault = self.fault(format, "this is not a form of dates or times");
            match written.as_deref().and_then(time::translated) {
                Some(ours) => fault.hint(format!("it is written '{ours}' here")),
                None => fault.hint("it is made of YYYY, MM, DD, HH, mm and ss, like 'DD/MM/YYYY'"),
            }
        })
    }

    fn no_zone(&self, at: usize, name: &str) -> Fault {
        let fault = self.fault(at, &format!("'{name}' is no time zone")).hint("zones have names like 'Europe/Paris'");
        let zones: Vec<_> = jiff::tz::db().available().map(|zone| zone.as_str().to_owned()).collect();
        let names = || zones.iter().map(String::as_str);
        let city = |zone: &&str| zone.rsplit('/').next().is_some_and(|city| city.eq_ignore_ascii_case(name));
        match names().find(city).or_else(|| crate::config::nearest(name, names())) {
            Some(near) => fault.hint(format!("did you mean '{near}'?")),
            None => fault,
        }
    }

    /// `` `length` of `truncate` ``.
    fn argument(&self, at: usize) -> String {
        let param = self.filter.params.get(at).map_or("the argument", |param| param.name);
        format!("`{param}` of `{}`", self.filter.name)
    }

    fn wants(&self, at: usize, what: &str) -> Fault {
        let fault = self.fault(at, &format!("{} is {what}", self.argument(at)));
        fault.hint(format!("it is written {}", self.filter.signature()))
    }

    fn fault(&self, at: usize, message: &str) -> Fault {
        Fault::new(self.span_of(at), message)
    }
}

/// A value of a type that the check would not have let pass.
const WRONG_KIND: Bad = Bad("a value of another type than the filter takes");
