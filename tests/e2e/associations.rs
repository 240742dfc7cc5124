//! What joins records and is a field of none: `[mapping.NAME.associations]`.

use std::collections::BTreeSet;

use rand::rngs::StdRng;
use rand::{Rng, SeedableRng};

use crate::table::mapping;
use crate::world::World;

/// Deals are of customers of two columns' keys, and a row each.
const TABLES: &str = "
    create table partner (country text, id int, code text, name text, primary key (country, id));
    create table deal (id int primary key, code text, name text, country text, customer int, place text, state text);";

/// Deals with their buyers; `policies` are of the deals, `more` of the association.
fn mappings(policies: &str, key: &str, more: &str) -> String {
    let stages = "Name = \"name\"\nStageName = { const = \"New\" }\nCloseDate = { const = \"2026-01-31\" }";
    let place = "with = { spot = { table = \"public.place\", on = { name = \"place\" } } }";
    let policies = if more.contains("spot.") { format!("{policies}\n{place}") } else { policies.to_owned() };
    mapping("customers", "partner", "Contact", "", "LastName = \"name\"")
        + &mapping("deals", "deal", "Opportunity", &policies, stages)
        + &format!(
            "[mapping.deals.associations.buyer]\nobject = \"OpportunityContactRole\"\n\
             key = {{ field = \"Erp_Id__c\", value = \"{key}\" }}\nfrom = \"Opportunity\"\nto = \"Contact\"\n\
             reference = \"customers\"\nvalue = \"[country, customer]\"\n{more}\n"
        )
}

/// Of both ends, so that another buyer is another record.
const BOTH: &str = "code ~ '-' ~ country ~ customer";

/// Who buys what: the deal's key, the customer's, and the role.
fn roles(world: &World) -> BTreeSet<String> {
    let records = world.crm().records(Some("OpportunityContactRole"));
    let role = |record: &passerelle::sandbox::RecordView| {
        let end = |field: &str| record.parents.get(field).cloned().unwrap_or_default();
        let role = record.fields.get("Role").and_then(|role| role.as_str()).unwrap_or_default();
        format!("{}:{}:{role}", end("OpportunityId"), end("ContactId"))
    };
    records.iter().map(role).collect()
}

async fn expect(world: &World, expected: &[&str]) {
    let expected: BTreeSet<String> = expected.iter().map(|&role| role.to_owned()).collect();
    world
        .until(&format!("the roles to be {expected:?}, not {:?}", roles(world)), async || {
            (roles(world) == expected).then_some(())
        })
        .await;
}

/// The same once nothing is left to deliver: no others come.
async fn expect_settled(world: &World, expected: &[&str]) {
    expect(world, expected).await;
    world.settled().await;
    expect(world, expected).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_association_is_there_while_both_ends_are() {
    let world = World::new(TABLES, &mappings("", BOTH, "fields = { Role = { const = \"Buyer\" } }")).await;
    world.sql(
        "insert into partner values ('FR', 1, 'c1', 'Ada'), ('FR', 2, 'c2', 'Bo');
         insert into deal values (1, 'd1', 'First', 'FR', 1), (2, 'd2', 'Guest', 'FR', null), (3, 'd3', 'Early', 'DE', 7);",
    );
    world.start().await;
    expect(&world, &["d1:c1:Buyer"]).await;
    // The other end comes later, a guest becomes a customer, and a buyer is another.
    world.sql("insert into partner values ('DE', 7, 'c7', 'Cy')");
    expect_settled(&world, &["d1:c1:Buyer", "d3:c7:Buyer"]).await;
    world.mark();
    world.sql("update deal set customer = 2 where id < 3");
    expect_settled(&world, &["d1:c2:Buyer", "d2:c2:Buyer", "d3:c7:Buyer"]).await;
    let written = world.writes();
    let deleted: Vec<&String> = written.iter().filter(|write| write.starts_with("deleted")).collect();
    assert_eq!((written.len(), deleted.len()), (3, 1), "one record is another for `d1`: {written:#?}");
    // Changes of the records themselves are none of the association.
    world.mark();
    world.sql("update deal set name = 'Renamed' where id = 1; update partner set name = 'Bob' where id = 2");
    world.settled().await;
    assert!(world.writes().iter().all(|write| !write.contains("OpportunityContactRole")), "{:#?}", world.writes());
    // Nobody buys any more; one end goes, and comes again; and so does the row itself.
    world.sql("update deal set customer = null where id = 2; delete from partner where id = 7");
    expect(&world, &["d1:c2:Buyer"]).await;
    world.sql("insert into partner values ('DE', 7, 'c7', 'Cy')");
    expect(&world, &["d1:c2:Buyer", "d3:c7:Buyer"]).await;
    world.restart().await;
    world.sql("delete from deal where id = 1");
    expect(&world, &["d3:c7:Buyer"]).await;
    world.sql("insert into deal values (1, 'd1', 'Again', 'FR', 1)");
    expect_settled(&world, &["d1:c1:Buyer", "d3:c7:Buyer"]).await;
    // It is a mapping by itself.
    let status = world.get("/v1/status").await.unwrap();
    let names: Vec<&str> =
        status["mappings"].as_array().unwrap().iter().filter_map(|one| one["name"].as_str()).collect();
    assert_eq!(names, ["customers", "deals", "deals.buyer", "marker_erp"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_is_previewed_and_checked_as_any_mapping() {
    let world = World::new(TABLES, &mappings("", BOTH, "fields = { Role = { const = \"Buyer\" } }")).await;
    world.sql(
        "insert into partner values ('FR', 1, 'c1', 'Ada');
         insert into deal values (1, 'd1', 'First', 'FR', 1), (2, 'd2', 'Guest', 'FR', null), (3, 'd3', 'Early', 'DE', 7);",
    );
    let previewed = |key: &str| world.cli(&["preview", "deals.buyer", "--key", key]);
    let both = previewed("1");
    for part in ["upsert of OpportunityContactRole by Erp_Id__c = \"d1-FR1\"", "\"Role\": \"Buyer\"", "d1", "c1"] {
        assert!(both.contains(part), "{part}: {both}");
    }
    for (key, who) in [("2", "a guest"), ("3", "one who is not there")] {
        let shown = previewed(key);
        assert!(shown.contains("no association: there is nothing to join"), "{who}: {shown}");
    }
    // The marker's own fault is none of it.
    let (_, checked) = world.daemon.borrow().cli(&["check", "--online"]);
    assert!(checked.contains("crm sales: answers") && !checked.contains("OpportunityContactRole"), "{checked}");
    world.start().await;
    expect_settled(&world, &["d1:c1:Buyer"]).await;
    assert!(world.cli(&["pause", "deals.buyer"]).contains("deals.buyer"));
    world.sql("update deal set customer = null, name = 'Nobody''s' where id = 1");
    world
        .until("the deal to be renamed", async || {
            let deal = world.crm().record("Opportunity", "Erp_Id__c", "d1")?;
            (deal.fields.get("Name")?.as_str()? == "Nobody's").then_some(())
        })
        .await;
    expect(&world, &["d1:c1:Buyer"]).await;
    world.cli(&["resume", "deals.buyer"]);
    expect_settled(&world, &[]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn with_a_key_of_the_row_alone_the_record_is_pointed_elsewhere() {
    let world = World::running(TABLES, &mappings("", "code", "")).await;
    world.sql(
        "insert into partner values ('FR', 1, 'c1', 'Ada'), ('FR', 2, 'c2', 'Bo');
         insert into deal values (1, 'd1', 'First', 'FR', 1);",
    );
    expect_settled(&world, &["d1:c1:"]).await;
    world.mark();
    world.sql("update deal set customer = 2");
    expect_settled(&world, &["d1:c2:"]).await;
    assert_eq!(world.writes().len(), 1, "{:#?}", world.writes());
}

#[tokio::test(flavor = "multi_thread")]
async fn it_stays_where_the_record_stays_and_goes_where_that_goes() {
    for (policies, stays) in [
        ("where = \"state is none\"\non_leave = \"ignore\"\non_delete = \"ignore\"", true),
        ("where = \"state is none\"\non_leave = \"delete\"\non_delete = \"delete\"", false),
    ] {
        let world = World::running(TABLES, &mappings(policies, BOTH, "")).await;
        world.sql(
            "insert into partner values ('FR', 1, 'c1', 'Ada');
             insert into deal values (1, 'd1', 'First', 'FR', 1), (2, 'd2', 'Second', 'FR', 1), (3, 'd3', 'Third', 'FR', 1);",
        );
        expect_settled(&world, &["d1:c1:", "d2:c1:", "d3:c1:"]).await;
        world.sql("update deal set state = 'lost' where id = 1; delete from deal where id = 2");
        // The third one names nobody any more: whatever becomes of records, it goes.
        world.sql("update deal set customer = null where id = 3");
        expect_settled(&world, if stays { &["d1:c1:", "d2:c1:"] } else { &[] }).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn the_other_end_may_be_a_related_rows_and_is_waited_for() {
    let tables = format!("{TABLES} create table place (name text primary key, country text, keeper int);");
    let more = "missing = \"wait 1h\"\nfields = { Role = \"spot.name\" }";
    let of_place = mappings("", "code ~ '-' ~ spot.country ~ spot.keeper", more)
        .replace("[country, customer]", "[spot.country, spot.keeper]");
    let world = World::running(&tables, &of_place).await;
    world.sql(
        "insert into place values ('Lyon', 'FR', 1), ('Kiel', 'DE', 7);
         insert into partner values ('FR', 1, 'c1', 'Ada');
         insert into deal values (1, 'd1', 'First', null, null, 'Lyon'), (2, 'd2', 'Second', null, null, 'Kiel');",
    );
    world
        .until("one to be made, and one to wait", async || {
            let status = world.status_of("mappings", "deals.buyer").await?;
            (roles(&world).len() == 1 && status["waiting_parent"] == 1).then_some(())
        })
        .await;
    world.sql("insert into partner values ('DE', 7, 'c7', 'Cy')");
    expect(&world, &["d1:c1:Lyon", "d2:c7:Kiel"]).await;
    // Another keeper of a place is another buyer of its deals.
    world.sql("update place set country = 'DE', keeper = 7 where name = 'Lyon'");
    expect(&world, &["d1:c7:Lyon", "d2:c7:Kiel"]).await;
    world.sql("delete from place where name = 'Kiel'");
    expect_settled(&world, &["d1:c7:Lyon"]).await;
}

/// Deals and customers come, go and find each other, and the daemon is killed.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_changes_the_associations_are_those_of_the_rows() {
    let seed = std::env::var("PASSERELLE_E2E_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(20_261_123);
    eprintln!("PASSERELLE_E2E_SEED={seed} repeats this run's dice");
    let mut dice = StdRng::seed_from_u64(seed);
    let policies = "where = \"state is none\"\non_leave = \"delete\"\nguard = { deletes = \"100%\" }";
    let all = mappings(policies, BOTH, "");
    let customers = "[mapping.customers.fields]";
    let world =
        World::running(TABLES, &all.replacen(customers, &format!("guard = {{ deletes = \"100%\" }}\n{customers}"), 1))
            .await;
    for round in 0..16 {
        for _ in 0..dice.random_range(1..12) {
            let (deal, customer, other) = (dice.random_range(0..30), dice.random_range(0..8), dice.random_range(0..8));
            world.sql(&match dice.random_range(0..8) {
                0 => format!("delete from partner where id = {customer}"),
                1 => format!("delete from deal where id = {deal}"),
                2 => format!("update deal set customer = null where id = {deal}"),
                3 => format!("update deal set customer = {other} where customer = {customer}"),
                4 => format!("update deal set state = case when state is null then 'lost' end where id % 8 = {other}"),
                5 => format!(
                    "insert into partner values ('FR', {customer}, 'c{customer}', 'Ada')
                         on conflict (country, id) do update set name = 'Ada {round}'"
                ),
                _ => format!(
                    "insert into deal values ({deal}, 'd{deal}', 'Deal', 'FR', {customer})
                         on conflict (id) do update set customer = {customer}"
                ),
            });
        }
        if dice.random() {
            world.daemon.borrow_mut().kill();
            world.daemon.borrow_mut().start(None);
        }
        if round % 4 == 3 {
            world.answering().await;
            let rows = world.sql(
                "select d.code || ':' || p.code || ':' from deal d join partner p on (p.country, p.id) = (d.country, d.customer)
                     where d.state is null",
            );
            let wanted: Vec<&str> = rows.lines().map(str::trim).filter(|line| line.contains(':')).collect();
            expect_settled(&world, &wanted).await;
        }
    }
}
