//! One row's cells and what is related to it, by slots: found once, parsed when they are asked for.

use passerelle_change::{Cell, Cells, Column, ColumnId, Type, Value};

use super::kind::Kind;
use super::program::{Bad, Yield};
use super::related::rollup::Figure;
use super::related::{Fold, Found, stored};
use super::text;

/// Why what a pivot holds has no value.
const BAD_RELATED: Bad = Bad("the value of a related row is bad");

/// Something of a row, or of what is related to it, that expressions use.
#[derive(Debug)]
pub(super) struct Slot {
    /// As people read it: `name`, `country.code`.
    pub(super) name: String,
    /// The ask that fills it; none: a column of the row itself.
    pub(super) ask: Option<usize>,
    source: Source,
    /// Empty and blank text of it is null.
    blank_is_null: bool,
    /// It is true or false here, and 1 or 0 to its database.
    is_flag: bool,
    /// How its text is compared when it is joined.
    pub(super) fold: Fold,
}

/// Where a slot's value comes from.
#[derive(Debug)]
enum Source {
    /// A column by its name. One whose type was changed has several ids: rows captured before carry the old one. Newest
    /// first: its type is the one that expressions are checked against.
    Column(String, Vec<(ColumnId, Type)>),
    /// Null in every row, whatever stands in its cells; its kind is all that there is of it.
    Null(Kind),
    /// Of a table that is not known: absent in every row.
    Unknown,
    /// What a pivot has by this name.
    Pivot(String, Kind),
    /// The figure of a rollup at this place.
    Figure(usize, Kind),
}

impl Slot {
    /// The column of that name among all that are known, newest last.
    pub(super) fn find(name: &str, columns: &[Column]) -> Option<Self> {
        let versions: Vec<_> = columns
            .iter()
            .rev()
            .filter(|column| column.name == name)
            .map(|column| (column.id, column.ty.clone()))
            .collect();
        let newest = columns.iter().rev().find(|column| column.name == name)?;
        let is_flag = newest.ty == Type::Bool && newest.type_name.to_lowercase().starts_with("tinyint(1)");
        Some(Self { is_flag, ..Self::of(name, Source::Column(name.to_owned(), versions)) })
    }

    /// A column that is null in every row, whatever its cells hold.
    pub(super) fn null(name: &str, ty: &Type) -> Self {
        Self::of(name, Source::Null(Kind::of_type(ty)))
    }

    /// A column of a table that is not known.
    pub(super) fn unknown(name: &str) -> Self {
        Self::of(name, Source::Unknown)
    }

    /// What a pivot has by a name.
    pub(super) fn pivot(name: &str, kind: Kind) -> Self {
        Self::of(name, Source::Pivot(name.to_owned(), kind))
    }

    /// A rollup's figure by its place.
    pub(super) fn figure(name: &str, place: usize, kind: Kind) -> Self {
        Self::of(name, Source::Figure(place, kind))
    }

    fn of(name: &str, source: Source) -> Self {
        Self { name: name.to_owned(), ask: None, source, blank_is_null: false, is_flag: false, fold: Fold::default() }
    }

    pub(super) fn with_blank_as_null(self) -> Self {
        Self { blank_is_null: true, ..self }
    }

    pub(super) fn with_fold(self, fold: Fold) -> Self {
        Self { fold, ..self }
    }

    /// The same of what an ask finds, under the path by which it is named.
    pub(super) fn found_by(self, ask: Option<usize>, path: String) -> Self {
        Self { ask, name: path, ..self }
    }

    /// Whether it is a `tinyint(1)` of MySQL or MariaDB, whose clients write 1 and 0 for true and false.
    pub(super) fn is_flag(&self) -> bool {
        self.is_flag
    }

    /// The name in its table, where it is a column.
    pub(super) fn column(&self) -> Option<&str> {
        match &self.source {
            Source::Column(name, _) => Some(name),
            Source::Null(_) | Source::Unknown | Source::Pivot(..) | Source::Figure(..) => None,
        }
    }

    /// The newest type, where it is a column.
    pub(super) fn ty(&self) -> Option<&Type> {
        self.versions().first().map(|(_, ty)| ty)
    }

    /// The name in its pivot, where it is of one.
    pub(super) fn pivot_name(&self) -> Option<&str> {
        match &self.source {
            Source::Pivot(name, _) => Some(name),
            Source::Column(..) | Source::Null(_) | Source::Unknown | Source::Figure(..) => None,
        }
    }

    /// What it is to an expression.
    pub(super) fn kind(&self) -> Kind {
        match &self.source {
            Source::Column(_, versions) => versions.first().map_or(Kind::Any, |(_, ty)| Kind::of_type(ty)),
            Source::Null(kind) | Source::Pivot(_, kind) | Source::Figure(_, kind) => kind.clone(),
            Source::Unknown => Kind::Any,
        }
    }

    fn versions(&self) -> &[(ColumnId, Type)] {
        match &self.source {
            Source::Column(_, versions) => versions,
            Source::Null(_) | Source::Unknown | Source::Pivot(..) | Source::Figure(..) => &[],
        }
    }

    fn is_null(&self) -> bool {
        matches!(self.source, Source::Null(_))
    }
}

/// Which slots a column id belongs to.
#[derive(Debug, Default)]
pub(super) struct SlotIndex(Vec<(ColumnId, u32, u32)>);

impl SlotIndex {
    /// Of the slots that an ask fills, or of the row's own.
    pub(super) fn new(slots: &[Slot], ask: Option<usize>) -> Self {
        let mut index = Vec::new();
        for (number, slot) in slots.iter().enumerate().filter(|(_, slot)| slot.ask == ask) {
            for (rank, (id, _)) in slot.versions().iter().enumerate() {
                index.push((*id, number as u32, rank as u32));
            }
        }
        index.sort_unstable();
        Self(index)
    }

    /// The slots of a column: one, or several where the mapping has several names for it.
    fn of(&self, id: ColumnId) -> &[(ColumnId, u32, u32)] {
        let rest = self.0.get(self.0.partition_point(|entry| entry.0 < id)..).unwrap_or_default();
        let count = rest.iter().take_while(|entry| entry.0 == id).count();
        rest.get(..count).unwrap_or_default()
    }
}

/// What a slot holds.
#[derive(Clone, Copy, Debug)]
enum Held<'r> {
    Absent,
    /// A cell, and of which version of the column.
    Cell(u32, Cell<'r>),
    /// Null: no row is related.
    Null,
    /// A value as an index keeps it.
    Stored(&'r [u8]),
    Figure(&'r Figure),
}

/// A row, ready to be evaluated over.
#[derive(Debug)]
pub(super) struct Row<'r> {
    slots: &'r [Slot],
    held: Vec<Held<'r>>,
}

impl<'r> Row<'r> {
    /// Finds the cells of the row's own slots, which `index` knows; what is damaged is absent.
    pub(super) fn new(slots: &'r [Slot], index: &SlotIndex, cells: Cells<'r>) -> Self {
        let mut row = Self { slots, held: vec![Held::Absent; slots.len()] };
        row.take(index, cells);
        row
    }

    /// Fills the `slots` of an ask, whose columns `index` knows, with what it found.
    pub(super) fn fill(&mut self, slots: &[usize], index: &SlotIndex, found: &'r Found) {
        match found {
            Found::Unknown => {}
            Found::Nothing => slots.iter().for_each(|&slot| self.held[slot] = Held::Null),
            Found::Row(packed) => self.take(index, Cells::new(packed)),
            Found::Pivot(all) => {
                for &slot in slots {
                    let Source::Pivot(name, _) = &self.slots[slot].source else { continue };
                    let value = all.iter().find(|(known, _)| known == name);
                    self.held[slot] = value.map_or(Held::Null, |(_, value)| Held::Stored(value));
                }
            }
            Found::Figures(all) => {
                for &slot in slots {
                    let Source::Figure(place, _) = &self.slots[slot].source else { continue };
                    self.held[slot] = all.get(*place).map_or(Held::Absent, Held::Figure);
                }
            }
        }
    }

    fn take(&mut self, index: &SlotIndex, cells: Cells<'r>) {
        for (id, cell) in cells.iter().map_while(Result::ok) {
            for &(_, slot, rank) in index.of(id) {
                let place = &mut self.held[slot as usize];
                if !matches!(place, Held::Cell(other, _) if *other <= rank) {
                    *place = Held::Cell(rank, cell);
                }
            }
        }
    }

    pub(super) fn is_absent(&self, slot: usize) -> bool {
        matches!(self.held[slot], Held::Absent) && !self.slots[slot].is_null()
    }

    /// The cell of a column as it is; `None` where it is absent.
    pub(super) fn cell(&self, slot: usize) -> Option<Cell<'r>> {
        match self.held[slot] {
            Held::Cell(_, cell) => Some(cell),
            Held::Absent | Held::Null | Held::Stored(_) | Held::Figure(_) => None,
        }
    }

    /// The slot's value, as the newest type has it.
    pub(super) fn value(&self, slot: usize) -> Yield<'r> {
        let known = &self.slots[slot];
        if known.is_null() {
            return Ok(Value::Null);
        }
        let (rank, cell) = match self.held[slot] {
            Held::Absent => return Ok(Value::Absent),
            Held::Null => return Ok(Value::Null),
            Held::Cell(rank, cell) => (rank, cell),
            // What is bad is kept as what no value is.
            Held::Stored(bytes) => {
                return stored::decode(bytes).filter(|value| *value != Value::Absent).ok_or(BAD_RELATED);
            }
            Held::Figure(figure) => return figure.as_ref().map(Value::borrowed).map_err(|reason| Bad(reason)),
        };
        let versions = known.versions();
        let written = &versions[rank as usize].1;
        let value = Value::parse(written, cell).map_err(|bad| Bad(bad.reason))?;
        if known.blank_is_null && matches!(&value, Value::Text(text) if text.trim().is_empty()) {
            return Ok(Value::Null);
        }
        if rank == 0 || value == Value::Null {
            return Ok(value);
        }
        converted(value, &versions[0].1)
    }
}

/// A value written under an older type, as the newer one: through its text, since that is how the database casts it.
fn converted<'v>(value: Value<'v>, newest: &Type) -> Yield<'v> {
    let (from, to) = (Kind::of_value(&value), Kind::of_type(newest));
    if from == to || (from.is_text() && to.is_text()) {
        return Ok(value);
    }
    if to.is_text() {
        return text::of(value).map(Value::Text);
    }
    let printed = text::canonical(value)?;
    let read = Value::parse(newest, Some(printed.as_bytes())).map(Value::into_owned);
    read.map_err(|_| Bad("the column's type was changed, and the older value does not fit the new one"))
}
