//! A row's mapped columns, packed.
//!
//! Layout, repeated: varint column id, varint `length + 1` (0 for null), then `length` bytes of canonical text. A
//! column that is not there is *absent*. Packed once when the wire is decoded, the same bytes travel through the
//! channel into the row store.

use crate::ColumnId;

/// One column of a row: null or the canonical text of its value. (Absent is no cell.)
pub type Cell<'a> = Option<&'a [u8]>;

/// Bytes that are not packed cells: a damaged state.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("packed cells are damaged")]
pub struct DamagedCells;

/// Packed cells, borrowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Cells<'a>(&'a [u8]);

impl<'a> Cells<'a> {
    /// Views `bytes` as packed cells; damage shows when they are read.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// The packed bytes.
    pub fn as_bytes(self) -> &'a [u8] {
        self.0
    }

    /// The cell of `column`; `None` when it is absent.
    pub fn get(self, column: ColumnId) -> Option<Cell<'a>> {
        self.iter().map_while(Result::ok).find_map(|(id, cell)| (id == column).then_some(cell))
    }

    /// Every cell in the order packed.
    pub fn iter(self) -> impl Iterator<Item = Result<(ColumnId, Cell<'a>), DamagedCells>> {
        let mut rest = self.0;
        std::iter::from_fn(move || {
            if rest.is_empty() {
                return None;
            }
            let cell = take_cell(&mut rest);
            if cell.is_none() {
                rest = &[];
            }
            Some(cell.ok_or(DamagedCells))
        })
    }
}

fn take_cell<'a>(rest: &mut &'a [u8]) -> Option<(ColumnId, Cell<'a>)> {
    let column = ColumnId(u32::try_from(take_varint(rest)?).ok()?);
    let length = usize::try_from(take_varint(rest)?).ok()?;
    if length == 0 {
        return Some((column, None));
    }
    let (text, after) = rest.split_at_checked(length - 1)?;
    *rest = after;
    Some((column, Some(text)))
}

/// Packed cells, growing: appends to any byte vector, so that a batch packs into its arena.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct CellsBuf(Vec<u8>);

impl CellsBuf {
    /// An empty row.
    pub fn new() -> Self {
        Self::default()
    }

    /// Appends a cell. The caller gives each column once.
    pub fn push(&mut self, column: ColumnId, cell: Cell<'_>) {
        push_cell(&mut self.0, column, cell);
    }

    /// The packed form.
    pub fn as_cells(&self) -> Cells<'_> {
        Cells(&self.0)
    }

    /// The packed bytes.
    pub fn into_bytes(self) -> Vec<u8> {
        self.0
    }
}

/// Appends one packed cell to `out`.
pub fn push_cell(out: &mut Vec<u8>, column: ColumnId, cell: Cell<'_>) {
    push_varint(out, u64::from(column.0));
    match cell {
        None => out.push(0),
        Some(text) => {
            push_varint(out, text.len() as u64 + 1);
            out.extend_from_slice(text);
        }
    }
}

fn push_varint(out: &mut Vec<u8>, mut n: u64) {
    while n >= 0x80 {
        out.push((n & 0x7f) as u8 | 0x80);
        n >>= 7;
    }
    out.push(n as u8);
}

fn take_varint(rest: &mut &[u8]) -> Option<u64> {
    let mut n = 0_u64;
    for shift in (0..64).step_by(7) {
        let (&byte, after) = rest.split_first()?;
        *rest = after;
        n |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(n);
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_packed_is_read_back(row in proptest::collection::btree_map(any::<u32>(), any::<Option<Vec<u8>>>(), 0..20)) {
            let mut packed = CellsBuf::new();
            for (&id, cell) in &row {
                packed.push(ColumnId(id), cell.as_deref());
            }
            let read: Result<Vec<_>, _> = packed.as_cells().iter().collect();
            let want: Vec<_> = row.iter().map(|(&id, cell)| (ColumnId(id), cell.as_deref())).collect();
            prop_assert_eq!(read, Ok(want));
            for (&id, cell) in &row {
                prop_assert_eq!(packed.as_cells().get(ColumnId(id)), Some(cell.as_deref()));
            }
        }

        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            let _ = Cells::new(&bytes).iter().count();
        }
    }

    #[test]
    fn absent_null_and_empty_differ() {
        let mut packed = CellsBuf::new();
        packed.push(ColumnId(1), None);
        packed.push(ColumnId(2), Some(b""));
        let cells = packed.as_cells();
        assert_eq!(cells.get(ColumnId(1)), Some(None));
        assert_eq!(cells.get(ColumnId(2)), Some(Some(&b""[..])));
        assert_eq!(cells.get(ColumnId(3)), None);
    }
}
