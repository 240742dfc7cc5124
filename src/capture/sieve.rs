//! Rows that nobody wants: of a table that is only pivoted, those whose name no expression uses never reach the disk.
//!
//! A row is left out when its name is known and is none of those. Whether it was wanted before, and is to go, is asked of
//! what is in memory alone (bloom filters and what was just written): no row is read for it. Where that can't tell, the row
//! goes, which does no harm.
//!
//! While a load of the table is under way, nothing is left out but what says nothing: a load brings rows as they were when it
//! began, and what the log has told since of one that it has not brought yet has to stand against it.

use std::collections::{BTreeMap, BTreeSet, HashSet};

use passerelle_change::{Cells, ColumnId, Op, TableId, TableSchema};
use passerelle_state::Store;

/// The rows of a table that are wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedRows {
    /// The column that tells.
    pub column: String,
    /// What it is to be.
    pub values: BTreeSet<String>,
}

/// What becomes of a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fate {
    /// It is folded.
    Kept,
    /// Its row is none that is wanted, and may have been one: it is gone.
    Gone,
    /// It is left out.
    LeftOut,
}

/// Which rows of which tables are wanted.
#[derive(Debug, Default)]
pub(super) struct Sieve {
    tables: BTreeMap<TableId, Table>,
    /// Those of which a load is under way.
    loading: BTreeSet<TableId>,
    /// Rows that were let through and may not be written yet: those of the batch being filled, and of the one before.
    filling: HashSet<(TableId, Vec<u8>)>,
    writing: HashSet<(TableId, Vec<u8>)>,
}

#[derive(Debug)]
struct Table {
    wanted: WantedRows,
    /// The column under every type that it had.
    ids: Vec<ColumnId>,
}

impl Sieve {
    pub(super) fn new(wanted: BTreeMap<TableId, WantedRows>) -> Self {
        let tables = wanted.into_iter().map(|(id, wanted)| (id, Table { wanted, ids: Vec::new() }));
        Self { tables: tables.collect(), ..Self::default() }
    }

    /// What the columns of the rows behind it are.
    pub(super) fn schema(&mut self, schema: &TableSchema) {
        let Some(table) = self.tables.get_mut(&schema.table) else { return };
        if let Some(column) = schema.column(&table.wanted.column)
            && !table.ids.contains(&column.id)
        {
            table.ids.push(column.id);
        }
    }

    /// What becomes of a change from the log.
    pub(super) fn fate(&mut self, store: &Store, table: TableId, key: &[u8], op: Op, cells: Cells<'_>) -> Fate {
        let Some(known) = self.tables.get(&table) else { return Fate::Kept };
        if op != Op::Gone && known.is_wanted(cells) {
            self.filling.insert((table, key.to_vec()));
            return Fate::Kept;
        }
        let name = (table, key.to_vec());
        if self.loading.contains(&table)
            || self.filling.contains(&name)
            || self.writing.contains(&name)
            || store.may_have_row(table, key)
        {
            Fate::Gone
        } else {
            Fate::LeftOut
        }
    }

    /// Whether a row that a load has read is wanted.
    pub(super) fn is_wanted(&self, table: TableId, cells: Cells<'_>) -> bool {
        self.tables.get(&table).is_none_or(|known| known.is_wanted(cells))
    }

    /// A load of a table begins, or has brought all of its rows.
    pub(super) fn loading(&mut self, table: TableId, is_under_way: bool) {
        if is_under_way {
            self.loading.insert(table);
        } else {
            self.loading.remove(&table);
        }
    }

    /// A batch is handed over to be written; the one before it is written by now.
    pub(super) fn handed_over(&mut self) {
        self.writing = std::mem::take(&mut self.filling);
    }
}

impl Table {
    /// Also where the name is not known: the log gave the row in part.
    fn is_wanted(&self, cells: Cells<'_>) -> bool {
        let name = self.ids.iter().find_map(|id| cells.get(*id));
        let Some(name) = name else { return true };
        name.and_then(|name| std::str::from_utf8(name).ok()).is_some_and(|name| self.wanted.values.contains(name))
    }
}

#[cfg(test)]
mod tests {
    use passerelle_change::{CellsBuf, Column, TableName, Type};

    use super::*;

    const TABLE: TableId = TableId(4);

    fn sieve() -> Sieve {
        let values = BTreeSet::from(["phone".to_owned(), "fax".to_owned()]);
        let mut sieve = Sieve::new(BTreeMap::from([(TABLE, WantedRows { column: "meta_key".to_owned(), values })]));
        let column = Column {
            id: ColumnId(2),
            name: "meta_key".to_owned(),
            ty: Type::Text { max_chars: None },
            type_name: "text".to_owned(),
            nullable: true,
        };
        let name = TableName { schema: "public".to_owned(), name: "usermeta".to_owned() };
        sieve.schema(&TableSchema { table: TABLE, name, columns: vec![column], key: vec!["id".to_owned()] });
        sieve
    }

    fn named(name: Option<&str>) -> CellsBuf {
        let mut cells = CellsBuf::new();
        cells.push(ColumnId(2), name.map(str::as_bytes));
        cells
    }

    #[test]
    fn a_row_that_nobody_wants_is_left_out_unless_it_was_wanted_before() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let mut sieve = sieve();
        let mut check = |key: &[u8], op, name: &CellsBuf, expect| {
            assert_eq!(sieve.fate(&store, TABLE, key, op, name.as_cells()), expect, "{key:?} {op:?}");
        };
        check(b"1", Op::Full, &named(Some("session")), Fate::LeftOut);
        check(b"2", Op::Full, &named(Some("phone")), Fate::Kept);
        check(b"2", Op::Full, &named(Some("session")), Fate::Gone);
        check(b"3", Op::Full, &named(None), Fate::LeftOut);
        check(b"3", Op::Gone, &CellsBuf::new(), Fate::LeftOut);
        check(b"2", Op::Gone, &CellsBuf::new(), Fate::Gone);
        // The log gave it in part: nobody knows.
        check(b"4", Op::Partial, &CellsBuf::new(), Fate::Kept);
        sieve.handed_over();
        assert_eq!(sieve.fate(&store, TABLE, b"2", Op::Gone, CellsBuf::new().as_cells()), Fate::Gone, "being written");
        sieve.handed_over();
        sieve.handed_over();
        assert_eq!(sieve.fate(&store, TABLE, b"2", Op::Gone, CellsBuf::new().as_cells()), Fate::LeftOut);
        // A load that began before may still bring the row as it was.
        sieve.loading(TABLE, true);
        assert_eq!(sieve.fate(&store, TABLE, b"9", Op::Gone, CellsBuf::new().as_cells()), Fate::Gone);
        assert_eq!(sieve.fate(&store, TABLE, b"9", Op::Full, named(Some("session")).as_cells()), Fate::Gone);
        sieve.loading(TABLE, false);
        assert_eq!(sieve.fate(&store, TABLE, b"9", Op::Gone, CellsBuf::new().as_cells()), Fate::LeftOut);
        assert!(!sieve.is_wanted(TABLE, named(Some("session")).as_cells()));
        assert!(sieve.is_wanted(TableId(5), named(Some("session")).as_cells()), "of other tables all rows are");
    }
}
