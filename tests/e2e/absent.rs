//! Rows that the log gave in part: STATE.md, rule 2.

use serde_json::json;

use crate::records::{Records, given};
use crate::table::{ACCOUNT, accounts_with, mapping};
use crate::world::World;

/// Changes that nobody is sent, and that take the stream longer than the load of the accounts.
const BULK: &str = "create table bulk (id int primary key, name text);";

fn bulk() -> String {
    mapping("bulk", "bulk", "Lead", "where = \"id < 0\"", "LastName = \"name\"").replace("\"code\"", "\"id\"")
}

/// A column is mapped while changes wait in the log that were made before it was published: the log tells those without
/// it. What is updated keeps what the load has read; what was deleted and made again is fetched by its key, since
/// neither its filter nor its creation can do without.
#[tokio::test(flavor = "multi_thread")]
async fn what_was_changed_before_its_column_was_mapped_is_made_whole() {
    let fields = "Name = \"name\"\nBillingCity = \"city\"";
    let mut world = World::new(&[ACCOUNT, BULK].concat(), &(accounts_with("", fields) + &bulk())).await;
    // The log carries nothing of a column that is not published.
    "publish_columns = \"mapped\"\n".clone_into(&mut world.source_lines);
    world.configure();
    world.sql(
        "insert into account (id, code, name, city, spare) values
            (1, 'a1', 'Ada', 'Paris', 'x'), (2, 'a2', 'Bob', 'Lyon', 'y'), (3, 'a3', 'Cyd', 'Nice', 'hidden'), (4, 'a4', 'Dan', 'Metz', null)",
    );
    world.start().await;
    world.settled().await;
    world.daemon.borrow_mut().stop();

    world.sql("insert into bulk select n, 'n' || n from generate_series(1, 60000) n");
    world.sql(
        "update account set city = 'Brest' where id in (1, 3);
         delete from account where id in (2, 4);
         insert into account (id, code, name, city, spare) values (2, 'a2', 'Bea', 'Lille', 'z'), (5, 'a5', 'Eve', 'Tours', 'hidden'),
            (6, 'a6', 'Fay', 'Gap', null)",
    );
    let narrower = accounts_with("where = \"spare | default('') != 'hidden'\"", &format!("{fields}\nSite = \"spare\""));
    world.remap(&(narrower + &bulk()));
    world.start().await;
    world.settled().await;
    let account = |name: &str, city: &str, site: Option<&str>| {
        [("Name", json!(name)), ("BillingCity", json!(city)), ("Site", json!(site))]
    };
    let expected: Records = given([
        ("a1", &account("Ada", "Brest", Some("x"))),
        ("a2", &account("Bea", "Lille", Some("z"))),
        ("a3", &account("Cyd", "Nice", None)),
        ("a6", &account("Fay", "Gap", None)),
    ]);
    world.expect("Account", &expected).await;
}
