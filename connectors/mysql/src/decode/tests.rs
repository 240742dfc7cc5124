#![allow(clippy::indexing_slicing, reason = "a test fails by panicking, and reads better")]

use passerelle_change::{KnownName, RowChange, TableId, key};
use proptest::prelude::*;

use super::*;
use crate::wire::file_events;

/// Logs as the servers wrote them; the statements are in `tests/fixtures/README.md`.
const MARIADB: [&[u8]; 2] =
    [include_bytes!("../../tests/fixtures/mariadb-10.11.1"), include_bytes!("../../tests/fixtures/mariadb-10.11.2")];
const MYSQL: [&[u8]; 3] = [
    include_bytes!("../../tests/fixtures/mysql-9.7.1"),
    include_bytes!("../../tests/fixtures/mysql-9.7.2"),
    include_bytes!("../../tests/fixtures/mysql-9.7.3"),
];

/// A decoder of `shop.{table}` with these columns and the key `id`.
fn decoder(table: &str, columns: &[&str], settings: Settings) -> Decoder {
    let name = TableName { schema: "shop".into(), name: table.into() };
    let columns = columns.iter().map(ToString::to_string).collect();
    let wanted = WantedTable::new(TableId(1), name, columns, vec!["id".into()]);
    Decoder::new(vec![wanted], KnownTables::new(), Arc::default(), settings)
}

fn print(batch: &Batch) -> Vec<String> {
    let row = |row: &RowChange| {
        let was = row.old_key.map(|old| format!(" was {}", key::printed(batch.bytes(old)))).unwrap_or_default();
        let cells = batch.cells(row).iter().map(|cell| match cell.unwrap().1 {
            None => "null".to_owned(),
            Some(text) => String::from_utf8_lossy(text).into_owned(),
        });
        let cells: Vec<_> = cells.collect();
        format!("{:?} {}{was}: {}", row.op, key::printed(batch.bytes(row.key)), cells.join(" "))
    };
    let line = |event: &Event| match event {
        Event::Begin { .. } => "begin".into(),
        Event::Row(change) => row(change),
        Event::Truncate(_) => "truncate".into(),
        Event::Schema { schema, .. } => {
            let columns: Vec<_> = schema.columns.iter().map(|c| format!("{} {}", c.name, c.type_name)).collect();
            format!("schema {}", columns.join(", "))
        }
        Event::End { position, .. } => format!("end {position}"),
        Event::Undo { kept } => format!("undo to {kept}"),
        Event::Suspect { key, why, .. } => {
            format!("suspect {}: {why}", key.map_or_else(|| "all".into(), |key| key::printed(batch.bytes(key))))
        }
        Event::Prepared { position, .. } => format!("prepared {position}"),
        Event::Decided { committed, .. } => format!("decided {committed}"),
        Event::Idle { position } => format!("idle {position}"),
    };
    batch.events().iter().map(line).collect()
}

/// Decodes files of a log into one batch.
fn decode(decoder: &mut Decoder, logs: &[&[u8]]) -> Vec<String> {
    let mut batch = Batch::new();
    for log in logs {
        for event in file_events(log) {
            let mut decoded = decoder.event(event.unwrap(), &mut batch).unwrap();
            while decoded == Decoded::Partly {
                decoded = decoder.more(&mut batch).unwrap();
            }
        }
    }
    print(&batch)
}

#[test]
fn my_20_my_23_groups_of_mariadb() {
    let mut decoder = decoder("c", &["e", "s", "v"], Settings::default());
    let got = decode(&mut decoder, &MARIADB[..1]);
    let want = [
        "begin",
        "suspect all: the table was made anew or lost rows, which the log does not say row by row",
        "end :2115 0-1-5",
        "begin",
        "schema id int, e enum, s set, v varchar(300)",
        "Full 1: ü x,z cafu00e9",
        "end :2559 0-1-6",
        "begin",
        "Gone 1: ",
        "end :2915 0-1-7",
        "begin",
        "Full 5: null null null",
        "prepared :3888 0-1-10",
        "begin",
        "decided true",
        "end :4025 0-1-11",
        "begin",
        "truncate",
        "end :4150 0-1-12",
    ];
    assert_eq!(got, want);
    assert_eq!(decoder.ended().gtids.clone(), Gtids::Mariadb("0-1-12".parse().unwrap()));
}

#[test]
fn a_description_lies_behind_the_groups_before_its_own() {
    let mut decoder = decoder("c", &["e", "s", "v"], Settings::default());
    let mut batch = Batch::new();
    for event in file_events(MARIADB[0]) {
        assert_eq!(decoder.event(event.unwrap(), &mut batch).unwrap(), Decoded::Whole);
    }
    let behind = batch.events().iter().find_map(|event| match event {
        Event::Schema { behind, .. } => behind.as_ref(),
        _ => None,
    });
    let behind: LogPosition = behind.unwrap().try_into().unwrap();
    assert_eq!(behind.gtids, Gtids::Mariadb("0-1-5".parse().unwrap()));
    let is_within = |file: &str| behind.has_reached(&file.parse().unwrap());
    assert!(is_within(":2115 0-1-5") && !is_within(":2559 0-1-6"));
}

#[test]
fn my_21_my_44_groups_of_mysql() {
    let mut decoder = decoder("c", &["v"], Settings::default());
    let got = decode(&mut decoder, &MYSQL);
    let uuid = "0342baf1-e642-11f1-8454-02fc00000001";
    assert_eq!(decoder.ended().to_string(), format!("mbin.000003:620 {uuid}:1-18:tagx:1"));
    let rows: Vec<_> = got.iter().filter(|line| line.starts_with("Full")).cloned().collect();
    let compressed = format!("Full 9: {}", "xyz".repeat(80));
    assert_eq!(
        rows,
        ["Full 1: cafu00e9", "Full 5: null", "Full 7: null", &compressed, "Full 10: null", "Full 11: null"]
    );
}

#[test]
fn my_57_a_partial_update_needs_what_it_changes() {
    let mut decoder = decoder("jj", &["j", "v"], Settings::default());
    let got = decode(&mut decoder, &MYSQL);
    assert!(got.contains(&r#"Full 1: {"a": [99, 2.5, "x"], "b": null} [1,2,3]"#.to_owned()), "{got:?}");
}

#[test]
fn what_nobody_wants_produces_nothing() {
    let mut decoder = decoder("none", &["x"], Settings::default());
    assert!(decode(&mut decoder, &MARIADB[1..]).is_empty());
    assert!(decoder.take_quiet().is_some_and(|at| at.gtids == Gtids::Mariadb("0-1-17".parse().unwrap())));
    assert!(decoder.take_quiet().is_none());
}

/// A table map of `shop.t` (id int, n int) without optional metadata.
const TABLE: &[u8] = b"\x01\0\0\0\0\0\x01\0\x04shop\0\x01t\0\x02\x03\x03\0\x02";
/// The names of its columns.
const NAMES: &[u8] = b"\x04\x05\x02id\x01n";

/// A log without checksums, built event by event.
struct Log {
    decoder: Decoder,
    batch: Batch,
    offset: u32,
}

impl Log {
    fn new() -> Self {
        let name = TableName { schema: "shop".into(), name: "t".into() };
        Self::of(WantedTable::new(TableId(1), name, ["n".to_owned()].into(), vec!["id".into()]))
    }

    fn of(wanted: WantedTable) -> Self {
        let start = LogPosition { file: "mbin.000001".into(), offset: 4, gtids: Gtids::None };
        let settings = Settings { start, ..Settings::default() };
        let mut decoder = Decoder::new(vec![wanted], KnownTables::new(), Arc::default(), settings);
        let mut head = vec![4, 0];
        head.extend_from_slice(b"8.4.0");
        head.resize(52, 0);
        head.extend_from_slice(&[0, 0, 0, 0, 19]);
        let mut lengths = [8_u8; 45];
        (lengths[1], lengths[17]) = (13, 26);
        head.extend_from_slice(&lengths);
        head.extend_from_slice(&[0, 0, 0, 0, 0]);
        let mut batch = Batch::new();
        let whole = decoder.event(&event(15, 0, 0, &head), &mut batch).unwrap();
        assert_eq!(whole, Decoded::Whole);
        Self { decoder, batch, offset: 100 }
    }

    fn try_event(&mut self, kind: u8, flags: u16, body: &[u8]) -> Result<(), Error> {
        let bytes = event(kind, flags, self.offset + 19 + body.len() as u32, body);
        self.offset += bytes.len() as u32;
        self.decoder.event(&bytes, &mut self.batch).map(drop)
    }

    fn event(&mut self, kind: u8, body: &[u8]) -> &mut Self {
        self.try_event(kind, 0, body).unwrap();
        self
    }

    fn query(&mut self, text: &str) -> &mut Self {
        self.event(2, &[&[0; 8][..], &[4, 0, 0, 0, 0], b"shop\0", text.as_bytes()].concat())
    }

    /// A table map and a row of it.
    fn insert(&mut self, id: u8, n: u8) -> &mut Self {
        self.insert_into(NAMES, id, n)
    }

    /// The same of a table with other names.
    fn insert_into(&mut self, names: &[u8], id: u8, n: u8) -> &mut Self {
        let row = [&[1, 0, 0, 0, 0, 0, 1, 0, 2, 3, 0][..], &[id, 0, 0, 0, n, 0, 0, 0]].concat();
        self.event(19, &[TABLE, names].concat()).event(23, &row)
    }

    fn hand_on(&mut self) -> Vec<String> {
        let lines = print(&self.batch);
        self.batch.clear();
        self.decoder.handed_on();
        lines
    }
}

fn event(kind: u8, flags: u16, end: u32, body: &[u8]) -> Vec<u8> {
    let mut bytes = vec![0, 0, 0, 0, kind, 9, 0, 0, 0];
    bytes.extend_from_slice(&(19 + body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&end.to_le_bytes());
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

const XID: [u8; 8] = [7, 0, 0, 0, 0, 0, 0, 0];
const ROLLED_BACK: &str = "suspect all: a transaction was rolled back that had changed tables without transactions";

#[test]
fn my_22_a_log_without_gtids_goes_by_file_and_offset() {
    let mut log = Log::new();
    log.query("BEGIN").insert(1, 5).event(16, &XID);
    let end = format!("end mbin.000001:{}", log.offset);
    assert_eq!(log.hand_on(), ["begin", "schema id int, n int", "Full 1: 5", &end]);
}

#[test]
fn my_29_a_rollback_takes_back_what_was_not_handed_on() {
    let mut log = Log::new();
    log.query("BEGIN").insert(1, 5).query("ROLLBACK");
    let got = log.hand_on();
    assert_eq!(got[..3], ["begin", "schema id int, n int", ROLLED_BACK]);
    assert!(got[3].starts_with("end "));
}

#[test]
fn my_29_a_rollback_says_so_of_what_was_handed_on() {
    let mut log = Log::new();
    log.query("BEGIN").insert(1, 5).insert(2, 6);
    assert_eq!(log.hand_on().len(), 4);
    log.insert(3, 7).query("ROLLBACK");
    assert_eq!(log.hand_on()[..2], ["undo to 0", ROLLED_BACK]);
}

#[test]
fn my_30_a_savepoint_keeps_what_was_before_it() {
    for hand_on in [false, true] {
        let mut log = Log::new();
        log.query("BEGIN").insert(1, 1).query("SAVEPOINT `a`").insert(2, 2).query("SAVEPOINT `b`").insert(3, 3);
        if hand_on {
            log.hand_on();
        }
        log.query("ROLLBACK TO `a`").insert(4, 4).event(16, &XID);
        let got = log.hand_on();
        let want: &[&str] = if hand_on {
            &["undo to 1", ROLLED_BACK, "Full 4: 4"]
        } else {
            &["begin", "schema id int, n int", "Full 1: 1", ROLLED_BACK, "Full 4: 4"]
        };
        assert_eq!(got[..want.len()], *want);
    }
}

#[test]
fn my_04_a_group_that_never_ends_never_was() {
    for hand_on in [false, true] {
        let mut log = Log::new();
        log.query("BEGIN").insert(1, 1).event(16, &XID);
        let before = log.decoder.ended().to_string();
        log.hand_on();
        log.query("BEGIN").insert(2, 2);
        if hand_on {
            log.hand_on();
        }
        log.event(4, &[&4_u64.to_le_bytes()[..], b"mbin.000002"].concat());
        let end = format!("end {before}");
        let want: &[&str] = if hand_on { &["undo to 0", &end] } else { &["begin", &end] };
        assert_eq!(log.hand_on(), want);
        assert_eq!(log.decoder.open_transaction(), None);
    }
}

#[test]
fn my_04_my_28_a_decision_that_never_ends_never_was() {
    for hand_on in [false, true] {
        let mut log = Log::new();
        log.query("BEGIN").query("XA COMMIT X'61',X'',1");
        if hand_on {
            assert_eq!(log.hand_on(), ["begin", "decided true"]);
        }
        log.event(4, &[&4_u64.to_le_bytes()[..], b"mbin.000002"].concat());
        let got = log.hand_on();
        assert_eq!(got[0], if hand_on { "undo to 0" } else { "begin" });
        assert!(got.len() == 2 && got[1].starts_with("end "), "{got:?}");
    }
}

#[test]
fn my_28_what_is_prepared_is_told_whatever_is_in_it() {
    let mut log = Log::new();
    let xid = [0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, b'a'];
    log.query("XA START X'61',X'',1").query("INSERT INTO other VALUES (1)").event(38, &xid);
    let got = log.hand_on();
    assert!(got.len() == 2 && got[0] == "begin" && got[1].starts_with("prepared "), "{got:?}");
}

#[test]
fn my_55_what_an_insert_does_not_name_is_not_as_it_was() {
    let mut log = Log::new();
    let row = [1, 0, 0, 0, 0, 0, 1, 0, 2, 1, 0, 7, 0, 0, 0];
    log.query("BEGIN").event(19, &[TABLE, NAMES].concat()).event(23, &row);
    assert_eq!(log.hand_on()[2..], ["Gone 7: ", "Partial 7: "]);
}

#[test]
fn my_50_table_ids_end_with_their_statement() {
    let mut log = Log::new();
    log.query("BEGIN").insert(1, 1);
    let row = [1, 0, 0, 0, 0, 0, 1, 0, 2, 3, 0, 1, 0, 0, 0, 1, 0, 0, 0];
    assert_eq!(log.try_event(23, 0, &row), Err(Malformed("rows of a table that was not described").into()));
    // A number that is no table's only ends the statement.
    log.event(23, &[0xff, 0xff, 0xff, 0, 0, 0, 1, 0, 0]);
}

#[test]
fn my_52_without_names_the_catalogue_has_to_fit_or_the_table_is_held() {
    let row = [1, 0, 0, 0, 0, 0, 1, 0, 2, 3, 0, 1, 0, 0, 0, 5, 0, 0, 0];
    let column = |name| crate::catalog::KnownColumn::parse(name, "int", None);
    for (names, want) in
        [(vec!["id", "n"], "Full 1: 5"), (vec!["id"], "suspect all"), (vec!["id", "n", "x"], "suspect all")]
    {
        let mut log = Log::new();
        let name = TableName { schema: "shop".into(), name: "t".into() };
        let columns = names.into_iter().map(column).collect();
        log.decoder.know(&name, KnownTable { columns, cascades: false });
        log.query("BEGIN").event(19, TABLE).event(23, &row).event(16, &XID);
        let got = log.hand_on();
        assert!(got.iter().any(|line| line.starts_with(want)), "{got:?}");
        assert_eq!(got.iter().any(|line| line.starts_with("Full")), want.starts_with("Full"));
    }
}

/// `shop.t (id int, n int)`, known as it was.
fn known() -> WantedTable {
    let name = TableName { schema: "shop".into(), name: "t".into() };
    let known = ["id", "n"].map(|name| KnownName { name: name.into(), type_name: "int".into() });
    let columns = ["id", "n"].map(str::to_owned).into();
    WantedTable { known: known.into(), ..WantedTable::new(TableId(1), name, columns, vec!["id".into()]) }
}

#[test]
fn my_52_a_column_that_is_missing_leaves_what_may_have_become_of_it() {
    let mut log = Log::of(known());
    log.query("BEGIN").insert(1, 5).insert_into(b"\x04\x05\x02id\x01m", 2, 6).insert(3, 7);
    let schema = "schema id int, n int";
    assert_eq!(
        log.hand_on()[1..],
        [schema, "Full 1: 1 5", "schema id int, m int", "Partial 2: 2 6", schema, "Full 3: 3 7"]
    );
}

#[test]
fn my_52_a_renamed_key_still_tells_the_rows_where_one_column_can_be_it() {
    let mut log = Log::of(known());
    log.query("BEGIN").insert_into(b"\x04\x05\x02no\x01n", 1, 5);
    assert_eq!(log.hand_on()[1..], ["schema no int, n int", "Partial 1: 1 5"]);
    log.insert_into(b"\x04\x04\x01a\x01b", 2, 6);
    assert_eq!(log.hand_on(), ["suspect all: a column of the row key is not in the table"]);
}

#[test]
fn my_52_renames_that_were_accepted_are_whole_rows_in_older_and_newer_log() {
    let mut wanted = known();
    wanted.renamed.insert("n".into(), ["m".to_owned()].into());
    wanted.renamed.insert("id".into(), ["no".to_owned()].into());
    let mut log = Log::of(wanted);
    log.query("BEGIN").insert_into(b"\x04\x05\x02no\x01m", 1, 5).insert(1, 6);
    assert_eq!(log.hand_on()[1..], ["schema no int, m int", "Full 1: 1 5", "schema id int, n int", "Full 1: 1 6"]);
}

#[test]
fn my_36_an_incident_makes_every_table_suspect() {
    let mut log = Log::new();
    log.event(26, &[1, 0, 4, b'l', b'o', b's', b't']);
    assert_eq!(log.hand_on(), ["suspect all: the server lost a part of its log"]);
}

#[test]
fn my_47_unknown_events_stop_the_source_by_name() {
    let mut log = Log::new();
    assert!(log.try_event(99, 0x80, b"x").is_ok());
    let error = log.try_event(99, 0, b"x").unwrap_err();
    assert_eq!(
        error.to_string(),
        "the log has an unknown event (type 99), which is not known here and may not be skipped"
    );
    assert!(matches!(error.class(), passerelle_change::Class::Operator { .. }));
    assert_eq!(log.try_event(20, 0, b"x"), Err(Error::TooOld { name: "PRE_GA_WRITE_ROWS" }));
    // Parameters of a statement are no change by themselves.
    assert!(log.try_event(5, 0, &[0; 9]).is_ok());
}

#[test]
fn my_33_a_load_that_was_logged_as_a_statement() {
    let mut log = Log::new();
    log.query("BEGIN");
    let body = [&[0; 8][..], &[4, 0, 0, 0, 0], &[0; 13], b"shop\0LOAD DATA INFILE 'x' INTO TABLE `t` (n)"].concat();
    log.try_event(18, 0, &body).unwrap();
    assert_eq!(log.hand_on()[1], "suspect all: a change was logged as a statement, not row by row");
}

#[test]
fn my_06_a_heartbeat_moves_on_between_groups_only() {
    let beat = |log: &mut Log, end: u32| {
        let _ = log.decoder.event(&event(27, 0, end, b"mbin.000001"), &mut log.batch).unwrap();
        log.decoder.take_quiet().map(|at| at.offset)
    };
    let mut log = Log::new();
    assert_eq!(beat(&mut log, 5000), Some(5000));
    assert_eq!(beat(&mut log, 5000), None);
    log.query("BEGIN").insert(1, 1);
    assert_eq!(beat(&mut log, 9000), None);
}

#[test]
fn my_03_my_06_by_gtids_the_server_begins_before_our_place() {
    let mut log = Log::new();
    let beat = |log: &mut Log, end: u32| {
        let _ = log.decoder.event(&event(27, 0, end, b"mbin.000001"), &mut log.batch).unwrap();
        log.decoder.take_quiet().map(|at| at.offset)
    };
    assert_eq!(beat(&mut log, 5000), Some(5000));
    // The rotation that is made up names the file's beginning; what is sent of it before our place is no wrap at 4 GiB.
    let rotation = [&4_u64.to_le_bytes()[..], b"mbin.000001"].concat();
    let _ = log.decoder.event(&event(4, 0x20, 0, &rotation), &mut log.batch).unwrap();
    let _ = log.decoder.event(&event(35, 0, 197, &[0; 8]), &mut log.batch).unwrap();
    assert_eq!(beat(&mut log, 300), None);
    assert_eq!(log.decoder.ended().offset, 5000);
    assert_eq!(beat(&mut log, 6000), Some(6000));
}

#[test]
fn my_11_offsets_go_on_beyond_four_gibibytes() {
    let mut log = Log::new();
    let mut commit = |end: u32, kind: u8, body: &[u8]| {
        let _ = log.decoder.event(&event(kind, 0, end, body), &mut log.batch).unwrap();
        log.decoder.ended().offset
    };
    let begin = [&[0; 8][..], &[4, 0, 0, 0, 0], b"shop\0BEGIN"].concat();
    commit(u32::MAX - 10, 2, &begin);
    assert_eq!(commit(40, 16, &XID), (1 << 32) + 40);
    commit(100, 2, &begin);
    assert_eq!(commit(140, 16, &XID), (1 << 32) + 140);
    // An end that is not told is one event further (MY-26).
    commit(0, 2, &begin);
    assert_eq!(commit(0, 16, &XID), (1 << 32) + 140 + 19 + begin.len() as u64 + 19 + 8);
}

#[test]
fn my_03_a_rotation_that_is_made_up_changes_nothing() {
    let mut log = Log::new();
    log.query("BEGIN").insert(1, 1);
    log.try_event(4, 0x20, &[&4_u64.to_le_bytes()[..], b"mbin.000001"].concat()).unwrap();
    log.event(16, &XID);
    assert!(log.hand_on().iter().any(|line| line == "Full 1: 1"));
}

#[test]
fn my_38_a_table_that_was_changed_is_read_again() {
    let mut log = Log::new();
    log.query("ALTER TABLE other ADD c int")
        .query("ALTER TABLE shop.t ADD c int")
        .query("ALTER TABLE elsewhere.t ADD c int");
    let stale: Vec<_> = log.decoder.stale().map(ToString::to_string).collect();
    assert_eq!(stale, ["shop.t"]);
    let name = log.decoder.stale().next().cloned().unwrap();
    log.decoder.know(&name, KnownTable::default());
    assert_eq!(log.decoder.stale().count(), 0);
}

#[test]
fn my_27_my_42_columns_that_a_statement_renamed_are_told_once_it_happened() {
    let mut log = Log::new();
    log.query("ALTER TABLE other RENAME COLUMN a TO b").query("ALTER TABLE t CHANGE n m int, ADD x int");
    log.query("ALTER TABLE shop.t RENAME COLUMN m TO n");
    let table = TableName { schema: "shop".into(), name: "t".into() };
    let renamed =
        |from: &str, to: &str| RenamedColumns { table: table.clone(), columns: vec![(from.into(), to.into())] };
    assert_eq!(log.decoder.take_renamed_columns(), [renamed("n", "m"), renamed("m", "n")]);
    assert_eq!(log.decoder.take_renamed_columns(), []);
    // The first half of one that may not happen says nothing.
    log.query("BEGIN");
    if let Some(group) = &mut log.decoder.group {
        group.halved_alter = true;
    }
    log.query("ALTER TABLE t RENAME COLUMN n TO o");
    assert_eq!((log.decoder.take_renamed_columns(), log.decoder.stale().count()), (vec![], 1));
}

#[test]
fn what_the_catalogue_says_counts_from_the_next_statement_on() {
    let mut log = Log::new();
    let row = [1, 0, 0, 0, 0, 0, 1, 0, 2, 3, 0, 1, 0, 0, 0, 5, 0, 0, 0];
    log.query("BEGIN").event(19, &[TABLE, NAMES].concat());
    let name = TableName { schema: "shop".into(), name: "t".into() };
    log.decoder.know(&name, KnownTable::default());
    log.event(23, &row);
    assert!(log.hand_on().contains(&"Full 1: 5".to_owned()));
}

#[test]
fn my_79_names_by_the_servers_rule() {
    for (names_ignore_case, want) in [(false, 0), (true, 1)] {
        let mut decoder = decoder("C", &["v"], Settings { names_ignore_case, ..Settings::default() });
        let rows = decode(&mut decoder, &MYSQL[2..]).iter().filter(|line| line.starts_with("Full")).count();
        assert_eq!(rows, want);
    }
}

#[test]
fn what_stands_in_the_wrong_place_is_refused() {
    let mut log = Log::new();
    let end = Malformed("the end of a transaction outside one").into();
    assert_eq!(log.try_event(16, 0, &XID), Err(end));
}

proptest! {
    /// A log with bodies changed, behind a description without checksums.
    #[test]
    fn any_log_ends_without_panic(
        changes in prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>(), any::<u8>()), 0..6),
        mysql: bool,
    ) {
        let log = if mysql { MYSQL[1] } else { MARIADB[0] };
        let mut events: Vec<Vec<u8>> = file_events(log).map(|event| event.unwrap().to_vec()).collect();
        for event in &mut events[1..] {
            event.truncate(event.len() - 4);
        }
        for (which, at, byte) in changes {
            let event = which.index(events.len() - 1) + 1;
            let place = at.index(events[event].len());
            events[event][place] = byte;
        }
        // The checksum's kind stands before the description's own checksum.
        let length = events[0].len();
        events[0][length - 5] = 0;
        let mut decoder = decoder("c", &["e", "s", "v", "t", "b", "g", "ch"], Settings::default());
        let mut batch = Batch::new();
        for event in &mut events {
            let size = event.len() as u32;
            event[9..13].copy_from_slice(&size.to_le_bytes());
            if let Ok(Decoded::Partly) = decoder.event(event, &mut batch) {
                let _ = decoder.more(&mut batch);
            }
        }
    }
}
