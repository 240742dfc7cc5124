//! A table's `R`, resolved against what is wanted of it.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use passerelle_change::{Column, ColumnId, ColumnIds, TableId, TableName, TableSchema, Type};

use super::WantedTable;
use crate::Error;
use crate::types::{DynamicType, describe};
use crate::wire::Relation;

/// How the rows of a relation become changes.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) id: TableId,
    pub(super) name: TableName,
    /// How many columns a row has on the wire.
    pub(super) width: usize,
    /// Columns by their place in the row, and the cells they become.
    pub(super) cells: Vec<(usize, ColumnId)>,
    /// Every wanted column is on the wire. One is not where the publication did not have it yet when the change was
    /// made, or the table has lost it: what is known of it stays.
    pub(super) is_whole: bool,
    /// The parts of the key in order.
    pub(super) key: Vec<KeyColumn>,
    /// The `R` it was made from.
    raw: Box<[u8]>,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct KeyColumn {
    pub(super) column: usize,
    pub(super) is_integer: bool,
}

impl Table {
    /// Whether it was made from this very `R`.
    pub(super) fn is_of(&self, raw: &[u8]) -> bool {
        *self.raw == *raw
    }

    /// Matches columns by name (PG-19, PG-20): places change, and `R` has no attribute numbers. A mapped column that is
    /// not there any more is left out of the schema, which is how drift sees it.
    pub(super) fn resolve(
        wanted: &WantedTable,
        raw: &[u8],
        relation: &Relation<'_>,
        types: &HashMap<u32, DynamicType>,
        ids: &Mutex<ColumnIds>,
    ) -> Result<(Self, TableSchema), Error> {
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        let mut cells = Vec::new();
        let mut columns = Vec::new();
        let mut found: HashMap<&str, (KeyColumn, bool)> = HashMap::new();
        let mut width = 0;
        for (at, column) in relation.columns().enumerate() {
            let column = column?;
            width += 1;
            let name = String::from_utf8_lossy(column.name);
            let is_mapped = wanted.columns.contains(&*name);
            let part = wanted.key.iter().find(|part| **part == name);
            if !is_mapped && part.is_none() {
                continue;
            }
            let (ty, type_name) = describe(column.type_oid, column.typmod, types.get(&column.type_oid));
            let id = ids.id(wanted.table, &name, &type_name);
            if let Some(part) = part {
                found.insert(part, (KeyColumn { column: at, is_integer: ty == Type::Int }, column.identity));
            }
            if is_mapped {
                cells.push((at, id));
            }
            columns.push(Column { id, name: name.into_owned(), ty, type_name, nullable: part.is_none() });
        }
        let table = Self {
            id: wanted.table,
            name: wanted.name.clone(),
            width,
            is_whole: wanted.columns.iter().all(|name| columns.iter().any(|column| column.name == *name)),
            cells,
            key: key(wanted, relation.identity, &found)?,
            raw: raw.into(),
        };
        let schema = TableSchema { table: wanted.table, name: wanted.name.clone(), columns, key: wanted.key.clone() };
        Ok((table, schema))
    }
}

/// The key's columns in order. Without one of them rows could not be told apart, so that is an error, not drift.
fn key(wanted: &WantedTable, identity: u8, found: &HashMap<&str, (KeyColumn, bool)>) -> Result<Vec<KeyColumn>, Error> {
    if wanted.key.is_empty() {
        return Err(Error::RowWithoutKey { table: wanted.name.clone() });
    }
    // NOTHING flags no column, and nothing but inserts can come (PG-18).
    let must_be_flagged = identity != b'n';
    let part = |name: &String| match found.get(name.as_str()) {
        None => Err(Error::KeyColumnMissing { table: wanted.name.clone(), column: name.clone() }),
        Some((_, false)) if must_be_flagged => {
            Err(Error::KeyNotInIdentity { table: wanted.name.clone(), column: name.clone() })
        }
        Some((part, _)) => Ok(*part),
    };
    wanted.key.iter().map(part).collect()
}
