//! Where the pipelines publish and the status socket reads.
//!
//! A pipeline writes a few numbers a batch under a mutex that is held for no longer than that; nothing is awaited under
//! it. Totals are set by their publisher, the board adds nothing up.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use jiff::Timestamp;

use super::model::{
    AlertChannelStatus, AlertStatus, CrmStatus, DaemonStatus, Drift, MappingStatus, Offsets, SourceOffsets,
    SourceStatus, Status,
};

/// What every part of the daemon last said of itself. Shared by `Arc`.
#[derive(Debug)]
pub struct Board {
    started: Instant,
    posts: Mutex<Posts>,
}

#[derive(Debug, Default)]
struct Posts {
    daemon: DaemonStatus,
    sources: BTreeMap<String, SourceStatus>,
    offsets: BTreeMap<String, SourceOffsets>,
    mappings: BTreeMap<String, MappingStatus>,
    crms: BTreeMap<String, CrmStatus>,
    drift: Vec<Drift>,
    alerts: Vec<AlertStatus>,
    alert_channels: Vec<AlertChannelStatus>,
}

impl Default for Board {
    fn default() -> Self {
        Self::new()
    }
}

impl Board {
    /// An empty board. The uptime counts from here.
    pub fn new() -> Self {
        let daemon = DaemonStatus { version: env!("CARGO_PKG_VERSION").to_owned(), ..DaemonStatus::default() };
        Self { started: Instant::now(), posts: Mutex::new(Posts { daemon, ..Posts::default() }) }
    }

    /// Publishes what the process says of itself.
    pub fn daemon(&self, publish: impl FnOnce(&mut DaemonStatus)) {
        publish(&mut self.posts().daemon);
    }

    /// Publishes the status of a source; a new name is a new entry.
    pub fn source(&self, name: &str, publish: impl FnOnce(&mut SourceStatus)) {
        let mut posts = self.posts();
        publish(entry(&mut posts.sources, name, |source| &mut source.name));
    }

    /// Publishes the positions of a source; a new name is a new entry. Its `state` follows the source's status.
    pub fn offsets(&self, name: &str, publish: impl FnOnce(&mut SourceOffsets)) {
        let mut posts = self.posts();
        publish(entry(&mut posts.offsets, name, |offsets| &mut offsets.name));
    }

    /// Publishes the status of a mapping; a new name is a new entry.
    pub fn mapping(&self, name: &str, publish: impl FnOnce(&mut MappingStatus)) {
        let mut posts = self.posts();
        publish(entry(&mut posts.mappings, name, |mapping| &mut mapping.name));
    }

    /// Publishes the status of a CRM; a new name is a new entry.
    pub fn crm(&self, name: &str, publish: impl FnOnce(&mut CrmStatus)) {
        let mut posts = self.posts();
        publish(entry(&mut posts.crms, name, |crm| &mut crm.name));
    }

    /// Publishes the schema changes that are not settled.
    pub fn drift(&self, publish: impl FnOnce(&mut Vec<Drift>)) {
        publish(&mut self.posts().drift);
    }

    /// Publishes the open alerts, and how their channels do.
    pub fn alerts(&self, alerts: Vec<AlertStatus>, channels: Vec<AlertChannelStatus>) {
        let mut posts = self.posts();
        posts.alerts = alerts;
        posts.alert_channels = channels;
    }

    /// Takes off what a new configuration no longer has: `keep` says of each (kind, name) whether it stays.
    pub fn retain(&self, keep: impl Fn(Entry, &str) -> bool) {
        let mut posts = self.posts();
        posts.sources.retain(|name, _| keep(Entry::Source, name));
        posts.offsets.retain(|name, _| keep(Entry::Source, name));
        posts.mappings.retain(|name, _| keep(Entry::Mapping, name));
        posts.crms.retain(|name, _| keep(Entry::Crm, name));
    }

    /// The document of `/v1/status`, with what depends on the time reckoned for `now`.
    pub fn status(&self, now: Timestamp) -> Status {
        let posts = self.posts();
        let mut daemon = posts.daemon.clone();
        daemon.uptime_seconds = self.started.elapsed().as_secs();
        let mut mappings: Vec<MappingStatus> = posts.mappings.values().cloned().collect();
        for mapping in &mut mappings {
            mapping.freshness_seconds = freshness(mapping, now);
        }
        Status {
            daemon,
            sources: posts.sources.values().cloned().collect(),
            mappings,
            crms: posts.crms.values().cloned().collect(),
            drift: posts.drift.clone(),
            alerts: posts.alerts.clone(),
            alert_channels: posts.alert_channels.clone(),
        }
    }

    /// The document of `/v1/offsets`.
    pub fn offsets_document(&self) -> Offsets {
        let posts = self.posts();
        let with_state = |offsets: &SourceOffsets| {
            let mut offsets = offsets.clone();
            if let Some(source) = posts.sources.get(&offsets.name) {
                offsets.state = source.state;
            }
            offsets
        };
        Offsets { sources: posts.offsets.values().map(with_state).collect() }
    }

    /// The document of `/v1/drift`.
    pub fn drift_document(&self) -> super::model::DriftList {
        super::model::DriftList { drift: self.posts().drift.clone() }
    }

    /// A publisher that panicked leaves at worst an old figure behind: the board stays readable.
    fn posts(&self) -> MutexGuard<'_, Posts> {
        self.posts.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Kinds of entries on the board.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Entry {
    /// A source.
    Source,
    /// A mapping.
    Mapping,
    /// A CRM.
    Crm,
}

fn entry<'a, T: Default>(
    posts: &'a mut BTreeMap<String, T>,
    name: &str,
    name_of: impl FnOnce(&mut T) -> &mut String,
) -> &'a mut T {
    posts.entry(name.to_owned()).or_insert_with(|| {
        let mut new = T::default();
        name_of(&mut new).push_str(name);
        new
    })
}

/// Age of the oldest row that waits; 0 when none does, unknown when that is not known.
fn freshness(mapping: &MappingStatus, now: Timestamp) -> Option<f64> {
    match (mapping.oldest_pending_at, mapping.pending) {
        (Some(oldest), _) => Some(now.duration_since(oldest).as_secs_f64().max(0.0)),
        (None, Some(0)) => Some(0.0),
        (None, Some(_) | None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::model::SourceState;

    #[test]
    fn a_name_is_an_entry_and_unknown_is_null() {
        let board = Board::new();
        board.source("erp", |source| source.state = SourceState::Streaming);
        board.source("erp", |source| source.changes_total = 7);
        board.offsets("erp", |offsets| offsets.durable.value = Some("0/16B3748".to_owned()));
        board.mapping("contacts", |_| ());
        let status = serde_json::to_value(board.status(Timestamp::UNIX_EPOCH)).unwrap();
        assert_eq!(status["sources"][0]["name"], "erp");
        assert_eq!(status["sources"][0]["changes_total"], 7);
        assert_eq!(status["sources"][0]["state"], "streaming");
        assert!(status["sources"][0].as_object().unwrap()["lag_bytes"].is_null());
        assert!(status["mappings"][0].as_object().unwrap()["freshness_seconds"].is_null());
        let offsets = serde_json::to_value(board.offsets_document()).unwrap();
        assert_eq!(offsets["sources"][0]["state"], "streaming");
        assert_eq!(offsets["sources"][0]["durable"]["value"], "0/16B3748");
        assert!(offsets["sources"][0].as_object().unwrap().contains_key("mysql"));
    }

    #[test]
    fn freshness_is_the_age_of_the_oldest() {
        let board = Board::new();
        let now = Timestamp::from_second(1_000).unwrap();
        board.mapping("a", |mapping| mapping.oldest_pending_at = Timestamp::from_second(990).ok());
        board.mapping("b", |mapping| mapping.pending = Some(0));
        let status = board.status(now);
        assert_eq!(status.mappings[0].freshness_seconds, Some(10.0));
        assert_eq!(status.mappings[1].freshness_seconds, Some(0.0));
    }

    #[test]
    fn what_a_reload_removed_is_gone() {
        let board = Board::new();
        board.mapping("a", |_| ());
        board.mapping("b", |_| ());
        board.retain(|kind, name| kind != Entry::Mapping || name == "a");
        assert_eq!(board.status(Timestamp::UNIX_EPOCH).mappings.len(), 1);
    }

    /// The documents carry every field of the interface page, and no other.
    #[test]
    fn the_documents_have_the_published_fields() {
        let board = Board::new();
        board.source("s", |source| source.open_transaction = Some(super::super::model::OpenTransaction::default()));
        board.source("s", |source| source.last_error = Some(super::super::model::LastError::default()));
        board.source("s", |source| source.tables.push(super::super::model::TableStatus::default()));
        board.mapping("m", |_| ());
        board.alerts(vec![AlertStatus::default()], vec![AlertChannelStatus::default()]);
        board.crm("c", |crm| crm.windows.push(super::super::model::Window::default()));
        let status = serde_json::to_value(board.status(Timestamp::UNIX_EPOCH)).unwrap();
        let check = |value: &serde_json::Value, expect: &str| {
            let keys: Vec<&str> = value.as_object().unwrap().keys().map(String::as_str).collect();
            assert_eq!(keys.join(" "), expect);
        };
        check(&status, "daemon sources mappings crms drift alerts alert_channels");
        check(&status["alerts"][0], "id kind severity about text next_command owner since told");
        check(&status["alert_channels"][0], "name kind waiting told_total lost_total failing_since last_error");
        check(
            &status["daemon"],
            "version state uptime_seconds config_hash config_stale state_bytes disk_full_in_seconds memory_bytes \
             reckoned_at",
        );
        check(
            &status["sources"][0],
            "name kind state reason next_command since last_change_at last_contact_at reconnects_total last_error \
             catalog_error lag_bytes lag_seconds changes_total transactions_total open_transaction tables",
        );
        check(&status["sources"][0]["last_error"], "code text at");
        check(&status["sources"][0]["open_transaction"], "id bytes since");
        check(&status["sources"][0]["tables"][0], "name state loaded total");
        check(
            &status["mappings"][0],
            "name state pending oldest_pending_at freshness_seconds freshness_target_seconds waiting_parent in_flight \
             records dead_letters dead_letters_by_reason delivered_total unchanged_total last_delivered_at held_reason \
             mode owner purpose ambiguous_total left_out_total observed_creations_total observed_updates_total \
             observed_deletions_total next_run_at drained_in_seconds deletes_last_hour guard_tripped",
        );
        check(
            &status["crms"][0],
            "name kind state org requests_total records_total throttled_total windows exhausted_at token_expires_at \
             retry_at last_error",
        );
        check(&status["crms"][0]["windows"][0], "name used limit resets_at");
        board.offsets("s", |offsets| offsets.postgres = Some(super::super::model::PostgresOffsets::default()));
        board.drift(|drift| drift.push(super::super::model::Drift::default()));
        check(
            &serde_json::to_value(board.drift_document()).unwrap()["drift"][0],
            "mapping table relation kind column effect since change severity fields effects held counted answers way_out seen \
             next_command",
        );
        let offsets = serde_json::to_value(board.offsets_document()).unwrap();
        check(
            &offsets["sources"][0],
            "name kind state server received durable acknowledged delivered lag delivered_held_by postgres mysql",
        );
        check(&offsets["sources"][0]["server"], "value committed_at");
        check(&offsets["sources"][0]["lag"], "capture_bytes durable_bytes delivery_seconds");
        check(
            &offsets["sources"][0]["postgres"],
            "system_id timeline slot publication active_pid restart_lsn confirmed_flush_lsn wal_status safe_wal_bytes \
             wal_held_bytes lost_in_seconds held_by catalog_xmin_age",
        );
    }
}
