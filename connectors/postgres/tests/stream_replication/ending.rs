//! Slots, and how a stream ends.

use std::time::Duration;

use passerelle_change::Class;
use passerelle_postgres::replication::{Replication, SlotKind};
use passerelle_postgres::{Error, Lsn};
use passerelle_test_servers::{PgServer, StopMode};

use crate::rig::{PUBLICATION, Rig, SLOT, options, within};

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_41_after_the_end_the_slot_is_free_and_what_was_in_flight_acknowledged() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1)");
    let (_, end) = tail.transactions(1).await;
    tail.cancel.cancel();
    assert!(within(tail.batches.recv()).await.is_none(), "nothing more is handed on");
    // Made durable after the stream was told to end.
    tail.acknowledge.send_replace(Some(end));
    within(tail.task).await.unwrap().unwrap();
    assert_eq!(rig.sql("select active from pg_replication_slots"), "f");
    assert_eq!(rig.confirmed(), end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_41_a_server_that_is_killed_is_transient() {
    let mut rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let tail = rig.tail().await;
    rig.server.stop(StopMode::Immediate).unwrap();
    let error = tail.fails().await;
    assert_eq!(error.class(), Class::Transient, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_41_a_terminated_walsender_is_transient() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let tail = rig.tail().await;
    rig.sql("select pg_terminate_backend(pid) from pg_stat_replication");
    let error = tail.fails().await;
    assert_eq!(error.class(), Class::Transient, "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_40_a_server_that_shuts_down_does_not_wait_for_us() {
    let mut rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t select generate_series(1, 1000)");
    // A consumer that is durable at once.
    let acknowledge = tail.acknowledge.clone();
    let consumer = tokio::spawn(async move {
        while let Some(batch) = tail.batches.recv().await {
            for event in batch.events() {
                use passerelle_change::Event::{End, Idle};
                if let End { position, .. } | Idle { position } = event {
                    acknowledge.send_replace(Some(position.as_str().parse().unwrap()));
                }
            }
        }
        tail.task.await.unwrap()
    });
    let stopping = tokio::task::spawn_blocking(move || rig.server.stop(StopMode::Fast));
    let stopped = tokio::time::timeout(Duration::from_secs(20), stopping).await.expect("a fast shutdown is fast");
    stopped.unwrap().unwrap();
    assert_eq!(within(consumer).await.unwrap().unwrap_err().class(), Class::Transient);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_10_a_slot_that_has_to_wait_is_refused_and_leaves_nothing() {
    let server = PgServer::start().unwrap();
    let open = server.client("postgres").await.unwrap();
    open.batch_execute("create table t (id int); begin; insert into t values (1)").await.unwrap();
    let mut replication = Replication::connect(&options(&server)).await.unwrap();
    let error = replication.create_slot("s", SlotKind::Durable, Duration::from_millis(300)).await.unwrap_err();
    assert!(matches!(error, Error::SlotBlocked { .. }), "{error}");
    assert_eq!(server.psql("postgres", "select count(*) from pg_replication_slots").unwrap(), "0");
    // The connection is good for another try.
    open.batch_execute("commit").await.unwrap();
    let slot = replication.create_slot("s", SlotKind::Durable, Duration::from_secs(5)).await.unwrap();
    assert!(slot.consistent_point > Lsn::ZERO);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_11_the_snapshot_is_the_slots() {
    let server = PgServer::start().unwrap();
    server.psql("postgres", "create table t (id int); insert into t values (1)").unwrap();
    let mut replication = Replication::connect(&options(&server)).await.unwrap();
    let slot = replication.create_slot("s", SlotKind::Temporary, Duration::from_secs(5)).await.unwrap();
    server.psql("postgres", "insert into t values (2)").unwrap();
    let count = server
        .psql(
            "postgres",
            &format!(
                "begin isolation level repeatable read; set transaction snapshot '{}'; select count(*) from t",
                slot.snapshot
            ),
        )
        .unwrap();
    assert_eq!(count, "1");
    replication.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_12_the_holder_of_a_slot_is_named() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let tail = rig.tail().await;
    let holder: i32 = rig.sql("select pid from pg_stat_replication").parse().unwrap();
    let second = Replication::connect(&rig.options).await.unwrap();
    let error = second.start(SLOT, PUBLICATION, Lsn::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::SlotActive { pid, .. } if pid == holder), "{error}");
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn slots_that_are_there_or_not_are_named() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut replication = Replication::connect(&rig.options).await.unwrap();
    let again = replication.create_slot(SLOT, SlotKind::Durable, Duration::from_secs(5)).await.unwrap_err();
    assert!(matches!(again, Error::SlotExists { .. }), "{again}");
    replication.drop_slot(SLOT).await.unwrap();
    let missing = replication.start(SLOT, PUBLICATION, Lsn::ZERO).await.unwrap_err();
    assert!(matches!(missing, Error::SlotMissing { .. }), "{missing}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_09_log_that_was_thrown_away_is_named() {
    let server = PgServer::builder().setting("max_wal_size", "32MB").setting("min_wal_size", "32MB").start().unwrap();
    if server.major_version() < 13 {
        // Slots keep their log whatever it takes: there is no such setting.
        assert!(server.psql("postgres", "show max_slot_wal_keep_size").is_err());
        return;
    }
    server.set("max_slot_wal_keep_size", "1MB").unwrap();
    server.set("wal_keep_size", "0").unwrap();
    server.reload().unwrap();
    let rig = Rig::of(server, "create table t (id int primary key)", &["t id id"]).await;
    rig.until("the slot to be lost", |rig| {
        rig.sql("insert into t select n from generate_series(1, 10000) n on conflict do nothing");
        rig.sql("select pg_switch_wal()");
        rig.sql("checkpoint");
        rig.sql("select wal_status from pg_replication_slots") == "lost"
    })
    .await;
    let replication = Replication::connect(&rig.options).await.unwrap();
    let error = replication.start(SLOT, PUBLICATION, Lsn::ZERO).await.unwrap_err();
    assert!(matches!(error, Error::SlotLost { .. }), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_08_the_system_identifies_itself() {
    let server = PgServer::start().unwrap();
    let mut replication = Replication::connect(&options(&server)).await.unwrap();
    let system = replication.identify_system().await.unwrap();
    let want = server.psql("postgres", "select system_identifier from pg_control_system()").unwrap();
    assert_eq!((system.system_id, system.timeline, system.database), (want, 1, "postgres".into()));
    assert!(system.wal_head > Lsn::ZERO);
    assert_eq!(replication.server_version() / 10_000, server.major_version());
}
