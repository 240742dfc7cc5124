//! What others than we have edited: records whose last editor is somebody else.
//!
//! Page: `developer.salesforce.com/docs/platform/api-rest/guide/resources-query.html`; `LastModifiedById` and
//! `LastModifiedDate` are among the system fields of every object that people edit.

use reqwest::Method;
use serde::Deserialize;

use passerelle_change::RequestError;

use super::lookup::{self, Found, Raw};
use super::outcome::{NotUnderstood, is_id};
use super::{Request, Salesforce, misfit, names_are_plain};

/// Whose edits are asked for.
#[derive(Clone, Copy, Debug)]
pub struct EditsWanted<'a> {
    /// The object.
    pub object: &'a str,
    /// The external key's field. Records without a key are left out.
    pub key_field: &'a str,
    /// The fields to read.
    pub fields: &'a [&'a str],
    /// Our user's id: [`Identity::user_id`](super::Identity::user_id).
    pub us: &'a str,
    /// Only edits from this moment on, as SOQL writes it: `2026-01-31T08:00:00Z`.
    pub since: Option<&'a str>,
    /// The page after one that was read before.
    pub page: Option<&'a str>,
}

/// Records that somebody else edited last.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Edits {
    /// Each with its key among the fields.
    pub found: Vec<Found>,
    /// The name of the next page, if there is one.
    pub next: Option<String>,
}

impl Salesforce {
    /// Reads a page of records that others than we have edited last. One call.
    pub async fn edits(&self, wanted: &EditsWanted<'_>) -> Result<Edits, RequestError> {
        let EditsWanted { object, key_field, fields, us, since, page } = *wanted;
        names_are_plain([object, key_field].into_iter().chain(fields.iter().copied()))?;
        let is_plain = |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-:.".contains(&byte));
        if !is_id(us) || [since, page].into_iter().flatten().any(|text| !is_plain(text)) {
            return Err(misfit("the edits to look for are not well named"));
        }
        let request = if let Some(page) = page {
            Request::get(vec!["query", page])
        } else {
            let query = Some(vec![("q", query(object, key_field, fields, us, since))]);
            Request { method: Method::GET, path: vec!["query"], query, body: None }
        };
        Ok(page_of(&self.call(&request).await?.body)?)
    }
}

fn query(object: &str, key_field: &str, fields: &[&str], us: &str, since: Option<&str>) -> String {
    let fields = lookup::selected(key_field, fields).join(",");
    let since = since.map(|since| format!(" AND LastModifiedDate >= {since}")).unwrap_or_default();
    format!("SELECT {fields} FROM {object} WHERE {key_field} != null AND LastModifiedById != '{us}'{since}")
}

fn page_of(body: &[u8]) -> Result<Edits, NotUnderstood> {
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Page {
        records: Vec<Raw>,
        #[serde(default)]
        next_records_url: Option<String>,
    }
    let page: Page = lookup::parse(body, "page of records")?;
    let found = page.records.into_iter().map(lookup::found).collect::<Result<_, _>>()?;
    let next = page.next_records_url.as_deref().and_then(|url| url.rsplit('/').next());
    Ok(Edits { found, next: next.filter(|name| !name.is_empty()).map(str::to_owned) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_query_asks_for_what_others_did() {
        let query = |since| query("Contact", "Erp_Id__c", &["Name", "erp_id__c"], "005000000000001", since);
        let all =
            "SELECT Id,Erp_Id__c,Name FROM Contact WHERE Erp_Id__c != null AND LastModifiedById != '005000000000001'";
        assert_eq!(query(None), all);
        assert_eq!(query(Some("2026-01-31T08:00:00Z")), format!("{all} AND LastModifiedDate >= 2026-01-31T08:00:00Z"));
    }

    #[test]
    fn a_page_names_the_next() {
        let body = br#"{"totalSize":3,"done":false,"nextRecordsUrl":"/services/data/v66.0/query/01g000000000001-2000",
            "records":[{"attributes":{"type":"Contact"},"Id":"003000000000001AAA","Erp_Id__c":"a","Name":null}]}"#;
        let edits = page_of(body).expect("a page");
        assert_eq!((edits.found.len(), edits.next.as_deref()), (1, Some("01g000000000001-2000")));
        assert_eq!(page_of(br#"{"records":[],"done":true}"#).expect("a page"), Edits::default());
    }

    proptest! {
        #[test]
        fn any_answer_ends_without_panic(body: Vec<u8>) {
            let _ = page_of(&body);
        }
    }
}
