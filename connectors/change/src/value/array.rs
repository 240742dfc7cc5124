//! PostgreSQL's array syntax (PG-54): `{1,NULL,"a \"b\""}`, `{{1,2},{3,4}}`, `[0:1]={a,b}`.

use std::borrow::Cow;

use super::{BadValue, Value};
use crate::Type;

/// As many as PostgreSQL allows.
const MAX_DIMENSIONS: usize = 6;

/// Reads a list of `element`s. Further dimensions are lists in the list; lower bounds are read over.
pub(super) fn parse<'a>(element: &Type, text: &'a str) -> Result<Value<'a>, BadValue> {
    let body = skip_bounds(text).ok_or(MALFORMED)?;
    // Of all types only box has another delimiter, since its own text has commas.
    let delimiter = if matches!(element, Type::Other(name) if name == "box") { b';' } else { b',' };
    let mut reader = Reader { element, delimiter, rest: body };
    let value = reader.list(1)?;
    if reader.rest.is_empty() { Ok(value) } else { Err(MALFORMED) }
}

const MALFORMED: BadValue = BadValue { reason: "not an array" };

struct Reader<'t, 'a> {
    element: &'t Type,
    delimiter: u8,
    rest: &'a str,
}

impl<'a> Reader<'_, 'a> {
    fn list(&mut self, dimension: usize) -> Result<Value<'a>, BadValue> {
        if dimension > MAX_DIMENSIONS {
            return Err(BadValue::new("an array of more than six dimensions"));
        }
        let mut items = Vec::new();
        self.expect(b'{')?;
        if self.take(b'}') {
            return Ok(Value::List(items));
        }
        loop {
            items.push(match self.rest.as_bytes().first() {
                Some(b'{') => self.list(dimension + 1)?,
                Some(b'"') => self.quoted()?,
                _ => self.bare()?,
            });
            if self.take(b'}') {
                return Ok(Value::List(items));
            }
            self.expect(self.delimiter)?;
        }
    }

    fn quoted(&mut self) -> Result<Value<'a>, BadValue> {
        self.expect(b'"')?;
        let end = self.find(|byte| byte == b'"')?;
        let text = self.cut(end)?;
        self.expect(b'"')?;
        self.value(text)
    }

    fn bare(&mut self) -> Result<Value<'a>, BadValue> {
        let delimiter = self.delimiter;
        let end = self.find(|byte| byte == delimiter || byte == b'}' || byte == b'{' || byte == b'"')?;
        let text = self.cut(end)?;
        match text {
            "" => Err(MALFORMED),
            null if null.eq_ignore_ascii_case("null") => Ok(Value::Null),
            text => self.value(text),
        }
    }

    fn value(&self, text: &'a str) -> Result<Value<'a>, BadValue> {
        match unescaped(text) {
            Cow::Borrowed(text) => Value::parse(self.element, Some(text.as_bytes())),
            Cow::Owned(text) => Value::parse(self.element, Some(text.as_bytes())).map(Value::into_owned),
        }
    }

    /// Where the first byte of that kind is that no backslash stands before.
    fn find(&self, stop: impl Fn(u8) -> bool) -> Result<usize, BadValue> {
        let mut escaped = false;
        for (at, byte) in self.rest.bytes().enumerate() {
            if escaped {
                escaped = false;
            } else if byte == b'\\' {
                escaped = true;
            } else if stop(byte) {
                return Ok(at);
            }
        }
        Err(MALFORMED)
    }

    fn cut(&mut self, at: usize) -> Result<&'a str, BadValue> {
        let (before, after) = self.rest.split_at_checked(at).ok_or(MALFORMED)?;
        self.rest = after;
        Ok(before)
    }

    fn take(&mut self, byte: u8) -> bool {
        let after = self.rest.strip_prefix(char::from(byte));
        self.rest = after.unwrap_or(self.rest);
        after.is_some()
    }

    fn expect(&mut self, byte: u8) -> Result<(), BadValue> {
        if self.take(byte) { Ok(()) } else { Err(MALFORMED) }
    }
}

/// Reads over `[0:1][-1:2]=` where it stands.
fn skip_bounds(text: &str) -> Option<&str> {
    if !text.starts_with('[') {
        return Some(text);
    }
    let (bounds, body) = text.split_once('=')?;
    let plain = bounds.bytes().all(|byte| byte.is_ascii_digit() || matches!(byte, b'[' | b']' | b':' | b'-' | b'+'));
    (plain && bounds.ends_with(']')).then_some(body)
}

fn unescaped(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    let mut out = String::with_capacity(text.len());
    let mut chars = text.chars();
    while let Some(c) = chars.next() {
        out.extend(if c == '\\' { chars.next() } else { Some(c) });
    }
    Cow::Owned(out)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn list(ty: Type) -> Type {
        Type::Array(Box::new(ty))
    }

    fn check(ty: Type, cells: &[(&str, &str)]) {
        let ty = list(ty);
        for (cell, expect) in cells {
            let read = match Value::parse(&ty, Some(cell.as_bytes())) {
                Ok(value) => format!("{value:?}"),
                Err(bad) => bad.to_string(),
            };
            assert_eq!(&read, expect, "{ty:?} {cell:?}");
        }
    }

    #[test]
    fn pg_54_arrays() {
        check(
            Type::Int,
            &[
                ("{}", "List([])"),
                ("{1,NULL,-3}", "List([Int(1), Null, Int(-3)])"),
                ("{{1,2},{3,4}}", "List([List([Int(1), Int(2)]), List([Int(3), Int(4)])])"),
                ("[0:1]={5,6}", "List([Int(5), Int(6)])"),
                ("[-1:0][2:2]={{1},{2}}", "List([List([Int(1)]), List([Int(2)])])"),
                ("{1,a}", "not an integer"),
                ("{1", "not an array"),
                ("{1,}", "not an array"),
                ("{,1}", "not an array"),
                ("{1}x", "not an array"),
                ("[0:1]5", "not an array"),
                ("", "not an array"),
            ],
        );
        check(
            Type::Text { max_chars: None },
            &[
                (r#"{NULL,"NULL",""}"#, r#"List([Null, Text("NULL"), Text("")])"#),
                (
                    r#"{"a,b","c}d","e\"f","g\\h"," "}"#,
                    r#"List([Text("a,b"), Text("c}d"), Text("e\"f"), Text("g\\h"), Text(" ")])"#,
                ),
                ("{é,\"ü\"}", r#"List([Text("é"), Text("ü")])"#),
                (r#"{"a}"#, "not an array"),
                (r#"{"a"b}"#, "not an array"),
                (r#"{"a\"#, "not an array"),
            ],
        );
        check(
            Type::Other("box".into()),
            &[("{(2,2),(1,1);(4,4),(3,3)}", r#"List([Text("(2,2),(1,1)"), Text("(4,4),(3,3)")])"#)],
        );
        check(Type::Timestamp, &[(r#"{"2024-01-31 10:00:00+00"}"#, "List([Timestamp(2024-01-31T10:00:00Z)])")]);
        check(Type::Int, &[("{{{{{{{1}}}}}}}", "an array of more than six dimensions")]);
    }

    proptest! {
        #[test]
        fn pg_54_what_the_server_prints_reads_back(items in proptest::collection::vec(any::<Option<String>>(), 0..6)) {
            let printed: Vec<String> = items.iter().map(|item| printed_item(item.as_deref())).collect();
            let cell = format!("{{{}}}", printed.join(","));
            let want = items.into_iter().map(|item| item.map_or(Value::Null, |text| Value::Text(text.into()))).collect();
            let text = list(Type::Text { max_chars: None });
            prop_assert_eq!(Value::parse(&text, Some(cell.as_bytes())), Ok(Value::List(want)));
        }
    }

    /// As array_out prints: quotes where they are needed.
    fn printed_item(item: Option<&str>) -> String {
        let Some(text) = item else { return "NULL".into() };
        let plain = !text.is_empty()
            && !text.eq_ignore_ascii_case("null")
            && !text.contains(|c: char| matches!(c, '"' | '\\' | '{' | '}' | ',') || c.is_whitespace());
        if plain { text.to_owned() } else { format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\"")) }
    }
}
