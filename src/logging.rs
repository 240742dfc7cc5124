//! The log: events of `tracing` on stderr, for a person, for a collector or for journald.
//!
//! Events carry names, codes, positions and numbers. No event carries a cell's value or a secret: whoever writes one
//! keeps to that, since nothing here could tell.

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::format::FmtSpan;

/// What is logged when nobody says otherwise.
const DEFAULT: &str = "info";

/// Libraries that would log parameters, headers or bodies when all is turned up: no value and no secret reaches a log.
const QUIET: [&str; 6] =
    ["tokio_postgres=warn", "hyper=warn", "hyper_util=warn", "h2=warn", "reqwest=warn", "rustls=warn"];

/// How an event is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// A line a person reads.
    #[default]
    Text,
    /// An object of JSON a line.
    Json,
}

/// Starts the log: by `filter`, else by `RUST_LOG`, else from INFO up. Fails where the filter is not understood, or when
/// it was started before.
pub fn start(format: Format, filter: Option<&str>) -> anyhow::Result<()> {
    let told = filter.map(str::to_owned).or_else(|| std::env::var("RUST_LOG").ok().filter(|told| !told.is_empty()));
    let told = told.unwrap_or_else(|| DEFAULT.to_owned());
    let filter =
        EnvFilter::try_new(&told).map_err(|fault| anyhow::anyhow!("the log filter `{told}` is wrong: {fault}"))?;
    let filter = QUIET.iter().filter_map(|quiet| quiet.parse().ok()).fold(filter, EnvFilter::add_directive);
    let events =
        tracing_subscriber::fmt().with_env_filter(filter).with_span_events(FmtSpan::NONE).with_writer(std::io::stderr);
    let started = match format {
        Format::Json => events.json().flatten_event(true).with_current_span(true).try_init(),
        // journald keeps the time of each line, and shows colours as bytes.
        Format::Text if to_journal() => events.with_ansi(false).without_time().try_init(),
        Format::Text => events.with_ansi(on_terminal()).try_init(),
    };
    started.map_err(|fault| anyhow::anyhow!("the log could not be started: {fault}"))
}

/// Whether stderr goes to journald: systemd says so in `JOURNAL_STREAM` (systemd.exec(5)).
fn to_journal() -> bool {
    std::env::var_os("JOURNAL_STREAM").is_some() && !std::io::stderr().is_terminal()
}

fn on_terminal() -> bool {
    std::io::stderr().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|no| no.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_that_is_wrong_is_named() {
        let fault = start(Format::Text, Some("passerelle=loud")).unwrap_err();
        assert!(fault.to_string().starts_with("the log filter `passerelle=loud` is wrong"), "{fault}");
    }
}
