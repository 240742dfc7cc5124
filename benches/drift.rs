//! What it costs to watch the schema, and how soon a change of it shows: `cargo bench --bench drift`, with `-- --quick` a
//! tenth of it.
//!
//! Fifty mapped tables stand still, so that whatever the daemon does then is not for the sake of rows: the whole of that,
//! with its ticks and figures, is an upper bound of what watching takes, of one core. Then a mapped column is dropped and
//! put back again and again, with nothing written to the table or with a row behind the change, and the time is taken from the end
//! of the statement until `/v1/drift` shows it.

mod rig;

use std::fmt::Write;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use passerelle::sandbox::SandboxLimits;
use passerelle_test_servers::daemon::Daemon;
use rig::{Rig, detail, figure, millis, percentile, scaled};

const TABLES: usize = 50;
/// What is allowed of one core.
const SHARE: f64 = 0.01;

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    rig::head("drift");
    let rig = Rig::start("{ concurrent = 1 }", SandboxLimits::default(), &[]).await?;
    let (mut tables, mut mappings) = (String::new(), String::new());
    for n in 0..TABLES {
        writeln!(tables, "create table t{n} (id int primary key, a text, b text, c numeric(12, 2), d timestamptz);")?;
        writeln!(
            mappings,
            "[mapping.t{n}]\nsource = \"bench\"\ntable = \"public.t{n}\"\ncrm = \"sandbox\"\nobject = \"Contact\"\n\
             key = {{ field = \"Bench_Id__c\", value = \"'t{n}-' ~ id\" }}\n\
             [mapping.t{n}.fields]\nLastName = \"a\"\nPhone = \"b\"\n"
        )?;
    }
    rig.sql.batch_execute(&tables).await?;
    rig.configure_more(&mappings)?;
    let daemon = rig.streaming().await?;

    let idle = Duration::from_secs(scaled(60));
    let before = rig::cpu_seconds(daemon.pid()).context("the daemon's processor time")?;
    tokio::time::sleep(idle).await; // what is measured is what happens in this time
    let after = rig::cpu_seconds(daemon.pid()).context("the daemon's processor time")?;
    let share = (after - before) / idle.as_secs_f64();
    detail("mapped tables", &TABLES.to_string());
    detail("processor time of a second in which no row comes", &millis(Duration::from_secs_f64(share)));
    figure(
        "all that an idle daemon does, of one core",
        &format!("{:.2} %", share * 100.0),
        &format!("< {} %", SHARE * 100.0),
    );

    for (name, row, target) in [
        ("without traffic, from the statement to /v1/drift", "", Duration::from_secs(10)),
        ("with a row behind it", "insert into t1 (id, a) values ($, 'x');", Duration::from_secs(10)),
    ] {
        let mut times = Vec::new();
        for n in 0..scaled(20).max(5) {
            rig.sql
                .batch_execute(&format!("alter table t1 drop column b; {}", row.replace('$', &n.to_string())))
                .await?;
            let start = Instant::now();
            shows(&daemon, true).await?;
            times.push(start.elapsed());
            rig.sql.batch_execute("alter table t1 add column b text; delete from t1").await?;
            // The column is another one: that it is taken for the old one is a person's word.
            shows_rewritten(&daemon).await?;
            daemon.post("/v1/drift/accept", &serde_json::json!({ "mapping": "t1" })).await?;
            shows(&daemon, false).await?;
        }
        detail(&format!("{name}: median"), &millis(percentile(&mut times, 0.5)));
        figure(&format!("{name}: worst"), &millis(percentile(&mut times, 1.0)), &format!("<= {}", millis(target)));
    }
    daemon.stop().await?;
    Ok(())
}

/// Waits until something is held, or nothing is.
async fn shows(daemon: &Daemon, held: bool) -> Result<()> {
    until(daemon, |list| list.is_empty() != held).await
}

/// Waits until the column is there again and known to be another one.
async fn shows_rewritten(daemon: &Daemon) -> Result<()> {
    until(daemon, |list| list.iter().any(|drift| drift["kind"] == "rewritten")).await
}

async fn until(daemon: &Daemon, is_so: impl Fn(&[serde_json::Value]) -> bool) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < Duration::from_secs(60) {
        let list = daemon.get("/v1/drift").await.unwrap_or_default();
        if list["drift"].as_array().is_some_and(|list| is_so(list)) {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(5)).await; // what it waits for takes many times that
    }
    bail!("the drift did not come or go:\n{}", daemon.log_tail(20))
}
