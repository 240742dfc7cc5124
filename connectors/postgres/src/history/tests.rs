use super::*;

const US: &str = "passerelle erp";

fn history() -> History {
    History {
        system_id: 1,
        timeline: 3,
        database_oid: 16_384,
        slot: "erp".into(),
        slot_consistent_point: Some(Lsn(100)),
    }
}

/// Our slot, untouched, with 200 acknowledged.
fn slot() -> SlotFacts {
    SlotFacts {
        name: "erp".into(),
        plugin: Some("pgoutput".into()),
        database: Some("shop".into()),
        restart_lsn: Some(Lsn(150)),
        confirmed_flush_lsn: Some(Lsn(200)),
        wal_status: Some("reserved".into()),
        ..SlotFacts::default()
    }
}

fn facts() -> ServerFacts {
    ServerFacts {
        system_id: 1,
        timeline: 3,
        database_oid: 16_384,
        database: "shop".into(),
        version: 150_018,
        in_recovery: false,
        head: Lsn(1000),
        switches: Vec::new(),
        max_slot_wal_keep_bytes: None,
        slot: Some(slot()),
    }
}

/// What is decided for a state with this checkpoint and what it acknowledged.
fn decide(facts: &ServerFacts, checkpoint: Option<u64>, acknowledged: Option<u64>) -> Result<Start, HistoryRefusal> {
    let history = history();
    let kept = Kept { history: Some(&history), checkpoint: checkpoint.map(Lsn), acknowledged: acknowledged.map(Lsn) };
    verify(kept, facts, "erp", US)
}

/// The refusal's code, or where it resumes.
fn word(facts: &ServerFacts, checkpoint: Option<u64>, acknowledged: Option<u64>) -> String {
    match decide(facts, checkpoint, acknowledged) {
        Ok(Start::Resume { from, stale: None }) => format!("resume {}", from.0),
        Ok(other) => format!("{other:?}"),
        Err(refusal) => refusal.code().to_owned(),
    }
}

fn with_slot(change: impl FnOnce(&mut SlotFacts)) -> ServerFacts {
    let mut slot = slot();
    change(&mut slot);
    ServerFacts { slot: Some(slot), ..facts() }
}

#[test]
fn the_first_start_creates_a_slot() {
    let nothing = ServerFacts { slot: None, ..facts() };
    assert_eq!(verify(Kept::default(), &nothing, "erp", US), Ok(Start::Create));
}

#[test]
fn a_slot_that_the_state_knows_nothing_of_is_refused() {
    let refusal = verify(Kept::default(), &facts(), "erp", US).expect_err("not ours");
    assert_eq!(refusal.code(), "slot_not_ours");
    assert!(refusal.next_command("erp").contains("SELECT pg_drop_replication_slot('erp')"));
}

#[test]
fn a_slot_left_half_made_is_made_again() {
    let history = History { slot_consistent_point: None, ..history() };
    let kept = Kept { history: Some(&history), ..Kept::default() };
    assert_eq!(verify(kept, &ServerFacts { slot: None, ..facts() }, "erp", US), Ok(Start::Create));
    assert_eq!(verify(kept, &facts(), "erp", US), Ok(Start::Recreate));
    let foreign = Reader { pid: 7, application_name: Some("psql".into()) };
    let taken = with_slot(|slot| slot.active = Some(foreign));
    assert_eq!(verify(kept, &taken, "erp", US).expect_err("in use").code(), "slot_active");
}

#[test]
fn until_something_is_durable_the_slots_beginning_counts() {
    let fresh = with_slot(|slot| slot.confirmed_flush_lsn = Some(Lsn(100)));
    assert_eq!(word(&fresh, None, None), "resume 100");
    assert_eq!(word(&facts(), None, None), "gap");
    assert_eq!(word(&facts(), None, Some(200)), "resume 100");
}

#[test]
fn it_goes_on_at_the_checkpoint() {
    assert_eq!(word(&facts(), Some(200), Some(200)), "resume 200");
    assert_eq!(word(&facts(), Some(900), Some(200)), "resume 900");
    assert_eq!(word(&facts(), Some(1000), None), "resume 1000");
}

#[test]
fn pg_05_a_slot_beyond_what_we_hold_is_a_gap() {
    assert_eq!(word(&facts(), Some(199), None), "gap");
    assert_eq!(word(&facts(), Some(199), Some(199)), "gap");
    let refusal = decide(&facts(), Some(150), Some(180)).expect_err("a gap");
    let want = HistoryRefusal::Gap { slot: "erp".into(), ours: Lsn(180), confirmed: Lsn(200) };
    assert_eq!(refusal, want);
    assert_eq!(refusal.next_command("erp"), "passerelle recover erp");
    assert!(no_gap("erp", Some(Lsn(200)), Lsn(150), Some(Lsn(180))).is_err());
    assert!(no_gap("erp", None, Lsn(150), None).is_ok());
}

#[test]
fn what_was_acknowledged_over_log_with_nothing_for_us_is_no_gap() {
    assert_eq!(word(&facts(), Some(150), Some(200)), "resume 150");
    assert_eq!(word(&facts(), Some(150), Some(400)), "resume 150");
}

#[test]
fn pg_06_a_checkpoint_beyond_the_servers_log_is_refused() {
    assert_eq!(word(&facts(), Some(1001), None), "ahead_of_server");
    assert_eq!(word(&facts(), Some(200), Some(1001)), "ahead_of_server");
    let gone = ServerFacts { slot: None, ..facts() };
    assert_eq!(word(&gone, Some(1001), None), "ahead_of_server");
}

#[test]
fn pg_07_a_slot_that_is_gone_or_made_again_is_refused() {
    let gone = ServerFacts { slot: None, ..facts() };
    let refusal = decide(&gone, Some(200), None).expect_err("gone");
    assert_eq!((refusal.code(), refusal.next_command("erp").as_str()), ("slot_missing", "passerelle recover erp"));
    let made_again = with_slot(|slot| slot.confirmed_flush_lsn = Some(Lsn(990)));
    assert_eq!(word(&made_again, Some(200), Some(200)), "gap");
    let older = with_slot(|slot| slot.confirmed_flush_lsn = Some(Lsn(99)));
    assert_eq!(word(&older, Some(200), Some(200)), "slot_replaced");
    let checkpoint_only = Kept { checkpoint: Some(Lsn(5)), ..Kept::default() };
    assert_eq!(verify(checkpoint_only, &gone, "erp", US).expect_err("gone").code(), "slot_missing");
}

#[test]
fn pg_08_another_cluster_or_database_is_refused() {
    assert_eq!(word(&ServerFacts { system_id: 2, ..facts() }, Some(200), None), "other_system");
    assert_eq!(word(&ServerFacts { database_oid: 5, ..facts() }, Some(200), None), "other_database");
    // The system goes before everything: its positions mean nothing here.
    let other = ServerFacts { system_id: 2, slot: None, head: Lsn(1), ..facts() };
    assert_eq!(word(&other, Some(200), None), "other_system");
}

#[test]
fn pg_08_a_new_timeline_needs_a_synchronised_slot_and_a_checkpoint_before_the_fork() {
    let promoted = |failover, synced, at| {
        let switches = vec![Switch { timeline: 2, at: Lsn(50) }, Switch { timeline: 3, at: Lsn(at) }];
        let slot = SlotFacts { failover, synced, ..slot() };
        ServerFacts { timeline: 4, switches, slot: Some(slot), ..facts() }
    };
    assert_eq!(word(&promoted(true, false, 300), Some(300), Some(200)), "resume 300");
    assert_eq!(word(&promoted(false, true, 300), Some(300), None), "resume 300");
    assert_eq!(word(&promoted(false, false, 300), Some(200), None), "other_timeline");
    assert_eq!(word(&promoted(true, true, 299), Some(300), None), "other_timeline");
    assert_eq!(word(&promoted(true, true, 299), Some(200), Some(300)), "other_timeline");
    let unreadable = ServerFacts { switches: Vec::new(), ..promoted(true, true, 300) };
    assert_eq!(word(&unreadable, Some(200), None), "other_timeline");
    let back = ServerFacts { timeline: 2, ..promoted(true, true, 300) };
    assert_eq!(word(&back, Some(200), None), "other_timeline");
}

#[test]
fn pg_09_a_lost_slot_is_refused_and_a_near_loss_alarms() {
    let lost = with_slot(|slot| {
        slot.wal_status = Some("lost".into());
        slot.restart_lsn = None;
    });
    assert_eq!(word(&lost, Some(200), None), "slot_lost");
    let idle = with_slot(|slot| slot.invalidation = Some("idle_timeout".into()));
    let refusal = decide(&idle, Some(200), None).expect_err("lost");
    assert!(refusal.to_string().contains("idle_timeout"), "{refusal}");
    let near = |status: &str| alarm(&SlotFacts { wal_status: Some(status.into()), ..slot() });
    assert_eq!(near("reserved"), None);
    assert_eq!(near("extended"), Some(Alarm::Extended));
    assert_eq!(near("unreserved"), Some(Alarm::Unreserved));
    assert_eq!(near("lost"), Some(Alarm::Lost("wal_removed".into())));
}

#[test]
fn pg_12_our_own_walsender_is_ended_and_anothers_is_respected() {
    let read_by = |name: Option<&str>| {
        with_slot(|slot| slot.active = Some(Reader { pid: 42, application_name: name.map(str::to_owned) }))
    };
    let ours = decide(&read_by(Some(US)), Some(200), None);
    assert_eq!(ours, Ok(Start::Resume { from: Lsn(200), stale: Some(42) }));
    for other in [Some("passerelle shop"), Some("psql"), None] {
        let refusal = decide(&read_by(other), Some(200), None).expect_err("in use");
        assert_eq!((refusal.code(), refusal.may_pass()), ("slot_active", true));
        assert!(refusal.next_command("erp").contains("pid = 42"));
    }
    // A gap stays one, whoever reads.
    assert_eq!(word(&read_by(Some("psql")), Some(100), None), "gap");
}

#[test]
fn slots_of_another_kind_are_refused() {
    let check = |change: fn(&mut SlotFacts), why: Unusable| {
        let refusal = decide(&with_slot(change), Some(200), None).expect_err("unusable");
        assert_eq!(refusal, HistoryRefusal::SlotUnusable { slot: "erp".into(), why });
    };
    check(|slot| slot.plugin = None, Unusable::Physical);
    check(|slot| slot.plugin = Some("wal2json".into()), Unusable::Plugin("wal2json".into()));
    check(|slot| slot.database = Some("other".into()), Unusable::Database("other".into()));
    check(|slot| slot.temporary = true, Unusable::Temporary);
    check(|slot| slot.two_phase = true, Unusable::TwoPhase);
}

#[test]
fn a_slot_renamed_in_the_configuration_is_refused() {
    let history = history();
    let kept = Kept { history: Some(&history), checkpoint: Some(Lsn(200)), acknowledged: None };
    let refusal = verify(kept, &facts(), "shop", US).expect_err("renamed");
    assert_eq!(refusal.next_command("erp"), "set slot = \"erp\" in [source.erp]");
}

#[test]
fn every_refusal_says_what_to_do() {
    let slot = || "erp".to_owned();
    let all = [
        HistoryRefusal::OtherSystem { ours: 1, server: 2 },
        HistoryRefusal::OtherDatabase { database: slot() },
        HistoryRefusal::OtherTimeline { ours: 1, server: 2, checkpoint: Lsn(1) },
        HistoryRefusal::AheadOfServer { checkpoint: Lsn(2), head: Lsn(1) },
        HistoryRefusal::OtherSlot { ours: slot(), configured: "x".into() },
        HistoryRefusal::SlotMissing { slot: slot(), checkpoint: Lsn(1) },
        HistoryRefusal::SlotNotOurs { slot: slot() },
        HistoryRefusal::SlotReplaced { slot: slot(), confirmed: Lsn(1), began: Lsn(2) },
        HistoryRefusal::SlotUnusable { slot: slot(), why: Unusable::Temporary },
        HistoryRefusal::SlotLost { slot: slot(), why: "w".into(), checkpoint: Lsn(1) },
        HistoryRefusal::Gap { slot: slot(), ours: Lsn(1), confirmed: Lsn(2) },
        HistoryRefusal::SlotActive { slot: slot(), pid: 1, application_name: Some("psql".into()) },
    ];
    let codes: std::collections::BTreeSet<_> = all.iter().map(HistoryRefusal::code).collect();
    assert_eq!(codes.len(), all.len());
    for refusal in &all {
        assert!(!refusal.next_command("erp").is_empty());
        assert!(!refusal.to_string().ends_with('.'), "{refusal}");
    }
}

#[test]
fn pg_46_who_makes_the_server_keep_log_is_named() {
    let open = || Some(HeldBy::OpenTransaction { pid: 9, since: Micros(1) });
    let other = || Some(HeldBy::OtherSlot { slot: "old".into(), pid: None, since: None });
    let stuck = with_slot(|slot| slot.confirmed_flush_lsn = Some(Lsn(990)));
    assert_eq!(held_by(&stuck, None, open()), open());
    assert_eq!(held_by(&stuck, other(), open()), other());
    // We are behind ourselves: the open transaction is not to blame.
    assert_eq!(held_by(&facts(), None, open()), Some(HeldBy::Us { pid: None }));
    assert_eq!(held_by(&stuck, None, None), Some(HeldBy::Us { pid: None }));
    assert_eq!(held_by(&ServerFacts { slot: None, ..facts() }, None, None), None);
}
