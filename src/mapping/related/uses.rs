//! Which tables and columns a mapping's relations use, without knowing any types.

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::TableName;

use crate::config::model::{Mapping, Related};
use crate::mapping::columns;

/// The related tables, and the columns that are used of each.
pub(in crate::mapping) fn tables(config: &Mapping) -> Vec<(TableName, BTreeSet<String>)> {
    let mut tables = BTreeMap::new();
    config.with.iter().for_each(|related| add(related, &mut tables));
    tables.into_iter().collect()
}

fn add(related: &Related, tables: &mut BTreeMap<TableName, BTreeSet<String>>) {
    let left = related.on.iter().map(|(left, _)| left).chain(&related.filter);
    let names: BTreeSet<String> = left.filter_map(|expr| columns(&expr.text).ok()).flatten().collect();
    for table in &related.tables {
        tables.entry(table.clone()).or_default().extend(names.iter().cloned());
    }
    related.with.iter().for_each(|nested| add(nested, tables));
}
