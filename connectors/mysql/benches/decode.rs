//! How fast rows are decoded, from the bytes of the log to packed cells, beside `mysql_common` on the same bytes: it makes
//! a value of each column, which is less than text. One thread, in memory.

#![allow(clippy::unwrap_used, reason = "a bench that fails ends")]

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use mysql_common::binlog::BinlogFile;
use mysql_common::binlog::consts::BinlogVersion;
use mysql_common::binlog::events::EventData;
use passerelle_change::{Batch, TableId, TableName};
use passerelle_mysql::catalog::KnownTables;
use passerelle_mysql::decode::{Decoded, Decoder, Settings, WantedTable};
use passerelle_mysql::wire::file_events;
use passerelle_test_servers::MariadbServer;

const COLUMNS: [&str; 8] = ["id", "name", "email", "price", "quantity", "created_at", "updated_at", "note"];
const ROWS: usize = 200_000;
const RUNS: usize = 5;

fn main() {
    let log = log();
    println!(
        "{ROWS} rows inserted and as many updated, {:.1} MB of log, the best of {RUNS} runs",
        log.len() as f64 / 1e6
    );
    let (ours, rows) = best(|| ours(&log));
    let (theirs, their_rows) = best(|| theirs(&log));
    assert_eq!(rows, their_rows);
    let per_second = |took: Duration| rows as f64 / took.as_secs_f64() / 1e3;
    println!("passerelle:   {:8.0} thousand rows a second", per_second(ours));
    println!("mysql_common: {:8.0} thousand rows a second", per_second(theirs));
    println!("ratio: {:.1}", theirs.as_secs_f64() / ours.as_secs_f64());
}

/// What a shop's table looks like in the log, with metadata in full.
fn log() -> Vec<u8> {
    let server = MariadbServer::builder().setting("binlog_row_metadata", "FULL").start().unwrap();
    let sql = format!(
        "create database shop; use shop;
         create table t (id bigint unsigned primary key, name varchar(80), email varchar(120), price decimal(12,2),
                         quantity int, created_at datetime(6), updated_at timestamp null, note text);
         flush binary logs;
         insert into t select seq, concat('Customer number ', seq), concat('customer', seq, '@example.com'), seq * 0.37,
                seq % 100, '2024-01-31 12:34:56.789012', '2024-02-01 01:02:03', 'some text that people write'
                from seq_1_to_{ROWS};
         update t set quantity = quantity + 1;"
    );
    server.sql("", &sql).unwrap();
    server.binlogs().unwrap().pop().unwrap()
}

fn best(mut run: impl FnMut() -> usize) -> (Duration, usize) {
    let timed = |_| {
        let begun = Instant::now();
        let rows = run();
        (begun.elapsed(), rows)
    };
    (0..RUNS).map(timed).min().unwrap()
}

fn ours(log: &[u8]) -> usize {
    let name = TableName { schema: "shop".into(), name: "t".into() };
    let columns = COLUMNS.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
    let wanted = WantedTable::new(TableId(1), name, columns, vec!["id".into()]);
    let mut decoder = Decoder::new(vec![wanted], KnownTables::new(), Arc::default(), Settings::default());
    let (mut batch, mut rows) = (Batch::with_capacity(2 << 20), 0);
    for event in file_events(log) {
        assert_eq!(decoder.event(event.unwrap(), &mut batch), Ok(Decoded::Whole));
        if batch.size_bytes() > 1 << 20 {
            rows += batch.rows();
            batch.clear();
            decoder.handed_on();
        }
    }
    rows + batch.rows()
}

fn theirs(log: &[u8]) -> usize {
    let mut file = BinlogFile::new(BinlogVersion::Version4, log).unwrap();
    let mut rows = 0;
    while let Some(event) = file.next() {
        let event = event.unwrap();
        let Some(EventData::RowsEvent(data)) = event.read_data().unwrap() else { continue };
        let map = file.reader().get_tme(data.table_id()).unwrap();
        for row in data.rows(map) {
            std::hint::black_box(row.unwrap());
            rows += 1;
        }
    }
    rows
}
