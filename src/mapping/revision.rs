//! A hash of what a mapping says, the same over restarts and machines.

use std::hash::Hasher;

use passerelle_change::FieldValue;
use siphasher::sip::SipHasher24;

use crate::config::model::{Expr, Field, FieldSource, MapOther, Mapping, OnBad};

/// Raised when the same text begins to mean something else.
const LANGUAGE: u8 = 1;

/// Everything that changes the outcome of an evaluation, and where it goes; not policies, not places, not order of time.
pub(super) fn of(config: &Mapping, time_zone: &str) -> u64 {
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
            FieldSource::Reference { mapping, value } => {
                self.tag(3);
                self.text(mapping);
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
