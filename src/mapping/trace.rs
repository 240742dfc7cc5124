//! An expression over a row, step by step: what it starts from, and what each filter of its chain makes of it.

use jiff::tz::TimeZone;
use passerelle_change::{Cells, Column, Value};

use super::check::Checker;
use super::program::Program;
use super::row::{Row, Slot, SlotIndex};
use super::syntax::{self, Expr, ExprKind};
use crate::config::model::Standard;

/// An expression, taken apart.
#[derive(Debug)]
pub struct Trace {
    steps: Vec<(String, Program)>,
    slots: Vec<Slot>,
    index: SlotIndex,
}

/// What a step gave for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The step as written: the expression before its filters, then each filter.
    pub text: String,
    /// Its value, or why it has none.
    pub value: Result<Value<'static>, &'static str>,
}

impl Trace {
    /// Takes an expression apart that was compiled against these columns and found good. A list at its top may be of
    /// several types, as a row key is. `None` where it has faults.
    pub fn of(expr: &str, columns: &[Column], time_zone: &str, standard: &Standard) -> Option<Self> {
        let tree = syntax::parse(expr).ok()?;
        let mut checker =
            Checker::new(columns, TimeZone::get(time_zone).unwrap_or(TimeZone::UTC)).with_standard(standard);
        let mut steps = Vec::new();
        for part in chain(&tree) {
            let label = label(expr, part)?;
            let text = expr.get(part.span.clone())?;
            let program = match &part.kind {
                ExprKind::List(_) => checker.compile_key(text).ok()?.0,
                _ => checker.compile(text).ok()?.0,
            };
            steps.push((label.to_owned(), program));
        }
        Some(Self { steps, index: SlotIndex::new(&checker.slots, None), slots: checker.slots })
    }

    /// What each step gives for a row. After a step that has no value there are no more.
    pub fn run(&self, cells: Cells<'_>) -> Vec<Step> {
        let row = Row::new(&self.slots, &self.index, cells);
        let mut steps = Vec::new();
        for (text, program) in &self.steps {
            let value = program.evaluate(&row).map(Value::into_owned).map_err(|bad| bad.0);
            let is_bad = value.is_err();
            steps.push(Step { text: text.clone(), value });
            if is_bad {
                break;
            }
        }
        steps
    }
}

/// The expression before its filters, then with each filter more.
fn chain(tree: &Expr) -> Vec<&Expr> {
    let mut chain = vec![tree];
    let mut at = tree;
    while let ExprKind::Filter { input, .. } = &at.kind {
        chain.push(input);
        at = input;
    }
    chain.reverse();
    chain
}

/// A step as written. Of a filter in parentheses the span has these too: `(a | trim) | upper` has the step `trim`.
fn label<'e>(expr: &'e str, part: &Expr) -> Option<&'e str> {
    let ExprKind::Filter { input, name_span, .. } = &part.kind else { return expr.get(part.span.clone()) };
    let mut label = expr.get(name_span.start..part.span.end)?;
    for _ in expr.get(part.span.start..input.span.start)?.matches('(') {
        label = label.trim_end().strip_suffix(')')?;
    }
    Some(label.trim_end())
}

#[cfg(test)]
mod tests {
    use passerelle_change::{CellsBuf, ColumnId, Type};

    use super::*;

    fn check(expr: &str, expect: &[&str]) {
        let column = |(at, name): (usize, &&str)| Column {
            id: ColumnId(at as u32),
            name: (*name).to_owned(),
            type_name: "text".to_owned(),
            ty: Type::Text { max_chars: None },
            nullable: true,
        };
        let columns: Vec<_> = ["name", "phone", "gone"].iter().enumerate().map(column).collect();
        let mut row = CellsBuf::new();
        row.push(ColumnId(0), Some(b" Ada "));
        row.push(ColumnId(1), Some(b"12"));
        row.push(ColumnId(2), None);
        let trace = Trace::of(expr, &columns, "UTC", &Standard::default()).expect("a good expression");
        let steps: Vec<_> = trace
            .run(row.as_cells())
            .into_iter()
            .map(|step| match step.value {
                Ok(value) => format!("{}: {value:?}", step.text),
                Err(reason) => format!("{}: bad, {reason}", step.text),
            })
            .collect();
        assert_eq!(steps, expect, "{expr}");
    }

    #[test]
    fn a_chain_is_shown_filter_by_filter() {
        check(
            "name | trim | truncate(2)",
            &["name: Text(\" Ada \")", "trim: Text(\"Ada\")", "truncate(2): Text(\"Ad\")"],
        );
        check("(name | trim) | upper", &["name: Text(\" Ada \")", "trim: Text(\"Ada\")", "upper: Text(\"ADA\")"]);
        check("(name | replace('(', ')'))", &["name: Text(\" Ada \")", "replace('(', ')'): Text(\" Ada \")"]);
        check("gone | default('(?)')", &["gone: Null", "default('(?)'): Text(\"(?)\")"]);
        check("name ~ (phone | trim)", &["name ~ (phone | trim): Text(\" Ada 12\")"]);
        check("[name, 1]", &["[name, 1]: List([Text(\" Ada \"), Int(1)])"]);
    }

    #[test]
    fn a_chain_ends_where_a_value_is_bad() {
        check("phone | phone('FR') | upper", &["phone: Text(\"12\")", "phone('FR'): bad, not a valid phone number"]);
    }
}
