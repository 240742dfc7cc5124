//! The store as capture and delivery use it: one batch, one view, one lock.

use std::collections::BTreeMap;

use passerelle_change::{CellsBuf, ColumnId, Micros, Op, Position, Seq, TableId};
use passerelle_state::{
    CaptureBatch, Checkpoint, DeliveryBatch, Durability, Found, Gate, Generation, Hope, Load, LoadStage, MappingId,
    Parked, ParkedWhy, Standing, StateError, Store, Unkept,
};

const TABLE: TableId = TableId(1);
const LANE: MappingId = MappingId(1);

fn open(folder: &tempfile::TempDir) -> Store {
    Store::open(folder.path()).expect("a store")
}

fn gate(store: &Store) -> Gate {
    let gate = Gate::default();
    gate.add(LANE, store.next_generation(LANE).expect("a generation"));
    gate
}

fn cells(text: &str) -> CellsBuf {
    let mut cells = CellsBuf::new();
    cells.push(ColumnId(1), Some(text.as_bytes()));
    cells
}

/// Writes one transaction that sets `rows` to `text`.
fn commit(store: &Store, gate: &Gate, rows: &[&str], text: &str, seq: u64) {
    let mut batch = CaptureBatch::begin(store, gate, true, BTreeMap::new());
    let (position, cells) = (Position::new(format!("0/{seq:X}")), cells(text));
    for row in rows {
        batch.row(TABLE, row.as_bytes(), Op::Full, Seq(seq), cells.as_cells());
        batch.enqueue(LANE, row.as_bytes(), Seq(seq), (&position, Micros(1)));
    }
    let source = store.source_id("erp").expect("a number");
    batch.checkpoint(source, &Checkpoint { position, committed_at: Micros(1), seq: Seq(seq), open: None });
    let (sealed, _) = batch.seal();
    store.write_capture(sealed, gate, true).expect("a write");
}

/// What a view between transactions shows of the lane's closed generations.
fn closed(store: &Store, gate: &Gate) -> Vec<String> {
    gate.between_transactions(|closed| {
        let queued = store.view().queued(LANE, closed[&LANE], None, 100).expect("a lane");
        queued.into_iter().map(|entry| String::from_utf8(entry.row_key).expect("text")).collect()
    })
    .expect("between transactions")
}

#[test]
fn rows_lanes_and_checkpoint_come_together_and_survive_a_restart() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let store = open(&folder);
        let gate = gate(&store);
        commit(&store, &gate, &["a", "b"], "one", 1);
    }
    let store = open(&folder);
    let source = store.source_id("erp").expect("a number");
    assert_eq!(store.checkpoint(source).expect("readable").expect("there").seq, Seq(1));
    let row = store.view().row(TABLE, b"a").expect("readable").expect("there");
    assert_eq!((row.standing, row.cells().get(ColumnId(1))), (Standing::Full, Some(Some(&b"one"[..]))));
    assert_eq!(closed(&store, &gate(&store)), ["a", "b"], "after a restart everything queued is closed");
}

#[test]
fn a_row_that_changes_often_stands_once_in_a_generation() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let gate = gate(&store);
    for seq in 1..=50 {
        commit(&store, &gate, &["a"], &seq.to_string(), seq);
    }
    assert_eq!(store.queued_count(LANE, 100).expect("a count"), 1);
    assert_eq!(closed(&store, &gate), [""; 0], "nothing is closed before it is asked for");
    gate.want(LANE);
    assert_eq!(closed(&store, &gate), ["a"]);
}

#[test]
fn a_change_made_while_its_row_is_drained_is_not_lost() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let gate = gate(&store);
    commit(&store, &gate, &["a"], "one", 1);
    gate.want(LANE);
    let entry = store.view().queued(LANE, Generation(1), None, 10).expect("a lane").remove(0);
    commit(&store, &gate, &["a"], "two", 2);
    let mut batch = DeliveryBatch::new(&store);
    batch.dequeue(LANE, &entry);
    store.write_delivery(batch, Durability::WithTheNext).expect("a write");
    gate.want(LANE);
    assert_eq!(closed(&store, &gate), ["a"], "the second change stands in the next generation");
}

#[test]
fn what_a_mapping_holds_back_is_its_oldest_generation() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let gate = gate(&store);
    assert_eq!(store.mapping_since(LANE).expect("readable"), None);
    commit(&store, &gate, &["a"], "one", 1);
    gate.want(LANE);
    commit(&store, &gate, &["b"], "two", 2);
    let since = store.mapping_since(LANE).expect("readable").expect("something waits");
    assert_eq!((since.seq, since.position.as_str()), (Seq(1), "0/1"));
}

#[test]
fn a_load_under_the_stream_replaces_nothing_newer() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let gate = gate(&store);
    commit(&store, &gate, &["a"], "from the stream", 5);
    let load = Load { number: 1, low: Seq(4), columns: vec![1], stage: LoadStage::Wanted };
    let mut batch = CaptureBatch::begin(&store, &gate, true, BTreeMap::new());
    let loaded = cells("from the table");
    for row in ["a", "b"] {
        batch.loaded(TABLE, row.as_bytes(), &load, loaded.as_cells());
    }
    let (sealed, _) = batch.seal();
    store.write_capture(sealed, &gate, true).expect("a write");
    let text = |row: &[u8]| {
        let row = store.view().row(TABLE, row).expect("readable").expect("there");
        String::from_utf8(row.cells().get(ColumnId(1)).flatten().unwrap_or_default().to_vec()).expect("text")
    };
    assert_eq!((text(b"a"), text(b"b")), ("from the stream".into(), "from the table".into()));
}

#[test]
fn two_daemons_never_have_one_folder() {
    let folder = tempfile::tempdir().expect("a folder");
    let first = open(&folder);
    assert!(matches!(Store::open(folder.path()), Err(StateError::Locked(_))));
    drop(first);
    open(&folder);
}

#[test]
fn damage_is_a_refusal_and_nothing_is_overwritten() {
    let folder = tempfile::tempdir().expect("a folder");
    {
        let store = open(&folder);
        commit(&store, &gate(&store), &["a"], "one", 1);
    }
    let current = folder.path().join("db").join("CURRENT");
    std::fs::write(&current, "MANIFEST-999999\n").expect("a damaged file");
    assert!(matches!(Store::open(folder.path()), Err(StateError::Store(_))));
    assert_eq!(std::fs::read_to_string(&current).expect("still there"), "MANIFEST-999999\n");
}

#[test]
fn numbers_are_given_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let (contacts, accounts) = {
        let store = open(&folder);
        (store.mapping_id("contacts").expect("a number"), store.mapping_id("accounts").expect("a number"))
    };
    let store = open(&folder);
    assert_ne!(contacts, accounts);
    assert_eq!(store.mapping_id("accounts").expect("a number"), accounts);
    assert_ne!(store.mapping_id("orders").expect("a number"), contacts);
}

#[test]
fn numbers_asked_for_side_by_side_are_different() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let names: Vec<String> = (0..8).map(|n| format!("source {n}")).collect();
    for round in 0..50 {
        let given: std::collections::BTreeSet<_> = std::thread::scope(|scope| {
            let ask = |name: &String| store.source_id(&format!("{name} of {round}")).expect("a number").0;
            let asking: Vec<_> = names.iter().map(|name| scope.spawn(move || ask(name))).collect();
            asking.into_iter().map(|thread| thread.join().expect("an answer")).collect()
        });
        assert_eq!(given.len(), names.len(), "in round {round}: {given:?}");
    }
}

#[test]
fn a_row_is_set_aside_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let parked = |attempts| Parked { seq: Seq(1), attempts, since: None, why: ParkedWhy::Again };
    let mut batch = DeliveryBatch::new(&store);
    batch.park(LANE, 10, b"a", &parked(1)).expect("readable");
    batch.park(LANE, 20, b"a", &parked(2)).expect("readable");
    store.write_delivery(batch, Durability::WithTheNext).expect("a write");
    let mut batch = DeliveryBatch::new(&store);
    batch.park(LANE, 30, b"a", &parked(3)).expect("readable");
    batch.unpark(LANE, 20, b"a").expect("readable");
    store.write_delivery(batch, Durability::WithTheNext).expect("a write");
    let due = store.due(LANE, 100, 10).expect("readable");
    assert_eq!(due.iter().map(|row| (row.due, row.parked.attempts)).collect::<Vec<_>>(), [(30, 3)]);
    let mut batch = DeliveryBatch::new(&store);
    batch.unpark(LANE, 30, b"a").expect("readable");
    store.write_delivery(batch, Durability::WithTheNext).expect("a write");
    assert_eq!(store.parked(LANE, b"a").expect("readable"), None);
}

#[test]
fn what_a_row_waits_for_is_kept_and_not_counted_twice() {
    let folder = tempfile::tempdir().expect("a folder");
    let hopes = [Hope { whom: 7, since: 1 }, Hope { whom: 8, since: 2 }];
    {
        let store = open(&folder);
        let mut batch = DeliveryBatch::new(&store);
        batch.hopes(LANE, b"a", &hopes);
        let parked = |why| Parked { seq: Seq(1), attempts: 0, since: None, why };
        batch.park(LANE, 10, b"a", &parked(ParkedWhy::Parent)).expect("readable");
        batch.park(LANE, 20, b"b", &parked(ParkedWhy::Again)).expect("readable");
        store.write_delivery(batch, Durability::Synced).expect("a write");
    }
    let store = open(&folder);
    assert_eq!(store.hopes(LANE, b"a").expect("readable"), hopes);
    assert_eq!(store.hopes(LANE, b"b").expect("readable"), []);
    assert_eq!(store.parked_until(LANE, b"a").expect("readable").map(|(due, _)| due), Some(10));
    assert_eq!(store.parked_count(LANE, 100).expect("readable"), 1);
    let mut batch = DeliveryBatch::new(&store);
    batch.hopes(LANE, b"a", &[]);
    store.write_delivery(batch, Durability::WithTheNext).expect("a write");
    assert_eq!(store.hopes(LANE, b"a").expect("readable"), []);
}

#[test]
fn a_value_is_due_once() {
    let folder = tempfile::tempdir().expect("a folder");
    let store = open(&folder);
    let line = store.line_id("sales", "User", "Email").expect("a number");
    assert_eq!(store.line_id("sales", "user", "EMAIL").expect("a number"), line);
    let known = |found, due| Unkept { found, due, told: 1 };
    let (unasked, one) = (known(Found::Unasked, 0), known(Found::One("005".into()), 50));
    let write = |key: &[u8], before: Option<&Unkept>, now: Option<&Unkept>| {
        let mut batch = DeliveryBatch::new(&store);
        batch.unkept(line, key, before, now);
        store.write_delivery(batch, Durability::WithTheNext).expect("a write");
    };
    let due = |now| {
        let due = store.unkept_due(line, now, 10).expect("readable");
        due.into_iter().map(|(at, key)| format!("{at} {}", String::from_utf8_lossy(&key))).collect::<Vec<_>>()
    };
    write(b"ada", None, Some(&one));
    write(b"bo", None, Some(&unasked));
    // Asked for by several rows of one batch.
    write(b"bo", None, Some(&unasked));
    assert_eq!((due(49), due(50)), (vec!["0 bo".to_owned()], vec!["0 bo".to_owned(), "50 ada".to_owned()]));
    write(b"bo", Some(&unasked), Some(&known(Found::Nothing, 20)));
    assert_eq!((due(19), store.unkept_next_due(line).expect("readable")), (vec![], Some(20)));
    assert_eq!(store.unkept(line, b"ada").expect("readable"), Some(one.clone()));
    write(b"ada", Some(&one), None);
    assert_eq!((store.unkept(line, b"ada").expect("readable"), due(100)), (None, vec!["20 bo".to_owned()]));
}
