//! Records as the CRM is to hold them, and what it answered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

/// A field's value on its way to a CRM: what JSON can carry, with exact numbers.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum FieldValue {
    /// Clears the field.
    Null,
    /// A checkbox.
    Bool(bool),
    /// A JSON number, as its exact text.
    Number(String),
    /// Text, and everything that travels as text: dates, times, picklist values.
    Text(String),
    /// Another record, by its external key.
    Reference {
        /// The external key's field on that record.
        key_field: String,
        /// The external key itself.
        key: String,
    },
    /// Another record, by the CRM's own id: while its external key is changing.
    ReferenceById(String),
}

impl FieldValue {
    /// Whether it names another record.
    pub fn is_reference(&self) -> bool {
        matches!(self, Self::Reference { .. } | Self::ReferenceById(_))
    }
}

impl fmt::Display for FieldValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("null"),
            Self::Bool(b) => write!(f, "{b}"),
            Self::Number(n) => f.write_str(n),
            Self::Text(text) => f.write_str(text),
            Self::Reference { key_field, key } => write!(f, "{key_field}={key}"),
            Self::ReferenceById(crm_id) => write!(f, "id {crm_id}"),
        }
    }
}

/// Which form of write a record needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub enum WriteOp {
    /// The whole record, by external key: creates it, or completes one that is there.
    Upsert,
    /// Some fields of a record whose CRM id is known: cannot create.
    Update,
    /// Removes a record whose CRM id is known.
    Delete,
    /// Writes nothing: looks a record's id up by its external key, after a creation whose answer was never noted.
    Find,
}

/// One record's write. A request carries writes of one object and one [`WriteOp`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Write {
    /// The CRM object, by its API name.
    pub object: Arc<str>,
    /// The form.
    pub op: WriteOp,
    /// The external key's field.
    pub key_field: Arc<str>,
    /// The external key, as text. For an update it is for people: the record is addressed by `crm_id`.
    pub key: FieldValue,
    /// The CRM's own id; always there for [`WriteOp::Update`] and [`WriteOp::Delete`].
    pub crm_id: Option<String>,
    /// The fields to write, without the key. An update that renames carries the new key here.
    pub fields: Vec<(Arc<str>, FieldValue)>,
}

impl Write {
    /// Whether it gives a record that is there another external key, or makes sure of the one it has.
    pub fn moves_key(&self) -> bool {
        self.op == WriteOp::Update && self.fields.iter().any(|(name, _)| *name == self.key_field)
    }
}

/// How far a reason to wait reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RetryScope {
    /// This record only (a locked row).
    Record,
    /// Every record of the object.
    Object,
    /// Everything under this credential.
    Credential,
}

/// Why the CRM will not take a record, in its own words.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// The vendor's code (`STRING_TOO_LONG`).
    pub code: String,
    /// The vendor's message.
    pub message: String,
    /// The fields it names.
    pub fields: Vec<String>,
}

/// What became of one record of a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The CRM holds this version now. For a delete: the record is not there any more.
    Accepted {
        /// The CRM's id of the record.
        crm_id: String,
        /// Whether the write created it.
        created: bool,
    },
    /// The record will not be taken as it is, however often it is sent.
    Rejected(Refusal),
    /// No record has this CRM id (any more).
    Missing,
    /// The record that a reference names is not there (yet).
    ParentMissing(Refusal),
    /// Not now.
    Retry {
        /// How far the reason reaches.
        scope: RetryScope,
        /// Why, in the vendor's words.
        refusal: Refusal,
    },
}

/// The CRM's own count of the calls used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage {
    /// Calls used in the vendor's day.
    pub used: u64,
    /// Calls allowed in it.
    pub limit: u64,
}

/// The answer to one request: an outcome for each write, in their order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// One outcome a write.
    pub outcomes: Vec<Outcome>,
    /// The vendor's count, where it tells.
    pub usage: Option<Usage>,
}

/// A request that gave no outcomes. The four classes of error, as far as a request can have them.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RequestError {
    /// The network, the server or its load: back off and send again. The writes may have been done: they are repeated
    /// as they are, which is harmless, since all are addressed by key or id.
    #[error("{text}")]
    Transient {
        /// What happened.
        text: String,
    },
    /// A limit of the CRM was met: nothing was done, and nothing more may be sent before `retry_after`.
    #[error("the CRM's limit is met: {text}")]
    Throttled {
        /// The vendor's words.
        text: String,
        /// How long to wait, where the vendor tells.
        retry_after: Option<Duration>,
        /// The day's budget is used up, not a short window.
        daily: bool,
    },
    /// The request as a whole was refused because of what is in it: split it to find the record.
    #[error("the batch was refused: {}", .0.code)] // the message may repeat cell values
    Rejected(Refusal),
    /// A person has to act: credentials, rights, a wrong address.
    #[error("{code}: {text}")]
    Operator {
        /// The vendor's code or the kind of fault.
        code: String,
        /// What happened.
        text: String,
        /// What to do.
        hint: String,
    },
}
