//! From the configuration to a compiled mapping, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use jiff::tz::TimeZone;
use passerelle_change::{Column, FieldValue, Type};

use super::check::{Checker, KeyPart, no_boolean, unknown_label};
use super::fault::Fault;
use super::identifiers::Check;
use super::kind::Kind;
use super::program::Program;
use super::related::Tables;
use super::{Mapping, ParentInfo, revision};
use crate::config::model::{self, Expr, FieldSource, MapOther, Missing, OnBad, Place};
use crate::config::{self, Files};

/// A fault of a mapping, where it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFault {
    /// Where.
    pub place: Place,
    /// What is wrong: lower-case, without full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
    part: Part,
}

/// Where in its place a fault is: known once the files are at hand.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Part {
    /// The place itself.
    Whole,
    /// A part of an expression.
    Of { text: String, place: Place, span: Range<usize> },
    /// A key of what the place names.
    Key(String),
    /// The value of a setting of the mapping whose head the place is.
    Setting(&'static str),
}

impl MappingFault {
    /// A fault of an expression, at its place in the file.
    pub(super) fn of(fault: Fault, expr: &Expr) -> Self {
        let Fault { span, message, hint, .. } = fault;
        let Place { file, span: whole } = &expr.place;
        // Where the file writes escapes, the text is shorter than what stands there: the files tell then.
        let place = if whole.len() == expr.text.len() {
            Place { file: *file, span: whole.start + span.start..whole.start + span.end }
        } else {
            expr.place.clone()
        };
        let part = Part::Of { text: expr.text.clone(), place: expr.place.clone(), span };
        Self { place, message, hint, part }
    }

    pub(super) fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), hint: None, part: Part::Whole }
    }

    /// A fault of the value of one of a mapping's settings, such as `table`.
    pub fn of_setting(config: &model::Mapping, setting: &'static str, message: impl Into<String>) -> Self {
        Self::of_setting_at(&config.place, setting, message)
    }

    /// The same of a table whose head is at `head`.
    pub(super) fn of_setting_at(head: &Place, setting: &'static str, message: impl Into<String>) -> Self {
        Self { part: Part::Setting(setting), ..Self::at(head, message) }
    }

    /// What to write instead.
    #[must_use]
    pub fn with_hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// As the screen shows it, at its exact place in the files.
    pub fn shown(self, files: &Files) -> config::Fault {
        let place = match &self.part {
            Part::Whole => None,
            Part::Of { text, place, span } => {
                let expr = Expr { text: text.clone(), place: place.clone() };
                Some(files.place_in(&expr, span.clone()))
            }
            Part::Key(key) => files.key_of(&self.place, key),
            Part::Setting(setting) => files.setting_of(&self.place, setting),
        };
        let place = place.as_ref().unwrap_or(&self.place);
        config::Fault::error(self.message).at(place).maybe_hint(self.hint)
    }
}

/// A field, compiled.
#[derive(Debug)]
pub(super) struct CompiledField {
    pub(super) name: Arc<str>,
    pub(super) source: Source,
    pub(super) map: Option<Map>,
    pub(super) required: bool,
    pub(super) on_bad: OnBad,
    /// The field is left out where this is not true.
    pub(super) when: Option<Program>,
    pub(super) check: Option<Check>,
}

#[derive(Debug)]
pub(super) enum Source {
    Value(Program),
    Const(FieldValue),
    Reference {
        mappings: Arc<[usize]>,
        key: Vec<Type>,
        value: Program,
    },
    /// The record that this mapping makes of the same row.
    Own(usize),
    /// What null does to the field: it clears it, or leaves it out.
    Unkept {
        value: Program,
        null_clears: bool,
    },
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) entries: BTreeMap<String, FieldValue>,
    pub(super) other: MapOther,
}

/// What a mapping is compiled against.
#[derive(Clone, Copy)]
pub struct Compile<'a> {
    /// All known columns of its table, newest last (a column whose type was changed is there several times).
    pub columns: &'a [Column],
    /// The names of all columns that the table has: a fault offers those that are not in `columns`, too.
    pub names: &'a [String],
    /// Columns that are null in every row, whatever their cells hold and though there may be no such column: each is of the
    /// type that it had when it was last of use.
    pub nulls: &'a BTreeMap<String, Type>,
    /// The tables of relations; `None` for one that there is not. Without it they are not known: what names a related row is
    /// not checked, and absent in every row.
    pub related: Option<Tables<'a>>,
    /// Relations that no expression asks for are checked, too: `related` knows their tables then, with all columns.
    pub check_unused: bool,
    /// The mappings that references name.
    pub parents: &'a dyn Fn(&str) -> Option<ParentInfo>,
    /// The source's.
    pub time_zone: &'a str,
}

static NO_NULLS: BTreeMap<String, Type> = BTreeMap::new();

impl<'a> Compile<'a> {
    /// Columns, parents and a time zone, and nothing else.
    pub fn new(columns: &'a [Column], parents: &'a dyn Fn(&str) -> Option<ParentInfo>, time_zone: &'a str) -> Self {
        Self { columns, names: &[], nulls: &NO_NULLS, related: None, check_unused: false, parents, time_zone }
    }
}

impl Mapping {
    /// Compiles a mapping. Says all faults at once.
    pub fn compile(config: &model::Mapping, with: &Compile<'_>) -> Result<Self, Vec<MappingFault>> {
        let Compile { nulls, parents, time_zone, .. } = *with;
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let mut work = Work { checker: checker(config, with), faults: Vec::new() };
        if TimeZone::get(time_zone).is_err() {
            work.faults
                .push(MappingFault::at(&config.place, format!("the source's time zone `{time_zone}` is not known")));
        }
        let filter = config.filter.as_ref().map(|expr| work.condition(expr));
        let deleted = config.deleted.as_ref().map(|expr| work.condition(expr));
        let key = work.key(&config.key_value);
        let fields: Vec<_> = config.fields.iter().map(|field| work.field(field, parents)).collect();
        work.relations(with.check_unused.then(|| checker(config, with)));
        let Work { checker, faults } = work;
        let mut relations = Vec::new();
        let parts = (filter.map_or(Some(None), |it| it.map(Some)), deleted.map_or(Some(None), |it| it.map(Some)), key);
        match (parts, fields.into_iter().collect()) {
            ((Some(filter), Some(deleted), Some(key)), Some(fields)) if faults.is_empty() => Ok(Self {
                scope: checker.into_scope(&mut relations),
                relations,
                filter,
                deleted,
                key,
                fields,
                ends: config.ends(),
                zone,
                revision: revision::of(config, nulls, time_zone),
            }),
            _ => Err(faults),
        }
    }
}

/// What a mapping's expressions are checked against.
pub(super) fn checker<'c>(config: &'c model::Mapping, with: &Compile<'c>) -> Checker<'c> {
    let zone = TimeZone::get(with.time_zone).unwrap_or(TimeZone::UTC);
    let checker = Checker::new(with.columns, zone).with_names(with.names).with_nulls(with.nulls);
    checker.with_standard(&config.standard).with_relations(&config.with, with.related)
}

fn columns(count: usize) -> String {
    if count == 1 { "one column".to_owned() } else { format!("{count} columns") }
}

/// Everything that is wrong with a mapping's expressions as far as it shows without its table: their syntax, filters,
/// arguments, and the types of what is written out. Nothing that compiles is faulted.
pub(super) fn without_types(config: &model::Mapping, time_zone: &str) -> Vec<MappingFault> {
    let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
    let checker = || Checker::untyped(zone.clone()).with_standard(&config.standard).with_relations(&config.with, None);
    let mut work = Work { checker: checker(), faults: Vec::new() };
    for expr in [&config.filter, &config.deleted].into_iter().flatten() {
        work.condition(expr);
    }
    work.key(&config.key_value);
    for field in &config.fields {
        if let Some(when) = &field.when {
            work.condition(when);
        }
        match &field.value {
            FieldSource::Const(_) => {}
            FieldSource::Value(expr) => drop(work.value(expr, field)),
            FieldSource::Reference { value, .. } => drop(value.as_ref().map(|value| work.reference_key(value))),
            FieldSource::Unkept { value, .. } => drop(work.sought(value)),
        }
    }
    work.relations(Some(checker()));
    work.faults
}

/// Every expression of a mapping, in the order in which they are compiled.
pub(super) fn expressions(config: &model::Mapping) -> impl Iterator<Item = &Expr> {
    let fields = config.fields.iter().flat_map(|field| field.when.iter().chain(field.value.expr()));
    [config.filter.as_ref(), config.deleted.as_ref(), Some(&config.key_value)].into_iter().flatten().chain(fields)
}

struct Work<'c> {
    checker: Checker<'c>,
    faults: Vec<MappingFault>,
}

impl<'c> Work<'c> {
    /// Takes over what is wrong with relations; with those that no expression asks for, too, where there is a `thorough`
    /// checker that has compiled nothing yet.
    fn relations(&mut self, thorough: Option<Checker<'c>>) {
        let mut noted = std::mem::take(&mut self.checker.asking.noted);
        if let Some(mut thorough) = thorough {
            thorough.check_all_relations();
            noted.extend(std::mem::take(&mut thorough.asking.noted));
        }
        for fault in noted {
            if !self.faults.contains(&fault) {
                self.faults.push(fault);
            }
        }
    }

    /// `None` when there are faults, which are noted.
    fn expression(&mut self, expr: &Expr) -> Option<(Program, Kind)> {
        match self.checker.compile(&expr.text) {
            Ok(compiled) => Some(compiled),
            Err(faults) => {
                self.faults.extend(faults.into_iter().map(|fault| MappingFault::of(fault, expr)));
                None
            }
        }
    }

    fn condition(&mut self, expr: &Expr) -> Option<Program> {
        let (program, kind) = self.expression(expr)?;
        if kind.is_bool() {
            return Some(program);
        }
        self.fault(expr, no_boolean(&kind, 0..expr.text.len(), &expr.text));
        None
    }

    fn key(&mut self, expr: &Expr) -> Option<Program> {
        let (program, kind) = self.expression(expr)?;
        let message = match kind {
            Kind::Int | Kind::Decimal | Kind::Text | Kind::Enum(_) | Kind::Uuid | Kind::Date | Kind::Any => {
                return Some(program);
            }
            Kind::Null => "the key is always null".to_owned(),
            ref other => format!("a key is text or a whole number, and this is {}", other.name()),
        };
        let fault = Fault::new(0..expr.text.len(), message);
        let text = &expr.text;
        self.fault(
            expr,
            match kind {
                Kind::Bytes => fault.hint(format!("its digits are text: `{text} | hex`")),
                Kind::DateTime | Kind::Timestamp | Kind::Time | Kind::Float | Kind::Bool => {
                    fault.hint("take a column that names the row for good, such as its primary key")
                }
                Kind::List(_) => fault.hint("the parts of a key are joined with `~`: `a ~ '-' ~ b`"),
                Kind::Json => fault.hint(format!("a part of it can be a key: `{text} | json('id')`")),
                _ => fault.hint("name the column that tells the rows apart, such as the primary key"),
            },
        );
        None
    }

    fn field(&mut self, field: &model::Field, parents: &dyn Fn(&str) -> Option<ParentInfo>) -> Option<CompiledField> {
        // Before the value, so that the faults of both are found.
        let when = field.when.as_ref().map(|expr| self.condition(expr));
        let source = match &field.value {
            FieldSource::Const(value) => Source::Const(value.clone()),
            FieldSource::Value(expr) => Source::Value(self.value(expr, field)?),
            FieldSource::Reference { mappings, value } => self.reference(field, mappings, value.as_ref(), parents)?,
            FieldSource::Unkept { value, .. } => {
                let null_clears = field.required || matches!(field.missing, Missing::Null | Missing::Reject);
                Source::Unkept { value: self.sought(value)?, null_clears }
            }
        };
        let map = field.map.as_ref().map(|map| Map { entries: map.entries.clone(), other: map.other.clone() });
        let check = match &field.check {
            None => None,
            Some(check) => Some(Check::new(check).or_else(|| {
                self.faults.push(MappingFault::at(&field.place, "`check` is not a regular expression"));
                None
            })?),
        };
        let (required, on_bad) = (field.required, field.on_bad);
        Some(CompiledField {
            name: field.name.clone(),
            source,
            map,
            required,
            on_bad,
            when: when.map_or(Some(None), |when| when.map(Some))?,
            check,
        })
    }

    fn value(&mut self, expr: &Expr, field: &model::Field) -> Option<Program> {
        let (program, kind) = self.expression(expr)?;
        if let (Some(map), Kind::Enum(labels)) = (&field.map, &kind) {
            for unknown in map.entries.keys().filter(|key| !labels.is_empty() && !labels.contains(key)) {
                let Fault { message, hint, .. } = unknown_label(unknown, labels, 0..0);
                let part = Part::Key(unknown.clone());
                self.faults.push(MappingFault { place: field.place.clone(), message, hint, part });
            }
        }
        if let (Some(map), Kind::Bool) = (&field.map, &kind) {
            for unknown in map.entries.keys().filter(|key| !["true", "false"].contains(&key.as_str())) {
                let message = format!("a boolean is never '{unknown}'");
                let hint =
                    Some("its values are written true and false: map = { true = \"…\", false = \"…\" }".to_owned());
                let part = Part::Key(unknown.clone());
                self.faults.push(MappingFault { place: field.place.clone(), message, hint, part });
            }
        }
        let message = match (&kind, &field.map) {
            (Kind::Bytes, _) => "bytes cannot be sent as they are",
            (Kind::List(_), Some(_)) => "a list cannot be mapped",
            (Kind::List(item), None) if matches!(**item, Kind::List(_) | Kind::Bytes) => "such a list cannot be sent",
            _ => return Some(program),
        };
        let fault = Fault::new(0..expr.text.len(), message);
        let text = &expr.text;
        self.fault(
            expr,
            match (&kind, &field.map) {
                (Kind::Bytes, _) => fault.hint(format!("their digits are text: `{text} | hex`, or `{text} | base64`")),
                (_, Some(_)) => {
                    fault.hint(format!("`map` takes one value: make one of them, as with `{text} | join(';')`"))
                }
                _ => fault,
            },
        );
        None
    }

    /// The text that a record of the CRM is found by.
    fn sought(&mut self, expr: &Expr) -> Option<Program> {
        let (program, kind) = self.expression(expr)?;
        let message = match kind {
            Kind::Int | Kind::Decimal | Kind::Text | Kind::Enum(_) | Kind::Uuid | Kind::Any => return Some(program),
            Kind::Null => "this is always null, and finds no record".to_owned(),
            other => format!("a record is found by text or a number, and this is {}", other.name()),
        };
        let fault = Fault::new(0..expr.text.len(), message);
        self.fault(expr, fault.hint("name the column that holds what the CRM has in the field `by`"));
        None
    }

    /// A reference to a row of one of these mappings; without a value, to the row itself.
    fn reference(
        &mut self,
        field: &model::Field,
        mappings: &[String],
        value: Option<&Expr>,
        parents: &dyn Fn(&str) -> Option<ParentInfo>,
    ) -> Option<Source> {
        let mut known = Vec::with_capacity(mappings.len());
        for mapping in mappings {
            let Some(parent) = parents(mapping) else {
                let message = format!("there is no mapping `{mapping}` to refer to");
                self.faults.push(MappingFault::at(&field.place, message));
                continue;
            };
            known.push((mapping, parent));
        }
        let Some(value) = value else { return known.first().map(|(_, parent)| Source::Own(parent.mapping)) };
        let compiled = self.reference_key(value);
        let ((_, first), true) = (known.first()?, known.len() == mappings.len()) else { return None };
        self.same_keys(field, &known)?;
        let (program, parts) = compiled?;
        self.parent_key(value, &parts, first)?;
        let key = first.key.iter().map(|(_, ty)| ty.clone()).collect();
        let mappings = known.iter().map(|(_, parent)| parent.mapping).collect();
        Some(Source::Reference { mappings, key, value: program })
    }

    /// One row key is looked for in all of the mappings' tables.
    fn same_keys(&mut self, field: &model::Field, parents: &[(&String, ParentInfo)]) -> Option<()> {
        let (name, first) = parents.first()?;
        let is_like = |a: &Type, b: &Type| {
            (*a == Type::Int) == (*b == Type::Int) && Kind::of_type(a).unified(&Kind::of_type(b)).is_some()
        };
        let fits = |other: &ParentInfo| {
            other.key.len() == first.key.len() && first.key.iter().zip(&other.key).all(|((_, a), (_, b))| is_like(a, b))
        };
        let Some((other, parent)) = parents.iter().find(|(_, parent)| !fits(parent)) else { return Some(()) };
        let shown = |parent: &ParentInfo| {
            let columns = parent.key.iter().map(|(name, ty)| format!("{name} ({})", Kind::of_type(ty).name()));
            columns.collect::<Vec<_>>().join(", ")
        };
        let message = format!("the tables of [mapping.{name}] and [mapping.{other}] have keys of other types");
        let hint =
            format!("`{name}` has {}, `{other}` has {}; refer to them by a field each", shown(first), shown(parent));
        self.faults.push(MappingFault::at(&field.place, message).with_hint(hint));
        None
    }

    /// The parts of a reference's row key; `None` when there are faults, which are noted.
    fn reference_key(&mut self, value: &Expr) -> Option<(Program, Vec<KeyPart>)> {
        let compiled = self.checker.compile_key(&value.text);
        compiled.map_err(|faults| faults.into_iter().for_each(|fault| self.fault(value, fault))).ok()
    }

    /// The value of a reference must be like the parent's row key.
    fn parent_key(&mut self, expr: &Expr, parts: &[KeyPart], parent: &ParentInfo) -> Option<()> {
        if parts.len() != parent.key.len() {
            let names: Vec<_> = parent.key.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("the parent's key has {}, and this gives {}", columns(names.len()), parts.len());
            let fault = Fault::new(0..expr.text.len(), message);
            self.fault(
                expr,
                match names[..] {
                    [name] => fault.hint(format!("one value, that of its `{name}`")),
                    _ => fault.hint(format!("a list in the order of its key: [{}]", names.join(", "))),
                },
            );
            return None;
        }
        let mut fits = Some(());
        for ((kind, span), (name, ty)) in parts.iter().zip(&parent.key) {
            let wanted = Kind::of_type(ty);
            if kind.unified(&wanted).is_none() {
                let message = format!("the parent's key `{name}` is {}, and this is {}", wanted.name(), kind.name());
                let hint = match wanted {
                    Kind::Int | Kind::Decimal if *kind == Kind::Text => {
                        let part = expr.text.get(span.clone()).unwrap_or_default();
                        format!("read as a number: `{part} | number`")
                    }
                    _ => format!("name the column of this table that holds the parent's `{name}`"),
                };
                self.fault(expr, Fault::new(span.clone(), message).hint(hint));
                fits = None;
            }
        }
        fits
    }

    fn fault(&mut self, expr: &Expr, fault: Fault) {
        self.faults.push(MappingFault::of(fault, expr));
    }
}
