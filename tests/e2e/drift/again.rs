//! A change that comes, is put back, and comes once more: what was accepted before is no leave for it.

use super::{ALL, TEL, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::world::World;

/// The fields of [`mappings`] without `Phone`.
const REST: &[(&str, &str)] = &[("Name", "name"), ("BillingCity", "city")];
/// The same when two columns have changed names.
const SWAPPED: &[(&str, &str)] = &[("Name", "name"), ("Phone", "city"), ("BillingCity", "phone")];

const DROP: &str = "alter table customer drop column phone";
const ADD: &str = "alter table customer add column phone varchar(40)";
const SWAP: &str = "alter table customer rename column phone to other; alter table customer rename column city to phone; alter table customer rename column other to city";

/// The dropped column is there again, and its mapping goes on. To PostgreSQL it is another column, which a person takes for
/// the same.
async fn is_put_back<S: Database>(world: &World<S>) {
    world.sql(&format!("{ADD}; update customer set phone = '+772' where id = 2"));
    if S::ERP == "postgres" {
        world
            .until("the new column to be seen", async || {
                let told = world.drifted("customers").await;
                (World::<S>::kinds(&told) == ["rewritten"]).then_some(())
            })
            .await;
        world.captured().await;
        world.accepts(&[]).await;
    }
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

/// A column that was given up is there again, and wanted again: what nobody followed meanwhile is read.
async fn a_column_that_was_given_up_is_mapped_again<S: Database>(mut world: World<S>) {
    world.held_for(DROP, "update customer set city = 'Brest' where id = 2").await;
    world.accepts(&["--as-null", "phone"]).await;
    world.comes_out(REST).await;
    // Nothing wants it now: that it is there again is no event, until the mapping is written anew.
    world.sql(&format!("{ADD}; update customer set phone = '+772' where id = 2"));
    world.settled().await;
    world.comes_out(REST).await;
    world.remap(&mappings("").replace("Phone = \"phone\"", "Phone = \"phone | trim\""));
    world.cli(&["reload"]);
    world.comes_out(ALL).await;
    let told = world.held_for(DROP, "update customer set city = 'Metz' where id = 2").await;
    assert_eq!(World::<S>::kinds(&told), ["column_dropped"], "{told:?}");
    world.accepts(&["--as-null", "phone"]).await;
    world.comes_out(REST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_column_that_was_given_up_is_mapped_again() {
    a_column_that_was_given_up_is_mapped_again(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_column_that_was_given_up_is_mapped_again() {
    a_column_that_was_given_up_is_mapped_again(on_mariadb(&[], "", &mappings("")).await).await;
}

async fn a_column_is_put_back_twice<S: Database>(world: World<S>) {
    for city in ["Brest", "Metz", "Caen"] {
        let told = world.held_for(DROP, &format!("update customer set city = '{city}' where id = 2")).await;
        assert_eq!(World::<S>::kinds(&told), ["column_dropped"], "{told:?}");
        is_put_back(&world).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_column_is_put_back_twice() {
    a_column_is_put_back_twice(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_column_is_put_back_twice() {
    a_column_is_put_back_twice(on_mariadb(&[], "", &mappings("")).await).await;
}

async fn a_column_is_renamed_and_back_and_again<S: Database>(world: World<S>) {
    let renamings = [("phone", "tel", TEL), ("tel", "phone", ALL), ("phone", "tel", TEL), ("tel", "phone", ALL)];
    for (former, now, fields) in renamings {
        let ddl = format!("alter table customer rename column {former} to {now}");
        let told = world.held_for(&ddl, &format!("update customer set {now} = '+992' where id = 2")).await;
        assert_eq!(World::<S>::kinds(&told), ["column_renamed"], "{told:?}");
        world.accepts(&[]).await;
        world.comes_out(fields).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_column_is_renamed_and_back_and_again() {
    a_column_is_renamed_and_back_and_again(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_column_is_renamed_and_back_and_again() {
    a_column_is_renamed_and_back_and_again(on_mariadb(&[], "", &mappings("")).await).await;
}

/// What the log calls `phone` behind the second change is not what it was before it.
#[tokio::test(flavor = "multi_thread")]
async fn pg_20_columns_change_names_and_back_and_again() {
    let world = on_postgres("alter table customer alter column city type varchar(40)", &mappings("")).await;
    for fields in [SWAPPED, ALL, SWAPPED] {
        let told = world.held_for(SWAP, "update customer set phone = 'new' where id = 2").await;
        assert_eq!(World::<passerelle_test_servers::PgServer>::kinds(&told), ["column_renamed", "column_renamed"]);
        world.accepts(&[]).await;
        world.comes_out(fields).await;
    }
}

/// It comes once more while the daemon is away.
async fn a_second_change_while_the_daemon_is_away_is_seen<S: Database>(world: World<S>) {
    world.held_for(DROP, "update customer set city = 'Brest' where id = 2").await;
    is_put_back(&world).await;
    world.daemon.borrow_mut().kill();
    world.mark();
    world.sql(&format!("{DROP}; update customer set city = 'Metz' where id = 2"));
    world.start().await;
    world.drifted("customers").await;
    world.captured().await;
    assert_eq!(world.writes(), [""; 0]);
    is_put_back(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_second_change_while_the_daemon_is_away_is_seen() {
    a_second_change_while_the_daemon_is_away_is_seen(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_second_change_while_the_daemon_is_away_is_seen() {
    a_second_change_while_the_daemon_is_away_is_seen(on_mariadb(&[], "", &mappings("")).await).await;
}

/// It comes and goes while the daemon is away, the second time like the first: the catalogue of MariaDB shows nothing of it.
#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_change_that_came_and_went_twice_while_the_daemon_was_away_is_made_good() {
    let world = on_mariadb(&[], "", &mappings("")).await;
    for city in ["Brest", "Metz"] {
        world.daemon.borrow_mut().kill();
        world.sql(&format!("{DROP}; update customer set city = '{city}' where id = 2; {ADD}"));
        world.start().await;
        world.settled().await;
        world.comes_out(ALL).await;
        world.sql("update customer set phone = concat('+99', id)");
        world.settled().await;
        world.comes_out(ALL).await;
    }
}

/// Names that pass on and back: no column is ever missing, and what the log says in between is of the other column.
#[tokio::test(flavor = "multi_thread")]
async fn pg_20_names_that_changed_and_changed_back_while_the_daemon_was_away_are_made_good() {
    let world = on_postgres("alter table customer alter column city type varchar(40)", &mappings("")).await;
    for value in ["first", "second"] {
        world.daemon.borrow_mut().kill();
        world.sql(&format!("{SWAP}; update customer set phone = '{value}' where id = 2; {SWAP}"));
        world.start().await;
        world.settled().await;
        world.comes_out(ALL).await;
    }
}

/// A column that the log never tells: the log shows the table otherwise than the catalogue, always. That is not looked into
/// for ever.
#[tokio::test(flavor = "multi_thread")]
async fn pg_59_a_column_that_the_log_never_tells_is_no_change_for_ever() {
    let world = on_postgres("", &mappings("")).await;
    let is_new = world.sql("select current_setting('server_version_num')::int >= 180000") == "t";
    let kind = if is_new { "virtual" } else { "stored" };
    world.sql(&format!("alter table customer add loud text generated always as (upper(name)) {kind}"));
    let mut world = world;
    world.remap(&mappings("").replace("Phone = \"phone\"", "Phone = \"loud\""));
    world.cli(&["reload"]);
    world.settled().await;
    let set_up = |world: &World| world.daemon.borrow().log().matches("is set up anew").count();
    for round in 0..10 {
        world.sql(&format!("update customer set city = 'city {round}' where id = 1"));
        world.settled().await;
    }
    let before = set_up(&world);
    assert!(before <= 6, "{before}");
    for round in 10..20 {
        world.sql(&format!("update customer set city = 'city {round}' where id = 1"));
        world.settled().await;
    }
    assert_eq!(set_up(&world), before);
}
