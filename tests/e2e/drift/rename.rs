//! A rename that is accepted after a hundred thousand waiting changes.

use super::{TEL, mappings, on_mariadb, on_postgres};
use crate::database::Database;
use crate::shop::Dialect;
use crate::world::World;

/// Customers, and as many changes of them before the rename as behind it.
const CUSTOMERS: u32 = 2_000;
const CHANGES: u32 = 100_000;

async fn a_rename_is_accepted_after_many_changes<S: Database>(world: World<S>) {
    let numbers = |from: u32, to: u32| match S::DIALECT {
        Dialect::Postgres => format!("generate_series({from}, {to}) as seq"),
        Dialect::Mariadb => format!("seq_{from}_to_{to}"),
    };
    let many = |column: &str, of: u32| {
        for round in 0..CHANGES / of {
            world.sql(&format!("update customer set {column} = concat({round}, '-', id) where id <= {of}"));
        }
    };
    world.sql(&format!("insert into customer select seq, 'one of many', '+0', 'Paris' from {}", numbers(4, CUSTOMERS)));
    world.settled().await;
    world.cli(&["pause", "customers"]);
    world.mark();
    many("phone", CUSTOMERS);
    world.sql("update customer set city = 'Metz' where id <= 1000");
    world.sql("alter table customer rename column phone to tel");
    world.sql("update customer set city = 'Caen' where id = 1");
    world.cli(&["resume", "customers"]);
    world.drifted("customers").await;
    // It dies with all of it waiting, and with half of what is behind.
    world.daemon.borrow_mut().kill();
    many("tel", CUSTOMERS / 2);
    // Of these the log has no other phone than that from before.
    world.sql("update customer set city = 'Brest' where id > 1990");
    world.start().await;
    world.drifted("customers").await;
    world.captured().await;
    assert_eq!(world.writes(), [""; 0]);
    let loads = world.daemon.borrow().log().matches("loaded").count();
    world.accepts(&["--rename", "phone=tel"]).await;
    world.expect("Account", &world.customers(TEL)).await;
    assert_eq!(world.daemon.borrow().log().matches("loaded").count(), loads, "the table was read again");
    world.comes_out(TEL).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pg_20_a_rename_is_accepted_after_many_changes() {
    a_rename_is_accepted_after_many_changes(on_postgres("", &mappings("")).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn my_42_a_rename_is_accepted_after_many_changes() {
    a_rename_is_accepted_after_many_changes(on_mariadb(&[], "", &mappings("")).await).await;
}
