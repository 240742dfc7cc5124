//! What is wrong with the settings of TLS. All of it waits for a person: each has the hint of what to do.

use std::path::{Path, PathBuf};

/// What stands in the way of TLS on our side.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A file cannot be used.
    #[error(transparent)]
    File(#[from] UnusableFile),
    /// The settings do not go together.
    #[error(transparent)]
    Settings(#[from] WrongSettings),
}

/// A file of certificates or a key cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {why}", .path.display())]
pub struct UnusableFile {
    /// The file.
    pub path: PathBuf,
    /// Why.
    pub why: String,
}

/// The TLS settings contradict each other or the host cannot be verified: the sentence that says so.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct WrongSettings(pub String);

impl UnusableFile {
    /// What to do.
    pub const HINT: &str = "give the file as PEM and let the daemon's user read it";

    pub(crate) fn new(path: &Path, why: &impl ToString) -> Self {
        Self { path: path.to_owned(), why: why.to_string() }
    }
}

impl WrongSettings {
    /// What to do.
    pub const HINT: &str = "correct the `tls` settings of the source";
}
