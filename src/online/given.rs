//! What a field's value can be, as the mapping has it.

use std::collections::BTreeSet;

use passerelle_change::FieldValue;

use crate::config::model::{Field, FieldSource, MapOther, Mapping, Place};
use crate::mapping::{Compile, Sent, Shape};

/// What is known of a field's values.
#[derive(Debug, Default)]
pub(super) struct Given {
    /// How they are sent; none where it is not known.
    pub(super) sent: Vec<Sent>,
    /// Texts that the mapping itself writes: constants, and what a map leads to.
    pub(super) written: BTreeSet<String>,
    /// Texts that the expression may give, where they are known.
    pub(super) may_be: BTreeSet<String>,
    /// The most characters that the expression gives.
    pub(super) most_chars: Option<u32>,
    /// Digits in all and after the point, of a column.
    pub(super) precision: Option<(u16, i16)>,
    /// Where the value stands.
    pub(super) place: Option<Place>,
}

impl Given {
    /// Of a field of a mapping that is compiled with this; without it only what the mapping itself says is known.
    pub(super) fn of(field: &Field, mapping: &Mapping, with: Option<&Compile<'_>>) -> Self {
        let mut given = Self::default();
        match &field.value {
            FieldSource::Const(value) => given.constant(value),
            FieldSource::Value(expr) => {
                given.place = Some(expr.place.clone());
                let shape = with.and_then(|with| Shape::of(&expr.text, mapping, with));
                match &field.map {
                    None => given.expression(shape),
                    Some(map) => {
                        map.entries.values().for_each(|value| given.constant(value));
                        match &map.other {
                            MapOther::Keep => given.expression(shape),
                            MapOther::Const(value) => given.constant(value),
                            MapOther::Bad | MapOther::Reject => {}
                        }
                    }
                }
            }
            FieldSource::Reference { .. } | FieldSource::Unkept { .. } => {
                given.place = field.value.expr().map(|value| value.place.clone());
            }
        }
        given
    }

    /// Of a constant.
    pub(super) fn of_constant(value: &FieldValue) -> Self {
        let mut given = Self::default();
        given.constant(value);
        given
    }

    fn constant(&mut self, value: &FieldValue) {
        let sent = match value {
            FieldValue::Bool(_) => Sent::Bool,
            FieldValue::Number(text) if text.contains(['.', 'e', 'E']) => Sent::Number,
            FieldValue::Number(_) => Sent::Integer,
            FieldValue::Text(text) => {
                self.written.insert(text.clone());
                Sent::Text
            }
            FieldValue::Null | FieldValue::Reference { .. } | FieldValue::ReferenceById(_) => return,
        };
        self.add(sent);
    }

    fn expression(&mut self, shape: Option<Shape>) {
        let Some(shape) = shape else { return };
        if shape.sent != Sent::Null {
            self.add(shape.sent);
        }
        self.most_chars = shape.most_chars;
        self.may_be = shape.texts.unwrap_or_default();
        self.precision = shape.precision;
    }

    fn add(&mut self, sent: Sent) {
        if !self.sent.contains(&sent) {
            self.sent.push(sent);
        }
    }

    /// The type of a field that would hold them, and its length, as Salesforce's pages for new fields name them; and what
    /// there is to know.
    pub(super) fn wanted_type(&self) -> (String, String, String) {
        let plain = |kind: &str| (kind.to_owned(), String::new(), String::new());
        match self.sent[..] {
            [Sent::Bool] => plain("Checkbox"),
            [Sent::Integer] => ("Number".to_owned(), "18, 0".to_owned(), String::new()),
            [Sent::Number] | [Sent::Integer, Sent::Number] | [Sent::Number, Sent::Integer] => {
                let (all, scale) = self.precision.unwrap_or((18, 2));
                let scale = u16::try_from(scale).unwrap_or(0).min(17);
                let whole = all.saturating_sub(scale).clamp(1, 18 - scale);
                ("Number".to_owned(), format!("{whole}, {scale}"), "digits before and after the point".to_owned())
            }
            [Sent::Date] => plain("Date"),
            [Sent::Time] => plain("Time"),
            [Sent::Instant] => plain("Date/Time"),
            [Sent::List] => ("Picklist (Multi-Select)".to_owned(), String::new(), "or Text Area (Long)".to_owned()),
            _ if !self.written.is_empty() || !self.may_be.is_empty() => {
                let values: BTreeSet<&str> = self.written.union(&self.may_be).map(String::as_str).collect();
                let note = format!("values: {}", values.into_iter().collect::<Vec<_>>().join("; "));
                ("Picklist".to_owned(), String::new(), note)
            }
            _ => self.text_type(),
        }
    }

    fn text_type(&self) -> (String, String, String) {
        match self.most_chars {
            Some(most) if most <= 255 => ("Text".to_owned(), most.max(1).to_string(), String::new()),
            Some(most) => ("Text Area (Long)".to_owned(), most.max(256).to_string(), String::new()),
            None if self.sent.is_empty() => {
                ("Text".to_owned(), "255".to_owned(), "the type is not known: the table could not be read".to_owned())
            }
            None => {
                let note = "longer values are refused: truncate them in the mapping, or make it Text Area (Long)";
                ("Text".to_owned(), "255".to_owned(), note.to_owned())
            }
        }
    }
}
