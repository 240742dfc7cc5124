//! A server with a database to look at.

use std::time::Duration;

use passerelle_change::{Batch, Event, TableName};
use passerelle_postgres::catalog::{self, TableFacts};
use passerelle_postgres::replication::{CreatedSlot, Replication, SlotKind};
use passerelle_postgres::{Options, TlsMode, sql};
use passerelle_test_servers::PgServer;
use tokio_postgres::Client;

/// A cell of a row: its column's name and its text.
pub(crate) type Cell = (String, Option<String>);

pub(crate) struct Rig {
    pub(crate) server: PgServer,
}

/// Nothing that is waited for takes so long.
pub(crate) async fn within<T>(what: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_mins(1), what).await.expect("it takes too long")
}

pub(crate) fn name(name: &str) -> TableName {
    let (schema, name) = name.split_once('.').unwrap_or(("public", name));
    TableName { schema: schema.into(), name: name.into() }
}

pub(crate) fn strings(list: &[&str]) -> Vec<String> {
    list.iter().map(|&text| text.to_owned()).collect()
}

impl Rig {
    /// A fresh server with these statements run.
    pub(crate) fn new(sql: &str) -> Self {
        Self::of(PgServer::start().expect("PostgreSQL starts"), sql)
    }

    pub(crate) fn of(server: PgServer, sql: &str) -> Self {
        let rig = Self { server };
        rig.sql(sql);
        rig
    }

    /// The server's major version.
    pub(crate) fn major(&self) -> u32 {
        self.server.major_version()
    }

    /// A list of columns in a publication, where the server knows that: from 15 on.
    pub(crate) fn columns(&self, list: &'static str) -> &'static str {
        if self.major() >= 15 { list } else { "" }
    }

    /// That partitions are published under their root's name, where the server knows that: from 13 on.
    pub(crate) fn via_root(&self) -> &'static str {
        if self.major() >= 13 { "with (publish_via_partition_root)" } else { "" }
    }

    /// Starts the server again as a standby of nobody.
    pub(crate) fn become_standby(&mut self) {
        let (file, text) =
            if self.major() >= 12 { ("standby.signal", "") } else { ("recovery.conf", "standby_mode = on\n") };
        std::fs::write(self.server.data_dir().join(file), text).expect("it is written");
        self.server.restart().expect("it starts as a standby");
    }

    /// What `0.1::float8 + 0.2` is printed as: as short as can be since 12, with three digits more than are certain before.
    pub(crate) fn three_tenths(&self) -> &'static str {
        if self.major() >= 12 { "0.30000000000000004" } else { "0.300000000000000044" }
    }

    /// Runs statements as the superuser.
    pub(crate) fn sql(&self, sql: &str) -> String {
        self.server.psql("postgres", sql).expect(sql)
    }

    pub(crate) fn options(&self, user: &str) -> Options {
        Options {
            host: "127.0.0.1".into(),
            port: self.server.port(),
            database: "postgres".into(),
            user: user.into(),
            password: None,
            tls: TlsMode::Disable,
            tls_ca: None,
            tls_cert: None,
            tls_key: None,
            application_name: "passerelle erp".into(),
        }
    }

    pub(crate) async fn client(&self, user: &str) -> Client {
        sql::connect(&self.options(user)).await.expect("it connects")
    }

    pub(crate) async fn facts(&self, table: &str) -> TableFacts {
        let client = self.client("postgres").await;
        let catalog = catalog::read(&client, &[name(table)]).await.expect("the catalogue is read");
        catalog.table(&name(table)).expect("it is there").clone()
    }

    /// A slot, and the connection that keeps its snapshot.
    pub(crate) async fn slot(&self, slot: &str) -> (Replication, CreatedSlot) {
        let mut replication = Replication::connect(&self.options("postgres")).await.expect("it connects");
        let created = replication.create_slot(slot, SlotKind::Durable, Duration::from_secs(10)).await;
        (replication, created.expect("the slot is made"))
    }

    /// Waits until a query answers this.
    pub(crate) async fn until(&self, sql: &str, answer: &str) {
        let client = self.server.client("postgres").await.expect("it connects");
        within(async {
            while client.query_one(sql, &[]).await.expect(sql).get::<_, String>(0) != answer {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
}

/// The rows of batches, by their printed key, cells by name.
pub(crate) fn rows(batches: &[Batch]) -> Vec<(String, Vec<Cell>)> {
    let mut names = std::collections::HashMap::new();
    let mut rows = Vec::new();
    for batch in batches {
        for event in batch.events() {
            match event {
                Event::Schema { schema, .. } => {
                    names.extend(schema.columns.iter().map(|column| (column.id, column.name.clone())));
                }
                Event::Row(row) => {
                    let cell = |cell: Result<_, _>| {
                        let (id, text): (_, Option<&[u8]>) = cell.expect("whole cells");
                        let text = text.map(|text| String::from_utf8(text.to_vec()).expect("UTF-8"));
                        (names[&id].clone(), text)
                    };
                    let cells = batch.cells(row).iter().map(cell).collect();
                    rows.push((passerelle_change::key::printed(batch.bytes(row.key)), cells));
                }
                _ => {}
            }
        }
    }
    rows
}
