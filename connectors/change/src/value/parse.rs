//! From a cell's canonical text to a typed value: exact, or refused with a reason.
//!
//! The text is what PostgreSQL prints under the pinned session (PG-50): DateStyle ISO, UTC, hex bytea,
//! extra_float_digits 3, intervalstyle postgres. What the typed value cannot hold is not bent into shape: a date at
//! infinity, before the year 1 or after 9999, and the time `24:00:00` are a [`BadValue`] (never 1970, never null), and
//! a number that [`Decimal`] cannot hold exactly stays the text it is ([`Value::BigNumber`]).

use std::borrow::Cow;

use rust_decimal::Decimal;

use super::{Value, array, time};
use crate::Type;

/// A cell that is no value of its column's type. The reason never holds any of the cell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, thiserror::Error)]
#[error("{reason}")]
pub struct BadValue {
    /// What is wrong: lower-case, without full stop; one of a few, so that it can be counted by.
    pub reason: &'static str,
}

impl BadValue {
    pub(super) fn new(reason: &'static str) -> Self {
        Self { reason }
    }
}

impl<'a> Value<'a> {
    /// Reads a cell as its column's type says; a null cell is [`Value::Null`].
    ///
    /// Text, JSON, UUIDs and big numbers borrow from the cell; lists allocate, and elements that are written with
    /// escapes; bytes are decoded from their hex digits. Types that we have no arm for are text (PG-56).
    pub fn parse(ty: &Type, cell: Option<&'a [u8]>) -> Result<Self, BadValue> {
        let Some(bytes) = cell else { return Ok(Value::Null) };
        let text = std::str::from_utf8(bytes).map_err(|_| BadValue::new("the text is not valid UTF-8"))?;
        match ty {
            Type::Bool => boolean(text),
            Type::Int => integer(text),
            Type::Decimal { .. } => decimal(text),
            Type::Float => float(text),
            Type::Text { .. } | Type::Enum { .. } | Type::Interval | Type::Other(_) => {
                Ok(Value::Text(Cow::Borrowed(text)))
            }
            Type::Date => time::date(text).map(Value::Date),
            Type::Time => time::time(text).map(Value::Time),
            Type::DateTime => time::datetime(text).map(Value::DateTime),
            Type::Timestamp => time::timestamp(text).map(Value::Timestamp),
            Type::Uuid => uuid(text),
            Type::Bytes => hex(bytes),
            Type::Json => Ok(Value::Json(Cow::Borrowed(text))),
            Type::Array(element) => array::parse(element, text),
        }
    }
}

fn boolean(text: &str) -> Result<Value<'_>, BadValue> {
    match text {
        "t" | "true" => Ok(Value::Bool(true)),
        "f" | "false" => Ok(Value::Bool(false)),
        _ => Err(BadValue::new("not a boolean")),
    }
}

fn integer(text: &str) -> Result<Value<'_>, BadValue> {
    if !is_plain_number(text) || text.contains('.') {
        return Err(BadValue::new("not an integer"));
    }
    Ok(text.parse().map_or(Value::BigNumber(Cow::Borrowed(text)), Value::Int))
}

fn decimal(text: &str) -> Result<Value<'_>, BadValue> {
    if matches!(text, "NaN" | "Infinity" | "-Infinity") {
        return Ok(Value::BigNumber(Cow::Borrowed(text)));
    }
    if !is_plain_number(text) {
        return Err(BadValue::new("not a number"));
    }
    // More than 28 digits would be rounded by `parse`, but not by `from_str_exact`.
    Ok(Decimal::from_str_exact(text).map_or(Value::BigNumber(Cow::Borrowed(text)), Value::Decimal))
}

fn float(text: &str) -> Result<Value<'_>, BadValue> {
    text.parse().map(Value::Float).map_err(|_| BadValue::new("not a float"))
}

/// An optional minus, digits, and perhaps a point and digits.
fn is_plain_number(text: &str) -> bool {
    let digits = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    match unsigned.split_once('.') {
        Some((whole, fraction)) => digits(whole) && digits(fraction),
        None => digits(unsigned),
    }
}

fn uuid(text: &str) -> Result<Value<'_>, BadValue> {
    let fits = text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => matches!(byte, b'0'..=b'9' | b'a'..=b'f'),
        });
    if fits { Ok(Value::Uuid(Cow::Borrowed(text))) } else { Err(BadValue::new("not a UUID")) }
}

fn hex(text: &[u8]) -> Result<Value<'_>, BadValue> {
    let bad = BadValue::new("not bytes in hex");
    let digits = text.strip_prefix(b"\\x").ok_or(bad)?;
    let (pairs, rest) = digits.as_chunks::<2>();
    if !rest.is_empty() {
        return Err(bad);
    }
    let nibble = |byte: u8| char::from(byte).to_digit(16).ok_or(bad);
    let bytes = pairs.iter().map(|&[high, low]| Ok((nibble(high)? << 4 | nibble(low)?) as u8));
    bytes.collect::<Result<Vec<u8>, _>>().map(|bytes| Value::Bytes(Cow::Owned(bytes)))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const NUMERIC: Type = Type::Decimal { precision: None };
    const TEXT: Type = Type::Text { max_chars: None };

    /// What a cell reads as, in Rust's own print; a refusal as its reason.
    fn check(ty: &Type, cells: &[(&str, &str)]) {
        for (cell, expect) in cells {
            let read = match Value::parse(ty, Some(cell.as_bytes())) {
                Ok(value) => format!("{value:?}"),
                Err(bad) => bad.to_string(),
            };
            assert_eq!(&read, expect, "{ty:?} {cell:?}");
        }
    }

    #[test]
    fn null_is_null_in_every_type() {
        for ty in every_type() {
            assert_eq!(Value::parse(&ty, None), Ok(Value::Null), "{ty:?}");
        }
    }

    #[test]
    fn booleans_and_integers() {
        check(&Type::Bool, &[("t", "Bool(true)"), ("f", "Bool(false)"), ("", "not a boolean"), ("1", "not a boolean")]);
        check(
            &Type::Int,
            &[
                ("0", "Int(0)"),
                ("-9223372036854775808", "Int(-9223372036854775808)"),
                ("18446744073709551615", "Int(18446744073709551615)"),
                ("170141183460469231731687303715884105728", r#"BigNumber("170141183460469231731687303715884105728")"#),
                ("", "not an integer"),
                ("+1", "not an integer"),
                ("1.0", "not an integer"),
                ("1 ", "not an integer"),
            ],
        );
    }

    #[test]
    fn pg_51_numeric_is_exact_or_stays_text() {
        check(
            &NUMERIC,
            &[
                ("0.10", "Decimal(0.10)"),
                ("-12.50", "Decimal(-12.50)"),
                ("79228162514264337593543950335", "Decimal(79228162514264337593543950335)"),
                ("79228162514264337593543950336", r#"BigNumber("79228162514264337593543950336")"#),
                ("0.00000000000000000000000000001", r#"BigNumber("0.00000000000000000000000000001")"#),
                ("NaN", r#"BigNumber("NaN")"#),
                ("Infinity", r#"BigNumber("Infinity")"#),
                ("-Infinity", r#"BigNumber("-Infinity")"#),
                ("1e5", "not a number"),
                ("1_000", "not a number"),
                (".5", "not a number"),
                ("--1", "not a number"),
                ("", "not a number"),
            ],
        );
        let long = "9".repeat(131_072);
        assert_eq!(Value::parse(&NUMERIC, Some(long.as_bytes())), Ok(Value::BigNumber(Cow::Borrowed(&long))));
    }

    #[test]
    fn floats_read_back_exactly() {
        check(
            &Type::Float,
            &[
                ("0.30000000000000004", "Float(0.30000000000000004)"),
                ("1e+300", "Float(1e300)"),
                ("-0", "Float(-0.0)"),
                ("NaN", "Float(NaN)"),
                ("-Infinity", "Float(-inf)"),
                ("", "not a float"),
            ],
        );
    }

    #[test]
    fn pg_53_intervals_stay_as_printed() {
        check(&Type::Interval, &[("1 mon -2 days +03:04:05.6", r#"Text("1 mon -2 days +03:04:05.6")"#)]);
    }

    #[test]
    fn pg_55_json_is_lossless() {
        check(
            &Type::Json,
            &[
                (r#"{"a":1, "a":2}"#, r#"Json("{\"a\":1, \"a\":2}")"#),
                ("123456789012345678901234567890.10", r#"Json("123456789012345678901234567890.10")"#),
                (r#""\u0000""#, r#"Json("\"\\u0000\"")"#),
            ],
        );
    }

    #[test]
    fn pg_56_unknown_types_are_text() {
        for (name, text) in [
            ("bit varying", "10101"),
            ("money", "$1,234.50"),
            ("inet", "192.168.0.1/24"),
            ("int4range", "[1,5)"),
            ("hstore", r#""a"=>NULL"#),
            ("pg_lsn", "16/B374D848"),
        ] {
            check(&Type::Other(name.into()), &[(text, &format!("Text({text:?})"))]);
        }
        check(
            &Type::Uuid,
            &[
                ("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11", r#"Uuid("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")"#),
                ("A0EEBC99-9c0b-4ef8-bb6d-6bb9bd380a11", "not a UUID"),
                ("a0eebc999c0b4ef8bb6d6bb9bd380a11", "not a UUID"),
            ],
        );
        check(
            &Type::Bytes,
            &[
                ("\\x", "Bytes([])"),
                ("\\x00fF", "Bytes([0, 255])"),
                ("\\x0", "not bytes in hex"),
                ("\\xzz", "not bytes in hex"),
                ("abc", "not bytes in hex"),
            ],
        );
    }

    #[test]
    fn pg_57_padding_is_kept() {
        check(&Type::Text { max_chars: Some(5) }, &[("ab   ", r#"Text("ab   ")"#), ("", r#"Text("")"#)]);
    }

    #[test]
    fn pg_58_bytes_that_are_no_text_are_refused() {
        for ty in every_type() {
            let read = Value::parse(&ty, Some(b"caf\xe9"));
            assert_eq!(read, Err(BadValue::new("the text is not valid UTF-8")), "{ty:?}");
        }
    }

    #[test]
    fn text_borrows_from_the_row() {
        for ty in [TEXT, Type::Json, Type::Other("xml".into()), Type::Enum { labels: vec![] }] {
            let (Value::Text(text) | Value::Json(text)) = Value::parse(&ty, Some(b"abc")).expect("a value") else {
                panic!("{ty:?} is no text");
            };
            assert!(matches!(text, Cow::Borrowed(_)), "{ty:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            for ty in every_type() {
                let _ = Value::parse(&ty, Some(&bytes));
            }
        }

        #[test]
        fn any_text_ends_without_panic(text in r#"[-+:. 0-9TBCZNUL{}\[\]=,;"\\xa-f]{0,40}"#) {
            for ty in every_type() {
                let _ = Value::parse(&ty, Some(text.as_bytes()));
            }
        }

        #[test]
        fn a_decimal_prints_as_it_was_read(whole in -79_228_162_514_i64..79_228_162_514, fraction in "[0-9]{1,15}") {
            let text = format!("{whole}.{fraction}");
            let Ok(Value::Decimal(read)) = Value::parse(&NUMERIC, Some(text.as_bytes())) else { panic!("{text}") };
            prop_assert_eq!(read.to_string(), text);
        }
    }

    fn every_type() -> Vec<Type> {
        let plain = vec![
            Type::Bool,
            Type::Int,
            NUMERIC,
            Type::Float,
            TEXT,
            Type::Enum { labels: vec!["a".into()] },
            Type::Date,
            Type::Time,
            Type::DateTime,
            Type::Timestamp,
            Type::Interval,
            Type::Uuid,
            Type::Bytes,
            Type::Json,
            Type::Other("box".into()),
        ];
        let lists = plain.iter().cloned().map(|ty| Type::Array(Box::new(ty)));
        lists.chain(plain.iter().cloned()).collect()
    }
}
