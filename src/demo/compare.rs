//! Whether the CRM holds what the shop holds: every record, field by field.
//!
//! What should be there is said in SQL, apart from the mappings that passerelle used.

use std::collections::BTreeMap;

use anyhow::Result;
use serde_json::{Map, Value};
use tokio_postgres::Client;

use super::webshop::WebShop;
use crate::sandbox::{RecordView, SandboxHandle};

/// Most differences that are told one by one.
const TOLD: usize = 10;

/// What a comparison found.
#[derive(Debug, Default)]
pub(super) struct Comparison {
    /// Records that should be there, by object.
    pub(super) compared: Vec<(&'static str, usize)>,
    /// What differs, the first ones.
    pub(super) differences: Vec<String>,
}

impl Comparison {
    /// Whether nothing differs.
    pub(super) fn equal(&self) -> bool {
        self.differences.is_empty()
    }
}

/// What a record should be: fields, and the external keys of the records that its references point at.
#[derive(Debug, PartialEq)]
struct Record {
    fields: Map<String, Value>,
    parents: BTreeMap<String, String>,
}

/// Compares all records of all objects.
pub(super) async fn compare(shop: &Client, web: &WebShop, crm: &SandboxHandle) -> Result<Comparison> {
    let mut found = Comparison::default();
    let mut all = vec![("Product2", products(web).await?)];
    for (object, sql) in EXPECTED {
        all.push((object, expected(shop, sql).await?));
    }
    for (object, wanted) in all {
        let records = crm.records(Some(object));
        found.compared.push((object, wanted.len()));
        differences(object, &wanted, &records, &mut found.differences);
    }
    found.differences.truncate(TOLD);
    Ok(found)
}

async fn products(web: &WebShop) -> Result<BTreeMap<String, Record>> {
    let record = |(key, fields): (String, String)| {
        Ok((key, Record { fields: serde_json::from_str(&fields)?, parents: BTreeMap::new() }))
    };
    web.expected().await?.into_iter().map(record).collect()
}

async fn expected(shop: &Client, sql: &str) -> Result<BTreeMap<String, Record>> {
    let mut records = BTreeMap::new();
    for row in shop.query(sql, &[]).await? {
        let fields: Map<String, Value> = serde_json::from_str(row.get(1))?;
        let parents: BTreeMap<String, Option<String>> = serde_json::from_str(row.get(2))?;
        let parents = parents.into_iter().filter_map(|(name, key)| Some((name, key?))).collect();
        records.insert(row.get(0), Record { fields, parents });
    }
    Ok(records)
}

fn differences(object: &str, wanted: &BTreeMap<String, Record>, records: &[RecordView], into: &mut Vec<String>) {
    let mut held: BTreeMap<&str, &RecordView> = BTreeMap::new();
    for record in records {
        let key = record.key.as_deref().unwrap_or("without a key");
        if held.insert(key, record).is_some() || !wanted.contains_key(key) {
            into.push(format!("{object} {key} is in the CRM and should not be"));
        }
    }
    for (key, record) in wanted {
        match held.get(key.as_str()) {
            None => into.push(format!("{object} {key} is missing in the CRM")),
            Some(view) => fields_that_differ(object, key, record, view, into),
        }
    }
}

fn fields_that_differ(object: &str, key: &str, wanted: &Record, view: &RecordView, into: &mut Vec<String>) {
    for (name, value) in &wanted.fields {
        let held = view.fields.get(name).unwrap_or(&Value::Null);
        if !same(value, held) {
            into.push(format!("{object} {key}: {name} is {held} and should be {value}"));
        }
    }
    if view.parents != wanted.parents {
        into.push(format!("{object} {key}: points at {:?} and should at {:?}", view.parents, wanted.parents));
    }
}

/// Numbers are equal whatever they are written like; the same digits read as the same float.
fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => {
            left.to_string() == right.to_string() || left.as_f64() == right.as_f64()
        }
        _ => left == right,
    }
}

/// By object: key, fields and parents' keys of each record.
const EXPECTED: [(&str, &str); 3] = [
    (
        "Account",
        "select id::text,
                json_build_object('Name', company_name, 'Phone', phone, 'BillingStreet', street,
                    'BillingPostalCode', postal_code, 'BillingCity', city, 'BillingCountry', country_code)::text,
                json_build_object('ParentId', company_id::text)::text
         from customer where is_company",
    ),
    (
        "Contact",
        "select id::text,
                json_build_object('FirstName', trim(first_name), 'LastName', trim(last_name), 'Email', lower(trim(email)),
                    'Phone', phone, 'MailingStreet', street, 'MailingPostalCode', postal_code, 'MailingCity', city,
                    'MailingCountry', country_code)::text,
                json_build_object('AccountId', company_id::text)::text
         from customer where not is_company",
    ),
    (
        "Order",
        "select id::text,
                json_build_object('OrderReferenceNumber', 'S-' || id, 'EffectiveDate', placed_on,
                    'Status', (array['Draft', 'Activated', 'Shipped', 'Cancelled'])
                              [array_position(array['placed', 'paid', 'shipped', 'cancelled'], status)],
                    'TotalAmount', total)::text,
                json_build_object('AccountId', company_id::text, 'BillToContactId', customer_id::text)::text
         from customer_order",
    ),
];

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn every_difference_is_told() {
        let record = |fields: Value, parent: Option<&str>| {
            let Value::Object(fields) = fields else { panic!("fields are an object") };
            let parents = parent.map(|key| ("AccountId".to_owned(), key.to_owned())).into_iter().collect();
            Record { fields, parents }
        };
        let view = |key: &str, fields: Value, parent: Option<&str>| {
            let Record { fields, parents } = record(fields, parent);
            let (object, id, key) = ("Contact".to_owned(), String::new(), Some(key.to_owned()));
            RecordView {
                object,
                id,
                key,
                fields,
                parents,
                writes: 1,
                unchanged: 0,
                created_at: 0,
                modified_at: 0,
                last_n: 1,
            }
        };
        let check = |wanted: &[(&str, Record)], held: &[RecordView], expect: &[&str]| {
            let copy = |record: &Record| Record { fields: record.fields.clone(), parents: record.parents.clone() };
            let wanted = wanted.iter().map(|(key, record)| ((*key).to_owned(), copy(record))).collect();
            let mut found = Vec::new();
            differences("Contact", &wanted, held, &mut found);
            assert_eq!(found, expect);
        };
        let seven = || ("7", record(json!({"LastName": "Rossi", "Phone": null, "Sum": 12.50}), Some("1")));
        check(&[seven()], &[view("7", json!({"LastName": "Rossi", "Sum": 12.5}), Some("1"))], &[]);
        check(&[seven()], &[], &["Contact 7 is missing in the CRM"]);
        check(&[], &[view("8", json!({}), None)], &["Contact 8 is in the CRM and should not be"]);
        check(
            &[seven()],
            &[view("7", json!({"LastName": "Rosi", "Phone": "1", "Sum": 12.5}), None)],
            &[
                "Contact 7: LastName is \"Rosi\" and should be \"Rossi\"",
                "Contact 7: Phone is \"1\" and should be null",
                "Contact 7: points at {} and should at {\"AccountId\": \"1\"}",
            ],
        );
    }
}
