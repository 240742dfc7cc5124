//! Rollups: figures over all rows that are related to one, kept up to date row by row.
//!
//! Of each group (the rows of one join key) totals are kept, from which a row takes back exactly what it gave. A figure that
//! needs more than totals (the least, the last, a list, a window of time) has a *line* for each row besides, in an order in
//! which the first ones answer it. Nothing here reads a clock: a group is as of the time that it was told last, and
//! [`Rollup::next_expiry`] says when the next row leaves a window.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use bigdecimal::{BigDecimal, Zero as _};
use passerelle_change::Value;
use rust_decimal::Decimal;
use serde::{Deserialize, Serialize};

use super::super::text;
use super::{order, stored};

/// A figure's value, or why it has none: one of a few reasons, without anything of a row.
pub type Figure = Result<Value<'static>, &'static str>;

const BAD: &str = "a related row's value is bad";
const CURRENCIES: &str = "amounts of several currencies";
const TOO_LONG: &str = "the sum has too many digits";

/// The figures of one relation.
#[derive(Clone, Debug, Default)]
pub struct Rollup {
    /// In the order of their names.
    pub figures: Vec<FigureOf>,
}

/// One figure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FigureOf {
    /// Its name.
    pub name: Arc<str>,
    /// What is made of the rows.
    pub function: Function,
    /// Only rows no older than this.
    pub within: Option<Duration>,
    /// Equal values count once.
    pub distinct: bool,
    /// A list is joined to text by this.
    pub separator: Option<String>,
    /// The most items of a list.
    pub limit: usize,
    /// A sum is of integers, and one itself.
    pub integer: bool,
}

/// What is made of the rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Function {
    /// How many there are.
    Count,
    /// Exact.
    Sum,
    /// To 28 digits.
    Avg,
    /// The least value.
    Min,
    /// The greatest value.
    Max,
    /// The value of the first row, by an order.
    First,
    /// The value of the last row.
    Last,
    /// All values, in order, up to a limit.
    List,
}

/// What one row gives to one figure.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Given {
    /// The value, stored; empty where rows are counted.
    pub value: Vec<u8>,
    /// It has none: its expression failed.
    pub bad: bool,
    /// The order of its line: of the value, or of `by`.
    pub sort: Vec<u8>,
    /// `by`, in microseconds since 1970, where the figure has a window.
    pub at: Option<i64>,
    /// The currency of an amount.
    pub currency: Option<String>,
}

/// What a row gives to all figures, as its entry holds it; none where a value is null.
pub fn given(all: &[Option<Given>]) -> Vec<u8> {
    // Only memory is written.
    bincode::serde::encode_to_vec(all, bincode::config::standard()).unwrap_or_default()
}

fn of_given(holds: &[u8]) -> Vec<Option<Given>> {
    let read = bincode::serde::decode_from_slice(holds, bincode::config::standard());
    read.map(|(all, _)| all).unwrap_or_default()
}

/// What is known of the rows of one join key.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Group {
    totals: Vec<Totals>,
    /// The time that windows end at, in microseconds since 1970.
    as_of: i64,
}

/// Totals of one figure; of one with a window, of the rows in it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
struct Totals {
    rows: u64,
    bad: u64,
    distinct: u64,
    /// Plain decimal text without trailing zeros; empty for none.
    sum: String,
    currencies: BTreeMap<String, u64>,
}

/// A row's line in a figure's order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Line {
    /// The figure's place.
    pub figure: u8,
    /// Where it stands; the row's key breaks ties.
    pub sort: Vec<u8>,
    /// What it holds.
    pub value: Vec<u8>,
}

/// The lines of a group, in their order.
pub trait Lines {
    /// Why they can't be read.
    type Error;

    /// Visits the lines of a figure whose sort is `from` or behind it, in order; backwards: all of them, from the last one.
    /// Until `visit`, given the sort and what it holds, says stop.
    fn scan(
        &self,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Self::Error>;
}

impl FigureOf {
    fn has_lines(&self) -> bool {
        let ordered = match self.function {
            Function::Count => self.distinct,
            Function::Sum | Function::Avg => false,
            Function::Min | Function::Max | Function::First | Function::Last | Function::List => true,
        };
        ordered || self.within.is_some()
    }

    /// Rows up to this time are no longer in the window.
    fn low(&self, as_of: i64) -> Option<i64> {
        let within = i64::try_from(self.within?.as_micros()).unwrap_or(i64::MAX);
        Some(as_of.saturating_sub(within))
    }

    fn sort(&self, given: &Given) -> Vec<u8> {
        match (self.within, given.at) {
            (Some(_), at) => micros(at.unwrap_or(i64::MIN)),
            (None, _) => given.sort.clone(),
        }
    }

    /// It is told from totals whether a value came or went for good: its lines are asked for others of the value.
    fn counts_values(&self) -> bool {
        self.function == Function::Count && self.distinct && self.within.is_none()
    }
}

impl Rollup {
    /// The lines that a row with these holdings has.
    pub fn lines(&self, holds: &[u8]) -> Vec<Line> {
        let mut lines = Vec::new();
        for (index, (figure, given)) in self.figures.iter().zip(of_given(holds)).enumerate() {
            let Some(given) = given.filter(|given| figure.has_lines() && !given.bad) else { continue };
            let sort = figure.sort(&given);
            let value = if figure.within.is_some() { self::given(&[Some(given)]) } else { given.value };
            lines.push(Line { figure: index as u8, sort, value });
        }
        lines
    }

    /// Moves the group on to `now`, in microseconds since 1970: rows that have left a window take back what they gave. True
    /// when one has.
    pub fn advance<L: Lines>(&self, group: &mut Group, now: i64, lines: &L) -> Result<bool, L::Error> {
        group.totals.resize_with(self.figures.len(), Totals::default);
        let (before, now) = (group.as_of, now.max(group.as_of));
        let mut moved = false;
        for (index, (figure, totals)) in self.figures.iter().zip(&mut group.totals).enumerate() {
            let (Some(from), Some(to)) = (figure.low(before), figure.low(now)) else { continue };
            if totals.rows == 0 && totals.bad == 0 {
                continue;
            }
            let end = micros(to.saturating_add(1));
            lines.scan(index as u8, &micros(from.saturating_add(1)), false, &mut |sort, value| {
                if sort >= end.as_slice() {
                    return false;
                }
                if let Some(given) = of_given(value).into_iter().flatten().next() {
                    totals.count(figure, &given, false);
                    moved = true;
                }
                true
            })?;
        }
        group.as_of = now;
        Ok(moved)
    }

    /// A row comes to the group, or takes back what it gave (`comes` is false). Its lines are not there yet, or no more;
    /// `lines` are those of the others.
    pub fn change<L: Lines>(&self, group: &mut Group, holds: &[u8], comes: bool, lines: &L) -> Result<(), L::Error> {
        group.totals.resize_with(self.figures.len(), Totals::default);
        let as_of = group.as_of;
        for (index, (figure, given)) in self.figures.iter().zip(of_given(holds)).enumerate() {
            let Some(given) = given else { continue };
            let is_outside = figure.low(as_of).is_some_and(|low| given.at.is_none_or(|at| at <= low));
            if is_outside {
                continue;
            }
            let totals = &mut group.totals[index];
            totals.count(figure, &given, comes);
            if figure.counts_values() && !given.bad {
                let mut is_alone = true;
                lines.scan(index as u8, &given.sort, false, &mut |sort, _| {
                    is_alone = sort != given.sort.as_slice();
                    false
                })?;
                let by = u64::from(is_alone);
                totals.distinct = if comes { totals.distinct + by } else { totals.distinct.saturating_sub(by) };
            }
        }
        Ok(())
    }

    /// When the next row leaves a window, in microseconds since 1970; `None` where none does.
    pub fn next_expiry<L: Lines>(&self, group: &Group, lines: &L) -> Result<Option<i64>, L::Error> {
        let mut next = None;
        for (index, figure) in self.figures.iter().enumerate() {
            let (Some(low), Some(within)) = (figure.low(group.as_of), figure.within) else { continue };
            let within = i64::try_from(within.as_micros()).unwrap_or(i64::MAX);
            lines.scan(index as u8, &micros(low.saturating_add(1)), false, &mut |_, value| {
                let at = of_given(value).into_iter().flatten().next().and_then(|given| given.at);
                let expires = at.map(|at| at.saturating_add(within));
                next = [next, expires].into_iter().flatten().min();
                false
            })?;
        }
        Ok(next)
    }

    /// Whether nothing is in the group: it need not be kept.
    pub fn is_empty(group: &Group) -> bool {
        group.totals.iter().all(|totals| totals.rows == 0 && totals.bad == 0)
    }

    /// The figures of a group.
    pub fn figures<L: Lines>(&self, group: &Group, lines: &L) -> Result<Vec<Figure>, L::Error> {
        let none = Totals::default();
        let of = |(index, figure): (usize, &FigureOf)| {
            let totals = group.totals.get(index).unwrap_or(&none);
            figure.value(totals, (index as u8, group.as_of), lines)
        };
        self.figures.iter().enumerate().map(of).collect()
    }
}

impl FigureOf {
    fn value<L: Lines>(&self, totals: &Totals, (index, as_of): (u8, i64), lines: &L) -> Result<Figure, L::Error> {
        if totals.bad > 0 {
            return Ok(Err(BAD));
        }
        if totals.currencies.len() > 1 {
            return Ok(Err(CURRENCIES));
        }
        let count = |n: usize| Ok(Ok(Value::Int(n as i128)));
        match self.function {
            Function::Count if !self.distinct => return count(totals.rows as usize),
            Function::Count if self.within.is_none() => return count(totals.distinct as usize),
            Function::Sum | Function::Avg => return Ok(self.amount(totals)),
            Function::Count | Function::Min | Function::Max | Function::First | Function::Last | Function::List => {}
        }
        if self.within.is_none() {
            return self.of_lines(index, lines);
        }
        let mut all: Vec<Given> = Vec::new();
        let from = self.low(as_of).map_or_else(Vec::new, |low| micros(low.saturating_add(1)));
        lines.scan(index, &from, false, &mut |_, value| {
            all.extend(of_given(value).into_iter().flatten());
            !(self.function == Function::First
                || self.function == Function::List && !self.distinct && all.len() >= self.limit)
        })?;
        if self.distinct {
            let mut seen = BTreeSet::new();
            all.retain(|given| seen.insert(given.sort.clone()));
        }
        let value = |given: Option<&Given>| Ok(Ok(given.map_or(Value::Null, |given| decoded(&given.value))));
        match self.function {
            Function::Count => count(all.len()),
            Function::Min => value(all.iter().min_by(|a, b| a.sort.cmp(&b.sort))),
            Function::Max => value(all.iter().max_by(|a, b| a.sort.cmp(&b.sort))),
            Function::First => value(all.first()),
            Function::Last => value(all.last()),
            Function::List => {
                if self.distinct {
                    all.sort_by(|a, b| a.sort.cmp(&b.sort));
                }
                Ok(self.list(all.into_iter().take(self.limit).map(|given| decoded(&given.value)).collect()))
            }
            Function::Sum | Function::Avg => Ok(self.amount(totals)),
        }
    }

    /// What the first lines say, or the last one.
    fn of_lines<L: Lines>(&self, index: u8, lines: &L) -> Result<Figure, L::Error> {
        let mut items = Vec::new();
        let is_list = self.function == Function::List;
        let backwards = matches!(self.function, Function::Max | Function::Last);
        if is_list && self.distinct {
            // From one value to the next, however many rows have it.
            let mut from = Vec::new();
            while items.len() < self.limit {
                let mut next = None;
                lines.scan(index, &from, false, &mut |sort, value| {
                    next = Some((sort.to_vec(), decoded(value)));
                    false
                })?;
                let Some((sort, value)) = next else { break };
                items.push(value);
                from = sort;
                // No sort begins another, and their bytes go on below this one.
                from.push(0xff);
            }
        } else {
            let most = if is_list { self.limit } else { 1 };
            lines.scan(index, &[], backwards, &mut |_, value| {
                items.push(decoded(value));
                items.len() < most
            })?;
        }
        Ok(if is_list { self.list(items) } else { Ok(items.pop().unwrap_or(Value::Null)) })
    }

    fn list(&self, items: Vec<Value<'static>>) -> Figure {
        if items.is_empty() {
            return Ok(Value::Null);
        }
        let Some(separator) = &self.separator else { return Ok(Value::List(items)) };
        let texts = items.into_iter().map(|item| text::of(item).map(Cow::into_owned).map_err(|bad| bad.0));
        let texts: Vec<String> = texts.collect::<Result<_, _>>()?;
        Ok(Value::Text(texts.join(separator).into()))
    }

    fn amount(&self, totals: &Totals) -> Figure {
        if totals.rows == 0 {
            return Ok(Value::Null);
        }
        let sum: BigDecimal = totals.sum.parse().unwrap_or_else(|_| BigDecimal::zero());
        let amount = match self.function {
            Function::Avg => (sum / BigDecimal::from(totals.rows)).with_prec(28).round(28),
            _ => sum,
        };
        let text = amount.normalized().to_plain_string();
        if self.integer && self.function == Function::Sum {
            return text.parse().map(Value::Int).map_err(|_| TOO_LONG);
        }
        Ok(Decimal::from_str_exact(&text).map_or_else(|_| Value::BigNumber(text.into()), Value::Decimal))
    }
}

impl Totals {
    fn count(&mut self, figure: &FigureOf, given: &Given, comes: bool) {
        let step = |n: &mut u64| *n = if comes { *n + 1 } else { n.saturating_sub(1) };
        let is_amount = matches!(figure.function, Function::Sum | Function::Avg);
        let amount = (is_amount && !given.bad).then(|| exact(&given.value));
        if given.bad || amount == Some(None) {
            return step(&mut self.bad);
        }
        step(&mut self.rows);
        if let Some(Some(amount)) = amount {
            let sum: BigDecimal = self.sum.parse().unwrap_or_else(|_| BigDecimal::zero());
            self.sum = (if comes { sum + amount } else { sum - amount }).normalized().to_plain_string();
        }
        if let Some(currency) = &given.currency {
            let rows = self.currencies.entry(currency.clone()).or_default();
            step(rows);
            if *rows == 0 {
                self.currencies.remove(currency);
            }
        }
    }
}

/// A stored number, exactly: of a float the digits that it is printed by.
fn exact(stored: &[u8]) -> Option<BigDecimal> {
    match stored::decode(stored)? {
        Value::Int(n) => Some(BigDecimal::from(n)),
        Value::Decimal(n) => n.to_string().parse().ok(),
        Value::BigNumber(text) => text.parse().ok(),
        Value::Float(n) if n.is_finite() => n.to_string().parse().ok(),
        _ => None,
    }
}

fn decoded(stored: &[u8]) -> Value<'static> {
    stored::decode(stored).unwrap_or(Value::Null)
}

fn micros(at: i64) -> Vec<u8> {
    let mut sort = Vec::with_capacity(9);
    order::push_micros(&mut sort, at);
    sort
}

#[cfg(test)]
mod tests;
