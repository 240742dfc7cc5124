//! Tables and rows that can't be trusted until they were read again from the source, and which rows are there.
//!
//! Capture notes a suspicion with the sequence at which it learnt of it, in the batch of the change that it came with. A
//! load, or a row fetched by its key, that was begun once that was durable has seen what the log does not say: it ends the
//! suspicion, and no older one does.

use passerelle_change::{Micros, Seq, Suspicion, TableId};
use serde::{Deserialize, Serialize};

use crate::capture::CaptureBatch;
use crate::delivery::View;
use crate::error::StateError;
use crate::facts::{Load, LoadStage};
use crate::keys::{Key, Kind};
use crate::rows::{RowBuf, Standing};
use crate::store::{Durability, Family, Store};

/// A table that is to be read again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Suspected {
    /// A load that began when this was durable ends it.
    pub seq: Seq,
    /// Why: the first reason that holds its deliveries, else the newest.
    pub why: Suspicion,
    /// Since when, by the source's clock.
    pub since: Micros,
}

impl Suspected {
    /// What is to be noted when a table is suspected once more, or for the first time.
    #[must_use]
    pub fn again(before: Option<Self>, seq: Seq, why: Suspicion, at: Micros) -> Self {
        let why = before.map(|before| before.why).filter(|why| why.holds()).unwrap_or(why);
        Self { seq, why, since: before.map_or(at, |before| before.since) }
    }

    /// Whether this load was begun late enough to have seen what the log does not say.
    pub fn is_ended_by(&self, load: &Load) -> bool {
        matches!(load.stage, LoadStage::Loaded { .. }) && load.low >= self.seq
    }
}

/// What makes rows of a table gone without a word about each of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Swept {
    /// The sequence at which the table was truncated last.
    pub truncated: Option<Seq>,
    /// The number of a load that is complete, and the newest change that was durable when it began: a row that is no
    /// newer, and that it did not see, was gone from the source.
    pub unseen: Option<(u32, Seq)>,
}

impl Swept {
    /// The same after a load; `load` is complete, and the checkpoint has passed it.
    #[must_use]
    pub fn by_load(self, load: &Load) -> Self {
        Self { unseen: Some((load.number, load.low)), ..self }
    }

    /// Whether a row as stored is there.
    pub fn is_there(&self, row: &RowBuf) -> bool {
        let is_unseen = |(load, low): (u32, Seq)| row.load < load && row.seq <= low;
        row.standing != Standing::Gone
            && self.truncated.is_none_or(|at| row.seq > at)
            && !self.unseen.is_some_and(is_unseen)
    }
}

impl CaptureBatch<'_> {
    /// Notes that a table is to be read again, or that it was.
    pub fn suspected(&mut self, table: TableId, suspected: Option<&Suspected>) {
        self.set_meta(table_key(table), suspected);
    }

    /// Notes that a row is to be read again since the change `seq`, or that it was.
    pub fn suspected_row(&mut self, table: TableId, row_key: &[u8], seq: Option<Seq>) {
        self.set_meta(row_mark(table, row_key), seq.as_ref());
    }
}

impl Store {
    /// Why a table is to be read again, if it is.
    pub fn suspected(&self, table: TableId) -> Result<Option<Suspected>, StateError> {
        self.get(Family::Meta, &table_key(table))
    }

    /// The change since which a row is to be read again, if it is.
    pub fn suspected_row(&self, table: TableId, row_key: &[u8]) -> Result<Option<Seq>, StateError> {
        self.get(Family::Meta, &row_mark(table, row_key))
    }

    /// The first `limit` rows of a table that are to be read again, by their keys.
    pub fn suspected_rows(&self, table: TableId, limit: usize) -> Result<Vec<Vec<u8>>, StateError> {
        let prefix = row_mark(table, b"");
        let mut rows = Vec::new();
        self.scan(Family::Meta, &prefix, |key, _: Seq| {
            rows.push(key.get(prefix.len()..).unwrap_or_default().to_vec());
            rows.len() < limit
        })?;
        Ok(rows)
    }

    /// The number of a table's next load. One is never given twice, also where a load failed: rows tell by it which load
    /// saw them.
    pub fn next_load_number(&self, table: TableId) -> Result<u32, StateError> {
        let key = Key::new(Kind::LoadNumber).u32(table.0).done();
        let given = self.get::<u32>(Family::Meta, &key)?.unwrap_or_default();
        let number = given.max(self.load(table)?.map_or(0, |load| load.number)) + 1;
        // Before any row of the load, in the order of writing.
        self.put(Family::Meta, &key, &number, Durability::WithTheNext)?;
        Ok(number)
    }
}

impl View<'_> {
    /// Why a table is to be read again, if it is.
    pub fn suspected(&self, table: TableId) -> Result<Option<Suspected>, StateError> {
        self.meta(Kind::Suspected, table)
    }
}

pub(crate) fn table_key(table: TableId) -> Vec<u8> {
    Key::new(Kind::Suspected).u32(table.0).done()
}

fn row_mark(table: TableId, row_key: &[u8]) -> Vec<u8> {
    Key::new(Kind::SuspectedRow).u32(table.0).bytes(row_key).done()
}

#[cfg(test)]
mod tests {
    use passerelle_change::{Cells, Op, Position};

    use super::*;
    use crate::rows::{Row, fold};

    fn load(number: u32, low: u64) -> Load {
        let stage = LoadStage::Loaded { high: Position::new("9"), rows: 0 };
        Load { number, low: Seq(low), columns: Vec::new(), stage }
    }

    #[test]
    fn sn_07_a_row_that_a_load_did_not_see_and_that_is_no_newer_is_gone() {
        let stream = |op, seq| RowBuf::from(Row::changed(op, Seq(seq), Cells::default()));
        let swept = Swept::default().by_load(&load(2, 10));
        let seen = |row: RowBuf, number| fold(Some(row), Row::loaded(number, Seq(10), Cells::default()));
        assert!(!swept.is_there(&stream(Op::Full, 10)));
        assert!(swept.is_there(&stream(Op::Full, 11)), "it came after the load began");
        assert!(swept.is_there(&seen(stream(Op::Full, 3), 2)));
        assert!(!swept.is_there(&seen(stream(Op::Full, 3), 1)), "only another load saw it, and that was before");
        assert!(swept.is_there(&seen(stream(Op::Full, 3), 3)), "the next load sees it already");
        assert!(!swept.is_there(&seen(stream(Op::Gone, 12), 2)), "what the log says is newer");
        assert!(Swept::default().is_there(&stream(Op::Full, 3)));
        let truncated = Swept { truncated: Some(Seq(11)), ..swept };
        assert!(!truncated.is_there(&stream(Op::Full, 11)) && truncated.is_there(&stream(Op::Full, 12)));
    }

    #[test]
    fn the_reason_that_holds_a_table_outlives_those_that_do_not() {
        let at = Micros(1);
        let first = Suspected::again(None, Seq(5), Suspicion::ForeignKey, at);
        let held = Suspected::again(Some(first), Seq(6), Suspicion::Replaced, Micros(2));
        let last = Suspected::again(Some(held), Seq(7), Suspicion::LoggedAsText, Micros(3));
        assert_eq!(last, Suspected { seq: Seq(7), why: Suspicion::Replaced, since: at });
        assert!(!last.is_ended_by(&load(1, 6)) && last.is_ended_by(&load(1, 7)));
        let under_way = Load { stage: LoadStage::Wanted, ..load(1, 7) };
        assert!(!last.is_ended_by(&under_way));
    }

    #[test]
    fn no_number_of_a_load_is_given_twice() {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(folder.path()).unwrap();
        store.set_load(TableId(1), &load(4, 0)).unwrap();
        let numbers: Vec<_> = (0..3).map(|_| store.next_load_number(TableId(1)).unwrap()).collect();
        assert_eq!(numbers, [5, 6, 7], "also when nothing came of the one before");
        assert_eq!(store.next_load_number(TableId(2)).unwrap(), 1);
    }
}
