//! From `with` to relations: a relation is compiled when an expression first names it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use passerelle_change::TableName;

use super::entry::{Holds, Maker};
use super::faults;
use super::join::{self, Part};
use super::rollup::Rollup;
use super::{Fold, RelatedTable, figures};
use crate::config::model::{Expr, Related, RelatedForm};
use crate::mapping::check::{Beside, Checker, Level, no_boolean};
use crate::mapping::compile::MappingFault;
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;
use crate::mapping::program::{Node, Program};
use crate::mapping::row::Slot;
use crate::mapping::syntax;

/// Knows a related table; `None` where there is none.
pub(in crate::mapping) type Tables<'c> = &'c dyn Fn(&TableName) -> Option<RelatedTable>;

/// What a checker asks of relations.
#[derive(Default)]
pub(in crate::mapping) struct Asking<'c> {
    pub(in crate::mapping) tables: Option<Tables<'c>>,
    /// In an order in which they can be asked.
    pub(super) asked: Vec<Asked<'c>>,
    /// By level and place among its relations.
    states: BTreeMap<(usize, usize), State>,
    /// Those that are being compiled.
    open: Vec<(usize, usize)>,
    /// The path of the relation whose entries the scope makes; empty for a record's.
    prefix: String,
    /// Relations are compiled whether they are used or not.
    is_thorough: bool,
    /// What is wrong with relations, at their places.
    pub(in crate::mapping) noted: Vec<MappingFault>,
}

#[derive(Clone, Copy)]
enum State {
    Open,
    Failed,
    Done(usize),
}

/// A relation that is asked.
pub(super) struct Asked<'c> {
    pub(super) from: Option<usize>,
    pub(super) key: Vec<(Program, Part)>,
    pub(super) makes: Makes,
    pub(super) draft: Draft<'c>,
}

/// What a relation gives to who asks.
pub(in crate::mapping) enum Makes {
    /// A row: the level of its columns.
    One(usize),
    /// Values of one kind by name.
    Pivot(Kind),
    /// Figures, and their kinds.
    Rollup(Vec<(Arc<str>, Kind)>),
}

/// A relation on its way to be one.
pub(super) struct Draft<'c> {
    pub(super) related: &'c Related,
    pub(super) path: String,
    pub(super) by_row_key: bool,
    pub(super) rollup: Rollup,
    pub(super) branches: Vec<Branch<'c>>,
}

/// One of its tables.
pub(super) struct Branch<'c> {
    pub(super) table: &'c TableName,
    pub(super) checker: Checker<'c>,
    pub(super) maker: Maker,
    makes: BranchMakes,
}

/// What rows of a table are made to.
enum BranchMakes {
    One,
    Pivot(Kind),
    Rollup(Rollup, Vec<(Arc<str>, Kind)>),
}

/// A left side of `on`.
struct Left {
    program: Program,
    beside: Beside,
    fold: Fold,
    /// The column that it is, of the related table itself.
    column: Option<String>,
}

impl Asking<'_> {
    /// What an ask gives.
    pub(in crate::mapping) fn made(&self, ask: usize) -> &Makes {
        &self.asked[ask].makes
    }

    /// The path of a level from the mapping's own table on.
    pub(in crate::mapping) fn title(&self, level: &Level<'_>) -> String {
        match (self.prefix.is_empty(), level.path.is_empty()) {
            (true, _) => level.path.clone(),
            (false, true) => self.prefix.clone(),
            (false, false) => format!("{}.{}", self.prefix, level.path),
        }
    }

    fn note(&mut self, fault: MappingFault) {
        // What makes entries and is named by records, too, is compiled twice.
        if !self.noted.contains(&fault) {
            self.noted.push(fault);
        }
    }

    fn note_all(&mut self, faults: Vec<Fault>, expr: &Expr) {
        faults.into_iter().for_each(|fault| self.note(MappingFault::of(fault, expr)));
    }
}

impl<'c> Checker<'c> {
    /// The place of a relation among those of a level's row.
    pub(in crate::mapping) fn relation(&self, level: usize, name: &str) -> Option<usize> {
        self.levels[level].relations.iter().position(|related| *related.name == *name)
    }

    /// Compiles every relation that there is, for its faults.
    pub(in crate::mapping) fn check_all_relations(&mut self) {
        self.asking.is_thorough = true;
        self.ask_all(0);
    }

    fn ask_all(&mut self, level: usize) {
        for index in 0..self.levels[level].relations.len() {
            let Some(ask) = self.ask(level, index) else { continue };
            if let Makes::One(child) = self.asking.asked[ask].makes {
                self.ask_all(child);
            }
        }
    }

    /// The ask of a relation of a level's row; `None` where it has faults, which are noted.
    pub(in crate::mapping) fn ask(&mut self, level: usize, index: usize) -> Option<usize> {
        let at = (level, index);
        match self.asking.states.get(&at) {
            Some(State::Done(ask)) => return Some(*ask),
            Some(State::Failed) => return None,
            Some(State::Open) => {
                self.circle(at);
                return None;
            }
            None => {}
        }
        self.asking.states.insert(at, State::Open);
        self.asking.open.push(at);
        let asked = self.compile_relation(level, &self.levels[level].relations[index]);
        self.asking.open.pop();
        let ask = asked.map(|asked| {
            self.asking.asked.push(asked);
            self.asking.asked.len() - 1
        });
        self.asking.states.insert(at, ask.map_or(State::Failed, State::Done));
        if let Some(ask) = ask {
            self.add_level(level, index, ask);
        }
        ask
    }

    /// The slot of what a pivot or a rollup has by a name. The fault's place is that of the name.
    pub(in crate::mapping) fn made_slot(
        &mut self,
        ask: usize,
        level: usize,
        relation: &str,
        name: &str,
    ) -> Result<usize, Fault> {
        let known = &self.levels[level];
        let path = format!("{}.{name}", known.path_of(relation));
        if let Some(slot) = self.slots.iter().position(|slot| slot.ask == Some(ask) && slot.name == path) {
            return Ok(slot);
        }
        let slot = match &self.asking.asked[ask].makes {
            Makes::One(_) => return Err(Fault::new(0..0, "one row")),
            Makes::Pivot(kind) => {
                if let RelatedForm::Pivot { only: Some(only), .. } = &self.asking.asked[ask].draft.related.form
                    && !only.iter().any(|known| known.name == name)
                {
                    return Err(faults::not_in_only(name, only));
                }
                Slot::pivot(name, kind.clone())
            }
            Makes::Rollup(figures) => match figures.iter().position(|(known, _)| **known == *name) {
                Some(place) => Slot::figure(name, place, figures[place].1.clone()),
                None => return Err(faults::no_figure(relation, name, figures)),
            },
        };
        self.slots.push(slot.found_by(Some(ask), path));
        Ok(self.slots.len() - 1)
    }

    /// The row that a relation to one gives, whose columns and relations can be named.
    fn add_level(&mut self, level: usize, index: usize, ask: usize) {
        let Makes::One(child) = self.asking.asked[ask].makes else { return };
        debug_assert_eq!(child, self.levels.len(), "a level for each relation to one");
        let related: &'c Related = &self.levels[level].relations[index];
        let path = self.levels[level].path_of(&related.name);
        let draft = &self.asking.asked[ask].draft;
        let Some(row) = draft.branches.first().and_then(|branch| branch.checker.levels.first()) else { return };
        self.levels.push(Level {
            table: row.table.clone(),
            columns: row.columns.clone(),
            others: row.others.clone(),
            nulls: BTreeMap::new(),
            folded: row.folded.clone(),
            relations: &related.with,
            path,
            ask: Some(ask),
            is_unknown: row.is_unknown,
        });
    }

    fn circle(&mut self, at: (usize, usize)) {
        let open = &self.asking.open;
        let start = open.iter().position(|other| *other == at).unwrap_or(0);
        let related = |(level, index): (usize, usize)| &self.levels[level].relations[index];
        let names: Vec<&str> = open[start..].iter().chain([&at]).map(|at| &*related(*at).name).collect();
        let fault = faults::circle(related(at), &names);
        self.asking.note(fault);
    }

    fn compile_relation(&mut self, level: usize, related: &'c Related) -> Option<Asked<'c>> {
        let known = &self.levels[level];
        let mut is_good = true;
        if known.has(&related.name) {
            let fault = faults::named_as_column(related, &known.table);
            self.asking.note(fault);
            is_good = false;
        }
        let path = match self.asking.title(known) {
            before if before.is_empty() => related.name.to_string(),
            before => format!("{before}.{}", related.name),
        };
        let tables: Vec<_> = related.tables.iter().map(|table| self.branch_checker(related, table, &path)).collect();
        let (mut branches, mut lefts, mut keys) = (Vec::new(), Vec::<Vec<Left>>::new(), Vec::new());
        for (table, found) in related.tables.iter().zip(tables) {
            let Some((mut checker, row_key)) = found else {
                is_good = false;
                continue;
            };
            let left: Option<Vec<Left>> =
                related.on.iter().map(|(left, _)| checker.left(left)).collect::<Vec<_>>().into_iter().collect();
            let branch = checker.branch(related);
            self.asking_of(&mut checker);
            match (left, branch) {
                (Some(left), Some((maker, makes))) => {
                    lefts.push(left);
                    keys.push(row_key);
                    branches.push(Branch { table, checker, maker, makes });
                }
                (_, _) => is_good = false,
            }
        }
        let besides = faults_of_lefts(&mut self.asking, related, &lefts);
        let mut key = Vec::new();
        let mut parts = Vec::new();
        for (at, (left, right)) in related.on.iter().enumerate() {
            let beside = lefts.first().and_then(|lefts| lefts.get(at)).map(|left| &left.beside);
            let Some((program, kind)) = self.right(level, right, beside) else {
                is_good = false;
                continue;
            };
            let Some(beside) = beside else { continue };
            let fold = lefts.iter().map(|lefts| lefts[at].fold).reduce(Fold::and).unwrap_or_default();
            match part(&beside.kind, &kind, fold) {
                Some(part) => {
                    key.push((program, part));
                    parts.push(part);
                }
                None => {
                    let fault = faults::unlike_join(left, right, [&beside.kind, &kind], beside.is_flag);
                    self.asking.note(fault);
                    is_good = false;
                }
            }
        }
        if !is_good || !besides {
            return None;
        }
        let by_row_key = put_in_key_order(related, &mut lefts, &mut key, &mut parts, &keys);
        let is_unknown = self.asking.tables.is_none();
        for (branch, left) in branches.iter_mut().zip(lefts) {
            branch.maker.key = left.into_iter().map(|left| left.program).zip(parts.iter().copied()).collect();
        }
        let (makes, rollup) = self.makes(related, &mut branches)?;
        let draft = Draft { related, path, by_row_key: by_row_key && !is_unknown, rollup, branches };
        Some(Asked { from: self.levels[level].ask, key, makes, draft })
    }

    /// What all of a relation's tables make.
    fn makes(&mut self, related: &Related, branches: &mut [Branch<'c>]) -> Option<(Makes, Rollup)> {
        let mut kinds = branches.iter().filter_map(|branch| match &branch.makes {
            BranchMakes::Pivot(kind) => Some(kind.clone()),
            BranchMakes::One | BranchMakes::Rollup(..) => None,
        });
        match &branches.first()?.makes {
            BranchMakes::One => Some((Makes::One(self.levels.len()), Rollup::default())),
            BranchMakes::Rollup(rollup, kinds) => Some((Makes::Rollup(kinds.clone()), rollup.clone())),
            BranchMakes::Pivot(first) => {
                let unified = kinds.try_fold(first.clone(), |kind, other| kind.unified(&other));
                if let Some(kind) = unified {
                    return Some((Makes::Pivot(kind), Rollup::default()));
                }
                let has_text =
                    |branch: &Branch<'_>| !matches!(branch.makes, BranchMakes::Pivot(Kind::Bytes | Kind::List(_)));
                if !branches.iter().all(has_text) {
                    let fault = faults::pivot_of_unlike_values(related);
                    self.asking.note(fault);
                    return None;
                }
                for branch in branches {
                    if let Holds::Pivot { as_text, .. } = &mut branch.maker.holds {
                        *as_text = true;
                    }
                }
                Some((Makes::Pivot(Kind::Text), Rollup::default()))
            }
        }
    }

    /// The checker of what makes entries of a table, and its row key; `None` where the table will not do.
    fn branch_checker(
        &mut self,
        related: &'c Related,
        table: &'c TableName,
        path: &str,
    ) -> Option<(Checker<'c>, Vec<String>)> {
        let (level, row_key) = match self.asking.tables.map(|find| find(table)) {
            None => (Level { is_unknown: true, ..Level::own(table.to_string(), &[][..]) }, Vec::new()),
            Some(None) => {
                let fault = faults::no_table(related, table);
                self.asking.note(fault);
                return None;
            }
            Some(Some(known)) if known.key.is_empty() => {
                let fault = faults::no_row_key(related, table);
                self.asking.note(fault);
                return None;
            }
            Some(Some(known)) => {
                let RelatedTable { columns, names, key, folded } = known;
                let level = Level::own(table.to_string(), columns);
                (Level { others: names.into(), folded, ..level }, key)
            }
        };
        let mut checker = Checker::over(Level { relations: &related.with, ..level }, self.zone.clone());
        checker.standard = self.standard.clone();
        checker.asking.tables = self.asking.tables;
        checker.asking.prefix = path.to_owned();
        checker.asking.is_thorough = self.asking.is_thorough;
        Some((checker, row_key))
    }

    /// Takes over what was noted of the relations of a table, which are all compiled where that is wanted.
    fn asking_of(&mut self, checker: &mut Checker<'c>) {
        if self.asking.is_thorough {
            checker.ask_all(0);
        }
        std::mem::take(&mut checker.asking.noted).into_iter().for_each(|fault| self.asking.note(fault));
    }

    fn noted<T>(&mut self, result: Result<T, Vec<Fault>>, expr: &Expr) -> Option<T> {
        result.map_err(|faults| self.asking.note_all(faults, expr)).ok()
    }

    fn left(&mut self, expr: &Expr) -> Option<Left> {
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

    fn right(&mut self, level: usize, expr: &Expr, beside: Option<&Beside>) -> Option<(Program, Kind)> {
        let compiled = syntax::parse(&expr.text)
            .map_err(|fault| vec![fault])
            .and_then(|tree| self.compile_tree(level, &expr.text, &tree, beside));
        self.noted(compiled, expr)
    }

    /// What makes entries of a table's rows, without the join key.
    fn branch(&mut self, related: &Related) -> Option<(Maker, BranchMakes)> {
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

    fn figures(&mut self, all: &[(Arc<str>, Expr)]) -> Option<(Vec<(Program, bool)>, Holds, BranchMakes)> {
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

impl Fold {
    /// What both ignore.
    fn and(self, other: Self) -> Self {
        Self {
            case: self.case || other.case,
            accents: self.accents || other.accents,
            padding: self.padding || other.padding,
        }
    }
}

/// Notes where the left sides of several tables are of different kinds; whether there are none.
fn faults_of_lefts(asking: &mut Asking<'_>, related: &Related, lefts: &[Vec<Left>]) -> bool {
    let mut is_good = true;
    let Some((first, others)) = lefts.split_first() else { return true };
    for (at, (expr, _)) in related.on.iter().enumerate() {
        let kind = &first[at].beside.kind;
        let other = others.iter().position(|other| part(kind, &other[at].beside.kind, Fold::default()).is_none());
        if let Some(other) = other {
            let kinds = [kind, &others[other][at].beside.kind];
            asking.note(faults::lefts_of_unlike_kinds(expr, kinds, [&related.tables[0], &related.tables[other + 1]]));
            is_good = false;
        }
    }
    is_good
}

/// How values of two kinds are joined; `None` where they are not.
fn part(left: &Kind, right: &Kind, fold: Fold) -> Option<Part> {
    let (class, other) = (join::class(left)?, join::class(right)?);
    if class != other && class != join::ANY && other != join::ANY {
        return None;
    }
    let is_text = class == "text" || other == "text";
    // A UUID's text is in lower case, whatever the other side has.
    let is_half_uuid = is_text && (*left == Kind::Uuid) != (*right == Kind::Uuid);
    let fold = if is_text { Fold { case: fold.case || is_half_uuid, ..fold } } else { Fold::default() };
    let number = matches!(class, "decimal" | "float");
    Some(Part { integer: *left == Kind::Int && *right == Kind::Int, number, fold })
}

/// Whether the join key is the row key, whose order `on` is put into then.
fn put_in_key_order(
    related: &Related,
    lefts: &mut [Vec<Left>],
    key: &mut Vec<(Program, Part)>,
    parts: &mut Vec<Part>,
    row_keys: &[Vec<String>],
) -> bool {
    let is_plain = related.filter.is_none() && related.form == RelatedForm::One { pick: None };
    let ([left], [row_key]) = (lefts, row_keys) else { return false };
    if !is_plain || left.len() != row_key.len() || key.len() != row_key.len() {
        return false;
    }
    // Numbers with a point and times may be printed otherwise than they are written in a key.
    let is_exact = |left: &Left, part: &Part| {
        let kind = &left.beside.kind;
        part.fold.is_none()
            && matches!(kind, Kind::Int | Kind::Text | Kind::Enum(_) | Kind::Uuid | Kind::Bytes | Kind::Date)
    };
    if !left.iter().zip(&*parts).all(|(left, part)| is_exact(left, part)) {
        return false;
    }
    let place = |name: &String| left.iter().position(|left| left.column.as_ref() == Some(name));
    let Some(order) = row_key.iter().map(place).collect::<Option<Vec<usize>>>() else { return false };
    if order.iter().collect::<BTreeSet<_>>().len() != order.len() {
        return false;
    }
    *left = in_order(std::mem::take(left), &order);
    *key = in_order(std::mem::take(key), &order);
    *parts = in_order(std::mem::take(parts), &order);
    true
}

fn in_order<T>(items: Vec<T>, order: &[usize]) -> Vec<T> {
    let mut items: Vec<Option<T>> = items.into_iter().map(Some).collect();
    order.iter().filter_map(|&at| items.get_mut(at)?.take()).collect()
}
