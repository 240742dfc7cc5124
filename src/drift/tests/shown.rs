//! Drift as its document has it, and the answers that it offers.

use jiff::Timestamp;

use super::super::{Weighed, answers, document, mark};
use super::World;

const COLUMNS: &str = "id integer key; name text; Code_postal varchar(5); state mood(a,b); amount numeric(10,2)";

fn world() -> World {
    let fields = "LastName = \"name\"\nZip = \"Code_postal\"\nStatus__c = \"state\"\nAmount__c = \"amount * 2\"";
    World::new("where = \"state != 'b'\"", fields, COLUMNS)
}

/// The answers to all that touches the mapping, a line a change.
fn offered(now: &str) -> String {
    let world = world();
    let of_change = |weighed: &Weighed| {
        let answers = answers(weighed, &world.subject(), Some(&world.now(now)));
        answers.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
    };
    world.weigh(now).iter().map(of_change).collect::<Vec<_>>().join("\n")
}

#[test]
fn answers_that_would_be_taken_and_no_others() {
    assert_eq!(offered(&COLUMNS.replace("name text; ", "")), "--drop name, --as-null name");
    assert_eq!(offered(&COLUMNS.replace("state mood(a,b); ", "")), "--as-null state", "`where` needs it");
    let guess = "my id integer key; surname text; Code_postal varchar(5); state mood(a,b); amount numeric(10,2)";
    let likely = "--rename name=surname (looks like it: same place, same type), --drop name, --as-null name";
    assert_eq!(offered(guess), likely);
    // Nothing needs to be said of what is certain, or only lossy; and nothing helps where rows can't be told apart.
    assert_eq!(offered(&COLUMNS.replace("name text", "surname text")), "");
    assert_eq!(offered(&COLUMNS.replace("numeric(10,2)", "numeric(8,2)")), "");
    assert_eq!(offered(&COLUMNS.replace("id integer", "id text")), "");
}

#[test]
fn answers_are_words_of_a_shell() {
    let mut world = world();
    world.table.columns[2].name = "l'adresse".to_owned();
    world.mapping.fields[1].value = crate::config::model::FieldSource::Value(crate::config::model::Expr {
        text: "row[\"l'adresse\"]".to_owned(),
        place: world.mapping.place.clone(),
    });
    let weighed = world.weigh(&COLUMNS.replace("Code_postal varchar(5); ", ""));
    let words: Vec<String> =
        answers(&weighed[0], &world.subject(), None).into_iter().map(|answer| answer.words).collect();
    assert_eq!(words, [r"--drop 'l'\''adresse'", r"--as-null 'l'\''adresse'"]);
}

#[test]
fn a_document() {
    let world = world();
    let now = COLUMNS.replace("amount numeric(10,2)", "amount text");
    let weighed = world.weigh(&now);
    let shown = document(&weighed[0], &weighed, &world.subject(), Some(&world.now(&now)), Timestamp::UNIX_EPOCH, true);
    let expect = serde_json::json!({
        "mapping": "contacts",
        "table": "public.orders",
        "relation": null,
        "kind": "retyped",
        "column": "amount",
        "effect": "Amount__c: `*` computes with numbers, and `amount` is text",
        "since": "1970-01-01T00:00:00Z",
        "change": "amount was numeric(10,2) and is text now: converted",
        "severity": "breaking",
        "fields": ["Amount__c"],
        "effects": [{
            "part": "Amount__c",
            "severity": "breaking",
            "text": "`*` computes with numbers, and `amount` is text",
        }],
        "held": true,
        "counted": null,
        "answers": ["--drop amount", "--as-null amount"],
        "way_out": null,
        "seen": mark(&weighed),
        "next_command": "passerelle drift show contacts",
    });
    assert_eq!(serde_json::to_value(shown).unwrap(), expect);
    assert_ne!(mark(&weighed), mark(&world.weigh(&COLUMNS.replace("amount numeric(10,2)", "amount integer"))));
    assert_eq!(mark(&[]).len(), 16);
}

#[test]
fn kinds_are_as_in_json() {
    use super::super::Change;
    let change = Change::LabelRenamed { column: "a".into(), from: "b".into(), to: "c".into() };
    assert_eq!(serde_json::to_value(&change).unwrap()["kind"], change.kind());
    let replaced = Change::TableReplaced { by_swap: true };
    assert_eq!(serde_json::to_value(&replaced).unwrap()["kind"], replaced.kind());
}
