//! Rows: inserts, updates, deletes, TOAST, replica identities, partitions, filters.

use passerelle_test_servers::PgServer;

use crate::rig::Rig;

/// Longer than what stays in the row, and of no pattern that compression takes.
const LONG: &str = "(select string_agg(md5(n::text), '') from generate_series(1, 400) n)";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_every_kind() {
    let rig =
        Rig::new("create table t (id int primary key, name text, n numeric(10,2), unmapped text)", &["t id id name n"])
            .await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'Ann', 1.5, 'x'), (2, null, null, 'y')");
    rig.sql("begin; update t set name = 'it''s' where id = 2; delete from t where id = 1; commit");
    tail.check(&[
        "begin",
        "schema t (id integer, name text, n numeric(10,2)) key id",
        "full t 1 id='1' name='Ann' n='1.50'",
        "full t 2 id='2' name=null n=null",
        "end",
        "begin",
        "full t 2 id='2' name='it's' n=null",
        "gone t 1",
        "end",
    ])
    .await;
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_14_the_key_moves_while_a_toasted_column_stays() {
    let rig = Rig::new("create table t (id int primary key, long text)", &["t id id long"]).await;
    let mut tail = rig.tail().await;
    rig.sql(&format!("insert into t select 1, {LONG}"));
    rig.sql("update t set id = 2");
    tail.check(&[
        "begin",
        "schema t (id integer, long text) key id",
        "full t 1 id='1' long=12800 bytes",
        "end",
        "begin",
        "partial t 2 was 1 id='2'",
        "end",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_15_what_is_not_sent_is_absent() {
    let rig = Rig::new("create table t (id int primary key, name text, long text)", &["t id name long"]).await;
    let mut tail = rig.tail().await;
    rig.sql(&format!("insert into t select 1, 'a', {LONG}"));
    rig.sql("update t set name = 'b'");
    rig.sql("update t set long = null");
    let (lines, _) = tail.transactions(3).await;
    assert_eq!(lines[5], "partial t 1 name='b'");
    assert_eq!(lines[8], "full t 1 name='b' long=null");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_16_under_identity_full_it_is_in_the_row_before() {
    let rig = Rig::new(
        "create table t (id int primary key, name text, long text); alter table t replica identity full",
        &["t id name long"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql(&format!("insert into t select 1, 'a', {LONG}"));
    rig.sql("update t set name = 'b'");
    rig.sql("update t set id = 7");
    rig.sql("delete from t");
    let (lines, _) = tail.transactions(4).await;
    assert_eq!(lines[5], "full t 1 name='b' long=12800 bytes");
    assert_eq!(lines[8], "full t 7 was 1 name='b' long=12800 bytes");
    assert_eq!(lines[11], "gone t 7");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_17_of_the_row_before_only_the_key_counts() {
    let rig =
        Rig::new("create table t (a int, name text not null, b text, primary key (b, a))", &["t b,a a name"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'Ann', 'x')");
    rig.sql("update t set a = 2");
    rig.sql("delete from t");
    tail.check(&[
        "begin",
        "schema t (a integer, name text, b text) key b,a",
        "full t x,1 a='1' name='Ann'",
        "end",
        "begin",
        "full t x,2 was x,1 a='2' name='Ann'",
        "end",
        "begin",
        "gone t x,2",
        "end",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_25_truncate_names_every_table() {
    let rig = Rig::new(
        "create table a (id int primary key); create table b (id int primary key references a); create table c (id int)",
        &["a id id", "b id id"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql("insert into a values (1); truncate a cascade");
    let (lines, _) = tail.transactions(1).await;
    assert_eq!(&lines[..3], ["begin", "schema a (id integer) key id", "full a 1 id='1'"]);
    let truncated: Vec<_> = lines.iter().filter(|line| line.starts_with("truncate")).collect();
    assert_eq!(truncated, ["truncate a", "truncate b"]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_26_a_row_moves_between_partitions() {
    let server = PgServer::start().unwrap();
    if server.major_version() < 13 {
        // The server has no way to publish a root; `Wanted::new` refuses it.
        let refused =
            server.psql("postgres", "create table t (id int) partition by list (id); create publication p for table t");
        assert!(refused.unwrap_err().to_string().contains("partitioned table"));
        return;
    }
    let rig = Rig::of(
        server,
        "create table t (id int, region text, name text, primary key (id, region)) partition by list (region);
         create table t_eu partition of t for values in ('eu');
         create table t_us (name text, region text not null, id int not null);
         alter table t attach partition t_us for values in ('us')",
        &["t id,region name region"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'eu', 'Ann'); update t set region = 'us'");
    tail.check(&[
        "begin",
        "schema t (id integer, region text, name text) key id,region",
        "full t 1,eu region='eu' name='Ann'",
        "gone t 1,eu",
        "full t 1,us region='us' name='Ann'",
        "end",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_28_a_row_crosses_the_filter() {
    let rig = Rig::new("create table t (id int primary key, on_sale bool not null)", &["t id id on_sale"]).await;
    let filter = "alter publication \"Tail \"\"1\"\"\" set table t where (on_sale)";
    rig.sql("alter table t replica identity full");
    let filtered = rig.server.psql("postgres", filter).is_ok();
    assert_eq!(filtered, rig.server.major_version() >= 15);
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, false)");
    rig.sql("update t set on_sale = true");
    rig.sql("update t set on_sale = false");
    let (lines, _) = tail.transactions(if filtered { 2 } else { 3 }).await;
    let rows: Vec<_> = lines.iter().filter(|line| line.contains(" t 1")).collect();
    let (on, off) = ("full t 1 id='1' on_sale='t'", "full t 1 id='1' on_sale='f'");
    assert_eq!(rows, if filtered { vec![on, "gone t 1"] } else { vec![off, on, off] });
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_29_a_column_list() {
    let rig = Rig::new("create table t (id int primary key, name text, other text)", &["t id id name"]).await;
    let listed = rig.server.psql("postgres", "alter publication \"Tail \"\"1\"\"\" set table t (id, name)").is_ok();
    assert_eq!(listed, rig.server.major_version() >= 15);
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'Ann', 'x')");
    rig.sql("update t set other = 'y'");
    // Without a list the server tells every column, and the decoder passes over those that nobody maps.
    let row = "full t 1 id='1' name='Ann'";
    tail.check(&["begin", "schema t (id integer, name text) key id", row, "end", "begin", row, "end"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_32_messages_stand_inside_and_outside_of_transactions() {
    let rig = Rig::new("create table t (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    rig.sql("select pg_logical_emit_message(false, 'p', 'outside')");
    rig.sql(
        "begin; insert into t values (1); select pg_logical_emit_message(false, 'p', 'x');
         select pg_logical_emit_message(true, 'p', 'y'); insert into t values (2); commit",
    );
    tail.check(&["begin", "schema t (id integer) key id", "full t 1 id='1'", "full t 2 id='2'", "end"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_50_settings_of_the_role_do_not_show_through() {
    let rig = Rig::new(
        "create table t (id int primary key, d date, ts timestamptz, i interval, f float8, b bytea);
         alter role postgres set datestyle = 'German'; alter role postgres set timezone = 'Asia/Kolkata';
         alter role postgres set bytea_output = 'escape'; alter role postgres set intervalstyle = 'iso_8601';
         alter role postgres set extra_float_digits = -5",
        &["t id d ts i f b"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql(r"insert into t values (1, '2024-01-02', '2024-01-02 03:04:05.06+00', '1 mon -2 days 03:04:05', 0.1::float8 + 0.2, '\xdead')");
    let (lines, _) = tail.transactions(1).await;
    // As short as can be since 12; before, with three digits more than are certain.
    let sum = if rig.server.major_version() >= 12 { "0.30000000000000004" } else { "0.300000000000000044" };
    let want = format!(
        "full t 1 d='2024-01-02' ts='2024-01-02 03:04:05.06+00' i='1 mon -2 days +03:04:05' f='{sum}' b='\\xdead'"
    );
    assert_eq!(lines[2], want);
}
