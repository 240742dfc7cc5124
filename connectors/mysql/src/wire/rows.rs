//! Row events: which columns are there, which are null, and where the values of the others are (MY-51 to MY-57).

use super::compressed::Packed;
use super::reader::{Bitmap, Reader};
use super::table_map::Layout;
use super::{Malformed, Result};

/// What happened to the rows of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowsKind {
    /// They are new.
    Write,
    /// They changed: an image before and one after.
    Update,
    /// They are gone.
    Delete,
}

/// Some rows of a table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rows<'a> {
    /// What happened to them.
    pub kind: RowsKind,
    /// The table, by the number its TABLE_MAP gave it.
    pub table: u64,
    /// The statement ends with this event: its table maps are valid no more (MY-50).
    pub ends_statement: bool,
    /// How many columns the table has.
    pub width: usize,
    /// Columns of the image before (of a write: of the only one).
    pub present: Bitmap<'a>,
    /// Columns of the image after an update.
    pub present_after: Bitmap<'a>,
    /// The images, for [`Rows::images`].
    pub data: Packed<'a>,
    /// JSON columns of the image after may be differences (MY-57).
    has_diffs: bool,
}

/// A number that no table has: the event only ends its statement.
pub const NO_TABLE: u64 = 0x00ff_ffff;

/// How row events differ from each other.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Form {
    pub(super) kind: RowsKind,
    /// Extra data between the head and the columns.
    pub(super) is_v2: bool,
    pub(super) is_compressed: bool,
    pub(super) has_diffs: bool,
}

impl<'a> Rows<'a> {
    /// `fixed` is what the format description says of the head's length: 6 with an id of four bytes, else 8 or 10.
    pub(super) fn read(body: &'a [u8], fixed: usize, form: Form) -> Result<Self> {
        let mut read = Reader(body);
        let table = read.uint(if fixed == 6 { 4 } else { 6 })?;
        let flags = read.u16()?;
        if form.is_v2 {
            // Partitions, NDB (MY-53): the length counts itself.
            let extra = usize::from(read.u16()?);
            read.bytes(extra.checked_sub(2).ok_or(Malformed("a row event with extra data of no length"))?)?;
        }
        let width = read.lenenc_size()?;
        let present = read.bitmap(width)?;
        let present_after = if form.kind == RowsKind::Update { read.bitmap(width)? } else { Bitmap::default() };
        let data = if form.is_compressed { Packed::compressed(read.0)? } else { Packed::plain(read.0) };
        Ok(Self {
            kind: form.kind,
            table,
            ends_statement: flags & 1 != 0,
            width,
            present,
            present_after,
            data,
            has_diffs: form.has_diffs,
        })
    }

    /// The images in `data`, which is this event's, opened.
    pub fn images<'d>(&self, data: &'d [u8]) -> Images<'d, 'a> {
        Images { rows: *self, data, read: Reader(data) }
    }
}

/// A column in an image: values are places in its data, so that the list can be kept and filled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// Not in the image: not null, but not said (MY-55).
    Absent,
    /// Null.
    Null,
    /// A value.
    Value {
        /// First byte.
        start: u32,
        /// Behind the last.
        end: u32,
    },
    /// What changed in a JSON value (MY-57).
    Diff {
        /// First byte.
        start: u32,
        /// Behind the last.
        end: u32,
    },
}

/// Reads the images of an event one row after another.
#[derive(Clone, Copy, Debug)]
pub struct Images<'d, 'a> {
    rows: Rows<'a>,
    data: &'d [u8],
    read: Reader<'d>,
}

impl<'d> Images<'d, '_> {
    /// Replaces `before` and `after` by the next row's columns; false at the end. A write has nothing before, a delete
    /// nothing after.
    pub fn next(&mut self, layouts: &[Layout], before: &mut Vec<Field>, after: &mut Vec<Field>) -> Result<bool> {
        before.clear();
        after.clear();
        if self.read.is_empty() {
            return Ok(false);
        }
        if layouts.len() != self.rows.width {
            return Err(Malformed("rows with another number of columns than their table"));
        }
        let left = self.read.0.len();
        let rows = self.rows;
        match rows.kind {
            RowsKind::Write => self.image(layouts, rows.present, false, after)?,
            RowsKind::Delete => self.image(layouts, rows.present, false, before)?,
            RowsKind::Update => {
                self.image(layouts, rows.present, false, before)?;
                self.image(layouts, rows.present_after, rows.has_diffs, after)?;
            }
        }
        // Rows without any column would never end.
        if self.read.0.len() == left { Err(Malformed("a row of no length")) } else { Ok(true) }
    }

    /// The bytes of a value or difference.
    pub fn bytes(&self, start: u32, end: u32) -> &'d [u8] {
        self.data.get(start as usize..end as usize).unwrap_or_default()
    }

    fn image(
        &mut self,
        layouts: &[Layout],
        present: Bitmap<'_>,
        has_diffs: bool,
        fields: &mut Vec<Field>,
    ) -> Result<()> {
        let mut diffs = Bitmap::default();
        if has_diffs && self.read.lenenc()? & 1 != 0 {
            let json = layouts.iter().filter(|layout| matches!(layout, Layout::Json(_))).count();
            diffs = self.read.bitmap(json)?;
        }
        // Only columns that are there have a bit (MY-54).
        let nulls = self.read.bitmap(present.count(layouts.len()))?;
        let (mut among_present, mut among_json) = (0, 0);
        for (column, &layout) in layouts.iter().enumerate() {
            let is_json = matches!(layout, Layout::Json(_));
            let is_diff = is_json && diffs.get(among_json);
            among_json += usize::from(is_json);
            if !present.get(column) {
                fields.push(Field::Absent);
                continue;
            }
            let is_null = nulls.get(among_present);
            among_present += 1;
            if is_null {
                fields.push(Field::Null);
                continue;
            }
            let length = layout.value_bytes(&mut self.read)?;
            self.read.bytes(length)?;
            let end = self.data.len() - self.read.0.len();
            let (start, end) = ((end - length) as u32, end as u32);
            fields.push(if is_diff { Field::Diff { start, end } } else { Field::Value { start, end } });
        }
        Ok(())
    }
}

impl Layout {
    /// How many bytes the value at the front takes; a length before it is taken.
    fn value_bytes(self, read: &mut Reader<'_>) -> Result<usize> {
        let measured = |read: &mut Reader<'_>, max: u16| -> Result<usize> {
            if max > 255 { read.u16().map(usize::from) } else { read.u8().map(usize::from) }
        };
        Ok(match self {
            Self::Int(bytes) | Self::Enum(bytes) | Self::Set(bytes) => usize::from(bytes),
            Self::Varchar(max) | Self::Char(max) | Self::CompressedVarchar(max) => measured(read, max)?,
            Self::Blob(bytes)
            | Self::CompressedBlob(bytes)
            | Self::Json(bytes)
            | Self::Geometry(bytes)
            | Self::Vector(bytes) => read.uint(usize::from(bytes))? as usize,
            Self::TypedArray => read.u32()? as usize,
            Self::Decimal { precision, scale } => decimal_bytes(precision, scale),
            Self::Float => 4,
            Self::Double => 8,
            Self::Date => 3,
            Self::Year => 1,
            Self::Time(digits) => 3 + fraction_bytes(digits),
            Self::DateTime(digits) => 5 + fraction_bytes(digits),
            Self::Timestamp(digits) => 4 + fraction_bytes(digits),
            Self::OldTime(digits) => old_bytes(digits, [3, 4, 4, 5, 5, 5, 6]),
            Self::OldDateTime(digits) => old_bytes(digits, [8, 6, 6, 7, 7, 7, 8]),
            Self::OldTimestamp(digits) => old_bytes(digits, [4, 5, 5, 6, 6, 7, 7]),
            Self::Bit(bits) => usize::from(bits).div_ceil(8),
        })
    }
}

/// Bytes of that many digits of fractions.
fn fraction_bytes(digits: u8) -> usize {
    usize::from(digits.div_ceil(2))
}

/// Bytes of a decimal: nine digits in four, and what is left over in fewer.
pub(crate) fn decimal_bytes(precision: u8, scale: u8) -> usize {
    group_bytes(precision.saturating_sub(scale)) + group_bytes(scale)
}

fn group_bytes(digits: u8) -> usize {
    usize::from(digits / 9) * 4 + usize::from((digits % 9).div_ceil(2))
}

fn old_bytes(digits: u8, by_digits: [usize; 7]) -> usize {
    by_digits.get(usize::from(digits)).copied().unwrap_or_default()
}
