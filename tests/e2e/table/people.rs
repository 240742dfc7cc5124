//! People who change records in the CRM, and records that the CRM refuses.

use passerelle::sandbox::{Fault, FaultKind};
use serde_json::json;

use super::{ACCOUNT, accounts};
use crate::world::World;

async fn with_ada(policies: &str) -> World {
    let world = World::running(ACCOUNT, &accounts(policies)).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris')");
    world.settled().await;
    world.mark();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_person_edited_stays_until_the_row_s_value_changes() {
    let world = with_ada("").await;
    world.person("Account", "a1", Some(json!({"BillingCity": "Nantes"}))).await;
    world.sql("update account set name = 'Adele' where id = 1");
    world.expect_writes(&["updated Account a1 Name=\"Adele\""]).await;
    world.restart().await;
    world.expect_writes(&[]).await;
    assert_eq!(world.crm().record("Account", "Erp_Id__c", "a1").unwrap().fields["BillingCity"], "Nantes");
    world.sql("update account set city = 'Lyon' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Lyon\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_person_deleted_is_created_again_in_full() {
    let world = with_ada("").await;
    world.person("Account", "a1", None).await;
    world.sql("update account set city = 'Lyon' where id = 1");
    world.expect_writes(&["created Account a1 BillingCity=\"Lyon\" Name=\"Ada\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_a_person_deleted_can_stay_deleted() {
    let world = with_ada("on_gone = \"reject\"").await;
    world.person("Account", "a1", None).await;
    world.sql("update account set city = 'Lyon' where id = 1");
    world.expect_writes(&[]).await;
    let letters = world.dead_letters();
    assert!(letters.len() == 1 && letters[0].starts_with("accounts 1 "), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_of_what_a_person_deleted_is_done() {
    let world = with_ada("").await;
    world.person("Account", "a1", None).await;
    world.sql("delete from account where id = 1");
    world.expect_writes(&[]).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dead_letter_whose_row_changes_is_tried_with_the_newest() {
    let world = with_ada("").await;
    world
        .crm()
        .inject(Fault::new(FaultKind::RejectRecord).key("a2").code("FIELD_CUSTOM_VALIDATION_EXCEPTION").times(1))
        .unwrap();
    world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob'), (3, 'a3', 'Cid')");
    world.settled().await;
    assert_eq!(world.writes(), ["created Account a3 Name=\"Cid\""]);
    assert_eq!(world.dead_letters(), ["accounts 2 FIELD_CUSTOM_VALIDATION_EXCEPTION"]);
    world.restart().await;
    world.expect_writes(&[]).await;
    assert_eq!(world.dead_letters(), ["accounts 2 FIELD_CUSTOM_VALIDATION_EXCEPTION"]);
    world.sql("update account set name = 'Bill' where id = 2");
    world.expect_writes(&["created Account a2 Name=\"Bill\""]).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn dead_letters_are_shown_retried_and_dropped_by_command() {
    let world = with_ada("").await;
    let long = "x".repeat(300);
    world.sql(&format!("insert into account (id, code, name) values (2, 'a2', '{long}'), (3, 'a3', '{long}')"));
    world.settled().await;
    assert_eq!(world.dead_letters(), ["accounts 2 STRING_TOO_LONG", "accounts 3 STRING_TOO_LONG"]);
    let shown = world.cli(&["dead-letters", "show", "accounts", "2"]);
    assert!(shown.contains("STRING_TOO_LONG") && shown.contains(&long), "{shown}");
    world.cli(&["dead-letters", "drop", "accounts", "3"]);
    world.cli(&["dead-letters", "retry", "--code", "STRING_TOO_LONG"]);
    world.settled().await;
    assert_eq!(world.dead_letters(), ["accounts 2 STRING_TOO_LONG"]);
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn fifty_refusals_of_one_kind_hold_the_mapping_and_nothing_else() {
    let other = super::mapping("others", "account", "Product2", "", "Name = \"name\"");
    let world = World::running(ACCOUNT, &(accounts("") + &other)).await;
    let refusal =
        Fault::new(FaultKind::RejectRecord).object("Account").code("INSUFFICIENT_ACCESS_ON_CROSS_REFERENCE_ENTITY");
    world.crm().inject(refusal).unwrap();
    world.sql("insert into account (id, code, name) select n, 'a' || n, 'Ada' from generate_series(1, 6000) n");
    let held = world.until("the mapping to be held", async || {
        let mapping = world.status_of("mappings", "accounts").await?;
        (mapping["state"] == "held").then_some(mapping)
    });
    let held = held.await;
    assert!(held["held_reason"].as_str().is_some_and(|reason| reason.contains("INSUFFICIENT_ACCESS")), "{held}");
    world
        .until("the other mapping's records", async || {
            (world.crm().records(Some("Product2")).len() == 6000).then_some(())
        })
        .await;
    world.captured().await;
    let letters = world.status_of("mappings", "accounts").await.unwrap()["dead_letters"].as_u64().unwrap();
    // Those that were under way when the first refusals came back are refused, too.
    assert!((50..3_000).contains(&letters), "{letters} dead letters");
    world.crm().clear_faults();
    world.cli(&["resume", "accounts"]);
    world.cli(&["dead-letters", "retry", "--all"]);
    world
        .until("all of its records", async || (world.crm().records(Some("Account")).len() == 6000).then_some(()))
        .await;
    world.settled().await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_a_person_deleted_is_found_by_its_children_again() {
    let fields = "Name = \"name\"\nParent = { reference = \"accounts\", value = \"parent\" }";
    let world = World::running(ACCOUNT, &super::accounts_with("", fields)).await;
    world.sql("insert into account (id, code, name, parent) values (1, 'a1', 'Ada', null), (2, 'a2', 'Bob', 1)");
    world.settled().await;
    world.person("Account", "a1", None).await;
    world.sql("update account set name = 'Adele' where id = 1");
    world.settled().await;
    let child = world.crm().record("Account", "Erp_Id__c", "a2").unwrap();
    assert_eq!(child.parents["ParentId"], "a1", "{:?}", world.writes());
}
