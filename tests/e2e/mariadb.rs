//! A source of MariaDB: loaded, followed and delivered as one of PostgreSQL is.

use serde_json::json;

use crate::database::{Database, mariadb};
use crate::records::{Records, given, points_at};
use crate::world::World;
use passerelle::sandbox::SandboxOptions;
use passerelle_test_servers::{MariadbServer, PgServer};

/// Tables as shops have them: unsigned keys, flags that are `tinyint(1)`, zero dates, exact money.
const SHOP: &str = "
create table company (id int unsigned auto_increment primary key, name varchar(80) not null);
create table person (
    id bigint unsigned auto_increment primary key, company_id int unsigned, name varchar(80), email varchar(120),
    guest tinyint(1) not null default 0, deleted tinyint(1) not null default 0, born date not null default '0000-00-00',
    paid decimal(10,2) not null default 0, changed_at timestamp(3) not null default current_timestamp(3), note text
) character set latin1;
insert into company values (1, 'Acme'), (2, 'Zoë & Söhne');
insert into person (id, company_id, name, email, guest, born, paid) values
    (1, 1, 'Ada', 'ADA@acme.example', 0, '1990-02-03', 12.50),
    (2, 2, 'Søren', null, 0, '0000-00-00', 0),
    (3, null, 'a guest', null, 1, '0000-00-00', 0);
";

const MAPPINGS: &str = r#"
[mapping.companies]
source = "erp"
table = "company"
crm = "sales"
object = "Account"
key = { field = "Erp_Id__c", value = "'c' ~ id" }
fields = { Name = "name" }

[mapping.people]
source = "erp"
table = "public.person"
crm = "sales"
object = "Contact"
key = { field = "Erp_Id__c", value = "'p' ~ id" }
where = "not guest"
deleted = "deleted == 1"

[mapping.people.fields]
LastName = "name"
Email = "email | email | lower"
Birthdate = "born"
Paid__c = "paid"
Account = { reference = "companies", value = "company_id", missing = "null" }
"#;

async fn shop() -> World<MariadbServer> {
    World::of(mariadb(&[]), SHOP, MAPPINGS, SandboxOptions::default()).await
}

fn accounts() -> Records {
    given([("c1", &[("Name", json!("Acme"))]), ("c2", &[("Name", json!("Zoë & Söhne"))])])
}

fn contacts() -> Records {
    given([
        (
            "p1",
            &[
                ("LastName", json!("Ada")),
                ("Email", json!("ada@acme.example")),
                ("Birthdate", json!("1990-02-03")),
                ("Paid__c", json!(12.5)),
                ("AccountId", json!(points_at("c1"))),
            ],
        ),
        ("p2", &[("LastName", json!("Søren")), ("Paid__c", json!(0.0)), ("AccountId", json!(points_at("c2")))]),
    ])
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_mariadb_are_loaded_followed_and_delivered() {
    let world = shop().await;
    let (_, said) = world.daemon.borrow().cli(&["check", "--online"]);
    assert!(said.contains("source erp") && !said.contains("fault: "), "{said}");
    world.start().await;
    world.settled().await;
    world.expect("Account", &accounts()).await;
    world.expect("Contact", &contacts()).await;
    world.mark();

    // Each statement is a group of its own; in a transaction they are one.
    world.sql("update person set email = 'ada@example.org' where id = 1");
    world.expect_writes(&["updated Contact p1 Email=\"ada@example.org\""]).await;
    world.sql(
        "start transaction; insert into person (id, name, paid) values (4, 'Grace', 7.25); update company set name = 'Acme Ltd' where id = 1;
         update person set guest = 1 where id = 2; commit",
    );
    world.settled().await;
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(
        writes,
        ["created Contact p4 LastName=\"Grace\" Paid__c=7.25", "updated Account c1 Name=\"Acme Ltd\""],
        "{}",
        world.story()
    );
    world.sql("start transaction; update person set name = 'never' where id = 1; rollback");
    world.sql("update person set deleted = 1 where id = 4");
    world.expect_writes(&["deleted Contact p4"]).await;
    world.sql("delete from person where id = 1");
    world.expect_writes(&["deleted Contact p1"]).await;
    assert!(world.dead_letters().is_empty(), "{:?}", world.dead_letters());
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_goes_on_after_restarts_of_both_ends() {
    let mut world = shop().await;
    // Over the socket, whose user is another.
    world.sql(
        "create user passerelle@localhost; grant replication slave, binlog monitor on *.* to passerelle@localhost;
         grant select on public.* to passerelle@localhost",
    );
    let socket = format!("host = \"{}\"", world.server.socket().display());
    let over_socket = world.configuration().replace("host = \"127.0.0.1\"", &socket);
    world.reconfigure("erp", over_socket);
    world.start().await;
    world.settled().await;
    world.mark();

    world.daemon.borrow_mut().kill();
    world.sql("update person set name = 'Ada L.' where id = 1");
    world.sql("flush binary logs; update person set paid = 9.99 where id = 2");
    world.start().await;
    world.settled().await;
    let mut writes = world.writes();
    writes.sort();
    assert_eq!(writes, ["updated Contact p1 LastName=\"Ada L.\"", "updated Contact p2 Paid__c=9.99"]);

    world.server.restart().unwrap();
    world.sql("update person set name = 'Ada Lovelace' where id = 1");
    world.expect_writes(&["updated Contact p1 LastName=\"Ada Lovelace\""]).await;
    world.server.kill().unwrap();
    world.server.restart().unwrap();
    world.sql("update person set name = 'A. Lovelace' where id = 1");
    world.expect_writes(&["updated Contact p1 LastName=\"A. Lovelace\""]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_of_the_other_kind_is_refused_with_the_word_to_write() {
    let mut world = shop().await;
    let wrong = world.configuration().replace("kind = \"mariadb\"", "kind = \"mysql\"");
    world.reconfigure("erp", wrong);
    let (_, said) = world.daemon.borrow().cli(&["check", "--online"]);
    assert!(said.contains("kind = \"mariadb\""), "{said}");
    world.start().await;
    let next = stopped(&world, "next_command").await;
    assert!(next.contains("kind = \"mariadb\""), "{next}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_of_another_kind_of_database_is_not_gone_on_with() {
    const SAME: &str = "create table marker (id int primary key, n int);
        create table company (id int primary key, name text);
        create table person (id int primary key, company_id int, name text, email text, guest boolean, deleted int, born date, paid numeric)";
    let mut world = shop().await;
    let postgres = PgServer::start().unwrap();
    postgres.psql("postgres", SAME).unwrap();
    let ours = world.configuration();
    let (here, there) = (world.server.source("public"), postgres.source("postgres"));
    assert!(ours.contains(&here), "{ours}");
    world.reconfigure("erp", ours.replace(&here, &there));
    world.start().await;
    world
        .until("the source to stream", async || {
            (world.status_of("sources", "erp").await?["state"] == "streaming").then_some(())
        })
        .await;
    world.daemon.borrow_mut().kill();

    world.reconfigure("erp", ours);
    world.start().await;
    let reason = stopped(&world, "reason").await;
    assert!(reason.contains("of another kind of database than MariaDB"), "{reason}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_log_that_was_reset_is_not_gone_on_with() {
    let world = shop().await;
    world.start().await;
    world.settled().await;
    world.daemon.borrow_mut().kill();

    world.sql("reset master; update person set name = 'Ada L.' where id = 1");
    world.start().await;
    let reason = stopped(&world, "reason").await;
    assert!(reason.contains("its log was reset"), "{reason}");
    assert_eq!(stopped(&world, "next_command").await, "passerelle recover erp");
    assert_eq!(world.writes().iter().filter(|write| write.contains("Ada L.")).count(), 0);
}

/// Waits until the source needs a person, and gives what the status says of it.
async fn stopped(world: &World<MariadbServer>, what: &str) -> String {
    world
        .until("the source to stop", async || {
            let source = world.status_of("sources", "erp").await?;
            source[what].as_str().filter(|_| source["state"] == "stopped").map(str::to_owned)
        })
        .await
}

/// The log says nothing of rows that a foreign key changes (MY-31): their table is read again.
#[tokio::test(flavor = "multi_thread")]
async fn rows_that_a_foreign_key_deletes_are_missed() {
    let world = shop().await;
    world.sql("alter table person add foreign key (company_id) references company (id) on delete cascade");
    world.start().await;
    world.settled().await;
    world.expect("Contact", &contacts()).await;

    world.sql("delete from company where id = 2");
    let mut expected = contacts();
    expected.remove("p2");
    world.expect("Contact", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn columns_that_are_mapped_later_are_read_beside_the_stream() {
    let mut world = shop().await;
    world.start().await;
    world.settled().await;
    world.mark();

    world.remap(&MAPPINGS.replace("LastName = \"name\"", "LastName = \"name\"\nDescription = \"note\""));
    world.sql("update person set note = 'first' where id = 1");
    world.restart().await;
    world.sql("update person set note = 'second' where id = 2");
    world.settled().await;
    let mut expected = contacts();
    for (key, note) in [("p1", "first"), ("p2", "second")] {
        expected.get_mut(key).unwrap().insert("Description".into(), format!("\"{note}\""));
    }
    world.expect("Contact", &expected).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn offsets_and_previews_speak_of_the_binary_log_and_its_rows() {
    let world = shop().await;
    let shown = world.cli(&["preview", "people", "--json"]);
    let shown: serde_json::Value = serde_json::from_str(&shown).unwrap();
    let keys: Vec<_> = shown["rows"].as_array().unwrap().iter().map(|row| row["row_key"].as_str().unwrap()).collect();
    assert_eq!(keys, ["1", "2"], "{shown:#}");
    let one = world.cli(&["preview", "people", "--key", "1"]);
    assert!(one.contains("ada@acme.example"), "{one}");

    world.start().await;
    world.settled().await;
    let offsets = world.get("/v1/offsets").await.unwrap();
    let source = &offsets["sources"][0];
    assert_eq!((source["kind"].as_str(), &source["postgres"]), (Some("mariadb"), &serde_json::Value::Null));
    let mysql = &source["mysql"];
    assert!(mysql["file"].as_str().is_some_and(|file| file.starts_with("mbin.")), "{source:#}");
    assert!(mysql["gtid_executed"].as_str().is_some_and(|gtids| gtids.starts_with("0-1-")), "{source:#}");
    let printed = world.cli(&["offsets"]);
    assert!(printed.contains("mbin."), "{printed}");
}
