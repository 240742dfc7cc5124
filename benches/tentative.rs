//! What it costs that a log may take back what it said: rows durable per second through capture alone, of a log of final
//! parts, of the same one as a tentative log, and of one transaction that is too large for memory, in the same run:
//! `cargo bench --bench tentative`, with `-- --quick` a tenth of it.
//!
//! The batches are made before the clock starts, as a decoder hands them on; nothing is delivered.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};
use passerelle::capture::{Capture, Durable, Input, Lanes, Parts, gate_for};
use passerelle_change::{Batch, CellsBuf, ColumnId, Event, KeyBuf, Micros, Op, Position, RowChange, Seq, TableId};
use passerelle_state::{Checkpoint, MappingId, Store};
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const TABLE: TableId = TableId(1);
const LANE: MappingId = MappingId(1);
/// What a connector hands on at once.
const BATCH_BYTES: usize = 1 << 20;

fn main() -> Result<()> {
    let rows = if std::env::args().any(|arg| arg == "--quick") { 50_000 } else { 500_000 };
    println!("{rows} updates, keys in no order, eight columns");
    let mut reference = 0.0;
    for (name, parts, in_a_transaction) in [
        ("final, 10 in a transaction", Parts::Final, 10),
        ("tentative, 10 in a transaction", Parts::Tentative, 10),
        ("final, one transaction", Parts::Final, rows),
        ("tentative, one transaction", Parts::Tentative, rows),
    ] {
        let per_second = run(parts, rows, in_a_transaction)?;
        if parts == Parts::Final {
            reference = per_second;
        }
        println!("{name:32} {per_second:>10.0} rows/s  {:.2} of the final one", per_second / reference);
    }
    Ok(())
}

fn run(parts: Parts, rows: u64, in_a_transaction: u64) -> Result<f64> {
    let folder = tempfile::tempdir()?;
    let store = Arc::new(Store::open(folder.path())?);
    let source = store.source_id("bench")?;
    let first = Checkpoint { position: Position::new("0"), committed_at: Micros(0), seq: Seq::ZERO, open: None };
    store.set_checkpoint(source, &first)?;
    let batches = batches(rows, in_a_transaction);
    let (send, input) = mpsc::channel(8);
    let (publish, durable) = watch::channel(Durable::default());
    let capture = Capture {
        gate: Arc::new(gate_for(&store, [LANE])?),
        store,
        source,
        lanes: Lanes { mappings: BTreeMap::from([(TABLE, vec![LANE])]), ..Lanes::default() },
        fits: BTreeMap::new(),
        parts,
        input,
        durable: publish,
        cancel: CancellationToken::new(),
    };
    let began = Instant::now();
    let capturing = std::thread::spawn(move || capture.run());
    for batch in batches {
        send.blocking_send(Input::Stream(batch)).context("capture has ended")?;
    }
    drop(send);
    capturing.join().map_err(|_| anyhow!("capture panicked"))??;
    let took = began.elapsed();
    let end = Position::new(rows.div_ceil(in_a_transaction).to_string());
    anyhow::ensure!(durable.borrow().position == Some(end), "not all of it is durable");
    Ok(rows as f64 / took.as_secs_f64())
}

fn batches(rows: u64, in_a_transaction: u64) -> Vec<Batch> {
    let (mut all, mut batch) = (Vec::new(), Batch::with_capacity(BATCH_BYTES));
    for n in 0..rows {
        let transaction = n / in_a_transaction + 1;
        if n % in_a_transaction == 0 {
            batch.push(Event::Begin { transaction, committed_at: Micros(1) });
        }
        // A step that shares no factor with the number of keys: each once, in no order.
        let id = n * 7_919 % rows;
        let key = batch.pack(|out| KeyBuf(out).push_int(id as i64));
        let cells = batch.pack(|out| out.extend(cells(id)));
        batch.push(Event::Row(RowChange { table: TABLE, op: Op::Full, key, old_key: None, cells }));
        if (n + 1) % in_a_transaction == 0 || n + 1 == rows {
            batch.push(Event::End { position: Position::new(transaction.to_string()), committed_at: Micros(1) });
        }
        if batch.size_bytes() >= BATCH_BYTES {
            all.push(std::mem::replace(&mut batch, Batch::with_capacity(BATCH_BYTES)));
        }
    }
    all.push(batch);
    all
}

fn cells(id: u64) -> Vec<u8> {
    let texts = [
        id.to_string(),
        format!("Customer Number {id}"),
        format!("customer.{id}@example.com"),
        format!("+331{}", 40_000_000 + id),
        format!("{} Harbour Street", id % 120),
        format!("City {}", id % 1_000),
        format!("{}.00", id % 10_000),
        "2026-01-31 12:34:56.789+00".to_owned(),
    ];
    let mut packed = CellsBuf::new();
    for (column, text) in texts.iter().enumerate() {
        packed.push(ColumnId(column as u32 + 1), Some(text.as_bytes()));
    }
    packed.into_bytes()
}
