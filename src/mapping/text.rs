//! Values as text: for `~`, keys, maps and fields.

use std::borrow::Cow;

use passerelle_change::Value;

use super::program::Bad;

/// The longest text that an expression makes out of shorter ones, in bytes. What a row holds may be longer.
const MAX_GROWN: usize = 4 << 20;

/// The text of a value that is not null: `true`, `12.50`, `2024-01-31`, `2024-01-31T10:00:00Z`; text as it is. Lists
/// and bytes have none.
pub(super) fn of(value: Value<'_>) -> Result<Cow<'_, str>, Bad> {
    match value {
        Value::Text(text) | Value::Uuid(text) | Value::Json(text) | Value::BigNumber(text) => Ok(text),
        Value::Bool(b) => Ok(Cow::Borrowed(if b { "true" } else { "false" })),
        Value::Int(n) => Ok(Cow::Owned(n.to_string())),
        Value::Decimal(n) => Ok(Cow::Owned(n.to_string())),
        Value::Float(n) => Ok(Cow::Owned(float(n))),
        Value::Date(date) => Ok(Cow::Owned(date.to_string())),
        Value::Time(time) => Ok(Cow::Owned(time.to_string())),
        Value::DateTime(time) => Ok(Cow::Owned(time.to_string())),
        Value::Timestamp(time) => Ok(Cow::Owned(time.to_string())),
        Value::Absent | Value::Null | Value::Bytes(_) | Value::List(_) => Err(Bad("a value without a text")),
    }
}

/// The text as PostgreSQL prints it, for row keys; see [`passerelle_change::key`].
pub(super) fn canonical(value: Value<'_>) -> Result<Cow<'_, str>, Bad> {
    match value {
        Value::Bool(b) => Ok(Cow::Borrowed(if b { "t" } else { "f" })),
        Value::DateTime(time) => Ok(Cow::Owned(time.to_string().replacen('T', " ", 1))),
        Value::Timestamp(time) => {
            let text = time.to_string().replacen('T', " ", 1);
            Ok(Cow::Owned(text.trim_end_matches('Z').to_owned() + "+00"))
        }
        Value::Bytes(bytes) => Ok(Cow::Owned(String::from("\\x") + &hex(&bytes))),
        other => of(other),
    }
}

/// Lower-case hex digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble & 15)]);
    let mut out = String::with_capacity(bytes.len() * 2);
    out.extend(bytes.iter().flat_map(|byte| [digit(byte >> 4), digit(*byte)]));
    out
}

/// Whether an expression may make a text of that length out of shorter ones.
pub(super) fn bounded(length: usize) -> Result<(), Bad> {
    if length > MAX_GROWN { Err(Bad("a text that grows beyond 4 MiB")) } else { Ok(()) }
}

/// The shortest text that reads back as the same float.
fn float(n: f64) -> String {
    let size = n.abs();
    if size != 0.0 && !(1e-7..1e21).contains(&size) { format!("{n:e}") } else { n.to_string() }
}
