//! What the daemon refuses: it says why and what to run, and overwrites nothing.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use passerelle_test_servers::PgServer;
use serde_json::Value;

use crate::daemon::Daemon;
use crate::table::{ACCOUNT, accounts, mapping};
use crate::world::{LIMIT, World};

const SLOT: &str = "passerelle_erp";

/// Waits until the source has stopped; the daemon stays up and tells why and what to do.
async fn stopped(world: &World) -> Value {
    let source = world.until("the source to stop", async || {
        let source = world.status_of("sources", "erp").await?;
        (source["state"] == "stopped").then_some(source)
    });
    let source = source.await;
    assert!(source["reason"].as_str().is_some_and(|reason| reason.len() > 20), "{source}");
    assert!(source["next_command"].as_str().is_some_and(|command| !command.is_empty()), "{source}");
    source
}

/// Waits for the daemon to end by itself, and gives its status and last words.
async fn ends(daemon: &mut Daemon) -> (Option<i32>, String) {
    match tokio::time::timeout(LIMIT, daemon.end()).await {
        Ok(status) => (status.code(), daemon.last_words()),
        Err(tokio::time::error::Elapsed { .. }) => panic!("it runs on:\n{}", daemon.last_words()),
    }
}

/// Every file below a folder with its content, the logs of RocksDB left out.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let is_log = |path: &Path| path.file_name().unwrap().to_string_lossy().starts_with("LOG");
    entries
        .filter(|path| !is_log(path))
        .flat_map(|path| {
            if path.is_dir() {
                files(&path)
            } else {
                [(path.display().to_string(), std::fs::read(&path).unwrap())].into()
            }
        })
        .collect()
}

async fn with_ada() -> World {
    let world = World::running(ACCOUNT, &accounts("")).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.settled().await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_wrong_configuration_is_shown_with_all_its_faults_and_ends_with_78() {
    let mut world = World::new(ACCOUNT, &accounts("")).await;
    let wrong = accounts("freshnes = \"1m\"").replace("\"name\"", "\"nam\"").replace("\"city\"", "\"city | shout\"")
        + "[mapping.others]\nsource = \"nowhere\"\n";
    world.remap(&wrong);
    let (status, text) = world.daemon.borrow().cli(&["run"]);
    assert_eq!(status.code(), Some(78), "{text}");
    for fault in ["unknown key `freshnes`", "did you mean `freshness`", "there is no [source.nowhere]"] {
        assert!(text.contains(fault), "{fault}: {text}");
    }
    assert!(!world.state_dir().exists(), "nothing was begun");
    // Expressions are compiled against the catalogue: a column and a filter that are not there, both at once.
    world.remap(&accounts("").replace("\"name\"", "\"nam\"").replace("\"city\"", "\"city | shout\""));
    let (status, text) = world.daemon.borrow().cli(&["run"]);
    assert_eq!(status.code(), Some(78), "{text}");
    for fault in ["nam", "shout"] {
        assert!(text.contains(fault), "{fault}: {text}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn two_daemons_never_share_a_state_a_slot_or_a_socket() {
    let world = with_ada().await;
    let folder = tempfile::tempdir().unwrap();
    let second = |text: &str| {
        let daemon = Daemon::in_folder(folder.path());
        std::fs::write(&daemon.config, text).unwrap();
        daemon
    };
    let (socket, state) = (world.daemon.borrow().socket.display().to_string(), world.state_dir().display().to_string());
    let ours = |name: &str| folder.path().join(name).display().to_string();

    let mut same_state = second(&world.configuration().replace(&socket, &ours("p.sock")));
    same_state.start(None);
    let (status, text) = ends(&mut same_state).await;
    assert!(status != Some(0) && text.contains(&state), "{status:?} {text}");

    let mut same_socket = second(&world.configuration().replace(&state, &ours("state")));
    same_socket.start(None);
    let (status, text) = ends(&mut same_socket).await;
    assert!(status != Some(0) && text.contains(&socket), "{status:?} {text}");

    let text = world.configuration().replace(&socket, &ours("p.sock")).replace(&state, &ours("state2"));
    let mut same_slot = second(&text);
    same_slot.start(None);
    let source = world.until("the second to refuse the slot", async || {
        let status = same_slot.get("/v1/status").await?;
        let source = status["sources"].as_array()?.iter().find(|source| source["name"] == "erp")?.clone();
        source["reason"].as_str().is_some_and(|reason| reason.contains(SLOT)).then_some(source)
    });
    let source = source.await;
    assert!(["stopped", "retrying"].contains(&source["state"].as_str().unwrap()), "{source}");
    same_slot.stop();

    world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob')");
    world.settled().await;
    assert_eq!(world.crm().records(Some("Account")).len(), 2, "the first one is not disturbed");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_dropped_stops_the_source_and_nothing_else() {
    let other = mapping("customers", "customer", "Product2", "", "Name = \"name\"").replace("\"erp\"", "\"shop\"");
    let mut world = World::new(ACCOUNT, &(accounts("") + &other)).await;
    world.add_source("shop", "create table customer (id int primary key, code text, name text)");
    world.start().await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada')");
    world.settled().await;
    world.daemon.borrow_mut().stop();
    world.sql(&format!("select pg_drop_replication_slot('{SLOT}')"));
    world.sql("insert into account (id, code, name) values (2, 'a2', 'lost')");
    world.daemon.borrow_mut().start(None);
    world.answering().await;
    let source = stopped(&world).await;
    assert!(source["reason"].as_str().unwrap().contains(SLOT), "{source}");
    world.server.psql("shop", "insert into customer values (1, 'p1', 'Pen')").unwrap();
    world.until("the other source's record", async || world.crm().record("Product2", "Erp_Id__c", "p1")).await;
    let slots = world.sql(&format!("select count(*) from pg_replication_slots where slot_name = '{SLOT}'"));
    assert_eq!(slots, "0", "it is not made anew as if nothing had happened");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_was_made_again_is_a_gap_and_no_start_from_where_it_is() {
    let world = with_ada().await;
    world.daemon.borrow_mut().stop();
    world.sql("insert into account (id, code, name) values (2, 'a2', 'lost')");
    world.sql(&format!("select pg_drop_replication_slot('{SLOT}')"));
    world.sql(&format!("select pg_create_logical_replication_slot('{SLOT}', 'pgoutput')"));
    world.daemon.borrow_mut().start(None);
    world.answering().await;
    stopped(&world).await;
    world.restart().await;
    stopped(&world).await;
    assert_eq!(world.crm().records(Some("Account")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_slot_that_someone_moved_on_is_a_gap() {
    let world = with_ada().await;
    world.daemon.borrow_mut().stop();
    world.sql("insert into account (id, code, name) values (2, 'a2', 'lost')");
    world.sql(&format!("select pg_replication_slot_advance('{SLOT}', pg_current_wal_lsn())"));
    world.daemon.borrow_mut().start(None);
    world.answering().await;
    stopped(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn another_server_at_the_same_address_is_refused() {
    let mut world = with_ada().await;
    world.daemon.borrow_mut().stop();
    let other = PgServer::builder().own_system_id().start().unwrap();
    let tables = "create table marker (id int primary key, n int not null); insert into marker values (1, 0);";
    other.psql("postgres", &format!("{tables} {ACCOUNT} create publication {SLOT} for table account, marker")).unwrap();
    other.psql("postgres", &format!("select pg_create_logical_replication_slot('{SLOT}', 'pgoutput')")).unwrap();
    world.server = other;
    world.configure();
    world.daemon.borrow_mut().start(None);
    world.answering().await;
    let source = stopped(&world).await;
    assert!(source["reason"].as_str().unwrap().contains("system"), "{source}");
    assert_eq!(world.crm().records(Some("Account")).len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_is_damaged_is_refused_and_left_as_it_is() {
    let world = with_ada().await;
    world.daemon.borrow_mut().stop();
    let db = world.state_dir().join("db");
    let manifest = std::fs::read_dir(&db).unwrap().map(|entry| entry.unwrap().path());
    let manifest = manifest.filter(|path| path.display().to_string().contains("MANIFEST")).max().unwrap();
    let mut bytes = std::fs::read(&manifest).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 0xff;
    std::fs::write(&manifest, bytes).unwrap();
    let before = files(&world.state_dir());
    world.daemon.borrow_mut().start(None);
    let (status, text) = ends(&mut world.daemon.borrow_mut()).await;
    assert!(status != Some(0) && text.contains(&world.state_dir().display().to_string()), "{status:?} {text}");
    assert_eq!(files(&world.state_dir()).into_iter().collect::<Vec<_>>(), before.into_iter().collect::<Vec<_>>());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_state_that_forgot_what_it_acknowledged_is_refused() {
    let world = with_ada().await;
    world.daemon.borrow_mut().stop();
    // An older copy of the state, as from a backup, under a server that was told more since.
    let (state, copy) = (world.state_dir(), world.state_dir().with_extension("copy"));
    let copied = std::process::Command::new("cp").arg("-r").arg(&state).arg(&copy).status().unwrap();
    assert!(copied.success());
    world.start().await;
    world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob')");
    let end = world.sql("select pg_current_wal_lsn()");
    world.settled().await;
    world
        .until("the server to be told", async || {
            let confirmed = world.sql("select confirmed_flush_lsn from pg_replication_slots");
            (crate::world::lsn(&confirmed) >= crate::world::lsn(&end)).then_some(())
        })
        .await;
    world.daemon.borrow_mut().stop();
    std::fs::remove_dir_all(&state).unwrap();
    std::fs::rename(&copy, &state).unwrap();
    world.daemon.borrow_mut().start(None);
    world.answering().await;
    stopped(&world).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_that_is_away_is_tried_again() {
    let mut world = with_ada().await;
    world.server.stop(passerelle_test_servers::StopMode::Fast).unwrap();
    world
        .until("the source to be retried", async || {
            (world.status_of("sources", "erp").await?["state"] == "retrying").then_some(())
        })
        .await;
    world.server.restart().unwrap();
    world.sql("insert into account (id, code, name) values (2, 'a2', 'Bob')");
    world.settled().await;
    world.server.kill().unwrap();
    world.server.restart().unwrap();
    world.sql("insert into account (id, code, name) values (3, 'a3', 'Cid')");
    world
        .until_within(Duration::from_secs(90), "the third", async || world.crm().record("Account", "Erp_Id__c", "a3"))
        .await;
    assert_eq!(world.crm().stats().unchanged, 0);
}
