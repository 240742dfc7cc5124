//! From the commit to the CRM's receipt at 500 transactions a second, against a sandbox that answers at once:
//! `cargo bench --bench latency`, with `-- --quick` a tenth of it.
//!
//! PostgreSQL waits for its disk (fsync on), and so does the daemon's state, on the same disk. Each transaction updates
//! one row; rows take turns, so that no change is coalesced away. A latency begins when the commit has returned to the
//! client (from sending it: the second figure) and ends when the sandbox has written the record. Meanwhile a probe
//! syncs 4 KiB to the same disk every 50 ms: its 99th percentile is the run's own fdatasync.

mod rig;

use std::collections::HashMap;
use std::io::{Seek, SeekFrom, Write};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use passerelle::sandbox::SandboxLimits;
use rig::{Rig, detail, figure, micros, millis, percentile, scaled};

const PER_SECOND: u64 = 500;
const ROWS: u64 = 20_000;
/// Connections that take turns, so that one commit's sync does not delay the next commit.
const CLIENTS: usize = 8;

/// When a change was sent and committed, by its row.
type Sent = HashMap<String, (i64, i64)>;

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    rig::head("latency");
    let rig = Rig::start("{ concurrent = 8 }", SandboxLimits::default(), &[("fsync", "on")]).await?;
    let fill = format!("insert into customer select n, {} from generate_series(1, {ROWS}) n", rig::VALUES);
    rig.sql.batch_execute(&fill).await?;
    let daemon = rig.streaming().await?;
    let crm = rig.crm.handle().clone();
    if !crm.wait_until(rig::LIMIT, |crm| crm.stats().records >= ROWS).await {
        bail!("the first load did not arrive");
    }

    let mark = crm.stats().last_write;
    let transactions = scaled(20 * PER_SECOND);
    let stop = Arc::new(AtomicBool::new(false));
    let probe = std::thread::spawn({
        let (stop, folder) = (Arc::clone(&stop), rig.state());
        move || fdatasync(&folder, &stop)
    });
    let start = Instant::now();
    let sent = drive(&rig, transactions).await?;
    let took = start.elapsed();
    if !crm.wait_until(rig::LIMIT, |crm| crm.stats().last_write - mark >= transactions).await {
        bail!("not every change arrived");
    }
    stop.store(true, Ordering::Relaxed);
    let mut synced = probe.join().ok().context("the probe of the disk has panicked")??;
    daemon.stop().await?;

    let (mut from_commit, mut from_sending) = (Vec::new(), Vec::new());
    for entry in crm.log_after(mark, usize::MAX) {
        let (sent, committed) = sent.get(entry.key.as_deref().unwrap_or_default()).context("a write of nobody's")?;
        let since = |begin: i64| Duration::from_micros(u64::try_from(entry.at - begin).unwrap_or_default());
        from_commit.push(since(*committed));
        from_sending.push(since(*sent));
    }
    let (median, high) = (percentile(&mut from_commit, 0.5), percentile(&mut from_commit, 0.99));
    let sync = percentile(&mut synced, 0.99);
    detail("transactions a second", &format!("{:.0}", transactions as f64 / took.as_secs_f64()));
    detail("writes, calls", &format!("{}, {}", from_commit.len(), crm.stats().calls));
    detail("fdatasync of 4 KiB: median", &millis(percentile(&mut synced, 0.5)));
    detail("fdatasync of 4 KiB: 99th", &millis(sync));
    detail("sending the commit to receipt: median", &millis(percentile(&mut from_sending, 0.5)));
    detail("sending the commit to receipt: 99th", &millis(percentile(&mut from_sending, 0.99)));
    figure("commit to receipt: median", &millis(median), "<= 10 ms");
    let limit = (sync * 4).max(Duration::from_millis(40));
    figure("commit to receipt: 99th", &millis(high), &format!("<= {}", millis(limit)));
    Ok(())
}

/// Commits a change every 2 ms.
async fn drive(rig: &Rig, transactions: u64) -> Result<Sent> {
    let mut clients = Vec::new();
    for _ in 0..CLIENTS {
        let client = rig.server.client("postgres").await?;
        let update = "update customer set changed_at = clock_timestamp() where id = $1";
        let update = client.prepare(update).await?;
        clients.push(Arc::new((client, update)));
    }
    let mut ticks = tokio::time::interval(Duration::from_micros(1_000_000 / PER_SECOND));
    let mut under_way = tokio::task::JoinSet::new();
    for number in 0..transactions {
        ticks.tick().await;
        let client = Arc::clone(&clients[number as usize % CLIENTS]);
        under_way.spawn(async move {
            let id = i64::try_from(number % ROWS)? + 1;
            let sent = micros();
            client.0.execute(&client.1, &[&id]).await?;
            anyhow::Ok((id.to_string(), (sent, micros())))
        });
    }
    let mut sent = Sent::new();
    while let Some(done) = under_way.join_next().await {
        let (id, times) = done??;
        sent.insert(id, times);
    }
    Ok(sent)
}

/// Syncs 4 KiB again and again, until it is stopped.
#[allow(clippy::disallowed_methods, reason = "a thread of its own, which has nothing else to do")]
fn fdatasync(folder: &std::path::Path, stop: &AtomicBool) -> Result<Vec<Duration>> {
    let mut file = tempfile::tempfile_in(folder)?;
    let mut times = Vec::new();
    while !stop.load(Ordering::Relaxed) {
        file.seek(SeekFrom::Start(0))?;
        file.write_all(&[times.len() as u8; 4096])?;
        let start = Instant::now();
        file.sync_data()?;
        times.push(start.elapsed());
        std::thread::sleep(Duration::from_millis(50)); // a sample now and then: the disk is the daemon's, not ours
    }
    Ok(times)
}
