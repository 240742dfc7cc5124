//! The servers themselves.

use anyhow::Result;
use passerelle_test_servers::{PgServer, StopMode};

#[tokio::test(flavor = "multi_thread")]
async fn a_server_starts_answers_and_ends_with_its_value() -> Result<()> {
    let server = PgServer::start()?;
    assert_eq!(server.psql("postgres", "show wal_level")?, "logical");
    let row = server.client("postgres").await?.query_one("select 1 + 1", &[]).await?;
    assert_eq!(row.get::<_, i32>(0), 2);
    let (data, pid) = (server.data_dir(), server.pid().expect("it runs"));
    drop(server);
    assert!(!data.exists());
    assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    Ok(())
}

#[test]
fn data_survive_a_stop_and_a_kill_on_the_same_port() -> Result<()> {
    let mut server = PgServer::start()?;
    let port = server.port();
    server.psql("postgres", "create table t (id int primary key); insert into t values (1)")?;
    server.restart()?;
    server.psql("postgres", "insert into t values (2)")?;
    server.kill()?;
    assert!(server.psql("postgres", "select 1").is_err());
    server.restart()?;
    server.stop(StopMode::Immediate)?;
    server.restart()?;
    assert_eq!(server.port(), port);
    assert_eq!(server.psql("postgres", "select string_agg(id::text, ',') from t")?, "1,2");
    Ok(())
}

#[test]
fn settings_hba_lines_and_certificates_are_used() -> Result<()> {
    let server = PgServer::builder().setting("work_mem", "5MB").tls("erp").own_system_id().start()?;
    assert_eq!(server.psql("postgres", "show work_mem")?, "5MB");
    server.psql("postgres", "create role erp login")?;
    let files = server.certificates().expect("asked for");
    let url = format!(
        "host=localhost hostaddr=127.0.0.1 port={} user=erp dbname=postgres sslmode=verify-full sslrootcert={} sslcert={} sslkey={}",
        server.port(),
        files.ca().display(),
        files.client().display(),
        files.client_key().display()
    );
    server.set_hba(&["hostssl all erp 127.0.0.1/32 cert"])?;
    server.reload()?;
    let done = std::process::Command::new(server.program("psql"))
        .args(["-XAtq", &url, "-c", "select ssl from pg_stat_ssl where pid = pg_backend_pid()"])
        .output()?;
    assert_eq!(String::from_utf8(done.stdout)?.trim(), "t", "{}", String::from_utf8_lossy(&done.stderr));
    Ok(())
}

#[test]
fn a_server_with_a_wrong_setting_says_why_it_does_not_start() {
    let failed = PgServer::builder().setting("work_mem", "nonsense").start().expect_err("cannot start");
    assert!(format!("{failed:#}").contains("work_mem"), "{failed:#}");
}
