//! A column's bytes to the canonical text of its value: the same that PostgreSQL's codec gives for the same datum.
//!
//! What cannot be decoded is neither dropped nor written as null: its cell is the byte `FF`, which no UTF-8 has, and the
//! bytes as they came, so that whoever reads the cell refuses it ([`passerelle_change::Value::parse`]).

#![deny(clippy::indexing_slicing)]

mod charset;
mod geometry;
mod json;
mod number;
mod time;

use std::net::{Ipv4Addr, Ipv6Addr};

pub use charset::{Charset, NotText};

use crate::wire::{Layout, Malformed, Reader, open_column};
use time::Calendar;

/// What is made of dates that no calendar has: zero dates, dates with a part missing, a 31st of February (MY-62).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ZeroDates {
    /// Null.
    #[default]
    Null,
    /// Their text; the columns of dates are columns of text then.
    Text,
    /// Their text in a column of dates: what reads them refuses them, which makes the record a dead letter.
    DeadLetter,
}

/// How the values of a column become text.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Codec {
    /// An integer of that many bytes with a sign.
    Signed(u8),
    /// The same without.
    Unsigned(u8),
    /// TINYINT(1) that is a yes or no: `t` for 1, `f` for 0, and any other number as it is, which nobody takes for either
    /// (MY-70).
    Bool,
    /// DECIMAL: digits in all and behind the point.
    Decimal(u8, u8),
    /// FLOAT.
    Single,
    /// DOUBLE.
    Double,
    /// DATE.
    Date,
    /// YEAR.
    Year,
    /// TIME with that many digits of fractions.
    Time(u8),
    /// DATETIME.
    DateTime(u8),
    /// TIMESTAMP.
    Timestamp(u8),
    /// The three as they were before MySQL 5.6 (MY-67).
    OldTime(u8),
    /// The three as they were before MySQL 5.6 (MY-67).
    OldDateTime(u8),
    /// The three as they were before MySQL 5.6 (MY-67).
    OldTimestamp(u8),
    /// Text.
    Text(Charset),
    /// Text of a compressed column of MariaDB.
    CompressedText(Charset),
    /// Bytes; those of BINARY are filled up with zeros to that length (MY-72).
    Bytes(u16),
    /// Bytes of a compressed column.
    CompressedBytes,
    /// ENUM: its labels, in UTF-8.
    Enum(Box<[Box<str>]>),
    /// SET: its labels, in UTF-8.
    Set(Box<[Box<str>]>),
    /// BIT of that many bits.
    Bit(u16),
    /// JSON of MySQL.
    Json,
    /// Geometry.
    Geometry,
    /// VECTOR of MySQL.
    Vector,
    /// UUID of MariaDB.
    Uuid,
    /// INET4 of MariaDB.
    Inet4,
    /// INET6 of MariaDB.
    Inet6,
}

/// What was written of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// Its text.
    Text,
    /// Nothing: it is null.
    Null,
}

impl Codec {
    /// Replaces `out` by the text of the value. `room` is for what is inflated on the way.
    pub fn write(&self, bytes: &[u8], zero_dates: ZeroDates, room: &mut Vec<u8>, out: &mut Vec<u8>) -> Written {
        out.clear();
        match self.push(bytes, room, out) {
            Ok(Calendar::Real) => Written::Text,
            Ok(Calendar::NotADate) => match zero_dates {
                ZeroDates::Null => Written::Null,
                ZeroDates::Text | ZeroDates::DeadLetter => Written::Text,
            },
            Err(_) => {
                undecodable(bytes, out);
                Written::Text
            }
        }
    }

    /// Replaces `out` by the text of the JSON document that `before` becomes by `diff` (MY-57).
    pub fn write_diff(before: &[u8], diff: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
        out.clear();
        json::apply(before, diff, out)
    }

    fn push(&self, bytes: &[u8], room: &mut Vec<u8>, out: &mut Vec<u8>) -> Result<Calendar, Malformed> {
        let mut read = Reader(bytes);
        match self {
            Self::Signed(wide) => number::push_int(number::signed(read.uint(usize::from(*wide))?, *wide), out),
            Self::Unsigned(wide) => number::push_uint(read.uint(usize::from(*wide))?, out),
            Self::Bool => match number::signed(read.uint(1)?, 1) {
                0 => out.push(b'f'),
                1 => out.push(b't'),
                other => number::push_int(other, out),
            },
            Self::Decimal(precision, scale) => number::push_decimal(bytes, *precision, *scale, out)?,
            Self::Single => number::push_single(f32::from_bits(read.u32()?), out),
            Self::Double => number::push_double(f64::from_bits(read.u64()?), out),
            Self::Date => return time::push_date(bytes, out),
            Self::Year => time::push_year(bytes, out)?,
            Self::Time(digits) => time::push_time(bytes, *digits, out)?,
            Self::DateTime(digits) => return time::push_datetime(bytes, *digits, out),
            Self::Timestamp(digits) => return time::push_timestamp(bytes, *digits, out),
            Self::OldTime(digits) => time::push_old_time(bytes, *digits, out)?,
            Self::OldDateTime(digits) => return time::push_old_datetime(bytes, *digits, out),
            Self::OldTimestamp(digits) => return time::push_old_timestamp(bytes, *digits, out),
            Self::Text(charset) => push_text(*charset, bytes, out)?,
            Self::CompressedText(charset) => push_text(*charset, open_column(bytes, room)?, out)?,
            Self::Bytes(length) => push_hex(bytes, usize::from(*length), out),
            Self::CompressedBytes => push_hex(open_column(bytes, room)?, 0, out),
            Self::Enum(labels) => push_label(labels, read.uint(bytes.len().min(2))?, out)?,
            Self::Set(labels) => push_labels(labels, read.uint(bytes.len().min(8))?, out)?,
            Self::Bit(bits) => {
                let n = read.uint_be(bytes.len().min(8))?;
                out.extend((0..*bits).rev().map(|bit| b'0' + (n >> bit & 1) as u8));
            }
            Self::Json => json::push_text(bytes, out)?,
            Self::Geometry => geometry::push_text(bytes, out)?,
            Self::Vector => push_vector(bytes, out)?,
            Self::Uuid => push_uuid(&padded::<16>(bytes)?, out),
            Self::Inet4 => {
                let address = Ipv4Addr::from(padded::<4>(bytes)?);
                out.extend_from_slice(address.to_string().as_bytes());
            }
            Self::Inet6 => push_inet6(padded::<16>(bytes)?, out),
        }
        Ok(Calendar::Real)
    }
}

/// The codec that reads values of a layout, where nothing but the layout and what the table map or the catalogue says
/// of it is known.
pub(crate) fn codec_of(layout: Layout, unsigned: bool, charset: Option<Charset>, labels: &[Box<str>]) -> Codec {
    let charset = charset.unwrap_or(Charset::Utf8);
    let is_binary = charset == Charset::Binary;
    match layout {
        Layout::Int(wide) if unsigned => Codec::Unsigned(wide),
        Layout::Int(wide) => Codec::Signed(wide),
        Layout::Decimal { precision, scale } => Codec::Decimal(precision, scale),
        Layout::Float => Codec::Single,
        Layout::Double => Codec::Double,
        Layout::Date => Codec::Date,
        Layout::Year => Codec::Year,
        Layout::Time(digits) => Codec::Time(digits),
        Layout::DateTime(digits) => Codec::DateTime(digits),
        Layout::Timestamp(digits) => Codec::Timestamp(digits),
        Layout::OldTime(digits) => Codec::OldTime(digits),
        Layout::OldDateTime(digits) => Codec::OldDateTime(digits),
        Layout::OldTimestamp(digits) => Codec::OldTimestamp(digits),
        Layout::Char(length) if is_binary => Codec::Bytes(length),
        Layout::Varchar(_) | Layout::Blob(_) if is_binary => Codec::Bytes(0),
        Layout::Char(_) | Layout::Varchar(_) | Layout::Blob(_) => Codec::Text(charset),
        Layout::CompressedVarchar(_) | Layout::CompressedBlob(_) if is_binary => Codec::CompressedBytes,
        Layout::CompressedVarchar(_) | Layout::CompressedBlob(_) => Codec::CompressedText(charset),
        Layout::Enum(_) => Codec::Enum(labels.into()),
        Layout::Set(_) => Codec::Set(labels.into()),
        Layout::Bit(bits) => Codec::Bit(bits),
        Layout::Json(_) | Layout::TypedArray => Codec::Json,
        Layout::Geometry(_) => Codec::Geometry,
        Layout::Vector(_) => Codec::Vector,
    }
}

/// Replaces `out` by a cell that no type reads, with the bytes in it.
pub(crate) fn undecodable(bytes: &[u8], out: &mut Vec<u8>) {
    out.clear();
    out.push(0xff);
    out.extend_from_slice(bytes);
}

fn push_text(charset: Charset, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    charset.push_utf8(bytes, out).map_err(|NotText| Malformed("a text with bytes that its character set does not have"))
}

/// `\x` and the digits; zeros up to `length` bytes.
fn push_hex(bytes: &[u8], length: usize, out: &mut Vec<u8>) {
    out.reserve(2 + 2 * bytes.len().max(length));
    out.extend_from_slice(b"\\x");
    for byte in bytes {
        push_hex_byte(*byte, out);
    }
    for _ in bytes.len()..length {
        out.extend_from_slice(b"00");
    }
}

fn push_hex_byte(byte: u8, out: &mut Vec<u8>) {
    const HEX: &[u8; 16] = b"0123456789abcdef";
    let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
    out.extend_from_slice(&[digit(byte >> 4), digit(byte & 15)]);
}

/// The label of that number, from 1 on; 0 is the empty text of a value that was none (MY-65).
fn push_label(labels: &[Box<str>], number: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
    if let Some(at) = number.checked_sub(1) {
        let label = usize::try_from(at).ok().and_then(|at| labels.get(at));
        out.extend_from_slice(label.ok_or(Malformed("a label that the column does not have"))?.as_bytes());
    }
    Ok(())
}

fn push_labels(labels: &[Box<str>], bits: u64, out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut separator: &[u8] = b"";
    let mut rest = bits;
    for (at, label) in labels.iter().enumerate().take(64) {
        if bits >> at & 1 == 1 {
            out.extend_from_slice(separator);
            out.extend_from_slice(label.as_bytes());
            separator = b",";
            rest &= !(1 << at);
        }
    }
    if rest == 0 { Ok(()) } else { Err(Malformed("a label that the column does not have")) }
}

/// As pgvector prints it.
fn push_vector(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    if !rest.is_empty() {
        return Err(Malformed("a vector with a part of a number"));
    }
    out.push(b'[');
    for (at, number) in numbers.iter().enumerate() {
        out.extend_from_slice(if at > 0 { b"," } else { b"" });
        number::push_single(f32::from_le_bytes(*number), out);
    }
    out.push(b']');
    Ok(())
}

/// Trailing zeros are cut off in the log (MY-72, MY-77).
fn padded<const N: usize>(bytes: &[u8]) -> Result<[u8; N], Malformed> {
    let mut whole = [0; N];
    whole.get_mut(..bytes.len()).ok_or(Malformed("an address that is too long"))?.copy_from_slice(bytes);
    Ok(whole)
}

fn push_uuid(bytes: &[u8; 16], out: &mut Vec<u8>) {
    for (at, byte) in bytes.iter().enumerate() {
        if matches!(at, 4 | 6 | 8 | 10) {
            out.push(b'-');
        }
        push_hex_byte(*byte, out);
    }
}

/// As the server prints it: the longest run of zeros as `::`, even of one group, and an address of IPv4 that stands behind
/// nothing or `ffff` in its own form.
fn push_inet6(bytes: [u8; 16], out: &mut Vec<u8>) {
    let groups = Ipv6Addr::from(bytes).segments();
    let (mut gap, mut run) = ((0, 0), (0, 0));
    for (at, group) in groups.iter().enumerate() {
        run = if *group == 0 { (if run.1 == 0 { at } else { run.0 }, run.1 + 1) } else { (0, 0) };
        gap = if run.1 > gap.1 { run } else { gap };
    }
    let [.., high, low] = groups;
    let old = Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low));
    let mut text = String::new();
    let hex = |groups: &[u16]| groups.iter().map(|group| format!("{group:x}")).collect::<Vec<_>>().join(":");
    match (gap, &groups) {
        ((0, 6), _) => text = format!("::{old}"),
        ((0, 5), [.., 0xffff, _, _]) => text = format!("::ffff:{old}"),
        ((_, 0), groups) => text.push_str(&hex(groups.as_slice())),
        ((at, length), groups) => {
            text.push_str(&hex(groups.get(..at).unwrap_or_default()));
            text.push_str("::");
            text.push_str(&hex(groups.get(at + length..).unwrap_or_default()));
        }
    }
    out.extend_from_slice(text.as_bytes());
}

/// Base64 as the server writes it into JSON: a line of 76 letters, then the escape of a line's end.
fn base64(bytes: &[u8], out: &mut Vec<u8>) {
    const LETTERS: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let letter = |n: u32| LETTERS.get((n & 63) as usize).copied().unwrap_or(b'=');
    for (at, chunk) in bytes.chunks(3).enumerate() {
        if at > 0 && at % 19 == 0 {
            out.extend_from_slice(b"\\n");
        }
        let byte = |at: usize| u32::from(chunk.get(at).copied().unwrap_or(0));
        let n = byte(0) << 16 | byte(1) << 8 | byte(2);
        let pad = |letter: u8, is_there: bool| if is_there { letter } else { b'=' };
        out.extend_from_slice(&[
            letter(n >> 18),
            letter(n >> 12),
            pad(letter(n >> 6), chunk.len() > 1),
            pad(letter(n), chunk.len() > 2),
        ]);
    }
}

/// A float as the server prints it in JSON and WKT: digits with a point where 15 places before or behind it do, else with
/// an exponent.
fn push_gcvt(n: f64, out: &mut Vec<u8>) {
    let scientific = format!("{n:e}");
    let exponent: i32 = scientific.split_once('e').and_then(|(_, digits)| digits.parse().ok()).unwrap_or(0);
    let text = if (-15..15).contains(&exponent) || !n.is_finite() { format!("{n}") } else { scientific };
    out.extend_from_slice(text.as_bytes());
}

#[cfg(test)]
mod tests;
