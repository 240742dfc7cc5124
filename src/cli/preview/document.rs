//! The preview as JSON: pure.

use passerelle_change::FieldValue;
use serde_json::{Value, json};

use super::words;
use crate::config::model::Mapping;
use crate::mapping::Step;
use crate::preview::{Fate, FieldView, Outcome, Preview, RowView, Shown};

/// The document. Values of steps are text, null, true or false; `record` is the text of the JSON that
/// would be sent, so that no number loses a digit on its way.
pub(super) fn document(mapping: &Mapping, preview: &Preview) -> Value {
    json!({
        "mapping": &*mapping.name,
        "source": mapping.source,
        "table": mapping.table.to_string(),
        "crm": mapping.crm,
        "object": &*mapping.object,
        "key_field": &*mapping.key_field,
        "left_out": preview.left_out,
        "more": preview.more,
        "rows": preview.rows.iter().map(row).collect::<Vec<_>>(),
    })
}

fn row(row: &RowView) -> Value {
    let (outcome, more) = match &row.outcome {
        Outcome::Upsert { key, record } => ("upsert", json!({ "key": key, "record": record })),
        Outcome::Left => ("left", json!({})),
        Outcome::Deleted => ("deleted", json!({})),
        Outcome::Refused(refusal) => {
            let fields = &refusal.fields;
            ("dead_letter", json!({ "code": refusal.code, "reason": refusal.message, "fields": fields }))
        }
        Outcome::Incomplete(columns) => ("incomplete", json!({ "columns": columns })),
    };
    json!({
        "row_key": row.row_key,
        "columns": row.columns.iter().map(step).collect::<Vec<_>>(),
        "where": row.filter.as_ref().map(shown),
        "deleted": row.deleted.as_ref().map(shown),
        "key": shown(&row.key),
        "fields": row.fields.iter().map(field).collect::<Vec<_>>(),
        "outcome": outcome,
        outcome: more,
    })
}

fn field(view: &FieldView) -> Value {
    let (fate, more) = match &view.fate {
        None => ("none", Value::Null),
        Some(Fate::Set(value)) => ("set", plain(value)),
        Some(Fate::Refers { mapping, row_key, parent, .. }) => {
            let (record, why) = match parent {
                Ok(parent) => (plain(parent), None),
                Err(why) => (Value::Null, Some(why)),
            };
            ("reference", json!({ "mapping": mapping, "row_key": row_key, "record": record, "why": why }))
        }
        Some(Fate::Bad { reason, cleared }) => ("bad", json!({ "reason": reason, "cleared": cleared })),
        Some(Fate::Finds { object, by, value }) => ("finds", json!({ "object": object, "by": by, "value": value })),
        Some(Fate::LeftOut | Fate::Nobody) => ("left_out", Value::Null),
        Some(Fate::Absent) => ("absent", Value::Null),
    };
    json!({
        "name": view.name,
        "when": view.when.as_ref().map(shown),
        "value": view.value.as_ref().map(shown),
        "on_create": view.on_create.as_ref().map(plain),
        "fate": fate,
        fate: more,
    })
}

fn shown(shown: &Shown) -> Value {
    json!({ "expression": shown.expression, "steps": shown.steps.iter().map(step).collect::<Vec<_>>() })
}

fn step(step: &Step) -> Value {
    match &step.value {
        Ok(passerelle_change::Value::Null) => json!({ "step": step.text, "value": null }),
        Ok(passerelle_change::Value::Bool(value)) => json!({ "step": step.text, "value": value }),
        Ok(passerelle_change::Value::Text(text)) => json!({ "step": step.text, "value": text }),
        Ok(value) => json!({ "step": step.text, "value": words::whole(value) }),
        Err(reason) => json!({ "step": step.text, "bad": reason }),
    }
}

/// Numbers as text, so that no digit is lost.
fn plain(value: &FieldValue) -> Value {
    match value {
        FieldValue::Null => Value::Null,
        FieldValue::Bool(value) => json!(value),
        FieldValue::Number(text) | FieldValue::Text(text) => json!(text),
        FieldValue::Reference { key_field, key } => json!({ "key_field": key_field, "key": key }),
        FieldValue::ReferenceById(id) => json!({ "id": id }),
    }
}
