//! The `json` filter: one value out of a JSON text. It is found in one pass that keeps nothing else, and nothing is
//! copied but texts with escapes.

use std::borrow::Cow;
use std::fmt;

use passerelle_change::{Type, Value};
use rust_decimal::Decimal;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::lists::{MAX_ITEMS, TOO_MANY};
use super::plain;
use crate::mapping::kind::Kind;
use crate::mapping::program::{Bad, Yield};

const NOT_JSON: Bad = Bad("not JSON");

/// Where a value stands: the names, or places from 0 in lists, on the way to it.
#[derive(Clone, Debug)]
pub(in crate::mapping) struct Path(Vec<Step>);

#[derive(Clone, Debug)]
struct Step {
    name: String,
    /// The name, where it is a number.
    place: Option<usize>,
}

impl Path {
    pub(super) fn new<'t>(steps: impl Iterator<Item = &'t str>) -> Self {
        Self(steps.map(|name| Step { name: name.to_owned(), place: name.parse().ok() }).collect())
    }
}

/// What the value is read as.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Form {
    Text,
    Number,
    Boolean,
    List,
    Json,
}

impl Form {
    pub(super) const NAMES: &[&str] = &["text", "number", "boolean", "list", "json"];

    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "text" => Some(Self::Text),
            "number" => Some(Self::Number),
            "boolean" => Some(Self::Boolean),
            "list" => Some(Self::List),
            "json" => Some(Self::Json),
            _ => None,
        }
    }

    pub(super) fn kind(self) -> Kind {
        match self {
            Self::Text => Kind::Text,
            Self::Number => Kind::Decimal,
            Self::Boolean => Kind::Bool,
            Self::List => Kind::List(Box::new(Kind::Text)),
            Self::Json => Kind::Json,
        }
    }
}

/// The value at `path`; null where there is none.
pub(super) fn read<'v>(json: Cow<'v, str>, path: &Path, form: Form) -> Yield<'v> {
    match json {
        Cow::Borrowed(json) => find(json, path)?.map_or(Ok(Value::Null), |raw| value(raw, form)),
        Cow::Owned(json) => {
            let value = find(&json, path)?.map_or(Ok(Value::Null), |raw| value(raw, form))?;
            Ok(value.into_owned())
        }
    }
}

fn find<'v>(json: &'v str, path: &Path) -> Result<Option<&'v str>, Bad> {
    if json.trim().is_empty() {
        return Ok(None);
    }
    let mut reader = serde_json::Deserializer::from_str(json);
    let found = Find(&path.0).deserialize(&mut reader).map_err(|_| NOT_JSON)?;
    reader.end().map_err(|_| NOT_JSON)?;
    Ok(found.map(RawValue::get))
}

fn value(raw: &str, form: Form) -> Yield<'_> {
    if raw == "null" {
        return Ok(Value::Null);
    }
    match form {
        Form::Text => text(raw).map(Value::Text),
        Form::Json => Ok(Value::Json(Cow::Borrowed(raw))),
        Form::List => list(raw),
        Form::Number if raw.starts_with(['t', 'f', '[', '{']) => Err(Bad("no number in the JSON")),
        Form::Number if raw.starts_with('"') => plain::number(Value::Text(text(raw)?), plain::Mark::Point),
        Form::Number => number(raw),
        Form::Boolean if raw.starts_with(['[', '{']) => Err(Bad("no boolean in the JSON")),
        Form::Boolean => plain::boolean(Value::Text(text(raw)?)),
    }
}

/// A string's text; anything else as it is written.
fn text(raw: &str) -> Result<Cow<'_, str>, Bad> {
    match raw.strip_prefix('"').and_then(|raw| raw.strip_suffix('"')) {
        None => Ok(Cow::Borrowed(raw)),
        Some(inner) if !inner.contains('\\') => Ok(Cow::Borrowed(inner)),
        Some(_) => serde_json::from_str(raw).map(Cow::Owned).map_err(|_| NOT_JSON),
    }
}

fn number(raw: &str) -> Yield<'_> {
    match Value::parse(&Type::Decimal { precision: None }, Some(raw.as_bytes())) {
        Ok(number) => Ok(number),
        // With an exponent.
        Err(_) => Decimal::from_scientific(raw).map(Value::Decimal).map_err(|_| Bad("no number in the JSON")),
    }
}

fn list(raw: &str) -> Yield<'_> {
    if !raw.starts_with('[') {
        return Err(Bad("no list in the JSON"));
    }
    let items = serde_json::Deserializer::from_str(raw).deserialize_seq(Items).map_err(|_| NOT_JSON)?;
    if items.len() > MAX_ITEMS {
        return Err(TOO_MANY);
    }
    items.into_iter().map(|raw| value(raw.get(), Form::Text)).collect::<Result<_, _>>().map(Value::List)
}

/// Gives what stands at the path; of names that stand twice the last, as PostgreSQL's jsonb.
struct Find<'p>(&'p [Step]);

impl<'de> DeserializeSeed<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<Self::Value, D::Error> {
        match self.0 {
            [] => serde::Deserialize::deserialize(reader).map(Some),
            _ => reader.deserialize_any(self),
        }
    }
}

impl<'de> Visitor<'de> for Find<'_> {
    type Value = Option<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(None) };
        let mut found = None;
        while let Some(is_it) = map.next_key_seed(IsName(&step.name))? {
            if is_it {
                found = map.next_value_seed(Find(rest))?;
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        Ok(found)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let Some((step, rest)) = self.0.split_first() else { return Ok(None) };
        for _ in 0..step.place.unwrap_or(usize::MAX) {
            if seq.next_element::<IgnoredAny>()?.is_none() {
                return Ok(None);
            }
        }
        let found = seq.next_element_seed(Find(rest))?.flatten();
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(found)
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self::Value, E> {
        Ok(None)
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}

/// Whether a key is this one.
struct IsName<'p>(&'p str);

impl<'de> DeserializeSeed<'de> for IsName<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, reader: D) -> Result<bool, D::Error> {
        reader.deserialize_str(self)
    }
}

impl Visitor<'_> for IsName<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, name: &str) -> Result<bool, E> {
        Ok(name == self.0)
    }
}

/// A list's items, one more than allowed at most.
struct Items;

impl<'de> Visitor<'de> for Items {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a list")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while items.len() <= MAX_ITEMS {
            let Some(item) = seq.next_element()? else { return Ok(items) };
            items.push(item);
        }
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(items)
    }
}
