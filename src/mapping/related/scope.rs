//! Whose expressions: a record's or an entry's, and what they ask for.

use passerelle_change::Cells;

use super::join::Part;
use super::{Ask, Found, JoinKey};
use crate::mapping::program::Program;
use crate::mapping::row::{Row, Slot, SlotIndex};

/// The columns and relations that expressions use.
#[derive(Debug, Default)]
pub struct Scope {
    slots: Vec<Slot>,
    index: SlotIndex,
    asks: Vec<Ask>,
    asked: Vec<Asked>,
}

/// What belongs to an ask.
#[derive(Debug)]
pub(in crate::mapping) struct Asked {
    /// The ask whose row the join key is made of; the scope's own row where there is none.
    pub(in crate::mapping) from: Option<usize>,
    /// The join key.
    pub(in crate::mapping) key: Vec<(Program, Part)>,
    /// The slots that it fills, and which columns they are.
    pub(in crate::mapping) slots: Vec<usize>,
    pub(in crate::mapping) index: SlotIndex,
}

impl Scope {
    /// A scope over these slots.
    pub(in crate::mapping) fn new(slots: Vec<Slot>, asks: Vec<(Ask, Asked)>) -> Self {
        let (asks, asked) = asks.into_iter().unzip();
        Self { index: SlotIndex::new(&slots, None), slots, asks, asked }
    }

    /// What has to be found for its expressions, in an order in which it can be: each needs only those before it.
    pub fn asks(&self) -> &[Ask] {
        &self.asks
    }

    /// The join key under which an ask's relation is asked for a row, where the asks before it have `found` this.
    pub fn join_key(&self, ask: usize, cells: Cells<'_>, found: &[Found]) -> JoinKey {
        let Some(asked) = self.asked.get(ask) else { return JoinKey::Absent };
        match asked.from.map(|from| found.get(from)) {
            Some(None | Some(Found::Unknown)) => return JoinKey::Absent,
            Some(Some(Found::Nothing)) => return JoinKey::Null,
            Some(Some(Found::Row(_) | Found::Pivot(_) | Found::Figures(_))) | None => {}
        }
        let row = self.row(cells, found);
        super::join::key(&asked.key, &row)
    }

    /// Names of its own row's columns.
    pub(in crate::mapping) fn columns(&self) -> impl Iterator<Item = &str> {
        self.slots.iter().filter(|slot| slot.ask.is_none()).map(|slot| slot.name.as_str())
    }

    pub(in crate::mapping) fn slots(&self) -> &[Slot] {
        &self.slots
    }

    /// The row, ready to be evaluated over.
    pub(in crate::mapping) fn row<'r>(&'r self, cells: Cells<'r>, found: &'r [Found]) -> Row<'r> {
        let mut row = Row::new(&self.slots, &self.index, cells);
        for (asked, found) in self.asked.iter().zip(found) {
            row.fill(&asked.slots, &asked.index, found);
        }
        row
    }

    /// Whether a program names something that is absent.
    pub(in crate::mapping) fn waits(&self, program: &Program, row: &Row<'_>) -> bool {
        program.needs.iter().any(|&slot| row.is_absent(slot))
    }

    /// Names of the absent columns that a program waits for.
    pub(in crate::mapping) fn absent(&self, program: &Program, row: &Row<'_>) -> Vec<String> {
        let absent = program.needs.iter().filter(|&&slot| row.is_absent(slot));
        absent.map(|&slot| self.slots[slot].name.clone()).collect()
    }
}
