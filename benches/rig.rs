//! What the benches share: a private PostgreSQL, a sandbox in this process, the daemon in a process of its own, and how
//! figures are printed.
//!
//! Figures are ratios against a reference that the same run took on the same machine; nothing is asserted about time.
#![allow(dead_code, reason = "each bench uses its part of it")]

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail};
use passerelle::sandbox::{Running, Sandbox, SandboxLimits, SandboxOptions};
use passerelle_test_servers::PgServer;
use passerelle_test_servers::daemon::{Daemon, Program};
use serde_json::{Value, json};
use tempfile::TempDir;
use tokio_postgres::Client;

/// Longer than anything here takes on a slow machine.
pub(crate) const LIMIT: Duration = Duration::from_secs(1_800);

/// The table of all benches: eight columns, all of them mapped.
pub(crate) const TABLE: &str = "create table customer (
    id bigint primary key,
    name text not null,
    email text,
    phone text,
    street text,
    city text,
    balance numeric(12, 2),
    changed_at timestamptz not null default now(),
    unmapped text
)";

/// A row's values but for the key, from a number that the query calls `n`.
pub(crate) const VALUES: &str =
    "'Customer Number ' || n, 'customer.' || n || '@example.com', '+331' || (40000000 + n % 9999999),
    n % 120 || ' Harbour Street', 'City ' || n % 1000, (n % 100000) / 100.0, clock_timestamp()";

/// Inserts so many rows, some in a transaction.
pub(crate) fn inserts(rows: u64, in_a_transaction: u64) -> String {
    format!(
        "do $$ begin for part in 0..{} loop
            insert into customer select n, {VALUES}
            from generate_series(part * {in_a_transaction} + 1, (part + 1) * {in_a_transaction}) n; commit;
         end loop; end $$",
        rows / in_a_transaction - 1,
    )
}

/// What the values of a row take, in bytes, as the log carries them.
pub(crate) const MAPPED_BYTES: &str = "select sum(octet_length(id::text) + octet_length(name) + octet_length(email) + octet_length(phone)
    + octet_length(street) + octet_length(city) + octet_length(balance::text) + octet_length(changed_at::text))::bigint from customer";

/// Servers of one bench.
pub(crate) struct Rig {
    /// The database.
    pub(crate) server: PgServer,
    /// A superuser's connection to it.
    pub(crate) sql: Client,
    /// The CRM.
    pub(crate) crm: Running,
    /// How the daemon is started.
    pub(crate) program: Program,
    folder: TempDir,
}

impl Rig {
    /// Starts the database and the CRM. `limits` is the CRM's `limits` in the configuration.
    pub(crate) async fn start(limits: &str, allowed: SandboxLimits, settings: &[(&str, &str)]) -> Result<Self> {
        let settings: Vec<(String, String)> =
            settings.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let server = tokio::task::spawn_blocking(move || {
            let quiet = [
                ("max_wal_size", "16GB"),
                ("checkpoint_timeout", "1h"),
                ("autovacuum", "off"),
                ("shared_buffers", "256MB"),
            ];
            let with =
                |builder: passerelle_test_servers::Builder, (name, value): (&str, &str)| builder.setting(name, value);
            let builder = quiet.into_iter().fold(PgServer::builder(), with);
            settings.iter().fold(builder, |builder, (name, value)| with(builder, (name, value))).start()
        })
        .await??;
        let sql = server.client("postgres").await?;
        sql.batch_execute(TABLE).await?;
        // A day's allowance that is never in the way: with less, delivery lingers on purpose, to make it last.
        let allowed = SandboxLimits { per_day: Some(1_000_000_000), ..allowed };
        let options = SandboxOptions { limits: allowed, log_bytes: 1 << 30, ..SandboxOptions::default() };
        let crm = Sandbox::start(options).await?;
        let folder = tempfile::Builder::new().prefix("passerelle-bench-").tempdir()?;
        let config = folder.path().join("passerelle.toml");
        let source = format!(
            "kind = \"postgres\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"postgres\"\nuser = \"postgres\"\ntls = \"disable\"",
            server.port()
        );
        std::fs::write(&config, configuration(&source, "public.customer", crm.url(), limits))?;
        let executable = Path::new(env!("CARGO_BIN_EXE_passerelle"));
        let program =
            Program::new(executable, &config, &folder.path().join("passerelle.sock"), &folder.path().join("log"));
        Ok(Self { server, sql, crm, program, folder })
    }

    /// Adds to the configuration.
    pub(crate) fn configure_more(&self, text: &str) -> Result<()> {
        let config = self.folder.path().join("passerelle.toml");
        let before = std::fs::read_to_string(&config)?;
        Ok(std::fs::write(&config, format!("{before}\n{text}"))?)
    }

    /// Starts the daemon and waits until it streams.
    pub(crate) async fn streaming(&self) -> Result<Daemon> {
        let mut daemon = self.program.start()?;
        daemon.until_streaming(LIMIT).await?;
        Ok(daemon)
    }

    /// Where the state is.
    pub(crate) fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    /// The end of the log.
    pub(crate) async fn log_end(&self) -> Result<u64> {
        let row = self.sql.query_one("select pg_current_wal_lsn()::text", &[]).await?;
        lsn(row.get(0)).context("the server prints its position")
    }

    /// Commits a change that stands behind everything else: the checkpoint that has reached the answer has passed what
    /// was there before.
    pub(crate) async fn marker(&self) -> Result<u64> {
        let end = self.log_end().await?;
        self.sql
            .execute(
                "update customer set changed_at = clock_timestamp() where id = (select min(id) from customer)",
                &[],
            )
            .await?;
        Ok(end)
    }
}

/// Waits until the source was told that everything up to `end` is durable, which it is at most 100 ms after it is. Asks
/// PostgreSQL, so that the daemon is not kept busy with questions.
pub(crate) async fn acknowledged(rig: &Rig, daemon: &mut Daemon, end: u64) -> Result<()> {
    let ask = rig
        .sql
        .prepare("select confirmed_flush_lsn::text from pg_replication_slots where slot_name = 'passerelle_bench'");
    let ask = ask.await?;
    loop {
        let confirmed: Option<String> = rig.sql.query_one(&ask, &[]).await?.get(0);
        if confirmed.as_deref().and_then(lsn).is_some_and(|confirmed| confirmed >= end) {
            return Ok(());
        }
        if let Some(status) = daemon.ended()? {
            bail!("the daemon ended with {status}:\n{}", daemon.log_tail(20));
        }
        tokio::time::sleep(Duration::from_millis(20)).await; // often enough for a run of seconds, too seldom to cost
    }
}

/// Stops every write to the CRM, over restarts.
pub(crate) async fn pause_writes(daemon: &Daemon) -> Result<()> {
    daemon.post("/v1/pause", &json!({"target": "writes"})).await.map(drop)
}

/// Lets them go on.
pub(crate) async fn resume_writes(daemon: &Daemon) -> Result<()> {
    daemon.post("/v1/resume", &json!({"target": "writes", "confirm": false})).await.map(drop)
}

/// Waits until the daemon's checkpoint has reached `end`.
pub(crate) async fn durable(daemon: &mut Daemon, end: u64) -> Result<()> {
    let reached = |offsets: &Value| {
        let value = offsets["sources"][0]["durable"]["value"].as_str();
        value.and_then(lsn).is_some_and(|durable| durable >= end)
    };
    daemon.until(LIMIT, "/v1/offsets", "everything is durable", reached).await.map(drop)
}

/// `--quick`: a tenth of everything, for development.
pub(crate) fn quick() -> bool {
    std::env::args().any(|argument| argument == "--quick")
}

/// The full number, or a tenth of it.
pub(crate) fn scaled(number: u64) -> u64 {
    if quick() { number / 10 } else { number }
}

/// Prints a figure beside its target.
pub(crate) fn figure(what: &str, value: &str, target: &str) {
    println!("{what:<58} {value:>16}   target {target}");
}

/// Prints what a figure is made of.
pub(crate) fn detail(what: &str, value: &str) {
    println!("  {what:<56} {value:>16}");
}

/// Prints the machine that figures were taken on.
pub(crate) fn head(bench: &str) {
    let cpus = std::fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpus.lines().find_map(|line| line.strip_prefix("model name")).unwrap_or_default();
    let model = model.trim_start_matches([' ', '\t', ':']);
    let cores = std::thread::available_parallelism().map_or(0, std::num::NonZero::get);
    let size = if quick() { ", a tenth of the size (--quick)" } else { "" };
    println!("{bench}: {cores} x {model}{size}");
}

/// Rows in a second, for people: `154 k`.
pub(crate) fn per_second(rows: u64, time: Duration) -> f64 {
    rows as f64 / time.as_secs_f64()
}

/// `154.2 k/s`.
pub(crate) fn rate(per_second: f64) -> String {
    if per_second >= 10_000.0 { format!("{:.1} k/s", per_second / 1_000.0) } else { format!("{per_second:.0}/s") }
}

/// `12.3 ms`.
pub(crate) fn millis(time: Duration) -> String {
    format!("{:.1} ms", time.as_secs_f64() * 1_000.0)
}

/// `61 MB`, of 1,000,000 bytes.
pub(crate) fn megabytes(bytes: u64) -> String {
    format!("{:.0} MB", bytes as f64 / 1e6)
}

/// The value below which `share` of them lie; they become sorted.
pub(crate) fn percentile(times: &mut [Duration], share: f64) -> Duration {
    times.sort_unstable();
    let index = ((times.len().saturating_sub(1)) as f64 * share).round() as usize;
    times.get(index).copied().unwrap_or_default()
}

/// The clock of the sandbox's log, in microseconds since 1970.
pub(crate) fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// How long something takes.
pub(crate) async fn timed<T>(work: impl Future<Output = Result<T>>) -> Result<(T, Duration)> {
    let start = Instant::now();
    let done = work.await?;
    Ok((done, start.elapsed()))
}

/// `16/B374D848` as a number.
pub(crate) fn lsn(text: &str) -> Option<u64> {
    let (high, low) = text.split_once('/')?;
    Some(u64::from_str_radix(high, 16).ok()? << 32 | u64::from_str_radix(low, 16).ok()?)
}

/// A number as `16/B374D848`.
pub(crate) fn lsn_text(lsn: u64) -> String {
    format!("{:X}/{:X}", lsn >> 32, lsn & 0xffff_ffff)
}

/// User and system time of a process and its threads.
pub(crate) fn cpu_seconds(pid: u32) -> Option<f64> {
    let line = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, rest) = line.rsplit_once(')')?;
    let words: Vec<&str> = rest.split_whitespace().collect();
    let ticks: u64 = words.get(11)?.parse::<u64>().ok()? + words.get(12)?.parse::<u64>().ok()?;
    // Linux counts in hundredths of a second for every program.
    Some(ticks as f64 / 100.0)
}

/// Source, CRM and mapping of all benches.
pub(crate) fn configuration(source: &str, table: &str, crm: &str, limits: &str) -> String {
    format!(
        r#"[daemon]
state_dir = "state"
socket    = "passerelle.sock"

[source.bench]
{source}

[crm.sandbox]
kind   = "salesforce"
url    = "{crm}"
auth   = {{ method = "token", token = "any will do" }}
limits = {limits}

[mapping.customers]
source = "bench"
table  = "{table}"
crm    = "sandbox"
object = "Contact"
key    = {{ field = "Bench_Id__c", value = "id" }}

[mapping.customers.fields]
LastName      = "name"
Email         = "email"
Phone         = "phone"
MailingStreet = "street"
MailingCity   = "city"
Balance__c    = "balance"
Changed_At__c = "changed_at"
"#
    )
}
