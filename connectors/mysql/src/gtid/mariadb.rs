//! MariaDB's positions: the last group of each domain.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::NotGtids;

/// One group of events.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MariadbGtid {
    /// Its domain.
    pub domain: u32,
    /// The server that wrote it first.
    pub server: u32,
    /// Its number. It grows within a domain where `gtid_strict_mode` is on.
    pub sequence: u64,
}

impl fmt::Display for MariadbGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.domain, self.server, self.sequence)
    }
}

impl FromStr for MariadbGtid {
    type Err = NotGtids;

    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let number =
            |digits: &str| digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| digits.parse().ok()).flatten();
        let parse = || {
            let (domain, rest) = text.split_once('-')?;
            let (server, sequence) = rest.split_once('-')?;
            let small = |digits: &str| u32::try_from(number(digits)?).ok();
            Some(Self { domain: small(domain)?, server: small(server)?, sequence: number(sequence)? })
        };
        parse().ok_or_else(|| NotGtids(text.to_owned()))
    }
}

/// The last group of each domain: a place in the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MariadbGtids(BTreeMap<u32, MariadbGtid>);

impl MariadbGtids {
    /// The domain has come to this group. Its number may be lower than the last where strict mode is off: the log's order
    /// counts (MY-23).
    pub fn add(&mut self, gtid: MariadbGtid) {
        self.0.insert(gtid.domain, gtid);
    }

    /// The last group of a domain.
    pub fn last(&self, domain: u32) -> Option<MariadbGtid> {
        self.0.get(&domain).copied()
    }

    /// Whether every domain of `other` has come as far here, by number: what strict mode makes meaningful.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.values().all(|theirs| self.last(theirs.domain).is_some_and(|ours| ours.sequence >= theirs.sequence))
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The last group of each domain, in order of the domains.
    pub fn iter(&self) -> impl Iterator<Item = MariadbGtid> {
        self.0.values().copied()
    }
}

impl fmt::Display for MariadbGtids {
    /// As `@@gtid_current_pos`; what `@slave_connect_state` takes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, gtid) in self.0.values().enumerate() {
            write!(f, "{}{gtid}", if at > 0 { "," } else { "" })?;
        }
        Ok(())
    }
}

impl FromStr for MariadbGtids {
    type Err = NotGtids;

    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let mut gtids = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let gtid: MariadbGtid = part.parse()?;
            if gtids.0.insert(gtid.domain, gtid).is_some() {
                return Err(NotGtids(text.to_owned()));
            }
        }
        Ok(gtids)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn my_23_the_last_of_each_domain() {
        let mut at: MariadbGtids = "1-3-5, 0-1-17".parse().unwrap();
        assert_eq!(at.to_string(), "0-1-17,1-3-5");
        at.add(MariadbGtid { domain: 0, server: 2, sequence: 16 });
        assert_eq!(at.to_string(), "0-2-16,1-3-5");
        assert!(at.contains_all(&"0-9-16".parse().unwrap()));
        assert!(!at.contains_all(&"0-1-17".parse().unwrap()));
        assert!(!at.contains_all(&"7-1-1".parse().unwrap()));
        for wrong in ["0-1", "0-1-", "x", "0-1-2-3", "0-1-+2", "4294967296-1-1", "0-1-1,0-2-1"] {
            assert!(wrong.parse::<MariadbGtids>().is_err(), "{wrong}");
        }
    }

    proptest! {
        #[test]
        fn printed_positions_read_back(gtids in prop::collection::vec(any::<(u32, u32, u64)>(), 0..5)) {
            let mut at = MariadbGtids::default();
            for (domain, server, sequence) in gtids {
                at.add(MariadbGtid { domain, server, sequence });
            }
            prop_assert_eq!(at.to_string().parse(), Ok(at));
        }
    }
}
