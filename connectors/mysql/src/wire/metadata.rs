//! What a TABLE_MAP says beyond types where `binlog_row_metadata` tells the server to: names, signs, character sets,
//! labels, keys, visibility (MY-52).

use super::reader::{HighFirst, Reader};
use super::table_map::Layout;
use super::{Malformed, Result};

/// The optional metadata of a table. A part that was not sent is `None`; of a part that was, each column that it is about
/// has an entry.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metadata<'a> {
    /// Of each column, whether it is unsigned; those that are no numbers are not.
    pub unsigned: Option<Vec<bool>>,
    /// Collations of the columns of text and bytes.
    pub collations: Option<Vec<Option<u32>>>,
    /// Collations of ENUM and SET columns.
    pub label_collations: Option<Vec<Option<u32>>>,
    /// Names.
    pub names: Option<Vec<&'a [u8]>>,
    /// Labels of ENUM columns.
    pub enum_labels: Option<Vec<Option<Labels<'a>>>>,
    /// Labels of SET columns.
    pub set_labels: Option<Vec<Option<Labels<'a>>>>,
    /// Columns of the primary key, in its order.
    pub primary_key: Option<Vec<usize>>,
    /// Which columns `SELECT *` shows; all where it was not sent.
    pub visible: Option<Vec<bool>>,
    /// How many numbers the vectors of VECTOR columns have.
    pub vector_lengths: Option<Vec<Option<u32>>>,
    /// The kind of geometry, 0 for any.
    pub geometry_kinds: Option<Vec<Option<u8>>>,
}

/// The labels of an ENUM or SET column, in the column's character set.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Labels<'a> {
    count: usize,
    bytes: &'a [u8],
}

impl<'a> Labels<'a> {
    /// Reads past the labels of one column, to see that they are whole.
    fn read(read: &mut Reader<'a>) -> Result<Self> {
        let count = read.lenenc_size()?;
        let bytes = read.0;
        for _ in 0..count {
            read.lenenc_bytes()?;
        }
        Ok(Self { count, bytes })
    }

    /// Each in order.
    pub fn iter(&self) -> impl Iterator<Item = &'a [u8]> {
        let mut read = Reader(self.bytes);
        (0..self.count).map_while(move |_| read.lenenc_bytes().ok())
    }
}

impl<'a> Metadata<'a> {
    pub(super) fn read(bytes: &'a [u8], layouts: &[Layout], is_mariadb: bool) -> Result<Self> {
        let mut metadata = Self::default();
        let mut read = Reader(bytes);
        while !read.is_empty() {
            let kind = read.u8()?;
            let field = read.lenenc_bytes()?;
            metadata.field(kind, field, layouts, is_mariadb)?;
        }
        Ok(metadata)
    }

    fn field(&mut self, kind: u8, field: &'a [u8], layouts: &[Layout], is_mariadb: bool) -> Result<()> {
        let mut read = Reader(field);
        let is_character = |layout: Layout| layout.is_character(is_mariadb);
        match kind {
            1 => self.unsigned = Some(signedness(field, layouts)),
            2 => self.collations = Some(default_collation(read, layouts, is_character)?),
            3 => self.collations = Some(for_each(layouts, is_character, || collation(&mut read))?),
            4 => self.names = Some(layouts.iter().map(|_| read.lenenc_bytes()).collect::<Result<_>>()?),
            5 => {
                let is_set = |layout| matches!(layout, Layout::Set(_));
                self.set_labels = Some(for_each(layouts, is_set, || Labels::read(&mut read))?);
            }
            6 => {
                let is_enum = |layout| matches!(layout, Layout::Enum(_));
                self.enum_labels = Some(for_each(layouts, is_enum, || Labels::read(&mut read))?);
            }
            7 => {
                let is_geometry = |layout| matches!(layout, Layout::Geometry(_));
                self.geometry_kinds = Some(for_each(layouts, is_geometry, || Ok(read.lenenc()? as u8))?);
            }
            8 => self.primary_key = Some(key(read, layouts.len(), false)?),
            9 => self.primary_key = Some(key(read, layouts.len(), true)?),
            10 => self.label_collations = Some(default_collation(read, layouts, Layout::is_labelled)?),
            11 => self.label_collations = Some(for_each(layouts, Layout::is_labelled, || collation(&mut read))?),
            12 => {
                let bits = HighFirst(field);
                self.visible = Some((0..layouts.len()).map(|column| bits.get(column)).collect());
            }
            13 => {
                let is_vector = |layout| matches!(layout, Layout::Vector(_));
                self.vector_lengths = Some(for_each(layouts, is_vector, || collation(&mut read))?);
            }
            // What later versions add changes nothing of what is known.
            _ => {}
        }
        Ok(())
    }
}

/// Numbers only, the highest bit first.
fn signedness(field: &[u8], layouts: &[Layout]) -> Vec<bool> {
    let bits = HighFirst(field);
    let mut numbers = 0;
    let unsigned = |layout: &Layout| {
        let is_numeric = layout.is_numeric();
        let unsigned = is_numeric && bits.get(numbers);
        numbers += usize::from(is_numeric);
        unsigned
    };
    layouts.iter().map(unsigned).collect()
}

/// An entry for each column that `is_one`.
fn for_each<T>(
    layouts: &[Layout],
    is_one: impl Fn(Layout) -> bool,
    mut next: impl FnMut() -> Result<T>,
) -> Result<Vec<Option<T>>> {
    layouts.iter().map(|&layout| if is_one(layout) { next().map(Some) } else { Ok(None) }).collect()
}

/// The collation of most, and the number among its kind and the collation of each that has another.
fn default_collation(
    mut read: Reader<'_>,
    layouts: &[Layout],
    is_one: impl Fn(Layout) -> bool,
) -> Result<Vec<Option<u32>>> {
    let default = collation(&mut read)?;
    let mut collations = for_each(layouts, is_one, || Ok(default))?;
    while !read.is_empty() {
        let (number, other) = (read.lenenc_size()?, collation(&mut read)?);
        let mut of_kind = collations.iter_mut().flatten();
        *of_kind.nth(number).ok_or(Malformed("a character set of a column that is not there"))? = other;
    }
    Ok(collations)
}

fn collation(read: &mut Reader<'_>) -> Result<u32> {
    u32::try_from(read.lenenc()?).map_err(|_| Malformed("a collation of an impossible number"))
}

/// Numbers of columns, each with the length of its prefix where the key has prefixes.
fn key(mut read: Reader<'_>, width: usize, has_prefixes: bool) -> Result<Vec<usize>> {
    let mut columns = Vec::new();
    while !read.is_empty() {
        let column = read.lenenc_size()?;
        if column >= width {
            return Err(Malformed("a key over a column that is not there"));
        }
        if has_prefixes {
            read.lenenc()?;
        }
        columns.push(column);
    }
    Ok(columns)
}
