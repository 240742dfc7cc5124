//! A row to what is shown of it. Pure.

use std::sync::Arc;

use passerelle_change::{FieldValue, Refusal, Value, Write, WriteOp, key};
use passerelle_crm::salesforce;

use super::related::Whole;
use super::rows::RowText;
use super::{Fate, FieldView, Outcome, Parents, Ready, RowView, Shown, column_step};
use crate::config::Config;
use crate::config::model::{Expr, Field, FieldSource, Missing};
use crate::mapping::{Desired, Record, Step, StepKind, Target, Trace};

/// Whether `where` leaves the row out, whatever is related to it.
pub(super) fn is_left(ready: &Ready<'_>, row: &RowText) -> bool {
    ready.compiled.evaluate(row.cells.as_cells(), &[]) == Desired::Left
}

/// The references of a row: the field's place, and the parent's row key part by part.
pub(super) fn references(ready: &Ready<'_>, row: &Whole) -> Vec<(usize, Vec<String>)> {
    let Desired::Present(record) = row.desired(&ready.compiled) else { return Vec::new() };
    let reference = |field: crate::mapping::Field| {
        let (_, row_key) = parent(ready, row, &field.target)?;
        let parts = key::parts(&row_key)?;
        Some((field.index, parts.iter().map(key::KeyPart::to_text).collect()))
    };
    record.fields.into_iter().filter_map(reference).collect()
}

/// The mappings, by number, to whose records a reference is, and the row's key.
fn parent(ready: &Ready<'_>, row: &Whole, target: &Target) -> Option<(Vec<usize>, Vec<u8>)> {
    match target {
        Target::Reference { mappings, row_key } => Some((mappings.to_vec(), row_key.clone())),
        Target::Own(mapping) => Some((vec![*mapping], ready.shape.row_key(row.row.cells.as_cells()))),
        Target::Set(_) | Target::Unkept(_) | Target::Absent | Target::Omitted => None,
    }
}

/// The record that a parent's row comes to, or why to none.
pub(super) fn record_of(parent: &Ready<'_>, row: &Whole) -> Result<FieldValue, String> {
    match row.desired(&parent.compiled) {
        Desired::Present(record) => {
            Ok(FieldValue::Reference { key_field: parent.config.key_field.to_string(), key: record.key })
        }
        Desired::Left => Err("its `where` leaves that row out".to_owned()),
        Desired::Deleted => Err("that row is deleted".to_owned()),
        Desired::Apart => Err("that row associates nothing".to_owned()),
        Desired::Incomplete { columns } => Err(format!("that row needs {}", columns.join(", "))),
        Desired::Refused(refusal) => Err(format!("that row is a dead letter: {}", refusal.message)),
    }
}

/// Everything that is shown of a row.
pub(super) fn view(config: &Config, ready: &Ready<'_>, row: &Whole, parents: &Parents) -> RowView {
    let cells = row.row.cells.as_cells();
    let mapping = ready.config;
    let columns = ready.shape.columns().iter().map(|(id, name, ty)| {
        let value = cells.get(*id).map_or(Ok(Value::Absent), |cell| Value::parse(ty, cell).map(Value::into_owned));
        column_step(name, value.map_err(|bad| bad.reason))
    });
    let desired = row.desired(&ready.compiled);
    let record = match &desired {
        Desired::Present(record) => Some(record),
        Desired::Left | Desired::Deleted | Desired::Apart | Desired::Incomplete { .. } | Desired::Refused(_) => None,
    };
    let fields = mapping.fields.iter().enumerate().map(|(index, field)| FieldView {
        name: field.name.to_string(),
        when: field.when.as_ref().map(|expr| shown(ready, row, expr)),
        value: field.value.expr().map(|expr| shown(ready, row, expr)),
        has_map: field.map.is_some(),
        on_create: field.on_create.clone(),
        fate: record.and_then(|record| fate((config, ready, row), field, index, record, parents)),
    });
    let fields: Vec<FieldView> = fields.collect();
    RowView {
        row_key: row.row.key.clone(),
        related: row.related.views.clone(),
        columns: columns.collect(),
        filter: mapping.filter.as_ref().map(|expr| shown(ready, row, expr)),
        deleted: mapping.deleted.as_ref().map(|expr| shown(ready, row, expr)),
        key: shown(ready, row, &mapping.key_value),
        outcome: outcome(ready, desired, &fields),
        fields,
    }
}

fn shown(ready: &Ready<'_>, row: &Whole, expr: &Expr) -> Shown {
    let trace = ready.compile_with(|with| Trace::of(&expr.text, ready.config, with));
    let steps = trace.map(|trace| trace.run(row.row.cells.as_cells(), &row.related.found)).unwrap_or_default();
    let unknown =
        || vec![Step { text: expr.text.clone(), kind: StepKind::Start, value: Err("it cannot be shown step by step") }];
    Shown { expression: expr.text.clone(), steps: if steps.is_empty() { unknown() } else { steps } }
}

fn fate(
    (config, ready, row): (&Config, &Ready<'_>, &Whole),
    field: &Field,
    index: usize,
    record: &Record,
    parents: &Parents,
) -> Option<Fate> {
    let target = &record.fields.iter().find(|known| known.index == index)?.target;
    if let Some(bad) = record.bad.iter().find(|bad| bad.index == index) {
        return Some(Fate::Bad { reason: bad.reason, cleared: *target == Target::Set(FieldValue::Null) });
    }
    Some(match target {
        Target::Set(value) => Fate::Set(value.clone()),
        Target::Absent => Fate::Absent,
        Target::Unkept(value) => match &field.value {
            FieldSource::Unkept { object, by, .. } => {
                Fate::Finds { object: object.to_string(), by: by.to_string(), value: value.clone() }
            }
            FieldSource::Value(_) | FieldSource::Const(_) | FieldSource::Reference { .. } => Fate::Absent,
        },
        Target::Omitted if matches!(field.value, FieldSource::Unkept { .. }) => Fate::Nobody,
        Target::Omitted => Fate::LeftOut,
        Target::Reference { .. } | Target::Own(_) => {
            let (mappings, row_key) = parent(ready, row, target)?;
            let name = |mapping: &usize| config.mappings.keys().nth(*mapping).map_or("", String::as_str);
            let found = parents.iter().find(|found| found.field == index);
            let (mapping, parent) = match found {
                None => (None, Err("it was not looked for".to_owned())),
                Some(found) => (found.mapping.clone(), found.record.clone()),
            };
            Fate::Refers {
                mapping: mapping.unwrap_or_else(|| mappings.iter().map(name).collect::<Vec<_>>().join(" or ")),
                row_key: key::printed(&row_key),
                parent,
                without: if field.required { Missing::Reject } else { field.missing },
            }
        }
    })
}

fn outcome(ready: &Ready<'_>, desired: Desired, fields: &[FieldView]) -> Outcome {
    let record = match desired {
        Desired::Present(record) => record,
        Desired::Left => return Outcome::Left,
        Desired::Deleted => return Outcome::Deleted,
        Desired::Apart => return Outcome::Apart,
        Desired::Incomplete { columns } => return Outcome::Incomplete(columns),
        Desired::Refused(refusal) => return Outcome::Refused(refusal),
    };
    let mut sent = Vec::with_capacity(fields.len());
    for (place, (field, configured)) in fields.iter().zip(&ready.config.fields).enumerate() {
        let value = match &field.fate {
            Some(Fate::Set(value)) => field.on_create.clone().unwrap_or_else(|| value.clone()),
            // A value that is bad: a new record begins all the same.
            Some(Fate::Bad { cleared, .. }) => match &field.on_create {
                Some(first) => first.clone(),
                None if *cleared => FieldValue::Null,
                None => continue,
            },
            Some(Fate::Refers { parent: Ok(parent), .. }) => parent.clone(),
            Some(Fate::Refers { parent: Err(why), without, mapping, .. }) => match without {
                Missing::Omit | Missing::Wait(_) if place < ready.config.ends() => return Outcome::Apart,
                Missing::Omit | Missing::Wait(_) => continue,
                Missing::Null => FieldValue::Null,
                Missing::Reject => {
                    let message = format!("`{}` needs a record of mapping {mapping}: {why}", field.name);
                    let fields = vec![field.name.clone()];
                    return Outcome::Refused(Refusal { code: "PARENT_MISSING".into(), message, fields });
                }
            },
            Some(Fate::Absent) => {
                let absent = field.value.iter().flat_map(|shown| crate::mapping::columns(&shown.expression)).flatten();
                return Outcome::Incomplete(absent.collect());
            }
            Some(Fate::Finds { object, by, value }) => {
                FieldValue::ReferenceById(format!("(the id of the {object} whose {by} is {value})"))
            }
            Some(Fate::LeftOut | Fate::Nobody) | None => continue,
        };
        sent.push((Arc::clone(&configured.name), value));
    }
    let mapping = ready.config;
    let write = Write {
        object: Arc::clone(&mapping.object),
        op: WriteOp::Upsert,
        key_field: Arc::clone(&mapping.key_field),
        key: FieldValue::Text(record.key.clone()),
        crm_id: None,
        fields: sent,
    };
    let is_reference = |field: &&Field| field.value.is_reference();
    let name = |field: &Field| (mapping.object.to_string(), field.name.to_string());
    let references = mapping.fields.iter().filter(is_reference).map(name);
    Outcome::Upsert { key: record.key, record: salesforce::record_json(&write, references) }
}
