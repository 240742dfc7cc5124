//! No text and no bytes make it panic or loop; arithmetic is exact.

use jiff::tz::TimeZone;
use passerelle_change::{Cells, CellsBuf};
use proptest::prelude::*;

use super::super::check::Checker;
use super::super::output;
use super::super::row::{Row, SlotIndex};
use super::{columns, evaluated, packed};

/// Pieces of the language, in any order.
fn any_expression() -> impl Strategy<Value = String> {
    let words = [
        "id",
        "name",
        "amount",
        "day",
        "at",
        "naive",
        "state",
        "tags",
        "raw",
        "doc",
        "is_company",
        "uid",
        "row['name']",
        "a.b",
        "1",
        "0",
        "2.5",
        "'FR'",
        "'x'",
        "''",
        "none",
        "true",
        "and",
        "or",
        "not",
        "in",
        "is",
        "if",
        "else",
        "+",
        "-",
        "*",
        "/",
        "//",
        "%",
        "~",
        "|",
        "(",
        ")",
        "[",
        "]",
        ",",
        "==",
        "<",
        "upper",
        "phone",
        "date",
        "default",
        "number",
        "truncate",
        "email",
        "country",
        "title",
        "bool",
        "datetime",
        "round",
        "hex",
        "map",
        "split",
        "join",
        "concat",
        "lines",
        "json",
        "php",
        "hash",
        "base64",
        "html_text",
        "matches",
        "person",
        "slug",
        "minor_units",
        "abs",
        "time",
        "as",
        "é",
        "'",
        ".",
        "=",
    ];
    proptest::collection::vec(proptest::sample::select(words.to_vec()), 0..14).prop_map(|words| words.join(" "))
}

fn run(expr: &str, cells: Cells<'_>) {
    let columns = columns();
    let zone = TimeZone::get("Europe/Paris").expect("a zone");
    let mut checker = Checker::new(&columns, zone.clone());
    let Ok((program, _)) = checker.compile(expr) else { return };
    let index = SlotIndex::new(&checker.slots, None);
    let row = Row::new(&checker.slots, &index, cells);
    if let Ok(value) = program.evaluate(&row) {
        let _ = output::field_value(value, &zone);
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_text_ends_without_panic(expr: String) {
        run(&expr, Cells::default());
    }

    #[test]
    fn any_words_over_any_row_end_without_panic(expr in any_expression(), cells in proptest::collection::vec(any::<Option<Vec<u8>>>(), 23)) {
        let mut row = CellsBuf::new();
        for (column, cell) in columns().iter().zip(&cells) {
            row.push(column.id, cell.as_deref());
        }
        run(&expr, row.as_cells());
    }

    #[test]
    fn filters_take_any_text(
        text: String,
        digits in "[-+0-9 ().,/xX;#]{0,30}",
        marks in "[<>/!a-d&;= \"'-]{0,40}",
        packed_up in "[]\\[{}\":,;aOsibdN0-9.]{0,40}",
    ) {
        let columns = columns();
        let filters = [
            "name | phone('FR')", "name | phone(name)", "name | email", "name | country", "name | date", "name | datetime",
            "name | date('DD/MM/YYYY')", "name | number", "name | number(',')", "name | bool", "name | title", "name | upper | lower",
            "name | trim | truncate(3)", "name | replace('a', 'bb')", "name | html_text", "name | slug", "name | strip_accents",
            "name | person('first')", "name | person('last')", "name | lines | concat(', ')", "name | split(' ') | map('number')",
            "name | json('a.0', as='list')", "name | json([], as='number')", "name | php", "name | php('a', as='json')",
            "name | time", "name | time('HH:mm')", "name | matches('^(a|b)+$')", "1 | minor_units(name)", "name | hash('md5') ~ name",
        ];
        for cell in [&text, &digits, &marks, &packed_up] {
            let row = packed(&columns, &[("name", Some(cell))]);
            for filter in filters {
                let _ = evaluated(filter, &columns, "UTC", row.as_cells());
            }
        }
    }

    #[test]
    fn sums_of_money_are_exact(a in -10_000_000_000_i64..10_000_000_000, b in -10_000_000_000_i64..10_000_000_000) {
        let columns = columns();
        let cents = |n: i64| format!("{}{}.{:02}", if n < 0 { "-" } else { "" }, n.abs() / 100, n.abs() % 100);
        let (amount, tax) = (cents(a), cents(b));
        let row = packed(&columns, &[("amount", Some(&amount)), ("tax", Some(&tax))]);
        let zero = |text: String| if text == "-0.00" { "0.00".into() } else { text };
        prop_assert_eq!(zero(evaluated("amount + tax", &columns, "UTC", row.as_cells())), cents(a + b));
        prop_assert_eq!(zero(evaluated("amount - tax", &columns, "UTC", row.as_cells())), cents(a - b));
        prop_assert_eq!(evaluated("amount < tax", &columns, "UTC", row.as_cells()), (a < b).to_string());
    }
}
