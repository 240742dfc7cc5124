//! An expression over a row, step by step: what it starts from, and what each filter of its chain makes of it.

use passerelle_change::{Cells, Value};

use super::check::Checker;
use super::compile::{self, Compile};
use super::program::Program;
use super::related::{Found, Scope};
use super::syntax::{self, Expr, ExprKind};
use crate::config::model::Mapping;

/// An expression, taken apart.
#[derive(Debug)]
pub struct Trace {
    steps: Vec<(String, StepKind, Program)>,
    scope: Scope,
}

/// What a step is in its expression.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StepKind {
    /// A path: what a relation gives by a name.
    Related {
        /// The relation's path, as [`Relation::path`](super::Relation::path) has it.
        relation: String,
        /// The column, the pivot's name or the figure.
        name: String,
    },
    /// The expression before its filters.
    Start,
    /// A filter.
    Filter,
}

impl StepKind {
    fn of(part: &Expr) -> Self {
        match &part.kind {
            ExprKind::Related(path) => match path.split_last() {
                Some(((name, _), relation)) => {
                    let relation: Vec<&str> = relation.iter().map(|(name, _)| name.as_str()).collect();
                    Self::Related { relation: relation.join("."), name: name.clone() }
                }
                None => Self::Start,
            },
            ExprKind::Filter { .. } => Self::Filter,
            _ => Self::Start,
        }
    }
}

/// What a step gave for a row.
#[derive(Clone, Debug, PartialEq)]
pub struct Step {
    /// The step as written: what related rows give, the expression before its filters, then each filter.
    pub text: String,
    /// What it is in its expression.
    pub kind: StepKind,
    /// Its value, or why it has none.
    pub value: Result<Value<'static>, &'static str>,
}

impl Trace {
    /// Takes an expression of a mapping apart that was compiled with the same and found good. A list at its top may be of
    /// several types, as a row key is. `None` where it has faults.
    pub fn of(expr: &str, config: &Mapping, with: &Compile<'_>) -> Option<Self> {
        let mut checker = compile::checker(config, with);
        let tree = syntax::parse(expr).ok()?;
        if !paths(&tree).is_empty() {
            // What it asks is asked as the mapping does: in the same order.
            for before in compile::expressions(config) {
                drop(checker.compile_key(&before.text));
            }
        }
        Self::with(checker, expr, &tree)
    }

    fn with(mut checker: Checker<'_>, expr: &str, tree: &Expr) -> Option<Self> {
        let chain = chain(tree);
        let mut steps: Vec<(String, StepKind, Program)> = Vec::new();
        for path in paths(tree) {
            let text = expr.get(path.span.clone())?;
            let is_first = chain.first().is_some_and(|first| first.span == path.span);
            if !is_first && steps.iter().all(|(known, ..)| known != text) {
                steps.push((text.to_owned(), StepKind::of(path), checker.compile(text).ok()?.0));
            }
        }
        for part in chain {
            let label = label(expr, part)?;
            let text = expr.get(part.span.clone())?;
            let program = match &part.kind {
                ExprKind::List(_) => checker.compile_key(text).ok()?.0,
                _ => checker.compile(text).ok()?.0,
            };
            steps.push((label.to_owned(), StepKind::of(part), program));
        }
        Some(Self { steps, scope: checker.into_scope(&mut Vec::new()) })
    }

    /// What each step gives for a row and what the mapping's [`scope`](super::Mapping::scope) has `found` for it. After a
    /// step that has no value there are no more.
    pub fn run(&self, cells: Cells<'_>, found: &[Found]) -> Vec<Step> {
        let row = self.scope.row(cells, found);
        let mut steps = Vec::new();
        for (text, kind, program) in &self.steps {
            let value = program.evaluate(&row).map(Value::into_owned).map_err(|bad| bad.0);
            let is_bad = value.is_err();
            steps.push(Step { text: text.clone(), kind: kind.clone(), value });
            if is_bad {
                break;
            }
        }
        steps
    }
}

/// The parts that name something of a related row, in the order written.
fn paths(tree: &Expr) -> Vec<&Expr> {
    let mut paths = Vec::new();
    syntax::visit_names(tree, &mut |name| {
        if matches!(name.kind, ExprKind::Related(_)) {
            paths.push(name);
        }
    });
    paths
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
    use jiff::tz::TimeZone;
    use passerelle_change::{CellsBuf, Column, ColumnId, Type};

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
        let tree = syntax::parse(expr).expect("an expression");
        let trace = Trace::with(Checker::new(&columns, TimeZone::UTC), expr, &tree).expect("a good expression");
        let steps: Vec<_> = trace
            .run(row.as_cells(), &[])
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
