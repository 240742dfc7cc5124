//! A column of every type, with names as short as can be.

use passerelle_change::{Column, ColumnId, Type};

/// In the order in which the evaluator's input gives their cells.
pub fn columns() -> Vec<Column> {
    let text = Type::Text { max_chars: None };
    let types = [
        ("t", text.clone()),
        ("u", text.clone()),
        ("n", Type::Int),
        ("d", Type::Decimal { precision: None }),
        ("f", Type::Float),
        ("b", Type::Bool),
        ("j", Type::Json),
        ("l", Type::Array(Box::new(text))),
        ("x", Type::Bytes),
        ("day", Type::Date),
        ("clock", Type::Time),
        ("naive", Type::DateTime),
        ("at", Type::Timestamp),
        ("uid", Type::Uuid),
        ("e", Type::Enum { labels: vec!["a".into(), "b".into()] }),
    ];
    let column = |(at, (name, ty)): (usize, (&str, Type))| Column {
        id: ColumnId(at as u32 + 1),
        name: name.into(),
        type_name: format!("{ty:?}"),
        ty,
        nullable: true,
    };
    types.into_iter().enumerate().map(column).collect()
}
