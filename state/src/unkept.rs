//! Records of a CRM that no mapping keeps: which of them has a value in a field, as the CRM told it.
//!
//! An object and a field of it are a line, with a number like a mapping's; a value of the field stands where a row key does.
//! So a row refers to such a record, and waits for it, as to a parent row of a mapping.

use passerelle_change::key::KeyBuf;
use serde::{Deserialize, Serialize};

use crate::delivery::DeliveryBatch;
use crate::error::StateError;
use crate::keys::{Key, Kind, MappingId, Parts};
use crate::store::{Family, Store};

/// What is known of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unkept {
    /// What the CRM told.
    pub found: Found,
    /// When it is asked again, in microseconds since 1970; 0 for one that is yet to be asked for.
    pub due: u64,
    /// How often the CRM has told the same.
    pub told: u32,
}

/// What the CRM told of a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Found {
    /// It is yet to be asked.
    Unasked,
    /// No record has it.
    Nothing,
    /// The record with this id.
    One(String),
    /// Several records have it.
    Several,
    /// It does not say.
    Refused,
}

/// The key of a value: in the form of a row key of one text.
pub fn key_of(value: &str) -> Vec<u8> {
    let mut key = Vec::with_capacity(value.len() + 3);
    KeyBuf(&mut key).push_text(value.as_bytes());
    key
}

impl Store {
    /// The number of a line, given now if it has none. No mapping has such a name.
    pub fn line_id(&self, crm: &str, object: &str, field: &str) -> Result<MappingId, StateError> {
        self.mapping_id(&format!("{crm}/{}/{}", object.to_lowercase(), field.to_lowercase()))
    }

    /// What is known of a value.
    pub fn unkept(&self, line: MappingId, key: &[u8]) -> Result<Option<Unkept>, StateError> {
        self.get(Family::Crm, &unkept_key(line, key))
    }

    /// Values that are due at `now` (microseconds since 1970), at most `limit`, each with when it was due, those that are
    /// yet to be asked for first.
    pub fn unkept_due(&self, line: MappingId, now: u64, limit: usize) -> Result<Vec<(u64, Vec<u8>)>, StateError> {
        let mut due = Vec::new();
        self.scan(Family::Crm, &Key::new(Kind::UnkeptDue).u32(line.0).done(), |key, (): ()| {
            let mut parts = Parts(key.get(5..).unwrap_or_default());
            match parts.u64() {
                Some(at) if at <= now => due.push((at, parts.rest().to_vec())),
                Some(_) | None => return false,
            }
            due.len() < limit
        })?;
        Ok(due)
    }

    /// When the next value of a line is due.
    pub fn unkept_next_due(&self, line: MappingId) -> Result<Option<u64>, StateError> {
        Ok(self.unkept_due(line, u64::MAX, 1)?.first().map(|(due, _)| *due))
    }
}

impl DeliveryBatch<'_> {
    /// Keeps or forgets what is known of a value; `before` is what was known.
    pub fn unkept(&mut self, line: MappingId, key: &[u8], before: Option<&Unkept>, now: Option<&Unkept>) {
        if let Some(before) = before {
            self.crm::<()>(due_key(line, before.due, key), None);
        }
        if let Some(now) = now {
            self.crm(due_key(line, now.due, key), Some(&()));
        }
        self.crm(unkept_key(line, key), now);
    }
}

fn unkept_key(line: MappingId, key: &[u8]) -> Vec<u8> {
    Key::new(Kind::Unkept).u32(line.0).bytes(key).done()
}

fn due_key(line: MappingId, due: u64, key: &[u8]) -> Vec<u8> {
    Key::new(Kind::UnkeptDue).u32(line.0).u64(due).bytes(key).done()
}
