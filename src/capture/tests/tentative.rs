//! A log that takes back: what is held, what is spooled, what a restart makes of it.

use passerelle_change::Suspicion;

use super::*;

/// Room for next to nothing: everything that is not at its end when its batch is over goes to the spool.
const TIGHT: Bounds = Bounds { batch_bytes: 600, held_bytes: 0, part_bytes: 400, batches: u64::MAX };

fn start(folder: &Arc<tempfile::TempDir>, bounds: Bounds) -> Running {
    Running::start_with(folder, Parts::Tentative, bounds)
}

fn full(batch: &mut Batch, key: i64, text: &str) {
    row(batch, key, Op::Full, &[(1, text)], None);
}

fn prepared(batch: &mut Batch, name: &[u8], transaction: u64) {
    let name = batch.pack(|out| out.extend_from_slice(name));
    let position = Position::new(format!("0/{transaction:X}"));
    batch.push(Event::Prepared { name, position, committed_at: Micros(transaction as i64) });
}

fn decided(batch: &mut Batch, transaction: u64, name: &[u8], committed: bool) {
    begin(batch, transaction);
    let name = batch.pack(|out| out.extend_from_slice(name));
    batch.push(Event::Decided { name, committed });
    end(batch, transaction);
}

/// Sends a transaction row by row, each in a batch of its own, without its end.
fn row_by_row(running: &Running, transaction: u64, keys: std::ops::Range<i64>) -> bool {
    let mut batch = Batch::new();
    begin(&mut batch, transaction);
    for key in keys {
        full(&mut batch, key, "x");
        if running.input.blocking_send(Input::Stream(std::mem::take(&mut batch))).is_err() {
            return false;
        }
    }
    true
}

#[test]
fn nothing_of_a_transaction_is_there_before_its_end() {
    for bounds in [BOUNDS, TIGHT] {
        let running = start(&folder(), bounds);
        let mut batch = Batch::new();
        begin(&mut batch, 16);
        full(&mut batch, 1, "one");
        end(&mut batch, 16);
        running.send(batch);
        row_by_row(&running, 32, 2..5);
        let seen = running.gate.between_transactions(|_| running.store.view()).expect("nothing is folded in part");
        assert_eq!(seen.row(TABLE, &encoded(2)).expect("readable"), None);
        drop(seen);
        assert!(running.store.spools(running.source).expect("readable").len() <= usize::from(bounds.held_bytes == 0));
        let mut batch = Batch::new();
        end(&mut batch, 32);
        running.send(batch);
        assert_eq!(running.settle(), Some(Position::new("0/20")));
        assert_eq!(running.row(1), Some((Standing::Full, 1, "one".into())));
        assert_eq!(running.row(4), Some((Standing::Full, 4, "x".into())));
        assert_eq!(running.checkpoint().open, None);
        assert_eq!(running.store.spools(running.source).expect("readable"), [], "the spool is folded and gone");
        assert_eq!(running.durable.borrow().rows, 4);
        running.stop();
    }
}

#[test]
fn x_11_a_transaction_that_is_durable_is_folded_to_its_end_without_the_log() {
    let (mut went_on, mut in_the_middle) = (0, 0);
    // How much a batch holds is a matter of time, and so is where a life ends.
    for _ in 0..20 {
        let (more, middle) = killed_batch_by_batch();
        went_on += more;
        in_the_middle += middle;
        if went_on > 2 && in_the_middle > 1 {
            return;
        }
    }
    panic!("cut short {went_on} times, {in_the_middle} of them in the middle");
}

/// Kills capture after ever more batches until a transaction is folded; how often it was killed while folding was under way,
/// and how often in the middle of it.
fn killed_batch_by_batch() -> (u32, u32) {
    let folder = folder();
    let (mut went_on, mut in_the_middle) = (0, 0);
    for life in 1.. {
        let store = Store::open(folder.path()).expect("a store");
        let source = store.source_id("erp").expect("a number");
        let is_folding = store.folding(source).expect("readable").is_some();
        let is_open = store.checkpoint(source).expect("readable").is_some_and(|checkpoint| checkpoint.open.is_some());
        drop(store);
        assert!(is_folding || !is_open, "only what is durable as a whole is folded in part");
        went_on += u32::from(is_folding);
        in_the_middle += u32::from(is_open);
        let batches = if is_folding { 1 } else { life };
        let running = start(&folder, Bounds { batches, batch_bytes: 200, ..TIGHT });
        let settled = running.settled();
        if settled == Some(Position::new("0/20")) {
            // All of it is there, although nothing more was sent.
            let seqs: Vec<_> = (1..=20).map(|key| running.row(key).map(|row| row.1)).collect();
            assert_eq!(seqs, (1..=20).map(Some).collect::<Vec<_>>(), "each was folded once");
            assert_eq!(running.store.spools(running.source).expect("readable"), []);
            assert_eq!(running.queued().len(), 20);
            running.stop();
            break;
        }
        if !is_folding && settled.is_some() && row_by_row(&running, 32, 1..21) {
            let mut batch = Batch::new();
            end(&mut batch, 32);
            // It is killed by now, or about to be.
            let _ = running.input.blocking_send(Input::Stream(batch));
            let _ = running.settled();
        }
        let is_seen = running.gate.between_transactions(|_| ()).is_some();
        let is_whole = running.checkpoint().position == Position::new("0/20");
        assert!(!is_open || !is_seen || is_whole, "nothing is seen in the middle");
        drop(running.input);
        let _ = running.thread.join().expect("no panic");
    }
    (went_on, in_the_middle)
}

#[test]
fn my_28_a_prepared_transaction_is_held_over_restarts_until_it_is_decided() {
    for bounds in [BOUNDS, TIGHT] {
        let folder = folder();
        let running = start(&folder, bounds);
        for (transaction, name, key) in [(16, b"kept", 1), (32, b"lost", 2)] {
            let mut batch = Batch::new();
            begin(&mut batch, transaction);
            full(&mut batch, key, "held");
            prepared(&mut batch, name, transaction);
            running.send(batch);
        }
        assert_eq!(running.settle(), Some(Position::new("0/20")), "the checkpoint is past them");
        assert_eq!(running.row(1), None);
        running.stop();

        let running = start(&folder, bounds);
        let held = running.store.all_prepared(running.source, 10).expect("readable");
        let listed: Vec<_> = held.iter().map(|(name, held)| (name.as_slice(), held.rows, held.prepared_at)).collect();
        assert_eq!(listed, [(&b"kept"[..], 1, Micros(16)), (b"lost", 1, Micros(32))]);
        assert!(held.iter().all(|(_, held)| held.bytes > 0));
        let mut batch = Batch::new();
        begin(&mut batch, 48);
        full(&mut batch, 1, "between");
        end(&mut batch, 48);
        decided(&mut batch, 64, b"kept", true);
        decided(&mut batch, 80, b"lost", false);
        running.send(batch);
        running.settle();
        assert_eq!(running.row(1), Some((Standing::Full, 2, "held".into())), "it happened when it was committed");
        assert_eq!(running.row(2), None);
        assert_eq!(running.store.all_prepared(running.source, 10).expect("readable"), []);
        assert_eq!(running.store.spools(running.source).expect("readable"), []);
        assert_eq!(running.store.suspected(TABLE).expect("readable"), None);
        running.stop();
    }
}

#[test]
fn my_28_what_was_prepared_before_anything_was_read_makes_tables_suspect() {
    let running = start(&folder(), BOUNDS);
    let mut batch = Batch::new();
    decided(&mut batch, 16, b"unknown", false);
    running.send(batch);
    running.settle();
    assert_eq!(running.store.suspected(TABLE).expect("readable"), None, "what never happened changes nothing");
    let mut batch = Batch::new();
    decided(&mut batch, 32, b"unknown", true);
    running.send(batch);
    running.settle();
    let suspected = running.store.suspected(TABLE).expect("readable").expect("to be read again");
    assert_eq!(suspected.why, Suspicion::NeverPrepared);
    running.stop();
}

#[test]
fn my_29_my_30_what_the_log_takes_back_never_was() {
    for bounds in [BOUNDS, TIGHT] {
        let running = start(&folder(), bounds);
        row_by_row(&running, 16, 1..5);
        let mut batch = Batch::new();
        batch.push(Event::Undo { kept: 2 });
        full(&mut batch, 9, "after");
        end(&mut batch, 16);
        running.send(batch);
        row_by_row(&running, 32, 5..8);
        let mut batch = Batch::new();
        batch.push(Event::Undo { kept: 0 });
        batch.push(Event::Suspect { table: TABLE, key: None, why: Suspicion::RolledBack });
        end(&mut batch, 32);
        running.send(batch);
        running.settle();
        let there: Vec<i64> = (1..10).filter(|key| running.row(*key).is_some()).collect();
        assert_eq!(there, [1, 2, 9]);
        assert!(running.store.suspected(TABLE).expect("readable").is_some(), "what was suspected stays");
        assert_eq!(running.store.spools(running.source).expect("readable"), []);
        running.stop();
    }
}

#[test]
fn my_04_a_transaction_without_an_end_is_dropped() {
    for bounds in [BOUNDS, TIGHT] {
        let folder = folder();
        let running = start(&folder, bounds);
        row_by_row(&running, 16, 1..4);
        let mut batch = Batch::new();
        begin(&mut batch, 32);
        full(&mut batch, 7, "whole");
        end(&mut batch, 32);
        running.send(batch);
        row_by_row(&running, 48, 4..7);
        running.settle();
        assert_eq!(running.store.spools(running.source).expect("readable"), [], "a new connection begins it anew");
        row_by_row(&running, 48, 4..7);
        running.stop();
        let running = start(&folder, bounds);
        running.settle();
        assert_eq!(running.store.spools(running.source).expect("readable"), [], "and a start does");
        let there: Vec<i64> = (1..10).filter(|key| running.row(*key).is_some()).collect();
        assert_eq!(there, [7]);
        assert_eq!(running.checkpoint().position, Position::new("0/20"));
        running.stop();
    }
}

#[test]
fn what_stands_outside_a_transaction_is_refused() {
    let name = Batch::new().pack(|_| {});
    let position = Position::new("0/10");
    for event in [
        Event::Truncate(TABLE),
        Event::Undo { kept: 0 },
        Event::Decided { name, committed: true },
        Event::End { position: position.clone(), committed_at: Micros(0) },
        Event::Prepared { name, position, committed_at: Micros(0) },
    ] {
        let running = start(&folder(), BOUNDS);
        let mut batch = Batch::new();
        batch.push(event);
        running.send(batch);
        assert!(matches!(running.thread.join().expect("no panic"), Err(super::super::CaptureError::OutOfStep(_))));
    }
}
