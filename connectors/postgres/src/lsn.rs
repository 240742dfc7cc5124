//! Log sequence numbers.

use std::fmt;
use std::str::FromStr;

use passerelle_change::Position;
use serde::{Deserialize, Serialize};

/// A place in the write-ahead log, in bytes since its beginning, printed as PostgreSQL does: `16/B374D848`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Lsn(pub u64);

impl Lsn {
    /// No place: what the server sends where it has none.
    pub const ZERO: Self = Self(0);

    /// The position for the core. The caller knows that it is the end of a transaction.
    pub fn position(self) -> Position {
        Position::new(self.to_string())
    }

    /// How many bytes of log lie between `earlier` and this; 0 where it is not earlier.
    pub fn bytes_since(self, earlier: Self) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

impl fmt::Display for Lsn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:X}/{:X}", self.0 >> 32, self.0 & 0xffff_ffff)
    }
}

/// Text that is no LSN.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a log position like 16/B374D848")]
pub struct NotAnLsn(pub String);

impl FromStr for Lsn {
    type Err = NotAnLsn;

    fn from_str(text: &str) -> Result<Self, NotAnLsn> {
        let half = |hex: &str| {
            let plain = (1..=8).contains(&hex.len()) && hex.bytes().all(|byte| byte.is_ascii_hexdigit());
            plain.then(|| u64::from_str_radix(hex, 16).ok()).flatten()
        };
        text.split_once('/')
            .and_then(|(high, low)| Some(Self(half(high)? << 32 | half(low)?)))
            .ok_or_else(|| NotAnLsn(text.to_owned()))
    }
}

impl TryFrom<&Position> for Lsn {
    type Error = NotAnLsn;

    fn try_from(position: &Position) -> Result<Self, NotAnLsn> {
        position.as_str().parse()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn printed_lsns_read_back(n: u64) {
            prop_assert_eq!(Lsn(n).to_string().parse(), Ok(Lsn(n)));
            prop_assert_eq!(Lsn::try_from(&Lsn(n).position()), Ok(Lsn(n)));
        }
    }

    #[test]
    fn printed_as_the_server_prints_it() {
        assert_eq!(Lsn(0x16_B374_D848).to_string(), "16/B374D848");
        assert_eq!(Lsn::ZERO.to_string(), "0/0");
    }

    #[test]
    fn what_is_no_lsn_is_refused() {
        for text in ["", "/", "0", "0/", "/0", "+1/0", "0/100000000", "g/0", "1/2/3", " 0/0"] {
            assert_eq!(text.parse::<Lsn>(), Err(NotAnLsn(text.into())));
        }
    }
}
