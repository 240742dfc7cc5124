//! Places in a server's log: the file and the offset in it, and the transactions before it where they have names.

use std::fmt;
use std::str::FromStr;

use passerelle_change::Position;

use crate::gtid::{MariadbGtids, MysqlGtids};

/// Transactions before a place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub enum Gtids {
    /// They have no names (MY-22): the place is the file and the offset, on that very server.
    #[default]
    None,
    /// MySQL's.
    Mysql(MysqlGtids),
    /// MariaDB's.
    Mariadb(MariadbGtids),
}

/// A place in the log: the end of a transaction.
///
/// Printed as `file:offset`, a space and the GTIDs: `mbin.000003:1234 0-1-17`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogPosition {
    /// The file's name.
    pub file: String,
    /// Bytes from its beginning, beyond 4 GiB too (MY-11).
    pub offset: u64,
    /// The transactions before it.
    pub gtids: Gtids,
}

impl LogPosition {
    /// The position for the core. The caller knows that it is the end of a transaction.
    pub fn position(&self) -> Position {
        Position::new(self.to_string())
    }

    /// Whether all that is before `other` is before this place, too: by the transactions' names where both have them of one
    /// kind, else by the file's number and the offset, which compare on one server alone. Names go first: after a failover the
    /// files are others.
    pub fn has_reached(&self, other: &Self) -> bool {
        match (&self.gtids, &other.gtids) {
            (Gtids::Mysql(ours), Gtids::Mysql(theirs)) => ours.contains_all(theirs),
            (Gtids::Mariadb(ours), Gtids::Mariadb(theirs)) => ours.contains_all(theirs),
            (Gtids::None | Gtids::Mysql(_) | Gtids::Mariadb(_), _) => match (self.file_number(), other.file_number()) {
                (Some(ours), Some(theirs)) => (ours, self.offset) >= (theirs, other.offset),
                (Some(_) | None, _) => self.file == other.file && self.offset >= other.offset,
            },
        }
    }

    /// The number of the file, by which files of one log are ordered (MY-12); `None` where it has none.
    pub fn file_number(&self) -> Option<u64> {
        self.file.rsplit_once('.').and_then(|(_, digits)| digits.parse().ok())
    }
}

impl fmt::Display for LogPosition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.file, self.offset)?;
        match &self.gtids {
            Gtids::None => Ok(()),
            Gtids::Mysql(gtids) => write!(f, " {gtids}"),
            Gtids::Mariadb(gtids) => write!(f, " {gtids}"),
        }
    }
}

/// Text that is no place in a log.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a place in a binary log like mbin.000003:1234 0-1-17")]
pub struct NotAPosition(pub String);

impl FromStr for LogPosition {
    type Err = NotAPosition;

    fn from_str(text: &str) -> Result<Self, NotAPosition> {
        let parse = || {
            let (place, gtids) = text.split_once(' ').map_or((text, None), |(place, gtids)| (place, Some(gtids)));
            let (file, offset) = place.rsplit_once(':')?;
            let gtids = match gtids {
                None => Gtids::None,
                // A set of MySQL has colons, one of MariaDB has not; an empty one is nobody's.
                Some(gtids) if gtids.contains(':') => Gtids::Mysql(gtids.parse().ok()?),
                Some(gtids) => Gtids::Mariadb(gtids.parse().ok()?),
            };
            let digits = offset.bytes().all(|byte| byte.is_ascii_digit());
            let offset = digits.then(|| offset.parse().ok()).flatten()?;
            Some(Self { file: file.to_owned(), offset, gtids })
        };
        parse().ok_or_else(|| NotAPosition(text.to_owned()))
    }
}

impl TryFrom<&Position> for LogPosition {
    type Error = NotAPosition;

    fn try_from(position: &Position) -> Result<Self, NotAPosition> {
        position.as_str().parse()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn positions_read_back_as_they_are_printed() {
        for text in [
            "mbin.000003:1234 0-1-17,1-2-3",
            "mbin.000003:1234",
            "a.b:c.000001:4 3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5:7:tag:1",
            "mbin.1000000:99999999999",
        ] {
            let position: LogPosition = text.parse().unwrap();
            assert_eq!(position.to_string(), text);
            assert_eq!(LogPosition::try_from(&position.position()), Ok(position));
        }
        for wrong in ["", "mbin.000001", "mbin.000001:", "mbin.000001:-1", "mbin.000001:+4", "mbin.000001:4 x"] {
            assert!(wrong.parse::<LogPosition>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn places_are_compared_by_names_or_by_files() {
        let reached = |at: &str, other: &str| at.parse::<LogPosition>().unwrap().has_reached(&other.parse().unwrap());
        let (a, b) = ("3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5", "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-6");
        // MY-21, MY-23: whatever the files are.
        assert!(reached(&format!("x.000001:4 {b}"), &format!("y.000009:9 {a}")));
        assert!(!reached(&format!("x.000009:9 {a}"), &format!("x.000001:4 {b}")));
        assert!(reached("x.000001:4 0-1-7,1-1-1", "y.000009:9 0-2-7"));
        assert!(!reached("x.000009:9 0-1-7", "x.000009:9 1-1-1"));
        // MY-12, MY-22: where one has none.
        assert!(reached("x.1000000:4", &format!("x.999999:500 {a}")));
        assert!(reached("x.000001:500", "x.000001:500"));
        assert!(!reached("x.000001:499", "x.000001:500"));
        assert!(reached("binlog:7", "binlog:6") && !reached("binlog:7", "other:6"));
    }

    #[test]
    fn my_12_files_are_ordered_by_number() {
        let number = |file: &str| LogPosition { file: file.into(), ..LogPosition::default() }.file_number();
        assert!(number("binlog.999999") < number("binlog.1000000"));
        assert_eq!(number("binlog"), None);
    }
}
