//! What the sandbox holds, behind its locks, and what tests and benches in the same process do with it.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::Serialize;
use serde_json::{Value, json};
use tokio::sync::watch;

use super::SandboxOptions;
use super::faults::{ActiveFault, Fault, FaultKind, Faults};
use super::limits::{Meter, SandboxLimits};
use super::log::{Log, WriteEntry};
use super::schema::Schema;
use super::store::{RecordView, Store};
use super::tokens::Tokens;

/// The sandbox's counts, taken at one moment.
#[derive(Clone, Debug, Serialize)]
pub struct SandboxStats {
    /// Calls to the API that arrived, whatever became of them; tokens are not counted.
    pub calls: u64,
    /// Calls that were refused as a whole.
    pub refused_calls: u64,
    /// Calls that passed a limit and were refused for it.
    pub over_limit: u64,
    /// Calls that count for the day.
    pub used_today: u64,
    /// The day's allowance.
    pub per_day: u64,
    /// What is allowed in a second, if it is limited.
    pub per_second: Option<u32>,
    /// Calls in the last second.
    pub calls_last_second: usize,
    /// The most calls that arrived in any second.
    pub max_in_1s: usize,
    /// The most calls that arrived in any 10 seconds.
    pub max_in_10s: usize,
    /// The most calls at once.
    pub max_concurrent: u32,
    /// Live records.
    pub records: u64,
    /// Records created.
    pub created: u64,
    /// Updates of records.
    pub updated: u64,
    /// Records deleted.
    pub deleted: u64,
    /// Updates that changed nothing; they are among `updated`.
    pub unchanged: u64,
    /// Records refused, in calls that were answered.
    pub refused_records: u64,
    /// Lookups that were cleared because the record that they named was deleted.
    pub lookups_cleared: u64,
    /// Tokens given out.
    pub tokens: u64,
    /// How often each kind of fault fired.
    pub faults: BTreeMap<FaultKind, u64>,
    /// The number of the last entry of the write log.
    pub last_write: u64,
}

/// A handle on a sandbox. Cheap to clone.
#[derive(Clone, Debug)]
pub struct SandboxHandle(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    url: String,
    latency: Duration,
    // In this order where several are held.
    store: Mutex<Store>,
    faults: Mutex<Faults>,
    meter: Mutex<Meter>,
    tokens: Mutex<Tokens>,
    refused_calls: Mutex<u64>,
    /// Moves with each call's end, so that nobody needs to poll.
    changed: watch::Sender<u64>,
}

impl SandboxHandle {
    pub(super) fn new(options: SandboxOptions, addr: SocketAddr) -> Self {
        let log = Log::new(options.log_entries, options.log_bytes);
        let schema = options.schema.unwrap_or_else(Schema::standard);
        Self(Arc::new(Shared {
            url: format!("http://{addr}"),
            latency: options.latency,
            store: Mutex::new(Store::new(schema, log, options.max_records)),
            faults: Mutex::new(Faults::new(options.seed)),
            meter: Mutex::new(Meter::new(options.limits)),
            tokens: Mutex::new(Tokens::new(options.token_life, options.only_minted_tokens)),
            refused_calls: Mutex::new(0),
            changed: watch::Sender::new(0),
        }))
    }

    /// The address for a configuration.
    pub fn url(&self) -> &str {
        &self.0.url
    }

    /// Switches a fault on; its number. Fails where a probability is none or too many are on.
    pub fn inject(&self, fault: Fault) -> Result<u64, String> {
        let tokens = self.tokens().last;
        let added = self.faults().add(fault, Instant::now(), tokens);
        self.touch();
        added
    }

    /// Switches a fault off; whether it was on.
    pub fn remove_fault(&self, id: u64) -> bool {
        let removed = self.faults().remove(id);
        self.touch();
        removed
    }

    /// Switches all faults off.
    pub fn clear_faults(&self) {
        self.faults().clear();
        self.touch();
    }

    /// The faults that are on.
    pub fn active_faults(&self) -> Vec<ActiveFault> {
        self.faults().active(Instant::now()).to_vec()
    }

    /// Changes the limits from now on.
    pub fn set_limits(&self, limits: SandboxLimits) {
        self.meter().set_limits(limits);
    }

    /// All records of an object, or of all objects, in the order of their creation within each object.
    pub fn records(&self, object: Option<&str>) -> Vec<RecordView> {
        let store = self.store();
        let objects: Vec<usize> = match object {
            Some(name) => store.schema.number(name).into_iter().collect(),
            None => (0..store.schema.objects().len()).collect(),
        };
        objects
            .into_iter()
            .flat_map(|object| store.all(object).collect::<Vec<_>>())
            .filter_map(|at| store.view(at))
            .collect()
    }

    /// The `limit` records of an object that were written last, newest first.
    pub fn newest(&self, object: &str, limit: usize) -> Vec<RecordView> {
        let store = self.store();
        let Some(object) = store.schema.number(object) else { return Vec::new() };
        let mut all: Vec<_> =
            store.all(object).map(|at| (store.record(at).map_or(0, |record| record.last_n), at)).collect();
        all.sort_unstable_by(|left, right| right.cmp(left));
        all.iter().take(limit).filter_map(|&(_, at)| store.view(at)).collect()
    }

    /// The record with this value in an external id field.
    pub fn record(&self, object: &str, field: &str, key: &str) -> Option<RecordView> {
        let store = self.store();
        let object = store.schema.number(object)?;
        let (field, _) = store.object(object).field(field)?;
        store.view(store.find_external(object, field, &json!(key))?)
    }

    /// Live records by object, those that were ever written to.
    pub fn counts(&self) -> Vec<(String, usize)> {
        let store = self.store();
        let counted = store.schema.objects().iter().enumerate().filter_map(|(number, object)| {
            let table = store.table(number)?;
            Some((object.name.clone(), table.records.len()))
        });
        counted.collect()
    }

    /// Up to `limit` entries of the write log after number `n`, oldest first.
    pub fn log_after(&self, n: u64, limit: usize) -> Vec<Arc<WriteEntry>> {
        self.store().log.after(n, limit)
    }

    /// Forgets all records and the log. Counts, ids, numbers and faults stay.
    pub fn clear_records(&self) {
        self.store().clear();
        self.touch();
    }

    /// The counts.
    pub fn stats(&self) -> SandboxStats {
        let store = self.store();
        let faults = self.faults();
        let mut meter = self.meter();
        let (max_in_1s, max_in_10s) = meter.most();
        let tally = store.tally;
        SandboxStats {
            calls: meter.calls,
            refused_calls: *lock(&self.0.refused_calls),
            over_limit: meter.over_limit,
            used_today: meter.used,
            per_day: meter.per_day(),
            per_second: meter.limits().per_second,
            calls_last_second: meter.rate(Instant::now()),
            max_in_1s,
            max_in_10s,
            max_concurrent: meter.most_in_flight,
            records: store.live,
            created: tally.created,
            updated: tally.updated,
            deleted: tally.deleted,
            unchanged: tally.unchanged,
            refused_records: tally.refused,
            lookups_cleared: tally.lookups_cleared,
            tokens: self.tokens().last,
            faults: faults.fired().clone(),
            last_write: store.log.last(),
        }
    }

    /// Waits until the sandbox is as wanted, looking again whenever a call has ended. `false` if it is not within `limit`.
    pub async fn wait_until(&self, limit: Duration, mut wanted: impl FnMut(&Self) -> bool) -> bool {
        let mut changes = self.changes();
        let all = async {
            while !wanted(self) {
                if changes.changed().await.is_err() {
                    return false;
                }
            }
            true
        };
        tokio::time::timeout(limit, all).await.unwrap_or(false)
    }

    /// Moves whenever a call has ended or a fault was switched.
    pub fn changes(&self) -> watch::Receiver<u64> {
        self.0.changed.subscribe()
    }

    /// The body of `GET /limits`.
    pub(super) fn limits_answer(&self) -> Value {
        let meter = self.meter();
        let of = |most: u64, used: u64| json!({"Max": most, "Remaining": most.saturating_sub(used)});
        json!({
            "DailyApiRequests": of(meter.per_day(), meter.used),
            "DailyBulkApiBatches": of(15_000, 0),
            "DailyBulkV2QueryJobs": of(10_000, 0),
        })
    }

    /// `Sforce-Limit-Info`.
    pub(super) fn limit_info(&self) -> String {
        let meter = self.meter();
        format!("api-usage={}/{}", meter.used, meter.per_day())
    }

    pub(super) fn latency(&self) -> Duration {
        self.0.latency
    }

    pub(super) fn store(&self) -> MutexGuard<'_, Store> {
        lock(&self.0.store)
    }

    pub(super) fn faults(&self) -> MutexGuard<'_, Faults> {
        lock(&self.0.faults)
    }

    pub(super) fn meter(&self) -> MutexGuard<'_, Meter> {
        lock(&self.0.meter)
    }

    pub(super) fn tokens(&self) -> MutexGuard<'_, Tokens> {
        lock(&self.0.tokens)
    }

    pub(super) fn count_refused_call(&self) {
        *lock(&self.0.refused_calls) += 1;
    }

    /// Tells those who wait that something happened.
    pub(super) fn touch(&self) {
        self.0.changed.send_modify(|n| *n = n.wrapping_add(1));
    }
}

/// Microseconds since 1970.
pub(super) fn micros() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

/// The state is consistent between statements that can panic, so a poisoned lock is still good.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
