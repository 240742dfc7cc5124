//! Whatever happens to a table and whatever is said of it: what goes on can be run.

use jiff::Timestamp;
use proptest::prelude::*;

use super::super::{Decision, Hints, Look, Patch, Verdict, compare, decide, mark, verdict, weigh};
use super::{World, mysql, postgres};
use crate::config::model::OnDrift;
use crate::source::table::TableFacts;

const COLUMNS: &str = "id integer key; a text; b numeric(10,2); n integer; s mood(a,b) :1,2; flag boolean; at date";

fn world() -> World {
    World::new(
        "where = \"flag\"\ndeleted = \"at > '2020-01-01'\"",
        "A__c = \"a | upper\"\nB__c = \"b + n\"\nS__c = { value = \"s\", map = { a = \"A\", b = \"B\" } }\n\
         Both__c = \"a ~ s\"\nFirst__c = { value = \"a or s\", when = \"n > 0\", required = true }\n\
         Parent__r = { reference = \"accounts\", value = \"n\" }",
        COLUMNS,
    )
}

/// The table with columns of any names, types and numbers, most of them as they were.
fn any_table() -> impl Strategy<Value = TableFacts> {
    let names = ["id", "a", "b", "n", "s", "flag", "at", "x", "y"];
    let known: Vec<&str> = COLUMNS.split(';').map(|text| text.trim().split_once(' ').expect("a type").1).collect();
    let known: Vec<String> = known.into_iter().map(|text| text.replace("key", "")).collect();
    let others = ["text", "integer", "bigint", "boolean", "date", "mood(b,c) :2,3", "numeric(8,2)", "bytea", "jsonb"];
    let flags = prop::sample::select(vec!["", "", "", "null", "=1", "unreadable", "computed"]);
    let column = (0..10_usize, prop::sample::select(others.to_vec()), flags, 1..30_u32);
    let columns = prop::collection::vec(column, names.len());
    let order = prop::sample::subsequence((0..names.len()).collect::<Vec<_>>(), 5..=names.len()).prop_shuffle();
    (columns, order, any::<bool>(), any::<bool>()).prop_map(move |(columns, order, is_postgres, has_key)| {
        let texts: Vec<String> = order
            .iter()
            .map(|&at| {
                let (chance, other, flag, number) = &columns[at];
                let as_it_was = (*chance < 8).then(|| known.get(at)).flatten();
                let ty = as_it_was.map_or(*other, String::as_str);
                let number = if *chance < 9 { at as u32 + 1 } else { number + 20 * (at as u32 + 1) };
                let key = if has_key && names[at] == "id" { "key" } else { "" };
                format!("{} {ty} {flag} #{number} {key}", names[at])
            })
            .collect();
        let table = if is_postgres { postgres(&texts.join(";")) } else { mysql(&texts.join(";")) };
        TableFacts { name: super::table_name("public.orders"), ..table }
    })
}

fn any_decision() -> impl Strategy<Value = Decision> {
    let column =
        || prop::sample::select(vec!["id", "a", "b", "n", "s", "flag", "at", "x", "y", "z"]).prop_map(str::to_owned);
    prop_oneof![
        (column(), column()).prop_map(|(column, to)| Decision::Rename { column, to }),
        column().prop_map(Decision::Drop),
        column().prop_map(Decision::AsNull),
        column().prop_map(Decision::Reload),
    ]
}

/// What the compiler says of the mapping over a table, as it is run by a patch.
fn faults(world: &World, table: &TableFacts, patch: &Patch) -> Vec<String> {
    let subject = world.subject();
    let look = Look {
        mapping: subject.mapping,
        written: 0,
        table: Some(table),
        hints: &Hints::default(),
        children: &[],
        parents: subject.parents,
        time_zone: "UTC",
        now: Timestamp::UNIX_EPOCH,
        relation: None,
        whole: &|_, _| Ok(()),
    };
    look.compiled(table, patch).err().into_iter().flatten().map(|fault| fault.message).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn what_goes_on_compiles(table in any_table(), said in prop::collection::vec(any_decision(), 0..5)) {
        let world = world();
        let subject = world.subject();
        let weighed = weigh(&compare(&world.table, Some(&table), &Hints::default()), &subject);
        prop_assert_eq!(mark(&weighed), mark(&weighed.clone()));
        for policy in [None, Some(OnDrift::Hold), Some(OnDrift::Continue), Some(OnDrift::Fail)] {
            if let Verdict::Go { patch, reload } = verdict(policy, &weighed, &subject) {
                prop_assert_eq!(faults(&world, &table, &patch), Vec::<String>::new(), "{:?} {:?}", policy, patch);
                let stray: Vec<&String> = reload.iter().filter(|name| table.column(name).is_none()).collect();
                prop_assert!(stray.is_empty(), "read again: {:?}", stray);
            }
        }
        if let Ok(decided) = decide(&weighed, &subject, Some(&table), &said) {
            prop_assert_eq!(faults(&world, &table, &decided.patch), Vec::<String>::new(), "{:?} {:?}", said, decided.patch);
            let stray: Vec<&String> = decided.reload.iter().filter(|name| table.column(name).is_none()).collect();
            prop_assert!(stray.is_empty(), "read again: {:?}", stray);
        }
    }

    /// Every answer that is offered is taken.
    #[test]
    fn what_is_offered_is_taken(table in any_table(), choice in any::<prop::sample::Index>()) {
        let world = world();
        let subject = world.subject();
        let weighed = weigh(&compare(&world.table, Some(&table), &Hints::default()), &subject);
        let mut said = Vec::new();
        for one in &weighed {
            let answers = super::super::answers(one, &subject, Some(&table));
            let Some(answer) = (!answers.is_empty()).then(|| choice.get(&answers)) else { continue };
            let (verb, column) = answer.words.split_once(' ').expect("a verb and a column");
            let decision = match (verb, column.split_once('=')) {
                ("--rename", Some((column, to))) => Decision::Rename { column: column.to_owned(), to: to.to_owned() },
                ("--drop", _) => Decision::Drop(column.to_owned()),
                _ => Decision::AsNull(column.to_owned()),
            };
            let is_said = |other: &Decision| matches!(
                (other, &decision),
                (
                    Decision::Rename { column: a, .. } | Decision::Drop(a) | Decision::AsNull(a),
                    Decision::Rename { column: b, .. } | Decision::Drop(b) | Decision::AsNull(b),
                ) if a == b
            );
            if !said.iter().any(is_said) {
                said.push(decision);
            }
        }
        let can_be_accepted = weighed.iter().all(|one| super::super::way_out(one, &subject).is_none());
        if can_be_accepted && !weighed.is_empty() {
            let decided = decide(&weighed, &subject, Some(&table), &said);
            let refused = decided.err().map(|undecided| undecided.text);
            // Where a part can't do without what is gone, there is no answer but another mapping.
            prop_assert!(refused.is_none() || said.len() < weighed.len(), "{:?}: {:?}", said, refused);
        }
    }
}
