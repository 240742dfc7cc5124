//! Requests that the CRM's server fails at: it is down, or it can't take one record of them.
//!
//! After some failures in a row the requests of that object become smaller, down to a record alone. What it can take goes
//! through meanwhile, and the one that is left is set aside, so that it holds up nobody; it goes alone from then on.
//! Whether that counts as an attempt is told from what else was accepted: an outage makes no dead letters, and costs a
//! few small requests at its end.

use std::collections::HashMap;
use std::sync::Arc;

use super::requests::MOST_RECORDS;

/// Failures in a row, at the same object, before its requests become smaller.
const FAILURES: u32 = 3;

/// What is suspected, by object.
#[derive(Debug, Default)]
pub(super) struct Suspicions(HashMap<Arc<str>, Suspicion>);

#[derive(Debug)]
struct Suspicion {
    failures: u32,
    /// The most records of a request.
    most: usize,
    /// Records that were answered for since the last failure.
    well: usize,
}

impl Suspicions {
    /// The most records of a request for the object.
    pub(super) fn most(&self, object: &str) -> usize {
        self.0.get(object).map_or(MOST_RECORDS, |suspicion| suspicion.most)
    }

    /// A request of so many records failed. True when it was of the one that is left: the others go on as before.
    pub(super) fn failed(&mut self, object: &Arc<str>, records: usize) -> bool {
        let fresh = Suspicion { failures: 0, most: MOST_RECORDS, well: 0 };
        let suspicion = self.0.entry(Arc::clone(object)).or_insert(fresh);
        suspicion.failures += 1;
        suspicion.well = 0;
        if suspicion.failures < FAILURES {
            return false;
        }
        if records <= 1 {
            self.0.remove(object);
            return true;
        }
        suspicion.most = suspicion.most.min(records / 2).max(1);
        false
    }

    /// The object's requests are small: one that fails is the way to the next.
    pub(super) fn is_searching(&self, object: &str) -> bool {
        self.most(object) < MOST_RECORDS
    }

    /// So many records were answered for. After a request's worth of them the suspicion is over.
    pub(super) fn served(&mut self, object: &str, records: usize) {
        if let Some(suspicion) = self.0.get_mut(object) {
            suspicion.well += records;
            if suspicion.well >= MOST_RECORDS {
                self.0.remove(object);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sends `records` in order, of which the server can't take `bad`. Returns how many requests it took until each was
    /// taken or set aside, and who was set aside.
    fn search(records: usize, bad: &[usize]) -> (usize, Vec<usize>) {
        let object: Arc<str> = "Account".into();
        let mut suspicions = Suspicions::default();
        let mut left: Vec<usize> = (0..records).collect();
        let (mut requests, mut aside) = (0, Vec::new());
        while !left.is_empty() {
            requests += 1;
            let size = suspicions.most(&object).min(left.len());
            if left[..size].iter().any(|record| bad.contains(record)) {
                if suspicions.failed(&object, size) {
                    aside.push(left.remove(0));
                }
            } else {
                suspicions.served(&object, size);
                left.drain(..size);
            }
        }
        (requests, aside)
    }

    #[test]
    fn one_record_is_found_wherever_it_stands_and_the_rest_goes_through() {
        for bad in [0, 1, 99, 100, 150, 199, 200, 555, 999] {
            let (requests, aside) = search(1_000, &[bad]);
            assert_eq!(aside, [bad]);
            assert!(requests <= 5 + 3 + 16, "{requests} requests for {bad}");
        }
    }

    #[test]
    fn several_are_found_one_after_the_other() {
        let (requests, aside) = search(1_000, &[3, 4, 180, 700]);
        assert_eq!(aside, [3, 4, 180, 700]);
        assert!(requests <= 5 + 4 * 19, "{requests}");
    }

    #[test]
    fn two_failures_are_no_reason() {
        let object: Arc<str> = "Account".into();
        let mut suspicions = Suspicions::default();
        assert!(!suspicions.failed(&object, 200) && !suspicions.failed(&object, 200));
        assert_eq!(suspicions.most(&object), MOST_RECORDS);
        suspicions.served(&object, 200);
        assert!(!suspicions.failed(&object, 200) && !suspicions.is_searching(&object));
        assert_eq!(suspicions.most("Contact"), MOST_RECORDS);
    }
}
