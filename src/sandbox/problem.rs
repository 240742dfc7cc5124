//! How the sandbox says no, in Salesforce's words.

use serde_json::{Value, json};

/// Why one record was not written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem {
    /// The vendor's code, such as `STRING_TOO_LONG`.
    pub code: String,
    /// The vendor's sentence.
    pub message: String,
    /// The fields it is about.
    pub fields: Vec<String>,
}

impl Problem {
    /// A problem that is about no field in particular.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self { code: code.to_owned(), message: message.into(), fields: Vec::new() }
    }

    /// The same, about a field.
    #[must_use]
    pub fn about(mut self, field: &str) -> Self {
        self.fields.push(field.to_owned());
        self
    }

    pub(super) fn no_such_column(field: &str, object: &str) -> Self {
        Self::new("INVALID_FIELD", format!("No such column '{field}' on sobject of type {object}"))
    }

    pub(super) fn deserialize(kind: &str, token: &str, value: &str) -> Self {
        let text = format!(
            "Cannot deserialize instance of {kind} from {token} value {value} or request may be missing a required field at [line:1, column:1]"
        );
        Self::new("JSON_PARSER_ERROR", text)
    }

    /// As it stands in the `errors` of one record's result.
    pub(super) fn of_record(&self) -> Value {
        json!({"statusCode": self.code, "message": self.message, "fields": self.fields})
    }
}

/// Why a whole request was refused.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// HTTP status.
    pub status: u16,
    /// Code and message.
    pub problem: Problem,
    /// `Retry-After`, in seconds.
    pub retry_after: Option<u64>,
}

impl Refusal {
    /// A refusal without `Retry-After`.
    pub fn new(status: u16, code: &str, message: impl Into<String>) -> Self {
        Self { status, problem: Problem::new(code, message), retry_after: None }
    }

    pub(super) fn not_found() -> Self {
        Self::new(404, "NOT_FOUND", "The requested resource does not exist")
    }

    pub(super) fn no_external_id(field: &str) -> Self {
        Self::new(404, "NOT_FOUND", format!("Provided external ID field does not exist or is not accessible: {field}"))
    }

    pub(super) fn json(message: impl Into<String>) -> Self {
        Self::new(400, "JSON_PARSER_ERROR", message)
    }

    /// The body: a list with one error, as the vendor's.
    pub(super) fn body(&self) -> Value {
        if self.problem.fields.is_empty() {
            return json!([{"message": self.problem.message, "errorCode": self.problem.code}]);
        }
        json!([{"message": self.problem.message, "errorCode": self.problem.code, "fields": self.problem.fields}])
    }
}

impl From<Problem> for Refusal {
    /// What does not decode refuses the request, with status 400.
    fn from(problem: Problem) -> Self {
        Self { status: 400, problem, retry_after: None }
    }
}
