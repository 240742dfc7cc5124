//! Each kind of relation by itself: what the CRM gets, and what it does not.

use super::{TABLES, partners};
use crate::table::mapping;
use crate::world::World;

/// A mapping of partners with these relations (TOML under `[mapping.partners.with.…]`) and fields.
fn with(relations: &str, fields: &str) -> String {
    mapping("partners", "partner", "Account", "", fields) + relations
}

const COUNTRY: &str = "[mapping.partners.with.country]\ntable = \"public.country\"\non = { id = \"country_id\" }\n";

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_country_is_sent_of_each_partner_and_nothing_else() {
    let world = World::running(
        &format!(
            "{TABLES} insert into country values (1, 'FR', 1), (2, 'DE', 1);
             insert into partner values (1, 'a', 'Ada', 1), (2, 'b', 'Bob', 2), (3, 'c', 'Cy', 1), (4, 'd', 'Di', null)"
        ),
        &with(COUNTRY, "Name = \"name\"\nCountry__c = \"country.code\""),
    )
    .await;
    world.sql("update country set code = 'GF' where id = 1");
    world.expect_writes(&["updated Account a Country__c=\"GF\"", "updated Account c Country__c=\"GF\""]).await;
    // Nothing that is used of it.
    world.sql("update country set region_id = 7 where id = 1");
    world.expect_writes(&[]).await;
    world.sql("delete from country where id = 2");
    world.expect_writes(&["updated Account b Country__c=null"]).await;
    // It comes late.
    world.sql("insert into partner values (5, 'e', 'Eve', 9)");
    world.expect_writes(&["created Account e Name=\"Eve\""]).await;
    world.sql("insert into country values (9, 'IT', 1)");
    world.expect_writes(&["updated Account e Country__c=\"IT\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_transaction_are_one_write() {
    let relation = "[mapping.partners.with.meta]\ntable = \"public.meta\"\non = { partner = \"id\" }\npivot = { name = \"name\", value = \"value\" }\n";
    let fields = "Name = \"name\"\nPhone = \"meta.phone\"\nFax = \"meta.fax\"\nSite = \"meta.site\"";
    let world = World::running(TABLES, &with(relation, fields)).await;
    world.sql(
        "begin; insert into partner values (1, 'a', 'Ada'); insert into meta values (1, 1, 'phone', '1'), (2, 1, 'fax', '2'),
         (3, 1, 'session', 'secret'), (4, 1, 'site', 's'); commit",
    );
    world.expect_writes(&["created Account a Fax=\"2\" Name=\"Ada\" Phone=\"1\" Site=\"s\""]).await;
    world.sql("begin; update meta set value = '11' where id = 1; delete from meta where id = 2; update partner set name = 'Ida'; commit");
    world.expect_writes(&["updated Account a Fax=null Name=\"Ida\" Phone=\"11\""]).await;
    // Rewritten as Frappe does at each save.
    world.sql("begin; create temp table kept as select * from meta; delete from meta; insert into meta select * from kept; commit");
    world.expect_writes(&[]).await;
    // A row takes another name, and one that is not used.
    world.sql("update meta set name = 'fax' where id = 4");
    world.expect_writes(&["updated Account a Fax=\"s\" Site=null"]).await;
    world.sql("update meta set name = 'session' where id = 4");
    world.expect_writes(&["updated Account a Fax=null"]).await;
    world.daemon.borrow_mut().kill();
    let state = world.state_dir();
    let files = std::fs::read_dir(state.join("db")).unwrap().flatten();
    let found = files.filter(|file| contains(&std::fs::read(file.path()).unwrap(), b"secret"));
    assert_eq!(found.count(), 0, "a row that no pivot names reached the disk");
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

#[tokio::test(flavor = "multi_thread")]
async fn an_order_that_moves_changes_both_partners() {
    let relation = "[mapping.partners.with.sales]\ntable = \"public.sales\"\non = { partner = \"id\" }\nrollup = { total = \"sum(total)\", n = \"count()\" }\n";
    let world = World::running(
        &format!(
            "{TABLES} insert into partner values (1, 'a', 'Ada'), (2, 'b', 'Bob');
             insert into sales values (1, 1, 'sale', 10.10), (2, 1, 'sale', 0.20), (3, 2, 'sale', 5)"
        ),
        &with(relation, "Name = \"name\"\nTotal__c = \"sales.total\"\nOrders__c = \"sales.n\""),
    )
    .await;
    world.sql("update sales set partner = 2 where id = 1");
    let mut writes = ["updated Account a Orders__c=1.0 Total__c=0.2", "updated Account b Orders__c=2.0 Total__c=15.1"];
    world.settled().await;
    let mut found = world.writes();
    found.sort();
    writes.sort_unstable();
    assert_eq!(
        found.iter().map(|write| write.replace("=1 ", "=1.0 ").replace("=2 ", "=2.0 ")).collect::<Vec<_>>(),
        writes
    );
    world.sql("truncate sales");
    world.settled().await;
    let mut found = world.writes();
    found.sort();
    assert_eq!(found, ["updated Account a Orders__c=0 Total__c=null", "updated Account b Orders__c=0 Total__c=null"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn several_rows_where_one_is_asked_for_are_counted_and_the_lowest_key_is_taken() {
    let relation = "[mapping.partners.with.post]\ntable = \"public.mail\"\non = { partner = \"id\" }\n";
    let world = World::running(
        &format!(
            "{TABLES} insert into partner values (1, 'a', 'Ada');
             insert into mail values (10, 1, 'ten@x'), (9, 1, 'nine@x')"
        ),
        &with(relation, "Name = \"name\"\nMail__c = \"post.address\""),
    )
    .await;
    let told = world.status_of("mappings", "partners").await.unwrap();
    assert!(told["ambiguous_total"]["post"].as_u64().is_some_and(|met| met > 0), "{told}");
    assert!(world.cli(&["status"]).contains("leads to several rows"), "{}", world.cli(&["status"]));
    let held = crate::records::of(world.crm(), "Account");
    assert_eq!(held["a"]["Mail__c"], "\"nine@x\"");
    world.sql("delete from mail where id = 9");
    world.expect_writes(&["updated Account a Mail__c=\"ten@x\""]).await;
}

/// More relations than the last configuration had, and names of a pivot that it did not want.
#[tokio::test(flavor = "multi_thread")]
async fn what_is_newly_named_is_loaded_and_then_sent() {
    let relation = "[mapping.partners.with.meta]\ntable = \"public.meta\"\non = { partner = \"id\" }\npivot = { name = \"name\", value = \"value\" }\n";
    let mut world = World::running(
        &format!(
            "{TABLES} insert into country values (1, 'FR', 1); insert into region values (1, 'West');
             insert into partner values (1, 'a', 'Ada', 1); insert into meta values (1, 1, 'phone', '1'), (2, 1, 'fax', '2')"
        ),
        &with(relation, "Name = \"name\"\nPhone = \"meta.phone\""),
    )
    .await;
    let more = format!(
        "{relation}{COUNTRY}[mapping.partners.with.country.with.region]\ntable = \"public.region\"\non = {{ id = \"region_id\" }}\n"
    );
    world.remap(&with(
        &more,
        "Name = \"name\"\nPhone = \"meta.phone\"\nFax = \"meta.fax\"\nCountry__c = \"country.code\"\nRegion__c = \"country.region.name\"",
    ));
    world.restart().await;
    world.expect_writes(&["updated Account a Country__c=\"FR\" Fax=\"2\" Region__c=\"West\""]).await;
    world.sql("update region set name = 'South'");
    world.expect_writes(&["updated Account a Region__c=\"South\""]).await;
    // And back.
    world.remap(&with(relation, "Name = \"name\"\nPhone = \"meta.phone\""));
    world.restart().await;
    world.sql("update region set name = 'North'; update meta set value = '9' where id = 1");
    world.expect_writes(&["updated Account a Phone=\"9\""]).await;
}

/// Its table takes longer to load than a change takes on its way.
#[tokio::test(flavor = "multi_thread")]
async fn a_relation_that_is_new_holds_up_no_other_field() {
    let mut world = World::running(
        &format!(
            "{TABLES} insert into country select n, 'C' || n % 9, 1 from generate_series(1, 400000) n;
             insert into partner select n, 'p' || n, 'Ada', n * 4000 from generate_series(1, 100) n"
        ),
        &with("", "Name = \"name\""),
    )
    .await;
    world.mark();
    world.remap(&with(COUNTRY, "Name = \"name\"\nCountry__c = \"country.code\""));
    world.cli(&["reload"]);
    world.sql("update partner set name = 'Bo' where id = 7; insert into partner values (200, 'p200', 'New', 5)");
    world
        .until("the countries", async || {
            let records = crate::records::of(world.crm(), "Account");
            (records.len() == 101 && records.values().all(|record| record.contains_key("Country__c"))).then_some(())
        })
        .await;
    let writes = world.writes();
    let first = |what: &str| writes.iter().position(|write| write.contains(what)).unwrap_or(usize::MAX);
    assert_eq!(first("Name=\"Bo\""), 0, "what changed went ahead of the load: {:#?}", &writes[..5]);
    // A record that is new is made with all of its fields, and nothing is sent twice.
    assert!(writes.contains(&"created Account p200 Country__c=\"C5\" Name=\"New\"".to_owned()), "{writes:#?}");
    assert_eq!(writes.len(), 102);
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_mapping_checks_online() {
    let world = World::new(TABLES, &partners()).await;
    let (status, said) = world.daemon.borrow().cli(&["check"]);
    assert!(status.success(), "{said}");
}
