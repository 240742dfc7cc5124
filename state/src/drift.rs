//! What is known of changed schemas: what each mapping was written for, what stands in its way, and what the log has shown.
//!
//! A mapping is not delivered while its table's schema is another one than it was accepted for. Two keep watch over that,
//! each with a key of its own: whoever sets a source up knows the catalogue, and writes the mapping's [`Fit`]; capture
//! knows the log, and notes a schema that nobody has accepted ([`Strange`]) in the batch of the first row behind it. A view
//! shows both, so that no row is ever delivered by a mapping that was not written for it.
//!
//! A schema that was accepted once is not accepted for ever: the log may still have rows of it from before the catalogue
//! showed another one, and up to there it is no stranger ([`KnownSchema::until`]). Behind that place it is one again.

use std::collections::BTreeSet;
use std::hash::Hasher;

use passerelle_change::{ColumnId, Micros, Position, Seq, Suspicion, TableId, TableSchema};
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
/// A schema that the log has shown so often, each time with nothing of it in the catalogue, is how the log tells the table: it
/// may lack a column for good, such as a computed one.
const TIMES: u32 = 5;
/// And as many renamed columns of a table.
const RENAMED: usize = 1_000;

/// What a mapping was written for, and what stands in its way.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fit {
    /// The schema that it was accepted for, and what was decided: the core's own form, as JSON.
    pub accepted: String,
    /// The schemas that it may be delivered by, the newest last.
    pub known: Vec<KnownSchema>,
    /// What has changed since and is not settled: the core's own form, as JSON.
    pub drift: Option<String>,
    /// Why nothing of it is delivered, in a sentence.
    pub held: Option<String>,
    /// What the log had shown when the mapping was found to fit last.
    pub settled: Option<Settled>,
}

/// A schema that the log had shown when a mapping was found to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Settled {
    /// As [`fingerprint`] has it.
    pub schema: u64,
    /// The last change before it: the same schema may come again.
    pub seq: Seq,
    /// How often it came and went in a row, and the catalogue showed nothing of it.
    pub times: u32,
}

/// A schema that a mapping may be delivered by.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KnownSchema {
    /// As [`fingerprint`] has it.
    pub schema: u64,
    /// Where the log was when the catalogue first showed a newer one: up to there it may have rows of this one. `None` of
    /// the newest, and of one whose end nobody knows yet.
    pub until: Option<Position>,
}

/// A [`Fit`] as it was kept up to format 3: each known schema was good for ever.
#[derive(Deserialize)]
struct FormerFit {
    accepted: String,
    known: Vec<u64>,
    drift: Option<String>,
    held: Option<String>,
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
    /// The schema that the mapping is accepted for now. Those before it end where the log was when the catalogue was read,
    /// `looked_at`; without that they end with the next look.
    pub fn know(&mut self, schema: u64, looked_at: Option<&Position>) {
        self.known.retain(|known| known.schema != schema);
        for former in self.known.iter_mut().filter(|former| former.until.is_none()) {
            former.until = looked_at.cloned();
        }
        self.known.push(KnownSchema { schema, until: None });
        self.bound();
    }

    /// What the log has shown was looked into when the log was at `looked_at`, and the mapping fits. A schema that came and
    /// went by then is known up to there. `is_unseen` says that the catalogue showed nothing of it.
    pub fn settle(&mut self, strange: &Strange, looked_at: Option<&Position>, is_unseen: bool) {
        let Strange { schema, seq, .. } = *strange;
        let before = self.settled.filter(|before| is_unseen && before.schema == schema);
        let times = before.map_or(0, |before| before.times).saturating_add(1);
        self.settled = Some(Settled { schema, seq, times });
        let looked_at = looked_at.filter(|_| !self.is_usual(schema));
        let Some(newest) = self.known.pop_if(|newest| newest.schema != schema) else { return };
        self.known.retain(|known| known.schema != schema);
        self.known.extend([KnownSchema { schema, until: looked_at.cloned() }, newest]);
        self.bound();
    }

    /// Forgets schemas of which the log has nothing more: those whose end it `has_passed`.
    pub fn forget(&mut self, has_passed: impl Fn(&Position) -> bool) {
        self.known.retain(|known| !known.until.as_ref().is_some_and(&has_passed));
    }

    /// The schema that it was accepted for last.
    pub fn newest(&self) -> Option<u64> {
        self.known.last().map(|newest| newest.schema)
    }

    /// Whether the mapping was found to fit since the log has shown this.
    pub fn is_settled(&self, strange: &Strange) -> bool {
        self.settled.is_some_and(|settled| (settled.schema, settled.seq) == (strange.schema, strange.seq))
    }

    /// The log shows this schema time and again, whatever the catalogue says.
    pub fn is_usual(&self, schema: u64) -> bool {
        self.settled.is_some_and(|settled| settled.schema == schema && settled.times >= TIMES)
    }

    fn bound(&mut self) {
        let excess = self.known.len().saturating_sub(KNOWN);
        self.known.drain(..excess);
    }
}

impl FormerFit {
    /// What was strange then and known was settled.
    fn today(self, strange: Option<&Strange>) -> Fit {
        let Self { accepted, known, drift, held } = self;
        let settled = strange.filter(|strange| known.contains(&strange.schema));
        let settled = settled.map(|strange| Settled { schema: strange.schema, seq: strange.seq, times: 1 });
        let known = known.into_iter().map(|schema| KnownSchema { schema, until: None }).collect();
        Fit { accepted, known, drift, held, settled }
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

    /// Fits as they were kept up to format 3 are kept as they are today.
    pub(crate) fn renew_fits(&self) -> Result<(), StateError> {
        let mut former = Vec::new();
        let prefix = Key::new(Kind::FormerFit).done();
        self.scan(Family::Meta, &prefix, |key, fit: FormerFit| {
            former.extend(key.get(prefix.len()..).and_then(|mapping| Some((mapping.try_into().ok()?, fit))));
            true
        })?;
        for (mapping, fit) in former {
            let mapping = MappingId(u32::from_be_bytes(mapping));
            let strange = self.strange(mapping)?;
            self.set_fit(mapping, &fit.today(strange.as_ref()))?;
            self.delete(Family::Meta, &key(Kind::FormerFit, mapping), Durability::WithTheNext)?;
        }
        Ok(())
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
        let before = load.columns.len();
        load.columns.retain(|column| !columns.contains(&ColumnId(*column)));
        if matches!(load.stage, LoadStage::Loaded { .. }) && load.columns.len() < before {
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
        let fit: Fit = self.fact(&key(Kind::Fit, mapping))?.unwrap_or_default();
        let strange: Option<Strange> = self.fact(&key(Kind::Strange, mapping))?;
        let is_strange = strange.is_some_and(|strange| !fit.is_settled(&strange));
        Ok(fit
            .held
            .or_else(|| is_strange.then(|| "the table has changed in the log, which is being looked at".to_owned())))
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
        fit.know(1, None);
        store.set_fit(mapping, &fit).unwrap();
        let mut batch = CaptureBatch::begin(&store, &gate, true, std::collections::BTreeMap::new());
        let strange = Strange { schema: 2, columns: Vec::new(), seq: Seq(4), at: Micros(0) };
        batch.strange(mapping, &strange);
        store.write_capture(batch.seal().0, &gate, true).unwrap();
        assert!(held(&store).is_some_and(|why| why.contains("changed in the log")));
        assert_eq!(store.strange(mapping).unwrap().as_ref(), Some(&strange));
        fit.know(2, None);
        fit.settle(&strange, None, false);
        store.set_fit(mapping, &fit).unwrap();
        assert_eq!(held(&store), None);
        let mut batch = CaptureBatch::begin(&store, &gate, true, std::collections::BTreeMap::new());
        batch.strange(mapping, &Strange { seq: Seq(9), ..strange });
        store.write_capture(batch.seal().0, &gate, true).unwrap();
        assert!(held(&store).is_some(), "the same schema has come again");
        fit.held = Some("a column is gone".to_owned());
        store.set_fit(mapping, &fit).unwrap();
        assert_eq!(held(&store).as_deref(), Some("a column is gone"));
    }

    #[test]
    fn the_oldest_of_many_schemas_is_forgotten() {
        let mut fit = Fit::default();
        (0..100).for_each(|schema| fit.know(schema, None));
        fit.know(50, None);
        assert_eq!((fit.known.len(), fit.known[0].schema, fit.newest()), (KNOWN, 36, Some(50)));
    }

    /// `schema until` of each, the newest last.
    fn printed(fit: &Fit) -> String {
        let one = |known: &KnownSchema| {
            format!("{} {}", known.schema, known.until.as_ref().map_or("-", |until| until.as_str()))
        };
        fit.known.iter().map(one).collect::<Vec<_>>().join(", ")
    }

    #[test]
    fn a_schema_ends_where_the_catalogue_showed_a_newer_one() {
        let at = |text: &str| Position::new(text);
        let mut fit = Fit::default();
        fit.know(1, Some(&at("a")));
        fit.know(1, Some(&at("b")));
        assert_eq!(printed(&fit), "1 -");
        fit.know(2, Some(&at("c")));
        fit.know(2, Some(&at("d")));
        assert_eq!(printed(&fit), "1 c, 2 -", "its end does not move");
        fit.know(1, Some(&at("e")));
        assert_eq!(printed(&fit), "2 e, 1 -", "put back");
        fit.know(3, None);
        assert_eq!(printed(&fit), "2 e, 1 -, 3 -", "nobody has looked");
        fit.know(3, Some(&at("f")));
        assert_eq!(printed(&fit), "2 e, 1 f, 3 -");
        let strange = |schema| Strange { schema, columns: Vec::new(), seq: Seq(schema), at: Micros(0) };
        fit.settle(&strange(4), Some(&at("g")), false);
        assert_eq!(printed(&fit), "2 e, 1 f, 4 g, 3 -");
        fit.settle(&strange(3), Some(&at("h")), false);
        assert_eq!(printed(&fit), "2 e, 1 f, 4 g, 3 -", "the newest has not passed");
        fit.settle(&strange(2), Some(&at("h")), false);
        assert_eq!(printed(&fit), "1 f, 4 g, 2 h, 3 -");
        assert!(fit.is_settled(&strange(2)) && !fit.is_settled(&Strange { seq: Seq(9), ..strange(2) }));
        fit.forget(|until| until.as_str() <= "g");
        assert_eq!(printed(&fit), "2 h, 3 -");
    }

    #[test]
    fn a_schema_that_the_log_always_shows_is_known_in_the_end() {
        let at = Position::new("a");
        let strange = |seq| Strange { schema: 1, columns: Vec::new(), seq: Seq(seq), at: Micros(0) };
        let mut fit = Fit::default();
        fit.know(2, Some(&at));
        for seq in 1..TIMES {
            fit.settle(&strange(seq.into()), Some(&at), true);
            assert!(printed(&fit) == "1 a, 2 -" && !fit.is_usual(1));
        }
        let mut other = fit.clone();
        other.settle(&strange(9), Some(&at), false);
        assert!(!other.is_usual(1), "the catalogue has shown it in between");
        fit.settle(&strange(9), Some(&at), true);
        assert!(printed(&fit) == "1 -, 2 -" && fit.is_usual(1));
        fit.know(2, Some(&at));
        assert_eq!(printed(&fit), "1 a, 2 -", "each set-up asks once more");
        fit.settle(&strange(10), Some(&at), true);
        assert_eq!(printed(&fit), "1 -, 2 -");
    }

    #[test]
    fn a_fit_of_an_older_passerelle_is_read() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        let (gate, mapping) = (Gate::default(), MappingId(7));
        let former = ("{}", vec![1_u64, 2], None::<&str>, Some("a column is gone"));
        store.put(Family::Meta, &key(Kind::FormerFit, mapping), &former, Durability::Synced).unwrap();
        let mut batch = CaptureBatch::begin(&store, &gate, true, std::collections::BTreeMap::new());
        let strange = Strange { schema: 1, columns: Vec::new(), seq: Seq(4), at: Micros(0) };
        batch.strange(mapping, &strange);
        store.write_capture(batch.seal().0, &gate, true).unwrap();
        assert_eq!(store.fit(mapping).unwrap(), None);
        store.renew_fits().unwrap();
        store.renew_fits().unwrap();
        let fit = store.fit(mapping).unwrap().unwrap();
        assert_eq!((printed(&fit).as_str(), fit.is_settled(&strange)), ("1 -, 2 -", true));
        assert_eq!((fit.accepted.as_str(), fit.held.as_deref()), ("{}", Some("a column is gone")));
    }
}
