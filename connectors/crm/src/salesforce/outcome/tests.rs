use proptest::prelude::*;

use passerelle_change::FieldValue;

use super::*;

const ID: &str = "003000000000001AAA";

fn write(op: WriteOp, references: bool) -> Write {
    let parent = FieldValue::Reference { key_field: "Erp_Id__c".into(), key: "A-1".into() };
    let mut fields = vec![("LastName".into(), FieldValue::Text("x".into()))];
    if references {
        fields.push(("Account".into(), parent));
    }
    Write {
        object: "Contact".into(),
        op,
        key_field: "Erp_Id__c".into(),
        key: FieldValue::Text("C-1".into()),
        crm_id: (op != WriteOp::Upsert).then(|| ID.into()),
        fields,
    }
}

fn told(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Accepted { crm_id, created } => format!("accepted {crm_id} created={created}"),
        Outcome::Rejected(refusal) => format!("rejected {}", refusal.code),
        Outcome::Missing => "missing".into(),
        Outcome::ParentMissing(refusal) => format!("parent {}", refusal.code),
        Outcome::Retry { scope, refusal } => format!("retry {scope:?} {}", refusal.code),
    }
}

fn check(write: &Write, result: &str, expect: &str) {
    let got = match outcomes(std::slice::from_ref(write), format!("[{result}]").as_bytes()) {
        Ok(outcomes) => told(&outcomes[0]),
        Err(error) => error.to_string(),
    };
    assert_eq!(got, expect, "{:?} {result}", write.op);
}

fn error(code: &str, message: &str, fields: &str) -> String {
    format!(r#"{{"success":false,"errors":[{{"statusCode":"{code}","message":"{message}","fields":[{fields}]}}]}}"#)
}

#[test]
fn a_success_is_accepted() {
    let upsert = write(WriteOp::Upsert, false);
    let update = write(WriteOp::Update, false);
    let delete = write(WriteOp::Delete, false);
    check(
        &upsert,
        r#"{"id":"003000000000002AAA","success":true,"errors":[],"created":true}"#,
        "accepted 003000000000002AAA created=true",
    );
    check(
        &upsert,
        r#"{"id":"003000000000002AAA","success":true,"errors":[],"created":false}"#,
        "accepted 003000000000002AAA created=false",
    );
    check(
        &update,
        r#"{"id":"003000000000001AAA","success":true,"errors":[]}"#,
        "accepted 003000000000001AAA created=false",
    );
    check(&update, r#"{"id":"003000000000001","success":true}"#, "accepted 003000000000001AAA created=false");
    check(
        &delete,
        r#"{"id":"003000000000001AAA","success":true,"errors":null}"#,
        "accepted 003000000000001AAA created=false",
    );
}

#[test]
fn what_does_not_fit_is_not_guessed() {
    let upsert = write(WriteOp::Upsert, false);
    let update = write(WriteOp::Update, false);
    let prefix = "the answer was not understood: ";
    check(
        &upsert,
        r#"{"id":"003000000000002AAA","success":true}"#,
        &format!("{prefix}a success does not say whether it created"),
    );
    check(&upsert, r#"{"success":true,"created":true}"#, &format!("{prefix}a success names no record"));
    check(&upsert, r#"{"id":"","success":true,"created":true}"#, &format!("{prefix}a success names no record"));
    check(&update, r#"{"id":"003000000000009AAA","success":true}"#, &format!("{prefix}a success names another record"));
    check(&upsert, "", &format!("{prefix}0 results for 1 records"));
    check(&upsert, r#"{"success":false,"errors":[]},{"success":false}"#, &format!("{prefix}2 results for 1 records"));
    check(&upsert, r#"{"success":"secret"}"#, &format!("{prefix}no list of results (line 1, column 20)"));
    check(&upsert, r#"{"success":false}"#, "rejected NO_REASON");
}

#[test]
fn codes_have_meanings() {
    let upsert = write(WriteOp::Upsert, true);
    let plain = write(WriteOp::Upsert, false);
    let update = write(WriteOp::Update, false);
    let update_with = write(WriteOp::Update, true);
    let delete = write(WriteOp::Delete, false);
    for code in [
        "REQUIRED_FIELD_MISSING",
        "FIELD_CUSTOM_VALIDATION_EXCEPTION",
        "FIELD_INTEGRITY_EXCEPTION",
        "STRING_TOO_LONG",
        "INVALID_EMAIL_ADDRESS",
        "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
        "DUPLICATE_VALUE",
        "DUPLICATES_DETECTED",
        "DUPLICATE_EXTERNAL_ID",
        "MALFORMED_ID",
        "INSUFFICIENT_ACCESS_OR_READONLY",
        "CANNOT_UPDATE_CONVERTED_LEAD",
        "INVALID_TYPE",
        "INVALID_FIELD",
        "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY",
        "A_CODE_OF_TOMORROW",
    ] {
        check(&upsert, &error(code, "no", ""), &format!("rejected {code}"));
    }
    let lock = "CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY";
    check(&upsert, &error("UNABLE_TO_LOCK_ROW", "busy", ""), "retry Record UNABLE_TO_LOCK_ROW");
    check(&upsert, &error(lock, "T: UNABLE_TO_LOCK_ROW, busy", ""), &format!("retry Record {lock}"));
    check(
        &upsert,
        &error(lock, "System.LimitException: Too many SOQL queries: 101", ""),
        &format!("retry Record {lock}"),
    );
    check(&upsert, &error("STORAGE_LIMIT_EXCEEDED", "full", ""), "retry Credential STORAGE_LIMIT_EXCEEDED");
    let foreign = "Foreign key external ID: a-1 not found for field Erp_Id__c in entity Account";
    check(&upsert, &error("INVALID_FIELD", foreign, ""), "parent INVALID_FIELD");
    check(&update, &error("INVALID_FIELD", foreign, ""), "parent INVALID_FIELD");
    check(&upsert, &error("INVALID_CROSS_REFERENCE_KEY", "invalid", ""), "parent INVALID_CROSS_REFERENCE_KEY");
    check(
        &upsert,
        &error("INVALID_CROSS_REFERENCE_KEY", "invalid", "\"AccountId\""),
        "parent INVALID_CROSS_REFERENCE_KEY",
    );
    check(
        &upsert,
        &error("INVALID_CROSS_REFERENCE_KEY", "invalid", "\"RecordTypeId\""),
        "rejected INVALID_CROSS_REFERENCE_KEY",
    );
    check(&plain, &error("INVALID_CROSS_REFERENCE_KEY", "invalid", ""), "rejected INVALID_CROSS_REFERENCE_KEY");
    check(&update, &error("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id", ""), "missing");
    check(
        &update_with,
        &error("INVALID_CROSS_REFERENCE_KEY", "invalid", "\"AccountId\""),
        "parent INVALID_CROSS_REFERENCE_KEY",
    );
    check(&update_with, &error("INVALID_CROSS_REFERENCE_KEY", "invalid", "\"Id\""), "missing");
    check(&update, &error("ENTITY_IS_DELETED", "entity is deleted", ""), "missing");
    check(&update, &error("NOT_FOUND", "no", ""), "missing");
    check(&upsert, &error("NOT_FOUND", "no", ""), "rejected NOT_FOUND");
    for code in ["ENTITY_IS_DELETED", "INVALID_CROSS_REFERENCE_KEY", "NOT_FOUND"] {
        check(&delete, &error(code, "gone", ""), "accepted 003000000000001AAA created=false");
    }
    check(&delete, &error("DELETE_FAILED", "it has children", ""), "rejected DELETE_FAILED");
}

#[test]
fn the_permanent_error_speaks_for_the_record() {
    let both = r#"{"success":false,"errors":[{"statusCode":"UNABLE_TO_LOCK_ROW"},{"statusCode":"STRING_TOO_LONG","fields":null}]}"#;
    check(&write(WriteOp::Upsert, true), both, "rejected STRING_TOO_LONG");
}

#[test]
fn the_vendors_words_are_bounded() {
    let refusal = refusal("C".repeat(1000), "é".repeat(10_000), vec!["f".repeat(1000); 1000]);
    assert_eq!(refusal.message.chars().count(), MESSAGE_CHARS + 1);
    assert_eq!((refusal.code.chars().count(), refusal.fields.len()), (NAME_CHARS + 1, 50));
}

proptest! {
    #[test]
    fn any_answer_ends_without_panic(body: Vec<u8>, count in 0_usize..4) {
        let writes = vec![write(WriteOp::Upsert, true); count];
        if let Ok(outcomes) = outcomes(&writes, &body) {
            prop_assert_eq!(outcomes.len(), count);
        }
    }

    #[test]
    fn any_json_of_nearly_the_shape_ends_without_panic(
        op in prop_oneof![Just(WriteOp::Upsert), Just(WriteOp::Update), Just(WriteOp::Delete)],
        id in proptest::option::of(".{0,20}"), success: bool, created: Option<bool>, code: String, message: String, field: String,
    ) {
        let body = serde_json::json!([{
            "id": id, "success": success, "created": created,
            "errors": [{ "statusCode": code, "message": message, "fields": [field] }],
        }]);
        let _ = outcomes(&[write(op, true)], body.to_string().as_bytes());
    }
}
