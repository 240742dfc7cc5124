//! Windows of time, and very many dependents.

use std::time::{Duration, Instant};

use super::TABLES;
use crate::table::mapping;
use crate::world::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_window_moves_with_the_clock() {
    let relation = "[mapping.partners.with.visits]\ntable = \"public.visit\"\non = { partner = \"id\" }\nrollup = { n = \"count(within = '3s', by = at)\", all = \"count()\" }\n";
    let fields = "Name = \"name\"\nRecent__c = \"visits.n\"\nAll__c = \"visits.all\"";
    let sql = format!(
        "{TABLES} create table visit (id int primary key, partner int, at timestamptz); insert into partner values (1, 'a', 'Ada')"
    );
    let world = World::running(&sql, &(mapping("partners", "partner", "Account", "", fields) + relation)).await;
    world.sql("insert into visit values (1, 1, now()), (2, 1, now() - interval '1 hour')");
    world.expect_writes(&["updated Account a All__c=2 Recent__c=1"]).await;
    // Nothing changes but the time. A restart forgets nothing of it.
    world.restart().await;
    world
        .until("the visit to leave the window", async || {
            let writes = world.crm().log_after(0, usize::MAX);
            writes.iter().any(|write| write.fields.get("Recent__c").is_some_and(|n| *n == 0.0)).then_some(())
        })
        .await;
}

/// One country of 20,000 partners changes while others go on.
#[tokio::test(flavor = "multi_thread")]
async fn many_dependents_do_not_hold_others_up() {
    const MANY: usize = 20_000;
    let relation = "[mapping.partners.with.country]\ntable = \"public.country\"\non = { id = \"country_id\" }\n";
    let fields = "Name = \"name\"\nCountry__c = \"country.code\"";
    let sql = format!(
        "{TABLES} insert into country values (1, 'FR', 1), (2, 'DE', 1);
         insert into partner select n, 'p' || n, 'P', 1 from generate_series(1, {MANY}) n; insert into partner values (0, 'a', 'Ada', 2)"
    );
    let mut world = World::new(&sql, &(mapping("partners", "partner", "Account", "", fields) + relation)).await;
    // Slow enough that the many take their time.
    world.limits = "limits = { per_second = 25 }".to_owned();
    world.configure();
    world.start().await;
    world.settled().await;
    world.mark();
    world.sql("update country set code = 'GF' where id = 1");
    let count = || {
        world
            .crm()
            .log_after(0, usize::MAX)
            .iter()
            .filter(|write| write.fields.get("Country__c").is_some_and(|code| code == "GF"))
            .count()
    };
    world.until("the first of the many", async || (count() > 0).then_some(())).await;
    let begun = Instant::now();
    world.sql("update country set code = 'AT' where id = 2");
    world
        .until("the one of another country", async || {
            let held = crate::records::of(world.crm(), "Account");
            (held["a"].get("Country__c").is_some_and(|code| code == "\"AT\"")).then_some(())
        })
        .await;
    let (took, done) = (begun.elapsed(), count());
    assert!(done < MANY, "it was sent before the last of the many");
    assert!(took < Duration::from_secs(2), "{took:?}");
    world.settled().await;
    assert_eq!(count(), MANY);
}
