//! From staged writes to requests: one object and one form each, as many records as the vendor takes.

use std::collections::{BTreeMap, HashMap, HashSet, VecDeque, hash_map};
use std::sync::Arc;
use std::time::{Duration, Instant};

use passerelle_change::{Answer, RequestError, Write, WriteOp};
use passerelle_crm::Permit;
use passerelle_crm::salesforce::{Edits, Match};
use passerelle_state::{MappingId, RecordId};
use tokio::task::JoinSet;

use super::SharedClient;
use super::enforce::Look;
use super::lane::Entry;
use super::prepare::Plan;
use super::suspicion::Suspicions;
use super::unkept::Ask;

/// The vendor's most records a request; the client says how many of them fit by their size.
pub(super) const MOST_RECORDS: usize = 200;

/// A write that waits for its request, and the row behind it.
#[derive(Debug)]
pub(super) struct Staged {
    pub lane: MappingId,
    pub entry: Entry,
    pub plan: Plan,
    pub since: Instant,
}

/// What a request carries: never two objects, never two forms.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Form {
    /// Deletions go last.
    op: WriteOp,
    object: Arc<str>,
    key_field: Arc<str>,
}

/// A request that has come back.
pub(super) struct Answered {
    pub staged: Vec<Staged>,
    pub result: Result<Answer, RequestError>,
    pub took: Duration,
    /// Its place among the concurrent ones, until its use has been counted.
    pub permit: Permit,
}

/// A look at what others edited that has come back.
pub(super) struct Sought {
    pub mapping: MappingId,
    pub result: Result<Seen, RequestError>,
    pub permit: Permit,
}

/// What the CRM has told of values.
pub(super) struct Told {
    pub ask: Ask,
    /// One entry a value.
    pub result: Result<Vec<Match>, RequestError>,
    pub permit: Permit,
}

/// What a look has seen.
#[derive(Debug)]
pub(super) enum Seen {
    /// Our user's id.
    Us(String),
    /// A page of edits.
    Edits(Edits),
}

/// What comes back.
pub(super) enum Returned {
    Answered(Answered),
    Sought(Sought),
    Told(Told),
}

/// Rows that stand behind a write on its way, and the record it writes.
pub(super) type Rows = HashMap<MappingId, HashMap<Vec<u8>, RecordId>>;

/// Writes on their way.
#[derive(Default)]
pub(super) struct Requests {
    bins: BTreeMap<Form, VecDeque<Staged>>,
    /// Parts of a refused batch, and records that go alone.
    split: VecDeque<Vec<Staged>>,
    busy: HashSet<RecordId>,
    /// Of these, the ones whose external key changes.
    moving: HashSet<RecordId>,
    /// How many writes on their way name a record by its external key.
    named: HashMap<RecordId, usize>,
    rows: Rows,
    /// Objects whose requests the CRM's server fails at.
    pub suspicions: Suspicions,
    flying: JoinSet<Returned>,
}

impl Requests {
    /// Records that a request carries, or that wait for one.
    pub(super) fn busy(&self) -> &HashSet<RecordId> {
        &self.busy
    }

    /// Whether a write on its way changes the record's external key.
    pub(super) fn is_moving(&self, id: RecordId) -> bool {
        self.moving.contains(&id)
    }

    /// Whether a write on its way names the record by its external key.
    pub(super) fn is_named(&self, id: RecordId) -> bool {
        self.named.contains_key(&id)
    }

    /// The rows behind them. What is known of such a row is about to change.
    pub(super) fn rows(&self) -> &Rows {
        &self.rows
    }

    pub(super) fn in_flight(&self) -> usize {
        self.flying.len()
    }

    /// A request's worth of one form is staged.
    pub(super) fn has_full_bin(&self) -> bool {
        let is_full = |(form, bin): (&Form, &VecDeque<Staged>)| bin.len() >= self.suspicions.most(&form.object);
        !self.split.is_empty() || self.bins.iter().any(is_full)
    }

    /// Stages a write.
    pub(super) fn stage(&mut self, lane: MappingId, entry: Entry, plan: Plan) {
        self.hold(lane, &entry, &plan);
        if entry.goes_alone() {
            self.split.push_back(vec![Staged { lane, entry, plan, since: Instant::now() }]);
            return;
        }
        let form = Form {
            op: plan.write.op,
            object: Arc::clone(&plan.write.object),
            key_field: Arc::clone(&plan.write.key_field),
        };
        let bin = self.bins.entry(form).or_default();
        // What is urgent stands before the rest.
        let at = if entry.ahead { bin.partition_point(|staged| staged.entry.ahead) } else { bin.len() };
        bin.insert(at, Staged { lane, entry, plan, since: Instant::now() });
    }

    /// When the oldest staged write has lingered for `linger`: `None` when nothing is staged. What goes ahead does not.
    pub(super) fn linger_ends(&self, linger: Duration) -> Option<Instant> {
        let ends = |staged: &Staged| if staged.entry.ahead { staged.since } else { staged.since + linger };
        self.bins.values().filter_map(VecDeque::front).map(ends).min()
    }

    /// Sends what was taken for one request.
    pub(super) fn send(&mut self, client: &SharedClient, permit: Permit, staged: Vec<Staged>) {
        let client = Arc::clone(client);
        self.flying.spawn(async move {
            let begun = Instant::now();
            let writes: Vec<Write> = staged.iter().map(|staged| staged.plan.write.clone()).collect();
            let op = writes.first().map_or(WriteOp::Update, |write| write.op);
            let result = client.submit(op, &writes).await;
            Returned::Answered(Answered { staged, result, took: begun.elapsed(), permit })
        });
    }

    /// Asks the CRM which org it is; carries no record. An answer says that it is this one.
    pub(super) fn ask(&mut self, client: &SharedClient, permit: Permit, org: String) {
        let client = Arc::clone(client);
        self.flying.spawn(async move {
            let begun = Instant::now();
            let result = client.is_org(&org).await.map(|()| Answer { outcomes: Vec::new(), usage: None });
            Returned::Answered(Answered { staged: Vec::new(), result, took: begun.elapsed(), permit })
        });
    }

    /// Asks the CRM what others edited.
    pub(super) fn look(&mut self, client: &SharedClient, permit: Permit, mapping: MappingId, look: Look) {
        let client = Arc::clone(client);
        self.flying.spawn(async move {
            let result = client.look(&look).await;
            Returned::Sought(Sought { mapping, result, permit })
        });
    }

    /// Asks the CRM for records that no mapping keeps.
    pub(super) fn find(&mut self, client: &SharedClient, permit: Permit, ask: Ask) {
        let client = Arc::clone(client);
        self.flying.spawn(async move {
            let result = client.matches(&ask).await;
            Returned::Told(Told { ask, result, permit })
        });
    }

    /// Something that goes ahead is staged.
    pub(super) fn has_ahead(&self) -> bool {
        self.bins.values().filter_map(VecDeque::front).any(|staged| staged.entry.ahead)
    }

    /// Takes a request's worth of what has waited longest: urgent fields first, then `urgent` mappings, deletions last.
    pub(super) fn take(&mut self, client: &SharedClient, urgent: &HashSet<MappingId>) -> Option<Vec<Staged>> {
        let is_ahead = |bin: &VecDeque<Staged>| bin.front().is_some_and(|staged| staged.entry.ahead);
        if !self.has_ahead()
            && let Some(part) = self.split.pop_front()
        {
            return Some(part);
        }
        let rank = |(form, bin): &(&Form, &mut VecDeque<Staged>)| {
            let is_urgent = bin.front().is_some_and(|staged| urgent.contains(&staged.lane));
            let since = bin.front().map(|staged| staged.since);
            (!is_ahead(bin), !is_urgent, form.op == WriteOp::Delete, since)
        };
        let (form, bin) = self.bins.iter_mut().filter(|(_, bin)| !bin.is_empty()).min_by_key(rank)?;
        let form = form.clone();
        let mut staged: Vec<Staged> = bin.drain(..bin.len().min(self.suspicions.most(&form.object))).collect();
        let writes: Vec<Write> = staged.iter().map(|staged| staged.plan.write.clone()).collect();
        let fits = client.records_per_request(&writes).max(1);
        for back in staged.drain(fits.min(staged.len())..).rev() {
            bin.push_front(back);
        }
        if bin.is_empty() {
            self.bins.remove(&form);
        }
        Some(staged)
    }

    /// The next request that comes back. Cancel-safe; pends for ever when none is under way.
    pub(super) async fn returned(&mut self) -> Returned {
        loop {
            match self.flying.join_next().await {
                Some(Ok(returned)) => return returned,
                // A request's task neither panics nor is aborted but at shutdown, when this future is dropped.
                Some(Err(_)) => {}
                None => std::future::pending().await,
            }
        }
    }

    /// A record is free for the next request.
    pub(super) fn free(&mut self, staged: &Staged) {
        for id in staged.plan.records() {
            self.busy.remove(&id);
            self.moving.remove(&id);
        }
        for id in &staged.plan.named {
            if let hash_map::Entry::Occupied(mut many) = self.named.entry(*id) {
                *many.get_mut() -= 1;
                if *many.get() == 0 {
                    many.remove();
                }
            }
        }
        if let Some(rows) = self.rows.get_mut(&staged.lane) {
            rows.remove(&staged.entry.row_key);
        }
    }

    /// A record is still carried: its request goes out again.
    pub(super) fn keep_busy(&mut self, staged: &Staged) {
        self.hold(staged.lane, &staged.entry, &staged.plan);
    }

    fn hold(&mut self, lane: MappingId, entry: &Entry, plan: &Plan) {
        self.busy.extend(plan.records());
        if plan.write.moves_key() {
            self.moving.extend(plan.records());
        }
        for id in &plan.named {
            *self.named.entry(*id).or_default() += 1;
        }
        if let Some(id) = plan.records().next() {
            self.rows.entry(lane).or_default().insert(entry.row_key.clone(), id);
        }
    }

    /// A batch that was refused as a whole: halves of it, until the record is found.
    pub(super) fn split(&mut self, mut staged: Vec<Staged>) {
        let second = staged.split_off(staged.len() / 2);
        self.split.extend([staged, second].into_iter().filter(|part| !part.is_empty()));
    }

    /// Takes everything back that is staged and not under way.
    pub(super) fn unstage(&mut self) -> Vec<Staged> {
        let bins = std::mem::take(&mut self.bins);
        let mut staged: Vec<Staged> = bins.into_values().flatten().collect();
        staged.extend(std::mem::take(&mut self.split).into_iter().flatten());
        for one in &staged {
            self.free(one);
        }
        staged
    }
}
