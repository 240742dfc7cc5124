//! Calls for 100,000 changes, 80 % of them on 1 % of 50,000 records, with 10 calls a second allowed:
//! `cargo bench --bench economy`, with `-- --quick` a tenth of the changes and records.
//!
//! **The optimum** is offline: a sender that knows every change beforehand waits for the last one and sends each record
//! that differs once, 200 to a call, the most that the API takes: ceil(records / 200) calls. No sender can do with less,
//! whatever its rate; ours knows nothing beforehand and sends from the first change on. The changes come as fast as the
//! database writes them, 100 in a transaction, as when somebody runs a script; our rate is the CRM's limit.
//!
//! Then changes that change nothing: of a column that no mapping names, and updates to the value that is there. They may
//! cost no call at all.

mod rig;

use std::time::Duration;

use anyhow::{Result, bail};
use passerelle::sandbox::SandboxLimits;
use rig::{Rig, detail, figure, scaled, timed};

const PER_SECOND: u32 = 10;
/// The most records of a call.
const PER_CALL: u64 = 200;

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    rig::head("economy");
    let allowed = SandboxLimits { per_second: Some(PER_SECOND), ..SandboxLimits::default() };
    let limits = format!("{{ per_second = {PER_SECOND}, concurrent = 4 }}");
    let rig = Rig::start(&limits, allowed, &[("fsync", "off")]).await?;
    let (changes, records) = (scaled(100_000), scaled(50_000));
    let fill = format!("insert into customer select n, {} from generate_series(1, {records}) n", rig::VALUES);
    rig.sql.batch_execute(&fill).await?;
    let mut daemon = rig.streaming().await?;
    let crm = rig.crm.handle().clone();
    if !crm.wait_until(rig::LIMIT, |crm| crm.stats().records >= records).await {
        bail!("the first load did not arrive");
    }

    // The daemon's limiter starts with the sandbox's window empty.
    let before = crm.stats();
    let hot = records / 100;
    let cold = records - hot;
    let prepare = "create temporary table touched (id bigint); select setseed(0.42)";
    rig.sql.batch_execute(prepare).await?;
    let script = format!(
        "do $$ declare one bigint; begin
             for number in 1..{changes} loop
                 one := case when random() < 0.8 then 1 + floor(random() * {hot}) else 1 + {hot} + floor(random() * {cold}) end;
                 insert into touched values (one);
                 update customer set phone = '+49' || number, changed_at = clock_timestamp() where id = one;
                 if number % 100 = 0 then commit; end if;
             end loop;
         end $$"
    );
    let ((), wrote_in) = timed(async { Ok(rig.sql.batch_execute(&script).await?) }).await?;
    let end = rig.marker().await?;
    let ((), drained_in) = timed(settled(&rig, &mut daemon, end)).await?;
    let after = crm.stats();
    let distinct: i64 = rig.sql.query_one("select count(distinct id) from touched", &[]).await?.get(0);
    let optimum = u64::try_from(distinct)?.div_ceil(PER_CALL);
    let calls = after.calls - before.calls;
    detail("changes in the shop took", &format!("{:.1} s", wrote_in.as_secs_f64()));
    detail("everything delivered after further", &format!("{:.1} s", drained_in.as_secs_f64()));
    detail("records that differ", &distinct.to_string());
    detail("records written", &(after.updated - before.updated).to_string());
    detail("calls of the optimum", &optimum.to_string());
    detail("calls", &calls.to_string());
    detail("most calls in any second, of 10", &after.max_in_1s.to_string());
    figure("calls, of the optimum", &format!("{:.2}", calls as f64 / optimum as f64), "<= 1.1");

    let before = crm.stats();
    rig.sql.batch_execute("update customer set unmapped = 'x' || id").await?;
    rig.sql.batch_execute("update customer set phone = phone, balance = balance").await?;
    let end = rig.log_end().await?;
    // The marker is a change that counts: one call, which is not one of them.
    let marker = rig.marker().await?.max(end);
    settled(&rig, &mut daemon, marker).await?;
    let calls = (crm.stats().calls - before.calls).saturating_sub(1);
    figure("calls for changes that change nothing", &calls.to_string(), "0");
    daemon.stop().await?;
    Ok(())
}

/// Waits until everything up to `end`, and the marker behind it, is delivered.
async fn settled(rig: &Rig, daemon: &mut passerelle_test_servers::daemon::Daemon, end: u64) -> Result<()> {
    rig::durable(daemon, end).await?;
    let newest: String = {
        let ask = "select to_char(changed_at at time zone 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS') from customer order by id limit 1";
        rig.sql.query_one(ask, &[]).await?.get(0)
    };
    let key: i64 = rig.sql.query_one("select min(id) from customer", &[]).await?.get(0);
    let there = |crm: &passerelle::sandbox::SandboxHandle| {
        let record = crm.record("Contact", "Bench_Id__c", &key.to_string());
        record.is_some_and(|record| record.fields["Changed_At__c"].as_str().is_some_and(|at| at >= newest.as_str()))
    };
    if !rig.crm.handle().wait_until(rig::LIMIT, there).await {
        bail!("the last change did not arrive");
    }
    let idle = |status: &serde_json::Value| {
        let mapping = &status["mappings"][0];
        mapping["pending"] == 0 && mapping["in_flight"] == 0
    };
    daemon.until(Duration::from_secs(600), "/v1/status", "nothing is pending", idle).await.map(drop)
}
