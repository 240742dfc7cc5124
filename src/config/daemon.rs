//! `[daemon]`.

use std::net::SocketAddr;
use std::path::PathBuf;

use super::model::Daemon;
use super::section::{Found, Section};
use super::units;

/// Below this RocksDB's own files do not fit.
const LEAST_DISK_BUDGET_BYTES: u64 = 16 << 20;

/// What holds where `[daemon]` says nothing.
pub(super) fn defaults() -> Daemon {
    Daemon {
        state_dir: PathBuf::from("/var/lib/passerelle"),
        socket: PathBuf::from("/run/passerelle/passerelle.sock"),
        http: None,
        disk_budget_bytes: 20 << 30,
    }
}

/// Reads `[daemon]`.
pub(super) fn read(mut section: Section<'_>) -> Option<Daemon> {
    let defaults = defaults();
    let state_dir = section.or("state_dir", defaults.state_dir, Found::path);
    let socket = section.or("socket", defaults.socket, Found::path);
    let http = section.maybe("http", http);
    let disk_budget_bytes = section.or("disk_budget", defaults.disk_budget_bytes, disk_budget);
    section.later(&[
        ("tls", "http stays on a loopback address; put a reverse proxy with TLS before it"),
        ("token", "http stays on a loopback address; put a reverse proxy with authentication before it"),
    ]);
    section.finish(|_| None);
    Some(Daemon { state_dir: state_dir?, socket: socket?, http: http?, disk_budget_bytes: disk_budget_bytes? })
}

fn http(found: &Found<'_>) -> Option<SocketAddr> {
    let text = found.text()?;
    let form = "an address and a port: http = \"127.0.0.1:9187\"";
    match text.parse::<SocketAddr>() {
        Ok(address) if address.ip().is_loopback() => Some(address),
        Ok(_) => found.fault(
            format!("`http` must be on a loopback address: `{text}` would show it to the network without protection"),
            "http = \"127.0.0.1:9187\", and a reverse proxy with TLS and authentication before it",
        ),
        Err(_) => found.fault(format!("`{text}` is not an address with a port"), form),
    }
}

fn disk_budget(found: &Found<'_>) -> Option<u64> {
    let bytes = found.parsed("a size", units::size)?;
    if bytes < LEAST_DISK_BUDGET_BYTES {
        return found.fault(
            "`disk_budget` is too small for the state to work",
            format!("at least {}MiB", LEAST_DISK_BUDGET_BYTES >> 20),
        );
    }
    Some(bytes)
}
