//! Rows of the catalogue: text, by place or by name, since the columns of `SHOW` differ by version.

use std::sync::Arc;

use mysql_async::{Column, Value};

/// A row of what a statement answered.
#[derive(Clone, Debug)]
pub struct Row {
    columns: Arc<[Column]>,
    values: Vec<Option<String>>,
}

impl Row {
    /// The text of a column by its place; `None` where it is null or not there.
    pub fn text(&self, at: usize) -> Option<&str> {
        self.values.get(at)?.as_deref()
    }

    /// A number of a column by its place.
    pub fn number<N: std::str::FromStr>(&self, at: usize) -> Option<N> {
        self.text(at)?.parse().ok()
    }

    /// The text of the column of that name, whose case does not count.
    pub fn named(&self, name: &str) -> Option<&str> {
        let at = self.columns.iter().position(|column| column.name_str().eq_ignore_ascii_case(name))?;
        self.text(at)
    }

    /// How many columns it has.
    pub fn width(&self) -> usize {
        self.values.len()
    }
}

impl From<mysql_async::Row> for Row {
    fn from(row: mysql_async::Row) -> Self {
        let columns = row.columns();
        let text = |value: Value| match value {
            Value::Bytes(bytes) => Some(
                String::from_utf8(bytes).unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned()),
            ),
            Value::Int(number) => Some(number.to_string()),
            Value::UInt(number) => Some(number.to_string()),
            Value::Float(number) => Some(number.to_string()),
            Value::Double(number) => Some(number.to_string()),
            // Only answers to prepared statements have them, and none is prepared here.
            Value::NULL | Value::Date(..) | Value::Time(..) => None,
        };
        Self { values: row.unwrap_raw().into_iter().map(|value| value.and_then(text)).collect(), columns }
    }
}
