//! One expression by itself, over the columns of a table.

use jiff::tz::TimeZone;
use passerelle_change::{Cells, Column, FieldValue, Value};

use super::check::Checker;
use super::fault::Fault;
use super::output;
use super::program::Program;
use super::row::{Row, Slot, SlotIndex};

/// A compiled expression.
#[derive(Debug)]
pub struct Expression {
    slots: Vec<Slot>,
    index: SlotIndex,
    program: Program,
    zone: TimeZone,
}

impl Expression {
    /// Compiles an expression against a table's columns, newest last, or says everything that is wrong with it. Naive
    /// times are read in `time_zone`; one that is not known is UTC.
    pub fn compile(text: &str, columns: &[Column], time_zone: &str) -> Result<Self, Vec<Fault>> {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let mut checker = Checker::new(columns, zone.clone());
        let (program, _) = checker.compile(text)?;
        Ok(Self { index: SlotIndex::new(&checker.slots, None), slots: checker.slots, program, zone })
    }

    /// Hands the value for a row to `read`: [`Value::Absent`] where a column that it names is absent, else the value, or
    /// one of a few reasons why there is none.
    pub fn evaluate<T>(&self, cells: Cells<'_>, read: impl FnOnce(Result<Value<'_>, &'static str>) -> T) -> T {
        let row = Row::new(&self.slots, &self.index, cells);
        read(self.program.evaluate(&row).map_err(|bad| bad.0))
    }

    /// The value in the form in which a field is sent; `None` where it names a column that is absent.
    pub fn field(&self, cells: Cells<'_>) -> Result<Option<FieldValue>, &'static str> {
        self.evaluate(cells, |value| match value? {
            Value::Absent => Ok(None),
            value => output::field_value(value, &self.zone).map(Some).map_err(|bad| bad.0),
        })
    }
}
