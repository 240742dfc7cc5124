//! What is known of changed schemas: what each mapping was written for, what stands in its way, and what the log has shown.
//!
//! A mapping is not delivered while its table's schema is another one than it was accepted for. Two keep watch over that,
//! each with a key of its own: whoever sets a source up knows the catalogue, and writes the mapping's [`Fit`]; capture
//! knows the log, and notes a schema that nobody has accepted ([`Strange`]) in the batch of the first row behind it. A view
//! shows both, so that no row is ever delivered by a mapping that was not written for it.

use std::collections::BTreeSet;
use std::hash::Hasher;

use passerelle_change::{ColumnId, Micros, Seq, Suspicion, TableId, TableSchema};
use serde::{Deserialize, Serialize};
use siphasher::sip::SipHasher13;

use crate::capture::CaptureBatch;
use crate::delivery::View;
use crate::error::StateError;
use crate::facts::LoadStage;
use crate::keys::{Key, Kind, MappingId};
use crate::store::{Durability, Family, Store};
use crate::suspects::{Suspected, table_key};

/// As many accepted schemas are remembered of a mapping: the log may still have rows of those before today's.
const KNOWN: usize = 64;
/// And as many renamed columns of a table.
const RENAMED: usize = 1_000;

/// What a mapping was written for, and what stands in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// The schema that it was accepted for, and what was decided: the core's own form, as JSON.
    pub accepted: String,
    /// The schemas that it may be delivered by, as [`fingerprint`] has them, the newest last.
    pub known: Vec<u64>,
    /// What has changed since and is not settled: the core's own form, as JSON.
    pub drift: Option<String>,
    /// Why nothing of it is delivered, in a sentence.
    pub held: Option<String>,
}

/// A schema that the log has shown and nobody has accepted.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Strange {
    /// As [`fingerprint`] has it.
    pub schema: u64,
    /// The columns that it had, of those that are read.
    pub columns: Vec<ColumnId>,
    /// The last change before it.
    pub seq: Seq,
    /// The commit before it, by the source's clock.
    pub at: Micros,
}

impl Fit {
    /// Adds a schema that the mapping may be delivered by.
    pub fn know(&mut self, schema: u64) {
        self.known.retain(|known| *known != schema);
        self.known.push(schema);
        let excess = self.known.len().saturating_sub(KNOWN);
        self.known.drain(..excess);
    }
}

/// What of a table's schema a mapping depends on: which of the named columns there are, of which types, and in which order,
/// for two of one type may have changed names. Stable over restarts, for a column's id is.
pub fn fingerprint(schema: &TableSchema, names: &BTreeSet<String>) -> u64 {
    let mut hasher = SipHasher13::new_with_keys(0x7061_7373, 0x6472_6966);
    let is_ours = |name: &String| names.contains(name) || schema.key.contains(name);
    let ours = schema.columns.iter().filter(|column| is_ours(&column.name));
    ours.for_each(|column| hasher.write_u32(column.id.0));
    hasher.finish()
}

impl CaptureBatch<'_> {
    /// Notes a schema that a mapping was not accepted for.
    pub fn strange(&mut self, mapping: MappingId, strange: &Strange) {
        self.set_meta(key(Kind::Strange, mapping), Some(strange));
    }
}

impl Store {
    /// What a mapping was written for; `None` before its first start.
    pub fn fit(&self, mapping: MappingId) -> Result<Option<Fit>, StateError> {
        self.get(Family::Meta, &key(Kind::Fit, mapping))
    }

    /// Keeps it, synced.
    pub fn set_fit(&self, mapping: MappingId, fit: &Fit) -> Result<(), StateError> {
        self.put(Family::Meta, &key(Kind::Fit, mapping), fit, Durability::Synced)
    }

    /// The last schema that the log has shown and that nobody had accepted then.
    pub fn strange(&self, mapping: MappingId) -> Result<Option<Strange>, StateError> {
        self.get(Family::Meta, &key(Kind::Strange, mapping))
    }

    /// What a person has decided about a mapping's drift and is not in force yet: the core's own form, as JSON.
    pub fn decided(&self, mapping: MappingId) -> Result<Option<String>, StateError> {
        self.get(Family::Meta, &key(Kind::Decided, mapping))
    }

    /// Keeps it, synced, or forgets it.
    pub fn set_decided(&self, mapping: MappingId, decided: Option<&str>) -> Result<(), StateError> {
        let key = key(Kind::Decided, mapping);
        match decided {
            Some(text) => self.put(Family::Meta, &key, &text, Durability::Synced),
            None => self.delete(Family::Meta, &key, Durability::Synced),
        }
    }

    /// Columns of a table that the log has said to be renamed, in its order, until every mapping of it is settled.
    pub fn renamed_columns(&self, table: TableId) -> Result<Vec<(String, String)>, StateError> {
        Ok(self.get(Family::Meta, &renamed_key(table))?.unwrap_or_default())
    }

    /// Keeps them, the newest of many.
    pub fn set_renamed_columns(&self, table: TableId, renamed: &[(String, String)]) -> Result<(), StateError> {
        let newest = renamed.get(renamed.len().saturating_sub(RENAMED)..).unwrap_or_default();
        if newest.is_empty() {
            return self.delete(Family::Meta, &renamed_key(table), Durability::WithTheNext);
        }
        self.put(Family::Meta, &renamed_key(table), &newest, Durability::Synced)
    }

    /// Columns of a table are to be read again: its load is as good as without them. While no capture runs.
    pub fn forget_columns(&self, table: TableId, columns: &BTreeSet<ColumnId>) -> Result<(), StateError> {
        let Some(mut load) = self.load(table)? else { return Ok(()) };
        if matches!(load.stage, LoadStage::Loaded { .. }) {
            load.columns.retain(|column| !columns.contains(&ColumnId(*column)));
            self.set_load(table, &load)?;
        }
        Ok(())
    }

    /// What was loaded as one of the columns `former` is loaded as `now`: they are other names of one column. While no
    /// capture runs.
    pub fn loaded_as(
        &self,
        table: TableId,
        former: &BTreeSet<ColumnId>,
        now: &BTreeSet<ColumnId>,
    ) -> Result<(), StateError> {
        let Some(mut load) = self.load(table)? else { return Ok(()) };
        if load.columns.iter().any(|column| former.contains(&ColumnId(*column))) {
            load.columns.extend(now.iter().map(|column| column.0));
            load.columns.sort_unstable();
            load.columns.dedup();
            self.set_load(table, &load)?;
        }
        Ok(())
    }

    /// A table is to be read again before it is delivered, and rows that are not in it are gone. While no capture runs.
    pub fn suspect(&self, table: TableId, seq: Seq, why: Suspicion, at: Micros) -> Result<(), StateError> {
        let suspected = Suspected::again(self.suspected(table)?, seq, why, at);
        self.put(Family::Meta, &table_key(table), &suspected, Durability::Synced)
    }
}

impl View<'_> {
    /// Why a mapping is not to be delivered as its table is now, in a sentence.
    pub fn drift(&self, mapping: MappingId) -> Result<Option<String>, StateError> {
        let fit: Option<Fit> = self.fact(&key(Kind::Fit, mapping))?;
        let strange: Option<Strange> = self.fact(&key(Kind::Strange, mapping))?;
        let Fit { known, held, .. } = fit.unwrap_or_default();
        let is_strange = strange.is_some_and(|strange| !known.contains(&strange.schema));
        Ok(held.or_else(|| is_strange.then(|| "the table has changed in the log, which is being looked at".to_owned())))
    }
}

fn renamed_key(table: TableId) -> Vec<u8> {
    Key::new(Kind::RenamedColumns).u32(table.0).done()
}

fn key(kind: Kind, mapping: MappingId) -> Vec<u8> {
    Key::new(kind).u32(mapping.0).done()
}

#[cfg(test)]
mod tests {
    use passerelle_change::{Column, TableName, Type};

    use super::*;
    use crate::Gate;

    fn schema(columns: &[(u32, &str)]) -> TableSchema {
        let column = |&(id, name): &(u32, &str)| Column {
            id: ColumnId(id),
            name: name.to_owned(),
            ty: Type::Int,
            type_name: "int".to_owned(),
            nullable: true,
        };
        let name = TableName { schema: "s".to_owned(), name: "t".to_owned() };
        TableSchema {
            table: TableId(1),
            name,
            columns: columns.iter().map(column).collect(),
            key: vec!["id".to_owned()],
        }
    }

    #[test]
    fn only_the_columns_of_a_mapping_and_the_key_tell_schemas_apart() {
        let names = BTreeSet::from(["a".to_owned(), "b".to_owned()]);
        let of = |columns: &[(u32, &str)]| fingerprint(&schema(columns), &names);
        let first = of(&[(1, "id"), (2, "a"), (3, "b"), (4, "c")]);
        assert_eq!(first, of(&[(1, "id"), (9, "d"), (2, "a"), (3, "b")]), "other columns do not matter");
        assert_ne!(first, of(&[(1, "id"), (3, "b"), (2, "a")]), "two have changed names, or places");
        assert_ne!(first, of(&[(1, "id"), (2, "a")]), "a column is gone");
        assert_ne!(first, of(&[(1, "id"), (2, "a"), (5, "b")]), "another type");
        assert_ne!(first, of(&[(6, "id"), (2, "a"), (3, "b")]), "another type of the key");
    }

    #[test]
    fn a_view_shows_what_holds_a_mapping_until_its_schema_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (gate, mapping) = (Gate::default(), MappingId(7));
        let held = |store: &Store| store.view().drift(mapping).unwrap();
        assert_eq!(held(&store), None);
        let mut fit = Fit::default();
        fit.know(1);
        store.set_fit(mapping, &fit).unwrap();
        let mut batch = CaptureBatch::begin(&store, &gate, true, std::collections::BTreeMap::new());
        let strange = Strange { schema: 2, columns: Vec::new(), seq: Seq(4), at: Micros(0) };
        batch.strange(mapping, &strange);
        store.write_capture(batch.seal().0, &gate, true).unwrap();
        assert!(held(&store).is_some_and(|why| why.contains("changed in the log")));
        assert_eq!(store.strange(mapping).unwrap(), Some(strange));
        fit.know(2);
        store.set_fit(mapping, &fit).unwrap();
        assert_eq!(held(&store), None);
        fit.held = Some("a column is gone".to_owned());
        store.set_fit(mapping, &fit).unwrap();
        assert_eq!(held(&store).as_deref(), Some("a column is gone"));
    }

    #[test]
    fn the_oldest_of_many_schemas_is_forgotten() {
        let mut fit = Fit::default();
        (0..100).for_each(|schema| fit.know(schema));
        fit.know(50);
        assert_eq!((fit.known.len(), fit.known[0], fit.known.last()), (KNOWN, 36, Some(&50)));
    }
}
