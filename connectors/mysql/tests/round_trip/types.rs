//! Every type of MariaDB, whatever the server is set to.

use passerelle_change::{Type, Value};
use passerelle_mysql::catalog::{KnownColumn, KnownTable, Special};
use passerelle_test_servers::MariadbServer;

use crate::columns::{self, Column, is_same, selected};
use crate::log::{Held, Wanted};

/// All columns that MariaDB has.
pub(crate) fn every_column() -> Vec<Column> {
    columns::COMMON.iter().chain(columns::MARIADB).copied().collect()
}

pub(crate) fn columns_of(columns: &[Column]) -> Vec<&'static str> {
    columns.iter().map(|column| column.name).collect()
}

/// Makes the table, with a row for each value and one of nulls.
pub(crate) fn statements(columns: &[Column]) -> String {
    let definitions: Vec<_> = columns.iter().map(|column| format!("{} {}", column.name, column.ty)).collect();
    let mut sql = format!("create table t (id int primary key, {});\n", definitions.join(", "));
    let rows = columns.iter().map(|column| column.values.len()).max().unwrap_or(0);
    for row in 0..rows {
        let values: Vec<_> = columns.iter().map(|column| column.values[row % column.values.len()]).collect();
        sql.push_str("insert into t values (");
        sql.push_str(&row.to_string());
        sql.push_str(", ");
        sql.push_str(&values.join(", "));
        sql.push_str(");\n");
    }
    sql += "insert into t (id) values (1000);\n";
    sql
}

/// The query that the rows are compared with.
pub(crate) fn query(columns: &[Column]) -> String {
    let selected: Vec<_> = columns.iter().map(selected).collect();
    format!("select id, {} from t order by id", selected.join(", "))
}

/// Every cell is what the server answered, and reads as a value of its type where the type can have it.
pub(crate) fn compare(columns: &[Column], held: &Held, answer: &str) {
    let mut wrong = Vec::new();
    let lines: Vec<_> = answer.lines().collect();
    assert_eq!(held.rows.len(), lines.len(), "{:?}", held.said);
    for line in lines {
        let mut texts = line.split('\t');
        let id = texts.next().unwrap();
        for (column, text) in columns.iter().zip(texts) {
            let (cell, text) = (&held.rows[id][column.name], unescaped(text));
            let same = match cell {
                None => text == "NULL",
                Some(cell) => is_same(column, cell, &text),
            };
            if !same {
                wrong.push(format!("{} ({}) of {id}: got {cell:?}, the server has {text:?}", column.name, column.ty));
            }
            let value = Value::parse(&held.types[column.name], cell.as_deref().map(str::as_bytes));
            let is_refused =
                matches!(held.types[column.name], Type::Date | Type::DateTime | Type::Timestamp | Type::Time);
            if value.is_err() && !is_refused {
                wrong.push(format!("{} of {id}: {cell:?} is no {:?}", column.name, held.types[column.name]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// As the client escapes it.
fn unescaped(text: &str) -> String {
    let mut out = String::new();
    let mut chars = text.chars();
    while let Some(char) = chars.next() {
        out.push(match (char, if char == '\\' { chars.next() } else { None }) {
            (_, Some('t')) => '\t',
            (_, Some('n')) => '\n',
            (_, Some('0')) => '\0',
            (_, Some(other)) => other,
            (char, None) => char,
        });
    }
    out
}

/// What the catalogue says of `shop.t`.
pub(crate) fn catalogue(server: &MariadbServer) -> KnownTable {
    let sql = "select column_name, column_type, ifnull(character_set_name, '-') from information_schema.columns \
               where table_schema = 'shop' and table_name = 't' order by ordinal_position";
    let answer = server.sql("", sql).unwrap();
    let column = |line: &str| {
        let mut column = known_column(line);
        if column.name == "js" {
            column.special = Special::Json;
        }
        column
    };
    KnownTable { columns: answer.lines().map(column).collect(), cascades: false }
}

/// A column of `information_schema`: name, type, character set.
pub(crate) fn known_column(line: &str) -> KnownColumn {
    let words: Vec<_> = line.split('\t').collect();
    KnownColumn::parse(words[0], words[1], Some(words[2]).filter(|name| *name != "-"))
}

pub(crate) const SESSION: &str = "set sql_mode = 'ALLOW_INVALID_DATES'; set time_zone = '+00:00';\n";

fn round_trip(settings: &[(&str, &str)], batch_bytes: usize) {
    let mut builder = MariadbServer::builder();
    for (name, value) in settings {
        builder = builder.setting(name, value);
    }
    let server = builder.start().unwrap();
    server.sql("", "create database shop").unwrap();
    let columns = every_column();
    server.sql("shop", &format!("{SESSION}{}", statements(&columns))).unwrap();
    let answer = server.sql("shop", &query(&columns)).unwrap();
    let known = Some(catalogue(&server));
    let wanted = Wanted { table: "t", columns: columns_of(&columns), key: "id", known, batch_bytes };
    let held = wanted.decode(&server.binlogs().unwrap());
    compare(&columns, &held, &answer);
    let gtid = server.sql("", "select @@gtid_binlog_pos").unwrap();
    assert!(held.position.ends_with(&format!(" {gtid}")), "{} {gtid}", held.position);
}

#[test]
fn my_52_every_type_with_full_metadata() {
    round_trip(&[("binlog_row_metadata", "FULL")], 0);
}

#[test]
fn my_52_every_type_by_the_catalogue_alone() {
    round_trip(&[("binlog_row_metadata", "NO_LOG")], 1 << 20);
}

#[test]
fn my_45_my_52_every_type_with_minimal_metadata_and_compressed() {
    round_trip(
        &[("binlog_row_metadata", "MINIMAL"), ("log_bin_compress", "ON"), ("log_bin_compress_min_len", "10")],
        0,
    );
}

#[test]
fn my_67_every_type_with_times_as_they_were() {
    round_trip(&[("binlog_row_metadata", "FULL"), ("mysql56_temporal_format", "OFF"), ("binlog_checksum", "NONE")], 0);
}
