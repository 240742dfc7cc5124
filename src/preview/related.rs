//! What the relations of live rows have, read from the source by their join keys.
//!
//! The same entries as delivery keeps in its indexes are made here in memory, and forgotten with the preview. Where `on`
//! names columns of the related table, only the rows of the key are read; where an expression makes the key, the table is.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::convert::Infallible;

use passerelle_change::{Cells, Type, key};

use super::rows::{Reader, RowText, Shape};
use crate::mapping::related::rollup::{Group, Lines, Rollup};
use crate::mapping::related::{Branch, Entry, Form, Found, JoinKey, Made, Relation, Scope, stored};
use crate::mapping::{Desired, Mapping};
use crate::source::Error;

/// Rows of a related table that are read for one join key, or in all where an expression makes the key.
pub const MOST_RELATED: usize = 50_000;

/// What a relation of a row had.
#[derive(Clone, Debug)]
pub struct RelatedView {
    /// The relation's names from the mapping's own table on.
    pub path: String,
    /// Its tables.
    pub tables: Vec<String>,
    /// The rows behind it.
    pub origin: Origin,
    /// There are more rows than [`MOST_RELATED`]: the others are not in it.
    pub more: bool,
}

/// The rows behind what a relation gives.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Origin {
    /// One row.
    Row {
        /// Its row key, as it is printed.
        row_key: String,
        /// How many rows there were to take it from.
        of: usize,
        /// `pick` says which one it is; else it is the one with the lowest key.
        picked: bool,
    },
    /// The rows of a pivot, by name.
    Pivot(Vec<PivotRow>),
    /// The figures of so many rows.
    Figures(usize),
    /// No row has the join key.
    Nothing,
    /// There is no join key: a part of it is null or bad, or of a related row that there is not.
    NoKey,
    /// It is not known, and why.
    Unknown(String),
}

/// The row that has a pivot's name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PivotRow {
    /// The name.
    pub name: String,
    /// Its table.
    pub table: String,
    /// Its row key, as it is printed.
    pub row_key: String,
}

/// What the asks of a scope have found, in their order, and by which rows.
#[derive(Debug, Default)]
pub(super) struct Related {
    pub(super) found: Vec<Found>,
    pub(super) views: Vec<RelatedView>,
}

/// A row and what is related to it.
#[derive(Debug)]
pub(super) struct Whole {
    pub(super) row: RowText,
    pub(super) related: Related,
}

impl Whole {
    /// What comes of it.
    pub(super) fn desired(&self, mapping: &Mapping) -> Desired {
        mapping.evaluate(self.row.cells.as_cells(), &self.related.found)
    }
}

/// Finds related rows of a mapping's rows, and remembers what it has read.
pub(super) struct Relatives<'r> {
    mapping: &'r Mapping,
    /// The tables of each relation.
    shapes: &'r [Vec<Shape>],
    known: HashMap<(usize, Vec<u8>), Known>,
    /// Tables that were read as a whole, by relation and place in it.
    whole: HashMap<(usize, usize), Read>,
    /// Where windows end: microseconds since 1970.
    now: i64,
}

/// What a join key leads to.
#[derive(Clone, Debug)]
struct Known {
    found: Found,
    origin: Origin,
    more: bool,
}

/// Entries of a table's rows, by their join keys.
#[derive(Debug, Default)]
struct Read {
    kept: BTreeMap<Vec<u8>, Vec<Kept>>,
    more: bool,
    /// Columns that the stream does not carry, and that rows need for their entries.
    lacking: BTreeSet<String>,
}

/// An entry and its row.
#[derive(Clone, Debug)]
struct Kept {
    entry: Entry,
    branch: usize,
    row_key: Vec<u8>,
    printed: String,
    cells: Vec<u8>,
}

impl<'r> Relatives<'r> {
    pub(super) fn new(mapping: &'r Mapping, shapes: &'r [Vec<Shape>], now: i64) -> Self {
        Self { mapping, shapes, known: HashMap::new(), whole: HashMap::new(), now }
    }

    /// Reads what belongs to a row of the mapping's own table.
    pub(super) async fn of(&mut self, reader: &mut Reader, row: RowText) -> Result<Whole, Error> {
        let related = self.gather(reader, self.mapping.scope(), row.cells.as_cells()).await?;
        Ok(Whole { row, related })
    }

    async fn gather(&mut self, reader: &mut Reader, scope: &Scope, cells: Cells<'_>) -> Result<Related, Error> {
        let mut related = Related::default();
        for (ask, of) in scope.asks().iter().enumerate() {
            let relation = &self.mapping.relations()[of.relation];
            let known = match scope.join_key(ask, cells, &related.found) {
                JoinKey::Absent => Known::unknown("what it is joined by is not known".to_owned()),
                JoinKey::Null => Known::without_key(relation),
                JoinKey::Key(key) => self.known(reader, of.relation, key).await?,
            };
            related.found.push(known.found);
            related.views.push(RelatedView {
                path: relation.path().to_owned(),
                tables: relation.branches().iter().map(|branch| branch.table().to_string()).collect(),
                origin: known.origin,
                more: known.more,
            });
        }
        Ok(related)
    }

    async fn known(&mut self, reader: &mut Reader, number: usize, key: Vec<u8>) -> Result<Known, Error> {
        let at = (number, key);
        if let Some(known) = self.known.get(&at) {
            return Ok(known.clone());
        }
        let relation = &self.mapping.relations()[number];
        let (mut rows, mut more, mut lacking) = (Vec::new(), false, BTreeSet::new());
        for branch in 0..relation.branches().len() {
            self.read(reader, (number, branch), &at.1, |read| {
                rows.extend(read.kept.get(&at.1).into_iter().flatten().cloned());
                more |= read.more;
                lacking.extend(read.lacking.iter().cloned());
            })
            .await?;
        }
        // As an index has them.
        rows.sort_by(|a, b| (&a.entry.order, a.branch, &a.row_key).cmp(&(&b.entry.order, b.branch, &b.row_key)));
        let known = if lacking.is_empty() {
            Known { more, ..Known::of(relation, &rows, self.now) }
        } else {
            let lacking = lacking.into_iter().collect::<Vec<_>>().join(", ");
            Known::unknown(format!("a row of it needs {lacking}, which the stream does not carry"))
        };
        self.known.insert(at, known.clone());
        Ok(known)
    }

    /// Hands over the entries of a table among which are all those of the key.
    async fn read(
        &mut self,
        reader: &mut Reader,
        at: (usize, usize),
        key: &[u8],
        take: impl FnOnce(&Read),
    ) -> Result<(), Error> {
        let (mapping, shape) = (self.mapping, &self.shapes[at.0][at.1]);
        let values = values(&mapping.relations()[at.0].branches()[at.1], shape, key);
        if !values.is_empty() {
            let mut rows = reader.matching(shape, &values, MOST_RELATED + 1).await?;
            let more = rows.len() > MOST_RELATED;
            rows.truncate(MOST_RELATED);
            let read = self.entries(reader, at, rows).await?;
            take(&Read { more, ..read });
            return Ok(());
        }
        if !self.whole.contains_key(&at) {
            let mut rows = Vec::new();
            let more = reader
                .scan(shape, MOST_RELATED, |row| {
                    rows.push(row);
                    true
                })
                .await?;
            let read = self.entries(reader, at, rows).await?;
            self.whole.insert(at, Read { more, ..read });
        }
        if let Some(read) = self.whole.get(&at) {
            take(read);
        }
        Ok(())
    }

    /// The entries of rows, each with what it asks for itself.
    async fn entries(&mut self, reader: &mut Reader, at: (usize, usize), rows: Vec<RowText>) -> Result<Read, Error> {
        let (mapping, shape) = (self.mapping, &self.shapes[at.0][at.1]);
        let branch = &mapping.relations()[at.0].branches()[at.1];
        let mut read = Read::default();
        for row in rows {
            let cells = row.cells.as_cells();
            let related = Box::pin(self.gather(reader, branch.scope(), cells)).await?;
            match branch.entry(cells, &related.found) {
                Made::Out => {}
                Made::Incomplete { columns } => read.lacking.extend(columns),
                Made::In(entry) => read.kept.entry(entry.key.clone()).or_default().push(Kept {
                    entry,
                    branch: at.1,
                    row_key: shape.row_key(cells),
                    printed: row.key.clone(),
                    cells: cells.as_bytes().to_vec(),
                }),
            }
        }
        Ok(read)
    }
}

/// The columns that the rows of a join key have these values in, where the database compares them as we do, or finds more.
fn values(branch: &Branch, shape: &Shape, join_key: &[u8]) -> Vec<(String, String)> {
    let (Some(columns), Some(parts)) = (branch.key_columns(), key::parts(join_key)) else { return Vec::new() };
    let is_asked = |column: &str| {
        let ty = shape.columns().iter().find(|(_, name, _)| name == column).map(|(_, _, ty)| ty);
        ty.is_some_and(|ty| match ty {
            Type::Int | Type::Decimal { .. } | Type::Text { .. } | Type::Enum { .. } | Type::Date | Type::Uuid => true,
            // Their texts depend on settings, or are no literals.
            Type::Bool
            | Type::Float
            | Type::Time
            | Type::DateTime
            | Type::Timestamp
            | Type::Interval
            | Type::Bytes
            | Type::Json
            | Type::Array(_)
            | Type::Other(_) => false,
        })
    };
    let named = columns.into_iter().zip(parts).filter(|(column, _)| is_asked(column));
    named.map(|(column, part)| (column.to_owned(), part.to_text())).collect()
}

impl Known {
    fn unknown(why: String) -> Self {
        Self { found: Found::Unknown, origin: Origin::Unknown(why), more: false }
    }

    fn without_key(relation: &Relation) -> Self {
        let found = match relation.form() {
            Form::Rollup(rollup) => figures(rollup, &[], 0),
            Form::One { .. } | Form::Pivot => Found::Nothing,
        };
        Self { found, origin: Origin::NoKey, more: false }
    }

    /// Of the rows of a join key, in their order.
    fn of(relation: &Relation, rows: &[Kept], now: i64) -> Self {
        let (found, origin) = match (relation.form(), rows.first()) {
            (Form::Rollup(rollup), _) => (figures(rollup, rows, now), Origin::Figures(rows.len())),
            (Form::One { .. } | Form::Pivot, None) => (Found::Nothing, Origin::Nothing),
            (Form::One { picks, .. }, Some(row)) => {
                let origin = Origin::Row { row_key: row.printed.clone(), of: rows.len(), picked: *picks };
                (Found::Row(row.cells.clone()), origin)
            }
            (Form::Pivot, Some(_)) => pivot(relation, rows),
        };
        Self { found, origin, more: false }
    }
}

/// The first row of each name.
fn pivot(relation: &Relation, rows: &[Kept]) -> (Found, Origin) {
    let (mut values, mut origins) = (Vec::new(), Vec::<PivotRow>::new());
    for row in rows {
        let Some((name, value)) = stored::of_pivot(&row.entry.holds) else { continue };
        if origins.iter().any(|known| known.name == name) {
            continue;
        }
        values.push((name.to_owned(), value.to_vec()));
        let table = relation.branches()[row.branch].table().to_string();
        origins.push(PivotRow { name: name.to_owned(), table, row_key: row.printed.clone() });
    }
    (Found::Pivot(values), Origin::Pivot(origins))
}

fn figures(rollup: &Rollup, rows: &[Kept], now: i64) -> Found {
    let (mut group, mut lines) = (Group::default(), InMemory::default());
    let Ok(_) = rollup.advance(&mut group, now, &lines);
    for row in rows {
        let Ok(()) = rollup.change(&mut group, &row.entry.holds, true, &lines);
        for line in rollup.lines(&row.entry.holds) {
            lines.0.insert((line.figure, line.sort, row.branch, row.row_key.clone()), line.value);
        }
    }
    let Ok(figures) = rollup.figures(&group, &lines);
    Found::Figures(figures)
}

/// Where a line stands: figure, sort, table and row key.
type At = (u8, Vec<u8>, usize, Vec<u8>);

/// The lines of a group.
#[derive(Default)]
struct InMemory(BTreeMap<At, Vec<u8>>);

impl Lines for InMemory {
    type Error = Infallible;

    fn scan(
        &self,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Infallible> {
        let from = if backwards { Vec::new() } else { from.to_vec() };
        let range = self.0.range((figure, from, 0, Vec::new())..);
        let range = range.take_while(|((of, ..), _)| *of == figure).map(|((_, sort, ..), value)| (sort, value));
        if backwards {
            let mut all: Vec<_> = range.collect();
            while let Some((sort, value)) = all.pop() {
                if !visit(sort, value) {
                    break;
                }
            }
        } else {
            for (sort, value) in range {
                if !visit(sort, value) {
                    break;
                }
            }
        }
        Ok(())
    }
}
