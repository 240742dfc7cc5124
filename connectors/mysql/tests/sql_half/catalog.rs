//! The catalogue, and that it and the log say the same of a table.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use passerelle_change::{Batch, ColumnIds, Event, TableId, TableName, TableSchema, Type};
use passerelle_mysql::catalog::{self, Catalog, Generated, Readings, Special, TableKind, Tinyint1};
use passerelle_mysql::decode::{Decoded, Decoder, Settings};
use passerelle_mysql::wire::file_events;
use passerelle_mysql::{Error, Options, sql};
use passerelle_test_servers::MariadbServer;

use crate::rig::{connect, options, table};

const TABLES: &str = "
create database shop; use shop;
create table plain (
  id int unsigned not null, b bool, t tinyint(1) unsigned, n tinyint, d decimal(12,3) not null, f float, x double,
  v varchar(40) character set latin1, w varchar(40) character set utf8mb4, c char(5) character set ucs2, bin binary(7),
  vb varbinary(9), tt tinytext, mt mediumtext, lb longblob, j json, e enum('x','y','it''s') not null,
  s set('p','q'), bt bit(11), y year, da date, ti time(3), dt datetime(6), ts timestamp null, u uuid, i4 inet4, i6 inet6,
  g point, cv varchar(50) compressed, ct text compressed, gv int as (id + 1) virtual, gs int as (id + 2) stored,
  inv int invisible default 3, primary key (id));
create table versioned (id int primary key, a int, h varchar(4000) character set utf8mb4, unique (h))
  with system versioning;
create table period (id int, s timestamp(6) generated always as row start invisible,
  e timestamp(6) generated always as row end, a int, primary key (id), period for system_time (s, e))
  with system versioning;
create table hashed (id int primary key, a text, b text, c int, unique (a), unique (b));
create table by_unique (a int not null, b varchar(10) not null, c int, unique u (b(3)), unique w (c), unique v (b, a));
create table without_key (a int, unique (a));
create table parent (id int primary key);
create table child (id int primary key, p int, q int, r int,
  constraint cas foreign key (p) references parent (id) on delete cascade,
  constraint nul foreign key (q) references parent (id) on update set null,
  constraint non foreign key (r) references parent (id));
create table Cased (id int primary key); create table cased (id int primary key, other int);
create table `we``ird né.me` (`i``d` int primary key, `j``s` json);
create table engine (id int primary key) engine = aria;
create view seen as select * from parent;
create sequence numbers;
";

const ROWS: &str = "
insert into plain (id, d, e) values (1, 1.5, 'y'); insert into versioned (id, a, h) values (1, 2, 'h');
insert into period (id, a) values (1, 2); insert into hashed values (1, 'a', 'b', 3);
insert into by_unique values (1, 'b', 2); insert into `we``ird né.me` values (1, '{}');
";

const FOLLOWED: [&str; 6] = ["plain", "versioned", "period", "hashed", "by_unique", "we`ird né.me"];

async fn read(server: &MariadbServer, names: &[&str], readings: &Readings) -> Catalog {
    let names: Vec<_> = names.iter().map(|name| table(name)).collect();
    catalog::read(&mut connect(server).await, &names, readings).await.unwrap()
}

/// The names of the columns that a `SELECT` can have.
fn columns(catalog: &Catalog, name: &str) -> Vec<String> {
    let facts = catalog.table(&table(name)).unwrap();
    facts.columns.iter().filter(|column| column.readable).map(|column| column.name.clone()).collect()
}

#[tokio::test]
async fn tables_are_what_they_are() {
    let server = MariadbServer::start().unwrap();
    server.sql("", TABLES).unwrap();
    let names = [
        "plain",
        "nonesuch",
        "versioned",
        "period",
        "hashed",
        "by_unique",
        "without_key",
        "child",
        "engine",
        "seen",
        "numbers",
        "we`ird né.me",
    ];
    let found = read(&server, &names, &Readings::default()).await;
    let facts = |name: &str| found.table(&table(name)).unwrap();
    assert_eq!(found.table(&table("nonesuch")), Err(Error::TableMissing { table: table("nonesuch") }));
    assert_eq!(
        ["plain", "versioned", "seen", "numbers"].map(|name| facts(name).kind),
        [TableKind::Base, TableKind::SystemVersioned, TableKind::View, TableKind::Sequence]
    );
    assert_eq!(facts("engine").engine.as_deref(), Some("Aria"));
    assert_eq!(facts("by_unique").row_key().unwrap(), ["b", "a"]);
    assert_eq!(facts("period").row_key().unwrap(), ["id"]);
    assert!(matches!(facts("without_key").row_key(), Err(Error::NoRowKey { .. })));

    // MY-58, MY-59: what only the log has is there, and what nobody can read is said to be so.
    let versioned: Vec<_> = facts("versioned").columns.iter().map(|column| column.name.as_str()).collect();
    assert_eq!(versioned, ["id", "a", "h", "row_start", "row_end", "DB_ROW_HASH_1"]);
    assert_eq!(columns(&found, "versioned"), ["id", "a", "h", "row_start", "row_end"]);
    assert_eq!(facts("versioned").column("row_end").unwrap().special, Special::RowEnd);
    assert_eq!(facts("period").column("e").unwrap().special, Special::RowEnd);
    assert_eq!(columns(&found, "hashed"), ["id", "a", "b", "c"]);

    // MY-60.
    let column = |name| facts("plain").column(name).unwrap();
    assert_eq!([column("gv"), column("gs")].map(|column| column.generated), [Generated::Virtual, Generated::Stored]);
    assert!(column("inv").hidden && !column("gv").hidden);
    // MY-31.
    let cascades: Vec<_> =
        facts("child").cascades.iter().map(|cascade| (cascade.constraint.as_str(), cascade.action.as_str())).collect();
    assert_eq!(cascades, [("cas", "ON DELETE CASCADE"), ("nul", "ON UPDATE SET NULL")]);
    assert!(facts("child").known().cascades && !facts("plain").known().cascades);
    // MY-76, MY-77.
    assert_eq!([column("j"), column("u")].map(|column| column.ty.clone()), [Type::Json, Type::Uuid]);
    assert_eq!(facts("we`ird né.me").column("j`s").unwrap().special, Special::Json);
    assert_eq!(column("i6").special, Special::Inet6);
    // MY-70.
    assert_eq!(
        [column("b"), column("t"), column("n")].map(|column| column.ty.clone()),
        [Type::Bool, Type::Int, Type::Int]
    );
    let readings = Readings { tinyint1: Tinyint1::Int, ..Readings::default() };
    let other = read(&server, &["plain"], &readings).await;
    assert_eq!(other.table(&table("plain")).unwrap().column("b").unwrap().ty, Type::Int);

    let kept: Catalog = serde_json::from_str(&serde_json::to_string(&found).unwrap()).unwrap();
    assert!(kept == found && kept.agrees_with(&read(&server, &names, &Readings::default()).await));
    server.sql("shop", "alter table plain add more int").unwrap();
    assert!(!kept.agrees_with(&read(&server, &names, &Readings::default()).await));
}

#[tokio::test]
async fn my_42_what_a_change_without_traffic_shows_in_the_catalogue() {
    let server = MariadbServer::start().unwrap();
    server
        .sql(
            "",
            "create database shop; use shop; create table t (id int primary key, a varchar(9) default 'it''s', n int, \
             d int not null, q varchar(4) default 'NULL', g int as (id + 1) virtual, at timestamp default current_timestamp) \
             character set utf8mb4 partition by range (id) subpartition by hash (id) subpartitions 2 \
             (partition low values less than (10), partition rest values less than maxvalue)",
        )
        .unwrap();
    let found = read(&server, &["t"], &Readings::default()).await;
    let facts = found.table(&table("t")).unwrap();
    let of = |name: &str| facts.column(name).unwrap().clone();
    let defaults = ["id", "a", "n", "d", "q", "g", "at"].map(|name| of(name).default);
    let want = [None, Some("'it''s'"), None, None, Some("'NULL'"), None, Some("current_timestamp()")];
    assert_eq!(defaults.each_ref().map(Option::as_deref), want);
    assert_eq!(facts.columns.iter().map(|column| column.number).collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6, 7]);
    assert_eq!((of("a").charset.as_deref(), of("n").charset), (Some("utf8mb4"), None));
    assert!(of("a").collation.is_some_and(|name| name.starts_with("utf8mb4_")) && of("n").collation.is_none());
    assert_eq!(facts.partitions, ["low", "lowsp0", "lowsp1", "rest", "restsp0", "restsp1"]);

    // What an older version kept has none of it, and says the same.
    let mut kept = serde_json::to_value(&found).unwrap();
    let old = kept["tables"][0].as_object_mut().unwrap();
    assert!(old.remove("partitions").is_some());
    for column in old["columns"].as_array_mut().unwrap() {
        let column = column.as_object_mut().unwrap();
        assert!(column.remove("number").is_some() && column.remove("default").is_some());
    }
    let kept: Catalog = serde_json::from_value(kept).unwrap();
    assert!(kept != found && kept.agrees_with(&found));
    server.sql("shop", "alter table t alter n set default 5, drop partition low").unwrap_err();
    server.sql("shop", "alter table t alter n set default 5; alter table t drop partition low").unwrap();
    let later = read(&server, &["t"], &Readings::default()).await;
    assert!(kept.agrees_with(&later));
    let later = later.table(&table("t")).unwrap();
    assert_eq!((later.column("n").unwrap().default.as_deref(), later.partitions.len()), (Some("5"), 3));
}

#[tokio::test]
async fn my_79_names_are_compared_as_the_server_does() {
    let server = MariadbServer::start().unwrap();
    server.sql("", TABLES).unwrap();
    let found = read(&server, &["Cased", "cased", "CASED"], &Readings::default()).await;
    assert_eq!(found.tables.iter().map(|table| table.columns.len()).collect::<Vec<_>>(), [1, 2]);
    let likes = catalog::names_like(&mut connect(&server).await, &table("Plain")).await.unwrap();
    assert_eq!(likes.first(), Some(&table("plain")));
    drop(server);

    let server = MariadbServer::builder().setting("lower_case_table_names", "1").start().unwrap();
    server.sql("", "create database shop; create table shop.Orders (id int primary key, j json)").unwrap();
    let mut connection = connect(&server).await;
    assert!(connection.server().names_ignore_case());
    let asked = TableName { schema: "Shop".into(), name: "Orders".into() };
    let found = catalog::read(&mut connection, std::slice::from_ref(&asked), &Readings::default()).await.unwrap();
    assert_eq!(found.table(&asked).unwrap().column("j").unwrap().ty, Type::Json);
}

#[tokio::test]
async fn what_may_not_be_read_is_said() {
    let server = MariadbServer::start().unwrap();
    server.sql("", TABLES).unwrap();
    server
        .sql(
            "",
            "create user poor@'%'; grant select (id, d) on shop.plain to poor@'%'; \
             grant insert on shop.parent to poor@'%'; grant select on shop.child to poor@'%'; \
             grant select on shop.versioned to poor@'%'; grant select on shop.`we``ird né.me` to poor@'%'",
        )
        .unwrap();
    let options = Options { user: "poor".into(), database: "shop".into(), ..options(&server) };
    let mut connection = sql::connect(&options).await.unwrap();
    let names = ["plain", "parent", "hashed", "child", "versioned", "we`ird né.me"].map(table);
    let found = catalog::read(&mut connection, &names, &Readings::default()).await.unwrap();
    let readable = |name: &str| {
        let facts = found.table(&table(name)).unwrap();
        facts.columns.iter().filter(|column| column.readable).map(|column| column.name.clone()).collect::<Vec<_>>()
    };
    assert_eq!(readable("plain"), ["id", "d"]);
    assert!(!found.table(&table("plain")).unwrap().seen_whole);
    assert_eq!(readable("parent"), Vec::<String>::new());
    // The right to read a table is enough to know it.
    let all = catalog::read(&mut connect(&server).await, &names[3..], &Readings::default()).await.unwrap();
    for facts in &all.tables {
        assert_eq!(found.table(&facts.name), Ok(facts));
    }
    // It might as well not be there.
    assert!(found.table(&table("hashed")).is_err());
}

/// What the log told of each table, its rows with the log's own shapes.
fn told(log: &[u8], found: &Catalog, ids: &Arc<Mutex<ColumnIds>>) -> BTreeMap<u32, TableSchema> {
    let wanted = FOLLOWED
        .iter()
        .zip(1..)
        .map(|(name, id)| found.table(&table(name)).unwrap().wanted(TableId(id), &columns(found, name)).unwrap());
    let mut decoder = Decoder::new(wanted.collect(), found.known(), ids.clone(), Settings::default());
    let (mut batch, mut told) = (Batch::new(), BTreeMap::new());
    for event in file_events(log) {
        assert_eq!(decoder.event(event.unwrap(), &mut batch).unwrap(), Decoded::Whole);
    }
    for event in batch.events() {
        match event {
            Event::Schema { schema, .. } => drop(told.insert(schema.table.0, schema.clone())),
            Event::Suspect { why, table, .. } => panic!("{table:?} {why}"),
            _ => {}
        }
    }
    told
}

#[tokio::test]
async fn my_52_my_58_my_59_the_catalogue_and_the_log_say_the_same_of_a_table() {
    for metadata in ["NO_LOG", "MINIMAL", "FULL"] {
        let server = MariadbServer::builder().setting("binlog_row_metadata", metadata).start().unwrap();
        server.sql("", &format!("{TABLES} flush binary logs; {ROWS}")).unwrap();
        for tinyint1 in [Tinyint1::Bool, Tinyint1::Int] {
            let found = read(&server, &FOLLOWED, &Readings { tinyint1, ..Readings::default() }).await;
            let ids = Arc::new(Mutex::new(ColumnIds::default()));
            let told = told(&server.binlogs().unwrap()[1], &found, &ids);
            assert_eq!(told.len(), FOLLOWED.len());
            for (name, id) in FOLLOWED.iter().zip(1..) {
                let facts = found.table(&table(name)).unwrap();
                let asked = facts.schema(TableId(id), &columns(&found, name), &mut ids.lock().unwrap()).unwrap();
                assert_eq!(told[&id], asked, "{name}, {metadata}");
            }
        }
    }
}
