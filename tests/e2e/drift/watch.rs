//! When a change is seen, and when it can't be.

use std::time::{Duration, Instant};

use super::{ROWS, TEL, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::world::World;

async fn a_change_without_traffic_is_flagged_in_time<S: Database>(world: World<S>) {
    world.sql("alter table customer drop column phone");
    let begun = Instant::now();
    world.drifted("customers").await;
    assert!(begun.elapsed() < Duration::from_secs(10), "{:?}", begun.elapsed());
    // Killed and started again it is held at once, and nothing of it is delivered in between.
    world.restart().await;
    world.sql(ROWS);
    world.drifted("customers").await;
    world.captured().await;
    assert_eq!(world.writes(), [""; 0]);
    world.accepts(&["--as-null", "phone"]).await;
    world.comes_out(&[("Name", "name"), ("BillingCity", "city")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_19_a_change_without_traffic_is_flagged_in_time() {
    a_change_without_traffic_is_flagged_in_time(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_change_without_traffic_is_flagged_in_time() {
    a_change_without_traffic_is_flagged_in_time(on_mariadb(&[], "", &mappings("")).await).await;
}

/// The daemon was away when it changed.
async fn a_change_while_the_daemon_is_away_is_seen<S: Database>(world: World<S>) {
    world.sql("update customer set phone = '+771' where id = 1");
    world.daemon.borrow_mut().kill();
    world.sql("update customer set phone = '+772' where id = 3");
    world.sql("alter table customer rename column phone to tel");
    world.sql("update customer set tel = '+992' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')");
    world.start().await;
    let told = world.drifted("customers").await;
    assert!(["column_renamed", "column_dropped"].contains(&told[0]["kind"].as_str().unwrap()), "{told:?}");
    world.captured().await;
    assert!(world.writes().iter().all(|write| !write.contains("Account 2") && !write.contains("created")));
    world.accepts(&["--rename", "phone=tel"]).await;
    world.comes_out(TEL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_change_while_the_daemon_is_away_is_seen() {
    a_change_while_the_daemon_is_away_is_seen(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_change_while_the_daemon_is_away_is_seen() {
    a_change_while_the_daemon_is_away_is_seen(on_mariadb(&[], "", &mappings("")).await).await;
}

/// With names and signs in the log, and without.
#[tokio::test(flavor = "multi_thread")]
async fn my_38_a_rename_comes_out_right_whatever_the_log_says_of_columns() {
    for metadata in ["full", "no_log"] {
        let world = on_mariadb(&[("binlog_row_metadata", metadata)], "", &mappings("")).await;
        let behind =
            "update customer set tel = '+992' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')";
        let told = world.held_for("alter table customer rename column phone to tel", behind).await;
        assert_eq!(told[0]["kind"], "column_renamed", "{metadata}: {told:?}");
        world.accepts(&[]).await;
        world.comes_out(TEL).await;
    }
}

/// Waits until the source tells that its catalogue can't be read; the mapping is not held for it.
async fn tells_of_its_catalogue<S: Database>(world: &World<S>) {
    let told = world
        .until("the catalogue to be told unreadable", async || {
            let source = world.status_of("sources", "erp").await?;
            source["catalog_error"].as_str().map(str::to_owned)
        })
        .await;
    assert!(!told.is_empty());
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
    assert_ne!(world.status_of("mappings", "customers").await.unwrap()["state"], "held");
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_19_a_catalogue_that_can_not_be_read_is_no_drift() {
    let world = on_postgres("", &mappings("")).await;
    // No query of a catalogue of columns ends while another has it locked.
    let client = world.server.client("postgres").await.unwrap();
    client.batch_execute("begin; lock table pg_attribute in access exclusive mode").await.unwrap();
    tells_of_its_catalogue(&world).await;
    client.batch_execute("rollback").await.unwrap();
    world
        .until("the catalogue to be read again", async || {
            let source = world.status_of("sources", "erp").await?;
            source["catalog_error"].is_null().then_some(())
        })
        .await;
    world.sql(ROWS);
    world.settled().await;
    world.comes_out(super::ALL).await;
}
