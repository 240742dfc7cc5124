//! Whether the log is ours, asked of a server that is purged, reset, restored and replaced.

use std::process::Command;
use std::sync::Arc;

use passerelle_change::Batch;
use passerelle_mysql::catalog::KnownTables;
use passerelle_mysql::decode::{Decoded, Decoder, Settings};
use passerelle_mysql::history::{self, History, HistoryRefusal, Kept, ServerFacts, Start};
use passerelle_mysql::sql::{self, Connection};
use passerelle_mysql::wire::file_events;
use passerelle_mysql::{Error, Gtids, LogPosition, Options};
use passerelle_test_servers::MariadbServer;

use crate::rig::{connect, options};

const SHOP: &str = "create database shop; create table shop.t (id int auto_increment primary key, v varchar(100));";
const ROW: &str = "insert into shop.t (v) values (repeat('x', 100));";

async fn at(connection: &mut Connection, checkpoint: &LogPosition) -> ServerFacts {
    history::facts_at(connection, checkpoint).await.unwrap()
}

/// The end of the log, and which server it is of.
async fn here(server: &MariadbServer) -> (History, LogPosition) {
    let facts = history::facts(&mut connect(server).await).await.unwrap();
    (History::of(&facts), facts.head)
}

/// How it would start there now: `resume`, or the refusal's word.
async fn start(server: &MariadbServer, (history, checkpoint): &(History, LogPosition)) -> &'static str {
    let facts = at(&mut connect(server).await, checkpoint).await;
    match history::verify(Kept { history: Some(history), checkpoint: Some(checkpoint) }, &facts) {
        Ok(Start::Resume { from }) => {
            assert_eq!(from, *checkpoint);
            "resume"
        }
        Ok(Start::Begin) => "begin",
        Err(refusal) => refusal.code(),
    }
}

#[tokio::test]
async fn my_09_my_15_a_log_that_is_purged() {
    let mut server = MariadbServer::builder().setting("binlog_expire_logs_seconds", "86400").start().unwrap();
    server.sql("", SHOP).unwrap();
    let kept = here(&server).await;
    assert_eq!(start(&server, &kept).await, "resume");
    server.sql("", ROW).unwrap();
    server.restart().unwrap();
    assert_eq!(start(&server, &kept).await, "resume");

    let mut connection = connect(&server).await;
    let facts = at(&mut connection, &kept.1).await;
    let retention = history::retention(&mut connection, &facts, &kept.1).await.unwrap();
    assert_eq!(retention.first_needed_file.as_deref(), Some("mbin.000001"));
    assert_eq!((retention.file.as_str(), retention.dump_thread_id), ("mbin.000002", None));
    assert_eq!((retention.gtid_executed.as_str(), retention.format.as_str()), ("0-1-3", "ROW"));
    assert!(retention.log_held_bytes.unwrap() > 100);
    assert_eq!(retention.aged(400).lost_in_seconds, Some(86_000));

    // Nothing was in the file behind this place.
    let end = LogPosition {
        file: facts.files[0].name.clone(),
        offset: facts.files[0].bytes,
        gtids: Gtids::Mariadb("0-1-3".parse().unwrap()),
    };
    let end = (kept.0.clone(), end);
    server.sql("", &format!("purge binary logs to 'mbin.000002'; {ROW}")).unwrap();
    assert_eq!(start(&server, &end).await, "resume");
    assert_eq!(start(&server, &kept).await, "log_purged");
    let facts = at(&mut connect(&server).await, &kept.1).await;
    let retention = history::retention(&mut connect(&server).await, &facts, &kept.1).await.unwrap();
    assert_eq!((retention.lost_in_seconds, retention.oldest_available.as_deref()), (Some(0), Some("mbin.000002")));
    assert_eq!(retention.gtid_purged, "0-1-3");
}

#[tokio::test]
async fn my_10_a_log_that_is_reset() {
    let server = MariadbServer::start().unwrap();
    server.sql("", &format!("{SHOP} flush binary logs; {ROW} {ROW}")).unwrap();
    let kept = here(&server).await;
    let inside = LogPosition { offset: kept.1.offset - 5, ..kept.1.clone() };
    assert_eq!(start(&server, &(kept.0.clone(), inside)).await, "other_history");
    server.sql("", "reset master").unwrap();
    assert_eq!(start(&server, &kept).await, "ahead_of_server");
    // It has come as far again.
    server.sql("", &format!("{ROW} flush binary logs; {}", ROW.repeat(20))).unwrap();
    let facts = at(&mut connect(&server).await, &kept.1).await;
    assert!(facts.head.has_reached(&kept.1), "{}", facts.head);
    assert_eq!(start(&server, &kept).await, "other_history");
}

#[tokio::test]
async fn my_10_a_server_that_is_restored() {
    let mut server = MariadbServer::start().unwrap();
    server.sql("", SHOP).unwrap();
    server.stop().unwrap();
    let (data, backup) = (server.data_dir(), server.data_dir().with_extension("backup"));
    let copy = |from: &std::path::Path, to: &std::path::Path| {
        assert!(Command::new("cp").arg("-a").arg(from).arg(to).status().unwrap().success());
    };
    copy(&data, &backup);
    server.restart().unwrap();
    server.sql("", &ROW.repeat(3)).unwrap();
    let kept = here(&server).await;
    assert_eq!(start(&server, &kept).await, "resume");
    server.stop().unwrap();
    std::fs::remove_dir_all(&data).unwrap();
    copy(&backup, &data);
    server.restart().unwrap();
    assert_eq!(start(&server, &kept).await, "ahead_of_server");
    // The same numbers for other rows, and more of them.
    server.sql("", &format!("insert into shop.t (v) values ('another'); {}", ROW.repeat(9))).unwrap();
    assert_eq!(start(&server, &kept).await, "other_history");
}

#[tokio::test]
async fn my_10_my_23_another_server() {
    let server = MariadbServer::start().unwrap();
    let other = MariadbServer::builder().setting("server_id", "2").start().unwrap();
    server.sql("", &format!("{SHOP} {ROW}")).unwrap();
    let kept = here(&server).await;
    other.sql("", SHOP).unwrap();
    let facts = at(&mut connect(&other).await, &kept.1).await;
    let refusal = history::verify(Kept { history: Some(&kept.0), checkpoint: Some(&kept.1) }, &facts).unwrap_err();
    assert!(matches!(refusal, HistoryRefusal::AheadOfServer { .. }) && refusal.may_pass(), "{refusal}");
    // What a replica that takes over has: the groups under their first names.
    other.sql("", &format!("reset master; set server_id = 1; set gtid_seq_no = 1; {SHOP_AGAIN} {ROW}")).unwrap();
    assert_eq!(start(&other, &kept).await, "resume");
}

const SHOP_AGAIN: &str = "drop database shop; create database shop; \
    create table shop.t (id int auto_increment primary key, v varchar(100));";

#[tokio::test]
async fn my_13_what_our_user_may_see() {
    let server = MariadbServer::start().unwrap();
    server.sql("", "create user poor@'%'; create user rich@'%'; grant binlog monitor on *.* to rich@'%'").unwrap();
    let of = |user: &str| Options { user: user.into(), database: "information_schema".into(), ..options(&server) };
    let error = history::facts(&mut sql::connect(&of("poor")).await.unwrap()).await.unwrap_err();
    let Error::MissingRights { statements, .. } = &error else { panic!("{error:?}") };
    assert!(statements[0].starts_with("GRANT BINLOG MONITOR ON *.*"), "{statements:?}");
    let mut rich = sql::connect(&of("rich")).await.unwrap();
    let facts = history::facts(&mut rich).await.unwrap();
    let facts = at(&mut rich, &facts.head).await;
    assert_eq!(facts.at_checkpoint, Some(history::At::Ours));
    history::retention(&mut rich, &facts, &facts.head).await.unwrap();
    drop(server);

    let server = MariadbServer::builder().setting("skip_log_bin", "1").start().unwrap();
    let facts = history::facts(&mut connect(&server).await).await.unwrap();
    assert_eq!(history::verify(Kept::default(), &facts), Err(HistoryRefusal::NoLog));
}

const OF_ALL_KINDS: &str = "
create database shop; use shop; create table t (id int primary key, v text) engine = innodb;
create table m (id int primary key) engine = myisam; insert into t values (1, repeat('x', 5000));
set gtid_domain_id = 7; insert into t values (2, 'b'); insert into m values (1), (2); set server_id = 9;
begin; insert into t values (3, 'c'); savepoint s; insert into m values (3); rollback to s; commit; set gtid_domain_id = 0;
xa start 'x'; insert into t values (4, 'd'); xa end 'x'; xa prepare 'x'; xa commit 'x'; insert into m values (4);
flush binary logs; alter table t add w int; truncate table m; set gtid_seq_no = 1000; delete from t where id = 2;
set gtid_seq_no = 900; delete from t where id = 3; flush binary logs; create table u as select * from t;
";

#[tokio::test]
async fn my_20_my_23_every_end_of_a_group_is_in_the_log() {
    let server = MariadbServer::start().unwrap();
    server.sql("", OF_ALL_KINDS).unwrap();
    let mut connection = connect(&server).await;
    let start = LogPosition { file: "mbin.000001".into(), offset: 4, gtids: Gtids::None };
    let settings = Settings { start, ..Settings::default() };
    let mut decoder = Decoder::new(Vec::new(), KnownTables::new(), Arc::default(), settings);
    let (mut batch, mut last, mut ends) = (Batch::new(), String::new(), 0);
    for log in server.binlogs().unwrap() {
        for event in file_events(&log) {
            assert_eq!(decoder.event(event.unwrap(), &mut batch).unwrap(), Decoded::Whole);
            let ended = decoder.ended().clone();
            if ended.to_string() != last {
                last = ended.to_string();
                ends += 1;
                assert_eq!(at(&mut connection, &ended).await.at_checkpoint, Some(history::At::Ours), "{ended}");
            }
        }
    }
    assert!(ends > 12, "{ends}");
}
