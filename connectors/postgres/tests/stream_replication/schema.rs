//! Columns that change while the stream runs.

use passerelle_test_servers::PgServer;

use crate::rig::Rig;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_19_the_same_description_again_is_no_event() {
    let rig = Rig::new("create table t (id int primary key); create table u (id int primary key)", &["t id id"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1)");
    tail.check(&["begin", "schema t (id integer) key id", "full t 1 id='1'", "end"]).await;
    // Makes the server describe every table again.
    rig.sql("alter publication \"Tail \"\"1\"\"\" add table u");
    rig.sql("insert into t values (2)");
    tail.check(&["begin", "full t 2 id='2'", "end"]).await;
    // A column that is not mapped does not matter, though the description differs.
    rig.sql("alter table t add other text");
    rig.sql("insert into t values (3)");
    tail.check(&["begin", "full t 3 id='3'", "end"]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_20_columns_renamed_dropped_and_added() {
    let rig = Rig::new("create table t (id int primary key, name text, n int)", &["t id id name n"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'Ann', 5)");
    rig.sql("begin; alter table t rename name to title; insert into t values (2, 'Bob', 6); commit");
    rig.sql("alter table t drop n; alter table t add n bigint default 9; alter table t add name varchar(3)");
    rig.sql("insert into t values (3, 'x')");
    tail.check(&[
        "begin",
        "schema t (id integer, name text, n integer) key id",
        "full t 1 id='1' name='Ann' n='5'",
        "end",
        "begin",
        "schema t (id integer, title text, n integer) key id",
        "partial t 2 id='2' title='Bob' n='6'",
        "end",
        "begin",
        "schema t (id integer, n bigint, name character varying(3)) key id",
        "full t 3 id='3' n='9' name=null",
        "end",
    ])
    .await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_24_enums_and_domains_go_by_name() {
    let rig = Rig::new(
        "create type mood as enum ('sad', 'ok'); create domain price as numeric(10,2);
         create table t (id int primary key, m mood, p price, l mood[])",
        &["t id m p l"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'ok', 1.5, '{ok,sad}')");
    let (lines, _) = tail.transactions(1).await;
    assert!(lines[1].contains("m public.mood"), "{lines:?}");
    assert_eq!(lines[2], "full t 1 m='ok' p='1.50' l='{ok,sad}'");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_20_an_accepted_rename_is_whole_before_and_after_it() {
    let mut rig = Rig::new("create table t (id int primary key, name text)", &["t id id name"]).await;
    rig.sql("insert into t values (1, 'Ann')");
    rig.sql("alter table t rename name to title; alter table t rename id to number");
    rig.sql("insert into t values (2, 'Bob'); update t set number = 3 where number = 1");
    // As it is set up after somebody has accepted both: by the new names, in log that is older.
    let wanted = &mut rig.wanted[0];
    wanted.key = vec!["number".into()];
    wanted.columns = ["number", "title"].map(str::to_owned).into();
    wanted.renamed =
        [("number", "id"), ("title", "name")].map(|(now, then)| (now.to_owned(), [then.to_owned()].into())).into();
    let mut tail = rig.tail().await;
    tail.check(&[
        "begin",
        "schema t (id integer, name text) key id",
        "full t 1 id='1' name='Ann'",
        "end",
        "begin",
        "schema t (number integer, title text) key number",
        "full t 2 number='2' title='Bob'",
        "full t 3 was 1 number='3' title='Ann'",
        "end",
    ])
    .await;
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_20_a_renamed_key_is_followed_and_one_that_is_gone_holds_its_table_alone() {
    let sql = "create table t (id int primary key, name text); create table u (id int primary key, name text)";
    let rig = Rig::new(sql, &["t id id name", "u id id name"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'Ann')");
    rig.sql("alter table t rename id to number");
    rig.sql("insert into t values (2, 'Bob'); delete from t where number = 1");
    rig.sql("alter table t drop number; alter table t add code text primary key default 'x'");
    rig.sql(
        "begin; insert into u values (1, 'Cy'); update t set name = 'Di'; insert into t values ('Ed', 'y'); commit",
    );
    rig.sql("insert into u values (2, 'Flo')");
    tail.check(&[
        "begin",
        "schema t (id integer, name text) key id",
        "full t 1 id='1' name='Ann'",
        "end",
        "begin",
        "schema t (number integer, name text) key number",
        "partial t 2 number='2' name='Bob'",
        "gone t 1",
        "end",
        "begin",
        "schema u (id integer, name text) key id",
        "full u 1 id='1' name='Cy'",
        "suspect 1: a column of the row key is not in the table",
        "end",
        "begin",
        "full u 2 id='2' name='Flo'",
        "end",
    ])
    .await;
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_17_an_identity_without_the_key_holds_the_table() {
    let rig = Rig::new(
        "create table t (id int primary key, code text not null unique); alter table t replica identity using index t_code_key;
         create table u (id int primary key)",
        &["t id id code", "u id id"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'a'); insert into u values (1)");
    tail.check(&[
        "begin",
        "suspect 1: a column of the row key is not in the table",
        "schema u (id integer) key id",
        "full u 1 id='1'",
        "end",
    ])
    .await;
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_27_leaves_of_another_order_come_and_go() {
    let server = PgServer::start().unwrap();
    if server.major_version() < 13 {
        return; // roots cannot be published
    }
    let rig = Rig::of(
        server,
        "create table t (id int, region text, name text, primary key (id, region)) partition by list (region);
         create table t_eu partition of t for values in ('eu');
         create table t_us (name text, gone int, region text not null, id int not null); alter table t_us drop gone",
        &["t id,region id name region"],
    )
    .await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t_us values ('Ann', 'us', 1)");
    rig.sql("alter table t attach partition t_us for values in ('us')");
    rig.sql("insert into t_us values ('Bob', 'us', 2); update t set name = 'Bo' where id = 2");
    rig.sql("alter table t rename name to title");
    rig.sql("insert into t values (3, 'us', 'Cy'), (4, 'eu', 'Di')");
    rig.sql("alter table t detach partition t_us");
    rig.sql("insert into t_us values ('Ed', 'us', 5)");
    rig.sql("delete from t where id = 4");
    tail.check(&[
        "begin",
        "schema t (id integer, region text, name text) key id,region",
        "full t 2,us id='2' region='us' name='Bob'",
        "full t 2,us id='2' region='us' name='Bo'",
        "end",
        "begin",
        "schema t (id integer, region text, title text) key id,region",
        "partial t 3,us id='3' region='us' title='Cy'",
        "partial t 4,eu id='4' region='eu' title='Di'",
        "end",
        "begin",
        "gone t 4,eu",
        "end",
    ])
    .await;
    tail.stop().await.unwrap();
}
