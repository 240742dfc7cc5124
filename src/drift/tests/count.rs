//! Rows that a change touches, counted in a real store.

use std::collections::BTreeMap;

use passerelle_change::{CellsBuf, Column, ColumnId, Op, Seq, TableId, Type};
use passerelle_state::{CaptureBatch, Gate, Store};

use super::super::count::{Counted, Test, count, told};
use super::super::{Change, Spelled, retyping};
use super::typed;

const TABLE: TableId = TableId(1);
const OLD: ColumnId = ColumnId(1);
const NEW: ColumnId = ColumnId(2);

/// Writes rows under keys of five digits from `first` on, each of one cell.
fn write(store: &Store, first: usize, rows: &[(Op, ColumnId, Option<&str>)], seq: u64) {
    let gate = Gate::default();
    let mut batch = CaptureBatch::begin(store, &gate, true, BTreeMap::new());
    for (place, (op, column, cell)) in rows.iter().enumerate() {
        let mut cells = CellsBuf::new();
        cells.push(*column, cell.map(str::as_bytes));
        batch.row(TABLE, format!("{:05}", first + place).as_bytes(), *op, Seq(seq), cells.as_cells());
    }
    store.write_capture(batch.seal().0, &gate, true).expect("a write");
}

fn counted(store: &Store, most: u64) -> (u64, u64, bool) {
    let Counted { touched, looked_at, is_all } = count(store, TABLE, &[OLD, NEW], &Test::LongerThan(3), most).unwrap();
    (touched, looked_at, is_all)
}

#[test]
fn rows_are_counted_over_chunks_and_up_to_a_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    assert_eq!(counted(&store, 10), (0, 0, true));
    let rows: Vec<_> =
        (0..2_500).map(|place| (Op::Full, OLD, Some(if place % 10 == 0 { "long" } else { "ab" }))).collect();
    write(&store, 0, &rows, 5);
    assert_eq!(counted(&store, 10_000), (250, 2_500, true));
    assert_eq!(counted(&store, 2_500), (250, 2_500, true));
    assert_eq!(counted(&store, 1_001), (101, 1_001, false));
    // The newest cell of a row counts; what is deleted is no row, a null is not long, and another column is nobody's.
    write(&store, 0, &[(Op::Partial, NEW, Some("abc")), (Op::Gone, OLD, None), (Op::Full, OLD, None)], 6);
    write(&store, 10, &[(Op::Full, ColumnId(9), Some("longer"))], 6);
    assert_eq!(counted(&store, 10_000), (248, 2_499, true));
    let gate = Gate::default();
    let mut batch = CaptureBatch::begin(&store, &gate, true, BTreeMap::new());
    batch.truncated(TABLE, Seq(5));
    store.write_capture(batch.seal().0, &gate, true).expect("a write");
    assert_eq!(counted(&store, 10_000), (0, 3, true), "three rows are of after it");
}

#[test]
fn a_change_is_counted_by_the_name_of_its_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    let column = |id: ColumnId, name: &str| {
        let text = Type::Text { max_chars: None };
        let column = Column { id, name: name.to_owned(), ty: text, type_name: format!("{id:?}"), nullable: true };
        store.set_column(TABLE, &column).expect("a write");
    };
    for (id, name) in [(OLD, "phone"), (NEW, "phone"), (ColumnId(3), "name")] {
        column(id, name);
    }
    let told = |change: &Change| told(&store, TABLE, change, 100).expect("a count");
    let dropped = |column: &str| Change::ColumnDropped { column: column.to_owned() };
    assert_eq!(told(&dropped("phone")), None, "there is no row");
    write(&store, 0, &[(Op::Full, OLD, Some("a")), (Op::Full, NEW, Some("b")), (Op::Full, NEW, None)], 1);
    assert_eq!(told(&dropped("phone")).as_deref(), Some("2 of 3 rows have a value"));
    assert_eq!(told(&dropped("name")).as_deref(), Some("0 of 3 rows have a value"));
    assert_eq!(told(&Change::TableDropped), None);
}

/// `numeric(10,2) -> numeric(8,2)`: which of these texts are touched.
fn check(change: &str, touched: &[&str], untouched: &[&str]) {
    let (from, to) = change.split_once(" -> ").expect("two types");
    let ((from_ty, from), (ty, to)) = (typed(from), typed(to));
    let how = retyping(Spelled { ty: &from_ty, name: &from }, Spelled { ty: &ty, name: &to }).expect("another type");
    let test = Test::of(&Change::Retyped { column: "a".into(), from, to, ty, how }).expect("a test");
    for (texts, expect) in [(touched, true), (untouched, false)] {
        for text in texts {
            assert_eq!(test.is_true(Some(text.as_bytes())), expect, "{change}: {text}");
        }
    }
    assert!(!test.is_true(None), "a null is a null of any type");
}

#[test]
fn what_each_narrowing_touches() {
    check("text -> varchar(4)", &["abcde", "éèêëé"], &["abcd", "éèêë", ""]);
    check("numeric(10,4) -> numeric(6,2)", &["1.005", "12345.00", "NaN"], &["1.5000", "-1234.25", "0.10", "0"]);
    check("bigint -> integer", &["2147483648"], &["2147483647", "-2147483648"]);
    check("int -> int unsigned", &["-1"], &["0"]);
    check("numeric(10,2) -> integer", &["1.50", "3000000000"], &["1.00", "7"]);
    check("varchar(9) -> enum(a,b)", &["c", ""], &["a"]);
    check("text -> integer", &["x", "1.5", ""], &["12", " 12 "]);
    check("text -> boolean", &["maybe"], &["t", "yes", "0"]);
    check("text -> date", &["31/01/2024"], &["2024-01-31"]);
    check("date -> timestamp without time zone", &[], &["2024-01-31"]);
    check("timestamp without time zone -> timestamp with time zone", &[], &["2024-01-31 10:00:00"]);
    check("timestamp with time zone -> timestamp without time zone", &[], &["2024-01-31 10:00:00+00"]);
    check("timestamp without time zone -> date", &[], &["2024-01-31 10:00:00"]);
    check("text -> jsonb", &["{a"], &["{\"a\": 1}"]);
    check("text -> uuid", &["a"], &["A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"]);
    check("integer -> text", &[], &["1"]);
}

#[test]
fn sentences() {
    let check = |test: &Test, touched, looked_at, is_all, expect: &str| {
        assert_eq!(test.sentence(&Counted { touched, looked_at, is_all }), expect);
    };
    check(&Test::LongerThan(40), 112, 40_310, true, "112 of 40,310 rows would be cut at 40 characters");
    check(&Test::NotNull, 1, 1, true, "1 of 1 row has a value");
    check(&Test::NotNull, 999, 100_000, false, "999 of the first 100,000 rows have a value");
    check(&Test::NoValueOf(Type::Int), 0, 1_234_567, true, "0 of 1,234,567 rows have no value of the new type");
    check(&Test::Is("b".into()), 2, 3, true, "2 of 3 rows have 'b'");
    check(
        &Test::NotOfDigits { whole: 6, scale: 2 },
        2,
        3,
        true,
        "2 of 3 rows have more than 6 digits before the point or 2 behind it",
    );
    check(&Test::Null, 2, 3, true, "2 of 3 rows are null");
}

#[test]
fn what_there_is_to_count() {
    let column = || "a".to_owned();
    assert_eq!(Test::of(&Change::ColumnDropped { column: column() }), Some(Test::NotNull));
    assert_eq!(Test::of(&Change::NullRefused { column: column() }), Some(Test::Null));
    let removed = Change::LabelRemoved { column: column(), label: "b".to_owned() };
    assert_eq!(Test::of(&removed), Some(Test::Is("b".to_owned())));
    assert_eq!(Test::of(&Change::TableDropped), None);
    assert_eq!(Test::of(&Change::Rewritten { column: column() }), None);
}
