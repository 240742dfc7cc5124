//! What may be taken back: spooled, read back in parts, taken back, thrown away.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use passerelle_change::{Batch, Event, Micros, Op, Position, RowChange, Suspicion, TableId};
use passerelle_state::{CaptureBatch, Folding, Gate, Place, Prepared, SourceId, SpoolId, Store};
use proptest::prelude::*;

const TABLE: TableId = TableId(1);
const FIRST: SpoolId = SpoolId(1);

struct State {
    store: Store,
    gate: Gate,
    source: SourceId,
    folder: tempfile::TempDir,
}

impl State {
    fn new() -> Self {
        Self::open(tempfile::tempdir().expect("a folder"))
    }

    fn open(folder: tempfile::TempDir) -> Self {
        let store = Store::open(folder.path()).expect("a store");
        let source = store.source_id("erp").expect("a number");
        Self { store, gate: Gate::default(), source, folder }
    }

    fn restarted(self) -> Self {
        let Self { store, folder, .. } = self;
        drop(store);
        Self::open(folder)
    }

    fn write(&self, fill: impl FnOnce(&mut CaptureBatch<'_>)) {
        let mut batch = CaptureBatch::begin(&self.store, &self.gate, true, BTreeMap::new());
        fill(&mut batch);
        self.store.write_capture(batch.seal().0, &self.gate, true).expect("a write");
    }

    /// Appends rows with these keys, the first as the `first`th of its transaction.
    fn rows(&self, spool: SpoolId, first: u64, keys: &[u8]) {
        let mut batch = Batch::new();
        for key in keys {
            let key = batch.pack(|out| out.push(*key));
            batch.push(Event::Row(RowChange { table: TABLE, op: Op::Full, key, old_key: None, cells: key }));
        }
        self.write(|into| {
            for (ordinal, event) in (first..).zip(batch.events()) {
                assert!(into.spool(self.source, spool, Place { ordinal, aside: 0 }, event, &batch) > 0);
            }
        });
    }

    /// The keys of a spool, read `bytes` at a time.
    fn keys(&self, spool: SpoolId, bytes: usize) -> Vec<u8> {
        let (mut keys, mut after) = (Vec::new(), None);
        loop {
            let part = self.store.spool_part(self.source, spool, after, bytes).expect("readable");
            if part.last.is_none() {
                return keys;
            }
            after = part.last;
            for event in part.batch.events() {
                let Event::Row(row) = event else { panic!("{event:?}") };
                assert_eq!(part.batch.bytes(row.key), part.batch.bytes(row.cells));
                keys.extend_from_slice(part.batch.bytes(row.key));
            }
        }
    }

    fn held(&self, name: &[u8], spool: SpoolId) {
        let prepared = Prepared {
            spool,
            rows: 1,
            bytes: 10,
            position: Position::new("1"),
            prepared_at: Micros(1),
            suspects: vec![(TABLE, Suspicion::ForeignKey)],
        };
        self.write(|into| into.prepared(self.source, name, Some(&prepared)));
        assert_eq!(self.store.prepared(self.source, name).expect("readable"), Some(prepared));
    }
}

#[test]
fn a_spool_is_read_in_order_however_large_the_parts_are() {
    let state = State::new();
    let keys: Vec<u8> = (0..=255).rev().collect();
    state.rows(FIRST, 1, &keys);
    state.rows(SpoolId(2), 1, b"other");
    for bytes in [1, 1_000, 1 << 20] {
        assert_eq!(state.keys(FIRST, bytes), keys);
    }
    assert_eq!(state.keys(SpoolId(2), 1), b"other");
    assert_eq!(state.keys(SpoolId(3), 1), b"");
}

#[test]
fn what_is_taken_back_may_be_said_anew() {
    let state = State::new();
    state.rows(FIRST, 1, b"abcdef");
    state.write(|into| into.unspool(state.source, FIRST, 2));
    assert_eq!(state.keys(FIRST, 1_000), b"ab");
    state.rows(FIRST, 3, b"xy");
    assert_eq!(state.keys(FIRST, 1_000), b"abxy");
    let state = state.restarted();
    assert_eq!(state.keys(FIRST, 1), b"abxy");
    state.write(|into| into.drop_spool(state.source, FIRST));
    assert_eq!(state.keys(FIRST, 1), b"");
}

#[test]
fn my_04_a_start_throws_away_what_no_fact_speaks_for() {
    let state = State::new();
    assert_eq!(state.store.forget_spools(state.source).expect("a write"), FIRST);
    for spool in 1..=4 {
        state.rows(SpoolId(spool), 1, b"row");
    }
    state.held(b"held", SpoolId(3));
    let folding = Folding {
        spool: SpoolId(2),
        transaction: 7,
        position: Position::new("2"),
        committed_at: Micros(1),
        suspects: Vec::new(),
    };
    state.write(|into| into.folding(state.source, Some(&folding)));
    let state = state.restarted();
    assert_eq!(state.store.forget_spools(state.source).expect("a write"), SpoolId(4));
    assert_eq!(state.store.spools(state.source).expect("readable"), [SpoolId(2), SpoolId(3)]);
    assert_eq!(state.store.folding(state.source).expect("readable"), Some(folding));
    let other = state.store.source_id("shop").expect("a number");
    assert_eq!(state.store.all_prepared(other, 10).expect("readable"), []);
    assert_eq!(state.store.all_prepared(state.source, 10).expect("readable").len(), 1);
}

#[test]
fn the_room_of_a_spool_is_given_back() {
    let state = State::new();
    let mut noise = 1_u64;
    let mut batch = Batch::new();
    let cells = batch.pack(|out| {
        out.extend(
            std::iter::repeat_with(|| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            })
            .take(1 << 20),
        );
    });
    batch.push(Event::Row(RowChange { table: TABLE, op: Op::Full, key: cells, old_key: None, cells }));
    for ordinal in 1..=64 {
        let place = Place { ordinal, aside: 0 };
        state.write(|into| {
            into.spool(state.source, FIRST, place, &batch.events()[0], &batch);
        });
    }
    let before = state.store.size_bytes();
    assert!(before > 100 << 20, "{before}");
    state.write(|into| into.drop_spool(state.source, FIRST));
    // Files go beside the writing. What is left is in the log and in the newest files, and goes as they do.
    let limit = Instant::now() + Duration::from_secs(60);
    while state.store.size_bytes() > before * 2 / 3 {
        assert!(Instant::now() < limit, "{} of {before}", state.store.size_bytes());
        std::thread::yield_now();
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]
    #[test]
    fn whatever_is_spooled_is_read_back(
        key in proptest::collection::vec(any::<u8>(), 0..40),
        old in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..40)),
        cells in proptest::collection::vec(any::<u8>(), 0..200),
        kind in 0..6,
    ) {
        let mut batch = Batch::new();
        let mut pack = |bytes: &[u8]| batch.pack(|out| out.extend_from_slice(bytes));
        let (key_at, old_at, cells_at) = (pack(&key), old.as_deref().map(&mut pack), pack(&cells));
        let op = [Op::Full, Op::Partial, Op::Gone][kind as usize % 3];
        let event = match kind {
            0..3 => Event::Row(RowChange { table: TABLE, op, key: key_at, old_key: old_at, cells: cells_at }),
            3 => Event::Truncate(TABLE),
            4 => Event::Suspect { table: TABLE, key: Some(key_at), why: Suspicion::PartOfDocument },
            _ => Event::Decided { name: key_at, committed: true },
        };
        batch.push(event.clone());
        let state = State::new();
        let place = Place { ordinal: 1, aside: 0 };
        state.write(|into| {
            into.spool(state.source, FIRST, place, &event, &batch);
        });
        let read = state.store.spool_part(state.source, FIRST, None, 1).expect("readable");
        prop_assert_eq!(read.last, Some(place));
        prop_assert_eq!(said(&read.batch), said(&batch));
    }
}

/// An event with what its spans stand for.
fn said(batch: &Batch) -> String {
    let bytes = |span| batch.bytes(span);
    match &batch.events()[0] {
        Event::Row(row) => {
            format!("{:?} {:?} {:?} {:?}", row.op, bytes(row.key), row.old_key.map(bytes), bytes(row.cells))
        }
        Event::Suspect { key, why, .. } => format!("{:?} {why}", key.map(bytes)),
        Event::Decided { name, committed } => format!("{:?} {committed}", bytes(*name)),
        other => format!("{other:?}"),
    }
}
