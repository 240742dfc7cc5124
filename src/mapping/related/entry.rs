//! What a related row is to those that it belongs to: its entry.

use std::collections::BTreeSet;
use std::hash::Hasher;

use jiff::tz::TimeZone;
use passerelle_change::{Cells, Value};
use siphasher::sip::SipHasher24;

use super::join::{self, Part};
use super::rollup::Given;
use super::scope::Scope;
use super::{Found, JoinKey, order, rollup, stored};
use crate::mapping::program::{Bad, Program};
use crate::mapping::row::Row;
use crate::mapping::{filters, text};

/// What becomes of a related row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Made {
    /// It belongs to whatever has its join key.
    In(Entry),
    /// It belongs to nothing: `where` is not true, a part of the join key or a pivot's name is null or bad, or the name is
    /// none that is used.
    Out,
    /// Not known yet: what is needed names columns that are absent.
    Incomplete {
        /// Names of the absent columns; of a nested relation's with its path.
        columns: Vec<String>,
    },
}

/// A related row in its relation's index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The join key.
    pub key: Vec<u8>,
    /// Where it stands among those with its key: the bytes sort as `pick` says. The row key breaks ties, and is all the
    /// order that there is without `pick`.
    pub order: Vec<u8>,
    /// Of a relation to one, eight bytes that change when a column does that is used of it; of a pivot, the name and the
    /// value ([`stored::pivot`]); of a rollup, what the row gives to the figures ([`rollup::given`]).
    pub holds: Vec<u8>,
}

/// Makes entries.
#[derive(Debug)]
pub(in crate::mapping) struct Maker {
    /// `on`'s left sides.
    pub(in crate::mapping) key: Vec<(Program, Part)>,
    /// `where`.
    pub(in crate::mapping) filter: Option<Program>,
    /// `pick`, each perhaps descending.
    pub(in crate::mapping) pick: Vec<(Program, bool)>,
    pub(in crate::mapping) holds: Holds,
}

/// What an entry holds.
#[derive(Debug)]
pub(in crate::mapping) enum Holds {
    /// A digest of these columns.
    Digest(Vec<usize>),
    Pivot {
        name: Program,
        value: Program,
        /// The names that are used.
        names: BTreeSet<String>,
        /// Values are turned to text: those of the tables are of several kinds.
        as_text: bool,
    },
    Rollup {
        figures: Vec<Figure>,
        zone: TimeZone,
    },
}

/// What a figure takes of a row.
#[derive(Debug)]
pub(in crate::mapping) struct Figure {
    pub(in crate::mapping) value: Option<Program>,
    pub(in crate::mapping) by: Option<Program>,
    pub(in crate::mapping) currency: Option<Program>,
    /// The figure keeps its values: rows are not just counted.
    pub(in crate::mapping) keeps_value: bool,
    pub(in crate::mapping) has_window: bool,
    pub(in crate::mapping) descending: bool,
}

impl Maker {
    pub(super) fn entry(&self, scope: &Scope, cells: Cells<'_>, found: &[Found]) -> Made {
        let row = scope.row(cells, found);
        if let Some(filter) = &self.filter {
            match filter.evaluate(&row) {
                Ok(Value::Bool(true)) => {}
                Ok(Value::Absent) => return self.incomplete(scope, &row),
                Ok(_) | Err(_) => return Made::Out,
            }
        }
        let key = match join::key(&self.key, &row) {
            JoinKey::Key(key) => key,
            JoinKey::Null => return Made::Out,
            JoinKey::Absent => return self.incomplete(scope, &row),
        };
        if self.programs().any(|program| scope.waits(program, &row)) {
            return self.incomplete(scope, &row);
        }
        let holds = match &self.holds {
            Holds::Digest(slots) => digest(slots, &row),
            Holds::Pivot { name, value, names, as_text } => match pivot([name, value], names, *as_text, &row) {
                Some(holds) => holds,
                None => return Made::Out,
            },
            Holds::Rollup { figures, zone } => {
                let given: Vec<_> = figures.iter().map(|figure| figure.given(&row, zone)).collect();
                rollup::given(&given)
            }
        };
        let mut order = Vec::new();
        for (program, descending) in &self.pick {
            // What is bad is as far behind as null.
            let value = program.evaluate(&row).unwrap_or(Value::Null);
            order::push(&mut order, &value, *descending);
        }
        Made::In(Entry { key, order, holds })
    }

    /// All of its programs but `where`.
    fn programs(&self) -> impl Iterator<Item = &Program> {
        let held: Vec<&Program> = match &self.holds {
            Holds::Digest(_) => Vec::new(),
            Holds::Pivot { name, value, .. } => vec![name, value],
            Holds::Rollup { figures, .. } => {
                figures.iter().flat_map(|figure| [&figure.value, &figure.by, &figure.currency]).flatten().collect()
            }
        };
        let key = self.key.iter().map(|(program, _)| program);
        key.chain(self.pick.iter().map(|(program, _)| program)).chain(held)
    }

    fn incomplete(&self, scope: &Scope, row: &Row<'_>) -> Made {
        let all = self.filter.iter().chain(self.programs());
        let columns: BTreeSet<String> = all.flat_map(|program| scope.absent(program, row)).collect();
        Made::Incomplete { columns: columns.into_iter().collect() }
    }
}

/// Changes when one of the columns does; the same over restarts and machines.
fn digest(slots: &[usize], row: &Row<'_>) -> Vec<u8> {
    // Fixed keys: the digest is written to the state.
    let mut hash = SipHasher24::new_with_keys(0x7061_7373_6572_656c, 0x6c65_2f72_6f77_0001);
    for &slot in slots {
        match row.cell(slot) {
            None => hash.write(&[0]),
            Some(None) => hash.write(&[1]),
            Some(Some(text)) => {
                hash.write(&[2]);
                hash.write(&(text.len() as u64).to_le_bytes());
                hash.write(text);
            }
        }
    }
    hash.finish().to_le_bytes().to_vec()
}

/// The name and the value; `None` where it is no name that is used.
fn pivot([name, value]: [&Program; 2], names: &BTreeSet<String>, as_text: bool, row: &Row<'_>) -> Option<Vec<u8>> {
    let name = match name.evaluate(row) {
        Ok(Value::Null | Value::Absent) | Err(_) => return None,
        Ok(name) => text::of(name).ok()?,
    };
    if !names.contains(&*name) {
        return None;
    }
    let value = match value.evaluate(row) {
        Ok(value) if as_text && value != Value::Null => text::of(value).map(Value::Text),
        other => other,
    };
    // What is bad is kept as what no value is.
    Some(stored::pivot(&name, &value.unwrap_or(Value::Absent)))
}

impl Figure {
    /// What a row gives; `None` where its value, or what it is ordered by, is null.
    fn given(&self, row: &Row<'_>, zone: &TimeZone) -> Option<Given> {
        match self.of(row, zone) {
            Ok(given) => given,
            Err(Bad(_)) => Some(Given { bad: true, ..Given::default() }),
        }
    }

    fn of(&self, row: &Row<'_>, zone: &TimeZone) -> Result<Option<Given>, Bad> {
        let mut given = Given::default();
        let value = self.value.as_ref().map(|program| program.evaluate(row)).transpose()?;
        if value == Some(Value::Null) {
            return Ok(None);
        }
        if let Some(value) = value.filter(|_| self.keeps_value) {
            given.value = stored::encode(&value);
            order::push(&mut given.sort, &value, self.descending);
        }
        if let Some(by) = &self.by {
            let by = by.evaluate(row)?;
            if by == Value::Null {
                return Ok(None);
            }
            if self.has_window {
                given.at = Some(micros(&by, zone)?);
            }
            given.sort.clear();
            order::push(&mut given.sort, &by, self.descending);
        }
        if let Some(currency) = &self.currency {
            given.currency = Some(match currency.evaluate(row)? {
                Value::Null => return Err(Bad("an amount without a currency")),
                currency => text::of(currency)?.into_owned(),
            });
        }
        Ok(Some(given))
    }
}

/// Since 1970.
fn micros(value: &Value<'_>, zone: &TimeZone) -> Result<i64, Bad> {
    match value {
        Value::Timestamp(time) => Ok(time.as_microsecond()),
        Value::Date(date) => filters::time::at((*date).into(), zone).map(jiff::Timestamp::as_microsecond),
        Value::DateTime(time) => filters::time::at(*time, zone).map(jiff::Timestamp::as_microsecond),
        _ => Err(Bad("no time")),
    }
}
