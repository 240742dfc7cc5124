//! A status document, and the conditions that it holds.

use serde_json::{Value, json};

use super::*;
use crate::alert::testing::{second, setting};

/// What is not wrong.
fn calm() -> (Value, Value) {
    let status = json!({
        "daemon": { "state": "running", "state_bytes": 1_000_000, "reckoned_at": second(9_990) },
        "sources": [
            { "name": "erp", "state": "streaming", "lag_seconds": 0.0, "last_contact_at": second(9_999) },
            { "name": "web", "state": "streaming", "lag_seconds": 0.0, "last_contact_at": second(9_999) },
        ],
        "mappings": [
            { "name": "contacts", "state": "running", "pending": 0, "freshness_target_seconds": 60.0, "dead_letters": 0,
              "records": 1_000, "owner": "ada@acme.example" },
            { "name": "visitors", "state": "running", "pending": 0, "freshness_target_seconds": 60.0, "dead_letters": 0,
              "records": 1_000 },
        ],
        "crms": [{ "name": "sales", "state": "ready" }],
    });
    let offsets = json!({ "sources": [
        { "name": "erp", "postgres": { "slot": "passerelle_erp", "wal_status": "reserved" } },
        { "name": "web", "mysql": { "first_needed_file": "binlog.000012" } },
    ]});
    (status, offsets)
}

/// Puts one document into another; lists entry by entry.
fn merge(into: &mut Value, from: Value) {
    match (into, from) {
        (Value::Object(into), Value::Object(from)) => {
            for (key, value) in from {
                merge(into.entry(key).or_insert(Value::Null), value);
            }
        }
        (Value::Array(into), Value::Array(from)) if !into.is_empty() => {
            for (at, value) in from.into_iter().enumerate() {
                merge(&mut into[at], value);
            }
        }
        (into, from) => *into = from,
    }
}

/// What is different from a calm day, and the conditions: `severity kind about, after N s: text | next`; `?` is what is not known.
fn check(status: Value, offsets: Value, expect: &[&str]) {
    let (mut calm_status, mut calm_offsets) = calm();
    let shown = format!("{status} {offsets}");
    merge(&mut calm_status, status);
    merge(&mut calm_offsets, offsets);
    let (status, offsets) =
        (serde_json::from_value(calm_status).unwrap(), serde_json::from_value(calm_offsets).unwrap());
    let setting = setting("");
    let seen = look(&Documents { status: &status, offsets: &offsets, setting: &setting, now: second(10_000) });
    let mut lines: Vec<String> = seen
        .conditions
        .iter()
        .map(|condition| {
            let Condition { severity, grace, text, next_command, .. } = condition;
            let next = next_command.as_deref().unwrap_or("-");
            format!("{} {}, after {} s: {text} | {next}", severity.word(), condition.key(), grace.as_secs())
        })
        .collect();
    lines.extend(seen.unknown.iter().map(|(kind, about)| format!("? {} {about}", kind.word())));
    assert_eq!(lines, expect, "{shown}");
}

fn status(status: Value, expect: &[&str]) {
    check(status, json!({}), expect);
}

#[test]
fn a_calm_day_is_no_alert() {
    status(json!({}), &[]);
    status(json!({ "sources": [{ "state": "paused", "lag_seconds": 9_000.0 }] }), &["? lag source erp"]);
}

#[test]
fn a_source_is_down() {
    status(
        json!({ "sources": [{ "state": "retrying", "reason": "connection refused", "lag_seconds": 5_000.0 }] }),
        &[
            "critical source_down source erp, after 60 s: is disconnected: connection refused | passerelle check --online",
            "? lag source erp",
        ],
    );
    let stopped = json!({ "state": "stopped", "reason": "the slot is gone", "next_command": "passerelle recover erp" });
    status(
        json!({ "sources": [stopped] }),
        &[
            "critical source_down source erp, after 5 s: is stopped until a person has acted: the slot is gone | passerelle recover erp",
            "? lag source erp",
        ],
    );
    status(
        json!({ "sources": [{ "last_contact_at": second(9_880) }] }),
        &["critical source_down source erp, after 60 s: has not been heard for 2 min | passerelle check --online"],
    );
    status(
        json!({ "sources": [{ "state": "starting" }] }),
        &["? catalog source erp", "? lag source erp", "? source_down source erp", "? log_lost source erp"],
    );
}

#[test]
fn a_source_is_behind() {
    status(json!({ "sources": [{ "lag_seconds": 900.0 }] }), &[]);
    status(
        json!({ "sources": [{ "state": "catching_up", "lag_seconds": 4_000.0 }] }),
        &["warning lag source erp, after 10 s: is 1 h 6 min behind: the limit is 15 min | passerelle offsets"],
    );
    status(json!({ "sources": [{ "lag_seconds": null }] }), &["? lag source erp"]);
}

#[test]
fn a_catalogue_that_cannot_be_read_is_an_alert_and_no_drift() {
    status(
        json!({ "sources": [{ "catalog_error": "permission denied for pg_class" }] }),
        &[
            "warning catalog source erp, after 60 s: its catalogue can't be read, so that changes of its schema may be seen late: \
           permission denied for pg_class | passerelle check --online",
        ],
    );
}

#[test]
fn log_is_about_to_be_lost_with_the_time_left() {
    let postgres = |more: Value| json!({ "sources": [{ "postgres": more }] });
    check(json!({}), postgres(json!({ "lost_in_seconds": 90_000 })), &[]);
    check(
        json!({}),
        postgres(json!({ "lost_in_seconds": 30_000 })),
        &[
            "warning log_lost source erp, after 60 s: log of the slot passerelle_erp is dropped by the server in about 8 h 20 min, \
           and is not read yet | passerelle offsets",
        ],
    );
    check(
        json!({}),
        postgres(json!({ "wal_status": "unreserved", "lost_in_seconds": 5 })),
        &[
            "critical log_lost source erp, after 0 s: the slot passerelle_erp is lost at the server's next checkpoint, unless it is \
           read | passerelle offsets",
        ],
    );
    check(
        json!({}),
        json!({ "sources": [{}, { "mysql": { "lost_in_seconds": 3_600 } }] }),
        &[
            "critical log_lost source web, after 60 s: the log file binlog.000012 is purged by the server in about 1 h 0 min, and is \
           not read yet | passerelle offsets",
        ],
    );
    check(json!({}), postgres(Value::Null), &["? log_lost source erp"]);
}

#[test]
fn a_crm_is_down_or_its_day_is_used_up() {
    status(
        json!({ "crms": [{ "state": "retrying", "last_error": { "text": "cannot connect" } }] }),
        &["critical crm_down crm sales, after 300 s: takes no records: cannot connect | passerelle check --online"],
    );
    status(json!({ "crms": [{ "state": "throttled" }] }), &[]);
    let day = json!([{ "name": "per_day", "used": 70_000, "limit": 80_000 }]);
    status(
        json!({ "crms": [{ "windows": day, "exhausted_at": second(17_200) }] }),
        &[
            "warning quota crm sales, after 600 s: at this pace the day's calls are used up in about 2 h 0 min: 70 000 of 80 000 | \
           passerelle status",
        ],
    );
    status(
        json!({ "crms": [{ "exhausted_at": second(9_999) }] }),
        &["critical quota crm sales, after 0 s: the day's calls are used up, and records wait | passerelle status"],
    );
    status(json!({ "crms": [{ "state": "starting" }] }), &["? crm_down crm sales", "? quota crm sales"]);
}

#[test]
fn too_many_dead_letters() {
    let letters = |dead: u64| json!({ "mappings": [{ "dead_letters": dead, "records": 990, "dead_letters_by_reason": { "A": 1, "B": dead - 1 } }] });
    status(letters(10), &[]);
    status(
        letters(110),
        &[
            "warning dead_letters mapping contacts, after 0 s: 110 dead letters (109 B, 1 A): 10.0 % of its records are refused for \
           good | passerelle dead-letters list contacts",
        ],
    );
    status(json!({ "mappings": [{ "records": null }] }), &["? dead_letters mapping contacts"]);
}

#[test]
fn freshness_is_missed() {
    let late = |more: Value| {
        let mut mapping = json!({ "oldest_pending_at": second(9_000), "pending": 12 });
        merge(&mut mapping, more);
        mapping
    };
    status(
        json!({ "mappings": [late(json!({}))] }),
        &[
            "warning freshness mapping contacts, after 300 s: its oldest change waits for 16 min, and 1 min are wanted; 12 rows are \
           pending | passerelle status",
        ],
    );
    let unknown = ["? freshness mapping contacts"];
    for state in ["loading", "paused"] {
        status(json!({ "mappings": [late(json!({ "state": state }))] }), &unknown);
    }
    status(
        json!({ "daemon": { "reckoned_at": null }, "mappings": [{}, { "pending": null }] }),
        &["? freshness mapping contacts", "? freshness mapping visitors"],
    );
    status(json!({ "mappings": [late(json!({}))], "crms": [{ "state": "paused" }] }), &unknown);
    // It was counted two seconds after the change.
    status(json!({ "mappings": [late(json!({ "oldest_pending_at": second(9_988) }))] }), &[]);
}

#[test]
fn a_guard_and_a_hold() {
    status(
        json!({ "mappings": [{ "guard_tripped": true }] }),
        &[
            "warning guard mapping contacts, after 0 s: the guard holds its deletions: more records were to be deleted than it lets \
           through | passerelle resume mapping/contacts --confirm",
        ],
    );
    status(
        json!({ "mappings": [{ "state": "held", "held_reason": "50 records in a row were refused with X" }] }),
        &[
            "critical mapping_held mapping contacts, after 5 s: is held, and its records wait: 50 records in a row were refused with \
           X | passerelle resume mapping/contacts",
        ],
    );
    status(
        json!({ "mappings": [{ "state": "starting" }] }),
        &[
            "? drift mapping contacts",
            "? dead_letters mapping contacts",
            "? freshness mapping contacts",
            "? guard mapping contacts",
            "? mapping_held mapping contacts",
        ],
    );
}

#[test]
fn drift_is_one_alert_for_each_mapping_and_table() {
    let drift = |mapping: &str, change: &str, more: Value| {
        let next = format!("passerelle drift show {mapping}");
        let mut drift = json!({ "mapping": mapping, "table": "public.customer", "kind": "column_dropped", "change": change,
                                "severity": "breaking", "next_command": next });
        merge(&mut drift, more);
        drift
    };
    let gone = json!({ "held": true, "effect": "FirstName can't be computed", "counted": "7 of 9 rows have it" });
    let held = json!([{ "state": "held", "held_reason": "drift" }]);
    status(
        json!({ "drift": [drift("contacts", "first_name is gone", gone), drift("contacts", "b is gone", json!({}))], "mappings": held }),
        &[
            "critical drift mapping contacts public.customer, after 0 s: is held: the schema of public.customer has changed: \
           first_name is gone (FirstName can't be computed; 7 of 9 rows have it); b is gone | passerelle drift show contacts",
        ],
    );
    let many: Vec<Value> = (0..7).map(|n| drift("visitors", &format!("c{n} is gone"), json!({}))).collect();
    status(
        json!({ "drift": many }),
        &[
            "warning drift mapping visitors public.customer, after 0 s: the schema of public.customer has changed: c0 is gone; c1 is \
           gone; c2 is gone; c3 is gone; c4 is gone; and 2 more | passerelle drift show visitors",
        ],
    );
    status(json!({ "drift": [drift("visitors", "a label is new", json!({ "severity": "none" }))] }), &[]);
}

#[test]
fn the_disk_budget_is_near() {
    let taken = |bytes: u64| json!({ "daemon": { "state_bytes": bytes } });
    status(
        taken(19 << 30),
        &["warning disk_budget daemon, after 0 s: the disk budget is nearly used up: 19.0 GiB of 20.0 GiB | \
                               passerelle status"],
    );
    status(taken(10 << 30), &[]);
    status(
        json!({ "daemon": { "disk_full_in_seconds": 1_800 } }),
        &[
            "warning disk_budget daemon, after 120 s: the disk budget is used up in about 30 min: 976.6 KiB of 20.0 GiB | passerelle status",
        ],
    );
    status(
        json!({ "sources": [{ "state": "disk_full" }], "daemon": { "state_bytes": null } }),
        &[
            "critical disk_budget daemon, after 0 s: the disk budget is used up and nothing more is read | passerelle status",
            "? lag source erp",
        ],
    );
    status(json!({ "daemon": { "state_bytes": null } }), &["? disk_budget daemon"]);
}
