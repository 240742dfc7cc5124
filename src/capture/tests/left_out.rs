//! Rows that nobody wants, while a load brings rows as they were.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use passerelle_change::{Batch, Column, ColumnId, Event, Op, Position, Seq, TableName, TableSchema, Type};
use passerelle_state::{Load, LoadStage, Standing};

use super::{BOUNDS, Input, Parts, Running, TABLE, WantedRows, begin, end, folder, row};

/// Capture of a table of which the rows called `phone` are wanted.
fn running() -> Running {
    let wanted = WantedRows { column: "name".to_owned(), values: BTreeSet::from(["phone".to_owned()]) };
    let running = Running::start_for(&folder(), Parts::Final, BOUNDS, (Vec::new(), BTreeMap::from([(TABLE, wanted)])));
    let column = Column {
        id: ColumnId(1),
        name: "name".to_owned(),
        ty: Type::Text { max_chars: None },
        type_name: "text".to_owned(),
        nullable: true,
    };
    let name = TableName { schema: "s".to_owned(), name: "t".to_owned() };
    let schema = TableSchema { table: TABLE, name, columns: vec![column], key: vec!["id".to_owned()] };
    let mut batch = Batch::new();
    batch.push(Event::Schema { schema, behind: None });
    running.send(batch);
    running
}

/// What the log says of three rows: one takes a name that nobody wants, one goes, one comes and is not wanted.
fn told(running: &Running) {
    let mut batch = Batch::new();
    begin(&mut batch, 16);
    row(&mut batch, 1, Op::Full, &[(1, "session")], None);
    row(&mut batch, 2, Op::Gone, &[], None);
    row(&mut batch, 3, Op::Full, &[(1, "cart")], None);
    end(&mut batch, 16);
    running.send(batch);
    running.settle();
}

#[test]
fn what_a_load_brings_late_does_not_bring_back_what_the_log_has_ended() {
    let running = running();
    running.input.blocking_send(Input::Loading(TABLE)).expect("capture runs");
    told(&running);
    // The load began before, and saw the first two as they were.
    let load = Load { number: 1, low: Seq::ZERO, columns: vec![1], stage: LoadStage::Wanted };
    let mut batch = Batch::new();
    row(&mut batch, 1, Op::Full, &[(1, "phone")], None);
    row(&mut batch, 2, Op::Full, &[(1, "phone")], None);
    row(&mut batch, 4, Op::Full, &[(1, "phone")], None);
    row(&mut batch, 5, Op::Full, &[(1, "cart")], None);
    let loaded = Input::Loaded { load: Arc::new(load.clone()), table: TABLE, batch };
    running.input.blocking_send(loaded).expect("capture runs");
    running.settle();
    let standing = |key| running.row(key).map(|row| row.0);
    assert_eq!(standing(1), Some(Standing::Gone));
    assert_eq!(standing(2), Some(Standing::Gone));
    assert_eq!(standing(4), Some(Standing::Full));
    assert_eq!(standing(5), None);
    let done = Load { stage: LoadStage::Loaded { high: Position::new("0/10"), rows: 4 }, ..load };
    running.input.blocking_send(Input::Load { table: TABLE, load: done }).expect("capture runs");
    running.settle();
    running.stop();
}

#[test]
fn what_nobody_wants_leaves_nothing_behind() {
    let running = running();
    told(&running);
    assert_eq!([1, 2, 3].map(|key| running.row(key)), [None, None, None]);
    assert!(running.queued().is_empty());
    assert_eq!(running.checkpoint().position, Position::new("0/10"), "the checkpoint has passed them");
    running.stop();
}
