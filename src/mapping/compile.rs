//! From the configuration to a compiled mapping, or to everything that is wrong with it.

use std::collections::BTreeMap;
use std::sync::Arc;

use jiff::tz::TimeZone;
use passerelle_change::{Column, FieldValue, Type};

use super::check::{Checker, KeyPart, no_boolean};
use super::fault::Fault;
use super::identifiers::Check;
use super::kind::Kind;
use super::program::{Node, Program};
use super::row::SlotIndex;
use super::{Mapping, ParentInfo, revision};
use crate::config::model::{self, Expr, FieldSource, MapOther, OnBad, Place};

/// A fault of a mapping, where it stands in the configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MappingFault {
    /// Where.
    pub place: Place,
    /// What is wrong: lower-case, without full stop.
    pub message: String,
    /// What to write instead.
    pub hint: Option<String>,
}

impl MappingFault {
    /// A fault of an expression, at its place in the file.
    pub(super) fn of(fault: Fault, expr: &Expr) -> Self {
        let Place { file, span } = &expr.place;
        // Where the file writes escapes, the text is shorter than what stands there: then the whole is meant.
        let span = if span.len() == expr.text.len() {
            span.start + fault.span.start..span.start + fault.span.end
        } else {
            span.clone()
        };
        Self { place: Place { file: *file, span }, message: fault.message, hint: fault.hint }
    }

    fn at(place: &Place, message: impl Into<String>) -> Self {
        Self { place: place.clone(), message: message.into(), hint: None }
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
    Reference { mapping: usize, key: Vec<Type>, value: Program },
}

#[derive(Debug)]
pub(super) struct Map {
    pub(super) entries: BTreeMap<String, FieldValue>,
    pub(super) other: MapOther,
}

impl Mapping {
    /// Compiles a mapping against all known columns of its table, newest last (a column whose type was changed is there
    /// several times). `parents` knows the mappings that references name; `time_zone` is the source's. Says all
    /// faults at once.
    pub fn compile(
        config: &model::Mapping,
        columns: &[Column],
        parents: &dyn Fn(&str) -> Option<ParentInfo>,
        time_zone: &str,
    ) -> Result<Self, Vec<MappingFault>> {
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let mut work =
            Work { checker: Checker::new(columns, zone.clone()).with_standard(&config.standard), faults: Vec::new() };
        if TimeZone::get(time_zone).is_err() {
            work.faults
                .push(MappingFault::at(&config.place, format!("the source's time zone `{time_zone}` is not known")));
        }
        let filter = config.filter.as_ref().map(|expr| work.condition(expr));
        let deleted = config.deleted.as_ref().map(|expr| work.condition(expr));
        let key = work.key(&config.key_value);
        let fields: Vec<_> = config.fields.iter().map(|field| work.field(field, parents)).collect();
        let Work { checker, faults } = work;
        let parts = (filter.map_or(Some(None), |it| it.map(Some)), deleted.map_or(Some(None), |it| it.map(Some)), key);
        match (parts, fields.into_iter().collect()) {
            ((Some(filter), Some(deleted), Some(key)), Some(fields)) if faults.is_empty() => Ok(Self {
                index: SlotIndex::new(&checker.slots),
                slots: checker.slots,
                filter,
                deleted,
                key,
                fields,
                zone,
                revision: revision::of(config, time_zone),
            }),
            _ => Err(faults),
        }
    }
}

/// Every expression of a mapping.
pub(super) fn expressions(config: &model::Mapping) -> impl Iterator<Item = &Expr> {
    let fields = config.fields.iter().flat_map(|field| {
        let value = match &field.value {
            FieldSource::Value(expr) | FieldSource::Reference { value: expr, .. } => Some(expr),
            FieldSource::Const(_) => None,
        };
        value.into_iter().chain(&field.when)
    });
    [Some(&config.key_value), config.filter.as_ref(), config.deleted.as_ref()].into_iter().flatten().chain(fields)
}

struct Work<'c> {
    checker: Checker<'c>,
    faults: Vec<MappingFault>,
}

impl Work<'_> {
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
        self.fault(expr, no_boolean(&kind, 0..expr.text.len()));
        None
    }

    fn key(&mut self, expr: &Expr) -> Option<Program> {
        let (program, kind) = self.expression(expr)?;
        let message = match kind {
            Kind::Int | Kind::Decimal | Kind::Text | Kind::Enum(_) | Kind::Uuid | Kind::Date => return Some(program),
            Kind::Null => "the key is always null".to_owned(),
            other => format!("a key is text or a whole number; this is {}", other.name()),
        };
        let fault = Fault::new(0..expr.text.len(), message);
        let bytes = matches!(program.root, Node::Slot(slot) if *self.checker.slots[slot].ty() == Type::Bytes);
        self.fault(expr, if bytes { fault.hint("write it as digits: `… | hex`") } else { fault });
        None
    }

    fn field(&mut self, field: &model::Field, parents: &dyn Fn(&str) -> Option<ParentInfo>) -> Option<CompiledField> {
        // Before the value, so that the faults of both are found.
        let when = field.when.as_ref().map(|expr| self.condition(expr));
        let source = match &field.value {
            FieldSource::Const(value) => Source::Const(value.clone()),
            FieldSource::Value(expr) => Source::Value(self.value(expr, field)?),
            FieldSource::Reference { mapping, value } => {
                let parent = parents(mapping);
                if parent.is_none() {
                    let message = format!("there is no mapping `{mapping}` to refer to");
                    self.faults.push(MappingFault::at(&field.place, message));
                }
                let compiled = self.checker.compile_key(&value.text);
                let compiled = compiled.map_err(|faults| faults.into_iter().for_each(|fault| self.fault(value, fault)));
                let (parent, (program, parts)) = (parent?, compiled.ok()?);
                self.parent_key(value, &parts, &parent)?;
                let key = parent.key.into_iter().map(|(_, ty)| ty).collect();
                Source::Reference { mapping: parent.mapping, key, value: program }
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
                let fault = Fault::new(0..0, format!("the map names '{unknown}', which is no label of the enum"));
                let fault = fault.nearest(unknown, labels.iter().map(String::as_str));
                let Fault { message, hint, .. } = fault;
                self.faults.push(MappingFault { place: field.place.clone(), message, hint });
            }
        }
        let message = match (&kind, &field.map) {
            (Kind::Bytes, _) => "bytes cannot be sent as they are",
            (Kind::List(_), Some(_)) => "a list cannot be mapped",
            (Kind::List(item), None) if matches!(**item, Kind::List(_) | Kind::Bytes) => "such a list cannot be sent",
            _ => return Some(program),
        };
        let fault = Fault::new(0..expr.text.len(), message);
        self.fault(expr, if kind == Kind::Bytes { fault.hint("write them as digits: `… | hex`") } else { fault });
        None
    }

    /// The value of a reference must be like the parent's row key.
    fn parent_key(&mut self, expr: &Expr, parts: &[KeyPart], parent: &ParentInfo) -> Option<()> {
        if parts.len() != parent.key.len() {
            let names: Vec<_> = parent.key.iter().map(|(name, _)| name.as_str()).collect();
            let message = format!("the parent's row key has {} columns, this gives {}", names.len(), parts.len());
            let hint = format!("write a list in the order of its key: [{}]", names.join(", "));
            self.fault(expr, Fault::new(0..expr.text.len(), message).hint(hint));
            return None;
        }
        let mut fits = Some(());
        for ((kind, span), (name, ty)) in parts.iter().zip(&parent.key) {
            let wanted = Kind::of_type(ty);
            if kind.unified(&wanted).is_none() {
                let message = format!("the parent's key `{name}` is {}; this is {}", wanted.name(), kind.name());
                let hint = "a reference gives the row key of the parent's table";
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
