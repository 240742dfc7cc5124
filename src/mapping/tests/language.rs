//! What expressions yield.

use jiff::tz::TimeZone;
use passerelle_change::{Cells, CellsBuf, Column, ColumnId, Type};

use super::super::THEMES;
use super::super::check::Checker;
use super::{columns, evaluated, packed};

/// Expressions over one row.
fn check(cells: &[(&str, Option<&str>)], cases: &[(&str, &str)]) {
    let columns = columns();
    let row = packed(&columns, cells);
    for (expr, expect) in cases {
        assert_eq!(&evaluated(expr, &columns, "UTC", row.as_cells()), expect, "{expr}");
    }
}

#[test]
fn constants_and_precedence_are_jinjas() {
    check(
        &[],
        &[
            ("1 + 2 * 3", "7"),
            ("(1 + 2) * 3", "9"),
            ("10 - 2 - 3", "5"),
            ("-2 * 3", "-6"),
            ("- -2", "2"),
            ("7 // 2 ~ '!'", "3!"),
            ("'a' ~ 'b' | upper", "aB"),
            ("('a' ~ 'b') | upper", "AB"),
            ("not true or true", "true"),
            ("not (true or true)", "false"),
            ("true or true and false", "true"),
            ("1 == 1 and 2 < 3", "true"),
            ("not 1 == 2", "true"),
            ("'x' if 1 > 2 else 'y' if 2 > 1 else 'z'", "y"),
            ("'x' if false", "null"),
            ("'x' if none else 'y'", "y"),
            ("'it\\'s' ~ \"\\n\"", "it's\n"),
            ("[1, 2.5, none]", "[1, 2.5, null]"),
            ("True and not False", "true"),
        ],
    );
}

#[test]
fn null_is_sqls() {
    check(
        &[("name", None), ("n", None), ("is_company", None), ("email", Some("")), ("state", Some("sale"))],
        &[
            ("n == 1", "null"),
            ("n != 1", "null"),
            ("n + 1", "null"),
            ("-n", "null"),
            ("not is_company", "null"),
            ("is_company and false", "false"),
            ("is_company and true", "null"),
            ("is_company or true", "true"),
            ("is_company or false", "null"),
            ("n in [1, 2]", "null"),
            ("1 in [n, 1]", "true"),
            ("1 in [n, 2]", "null"),
            ("1 not in [n, 2]", "null"),
            ("n is none", "true"),
            ("n is not null", "false"),
            ("name ~ 'x'", "x"),
            ("name ~ name", "null"),
            ("name | upper | trim", "null"),
            ("name | default('?')", "?"),
            ("email | default('?')", ""),
            ("email | default('?', blank=true)", "?"),
            ("name or email or 'last'", "last"),
            ("n or 0", "0"),
            ("'yes' if is_company else 'no'", "no"),
            ("state in ['sale', 'done']", "true"),
            ("state not in ['sale', 'done']", "false"),
        ],
    );
}

#[test]
fn absent_is_not_null() {
    check(
        &[("n", Some("1"))],
        &[
            ("name", "absent"),
            ("name | default('?')", "absent"),
            ("name is none", "absent"),
            ("'x' if n == 1 else name", "absent"),
            ("name or 'x'", "absent"),
            ("'+33 1 42 68 53 00' | phone(country_code)", "absent"),
            ("n", "1"),
        ],
    );
}

#[test]
fn values_of_every_type() {
    let cells = [
        ("id", Some("42")),
        ("name", Some("Ada")),
        ("is_company", Some("f")),
        ("amount", Some("119.90")),
        ("tax", Some("19.98")),
        ("n", Some("7")),
        ("ratio", Some("0.5")),
        ("day", Some("2024-02-29")),
        ("clock", Some("10:00:00")),
        ("naive", Some("2024-01-31 23:30:00")),
        ("at", Some("2024-01-31 23:30:00+00")),
        ("span", Some("1 mon -2 days")),
        ("uid", Some("a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11")),
        ("raw", Some("\\x00ff")),
        ("doc", Some(r#"{"a": 1.10}"#)),
        ("tags", Some("{vip,NULL,\"a b\"}")),
        ("Code postal", Some("75001")),
        ("state", Some("done")),
    ];
    check(
        &cells,
        &[
            ("not is_company", "true"),
            ("amount > 100", "true"),
            ("amount - tax", "99.92"),
            ("amount * n", "839.30"),
            ("amount + ratio", "120.4"),
            ("n / 2", "3.5"),
            ("n // 2", "3"),
            ("n % 2 == 1", "true"),
            ("n / 0", "bad: division by zero"),
            ("'A-' ~ id", "A-42"),
            ("name ~ ' ' ~ amount ~ ' ' ~ is_company", "Ada 119.90 false"),
            ("day ~ ' ' ~ at", "2024-02-29 2024-01-31T23:30:00Z"),
            ("day > '2024-01-31'", "true"),
            ("day == naive | date", "false"),
            ("at > '2024-01-31T23:00:00+00:00'", "true"),
            ("at > '2024-02-01'", "false"),
            ("naive == '2024-01-31 23:30:00'", "true"),
            ("clock < '12:00:00'", "true"),
            ("at | date", "2024-01-31"),
            ("at | date(zone='Europe/Paris')", "2024-02-01"),
            ("naive | datetime", "2024-01-31T23:30:00Z"),
            ("naive | datetime(zone='Europe/Paris')", "2024-01-31T22:30:00Z"),
            ("day | datetime", "2024-02-29T00:00:00Z"),
            ("span", "1 mon -2 days"),
            ("uid == 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "true"),
            ("raw | hex", "00ff"),
            ("raw | hex == '00ff'", "true"),
            ("doc", r#"{"a": 1.10}"#),
            ("tags", "[vip, null, a b]"),
            ("'vip' in tags", "true"),
            ("'x' in tags", "null"),
            ("'d' in name", "true"),
            ("row[\"Code postal\"]", "75001"),
            ("row['Code postal'] | number + 1", "75002"),
            ("state == 'done'", "true"),
            ("state | upper", "DONE"),
            ("id if id != n else none", "42"),
        ],
    );
}

#[test]
fn what_cannot_be_read_is_bad_and_says_why() {
    let cells = [("day", Some("infinity")), ("clock", Some("24:00:00")), ("amount", Some("NaN")), ("n", Some("x"))];
    check(
        &cells,
        &[
            ("day", "bad: infinity is not a date"),
            ("day is none", "bad: infinity is not a date"),
            ("clock", "bad: 24:00:00 is not a time of day"),
            ("amount", "NaN"),
            ("amount > 100", "true"),
            ("amount + 1", "bad: the number needs more than 28 digits"),
            ("n", "bad: not an integer"),
        ],
    );
}

#[test]
fn filters_take_blank_text_as_null() {
    check(
        &[("name", Some("  "))],
        &[
            ("name | email", "null"),
            ("name | phone('FR')", "null"),
            ("name | country", "null"),
            ("name | date", "null"),
            ("name | datetime", "null"),
            ("name | number", "null"),
            ("name | bool", "null"),
            ("name | trim", ""),
        ],
    );
}

#[test]
fn filters_on_what_people_type() {
    check(
        &[("phone", Some("01 42 68 53 00")), ("country_code", Some("France"))],
        &[
            ("phone | phone(country_code)", "+33142685300"),
            ("phone | phone", "bad: not a valid phone number"),
            ("phone | phone(country_code | country)", "+33142685300"),
            ("'(202) 456-1414' | phone('us')", "+12024561414"),
            ("'Ada Lovelace <ada@example.org>' | email", "bad: not an e-mail address"),
            ("'a@localhost' | email", "bad: not an e-mail address"),
            ("'a@b@c.org' | email", "bad: not an e-mail address"),
            ("'United States' | country", "US"),
            ("'iran' | country", "IR"),
            ("'Korea' | country", "bad: not a country"),
            ("'de' | country", "DE"),
            ("'1,234,567' | number", "1234567"),
            ("'1.234,5' | number", "bad: not a number of the expected form"),
            ("'1.234,5' | number(decimal=',')", "1234.5"),
            ("'-12.50' | number", "-12.50"),
            ("'12 EUR' | number", "bad: not a number of the expected form"),
            ("'2024-02-30' | date", "bad: not a date of the expected form"),
            ("'29/02/24' | date('DD/MM/YY')", "2024-02-29"),
            ("'2024-01-31T10:00:00+02:00' | datetime", "2024-01-31T08:00:00Z"),
            ("'20240131' | date('%Y%m%d')", "2024-01-31"),
        ],
    );
}

#[test]
fn the_examples_of_the_table_are_true() {
    for filter in THEMES.iter().flat_map(|theme| theme.filters) {
        check(&[], filter.examples);
    }
}

#[test]
fn the_table_of_filters_is_in_order() {
    assert!(THEMES.iter().all(|theme| theme.filters.is_sorted_by_key(|filter| filter.name)));
}

#[test]
fn naive_times_are_read_in_the_sources_zone() {
    let columns = columns();
    let row = packed(&columns, &[("naive", Some("2024-07-01 00:30:00")), ("at", Some("2024-06-30 22:30:00+00"))]);
    let check = |expr, expect: &str| assert_eq!(evaluated(expr, &columns, "Europe/Paris", row.as_cells()), expect);
    check("naive | datetime", "2024-06-30T22:30:00Z");
    check("at | date", "2024-07-01");
    check("naive | datetime == at", "true");
    check("naive | date", "2024-07-01");
    check("naive | date(zone='UTC')", "2024-06-30");
    check("naive | time(zone='UTC')", "22:30:00");
    check("naive | time(zone='Europe/Paris')", "00:30:00");
    check("naive | date(zone='Asia/Tokyo') == at | date(zone='Asia/Tokyo')", "true");
    // What the clocks skip stays as it is where no other zone is asked for.
    let skipped = packed(&columns, &[("naive", Some("2024-03-31 02:30:00"))]);
    assert_eq!(evaluated("naive | time", &columns, "Europe/Paris", skipped.as_cells()), "02:30:00");
}

#[test]
fn a_column_of_two_types_is_read_as_the_newest() {
    let column =
        |id, ty: Type| Column { id: ColumnId(id), name: "x".into(), type_name: format!("{ty:?}"), ty, nullable: true };
    let text = Type::Text { max_chars: None };
    let check = |old: Type, new: Type, cells: &[(u32, &[u8])], expect: &str| {
        let columns = [column(1, old), column(2, new)];
        let mut row = CellsBuf::new();
        for (id, cell) in cells {
            row.push(ColumnId(*id), Some(cell));
        }
        assert_eq!(evaluated("x", &columns, "UTC", row.as_cells()), expect);
    };
    check(Type::Int, Type::Decimal { precision: None }, &[(1, b"7")], "7");
    check(Type::Int, text.clone(), &[(1, b"7")], "7");
    check(Type::Bool, text.clone(), &[(1, b"t")], "true");
    check(text.clone(), Type::Int, &[(1, b"12")], "12");
    check(text.clone(), Type::Int, &[(1, b"old"), (2, b"13")], "13");
    check(
        text,
        Type::Int,
        &[(1, b"x")],
        "bad: the column's type was changed, and the older value does not fit the new one",
    );
}

#[test]
fn damaged_cells_are_absent() {
    assert_eq!(evaluated("name", &columns(), "UTC", Cells::new(&[2, 200, 1])), "absent");
}

#[test]
fn a_tinyint_that_is_a_boolean_is_also_compared_with_1_and_0() {
    let column = |at: u32, name: &str, ty: Type, type_name: &str| Column {
        id: ColumnId(at),
        name: name.to_owned(),
        ty,
        type_name: type_name.to_owned(),
        nullable: true,
    };
    let columns = [
        column(1, "deleted", Type::Bool, "tinyint(1)"),
        column(2, "guest", Type::Bool, "tinyint(1)"),
        column(3, "state", Type::Int, "tinyint(1)"),
        column(4, "paid", Type::Bool, "boolean"),
    ];
    let row =
        packed(&columns, &[("deleted", Some("t")), ("guest", Some("f")), ("state", Some("2")), ("paid", Some("t"))]);
    let cases = [
        ("deleted == 1", "true"),
        ("1 == deleted", "true"),
        ("deleted != 0", "true"),
        ("guest == 1", "false"),
        ("guest in [0, none]", "true"),
        ("deleted > 0", "true"),
        ("not guest", "true"),
        ("deleted == true", "true"),
        ("deleted and not guest", "true"),
        ("state == 2", "true"),
        ("'x' if deleted == 1 and guest == 0 else 'y'", "x"),
    ];
    for (expr, expect) in cases {
        assert_eq!(evaluated(expr, &columns, "UTC", row.as_cells()), expect, "{expr}");
    }
    let fault = |expr: &str| {
        let mut checker = Checker::new(&columns, TimeZone::UTC);
        format!("{:?}", checker.compile(expr).map(drop).unwrap_err())
    };
    for expr in ["deleted == 2", "deleted + 1 == 2", "deleted < 2"] {
        assert!(fault(expr).contains("tinyint1 = \\\"int\\\""), "{expr}: {}", fault(expr));
    }
    // A boolean of PostgreSQL is none of them.
    assert!(fault("paid == 1").contains("a boolean is a condition by itself"), "{}", fault("paid == 1"));
}
