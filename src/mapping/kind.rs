//! The types of the language, and which of them go together.

use passerelle_change::{Type, Value};

/// What an expression yields, besides null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Not known: the catalogue was not asked. Goes with everything.
    Any,
    /// Always null.
    Null,
    Bool,
    Int,
    Decimal,
    Float,
    Text,
    /// Text that is one of these.
    Enum(Vec<String>),
    Date,
    Time,
    DateTime,
    Timestamp,
    Uuid,
    Bytes,
    Json,
    List(Box<Kind>),
}

impl Kind {
    pub(super) fn of_type(ty: &Type) -> Self {
        match ty {
            Type::Bool => Self::Bool,
            Type::Int => Self::Int,
            Type::Decimal { .. } => Self::Decimal,
            Type::Float => Self::Float,
            Type::Text { .. } | Type::Interval | Type::Other(_) => Self::Text,
            Type::Enum { labels } => Self::Enum(labels.clone()),
            Type::Date => Self::Date,
            Type::Time => Self::Time,
            Type::DateTime => Self::DateTime,
            Type::Timestamp => Self::Timestamp,
            Type::Uuid => Self::Uuid,
            Type::Bytes => Self::Bytes,
            Type::Json => Self::Json,
            Type::Array(element) => Self::List(Box::new(Self::of_type(element))),
        }
    }

    pub(super) fn of_value(value: &Value<'_>) -> Self {
        match value {
            Value::Absent | Value::Null => Self::Null,
            Value::Bool(_) => Self::Bool,
            Value::Int(_) => Self::Int,
            Value::Decimal(_) | Value::BigNumber(_) => Self::Decimal,
            Value::Float(_) => Self::Float,
            Value::Text(_) => Self::Text,
            Value::Date(_) => Self::Date,
            Value::Time(_) => Self::Time,
            Value::DateTime(_) => Self::DateTime,
            Value::Timestamp(_) => Self::Timestamp,
            Value::Uuid(_) => Self::Uuid,
            Value::Bytes(_) => Self::Bytes,
            Value::Json(_) => Self::Json,
            Value::List(items) => {
                let item = items.iter().map(Self::of_value).find(|kind| *kind != Self::Null);
                Self::List(Box::new(item.unwrap_or(Self::Null)))
            }
        }
    }

    /// As it is called in a fault: `text`, `an integer`.
    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::Any => "a value",
            Self::Null => "null",
            Self::Bool => "a boolean",
            Self::Int => "an integer",
            Self::Decimal => "a decimal",
            Self::Float => "a float",
            Self::Text => "text",
            Self::Enum(_) => "an enum",
            Self::Date => "a date",
            Self::Time => "a time of day",
            Self::DateTime => "a date and time",
            Self::Timestamp => "an instant",
            Self::Uuid => "a UUID",
            Self::Bytes => "bytes",
            Self::Json => "JSON",
            Self::List(_) => "a list",
        }
    }

    pub(super) fn is_number(&self) -> bool {
        matches!(self, Self::Int | Self::Decimal | Self::Float | Self::Null | Self::Any)
    }

    pub(super) fn is_text(&self) -> bool {
        matches!(self, Self::Text | Self::Enum(_) | Self::Null | Self::Any)
    }

    pub(super) fn is_bool(&self) -> bool {
        matches!(self, Self::Bool | Self::Null | Self::Any)
    }

    /// The kind that holds values of both; `None` when there is none.
    pub(super) fn unified(&self, other: &Self) -> Option<Self> {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) => Some(Self::Any),
            (Self::Null, kind) | (kind, Self::Null) => Some(kind.clone()),
            (a, b) if a == b => Some(a.clone()),
            (a, b) if a.is_number() && b.is_number() => Some(widest(a, b)),
            (a, b) if a.is_text() && b.is_text() => Some(Self::Text),
            (Self::List(a), Self::List(b)) => a.unified(b).map(|item| Self::List(Box::new(item))),
            _ => None,
        }
    }
}

/// Of two numbers: a float if one is, an integer if both are, else a decimal.
pub(super) fn widest(a: &Kind, b: &Kind) -> Kind {
    match (a, b) {
        (Kind::Float, _) | (_, Kind::Float) => Kind::Float,
        (Kind::Int | Kind::Null, Kind::Int | Kind::Null) => Kind::Int,
        _ => Kind::Decimal,
    }
}
