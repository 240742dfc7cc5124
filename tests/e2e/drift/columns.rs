//! Columns that come, go, and get another name.

use super::{ALL, ROWS, TEL, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::world::World;

/// The fields without `Phone`.
const REST: &[(&str, &str)] = &[("Name", "name"), ("BillingCity", "city")];

async fn an_added_column_is_no_event_and_can_be_mapped<S: Database>(mut world: World<S>) {
    let uptime = world.status_of("sources", "erp").await.unwrap()["since"].clone();
    world.sql("update customer set phone = '+1' where id = 1; alter table customer add column site varchar(9) default 'here'; update customer set site = 'there' where id = 2; insert into customer values (4, 'Dan', '+334', 'Metz', 'away')");
    world.settled().await;
    world.comes_out(ALL).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
    assert_eq!(world.status_of("sources", "erp").await.unwrap()["since"], uptime, "nothing was set up anew");
    world.remap(&mappings("").replace("Phone = \"phone\"", "Phone = \"phone\"\nSite = \"site\""));
    world.cli(&["reload"]);
    let with_site = [ALL, &[("Site", "site")]].concat();
    world.comes_out(&with_site).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_19_an_added_column_is_no_event_and_can_be_mapped() {
    an_added_column_is_no_event_and_can_be_mapped(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_an_added_column_is_no_event_and_can_be_mapped() {
    an_added_column_is_no_event_and_can_be_mapped(on_mariadb(&[], "", &mappings("")).await).await;
}

async fn what_a_dropped_column_wrote_stays<S: Database>(world: World<S>) {
    let told = world.held_for("alter table customer drop column phone", ROWS).await;
    assert_eq!(World::<S>::kinds(&told), ["column_dropped"], "{told:?}");
    assert!(world.refused(&[]).contains("phone is gone"));
    assert!(world.refused(&["--rename", "phone=nowhere"]).contains("no column nowhere"));
    assert!(world.refused(&["--drop", "city"]).contains("city is there"));
    assert!(world.refused(&["--drop", "fax"]).contains("no column fax"));
    assert!(world.cli(&["drift", "accept", "customers", "--drop", "phone", "--dry-run"]).contains("--dry-run"));
    world.restart().await;
    world.drifted("customers").await;
    world.captured().await;
    assert!(world.writes().iter().all(|write| !write.contains("Account 2")), "held over a restart");
    world.accepts(&["--drop", "phone"]).await;
    let kept = |world: &World<S>| {
        let mut records = world.customers(REST);
        for (key, phone) in [("1", "\"+331\""), ("2", "\"+332\""), ("3", "\"+333\"")] {
            records.get_mut(key).unwrap().insert("Phone".to_owned(), phone.to_owned());
        }
        records
    };
    world.expect("Account", &kept(&world)).await;
    world.sql("update customer set city = 'Caen'");
    world.settled().await;
    world.expect("Account", &kept(&world)).await;
    assert!(world.refused(&["--drop", "phone"]).contains("nothing of customers"));
    // What was decided holds over a restart.
    world.restart().await;
    world.settled().await;
    world.expect("Account", &kept(&world)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_what_a_dropped_column_wrote_stays() {
    what_a_dropped_column_wrote_stays(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_what_a_dropped_column_wrote_stays() {
    what_a_dropped_column_wrote_stays(on_mariadb(&[], "", &mappings("")).await).await;
}

async fn a_dropped_column_can_be_null<S: Database>(world: World<S>) {
    world.held_for("alter table customer drop column phone", ROWS).await;
    world.accepts(&["--as-null", "phone"]).await;
    world.comes_out(REST).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_dropped_column_can_be_null() {
    a_dropped_column_can_be_null(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_dropped_column_can_be_null() {
    a_dropped_column_can_be_null(on_mariadb(&[], "", &mappings("")).await).await;
}

async fn a_mapping_that_is_written_anew_settles_it<S: Database>(mut world: World<S>) {
    world.held_for("alter table customer drop column phone", ROWS).await;
    world.remap(&mappings("").replace("Phone = \"phone\"", "Phone = { const = \"none\" }"));
    world.cli(&["reload"]);
    world.goes_on("customers").await;
    world.settled().await;
    let mut records = world.customers(REST);
    for fields in records.values_mut() {
        fields.insert("Phone".to_owned(), "\"none\"".to_owned());
    }
    world.expect("Account", &records).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_mapping_that_is_written_anew_settles_it() {
    a_mapping_that_is_written_anew_settles_it(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_mapping_that_is_written_anew_settles_it() {
    a_mapping_that_is_written_anew_settles_it(on_mariadb(&[], "", &mappings("")).await).await;
}

/// In PostgreSQL it is another column, which a person has to take for the same; MariaDB knows a column by its name only.
#[tokio::test(flavor = "multi_thread")]
async fn pg_21_a_dropped_column_is_put_back() {
    let world = on_postgres("", &mappings("")).await;
    world.held_for("alter table customer drop column phone", ROWS).await;
    world.sql("alter table customer add column phone varchar(40); update customer set phone = '+992' where id = 2");
    world
        .until("the new column to be seen", async || {
            let told = world.drifted("customers").await;
            (World::<passerelle_test_servers::PgServer>::kinds(&told) == ["rewritten"]).then_some(())
        })
        .await;
    world.captured().await;
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_dropped_column_is_put_back() {
    let world = on_mariadb(&[], "", &mappings("")).await;
    world.held_for("alter table customer drop column phone", ROWS).await;
    world.sql("alter table customer add column phone varchar(40); update customer set phone = '+992' where id = 2");
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_dropped_column_is_put_back_without_traffic() {
    let world = on_mariadb(&[], "", &mappings("")).await;
    world.sql("alter table customer drop column phone");
    world.drifted("customers").await;
    world.sql("alter table customer add column phone varchar(40)");
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

async fn a_certain_rename_is_followed_when_it_is_accepted<S: Database>(world: World<S>) {
    let behind =
        "update customer set tel = '+992' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')";
    let told = world.held_for("alter table customer rename column phone to tel", behind).await;
    assert_eq!(World::<S>::kinds(&told), ["column_renamed"], "{told:?}");
    assert!(world.refused(&["--rename", "phone=id"]).contains("it is no rename"));
    world.restart().await;
    world.drifted("customers").await;
    let loads = world.daemon.borrow().log().matches("loaded").count();
    world.accepts(&[]).await;
    world.comes_out(TEL).await;
    assert_eq!(world.daemon.borrow().log().matches("loaded").count(), loads, "nothing was read again");
    // And once more, back to what the mapping calls it.
    world.sql("alter table customer rename column tel to phone; update customer set phone = '+772' where id = 2");
    world.drifted("customers").await;
    world.captured().await;
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_certain_rename_is_followed_when_it_is_accepted() {
    a_certain_rename_is_followed_when_it_is_accepted(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_certain_rename_is_followed_when_it_is_accepted() {
    a_certain_rename_is_followed_when_it_is_accepted(on_mariadb(&[], "", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_rename_by_change_is_certain_too() {
    let world = on_mariadb(&[], "", &mappings("")).await;
    let behind = "update customer set tel = '+992' where id = 2";
    let told = world.held_for("alter table customer change phone tel varchar(60)", behind).await;
    assert_eq!(told[0]["kind"], "column_renamed", "{told:?}");
    world.accepts(&[]).await;
    world.comes_out(TEL).await;
}

async fn a_renamed_column_is_written_into_the_mapping<S: Database>(mut world: World<S>) {
    let behind =
        "update customer set tel = '+992' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')";
    world
        .held_for(
            "update customer set phone = '+771' where id = 1; alter table customer rename column phone to tel",
            behind,
        )
        .await;
    world.remap(&mappings("").replace("Phone = \"phone\"", "Phone = \"tel\""));
    world.cli(&["reload"]);
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(TEL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_renamed_column_is_written_into_the_mapping() {
    a_renamed_column_is_written_into_the_mapping(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_renamed_column_is_written_into_the_mapping() {
    a_renamed_column_is_written_into_the_mapping(on_mariadb(&[], "", &mappings("")).await).await;
}

/// One that went and one that came: a question, and no answer.
async fn another_column_can_be_taken_for_one_that_is_gone<S: Database>(world: World<S>) {
    let ddl = "alter table customer add column tel varchar(40) default '+0', add column fax int; alter table customer drop column phone";
    let behind =
        "update customer set tel = '+992' where id = 2; insert into customer (id, name, tel) values (4, 'Dan', '+994')";
    let told = world.held_for(ddl, behind).await;
    assert_eq!(told[0]["kind"], "column_dropped", "{told:?}");
    let said = world.refused(&["--rename", "phone=fax"]);
    assert!(said.contains("it is no rename"), "{said}");
    world.accepts(&["--rename", "phone=tel"]).await;
    world.comes_out(TEL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_21_another_column_can_be_taken_for_one_that_is_gone() {
    another_column_can_be_taken_for_one_that_is_gone(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_another_column_can_be_taken_for_one_that_is_gone() {
    another_column_can_be_taken_for_one_that_is_gone(on_mariadb(&[], "", &mappings("")).await).await;
}

/// A decision is about what was shown: what has changed since is shown first.
async fn a_decision_that_is_overtaken_is_refused<S: Database>(world: World<S>) {
    world.held_for("alter table customer rename column phone to tel", ROWS).await;
    let shown = world.cli(&["drift", "show", "customers", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let seen = shown["drift"][0]["seen"].as_str().unwrap();
    world.sql("alter table customer drop column city");
    let said = world.refused(&["--seen", seen]);
    assert!(said.contains("has changed again"), "{said}");
    world
        .until("the second change to be shown", async || {
            let told = world.drifted("customers").await;
            told.iter().any(|drift| drift["kind"] == "column_dropped").then_some(())
        })
        .await;
    assert!(world.refused(&["--seen", seen, "--drop", "city"]).contains("has changed again"));
    assert!(world.refused(&[]).contains("city is gone"));
    world.captured().await;
    assert_eq!(world.writes(), [""; 0]);
    world.accepts(&["--as-null", "city"]).await;
    world.comes_out(&[("Name", "name"), ("Phone", "tel")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_decision_that_is_overtaken_is_refused() {
    a_decision_that_is_overtaken_is_refused(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_decision_that_is_overtaken_is_refused() {
    a_decision_that_is_overtaken_is_refused(on_mariadb(&[], "", &mappings("")).await).await;
}

/// What was captured under the name of an hour is not lost when that is taken back.
async fn a_rename_that_is_taken_back_is_settled_by_itself<S: Database>(world: World<S>) {
    let behind =
        "update customer set tel = '+992' where id = 2; insert into customer values (4, 'Dan', '+994', 'Metz')";
    world.held_for("alter table customer rename column phone to tel", behind).await;
    world.sql("alter table customer rename column tel to phone");
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_rename_that_is_taken_back_is_settled_by_itself() {
    a_rename_that_is_taken_back_is_settled_by_itself(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_rename_that_is_taken_back_is_settled_by_itself() {
    a_rename_that_is_taken_back_is_settled_by_itself(on_mariadb(&[], "", &mappings("")).await).await;
}

/// What the mapping calls `phone` is called `city` now, and the other way round; both are of one type.
async fn columns_that_change_names_are_followed<S: Database>(world: World<S>, words: &[&str]) {
    let ddl = "alter table customer rename column phone to other; alter table customer rename column city to phone; alter table customer rename column other to city";
    let behind = "update customer set city = '+992' where id = 2; insert into customer (id, name, city, phone) values (4, 'Dan', '+994', 'Metz')";
    let told = world.held_for(ddl, behind).await;
    assert_eq!(World::<S>::kinds(&told), ["column_renamed", "column_renamed"], "{told:?}");
    world.accepts(words).await;
    world.comes_out(&[("Name", "name"), ("Phone", "city"), ("BillingCity", "phone")]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_columns_that_change_names_are_followed() {
    let world = on_postgres("alter table customer alter column city type varchar(40)", &mappings("")).await;
    columns_that_change_names_are_followed(world, &[]).await;
}

/// Of three statements that pass names on, what is in between is nobody's: it is a question.
#[tokio::test(flavor = "multi_thread")]
async fn my_42_columns_that_change_names_are_followed() {
    let world = on_mariadb(&[], "alter table customer modify city varchar(40)", &mappings("")).await;
    columns_that_change_names_are_followed(world, &["--rename", "phone=city"]).await;
}
