//! Reading records as the API gives them out.

use serde_json::{Map, Value, json};

use super::problem::Problem;
use super::schema::{FieldType, Object};
use super::store::{At, Record, Store};

/// Fields that every record has.
const SYSTEM: &[&str] = &["Id", "IsDeleted", "CreatedDate", "LastModifiedDate", "LastModifiedById", "SystemModstamp"];

impl Store {
    /// Checks the name of a field that is to be read, which may lead over a relationship (`Account.Name`), and spells it
    /// as the schema does.
    pub(super) fn readable(&self, object: usize, path: &str) -> Result<String, Problem> {
        let described = self.object(object);
        let unknown = || Problem::no_such_column(path, &described.name);
        if let Some((relationship, rest)) = path.split_once('.') {
            let (_, field) = described.relationship(relationship).ok_or_else(unknown)?;
            let target = field.to.as_deref().and_then(|to| self.schema.number(to)).ok_or_else(unknown)?;
            let name = field.relationship.as_deref().unwrap_or(relationship);
            return Ok(format!("{name}.{}", self.readable(target, rest)?));
        }
        if let Some(system) = SYSTEM.iter().find(|system| system.eq_ignore_ascii_case(path)) {
            return Ok((*system).to_owned());
        }
        described.field(path).map(|(name, _)| name.to_owned()).ok_or_else(unknown)
    }

    /// One field of a record, by a name that [`readable`](Self::readable) gave; null if it has none.
    pub(super) fn read(&self, at: At, path: &str) -> Value {
        let Some(record) = self.record(at) else { return Value::Null };
        if let Some((relationship, rest)) = path.split_once('.') {
            return match self.parent(at, record, relationship) {
                Some(parent) => self.read(parent, rest),
                None => Value::Null,
            };
        }
        match path {
            "Id" => json!(self.id(at)),
            "IsDeleted" => json!(false),
            "CreatedDate" => json!(moment(record.created_at)),
            "LastModifiedDate" | "SystemModstamp" => json!(moment(record.modified_at)),
            "LastModifiedById" => json!(record.modified_by),
            field => record.fields.get(field).cloned().unwrap_or_else(|| unset(self.object(at.object), field)),
        }
    }

    /// A record with these fields; with all, if none are named.
    pub(super) fn read_record(&self, at: At, fields: &[String], version: &str) -> Value {
        let object = self.object(at.object);
        let url = format!("/services/data/{version}/sobjects/{}/{}", object.name, self.id(at));
        let mut answer = Map::new();
        answer.insert("attributes".to_owned(), json!({"type": object.name, "url": url}));
        if fields.is_empty() {
            let all = SYSTEM.iter().copied().chain(object.fields.keys().map(String::as_str));
            answer.extend(all.map(|name| (name.to_owned(), self.read(at, name))));
        }
        for path in fields {
            put(&mut answer, path, self.read(at, path));
        }
        Value::Object(answer)
    }

    fn parent(&self, at: At, record: &Record, relationship: &str) -> Option<At> {
        let (field, _) = self.object(at.object).relationship(relationship)?;
        self.find_id(record.fields.get(field)?.as_str()?).ok()
    }
}

/// Puts a value where its path leads: `Account.Name` into an object `Account`.
fn put(answer: &mut Map<String, Value>, path: &str, value: Value) {
    match path.split_once('.') {
        Some((relationship, rest)) => {
            let nested = answer.entry(relationship).or_insert_with(|| json!({}));
            if let Value::Object(nested) = nested {
                put(nested, rest, value);
            }
        }
        None => {
            answer.insert(path.to_owned(), value);
        }
    }
}

/// What a field reads as that was never written: a checkbox is false.
fn unset(object: &Object, field: &str) -> Value {
    let is_checkbox = object.fields.get(field).is_some_and(|field| field.kind == FieldType::Boolean);
    if is_checkbox { json!(false) } else { Value::Null }
}

/// A moment as the vendor prints it.
fn moment(micros: i64) -> String {
    let moment = jiff::Timestamp::from_microsecond(micros).unwrap_or_default();
    moment.strftime("%Y-%m-%dT%H:%M:%S.000+0000").to_string()
}
