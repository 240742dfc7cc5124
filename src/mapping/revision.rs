//! A hash of what a mapping says, the same over restarts and machines.

use std::collections::BTreeMap;
use std::hash::Hasher;

use passerelle_change::{FieldValue, Type};
use siphasher::sip::SipHasher24;

use super::compile::expressions;
use super::related::uses::Uses;
use crate::config::model::{
    Check, Expr, Field, FieldSource, MapOther, Mapping, Missing, OnBad, Related, RelatedForm, Standard,
};

/// Raised when the same text begins to mean something else.
const LANGUAGE: u8 = 1;

/// Everything that changes the outcome of an evaluation, and where it goes; not policies, not places, not order of time.
pub(super) fn of(config: &Mapping, nulls: &BTreeMap<String, Type>, time_zone: &str) -> u64 {
    // Fixed keys: the hash is written to the state.
    let mut hash = Hash(SipHasher24::new_with_keys(0x7061_7373_6572_656c, 0x6c65_2f6d_6170_0001));
    hash.tag(LANGUAGE);
    hash.text(time_zone);
    hash.text(&config.table.schema);
    hash.text(&config.table.name);
    hash.text(&config.object);
    hash.text(&config.key_field);
    hash.text(&config.key_value.text);
    hash.expr(config.filter.as_ref());
    hash.expr(config.deleted.as_ref());
    config.fields.iter().for_each(|field| hash.field(field));
    hash.reach(config);
    hash.related(Uses::of(config).used());
    for name in nulls.keys() {
        hash.tag(37);
        hash.text(name);
    }
    hash.0.finish()
}

struct Hash(SipHasher24);

impl Hash {
    fn tag(&mut self, tag: u8) {
        self.0.write(&[tag]);
    }

    fn text(&mut self, text: &str) {
        self.0.write(&(text.len() as u64).to_le_bytes());
        self.0.write(text.as_bytes());
    }

    fn expr(&mut self, expr: Option<&Expr>) {
        self.tag(u8::from(expr.is_some()));
        self.text(expr.map_or("", |expr| &expr.text));
    }

    fn field(&mut self, field: &Field) {
        self.text(&field.name);
        match &field.value {
            FieldSource::Value(expr) => {
                self.tag(1);
                self.text(&expr.text);
            }
            FieldSource::Const(value) => {
                self.tag(2);
                self.value(value);
            }
            FieldSource::Reference { mappings, value } => {
                self.tag(3);
                for mapping in mappings {
                    self.text(mapping);
                }
                match value {
                    Some(value) => self.text(&value.text),
                    None => self.tag(1),
                }
            }
            FieldSource::Unkept { object, by, value } => {
                self.tag(4);
                self.text(object);
                self.text(by);
                self.text(&value.text);
            }
        }
        self.tag(u8::from(field.map.is_some()));
        if let Some(map) = &field.map {
            self.0.write(&(map.entries.len() as u64).to_le_bytes());
            for (from, to) in &map.entries {
                self.text(from);
                self.value(to);
            }
            match &map.other {
                MapOther::Bad => self.tag(1),
                MapOther::Keep => self.tag(2),
                MapOther::Reject => self.tag(3),
                MapOther::Const(value) => {
                    self.tag(4);
                    self.value(value);
                }
            }
        }
        let on_bad = match field.on_bad {
            OnBad::Omit => 1,
            OnBad::Null => 2,
            OnBad::Reject => 3,
        };
        self.0.write(&[u8::from(field.required), on_bad, u8::from(field.create_only)]);
        self.forms(field);
    }

    /// What a field need not have: nothing is added to the hash where it is not said, so that a mapping that does without
    /// keeps its revision.
    fn forms(&mut self, field: &Field) {
        if let Some(when) = &field.when {
            self.tag(20);
            self.text(&when.text);
        }
        if let Some(value) = &field.on_create {
            self.tag(21);
            self.value(value);
        }
        match &field.check {
            None => {}
            Some(Check::Siret) => self.tag(22),
            Some(Check::Vat) => self.tag(23),
            Some(Check::Iban) => self.tag(24),
            Some(Check::Pattern(text)) => {
                self.tag(25);
                self.text(text);
            }
        }
        match field.missing {
            Missing::Omit => {}
            Missing::Null => self.tag(26),
            Missing::Reject => self.tag(27),
            Missing::Wait(time) => {
                self.tag(28);
                self.0.write(&(time.as_millis() as u64).to_le_bytes());
            }
        }
    }

    /// Which rows are written at all: one that was left out is looked at again when it no longer is.
    fn reach(&mut self, config: &Mapping) {
        let Standard { country, date, empty_is_null, lookups } = &*config.standard;
        for (tag, text) in [(30, country), (31, date)] {
            if let Some(text) = text {
                self.tag(tag);
                self.text(text);
            }
        }
        if *empty_is_null {
            self.tag(32);
        }
        // All of them: which one an expression names is known when it is compiled, and one too many does no harm.
        if expressions(config).any(|expr| expr.text.contains("lookup")) {
            for (name, lookup) in lookups {
                self.tag(36);
                self.text(name);
                self.0.write(&lookup.hash.to_le_bytes());
            }
        }
        if config.observe {
            self.tag(33);
        }
        if let Some(limit) = config.canary.limit {
            self.tag(34);
            self.0.write(&limit.to_le_bytes());
        }
        if let Some(only) = &config.canary.only {
            self.tag(35);
            self.0.write(&(only.len() as u64).to_le_bytes());
            for key in only {
                self.text(key);
            }
        }
    }

    /// Relations that are asked, with all that is in them; nothing is added where there are none.
    fn related<'r>(&mut self, with: impl Iterator<Item = &'r Related>) {
        for related in with {
            self.tag(38);
            self.text(&related.name);
            for table in &related.tables {
                self.tag(1);
                self.text(&table.schema);
                self.text(&table.name);
            }
            for (left, right) in &related.on {
                self.tag(2);
                self.text(&left.text);
                self.text(&right.text);
            }
            self.expr(related.filter.as_ref());
            match &related.form {
                RelatedForm::One { pick } => {
                    self.tag(3);
                    self.expr(pick.as_ref());
                }
                // What `only` has is in what expressions name.
                RelatedForm::Pivot { name, value, only: _, pick } => {
                    self.tag(4);
                    self.text(&name.text);
                    self.text(&value.text);
                    self.expr(pick.as_ref());
                }
                RelatedForm::Rollup(figures) => {
                    for (name, expr) in figures {
                        self.tag(5);
                        self.text(name);
                        self.text(&expr.text);
                    }
                }
            }
            self.nested(&related.with);
            self.tag(39);
        }
    }

    fn nested(&mut self, with: &[Related]) {
        self.related(with.iter());
    }

    fn value(&mut self, value: &FieldValue) {
        match value {
            FieldValue::Null => self.tag(1),
            FieldValue::Bool(b) => self.0.write(&[2, u8::from(*b)]),
            FieldValue::Number(n) => {
                self.tag(3);
                self.text(n);
            }
            FieldValue::Text(text) => {
                self.tag(4);
                self.text(text);
            }
            FieldValue::Reference { key_field, key } => {
                self.tag(5);
                self.text(key_field);
                self.text(key);
            }
            FieldValue::ReferenceById(crm_id) => {
                self.tag(6);
                self.text(crm_id);
            }
        }
    }
}
