//! Temporary experiment.
#![allow(missing_docs, clippy::all, clippy::pedantic)]
use std::collections::{BTreeSet, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use passerelle_change::*;
use passerelle_postgres::decode::{Decoder, WantedTable};
use passerelle_postgres::replication::{Replication, SlotKind};
use passerelle_postgres::stream::{self, Progress};
use passerelle_postgres::{Lsn, Options, TlsMode};
use passerelle_test_servers::PgServer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

fn decode_only() {
    let names = ["id", "a", "b", "c", "d", "e", "f", "g"];
    let mut rel = b"R\0\0\0\x05public\0t\0d\0\x08".to_vec();
    for n in names { rel.push(u8::from(n == "id")); rel.extend(n.as_bytes()); rel.push(0); rel.extend(if n == "id" { 23u32 } else { 25 }.to_be_bytes()); rel.extend([0xff; 4]); }
    let vals = ["123456", "Some Name", "name@example.com", "2024-01-02 03:04:05.06+00", "12.50", "t", "+33 1 23 45 67 89", "Rue de la Paix"];
    let mut row = b"I\0\0\0\x05N\0\x08".to_vec();
    for v in vals { row.push(b't'); row.extend((v.len() as u32).to_be_bytes()); row.extend(v.as_bytes()); }
    let begin = [&b"B"[..], &7u64.to_be_bytes(), &0u64.to_be_bytes(), &1u32.to_be_bytes()].concat();
    let w = WantedTable { table: TableId(1), name: TableName { schema: "public".into(), name: "t".into() }, columns: names.iter().map(|s| s.to_string()).collect(), key: vec!["id".into()] };
    let mut d = Decoder::new(vec![w], HashMap::new(), Arc::default());
    let mut b = Batch::with_capacity(1 << 20);
    d.message(&begin, &mut b).unwrap(); d.message(&rel, &mut b).unwrap();
    let t = Instant::now();
    let n = 5_000_000;
    for _ in 0..n { d.message(&row, &mut b).unwrap(); if b.size_bytes() > 1 << 20 { b.clear(); } }
    println!("decode: {:.2} M rows/s", n as f64 / t.elapsed().as_secs_f64() / 1e6);
}

fn cpu(pid: &str) -> f64 {
    let s = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let f: Vec<_> = s.rsplit(')').next().unwrap_or("").split_whitespace().collect();
    if f.len() < 13 { return 0.0 }
    (f[11].parse::<f64>().unwrap() + f[12].parse::<f64>().unwrap()) / 100.0
}

fn main() {
    decode_only();
    if std::env::args().len() > 1 { return; }
    let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let server = PgServer::builder().setting("max_wal_size", "4GB").setting("synchronous_commit", "off").setting("max_replication_slots","60").setting("shared_buffers", "128MB").start().unwrap();
    let opts = Options { host: std::env::var("UNIX").map(|_| server.socket_dir().display().to_string()).unwrap_or("127.0.0.1".into()), port: server.port(), database: "postgres".into(), user: "postgres".into(), password: None, tls: TlsMode::Disable, tls_ca: None, tls_cert: None, tls_key: None, application_name: "x".into() };
    server.psql("postgres", "create table t (id int primary key, a text, b text, c timestamptz, d numeric(10,2), e bool, f text, g text); create publication p for table t").unwrap();
    let slot = |name: &str| { rt.block_on(async { let mut r = Replication::connect(&opts).await.unwrap(); let s = r.create_slot(name, SlotKind::Durable, Duration::from_secs(5)).await.unwrap(); r.close().await; s.consistent_point }) };
    let naps = [100u64, 200, 500, 1000, 2000, 3000];
    let reps = 5;
    let names: Vec<String> = (0..naps.len()*reps).map(|n| format!("s{n}")).collect();
    for s in &names { slot(s); }
    server.psql("postgres", "create procedure ins(n int) language plpgsql as $$ begin for i in 0..n/100-1 loop insert into t select i*100+k, 'Some Name '||k, 'name@example.com', now(), 12.50, true, '+33 1 23 45 67 89', 'Rue de la Paix' from generate_series(0,99) k; commit; end loop; end $$").unwrap();
    server.psql("postgres", "create procedure upd(n int) language plpgsql as $$ begin for i in 0..n/10-1 loop update t set a = 'x'||i where id between i*10 and i*10+9; commit; end loop; end $$").unwrap();
    server.psql("postgres", "call ins(300000)").unwrap();
    server.psql("postgres", "call upd(100000)").unwrap();
    let run = |slot: &str, rows: u64| {
        let w = WantedTable { table: TableId(1), name: TableName { schema: "public".into(), name: "t".into() }, columns: "id a b c d e f g".split(' ').map(str::to_owned).collect::<BTreeSet<_>>(), key: vec!["id".into()] };
        let d = Decoder::new(vec![w], HashMap::new(), Arc::new(Mutex::new(ColumnIds::default())));
        let (out, mut rx) = mpsc::channel::<Batch>(8);
        let (_ack, acked) = watch::channel(None);
        let p = Arc::new(Progress::default());
        let cancel = CancellationToken::new();
        let (p2, c2, o2, slot2) = (p.clone(), cancel.clone(), opts.clone(), slot.to_owned());
        let t = std::thread::spawn(move || {
            let rt = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            rt.block_on(async { let r = Replication::connect(&o2).await.unwrap(); let s = r.start(&slot2, "p", Lsn(0)).await.unwrap(); stream::run(s, d, out, acked, p2, c2).await.unwrap() });
        });
        std::thread::sleep(Duration::from_millis(100));
        let pid = server.psql("postgres", "select pid from pg_stat_replication").unwrap();
        let c0 = cpu("self");
        let start = Instant::now();
        let (mut got, mut batches) = (0u64, 0u64);
        while got < rows { let b = rx.blocking_recv().unwrap(); got += b.rows() as u64; batches += 1; }
        let e = start.elapsed().as_secs_f64();
        println!("{slot}: {:.0} k rows/s, {batches} batches, {:.1} MB, server cpu {:.2}, our cpu {:.2}", got as f64 / e / 1e3, p.bytes() as f64 / 1e6, cpu(pid.trim()), cpu("self") - c0);
        cancel.cancel(); drop(_ack); t.join().unwrap();
    };
    for (n, s) in names.iter().enumerate() { let nap = naps[n % naps.len()]; stream::NAPM.store(nap, std::sync::atomic::Ordering::Relaxed); print!("nap {nap} "); run(s, 400_000); }
}
