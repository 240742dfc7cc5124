use passerelle_postgres::history::{self, HeldBy, History, HistoryRefusal, Kept, ServerFacts, Start, verify};
use passerelle_postgres::{Lsn, Options, sql};
use passerelle_test_servers::PgServer;

use crate::rig::{Rig, within};

const US: &str = "passerelle erp";

async fn facts(rig: &Rig) -> ServerFacts {
    let client = rig.client("postgres").await;
    history::facts(&client, "erp").await.expect("they are read")
}

/// A slot, and the history that is stored when it is made.
async fn begin(rig: &Rig) -> (History, Lsn) {
    let intent = history::intent(&facts(rig).await, "erp");
    let (replication, created) = rig.slot("erp").await;
    replication.close().await;
    let point = created.consistent_point;
    (History { slot_consistent_point: Some(point), ..intent }, point)
}

fn decide(history: &History, checkpoint: Lsn, facts: &ServerFacts) -> Result<Start, HistoryRefusal> {
    let kept = Kept { history: Some(history), checkpoint: Some(checkpoint), acknowledged: None };
    verify(kept, facts, "erp", US)
}

fn code(decided: Result<Start, HistoryRefusal>) -> &'static str {
    decided.map_or_else(|refusal| refusal.code(), |_| "fits")
}

#[tokio::test]
async fn a_slot_of_our_own_fits_and_goes_on_at_the_checkpoint() {
    let rig = Rig::new("");
    assert_eq!(verify(Kept::default(), &facts(&rig).await, "erp", US), Ok(Start::Create));
    let (history, point) = begin(&rig).await;
    assert_eq!(decide(&history, point, &facts(&rig).await), Ok(Start::Resume { from: point, stale: None }));
    assert_eq!(code(verify(Kept::default(), &facts(&rig).await, "erp", US)), "slot_not_ours");
    let intent = History { slot_consistent_point: None, ..history };
    let kept = Kept { history: Some(&intent), ..Kept::default() };
    assert_eq!(verify(kept, &facts(&rig).await, "erp", US), Ok(Start::Recreate));
}

#[tokio::test]
async fn the_facts_are_the_servers_and_need_no_rights() {
    let rig = Rig::new("create role nobody login");
    let (history, point) = begin(&rig).await;
    let client = rig.client("nobody").await;
    let facts = history::facts(&client, "erp").await.expect("they are read");
    assert_eq!(facts.system_id.to_string(), rig.sql("select system_identifier from pg_control_system()"));
    assert_eq!(facts.database_oid.to_string(), rig.sql("select oid from pg_database where datname = 'postgres'"));
    assert_eq!((facts.timeline, facts.in_recovery, facts.database.as_str()), (1, false, "postgres"));
    assert_eq!(facts.version.to_string(), rig.sql("show server_version_num"));
    assert!(facts.head >= point);
    let slot = facts.slot.clone().expect("it is there");
    assert_eq!(
        (slot.plugin.as_deref(), slot.confirmed_flush_lsn, slot.active.clone()),
        (Some("pgoutput"), Some(point), None)
    );
    assert_eq!(decide(&history, point, &facts), Ok(Start::Resume { from: point, stale: None }));
}

#[tokio::test]
async fn pg_05_a_slot_that_was_moved_on_is_a_gap() {
    let rig = Rig::new("create table t (id int primary key)");
    let (history, point) = begin(&rig).await;
    rig.sql("insert into t values (1)");
    rig.sql("select pg_replication_slot_advance('erp', pg_current_wal_lsn())");
    let refusal = decide(&history, point, &facts(&rig).await).expect_err("a gap");
    assert_eq!((refusal.code(), refusal.next_command("erp").as_str()), ("gap", "passerelle recover erp"));
}

#[tokio::test]
async fn pg_06_a_checkpoint_beyond_the_log_is_refused() {
    let rig = Rig::new("");
    let (history, _) = begin(&rig).await;
    let facts = facts(&rig).await;
    assert_eq!(code(decide(&history, Lsn(facts.head.0 + 1), &facts)), "ahead_of_server");
}

#[tokio::test]
async fn pg_07_a_slot_made_again_is_refused() {
    let rig = Rig::new("");
    let (history, point) = begin(&rig).await;
    rig.sql("select pg_drop_replication_slot('erp')");
    assert_eq!(code(decide(&history, point, &facts(&rig).await)), "slot_missing");
    // Nothing at all happens between: the making itself writes to the log.
    rig.sql("select pg_create_logical_replication_slot('erp', 'pgoutput')");
    assert_eq!(code(decide(&history, point, &facts(&rig).await)), "gap");
}

#[tokio::test]
async fn pg_08_another_cluster_and_another_database_are_refused() {
    let rig = Rig::new("create database shop");
    let (history, point) = begin(&rig).await;
    let other = PgServer::builder().own_system_id().start().expect("PostgreSQL starts");
    let other = Rig::of(other, "select pg_create_logical_replication_slot('erp', 'pgoutput')");
    assert_eq!(code(decide(&history, point, &facts(&other).await)), "other_system");

    let options = Options { database: "shop".into(), ..rig.options("postgres") };
    let client = sql::connect(&options).await.expect("it connects");
    let shop = history::facts(&client, "erp").await.expect("they are read");
    assert_eq!(code(decide(&history, point, &shop)), "other_database");
}

#[tokio::test]
async fn pg_08_pg_44_a_promoted_server_is_refused_unless_the_slot_is_kept_over_a_failover() {
    let mut rig = Rig::new("create role erp login replication");
    let (history, point) = begin(&rig).await;
    rig.become_standby();
    let standby = facts(&rig).await;
    assert!(standby.in_recovery);
    // PG-43: a slot may be there, from 16 on.
    assert_eq!(code(decide(&history, point, &standby)), "standby");
    if rig.major() < 12 {
        return; // it is promoted by a file there
    }
    rig.sql("select pg_promote()");
    let promoted = facts(&rig).await;
    assert_eq!((promoted.timeline, promoted.in_recovery, promoted.switches.len()), (2, false, 1));
    assert!(promoted.switches[0].at >= point);
    // REPLICATION alone is enough to learn where the timeline ended.
    let options = rig.options("erp");
    let seen = history::facts(&rig.client("erp").await, "erp").await.expect("they are read");
    assert_eq!(seen.switches, []);
    assert_eq!(history::switches(&options, promoted.timeline).await.expect("they are told"), promoted.switches);
    assert_eq!(history::switches(&options, 7).await.expect("there is no such timeline"), []);
    // From 17 on our slot is marked to be kept.
    let want = if rig.major() >= 17 { "fits" } else { "other_timeline" };
    assert_eq!(code(decide(&history, point, &promoted)), want);
    let beyond = Lsn(promoted.switches[0].at.0 + 1);
    assert_eq!(
        code(decide(&history, beyond, &promoted)),
        if beyond > promoted.head { "ahead_of_server" } else { "other_timeline" }
    );
}

#[tokio::test]
async fn pg_09_a_slot_whose_log_was_thrown_away_is_lost() {
    let server = PgServer::builder().setting("min_wal_size", "32MB").setting("max_wal_size", "32MB");
    let mut rig = Rig::of(server.start().expect("PostgreSQL starts"), "create table t (id int)");
    if rig.major() >= 13 {
        rig.server.set("max_slot_wal_keep_size", "16MB").expect("it is written");
        rig.server.restart().expect("it starts");
    }
    let (history, point) = begin(&rig).await;
    if rig.major() < 13 {
        // It keeps everything that a slot needs, and has no word for it.
        let facts = facts(&rig).await;
        assert_eq!(facts.max_slot_wal_keep_bytes, None);
        assert_eq!(facts.slot.and_then(|slot| slot.wal_status), None);
        return;
    }
    let before = facts(&rig).await;
    assert_eq!(before.max_slot_wal_keep_bytes, Some(16 << 20));
    assert!(before.slot.expect("it is there").safe_wal_bytes.is_some());
    for _ in 0..6 {
        rig.sql("insert into t values (1); select pg_switch_wal()");
    }
    rig.sql("checkpoint");
    let after = facts(&rig).await;
    // From 17 on the server says why.
    let why = after.slot.as_ref().and_then(|slot| slot.invalidation.clone());
    assert_eq!(why.as_deref(), (rig.major() >= 17).then_some("wal_removed"));
    let lost = decide(&history, point, &after).expect_err("lost");
    assert_eq!((lost.code(), lost.next_command("erp").as_str()), ("slot_lost", "passerelle recover erp"));
    assert!(matches!(history::alarm(&after.slot.expect("it is there")), Some(history::Alarm::Lost(_))));
}

#[tokio::test]
async fn pg_12_the_reader_of_a_slot_is_known() {
    let rig = Rig::new("create publication p");
    let (history, point) = begin(&rig).await;
    let read_as = async |name: &str| {
        let options = Options { application_name: name.into(), ..rig.options("postgres") };
        let replication = passerelle_postgres::replication::Replication::connect(&options).await.expect("it connects");
        replication.start("erp", "p", point).await.expect("it starts")
    };
    let other = read_as("another daemon").await;
    assert_eq!(code(decide(&history, point, &facts(&rig).await)), "slot_active");
    drop(other);
    rig.until("select count(active_pid)::text from pg_replication_slots", "0").await;
    let ours = read_as(US).await;
    let decided = decide(&history, point, &facts(&rig).await);
    let Ok(Start::Resume { stale: Some(pid), .. }) = decided else { panic!("{decided:?}") };
    assert_eq!(pid.to_string(), rig.sql("select active_pid from pg_replication_slots"));
    drop(ours);
}

#[tokio::test]
async fn pg_46_the_transaction_that_holds_the_log_is_named() {
    let rig = Rig::new("create table t (id int primary key); create publication p for table t");
    let (_, _) = begin(&rig).await;
    let mut client = rig.server.client("postgres").await.expect("it connects");
    let open = client.transaction().await.expect("it begins");
    open.execute("insert into t values (1)", &[]).await.expect("it inserts");
    let pid: i32 = open.query_one("select pg_backend_pid()", &[]).await.expect("it answers").get(0);
    rig.sql("insert into t select n from generate_series(2, 20000) n; checkpoint");
    rig.sql("select pg_replication_slot_advance('erp', pg_current_wal_lsn())");
    let look = rig.client("postgres").await;
    let shown = within(async { history::retention(&look, &facts(&rig).await).await.expect("it is read") }).await;
    assert!(shown.wal_held_bytes > 0 && shown.safe_wal_bytes.is_none(), "{shown:?}");
    assert!(matches!(shown.held_by, Some(HeldBy::OpenTransaction { pid: held, .. }) if held == pid), "{shown:?}");
    open.rollback().await.expect("it ends");

    rig.sql("select pg_create_physical_replication_slot('old', true)");
    let shown = history::retention(&look, &facts(&rig).await).await.expect("it is read");
    assert!(matches!(shown.held_by, Some(HeldBy::Us { .. } | HeldBy::OtherSlot { .. })), "{shown:?}");
}
