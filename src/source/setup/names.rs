//! Which columns of a table are read for its mappings, and the names that they go by in the log.
//!
//! A mapping calls a column as it was called when the mapping was written; the table may call it otherwise by now, and the
//! log calls it as the table did when the change was made. While a mapping is held for a column that it misses, whatever is
//! new in its table is read too: it may be that column, which a person says later.

use std::collections::{BTreeMap, BTreeSet};

use crate::config::model;
use crate::drift::{Change, Footing};
use crate::mapping::{self, MappingFault};

/// Columns of a table by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Names {
    /// Those that are wanted, as the table calls them now, or called them when it had them.
    pub(super) wanted: BTreeSet<String>,
    /// Other names of them, by the names that they have now: in older parts of the log.
    pub(super) renamed: BTreeMap<String, BTreeSet<String>>,
}

impl Names {
    /// The names of one mapping's columns.
    pub(super) fn of(config: &model::Mapping, footing: &Footing) -> Result<Self, Vec<MappingFault>> {
        let patch = &footing.accepted.patch;
        let mut names = Self::default();
        for used in mapping::columns_of(config)? {
            if !patch.dropped.contains(&used) && !patch.nulls.contains_key(&used) {
                names.want(patch.name_now(&used), patch.names_of(&used));
            }
        }
        let Some(pending) = &footing.pending else { return Ok(names) };
        for weighed in &pending.weighed {
            if let Change::ColumnRenamed { column, to, .. } = &weighed.change {
                names.wanted.insert(column.clone());
                names.want(to, vec![column]);
            }
        }
        if let Some(now) = &pending.table
            && names.wanted.iter().any(|name| now.column(name).is_none())
        {
            let is_new = |name: &&String| footing.accepted.table.column(name).is_none();
            let new: Vec<String> = now.columns.iter().map(|column| &column.name).filter(is_new).cloned().collect();
            names.wanted.extend(new);
        }
        Ok(names)
    }

    /// Adds those of another mapping of the same table.
    pub(super) fn and(&mut self, other: Self) {
        self.wanted.extend(other.wanted);
        for (now, former) in other.renamed {
            self.renamed.entry(now).or_default().extend(former);
        }
    }

    /// All names, of whatever time.
    pub(super) fn all(&self) -> BTreeSet<String> {
        self.wanted.iter().chain(self.renamed.values().flatten()).cloned().collect()
    }

    fn want(&mut self, now: &str, others: Vec<&str>) {
        self.wanted.insert(now.to_owned());
        let others: BTreeSet<String> = others.into_iter().filter(|other| *other != now).map(str::to_owned).collect();
        if !others.is_empty() {
            self.renamed.entry(now.to_owned()).or_default().extend(others);
        }
    }
}
