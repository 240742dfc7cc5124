//! What makes the entries of one table of a relation.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::asking::{BranchMakes, Left};
use super::entry::{Holds, Maker};
use super::figures;
use super::rollup::Rollup;
use crate::config::model::{Expr, Related, RelatedForm};
use crate::mapping::check::{Beside, Checker, no_boolean};
use crate::mapping::compile::MappingFault;
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;
use crate::mapping::program::{Node, Program};
use crate::mapping::row::Slot;
use crate::mapping::syntax;

/// `pick`, what an entry holds, and what it is made to.
type Formed = (Vec<(Program, bool)>, Holds, BranchMakes);

impl Checker<'_> {
    /// A left side of `on`.
    pub(super) fn left(&mut self, expr: &Expr) -> Option<Left> {
        let compiled = self.compile_at(0, &expr.text);
        let (program, kind) = self.noted(compiled, expr)?;
        let slot = match &program.root {
            Node::Slot(slot) => self.slots.get(*slot),
            _ => None,
        };
        let is_flag = slot.is_some_and(Slot::is_flag);
        let fold = slot.map(|slot| slot.fold).unwrap_or_default();
        let column = slot.filter(|slot| slot.ask.is_none()).and_then(Slot::column).map(str::to_owned);
        if program.needs.is_empty() {
            let fault = Fault::new(0..expr.text.len(), "the left side of `on` names no column of the related table");
            let hint = "their column = ours: on = { id = \"country_id\" }";
            self.asking.note(MappingFault::of(fault.hint(hint), expr));
            return None;
        }
        Some(Left { program, beside: Beside { kind, is_flag }, fold, column })
    }

    /// A right side of `on`, over the row of a level.
    pub(super) fn right(&mut self, level: usize, expr: &Expr, beside: Option<&Beside>) -> Option<(Program, Kind)> {
        let compiled = syntax::parse(&expr.text)
            .map_err(|fault| vec![fault])
            .and_then(|tree| self.compile_tree(level, &expr.text, &tree, beside));
        self.noted(compiled, expr)
    }

    /// What makes entries of a table's rows, without the join key.
    pub(super) fn branch(&mut self, related: &Related) -> Option<(Maker, BranchMakes)> {
        let filter = related.filter.as_ref().map(|expr| self.relation_condition(expr));
        let formed = match &related.form {
            RelatedForm::One { pick } => {
                let pick = self.pick(pick.as_ref());
                pick.map(|pick| (pick, Holds::Digest(Vec::new()), BranchMakes::One))
            }
            RelatedForm::Pivot { name, value, pick, .. } => {
                let (name, value) = (self.pivot_name(name), self.pivot_value(value));
                let pick = self.pick(pick.as_ref());
                name.zip(value).zip(pick).map(|((name, (value, kind)), pick)| {
                    let holds = Holds::Pivot { name, value, names: BTreeSet::new(), as_text: false };
                    (pick, holds, BranchMakes::Pivot(kind))
                })
            }
            RelatedForm::Rollup(all) => self.figures(all),
        };
        let (pick, holds, makes) = formed?;
        Some((Maker { key: Vec::new(), filter: filter.map_or(Some(None), |it| it.map(Some))?, pick, holds }, makes))
    }

    fn figures(&mut self, all: &[(Arc<str>, Expr)]) -> Option<Formed> {
        let compiled: Vec<_> = all
            .iter()
            .map(|(name, expr)| {
                let figure = figures::figure(self, name, &expr.text);
                self.noted(figure, expr)
            })
            .collect();
        let (mut rollup, mut programs, mut kinds) = (Rollup::default(), Vec::new(), Vec::new());
        for (figure, (name, _)) in compiled.into_iter().zip(all) {
            let figures::Compiled { of, program, kind } = figure?;
            rollup.figures.push(of);
            programs.push(program);
            kinds.push((name.clone(), kind));
        }
        let holds = Holds::Rollup { figures: programs, zone: self.zone.clone() };
        Some((Vec::new(), holds, BranchMakes::Rollup(rollup, kinds)))
    }

    fn relation_condition(&mut self, expr: &Expr) -> Option<Program> {
        let compiled = self.compile_at(0, &expr.text);
        let (program, kind) = self.noted(compiled, expr)?;
        if kind.is_bool() {
            return Some(program);
        }
        let fault = no_boolean(&kind, 0..expr.text.len(), &expr.text);
        self.asking.note(MappingFault::of(fault, expr));
        None
    }

    fn pick(&mut self, expr: Option<&Expr>) -> Option<Vec<(Program, bool)>> {
        let Some(expr) = expr else { return Some(Vec::new()) };
        let sorted = syntax::order(&expr.text).map_err(|fault| vec![fault]);
        let sorted = self.noted(sorted, expr)?;
        let programs: Vec<_> = sorted
            .iter()
            .map(|sorted| {
                let compiled = figures::sortable(self, &expr.text, &sorted.expr);
                Some((self.noted(compiled, expr)?, sorted.descending))
            })
            .collect();
        programs.into_iter().collect()
    }

    fn pivot_name(&mut self, expr: &Expr) -> Option<Program> {
        let compiled = self.compile_at(0, &expr.text);
        let (program, kind) = self.noted(compiled, expr)?;
        if kind.is_text() || matches!(kind, Kind::Int | Kind::Uuid) {
            return Some(program);
        }
        let fault = Fault::new(0..expr.text.len(), format!("a pivot's name is text, and this is {}", kind.name()));
        self.asking.note(MappingFault::of(fault.hint("the column that says what a row holds: `meta_key`"), expr));
        None
    }

    fn pivot_value(&mut self, expr: &Expr) -> Option<(Program, Kind)> {
        let compiled = self.compile_at(0, &expr.text);
        self.noted(compiled, expr)
    }
}
