//! The command line: a file a verb.
//!
//! What a verb tells of a running daemon, or asks of it, goes through the status socket and nowhere else: whoever can
//! read these verbs' output can read the socket, and no verb knows more than a script could.
//!
//! Exit status: 0 done, 1 failed, 78 the configuration is wrong (`EX_CONFIG`: systemd does not restart on it).

mod alert;
mod check;
mod client;
mod dead_letters;
mod drift;
pub(crate) mod humane;
mod offsets;
mod pages;
mod pause;
mod preview;
mod run;
mod status;
mod table;

use std::io::{IsTerminal, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use serde_json::Value;

use crate::config;
use crate::control::Done;
use crate::demo::{self, DemoArgs};
use crate::logging;
use crate::sandbox::{self, SandboxArgs};
use client::ClientError;
use table::{Paint, Tone};

/// `EX_CONFIG` of sysexits(3).
const CONFIG_IS_WRONG: u8 = 78;

/// Keeps a CRM in step with the databases a company really runs on.
#[derive(Debug, Parser)]
#[command(name = "passerelle", version, max_term_width = 100, propagate_version = true)]
struct Cli {
    #[command(flatten)]
    global: Global,
    #[command(subcommand)]
    verb: Verb,
}

/// What every verb understands.
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Options of every command")]
struct Global {
    /// The configuration: one file, or a folder of *.toml
    #[arg(long, global = true, value_name = "FILE|DIR", env = "PASSERELLE_CONFIG", default_value = "/etc/passerelle")]
    config: PathBuf,
    /// The daemon's status socket, instead of the configuration's
    #[arg(long, global = true, value_name = "PATH", env = "PASSERELLE_SOCKET")]
    socket: Option<PathBuf>,
    /// Print facts as JSON
    #[arg(long, global = true)]
    json: bool,
    /// What is logged, such as info or passerelle=debug,warn; RUST_LOG says the same
    #[arg(long, global = true, value_name = "FILTER")]
    log: Option<String>,
    /// How it is logged
    #[arg(long, global = true, value_name = "FORMAT", default_value = "text")]
    log_format: logging::Format,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Run the daemon
    Run,
    /// Check the configuration, and with --online the databases and CRMs, and print what mends each fault
    Check(check::CheckArgs),
    /// Show what rows of a mapping become, field by field and filter by filter; sends nothing
    Preview(preview::PreviewArgs),
    /// Show how sources, mappings and CRMs are
    Status,
    /// Show how far each source is, as its database prints it
    Offsets,
    /// Records that the CRM refuses for good
    DeadLetters {
        #[command(subcommand)]
        verb: dead_letters::Verb,
    },
    /// Changes of the tables that mappings were written for
    Drift {
        #[command(subcommand)]
        verb: drift::Verb,
    },
    /// Stop a mapping, CRM or source until it is resumed, or all writes
    Pause(pause::Which),
    /// Let a mapping, CRM or source go on, or all writes
    Resume {
        #[command(flatten)]
        which: pause::Which,
        /// Let the deletions through that the guard holds
        #[arg(long)]
        confirm: bool,
    },
    /// Read the configuration again: what changes is shown; a faulty one changes nothing
    Reload {
        /// Show what would change, and change nothing
        #[arg(long)]
        dry_run: bool,
    },
    /// Channels that alerts go to
    Alert {
        #[command(subcommand)]
        verb: alert::Verb,
    },
    /// Show it all at work on this machine: a private PostgreSQL, a local CRM, live changes
    Demo(DemoArgs),
    /// Run a local CRM to try mappings on
    Sandbox(SandboxArgs),
    /// Print the configuration's JSON Schema, for editors
    Schema,
    /// Print completions for a shell
    Completions {
        /// The shell
        shell: clap_complete::Shell,
    },
    /// Write the manual pages
    Man {
        /// The folder for them
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
}

/// Runs the verb of the command line. What it returns is the process's exit status.
pub fn main() -> ExitCode {
    let cli = match Cli::try_parse() {
        Ok(cli) => cli,
        Err(fault) => {
            // Help and version come this way too; a terminal that is gone is told nothing.
            let _ = fault.print();
            return if fault.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
    };
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => failure.report(),
    }
}

fn dispatch(cli: Cli) -> Result<(), Failure> {
    let Cli { global, verb } = cli;
    match verb {
        Verb::Run => run::run(&global),
        Verb::Check(args) => check::check(&global, &args),
        Verb::Preview(args) => preview::preview(&global, &args),
        Verb::Status => waiting(status::status(&global)),
        Verb::Offsets => waiting(offsets::offsets(&global)),
        Verb::DeadLetters { verb } => waiting(dead_letters::dead_letters(&global, verb)),
        Verb::Drift { verb } => waiting(drift::drift(&global, verb)),
        Verb::Pause(which) => waiting(pause::pause(&global, &which)),
        Verb::Resume { which, confirm } => waiting(pause::resume(&global, &which, confirm)),
        Verb::Reload { dry_run } => waiting(pause::reload(&global, dry_run)),
        Verb::Alert { verb } => waiting(alert::alert(&global, verb)),
        Verb::Demo(args) => {
            logging::start(global.log_format, Some(global.log.as_deref().unwrap_or("warn")))?;
            tokio::runtime::Runtime::new()?.block_on(demo::run(args)).map_err(Failure::Other)
        }
        Verb::Sandbox(args) => {
            logging::start(global.log_format, global.log.as_deref())?;
            tokio::runtime::Runtime::new()?.block_on(sandbox::run(args)).map_err(Failure::Other)
        }
        Verb::Schema => print(&config::schema()),
        Verb::Completions { shell } => pages::completions(&mut Cli::command(), shell),
        Verb::Man { folder } => pages::man(Cli::command(), &folder),
    }
}

/// Runs a verb that asks the daemon something and waits for the answer.
fn waiting(verb: impl Future<Output = Result<(), Failure>>) -> Result<(), Failure> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(verb)
}

/// Why a verb did not do what it was asked.
#[derive(Debug)]
enum Failure {
    /// The configuration is wrong; why is on the screen already.
    Config,
    /// The daemon was not reached, or refuses.
    Daemon(ClientError),
    /// Anything else.
    Other(anyhow::Error),
}

impl From<ClientError> for Failure {
    fn from(fault: ClientError) -> Self {
        Self::Daemon(fault)
    }
}

impl From<anyhow::Error> for Failure {
    fn from(fault: anyhow::Error) -> Self {
        Self::Other(fault)
    }
}

impl From<std::io::Error> for Failure {
    fn from(fault: std::io::Error) -> Self {
        Self::Other(fault.into())
    }
}

impl Failure {
    /// Says it on stderr.
    fn report(&self) -> ExitCode {
        let paint = Paint(coloured(&std::io::stderr()));
        let (text, hint) = match self {
            Self::Config => return ExitCode::from(CONFIG_IS_WRONG),
            Self::Daemon(fault) => (fault.to_string(), fault.hint()),
            Self::Other(fault) => (format!("{fault:#}"), None),
        };
        // The screen of a faulty configuration has many lines.
        let text: Vec<String> = text.lines().map(humane::tame).collect();
        eprintln!("{}: {}", paint.text(Tone::Bad, "error"), text.join("\n"));
        if let Some(hint) = hint {
            eprintln!(" {}: {}", paint.text(Tone::Bold, "hint"), humane::tame(&hint));
        }
        ExitCode::FAILURE
    }
}

/// Prints to stdout. A reader that has gone, as `head` does, is no failure.
fn print(text: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(text.as_bytes()).and_then(|()| out.flush()) {
        Err(fault) if fault.kind() == std::io::ErrorKind::BrokenPipe => Ok(()),
        ended => Ok(ended?),
    }
}

/// Prints a document as it came from the daemon.
fn print_json(document: &Value) -> Result<(), Failure> {
    print(&format!("{document:#}\n"))
}

/// Prints what a command did.
fn print_done(global: &Global, document: &Value) -> Result<(), Failure> {
    if global.json {
        return print_json(document);
    }
    match serde_json::from_value::<Done>(document.clone()) {
        Ok(done) => {
            let lines = done.lines.iter().chain([&done.message]).map(|line| format!("{}\n", humane::tame(line)));
            print(&lines.collect::<String>())
        }
        Err(fault) => Err(Failure::Other(fault.into())),
    }
}

fn stdout_paint() -> Paint {
    Paint(coloured(&std::io::stdout()))
}

/// Colours are for a terminal whose user has not said no (<https://no-color.org>).
fn coloured(stream: &impl IsTerminal) -> bool {
    config::fault::takes_colours(stream)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn verbs_as_people_type_them() {
        let check = |line: &str, good: bool| {
            let parsed = Cli::try_parse_from(line.split(' '));
            assert_eq!(parsed.is_ok(), good, "{line}: {:?}", parsed.err().map(|fault| fault.to_string()));
        };
        for line in [
            "passerelle run",
            "passerelle --config /etc/p run --log-format json",
            "passerelle check --online",
            "passerelle check --sql-for-dba for-the-dba.sql --crm-fields fields.md",
            "passerelle preview contacts --limit 3",
            "passerelle preview contacts --key 7 --json",
            "passerelle status --json",
            "passerelle dead-letters list contacts --limit 5",
            "passerelle dead-letters show contacts 12",
            "passerelle dead-letters retry contacts 12",
            "passerelle dead-letters retry --code REQUIRED_FIELD_MISSING",
            "passerelle dead-letters retry --all",
            "passerelle dead-letters drop contacts 12",
            "passerelle drift list",
            "passerelle drift list contacts --json",
            "passerelle drift show contacts",
            "passerelle drift accept contacts",
            "passerelle drift accept contacts --rename phone=tel --rename fax=fax2 --drop note --as-null born --reload name",
            "passerelle drift accept contacts --seen 1f2e3d4c5b6a7988 --dry-run",
            "passerelle pause contacts",
            "passerelle resume --writes",
            "passerelle resume contacts --confirm",
            "passerelle reload",
            "passerelle alert test",
            "passerelle alert test ops --json",
            "passerelle demo --seconds 30 --port 8081",
            "passerelle sandbox --listen 127.0.0.1:0",
            "passerelle schema",
            "passerelle completions bash",
        ] {
            check(line, true);
        }
        for line in [
            "passerelle",
            "passerelle pause",
            "passerelle alert",
            "passerelle preview",
            "passerelle preview contacts --key 7 --limit 3",
            "passerelle pause contacts --writes",
            "passerelle dead-letters retry",
            "passerelle dead-letters drop contacts",
            "passerelle status --log-format xml",
            "passerelle drift",
            "passerelle drift accept",
            "passerelle drift accept contacts --rename phone",
            "passerelle drift accept contacts --rename =tel",
            "passerelle drift accept contacts --drop",
        ] {
            check(line, false);
        }
    }
}
