//! Values on their way to a CRM.

use std::fmt::Write as _;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use passerelle_change::{FieldValue, Value};

use super::filters::time;
use super::program::Bad;
use super::text;

/// The form in which a field is sent: numbers exact, dates `YYYY-MM-DD`, instants in UTC with a `Z` and to the
/// millisecond, naive times read in `zone`, lists joined by `;` without their nulls.
pub(super) fn field_value(value: Value<'_>, zone: &TimeZone) -> Result<FieldValue, Bad> {
    match value {
        Value::Absent => Err(Bad("a value that is absent")),
        Value::Null => Ok(FieldValue::Null),
        Value::Bool(b) => Ok(FieldValue::Bool(b)),
        Value::Float(n) if !n.is_finite() => Err(Bad("a number that is not finite")),
        Value::BigNumber(n) if n.ends_with(['N', 'y']) => Err(Bad("a number that is not finite")),
        Value::Int(_) | Value::Decimal(_) | Value::BigNumber(_) | Value::Float(_) => {
            text::of(value).map(|text| FieldValue::Number(text.into_owned()))
        }
        Value::DateTime(time) => time::at(time, zone).map(instant),
        Value::Timestamp(time) => Ok(instant(time)),
        Value::List(items) => list(items, zone),
        Value::Bytes(_) => Err(Bad("bytes cannot be sent as they are")),
        Value::Text(_) | Value::Date(_) | Value::Time(_) | Value::Uuid(_) | Value::Json(_) => {
            text::of(value).map(|text| FieldValue::Text(text.into_owned()))
        }
    }
}

/// A number without a fraction, as an integer.
pub(super) fn whole(value: Value<'_>) -> Result<Value<'_>, Bad> {
    const FRACTION: Bad = Bad("a key that is not a whole number");
    match value {
        Value::Int(_) | Value::BigNumber(_) => Ok(value),
        Value::Decimal(n) if n.fract().is_zero() => Ok(Value::Int(n.trunc().mantissa())),
        Value::Float(n) if n.fract() == 0.0 && n.abs() < 9e15 => Ok(Value::Int(n as i128)),
        _ => Err(FRACTION),
    }
}

fn instant(time: Timestamp) -> FieldValue {
    let nanoseconds = time.subsec_nanosecond();
    let cut = jiff::SignedDuration::from_nanos(i64::from(nanoseconds.rem_euclid(1_000_000)));
    // Cut, not rounded: an instant never moves into the future.
    let to_millisecond = time.checked_sub(cut).unwrap_or(time);
    FieldValue::Text(to_millisecond.to_string())
}

fn list(items: Vec<Value<'_>>, zone: &TimeZone) -> Result<FieldValue, Bad> {
    let mut joined = String::new();
    let mut any = false;
    for item in items.into_iter().filter(|item| *item != Value::Null) {
        if any {
            joined.push(';');
        }
        any = true;
        // Writing to a string does not fail.
        let _ = write!(joined, "{}", field_value(item, zone)?);
    }
    Ok(if any { FieldValue::Text(joined) } else { FieldValue::Null })
}
