//! What is received, acknowledged and sent again.

use std::time::{Duration, Instant};

use passerelle_change::Event;
use passerelle_postgres::{Error, Lsn, TlsMode};
use passerelle_test_servers::PgServer;

use crate::rig::{Rig, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_01_the_slot_moves_by_what_is_acknowledged() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    let before = rig.confirmed();
    rig.sql("insert into t values (1)");
    let (_, first) = tail.transactions(1).await;
    rig.sql("insert into t values (2)");
    tail.transactions(1).await;
    assert_eq!(rig.confirmed(), before, "received is not acknowledged");
    tail.acknowledge.send_replace(Some(first));
    rig.until("the slot to move", |rig| rig.confirmed() == first).await;
    tail.acknowledge.send_replace(Some(Lsn(1)));
    tail.stop().await.unwrap();
    assert_eq!(rig.confirmed(), first, "never backward");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_02_a_stalled_consumer_does_not_end_the_stream() {
    let server = PgServer::builder().setting("wal_sender_timeout", "2s").start().unwrap();
    let rig = Rig::of(server, "create table t (id int primary key, name text)", &["t id id name"]).await;
    let mut tail = rig.tail_from(Lsn::ZERO, 1).await;
    for n in 0..4 {
        rig.sql(&format!("insert into t select n, repeat('x', 200) from generate_series({n}00001, {n}20000) n"));
    }
    // Nobody takes anything for twice the server's patience and more, while it still has something to send.
    let stalled = Instant::now();
    rig.until("the time to pass with the stream alive", |rig| {
        assert_eq!(rig.sql("select count(*) from pg_stat_replication"), "1", "{}", rig.server.log());
        stalled.elapsed() > Duration::from_secs(5)
    })
    .await;
    let mut rows = 0;
    while rows < 80_000 {
        let batch = within(tail.batches.recv()).await.expect("the stream is still there");
        assert!(batch.size_bytes() < 2 << 20, "batches are bounded");
        rows += batch.rows();
    }
    assert_eq!(rows, 80_000);
    assert_eq!(tail.progress.rows(), 80_000);
    tail.stop().await.unwrap();
    assert!(!rig.server.log().contains("replication timeout"), "{}", rig.server.log());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_03_an_idle_stream_lets_the_log_go() {
    let rig = Rig::new("create table t (id int primary key); create table other (id int)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into other select generate_series(1, 1000)");
    let wanted = rig.head();
    let passing = async {
        while rig.confirmed() < wanted {
            let idle = tail.idle().await;
            tail.acknowledge.send_replace(Some(idle));
            rig.until("the acknowledgement to arrive", |rig| rig.confirmed() >= idle).await;
            // Something that the server tells of, so that the next keepalive comes soon.
            rig.sql("insert into other values (1)");
        }
    };
    within(passing).await;
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_37_pg_39_transactions_come_by_commit_and_are_known_by_it() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    let late = rig.server.client("postgres").await.unwrap();
    late.batch_execute("begin; insert into t values (1), (2)").await.unwrap();
    rig.sql("insert into t values (3)");
    late.batch_execute("commit").await.unwrap();
    let mut begins = Vec::new();
    let (mut keys, mut ends) = (Vec::new(), 0);
    while ends < 2 {
        let batch = within(tail.batches.recv()).await.unwrap();
        for event in batch.events() {
            match event {
                Event::Begin { transaction, .. } => begins.push(*transaction),
                Event::Row(row) => keys.push(passerelle_change::key::printed(batch.bytes(row.key))),
                Event::End { .. } => ends += 1,
                Event::Schema { .. } | Event::Idle { .. } | Event::Truncate(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    assert_eq!(keys, ["3", "1", "2"]);
    assert!(begins[0] < begins[1], "{begins:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_38_the_end_is_what_is_acknowledged() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    rig.sql("insert into t values (1)");
    rig.sql("insert into t values (2)");
    let mut tail = rig.tail().await;
    let batch = within(tail.batches.recv()).await.unwrap();
    let first = batch.events().iter().find_map(|event| match event {
        Event::End { position, .. } => Some(position.as_str().parse::<Lsn>().unwrap()),
        _ => None,
    });
    let first = first.expect("small transactions come whole");
    tail.acknowledge.send_replace(Some(first));
    rig.until("the slot to move", |rig| rig.confirmed() == first).await;
    tail.stop().await.unwrap();
    // The acknowledged transaction does not come again, the next one does, from its beginning.
    let mut tail = rig.tail_from(first, 64).await;
    tail.check(&["begin", "schema t (id integer) key id", "full t 2 id='2'", "end"]).await;
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_comes_in_parts() {
    let rig = Rig::new("create table t (id int primary key, name text)", &["t id id name"]).await;
    rig.sql("insert into t select n, repeat('x', 100) from generate_series(1, 50000) n");
    receives_in_parts(&rig).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_large_transaction_comes_over_tls_and_over_a_unix_socket() {
    let server = PgServer::builder().tls("postgres").start().unwrap();
    let mut rig = Rig::of(server, "create table t (id int primary key, name text)", &["t id id name"]).await;
    rig.sql("insert into t select n, repeat('x', 100) from generate_series(1, 50000) n");
    rig.options.tls = TlsMode::VerifyFull;
    rig.options.tls_ca = Some(rig.server.certificates().unwrap().ca());
    receives_in_parts(&rig).await;
    rig.options.host = rig.server.socket_dir().display().to_string();
    receives_in_parts(&rig).await;
}

async fn receives_in_parts(rig: &Rig) {
    let mut tail = rig.tail().await;
    let (mut rows, mut batches, mut ended) = (0, 0, false);
    while !ended {
        let batch = within(tail.batches.recv()).await.unwrap();
        assert!(batch.size_bytes() < 2 << 20);
        (rows, batches) = (rows + batch.rows(), batches + 1);
        ended = matches!(batch.events().last(), Some(Event::End { .. }));
    }
    assert_eq!(rows, 50_000);
    assert!(batches > 3);
    tail.stop().await.unwrap();
}

/// What a full batch leaves in the buffer is decoded though nothing else comes: not only at the next status.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_end_of_a_lone_large_transaction_waits_for_nothing() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t select generate_series(1, 100000)");
    let end = tokio::time::timeout(Duration::from_secs(5), tail.transactions(1)).await;
    let (lines, _) = end.expect("its end before a status is due");
    assert!(lines.len() > 100_000);
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_13_a_publication_that_is_not_there_is_named() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    // From 18 on the server only warns, and passes over the changes.
    rig.sql("alter role postgres set client_min_messages = 'error'; drop publication \"Tail \"\"1\"\"\"");
    let tail = rig.tail().await;
    rig.sql("insert into t values (1)");
    let error = tail.fails().await;
    assert!(matches!(error, Error::PublicationMissing { .. }), "{error}");
}
