//! SN-09: of every type, the value from the stream and the value from a load are equal, byte by byte.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};

use passerelle_change::{Batch, ColumnIds, Event, TableId, TableSchema};
use passerelle_postgres::decode::Decoder;
use passerelle_postgres::snapshot::{Reader, Rows};
use passerelle_postgres::{catalog, stream};
use passerelle_test_servers::PgServer;
use tokio::sync::{mpsc, watch};
use tokio_util::sync::CancellationToken;

use crate::rig::{Cell, Rig, name, rows, within};

/// Types, and values of them as SQL.
const VALUES: &[(&str, &[&str])] = &[
    ("bool", &["true", "false"]),
    ("int2", &["-32768"]),
    ("int4", &["2147483647"]),
    ("int8", &["-9223372036854775808"]),
    ("numeric", &["'NaN'", "'Infinity'", "'-Infinity'", "1e-300", "repeat('9', 2000)::numeric", "0.00", "-0.10"]),
    ("numeric(10,2)", &["12345678.90"]),
    ("float4", &["0.1", "'NaN'", "'-Infinity'", "3.4028235e38"]),
    ("float8", &["0.1::float8 + 0.2", "1e-320", "'-0'"]),
    ("text", &["''", "E'tab\\there\\nline\\\\N'", "'\u{1F600} ü'", "repeat('wide', 5000)"]),
    ("varchar(10)", &["'  pad  '"]),
    ("char(6)", &["'ab'", "''"]),
    ("name", &["'a name'"]),
    ("\"char\"", &["'x'"]),
    ("bytea", &["'\\xdeadbeef00'", "''"]),
    ("date", &["'2024-02-29'", "'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'"]),
    ("time", &["'24:00:00'", "'03:04:05.000001'"]),
    ("timetz", &["'03:04:05.6+05:45:12'"]),
    (
        "timestamp",
        &["'2024-01-02 03:04:05'", "'infinity'", "'0044-03-15 12:00:00 BC'", "'294276-12-31 23:59:59.999999'"],
    ),
    ("timestamptz", &["'2024-01-02 03:04:05.6+05:30'", "'-infinity'", "'12345-01-01 00:00:00+00'"]),
    ("interval", &["'1 mon -2 days +03:04:05.6'", "'-1 year'", "'0'", "'infinity'", "'-infinity'"]),
    ("uuid", &["'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'"]),
    ("json", &["'{\"a\": 1, \"a\" : 12345678901234567890.10, \"z\":\"\\u0000\"}'"]),
    ("jsonb", &["'{\"b\": [1, null], \"a\": 1.10}'"]),
    ("int4[]", &["'{1,NULL,3}'", "'{}'", "'[0:1]={5,6}'", "'{{1,2},{3,4}}'"]),
    ("text[]", &["array['NULL', null, '', 'a\"b', 'c\\d', 'e,f', ' ']"]),
    ("timestamptz[]", &["array['2024-01-02 03:04:05+05:30'::timestamptz]"]),
    ("mood", &["'it''s ok'"]),
    ("mood[]", &["'{sad,NULL}'"]),
    ("price", &["12.5"]),
    ("pair", &["row(1, 'a \"b\", c')", "row(null, '')"]),
    ("bit(3)", &["b'101'"]),
    ("varbit", &["b'10101'"]),
    ("money", &["'12345.67'", "'-1'"]),
    ("inet", &["'10.0.0.1/8'", "'fd00::1'"]),
    ("cidr", &["'10.0.0.0/8'"]),
    ("macaddr", &["'08:00:2b:01:02:03'"]),
    ("macaddr8", &["'08:00:2b:01:02:03:04:05'"]),
    ("xml", &["'<a b=\"c\">d</a>'"]),
    ("int4range", &["'[1,5]'", "'empty'"]),
    ("tstzrange", &["'[2024-01-01 00:00+02,)'"]),
    ("nummultirange", &["'{[1,2],(3,4.5]}'"]),
    ("point", &["'(1.1,2.2)'"]),
    ("box", &["'(2,2),(1,1)'"]),
    ("box[]", &["'{(2,2),(1,1);(3,3),(0,0)}'"]),
    ("path", &["'[(0,0),(1,1)]'"]),
    ("circle", &["'<(0,0),5>'"]),
    ("tsvector", &["to_tsvector('simple', 'the quick ''fox''')"]),
    ("tsquery", &["'fat & (rat | cat)'"]),
    ("pg_lsn", &["'16/B374D848'"]),
    ("xid8", &["'18446744073709551615'"]),
    ("oid", &["4294967295"]),
    ("regclass", &["'pg_catalog.pg_class'", "'public.t'"]),
    ("jsonpath", &["'$.a[*] ? (@ > 1)'"]),
];

/// The major version that a type, or a value of it, came with; 0 where we support no older one.
fn since(ty: &str, value: &str) -> u32 {
    match (ty, value) {
        ("interval", "'infinity'" | "'-infinity'") => 17,
        ("nummultirange", _) | ("numeric", "'Infinity'" | "'-Infinity'") => 14,
        ("xid8", _) => 13,
        ("jsonpath", _) => 12,
        _ => 0,
    }
}

/// [`VALUES`] as far as the server knows them.
fn values(major: u32) -> Vec<(&'static str, Vec<&'static str>)> {
    let known = |(ty, values): &(&'static str, &[&'static str])| {
        let values: Vec<_> = values.iter().copied().filter(|value| since(ty, value) <= major).collect();
        (*ty, values)
    };
    VALUES.iter().map(known).filter(|(_, values)| !values.is_empty()).collect()
}

/// Column `c7` holds the type number 7; row `n` holds the n-th value of every type that has so many, else null.
fn table_of_everything(major: u32) -> (String, String, Vec<String>) {
    let all = values(major);
    let names: Vec<_> = (0..all.len()).map(|at| format!("c{at}")).collect();
    let columns: Vec<_> = names.iter().zip(&all).map(|(name, (ty, _))| format!("{name} {ty}")).collect();
    let most = all.iter().map(|(_, values)| values.len()).max().unwrap_or(0);
    let row = |at: usize| {
        let value = |(ty, values): &(&str, Vec<&str>)| {
            values.get(at).map_or("null".to_owned(), |value| format!("({value})::{ty}"))
        };
        format!("({at}, {})", all.iter().map(value).collect::<Vec<_>>().join(", "))
    };
    let create = format!(
        "create type mood as enum ('sad', 'it''s ok'); create domain price as numeric(10,2); create type pair as (a int, b text);
         create table t (id int primary key, {})",
        columns.join(", ")
    );
    let insert = format!("insert into t values {}", (0..=most).map(row).collect::<Vec<_>>().join(", "));
    (create, insert, names)
}

/// Row key to cells.
type Table = BTreeMap<String, Vec<Cell>>;

fn schemas(batches: &[Batch]) -> Vec<TableSchema> {
    let events = batches.iter().flat_map(Batch::events);
    let schemas = events.filter_map(|event| match event {
        Event::Schema { schema, .. } => Some(schema.clone()),
        _ => None,
    });
    schemas.collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sn_09_stream_and_snapshot_agree_on_every_type() {
    let server = PgServer::start().expect("PostgreSQL starts");
    let (create, insert, columns) = table_of_everything(server.major_version());
    let rig = Rig::of(server, &create);
    rig.sql(&format!("create publication p for table t; {HOSTILE}"));
    let client = rig.client("hostile").await;
    let catalog = catalog::read(&client, &[name("t")]).await.expect("it is read");
    let facts = catalog.table(&name("t")).expect("it is there").clone();
    let ids = Arc::new(Mutex::new(ColumnIds::default()));
    let (replication, created) = rig.slot("erp").await;
    replication.close().await;
    rig.sql(&insert);

    let replication =
        passerelle_postgres::replication::Replication::connect(&rig.options("hostile")).await.expect("it connects");
    let started = replication.start("erp", "p", created.consistent_point).await.expect("it starts");
    let wanted = facts.wanted(TableId(1), &columns).expect("it is right");
    let decoder = Decoder::new(vec![wanted], catalog.types.clone(), ids.clone());
    let (out, mut inbox) = mpsc::channel(4);
    let (_acknowledge, acknowledged) = watch::channel(None);
    let cancel = CancellationToken::new();
    let running = tokio::spawn(stream::run(started, decoder, out, acknowledged, Arc::default(), cancel.clone()));
    let mut streamed = Vec::new();
    within(async {
        loop {
            let batch = inbox.recv().await.expect("the stream goes on");
            let ended = batch.events().iter().any(|event| matches!(event, Event::End { .. }));
            streamed.push(batch);
            if ended {
                break;
            }
        }
    })
    .await;
    cancel.cancel();
    within(running).await.expect("it ends").expect("it ends well");

    let schema = facts.schema(TableId(1), &columns, &mut ids.lock().expect("nobody panicked")).expect("it is right");
    let reader = Reader::open(&rig.options("hostile"), None).await.expect("it opens");
    let (batches, mut inbox) = mpsc::channel(64);
    reader.copy(&facts, &schema, Rows::All, &batches, &CancellationToken::new()).await.expect("it loads");
    drop(batches);
    let mut loaded = Vec::new();
    while let Some(batch) = inbox.recv().await {
        loaded.push(batch);
    }

    assert_eq!(schemas(&streamed), schemas(&loaded));
    let (streamed, loaded): (Table, Table) =
        (rows(&streamed).into_iter().collect(), rows(&loaded).into_iter().collect());
    assert_eq!(streamed.len(), loaded.len());
    for (key, cells) in &streamed {
        for (one, other) in cells.iter().zip(&loaded[key]) {
            assert_eq!(one, other, "row {key}");
        }
        assert_eq!(cells.len(), loaded[key].len());
    }
    check_text(&loaded, &rig);
}

/// A role whose own settings print everything differently.
const HOSTILE: &str = "create role hostile login superuser; alter role hostile set datestyle = 'SQL, DMY'; alter role hostile set timezone = 'Asia/Kolkata';
    alter role hostile set bytea_output = 'escape'; alter role hostile set extra_float_digits = -5; alter role hostile set intervalstyle = 'sql_standard'";

/// Some of the texts, as the types' readers expect them (PG-51 to PG-57).
fn check_text(table: &Table, rig: &Rig) {
    let major = rig.major();
    let all = values(major);
    let types: HashMap<_, _> = all.iter().enumerate().map(|(at, (ty, _))| (*ty, at)).collect();
    let check = |ty: &str, want: &[&str]| {
        let column = format!("c{}", types[ty]);
        for (row, want) in want.iter().enumerate() {
            let cells = &table[&row.to_string()];
            let cell = cells.iter().find(|(name, _)| *name == column).expect("it is there");
            assert_eq!(cell.1.as_deref(), Some(*want), "{ty}");
        }
    };
    check("bool", &["t", "f"]);
    check("numeric", if major >= 14 { &["NaN", "Infinity", "-Infinity"] } else { &["NaN"] });
    let smallest = if major >= 12 { "1e-320" } else { "9.99988867182683005e-321" };
    check("float8", &[rig.three_tenths(), smallest, "-0"]);
    check("char(6)", &["ab    ", "      "]);
    check("bytea", &["\\xdeadbeef00", "\\x"]);
    check("date", &["2024-02-29", "infinity", "-infinity", "4713-01-01 BC", "5874897-12-31"]);
    check("time", &["24:00:00", "03:04:05.000001"]);
    check("timestamp", &["2024-01-02 03:04:05", "infinity", "0044-03-15 12:00:00 BC", "294276-12-31 23:59:59.999999"]);
    check("timestamptz", &["2024-01-01 21:34:05.6+00", "-infinity", "12345-01-01 00:00:00+00"]);
    check("interval", &["1 mon -2 days +03:04:05.6", "-1 years", "00:00:00"]);
    if major >= 17 {
        check("interval", &["1 mon -2 days +03:04:05.6", "-1 years", "00:00:00", "infinity", "-infinity"]);
    }
    check("int4[]", &["{1,NULL,3}", "{}", "[0:1]={5,6}", "{{1,2},{3,4}}"]);
    check("text[]", &["{\"NULL\",NULL,\"\",\"a\\\"b\",\"c\\\\d\",\"e,f\",\" \"}"]);
    check("money", &["$12,345.67", "-$1.00"]);
    check("uuid", &["a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"]);
    check("json", &["{\"a\": 1, \"a\" : 12345678901234567890.10, \"z\":\"\\u0000\"}"]);
}
