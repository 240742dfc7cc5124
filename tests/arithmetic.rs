//! The arithmetic of expressions is PostgreSQL's own, on the same numbers: generated pairs go to a real server in one
//! statement a kind of number, and what it prints is compared with what our expressions give.
//!
//! Where ours is meant to differ, the test says how: a result of more than 28 digits is refused and never rounded; `/`
//! is the quotient rounded at the 28th digit; a division by zero is a bad value and no error of the whole statement.

use std::fmt::Write as _;

use passerelle::mapping::Expression;
use passerelle_change::{CellsBuf, Column, ColumnId, Type, Value};
use passerelle_test_servers::PgServer;
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use rust_decimal::Decimal;
use tokio_postgres::SimpleQueryMessage;

/// Pairs of each kind; those of special numbers come on top.
const PAIRS: usize = 2000;
const TOO_LONG: &str = "the number needs more than 28 digits";
const NUMERIC: Type = Type::Decimal { precision: None };
const COMPARISONS: [(&str, &str); 6] = [("<", "<"), ("<=", "<="), ("==", "="), ("!=", "<>"), (">", ">"), (">=", ">=")];

/// Over columns `a` and `b`.
struct Calculator {
    columns: [Column; 2],
}

impl Calculator {
    fn new(a: Type, b: Type) -> Self {
        let column = |id, name: &str, ty| Column {
            id: ColumnId(id),
            name: name.into(),
            ty,
            type_name: String::new(),
            nullable: true,
        };
        Self { columns: [column(1, "a", a), column(2, "b", b)] }
    }

    /// The value of an expression as text, or why there is none.
    fn value(&self, expr: &str, a: &str, b: &str) -> Result<String, &'static str> {
        let compiled = Expression::compile(expr, &self.columns, "UTC").unwrap_or_else(|faults| panic!("{faults:?}"));
        let mut row = CellsBuf::new();
        row.push(ColumnId(1), Some(a.as_bytes()));
        row.push(ColumnId(2), Some(b.as_bytes()));
        compiled.evaluate(row.as_cells(), |value| match value? {
            Value::Bool(b) => Ok(if b { "t" } else { "f" }.into()),
            Value::Int(n) => Ok(n.to_string()),
            Value::Decimal(n) => Ok(n.to_string()),
            Value::BigNumber(text) => Ok(text.into_owned()),
            // As PostgreSQL: no sign of zero, and other names.
            Value::Float(0.0) => Ok("0".into()),
            Value::Float(n) => Ok(format!("{n:?}")),
            other => panic!("{expr} gives {other:?}"),
        })
    }
}

fn integer() -> impl Strategy<Value = String> {
    prop_oneof![
        (-20_i64..20).prop_map(|n| n.to_string()),
        (-1_000_000_i64..1_000_000).prop_map(|n| n.to_string()),
        any::<i64>().prop_map(|n| n.to_string()),
    ]
}

/// A number of up to 28 digits, of which up to 14 behind the point.
fn decimal() -> impl Strategy<Value = String> {
    let any_size = (0..28_u32).prop_flat_map(|digits| -(10_i128.pow(digits))..=10_i128.pow(digits));
    let money = (-10_000_000_i128..10_000_000, Just(2_u32));
    prop_oneof![money, (any_size, 0..14_u32)]
        .prop_map(|(mantissa, scale)| Decimal::from_i128_with_scale(mantissa, scale).to_string())
}

fn float() -> impl Strategy<Value = String> {
    prop_oneof![
        (-1000.0..1000.0_f64),
        (-1e15..1e15_f64),
        (-20_i32..20).prop_map(|n| f64::from(n) / 4.0),
        (-1.0..1.0_f64, -60..60).prop_map(|(n, power)| n * 10_f64.powi(power)),
    ]
    .prop_map(|n| n.to_string())
}

fn pairs(a: impl Strategy<Value = String>, b: impl Strategy<Value = String>) -> Vec<(String, String)> {
    let mut runner = TestRunner::default();
    let pair = (a, b);
    (0..PAIRS).map(|_| pair.new_tree(&mut runner).expect("a pair").current()).collect()
}

fn each_with_each(numbers: &[&str]) -> Vec<(String, String)> {
    let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
    numbers.iter().flat_map(|a| numbers.iter().map(move |b| pair(a, b))).collect()
}

/// What the server gives for SQL over `a` and `b`, for each pair: one statement for all.
async fn server_says(
    sql: &tokio_postgres::Client,
    ty: &str,
    pairs: &[(String, String)],
    exprs: &[&str],
) -> Vec<Vec<Option<String>>> {
    let mut statement = format!("select {} from (values ", exprs.join(", "));
    for (at, (a, b)) in pairs.iter().enumerate() {
        let comma = if at > 0 { ", " } else { "" };
        let _ = write!(statement, "{comma}({at}, '{a}'::{ty}, '{b}'::{ty})");
    }
    statement += ") as pair (at, a, b) order by at";
    let rows = sql.simple_query(&statement).await.expect("the server computes");
    let rows = rows.into_iter().filter_map(|row| match row {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let rows: Vec<_> = rows.map(|row| (0..exprs.len()).map(|at| row.get(at).map(str::to_owned)).collect()).collect();
    assert_eq!(rows.len(), pairs.len());
    rows
}

async fn client(server: &PgServer) -> tokio_postgres::Client {
    server.client("postgres").await.expect("a client")
}

/// Of one text for each value: `1.50` is `1.5`, `-0` is `0`.
fn same(number: &str) -> String {
    let short = if number.contains('.') && !number.contains('e') {
        number.trim_end_matches('0').trim_end_matches('.')
    } else {
        number
    };
    if short == "-0" { "0".into() } else { short.to_owned() }
}

#[tokio::test(flavor = "multi_thread")]
async fn integers_and_decimals_are_computed_as_the_server_does() {
    let server = PgServer::start().expect("a server");
    let sql = client(&server).await;
    let exprs = [
        ("a + b", "a + b"),
        ("a - b", "a - b"),
        ("a * b", "a * b"),
        ("a // b", "div(a, nullif(b, 0))"),
        ("a % b", "a % nullif(b, 0)"),
        ("-a", "-a"),
        ("a | abs", "abs(a)"),
        ("a | round", "round(a)"),
        ("a | round(2)", "round(a, 2)"),
        ("a | round(7)", "round(a, 7)"),
    ];
    let theirs: Vec<_> = exprs.iter().map(|(_, sql)| *sql).collect();
    let kinds = [
        (Type::Int, Type::Int, pairs(integer(), integer())),
        (Type::Int, NUMERIC, pairs(integer(), decimal())),
        (NUMERIC, Type::Int, pairs(decimal(), integer())),
        (NUMERIC, NUMERIC, pairs(decimal(), decimal())),
        (NUMERIC, NUMERIC, each_with_each(&["0", "0.00", "-1", "0.5", "-0.5", "1.005", "2.5", "-2.5", "10"])),
    ];
    for (a_type, b_type, pairs) in kinds {
        let ours = Calculator::new(a_type, b_type);
        let rows = server_says(&sql, "numeric", &pairs, &theirs).await;
        for ((a, b), row) in pairs.iter().zip(rows) {
            for ((expr, _), want) in exprs.iter().zip(row) {
                let context = format!("{expr} where a = {a} and b = {b}: the server says {want:?}");
                match (ours.value(expr, a, b), want) {
                    (Ok(got), Some(want)) => assert_eq!(same(&got), same(&want), "{context}"),
                    (Err("division by zero"), None) => {}
                    (Err(TOO_LONG), Some(want)) => assert!(is_too_long(a, b, &want), "{context}"),
                    (got, _) => panic!("{context}, we {got:?}"),
                }
            }
        }
    }
}

/// Whether a result may be refused: it has more than 28 digits, or the two at one scale have more than 38 (which only
/// `//` and `%` of very unlike numbers come to).
fn is_too_long(a: &str, b: &str, result: &str) -> bool {
    let parts = |text: &str| {
        let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
        (whole.trim_start_matches(['-', '0']).len(), fraction.trim_end_matches('0').len())
    };
    let ((a_whole, a_scale), (b_whole, b_scale)) = (parts(a), parts(b));
    let (whole, scale) = parts(result);
    whole + scale > 28 || scale > 28 || a_whole.max(b_whole) + a_scale.max(b_scale) > 37
}

#[tokio::test(flavor = "multi_thread")]
async fn quotients_are_the_nearest_at_the_28th_digit() {
    let server = PgServer::start().expect("a server");
    let sql = client(&server).await;
    let ours = Calculator::new(NUMERIC, NUMERIC);
    let mut pairs = pairs(decimal(), decimal());
    pairs.extend(each_with_each(&["1", "2", "3", "7", "0.01", "-6", "1000000007", "0.00000000000003"]));
    // What we give goes to the server too, which multiplies it back without rounding.
    let mut statement =
        String::from("select bool_and(near), count(*), min(at) filter (where not near) from (select at, ");
    statement += "abs(q * b - a) <= abs(b) * 0.5 * digit as near from (values ";
    let mut sent = 0;
    for (at, (a, b)) in pairs.iter().enumerate() {
        let quotient = match ours.value("a / b", a, b) {
            Ok(quotient) => quotient,
            Err("division by zero") => {
                assert!(b.trim_matches(['-', '0', '.']).is_empty(), "{a} / {b}");
                continue;
            }
            Err(reason) => {
                // A quotient of 29 digits and more before the point.
                assert_eq!(reason, TOO_LONG);
                continue;
            }
        };
        // The value of the 28th digit: behind the point where nothing stands before it.
        let whole = quotient.split('.').next().unwrap_or_default().trim_start_matches(['-', '0']).len() as i32;
        let digit = format!("1e{}", whole - 28);
        let comma = if sent > 0 { ", " } else { "" };
        let _ = write!(
            statement,
            "{comma}({at}, '{a}'::numeric, '{b}'::numeric, '{quotient}'::numeric, '{digit}'::numeric)"
        );
        sent += 1;
    }
    statement += ") as quotient (at, a, b, q, digit)) as judged";
    let row = sql.simple_query(&statement).await.expect("the server computes");
    let row = row.iter().find_map(|row| match row {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    });
    let row = row.expect("a row");
    let wrong = row.get(2).and_then(|at| at.parse::<usize>().ok()).map(|at| &pairs[at]);
    assert_eq!((row.get(0), wrong), (Some("t"), None));
    assert!(sent > PAIRS / 2, "{sent} quotients");
}

#[tokio::test(flavor = "multi_thread")]
async fn numbers_are_ordered_as_the_server_does() {
    let server = PgServer::start().expect("a server");
    let sql = client(&server).await;
    let long = ["NaN", "0", "-0.00", "1.0", "1", "12345678901234567890123456789.5", "-99999999999999999999999999999"];
    let floats = ["NaN", "Infinity", "-Infinity", "0", "-0", "1", "1e300", "5e-324"];
    let theirs: Vec<_> = COMPARISONS.iter().map(|(_, op)| format!("a {op} b")).collect();
    let theirs: Vec<_> = theirs.iter().map(String::as_str).collect();
    let kinds = [
        ("numeric", Type::Int, Type::Int, pairs(integer(), integer())),
        ("numeric", NUMERIC, Type::Int, pairs(decimal(), integer())),
        ("numeric", NUMERIC, NUMERIC, pairs(decimal(), decimal())),
        ("numeric", NUMERIC, NUMERIC, each_with_each(&long)),
        ("float8", Type::Float, Type::Float, pairs(float(), float())),
        ("float8", Type::Float, Type::Float, each_with_each(&floats)),
        // Beside a float, both are floats, there as here.
        ("float8", NUMERIC, Type::Float, pairs(decimal(), float())),
        ("float8", Type::Float, Type::Int, pairs(float(), integer())),
    ];
    for (ty, a_type, b_type, pairs) in kinds {
        let ours = Calculator::new(a_type, b_type);
        let rows = server_says(&sql, ty, &pairs, &theirs).await;
        for ((a, b), row) in pairs.iter().zip(rows) {
            for ((op, _), want) in COMPARISONS.iter().zip(row) {
                assert_eq!(ours.value(&format!("a {op} b"), a, b).ok(), want, "{a} {op} {b} as {ty}");
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn floats_are_computed_as_the_server_does() {
    let server = PgServer::start().expect("a server");
    let sql = client(&server).await;
    let exprs = [
        ("a + b", "a + b"),
        ("a - b", "a - b"),
        ("a * b", "a * b"),
        ("a / b", "a / nullif(b, 0)"),
        ("a // b", "trunc(a / nullif(b, 0))"),
        ("-a", "-a"),
        ("a | abs", "abs(a)"),
    ];
    let theirs: Vec<_> = exprs.iter().map(|(_, sql)| *sql).collect();
    let kinds = [
        (Type::Float, Type::Float, pairs(float(), float())),
        (Type::Float, NUMERIC, pairs(float(), decimal())),
        (Type::Int, Type::Float, pairs(integer(), float())),
    ];
    for (a_type, b_type, pairs) in kinds {
        let exact = a_type == Type::Int;
        let ours = Calculator::new(a_type, b_type);
        let rows = server_says(&sql, "float8", &pairs, &theirs).await;
        for ((a, b), row) in pairs.iter().zip(rows) {
            // An integer alone is none: `-a` stays exact.
            for ((expr, _), want) in exprs.iter().zip(row).filter(|((expr, _), _)| !exact || expr.contains(" b")) {
                let context = format!("{expr} where a = {a} and b = {b}: the server says {want:?}");
                match (ours.value(expr, a, b), want) {
                    (Ok(got), Some(want)) => {
                        let read = |text: &str| text.parse::<f64>().expect("a float");
                        assert_eq!(read(&got).to_bits(), (read(&want) + 0.0).to_bits(), "{context}");
                    }
                    (Err("division by zero"), None) => {}
                    (got, _) => panic!("{context}, we {got:?}"),
                }
            }
        }
    }
}
