//! Indexes of related rows: which rows a join key leads to, what they come to together, and what depends on it.
//!
//! A *relation* is one node of a mapping's `with`. Of each row that it takes there is an [`Indexed`] (what the row gave, so
//! that it can be taken back), and where rows are looked up by another key than their own an entry under the join key, in
//! the order in which they are picked. A rollup has a group for each join key instead, and lines in the order of its figures.
//! What was evaluated with a join key is a [`Dependent`] of it, and is marked when one of its rows changes; where very many
//! depend on one, a [`FanOut`] says how far that is.
//!
//! Delivery writes all of this: it follows lanes of its own, and nothing here is on the path of a change.

use std::collections::BTreeSet;

use passerelle_change::{Seq, TableId};
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::codec;
use crate::delivery::DeliveryBatch;
use crate::error::StateError;
use crate::facts::Since;
use crate::keys::{Key, Kind, MappingId, Parts, after_prefix};
use crate::store::{Durability, Family, Store, read};

/// A relation's number in the state: given once to a relation of a mapping as it is written.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct RelationId(pub u32);

/// What a row gave to a relation.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Indexed {
    /// Its join key.
    #[serde(with = "serde_bytes")]
    pub key: Vec<u8>,
    /// Its place among the rows of that key.
    #[serde(with = "serde_bytes")]
    pub order: Vec<u8>,
    /// What it holds.
    #[serde(with = "serde_bytes")]
    pub holds: Vec<u8>,
}

/// A row that a join key leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RelatedRow {
    /// Of which of the relation's tables.
    pub branch: u8,
    /// Its key.
    #[serde(with = "serde_bytes")]
    pub row_key: Vec<u8>,
    /// What it holds.
    #[serde(with = "serde_bytes")]
    pub holds: Vec<u8>,
}

/// Who was evaluated with a join key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Dependent {
    /// A row of a mapping.
    Record {
        /// The mapping.
        mapping: MappingId,
        /// The row's key.
        row_key: Vec<u8>,
    },
    /// What a row gives to a relation.
    Entry {
        /// The relation.
        relation: RelationId,
        /// Of which of its tables.
        branch: u8,
        /// The row's key.
        row_key: Vec<u8>,
    },
}

/// A join key of a relation.
pub type JoinKey = (RelationId, Vec<u8>);

/// Dependents that are still to be told of a change, for they are many.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct FanOut {
    /// What the change holds `delivered` back to.
    pub since: Option<Since>,
    /// The last dependent that was told; none at the beginning.
    pub after: Option<Vec<u8>>,
}

/// A row that is to be evaluated again, since something that it was evaluated with has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Marked {
    /// Its key.
    pub row_key: Vec<u8>,
    /// Where it stands in line: when it was marked first, in microseconds since 1970.
    pub at: u64,
    /// The mark: another one when it was marked again.
    pub number: u64,
    /// What the change holds `delivered` back to.
    pub since: Option<Since>,
}

/// How far a relation's index is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Built {
    /// Of each of its tables.
    pub branches: Vec<BuiltBranch>,
}

/// How far the index of one table's rows is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct BuiltBranch {
    /// The load whose rows it has, or is taking.
    pub load: u32,
    /// The TRUNCATE that it knows of.
    pub truncated: Seq,
    /// The last row that was taken.
    pub after: Option<Vec<u8>>,
    /// All of that load's rows are in it.
    pub done: bool,
    /// It was done once: what depends on its rows is marked when they change.
    pub was_done: bool,
}

impl Dependent {
    fn bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::with_capacity(24);
        match self {
            Self::Record { mapping, row_key } => {
                bytes.push(0);
                bytes.extend_from_slice(&mapping.0.to_be_bytes());
                bytes.extend_from_slice(row_key);
            }
            Self::Entry { relation, branch, row_key } => {
                bytes.push(1);
                bytes.extend_from_slice(&relation.0.to_be_bytes());
                bytes.push(*branch);
                bytes.extend_from_slice(row_key);
            }
        }
        bytes
    }

    fn of(bytes: &[u8]) -> Option<Self> {
        let (&tag, rest) = bytes.split_first()?;
        let mut parts = Parts(rest);
        let number = parts.u32()?;
        match tag {
            0 => Some(Self::Record { mapping: MappingId(number), row_key: parts.rest().to_vec() }),
            1 => {
                let (&branch, row_key) = parts.rest().split_first()?;
                Some(Self::Entry { relation: RelationId(number), branch, row_key: row_key.to_vec() })
            }
            _ => None,
        }
    }
}

impl DeliveryBatch<'_> {
    /// What a row gives to a relation, or nothing any more.
    pub fn indexed(&mut self, relation: RelationId, branch: u8, row_key: &[u8], indexed: Option<&Indexed>) {
        self.related(indexed_key(relation, branch, row_key), indexed);
    }

    /// A join key leads to a row, or does not any more.
    pub fn related_row(&mut self, relation: RelationId, at: &Indexed, row: &RelatedRow, leads: bool) {
        let key = entry_prefix(relation, &at.key).bytes(&at.order).bytes(&[row.branch]).bytes(&row.row_key);
        self.related(key.done(), leads.then_some(row));
    }

    /// The rows of a join key, together: the core's own form.
    pub fn group<T: Serialize>(&mut self, at: &JoinKey, group: Option<&T>) {
        self.related(group_key(at), group);
    }

    /// A row's line in the order of a figure.
    pub fn line(
        &mut self,
        at: &JoinKey,
        (figure, sort): (u8, &[u8]),
        (branch, row_key): (u8, &[u8]),
        value: Option<&[u8]>,
    ) {
        let key = line_prefix(at, figure).bytes(sort).bytes(&[branch]).bytes(row_key).done();
        self.related(key, value.map(|value| (sort.len() as u32, serde_bytes::Bytes::new(value))).as_ref());
    }

    /// When the next row of a group leaves a window, in microseconds since 1970; `before` is when it was.
    pub fn expiry(&mut self, at: &JoinKey, before: Option<i64>, next: Option<i64>) {
        if before == next {
            return;
        }
        if let Some(before) = before {
            self.related::<()>(expiry_key(at, before), None);
        }
        if let Some(next) = next {
            self.related(expiry_key(at, next), Some(&()));
        }
        self.related(Key::new(Kind::ExpiryOf).u32(at.0.0).bytes(&at.1).done(), next.as_ref());
    }

    /// What a dependent was evaluated with, instead of `before`.
    pub fn needs(&mut self, dependent: &Dependent, before: &[JoinKey], now: &[JoinKey]) {
        let bytes = dependent.bytes();
        for (relation, key) in before.iter().filter(|at| !now.contains(at)) {
            self.related::<()>(dependent_prefix(*relation, key).bytes(&bytes).done(), None);
        }
        for (relation, key) in now.iter().filter(|at| !before.contains(at)) {
            self.related(dependent_prefix(*relation, key).bytes(&bytes).done(), Some(&()));
        }
        let all: Vec<(u32, &serde_bytes::Bytes)> =
            now.iter().map(|(relation, key)| (relation.0, serde_bytes::Bytes::new(key))).collect();
        self.related(needs_key(&bytes), (!all.is_empty()).then_some(&all));
    }

    /// How far the dependents of a join key have been told, or that all have.
    pub fn fan_out(&mut self, at: &JoinKey, fan_out: Option<&FanOut>) {
        self.related(Key::new(Kind::FanOut).u32(at.0.0).bytes(&at.1).done(), fan_out);
    }

    /// A row is to be evaluated again. One that is marked already keeps its place in line, and holds back the older of the two.
    pub fn mark(
        &mut self,
        mapping: MappingId,
        row_key: &[u8],
        since: Option<&Since>,
        now: u64,
    ) -> Result<(), StateError> {
        let name = Key::new(Kind::MarkAt).u32(mapping.0).bytes(row_key).done();
        let Some((at, number)) = self.store().get::<(u64, u64)>(Family::Related, &name)? else {
            self.related(mark_key(mapping, now, row_key), Some(&since));
            self.related(name, Some(&(now, 1_u64)));
            return Ok(());
        };
        let key = mark_key(mapping, at, row_key);
        let before: Option<Since> = self.store().get(Family::Related, &key)?.flatten();
        if since.is_some_and(|since| before.is_none_or(|before| since.seq < before.seq)) {
            self.related(key, Some(&since));
        }
        self.related(name, Some(&(at, number + 1)));
        Ok(())
    }

    /// A mark was settled. One that was renewed meanwhile stays.
    pub fn unmark(&mut self, mapping: MappingId, marked: &Marked) -> Result<(), StateError> {
        let at = Key::new(Kind::MarkAt).u32(mapping.0).bytes(&marked.row_key).done();
        let is_it = self.store().get::<(u64, u64)>(Family::Related, &at)? == Some((marked.at, marked.number));
        if is_it {
            self.related::<()>(mark_key(mapping, marked.at, &marked.row_key), None);
            self.related::<()>(at, None);
        }
        Ok(())
    }

    /// How far a relation's index is.
    pub fn built(&mut self, relation: RelationId, built: &Built) {
        self.related(Key::new(Kind::Built).u32(relation.0).done(), Some(built));
    }

    fn related<T: Serialize>(&mut self, key: Vec<u8>, value: Option<&T>) {
        let family = self.store().family(Family::Related);
        match value {
            Some(value) => self.raw().put_cf(family, key, codec::encode(value)),
            None => self.raw().delete_cf(family, key),
        }
    }
}

impl Store {
    /// How far a relation's index is.
    pub fn built(&self, relation: RelationId) -> Result<Built, StateError> {
        Ok(self.get(Family::Related, &Key::new(Kind::Built).u32(relation.0).done())?.unwrap_or_default())
    }

    /// What a row gave to a relation.
    pub fn indexed(&self, relation: RelationId, branch: u8, row_key: &[u8]) -> Result<Option<Indexed>, StateError> {
        self.get(Family::Related, &indexed_key(relation, branch, row_key))
    }

    /// The rows that a join key leads to, in their order, until `visit` says stop.
    pub fn related_rows(&self, at: &JoinKey, mut visit: impl FnMut(RelatedRow) -> bool) -> Result<(), StateError> {
        self.scan(Family::Related, &entry_prefix(at.0, &at.1).done(), |_, row| visit(row))
    }

    /// The rows of a join key, together.
    pub fn group<T: DeserializeOwned>(&self, at: &JoinKey) -> Result<Option<T>, StateError> {
        self.get(Family::Related, &group_key(at))
    }

    /// The lines of a figure from `from` on, in order; backwards: all, from the last one. `visit` is given the sort and the
    /// value, and says whether to go on.
    pub fn lines(
        &self,
        at: &JoinKey,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.lines_but(at, figure, (from, backwards), None, visit)
    }

    /// The same without the line of one row.
    pub fn lines_but(
        &self,
        at: &JoinKey,
        figure: u8,
        (from, backwards): (&[u8], bool),
        but: Option<(u8, &[u8])>,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        let prefix = line_prefix(at, figure).done();
        let end = after_prefix(&prefix);
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_lower_bound(prefix.clone());
        options.set_iterate_upper_bound(end.clone());
        let start = [&prefix, from].concat();
        let mode = if backwards {
            rocksdb::IteratorMode::End
        } else {
            rocksdb::IteratorMode::From(&start, rocksdb::Direction::Forward)
        };
        for entry in self.db().iterator_cf_opt(self.family(Family::Related), options, mode) {
            let (key, value) = entry?;
            let (length, value): (u32, serde_bytes::ByteBuf) = read(&key, &value)?;
            let rest = key.get(prefix.len()..).unwrap_or_default();
            let (sort, row) = rest.split_at_checked(length as usize).unwrap_or_default();
            if row.split_first().is_some_and(|(&branch, row_key)| but == Some((branch, row_key))) {
                continue;
            }
            if !visit(sort, &value) {
                break;
            }
        }
        Ok(())
    }

    /// When the next row of a group leaves a window.
    pub fn expiry_of(&self, at: &JoinKey) -> Result<Option<i64>, StateError> {
        self.get(Family::Related, &Key::new(Kind::ExpiryOf).u32(at.0.0).bytes(&at.1).done())
    }

    /// The groups of a relation that rows have left by `now`, at most `limit`, and when the next is due.
    pub fn expired(
        &self,
        relation: RelationId,
        now: i64,
        limit: usize,
    ) -> Result<(Vec<JoinKey>, Option<i64>), StateError> {
        let (mut due, mut next) = (Vec::new(), None);
        self.scan(Family::Related, &Key::new(Kind::Expiry).u32(relation.0).done(), |key, (): ()| {
            let mut parts = Parts(key.get(5..).unwrap_or_default());
            let Some(at) = parts.u64().map(|at| (at ^ (1 << 63)).cast_signed()) else { return true };
            if at > now || due.len() >= limit {
                next = Some(at);
                return false;
            }
            due.push((relation, parts.rest().to_vec()));
            true
        })?;
        Ok((due, next))
    }

    /// Who depends on a join key, after a dependent's bytes, at most `limit`: each with its bytes.
    pub fn dependents(
        &self,
        (relation, key): &JoinKey,
        after: Option<&[u8]>,
        limit: usize,
    ) -> Result<Vec<(Vec<u8>, Dependent)>, StateError> {
        let prefix = dependent_prefix(*relation, key).done();
        let mut start = prefix.clone();
        if let Some(after) = after {
            start.extend_from_slice(after);
            start.push(0);
        }
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_upper_bound(after_prefix(&prefix));
        let mode = rocksdb::IteratorMode::From(&start, rocksdb::Direction::Forward);
        let mut found = Vec::new();
        for entry in self.db().iterator_cf_opt(self.family(Family::Related), options, mode).take(limit) {
            let (key, _) = entry?;
            let bytes = key.get(prefix.len()..).unwrap_or_default();
            found.extend(Dependent::of(bytes).map(|dependent| (bytes.to_vec(), dependent)));
        }
        Ok(found)
    }

    /// What a dependent was evaluated with.
    pub fn needs(&self, dependent: &Dependent) -> Result<Vec<JoinKey>, StateError> {
        let all: Option<Vec<(u32, serde_bytes::ByteBuf)>> =
            self.get(Family::Related, &needs_key(&dependent.bytes()))?;
        let all = all.unwrap_or_default();
        Ok(all.into_iter().map(|(relation, key)| (RelationId(relation), key.into_vec())).collect())
    }

    /// The join keys of a relation whose dependents are still to be told, at most `limit`.
    pub fn fan_outs(&self, relation: RelationId, limit: usize) -> Result<Vec<(JoinKey, FanOut)>, StateError> {
        let mut found = Vec::new();
        self.scan(Family::Related, &Key::new(Kind::FanOut).u32(relation.0).done(), |key, fan_out| {
            found.push(((relation, key.get(5..).unwrap_or_default().to_vec()), fan_out));
            found.len() < limit
        })?;
        Ok(found)
    }

    /// How far the dependents of a join key have been told, if some are still to be.
    pub fn fan_out(&self, at: &JoinKey) -> Result<Option<FanOut>, StateError> {
        self.get(Family::Related, &Key::new(Kind::FanOut).u32(at.0.0).bytes(&at.1).done())
    }

    /// The rows of a mapping that are marked, in line after `after`, at most `limit`.
    pub fn marked(
        &self,
        mapping: MappingId,
        after: Option<(u64, &[u8])>,
        limit: usize,
    ) -> Result<Vec<Marked>, StateError> {
        let prefix = Key::new(Kind::Mark).u32(mapping.0).done();
        let mut start = prefix.clone();
        if let Some((at, row_key)) = after {
            start = mark_key(mapping, at, row_key);
            start.push(0);
        }
        let mut options = rocksdb::ReadOptions::default();
        options.set_iterate_upper_bound(after_prefix(&prefix));
        let mode = rocksdb::IteratorMode::From(&start, rocksdb::Direction::Forward);
        let mut found = Vec::new();
        for entry in self.db().iterator_cf_opt(self.family(Family::Related), options, mode).take(limit) {
            let (key, value) = entry?;
            let mut parts = Parts(key.get(5..).unwrap_or_default());
            let Some(at) = parts.u64() else { continue };
            let row_key = parts.rest().to_vec();
            let name = Key::new(Kind::MarkAt).u32(mapping.0).bytes(&row_key).done();
            let number = self.get::<(u64, u64)>(Family::Related, &name)?.map_or(0, |(_, number)| number);
            found.push(Marked { row_key, at, number, since: read(&key, &value)? });
        }
        Ok(found)
    }

    /// The rows of a mapping that are marked, counted up to `limit`.
    pub fn marked_count(&self, mapping: MappingId, limit: u64) -> Result<u64, StateError> {
        let mut count = 0;
        self.scan(Family::Related, &Key::new(Kind::Mark).u32(mapping.0).done(), |_, _: Option<Since>| {
            count += 1;
            count < limit
        })?;
        Ok(count)
    }

    /// Nothing is kept of a relation any more.
    pub fn forget_relation(&self, relation: RelationId) -> Result<(), StateError> {
        let mut batch = rocksdb::WriteBatch::default();
        let family = self.family(Family::Related);
        let kinds = [
            Kind::Indexed,
            Kind::RelatedRow,
            Kind::Group,
            Kind::Line,
            Kind::Dependent,
            Kind::FanOut,
            Kind::Expiry,
            Kind::ExpiryOf,
            Kind::Built,
        ];
        let prefixes = kinds.into_iter().map(|kind| Key::new(kind).u32(relation.0).done());
        // What its entries were evaluated with.
        let needs = Key::new(Kind::Needs).bytes(&[1]).u32(relation.0).done();
        for prefix in prefixes.chain([needs]) {
            batch.delete_range_cf(family, prefix.clone(), after_prefix(&prefix));
        }
        self.write(batch, Durability::WithTheNext)
    }

    /// The relations that were begun for a mapping, each by its name there.
    pub fn relations_of(&self, mapping: MappingId) -> Result<Vec<(String, RelationId)>, StateError> {
        let mut known = Vec::new();
        let prefix = Key::new(Kind::RelationName).u32(mapping.0).done();
        self.scan(Family::Related, &prefix, |key, number: u32| {
            let name = String::from_utf8_lossy(key.get(5..).unwrap_or_default()).into_owned();
            known.push((name, RelationId(number)));
            true
        })?;
        Ok(known)
    }

    /// The number of a relation of a mapping, by its name there; given now if it has none.
    pub fn relation_id(&self, mapping: MappingId, name: &str) -> Result<RelationId, StateError> {
        let key = Key::new(Kind::RelationName).u32(mapping.0).bytes(name.as_bytes()).done();
        if let Some(number) = self.get(Family::Related, &key)? {
            return Ok(RelationId(number));
        }
        let number = self.next_relation()?;
        self.put(Family::Related, &key, &number, Durability::Synced)?;
        Ok(RelationId(number))
    }

    /// A relation's name is not one of the mapping any more.
    pub fn forget_relation_name(&self, mapping: MappingId, name: &str) -> Result<(), StateError> {
        let key = Key::new(Kind::RelationName).u32(mapping.0).bytes(name.as_bytes()).done();
        self.delete(Family::Related, &key, Durability::WithTheNext)
    }

    /// The lane in which a CRM's delivery learns of a table's changed rows.
    pub fn related_lane(&self, crm: &str, table: TableId) -> Result<MappingId, StateError> {
        // No mapping has such a name.
        self.mapping_id(&format!("{crm}/related/{}", table.0))
    }

    /// The names by which rows of a table were wanted when it was loaded; `None` where all rows were.
    pub fn wanted_rows(&self, table: TableId) -> Result<Option<BTreeSet<String>>, StateError> {
        self.get(Family::Meta, &Key::new(Kind::WantedRows).u32(table.0).done())
    }

    /// Keeps them, synced. While no capture runs.
    pub fn set_wanted_rows(&self, table: TableId, names: Option<&BTreeSet<String>>) -> Result<(), StateError> {
        let key = Key::new(Kind::WantedRows).u32(table.0).done();
        match names {
            Some(names) => self.put(Family::Meta, &key, names, Durability::Synced),
            None => self.delete(Family::Meta, &key, Durability::Synced),
        }
    }

    /// What the oldest mark of a mapping (of the first 10,000), and dependents of its relations that are still to be told, hold `delivered` back to.
    pub(crate) fn related_since(&self, mapping: MappingId) -> Result<Option<Since>, StateError> {
        let mut oldest: Option<Since> = None;
        let mut older = |since: Option<Since>| {
            if let Some(since) = since
                && oldest.as_ref().is_none_or(|known| since.seq < known.seq)
            {
                oldest = Some(since);
            }
        };
        let mut left = 10_000;
        self.scan(Family::Related, &Key::new(Kind::Mark).u32(mapping.0).done(), |_, since: Option<Since>| {
            older(since);
            left -= 1;
            left > 0
        })?;
        for (_, relation) in self.relations_of(mapping)? {
            for (_, fan_out) in self.fan_outs(relation, 1_000)? {
                older(fan_out.since);
            }
        }
        Ok(oldest)
    }
}

fn indexed_key(relation: RelationId, branch: u8, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Indexed).u32(relation.0).bytes(&[branch]).bytes(row_key).done()
}

fn entry_prefix(relation: RelationId, key: &[u8]) -> Key {
    Key::new(Kind::RelatedRow).u32(relation.0).sized(key)
}

fn group_key((relation, key): &JoinKey) -> Vec<u8> {
    Key::new(Kind::Group).u32(relation.0).bytes(key).done()
}

fn line_prefix((relation, key): &JoinKey, figure: u8) -> Key {
    Key::new(Kind::Line).u32(relation.0).sized(key).bytes(&[figure])
}

fn expiry_key((relation, key): &JoinKey, at: i64) -> Vec<u8> {
    Key::new(Kind::Expiry).u32(relation.0).u64(at.cast_unsigned() ^ (1 << 63)).bytes(key).done()
}

fn dependent_prefix(relation: RelationId, key: &[u8]) -> Key {
    Key::new(Kind::Dependent).u32(relation.0).sized(key)
}

fn needs_key(dependent: &[u8]) -> Vec<u8> {
    Key::new(Kind::Needs).bytes(dependent).done()
}

fn mark_key(mapping: MappingId, at: u64, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Mark).u32(mapping.0).u64(at).bytes(row_key).done()
}
