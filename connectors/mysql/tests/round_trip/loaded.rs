//! The first load: one moment, without a lock, and the stream goes on from there without a gap and without a double.

use std::time::Duration;

use passerelle_change::TableId;
use passerelle_mysql::Error;
use passerelle_mysql::snapshot::{Reader, Rows};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::shop::{Shop, owned, printed};

const COLUMNS: [&str; 2] = ["id", "n"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_03_a_load_and_the_stream_meet_under_writes() {
    let shop = std::sync::Arc::new(Shop::open(&[]));
    shop.sql(
        "create table t (id int primary key auto_increment, n int);
         delimiter //
         create procedure write_on() begin
             declare round int default 0;
             declare continue handler for sqlexception begin end;
             while round < 3000 do
                 insert into t (n) values (1);
                 update t set n = n + 1 where id = floor(1 + rand() * 50);
                 delete from t where id = floor(100 + rand() * 200);
                 set round = round + 1;
             end while; end//
         delimiter ;
         insert into t select seq, 0 from seq_1_to_500",
    );
    let writers = [0, 1].map(|_| {
        let shop = std::sync::Arc::clone(&shop);
        tokio::task::spawn_blocking(move || shop.sql("call write_on()"))
    });
    let began = shop.end();
    tokio::time::timeout(Duration::from_mins(1), async {
        while shop.end() == began {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    let (loaded, position) = shop.load("t", &COLUMNS).await;
    let mut follower = shop.follow("t", &COLUMNS, &position).await;
    let before = loaded.rows.len();
    follower.held = loaded;
    for writer in writers {
        writer.await.unwrap();
    }
    follower.until(&shop.gtid()).await;
    assert_eq!(printed(&follower.held, &COLUMNS), shop.sql("select id, n from t order by id"));
    // It was read in the middle of it.
    assert!(follower.held.rows.len() > before && position != began, "{before} {position}");
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_03_it_sees_one_moment_and_waits_for_nobody() {
    let shop = Shop::open(&[]);
    shop.sql(
        "create table t (id int primary key, n int); create table other (id int primary key, n int);
         insert into t values (1, 1); insert into other values (1, 1)",
    );
    let mut reader = Reader::open(&shop.options, &shop.readings).await.unwrap();
    let position = reader.position().unwrap().clone();
    assert_eq!(position, shop.end());
    // Writes, and what needs the table for itself, go on: nothing is locked.
    shop.sql(
        "set lock_wait_timeout = 5; insert into t values (2, 2); update other set n = 2; create table third (id int)",
    );
    let t = shop.read(&mut reader, "t", &COLUMNS, Rows::All).await.unwrap();
    let other = shop.read(&mut reader, "other", &COLUMNS, Rows::All).await.unwrap();
    assert_eq!((printed(&t, &COLUMNS).as_str(), printed(&other, &COLUMNS).as_str()), ("1\t1", "1\t1"));
    assert_eq!(reader.seen_up_to().await.unwrap(), shop.end());
    let mut now = Reader::open_now(&shop.options, &shop.readings).await.unwrap();
    assert_eq!(now.position(), None);
    assert_eq!(shop.read(&mut now, "t", &COLUMNS, Rows::All).await.unwrap().rows.len(), 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x_11_a_large_table_is_read_piece_by_piece() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int, pad varchar(200)); insert into t select seq, seq, repeat('x', 200) from seq_1_to_100000");
    // The size of each batch is looked at where it is taken.
    let (held, _) = shop.load("t", &["id", "n", "pad"]).await;
    assert_eq!(held.rows.len(), 100_000);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x_16_a_load_ends_when_it_is_told_to() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int, pad varchar(200)); insert into t select seq, seq, repeat('x', 200) from seq_1_to_100000");
    let facts = shop.facts("t").await;
    let schema = facts.schema(TableId(1), &owned(&["pad"]), &mut passerelle_change::ColumnIds::default()).unwrap();
    let mut reader = Reader::open(&shop.options, &shop.readings).await.unwrap();
    let (out, mut batches) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let stop = cancel.clone();
    let (copied, ()) = tokio::join!(reader.copy(&facts, &schema, Rows::All, &out, &cancel), async move {
        batches.recv().await.unwrap();
        stop.cancel();
    });
    assert_eq!(copied, Err(Error::Cancelled));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_06_a_table_that_changed_meanwhile_is_an_error_and_not_other_rows() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int); insert into t values (1, 1)");
    let mut reader = Reader::open(&shop.options, &shop.readings).await.unwrap();
    shop.sql("alter table t modify n bigint, add column more int first, algorithm = copy");
    let error = shop.read(&mut reader, "t", &COLUMNS, Rows::All).await.map(|held| held.rows).unwrap_err();
    // ER_TABLE_DEF_CHANGED: it is read again.
    assert_eq!(error.code().as_deref(), Some("1412"));
    assert_eq!(error.class(), passerelle_change::Class::Transient);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_without_a_log_is_no_source() {
    let shop = Shop::open(&[("skip_log_bin", "1")]);
    shop.sql("create table t (id int primary key, n int)");
    assert_eq!(Reader::open(&shop.options, &shop.readings).await.unwrap_err(), Error::NoLog);
}
