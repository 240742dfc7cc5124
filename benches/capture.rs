//! Rows durable in the state per second, against what `pg_recvlogical` drains from the same log to nowhere, in the same
//! run, and for MariaDB against `mariadb-binlog`: `cargo bench --bench capture`, with `-- --quick` a tenth of it, with
//! `-- postgres` or `-- mariadb` one of the two.
//!
//! Of PostgreSQL both read a slot that was made before the log was written, over TCP on the loopback address, through one
//! publication; both are timed from the start of their process to the end of the log, pg_recvlogical twice, before
//! and after, of which the faster counts. The CRM is paused. The daemon decodes, folds and syncs every row; its time ends
//! when PostgreSQL was told that the last one is durable. Its memory is the peak of its resident set (VmHWM), all its threads included.

mod mariadb;
mod rig;

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Result, bail};
use passerelle::sandbox::SandboxLimits;
use rig::{Rig, detail, figure, megabytes, per_second, rate, scaled, timed};

/// One kind of load.
struct Load {
    name: &'static str,
    rows: u64,
    sql: String,
    /// Of pg_recvlogical's rate.
    target: f64,
}

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    rig::head("capture");
    if wanted("postgres") {
        postgres().await?;
    }
    if wanted("mariadb") {
        mariadb::bench().await?;
    }
    Ok(())
}

/// Named, or nothing is.
fn wanted(kind: &str) -> bool {
    let named: Vec<String> = std::env::args().skip(1).filter(|argument| !argument.starts_with('-')).collect();
    named.is_empty() || named.iter().any(|name| name == kind)
}

async fn postgres() -> Result<()> {
    let rig = Rig::start("{ concurrent = 1 }", SandboxLimits::default(), &[("fsync", "off")]).await?;
    let daemon = rig.streaming().await?;
    rig::pause_writes(&daemon).await?;
    daemon.stop().await?;
    for load in loads() {
        run(&rig, &load).await?;
    }
    Ok(())
}

fn loads() -> [Load; 3] {
    let (inserts, updates) = (scaled(1_000_000), scaled(500_000));
    let insert = rig::inserts(inserts, 100);
    // A step that shares no factor with the number of rows: each row once, in no order.
    let update = format!(
        "do $$ begin for part in 0..{} loop
            update customer set phone = '+49' || id, changed_at = clock_timestamp()
            where id in (select (part * 10 + n) * 7919::bigint % {inserts} + 1 from generate_series(0, 9) n); commit;
         end loop; end $$",
        updates / 10 - 1,
    );
    let all = "update customer set city = 'City of ' || id".to_owned();
    [
        Load { name: "inserts, 100 in a transaction", rows: inserts, sql: insert, target: 1.3 },
        Load { name: "updates, 10 in a transaction, keys in no order", rows: updates, sql: update, target: 3.0 },
        Load { name: "one update of every row", rows: inserts, sql: all, target: 1.0 },
    ]
}

async fn run(rig: &Rig, load: &Load) -> Result<()> {
    for slot in ["reference_before", "reference_after"] {
        rig.sql.execute("select pg_create_logical_replication_slot($1, 'pgoutput')", &[&slot]).await?;
    }
    rig.sql.batch_execute("vacuum customer").await?;
    rig.sql.batch_execute(&load.sql).await?;
    let end = rig.marker().await?;

    let before = reference(rig, "reference_before", end).await?;
    let (daemon, ours) = timed(async {
        let mut daemon = rig.program.start()?;
        rig::acknowledged(rig, &mut daemon, end).await?;
        Ok(daemon)
    })
    .await?;
    let peak = daemon.peak_memory_bytes().unwrap_or_default();
    let cpu = rig::cpu_seconds(daemon.pid());
    daemon.stop().await?;
    let after = reference(rig, "reference_after", end).await?;

    let reference = per_second(load.rows, before.min(after));
    let ours_per_second = per_second(load.rows, ours);
    println!("\n{} {}", load.rows, load.name);
    detail("pg_recvlogical to nowhere, before", &rate(per_second(load.rows, before)));
    detail("pg_recvlogical to nowhere, after", &rate(per_second(load.rows, after)));
    detail("durable in the state", &rate(ours_per_second));
    detail("the daemon's processor time", &cpu.map_or("unknown".to_owned(), |seconds| format!("{seconds:.1} s")));
    figure("of pg_recvlogical", &format!("{:.2}", ours_per_second / reference), &format!(">= {}", load.target));
    figure("peak memory", &megabytes(peak), "<= 100 MB");
    Ok(())
}

/// How long pg_recvlogical takes to `end`; its slot is dropped.
async fn reference(rig: &Rig, slot: &str, end: u64) -> Result<Duration> {
    let mut command = Command::new(rig.server.program("pg_recvlogical"));
    command
        .args(["-h", "127.0.0.1", "-p", &rig.server.port().to_string(), "-U", "postgres", "-d", "postgres"])
        .args(["--slot", slot, "--start", "--no-loop", "--endpos", &rig::lsn_text(end), "-f", "/dev/null"])
        .args(["-o", "proto_version=1", "-o", "publication_names=passerelle_bench"])
        .stdin(Stdio::null());
    let (status, time) = timed(async { Ok(tokio::task::spawn_blocking(move || command.status()).await??) }).await?;
    if !status.success() {
        bail!("pg_recvlogical: {status}");
    }
    rig.sql.execute("select pg_drop_replication_slot($1)", &[&slot]).await?;
    Ok(time)
}
