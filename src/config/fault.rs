//! What is wrong with a configuration: all of it at once, each fault with its place and what to do.

use std::fmt;
use std::io::IsTerminal;

use super::files::Files;
use super::model::Place;
use super::render;

/// How bad it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Nothing runs with it.
    Error,
    /// It runs, but somebody should look.
    Warning,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// How bad it is.
    pub severity: Severity,
    /// Where, if it is in a file.
    pub place: Option<Place>,
    /// What: lower-case, without full stop, never with a secret or a cell's value.
    pub message: String,
    /// A second place that has to do with it, and what is there.
    pub also: Option<(Place, String)>,
    /// What to do.
    pub hint: Option<String>,
}

impl Fault {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        Self { severity: Severity::Error, place: None, message: message.into(), also: None, hint: None }
    }

    /// A warning without a place yet.
    pub fn warning(message: impl Into<String>) -> Self {
        Self { severity: Severity::Warning, ..Self::error(message) }
    }

    /// Where it is.
    #[must_use]
    pub fn at(self, place: &Place) -> Self {
        Self { place: Some(place.clone()), ..self }
    }

    /// What to do about it.
    #[must_use]
    pub fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }

    /// The same where there may be no hint.
    #[must_use]
    pub fn maybe_hint(self, hint: Option<String>) -> Self {
        Self { hint, ..self }
    }

    /// A second place, with two or three words on what is there.
    #[must_use]
    pub fn also(self, place: &Place, label: impl Into<String>) -> Self {
        Self { also: Some((place.clone(), label.into())), ..self }
    }
}

/// Everything that is wrong, with the files to show it in. At least one fault is an error.
///
/// `Display` gives the whole screen without colours; [`Faults::print`] writes it to stderr.
#[derive(Debug)]
pub struct Faults {
    /// Errors and warnings, in the order of the files.
    pub list: Vec<Fault>,
    /// The files.
    pub files: Files,
}

impl Faults {
    /// Sorts faults by their place; those without one come first.
    pub fn new(mut list: Vec<Fault>, files: Files) -> Self {
        list.sort_by_key(|fault| fault.place.as_ref().map(|place| (place.file, place.span.start)));
        list.dedup();
        Self { list, files }
    }

    /// The screen: each fault, then a line that counts them.
    pub fn render(&self, colour: bool) -> String {
        render::screen(&self.list, &self.files, colour)
    }

    /// Writes the screen to stderr; with colours on a terminal, unless `NO_COLOR` is set.
    pub fn print(&self) {
        eprint!("{}", self.render(colours()));
    }
}

/// Writes faults found after loading, or the warnings of a configuration that is good, to stderr.
pub fn print(faults: &[Fault], files: &Files) {
    eprint!("{}", render::screen(faults, files, colours()));
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

fn colours() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty()) && std::io::stderr().is_terminal()
}
