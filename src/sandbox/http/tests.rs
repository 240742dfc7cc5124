//! The API as a client sees it, over real connections.

use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

use super::super::{Fault, FaultKind, Operation, Running, Sandbox, SandboxLimits, SandboxOptions};

/// A sandbox and a client.
struct Setup {
    running: Running,
    client: Client,
}

async fn start(options: SandboxOptions) -> Setup {
    Setup { running: Sandbox::start(options).await.unwrap(), client: Client::new() }
}

async fn plain() -> Setup {
    start(SandboxOptions::default()).await
}

impl Setup {
    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}/services/data/v66.0/{path}", self.running.url());
        self.client.request(method, url).bearer_auth("any")
    }

    async fn call(&self, method: Method, path: &str, body: Value) -> (u16, Value) {
        let request = self.request(method, path);
        let request = if body.is_null() { request } else { request.json(&body) };
        let response = request.send().await.unwrap();
        let status = response.status().as_u16();
        assert!(response.headers()["sforce-limit-info"].to_str().unwrap().starts_with("api-usage="));
        let text = response.text().await.unwrap();
        (status, if text.is_empty() { Value::Null } else { serde_json::from_str(&text).unwrap() })
    }

    async fn get(&self, path: &str) -> (u16, Value) {
        self.call(Method::GET, path, Value::Null).await
    }

    /// Upserts by `Erp_Id__c`; the results.
    async fn upsert(&self, object: &str, records: Value) -> Value {
        let (status, answer) = self.try_upsert(object, records, false).await;
        assert_eq!(status, 200, "{answer}");
        answer
    }

    async fn try_upsert(&self, object: &str, mut records: Value, all_or_none: bool) -> (u16, Value) {
        for record in records.as_array_mut().unwrap() {
            record["attributes"] = json!({"type": object});
        }
        let body = json!({"allOrNone": all_or_none, "records": records});
        self.call(Method::PATCH, &format!("composite/sobjects/{object}/Erp_Id__c"), body).await
    }

    /// The status of a call that may fail on the way.
    async fn status(&self, method: Method, path: &str, body: &Value) -> Option<u16> {
        self.request(method, path).json(body).send().await.ok().map(|response| response.status().as_u16())
    }

    fn key_of(&self, object: &str, key: &str) -> Option<super::super::RecordView> {
        self.running.handle().record(object, "Erp_Id__c", key)
    }
}

fn codes(results: &Value) -> Vec<&str> {
    let results = results.as_array().unwrap();
    results.iter().map(|result| result["errors"][0]["statusCode"].as_str().unwrap_or("ok")).collect()
}

#[tokio::test]
async fn upserts_create_then_update_in_order() {
    let sandbox = plain().await;
    let two = json!([{"Erp_Id__c": "A-1", "Name": "One"}, {"Erp_Id__c": "A-2", "Name": "Two"}]);
    let first = sandbox.upsert("Account", two).await;
    let id = first[0]["id"].as_str().unwrap();
    assert_eq!((id.len(), &id[..3]), (18, "001"));
    assert_eq!(
        (&first[0]["created"], &first[1]["success"], &first[1]["errors"]),
        (&json!(true), &json!(true), &json!([]))
    );
    let again = sandbox.upsert("Account", json!([{"Erp_Id__c": "a-1", "Name": "One", "Phone": null}])).await;
    assert_eq!((again[0]["id"].as_str(), &again[0]["created"]), (Some(id), &json!(false)), "keys know no case");
    let same = sandbox.upsert("Account", json!([{"Erp_Id__c": "a-1", "Name": "One"}])).await;
    assert_eq!(codes(&same), ["ok"]);
    let log = sandbox.running.handle().log_after(0, 10);
    let told: Vec<_> =
        log.iter().map(|entry| (entry.n, entry.op, entry.duplicate_of_previous, entry.version)).collect();
    let (created, updated) = (Operation::Created, Operation::Updated);
    assert_eq!(told, [(1, created, false, 1), (2, created, false, 1), (3, updated, false, 2), (4, updated, true, 3)]);
    let stats = sandbox.running.handle().stats();
    assert_eq!((stats.calls, stats.created, stats.updated, stats.unchanged, stats.records), (3, 2, 2, 1, 2));
}

#[tokio::test]
async fn records_are_refused_one_by_one() {
    let sandbox = plain().await;
    let records = json!([
        {"Erp_Id__c": "1", "LastName": "Good", "Email": "good@example.com"},
        {"Erp_Id__c": "2", "LastName": "x".repeat(81)},
        {"Erp_Id__c": "3", "LastName": "Mail", "Email": "nobody"},
        {"Erp_Id__c": "4", "FirstName": "No last name"},
        {"Erp_Id__c": "5", "LastName": "Twice"},
        {"Erp_Id__c": "5", "LastName": "Twice"},
        {"LastName": "No key"},
        {"Erp_Id__c": "8", "LastName": "Orphan", "Account": {"Erp_Id__c": "A-9"}},
        {"Erp_Id__c": "9", "LastName": "Wrong", "AccountId": "nonsense"},
        {"Erp_Id__c": "10", "LastName": "Also good"},
    ]);
    let results = sandbox.upsert("Contact", records).await;
    let expected = [
        "ok",
        "STRING_TOO_LONG",
        "INVALID_EMAIL_ADDRESS",
        "REQUIRED_FIELD_MISSING",
        "DUPLICATE_VALUE",
        "DUPLICATE_VALUE",
        "MISSING_ARGUMENT",
        "INVALID_FIELD",
        "MALFORMED_ID",
        "ok",
    ];
    assert_eq!(codes(&results), expected);
    let orphan = &results[7]["errors"][0]["message"];
    assert_eq!(orphan, "Foreign key external ID: A-9 not found for field Erp_Id__c in entity Account");
    assert_eq!(results[3]["errors"][0]["fields"], json!(["LastName"]));
    assert_eq!(sandbox.running.handle().stats().refused_records, 8);
}

#[tokio::test]
async fn requests_are_refused_as_a_whole() {
    let sandbox = plain().await;
    let refused = |answer: (u16, Value)| (answer.0, answer.1[0]["errorCode"].as_str().unwrap_or_default().to_owned());
    let check = async |object: &str, records: Value, expect: (u16, &str)| {
        let answer = refused(sandbox.try_upsert(object, records, false).await);
        assert_eq!((answer.0, answer.1.as_str()), expect);
    };
    check("Account", json!([{"Erp_Id__c": "1", "Nmae": "x"}]), (400, "INVALID_FIELD")).await;
    check("Account", json!([{"Erp_Id__c": "1", "Name": 5}]), (400, "JSON_PARSER_ERROR")).await;
    check("Account", json!([{"Erp_Id__c": "1", "Id": "001"}]), (400, "INVALID_FIELD")).await;
    check("Acount", json!([{"Erp_Id__c": "1"}]), (404, "NOT_FOUND")).await;
    let many: Vec<Value> = (0..201).map(|n| json!({"Erp_Id__c": n.to_string(), "Name": "x"})).collect();
    check("Account", json!(many), (400, "EXCEEDED_ID_LIMIT")).await;
    let path = "composite/sobjects/Account/Phone";
    assert_eq!(refused(sandbox.call(Method::PATCH, path, json!({"records": []})).await), (404, "NOT_FOUND".to_owned()));
    let other = json!({"records": [{"attributes": {"type": "Contact"}, "Erp_Id__c": "1"}]});
    let path = "composite/sobjects/Account/Erp_Id__c";
    assert_eq!(refused(sandbox.call(Method::PATCH, path, other).await), (400, "INVALID_TYPE".to_owned()));
    let response = sandbox.request(Method::PATCH, path).header("content-type", "application/json").body("{").send();
    let response = response.await.unwrap();
    assert_eq!(response.headers()["content-type"], "application/json;charset=UTF-8");
    assert_eq!((response.status().as_u16(), sandbox.running.handle().stats().records), (400, 0));
}

#[tokio::test]
async fn references_resolve_to_what_stood_before_the_call() {
    let sandbox = plain().await;
    let child = |key: &str, parent: &str| json!({"Erp_Id__c": key, "Name": key, "Parent": {"Erp_Id__c": parent}});
    let together = sandbox.upsert("Account", json!([{"Erp_Id__c": "P", "Name": "P"}, child("C", "P")])).await;
    assert_eq!(codes(&together), ["ok", "INVALID_FIELD"]);
    let later = sandbox.upsert("Account", json!([child("C", "p")])).await;
    assert_eq!(codes(&later), ["ok"]);
    let held = sandbox.key_of("Account", "C").unwrap();
    assert_eq!(
        (held.fields["ParentId"].as_str(), held.parents["ParentId"].as_str()),
        (together[0]["id"].as_str(), "P")
    );
    // A learned relationship finds its record too.
    let custom =
        json!([{"Erp_Id__c": "D", "Name": "D", "Main__r": {"attributes": {"type": "Account"}, "Erp_Id__c": "P"}}]);
    assert_eq!(codes(&sandbox.upsert("Account", custom).await), ["ok"]);
    assert_eq!(sandbox.key_of("Account", "D").unwrap().parents["Main__c"], "P");
    // Without the parent, the lookups are empty; order items go with their order.
    sandbox.upsert("Order", json!([{"Erp_Id__c": "O", "EffectiveDate": "2026-01-01", "Status": "Draft"}])).await;
    sandbox.upsert("OrderItem", json!([{"Erp_Id__c": "I", "Quantity": 1, "Order": {"Erp_Id__c": "O"}}])).await;
    let ids = format!("{},{}", together[0]["id"].as_str().unwrap(), sandbox.key_of("Order", "O").unwrap().id);
    let (_, deleted) = sandbox.call(Method::DELETE, &format!("composite/sobjects?ids={ids}"), Value::Null).await;
    assert_eq!(codes(&deleted), ["ok", "ok"]);
    assert!(sandbox.key_of("Account", "C").unwrap().fields.get("ParentId").is_none());
    assert!(sandbox.key_of("OrderItem", "I").is_none());
    let (_, again) = sandbox.call(Method::DELETE, &format!("composite/sobjects?ids={ids},001x"), Value::Null).await;
    assert_eq!(codes(&again), ["ENTITY_IS_DELETED", "ENTITY_IS_DELETED", "MALFORMED_ID"]);
}

#[tokio::test]
async fn updates_by_id_move_keys_and_keep_them_unique() {
    let sandbox = plain().await;
    let created = sandbox
        .upsert("Account", json!([{"Erp_Id__c": "1", "Name": "a", "Phone": "5"}, {"Erp_Id__c": "2", "Name": "b"}]))
        .await;
    let update = async |index: usize, fields: Value| {
        let mut record = json!({"attributes": {"type": "Account"}, "id": created[index]["id"]});
        record.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        let (status, results) = sandbox.call(Method::PATCH, "composite/sobjects", json!({"records": [record]})).await;
        assert_eq!(status, 200, "{results}");
        codes(&results)[0].to_owned()
    };
    assert_eq!(update(0, json!({"Erp_Id__c": "2"})).await, "DUPLICATE_VALUE");
    assert_eq!(update(0, json!({"Erp_Id__c": "3", "Phone": null})).await, "ok");
    assert_eq!(update(0, json!({"Name": null})).await, "REQUIRED_FIELD_MISSING");
    assert!(sandbox.key_of("Account", "1").is_none());
    assert_eq!(sandbox.key_of("Account", "3").unwrap().fields.get("Phone"), None);
    let unknown = json!({"records": [{"attributes": {"type": "Account"}, "id": "001PA00zzzzzzzz"}]});
    let (_, results) = sandbox.call(Method::PATCH, "composite/sobjects", unknown).await;
    assert_eq!(codes(&results), ["INVALID_CROSS_REFERENCE_KEY"]);
}

#[tokio::test]
async fn all_or_none_takes_everything_back() {
    let sandbox = plain().await;
    sandbox.upsert("Account", json!([{"Erp_Id__c": "1", "Name": "before"}])).await;
    let records = json!([{"Erp_Id__c": "1", "Name": "after"}, {"Erp_Id__c": "2", "Name": "new"}, {"Erp_Id__c": "3"}]);
    let (_, results) = sandbox.try_upsert("Account", records, true).await;
    let rolled_back = "ALL_OR_NONE_OPERATION_ROLLED_BACK";
    assert_eq!(codes(&results), [rolled_back, rolled_back, "REQUIRED_FIELD_MISSING"]);
    assert_eq!(sandbox.key_of("Account", "1").unwrap().fields["Name"], "before");
    assert!(sandbox.key_of("Account", "2").is_none());
    assert_eq!((sandbox.running.handle().stats().records, sandbox.running.handle().log_after(0, 9).len()), (1, 1));
    assert_eq!(codes(&sandbox.upsert("Account", json!([{"Erp_Id__c": "2", "Name": "new"}])).await), ["ok"]);
}

#[tokio::test]
async fn single_records_are_written_and_read() {
    let sandbox = plain().await;
    let path = "sobjects/Account/Erp_Id__c/A%2F1";
    let missing = sandbox.call(Method::PATCH, &format!("{path}?updateOnly=true"), json!({"Name": "x"})).await;
    assert_eq!((missing.0, &missing.1[0]["errorCode"]), (404, &json!("NOT_FOUND")));
    let (status, created) = sandbox.call(Method::PATCH, path, json!({"Name": "Slash"})).await;
    assert_eq!((status, &created["created"]), (201, &json!(true)));
    assert_eq!(sandbox.call(Method::PATCH, path, json!({"Name": "Slash 2"})).await.0, 200);
    let (_, read) = sandbox.get(path).await;
    assert_eq!(
        (&read["Name"], &read["Erp_Id__c"], &read["attributes"]["type"]),
        (&json!("Slash 2"), &json!("A/1"), &json!("Account"))
    );
    let id = created["id"].as_str().unwrap();
    let body = json!({"ids": [id, "001PA0000000zzz"], "fields": ["Id", "name"]});
    let (_, retrieved) = sandbox.call(Method::POST, "composite/sobjects/Account", body).await;
    assert_eq!(
        (&retrieved[0]["Name"], &retrieved[0]["Id"], &retrieved[1]),
        (&json!("Slash 2"), &json!(id), &Value::Null)
    );
    assert_eq!(sandbox.call(Method::DELETE, path, Value::Null).await.0, 204);
    assert_eq!(sandbox.get(path).await.0, 404);
    let (_, gone) = sandbox.call(Method::PATCH, &format!("sobjects/Account/{id}"), json!({"Name": "x"})).await;
    assert_eq!(gone[0]["errorCode"], "ENTITY_IS_DELETED");
}

#[tokio::test]
async fn queries_select_count_and_turn_pages() {
    let sandbox = plain().await;
    sandbox.upsert("Account", json!([{"Erp_Id__c": "A", "Name": "Acme"}])).await;
    for start in (0..2_200).step_by(200) {
        let contact = |n: i32| json!({"Erp_Id__c": n.to_string(), "LastName": format!("L{}", n % 2), "Account": {"Erp_Id__c": "A"}});
        sandbox.upsert("Contact", (start..start + 200).map(contact).collect()).await;
    }
    let select = async |soql: &str| {
        let url = sandbox.request(Method::GET, "query").query(&[("q", soql)]);
        url.send().await.unwrap().json::<Value>().await.unwrap()
    };
    assert_eq!(select("SELECT COUNT() FROM Contact WHERE LastName = 'l1'").await["totalSize"], 1_100);
    let few = select("SELECT Id, Account.Name FROM Contact WHERE Erp_Id__c IN ('7', '8', 'none') LIMIT 5").await;
    assert_eq!((&few["totalSize"], &few["records"][1]["Account"]["Name"]), (&json!(2), &json!("Acme")));
    let page = select("SELECT Erp_Id__c FROM Contact").await;
    assert_eq!((page["records"].as_array().unwrap().len(), &page["done"]), (2_000, &json!(false)));
    let next = page["nextRecordsUrl"].as_str().unwrap().trim_start_matches("/services/data/v66.0/");
    let (_, rest) = sandbox.get(next).await;
    assert_eq!((rest["records"].as_array().unwrap().len(), &rest["done"]), (200, &json!(true)));
    assert_eq!(select("SELECT Nope FROM Contact").await[0]["errorCode"], "INVALID_FIELD");
    assert_eq!(sandbox.get("sobjects/Contact/describe").await.1["keyPrefix"], "003");
    assert_eq!(sandbox.get("limits").await.1["DailyApiRequests"]["Max"], 100_000);
}

#[tokio::test]
async fn limits_refuse_and_are_counted() {
    let limits = SandboxLimits { per_day: Some(3), ..SandboxLimits::default() };
    let sandbox = start(SandboxOptions { limits, ..SandboxOptions::default() }).await;
    let mut statuses = Vec::new();
    for _ in 0..4 {
        statuses.push(sandbox.get("limits").await.0);
    }
    assert_eq!(statuses, [200, 200, 200, 403]);
    let stats = sandbox.running.handle().stats();
    assert_eq!((stats.over_limit, stats.max_in_10s, stats.used_today), (1, 4, 3));
}

#[tokio::test]
async fn calls_need_a_token_and_tokens_can_be_renewed() {
    let sandbox = start(SandboxOptions { only_minted_tokens: true, ..SandboxOptions::default() }).await;
    assert_eq!(sandbox.get("limits").await.1[0]["errorCode"], "INVALID_SESSION_ID");
    let mint = async || {
        let form = [("grant_type", "client_credentials"), ("client_id", "a"), ("client_secret", "b c&d")];
        let url = format!("{}/services/oauth2/token", sandbox.running.url());
        let answer = sandbox.client.post(url).form(&form).send().await.unwrap();
        let answer = answer.json::<Value>().await.unwrap();
        assert_eq!(answer["instance_url"], sandbox.running.url());
        answer["access_token"].as_str().unwrap().to_owned()
    };
    let status = async |token: &str| {
        let url = format!("{}/services/data/v66.0/limits", sandbox.running.url());
        sandbox.client.get(url).bearer_auth(token).send().await.unwrap().status().as_u16()
    };
    let old = mint().await;
    assert_eq!(status(&old).await, 200);
    sandbox.running.handle().inject(Fault::new(FaultKind::Unauthorized)).unwrap();
    assert_eq!([status(&old).await, status(&old).await], [401, 401]);
    let new = mint().await;
    assert_eq!([status(&new).await, status(&old).await], [200, 401]);
}

#[tokio::test]
async fn a_call_cut_after_writing_has_written() {
    let sandbox = plain().await;
    let handle = sandbox.running.handle();
    let record = |key: &str| json!({"records": [{"attributes": {"type": "Account"}, "Erp_Id__c": key, "Name": "x"}]});
    let path = "composite/sobjects/Account/Erp_Id__c";
    handle.inject(Fault::new(FaultKind::CutAfterWrite).times(1)).unwrap();
    assert_eq!(sandbox.status(Method::PATCH, path, &record("1")).await, None);
    assert!(sandbox.key_of("Account", "1").is_some());
    // A client may try again by itself where it sees that nothing was answered, so the fault stays on.
    let before = handle.inject(Fault::new(FaultKind::CutBefore)).unwrap();
    assert_eq!(sandbox.status(Method::PATCH, path, &record("2")).await, None);
    assert!(sandbox.key_of("Account", "2").is_none());
    assert!(handle.remove_fault(before));
    assert_eq!(sandbox.status(Method::PATCH, path, &record("2")).await, Some(200));
}

#[tokio::test]
async fn faults_are_switched_by_http() {
    let sandbox = plain().await;
    let url = format!("{}/sandbox/faults", sandbox.running.url());
    let inject =
        async |fault: Value| sandbox.client.post(&url).body(fault.to_string()).send().await.unwrap().status().as_u16();
    let record = json!({"records": [{"attributes": {"type": "Account"}, "Erp_Id__c": "1", "Name": "x"}]});
    let path = "composite/sobjects/Account/Erp_Id__c";
    for (kind, expect) in
        [("unavailable", 503), ("throttle", 429), ("limit", 403), ("server_error", 500), ("reject_batch", 400)]
    {
        assert_eq!(inject(json!({"kind": kind, "times": 1})).await, 201);
        let response = sandbox.request(Method::PATCH, path).json(&record).send().await.unwrap();
        assert_eq!(
            (response.status().as_u16(), response.headers().contains_key("retry-after")),
            (expect, expect == 429)
        );
        assert_eq!(sandbox.status(Method::PATCH, path, &record).await, Some(200), "{kind} fires once");
    }
    assert_eq!(inject(json!({"kind": "lock_row", "object": "Account", "key": "1", "for": "10m"})).await, 201);
    let records = json!([{"Erp_Id__c": "1", "Name": "x"}, {"Erp_Id__c": "2", "Name": "y"}]);
    assert_eq!(codes(&sandbox.upsert("Account", records.clone()).await), ["UNABLE_TO_LOCK_ROW", "ok"]);
    assert_eq!(sandbox.client.delete(&url).send().await.unwrap().status(), 204);
    assert_eq!(codes(&sandbox.upsert("Account", records).await), ["ok", "ok"]);
    assert_eq!(inject(json!({"kind": "nonsense"})).await, 400);
    assert_eq!(inject(json!({"kind": "down", "probability": 2.0})).await, 400);
    let foreign = sandbox.client.delete(&url).header("sec-fetch-site", "cross-site").send().await.unwrap();
    assert_eq!(foreign.status(), 403);
    let stats: Value = serde_json::from_str(
        &sandbox
            .client
            .get(format!("{}/sandbox/stats", sandbox.running.url()))
            .send()
            .await
            .unwrap()
            .text()
            .await
            .unwrap(),
    )
    .unwrap();
    assert_eq!((&stats["faults"]["throttle"], &stats["faults"]["lock_row"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn nobody_is_there_while_it_is_down() {
    let sandbox = plain().await;
    let handle = sandbox.running.handle().clone();
    let down = handle.inject(Fault::new(FaultKind::Down)).unwrap();
    assert_eq!(sandbox.status(Method::GET, "limits", &json!({})).await, None);
    let token =
        sandbox.client.post(format!("{}/services/oauth2/token", sandbox.running.url())).body("a=b").send().await;
    assert!(token.is_err());
    handle.remove_fault(down);
    assert_eq!(sandbox.get("limits").await.0, 200);
    let waiting = handle.wait_until(Duration::from_secs(10), |handle| handle.stats().calls >= 3);
    let (arrived, _) = tokio::join!(waiting, sandbox.get("limits"));
    assert!(arrived);
    let url = sandbox.running.url().to_owned();
    sandbox.running.shutdown().await;
    assert!(Client::new().get(&url).send().await.is_err(), "the port is free");
    assert!(sandbox.client.get(url).send().await.is_err(), "open connections are cut");
}

#[tokio::test]
async fn the_page_and_its_events_are_served() {
    let sandbox = plain().await;
    sandbox.upsert("Account", json!([{"Erp_Id__c": "1", "Name": "<b>x</b>"}])).await;
    let url = sandbox.running.url();
    let page = sandbox.client.get(url).send().await.unwrap();
    assert!(page.headers()["content-security-policy"].to_str().unwrap().starts_with("default-src 'none'"));
    let page = page.text().await.unwrap();
    assert!(page.contains("textContent") && !page.contains("innerHTML"), "values must be escaped");
    let mut events = sandbox.client.get(format!("{url}/sandbox/events")).send().await.unwrap();
    let first = String::from_utf8(events.chunk().await.unwrap().unwrap().to_vec()).unwrap();
    let first: Value = serde_json::from_str(first.trim().strip_prefix("data: ").unwrap()).unwrap();
    assert_eq!(
        (&first["writes"][0]["key"], &first["objects"][0]["count"], &first["skipped"]),
        (&json!("1"), &json!(1), &json!(0))
    );
    let records = sandbox.client.get(format!("{url}/sandbox/records?object=account&newest=5")).send().await.unwrap();
    assert_eq!(records.json::<Value>().await.unwrap()[0]["fields"]["Name"], "<b>x</b>");
    let log = sandbox.client.get(format!("{url}/sandbox/log?after=0&limit=1")).send().await.unwrap();
    assert_eq!(log.json::<Value>().await.unwrap()[0]["op"], "created");
}

/// Not a timed test: prints what `cargo test --release -- --nocapture upserts_by_the_thousand` wants to know.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn upserts_by_the_thousand_all_arrive() {
    let sandbox = plain().await;
    let started = Instant::now();
    for start in (0..20_000).step_by(200) {
        let contact = |n: i32| {
            json!({"Erp_Id__c": n.to_string(), "LastName": format!("Last {n}"), "FirstName": "First", "Phone": "+49 30 123456",
                "Email": format!("c{n}@example.com"), "MailingCity": "Berlin", "MailingStreet": "Street 1", "DoNotCall": false})
        };
        let results = sandbox.upsert("Contact", (start..start + 200).map(contact).collect()).await;
        assert!(results.as_array().unwrap().iter().all(|result| result["created"] == true));
    }
    println!("{:.0} records a second, one client", 20_000.0 / started.elapsed().as_secs_f64());
    let started = Instant::now();
    for n in 0..200 {
        sandbox.upsert("Contact", json!([{"Erp_Id__c": n.to_string(), "LastName": "Changed"}])).await;
    }
    println!("{:?} a call of one record", started.elapsed() / 200);
    assert_eq!(sandbox.running.handle().stats().records, 20_000);
}
