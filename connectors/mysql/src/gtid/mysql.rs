//! MySQL's sets.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use super::NotGtids;

/// The longest tag that the server allows.
const MAX_TAG_BYTES: usize = 32;

/// A server and perhaps a tag: what numbers are counted within.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Source {
    /// `server_uuid` of the server that committed first.
    pub uuid: [u8; 16],
    /// The tag; empty is none.
    pub tag: Box<str>,
}

/// One transaction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MysqlGtid {
    /// Where it was counted.
    pub source: Source,
    /// Its number, from 1 on.
    pub number: u64,
}

impl fmt::Display for MysqlGtid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        print_uuid(&self.source.uuid, f)?;
        if !self.source.tag.is_empty() {
            write!(f, ":{}", self.source.tag)?;
        }
        write!(f, ":{}", self.number)
    }
}

/// A set of transactions. Intervals are ordered, and neither touch nor overlap; ends are behind the last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct MysqlGtids(BTreeMap<Source, Vec<(u64, u64)>>);

impl MysqlGtids {
    /// Adds one.
    pub fn add(&mut self, gtid: &MysqlGtid) {
        // Nearly always the next one of the last interval.
        if let Some((_, end)) = self.0.get_mut(&gtid.source).and_then(|intervals| intervals.last_mut())
            && *end == gtid.number
        {
            *end += 1;
            return;
        }
        self.add_interval(gtid.source.clone(), gtid.number, gtid.number.saturating_add(1));
    }

    /// Adds those from `first` to before `end`.
    pub fn add_interval(&mut self, source: Source, first: u64, end: u64) {
        if first == 0 || first >= end {
            return;
        }
        let intervals = self.0.entry(source).or_default();
        let (mut first, mut end) = (first, end);
        // Those that it overlaps or touches become one with it.
        let from = intervals.partition_point(|&(_, other_end)| other_end < first);
        let to = intervals.partition_point(|&(other_first, _)| other_first <= end);
        if let Some(merged) = intervals.get(from..to) {
            first = merged.first().map_or(first, |&(other, _)| other.min(first));
            end = merged.last().map_or(end, |&(_, other)| other.max(end));
        }
        intervals.splice(from..to.max(from), [(first, end)]);
    }

    /// Whether it has this one.
    pub fn contains(&self, gtid: &MysqlGtid) -> bool {
        let intervals = self.0.get(&gtid.source).map_or(&[][..], Vec::as_slice);
        has(intervals, gtid.number, gtid.number.saturating_add(1))
    }

    /// Whether it has all of `other`.
    pub fn contains_all(&self, other: &Self) -> bool {
        other.0.iter().all(|(source, wanted)| {
            let ours = self.0.get(source).map_or(&[][..], Vec::as_slice);
            wanted.iter().all(|&(first, end)| has(ours, first, end))
        })
    }

    /// Whether it has none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Each server and tag with its intervals, whose ends are behind the last: what `COM_BINLOG_DUMP_GTID` sends.
    pub fn iter(&self) -> impl Iterator<Item = (&Source, &[(u64, u64)])> {
        self.0.iter().map(|(source, intervals)| (source, intervals.as_slice()))
    }
}

fn has(intervals: &[(u64, u64)], first: u64, end: u64) -> bool {
    let at = intervals.partition_point(|&(_, other_end)| other_end <= first);
    intervals.get(at).is_some_and(|&(other_first, other_end)| other_first <= first && end <= other_end)
}

impl fmt::Display for MysqlGtids {
    /// As `@@gtid_executed`, without line breaks.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut last: Option<&[u8; 16]> = None;
        for (source, intervals) in &self.0 {
            // Tags follow their server, whose numbers without a tag come first.
            if last != Some(&source.uuid) {
                f.write_str(if last.is_some() { "," } else { "" })?;
                print_uuid(&source.uuid, f)?;
                last = Some(&source.uuid);
            }
            if !source.tag.is_empty() {
                write!(f, ":{}", source.tag)?;
            }
            for &(first, end) in intervals {
                if first + 1 == end {
                    write!(f, ":{first}")?;
                } else {
                    write!(f, ":{first}-{}", end - 1)?;
                }
            }
        }
        Ok(())
    }
}

impl FromStr for MysqlGtids {
    type Err = NotGtids;

    fn from_str(text: &str) -> Result<Self, NotGtids> {
        let mut set = Self::default();
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            parse_part(part, &mut set).ok_or_else(|| NotGtids(text.to_owned()))?;
        }
        Ok(set)
    }
}

/// `uuid:interval:interval:tag:interval`.
fn parse_part(part: &str, set: &mut MysqlGtids) -> Option<()> {
    let mut words = part.split(':').map(str::trim);
    let mut source = Source { uuid: parse_uuid(words.next()?)?, tag: "".into() };
    let mut intervals = 0;
    for word in words {
        if word.starts_with(|first: char| first.is_ascii_digit()) {
            let (first, last) = word.split_once('-').unwrap_or((word, word));
            let (first, last) = (number(first)?, number(last)?);
            if first == 0 || last < first || last == u64::MAX {
                return None;
            }
            set.add_interval(source.clone(), first, last + 1);
            intervals += 1;
        } else {
            let is_tag = |byte: u8| byte == b'_' || byte.is_ascii_alphanumeric();
            if word.is_empty() || word.len() > MAX_TAG_BYTES || !word.bytes().all(is_tag) {
                return None;
            }
            source.tag = word.to_ascii_lowercase().into();
        }
    }
    (intervals > 0).then_some(())
}

fn number(text: &str) -> Option<u64> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

fn print_uuid(uuid: &[u8; 16], f: &mut fmt::Formatter<'_>) -> fmt::Result {
    for (at, byte) in uuid.iter().enumerate() {
        f.write_str(if matches!(at, 4 | 6 | 8 | 10) { "-" } else { "" })?;
        write!(f, "{byte:02x}")?;
    }
    Ok(())
}

/// 32 hex digits; hyphens may stand where they belong.
fn parse_uuid(text: &str) -> Option<[u8; 16]> {
    let digits: Vec<u8> = text.bytes().filter(|&byte| byte != b'-').collect();
    let hyphens = text.bytes().enumerate().filter(|&(_, byte)| byte == b'-').map(|(at, _)| at);
    let is_placed = text.len() == digits.len() || hyphens.eq([8, 13, 18, 23]);
    if digits.len() != 32 || !is_placed {
        return None;
    }
    let mut uuid = [0; 16];
    for (byte, pair) in uuid.iter_mut().zip(digits.as_chunks::<2>().0) {
        let digit = |at: u8| char::from(at).to_digit(16);
        *byte = (digit(pair[0])? << 4 | digit(pair[1])?) as u8;
    }
    Some(uuid)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::*;

    const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
    const B: &str = "4e11fa47-71ca-11e1-9e33-c80aa9429562";

    fn set(text: &str) -> MysqlGtids {
        text.parse().unwrap()
    }

    #[test]
    fn my_21_sets_are_read_and_printed_as_the_server_does() {
        for (text, want) in [
            (format!("{A}:1-5:7"), format!("{A}:1-5:7")),
            (format!("{A}:7:1-5:6"), format!("{A}:1-7")),
            (format!("{B}:1,\n{A}:1:taga:1-3:tagb:5"), format!("{A}:1:taga:1-3:tagb:5,{B}:1")),
            (format!("{}:3", A.replace('-', "").to_uppercase()), format!("{A}:3")),
            (format!("{A}:Tag:1,{A}:tag:2"), format!("{A}:tag:1-2")),
            (String::new(), String::new()),
        ] {
            assert_eq!(set(&text).to_string(), want);
        }
        for wrong in [
            A.to_owned(),
            format!("{A}:0"),
            format!("{A}:5-3"),
            format!("{A}:tag"),
            format!("{A}:-1"),
            "x:1".into(),
            format!("{A}x:1"),
            format!("{A}:1-"),
            format!("{A}:+1"),
        ] {
            assert!(wrong.parse::<MysqlGtids>().is_err(), "{wrong}");
        }
    }

    #[test]
    fn my_21_one_set_in_another() {
        let executed = set(&format!("{A}:1-5:8-9,{B}:1:tag:4"));
        for (other, inside) in [
            (format!("{A}:2-3"), true),
            (format!("{A}:5-6"), false),
            (format!("{A}:6"), false),
            (format!("{B}:tag:4"), true),
            (format!("{A}:tag:4"), false),
            (String::new(), true),
        ] {
            assert_eq!(executed.contains_all(&set(&other)), inside, "{other}");
        }
    }

    proptest! {
        #[test]
        fn sets_hold_what_was_added(spans in prop::collection::vec((1..60_u64, 1..8_u64), 0..30)) {
            let source = Source { uuid: [7; 16], tag: "".into() };
            let (mut ours, mut want) = (MysqlGtids::default(), BTreeSet::new());
            for (first, length) in spans {
                if length == 1 {
                    ours.add(&MysqlGtid { source: source.clone(), number: first });
                } else {
                    ours.add_interval(source.clone(), first, first + length);
                }
                want.extend(first..first + length);
            }
            for number in 0..80 {
                prop_assert_eq!(ours.contains(&MysqlGtid { source: source.clone(), number }), want.contains(&number));
            }
            let intervals: Vec<_> = ours.iter().flat_map(|(_, intervals)| intervals.to_vec()).collect();
            prop_assert!(intervals.windows(2).all(|pair| pair[0].1 < pair[1].0), "{:?}", intervals);
            prop_assert_eq!(ours.to_string().parse(), Ok(ours));
        }

        #[test]
        fn any_text_ends_without_panic(text in "[0-9a-f:,-]{0,80}") {
            let _ = text.parse::<MysqlGtids>();
        }
    }
}
