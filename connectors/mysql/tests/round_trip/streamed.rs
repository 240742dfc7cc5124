//! The stream while the server lives: rotations, changes of tables, large transactions, places in the log.

use passerelle_change::Type;

use crate::log::Held;
use crate::shop::{Shop, printed};

const COLUMNS: [&str; 2] = ["id", "n"];

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_03_my_04_my_12_the_log_goes_on_in_other_files() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int)");
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    for n in 0..5 {
        shop.sql(&format!("insert into t values ({n}, {n}); flush binary logs; update t set n = n + 1"));
        follower.until(&shop.gtid()).await;
    }
    assert_eq!(printed(&follower.held, &COLUMNS), shop.sql("select * from t order by id"));
    let (_, position) = follower.stop().await;
    assert_eq!(position, shop.end());
    assert_eq!(position.file, "mbin.000006");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_06_a_server_that_is_idle_is_heard_of_and_a_new_file_is_a_place() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int); insert into t values (1, 1)");
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    follower.until(&shop.gtid()).await;
    let heard = follower.progress.last_contact();
    // Nothing is in the new file but what says that it is one. Its heartbeat comes after ten seconds.
    shop.sql("flush binary logs");
    follower.until_at(|position| position.as_str().starts_with("mbin.000002:")).await;
    assert!(follower.progress.last_contact() > heard);
    let end = shop.end();
    let (_, position) = follower.stop().await;
    assert_eq!(position, end);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_23_it_goes_on_from_a_place_in_several_domains() {
    let shop = Shop::open(&[]);
    shop.sql(
        "create table t (id int primary key, n int); insert into t values (1, 1);
         set session gtid_domain_id = 5; insert into t values (2, 2);
         set session gtid_domain_id = 7; insert into t values (3, 3);
         flush binary logs; insert into t values (4, 4);
         set session gtid_domain_id = 0; insert into t values (5, 5)",
    );
    let mut first = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    first.until(&shop.gtid()).await;
    let (mut held, place) = first.stop().await;
    shop.sql(
        "insert into t values (6, 6); set session gtid_domain_id = 5; update t set n = 20 where id = 2;
         flush binary logs; set session gtid_domain_id = 9; delete from t where id = 3",
    );
    let mut second = shop.follow("t", &COLUMNS, &place).await;
    std::mem::swap(&mut second.held, &mut held);
    second.until(&shop.gtid()).await;
    assert_eq!(printed(&second.held, &COLUMNS), shop.sql("select * from t order by id"));
    // Each of the three, once.
    assert_eq!(second.progress.transactions(), 3);
    second.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_38_my_52_a_table_changes_while_it_is_followed() {
    for metadata in ["FULL", "NO_LOG"] {
        let shop = Shop::open(&[("binlog_row_metadata", metadata)]);
        shop.sql("create table t (id int primary key, n int, added varchar(10)); insert into t values (1, 1, 'x')");
        let columns = ["id", "n", "added"];
        let mut follower = shop.follow("t", &columns, &Shop::beginning()).await;
        follower.until(&shop.gtid()).await;
        for sql in [
            "alter table t add column before_all int first; insert into t (id, n, added) values (2, 2, 'y')",
            "alter table t modify n bigint unsigned; insert into t (id, n, added) values (3, 18446744073709551615, 'z')",
            "alter table t drop column before_all, modify added varchar(20) character set latin1 after id;
             update t set added = 'é'; insert into t (id, n, added) values (4, 4, 'ü')",
            "rename table t to old; create table t like old; insert into t select * from old; delete from t where id = 2",
            "truncate table t; insert into t (id, n, added) values (9, 9, 'nine')",
        ] {
            shop.sql(sql);
            follower.until(&shop.gtid()).await;
        }
        let answer = shop.sql("select id, n, added from t order by id");
        assert_eq!(printed(&follower.held, &columns), answer, "{metadata}");
        assert_eq!(follower.held.types["n"], Type::Int);
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_42_my_52_what_may_be_a_renamed_column_is_kept_and_the_key_is_followed() {
    for metadata in ["FULL", "NO_LOG"] {
        let shop = Shop::open(&[("binlog_row_metadata", metadata)]);
        shop.sql("create table t (id int primary key, name varchar(20), n int, other int)");
        let mut follower = shop.follow("t", &["id", "name", "n"], &shop.end()).await;
        shop.sql("insert into t values (1, 'Ann', 1, 0), (2, 'Bob', 2, 0)");
        follower.until(&shop.gtid()).await;
        // Each statement by itself, so that the catalogue is not ahead of the log where it has to name the columns.
        for statement in [
            "alter table t change name title varchar(20), add more int default 7",
            "insert into t values (3, 'Cy', 3, 0, 8)",
            "alter table t rename column id to number",
            "update t set n = 20, title = 'Bo' where number = 2; delete from t where number = 1",
        ] {
            shop.sql(statement);
            follower.until(&shop.gtid()).await;
        }
        let held = &follower.held;
        let of = |row: &str, column: &str| held.rows[row].get(column).cloned().flatten();
        assert_eq!(held.rows.keys().collect::<Vec<_>>(), ["2", "3"], "{metadata}: {held:?}");
        assert_eq!((of("2", "name"), of("2", "title")), (Some("Bob".into()), Some("Bo".into())), "{metadata}");
        assert_eq!(
            (of("3", "title"), of("3", "more"), of("3", "n")),
            (Some("Cy".into()), Some("8".into()), Some("3".into()))
        );
        assert!(!held.rows["3"].contains_key("name") && !held.rows["3"].contains_key("other"), "{held:?}");
        assert!(held.said.iter().all(|line| !line.contains("suspect")), "{held:?}");
        let renamed = follower.progress.take_renamed_columns().into_iter().flat_map(|renamed| renamed.columns);
        let pair = |from: &str, to: &str| (from.to_owned(), to.to_owned());
        assert_eq!(renamed.collect::<Vec<_>>(), [pair("name", "title"), pair("id", "number")]);
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_27_my_42_a_rename_in_two_halves_is_told_once_and_one_that_failed_never() {
    let shop = Shop::open(&[("binlog_row_metadata", "FULL"), ("binlog_alter_two_phase", "ON")]);
    shop.sql("create table t (id int primary key, n int); insert into t values (1, 1), (2, 1)");
    let mut follower = shop.follow("t", &COLUMNS, &shop.end()).await;
    // Its second half says that nothing happened.
    shop.server.sql("shop", "alter table t change n failed int, add unique (failed), algorithm = copy").unwrap_err();
    shop.sql("alter table t change n m int, algorithm = copy; update t set m = 5 where id = 1");
    follower.until(&shop.gtid()).await;
    let renamed: Vec<_> = follower.progress.take_renamed_columns().into_iter().map(|renamed| renamed.columns).collect();
    assert_eq!(renamed, [[("n".to_owned(), "m".to_owned())]]);
    assert_eq!(follower.held.rows["1"]["m"].as_deref(), Some("5"));
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_39_a_copy_with_other_columns_takes_the_place_of_a_table() {
    let shop = Shop::open(&[("binlog_row_metadata", "FULL")]);
    shop.sql("create table t (id int primary key, n int); insert into t values (1, 1)");
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    shop.sql(
        "create table _t_gho (id int primary key, m bigint, more int); insert into _t_gho select id, n, 0 from t;
         rename table t to _t_del, _t_gho to t; insert into t values (2, 2, 3); drop table _t_del",
    );
    follower.until(&shop.gtid()).await;
    let held = &follower.held;
    let told: Vec<_> = held.told.iter().flat_map(|told| &told.columns).map(|column| column.name.as_str()).collect();
    assert_eq!(told, ["id", "m", "more"]);
    assert_eq!((held.rows.len(), held.rows["2"]["m"].as_deref()), (2, Some("2")));
    // Only the making of the first was a new table under the name.
    assert_eq!(held.said.iter().filter(|line| line.contains("suspect")).count(), 1, "{:?}", held.said);
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_52_a_table_that_does_not_fit_holds_up_no_other() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int); create table bad (id int primary key, n int)");
    let replication = passerelle_mysql::replication::Replication::connect(&shop.options).await.unwrap();
    let from = shop.end();
    let mut follower = shop.follow_by(replication, &[("t", &COLUMNS), ("bad", &COLUMNS)], &from).await;
    // By when the first statement is read, the catalogue has the columns of the last.
    shop.sql(
        "insert into t values (1, 1); alter table bad add column more int; insert into bad values (1, 1, 1);
         alter table bad drop column id; insert into bad values (2, 2); insert into t values (2, 2)",
    );
    follower.until(&shop.gtid()).await;
    let of_t = shop.sql("select * from t order by id");
    assert!(follower.held.said.iter().any(|line| line.contains("suspect")), "{:?}", follower.held.said);
    follower.held.rows.retain(|_, cells| cells.contains_key("id"));
    assert!(printed(&follower.held, &COLUMNS).contains(&of_t));
    follower.stop().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x_11_a_transaction_of_100_000_rows_comes_in_pieces() {
    for compress in ["OFF", "ON"] {
        let shop = Shop::open(&[("log_bin_compress", compress)]);
        shop.sql("create table t (id int primary key, n int, pad varchar(200))");
        let columns = ["id", "n", "pad"];
        let mut follower = shop.follow("t", &columns, &shop.end()).await;
        shop.sql("insert into t select seq, seq, repeat(char(65 + seq % 26), 200) from seq_1_to_100000");
        follower.until(&shop.gtid()).await;
        assert_eq!(follower.held.rows.len(), 100_000);
        assert_eq!(follower.progress.rows(), 100_000);
        assert!(follower.largest < 3 << 19, "{}", follower.largest);
        shop.sql("update t set n = n + 1");
        follower.until(&shop.gtid()).await;
        assert_eq!(follower.held.rows["77"]["n"].as_deref(), Some("78"));
        assert!(follower.largest < 3 << 19, "{}", follower.largest);
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_05_rows_of_more_than_16_mib() {
    let shop = Shop::open(&[("max_allowed_packet", "1G"), ("innodb_log_file_size", "256M")]);
    shop.sql("create table t (id int primary key, n int, large longblob)");
    let columns = ["id", "n", "large"];
    let mut follower = shop.follow("t", &columns, &shop.end()).await;
    shop.sql(
        "insert into t values (1, 1, repeat('a', 20000000)); update t set n = 2; insert into t values (2, 2, 'small')",
    );
    follower.until(&shop.gtid()).await;
    let (streamed, _) = follower.stop().await;
    assert_eq!(streamed.rows["1"]["large"].as_ref().map(String::len), Some(2 + 40_000_000));
    let (loaded, _) = shop.load("t", &columns).await;
    assert_eq!(loaded.rows, streamed.rows);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn x_16_stopped_in_the_middle_of_much_it_ends_at_once_and_goes_on_where_it_was() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int)");
    let rows: Vec<_> = (0..2000).map(|n| format!("insert into t values ({n}, {n})")).collect();
    shop.sql(&rows.join(";"));
    let (mut held, mut place) = (Held::default(), Shop::beginning());
    let mut rows = 0;
    for stop_after in [200, 900, 1500, 2000] {
        let mut follower = shop.follow("t", &COLUMNS, &place).await;
        std::mem::swap(&mut follower.held, &mut held);
        let progress = std::sync::Arc::clone(&follower.progress);
        follower.until_at(|_| rows + progress.rows() >= stop_after).await;
        (held, place) = follower.stop().await;
        rows = held.rows.len() as u64;
    }
    assert_eq!(rows, 2000);
    assert_eq!(printed(&held, &COLUMNS), shop.sql("select * from t order by id"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn progress_says_how_far_the_server_is() {
    let shop = Shop::open(&[]);
    shop.sql("create table t (id int primary key, n int); insert into t values (1, 1); flush binary logs; insert into t values (2, 2)");
    let mut follower = shop.follow("t", &COLUMNS, &Shop::beginning()).await;
    follower.until(&shop.gtid()).await;
    let end = shop.end();
    assert_eq!(follower.progress.received(), Some(end.clone()));
    // Asked for by the stream, on a connection of its own, every few seconds.
    tokio::time::timeout(std::time::Duration::from_secs(30), async {
        while follower.progress.server().is_none_or(|server| server.offset != end.offset) {
            tokio::task::yield_now().await;
        }
    })
    .await
    .unwrap();
    assert_eq!(follower.progress.bytes_behind(&end), Some(0));
    assert!(follower.progress.committed_at().is_some() && follower.progress.bytes() > 0);
    assert_eq!(follower.progress.open_transaction(), None);
    follower.stop().await;
}
