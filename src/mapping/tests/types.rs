//! What the operators and filters of every day do with each type of PostgreSQL: at check time, and on a value, null
//! and absent. The table stands in `types.txt`; a run with PASSERELLE_RENEW=1 writes it anew, to be read in the diff.

use std::fmt::Write as _;

use passerelle_change::{CellsBuf, Column, ColumnId};
use passerelle_postgres::types::{DynamicKind, DynamicType, describe};

use super::super::Expression;
use super::printed;

const EXPRESSIONS: [&str; 8] =
    ["x", "not x", "x > 100", "x > '2024-01-01'", "x + x", "x ~ 'a'", "x | date", "x | default('?') | upper"];

/// Type, its oid, its modifier, and a value as the server prints it.
const BUILT_IN: &[(&str, u32, i32, &str)] = &[
    ("boolean", 16, -1, "t"),
    ("bytea", 17, -1, "\\x00ff"),
    ("\"char\"", 18, -1, "c"),
    ("name", 19, -1, "pg_class"),
    ("bigint", 20, -1, "9007199254740993"),
    ("smallint", 21, -1, "-7"),
    ("integer", 23, -1, "101"),
    ("text", 25, -1, "Été"),
    ("oid", 26, -1, "4294967295"),
    ("json", 114, -1, "{\"a\": 1.10}"),
    ("xml", 142, -1, "<a>1</a>"),
    ("point", 600, -1, "(1,2)"),
    ("cidr", 650, -1, "10.0.0.0/8"),
    ("real", 700, -1, "0.1"),
    ("double precision", 701, -1, "1e+300"),
    ("money", 790, -1, "$1,234.50"),
    ("inet", 869, -1, "10.0.0.1"),
    ("character(3)", 1042, 7, "ab "),
    ("character varying(40)", 1043, 44, "ab"),
    ("date", 1082, -1, "2024-02-29"),
    ("time", 1083, -1, "10:20:30.5"),
    ("timestamp", 1114, -1, "2024-01-31 23:30:00.5"),
    ("timestamp with time zone", 1184, -1, "2024-01-31 23:30:00+00"),
    ("interval", 1186, -1, "1 mon -2 days"),
    ("time with time zone", 1266, -1, "10:20:30+02"),
    ("bit(3)", 1560, 3, "101"),
    ("numeric", 1700, -1, "12345678901234567890123456789.5"),
    ("numeric(10,2)", 1700, (10 << 16 | 2) + 4, "119.90"),
    ("uuid", 2950, -1, "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"),
    ("pg_lsn", 3220, -1, "0/16B3748"),
    ("tsvector", 3614, -1, "'a':1"),
    ("jsonb", 3802, -1, "[1, 2]"),
    ("int4range", 3904, -1, "[1,10)"),
    ("text[]", 1009, -1, "{a,NULL,\"b c\"}"),
    ("integer[]", 1007, -1, "{1,2}"),
    ("bytea[]", 1001, -1, "{\"\\\\x00\"}"),
    ("an oid that nobody knows", 99_999, -1, "?"),
];

fn dynamic(name: &str, kind: DynamicKind) -> DynamicType {
    DynamicType { schema: "public".into(), name: name.into(), kind }
}

/// The whole table.
fn table() -> String {
    let mut out = String::new();
    for (name, oid, typmod, value) in BUILT_IN {
        section(&mut out, name, *oid, *typmod, None, value);
    }
    let labels = ["draft", "2024-01-01", "sale"].map(str::to_owned).to_vec();
    let mood = dynamic("mood", DynamicKind::Enum { labels, label_ids: Vec::new() });
    section(&mut out, "an enum", 20_000, -1, Some(&mood), "sale");
    let domain = dynamic("amount", DynamicKind::Domain { base: 1700, typmod: (10 << 16 | 2) + 4, dynamic: None });
    section(&mut out, "a domain over numeric(10,2)", 20_001, -1, Some(&domain), "7.50");
    let moods = dynamic("_mood", DynamicKind::Array { element: 20_000, dynamic: Some(Box::new(mood)) });
    section(&mut out, "a list of an enum", 20_002, -1, Some(&moods), "{sale,draft}");
    section(&mut out, "citext", 20_003, -1, Some(&dynamic("citext", DynamicKind::Other)), "Ada");
    section(&mut out, "a composite", 20_004, -1, Some(&dynamic("address", DynamicKind::Other)), "(Paris,75001)");
    out
}

fn section(out: &mut String, title: &str, oid: u32, typmod: i32, dynamic: Option<&DynamicType>, value: &str) {
    let (ty, type_name) = describe(oid, typmod, dynamic);
    let columns = [Column { id: ColumnId(1), name: "x".into(), ty, type_name, nullable: true }];
    let row = |cell: Option<&str>| {
        let mut row = CellsBuf::new();
        row.push(ColumnId(1), cell.map(str::as_bytes));
        row
    };
    // Writing to a string does not fail.
    let _ = writeln!(out, "{title}: {value}");
    for expr in EXPRESSIONS {
        let compiled = match Expression::compile(expr, &columns, "Europe/Paris") {
            Ok(compiled) => compiled,
            Err(faults) => {
                let faults: Vec<_> = faults.iter().map(|fault| fault.message.as_str()).collect();
                let _ = writeln!(out, "    {expr:<26} refused: {}", faults.join("; "));
                continue;
            }
        };
        let gives = [row(Some(value)), row(None), CellsBuf::new()].map(|row| {
            compiled.evaluate(row.as_cells(), |value| match value {
                Ok(value) => printed(value),
                Err(reason) => format!("bad: {reason}"),
            })
        });
        let _ = writeln!(out, "    {expr:<26} {}", gives.join(" | "));
    }
}

#[test]
fn every_type_of_postgresql() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/src/mapping/tests/types.txt");
    let table = table();
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(path, &table).expect("the table can be written");
    }
    let expect = std::fs::read_to_string(path).unwrap_or_default();
    for (got, expect) in table.lines().zip(expect.lines()) {
        assert_eq!(got, expect, "a run with PASSERELLE_RENEW=1 writes the table anew");
    }
    assert_eq!(table.lines().count(), expect.lines().count());
}
