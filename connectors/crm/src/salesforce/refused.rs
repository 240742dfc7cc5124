//! A request that Salesforce refused as a whole: its class, and what a person can do.
//!
//! Page: `errorcodes.html` of the REST guide. The body is `[{"errorCode": …, "message": …, "fields": […]}]`. Messages of codes that
//! speak about the org or the credential are shown; others may repeat cell values and stand in a [`Refusal`] only.

use std::time::{Duration, SystemTime};

use passerelle_change::{Refusal, RequestError, Usage};
use reqwest::header::HeaderMap;
use serde::Deserialize;

use super::outcome::refusal;
use crate::http::{Reply, StatusClass, class, retry_after};

/// Codes that only a person can mend, whatever the status, and how. Their messages hold no cell values.
const OPERATOR: [(&str, &str); 12] = [
    ("API_DISABLED_FOR_ORG", "the org's edition has no API, or the user's profile lacks \"API Enabled\""),
    (
        "API_CURRENTLY_DISABLED",
        "the API of this org is switched off for now: ask Salesforce or the org's administrator",
    ),
    ("FUNCTIONALITY_NOT_ENABLED", "switch the feature on in the org"),
    (
        "INSUFFICIENT_ACCESS",
        "give the integration user's permission set create, edit and delete on the object and its fields",
    ),
    (
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "give the integration user's permission set create, edit and delete on the object",
    ),
    ("INVALID_TYPE", "check the mapping's object: it is not there, or the integration user may not see it"),
    (
        "NOT_FOUND",
        "check the mapping's object and key field: the field must be an external id that the integration user sees",
    ),
    ("UNSUPPORTED_API_VERSION", "set an api_version that this org has"),
    ("INVALID_LOGIN", "check the integration user"),
    ("PASSWORD_LOCKOUT", "unlock the integration user"),
    ("INVALID_LOGIN_HOURS", "the profile's login hours keep the integration user out"),
    ("LOGIN_RESTRICTED_IP", "allow this machine's address in the profile or the connected app"),
];

/// Codes that pass with time, whatever the status.
const TRANSIENT: [&str; 5] =
    ["SERVER_UNAVAILABLE", "QUERY_TIMEOUT", "REQUEST_RUNNING_TOO_LONG", "UNKNOWN_EXCEPTION", "UNABLE_TO_LOCK_ROW"];

/// Words of a refusal that is about the key field, not about a record.
const KEY_FIELD_WORDS: &str = "external ID field";

#[derive(Deserialize)]
struct Error {
    #[serde(rename = "errorCode")]
    code: String,
    message: Option<String>,
    fields: Option<Vec<String>>,
}

/// The error of an answer that is no success. `usage` is what its headers said.
pub(super) fn refused(reply: &Reply, usage: Option<Usage>, now: SystemTime) -> RequestError {
    let wait = retry_after(&reply.headers, now);
    let errors: Option<Vec<Error>> = serde_json::from_slice(&reply.body).ok();
    match errors.and_then(|errors| errors.into_iter().next()) {
        Some(error) => {
            let words = refusal(error.code, error.message.unwrap_or_default(), error.fields.unwrap_or_default());
            by_code(reply.status, words, wait, usage)
        }
        None => by_status(reply.status, wait),
    }
}

/// A token that is not taken, and cannot be renewed or has just been.
pub(super) fn signed_out(given: bool) -> RequestError {
    let (text, hint) = if given {
        ("the given token is not taken", "give a fresh token, or use auth.method jwt or client_credentials")
    } else {
        ("a new token is not taken", "check the connected app's scopes (api) and session policies")
    };
    RequestError::Operator { code: "INVALID_SESSION_ID".into(), text: text.into(), hint: hint.into() }
}

/// The vendor's count of calls, from `Sforce-Limit-Info: api-usage=10018/100000` (`headers-api-usage.html`).
pub(super) fn usage(headers: &HeaderMap) -> Option<Usage> {
    let text = headers.get("sforce-limit-info")?.to_str().ok()?;
    text.split([';', ',']).find_map(|part| {
        let (used, limit) = part.trim().strip_prefix("api-usage=")?.split_once('/')?;
        Some(Usage { used: used.trim().parse().ok()?, limit: limit.trim().parse().ok()? })
    })
}

fn by_code(status: u16, words: Refusal, wait: Option<Duration>, usage: Option<Usage>) -> RequestError {
    let code = words.code.as_str();
    if code == "REQUEST_LIMIT_EXCEEDED" {
        return limit_met(&words, wait, usage);
    }
    if let Some((_, hint)) = OPERATOR.iter().find(|(known, _)| *known == code) {
        return RequestError::Operator { hint: (*hint).into(), code: words.code, text: words.message };
    }
    if TRANSIENT.contains(&code) {
        return waiting(format!("{code} (HTTP {status})"), wait);
    }
    match class(status) {
        StatusClass::SignIn => signed_out(false),
        StatusClass::Throttled => RequestError::Throttled { text: words.code, retry_after: wait, daily: false },
        StatusClass::Transient => waiting(format!("{code} (HTTP {status})"), wait),
        // "Provided external ID field does not exist or is not accessible: Erp_Id__c" is the mapping's fault, not a record's.
        StatusClass::Rejected if words.message.contains(KEY_FIELD_WORDS) => RequestError::Operator {
            hint: "check the mapping's key field: it must be an external id that the integration user sees".into(),
            code: words.code,
            text: words.message,
        },
        StatusClass::Rejected => RequestError::Rejected(words),
        StatusClass::Operator | StatusClass::Success => RequestError::Operator {
            text: format!("the request was refused with HTTP {status}"),
            code: words.code,
            hint: "check the crm's url and the integration user's rights".into(),
        },
    }
}

/// `TotalRequests Limit exceeded.` is the day's; `ConcurrentRequests (…) Limit exceeded.` and
/// `ConcurrentPerOrgLongTxn Limit exceeded.` pass within seconds. Other words are judged by the count.
fn limit_met(words: &Refusal, retry_after: Option<Duration>, usage: Option<Usage>) -> RequestError {
    let concurrent = words.message.contains("Concurrent");
    let daily = words.message.contains("TotalRequests") || (!concurrent && usage.is_some_and(|u| u.used >= u.limit));
    RequestError::Throttled { text: format!("{}: {}", words.code, words.message), retry_after, daily }
}

fn by_status(status: u16, wait: Option<Duration>) -> RequestError {
    let text = format!("the answer is HTTP {status} and not in the CRM's own words");
    match class(status) {
        StatusClass::SignIn => signed_out(false),
        StatusClass::Throttled => RequestError::Throttled { text, retry_after: wait, daily: false },
        StatusClass::Transient => waiting(text, wait),
        StatusClass::Rejected => {
            if let 413 | 414 | 431 = status {
                let message = "the request is too large".into();
                return RequestError::Rejected(Refusal { code: format!("HTTP_{status}"), message, fields: Vec::new() });
            }
            // Someone in between refused it: nothing is known of the records.
            RequestError::Transient { text }
        }
        StatusClass::Operator | StatusClass::Success => RequestError::Operator {
            code: format!("HTTP_{status}"),
            text,
            hint: "check the crm's url: it is the org's My Domain address, https://NAME.my.salesforce.com".into(),
        },
    }
}

/// Something passing: a wait that the server names is kept.
fn waiting(text: String, wait: Option<Duration>) -> RequestError {
    match wait {
        Some(_) => RequestError::Throttled { text, retry_after: wait, daily: false },
        None => RequestError::Transient { text },
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &[u8]) -> RequestError {
        let headers =
            headers.iter().map(|(n, v)| ((*n).parse().expect("a name"), v.parse().expect("a value"))).collect();
        let reply = Reply { status, headers, body: body.to_vec() };
        refused(&reply, usage(&reply.headers), SystemTime::UNIX_EPOCH)
    }

    fn told(error: &RequestError) -> String {
        match error {
            RequestError::Transient { .. } => "transient".into(),
            RequestError::Throttled { retry_after, daily, .. } => format!("throttled {retry_after:?} daily={daily}"),
            RequestError::Rejected(refusal) => format!("rejected {}", refusal.code),
            RequestError::Operator { code, hint, .. } => {
                assert!(!hint.is_empty());
                format!("operator {code}")
            }
        }
    }

    fn check(status: u16, headers: &[(&'static str, &str)], code: &str, message: &str, expect: &str) {
        let body = format!(r#"[{{"errorCode":"{code}","message":"{message}"}}]"#);
        let error = answer(status, headers, body.as_bytes());
        assert_eq!(told(&error), expect, "{status} {code} {message}");
    }

    #[test]
    fn codes_and_statuses_have_classes() {
        let limit = "REQUEST_LIMIT_EXCEEDED";
        check(403, &[], limit, "TotalRequests Limit exceeded.", "throttled None daily=true");
        check(
            403,
            &[],
            limit,
            "ConcurrentRequests (Concurrent API Requests) Limit exceeded.",
            "throttled None daily=false",
        );
        check(
            403,
            &[("sforce-limit-info", "api-usage=15000/15000")],
            limit,
            "Limit exceeded",
            "throttled None daily=true",
        );
        check(
            403,
            &[("sforce-limit-info", "api-usage=1/15000")],
            limit,
            "Limit exceeded",
            "throttled None daily=false",
        );
        check(429, &[("retry-after", "3")], "TOO_MANY", "", "throttled Some(3s) daily=false");
        check(
            429,
            &[("retry-after", "Thu, 01 Jan 1970 00:00:30 GMT")],
            "TOO_MANY",
            "",
            "throttled Some(30s) daily=false",
        );
        check(503, &[], "SERVER_UNAVAILABLE", "", "transient");
        check(503, &[("retry-after", "5")], "SERVER_UNAVAILABLE", "", "throttled Some(5s) daily=false");
        check(500, &[], "UNKNOWN_EXCEPTION", "", "transient");
        check(400, &[], "UNABLE_TO_LOCK_ROW", "", "transient");
        check(
            400,
            &[],
            "JSON_PARSER_ERROR",
            "Cannot deserialize instance of date from VALUE_STRING value secret",
            "rejected JSON_PARSER_ERROR",
        );
        check(
            400,
            &[],
            "INVALID_FIELD",
            "No such column 'Foo__c' on sobject of type Contact",
            "rejected INVALID_FIELD",
        );
        check(
            400,
            &[],
            "INVALID_FIELD",
            "Provided external ID field does not exist or is not accessible: Erp__c",
            "operator INVALID_FIELD",
        );
        check(400, &[], "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY", "T", "rejected CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY");
        check(400, &[], "INVALID_TYPE", "sObject type 'Foo' is not supported.", "operator INVALID_TYPE");
        check(404, &[], "NOT_FOUND", "The requested resource does not exist", "operator NOT_FOUND");
        check(
            403,
            &[],
            "API_DISABLED_FOR_ORG",
            "API is not enabled for this Organization or Partner",
            "operator API_DISABLED_FOR_ORG",
        );
        check(403, &[], "INSUFFICIENT_ACCESS", "", "operator INSUFFICIENT_ACCESS");
        check(403, &[], "A_CODE_OF_TOMORROW", "", "operator A_CODE_OF_TOMORROW");
        check(401, &[], "INVALID_SESSION_ID", "Session expired or invalid", "operator INVALID_SESSION_ID");
    }

    #[test]
    fn what_is_not_in_the_vendors_words_is_judged_by_status() {
        let check = |status: u16, expect: &str| assert_eq!(told(&answer(status, &[], b"<html>")), expect, "{status}");
        check(400, "transient");
        check(413, "rejected HTTP_413");
        check(414, "rejected HTTP_414");
        check(302, "operator HTTP_302");
        check(404, "operator HTTP_404");
        check(429, "throttled None daily=false");
        check(502, "transient");
    }

    #[test]
    fn no_value_stands_in_an_errors_text() {
        for (status, code) in
            [(400, "JSON_PARSER_ERROR"), (403, "A_CODE_OF_TOMORROW"), (500, "UNKNOWN_EXCEPTION"), (429, "X")]
        {
            let body = format!(r#"[{{"errorCode":"{code}","message":"value secret"}}]"#);
            let error = answer(status, &[], body.as_bytes());
            assert!(!error.to_string().contains("secret"), "{error}");
        }
    }

    #[test]
    fn usage_is_read_where_it_stands() {
        let check = |text: &str, expect: Option<(u64, u64)>| {
            let headers =
                HeaderMap::from_iter([("sforce-limit-info".parse().expect("a name"), text.parse().expect("a value"))]);
            assert_eq!(usage(&headers), expect.map(|(used, limit)| Usage { used, limit }), "{text}");
        };
        check("api-usage=10018/100000", Some((10_018, 100_000)));
        check("api-bursts=1/750; api-usage=5/15000", Some((5, 15_000)));
        check("per-app-api-usage=17/250(appName=x), api-usage=5/15000", Some((5, 15_000)));
        check("api-usage=x/1", None);
        check("", None);
    }

    proptest! {
        #[test]
        fn any_answer_ends_without_panic(status: u16, body: Vec<u8>, header in "[ -~]{0,30}") {
            let _ = answer(status, &[("sforce-limit-info", header.trim()), ("retry-after", header.trim())], &body);
        }
    }
}
