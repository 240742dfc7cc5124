//! The objects of the sandbox and their fields: a standard organisation's, those of a file, and, unless it is strict,
//! custom ones (`…__c`) as they are first written.

mod standard;

use std::collections::{BTreeMap, HashMap};

use serde::Deserialize;
use serde_json::{Value, json};

use super::problem::Problem;

/// Custom fields that one object may have, as in an Unlimited organisation.
const MAX_LEARNED_FIELDS: usize = 800;
/// Custom objects that the sandbox learns by itself.
const MAX_LEARNED_OBJECTS: usize = 2_000;

/// What a field holds.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FieldType {
    /// One line of text.
    String,
    /// Text of several lines.
    TextArea,
    /// An e-mail address, checked.
    Email,
    /// A telephone number, free text.
    Phone,
    /// A web address, free text.
    Url,
    /// One of `values`; anything if there are none.
    Picklist,
    /// Several of `values`, separated by `;`.
    MultiPicklist,
    /// true or false.
    Boolean,
    /// A whole number.
    Int,
    /// A number with `precision` digits, `scale` of them after the point.
    Double,
    /// An amount of money, as a double.
    Currency,
    /// A percentage, as a double.
    Percent,
    /// `YYYY-MM-DD`.
    Date,
    /// ISO 8601 with a zone.
    DateTime,
    /// The id of a record of `to`.
    Reference,
    /// Any scalar: a custom field that was learned from a write.
    Any,
}

/// One field of an object.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Field {
    /// Its type.
    #[serde(rename = "type")]
    pub kind: FieldType,
    /// Characters it holds; 255 unless told.
    #[serde(default = "default_length")]
    pub length: usize,
    /// Digits in all of a number.
    #[serde(default = "default_precision")]
    pub precision: u32,
    /// Digits after the point of a number.
    #[serde(default)]
    pub scale: u32,
    /// Whether a record cannot be created without it.
    #[serde(default)]
    pub required: bool,
    /// Whether it is never empty, and gets a value where a new record has none.
    #[serde(default)]
    pub defaulted: bool,
    /// Whether it is an external id: unique, compared without regard to case.
    #[serde(default, rename = "externalId")]
    pub external_id: bool,
    /// The allowed values of a picklist; empty for any.
    #[serde(default)]
    pub values: Vec<String>,
    /// The object that a reference points at; `None` when it is not known yet.
    #[serde(default)]
    pub to: Option<String>,
    /// The name by which a reference is given by external id (`Account` for `AccountId`).
    #[serde(default)]
    pub relationship: Option<String>,
}

fn default_length() -> usize {
    255
}

fn default_precision() -> u32 {
    18
}

impl Field {
    fn new(kind: FieldType, length: usize) -> Self {
        Self {
            kind,
            length,
            precision: default_precision(),
            scale: 0,
            required: false,
            defaulted: false,
            external_id: false,
            values: Vec::new(),
            to: None,
            relationship: None,
        }
    }
}

/// One object: its id prefix and its fields.
#[derive(Clone, Debug)]
pub struct Object {
    /// Its name as the API spells it.
    pub name: String,
    /// The first three characters of its records' ids.
    pub prefix: [u8; 3],
    /// Its fields by name, `Id` and the system fields left out.
    pub fields: BTreeMap<String, Field>,
    /// Lower-case field and relationship names to the field's name.
    names: HashMap<String, String>,
    learned_fields: usize,
}

impl Object {
    /// The field of this name, whatever its case.
    pub fn field(&self, name: &str) -> Option<(&str, &Field)> {
        let found = match self.fields.get_key_value(name) {
            Some(found) => found,
            None => self.fields.get_key_value(self.names.get(&name.to_ascii_lowercase())?)?,
        };
        // A relationship's name leads to its field, but is no field's name.
        found.0.eq_ignore_ascii_case(name).then_some((found.0.as_str(), found.1))
    }

    /// The reference field behind a relationship name (`Account`, `Parent__r`).
    pub fn relationship(&self, name: &str) -> Option<(&str, &Field)> {
        let (field, described) = self.fields.get_key_value(self.names.get(&name.to_ascii_lowercase())?)?;
        let relationship = described.relationship.as_deref()?;
        relationship.eq_ignore_ascii_case(name).then_some((field.as_str(), described))
    }

    /// The external id fields, in the order of their names.
    pub fn external_ids(&self) -> impl Iterator<Item = &str> {
        self.fields.iter().filter(|(_, field)| field.external_id).map(|(name, _)| name.as_str())
    }

    fn add(&mut self, name: &str, field: Field) {
        self.names.insert(name.to_ascii_lowercase(), name.to_owned());
        if let Some(relationship) = &field.relationship {
            self.names.insert(relationship.to_ascii_lowercase(), name.to_owned());
        }
        self.fields.insert(name.to_owned(), field);
    }
}

/// All objects, and whether new ones are learned.
#[derive(Clone, Debug)]
pub struct Schema {
    objects: Vec<Object>,
    by_name: HashMap<String, usize>,
    by_prefix: HashMap<[u8; 3], usize>,
    strict: bool,
}

impl Schema {
    /// Account, Contact, Lead, Opportunity, Product2, Order, OrderItem and User with their usual fields, each with the
    /// external id `Erp_Id__c`.
    pub fn standard() -> Self {
        let mut schema =
            Self { objects: Vec::new(), by_name: HashMap::new(), by_prefix: HashMap::new(), strict: false };
        for (name, prefix, fields) in standard::OBJECTS {
            let number = schema.add_object(name, *prefix);
            for line in fields.lines().map(str::trim).filter(|line| !line.is_empty()) {
                let (field, described) = standard::field(line);
                schema.objects[number].add(field, described);
            }
            let key = Field { external_id: true, ..Field::new(FieldType::String, 64) };
            schema.objects[number].add("Erp_Id__c", key);
        }
        schema
    }

    /// Refuses custom objects and fields that are not declared, instead of learning them.
    #[must_use]
    pub fn strict(mut self, strict: bool) -> Self {
        self.strict = strict;
        self
    }

    /// Adds the objects and fields of a JSON text
    /// `{"Asset": {"prefix": "02i", "fields": {"Name": {"type": "string", "length": 80, "required": true}}}}`;
    /// `prefix` may be left out. What is declared already is replaced, field by field.
    pub fn declare(&mut self, text: &str) -> Result<(), String> {
        #[derive(Deserialize)]
        #[serde(deny_unknown_fields)]
        struct Declared {
            prefix: Option<String>,
            fields: BTreeMap<String, Field>,
        }
        let objects: BTreeMap<String, Declared> = serde_json::from_str(text).map_err(|error| error.to_string())?;
        for (name, declared) in objects {
            let number = if let Some(number) = self.number(&name) {
                number
            } else {
                let prefix = match &declared.prefix {
                    Some(prefix) => <[u8; 3]>::try_from(prefix.as_bytes())
                        .ok()
                        .filter(|prefix| prefix.iter().all(u8::is_ascii_alphanumeric))
                        .ok_or_else(|| format!("prefix \"{prefix}\" of {name} is not three letters or digits"))?,
                    None => self.free_prefix(),
                };
                if self.by_prefix.contains_key(&prefix) {
                    return Err(format!("the prefix of {name} is taken by another object"));
                }
                self.add_object(&name, prefix)
            };
            for (field, described) in declared.fields {
                self.objects[number].add(&field, described);
            }
        }
        Ok(())
    }

    /// The number of an object by its name, whatever its case.
    pub fn number(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).or_else(|| self.by_name.get(&name.to_ascii_lowercase())).copied()
    }

    /// The number of the object whose ids start with `prefix`.
    pub fn number_of_prefix(&self, prefix: [u8; 3]) -> Option<usize> {
        self.by_prefix.get(&prefix).copied()
    }

    /// An object by its number.
    pub fn object(&self, number: usize) -> &Object {
        &self.objects[number]
    }

    /// All objects in the order of their numbers.
    pub fn objects(&self) -> &[Object] {
        &self.objects
    }

    /// The number of an object, learned if it is a custom one and learning is on.
    pub fn resolve(&mut self, name: &str) -> Option<usize> {
        if let Some(number) = self.number(name) {
            return Some(number);
        }
        if self.strict || !is_custom(name, "__c") || self.objects.len() >= MAX_LEARNED_OBJECTS {
            return None;
        }
        let prefix = self.free_prefix();
        Some(self.add_object(name, prefix))
    }

    /// The canonical name of a field that is to be written, learned if it is a custom one.
    pub fn resolve_field(&mut self, object: usize, name: &str) -> Result<String, Problem> {
        self.field_or_learn(object, name, "__c", |_| Field::new(FieldType::Any, 131_072))
    }

    /// The reference field behind a relationship that is to be written, learned if it is a custom one.
    pub fn resolve_relationship(&mut self, object: usize, name: &str) -> Result<String, Problem> {
        if let Some((field, _)) = self.objects[object].relationship(name) {
            return Ok(field.to_owned());
        }
        if !is_custom(name, "__r") {
            return Err(Problem::no_such_column(name, &self.objects[object].name));
        }
        let field = format!("{}__c", &name[..name.len() - 3]);
        let learned = |_: &str| Field { relationship: Some(name.to_owned()), ..Field::new(FieldType::Reference, 18) };
        self.field_or_learn(object, &field, "__c", learned)
    }

    /// The canonical name of an external id field, learned (or made one, if it was learned before) unless strict.
    pub fn resolve_external_id(&mut self, object: usize, name: &str) -> Option<String> {
        let learned = |_: &str| Field { external_id: true, ..Field::new(FieldType::String, 255) };
        let field = self.field_or_learn(object, name, "__c", learned).ok()?;
        let described = self.objects[object].fields.get_mut(&field)?;
        if described.kind == FieldType::Any {
            described.external_id = true;
        }
        described.external_id.then_some(field)
    }

    /// The answer of `GET /sobjects/{Object}/describe`.
    pub fn describe(&self, number: usize) -> Value {
        let object = &self.objects[number];
        let mut fields = vec![json!({
            "name": "Id", "label": "Id", "type": "id", "length": 18, "nillable": false, "createable": false,
            "updateable": false, "defaultedOnCreate": true, "externalId": false, "unique": false, "idLookup": true,
        })];
        fields.extend(object.fields.iter().map(|(name, field)| describe_field(name, field)));
        json!({
            "name": object.name, "label": object.name, "keyPrefix": prefix_text(object.prefix),
            "custom": object.name.ends_with("__c"), "createable": true, "updateable": true, "deletable": true,
            "queryable": true, "fields": fields,
        })
    }

    fn field_or_learn(
        &mut self,
        object: usize,
        name: &str,
        suffix: &str,
        learned: impl FnOnce(&str) -> Field,
    ) -> Result<String, Problem> {
        let strict = self.strict;
        let object = &mut self.objects[object];
        if let Some((field, _)) = object.field(name) {
            return Ok(field.to_owned());
        }
        if strict || !is_custom(name, suffix) || object.learned_fields >= MAX_LEARNED_FIELDS {
            return Err(Problem::no_such_column(name, &object.name));
        }
        object.learned_fields += 1;
        object.add(name, learned(name));
        Ok(name.to_owned())
    }

    fn add_object(&mut self, name: &str, prefix: [u8; 3]) -> usize {
        let number = self.objects.len();
        self.by_name.insert(name.to_owned(), number);
        self.by_name.insert(name.to_ascii_lowercase(), number);
        self.by_prefix.insert(prefix, number);
        let (fields, names) = (BTreeMap::new(), HashMap::new());
        self.objects.push(Object { name: name.to_owned(), prefix, fields, names, learned_fields: 0 });
        number
    }

    /// The first prefix of custom objects (`a00`, `a01`, …) that no object has.
    fn free_prefix(&self) -> [u8; 3] {
        const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
        // More prefixes than objects can be learned or sensibly declared, so one is always free.
        (0..usize::MAX)
            .map(|n| [DIGITS[10 + n / 1296 % 26], DIGITS[n / 36 % 36], DIGITS[n % 36]])
            .find(|prefix| !self.by_prefix.contains_key(prefix))
            .unwrap_or(*b"zzz")
    }
}

/// The prefix as text.
pub(super) fn prefix_text(prefix: [u8; 3]) -> String {
    prefix.iter().map(|&byte| char::from(byte)).collect()
}

fn is_custom(name: &str, suffix: &str) -> bool {
    let stem = name.strip_suffix(suffix).unwrap_or_default();
    stem.starts_with(|first: char| first.is_ascii_alphabetic())
        && stem.len() <= 80
        && stem.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn describe_field(name: &str, field: &Field) -> Value {
    let kind = match field.kind {
        FieldType::String => "string",
        // Salesforce says so of a field whose values are of several types.
        FieldType::Any => "anyType",
        FieldType::TextArea => "textarea",
        FieldType::Email => "email",
        FieldType::Phone => "phone",
        FieldType::Url => "url",
        FieldType::Picklist => "picklist",
        FieldType::MultiPicklist => "multipicklist",
        FieldType::Boolean => "boolean",
        FieldType::Int => "int",
        FieldType::Double => "double",
        FieldType::Currency => "currency",
        FieldType::Percent => "percent",
        FieldType::Date => "date",
        FieldType::DateTime => "datetime",
        FieldType::Reference => "reference",
    };
    let values: Vec<_> =
        field.values.iter().map(|value| json!({"value": value, "label": value, "active": true})).collect();
    let to: Vec<_> = field.to.iter().collect();
    json!({
        "name": name, "label": name, "type": kind, "length": field.length, "precision": field.precision,
        "scale": field.scale, "nillable": !field.required && !field.defaulted, "createable": true, "updateable": true,
        "defaultedOnCreate": field.defaulted || field.kind == FieldType::Boolean, "externalId": field.external_id,
        "unique": field.external_id, "idLookup": field.external_id, "calculated": false,
        "restrictedPicklist": !field.values.is_empty(), "picklistValues": values,
        "referenceTo": to, "relationshipName": field.relationship,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_schema_reads_as_written() {
        let schema = Schema::standard();
        let contact = schema.object(schema.number("contact").unwrap());
        assert_eq!(contact.prefix, *b"003");
        assert!(contact.field("LastName").unwrap().1.required);
        assert_eq!(contact.field("LASTNAME").unwrap().1.length, 80);
        assert_eq!(contact.relationship("account").unwrap().0, "AccountId");
        assert_eq!(contact.relationship("Account").unwrap().1.to.as_deref(), Some("Account"));
        assert!(contact.field("Account").is_none(), "a relationship is no field");
        assert_eq!(contact.external_ids().collect::<Vec<_>>(), ["Erp_Id__c"]);
        let amount = schema.object(schema.number("Opportunity").unwrap()).field("Amount").unwrap().1.clone();
        assert_eq!((amount.kind, amount.precision, amount.scale), (FieldType::Currency, 18, 2));
    }

    #[test]
    fn custom_names_are_learned_unless_strict() {
        let mut schema = Schema::standard();
        let account = schema.number("Account").unwrap();
        assert_eq!(schema.resolve_field(account, "Vip__c").unwrap(), "Vip__c");
        assert_eq!(schema.resolve_field(account, "vip__C").unwrap(), "Vip__c");
        assert!(schema.resolve_field(account, "Nmae").is_err());
        assert_eq!(schema.resolve_relationship(account, "Region__r").unwrap(), "Region__c");
        let region = schema.resolve("Region__c").unwrap();
        assert_eq!(schema.object(region).prefix, *b"a00");
        assert_eq!(schema.resolve("Campaign"), None);
        let mut strict = Schema::standard().strict(true);
        assert!(strict.resolve_field(account, "Vip__c").is_err());
        let described = schema.describe(account);
        let fields = described["fields"].as_array().unwrap();
        let learned = fields.iter().find(|field| field["name"] == "Vip__c").unwrap();
        assert_eq!(learned["type"], "anyType", "what it holds is not known");
        assert_eq!(strict.resolve("Region__c"), None);
    }

    #[test]
    fn files_declare_objects() {
        let mut schema = Schema::standard();
        let text =
            r#"{"Asset": {"prefix": "02i", "fields": {"Name": {"type": "string", "length": 80, "required": true}}}}"#;
        schema.declare(text).unwrap();
        assert!(schema.object(schema.number("Asset").unwrap()).field("Name").unwrap().1.required);
        assert!(schema.declare(r#"{"Other": {"prefix": "001", "fields": {}}}"#).unwrap_err().contains("taken"));
        assert!(schema.declare(r#"{"Other": {"fields": {"A": {"type": "blob"}}}}"#).is_err());
    }
}
