//! A table's `R`, resolved against what is wanted of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use passerelle_change::{Column, ColumnId, ColumnIds, Suspicion, TableId, TableSchema, Type, WantedTable};

use crate::types::{DynamicType, describe};
use crate::wire::{self, Malformed};

/// A relation of a wanted table.
#[derive(Debug)]
pub(super) struct Relation {
    /// The place of the wanted table.
    pub(super) wanted: usize,
    pub(super) id: TableId,
    /// How its rows become changes, or why they cannot.
    pub(super) table: Result<Table, Suspicion>,
    /// The `R` it was made from.
    pub(super) raw: Box<[u8]>,
}

/// How the rows of a relation become changes.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) id: TableId,
    /// How many columns a row has on the wire.
    pub(super) width: usize,
    /// Columns by their place in the row, and the cells they become.
    pub(super) cells: Vec<(usize, ColumnId)>,
    /// Every wanted column is on the wire. One is not where the publication did not have it yet when the change was
    /// made, or the table has lost it: what is known of it stays.
    pub(super) is_whole: bool,
    /// The parts of the key in order.
    pub(super) key: Vec<KeyColumn>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KeyColumn {
    pub(super) column: usize,
    pub(super) is_integer: bool,
}

/// A column of an `R`.
struct Described {
    name: String,
    ty: Type,
    type_name: String,
    is_of_identity: bool,
}

impl Table {
    /// Matches columns by name (PG-19, PG-20): places change, and `R` has no attribute numbers. A mapped column that is
    /// not there any more is left out of the schema, and what may have become of it is in it ([`WantedTable::find`]).
    /// Answers why, where rows of the table cannot be told.
    pub(super) fn resolve(
        wanted: &WantedTable,
        relation: &wire::Relation<'_>,
        types: &HashMap<u32, DynamicType>,
        ids: &Mutex<ColumnIds>,
    ) -> Result<Result<(Self, TableSchema), Suspicion>, Malformed> {
        let describe = |column: Result<wire::RelationColumn<'_>, Malformed>| {
            let column = column?;
            let (ty, type_name) = describe(column.type_oid, column.typmod, types.get(&column.type_oid));
            let name = String::from_utf8_lossy(column.name).into_owned();
            Ok(Described { name, ty, type_name, is_of_identity: column.identity })
        };
        let described = relation.columns().map(describe).collect::<Result<Vec<_>, Malformed>>()?;
        let names: Vec<_> = described.iter().map(|column| (&*column.name, &*column.type_name)).collect();
        let found = wanted.find(&names);
        // NOTHING flags no column, and nothing but inserts can come (PG-18). FULL flags every one.
        let is_told = |at: &usize| relation.identity == b'n' || described.get(*at).is_some_and(|it| it.is_of_identity);
        let Some(key) = found.key.filter(|key| key.iter().all(is_told)) else {
            return Ok(Err(Suspicion::NoKeyColumn));
        };
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut cells, mut columns) = (Vec::new(), Vec::new());
        for (at, column) in described.iter().enumerate() {
            let is_kept = found.cells.contains(&at);
            if !is_kept && !key.contains(&at) {
                continue;
            }
            let id = ids.id(wanted.table, &column.name, &column.type_name);
            if is_kept {
                cells.push((at, id));
            }
            columns.push(Column {
                id,
                name: column.name.clone(),
                ty: column.ty.clone(),
                type_name: column.type_name.clone(),
                nullable: !key.contains(&at),
            });
        }
        let of_key = || key.iter().filter_map(|at| Some((*at, described.get(*at)?)));
        let schema = TableSchema {
            table: wanted.table,
            name: wanted.name.clone(),
            columns,
            key: of_key().map(|(_, column)| column.name.clone()).collect(),
        };
        let key = of_key().map(|(at, column)| KeyColumn { column: at, is_integer: column.ty == Type::Int });
        let table =
            Self { id: wanted.table, width: described.len(), cells, is_whole: found.is_whole, key: key.collect() };
        Ok(Ok((table, schema)))
    }
}
