use std::collections::BTreeSet;

use passerelle_postgres::publication::{Wanted, current, ensure};
use passerelle_postgres::{Class, Error};

use crate::rig::{Rig, name, strings};

const TABLES: &str = "
    create table a (id int primary key, x text, y text, twice int generated always as (1) stored);
    create table \"B c\" (\"Id\" int primary key, \"select\" text);
    create table whole (id int primary key, x text); alter table whole replica identity full;
    create table root (id int, at int, x text, primary key (id, at)) partition by range (at);
    create table leaf partition of root for values from (0) to (10)";

async fn wanted(rig: &Rig, tables: &[(&str, &[&str])]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (table, columns) in tables {
        let facts = rig.facts(table).await;
        wanted.push(Wanted::new(&facts, &strings(columns), 150_000).expect("it can be published"));
    }
    wanted
}

#[tokio::test]
async fn it_is_made_once_and_left_alone_then() {
    let rig = Rig::new(TABLES);
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("a", &["x"]), ("B c", &["select"]), ("whole", &["x"]), ("root", &["x"])]).await;
    let made = ensure(&client, "my \"pub\"", &tables, true).await.expect("it is made");
    assert_eq!(made.statements.len(), 1);
    assert_eq!(ensure(&client, "my \"pub\"", &tables, true).await.expect("it is right").statements, [""; 0]);

    let found = current(&client, "my \"pub\"", 150_000).await.expect("it is read").expect("it is there");
    assert!(found.via_root && found.every_operation && !found.all_tables);
    let columns =
        |table: &str| found.tables.iter().find(|found| found.table == name(table)).expect(table).columns.clone();
    let set = |columns: &[&str]| Some(strings(columns).into_iter().collect::<BTreeSet<_>>());
    assert_eq!(columns("a"), set(&["id", "x"]));
    assert_eq!(columns("B c"), set(&["Id", "select"]));
    assert_eq!(columns("root"), set(&["at", "id", "x"]));
    assert_eq!(columns("whole"), None);
}

#[tokio::test]
async fn pg_29_another_mapping_changes_the_list_and_the_application_can_still_write() {
    let rig = Rig::new(TABLES);
    let client = rig.client("postgres").await;
    ensure(&client, "p", &wanted(&rig, &[("a", &["x"]), ("whole", &["x"])]).await, true).await.expect("it is made");
    let tables = wanted(&rig, &[("a", &["y"]), ("root", &["x"])]).await;
    let changed = ensure(&client, "p", &tables, true).await.expect("it is changed");
    let want = "ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\", \"y\"), \"public\".\"root\" (\"at\", \"id\", \"x\")";
    assert_eq!(changed.statements, [want]);
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);
    rig.sql("insert into a values (1); update a set y = 'n'; delete from a; insert into root values (1, 1); update root set x = 'n'; delete from root");
}

#[tokio::test]
async fn pg_28_a_row_filter_and_foreign_options_are_dealt_with() {
    let rig = Rig::new(TABLES);
    rig.sql("create publication p for table only a (id, x) where (id > 5) with (publish = 'insert')");
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("a", &["x"]), ("root", &[])]).await;
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is changed").statements.len(), 2);
    let found = current(&client, "p", 150_000).await.expect("it is read").expect("it is there");
    assert!(found.via_root && found.every_operation);
    assert_eq!(found.tables.iter().filter_map(|table| table.filter.as_deref()).collect::<Vec<_>>(), ["(id > 5)"]);
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);
}

#[tokio::test]
async fn one_for_all_tables_is_left_as_it_is() {
    let rig = Rig::new(TABLES);
    rig.sql("create publication p for all tables with (publish_via_partition_root); create publication q for tables in schema public with (publish_via_partition_root)");
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("a", &["x"])]).await;
    for name in ["p", "q"] {
        assert_eq!(ensure(&client, name, &tables, true).await.expect("it is right").statements, [""; 0]);
    }
}

#[tokio::test]
async fn pg_48_what_we_may_not_do_is_handed_to_the_dba_word_for_word() {
    let rig = Rig::new(TABLES);
    rig.sql("create role erp login replication; grant select on a to erp");
    let client = rig.client("erp").await;
    let tables = wanted(&rig, &[("a", &["x"])]).await;
    let Err(Error::MissingRights { statements, .. }) = ensure(&client, "p", &tables, true).await else {
        panic!("it may not")
    };
    rig.sql(&statements.join("; "));
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);

    let more = wanted(&rig, &[("a", &["x", "y"])]).await;
    let error = ensure(&client, "p", &more, true).await.expect_err("it may not");
    let Class::Operator { hint } = error.class() else { panic!("{error:?}") };
    assert!(hint.contains("ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\", \"x\", \"y\");"), "{hint}");

    let superuser = rig.client("postgres").await;
    let error = ensure(&superuser, "other", &more, false).await.expect_err("it is not to");
    assert!(matches!(error, Error::MissingRights { .. }));
    assert_eq!(current(&superuser, "other", 150_000).await.expect("it is read"), None);
}
