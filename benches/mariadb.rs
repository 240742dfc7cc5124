//! The half of the capture bench that is about MariaDB.
//!
//! The reference is `mariadb-binlog -v --base64-output=decode-rows`, which reads the same files from the server over TCP,
//! decodes every row and prints it to nowhere, twice, before and after, of which the faster counts. The daemon's time ends
//! when its status says that every row is durable, which it says twice a second.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use passerelle::sandbox::{Running, Sandbox, SandboxLimits, SandboxOptions};
use passerelle_test_servers::MariadbServer;
use passerelle_test_servers::daemon::{Daemon, Program};
use serde_json::Value;
use tempfile::TempDir;

use crate::rig::{self, detail, figure, megabytes, per_second, rate, scaled, timed};

/// As [`rig::TABLE`].
const TABLE: &str = "create table customer (
    id bigint primary key,
    name varchar(255) not null,
    email varchar(255),
    phone varchar(60),
    street varchar(255),
    city varchar(120),
    balance decimal(12, 2),
    changed_at timestamp(6) not null default current_timestamp(6),
    unmapped text
) default charset utf8mb4";

/// As [`rig::VALUES`], of the sequence `n`.
const VALUES: &str =
    "concat('Customer Number ', n), concat('customer.', n, '@example.com'), concat('+331', 40000000 + n % 9999999),
    concat(n % 120, ' Harbour Street'), concat('City ', n % 1000), (n % 100000) / 100, now(6), null";

/// One kind of load.
struct Load {
    name: &'static str,
    rows: u64,
    sql: String,
    /// Of mariadb-binlog's rate; `None` where only the memory is of interest.
    target: Option<f64>,
}

struct Servers {
    server: MariadbServer,
    program: Program,
    _crm: Running,
    _folder: TempDir,
}

/// The figures of MariaDB.
pub(crate) async fn bench() -> Result<()> {
    let servers = Servers::start().await?;
    let mut daemon = servers.program.start()?;
    daemon.until_streaming(rig::LIMIT).await?;
    rig::pause_writes(&daemon).await?;
    daemon.stop().await?;
    for load in loads() {
        run(&servers, &load).await?;
    }
    Ok(())
}

fn loads() -> [Load; 3] {
    let (inserts, updates) = (scaled(1_000_000), scaled(500_000));
    let insert = format!(
        "insert into customer select n, {VALUES} from (select part * 100 + seq + 1 as n from seq_0_to_99) s; commit;"
    );
    let scattered = format!(
        "update customer join (select (part * 10 + seq) * 7919 % {inserts} + 1 as id from seq_0_to_9) s using (id)
         set phone = concat('+49', id), changed_at = now(6); commit;"
    );
    let all = "update customer set city = concat('City of ', id)".to_owned();
    [
        Load {
            name: "inserts, 100 in a transaction",
            rows: inserts,
            sql: looped(inserts / 100, &insert),
            target: Some(0.5),
        },
        Load {
            name: "updates, 10 in a transaction, keys in no order",
            rows: updates,
            sql: looped(updates / 10, &scattered),
            target: Some(0.5),
        },
        Load { name: "one update of every row", rows: inserts, sql: all, target: None },
    ]
}

/// Runs `body` with `part` from 0 to `times - 1`, at the server.
fn looped(times: u64, body: &str) -> String {
    format!("delimiter //\nset autocommit = 0//\nfor part in 0..{} do {body} end for//", times - 1)
}

impl Servers {
    async fn start() -> Result<Self> {
        let server = tokio::task::spawn_blocking(|| {
            let server = MariadbServer::builder()
                .setting("innodb_buffer_pool_size", "512M")
                .setting("innodb_log_file_size", "1G")
                .setting("max_binlog_size", "1G")
                .start()?;
            server.sql("", "create database bench")?;
            server.sql("bench", TABLE)?;
            anyhow::Ok(server)
        })
        .await??;
        let limits = SandboxLimits { per_day: Some(1_000_000_000), ..SandboxLimits::default() };
        let crm = Sandbox::start(SandboxOptions { limits, ..SandboxOptions::default() }).await?;
        let folder = tempfile::Builder::new().prefix("passerelle-bench-").tempdir()?;
        let config = folder.path().join("passerelle.toml");
        let source = format!(
            "kind = \"mariadb\"\nhost = \"127.0.0.1\"\nport = {}\ndatabase = \"bench\"\nuser = \"root\"\ntls = \"disable\"",
            server.port()
        );
        std::fs::write(&config, rig::configuration(&source, "bench.customer", crm.url(), "{ concurrent = 1 }"))?;
        let (socket, log) = (folder.path().join("passerelle.sock"), folder.path().join("log"));
        let program = Program::new(Path::new(env!("CARGO_BIN_EXE_passerelle")), &config, &socket, &log);
        Ok(Self { server, program, _crm: crm, _folder: folder })
    }
}

async fn run(servers: &Servers, load: &Load) -> Result<()> {
    let server = &servers.server;
    server.sql("", "flush binary logs")?;
    let file = server.sql("", "show master status")?;
    let file = file.split('\t').next().context("the server has no binary log")?.to_owned();
    server.sql("bench", &load.sql)?;

    let before = reference(server, &file).await?;
    let (daemon, ours) = timed(async {
        let mut daemon = servers.program.start()?;
        durable(&mut daemon, load.rows).await?;
        Ok(daemon)
    })
    .await?;
    let peak = daemon.peak_memory_bytes().unwrap_or_default();
    let cpu = rig::cpu_seconds(daemon.pid());
    daemon.stop().await?;
    let after = reference(server, &file).await?;

    let reference = per_second(load.rows, before.min(after));
    let ours = per_second(load.rows, ours);
    println!("\nMariaDB: {} {}", load.rows, load.name);
    detail("mariadb-binlog -v to nowhere, before", &rate(per_second(load.rows, before)));
    detail("mariadb-binlog -v to nowhere, after", &rate(per_second(load.rows, after)));
    detail("durable in the state", &rate(ours));
    detail("the daemon's processor time", &cpu.map_or("unknown".to_owned(), |seconds| format!("{seconds:.1} s")));
    let ratio = format!("{:.2}", ours / reference);
    match load.target {
        Some(target) => figure("of mariadb-binlog", &ratio, &format!(">= {target}")),
        None => detail("of mariadb-binlog", &ratio),
    }
    figure("peak memory", &megabytes(peak), "<= 100 MB");
    Ok(())
}

/// Waits until so many rows of this run are durable.
async fn durable(daemon: &mut Daemon, rows: u64) -> Result<()> {
    let reached =
        |status: &Value| status["sources"][0]["changes_total"].as_u64().is_some_and(|changes| changes >= rows);
    daemon.until(rig::LIMIT, "/v1/status", "every row is durable", reached).await.map(drop)
}

/// How long mariadb-binlog takes from the beginning of `file` to the end of the log.
async fn reference(server: &MariadbServer, file: &str) -> Result<Duration> {
    let mut command = Command::new("mariadb-binlog");
    command
        .args(["--no-defaults", "-v", "--base64-output=decode-rows", "--read-from-remote-server", "--to-last-log"])
        .args(["-h", "127.0.0.1", "-P", &server.port().to_string(), "-u", "root", file])
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    let run = move || command.status().context("mariadb-binlog does not run (Debian: apt-get install mariadb-client)");
    let (status, time) = timed(async { tokio::task::spawn_blocking(run).await? }).await?;
    if !status.success() {
        bail!("mariadb-binlog: {status}");
    }
    Ok(time)
}
