//! TABLE_MAP: the table that the row events behind it are of, and how its columns are laid out (MY-50, MY-52).

use super::metadata::Metadata;
use super::reader::{Bitmap, Reader};
use super::{Malformed, Result};

/// A table as the log describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableMap<'a> {
    /// A number that rows name it by, until the statement's end.
    pub id: u64,
    /// The database.
    pub database: &'a [u8],
    /// The table.
    pub table: &'a [u8],
    /// Types of the columns.
    types: &'a [u8],
    /// What the types need, one after another.
    type_metadata: &'a [u8],
    /// Which columns may be null.
    nullable: Bitmap<'a>,
    /// What else the server says of the columns; empty where it is not told to.
    optional: &'a [u8],
    /// All of it but the id: what stays the same as long as the table does.
    pub(crate) raw: &'a [u8],
}

/// How a column's values are laid out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Layout {
    /// An integer of that many bytes: TINYINT 1, SMALLINT 2, MEDIUMINT 3, INT 4, BIGINT 8.
    Int(u8),
    /// DECIMAL.
    Decimal {
        /// Digits in all.
        precision: u8,
        /// Digits behind the point.
        scale: u8,
    },
    /// FLOAT.
    Float,
    /// DOUBLE.
    Double,
    /// DATE.
    Date,
    /// YEAR.
    Year,
    /// TIME with that many digits of fractions.
    Time(u8),
    /// DATETIME with that many.
    DateTime(u8),
    /// TIMESTAMP with that many.
    Timestamp(u8),
    /// TIME as it was before MySQL 5.6, and as MariaDB has it without `mysql56_temporal_format`: how many digits of
    /// fractions is not in the log, and decides the length (MY-67): read as 0, to be set by what the catalogue says.
    OldTime(u8),
    /// The same of DATETIME.
    OldDateTime(u8),
    /// The same of TIMESTAMP.
    OldTimestamp(u8),
    /// CHAR, BINARY and MariaDB's UUID and INET types: up to that many bytes behind a length of one byte, or of two where
    /// it is more than 255.
    Char(u16),
    /// VARCHAR and VARBINARY: the same.
    Varchar(u16),
    /// VARCHAR COMPRESSED of MariaDB: the same.
    CompressedVarchar(u16),
    /// TEXT and BLOB of all sizes behind a length of that many bytes.
    Blob(u8),
    /// The same, COMPRESSED.
    CompressedBlob(u8),
    /// ENUM: the label's number in that many bytes.
    Enum(u8),
    /// SET: a bit for each label in that many bytes.
    Set(u8),
    /// BIT.
    Bit(u16),
    /// JSON of MySQL behind a length of that many bytes.
    Json(u8),
    /// GEOMETRY and its kinds behind a length of that many bytes.
    Geometry(u8),
    /// VECTOR of MySQL behind a length of that many bytes.
    Vector(u8),
    /// What an index over a JSON array holds (MySQL): laid out as JSON is.
    TypedArray,
}

impl Layout {
    /// Whether the server says of it if it has a sign: numbers, and YEAR.
    pub fn is_numeric(self) -> bool {
        matches!(self, Self::Int(_) | Self::Decimal { .. } | Self::Float | Self::Double | Self::Year)
    }

    /// Whether the server says of it which character set it has: texts and bytes, VECTOR of MySQL, GEOMETRY of MariaDB.
    pub fn is_character(self, is_mariadb: bool) -> bool {
        match self {
            Self::Char(_)
            | Self::Varchar(_)
            | Self::CompressedVarchar(_)
            | Self::Blob(_)
            | Self::CompressedBlob(_)
            | Self::Vector(_) => true,
            Self::Geometry(_) => is_mariadb,
            _ => false,
        }
    }

    /// Whether it is ENUM or SET, whose character sets are told apart from the others'.
    pub fn is_labelled(self) -> bool {
        matches!(self, Self::Enum(_) | Self::Set(_))
    }
}

impl<'a> TableMap<'a> {
    /// `fixed` is what the format description says of its length: 6 with an id of four bytes, else 8.
    pub(super) fn read(body: &'a [u8], fixed: usize) -> Result<Self> {
        let mut read = Reader(body);
        let id = read.uint(if fixed == 6 { 4 } else { 6 })?;
        let raw = read.0;
        let _flags = read.u16()?;
        let database = usize::from(read.u8()?);
        let database = read.terminated(database)?;
        let table = usize::from(read.u8()?);
        let table = read.terminated(table)?;
        let width = read.lenenc_size()?;
        let types = read.bytes(width)?;
        let type_metadata = read.lenenc_bytes()?;
        let nullable = read.bitmap(width)?;
        Ok(Self { id, database, table, types, type_metadata, nullable, optional: read.0, raw })
    }

    /// How many columns a row has, hidden ones among them (MY-59).
    pub fn width(&self) -> usize {
        self.types.len()
    }

    /// Whether a column may be null.
    pub fn is_nullable(&self, column: usize) -> bool {
        self.nullable.get(column)
    }

    /// How each column is laid out.
    pub fn layouts(&self) -> Result<Vec<Layout>> {
        let mut metadata = Reader(self.type_metadata);
        let layouts = self.types.iter().map(|&ty| layout(ty, &mut metadata)).collect::<Result<_>>()?;
        if metadata.is_empty() {
            Ok(layouts)
        } else {
            Err(Malformed("a table with more metadata than its columns need"))
        }
    }

    /// What else the server says of the columns.
    pub fn metadata(&self, layouts: &[Layout], is_mariadb: bool) -> Result<Metadata<'a>> {
        Metadata::read(self.optional, layouts, is_mariadb)
    }
}

/// The layout of a type, `enum_field_types` of the servers' sources, with what it takes from the metadata.
fn layout(ty: u8, metadata: &mut Reader<'_>) -> Result<Layout> {
    let bytes_of_length = |length: u8| {
        if (1..=4).contains(&length) { Ok(length) } else { Err(Malformed("a column with an impossible length")) }
    };
    Ok(match ty {
        1 => Layout::Int(1),
        2 => Layout::Int(2),
        9 => Layout::Int(3),
        3 => Layout::Int(4),
        8 => Layout::Int(8),
        4 => {
            metadata.u8()?;
            Layout::Float
        }
        5 => {
            metadata.u8()?;
            Layout::Double
        }
        246 => Layout::Decimal { precision: metadata.u8()?, scale: metadata.u8()? }.checked()?,
        10 | 14 => Layout::Date,
        13 => Layout::Year,
        7 => Layout::OldTimestamp(0),
        11 => Layout::OldTime(0),
        12 => Layout::OldDateTime(0),
        17 => Layout::Timestamp(metadata.u8()?).checked()?,
        18 => Layout::DateTime(metadata.u8()?).checked()?,
        19 => Layout::Time(metadata.u8()?).checked()?,
        15 => Layout::Varchar(metadata.u16()?),
        141 => Layout::CompressedVarchar(metadata.u16()?),
        249..=252 => Layout::Blob(bytes_of_length(metadata.u8()?)?),
        140 => Layout::CompressedBlob(bytes_of_length(metadata.u8()?)?),
        245 => Layout::Json(bytes_of_length(metadata.u8()?)?),
        255 => Layout::Geometry(bytes_of_length(metadata.u8()?)?),
        242 => Layout::Vector(bytes_of_length(metadata.u8()?)?),
        16 => {
            let (bits, bytes) = (u16::from(metadata.u8()?), u16::from(metadata.u8()?));
            Layout::Bit(bytes * 8 + bits).checked()?
        }
        20 => {
            // The elements' type, and what that needs: a VARCHAR's length has three bytes here.
            match metadata.u8()? {
                15 => drop(metadata.uint(3)?),
                element => drop(layout(element, metadata)?),
            }
            Layout::TypedArray
        }
        247 | 248 | 253 | 254 => string(metadata.u8()?, metadata.u8()?)?,
        _ => return Err(Malformed("a column of an unknown type")),
    })
}

/// CHAR, ENUM and SET share a type; two bits of a CHAR's length stand, inverted, among those of the real type (MY-73).
fn string(first: u8, second: u8) -> Result<Layout> {
    let (real, length) = if first & 0x30 == 0x30 {
        (first, u16::from(second))
    } else {
        (first | 0x30, u16::from(second) | u16::from((first & 0x30) ^ 0x30) << 4)
    };
    match (real, second) {
        (247, 1..=2) => Ok(Layout::Enum(second)),
        (248, 1..=4 | 8) => Ok(Layout::Set(second)),
        (253 | 254, _) => Ok(Layout::Char(length)),
        _ => Err(Malformed("a text column of an unknown type")),
    }
}

impl Layout {
    /// What no server declares is refused here, so that reading values need not ask again.
    fn checked(self) -> Result<Self> {
        let fits = match self {
            Self::Decimal { precision, scale } => (1..=65).contains(&precision) && scale <= precision,
            Self::Time(digits) | Self::DateTime(digits) | Self::Timestamp(digits) => digits <= 6,
            Self::Bit(bits) => (1..=64).contains(&bits),
            _ => true,
        };
        if fits { Ok(self) } else { Err(Malformed("a column with an impossible precision")) }
    }
}
