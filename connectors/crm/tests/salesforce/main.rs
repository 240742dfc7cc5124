//! The Salesforce client against a scripted server: what is sent, and what is made of every kind of answer.

use std::sync::Arc;
use std::time::Duration;

use jsonwebtoken::{Algorithm, DecodingKey, Validation};
use passerelle_change::{FieldValue, Outcome, RequestError, Usage, Write, WriteOp};
use passerelle_crm::http::MAX_ANSWER_BYTES;
use passerelle_crm::limiter::{DayRecord, Limits};
use passerelle_crm::salesforce::{SalesforceError, Wanted};
use passerelle_crm::{Auth, Limiter, Moment, Salesforce, SalesforceOptions};

mod scripted;

use scripted::{Scripted, Step, answer, ok};

const KEY: &str = include_str!("key-for-tests.pem");
const PUBLIC_KEY: &str = include_str!("key-for-tests.pub.pem");
const ONE: &str = r#"[{"id":"003000000000001AAA","success":true,"errors":[],"created":true}]"#;
const EXPIRED: &str = r#"[{"errorCode":"INVALID_SESSION_ID","message":"Session expired or invalid"}]"#;
const GRANTED: &str = r#"{"access_token":"00D!fresh","instance_url":"{url}/eu","token_type":"Bearer"}"#;

fn given() -> Auth {
    Auth::Token { token: "00D!given".into() }
}

fn client_credentials() -> Auth {
    Auth::ClientCredentials { client_id: "id".into(), client_secret: "s3cret".into(), token_url: None }
}

fn options(server: &Scripted, auth: Auth) -> SalesforceOptions {
    SalesforceOptions::new(&server.url, auth)
}

async fn org(auth: Auth, steps: Vec<Step>) -> (Salesforce, Scripted) {
    let server = Scripted::start(steps).await;
    let salesforce = Salesforce::new(options(&server, auth)).expect("good options");
    (salesforce, server)
}

fn write(op: WriteOp, key: &str) -> Write {
    Write {
        object: "Contact".into(),
        op,
        key_field: "Erp_Id__c".into(),
        key: FieldValue::Text(key.into()),
        crm_id: (op != WriteOp::Upsert).then(|| "003000000000001AAA".into()),
        fields: vec![("Amount__c".into(), FieldValue::Number("10.10".into()))],
    }
}

async fn upsert(salesforce: &Salesforce, keys: &[&str]) -> Result<Vec<Outcome>, RequestError> {
    let writes: Vec<_> = keys.iter().map(|key| write(WriteOp::Upsert, key)).collect();
    salesforce.submit(WriteOp::Upsert, &writes).await.map(|answer| answer.outcomes)
}

fn accepted(created: bool) -> Outcome {
    Outcome::Accepted { crm_id: "003000000000001AAA".into(), created }
}

#[tokio::test]
async fn every_form_is_sent_as_the_vendor_documents_it() {
    let changed = r#"[{"id":"003000000000001AAA","success":true,"errors":[]}]"#;
    let (salesforce, server) =
        org(given(), vec![answer(200, &["Sforce-Limit-Info: api-usage=18/5000"], ONE), ok(changed), ok(changed)]).await;
    let sent = salesforce.submit(WriteOp::Upsert, &[write(WriteOp::Upsert, "C-1")]).await.expect("done");
    assert_eq!((sent.outcomes, sent.usage), (vec![accepted(true)], Some(Usage { used: 18, limit: 5000 })));
    assert_eq!(salesforce.last_usage(), sent.usage);
    let sent = salesforce.submit(WriteOp::Update, &[write(WriteOp::Update, "C-1")]).await.expect("done");
    assert_eq!((sent.outcomes, sent.usage), (vec![accepted(false)], None));
    let sent = salesforce.submit(WriteOp::Delete, &[write(WriteOp::Delete, "C-1")]).await.expect("done");
    assert_eq!(sent.outcomes, vec![accepted(false)]);
    assert_eq!(salesforce.submit(WriteOp::Delete, &[]).await.expect("nothing").outcomes, vec![]);

    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "PATCH /services/data/v66.0/composite/sobjects/Contact/Erp_Id__c",
            "PATCH /services/data/v66.0/composite/sobjects",
            "DELETE /services/data/v66.0/composite/sobjects?ids=003000000000001AAA&allOrNone=false",
        ]
    );
    assert_eq!(
        seen[0].body,
        r#"{"allOrNone":false,"records":[{"attributes":{"type":"Contact"},"Erp_Id__c":"C-1","Amount__c":10.10}]}"#
    );
    assert_eq!(
        seen[1].body,
        r#"{"allOrNone":false,"records":[{"attributes":{"type":"Contact"},"id":"003000000000001AAA","Amount__c":10.10}]}"#
    );
    assert_eq!(seen[0].header("authorization"), Some("Bearer 00D!given"));
    assert_eq!(seen[0].header("sforce-call-options"), Some("client=passerelle"));
    assert_eq!(seen[0].header("user-agent"), Some(concat!("passerelle/", env!("CARGO_PKG_VERSION"))));
    assert!(seen[0].header("accept-encoding").is_some_and(|text| text.contains("gzip")));
    assert_eq!(salesforce.requests_total(), 3);
}

#[tokio::test]
async fn each_record_has_its_own_outcome_in_its_place() {
    let body = r#"[{"success":false,"errors":[{"statusCode":"STRING_TOO_LONG","message":"too long","fields":["LastName"]}]},
        {"id":"003000000000001AAA","success":true,"errors":[],"created":false},
        {"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW","message":"busy","fields":[]}]}]"#;
    let (salesforce, _server) = org(given(), vec![ok(body)]).await;
    let outcomes = upsert(&salesforce, &["a", "b", "c"]).await.expect("done");
    assert!(matches!(&outcomes[0], Outcome::Rejected(refusal) if refusal.fields == ["LastName"]));
    assert_eq!(outcomes[1], accepted(false));
    assert!(matches!(outcomes[2], Outcome::Retry { .. }));
}

#[tokio::test]
async fn what_breaks_is_transient_and_harms_nothing_after_it() {
    let steps = vec![
        Step::Cut,
        Step::CutWithin(ONE.as_bytes().to_vec()),
        ok("[]"),
        ok("<html>"),
        Step::Answer(200, Vec::new(), vec![b' '; MAX_ANSWER_BYTES + 1]),
        answer(502, &[], "bad gateway"),
        answer(503, &[], r#"[{"errorCode":"SERVER_UNAVAILABLE","message":"busy"}]"#),
        ok(ONE),
    ];
    let (salesforce, server) = org(given(), steps).await;
    for step in 0..7 {
        let error = upsert(&salesforce, &["a"]).await.expect_err("it broke");
        assert!(matches!(error, RequestError::Transient { .. }), "step {step}: {error:?}");
        let text = error.to_string();
        assert!(!text.contains("00D!") && !text.contains("127.0.0.1") && !text.contains("Contact"), "{text}");
    }
    assert_eq!(upsert(&salesforce, &["a"]).await, Ok(vec![accepted(true)]));
    assert_eq!(server.left(), 0);
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_left() {
    let server = Scripted::start(vec![Step::Hang]).await;
    let mut options = options(&server, given());
    options.http.timeout = Duration::from_millis(50);
    let salesforce = Salesforce::new(options).expect("good options");
    let error = upsert(&salesforce, &["a"]).await.expect_err("no answer");
    assert_eq!(error, RequestError::Transient { text: "no answer within 0.05 s".into() });
}

#[tokio::test]
async fn nobody_there_is_transient() {
    let (salesforce, server) = org(given(), Vec::new()).await;
    drop(server);
    let gone = Salesforce::new(SalesforceOptions::new("http://127.0.0.1:1", given())).expect("good options");
    let error = upsert(&gone, &["a"]).await.expect_err("nobody listens");
    assert!(matches!(&error, RequestError::Transient { text } if text.contains("cannot connect")), "{error:?}");
    drop(salesforce);
}

#[tokio::test]
async fn limits_are_told_apart() {
    let daily = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"TotalRequests Limit exceeded."}]"#;
    let busy = r#"[{"errorCode":"REQUEST_LIMIT_EXCEEDED","message":"ConcurrentPerOrgLongTxn Limit exceeded."}]"#;
    let date = httpdate::fmt_http_date(std::time::SystemTime::now() + Duration::from_hours(1));
    let dated = format!("Retry-After: {date}");
    let steps = vec![
        answer(403, &["Sforce-Limit-Info: api-usage=15001/15000"], daily),
        answer(403, &[], busy),
        answer(429, &["Retry-After: 7"], ""),
        answer(429, &[&dated], "[]"),
        answer(503, &["Retry-After: 2"], ""),
    ];
    let (salesforce, _server) = org(given(), steps).await;
    let mut told = Vec::new();
    for _ in 0..5 {
        match upsert(&salesforce, &["a"]).await {
            Err(RequestError::Throttled { retry_after, daily, .. }) => told.push((retry_after, daily)),
            other => panic!("{other:?}"),
        }
    }
    let dated = told.remove(3).0.expect("a date");
    assert!(dated > Duration::from_secs(3500) && dated <= Duration::from_hours(1));
    let seconds = |n| Some(Duration::from_secs(n));
    assert_eq!(told, [(None, true), (None, false), (seconds(7), false), (seconds(2), false)]);
    assert_eq!(salesforce.last_usage(), Some(Usage { used: 15_001, limit: 15_000 }), "told by a refusal too");
}

#[tokio::test]
async fn a_refused_batch_is_rejected_and_a_fault_of_the_org_stops() {
    let parser = r#"[{"errorCode":"JSON_PARSER_ERROR","message":"Cannot deserialize instance of date from secret"}]"#;
    let steps = vec![
        answer(400, &[], parser),
        answer(403, &[], r#"[{"errorCode":"API_DISABLED_FOR_ORG","message":"API is not enabled"}]"#),
        answer(404, &[], r#"[{"errorCode":"NOT_FOUND","message":"The requested resource does not exist"}]"#),
        answer(302, &["Location: http://127.0.0.1:1/elsewhere"], ""),
        answer(401, &[], EXPIRED),
    ];
    let (salesforce, server) = org(given(), steps).await;
    let rejected = upsert(&salesforce, &["a"]).await.expect_err("refused");
    assert!(matches!(&rejected, RequestError::Rejected(refusal) if refusal.code == "JSON_PARSER_ERROR"));
    assert!(!rejected.to_string().contains("secret"));
    for code in ["API_DISABLED_FOR_ORG", "NOT_FOUND", "HTTP_302", "INVALID_SESSION_ID"] {
        match upsert(&salesforce, &["a"]).await {
            Err(RequestError::Operator { code: got, hint, .. }) => {
                assert!(got == code && !hint.is_empty(), "{got}: {hint}");
            }
            other => panic!("{other:?}"),
        }
    }
    assert_eq!((server.left(), server.seen().len()), (0, 5), "a given token is not tried again");
}

#[tokio::test]
async fn an_ended_session_is_renewed_once_and_the_request_repeated_once() {
    let steps = vec![
        ok(GRANTED),
        ok(ONE),
        answer(401, &[], EXPIRED),
        ok(GRANTED),
        ok(ONE),
        answer(401, &[], EXPIRED),
        ok(GRANTED),
        answer(401, &[], EXPIRED),
    ];
    let (salesforce, server) = org(client_credentials(), steps).await;
    assert_eq!(upsert(&salesforce, &["a"]).await, Ok(vec![accepted(true)]));
    assert_eq!(upsert(&salesforce, &["b"]).await, Ok(vec![accepted(true)]));
    let refused = upsert(&salesforce, &["c"]).await.expect_err("the new token is refused too");
    assert!(matches!(refused, RequestError::Operator { .. }), "{refused:?}");
    let lines: Vec<_> = server.seen().into_iter().map(|request| request.line).collect();
    let (token, upsert) =
        ("POST /services/oauth2/token", "PATCH /eu/services/data/v66.0/composite/sobjects/Contact/Erp_Id__c");
    assert_eq!(lines, [token, upsert, upsert, token, upsert, upsert, token, upsert]);
    assert_eq!(server.seen()[0].body, "grant_type=client_credentials&client_id=id&client_secret=s3cret");
    assert_eq!(server.seen()[1].header("authorization"), Some("Bearer 00D!fresh"));
    assert_eq!(salesforce.requests_total(), 5);
}

#[tokio::test]
async fn a_repeated_request_takes_a_permit_of_its_own() {
    let server = Scripted::start(vec![ok(GRANTED), answer(401, &[], EXPIRED), ok(GRANTED)]).await;
    let limits = Limits { per_second: Some(1), ..Limits::default() };
    let mut options = options(&server, client_credentials());
    options.limiter = Some(Arc::new(Limiter::new(&limits, DayRecord::default(), Moment::now())));
    let salesforce = Salesforce::new(options).expect("good options");
    let error = upsert(&salesforce, &["a"]).await.expect_err("a limiter starts drained");
    assert!(matches!(error, RequestError::Transient { .. }), "{error:?}");
    assert_eq!(server.left(), 0, "signed in anew all the same");
}

#[tokio::test]
async fn requests_side_by_side_sign_in_once() {
    let mut steps = vec![ok(GRANTED)];
    steps.extend((0..8).map(|_| ok(ONE)));
    let (salesforce, server) = org(client_credentials(), steps).await;
    let salesforce = Arc::new(salesforce);
    let running: Vec<_> = (0..8)
        .map(|_| {
            let salesforce = Arc::clone(&salesforce);
            tokio::spawn(async move { upsert(&salesforce, &["a"]).await })
        })
        .collect();
    for request in running {
        assert_eq!(request.await.expect("no panic"), Ok(vec![accepted(true)]));
    }
    let tokens = server.seen().into_iter().filter(|request| request.line.contains("oauth2")).count();
    assert_eq!(tokens, 1);
}

#[tokio::test]
async fn an_assertion_is_signed_and_short_lived() {
    let server = Scripted::start(vec![ok(GRANTED), ok(ONE)]).await;
    let auth = Auth::Jwt {
        client_id: "consumer".into(),
        username: "sync@acme.example".into(),
        private_key: KEY.into(),
        audience: "https://login.salesforce.com".into(),
        token_url: Some(format!("{}/services/oauth2/token", server.url)),
    };
    let salesforce = Salesforce::new(options(&server, auth)).expect("good options");
    assert_eq!(upsert(&salesforce, &["a"]).await, Ok(vec![accepted(true)]));
    let body = server.seen()[0].body.clone();
    let assertion = body
        .strip_prefix("grant_type=urn%3Aietf%3Aparams%3Aoauth%3Agrant-type%3Ajwt-bearer&assertion=")
        .expect("the form of RFC 7523");
    let mut validation = Validation::new(Algorithm::RS256);
    validation.set_audience(&["https://login.salesforce.com"]);
    let key = DecodingKey::from_rsa_pem(PUBLIC_KEY.as_bytes()).expect("a key");
    let claims = jsonwebtoken::decode::<serde_json::Value>(assertion, &key, &validation).expect("signed").claims;
    assert_eq!((claims["iss"].as_str(), claims["sub"].as_str()), (Some("consumer"), Some("sync@acme.example")));
    let lasts = claims["exp"].as_i64().expect("a number") - Moment::now().wall.0 / 1_000_000;
    assert!((170..=180).contains(&lasts), "{lasts} s");
}

#[tokio::test]
async fn a_refused_sign_in_says_what_to_do() {
    let refused = r#"{"error":"invalid_grant","error_description":"no client credentials user enabled"}"#;
    let (salesforce, _server) = org(client_credentials(), vec![answer(400, &[], refused)]).await;
    match upsert(&salesforce, &["a"]).await {
        Err(RequestError::Operator { code, text, hint }) => {
            assert_eq!(code, "invalid_grant");
            assert!(hint.contains("run-as user") && !text.contains("s3cret"), "{text}: {hint}");
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn options_are_checked_before_anything_is_sent() {
    let check = |options: SalesforceOptions, expect: &str| {
        let error = Salesforce::new(options).expect_err(expect);
        let source = std::error::Error::source(&error).map(ToString::to_string).unwrap_or_default();
        assert!(format!("{error}: {source}").contains(expect), "{error}: {source}");
        assert!(!format!("{error:?}").contains("00D!"));
    };
    check(SalesforceOptions::new("http://acme.my.salesforce.com", given()), "url is no https address");
    check(SalesforceOptions::new("acme", given()), "url is no https address");
    let mut versioned = SalesforceOptions::new("https://acme.my.salesforce.com", given());
    versioned.api_version = "../v66.0".into();
    assert!(matches!(Salesforce::new(versioned), Err(SalesforceError::ApiVersion(_))));
    let jwt = Auth::Jwt {
        client_id: String::new(),
        username: String::new(),
        private_key: "00D! no key".into(),
        audience: "https://login.salesforce.com".into(),
        token_url: None,
    };
    check(SalesforceOptions::new("https://acme.my.salesforce.com", jwt), "no RSA key in PEM");
}

#[tokio::test]
async fn what_cannot_stand_in_one_request_is_not_sent() {
    let (salesforce, server) = org(given(), Vec::new()).await;
    let rejected =
        |result: Result<passerelle_change::Answer, RequestError>| matches!(result, Err(RequestError::Rejected(_)));
    let upserts = vec![write(WriteOp::Upsert, "a"); 201];
    assert!(rejected(salesforce.submit(WriteOp::Upsert, &upserts).await));
    assert_eq!(salesforce.records_per_request(&upserts), 200);
    let mixed = [write(WriteOp::Update, "a"), write(WriteOp::Upsert, "b")];
    assert!(rejected(salesforce.submit(WriteOp::Update, &mixed).await));
    let mut nameless = write(WriteOp::Delete, "a");
    nameless.crm_id = Some("1,2".into());
    assert!(rejected(salesforce.submit(WriteOp::Delete, &[nameless]).await));
    let mut odd = write(WriteOp::Upsert, "a");
    odd.object = "../limits".into();
    assert!(matches!(salesforce.submit(WriteOp::Upsert, &[odd]).await, Err(RequestError::Operator { .. })));
    assert_eq!(server.seen().len(), 0);
}

#[tokio::test]
async fn records_objects_and_the_org_are_looked_up() {
    let steps = vec![
        ok(r#"[{"attributes":{"type":"Contact"},"Id":"003000000000001AAA","Amount__c":10.10},null]"#),
        ok(r#"{"done":true,"records":[{"Id":"003000000000001AAA","Erp_Id__c":"C-1","Amount__c":10.10}]}"#),
        ok(r#"{"name":"Contact","fields":[{"name":"Erp_Id__c","type":"string","externalId":true,"unique":true}]}"#),
        ok(r#"{"organization_id":"00D000000000001EAA","preferred_username":"sync@acme.example"}"#),
        ok(r#"{"DailyApiRequests":{"Max":15000,"Remaining":14998}}"#),
    ];
    let (salesforce, server) = org(given(), steps).await;
    let ids = ["003000000000001AAA".to_owned(), "003000000000002AAA".to_owned()];
    let found = salesforce.read("Contact", Wanted::Ids(&ids), &["Amount__c"]).await.expect("read");
    assert_eq!(found[0].as_ref().map(|f| f.fields["Amount__c"].clone()), Some(FieldValue::Number("10.10".into())));
    assert!(found[1].is_none());
    let keys = [FieldValue::Text("c-1".into()), FieldValue::Text("none".into())];
    let wanted = Wanted::Keys { field: "Erp_Id__c", keys: &keys };
    let found = salesforce.read("Contact", wanted, &["Amount__c"]).await.expect("read");
    assert!(found[0].is_some() && found[1].is_none());
    let described = salesforce.describe("Contact").await.expect("described");
    assert!(described.fields[0].external_id && described.fields[0].unique);
    assert_eq!(salesforce.identity().await.expect("told").organization_id, "00D000000000001EAA");
    assert_eq!(salesforce.limits().await, Ok(Usage { used: 2, limit: 15_000 }));
    let seen = server.seen();
    let lines: Vec<_> = seen.iter().map(|request| request.line.as_str()).collect();
    assert_eq!(
        lines,
        [
            "POST /services/data/v66.0/composite/sobjects/Contact",
            "GET /services/data/v66.0/query?q=SELECT+Id%2CErp_Id__c%2CAmount__c+FROM+Contact+WHERE+Erp_Id__c+IN+%28%27c-1%27%2C%27none%27%29",
            "GET /services/data/v66.0/sobjects/Contact/describe",
            "GET /services/oauth2/userinfo",
            "GET /services/data/v66.0/limits",
        ]
    );
    assert_eq!(seen[0].body, r#"{"ids":["003000000000001AAA","003000000000002AAA"],"fields":["Id","Amount__c"]}"#);
}
