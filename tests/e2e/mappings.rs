//! The configurations that are shipped (`examples/`), each on a database like its application's and an org that has the
//! fields they name and no others: checked, loaded, and followed through what people do in that application. What the CRM
//! then holds is compared field by field with what is written out here by hand.

mod frappe;
mod magento;
mod odoo;
mod prestashop;
mod shopware;
mod vendure;
mod woocommerce;

use std::fmt::Write as _;

use passerelle::sandbox::{SandboxOptions, Schema};
use passerelle_test_servers::{MariadbServer, PgServer};
use serde_json::{Value, json};

use crate::database::{Database, mariadb};
use crate::records::{Fields, Records, printed};
use crate::world::World;

/// The fields of the org besides the standard ones.
const ORG: &str = include_str!("mappings/org.json");
/// The sandbox's organisation, as `expect` names it.
const ORG_ID: &str = "00DPA0000000001";

/// A shipped configuration and the database it is for.
struct Shipped {
    source: &'static str,
    config: &'static str,
    sql: &'static str,
    /// What the tables' names begin with.
    prefix: &'static str,
    /// What is shortened of it: times that nobody would wait for.
    shortened: &'static [(&'static str, &'static str)],
    /// Addresses of the CRM's users.
    users: &'static [&'static str],
}

impl Shipped {
    /// In PostgreSQL.
    async fn on_postgres(self) -> World {
        self.running(PgServer::start().unwrap()).await
    }

    /// In MariaDB, as its own installation documents set it up for replication.
    async fn on_mariadb(self) -> World<MariadbServer> {
        self.running(mariadb(&[("binlog_row_metadata", "FULL")])).await
    }

    /// Checks it against both ends, then starts the daemon and waits until the load is delivered.
    async fn running<S: Database>(self, server: S) -> World<S> {
        let mut schema = Schema::standard().strict(true);
        schema.declare(ORG).unwrap();
        let options = SandboxOptions { schema: Some(schema), ..SandboxOptions::default() };
        let mut world = World::of(server, self.sql, "", options).await;
        let mut text = localised(self.config, &world);
        for (long, short) in self.shortened {
            assert!(text.contains(long), "{long} is not in {}", self.source);
            text = text.replace(long, short);
        }
        world.reconfigure(self.source, text.clone());
        for email in self.users {
            hire(&world, email).await;
        }
        let (status, said) = world.daemon.borrow().cli(&["check", "--online"]);
        assert!(status.success(), "{said}");
        // A server of tests keeps what it likes, and these applications have the foreign keys that they have.
        let is_known =
            |line: &str| line.contains("max_slot_wal_keep_size") || line.contains("without a word in the log");
        let warned = said.lines().filter(|line| line.contains("warning") && !is_known(line));
        assert_eq!(warned.count(), 0, "{said}");

        if !self.prefix.is_empty() {
            let renamed = format!("{}marker", self.prefix);
            world
                .sql(&format!("alter table marker rename to {renamed}; create view marker as select * from {renamed}"));
        }
        let source = self.source;
        let _ = write!(
            text,
            "\n[mapping.marker_{source}]\nsource = \"{source}\"\ntable = \"public.marker\"\ncrm = \"sales\"\n\
             object = \"Lead\"\nkey = {{ field = \"Erp_Id__c\", value = \"id\" }}\nwhere = \"n < 0\"\n\
             [mapping.marker_{source}.fields]\nLastName = {{ const = \"never\" }}\nCompany = {{ const = \"never\" }}\n"
        );
        world.reconfigure(source, text);
        world.start().await;
        world.settled().await;
        world
    }
}

/// The configuration with this machine's addresses and secrets.
fn localised<S: Database>(shipped: &str, world: &World<S>) -> String {
    let folder = world.state_dir();
    let folder = folder.parent().unwrap().display();
    let mut text = format!("[daemon]\nstate_dir = \"{folder}/state\"\nsocket = \"{folder}/p.sock\"\n");
    let mut table = "";
    for line in shipped.lines() {
        if line.starts_with('[') {
            table = line.split('.').next().unwrap_or_default();
        }
        let key = line.split('=').next().unwrap_or_default().trim();
        let here = match (table, key) {
            ("[source", "kind") => world.server.source(S::ERP),
            ("[source", "host" | "database" | "user" | "password" | "tls") => String::new(),
            ("[crm", "url") => format!("url = \"{}\"", world.crm().url()),
            ("[crm", "auth") => "auth = { method = \"client_credentials\", client_id = \"any\", \
                                 client_secret = { env = \"SANDBOX_SECRET\" } }"
                .to_owned(),
            ("[crm", "expect") => format!("expect = {{ org = \"{ORG_ID}\" }}"),
            _ => line.to_owned(),
        };
        text.push_str(&here);
        text.push('\n');
    }
    text
}

/// Makes a user, as an administrator does.
async fn hire<S: Database>(world: &World<S>, email: &str) {
    let user = json!({ "Username": email, "LastName": email, "Email": email, "IsActive": true });
    let url = format!("{}/services/data/v66.0/sobjects/User", world.crm().url());
    let answer = reqwest::Client::new().post(url).bearer_auth("an administrator").json(&user).send().await.unwrap();
    assert!(answer.status().is_success(), "{}", answer.text().await.unwrap());
}

/// The id of the user with this address.
fn user<S: Database>(world: &World<S>, email: &str) -> String {
    let users = world.crm().records(Some("User"));
    users.iter().find(|user| user.fields.get("Email").is_some_and(|known| known == email)).unwrap().id.clone()
}

/// Runs a transaction in the application's database and waits until all of it is delivered.
async fn after<S: Database>(world: &World<S>, sql: &str) {
    world.sql(sql);
    world.settled().await;
}

/// Writes down what is expected of a record from now on: these fields are so, null is none. A key that is new is a new
/// record.
fn set(records: &mut Records, key: &str, fields: &[(&str, Value)]) {
    let record: &mut Fields = records.entry(key.to_owned()).or_default();
    for (name, value) in fields {
        if value.is_null() {
            record.remove(*name);
        } else {
            record.insert((*name).to_owned(), printed(value));
        }
    }
}
