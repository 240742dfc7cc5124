//! Rows that come, change and go while their changes wait.

use serde_json::json;

use super::{ACCOUNT, accounts, mapping};
use crate::records::given;
use crate::world::World;
use passerelle::sandbox::{Fault, FaultKind};
use std::time::Duration;

async fn with_ada() -> World {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris')");
    world.expect_writes(&["created Account a1 BillingCity=\"Paris\" Name=\"Ada\""]).await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn many_updates_that_wait_are_one_write_of_what_differs() {
    let world = with_ada().await;
    world.cli(&["pause", "--writes"]);
    for city in ["Lyon", "Nice", "Metz", "Brest"] {
        world.sql(&format!("update account set city = '{city}', name = 'Bob' where id = 1"));
    }
    world.sql("update account set name = 'Ada' where id = 1");
    world.captured().await;
    assert_eq!(world.writes(), [""; 0], "writes are paused");
    world.cli(&["resume", "--writes"]);
    world.expect_writes(&["updated Account a1 BillingCity=\"Brest\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn values_that_end_where_they_began_and_unmapped_columns_cost_no_call() {
    let world = with_ada().await;
    let calls = world.crm().stats().calls;
    world.sql("update account set spare = 'x', active = false where id = 1");
    world.sql("update account set name = 'Ada' where id = 1");
    world.cli(&["pause", "--writes"]);
    world.sql("update account set city = 'Lyon' where id = 1");
    world.sql("update account set city = 'Paris' where id = 1");
    world.captured().await;
    world.cli(&["resume", "--writes"]);
    world.expect_writes(&[]).await;
    assert_eq!(world.crm().stats().calls, calls);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_came_and_went_before_it_was_sent_is_nothing() {
    let world = with_ada().await;
    world.cli(&["pause", "--writes"]);
    world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob')");
    world.sql("delete from account where id = 2");
    world.sql("begin; insert into account (id, code, name) values (3, 'a3', 'Cid'); rollback");
    world.captured().await;
    world.cli(&["resume", "--writes"]);
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deleted_and_inserted_again_before_either_was_sent_is_what_differs_on_the_same_record() {
    let world = with_ada().await;
    let id = world.crm().record("Account", "Erp_Id__c", "a1").unwrap().id;
    world.cli(&["pause", "--writes"]);
    world.sql("delete from account where id = 1");
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Lyon')");
    world.captured().await;
    world.cli(&["resume", "--writes"]);
    world.expect_writes(&["updated Account a1 BillingCity=\"Lyon\""]).await;
    assert_eq!(world.crm().record("Account", "Erp_Id__c", "a1").unwrap().id, id);
}

#[tokio::test(flavor = "multi_thread")]
async fn inserted_again_after_the_delete_was_accepted_is_created_in_full() {
    let world = with_ada().await;
    world.sql("delete from account where id = 1");
    world.expect_writes(&["deleted Account a1"]).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Lyon')");
    world.expect_writes(&["created Account a1 BillingCity=\"Lyon\" Name=\"Ada\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn inserted_again_while_the_delete_is_in_flight_is_created_in_full_after_it() {
    let world = with_ada().await;
    let calls = world.crm().stats().calls;
    world.crm().inject(Fault::new(FaultKind::Hang).hanging(Duration::from_secs(2)).times(1)).unwrap();
    world.sql("delete from account where id = 1");
    world.until("the delete to arrive", async || (world.crm().stats().calls > calls).then_some(())).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Lyon')");
    world.expect_writes(&["deleted Account a1", "created Account a1 BillingCity=\"Lyon\" Name=\"Ada\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_goes_or_is_renamed_while_its_creation_is_in_flight_follows_it() {
    let world = with_ada().await;
    for (change, writes) in [
        ("delete from account where id = 2", ["created Account a2 Name=\"Bob\"", "deleted Account a2"]),
        (
            "update account set code = 'b2' where id = 2",
            ["created Account a2 Name=\"Bob\"", "updated Account b2 Erp_Id__c=\"b2\""],
        ),
    ] {
        let calls = world.crm().stats().calls;
        world.crm().inject(Fault::new(FaultKind::HangAfterWrite).hanging(Duration::from_secs(2)).times(1)).unwrap();
        world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob')");
        world.until("the creation to arrive", async || (world.crm().stats().calls > calls).then_some(())).await;
        world.sql(change);
        world.expect_writes(&writes).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_deletes_behind_the_guard_and_rows_inserted_again_are_compared() {
    let policies = "on_truncate = \"delete\"\nguard = { deletes = \"3 in 1h\" }";
    let world = World::running(ACCOUNT, &accounts(policies)).await;
    world.sql("insert into account (id, code, name) select n, 'a' || n, 'Ada' from generate_series(1, 10) n");
    world.settled().await;
    world.mark();
    world.sql(
        "truncate account;
         insert into account (id, code, name) values (1, 'a1', 'Ada'), (2, 'a2', 'Bob'), (11, 'a11', 'Eve')",
    );
    world.captured().await;
    let guarded = world.until("the guard to trip", async || {
        let mapping = world.status_of("mappings", "accounts").await?;
        (mapping["guard_tripped"] == true && mapping["pending"] == 5).then_some(mapping)
    });
    let guarded = guarded.await;
    assert_eq!(guarded["deletes_last_hour"], 3, "{guarded}");
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes.iter().filter(|write| write.starts_with("deleted")).count(), 3, "{writes:?}");
    assert!(writes.contains(&"created Account a11 Name=\"Eve\"".to_owned()), "{writes:?}");
    assert!(writes.contains(&"updated Account a2 Name=\"Bob\"".to_owned()), "{writes:?}");
    assert_eq!(writes.len(), 5, "{writes:?}");
    world.cli(&["resume", "accounts", "--confirm"]);
    let name = |name: &str| ("Name", json!(name));
    let expected = given([("a1", &[name("Ada")]), ("a2", &[name("Bob")]), ("a11", &[name("Eve")])]);
    world.expect("Account", &expected).await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn truncate_is_ignored_by_default() {
    let world = with_ada().await;
    world.sql("truncate account");
    world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob')");
    world.expect_writes(&["created Account a2 Name=\"Bob\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_load_and_the_stream_on_one_key_are_the_newest_cells_once() {
    let world = World::new(ACCOUNT, &accounts("guard = { deletes = \"100%\" }")).await;
    world.sql(
        "insert into account (id, code, name, note)
         select n, 'a' || n, 'old ' || n, repeat(md5(n::text), 100) from generate_series(1, 8000) n",
    );
    world.daemon.borrow_mut().start(None);
    // While the rows are read, or before, or after: every one of these is right.
    for round in 1..=40 {
        world.sql(&format!(
            "update account set name = 'new {round} ' || id where id % 40 = {round} % 40 and id % 80 < 40;
             delete from account where id % 40 = {round} % 40 and id % 400 > 360;
             insert into account (id, code, name) values (8000 + {round}, 'n' || {round}, 'new')"
        ));
    }
    world.answering().await;
    world.settled().await;
    let mut found: Vec<String> = crate::records::of(world.crm(), "Account")
        .into_iter()
        .map(|(key, fields)| {
            let text = |name: &str| fields.get(name).map_or("", |text| text.trim_matches('"'));
            let note = text("Description");
            let number = key.trim_start_matches('a').parse::<u32>().map(|n| md5_times_100(&world, n));
            let is_whole = number.as_ref().is_ok_and(|whole| whole == note);
            format!("{key}={}={}", text("Name"), if is_whole { "whole" } else { note })
        })
        .collect();
    found.sort_unstable();
    let expected =
        world.sql("select code || '=' || name || '=' || case when note is null then '' else 'whole' end from account");
    let mut expected: Vec<String> = expected.lines().map(str::to_owned).collect();
    expected.sort_unstable();
    let differing: Vec<_> = found.iter().zip(&expected).filter(|(found, expected)| found != expected).take(5).collect();
    assert!(differing.is_empty() && found.len() == expected.len(), "{differing:?}");
    assert_eq!(world.crm().stats().unchanged, 0, "nothing was sent twice");
    let most = world.crm().records(Some("Account")).iter().map(|record| record.writes).max();
    assert!(most <= Some(2), "a record was written {most:?} times, though its row changed once");
}

/// What the note of row `n` is. The database is asked for all of them once.
fn md5_times_100(world: &World, n: u32) -> String {
    use std::cell::OnceCell;
    thread_local! {
        static HASHES: OnceCell<Vec<String>> = const { OnceCell::new() };
    }
    HASHES.with(|hashes| {
        let all = hashes.get_or_init(|| {
            let printed = world.sql("select md5(n::text) from generate_series(0, 8000) n order by n");
            printed.lines().map(str::to_owned).collect()
        });
        all.get(n as usize).map(|hash| hash.repeat(100)).unwrap_or_default()
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_deleted_goes_after_its_children_s_writes() {
    let tables = format!("{ACCOUNT} create table contact (id int primary key, code text, name text, account int);");
    let contact = "LastName = \"name\"\nAccount = { reference = \"accounts\", value = \"account\" }";
    let mappings = accounts("") + &mapping("contacts", "contact", "Contact", "", contact);
    let world = World::running(&tables, &mappings).await;
    world.sql(
        "insert into account (id, code, name) values (1, 'a1', 'Ada'), (2, 'a2', 'Bob');
         insert into contact values (1, 'c1', 'Cid', 1), (2, 'c2', 'Dan', 1)",
    );
    world.settled().await;
    world.mark();
    world.cli(&["pause", "--writes"]);
    world.sql(
        "delete from account where id = 1; update contact set account = 2 where id = 1;
         update contact set name = 'Eve' where id = 2",
    );
    world.captured().await;
    world.cli(&["resume", "--writes"]);
    world.settled().await;
    let writes = world.writes();
    let deleted = writes.iter().position(|write| write == "deleted Account a1").expect("the account goes");
    for child in ["Contact c1", "Contact c2"] {
        let written = writes.iter().position(|write| write.contains(child)).expect("both children are written");
        assert!(written < deleted, "{writes:?}");
    }
    let contacts = given([
        ("c1", &[("LastName", json!("Cid")), ("AccountId", json!("-> a2"))] as &[_]),
        ("c2", &[("LastName", json!("Eve"))]),
    ]);
    world.expect("Contact", &contacts).await;
    // The parent comes back: the child that still names it gets it again.
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.settled().await;
    let contacts = given([
        ("c1", &[("LastName", json!("Cid")), ("AccountId", json!("-> a2"))] as &[_]),
        ("c2", &[("LastName", json!("Eve")), ("AccountId", json!("-> a1"))]),
    ]);
    world.expect("Contact", &contacts).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_sending_and_before_noting_sends_the_same_again() {
    let world = World::new(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.daemon.borrow_mut().start(Some("delivery.before_note:1"));
    let died = tokio::time::timeout(crate::world::LIMIT, async { world.daemon.borrow_mut().end().await }).await;
    assert!(crate::daemon::is_failpoint(died.expect("it dies after it has sent")), "{}", world.story());
    assert_eq!(world.writes(), ["created Account a1 Name=\"Ada\""]);
    world.start().await;
    world.expect_writes(&["updated Account a1 BillingCity=null Description=null Erp_Id__c=\"a1\" Name=\"Ada\""]).await;
    world.restart().await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn killed_after_sending_and_before_noting_a_row_that_is_gone_meanwhile_goes_from_the_crm() {
    let world = World::new(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada'), (2, 'a2', 'Bob'), (3, 'a3', 'Cid')");
    world.daemon.borrow_mut().start(Some("delivery.before_note:1"));
    let died = tokio::time::timeout(crate::world::LIMIT, async { world.daemon.borrow_mut().end().await }).await;
    assert!(crate::daemon::is_failpoint(died.expect("it dies after it has sent")), "{}", world.story());
    world.sql("delete from account where id = 1; update account set code = 'b2' where id = 2");
    world.start().await;
    world.settled().await;
    let expected = given([("b2", &[("Name", json!("Bob"))]), ("a3", &[("Name", json!("Cid"))])]);
    world.expect("Account", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_that_is_lost_does_not_hide_a_change_back() {
    let world = with_ada().await;
    for (change, back) in [("city = 'Lyon'", "city = 'Paris'"), ("code = 'b1'", "code = 'a1'")] {
        let fired = world.crm().stats().faults.get(&FaultKind::CutAfterWrite).copied().unwrap_or(0);
        world.crm().inject(Fault::new(FaultKind::CutAfterWrite).times(1)).unwrap();
        world.sql(&format!("update account set {change} where id = 1"));
        world
            .until("the answer to be lost", async || {
                (world.crm().stats().faults.get(&FaultKind::CutAfterWrite) > Some(&fired)).then_some(())
            })
            .await;
        world.sql(&format!("update account set {back} where id = 1"));
        world.settled().await;
        let paris = [("Name", json!("Ada")), ("BillingCity", json!("Paris"))];
        world.expect("Account", &given([("a1", &paris)])).await;
    }
}
