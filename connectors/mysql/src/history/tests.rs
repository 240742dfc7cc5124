use super::*;

const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";

pub(super) fn place(text: &str) -> LogPosition {
    text.parse().unwrap()
}

/// Files 4 (1000 bytes) and 5 (500 bytes).
fn facts(flavor: Flavor, head: &str) -> ServerFacts {
    let file = |name: &str, bytes| LogFile { name: name.into(), bytes };
    ServerFacts {
        server: Server {
            flavor,
            version: 90_700,
            version_text: String::new(),
            version_comment: String::new(),
            lower_case_table_names: 0,
        },
        server_uuid: Some(A.into()),
        server_id: 1,
        gtid_domain: None,
        log_is_on: true,
        files: vec![file("mbin.000004", 1000), file("mbin.000005", 500)],
        head: place(head),
        purged: Gtids::None,
        binlog_state: Vec::new(),
        gtid_mode: GtidMode::On,
        expire_seconds: None,
        format: "ROW".into(),
        row_image: "FULL".into(),
        row_metadata: "FULL".into(),
        checksum: "CRC32".into(),
        at_checkpoint: Some(At::Ours),
    }
}

pub(crate) fn facts_of_mysql() -> ServerFacts {
    let purged = Gtids::Mysql(format!("{A}:1-40").parse().unwrap());
    ServerFacts { purged, ..facts(Flavor::Mysql, &format!("mbin.000005:500 {A}:1-100")) }
}

fn facts_of_mariadb() -> ServerFacts {
    let binlog_state = ["0-1-100", "0-2-90", "7-1-5"].map(|gtid| gtid.parse().unwrap()).to_vec();
    let purged = Gtids::Mariadb("0-1-40".parse().unwrap());
    ServerFacts { purged, binlog_state, ..facts(Flavor::Mariadb, "mbin.000005:500 0-1-100,7-1-5") }
}

fn without_gtids(facts: ServerFacts, gtid_mode: GtidMode) -> ServerFacts {
    let head = LogPosition { gtids: Gtids::None, ..facts.head.clone() };
    ServerFacts { head, purged: Gtids::None, gtid_mode, ..facts }
}

/// How it starts on the server that is known: where, or the refusal's word.
fn same(facts: &ServerFacts, checkpoint: &str) -> String {
    let history = History::of(facts);
    start(Some(&history), facts, checkpoint)
}

/// The same on a server that took its place.
fn other(facts: &ServerFacts, checkpoint: &str) -> String {
    let history = History { server_uuid: Some("another".into()), server_id: 9, ..History::of(facts) };
    start(Some(&history), facts, checkpoint)
}

fn start(history: Option<&History>, facts: &ServerFacts, checkpoint: &str) -> String {
    let checkpoint = place(checkpoint);
    match verify(Kept { history, checkpoint: Some(&checkpoint) }, facts) {
        Ok(Start::Begin) => "begin".to_owned(),
        Ok(Start::Resume { from }) => from.to_string(),
        Err(refusal) => {
            assert!(!refusal.to_string().is_empty() && !refusal.next_command("shop").is_empty());
            refusal.code().to_owned()
        }
    }
}

#[test]
fn nothing_held_begins() {
    let facts = facts_of_mysql();
    let history = History::of(&facts);
    assert_eq!(verify(Kept { history: Some(&history), checkpoint: None }, &facts), Ok(Start::Begin));
    assert_eq!(verify(Kept::default(), &facts), Ok(Start::Begin));
    let off = ServerFacts { log_is_on: false, ..facts };
    assert_eq!(verify(Kept::default(), &off), Err(HistoryRefusal::NoLog));
}

#[test]
fn my_21_the_same_server_goes_on_at_the_place() {
    let facts = facts_of_mysql();
    let at = |place: &str| format!("{place} {A}:1-60");
    assert_eq!(same(&facts, &at("mbin.000004:100")), at("mbin.000004:100"));
    assert_eq!(same(&facts, &at("mbin.000004:1001")), "ahead_of_server");
    assert_eq!(same(&facts, &at("mbin.000006:4")), "ahead_of_server");
    assert_eq!(same(&facts, &at("other.000004:4")), "ahead_of_server");
    // MY-10: a restore or a reset that has come as far again.
    let anew = ServerFacts { at_checkpoint: Some(At::Other), ..facts.clone() };
    assert_eq!(same(&anew, &at("mbin.000004:100")), "other_history");
    // It has executed less than we have seen.
    assert_eq!(same(&facts, &format!("mbin.000004:100 {A}:1-101")), "ahead_of_server");
    // A set that lacks what was purged cannot be asked for by name; the place can.
    assert_eq!(same(&facts, &format!("mbin.000004:100 {A}:30-60")), "mbin.000004:100");
}

#[test]
fn my_21_where_the_file_is_gone_names_decide() {
    let facts = facts_of_mysql();
    let at = |last: u32| format!("mbin.000003:100 {A}:1-{last}");
    assert_eq!(same(&facts, &at(40)), at(40));
    assert_eq!(same(&facts, &at(39)), "log_purged");
    assert_eq!(same(&facts, "mbin.000003:100"), "log_purged");
    let none = ServerFacts { files: Vec::new(), ..facts };
    assert_eq!(same(&none, "mbin.000003:100"), "log_purged");
}

#[test]
fn my_21_another_server_goes_on_by_names() {
    let facts = facts_of_mysql();
    let at = |last: u32| format!("bin.000077:100 {A}:1-{last}");
    assert_eq!(other(&facts, &at(60)), at(60));
    assert_eq!(other(&facts, &at(39)), "log_purged");
    assert_eq!(other(&facts, &at(101)), "ahead_of_server");
    assert_eq!(other(&facts, "mbin.000004:100"), "other_server");
    assert_eq!(start(None, &facts, "mbin.000004:100"), "other_server");
    assert_eq!(other(&without_gtids(facts.clone(), GtidMode::Off), &at(60)), "gtids_off");
    let checkpoint = place(&at(101));
    let refusal = verify(Kept { history: None, checkpoint: Some(&checkpoint) }, &facts).unwrap_err();
    // A replica that took over may catch up.
    assert!(refusal.may_pass());
}

#[test]
fn my_22_names_that_were_switched_off_leave_the_place() {
    let at = format!("mbin.000004:100 {A}:1-60");
    for mode in [GtidMode::Off, GtidMode::OffPermissive, GtidMode::OnPermissive] {
        let facts = without_gtids(facts_of_mysql(), mode);
        assert_eq!(same(&facts, &at), "mbin.000004:100", "{mode:?}");
        assert_eq!(same(&facts, "mbin.000004:100"), "mbin.000004:100");
    }
    let off = without_gtids(facts_of_mysql(), GtidMode::Off);
    assert_eq!(same(&off, &format!("mbin.000003:100 {A}:1-60")), "log_purged");
    // And switched on.
    assert_eq!(same(&facts_of_mysql(), "mbin.000004:100"), "mbin.000004:100");
}

#[test]
fn my_23_domains_of_mariadb() {
    let facts = facts_of_mariadb();
    for checkpoint in ["bin.000077:100 0-1-60,7-1-5", "bin.000077:100 0-2-90"] {
        assert_eq!(other(&facts, checkpoint), checkpoint);
    }
    assert_eq!(other(&facts, "bin.000077:100 0-1-101"), "ahead_of_server");
    assert_eq!(other(&facts, "bin.000077:100 0-3-50"), "ahead_of_server");
    assert_eq!(other(&facts, "bin.000077:100 0-1-39"), "log_purged");
    assert_eq!(other(&facts, "bin.000077:100 7-1-5"), "log_purged");
    assert_eq!(other(&facts, "bin.000077:100 "), "ahead_of_server");
    // On the server that is known the place decides, wherever numbers have gone.
    assert_eq!(same(&facts, "mbin.000004:100 0-1-500"), "mbin.000004:100 0-1-500");
    let not_looked = ServerFacts { at_checkpoint: None, ..facts };
    assert_eq!(same(&not_looked, "mbin.000004:100 0-1-500"), "ahead_of_server");
}

#[test]
fn my_10_servers_are_told_apart() {
    let facts = facts_of_mariadb();
    let history = History::of(&facts);
    // Without a name of its own the number counts.
    let unnamed = ServerFacts { server_uuid: None, ..facts.clone() };
    assert!(history.is_of(&unnamed));
    assert!(!history.is_of(&ServerFacts { server_id: 2, ..unnamed }));
    assert!(!History { flavor: Flavor::Mysql, ..history }.is_of(&facts));
    let of_mysql = History::of(&facts_of_mysql());
    assert_eq!(start(Some(&of_mysql), &facts, "mbin.000004:100 0-1-60"), "other_server");
}
