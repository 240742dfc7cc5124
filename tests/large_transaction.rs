//! A transaction of a log that may take back what it says, too large for memory: it goes through the state, in flat
//! memory, and is there as a whole at its end. In a process of its own, for its memory is measured.

use std::collections::BTreeMap;
use std::sync::Arc;

use passerelle::capture::{Capture, Durable, Input, Lanes, Parts, gate_for};
use passerelle_change::{Batch, CellsBuf, ColumnId, Event, KeyBuf, Micros, Op, Position, RowChange, Seq, TableId};
use passerelle_state::{Checkpoint, MappingId, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const TABLE: TableId = TableId(1);
const LANE: MappingId = MappingId(1);
const ROWS: u64 = 1_000_000;
/// What a connector hands on at once.
const BATCH_BYTES: usize = 1 << 20;
const MOST_MEMORY: u64 = 100 << 20;

#[test]
fn x_11_a_transaction_of_a_million_updates_takes_little_memory() {
    let folder = tempfile::tempdir().unwrap();
    let store = Arc::new(Store::open(folder.path()).unwrap());
    let source = store.source_id("erp").unwrap();
    let first = Checkpoint { position: Position::new("0"), committed_at: Micros(0), seq: Seq::ZERO, open: None };
    store.set_checkpoint(source, &first).unwrap();
    let gate = Arc::new(gate_for(&store, [LANE]).unwrap());
    let (send, input) = mpsc::channel(8);
    let (publish, durable) = watch::channel(Durable::default());
    let capture = Capture {
        store: Arc::clone(&store),
        source,
        lanes: Lanes { mappings: BTreeMap::from([(TABLE, vec![LANE])]), ..Lanes::default() },
        fits: BTreeMap::new(),
        parts: Parts::Tentative,
        gate: Arc::clone(&gate),
        input,
        durable: publish,
        cancel: CancellationToken::new(),
    };
    let capturing = std::thread::spawn(move || capture.run());
    let mut batch = Batch::with_capacity(BATCH_BYTES);
    batch.push(Event::Begin { transaction: 7, committed_at: Micros(1) });
    for n in 0..ROWS {
        update(&mut batch, n * 7_919 % ROWS);
        if batch.size_bytes() >= BATCH_BYTES {
            let full = std::mem::replace(&mut batch, Batch::with_capacity(BATCH_BYTES));
            send.blocking_send(Input::Stream(full)).unwrap();
        }
    }
    assert_eq!(store.checkpoint(source).unwrap(), Some(first), "nothing has happened before its end");
    let is_seen = gate.between_transactions(|_| store.view().row(TABLE, &key(7)).unwrap().is_some());
    assert_eq!(is_seen, Some(false));
    batch.push(Event::End { position: Position::new("1"), committed_at: Micros(1) });
    send.blocking_send(Input::Stream(batch)).unwrap();
    drop(send);
    capturing.join().unwrap().unwrap();
    let durable = durable.borrow().clone();
    assert_eq!((durable.position, durable.rows, durable.open), (Some(Position::new("1")), ROWS, None));
    assert_eq!(store.row_now(TABLE, &key(7)).unwrap().map(|row| row.load), Some(0));
    assert_eq!(store.spools(source).unwrap(), []);
    let peak = peak_memory_bytes();
    assert!(peak < MOST_MEMORY, "{} MiB", peak >> 20);
}

fn key(id: u64) -> Vec<u8> {
    let mut key = Vec::new();
    KeyBuf(&mut key).push_int(id as i64);
    key
}

fn update(batch: &mut Batch, id: u64) {
    let mut cells = CellsBuf::new();
    for (column, text) in
        [format!("Customer Number {id}"), format!("customer.{id}@example.com"), "City".repeat(10)].iter().enumerate()
    {
        cells.push(ColumnId(column as u32 + 1), Some(text.as_bytes()));
    }
    let key = batch.pack(|out| out.extend(key(id)));
    let cells = batch.pack(|out| out.extend(cells.into_bytes()));
    batch.push(Event::Row(RowChange { table: TABLE, op: Op::Full, key, old_key: None, cells }));
}

/// The most that was resident of this process (`VmHWM` of proc_pid_status(5)).
fn peak_memory_bytes() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a figure");
    line.trim().trim_end_matches(" kB").parse::<u64>().expect("a number") << 10
}
