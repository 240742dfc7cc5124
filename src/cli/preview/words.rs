//! Values as they are shown: text in quotes, everything else bare. Pure.

use passerelle_change::{FieldValue, Value};

/// The most characters of a value that a screen shows.
const MOST_CHARS: usize = 72;

/// A value of an expression.
pub(super) fn value(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => quoted(text),
        other => cut(&whole(other)),
    }
}

/// The same uncut, and text as it is.
pub(super) fn whole(value: &Value<'_>) -> String {
    match value {
        Value::Absent => "absent".to_owned(),
        Value::Null => "null".to_owned(),
        Value::Bool(b) => b.to_string(),
        Value::Int(n) => n.to_string(),
        Value::Decimal(n) => n.to_string(),
        Value::Text(text) | Value::Json(text) | Value::BigNumber(text) | Value::Uuid(text) => text.to_string(),
        Value::Float(n) => n.to_string(),
        Value::Date(date) => date.to_string(),
        Value::Time(time) => time.to_string(),
        Value::DateTime(time) => time.to_string(),
        Value::Timestamp(time) => time.to_string(),
        Value::Bytes(bytes) => format!("{} bytes", bytes.len()),
        Value::List(items) => format!("[{}]", items.iter().map(item).collect::<Vec<_>>().join(", ")),
    }
}

fn item(value: &Value<'_>) -> String {
    match value {
        Value::Text(text) => format!("\"{text}\""),
        other => whole(other),
    }
}

/// A value on its way to the CRM.
pub(super) fn field(value: &FieldValue) -> String {
    match value {
        FieldValue::Text(text) => quoted(text),
        FieldValue::Null
        | FieldValue::Bool(_)
        | FieldValue::Number(_)
        | FieldValue::Reference { .. }
        | FieldValue::ReferenceById(_) => cut(&value.to_string()),
    }
}

/// Text in quotes, with what steers a terminal or cannot be seen written out.
pub(super) fn quoted(text: &str) -> String {
    let shown: String = text.chars().take(MOST_CHARS).map(in_quotes).collect();
    let left = text.chars().count().saturating_sub(MOST_CHARS);
    if left == 0 { format!("\"{shown}\"") } else { format!("\"{shown}\" and {left} more characters") }
}

/// Text without quotes, cut to what a screen shows.
pub(super) fn cut(text: &str) -> String {
    let shown: String = text.chars().take(MOST_CHARS).map(visible).collect();
    if text.chars().count() > MOST_CHARS { shown + "…" } else { shown }
}

fn in_quotes(c: char) -> String {
    if c == '"' { "\\\"".to_owned() } else { visible(c) }
}

fn visible(c: char) -> String {
    // A no-break space looks like a blank and is none.
    if c.is_control() || matches!(c, '\u{a0}' | '\u{202f}' | '\u{feff}') {
        c.escape_default().to_string()
    } else {
        c.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_stands_in_quotes_and_cannot_steer_the_terminal() {
        let check = |text: &str, expect: &str| assert_eq!(quoted(text), expect);
        check("  Ada é ", "\"  Ada é \"");
        check("a\"b\n\u{1b}[2J", "\"a\\\"b\\n\\u{1b}[2J\"");
        check("12\u{a0}500", "\"12\\u{a0}500\"");
        check(&"x".repeat(80), &format!("\"{}\" and 8 more characters", "x".repeat(72)));
    }

    #[test]
    fn values_are_told_apart() {
        assert_eq!(value(&Value::Null), "null");
        assert_eq!(value(&Value::Text("null".into())), "\"null\"");
        assert_eq!(value(&Value::List(vec![Value::Int(1), Value::Text("a".into())])), "[1, \"a\"]");
        assert_eq!(field(&FieldValue::Number("12.50".into())), "12.50");
    }
}
