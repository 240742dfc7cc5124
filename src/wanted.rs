//! Rows that delivery can't do without and that the log gave in part: it asks for them by their keys here, and their source
//! fetches them (STATE.md, rule 2). Neither waits for the other.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, PoisonError};

use passerelle_change::TableId;
use tokio::sync::Notify;

/// Rows that are asked for at once, at most. More are asked for again later.
const MOST_WAITING: usize = 10_000;

/// The rows that delivery asks a source for.
#[derive(Debug, Default)]
pub struct Wanted {
    rows: Mutex<BTreeMap<TableId, BTreeSet<Vec<u8>>>>,
    some: Notify,
}

impl Wanted {
    /// Asks for a row. It may be forgotten: whoever needs it asks again.
    pub fn ask(&self, table: TableId, row_key: &[u8]) {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.values().map(BTreeSet::len).sum::<usize>() < MOST_WAITING {
            rows.entry(table).or_default().insert(row_key.to_vec());
            self.some.notify_one();
        }
    }

    /// Takes up to `most` rows of one table; waits until there are any. Cancel-safe.
    pub async fn take(&self, most: usize) -> (TableId, Vec<Vec<u8>>) {
        loop {
            if let Some(taken) = self.try_take(most) {
                return taken;
            }
            self.some.notified().await;
        }
    }

    fn try_take(&self, most: usize) -> Option<(TableId, Vec<Vec<u8>>)> {
        let mut rows = self.rows.lock().unwrap_or_else(PoisonError::into_inner);
        let mut table = rows.first_entry()?;
        let keys = std::iter::from_fn(|| table.get_mut().pop_first()).take(most).collect();
        let id = *table.key();
        if table.get().is_empty() {
            table.remove();
        }
        Some((id, keys))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_taken_once_a_table_at_a_time_and_no_more_than_may_wait() {
        let wanted = Wanted::default();
        let key = |n: usize| n.to_be_bytes().to_vec();
        for n in 0..MOST_WAITING + 50 {
            wanted.ask(TableId(u32::from(n % 3 == 0)), &key(n));
            wanted.ask(TableId(u32::from(n % 3 == 0)), &key(n));
        }
        let mut taken = BTreeSet::new();
        while let Some((table, keys)) = wanted.try_take(200) {
            assert!(!keys.is_empty() && keys.len() <= 200, "{}", keys.len());
            for key in keys {
                assert!(taken.insert((table, key)), "each once");
            }
        }
        assert_eq!(taken.len(), MOST_WAITING);
        assert!(taken.contains(&(TableId(1), key(0))) && taken.contains(&(TableId(0), key(1))));
    }
}
