//! The row store: the last known mapped columns of every mapped row.
//!
//! Capture never reads a row to write it: a change that replaces the row is put, any other is a merge operand, and
//! [`fold`] makes the row of them when it is read or compacted. Stored rows and stream operands have one form, so a partial
//! merge is a fold too; only a loaded row must meet the whole row before it is folded, since it must not replace what is
//! newer.

use passerelle_change::cells::push_cell;
use passerelle_change::{Cells, Op, Seq};
use rocksdb::MergeOperands;
use serde::{Deserialize, Serialize};

use crate::codec::{self, Damage};

/// What a row is, or an operand makes of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Standing {
    /// There, with every mapped column of its time.
    Full,
    /// There, with some columns only: the rest has not been seen.
    Partial,
    /// Deleted. Kept as a tombstone, so that a load can't bring it back.
    Gone,
    /// Operand only: read from a table by a load. `seq` is the load's low watermark.
    Loaded,
}

/// A row of the store, or an operand on it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Row<'a> {
    /// What it is.
    pub standing: Standing,
    /// The sequence of its newest change.
    pub seq: Seq,
    /// The last load that saw it; 0 for none since its last whole change.
    pub load: u32,
    #[serde(with = "serde_bytes")]
    cells: &'a [u8],
}

impl<'a> Row<'a> {
    /// A change from the stream.
    pub fn changed(op: Op, seq: Seq, cells: Cells<'a>) -> Self {
        let standing = match op {
            Op::Full => Standing::Full,
            Op::Partial => Standing::Partial,
            Op::Gone => Standing::Gone,
        };
        Self { standing, seq, load: 0, cells: cells.as_bytes() }
    }

    /// A row read by load number `load`, which began when `low` was the newest durable change.
    pub fn loaded(load: u32, low: Seq, cells: Cells<'a>) -> Self {
        Self { standing: Standing::Loaded, seq: low, load, cells: cells.as_bytes() }
    }

    /// Its packed cells.
    pub fn cells(&self) -> Cells<'a> {
        Cells::new(self.cells)
    }

    /// As an operand: whether the row that was does not matter.
    pub(crate) fn replaces(&self) -> bool {
        matches!(self.standing, Standing::Full | Standing::Gone)
    }

    /// Reads it from its stored form.
    pub fn decode(bytes: &'a [u8]) -> Result<Self, Damage> {
        codec::decode(bytes)
    }

    /// Appends its stored form to `out`.
    pub fn encode_into(&self, out: &mut Vec<u8>) {
        codec::encode_into(self, out);
    }
}

/// A row that owns its cells: what a fold gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RowBuf {
    /// What it is.
    pub standing: Standing,
    /// The sequence of its newest change.
    pub seq: Seq,
    /// The last load that saw it; 0 for none since its last whole change.
    pub load: u32,
    cells: Vec<u8>,
}

impl RowBuf {
    /// The row, borrowed.
    pub fn as_row(&self) -> Row<'_> {
        Row { standing: self.standing, seq: self.seq, load: self.load, cells: &self.cells }
    }

    /// Its packed cells.
    pub fn cells(&self) -> Cells<'_> {
        Cells::new(&self.cells)
    }

    /// The same row with its cells taken from `older` where they are absent here.
    #[must_use]
    pub fn completed_by(self, older: &Row<'_>) -> Self {
        let cells = overlay(self.cells(), older.cells());
        let standing = if older.standing == Standing::Full { Standing::Full } else { self.standing };
        Self { standing, cells, ..self }
    }
}

impl From<Row<'_>> for RowBuf {
    /// A loaded row that meets no other is a full row.
    fn from(row: Row<'_>) -> Self {
        let standing = if row.standing == Standing::Loaded { Standing::Full } else { row.standing };
        Self { standing, seq: row.seq, load: row.load, cells: row.cells.to_vec() }
    }
}

/// One step: what `operand` makes of the row that was. Pure, total, and what the merge operator runs.
pub fn fold(old: Option<RowBuf>, operand: Row<'_>) -> RowBuf {
    let Some(old) = old else {
        return operand.into();
    };
    match operand.standing {
        Standing::Full | Standing::Gone => operand.into(),
        Standing::Partial => match old.standing {
            Standing::Gone => RowBuf { load: old.load, ..operand.into() },
            Standing::Full | Standing::Partial | Standing::Loaded => RowBuf {
                standing: old.standing,
                seq: operand.seq,
                load: old.load,
                cells: overlay(operand.cells(), old.cells()),
            },
        },
        Standing::Loaded => fold_loaded(old, operand),
    }
}

/// A loaded row fills absent cells and never replaces a newer cell or a newer tombstone.
fn fold_loaded(old: RowBuf, loaded: Row<'_>) -> RowBuf {
    let newer = old.seq > loaded.seq;
    match old.standing {
        Standing::Gone if newer => RowBuf { load: loaded.load, ..old },
        Standing::Full | Standing::Partial | Standing::Loaded if newer => RowBuf {
            standing: Standing::Full,
            seq: old.seq,
            load: loaded.load,
            cells: overlay(old.cells(), loaded.cells()),
        },
        Standing::Full | Standing::Partial | Standing::Loaded => RowBuf {
            standing: Standing::Full,
            seq: old.seq.max(loaded.seq),
            load: loaded.load,
            cells: overlay(loaded.cells(), old.cells()),
        },
        Standing::Gone => RowBuf { load: loaded.load, ..loaded.into() },
    }
}

/// The cells of `upper`, then those of `lower` that `upper` does not have. Damaged cells end the row where they stand:
/// the checksum of the envelope has been checked, so this is out of reach but for a defect.
fn overlay(upper: Cells<'_>, lower: Cells<'_>) -> Vec<u8> {
    let mut cells = upper.as_bytes().to_vec();
    for (column, cell) in lower.iter().map_while(Result::ok) {
        if upper.get(column).is_none() {
            push_cell(&mut cells, column, cell);
        }
    }
    cells
}

/// The merge operator of the rows: `None` (a value that does not decode) makes RocksDB report the key as damaged.
pub(crate) fn merge(_key: &[u8], old: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let old = old.map(|bytes| Row::decode(bytes).map(RowBuf::from)).transpose().ok()?;
    merge_all(old, operands)
}

/// Operands without their row. A loaded one has to wait for it.
pub(crate) fn merge_partly(_key: &[u8], _: Option<&[u8]>, operands: &MergeOperands) -> Option<Vec<u8>> {
    let mut rows = operands.iter().map(Row::decode);
    if rows.any(|row| row.is_ok_and(|row| row.standing == Standing::Loaded)) {
        return None;
    }
    merge_all(None, operands)
}

fn merge_all(mut row: Option<RowBuf>, operands: &MergeOperands) -> Option<Vec<u8>> {
    for operand in operands {
        row = Some(fold(row, Row::decode(operand).ok()?));
    }
    let mut out = Vec::new();
    row?.as_row().encode_into(&mut out);
    Some(out)
}

#[cfg(test)]
mod tests {
    use passerelle_change::{CellsBuf, ColumnId};

    use super::*;

    /// `a=1 b=- c` : column a holds 1, b is null, c is left out.
    fn cells(text: &str) -> CellsBuf {
        let mut cells = CellsBuf::new();
        for pair in text.split_whitespace() {
            let (name, value) = pair.split_once('=').expect("name=value");
            let id = ColumnId(u32::from(name.as_bytes()[0]));
            cells.push(id, (value != "-").then_some(value.as_bytes()));
        }
        cells
    }

    fn shown(row: &RowBuf) -> String {
        let mut cells: Vec<_> = row
            .cells()
            .iter()
            .map(|cell| {
                let (id, value) = cell.expect("whole cells");
                let name = char::from_u32(id.0).expect("a letter");
                format!("{name}={}", value.map_or("-".into(), |v| String::from_utf8_lossy(v).into_owned()))
            })
            .collect();
        cells.sort();
        format!("{:?} {} {}", row.standing, row.seq.0, cells.join(" ")).trim_end().to_owned()
    }

    /// Operands `full 3 a=1`, one a line, folded in order.
    fn check(operands: &str, want: &str) {
        let mut row = None;
        for line in operands.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let mut words = line.splitn(3, ' ');
            let (kind, seq, rest) = (words.next(), words.next(), words.next().unwrap_or_default());
            let seq = Seq(seq.and_then(|seq| seq.parse().ok()).expect("a sequence"));
            let cells = cells(rest);
            let operand = match kind {
                Some("full") => Row::changed(Op::Full, seq, cells.as_cells()),
                Some("partial") => Row::changed(Op::Partial, seq, cells.as_cells()),
                Some("gone") => Row::changed(Op::Gone, seq, Cells::default()),
                Some("loaded") => Row::loaded(1, seq, cells.as_cells()),
                other => panic!("no operand {other:?}"),
            };
            row = Some(fold(row, operand));
        }
        assert_eq!(shown(&row.expect("an operand")), want, "after {operands}");
    }

    #[test]
    fn a_full_change_replaces() {
        check("full 1 a=1 b=2\nfull 2 a=3", "Full 2 a=3");
    }

    #[test]
    fn pg_15_an_absent_cell_keeps_its_value() {
        check("full 1 a=1 b=2\npartial 2 a=3", "Full 2 a=3 b=2");
    }

    #[test]
    fn null_is_not_absent() {
        check("full 1 a=1 b=2\npartial 2 a=-", "Full 2 a=- b=2");
    }

    #[test]
    fn a_partial_change_of_an_unknown_row_stays_partial() {
        check("partial 2 a=3", "Partial 2 a=3");
        check("gone 1\npartial 2 a=3", "Partial 2 a=3");
    }

    #[test]
    fn a_row_deleted_and_inserted_again_is_the_new_one() {
        check("full 1 a=1 b=2\ngone 2\nfull 3 a=9", "Full 3 a=9");
    }

    #[test]
    fn a_load_never_replaces_a_newer_cell() {
        check("full 5 a=new\nloaded 4 a=old b=2", "Full 5 a=new b=2");
        check("loaded 4 a=old b=2\nfull 5 a=new b=3", "Full 5 a=new b=3");
        check("partial 5 a=new\nloaded 4 a=old b=2", "Full 5 a=new b=2");
        check("loaded 4 a=old b=2\npartial 5 a=new", "Full 5 a=new b=2");
    }

    #[test]
    fn a_load_never_brings_back_a_newer_tombstone() {
        check("gone 5\nloaded 4 a=old", "Gone 5");
        check("loaded 4 a=old\ngone 5", "Gone 5");
    }

    #[test]
    fn a_load_replaces_what_is_older() {
        check("full 3 a=1 b=1\nloaded 4 a=2 b=2", "Full 4 a=2 b=2");
        check("gone 3\nloaded 4 a=2", "Full 4 a=2");
    }

    #[test]
    fn a_moved_row_is_completed_by_the_old_one() {
        let (old, new) = (cells("a=1 b=toast"), cells("a=2"));
        let old = RowBuf::from(Row::changed(Op::Full, Seq(1), old.as_cells()));
        let new = RowBuf::from(Row::changed(Op::Partial, Seq(2), new.as_cells()));
        assert_eq!(shown(&new.completed_by(&old.as_row())), "Full 2 a=2 b=toast");
    }

    proptest::proptest! {
        /// Folding stream operands in any grouping gives the same row: what a partial merge relies on.
        #[test]
        fn the_fold_of_the_stream_is_associative(
            ops in proptest::collection::vec((0_u8..3, proptest::collection::btree_map(97_u32..101, "[a-z]?", 0..4)), 3..8),
            split in 1_usize..7,
        ) {
            let packed: Vec<_> = ops.iter().map(|(_, cells)| {
                let mut buf = CellsBuf::new();
                for (&id, value) in cells { buf.push(ColumnId(id), Some(value.as_bytes())); }
                buf
            }).collect();
            let rows: Vec<_> = ops.iter().zip(&packed).enumerate().map(|(n, ((kind, _), cells))| {
                let seq = Seq(n as u64 + 1);
                match kind {
                    0 => Row::changed(Op::Full, seq, cells.as_cells()),
                    1 => Row::changed(Op::Partial, seq, cells.as_cells()),
                    _ => Row::changed(Op::Gone, seq, Cells::default()),
                }
            }).collect();
            let split = split.min(rows.len() - 1);
            let together = rows.iter().fold(None, |row, &op| Some(fold(row, op)));
            // A partial change never follows a tombstone or begins the log in a real stream; skip those.
            let real = rows.windows(2).all(|pair| !(pair[0].standing == Standing::Gone && pair[1].standing == Standing::Partial))
                && rows[0].standing == Standing::Full;
            proptest::prop_assume!(real);
            let left = rows[..split].iter().fold(None, |row, &op| Some(fold(row, op)));
            let right = rows[split..].iter().fold(None, |row, &op| Some(fold(row, op))).expect("not empty");
            let apart = fold(left, right.as_row());
            proptest::prop_assert_eq!(shown(&together.expect("not empty")), shown(&apart));
        }
    }
}
