//! Which record has a value in a field: of objects whose keys are not ours.
//!
//! Page: `developer.salesforce.com/docs/platform/api-rest/guide/resources-query.html`.

use passerelle_change::{FieldValue, Refusal, RequestError};
use reqwest::Method;
use serde::Deserialize;

use super::lookup::{self, Raw};
use super::outcome::NotUnderstood;
use super::{Request, Salesforce, keys_per_read, misfit, names_are_plain};

/// The records that have a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Match {
    /// None of those that the user sees.
    None,
    /// The one with this id.
    One(String),
    /// More than one.
    Several,
}

impl Salesforce {
    /// Looks for the record of an object that has each of these values in a field: one entry a value, in their order. One
    /// call; at most [`keys_per_read`] values. Text is compared without regard to case where the CRM does so; a record with
    /// the very value counts before others. Of users only the active ones count: the CRM takes no others as owners.
    ///
    /// # Errors
    /// [`RequestError::Rejected`] with `TOO_MANY_MATCHES` where the records of several values do not fit one answer: ask for
    /// fewer.
    pub async fn matches(&self, object: &str, field: &str, values: &[String]) -> Result<Vec<Match>, RequestError> {
        names_are_plain([object, field])?;
        let keys: Vec<FieldValue> = values.iter().cloned().map(FieldValue::Text).collect();
        if keys.is_empty() || keys_per_read(field, &keys) < keys.len() {
            return Err(misfit("no values, or more than one read takes"));
        }
        let query = Some(vec![("q", query(object, field, &keys))]);
        let request = Request { method: Method::GET, path: vec!["query"], query, body: None };
        matched(field, values, &self.call(&request).await?.body)?.ok_or_else(|| {
            let message = "the records of these values do not fit one answer".into();
            RequestError::Rejected(Refusal { code: "TOO_MANY_MATCHES".into(), message, fields: Vec::new() })
        })
    }
}

fn query(object: &str, field: &str, keys: &[FieldValue]) -> String {
    let query = lookup::query(object, field, keys, &[]);
    if object.eq_ignore_ascii_case("User") { query + " AND IsActive = true" } else { query }
}

/// `None` where the answer goes on and another value's record may stand in the rest.
fn matched(field: &str, values: &[String], body: &[u8]) -> Result<Option<Vec<Match>>, NotUnderstood> {
    #[derive(Deserialize)]
    struct Page {
        done: bool,
        records: Vec<Raw>,
    }
    let page: Page = lookup::parse(body, "page of records")?;
    let mut found: Vec<(String, String)> = Vec::with_capacity(page.records.len());
    for raw in page.records {
        let record = lookup::found(raw)?;
        let value = record.fields.iter().find(|(name, _)| name.eq_ignore_ascii_case(field));
        found.push((value.map(|(_, value)| value.to_string()).unwrap_or_default(), record.crm_id));
    }
    if !page.done {
        return Ok((values.len() == 1).then(|| vec![Match::Several]));
    }
    let of = |value: &String| {
        let exact = only(found.iter().filter(|(held, _)| held == value));
        if exact != Match::None {
            return exact;
        }
        let lower = value.to_lowercase();
        only(found.iter().filter(|(held, _)| held.to_lowercase() == lower))
    };
    Ok(Some(values.iter().map(of).collect()))
}

fn only<'f>(mut records: impl Iterator<Item = &'f (String, String)>) -> Match {
    match (records.next(), records.next()) {
        (None, _) => Match::None,
        (Some((_, id)), None) => Match::One(id.clone()),
        (Some(_), Some(_)) => Match::Several,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const BODY: &str = r#"{"totalSize":4,"done":true,"records":[
        {"attributes":{"type":"User"},"Id":"005000000000001AAA","Email":"Ada@x.example"},
        {"Id":"005000000000002AAA","Email":"bo@x.example"},{"Id":"005000000000003AAA","Email":"BO@x.example"},
        {"Id":"005000000000004AAA","Email":"Cy@x.example"},{"Id":"005000000000005AAA","Email":"cY@x.example"}]}"#;

    fn values(values: &[&str]) -> Vec<String> {
        values.iter().map(|value| (*value).to_owned()).collect()
    }

    #[test]
    fn each_value_has_one_record_none_or_several() {
        let wanted = values(&["ada@x.example", "bo@x.example", "cy@x.example", "eve@x.example"]);
        let one = |id: &str| Match::One(format!("00500000000000{id}AAA"));
        let found = matched("email", &wanted, BODY.as_bytes()).expect("a page");
        assert_eq!(found, Some(vec![one("1"), one("2"), Match::Several, Match::None]));
    }

    #[test]
    fn an_answer_that_goes_on_is_asked_for_in_parts() {
        let body = BODY.replace("\"done\":true", "\"done\":false");
        let found = |wanted: &[&str]| matched("Email", &values(wanted), body.as_bytes()).expect("a page");
        assert_eq!(found(&["a", "b"]), None);
        assert_eq!(found(&["a"]), Some(vec![Match::Several]));
    }

    #[test]
    fn only_active_users_are_found_and_nothing_breaks_out_of_its_quotes() {
        let keys = [FieldValue::Text("o'hara@x.example".into()), FieldValue::Text("x') OR (Name != '".into())];
        assert_eq!(
            query("User", "Email", &keys),
            r"SELECT Id,Email FROM User WHERE Email IN ('o\'hara@x.example','x\') OR (Name != \'') AND IsActive = true"
        );
        assert!(query("Product2", "ProductCode", &keys).ends_with(')'));
    }

    proptest! {
        #[test]
        fn any_answer_ends_without_panic(body: Vec<u8>) {
            let _ = matched("Email", &values(&["a"]), &body);
        }
    }
}
