//! What became of each record of a collections request: the answer's array, and the code table.
//!
//! Pages: `resources-composite-sobjects-collections-upsert.html` (the array, in the order of the request) and
//! `errorcodes.html` (the codes) of the REST guide. Note `statusCode` here, `errorCode` where a whole request is refused.

use passerelle_change::{Outcome, Refusal, RetryScope, Write, WriteOp};
use serde::Deserialize;

use super::names::{id_field, relationship};

/// An answer that does not fit its request. Its text repeats nothing of the answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the answer was not understood: {0}")]
pub(super) struct NotUnderstood(pub(super) String);

/// The most characters kept of a message of the vendor.
const MESSAGE_CHARS: usize = 500;
/// The most characters kept of a code or a name of a field.
const NAME_CHARS: usize = 100;

/// Reads the answer to `writes`: one outcome each, in their order.
pub(super) fn outcomes(writes: &[Write], body: &[u8]) -> Result<Vec<Outcome>, NotUnderstood> {
    let results: Vec<SaveResult> = serde_json::from_slice(body).map_err(|error| {
        NotUnderstood(format!("no list of results (line {}, column {})", error.line(), error.column()))
    })?;
    if results.len() != writes.len() {
        return Err(NotUnderstood(format!("{} results for {} records", results.len(), writes.len())));
    }
    writes.iter().zip(results).map(|(write, result)| outcome(write, result)).collect()
}

#[derive(Deserialize)]
struct SaveResult {
    id: Option<String>,
    success: bool,
    created: Option<bool>,
    errors: Option<Vec<RecordError>>,
}

#[derive(Deserialize)]
struct RecordError {
    #[serde(rename = "statusCode")]
    code: String,
    message: Option<String>,
    fields: Option<Vec<String>>,
}

/// What a code means for a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Meaning {
    /// However often it is sent.
    Permanent,
    /// Nobody has this id any more.
    Gone,
    /// A record referred to is not there.
    Parent,
    /// Wait and send it again.
    Later(Scope),
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Scope {
    Record,
    Credential,
}

/// Codes that wait. Every code that stands neither here nor in [`meaning`] is permanent: a dead letter is seen, a record
/// that is sent for ever is not.
const LATER: [(&str, Scope); 12] = [
    ("UNABLE_TO_LOCK_ROW", Scope::Record),
    ("QUERY_TIMEOUT", Scope::Record),
    ("REQUEST_RUNNING_TOO_LONG", Scope::Record),
    ("UNKNOWN_EXCEPTION", Scope::Record),
    ("PROCESSING_HALTED", Scope::Record),
    ("ALL_OR_NONE_OPERATION_ROLLED_BACK", Scope::Record),
    ("SERVER_UNAVAILABLE", Scope::Credential),
    ("REQUEST_LIMIT_EXCEEDED", Scope::Credential),
    ("STORAGE_LIMIT_EXCEEDED", Scope::Credential),
    ("API_CURRENTLY_DISABLED", Scope::Credential),
    ("API_DISABLED_FOR_ORG", Scope::Credential),
    ("INVALID_SESSION_ID", Scope::Credential),
];

/// Words of a trigger's or a flow's failure (`CANNOT_INSERT_UPDATE_ACTIVATE_ENTITY` and the like) that pass with time.
const PASSING: [&str; 2] = ["UNABLE_TO_LOCK_ROW", "Too many SOQL queries"];

fn outcome(write: &Write, result: SaveResult) -> Result<Outcome, NotUnderstood> {
    if result.success {
        return accepted(write, result);
    }
    let errors = result.errors.unwrap_or_default();
    // The gravest error speaks for the record: the permanent first, since it remains when the others have passed.
    let Some((meaning, error)) =
        errors.into_iter().map(|error| (meaning(write, &error), error)).min_by_key(|(m, _)| *m)
    else {
        let message = "the CRM refused the record and gave no reason".into();
        return Ok(Outcome::Rejected(Refusal { code: "NO_REASON".into(), message, fields: Vec::new() }));
    };
    let refusal = refusal(error.code, error.message.unwrap_or_default(), error.fields.unwrap_or_default());
    Ok(match (meaning, write.op, &write.crm_id) {
        (Meaning::Permanent, _, _) => Outcome::Rejected(refusal),
        (Meaning::Gone, WriteOp::Delete, Some(id)) => Outcome::Accepted { crm_id: id.clone(), created: false },
        (Meaning::Gone, WriteOp::Upsert | WriteOp::Update | WriteOp::Delete | WriteOp::Find, _) => Outcome::Missing,
        (Meaning::Parent, _, _) => Outcome::ParentMissing(refusal),
        (Meaning::Later(Scope::Record), _, _) => Outcome::Retry { scope: RetryScope::Record, refusal },
        (Meaning::Later(Scope::Credential), _, _) => Outcome::Retry { scope: RetryScope::Credential, refusal },
    })
}

fn accepted(write: &Write, result: SaveResult) -> Result<Outcome, NotUnderstood> {
    let told = result.id.filter(|id| is_id(id));
    match (write.op, &write.crm_id, told) {
        (WriteOp::Upsert, _, Some(crm_id)) => match result.created {
            Some(created) => Ok(Outcome::Accepted { crm_id, created }),
            None => Err(NotUnderstood("a success does not say whether it created".into())),
        },
        (WriteOp::Update | WriteOp::Delete, Some(asked), Some(told)) if !same_id(asked, &told) => {
            Err(NotUnderstood("a success names another record".into()))
        }
        (WriteOp::Update | WriteOp::Delete, Some(asked), _) => {
            Ok(Outcome::Accepted { crm_id: asked.clone(), created: false })
        }
        (WriteOp::Find, _, Some(crm_id)) => Ok(Outcome::Accepted { crm_id, created: false }),
        (WriteOp::Upsert | WriteOp::Find, _, None) | (WriteOp::Update | WriteOp::Delete, None, _) => {
            Err(NotUnderstood("a success names no record".into()))
        }
    }
}

fn meaning(write: &Write, error: &RecordError) -> Meaning {
    let message = error.message.as_deref().unwrap_or_default();
    let by_id = write.op != WriteOp::Upsert;
    match error.code.as_str() {
        "INVALID_FIELD" if message.starts_with("Foreign key external ID:") => Meaning::Parent,
        "NOT_FOUND" if by_id => Meaning::Gone,
        // Of our own id, or of a reference: where the vendor names no field, "gone" is the safe reading of an update, since
        // what follows is an upsert by key, which refuses the reference by its name if that is what is missing.
        "ENTITY_IS_DELETED" | "INVALID_CROSS_REFERENCE_KEY" => {
            let names_reference = names_reference(write, error);
            if names_reference == Some(true) {
                Meaning::Parent
            } else if by_id && names_reference.is_none() {
                Meaning::Gone
            } else if names_reference.is_none() && has_reference(write) {
                Meaning::Parent
            } else {
                Meaning::Permanent
            }
        }
        code => match LATER.iter().find(|(known, _)| *known == code) {
            Some((_, scope)) => Meaning::Later(*scope),
            None if PASSING.iter().any(|words| message.contains(words)) => Meaning::Later(Scope::Record),
            None => Meaning::Permanent,
        },
    }
}

fn has_reference(write: &Write) -> bool {
    write.fields.iter().any(|(_, value)| value.is_reference())
}

/// Whether the fields that the error names are references of the write; `None` where it names none, or only the id.
fn names_reference(write: &Write, error: &RecordError) -> Option<bool> {
    let named: Vec<_> = error.fields.iter().flatten().filter(|name| !name.eq_ignore_ascii_case("Id")).collect();
    if named.is_empty() {
        return None;
    }
    let is_reference = |name: &str| {
        write.fields.iter().any(|(field, value)| {
            value.is_reference()
                && (relationship(field).eq_ignore_ascii_case(name) || id_field(field).eq_ignore_ascii_case(name))
        })
    };
    Some(named.into_iter().any(|name| is_reference(name)))
}

/// The vendor's words, bounded.
pub(super) fn refusal(code: String, message: String, fields: Vec<String>) -> Refusal {
    let cut = |text: String, most: usize| match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    };
    Refusal {
        code: cut(code, NAME_CHARS),
        message: cut(message, MESSAGE_CHARS),
        fields: fields.into_iter().take(50).map(|field| cut(field, NAME_CHARS)).collect(),
    }
}

/// Whether a text can be a record's id: 15 or 18 letters and digits.
pub(super) fn is_id(text: &str) -> bool {
    matches!(text.len(), 15 | 18) && text.bytes().all(|b| b.is_ascii_alphanumeric())
}

/// Whether two ids are one record's: the last three of 18 are a checksum of the first 15.
pub(super) fn same_id(a: &str, b: &str) -> bool {
    match (a.get(..15), b.get(..15)) {
        (Some(a), Some(b)) => a == b,
        (Some(_) | None, _) => a == b,
    }
}

#[cfg(test)]
mod tests;
