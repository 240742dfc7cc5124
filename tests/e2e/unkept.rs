//! References to records of the CRM that no mapping keeps: `Owner = { crm = "User", by = "Email", … }`.

use passerelle::sandbox::{Fault, FaultKind, SandboxLimits, SandboxOptions};
use serde_json::{Value, json};

use crate::table::mapping;
use crate::world::World;

const TABLES: &str = "
    create table account (id int primary key, code text, name text, seller text);
    create table item (id int primary key, code text, name text);";

fn mappings(missing: &str) -> String {
    let owner = format!("Name = \"name\"\nOwner = {{ crm = \"User\", by = \"Email\", value = \"seller\"{missing} }}");
    mapping("accounts", "account", "Account", "", &owner) + &mapping("items", "item", "Product2", "", "Name = \"name\"")
}

/// Makes a user, as an administrator does, and gives its id.
async fn user(world: &World, name: &str, is_active: bool) -> String {
    let email = format!("{name}@x.example");
    let user = json!({ "Username": email, "LastName": name, "Email": email, "IsActive": is_active });
    let url = format!("{}/services/data/v66.0/sobjects/User", world.crm().url());
    let answer = reqwest::Client::new().post(url).bearer_auth("an administrator").json(&user).send().await.unwrap();
    let answer: Value = answer.json().await.unwrap();
    answer["id"].as_str().unwrap_or_else(|| panic!("{answer}")).to_owned()
}

fn owner(world: &World, key: &str) -> Option<String> {
    let record = world.crm().record("Account", "Erp_Id__c", key)?;
    record.fields.get("OwnerId")?.as_str().map(str::to_owned)
}

async fn owned(world: &World, key: &str, by: Option<&str>) {
    world
        .until(&format!("the owner of {key} to be {by:?}"), async || {
            world.crm().record("Account", "Erp_Id__c", key)?;
            (owner(world, key).as_deref() == by).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_is_found_by_its_address_and_asked_for_once() {
    let world = World::new(TABLES, &mappings("")).await;
    let (ada, bo) = (user(&world, "ada", true).await, user(&world, "o'bo", true).await);
    user(&world, "gone", false).await;
    world.sql(
        "insert into account select n, 'a' || n, 'Acme', case n % 5 when 0 then ' Ada@x.example ' when 1 then 'o''bo@x.example'
             when 2 then 'gone@x.example' when 3 then 'nobody@x.example' end from generate_series(1, 1000) n;",
    );
    world.start().await;
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 1000);
    for (key, by) in [("a5", Some(&ada)), ("a6", Some(&bo)), ("a7", None), ("a8", None), ("a9", None)] {
        assert_eq!(owner(&world, key).as_ref(), by, "{key}");
    }
    // One call for four values, five for the records, few for signing in and the like.
    let calls = world.crm().stats().calls;
    assert!(calls <= 12, "{calls} calls");
    // What was told is kept, over a restart too.
    world.restart().await;
    world.sql(
        "update account set seller = 'ada@x.example' where id in (6, 8); update account set seller = null where id = 5",
    );
    world.settled().await;
    for key in ["a5", "a6", "a8"] {
        assert_eq!(owner(&world, key).as_ref(), Some(&ada), "{key}: null leaves what is there");
    }
    assert_eq!(world.crm().stats().unchanged, 0);
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_not_found_or_found_twice_follows_missing_with_its_reason() {
    let world = World::new(TABLES, &mappings(", missing = \"reject\"")).await;
    for name in ["ada", "twin", "TWIN"] {
        user(&world, name, true).await;
    }
    world.start().await;
    world.sql(
        "insert into account values (1, 'a1', 'Acme', 'Twin@x.example'), (2, 'a2', 'Acme', 'nobody@x.example'),
             (3, 'a3', 'Acme', 'ada@x.example'), (4, 'a4', 'Acme', 'twin@x.example')",
    );
    world.settled().await;
    let mut letters = world.dead_letters();
    letters.sort_unstable();
    assert_eq!(letters, ["accounts 1 PARENT_AMBIGUOUS", "accounts 2 PARENT_MISSING"]);
    assert_eq!(world.crm().records(Some("Account")).len(), 2, "the very text counts before others");
    world.sql("update account set seller = 'ADA@x.example'");
    world.settled().await;
    assert_eq!((world.dead_letters().len(), world.crm().records(Some("Account")).len()), (0, 4));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_waits_for_its_owner_no_longer_than_it_is_told() {
    let world = World::running(TABLES, &mappings(", missing = \"wait 2s\"")).await;
    world.sql("insert into account values (1, 'a1', 'Acme', 'late@x.example')");
    world
        .until("it to wait", async || {
            (world.status_of("mappings", "accounts").await?["waiting_parent"] == 1).then_some(())
        })
        .await;
    assert!(world.crm().record("Account", "Erp_Id__c", "a1").is_none());
    owned(&world, "a1", None).await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_cannot_be_asked_holds_up_only_those_that_ask() {
    let world = World::running(TABLES, &mappings("")).await;
    let ada = user(&world, "ada", true).await;
    world.crm().inject(Fault::new(FaultKind::CutBefore).times(3)).unwrap();
    world.sql(
        "insert into account values (1, 'a1', 'Acme', 'ada@x.example'); insert into item values (1, 'i1', 'Item')",
    );
    world.until("the item", async || world.crm().record("Product2", "Erp_Id__c", "i1")).await;
    owned(&world, "a1", Some(&ada)).await;
    // Killed while it waits for the answer.
    let bo = user(&world, "bo", true).await;
    world.crm().inject(Fault::new(FaultKind::Hang).times(1)).unwrap();
    world.sql("update account set seller = 'bo@x.example'");
    world
        .until("the call", async || (world.crm().stats().faults.get(&FaultKind::Hang) == Some(&1)).then_some(()))
        .await;
    world.crm().clear_faults();
    world.restart().await;
    owned(&world, "a1", Some(&bo)).await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_object_that_cannot_be_asked_for_holds_nothing_up() {
    let odd = mappings("").replace("\"Email\"", "\"Emale\"");
    let world = World::running(TABLES, &odd).await;
    world.sql("insert into account select n, 'a' || n, 'Acme', n || '@x.example' from generate_series(1, 500) n");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 500);
    let calls = world.crm().stats().calls;
    assert!(calls <= 20, "{calls} calls");
    let nobody = mappings("").replace("\"User\"", "\"Person\"");
    let world = World::running(TABLES, &nobody).await;
    world.sql("insert into account values (1, 'a1', 'Acme', 'ada@x.example')");
    world.settled().await;
    owned(&world, "a1", None).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn looking_for_owners_stays_within_the_limits() {
    let limits = SandboxLimits { per_second: Some(5), ..SandboxLimits::default() };
    let mut world = World::with(TABLES, &mappings(""), SandboxOptions { limits, ..SandboxOptions::default() }).await;
    world.limits = "limits = { per_second = 5 }".to_owned();
    world.configure();
    world.sql("insert into account select n, 'a' || n, 'Acme', n || '@x.example' from generate_series(1, 2000) n");
    world.start().await;
    world.settled().await;
    let stats = world.crm().stats();
    assert_eq!((stats.over_limit, world.crm().records(Some("Account")).len()), (0, 2000));
}
