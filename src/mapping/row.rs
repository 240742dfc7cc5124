//! One row's cells, by the mapping's slots: found once, parsed when they are asked for.

use passerelle_change::{Cell, Cells, Column, ColumnId, Type, Value};

use super::kind::Kind;
use super::program::{Bad, Yield};
use super::text;

/// A column that a mapping uses. A column whose type was changed has several ids: rows captured before carry the old
/// one.
#[derive(Debug)]
pub(super) struct Slot {
    pub(super) name: String,
    /// Newest first: its type is the one that expressions are checked against.
    versions: Vec<(ColumnId, Type)>,
    /// Empty and blank text of it is null.
    blank_is_null: bool,
    /// It is true or false here, and 1 or 0 to its database.
    is_flag: bool,
    /// Null in every row, whatever stands in its cells; its kind is all that there is of it.
    null_of: Option<Kind>,
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
        Some(Self { name: name.to_owned(), versions, blank_is_null: false, is_flag, null_of: None })
    }

    /// A column that is null in every row, whatever its cells hold.
    pub(super) fn null(name: &str, ty: &Type) -> Self {
        let null_of = Some(Kind::of_type(ty));
        Self { name: name.to_owned(), versions: Vec::new(), blank_is_null: false, is_flag: false, null_of }
    }

    pub(super) fn with_blank_as_null(self) -> Self {
        Self { blank_is_null: true, ..self }
    }

    /// Whether it is a `tinyint(1)` of MySQL or MariaDB, whose clients write 1 and 0 for true and false.
    pub(super) fn is_flag(&self) -> bool {
        self.is_flag
    }

    /// What it is to an expression.
    pub(super) fn kind(&self) -> Kind {
        // `find` makes no slot without a version.
        self.null_of.clone().unwrap_or_else(|| Kind::of_type(&self.versions[0].1))
    }
}

/// Which slots a column id belongs to.
#[derive(Debug, Default)]
pub(super) struct SlotIndex(Vec<(ColumnId, u32, u32)>);

impl SlotIndex {
    pub(super) fn new(slots: &[Slot]) -> Self {
        let mut index = Vec::new();
        for (slot, versions) in slots.iter().enumerate() {
            for (rank, (id, _)) in versions.versions.iter().enumerate() {
                index.push((*id, slot as u32, rank as u32));
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

/// A row, ready to be evaluated over.
#[derive(Debug)]
pub(super) struct Row<'r> {
    slots: &'r [Slot],
    /// For each slot the newest version that is present, and its cell.
    cells: Vec<Option<(u32, Cell<'r>)>>,
}

impl<'r> Row<'r> {
    /// Finds the cells of the slots; what is damaged is absent.
    pub(super) fn new(slots: &'r [Slot], index: &SlotIndex, cells: Cells<'r>) -> Self {
        let mut found = vec![None; slots.len()];
        for (id, cell) in cells.iter().map_while(Result::ok) {
            for &(_, slot, rank) in index.of(id) {
                let place: &mut Option<(u32, Cell<'r>)> = &mut found[slot as usize];
                if place.is_none_or(|(other, _)| rank < other) {
                    *place = Some((rank, cell));
                }
            }
        }
        Self { slots, cells: found }
    }

    pub(super) fn is_absent(&self, slot: usize) -> bool {
        self.cells[slot].is_none() && self.slots[slot].null_of.is_none()
    }

    /// The slot's value, as the newest type has it.
    pub(super) fn value(&self, slot: usize) -> Yield<'r> {
        let Slot { versions, blank_is_null, null_of, .. } = &self.slots[slot];
        if null_of.is_some() {
            return Ok(Value::Null);
        }
        let Some((rank, cell)) = self.cells[slot] else { return Ok(Value::Absent) };
        let written = &versions[rank as usize].1;
        let value = Value::parse(written, cell).map_err(|bad| Bad(bad.reason))?;
        if *blank_is_null && matches!(&value, Value::Text(text) if text.trim().is_empty()) {
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
