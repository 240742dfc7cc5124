//! Rows through the life of a table, as MariaDB logs it: what a reader holds in the end is what the table has.

use passerelle_mysql::catalog::KnownTable;
use passerelle_test_servers::MariadbServer;

use crate::log::{Held, Wanted};

fn server(settings: &[(&str, &str)]) -> MariadbServer {
    let mut builder = MariadbServer::builder().setting("binlog_row_metadata", "FULL");
    for (name, value) in settings {
        builder = builder.setting(name, value);
    }
    let server = builder.start().unwrap();
    server.sql("", "create database shop").unwrap();
    server
}

fn decode(server: &MariadbServer, columns: &[&str], known: Option<KnownTable>) -> Held {
    let logs = server.binlogs().unwrap();
    let wanted =
        |batch_bytes| Wanted { table: "t", columns: columns.to_vec(), key: "id", known: known.clone(), batch_bytes };
    let held = wanted(0).decode(&logs);
    // Whether what is taken back was handed on or not makes no difference in the end.
    assert_eq!(wanted(1 << 20).decode(&logs).rows, held.rows);
    held
}

/// The rows that are held, one a line, as the server's client would print them.
fn printed(held: &Held, columns: &[&str]) -> String {
    let cell = |cells: &crate::log::Cells, column: &str| match cells.get(column) {
        None => "absent".into(),
        Some(None) => "NULL".into(),
        Some(Some(text)) => text.clone(),
    };
    let mut lines: Vec<(i64, String)> = held
        .rows
        .iter()
        .map(|(key, cells)| {
            (key.parse().unwrap(), columns.iter().map(|column| cell(cells, column)).collect::<Vec<_>>().join("\t"))
        })
        .collect();
    lines.sort();
    lines.into_iter().map(|(_, line)| line).collect::<Vec<_>>().join("\n")
}

/// Runs the statements in a database of their own, and compares what is held in the end.
fn check(server: &MariadbServer, columns: &[&str], sql: &str) -> Held {
    server.sql("shop", sql).unwrap();
    let answer = server.sql("shop", &format!("select {} from t order by id", columns.join(", "))).unwrap();
    let held = decode(server, columns, None);
    assert_eq!(printed(&held, columns), answer);
    held
}

#[test]
fn my_51_my_55_my_56_row_images() {
    for image in ["FULL", "NOBLOB", "MINIMAL"] {
        let server = server(&[("binlog_row_image", image)]);
        check(
            &server,
            &["id", "name", "long_text", "n"],
            "create table t (id int primary key, name varchar(40) not null default 'none', long_text text, n int default 7);
             insert into t values (1, 'a', repeat('x', 500), null), (2, 'b', null, 5), (3, 'c', 'c', 3);
             insert into t (id) values (4);
             update t set n = 1 where id = 1;
             update t set long_text = null where id = 1;
             update t set name = 'bb', n = null where id = 2;
             update t set id = 20 where id = 2;
             update t set n = n + 1;
             delete from t where id = 3;
             replace into t values (1, 'again', 'text', 9);
             insert into t values (4, 'four', 'x', 4) on duplicate key update name = 'dup';
             begin; insert into t values (30, 'x', 'x', 1); update t set id = 31 where id = 30; delete from t where id = 31; commit;
             begin; update t set id = 100 where id = 1; update t set id = 1 where id = 4; update t set id = 4 where id = 100; commit;",
        );
    }
}

#[test]
fn my_29_my_30_what_is_taken_back_is_not_held() {
    let server = server(&[]);
    let held = check(
        &server,
        &["id", "n"],
        "create table t (id int primary key, n int) engine = innodb;
         create table m (id int primary key) engine = myisam;
         insert into t values (1, 1);
         begin; insert into t values (2, 2); rollback;
         begin; insert into t values (3, 3); savepoint s; insert into t values (4, 4); rollback to s; insert into t values (5, 5); commit;
         begin; insert into t values (6, 6); savepoint s; insert into t values (7, 7); insert into m values (1);
                update t set n = 60 where id = 6; rollback to s; insert into t values (8, 8); commit;
         begin; insert into t values (9, 9); insert into m values (2); rollback;
         insert into t values (10, 10);",
    );
    assert!(held.said.iter().all(|line| line.contains("made anew") || line.contains("rolled back")), "{:?}", held.said);
}

#[test]
fn my_28_distributed_transactions_are_held_under_their_name() {
    let server = server(&[]);
    server
        .sql(
            "shop",
            "create table t (id int primary key, n int);
             xa start 'a'; insert into t values (1, 1); xa end 'a'; xa prepare 'a'; xa commit 'a';
             xa start 'b','c',3; insert into t values (2, 2), (3, 3); xa end 'b','c',3; xa prepare 'b','c',3; xa rollback 'b','c',3;
             xa start 'd'; insert into t values (4, 4); xa end 'd'; xa commit 'd' one phase;",
        )
        .unwrap();
    let held = decode(&server, &["id", "n"], None);
    assert_eq!(held.said[1..], ["prepared 1 rows", "decided true", "prepared 2 rows", "decided false"]);
    assert_eq!(printed(&held, &["id", "n"]), "4\t4");
}

#[test]
fn my_27_my_42_an_alter_in_two_halves() {
    let server = server(&[("binlog_alter_two_phase", "ON")]);
    let held = check(
        &server,
        &["id", "n", "added"],
        "create table t (id int primary key, n int); insert into t values (1, 1);
         alter table t add column added varchar(10) default 'x' after id;
         update t set added = 'y'; insert into t values (2, 'z', 2);
         alter table t modify n bigint unsigned, drop column added, add column added int;
         update t set added = 5;",
    );
    assert_eq!(held.types["added"], passerelle_change::Type::Int);
}

#[test]
fn my_34_my_39_my_40_my_41_definitions() {
    let server = server(&[]);
    let held = check(
        &server,
        &["id", "n"],
        "create table s (id int primary key, n int); insert into s values (1, 1), (2, 2);
         create table t (primary key (id)) select * from s;
         insert into t values (3, 3);
         truncate table t;
         insert into t values (4, 4);
         create table _t_gho like t; insert into _t_gho select * from t;
         rename table t to _t_del, _t_gho to t;
         insert into t values (5, 5);
         create temporary table x (id int); drop temporary table x;",
    );
    // The table's own creation is one; the swap is none.
    assert_eq!(held.said.len(), 1, "{:?}", held.said);
}

#[test]
fn my_31_my_33_what_the_log_does_not_say_is_suspected() {
    let server = server(&[]);
    server
        .sql(
            "shop",
            "create table p (id int primary key); create table other (id int primary key);
             create table t (id int primary key, p int, foreign key (p) references p (id) on delete cascade);
             insert into p values (1), (2); insert into t values (1, 1), (2, 2);
             delete from p where id = 1;
             set session binlog_format = statement; update t set p = null where id = 2; insert into other values (1);",
        )
        .unwrap();
    let known = KnownTable { cascades: true, columns: Vec::new() };
    let held = decode(&server, &["id", "p"], Some(known));
    let said: Vec<_> = held.said.iter().map(|line| line.trim_start_matches("suspect : ")).collect();
    assert_eq!(
        said,
        [
            "the table was made anew or lost rows, which the log does not say row by row",
            "a foreign key may have changed rows, which the log does not say",
            "a change was logged as a statement, not row by row",
        ]
    );
}

#[test]
fn my_58_rows_of_the_past_are_not_rows() {
    let server = server(&[]);
    check(
        &server,
        &["id", "n"],
        "create table t (id int primary key, n int) with system versioning;
         insert into t values (1, 1), (2, 2), (3, 3);
         update t set n = 20 where id = 2;
         update t set id = 30 where id = 3;
         delete from t where id = 1;
         delete history from t;",
    );
}

#[test]
fn my_59_my_60_hidden_and_generated_columns() {
    let server = server(&[]);
    check(
        &server,
        &["id", "v", "s", "hidden", "long_text"],
        "create table t (id int primary key, long_text text, v int as (id * 2) virtual, s int as (id * 3) stored,
                         hidden int invisible default 9, unique (long_text) using hash);
         insert into t (id, long_text) values (1, 'a'), (2, 'b');
         update t set hidden = 10, long_text = 'c' where id = 2;",
    );
}

#[test]
fn my_04_my_20_positions_over_files_and_crashes() {
    let mut server = server(&[]);
    server.sql("shop", "create table t (id int primary key); insert into t values (1); flush binary logs; insert into t values (2)").unwrap();
    server.kill().unwrap();
    server.restart().unwrap();
    let held = check(&server, &["id"], "insert into t values (3)");
    let gtid = server.sql("", "select @@gtid_binlog_pos").unwrap();
    assert!(held.position.ends_with(&format!(" {gtid}")), "{}", held.position);
}

#[test]
fn my_79_names_with_everything_in_them() {
    let server = server(&[]);
    check(
        &server,
        &["id", "été_$1"],
        "create table t (id int primary key, `été_$1` int); insert into t values (1, 1); alter table `t` comment 'x';
         insert into shop.`t` values (2, 2);",
    );
}
