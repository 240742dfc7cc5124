//! Types that change while the stream runs: the stream and the catalogue name a column alike, so that it has one id.

use passerelle_change::TableId;
use passerelle_postgres::{catalog, sql};

use crate::rig::{Rig, Tail};

/// Runs statements, the last of which changes a row, and compares what the stream told of the table with the catalogue.
/// Answers the type of `c` as both name it, and the row.
async fn check(rig: &Rig, tail: &mut Tail, statements: &str) -> (String, String) {
    let (alter, change) = statements.rsplit_once("; ").unwrap();
    rig.sql(alter);
    rig.sql(change);
    let (lines, _) = tail.transactions(1).await;
    let told = tail.printer.schemas[&TableId(1)].clone();
    let client = sql::connect(&rig.options).await.unwrap();
    let catalog = catalog::read(&client, std::slice::from_ref(&told.name)).await.unwrap();
    let mapped: Vec<String> = told.columns.iter().map(|column| column.name.clone()).collect();
    let facts = catalog.table(&told.name).unwrap();
    let read = facts.schema(TableId(1), &mapped, &mut rig.ids.lock().unwrap()).unwrap();
    for (ours, theirs) in told.columns.iter().zip(&read.columns) {
        assert_eq!(
            (ours.id, &ours.name, &ours.type_name),
            (theirs.id, &theirs.name, &theirs.type_name),
            "{statements}"
        );
    }
    assert_eq!((told.columns.len(), &told.key), (read.columns.len(), &read.key), "{statements}");
    let row = lines.iter().rfind(|line| line.contains(" t 1")).unwrap().clone();
    (told.column("c").map(|column| column.type_name.clone()).unwrap_or_default(), row)
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_21_columns_that_hold_something_else_are_named_alike_in_stream_and_catalogue() {
    let rig =
        Rig::new("create table t (id int primary key, c varchar(40)); insert into t values (1, '12')", &["t id id c"])
            .await;
    let mut tail = rig.tail().await;
    for (to, want, row) in [
        ("varchar(60)", "character varying(60)", "c='12'"),
        ("text", "text", "c='12'"),
        ("integer using c::int", "integer", "c='12'"),
        ("bigint", "bigint", "c='12'"),
        ("numeric(12,4)", "numeric(12,4)", "c='12.0000'"),
        ("numeric(12,2)", "numeric(12,2)", "c='12.00'"),
        ("double precision", "double precision", "c='12'"),
        ("timestamptz using to_timestamp(c)", "timestamp with time zone", "c='1970-01-01 00:00:12+00'"),
        ("timestamp(3) using c at time zone 'UTC'", "timestamp(3) without time zone", "c='1970-01-01 00:00:12'"),
        ("date", "date", "c='1970-01-01'"),
        ("text[] using array[c::text]", "text[]", "c='{1970-01-01}'"),
        ("jsonb using to_jsonb(c)", "jsonb", r#"c='["1970-01-01"]'"#),
    ] {
        let statements = format!("alter table t alter c type {to}; update t set id = 1");
        let (name, line) = check(&rig, &mut tail, &statements).await;
        assert_eq!((name.as_str(), line.ends_with(row)), (want, true), "{to}: {line}");
    }
    tail.stop().await.unwrap();
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pg_24_types_that_are_made_while_the_stream_runs_are_named_alike_in_stream_and_catalogue() {
    let rig = Rig::new(
        "create schema other; create type mood as enum ('sad', 'ok');
         create table t (id int primary key, c mood); insert into t values (1, 'ok')",
        &["t id id c"],
    )
    .await;
    let mut tail = rig.tail().await;
    for (statements, want, row) in [
        ("alter type mood add value 'glad'; update t set c = 'glad'", "public.mood", "c='glad'"),
        ("alter type mood rename value 'glad' to 'happy'; update t set c = 'happy'", "public.mood", "c='happy'"),
        // None of these was there when the catalogue was read.
        (
            "create type size as enum ('s', 'xl'); alter table t alter c type size using 's'; update t set c = 'xl'",
            "public.size",
            "c='xl'",
        ),
        ("alter table t alter c type size[] using array[c]; update t set id = 1", "public.size[]", "c='{xl}'"),
        (
            "create domain other.price as numeric(10,2); alter table t alter c type other.price using 5; update t set c = 6",
            "other.price",
            "c='6.00'",
        ),
        (
            "create type pair as (a int, b text); alter table t alter c type pair using (1, 'x'); update t set id = 1",
            "public.pair",
            "c='(1,x)'",
        ),
        // Dropped and made anew, it is another type of the same name.
        (
            "alter table t drop c; drop type mood; create type mood as enum ('new'); alter table t add c mood; update t set c = 'new'",
            "public.mood",
            "c='new'",
        ),
        (
            "alter type mood rename to humour; alter table t add d int; update t set c = 'new'",
            "public.humour",
            "c='new'",
        ),
    ] {
        let (name, line) = check(&rig, &mut tail, statements).await;
        assert_eq!((name.as_str(), line.ends_with(row)), (want, true), "{statements}: {line}");
    }
    tail.stop().await.unwrap();
}
