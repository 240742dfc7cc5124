//! What each class of change does to each part.

use std::fmt::Write;

use super::super::{Change, Child, Weighed};
use super::World;

const COLUMNS: &str = "id integer key; name text; phone varchar(40) null; state mood(draft,sale,gone) :1,2,3; amount numeric(10,2); \
                       account_id integer; note text";

fn world() -> World {
    World::new(
        "where = \"state != 'gone'\"",
        r#"
LastName = { value = "name", required = true }
Phone = "phone | phone('FR')"
Status__c = { value = "state", map = { draft = "Draft", sale = "Activated" } }
Amount__c = "amount * 2"
Account = { reference = "accounts", value = "account_id" }
"#,
        COLUMNS,
    )
}

fn lines(weighed: &[Weighed]) -> String {
    let mut lines = String::new();
    for Weighed { change, effects, .. } in weighed {
        for effect in effects {
            // Writing to a `String` has no error.
            let _ = writeln!(lines, "{change} | {} | {effect}", effect.severity);
        }
    }
    lines
}

/// What a table with one of its columns written otherwise does to the mapping.
fn check(from: &str, to: &str, expect: &str) {
    let now = COLUMNS.replacen(from, to, 1);
    assert_ne!(now, COLUMNS, "{from}");
    assert_eq!(lines(&world().weigh(&now)), expect, "{from} -> {to}");
}

#[test]
fn what_nobody_maps_is_no_event() {
    check("note text", "note integer", "");
    check("; note text", "", "");
    check("note text", "remark text", "");
    check("note text", "note text; fax text", "");
}

#[test]
fn columns_gone_and_renamed() {
    check("phone varchar(40) null; state", "state", "phone is gone | breaking | Phone: can't be computed without it\n");
}

#[test]
fn columns_renamed() {
    check(
        "phone varchar",
        "tel varchar",
        "phone is called tel now | breaking | Phone: can't be computed until tel is taken for phone\n",
    );
    check(
        "state mood",
        "status mood",
        "state is called status now | breaking | where: can't be computed until status is taken for state\n\
         state is called status now | breaking | Status__c: can't be computed until status is taken for state\n",
    );
    check(
        "id integer",
        "ident integer",
        "id is called ident now | breaking | key: can't be computed until ident is taken for id\n\
         id is called ident now | breaking | its rows are known by id\n",
    );
}

#[test]
fn types_are_judged_by_the_compiler() {
    check(
        "amount numeric(10,2)",
        "amount numeric(12,2)",
        "amount was numeric(10,2) and is numeric(12,2) now: widened | none | Amount__c: each value stays what it is\n",
    );
    check(
        "amount numeric(10,2)",
        "amount numeric(8,2)",
        "amount was numeric(10,2) and is numeric(8,2) now: narrowed | lossy | Amount__c: values that do not fit are cut, \
         rounded or refused\n",
    );
    check(
        "amount numeric(10,2)",
        "amount integer",
        "amount was numeric(10,2) and is integer now: narrowed | lossy | Amount__c: values that do not fit are cut, \
         rounded or refused\n",
    );
    check(
        "amount numeric(10,2)",
        "amount text",
        "amount was numeric(10,2) and is text now: converted | breaking | Amount__c: `*` computes with numbers, and `amount` is text\n",
    );
    check(
        "account_id integer",
        "account_id text",
        "account_id was integer and is text now: converted | breaking | Account: the parent's key `id` is an integer, and \
         this is text\n",
    );
}

#[test]
fn a_row_key_of_another_type_breaks_all_and_its_children() {
    let world = World { children: vec![Child { mapping: "tasks".into(), field: "WhoId".into() }], ..world() };
    let text = lines(&world.weigh(&COLUMNS.replacen("id integer key", "id text key", 1)));
    let change = "id was integer and is text now: converted | breaking |";
    assert_eq!(
        text,
        format!(
            "{change} key: records would be looked for under other keys\n\
             {change} its rows are known by id, and it is text instead of integer\n\
             {change} WhoId of tasks refers to its rows by id\n"
        )
    );
    let wider = lines(&world.weigh(&COLUMNS.replacen("id integer key", "id bigint key", 1)));
    assert_eq!(wider, "id was integer and is bigint now: widened | none | key: each value stays what it is\n");
}

#[test]
fn labels_meet_maps_and_conditions() {
    let added = "state has a new label 'won' |";
    check(
        "mood(draft,sale,gone)",
        "mood(draft,sale,gone,won)",
        &format!(
            "{added} none | where: it is a value as others are\n\
             {added} lossy | Status__c: its map has no entry for 'won': it is left out of such a row\n"
        ),
    );
    let removed = "state has no label 'gone' any more |";
    check(
        "mood(draft,sale,gone)",
        "mood(draft,sale)",
        &format!(
            "{removed} breaking | where: the enum has no label 'gone'\n\
             {removed} lossy | Status__c: rows that had it hold something else, without a word in the log\n"
        ),
    );
    let renamed = "the label 'draft' of state is called 'quote' now |";
    check(
        "mood(draft,sale,gone)",
        "mood(quote,sale,gone)",
        &format!(
            "{renamed} lossy | where: rows that did not change have the new one, without a word in the log\n\
             {renamed} breaking | Status__c: the enum has no label 'draft'\n"
        ),
    );
}

#[test]
fn what_a_map_does_with_a_new_label() {
    let check = |settings: &str, expect: &str| {
        let fields = format!("Status__c = {{ value = \"state\", {settings} }}");
        let world = World::new("", &fields, "id integer key; state mood(a,b)");
        assert_eq!(
            lines(&world.weigh("id integer key; state mood(a,b,c)")),
            format!("state has a new label 'c' | {expect}\n")
        );
    };
    let map = "map = { a = \"A\", b = \"B\" }";
    let unnamed = "Status__c: its map has no entry for 'c':";
    check(&format!("{map}, other = \"reject\""), &format!("breaking | {unnamed} such a row is a dead letter"));
    check(&format!("{map}, on_bad = \"reject\""), &format!("breaking | {unnamed} such a row is a dead letter"));
    check(&format!("{map}, on_bad = \"null\""), &format!("lossy | {unnamed} it is cleared for such a row"));
    check(&format!("{map}, other = \"keep\""), &format!("none | {unnamed} it is sent as it is"));
    check(&format!("{map}, other = {{ const = \"X\" }}"), &format!("none | {unnamed} 'X' is sent for it"));
    check("required = true", "none | Status__c: 'c' is sent for it");
    let check_of = |value: &str, expect: &str| {
        let fields = format!("Status__c = {{ value = \"{value}\", map = {{ A = \"1\", C = \"2\" }} }}");
        let world = World::new("", &fields, "id integer key; name text; state mood(a,b)");
        let text = lines(&world.weigh("id integer key; name text; state mood(a,b,c)"));
        assert_eq!(text, format!("state has a new label 'c' | {expect}\n"));
    };
    check_of("state | upper", "none | Status__c: '2' is sent for it");
    check_of("state ~ name", "none | Status__c: it goes through the expression as other labels do");
}

#[test]
fn nulls_defaults_charsets_and_computed_columns() {
    check(
        "name text",
        "name text null",
        "name may be null now | lossy | LastName: a row without it is a dead letter\n",
    );
    check(
        "amount numeric(10,2)",
        "amount numeric(10,2) null",
        "amount may be null now | none | Amount__c: a null is sent as one\n",
    );
    check(
        "phone varchar(40) null",
        "phone varchar(40)",
        "phone is never null now | none | Phone: no row is without it any more\n",
    );
    check(
        "name text",
        "name text =x",
        "name begins with x now, with nothing before | none | LastName: only rows that are new begin with it\n",
    );
    check(
        "name text",
        "name text computed",
        "name is computed by the database now | lossy | LastName: the log may not carry it any more\n",
    );
    check(
        "name text",
        "name text unreadable",
        "our user may not read name any more | breaking | LastName: can't be computed without it\n",
    );
    let charset = |from: &str, to: &str| {
        let (column, from, to) = ("name".to_owned(), from.to_owned(), to.to_owned());
        world().weigh_one(Change::CharsetChanged { column, from, to })[0].severity().to_string()
    };
    assert_eq!(charset("latin1", "utf8mb4"), "none");
    assert_eq!(charset("utf8mb4", "latin1"), "lossy");
}

#[test]
fn values_written_anew() {
    let column = || "name".to_owned();
    assert_eq!(
        lines(&world().weigh_one(Change::Rewritten { column: column() })),
        "name was written anew, without a word in the log of any row | lossy | LastName: what is in the CRM is of the old \
         values until it is read again\n"
    );
    let text = lines(&world().weigh_one(Change::Rewritten { column: "id".to_owned() }));
    assert!(text.contains("breaking | its rows are known by id, and may have other values of it"), "{text}");
}

#[test]
fn the_table_as_a_whole() {
    let check = |change: Change, expect: &str| {
        let weighed = world().weigh_one(change);
        assert_eq!(weighed[0].sentence(), expect.split_once(' ').unwrap().1);
        assert_eq!(weighed[0].severity().to_string(), expect.split_once(' ').unwrap().0);
    };
    check(Change::TableDropped, "breaking there is nothing to deliver; its records stay as they are in the CRM");
    let renamed = Change::TableRenamed { to: "public.sales".to_owned() };
    check(renamed, "breaking its rows are in public.sales now, and the mapping names public.orders");
    check(Change::TableReplaced { by_swap: true }, "none it has the rows that it had");
    check(Change::TableReplaced { by_swap: false }, "lossy its rows may be others, of which the log says nothing");
    check(Change::Unpublished, "breaking the log carries none of its changes");
    let identity = |to: &str| Change::IdentityChanged { from: "default".to_owned(), to: to.to_owned() };
    check(identity("full"), "none what the log leaves out of a row is read from the table");
    check(identity("nothing"), "breaking the server refuses its updates and deletions, or the log does not carry them");
    let partition = || "orders_2026_11".to_owned();
    check(
        Change::PartitionAttached { partition: partition() },
        "lossy its rows are in the CRM once the table is read again, of itself",
    );
    check(
        Change::PartitionDetached { partition: partition() },
        "none the records of its rows stay as they are in the CRM",
    );
    let key = Change::KeyChanged { from: vec!["id".to_owned()], to: Err("it has no primary key".to_owned()) };
    check(key, "breaking its rows can't be told apart in the log");
}

#[test]
fn a_column_that_was_renamed_before_is_known_by_the_mappings_name() {
    let mut world = world();
    world.patch.rename("phone", "tel");
    world.table = super::postgres(&COLUMNS.replacen("phone", "tel", 1));
    let weighed = world.weigh(&COLUMNS.replacen("phone varchar(40)", "tel varchar(20)", 1));
    assert_eq!(weighed[0].names, ["phone"]);
    assert_eq!(
        lines(&weighed),
        "tel was varchar(40) and is varchar(20) now: narrowed | lossy | Phone: values that do not fit are cut, rounded or \
         refused\n"
    );
    // What was given up is of no concern any more.
    world.patch.leave_out("phone");
    assert_eq!(lines(&world.weigh(&COLUMNS.replacen("phone varchar(40) null;", "", 1))), "");
}
