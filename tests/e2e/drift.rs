//! Changed schemas: what touches a mapping is seen, holds it and no other, and comes out right once it is settled
//! (invariant 10).

mod again;
mod columns;
mod policies;
mod rename;
mod tables;
mod types;
mod watch;

use passerelle::sandbox::SandboxOptions;
use passerelle_test_servers::MariadbServer;
use serde_json::Value;

use crate::database::{Database, mariadb};
use crate::records::{Fields, Records};
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

    /// Waits until nothing holds a mapping any more.
    pub(crate) async fn goes_on(&self, mapping: &str) {
        self.until(&format!("{mapping} to go on"), async || {
            let running = self.status_of("mappings", mapping).await?;
            let list = self.get("/v1/drift").await?;
            let is_listed = list["drift"].as_array()?.iter().any(|drift| drift["mapping"] == mapping);
            (running["state"] != "held" && !is_listed).then_some(())
        })
        .await;
    }

    /// A change of the customers' table with rows before it, behind it, and in its transaction where the server has such.
    /// Waits until their mapping is held for it, and the mapping beside it has gone on; gives what is told of it. `behind`
    /// may touch the customers 2 and 4, no others: nothing of them was delivered by then.
    async fn held_for(&self, ddl: &str, behind: &str) -> Vec<Value> {
        self.mark();
        let told = self.held_soon_for(ddl, behind).await;
        let early = self.writes();
        let is_of_them =
            |write: &&String| ["Account 2", "Account 4", "created Account"].iter().any(|it| write.contains(it));
        assert_eq!(early.iter().find(is_of_them), None, "{early:?}");
        told
    }

    /// The same for what the catalogue alone shows: rows behind it, which are true, may be delivered until it was looked at.
    async fn held_soon_for(&self, ddl: &str, behind: &str) -> Vec<Value> {
        self.sql("update customer set name = 'Ada II' where id = 1");
        self.sql(&format!("update customer set name = 'Ada III' where id = 1; {ddl}; {behind}"));
        let number = self.sql("select count(*) + 1 from product");
        self.sql(&format!("insert into product values ({number}, 'Chair')"));
        let told = self.drifted("customers").await;
        self.captured().await;
        let is_there = async || self.crm().record("Contact", "Erp_Id__c", &number);
        self.until("the other mapping to go on", is_there).await;
        told
    }

    /// Accepts by the command line, and waits until all that waited is delivered.
    async fn accepts(&self, words: &[&str]) -> String {
        let said = self.cli(&[&["drift", "accept", "customers"], words].concat());
        self.goes_on("customers").await;
        self.settled().await;
        said
    }

    /// What refuses this.
    fn refused(&self, words: &[&str]) -> String {
        let (status, said) = self.daemon.borrow().cli(&[&["drift", "accept", "customers"], words].concat());
        assert!(!status.success(), "{said}\n{}", self.story());
        said
    }

    /// The customers as the CRM has to have them, with these fields from these columns.
    fn customers(&self, fields: &[(&str, &str)]) -> Records {
        let rows = self.server.rows("customer");
        let one = |row: &Value| -> Fields {
            let some = fields.iter().filter_map(|(field, column)| Some(((*field).to_owned(), shown(&row[*column])?)));
            some.collect()
        };
        rows.iter().map(|row| (row["id"].to_string(), one(row))).collect()
    }

    /// Waits until the CRM has them so; a change of each of them behind it arrives as well.
    async fn comes_out(&self, fields: &[(&str, &str)]) {
        self.expect("Account", &self.customers(fields)).await;
        let (_, name) = fields.iter().find(|(field, _)| *field == "Name").unwrap();
        self.sql(&format!("update customer set {name} = concat({name}, '!')"));
        self.settled().await;
        self.expect("Account", &self.customers(fields)).await;
        assert_eq!(self.dead_letters(), [""; 0]);
    }

    /// Told kinds, in order.
    fn kinds(told: &[Value]) -> Vec<&str> {
        told.iter().map(|drift| drift["kind"].as_str().unwrap()).collect()
    }
}

/// The fields of [`mappings`] and their columns.
const ALL: &[(&str, &str)] = &[("Name", "name"), ("Phone", "phone"), ("BillingCity", "city")];
/// The same when `phone` is called `tel`.
const TEL: &[(&str, &str)] = &[("Name", "name"), ("Phone", "tel"), ("BillingCity", "city")];
/// A row that comes and one that changes, whatever columns there are.
const ROWS: &str =
    "update customer set city = 'Brest' where id = 2; insert into customer (id, name, city) values (4, 'Dan', 'Metz')";

/// A value as the CRM has it, whose fields are texts here.
fn shown(value: &Value) -> Option<String> {
    match value {
        Value::Null => None,
        // The CRM takes empty text for null.
        Value::String(text) if text.is_empty() => None,
        Value::String(text) => Some(format!("{text:?}")),
        other => Some(format!("\"{other}\"")),
    }
}

/// A MariaDB with these settings, the tables and more of them, and its daemon, everything delivered.
async fn on_mariadb(settings: &[(&str, &str)], more: &str, mappings: &str) -> World<MariadbServer> {
    let tables = format!("{TABLES}; {more}");
    let world = World::of(mariadb(settings), &tables, mappings, SandboxOptions::default()).await;
    world.start().await;
    world.settled().await;
    world.mark();
    world
}

/// The same with PostgreSQL.
async fn on_postgres(more: &str, mappings: &str) -> World {
    World::running(&format!("{TABLES}; {more}"), mappings).await
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
    let world = on_mariadb(&[], "", &mappings("")).await;
    world.sql("alter table customer drop column phone; update customer set city = 'Brest' where id = 1");
    world.sql("insert into product values (1, 'Chair')");
    let drift = world.drifted("customers").await;
    assert_eq!(drift[0]["kind"], "column_dropped", "{drift:?}");
    world.captured().await;
    world.until("the other mapping to go on", async || world.crm().record("Contact", "Erp_Id__c", "1")).await;
    assert_eq!(world.writes(), ["created Contact 1 LastName=\"Chair\""]);
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
    a_rename_is_followed(on_mariadb(&[], "", &mappings("")).await).await;
}
