//! Salesforce's REST API over the store: a call comes in decoded from HTTP and goes out as a status and a JSON body. No I/O.

use std::collections::HashMap;
use std::time::Instant;

use axum::http::Method;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::faults::Faults;
use super::problem::{Problem, Refusal};
use super::soql;
use super::store::{Store, plain_text};
use super::write::{Outcome, Target, within};

/// Records of one writing call.
const MAX_RECORDS: usize = 200;
/// Records of one reading call.
const MAX_READ: usize = 2_000;

/// A call below `/services/data/vNN.N/`.
#[derive(Debug)]
pub(super) struct Call<'a> {
    pub(super) method: &'a Method,
    /// `v66.0`.
    pub(super) version: &'a str,
    /// The rest of the path, taken apart and decoded.
    pub(super) path: &'a [&'a str],
    pub(super) query: &'a HashMap<String, String>,
    pub(super) body: &'a [u8],
    /// When it is applied, in microseconds since 1970, and by the clock of the faults.
    pub(super) now: (i64, Instant),
}

/// An answer: status and body.
pub(super) type Answer = (u16, Option<Value>);

/// The object that a path speaks of.
pub(super) fn object_of<'a>(path: &[&'a str]) -> Option<&'a str> {
    let place = path.iter().position(|&segment| segment == "sobjects")?;
    path.get(place + 1).copied()
}

/// Whether a call writes: by its method and its path below the version.
pub(super) fn writes(method: &Method, path: &[&str]) -> bool {
    let reads_by_post = matches!(path, ["composite", "sobjects", _]) && *method == Method::POST;
    *method != Method::GET && !reads_by_post
}

impl Call<'_> {
    /// Answers it.
    pub(super) fn answer(&self, store: &mut Store, faults: &mut Faults) -> Result<Answer, Refusal> {
        let method = self.method.as_str();
        match (method, self.path) {
            ("PATCH", ["composite", "sobjects", object, field]) => self.upsert_many(store, faults, object, field),
            ("PATCH", ["composite", "sobjects"]) => self.write_many(store, faults, true),
            ("POST", ["composite", "sobjects"]) => self.write_many(store, faults, false),
            ("DELETE", ["composite", "sobjects"]) => self.delete_many(store, faults),
            ("POST" | "GET", ["composite", "sobjects", object]) => self.retrieve(store, object),
            ("GET", ["sobjects"]) => Ok((200, Some(objects(store)))),
            ("GET", ["sobjects", object, "describe"]) => Ok((200, Some(store.schema.describe(known(store, object)?)))),
            ("POST", ["sobjects", object]) => self.create_one(store, faults, object),
            (_, ["sobjects", object, id]) => self.by_id(store, faults, object, id),
            (_, ["sobjects", object, field, value]) => self.by_external(store, faults, object, field, value),
            ("GET", ["query" | "queryAll"]) => {
                let text = self
                    .query
                    .get("q")
                    .ok_or_else(|| Refusal::new(400, "MALFORMED_QUERY", "the parameter q is missing"))?;
                self.select(store, text, 0)
            }
            ("GET", ["query" | "queryAll", page]) => {
                let (text, offset) = read_page(page)
                    .ok_or_else(|| Refusal::new(400, "INVALID_QUERY_LOCATOR", "invalid query locator"))?;
                self.select(store, &text, offset)
            }
            _ => Err(Refusal::not_found()),
        }
    }

    fn upsert_many(
        &self,
        store: &mut Store,
        faults: &mut Faults,
        object: &str,
        field: &str,
    ) -> Result<Answer, Refusal> {
        let object = writable(store, object)?;
        let field = external_field(store, object, field)?;
        let Collection { all_or_none, records } = self.json()?;
        within(records.len(), MAX_RECORDS)?;
        let name = store.object(object).name.clone();
        let key = |record: &Map<String, Value>| {
            record.iter().find(|(name, _)| name.eq_ignore_ascii_case(&field)).map(|(_, value)| value.clone())
        };
        if let Some(refusal) = faults.batch(self.now.1, &name, |wanted| {
            records.iter().any(|record| key(record).and_then(|value| plain_text(&value)).as_deref() == Some(wanted))
        }) {
            return Err(refusal);
        }
        let mut drafts = Vec::with_capacity(records.len());
        for record in records {
            if type_of(&record)? != name.as_str() && !type_of(&record)?.eq_ignore_ascii_case(&name) {
                let text = format!("all records must be of the type {name}");
                return Err(Refusal::new(400, "INVALID_TYPE", text));
            }
            if record.keys().any(|name| name.eq_ignore_ascii_case("id")) {
                return Err(Refusal::new(
                    400,
                    "INVALID_FIELD",
                    "The Id field should not be specified in the sobject data.",
                ));
            }
            let value = key(&record).unwrap_or(Value::Null);
            let target = Target::External { field: field.clone(), value, update_only: false };
            drafts.push(store.decode(object, target, record)?);
        }
        let outcomes =
            store.apply(drafts, all_or_none, self.now.0, &mut |object, key| faults.record(self.now.1, object, key));
        Ok((200, Some(outcomes.iter().map(|outcome| outcome.json(true)).collect())))
    }

    /// Creates, or updates by id.
    fn write_many(&self, store: &mut Store, faults: &mut Faults, updates: bool) -> Result<Answer, Refusal> {
        let Collection { all_or_none, records } = self.json()?;
        within(records.len(), MAX_RECORDS)?;
        for name in records.iter().filter_map(|record| type_of(record).ok()) {
            let keys: Vec<String> = records.iter().filter_map(|record| key_of(store, record)).collect();
            if let Some(refusal) = faults.batch(self.now.1, name, |wanted| keys.iter().any(|key| key == wanted)) {
                return Err(refusal);
            }
        }
        let mut drafts = Vec::with_capacity(records.len());
        for record in records {
            let object = writable(store, type_of(&record)?).map_err(|_| {
                let text = format!("sObject type '{}' is not supported.", type_of(&record).unwrap_or_default());
                Refusal::new(400, "INVALID_TYPE", text)
            })?;
            let id = id_of(&record).map(str::to_owned);
            let target = match (updates, id) {
                (true, Some(id)) => Target::Id(id),
                (true, None) => {
                    return Err(Refusal::new(400, "MISSING_ARGUMENT", "Id not specified in an update call"));
                }
                (false, None) => Target::New,
                (false, Some(_)) => {
                    return Err(Refusal::new(
                        400,
                        "INVALID_FIELD_FOR_INSERT_UPDATE",
                        "cannot specify Id in an insert call",
                    ));
                }
            };
            drafts.push(store.decode(object, target, record)?);
        }
        let outcomes =
            store.apply(drafts, all_or_none, self.now.0, &mut |object, key| faults.record(self.now.1, object, key));
        Ok((200, Some(outcomes.iter().map(|outcome| outcome.json(false)).collect())))
    }

    fn delete_many(&self, store: &mut Store, faults: &mut Faults) -> Result<Answer, Refusal> {
        let ids: Vec<&str> = self
            .query
            .get("ids")
            .map_or(Vec::new(), |ids| ids.split(',').map(str::trim).filter(|id| !id.is_empty()).collect());
        within(ids.len(), MAX_RECORDS)?;
        let all_or_none = self.query.get("allOrNone").is_some_and(|told| told == "true");
        let outcomes =
            store.delete(&ids, all_or_none, self.now.0, &mut |object, key| faults.record(self.now.1, object, key));
        Ok((200, Some(outcomes.iter().map(|outcome| outcome.json(false)).collect())))
    }

    fn retrieve(&self, store: &Store, object: &str) -> Result<Answer, Refusal> {
        #[derive(Deserialize)]
        struct Asked {
            ids: Vec<String>,
            fields: Vec<String>,
        }
        let object = known(store, object)?;
        let Asked { ids, fields } = if *self.method == Method::POST {
            self.json()?
        } else {
            let list = |name: &str| {
                self.query.get(name).map_or(Vec::new(), |list| list.split(',').map(str::to_owned).collect())
            };
            Asked { ids: list("ids"), fields: list("fields") }
        };
        within(ids.len(), MAX_READ)?;
        let fields: Vec<String> = fields.iter().map(|field| store.readable(object, field)).collect::<Result<_, _>>()?;
        let read = |id: &String| match store.find_id(id) {
            Ok(at) if at.object == object => store.read_record(at, &fields, self.version),
            _ => Value::Null,
        };
        Ok((200, Some(ids.iter().map(read).collect())))
    }

    fn create_one(&self, store: &mut Store, faults: &mut Faults, object: &str) -> Result<Answer, Refusal> {
        let object = writable(store, object)?;
        let record = self.json()?;
        let outcome = self.one(store, faults, object, Target::New, record)?;
        Ok((201, Some(json!({"id": outcome.id, "success": true, "errors": []}))))
    }

    fn by_id(&self, store: &mut Store, faults: &mut Faults, object: &str, id: &str) -> Result<Answer, Refusal> {
        let object = known(store, object)?;
        let found = store.find_id(id).ok().filter(|at| at.object == object);
        match (self.method.as_str(), found) {
            ("GET", Some(at)) => Ok((200, Some(store.read_record(at, &self.fields(store, object)?, self.version)))),
            ("PATCH", _) => {
                let record = self.json()?;
                self.one(store, faults, object, Target::Id(id.to_owned()), record)?;
                Ok((204, None))
            }
            ("DELETE", _) => self.delete_one(store, faults, id),
            _ => Err(Refusal::not_found()),
        }
    }

    fn by_external(
        &self,
        store: &mut Store,
        faults: &mut Faults,
        object: &str,
        field: &str,
        value: &str,
    ) -> Result<Answer, Refusal> {
        let object = if *self.method == Method::PATCH { writable(store, object)? } else { known(store, object)? };
        let field = external_field(store, object, field)?;
        let found = store.find_external(object, &field, &json!(value));
        match (self.method.as_str(), found) {
            ("GET", Some(at)) => Ok((200, Some(store.read_record(at, &self.fields(store, object)?, self.version)))),
            ("PATCH", _) => {
                let update_only = self.query.get("updateOnly").is_some_and(|told| told == "true");
                let record: Map<String, Value> = self.json()?;
                if record.keys().any(|name| name.eq_ignore_ascii_case(&field)) {
                    let text = format!("The {field} field should not be specified in the sobject data.");
                    return Err(Refusal::new(400, "INVALID_FIELD", text));
                }
                let target = Target::External { field, value: json!(value), update_only };
                let outcome = self.one(store, faults, object, target, record)?;
                let status = if outcome.created { 201 } else { 200 };
                Ok((status, Some(json!({"id": outcome.id, "success": true, "errors": [], "created": outcome.created}))))
            }
            ("DELETE", Some(at)) => {
                let id = store.id(at);
                self.delete_one(store, faults, &id)
            }
            _ => Err(Refusal::not_found()),
        }
    }

    /// Writes one record by itself: what would stand in its result refuses the call.
    fn one(
        &self,
        store: &mut Store,
        faults: &mut Faults,
        object: usize,
        target: Target,
        record: Map<String, Value>,
    ) -> Result<Outcome, Refusal> {
        if id_of(&record).is_some() {
            return Err(Refusal::new(
                400,
                "INVALID_FIELD",
                "The Id field should not be specified in the sobject data.",
            ));
        }
        let draft = store.decode(object, target, record)?;
        let mut gate = |object: &str, key: Option<&str>| faults.record(self.now.1, object, key);
        let mut outcomes = store.apply(vec![draft], false, self.now.0, &mut gate);
        alone(outcomes.pop())
    }

    fn delete_one(&self, store: &mut Store, faults: &mut Faults, id: &str) -> Result<Answer, Refusal> {
        let mut gate = |object: &str, key: Option<&str>| faults.record(self.now.1, object, key);
        alone(store.delete(&[id], false, self.now.0, &mut gate).pop())?;
        Ok((204, None))
    }

    fn select(&self, store: &Store, text: &str, offset: usize) -> Result<Answer, Refusal> {
        let next = |end: usize| format!("/services/data/{}/query/{}", self.version, write_page(text, end));
        soql::run(store, text, offset, self.version, next).map(|answer| (200, Some(answer)))
    }

    fn fields(&self, store: &Store, object: usize) -> Result<Vec<String>, Refusal> {
        let asked = self.query.get("fields").map_or("", String::as_str);
        let names = asked.split(',').map(str::trim).filter(|name| !name.is_empty());
        names.map(|name| store.readable(object, name).map_err(Refusal::from)).collect()
    }

    fn json<'de, T: Deserialize<'de>>(&'de self) -> Result<T, Refusal> {
        serde_json::from_slice(self.body).map_err(|error| Refusal::json(error.to_string()))
    }
}

/// The body of a writing collection call.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Collection {
    #[serde(default)]
    all_or_none: bool,
    records: Vec<Map<String, Value>>,
}

fn known(store: &Store, object: &str) -> Result<usize, Refusal> {
    store.schema.number(object).ok_or_else(Refusal::not_found)
}

fn writable(store: &mut Store, object: &str) -> Result<usize, Refusal> {
    store.schema.resolve(object).ok_or_else(Refusal::not_found)
}

fn external_field(store: &mut Store, object: usize, name: &str) -> Result<String, Refusal> {
    let field = store.schema.resolve_external_id(object, name).ok_or_else(|| Refusal::no_external_id(name))?;
    store.index_external(object, &field);
    Ok(field)
}

fn type_of(record: &Map<String, Value>) -> Result<&str, Refusal> {
    let told = record.get("attributes").and_then(|attributes| attributes.get("type")?.as_str());
    told.ok_or_else(|| Refusal::new(400, "INVALID_TYPE", "each record needs attributes.type"))
}

fn id_of(record: &Map<String, Value>) -> Option<&str> {
    record.iter().find(|(name, _)| name.eq_ignore_ascii_case("id")).and_then(|(_, value)| value.as_str())
}

/// The external key that a record has, or is to have.
fn key_of(store: &Store, record: &Map<String, Value>) -> Option<String> {
    let held = id_of(record).and_then(|id| store.find_id(id).ok()).and_then(|at| store.key(at));
    held.or_else(|| {
        let object = store.schema.number(type_of(record).ok()?)?;
        store.object(object).external_ids().find_map(|field| plain_text(record.get(field)?))
    })
}

/// The outcome of a call with one record.
fn alone(outcome: Option<Outcome>) -> Result<Outcome, Refusal> {
    let outcome = outcome.ok_or_else(Refusal::not_found)?;
    match outcome.problems.first() {
        None => Ok(outcome),
        Some(problem) => Err(Refusal { status: status_of(problem), problem: problem.clone(), retry_after: None }),
    }
}

/// The HTTP status of a record's problem in a call of its own.
fn status_of(problem: &Problem) -> u16 {
    match problem.code.as_str() {
        "NOT_FOUND" | "ENTITY_IS_DELETED" | "INVALID_CROSS_REFERENCE_KEY" => 404,
        _ => 400,
    }
}

fn objects(store: &Store) -> Value {
    let of = |object: &super::schema::Object| {
        json!({"name": object.name, "label": object.name, "keyPrefix": super::schema::prefix_text(object.prefix),
            "custom": object.name.ends_with("__c"), "createable": true, "updateable": true, "queryable": true})
    };
    let list: Vec<Value> = store.schema.objects().iter().map(of).collect();
    json!({"encoding": "UTF-8", "maxBatchSize": MAX_RECORDS, "sobjects": list})
}

/// The name of a query's next page: the query itself in hexadecimal, and where to go on.
fn write_page(text: &str, offset: usize) -> String {
    let mut hex = String::with_capacity(text.len() * 2);
    for byte in text.bytes() {
        hex.extend([byte / 16, byte % 16].map(|digit| char::from_digit(u32::from(digit), 16).unwrap_or('0')));
    }
    format!("{hex}-{offset}")
}

fn read_page(page: &str) -> Option<(String, usize)> {
    let (hex, offset) = page.split_once('-')?;
    let digits: Vec<u32> = hex.chars().map(|digit| digit.to_digit(16)).collect::<Option<_>>()?;
    let bytes = digits.chunks_exact(2).map(|pair| (pair[0] * 16 + pair[1]) as u8).collect();
    Some((String::from_utf8(bytes).ok()?, offset.parse().ok()?))
}
