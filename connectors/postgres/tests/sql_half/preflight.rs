use passerelle_change::{Finding, Severity, TableName};
use passerelle_postgres::preflight::{self, Request};
use passerelle_postgres::publication::Columns;
use passerelle_postgres::{Options, TlsMode};
use passerelle_test_servers::PgServer;
use secrecy::SecretString;

use crate::rig::{Rig, name, strings};

const CUSTOMERS: &str = "create table customers (id int primary key, name text, email text)";

fn mapped(tables: &[(&str, &[&str])]) -> Vec<(TableName, Vec<String>)> {
    tables.iter().map(|(table, columns)| (name(table), strings(columns))).collect()
}

async fn check(options: &Options, tables: &[(&str, &[&str])]) -> Vec<Finding> {
    let tables = mapped(tables);
    preflight::check(options, &Request { slot: "erp", publication: "p", columns: Columns::Mapped, tables: &tables })
        .await
}

fn codes(findings: &[Finding], severity: Severity) -> Vec<&'static str> {
    findings.iter().filter(|finding| finding.severity == severity).map(|finding| finding.code).collect()
}

fn faults(findings: &[Finding]) -> Vec<&'static str> {
    codes(findings, Severity::Fault)
}

fn remedy<'a>(findings: &'a [Finding], code: &str) -> &'a str {
    let found =
        findings.iter().find(|finding| finding.code == code).unwrap_or_else(|| panic!("no {code}: {findings:#?}"));
    found.remedy.as_deref().expect("it can be mended")
}

#[tokio::test]
async fn a_ready_server_has_no_faults() {
    let rig = Rig::new(CUSTOMERS);
    let found = check(&rig.options("postgres"), &[("customers", &["name"])]).await;
    assert_eq!(faults(&found), [""; 0]);
    assert_eq!(codes(&found, Severity::Warning), ["wal_keep"]);
    // The setting came with 13.
    let statement = found[0].remedy.as_deref().unwrap_or_default();
    assert_eq!(!statement.is_empty(), rig.major() >= 13);
    for statement in statement.split_inclusive(';') {
        rig.sql(statement);
    }
    assert_eq!(check(&rig.options("postgres"), &[("customers", &["name"])]).await.is_empty(), rig.major() >= 13);
}

#[tokio::test]
async fn pg_48_each_statement_mends_its_fault() {
    let rig = Rig::new(
        "create schema shop; create table shop.customers (\"Id\" int primary key, name text, secret text); create role \"erp sync\" login",
    );
    let options = rig.options("erp sync");
    let tables: &[(&str, &[&str])] = &[("shop.customers", &["name"])];
    let found = check(&options, tables).await;
    assert_eq!(faults(&found), ["replication", "usage", "select", "publication"]);
    for fault in found.iter().filter(|finding| finding.severity == Severity::Fault) {
        rig.sql(fault.remedy.as_deref().expect("it can be mended"));
    }
    assert_eq!(faults(&check(&options, tables).await), [""; 0]);
    assert_eq!(rig.sql("select has_column_privilege('erp sync', 'shop.customers', 'secret', 'select')"), "f");
}

#[tokio::test]
async fn pg_48_settings_that_are_too_low() {
    let server = PgServer::builder()
        .setting("wal_level", "replica")
        .setting("max_replication_slots", "1")
        .setting("max_wal_senders", "1")
        .start()
        .expect("PostgreSQL starts");
    let mut rig = Rig::of(server, CUSTOMERS);
    rig.sql("select pg_create_physical_replication_slot('backup')");
    let tables: &[(&str, &[&str])] = &[("customers", &["name"])];
    let found = check(&rig.options("postgres"), tables).await;
    assert_eq!(faults(&found), ["wal_level", "slots"]);
    for code in ["wal_level", "slots"] {
        let statement = remedy(&found, code).split(';').next().expect("a statement").to_owned();
        rig.sql(&statement);
    }
    rig.server.restart().expect("it starts");
    assert_eq!(faults(&check(&rig.options("postgres"), tables).await), [""; 0]);

    let busy = rig.slot("other").await;
    let found = check(&rig.options("postgres"), tables).await;
    assert_eq!(faults(&found), ["senders"]);
    drop(busy);
}

#[tokio::test]
async fn pg_48_the_line_of_pg_hba_lets_us_in() {
    let rig =
        Rig::new("create role erp login superuser password 'secret'; create table customers (id int primary key)");
    let options = Options { password: Some(SecretString::from("secret")), tls: TlsMode::Prefer, ..rig.options("erp") };
    let reject = "host all erp 127.0.0.1/32 reject";
    rig.server.set_hba(&[reject]).expect("it is written");
    rig.server.reload().expect("it reloads");
    let found = check(&options, &[("customers", &[])]).await;
    assert_eq!(faults(&found), ["pg_hba"]);
    let line = remedy(&found, "pg_hba").lines().next().expect("a line").to_owned();
    assert_eq!(line, "host postgres erp 127.0.0.1/32 scram-sha-256");
    rig.server.set_hba(&[&line, reject]).expect("it is written");
    rig.server.reload().expect("it reloads");
    assert_eq!(faults(&check(&options, &[("customers", &[])]).await), [""; 0]);
}

#[tokio::test]
async fn pg_48_who_and_where_are_told_apart() {
    let mut rig = Rig::new("create role asleep nologin");
    assert_eq!(faults(&check(&rig.options("nobody"), &[]).await), ["role"]);
    let found = check(&rig.options("asleep"), &[]).await;
    assert_eq!(remedy(&found, "role"), "ALTER ROLE \"asleep\" LOGIN;");
    let options = Options { database: "nowhere".into(), ..rig.options("postgres") };
    assert_eq!(faults(&check(&options, &[]).await), ["database"]);
    let options = rig.options("postgres");
    rig.server.kill().expect("it is killed");
    assert_eq!(faults(&check(&options, &[]).await), ["connect"]);
}

#[tokio::test]
async fn names_that_are_wrong_are_set_right() {
    let rig = Rig::new(CUSTOMERS);
    let found = check(&rig.options("postgres"), &[("custmers", &["name"]), ("customers", &["emial", "nmae"])]).await;
    assert_eq!(faults(&found), ["table", "column", "column"]);
    let remedies: Vec<_> =
        found.iter().filter(|f| f.severity == Severity::Fault).filter_map(|f| f.remedy.as_deref()).collect();
    assert_eq!(remedies, ["did you mean public.customers?", "did you mean email?", "did you mean name?"]);
}

#[tokio::test]
async fn pg_18_tables_whose_rows_cannot_be_told_apart() {
    let rig = Rig::new(
        "create table keyless (id int); create table nothing (id int primary key); alter table nothing replica identity nothing;
         create table dropped (id int primary key, code text not null unique); alter table dropped replica identity using index dropped_code_key;
         alter table dropped drop constraint dropped_code_key;
         create table root (id int primary key) partition by range (id); create table leaf partition of root for values from (0) to (10);
         alter table leaf replica identity nothing",
    );
    let tables: &[(&str, &[&str])] = &[("nothing", &[]), ("dropped", &["code"]), ("root", &[])];
    let found = check(&rig.options("postgres"), tables).await;
    // Before 13 a partitioned table cannot be published at all.
    let of_root = if rig.major() >= 13 { "row_key" } else { "unpublishable" };
    assert_eq!(faults(&found), ["row_key", "row_key", of_root]);
    if rig.major() < 13 {
        assert_eq!(remedy(&found, "unpublishable"), "map its partitions, or upgrade the server;");
        return;
    }
    for finding in found.iter().filter(|finding| finding.severity == Severity::Fault) {
        rig.sql(finding.remedy.as_deref().expect("it can be mended"));
    }
    assert_eq!(faults(&check(&rig.options("postgres"), tables).await), [""; 0]);
    let found = check(&rig.options("postgres"), &[("keyless", &["id"])]).await;
    assert!(remedy(&found, "row_key").contains("ADD PRIMARY KEY"));
}

#[tokio::test]
async fn pg_59_pg_60_what_is_never_in_the_stream_is_refused() {
    let rig = Rig::new(
        "create unlogged table fast (id int primary key); create view seen as select 1 as id; create materialized view kept as select 1 as id;
         create foreign data wrapper w; create server s foreign data wrapper w; create foreign table elsewhere (id int) server s;
         create table t (id int primary key)",
    );
    let mut want = vec!["table_kind", "table_kind", "table_kind", "table_kind"];
    let mut columns = vec!["id"];
    // Stored generated columns came with 12 and are published from 18 on; virtual ones came with 18 and never are.
    if rig.major() >= 12 {
        rig.sql("alter table t add twice int generated always as (2) stored");
        columns.push("twice");
        want.extend((rig.major() < 18).then_some("generated"));
    }
    if rig.major() >= 18 {
        rig.sql("alter table t add thrice int generated always as (3) virtual");
        columns.push("thrice");
        want.push("generated");
    }
    let tables: &[(&str, &[&str])] =
        &[("fast", &[]), ("seen", &[]), ("kept", &[]), ("elsewhere", &[]), ("t", &columns)];
    let found = check(&rig.options("postgres"), tables).await;
    assert_eq!(faults(&found), want);
    rig.sql(remedy(&found, "table_kind"));
    assert_eq!(faults(&check(&rig.options("postgres"), &[("fast", &[])]).await), [""; 0]);
}

#[tokio::test]
async fn pg_01_we_are_no_synchronous_standby() {
    let rig = Rig::new(CUSTOMERS);
    rig.server.set("synchronous_standby_names", "FIRST 1 (\"passerelle erp\", b)").expect("it is written");
    rig.server.reload().expect("it reloads");
    assert_eq!(faults(&check(&rig.options("postgres"), &[]).await), ["synchronous"]);
}

#[tokio::test]
async fn slots_and_publications_that_are_there_are_looked_at() {
    let rig = Rig::new(CUSTOMERS);
    // Too few columns; where the server has no lists, too few operations.
    rig.sql(if rig.major() >= 15 {
        "create publication p for table customers (id)"
    } else {
        "create publication p for table customers with (publish = 'insert')"
    });
    rig.sql("select pg_create_logical_replication_slot('erp', 'test_decoding')");
    let tables: &[(&str, &[&str])] = &[("customers", &["name"])];
    let found = check(&rig.options("postgres"), tables).await;
    assert_eq!(faults(&found), ["slot_kind"]);
    assert_eq!(codes(&found, Severity::Warning), ["wal_keep", "publication"]);
    rig.sql("select pg_drop_replication_slot('erp'); drop publication p");
    rig.sql(&format!("create publication p for all tables {}", rig.via_root()));
    let found = check(&rig.options("postgres"), tables).await;
    assert_eq!(codes(&found, Severity::Warning), ["wal_keep", "publication_wide"]);
}

#[tokio::test]
async fn rows_that_a_policy_hides_are_found_before_the_load() {
    let rig = Rig::new(CUSTOMERS);
    rig.sql("create role erp login replication; grant select on customers to erp; alter table customers enable row level security");
    let columns = rig.columns("(id, name)");
    rig.sql(&format!("create publication p for table only customers {columns} {}", rig.via_root()));
    let tables: &[(&str, &[&str])] = &[("customers", &["name"])];
    let found = check(&rig.options("erp"), tables).await;
    assert_eq!(faults(&found), ["row_security"]);
    rig.sql(remedy(&found, "row_security"));
    assert_eq!(faults(&check(&rig.options("erp"), tables).await), [""; 0]);
}

#[tokio::test]
async fn pg_43_a_standby_is_refused() {
    let mut rig = Rig::new(CUSTOMERS);
    rig.become_standby();
    assert_eq!(faults(&check(&rig.options("postgres"), &[("customers", &["name"])]).await), ["standby"]);
}

/// A password that was kept as md5, as servers before 14 do by themselves, is not taken where SCRAM is demanded.
#[tokio::test]
async fn pg_48_a_password_that_is_kept_as_md5_is_set_again() {
    let rig = Rig::new(CUSTOMERS);
    rig.sql("set password_encryption = 'md5'; create role erp login superuser password 'secret'");
    let options = Options { password: Some(SecretString::from("secret")), ..rig.options("erp") };
    rig.server.set_hba(&["host all erp 127.0.0.1/32 scram-sha-256"]).expect("it is written");
    rig.server.reload().expect("it reloads");
    let found = check(&options, &[("customers", &["name"])]).await;
    assert_eq!(faults(&found), ["password"]);
    let (_, statements) = remedy(&found, "password").split_once("or: ").expect("statements");
    rig.sql(&statements.replace('…', "secret"));
    assert_eq!(faults(&check(&options, &[("customers", &["name"])]).await), [""; 0]);

    // Where pg_hba.conf still says md5, both are taken.
    rig.sql("set password_encryption = 'md5'; alter role erp password 'secret'");
    rig.server.set_hba(&["host all erp 127.0.0.1/32 md5"]).expect("it is written");
    rig.server.reload().expect("it reloads");
    assert_eq!(faults(&check(&options, &[("customers", &["name"])]).await), [""; 0]);
}
