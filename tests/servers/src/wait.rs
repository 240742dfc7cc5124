//! Waiting for a server, and signals to it.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};
use rustix::process::{Pid, Signal, kill_process};

/// Longer than any healthy server needs on a busy machine.
pub(crate) const LIMIT: Duration = Duration::from_mins(1);
/// Between two looks. There is nothing to subscribe to.
const LOOK_EVERY: Duration = Duration::from_millis(5);

/// Looks until `done`, or fails after the limit.
#[allow(clippy::disallowed_methods)] // The server tells nobody when it is ready; the limit is above.
pub(crate) fn wait_until(what: &str, mut done: impl FnMut() -> Result<bool>) -> Result<()> {
    let start = Instant::now();
    while !done()? {
        if start.elapsed() > LIMIT {
            bail!("waited {LIMIT:?} for {what}");
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

/// Sends a signal to a process that may have ended by itself.
pub(crate) fn signal_to(pid: u32, signal: Signal) {
    if let Some(pid) = i32::try_from(pid).ok().and_then(Pid::from_raw) {
        // It may have ended by itself.
        let _ = kill_process(pid, signal);
    }
}
