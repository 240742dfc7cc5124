//! References to rows of several mappings, and parents that are waited for.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};
use serde_json::json;

use crate::table::mapping;
use crate::world::World;

const TABLES: &str = "
    create table partner (id int primary key, code text, name text, kind text);
    create table contact (id int primary key, code text, name text, partner int);";

/// Companies and persons of one table, and contacts of either. `policies` are those of companies.
fn mappings(policies: &str, missing: &str) -> String {
    let company = format!("where = \"kind == 'company'\"\n{policies}");
    mapping("companies", "partner", "Account", &company, "Name = \"name\"")
        + &mapping("persons", "partner", "Account", "where = \"kind == 'person'\"", "Name = \"name\"")
            .replace("value = \"code\"", "value = \"'p-' ~ code\"")
        + &contacts("[\"companies\", \"persons\"]", missing)
}

fn contacts(reference: &str, missing: &str) -> String {
    let account = format!("Account = {{ reference = {reference}, value = \"partner\"{missing} }}");
    mapping("contacts", "contact", "Contact", "", &format!("LastName = \"name\"\n{account}"))
}

/// The key of the account that a contact refers to, once it refers to that one.
async fn refers(world: &World, contact: &str, account: Option<&str>) {
    world
        .until(&format!("{contact} to refer to {account:?}"), async || {
            let record = world.crm().record("Contact", "Erp_Id__c", contact)?;
            (record.parents.get("AccountId").map(String::as_str) == account).then_some(())
        })
        .await;
}

async fn waits(world: &World, rows: u64) {
    world
        .until(&format!("{rows} rows to wait"), async || {
            let status = world.status_of("mappings", "contacts").await?;
            (status["waiting_parent"] == rows && status["pending"] == rows && status["in_flight"] == 0).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reference_takes_the_first_mapping_that_has_the_row() {
    let world = World::new(TABLES, &mappings("", "")).await;
    world.sql(
        "insert into partner values (1, 'a1', 'Acme', 'company'), (2, 'a2', 'Ada', 'person'), (3, 'a3', 'Eve', null);
         insert into contact select n, 'c' || n, 'Bo', n from generate_series(1, 4) n;",
    );
    world.start().await;
    world.settled().await;
    for (contact, account) in [("c1", Some("a1")), ("c2", Some("p-a2")), ("c3", None), ("c4", None)] {
        refers(&world, contact, account).await;
    }
    // One that no mapping took comes, and one that was not there.
    world.sql("update partner set kind = 'person' where id = 3; insert into partner values (4, 'a4', 'Fox', 'person')");
    refers(&world, "c3", Some("p-a3")).await;
    refers(&world, "c4", Some("p-a4")).await;
    world.settled().await;
    assert_eq!(world.crm().stats().unchanged, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_moves_from_one_mapping_to_another_takes_its_children_along() {
    let world = World::running(TABLES, &mappings("", "")).await;
    world.sql(
        "insert into partner values (1, 'a1', 'Acme', 'company'), (2, 'a2', 'Ada', 'person');
         insert into contact values (1, 'c1', 'Bo', 1), (2, 'c2', 'Cy', 2);",
    );
    world.settled().await;
    // Both records stay in the CRM, and only one of them is the row's.
    for _ in 0..2 {
        world.sql("update partner set kind = case kind when 'company' then 'person' else 'company' end");
        refers(&world, "c1", Some("p-a1")).await;
        refers(&world, "c2", Some("a2")).await;
        world.sql("update partner set kind = case kind when 'company' then 'person' else 'company' end");
        refers(&world, "c1", Some("a1")).await;
        refers(&world, "c2", Some("p-a2")).await;
    }
    // One that leaves both keeps its records, and the child what it has.
    world.sql("update partner set kind = null where id = 1");
    world.settled().await;
    refers(&world, "c1", Some("a1")).await;
    // The row's key changes.
    world.mark();
    world.sql("update partner set id = 9 where id = 2; update contact set partner = 9 where id = 2");
    world.settled().await;
    refers(&world, "c2", Some("p-a2")).await;
    world.sql("update partner set kind = 'company' where id = 9");
    refers(&world, "c2", Some("a2")).await;
    world.settled().await;
    let contacts = world.duplicates().into_iter().filter(|write| write.contains(" Contact "));
    assert_eq!(contacts.collect::<Vec<_>>(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn children_are_pointed_at_the_other_record_before_theirs_is_deleted() {
    let world = World::running(TABLES, &mappings("on_leave = \"delete\"", "")).await;
    world.sql(
        "insert into partner values (1, 'a1', 'Acme', 'company');
         insert into contact select n, 'c' || n, 'Bo', 1 from generate_series(1, 300) n;",
    );
    world.settled().await;
    world.mark();
    world.sql("update partner set kind = 'person'");
    world.settled().await;
    let writes = world.writes();
    let is_deletion = |write: &&String| write.starts_with("deleted Account a1");
    assert_eq!(writes.iter().position(|write| is_deletion(&write)), Some(writes.len() - 1), "{writes:?}");
    assert_eq!(writes.len(), 302, "one account, each contact once, the deletion");
    refers(&world, "c300", Some("p-a1")).await;
    // Where there is no other one, nothing waits.
    world.sql("update partner set kind = 'company'");
    refers(&world, "c300", Some("a1")).await;
    world.sql("update partner set kind = null");
    world
        .until("the deletion", async || world.crm().record("Account", "Erp_Id__c", "a1").is_none().then_some(()))
        .await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn records_of_several_objects_are_referred_to_by_id() {
    let mappings = mapping("companies", "partner", "Company__c", "where = \"kind == 'company'\"", "Name__c = \"name\"")
        + &mapping("persons", "partner", "Person__c", "where = \"kind == 'person'\"", "Name__c = \"name\"")
        + &mapping(
            "contacts",
            "contact",
            "Contact",
            "",
            "LastName = \"name\"\nPartner__r = { reference = [\"companies\", \"persons\"], value = \"partner\", missing = \"null\" }",
        );
    let world = World::running(TABLES, &mappings).await;
    world.sql(
        "insert into partner values (1, 'a1', 'Acme', 'company');
         insert into contact values (1, 'c1', 'Bo', 1), (2, 'c2', 'Cy', 2);",
    );
    world.settled().await;
    let partner = |world: &World, contact: &str| {
        let record = world.crm().record("Contact", "Erp_Id__c", contact);
        record.and_then(|record| record.fields.get("Partner__c").cloned()).unwrap_or_default()
    };
    let id = |world: &World, object: &str| {
        world.crm().record(object, "Erp_Id__c", "a1").map(|record| json!(record.id)).unwrap()
    };
    assert_eq!((partner(&world, "c1"), partner(&world, "c2")), (id(&world, "Company__c"), json!(null)));
    world.sql("update partner set kind = 'person'");
    world
        .until("the other record", async || {
            world.crm().record("Person__c", "Erp_Id__c", "a1")?;
            (partner(&world, "c1") == id(&world, "Person__c")).then_some(())
        })
        .await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_waits_for_its_parent_and_comes_with_it() {
    let world = World::running(TABLES, &mappings("", ", missing = \"wait 1h\"")).await;
    world.sql("insert into contact values (1, 'c1', 'Bo', 1), (2, 'c2', 'Cy', null)");
    refers(&world, "c2", None).await;
    waits(&world, 1).await;
    world.sql("update contact set name = 'Bob' where id = 1");
    world.captured().await;
    waits(&world, 1).await;
    world.restart().await;
    waits(&world, 1).await;
    world.mark();
    world.sql("insert into partner values (1, 'a1', 'Ada', 'person')");
    world.settled().await;
    let writes = world.writes();
    assert_eq!(writes.len(), 2, "{writes:?}");
    assert!(writes[1].starts_with("created Contact") && writes[1].contains("\"Bob\""), "{writes:?}");
    refers(&world, "c1", Some("p-a1")).await;
    // The parent of a record that is there goes: nothing waits for it.
    world.sql("delete from partner; update contact set name = 'Eve' where id = 1");
    world.settled().await;
    refers(&world, "c1", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_does_not_come_is_waited_for_no_longer_than_that() {
    let begun = Instant::now();
    let world = World::running(TABLES, &mappings("", ", missing = \"wait 3s\"")).await;
    world.sql("insert into contact values (1, 'c1', 'Bo', 1)");
    waits(&world, 1).await;
    world.restart().await;
    refers(&world, "c1", None).await;
    assert!(begun.elapsed() >= Duration::from_secs(3), "{:?}", begun.elapsed());
    world.settled().await;
    // Once without it is for good: changes do not wait, until it comes.
    let begun = Instant::now();
    world.sql("update contact set name = 'Bob'");
    world.settled().await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    world.sql("insert into partner values (1, 'a1', 'Acme', 'company')");
    refers(&world, "c1", Some("a1")).await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_that_wait_for_each_other_go_at_once() {
    let tables = "create table contact (id int primary key, code text, name text, boss int);";
    let fields =
        "LastName = \"name\"\nReportsTo = { reference = \"contacts\", value = \"boss\", missing = \"wait 1h\" }";
    let world = World::running(tables, &mapping("contacts", "contact", "Contact", "", fields)).await;
    world.sql("insert into contact values (1, 'c1', 'Ada', 1)");
    world.sql("insert into contact values (2, 'c2', 'Bo', 3)");
    waits(&world, 1).await;
    world.sql("insert into contact values (3, 'c3', 'Cy', 2)");
    world.settled().await;
    for (contact, boss) in [("c1", "c1"), ("c2", "c3"), ("c3", "c2")] {
        world
            .until(&format!("the boss of {contact}"), async || {
                let record = world.crm().record("Contact", "Erp_Id__c", contact)?;
                (record.parents.get("ReportsToId").map(String::as_str) == Some(boss)).then_some(())
            })
            .await;
    }
}

/// Rows go from one mapping to the other and back, come and go, their children turn to others, and the daemon is killed.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_moves_each_reference_is_to_the_record_of_its_row() {
    let seed = std::env::var("PASSERELLE_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_122);
    eprintln!("PASSERELLE_E2E_SEED={seed} repeats this run's dice");
    let mut dice = StdRng::seed_from_u64(seed);
    let policies = "on_leave = \"delete\"\nguard = { deletes = \"100%\" }";
    let person = "where = \"kind == 'person'\"";
    let mappings = mappings(policies, "").replace(person, &format!("{person}\n{policies}"));
    let world = World::running(TABLES, &mappings).await;
    world.sql("insert into contact select n, 'c' || n, 'Bo', n % 10 from generate_series(1, 60) n");
    for round in 0..12 {
        for _ in 0..dice.random_range(1..12) {
            let (partner, other) = (dice.random_range(0..10), dice.random_range(0..10));
            let kind = if dice.random() { "company" } else { "person" };
            world.sql(&match dice.random_range(0..6) {
                0 => format!("delete from partner where id = {partner}"),
                1 => format!("update contact set partner = {other} where partner = {partner} and id % 3 = 0"),
                2 => "update partner set kind = case kind when 'company' then 'person' else 'company' end".to_owned(),
                _ => format!(
                    "insert into partner values ({partner}, 'a{partner}', 'Acme', '{kind}')
                         on conflict (id) do update set kind = '{kind}', name = 'Acme {round}'"
                ),
            });
        }
        if dice.random() {
            world.daemon.borrow_mut().kill();
            world.daemon.borrow_mut().start(None);
        }
        if round % 4 == 3 {
            world.answering().await;
            world.settled().await;
            let rows = world.sql(
                "select c.code || '=' || coalesce(case p.kind when 'company' then p.code else 'p-' || p.code end, '')
                     from contact c left join partner p on p.id = c.partner",
            );
            let wanted: BTreeMap<&str, &str> = rows.lines().filter_map(|line| line.trim().split_once('=')).collect();
            assert_eq!(wanted.len(), 60, "{rows}");
            for (contact, account) in wanted {
                refers(&world, contact, Some(account).filter(|account| !account.is_empty())).await;
            }
            let accounts = world.sql("select count(*) from partner").trim().parse::<usize>().unwrap();
            world
                .until("the accounts", async || (world.crm().records(Some("Account")).len() == accounts).then_some(()))
                .await;
        }
    }
}
