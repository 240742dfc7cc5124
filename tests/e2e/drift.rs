//! Changed schemas: what touches a mapping is seen, holds it and no other, and comes out right once it is settled
//! (invariant 10).

use serde_json::Value;

use crate::database::Database;
use crate::world::World;

/// A table that changes, and one beside it that does not.
pub(crate) const TABLES: &str =
    "create table customer (id int primary key, name varchar(80) not null, phone varchar(40), city varchar(60));
    create table product (id int primary key, name varchar(80));
    insert into customer values (1, 'Ada', '+331', 'Paris'), (2, 'Bob', '+332', 'Lyon'), (3, 'Cyd', '+333', 'Nice')";

/// Their mappings; `more` are further keys of the first.
pub(crate) fn mappings(more: &str) -> String {
    format!(
        "[mapping.customers]\nsource = \"erp\"\ntable = \"public.customer\"\ncrm = \"sales\"\nobject = \"Account\"\n\
         key = {{ field = \"Erp_Id__c\", value = \"id\" }}\n{more}\n\
         [mapping.customers.fields]\nName = \"name\"\nPhone = \"phone\"\nBillingCity = \"city\"\n\
         [mapping.products]\nsource = \"erp\"\ntable = \"public.product\"\ncrm = \"sales\"\nobject = \"Contact\"\n\
         key = {{ field = \"Erp_Id__c\", value = \"id\" }}\n\
         [mapping.products.fields]\nLastName = \"name\"\n"
    )
}

impl<S: Database> World<S> {
    /// Waits until a mapping is held for a changed schema; gives what `/v1/drift` says of it.
    pub(crate) async fn drifted(&self, mapping: &str) -> Vec<Value> {
        self.until(&format!("{mapping} to be held"), async || {
            let held = self.status_of("mappings", mapping).await?;
            let list = self.get("/v1/drift").await?;
            let list = list["drift"].as_array()?.iter().filter(|drift| drift["mapping"] == mapping).cloned();
            let list: Vec<Value> = list.collect();
            (held["state"] == "held" && !list.is_empty()).then_some(list)
        })
        .await
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dropped_column_holds_its_mapping_and_no_other() {
    let world = World::running(TABLES, &mappings("")).await;
    world.sql("alter table customer drop column phone; update customer set city = 'Brest' where id = 1");
    world.sql("insert into product values (1, 'Chair')");
    let drift = world.drifted("customers").await;
    assert_eq!(drift[0]["kind"], "column_dropped", "{drift:?}");
    world.captured().await;
    world.until("the other mapping to go on", async || world.crm().record("Contact", "Erp_Id__c", "1")).await;
    assert_eq!(world.writes(), ["created Contact 1 LastName=\"Chair\""]);
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_widened_column_holds_nothing() {
    let world = World::running(TABLES, &mappings("")).await;
    world.sql("alter table customer alter column name type text; update customer set name = 'Adah' where id = 1");
    world.expect_writes(&["updated Account 1 Name=\"Adah\""]).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_dropped_column_holds_its_mapping_and_no_other() {
    let world = mariadb_world().await;
    world.sql("alter table customer drop column phone; update customer set city = 'Brest' where id = 1");
    world.sql("insert into product values (1, 'Chair')");
    let drift = world.drifted("customers").await;
    assert_eq!(drift[0]["kind"], "column_dropped", "{drift:?}");
    world.captured().await;
    world.until("the other mapping to go on", async || world.crm().record("Contact", "Erp_Id__c", "1")).await;
    assert_eq!(world.writes(), ["created Contact 1 LastName=\"Chair\""]);
}

async fn mariadb_world() -> World<passerelle_test_servers::MariadbServer> {
    let server = crate::database::mariadb(&[]);
    let world = World::of(server, TABLES, &mappings(""), passerelle::sandbox::SandboxOptions::default()).await;
    world.start().await;
    world.settled().await;
    world.mark();
    world
}

/// A column that the database itself says to be renamed: what waits from before and after it comes out right.
async fn a_rename_is_followed<S: Database>(world: World<S>) {
    world.cli(&["pause", "customers"]);
    world.sql("update customer set phone = '+441' where id = 1");
    world.sql("alter table customer rename column phone to tel");
    world.sql("update customer set tel = '+442' where id = 2; update customer set city = 'Nantes' where id = 3; insert into customer values (4, 'Dan', '+444', 'Metz')");
    world.cli(&["resume", "customers"]);
    let drift = world.drifted("customers").await;
    assert_eq!(drift[0]["kind"], "column_renamed", "{drift:?}");
    world.captured().await;
    assert_eq!(world.writes(), [""; 0]);
    world.cli(&["drift", "accept", "customers", "--rename", "phone=tel"]);
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    let expected = [
        "created Account 4 BillingCity=\"Metz\" Name=\"Dan\" Phone=\"+444\"",
        "updated Account 1 Phone=\"+441\"",
        "updated Account 2 Phone=\"+442\"",
        "updated Account 3 BillingCity=\"Nantes\"",
    ];
    assert_eq!(writes, expected, "{}", world.story());
    world.sql("update customer set tel = '+553' where id = 3");
    world.expect_writes(&["updated Account 3 Phone=\"+553\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_rename_that_is_accepted_loses_nothing() {
    a_rename_is_followed(World::running(TABLES, &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_rename_that_is_accepted_loses_nothing() {
    a_rename_is_followed(mariadb_world().await).await;
}
