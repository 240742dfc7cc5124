//! Urgent fields: a consent that is withdrawn does not wait behind a million changes of names.

use crate::daemon::is_failpoint;
use crate::table::mapping;
use crate::world::{LIMIT, World};

const TABLES: &str = "
    create table account (id int primary key, code text, name text);
    create table contact (id int primary key, code text, name text, phone text, account int, blocked boolean default false);";
/// Contacts of the backlog: twenty requests of them.
const MANY: usize = 4_000;

fn mappings(policies: &str) -> String {
    let fields = "LastName = \"name\"\nPhone = \"phone\"\nAccount = { reference = \"accounts\", value = \"account\" }\n\
                  HasOptedOutOfEmail = { value = \"blocked\", urgent = true }";
    mapping("accounts", "account", "Account", "", "Name = \"name\"")
        + &mapping("contacts", "contact", "Contact", policies, fields)
}

async fn with_contacts(many: usize, policies: &str) -> World {
    let rows = format!("insert into contact select n, 'c' || n, 'Name ' || n from generate_series(1, {many}) n");
    let world = World::running(&format!("{TABLES} {rows}"), &mappings(policies)).await;
    world.mark();
    world
}

/// Waits until the CRM has the consent of a contact withdrawn.
async fn opted_out(world: &World, key: &str) {
    world
        .until("the consent to be withdrawn", async || {
            let record = world.crm().record("Contact", "Erp_Id__c", key)?;
            (record.fields.get("HasOptedOutOfEmail") == Some(&serde_json::json!(true))).then_some(())
        })
        .await;
}

/// The writes so far, until the first of a consent.
fn writes_before(world: &World) -> usize {
    let writes = world.writes();
    let first = writes.iter().position(|write| write.contains("HasOptedOutOfEmail=true"));
    first.unwrap_or_else(|| panic!("no consent among {} writes", writes.len()))
}

#[tokio::test(flavor = "multi_thread")]
async fn a_consent_that_is_withdrawn_overtakes_a_backlog_under_a_tight_limit() {
    let mut world = with_contacts(MANY, "").await;
    world.daemon.borrow_mut().stop();
    world.limits = "limits = { per_second = 1 }".to_owned();
    world.configure();
    world.sql("update contact set name = upper(name)");
    world.sql("update contact set blocked = true, name = 'Last' where id = 3999");
    world.start().await;
    opted_out(&world, "c3999").await;
    let behind = writes_before(&world);
    assert!(behind <= MANY / 2, "{behind} of {MANY} went before it");
    // Another one, while the rest is on its way, over a kill.
    world.sql("update contact set blocked = true where id = 3998");
    world.captured().await;
    world.restart().await;
    opted_out(&world, "c3998").await;
    assert!(world.status_of("mappings", "contacts").await.unwrap()["pending"] != 0, "the backlog is still there");
    world.daemon.borrow_mut().stop();
    world.limits.clear();
    world.configure();
    world.start().await;
    world.settled().await;
    let last = world.crm().record("Contact", "Erp_Id__c", "c3999").unwrap();
    assert_eq!(last.fields["LastName"], "Last");
    world.mark();
    world.restart().await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_field_goes_by_itself_and_the_rest_of_its_row_in_its_turn() {
    let world = with_contacts(2, "").await;
    world.sql("update contact set blocked = true where id = 1");
    world.expect_writes(&["updated Contact c1 HasOptedOutOfEmail=true"]).await;
    // Neither another field that the CRM refuses nor a parent that does not come holds it up.
    world.sql("insert into account values (1, '', 'No key')");
    world.sql("update contact set blocked = true, phone = repeat('1', 50), account = 1 where id = 2");
    world.expect_writes(&["updated Contact c2 HasOptedOutOfEmail=true"]).await;
    assert_eq!(world.dead_letters(), ["accounts 1 KEY_EMPTY", "contacts 2 STRING_TOO_LONG"]);
    world.sql("update contact set phone = '2', blocked = false where id = 2");
    world.settled().await;
    let writes = world.writes();
    assert!(
        writes == ["updated Contact c2 HasOptedOutOfEmail=false", "updated Contact c2 Phone=\"2\""]
            || writes == ["updated Contact c2 HasOptedOutOfEmail=false Phone=\"2\""],
        "{writes:?}"
    );
    // A record that is not there is created whole; of one that goes nothing is sent ahead.
    world.sql("insert into contact values (3, 'c3', 'New', null, null, true)");
    world.expect_writes(&["created Contact c3 HasOptedOutOfEmail=true LastName=\"New\""]).await;
    world.sql("update contact set blocked = false where id = 3; delete from contact where id = 3");
    world.expect_writes(&["deleted Contact c3"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_field_does_not_wait_until_its_row_is_still() {
    let world = with_contacts(1, "quiet = \"1h\"").await;
    world.sql("update contact set blocked = true, name = 'Eve' where id = 1");
    opted_out(&world, "c1").await;
    assert_eq!(world.writes(), ["updated Contact c1 HasOptedOutOfEmail=true"]);
    assert_eq!(world.status_of("mappings", "contacts").await.unwrap()["mode"], serde_json::Value::Null);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_urgent_field_whose_answer_was_lost_is_sent_again() {
    let world = with_contacts(1, "").await;
    world.daemon.borrow_mut().kill();
    world.daemon.borrow_mut().start(Some("delivery.before_note:1"));
    world.sql("update contact set blocked = true where id = 1");
    let died = tokio::time::timeout(LIMIT, async { world.daemon.borrow_mut().end().await }).await;
    assert!(is_failpoint(died.expect("it dies at the answer")), "{}", world.story());
    opted_out(&world, "c1").await;
    // Back again before the answer is known: that it was withdrawn has to be found out.
    world.sql("update contact set blocked = false where id = 1");
    world.start().await;
    world.settled().await;
    let record = world.crm().record("Contact", "Erp_Id__c", "c1").unwrap();
    assert_eq!(record.fields["HasOptedOutOfEmail"], false);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_who_deleted_the_record_of_an_urgent_field_gets_it_back_whole() {
    let world = with_contacts(1, "").await;
    world.person("Contact", "c1", None).await;
    world.sql("update contact set blocked = true where id = 1");
    world.expect_writes(&["created Contact c1 HasOptedOutOfEmail=true LastName=\"Name 1\""]).await;
}
