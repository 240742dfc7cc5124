//! The records in memory, with the indexes that keep them consistent: external ids, and who refers to whom. Plain code,
//! without a clock or a lock.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde::Serialize;
use serde_json::{Map, Value};

use super::ids;
use super::log::Log;
use super::problem::Problem;
use super::schema::{FieldType, Object, Schema};

/// One record's place: the object's number and the record's number within it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct At {
    pub(super) object: usize,
    pub(super) number: u64,
}

/// One record.
#[derive(Clone, Debug, Default)]
pub(super) struct Record {
    /// What is not null, by canonical name; references as 18-character ids.
    pub(super) fields: Map<String, Value>,
    pub(super) created_at: i64,
    pub(super) modified_at: i64,
    /// The id of the user who wrote it last.
    pub(super) modified_by: String,
    pub(super) writes: u64,
    pub(super) unchanged: u64,
    /// The number of the last write in the log.
    pub(super) last_n: u64,
}

/// A record as tests and the page see it.
#[derive(Clone, Debug, Serialize)]
pub struct RecordView {
    /// The object.
    pub object: String,
    /// The id, 18 characters.
    pub id: String,
    /// The first external id, if it has one.
    pub key: Option<String>,
    /// What is not null.
    pub fields: Map<String, Value>,
    /// For each reference, the external id of the record it points at.
    pub parents: BTreeMap<String, String>,
    /// Writes accepted since it was created, the creation included.
    pub writes: u64,
    /// Those of them that changed nothing.
    pub unchanged: u64,
    /// Microseconds since 1970.
    pub created_at: i64,
    /// Microseconds since 1970.
    pub modified_at: i64,
    /// The number of its last write in the log.
    pub last_n: u64,
}

/// The records of one object.
#[derive(Debug, Default)]
pub(super) struct Table {
    pub(super) records: BTreeMap<u64, Record>,
    /// For each external id field, its values without regard to case.
    external: HashMap<String, HashMap<String, u64>>,
    /// The number of the last record created: an id up to it that is not there was deleted.
    issued: u64,
}

/// What was written since the start.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(super) struct Tally {
    pub(super) created: u64,
    pub(super) updated: u64,
    pub(super) deleted: u64,
    pub(super) unchanged: u64,
    pub(super) refused: u64,
    pub(super) lookups_cleared: u64,
}

/// All records.
#[derive(Debug)]
pub(super) struct Store {
    pub(super) schema: Schema,
    tables: Vec<Table>,
    /// Who refers to a record, and by which field.
    children: HashMap<At, HashSet<(At, String)>>,
    pub(super) log: Log,
    pub(super) tally: Tally,
    pub(super) live: u64,
    pub(super) max_records: u64,
    /// The id of the user whose call is answered.
    pub(super) user: String,
}

impl Store {
    pub(super) fn new(schema: Schema, log: Log, max_records: u64) -> Self {
        let (tables, children, tally) = (Vec::new(), HashMap::new(), Tally::default());
        Self { schema, tables, children, log, tally, live: 0, max_records, user: String::new() }
    }

    /// Forgets all records and the log; ids and log numbers go on.
    pub(super) fn clear(&mut self) {
        for table in &mut self.tables {
            table.records.clear();
            table.external.clear();
        }
        self.children.clear();
        self.log.clear();
        self.live = 0;
    }

    pub(super) fn object(&self, number: usize) -> &Object {
        self.schema.object(number)
    }

    pub(super) fn table(&self, object: usize) -> Option<&Table> {
        self.tables.get(object)
    }

    pub(super) fn record(&self, at: At) -> Option<&Record> {
        self.tables.get(at.object)?.records.get(&at.number)
    }

    pub(super) fn record_mut(&mut self, at: At) -> Option<&mut Record> {
        self.tables.get_mut(at.object)?.records.get_mut(&at.number)
    }

    pub(super) fn id(&self, at: At) -> String {
        ids::format(self.object(at.object).prefix, at.number)
    }

    /// The live record of this id, whatever its object; the vendor's codes for ids that are malformed, unknown or deleted.
    pub(super) fn find_id(&self, id: &str) -> Result<At, Problem> {
        let unknown = || Problem::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id");
        let parsed = ids::parse(id).ok_or_else(|| {
            Problem::new("MALFORMED_ID", format!("malformed id {}", id.chars().take(40).collect::<String>()))
        })?;
        let object = self.schema.number_of_prefix(parsed.prefix).ok_or_else(unknown)?;
        let table = self.tables.get(object).ok_or_else(unknown)?;
        if table.records.contains_key(&parsed.number) {
            return Ok(At { object, number: parsed.number });
        }
        if parsed.number == 0 || parsed.number > table.issued {
            return Err(unknown());
        }
        Err(Problem::new("ENTITY_IS_DELETED", "entity is deleted"))
    }

    /// The record that holds this value in an external id field.
    pub(super) fn find_external(&self, object: usize, field: &str, value: &Value) -> Option<At> {
        let index = self.tables.get(object)?.external.get(field)?;
        index.get(&external_text(value)?).map(|&number| At { object, number })
    }

    /// Sees to it that an external id field has its index: one that was a plain field before has none.
    pub(super) fn index_external(&mut self, object: usize, field: &str) {
        let table = self.table_mut(object);
        if table.external.contains_key(field) {
            return;
        }
        let held = table
            .records
            .iter()
            .filter_map(|(&number, record)| Some((external_text(record.fields.get(field)?)?, number)));
        let index = held.collect();
        table.external.insert(field.to_owned(), index);
    }

    /// The record's first external id, as text.
    pub(super) fn key(&self, at: At) -> Option<String> {
        let record = self.record(at)?;
        self.object(at.object).external_ids().find_map(|field| plain_text(record.fields.get(field)?))
    }

    /// A new record without fields. The caller fills it.
    pub(super) fn create(&mut self, object: usize, at_micros: i64) -> At {
        let table = self.table_mut(object);
        table.issued += 1;
        let number = table.issued;
        table.records.insert(number, Record { created_at: at_micros, modified_at: at_micros, ..Record::default() });
        self.live += 1;
        At { object, number }
    }

    /// Sets one field, or clears it by null, and returns what it held. External ids must be free: see
    /// [`find_external`](Self::find_external).
    pub(super) fn set(&mut self, at: At, field: &str, value: Value) -> Value {
        let described = self.schema.object(at.object).fields.get(field);
        let is_external = described.is_some_and(|field| field.external_id);
        let is_reference = described.is_some_and(|field| field.kind == FieldType::Reference);
        let new_parent = if is_reference { value.as_str().and_then(|id| self.find_id(id).ok()) } else { None };
        let new_external = if is_external { external_text(&value) } else { None };
        let Some(record) = self.record_mut(at) else { return Value::Null };
        let before = if value.is_null() {
            record.fields.shift_remove(field)
        } else if let Some(held) = record.fields.get_mut(field) {
            Some(std::mem::replace(held, value))
        } else {
            record.fields.insert(field.to_owned(), value)
        };
        let before = before.unwrap_or(Value::Null);
        if is_external {
            self.reindex(at, field, &before, new_external);
        }
        if is_reference {
            let old_parent = before
                .as_str()
                .and_then(ids::parse)
                .and_then(|id| self.schema.number_of_prefix(id.prefix).map(|object| At { object, number: id.number }));
            self.relink(at, field, old_parent, new_parent);
        }
        before
    }

    /// Takes a record out, with its place in the indexes. Its children still point at it: see
    /// [`children`](Self::children).
    pub(super) fn remove(&mut self, at: At) -> Option<Record> {
        let names: Vec<String> = self.record(at)?.fields.keys().cloned().collect();
        let whole = self.record(at)?.clone();
        for name in names {
            self.set(at, &name, Value::Null);
        }
        self.table_mut(at.object).records.remove(&at.number);
        self.live -= 1;
        Some(whole)
    }

    /// Puts back what [`remove`](Self::remove) took out.
    pub(super) fn restore(&mut self, at: At, mut record: Record) {
        let fields = std::mem::take(&mut record.fields);
        self.table_mut(at.object).records.insert(at.number, record);
        self.live += 1;
        for (name, value) in fields {
            self.set(at, &name, value);
        }
    }

    /// Who refers to a record, and by which field, in a fixed order.
    pub(super) fn children(&self, at: At) -> Vec<(At, String)> {
        let mut children: Vec<_> = self.children.get(&at).into_iter().flatten().cloned().collect();
        children.sort();
        children
    }

    /// The record as tests and the page see it.
    pub(super) fn view(&self, at: At) -> Option<RecordView> {
        let record = self.record(at)?;
        let object = self.object(at.object);
        let references = object.fields.iter().filter(|(_, field)| field.kind == FieldType::Reference);
        let parents = references.filter_map(|(name, _)| {
            let parent = self.find_id(record.fields.get(name)?.as_str()?).ok()?;
            Some((name.clone(), self.key(parent)?))
        });
        Some(RecordView {
            object: object.name.clone(),
            id: self.id(at),
            key: self.key(at),
            fields: record.fields.clone(),
            parents: parents.collect(),
            writes: record.writes,
            unchanged: record.unchanged,
            created_at: record.created_at,
            modified_at: record.modified_at,
            last_n: record.last_n,
        })
    }

    /// The numbers of all live records of an object.
    pub(super) fn all(&self, object: usize) -> impl Iterator<Item = At> {
        let numbers = self.tables.get(object).into_iter().flat_map(|table| table.records.keys());
        numbers.map(move |&number| At { object, number })
    }

    fn table_mut(&mut self, object: usize) -> &mut Table {
        if self.tables.len() <= object {
            self.tables.resize_with(object + 1, Table::default);
        }
        &mut self.tables[object]
    }

    fn reindex(&mut self, at: At, field: &str, before: &Value, new: Option<String>) {
        self.index_external(at.object, field);
        let Some(index) = self.tables[at.object].external.get_mut(field) else { return };
        if let Some(old) = external_text(before)
            && index.get(&old) == Some(&at.number)
        {
            index.remove(&old);
        }
        if let Some(new) = new {
            index.insert(new, at.number);
        }
    }

    fn relink(&mut self, child: At, field: &str, old: Option<At>, new: Option<At>) {
        if old == new {
            return;
        }
        if let Some(old) = old
            && let Some(children) = self.children.get_mut(&old)
        {
            children.remove(&(child, field.to_owned()));
            if children.is_empty() {
                self.children.remove(&old);
            }
        }
        if let Some(new) = new {
            self.children.entry(new).or_default().insert((child, field.to_owned()));
        }
    }
}

/// The form in which external ids are compared: without regard to case. `None` for null and what is no scalar.
pub(super) fn external_text(value: &Value) -> Option<String> {
    plain_text(value).map(|text| text.to_lowercase())
}

/// A scalar as text.
pub(super) fn plain_text(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(_) | Value::Null | Value::Array(_) | Value::Object(_) => None,
    }
}
