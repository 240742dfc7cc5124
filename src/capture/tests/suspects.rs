//! What is to be read again, and what ends it.

use passerelle_change::Suspicion;
use passerelle_state::{Load, LoadStage};

use super::*;

fn suspect(batch: &mut Batch, key: Option<i64>, why: Suspicion) {
    let key = key.map(|key| batch.pack(|out| out.extend(encoded(key))));
    batch.push(Event::Suspect { table: TABLE, key, why });
}

fn loaded(running: &Running, number: u32, low: u64) {
    let stage = LoadStage::Loaded { high: Position::new("0/1"), rows: 0 };
    let load = Load { number, low: Seq(low), columns: vec![1, 2], stage };
    running.input.blocking_send(Input::Load { table: TABLE, load }).expect("capture runs");
    running.settle();
}

/// A row of which the log has a part, and that is to be read again.
fn doubtful(parts: Parts) -> Running {
    let running = Running::start_with(&folder(), parts, BOUNDS);
    let mut batch = Batch::new();
    begin(&mut batch, 16);
    row(&mut batch, 1, Op::Full, &[(1, "name"), (2, "document")], None);
    row(&mut batch, 1, Op::Partial, &[(1, "new")], None);
    suspect(&mut batch, Some(1), Suspicion::PartOfDocument);
    end(&mut batch, 16);
    running.send(batch);
    running.settle();
    assert_eq!(running.store.suspected_rows(TABLE, 10).expect("readable"), [encoded(1)]);
    running
}

fn fetched(running: &Running, low: u64) {
    let mut batch = Batch::new();
    row(&mut batch, 1, Op::Full, &[(1, "new"), (2, "changed")], None);
    running.input.blocking_send(Input::Fetched { table: TABLE, low: Seq(low), batch }).expect("capture runs");
    running.settle();
}

#[test]
fn a_table_is_suspect_until_a_load_is_done_that_began_later() {
    let folder = folder();
    let running = Running::start_with(&folder, Parts::Tentative, BOUNDS);
    let mut batch = Batch::new();
    begin(&mut batch, 16);
    row(&mut batch, 1, Op::Full, &[(1, "a")], None);
    suspect(&mut batch, None, Suspicion::Replaced);
    end(&mut batch, 16);
    suspect(&mut batch, None, Suspicion::ForeignKey);
    running.send(batch);
    running.settle();
    let suspected = running.store.suspected(TABLE).expect("readable").expect("suspect");
    assert_eq!((suspected.seq, suspected.why), (Seq(3), Suspicion::Replaced), "what holds deliveries goes on doing so");
    loaded(&running, 1, 2);
    assert!(running.store.suspected(TABLE).expect("readable").is_some(), "it began before");
    running.stop();

    let running = Running::start_with(&folder, Parts::Tentative, BOUNDS);
    loaded(&running, 2, 3);
    assert_eq!(running.store.suspected(TABLE).expect("readable"), None);
    running.stop();
}

#[test]
fn my_57_a_suspect_row_is_replaced_by_what_was_fetched_later() {
    for parts in [Parts::Final, Parts::Tentative] {
        let running = doubtful(parts);
        fetched(&running, 2);
        assert_eq!(running.row(1), Some((Standing::Full, 3, "new changed".into())));
        assert_eq!(running.store.suspected_rows(TABLE, 10).expect("readable"), [[0; 0]; 0]);
        let named = running.store.view().queued(LANE, Generation(9), None, 10).expect("readable");
        assert_eq!(named.iter().map(|entry| entry.seq).collect::<Vec<_>>(), [Seq(3)], "delivery looks at it");
        running.stop();
    }
}

#[test]
fn my_57_what_was_fetched_before_replaces_nothing() {
    let running = doubtful(Parts::Tentative);
    fetched(&running, 1);
    assert_eq!(running.row(1), Some((Standing::Full, 2, "new document".into())));
    let mut batch = Batch::new();
    begin(&mut batch, 32);
    row(&mut batch, 1, Op::Partial, &[(1, "newest")], None);
    end(&mut batch, 32);
    running.send(batch);
    fetched(&running, 2);
    assert_eq!(running.row(1), Some((Standing::Full, 3, "newest document".into())), "it has changed since");
    assert_eq!(running.store.suspected_rows(TABLE, 10).expect("readable"), [encoded(1)], "it is fetched once more");
    running.stop();
}

#[test]
fn a_suspect_row_that_is_not_in_the_source_is_gone() {
    let running = doubtful(Parts::Tentative);
    let missing = |low| {
        let missing = Input::Missing { table: TABLE, low: Seq(low), keys: vec![encoded(1), encoded(2)] };
        running.input.blocking_send(missing).expect("capture runs");
        running.settle();
        running.row(1).map(|row| row.0)
    };
    assert_eq!(missing(1), Some(Standing::Full), "it may have come since");
    assert_eq!(missing(2), Some(Standing::Gone));
    assert_eq!(running.store.suspected_rows(TABLE, 10).expect("readable"), [[0; 0]; 0]);
    running.stop();
}
