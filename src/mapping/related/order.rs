//! An order of values that is one of bytes: so that the first row of many is the first key of a range.

use passerelle_change::Value;

/// Before the bytes of a value that is there.
const PRESENT: u8 = 0x01;
/// Null comes last, whichever way the values go.
const NULL: u8 = 0xff;

/// Appends what sorts as the value does; `descending` turns the values round. What follows is told apart from it. Values of
/// one kind compare as expressions compare them; text by its code points.
pub fn push(out: &mut Vec<u8>, value: &Value<'_>, descending: bool) {
    let start = out.len() + 1;
    if matches!(value, Value::Null | Value::Absent) {
        out.push(NULL);
        return;
    }
    out.push(PRESENT);
    body(out, value);
    if descending {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

/// The order of instants, as [`push`] has it of a value.
pub fn push_micros(out: &mut Vec<u8>, micros: i64) {
    out.push(PRESENT);
    out.extend_from_slice(&(micros.cast_unsigned() ^ (1 << 63)).to_be_bytes());
}

fn body(out: &mut Vec<u8>, value: &Value<'_>) {
    match value {
        Value::Null | Value::Absent => out.push(NULL),
        Value::Bool(b) => out.push(u8::from(*b)),
        Value::Int(n) => number(out, &n.to_string()),
        Value::Decimal(n) => number(out, &n.to_string()),
        Value::BigNumber(text) => number(out, text),
        // All its digits: `Display` writes no exponent.
        Value::Float(n) if n.is_finite() => number(out, &n.to_string()),
        Value::Float(n) => number(
            out,
            if n.is_nan() {
                "NaN"
            } else if *n > 0.0 {
                "Infinity"
            } else {
                "-Infinity"
            },
        ),
        Value::Text(text) | Value::Uuid(text) | Value::Json(text) => bytes(out, text.as_bytes()),
        Value::Bytes(all) => bytes(out, all),
        Value::Date(date) => bytes(out, date.to_string().as_bytes()),
        Value::Time(time) => bytes(out, time.to_string().as_bytes()),
        Value::DateTime(time) => bytes(out, time.to_string().as_bytes()),
        Value::Timestamp(time) => {
            out.extend_from_slice(&(time.as_nanosecond().cast_unsigned() ^ (1 << 127)).to_be_bytes());
        }
        Value::List(items) => {
            for item in items {
                push(out, item, false);
            }
            out.push(0);
        }
    }
}

/// `00` is written as `00 FF`; the end is `00 00`.
fn bytes(out: &mut Vec<u8>, all: &[u8]) {
    for &byte in all {
        out.push(byte);
        if byte == 0 {
            out.push(0xff);
        }
    }
    out.extend_from_slice(&[0, 0]);
}

/// The sign, the place of the first digit, the digits without trailing zeros, and an end below every digit; a negative one
/// is turned round. As PostgreSQL has it, NaN is above all.
fn number(out: &mut Vec<u8>, text: &str) {
    match text {
        "-Infinity" => return out.push(0x08),
        "Infinity" => return out.push(0x40),
        "NaN" => return out.push(0x50),
        _ => {}
    }
    let (negative, plain) = text.strip_prefix('-').map_or((false, text), |rest| (true, rest));
    let (plain, exponent) = plain.split_once(['e', 'E']).unwrap_or((plain, "0"));
    let (whole, part) = plain.split_once('.').unwrap_or((plain, ""));
    let digits: Vec<u8> = whole.bytes().chain(part.bytes()).filter(u8::is_ascii_digit).collect();
    let Some(first) = digits.iter().position(|digit| *digit != b'0') else { return out.push(0x20) };
    let last = digits.iter().rposition(|digit| *digit != b'0').unwrap_or(first);
    let place = whole.len() as i64 - first as i64 + exponent.parse::<i64>().unwrap_or_default();
    out.push(if negative { 0x10 } else { 0x30 });
    let start = out.len();
    out.extend_from_slice(&(place.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    out.extend_from_slice(&digits[first..=last]);
    out.push(0);
    if negative {
        out[start..].iter_mut().for_each(|byte| *byte = !*byte);
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn key(value: &Value<'_>, descending: bool) -> Vec<u8> {
        let mut out = Vec::new();
        push(&mut out, value, descending);
        out
    }

    /// Values from the least to the greatest.
    fn check(values: &[Value<'_>]) {
        for pair in values.windows(2) {
            assert!(key(&pair[0], false) < key(&pair[1], false), "{pair:?}");
            assert!(key(&pair[0], true) > key(&pair[1], true), "{pair:?} turned round");
        }
        for value in values {
            assert!(key(value, false) < key(&Value::Null, false) && key(value, true) < key(&Value::Null, true));
        }
    }

    #[test]
    fn bytes_sort_as_values_do() {
        let numbers =
            ["-Infinity", "-100", "-99.5", "-0.01", "0", "0.001", "0.01", "9", "9.5", "10", "1e3", "Infinity", "NaN"];
        check(&numbers.map(|text| Value::BigNumber(text.into())));
        check(&[Value::Bool(false), Value::Bool(true)]);
        check(&["", "\0", "a", "a\0", "a\0b", "ab", "b"].map(|text| Value::Text(text.into())));
        check(&["2023-12-31", "2024-01-01"].map(|text| Value::Date(text.parse().unwrap())));
        check(&["2024-01-01T00:00:00", "2024-01-01T00:00:00.5"].map(|text| Value::DateTime(text.parse().unwrap())));
        check(&["1969-12-31T23:59:59Z", "2024-01-01T00:00:00.5Z"].map(|text| Value::Timestamp(text.parse().unwrap())));
        check(&[
            Value::List(vec![]),
            Value::List(vec![Value::Int(1)]),
            Value::List(vec![Value::Int(1), Value::Int(0)]),
        ]);
    }

    #[test]
    fn equal_numbers_are_equal_bytes_however_they_are_written() {
        for (a, b) in [("1.10", "1.1"), ("100", "1e2"), ("0.00", "0"), ("-0", "0"), ("007", "7")] {
            assert_eq!(key(&Value::BigNumber(a.into()), false), key(&Value::BigNumber(b.into()), false), "{a} {b}");
        }
    }

    proptest! {
        #[test]
        fn integers_sort(a: i64, b: i64) {
            let of = |n: i64| key(&Value::Int(i128::from(n)), false);
            prop_assert_eq!(of(a).cmp(&of(b)), a.cmp(&b));
        }

        #[test]
        fn floats_sort(a: f64, b: f64) {
            prop_assume!(!a.is_nan() && !b.is_nan());
            let of = |n: f64| key(&Value::Float(n), false);
            prop_assert_eq!(Some(of(a).cmp(&of(b))), a.partial_cmp(&b));
        }

        #[test]
        fn no_key_begins_another(a: String, b: String) {
            let of = |text: &str| key(&Value::Text(text.to_owned().into()), false);
            prop_assume!(a != b);
            prop_assert!(!of(&a).starts_with(&of(&b)));
        }
    }
}
