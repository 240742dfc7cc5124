//! Tables of the configuration beside it: read, checked, and read again with it.

use crate::table::{ACCOUNT, accounts_with};
use crate::world::World;

const TERMS: &str = "\n[lookup.terms]\nfile = \"terms.csv\"\ndelimiter = \";\"\n";
const FIELDS: &str = "Name = \"name\"\nSite = \"city | lookup('terms')\"\n\
                      Description = \"city | lookup('terms', column='long', other=none)\"";

fn file(world: &World, text: &str) {
    let folder = world.state_dir();
    std::fs::write(folder.parent().unwrap().join("terms.csv"), text).unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn a_lookup_is_read_with_the_configuration_and_again_at_a_reload() {
    let world = World::new(ACCOUNT, &(accounts_with("", FIELDS) + TERMS)).await;
    file(&world, "code;label;long\nNET30;30 days;\"thirty; days\"\nNET60;60 days;\n");
    world.sql(
        "insert into account (id, code, name, city) values (1, 'a1', 'Ada', 'NET30'), (2, 'a2', 'Bob', 'NET60'), (3, 'a3', 'Cy', 'x')",
    );
    world.start().await;
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(
        writes,
        [
            "created Account a1 Description=\"thirty; days\" Name=\"Ada\" Site=\"30 days\"",
            "created Account a2 Name=\"Bob\" Site=\"60 days\"",
            "created Account a3 Name=\"Cy\"",
        ]
    );
    file(&world, "code;label;long\nNET30;a month;\"thirty; days\"\nNET60;60 days;\nx;none;\n");
    let shown = world.cli(&["reload"]);
    assert!(shown.contains("mapping accounts: 3 records are evaluated again"), "{shown}");
    world.answering().await;
    world.settled().await;
    let mut writes = world.writes();
    writes.sort_unstable();
    assert_eq!(writes, ["updated Account a1 Site=\"a month\"", "updated Account a3 Site=\"none\""]);
    // A file that is none changes nothing.
    file(&world, "code;label;long\nNET30;a month\n");
    let (status, shown) = world.daemon.borrow().cli(&["reload"]);
    assert!(!status.success() && shown.contains("line 2 has 2 cells, and the first line 3"), "{shown}");
    world.sql("update account set name = 'Eve' where id = 1");
    world.expect_writes(&["updated Account a1 Name=\"Eve\""]).await;
}
