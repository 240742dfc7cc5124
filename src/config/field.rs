//! `[mapping.NAME.fields]`: every form of a field.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::FieldValue;

use super::Fault;
use super::keys::{API_NAME, Cases, EXPRESSION, Form, Key, Keys, Lexicon, NAME, Words, text};
use super::mapping::{Names, api_name};
use super::model::{Check, Field, FieldMap, FieldSource, MapOther, Missing, OnBad, Place};
use super::nearest::nearest;
use super::section::{Context, Found, Section};
use super::tree::Value;
use super::units;

/// What a field's value may be.
pub(super) const FORM: Form = Form::Any(&[EXPRESSION, Form::Table(&KEYS)]);

/// The keys of a field.
pub(super) static KEYS: Keys = Keys {
    keys: &[
        Key::need(
            "value",
            EXPRESSION,
            r#""parent_id""#,
            "an expression; with `reference` the parent's row key in its table, with `crm` the value of the field `by`",
        )
        .with(&["value", "reference", "crm"]),
        Key::need("const", Form::Constant, r#""Customer""#, "always this").with(&["const"]),
        Key::need(
            "reference",
            Form::Any(&[NAME, Form::List(&NAME)]),
            r#""accounts""#,
            "the record that this mapping made of a row; of several, `[\"accounts\", \"person_accounts\"]`, the first that has one for it",
        )
        .with(&["reference"]),
        Key::need(
            "crm",
            API_NAME,
            r#""User""#,
            "a record of this object of the CRM, one that no mapping keeps; it is written by its id",
        )
        .with(&["crm"]),
        Key::need("by", API_NAME, r#""Email""#, "the field that it is found by: of text").with(&["crm"]),
        Key::maybe(
            "map",
            Form::Named { names: "", of: &Form::Constant, least: 1 },
            r#"{ sale = "Activated", cancel = "Cancelled" }"#,
            "from the value's text to the CRM's",
        )
        .with(&["value"]),
        Key::maybe(
            "other",
            Form::Any(&[Form::Words(&OTHERS), Form::Table(&OTHER)]),
            r#"{ const = "Other" }"#,
            "what becomes of a value that `map` does not name: `\"reject\"`: the record is a dead letter; `\"keep\"`: the value as it is; `\"null\"`: the field is cleared; `{ const = \"Other\" }`: this instead",
        )
        .without("the field follows `on_bad`")
        .with(&["value"])
        .beside("map"),
        Key::or(
            "required",
            Form::Bool,
            "false",
            "a record without it is a dead letter: kept, shown, tried again when its row changes",
        ),
        Key::or(
            "on_bad",
            Form::Words(&ON_BAD),
            r#""omit""#,
            "a value that cannot be mapped (`'abc' | email`): `\"omit\"` leaves the field out, `\"null\"` clears it, `\"reject\"` makes the record a dead letter. It is counted and shown in each case",
        ),
        Key::or(
            "authority",
            Form::Words(&AUTHORITY),
            r#""source""#,
            "`\"create_only\"`: sent when the record is created and never again, so that people may change it",
        ),
        Key::maybe(
            "when",
            EXPRESSION,
            r#""not locked""#,
            "where it is false or null, the field is left out and the CRM keeps what it has. `required` does not count then",
        )
        .without("always"),
        Key::maybe(
            "on_create",
            Form::Constant,
            r#""Draft""#,
            "what a new record begins with; the value itself follows at once. Where the value is bad, the record keeps it",
        )
        .with(&["value", "const"]),
        Key::maybe(
            "check",
            Form::Any(&[Form::Words(&CHECKS), text("regular expression", "[^A-Za-z0-9_-]")]),
            r#""siret""#,
            "a regular expression is for the whole value (`'[A-Z]{2}[0-9]+'`). A value that fails is bad and follows `on_bad`. Null and blank text pass",
        )
        .with(&["value"]),
        Key::maybe(
            "missing",
            Form::Any(&[Form::Words(&MISSING), text("wait 1h", WAIT_PATTERN)]),
            r#""null""#,
            "the record referred to is not in the CRM: `\"omit\"` leaves the field out, `\"null\"` clears it, `\"reject\"` makes the record a dead letter, `\"wait 1h\"` lets the record wait that long and go without it then; in each case the reference is sent when the record comes",
        )
        .without("`\"omit\"`")
        .with(&["reference", "crm"]),
        Key::or("urgent", Form::Bool, "false", "a change of it goes ahead of everything else, by itself").with(&["value"]),
        Key::or(
            "enforce",
            Form::Bool,
            "false",
            "what a person edits in the CRM is put back; otherwise it stays until the row's value changes",
        )
        .with(&["value", "const"]),
        Key::later("consent", "write the CRM's own field instead"),
    ],
    cases: Cases::Key(&["const", "reference", "crm", "value"]),
};

static OTHER: Keys = Keys::all(&[Key::need("const", Form::Constant, r#""Other""#, "this instead")]);

static OTHERS: Words<MapOther> =
    Words::new(&[("reject", MapOther::Reject), ("keep", MapOther::Keep), ("null", MapOther::Const(FieldValue::Null))]);

static ON_BAD: Words<OnBad> = Words::new(&[("omit", OnBad::Omit), ("null", OnBad::Null), ("reject", OnBad::Reject)]);

/// Whether a field is sent with the creation only.
static AUTHORITY: Words<bool> = Words {
    words: &[("source", false), ("create_only", true)],
    later: &["fill_if_empty", "unless_changed_in_crm", "tighten"],
};

static CHECKS: Words<Check> = Words::new(&[("siret", Check::Siret), ("vat", Check::Vat), ("iban", Check::Iban)]);

static MISSING: Words<Missing> =
    Words::new(&[("omit", Missing::Omit), ("null", Missing::Null), ("reject", Missing::Reject)]);

/// `wait` and a duration.
pub(super) const WAIT_PATTERN: &str = r"^wait\s+([0-9]+(ms|s|m|h|d)\s*)+$";

/// How long a record may wait for another.
const LONGEST_WAIT: Duration = Duration::from_hours(30 * 24);

/// The largest program that a regular expression of `check` may become, in bytes.
const LARGEST_PATTERN_BYTES: usize = 256 << 10;

const FORMS: &str = "\"an expression\", { value = \"an expression\", … }, { const = … }, { reference = \"mapping\", value = \"an expression\" } or { crm = \"User\", by = \"Email\", value = \"an expression\" }";

/// Reads all fields of a mapping, in the order written.
pub(super) fn read_all(of: &str, found: &Found<'_>, names: &Names<'_>) -> Option<Vec<Field>> {
    let mut fields: Vec<Option<Field>> = Vec::new();
    for field in found.named()? {
        fields.push(read(&field, names));
    }
    if fields.is_empty() {
        let fault = Fault::error(format!("[mapping.{of}.fields] names no field")).absent().at(found.key_place);
        found.context.note(fault.hint("add a line such as: Name = \"name\""));
        return None;
    }
    fields.into_iter().collect()
}

/// Each name is written once, and the key's is not among them. `None`: it is a fault, which is noted.
pub(super) fn check_names(fields: &[Field], key: &str, key_place: &Place, context: &Context<'_>) -> Option<()> {
    let mut fits = Some(());
    if let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case(key)) {
        let fault =
            Fault::error(format!("`{}` is the key of the record and a field as well", field.name)).at(&field.place);
        context.note(fault.also(key_place, "the key").hint("take it out of the fields: the key is always sent"));
        fits = None;
    }
    let mut seen: BTreeMap<String, &Place> = BTreeMap::new();
    for field in fields {
        if let Some(first) = seen.insert(field.name.to_lowercase(), &field.place) {
            let fault = Fault::error(format!("`{}` is written twice: the CRM's names ignore case", field.name))
                .at(&field.place);
            context.note(fault.also(first, "first here").hint("keep one of them"));
            fits = None;
        }
    }
    fits
}

fn read(found: &Found<'_>, names: &Names<'_>) -> Option<Field> {
    let name = api_name(found, found.key_place, found.name);
    match &found.node.value {
        Value::Text(..) => {
            let value = found.expr();
            Some(plain(name?, FieldSource::Value(value?), found.key_place))
        }
        Value::Table(_) => {
            let form = table_form(found, names);
            Some(Field { name: name?, ..form? })
        }
        Value::Int(number) => found.fault(
            format!("`{}` must be an expression in text, not a number", found.name),
            format!("a constant: {} = {{ const = {number} }}", found.name),
        ),
        Value::Bool(value) => found.fault(
            format!("`{}` must be an expression in text", found.name),
            format!("a constant: {} = {{ const = {value} }}", found.name),
        ),
        Value::Float(_) | Value::Time(_) | Value::List(_) => {
            found.fault(format!("`{}` is not a field's value", found.name), FORMS)
        }
    }
}

/// A field of which nothing else is said.
pub(super) fn plain(name: Arc<str>, value: FieldSource, place: &Place) -> Field {
    Field {
        name,
        value,
        map: None,
        required: false,
        on_bad: OnBad::default(),
        create_only: false,
        when: None,
        on_create: None,
        check: None,
        missing: Missing::default(),
        urgent: false,
        enforce: false,
        place: place.clone(),
    }
}

fn table_form(found: &Found<'_>, names: &Names<'_>) -> Option<Field> {
    let mut section = found.table()?;
    let value = source(found, &mut section, names);
    let map = section.maybe("map", map);
    let other = section.maybe("other", other);
    let required = section.or("required", |found| found.bool());
    let written = section.find("on_bad");
    let on_bad = section.or("on_bad", |found| found.word(&ON_BAD));
    let create_only = section.or("authority", |found| found.word(&AUTHORITY));
    let when = section.maybe("when", Found::expr);
    let on_create = section.maybe("on_create", |found| first_value(found, create_only));
    let check = section.maybe("check", checked);
    let missing = section.maybe("missing", |found| missing_record(found, &MISSING, required));
    let urgent = section.or("urgent", |found| goes_ahead(found, create_only));
    let enforce = section.or("enforce", |found| put_back(found, create_only));
    section.finish(|key| (key == "column" || key == "expr").then(|| "write it as `value`".to_owned()));

    if let (Some(on_bad), Some(true)) = (written, required) {
        on_bad.warn(
            "`on_bad` does nothing beside `required = true`",
            "a record without a required field is a dead letter; leave `on_bad` out",
        );
    }
    let other = other?.unwrap_or(MapOther::Bad);
    Some(Field {
        name: Arc::from(found.name),
        value: value?,
        when: when?,
        on_create: on_create?,
        check: check?,
        missing: missing?.unwrap_or_default(),
        map: map?.map(|entries| FieldMap { entries, other }),
        required: required?,
        on_bad: on_bad?,
        create_only: create_only?,
        urgent: urgent?,
        enforce: enforce?,
        place: found.key_place.clone(),
    })
}

/// Where the value comes from: the case that the table is.
fn source(found: &Found<'_>, section: &mut Section<'_>, names: &Names<'_>) -> Option<FieldSource> {
    if let Some(constant) = section.take("const") {
        return constant.constant().map(FieldSource::Const);
    }
    if section.find("reference").is_some() || section.find("crm").is_some() {
        let other = other_record(section, names);
        relationship_name(found, found.name, found.key_place)?;
        return other;
    }
    section.maybe("value", Found::expr)?.map(FieldSource::Value)
}

/// The record that is referred to: `reference`, or `crm` and `by`, and `value`.
pub(super) fn other_record(section: &mut Section<'_>, names: &Names<'_>) -> Option<FieldSource> {
    let reference = section.take("reference");
    let unkept = section.take("crm");
    let by = section.maybe("by", |by| api_name(by, &by.node.place, by.text()?));
    let value = section.maybe("value", Found::expr);
    match (reference, unkept) {
        (Some(reference), _) => {
            let mappings = referred(&reference, names);
            Some(FieldSource::Reference { mappings: mappings?, value: Some(value??) })
        }
        (None, Some(object)) => {
            let object = api_name(&object, &object.node.place, object.text()?);
            Some(FieldSource::Unkept { object: object?, by: by??, value: value?? })
        }
        (None, None) => None,
    }
}

/// `on_create`: what a new record begins with.
fn first_value(found: &Found<'_>, create_only: Option<bool>) -> Option<FieldValue> {
    if create_only == Some(true) {
        return found.fault(
            "`on_create` does nothing beside `authority = \"create_only\"`: the value itself is sent with the creation only",
            "keep one of them",
        );
    }
    found.constant()
}

fn checked(found: &Found<'_>) -> Option<Check> {
    const FORM: &str =
        "\"siret\", \"vat\", \"iban\", or a regular expression for the whole value: check = '[A-Z]{2}[0-9]+'";
    let text = found.text()?;
    if let Some((_, check)) = CHECKS.words.iter().find(|(word, _)| *word == text) {
        return Some(check.clone());
    }
    // A regular expression that is one word says that the value is always that word.
    if text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-') {
        let near = nearest(text, CHECKS.words());
        let near = near.map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
        return found.fault(format!("there is no check \"{text}\""), format!("{near}allowed: {FORM}"));
    }
    match whole_pattern(text) {
        Ok(_) => Some(Check::Pattern(text.to_owned())),
        Err(error) => {
            let reason = match error {
                regex::Error::CompiledTooBig(_) => "it is too large".to_owned(),
                error => error.to_string().lines().last().unwrap_or_default().trim_start_matches("error: ").to_owned(),
            };
            found.fault(format!("`check` is not a regular expression: {reason}"), FORM)
        }
    }
}

/// The regular expression of a `check`, which has to match all of a value.
///
/// # Errors
/// It is none, or too large.
pub(crate) fn whole_pattern(text: &str) -> Result<regex::Regex, regex::Error> {
    regex::RegexBuilder::new(&format!(r"\A(?:{text})\z")).size_limit(LARGEST_PATTERN_BYTES).build()
}

/// `missing`: one of some words, or how long to wait.
pub(super) fn missing_record(found: &Found<'_>, words: &Words<Missing>, required: Option<bool>) -> Option<Missing> {
    let missing = match found.text()?.strip_prefix("wait") {
        Some(time) => Missing::Wait(longest_wait(found, time)?),
        None => found.word(words)?,
    };
    if required == Some(true) && missing != Missing::Reject {
        return found.fault(
            "`missing` contradicts `required = true`, which makes the record a dead letter without it",
            "keep one of them",
        );
    }
    Some(missing)
}

/// `enforce`: what a person edits is put back.
fn put_back(found: &Found<'_>, create_only: Option<bool>) -> Option<bool> {
    let enforce = found.bool()?;
    if enforce && create_only == Some(true) {
        return found.fault(
            "`enforce` contradicts `authority = \"create_only\"`, which leaves the field to people",
            "keep one of them",
        );
    }
    Some(enforce)
}

/// `urgent`: a change of the field goes ahead of everything else.
fn goes_ahead(found: &Found<'_>, create_only: Option<bool>) -> Option<bool> {
    let urgent = found.bool()?;
    if urgent && create_only == Some(true) {
        return found.fault(
            "`urgent` contradicts `authority = \"create_only\"`: a change of such a field is not sent",
            "keep one of them",
        );
    }
    Some(urgent)
}

/// The time of `wait 1h`.
fn longest_wait(found: &Found<'_>, time: &str) -> Option<Duration> {
    const FORM: &str = "missing = \"wait 1h\": from 1s to 30d";
    match units::duration(time) {
        Ok(time) if (Duration::from_secs(1)..=LONGEST_WAIT).contains(&time) => Some(time),
        Ok(_) => found.fault("`missing` waits for too short or too long a time", FORM),
        Err(_) => found.fault("`missing` does not say how long to wait", FORM),
    }
}

/// The mappings that a reference names.
fn referred(reference: &Found<'_>, names: &Names<'_>) -> Option<Vec<String>> {
    if !matches!(reference.node.value, Value::List(_)) {
        return Some(vec![reference.declared("mapping", &names.mappings)?]);
    }
    let listed = reference.list("[\"accounts\", \"person_accounts\"]")?;
    let mut mappings: Vec<Option<String>> = Vec::new();
    for one in &listed {
        let name = one.declared("mapping", &names.mappings);
        if name.is_some() && mappings.contains(&name) {
            one.fault::<()>(format!("`{}` is named twice", name.unwrap_or_default()), "name each mapping once");
            mappings.push(None);
        } else {
            mappings.push(name);
        }
    }
    mappings.into_iter().collect()
}

/// In Salesforce a reference by external key is written under the relationship's name, not the id field's.
pub(super) fn relationship_name(found: &Found<'_>, name: &str, place: &Place) -> Option<()> {
    let relationship = match (name.strip_suffix("__c"), name.strip_suffix("Id")) {
        (Some(custom), _) => format!("{custom}__r"),
        (None, Some(standard)) if !standard.is_empty() => standard.to_owned(),
        (None, _) => return Some(()),
    };
    let fault =
        Fault::error(format!("`{name}` holds the CRM's own id; a reference goes by the relationship's name")).at(place);
    found.context.note(fault.hint(format!("write `{relationship}` instead of `{name}`")));
    None
}

fn map(found: &Found<'_>) -> Option<BTreeMap<String, FieldValue>> {
    let entries: Vec<Option<(String, FieldValue)>> =
        found.named()?.into_iter().map(|entry| Some((entry.name.to_owned(), entry.constant()?))).collect();
    if entries.is_empty() {
        return found.fault("`map` is empty", "map = { from = \"To\" }");
    }
    entries.into_iter().collect()
}

/// What `other` can be.
const FORMS_OF_OTHER: &str = "\"reject\" (the record), \"keep\" (the value as it is), \"null\", or { const = \"Other\" }; without `other` the field follows `on_bad`";

fn other(found: &Found<'_>) -> Option<MapOther> {
    if matches!(found.node.value, Value::Table(_)) {
        let mut section = found.table()?;
        let value = section.need("const", Found::constant);
        section.finish(|_| None);
        return value.map(MapOther::Const);
    }
    match &found.node.value {
        Value::Text(text, _) => {
            if let Some((_, other)) = OTHERS.words.iter().find(|(word, _)| word == text) {
                return Some(other.clone());
            }
            if text == "omit" {
                return found.fault(
                    "`other` cannot be \"omit\"",
                    "leave `other` out: the field then follows `on_bad`, which is \"omit\"",
                );
            }
            found.fault(
                format!("`other` cannot be \"{text}\""),
                format!("a value of its own: other = {{ const = \"{text}\" }}\nor {FORMS_OF_OTHER}"),
            )
        }
        _ => found.fault(format!("`other` cannot be {}", found.node.value.kind()), FORMS_OF_OTHER),
    }
}
