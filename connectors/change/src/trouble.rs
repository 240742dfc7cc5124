//! What stands in the way of following a source, in words that both kinds of database share.

/// Who can do something about an error.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Class {
    /// Time: back off and connect again.
    Transient,
    /// A person: the source stops until then.
    Operator {
        /// What to do.
        hint: String,
    },
    /// Nobody while the process runs: what we hold contradicts what the server says.
    Fatal,
}

/// One thing that was found when a source was checked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// A word that never changes, for scripts.
    pub code: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is so, in a line.
    pub title: String,
    /// What follows from it.
    pub detail: String,
    /// What mends it: exact SQL statements, or a line of a configuration file.
    pub remedy: Option<String>,
}

/// How bad a [`Finding`] is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The source cannot start, or would lose changes.
    Fault,
    /// It can; someone should know.
    Warning,
}

impl Finding {
    /// One without which nothing goes.
    pub fn fault(code: &'static str, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { code, severity: Severity::Fault, title: title.into(), detail: detail.into(), remedy: None }
    }

    /// One that someone should know of.
    pub fn warning(code: &'static str, title: impl Into<String>, detail: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::fault(code, title, detail) }
    }

    /// What mends it.
    #[must_use]
    pub fn mended_by(self, remedy: impl Into<String>) -> Self {
        Self { remedy: Some(remedy.into()), ..self }
    }
}
