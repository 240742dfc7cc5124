//! How many rows a change touches: "112 of 40,310 rows would be cut at 40 characters".
//!
//! Rows are those that the state holds: as they were captured, most of them before the change. A test is pure; the count
//! reads the store a few rows at a time, so that it holds no snapshot for long and is in nobody's way.

use passerelle_change::{Cell, ColumnId, TableId, Type, Value};
use passerelle_state::{Standing, StateError, Store};
use serde::{Deserialize, Serialize};

use super::change::{Change, Retyping};
use super::retyping::{Spelled, range};

/// Rows read at once.
const CHUNK: usize = 1_000;

/// What of a cell is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Test {
    /// Text of more characters than this.
    LongerThan(u32),
    /// A number with more digits behind the point than `scale`, or more before it than `whole`.
    NotOfDigits {
        /// Before the point.
        whole: u32,
        /// Behind it.
        scale: u32,
    },
    /// A whole number outside of these, the ends included.
    OutOf(i128, i128),
    /// What does not read as the type.
    NoValueOf(Type),
    /// None of these texts.
    NoneOf(Vec<String>),
    /// This text.
    Is(String),
    /// Null.
    Null,
    /// A value.
    NotNull,
}

/// How many rows a test is true of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counted {
    /// Rows of which it is true.
    pub touched: u64,
    /// Rows that were looked at.
    pub looked_at: u64,
    /// No row was left out.
    pub is_all: bool,
}

impl Test {
    /// What is to be counted for a change; `None` where there is nothing to count.
    pub fn of(change: &Change) -> Option<Self> {
        match change {
            Change::ColumnDropped { .. }
            | Change::ColumnRenamed { is_certain: false, .. }
            | Change::Unreadable { .. } => Some(Self::NotNull),
            Change::Retyped { to, ty, how: Retyping::Narrowed, .. } => Some(Self::narrowed(Spelled { ty, name: to })),
            Change::Retyped { ty, how: Retyping::Converted, .. } => Some(Self::NoValueOf(ty.clone())),
            Change::NullRefused { .. } => Some(Self::Null),
            Change::LabelRemoved { label, .. } | Change::LabelRenamed { from: label, .. } => {
                Some(Self::Is(label.clone()))
            }
            Change::TableDropped
            | Change::TableRenamed { .. }
            | Change::TableReplaced { .. }
            | Change::Unpublished
            | Change::ColumnAdded { .. }
            | Change::ColumnRenamed { is_certain: true, .. }
            | Change::Retyped { how: Retyping::Widened, .. }
            | Change::Rewritten { .. }
            | Change::NullAllowed { .. }
            | Change::DefaultChanged { .. }
            | Change::LabelAdded { .. }
            | Change::CharsetChanged { .. }
            | Change::GeneratedChanged { .. }
            | Change::KeyChanged { .. }
            | Change::IdentityChanged { .. }
            | Change::PartitionAttached { .. }
            | Change::PartitionDetached { .. } => None,
        }
    }

    fn narrowed(to: Spelled<'_>) -> Self {
        match (to.ty, range(to.name)) {
            (Type::Text { max_chars: Some(most) }, _) => Self::LongerThan(*most),
            (Type::Enum { labels }, _) => Self::NoneOf(labels.clone()),
            (Type::Decimal { precision: Some((digits, scale)) }, _) => {
                let whole = i32::from(*digits) - i32::from(*scale);
                Self::NotOfDigits { whole: whole.max(0).unsigned_abs(), scale: (*scale).max(0).unsigned_abs().into() }
            }
            (Type::Int, Some((low, high))) => Self::OutOf(low, high),
            (ty, _) => Self::NoValueOf(ty.clone()),
        }
    }

    /// Whether it is true of a cell. A null passes every test but that for a null.
    pub fn is_true(&self, cell: Cell<'_>) -> bool {
        let Some(bytes) = cell else { return *self == Self::Null };
        let text = String::from_utf8_lossy(bytes);
        match self {
            Self::LongerThan(most) => text.chars().count() > *most as usize,
            Self::NotOfDigits { whole, scale } => !fits_digits(&text, *whole as usize, *scale as usize),
            Self::OutOf(low, high) => !is_whole_within(&text, *low, *high),
            Self::NoValueOf(ty) => !reads_as(ty, &text),
            Self::NoneOf(labels) => !labels.iter().any(|label| *label == text),
            Self::Is(label) => *label == text,
            Self::Null => false,
            Self::NotNull => true,
        }
    }

    /// The count in a sentence: `112 of 40,310 rows would be cut at 40 characters`.
    pub fn sentence(&self, counted: &Counted) -> String {
        let Counted { touched, looked_at, is_all } = *counted;
        let of = if is_all { "" } else { "the first " };
        let rows = if looked_at == 1 { "row" } else { "rows" };
        let is = |one: &str, many: &str| if touched == 1 { one.to_owned() } else { many.to_owned() };
        let what = match self {
            Self::LongerThan(most) => format!("would be cut at {most} characters"),
            Self::NotOfDigits { whole, scale } => {
                format!("{} more than {whole} digits before the point or {scale} behind it", is("has", "have"))
            }
            Self::OutOf(low, high) => format!("{} not between {low} and {high}", is("is", "are")),
            Self::NoValueOf(_) => format!("{} no value of the new type", is("has", "have")),
            Self::NoneOf(_) => format!("{} none of the labels", is("has", "have")),
            Self::Is(label) => format!("{} '{label}'", is("has", "have")),
            Self::Null => format!("{} null", is("is", "are")),
            Self::NotNull => format!("{} a value", is("has", "have")),
        };
        format!("{} of {of}{} {rows} {what}", apart(touched), apart(looked_at))
    }
}

/// What is counted for a change, in a sentence, over at most `most_rows` rows of its table; `None` where there is nothing to
/// count, or no row has the column.
pub fn told(store: &Store, table: TableId, change: &Change, most_rows: u64) -> Result<Option<String>, StateError> {
    let (Some(test), Some(name)) = (Test::of(change), change.column()) else { return Ok(None) };
    let known = store.columns_of(table)?;
    let columns: Vec<ColumnId> = known.iter().filter(|column| column.name == name).map(|column| column.id).collect();
    let counted = count(store, table, &columns, &test, most_rows)?;
    Ok((counted.looked_at > 0).then(|| test.sentence(&counted)))
}

/// Counts the rows of a table of which the test is true, over at most `most_rows` of them, in the order of their keys.
/// `columns` are the ids that the column has had, the newest last: of a row the newest that it has is looked at. Rows that
/// are deleted, or came before the last TRUNCATE, are no rows.
pub fn count(
    store: &Store,
    table: TableId,
    columns: &[ColumnId],
    test: &Test,
    most_rows: u64,
) -> Result<Counted, StateError> {
    let mut counted = Counted::default();
    let mut after: Option<Vec<u8>> = None;
    loop {
        let view = store.view();
        let truncated = view.truncated(table)?;
        let rows = view.rows(table, after.as_deref(), CHUNK)?;
        drop(view);
        let is_last = rows.len() < CHUNK;
        for (row_key, row) in rows {
            if row.standing != Standing::Gone && truncated.is_none_or(|at| row.seq > at) {
                if counted.looked_at == most_rows {
                    return Ok(counted);
                }
                counted.looked_at += 1;
                let cell = columns.iter().rev().find_map(|column| row.cells().get(*column));
                counted.touched += u64::from(cell.is_some_and(|cell| test.is_true(cell)));
            }
            after = Some(row_key);
        }
        if is_last {
            return Ok(Counted { is_all: true, ..counted });
        }
    }
}

/// Zeros at the ends are no digits.
fn fits_digits(text: &str, whole: usize, scale: usize) -> bool {
    let plain = text.trim_start_matches(['-', '+']);
    let (before, behind) = plain.split_once('.').unwrap_or((plain, ""));
    if !before.bytes().chain(behind.bytes()).all(|byte| byte.is_ascii_digit()) {
        return false;
    }
    before.trim_start_matches('0').len() <= whole && behind.trim_end_matches('0').len() <= scale
}

fn is_whole_within(text: &str, low: i128, high: i128) -> bool {
    let whole = match text.split_once('.') {
        Some((whole, zeros)) if zeros.bytes().all(|byte| byte == b'0') => whole,
        Some(_) => return false,
        None => text,
    };
    whole.parse::<i128>().is_ok_and(|number| (low..=high).contains(&number))
}

/// Whether the database would read a text as the type, as far as its plain forms go.
fn reads_as(ty: &Type, text: &str) -> bool {
    let text = text.trim();
    match ty {
        // The forms that PostgreSQL and MySQL take, besides those in which a value is captured.
        Type::Bool => {
            matches!(text.to_ascii_lowercase().as_str(), "t" | "f" | "true" | "false" | "1" | "0" | "yes" | "no")
        }
        Type::Date => Value::parse(ty, Some(text.get(..10).unwrap_or(text).as_bytes())).is_ok(),
        Type::Timestamp => {
            let naive = Value::parse(&Type::DateTime, Some(text.as_bytes())).is_ok();
            naive || is_date(text) || Value::parse(ty, Some(text.as_bytes())).is_ok()
        }
        Type::DateTime => {
            let naive = text.split_once('+').map_or(text, |(naive, _)| naive);
            is_date(text) || Value::parse(ty, Some(naive.as_bytes())).is_ok()
        }
        Type::Uuid => Value::parse(ty, Some(text.to_ascii_lowercase().as_bytes())).is_ok(),
        Type::Json => serde_json::from_str::<serde::de::IgnoredAny>(text).is_ok(),
        ty => Value::parse(ty, Some(text.as_bytes())).is_ok(),
    }
}

fn is_date(text: &str) -> bool {
    Value::parse(&Type::Date, Some(text.as_bytes())).is_ok()
}

/// With its thousands apart: `40,310`.
fn apart(number: u64) -> String {
    let digits = number.to_string();
    let mut apart = String::with_capacity(digits.len() + digits.len() / 3);
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            apart.push(',');
        }
        apart.push(digit);
    }
    apart
}
