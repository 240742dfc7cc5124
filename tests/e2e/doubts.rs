//! Keys that are changing, or whose change was never answered: nobody else takes them, and who refers to the record finds
//! it all the same.

use passerelle::sandbox::{Fault, FaultKind};
use serde_json::json;

use crate::daemon::is_failpoint;
use crate::records::given;
use crate::table::mapping;
use crate::world::{LIMIT, World, lsn};

const TABLES: &str = "
    create table account (id int primary key, code text, name text);
    create table contact (id int primary key, code text, name text, account int);";

fn mappings() -> String {
    let contact = "LastName = \"name\"\nAccount = { reference = \"accounts\", value = \"account\" }";
    mapping("accounts", "account", "Account", "guard = { deletes = \"100%\" }", "Name = \"name\"")
        + &mapping("contacts", "contact", "Contact", "", contact)
}

async fn with_two() -> World {
    let world = World::running(TABLES, &mappings()).await;
    world.sql(
        "insert into account values (1, 'a1', 'Ada'), (2, 'a2', 'Bob');
         insert into contact values (1, 'c1', 'Cid', 1)",
    );
    world.settled().await;
    world.mark();
    world
}

/// The daemon dies once the CRM has done what this asks for, before it has noted the answer.
async fn unanswered(world: &World, sql: &str) {
    world.daemon.borrow_mut().kill();
    world.daemon.borrow_mut().start(Some("delivery.before_note:1"));
    world.sql(sql);
    let died = tokio::time::timeout(LIMIT, async { world.daemon.borrow_mut().end().await }).await;
    assert!(is_failpoint(died.expect("it dies at the answer")), "{}", world.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_whose_answer_was_lost_is_not_given_to_another_row() {
    let world = with_two().await;
    let ada = world.crm().record("Account", "Erp_Id__c", "a1").unwrap().id;
    unanswered(&world, "update account set code = 'k' where id = 1").await;
    assert_eq!(world.crm().record("Account", "Erp_Id__c", "k").unwrap().id, ada, "the CRM has done it");
    world.sql("update account set code = 'a1' where id = 1");
    world.sql("insert into account values (3, 'k', 'Kim')");
    world.start().await;
    world.settled().await;
    let expected = given([
        ("a1", &[("Name", json!("Ada"))] as &[_]),
        ("a2", &[("Name", json!("Bob"))]),
        ("k", &[("Name", json!("Kim"))]),
    ]);
    world.expect("Account", &expected).await;
    assert_eq!(world.crm().record("Account", "Erp_Id__c", "a1").unwrap().id, ada);
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_key_whose_answer_was_lost_is_free_once_its_record_has_another() {
    let world = with_two().await;
    unanswered(&world, "update account set code = 'k' where id = 1").await;
    world.sql("update account set code = 'm' where id = 1");
    world.sql("update account set code = 'k' where id = 2");
    world.start().await;
    world.settled().await;
    let expected = given([("m", &[("Name", json!("Ada"))] as &[_]), ("k", &[("Name", json!("Bob"))])]);
    world.expect("Account", &expected).await;
    world.sql("insert into account values (3, 'a1', 'New'), (4, 'a2', 'Newer')");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 4);
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_goes_while_its_key_is_in_doubt_takes_its_record_along() {
    let world = with_two().await;
    unanswered(&world, "update account set code = 'k' where id = 2").await;
    world.sql("delete from account where id = 2");
    world.sql("insert into account values (3, 'k', 'Kim'), (4, 'a2', 'Bo')");
    world.start().await;
    world.settled().await;
    let expected = given([
        ("a1", &[("Name", json!("Ada"))] as &[_]),
        ("a2", &[("Name", json!("Bo"))]),
        ("k", &[("Name", json!("Kim"))]),
    ]);
    world.expect("Account", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_refers_to_a_record_whose_key_is_in_doubt_finds_it() {
    let world = with_two().await;
    unanswered(&world, "update account set code = 'k' where id = 1").await;
    world.sql("update account set code = 'a1' where id = 1; insert into contact values (2, 'c2', 'Dan', 1)");
    world.start().await;
    world.settled().await;
    let child = |name: &str| [("LastName", json!(name)), ("AccountId", json!("-> a1"))];
    world.expect("Contact", &given([("c1", &child("Cid") as &[_]), ("c2", &child("Dan"))])).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_moved_to_another_row_key_goes_after_its_children() {
    let world = with_two().await;
    world.cli(&["pause", "--writes"]);
    world.sql("begin; update account set id = 101 where id = 1; update contact set account = 101; commit");
    world.sql("begin; delete from account where id = 101; update contact set account = null; commit");
    world.captured().await;
    world.cli(&["resume", "--writes"]);
    world.expect_writes(&["updated Contact c1 AccountId=null", "deleted Account a1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_does_not_follow_its_parent_to_another_row_key_points_nowhere() {
    let world = with_two().await;
    world.sql("update account set id = 101 where id = 1");
    world.expect_writes(&["updated Contact c1 AccountId=null"]).await;
    world.sql("update contact set account = 101");
    world.settled().await;
    let child = [("LastName", json!("Cid")), ("AccountId", json!("-> a1"))];
    world.expect("Contact", &given([("c1", &child)])).await;
}

/// The child is tried again because its parent moved; until the CRM takes it, its change is not delivered.
#[tokio::test(flavor = "multi_thread")]
async fn a_child_that_is_set_aside_holds_delivered_back_also_when_its_parent_moves() {
    let world = with_two().await;
    world.crm().inject(Fault::new(FaultKind::LockRow).object("Contact")).unwrap();
    let refused = || world.crm().active_faults().first().map_or(0, |fault| fault.fired);
    let refused_since = async |before: u64| {
        world.until("the child to be refused", async || (refused() > before).then_some(())).await;
    };
    world.sql("update contact set name = 'Cy' where id = 1");
    let changed = lsn(&world.sql("select pg_current_wal_insert_lsn()"));
    refused_since(0).await;
    world.sql("update account set id = 101, name = 'Adele' where id = 1");
    world
        .until("the parent to be written", async || {
            world.crm().record("Account", "Erp_Id__c", "a1").filter(|ada| ada.fields["Name"] == "Adele")
        })
        .await;
    let before = refused();
    refused_since(before + 1).await;
    world.captured().await;
    let delivered = async || {
        let offsets = world.get("/v1/offsets").await?;
        let source = &offsets["sources"][0];
        Some((lsn(source["delivered"]["value"].as_str()?), source["delivered_held_by"][0]["mapping"].clone()))
    };
    let (at, held_by) = world.until("the offsets", delivered).await;
    assert!(at < changed && held_by == "contacts", "{at:X} {changed:X} {held_by}");
    world.crm().clear_faults();
    world.settled().await;
    world.until("delivered to pass it", async || delivered().await.filter(|(at, _)| *at >= changed)).await;
}
