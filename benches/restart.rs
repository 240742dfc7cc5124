//! From start to streaming with 1,000,000 rows pending, what the state takes on disk, and how fast what is pending is
//! delivered: `cargo bench --bench restart`, with `-- --quick` a tenth of it.
//!
//! The rows are captured while all writes are paused; then the daemon is killed (SIGKILL) and started again. The state is
//! measured as its files on disk, without what RocksDB is about to delete; the mapped bytes are the values of the mapped
//! columns in the text form in which the log carries them. For delivery alone the writes are resumed, with no limit but
//! 8 calls at once, to a sandbox that answers at once.

mod rig;

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use passerelle::sandbox::SandboxLimits;
use rig::{Rig, detail, figure, megabytes, millis, per_second, scaled, timed};

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    rig::head("restart");
    let rig = Rig::start("{ concurrent = 8 }", SandboxLimits::default(), &[("fsync", "off")]).await?;
    let rows = scaled(1_000_000);
    let mut daemon = rig.streaming().await?;
    rig::pause_writes(&daemon).await?;
    rig.sql.batch_execute(&rig::inserts(rows, 1_000)).await?;
    let end = rig.marker().await?;
    rig::durable(&mut daemon, end).await?;
    daemon.kill()?;

    let mut times = Vec::new();
    for _ in 0..3 {
        let (daemon, time) = timed(rig.streaming()).await?;
        times.push(time);
        daemon.kill()?;
    }
    let mut daemon = rig.streaming().await?;
    let pending = daemon.get("/v1/status").await?["mappings"][0]["pending"].clone();
    detail("rows pending, as status says (exact up to 10,000)", &pending.to_string());
    let all: Vec<String> = times.iter().map(|&time| millis(time)).collect();
    detail("from start to streaming after kill -9, three times", &all.join(", "));
    figure("the slowest", &millis(times.into_iter().max().unwrap_or_default()), "<= 2000 ms");

    let mapped: i64 = rig.sql.query_one(rig::MAPPED_BYTES, &[]).await?.get(0);
    let (mapped, state) = (u64::try_from(mapped)?, settled_bytes(&rig.state()).await?);
    detail("mapped bytes", &megabytes(mapped));
    detail("state on disk", &megabytes(state));
    figure("state, of the mapped bytes", &format!("{:.2}", state as f64 / mapped as f64), "<= 2");

    let crm = rig.crm.handle().clone();
    let start = Instant::now();
    rig::resume_writes(&daemon).await?;
    if !crm.wait_until(rig::LIMIT, |crm| crm.stats().records >= rows).await {
        let status = daemon.get("/v1/status").await?;
        bail!("not everything was delivered: {status}");
    }
    let took = start.elapsed();
    let peak = daemon.peak_memory_bytes().unwrap_or_default();
    detail("calls", &crm.stats().calls.to_string());
    detail("the daemon's peak memory", &megabytes(peak));
    figure("delivery alone", &rig::rate(per_second(rows, took)), ">= 5000/s");
    if let Some(status) = daemon.ended()? {
        bail!("the daemon ended with {status}");
    }
    daemon.stop().await?;
    Ok(())
}

/// What the files of the state take, when that has stood still for a second: compaction may be under way.
async fn settled_bytes(folder: &Path) -> Result<u64> {
    let start = Instant::now();
    let mut last = bytes(folder)?;
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await; // nothing announces the end of a compaction
        let now = bytes(folder)?;
        if now == last || start.elapsed() > Duration::from_secs(30) {
            return Ok(now);
        }
        last = now;
    }
}

fn bytes(folder: &Path) -> Result<u64> {
    let mut sum = 0;
    for entry in folder.read_dir()? {
        let entry = entry?;
        // Files may go while we look.
        match entry.metadata() {
            Ok(facts) if facts.is_dir() => sum += bytes(&entry.path())?,
            Ok(facts) => sum += facts.len(),
            Err(_) => {}
        }
    }
    Ok(sum)
}
