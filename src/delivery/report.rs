//! What delivery publishes of itself.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use passerelle_change::Micros;
use passerelle_crm::Moment;
use passerelle_state::StateError;

use super::engine::Engine;
use crate::control::model::{CrmState, LastError, MappingState, Window};

/// Pending rows are counted exactly up to here.
const EXACT: u64 = 10_000;
/// The vendor's limit is one of 24 hours.
const DAY: Duration = Duration::from_hours(24);

impl Engine<'_> {
    /// Publishes the figures that cost nothing.
    pub(super) fn report(&mut self) {
        let now = Instant::now();
        let calls = self.client.requests_total();
        self.plan_linger(now, calls);
        let moment = Moment::now();
        let windows = self.limiter.figures(moment).into_iter().map(|figure| Window {
            name: figure.name.to_owned(),
            used: Some(figure.used),
            limit: figure.limit,
            resets_at: figure.resets_at.and_then(time),
        });
        let windows: Vec<_> = windows.collect();
        let exhausted_at = self.exhausted_at(now, windows.iter().find(|window| window.name == "per_day"));
        let paused = self.limiter.paused_for(moment);
        let state = match () {
            () if self.held => CrmState::Paused,
            () if paused.is_some() => CrmState::Throttled,
            () if self.fault.is_some() => CrmState::Retrying,
            () => CrmState::Ready,
        };
        let retry_in = paused.or_else(|| self.not_before.and_then(|at| at.checked_duration_since(now)));
        let retry_at = retry_in.and_then(|left| Timestamp::now().checked_add(left).ok());
        let error = self.fault.clone().map(|text| LastError { text, ..LastError::default() });
        self.board.crm(self.name, |crm| {
            crm.kind = "salesforce".into();
            crm.state = state;
            crm.requests_total = calls;
            crm.records_total = self.records_total;
            crm.throttled_total = self.throttled_total;
            crm.windows = windows;
            crm.exhausted_at = exhausted_at;
            crm.retry_at = retry_at;
            crm.last_error = error;
        });
        for lane in &mut self.lanes {
            let indexes = &self.indexes[lane.source_index];
            lane.settled.note(now, (lane.figures.delivered + lane.figures.unchanged) as f64);
            let state = match () {
                () if lane.paused => MappingState::Paused,
                () if lane.is_held() => MappingState::Held,
                () if !lane.loaded || lane.is_scanning() || indexes.is_building(lane.id) => MappingState::Loading,
                () if lane.next_run.is_some() => MappingState::Scheduled,
                () => MappingState::Running,
            };
            self.board.mapping(&lane.config.name, |mapping| {
                mapping.state = state;
                mapping.in_flight = lane.in_hand() as u64;
                mapping.delivered_total = lane.figures.delivered;
                mapping.unchanged_total = lane.figures.unchanged;
                mapping.last_delivered_at = lane.last_delivered_at.and_then(time);
                let reread = lane.suspected.map(|why| format!("the table is read again before it is delivered: {why}"));
                mapping.held_reason = lane.drift.clone().or_else(|| lane.held.clone()).or(reread);
                mapping.deletes_last_hour = Some(lane.guard.recent());
                mapping.guard_tripped = lane.guard.is_tripped();
                mapping.mode = lane.config.observe.then(|| "observe".to_owned());
                mapping.owner.clone_from(&lane.config.owner);
                mapping.purpose.clone_from(&lane.config.purpose);
                let ambiguous = indexes.ambiguous(lane.id);
                mapping.ambiguous_total = ambiguous.map(|(relation, count)| (relation.to_owned(), count)).collect();
                mapping.left_out_total = lane.reach.left_out;
                mapping.observed_creations_total = lane.reach.observed.creations;
                mapping.observed_updates_total = lane.reach.observed.updates;
                mapping.observed_deletions_total = lane.reach.observed.deletions;
                mapping.next_run_at = lane
                    .next_run
                    .filter(|_| lane.run_until.is_none())
                    .and_then(|at| time(Micros(i64::try_from(at).ok()?)));
                mapping.freshness_target_seconds = Some(lane.config.freshness.as_secs_f64());
            });
        }
    }

    /// Forecast: when the day's calls are used up, by how they were used lately; `None` where they last for a day.
    fn exhausted_at(&mut self, now: Instant, day: Option<&Window>) -> Option<Timestamp> {
        let (day, used) = day.and_then(|day| Some((day, day.used?)))?;
        self.day_used.note(now, used as f64);
        let left = self.day_used.until(day.limit.saturating_sub(used) as f64);
        // Used up is used up, whether it is used any further or not.
        let left = if used >= day.limit { Some(Duration::ZERO) } else { left };
        Timestamp::now().checked_add(left.filter(|left| *left < DAY)?).ok()
    }

    /// Counts what waits and what is dead: a walk over the state, on request only.
    pub(super) fn reckon(&mut self) -> Result<(), StateError> {
        self.report();
        for lane in &self.lanes {
            let waiting = self.store.waiting_count(lane.id, EXACT)?;
            let queued = self.store.queued_count(lane.id, EXACT)? + self.store.parked_count(lane.id, EXACT)?;
            let queued = queued + self.store.marked_count(lane.id, EXACT)?;
            let scanning = if lane.is_scanning() || !lane.loaded { lane.in_hand().max(1) as u64 } else { 0 };
            let pending = (queued + waiting).max(scanning);
            let since = self.store.mapping_since(lane.id)?.and_then(|since| time(since.committed_at));
            let records = self.store.figures(lane.id)?.records;
            let mut by_reason = BTreeMap::new();
            let mut dead = 0;
            self.store.dead_letters(lane.id, |_, letter| {
                dead += 1;
                *by_reason.entry(letter.refusal.code).or_default() += 1;
                dead < EXACT
            })?;
            self.board.mapping(&lane.config.name, |mapping| {
                mapping.pending = Some(pending);
                // What is not counted to its end can't be divided.
                let drained_in = (pending < EXACT).then(|| lane.settled.until(pending as f64)).flatten();
                mapping.drained_in_seconds =
                    if pending == 0 { Some(0.0) } else { drained_in.map(|left| left.as_secs_f64()) };
                mapping.waiting_parent = Some(waiting);
                mapping.oldest_pending_at = since;
                mapping.records = Some(records);
                mapping.dead_letters = Some(dead);
                mapping.dead_letters_by_reason = by_reason;
            });
        }
        Ok(())
    }
}

fn time(at: Micros) -> Option<Timestamp> {
    Timestamp::from_microsecond(at.0).ok().filter(|_| at.0 > 0)
}
