//! What changes do to a mapping, part by part. Pure: the mapping's own compiler says what does not go any more.

use passerelle_change::{CellsBuf, FieldValue, Type, Value};
use serde::{Deserialize, Serialize};

use super::change::{Change, Effect, Part, Retyping, Severity};
use super::subject::Subject;
use crate::config::model::{self, FieldSource, MapOther, OnBad};
use crate::mapping::Expression;

/// A change that touches a mapping, and what it does to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// The change.
    pub change: Change,
    /// What the mapping calls the column: its name as a rule; empty for the table, and for a column of the row key alone.
    pub names: Vec<String>,
    /// What it does to which parts; never empty.
    pub effects: Vec<Effect>,
}

impl Weighed {
    /// How bad it is at worst.
    pub fn severity(&self) -> Severity {
        self.effects.iter().map(|effect| effect.severity).max().unwrap_or(Severity::None)
    }

    /// The fields that it touches, by their names in the CRM.
    pub fn fields(&self) -> Vec<String> {
        let field = |effect: &Effect| match &effect.part {
            Part::Field(name) => Some(name.clone()),
            Part::Whole | Part::Key | Part::Where | Part::Deleted => None,
        };
        self.effects.iter().filter_map(field).collect()
    }

    /// All of it in a sentence, the worst first: `breaking: Phone can't be computed without it`.
    pub fn sentence(&self) -> String {
        let mut effects: Vec<&Effect> = self.effects.iter().collect();
        effects.sort_by_key(|effect| std::cmp::Reverse(effect.severity));
        effects.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
    }
}

impl std::fmt::Display for Effect {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.part {
            Part::Whole => write!(f, "{}", self.text),
            part @ (Part::Key | Part::Where | Part::Deleted | Part::Field(_)) => write!(f, "{part}: {}", self.text),
        }
    }
}

/// Of all changes those that touch the mapping: a column that it uses, a column of its row key, or the table as a whole;
/// with what each does to which part. A change of what nobody maps is none.
pub fn weigh(changes: &[Change], subject: &Subject<'_>) -> Vec<Weighed> {
    let weighed = changes.iter().map(|change| {
        let names = change.column().map(|column| subject.names_for(column)).unwrap_or_default();
        Weighed { change: change.clone(), names, effects: effects(change, changes, subject) }
    });
    weighed.filter(|weighed| !weighed.effects.is_empty()).collect()
}

fn effects(change: &Change, all: &[Change], subject: &Subject<'_>) -> Vec<Effect> {
    match change {
        Change::TableDropped if subject.relation.is_some() => breaks("nothing is known of its rows any more"),
        Change::TableDropped => breaks("there is nothing to deliver; its records stay as they are in the CRM"),
        Change::TableRenamed { to } => {
            let table = &subject.table.name;
            breaks(format!("its rows are in {to} now, and the mapping names {table}"))
        }
        Change::TableReplaced { by_swap: true } => whole(Severity::None, "it has the rows that it had"),
        Change::TableReplaced { by_swap: false } => {
            whole(Severity::Lossy, "its rows may be others, of which the log says nothing")
        }
        Change::Unpublished => breaks("the log carries none of its changes"),
        // One that a mapping knows by name was refused with the configuration; any other is nobody's.
        Change::ColumnAdded { .. } => Vec::new(),
        Change::ColumnDropped { column } | Change::Unreadable { column } => {
            missing(subject, column, "can't be computed without it")
        }
        Change::ColumnRenamed { column, to, is_certain: true } => {
            missing(subject, column, &format!("can't be computed until {to} is taken for {column}"))
        }
        Change::ColumnRenamed { column, to, is_certain: false } => {
            missing(subject, column, &format!("can't be computed without it, unless {to} is the same"))
        }
        Change::Retyped { column, from, to, ty, how } => retyped(subject, column, (from, to), ty, *how),
        Change::Rewritten { column } => rewritten(subject, column, all),
        Change::NullAllowed { column } => null_allowed(subject, column),
        Change::NullRefused { column } => each_part(subject, column, Severity::None, "no row is without it any more"),
        Change::DefaultChanged { column, .. } => {
            each_part(subject, column, Severity::None, "only rows that are new begin with it")
        }
        Change::LabelAdded { column, label } => label_added(subject, column, label),
        Change::LabelRemoved { column, label } => {
            let text = "rows that had it hold something else, without a word in the log";
            label_gone(subject, column, label, None, text)
        }
        Change::LabelRenamed { column, from, to } => {
            let text = "rows that did not change have the new one, without a word in the log";
            label_gone(subject, column, from, Some(to), text)
        }
        Change::CharsetChanged { column, from, to } => {
            let (severity, text) = if keeps_all(from, to) {
                (Severity::None, "each character stays what it is")
            } else {
                (Severity::Lossy, "characters that the new one does not have are lost")
            };
            each_part(subject, column, severity, text)
        }
        Change::GeneratedChanged { column, is_generated } => {
            // The oid tells PostgreSQL, whose log carries no computed columns before version 18.
            let is_at_risk = *is_generated && subject.table.object.is_some();
            let (severity, text) = match (is_at_risk, is_generated) {
                (true, _) => (Severity::Lossy, "the log may not carry it any more"),
                (false, true) => (Severity::None, "the log carries it as before"),
                (false, false) => (Severity::None, "the log carries it"),
            };
            each_part(subject, column, severity, text)
        }
        Change::KeyChanged { to, .. } => key_changed(subject, to.as_ref()),
        Change::IdentityChanged { to, .. } if to == "nothing" => {
            breaks("the server refuses its updates and deletions, or the log does not carry them")
        }
        Change::IdentityChanged { .. } => {
            whole(Severity::None, "what the log leaves out of a row is read from the table")
        }
        Change::PartitionAttached { .. } => {
            whole(Severity::Lossy, "its rows are in the CRM once the table is read again, of itself")
        }
        Change::PartitionDetached { .. } => {
            whole(Severity::None, "the records of its rows stay as they are in the CRM")
        }
    }
}

fn whole(severity: Severity, text: impl Into<String>) -> Vec<Effect> {
    vec![Effect { part: Part::Whole, severity, text: text.into() }]
}

fn breaks(text: impl Into<String>) -> Vec<Effect> {
    whole(Severity::Breaking, text)
}

fn each_part(subject: &Subject<'_>, column: &str, severity: Severity, text: &str) -> Vec<Effect> {
    let parts = subject.parts_with(column).into_iter();
    parts.map(|part| Effect { part, severity, text: text.to_owned() }).collect()
}

/// Of a column that the mapping does not find under its name.
fn missing(subject: &Subject<'_>, column: &str, text: &str) -> Vec<Effect> {
    let mut effects = each_part(subject, column, Severity::Breaking, text);
    if subject.is_row_key(column) {
        effects.extend(breaks(format!("its rows are known by {column}")));
    }
    effects
}

fn retyped(subject: &Subject<'_>, column: &str, (from, to): (&str, &str), ty: &Type, how: Retyping) -> Vec<Effect> {
    let columns = subject.columns_with(column, ty, to);
    let mut effects = Vec::new();
    for part in subject.parts_with(column) {
        let (severity, text) = match subject.fault(&part, &columns) {
            Some(fault) => (Severity::Breaking, fault.message),
            None => retyped_part(&part, how),
        };
        effects.push(Effect { part, severity, text });
    }
    if subject.is_row_key(column) {
        let was_whole = subject.table.column(column).is_some_and(|facts| facts.ty == Type::Int);
        if how != Retyping::Widened || was_whole != (*ty == Type::Int) {
            effects.extend(breaks(format!("its rows are known by {column}, and it is {to} instead of {from}")));
            effects.extend(subject.children.iter().map(|child| refers(child, column)));
        }
    }
    effects
}

fn retyped_part(part: &Part, how: Retyping) -> (Severity, String) {
    let (severity, text) = match (part, how) {
        (_, Retyping::Widened) => (Severity::None, "each value stays what it is"),
        (Part::Key, Retyping::Converted) => (Severity::Breaking, "records would be looked for under other keys"),
        (Part::Key, Retyping::Narrowed) => (Severity::Lossy, "a key that does not fit is another one now"),
        (Part::Where | Part::Deleted, Retyping::Narrowed | Retyping::Converted) => {
            (Severity::Lossy, "it may be true of other rows now")
        }
        (Part::Whole | Part::Field(_), Retyping::Narrowed) => {
            (Severity::Lossy, "values that do not fit are cut, rounded or refused")
        }
        (Part::Whole | Part::Field(_), Retyping::Converted) => {
            (Severity::Lossy, "it is computed from other values now")
        }
    };
    (severity, text.to_owned())
}

fn refers(child: &super::subject::Child, column: &str) -> Effect {
    let text = format!("{} of {} refers to its rows by {column}", child.field, child.mapping);
    Effect { part: Part::Whole, severity: Severity::Breaking, text }
}

fn rewritten(subject: &Subject<'_>, column: &str, all: &[Change]) -> Vec<Effect> {
    let is_widened = |change: &Change| matches!(change, Change::Retyped { column: other, how: Retyping::Widened, .. } if other == column);
    // A widening may have been more than that; reading it again shows, and nothing has to wait for it.
    let (severity, text) = if all.iter().any(is_widened) {
        (Severity::None, "it is read again, to be sure")
    } else {
        (Severity::Lossy, "what is in the CRM is of the old values until it is read again")
    };
    let mut effects = each_part(subject, column, severity, text);
    if subject.is_row_key(column) && severity == Severity::Lossy {
        // Of a related table no record goes by its rows' keys: they are read again, and those that are gone go.
        let severity = if subject.relation.is_some() { Severity::Lossy } else { Severity::Breaking };
        effects.extend(whole(severity, format!("its rows are known by {column}, and may have other values of it")));
    }
    effects
}

fn null_allowed(subject: &Subject<'_>, column: &str) -> Vec<Effect> {
    let effect = |part: Part| {
        let is_required = match &part {
            Part::Field(name) => subject.field(name).is_some_and(|field| field.required),
            Part::Key => true,
            Part::Whole | Part::Where | Part::Deleted => false,
        };
        let (severity, text) = match &part {
            _ if is_required => (Severity::Lossy, "a row without it is a dead letter"),
            Part::Where | Part::Deleted => (Severity::None, "it is not true of a row without it"),
            Part::Whole | Part::Key | Part::Field(_) => (Severity::None, "a null is sent as one"),
        };
        Effect { part, severity, text: text.to_owned() }
    };
    subject.parts_with(column).into_iter().map(effect).collect()
}

fn label_added(subject: &Subject<'_>, column: &str, label: &str) -> Vec<Effect> {
    let effect = |part: Part| {
        let field = match &part {
            Part::Field(name) => subject.field(name),
            Part::Whole | Part::Key | Part::Where | Part::Deleted => None,
        };
        let (severity, text) = match field {
            Some(field) => fate(subject, field, column, label),
            None => (Severity::None, "it is a value as others are".to_owned()),
        };
        Effect { part, severity, text }
    };
    subject.parts_with(column).into_iter().map(effect).collect()
}

/// Of a label that there is no more, or that has another name now.
fn label_gone(subject: &Subject<'_>, column: &str, label: &str, renamed: Option<&str>, text: &str) -> Vec<Effect> {
    let Some(facts) = subject.table.column(column) else { return Vec::new() };
    let mut ty = facts.ty.clone();
    if let Type::Enum { labels } = &mut ty {
        match (labels.iter().position(|known| known == label), renamed) {
            (Some(place), Some(renamed)) => renamed.clone_into(&mut labels[place]),
            (Some(place), None) => drop(labels.remove(place)),
            (None, _) => {}
        }
    }
    let columns = subject.columns_with(column, &ty, &facts.type_name);
    let effect = |part: Part| {
        let fate = match (&part, renamed) {
            (Part::Field(name), Some(renamed)) => {
                subject.field(name).map(|field| fate(subject, field, column, renamed))
            }
            _ => None,
        };
        let (severity, text) = match (subject.fault(&part, &columns), fate) {
            (Some(fault), _) => (Severity::Breaking, fault.message),
            (None, Some((severity, fate))) if severity > Severity::Lossy => (severity, fate),
            (None, _) => (Severity::Lossy, text.to_owned()),
        };
        Effect { part, severity, text }
    };
    subject.parts_with(column).into_iter().map(effect).collect()
}

/// What becomes of a field for a row with a label that the mapping was not written for.
fn fate(subject: &Subject<'_>, field: &model::Field, column: &str, label: &str) -> (Severity, String) {
    let on_bad = |why: &str| match field.on_bad {
        OnBad::Omit => (Severity::Lossy, format!("{why}: it is left out of such a row")),
        OnBad::Null => (Severity::Lossy, format!("{why}: it is cleared for such a row")),
        OnBad::Reject => (Severity::Breaking, format!("{why}: such a row is a dead letter")),
    };
    let Some(value) = computed(subject, field, column, label) else {
        return (Severity::None, "it goes through the expression as other labels do".to_owned());
    };
    let value = match value {
        Ok(value) => value,
        Err(why) => return on_bad(why),
    };
    let Some(map) = &field.map else { return (Severity::None, format!("'{value}' is sent for it")) };
    let unnamed = format!("its map has no entry for '{value}'");
    match (map.entries.get(&value), &map.other) {
        (Some(sent), _) => (Severity::None, format!("{} is sent for it", printed(sent))),
        (None, MapOther::Const(sent)) => (Severity::None, format!("{unnamed}: {} is sent for it", printed(sent))),
        (None, MapOther::Keep) => (Severity::None, format!("{unnamed}: it is sent as it is")),
        (None, MapOther::Bad) => on_bad(&unnamed),
        (None, MapOther::Reject) => (Severity::Breaking, format!("{unnamed}: such a row is a dead letter")),
    }
}

/// The text that a field's expression makes of a label, before its `map`; `None` where it depends on more than that, or is
/// no text.
fn computed(
    subject: &Subject<'_>,
    field: &model::Field,
    column: &str,
    label: &str,
) -> Option<Result<String, &'static str>> {
    let FieldSource::Value(expr) = &field.value else { return None };
    let facts = subject.table.column(column)?;
    let text = Type::Text { max_chars: None };
    let columns = subject.columns_with(column, &text, &facts.type_name);
    let id = columns.iter().find(|known| subject.patch.name_now(&known.name) == column)?.id;
    let expression = Expression::compile(&expr.text, &columns, subject.time_zone).ok()?;
    let mut row = CellsBuf::new();
    row.push(id, Some(label.as_bytes()));
    expression.evaluate(row.as_cells(), |value| match value {
        Ok(Value::Text(text)) => Some(Ok(text.into_owned())),
        Ok(_) => None,
        Err(why) => Some(Err(why)),
    })
}

fn printed(value: &FieldValue) -> String {
    match value {
        FieldValue::Null => "null".to_owned(),
        FieldValue::Bool(value) => value.to_string(),
        FieldValue::Number(value) | FieldValue::ReferenceById(value) => value.clone(),
        FieldValue::Text(value) | FieldValue::Reference { key: value, .. } => format!("'{value}'"),
    }
}

fn key_changed(subject: &Subject<'_>, to: Result<&Vec<String>, &String>) -> Vec<Effect> {
    let mut effects = breaks(match to {
        Ok(_) => "what is known of its rows is known by the key that was",
        Err(_) => "its rows can't be told apart in the log",
    });
    let by = to.map(|key| key.join(", ")).unwrap_or_default();
    let was = subject.table.row_key.as_ref().map(|key| key.join(", ")).unwrap_or_default();
    if by != was {
        effects.extend(subject.children.iter().map(|child| refers(child, &was)));
    }
    effects
}

/// Whether a character set has every character of another one.
fn keeps_all(from: &str, to: &str) -> bool {
    matches!((from, to), (_, "utf8mb4" | "utf16" | "utf32") | ("ascii", _) | ("utf8mb3" | "utf8", "utf8mb3" | "utf8"))
        && from != "binary"
}
