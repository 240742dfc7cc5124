//! The preview as JSON: pure.

use passerelle_change::FieldValue;
use serde_json::{Value, json};

use super::words;
use crate::config::model::Mapping;
use crate::mapping::Step;
use crate::preview::{Fate, FieldView, Origin, Outcome, Preview, RelatedView, RowView, Shown};

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
        Outcome::Apart => ("apart", json!({})),
        Outcome::Refused(refusal) => {
            let fields = &refusal.fields;
            ("dead_letter", json!({ "code": refusal.code, "reason": refusal.message, "fields": fields }))
        }
        Outcome::Incomplete(columns) => ("incomplete", json!({ "columns": columns })),
    };
    json!({
        "row_key": row.row_key,
        "columns": row.columns.iter().map(|column| step(row, column)).collect::<Vec<_>>(),
        "related": row.related.iter().map(related).collect::<Vec<_>>(),
        "where": row.filter.as_ref().map(|filter| shown(row, filter)),
        "deleted": row.deleted.as_ref().map(|deleted| shown(row, deleted)),
        "key": shown(row, &row.key),
        "fields": row.fields.iter().map(|view| field(row, view)).collect::<Vec<_>>(),
        "outcome": outcome,
        outcome: more,
    })
}

fn field(row: &RowView, view: &FieldView) -> Value {
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
        "when": view.when.as_ref().map(|when| shown(row, when)),
        "value": view.value.as_ref().map(|value| shown(row, value)),
        "on_create": view.on_create.as_ref().map(plain),
        "fate": fate,
        fate: more,
    })
}

fn shown(row: &RowView, shown: &Shown) -> Value {
    let steps = shown.steps.iter().map(|known| step(row, known));
    json!({ "expression": shown.expression, "steps": steps.collect::<Vec<_>>() })
}

fn step(row: &RowView, step: &Step) -> Value {
    let mut document = match &step.value {
        Ok(passerelle_change::Value::Null) => json!({ "step": step.text, "value": null }),
        Ok(passerelle_change::Value::Bool(value)) => json!({ "step": step.text, "value": value }),
        Ok(passerelle_change::Value::Text(text)) => json!({ "step": step.text, "value": text }),
        Ok(value) => json!({ "step": step.text, "value": words::whole(value) }),
        Err(reason) => json!({ "step": step.text, "bad": reason }),
    };
    if let Some((related, name)) = row.relation(step) {
        document["from"] = from(related, name);
    }
    document
}

/// Where the value of a path came from.
fn from(related: &RelatedView, name: &str) -> Value {
    let (relation, table) = (&related.path, related.tables.first());
    match &related.origin {
        Origin::Row { row_key, .. } => {
            json!({ "relation": relation, "table": table, "row_key": row_key, "column": name })
        }
        Origin::Figures(rows) => json!({ "relation": relation, "table": table, "rows": rows, "figure": name }),
        Origin::Pivot(rows) => match rows.iter().find(|row| row.name == name) {
            Some(row) => {
                json!({ "relation": relation, "table": row.table, "row_key": row.row_key, "name": name })
            }
            None => json!({ "relation": relation, "table": null, "row_key": null, "name": name }),
        },
        Origin::Nothing | Origin::NoKey | Origin::Unknown(_) => {
            json!({ "relation": relation, "table": null, "row_key": null, "name": name })
        }
    }
}

/// What a relation had, or why it had nothing.
fn related(related: &RelatedView) -> Value {
    let (found, more) = match &related.origin {
        Origin::Row { row_key, of, picked } => ("row", json!({ "row_key": row_key, "of": of, "picked": picked })),
        Origin::Pivot(rows) => {
            let rows = rows.iter().map(|row| json!({ "name": row.name, "table": row.table, "row_key": row.row_key }));
            ("pivot", rows.collect())
        }
        Origin::Figures(rows) => ("figures", json!({ "rows": rows })),
        Origin::Nothing => ("nothing", Value::Null),
        Origin::NoKey => ("no_key", Value::Null),
        Origin::Unknown(why) => ("unknown", json!({ "why": why })),
    };
    json!({ "relation": related.path, "tables": related.tables, "more": related.more, "found": found, found: more })
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
