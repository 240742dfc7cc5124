//! Typed values: what an expression of a mapping works on.

mod array;
mod parse;
mod time;

use std::borrow::Cow;

use rust_decimal::Decimal;

pub use parse::BadValue;

/// A value of a column or an expression, typed. Text and bytes borrow from the row where they can.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// Not in the log: unchanged and unknown. Never the same as [`Value::Null`].
    Absent,
    /// Null.
    Null,
    /// A boolean.
    Bool(bool),
    /// An integer of any width and sign a database has.
    Int(i128),
    /// An exact decimal of up to 28 digits.
    Decimal(Decimal),
    /// A number beyond [`Decimal`] (more digits, NaN, infinities), as the database prints it.
    BigNumber(Cow<'a, str>),
    /// A float.
    Float(f64),
    /// Text, enum labels, and every type that has no arm of its own.
    Text(Cow<'a, str>),
    /// A date.
    Date(jiff::civil::Date),
    /// A time of day.
    Time(jiff::civil::Time),
    /// A date and time without a zone.
    DateTime(jiff::civil::DateTime),
    /// An instant.
    Timestamp(jiff::Timestamp),
    /// A UUID in its canonical text.
    Uuid(Cow<'a, str>),
    /// Bytes.
    Bytes(Cow<'a, [u8]>),
    /// JSON as the database printed it: lossless.
    Json(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
}

impl Value<'_> {
    /// The same value, borrowing from this one: text and bytes are not copied.
    pub fn borrowed(&self) -> Value<'_> {
        match self {
            Self::Absent => Value::Absent,
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(*b),
            Self::Int(n) => Value::Int(*n),
            Self::Decimal(n) => Value::Decimal(*n),
            Self::BigNumber(text) => Value::BigNumber(Cow::Borrowed(text)),
            Self::Float(n) => Value::Float(*n),
            Self::Text(text) => Value::Text(Cow::Borrowed(text)),
            Self::Date(date) => Value::Date(*date),
            Self::Time(time) => Value::Time(*time),
            Self::DateTime(time) => Value::DateTime(*time),
            Self::Timestamp(time) => Value::Timestamp(*time),
            Self::Uuid(text) => Value::Uuid(Cow::Borrowed(text)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Borrowed(bytes)),
            Self::Json(text) => Value::Json(Cow::Borrowed(text)),
            Self::List(items) => Value::List(items.iter().map(Value::borrowed).collect()),
        }
    }

    /// The same value, borrowing from nothing.
    pub fn into_owned(self) -> Value<'static> {
        let owned = |text: Cow<'_, str>| Cow::Owned(text.into_owned());
        match self {
            Self::Absent => Value::Absent,
            Self::Null => Value::Null,
            Self::Bool(b) => Value::Bool(b),
            Self::Int(n) => Value::Int(n),
            Self::Decimal(n) => Value::Decimal(n),
            Self::BigNumber(text) => Value::BigNumber(owned(text)),
            Self::Float(n) => Value::Float(n),
            Self::Text(text) => Value::Text(owned(text)),
            Self::Date(date) => Value::Date(date),
            Self::Time(time) => Value::Time(time),
            Self::DateTime(time) => Value::DateTime(time),
            Self::Timestamp(time) => Value::Timestamp(time),
            Self::Uuid(text) => Value::Uuid(owned(text)),
            Self::Bytes(bytes) => Value::Bytes(Cow::Owned(bytes.into_owned())),
            Self::Json(text) => Value::Json(owned(text)),
            Self::List(items) => Value::List(items.into_iter().map(Value::into_owned).collect()),
        }
    }
}
