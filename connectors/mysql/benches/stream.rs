//! How fast a log is streamed from a server and decoded, beside `mariadb-binlog` reading the same log from the same server
//! and printing its rows to nowhere. Rows in transactions of 100 inserts, then of 10 updates, as a shop writes them.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "a bench that fails ends, and prints")]

use std::collections::BTreeSet;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use passerelle_change::{Batch, TableId, TableName};
use passerelle_mysql::catalog::{KnownTables, Readings};
use passerelle_mysql::decode::{Decoder, Settings, WantedTable};
use passerelle_mysql::replication::Replication;
use passerelle_mysql::stream::{self, Progress};
use passerelle_mysql::{Flavor, LogPosition, Options, TlsMode};
use passerelle_test_servers::MariadbServer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

const COLUMNS: [&str; 8] = ["id", "name", "email", "price", "quantity", "created_at", "updated_at", "note"];
const INSERTED: usize = 500_000;
const UPDATED: usize = 200_000;
const RUNS: usize = 3;

fn main() {
    let server = MariadbServer::builder().setting("binlog_row_metadata", "FULL").start().unwrap();
    server
        .sql(
            "",
            "create database shop; use shop;
             create table t (id bigint unsigned primary key, name varchar(80), email varchar(120),
                             price decimal(12,2), quantity int, created_at datetime(6), updated_at timestamp null, note text);
             delimiter //
             create procedure fill(rounds int) begin
                 declare round int default 0;
                 while round < rounds do
                     insert into t select round * 100 + seq, concat('Customer number ', seq), concat('customer', seq, '@example.com'), seq * 0.37, seq % 100,
                            '2024-01-31 12:34:56.789012', '2024-02-01 01:02:03', 'some text that people write' from seq_1_to_100;
                     set round = round + 1;
                 end while; end//
             create procedure write_on(rounds int) begin
                 declare round int default 0;
                 while round < rounds do
                     update t set quantity = quantity + 1 where id between 1 + round * 10 and 10 + round * 10;
                     set round = round + 1;
                 end while; end//
             delimiter ;
             flush binary logs",
        )
        .unwrap();
    for (what, sql, rows) in [
        ("inserts in transactions of 100", format!("call fill({})", INSERTED / 100), INSERTED),
        ("updates in transactions of 10", format!("call write_on({})", UPDATED / 10), UPDATED),
    ] {
        let status = server.sql("", "show master status").unwrap();
        let file = status.split('\t').next().unwrap().to_owned();
        server.sql("shop", &format!("{sql}; flush binary logs")).unwrap();
        let theirs = (0..RUNS).map(|_| theirs(&server, &file)).min().unwrap();
        let ours = (0..RUNS).map(|_| ours(&server, &file, rows)).min().unwrap();
        let per_second = |took: Duration| rows as f64 / took.as_secs_f64() / 1e3;
        println!(
            "{what}: passerelle {:.0}, mariadb-binlog {:.0} thousand rows a second, ratio {:.1}",
            per_second(ours),
            per_second(theirs),
            theirs.as_secs_f64() / ours.as_secs_f64()
        );
    }
}

fn theirs(server: &MariadbServer, file: &str) -> Duration {
    let begun = Instant::now();
    let status = Command::new("mariadb-binlog")
        .args([
            "--no-defaults",
            "-v",
            "--base64-output=decode-rows",
            "--read-from-remote-server",
            "-h127.0.0.1",
            "-uroot",
        ])
        .arg(format!("-P{}", server.port()))
        .arg(file)
        .stdout(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    begun.elapsed()
}

fn ours(server: &MariadbServer, file: &str, rows: usize) -> Duration {
    let options = Options {
        flavor: Flavor::Mariadb,
        host: "127.0.0.1".into(),
        port: server.port(),
        database: "shop".into(),
        user: "root".into(),
        password: None,
        tls: TlsMode::Disable,
        tls_ca: None,
        tls_cert: None,
        tls_key: None,
        server_id: None,
        application_name: "bench".into(),
    };
    let start = LogPosition { file: file.to_owned(), offset: 4, ..LogPosition::default() };
    let name = TableName { schema: "shop".into(), name: "t".into() };
    let columns = COLUMNS.map(str::to_owned).into_iter().collect::<BTreeSet<_>>();
    let wanted = WantedTable::new(TableId(1), name, columns, vec!["id".into()]);
    let settings = Settings { start: start.clone(), ..Settings::default() };
    let decoder = Decoder::new(vec![wanted], KnownTables::new(), Arc::default(), settings);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let begun = Instant::now();
        let stream = Replication::connect(&options).await.unwrap().start(&start, Readings::default()).await.unwrap();
        let (out, mut batches) = mpsc::channel::<Batch>(4);
        let (_acknowledged, told) = watch::channel(None);
        let cancel = CancellationToken::new();
        let running = stream::run(stream, decoder, out, told, Arc::new(Progress::default()), cancel.clone());
        let taking = async {
            let mut taken = 0;
            while taken < rows {
                taken += batches.recv().await.unwrap().rows();
            }
            let took = begun.elapsed();
            drop(batches);
            took
        };
        let (ended, took) = tokio::join!(running, taking);
        ended.unwrap();
        took
    })
}
