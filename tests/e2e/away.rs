//! The database is away when the daemon starts.

use passerelle::sandbox::{Fault, FaultKind};
use passerelle_test_servers::StopMode;
use serde_json::json;

use crate::records::given;
use crate::table::{ACCOUNT, accounts, accounts_with};
use crate::world::World;

/// A world whose daemon and database have stopped, with a change captured that the CRM does not have.
async fn with_one_pending() -> World {
    let mut world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'Paris')");
    world.settled().await;
    world.crm().inject(Fault::new(FaultKind::Down)).unwrap();
    world.sql("update account set city = 'Lyon' where id = 1");
    world.captured().await;
    world.daemon.borrow_mut().kill();
    world.server.stop(StopMode::Fast).unwrap();
    world.crm().clear_faults();
    world.mark();
    world
}

async fn source_is(world: &World, state: &str) {
    world.until(state, async || (world.status_of("sources", "erp").await?["state"] == state).then_some(())).await;
}

/// Waits for these writes, without asking the database how far it is.
async fn written(world: &World, expected: &[&str]) {
    let mut writes = Vec::new();
    world
        .until(&format!("{expected:?}"), async || {
            writes.extend(world.writes());
            writes.sort_unstable();
            (writes == expected).then_some(())
        })
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_pending_is_delivered_all_the_same() {
    let mut world = with_one_pending().await;
    world.daemon.borrow_mut().start(None);
    written(&world, &["updated Account a1 BillingCity=\"Lyon\""]).await;
    source_is(&world, "retrying").await;
    world.server.restart().unwrap();
    world.sql("update account set city = 'Nice' where id = 1");
    world.expect_writes(&["updated Account a1 BillingCity=\"Nice\""]).await;
}

/// Meanwhile the table has got a column, and later the mapping has it too: nothing is delivered by what is not
/// known, and all of it once the database is back.
#[tokio::test(flavor = "multi_thread")]
async fn tables_that_have_changed_since_are_set_up_anew() {
    let mut world = with_one_pending().await;
    world.server.restart().unwrap();
    world.sql("alter table account add segment text default 'retail'");
    world.server.stop(StopMode::Fast).unwrap();
    world.daemon.borrow_mut().start(None);
    written(&world, &["updated Account a1 BillingCity=\"Lyon\""]).await;
    world.server.restart().unwrap();
    world.sql("insert into account (id, code, name, city) values (2, 'a2', 'Bob', 'Metz')");
    world.settled().await;
    let record = |name: &str, city: &str| [("Name", json!(name)), ("BillingCity", json!(city))];
    world.expect("Account", &given([("a1", &record("Ada", "Lyon") as &[_]), ("a2", &record("Bob", "Metz"))])).await;
    assert!(world.daemon.borrow().log().contains("the source is set up anew"), "{}", world.story());

    world.daemon.borrow_mut().stop();
    world.server.stop(StopMode::Fast).unwrap();
    world.remap(&accounts_with("", "Name = \"name | upper\"\nSite = \"segment\""));
    world.mark();
    world.daemon.borrow_mut().start(None);
    // Every column that the table had then is known.
    written(&world, &["updated Account a1 Name=\"ADA\"", "updated Account a2 Name=\"BOB\""]).await;
    world.server.restart().unwrap();
    world.settled().await;
    let record =
        |name: &str, city: &str| [("Name", json!(name)), ("BillingCity", json!(city)), ("Site", json!("retail"))];
    world.expect("Account", &given([("a1", &record("ADA", "Lyon") as &[_]), ("a2", &record("BOB", "Metz"))])).await;
}
