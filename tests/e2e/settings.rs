//! Settings of mappings, fields and CRMs that say when something is written, whether at all, and where.

use std::time::Duration;

use passerelle::sandbox::SandboxOptions;
use serde_json::{Value, json};

use crate::records::given;
use crate::table::{ACCOUNT, accounts, accounts_with, mapping};
use crate::world::World;

const THREE: &str = "insert into account (id, code, name, city) values
    (1, 'a1', 'Ada', 'Paris'), (2, 'a2', 'Bob', 'Lyon'), (3, 'a3', 'Cy', 'Nice')";
/// The org that the sandbox is.
const SANDBOX_ORG: &str = "00DPA0000000001";

/// Waits until a figure of the mapping of accounts is this.
async fn figure(world: &World, name: &str, expected: u64) {
    world
        .until(&format!("{name} to be {expected}"), async || {
            let status = world.status_of("mappings", "accounts").await?;
            (status[name] == expected).then_some(())
        })
        .await;
}

async fn restarted_with(world: &mut World, mappings: &str) {
    world.daemon.borrow_mut().stop();
    world.remap(mappings);
    world.start().await;
    world.settled().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_record_begins_with_its_first_value_and_then_has_its_own() {
    let fields = "Name = \"name\"\nBillingCity = { value = \"city\", on_create = \"Draft\" }";
    let world = World::running(ACCOUNT, &accounts_with("", fields)).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris')");
    world
        .expect_writes(&[
            "created Account a1 BillingCity=\"Draft\" Name=\"Ada\"",
            "updated Account a1 BillingCity=\"Paris\"",
        ])
        .await;
    world.sql("update account set name = 'Eve'");
    world.expect_writes(&["updated Account a1 Name=\"Eve\""]).await;
    world.restart().await;
    world.expect_writes(&[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_record_that_people_have_made_is_not_begun_again() {
    let fields = "Name = \"name\"\nBillingCity = { value = \"city\", on_create = \"Draft\" }\n\
                  Site = { value = \"spare\", authority = \"create_only\" }";
    let world = World::new(ACCOUNT, &accounts_with("", fields)).await;
    world.person("Account", "a1", Some(json!({ "Name": "Old", "BillingCity": "Rome", "Site": "theirs" }))).await;
    world.sql("insert into account (id, code, name, city, spare) values (1, 'a1', 'Ada', 'Paris', 'ours')");
    world.start().await;
    world.settled().await;
    assert_eq!(world.writes(), ["updated Account a1 BillingCity=\"Paris\" Name=\"Ada\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_goes_where_its_condition_and_its_check_let_it() {
    let fields = "Name = { value = \"name\", when = \"active\" }\nSite = { value = \"spare\", check = '[A-Z]{2}' }";
    let world = World::running(ACCOUNT, &accounts_with("", fields)).await;
    world.sql("insert into account (id, code, name, spare) values (1, 'a1', 'Ada', 'FR')");
    world.expect_writes(&["created Account a1 Name=\"Ada\" Site=\"FR\""]).await;
    world.sql("update account set active = false, name = 'Eve', spare = 'France'");
    world.expect_writes(&[]).await;
    world.sql("update account set active = null, spare = 'DE'");
    world.expect_writes(&["updated Account a1 Site=\"DE\""]).await;
    world.sql("update account set active = true");
    world.expect_writes(&["updated Account a1 Name=\"Eve\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_parent_that_is_not_there_clears_the_reference_until_it_comes() {
    let contact = "create table contact (id int primary key, code text, name text, parent int);";
    let mapped = |missing: &str| {
        let fields = format!(
            "LastName = \"name\"\nAccount = {{ reference = \"accounts\", value = \"parent\", missing = \"{missing}\" }}"
        );
        accounts("where = \"active\"") + &mapping("contacts", "contact", "Contact", "", &fields)
    };
    let mut world = World::running(&format!("{ACCOUNT}{contact}"), &mapped("null")).await;
    world.sql("insert into account (id, code, name, active) values (1, 'a1', 'Ada', false), (2, 'a2', 'Bob', true)");
    world.sql("insert into contact values (7, 'c7', 'Grace', 2)");
    world.settled().await;
    world.mark();
    world.sql("update contact set parent = 1");
    world.expect_writes(&["updated Contact c7 AccountId=null"]).await;
    world.sql("update account set active = true where id = 1");
    world.settled().await;
    assert_eq!(world.writes().len(), 2, "the parent, then the reference");
    restarted_with(&mut world, &mapped("reject")).await;
    world.sql("insert into account (id, code, name, active) values (3, 'a3', 'Cy', false)");
    world.sql("insert into contact values (8, 'c8', 'Linus', 3), (9, 'c9', 'Alan', null)");
    world.settled().await;
    assert_eq!(world.dead_letters(), ["contacts 8 PARENT_MISSING"]);
    assert!(world.crm().record("Contact", "Erp_Id__c", "c9").is_some(), "no parent is named: none is missing");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_is_sent_when_it_has_been_still_and_a_kill_forgets_nothing() {
    let world = World::running(ACCOUNT, &accounts("quiet = \"2s\"")).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.captured().await;
    world
        .until("the row to wait", async || {
            (world.status_of("mappings", "accounts").await?["pending"] == 1).then_some(())
        })
        .await;
    assert_eq!(world.writes(), [""; 0]);
    world.sql("update account set name = 'Eve'");
    world.captured().await;
    world.restart().await;
    world.expect_writes(&["created Account a1 Name=\"Eve\""]).await;
    world.sql("update account set name = 'Ann'; delete from account");
    world.expect_writes(&["deleted Account a1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_canary_writes_the_rows_it_names_and_all_of_them_when_it_is_gone() {
    let mut world = World::new(ACCOUNT, &accounts("only = [2]")).await;
    world.sql(THREE);
    world.start().await;
    world.settled().await;
    assert_eq!(world.writes(), ["created Account a2 BillingCity=\"Lyon\" Name=\"Bob\""]);
    figure(&world, "left_out_total", 2).await;
    world.sql("update account set name = upper(name)");
    world.expect_writes(&["updated Account a2 Name=\"BOB\""]).await;
    restarted_with(&mut world, &accounts("")).await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            "created Account a1 BillingCity=\"Paris\" Name=\"ADA\"",
            "created Account a3 BillingCity=\"Nice\" Name=\"CY\""
        ]
    );
    // Of a row that feeds a record and is left out, a deletion is not forgotten.
    restarted_with(&mut world, &accounts("only = [2]").replace("[2]", "[2, 9]")).await;
    world.sql("delete from account where id = 3");
    world.captured().await;
    world
        .until("the row to wait", async || {
            (world.status_of("mappings", "accounts").await?["pending"] == 1).then_some(())
        })
        .await;
    assert_eq!(world.writes(), [""; 0]);
    restarted_with(&mut world, &accounts("")).await;
    assert_eq!(world.writes(), ["deleted Account a3"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_limit_is_the_number_of_records_that_are_there() {
    let mut world = World::new(ACCOUNT, &accounts("limit = 2")).await;
    world.sql(THREE);
    world.start().await;
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 2);
    figure(&world, "left_out_total", 1).await;
    world.sql("update account set name = upper(name)");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 2, "those that are there are kept up to date");
    restarted_with(&mut world, &accounts("limit = 3")).await;
    let expected = given([
        ("a1", &[("Name", json!("ADA")), ("BillingCity", json!("Paris"))]),
        ("a2", &[("Name", json!("BOB")), ("BillingCity", json!("Lyon"))]),
        ("a3", &[("Name", json!("CY")), ("BillingCity", json!("Nice"))]),
    ]);
    world.expect("Account", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_observing_mapping_counts_and_writes_when_it_goes_live() {
    let mut world = World::new(ACCOUNT, &accounts("mode = \"observe\"\nowner = \"crm\"\npurpose = \"a trial\"")).await;
    world.sql(THREE);
    world.start().await;
    world.settled().await;
    figure(&world, "observed_creations_total", 3).await;
    world.sql("delete from account where id = 3");
    world.settled().await;
    assert_eq!((world.writes(), world.crm().records(None).len()), (Vec::new(), 0));
    let status = world.status_of("mappings", "accounts").await.unwrap();
    assert_eq!(
        (&status["mode"], &status["owner"], &status["purpose"]),
        (&json!("observe"), &json!("crm"), &json!("a trial"))
    );
    assert!(world.cli(&["status"]).contains("3 creations"));
    restarted_with(&mut world, &accounts("")).await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            "created Account a1 BillingCity=\"Paris\" Name=\"Ada\"",
            "created Account a2 BillingCity=\"Lyon\" Name=\"Bob\""
        ]
    );
    // And back: what would be done to the records that are there is counted, and done later.
    restarted_with(&mut world, &accounts("mode = \"observe\"")).await;
    world.sql("update account set name = 'Eve' where id = 1; delete from account where id = 2");
    world.captured().await;
    figure(&world, "observed_deletions_total", 1).await;
    figure(&world, "observed_updates_total", 1).await;
    assert_eq!(world.writes(), [""; 0]);
    restarted_with(&mut world, &accounts("")).await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["deleted Account a2", "updated Account a1 Name=\"Eve\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mapping_that_runs_by_the_calendar_waits_for_its_time() {
    let mut world = World::running(ACCOUNT, &accounts("delivery = { cron = \"0 2 29 2 * Europe/Paris\" }")).await;
    world.sql(THREE);
    world.captured().await;
    let next = world
        .until("the next run", async || {
            let status = world.status_of("mappings", "accounts").await?;
            let waits = status["pending"] == 3 && status["state"] == "scheduled";
            waits.then(|| status["next_run_at"].as_str().map(str::to_owned))?
        })
        .await;
    assert!(next.contains("-02-29T01:00:00"), "{next}");
    assert_eq!(world.writes(), [""; 0]);
    // The time has come while nobody was there.
    world.daemon.borrow_mut().stop();
    world.remap(&accounts("delivery = { cron = \"* * * * *\" }"));
    world.start().await;
    world
        .until_within(Duration::from_secs(90), "a run", async || {
            (world.crm().records(Some("Account")).len() == 3).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nothing_is_written_to_another_org_than_the_one_that_is_expected() {
    let mut world = World::with(ACCOUNT, &accounts(""), SandboxOptions::default()).await;
    world.limits = "expect = { org = \"00D000000000001AAA\" }".to_owned();
    world.configure();
    world.sql(THREE);
    world.start().await;
    let error = world
        .until("the CRM to be refused", async || {
            let crm = world.status_of("crms", "sales").await?;
            crm["last_error"]["text"].as_str().filter(|text| text.contains("expect")).map(str::to_owned)
        })
        .await;
    assert!(error.contains(SANDBOX_ORG) && error.contains("00D000000000001AAA"), "{error}");
    assert_eq!(world.writes(), [""; 0]);
    world.daemon.borrow_mut().stop();
    world.limits = format!("expect = {{ org = \"{SANDBOX_ORG}\" }}");
    world.configure();
    world.start().await;
    world.settled().await;
    assert_eq!(world.writes().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_go_through_the_proxy_that_is_named() {
    let mut world = World::new(ACCOUNT, &accounts("")).await;
    let proxy = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    world.limits = format!("proxy = \"http://{}\"", proxy.local_addr().unwrap());
    world.configure();
    world.sql(THREE);
    world.start().await;
    let (mut caller, _) = tokio::time::timeout(crate::world::LIMIT, proxy.accept()).await.unwrap().unwrap();
    let mut head = [0; 256];
    let read = tokio::io::AsyncReadExt::read(&mut caller, &mut head).await.unwrap();
    let head = String::from_utf8_lossy(&head[..read]).into_owned();
    assert!(head.starts_with("POST http://127.0.0.1:"), "{head}");
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn tables_of_a_source_with_a_prefix_are_named_without_it() {
    let sql = "create table ps_account (id int primary key, code text, name text); insert into ps_account values (1, 'a1', 'Ada')";
    let world = World::new(sql, &mapping("accounts", "account", "Account", "", "Name = \"name\"")).await;
    let text = world.configuration().replace("tls = \"disable\"", "tls = \"disable\"\nprefix = \"ps_\"");
    world.sql("alter table marker rename to ps_marker; create view marker as select * from ps_marker");
    std::fs::write(&world.daemon.borrow().config, text).unwrap();
    world.start().await;
    world.settled().await;
    assert_eq!(world.writes(), ["created Account a1 Name=\"Ada\""]);
    let offsets: Value = world.get("/v1/offsets").await.unwrap();
    assert!(offsets["sources"].is_array());
}

/// A mapping that looks through very many rows takes turns with the others.
#[tokio::test(flavor = "multi_thread")]
async fn what_changes_does_not_wait_for_what_is_only_looked_through() {
    const MANY: u64 = 300_000;
    let sql = format!(
        "create table many (id int primary key, code text, name text);
         insert into many select n, 'm' || n, 'M' from generate_series(1, {MANY}) n;
         create table few (id int primary key, code text, name text);"
    );
    let name = "Name = \"name\"";
    let mappings =
        mapping("many", "many", "Product2", "mode = \"observe\"", name) + &mapping("few", "few", "Account", "", name);
    let world = World::new(&sql, &mappings).await;
    world.start().await;
    let looked_through = async || world.status_of("mappings", "many").await?["observed_creations_total"].as_u64();
    world.until("the many to be looked through", async || looked_through().await.filter(|looked| *looked > 0)).await;
    // One after the other: each has to ask for its turn.
    for n in 1..=4 {
        world.sql(&format!("insert into few values ({n}, 'f{n}', 'Ada')"));
        world.until("the one", async || world.crm().record("Account", "Erp_Id__c", &format!("f{n}"))).await;
    }
    let looked = looked_through().await.unwrap();
    assert!(looked < MANY / 2, "they came behind most of the many: {looked}");
}
