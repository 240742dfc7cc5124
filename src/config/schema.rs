//! The keys as a JSON Schema, draft 7: what editors complete from and show.
//!
//! It refuses no file that the reader takes. What it cannot say (names that must exist, ranges of durations, expressions)
//! is left to `passerelle check`. Forms are written out where they are used, and a table's cases stand under `if` and not
//! under `allOf`, so that an editor finds all of a table's keys in one place.

use serde_json::{Map, Value, json};

use super::keys::{Cases, Form, Key, Keys, Rule};

type Object = Map<String, Value>;

/// The JSON Schema of a file of the configuration, as text.
pub fn schema() -> String {
    let mut schema = Object::new();
    schema.insert("$schema".into(), json!("http://json-schema.org/draft-07/schema#"));
    schema.insert("title".into(), json!("passerelle"));
    schema.insert("description".into(), json!("A configuration of passerelle, or one of its files."));
    schema.extend(table(&super::KEYS));
    format!("{:#}\n", Value::Object(schema))
}

fn table(keys: &Keys) -> Object {
    let all: Vec<&Key> = keys.of(None).collect();
    let mut table = Object::new();
    table.insert("type".into(), json!("object"));
    table.insert("additionalProperties".into(), json!(false));
    let properties: Object = all.iter().map(|key| (key.name.to_owned(), Value::Object(property(key)))).collect();
    table.insert("properties".into(), Value::Object(properties));
    let needed = needed(all.iter().filter(|key| key.cases.is_empty()));
    if !needed.is_empty() {
        table.insert("required".into(), json!(needed));
    }
    let beside: Object = all.iter().filter_map(|key| Some((key.name.to_owned(), json!([key.beside?])))).collect();
    if !beside.is_empty() {
        table.insert("dependencies".into(), Value::Object(beside));
    }
    table.extend(cases(keys));
    table
}

fn needed<'k>(keys: impl Iterator<Item = &'k &'k Key>) -> Vec<&'static str> {
    keys.filter(|key| matches!(key.rule, Rule::Needed)).map(|key| key.name).collect()
}

/// What each case asks for and rules out, one `if` in the `else` of the other.
fn cases(keys: &Keys) -> Object {
    let is = |case: &str| match keys.cases {
        Cases::Word(key) => json!({ "properties": { key: { "const": case } }, "required": [key] }),
        Cases::Key(_) | Cases::None => json!({ "required": [case] }),
    };
    let asks = |case: &str| {
        let others = keys.of(None).filter(|key| !key.is_of(Some(case)));
        let others: Object = others.map(|key| (key.name.to_owned(), json!(false))).collect();
        let own: Vec<&Key> = keys.of(Some(case)).filter(|key| !key.cases.is_empty()).collect();
        json!({ "required": needed(own.iter()), "properties": others })
    };
    let none = match keys.cases {
        // Where no word is right, the word's own form says so.
        Cases::Word(_) | Cases::None => Object::new(),
        Cases::Key(cases) => Object::from_iter([("anyOf".to_owned(), cases.iter().map(|case| is(case)).collect())]),
    };
    keys.case_names().into_iter().rev().fold(none, |rest, case| {
        let mut branch = Object::new();
        branch.insert("if".into(), is(case));
        branch.insert("then".into(), asks(case));
        if !rest.is_empty() {
            branch.insert("else".into(), Value::Object(rest));
        }
        branch
    })
}

fn property(key: &Key) -> Object {
    let mut property = Object::new();
    let (rule, default) = match key.rule {
        Rule::Default(default) => (format!("default `{default}`"), Some(default)),
        Rule::Optional(without) => (format!("without it: {without}"), None),
        Rule::Needed | Rule::Later(_) => ("required".to_owned(), None),
    };
    // There is no below in an editor.
    let about = key.about.trim_end_matches("; see below");
    property.insert("description".into(), json!(format!("{about}\n\n{}; {rule}", key.form.shown())));
    property.extend(form(&key.form));
    if let Some(default) = default.and_then(as_json) {
        property.insert("default".into(), default);
    }
    if let Some(example) = as_json(key.example).filter(|_| default != Some(key.example)) {
        property.insert("examples".into(), json!([example]));
    }
    property
}

fn form(form: &Form) -> Object {
    let value = match form {
        Form::Text { pattern, .. } => json!({ "type": "string", "pattern": pattern }),
        Form::Duration { .. } => json!({ "type": "string", "pattern": r"^\s*([0-9]+(ms|s|m|h|d)\s*)+$" }),
        Form::Bool => json!({ "type": "boolean" }),
        Form::Whole { least, most } => return whole(*least, *most),
        Form::Words(words) => json!({ "type": "string", "enum": words.words() }),
        Form::Constant => json!({ "type": ["string", "number", "boolean"] }),
        Form::List(of) => json!({ "type": "array", "minItems": 1, "items": self::form(of) }),
        Form::Named { names, of, least } => {
            json!({
                "type": "object",
                "minProperties": least,
                "propertyNames": { "pattern": names },
                "additionalProperties": self::form(of),
            })
        }
        Form::Table(keys) => return table(keys),
        Form::Called(_, form) => return self::form(form),
        Form::Any(forms) => return any(forms.iter().map(self::form).collect()),
    };
    value.as_object().cloned().unwrap_or_default()
}

/// Numbers that JSON's readers all read exactly stand in it as bounds.
fn whole(least: i128, most: i128) -> Object {
    const EXACT: i128 = 1 << 53;
    let mut form = Object::from_iter([("type".to_owned(), json!("integer"))]);
    for (key, bound) in [("minimum", least), ("maximum", most)] {
        if let Some(bound) = i64::try_from(bound).ok().filter(|bound| i128::from(*bound).abs() <= EXACT) {
            form.insert(key.into(), json!(bound));
        }
    }
    form
}

/// Forms of different types become one, so that an editor points at the very key that is wrong. Words cannot: what
/// `enum` lists holds for every type.
fn any(forms: Vec<Object>) -> Object {
    if forms.iter().any(|form| form.contains_key("enum")) {
        return Object::from_iter([("anyOf".to_owned(), forms.into_iter().map(Value::Object).collect())]);
    }
    let types: Vec<Value> = forms.iter().filter_map(|form| form.get("type").cloned()).collect();
    let mut one: Object = forms.into_iter().flatten().collect();
    one.insert("type".into(), Value::Array(types));
    one
}

/// A value as TOML writes it.
fn as_json(text: &str) -> Option<Value> {
    let table: toml::Table = format!("x = {text}").parse().ok()?;
    serde_json::to_value(table.get("x")?).ok()
}
