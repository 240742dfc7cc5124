use passerelle_change::{Batch, ColumnIds, Event, Op, TableId, TableSchema};
use passerelle_postgres::catalog::TableFacts;
use passerelle_postgres::snapshot::{BATCH_BYTES, Reader, Rows};
use passerelle_postgres::{Error, Lsn, sql};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;

use crate::rig::{Cell, Rig, rows, strings, within};

async fn schema(rig: &Rig, table: &str, columns: &[&str]) -> (TableFacts, TableSchema) {
    let facts = rig.facts(table).await;
    let schema = facts.schema(TableId(1), &strings(columns), &mut ColumnIds::default()).expect("it is right");
    (facts, schema)
}

/// Everything that a reader sees of a table.
async fn load(reader: &Reader, facts: &TableFacts, schema: &TableSchema) -> Result<(u64, Vec<Batch>), Error> {
    read(reader, facts, schema, Rows::All).await
}

async fn read(
    reader: &Reader,
    facts: &TableFacts,
    schema: &TableSchema,
    which: Rows<'_>,
) -> Result<(u64, Vec<Batch>), Error> {
    let (batches, mut inbox) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let copied = async {
        let copied = reader.copy(facts, schema, which, &batches, &cancel).await;
        drop(batches);
        copied
    };
    let collected = async {
        let mut all = Vec::new();
        while let Some(batch) = inbox.recv().await {
            all.push(batch);
        }
        all
    };
    let (copied, all) = within(async { tokio::join!(copied, collected) }).await;
    Ok((copied?, all))
}

async fn loaded(rig: &Rig, table: &str, columns: &[&str]) -> Vec<(String, Vec<Cell>)> {
    let (facts, schema) = schema(rig, table, columns).await;
    let reader = Reader::open(&rig.options("postgres"), None).await.expect("it opens");
    rows(&load(&reader, &facts, &schema).await.expect("it loads").1)
}

#[tokio::test]
async fn pg_11_it_sees_what_the_slot_begins_with_and_nothing_later() {
    let rig = Rig::new(
        "create table t (id int primary key, name text); insert into t select n, 'n' || n from generate_series(1, 1000) n",
    );
    let (mut replication, created) = rig.slot("erp").await;
    rig.sql("insert into t values (5000, 'late'); update t set name = 'late' where id <= 500; delete from t where id = 1000");
    let reader = Reader::open(&rig.options("postgres"), Some(&created.snapshot)).await.expect("it opens");
    let (facts, schema) = schema(&rig, "t", &["name"]).await;
    let (count, batches) = load(&reader, &facts, &schema).await.expect("it loads");
    let mut got = rows(&batches);
    got.sort_by_key(|(key, _)| key.parse::<i64>().expect("a number"));
    assert_eq!((count, got.len()), (1000, 1000));
    for (at, (key, cells)) in got.iter().enumerate() {
        let n = at + 1;
        assert_eq!((key.as_str(), &cells[1]), (n.to_string().as_str(), &("name".to_owned(), Some(format!("n{n}")))));
    }
    // A second reader may still join, until the connection does something else.
    Reader::open(&rig.options("postgres"), Some(&created.snapshot)).await.expect("it opens");
    replication.identify_system().await.expect("it answers");
    let late = Reader::open(&rig.options("postgres"), Some(&created.snapshot)).await.expect_err("it is gone");
    assert!(matches!(late, Error::SnapshotGone), "{late:?}");
}

#[tokio::test]
async fn rows_are_fetched_by_their_keys_whatever_is_in_them() {
    let rig = Rig::new(
        r"create table t (shop text, at timestamptz, raw bytea, n numeric(8,2), name text, primary key (shop, at, raw, n));
          insert into t values
            ('it''s', '2024-02-29 12:00:00.000001+00', '\x00ff', 1.50, 'one'), (E'a\\b\t', '-infinity', '', -2, 'two'),
            (' x', '0044-03-15 BC', '\x5c', 0, 'three'), ('rest', now(), '', 0, 'four');
          create table plain (id int8 primary key, name text); insert into plain select n, 'n' || n from generate_series(1, 500) n",
    );
    let reader = Reader::open(&rig.options("postgres"), None).await.expect("it opens");
    for (table, columns, wanted) in [("t", ["shop", "at", "raw", "n", "name"].as_slice(), 3), ("plain", &["name"], 200)]
    {
        let (facts, schema) = schema(&rig, table, columns).await;
        let all = load(&reader, &facts, &schema).await.expect("it loads").1;
        let keys = all.iter().flat_map(|batch| {
            batch.events().iter().filter_map(|event| match event {
                Event::Row(row) => Some(batch.bytes(row.key).to_vec()),
                _ => None,
            })
        });
        let mut keys: Vec<Vec<u8>> = keys.take(wanted).collect();
        let mut gone = keys[0].clone();
        gone.truncate(1);
        keys.push(gone);
        let (count, fetched) = read(&reader, &facts, &schema, Rows::Of(&keys)).await.expect("they are read");
        let (mut fetched, mut all) = (rows(&fetched), rows(&all));
        all.truncate(wanted);
        fetched.sort();
        all.sort();
        assert_eq!((count, fetched), (wanted as u64, all), "{table}");
    }
}

#[tokio::test]
async fn what_was_seen_has_been_told_when_the_log_has_passed_it() {
    let rig = Rig::new("create table t (id int primary key, name text)");
    let now = || rig.sql("select pg_current_wal_insert_lsn()").parse::<Lsn>().expect("a position");
    let before = now();
    rig.sql("set synchronous_commit = off; insert into t values (1, 'not flushed yet')");
    let reader = Reader::open(&rig.options("postgres"), None).await.expect("it opens");
    let (facts, schema) = schema(&rig, "t", &["name"]).await;
    assert_eq!(load(&reader, &facts, &schema).await.expect("it loads").0, 1);
    let seen = reader.seen_up_to().await.expect("a position");
    assert!(before < seen && seen <= now(), "{before} {seen} {}", now());
}

#[tokio::test]
async fn batches_are_bounded_and_hold_every_row_once() {
    let rig = Rig::new(
        "create table t (id int primary key, body text); insert into t select n, repeat('x', 300) from generate_series(1, 20000) n; insert into t values (0, repeat('long', 1000000))",
    );
    let (facts, schema) = schema(&rig, "t", &["body"]).await;
    let reader = Reader::open(&rig.options("postgres"), None).await.expect("it opens");
    let (count, batches) = load(&reader, &facts, &schema).await.expect("it loads");
    assert_eq!(count, 20_001);
    assert!(batches.len() > 6);
    let oversized = batches.iter().filter(|batch| batch.size_bytes() > BATCH_BYTES);
    assert_eq!(oversized.map(Batch::rows).collect::<Vec<_>>(), [1]);
    assert_eq!(batches[0].events()[0], Event::Schema { schema, behind: None });
    let mut keys: Vec<i64> = rows(&batches).iter().map(|(key, _)| key.parse().expect("a number")).collect();
    keys.sort_unstable();
    assert!(keys.into_iter().eq(0..=20_000));
    let events = batches.iter().flat_map(Batch::events).skip(1);
    assert!(
        events.into_iter().all(|event| matches!(event, Event::Row(row) if row.op == Op::Full && row.old_key.is_none()))
    );
}

#[tokio::test]
async fn names_that_need_quoting_and_values_that_need_escaping_come_whole() {
    let rig = Rig::new(
        "create schema \"S 1\"; create table \"S 1\".\"T\"\"x\" (\"Key\" text, \"select\" text, unmapped text, n int, primary key (\"Key\", n));
         insert into \"S 1\".\"T\"\"x\" values (E'a\\tb\\\\N', E'\\\\N', 'no', 1), ('', null, 'no', 2), ('ü,{}\"', E'line\\r\\nline\\\\', 'no', 3)",
    );
    let mut got = loaded(&rig, "S 1.T\"x", &["select"]).await;
    got.sort();
    let row = |key: &str, select: Option<&str>, n: &str| {
        let cell = |name: &str, text: Option<&str>| (name.to_owned(), text.map(str::to_owned));
        (format!("{key},{n}"), vec![cell("Key", Some(key)), cell("select", select), cell("n", Some(n))])
    };
    let mut want =
        vec![row("a\tb\\N", Some("\\N"), "1"), row("", None, "2"), row("ü,{}\"", Some("line\r\nline\\"), "3")];
    want.sort();
    assert_eq!(got, want);
}

#[tokio::test]
async fn pg_27_partitions_are_loaded_through_the_root_and_heirs_are_not() {
    let rig = Rig::new(
        "create table root (id int, at int, x text, primary key (id, at)) partition by range (at);
         create table one partition of root for values from (0) to (10);
         create table other (x text, at int not null, id int not null, primary key (id, at)); alter table root attach partition other for values from (10) to (20);
         insert into root values (1, 5, 'five'), (2, 15, 'fifteen');
         create table base (id int primary key, x text); create table heir () inherits (base);
         insert into base values (1, 'base'); insert into heir values (2, 'heir')",
    );
    let mut got = loaded(&rig, "root", &["x"]).await;
    got.sort();
    let told: Vec<_> =
        got.iter().map(|(key, cells)| format!("{key} {:?}", cells[2].1.as_deref().expect("a value"))).collect();
    assert_eq!(told, ["1,5 \"five\"", "2,15 \"fifteen\""]);
    assert_eq!(loaded(&rig, "base", &["x"]).await.len(), 1);
}

#[tokio::test]
async fn pg_59_generated_columns_are_left_out_where_the_stream_has_none() {
    let rig = Rig::new("create table t (id int primary key, a int); insert into t values (1, 2)");
    if rig.major() < 12 {
        return; // there are none
    }
    rig.sql("alter table t add twice int generated always as (a * 2) stored");
    let got = loaded(&rig, "t", &["a", "twice"]).await;
    let names: Vec<_> = got[0].1.iter().map(|(name, _)| name.as_str()).collect();
    let expected: &[&str] = if rig.server.major_version() >= 18 { &["id", "a", "twice"] } else { &["id", "a"] };
    assert_eq!(names, expected);
}

#[tokio::test]
async fn it_ends_when_told_to_and_when_nobody_receives() {
    let rig = Rig::new(
        "create table t (id int primary key, body text); insert into t select n, repeat('x', 1000) from generate_series(1, 10000) n",
    );
    let (facts, schema) = schema(&rig, "t", &["body"]).await;
    let (batches, mut inbox) = mpsc::channel(1);
    let cancel = CancellationToken::new();
    let reader = Reader::open(&rig.options("postgres"), None).await.expect("it opens");
    let told = within(async {
        tokio::join!(reader.copy(&facts, &schema, Rows::All, &batches, &cancel), async {
            inbox.recv().await.expect("a batch");
            cancel.cancel();
        })
    });
    assert!(matches!(told.await.0, Err(Error::Cancelled)));
    drop(reader);
    rig.until(
        "select count(*)::text from pg_stat_activity where application_name = 'passerelle erp' and state <> 'idle'",
        "0",
    )
    .await;

    drop(inbox);
    let reader = Reader::open(&rig.options("postgres"), None).await.expect("it opens");
    let unheard = within(reader.copy(&facts, &schema, Rows::All, &batches, &CancellationToken::new())).await;
    assert!(matches!(unheard, Err(Error::Cancelled)));
}

#[tokio::test]
async fn rows_that_a_policy_hides_are_an_error_and_not_missing() {
    let rig = Rig::new(
        "create table t (id int primary key); insert into t values (1), (2); create role erp login; grant select on t to erp;
         alter table t enable row level security; create policy p on t for select using (id = 1)",
    );
    let (facts, schema) = schema(&rig, "t", &[]).await;
    let reader = Reader::open(&rig.options("erp"), None).await.expect("it opens");
    let hidden = load(&reader, &facts, &schema).await.map(|_| ()).expect_err("it is refused");
    assert_eq!(hidden.sqlstate(), Some("42501"));
}

#[tokio::test]
async fn a_load_is_not_ended_by_the_roles_timeouts() {
    let rig = Rig::new(
        "create role erp login; alter role erp set statement_timeout = 1; alter role erp set idle_in_transaction_session_timeout = 1",
    );
    rig.sql("create table t (id int primary key, body text); grant select on t to erp; insert into t select n, repeat('x', 500) from generate_series(1, 5000) n");
    let (facts, schema) = schema(&rig, "t", &["body"]).await;
    let reader = Reader::open(&rig.options("erp"), None).await.expect("it opens");
    assert_eq!(load(&reader, &facts, &schema).await.expect("it loads").0, 5000);
    drop(reader);
    let client = sql::connect(&rig.options("erp")).await.expect("it connects");
    let row = client.query_one("select current_setting('statement_timeout')", &[]).await.expect("it answers");
    assert_eq!(row.get::<_, String>(0), "1min");
}
