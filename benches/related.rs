//! What related rows cost: `cargo bench --bench related`, with `-- --quick` a tenth of it.
//!
//! One country of very many customers changes, while others change as they did before: how late these are sent is compared.
//!
//! Then customers with ten orders each. The same updates of orders are captured by two configurations, of which one maps both
//! tables as they are, and the other customers with three lookups and a rollup over their orders; both only observe, so that
//! the CRM is no part of it, and everything else is done: rows and indexes are written, records are evaluated.

mod rig;

use std::collections::HashMap;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use passerelle::sandbox::SandboxLimits;
use passerelle_test_servers::daemon::Daemon;
use rig::{Rig, detail, figure, megabytes, micros, millis, per_second, percentile, rate, scaled, timed};
use serde_json::Value;

/// Orders of a customer.
const ORDERS: u64 = 10;
/// Customers of one country.
const DEPENDENTS: u64 = 100_000;
/// Customers of another country, each of which changes once.
const OTHERS: u64 = 100;

const TABLES: &str = "
    create table country (id int primary key, code text, region int);
    create table salesman (id int primary key, login text);
    create table region (id int primary key, name text);
    create table buyer (id int primary key, name text not null, country_id int, salesman_id int, region_id int);
    create table sales (id int primary key, buyer int not null, total numeric(12,2), sold_on date);
    insert into country select n, 'C' || n, n % 7 from generate_series(1, 200) n;
    insert into salesman select n, 'user' || n from generate_series(1, 500) n;
    insert into region select n, 'Region ' || n from generate_series(1, 20) n;";

/// Buyers, with their lookups and a rollup over their orders; of the fields those that come of them.
const RELATED: [&str; 2] = [
    r#"
[mapping.buyers.with.country]
table = "public.country"
on    = { id = "country_id" }
[mapping.buyers.with.salesman]
table = "public.salesman"
on    = { id = "salesman_id" }
[mapping.buyers.with.region]
table = "public.region"
on    = { id = "region_id" }
[mapping.buyers.with.sales]
table  = "public.sales"
on     = { buyer = "id" }
rollup = { n = "count()", total = "sum(total)", last = "max(sold_on)" }
"#,
    r#"
Country__c  = "country.code"
Salesman__c = "salesman.login"
Region__c   = "region.name"
Orders__c   = "sales.n"
Total__c    = "sales.total"
Last__c     = "sales.last"
"#,
];

/// Buyers with their country.
const LIVE: [&str; 2] = [
    "[mapping.buyers.with.country]\ntable = \"public.country\"\non = { id = \"country_id\" }\n",
    "Country__c = \"country.code\"\n",
];

/// A mapping of a table of the bench, with further tables and fields.
fn mapping((name, table, object): (&str, &str, &str), observe: bool, [with, fields]: [&str; 2]) -> String {
    let mode = if observe { "mode = \"observe\"\n" } else { "" };
    format!(
        "[mapping.{name}]\nsource = \"bench\"\ntable = \"public.{table}\"\ncrm = \"sandbox\"\nobject = \"{object}\"\n\
         {mode}key = {{ field = \"Bench_Id__c\", value = \"id\" }}\n{with}\n[mapping.{name}.fields]\n{fields}\n"
    )
}

const BUYERS: (&str, &str, &str) = ("buyers", "buyer", "Account");

fn main() -> Result<()> {
    tokio::runtime::Runtime::new()?.block_on(bench())
}

async fn bench() -> Result<()> {
    rig::head("related");
    one_of_many().await?;
    let (customers, changes) = (scaled(1_000_000), scaled(1_000_000));
    let sales = mapping(("sales", "sales", "Order"), true, ["", "Total__c = \"total\""]);
    let plain = mapping(BUYERS, true, ["", "Name = \"name\""]) + &sales;
    let (plain, _) = captured("both tables as they are", &plain, customers, changes).await?;
    let [with, fields] = RELATED;
    let related = mapping(BUYERS, true, [with, &format!("Name = \"name\"{fields}")]);
    let (related, peak) = captured("three lookups and a rollup", &related, customers, changes).await?;
    figure("with relations, of the rate without", &format!("{:.2}", related / plain), ">= 0.5");
    figure("peak memory with relations", &megabytes(peak), "<= 150 MB");
    Ok(())
}

/// The rate at which changed orders are durable, and the peak memory of all.
async fn captured(name: &str, mappings: &str, customers: u64, changes: u64) -> Result<(f64, u64)> {
    let rig = Rig::start("{ concurrent = 4 }", SandboxLimits::default(), &[("fsync", "off")]).await?;
    rig.sql.batch_execute(TABLES).await?;
    // What the end of the log is marked by.
    rig.sql.batch_execute(&rig::inserts(1, 1)).await?;
    rig.sql
        .batch_execute(&format!(
            "insert into buyer select n, 'Buyer ' || n, n % 200 + 1, n % 500 + 1, n % 20 + 1 from generate_series(1, {customers}) n;
             insert into sales select n, (n - 1) / {ORDERS} + 1, n % 100000 / 100.0, date '2024-01-01' + (n % 700)::int
             from generate_series(1, {}) n",
            customers * ORDERS
        ))
        .await?;
    rig.configure_more(mappings)?;
    let (_, loading) = timed(async {
        let mut daemon = rig.streaming().await?;
        idle(&mut daemon).await?;
        daemon.stop().await
    })
    .await?;
    let update = format!(
        "do $$ begin for part in 0..{} loop
            update sales set total = total + 1
            where id in (select (part * 100 + n) * 7919::bigint % {} + 1 from generate_series(0, 99) n); commit;
         end loop; end $$",
        changes / 100 - 1,
        customers * ORDERS,
    );
    rig.sql.batch_execute(&update).await?;
    let end = rig.marker().await?;
    let (mut daemon, durable) = timed(async {
        let mut daemon = rig.program.start()?;
        rig::acknowledged(&rig, &mut daemon, end).await?;
        Ok(daemon)
    })
    .await?;
    let ((), caught_up) = timed(idle(&mut daemon)).await?;
    let peak = daemon.peak_memory_bytes().unwrap_or_default();
    let cpu = rig::cpu_seconds(daemon.pid());
    daemon.stop().await?;
    println!("\n{name}: {customers} customers, {} orders, {changes} of them changed", customers * ORDERS);
    detail("loaded, indexed and evaluated in", &format!("{:.1} s", loading.as_secs_f64()));
    detail("changes durable", &rate(per_second(changes, durable)));
    detail("evaluated after that in", &format!("{:.1} s", caught_up.as_secs_f64()));
    detail("the daemon's processor time", &cpu.map_or("unknown".to_owned(), |seconds| format!("{seconds:.1} s")));
    detail("peak memory", &megabytes(peak));
    Ok((per_second(changes, durable), peak))
}

/// Waits until nothing is left to evaluate.
async fn idle(daemon: &mut Daemon) -> Result<()> {
    let is_idle = |status: &Value| {
        let mappings = status["mappings"].as_array();
        mappings.is_some_and(|all| {
            all.iter()
                .all(|mapping| mapping["state"] == "running" && mapping["pending"] == 0 && mapping["in_flight"] == 0)
        })
    };
    daemon.until(rig::LIMIT, "/v1/status", "everything is evaluated", is_idle).await.map(drop)
}

/// One country of very many customers changes while customers of another change one by one.
async fn one_of_many() -> Result<()> {
    let many = scaled(DEPENDENTS);
    let rig = Rig::start("{ concurrent = 8 }", SandboxLimits::default(), &[]).await?;
    rig.sql.batch_execute(TABLES).await?;
    rig.sql
        .batch_execute(&format!(
            "insert into buyer select n, 'Buyer ' || n, case when n <= {many} then 1 else 2 end from generate_series(1, {many} + {OTHERS}) n"
        ))
        .await?;
    let [with, fields] = LIVE;
    rig.configure_more(&mapping(BUYERS, false, [with, &format!("Name = \"name\"\n{fields}")]))?;
    let daemon = rig.streaming().await?;
    let crm = rig.crm.handle().clone();
    if !crm.wait_until(rig::LIMIT, |crm| crm.stats().records >= many + OTHERS).await {
        bail!("the first load did not arrive");
    }
    let mut before = others(&rig, many).await?;
    rig.sql.batch_execute("update country set code = 'X1' where id = 1").await?;
    let begun = Instant::now();
    let mark = crm.stats().last_write;
    let mut during = others(&rig, many).await?;
    let while_many = begun.elapsed();
    if !crm.wait_until(rig::LIMIT, |crm| crm.stats().last_write - mark >= many).await {
        bail!("the country did not arrive at all of its customers");
    }
    let took = begun.elapsed();
    daemon.stop().await?;
    let (quiet, busy) = (percentile(&mut before, 0.5), percentile(&mut during, 0.5));
    println!("\na country of {many} customers changes");
    detail("sent of all of them in", &format!("{:.1} s", took.as_secs_f64()));
    detail("others, before: median", &millis(quiet));
    detail("others, meanwhile: median", &millis(busy));
    detail("others, meanwhile: greatest", &millis(percentile(&mut during, 1.0)));
    if while_many > took {
        println!("  the many were sent before the others had all been: the figure is of less than it says");
    }
    figure("others are later by", &millis(busy.saturating_sub(quiet)), "<= 100 ms");
    Ok(())
}

/// How late changes of single customers of another country are sent, one every 20 ms.
async fn others(rig: &Rig, many: u64) -> Result<Vec<Duration>> {
    let crm = rig.crm.handle().clone();
    let update = rig.sql.prepare("update buyer set name = 'Changed at ' || clock_timestamp() where id = $1").await?;
    let (mut sent, mut late) = (HashMap::new(), Vec::new());
    // The log holds the newest writes only.
    let mut read = crm.stats().last_write;
    let (begun, mut n) = (Instant::now(), 0);
    while late.len() < OTHERS as usize {
        if n < OTHERS {
            n += 1;
            let id = i32::try_from(many + n)?;
            rig.sql.execute(&update, &[&id]).await?;
            sent.insert(id.to_string(), micros());
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // a change now and then
        for entry in crm.log_after(read, usize::MAX) {
            read = entry.n;
            let at = entry.key.as_ref().filter(|_| entry.fields.contains_key("Name")).and_then(|key| sent.remove(key));
            late.extend(at.map(|at| Duration::from_micros(u64::try_from(entry.at - at).unwrap_or_default())));
        }
        if begun.elapsed() > rig::LIMIT {
            bail!("{} changes did not arrive", sent.len());
        }
    }
    Ok(late)
}
