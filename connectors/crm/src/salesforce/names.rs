//! The two names of a Salesforce lookup: of its id field (`AccountId`, `Shop__c`) and of its relationship (`Account`, `Shop__r`).
//!
//! A record is referred to by external key under the relationship's name, by id under the id field's. A lookup is cleared
//! under the id field's name: that is a field like any other there, while null under a relationship's name is not documented
//! to clear anything.

use std::borrow::Cow;
use std::collections::HashSet;

use passerelle_change::FieldValue;

/// Suffixes of custom lookups: id field, relationship.
const CUSTOM: [(&str, &str); 2] = [("__c", "__r"), ("__pc", "__pr")];

/// Which fields are written as references, so that a null is known to clear one of them.
#[derive(Clone, Debug, Default)]
pub(super) struct References(HashSet<(String, String)>);

impl References {
    /// From (object, field) pairs, the field under either of its names.
    pub(super) fn new(fields: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(fields.into_iter().map(|(object, field)| (object, relationship(&field).into_owned())).collect())
    }

    /// The name under which a value of a field is written.
    pub(super) fn written<'a>(&self, object: &str, field: &'a str, value: &FieldValue) -> Cow<'a, str> {
        match value {
            FieldValue::Reference { .. } => relationship(field),
            FieldValue::ReferenceById(_) => id_field(field),
            FieldValue::Null if self.is_reference(object, field) => id_field(field),
            FieldValue::Null | FieldValue::Bool(_) | FieldValue::Number(_) | FieldValue::Text(_) => {
                Cow::Borrowed(field)
            }
        }
    }

    fn is_reference(&self, object: &str, field: &str) -> bool {
        CUSTOM.iter().any(|(_, suffix)| field.ends_with(suffix))
            || self.0.contains(&(object.to_owned(), relationship(field).into_owned()))
    }
}

/// The name of the relationship, from either name.
pub(super) fn relationship(field: &str) -> Cow<'_, str> {
    for (of_id, of_relationship) in CUSTOM {
        if let Some(stem) = field.strip_suffix(of_id) {
            return Cow::Owned(format!("{stem}{of_relationship}"));
        }
    }
    match field.strip_suffix("Id") {
        Some(stem) if !stem.is_empty() => Cow::Borrowed(stem),
        Some(_) | None => Cow::Borrowed(field),
    }
}

/// The name of the id field, from either name.
pub(super) fn id_field(field: &str) -> Cow<'_, str> {
    for (of_id, of_relationship) in CUSTOM {
        if field.ends_with(of_id) {
            return Cow::Borrowed(field);
        }
        if let Some(stem) = field.strip_suffix(of_relationship) {
            return Cow::Owned(format!("{stem}{of_id}"));
        }
    }
    if field.ends_with("Id") { Cow::Borrowed(field) } else { Cow::Owned(format!("{field}Id")) }
}

/// Whether a text can be the API name of an object or a field: it goes into addresses and queries.
pub fn is_api_name(name: &str) -> bool {
    let mut bytes = name.bytes();
    bytes.next().is_some_and(|b| b.is_ascii_alphabetic())
        && bytes.all(|b| b.is_ascii_alphanumeric() || b == b'_')
        && name.len() <= 80
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lookup_has_two_names() {
        let check = |name: &str, of_relationship: &str, of_id: &str| {
            assert_eq!(relationship(name), of_relationship, "{name}");
            assert_eq!(id_field(name), of_id, "{name}");
        };
        check("Account", "Account", "AccountId");
        check("AccountId", "Account", "AccountId");
        check("ReportsTo", "ReportsTo", "ReportsToId");
        check("Shop__r", "Shop__r", "Shop__c");
        check("Shop__c", "Shop__r", "Shop__c");
        check("ns__Shop__r", "ns__Shop__r", "ns__Shop__c");
        check("Home__pr", "Home__pr", "Home__pc");
    }

    #[test]
    fn null_clears_under_the_id_field() {
        let references = References::new([("Contact".into(), "Account".into()), ("Contact".into(), "OwnerId".into())]);
        let parent = FieldValue::Reference { key_field: "Erp_Id__c".into(), key: "A-1".into() };
        let check = |object: &str, field: &str, value: &FieldValue, expect: &str| {
            assert_eq!(references.written(object, field, value), expect, "{object}.{field}");
        };
        check("Contact", "Account", &parent, "Account");
        check("Contact", "AccountId", &parent, "Account");
        check("Contact", "Shop__c", &parent, "Shop__r");
        check("Contact", "Account", &FieldValue::Null, "AccountId");
        check("Contact", "Account", &FieldValue::ReferenceById("001…".into()), "AccountId");
        check("Contact", "Shop__r", &FieldValue::ReferenceById("a01…".into()), "Shop__c");
        check("Contact", "Owner", &FieldValue::Null, "OwnerId");
        check("Contact", "Shop__r", &FieldValue::Null, "Shop__c");
        check("Contact", "Phone", &FieldValue::Null, "Phone");
        check("Case", "Account", &FieldValue::Null, "Account");
        check("Contact", "AccountId", &FieldValue::Text("001…".into()), "AccountId");
    }

    #[test]
    fn names_are_plain() {
        for good in ["Account", "Erp_Id__c", "ns__Erp_Id__c"] {
            assert!(is_api_name(good), "{good}");
        }
        for bad in ["", "1a", "a b", "a/b", "a'b", "é"] {
            assert!(!is_api_name(bad), "{bad}");
        }
    }
}
