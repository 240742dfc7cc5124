//! `enforce = true`: what a person edits in the CRM is put back, whatever else happens to the record.

use passerelle::sandbox::{Fault, FaultKind, SandboxLimits, SandboxOptions};
use serde_json::json;

use crate::table::{ACCOUNT, accounts_with};
use crate::world::World;

const FIELDS: &str = "Name = { value = \"name\", enforce = true }\nBillingCity = \"city\"\n\
                      AnnualRevenue = { value = \"id * 10\", enforce = true }";
const TWO: &str =
    "insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris'), (2, 'a2', 'Bob', 'Lyon')";

/// Looks as often: the day is long enough for it.
async fn enforcing(freshness: &str) -> World {
    let limits = SandboxLimits { per_day: Some(100_000_000), ..SandboxLimits::default() };
    let options = SandboxOptions { limits, ..SandboxOptions::default() };
    let world = World::with(&format!("{ACCOUNT} {TWO}"), &mapped(freshness, FIELDS), options).await;
    world.start().await;
    world.settled().await;
    world.mark();
    world
}

fn mapped(freshness: &str, fields: &str) -> String {
    accounts_with(&format!("freshness = \"{freshness}\""), fields)
}

async fn has(world: &World, key: &str, field: &str, value: serde_json::Value) {
    world
        .until(&format!("{field} of {key} to be {value}"), async || {
            let record = world.crm().record("Account", "Erp_Id__c", key)?;
            (record.fields.get(field) == Some(&value)).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_is_put_back_and_what_people_may_edit_stays() {
    let world = enforcing("5s").await;
    world.person("Account", "a1", Some(json!({ "Name": "Edited", "BillingCity": "Rome" }))).await;
    has(&world, "a1", "Name", json!("Ada")).await;
    has(&world, "a1", "BillingCity", json!("Rome")).await;
    world.settled().await;
    assert_eq!(world.writes(), ["updated Account a1 AnnualRevenue=10 Name=\"Ada\""]);
    // Of an edit of something else no write comes, nor of the same value in another form.
    world.person("Account", "a2", Some(json!({ "BillingCity": "Rome", "AnnualRevenue": 20 }))).await;
    world.person("Account", "a1", Some(json!({ "AnnualRevenue": 7 }))).await;
    has(&world, "a1", "AnnualRevenue", json!(10)).await;
    world.settled().await;
    assert_eq!(world.writes(), ["updated Account a1 AnnualRevenue=10 Name=\"Ada\""]);
    has(&world, "a2", "BillingCity", json!("Rome")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_write_that_follows_an_edit_puts_it_back_by_itself() {
    let world = enforcing("1h").await;
    world.person("Account", "a1", Some(json!({ "Name": "Edited" }))).await;
    world.sql("update account set city = 'Metz' where id = 1");
    has(&world, "a1", "BillingCity", json!("Metz")).await;
    has(&world, "a1", "Name", json!("Ada")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_while_nobody_was_there_is_put_back() {
    let mut world = enforcing("5s").await;
    world.daemon.borrow_mut().stop();
    world.person("Account", "a1", Some(json!({ "Name": "Edited" }))).await;
    world.start().await;
    has(&world, "a1", "Name", json!("Ada")).await;
    // A field that is enforced from now on, edited long before.
    world.daemon.borrow_mut().stop();
    world.person("Account", "a2", Some(json!({ "BillingCity": "Rome" }))).await;
    let fields = FIELDS.replace("\"city\"", "{ value = \"city\", enforce = true }");
    world.remap(&mapped("5s", &fields));
    world.start().await;
    has(&world, "a2", "BillingCity", json!("Lyon")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_edit_that_cannot_be_put_back_is_shown_and_a_lost_look_is_made_again() {
    let world = enforcing("5s").await;
    world.cli(&["pause", "accounts"]);
    for key in ["a1", "a2"] {
        world.person("Account", key, Some(json!({ "Name": "Edited" }))).await;
    }
    world.crm().inject(Fault::new(FaultKind::CutBefore).times(2)).unwrap();
    let refused = Fault::new(FaultKind::RejectRecord).object("Account").key("a1");
    world.crm().inject(refused.code("FIELD_CUSTOM_VALIDATION_EXCEPTION")).unwrap();
    world.cli(&["resume", "accounts"]);
    has(&world, "a2", "Name", json!("Bob")).await;
    world.until("the dead letter", async || (!world.dead_letters().is_empty()).then_some(())).await;
    assert_eq!(world.dead_letters(), ["accounts 1 FIELD_CUSTOM_VALIDATION_EXCEPTION"]);
    world.crm().clear_faults();
    world.cli(&["dead-letters", "retry", "accounts"]);
    has(&world, "a1", "Name", json!("Ada")).await;
    world.settled().await;
    assert_eq!(world.dead_letters(), [""; 0]);
}
