//! Several rows that feed one record.

use serde_json::json;

use super::{ACCOUNT, accounts, mapping};
use crate::records::given;
use crate::world::World;

const CUSTOMER: &str = "create table customer (id int primary key, code text, email text, phone text);";

/// The shop's customers feed the ERP's accounts: a database of its own, and fields of its own.
async fn erp_and_shop(shop_fields: &str, policies: &str) -> World {
    let shop = mapping("customers", "customer", "Account", policies, shop_fields).replace("\"erp\"", "\"shop\"");
    let mut world = World::new(ACCOUNT, &(accounts(policies) + &shop)).await;
    world.add_source("shop", CUSTOMER);
    world.start().await;
    world.settled().await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris')");
    world.settled().await;
    world.mark();
    world
}

fn shop(world: &World, sql: &str) {
    world.server.psql("shop", sql).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn erp_and_shop_write_each_its_own_fields_of_one_record() {
    let world = erp_and_shop("Phone = \"phone\"", "").await;
    shop(&world, "insert into customer values (7, 'A1', 'ada@example.org', '+33 1')");
    world.settled().await;
    let expected = [("Name", json!("Ada")), ("BillingCity", json!("Paris")), ("Phone", json!("+33 1"))];
    world.expect("Account", &given([("a1", &expected)])).await;
    world.mark();
    shop(&world, "update customer set phone = '+33 2'");
    world.expect_writes(&["updated Account a1 Phone=\"+33 2\""]).await;
    world.sql("update account set city = 'Lyon' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Lyon\""]).await;
    // One of two members goes: the record stays. With the last one it goes.
    world.sql("delete from account where id = 1");
    world.expect_writes(&[]).await;
    shop(&world, "delete from customer");
    world.expect_writes(&["deleted Account a1"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_two_members_write_is_refused_to_the_second() {
    let world = erp_and_shop("BillingCity = \"phone\"", "").await;
    shop(&world, "insert into customer values (7, 'a1', null, 'Lyon'), (8, 'a8', null, 'Nice')");
    world.settled().await;
    let city = world.crm().record("Account", "Erp_Id__c", "a1").unwrap().fields["BillingCity"].clone();
    assert_eq!(city, "Paris");
    let letters = world.dead_letters();
    assert!(letters.iter().any(|letter| letter.starts_with("customers 7 ")), "{letters:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_field_that_two_members_write_can_go_to_the_newest_change() {
    let world = erp_and_shop("BillingCity = \"phone\"", "on_collision = \"newest\"").await;
    shop(&world, "insert into customer values (7, 'a1', null, 'Lyon')");
    world.expect_writes(&["updated Account a1 BillingCity=\"Lyon\""]).await;
    world.sql("update account set city = 'Metz' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Metz\""]).await;
    assert_eq!(world.dead_letters(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn two_tables_of_one_source_feed_one_record() {
    let mappings = accounts("") + &mapping("customers", "customer", "Account", "", "Phone = \"phone\"");
    let world = World::running(&format!("{ACCOUNT}{CUSTOMER}"), &mappings).await;
    world.sql(
        "insert into account (id, code, name) values (1, 'a1', 'Ada'), (2, 'a2', 'Bob');
         insert into customer values (1, 'a1', null, '+33 1'), (2, 'a2', null, '+33 2')",
    );
    world.settled().await;
    let expected = |name: &str, phone: &str| [("Name", json!(name)), ("Phone", json!(phone))];
    world.expect("Account", &given([("a1", &expected("Ada", "+33 1")), ("a2", &expected("Bob", "+33 2"))])).await;
    world.mark();
    world.sql("delete from customer where id = 1; delete from account where id = 2; delete from customer where id = 2");
    world.expect_writes(&["deleted Account a2"]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_mappings_on_one_table_are_two_lanes_over_one_row() {
    let mappings = accounts("") + &mapping("products", "account", "Product2", "", "Name = \"city\"");
    let world = World::running(ACCOUNT, &mappings).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris')");
    world.settled().await;
    world.mark();
    world.sql("update account set name = 'Adele' where id = 1");
    world.expect_writes(&["updated Account a1 Name=\"Adele\""]).await;
    world.sql("update account set city = 'Lyon' where id = 1");
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["updated Account a1 BillingCity=\"Lyon\"", "updated Product2 a1 Name=\"Lyon\""]);
}
