//! A column of a result, in the text protocol and its own character set, to the canonical text that the stream has for the
//! same datum (SN-09). Pure.
//!
//! Where the server's text of a value is not the one that the log's bytes give, the bytes that the log would have are made
//! from it, and the stream's own codec reads them: there is one way to print a date, a float or an invalid text.

use passerelle_change::Type;

use crate::sql::{identifier, literal};
use crate::value::{Charset, Codec, Written, ZeroDates, undecodable};

/// How the values of a column are asked for and read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Form {
    /// `tinyint(1)` that is taken for a boolean.
    Bool,
    /// A number that may have zeros before it (ZEROFILL).
    Number,
    /// FLOAT: the server's text of it has six digits (MY-71), that of a double all of them.
    Single,
    /// DOUBLE: that of one with declared digits is cut, too.
    Double,
    Date,
    DateTime,
    Timestamp,
    Time,
    /// YEAR: a text of 0000 is taken for 2000 where it is compared.
    Year,
    /// Bytes as they are in the column: text, BIT, geometry, vectors.
    Coded(Codec),
    /// Text that is the same everywhere: UUID, addresses, JSON of MySQL.
    Plain,
}

impl Form {
    /// By `COLUMN_TYPE` of the catalogue, the character set, and what the column is taken for.
    pub(super) fn of(column_type: &str, charset: Option<Charset>, ty: &Type) -> Self {
        let lower = column_type.to_ascii_lowercase();
        let word = lower.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default();
        match word {
            "tinyint" if *ty == Type::Bool => Self::Bool,
            "tinyint" | "smallint" | "mediumint" | "int" | "bigint" | "decimal" => Self::Number,
            "float" => Self::Single,
            "double" => Self::Double,
            "date" => Self::Date,
            "datetime" => Self::DateTime,
            "timestamp" => Self::Timestamp,
            "time" => Self::Time,
            "year" => Self::Year,
            "char" | "varchar" | "tinytext" | "text" | "mediumtext" | "longtext" | "enum" | "set" => {
                Self::Coded(Codec::Text(charset.unwrap_or(Charset::Utf8)))
            }
            "binary" | "varbinary" | "tinyblob" | "blob" | "mediumblob" | "longblob" => Self::Coded(Codec::Bytes(0)),
            "bit" => Self::Coded(Codec::Bit(bits(&lower))),
            "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
            | "geometrycollection" | "geomcollection" => Self::Coded(Codec::Geometry),
            // MariaDB keeps its numbers as bytes, and the log says no more of them.
            "vector" if *ty == Type::Bytes => Self::Coded(Codec::Bytes(0)),
            "vector" => Self::Coded(Codec::Vector),
            _ => Self::Plain,
        }
    }

    /// How the column is asked for.
    pub(super) fn selected(&self, name: &str) -> String {
        let name = identifier(name);
        match self {
            // Times one and not plus nothing, which would make 0 of -0.
            Self::Single | Self::Double => format!("{name} * 1e0"),
            _ => name,
        }
    }

    /// The condition that the column has the value of this canonical text; `None` where no value has it.
    pub(super) fn condition(&self, name: &str, text: &str) -> Option<String> {
        let value = match (self, text) {
            (Self::Bool, "t") => "1".to_owned(),
            (Self::Bool, "f") => "0".to_owned(),
            (Self::Bool | Self::Number | Self::Year, text) => {
                let is_number = text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'-' | b'.')) && !text.is_empty();
                is_number.then(|| text.to_owned())?
            }
            (Self::Single, text) => format!("{:e}", f64::from(text.parse::<f32>().ok()?)),
            (Self::Double, text) => format!("{:e}", text.parse::<f64>().ok()?),
            (Self::Timestamp, text) => literal(text.strip_suffix("+00").unwrap_or(text)),
            (Self::Coded(Codec::Bytes(_)), text) => {
                let digits = text.strip_prefix("\\x")?;
                digits.bytes().all(|byte| byte.is_ascii_hexdigit()).then(|| format!("x'{digits}'"))?
            }
            (Self::Coded(Codec::Bit(_)), text) => {
                text.bytes().all(|byte| matches!(byte, b'0' | b'1')).then(|| format!("b'{text}'"))?
            }
            (Self::Coded(Codec::Geometry | Codec::Vector), _) => return None,
            (Self::Date | Self::DateTime | Self::Time | Self::Coded(_) | Self::Plain, text) => literal(text),
        };
        Some(format!("{} = {value}", self.selected(name)))
    }

    /// Replaces `out` by the canonical text of what the server sent.
    pub(super) fn write(&self, sent: &[u8], zero_dates: ZeroDates, out: &mut Vec<u8>) -> Written {
        out.clear();
        let coded =
            |codec: &Codec, bytes: &[u8], out: &mut Vec<u8>| codec.write(bytes, zero_dates, &mut Vec::new(), out);
        let written = match self {
            Self::Plain | Self::Year => {
                out.extend_from_slice(sent);
                Some(Written::Text)
            }
            Self::Bool => {
                out.extend_from_slice(match sent {
                    b"0" => b"f",
                    b"1" => b"t",
                    other => other,
                });
                Some(Written::Text)
            }
            Self::Number => {
                push_number(sent, out);
                Some(Written::Text)
            }
            Self::Single => number(sent).map(|n| coded(&Codec::Single, &(n as f32).to_le_bytes(), out)),
            Self::Double => number(sent).map(|n| coded(&Codec::Double, &n.to_le_bytes(), out)),
            Self::Date => day(sent).map(|packed| {
                let bytes = (packed.0 << 9 | packed.1 << 5 | packed.2).to_le_bytes();
                coded(&Codec::Date, bytes.get(..3).unwrap_or_default(), out)
            }),
            Self::DateTime => datetime(sent).map(|bytes| coded(&Codec::DateTime(6), &bytes, out)),
            Self::Timestamp if sent.starts_with(b"0000") => Some(coded(&Codec::Timestamp(0), &[0; 4], out)),
            Self::Timestamp => {
                out.extend_from_slice(without_zeros(sent));
                out.extend_from_slice(b"+00");
                Some(Written::Text)
            }
            Self::Time => {
                out.extend_from_slice(without_zeros(sent));
                Some(Written::Text)
            }
            Self::Coded(codec) => Some(coded(codec, sent, out)),
        };
        written.unwrap_or_else(|| {
            undecodable(sent, out);
            Written::Text
        })
    }
}

/// `bit(10)`; `bit` alone is one.
fn bits(column_type: &str) -> u16 {
    let inside = column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')'));
    inside.and_then(|(bits, _)| bits.parse().ok()).unwrap_or(1)
}

fn number(text: &[u8]) -> Option<f64> {
    std::str::from_utf8(text).ok()?.parse().ok()
}

/// Without the zeros that ZEROFILL puts before it.
fn push_number(text: &[u8], out: &mut Vec<u8>) {
    let zeros = text.iter().take_while(|&&byte| byte == b'0').count();
    // One stays before the point, or where there is nothing else.
    let is_needed = text.get(zeros).is_none_or(|byte| !byte.is_ascii_digit());
    out.extend_from_slice(text.get(zeros - usize::from(is_needed && zeros > 0)..).unwrap_or_default());
}

/// Without the zeros at the end of a fraction.
fn without_zeros(text: &[u8]) -> &[u8] {
    if !text.contains(&b'.') {
        return text;
    }
    let end = text.iter().rposition(|&byte| byte != b'0').map_or(0, |last| last + 1);
    let text = text.get(..end).unwrap_or_default();
    text.strip_suffix(b".").unwrap_or(text)
}

/// Year, month and day of `2024-02-29`, of whatever calendar.
fn day(text: &[u8]) -> Option<(u32, u32, u32)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.splitn(3, '-').map(|part| part.parse::<u32>().ok());
    let (year, month, day) = (parts.next()??, parts.next()??, parts.next()??);
    (year <= 9999 && month <= 12 && day <= 31).then_some((year, month, day))
}

/// The bytes of a DATETIME(6) in the log.
fn datetime(text: &[u8]) -> Option<[u8; 8]> {
    let at = text.iter().position(|&byte| byte == b' ')?;
    let (date, clock) = text.split_at_checked(at)?;
    let (year, month, day) = day(date)?;
    let clock = std::str::from_utf8(clock.get(1..)?).ok()?;
    let (clock, fraction) = clock.split_once('.').unwrap_or((clock, ""));
    let mut parts = clock.splitn(3, ':').map(|part| part.parse::<u64>().ok().filter(|part| *part < 60));
    let (hours, minutes, seconds) = (parts.next()??, parts.next()??, parts.next()??);
    let micros: u32 = format!("{fraction:0<6}").parse().ok().filter(|micros| *micros < 1_000_000)?;
    let packed = u64::from(year * 13 + month) << 22 | u64::from(day) << 17 | hours << 12 | minutes << 6 | seconds;
    let mut bytes = [0; 8];
    let (high, low) = bytes.split_first_chunk_mut::<5>()?;
    high.copy_from_slice((packed + 0x80_0000_0000).to_be_bytes().get(3..)?);
    low.copy_from_slice(micros.to_be_bytes().get(1..)?);
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn check(column_type: &str, ty: &Type, sent: &str, want: &str) {
        let form = Form::of(column_type, Charset::named("utf8mb4"), ty);
        let mut out = Vec::new();
        let written = form.write(sent.as_bytes(), ZeroDates::Null, &mut out);
        let got = if written == Written::Null { "null".into() } else { String::from_utf8(out).unwrap() };
        assert_eq!(got, want, "{column_type} {sent}");
    }

    #[test]
    fn sn_09_texts_of_the_server_become_those_of_the_stream() {
        for (column_type, sent, want) in [
            ("int(5) unsigned zerofill", "00042", "42"),
            ("int(5) unsigned zerofill", "00000", "0"),
            ("int", "-5", "-5"),
            ("decimal(8,2) zerofill", "000000.05", "0.05"),
            ("decimal(8,2)", "-0.05", "-0.05"),
            ("float(7,3)", "0.10000000149011612", "0.1"),
            ("double", "-0", "-0"),
            ("double(10,2)", "1e300", "1e+300"),
            ("date", "2024-02-29", "2024-02-29"),
            ("date", "2024-02-30", "null"),
            ("date", "0000-00-00", "null"),
            ("datetime(3)", "2024-02-29 01:02:03.100", "2024-02-29 01:02:03.1"),
            ("datetime", "9999-12-31 23:59:59", "9999-12-31 23:59:59"),
            ("datetime", "2024-00-01 00:00:00", "null"),
            ("timestamp(6)", "2024-02-29 01:02:03.000000", "2024-02-29 01:02:03+00"),
            ("timestamp", "0000-00-00 00:00:00", "null"),
            ("time(2)", "-838:59:58.50", "-838:59:58.5"),
            ("time", "00:00:00", "00:00:00"),
            ("year(4)", "0000", "0000"),
            ("uuid", "123e4567-e89b-12d3-a456-426655440000", "123e4567-e89b-12d3-a456-426655440000"),
            ("bit(10)", "\x02\x01", "1000000001"),
            ("varbinary(5)", "ab", "\\x6162"),
        ] {
            check(column_type, &Type::Other(String::new()), sent, want);
        }
        check("tinyint(1)", &Type::Bool, "1", "t");
        check("tinyint(1)", &Type::Bool, "0", "f");
        check("tinyint(1)", &Type::Bool, "2", "2");
        check("tinyint(1)", &Type::Int, "1", "1");
    }

    #[test]
    fn my_74_text_that_is_none_is_refused_and_never_a_question_mark() {
        let mut out = Vec::new();
        let form = |charset| Form::of("varchar(9)", Charset::named(charset), &Type::Text { max_chars: None });
        let _ = form("utf8mb4").write(b"a\xff", ZeroDates::Null, &mut out);
        assert_eq!(out, b"a\xff");
        let _ = form("ucs2").write(b"a", ZeroDates::Null, &mut out);
        assert_eq!(out, b"\xffa");
        let _ = form("latin1").write(b"caf\xe9", ZeroDates::Null, &mut out);
        assert_eq!(out, "café".as_bytes());
    }

    #[test]
    fn keys_are_constants_whatever_is_in_them() {
        let condition = |column_type: &str, text: &str| {
            Form::of(column_type, Charset::named("latin1"), &Type::Bool).condition("a`b", text)
        };
        let is = |value: &str| Some(format!("`a``b` = {value}"));
        assert_eq!(condition("int", "-7"), is("-7"));
        assert_eq!(condition("int", "1 or 1"), None);
        assert_eq!(condition("int", ""), None);
        assert_eq!(condition("tinyint(1)", "t"), is("1"));
        assert_eq!(condition("varchar(5)", "it's \\"), is("'it''s \\\\'"));
        assert_eq!(condition("binary(2)", "\\x00ff"), is("x'00ff'"));
        assert_eq!(condition("binary(2)", "\\x00'"), None);
        assert_eq!(condition("bit(3)", "101"), is("b'101'"));
        assert_eq!(condition("timestamp", "2024-01-01 00:00:00+00"), is("'2024-01-01 00:00:00'"));
        assert_eq!(condition("float", "0.1"), Some("`a``b` * 1e0 = 1.0000000149011612e-1".into()));
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>, at in 0..9_usize) {
            let column_type = ["int", "float", "double", "date", "datetime", "timestamp", "time", "bit(9)", "geometry"][at];
            let form = Form::of(column_type, None, &Type::Int);
            let _ = form.write(&bytes, ZeroDates::Null, &mut Vec::new());
            let _ = form.condition("c", &String::from_utf8_lossy(&bytes));
        }

        #[test]
        fn numbers_stay_what_they_are(n: i64) {
            let mut out = Vec::new();
            push_number(n.to_string().as_bytes(), &mut out);
            prop_assert_eq!(String::from_utf8(out).unwrap(), n.to_string());
        }
    }
}
