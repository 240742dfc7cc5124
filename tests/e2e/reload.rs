//! A configuration that changes while the daemon runs.

use passerelle::sandbox::{Fault, FaultKind};
use rustix::process::Signal;
use serde_json::json;

use crate::records::{Records, given, printed};
use crate::table::{ACCOUNT, accounts, accounts_with, mapping};
use crate::world::World;

const TWO: &str = "insert into account (id, code, name, city, spare) values
    (1, 'a1', 'Ada', 'Paris', 'x'), (2, 'a2', 'Bob', 'Lyon', null)";

async fn with_two(mappings: &str) -> World {
    let world = World::running(ACCOUNT, mappings).await;
    world.sql(TWO);
    world.settled().await;
    world.mark();
    world
}

/// What the reload said, without the line that ends it.
fn reload(world: &World) -> Vec<String> {
    let said = world.cli(&["reload"]);
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    assert_eq!(lines.pop().as_deref(), Some("the new configuration is in force"), "{said}");
    lines
}

/// Waits until the daemon runs what was reloaded.
async fn in_force(world: &World) {
    world
        .until("the new configuration to run", async || {
            let status = world.get("/v1/status").await?;
            let source = status["sources"].as_array()?.iter().all(|source| source["state"] == "streaming");
            (status["daemon"]["state"] == "running" && source).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn edited_fields_are_evaluated_again_and_the_difference_is_said_first() {
    let mut world = with_two(&accounts_with("", "Name = \"name\"\nBillingCity = \"city\"")).await;
    world.remap(&accounts_with("", "Name = \"name | upper\"\nSite = { const = \"web\" }"));
    let dry = world.cli(&["reload", "--dry-run"]);
    let shown = [
        "~ mapping accounts: 2 records are evaluated again, and what differs is sent",
        "    fields.BillingCity is taken out: its value stays in the CRM",
        "    fields.Name: \"name\" → \"name | upper\"",
        "    fields.Site: { const = \"web\" }",
    ];
    assert_eq!(dry.lines().collect::<Vec<_>>(), [&shown[..], &["nothing was done: --dry-run"]].concat());
    world.expect_writes(&[]).await;

    let pid = world.daemon.borrow().pid();
    assert_eq!(reload(&world), shown);
    in_force(&world).await;
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    let expected = ["updated Account a1 Name=\"ADA\" Site=\"web\"", "updated Account a2 Name=\"BOB\" Site=\"web\""];
    assert_eq!(writes, expected);
    assert_eq!(world.daemon.borrow().pid(), pid, "it is the same process");
    assert_eq!(reload(&world), ["nothing has changed"]);
    in_force(&world).await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn mappings_come_and_go_and_new_columns_are_read() {
    let mut world = with_two(&(accounts("") + &mapping("others", "account", "Product2", "", "Name = \"name\""))).await;
    world.remap(
        &(accounts("").replace("BillingCity", "Site = \"spare\"\nBillingCity")
            + &mapping("leads", "account", "Lead", "", "LastName = \"name\"\nCompany = \"name\"")),
    );
    let said = reload(&world);
    for line in [
        "~ mapping accounts: 2 records are evaluated again, and what differs is sent",
        "    spare of public.account is read from the database once",
        "+ mapping leads: its rows are read and delivered",
        "- mapping others: its records stay in the CRM as they are",
    ] {
        assert!(said.iter().any(|said| said == line), "{line}\n{said:#?}");
    }
    in_force(&world).await;
    world
        .until("the column's value", async || {
            let record = world.crm().record("Account", "Erp_Id__c", "a1")?;
            (record.fields.get("Site")? == "x").then_some(())
        })
        .await;
    world.settled().await;
    assert_eq!(world.crm().records(Some("Lead")).len(), 2);
    world.sql("delete from account where id = 2");
    world.settled().await;
    let left = ["Account", "Lead", "Product2"].map(|object| world.crm().records(Some(object)).len());
    assert_eq!(left, [1, 1, 2], "what was taken out is left alone");
    assert!(world.status_of("mappings", "others").await.is_none());
}

#[tokio::test(flavor = "multi_thread")]
async fn sn_07_rows_that_went_without_a_word_are_found_by_the_next_load_and_guarded() {
    let policies = "guard = { deletes = \"1 in 1h\" }";
    let mut world = with_two(&accounts(policies)).await;
    world.sql("insert into account (id, code, name) select n, 'a' || n, 'Row ' || n from generate_series(3, 6) n");
    world.settled().await;
    // The log does not say it: as when rows went with a partition, or by a session that is not logged.
    world.sql("alter publication passerelle_erp set (publish = 'insert, update')");
    world.sql("delete from account where id > 3");
    world.sql("alter publication passerelle_erp set (publish = 'insert, update, delete, truncate')");
    world.sql("update account set city = 'Nice' where id = 1");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 6, "nobody knows yet");
    world.remap(&accounts(policies).replace("BillingCity", "Site = \"spare\"\nBillingCity"));
    reload(&world);
    world
        .until("the guard to hold all but one", async || {
            let mapping = world.status_of("mappings", "accounts").await?;
            (mapping["guard_tripped"] == true && world.crm().records(Some("Account")).len() == 5).then_some(())
        })
        .await;
    world.cli(&["resume", "accounts", "--confirm"]);
    world.settled().await;
    let left = ["a1", "a2", "a3", "a4"].map(|key| world.crm().record("Account", "Erp_Id__c", key).is_some());
    assert_eq!(left, [true, true, true, false]);
    assert_eq!(world.crm().records(Some("Account")).len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_faulty_configuration_changes_nothing() {
    let mut world = with_two(&accounts("")).await;
    for (mappings, words) in [
        (accounts("freshnes = \"1m\""), "did you mean `freshness`?"),
        (accounts_with("", "Name = \"nam\""), "33 | Name = \"nam\"\n   |         ^^^\n"),
        (accounts_with("", "Name = \"name > 5\""), "name > 5"),
        (accounts("").replace("public.account", "public.accounts"), "public.accounts"),
    ] {
        world.remap(&mappings);
        let (status, said) = world.daemon.borrow().cli(&["reload"]);
        assert!(!status.success() && said.contains(words), "{status}\n{said}");
    }
    let moved = world.configuration().replace("/state\"", "/elsewhere\"");
    std::fs::write(&world.daemon.borrow().config, moved).unwrap();
    let (status, said) = world.daemon.borrow().cli(&["reload"]);
    assert!(!status.success() && said.contains("state_dir of [daemon] can be changed by a restart only"), "{said}");
    world.sql("update account set city = 'Nice' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Nice\""]).await;
    world
        .until("the files to be found stale", async || {
            (world.get("/v1/status").await?["daemon"]["config_stale"] == true).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_narrower_filter_deletes_behind_the_guard() {
    let policies = "on_leave = \"delete\"\nguard = { deletes = \"1 in 1h\" }";
    let mut world = with_two(&accounts(policies)).await;
    world.remap(&accounts(&format!("{policies}\nwhere = \"city == 'Metz'\"")));
    let said = reload(&world);
    assert!(said.iter().any(|line| line.contains("their records are deleted, behind the guard (")), "{said:#?}");
    in_force(&world).await;
    world
        .until("the guard to hold one", async || {
            let mapping = world.status_of("mappings", "accounts").await?;
            (mapping["guard_tripped"] == true && world.crm().records(Some("Account")).len() == 1).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hangup_reloads_too() {
    let mut world = with_two(&accounts("")).await;
    world.remap(&accounts_with("", "Name = \"name | upper\""));
    world.daemon.borrow().signal(Signal::HUP);
    world
        .until("the new names", async || {
            let record = world.crm().record("Account", "Erp_Id__c", "a2")?;
            (record.fields.get("Name")? == "BOB").then_some(())
        })
        .await;
    assert!(world.daemon.borrow().log().contains("the configuration was read again"), "{}", world.story());
}

/// An expression, and the name that it gives to a row.
type Edit = (&'static str, fn(u32) -> String);

const EDITS: [Edit; 3] = [
    ("name", |n| format!("item {n}")),
    ("name | upper", |n| format!("ITEM {n}")),
    ("'#' ~ id ~ ' ' ~ name", |n| format!("#{n} item {n}")),
];

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_is_edited_under_load_ends_in_equality_with_the_newest() {
    const ROWS: u32 = 2_000;
    let table = "create table item (id int primary key, code text, name text, n int);";
    let with = |name: &str| mapping("items", "item", "Product2", "", &format!("Name = \"{name}\"\nCount__c = \"n\""));
    let mut world = World::running(table, &with(EDITS[0].0)).await;
    world.sql(&format!("insert into item select n, 'i' || n, 'item ' || n, 0 from generate_series(1, {ROWS}) n"));
    let mut names = EDITS[0].1;
    for round in 0..6_u32 {
        let client = world.server.client("postgres").await.unwrap();
        let load = tokio::spawn(async move {
            for n in 0..40 {
                let sql = format!("update item set n = n + 1 where id % 40 = {n}");
                client.batch_execute(&sql).await.unwrap();
            }
        });
        if round % 2 == 0 {
            world.crm().inject(Fault::new(FaultKind::CutAfterWrite).times(1)).unwrap();
        }
        let (expression, expected) = EDITS[(round as usize + 1) % EDITS.len()];
        world.remap(&with(expression));
        reload(&world);
        in_force(&world).await;
        load.await.unwrap();
        names = expected;
    }
    let expected: Records = (1..=ROWS)
        .map(|n| {
            let fields = [("Name", json!(names(n))), ("Count__c", json!(6))];
            (format!("i{n}"), fields.map(|(name, value)| (name.to_owned(), printed(&value))).into())
        })
        .collect();
    world.expect("Product2", &expected).await;
    world.settled().await;
    let one = [("Name", json!(names(1))), ("Count__c", json!(6))];
    assert_eq!(given([("i1", &one)])["i1"], expected["i1"]);
}
