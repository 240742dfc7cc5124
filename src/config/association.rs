//! `[mapping.NAME.associations]`: what joins a mapping's records with others and is no field of either.
//!
//! In Salesforce that is a record of an object between the two: a contact's role in an opportunity, a campaign's member. So an
//! association is a mapping of the same rows that makes these records, called `deals.contact`; it is delivered, counted, held
//! and shown as any other. Its first field refers to the record that the mapping makes of the same row, its second to the
//! other one, and without one of the two there is no record.

use std::sync::Arc;

use super::field;
use super::keys::{API_NAME, API_NAMES, Cases, EXPRESSION, Form, Key, Keys, NAME, NAMES, Words, text};
use super::mapping::{ExternalKey, KEY, Names, api_name_value, key};
use super::model::{Canary, Departure, Field, FieldSource, Mapping, Missing, OnBad, OnKeyChange, Place};
use super::section::Found;

const EXAMPLE: &str = r#"{ dealer = { object = "Dealer__c", key = { field = "Erp_Id__c", value = "id ~ '-' ~ dealer_id" }, from = "Opportunity__r", to = "Account__r", reference = "accounts", value = "dealer_id" } }"#;

/// `associations` of a mapping.
pub(super) const ASSOCIATIONS: Key = Key::maybe(
    "associations",
    Form::Named { names: NAMES, of: &FORM, least: 1 },
    EXAMPLE,
    "what joins its records with others and is no field of either, `[mapping.NAME.associations.NAME]`: see [mapping.md](mapping.md#associations)",
);

static FORM: Form = Form::Table(&KEYS);

/// The keys of `[mapping.NAME.associations.NAME]`.
pub(super) static KEYS: Keys = Keys {
    keys: &[
        Key::need(
            "object",
            API_NAME,
            r#""Dealer__c""#,
            "the object of which a record joins the two",
        ),
        Key::need(
            "key",
            Form::Table(&KEY),
            r#"{ field = "Erp_Id__c", value = "id ~ '-' ~ dealer_id" }"#,
            "the external id of that record; made of both ends, another end makes another record",
        ),
        Key::need("from", API_NAME, r#""Opportunity__r""#, "its field that refers to the record of the mapping: the relationship's name"),
        Key::need("to", API_NAME, r#""Account__r""#, "its field that refers to the other record: the relationship's name"),
        Key::need(
            "reference",
            Form::Any(&[NAME, Form::List(&NAME)]),
            r#""accounts""#,
            "the other record: what this mapping made of a row; of several, the first that has one for it",
        )
        .with(&["reference"]),
        Key::need(
            "crm",
            API_NAME,
            r#""Campaign""#,
            "the other record: one of this object of the CRM that no mapping keeps",
        )
        .with(&["crm"]),
        Key::need("by", API_NAME, r#""Name""#, "the field that it is found by: of text").with(&["crm"]),
        Key::need(
            "value",
            EXPRESSION,
            r#""dealer_id""#,
            "an expression; with `reference` the other row's key in its table, with `crm` the value of the field `by`. Where it is null there is no association",
        ),
        Key::or(
            "missing",
            Form::Any(&[Form::Words(&MISSING), text("wait 1h", field::WAIT_PATTERN)]),
            r#""omit""#,
            "the other record is not in the CRM: `\"omit\"`: no association until it comes; `\"reject\"`: a dead letter until then; `\"wait 1h\"`: waited for that long before the row counts as done without it",
        )
        .such_as(r#""wait 1h""#),
        Key::maybe(
            "fields",
            Form::Named { names: API_NAMES, of: &field::FORM, least: 1 },
            r#"{ Role = { const = "Buyer" } }"#,
            "further fields of the record, as in [`fields`](mapping.md#fields) of a mapping",
        ),
    ],
    cases: Cases::Key(&["reference", "crm"]),
};

static MISSING: Words<Missing> = Words::new(&[("omit", Missing::Omit), ("reject", Missing::Reject)]);

/// An association, as it is written.
pub(super) struct Association {
    name: Arc<str>,
    object: Arc<str>,
    key: ExternalKey,
    /// The two ends, and further ones.
    fields: Vec<Field>,
    place: Place,
}

/// Reads the associations of the mapping of that name.
pub(super) fn read_all(found: &Found<'_>, of: &str, names: &Names<'_>) -> Option<Vec<Association>> {
    let entries = found.named()?;
    if entries.is_empty() {
        return found.fault("`associations` names no association", format!("associations = {EXAMPLE}"));
    }
    let all: Vec<Option<Association>> = entries.iter().map(|entry| read(entry, of, names)).collect();
    all.into_iter().collect()
}

fn read(found: &Found<'_>, of: &str, names: &Names<'_>) -> Option<Association> {
    let path = format!("{of}.associations.{}", found.name);
    let mut section = found.titled_table(format!("[mapping.{path}]"))?;
    let object = section.need("object", api_name_value);
    let key = section.need("key", key);
    let mut end = |key| section.need(key, |found| Some((relationship(found)?, found.node.place.clone())));
    let (from, to) = (end("from"), end("to"));
    let other = field::other_record(&mut section, names);
    let missing = section.or("missing", |found| field::missing_record(found, &MISSING, None));
    let more = section.maybe("fields", |found| field::read_all(&path, found, names));
    section.finish(|_| None);

    let ((from, from_place), (to, to_place)) = (from?, to?);
    let own = FieldSource::Reference { mappings: vec![of.to_owned()], value: None };
    let mut fields = vec![field::plain(from, own, &from_place), field::plain(to, other?, &to_place)];
    fields[1].missing = missing?;
    // A record that names one end only joins nothing.
    for end in &mut fields {
        end.on_bad = OnBad::Reject;
    }
    fields.extend(more?.unwrap_or_default());
    let key = key?;
    field::check_names(&fields, &key.field, &key.place, found.context)?;
    Some(Association {
        name: Arc::from(format!("{of}.{}", found.name)),
        object: object?,
        key,
        fields,
        place: found.key_place.clone(),
    })
}

impl Association {
    /// The mapping that it is, of the same rows as the one whose records it associates.
    pub(super) fn mapping(self, of: &Mapping) -> Mapping {
        let Self { name, object, key, fields, place } = self;
        Mapping {
            name,
            object,
            key_field: key.field,
            key_value: key.value,
            on_delete: of_departure(&of.on_delete),
            on_leave: of_departure(&of.on_leave),
            on_key_change: OnKeyChange::Recreate,
            canary: Canary { limit: None, ..of.canary.clone() },
            fields,
            association_of: Some(Arc::clone(&of.name)),
            place,
            ..of.clone()
        }
    }
}

/// An association goes with the record, and stays where that stays.
fn of_departure(departure: &Departure) -> Departure {
    match departure {
        Departure::Delete => Departure::Delete,
        Departure::Ignore | Departure::Set(_) => Departure::Ignore,
    }
}

fn relationship(found: &Found<'_>) -> Option<Arc<str>> {
    let name = api_name_value(found)?;
    field::relationship_name(found, &name, &found.node.place)?;
    Some(name)
}
