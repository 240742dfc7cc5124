//! Which tables and columns a mapping's relations use, without knowing any types.

use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;

use passerelle_change::TableName;

use crate::config::model::{Expr, Mapping, Place, Related, RelatedForm};
use crate::mapping::compile::{MappingFault, expressions};
use crate::mapping::syntax::{self, ExprKind};

/// The use of a column.
pub(in crate::mapping) struct Use<'c> {
    /// The column's tables: the mapping's, or those of a relation.
    pub(in crate::mapping) tables: &'c [TableName],
    pub(in crate::mapping) column: String,
    /// Where it stands.
    pub(in crate::mapping) expr: &'c Expr,
    pub(in crate::mapping) span: Range<usize>,
    /// It is the mapping's own table's.
    pub(in crate::mapping) is_own: bool,
}

/// What a mapping's expressions use.
pub(in crate::mapping) struct Uses<'c> {
    pub(in crate::mapping) columns: Vec<Use<'c>>,
    /// Expressions that cannot be read.
    pub(in crate::mapping) faults: Vec<MappingFault>,
    /// The first is the mapping's own row.
    rows: Vec<Row<'c>>,
}

/// A row that expressions are over.
struct Row<'c> {
    related: Option<&'c Related>,
    tables: &'c [TableName],
    path: String,
    /// The relations of it, by their places in [`Uses::rows`].
    relations: Vec<usize>,
    is_used: bool,
}

impl<'c> Uses<'c> {
    pub(in crate::mapping) fn of(config: &'c Mapping) -> Self {
        let own = Row {
            related: None,
            tables: std::slice::from_ref(&config.table),
            path: String::new(),
            relations: Vec::new(),
            is_used: true,
        };
        let mut uses = Self { columns: Vec::new(), faults: Vec::new(), rows: vec![own] };
        uses.add(0, &config.with);
        expressions(config).for_each(|expr| uses.expression(0, expr));
        uses
    }

    /// The related tables, and the columns that are used of each.
    pub(in crate::mapping) fn tables(&self) -> Vec<(TableName, BTreeSet<String>)> {
        let mut tables: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
        for row in self.rows.iter().skip(1).filter(|row| row.is_used) {
            for table in row.tables {
                tables.entry(table.clone()).or_default();
            }
        }
        for used in self.columns.iter().filter(|used| !used.is_own) {
            for table in used.tables {
                tables.entry(table.clone()).or_default().insert(used.column.clone());
            }
        }
        tables.into_iter().collect()
    }

    /// Relations that no expression asks for, with their paths.
    pub(in crate::mapping) fn unused(&self) -> Vec<(String, Place)> {
        let is_alone = |row: &&Row<'c>| {
            // What is under one that is not used is not said as well.
            let parent = row.path.rsplit_once('.').map(|(parent, _)| parent);
            let parent = parent.and_then(|parent| self.rows.iter().find(|other| other.path == parent));
            !row.is_used && parent.is_none_or(|parent| parent.is_used)
        };
        let unused = self.rows.iter().filter(is_alone);
        unused.filter_map(|row| Some((row.path.clone(), row.related?.place.clone()))).collect()
    }

    fn add(&mut self, row: usize, with: &'c [Related]) {
        for related in with {
            let before = &self.rows[row].path;
            let path = if before.is_empty() { related.name.to_string() } else { format!("{before}.{}", related.name) };
            let tables = &related.tables;
            self.rows.push(Row { related: Some(related), tables, path, relations: Vec::new(), is_used: false });
            let place = self.rows.len() - 1;
            self.rows[row].relations.push(place);
            self.add(place, &related.with);
        }
    }

    fn expression(&mut self, row: usize, expr: &'c Expr) {
        match syntax::parse(&expr.text) {
            Ok(tree) => self.tree(row, expr, &tree),
            Err(fault) => self.faults.push(MappingFault::of(fault, expr)),
        }
    }

    fn tree(&mut self, row: usize, expr: &'c Expr, tree: &syntax::Expr) {
        let mut names = Vec::new();
        syntax::visit_names(tree, &mut |name| names.push(name));
        for name in names {
            match &name.kind {
                ExprKind::Column(column) => self.column(row, expr, column, name.span.clone()),
                ExprKind::Related(path) => self.path(row, expr, path),
                _ => {}
            }
        }
    }

    fn column(&mut self, row: usize, expr: &'c Expr, column: &str, span: Range<usize>) {
        let tables = self.rows[row].tables;
        self.columns.push(Use { tables, column: column.to_owned(), expr, span, is_own: row == 0 });
    }

    fn path(&mut self, mut row: usize, expr: &'c Expr, path: &[syntax::Segment]) {
        for (at, (name, span)) in path.iter().enumerate() {
            let is_it = |place: &usize| self.rows[*place].related.is_some_and(|related| *related.name == **name);
            let Some(next) = self.rows[row].relations.iter().copied().find(is_it) else {
                // The last name of a path is a column; what is no relation before it is a fault elsewhere.
                if at > 0 && at + 1 == path.len() {
                    self.column(row, expr, name, span.clone());
                }
                return;
            };
            self.asked(row, next);
            let is_one = self.rows[next].related.is_some_and(|related| matches!(related.form, RelatedForm::One { .. }));
            if !is_one {
                return;
            }
            row = next;
        }
    }

    /// A relation is asked: what makes its entries and its join key is used.
    fn asked(&mut self, row: usize, relation: usize) {
        let known = &mut self.rows[relation];
        let Some(related) = known.related.filter(|_| !known.is_used) else { return };
        known.is_used = true;
        for (left, right) in &related.on {
            self.expression(relation, left);
            self.expression(row, right);
        }
        related.filter.iter().for_each(|expr| self.expression(relation, expr));
        match &related.form {
            RelatedForm::One { pick } => self.order(relation, pick.as_ref()),
            RelatedForm::Pivot { name, value, pick, .. } => {
                self.expression(relation, name);
                self.expression(relation, value);
                self.order(relation, pick.as_ref());
            }
            RelatedForm::Rollup(figures) => figures.iter().for_each(|(_, expr)| self.figure(relation, expr)),
        }
    }

    fn order(&mut self, row: usize, pick: Option<&'c Expr>) {
        let Some(expr) = pick else { return };
        match syntax::order(&expr.text) {
            Ok(sorted) => sorted.iter().for_each(|sorted| self.tree(row, expr, &sorted.expr)),
            Err(fault) => self.faults.push(MappingFault::of(fault, expr)),
        }
    }

    fn figure(&mut self, row: usize, expr: &'c Expr) {
        match syntax::figure(&expr.text) {
            Ok(call) => {
                for (at, argument) in call.arguments.iter().enumerate() {
                    let is_word = at > 0
                        && argument.name.is_none()
                        && matches!(&argument.value.kind, ExprKind::Column(word) if word == "distinct" || word == "desc");
                    if !is_word {
                        self.tree(row, expr, &argument.value);
                    }
                }
            }
            Err(fault) => self.faults.push(MappingFault::of(fault, expr)),
        }
    }
}
