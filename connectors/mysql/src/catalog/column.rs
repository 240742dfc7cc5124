//! A column's type, from the text that the catalogue has of it. Pure.

use passerelle_change::Type;

use super::{ColumnFacts, Generated, KnownColumn, Readings, Special, Tinyint1};
use crate::Flavor;
use crate::types::{ColumnShape, describe};
use crate::wire::Layout;

/// A row of `information_schema.columns`, as far as it counts.
#[derive(Clone, Debug, Default)]
pub(super) struct Raw<'r> {
    pub(super) name: &'r str,
    pub(super) column_type: &'r str,
    pub(super) charset: Option<&'r str>,
    /// `COLLATION_NAME`.
    pub(super) collation: Option<&'r str>,
    pub(super) nullable: bool,
    /// `EXTRA`.
    pub(super) extra: &'r str,
    /// `GENERATION_EXPRESSION`.
    pub(super) expression: Option<&'r str>,
    pub(super) readable: bool,
    /// `ORDINAL_POSITION`.
    pub(super) number: u32,
    /// `COLUMN_DEFAULT`.
    pub(super) default: Option<&'r str>,
    /// A check says that it is JSON.
    pub(super) json: bool,
}

impl ColumnFacts {
    pub(super) fn new(raw: &Raw<'_>, flavor: Flavor, readings: Readings) -> Self {
        let extra = raw.extra.to_ascii_uppercase();
        let expression = raw.expression.map(|text| text.trim().to_ascii_uppercase()).unwrap_or_default();
        let generated = match expression.as_str() {
            // The times of a row in a system-versioned table are said to be STORED GENERATED, too.
            "ROW START" | "ROW END" => Generated::No,
            _ if extra.contains("VIRTUAL GENERATED") => Generated::Virtual,
            _ if extra.contains("STORED GENERATED") || extra.contains("PERSISTENT") => Generated::Stored,
            _ => Generated::No,
        };
        let known = KnownColumn::parse(raw.name, raw.column_type, raw.charset);
        let special = match known.special {
            _ if expression == "ROW END" => Special::RowEnd,
            _ if raw.json && word(raw.column_type) == "longtext" => Special::Json,
            _ if readings.tinyint1 == Tinyint1::Bool && is_tinyint1(raw.column_type) => Special::Bool,
            special => special,
        };
        let is_vector = flavor == Flavor::Mysql && word(raw.column_type) == "vector";
        let shape = ColumnShape {
            unsigned: known.unsigned,
            charset: known.charset,
            char_bytes: known.char_bytes,
            labels: known.labels,
            vector_length: is_vector.then(|| numbers(raw.column_type).0).flatten(),
            special,
        };
        let (ty, type_name) = match layout(raw.column_type, flavor, shape.char_bytes) {
            Some(layout) => {
                let (_, ty, name) = describe(layout, &shape, readings.zero_dates);
                (ty, name)
            }
            None => (Type::Other(raw.column_type.to_owned()), raw.column_type.to_owned()),
        };
        Self {
            name: raw.name.to_owned(),
            ty,
            type_name,
            column_type: raw.column_type.to_owned(),
            charset: raw.charset.map(str::to_owned),
            collation: raw.collation.map(str::to_owned),
            nullable: raw.nullable,
            generated,
            hidden: extra.contains("INVISIBLE"),
            readable: raw.readable,
            special,
            number: raw.number,
            default: match (raw.default, generated) {
                // MariaDB prints an expression, and this one where there is none: a text has quotes around it.
                (Some("NULL"), Generated::No) if flavor == Flavor::Mariadb => None,
                (default, Generated::No) => default.map(str::to_owned),
                (_, Generated::Stored | Generated::Virtual) => None,
            },
        }
    }

    /// What the decoder of the log is to know of it.
    pub(super) fn known(&self) -> KnownColumn {
        let known = KnownColumn::parse(&self.name, &self.column_type, self.charset.as_deref());
        KnownColumn { special: self.special, ..known }
    }
}

/// Signed, one digit wide, and not filled up with zeros, which would make it unsigned.
fn is_tinyint1(column_type: &str) -> bool {
    column_type.eq_ignore_ascii_case("tinyint(1)")
}

/// How the log lays out values of the type; `None` where it is not known here.
fn layout(column_type: &str, flavor: Flavor, char_bytes: u32) -> Option<Layout> {
    let lower = column_type.to_ascii_lowercase();
    let (first, second) = numbers(&lower);
    let digits = u8::try_from(first.unwrap_or(0)).unwrap_or(0);
    let bytes = |chars: Option<u32>| u16::try_from(chars.unwrap_or(1).saturating_mul(char_bytes)).unwrap_or(u16::MAX);
    // MariaDB prints it as a comment that servers of other kinds skip.
    let is_compressed = lower.contains("compressed*/") || lower.contains("compressed */");
    let blob = |wide| if is_compressed { Layout::CompressedBlob(wide) } else { Layout::Blob(wide) };
    Some(match word(&lower) {
        "tinyint" => Layout::Int(1),
        "smallint" => Layout::Int(2),
        "mediumint" => Layout::Int(3),
        "int" => Layout::Int(4),
        "bigint" => Layout::Int(8),
        "decimal" => Layout::Decimal {
            precision: u8::try_from(first.unwrap_or(10)).ok()?,
            scale: u8::try_from(second.unwrap_or(0)).ok()?,
        },
        "float" => Layout::Float,
        "double" => Layout::Double,
        "date" => Layout::Date,
        "year" => Layout::Year,
        "time" => Layout::Time(digits),
        "datetime" => Layout::DateTime(digits),
        "timestamp" => Layout::Timestamp(digits),
        "char" | "binary" => Layout::Char(bytes(first)),
        // One byte of it is the head of what is compressed.
        "varchar" | "varbinary" if is_compressed => Layout::CompressedVarchar(bytes(first).saturating_add(1)),
        "varchar" | "varbinary" => Layout::Varchar(bytes(first)),
        "tinytext" | "tinyblob" => blob(1),
        "text" | "blob" => blob(2),
        "mediumtext" | "mediumblob" => blob(3),
        "longtext" | "longblob" => blob(4),
        "enum" => Layout::Enum(1),
        "set" => Layout::Set(8),
        "bit" => Layout::Bit(u16::try_from(first.unwrap_or(1)).ok()?),
        "json" => Layout::Json(4),
        "geometry" | "point" | "linestring" | "polygon" | "multipoint" | "multilinestring" | "multipolygon"
        | "geometrycollection" | "geomcollection" => Layout::Geometry(4),
        "vector" if flavor == Flavor::Mysql => Layout::Vector(4),
        // MariaDB keeps its numbers, of four bytes each, as it keeps VARBINARY.
        "vector" => Layout::Varchar(u16::try_from(first?.saturating_mul(4)).unwrap_or(u16::MAX)),
        "uuid" | "inet6" => Layout::Char(16),
        "inet4" => Layout::Char(4),
        _ => return None,
    })
}

/// The first word of a type.
fn word(column_type: &str) -> &str {
    column_type.split(|char: char| !char.is_ascii_alphanumeric()).next().unwrap_or_default()
}

/// The one or two numbers in its parentheses.
fn numbers(column_type: &str) -> (Option<u32>, Option<u32>) {
    let inside =
        column_type.split_once('(').and_then(|(_, rest)| rest.split_once(')')).map_or("", |(inside, _)| inside);
    let mut parts = inside.split(',').map(|part| part.trim().parse().ok());
    (parts.next().flatten(), parts.next().flatten())
}
