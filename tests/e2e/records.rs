//! Records as tests compare them: by external key, references as the keys of what they point at.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use passerelle::sandbox::SandboxHandle;
use serde_json::Value;

/// The fields of a record that are not null, its key left out. Text is in quotes, numbers are as a float prints them,
/// and a reference is `-> KEY`.
pub(crate) type Fields = BTreeMap<String, String>;

/// Records by external key.
pub(crate) type Records = BTreeMap<String, Fields>;

/// The records of an object in the CRM.
pub(crate) fn of(crm: &SandboxHandle, object: &str) -> Records {
    let views = crm.records(Some(object)).into_iter();
    let records = views.map(|view| {
        let fields = view.fields.iter().filter(|(name, _)| *name != "Erp_Id__c").map(|(name, value)| {
            let text = match view.parents.get(name) {
                Some(parent) => points_at(parent),
                None => printed(value),
            };
            (name.clone(), text)
        });
        (view.key.clone().unwrap_or_else(|| format!("without a key: {}", view.id)), fields.collect())
    });
    records.collect()
}

/// Records as a test writes them: `["a1", "Name=\"Ada\" AccountId=->x"]` would be hard to read, so pairs it is.
pub(crate) fn given<const N: usize>(records: [(&str, &[(&str, Value)]); N]) -> Records {
    let records = records.into_iter().map(|(key, fields)| {
        let fields = fields.iter().filter(|(_, value)| !value.is_null());
        (key.to_owned(), fields.map(|(name, value)| ((*name).to_owned(), printed(value))).collect())
    });
    records.collect()
}

/// A reference to the record with this key.
pub(crate) fn points_at(key: &str) -> String {
    format!("-> {key}")
}

/// A value as it is compared.
pub(crate) fn printed(value: &Value) -> String {
    match value {
        Value::Number(number) => format!("{:?}", number.as_f64().unwrap()),
        Value::String(text) if text.starts_with("-> ") => text.clone(),
        other => other.to_string(),
    }
}

/// The first differences, a line each.
pub(crate) fn difference(found: &Records, expected: &Records) -> String {
    let mut text = format!("{} found, {} expected\n", found.len(), expected.len());
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    for key in keys.into_iter().filter(|key| found.get(*key) != expected.get(*key)).take(20) {
        let _ = match (found.get(key), expected.get(key)) {
            (Some(found), Some(expected)) => {
                let names: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
                let differing = names.into_iter().filter(|name| found.get(*name) != expected.get(*name));
                let parts: Vec<_> = differing
                    .map(|name| format!("{name} is {} and not {}", short(found.get(name)), short(expected.get(name))))
                    .collect();
                writeln!(text, "  {key}: {}", parts.join(", "))
            }
            (Some(_), None) => writeln!(text, "  {key}: too much"),
            (None, _) => writeln!(text, "  {key}: missing"),
        };
    }
    text
}

/// The key of the first record that differs.
pub(crate) fn first_difference(found: &Records, expected: &Records) -> String {
    let keys: std::collections::BTreeSet<_> = found.keys().chain(expected.keys()).collect();
    keys.into_iter().find(|key| found.get(*key) != expected.get(*key)).cloned().unwrap_or_default()
}

fn short(value: Option<&String>) -> String {
    value.map_or_else(|| "nothing".to_owned(), |text| text.chars().take(60).collect())
}
