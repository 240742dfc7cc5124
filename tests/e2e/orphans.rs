//! References never block for ever: children without parents delay nobody, and circles resolve.

use std::time::Duration;

use passerelle::sandbox::{Fault, FaultKind};
use serde_json::json;

use crate::records::given;
use crate::table::mapping;
use crate::world::World;

const TABLES: &str = "
    create table account (id int primary key, code text, name text, parent int);
    create table contact (id int primary key, code text, name text, account int, boss int);
    create table item (id int primary key, code text, name text);";
const ORPHANS: usize = 20_000;
/// Well within what waiting for the parent would take.
const PROMPTLY: Duration = Duration::from_secs(15);

fn mappings() -> String {
    mapping(
        "accounts",
        "account",
        "Account",
        "",
        "Name = \"name\"\nParent = { reference = \"accounts\", value = \"parent\" }",
    ) + &mapping(
        "contacts",
        "contact",
        "Contact",
        "",
        "LastName = \"name\"\nAccount = { reference = \"accounts\", value = \"account\" }\n\
             ReportsTo = { reference = \"contacts\", value = \"boss\" }",
    ) + &mapping("items", "item", "Product2", "", "Name = \"name\"")
}

fn with_account(world: &World) -> usize {
    let contacts = world.crm().records(Some("Contact"));
    contacts.iter().filter(|contact| contact.parents.contains_key("AccountId")).count()
}

#[tokio::test(flavor = "multi_thread")]
async fn orphans_of_a_parent_that_never_came_are_sent_without_it_and_linked_when_it_comes() {
    let world = World::new(TABLES, &mappings()).await;
    world.sql(&format!("insert into contact select n, 'c' || n, 'Ada', 1 from generate_series(1, {ORPHANS}) n"));
    world.start().await;
    world.settled().await;
    assert_eq!((world.crm().records(Some("Contact")).len(), with_account(&world)), (ORPHANS, 0));
    world.sql("insert into account values (1, 'a1', 'Acme')");
    world.settled().await;
    assert_eq!(with_account(&world), ORPHANS);
    assert_eq!(world.crm().stats().unchanged, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn children_that_wait_for_a_parent_delay_no_other_record() {
    let world = World::running(TABLES, &mappings()).await;
    // The CRM cannot take the parent now, and says so again and again.
    world.crm().inject(Fault::new(FaultKind::LockRow).object("Account").key("a1")).unwrap();
    world.sql(&format!(
        "insert into account values (1, 'a1', 'Acme');
         insert into contact select n, 'c' || n, 'Ada', 1 from generate_series(1, {ORPHANS}) n;"
    ));
    world.captured().await;
    world.sql(
        "insert into contact values (100001, 'free', 'Bob', null);
         insert into account values (2, 'a2', 'Other');
         insert into contact values (100002, 'other', 'Cid', 2);
         insert into item values (1, 'i1', 'Item')",
    );
    world
        .until_within(PROMPTLY, "records that wait for nobody", async || {
            let has = |object, key| world.crm().record(object, "Erp_Id__c", key).is_some();
            (has("Contact", "free") && has("Contact", "other") && has("Product2", "i1")).then_some(())
        })
        .await;
    assert!(world.crm().record("Account", "Erp_Id__c", "a1").is_none());
    assert_eq!(with_account(&world), 1);
    world.crm().clear_faults();
    world.until("the children after their parent", async || (with_account(&world) == ORPHANS + 1).then_some(())).await;
    world.settled().await;
    assert_eq!(world.crm().stats().unchanged, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn children_of_a_refused_parent_go_without_it_and_are_linked_once_it_is_accepted() {
    let world = World::running(TABLES, &mappings()).await;
    world.crm().inject(Fault::new(FaultKind::RejectRecord).key("a1").code("DUPLICATE_VALUE").times(1)).unwrap();
    world.sql("insert into account values (1, 'a1', 'Acme'); insert into contact values (1, 'c1', 'Ada', 1)");
    world.settled().await;
    assert_eq!((world.crm().records(Some("Contact")).len(), with_account(&world)), (1, 0));
    world.cli(&["dead-letters", "retry", "--all"]);
    world.until("the reference", async || (with_account(&world) == 1).then_some(())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_required_parent_makes_dead_letters_that_retry_themselves() {
    let required = mappings().replace("value = \"account\" }", "value = \"account\", required = true }");
    let world = World::running(TABLES, &required).await;
    world.sql("insert into contact values (1, 'c1', 'Ada', 1)");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Contact")).len(), 0);
    let letters = world.dead_letters();
    assert!(letters.len() == 1 && letters[0].starts_with("contacts 1 "), "{letters:?}");
    world.sql("insert into account values (1, 'a1', 'Acme')");
    world.until("the child", async || (with_account(&world) == 1).then_some(())).await;
    world.settled().await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_circle_of_required_parents_is_dead_letters_and_rests() {
    let required = mappings().replace("value = \"boss\" }", "value = \"boss\", required = true }");
    let world = World::running(TABLES, &required).await;
    world.sql(
        "insert into contact values (1, 'c1', 'Ada', null, 2), (2, 'c2', 'Bob', null, 1), (3, 'c3', 'Cid', null, 3)",
    );
    world.settled().await;
    assert_eq!(world.dead_letters().len(), 3, "{:?}", world.dead_letters());
    world.sql("update contact set name = 'Eve' where id = 1");
    world.settled().await;
    assert_eq!((world.dead_letters().len(), world.crm().records(None).len()), (3, 0));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_goes_before_it_was_sent_is_waited_for_no_more() {
    let world = World::running(TABLES, &mappings()).await;
    world.crm().inject(Fault::new(FaultKind::LockRow).object("Account").key("a1")).unwrap();
    world.sql("insert into account values (1, 'a1', 'Acme'); insert into contact values (1, 'c1', 'Ada', 1)");
    world
        .until("the child to wait", async || {
            (world.status_of("mappings", "contacts").await?["waiting_parent"] == 1).then_some(())
        })
        .await;
    world.sql("delete from account");
    world.until("the child without it", async || world.crm().record("Contact", "Erp_Id__c", "c1")).await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn circles_resolve() {
    let world = World::new(TABLES, &mappings()).await;
    // In the load: one that refers to itself, two to each other, three in a ring that a fourth hangs on.
    let contact = |id: u32, boss: u32| format!("({id}, 'c{id}', 'Ada', null, {boss})");
    let ring = [(1, 1), (2, 3), (3, 2), (4, 5), (5, 6), (6, 4), (7, 4)];
    let rows = ring.map(|(id, boss)| contact(id, boss)).join(", ");
    world.sql(&format!(
        "insert into contact values {rows}; insert into account values (1, 'a1', 'Acme', 2), (2, 'a2', 'Hold', 1)"
    ));
    world.start().await;
    world.settled().await;
    let holds = |world: &World, ring: &[(u32, u32)]| {
        ring.iter().all(|(id, boss)| {
            let record = world.crm().record("Contact", "Erp_Id__c", &format!("c{id}"));
            record.is_some_and(|record| record.parents.get("ReportsToId") == Some(&format!("c{boss}")))
        })
    };
    world.until("every boss of the load", async || holds(&world, &ring).then_some(())).await;
    let name = |name: &str| ("Name", json!(name));
    let accounts = given([
        ("a1", &[name("Acme"), ("ParentId", json!("-> a2"))]),
        ("a2", &[name("Hold"), ("ParentId", json!("-> a1"))]),
    ]);
    world.expect("Account", &accounts).await;
    // And in the stream, in one transaction and in several.
    let ring = [(11, 11), (12, 13), (13, 12), (14, 15), (15, 16), (16, 14), (17, 14)];
    let rows = ring.map(|(id, boss)| contact(id, boss));
    world.sql(&format!("insert into contact values {}", rows[..4].join(", ")));
    for row in &rows[4..] {
        world.sql(&format!("insert into contact values {row}"));
    }
    world.settled().await;
    world.until("every boss of the stream", async || holds(&world, &ring).then_some(())).await;
    assert_eq!(world.crm().stats().unchanged, 0);
}
