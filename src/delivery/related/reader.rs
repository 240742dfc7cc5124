//! What the relations of an expression have for a row.

use std::cell::RefCell;
use std::collections::BTreeSet;

use passerelle_change::Cells;
use passerelle_state::{Dependent, JoinKey, MappingId, RelatedRow, RowBuf, StateError, Store, View};

use super::{Indexes, Relation, Table};
use crate::mapping::related::rollup::{Group, Lines, Rollup};
use crate::mapping::related::{self, Form, Found, Scope, stored};
use crate::mapping::{Desired, Mapping};

/// The most rows of a pivot that are looked at.
const MOST_PIVOTED: usize = 10_000;

/// Reads related rows through a view.
#[derive(Clone, Copy)]
pub(in crate::delivery) struct Reader<'a> {
    pub store: &'a Store,
    pub view: &'a View<'a>,
    pub indexes: &'a Indexes,
    /// What was evaluated with which join keys, to be noted.
    pub asked: &'a RefCell<Vec<(Dependent, Vec<JoinKey>)>>,
}

impl Reader<'_> {
    /// What the CRM should hold for a row. What it was evaluated with is noted when it is `decided` about.
    pub(in crate::delivery) fn desired(
        &self,
        (id, mapping): (MappingId, &Mapping),
        row_key: &[u8],
        row: &RowBuf,
        decided: bool,
    ) -> Result<Desired, StateError> {
        let (found, keys) = self.gather(id, mapping.scope(), row.cells(), |relation| relation.is_known)?;
        if decided {
            // A row's own key need not be noted: whoever changes under it looks at the row.
            let keys = keys.into_iter().filter(|(_, key)| key != row_key).collect();
            self.asked.borrow_mut().push((Dependent::Record { mapping: id, row_key: row_key.to_vec() }, keys));
        }
        Ok(mapping.evaluate(row.cells(), &found))
    }

    /// The external key of a row, whether or not it comes to a record.
    pub(in crate::delivery) fn key_of(
        &self,
        (id, mapping): (MappingId, &Mapping),
        row: &RowBuf,
    ) -> Result<Option<String>, StateError> {
        let (found, _) = self.gather(id, mapping.scope(), row.cells(), |relation| relation.is_known)?;
        Ok(mapping.key_of(row.cells(), &found))
    }

    /// What the asks of a mapping's scope have found, in their order, and by which join keys. Relations that are not `known`
    /// are not asked.
    pub(super) fn gather(
        &self,
        mapping: MappingId,
        scope: &Scope,
        cells: Cells<'_>,
        known: fn(&Relation) -> bool,
    ) -> Result<(Vec<Found>, Vec<JoinKey>), StateError> {
        let (mut found, mut keys) = (Vec::with_capacity(scope.asks().len()), Vec::new());
        let relations = self.indexes.of.get(&mapping).map_or(&[][..], Vec::as_slice);
        for (ask, of) in scope.asks().iter().enumerate() {
            let relation = relations.get(of.relation).map(|&at| &self.indexes.relations[at]);
            let Some(relation) = relation.filter(|relation| known(relation)) else {
                found.push(Found::Unknown);
                continue;
            };
            found.push(match scope.join_key(ask, cells, &found) {
                related::JoinKey::Absent => Found::Unknown,
                related::JoinKey::Null => none(relation),
                related::JoinKey::Key(key) => {
                    keys.push((relation.id, key));
                    self.found(relation, &keys[keys.len() - 1])?
                }
            });
        }
        keys.sort_unstable();
        keys.dedup();
        Ok((found, keys))
    }

    fn found(&self, relation: &Relation, at: &JoinKey) -> Result<Found, StateError> {
        match relation.compiled().form() {
            Form::One { by_row_key: true, .. } => self.row(relation, 0, &at.1),
            Form::One { by_row_key: false, picks } => {
                let mut rows = Vec::with_capacity(2);
                self.store.related_rows(at, |row: RelatedRow| {
                    rows.push(row);
                    !picks && rows.len() < 2
                })?;
                relation.ambiguous.set(relation.ambiguous.get() + u64::from(rows.len() > 1));
                match rows.first() {
                    Some(row) => self.row(relation, row.branch, &row.row_key),
                    None => Ok(Found::Nothing),
                }
            }
            Form::Pivot => {
                let (mut names, mut values, mut left) = (BTreeSet::new(), Vec::new(), MOST_PIVOTED);
                self.store.related_rows(at, |row| {
                    if let Some((name, value)) = stored::of_pivot(&row.holds)
                        && names.insert(name.to_owned())
                    {
                        values.push((name.to_owned(), value.to_vec()));
                    }
                    left -= 1;
                    left > 0
                })?;
                Ok(if values.is_empty() { Found::Nothing } else { Found::Pivot(values) })
            }
            Form::Rollup(rollup) => {
                let Some(group) = self.store.group::<Group>(at)? else { return Ok(no_rows(rollup)) };
                Ok(Found::Figures(rollup.figures(&group, &Kept { store: self.store, at })?))
            }
        }
    }

    fn row(&self, relation: &Relation, branch: u8, row_key: &[u8]) -> Result<Found, StateError> {
        let Some(table) = relation.tables.get(usize::from(branch)).map(|&at| &self.indexes.tables[at]) else {
            return Ok(Found::Unknown);
        };
        let row = there(self.view, table, row_key)?;
        Ok(row.map_or(Found::Nothing, |row| Found::Row(row.cells().as_bytes().to_vec())))
    }
}

/// A row of a related table, if it is there.
pub(super) fn there(view: &View<'_>, table: &Table, row_key: &[u8]) -> Result<Option<RowBuf>, StateError> {
    Ok(view.row(table.id, row_key)?.filter(|row| table.swept.is_there(row)))
}

/// What a relation has for no join key.
fn none(relation: &Relation) -> Found {
    match relation.compiled().form() {
        Form::Rollup(rollup) => no_rows(rollup),
        Form::One { .. } | Form::Pivot => Found::Nothing,
    }
}

fn no_rows(rollup: &Rollup) -> Found {
    let Ok(figures) = rollup.figures(&Group::default(), &NoLines);
    Found::Figures(figures)
}

/// The lines of a group in the state.
pub(super) struct Kept<'a> {
    pub store: &'a Store,
    pub at: &'a JoinKey,
}

impl Lines for Kept<'_> {
    type Error = StateError;

    fn scan(
        &self,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), StateError> {
        self.store.lines(self.at, figure, from, backwards, visit)
    }
}

/// Those of a group of no rows.
struct NoLines;

impl Lines for NoLines {
    type Error = std::convert::Infallible;

    fn scan(
        &self,
        _: u8,
        _: &[u8],
        _: bool,
        _: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), std::convert::Infallible> {
        Ok(())
    }
}
