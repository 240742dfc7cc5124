//! The CRM is down for the whole of a large load: the database keeps no log for us, and our memory stays flat.

use passerelle::sandbox::{Fault, FaultKind};
use serde_json::json;

use crate::records::{Records, printed};
use crate::table::mapping;
use crate::world::{World, lsn};

/// Changes in all, unless `PASSERELLE_E2E_CHANGES` says more.
const CHANGES: u32 = 200_000;
const RECORDS: u32 = 20_000;
const ROWS_A_TRANSACTION: u32 = 1_000;
/// What the daemon takes at most, built for tests.
const MOST_MEMORY_KIB: u64 = 160 << 10;
/// What it may grow by after the first quarter of the load.
const MOST_GROWTH_KIB: u64 = 40 << 10;

#[tokio::test(flavor = "multi_thread")]
async fn a_crm_that_is_down_holds_back_no_log_and_costs_no_memory() {
    let changes = std::env::var("PASSERELLE_E2E_CHANGES").ok().and_then(|n| n.parse().ok()).unwrap_or(CHANGES);
    let tables = "create table item (id int primary key, code text, name text, n int);";
    let fields = "Name = \"name\"\nCount__c = \"n\"";
    let world = World::running(tables, &mapping("items", "item", "Product2", "", fields)).await;
    world.crm().inject(Fault::new(FaultKind::Down)).unwrap();
    world.sql(&format!("insert into item select n, 'i' || n, 'item ' || n, 0 from generate_series(1, {RECORDS}) n"));
    let updates = changes.saturating_sub(RECORDS) / ROWS_A_TRANSACTION;
    let mut early = 0;
    for update in 0..updates {
        let from = update * ROWS_A_TRANSACTION % RECORDS;
        let to = from + ROWS_A_TRANSACTION;
        world.sql(&format!("update item set n = n + 1 where id > {from} and id <= {to}"));
        if update == updates / 4 {
            early = world.daemon.borrow().memory_kib().unwrap().0;
        }
    }
    let end = world.sql("select pg_current_wal_lsn()");
    world.captured().await;
    world
        .until("the slot to be confirmed up to the end of the load", async || {
            let confirmed = world.sql("select confirmed_flush_lsn from pg_replication_slots");
            (lsn(&confirmed) >= lsn(&end)).then_some(())
        })
        .await;
    assert_eq!(world.crm().records(Some("Product2")).len(), 0, "the CRM was down");
    let (most, now) = world.daemon.borrow().memory_kib().unwrap();
    eprintln!("memory: {early} KiB after a quarter, {now} KiB at the end, {most} KiB at most");
    assert!(most <= MOST_MEMORY_KIB, "{most} KiB");
    assert!(most <= early + MOST_GROWTH_KIB, "{early} KiB after a quarter of the load, {most} KiB in the end");

    world.crm().clear_faults();
    // It may be about to wait a minute for the next try; a restart asks at once.
    world.restart().await;
    let rows = world.sql("select code || '|' || name || '|' || n from item");
    let expected: Records = rows
        .lines()
        .map(|row| {
            let mut parts = row.split('|');
            let mut part = || parts.next().unwrap();
            let (code, name, n) =
                (part().to_owned(), printed(&json!(part())), printed(&json!(part().parse::<u32>().unwrap())));
            (code, [("Name".to_owned(), name), ("Count__c".to_owned(), n)].into())
        })
        .collect();
    world.expect("Product2", &expected).await;
    world.settled().await;
    assert_eq!(world.crm().stats().updated, 0, "each record was written once, however often its row changed");
    let (most, _) = world.daemon.borrow().memory_kib().unwrap();
    assert!(most <= MOST_MEMORY_KIB, "{most} KiB while it delivered");
}
