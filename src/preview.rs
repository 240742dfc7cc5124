//! What rows of a mapping become, step by step, over live rows and without sending anything.
//!
//! The rows are read from the source as the stream would tell them ([`rows`]): the same text, under the same session
//! settings. What comes of them is told by the same evaluation that delivery uses; the steps in between are shown beside
//! it. Neither the daemon nor its state is asked: what is shown is the whole record, as it goes to a CRM that has none.

mod evaluate;
mod related;
mod rows;

use std::collections::BTreeSet;

use passerelle_change::{FieldValue, Refusal, TableName, Value};

use crate::config::Config;
use crate::config::model::{self, FieldSource};
use crate::mapping::{self, Compile, Desired, Mapping, MappingFault, Step, StepKind};
use crate::online::tables::{Tables, columns};
use crate::source::Error;
use crate::source::table::TableFacts;
pub use related::{MOST_RELATED, Origin, PivotRow, RelatedView};
use related::{Relatives, Whole};
use rows::{Reader, RowText, Shape};

/// Rows that are looked at to find some that the mapping does not filter out.
pub const MOST_LOOKED_AT: usize = 2_000;

/// Which rows.
#[derive(Clone, Copy, Debug)]
pub enum Which<'w> {
    /// The one with this row key (its parts joined by commas), or with this external key where that is a plain column.
    Key(&'w str),
    /// The first ones, in the order of their row keys, that `where` lets through.
    First(usize),
}

/// What was found.
#[derive(Debug)]
pub struct Preview {
    /// The rows.
    pub rows: Vec<RowView>,
    /// Rows before and between them that `where` leaves out.
    pub left_out: usize,
    /// Whether there may be more rows that were not looked at.
    pub more: bool,
}

/// A row and what comes of it.
#[derive(Debug)]
pub struct RowView {
    /// Its row key, as it is printed.
    pub row_key: String,
    /// The columns that the mapping uses, and their values.
    pub columns: Vec<Step>,
    /// What its relations had.
    pub related: Vec<RelatedView>,
    /// `where`.
    pub filter: Option<Shown>,
    /// `deleted`.
    pub deleted: Option<Shown>,
    /// The external key.
    pub key: Shown,
    /// The fields in the mapping's order.
    pub fields: Vec<FieldView>,
    /// What comes of it all.
    pub outcome: Outcome,
}

impl RowView {
    /// What the relation had whose value a step gave.
    pub fn relation<'v>(&'v self, step: &'v Step) -> Option<(&'v RelatedView, &'v str)> {
        let StepKind::Related { relation, name } = &step.kind else { return None };
        Some((self.related.iter().find(|related| related.path == *relation)?, name))
    }
}

/// An expression and what each of its steps gave.
#[derive(Debug)]
pub struct Shown {
    /// As written.
    pub expression: String,
    /// At least one.
    pub steps: Vec<Step>,
}

/// A field.
#[derive(Debug)]
pub struct FieldView {
    /// Its name.
    pub name: String,
    /// `when`.
    pub when: Option<Shown>,
    /// The expression of its value or of its reference; `None` for a constant.
    pub value: Option<Shown>,
    /// Whether a map stands after the expression.
    pub has_map: bool,
    /// What a new record begins with instead.
    pub on_create: Option<FieldValue>,
    /// What comes of it; `None` where the row comes to no record.
    pub fate: Option<Fate>,
}

/// What comes of a field.
#[derive(Debug)]
pub enum Fate {
    /// It is sent.
    Set(FieldValue),
    /// It refers to another record.
    Refers {
        /// The parents' mapping.
        mapping: String,
        /// The parent's row key, as it is printed.
        row_key: String,
        /// The record, or why there is none.
        parent: Result<FieldValue, String>,
        /// What is done without it.
        without: model::Missing,
    },
    /// It refers to a record that no mapping keeps: only the CRM knows which.
    Finds {
        /// Its object.
        object: String,
        /// The field by which it is found.
        by: String,
        /// That field's value.
        value: String,
    },
    /// It names no record: `missing` leaves it out.
    Nobody,
    /// Its value is bad.
    Bad {
        /// Why.
        reason: &'static str,
        /// Whether it is cleared for that, or left out.
        cleared: bool,
    },
    /// `when` is not true.
    LeftOut,
    /// It needs a column that the stream does not carry.
    Absent,
}

/// What comes of a row.
#[derive(Debug)]
pub enum Outcome {
    /// This record is upserted.
    Upsert {
        /// The external key.
        key: String,
        /// The record as it stands in the request, as JSON.
        record: String,
    },
    /// `where` leaves it out: `on_leave` says what becomes of a record that is there.
    Left,
    /// It is deleted softly: `on_delete` says what becomes of a record that is there.
    Deleted,
    /// An association that does not name one of the two that it would join, or one that is not in the CRM. It goes, if it
    /// is there.
    Apart,
    /// It becomes a dead letter.
    Refused(Refusal),
    /// It needs columns that the stream does not carry.
    Incomplete(Vec<String>),
}

/// Why there is nothing to show.
#[derive(Debug, thiserror::Error)]
pub enum PreviewError {
    /// The table is not there.
    #[error("table {0} is not in the database, or our user may not see it")]
    NoTable(String),
    /// No row has the key.
    #[error("no row of {table} has the key {key}")]
    NoRow {
        /// The table.
        table: String,
        /// The key.
        key: String,
    },
    /// The mapping does not fit its table.
    #[error("the mapping does not fit its table")]
    Mapping(Vec<MappingFault>),
    /// Rows of the table can't be told apart.
    #[error("{0}")]
    NoRowKey(String),
    /// The database.
    #[error(transparent)]
    Database(#[from] Error),
}

/// A mapping ready to be evaluated.
struct Ready<'c> {
    config: &'c model::Mapping,
    compiled: Mapping,
    shape: Shape,
    /// The tables of each relation.
    related: Vec<Vec<Shape>>,
    tables: &'c Tables,
    time_zone: &'c str,
    /// Where windows end: microseconds since 1970.
    now: i64,
}

impl Ready<'_> {
    /// Hands over what the mapping was compiled with.
    fn compile_with<T>(&self, ask: impl FnOnce(&Compile<'_>) -> T) -> T {
        let related = |name: &TableName| self.tables.related(self.config, name);
        ask(&Compile { related: Some(&related), ..Compile::new(self.shape.typed(), &|_| None, self.time_zone) })
    }

    fn relatives(&self) -> Relatives<'_> {
        Relatives::new(&self.compiled, &self.related, self.now)
    }
}

/// Reads rows of a mapping and evaluates them. Reads only; sends nothing.
pub async fn preview(
    config: &Config,
    source: &model::Source,
    mapping: &model::Mapping,
    which: Which<'_>,
) -> Result<Preview, PreviewError> {
    let of_source = config.mappings.values().filter(|other| other.source == source.name);
    let tables_of = |other: &model::Mapping| {
        let related = mapping::tables_of(other).into_iter().map(|(name, _)| name);
        std::iter::once(other.table.clone()).chain(related).collect::<Vec<_>>()
    };
    let names: BTreeSet<_> = of_source.flat_map(tables_of).collect();
    let (mut reader, known) = Reader::open(source, &names.into_iter().collect::<Vec<_>>()).await?;
    let mut tables = Tables::default();
    tables.add(&source.name, known);
    let ready = ready(config, &tables, source, mapping, &reader)?;
    let mut relatives = ready.relatives();
    let (found, left_out, more) = match which {
        Which::Key(key) => {
            let row = by_key(&mut reader, &ready, key).await?;
            (vec![relatives.of(&mut reader, row).await?], 0, false)
        }
        Which::First(limit) => first(&mut reader, &ready, &mut relatives, limit).await?,
    };
    let mut rows = Vec::with_capacity(found.len());
    for row in &found {
        let parents = parents(config, &tables, source, &mut reader, &ready, row).await?;
        rows.push(evaluate::view(config, &ready, row, &parents));
    }
    Ok(Preview { rows, left_out, more })
}

fn ready<'c>(
    config: &'c Config,
    tables: &'c Tables,
    source: &'c model::Source,
    mapping: &'c model::Mapping,
    reader: &Reader,
) -> Result<Ready<'c>, PreviewError> {
    let no_table = |name: &TableName| PreviewError::NoTable(name.to_string());
    let facts = tables.table(mapping).ok_or_else(|| no_table(&mapping.table))?;
    let parent = |name: &str| tables.parent(config, name);
    let related = |name: &TableName| tables.related(mapping, name);
    let columns = columns(facts);
    let with = Compile { related: Some(&related), ..Compile::new(&columns, &parent, &source.time_zone) };
    let compiled = Mapping::compile(mapping, &with).map_err(PreviewError::Mapping)?;
    let shape = |facts: &TableFacts, used: &mut dyn Iterator<Item = &str>| {
        let used: Vec<String> = used.map(str::to_owned).collect();
        Shape::new(facts, &used, |column| reader.is_streamed(column)).map_err(PreviewError::NoRowKey)
    };
    let of_branch = |branch: &mapping::Branch| {
        let known = tables.of_source(&source.name).iter().find(|table| table.name == *branch.table());
        shape(known.ok_or_else(|| no_table(branch.table()))?, &mut branch.columns())
    };
    let of_relation = |relation: &mapping::Relation| relation.branches().iter().map(of_branch).collect();
    let of_related = compiled.relations().iter().map(of_relation).collect::<Result<_, _>>()?;
    let own = shape(facts, &mut compiled.columns())?;
    Ok(Ready {
        config: mapping,
        shape: own,
        related: of_related,
        compiled,
        tables,
        time_zone: &source.time_zone,
        now: jiff::Timestamp::now().as_microsecond(),
    })
}

async fn by_key(reader: &mut Reader, ready: &Ready<'_>, key: &str) -> Result<RowText, PreviewError> {
    let parts: Vec<String> =
        if ready.shape.key_columns() == 1 { vec![key.to_owned()] } else { key.split(',').map(str::to_owned).collect() };
    if let Some(row) = reader.by_key(&ready.shape, &parts).await? {
        return Ok(row);
    }
    let external = ready.config.key_value.text.trim();
    if ready.shape.has(external)
        && let Some(row) = reader.by_column(&ready.shape, external, key).await?
    {
        return Ok(row);
    }
    Err(PreviewError::NoRow { table: ready.config.table.to_string(), key: key.to_owned() })
}

/// The first rows that come to something; where none does, the first rows as they are.
async fn first(
    reader: &mut Reader,
    ready: &Ready<'_>,
    relatives: &mut Relatives<'_>,
    limit: usize,
) -> Result<(Vec<Whole>, usize, bool), PreviewError> {
    // What `where` says of related rows is known only once those are read, which is after this.
    let may_ask = ready.config.filter.is_some() && !ready.compiled.scope().asks().is_empty();
    let (mut looked_at, mut good) = (Vec::new(), 0);
    let mut more = reader
        .scan(&ready.shape, MOST_LOOKED_AT, |row| {
            good += usize::from(!evaluate::is_left(ready, &row));
            looked_at.push(row);
            good < limit || may_ask
        })
        .await?;
    let (mut found, mut left, mut left_out) = (Vec::new(), Vec::new(), 0);
    let mut rows = looked_at.into_iter();
    while found.len() < limit
        && let Some(row) = rows.next()
    {
        // Of a row that is left out whatever is related to it, only the first ones are shown.
        if left.len() >= limit && evaluate::is_left(ready, &row) {
            left_out += 1;
            continue;
        }
        let whole = relatives.of(reader, row).await?;
        if whole.desired(&ready.compiled) != Desired::Left {
            found.push(whole);
            continue;
        }
        left_out += 1;
        if left.len() < limit {
            left.push(whole);
        }
    }
    more |= rows.next().is_some();
    Ok(if found.is_empty() { (left, left_out, more) } else { (found, left_out, more) })
}

/// What the reference of a field finds.
struct Parent {
    /// The field's place in its mapping.
    field: usize,
    /// The mapping that has the record.
    mapping: Option<String>,
    /// The record, or why there is none.
    record: Result<FieldValue, String>,
}

/// What the references of a row find.
type Parents = Vec<Parent>;

async fn parents(
    config: &Config,
    tables: &Tables,
    source: &model::Source,
    reader: &mut Reader,
    child: &Ready<'_>,
    row: &Whole,
) -> Result<Parents, PreviewError> {
    let mut found = Parents::new();
    for (index, row_key) in evaluate::references(child, row) {
        let Some(FieldSource::Reference { mappings, .. }) = child.config.fields.get(index).map(|field| &field.value)
        else {
            continue;
        };
        let mappings: Vec<&model::Mapping> = mappings.iter().filter_map(|name| config.mappings.get(name)).collect();
        let (mut of, mut reasons) = (None, Vec::new());
        for mapping in &mappings {
            match parent(config, tables, source, reader, mapping, &row_key).await? {
                Ok(record) => {
                    of = Some(Parent { field: index, mapping: Some(mapping.name.to_string()), record: Ok(record) });
                    break;
                }
                Err(reason) if mappings.len() == 1 => reasons.push(reason),
                Err(reason) => reasons.push(format!("{}: {reason}", mapping.name)),
            }
        }
        let none = || Parent { field: index, mapping: None, record: Err(reasons.join("; ")) };
        found.push(of.unwrap_or_else(none));
    }
    Ok(found)
}

/// The record that a mapping makes of a row, or why it makes none.
async fn parent(
    config: &Config,
    tables: &Tables,
    source: &model::Source,
    reader: &mut Reader,
    mapping: &model::Mapping,
    row_key: &[String],
) -> Result<Result<FieldValue, String>, PreviewError> {
    Ok(match ready(config, tables, source, mapping, reader) {
        Ok(parent) => match reader.by_key(&parent.shape, row_key).await? {
            Some(row) => evaluate::record_of(&parent, &parent.relatives().of(reader, row).await?),
            None => Err(format!("there is no such row in {}", mapping.table)),
        },
        Err(PreviewError::Mapping(_)) => Err(format!("mapping {} has faults", mapping.name)),
        Err(PreviewError::NoTable(table)) => Err(format!("there is no table {table}")),
        Err(other @ (PreviewError::NoRow { .. } | PreviewError::NoRowKey(_) | PreviewError::Database(_))) => {
            return Err(other);
        }
    })
}

/// A column's value, as it is shown.
fn column_step(name: &str, value: Result<Value<'static>, &'static str>) -> Step {
    Step { text: name.to_owned(), kind: StepKind::Start, value }
}
