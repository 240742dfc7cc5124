//! Keys that change: of rows, of records, swapped, in chains.

use serde_json::json;

use super::{ACCOUNT, accounts, accounts_with};
use crate::records::given;
use crate::world::World;

/// Ids of the CRM by external key.
fn ids(world: &World) -> Vec<(String, String)> {
    let records = world.crm().records(Some("Account")).into_iter();
    let mut ids: Vec<_> = records.map(|record| (record.key.unwrap_or_default(), record.id)).collect();
    ids.sort_unstable();
    ids
}

async fn with_three() -> World {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql(
        "insert into account (id, code, name, city) values
         (1, 'a1', 'Ada', 'Paris'), (2, 'a2', 'Bob', 'Lyon'), (3, 'a3', 'Cid', 'Nice')",
    );
    world.settled().await;
    world.mark();
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_key_that_changes_under_the_same_external_key_is_what_differs() {
    let world = with_three().await;
    let before = ids(&world);
    world.sql("update account set id = 101, city = 'Metz' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Metz\""]).await;
    world.sql("update account set id = 102 where id = 2");
    world.expect_writes(&[]).await;
    world.sql("update account set city = 'Brest' where id = 102; delete from account where id = 101");
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["deleted Account a1", "updated Account a2 BillingCity=\"Brest\""]);
    assert_eq!(ids(&world), before[1..]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_external_key_that_changes_renames_the_record() {
    let world = with_three().await;
    let before = ids(&world);
    world.sql("update account set code = 'z1' where id = 1");
    world.expect_writes(&["updated Account z1 Erp_Id__c=\"z1\""]).await;
    world.sql("update account set code = 'z2', id = 102, name = 'Bo' where id = 2");
    world.expect_writes(&["updated Account z2 Erp_Id__c=\"z2\" Name=\"Bo\""]).await;
    let renamed: Vec<_> =
        [("a3", 2), ("z1", 0), ("z2", 1)].map(|(key, n)| (key.to_owned(), before[n].1.clone())).into();
    assert_eq!(ids(&world), renamed);
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_swapped_or_go_round_in_one_transaction_rename_the_records() {
    let world = with_three().await;
    let before = ids(&world);
    world.sql("update account set code = case id when 1 then 'a2' else 'a1' end where id < 3");
    world.settled().await;
    let after = [("a1", 1), ("a2", 0), ("a3", 2)].map(|(key, n)| (key.to_owned(), before[n].1.clone()));
    assert_eq!(ids(&world), after, "swapped: {:?}", world.writes());
    world.sql("update account set code = case id when 1 then 'a3' when 2 then 'a2' else 'a1' end");
    world.settled().await;
    let after = [("a1", 2), ("a2", 1), ("a3", 0)].map(|(key, n)| (key.to_owned(), before[n].1.clone()));
    assert_eq!(ids(&world), after, "gone round: {:?}", world.writes());
    let expected = given([
        ("a1", &[("Name", json!("Cid")), ("BillingCity", json!("Nice"))] as &[_]),
        ("a2", &[("Name", json!("Bob")), ("BillingCity", json!("Lyon"))]),
        ("a3", &[("Name", json!("Ada")), ("BillingCity", json!("Paris"))]),
    ]);
    world.expect("Account", &expected).await;
    assert!(world.crm().stats().deleted == 0 && world.crm().stats().created == 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn row_keys_that_are_swapped_in_one_transaction_cost_nothing() {
    let world = with_three().await;
    world.sql(
        "update account set id = -1 where id = 1; update account set id = 1 where id = 2;
         update account set id = 2 where id = -1",
    );
    world.expect_writes(&[]).await;
    world.sql("update account set city = 'Metz' where id = 1");
    world.expect_writes(&["updated Account a2 BillingCity=\"Metz\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_another_row_gave_up_is_taken_over() {
    let world = with_three().await;
    world.sql("delete from account where id = 1; update account set code = 'a1' where id = 2");
    world.settled().await;
    let expected = given([
        ("a1", &[("Name", json!("Bob")), ("BillingCity", json!("Lyon"))] as &[_]),
        ("a3", &[("Name", json!("Cid")), ("BillingCity", json!("Nice"))]),
    ]);
    world.expect("Account", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_null_or_empty_is_a_dead_letter_and_holds_nothing_up() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql(
        "insert into account (id, code, name) values
         (1, null, 'Ada'), (2, '', 'Bob'), (3, 'a3', 'Cid'), (4, '  ', 'Dan')",
    );
    world.settled().await;
    assert!(world.writes().contains(&"created Account a3 Name=\"Cid\"".to_owned()));
    let letters = world.dead_letters();
    assert!(
        ["accounts 1 ", "accounts 2 "].iter().all(|start| letters.iter().any(|l| l.starts_with(start))),
        "{letters:?}"
    );
    world.sql("delete from account where id = 4; update account set code = 'a1' where id = 1");
    world.settled().await;
    assert!(world.writes().contains(&"created Account a1 Name=\"Ada\"".to_owned()));
    let letters = world.dead_letters();
    assert!(letters.len() == 1 && letters[0].starts_with("accounts 2 "), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_that_the_vendor_takes_for_one_are_one() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name) values (1, 'abc', 'Ada')");
    world.settled().await;
    world.sql("insert into account (id, code, name) values (2, 'ABC', 'Bob')");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 1);
    assert_eq!(
        world.crm().record("Account", "Erp_Id__c", "abc").unwrap().fields["Name"],
        "Ada",
        "the first one keeps it"
    );
    let letters = world.dead_letters();
    assert!(letters.len() == 1 && letters[0].starts_with("accounts 2 "), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_that_is_computed_from_a_number_renames_too() {
    let mappings = accounts_with("", "Name = \"name\"").replace("value = \"code\"", "value = \"'erp-' ~ id\"");
    let world = World::running(ACCOUNT, &mappings).await;
    world.sql("insert into account (id, name) values (1, 'Ada'), (2, 'Bob')");
    world.settled().await;
    world.mark();
    world.sql("update account set id = 7 where id = 1");
    world.expect_writes(&["updated Account erp-7 Erp_Id__c=\"erp-7\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_renamed_costs_its_children_nothing() {
    let fields = "Name = \"name\"\nParent = { reference = \"accounts\", value = \"parent\" }";
    let world = World::running(ACCOUNT, &accounts_with("", fields)).await;
    world.sql("insert into account (id, code, name, parent) values (1, 'a1', 'Ada', null), (2, 'a2', 'Bob', 1)");
    world.settled().await;
    world.mark();
    world.sql("update account set code = 'z1' where id = 1");
    world.expect_writes(&["updated Account z1 Erp_Id__c=\"z1\""]).await;
    let expected = given([
        ("z1", &[("Name", json!("Ada"))] as &[_]),
        ("a2", &[("Name", json!("Bob")), ("ParentId", json!("-> z1"))]),
    ]);
    world.expect("Account", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_key_that_changes_beside_an_absent_column_outlives_a_kill_at_each_sync() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name, note) values (1, 'a1', 'Ada', repeat('long ', 2000))");
    world.settled().await;
    for passing in 1..=5 {
        world.daemon.borrow_mut().kill();
        world.daemon.borrow_mut().start(Some(&format!("capture.after_sync:{passing}")));
        world.sql(&format!(
            "update account set name = 'Ada {passing}' where id = {passing};
             update account set id = id + 1, city = 'City {passing}' where id = {passing}"
        ));
        let died = tokio::time::timeout(crate::world::LIMIT, async { world.daemon.borrow_mut().end().await }).await;
        assert!(crate::daemon::is_failpoint(died.expect("it dies at a sync")), "{}", world.story());
        world.start().await;
        world.settled().await;
        let fields = [
            ("Name", json!(format!("Ada {passing}"))),
            ("BillingCity", json!(format!("City {passing}"))),
            ("Description", json!("long ".repeat(2000))),
        ];
        world.expect("Account", &given([("a1", &fields)])).await;
    }
}
