//! The servers that a world can have as its source, and what differs between them for a test.

use anyhow::Result;
use passerelle_test_servers::{MariadbServer, PgServer};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;
use serde_json::Value;

use crate::shop::Dialect;
use crate::world::lsn;

/// A server as a source of the daemon.
pub(crate) trait Database {
    /// Its SQL.
    const DIALECT: Dialect;
    /// The database of the first source. Its tables are `public.…` to the mappings, whatever the server.
    const ERP: &'static str;
    /// What runs transactions without starting a program for each.
    type Client;

    /// The lines of `[source.NAME]` for this database.
    fn source(&self, database: &str) -> String;

    /// Runs `sql`; the rows it answers, one a line.
    fn run(&self, database: &str, sql: &str) -> Result<String>;

    /// A table's rows as JSON objects.
    fn rows(&self, table: &str) -> Vec<Value>;

    /// The end of the log of what is committed.
    fn head(&self, database: &str) -> String;

    /// Whether a position that the daemon prints is beyond a head.
    fn is_beyond(position: &str, head: &str) -> bool;

    /// Opens one.
    async fn connect(&self) -> Self::Client;

    /// Runs a transaction. One that breaks a constraint is rolled back, and that is well.
    async fn transaction(&self, client: &mut Self::Client, sql: &str);

    /// What may happen to a server at any time.
    async fn disturb(&mut self, client: &mut Self::Client, dice: &mut StdRng);
}

impl Database for PgServer {
    const DIALECT: Dialect = Dialect::Postgres;
    const ERP: &'static str = "postgres";
    type Client = tokio_postgres::Client;

    fn source(&self, database: &str) -> String {
        let port = self.port();
        format!(
            "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"{database}\"\nuser = \"postgres\"\n\
             tls = \"disable\"\n"
        )
    }

    fn run(&self, database: &str, sql: &str) -> Result<String> {
        self.psql(database, sql)
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        let text = self.run(Self::ERP, &format!("select coalesce(json_agg(t), '[]') from {table} t")).unwrap();
        serde_json::from_str(&text).unwrap()
    }

    fn head(&self, database: &str) -> String {
        self.run(database, "select pg_current_wal_insert_lsn()").unwrap()
    }

    fn is_beyond(position: &str, head: &str) -> bool {
        lsn(position) > lsn(head)
    }

    async fn connect(&self) -> Self::Client {
        self.client(Self::ERP).await.unwrap()
    }

    async fn transaction(&self, client: &mut Self::Client, sql: &str) {
        if let Err(error) = client.batch_execute(sql).await {
            let code = error.code().cloned();
            let class = code.as_ref().map(|code| &code.code()[..2]);
            // A constraint, as it is meant, and nothing else.
            assert_eq!(class, Some("23"), "{error}: {sql}");
            client.batch_execute("rollback").await.unwrap();
        }
    }

    async fn disturb(&mut self, _: &mut Self::Client, _: &mut StdRng) {}
}

/// The database of the first source, and what our user needs, no more.
const ACCOUNT: &str = "create database public; create user passerelle@'127.0.0.1';
    grant replication slave, binlog monitor on *.* to passerelle@'127.0.0.1'; grant select on public.* to passerelle@'127.0.0.1'";

/// A MariaDB with these settings and a database for the first source.
pub(crate) fn mariadb(settings: &[(&str, &str)]) -> MariadbServer {
    let builder = settings.iter().fold(MariadbServer::builder(), |builder, (name, value)| builder.setting(name, value));
    let server = builder.start().unwrap();
    server.sql("", ACCOUNT).unwrap();
    server
}

impl Database for MariadbServer {
    const DIALECT: Dialect = Dialect::Mariadb;
    const ERP: &'static str = "public";
    type Client = ();

    fn source(&self, database: &str) -> String {
        let port = self.port();
        format!(
            "kind = \"mariadb\"\nhost = \"127.0.0.1\"\nport = {port}\ndatabase = \"{database}\"\nuser = \"passerelle\"\n\
             tls = \"disable\"\n"
        )
    }

    fn run(&self, database: &str, sql: &str) -> Result<String> {
        self.sql(database, sql)
    }

    fn rows(&self, table: &str) -> Vec<Value> {
        let columns = self
            .run("information_schema", &format!("select column_name from columns where table_name = '{table}'"))
            .unwrap();
        let pairs: Vec<_> = columns.lines().map(|column| format!("'{column}', {column}")).collect();
        // One a line: an aggregate has a largest size.
        let text = self.run(Self::ERP, &format!("select json_object({}) from {table}", pairs.join(", "))).unwrap();
        // The client doubles the backslashes of what it prints.
        text.lines().map(|row| serde_json::from_str(&row.replace("\\\\", "\\")).unwrap()).collect()
    }

    fn head(&self, _: &str) -> String {
        self.run("", "select @@gtid_binlog_pos").unwrap()
    }

    /// Both are of one domain; the daemon prints the file before.
    fn is_beyond(position: &str, head: &str) -> bool {
        let number = |text: &str| text.rsplit('-').next().and_then(|number| number.parse::<u64>().ok()).unwrap_or(0);
        position.contains(' ') && number(position) > number(head)
    }

    async fn connect(&self) {}

    async fn transaction(&self, (): &mut (), sql: &str) {
        // The client ends at the first error, and its transaction with it.
        if let Err(error) = self.run(Self::ERP, sql) {
            let text = error.to_string();
            assert!(text.contains("Duplicate entry"), "{text}");
        }
    }

    async fn disturb(&mut self, (): &mut (), dice: &mut StdRng) {
        let set = |name: &str, values: &[&str], dice: &mut StdRng| {
            let value = values.choose(dice).unwrap();
            self.run("", &format!("set global {name} = {value}")).unwrap();
        };
        match dice.random_range(0..8) {
            0 => self.restart().unwrap(),
            1 => {
                self.kill().unwrap();
                self.restart().unwrap();
            }
            2..4 => drop(self.run("", "flush binary logs").unwrap()),
            4 => set("log_bin_compress", &["on", "off"], dice),
            5 => set("binlog_row_metadata", &["no_log", "minimal", "full"], dice),
            _ => set("binlog_row_image", &["full", "minimal", "noblob"], dice),
        }
    }
}
