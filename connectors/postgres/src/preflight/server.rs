//! Judges the server: version, settings, slots, rights. Pure.

use passerelle_change::Finding;

use super::Request;
use super::observed::Observed;
use crate::history::{Alarm, alarm};
use crate::{Options, sql};

/// A transaction open for longer keeps the slot's creation waiting (PG-10).
const LONG_TRANSACTION_SECONDS: i64 = 300;
/// A limit on kept log below this is soon used up by a night without us.
const LITTLE_WAL_BYTES: u64 = 4 << 30;

/// Everything about the server, in the order in which it is mended.
pub(super) fn findings(observed: &Observed, options: &Options, request: &Request<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(standby(observed));
    findings.extend(log_level(observed));
    findings.extend(slots(observed));
    findings.extend(senders(observed));
    findings.extend(role(observed, options));
    findings.extend(slot(observed, options, request));
    findings.extend(synchronous(observed, options));
    findings.extend(retention(observed));
    findings.extend(old_transaction(observed));
    findings.extend(encoding(observed));
    findings
}

/// PG-43: from 16 on a standby can decode its log, but what the primary removes can end a slot there.
fn standby(observed: &Observed) -> Option<Finding> {
    observed.server.in_recovery.then(|| {
        let detail = "passerelle follows the log on the primary alone: a slot on a standby can be lost by what the primary removes";
        Finding::fault("standby", "this server is a standby", detail).mended_by("set `host` of the source to the primary")
    })
}

fn log_level(observed: &Observed) -> Option<Finding> {
    let level = observed.settings.get("wal_level").map_or("", String::as_str);
    (level != "logical").then(|| {
        Finding::fault("wal_level", format!("wal_level is {level}"), "the log does not tell row changes")
            .mended_by("ALTER SYSTEM SET wal_level = 'logical'; then restart the server")
    })
}

fn slots(observed: &Observed) -> Option<Finding> {
    let max = observed.number("max_replication_slots")?;
    (observed.server.slot.is_none() && observed.slots >= max).then(|| {
        Finding::fault(
            "slots",
            format!("all {max} replication slots are in use"),
            "a slot of our own is needed; one that nobody reads keeps log for ever and should be dropped",
        )
        .mended_by(format!(
            "ALTER SYSTEM SET max_replication_slots = {}; then restart the server. Or drop one: \
             SELECT slot_name, active, restart_lsn FROM pg_replication_slots;",
            max + 4
        ))
    })
}

fn senders(observed: &Observed) -> Option<Finding> {
    let max = observed.number("max_wal_senders")?;
    let reading = observed.server.slot.as_ref().is_some_and(|slot| slot.active.is_some());
    (!observed.sender_is_free() && !reading).then(|| {
        Finding::fault("senders", format!("all {max} walsenders are in use"), "one is needed to stream")
            .mended_by(format!("ALTER SYSTEM SET max_wal_senders = {}; then restart the server", max + 4))
    })
}

fn role(observed: &Observed, options: &Options) -> Option<Finding> {
    (!observed.role.may_replicate).then(|| {
        Finding::fault(
            "replication",
            format!("{} lacks REPLICATION", options.user),
            "it may neither make a slot nor stream",
        )
        .mended_by(format!("ALTER ROLE {} REPLICATION;", sql::identifier(&options.user)))
    })
}

fn slot(observed: &Observed, options: &Options, request: &Request<'_>) -> Vec<Finding> {
    let Some(slot) = &observed.server.slot else { return Vec::new() };
    let name = request.slot;
    let drop = format!("if nothing else uses it: SELECT pg_drop_replication_slot({});", sql::literal(name));
    let mut findings = Vec::new();
    let other_database = slot.database.as_ref().is_some_and(|database| *database != observed.server.database);
    if slot.plugin.as_deref() != Some("pgoutput") || other_database || slot.temporary || slot.two_phase {
        let title = format!("replication slot {name} is of another kind");
        let detail = format!(
            "plugin {}, database {}{}",
            slot.plugin.as_deref().unwrap_or("none (physical)"),
            slot.database.as_deref().unwrap_or("none"),
            if slot.temporary { ", temporary" } else { "" }
        );
        findings.push(Finding::fault("slot_kind", title, detail).mended_by(drop));
        return findings;
    }
    if let Some(reader) = &slot.active
        && reader.application_name.as_deref() != Some(&options.application_name)
    {
        let who = reader.application_name.as_deref().unwrap_or("unknown");
        let title = format!("replication slot {name} is in use");
        let detail = format!("by server process {} for \"{who}\"", reader.pid);
        findings.push(Finding::warning("slot_active", title, detail).mended_by(format!(
            "stop that reader, or set another `slot`; to see it: SELECT * FROM pg_stat_activity WHERE pid = {};",
            reader.pid
        )));
    }
    match alarm(slot) {
        Some(lost @ Alarm::Lost(_)) => {
            let title = format!("replication slot {name} is lost");
            findings.push(Finding::fault("slot_lost", title, lost.to_string()).mended_by("passerelle recover SOURCE"));
        }
        Some(near @ (Alarm::Extended | Alarm::Unreserved)) => {
            findings.push(Finding::warning(
                "slot_behind",
                format!("replication slot {name} is far behind"),
                near.to_string(),
            ));
        }
        None => {}
    }
    findings
}

/// PG-01: a commit of the database's own application would wait for our disk.
fn synchronous(observed: &Observed, options: &Options) -> Option<Finding> {
    let names = observed.settings.get("synchronous_standby_names")?;
    names_us(names, &options.application_name).then(|| {
        Finding::fault(
            "synchronous",
            format!("synchronous_standby_names = '{names}' counts us as a synchronous standby"),
            "every commit of the database would wait until we have it on disk",
        )
        .mended_by("ALTER SYSTEM SET synchronous_standby_names = '…'; SELECT pg_reload_conf(); with the standbys' own names instead")
    })
}

/// `FIRST 1 (a, "b c")`, `ANY 2 (…)`, `a, b` or `*`; names compare without case, as the server does it.
fn names_us(setting: &str, us: &str) -> bool {
    let inner = setting.split_once('(').map_or(setting, |(_, inner)| inner.trim_end().trim_end_matches(')'));
    let names = inner.split(',').map(|name| name.trim().trim_matches('"').replace("\"\"", "\""));
    names.into_iter().any(|name| name == "*" || (!name.is_empty() && name.eq_ignore_ascii_case(us)))
}

fn retention(observed: &Observed) -> Vec<Finding> {
    let mut findings = Vec::new();
    match observed.server.max_slot_wal_keep_bytes {
        Some(bytes) if bytes < LITTLE_WAL_BYTES => findings.push(
            Finding::warning(
                "wal_keep",
                format!("max_slot_wal_keep_size is only {} MB", bytes >> 20),
                "when more log than that is written while we are away, the slot is lost and everything is loaded again",
            )
            .mended_by("ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();"),
        ),
        Some(_) => {}
        None => {
            let detail = "while we are away for long, the log fills the database's disk";
            findings.push(if observed.settings.contains_key("max_slot_wal_keep_size") {
                Finding::warning("wal_keep", "max_slot_wal_keep_size does not limit what slots keep", detail)
                    .mended_by("ALTER SYSTEM SET max_slot_wal_keep_size = '50GB'; SELECT pg_reload_conf();")
            } else {
                Finding::warning("wal_keep", "before version 13 nothing limits what slots keep", detail)
            });
        }
    }
    if let Some(seconds) = observed.number("idle_replication_slot_timeout").filter(|&seconds| seconds > 0) {
        findings.push(
            Finding::warning(
                "idle_timeout",
                format!("idle_replication_slot_timeout is {seconds} s"),
                "a slot that nobody reads for that long is lost, and everything is loaded again",
            )
            .mended_by("ALTER SYSTEM SET idle_replication_slot_timeout = 0; SELECT pg_reload_conf();"),
        );
    }
    findings
}

fn old_transaction(observed: &Observed) -> Option<Finding> {
    let (pid, seconds) = observed.oldest_transaction?;
    (observed.server.slot.is_none() && seconds >= LONG_TRANSACTION_SECONDS).then(|| {
        Finding::warning(
            "open_transaction",
            format!("a transaction has been open for {} minutes", seconds / 60),
            "the slot can be made only when it has ended",
        )
        .mended_by(format!("SELECT * FROM pg_stat_activity WHERE pid = {pid}; SELECT pg_terminate_backend({pid});"))
    })
}

/// PG-58.
fn encoding(observed: &Observed) -> Option<Finding> {
    (observed.encoding == "SQL_ASCII").then(|| {
        Finding::warning(
            "encoding",
            "the database's encoding is SQL_ASCII",
            "text that is not UTF-8 arrives as it is, and such fields are not sent",
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pg_01_our_name_is_found_among_synchronous_standbys() {
        for setting in
            ["*", "passerelle", "a, Passerelle", "FIRST 2 (a, \"passerelle\")", "ANY 1 (b,passerelle)", "2 (*)"]
        {
            assert!(names_us(setting, "passerelle"), "{setting}");
        }
        for setting in ["", "a", "FIRST 1 (a, b)", "passerelle2"] {
            assert!(!names_us(setting, "passerelle"), "{setting}");
        }
    }
}
