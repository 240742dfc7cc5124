//! The catalogue, looked at again and again.

use passerelle_change::TableName;
use passerelle_mysql::catalog::{Catalog, Readings, Watch};
use passerelle_mysql::{Options, sql};
use passerelle_test_servers::MariadbServer;

use crate::rig::{options, table};

fn names() -> Vec<TableName> {
    ["t", "gone", "parts"].map(table).to_vec()
}

/// How many statements the server has been sent.
fn questions(server: &MariadbServer) -> u64 {
    let status = server.sql("", "show global status like 'Questions'").unwrap();
    status.split('\t').nth(1).unwrap().parse().unwrap()
}

#[tokio::test]
async fn my_42_a_look_sees_what_changed_since_at_the_cost_of_a_statement_a_table() {
    let server = MariadbServer::start().unwrap();
    server
        .sql(
            "",
            "create database shop; use shop; create table t (id int primary key auto_increment, a varchar(9), n int);
             create table parts (id int primary key) partition by hash (id) partitions 2",
        )
        .unwrap();
    let mut watch = Watch::new(options(&server), Readings::default());
    let first = watch.read(&names()).await.unwrap();
    assert_eq!((first.tables.len(), first.tables[1].partitions.len()), (2, 2));
    let fresh = async || {
        let mut connection = sql::connect(&options(&server)).await.unwrap();
        passerelle_mysql::catalog::read(&mut connection, &names(), &Readings::default()).await.unwrap()
    };
    let same = |a: &Catalog, b: &Catalog| {
        let facts = |catalog: &Catalog| {
            catalog
                .tables
                .iter()
                .cloned()
                .map(|mut table| {
                    table.estimated_rows = 0;
                    table
                })
                .collect::<Vec<_>>()
        };
        facts(a) == facts(b)
    };
    assert!(same(&first, &fresh().await));

    // Rows change nothing, and a look costs one statement for each table that is there, one for one that is not.
    server.sql("shop", "insert into t (a, n) values ('x', 1), ('y', 2), ('z', 3)").unwrap();
    let before = questions(&server);
    assert!(same(&first, &watch.read(&names()).await.unwrap()));
    assert!(questions(&server) - before <= 5, "{}", questions(&server) - before);

    for statement in [
        "alter table t change a b varchar(9)",
        "alter table t alter n set default 5",
        "alter table t modify n bigint not null default 5",
        "alter table t convert to character set latin1",
        "alter table t drop primary key, add primary key (id, n)",
        "alter table parts coalesce partition 1",
        "rename table t to t_old, parts to t",
        "drop table t",
        "create table t (id int primary key)",
    ] {
        let earlier = watch.read(&names()).await.unwrap();
        server.sql("shop", statement).unwrap();
        let now = watch.read(&names()).await.unwrap();
        assert!(!same(&earlier, &now), "{statement}");
        assert!(same(&now, &fresh().await), "{statement}");
    }
}

#[tokio::test]
async fn my_42_a_look_after_the_server_was_away() {
    let mut server = MariadbServer::start().unwrap();
    server.sql("", "create database shop; create table shop.t (id int primary key)").unwrap();
    let mut watch = Watch::new(options(&server), Readings::default());
    assert_eq!(watch.read(&names()).await.unwrap().tables.len(), 1);
    server.restart().unwrap();
    // The end of the old connection may be met by the next look, but no later.
    let again = match watch.read(&names()).await {
        Ok(again) => again,
        Err(_) => watch.read(&names()).await.unwrap(),
    };
    assert_eq!(again.tables.len(), 1);
    // One that is not waited for.
    drop(tokio::time::timeout(std::time::Duration::ZERO, watch.read(&names())).await);
    assert_eq!(watch.read(&names()).await.unwrap().tables.len(), 1);
}

#[tokio::test]
async fn my_42_of_a_table_that_may_be_seen_in_part_a_look_sees_that_part() {
    let server = MariadbServer::start().unwrap();
    server
        .sql(
            "",
            "create database shop; create table shop.t (id int primary key, a int, b int);
             create user poor@'%'; grant select (id, a) on shop.t to poor@'%'",
        )
        .unwrap();
    let options = Options { user: "poor".into(), database: "shop".into(), ..options(&server) };
    let mut watch = Watch::new(options, Readings::default());
    let seen = |catalog: Catalog| {
        let readable = catalog.tables[0].columns.iter().filter(|column| column.readable);
        readable.map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(seen(watch.read(&names()).await.unwrap()), ["id", "a"]);
    server.sql("", "revoke select (a) on shop.t from poor@'%'; grant select (b) on shop.t to poor@'%'").unwrap();
    assert_eq!(seen(watch.read(&names()).await.unwrap()), ["id", "b"]);
}

/// It can be asked from a task of its own.
#[test]
fn a_look_is_sent_between_threads() {
    fn is_sent<T: Send>(_: T) {}
    let _ = |watch: &'static mut Watch, names: &'static [TableName]| is_sent(watch.read(names));
}
