//! A table map, resolved against what is wanted of the table.

use std::sync::{Mutex, PoisonError};

use passerelle_change::{Column, ColumnId, ColumnIds, Suspicion, TableId, TableSchema, Type, WantedTable};

use crate::Error;
use crate::catalog::{KnownColumn, KnownTable, Special};
use crate::types::{ColumnShape, describe};
use crate::value::{Charset, Codec, ZeroDates};
use crate::wire::{Labels, Layout, Metadata, TableMap};

/// How the rows of a table become changes.
#[derive(Debug)]
pub(super) struct Table {
    pub(super) id: TableId,
    pub(super) layouts: Vec<Layout>,
    /// Columns by their place in the row, and the cells they become.
    pub(super) cells: Vec<CellColumn>,
    /// Every wanted column is in the table. Of one that is not, what is known stays.
    pub(super) is_whole: bool,
    /// The parts of the key in order.
    pub(super) key: Vec<KeyColumn>,
    /// Where the end of a row's time is, in a system-versioned table (MY-58).
    pub(super) row_end: Option<usize>,
    pub(super) schema: TableSchema,
    pub(super) zero_dates: ZeroDates,
}

#[derive(Debug)]
pub(super) struct CellColumn {
    pub(super) at: usize,
    pub(super) id: ColumnId,
    pub(super) codec: Codec,
}

#[derive(Debug)]
pub(super) struct KeyColumn {
    pub(super) at: usize,
    pub(super) codec: Codec,
    pub(super) is_integer: bool,
}

/// What the catalogue said of a table, and whether a statement changed the table since.
#[derive(Clone, Copy, Debug)]
pub(super) struct Knowledge<'k> {
    pub(super) table: Option<&'k KnownTable>,
    pub(super) is_stale: bool,
}

impl Table {
    /// Matches columns by name: places change. A mapped column that is not there any more is left out of the schema, and
    /// what may have become of it is in it ([`WantedTable::find`]). Answers why, where rows of the table cannot be told.
    pub(super) fn resolve(
        wanted: &WantedTable,
        map: &TableMap<'_>,
        is_mariadb: bool,
        known: Knowledge<'_>,
        zero_dates: ZeroDates,
        ids: &Mutex<ColumnIds>,
    ) -> Result<Result<Self, Suspicion>, Error> {
        let mut layouts = map.layouts()?;
        let metadata = map.metadata(&layouts, is_mariadb)?;
        let is_stale = known.is_stale;
        let known = known.table.map_or(&[][..], |known| &known.columns);
        if metadata.names.is_none() && (is_stale || known.len() != layouts.len()) {
            return Ok(Err(if is_stale { Suspicion::CatalogBehind } else { Suspicion::NoColumnNames }));
        }
        let (mut described, mut row_end) = (Vec::with_capacity(layouts.len()), None);
        for at in 0..layouts.len() {
            let view = View { at, metadata: &metadata, known };
            let name = view.name();
            let known = view.known(&name);
            if known.map_or(Special::None, |known| known.special) == Special::RowEnd
                || view.is_implicit_row_end(&layouts)
            {
                row_end = Some(at);
            }
            let Some(layout) = layouts.get_mut(at) else { break };
            *layout = with_digits(*layout, known);
            let (codec, ty, type_name) = describe(*layout, &view.shape(*layout, known), zero_dates);
            described.push(Described { name, codec, ty, type_name });
        }
        let names: Vec<_> = described.iter().map(|column| (&*column.name, &*column.type_name)).collect();
        let found = wanted.find(&names);
        let Some(places) = found.key else { return Ok(Err(Suspicion::NoKeyColumn)) };
        let of_key = || places.iter().filter_map(|at| Some((*at, described.get(*at)?)));
        let key = of_key().map(|(at, column)| column.of_key(at)).collect();
        let key_names = of_key().map(|(_, column)| column.name.clone()).collect();
        let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut cells, mut columns) = (Vec::new(), Vec::new());
        for (at, column) in described.into_iter().enumerate() {
            let is_kept = found.cells.contains(&at);
            if !is_kept && !places.contains(&at) {
                continue;
            }
            let Described { name, codec, ty, type_name } = column;
            let id = ids.id(wanted.table, &name, &type_name);
            if is_kept {
                cells.push(CellColumn { at, id, codec });
            }
            columns.push(Column { id, name, ty, type_name, nullable: map.is_nullable(at) });
        }
        let schema = TableSchema { table: wanted.table, name: wanted.name.clone(), columns, key: key_names };
        let is_whole = found.is_whole;
        Ok(Ok(Self { id: wanted.table, layouts, cells, is_whole, key, row_end, schema, zero_dates }))
    }
}

/// A column of a table map.
struct Described {
    name: String,
    codec: Codec,
    ty: Type,
    type_name: String,
}

impl Described {
    fn of_key(&self, at: usize) -> KeyColumn {
        KeyColumn { at, codec: self.codec.clone(), is_integer: self.ty == Type::Int }
    }
}

/// A column as the log and the catalogue see it.
struct View<'v, 'a> {
    at: usize,
    metadata: &'v Metadata<'a>,
    known: &'v [KnownColumn],
}

impl View<'_, '_> {
    fn name(&self) -> String {
        let logged = self.metadata.names.as_ref().and_then(|names| names.get(self.at));
        match logged {
            Some(name) => String::from_utf8_lossy(name).into_owned(),
            None => self.known.get(self.at).map(|known| known.name.clone()).unwrap_or_default(),
        }
    }

    /// By name where the log has names, else by place.
    fn known(&self, name: &str) -> Option<&KnownColumn> {
        match self.metadata.names {
            Some(_) => self.known.iter().find(|known| known.name == name),
            None => self.known.get(self.at),
        }
    }

    /// The hidden column that `WITH SYSTEM VERSIONING` adds by itself: the last, behind `row_start`.
    fn is_implicit_row_end(&self, layouts: &[Layout]) -> bool {
        let Some(names) = &self.metadata.names else { return false };
        let [.., start, end] = names.as_slice() else { return false };
        self.at + 1 == names.len()
            && *start == b"row_start"
            && *end == b"row_end"
            && matches!(layouts, [.., Layout::Timestamp(6), Layout::Timestamp(6)])
    }

    fn shape(&self, layout: Layout, known: Option<&KnownColumn>) -> ColumnShape {
        let of = |columns: &Option<Vec<Option<u32>>>| columns.as_ref()?.get(self.at).copied().flatten();
        let collation = of(&self.metadata.collations).or_else(|| of(&self.metadata.label_collations));
        // A set that is not known is read as far as it is ASCII.
        let logged = collation.map(|number| Charset::of_collation(number).unwrap_or(Charset::Ascii));
        let charset = logged.or_else(|| known.and_then(|known| known.charset));
        let unsigned = self.metadata.unsigned.as_ref().and_then(|unsigned| unsigned.get(self.at).copied());
        let labels = match layout {
            Layout::Enum(_) => &self.metadata.enum_labels,
            Layout::Set(_) => &self.metadata.set_labels,
            _ => &None,
        };
        let labels = labels.as_ref().and_then(|labels| labels.get(self.at).copied().flatten());
        let known_labels = || known.map(|known| known.labels.clone()).unwrap_or_default();
        let is_year = layout == Layout::Year;
        ColumnShape {
            unsigned: !is_year && unsigned.or_else(|| known.map(|known| known.unsigned)).unwrap_or(false),
            charset,
            char_bytes: match collation {
                Some(number) => Charset::max_bytes_of(number),
                None => known.map_or(1, |known| known.char_bytes),
            },
            labels: labels.map_or_else(known_labels, |labels| utf8_labels(labels, charset)),
            vector_length: of(&self.metadata.vector_lengths),
            special: known.map_or(Special::None, |known| known.special),
        }
    }
}

/// A label that is no text in its set keeps what of it is ASCII.
fn utf8_labels(labels: Labels<'_>, charset: Option<Charset>) -> Vec<Box<str>> {
    let charset = charset.unwrap_or(Charset::Utf8);
    let utf8 = |label: &[u8]| {
        let mut text = Vec::new();
        let read = charset.push_utf8(label, &mut text).ok().and_then(|()| String::from_utf8(text).ok());
        read.unwrap_or_else(|| String::from_utf8_lossy(label).into_owned()).into()
    };
    labels.iter().map(utf8).collect()
}

/// What the log does not say of old columns of time (MY-67).
fn with_digits(layout: Layout, known: Option<&KnownColumn>) -> Layout {
    let digits = known.map_or(0, |known| known.digits);
    match layout {
        Layout::OldTime(_) => Layout::OldTime(digits),
        Layout::OldDateTime(_) => Layout::OldDateTime(digits),
        Layout::OldTimestamp(_) => Layout::OldTimestamp(digits),
        other => other,
    }
}
