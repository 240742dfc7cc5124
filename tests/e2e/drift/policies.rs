//! `on_drift`, what is no event, and mappings that share a table.

use super::{ALL, ROWS, TEL, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::world::World;

async fn hold_holds_what_would_go_on<S: Database>(world: World<S>, ddl: &str) {
    let told = world.held_for(ddl, ROWS).await;
    assert_eq!(told[0]["severity"], "none", "{told:?}");
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
    world.sql("alter table customer add column vip int");
    world.settled().await;
    world.comes_out(ALL).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]), "additions never hold");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_hold_holds_what_would_go_on() {
    let world = on_postgres("", &mappings("on_drift = \"hold\"")).await;
    hold_holds_what_would_go_on(world, "alter table customer alter column phone type text").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_hold_holds_what_would_go_on() {
    let world = on_mariadb(&[], "", &mappings("on_drift = \"hold\"")).await;
    hold_holds_what_would_go_on(world, "alter table customer modify phone varchar(80)").await;
}

async fn continue_follows_and_leaves_out<S: Database>(world: World<S>) {
    let behind =
        "update customer set tel = '+992' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')";
    world.sql(&format!(
        "update customer set phone = '+771' where id = 1; alter table customer rename column phone to tel; {behind}"
    ));
    world.settled().await;
    world.comes_out(TEL).await;
    let phones: Vec<_> = world.customers(&[("Phone", "tel")]).into_iter().collect();
    world.sql("alter table customer drop column tel; update customer set city = 'Caen' where id = 2");
    world.settled().await;
    let mut expected = world.customers(&[("Name", "name"), ("BillingCity", "city")]);
    for (key, mut phone) in phones {
        expected.get_mut(&key).unwrap().append(&mut phone);
    }
    world.expect("Account", &expected).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
    world.held_for("alter table customer rename to buyer", "select 1").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_continue_follows_and_leaves_out() {
    continue_follows_and_leaves_out(on_postgres("", &mappings("on_drift = \"continue\"")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_continue_follows_and_leaves_out() {
    continue_follows_and_leaves_out(on_mariadb(&[], "", &mappings("on_drift = \"continue\"")).await).await;
}

async fn fail_stops_the_source_until_it_is_settled<S: Database>(mut world: World<S>) {
    world.sql(&format!("alter table customer drop column phone; {ROWS}"));
    let failed = world
        .until("the source to stop", async || {
            let source = world.status_of("sources", "erp").await?;
            (source["state"] == "failed" || source["state"] == "stopped" || source["state"] == "halted")
                .then_some(source)
        })
        .await;
    assert!(failed.to_string().contains("phone"), "{failed:#}");
    world.sql("insert into product values (1, 'Chair')");
    assert_eq!(world.writes(), [""; 0]);
    world.remap(&mappings("").replace("Phone = \"phone\"\n", ""));
    world.cli(&["reload"]);
    world.goes_on("customers").await;
    world.settled().await;
    assert!(world.writes().contains(&"created Contact 1 LastName=\"Chair\"".to_owned()));
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_fail_stops_the_source_until_it_is_settled() {
    fail_stops_the_source_until_it_is_settled(on_postgres("", &mappings("on_drift = \"fail\"")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_fail_stops_the_source_until_it_is_settled() {
    fail_stops_the_source_until_it_is_settled(on_mariadb(&[], "", &mappings("on_drift = \"fail\"")).await).await;
}

/// What nobody maps, in a table that is mapped and beside it.
async fn what_nobody_maps_is_no_event<S: Database>(world: World<S>, ddl: &[&str]) {
    let before = world.daemon.borrow().log().matches("set up anew").count();
    let since = world.status_of("sources", "erp").await.unwrap()["since"].clone();
    for (n, ddl) in ddl.iter().enumerate() {
        world.sql(&format!("{ddl}; update customer set city = 'city {n}' where id = 2"));
    }
    world.settled().await;
    world.comes_out(ALL).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
    assert_eq!(world.status_of("sources", "erp").await.unwrap()["since"], since);
    // The catalogue was read after the last of them: it has shown this one, which is the first that mattered.
    world.sql("alter table customer drop column phone");
    world.drifted("customers").await;
    let log = world.daemon.borrow().log();
    assert_eq!(log.matches("set up anew").count(), before + 1, "{log}");
}

const UNMAPPED: &[&str] = &[
    "alter table customer add column note int",
    "create table other (id int primary key, note int); insert into other values (1, 1); alter table other drop column note",
    "alter table customer rename column note to remark",
    "alter table customer drop column remark",
    "create index by_city on customer (city)",
    "drop table other",
];

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_what_nobody_maps_is_no_event() {
    let more = ["alter table customer alter column spare type text", "alter table customer drop column spare"];
    let world = on_postgres("alter table customer add column spare int", &mappings("")).await;
    what_nobody_maps_is_no_event(world, &[UNMAPPED, &more].concat()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_what_nobody_maps_is_no_event() {
    let more = ["alter table customer modify spare text", "alter table customer drop column spare"];
    let world = on_mariadb(&[], "alter table customer add column spare int", &mappings("")).await;
    what_nobody_maps_is_no_event(world, &[UNMAPPED, &more].concat()).await;
}

/// Leads of the same table, by its names alone.
const LEADS: &str = "[mapping.leads]\nsource = \"erp\"\ntable = \"public.customer\"\ncrm = \"sales\"\nobject = \"Lead\"\n\
    key = { field = \"Erp_Id__c\", value = \"id\" }\n[mapping.leads.fields]\nLastName = \"name\"\nCompany = \"city\"\n";

async fn of_two_mappings_of_a_table_the_one_that_is_touched_is_held<S: Database>(world: World<S>) {
    let behind = "update customer set tel = '+992', name = 'Bo' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')";
    world.held_for("alter table customer rename column phone to tel", behind).await;
    let leads = || world.customers(&[("LastName", "name"), ("Company", "city")]);
    world.expect("Lead", &leads()).await;
    world.accepts(&[]).await;
    world.comes_out(TEL).await;
    world.expect("Lead", &leads()).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_of_two_mappings_of_a_table_the_one_that_is_touched_is_held() {
    let world = on_postgres("", &(mappings("") + LEADS)).await;
    of_two_mappings_of_a_table_the_one_that_is_touched_is_held(world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_of_two_mappings_of_a_table_the_one_that_is_touched_is_held() {
    let world = on_mariadb(&[], "", &(mappings("") + LEADS)).await;
    of_two_mappings_of_a_table_the_one_that_is_touched_is_held(world).await;
}
