//! How a stream ends, and that it goes on.

use passerelle_change::Class;
use passerelle_mysql::error::DumpFault;
use passerelle_mysql::replication::Replication;
use passerelle_mysql::{Error, LogPosition};

use crate::shop::{Shop, printed};

const COLUMNS: [&str; 2] = ["id", "n"];

fn shop() -> Shop {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int); insert into t values (1, 1)");
    shop
}

/// Follows from there to the end, and compares.
async fn goes_on(shop: &Shop, held: crate::log::Held, place: &LogPosition) {
    let mut follower = shop.follow("t", &COLUMNS, place).await;
    follower.held = held;
    follower.until(&shop.gtid()).await;
    assert_eq!(printed(&follower.held, &COLUMNS), shop.sql("select * from t order by id"));
    follower.stop().await;
}

/// The connection that sends the log.
fn sender(shop: &Shop) -> String {
    let sql = "select id from information_schema.processlist where command = 'Binlog Dump'";
    shop.server.sql("", sql).unwrap()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_09_a_sender_that_is_killed_is_connected_to_again() {
    let shop = shop();
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    follower.until(&shop.gtid()).await;
    shop.sql(&format!("insert into t values (2, 2); kill {}; insert into t values (3, 3)", sender(&shop)));
    let (held, place, error) = follower.failed().await;
    assert_eq!(error.class(), Class::Transient, "{error:?}");
    goes_on(&shop, held, &place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_04_my_20_a_server_that_is_killed_or_stopped_comes_back() {
    let mut shop = shop();
    let (mut held, mut place) = (crate::log::Held::default(), Shop::beginning());
    for (n, is_killed) in [(10, true), (20, false), (30, true)] {
        let mut follower = shop.follow("t", &COLUMNS, &place).await;
        follower.held = held;
        follower.until(&shop.gtid()).await;
        shop.sql(&format!("insert into t values ({n}, 1)"));
        if is_killed {
            shop.server.kill().unwrap();
        } else {
            shop.server.stop().unwrap();
        }
        let error;
        (held, place, error) = follower.failed().await;
        assert_eq!(error.class(), Class::Transient, "{error:?}");
        let refused = Replication::connect(&shop.options).await.unwrap_err();
        assert_eq!(refused.class(), Class::Transient, "{refused:?}");
        shop.server.restart().unwrap();
        shop.sql(&format!("update t set n = n + 1; insert into t values ({}, 1)", n + 1));
    }
    goes_on(&shop, held, &place).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_08_a_server_id_that_another_has_is_refused() {
    let mut shop = shop();
    shop.options.server_id = Some(1);
    assert_eq!(Replication::connect(&shop.options).await.unwrap_err(), Error::ServerIdClash(1));
    shop.options.server_id = Some(77);
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    follower.until(&shop.gtid()).await;
    assert!(shop.server.sql("", "show slave hosts").unwrap().starts_with("77\tpasserelle\t"));
    // Another daemon of another name.
    let mut other = shop.options.clone();
    other.application_name = "another".into();
    let error = Replication::connect(&other).await.unwrap_err();
    assert_eq!(error, Error::ServerIdClash(77));
    assert!(matches!(error.class(), Class::Operator { .. }));
    // One by chance is nobody's.
    other.server_id = None;
    let by_chance = Replication::connect(&other).await.unwrap();
    assert!(by_chance.server_id() > 77);
    by_chance.close().await;
    // The same daemon, connected again before the server has seen the first end: that one ends, and would say why.
    let again = Replication::connect(&shop.options).await.unwrap();
    let mut again = shop.follow_by(again, &[("t", &COLUMNS)], &Shop::beginning()).await;
    again.until(&shop.gtid()).await;
    let (_, _, error) = follower.failed().await;
    assert_eq!(error, Error::ServerIdClash(77));
    again.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_09_my_10_places_that_the_server_does_not_have() {
    let shop = shop();
    let fault = async |place: &str| {
        let follower = shop.follow("t", &COLUMNS, &place.parse().unwrap()).await;
        let (_, _, error) = follower.failed().await;
        assert!(matches!(error.class(), Class::Operator { .. }), "{place}: {error:?}");
        match error {
            Error::Dump { fault, .. } => fault,
            other => panic!("{other:?}"),
        }
    };
    assert_eq!(fault("mbin.000099:4").await, DumpFault::Purged);
    assert_eq!(fault("mbin.000001:99999999").await, DumpFault::BeyondEnd);
    assert_eq!(fault("mbin.000001:4 0-1-99").await, DumpFault::NotInLog);
    assert_eq!(fault("mbin.000001:4 0-9-2").await, DumpFault::NotInLog);
    shop.sql("flush binary logs; insert into t values (2, 2); flush binary logs");
    // A file that a sender reads is not purged: those of above have to notice that nobody listens.
    tokio::time::timeout(std::time::Duration::from_mins(1), async {
        while shop.sql("purge binary logs to 'mbin.000003'; show binary logs").contains("mbin.000001") {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(fault("mbin.000001:4 0-1-2").await, DumpFault::Purged);
    assert_eq!(fault("mbin.000001:4").await, DumpFault::Purged);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_11_an_offset_that_cannot_be_told_is_never_cut() {
    let shop = shop();
    let replication = Replication::connect(&shop.options).await.unwrap();
    let error = replication.start(&"mbin.000001:4294967300".parse().unwrap(), shop.readings).await.unwrap_err();
    assert_eq!(error, Error::OffsetTooLarge(4_294_967_300));
    // By GTID it does not matter.
    let mut follower = shop.follow("t", &COLUMNS, &"mbin.000001:4294967300 0-1-2".parse().unwrap()).await;
    shop.sql("insert into t values (2, 2)");
    follower.until(&shop.gtid()).await;
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_01_logs_with_and_without_checksums_in_turn() {
    let shop = shop();
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    for (n, checksum) in [(2, "NONE"), (3, "CRC32"), (4, "NONE")] {
        shop.sql(&format!("set global binlog_checksum = {checksum}; insert into t values ({n}, {n})"));
        follower.until(&shop.gtid()).await;
    }
    let (held, _) = follower.stop().await;
    // From the middle of either.
    goes_on(&shop, held, &"mbin.000001:4 0-1-3".parse().unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_17_users_and_ways_to_authenticate() {
    let shop = shop();
    shop.server
        .sql(
            "",
            "create user 'native'@'%' identified by 'geheim'; grant all on *.* to 'native'@'%';
             create user 'nobody'@'%' identified by 'geheim'",
        )
        .unwrap();
    let mut options = shop.options.clone();
    (options.user, options.password) = ("native".into(), Some("geheim".into()));
    Replication::connect(&options).await.unwrap().close().await;
    options.password = Some("falsch".into());
    let error = Replication::connect(&options).await.unwrap_err();
    assert!(matches!(error.class(), Class::Operator { .. }), "{error:?}");
    assert!(!format!("{error:?}").contains("falsch"));
}
