use passerelle_change::{Class, ColumnIds, TableId, Type};
use passerelle_postgres::Error;
use passerelle_postgres::catalog::{self, Generated, Persistence, ReplicaIdentity, TableFacts, TableKind};
use passerelle_test_servers::PgServer;

use crate::rig::{Rig, name, strings};

#[tokio::test]
async fn pg_60_every_kind_of_relation_is_told_apart() {
    let rig = Rig::new(
        "create table ordinary (id int primary key);
         create table root (id int, at date, primary key (id, at)) partition by range (at);
         create table leaf partition of root for values from ('2026-01-01') to ('2027-01-01');
         create unlogged table unlogged (id int primary key);
         create view a_view as select 1; create materialized view matview as select 1;
         create foreign data wrapper w; create server s foreign data wrapper w; create foreign table elsewhere (id int) server s;
         create sequence numbers",
    );
    for (table, kind) in [
        ("ordinary", TableKind::Ordinary),
        ("root", TableKind::Partitioned),
        ("leaf", TableKind::Partition),
        ("unlogged", TableKind::Ordinary),
        ("a_view", TableKind::View),
        ("matview", TableKind::MaterializedView),
        ("elsewhere", TableKind::Foreign),
        ("numbers", TableKind::Other),
    ] {
        let facts = rig.facts(table).await;
        assert_eq!(facts.kind, kind, "{table}");
        assert_eq!(facts.persistence == Persistence::Unlogged, table == "unlogged", "{table}");
    }
}

#[tokio::test]
async fn pg_18_the_row_key_is_what_every_change_tells() {
    let rig = Rig::new(
        "create table with_key (b int, a int, c text, primary key (a, b));
         create table keyless (id int);
         create table nothing (id int primary key); alter table nothing replica identity nothing;
         create table whole (id int primary key, c text); alter table whole replica identity full;
         create table whole_keyless (id int); alter table whole_keyless replica identity full;
         create table indexed (id int primary key, code text not null, c text); create unique index code_of on indexed (code) include (c);
         create table dropped (id int primary key, code text not null unique); alter table dropped replica identity using index dropped_code_key;
         alter table dropped drop constraint dropped_code_key",
    );
    rig.sql("drop index code_of; create unique index code_of on indexed (code); alter table indexed replica identity using index code_of");
    let check = async |table: &str, identity, carried: &[&str], key: Option<&[&str]>| {
        let facts = rig.facts(table).await;
        assert_eq!((facts.identity, &facts.identity_columns), (identity, &strings(carried)), "{table}");
        assert_eq!(facts.row_key().ok(), key.map(strings).as_deref(), "{table}");
    };
    check("with_key", ReplicaIdentity::Default, &["a", "b"], Some(&["a", "b"])).await;
    check("keyless", ReplicaIdentity::Default, &[], None).await;
    check("nothing", ReplicaIdentity::Nothing, &[], None).await;
    check("whole", ReplicaIdentity::Full, &["id", "c"], Some(&["id"])).await;
    check("whole_keyless", ReplicaIdentity::Full, &["id"], None).await;
    check("indexed", ReplicaIdentity::Index, &["code"], Some(&["code"])).await;
    check("dropped", ReplicaIdentity::DroppedIndex, &[], None).await;

    let refused = rig.facts("dropped").await.row_key().expect_err("no key").class();
    let Class::Operator { hint } = refused else { panic!("{refused:?}") };
    rig.sql(&hint);
    check("dropped", ReplicaIdentity::Default, &["id"], Some(&["id"])).await;
}

#[tokio::test]
async fn pg_24_types_are_named_as_the_server_prints_them() {
    let server = PgServer::start().expect("PostgreSQL starts");
    // A scale beyond the precision, or below zero, came with 15.
    let scaled = if server.major_version() >= 15 { "numeric(3,-2)" } else { "numeric(3,2)" };
    let rig = Rig::of(
        server,
        &format!("create schema \"My Shop\"; create type mood as enum ('sad', 'it''s ok', 'happy'); alter type mood add value 'new' before 'sad';
         create domain \"My Shop\".price as numeric(10,2); create domain gross as \"My Shop\".price check (value > 0);
         create type pair as (a int, b text);
         create table t (id bigint primary key, a numeric(12,3), b varchar(40), c char(5), d timestamptz(3), e timestamp, f time(2), g interval day to second(2),
            h int[], i varchar(10)[], j mood, k mood[], l \"My Shop\".price, m gross, n gross[], o pair, p bit(3), q jsonb, r uuid, s \"char\", t name,
            u money, v inet, w int4range, x {scaled}, y xml, z tsvector, aa float4, ab float8, ac bytea, ad timetz, ae bool, af box, ag oid, ah pg_lsn)"),
    );
    let facts = rig.facts("t").await;
    // The server is the oracle: with an empty search path it prints what we make up from oid and typmod.
    let printed = rig.sql(
        "set search_path = ''; select string_agg(format_type(atttypid, atttypmod), ';' order by attnum) from pg_attribute
         where attrelid = 'public.t'::regclass and attnum > 0",
    );
    let ours: Vec<_> = facts.columns.iter().map(|column| column.type_name.as_str()).collect();
    assert_eq!(ours, printed.split(';').collect::<Vec<_>>());

    let ty = |column: &str| facts.column(column).expect("it is there").ty.clone();
    let labels = Type::Enum { labels: strings(&["new", "sad", "it's ok", "happy"]) };
    assert_eq!(ty("j"), labels);
    assert_eq!(ty("k"), Type::Array(Box::new(labels)));
    let price = Type::Decimal { precision: Some((10, 2)) };
    assert_eq!((ty("l"), ty("m"), ty("n")), (price.clone(), price.clone(), Type::Array(Box::new(price))));
    assert_eq!(ty("o"), Type::Other("public.pair".into()));
}

#[tokio::test]
async fn a_schema_has_the_mapped_columns_and_the_key_in_the_tables_order() {
    let rig = Rig::new(
        "create table \"Odd \"\"Name\"\"\" (\"B c\" text, gone int, id int, z int not null, primary key (id));
         alter table \"Odd \"\"Name\"\"\" drop column gone; insert into \"Odd \"\"Name\"\"\" select 'x', n, n from generate_series(1, 1000) n;
         analyze \"Odd \"\"Name\"\"\"",
    );
    let facts = rig.facts("Odd \"Name\"").await;
    assert_eq!(facts.estimated_rows, 1000);
    let mut ids = ColumnIds::default();
    let schema = facts.schema(TableId(1), &strings(&["z", "B c"]), &mut ids).expect("it is right");
    let told: Vec<_> = schema.columns.iter().map(|column| (column.name.as_str(), column.nullable)).collect();
    assert_eq!(told, [("B c", true), ("id", false), ("z", true)]);
    assert_eq!(schema.key, ["id"]);
    assert_eq!(facts.schema(TableId(1), &strings(&["z", "B c"]), &mut ids).expect("it is right"), schema);
    let wanted = facts.wanted(TableId(1), &strings(&["z"])).expect("it is right");
    assert_eq!(wanted.columns.into_iter().collect::<Vec<_>>(), ["id", "z"]);
    let missing = facts.wanted(TableId(1), &strings(&["zz"])).expect_err("no such column");
    assert!(matches!(missing, Error::ColumnMissing { column, .. } if column == "zz"));
}

#[tokio::test]
async fn pg_59_generated_columns_are_known() {
    let rig = Rig::new("create table t (id int primary key, a int)");
    // Stored ones came with 12, virtual ones with 18.
    let known = [("stored", 12, Generated::Stored), ("virtual", 18, Generated::Virtual)];
    for (kind, since, generated) in known {
        let add = format!("alter table t add {kind} int generated always as (a * 2) {kind}");
        assert_eq!(rig.server.psql("postgres", &add).is_ok(), rig.major() >= since, "{kind}");
        if rig.major() >= since {
            assert_eq!(rig.facts("t").await.column(kind).expect("it is there").generated, generated);
        }
    }
    assert_eq!(rig.facts("t").await.column("a").expect("it is there").generated, Generated::No);
}

#[tokio::test]
async fn pg_27_a_partitioned_table_counts_the_rows_of_its_leaves() {
    let rig = Rig::new(
        "create table root (id int, at int, primary key (id, at)) partition by range (at);
         create table one partition of root for values from (0) to (10);
         create table other (at int not null, id int not null, primary key (id, at)); alter table root attach partition other for values from (10) to (20);
         insert into root select n, n % 20 from generate_series(1, 400) n; analyze one; analyze other",
    );
    let facts = rig.facts("root").await;
    assert_eq!((facts.kind, facts.estimated_rows), (TableKind::Partitioned, 400));
}

#[tokio::test]
async fn tables_that_are_not_there_are_left_out() {
    let rig = Rig::new("create table customers (id int primary key)");
    let client = rig.client("postgres").await;
    let catalog =
        catalog::read(&client, &[name("custmers"), name("customers"), name("no.such")]).await.expect("it is read");
    assert_eq!(catalog.tables.len(), 1);
    assert!(matches!(catalog.table(&name("custmers")), Err(Error::TableMissing { .. })));
    assert_eq!(catalog::names_like(&client, &name("custmers")).await.expect("it is read"), [name("customers")]);
}

#[tokio::test]
async fn pg_23_what_a_change_without_traffic_shows_in_the_catalogue() {
    let rig = Rig::new(
        "create type mood as enum ('sad', 'ok'); alter type mood add value 'new' before 'sad';
         create table t (id int generated by default as identity primary key, a text default 'it''s', b int, m mood, l mood[]);
         insert into t (a) values ('x')",
    );
    let before = rig.facts("t").await;
    assert_eq!(before.column("a").expect("it is there").default.as_deref(), Some("'it''s'::text"));
    assert_eq!(before.column("b").expect("it is there").default, None);
    let ids = |facts: &TableFacts, column: &str| facts.column(column).expect("it is there").label_ids.clone();
    assert_eq!(ids(&before, "m").len(), 3);
    assert_eq!(ids(&before, "m"), ids(&before, "l"));

    // PG-24: a label keeps its number when it is renamed.
    rig.sql("alter type mood rename value 'ok' to 'fine'");
    let renamed = rig.facts("t").await;
    assert_eq!(ids(&before, "m"), ids(&renamed, "m"));
    let labels = Type::Enum { labels: strings(&["new", "sad", "fine"]) };
    assert_eq!(renamed.column("m").expect("it is there").ty, labels);

    // PG-21: values that were written anew show in what holds the rows and in the column's entry; a table that was only
    // packed anew shows the one without the other.
    let marks = |facts: &TableFacts, column: &str| {
        (facts.storage, facts.column(column).expect("it is there").definition.expect("it is told"))
    };
    rig.sql("vacuum full t");
    let packed = rig.facts("t").await;
    assert_ne!(marks(&packed, "a").0, marks(&renamed, "a").0);
    assert_eq!(marks(&packed, "a").1, marks(&renamed, "a").1);
    rig.sql("alter table t alter a type text using upper(a)");
    let rewritten = rig.facts("t").await;
    assert_ne!(marks(&rewritten, "a").0, marks(&packed, "a").0);
    assert_ne!(marks(&rewritten, "a").1, marks(&packed, "a").1);
    assert_eq!(marks(&rewritten, "b").1, marks(&packed, "b").1);

    // PG-20: a column keeps its number, and no other gets it.
    rig.sql("alter table t rename b to c; alter table t drop a; alter table t add a text");
    let moved = rig.facts("t").await;
    let number = |facts: &TableFacts, column: &str| facts.column(column).expect("it is there").attnum;
    assert_eq!(number(&moved, "c"), number(&before, "b"));
    assert_ne!(number(&moved, "a"), number(&before, "a"));
    assert_eq!(moved.oid, before.oid);
}

#[tokio::test]
async fn pg_23_an_open_alter_is_not_waited_for() {
    let rig = Rig::new("create table t (id int primary key, a int default 5)");
    let altering = rig.server.client("postgres").await.expect("it connects");
    altering.batch_execute("begin; lock table t in access exclusive mode").await.expect("it is locked");
    let facts = crate::rig::within(rig.facts("t")).await;
    assert_eq!(facts.column("a").expect("it is there").default.as_deref(), Some("5"));
}

#[tokio::test]
async fn pg_27_partitions_at_every_level_are_told() {
    let rig = Rig::new(
        "create schema old; create table root (id int, at int, primary key (id, at)) partition by range (at);
         create table two partition of root for values from (10) to (20) partition by range (at);
         create table leaf partition of two for values from (10) to (15);
         create table old.one partition of root for values from (0) to (10)",
    );
    let facts = rig.facts("root").await;
    assert_eq!((facts.partitions, facts.storage), (strings(&["leaf", "old.one", "two"]), None));
    rig.sql("alter table root detach partition two; create table three partition of root for values from (20) to (30)");
    assert_eq!(rig.facts("root").await.partitions, ["old.one", "three"]);
    assert!(rig.facts("leaf").await.partitions.is_empty());
}

#[tokio::test]
async fn a_catalogue_that_was_kept_by_an_older_version_can_be_read_and_agrees() {
    let rig = Rig::new("create table t (id int primary key, a text default 'x'); insert into t values (1)");
    let client = rig.client("postgres").await;
    let now = catalog::read(&client, &[name("t")]).await.expect("it is read");
    let mut kept = serde_json::to_value(&now).expect("it is JSON");
    let table = kept["tables"][0].as_object_mut().expect("a table");
    assert!(table.remove("storage").is_some() && table.remove("partitions").is_some());
    for column in table["columns"].as_array_mut().expect("columns") {
        let column = column.as_object_mut().expect("a column");
        assert!(["default", "definition", "label_ids"].iter().all(|added| column.remove(*added).is_some()));
    }
    let kept: catalog::Catalog = serde_json::from_value(kept).expect("it is read");
    assert!(kept != now && kept.agrees_with(&now));
    rig.sql("alter table t alter a set default 'y'; create index on t (a)");
    rig.sql("vacuum full t");
    let later = catalog::read(&client, &[name("t")]).await.expect("it is read");
    assert!(kept.agrees_with(&later));
    rig.sql("alter table t alter a set not null");
    assert!(!kept.agrees_with(&catalog::read(&client, &[name("t")]).await.expect("it is read")));
}
