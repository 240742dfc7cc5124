//! What Salesforce tells about records, objects and the org: shapes and their reading, pure.
//!
//! Pages of the REST guide: `resources_composite_sobjects_collections_retrieve.html` (by id), `resources_query.html` (by key),
//! `resources_sobject_describe.html`, `resources_limits.html`.

use std::collections::BTreeMap;

use passerelle_change::FieldValue;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::outcome::{NotUnderstood, same_id};

/// The most ids of one read.
pub const MAX_IDS: usize = 2000;
/// The most characters of a query's condition; the vendor's limit is 4,000.
const MAX_CONDITION_CHARS: usize = 3_800;
/// The most bytes of a query as it stands in an address; the vendor's limit for address and headers is 16,384.
const MAX_QUERY_BYTES: usize = 10_000;

/// Which records to read.
#[derive(Clone, Copy, Debug)]
pub enum Wanted<'a> {
    /// By the CRM's ids, at most [`MAX_IDS`].
    Ids(&'a [String]),
    /// By external keys, at most [`keys_per_read`] of them.
    Keys {
        /// The external key's field.
        field: &'a str,
        /// The keys, as text or numbers.
        keys: &'a [FieldValue],
    },
}

/// A record as the CRM holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// The CRM's id.
    pub crm_id: String,
    /// The fields asked for that it has; numbers as the CRM writes them, compound values as JSON text.
    pub fields: BTreeMap<String, FieldValue>,
}

/// An object's fields, as far as `check` and delivery care.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Described {
    /// The object's API name.
    pub name: String,
    /// Its name for people.
    #[serde(default)]
    pub label: String,
    /// Whether records can be created by the user.
    #[serde(default)]
    pub createable: bool,
    /// Whether records can be changed by the user.
    #[serde(default)]
    pub updateable: bool,
    /// Whether records can be deleted by the user.
    #[serde(default)]
    pub deletable: bool,
    /// Its fields that the user sees.
    pub fields: Vec<DescribedField>,
}

/// One field of an object.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::struct_excessive_bools)] // the vendor's own shape
pub struct DescribedField {
    /// API name.
    pub name: String,
    /// `string`, `double`, `reference`, `picklist`, …
    #[serde(rename = "type")]
    pub kind: String,
    /// Its name for people.
    #[serde(default)]
    pub label: String,
    /// Characters, for text; 0 otherwise.
    #[serde(default)]
    pub length: u32,
    /// Digits in all, for numbers.
    #[serde(default)]
    pub precision: u32,
    /// Digits after the point, for numbers.
    #[serde(default)]
    pub scale: u32,
    /// Whether null is allowed.
    #[serde(default)]
    pub nillable: bool,
    /// Whether a create without it gets a value.
    #[serde(default)]
    pub defaulted_on_create: bool,
    /// Whether the user may give it at creation.
    #[serde(default)]
    pub createable: bool,
    /// Whether the user may change it.
    #[serde(default)]
    pub updateable: bool,
    /// Whether upserts may go by it.
    #[serde(default)]
    pub external_id: bool,
    /// Whether no two records share a value.
    #[serde(default)]
    pub unique: bool,
    /// Whether values that differ in case only are different.
    #[serde(default)]
    pub case_sensitive: bool,
    /// Whether the org computes it: a formula or a roll-up.
    #[serde(default)]
    pub calculated: bool,
    /// Whether the org numbers it.
    #[serde(default)]
    pub auto_number: bool,
    /// For a picklist: whether other values than its own are refused.
    #[serde(default)]
    pub restricted_picklist: bool,
    /// For a picklist: its values.
    #[serde(default)]
    pub picklist_values: Vec<PicklistValue>,
    /// For a lookup: the objects it may name.
    #[serde(default)]
    pub reference_to: Vec<String>,
    /// For a lookup: its relationship's name.
    #[serde(default)]
    pub relationship_name: Option<String>,
}

/// A value of a picklist.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct PicklistValue {
    /// As the API takes it.
    pub value: String,
    /// Whether it may still be chosen.
    #[serde(default)]
    pub active: bool,
}

impl DescribedField {
    /// Whether a record cannot be created without it.
    pub fn is_required(&self) -> bool {
        self.createable && !self.nillable && !self.defaulted_on_create
    }
}

/// Who we are there.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Identity {
    /// The org's id.
    pub organization_id: String,
    /// Our user's id.
    #[serde(default)]
    pub user_id: String,
    /// The user's name for signing in.
    #[serde(default)]
    pub preferred_username: String,
}

/// The objects of an org, as `GET /sobjects` tells them.
#[derive(Debug, Deserialize)]
pub(super) struct Objects {
    pub(super) sobjects: Vec<ObjectName>,
}

#[derive(Debug, Deserialize)]
pub(super) struct ObjectName {
    pub(super) name: String,
}

/// How many of the first keys fit one read.
pub fn keys_per_read(field: &str, keys: &[FieldValue]) -> usize {
    let mut chars = field.len() + 8;
    let mut bytes = field.len() + 8;
    let fits = |key: &&FieldValue| {
        let text = literal(key);
        chars += text.chars().count() + 1;
        // A byte is at most three characters of an address.
        bytes += 3 * (text.len() + 1);
        chars <= MAX_CONDITION_CHARS && bytes <= MAX_QUERY_BYTES
    };
    keys.iter().take(MAX_IDS).take_while(fits).count()
}

/// The query for records by key.
pub(super) fn query(object: &str, field: &str, keys: &[FieldValue], fields: &[&str]) -> String {
    let mut query = format!("SELECT {} FROM {object} WHERE {field} IN (", selected(field, fields).join(","));
    for (i, key) in keys.iter().enumerate() {
        if i > 0 {
            query.push(',');
        }
        query.push_str(&literal(key));
    }
    query.push(')');
    query
}

/// `Id`, the key and the fields, each once.
pub(super) fn selected<'a>(key_field: &'a str, fields: &[&'a str]) -> Vec<&'a str> {
    let mut names: Vec<&str> = Vec::with_capacity(fields.len() + 2);
    for name in ["Id", key_field].into_iter().chain(fields.iter().copied()) {
        if !names.iter().any(|known| known.eq_ignore_ascii_case(name)) {
            names.push(name);
        }
    }
    names
}

/// Reads the answer to a read by ids: one entry an id, in their order.
pub(super) fn found_by_id(ids: &[String], body: &[u8]) -> Result<Vec<Option<Found>>, NotUnderstood> {
    let records: Vec<Option<Raw>> = parse(body, "list of records")?;
    let found = records.into_iter().flatten().map(found).collect::<Result<Vec<_>, _>>()?;
    Ok(ids.iter().map(|id| found.iter().find(|record| same_id(&record.crm_id, id)).cloned()).collect())
}

/// Reads the answer to a read by keys: one entry a key, in their order. A key that differs only in the case of ASCII letters
/// counts where none is equal, as the vendor compares them.
pub(super) fn found_by_key(field: &str, keys: &[FieldValue], body: &[u8]) -> Result<Vec<Option<Found>>, NotUnderstood> {
    #[derive(Deserialize)]
    struct Page {
        records: Vec<Raw>,
    }
    let page: Page = parse(body, "page of records")?;
    let found = page.records.into_iter().map(found).collect::<Result<Vec<_>, _>>()?;
    let key_of = |record: &Found| {
        let key = record.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
        key.map(|(_, value)| value.to_string()).unwrap_or_default()
    };
    let by_key = keys.iter().map(|key| {
        let key = key.to_string();
        let equal = found.iter().find(|record| key_of(record) == key);
        equal.or_else(|| found.iter().find(|record| key_of(record).eq_ignore_ascii_case(&key))).cloned()
    });
    Ok(by_key.collect())
}

/// Reads any answer of a fixed shape; the error repeats nothing of it.
pub(super) fn parse<'a, T: Deserialize<'a>>(body: &'a [u8], what: &str) -> Result<T, NotUnderstood> {
    serde_json::from_slice(body)
        .map_err(|error| NotUnderstood(format!("no {what} (line {}, column {})", error.line(), error.column())))
}

/// A record as it stands in an answer.
pub(super) type Raw = BTreeMap<String, Box<RawValue>>;

pub(super) fn found(raw: Raw) -> Result<Found, NotUnderstood> {
    let mut fields: BTreeMap<_, _> = raw
        .into_iter()
        .filter(|(name, _)| name != "attributes")
        .map(|(name, value)| (name, value_of(&value)))
        .collect();
    match fields.remove("Id").or_else(|| fields.remove("id")) {
        Some(FieldValue::Text(crm_id)) => Ok(Found { crm_id, fields }),
        Some(_) | None => Err(NotUnderstood("a record without an id".into())),
    }
}

fn value_of(raw: &RawValue) -> FieldValue {
    let text = raw.get();
    match text.bytes().next() {
        Some(b'n') => FieldValue::Null,
        Some(b't') => FieldValue::Bool(true),
        Some(b'f') => FieldValue::Bool(false),
        Some(b'-' | b'0'..=b'9') => FieldValue::Number(text.into()),
        Some(_) | None => FieldValue::Text(serde_json::from_str(text).unwrap_or_else(|_| text.to_owned())),
    }
}

/// A value as SOQL writes it (`SOQL and SOSL Reference`, "Quoted String Escape Sequences").
fn literal(value: &FieldValue) -> String {
    match value {
        FieldValue::Null => "null".into(),
        FieldValue::Bool(b) => b.to_string(),
        FieldValue::Number(n) if n.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'-' | b'.')) && !n.is_empty() => {
            n.clone()
        }
        FieldValue::Number(text)
        | FieldValue::Text(text)
        | FieldValue::ReferenceById(text)
        | FieldValue::Reference { key: text, .. } => {
            let mut quoted = String::with_capacity(text.len() + 2);
            quoted.push('\'');
            for c in text.chars() {
                match c {
                    '\'' | '\\' | '"' => quoted.extend(['\\', c]),
                    '\n' => quoted.push_str("\\n"),
                    '\r' => quoted.push_str("\\r"),
                    '\t' => quoted.push_str("\\t"),
                    '\u{8}' => quoted.push_str("\\b"),
                    '\u{c}' => quoted.push_str("\\f"),
                    c => quoted.push(c),
                }
            }
            quoted.push('\'');
            quoted
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.into())
    }

    #[test]
    fn a_query_cannot_be_broken_out_of() {
        let keys = [
            text("A-1"),
            text("x') OR (Name != '"),
            text("back\\slash\n"),
            FieldValue::Number("12".into()),
            FieldValue::Number("1)".into()),
        ];
        assert_eq!(
            query("Contact", "Erp_Id__c", &keys, &["Name", "erp_id__c"]),
            r"SELECT Id,Erp_Id__c,Name FROM Contact WHERE Erp_Id__c IN ('A-1','x\') OR (Name != \'','back\\slash\n',12,'1)')"
        );
    }

    #[test]
    fn a_read_is_bounded() {
        assert_eq!(keys_per_read("Erp_Id__c", &vec![text("0123456789"); 5000]), 255);
        assert_eq!(keys_per_read("Erp_Id__c", &vec![text(&"é".repeat(100)); 5000]), 16);
        assert_eq!(keys_per_read("Erp_Id__c", &[]), 0);
        assert_eq!(keys_per_read("Erp_Id__c", &[text(&"x".repeat(20_000))]), 0, "such a key is no external id");
    }

    #[test]
    fn records_are_matched_by_what_they_are() {
        let body = br#"{"totalSize":2,"done":true,"records":[
            {"attributes":{"type":"Contact","url":"/x"},"Id":"003000000000002AAA","Erp_Id__c":"b","Amount":0.10,"Active":true,"Name":null},
            {"attributes":{"type":"Contact"},"Id":"003000000000001AAA","Erp_Id__c":"A","Address":{"city":"Lyon"}}]}"#;
        let found = found_by_key("Erp_Id__c", &[text("a"), text("c"), text("b")], body).expect("a page");
        let ids: Vec<_> = found.iter().map(|f| f.as_ref().map(|f| f.crm_id.as_str())).collect();
        assert_eq!(ids, [Some("003000000000001AAA"), None, Some("003000000000002AAA")]);
        let b = found[2].as_ref().expect("found");
        assert_eq!(b.fields["Amount"], FieldValue::Number("0.10".into()));
        assert_eq!((&b.fields["Active"], &b.fields["Name"]), (&FieldValue::Bool(true), &FieldValue::Null));
        let ids = ["003000000000009AAA".to_owned(), "003000000000001".to_owned()];
        let found = found_by_id(&ids, br#"[null,{"Id":"003000000000001AAA"}]"#).expect("a list");
        assert!(found[0].is_none() && found[1].is_some());
        assert!(found_by_id(&ids, br#"[{"Name":"x"}]"#).is_err());
    }

    #[test]
    fn a_description_is_read() {
        let body = br#"{"name":"Contact","createable":true,"fields":[{"name":"LastName","type":"string","length":80,"nillable":false,
            "createable":true,"updateable":true,"defaultedOnCreate":false,"externalId":false,"referenceTo":[],"relationshipName":null},
            {"name":"AccountId","type":"reference","nillable":true,"referenceTo":["Account"],"relationshipName":"Account"},
            {"name":"Score__c","type":"picklist","calculated":true,"autoNumber":false,"restrictedPicklist":true,
             "picklistValues":[{"value":"A","label":"a","active":true},{"value":"B","active":false}]}]}"#;
        let described: Described = parse(body, "description").expect("a description");
        assert!(described.createable && !described.deletable);
        assert!(described.fields[0].is_required() && !described.fields[1].is_required());
        assert_eq!(described.fields[1].relationship_name.as_deref(), Some("Account"));
        let score = &described.fields[2];
        assert!(score.calculated && score.restricted_picklist && !score.auto_number);
        let values: Vec<_> = score.picklist_values.iter().map(|value| (value.value.as_str(), value.active)).collect();
        assert_eq!(values, [("A", true), ("B", false)]);
    }

    proptest! {
        #[test]
        fn any_answer_ends_without_panic(body: Vec<u8>) {
            let _ = found_by_id(&["003000000000001".to_owned()], &body);
            let _ = found_by_key("Erp_Id__c", &[text("a")], &body);
            let _ = parse::<Described>(&body, "description");
        }

        #[test]
        fn any_key_stays_within_its_quotes(key: String) {
            let quoted = literal(&text(&key));
            let inside = quoted.strip_prefix('\'').and_then(|q| q.strip_suffix('\'')).expect("quoted");
            let mut escaped = false;
            for c in inside.chars() {
                prop_assert!(escaped || c != '\'');
                escaped = !escaped && c == '\\';
            }
            prop_assert!(!escaped);
        }
    }
}
