//! A row to the record as it should be.

use std::borrow::Cow;
use std::sync::Arc;

use passerelle_change::key::KeyBuf;
use passerelle_change::{Cells, FieldValue, Refusal, Type, Value};

use super::compile::{CompiledField, Map, Source};
use super::program::{Bad, Program};
use super::related::Found;
use super::row::Row;
use super::{BadField, Desired, Field, Mapping, Record, Target, output, text};
use crate::config::model::{MapOther, OnBad};

/// The longest text that a record of the CRM is found by, in characters: no field that can be asked for holds more.
const MOST_SOUGHT_CHARS: usize = 255;

impl Mapping {
    /// What the CRM should hold for a row. `found` is what each of the scope's asks has found, in their order; what is left
    /// out is not known.
    pub fn evaluate(&self, cells: Cells<'_>, found: &[Found]) -> Desired {
        let row = self.scope.row(cells, found);
        match self.record(&row) {
            Ok(record) => Desired::Present(record),
            Err(other) => other,
        }
    }

    /// The external key of a row, whether or not it comes to a record; `None` where it has none.
    pub fn key_of(&self, cells: Cells<'_>, found: &[Found]) -> Option<String> {
        self.key(&self.scope.row(cells, found)).ok()
    }

    /// The record, or what there is instead of one.
    fn record(&self, row: &Row<'_>) -> Result<Record, Desired> {
        if let Some(filter) = &self.filter
            && !self.holds(filter, row, "WHERE_BAD")?
        {
            return Err(Desired::Left);
        }
        if let Some(deleted) = &self.deleted
            && self.holds(deleted, row, "DELETED_BAD")?
        {
            return Err(Desired::Deleted);
        }
        let joins_nothing =
            |end| matches!(target(end, row, &self.zone), Ok(Target::Omitted | Target::Set(FieldValue::Null)));
        if self.fields[..self.ends].iter().any(joins_nothing) {
            return Err(Desired::Apart);
        }
        let key = self.key(row)?;
        let mut record = Record { key, fields: Vec::with_capacity(self.fields.len()), bad: Vec::new() };
        for (index, field) in self.fields.iter().enumerate() {
            let target = match target(field, row, &self.zone) {
                Ok(target) => target,
                Err(Trouble::Refused(bad)) => return Err(refused("FIELD_BAD", bad.0, Some(&field.name))),
                Err(Trouble::Bad(bad)) => {
                    record.bad.push(BadField { index, name: field.name.clone(), reason: bad.0 });
                    match field.on_bad {
                        OnBad::Reject => return Err(refused("FIELD_BAD", bad.0, Some(&field.name))),
                        OnBad::Omit => Target::Omitted,
                        OnBad::Null => Target::Set(FieldValue::Null),
                    }
                }
            };
            let is_left_out = target == Target::Omitted && record.bad.last().is_none_or(|bad| bad.index != index);
            if field.required && !is_left_out && matches!(target, Target::Omitted | Target::Set(FieldValue::Null)) {
                let reason =
                    record.bad.iter().find(|bad| bad.index == index).map_or("the value is null", |bad| bad.reason);
                return Err(refused("FIELD_REQUIRED", reason, Some(&field.name)));
            }
            record.fields.push(Field { index, target });
        }
        Ok(record)
    }

    /// Whether a condition is true; null counts as false.
    fn holds(&self, condition: &Program, row: &Row<'_>, code: &str) -> Result<bool, Desired> {
        match condition.evaluate(row) {
            Ok(Value::Bool(b)) => Ok(b),
            Ok(Value::Absent) => Err(self.incomplete(condition, row)),
            Ok(_) => Ok(false),
            Err(bad) => Err(refused(code, bad.0, None)),
        }
    }

    fn key(&self, row: &Row<'_>) -> Result<String, Desired> {
        let value = match self.key.evaluate(row) {
            Ok(Value::Absent) => return Err(self.incomplete(&self.key, row)),
            Ok(Value::Null) => return Err(refused("KEY_EMPTY", "the key is null", None)),
            Ok(value) => value,
            Err(bad) => return Err(refused("KEY_BAD", bad.0, None)),
        };
        let key = text::of(value).map_err(|bad| refused("KEY_BAD", bad.0, None))?;
        if key.trim().is_empty() {
            return Err(refused("KEY_EMPTY", "the key is empty", None));
        }
        Ok(key.into_owned())
    }

    fn incomplete(&self, program: &Program, row: &Row<'_>) -> Desired {
        Desired::Incomplete { columns: self.scope.absent(program, row) }
    }
}

enum Trouble {
    /// The field follows `on_bad`.
    Bad(Bad),
    /// The record is refused, whatever `on_bad` says (`other = "reject"`).
    Refused(Bad),
}

impl From<Bad> for Trouble {
    fn from(bad: Bad) -> Self {
        Self::Bad(bad)
    }
}

fn target(field: &CompiledField, row: &Row<'_>, zone: &jiff::tz::TimeZone) -> Result<Target, Trouble> {
    if let Some(when) = &field.when {
        match when.evaluate(row)? {
            Value::Bool(true) => {}
            Value::Absent => return Ok(Target::Absent),
            _ => return Ok(Target::Omitted),
        }
    }
    let value = match &field.source {
        Source::Unkept { value, null_clears } => return Ok(unkept(value.evaluate(row)?, *null_clears)?),
        Source::Own(mapping) => return Ok(Target::Own(*mapping)),
        Source::Const(value) => return Ok(Target::Set(value.clone())),
        Source::Value(program) => program.evaluate(row)?,
        Source::Reference { mappings, key, value } => {
            return Ok(reference(mappings, key, value.evaluate(row)?)?);
        }
    };
    let value = match (value, &field.map) {
        (Value::Absent, _) => return Ok(Target::Absent),
        (value, Some(map)) if value != Value::Null => mapped(map, &value, zone)?,
        (value, _) => output::field_value(value, zone)?,
    };
    match &field.check {
        Some(check) => Ok(Target::Set(check.passed(value)?)),
        None => Ok(Target::Set(value)),
    }
}

fn mapped(map: &Map, value: &Value<'_>, zone: &jiff::tz::TimeZone) -> Result<FieldValue, Trouble> {
    const UNNAMED: Bad = Bad("a value that the map does not name");
    let name = text::of(value.borrowed())?;
    if let Some(mapped) = map.entries.get(&*name) {
        return Ok(mapped.clone());
    }
    match &map.other {
        MapOther::Bad => Err(Trouble::Bad(UNNAMED)),
        MapOther::Reject => Err(Trouble::Refused(UNNAMED)),
        MapOther::Keep => Ok(output::field_value(value.borrowed(), zone)?),
        MapOther::Const(other) => Ok(other.clone()),
    }
}

/// The parent's row key; a null in it is no parent.
fn reference(mappings: &Arc<[usize]>, key: &[Type], value: Value<'_>) -> Result<Target, Bad> {
    let parts = match value {
        Value::Absent => return Ok(Target::Absent),
        Value::List(parts) => parts,
        single => vec![single],
    };
    if parts.len() != key.len() {
        return Err(Bad("a reference of another number of values than the parent's key has columns"));
    }
    if parts.contains(&Value::Null) {
        return Ok(Target::Set(FieldValue::Null));
    }
    let mut row_key = Vec::new();
    let mut buffer = KeyBuf(&mut row_key);
    for (part, ty) in parts.into_iter().zip(key) {
        let is_integer = *ty == Type::Int;
        let part = if is_integer { output::whole(part)? } else { part };
        buffer.push(is_integer, text::canonical(part)?.as_bytes());
    }
    Ok(Target::Reference { mappings: Arc::clone(mappings), row_key })
}

/// A text of the CRM; null and blank text name no record.
fn unkept(value: Value<'_>, null_clears: bool) -> Result<Target, Bad> {
    let value = match value {
        Value::Absent => return Ok(Target::Absent),
        Value::Null => Cow::Borrowed(""),
        value => text::of(value)?,
    };
    let value = value.trim();
    if value.chars().count() > MOST_SOUGHT_CHARS {
        return Err(Bad("a text that is longer than what records are found by"));
    }
    Ok(match value {
        "" if null_clears => Target::Set(FieldValue::Null),
        "" => Target::Omitted,
        value => Target::Unkept(value.to_owned()),
    })
}

fn refused(code: &str, reason: &str, field: Option<&str>) -> Desired {
    let message = match (code, field) {
        ("WHERE_BAD", _) => format!("`where` has no value: {reason}"),
        ("DELETED_BAD", _) => format!("`deleted` has no value: {reason}"),
        ("KEY_BAD", _) => format!("the key has no value: {reason}"),
        ("FIELD_REQUIRED", Some(field)) => format!("`{field}` is required: {reason}"),
        (_, Some(field)) => format!("`{field}` cannot be mapped: {reason}"),
        (_, None) => reason.to_owned(),
    };
    let fields = field.map(str::to_owned).into_iter().collect();
    Desired::Refused(Refusal { code: code.to_owned(), message, fields })
}
