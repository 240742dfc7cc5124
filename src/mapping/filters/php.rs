//! The `php` filter: what PHP's `serialize()` wrote, as WordPress and Magento keep it in their tables.
//!
//! Read into JSON, of bounded depth and size. References (`R:`, `r:`) and classes with a form of their own (`C:`) are
//! refused: they mean something in their program only.

use std::borrow::Cow;

use passerelle_change::Value;
use serde_json::{Map, Number, Value as Json};

use super::lists::{MAX_ITEMS, TOO_MANY};
use crate::mapping::program::{Bad, Yield};

/// How deep arrays may stand in arrays.
const MAX_DEPTH: usize = 32;
const NOT_PHP: Bad = Bad("not a serialised PHP value");

/// The list that the value is: a list's items, the names in a map whose value is not empty to PHP, a single value as a
/// list of it. That is how `'customer' in (capabilities | php)` reads.
pub(super) fn items(text: &str) -> Yield<'static> {
    let items = match parse(text)? {
        None => return Ok(Value::Null),
        Some(Json::Array(items)) => items.into_iter().map(printed).collect(),
        Some(Json::Object(map)) => {
            let set = map.into_iter().filter(|(_, value)| !is_empty(value));
            set.map(|(name, _)| Value::Text(Cow::Owned(name))).collect()
        }
        Some(single) => vec![printed(single)],
    };
    Ok(Value::List(items))
}

/// The value as JSON; `None` for blank text.
pub(super) fn json(text: &str) -> Result<Option<String>, Bad> {
    Ok(parse(text)?.map(|json| json.to_string()))
}

fn parse(text: &str) -> Result<Option<Json>, Bad> {
    let text = text.trim();
    if text.is_empty() {
        return Ok(None);
    }
    let mut reader = Reader { rest: text.as_bytes(), values: 0 };
    let value = reader.value(0)?;
    if reader.rest.is_empty() { Ok(Some(value)) } else { Err(NOT_PHP) }
}

fn printed(value: Json) -> Value<'static> {
    match value {
        Json::Null => Value::Null,
        Json::String(text) => Value::Text(Cow::Owned(text)),
        other => Value::Text(Cow::Owned(other.to_string())),
    }
}

/// As PHP's `empty()` says.
fn is_empty(value: &Json) -> bool {
    match value {
        Json::Null | Json::Bool(false) => true,
        Json::Bool(true) => false,
        Json::Number(n) => n.as_f64() == Some(0.0),
        Json::String(text) => text.is_empty() || text == "0",
        Json::Array(items) => items.is_empty(),
        Json::Object(map) => map.is_empty(),
    }
}

struct Reader<'t> {
    rest: &'t [u8],
    /// How many were read, in all.
    values: usize,
}

impl<'t> Reader<'t> {
    fn value(&mut self, depth: usize) -> Result<Json, Bad> {
        self.values += 1;
        if self.values > MAX_ITEMS {
            return Err(TOO_MANY);
        }
        if depth > MAX_DEPTH {
            return Err(Bad("a serialised PHP value that is nested deeper than 32"));
        }
        match self.until(if self.rest.starts_with(b"N") { b';' } else { b':' })? {
            "N" => Ok(Json::Null),
            "b" => match self.until(b';')? {
                "0" => Ok(Json::Bool(false)),
                "1" => Ok(Json::Bool(true)),
                _ => Err(NOT_PHP),
            },
            "i" => self.number::<i64>(b';').map(Json::from),
            "d" => match self.until(b';')? {
                "INF" | "-INF" | "NAN" => Ok(Json::Null),
                digits => Ok(Number::from_f64(digits.parse().map_err(|_| NOT_PHP)?).map_or(Json::Null, Json::Number)),
            },
            "s" => {
                let text = self.string()?.to_owned();
                self.expect(b';')?;
                Ok(Json::String(text))
            }
            "a" => self.array(depth),
            "O" => {
                self.string()?;
                self.expect(b':')?;
                self.properties(depth).map(Json::Object)
            }
            // `E:11:"Suit:Hearts";`: a case of an enumeration.
            "E" => {
                let case = self.string()?;
                self.expect(b';')?;
                Ok(Json::String(case.rsplit(':').next().unwrap_or(case).to_owned()))
            }
            "R" | "r" | "C" => Err(Bad("a serialised PHP value with references or a class's own form")),
            _ => Err(NOT_PHP),
        }
    }

    /// A list where the keys are 0, 1, 2…
    fn array(&mut self, depth: usize) -> Result<Json, Bad> {
        let map = self.properties(depth)?;
        let is_list = map.keys().enumerate().all(|(at, key)| *key == at.to_string());
        Ok(if is_list { Json::Array(map.into_iter().map(|(_, value)| value).collect()) } else { Json::Object(map) })
    }

    fn properties(&mut self, depth: usize) -> Result<Map<String, Json>, Bad> {
        let count = self.number::<usize>(b':')?;
        self.expect(b'{')?;
        let mut map = Map::new();
        for _ in 0..count {
            let name = match self.value(depth + 1)? {
                Json::String(name) => own_name(&name).to_owned(),
                Json::Number(n) => n.to_string(),
                _ => return Err(NOT_PHP),
            };
            map.insert(name, self.value(depth + 1)?);
        }
        self.expect(b'}')?;
        Ok(map)
    }

    /// `4:"text"`; its length is in bytes.
    fn string(&mut self) -> Result<&'t str, Bad> {
        let length = self.number::<usize>(b':')?;
        self.expect(b'"')?;
        let (text, after) = self.rest.split_at_checked(length).ok_or(NOT_PHP)?;
        self.rest = after;
        self.expect(b'"')?;
        std::str::from_utf8(text).map_err(|_| NOT_PHP)
    }

    fn number<N: std::str::FromStr>(&mut self, end: u8) -> Result<N, Bad> {
        self.until(end)?.parse().map_err(|_| NOT_PHP)
    }

    /// What stands before `end`, which is near: no such text is longer than a number.
    fn until(&mut self, end: u8) -> Result<&'t str, Bad> {
        let at = self.rest.iter().take(32).position(|byte| *byte == end).ok_or(NOT_PHP)?;
        let (before, after) = self.rest.split_at(at);
        self.rest = &after[1..];
        std::str::from_utf8(before).map_err(|_| NOT_PHP)
    }

    fn expect(&mut self, byte: u8) -> Result<(), Bad> {
        self.rest = self.rest.strip_prefix(&[byte]).ok_or(NOT_PHP)?;
        Ok(())
    }
}

/// A property's name without the marks of who may see it: `\0*\0name`, `\0Class\0name`.
fn own_name(name: &str) -> &str {
    name.strip_prefix('\0').and_then(|name| name.split_once('\0')).map_or(name, |(_, name)| name)
}
