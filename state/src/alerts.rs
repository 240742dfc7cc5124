//! Alerts: what is wrong now, and what each channel has yet to be told of it.
//!
//! Both are JSON text of their owner, opaque here. What began, what ended and what is to be told of it is one synced batch, written before
//! anything is sent: a stop between the two sends it after the next start. What was told is taken off once the receiver has it,
//! so that a stop between those two sends it once more.

use rocksdb::WriteBatch;

use crate::codec;
use crate::error::StateError;
use crate::keys::{Key, Kind, Parts};
use crate::store::{Durability, Family, Store};

/// Something that a channel has yet to be told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Telling {
    /// Given in order and never again: what is smaller was to be told before.
    pub number: u64,
    /// The message, as JSON text.
    pub text: String,
}

/// What a look at the daemon changes. Everything in it is written at once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct AlertChanges {
    /// Alerts by their key, as JSON text; `None` for one that has ended.
    pub alerts: Vec<(String, Option<String>)>,
    /// What is to be told.
    pub tell: Vec<Telling>,
    /// The numbers of what is not to be told any more.
    pub forget: Vec<u64>,
}

impl AlertChanges {
    /// Whether it changes nothing.
    pub fn is_empty(&self) -> bool {
        self.alerts.is_empty() && self.tell.is_empty() && self.forget.is_empty()
    }
}

impl Store {
    /// The alerts that have not ended, as JSON text by their keys.
    pub fn alerts(&self) -> Result<Vec<(String, String)>, StateError> {
        let mut alerts = Vec::new();
        self.scan(Family::Meta, &Key::new(Kind::Alert).done(), |key, text: String| {
            alerts.push((String::from_utf8_lossy(Parts::of(key).rest()).into_owned(), text));
            true
        })?;
        Ok(alerts)
    }

    /// What is to be told, oldest first.
    pub fn tellings(&self) -> Result<Vec<Telling>, StateError> {
        let mut tellings = Vec::new();
        self.scan(Family::Meta, &Key::new(Kind::Telling).done(), |key, text: String| {
            tellings.extend(Parts::of(key).u64().map(|number| Telling { number, text }));
            true
        })?;
        Ok(tellings)
    }

    /// Writes what has changed, synced.
    pub fn change_alerts(&self, changes: &AlertChanges) -> Result<(), StateError> {
        let family = self.family(Family::Meta);
        let mut batch = WriteBatch::default();
        for (key, text) in &changes.alerts {
            let key = Key::new(Kind::Alert).bytes(key.as_bytes()).done();
            match text {
                Some(text) => batch.put_cf(family, key, codec::encode(text)),
                None => batch.delete_cf(family, key),
            }
        }
        for telling in &changes.tell {
            batch.put_cf(family, telling_key(telling.number), codec::encode(&telling.text));
        }
        for number in &changes.forget {
            batch.delete_cf(family, telling_key(*number));
        }
        self.write(batch, Durability::Synced)
    }
}

fn telling_key(number: u64) -> Vec<u8> {
    Key::new(Kind::Telling).u64(number).done()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_open_and_untold_outlives_the_process() {
        let folder = tempfile::tempdir().unwrap();
        let telling = |number: u64| Telling { number, text: format!("telling {number}") };
        let store = Store::open(folder.path()).unwrap();
        let alert = |key: &str| (key.to_owned(), Some(format!("{{\"{key}\": 1}}")));
        let changes = AlertChanges {
            alerts: vec![alert("lag source erp"), alert("guard mapping contacts")],
            tell: vec![telling(300), telling(2)],
            ..AlertChanges::default()
        };
        store.change_alerts(&changes).unwrap();
        let changes =
            AlertChanges { alerts: vec![("guard mapping contacts".into(), None)], tell: vec![], forget: vec![2, 9] };
        store.change_alerts(&changes).unwrap();
        drop(store);
        let store = Store::open(folder.path()).unwrap();
        assert_eq!(store.alerts().unwrap(), [("lag source erp".to_owned(), "{\"lag source erp\": 1}".to_owned())]);
        assert_eq!(store.tellings().unwrap(), [telling(300)]);
        assert!(AlertChanges::default().is_empty() && !changes.is_empty());
    }
}
