//! `[daemon]`.

use std::net::SocketAddr;

use super::keys::{Key, Keys, PATH, SIZE, text};
use super::model::Daemon;
use super::section::{Found, Section};
use super::units;

/// Below this RocksDB's own files do not fit.
const LEAST_DISK_BUDGET_BYTES: u64 = 16 << 20;

/// The keys of `[daemon]`.
pub(super) static KEYS: Keys = Keys::all(&[
    Key::or(
        "state_dir",
        PATH,
        r#""/var/lib/passerelle""#,
        "where the state lives. On a local disk that keeps what was synced: no tmpfs, no NFS",
    ),
    Key::or(
        "socket",
        PATH,
        r#""/run/passerelle/passerelle.sock""#,
        "the status socket that `passerelle status` and the other commands talk to",
    ),
    Key::maybe(
        "http",
        text("address and port", r"^(127(\.[0-9]+){3}|\[[0-9A-Fa-f:.]+\]):[0-9]+$"),
        r#""127.0.0.1:9187""#,
        "dashboard and `/metrics`, on a loopback address: `\"127.0.0.1:9187\"`. For others put a reverse proxy with TLS and authentication before it",
    ),
    Key::or(
        "disk_budget",
        SIZE,
        r#""20GiB""#,
        "the most that `state_dir` may take; at it passerelle stops reading and says how long the source's log will last. At least `\"16MiB\"`",
    ),
    Key::later("tls", "http stays on a loopback address; put a reverse proxy with TLS before it"),
    Key::later("token", "http stays on a loopback address; put a reverse proxy with authentication before it"),
]);

/// Reads `[daemon]`.
pub(super) fn read(mut section: Section<'_>) -> Option<Daemon> {
    let state_dir = section.or("state_dir", |found| found.path());
    let socket = section.or("socket", |found| found.path());
    let http = section.maybe("http", http);
    let disk_budget_bytes = section.or("disk_budget", disk_budget);
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
