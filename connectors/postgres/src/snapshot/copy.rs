//! COPY's text format (the manual's page on COPY, "Text Format") to packed rows. Pure.

use bytes::{Bytes, BytesMut};
use passerelle_change::cells::push_cell;
use passerelle_change::{Batch, ColumnId, Event, KeyBuf, Op, RowChange, TableId, TableName, TableSchema, Type};

use crate::Error;

/// Which field of a line is which column, and which are the key.
#[derive(Debug)]
pub(super) struct Columns {
    table: TableId,
    name: TableName,
    /// The columns to ask for, in the order in which their fields come.
    pub(super) names: Vec<String>,
    ids: Vec<ColumnId>,
    /// Field number, and whether it is an integer.
    key: Vec<(usize, bool)>,
}

impl Columns {
    /// The columns of `schema` that `is_wanted`.
    pub(super) fn new(schema: &TableSchema, is_wanted: impl Fn(&str) -> bool) -> Result<Self, Error> {
        let columns: Vec<_> = schema.columns.iter().filter(|column| is_wanted(&column.name)).collect();
        let of_key = |name: &String| {
            let found = columns.iter().position(|column| column.name == *name);
            let column = found.and_then(|at| columns.get(at).map(|column| (at, column.ty == Type::Int)));
            column.ok_or_else(|| Error::ColumnMissing { table: schema.name.clone(), column: name.clone() })
        };
        Ok(Self {
            table: schema.table,
            name: schema.name.clone(),
            key: schema.key.iter().map(of_key).collect::<Result<_, _>>()?,
            names: columns.iter().map(|column| column.name.clone()).collect(),
            ids: columns.iter().map(|column| column.id).collect(),
        })
    }

    /// The most that the row of a line of so many bytes takes in a batch: its cells with their heads, its key, which
    /// are some of the same bytes again, and the event.
    pub(super) fn most_bytes(&self, line_bytes: usize) -> usize {
        const HEAD_OF_CELL: usize = 10;
        const HEAD_OF_KEY_PART: usize = 9;
        line_bytes * 2 + self.ids.len() * HEAD_OF_CELL + self.key.len() * HEAD_OF_KEY_PART + size_of::<Event>()
    }

    /// Appends the row of a line, without its end.
    pub(super) fn pack(&self, line: &[u8], batch: &mut Batch) -> Result<(), Error> {
        let malformed = || Error::MalformedCopy { table: self.name.clone() };
        let fields: Vec<&[u8]> = line.split(|&byte| byte == b'\t').collect();
        if fields.len() != self.ids.len() {
            return Err(malformed());
        }
        let mut text = Vec::new();
        let mut complete = true;
        let key = batch.pack(|out| {
            for &(at, is_integer) in &self.key {
                match fields.get(at).and_then(|field| unescape(field, &mut text)) {
                    Some(value) => KeyBuf(out).push(is_integer, value),
                    None => complete = false,
                }
            }
        });
        if !complete {
            return Err(Error::RowWithoutKey { table: self.name.clone() });
        }
        let cells = batch.pack(|out| {
            for (&id, field) in self.ids.iter().zip(&fields) {
                push_cell(out, id, unescape(field, &mut text));
            }
        });
        batch.push(Event::Row(RowChange { table: self.table, op: Op::Full, key, old_key: None, cells }));
        Ok(())
    }
}

/// The value of a field; `None` for null. `room` is used where the field has escapes.
fn unescape<'a>(field: &'a [u8], room: &'a mut Vec<u8>) -> Option<&'a [u8]> {
    if field == b"\\N" {
        return None;
    }
    if !field.contains(&b'\\') {
        return Some(field);
    }
    room.clear();
    let mut bytes = field.iter();
    while let Some(&byte) = bytes.next() {
        if byte != b'\\' {
            room.push(byte);
            continue;
        }
        room.push(match bytes.next() {
            Some(b'b') => 0x08,
            Some(b'f') => 0x0c,
            Some(b'n') => b'\n',
            Some(b'r') => b'\r',
            Some(b't') => b'\t',
            Some(b'v') => 0x0b,
            Some(&other) => other,
            None => b'\\',
        });
    }
    Some(room)
}

/// Cuts what arrives into lines. The server sends a line a message; the protocol does not promise it.
#[derive(Debug, Default)]
pub(super) struct Lines {
    waiting: BytesMut,
    whole: Bytes,
}

impl Lines {
    /// Takes the next piece. The lines of the one before have been taken.
    pub(super) fn feed(&mut self, chunk: Bytes) {
        if self.waiting.is_empty() && chunk.last() == Some(&b'\n') {
            self.whole = chunk;
            return;
        }
        self.waiting.extend_from_slice(&chunk);
        if let Some(end) = self.waiting.iter().rposition(|&byte| byte == b'\n') {
            self.whole = self.waiting.split_to(end + 1).freeze();
        }
    }

    /// The next line, without its end.
    pub(super) fn next(&mut self) -> Option<Bytes> {
        let end = self.whole.iter().position(|&byte| byte == b'\n')?;
        let mut line = self.whole.split_to(end + 1);
        line.truncate(end);
        Some(line)
    }

    /// Nothing is left of a line that did not end.
    pub(super) fn is_empty(&self) -> bool {
        self.waiting.is_empty() && self.whole.is_empty()
    }
}

#[cfg(test)]
mod tests {
    use passerelle_change::Column;
    use proptest::prelude::*;

    use super::*;

    fn schema() -> TableSchema {
        let column = |id, name: &str, ty| Column {
            id: ColumnId(id),
            name: name.into(),
            ty,
            type_name: String::new(),
            nullable: true,
        };
        TableSchema {
            table: TableId(7),
            name: TableName { schema: "public".into(), name: "t".into() },
            columns: vec![column(1, "id", Type::Int), column(2, "name", Type::Text { max_chars: None })],
            key: vec!["id".into()],
        }
    }

    /// The printed key and the cells.
    type Printed = (String, Vec<Option<Vec<u8>>>);

    fn packed(line: &[u8]) -> Result<Printed, Error> {
        let mut batch = Batch::new();
        Columns::new(&schema(), |_| true)?.pack(line, &mut batch)?;
        let Some(Event::Row(row)) = batch.events().last() else { panic!("no row") };
        let cells = batch.cells(row).iter().map(|cell| cell.expect("whole").1.map(<[u8]>::to_vec)).collect();
        Ok((passerelle_change::key::printed(batch.bytes(row.key)), cells))
    }

    #[test]
    fn null_empty_and_escaped_values_differ() {
        let check = |line: &[u8], want: Option<&[u8]>| {
            let (key, cells) = packed(line).expect("a row");
            assert_eq!((key.as_str(), &cells[1]), ("12", &want.map(<[u8]>::to_vec)), "{line:?}");
        };
        check(b"12\t\\N", None);
        check(b"12\t", Some(b""));
        check(b"12\t\\\\N", Some(b"\\N"));
        check(b"12\ta\\tb\\nc\\rd\\be\\ff\\vg\\\\", Some(b"a\tb\nc\rd\x08e\x0cf\x0bg\\"));
        check("12\tđ\u{1F600}".as_bytes(), Some("đ\u{1F600}".as_bytes()));
    }

    #[test]
    fn lines_that_are_no_rows_are_refused() {
        assert!(matches!(packed(b"12"), Err(Error::MalformedCopy { .. })));
        assert!(matches!(packed(b"12\ta\tb"), Err(Error::MalformedCopy { .. })));
        assert!(matches!(packed(b"\\N\ta"), Err(Error::RowWithoutKey { .. })));
    }

    /// As the server's `CopyAttributeOutText` does it.
    fn escape(text: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for &byte in text {
            match byte {
                0x08 => out.extend(b"\\b"),
                0x0c => out.extend(b"\\f"),
                b'\n' => out.extend(b"\\n"),
                b'\r' => out.extend(b"\\r"),
                b'\t' => out.extend(b"\\t"),
                0x0b => out.extend(b"\\v"),
                b'\\' => out.extend(b"\\\\"),
                _ => out.push(byte),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn every_value_comes_back_however_the_bytes_arrive(values: Vec<Vec<u8>>, cut in 1..20_usize) {
            let mut sent = Vec::new();
            for value in &values {
                sent.extend(b"1\t");
                sent.extend(escape(value));
                sent.push(b'\n');
            }
            let mut lines = Lines::default();
            let mut got = Vec::new();
            for chunk in sent.chunks(cut) {
                lines.feed(Bytes::copy_from_slice(chunk));
                while let Some(line) = lines.next() {
                    got.push(packed(&line).expect("a row").1[1].clone().expect("not null"));
                }
            }
            prop_assert!(lines.is_empty());
            prop_assert_eq!(got, values);
        }
    }
}
