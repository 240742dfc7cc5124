//! How a mapping stands: what was put back before anybody settled it, and what was decided.

use std::collections::BTreeSet;

use jiff::Timestamp;
use passerelle_change::TableName;

use super::super::{Accepted, Footing, Hints, InForce, Kept, Look, Patch, Reread, Stand};
use super::World;
use crate::mapping::ParentInfo;
use crate::source::table::TableFacts;

const COLUMNS: &str = "id integer key; name text; phone varchar(40); fax varchar(40)";

fn world() -> World {
    World::new("", "LastName = \"name\"\nPhone = \"phone\"", COLUMNS)
}

fn no_parent(_: &str) -> Option<ParentInfo> {
    None
}

/// How it stands to a table as it is now, when it is written by this revision.
fn stands(world: &World, kept: Kept, now: Option<&TableFacts>, hints: &Hints<'_>, written: u64) -> Footing {
    let look = Look {
        mapping: &world.mapping,
        written,
        table: now,
        hints,
        children: &[],
        parents: &no_parent,
        time_zone: "UTC",
        now: Timestamp::UNIX_EPOCH,
        relation: None,
        whole: &|_, _| Ok(()),
    };
    look.footing(kept).expect("a footing")
}

fn kept(footing: Footing) -> Kept {
    Kept { accepted: Some(footing.accepted), pending: footing.pending, decided: None }
}

/// Accepted for the table as the world has it.
fn accepted(world: &World) -> Kept {
    let accepted = Accepted { table: world.table.clone(), written: 1, patch: Patch::default() };
    Kept { accepted: Some(accepted), pending: None, decided: None }
}

/// It stands by each table in turn; how it stands to the last.
fn by(world: &World, tables: &[Option<&str>]) -> Footing {
    let mut known = accepted(world);
    let mut last = None;
    for now in tables {
        let now = now.map(|columns| world.now(columns));
        let footing = stands(world, known, now.as_ref(), &Hints::default(), 1);
        known = kept(footing.clone());
        last = Some(footing);
    }
    last.expect("a table")
}

fn columns(names: &[&str]) -> BTreeSet<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

#[test]
fn what_was_put_back_is_read_again() {
    let world = world();
    let narrowed = COLUMNS.replace("phone varchar(40)", "phone varchar(3)");
    let footing = by(&world, &[Some(&narrowed), Some(COLUMNS)]);
    assert_eq!((footing.stand, footing.reread.columns), (Stand::Fits, columns(&["phone"])));
    let renamed = COLUMNS.replace("phone", "tel");
    let footing = by(&world, &[Some(&renamed), Some(COLUMNS)]);
    assert_eq!((footing.stand, footing.reread.columns), (Stand::Fits, columns(&["phone"])));
    let footing = by(&world, &[None, Some(COLUMNS)]);
    assert_eq!((footing.stand, footing.reread.replaced), (Stand::Fits, true), "the table was away");
    let footing = by(&world, &[Some(COLUMNS)]);
    assert_eq!(footing.reread, Reread::default(), "nothing has happened");
}

#[test]
fn what_was_put_back_is_not_forgotten_for_what_was_not() {
    let world = world();
    let both = COLUMNS.replace("phone varchar(40)", "phone varchar(3)").replace("name text", "name varchar(9)");
    let one = COLUMNS.replace("name text", "name varchar(9)");
    let footing = by(&world, &[Some(&both), Some(&one)]);
    assert!(matches!(footing.stand, Stand::Held(_)));
    assert_eq!(footing.pending.as_ref().map(|pending| pending.put_back.columns.clone()), Some(columns(&["phone"])));
    let table = world.now(&one);
    let decided = InForce { patch: Patch::default(), reload: columns(&["name"]), table: table.clone(), written: 1 };
    let known = Kept { decided: Some(decided), ..kept(footing) };
    let footing = stands(&world, known, Some(&table), &Hints::default(), 1);
    assert_eq!((footing.stand, footing.reread.columns), (Stand::Fits, columns(&["name", "phone"])));
}

#[test]
fn a_mapping_that_was_written_anew_has_read_again_what_the_log_did_not_tell() {
    let world = world();
    let table = world.now(&COLUMNS.replace("phone varchar(40)", "phone varchar(40) #9"));
    let footing = stands(&world, accepted(&world), Some(&table), &Hints::default(), 2);
    assert_eq!((footing.stand, footing.reread.columns), (Stand::Fits, columns(&["phone"])));
}

#[test]
fn a_decision_is_overtaken_by_what_came_behind_it_only() {
    let world = world();
    let mut table = world.now(COLUMNS);
    table.object = Some(1);
    let hints =
        Hints { renamed_table: Some(TableName { schema: "public".into(), name: "former".into() }), ..Hints::default() };
    let decided = InForce { patch: Patch::default(), reload: columns(&["phone"]), table: table.clone(), written: 1 };
    let known = Kept { decided: Some(decided), ..accepted(&world) };
    let footing = stands(&world, known.clone(), Some(&table), &hints, 1);
    assert_eq!((footing.stand, footing.reread.replaced), (Stand::Fits, true), "the old one is known to have gone");
    let narrowed =
        TableFacts { object: Some(1), ..world.now(&COLUMNS.replace("phone varchar(40)", "phone varchar(3)")) };
    let footing = stands(&world, known, Some(&narrowed), &hints, 1);
    assert!(matches!(footing.stand, Stand::Held(_)));
}
