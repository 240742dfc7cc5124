//! Capture against a real store: what is durable, and what a replay makes of it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use passerelle_change::{Batch, CellsBuf, ColumnId, Event, KeyBuf, Micros, Op, Position, RowChange, Seq, TableId};
use passerelle_state::{Checkpoint, Gate, Generation, MappingId, OpenTransaction, SourceId, Standing, Store};
use tokio::sync::{mpsc, oneshot, watch};
use tokio_util::sync::CancellationToken;

use super::{BOUNDS, Bounds, Capture, Durable, Fitting, Input, Lanes, Parts, WantedRows, gate_for};

mod left_out;
mod random;
mod schemas;
mod suspects;
mod tentative;

const TABLE: TableId = TableId(1);
const LANE: MappingId = MappingId(1);

/// A capture that runs on a thread of its own.
struct Running {
    store: Arc<Store>,
    gate: Arc<Gate>,
    source: SourceId,
    input: mpsc::Sender<Input>,
    durable: watch::Receiver<Durable>,
    thread: std::thread::JoinHandle<Result<(), super::CaptureError>>,
    folder: Arc<tempfile::TempDir>,
}

impl Running {
    fn start(folder: &Arc<tempfile::TempDir>) -> Self {
        Self::start_with(folder, Parts::Final, BOUNDS)
    }

    fn start_with(folder: &Arc<tempfile::TempDir>, parts: Parts, bounds: Bounds) -> Self {
        Self::start_fitting(folder, parts, bounds, Vec::new())
    }

    /// The same with a mapping of the table, and the schemas that it may be delivered by.
    fn start_fitting(folder: &Arc<tempfile::TempDir>, parts: Parts, bounds: Bounds, fits: Vec<Fitting>) -> Self {
        Self::start_for(folder, parts, bounds, (fits, BTreeMap::new()))
    }

    /// The same where only some rows are wanted.
    fn start_for(
        folder: &Arc<tempfile::TempDir>,
        parts: Parts,
        bounds: Bounds,
        (fits, wanted): (Vec<Fitting>, BTreeMap<TableId, WantedRows>),
    ) -> Self {
        let store = Arc::new(Store::open(folder.path()).expect("a store"));
        let source = store.source_id("erp").expect("a number");
        if store.checkpoint(source).expect("readable").is_none() {
            let first = Checkpoint { position: Position::new("0/1"), committed_at: Micros(0), seq: Seq(0), open: None };
            store.set_checkpoint(source, &first).expect("a checkpoint");
        }
        let (input, inbox) = mpsc::channel(8);
        let (publish, durable) = watch::channel(Durable::default());
        let gate = Arc::new(gate_for(&store, [LANE]).expect("a gate"));
        let capture = Capture {
            store: Arc::clone(&store),
            source,
            lanes: Lanes { mappings: BTreeMap::from([(TABLE, vec![LANE])]), wanted, ..Lanes::default() },
            fits: BTreeMap::from([(TABLE, fits)]),
            parts,
            gate: Arc::clone(&gate),
            input: inbox,
            durable: publish,
            cancel: CancellationToken::new(),
        };
        let thread = std::thread::spawn(move || capture.run_within(bounds));
        Self { store, gate, source, input, durable, thread, folder: Arc::clone(folder) }
    }

    fn send(&self, batch: Batch) {
        self.input.blocking_send(Input::Stream(batch)).expect("capture runs");
    }

    /// Everything sent before is durable.
    fn settle(&self) -> Option<Position> {
        let (reply, position) = oneshot::channel();
        self.input.blocking_send(Input::Reconnecting(reply)).expect("capture runs");
        position.blocking_recv().expect("an answer")
    }

    /// The same; `None` where capture has ended before.
    fn settled(&self) -> Option<Position> {
        let (reply, position) = oneshot::channel();
        self.input.blocking_send(Input::Reconnecting(reply)).ok()?;
        position.blocking_recv().ok()?
    }

    fn stop(self) -> Arc<tempfile::TempDir> {
        drop(self.input);
        self.thread.join().expect("no panic").expect("no error");
        self.folder
    }

    fn row(&self, key: i64) -> Option<(Standing, u64, String)> {
        let row = self.store.row_now(TABLE, &encoded(key)).expect("readable")?;
        let text =
            |id| row.cells().get(ColumnId(id)).map(|cell| String::from_utf8_lossy(cell.unwrap_or(b"-")).into_owned());
        let cells: Vec<String> = [1, 2].into_iter().filter_map(text).collect();
        Some((row.standing, row.seq.0, cells.join(" ")))
    }

    /// The rows that are named in the lane.
    fn queued(&self) -> BTreeSet<Vec<u8>> {
        let entries = self.store.view().queued(LANE, Generation(1_000), None, 1_000).expect("readable");
        entries.into_iter().map(|entry| entry.row_key).collect()
    }

    fn checkpoint(&self) -> Checkpoint {
        let source = self.store.source_id("erp").expect("a number");
        self.store.checkpoint(source).expect("readable").expect("there")
    }
}

fn encoded(key: i64) -> Vec<u8> {
    let mut out = Vec::new();
    KeyBuf(&mut out).push_int(key);
    out
}

fn folder() -> Arc<tempfile::TempDir> {
    Arc::new(tempfile::tempdir().expect("a folder"))
}

fn begin(batch: &mut Batch, transaction: u64) {
    batch.push(Event::Begin { transaction, committed_at: Micros(transaction as i64) });
}

fn end(batch: &mut Batch, transaction: u64) {
    let position = Position::new(format!("0/{transaction:X}"));
    batch.push(Event::End { position, committed_at: Micros(transaction as i64) });
}

fn row(batch: &mut Batch, key: i64, op: Op, cells: &[(u32, &str)], old: Option<i64>) {
    let mut packed = CellsBuf::new();
    for (id, text) in cells {
        packed.push(ColumnId(*id), Some(text.as_bytes()));
    }
    let key = batch.pack(|out| out.extend(encoded(key)));
    let old_key = old.map(|old| batch.pack(|out| out.extend(encoded(old))));
    let cells = batch.pack(|out| out.extend(packed.into_bytes()));
    batch.push(Event::Row(RowChange { table: TABLE, op, key, old_key, cells }));
}

#[test]
fn the_checkpoint_stands_at_the_end_of_the_last_whole_transaction() {
    let running = Running::start(&folder());
    let mut batch = Batch::new();
    begin(&mut batch, 16);
    row(&mut batch, 1, Op::Full, &[(1, "a"), (2, "b")], None);
    end(&mut batch, 16);
    begin(&mut batch, 32);
    row(&mut batch, 2, Op::Full, &[(1, "c"), (2, "d")], None);
    running.send(batch);
    assert_eq!(running.settle(), Some(Position::new("0/10")));
    let checkpoint = running.checkpoint();
    assert_eq!(checkpoint.position, Position::new("0/10"));
    assert_eq!(checkpoint.open, Some(OpenTransaction { transaction: 32, ordinal: 1 }));
    assert_eq!(running.row(1), Some((Standing::Full, 1, "a b".into())));
    assert_eq!(running.durable.borrow().acknowledged, Some(Position::new("0/10")), "not the part behind it");
    running.stop();
}

#[test]
fn x_02_a_transaction_that_was_cut_off_is_not_folded_twice() {
    let folder = folder();
    let running = Running::start(&folder);
    let mut batch = Batch::new();
    begin(&mut batch, 32);
    row(&mut batch, 1, Op::Full, &[(1, "first")], None);
    row(&mut batch, 2, Op::Full, &[(1, "second")], None);
    running.send(batch);
    running.settle();
    running.stop();

    // After the restart the server sends it again from its beginning.
    let running = Running::start(&folder);
    let mut batch = Batch::new();
    begin(&mut batch, 32);
    row(&mut batch, 1, Op::Full, &[(1, "first")], None);
    row(&mut batch, 2, Op::Full, &[(1, "second")], None);
    row(&mut batch, 3, Op::Full, &[(1, "third")], None);
    end(&mut batch, 32);
    running.send(batch);
    running.settle();
    assert_eq!(running.row(1), Some((Standing::Full, 1, "first".into())), "its sequence is the first one's");
    assert_eq!(running.row(3), Some((Standing::Full, 3, "third".into())));
    assert_eq!(running.checkpoint().open, None);
    assert_eq!(running.durable.borrow().rows, 1, "only what was new");
    running.stop();
}

#[test]
fn pg_14_a_key_change_keeps_what_the_log_left_out() {
    let running = Running::start(&folder());
    let mut batch = Batch::new();
    begin(&mut batch, 16);
    row(&mut batch, 1, Op::Full, &[(1, "name"), (2, "a long toasted text")], None);
    row(&mut batch, 9, Op::Partial, &[(1, "renamed")], Some(1));
    end(&mut batch, 16);
    running.send(batch);
    running.settle();
    assert_eq!(running.row(9), Some((Standing::Full, 3, "renamed a long toasted text".into())));
    assert_eq!(running.row(1).map(|row| row.0), Some(Standing::Gone));
    let source = running.store.source_id("erp").expect("a number");
    let moves = running.store.view().moves(source, Seq(0), 10).expect("readable");
    assert_eq!(
        moves.iter().map(|(_, moved)| (&moved.old, &moved.new)).collect::<Vec<_>>(),
        [(&encoded(1), &encoded(9))]
    );
    running.stop();
}

#[test]
fn fetched_rows_fill_what_is_absent_and_nothing_else() {
    let running = Running::start(&folder());
    let mut batch = Batch::new();
    begin(&mut batch, 16);
    row(&mut batch, 1, Op::Partial, &[(1, "newer")], None);
    row(&mut batch, 2, Op::Gone, &[], None);
    end(&mut batch, 16);
    begin(&mut batch, 32);
    row(&mut batch, 3, Op::Partial, &[(1, "half a transaction")], None);
    running.send(batch);
    let mut fetched = Batch::new();
    for key in 1..=4 {
        row(&mut fetched, key, Op::Full, &[(1, "read"), (2, "filled")], None);
    }
    running.input.blocking_send(Input::Fetched { table: TABLE, low: Seq(2), batch: fetched }).expect("capture runs");
    let mut rest = Batch::new();
    row(&mut rest, 1, Op::Partial, &[(2, "newest")], None);
    end(&mut rest, 32);
    running.send(rest);
    running.settle();
    assert_eq!(running.row(1), Some((Standing::Full, 4, "newer newest".into())));
    assert_eq!(running.row(2), Some((Standing::Gone, 2, String::new())), "a row that is gone stays gone");
    assert_eq!(running.row(3), Some((Standing::Full, 3, "half a transaction filled".into())), "and is no newer by it");
    assert_eq!(running.row(4), None, "nobody asked for it");
    assert_eq!(running.checkpoint().position, Position::new("0/20"));
    running.stop();
}

#[test]
fn pg_03_idle_log_is_acknowledged_and_is_no_checkpoint() {
    let running = Running::start(&folder());
    let mut batch = Batch::new();
    batch.push(Event::Idle { position: Position::new("0/FFFF") });
    running.send(batch);
    running.settle();
    assert_eq!(running.durable.borrow().acknowledged, Some(Position::new("0/FFFF")));
    assert_eq!(running.checkpoint().position, Position::new("0/1"));
    let source = running.store.source_id("erp").expect("a number");
    assert_eq!(running.store.acknowledged(source).expect("readable"), Some(Position::new("0/FFFF")), "stored first");
    running.stop();
}

#[test]
fn a_change_outside_a_transaction_is_refused() {
    let running = Running::start(&folder());
    let mut batch = Batch::new();
    row(&mut batch, 1, Op::Full, &[(1, "a")], None);
    running.send(batch);
    assert!(matches!(running.thread.join().expect("no panic"), Err(super::CaptureError::OutOfStep(_))));
}
