//! Events as text, so that a test reads as what is expected.

use std::collections::HashMap;
use std::fmt::Write as _;

use passerelle_change::{Batch, ColumnId, Event, Op, RowChange, TableId, TableSchema, key};

/// Prints events; keeps the names that schema events tell.
#[derive(Debug, Default)]
pub(crate) struct Printer {
    tables: HashMap<TableId, String>,
    columns: HashMap<ColumnId, String>,
    /// The schema last told of each table.
    pub(crate) schemas: HashMap<TableId, TableSchema>,
}

impl Printer {
    /// One line an event.
    pub(crate) fn lines(&mut self, batch: &Batch) -> Vec<String> {
        batch.events().iter().map(|event| self.line(batch, event)).collect()
    }

    fn line(&mut self, batch: &Batch, event: &Event) -> String {
        match event {
            Event::Begin { .. } => "begin".into(),
            Event::End { .. } => "end".into(),
            Event::Idle { .. } => "idle".into(),
            Event::Suspect { table, key: None, why } => format!("suspect {}: {why}", table.0),
            other @ (Event::Undo { .. } | Event::Suspect { .. } | Event::Prepared { .. } | Event::Decided { .. }) => {
                panic!("{other:?}")
            }
            Event::Truncate(table) => format!("truncate {}", self.tables[table]),
            Event::Row(row) => self.row(batch, row),
            Event::Schema { schema, .. } => {
                self.tables.insert(schema.table, schema.name.name.clone());
                self.schemas.insert(schema.table, schema.clone());
                self.columns.extend(schema.columns.iter().map(|column| (column.id, column.name.clone())));
                let columns: Vec<_> = schema.columns.iter().map(|c| format!("{} {}", c.name, c.type_name)).collect();
                format!("schema {} ({}) key {}", schema.name.name, columns.join(", "), schema.key.join(","))
            }
        }
    }

    fn row(&self, batch: &Batch, row: &RowChange) -> String {
        let op = match row.op {
            Op::Full => "full",
            Op::Partial => "partial",
            Op::Gone => "gone",
        };
        let mut line = format!("{op} {} {}", self.tables[&row.table], key::printed(batch.bytes(row.key)));
        if let Some(old) = row.old_key {
            let _ = write!(line, " was {}", key::printed(batch.bytes(old)));
        }
        for cell in batch.cells(row).iter() {
            let (id, text) = cell.unwrap();
            let text = text.map_or("null".into(), |text| match text.len() {
                0..=80 => format!("'{}'", String::from_utf8_lossy(text)),
                long => format!("{long} bytes"),
            });
            let _ = write!(line, " {}={text}", self.columns[&id]);
        }
        line
    }
}
