//! A local CRM to try mappings on: Salesforce's API with its state in memory, its limits and refusals, faults on demand,
//! and a page at `/` that shows the records as they arrive.
//!
//! Architecture invariant: nothing here knows the connector or its types, so that a mistake in one cannot hide in the other.
//! What the API does is plain code under one lock (`store`, `write`, `read`, `soql`, `rest`); HTTP, cut
//! connections and waiting are in `http` and `control`.
//!
//! Where it is kinder or simpler than the real one: external ids are always unique; text is kept as written, with its
//! blanks; moments keep the form in which they came; deleting a record clears the lookups to it, and takes those children
//! along that cannot be without it (an order's items); there is no recycle bin, no sharing and no automation.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

mod check;
mod connection;
mod control;
mod faults;
mod handle;
mod http;
mod ids;
mod limits;
mod log;
mod problem;
mod read;
mod rest;
mod schema;
mod soql;
mod store;
mod tokens;
mod write;

pub use faults::{ActiveFault, Fault, FaultKind};
pub use handle::{SandboxHandle, SandboxStats};
pub use limits::SandboxLimits;
pub use log::{Operation, WriteEntry};
pub use problem::{Problem, Refusal};
pub use schema::{Field, FieldType, Object, Schema};
pub use store::RecordView;

/// How a sandbox is started.
#[derive(Clone, Debug)]
pub struct SandboxOptions {
    /// Where it listens; port 0 takes a free one.
    pub listen: SocketAddr,
    /// The objects; [`Schema::standard`] unless told.
    pub schema: Option<Schema>,
    /// What it allows.
    pub limits: SandboxLimits,
    /// How long each call takes at least.
    pub latency: Duration,
    /// Whether only tokens that it gave out itself are accepted; otherwise any is that is not empty.
    pub only_minted_tokens: bool,
    /// How long its tokens live. Default 2 hours.
    pub token_life: Duration,
    /// The seed of the faults' dice.
    pub seed: u64,
    /// Most records it holds; STORAGE_LIMIT_EXCEEDED beyond. Default 5 million.
    pub max_records: u64,
    /// Most entries of the write log, the oldest go first. Default 200,000.
    pub log_entries: usize,
    /// Most bytes of the write log, roughly. Default 256 MiB.
    pub log_bytes: usize,
}

impl Default for SandboxOptions {
    fn default() -> Self {
        Self {
            listen: SocketAddr::from(([127, 0, 0, 1], 0)),
            schema: None,
            limits: SandboxLimits::default(),
            latency: Duration::ZERO,
            only_minted_tokens: false,
            token_life: Duration::from_hours(2),
            seed: 0,
            max_records: 5_000_000,
            log_entries: 200_000,
            log_bytes: 256 << 20,
        }
    }
}

/// The sandbox.
#[derive(Debug)]
pub struct Sandbox;

impl Sandbox {
    /// Starts one on the current runtime. Fails where the address cannot be had.
    pub async fn start(options: SandboxOptions) -> std::io::Result<Running> {
        let listener = TcpListener::bind(options.listen).await?;
        let addr = listener.local_addr()?;
        let handle = SandboxHandle::new(options, addr);
        let (stop, stopped) = oneshot::channel();
        let task = tokio::spawn(http::serve(listener, handle.clone(), stopped));
        Ok(Running { addr, handle, stop: Some(stop), task })
    }
}

/// A sandbox that runs; it ends when this is dropped.
#[derive(Debug)]
pub struct Running {
    /// Where it listens.
    pub addr: SocketAddr,
    handle: SandboxHandle,
    stop: Option<oneshot::Sender<()>>,
    task: JoinHandle<()>,
}

impl Running {
    /// Its address for a configuration, without a slash at the end.
    pub fn url(&self) -> &str {
        self.handle.url()
    }

    /// Its state, its faults and its counts; may be cloned and kept.
    pub fn handle(&self) -> &SandboxHandle {
        &self.handle
    }

    /// Stops accepting, cuts what is open, and frees the port.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            // Nobody listens if it has ended by itself.
            let _ = stop.send(());
        }
        // A task that was aborted or has panicked has ended as well.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// `passerelle sandbox`: a local CRM to try mappings on.
#[derive(Clone, Debug, clap::Args)]
pub struct SandboxArgs {
    /// Address to listen on; the page is there too
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8080")]
    pub listen: SocketAddr,
    /// Refuse more calls than this in any second
    #[arg(long, value_name = "CALLS")]
    pub limit_per_second: Option<u32>,
    /// Refuse more calls than this in any 10 seconds
    #[arg(long, value_name = "CALLS")]
    pub limit_per_10_seconds: Option<u32>,
    /// Refuse more calls than this in all
    #[arg(long, value_name = "CALLS")]
    pub daily_limit: Option<u64>,
    /// Refuse more calls at once than this
    #[arg(long, value_name = "CALLS")]
    pub limit_concurrent: Option<u32>,
    /// Let each call take at least this long, such as 20ms
    #[arg(long, value_name = "TIME", value_parser = humantime::parse_duration, default_value = "0s")]
    pub latency: Duration,
    /// JSON file of further objects and fields
    #[arg(long, value_name = "FILE")]
    pub objects: Option<PathBuf>,
    /// Refuse custom objects and fields that are not declared, instead of learning them
    #[arg(long)]
    pub strict: bool,
    /// Accept only tokens that the sandbox gave out
    #[arg(long)]
    pub only_minted_tokens: bool,
    /// Seed of the faults' dice
    #[arg(long, value_name = "NUMBER", default_value_t = 0)]
    pub seed: u64,
}

impl SandboxArgs {
    /// The options they stand for. Fails where the file of objects cannot be read or understood.
    pub fn options(&self) -> anyhow::Result<SandboxOptions> {
        let mut schema = Schema::standard().strict(self.strict);
        if let Some(file) = &self.objects {
            let text = std::fs::read_to_string(file).with_context(|| format!("cannot read {}", file.display()))?;
            schema
                .declare(&text)
                .map_err(anyhow::Error::msg)
                .with_context(|| format!("cannot understand {}", file.display()))?;
        }
        let limits = SandboxLimits {
            per_second: self.limit_per_second,
            per_10_seconds: self.limit_per_10_seconds,
            per_day: self.daily_limit,
            concurrent: self.limit_concurrent,
        };
        Ok(SandboxOptions {
            listen: self.listen,
            schema: Some(schema),
            limits,
            latency: self.latency,
            only_minted_tokens: self.only_minted_tokens,
            seed: self.seed,
            ..SandboxOptions::default()
        })
    }
}

/// Runs `passerelle sandbox` until SIGINT or SIGTERM.
pub async fn run(args: SandboxArgs) -> anyhow::Result<()> {
    use tokio::signal::unix::{SignalKind, signal};
    let (mut interrupted, mut terminated) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let running = Sandbox::start(args.options()?).await.with_context(|| format!("cannot listen on {}", args.listen))?;
    println!("sandbox of a CRM at {}/ (open it in a browser)\n\n{}", running.url(), example(running.url()));
    tokio::select! {
        _ = interrupted.recv() => {}
        _ = terminated.recv() => {}
    }
    running.shutdown().await;
    Ok(())
}

fn example(url: &str) -> String {
    format!(
        "[crm.sandbox]\nkind = \"salesforce\"\nurl  = \"{url}\"\nauth = {{ method = \"client_credentials\", client_id = \"any\", \
         client_secret = {{ env = \"SANDBOX_SECRET\" }} }}   # any secret will do\n"
    )
}
