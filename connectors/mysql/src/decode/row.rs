//! Row images to changes: the image after is completed by the one before, and what neither has is absent.

use passerelle_change::cells::push_cell;
use passerelle_change::{Batch, Event, KeyBuf, Op, RowChange, Span, Suspicion};

use super::group::Group;
use super::table::Table;
use crate::Error;
use crate::value::{Codec, Written, undecodable};
use crate::wire::{Field, Images, Layout, Rows, RowsKind};

/// Room that is kept from row to row.
#[derive(Debug, Default)]
pub(super) struct Scratch {
    before: Vec<Field>,
    after: Vec<Field>,
    text: Vec<u8>,
    room: Vec<u8>,
    /// What an event is inflated into.
    pub(super) data: Vec<u8>,
    /// The event of a payload that is at hand.
    pub(super) inner: Vec<u8>,
}

/// Appends every row of an event.
pub(super) fn push_all(
    table: &Table,
    rows: &Rows<'_>,
    scratch: &mut Scratch,
    group: &mut Group,
    at: usize,
    batch: &mut Batch,
) -> Result<(), Error> {
    let mut opened = std::mem::take(&mut scratch.data);
    let mut images = rows.images(rows.data.open(&mut opened)?);
    while images.next(&table.layouts, &mut scratch.before, &mut scratch.after)? {
        let before = Row { images: &images, fields: &scratch.before };
        let after = Row { images: &images, fields: &scratch.after };
        let mut writer = Writer { table, text: &mut scratch.text, room: &mut scratch.room };
        let Some(kind) = as_of_now(table, rows.kind, before, after) else { continue };
        let change = match kind {
            RowsKind::Delete => writer.delete(before, batch),
            RowsKind::Write | RowsKind::Update => writer.upsert(before, after, batch),
        };
        match change {
            Some(change) => {
                if kind == RowsKind::Write && change.is_partial_image {
                    // What an insert does not name has its default, which the log leaves out (MY-55): it is not as it was in
                    // a row of this key that went without a word.
                    batch.push(Event::Row(RowChange { op: Op::Gone, cells: Span::default(), ..change.row }));
                    group.pushed(at, table.id);
                }
                batch.push(Event::Row(change.row));
                group.pushed(at, table.id);
                if let Some(why) = change.fetch {
                    batch.push(Event::Suspect { table: table.id, key: Some(change.row.key), why });
                }
            }
            None => group.suspect(at, table.id, Suspicion::NoKeyValue, batch),
        }
    }
    scratch.data = opened;
    Ok(())
}

/// What happened to the rows that are there now: in a system-versioned table, rows of the past are written and thrown away
/// too, and a delete only ends a row's time (MY-58).
fn as_of_now(table: &Table, kind: RowsKind, before: Row<'_>, after: Row<'_>) -> Option<RowsKind> {
    let Some(column) = table.row_end else { return Some(kind) };
    let is_current = |row: Row<'_>| match row.field(column) {
        Field::Value { start, end } => {
            let never = match table.layouts.get(column) {
                // 2038-01-19 or, from MariaDB 11.5 on, 2106-02-07, and the last microsecond.
                Some(Layout::Timestamp(_)) => {
                    [b"\x7f\xff\xff\xff\x0f\x42\x3f".as_slice(), b"\xff\xff\xff\xff\x0f\x42\x3f"]
                }
                _ => [b"\xff\xff\xff\xff\xff\xff\xff\xff".as_slice(); 2],
            };
            never.contains(&row.images.bytes(start, end))
        }
        Field::Absent | Field::Null | Field::Diff { .. } => true,
    };
    match kind {
        RowsKind::Write => is_current(after).then_some(kind),
        RowsKind::Delete => is_current(before).then_some(kind),
        RowsKind::Update if is_current(after) => Some(kind),
        RowsKind::Update => is_current(before).then_some(RowsKind::Delete),
    }
}

/// An image of a row.
#[derive(Clone, Copy)]
struct Row<'r> {
    images: &'r Images<'r, 'r>,
    fields: &'r [Field],
}

impl<'r> Row<'r> {
    fn field(&self, column: usize) -> Field {
        self.fields.get(column).copied().unwrap_or(Field::Absent)
    }

    fn bytes(&self, start: u32, end: u32) -> &'r [u8] {
        self.images.bytes(start, end)
    }
}

/// A change, and why the row has to be read from the source where the log does not have all of it.
struct Change {
    row: RowChange,
    fetch: Option<Suspicion>,
    /// The image has not all that the table has.
    is_partial_image: bool,
}

struct Writer<'w> {
    table: &'w Table,
    text: &'w mut Vec<u8>,
    room: &'w mut Vec<u8>,
}

impl Writer<'_> {
    fn delete(&mut self, before: Row<'_>, batch: &mut Batch) -> Option<Change> {
        let key = self.key(before, before, batch)?;
        let row = RowChange { table: self.table.id, op: Op::Gone, key, old_key: None, cells: Span::default() };
        Some(Change { row, fetch: None, is_partial_image: false })
    }

    /// An insert or update. What is not in the image after did not change (MY-55, MY-56): it is as before, where that
    /// is there, and else it is absent, as is a wanted column that the table does not have.
    fn upsert(&mut self, before: Row<'_>, after: Row<'_>, batch: &mut Batch) -> Option<Change> {
        let key = self.key(after, before, batch)?;
        let old_key = if before.fields.is_empty() { None } else { self.key(before, after, batch) };
        let old_key = old_key.filter(|&old| batch.bytes(old) != batch.bytes(key));
        let (mut is_partial_image, mut fetch) = (false, None);
        let cells = batch.pack(|out| {
            for cell in &self.table.cells {
                let (row, field) = match after.field(cell.at) {
                    Field::Absent => (before, before.field(cell.at)),
                    field => (after, field),
                };
                let written = match field {
                    Field::Null => Written::Null,
                    Field::Value { start, end } => {
                        cell.codec.write(row.bytes(start, end), self.table.zero_dates, self.room, self.text)
                    }
                    Field::Diff { start, end } => match before.field(cell.at) {
                        Field::Value { start: base_start, end: base_end } => {
                            let (base, diff) = (before.bytes(base_start, base_end), row.bytes(start, end));
                            if Codec::write_diff(base, diff, self.text).is_err() {
                                undecodable(diff, self.text);
                            }
                            Written::Text
                        }
                        // Without what it changed it says nothing (MY-57).
                        Field::Absent | Field::Null | Field::Diff { .. } => {
                            is_partial_image = true;
                            fetch = Some(Suspicion::PartOfDocument);
                            continue;
                        }
                    },
                    Field::Absent => {
                        is_partial_image = true;
                        continue;
                    }
                };
                push_cell(out, cell.id, (written == Written::Text).then_some(self.text.as_slice()));
            }
        });
        let op = if self.table.is_whole && !is_partial_image { Op::Full } else { Op::Partial };
        Some(Change { row: RowChange { table: self.table.id, op, key, old_key, cells }, fetch, is_partial_image })
    }

    /// Packs the key of `row`; parts that it does not have are in `other`.
    fn key(&mut self, row: Row<'_>, other: Row<'_>, batch: &mut Batch) -> Option<Span> {
        let mut whole = true;
        let span = batch.pack(|out| {
            for part in &self.table.key {
                let value = match (row.field(part.at), other.field(part.at)) {
                    (Field::Value { start, end }, _) => Some(row.bytes(start, end)),
                    (Field::Absent, Field::Value { start, end }) => Some(other.bytes(start, end)),
                    _ => None,
                };
                // A key is never null, so that a date that is none keeps its text.
                let zero_dates = crate::value::ZeroDates::Text;
                match value.map(|bytes| part.codec.write(bytes, zero_dates, self.room, self.text)) {
                    Some(Written::Text) => KeyBuf(out).push(part.is_integer, self.text),
                    Some(Written::Null) | None => whole = false,
                }
            }
        });
        whole.then_some(span)
    }
}
