//! Types that change while the stream runs: the stream and the catalogue name a column alike, so that it has one id.

use passerelle_change::{TableId, Type};

use crate::shop::{Follower, Shop, owned};

const COLUMNS: [&str; 3] = ["id", "c", "name"];

/// Runs statements, and compares what the stream told of the table last with what the catalogue says. Answers the type of
/// `c` and the value of the row that is there.
async fn check(shop: &Shop, follower: &mut Follower, statements: &[&str]) -> (String, Type, String) {
    shop.sql(&statements.join("; "));
    follower.until(&shop.gtid()).await;
    let told = follower.held.told.clone().unwrap();
    let facts = shop.facts("t").await;
    let read = facts.schema(TableId(1), &owned(&COLUMNS), &mut shop.ids.lock().unwrap()).unwrap();
    assert_eq!(told, read, "{statements:?}");
    assert!(follower.held.said.iter().all(|line| !line.contains("suspect")), "{:?}", follower.held.said);
    let column = told.column("c").unwrap();
    let cell = follower.held.rows["1"]["c"].clone().unwrap_or_else(|| "NULL".into());
    (column.type_name.clone(), column.ty.clone(), cell)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_42_my_52_columns_that_hold_something_else_are_named_alike_in_stream_and_catalogue() {
    for metadata in ["FULL", "MINIMAL", "NO_LOG"] {
        let shop = Shop::open(&[("binlog_row_metadata", metadata)]);
        shop.sql(
            "create table t (id int primary key, c int, name varchar(20) character set utf8mb4, n int);
             insert into t values (1, 12, 'Ann', 0)",
        );
        let mut follower = shop.follow("t", &COLUMNS, &shop.end()).await;
        let change = "update t set n = n + 1";
        for (alter, want, value) in [
            ("modify c bigint", "bigint", "12"),
            ("modify c bigint unsigned", "bigint unsigned", "12"),
            ("modify c decimal(12,4)", "decimal(12,4)", "12.0000"),
            ("modify c decimal(12,2) first", "decimal(12,2)", "12.00"),
            ("modify c varchar(10) character set utf8mb4", "varchar(10)", "12.00"),
            ("modify c varchar(300) character set latin1", "varchar(300)", "12.00"),
            ("convert to character set ucs2", "varchar(300)", "12.00"),
            ("modify c longtext character set utf8mb4", "longtext", "12.00"),
            ("change c c json after n", "json", "12.00"),
            ("modify c double", "double", "12"),
            ("modify c tinyint(1)", "tinyint", "12"),
            ("modify c varchar(40)", "varchar(40)", "12"),
            ("modify c enum('12','b')", "enum", "12"),
            ("modify c varbinary(40)", "varbinary(40)", r"\x00310032"),
            ("drop c, add c datetime(3) default '2024-01-02 03:04:05.5'", "datetime(3)", "2024-01-02 03:04:05.5"),
            (
                "drop c, add c uuid default 'f81d4fae-7dec-41d0-a765-00a0c91e6bf6'",
                "uuid",
                "f81d4fae-7dec-41d0-a765-00a0c91e6bf6",
            ),
        ] {
            let alter = format!("alter table t {alter}");
            let (name, _, cell) = check(&shop, &mut follower, &[&alter, change]).await;
            assert_eq!((name.as_str(), cell.as_str()), (want, value), "{alter}, {metadata}");
        }
        follower.stop().await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn my_42_labels_that_come_and_change_places_are_told_as_they_are() {
    for metadata in ["FULL", "NO_LOG"] {
        let shop = Shop::open(&[("binlog_row_metadata", metadata)]);
        shop.sql(
            "create table t (id int primary key, c enum('small','large') character set utf8mb4, name text, n int);
             insert into t values (1, 'large', 'Ann', 0)",
        );
        let mut follower = shop.follow("t", &COLUMNS, &shop.end()).await;
        for (labels, change, value) in [
            ("'small','large','é'", "update t set c = 'é'", "é"),
            // The numbers in the rows mean other labels now.
            ("'é','large','small'", "update t set n = n + 1", "é"),
            ("'large','small','é','x,y'", "update t set c = 'large'", "large"),
        ] {
            let alter = format!("alter table t modify c enum({labels}) character set utf8mb4");
            let (name, ty, cell) = check(&shop, &mut follower, &[&alter, change]).await;
            assert_eq!((name.as_str(), cell.as_str()), ("enum", value), "{alter}");
            let Type::Enum { labels: told } = ty else { panic!("{ty:?}") };
            let told = told.iter().map(|label| format!("'{label}'")).collect::<Vec<_>>().join(",");
            assert_eq!(told, labels);
        }
        follower.stop().await;
    }
}
