//! Which schemas of the log are strange.

use passerelle_change::{Batch, Column, ColumnId, Event, Op, Position, Seq, TableName, TableSchema, Type};
use passerelle_state::{KnownSchema, drift};

use super::{BOUNDS, Fitting, Input, LANE, Parts, Running, TABLE, begin, end, folder, row};

/// The key and these columns.
fn schema(columns: &[(u32, &str)]) -> TableSchema {
    let column = |&(id, name): &(u32, &str)| Column {
        id: ColumnId(id),
        name: name.to_owned(),
        ty: Type::Int,
        type_name: "int".to_owned(),
        nullable: false,
    };
    let columns = [&[(1, "id")], columns].concat().iter().map(column).collect();
    let name = TableName { schema: "s".to_owned(), name: "t".to_owned() };
    TableSchema { table: TABLE, name, columns, key: vec!["id".to_owned()] }
}

fn with_phone() -> TableSchema {
    schema(&[(2, "phone")])
}

fn without() -> TableSchema {
    schema(&[])
}

/// A mapping that was accepted for these, each with its end.
fn fitting(known: &[(&TableSchema, Option<&str>)]) -> Fitting {
    let columns = ["id", "phone"].map(str::to_owned).into();
    let one = |&(schema, until): &(&TableSchema, Option<&str>)| KnownSchema {
        schema: drift::fingerprint(schema, &columns),
        until: until.map(Position::new),
    };
    let known = known.iter().map(one).collect();
    let has_passed = |at: &Position, mark: &Position| at.as_str() >= mark.as_str();
    Fitting { mapping: LANE, columns, known, has_passed }
}

/// Shows a schema at a place of the log, with a row behind it; whether it was noted as strange just before that row.
fn is_strange(running: &Running, schema: &TableSchema, behind: &str, transaction: u64) -> bool {
    let before = running.checkpoint().seq;
    let mut batch = Batch::new();
    begin(&mut batch, transaction);
    batch.push(Event::Schema { schema: schema.clone(), behind: Some(Position::new(behind)) });
    row(&mut batch, 1, Op::Full, &[(1, "1")], None);
    end(&mut batch, transaction);
    running.send(batch);
    running.settle();
    let strange = running.store.strange(LANE).expect("readable");
    strange.is_some_and(|strange| strange.seq == before)
}

#[test]
fn an_older_schema_is_strange_behind_the_place_where_it_ended() {
    for parts in [Parts::Final, Parts::Tentative] {
        let fits = vec![fitting(&[(&with_phone(), Some("0/20")), (&without(), None)])];
        let running = Running::start_fitting(&folder(), parts, BOUNDS, fits);
        assert!(!is_strange(&running, &with_phone(), "0/10", 16), "of the log that was before");
        assert!(!is_strange(&running, &without(), "0/18", 24));
        assert!(!is_strange(&running, &with_phone(), "0/1F", 31), "just before its end");
        assert!(is_strange(&running, &with_phone(), "0/20", 33), "it has come again");
        assert!(!is_strange(&running, &without(), "0/30", 48), "the newest never ends");
        assert!(is_strange(&running, &with_phone(), "0/40", 64));
        assert!(is_strange(&running, &schema(&[(3, "phone")]), "0/10", 65), "nobody knows it");
        running.stop();
    }
}

#[test]
fn a_schema_without_an_end_is_known_wherever_the_log_is() {
    let fits = vec![fitting(&[(&with_phone(), None), (&without(), None)])];
    let running = Running::start_fitting(&folder(), Parts::Final, BOUNDS, fits);
    assert!(!is_strange(&running, &with_phone(), "0/40", 64));
    assert!(!is_strange(&running, &without(), "0/50", 80));
    running.stop();
}

#[test]
fn a_schema_of_rows_from_elsewhere_is_of_no_certain_time() {
    let fits = vec![fitting(&[(&with_phone(), Some("0/20")), (&without(), None)])];
    let running = Running::start_fitting(&folder(), Parts::Final, BOUNDS, fits);
    let load =
        passerelle_state::Load { number: 1, low: Seq(0), columns: vec![1], stage: passerelle_state::LoadStage::Wanted };
    let mut batch = Batch::new();
    batch.push(Event::Schema { schema: with_phone(), behind: None });
    running.input.blocking_send(Input::Loaded { load: load.into(), table: TABLE, batch }).expect("capture runs");
    running.settle();
    assert_eq!(running.store.strange(LANE).expect("readable"), None);
    running.stop();
}
