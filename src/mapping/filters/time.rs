//! Filters on dates and times.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, date};
use jiff::fmt::strtime::{self, BrokenDownTime};
use jiff::tz::TimeZone;
use passerelle_change::Value;

use super::WRONG_KIND;
use crate::mapping::program::{Bad, Yield};

const BAD_DATE: Bad = Bad("not a date of the expected form");
const BAD_TIME: Bad = Bad("not a date and time of the expected form");
const BAD_CLOCK: Bad = Bad("not a time of day of the expected form");

/// How text is read, and the zone of times that have none.
#[derive(Debug)]
pub(in crate::mapping) struct Form {
    /// In strptime's words; ISO 8601 when there is none.
    format: Option<String>,
    zone: TimeZone,
    /// The zone of naive times, where dates and times of day are taken in another one.
    naive: Option<TimeZone>,
}

impl Form {
    /// `None` when it is not a form: no part of a date in it, or a directive that does not exist.
    pub(in crate::mapping) fn new(written: Option<&str>, zone: TimeZone) -> Option<Self> {
        let Some(written) = written else { return Some(Self { format: None, zone, naive: None }) };
        let format = if written.contains('%') { written.to_owned() } else { directives(written) };
        let sample = date(2024, 1, 31).at(10, 20, 30, 0);
        let printed = strtime::format(&format, &sample.to_zoned(TimeZone::UTC).ok()?).ok()?;
        let read = BrokenDownTime::parse(&format, &printed).ok()?;
        (read.to_date().ok()? == sample.date()).then_some(Self { format: Some(format), zone, naive: None })
    }

    /// The same for times of day: `None` when there is no hour in it.
    pub(super) fn of_times(written: Option<&str>, zone: TimeZone) -> Option<Self> {
        let Some(written) = written else { return Some(Self { format: None, zone, naive: None }) };
        let format = if written.contains('%') { written.to_owned() } else { directives(written) };
        let printed = strtime::format(&format, date(2024, 1, 31).at(10, 20, 30, 0)).ok()?;
        let read = BrokenDownTime::parse(&format, &printed).ok()?;
        (read.to_time().ok()?.hour() == 10).then_some(Self { format: Some(format), zone, naive: None })
    }

    /// With the zone that naive times are of: their date or time of day is then taken in the form's own zone, as an
    /// instant's is.
    pub(super) fn with_naive_in(self, zone: TimeZone) -> Self {
        Self { naive: (zone != self.zone).then_some(zone), ..self }
    }

    /// A naive time as the clocks of the form's zone show it.
    fn shown(&self, time: DateTime) -> Result<DateTime, Bad> {
        match &self.naive {
            Some(naive) => at(time, naive).map(|instant| self.zone.to_datetime(instant)),
            None => Ok(time),
        }
    }

    pub(super) fn date<'v>(&self, value: Value<'v>) -> Yield<'v> {
        match value {
            Value::Date(_) => Ok(value),
            Value::DateTime(time) => self.shown(time).map(|time| Value::Date(time.date())),
            Value::Timestamp(time) => Ok(Value::Date(self.zone.to_datetime(time).date())),
            Value::Text(text) => match (text.trim(), &self.format) {
                (text, _) if is_nothing(text) => Ok(Value::Null),
                (text, Some(format)) => {
                    let read = BrokenDownTime::parse(format, text).and_then(|read| read.to_date());
                    read.map_err(|_| BAD_DATE).and_then(in_our_era).map(Value::Date)
                }
                (text, None) => text.parse().map_err(|_| BAD_DATE).and_then(in_our_era).map(Value::Date),
            },
            _ => Err(WRONG_KIND),
        }
    }

    pub(super) fn datetime<'v>(&self, value: Value<'v>) -> Yield<'v> {
        match value {
            Value::Timestamp(_) => Ok(value),
            Value::Date(date) => at(date.into(), &self.zone).map(Value::Timestamp),
            Value::DateTime(time) => at(time, &self.zone).map(Value::Timestamp),
            Value::Text(text) => match (text.trim(), &self.format) {
                (text, _) if is_nothing(text) => Ok(Value::Null),
                (text, Some(format)) => self.formatted(format, text).map(Value::Timestamp),
                (text, None) => instant(text, &self.zone).map(Value::Timestamp),
            },
            _ => Err(WRONG_KIND),
        }
    }

    pub(super) fn time<'v>(&self, value: Value<'v>) -> Yield<'v> {
        match value {
            Value::Time(_) => Ok(value),
            Value::DateTime(time) => self.shown(time).map(|time| Value::Time(time.time())),
            Value::Timestamp(time) => Ok(Value::Time(self.zone.to_datetime(time).time())),
            Value::Text(text) => match (text.trim(), &self.format) {
                ("", _) => Ok(Value::Null),
                (text, Some(format)) => {
                    let read = BrokenDownTime::parse(format, text).and_then(|read| read.to_time());
                    read.map(Value::Time).map_err(|_| BAD_CLOCK)
                }
                (text, None) => text.parse().map(Value::Time).map_err(|_| BAD_CLOCK),
            },
            _ => Err(WRONG_KIND),
        }
    }

    fn formatted(&self, format: &str, text: &str) -> Result<Timestamp, Bad> {
        let read = BrokenDownTime::parse(format, text).map_err(|_| BAD_TIME)?;
        if read.offset().is_some() || read.iana_time_zone().is_some() {
            return read.to_timestamp().map_err(|_| BAD_TIME);
        }
        let time = read.to_datetime().or_else(|_| read.to_date().map(DateTime::from)).map_err(|_| BAD_TIME)?;
        in_our_era(time.date()).map_err(|_| BAD_TIME)?;
        at(time, &self.zone)
    }
}

/// An instant from ISO 8601, with an offset or naive; a date is its midnight.
pub(in crate::mapping) fn instant(text: &str, zone: &TimeZone) -> Result<Timestamp, Bad> {
    if let Ok(instant) = text.parse::<Timestamp>() {
        return Ok(instant);
    }
    let time: DateTime = text.parse().map_err(|_| BAD_TIME)?;
    in_our_era(time.date()).map_err(|_| BAD_TIME)?;
    at(time, zone)
}

/// The instant of a naive time. One that the clocks skipped is taken as an hour later, one that came twice as the first.
pub(in crate::mapping) fn at(time: DateTime, zone: &TimeZone) -> Result<Timestamp, Bad> {
    zone.to_ambiguous_timestamp(time).compatible().map_err(|_| Bad("an instant that is out of range"))
}

/// Empty text, and the zero date by which MySQL says that there is none.
fn is_nothing(text: &str) -> bool {
    text.is_empty() || text.starts_with("0000-00-00")
}

fn in_our_era(date: Date) -> Result<Date, Bad> {
    if date.year() >= 1 { Ok(date) } else { Err(BAD_DATE) }
}

/// `DD/MM/YYYY` as `%d/%m/%Y`.
fn directives(written: &str) -> String {
    const PARTS: &[(&str, &str)] = &[
        ("YYYY", "%Y"),
        ("YY", "%y"),
        ("MM", "%m"),
        ("DD", "%d"),
        ("HH", "%H"),
        ("mm", "%M"),
        ("ss", "%S"),
        ("SS", "%S"),
    ];
    let mut out = String::with_capacity(written.len());
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        if let Some((part, directive)) = PARTS.iter().find(|(part, _)| rest.starts_with(part)) {
            out.push_str(directive);
            rest = &rest[part.len()..];
        } else {
            out.push(c);
            rest = &rest[c.len_utf8()..];
        }
    }
    out
}

/// A form as other programs write it (`dd/MM/yyyy`, `jj/mm/aaaa`, `d.m.Y`), in our letters; `None` where that is none.
pub(super) fn translated(written: &str) -> Option<String> {
    let mut ours = String::new();
    let mut hours = false;
    let mut rest = written;
    while let Some(c) = rest.chars().next() {
        let length = rest.find(|other| other != c).unwrap_or(rest.len());
        let part = match (c.to_ascii_lowercase(), length) {
            ('y' | 'a', 2) => "YY",
            ('y' | 'a', _) | ('j', 4) => "YYYY",
            ('d' | 'j' | 't', _) if c != 'T' || length > 1 => "DD",
            ('m' | 'i', _) if hours => "mm",
            ('m' | 'n', _) => "MM",
            ('h' | 'g', _) => "HH",
            ('s', _) => "ss",
            _ => &rest[..length],
        };
        hours |= part == "HH";
        ours.push_str(part);
        rest = &rest[length..];
    }
    let utc = TimeZone::UTC;
    let is_form = Form::new(Some(&ours), utc.clone()).is_some() || Form::of_times(Some(&ours), utc).is_some();
    (ours != written && is_form).then_some(ours)
}
