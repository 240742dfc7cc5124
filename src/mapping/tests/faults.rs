//! What is refused before anything runs, where, and with which hint.

use jiff::tz::TimeZone;

use super::super::check::Checker;
use super::super::{MAX_LENGTH, columns as columns_of_text};
use super::columns;

/// Each fault as `the part of the expression: message; hint`.
fn check(cases: &[(&str, &[&str])]) {
    let columns = columns();
    for (expr, expect) in cases {
        let faults = Checker::new(&columns, TimeZone::UTC).compile(expr).err().unwrap_or_default();
        let printed = faults.into_iter().map(|fault| {
            let hint = fault.hint.map(|hint| format!("; {hint}")).unwrap_or_default();
            format!("{}: {}{hint}", &expr[fault.span], fault.message)
        });
        assert_eq!(printed.collect::<Vec<_>>(), *expect, "{expr}");
    }
}

#[test]
fn syntax() {
    check(&[
        ("", &[": the expression is empty; write a column's name, or `none` for null"]),
        ("name =", &["=: `=` stands where an operator or the end is due; to compare, write `==`"]),
        ("name = 'x'", &["=: `=` stands where an operator or the end is due; to compare, write `==`"]),
        ("name ==", &[": the expression ends where a value is due"]),
        ("(n + 1", &[": the expression ends where `)` is due"]),
        ("'abc", &["'abc: the text has no closing quote; end it with '"]),
        (r"'a\d'", &[r#"\d: `\d` is no escape; these are: \n \t \r \\ \' \""#]),
        ("name && email", &["&&: `&&` is not an operator; write `and`"]),
        ("n <> 1", &["<>: `<>` is not an operator; write `!=`"]),
        ("!active", &["!: `!` is not an operator; write `not`"]),
        ("name || email", &["||: `||` is not an operator; write `or`, or `~` to join text"]),
        ("{{ name }}", &["{{: `{{` is not an operator; the braces are not needed: write the expression alone"]),
        ("1 < n < 3", &["<: comparisons do not chain; write `a < b and b < c`"]),
        ("12abc", &["12abc: not a number; numbers are written like 12 or 12.50; text needs quotes"]),
        ("upper(name)", &["upper: `upper` is not a function; filters are applied with a bar: `value | upper`"]),
        ("doc['a']", &["doc: `doc[…]`: values are not indexed; a column of any name is written row[\"its name\"]"]),
        (
            "Code postal",
            &[
                "postal: `postal` stands where an operator or the end is due; a column's name with spaces is written row[\"its name\"]",
            ],
        ),
        (
            "n is defined",
            &[
                "defined: `is defined` is not part of the language; a column that is not in the log is left out by itself; for null, `is none`",
            ],
        ),
        ("name § n", &["§: `§` has no meaning here"]),
    ]);
}

#[test]
fn names() {
    check(&[
        ("nmae", &["nmae: the table has no column `nmae`; did you mean `name`?"]),
        ("Customer", &["Customer: the table has no column `Customer`; text is written in quotes: 'Customer'"]),
        (
            "row['code postal']",
            &["row['code postal']: the table has no column `code postal`; did you mean `Code postal`?"],
        ),
        (
            "country.code",
            &[
                "country.code: related rows come later: `country.code`; only columns of the mapping's own table can be used yet",
            ],
        ),
        (
            "doc.city",
            &["doc.city: related rows come later: `doc.city`; `doc` is a column of this table: a value has no parts"],
        ),
        ("name | uper", &["uper: there is no filter `uper`; did you mean `upper`?"]),
        ("name | lookup('a')", &["lookup: there is no filter `lookup`; it is part of the language and comes later"]),
        (
            "nmae ~ (emial | uper)",
            &[
                "nmae: the table has no column `nmae`; did you mean `name`?",
                "emial: the table has no column `emial`; did you mean `email`?",
                "uper: there is no filter `uper`; did you mean `upper`?",
            ],
        ),
    ]);
}

#[test]
fn types() {
    check(&[
        (
            "name > 100",
            &[
                "name > 100: text is compared with an integer; read text as a number with `| number`, or put the number in quotes",
            ],
        ),
        (
            "amount + name",
            &[
                "name: `+` computes with numbers; this is text; text is joined with `~`; text that holds a number is read with `| number`",
            ],
        ),
        ("-name", &["name: `-` computes with numbers; this is text; text that holds a number is read with `| number`"]),
        (
            "day - day",
            &["day: `-` computes with numbers; this is a date", "day: `-` computes with numbers; this is a date"],
        ),
        ("not name", &["name: a condition is due, but this is text; compare it: `x == '…'`, or read it with `| bool`"]),
        ("'x' if n else 'y'", &["n: a condition is due, but this is an integer; compare it: `x != 0`"]),
        (
            "active == 1",
            &[
                "active == 1: a boolean is compared with an integer; a boolean is a condition by itself: write `x` or `not x`",
            ],
        ),
        ("state == 'sold'", &["'sold': the enum has no label 'sold'; its labels: draft, sale, done, cancel"]),
        ("state == 'Sale'", &["'Sale': the enum has no label 'Sale'; did you mean `sale`?"]),
        ("state in ['sale', 'dnoe']", &["['sale', 'dnoe']: the enum has no label 'dnoe'; did you mean `done`?"]),
        (
            "state > 'sale'",
            &[
                "state > 'sale': the labels of an enum have no order here; name those that are meant: `state in ['a', 'b']`",
            ],
        ),
        ("name == none", &["name == none: `==` with null is always null; write `is none`"]),
        ("name != none", &["name != none: `!=` with null is always null; write `is not none`"]),
        ("day > naive", &["day > naive: a date is compared with a date and time; take the date with `| date`"]),
        (
            "day > 'soon'",
            &[
                "'soon': 'soon' is not a date; dates are written '2024-01-31', times '10:00:00', instants '2024-01-31T10:00:00Z'",
            ],
        ),
        (
            "n in ['a']",
            &[
                "n in ['a']: an integer is looked for in a list of text; `in` takes a list of the same type, or text in text",
            ],
        ),
        (
            "n in name",
            &["n in name: an integer is looked for in text; `in` takes a list of the same type, or text in text"],
        ),
        ("[n, name]", &["name: a list of an integer holds text; the items of a list are of one type"]),
        (
            "name if active else n",
            &["name if active else n: the two sides of `if` are text and an integer; both must be of one type"],
        ),
        ("raw ~ 'x'", &["raw: bytes are joined to text"]),
        ("raw == 'x'", &["raw == 'x': bytes is compared with text; compare bytes by their digits: `x | hex == '…'`"]),
        ("doc == 'x'", &["doc == 'x': JSON is compared with text"]),
    ]);
}

#[test]
fn arguments() {
    check(&[
        ("n | upper", &["n: `upper` takes text; this is an integer"]),
        ("name | truncate", &["truncate: `truncate` needs its argument `length`; it is written truncate(length)"]),
        ("name | truncate('a')", &["'a': this argument is an integer"]),
        ("name | truncate(-1)", &["-1: this argument must be written out: it cannot be computed from the row"]),
        ("name | truncate(n)", &["n: this argument must be written out: it cannot be computed from the row"]),
        ("name | upper(1)", &["1: `upper` has no more than 0 arguments; it is written upper"]),
        (
            "name | default('a', blnk=true)",
            &["blnk: `default` has no argument `blnk`; it is written default(value, blank=false)"],
        ),
        ("name | default('a', value='b')", &["'b': the argument is given twice"]),
        ("n | default('a')", &["'a': an integer is replaced by text; both must be of one type"]),
        ("name | phone('XX')", &["'XX': 'XX' is no country; write its code of two letters, like 'FR'"]),
        ("name | phone(n)", &["n: a country is text; this is an integer"]),
        ("at | date(zone='Paris')", &["'Paris': 'Paris' is no time zone; zones have names like 'Europe/Paris'"]),
        (
            "name | date('nonsense')",
            &["'nonsense': not a form of dates or times; it is made of YYYY, MM, DD, HH, mm and ss, like 'DD/MM/YYYY'"],
        ),
        ("name | number(';')", &["';': the decimal mark is '.' or ','"]),
        ("name | replace('', 'x')", &["'': the text to replace is empty"]),
        ("name | matches('(')", &["'(': not a pattern: unclosed group"]),
        ("name | matches('a{1000}{1000}')", &["'a{1000}{1000}': the pattern is too big"]),
        ("name | matches(email)", &["email: this argument must be written out: it cannot be computed from the row"]),
        ("name | split('')", &["'': the separator is empty"]),
        ("name | join(';')", &["name: `join` takes a list; this is text"]),
        ("n | minor_units('EURO')", &["'EURO': 'EURO' is no currency; write its code of three letters, like 'EUR'"]),
        ("n | minor_units(n)", &["n: a currency is text; this is an integer"]),
        ("name | person('middle')", &["'middle': the part of a name is 'first' or 'last'"]),
        ("name | hash('sha1')", &["'sha1': the digests are 'sha256', 'sha512' and 'md5'"]),
        (
            "name | time('DD')",
            &["'DD': not a form of dates or times; it is made of YYYY, MM, DD, HH, mm and ss, like 'DD/MM/YYYY'"],
        ),
        ("doc | json(name)", &["name: a path is names in quotes, or a place in a list, written out"]),
        (
            "doc | json('a', as='nummer')",
            &["'nummer': 'nummer' is nothing that a value is read as; did you mean `number`?"],
        ),
        ("tags | map", &["map: `map` needs its argument `filter`; it is written list | map('filter', its arguments)"]),
        ("tags | map(upper)", &["upper: the table has no column `upper`; text is written in quotes: 'upper'"]),
        ("tags | map('uper')", &["'uper': there is no filter `uper`; did you mean `upper`?"]),
        (
            "tags | map('map', 'upper')",
            &["'map': `map` takes a filter's name in quotes; it is written list | map('filter', its arguments)"],
        ),
        ("tags | map('round')", &["tags: `round` takes an integer, a decimal; this is text"]),
        ("name | map('upper')", &["name: `map` takes a list; this is text"]),
    ]);
}

#[test]
fn length_and_depth_are_bounded() {
    let message = |expr: &str| columns_of_text(expr).expect_err("a fault").message;
    assert_eq!(message(&"a".repeat(MAX_LENGTH + 1)), "the expression is longer than 4096 bytes");
    for deep in ["(".repeat(4000), "[".repeat(4000), "not ".repeat(1000), "-".repeat(4000), "a if b else ".repeat(300)]
    {
        assert_eq!(message(&deep), "the expression is nested deeper than 64", "{}", &deep[..8]);
    }
    for chain in ["a ~ ", "a + ", "a and ", "a | f | ", "a or "] {
        let chain = chain.repeat(500);
        assert_eq!(message(&(chain + "a")), "the expression is nested deeper than 64");
    }
    let parentheses = "(".repeat(40) + "a" + &")".repeat(40);
    assert!(columns_of_text(&parentheses).is_ok());
}

#[test]
fn names_of_columns_need_no_types() {
    let check = |expr, expect: &[&str]| {
        let names = columns_of_text(expr).expect("an expression");
        assert_eq!(names.iter().map(String::as_str).collect::<Vec<_>>(), expect, "{expr}");
    };
    check("row['Code postal'] ~ zip", &["Code postal", "zip"]);
    check("a if b else c | phone(d) in [e, f.g]", &["a", "b", "c", "d", "e"]);
    check("'a' ~ 1 ~ none", &[]);
    check("Prénom is not none", &["Prénom"]);
}
