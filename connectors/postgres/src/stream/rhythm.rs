//! How long the reader sleeps while it is behind. Pure.
//!
//! The server sends row by row. A send into an open window is carried to the reader at once and costs more than the row;
//! one into a closed window only joins those that wait. So while behind, the reader sleeps until about as much has come
//! as the socket holds, and takes it in one gulp. Measured on two cores of which nobody else wanted one, rows of 180 bytes:
//! a reader of whatever is there gets 120 to 140 k rows a second out of PostgreSQL, this one 150 to 300 k.

use std::time::Duration;

/// What is sent this long after its commit, by the server's own clock, is old: there is more of it to come.
const BEHIND: Duration = Duration::from_millis(10);
/// A nap: at least, and at most. The longest is a part of what makes a change old.
const SHORTEST: Duration = Duration::from_millis(1);
const LONGEST: Duration = Duration::from_millis(8);
/// A gulp of this size, in bytes: the server had to wait for room.
const FULL: usize = 1 << 20;

/// The reader's rhythm.
#[derive(Debug)]
pub(super) struct Rhythm {
    behind: bool,
    nap: Duration,
}

impl Rhythm {
    pub(super) fn new() -> Self {
        Self { behind: false, nap: SHORTEST }
    }

    /// What was decoded last was sent so long after its commit.
    pub(super) fn aged(&mut self, age: Duration) {
        self.behind = age >= BEHIND;
        if !self.behind {
            self.nap = SHORTEST;
        }
    }

    /// A gulp brought so many bytes.
    pub(super) fn gulped(&mut self, bytes: usize) {
        if bytes >= FULL {
            self.nap = (self.nap / 2).max(SHORTEST);
        } else if bytes < FULL / 2 {
            self.nap = (self.nap * 3 / 2).min(LONGEST);
        }
    }

    /// How long to let the server fill the socket before the next gulp; `None` when what comes is new.
    pub(super) fn nap(&self) -> Option<Duration> {
        self.behind.then_some(self.nap)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OLD: Duration = Duration::from_secs(5);

    #[test]
    fn what_is_new_is_never_slept_on() {
        let mut rhythm = Rhythm::new();
        rhythm.aged(Duration::from_millis(9));
        assert_eq!(rhythm.nap(), None);
        rhythm.aged(OLD);
        assert_eq!(rhythm.nap(), Some(SHORTEST));
        rhythm.aged(Duration::ZERO);
        assert_eq!(rhythm.nap(), None);
    }

    #[test]
    fn naps_grow_while_gulps_are_small_and_shrink_when_the_server_had_to_wait() {
        let mut rhythm = Rhythm::new();
        rhythm.aged(OLD);
        for _ in 0..20 {
            rhythm.gulped(10_000);
        }
        assert_eq!(rhythm.nap(), Some(LONGEST));
        rhythm.gulped(FULL - 1);
        assert_eq!(rhythm.nap(), Some(LONGEST));
        for _ in 0..20 {
            rhythm.gulped(FULL);
        }
        assert_eq!(rhythm.nap(), Some(SHORTEST));
    }

    #[test]
    fn once_caught_up_the_next_nap_is_short_again() {
        let mut rhythm = Rhythm::new();
        rhythm.aged(OLD);
        rhythm.gulped(10);
        rhythm.aged(Duration::ZERO);
        rhythm.aged(OLD);
        assert_eq!(rhythm.nap(), Some(SHORTEST));
    }
}
