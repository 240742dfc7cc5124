//! Tests of the language and of evaluation, by tables.

mod faults;
mod filters;
mod language;
mod properties;
mod records;
mod related;
mod types;

use std::sync::Arc;

use jiff::tz::TimeZone;
use passerelle_change::{Cells, CellsBuf, Column, ColumnId, Type, Value};

use super::check::Checker;
use super::row::{Row, SlotIndex};
use super::text;
use crate::config::model::{Lookup, Standard};

/// A column for every type.
fn columns() -> Vec<Column> {
    let labels = ["draft", "sale", "done", "cancel"].map(str::to_owned).to_vec();
    let types = [
        ("id", Type::Int),
        ("name", Type::Text { max_chars: None }),
        ("email", Type::Text { max_chars: Some(80) }),
        ("phone", Type::Text { max_chars: None }),
        ("country_code", Type::Text { max_chars: None }),
        ("state", Type::Enum { labels }),
        ("is_company", Type::Bool),
        ("active", Type::Bool),
        ("amount", Type::Decimal { precision: Some((10, 2)) }),
        ("tax", Type::Decimal { precision: Some((10, 2)) }),
        ("n", Type::Int),
        ("ratio", Type::Float),
        ("day", Type::Date),
        ("clock", Type::Time),
        ("naive", Type::DateTime),
        ("at", Type::Timestamp),
        ("span", Type::Interval),
        ("uid", Type::Uuid),
        ("raw", Type::Bytes),
        ("doc", Type::Json),
        ("tags", Type::Array(Box::new(Type::Text { max_chars: None }))),
        ("Code postal", Type::Text { max_chars: None }),
        ("parent_id", Type::Int),
    ];
    let column = |(at, (name, ty)): (usize, (&str, Type))| Column {
        id: ColumnId(at as u32 + 1),
        name: name.to_owned(),
        type_name: format!("{ty:?}"),
        ty,
        nullable: true,
    };
    types.into_iter().enumerate().map(column).collect()
}

/// A row of these cells; `None` is null, what is not named is absent.
fn packed(columns: &[Column], cells: &[(&str, Option<&str>)]) -> CellsBuf {
    let mut row = CellsBuf::new();
    for (name, cell) in cells {
        let column = columns.iter().rev().find(|column| column.name == *name).expect("a column of the table");
        row.push(column.id, cell.map(str::as_bytes));
    }
    row
}

/// The value as text; `null`, `absent`, `bad: reason`; lists in brackets.
fn evaluated(expr: &str, columns: &[Column], zone: &str, cells: Cells<'_>) -> String {
    let mut checker = Checker::new(columns, TimeZone::get(zone).expect("a zone")).with_standard(&standard());
    let (program, _) = match checker.compile(expr) {
        Ok(compiled) => compiled,
        Err(faults) => panic!("{expr}: {faults:?}"),
    };
    let index = SlotIndex::new(&checker.slots, None);
    let row = Row::new(&checker.slots, &index, cells);
    match program.evaluate(&row) {
        Ok(value) => printed(value),
        Err(bad) => format!("bad: {}", bad.0),
    }
}

/// With a table of terms of payment, whose French labels are not all there.
fn standard() -> Standard {
    let rows = [("NET30", ["30 days", "30 jours"]), ("NET60", ["60 days", ""]), ("1", ["one", "un"])];
    let entries = rows.map(|(key, cells)| (key.to_owned(), cells.map(str::to_owned).to_vec())).into();
    let lookup = Lookup { columns: ["label", "label_fr"].map(str::to_owned).to_vec(), entries, hash: 7 };
    Standard { lookups: [("terms".to_owned(), Arc::new(lookup))].into(), ..Standard::default() }
}

fn printed(value: Value<'_>) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Absent => "absent".into(),
        Value::List(items) => format!("[{}]", items.into_iter().map(printed).collect::<Vec<_>>().join(", ")),
        Value::Bytes(bytes) => format!("{bytes:?}"),
        value => text::of(value).expect("a text").into_owned(),
    }
}
