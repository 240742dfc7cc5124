//! What is wrong with a configuration: all of it at once, each fault with its place and what to do.

use std::ffi::OsStr;
use std::fmt;
use std::io::IsTerminal;
use std::ops::Range;

use super::files::Files;
use super::model::Place;
use super::not_toml;
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
    /// Something is not there: it may be in what could not be read.
    pub(super) absent: bool,
}

impl Fault {
    /// An error without a place yet.
    pub fn error(message: impl Into<String>) -> Self {
        let message = message.into();
        Self { severity: Severity::Error, place: None, message, also: None, hint: None, absent: false }
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

    /// Something is not there: not said where a file could not be read as TOML.
    #[must_use]
    pub(super) fn absent(self) -> Self {
        Self { absent: true, ..self }
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

/// Takes out what only follows from `broken`, the faults of lines that are no TOML: what is missing may stand there, and
/// what stands in the same line, or under a table's head that could not be read, is not what it seems.
pub(super) fn drop_echoes(broken: &[Fault], list: &mut Vec<Fault>, files: &Files) {
    let lines = broken.iter().filter(|fault| fault.also.is_none()).filter_map(|fault| {
        let place = fault.place.as_ref()?;
        let opens = files.line(place).is_some_and(|line| line.text.contains(['{', '[']) && line.text.contains('='));
        let is_open = fault.message == not_toml::SWALLOWED || (opens && fault.message.contains("no closing"));
        Some((place.file, files.reach(place, is_open)))
    });
    let lines: Vec<(usize, Range<usize>)> = lines.collect();
    if lines.is_empty() {
        return;
    }
    let is_echo = |fault: &Fault| {
        let place = fault.place.as_ref();
        fault.absent
            || place.is_some_and(|place| {
                lines.iter().any(|(file, reach)| *file == place.file && reach.contains(&place.span.start))
            })
    };
    list.retain(|fault| broken.contains(fault) || fault.severity == Severity::Warning || !is_echo(fault));
    list.retain(|fault| !(fault.absent && fault.severity == Severity::Warning));
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.render(false).trim_end())
    }
}

impl std::error::Error for Faults {}

fn colours() -> bool {
    takes_colours(&std::io::stderr())
}

/// Whether a stream is shown in colours: on a terminal that has some, unless `NO_COLOR` is set.
pub fn takes_colours(stream: &impl IsTerminal) -> bool {
    let [no_color, term] = ["NO_COLOR", "TERM"].map(std::env::var_os);
    stream.is_terminal() && wants_colours(no_color.as_deref(), term.as_deref())
}

fn wants_colours(no_color: Option<&OsStr>, term: Option<&OsStr>) -> bool {
    no_color.is_none_or(OsStr::is_empty) && term.is_none_or(|term| term != "dumb")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn colours_are_for_terminals_that_want_them() {
        let wants =
            |no_color: Option<&str>, term: Option<&str>| wants_colours(no_color.map(OsStr::new), term.map(OsStr::new));
        assert!(wants(None, Some("xterm")) && wants(Some(""), None));
        assert!(!wants(Some("1"), Some("xterm")) && !wants(None, Some("dumb")));
        assert!(!takes_colours(&std::fs::File::open("/dev/null").expect("a file")));
    }

    #[test]
    fn a_screen_has_its_colours_or_none() {
        let faults = Faults::new(vec![Fault::error("x is wrong").hint("write y")], Files::default());
        assert!(!faults.render(false).contains('\u{1b}'));
        assert!(faults.render(true).starts_with("\u{1b}[1;31merror"), "{:?}", faults.render(true));
    }
}
