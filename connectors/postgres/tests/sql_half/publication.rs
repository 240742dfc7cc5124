use std::collections::BTreeSet;

use passerelle_change::Class;
use passerelle_postgres::Error;
use passerelle_postgres::publication::{Columns, Wanted, current, ensure};

use crate::rig::{Rig, name, strings};

const TABLES: &str = "
    create table a (id int primary key, x text, y text);
    create table \"B c\" (\"Id\" int primary key, \"select\" text);
    create table whole (id int primary key, x text); alter table whole replica identity full;
    create table root (id int, at int, x text, primary key (id, at)) partition by range (at);
    create table leaf partition of root for values from (0) to (10)";

async fn wanted(rig: &Rig, tables: &[(&str, &[&str])]) -> Vec<Wanted> {
    let mut wanted = Vec::new();
    for (table, columns) in tables {
        let facts = rig.facts(table).await;
        wanted
            .push(Wanted::new(&facts, &strings(columns), Columns::Mapped, version(rig)).expect("it can be published"));
    }
    wanted
}

/// `server_version_num`.
fn version(rig: &Rig) -> u32 {
    rig.sql("show server_version_num").parse().expect("a number")
}

/// The partitioned table, where it can be published: from 13 on.
fn root<'a>(rig: &Rig, columns: &'a [&'a str]) -> Option<(&'a str, &'a [&'a str])> {
    (rig.major() >= 13).then_some(("root", columns))
}

#[tokio::test]
async fn it_is_made_once_and_left_alone_then() {
    let rig = Rig::new(TABLES);
    let client = rig.client("postgres").await;
    let mut names: Vec<(&str, &[&str])> = vec![("a", &["x"]), ("B c", &["select"]), ("whole", &["x"])];
    names.extend(root(&rig, &["x"]));
    let tables = wanted(&rig, &names).await;
    let made = ensure(&client, "my \"pub\"", &tables, true).await.expect("it is made");
    assert_eq!(made.statements.len(), 1);
    assert_eq!(ensure(&client, "my \"pub\"", &tables, true).await.expect("it is right").statements, [""; 0]);

    let found = current(&client, "my \"pub\"", version(&rig)).await.expect("it is read").expect("it is there");
    assert!(found.via_root && found.every_operation && !found.all_tables);
    let columns =
        |table: &str| found.tables.iter().find(|found| found.table == name(table)).expect(table).columns.clone();
    // Before 15 all columns are published.
    let set = |columns: &[&str]| (rig.major() >= 15).then(|| strings(columns).into_iter().collect::<BTreeSet<_>>());
    assert_eq!(columns("a"), set(&["id", "x"]));
    assert_eq!(columns("B c"), set(&["Id", "select"]));
    assert_eq!(columns("whole"), None);
    if rig.major() >= 13 {
        assert_eq!(columns("root"), set(&["at", "id", "x"]));
    } else {
        let refused = Wanted::new(&rig.facts("root").await, &strings(&["x"]), Columns::Mapped, version(&rig));
        assert!(matches!(refused, Err(Error::NotPublishable { .. })), "{refused:?}");
    }
}

#[tokio::test]
async fn pg_29_another_mapping_changes_the_list_and_the_application_can_still_write() {
    let rig = Rig::new(TABLES);
    let client = rig.client("postgres").await;
    ensure(&client, "p", &wanted(&rig, &[("a", &["x"]), ("whole", &["x"])]).await, true).await.expect("it is made");
    let mut names: Vec<(&str, &[&str])> = vec![("a", &["y"])];
    names.extend(root(&rig, &["x"]));
    let tables = wanted(&rig, &names).await;
    let changed = ensure(&client, "p", &tables, true).await.expect("it is changed");
    let want = match rig.major() {
        15.. => "ONLY \"public\".\"a\" (\"id\", \"y\"), \"public\".\"root\" (\"at\", \"id\", \"x\")",
        13.. => "ONLY \"public\".\"a\", \"public\".\"root\"",
        _ => "ONLY \"public\".\"a\"",
    };
    assert_eq!(changed.statements, [format!("ALTER PUBLICATION \"p\" SET TABLE {want}")]);
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);
    rig.sql("insert into a values (1); update a set y = 'n'; delete from a; insert into root values (1, 1); update root set x = 'n'; delete from root");
}

#[tokio::test]
async fn pg_28_a_row_filter_and_foreign_options_are_dealt_with() {
    let rig = Rig::new(TABLES);
    // Both came with 15.
    let (columns, filter) = (rig.columns("(id, x)"), rig.columns("where (id > 5)"));
    rig.sql(&format!("create publication p for table only a {columns} {filter} with (publish = 'insert')"));
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("a", &["x"]), ("whole", &[])]).await;
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is changed").statements.len(), 2);
    let found = current(&client, "p", version(&rig)).await.expect("it is read").expect("it is there");
    assert!(found.via_root && found.every_operation);
    let filters: Vec<_> = found.tables.iter().filter_map(|table| table.filter.as_deref()).collect();
    assert_eq!(filters, if rig.major() >= 15 { vec!["(id > 5)"] } else { vec![] });
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);
}

#[tokio::test]
async fn one_for_all_tables_is_left_as_it_is() {
    let rig = Rig::new(TABLES);
    rig.sql(&format!("create publication p for all tables {}", rig.via_root()));
    let mut names = vec!["p"];
    // Schemas came with 15.
    if rig.major() >= 15 {
        rig.sql("create publication q for tables in schema public with (publish_via_partition_root)");
        names.push("q");
    }
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("a", &["x"])]).await;
    for name in names {
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

    let more = wanted(&rig, &[("a", &["x", "y"]), ("whole", &["x"])]).await;
    let error = ensure(&client, "p", &more, true).await.expect_err("it may not");
    let Class::Operator { hint } = error.class() else { panic!("{error:?}") };
    let columns = rig.columns(" (\"id\", \"x\", \"y\")");
    let statement =
        format!("ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\"{columns}, ONLY \"public\".\"whole\";");
    assert!(hint.contains(&statement), "{hint}");

    let superuser = rig.client("postgres").await;
    let error = ensure(&superuser, "other", &more, false).await.expect_err("it is not to");
    assert!(matches!(error, Error::MissingRights { .. }));
    assert_eq!(current(&superuser, "other", version(&rig)).await.expect("it is read"), None);
}

/// The server refuses lists of columns where the replica identity of a partition is FULL: the application could neither
/// update nor delete there.
#[tokio::test]
async fn pg_18_a_partition_with_identity_full_can_still_be_written() {
    let rig = Rig::new(TABLES);
    if rig.major() < 13 {
        return; // roots are refused there: see above
    }
    rig.sql("alter table leaf replica identity full");
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("root", &["x"])]).await;
    assert_eq!(tables[0].columns, None);
    ensure(&client, "p", &tables, true).await.expect("it is made");
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);
    rig.sql("insert into root values (1, 1); update root set x = 'n'; delete from root");
}

/// From 18 on the server refuses updates where the replica identity takes in a column that is not published.
#[tokio::test]
async fn pg_59_generated_columns_are_published_where_the_server_can_and_the_application_can_still_write() {
    let rig = Rig::new(TABLES);
    if rig.major() < 12 {
        return; // there are none
    }
    rig.sql("alter table a add twice int generated always as (1) stored; alter table whole add twice int generated always as (1) stored");
    let client = rig.client("postgres").await;
    let tables = wanted(&rig, &[("a", &["x", "twice"]), ("whole", &["x", "twice"])]).await;
    ensure(&client, "p", &tables, true).await.expect("it is made");
    assert_eq!(ensure(&client, "p", &tables, true).await.expect("it is right").statements, [""; 0]);
    let found = current(&client, "p", version(&rig)).await.expect("it is read").expect("it is there");
    assert_eq!(found.generated, rig.major() >= 18);
    let listed = found.tables[0].columns.as_ref().map(|columns| columns.contains("twice"));
    assert_eq!(listed, (rig.major() >= 15).then_some(rig.major() >= 18));
    for table in ["a", "whole"] {
        rig.sql(&format!("insert into {table} (id) values (1); update {table} set x = 'n'; delete from {table}"));
    }
}

#[tokio::test]
async fn pg_59_what_would_stop_the_application_is_refused() {
    let rig = Rig::new(TABLES);
    if rig.major() < 12 {
        return; // there are none
    }
    rig.sql("create table computed (a int, code int generated always as (a * 2) stored primary key)");
    let made = Wanted::new(&rig.facts("computed").await, &strings(&["a"]), Columns::Mapped, version(&rig));
    assert_eq!(made.is_ok(), rig.major() >= 18, "{made:?}");
    if rig.major() >= 18 {
        rig.sql("alter table whole add twice int generated always as (1) virtual");
        let Err(Error::NotPublishable { remedy, .. }) =
            Wanted::new(&rig.facts("whole").await, &strings(&["x"]), Columns::Mapped, version(&rig))
        else {
            panic!("it is refused")
        };
        rig.sql(&remedy);
        let client = rig.client("postgres").await;
        ensure(&client, "p", &wanted(&rig, &[("whole", &["x"])]).await, true).await.expect("it is made");
        rig.sql("insert into whole (id) values (1); update whole set x = 'n'; delete from whole");
    }
}
