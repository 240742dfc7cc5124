//! What happens to a table as a whole.

use super::{ALL, ROWS, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::world::World;
use passerelle::sandbox::SandboxOptions;
use passerelle_test_servers::PgServer;

async fn a_renamed_table_holds_until_it_is_back<S: Database>(world: World<S>) {
    let behind = "update buyer set city = 'Brest' where id = 2";
    let told = world.held_for("alter table customer rename to buyer", behind).await;
    assert!(["table_renamed", "table_dropped"].contains(&told[0]["kind"].as_str().unwrap()), "{told:?}");
    world.refused(&[]);
    world.sql("alter table buyer rename to customer");
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_25_a_renamed_table_holds_until_it_is_back() {
    a_renamed_table_holds_until_it_is_back(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_39_a_renamed_table_holds_until_it_is_back() {
    a_renamed_table_holds_until_it_is_back(on_mariadb(&[], "", &mappings("")).await).await;
}

async fn a_mapping_can_go_to_the_new_name<S: Database>(mut world: World<S>) {
    world.held_for("alter table customer rename to buyer", "update buyer set city = 'Brest' where id = 2").await;
    world.remap(&mappings("").replace("public.customer", "public.buyer"));
    world.cli(&["reload"]);
    world.goes_on("customers").await;
    world.settled().await;
    // As it is called in what compares.
    world.sql("create view customer as select * from buyer");
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_25_a_mapping_can_go_to_the_new_name() {
    a_mapping_can_go_to_the_new_name(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_39_a_mapping_can_go_to_the_new_name() {
    a_mapping_can_go_to_the_new_name(on_mariadb(&[], "", &mappings("")).await).await;
}

/// The table of [`super::TABLES`] again, with other rows.
const AGAIN: &str =
    "create table customer (id int primary key, name varchar(80) not null, phone varchar(40), city varchar(60));
    insert into customer values (1, 'Ada', '+441', 'Rome'), (2, 'Bob', null, 'Bari')";

/// The customers that are not in the new table stay: a row that nobody deleted may be anywhere.
async fn without_the_third<S: Database>(world: &World<S>) {
    world.settled().await;
    let mut expected = world.customers(ALL);
    let found = crate::records::of(world.crm(), "Account");
    if let Some(third) = found.get("3") {
        expected.insert("3".to_owned(), third.clone());
    }
    world.expect("Account", &expected).await;
}

async fn a_dropped_table_holds_until_it_is_back<S: Database>(world: World<S>) {
    let told = world.held_for("drop table customer", "select 1").await;
    assert_eq!(World::<S>::kinds(&told), ["table_dropped"], "{told:?}");
    assert!(world.refused(&[]).contains("is gone"));
    world.sql(AGAIN);
    if S::ERP == "postgres" {
        world
            .until("the new table to be seen", async || {
                let told = world.drifted("customers").await;
                (World::<S>::kinds(&told) == ["table_replaced"]).then_some(())
            })
            .await;
        world.captured().await;
        world.accepts(&[]).await;
    }
    world.goes_on("customers").await;
    without_the_third(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_25_a_dropped_table_holds_until_it_is_back() {
    a_dropped_table_holds_until_it_is_back(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_39_a_dropped_table_holds_until_it_is_back() {
    a_dropped_table_holds_until_it_is_back(on_mariadb(&[], "", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_25_a_table_that_is_made_anew_is_read_again() {
    let world = on_postgres("", &mappings("")).await;
    let told = world.held_for(&format!("drop table customer; {AGAIN}"), ROWS).await;
    assert_eq!(World::<PgServer>::kinds(&told), ["table_replaced"], "{told:?}");
    world.accepts(&[]).await;
    without_the_third(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_39_a_table_that_is_made_anew_comes_out_right() {
    let world = on_mariadb(&[], "", &mappings("")).await;
    world.sql(&format!("drop table customer; {AGAIN}; {ROWS}"));
    world.settled().await;
    without_the_third(&world).await;
}

async fn a_truncated_table_is_no_drift<S: Database>(world: World<S>) {
    world.sql("update customer set city = 'Caen' where id = 1");
    world.sql("truncate table customer");
    world.sql("insert into customer values (2, 'Bob', '+992', 'Brest'), (4, 'Dan', '+994', 'Metz')");
    world.settled().await;
    world.comes_out(ALL).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
}

/// Rows that are truncated are deleted.
const TRUNCATED: &str = "on_delete = \"delete\"\non_truncate = \"delete\"\nguard = { deletes = \"100%\" }";

#[tokio::test(flavor = "multi_thread")]
async fn pg_26_a_truncated_table_is_no_drift() {
    a_truncated_table_is_no_drift(on_postgres("", &mappings(TRUNCATED)).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_40_a_truncated_table_is_no_drift() {
    a_truncated_table_is_no_drift(on_mariadb(&[], "", &mappings(TRUNCATED)).await).await;
}

async fn another_key_holds_until_it_is_put_back<S: Database>(world: World<S>, ddl: &str, back: &str) {
    let told = world.held_soon_for(ddl, ROWS).await;
    assert!(World::<S>::kinds(&told).contains(&"key_changed"), "{told:?}");
    assert!(world.refused(&[]).contains("put the key back"));
    world.sql(back);
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_27_another_key_holds_until_it_is_put_back() {
    let ddl = "alter table customer drop constraint customer_pkey, add primary key (id, name)";
    let back = "alter table customer drop constraint customer_pkey, add primary key (id)";
    another_key_holds_until_it_is_put_back(on_postgres("", &mappings("")).await, ddl, back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_41_another_key_holds_until_it_is_put_back() {
    let ddl = "alter table customer drop primary key, add primary key (id, name)";
    let back = "alter table customer drop primary key, add primary key (id)";
    another_key_holds_until_it_is_put_back(on_mariadb(&[], "", &mappings("")).await, ddl, back).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_27_a_table_without_an_identity_holds_until_it_has_one() {
    let world = on_postgres("", &mappings("")).await;
    let behind = "insert into customer values (4, 'Dan', null, 'Metz')";
    let told = world.held_soon_for("alter table customer replica identity nothing", behind).await;
    assert!(World::<PgServer>::kinds(&told).contains(&"identity_changed"), "{told:?}");
    assert!(world.refused(&[]).contains("REPLICA IDENTITY DEFAULT"));
    world.sql("alter table customer replica identity default");
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_27_a_fuller_identity_holds_nothing() {
    let world = on_postgres("", &mappings("")).await;
    world.sql(&format!(
        "update customer set city = 'Caen' where id = 1; alter table customer replica identity full; {ROWS}"
    ));
    world.settled().await;
    world.comes_out(ALL).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
}

/// The customers by years.
const YEARS: &str = "drop table customer;
    create table customer (id int primary key, name varchar(80) not null, phone varchar(40), city varchar(60)) partition by range (id);
    create table customer_a partition of customer for values from (1) to (100);
    create table customer_b (id int primary key, name varchar(80) not null, phone varchar(40), city varchar(60));
    insert into customer values (1, 'Ada', '+331', 'Paris'), (2, 'Bob', '+332', 'Lyon'), (3, 'Cyd', '+333', 'Nice');
    insert into customer_b values (101, 'Eve', '+335', 'Toulon'), (102, 'Fay', null, null)";

#[tokio::test(flavor = "multi_thread")]
async fn pg_26_the_rows_of_an_attached_partition_are_read_and_those_of_a_detached_one_stay() {
    let world = on_postgres(YEARS, &mappings("")).await;
    world.sql(&format!(
        "update customer set city = 'Caen' where id = 1;
         alter table customer attach partition customer_b for values from (100) to (200); {ROWS}"
    ));
    world.expect("Account", &world.customers(ALL)).await;
    world.sql("update customer set city = 'Sète' where id = 101");
    world.settled().await;
    world.comes_out(ALL).await;
    let all = world.customers(ALL);
    world.sql("alter table customer detach partition customer_b; update customer_b set city = 'Rome'");
    world.sql("insert into product values (1, 'Chair')");
    world.settled().await;
    world.expect("Account", &all).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
}

/// As gh-ost and pt-online-schema-change do it.
fn swapped(change: &str, aside: &str) -> String {
    format!(
        "create table _customer_new (id int primary key, name varchar(80) not null, phone varchar(40), city varchar(60));
         alter table _customer_new {change};
         insert into _customer_new (id, name, phone, city) select id, name, phone, city from customer;
         rename table customer to {aside}, _customer_new to customer"
    )
}

#[tokio::test(flavor = "multi_thread")]
async fn my_52_a_swap_that_changes_nothing_mapped_is_no_event() {
    for aside in ["_customer_del", "_customer_old"] {
        let world = on_mariadb(&[], "", &mappings("")).await;
        world.sql(&format!(
            "update customer set city = 'Caen' where id = 1; {}; {ROWS}",
            swapped("add spare int", aside)
        ));
        world.settled().await;
        world.comes_out(ALL).await;
        assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn my_52_a_swap_that_changes_a_mapped_column_is_weighed() {
    let world = on_mariadb(&[], "", &mappings("")).await;
    let ddl = swapped("modify phone varchar(3)", "_customer_del");
    let told = world.held_for(&format!("set sql_mode = ''; {ddl}"), ROWS).await;
    assert!(World::<passerelle_test_servers::MariadbServer>::kinds(&told).contains(&"retyped"), "{told:?}");
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
}

/// In PostgreSQL a copy is another table.
#[tokio::test(flavor = "multi_thread")]
async fn pg_25_a_table_that_another_one_takes_the_place_of_is_read_again() {
    let world = on_postgres("", &mappings("")).await;
    let ddl = "create table copy (like customer including all); insert into copy select id, name, phone || '0', city from customer;
        alter table customer rename to former; alter table copy rename to customer";
    let told = world.held_for(ddl, ROWS).await;
    assert_eq!(World::<PgServer>::kinds(&told), ["table_replaced"], "{told:?}");
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
}

/// A column that the publication names takes the table with it.
#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_table_that_left_the_publication_is_put_back() {
    let mut world =
        World::of(PgServer::start().unwrap(), super::TABLES, &mappings(""), SandboxOptions::default()).await;
    "publish_columns = \"mapped\"\n".clone_into(&mut world.source_lines);
    world.configure();
    world.start().await;
    world.settled().await;
    world.mark();
    let told = world.held_for("alter table customer drop column phone cascade", ROWS).await;
    assert_eq!(World::<PgServer>::kinds(&told), ["column_dropped"], "{told:?}");
    world.accepts(&["--as-null", "phone"]).await;
    world.comes_out(&[("Name", "name"), ("BillingCity", "city")]).await;
}
