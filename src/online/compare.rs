//! A CRM's mappings against its description: objects, keys, required fields. Fields stand in [`field`](super::field).

use std::collections::BTreeSet;

use passerelle_change::{Column, TableName};
use passerelle_crm::salesforce::{Described, DescribedField};

use super::given::Given;
use super::tables::Tables;
use super::{Comparison, Org, Wish, label_of, places};
use crate::config::model::{Crm, Departure, Field, FieldSource, Mapping, OnTruncate, Place};
use crate::config::{Config, Fault, Files, nearest};
use crate::mapping::{Compile, Shape, columns};

/// The longest text that an external id field holds.
const LONGEST_KEY: u32 = 255;

/// Compares every mapping of a CRM with its description. `tables` tells what the expressions give; without a mapping's
/// table only names and constants are compared.
pub fn compare(config: &Config, files: &Files, crm: &Crm, org: &Org, tables: &Tables) -> Comparison {
    let mut found = Comparison::default();
    for mapping in config.mappings.values().filter(|mapping| mapping.crm == crm.name) {
        let columns = tables.columns(mapping);
        let time_zone = config.sources.get(&mapping.source).map_or("UTC", |source| source.time_zone.as_str());
        let mut pass = Pass { config, files, org, tables, mapping, columns, time_zone, found: &mut found };
        match org.object(&mapping.object) {
            Some(described) => pass.object(described),
            None => pass.missing_object(),
        }
    }
    found
}

/// One mapping.
pub(super) struct Pass<'p> {
    pub(super) config: &'p Config,
    pub(super) files: &'p Files,
    pub(super) org: &'p Org,
    pub(super) mapping: &'p Mapping,
    tables: &'p Tables,
    columns: Option<Vec<Column>>,
    time_zone: &'p str,
    found: &'p mut Comparison,
}

impl Pass<'_> {
    fn object(&mut self, described: &Described) {
        self.rights(described);
        self.key(described);
        for field in &self.mapping.fields {
            self.field(described, field);
        }
        self.departures(described);
        self.required(described);
    }

    fn missing_object(&mut self) {
        let name = &*self.mapping.object;
        let place = places::of(self.files, self.mapping, "object", name);
        let fault =
            Fault::error(format!("the CRM has no object `{name}`, or the integration user may not see it")).at(&place);
        let custom = name.ends_with("__c");
        let hint = match nearest(name, self.org.objects.iter().map(String::as_str)) {
            Some(near) => format!("did you mean `{near}`?"),
            None if custom => {
                "create it, or let the integration user see it: --crm-fields FILE writes a list".to_owned()
            }
            None => "let the integration user see it; the names of custom objects end in `__c`".to_owned(),
        };
        self.fault(fault.hint(hint));
        if !custom {
            self.wish("give rights", "", "to see, create, edit and delete its records".to_owned());
            return;
        }
        self.wish("create object", "", "with a deployment status of Deployed".to_owned());
        self.wish_key("create field");
        for field in &self.mapping.fields {
            self.wish_field(field);
        }
    }

    /// What the integration user may do with the object's records.
    fn rights(&mut self, described: &Described) {
        let mapping = self.mapping;
        let deletes = mapping.on_delete == Departure::Delete
            || mapping.on_leave == Departure::Delete
            || mapping.on_truncate == OnTruncate::Delete;
        let lacking: Vec<&str> = [
            (described.createable, "create"),
            (described.updateable, "edit"),
            (described.deletable || !deletes, "delete"),
        ]
        .into_iter()
        .filter_map(|(may, what)| (!may).then_some(what))
        .collect();
        if lacking.is_empty() {
            return;
        }
        let what = lacking.join(", ");
        let place = places::of(self.files, mapping, "object", &mapping.object);
        let mut hint = format!("give its permission set {what} on {}", described.name);
        if lacking == ["delete"] {
            hint.push_str(", or set on_delete = \"ignore\"");
        }
        let message = format!("the integration user may not {what} records of `{}`", described.name);
        self.fault(Fault::error(message).at(&place).hint(hint));
        self.wish("give rights", "", format!("to {what} its records"));
    }

    /// The field that upserts go by.
    fn key(&mut self, described: &Described) {
        let name = &*self.mapping.key_field;
        let object = &described.name;
        let place = places::of(self.files, self.mapping, "key", name);
        let Some(field) = by_name(described, name) else {
            let externals = described.fields.iter().filter(|field| field.external_id).map(|field| field.name.as_str());
            let fault = Fault::error(format!("`{object}` has no field `{name}` to be the key")).at(&place);
            let hint = match nearest(name, externals.clone()) {
                Some(near) => format!("did you mean `{near}`?"),
                None => match externals.collect::<Vec<_>>().join("`, `") {
                    names if names.is_empty() => missing_hint(name),
                    names => format!("its external ids are `{names}`; {}", missing_hint(name)),
                },
            };
            self.fault(fault.hint(hint));
            return self.wish_key("create field");
        };
        let change = |what: &str| format!("in Setup, edit {object}.{}: tick \"{what}\"", field.name);
        if !field.external_id {
            let message = format!("`{}` is no External ID: upserts cannot go by it", field.name);
            self.fault(Fault::error(message).at(&place).hint(change("External ID")));
        }
        if !field.unique {
            let message = format!("`{}` is not unique: two records could have the key of one row", field.name);
            self.fault(Fault::error(message).at(&place).hint(change("Unique")));
        }
        if !field.external_id || !field.unique {
            self.wish_key("change field");
        }
        if !field.createable {
            let message = format!("the integration user may not write `{}`, the key", field.name);
            self.fault(Fault::error(message).at(&place).hint("give its permission set edit access to the field"));
            self.wish("give rights", &field.name, "edit access to the field".to_owned());
        }
        self.key_that_may_be_null();
        if let Some(most) = self.key_chars().filter(|most| field.length > 0 && *most > field.length) {
            let message = format!("the key can have {most} characters, `{}` takes {}", field.name, field.length);
            self.fault(Fault::warning(message).at(&self.mapping.key_value.place).hint("make the field longer"));
        }
    }

    /// A column that may be null, and that `where` does not ask for.
    fn key_that_may_be_null(&mut self) {
        let key = &self.mapping.key_value;
        let name = key.text.trim();
        let Some(column) = self.columns.iter().flatten().find(|column| column.name == name) else { return };
        let filter = self.mapping.filter.as_ref();
        let is_asked = filter.is_some_and(|filter| columns(&filter.text).is_ok_and(|used| used.contains(name)));
        if !column.nullable || is_asked {
            return;
        }
        let message = format!("the key may be null: a row without `{name}` has no record, and becomes a dead letter");
        let hint = format!("leave such rows out: where = \"{name} is not none\"; or take the primary key");
        self.fault(Fault::warning(message).at(&key.place).hint(hint));
    }

    fn key_chars(&self) -> Option<u32> {
        self.compiled(|with| Shape::of(&self.mapping.key_value.text, self.mapping, with?)?.most_chars)
    }

    /// Fields that `on_delete` and `on_leave` set.
    fn departures(&mut self, described: &Described) {
        let policies = [("on_delete", &self.mapping.on_delete), ("on_leave", &self.mapping.on_leave)];
        for (setting, policy) in policies {
            let Departure::Set(fields) = policy else { continue };
            for (name, value) in fields {
                // Inline tables write their keys bare.
                let place = places::of(self.files, self.mapping, setting, name);
                self.value(described, name, &Given::of_constant(value), &place, true);
            }
        }
    }

    /// Fields without which no record can be created.
    fn required(&mut self, described: &Described) {
        for field in described.fields.iter().filter(|field| field.is_required()) {
            if Self::fills(self.mapping, field) {
                continue;
            }
            let ours = self.mapping;
            let is_other = |other: &&Mapping| {
                other.name != ours.name
                    && other.crm == ours.crm
                    && other.object.eq_ignore_ascii_case(&ours.object)
                    && other.key_field.eq_ignore_ascii_case(&ours.key_field)
            };
            let other = self.config.mappings.values().filter(is_other).find(|other| Self::fills(other, field));
            let message = format!("no field fills `{}`, which {} needs to be created", field.name, described.name);
            let hint = match &field.relationship_name {
                Some(relationship) => {
                    format!("{relationship} = {{ reference = \"…\", value = \"…\", required = true }}")
                }
                None => format!("{} = {{ value = \"…\", required = true }}", field.name),
            };
            self.fault(match other {
                None => Fault::error(message).at(&ours.place).hint(hint),
                Some(other) => Fault::warning(message)
                    .at(&ours.place)
                    .also(&other.place, "fills it")
                    .hint("a row that comes here first cannot make the record"),
            });
        }
    }

    fn fills(mapping: &Mapping, field: &DescribedField) -> bool {
        let is_it = |name: &str| {
            name.eq_ignore_ascii_case(&field.name)
                || field.relationship_name.as_ref().is_some_and(|relationship| name.eq_ignore_ascii_case(relationship))
        };
        is_it(&mapping.key_field) || mapping.fields.iter().any(|field| is_it(&field.name))
    }

    pub(super) fn given(&self, field: &Field) -> Given {
        self.compiled(|with| Given::of(field, self.mapping, with))
    }

    /// Hands over what the mapping is compiled with, where its columns are known.
    fn compiled<T>(&self, ask: impl FnOnce(Option<&Compile<'_>>) -> T) -> T {
        let related = |name: &TableName| self.tables.related(self.mapping, name);
        let with = self
            .columns
            .as_deref()
            .map(|columns| Compile { related: Some(&related), ..Compile::new(columns, &|_| None, self.time_zone) });
        ask(with.as_ref())
    }

    pub(super) fn fault(&mut self, fault: Fault) {
        self.found.faults.push(fault);
    }

    /// The field is not there.
    pub(super) fn missing_field(&mut self, described: &Described, name: &str, place: &Place) {
        let fault =
            Fault::error(format!("`{}` has no field `{name}`, or the integration user may not see it", described.name));
        let relationship = described.fields.iter().find(|field| {
            field.relationship_name.as_ref().is_some_and(|relationship| relationship.eq_ignore_ascii_case(name))
        });
        let names: BTreeSet<&str> = described.fields.iter().map(|field| field.name.as_str()).collect();
        let hint = match (relationship, nearest(name, names)) {
            (Some(_), _) => {
                format!("`{name}` is a relationship: `{name} = {{ reference = \"mapping\", value = \"…\" }}`")
            }
            (None, Some(near)) => format!("did you mean `{near}`?"),
            (None, None) => missing_hint(name),
        };
        self.fault(fault.at(place).hint(hint));
    }

    pub(super) fn wish(&mut self, action: &'static str, field: &str, note: String) {
        let label = if field.is_empty() { label_of(&self.mapping.object) } else { label_of(field) };
        self.push(Wish { action, api_name: field.to_owned(), label, note, ..Wish::default() });
    }

    fn wish_key(&mut self, action: &'static str) {
        let name = self.mapping.key_field.to_string();
        let length = self.key_chars().unwrap_or(LONGEST_KEY).clamp(18, LONGEST_KEY);
        let note = "the key: every record is found by it".to_owned();
        let label = label_of(&name);
        let (kind, length) = ("Text".to_owned(), length.to_string());
        self.push(Wish {
            action,
            api_name: name,
            label,
            kind,
            length,
            external_id: true,
            unique: true,
            note,
            ..Wish::default()
        });
    }

    /// A field that has to be made. Standard ones cannot be: they are a matter of rights or of spelling.
    pub(super) fn wish_field(&mut self, field: &Field) {
        if let FieldSource::Reference { mappings, .. } = &field.value {
            let parents = mappings.iter().filter_map(|name| self.config.mappings.get(name));
            let parents: BTreeSet<&str> = parents.map(|parent| &*parent.object).collect();
            let parent = parents.into_iter().collect::<Vec<_>>().join(" or ");
            let api_name =
                field.name.strip_suffix("__r").map_or_else(|| field.name.to_string(), |stem| format!("{stem}__c"));
            let (label, kind) = (label_of(&api_name), format!("Lookup({parent})"));
            let note = "delete behaviour: clear the value".to_owned();
            return self.push(Wish { action: "create field", api_name, label, kind, note, ..Wish::default() });
        }
        if let FieldSource::Unkept { object, .. } = &field.value {
            let api_name =
                field.name.strip_suffix("__r").map_or_else(|| field.name.to_string(), |stem| format!("{stem}__c"));
            let (label, kind) = (label_of(&api_name), format!("Lookup({object})"));
            return self.push(Wish { action: "create field", api_name, label, kind, ..Wish::default() });
        }
        let (kind, length, note) = self.given(field).wanted_type();
        let api_name = field.name.to_string();
        let label = label_of(&api_name);
        self.push(Wish { action: "create field", api_name, label, kind, length, note, ..Wish::default() });
    }

    pub(super) fn push(&mut self, wish: Wish) {
        let known = |other: &Wish| {
            (&other.action, &other.object, &other.api_name)
                == (&wish.action, &self.mapping.object.to_string(), &wish.api_name)
        };
        if wish.action == "create field" && !wish.api_name.ends_with("__c") {
            let note =
                "a standard field: it cannot be created, only shown to the integration user (or the name is misspelt)";
            let object = self.mapping.object.to_string();
            let mapping = self.mapping.name.to_string();
            self.found.wishes.push(Wish { action: "give rights", object, mapping, note: note.to_owned(), ..wish });
        } else if !self.found.wishes.iter().any(known) {
            let (object, mapping) = (self.mapping.object.to_string(), self.mapping.name.to_string());
            self.found.wishes.push(Wish { object, mapping, ..wish });
        }
    }
}

/// A field by its name, whatever its case.
pub(super) fn by_name<'d>(described: &'d Described, name: &str) -> Option<&'d DescribedField> {
    described.fields.iter().find(|field| field.name.eq_ignore_ascii_case(name))
}

fn missing_hint(name: &str) -> String {
    if name.ends_with("__c") || name.ends_with("__r") {
        "create it, or let the integration user see it: --crm-fields FILE writes a list".to_owned()
    } else {
        "let the integration user see it; a field of your own ends in `__c`".to_owned()
    }
}
