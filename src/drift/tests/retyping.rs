//! Types of both databases, before and after.

use super::super::retyping::{Spelled, retyping};
use super::typed;

/// `int -> bigint`, and what becomes of the values: `widened`, `narrowed`, `converted`, `same`.
fn check(change: &str, expect: &str) {
    let (from, to) = change.split_once(" -> ").expect("two types");
    let ((from_ty, from_name), (to_ty, to_name)) = (typed(from), typed(to));
    let how = retyping(Spelled { ty: &from_ty, name: &from_name }, Spelled { ty: &to_ty, name: &to_name });
    assert_eq!(how.map_or("same".to_owned(), |how| how.to_string()), expect, "{change}");
}

#[test]
fn integers() {
    check("smallint -> integer", "widened");
    check("integer -> bigint", "widened");
    check("bigint -> integer", "narrowed");
    check("tinyint -> mediumint", "widened");
    check("mediumint -> smallint", "narrowed");
    check("int -> int unsigned", "narrowed");
    check("int unsigned -> int", "narrowed");
    check("int unsigned -> bigint", "widened");
    check("year -> smallint", "widened");
    check("oid -> bigint", "widened");
    check("public.part_number -> integer", "widened");
    check("tinyint(1) -> int", "converted");
    check("integer -> integer", "same");
}

#[test]
fn other_numbers() {
    check("integer -> numeric(12,2)", "widened");
    check("integer -> numeric(11,2)", "narrowed");
    check("bigint -> numeric", "widened");
    check("integer -> double precision", "widened");
    check("integer -> real", "narrowed");
    check("smallint -> real", "widened");
    check("bigint -> double", "narrowed");
    check("real -> double precision", "widened");
    check("double -> float", "narrowed");
    check("numeric(10,2) -> numeric(12,2)", "widened");
    check("numeric(10,2) -> numeric(12,4)", "widened");
    check("numeric(10,2) -> numeric(10,4)", "narrowed");
    check("numeric(12,4) -> numeric(12,2)", "narrowed");
    check("numeric -> numeric(20,6)", "narrowed");
    check("numeric(20,6) -> numeric", "widened");
    check("decimal(10,2) -> decimal(12,2) unsigned", "narrowed");
    check("numeric(10,2) -> integer", "narrowed");
    check("numeric(10,2) -> double precision", "narrowed");
    check("double precision -> numeric(10,2)", "narrowed");
}

#[test]
fn text_and_bytes() {
    check("varchar(40) -> varchar(80)", "widened");
    check("varchar(80) -> varchar(40)", "narrowed");
    check("character varying(40) -> text", "widened");
    check("character varying(100000) -> text", "widened");
    check("character varying -> text", "widened");
    check("text -> character varying(40)", "narrowed");
    check("text -> mediumtext", "widened");
    check("longtext -> text", "narrowed");
    check("tinytext -> varchar(255)", "widened");
    check("varchar(100) -> tinytext", "narrowed");
    check("varchar(60) -> tinytext", "widened");
    check("character(4) -> character varying(4)", "widened");
    check("character varying(4) -> character(4)", "converted");
    check("char(4) -> varchar(10)", "widened");
    check("set -> text", "widened");
    check("varchar(9) -> set", "narrowed");
    check("varbinary(12) -> varbinary(16)", "widened");
    check("longblob -> blob", "narrowed");
    check("varchar(40) -> integer", "converted");
    check("integer -> varchar(40)", "converted");
    check("text -> jsonb", "converted");
    check("json -> jsonb", "widened");
    check("uuid -> text", "widened");
    check("uuid -> varchar(30)", "narrowed");
}

#[test]
fn labels_times_and_lists() {
    check("enum(a,b) -> enum(a,b,c)", "same");
    check("mood(a,b) -> enum(a,b,c)", "widened");
    check("mood(a,b) -> enum(a)", "narrowed");
    check("enum(draft,sale) -> varchar(5)", "widened");
    check("enum(draft,sale) -> varchar(4)", "narrowed");
    check("varchar(40) -> enum(a,b)", "narrowed");
    check("date -> timestamp without time zone", "converted");
    check("timestamp without time zone -> timestamp with time zone", "converted");
    check("timestamp(3) without time zone -> timestamp without time zone", "widened");
    check("timestamp without time zone -> timestamp(3) without time zone", "narrowed");
    check("datetime -> datetime(6)", "widened");
    check("datetime(3) -> datetime", "narrowed");
    check("datetime -> timestamp", "converted");
    check("interval -> interval(3)", "narrowed");
    check("integer[] -> bigint[]", "widened");
    check("text[] -> integer[]", "converted");
    check("bit(8) -> bit(16)", "converted");
}
