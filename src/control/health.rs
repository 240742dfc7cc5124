//! Whether the daemon does its work, for `/healthz`: pure.

use jiff::Timestamp;

use super::model::{DaemonState, SourceState, SourceStatus, Status};

/// A source that says it streams must have been heard within this time. PostgreSQL's own limit for a silent peer
/// (`wal_sender_timeout`) is 60 s.
const SILENCE_SECONDS: f64 = 90.0;

/// Why the daemon does not do its work, a sentence a cause; empty when it does.
pub(super) fn faults(status: &Status, now: Timestamp) -> Vec<String> {
    let mut faults = Vec::new();
    match status.daemon.state {
        DaemonState::Running | DaemonState::WritesPaused => {}
        DaemonState::Starting => faults.push("the daemon is starting".to_owned()),
        DaemonState::Stopping => faults.push("the daemon is stopping".to_owned()),
    }
    faults.extend(status.sources.iter().filter_map(|source| source_fault(source, now)));
    faults
}

/// Why a source does not progress.
fn source_fault(source: &SourceStatus, now: Timestamp) -> Option<String> {
    let name = &source.name;
    let fault = match source.state {
        SourceState::Loading | SourceState::CatchingUp | SourceState::Streaming => {
            let silent = now.duration_since(source.last_contact_at?).as_secs_f64();
            return (silent > SILENCE_SECONDS)
                .then(|| format!("source {name} has not been heard for {silent:.0} seconds"));
        }
        SourceState::Starting => "is connecting",
        SourceState::Retrying => "is disconnected",
        SourceState::Stopped => "is stopped",
        SourceState::Paused => "is paused by command",
        SourceState::DiskFull => "is stopped at the disk budget",
    };
    Some(match &source.reason {
        Some(reason) => format!("source {name} {fault}: {reason}"),
        None => format!("source {name} {fault}"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(state: SourceState, silent: Option<i64>, expect: &[&str]) {
        let now = Timestamp::from_second(10_000).unwrap();
        let mut status = Status::default();
        status.daemon.state = DaemonState::Running;
        status.sources.push(SourceStatus {
            name: "erp".to_owned(),
            state,
            reason: Some("the slot is gone".to_owned()),
            last_contact_at: silent.and_then(|silent| Timestamp::from_second(10_000 - silent).ok()),
            ..SourceStatus::default()
        });
        assert_eq!(faults(&status, now), expect);
    }

    #[test]
    fn a_source_that_streams_and_is_heard_is_healthy() {
        check(SourceState::Streaming, Some(3), &[]);
        check(SourceState::Loading, Some(3), &[]);
        check(SourceState::CatchingUp, None, &[]);
    }

    #[test]
    fn a_source_that_does_not_progress_is_named_with_its_reason() {
        check(SourceState::Streaming, Some(300), &["source erp has not been heard for 300 seconds"]);
        check(SourceState::Stopped, None, &["source erp is stopped: the slot is gone"]);
        check(SourceState::Paused, None, &["source erp is paused by command: the slot is gone"]);
    }

    #[test]
    fn a_daemon_that_starts_is_not_healthy_yet() {
        assert_eq!(faults(&Status::default(), Timestamp::UNIX_EPOCH), ["the daemon is starting"]);
    }
}
