//! What is refused before anything runs, where, and with which hint.

use std::fmt::Write as _;

use jiff::tz::TimeZone;

use super::super::check::Checker;
use super::super::{MAX_LENGTH, columns as columns_of_text};
use super::columns;

const PATH: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mapping/tests/faults.txt");

fn table() -> String {
    std::fs::read_to_string(PATH).expect("the table")
}

/// Each fault with a caret under its part of the expression, what is wrong, and the hint.
fn screen(expr: &str) -> String {
    let columns = columns();
    let faults = Checker::new(&columns, TimeZone::UTC).compile(expr).err().unwrap_or_default();
    let mut screen = String::new();
    for fault in faults {
        let before = expr[..fault.span.start].chars().count();
        let width = expr[fault.span].chars().count().max(1);
        let indent = " ".repeat(before);
        writeln!(screen, "{indent}{} {}", "^".repeat(width), fault.message).expect("a string");
        for line in fault.hint.iter().flat_map(|hint| hint.lines()) {
            writeln!(screen, "{indent}  {line}").expect("a string");
        }
    }
    screen
}

#[test]
fn screens_are_as_in_the_table() {
    let table = table();
    let (mut renewed, mut count, mut good) = (String::new(), 0, Vec::new());
    // A block begins behind an empty line: a title, or an expression and its screen.
    for (at, block) in table.split("\n\n").enumerate() {
        let first = block.lines().next().unwrap_or_default();
        let is_text = at == 0 || first.starts_with("# ");
        let screen = if is_text { String::new() } else { screen(first) };
        good.extend((!is_text && screen.is_empty()).then_some(first));
        count += usize::from(!is_text);
        if at > 0 {
            renewed.push_str("\n\n");
        }
        let block = if is_text { block.to_owned() } else { format!("{first}\n{screen}") };
        renewed.push_str(block.trim_end());
    }
    assert!(count > 200, "{count} expressions");
    renewed.push('\n');
    assert!(good.is_empty(), "no fault in {good:?}");
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(PATH, renewed).expect("the table");
    } else if let Some((ours, expect)) = renewed.lines().zip(table.lines()).find(|(ours, expect)| ours != expect) {
        panic!("expected\n{expect}\nand got\n{ours}\na run with PASSERELLE_RENEW=1 writes the table anew");
    } else {
        assert_eq!(renewed.len(), table.len(), "a run with PASSERELLE_RENEW=1 writes the table anew");
    }
}

#[test]
fn what_is_offered_can_be_read() {
    for (at, line) in table().lines().enumerate() {
        let Some((_, meant)) = line.split_once("write `") else { continue };
        let Some(meant) = meant.trim_end().strip_suffix('`').filter(|meant| !meant.contains('`')) else { continue };
        let is_operator = !meant.contains(|c: char| c.is_alphanumeric());
        assert!(is_operator || columns_of_text(meant).is_ok(), "line {}: {meant}", at + 1);
    }
}

#[test]
fn no_damage_to_an_expression_makes_it_panic() {
    let columns = columns();
    let table = table();
    let expressions = table.split("\n\n").skip(1).filter_map(|block| block.lines().next());
    for expr in expressions.filter(|expr| !expr.starts_with("# ")) {
        for (at, c) in expr.char_indices() {
            let (before, behind) = (&expr[..at], &expr[at + c.len_utf8()..]);
            let damaged = [
                before.to_owned(),
                format!("{before}{behind}"),
                format!("{before}é{behind}"),
                format!("{before}'{behind}"),
                format!("{before} ( {behind}"),
                format!("{before}:\u{201c}{behind}"),
            ];
            for text in damaged {
                let faults = Checker::new(&columns, TimeZone::UTC).compile(&text).err().unwrap_or_default();
                for fault in faults {
                    assert!(text.get(fault.span.clone()).is_some(), "{text}: {fault:?}");
                }
            }
        }
    }
}

#[test]
fn without_a_table_everything_but_names_and_types_is_checked() {
    let check = |expr: &str, expect: Option<&str>| {
        let faults = Checker::untyped(TimeZone::UTC).compile(expr).err().unwrap_or_default();
        assert_eq!(faults.first().map(|fault| fault.message.as_str()), expect, "{expr}");
    };
    for expr in [
        "nobody_knows > 3 and other ~ 'x' == 'y'",
        "a | phone(b) or c",
        "(a + b) * 2 | round(2)",
        "a in [1, 2] or b in ['x']",
        "'x' in a",
        "a | split(',') | map('trim') | join(';')",
        "a | json('b') | number > 3",
        "a if b else c | date",
        "not a",
        "-a",
        "[a, b] | concat(' ')",
        "a | map('upper')",
    ] {
        check(expr, None);
    }
    check("a | uper", Some("there is no filter `uper`"));
    check("a | truncate('x')", Some("`length` of `truncate` is a whole number"));
    check("a | truncate(b)", Some("`length` of `truncate` must be written out: it cannot be computed from the row"));
    check("a | date(zone='Paris')", Some("'Paris' is no time zone"));
    check("a ~ 'x' > 3", Some("`a ~ 'x'` is text and `3` an integer: they cannot be compared"));
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
