//! The comparison with an org that has what the sandbox has not: formulas, numbering, rights, lookups to several objects.

use passerelle_crm::salesforce::Described;

use super::tables::Tables;
use super::*;
use crate::config::{self, Loaded, Severity};

const HEAD: &str = r#"
[source.erp]
kind = "postgres"
host = "db"
database = "erp"
user = "erp"
[crm.sales]
kind = "salesforce"
url = "https://acme.my.salesforce.com"
auth = { method = "token", token = { env = "TOKEN" } }
"#;

const ORG: &str = r#"{"name": "Contact", "createable": true, "updateable": true, "deletable": true, "fields": [
    {"name": "Erp_Id__c", "type": "string", "length": 64, "nillable": true, "createable": true, "updateable": true,
     "externalId": true, "unique": true},
    {"name": "LastName", "type": "string", "length": 80, "createable": true, "updateable": true},
    {"name": "Name", "type": "string", "length": 121, "nillable": false},
    {"name": "MailingAddress", "type": "address", "nillable": true},
    {"name": "Score__c", "type": "double", "calculated": true, "nillable": true},
    {"name": "Number__c", "type": "string", "autoNumber": true, "nillable": false},
    {"name": "CreatedDate", "type": "datetime", "nillable": false, "defaultedOnCreate": true},
    {"name": "Origin__c", "type": "string", "length": 20, "nillable": true, "createable": true},
    {"name": "Grades__c", "type": "multipicklist", "nillable": true, "createable": true, "updateable": true,
     "restrictedPicklist": true, "picklistValues": [{"value": "A", "active": true}, {"value": "B", "active": true},
                                                     {"value": "Z", "active": false}]},
    {"name": "WhatId", "type": "reference", "nillable": true, "createable": true, "updateable": true,
     "referenceTo": ["Contact", "Case"], "relationshipName": "What"}
]}"#;

fn loaded(settings: &str, fields: &str) -> Loaded {
    let text = format!(
        "{HEAD}[mapping.contacts]\nsource = \"erp\"\ntable = \"public.contact\"\ncrm = \"sales\"\nobject = \"Contact\"\n\
         key = {{ field = \"Erp_Id__c\", value = \"id\" }}\n{settings}\n[mapping.contacts.fields]\n{fields}\n"
    );
    let folder = tempfile::tempdir().expect("a folder");
    let file = folder.path().join("passerelle.toml");
    std::fs::write(&file, text).expect("a file");
    config::load_without_secrets(&file).unwrap_or_else(|faults| panic!("{faults}"))
}

fn found(settings: &str, fields: &str, org: &str) -> Comparison {
    let loaded = loaded(settings, fields);
    let mut known = Org::default();
    known.add(serde_json::from_str::<Described>(org).expect("a description"));
    let crm = &loaded.config.crms["sales"];
    compare(&loaded.config, &loaded.files, crm, &known, &Tables::default())
}

/// The faults of a mapping with these fields, a line each.
fn check_org(settings: &str, fields: &str, org: &str, expect: &[&str]) {
    let faults = found(settings, fields, org).faults;
    let faults: Vec<String> = faults
        .iter()
        .map(|fault| {
            let word = if fault.severity == Severity::Error { "error" } else { "warning" };
            format!("{word}: {}", fault.message)
        })
        .collect();
    assert_eq!(faults, expect, "{fields}");
}

fn check(fields: &str, expect: &[&str]) {
    check_org("", &format!("LastName = \"name\"\n{fields}"), ORG, expect);
}

#[test]
fn what_the_crm_computes_is_not_written() {
    check("", &[]);
    check(
        "Score__c = \"score\"",
        &["error: `Score__c` is computed (a formula or a roll-up) by the CRM and cannot be written"],
    );
    check("Number__c = \"n\"", &["error: `Number__c` is numbered by the CRM and cannot be written"]);
    check("Name = \"name\"", &["error: `Name` is made of other fields and cannot be written"]);
    check("MailingAddress = \"a\"", &["error: `MailingAddress` is made of other fields and cannot be written"]);
    check("CreatedDate = \"a\"", &["error: `CreatedDate` is read-only for the integration user"]);
}

#[test]
fn what_is_given_once_has_to_be_create_only() {
    let message = "error: `Origin__c` can be given when the record is created and never changed";
    check("Origin__c = { const = \"ERP\" }", &[message]);
    check("Origin__c = { const = \"ERP\", authority = \"create_only\" }", &[]);
}

#[test]
fn values_of_a_picklist_are_its_active_ones() {
    check("Grades__c = { const = \"A;B\" }", &[]);
    let message = |value: &str| format!("error: `Grades__c` has no value '{value}', and takes no others than its own");
    check("Grades__c = { const = \"A;Z\" }", &[&message("Z")]);
    check("Grades__c = { value = \"x\", map = { a = \"A\" }, other = { const = \"None\" } }", &[&message("None")]);
}

#[test]
fn a_lookup_to_several_objects_takes_no_external_key() {
    check(
        "What = { reference = \"contacts\", value = \"x\" }",
        &["error: `What` may refer to several kinds of records"],
    );
    let faults = found("", "LastName = \"name\"\nWhat = \"x\"", ORG).faults;
    let hint = faults[0].hint.as_deref();
    assert_eq!(hint, Some("`What` is a relationship: `What = { reference = \"mapping\", value = \"…\" }`"));
}

#[test]
fn rights_are_asked_for_as_far_as_they_are_used() {
    let fields = "LastName = \"name\"";
    let no_delete = ORG.replace("\"deletable\": true", "\"deletable\": false");
    check_org("", fields, &no_delete, &["error: the integration user may not delete records of `Contact`"]);
    check_org("on_delete = \"ignore\"", fields, &no_delete, &[]);
    let none =
        no_delete.replace("\"name\": \"Contact\", \"createable\": true, \"updateable\": true", "\"name\": \"Contact\"");
    check_org("", fields, &none, &["error: the integration user may not create, edit, delete records of `Contact`"]);
    let wishes = found("", fields, &none).wishes;
    assert_eq!((wishes[0].action, wishes[0].note.as_str()), ("give rights", "to create, edit, delete its records"));
}

#[test]
fn fields_that_a_departure_sets_are_compared_too() {
    let settings = "on_delete = { set = { Score__c = \"0\", Gone__c = \"x\" } }";
    let expect = [
        "error: `Score__c` is computed (a formula or a roll-up) by the CRM and cannot be written",
        "error: `Contact` has no field `Gone__c`, or the integration user may not see it",
    ];
    check_org(settings, "LastName = \"name\"", ORG, &expect);
}

#[test]
fn a_record_needs_its_required_fields() {
    check_org(
        "",
        "Origin__c = { const = \"x\", authority = \"create_only\" }",
        ORG,
        &["error: no field fills `LastName`, which Contact needs to be created"],
    );
}

#[test]
fn a_custom_object_that_is_not_there_is_made_with_all_its_fields() {
    let org = ORG.replace("\"name\": \"Contact\"", "\"name\": \"Account\"");
    let loaded = loaded("", "Name = \"name\"\nWeight__c = { const = 1.5 }");
    let mut config = loaded.config;
    config.mappings.get_mut("contacts").expect("it").object = "Visit__c".into();
    let mut known = Org::default();
    known.add(serde_json::from_str::<Described>(&org).expect("a description"));
    let found = compare(&config, &loaded.files, &config.crms["sales"], &known, &Tables::default());
    let wishes: Vec<String> =
        found.wishes.iter().map(|wish| format!("{} {} {}", wish.action, wish.api_name, wish.kind)).collect();
    let expect =
        ["create object  ", "create field Erp_Id__c Text", "give rights Name Text", "create field Weight__c Number"];
    assert_eq!(wishes, expect);
}

#[test]
fn names_suggest_labels() {
    for (name, label) in [("Last_Order__c", "Last Order"), ("acme__Erp_Id__c", "Erp Id"), ("Name", "Name")] {
        assert_eq!(label_of(name), label);
    }
}
