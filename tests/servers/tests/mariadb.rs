//! MariaDB servers themselves.

use anyhow::Result;
use passerelle_test_servers::MariadbServer;

#[test]
fn a_server_starts_logs_rows_and_ends_with_its_value() -> Result<()> {
    let mut server = MariadbServer::builder().setting("binlog_row_metadata", "FULL").start()?;
    assert_eq!(server.sql("", "select @@binlog_format, @@binlog_row_metadata, @@time_zone")?, "ROW\tFULL\t+00:00");
    server.sql("", "create database shop; create table shop.t (id int primary key); insert into shop.t values (1)")?;
    let port = server.port();
    server.restart()?;
    server.kill()?;
    assert!(server.sql("", "select 1").is_err());
    server.restart()?;
    assert_eq!(server.port(), port);
    assert_eq!(server.sql("shop", "select * from t")?, "1");
    assert!(server.binlogs()?.iter().all(|log| log.starts_with(b"\xfebin")));
    let data = server.data_dir();
    drop(server);
    assert!(!data.exists());
    Ok(())
}

#[test]
fn a_server_with_a_wrong_setting_says_why_it_does_not_start() {
    let failed = MariadbServer::builder().setting("binlog_format", "nonsense").start().expect_err("cannot start");
    assert!(format!("{failed:#}").contains("nonsense"), "{failed:#}");
}
