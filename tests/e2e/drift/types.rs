//! Columns whose type is another one, or values, labels, nulls and character sets.

use super::{ALL, ROWS, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::world::World;

/// What changes it, and goes on.
async fn nothing_is_held<S: Database>(world: World<S>, ddl: &str, behind: &str) {
    world.sql(&format!("update customer set name = 'Ada II' where id = 1; {ddl}; {behind}"));
    world.settled().await;
    world.comes_out(ALL).await;
    assert_eq!(world.get("/v1/drift").await.unwrap()["drift"], serde_json::json!([]));
    // Also once it is the catalogue as the last start read it.
    world.restart().await;
    world.settled().await;
    world.comes_out(ALL).await;
}

/// What holds it, and is taken as it is.
async fn it_is_taken_as_it_is<S: Database>(world: World<S>, ddl: &str, behind: &str, kind: &str) {
    let told = world.held_soon_for(ddl, behind).await;
    assert!(World::<S>::kinds(&told).contains(&kind), "{told:?}");
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_22_widened_columns_hold_nothing() {
    let ddl = "alter table customer alter column name type text, alter column phone type varchar(60)";
    let behind = "update customer set phone = repeat('9', 30) where id = 2; insert into customer values (4, 'Dan', null, 'Metz')";
    nothing_is_held(on_postgres("", &mappings("")).await, ddl, behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_widened_columns_hold_nothing() {
    let ddl = "alter table customer modify name varchar(200) not null, modify phone text";
    let behind = "update customer set phone = repeat('9', 30) where id = 2; insert into customer values (4, 'Dan', null, 'Metz')";
    nothing_is_held(on_mariadb(&[], "", &mappings("")).await, ddl, behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_22_nulls_and_defaults_hold_nothing() {
    let ddl = "alter table customer alter column city set default 'Rome', alter column phone set not null";
    let behind = "insert into customer (id, name, phone) values (4, 'Dan', '+9')";
    nothing_is_held(on_postgres("", &mappings("")).await, ddl, behind).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_nulls_and_defaults_hold_nothing() {
    let ddl = "alter table customer alter column city set default 'Rome', modify phone varchar(40) not null";
    let behind = "insert into customer (id, name, phone) values (4, 'Dan', '+9')";
    nothing_is_held(on_mariadb(&[], "", &mappings("")).await, ddl, behind).await;
}

async fn a_narrowed_column_is_counted_and_read_again<S: Database>(world: World<S>, ddl: &str) {
    let told = world.held_for(ddl, ROWS).await;
    assert_eq!(told[0]["kind"], "retyped", "{told:?}");
    let counted = world
        .until("its rows to be counted", async || {
            let told = world.drifted("customers").await;
            told[0]["counted"].as_str().map(str::to_owned)
        })
        .await;
    // The second one was written anew behind the change, and the fourth has none.
    assert_eq!(counted, "2 of 4 rows would be cut at 3 characters");
    assert!(world.cli(&["drift", "show", "customers"]).contains(&counted));
    let said = world.accepts(&[]).await;
    assert!(said.contains("read again: phone"), "{said}");
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_22_a_narrowed_column_is_counted_and_read_again() {
    let ddl = "alter table customer alter column phone type varchar(3) using left(phone, 3)";
    a_narrowed_column_is_counted_and_read_again(on_postgres("", &mappings("")).await, ddl).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_narrowed_column_is_counted_and_read_again() {
    let ddl = "set sql_mode = ''; alter table customer modify phone varchar(3)";
    a_narrowed_column_is_counted_and_read_again(on_mariadb(&[], "", &mappings("")).await, ddl).await;
}

/// The mappings with `Phone` sent as text whatever it is in the table.
fn as_text() -> String {
    mappings("").replace("\"phone\"", "\"'' ~ phone\"")
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_23_a_converted_column_is_read_again() {
    let world = on_postgres("", &as_text()).await;
    let ddl = "alter table customer alter column phone type bigint using phone::bigint * 10";
    let behind = "update customer set phone = 992 where id = 2; insert into customer values (4, 'Dan', 994, 'Metz')";
    it_is_taken_as_it_is(world, ddl, behind, "retyped").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_converted_column_is_read_again() {
    let world = on_mariadb(&[], "", &as_text()).await;
    let ddl = "alter table customer modify phone bigint";
    let behind = "update customer set phone = 992 where id = 2; insert into customer values (4, 'Dan', 994, 'Metz')";
    it_is_taken_as_it_is(world, ddl, behind, "retyped").await;
}

/// A type that the field's expression does not take.
async fn what_does_not_compile_any_more_is_not_taken<S: Database>(mut world: World<S>, ddl: &str) {
    let told = world.held_for(ddl, "insert into customer values (4, 'Dan', 994, 'Metz')").await;
    assert_eq!((&told[0]["kind"], &told[0]["severity"]), (&"retyped".into(), &"breaking".into()), "{told:?}");
    world.refused(&[]);
    world.remap(&as_text());
    world.cli(&["reload"]);
    world.goes_on("customers").await;
    world.settled().await;
    world.comes_out(ALL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_23_what_does_not_compile_any_more_is_not_taken() {
    let world = on_postgres("", &mappings("").replace("\"phone\"", "\"phone | upper\"")).await;
    let ddl = "alter table customer alter column phone type bigint using phone::bigint";
    what_does_not_compile_any_more_is_not_taken(world, ddl).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_what_does_not_compile_any_more_is_not_taken() {
    let world = on_mariadb(&[], "", &mappings("").replace("\"phone\"", "\"phone | upper\"")).await;
    what_does_not_compile_any_more_is_not_taken(world, "alter table customer modify phone bigint").await;
}

/// The type is the same, and so is what the log says: nothing.
#[tokio::test(flavor = "multi_thread")]
async fn pg_23_values_that_were_written_anew_are_read_again() {
    let world = on_postgres("", &mappings("")).await;
    let ddl = "alter table customer alter column city type varchar(60) using upper(city)";
    it_is_taken_as_it_is(world, ddl, ROWS, "rewritten").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_23_a_table_that_is_rewritten_as_it_was_is_no_event() {
    let world = on_postgres("", &mappings("")).await;
    world.server.psql("postgres", "vacuum full customer").unwrap();
    nothing_is_held(world, "cluster customer using customer_pkey", ROWS).await;
}

/// An enum in the column `city`.
const LEVELS: &str = "create type level as enum ('low', 'high');
    update customer set city = case id when 1 then 'high' else 'low' end;
    alter table customer alter column city type level using city::level";

#[tokio::test(flavor = "multi_thread")]
async fn pg_24_a_new_label_holds_nothing() {
    let world = on_postgres(LEVELS, &mappings("")).await;
    // A label can be used by the next transaction only.
    world.sql("alter type level add value 'top'");
    nothing_is_held(world, "select 1", "update customer set city = 'top' where id = 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_24_a_renamed_label_is_read_again() {
    let world = on_postgres(LEVELS, &mappings("")).await;
    let behind = "update customer set city = 'high' where id = 2; insert into customer values (4, 'Dan', null, 'base')";
    it_is_taken_as_it_is(world, "alter type level rename value 'low' to 'base'", behind, "label_renamed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_24_a_label_that_is_gone_is_read_again() {
    let world = on_postgres(LEVELS, &mappings("")).await;
    let ddl = "create type rank as enum ('low', 'top');
        alter table customer alter column city type rank using (case city when 'high' then 'top' else 'low' end)::rank";
    let told = world.held_for(ddl, "insert into customer values (4, 'Dan', null, 'top')").await;
    assert!(!told.is_empty());
    world.accepts(&[]).await;
    world.comes_out(ALL).await;
}

/// The same in MariaDB.
const MARIADB_LEVELS: &str = "update customer set city = case id when 1 then 'high' else 'low' end;
    alter table customer modify city enum('low', 'high')";

#[tokio::test(flavor = "multi_thread")]
async fn my_27_a_new_label_holds_nothing() {
    let world = on_mariadb(&[], MARIADB_LEVELS, &mappings("")).await;
    let ddl = "alter table customer modify city enum('low', 'high', 'top')";
    nothing_is_held(world, ddl, "update customer set city = 'top' where id = 2").await;
}

/// Numbers of labels that the log has are read by the labels of their time.
#[tokio::test(flavor = "multi_thread")]
async fn my_27_a_label_that_is_gone_is_read_again() {
    let world = on_mariadb(&[], MARIADB_LEVELS, &mappings("")).await;
    let ddl = "set sql_mode = ''; alter table customer modify city enum('top', 'low')";
    let behind = "update customer set city = 'top' where id = 2; insert into customer values (4, 'Dan', null, 'low')";
    it_is_taken_as_it_is(world, ddl, behind, "label_removed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_27_labels_in_another_order_come_out_right() {
    let world = on_mariadb(&[], MARIADB_LEVELS, &mappings("")).await;
    let ddl = "alter table customer modify city enum('high', 'low')";
    nothing_is_held(world, ddl, "update customer set city = 'high' where id = 2").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_38_another_character_set_that_loses_some_is_read_again() {
    let more = "alter table customer convert to character set utf8mb4; update customer set city = 'Łódź' where id = 3";
    let world = on_mariadb(&[], more, &mappings("")).await;
    let ddl = "set sql_mode = ''; alter table customer modify city varchar(60) character set latin1";
    let behind = "update customer set city = 'Köln' where id = 2; insert into customer values (4, 'Dan', null, 'Sète')";
    it_is_taken_as_it_is(world, ddl, behind, "charset_changed").await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_38_a_wider_character_set_holds_nothing() {
    let more = "alter table customer convert to character set latin1; update customer set city = 'Köln' where id = 3";
    let world = on_mariadb(&[], more, &mappings("")).await;
    let ddl = "alter table customer modify city varchar(60) character set utf8mb4";
    nothing_is_held(world, ddl, "update customer set city = 'Łódź' where id = 2").await;
}
