//! `[mapping.NAME.fields]`: every form of a field.

use std::collections::BTreeMap;

use passerelle_change::FieldValue;

use super::Fault;
use super::mapping::{Names, api_name};
use super::model::{Check, Field, FieldMap, FieldSource, MapOther, Missing, OnBad, Place};
use super::nearest::nearest;
use super::section::{Found, Section};
use super::tree::Value;

const FORMS: &str = "\"an expression\", { value = \"an expression\", … }, { const = … } or { reference = \"mapping\", value = \"an expression\" }";

/// Reads all fields of a mapping, in the order written.
pub(super) fn read_all(mapping: &str, found: &Found<'_>, names: &Names<'_>) -> Option<Vec<Field>> {
    let section = found.table(format!("[mapping.{mapping}.fields]"))?;
    let (place, title, context) = (section.place, section.title.clone(), section.context);
    let mut fields: Vec<Option<Field>> = Vec::new();
    let mut seen: BTreeMap<String, &Place> = BTreeMap::new();
    for found in section.all() {
        if let Some(first) = seen.insert(found.name.to_lowercase(), found.key_place) {
            let fault = Fault::error(format!("`{}` is written twice: the CRM's names ignore case", found.name))
                .at(found.key_place);
            context.note(fault.also(first, "first here").hint("keep one of them"));
        }
        fields.push(read(&found, names));
    }
    if fields.is_empty() {
        context.note(
            Fault::error(format!("{title} names no field")).at(place).hint("add a line such as: Name = \"name\""),
        );
        return None;
    }
    fields.into_iter().collect()
}

fn read(found: &Found<'_>, names: &Names<'_>) -> Option<Field> {
    let name = api_name(found, found.key_place, found.name);
    match &found.node.value {
        Value::Text(..) => {
            let value = found.expr();
            Some(Field {
                name: name?,
                value: FieldSource::Value(value?),
                map: None,
                required: false,
                on_bad: OnBad::default(),
                create_only: false,
                when: None,
                on_create: None,
                check: None,
                missing: Missing::default(),
                place: found.key_place.clone(),
            })
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

fn table_form(found: &Found<'_>, names: &Names<'_>) -> Option<Field> {
    let mut section = found.table(format!("`{}`", found.name))?;
    section.later(&LATER);
    let constant = section.take("const");
    let reference = section.take("reference");
    let map = section.maybe("map", map);
    let other = section.maybe("other", other);
    let required = section.or("required", false, Found::bool);
    let on_bad = section.take("on_bad");
    let words = [("omit", OnBad::Omit), ("null", OnBad::Null), ("reject", OnBad::Reject)];
    let bad = on_bad.map_or(Some(OnBad::default()), |found| found.one_of(&words, &[]));
    let create_only = section.or("authority", false, |found| {
        let later = ["fill_if_empty", "unless_changed_in_crm", "tighten"];
        found.one_of(&[("source", false), ("create_only", true)], &later)
    });
    let when = section.maybe("when", Found::expr);
    let on_create = section.take("on_create");
    let check = section.take("check");
    let missing = section.take("missing");
    let value = source(found, &mut section, constant, reference, names);
    section.finish(|key| (key == "column" || key == "expr").then(|| "write it as `value`".to_owned()));

    let (map, other) = (map?, other?);
    if let (Some(on_bad), Some(true)) = (on_bad, required) {
        on_bad.warn(
            "`on_bad` does nothing beside `required = true`",
            "a record without a required field is a dead letter; leave `on_bad` out",
        );
    }
    if let (None, Some(_)) = (&map, &other) {
        return found.fault(
            "`other` belongs to a `map`, and there is none",
            "add map = { from = \"To\" }, or take `other` out",
        );
    }
    if let (Some(place), Some(_)) = (constant.or(reference), &map) {
        return place.fault(format!("`{}` cannot have a `map`", place.name), "`map` goes with { value = … }");
    }
    let is_reference = reference.is_some();
    let on_create = first_value(on_create, is_reference, create_only);
    let check = checked(check, constant.or(reference));
    let missing = missing_parent(missing, is_reference, required);
    Some(Field {
        name: std::sync::Arc::from(found.name),
        value: value?,
        when: when?,
        on_create: on_create?,
        check: check?,
        missing: missing?,
        map: map.map(|entries| FieldMap { entries, other: other.unwrap_or(MapOther::Bad) }),
        required: required?,
        on_bad: bad?,
        create_only: create_only?,
        place: found.key_place.clone(),
    })
}

/// Keys of a field that come later, with what to do until then.
const LATER: [(&str, &str); 5] = [
    ("enforce", "leave it out: what a person edits in the CRM stays until the row's value changes"),
    (
        "urgent",
        "write the field in a mapping of its own with the same table, object and key, and set `urgent = true` there: two mappings may feed one record",
    ),
    ("crm", "a record that no mapping keeps cannot be referred to yet: leave the field out"),
    ("by", "a record that no mapping keeps cannot be referred to yet: leave the field out"),
    ("consent", "write the CRM's own field instead"),
];

/// `on_create`: what a new record begins with.
#[allow(clippy::option_option)] // the outer one is "faulty", the inner one "not there"
fn first_value(found: Option<Found<'_>>, is_reference: bool, create_only: Option<bool>) -> Option<Option<FieldValue>> {
    let Some(found) = found else { return Some(None) };
    if is_reference {
        return found.fault("a reference cannot have `on_create`", "`on_create` goes with { value = … }");
    }
    if create_only == Some(true) {
        return found.fault(
            "`on_create` does nothing beside `authority = \"create_only\"`: the value itself is sent with the creation only",
            "keep one of them",
        );
    }
    found.constant().map(Some)
}

/// Words of `check`; everything else is a regular expression.
const CHECKS: [(&str, Check); 3] = [("siret", Check::Siret), ("vat", Check::Vat), ("iban", Check::Iban)];
/// The largest program that a regular expression may become, in bytes.
const LARGEST_PATTERN_BYTES: usize = 256 << 10;

#[allow(clippy::option_option)] // as above
fn checked(found: Option<Found<'_>>, without: Option<Found<'_>>) -> Option<Option<Check>> {
    const FORM: &str =
        "\"siret\", \"vat\", \"iban\", or a regular expression for the whole value: check = '[A-Z]{2}[0-9]+'";
    let Some(found) = found else { return Some(None) };
    if let Some(place) = without {
        return found.fault(format!("`{}` cannot have a `check`", place.name), "`check` goes with { value = … }");
    }
    let text = found.text()?;
    if let Some((_, check)) = CHECKS.iter().find(|(word, _)| *word == text) {
        return Some(Some(check.clone()));
    }
    // A regular expression that is one word says that the value is always that word.
    if text.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-') {
        let near = nearest(text, CHECKS.iter().map(|(word, _)| *word));
        let near = near.map(|near| format!("did you mean \"{near}\"? ")).unwrap_or_default();
        return found.fault(format!("there is no check \"{text}\""), format!("{near}allowed: {FORM}"));
    }
    match whole_pattern(text) {
        Ok(_) => Some(Some(Check::Pattern(text.to_owned()))),
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

fn missing_parent(found: Option<Found<'_>>, is_reference: bool, required: Option<bool>) -> Option<Missing> {
    let Some(found) = found else { return Some(Missing::default()) };
    if !is_reference {
        return found.fault("`missing` belongs to a reference, and this is none", "for a value there is `on_bad`");
    }
    let words = [("omit", Missing::Omit), ("null", Missing::Null), ("reject", Missing::Reject)];
    let missing = found.one_of(&words, &[])?;
    if required == Some(true) && missing != Missing::Reject {
        return found.fault(
            "`missing` contradicts `required = true`, which makes the record a dead letter without it",
            "keep one of them",
        );
    }
    Some(missing)
}

fn source(
    found: &Found<'_>,
    section: &mut Section<'_>,
    constant: Option<Found<'_>>,
    reference: Option<Found<'_>>,
    names: &Names<'_>,
) -> Option<FieldSource> {
    match (constant, reference) {
        (Some(_), Some(_)) => found.fault(format!("`{}` has both `const` and `reference`", found.name), FORMS),
        (Some(constant), None) => {
            if let Some(value) = section.take("value") {
                return value.fault(format!("`{}` has both `const` and `value`", found.name), "keep one of them");
            }
            constant.constant().map(FieldSource::Const)
        }
        (None, Some(reference)) => {
            let value = section.need("value", "\"the column that refers to the parent's row\"", Found::expr);
            let mapping = referred(&reference, names);
            relationship_name(found)?;
            Some(FieldSource::Reference { mapping: mapping?, value: value? })
        }
        (None, None) if section.has("value") => section.need("value", "", Found::expr).map(FieldSource::Value),
        // What is left is unknown, and says it all already.
        (None, None) if !section.is_empty() => None,
        (None, None) => found.fault(format!("`{}` has no value", found.name), FORMS),
    }
}

fn referred(reference: &Found<'_>, names: &Names<'_>) -> Option<String> {
    if matches!(reference.node.value, Value::List(_)) {
        return reference.fault("a reference to one of several mappings is not supported yet", "name one mapping");
    }
    reference.declared("mapping", &names.mappings)
}

/// In Salesforce a reference by external key is written under the relationship's name, not the id field's.
fn relationship_name(found: &Found<'_>) -> Option<()> {
    let name = found.name;
    let relationship = match (name.strip_suffix("__c"), name.strip_suffix("Id")) {
        (Some(custom), _) => format!("{custom}__r"),
        (None, Some(standard)) if !standard.is_empty() => standard.to_owned(),
        (None, _) => return Some(()),
    };
    let fault = Fault::error(format!("`{name}` holds the CRM's own id; a reference goes by the relationship's name"))
        .at(found.key_place);
    found.context.note(fault.hint(format!("write `{relationship}` instead of `{name}`")));
    None
}

fn map(found: &Found<'_>) -> Option<BTreeMap<String, FieldValue>> {
    let entries: Vec<Option<(String, FieldValue)>> =
        found.table("`map`".to_owned())?.all().map(|entry| Some((entry.name.to_owned(), entry.constant()?))).collect();
    if entries.is_empty() {
        return found.fault("`map` is empty", "map = { from = \"To\" }");
    }
    entries.into_iter().collect()
}

/// What `other` can be.
const OTHERS: &str = "\"reject\" (the record), \"keep\" (the value as it is), \"null\", or { const = \"Other\" }; without `other` the field follows `on_bad`";

fn other(found: &Found<'_>) -> Option<MapOther> {
    if matches!(found.node.value, Value::Table(_)) {
        let mut section = found.table("`other`".to_owned())?;
        let value = section.need("const", "\"Other\"", Found::constant);
        section.finish(|_| None);
        return value.map(MapOther::Const);
    }
    match &found.node.value {
        Value::Text(text, _) => match text.as_str() {
            "reject" => Some(MapOther::Reject),
            "keep" => Some(MapOther::Keep),
            "null" => Some(MapOther::Const(FieldValue::Null)),
            "omit" => found.fault(
                "`other` cannot be \"omit\"",
                "leave `other` out: the field then follows `on_bad`, which is \"omit\"",
            ),
            text => found.fault(
                format!("`other` cannot be \"{text}\""),
                format!("a value of its own: other = {{ const = \"{text}\" }}\nor {OTHERS}"),
            ),
        },
        _ => found.fault(format!("`other` cannot be {}", found.node.value.kind()), OTHERS),
    }
}
