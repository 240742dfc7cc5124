#![allow(
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and reads better"
)]

use proptest::prelude::*;

use super::*;

/// Bytes from numbers and texts, as the server writes them.
struct Bytes(Vec<u8>);

impl Bytes {
    fn new(tag: u8) -> Self {
        Self(vec![tag])
    }

    fn add(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend_from_slice(bytes.as_ref());
        self
    }

    fn u32(self, n: u32) -> Self {
        self.add(n.to_be_bytes())
    }

    fn u64(self, n: u64) -> Self {
        self.add(n.to_be_bytes())
    }

    fn tuple(self, kind: u8, values: &[&str]) -> Self {
        let start = self.add([kind]).add((values.len() as u16).to_be_bytes());
        values.iter().fold(start, |bytes, value| match *value {
            "NULL" => bytes.add(b"n"),
            "UNCHANGED" => bytes.add(b"u"),
            text => bytes.add(b"t").u32(text.len() as u32).add(text),
        })
    }
}

fn values(tuple: Tuple<'_>) -> Vec<String> {
    let mut fields = Vec::new();
    tuple.read(&mut fields).unwrap();
    let text = |field: &Field| match field {
        Field::Null => "NULL".to_owned(),
        Field::Unchanged => "UNCHANGED".to_owned(),
        Field::Text { .. } => String::from_utf8(tuple.text(*field).unwrap().to_vec()).unwrap(),
    };
    fields.iter().map(text).collect()
}

/// Prints a message, so that a case is one line.
fn print(bytes: &[u8]) -> String {
    let message = match message(bytes) {
        Ok(message) => message,
        Err(error) => return format!("error: {error}"),
    };
    let text = String::from_utf8_lossy;
    match message {
        Message::Begin { final_lsn, committed_at, xid } => format!("begin {final_lsn} at {committed_at} xid {xid}"),
        Message::Commit { commit_lsn, end_lsn, committed_at } => {
            format!("commit {commit_lsn} end {end_lsn} at {committed_at}")
        }
        Message::Origin { lsn, name } => format!("origin {lsn} {}", text(name)),
        Message::Type { oid, schema, name } => format!("type {oid} {}.{}", text(schema), text(name)),
        Message::Insert { relation, new } => format!("insert {relation} {:?}", values(new)),
        Message::Update { relation, old, new } => {
            let old = old.map(|old| match old {
                Old::Key(tuple) => format!(" key {:?}", values(tuple)),
                Old::Full(tuple) => format!(" full {:?}", values(tuple)),
            });
            format!("update {relation}{} {:?}", old.unwrap_or_default(), values(new))
        }
        Message::Delete { relation, old: Old::Key(tuple) } => format!("delete {relation} key {:?}", values(tuple)),
        Message::Delete { relation, old: Old::Full(tuple) } => format!("delete {relation} full {:?}", values(tuple)),
        Message::Truncate { cascade, restart_identity, relations } => {
            format!("truncate {:?} cascade {cascade} restart {restart_identity}", relations.iter().collect::<Vec<_>>())
        }
        Message::Logical { transactional, lsn, prefix, content } => {
            format!("message {lsn} transactional {transactional} {}: {}", text(prefix), text(content))
        }
        Message::Relation(relation) => {
            let column = |column: Result<RelationColumn<'_>>| {
                let column = column.unwrap();
                let mark = if column.identity { "*" } else { "" };
                format!("{}{mark} {} {}", text(column.name), column.type_oid, column.typmod)
            };
            let columns: Vec<_> = relation.columns().map(column).collect();
            let (schema, name, identity) = (text(relation.schema), text(relation.name), char::from(relation.identity));
            format!("relation {} {schema}.{name} {identity} ({})", relation.oid, columns.join(", "))
        }
    }
}

fn check(bytes: Bytes, want: &str) {
    assert_eq!(print(&bytes.0), want);
    // Cut anywhere, it is an error and nothing else.
    for end in 0..bytes.0.len() {
        if let Ok(Message::Insert { new, .. } | Message::Update { new, .. }) = message(&bytes.0[..end]) {
            assert!(new.read(&mut Vec::new()).is_err(), "{want} cut at {end}");
        } else if let Ok(Message::Delete { old: Old::Key(old) | Old::Full(old), .. }) = message(&bytes.0[..end]) {
            assert!(old.read(&mut Vec::new()).is_err(), "{want} cut at {end}");
        } else {
            assert!(message(&bytes.0[..end]).is_err(), "{want} cut at {end}");
        }
    }
}

#[test]
fn transactions() {
    let begin = Bytes::new(b'B').u64(0x1_0000_0002).u64(1_000_000).u32(77);
    check(begin, "begin 1/2 at 2000-01-01T00:00:01Z xid 77");
    let commit = Bytes::new(b'C').add([0]).u64(1).u64(2).u64(0);
    check(commit, "commit 0/1 end 0/2 at 2000-01-01T00:00:00Z");
    check(Bytes::new(b'O').u64(3).add("elsewhere\0"), "origin 0/3 elsewhere");
}

#[test]
fn pg_15_pg_16_pg_17_rows() {
    check(Bytes::new(b'I').u32(9).tuple(b'N', &["1", "NULL", ""]), r#"insert 9 ["1", "NULL", ""]"#);
    check(Bytes::new(b'U').u32(9).tuple(b'N', &["1", "UNCHANGED"]), r#"update 9 ["1", "UNCHANGED"]"#);
    let key = Bytes::new(b'U').u32(9).tuple(b'K', &["1", "NULL"]).tuple(b'N', &["2", "UNCHANGED"]);
    check(key, r#"update 9 key ["1", "NULL"] ["2", "UNCHANGED"]"#);
    let full = Bytes::new(b'U').u32(9).tuple(b'O', &["1", "long"]).tuple(b'N', &["1", "UNCHANGED"]);
    check(full, r#"update 9 full ["1", "long"] ["1", "UNCHANGED"]"#);
    check(Bytes::new(b'D').u32(9).tuple(b'K', &["1", "NULL"]), r#"delete 9 key ["1", "NULL"]"#);
    check(Bytes::new(b'D').u32(9).tuple(b'O', &["1", "x"]), r#"delete 9 full ["1", "x"]"#);
}

#[test]
fn pg_19_pg_24_relations_and_types() {
    let columns = Bytes::new(b'R').u32(16_384).add("public\0Order Line\0d").add([0, 2]);
    let columns = columns.add([1]).add("id\0").u32(23).u32(u32::MAX).add([0]).add("n\0").u32(1700).u32(655_366);
    check(columns, "relation 16384 public.Order Line d (id* 23 -1, n 1700 655366)");
    check(Bytes::new(b'Y').u32(16_385).add("public\0mood\0"), "type 16385 public.mood");
}

#[test]
fn pg_25_truncates() {
    let two = Bytes::new(b'T').u32(2).add([3]).u32(16_384).u32(16_390);
    check(two, "truncate [16384, 16390] cascade true restart true");
    assert_eq!(
        print(&Bytes::new(b'T').u32(u32::MAX).add([0]).0),
        "error: a truncate whose list has another length than it says"
    );
}

#[test]
fn pg_32_messages() {
    let inside = Bytes::new(b'M').add([1]).u64(5).add("p\0").u32(2).add("hi");
    check(inside, "message 0/5 transactional true p: hi");
    let outside = Bytes::new(b'M').add([0]).u64(5).add("p\0").u32(0);
    check(outside, "message 0/5 transactional false p: ");
}

#[test]
fn what_is_not_the_protocol() {
    assert_eq!(print(b"S\0\0\0\x01\x01"), "error: a message of an unknown kind");
    assert_eq!(print(b""), "error: a message that ends too early");
    assert_eq!(print(&Bytes::new(b'I').u32(1).tuple(b'K', &["1"]).0), "error: a row of an unknown kind");
    assert_eq!(print(&Bytes::new(b'D').u32(1).tuple(b'N', &["1"]).0), "error: a delete without the row before it");
}

#[test]
fn pg_02_keepalives_and_data() {
    let keepalive = Bytes::new(b'k').u64(7).u64(0).add([1]);
    let read = copied(&keepalive.0).unwrap();
    assert_eq!(read, Copied::Keepalive { end: Lsn(7), sent_at: Micros(EPOCH), reply: true });
    let data = Bytes::new(b'w').u64(1).u64(2).u64(3).add("message");
    let read = copied(&data.0).unwrap();
    let want = Copied::Data { start: Lsn(1), end: Lsn(2), sent_at: Micros(EPOCH + 3), message: b"message" };
    assert_eq!(read, want);
    assert!(copied(b"x").is_err());
}

#[test]
fn pg_01_statuses() {
    let mut out = Vec::new();
    push_status(&mut out, Lsn(9), Lsn(5), Micros(EPOCH + 8), true);
    let want = Bytes::new(b'd').u32(38).add(b"r").u64(9).u64(5).u64(5).u64(8).add([1]);
    assert_eq!(out, want.0);
}

#[test]
fn frames_wait_until_they_are_whole() {
    let bytes = Bytes::new(b'Z').u32(5).add(b"I").0;
    for end in 0..bytes.len() {
        assert_eq!(frame(&bytes[..end], 100), Ok(None));
    }
    assert_eq!(frame(&bytes, 100), Ok(Some(Frame { tag: b'Z', body: b"I" })));
    assert!(frame(&Bytes::new(b'Z').u32(3).0, 100).is_err());
    assert!(frame(&Bytes::new(b'Z').u32(101).0, 100).is_err());
    assert!(frame(&Bytes::new(b'Z').u32(u32::MAX).0, MAX_FRAME_BYTES).is_err());
}

#[test]
fn errors_are_read_without_their_detail() {
    let body = b"SFATAL\0VFATAL\0C57P01\0Mterminating\0DKey (id)=(secret)\0Htry again\0\0";
    let want = ServerError { code: "57P01".into(), message: "terminating".into(), hint: Some("try again".into()) };
    assert_eq!(server_error(body), want);
    assert_eq!(server_error(b"C"), ServerError::default());
}

fn borrow(values: &[String]) -> Vec<&str> {
    values.iter().map(String::as_str).collect()
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(bytes: Vec<u8>) {
        read_everything(&bytes);
    }

    /// Bytes that begin as a message does go further into it.
    #[test]
    fn any_message_ends_without_panic(tag in proptest::sample::select(b"BCORYIUDTM".to_vec()), rest: Vec<u8>) {
        let _ = read_everything(&[&[tag], &rest[..]].concat());
    }

    #[test]
    fn any_tuples_are_read_back(
        old in proptest::option::of(proptest::collection::vec("[a-z]{0,8}|NULL|UNCHANGED", 0..6)),
        new in proptest::collection::vec("[a-z]{0,8}|NULL|UNCHANGED", 0..6),
    ) {
        let mut bytes = Bytes::new(b'U').u32(1);
        if let Some(old) = &old {
            bytes = bytes.tuple(b'O', &borrow(old));
        }
        bytes = bytes.tuple(b'N', &borrow(&new));
        let Ok(Message::Update { old: read_old, new: read_new, .. }) = message(&bytes.0) else {
            panic!("not read");
        };
        prop_assert_eq!(values(read_new), new);
        let read_old = read_old.map(|old| match old {
            Old::Key(tuple) | Old::Full(tuple) => values(tuple),
        });
        prop_assert_eq!(read_old, old);
    }
}
