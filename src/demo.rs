//! `passerelle demo`: the databases of a shop and of its web shop, a CRM and passerelle between them, on this machine alone, with
//! live changes told on the terminal.
//!
//! The databases are a real PostgreSQL and a real MariaDB in temporary folders, passerelle the real daemon (this very program, in a process
//! of its own), and only the CRM is the sandbox. Nothing is left behind.

mod compare;
mod people;
mod shop;
mod story;
mod teller;
mod webshop;

use std::net::SocketAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use passerelle_test_servers::daemon::Program;
use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::sandbox::{Running, Sandbox, SandboxHandle, SandboxLimits, SandboxOptions};
use compare::{Comparison, compare};
use shop::Shop;
use story::{Pace, Story};
use teller::{Teller, counted, lasting, say};
use webshop::WebShop;

/// Where the CRM's page is, unless something else is there.
const USUAL_PORT: u16 = 8080;
/// What the CRM allows; passerelle is told the same.
const PER_SECOND: u32 = 20;
/// For the daemon to start, to load the shop, and to catch up at the end.
const LIMIT: Duration = Duration::from_secs(60);
/// A demo of this length is told at its usual pace; a shorter one faster.
const USUAL_SECONDS: u64 = 30;

/// Options of `passerelle demo`.
#[derive(Clone, Debug, clap::Args)]
pub struct DemoArgs {
    /// End by itself after so many seconds of live changes, with a summary; otherwise Ctrl-C ends it
    #[arg(long, value_name = "N")]
    pub seconds: Option<u64>,
    /// Port of the CRM's page [default: 8080, or another where that is taken]
    #[arg(long, value_name = "P")]
    pub port: Option<u16>,
}

/// Runs the demo. Fails where the CRM is not equal to the shop at the end.
pub async fn run(args: DemoArgs) -> Result<()> {
    let mut signals = Signals::new()?;
    let mut hurry = Signals::new()?;
    tokio::select! {
        ended = demo(&args, &mut signals) => ended,
        () = async {
            hurry.one().await;
            hurry.one().await;
        } => bail!("interrupted twice: everything is stopped, nothing was compared"),
    }
}

async fn demo(args: &DemoArgs, signals: &mut Signals) -> Result<()> {
    let folder = tempfile::Builder::new().prefix("passerelle-demo-").tempdir()?;
    let crm = sandbox(args.port).await?;
    let shops = tokio::try_join!(Shop::open(), WebShop::open())?;
    let program = program(folder.path(), (shops.0.port(), shops.1.port()), crm.handle())?;
    introduce(&shops, crm.url(), &program).await?;

    let daemon = program.start()?;
    let pace = Pace::of(args.seconds);
    let mut story = Story::new(shops, crm.handle().clone(), program, daemon, pace);
    let ended = tell(&mut story, args.seconds, signals).await;
    if let (Err(_), Some(daemon)) = (&ended, &story.daemon) {
        say(&format!("\nthe last lines of passerelle's log:\n{}", daemon.log_tail(20)));
    }
    if let Some(daemon) = story.daemon.take() {
        daemon.stop().await?;
    }
    ended
}

async fn tell(story: &mut Story, seconds: Option<u64>, signals: &mut Signals) -> Result<()> {
    first_load(story).await?;
    let (before, began) = (story.crm.stats(), Instant::now());
    {
        let stopped = std::cell::Cell::new(false);
        let limit = seconds.map(Duration::from_secs);
        let over = || stopped.get() || limit.is_some_and(|limit| began.elapsed() >= limit);
        let asked = async {
            signals.one().await;
            stopped.set(true);
            say("            stopping: what is under way is finished first");
            std::future::pending::<()>().await;
        };
        tokio::select! {
            ended = story.play(over) => ended?,
            () = asked => {}
        }
    }
    let took = began.elapsed();
    let found = caught_up(story).await?;
    summarize(story, &before, took, &found);
    if !found.equal() {
        bail!("the CRM is not equal to the shops");
    }
    Ok(())
}

impl Pace {
    fn of(seconds: Option<u64>) -> Self {
        let share = seconds.map_or(1.25, |seconds| seconds.clamp(6, USUAL_SECONDS) as f64 / USUAL_SECONDS as f64);
        let scaled = |time: u64| Duration::from_millis(time).mul_f64(share);
        Self { pause: scaled(1_200), outage: scaled(4_000) }
    }
}

/// SIGINT and SIGTERM.
struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> std::io::Result<Self> {
        Ok(Self { interrupt: signal(SignalKind::interrupt())?, terminate: signal(SignalKind::terminate())? })
    }

    async fn one(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}

async fn sandbox(port: Option<u16>) -> Result<Running> {
    let options = |port: u16| SandboxOptions {
        listen: SocketAddr::from(([127, 0, 0, 1], port)),
        limits: SandboxLimits { per_second: Some(PER_SECOND), ..SandboxLimits::default() },
        ..SandboxOptions::default()
    };
    match port {
        Some(port) => Sandbox::start(options(port)).await.with_context(|| format!("cannot listen on port {port}")),
        None => match Sandbox::start(options(USUAL_PORT)).await {
            Ok(running) => Ok(running),
            Err(_) => Ok(Sandbox::start(options(0)).await?),
        },
    }
}

/// Writes the configuration as an operator would, secrets apart.
fn program(folder: &Path, (shop, webshop): (u16, u16), crm: &SandboxHandle) -> Result<Program> {
    let text = include_str!("demo/passerelle.toml")
        .replace("@shop_port@", &shop.to_string())
        .replace("@webshop_port@", &webshop.to_string())
        .replace("@crm_url@", crm.url())
        .replace("@per_second@", &PER_SECOND.to_string());
    let config = folder.join("passerelle.toml");
    std::fs::write(&config, text)?;
    std::fs::write(folder.join("passerelle.schema.json"), crate::config::schema())?;
    for (name, secret) in [("shop-password", "demo"), ("crm-secret", "any will do")] {
        let file = std::fs::File::options().write(true).create_new(true).mode(0o600).open(folder.join(name))?;
        std::io::Write::write_all(&mut &file, secret.as_bytes())?;
    }
    let executable = std::env::current_exe().context("cannot find this program")?;
    Ok(Program::new(&executable, &config, &folder.join("passerelle.sock"), &folder.join("log")))
}

async fn introduce((shop, web): &(Shop, WebShop), page: &str, program: &Program) -> Result<()> {
    let (companies, people, orders) = shop.size().await?;
    let (port, version) = (shop.port(), shop.version());
    let (web_port, web_version, products) = (web.port(), web.version().await?, web.size().await?);
    let (name, config) = (program.executable.display(), program.config.display());
    say(&format!(
        "passerelle keeps a CRM in step with databases. Here they all are, on this machine alone.

  the CRM      {page}/
               open it in a browser: it shows the records as they arrive
  the shop     PostgreSQL {version} with {companies} companies, {people} people and {orders} orders
               psql -h 127.0.0.1 -p {port} -U postgres shop      (change something yourself)
  the web shop MariaDB {web_version} with {products} products
               mariadb -h 127.0.0.1 -P {web_port} -u root webshop
  passerelle   {config}      (what becomes what)
               {name} --config {config} status
"
    ));
    Ok(())
}

/// The daemon's first start: every row is read once, while changes are followed already.
async fn first_load(story: &mut Story) -> Result<()> {
    let (companies, people, orders) = story.shop.size().await?;
    let rows = companies + people + orders + story.web.size().await?;
    Teller::head();
    let all = usize::try_from(rows)?;
    let start = Instant::now();
    let daemon = story.daemon.as_mut().context("passerelle runs")?;
    daemon.until_streaming(LIMIT).await?;
    let there = |crm: &SandboxHandle| crm.counts().iter().map(|(_, count)| count).sum::<usize>() >= all;
    if !story.crm.wait_until(LIMIT, there).await {
        let status = daemon.get("/v1/status").await?;
        bail!("the shops' {rows} rows are not in the CRM after {LIMIT:?}: {status}");
    }
    let found = caught_up(story).await?;
    if !found.equal() {
        bail!("after the first load the CRM is not equal to the shops:\n  {}", found.differences.join("\n  "));
    }
    let calls = story.crm.stats().calls;
    story.teller.happened(
        &format!("passerelle starts and reads {rows} rows"),
        &format!("{all} records created in {} ({})", counted(calls, "call"), lasting(start.elapsed())),
    );
    Ok(())
}

/// Waits until the CRM is equal to the shop, or long enough.
async fn caught_up(story: &Story) -> Result<Comparison> {
    let start = Instant::now();
    let mut changes = story.crm.changes();
    loop {
        let found = compare(story.shop.sql(), &story.web, &story.crm).await?;
        if found.equal() || start.elapsed() > LIMIT {
            return Ok(found);
        }
        // Something has come: look again; or nothing has, and somebody may have changed the shop back.
        let _ = tokio::time::timeout(Duration::from_secs(1), changes.changed()).await;
    }
}

fn summarize(story: &mut Story, before: &crate::sandbox::SandboxStats, took: Duration, found: &Comparison) {
    let after = story.crm.stats();
    let writes = |stats: &crate::sandbox::SandboxStats| stats.created + stats.updated + stats.deleted;
    story.latencies.sort_unstable();
    let at = |share: f64| {
        let index = (story.latencies.len().saturating_sub(1)) as f64 * share;
        lasting(story.latencies.get(index.round() as usize).copied().unwrap_or_default())
    };
    let compared: Vec<String> =
        found.compared.iter().map(|(object, records)| counted(*records as u64, object)).collect();
    let equal = if found.equal() { "yes" } else { "NO" };
    say(&format!(
        "
after {} of live changes:
  in the shops   {} changed in {}
  in the CRM     {} in {}; at most {} in any second, of {PER_SECOND} allowed
  from commit    {} at the median, {} for 19 in 20, where nothing was in the way
  equal          {equal}: {}, compared field by field",
        lasting(took),
        counted(story.shop.rows + story.web.rows, "row"),
        counted(story.shop.transactions + story.web.transactions, "transaction"),
        counted(writes(&after) - writes(before), "write"),
        counted(after.calls - before.calls, "call"),
        counted(after.max_in_1s as u64, "call"),
        at(0.5),
        at(0.95),
        compared.join(", "),
    ));
    for difference in &found.differences {
        say(&format!("                 {difference}"));
    }
}
