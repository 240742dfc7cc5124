//! Filters, soft deletes, absent columns, and values that cannot be mapped.

use serde_json::json;

use super::{ACCOUNT, accounts, accounts_with, mapping};
use crate::records::given;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_enters_the_filter_is_sent_in_full_and_one_that_leaves_follows_on_leave() {
    let of = |object: &str, policy: &str| {
        let policies = format!("where = \"active\"\n{policy}");
        mapping(&object.to_lowercase(), "account", object, &policies, "Name = \"name\"\nCity__c = \"city\"")
    };
    let mappings = of("Account", "")
        + &of("Product2", "on_leave = \"delete\"")
        + &of("Opportunity", "on_leave = { set = { Active__c = false } }").replace(
            "Name = \"name\"",
            "Name = \"name\"\nStageName = { const = \"Open\" }\nCloseDate = { const = \"2030-01-01\" }",
        );
    let world = World::running(ACCOUNT, &mappings).await;
    world.sql(
        "insert into account (id, code, name, city, active) values (1, 'a1', 'Ada', 'Paris', false), (2, 'a2', 'Bob', 'Lyon', null)",
    );
    world.expect_writes(&[]).await;
    world.sql("update account set active = true where id = 1");
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            "created Account a1 City__c=\"Paris\" Name=\"Ada\"",
            "created Opportunity a1 City__c=\"Paris\" CloseDate=\"2030-01-01\" Name=\"Ada\" StageName=\"Open\"",
            "created Product2 a1 City__c=\"Paris\" Name=\"Ada\"",
        ]
    );
    world.sql("update account set active = null, name = 'Adele' where id = 1");
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["deleted Product2 a1", "updated Opportunity a1 Active__c=false"]);
    world.sql("update account set active = true where id = 1");
    world.settled().await;
    let name = ("Name", json!("Adele"));
    let city = ("City__c", json!("Paris"));
    world.expect("Account", &given([("a1", &[name.clone(), city.clone()])])).await;
    world.expect("Product2", &given([("a1", &[name, city])])).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_deleted_softly_follows_on_delete() {
    let world = World::running(ACCOUNT, &accounts("deleted = \"not active\"")).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.settled().await;
    world.mark();
    world.sql("update account set active = false where id = 1");
    world.expect_writes(&["deleted Account a1"]).await;
    world.sql("update account set name = 'Adele' where id = 1");
    world.expect_writes(&[]).await;
    world.sql("update account set active = true where id = 1");
    world.expect_writes(&["created Account a1 Name=\"Adele\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_row_that_is_deleted_can_be_marked_or_left_alone() {
    let fields = "Name = \"name\"";
    let mappings = mapping("marked", "account", "Account", "on_delete = { set = { Active__c = \"false\" } }", fields)
        + &mapping("kept", "account", "Product2", "on_delete = \"ignore\"", fields);
    let world = World::running(ACCOUNT, &mappings).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.settled().await;
    world.mark();
    world.sql("delete from account where id = 1");
    world.expect_writes(&["updated Account a1 Active__c=\"false\""]).await;
    assert!(world.crm().record("Product2", "Erp_Id__c", "a1").is_some());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_column_that_the_log_leaves_out_is_left_as_it_is() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name, note) values (1, 'a1', 'Ada', repeat('long ', 2000))");
    world.settled().await;
    world.mark();
    world.sql("update account set city = 'Lyon' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Lyon\""]).await;
    // Its row key changes, and it goes and comes: the column is not in the log of the first, and it is in the second's.
    world.sql("update account set id = 2, code = 'b1' where id = 1");
    world.expect_writes(&["updated Account b1 Erp_Id__c=\"b1\""]).await;
    world.cli(&["pause", "--writes"]);
    world.sql("insert into account (id, code, name, note) values (3, 'c1', 'Cid', repeat('wide ', 2000))");
    world.sql("update account set city = 'Nice' where id = 3");
    world.sql("update account set id = 4 where id = 3");
    world.captured().await;
    world.cli(&["resume", "--writes"]);
    let expected = given([
        (
            "b1",
            &[("Name", json!("Ada")), ("BillingCity", json!("Lyon")), ("Description", json!("long ".repeat(2000)))]
                as &[_],
        ),
        ("c1", &[("Name", json!("Cid")), ("BillingCity", json!("Nice")), ("Description", json!("wide ".repeat(2000)))]),
    ]);
    world.expect("Account", &expected).await;
    world.settled().await;
    assert_eq!(world.crm().stats().created, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_value_that_cannot_be_mapped_is_left_out_cleared_or_refuses_the_record() {
    let fields = |policy: &str| {
        format!("Name = \"name\"\nCity__c = \"city\"\nEmail__c = {{ value = \"note | email\"{policy} }}")
    };
    let mappings = mapping("omitting", "account", "Account", "", &fields(""))
        + &mapping("clearing", "account", "Product2", "", &fields(", on_bad = \"null\""))
        + &mapping(
            "requiring",
            "account",
            "Sending__c",
            "",
            &fields(", required = true").replace("Name =", "Name__c ="),
        )
        + &mapping(
            "rejecting",
            "account",
            "Keeping__c",
            "",
            &fields(", on_bad = \"reject\"").replace("Name =", "Name__c ="),
        );
    let world = World::running(ACCOUNT, &mappings).await;
    world.sql("insert into account (id, code, name, city, note) values (1, 'a1', 'Ada', 'Paris', 'ada@example.org')");
    world.settled().await;
    assert_eq!(world.writes().len(), 4);
    world.sql("update account set city = 'Lyon', note = 'at home' where id = 1");
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["updated Account a1 City__c=\"Lyon\"", "updated Product2 a1 City__c=\"Lyon\" Email__c=null",]);
    let mut letters = world.dead_letters();
    letters.sort_unstable();
    assert!(
        letters.len() == 2 && letters[0].starts_with("rejecting 1 ") && letters[1].starts_with("requiring 1 "),
        "{letters:?}"
    );
    // Null is not bad, but it is not there either.
    world.sql("update account set note = null where id = 1");
    world.settled().await;
    let letters = world.dead_letters();
    assert!(letters.len() == 1 && letters[0].starts_with("requiring 1 "), "{letters:?}");
    world.sql("update account set note = 'ada@example.com' where id = 1");
    world.settled().await;
    assert_eq!(world.dead_letters(), [""; 0]);
    for object in ["Account", "Sending__c", "Keeping__c"] {
        let record = world.crm().record(object, "Erp_Id__c", "a1").unwrap();
        assert_eq!(record.fields["Email__c"], "ada@example.com", "{object}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_only_the_creation_sends_is_not_sent_again() {
    let fields = "Name = \"name\"\nPhone = { value = \"city\", authority = \"create_only\" }";
    let world = World::running(ACCOUNT, &accounts_with("", fields)).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', '+33 1')");
    world.expect_writes(&["created Account a1 Name=\"Ada\" Phone=\"+33 1\""]).await;
    world.sql("update account set city = '+33 2', name = 'Adele' where id = 1");
    world.expect_writes(&["updated Account a1 Name=\"Adele\""]).await;
}
