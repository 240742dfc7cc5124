//! What stands in the way, and that the statements that are printed mend it.

use passerelle_change::{Finding, TableName};
use passerelle_mysql::catalog::Readings;
use passerelle_mysql::preflight::{Request, check};
use passerelle_mysql::{Flavor, Options};
use passerelle_test_servers::MariadbServer;

use crate::rig::{options, table};

const SHOP: &str = "
create database shop; use shop;
create table orders (id int primary key, total decimal(10,2), customer int);
create table customers (id int primary key);
create table items (id int primary key, o int,
  constraint of_order foreign key (o) references orders (id) on delete cascade);
create table keyless (a int) engine = myisam;
create view seen as select * from orders;
create user p@'%' identified by 'x'; grant select on shop.customers to p@'%';
";

fn asked(tables: &[(&str, &[&str])]) -> Vec<(TableName, Vec<String>)> {
    tables.iter().map(|(name, columns)| (table(name), columns.iter().map(ToString::to_string).collect())).collect()
}

async fn found(options: &Options, tables: &[(&str, &[&str])]) -> Vec<Finding> {
    let tables = asked(tables);
    check(options, &Request { tables: &tables, readings: Readings::default() }).await
}

fn codes(findings: &[Finding]) -> Vec<&'static str> {
    findings.iter().map(|finding| finding.code).collect()
}

/// The statements of a remedy, without what is to be done in files.
fn statements(findings: &[Finding]) -> String {
    let remedies = findings.iter().filter_map(|finding| finding.remedy.as_deref());
    let sql = remedies.flat_map(|remedy| {
        remedy.split_inclusive(';').map(|part| part.trim_start_matches(" and ").trim()).filter(|part| {
            part.ends_with(';')
                && ["SET ", "GRANT ", "ALTER ", "if it is there: "].iter().any(|word| part.starts_with(word))
        })
    });
    sql.map(|part| part.trim_start_matches("if it is there: ").to_owned()).collect::<Vec<_>>().join("\n")
}

fn ours(server: &MariadbServer) -> Options {
    Options { user: "p".into(), password: Some("x".into()), database: "shop".into(), ..options(server) }
}

#[tokio::test]
async fn the_statements_mend_what_was_found() {
    let server = MariadbServer::builder()
        .setting("binlog_format", "MIXED")
        .setting("binlog_row_image", "NOBLOB")
        .setting("binlog_row_metadata", "NO_LOG")
        .setting("binlog_expire_logs_seconds", "600")
        .start()
        .unwrap();
    server.sql("", SHOP).unwrap();
    let ours = ours(&server);
    let tables: &[(&str, &[&str])] = &[("orders", &["total"]), ("customers", &["id"])];
    let first = found(&ours, tables).await;
    assert_eq!(
        codes(&first),
        ["grants", "binlog_format", "table", "binlog_row_image", "binlog_row_metadata"],
        "{first:#?}"
    );
    server.sql("", &statements(&first)).unwrap();
    // With the right to see the log.
    let second = found(&ours, tables).await;
    assert_eq!(codes(&second), ["retention"], "{second:#?}");
    server.sql("", &statements(&second)).unwrap();
    assert_eq!(found(&ours, tables).await, []);
}

#[tokio::test]
async fn tables_that_cannot_be_followed() {
    let server = MariadbServer::builder().setting("binlog_row_metadata", "FULL").start().unwrap();
    server.sql("", SHOP).unwrap();
    server
        .sql("", "grant replication slave, binlog monitor on *.* to p@'%'; grant insert on shop.orders to p@'%'")
        .unwrap();
    let ours = ours(&server);
    let of = async |name: &str, columns: &[&str]| found(&ours, &[(name, columns)]).await;
    let findings = of("orders", &["totl"]).await;
    assert_eq!(codes(&findings), ["column", "select"]);
    assert_eq!(findings[0].detail, "there is \"total\"");
    assert_eq!(findings[1].remedy.as_deref(), Some("GRANT SELECT ON `shop`.`orders` TO 'p'@'%';"));
    server.sql("", &statements(&findings)).unwrap();
    assert_eq!(of("orders", &["total"]).await, []);

    server.sql("", "grant select (id) on shop.items to p@'%'").unwrap();
    let findings = of("items", &["id"]).await;
    assert_eq!(codes(&findings), ["select"]);
    assert_eq!(findings[0].remedy.as_deref(), Some("GRANT SELECT ON `shop`.`items` TO 'p'@'%';"));
    server.sql("", "grant select on shop.* to p@'%'").unwrap();
    assert_eq!(of("order", &[]).await[0].detail, "there is shop.orders");
    assert_eq!(codes(&of("seen", &[]).await), ["table_kind"]);
    let findings = of("keyless", &["a"]).await;
    assert_eq!(codes(&findings), ["row_key", "engine"]);
    assert_eq!(findings[1].remedy.as_deref(), Some("ALTER TABLE `shop`.`keyless` ENGINE = InnoDB;"));
    // MY-31.
    let findings = of("items", &["o"]).await;
    assert_eq!(codes(&findings), ["cascades"]);
    assert!(findings[0].title.contains("of_order") && findings[0].title.contains("ON DELETE CASCADE"));
}

#[tokio::test]
async fn servers_that_cannot_be_followed() {
    let server = MariadbServer::builder().setting("skip_log_bin", "1").start().unwrap();
    server.sql("", SHOP).unwrap();
    server.sql("", "grant replication slave on *.* to p@'%'").unwrap();
    let ours = ours(&server);
    assert_eq!(codes(&found(&ours, &[("customers", &[])]).await), ["log_bin"]);
    let wrong = Options { password: Some("y".into()), ..ours.clone() };
    let findings = found(&wrong, &[]).await;
    assert_eq!(codes(&findings), ["password"]);
    assert!(findings[0].remedy.as_deref().unwrap().contains("ALTER USER 'p'@'127.0.0.1' IDENTIFIED BY"));
    assert_eq!(codes(&found(&Options { flavor: Flavor::Mysql, ..ours.clone() }, &[]).await), ["kind"]);
    assert_eq!(codes(&found(&Options { database: "nonesuch".into(), ..ours.clone() }, &[]).await), ["database"]);
    assert_eq!(codes(&found(&Options { port: 1, ..ours }, &[]).await), ["connect"]);
    drop(server);

    // MY-32.
    let server = MariadbServer::builder().setting("binlog_ignore_db", "shop").start().unwrap();
    server.sql("", SHOP).unwrap();
    let root = Options { user: "root".into(), password: None, ..self::ours(&server) };
    let findings = found(&root, &[("customers", &[])]).await;
    assert_eq!(codes(&findings), ["binlog_filter", "binlog_row_metadata"]);
}
