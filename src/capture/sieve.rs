//! Rows that nobody wants: of a table that is only pivoted, those whose name no expression uses never reach the disk.
//!
//! A row is left out when its name is known and is none of those. Whether it was wanted before, and is to go, is asked of
//! what is in memory alone (bloom filters and what was just written): no row is read for it. Where that can't tell, the row
//! goes, which does no harm.

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
        if self.filling.contains(&name) || self.writing.contains(&name) || store.may_have_row(table, key) {
            Fate::Gone
        } else {
            Fate::LeftOut
        }
    }

    /// Whether a row that a load has read is wanted.
    pub(super) fn is_wanted(&self, table: TableId, cells: Cells<'_>) -> bool {
        self.tables.get(&table).is_none_or(|known| known.is_wanted(cells))
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
