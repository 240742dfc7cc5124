//! Indexes of related rows as they are kept: marks, dependents, lines, and what is forgotten.

use passerelle_change::{Micros, Position, Seq};
use passerelle_state::{
    DeliveryBatch, Dependent, Durability, FanOut, Indexed, JoinKey, MappingId, RelatedRow, RelationId, Since, Store,
};

const MAPPING: MappingId = MappingId(3);
const RELATION: RelationId = RelationId(7);

fn since(seq: u64) -> Since {
    Since { seq: Seq(seq), position: Position::new(format!("0/{seq}")), committed_at: Micros(seq as i64) }
}

/// Writes what `fill` puts in a batch.
fn write(store: &Store, fill: impl FnOnce(&mut DeliveryBatch<'_>)) {
    let mut batch = DeliveryBatch::new(store);
    fill(&mut batch);
    store.write_delivery(batch, Durability::WithTheNext).expect("writable");
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(folder.path()).expect("a store");
    (folder, store)
}

fn at(key: &str) -> JoinKey {
    (RELATION, key.as_bytes().to_vec())
}

fn record(row_key: &str) -> Dependent {
    Dependent::Record { mapping: MAPPING, row_key: row_key.as_bytes().to_vec() }
}

#[test]
fn a_marked_row_stands_in_line_once_and_stays_when_it_is_marked_again() {
    let (_folder, store) = store();
    write(&store, |batch| batch.mark(MAPPING, b"b", Some(&since(9)), 5).unwrap());
    write(&store, |batch| batch.mark(MAPPING, b"a", Some(&since(5)), 9).unwrap());
    write(&store, |batch| batch.mark(MAPPING, b"c", None, 1).unwrap());
    let line = || -> Vec<String> {
        let marked = store.marked(MAPPING, None, 10).unwrap();
        marked.iter().map(|marked| format!("{} {}", String::from_utf8_lossy(&marked.row_key), marked.number)).collect()
    };
    assert_eq!(line(), ["c 1", "b 1", "a 1"], "in the order in which they were marked");
    assert_eq!(store.mapping_since(MAPPING).unwrap(), Some(since(5)), "the oldest of them holds `delivered` back");
    // One of many dependents is told late of an old change.
    write(&store, |batch| batch.mark(MAPPING, b"a", Some(&since(3)), 20).unwrap());
    assert_eq!(store.mapping_since(MAPPING).unwrap(), Some(since(3)));
    assert_eq!(line(), ["c 1", "b 1", "a 2"]);
    let first = store.marked(MAPPING, None, 10).unwrap().remove(1);
    write(&store, |batch| batch.mark(MAPPING, b"b", Some(&since(12)), 12).unwrap());
    write(&store, |batch| batch.unmark(MAPPING, &first).unwrap());
    assert_eq!(line(), ["c 1", "b 2", "a 2"], "it was marked again while it was looked at");
    let again = store.marked(MAPPING, None, 10).unwrap().remove(1);
    write(&store, |batch| batch.unmark(MAPPING, &again).unwrap());
    assert_eq!((line(), store.marked_count(MAPPING, 10).unwrap()), (vec!["c 1".to_owned(), "a 2".to_owned()], 2));
    let rest = store.marked(MAPPING, Some((1, b"c")), 10).unwrap();
    assert_eq!(rest.len(), 1, "after the first");
}

#[test]
fn what_a_record_was_evaluated_with_finds_it() {
    let (_folder, store) = store();
    write(&store, |batch| batch.needs(&record("p1"), &[], &[at("fr"), at("x")]));
    write(&store, |batch| batch.needs(&record("p2"), &[], &[at("fr")]));
    let of = |key: &str| -> Vec<Dependent> {
        store.dependents(&at(key), None, 10).unwrap().into_iter().map(|(_, dependent)| dependent).collect()
    };
    assert_eq!(of("fr"), [record("p1"), record("p2")]);
    let before = store.needs(&record("p1")).unwrap();
    assert_eq!(before, [at("fr"), at("x")]);
    write(&store, |batch| batch.needs(&record("p1"), &before, &[at("x"), at("de")]));
    assert_eq!((of("fr"), of("x"), of("de")), (vec![record("p2")], vec![record("p1")], vec![record("p1")]));
    let entry = Dependent::Entry { relation: RelationId(8), branch: 1, row_key: vec![0, 255] };
    write(&store, |batch| batch.needs(&entry, &[], &[at("fr")]));
    let all = store.dependents(&at("fr"), None, 10).unwrap();
    assert_eq!(all.iter().map(|(_, dependent)| dependent.clone()).collect::<Vec<_>>(), [record("p2"), entry.clone()]);
    assert_eq!(store.dependents(&at("fr"), Some(&all[0].0), 10).unwrap(), [all[1].clone()], "from where it was left");
    assert_eq!(of("f"), [], "a key that begins another is another");
}

#[test]
fn rows_of_a_join_key_come_in_their_order_and_lines_both_ways() {
    let (_folder, store) = store();
    let row = |name: &str| RelatedRow { branch: 0, row_key: name.as_bytes().to_vec(), holds: Vec::new() };
    let indexed = |order: &str| Indexed { key: b"k".to_vec(), order: order.as_bytes().to_vec(), holds: Vec::new() };
    for (order, name) in [("2", "a"), ("1", "z"), ("1", "b")] {
        write(&store, |batch| batch.related_row(RELATION, &indexed(order), &row(name), true));
    }
    let rows = || {
        let mut rows = Vec::new();
        let visit = |row: RelatedRow| {
            rows.push(String::from_utf8_lossy(&row.row_key).into_owned());
            true
        };
        store.related_rows(&at("k"), visit).unwrap();
        rows.join(" ")
    };
    assert_eq!(rows(), "b z a");
    write(&store, |batch| batch.related_row(RELATION, &indexed("1"), &row("b"), false));
    assert_eq!(rows(), "z a");

    for (sort, name) in [("10", "x"), ("20", "y"), ("20", "w")] {
        write(&store, |batch| batch.line(&at("k"), (3, sort.as_bytes()), (0, name.as_bytes()), Some(name.as_bytes())));
    }
    let lines = |from: &str, backwards: bool, but: Option<(u8, &[u8])>| {
        let mut found = Vec::new();
        let mut visit = |sort: &[u8], value: &[u8]| {
            found.push(format!("{}{}", String::from_utf8_lossy(sort), String::from_utf8_lossy(value)));
            true
        };
        store.lines_but(&at("k"), 3, (from.as_bytes(), backwards), but, &mut visit).unwrap();
        found.join(" ")
    };
    assert_eq!(lines("", false, None), "10x 20w 20y");
    assert_eq!(lines("", true, None), "20y 20w 10x");
    assert_eq!(lines("20", false, Some((0, b"w"))), "20y");
}

#[test]
fn a_relation_that_is_forgotten_leaves_nothing_and_its_number_is_not_given_again() {
    let (_folder, store) = store();
    let one = store.relation_id(MAPPING, "country#1").unwrap();
    let two = store.relation_id(MAPPING, "country#2").unwrap();
    assert_ne!(one, two);
    assert_eq!(store.relation_id(MAPPING, "country#1").unwrap(), one);
    assert_eq!(store.relations_of(MAPPING).unwrap().len(), 2);
    let at = (one, b"k".to_vec());
    write(&store, |batch| {
        batch.indexed(one, 0, b"r", Some(&Indexed::default()));
        batch.group(&at, Some(&7_u32));
        batch.fan_out(&at, Some(&FanOut { since: Some(since(3)), after: None }));
        batch.needs(&record("p"), &[], std::slice::from_ref(&at));
        batch.expiry(&at, None, Some(-5));
    });
    assert_eq!(store.mapping_since(MAPPING).unwrap(), Some(since(3)), "dependents that are still to be told count");
    assert_eq!(store.expired(one, -5, 10).unwrap(), (vec![at.clone()], None));
    assert_eq!(store.expired(one, -6, 10).unwrap(), (vec![], Some(-5)));
    store.forget_relation(one).unwrap();
    store.forget_relation_name(MAPPING, "country#1").unwrap();
    assert_eq!(store.indexed(one, 0, b"r").unwrap(), None);
    assert_eq!(store.group::<u32>(&at).unwrap(), None);
    assert_eq!(store.dependents(&at, None, 10).unwrap(), []);
    assert_eq!(store.expired(one, 0, 10).unwrap(), (vec![], None));
    assert_eq!(store.mapping_since(MAPPING).unwrap(), None);
    let three = store.relation_id(MAPPING, "country#1").unwrap();
    assert!(three != one && three != two);
}
