//! What people ask of a CRM's delivery.

use passerelle_change::Seq;
use passerelle_change::key::printed;
use passerelle_state::{DeliveryBatch, Durability, MappingId, Parked, ParkedWhy, StateError};
use tokio::sync::oneshot;

use super::engine::Engine;
use super::now_micros;

/// Dead letters to try again: what is set narrows the choice.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Choice {
    /// The row key as printed.
    pub key: Option<String>,
    /// The code of the refusal.
    pub code: Option<String>,
}

/// A command. Each answers how many things it touched.
#[derive(Debug)]
pub enum Command {
    /// Try dead letters of a mapping again, with the newest state of their rows.
    Retry {
        /// The mapping.
        mapping: MappingId,
        /// Which of them.
        choice: Choice,
        /// How many.
        reply: oneshot::Sender<u64>,
    },
    /// Forget one dead letter. Its row is delivered again when it changes.
    Drop {
        /// The mapping.
        mapping: MappingId,
        /// The row key as printed.
        key: String,
        /// 1, or 0 when there is none.
        reply: oneshot::Sender<u64>,
    },
    /// The holds in the state have changed.
    HoldsChanged,
    /// Let deletions through that the guard holds.
    Confirm {
        /// The mapping.
        mapping: MappingId,
        /// How many are let through.
        reply: oneshot::Sender<u64>,
    },
    /// Bring the figures up to date that are dear to reckon.
    Refresh {
        /// When it is done.
        reply: oneshot::Sender<u64>,
    },
}

impl Engine<'_> {
    pub(super) fn command(&mut self, command: Command) -> Result<(), StateError> {
        // One who has stopped waiting for the answer is no fault.
        match command {
            Command::Retry { mapping, choice, reply } => {
                let _ = reply.send(self.retry(mapping, &choice)?);
            }
            Command::Drop { mapping, key, reply } => {
                let _ = reply.send(self.drop_letter(mapping, &key)?);
            }
            Command::HoldsChanged => self.read_holds()?,
            Command::Confirm { mapping, reply } => {
                let _ = reply.send(self.confirm(mapping)?);
            }
            Command::Refresh { reply } => {
                self.reckon()?;
                let _ = reply.send(0);
            }
        }
        Ok(())
    }

    fn retry(&mut self, mapping: MappingId, choice: &Choice) -> Result<u64, StateError> {
        let mut chosen = Vec::new();
        self.store.dead_letters(mapping, |row_key, letter| {
            let key_fits = choice.key.as_ref().is_none_or(|key| *key == printed(row_key) || *key == letter.key);
            let code_fits = choice.code.as_ref().is_none_or(|code| *code == letter.refusal.code);
            if key_fits && code_fits {
                chosen.push(row_key.to_vec());
            }
            true
        })?;
        let mut batch = DeliveryBatch::new(self.store);
        for row_key in &chosen {
            batch.park(mapping, now_micros(), row_key, &again(None))?;
        }
        self.store.write_delivery(batch, Durability::Synced)?;
        Ok(chosen.len() as u64)
    }

    fn drop_letter(&mut self, mapping: MappingId, key: &str) -> Result<u64, StateError> {
        let mut found = None;
        self.store.dead_letters(mapping, |row_key, letter| {
            if printed(row_key) == key || letter.key == key {
                found = Some(row_key.to_vec());
            }
            found.is_none()
        })?;
        let Some(row_key) = found else { return Ok(0) };
        let mut batch = DeliveryBatch::new(self.store);
        batch.dead(mapping, &row_key, None);
        self.store.write_delivery(batch, Durability::Synced)?;
        Ok(1)
    }

    fn confirm(&mut self, mapping: MappingId) -> Result<u64, StateError> {
        let Some(&index) = self.by_id.get(&mapping) else { return Ok(0) };
        self.lanes[index].guard.confirm();
        let mut let_through = 0;
        let mut batch = DeliveryBatch::new(self.store);
        for row in self.store.due(mapping, u64::MAX, usize::MAX)? {
            if row.parked.why == ParkedWhy::Guarded {
                batch.unpark(mapping, row.due, &row.row_key)?;
                batch.park(mapping, now_micros(), &row.row_key, &again(row.parked.since))?;
                self.admitted.insert((mapping, row.row_key));
                let_through += 1;
            }
        }
        self.lanes[index].guard.settle();
        self.store.write_delivery(batch, Durability::Synced)?;
        Ok(let_through)
    }

    /// Reads what is held: this CRM, all writes, single mappings.
    pub(super) fn read_holds(&mut self) -> Result<(), StateError> {
        let holds = self.store.holds()?;
        let crm = format!("crm/{}", self.name);
        self.held = holds.iter().any(|(name, _)| *name == crm || name == "writes");
        let mut newly_held = Vec::new();
        for lane in &mut self.lanes {
            let name = format!("mapping/{}", lane.config.name);
            let hold = holds.iter().find(|(held, _)| *held == name);
            if lane.held.is_none() && hold.is_some() {
                newly_held.push(lane.id);
            }
            lane.paused = hold.is_some_and(|(_, hold)| hold.by_person);
            lane.held = hold.map(|(_, hold)| hold.reason.clone());
            lane.refusals = (String::new(), 0);
        }
        if self.held {
            self.put_back_staged();
        } else {
            self.not_before = None;
        }
        newly_held.into_iter().try_for_each(|mapping| self.release_waiting_for(mapping))
    }

    /// A mapping is held: rows that wait for its records go without them.
    pub(super) fn release_waiting_for(&mut self, held: MappingId) -> Result<(), StateError> {
        for lane in &self.lanes {
            let mut batch = DeliveryBatch::new(self.store);
            for (row_key, waiting) in self.store.all_waiting(lane.id)? {
                if waiting.parent.0 == held {
                    batch.waiting(lane.id, &row_key, None);
                    batch.park(lane.id, now_micros(), &row_key, &again(waiting.since))?;
                }
            }
            self.store.write_delivery(batch, Durability::WithTheNext)?;
        }
        Ok(())
    }
}

pub(super) fn again(since: Option<passerelle_state::Since>) -> Parked {
    Parked { seq: Seq::ZERO, attempts: 0, since, why: ParkedWhy::Again }
}
