#![allow(clippy::indexing_slicing, reason = "a test fails by panicking, and reads better")]

use proptest::prelude::*;

use super::*;

/// Logs as the servers wrote them; the statements are in `tests/fixtures/README.md`.
const MARIADB: [&[u8]; 2] =
    [include_bytes!("../../tests/fixtures/mariadb-10.11.1"), include_bytes!("../../tests/fixtures/mariadb-10.11.2")];
const MYSQL: [&[u8]; 3] = [
    include_bytes!("../../tests/fixtures/mysql-9.7.1"),
    include_bytes!("../../tests/fixtures/mysql-9.7.2"),
    include_bytes!("../../tests/fixtures/mysql-9.7.3"),
];

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// One line an event; `layouts` are those of the last table.
fn print(event: &Event<'_>, framing: &Framing, layouts: &mut Vec<Layout>) -> String {
    let mut buffer = Vec::new();
    match event.body {
        Body::Format(format) => {
            format!("format {} {:?} mariadb {}", text(format.version), format.checksum, format.is_mariadb())
        }
        Body::Rotate(rotate) => format!("rotate {}:{}", text(rotate.file), rotate.position),
        Body::Query(query) => {
            let packed = if query.text.is_compressed() { "packed " } else { "" };
            format!("{packed}query {}: {}", text(query.database), text(query.text.open(&mut buffer).unwrap()))
        }
        Body::Commit { .. } => "commit".into(),
        Body::Prepare(prepare) => {
            format!("prepare {} {} one phase {}", prepare.xid.format, text(prepare.xid.global), prepare.one_phase)
        }
        Body::Table(table) => {
            *layouts = table.layouts().unwrap();
            format!("table {}.{} of {}", text(table.database), text(table.table), table.width())
        }
        Body::Rows(rows) => {
            let packed = if rows.data.is_compressed() { "packed " } else { "" };
            format!("{packed}{}", print_rows(&rows, layouts))
        }
        Body::Payload(payload) => {
            let (mut events, mut lines) = (payload.open().unwrap(), Vec::new());
            while events.next(&mut buffer).unwrap() {
                lines.push(print(&framing.inner(&buffer).unwrap(), framing, layouts));
            }
            format!("payload of {} bytes [{}]", payload.inflated_bytes, lines.join("; "))
        }
        Body::Gtid(gtid) => format!("gtid {}:{}", text(gtid.tag), gtid.number),
        Body::MariadbGtid(gtid) => {
            let mut line = format!("gtid {}-{}-{}", gtid.domain, event.header.server_id, gtid.sequence);
            for (flag, word) in [(gtid.standalone, " standalone"), (gtid.ddl, " ddl")] {
                line.push_str(if flag { word } else { "" });
            }
            let (verb, xid) = match gtid.xa {
                Some(Xa::Prepared(xid)) => (" prepares ", text(xid.global)),
                Some(Xa::Completed(xid)) => (" completes ", text(xid.global)),
                None => ("", String::new()),
            };
            line.push_str(verb);
            line.push_str(&xid);
            line
        }
        Body::PreviousGtids(previous) => {
            let mut sets = Vec::new();
            previous.each(|one| sets.push(format!("{}:{}-{}", text(one.tag), one.first, one.end))).unwrap();
            format!("previous {}", sets.join(" "))
        }
        Body::GtidList(list) => format!("list {:?}", list.iter().collect::<Vec<_>>()),
        Body::Heartbeat(heartbeat) => format!("heartbeat {} {:?}", text(heartbeat.file), heartbeat.position),
        Body::Incident(incident) => format!("incident {} {}", incident.number, text(incident.text)),
        Body::Statement { name } => format!("statement {name}"),
        Body::Stop => "stop".into(),
        Body::Skipped => "skipped".into(),
        Body::Unknown => format!("unknown {}", event.header.kind),
    }
}

/// Columns as hex; `-` is null, `~` absent, `±` before a difference.
fn print_rows(rows: &Rows<'_>, layouts: &[Layout]) -> String {
    let mut buffer = Vec::new();
    let mut images = rows.images(rows.data.open(&mut buffer).unwrap());
    let (mut before, mut after, mut lines) = (Vec::new(), Vec::new(), Vec::new());
    while images.next(layouts, &mut before, &mut after).unwrap() {
        let hex =
            |start, end| images.bytes(start, end).iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().concat();
        let field = |field: &Field| match *field {
            Field::Absent => "~".into(),
            Field::Null => "-".into(),
            Field::Value { start, end } => hex(start, end),
            Field::Diff { start, end } => format!("±{}", hex(start, end)),
        };
        let image = |fields: &[Field]| fields.iter().map(field).collect::<Vec<_>>().join(" ");
        lines.push(match rows.kind {
            RowsKind::Write => format!("write {}", image(&after)),
            RowsKind::Delete => format!("delete {}", image(&before)),
            RowsKind::Update => format!("update {} to {}", image(&before), image(&after)),
        });
    }
    lines.join(", ")
}

/// Every event of a file.
fn lines(file: &[u8]) -> Vec<String> {
    let (mut framing, mut layouts) = (Framing::new(), Vec::new());
    let events = file_events(file).map(|event| {
        let event = framing.event(event.unwrap()).unwrap();
        print(&event, &framing.clone(), &mut layouts)
    });
    events.collect()
}

/// The lines that hold `part` are these.
fn check(file: &[u8], part: &str, want: &[&str]) {
    let got: Vec<_> = lines(file).into_iter().filter(|line| line.contains(part)).collect();
    assert_eq!(got, want);
}

#[test]
fn my_02_formats_of_both_servers() {
    check(MARIADB[0], "format", &["format 10.11.19-MariaDB-0+deb12u1-log Crc32 mariadb true"]);
    check(MYSQL[0], "format", &["format 9.7.4-2 Crc32 mariadb false"]);
    for (version, want) in
        [("5.6.0", false), ("5.6.1-log", true), ("5.5.9-MariaDB", true), ("5.2.1-MariaDB", false), ("10.4.1-x", true)]
    {
        assert_eq!(format::knows_checksums(version.as_bytes()), want, "{version}");
    }
}

#[test]
fn my_04_real_rotations() {
    check(MARIADB[0], "rotate", &["rotate mbin.000002:4"]);
    check(MYSQL[1], "rotate", &["rotate mbin.000003:4"]);
}

#[test]
fn my_01_a_bit_that_fell_over_is_found() {
    for file in [MARIADB[1], MYSQL[1]] {
        let mut framing = Framing::new();
        for event in file_events(file) {
            let mut damaged = event.unwrap().to_vec();
            framing.event(&damaged).unwrap();
            let at = damaged.len() / 2;
            damaged[at] ^= 1;
            // A rotation that says it is a format description would be another event.
            assert!(framing.event(&damaged).is_err());
        }
    }
}

#[test]
fn my_01_the_mark_of_a_file_in_use_is_not_in_its_checksum() {
    let mut format = file_events(MYSQL[0]).next().unwrap().unwrap().to_vec();
    format[17] ^= 1;
    assert!(Framing::new().event(&format).is_ok());
    format[17] ^= 2;
    assert!(Framing::new().event(&format).is_err());
}

/// An event with a header of ours; `checksum` says whether there is one behind it.
fn event(kind: u8, flags: u16, body: &[u8], checksum: bool) -> Vec<u8> {
    let size = (HEADER_BYTES + body.len() + if checksum { CHECKSUM_BYTES } else { 0 }) as u32;
    let mut bytes = vec![0, 0, 0, 0, kind, 9, 0, 0, 0];
    bytes.extend_from_slice(&size.to_le_bytes());
    bytes.extend_from_slice(&[0; 4]);
    bytes.extend_from_slice(&flags.to_le_bytes());
    bytes.extend_from_slice(body);
    if checksum {
        let crc = crc32fast::hash(&bytes);
        bytes.extend_from_slice(&crc.to_le_bytes());
    }
    bytes
}

/// Reads one event of a connection that knows no format yet.
fn first(framing: &mut Framing, bytes: &[u8]) -> String {
    let event = framing.event(bytes).unwrap();
    print(&event, &framing.clone(), &mut Vec::new())
}

#[test]
fn my_03_the_first_made_up_rotation_has_a_checksum_or_not() {
    let body = [&4_u64.to_le_bytes()[..], b"mbin.000007"].concat();
    for checksum in [false, true] {
        let bytes = event(4, Header::ARTIFICIAL, &body, checksum);
        let mut framing = Framing::new();
        assert_eq!(first(&mut framing, &bytes), "rotate mbin.000007:4");
        assert!(framing.event(&bytes).unwrap().header.is_artificial());
    }
}

#[test]
fn my_06_heartbeats_of_both_versions() {
    let mut framing = Framing::new();
    assert_eq!(first(&mut framing, &event(27, 0, b"mbin.000001", true)), "heartbeat mbin.000001 None");
    let v2 = [&[1, 11][..], b"mbin.000001", &[2, 9, 254, 1, 0, 0, 0, 1, 0, 0, 0, 0]].concat();
    assert_eq!(first(&mut framing, &event(41, 0, &v2, true)), "heartbeat mbin.000001 Some(4294967297)");
}

#[test]
fn my_21_gtids_with_and_without_tags() {
    check(MYSQL[1], "gtid", &["gtid :13", "gtid :14", "gtid :15", "gtid :16", "gtid :17", "gtid tagx:1"]);
    check(MYSQL[1], "previous", &["previous :1-13"]);
    check(MYSQL[2], "previous", &["previous :1-18 tagx:1-2"]);
    let mut framing = Framing::new();
    for bytes in file_events(MYSQL[1]) {
        if let Body::Gtid(gtid) = framing.event(bytes.unwrap()).unwrap().body {
            assert_eq!(gtid.uuid[..4], [0x03, 0x42, 0xba, 0xf1]);
            assert!(gtid.committed_micros.is_some_and(|micros| micros > 1_795_330_733_000_000));
            assert!(gtid.transaction_bytes.is_some_and(|bytes| (200..500).contains(&bytes)));
        }
    }
}

#[test]
fn my_22_anonymous_gtids_have_no_number() {
    let body = [&[1][..], &[7; 16], &5_u64.to_le_bytes()].concat();
    assert_eq!(first(&mut Framing::new(), &event(34, 0, &body, true)), "gtid :0");
}

#[test]
fn my_23_my_24_groups_of_mariadb() {
    let want = [
        "gtid 0-1-1 standalone ddl",
        "gtid 0-1-2 standalone ddl",
        "gtid 0-1-3",
        "gtid 0-1-4",
        "gtid 0-1-5 standalone ddl",
        "gtid 0-1-6",
        "gtid 0-1-7",
        "gtid 0-1-8",
        "gtid 0-1-9",
        "gtid 0-1-10 prepares x1",
        "gtid 0-1-11 standalone completes x1",
        "gtid 0-1-12 standalone ddl",
    ];
    check(MARIADB[0], "gtid", &want);
}

#[test]
fn my_25_lists_are_read_and_the_rest_is_skipped() {
    check(MARIADB[0], "list", &["list []"]);
    check(MARIADB[1], "list", &["list [(0, 1, 12)]"]);
    let skipped = lines(MARIADB[0]).iter().filter(|line| *line == "skipped").count();
    assert_eq!(skipped, 8, "seven annotations and a checkpoint");
}

/// A group of MariaDB with these extra flags, and `sa_seq_no` behind them.
fn alter(extra: u8) -> Alter {
    let body = [&7_u64.to_le_bytes()[..], &[0, 0, 0, 0, 0x21, extra], &5_u64.to_le_bytes()].concat();
    match (Framing { is_mariadb: true, ..Framing::new() }).event(&event(162, 0, &body, true)).unwrap().body {
        Body::MariadbGtid(gtid) => gtid.alter,
        other => panic!("{other:?}"),
    }
}

#[test]
fn my_27_halves_of_an_alter() {
    assert_eq!(
        [alter(0), alter(2), alter(4), alter(8)],
        [Alter::No, Alter::Start, Alter::Commit(5), Alter::Rollback(5)]
    );
}

#[test]
fn my_28_distributed_transactions() {
    check(MARIADB[0], "prepare ", &["prepare 7 x1 one phase false"]);
    check(MARIADB[0], "XA", &["query shop: XA END X'7831',X'62',7", "query shop: XA COMMIT X'7831',X'62',7"]);
    check(MYSQL[0], "prepare ", &["prepare 7 x1 one phase false"]);
}

#[test]
fn my_36_incidents() {
    let lost = [&1_u16.to_le_bytes()[..], &[11], b"LOST_EVENTS"].concat();
    assert_eq!(first(&mut Framing::new(), &event(26, 0, &lost, true)), "incident 1 LOST_EVENTS");
    assert_eq!(first(&mut Framing::new(), &event(26, 0, &1_u16.to_le_bytes(), true)), "incident 1 ");
}

#[test]
fn my_37_what_a_statement_depends_on() {
    let mut framing = Framing::new();
    let bytes = file_events(MARIADB[0]).map(|event| framing.event(event.unwrap()).unwrap());
    let statuses: Vec<_> =
        bytes.filter_map(|event| if let Body::Query(query) = event.body { Some(query.status) } else { None }).collect();
    assert_eq!(statuses[1].charset, Some(45));
    assert!(statuses[1].xid.is_some() && statuses[1].sql_mode.is_some());
    assert!(!statuses[1].ansi_quotes() && !statuses[1].no_backslash_escapes());
    // Every variable there is, in the order that MySQL writes them.
    let mut status = vec![0, 0, 0, 0, 0, 1];
    status.extend_from_slice(&4_u64.to_le_bytes());
    status.extend_from_slice(
        b"\x06\x03std\x03\x01\0\x01\0\x04\x21\0\x21\0\x08\0\x05\x03UTC\x07\0\0\x08\x2d\0\x09\0\0\0\0\0\0\0\0",
    );
    status.extend_from_slice(
        b"\x0a\0\0\0\0\x0b\x01u\x01h\x0c\x02a\0b\0\x0d\x01\x02\0\x10\0\x11\x09\0\0\0\0\0\0\0\x12\xff\0\x13\0\x14\0",
    );
    let mut body = vec![7, 0, 0, 0, 0, 0, 0, 0, 4, 0, 0];
    body.extend_from_slice(&(status.len() as u16).to_le_bytes());
    body.extend_from_slice(&status);
    body.extend_from_slice(b"shop\0create table t (a int)");
    let bytes = event(2, 0, &body, true);
    let Body::Query(query) = Framing::new().event(&bytes).unwrap().body else { panic!("no query") };
    let want = Status {
        sql_mode: Some(4),
        charset: Some(33),
        database_charset: Some(45),
        time_zone: Some(b"UTC"),
        micros: Some(513),
        xid: Some(9),
    };
    assert_eq!(query.status, want);
    assert!(query.status.ansi_quotes());
    assert_eq!((query.thread, text(query.database)), (7, "shop".into()));
}

#[test]
fn my_44_a_compressed_transaction_is_inflated_event_by_event() {
    let row = format!("write 09000000 - - {} - - - - - -", "78797a".repeat(80));
    let want = format!("payload of 523 bytes [query shop: BEGIN; table shop.c of 10; {row}; commit]");
    check(MYSQL[1], "payload", &[&want]);
}

#[test]
fn my_44_a_payload_that_lies_about_its_length_is_refused() {
    let mut framing = Framing::new();
    let payload = file_events(MYSQL[1]).find_map(|bytes| match framing.event(bytes.unwrap()).unwrap().body {
        Body::Payload(payload) => Some(payload),
        _ => None,
    });
    for (inflated_bytes, good) in [(523, true), (522, false), (524, false), (100, false)] {
        let mut lying = payload.unwrap();
        lying.inflated_bytes = inflated_bytes;
        let mut events = lying.open().unwrap();
        let mut buffer = Vec::new();
        let end = loop {
            match events.next(&mut buffer) {
                Ok(true) => {}
                Ok(false) => break true,
                Err(_) => break false,
            }
        };
        assert_eq!(end, good, "{inflated_bytes}");
    }
}

#[test]
fn my_45_compressed_events_of_mariadb() {
    let row = format!("packed write 08000000 - - {} - - - - - -", "78797a".repeat(80));
    check(MARIADB[1], "packed", &[&row, "packed query shop: alter table c add column zz int default 3"]);
    for bytes in [&[0x80][..], &[0x85, 0, 0, 0, 0, 1], &[0x90, 1], &[0x01, 1], &[]] {
        assert!(Packed::compressed(bytes).is_err(), "{bytes:?}");
    }
    // A length that is not true, either way.
    let zlib = [0x78, 0x9c, 0x4b, 0x4c, 0x4a, 0x06, 0x00, 0x02, 0x4d, 0x01, 0x27]; // "abc"
    for (length, want) in [(2, Err(())), (3, Ok("abc".to_owned())), (4, Err(()))] {
        let packed = [&[0x81, length][..], &zlib].concat();
        let got = Packed::compressed(&packed).unwrap().open(&mut Vec::new()).map(text).map_err(drop);
        assert_eq!(got, want);
    }
}

#[test]
fn my_47_unknown_events_say_whether_they_may_be_skipped() {
    for (kind, flags, ignorable) in [(99, 0, false), (99, Header::IGNORABLE, true), (172, 0, false)] {
        let bytes = event(kind, flags, b"anything", true);
        let read = Framing { is_mariadb: kind == 172, ..Framing::new() }.event(&bytes).unwrap();
        assert_eq!((read.body, read.header.is_ignorable()), (Body::Unknown, ignorable));
    }
    for (kind, name) in
        [(5, "INTVAR"), (13, "RAND"), (14, "USER_VAR"), (17, "BEGIN_LOAD_QUERY"), (20, "PRE_GA_WRITE_ROWS")]
    {
        assert_eq!(first(&mut Framing::new(), &event(kind, 0, b"xxxx", true)), format!("statement {name}"));
    }
    // MariaDB's numbers mean nothing in a log of MySQL.
    assert_eq!(first(&mut Framing::new(), &event(162, 0, &[0; 13], true)), "unknown 162");
}

#[test]
fn my_52_full_metadata_of_both_servers() {
    for file in [MARIADB[0], MYSQL[0]] {
        let mut framing = Framing::new();
        let mut tables = Vec::new();
        for bytes in file_events(file) {
            if let Body::Table(table) = framing.event(bytes.unwrap()).unwrap().body {
                tables.push(table);
            }
        }
        let is_mariadb = framing.is_mariadb();
        let layouts = tables[0].layouts().unwrap();
        let numbers = tables[0].metadata(&layouts, is_mariadb).unwrap();
        assert_eq!(numbers.primary_key, Some(vec![0]));
        let names: Vec<_> = numbers.names.unwrap().into_iter().map(text).collect();
        assert_eq!(names.join(" "), "id a b c d e f g h i j y fl db de du bt");
        let unsigned = names.iter().zip(numbers.unsigned.unwrap()).filter(|(_, unsigned)| *unsigned);
        let unsigned: Vec<_> = unsigned.map(|(name, _)| name.as_str()).collect();
        assert_eq!(unsigned.join(" "), "b d f h j y du");

        let c = tables.iter().find(|table| table.table == b"c").unwrap();
        let layouts = c.layouts().unwrap();
        let texts = c.metadata(&layouts, is_mariadb).unwrap();
        let (utf8, geometry) = if is_mariadb { (45, Some(63)) } else { (255, None) };
        let want = [None, None, None, Some(8), Some(utf8), Some(63), Some(63), geometry, Some(utf8), None];
        assert_eq!(texts.collations.unwrap(), want);
        assert_eq!(texts.label_collations.unwrap()[1..3], [Some(utf8), Some(utf8)]);
        let labels: Vec<_> = texts.enum_labels.unwrap()[1].unwrap().iter().map(text).collect();
        assert_eq!(labels, ["a", "b", "ü"]);
    }
}

#[test]
fn my_53_old_table_ids_extra_data_and_rows_of_before_51() {
    // A v2 event with the extra data of a partition.
    let body = [&[1, 0, 0, 0, 0, 0, 1, 0][..], &[5, 0, 1, 3, 0], &[1, 1, 0, 42, 0, 0, 0]].concat();
    let bytes = event(30, 0, &body, true);
    let Body::Rows(rows) = Framing::new().event(&bytes).unwrap().body else { panic!("no rows") };
    assert_eq!(print_rows(&rows, &[Layout::Int(4)]), "write 2a000000");
    assert!(rows.ends_statement);
}

#[test]
fn my_54_my_55_only_columns_that_are_there_have_a_null_bit() {
    let updates: Vec<_> = lines(MARIADB[0]).into_iter().filter(|line| line.starts_with("update")).collect();
    assert_eq!(updates[1], format!("update 01000000{} to ~ ~ 01{}", " ~".repeat(16), " ~".repeat(14)));
    let deletes: Vec<_> = lines(MYSQL[0]).into_iter().filter(|line| line.starts_with("delete")).collect();
    assert_eq!(deletes[1], format!("delete 01000000{}", " ~".repeat(16)));
}

#[test]
fn my_57_partial_updates_of_json() {
    let update = lines(MYSQL[1]).into_iter().find(|line| line.starts_with("update")).unwrap();
    assert!(update.contains(" to 01000000 ±0006242e615b305d03056300 0000803f"), "{update}");
}

#[test]
fn my_61_compressed_columns() {
    let row = lines(MARIADB[1]).into_iter().find(|line| line.contains("123e4567")).unwrap();
    let values: Vec<Vec<u8>> = row.split(' ').skip(1).map(unhex).collect();
    let mut buffer = Vec::new();
    assert_eq!(text(open_column(&values[4], &mut buffer).unwrap()), "a".repeat(90));
    assert_eq!(text(open_column(&values[5], &mut buffer).unwrap()), "b".repeat(200));
    assert_eq!(open_column(b"", &mut buffer), Ok(&b""[..]));
    assert!(open_column(&[0x81, 9, 1, 2], &mut buffer).is_err());
    assert!(open_column(&[0x70, 9], &mut buffer).is_err());
}

fn unhex(text: &str) -> Vec<u8> {
    (0..text.len() / 2).map(|at| u8::from_str_radix(&text[at * 2..at * 2 + 2], 16).unwrap()).collect()
}

#[test]
fn my_73_lengths_of_more_than_255_bytes_hide_in_the_type() {
    let body = [
        &[1, 0, 0, 0, 0, 0, 1, 0, 1, b'd', 0, 1, b't', 0, 3, 254, 254, 254, 6][..],
        &[0xee, 0x90, 0xfe, 10, 0xf7, 2, 7],
    ]
    .concat();
    let bytes = event(19, 0, &body, true);
    let Body::Table(table) = Framing::new().event(&bytes).unwrap().body else { panic!("no table") };
    assert_eq!(table.layouts().unwrap(), [Layout::Char(400), Layout::Char(10), Layout::Enum(2)]);
    assert!(table.is_nullable(2) && !table.is_nullable(3));
}

#[test]
fn what_is_cut_off_is_an_error_and_nothing_else() {
    for file in MARIADB.iter().chain(&MYSQL) {
        let mut framing = Framing::new();
        for event in file_events(file) {
            let event = event.unwrap();
            framing.event(event).unwrap();
            for end in 0..event.len() {
                let mut cut = event[..end].to_vec();
                assert!(framing.clone().event(&cut).is_err());
                if end >= HEADER_BYTES {
                    cut[9..13].copy_from_slice(&(end as u32).to_le_bytes());
                    let _ = framing.inner(&cut);
                }
            }
        }
    }
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(bytes: Vec<u8>) {
        read_everything(&bytes);
        read_everything(&[MAGIC, &bytes].concat());
    }

    #[test]
    fn any_body_of_any_type_ends_without_panic(kind: u8, body: Vec<u8>) {
        read_everything(&[&[kind][..], &body].concat());
    }

    /// A log with one byte changed in an event without checksums.
    #[test]
    fn damaged_logs_end_without_panic(file in 0..5_usize, at: prop::sample::Index, byte: u8) {
        let file = [MARIADB[0], MARIADB[1], MYSQL[0], MYSQL[1], MYSQL[2]][file];
        let mut framing = Framing::new();
        framing.event(file_events(file).next().unwrap().unwrap()).unwrap();
        for event in file_events(file).skip(1) {
            let mut event = event.unwrap().to_vec();
            event.truncate(event.len() - CHECKSUM_BYTES);
            let size = event.len() as u32;
            event[9..13].copy_from_slice(&size.to_le_bytes());
            let place = HEADER_BYTES + at.index(event.len().max(HEADER_BYTES + 1) - HEADER_BYTES);
            if let Some(place) = event.get_mut(place) {
                *place = byte;
            }
            let mut walked = MAGIC.to_vec();
            walked.extend_from_slice(&event);
            read_everything(&walked);
        }
    }

    #[test]
    fn my_54_rows_are_read_back_whatever_is_absent_or_null(
        columns in prop::collection::vec(prop::option::of(prop::option::of(any::<u32>())), 1..30),
    ) {
        let width = columns.len();
        let (mut present, mut nulls, mut values) = (vec![0_u8; width.div_ceil(8)], Vec::new(), Vec::new());
        let mut count = 0;
        for (at, column) in columns.iter().enumerate() {
            let Some(column) = column else { continue };
            present[at / 8] |= 1 << (at % 8);
            if count % 8 == 0 {
                nulls.push(0);
            }
            match column {
                None => *nulls.last_mut().unwrap() |= 1 << (count % 8),
                Some(n) => values.extend_from_slice(&n.to_le_bytes()),
            }
            count += 1;
        }
        prop_assume!(count > 0);
        let body = [&[1, 0, 0, 0, 0, 0, 0, 0, width as u8][..], &present, &nulls, &values].concat();
        let bytes = event(23, 0, &body, true);
        let Body::Rows(rows) = Framing::new().event(&bytes).unwrap().body else { panic!("no rows") };
        let layouts = vec![Layout::Int(4); width];
        let mut buffer = Vec::new();
        let (mut before, mut after) = (Vec::new(), Vec::new());
        let mut images = rows.images(rows.data.open(&mut buffer).unwrap());
        prop_assert!(images.next(&layouts, &mut before, &mut after).unwrap());
        let got: Vec<_> = after.iter().map(|field| match *field {
            Field::Absent | Field::Diff { .. } => None,
            Field::Null => Some(None),
            Field::Value { start, end } => Some(Some(u32::from_le_bytes(images.bytes(start, end).try_into().unwrap()))),
        }).collect();
        prop_assert_eq!(got, columns);
        prop_assert!(!images.next(&layouts, &mut before, &mut after).unwrap());
    }
}
