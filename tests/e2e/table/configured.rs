//! Mappings that are edited, paused, removed.

use serde_json::json;

use super::{ACCOUNT, accounts, accounts_with, mapping};
use crate::records::given;
use crate::world::World;

const TWO: &str = "insert into account (id, code, name, city, spare) values
    (1, 'a1', 'Ada', 'Paris', 'x'), (2, 'a2', 'Bob', 'Lyon', null)";

async fn edited(from: &str, to: &str) -> World {
    let mut world = World::running(ACCOUNT, from).await;
    world.sql(TWO);
    world.settled().await;
    world.mark();
    world.daemon.borrow_mut().stop();
    world.remap(to);
    world.start().await;
    world.settled().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn fields_that_are_edited_send_what_differs_and_a_removed_one_stays() {
    let from = accounts_with("", "Name = \"name\"\nBillingCity = \"city\"");
    let to = accounts_with("", "Name = \"name | upper\"\nSite = { const = \"web\" }");
    let world = edited(&from, &to).await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(
        writes,
        ["updated Account a1 Name=\"ADA\" Site=\"web\"", "updated Account a2 Name=\"BOB\" Site=\"web\""]
    );
    let city = world.crm().record("Account", "Erp_Id__c", "a1").unwrap().fields["BillingCity"].clone();
    assert_eq!(city, "Paris");
    world.sql("update account set city = 'Nice' where id = 1");
    world.expect_writes(&[]).await;
    world.restart().await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_changes_no_value_sends_nothing() {
    let world = edited(
        &accounts(""),
        &accounts("freshness = \"2m\"\npurpose = \"none\"").replace("\"name\"", "\"name | trim\""),
    )
    .await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_newly_mapped_column_is_loaded_and_sent() {
    let to = accounts("").replace("BillingCity", "Site = \"spare\"\nBillingCity");
    let world = edited(&accounts(""), &to).await;
    // The load begins with the connection.
    world
        .until("the column's values", async || {
            let record = world.crm().record("Account", "Erp_Id__c", "a1")?;
            (record.fields.get("Site")? == "x").then_some(())
        })
        .await;
    world.settled().await;
    // Of the second record nobody knows what stands in that field.
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["updated Account a1 Site=\"x\"", "updated Account a2 Site=null"]);
    world.sql("update account set spare = 'y' where id = 2");
    world.expect_writes(&["updated Account a2 Site=\"y\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edited_key_renames_and_an_edited_filter_deletes_behind_the_guard() {
    let from = accounts("");
    let world = edited(&from, &from.replace("value = \"code\"", "value = \"'erp-' ~ code\"")).await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["updated Account erp-a1 Erp_Id__c=\"erp-a1\"", "updated Account erp-a2 Erp_Id__c=\"erp-a2\""]);
    drop(world);

    let narrow = "where = \"city == 'Paris'\"\non_leave = \"delete\"\nguard = { deletes = \"1 in 1h\" }";
    let mut world = World::running(ACCOUNT, &accounts("")).await;
    world.sql(TWO);
    world.sql("insert into account (id, code, name, city) values (3, 'a3', 'Cid', 'Nice'), (4, 'a4', 'Dan', 'Nice')");
    world.settled().await;
    world.mark();
    world.daemon.borrow_mut().stop();
    world.remap(&accounts(narrow));
    world.start().await;
    world
        .until("the guard to trip", async || {
            let mapping = world.status_of("mappings", "accounts").await?;
            (mapping["guard_tripped"] == true && mapping["pending"] == 2).then_some(())
        })
        .await;
    assert_eq!(world.crm().records(Some("Account")).len(), 3);
    world.restart().await;
    world.captured().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 3, "a restart lets no deletion through");
    world.cli(&["resume", "accounts", "--confirm"]);
    let paris = [("Name", json!("Ada")), ("BillingCity", json!("Paris"))];
    world.expect("Account", &given([("a1", &paris)])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_removed_leaves_the_crm_untouched_and_a_new_one_starts_from_the_rows() {
    let other = mapping("others", "account", "Product2", "", "Name = \"name\"");
    let both = accounts("") + &other;
    let mut world = World::running(ACCOUNT, &both).await;
    world.sql(TWO);
    world.settled().await;
    world.mark();
    world.daemon.borrow_mut().stop();
    world.remap(&other);
    world.start().await;
    world.sql("delete from account where id = 1");
    world.expect_writes(&["deleted Product2 a1"]).await;
    assert_eq!(world.crm().records(Some("Account")).len(), 2);
    world.daemon.borrow_mut().stop();
    let third = mapping(
        "thirds",
        "account",
        "Opportunity",
        "",
        "Name = \"name\"\nStageName = { const = \"Open\" }\nCloseDate = { const = \"2030-01-01\" }",
    );
    world.remap(&(other + &third));
    world.start().await;
    world.expect_writes(&["created Opportunity a2 CloseDate=\"2030-01-01\" Name=\"Bob\" StageName=\"Open\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_paused_sends_nothing_while_capture_and_others_go_on() {
    let other = mapping("others", "account", "Product2", "", "Name = \"name\"");
    let world = World::running(ACCOUNT, &(accounts("") + &other)).await;
    world.cli(&["pause", "accounts"]);
    world.sql(TWO);
    world.captured().await;
    world
        .until("the other mapping's records", async || (world.crm().records(Some("Product2")).len() == 2).then_some(()))
        .await;
    let mapping = world.status_of("mappings", "accounts").await.unwrap();
    assert_eq!((&mapping["state"], &mapping["pending"]), (&json!("paused"), &json!(2)), "{mapping}");
    world.restart().await;
    world.sql("update account set city = 'Nice'");
    world.captured().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 0, "a pause outlives a restart");
    world.cli(&["resume", "accounts"]);
    world.settled().await;
    let nice = |name: &str| [("Name", json!(name)), ("BillingCity", json!("Nice"))];
    world.expect("Account", &given([("a1", &nice("Ada")), ("a2", &nice("Bob"))])).await;
    assert_eq!(world.crm().stats().updated, 0, "each was written once");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_paused_source_stops_reading_and_goes_on_where_it_was() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.cli(&["pause", "source/erp"]);
    world
        .until("the source to be paused", async || {
            (world.status_of("sources", "erp").await?["state"] == "paused").then_some(())
        })
        .await;
    world.sql(TWO);
    world.cli(&["resume", "source/erp"]);
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 2);
}
