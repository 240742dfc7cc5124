//! `on_key_change = "recreate"`: a new record, its children pointed at it, and only then the end of the old one.

use passerelle::sandbox::{Fault, FaultKind};
use serde_json::json;

use crate::daemon::is_failpoint;
use crate::records::given;
use crate::table::mapping;
use crate::world::{LIMIT, World};

const TABLES: &str = "
    create table account (id int primary key, code text, name text);
    create table contact (id int primary key, code text, name text, account int);";
const RECREATE: &str = "on_key_change = \"recreate\"";

fn mappings(policies: &str) -> String {
    let contact = "LastName = \"name\"\nAccount = { reference = \"accounts\", value = \"account\" }";
    mapping("accounts", "account", "Account", &format!("{RECREATE}\n{policies}"), "Name = \"name\"")
        + &mapping("contacts", "contact", "Contact", "", contact)
}

async fn with_two(policies: &str) -> World {
    let rows = "insert into account values (1, 'a1', 'Ada'), (2, 'a2', 'Bob');
         insert into contact values (1, 'c1', 'Cid', 1), (2, 'c2', 'Dan', 1)";
    let world = World::running(&format!("{TABLES} {rows}"), &mappings(policies)).await;
    world.mark();
    world
}

/// The accounts are these, both contacts refer to one of them, and no reference was ever cleared by a deletion.
async fn expect(world: &World, accounts: &[(&str, &str)], parent: &str) {
    let accounts: Vec<_> = accounts.iter().map(|(key, name)| ((*key).to_owned(), *name)).collect();
    let expected = accounts.into_iter().map(|(key, name)| {
        let (_, fields) = given([("", &[("Name", json!(name))] as &[_])]).pop_first().unwrap();
        (key, fields)
    });
    world.expect("Account", &expected.collect()).await;
    let parent = json!(crate::records::points_at(parent));
    let contacts = given([
        ("c1", &[("LastName", json!("Cid")), ("AccountId", parent.clone())] as &[_]),
        ("c2", &[("LastName", json!("Dan")), ("AccountId", parent)]),
    ]);
    world.expect("Contact", &contacts).await;
    assert_eq!(world.crm().stats().lookups_cleared, 0);
}

fn id(world: &World, key: &str) -> String {
    world.crm().record("Account", "Erp_Id__c", key).unwrap().id
}

/// Waits until so many rows of the accounts wait.
async fn pending(world: &World, rows: u64) {
    world
        .until(&format!("{rows} rows to wait"), async || {
            (world.status_of("mappings", "accounts").await?["pending"] == rows).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_key_makes_a_new_record_and_the_old_one_goes_after_its_children() {
    let world = with_two("").await;
    let old = id(&world, "a1");
    world.sql("update account set code = 'k', name = 'Eve' where id = 1");
    world.settled().await;
    expect(&world, &[("k", "Eve"), ("a2", "Bob")], "k").await;
    let writes = world.writes();
    let words: Vec<_> = writes.iter().map(|write| write.split(" Account").next().unwrap_or_default()).collect();
    assert_eq!(words, ["created", "updated Contact c1", "updated Contact c2", "deleted"], "{writes:?}");
    assert_ne!(id(&world, "k"), old);
    world.restart().await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_guard_and_children_that_are_refused_hold_the_old_record() {
    let world = with_two("guard = { deletes = \"1 in 1h\" }").await;
    // A child that the CRM refuses goes on pointing at the old record: some CRMs would delete it with that one.
    world
        .crm()
        .inject(
            Fault::new(FaultKind::RejectRecord).code("FIELD_CUSTOM_VALIDATION_EXCEPTION").object("Contact").key("c2"),
        )
        .unwrap();
    world.sql("update account set code = 'k' where id = 1");
    world.captured().await;
    world.until("the child to be refused", async || (world.dead_letters().len() == 1).then_some(())).await;
    pending(&world, 1).await;
    assert!(world.crm().record("Account", "Erp_Id__c", "a1").is_some());
    world.crm().clear_faults();
    world.cli(&["dead-letters", "retry", "contacts"]);
    world.settled().await;
    expect(&world, &[("k", "Ada"), ("a2", "Bob")], "k").await;
    // The second deletion in the hour waits for a person.
    world.sql("update account set code = 'l' where id = 1");
    world.captured().await;
    world
        .until("the guard to trip", async || {
            let mapping = world.status_of("mappings", "accounts").await?;
            (mapping["guard_tripped"] == true && mapping["pending"] == 1).then_some(())
        })
        .await;
    expect(&world, &[("k", "Ada"), ("l", "Ada"), ("a2", "Bob")], "l").await;
    world.restart().await;
    pending(&world, 1).await;
    world.cli(&["resume", "accounts", "--confirm"]);
    world.settled().await;
    expect(&world, &[("l", "Ada"), ("a2", "Bob")], "l").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_at_any_step_it_goes_on_where_it_was() {
    let world = with_two("").await;
    let steps = ["before_send", "before_note", "after_note"];
    let mut names = Vec::new();
    for (n, point) in steps.iter().flat_map(|step| (1..=3).map(move |n| format!("delivery.{step}:{n}"))).enumerate() {
        let name = format!("k{n}");
        world.daemon.borrow_mut().kill();
        world.daemon.borrow_mut().start(Some(&point));
        world.sql(&format!("update account set code = '{name}' where id = 1"));
        let died = tokio::time::timeout(LIMIT, async { world.daemon.borrow_mut().end().await }).await;
        assert!(is_failpoint(died.expect("it dies at the step")), "{point}: {}", world.story());
        world.start().await;
        world.settled().await;
        expect(&world, &[(&name, "Ada"), ("a2", "Bob")], &name).await;
        names.push(name);
    }
    assert_eq!(names.len(), 9);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_come_back_or_are_taken_by_another_row_keep_their_record() {
    let world = with_two("").await;
    let before = [id(&world, "a1"), id(&world, "a2")];
    // There and back, while nothing can be deleted.
    world.crm().inject(Fault::new(FaultKind::LockRow).object("Contact").key("c1")).unwrap();
    world.sql("update account set code = 'k' where id = 1");
    world.captured().await;
    world.until("the new record", async || world.crm().record("Account", "Erp_Id__c", "k").map(drop)).await;
    world.sql("update account set code = 'a1' where id = 1");
    world.crm().clear_faults();
    world.settled().await;
    expect(&world, &[("a1", "Ada"), ("a2", "Bob")], "a1").await;
    assert_eq!(id(&world, "a1"), before[0]);
    // Swapped: each row takes the other's record, and the children follow their row.
    world.sql("update account set code = case id when 1 then 'a2' else 'a1' end");
    world.settled().await;
    expect(&world, &[("a1", "Bob"), ("a2", "Ada")], "a2").await;
    assert_eq!([id(&world, "a1"), id(&world, "a2")], before);
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_go_or_move_in_the_meantime_take_their_old_records_along() {
    let world = with_two("").await;
    world.crm().inject(Fault::new(FaultKind::LockRow).object("Contact").key("c1")).unwrap();
    world.sql("update account set code = 'k' where id = 1");
    world.captured().await;
    world.until("the new record", async || world.crm().record("Account", "Erp_Id__c", "k").map(drop)).await;
    world.sql("update account set id = 7 where id = 1; update contact set account = 7");
    world.captured().await;
    assert!(world.crm().record("Account", "Erp_Id__c", "a1").is_some());
    world.crm().clear_faults();
    world.settled().await;
    expect(&world, &[("k", "Ada"), ("a2", "Bob")], "k").await;
    world.daemon.borrow_mut().stop();
    world.sql("update account set code = 'l' where id = 7");
    world.sql("update contact set account = 2");
    world.sql("delete from account where id = 7");
    world.start().await;
    world.settled().await;
    expect(&world, &[("a2", "Bob")], "a2").await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_old_record_is_marked_or_left_alone_as_on_delete_says() {
    let mut world = with_two("on_delete = { set = { Site = \"old\" } }").await;
    world.sql("update account set code = 'k' where id = 2");
    world.expect_writes(&["created Account k Name=\"Bob\"", "updated Account a2 Site=\"old\""]).await;
    world.daemon.borrow_mut().stop();
    world.remap(&mappings("on_delete = \"ignore\""));
    world.start().await;
    world.settled().await;
    world.mark();
    world.sql("update account set code = 'l' where id = 2");
    world.expect_writes(&["created Account l Name=\"Bob\""]).await;
    // A key that nobody has any more is taken with its record.
    world.sql("update account set code = 'a2' where id = 2");
    world.expect_writes(&["updated Account a2 Name=\"Bob\""]).await;
}
