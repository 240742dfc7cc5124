//! What each policy makes of each class.

use super::super::{Change, Verdict, verdict};
use super::World;
use crate::config::model::OnDrift;

const COLUMNS: &str = "id integer key; name text; phone varchar(40); state mood(a,b); amount numeric(10,2)";
const FIELDS: &str = "LastName = \"name\"\nPhone = \"phone\"\nBoth = \"phone ~ name\"\n\
                      Status__c = { value = \"state\", map = { a = \"A\" }, other = \"reject\" }\nAmount__c = \"amount * 2\"";

fn printed(verdict: Verdict) -> String {
    match verdict {
        Verdict::Hold => "hold".to_owned(),
        Verdict::Fail => "fail".to_owned(),
        Verdict::Go { patch, reload } => {
            let mut words = vec!["go".to_owned()];
            words.extend(patch.renamed.iter().map(|(name, to)| format!("{name}={to}")));
            words.extend(patch.dropped.iter().map(|name| format!("-{name}")));
            words.extend(reload.iter().map(|name| format!("@{name}")));
            words.join(" ")
        }
    }
}

/// Verdicts of no policy, "hold", "continue" and "fail".
fn check_weighed(world: &World, weighed: &[super::Weighed], expect: [&str; 4]) {
    let policies = [None, Some(OnDrift::Hold), Some(OnDrift::Continue), Some(OnDrift::Fail)];
    let verdicts = policies.map(|policy| printed(verdict(policy, weighed, &world.subject())));
    assert_eq!(verdicts, expect, "{weighed:?}");
}

fn check(from: &str, to: &str, expect: [&str; 4]) {
    let world = World::new("", FIELDS, COLUMNS);
    let now = COLUMNS.replacen(from, to, 1);
    assert_ne!(now, COLUMNS, "{from}");
    check_weighed(&world, &world.weigh(&now), expect);
}

#[test]
fn additions_and_what_does_nothing_go_on() {
    check("; amount", "; fax text; amount", ["go"; 4]);
    check("mood(a,b)", "mood(a,b,c)", ["go"; 4]);
    check("name text", "name text =x", ["go", "hold", "go", "go"]);
    check("phone varchar(40)", "phone varchar(80)", ["go", "hold", "go", "go"]);
    let world = World::new("", FIELDS, COLUMNS);
    let all = "go @amount @id @name @phone @state";
    let attached = Change::PartitionAttached { partition: "p1".to_owned() };
    check_weighed(&world, &world.weigh_one(attached), [all; 4]);
    check_weighed(&world, &world.weigh_one(Change::TableReplaced { by_swap: true }), ["go"; 4]);
    check_weighed(&world, &[], ["go"; 4]);
}

#[test]
fn what_loses_values_holds_and_is_read_again() {
    check("amount numeric(10,2)", "amount numeric(8,2)", ["hold", "hold", "go @amount", "fail"]);
    check("name text", "name text #9", ["hold", "hold", "go @name", "fail"]);
}

#[test]
fn pg_21_a_widening_that_may_be_more_is_read_again_without_a_hold() {
    let world = World::new("", "N__c = \"n\"", "id integer key; n integer");
    let mut now = super::postgres("id integer key; n bigint @701");
    now.storage = Some(9);
    let changes = super::super::compare(&world.table, Some(&now), &super::Hints::default());
    let weighed = super::super::weigh(&changes, &world.subject());
    check_weighed(
        &world,
        &weighed,
        ["go @n", "hold", "go @n", "fail"].map(|text| if text == "fail" { "go @n" } else { text }),
    );
}

#[test]
fn what_breaks_holds_or_is_left_out() {
    check("phone varchar(40); ", "", ["hold", "hold", "go -phone", "fail"]);
    check("phone varchar", "tel varchar", ["hold", "hold", "go phone=tel", "fail"]);
    check("amount numeric(10,2)", "amount text", ["hold", "hold", "go -amount", "fail"]);
    check("id integer key", "ident integer key", ["hold", "hold", "go id=ident", "fail"]);
    check("id integer key", "id text key", ["hold", "hold", "hold", "fail"]);
    let world = World::new("", FIELDS, COLUMNS);
    check_weighed(&world, &world.weigh_one(Change::TableDropped), ["hold", "hold", "hold", "fail"]);
    check_weighed(&world, &world.weigh_one(Change::Unpublished), ["hold", "hold", "hold", "fail"]);
    // A guess is not followed.
    let guessed = world.weigh("my id integer key; name text; tel varchar(40); state mood(a,b); amount numeric(10,2)");
    check_weighed(&world, &guessed, ["hold", "hold", "go -phone", "fail"]);
    // A condition needs its column, whatever field does.
    let world = World::new("where = \"phone != ''\"", FIELDS, COLUMNS);
    check_weighed(
        &world,
        &world.weigh(&COLUMNS.replacen("phone varchar(40); ", "", 1)),
        ["hold", "hold", "hold", "fail"],
    );
}
