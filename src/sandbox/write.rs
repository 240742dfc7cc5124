//! Writing: a list of records is decoded, its references are looked up among what stood there before the call, and then
//! each record is applied in order, or all are undone.

use std::collections::HashMap;

use serde_json::{Map, Value, json};

use super::check::{Misfit, fit, same};
use super::log::{Operation, WriteEntry};
use super::problem::{Problem, Refusal};
use super::schema::FieldType;
use super::store::{At, Record, Store, external_text, plain_text};

/// Which record is meant.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Target {
    /// A new one.
    New,
    /// The one with this value in this external id field, or a new one; only an existing one with `update_only`.
    External { field: String, value: Value, update_only: bool },
    /// The one with this id.
    Id(String),
}

/// A record of a request, decoded.
#[derive(Clone, Debug)]
pub(super) struct Draft {
    object: usize,
    target: Target,
    fields: Vec<(String, Value)>,
    problems: Vec<Problem>,
}

/// What became of one record of a call.
#[derive(Clone, Debug)]
pub(super) struct Outcome {
    pub(super) id: Option<String>,
    pub(super) created: bool,
    pub(super) problems: Vec<Problem>,
}

impl Outcome {
    /// As it stands in the answer of a collection call; `created` only where the call tells it.
    pub(super) fn json(&self, tells_created: bool) -> Value {
        let mut answer = Map::new();
        if let Some(id) = &self.id {
            answer.insert("id".to_owned(), json!(id));
        }
        answer.insert("success".to_owned(), json!(self.problems.is_empty()));
        answer.insert("errors".to_owned(), self.problems.iter().map(Problem::of_record).collect());
        if tells_created && self.problems.is_empty() {
            answer.insert("created".to_owned(), json!(self.created));
        }
        Value::Object(answer)
    }
}

/// Asked for each record before it is applied: a fault may refuse it. Given the object and the external key.
pub(super) type Gate<'a> = &'a mut dyn FnMut(&str, Option<&str>) -> Option<Problem>;

/// How to take back one step.
enum Undo {
    Create(At),
    Set(At, String, Value),
    Remove(At, Box<Record>),
}

/// One step that is to be logged when the call stands.
struct Step {
    at: At,
    id: String,
    key: Option<String>,
    op: Operation,
    fields: Map<String, Value>,
    unchanged: bool,
}

impl Store {
    /// Reads one record of a request. What does not decode refuses the request; what breaks a rule is kept in the draft.
    pub(super) fn decode(
        &mut self,
        object: usize,
        target: Target,
        record: Map<String, Value>,
    ) -> Result<Draft, Problem> {
        let mut draft = Draft { object, target, fields: Vec::with_capacity(record.len()), problems: Vec::new() };
        for (name, value) in record {
            if name == "attributes" || name.eq_ignore_ascii_case("id") {
                continue;
            }
            if let Value::Object(reference) = value {
                self.decode_reference(&mut draft, &name, reference)?;
                continue;
            }
            let is_relationship = value.is_null() && self.object(object).relationship(&name).is_some();
            let name = if is_relationship {
                self.schema.resolve_relationship(object, &name)?
            } else {
                self.schema.resolve_field(object, &name)?
            };
            let Some(described) = self.object(object).fields.get(&name) else { continue };
            let is_reference = described.kind == FieldType::Reference;
            match fit(&name, described, value) {
                Ok(value) if is_reference => self.decode_id(&mut draft, name, &value),
                Ok(value) => draft.fields.push((name, value)),
                Err(Misfit::Refused(problem)) => draft.problems.push(problem),
                Err(Misfit::Undecodable(problem)) => return Err(problem),
            }
        }
        Ok(draft)
    }

    /// Applies the drafts in order. With `all_or_none`, one refusal takes all back.
    pub(super) fn apply(&mut self, drafts: Vec<Draft>, all_or_none: bool, now: i64, gate: Gate<'_>) -> Vec<Outcome> {
        let twice = given_twice(&drafts);
        let mut undo = Vec::new();
        let mut steps = Vec::new();
        let mut outcomes = Vec::with_capacity(drafts.len());
        for (draft, twice) in drafts.into_iter().zip(twice) {
            let written = match twice {
                Some(problem) => Err(vec![problem]),
                None => self.write(draft, now, gate, &mut undo, &mut steps),
            };
            outcomes.push(match written {
                Ok((id, created)) => Outcome { id: Some(id), created, problems: Vec::new() },
                Err(problems) => Outcome { id: None, created: false, problems },
            });
        }
        self.finish(outcomes, all_or_none, now, undo, steps)
    }

    /// Deletes by id, in order. Children that need their parent go with it; other children lose the reference.
    pub(super) fn delete(&mut self, ids: &[&str], all_or_none: bool, now: i64, gate: Gate<'_>) -> Vec<Outcome> {
        let mut undo = Vec::new();
        let mut steps = Vec::new();
        let outcomes = ids.iter().map(|id| {
            let deleted = self.find_id(id).and_then(|at| {
                let key = self.key(at);
                match gate(&self.object(at.object).name, key.as_deref()) {
                    Some(problem) => Err(problem),
                    None => Ok(at),
                }
            });
            match deleted {
                Ok(at) => {
                    let id = self.id(at);
                    self.delete_tree(at, &mut undo, &mut steps);
                    Outcome { id: Some(id), created: false, problems: Vec::new() }
                }
                Err(problem) => Outcome { id: Some((*id).to_owned()), created: false, problems: vec![problem] },
            }
        });
        let outcomes = outcomes.collect();
        self.finish(outcomes, all_or_none, now, undo, steps)
    }

    /// A reference given as `{"Rel": {"ExtField": value}}`.
    fn decode_reference(
        &mut self,
        draft: &mut Draft,
        name: &str,
        mut reference: Map<String, Value>,
    ) -> Result<(), Problem> {
        let field = self.schema.resolve_relationship(draft.object, name)?;
        let told = reference
            .shift_remove("attributes")
            .and_then(|attributes| attributes.get("type")?.as_str().map(str::to_owned));
        let described = self.object(draft.object).fields.get(&field);
        let target = described.and_then(|field| field.to.clone()).or(told);
        let mut entries = reference.into_iter();
        let (Some((by, value)), None) = (entries.next(), entries.next()) else {
            let text = format!("The relationship {name} needs exactly one external id or Id");
            return Err(Problem::new("INVALID_FIELD", text));
        };
        if by.eq_ignore_ascii_case("id") {
            self.decode_id(draft, field, &value);
            return Ok(());
        }
        // Where a learned relationship does not tell its object, any that has the key will do.
        let objects: Vec<usize> = match &target {
            Some(target) => self.schema.resolve(target).into_iter().collect(),
            None => (0..self.schema.objects().len())
                .filter(|&n| self.object(n).field(&by).is_some_and(|(_, f)| f.external_id))
                .collect(),
        };
        let mut found = None;
        for &object in &objects {
            let Some(external) = self.schema.resolve_external_id(object, &by) else {
                let text = format!(
                    "Field name provided, {by} is not an External ID or indexed field for {}",
                    self.object(object).name
                );
                return Err(Problem::new("INVALID_FIELD", text));
            };
            self.index_external(object, &external);
            found = found.or_else(|| self.find_external(object, &external, &value));
        }
        if let Some(parent) = found {
            draft.fields.push((field, Value::from(self.id(parent))));
        } else {
            let shown = plain_text(&value).unwrap_or_else(|| value.to_string());
            let entity = target.unwrap_or_else(|| field.clone());
            let text = format!("Foreign key external ID: {shown} not found for field {by} in entity {entity}");
            draft.problems.push(Problem::new("INVALID_FIELD", text));
        }
        Ok(())
    }

    /// A reference given by id.
    fn decode_id(&self, draft: &mut Draft, field: String, value: &Value) {
        let described = self.object(draft.object).fields.get(&field);
        let Some(id) = value.as_str() else {
            if described.is_some_and(|field| field.defaulted) {
                let text = format!("{field}: it cannot be blank");
                draft.problems.push(Problem::new("INVALID_CROSS_REFERENCE_KEY", text).about(&field));
            } else {
                draft.fields.push((field, Value::Null));
            }
            return;
        };
        let wanted = self.object(draft.object).fields.get(&field).and_then(|field| field.to.as_deref());
        match self.find_id(id) {
            Ok(at) if wanted.is_none_or(|wanted| self.object(at.object).name == wanted) => {
                draft.fields.push((field, Value::from(self.id(at))));
            }
            Ok(_) => {
                let text = format!("{field}: id value of incorrect type: {id}");
                draft.problems.push(Problem::new("FIELD_INTEGRITY_EXCEPTION", text).about(&field));
            }
            Err(problem) => draft.problems.push(problem.about(&field)),
        }
    }

    /// Applies one draft; the id, and whether the record is new.
    fn write(
        &mut self,
        draft: Draft,
        now: i64,
        gate: Gate<'_>,
        undo: &mut Vec<Undo>,
        steps: &mut Vec<Step>,
    ) -> Result<(String, bool), Vec<Problem>> {
        let Draft { object, target, mut fields, mut problems } = draft;
        let existing = self.find_target(object, &target).map_err(|problem| vec![problem])?;
        let key = existing.and_then(|at| self.key(at)).or_else(|| self.drafted_key(object, &target, &fields));
        if let Some(problem) = gate(&self.object(object).name, key.as_deref()) {
            return Err(vec![problem]);
        }
        if existing.is_none()
            && let Target::External { field, value, .. } = target
            && !fields.iter().any(|(name, _)| *name == field)
        {
            fields.push((field, value));
        }
        problems.extend(self.taken(object, existing, &fields));
        if problems.is_empty() {
            // What was refused above is missing only for that.
            problems.extend(self.missing(object, existing, &fields));
        }
        if existing.is_none() && self.live >= self.max_records {
            problems.push(Problem::new("STORAGE_LIMIT_EXCEEDED", "storage limit exceeded"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let at = existing.unwrap_or_else(|| {
            let at = self.create(object, now);
            undo.push(Undo::Create(at));
            at
        });
        let mut unchanged = existing.is_some();
        let mut stored = Map::with_capacity(fields.len());
        for (name, value) in fields {
            let held = self.record(at).and_then(|record| record.fields.get(&name)).unwrap_or(&Value::Null);
            if !same(held, &value) {
                unchanged = false;
                let before = self.set(at, &name, value.clone());
                undo.push(Undo::Set(at, name.clone(), before));
            }
            stored.insert(name, value);
        }
        let op = if existing.is_some() { Operation::Updated } else { Operation::Created };
        let (id, key) = (self.id(at), self.key(at));
        steps.push(Step { at, id: id.clone(), key, op, fields: stored, unchanged });
        Ok((id, existing.is_none()))
    }

    fn find_target(&self, object: usize, target: &Target) -> Result<Option<At>, Problem> {
        match target {
            Target::New => Ok(None),
            Target::Id(id) => match self.find_id(id)? {
                at if at.object == object => Ok(Some(at)),
                _ => Err(Problem::new("INVALID_CROSS_REFERENCE_KEY", "invalid cross reference id")),
            },
            Target::External { field, value, update_only } => {
                if external_text(value).is_none() {
                    return Err(Problem::new("MISSING_ARGUMENT", format!("{field} not specified")));
                }
                match self.find_external(object, field, value) {
                    None if *update_only => Err(Problem::new("NOT_FOUND", "The requested resource does not exist")),
                    found => Ok(found),
                }
            }
        }
    }

    /// The external key of a record that is not there yet.
    fn drafted_key(&self, object: usize, target: &Target, fields: &[(String, Value)]) -> Option<String> {
        if let Target::External { value, .. } = target {
            return plain_text(value);
        }
        let written = |field: &str| fields.iter().find(|(name, _)| name == field).map(|(_, value)| value);
        self.object(object).external_ids().find_map(|field| plain_text(written(field)?))
    }

    /// External ids that another record holds.
    fn taken(&self, object: usize, existing: Option<At>, fields: &[(String, Value)]) -> Vec<Problem> {
        let described = &self.object(object).fields;
        let external = fields.iter().filter(|(name, _)| described.get(name).is_some_and(|field| field.external_id));
        let taken = external.filter_map(|(name, value)| {
            let holder = self.find_external(object, name, value).filter(|&holder| Some(holder) != existing)?;
            let text = format!("duplicate value found: {name} duplicates value on record with id: {}", self.id(holder));
            Some(Problem::new("DUPLICATE_VALUE", text))
        });
        taken.collect()
    }

    /// Required fields that would stay empty: those not given on create, those nulled on update.
    fn missing(&self, object: usize, existing: Option<At>, fields: &[(String, Value)]) -> Option<Problem> {
        let required = self.object(object).fields.iter().filter(|(_, field)| field.required);
        let empty = required.filter(|(name, _)| match fields.iter().find(|(given, _)| given == *name) {
            Some((_, value)) => value.is_null(),
            None => existing.is_none(),
        });
        let names: Vec<String> = empty.map(|(name, _)| name.clone()).collect();
        if names.is_empty() {
            return None;
        }
        let message = format!("Required fields are missing: [{}]", names.join(", "));
        Some(Problem { code: "REQUIRED_FIELD_MISSING".to_owned(), message, fields: names })
    }

    fn delete_tree(&mut self, root: At, undo: &mut Vec<Undo>, steps: &mut Vec<Step>) {
        let mut doomed = vec![root];
        while let Some(at) = doomed.pop() {
            if self.record(at).is_none() {
                continue;
            }
            for (child, field) in self.children(at) {
                if self.object(child.object).fields.get(&field).is_some_and(|field| field.required) {
                    doomed.push(child);
                } else {
                    let before = self.set(child, &field, Value::Null);
                    undo.push(Undo::Set(child, field, before));
                    self.tally.lookups_cleared += 1;
                }
            }
            let (id, key) = (self.id(at), self.key(at));
            if let Some(record) = self.remove(at) {
                undo.push(Undo::Remove(at, Box::new(record)));
                steps.push(Step { at, id, key, op: Operation::Deleted, fields: Map::new(), unchanged: false });
            }
        }
    }

    /// Logs the steps, or takes them back.
    fn finish(
        &mut self,
        mut outcomes: Vec<Outcome>,
        all_or_none: bool,
        now: i64,
        undo: Vec<Undo>,
        steps: Vec<Step>,
    ) -> Vec<Outcome> {
        if all_or_none && outcomes.iter().any(|outcome| !outcome.problems.is_empty()) {
            for step in undo.into_iter().rev() {
                match step {
                    Undo::Create(at) => drop(self.remove(at)),
                    Undo::Set(at, field, before) => drop(self.set(at, &field, before)),
                    Undo::Remove(at, record) => self.restore(at, *record),
                }
            }
            for outcome in outcomes.iter_mut().filter(|outcome| outcome.problems.is_empty()) {
                let text =
                    "Record rolled back because not all records were valid and the request was using AllOrNone header";
                *outcome = Outcome {
                    id: None,
                    created: false,
                    problems: vec![Problem::new("ALL_OR_NONE_OPERATION_ROLLED_BACK", text)],
                };
            }
        } else {
            for step in steps {
                self.log_step(step, now);
            }
        }
        self.tally.refused += outcomes.iter().filter(|outcome| !outcome.problems.is_empty()).count() as u64;
        outcomes
    }

    fn log_step(&mut self, step: Step, now: i64) {
        let Step { at, id, key, op, fields, unchanged } = step;
        match op {
            Operation::Created => self.tally.created += 1,
            Operation::Updated => self.tally.updated += 1,
            Operation::Deleted => self.tally.deleted += 1,
        }
        self.tally.unchanged += u64::from(unchanged);
        let n = self.log.last() + 1;
        let mut version = 0;
        let user = self.user.clone();
        if let Some(record) = self.record_mut(at) {
            record.writes += 1;
            record.unchanged += u64::from(unchanged);
            record.modified_at = now;
            record.modified_by = user;
            record.last_n = n;
            version = record.writes;
        }
        let object = self.object(at.object).name.clone();
        self.log.push(WriteEntry {
            n,
            at: now,
            object,
            id,
            key,
            op,
            fields,
            duplicate_of_previous: unchanged,
            version,
        });
    }
}

/// The records of one call of the right size: at least one, at most `most`.
pub(super) fn within(count: usize, most: usize) -> Result<(), Refusal> {
    if count > most {
        let text = format!("record limit reached. cannot submit more than {most} records into this call");
        return Err(Refusal::new(400, "EXCEEDED_ID_LIMIT", text));
    }
    if count == 0 {
        return Err(Refusal::new(400, "INVALID_REQUEST", "the request has no records"));
    }
    Ok(())
}

/// For each draft, the refusal if its external id or id stands twice in the call: every one of them is refused.
fn given_twice(drafts: &[Draft]) -> Vec<Option<Problem>> {
    let name = |draft: &Draft| match &draft.target {
        Target::New => None,
        Target::External { value, .. } => external_text(value),
        Target::Id(id) => Some(id.chars().take(15).collect()),
    };
    let names: Vec<Option<String>> = drafts.iter().map(name).collect();
    let mut counts: HashMap<&str, usize> = HashMap::with_capacity(names.len());
    for name in names.iter().flatten() {
        *counts.entry(name).or_default() += 1;
    }
    let twice =
        |name: &Option<String>| name.as_deref().is_some_and(|name| counts.get(name).is_some_and(|&count| count > 1));
    let problem = |draft: &Draft| match &draft.target {
        Target::External { value, .. } => Problem::new(
            "DUPLICATE_VALUE",
            format!("Duplicate external id specified: {}", plain_text(value).unwrap_or_default()),
        ),
        Target::Id(id) => Problem::new("DUPLICATE_VALUE", format!("duplicate id in list: {id}")),
        Target::New => Problem::new("DUPLICATE_VALUE", "duplicate"),
    };
    drafts.iter().zip(&names).map(|(draft, name)| twice(name).then(|| problem(draft))).collect()
}
