//! Records that the CRM's server fails at, with an answer that says nothing about which.

use passerelle::sandbox::{Fault, FaultKind};

use crate::table::{ACCOUNT, accounts};
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn one_record_that_the_server_fails_at_holds_up_nobody() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.crm().inject(Fault::new(FaultKind::FailBatch).object("Account").key("a7")).unwrap();
    world.sql("insert into account (id, code, name) select n, 'a' || n, 'Name ' || n from generate_series(1, 500) n");
    let records = || world.crm().records(Some("Account")).len();
    world.until("all but one", async || (records() == 499).then_some(())).await;
    assert!(world.crm().record("Account", "Erp_Id__c", "a7").is_none());
    world.sql("update account set name = 'later' where id in (6, 8)");
    world
        .until("what comes later", async || {
            let name =
                |key| world.crm().record("Account", "Erp_Id__c", key).map(|record| record.fields["Name"].clone());
            (name("a6")? == "later" && name("a8")? == "later").then_some(())
        })
        .await;
    let before = world.crm().active_faults()[0].fired;
    world.until("it to be tried again", async || (world.crm().active_faults()[0].fired > before).then_some(())).await;
    assert_eq!(world.dead_letters(), [""; 0], "it has its twenty attempts");
    world.crm().clear_faults();
    world.settled().await;
    assert_eq!(records(), 500);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_that_answers_makes_no_dead_letters() {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name) values (0, 'a0', 'before')");
    world.settled().await;
    world.crm().inject(Fault::new(FaultKind::FailBatch)).unwrap();
    world.sql("insert into account (id, code, name) select n, 'a' || n, 'Name ' || n from generate_series(1, 3) n");
    let fired = || world.crm().active_faults().first().map_or(0, |fault| fault.fired);
    world.until("the server to have failed often", async || (fired() >= 6).then_some(())).await;
    world.crm().clear_faults();
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 4);
    assert_eq!(world.dead_letters(), [""; 0]);
    assert_eq!(world.duplicates(), [""; 0]);
}
