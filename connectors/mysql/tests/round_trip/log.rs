//! Decodes whole logs of a table, and keeps what a reader of the changes would hold in the end.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use passerelle_change::{Batch, ColumnId, Event, Op, TableId, TableName, TableSchema, key};
use passerelle_mysql::catalog::{KnownTable, KnownTables};
use passerelle_mysql::decode::{Decoded, Decoder, Settings, WantedTable};
use passerelle_mysql::value::ZeroDates;
use passerelle_mysql::wire::file_events;

/// A row: its cells by the name of their column; `None` is null, what is not there absent.
pub(crate) type Cells = BTreeMap<String, Option<String>>;

/// What is held of a table.
#[derive(Debug, Default)]
pub(crate) struct Held {
    pub(crate) rows: BTreeMap<String, Cells>,
    /// What was said besides rows.
    pub(crate) said: Vec<String>,
    /// The columns' types, as last told.
    pub(crate) types: HashMap<String, passerelle_change::Type>,
    /// The schema last told.
    pub(crate) told: Option<TableSchema>,
    /// Where the log was left.
    pub(crate) position: String,
    columns: HashMap<ColumnId, String>,
    transaction: Vec<Change>,
}

/// A row, or all of them.
#[derive(Debug)]
enum Change {
    /// It is as the cells say; what is absent is as it was, under the key it had then.
    Is {
        key: String,
        was: String,
        cells: Cells,
    },
    Gone(String),
    AllGone,
}

/// What is to be decoded.
pub(crate) struct Wanted<'a> {
    pub(crate) table: &'a str,
    pub(crate) columns: Vec<&'a str>,
    pub(crate) key: &'a str,
    pub(crate) known: Option<KnownTable>,
    /// Rows' bytes after which a batch is handed on, to see that nothing depends on where it ends.
    pub(crate) batch_bytes: usize,
}

impl Wanted<'_> {
    /// Decodes files of a log.
    pub(crate) fn decode(&self, logs: &[Vec<u8>]) -> Held {
        let name = TableName { schema: "shop".into(), name: self.table.into() };
        let columns = self.columns.iter().map(ToString::to_string).collect();
        let wanted = WantedTable::new(TableId(1), name.clone(), columns, vec![self.key.into()]);
        let known = self.known.clone().map(|known| KnownTables::from([(name, known)])).unwrap_or_default();
        let settings = Settings { zero_dates: ZeroDates::DeadLetter, ..Settings::default() };
        let mut decoder = Decoder::new(vec![wanted], known, Arc::default(), settings);
        let (mut held, mut batch) = (Held::default(), Batch::new());
        for log in logs {
            for event in file_events(log) {
                let mut decoded = decoder.event(event.unwrap(), &mut batch).unwrap();
                while decoded == Decoded::Partly {
                    held.take(&mut batch, &mut decoder);
                    decoded = decoder.more(&mut batch).unwrap();
                }
                // The catalogue is as it is now, whatever the log is at.
                let stale = decoder.stale().next().cloned();
                if let (Some(known), Some(name)) = (&self.known, stale) {
                    decoder.know(&name, known.clone());
                }
                if batch.size_bytes() > self.batch_bytes {
                    held.take(&mut batch, &mut decoder);
                }
            }
        }
        held.take(&mut batch, &mut decoder);
        held.position = decoder.ended().to_string();
        held
    }
}

impl Held {
    fn take(&mut self, batch: &mut Batch, decoder: &mut Decoder) {
        self.apply(batch);
        batch.clear();
        decoder.handed_on();
    }

    /// Takes what a batch of the stream says.
    pub(crate) fn apply(&mut self, batch: &Batch) {
        for event in batch.events() {
            self.event(batch, event);
        }
    }

    /// Takes rows that were loaded: they are in no transaction.
    pub(crate) fn load(&mut self, batch: &Batch) {
        self.apply(batch);
        self.end();
    }

    fn event(&mut self, batch: &Batch, event: &Event) {
        match event {
            Event::Begin { .. } => self.transaction.clear(),
            Event::Row(row) => {
                let printed = key::printed(batch.bytes(row.key));
                let cells = batch.cells(row).iter().map(|cell| {
                    let (id, text) = cell.unwrap();
                    let text = text.map(|text| {
                        assert_ne!(text.first(), Some(&0xff), "{} cannot be decoded: {text:?}", self.columns[&id]);
                        String::from_utf8(text.to_vec()).unwrap()
                    });
                    (self.columns[&id].clone(), text)
                });
                let was = row.old_key.map_or_else(|| printed.clone(), |old| key::printed(batch.bytes(old)));
                self.transaction.push(match row.op {
                    Op::Gone => Change::Gone(printed),
                    Op::Full | Op::Partial => Change::Is { key: printed, was, cells: cells.collect() },
                });
            }
            Event::Truncate(_) => self.transaction.push(Change::AllGone),
            Event::Undo { kept } => self.transaction.truncate(*kept as usize),
            Event::Schema { schema, .. } => {
                self.told = Some(schema.clone());
                for column in &schema.columns {
                    self.columns.insert(column.id, column.name.clone());
                    self.types.insert(column.name.clone(), column.ty.clone());
                }
            }
            Event::End { .. } => self.end(),
            Event::Suspect { why, key, .. } => {
                let row = key.map(|span| key::printed(batch.bytes(span))).unwrap_or_default();
                self.said.push(format!("suspect {row}: {why}"));
            }
            Event::Prepared { .. } => {
                self.said.push(format!("prepared {} rows", self.transaction.len()));
                self.transaction.clear();
            }
            Event::Decided { committed, .. } => self.said.push(format!("decided {committed}")),
            Event::Idle { .. } => {}
        }
    }

    fn end(&mut self) {
        for change in std::mem::take(&mut self.transaction) {
            match change {
                Change::AllGone => self.rows.clear(),
                Change::Gone(key) => drop(self.rows.remove(&key)),
                Change::Is { key, was, cells } => {
                    let mut row = self.rows.remove(&was).unwrap_or_default();
                    row.extend(cells);
                    self.rows.insert(key, row);
                }
            }
        }
    }
}
