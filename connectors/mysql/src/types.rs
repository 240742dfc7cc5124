//! What a column holds, by its layout: one function for the stream and for the catalogue, so that a column gets the same
//! id from both.

use passerelle_change::Type;

use crate::catalog::Special;
use crate::value::{Charset, Codec, ZeroDates, codec_of};
use crate::wire::Layout;

/// What is known of a column beyond its layout, whoever said it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ColumnShape {
    /// Whether it is unsigned.
    pub unsigned: bool,
    /// Its character set.
    pub charset: Option<Charset>,
    /// The most bytes that a character of it takes.
    pub char_bytes: u32,
    /// Labels of ENUM and SET, in UTF-8.
    pub labels: Vec<Box<str>>,
    /// How many numbers a vector has.
    pub vector_length: Option<u32>,
    /// What the log does not say.
    pub special: Special,
}

/// How values are read, what the column holds, and the name of its type: without labels, as a new label makes no other
/// column, and without the display widths that servers have given up.
pub fn describe(layout: Layout, shape: &ColumnShape, zero_dates: ZeroDates) -> (Codec, Type, String) {
    let codec = match shape.special {
        Special::Uuid => Codec::Uuid,
        Special::Inet4 => Codec::Inet4,
        Special::Inet6 => Codec::Inet6,
        Special::Bool if is_bool(layout, shape) => Codec::Bool,
        Special::None | Special::Bool | Special::Json | Special::RowEnd => {
            codec_of(layout, shape.unsigned, shape.charset, &shape.labels)
        }
    };
    let name = name(layout, shape);
    (codec, ty(layout, shape, zero_dates, &name), name)
}

fn ty(layout: Layout, shape: &ColumnShape, zero_dates: ZeroDates, name: &str) -> Type {
    let dated = |ty: Type| if zero_dates == ZeroDates::Text { Type::Text { max_chars: None } } else { ty };
    match shape.special {
        Special::Uuid => return Type::Uuid,
        Special::Inet4 | Special::Inet6 => return Type::Other(name.to_owned()),
        Special::Json => return Type::Json,
        Special::Bool if is_bool(layout, shape) => return Type::Bool,
        Special::None | Special::Bool | Special::RowEnd => {}
    }
    let is_binary = shape.charset == Some(Charset::Binary);
    match layout {
        Layout::Int(_) | Layout::Year => Type::Int,
        Layout::Decimal { precision, scale } => {
            Type::Decimal { precision: Some((u16::from(precision), i16::from(scale))) }
        }
        Layout::Float | Layout::Double => Type::Float,
        Layout::Date => dated(Type::Date),
        Layout::Time(_) | Layout::OldTime(_) => Type::Time,
        Layout::DateTime(_) | Layout::OldDateTime(_) => dated(Type::DateTime),
        Layout::Timestamp(_) | Layout::OldTimestamp(_) => dated(Type::Timestamp),
        Layout::Char(_) | Layout::Varchar(_) | Layout::CompressedVarchar(_) if !is_binary => {
            Type::Text { max_chars: chars(layout, shape) }
        }
        Layout::Blob(_) | Layout::CompressedBlob(_) if !is_binary => Type::Text { max_chars: None },
        Layout::Char(_)
        | Layout::Varchar(_)
        | Layout::CompressedVarchar(_)
        | Layout::Blob(_)
        | Layout::CompressedBlob(_) => Type::Bytes,
        Layout::Enum(_) => Type::Enum { labels: shape.labels.iter().map(ToString::to_string).collect() },
        Layout::Set(_) => Type::Text { max_chars: None },
        Layout::Json(_) | Layout::TypedArray => Type::Json,
        Layout::Bit(_) | Layout::Geometry(_) | Layout::Vector(_) => Type::Other(name.to_owned()),
    }
}

/// Whether the log says nothing against it: the catalogue may have been read before the column became another.
fn is_bool(layout: Layout, shape: &ColumnShape) -> bool {
    layout == Layout::Int(1) && !shape.unsigned
}

/// The length in characters that was declared.
fn chars(layout: Layout, shape: &ColumnShape) -> Option<u32> {
    let bytes = match layout {
        Layout::Char(bytes) | Layout::Varchar(bytes) => bytes,
        // One byte of it is the head of what is compressed.
        Layout::CompressedVarchar(bytes) => bytes.saturating_sub(1),
        _ => return None,
    };
    Some(u32::from(bytes) / shape.char_bytes.max(1))
}

fn name(layout: Layout, shape: &ColumnShape) -> String {
    let plain = |name: &str| name.to_owned();
    let number = |name: &str| format!("{name}{}", if shape.unsigned { " unsigned" } else { "" });
    let timed = |name: &str, digits: u8| if digits == 0 { name.to_owned() } else { format!("{name}({digits})") };
    let is_binary = shape.charset == Some(Charset::Binary);
    match shape.special {
        Special::Uuid => return plain("uuid"),
        Special::Inet4 => return plain("inet4"),
        Special::Inet6 => return plain("inet6"),
        Special::Json => return plain("json"),
        Special::Bool if is_bool(layout, shape) => return plain("tinyint(1)"),
        Special::None | Special::Bool | Special::RowEnd => {}
    }
    match layout {
        Layout::Int(1) => number("tinyint"),
        Layout::Int(2) => number("smallint"),
        Layout::Int(3) => number("mediumint"),
        Layout::Int(4) => number("int"),
        Layout::Int(_) => number("bigint"),
        Layout::Decimal { precision, scale } => number(&format!("decimal({precision},{scale})")),
        Layout::Float => number("float"),
        Layout::Double => number("double"),
        Layout::Date => plain("date"),
        Layout::Year => plain("year"),
        Layout::Time(digits) | Layout::OldTime(digits) => timed("time", digits),
        Layout::DateTime(digits) | Layout::OldDateTime(digits) => timed("datetime", digits),
        Layout::Timestamp(digits) | Layout::OldTimestamp(digits) => timed("timestamp", digits),
        Layout::Char(_) | Layout::Varchar(_) | Layout::CompressedVarchar(_) => {
            let kind = match (layout, is_binary) {
                (Layout::Char(_), true) => "binary",
                (Layout::Char(_), false) => "char",
                (_, true) => "varbinary",
                (_, false) => "varchar",
            };
            format!("{kind}({})", chars(layout, shape).unwrap_or_default())
        }
        Layout::Blob(bytes) | Layout::CompressedBlob(bytes) => {
            let size = match bytes {
                1 => "tiny",
                2 => "",
                3 => "medium",
                _ => "long",
            };
            format!("{size}{}", if is_binary { "blob" } else { "text" })
        }
        Layout::Enum(_) => plain("enum"),
        Layout::Set(_) => plain("set"),
        Layout::Bit(bits) => format!("bit({bits})"),
        Layout::Json(_) | Layout::TypedArray => plain("json"),
        Layout::Geometry(_) => plain("geometry"),
        Layout::Vector(_) => match shape.vector_length {
            Some(length) => format!("vector({length})"),
            None => plain("vector"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(layout: Layout, shape: &ColumnShape, want: Type, name: &str) {
        let (_, ty, got) = describe(layout, shape, ZeroDates::Null);
        assert_eq!((ty, got.as_str()), (want, name));
    }

    #[test]
    fn types_by_layout() {
        let plain = ColumnShape { char_bytes: 4, charset: Charset::named("utf8mb4"), ..ColumnShape::default() };
        let unsigned = ColumnShape { unsigned: true, ..plain.clone() };
        let binary = ColumnShape { charset: Some(Charset::Binary), char_bytes: 1, ..plain.clone() };
        check(Layout::Int(3), &plain, Type::Int, "mediumint");
        check(Layout::Int(8), &unsigned, Type::Int, "bigint unsigned");
        check(
            Layout::Decimal { precision: 10, scale: 2 },
            &plain,
            Type::Decimal { precision: Some((10, 2)) },
            "decimal(10,2)",
        );
        check(Layout::Varchar(300), &plain, Type::Text { max_chars: Some(75) }, "varchar(75)");
        check(Layout::CompressedVarchar(401), &plain, Type::Text { max_chars: Some(100) }, "varchar(100)");
        check(Layout::Char(4), &binary, Type::Bytes, "binary(4)");
        check(Layout::Blob(4), &binary, Type::Bytes, "longblob");
        check(Layout::Blob(2), &plain, Type::Text { max_chars: None }, "text");
        check(Layout::DateTime(6), &plain, Type::DateTime, "datetime(6)");
        check(Layout::Bit(10), &plain, Type::Other("bit(10)".into()), "bit(10)");
        let bool = ColumnShape { special: Special::Bool, ..plain.clone() };
        check(Layout::Int(1), &bool, Type::Bool, "tinyint(1)");
        check(Layout::Int(4), &bool, Type::Int, "int");
        check(Layout::Int(1), &ColumnShape { unsigned: true, ..bool }, Type::Int, "tinyint unsigned");
        let uuid = ColumnShape { special: Special::Uuid, ..binary };
        check(Layout::Char(16), &uuid, Type::Uuid, "uuid");
        let ty = describe(Layout::Date, &plain, ZeroDates::Text).1;
        assert_eq!(ty, Type::Text { max_chars: None });
    }
}
