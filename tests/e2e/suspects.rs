//! Tables and rows that are to be read again. PostgreSQL's log never asks for it: what a source's capture would note is
//! written into the state while the daemon is down.

use std::collections::BTreeMap;

use passerelle_change::{KeyBuf, Micros, Seq, Suspicion, TableId, TableName};
use passerelle_state::{CaptureBatch, Gate, Store, Suspected};

use crate::table::{ACCOUNT, accounts};
use crate::world::World;

const ROWS: &str = "insert into account (id, code, name) select n, 'a' || n, 'Row ' || n from generate_series(1, 4) n";
/// What comes now is not in the log.
const UNLOGGED: &str = "alter publication passerelle_erp set (publish = 'insert')";
const LOGGED: &str = "alter publication passerelle_erp set (publish = 'insert, update, delete, truncate')";

/// A world whose daemon is down, with changes that no log says.
async fn with_unsaid(changes: &str) -> World {
    let world = World::running(ACCOUNT, &accounts("guard = { deletes = \"100%\" }")).await;
    world.sql(ROWS);
    world.settled().await;
    world.sql(UNLOGGED);
    world.sql(changes);
    world.sql(LOGGED);
    // Behind them in the log.
    world.sql("insert into account (id, code, name) values (9, 'a9', 'Row 9')");
    world.settled().await;
    world.mark();
    world.daemon.borrow_mut().kill();
    world
}

/// Notes something as the source's capture would, at the newest change.
fn note(world: &World, fill: impl FnOnce(&mut CaptureBatch<'_>, TableId, Seq)) {
    let store = Store::open(&world.state_dir()).unwrap();
    let source = store.source_id("erp").unwrap();
    let table = store.table_id(source, &TableName { schema: "public".into(), name: "account".into() }).unwrap();
    let seq = store.checkpoint(source).unwrap().unwrap().seq;
    let gate = Gate::default();
    let mut batch = CaptureBatch::begin(&store, &gate, true, BTreeMap::new());
    fill(&mut batch, table, seq);
    store.write_capture(batch.seal().0, &gate, true).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn my_40_a_suspect_table_is_read_again_before_anything_of_it_is_delivered() {
    let world = with_unsaid("delete from account where id = 2; update account set name = 'Unsaid' where id = 3").await;
    note(&world, |batch, table, seq| {
        let suspected = Suspected { seq, why: Suspicion::Replaced, since: Micros(1) };
        batch.suspected(table, Some(&suspected));
    });
    let client = world.server.client("postgres").await.unwrap();
    client.batch_execute("begin; lock table account in access exclusive mode").await.unwrap();
    world.start().await;
    world
        .until("the mapping to wait for the table", async || {
            let mapping = world.status_of("mappings", "accounts").await?;
            (mapping["state"] == "loading" && mapping["held_reason"].as_str()?.contains("made anew")).then_some(())
        })
        .await;
    client.batch_execute("update account set city = 'Nice' where id = 1; commit").await.unwrap();
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    let expected =
        ["deleted Account a2", "updated Account a1 BillingCity=\"Nice\"", "updated Account a3 Name=\"Unsaid\""];
    assert_eq!(writes, expected);
    assert_eq!(world.status_of("mappings", "accounts").await.unwrap()["held_reason"], serde_json::Value::Null);
    // It is not read once more.
    world.mark();
    world.restart().await;
    world.settled().await;
    assert_eq!(world.writes(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn my_57_a_suspect_row_is_fetched_and_replaced_by_itself() {
    let world = with_unsaid("delete from account where id = 2; update account set name = 'Unsaid' where id <> 1").await;
    note(&world, |batch, table, seq| {
        for id in [1, 2, 3] {
            let mut key = Vec::new();
            KeyBuf(&mut key).push_int(id);
            batch.suspected_row(table, &key, Some(seq));
        }
    });
    world.start().await;
    let name = |key: &str| {
        let record = world.crm().record("Account", "Erp_Id__c", key)?;
        Some(record.fields.get("Name")?.as_str()?.to_owned())
    };
    world
        .until("what was not said of the rows", async || {
            (name("a2").is_none() && name("a3").as_deref() == Some("Unsaid")).then_some(())
        })
        .await;
    world.sql("update account set name = 'Said' where id = 1");
    world.settled().await;
    assert_eq!(name("a1").as_deref(), Some("Said"), "it goes on");
    assert_eq!(name("a4").as_deref(), Some("Row 4"), "of that row nobody knows");
}
