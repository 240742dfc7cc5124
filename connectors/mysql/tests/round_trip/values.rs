//! Every type, streamed and loaded: the same bytes both ways, and what the server answers (SN-09).

use passerelle_mysql::catalog::{Readings, Tinyint1};
use passerelle_mysql::snapshot::{Reader, Rows};
use passerelle_mysql::value::ZeroDates;

use crate::log::Held;
use crate::shop::Shop;
use crate::types::{SESSION, columns_of, compare, every_column, query, statements};

async fn both_ways(settings: &[(&str, &str)], readings: Readings) {
    let mut shop = Shop::open(settings);
    shop.readings = readings;
    let columns = every_column();
    shop.sql(&format!("{SESSION}{}", statements(&columns)));
    let names = columns_of(&columns);
    let mut follower = shop.follow("t", &names, &Shop::beginning()).await;
    follower.until(&shop.gtid()).await;
    let (streamed, _) = follower.stop().await;
    let (loaded, position) = shop.load("t", &names).await;
    assert_eq!(position, shop.end());
    same(&loaded, &streamed, "");
    assert_eq!(loaded.types, streamed.types);
    if readings.zero_dates == ZeroDates::DeadLetter && readings.tinyint1 == Tinyint1::Int {
        let answer = shop.server.sql("shop", &query(&columns)).unwrap();
        compare(&columns, &streamed, &answer);
        compare(&columns, &loaded, &answer);
    }
}

/// Every cell is the same bytes.
pub(crate) fn same(loaded: &Held, streamed: &Held, why: &str) {
    for (key, row) in &streamed.rows {
        let other = loaded.rows.get(key).unwrap_or_else(|| panic!("{why}: {key} was not loaded"));
        for (column, cell) in other {
            // What an insert did not name is not in every image: it is absent, and to be fetched.
            let is_there = row.contains_key(column) || !matches!(why, "NOBLOB" | "MINIMAL") || cell.is_some();
            assert!(
                !is_there || row.get(column) == Some(cell),
                "{why}: {column} of {key}: {cell:?} {:?}",
                row.get(column)
            );
        }
    }
    assert_eq!(loaded.rows.len(), streamed.rows.len(), "{why}");
}

const AS_IT_IS: Readings = Readings { zero_dates: ZeroDates::DeadLetter, tinyint1: Tinyint1::Int };

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_my_52_every_type_with_full_metadata() {
    both_ways(&[("binlog_row_metadata", "FULL")], AS_IT_IS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_my_52_my_62_every_type_by_the_catalogue_alone() {
    both_ways(&[("binlog_row_metadata", "NO_LOG")], Readings { zero_dates: ZeroDates::Null, tinyint1: Tinyint1::Bool })
        .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_my_45_my_62_every_type_with_minimal_metadata_and_compressed() {
    both_ways(
        &[("binlog_row_metadata", "MINIMAL"), ("log_bin_compress", "ON"), ("log_bin_compress_min_len", "10")],
        Readings { zero_dates: ZeroDates::Text, tinyint1: Tinyint1::Bool },
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_my_67_every_type_with_times_as_they_were() {
    both_ways(
        &[("binlog_row_metadata", "FULL"), ("mysql56_temporal_format", "OFF"), ("binlog_checksum", "NONE")],
        AS_IT_IS,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_my_55_my_56_values_that_changed_by_every_row_image() {
    for image in ["FULL", "NOBLOB", "MINIMAL"] {
        let shop = Shop::open(&[("binlog_row_image", image)]);
        let columns = every_column();
        shop.sql(&format!("{SESSION}{}", statements(&columns)));
        let names = columns_of(&columns);
        let mut follower = shop.follow("t", &names, &Shop::beginning()).await;
        // Every other column of every row gets the value of the row before.
        let half: Vec<_> = names.iter().step_by(2).map(|name| format!("a.{name} = b.{name}")).collect();
        let other: Vec<_> = names.iter().skip(1).step_by(2).map(|name| format!("a.{name} = b.{name}")).collect();
        shop.sql(&format!(
            "{SESSION} update t a join t b on b.id = a.id - 1 set {};
             update t a join t b on b.id = a.id - 1 set {}; update t set id = id + 100 where id < 3;
             delete from t where id = 4",
            half.join(", "),
            other.join(", ")
        ));
        follower.until(&shop.gtid()).await;
        let (streamed, _) = follower.stop().await;
        let (loaded, _) = shop.load("t", &names).await;
        same(&loaded, &streamed, image);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_my_58_my_59_my_60_columns_that_are_not_seen() {
    let shop = Shop::open(&[]);
    shop.sql(
        "create table t (id int primary key, long_text text, v int as (id * 2) virtual, s int as (id * 3) stored,
                         hidden int invisible default 9, z int(6) zerofill, f float(7,3), d double(10,2), n decimal(8,2) zerofill,
                         unique (long_text) using hash) with system versioning;
         insert into t (id, long_text, z, f, d, n) values (1, 'a', 42, 0.1, 1e7, 0.05), (2, 'b', 0, -1e3, -0.0, 0), (3, 'c', 7, 7, 7, 7);
         update t set hidden = 10, long_text = 'd' where id = 2; delete from t where id = 3",
    );
    let names = ["id", "long_text", "v", "s", "hidden", "z", "f", "d", "n"];
    let mut follower = shop.follow("t", &names, &Shop::beginning()).await;
    follower.until(&shop.gtid()).await;
    let (streamed, _) = follower.stop().await;
    let (loaded, _) = shop.load("t", &names).await;
    assert_eq!(streamed.rows.len(), 2);
    assert_eq!(loaded.rows, streamed.rows);
}

/// A key of every type that keys are of is found again by its row key.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_04_rows_are_fetched_by_keys_of_every_type() {
    let mut shop = Shop::open(&[]);
    shop.readings.tinyint1 = Tinyint1::Bool;
    for (ty, values) in [
        ("int", "-7, 0, 2147483647"),
        ("bigint unsigned", "0, 18446744073709551615"),
        ("int(6) zerofill", "5, 70"),
        ("tinyint(1)", "0, 1, 2"),
        ("decimal(10,2)", "-0.05, 99.90"),
        ("float", "0.1, -1.5e10"),
        ("double", "0.1, 1e300"),
        ("varchar(20) character set latin1", "'é', 'it''s', 'back\\\\slash', 'A', ''"),
        ("varchar(20) character set utf8mb4 collate utf8mb4_bin", "'a', 'A', '😀'"),
        ("char(5) character set ucs2", "'ab', 'ż'"),
        ("varbinary(10)", "x'00ff27', x'', 'a '"),
        ("binary(4)", "x'01000000', x'00ff'"),
        ("date", "'2024-02-29', '0000-00-00'"),
        ("datetime(3)", "'2024-02-29 01:02:03.100', '2024-02-29 01:02:03'"),
        ("timestamp(6)", "'2024-02-29 01:02:03.000001', '2000-01-01 00:00:00'"),
        ("time(1)", "'-838:59:58.5', '00:00:00'"),
        ("year", "2024, 0"),
        ("enum('a','ü')", "'a', 'ü'"),
        ("set('x','y')", "'x,y', ''"),
        ("bit(10)", "b'1000000001', b'0'"),
        ("uuid", "'123e4567-e89b-12d3-a456-426655440000', '00000000-0000-0000-0000-000000000000'"),
        ("inet6", "'::1', '2001:db8::1'"),
    ] {
        let rows: Vec<_> = values.split(", ").map(|value| format!("({value}, 5)")).collect();
        let sql = format!(
            "create or replace table t (k {ty}, n int, primary key (k, n)); insert into t values {}",
            rows.join(", ")
        );
        shop.sql(&format!("set sql_mode = '';{sql}"));
        let keys = keys(&shop).await;
        assert_eq!(keys.len(), rows.len());
        let mut reader = Reader::open_now(&shop.options, &shop.readings).await.unwrap();
        for key in &keys {
            let held = shop.read(&mut reader, "t", &["k", "n"], Rows::Of(std::slice::from_ref(key))).await.unwrap();
            assert_eq!(held.rows.len(), 1, "{ty}: {}", passerelle_change::key::printed(key));
        }
        let all = shop.read(&mut reader, "t", &["k", "n"], Rows::Of(&keys)).await.unwrap();
        assert_eq!(all.rows.len(), keys.len(), "{ty}");
        // Another case is another key, also where the collation holds them to be the same.
        let none = shop.read(&mut reader, "t", &["k", "n"], Rows::Of(&[b"\x02a\0\0".to_vec(), vec![9]])).await.unwrap();
        assert_eq!(none.rows.len(), 0, "{ty}");
    }
}

/// The row keys of `t`, as the stream packs them.
async fn keys(shop: &Shop) -> Vec<Vec<u8>> {
    use passerelle_change::{Event, TableId};
    let facts = shop.facts("t").await;
    let schema = facts.schema(TableId(1), &crate::shop::owned(&["n"]), &mut passerelle_change::ColumnIds::default());
    let mut reader = Reader::open_now(&shop.options, &shop.readings).await.unwrap();
    let (out, mut batches) = tokio::sync::mpsc::channel(10);
    let cancel = tokio_util::sync::CancellationToken::new();
    reader.copy(&facts, &schema.unwrap(), Rows::All, &out, &cancel).await.unwrap();
    let batch = batches.recv().await.unwrap();
    let key = |event: &Event| match event {
        Event::Row(row) => Some(batch.bytes(row.key).to_vec()),
        _ => None,
    };
    batch.events().iter().filter_map(key).collect()
}
