//! What is found between two looks, a class of change a line.

use proptest::prelude::*;

use super::super::compare::{Hints, compare};
use super::{mysql, postgres, table_name};
use crate::source::table::TableFacts;

fn shown(old: &TableFacts, new: &TableFacts, hints: &Hints<'_>) -> String {
    compare(old, Some(new), hints).iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

/// Two looks at a table of PostgreSQL.
fn check(old: &str, new: &str, expect: &str) {
    assert_eq!(shown(&postgres(old), &postgres(new), &Hints::default()), expect, "{old} -> {new}");
}

/// The same where its rows were written anew in between.
fn check_written_anew(old: &str, new: &str, expect: &str) {
    let new = TableFacts { storage: Some(16_400), ..postgres(new) };
    assert_eq!(shown(&postgres(old), &new, &Hints::default()), expect, "{old} -> {new:?}");
}

/// Two looks at a table of MySQL or MariaDB, and the renames that the log tells: `phone=tel`.
fn check_mysql(old: &str, new: &str, renamed: &str, expect: &str) {
    let renamed: Vec<(String, String)> = renamed
        .split_whitespace()
        .filter_map(|pair| pair.split_once('=').map(|(from, to)| (from.to_owned(), to.to_owned())))
        .collect();
    let hints = Hints { renamed_columns: &renamed, ..Hints::default() };
    assert_eq!(shown(&mysql(old), &mysql(new), &hints), expect, "{old} -> {new}");
}

#[test]
fn pg_20_columns_come_go_and_are_renamed_by_their_numbers() {
    check("id bigint key", "id bigint key; phone text null", "phone is new");
    check("id bigint key; phone text", "id bigint key", "phone is gone");
    check("id bigint key; phone text", "id bigint key; tel text", "phone is called tel now");
    // Another number: it is another column, however alike.
    check("id bigint key; phone text", "id bigint key; tel text #3", "phone is gone; tel is new");
    check("a text; b text", "b text; a text", "a is called b now; b is called a now");
    check(
        "id bigint key; phone varchar(40)",
        "id bigint key; tel varchar(80) null",
        "phone is called tel now; phone was varchar(40) and is varchar(80) now: widened; phone may be null now",
    );
    // The key is the same by another name.
    check("id bigint key; a text", "ident bigint key; a text", "id is called ident now");
}

#[test]
fn pg_20_a_column_made_anew_under_its_name_has_other_values() {
    let expect = "phone was written anew, without a word in the log of any row";
    check("id bigint key; phone text", "id bigint key; phone text #3", expect);
    check(
        "id bigint key; phone text",
        "id bigint key; phone integer #3",
        &format!("phone was text and is integer now: converted; {expect}"),
    );
}

#[test]
fn pg_21_values_written_anew_by_using() {
    let rewritten = "a was written anew, without a word in the log of any row";
    check("a text", "a text @701", "");
    check_written_anew("a text", "a text", "");
    check_written_anew("a text; b text", "a text @701; b text", rewritten);
    check_written_anew("a integer", "a bigint @701", &format!("a was integer and is bigint now: widened; {rewritten}"));
    check("a integer", "a bigint @701", "a was integer and is bigint now: widened");
    check_written_anew("a text", "a integer @701", "a was text and is integer now: converted");
}

#[test]
fn pg_24_labels_come_go_and_are_renamed() {
    check("s mood(a,b)", "s mood(a,b,c)", "s has a new label 'c'");
    check("s mood(a,b)", "s mood(x,a,b)", "s has a new label 'x'");
    check("s mood(a,b)", "s mood(a)", "s has no label 'b' any more");
    check("s mood(a,b) :1,2", "s mood(a,c) :1,2", "the label 'b' of s is called 'c' now");
    check("s mood(a,b) :1,2", "s mood(x,a,c) :3,1,2", "the label 'b' of s is called 'c' now; s has a new label 'x'");
    // The type was made anew, and the column converted by its text.
    check("s mood(a,b) :1,2", "s mood(a,c) :4,5", "s has no label 'b' any more; s has a new label 'c'");
    check("s mood(a,b) :1,2", "s mood(b,a) :1,2", "");
    check("s mood(a,b)", "s mood(b,a)", "");
    check("s mood(a,b)", "s mood(c,b,d)", "s has no label 'a' any more; s has a new label 'c'; s has a new label 'd'");
    check_mysql("s enum(a,b)", "s enum(a,c)", "", "s has no label 'b' any more; s has a new label 'c'");
    check_mysql("s enum(a,b)", "s enum(a,b,c)", "", "s has a new label 'c'");
}

#[test]
fn pg_27_partitions_come_and_leave() {
    let with = |partitions: &[&str]| TableFacts {
        partitions: partitions.iter().map(ToString::to_string).collect(),
        ..postgres("id bigint key")
    };
    let told = shown(&with(&["p1", "p2"]), &with(&["p2", "p3"]), &Hints::default());
    assert_eq!(told, "the partition p1 left with its rows; the partition p3 came with its rows");
}

#[test]
fn what_else_may_change_of_a_column() {
    check("a text", "a text null", "a may be null now");
    check("a text null", "a text", "a is never null now");
    check("a text", "a text =x", "a begins with x now, with nothing before");
    check("a text =x", "a text", "a begins with nothing now, with x before");
    check("a text", "a text computed", "a is computed by the database now");
    check("a text computed", "a text", "a is not computed by the database any more");
    check("a text", "a text unreadable", "our user may not read a any more");
    check("a text unreadable", "a text", "");
    check_mysql("a text latin1", "a text utf8mb4", "", "a is kept in utf8mb4, before in latin1");
}

#[test]
fn keys_and_identities() {
    check("id bigint key; b text", "id bigint; b text key", "a row is known by b now, before by id");
    check("id bigint key", "id bigint", "a row is not known by id any more: it has no primary key");
    check("id bigint", "id bigint key", "a row is known by id now, before by nothing");
    check(
        "id bigint key; b text key",
        "b text key #2; id bigint key #1",
        "a row is known by b, id now, before by id, b",
    );
    let full = TableFacts { replica_identity: Some("full".to_owned()), ..postgres("id bigint key") };
    let told = shown(&postgres("id bigint key"), &full, &Hints::default());
    assert_eq!(told, "its replica identity is full now, before default");
}

#[test]
fn my_38_columns_of_mysql_go_by_name_by_the_statement_or_by_a_guess() {
    check_mysql("id bigint key; phone text", "id bigint key; tel text", "phone=tel", "phone is called tel now");
    check_mysql(
        "id bigint key; phone text",
        "id bigint key; tel text",
        "",
        "phone is gone, and tel looks like it: same place, same type",
    );
    check_mysql("id int key; phone text", "id int key; tel varchar(9)", "", "phone is gone; tel is new");
    check_mysql("phone text; id int key", "id int key; tel text", "", "phone is gone; tel is new");
    check_mysql("a text; b text", "c text; d text", "", "a is gone; b is gone; c is new; d is new");
    check_mysql("a text; b text", "b text; a text", "", "");
    check_mysql("a text; b text", "b text; a text", "a=b b=a", "a is called b now; b is called a now");
    check_mysql("a text; b text", "b text", "a=b", "a is called b now; b is gone");
    // A statement about what is not there any more says nothing.
    check_mysql("a text; b text", "a text", "b=c", "b is gone");
}

#[test]
fn my_42_values_that_stay_are_printed_otherwise() {
    let rewritten = "a was written anew, without a word in the log of any row";
    check_mysql("a int", "a bigint", "", "a was int and is bigint now: widened");
    check_mysql("a float", "a double", "", &format!("a was float and is double now: widened; {rewritten}"));
    check_mysql("a int", "a decimal(12,2)", "", &format!("a was int and is decimal(12,2) now: widened; {rewritten}"));
}

#[test]
fn my_39_tables_are_dropped_renamed_swapped_and_made_anew() {
    let check = |new: Option<&str>, object: Option<u32>, gone_to: Option<&str>, expect: &str| {
        let old = TableFacts { name: table_name("shop.orders"), ..postgres("id bigint key; a text") };
        let new = new.map(|name| TableFacts { name: table_name(name), object, ..old.clone() });
        let hints = Hints { renamed_table: gone_to.map(table_name), ..Hints::default() };
        let told: Vec<String> = compare(&old, new.as_ref(), &hints).iter().map(ToString::to_string).collect();
        assert_eq!(told.join("; "), expect);
    };
    let (same, other) = (Some(16_384), Some(16_999));
    let swapped = "an online schema change has put a copy in its place";
    check(None, None, None, "the table is gone");
    check(None, None, Some("shop.sales"), "the table is called shop.sales now");
    check(Some("shop.sales"), same, None, "the table is called shop.sales now");
    check(Some("shop.orders"), other, None, "another table stands under its name");
    check(Some("shop.orders"), None, Some("shop._orders_del"), swapped);
    check(Some("shop.orders"), None, Some("shop._orders_20261122140000_del"), swapped);
    check(Some("shop.orders"), None, Some("shop.__orders_old"), swapped);
    check(Some("shop.orders"), None, Some("shop.orders_backup"), "another table stands under its name");
    let unpublished = Hints { unpublished: true, ..Hints::default() };
    let table = postgres("id bigint key");
    assert_eq!(shown(&table, &table, &unpublished), "its rows are not published any more");
}

#[test]
fn my_39_the_shape_of_a_copy_is_compared_by_name() {
    let old = mysql("id bigint key; phone text; note text");
    let new = mysql("id bigint key; note text; phone varchar(40); fax text");
    let hints = Hints { renamed_table: Some(table_name("shop._orders_del")), ..Hints::default() };
    let expect = "an online schema change has put a copy in its place; \
                  phone was text and is varchar(40) now: narrowed; fax is new";
    assert_eq!(shown(&old, &new, &hints), expect);
}

/// A table of a few columns, some of one name.
fn any_table() -> impl Strategy<Value = TableFacts> {
    let types = prop::sample::select(vec![
        "integer",
        "bigint",
        "text",
        "varchar(40)",
        "mood(a,b)",
        "mood(b,c,d)",
        "numeric(10,2)",
        "date",
        "real",
    ]);
    let flags = prop::sample::select(vec!["", "null", "key", "=1", "@9", "computed", "unreadable", "latin1"]);
    let names = prop::sample::subsequence(vec!["a", "b", "c", "d", "e"], 0..5).prop_shuffle();
    let columns = (names, prop::collection::vec((types, flags, 1..9_u32), 5));
    (columns, any::<bool>(), prop::option::of(0..3_u32), prop::option::of(0..3_u32)).prop_map(
        |((names, described), is_postgres, object, storage)| {
            let columns: Vec<String> = names
                .iter()
                .zip(&described)
                .enumerate()
                .map(|(place, (name, (ty, flag, number)))| format!("{name} {ty} {flag} #{}", place as u32 * 9 + number))
                .collect();
            let table = if is_postgres { postgres(&columns.join(";")) } else { mysql(&columns.join(";")) };
            TableFacts { object, storage, ..table }
        },
    )
}

proptest! {
    #[test]
    fn a_table_is_as_it_is(table in any_table()) {
        prop_assert_eq!(compare(&table, Some(&table), &Hints::default()), []);
    }

    /// Every column of either look is told of once, or is in both.
    #[test]
    fn no_column_is_lost(old in any_table(), new in any_table()) {
        use super::super::Change;
        let changes = compare(&old, Some(&new), &Hints::default());
        let named = |is_it: &dyn Fn(&Change) -> bool| changes.iter().filter(|change| is_it(change)).count();
        let dropped = named(&|change| matches!(change, Change::ColumnDropped { .. }));
        let added = named(&|change| matches!(change, Change::ColumnAdded { .. }));
        prop_assert_eq!(old.columns.len() - dropped, new.columns.len() - added);
    }
}
