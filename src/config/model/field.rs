//! Fields as the rest of the daemon reads them.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::FieldValue;

use super::{Expr, Place};

/// One field of a mapping.
#[expect(clippy::struct_excessive_bools, reason = "each is a key of its own")]
#[derive(Clone, Debug)]
pub struct Field {
    /// The CRM field.
    pub name: Arc<str>,
    /// Where its value comes from.
    pub value: FieldSource,
    /// `map`: from the value's text to the CRM's.
    pub map: Option<FieldMap>,
    /// A record without it is a dead letter.
    pub required: bool,
    /// A value that cannot be mapped.
    pub on_bad: OnBad,
    /// Sent when the record is created and never again (`authority = "create_only"`).
    pub create_only: bool,
    /// The field is left out where this is not true.
    pub when: Option<Expr>,
    /// What a new record begins with; the value follows at once.
    pub on_create: Option<FieldValue>,
    /// What a value has to be; another one is bad.
    pub check: Option<Check>,
    /// A reference whose record is not in the CRM.
    pub missing: Missing,
    /// A change of it goes ahead of everything else.
    pub urgent: bool,
    /// What a person edits in the CRM is put back.
    pub enforce: bool,
    /// Where it stands.
    pub place: Place,
}

/// Where a field's value comes from.
#[derive(Clone, Debug)]
pub enum FieldSource {
    /// An expression over the row.
    Value(Expr),
    /// A constant.
    Const(FieldValue),
    /// The record of the first of some mappings that has one for a row; the expression gives the row key of the parent
    /// (one value, or a list for a key of several columns).
    Reference {
        /// Names of the parents' mappings: at least one, each once.
        mappings: Vec<String>,
        /// The parent's row key; `None`: that of the row itself, of which the other mapping makes a record, too.
        value: Option<Expr>,
    },
    /// A record of the CRM that no mapping keeps, found by a field; written by its id.
    Unkept {
        /// Its object.
        object: Arc<str>,
        /// The field.
        by: Arc<str>,
        /// The field's value.
        value: Expr,
    },
}

impl FieldSource {
    /// Its expression, if it is made of one.
    pub fn expr(&self) -> Option<&Expr> {
        match self {
            Self::Value(expr) | Self::Unkept { value: expr, .. } => Some(expr),
            Self::Reference { value, .. } => value.as_ref(),
            Self::Const(_) => None,
        }
    }

    /// The mappings to whose records it refers.
    pub fn parents(&self) -> &[String] {
        match self {
            Self::Reference { mappings, .. } => mappings,
            Self::Unkept { .. } | Self::Value(_) | Self::Const(_) => &[],
        }
    }

    /// Whether it names another record.
    pub fn is_reference(&self) -> bool {
        match self {
            Self::Reference { .. } | Self::Unkept { .. } => true,
            Self::Value(_) | Self::Const(_) => false,
        }
    }
}

/// `map` of a field.
#[derive(Clone, Debug)]
pub struct FieldMap {
    /// From text to the CRM's value.
    pub entries: BTreeMap<String, FieldValue>,
    /// `other`.
    pub other: MapOther,
}

/// `other` of a map: a value that it does not name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MapOther {
    /// The field follows `on_bad`. The default.
    Bad,
    /// Passed on as it is (`other = "keep"`).
    Keep,
    /// The record is refused (`other = "reject"`).
    Reject,
    /// This value instead (`other = { const = "Other" }`).
    Const(FieldValue),
}

/// `on_bad` of a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum OnBad {
    /// Left out, counted, shown.
    #[default]
    Omit,
    /// Cleared.
    Null,
    /// The record is a dead letter.
    Reject,
}

/// `check` of a field: what its value has to be, if there is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A French SIRET: 14 digits with their check digit.
    Siret,
    /// A VAT number of the European Union, Northern Ireland, Norway or Switzerland by its form; a French one with its
    /// key.
    Vat,
    /// An IBAN: of its country's length, with its check digits.
    Iban,
    /// Text that this regular expression matches as a whole. It compiles.
    Pattern(String),
}

/// `missing` of a reference: its record is not in the CRM, and will not be before its turn comes again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub enum Missing {
    /// Left out, and sent when the record is there.
    #[default]
    Omit,
    /// Cleared, and sent when the record is there.
    Null,
    /// The record is a dead letter until then.
    Reject,
    /// The record waits for it that long, and goes without it then, as with `Omit`.
    Wait(Duration),
}
