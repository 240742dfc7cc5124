//! Columns that change while the stream runs.

use passerelle_postgres::Error;

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
        "schema t (id integer, n integer) key id",
        "partial t 2 id='2' n='6'",
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
async fn a_key_that_is_gone_is_an_error_after_what_came_before() {
    let rig = Rig::new("create table t (id int primary key, name text)", &["t id id name"]).await;
    let mut tail = rig.tail().await;
    rig.sql("insert into t values (1, 'Ann')");
    rig.sql("alter table t rename id to number");
    rig.sql("insert into t values (2, 'Bob')");
    let (lines, _) = tail.transactions(1).await;
    assert_eq!(lines[2], "full t 1 id='1' name='Ann'");
    let error = tail.fails().await;
    assert!(matches!(&error, Error::KeyColumnMissing { column, .. } if column == "id"), "{error}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_17_an_identity_without_the_key_is_refused() {
    let rig = Rig::new(
        "create table t (id int primary key, code text not null unique); alter table t replica identity using index t_code_key",
        &["t id id code"],
    )
    .await;
    let tail = rig.tail().await;
    rig.sql("insert into t values (1, 'a')");
    let error = tail.fails().await;
    assert!(matches!(&error, Error::KeyNotInIdentity { column, .. } if column == "id"), "{error}");
}
