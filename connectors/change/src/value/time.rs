//! Dates and times as PostgreSQL prints them under DateStyle ISO and UTC (PG-52).

use jiff::civil::{Date, DateTime, Time};
use jiff::{Span, Timestamp};

use super::BadValue;

/// `YYYY-MM-DD`. Infinity, years before Christ and after 9999 are refused.
pub(super) fn date(text: &str) -> Result<Date, BadValue> {
    in_our_era(text)?;
    whole_date(text).ok_or(BadValue::new("not a date"))
}

/// `HH:MM:SS[.ffffff]`. `24:00:00` is refused: no CRM has it.
pub(super) fn time(text: &str) -> Result<Time, BadValue> {
    if text.starts_with("24:") {
        return Err(BadValue::new("24:00:00 is not a time of day"));
    }
    whole_time(text).ok_or(BadValue::new("not a time"))
}

/// `YYYY-MM-DD HH:MM:SS[.ffffff]`.
pub(super) fn datetime(text: &str) -> Result<DateTime, BadValue> {
    in_our_era(text)?;
    whole_datetime(text).ok_or(BadValue::new("not a date and time"))
}

/// The same with an offset behind it: `+00`, `+05:30`, `-03:04:05`.
pub(super) fn timestamp(text: &str) -> Result<Timestamp, BadValue> {
    in_our_era(text)?;
    let bad = BadValue::new("not an instant");
    // The date has hyphens too: the sign of the offset comes after the time's colons.
    let sign = text.rfind(['+', '-']).filter(|&at| at > 10).ok_or(bad)?;
    let (local, offset) = text.split_at_checked(sign).ok_or(bad)?;
    let local = whole_datetime(local).ok_or(bad)?;
    let east = offset_seconds(offset).ok_or(bad)?;
    let utc = local.checked_sub(Span::new().seconds(east)).map_err(|_| bad)?;
    let instant = jiff::tz::Offset::UTC.to_timestamp(utc);
    instant.map_err(|_| BadValue::new("an instant that is out of range"))
}

fn in_our_era(text: &str) -> Result<(), BadValue> {
    if matches!(text, "infinity" | "-infinity") {
        return Err(BadValue::new("infinity is not a date"));
    }
    if text.ends_with(" BC") {
        return Err(BadValue::new("a date before the year 1"));
    }
    if text.bytes().take_while(u8::is_ascii_digit).count() > 4 {
        return Err(BadValue::new("a date after the year 9999"));
    }
    Ok(())
}

fn whole_date(text: &str) -> Option<Date> {
    let &[y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2] = text.as_bytes() else { return None };
    let year = i16::from(digits(y1, y2)?) * 100 + i16::from(digits(y3, y4)?);
    if year == 0 {
        return None;
    }
    Date::new(year, digits(m1, m2)?, digits(d1, d2)?).ok()
}

fn whole_time(text: &str) -> Option<Time> {
    let (clock, fraction) = match text.split_once('.') {
        Some((clock, fraction)) => (clock, nanoseconds(fraction)?),
        None => (text, 0),
    };
    let &[h1, h2, b':', m1, m2, b':', s1, s2] = clock.as_bytes() else { return None };
    Time::new(digits(h1, h2)?, digits(m1, m2)?, digits(s1, s2)?, fraction).ok()
}

fn whole_datetime(text: &str) -> Option<DateTime> {
    let (date, time) = text.split_once([' ', 'T'])?;
    Some(whole_date(date)?.to_datetime(whole_time(time)?))
}

/// Seconds east of Greenwich, from `+HH`, `+HH:MM` or `+HH:MM:SS`.
fn offset_seconds(text: &str) -> Option<i64> {
    let (sign, clock) = text.split_at_checked(1)?;
    let mut seconds = 0;
    let mut unit = 3600;
    for part in clock.split(':') {
        let &[ten, one] = part.as_bytes() else { return None };
        seconds += i64::from(digits(ten, one)?) * unit;
        unit /= 60;
    }
    Some(if sign == "-" { -seconds } else { seconds })
}

fn digits(ten: u8, one: u8) -> Option<i8> {
    (ten.is_ascii_digit() && one.is_ascii_digit()).then(|| (ten - b'0').cast_signed() * 10 + (one - b'0').cast_signed())
}

/// Up to nine digits after the point.
fn nanoseconds(fraction: &str) -> Option<i32> {
    if fraction.is_empty() || fraction.len() > 9 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let given: i32 = fraction.parse().ok()?;
    Some(given * 10_i32.pow(9 - fraction.len() as u32))
}

#[cfg(test)]
mod tests {
    use crate::{Type, Value};

    fn check(ty: &Type, cells: &[(&str, &str)]) {
        for (cell, expect) in cells {
            let read = match Value::parse(ty, Some(cell.as_bytes())) {
                Ok(Value::Date(date)) => date.to_string(),
                Ok(Value::Time(time)) => time.to_string(),
                Ok(Value::DateTime(time)) => time.to_string(),
                Ok(Value::Timestamp(time)) => time.to_string(),
                Ok(other) => format!("{other:?}"),
                Err(bad) => bad.to_string(),
            };
            assert_eq!(&read, expect, "{ty:?} {cell:?}");
        }
    }

    #[test]
    fn pg_52_dates_outside_of_the_calendar_are_refused_never_1970() {
        check(
            &Type::Date,
            &[
                ("2024-02-29", "2024-02-29"),
                ("0001-01-01", "0001-01-01"),
                ("9999-12-31", "9999-12-31"),
                ("2023-02-29", "not a date"),
                ("infinity", "infinity is not a date"),
                ("-infinity", "infinity is not a date"),
                ("0044-03-15 BC", "a date before the year 1"),
                ("4713-01-01 BC", "a date before the year 1"),
                ("10000-01-01", "a date after the year 9999"),
                ("5874897-12-31", "a date after the year 9999"),
                ("0000-00-00", "not a date"),
                ("", "not a date"),
            ],
        );
    }

    #[test]
    fn pg_52_times() {
        check(
            &Type::Time,
            &[
                ("00:00:00", "00:00:00"),
                ("23:59:59.999999", "23:59:59.999999"),
                ("24:00:00", "24:00:00 is not a time of day"),
                ("12:00", "not a time"),
                ("12:00:00.", "not a time"),
                ("12:00:00+05:30", "not a time"),
            ],
        );
        check(
            &Type::DateTime,
            &[
                ("2024-01-31 10:00:00", "2024-01-31T10:00:00"),
                ("2024-01-31 10:00:00.5", "2024-01-31T10:00:00.5"),
                ("infinity", "infinity is not a date"),
                ("0044-03-15 12:00:00 BC", "a date before the year 1"),
                ("294276-12-31 23:59:59", "a date after the year 9999"),
                ("2024-01-31", "not a date and time"),
            ],
        );
    }

    #[test]
    fn pg_52_instants_with_any_offset() {
        check(
            &Type::Timestamp,
            &[
                ("2024-01-31 10:00:00+00", "2024-01-31T10:00:00Z"),
                ("2024-01-31 10:00:00.123456+00", "2024-01-31T10:00:00.123456Z"),
                ("2024-01-31 10:00:00+05:30", "2024-01-31T04:30:00Z"),
                ("1890-01-01 00:00:00-03:04:05", "1890-01-01T03:04:05Z"),
                ("-infinity", "infinity is not a date"),
                ("4714-11-24 00:00:00+00 BC", "a date before the year 1"),
                ("294276-12-31 23:59:59.999999+00", "a date after the year 9999"),
                ("9999-12-31 23:59:59+00", "an instant that is out of range"),
                ("2024-01-31 10:00:00", "not an instant"),
                ("2024-01-31", "not an instant"),
                ("2024-01-31 10:00:00+", "not an instant"),
            ],
        );
    }
}
