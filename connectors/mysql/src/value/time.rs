//! Dates and times (MY-62 to MY-64, MY-67, MY-68), printed as PostgreSQL prints them under DateStyle ISO and UTC.

use super::number::{push_padded, push_uint};
use crate::wire::{Malformed, Reader};

/// What is printed, and whether the calendar has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Calendar {
    /// A day that there was or will be.
    Real,
    /// A zero date, a date with a part missing, or a 31st of February (MY-62).
    NotADate,
}

/// A date: year in the high bits, month in four, day in five.
pub(super) fn push_date(bytes: &[u8], out: &mut Vec<u8>) -> Result<Calendar, Malformed> {
    let packed = Reader(bytes).uint(3)?;
    Ok(push_day(packed >> 9, packed >> 5 & 15, packed & 31, out))
}

/// A year; 0 is the year 0000 and not 1900 (MY-64).
pub(super) fn push_year(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match Reader(bytes).u8()? {
        0 => out.extend_from_slice(b"0000"),
        since => push_uint(1900 + u64::from(since), out),
    }
    Ok(())
}

/// A TIME as MySQL 5.6 and later store it: hours in ten bits, minutes and seconds in six each, and a fraction, all
/// offset so that the bytes sort.
pub(super) fn push_time(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    // The offset is the highest bit; fractions are below the 24 bits, however many bytes they have.
    let fraction_bits = u32::from(digits.div_ceil(2)) * 8;
    let stored = Reader(bytes).uint_be(bytes.len().min(8))?.cast_signed();
    let n = stored - (0x80_0000 << fraction_bits);
    if n < 0 {
        out.push(b'-');
    }
    let n = n.unsigned_abs();
    let (clock, fraction) = (n >> fraction_bits, n & ((1 << fraction_bits) - 1));
    push_clock(clock >> 12 & 0x3ff, clock >> 6 & 63, clock & 63, micros(fraction, digits), out);
    Ok(())
}

/// A DATETIME as MySQL 5.6 and later store it: year × 13 + month, day, hours, minutes and seconds in 40 bits.
pub(super) fn push_datetime(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<Calendar, Malformed> {
    let mut read = Reader(bytes);
    let packed = read.uint_be(5)?.wrapping_sub(0x80_0000_0000) & 0x7f_ffff_ffff;
    let fraction = read.uint_be(usize::from(digits.div_ceil(2)))?;
    Ok(push_packed_datetime(packed, micros(fraction, digits), out))
}

/// The date and time of 39 bits.
pub(super) fn push_packed_datetime(packed: u64, micros: u64, out: &mut Vec<u8>) -> Calendar {
    let year_month = packed >> 22;
    let calendar = push_day(year_month / 13, year_month % 13, packed >> 17 & 31, out);
    out.push(b' ');
    push_clock(packed >> 12 & 31, packed >> 6 & 63, packed & 63, micros, out);
    calendar
}

/// A TIMESTAMP as MySQL 5.6 and later store it: seconds since 1970, big-endian, and a fraction. 0 is the zero date.
pub(super) fn push_timestamp(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<Calendar, Malformed> {
    let mut read = Reader(bytes);
    let seconds = read.uint_be(4)?;
    let fraction = read.uint_be(usize::from(digits.div_ceil(2)))?;
    Ok(push_instant(seconds, micros(fraction, digits), out))
}

/// One more than the longest time.
const OLD_TIME_OFFSET_SECONDS: i64 = 838 * 3600 + 59 * 60 + 59 + 1;

/// A TIME of before (MY-67). Without fractions a signed HHMMSS; with them, of MariaDB, microseconds offset so that the
/// bytes sort.
pub(super) fn push_old_time(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<(), Malformed> {
    if digits == 0 {
        let n = super::number::signed(Reader(bytes).uint(3)?, 3);
        if n < 0 {
            out.push(b'-');
        }
        let n = n.unsigned_abs();
        push_clock(n / 10_000, n / 100 % 100, n % 100, 0, out);
        return Ok(());
    }
    let scale = 10_i64.pow(u32::from(digits.min(6)));
    let n = Reader(bytes).uint_be(bytes.len().min(8))?.cast_signed() - OLD_TIME_OFFSET_SECONDS * scale;
    if n < 0 {
        out.push(b'-');
    }
    let n = n.unsigned_abs();
    let (seconds, fraction) = (n / scale.unsigned_abs(), n % scale.unsigned_abs());
    push_clock(seconds / 3600, seconds / 60 % 60, seconds % 60, scaled(fraction, digits), out);
    Ok(())
}

/// A DATETIME of before (MY-67). Without fractions the number YYYYMMDDhhmmss; with them, of MariaDB, units of the last
/// digit in a calendar of 13 months and 32 days.
pub(super) fn push_old_datetime(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<Calendar, Malformed> {
    if digits == 0 {
        let n = Reader(bytes).u64()?;
        let (date, clock) = (n / 1_000_000, n % 1_000_000);
        let calendar = push_day(date / 10_000, date / 100 % 100, date % 100, out);
        out.push(b' ');
        push_clock(clock / 10_000, clock / 100 % 100, clock % 100, 0, out);
        return Ok(calendar);
    }
    let scale = 10_u64.pow(u32::from(digits.min(6)));
    let n = Reader(bytes).uint_be(bytes.len().min(8))?;
    let (seconds, fraction) = (n / scale, n % scale);
    let days = seconds / 86_400;
    let calendar = push_day(days / 32 / 13, days / 32 % 13, days % 32, out);
    out.push(b' ');
    push_clock(seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, scaled(fraction, digits), out);
    Ok(calendar)
}

/// A TIMESTAMP of before (MY-67): little-endian without fractions, big-endian with them.
pub(super) fn push_old_timestamp(bytes: &[u8], digits: u8, out: &mut Vec<u8>) -> Result<Calendar, Malformed> {
    let mut read = Reader(bytes);
    if digits == 0 {
        return Ok(push_instant(u64::from(read.u32()?), 0, out));
    }
    let seconds = read.uint_be(4)?;
    let fraction = read.uint_be(read.0.len().min(3))?;
    Ok(push_instant(seconds, scaled(fraction, digits), out))
}

fn push_instant(seconds: u64, micros: u64, out: &mut Vec<u8>) -> Calendar {
    if seconds == 0 && micros == 0 {
        out.extend_from_slice(b"0000-00-00 00:00:00");
        return Calendar::NotADate;
    }
    let (year, month, day) = civil(seconds / 86_400);
    let calendar = push_day(year, month, day, out);
    out.push(b' ');
    push_clock(seconds / 3600 % 24, seconds / 60 % 60, seconds % 60, micros, out);
    out.extend_from_slice(b"+00");
    calendar
}

fn push_day(year: u64, month: u64, day: u64, out: &mut Vec<u8>) -> Calendar {
    push_padded(year, 4, out);
    out.push(b'-');
    push_padded(month, 2, out);
    out.push(b'-');
    push_padded(day, 2, out);
    let days = match month {
        1 | 3 | 5 | 7 | 8 | 10 | 12 => 31,
        4 | 6 | 9 | 11 => 30,
        2 if year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400)) => 29,
        2 => 28,
        _ => 0,
    };
    if year > 0 && (1..=days).contains(&day) { Calendar::Real } else { Calendar::NotADate }
}

fn push_clock(hours: u64, minutes: u64, seconds: u64, micros: u64, out: &mut Vec<u8>) {
    push_padded(hours, 2, out);
    out.push(b':');
    push_padded(minutes, 2, out);
    out.push(b':');
    push_padded(seconds, 2, out);
    if micros > 0 {
        out.push(b'.');
        push_padded(micros, 6, out);
        while out.last() == Some(&b'0') {
            out.pop();
        }
    }
}

/// Microseconds of a fraction as it is stored: hundredths, ten-thousandths or millionths.
fn micros(fraction: u64, digits: u8) -> u64 {
    fraction
        * match digits {
            1 | 2 => 10_000,
            3 | 4 => 100,
            _ => 1,
        }
}

/// Microseconds of a fraction in units of its last digit.
fn scaled(fraction: u64, digits: u8) -> u64 {
    fraction.saturating_mul(10_u64.pow(u32::from(6 - digits.min(6))))
}

/// The day that is so many after 1970-01-01. (Eras of 400 years, which all have as many days.)
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + 719_468;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * from_march + 2) / 5 + 1;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    (era * 400 + year + u64::from(month <= 2), month, day)
}

#[cfg(test)]
#[allow(clippy::indexing_slicing, reason = "a test fails by panicking, and reads better")]
mod tests {
    use super::*;

    fn text(push: impl FnOnce(&mut Vec<u8>) -> Calendar) -> String {
        let mut out = Vec::new();
        let calendar = push(&mut out);
        let mark = if calendar == Calendar::NotADate { " not a date" } else { "" };
        format!("{}{mark}", String::from_utf8(out).unwrap())
    }

    fn date(year: u32, month: u32, day: u32) -> String {
        let packed = (year << 9 | month << 5 | day).to_le_bytes();
        text(|out| push_date(&packed[..3], out).unwrap())
    }

    #[test]
    fn my_62_zero_and_partial_dates_are_told_apart() {
        assert_eq!(date(2024, 2, 29), "2024-02-29");
        assert_eq!(date(9999, 12, 31), "9999-12-31");
        assert_eq!(date(0, 0, 0), "0000-00-00 not a date");
        assert_eq!(date(2024, 0, 0), "2024-00-00 not a date");
        assert_eq!(date(2023, 2, 29), "2023-02-29 not a date");
        assert_eq!(date(0, 1, 1), "0000-01-01 not a date");
        assert_eq!(text(|out| push_timestamp(&[0; 4], 0, out).unwrap()), "0000-00-00 00:00:00 not a date");
        assert_eq!(text(|out| push_datetime(&[0x80, 0, 0, 0, 0], 0, out).unwrap()), "0000-00-00 00:00:00 not a date");
    }

    fn time(bytes: &[u8], digits: u8) -> String {
        let mut out = Vec::new();
        push_time(bytes, digits, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn my_63_times_are_signed_and_long() {
        assert_eq!(time(&[0x80, 0, 0], 0), "00:00:00");
        assert_eq!(time(&[0xb4, 0x6e, 0xfb], 0), "838:59:59");
        assert_eq!(time(&[0x4b, 0x91, 0x05], 0), "-838:59:59");
        assert_eq!(time(&[0x7f, 0xff, 0xff, 0xff], 2), "-00:00:00.01");
        assert_eq!(time(&[0x80, 0, 0, 0x0f, 0x42, 0x3f], 6), "00:00:00.999999");
        assert_eq!(time(&[0x7f, 0xff, 0xff, 0xf0, 0xbd, 0xc1], 6), "-00:00:00.999999");
    }

    #[test]
    fn my_64_years() {
        let year = |byte| {
            let mut out = Vec::new();
            push_year(&[byte], &mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        assert_eq!([year(0), year(1), year(255)], ["0000", "1901", "2155"]);
    }

    #[test]
    fn my_68_timestamps_are_instants() {
        assert_eq!(text(|out| push_timestamp(&1_u32.to_be_bytes(), 0, out).unwrap()), "1970-01-01 00:00:01+00");
        assert_eq!(text(|out| push_timestamp(&u32::MAX.to_be_bytes(), 0, out).unwrap()), "2106-02-07 06:28:15+00");
        let bytes = [&951_782_400_u32.to_be_bytes()[..], &[50]].concat();
        assert_eq!(text(|out| push_timestamp(&bytes, 1, out).unwrap()), "2000-02-29 00:00:00.5+00");
    }

    #[test]
    fn my_67_old_forms() {
        let old = |n: u64| text(|out| push_old_datetime(&n.to_le_bytes(), 0, out).unwrap());
        assert_eq!(old(20_240_131_235_959), "2024-01-31 23:59:59");
        assert_eq!(old(0), "0000-00-00 00:00:00 not a date");
        let mut out = Vec::new();
        push_old_time(&[0xff, 0xff, 0xff], 0, &mut out).unwrap();
        assert_eq!(out, b"-00:00:01");
        assert_eq!(text(|out| push_old_timestamp(&[1, 0, 0, 0], 0, out).unwrap()), "1970-01-01 00:00:01+00");
    }

    #[test]
    fn every_day_of_the_calendar_is_one_after_the_one_before() {
        let mut before = civil(0);
        assert_eq!(before, (1970, 1, 1));
        for days in 1..50_000 {
            let (year, month, day) = civil(days);
            let next =
                if day == 1 { if month == 1 { (year - 1, 12) } else { (year, month - 1) } } else { (year, month) };
            assert_eq!((before.0, before.1), next);
            assert!(day == 1 || before.2 + 1 == day);
            before = (year, month, day);
        }
    }
}
