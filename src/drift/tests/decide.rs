//! What is accepted, and what is refused with what is true.

use super::super::{Decision, Undecided, decide};
use super::World;

const COLUMNS: &str = "id integer key; name text; phone varchar(40); state mood(a,b) :1,2; amount numeric(10,2)";
const FIELDS: &str = "LastName = \"name\"\nPhone = \"phone\"\nStatus__c = \"state\"\nAmount__c = \"amount * 2\"";

fn world() -> World {
    World::new("where = \"state != 'b'\"", FIELDS, COLUMNS)
}

/// `rename phone=tel, drop a, as-null b, reload c`.
fn decisions(text: &str) -> Vec<Decision> {
    let read = |text: &str| {
        let (verb, column) = text.split_once(' ').expect("a verb and a column");
        match (verb, column.split_once('=')) {
            ("rename", Some((column, to))) => Decision::Rename { column: column.to_owned(), to: to.to_owned() },
            ("drop", _) => Decision::Drop(column.to_owned()),
            ("as-null", _) => Decision::AsNull(column.to_owned()),
            _ => Decision::Reload(column.to_owned()),
        }
    };
    text.split(", ").filter(|text| !text.is_empty()).map(read).collect()
}

fn decided(world: &World, now: &str, said: &str) -> Result<String, Undecided> {
    let decided = decide(&world.weigh(now), &world.subject(), Some(&world.now(now)), &decisions(said))?;
    let mut words: Vec<String> = decided.patch.renamed.iter().map(|(name, to)| format!("{name}={to}")).collect();
    words.extend(decided.patch.dropped.iter().map(|name| format!("-{name}")));
    words.extend(decided.patch.nulls.keys().map(|name| format!("0{name}")));
    words.extend(decided.reload.iter().map(|name| format!("@{name}")));
    Ok(words.join(" "))
}

/// What a table with one of its columns written otherwise comes to, once that is said.
fn check(from: &str, to: &str, said: &str, expect: &str) {
    let now = COLUMNS.replacen(from, to, 1);
    assert_ne!(now, COLUMNS, "{from}");
    assert_eq!(decided(&world(), &now, said).as_deref(), Ok(expect), "{from} -> {to}: {said}");
}

/// Why that is refused: the text, and the hint.
fn check_refused(from: &str, to: &str, said: &str, expect: &str) {
    let now = COLUMNS.replacen(from, to, 1);
    let (now, from) = if from == "my" { (to.to_owned(), "") } else { (now, from) };
    let refused = decided(&world(), &now, said).expect_err("a refusal");
    let shown = refused.hint.iter().fold(refused.text.clone(), |text, hint| format!("{text}\n{hint}"));
    assert_eq!(shown, expect, "{from} -> {to}: {said}");
}

const GUESS: &str = "my id integer key; name text; tel varchar(40); state mood(a,b); amount numeric(10,2)";

#[test]
fn what_is_certain_needs_no_word() {
    check("phone varchar", "tel varchar", "", "phone=tel");
    check("id integer", "ident integer", "", "id=ident");
    check("amount numeric(10,2)", "amount numeric(12,2)", "", "");
    check("amount numeric(10,2)", "amount numeric(8,2)", "", "@amount");
    check("name text", "name text #9", "", "@name");
    check("state mood(a,b)", "state mood(c,b)", "", "@state");
    check("phone varchar(40)", "tel varchar(40) null", "reload name", "phone=tel @name");
}

#[test]
fn what_is_gone_is_renamed_dropped_or_null() {
    let without = |said, expect| check("phone varchar(40); ", "", said, expect);
    without("drop phone", "-phone");
    without("as-null phone", "0phone");
    // Another column is taken for it: its values were never captured.
    check("phone varchar(40)", "tel varchar(80) #9", "rename phone=tel", "phone=tel @tel");
    assert_eq!(decided(&world(), GUESS, "rename phone=tel").as_deref(), Ok("phone=tel @tel"));
    assert_eq!(decided(&world(), GUESS, "drop phone").as_deref(), Ok("-phone"));
    check("amount numeric(10,2)", "amount text", "drop amount", "-amount");
    check("amount numeric(10,2)", "amount text", "as-null amount", "0amount");
    // A word of a person outweighs the database's.
    check("phone varchar", "tel varchar", "drop phone", "-phone");
    check("phone varchar", "tel varchar", "rename phone=name", "phone=name @name");
}

#[test]
fn what_is_open_is_asked_for_with_every_answer() {
    check_refused(
        "phone varchar(40); ",
        "",
        "",
        "phone is gone\nsay what becomes of phone: --drop phone, --as-null phone",
    );
    check_refused(
        "phone varchar(40)",
        "tel varchar(80) #9",
        "",
        "phone is gone\nsay what becomes of phone: --rename phone=tel (new, of a type that fits), --drop phone, --as-null phone",
    );
    check_refused(
        "my",
        GUESS,
        "",
        "phone is gone, and tel looks like it: same place, same type\n\
         say what becomes of phone: --rename phone=tel (looks like it: same place, same type), --drop phone, --as-null phone",
    );
    check_refused(
        "amount numeric(10,2)",
        "amount text",
        "",
        "amount was numeric(10,2) and is text now: converted (Amount__c: `*` computes with numbers, and `amount` is text)\n\
         say what becomes of amount: --drop amount, --as-null amount",
    );
    check_refused("state mood(a,b) :1,2; ", "", "", "state is gone\nsay what becomes of state: --as-null state");
    check_refused(
        "phone varchar(40); state mood(a,b) :1,2; ",
        "",
        "drop phone",
        "state is gone\nsay what becomes of state: --as-null state",
    );
    check_refused(
        "name text; phone varchar(40); ",
        "",
        "",
        "name is gone; phone is gone\n\
         say what becomes of name: --drop name, --as-null name; of phone: --drop phone, --as-null phone",
    );
}

#[test]
fn what_is_not_so_is_refused_with_what_is() {
    let gone = |said, expect| check_refused("phone varchar(40)", "tell varchar(40) #9; born date", said, expect);
    gone("rename phone=tel", "public.orders has no column tel\ndid you mean tell?");
    gone(
        "rename phone=born",
        "born is date, and phone was varchar(40): it is no rename\nif born is to be used all the same, write it in the mapping",
    );
    gone(
        "drop name, drop phone",
        "name is there and can be used: it can't be dropped\nwhat is not to be sent any more is taken \
          out of the mapping",
    );
    gone(
        "as-null name, drop phone",
        "name is there and can be used: it can't be null\nwhat is not to be sent any more is taken \
          out of the mapping",
    );
    gone("rename name=tell, drop phone", "name is there as it was: tell can't be taken for it");
    gone("drop phone, as-null phone", "two things are said of phone\nsay one of them");
    gone("drop phon", "contacts has no column phon\ndid you mean phone?");
    gone("drop born", "contacts has no column born\nit has amount, id, name, phone, state");
    gone("drop phone, reload phone", "phone can't be read again: the mapping goes on without it");
    check_refused(
        "phone varchar(40)",
        "tel varchar(40) #9 unreadable",
        "rename phone=tel",
        "our user may not read tel\nGRANT SELECT (tel) ON public.orders",
    );
    check_refused(
        "phone varchar(40)",
        "tel varchar(20) #9",
        "rename phone=tel",
        "tel is varchar(20), and phone was varchar(40): it is no rename\nif tel is to be used all the same, write it in the \
         mapping",
    );
    check_refused(
        "state mood(a,b) :1,2; ",
        "",
        "drop state",
        "`where` of contacts needs state: it can't be dropped\nwrite another `where` in the mapping, or --rename state=…",
    );
}

#[test]
fn nothing_is_held_where_nothing_has_changed() {
    let world = world();
    let refused = decided(&world, COLUMNS, "").unwrap_err();
    assert_eq!(refused.text, "nothing of contacts is held");
    assert_eq!(decided(&world, COLUMNS, "drop phone").unwrap_err(), refused);
}

#[test]
fn a_table_that_is_gone_can_t_be_accepted() {
    let world = world();
    let weighed = world.weigh_one(super::Change::TableDropped);
    let refused = decide(&weighed, &world.subject(), None, &[]).unwrap_err();
    assert_eq!(refused.text, "the table public.orders is gone");
    let renamed = world.weigh_one(super::Change::TableRenamed { to: "public.sales".to_owned() });
    let refused = decide(&renamed, &world.subject(), Some(&world.table), &[]).unwrap_err();
    assert_eq!(
        refused.hint.as_deref(),
        Some("write table = \"public.sales\" in the mapping, then `passerelle reload`")
    );
    check_refused(
        "id integer key",
        "id text key",
        "",
        "id was integer and is text now: converted, and its rows are known by id, and it is text instead of integer\n\
         put the key back, or write the mapping anew under another name",
    );
}

#[test]
fn a_rename_after_a_rename_is_told_by_either_name() {
    let mut world = world();
    world.patch.rename("phone", "tel");
    world.table = super::postgres(&COLUMNS.replacen("phone", "tel", 1));
    let now = COLUMNS.replacen("phone", "fon", 1);
    assert_eq!(decided(&world, &now, "").as_deref(), Ok("phone=fon"));
    let gone = COLUMNS.replacen("phone varchar(40); ", "", 1);
    assert_eq!(decided(&world, &gone, "drop tel").as_deref(), Ok("phone=tel -phone"));
    assert_eq!(decided(&world, &gone, "drop phone").as_deref(), Ok("phone=tel -phone"));
    // Back to the name that it had: rows wait under both.
    assert_eq!(decided(&world, COLUMNS, "").as_deref(), Ok("@phone"));
    // What was given up comes back under another name, when something else is decided.
    world.patch.leave_out("phone");
    let now = COLUMNS.replacen("phone", "tel", 1).replacen("amount numeric(10,2)", "amount numeric(8,2)", 1);
    assert_eq!(decided(&world, &now, "rename phone=tel").as_deref(), Ok("phone=tel @amount @tel"));
}

#[test]
fn what_changed_places_is_read_again() {
    let world = World::new("", "A__c = \"a\"\nB__c = \"b\"", "id integer key; a text; b text");
    assert_eq!(decided(&world, "id integer key; b text #2; a text #3", "").as_deref(), Ok("a=b b=a @a @b"));
}
