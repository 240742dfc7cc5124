//! Faults as text: the message, the line with a caret under the place, and what to do.

use std::fmt::Write;

use super::fault::{Fault, Severity};
use super::files::{Files, Line};
use super::model::Place;

/// The widest piece of a line that is shown; longer ones are cut around the place.
const WIDEST_LINE_CHARS: usize = 150;

/// Every fault, and a line that counts them.
pub(super) fn screen(faults: &[Fault], files: &Files, colour: bool) -> String {
    let paint = Paint { colour };
    let mut out = String::new();
    for item in faults {
        fault(&mut out, item, files, &paint);
        out.push('\n');
    }
    let count = |severity| faults.iter().filter(|fault| fault.severity == severity).count();
    if let Some(summary) = summary(count(Severity::Error), count(Severity::Warning)) {
        let _ = writeln!(out, "{}", paint.strong(&summary));
    }
    out
}

/// ANSI sequences, or none.
struct Paint {
    colour: bool,
}

impl Paint {
    fn with(&self, code: &str, text: &str) -> String {
        if self.colour { format!("\x1b[{code}m{text}\x1b[0m") } else { text.to_owned() }
    }

    fn severity(&self, severity: Severity, text: &str) -> String {
        match severity {
            Severity::Error => self.with("1;31", text),
            Severity::Warning => self.with("1;33", text),
        }
    }

    fn frame(&self, text: &str) -> String {
        self.with("1;34", text)
    }

    fn strong(&self, text: &str) -> String {
        self.with("1", text)
    }
}

fn summary(errors: usize, warnings: usize) -> Option<String> {
    let plural = |count: usize, word: &str| format!("{count} {word}{}", if count == 1 { "" } else { "s" });
    match (errors, warnings) {
        (0, 0) => None,
        (0, warnings) => Some(plural(warnings, "warning")),
        (errors, 0) => Some(plural(errors, "error")),
        (errors, warnings) => Some(format!("{}, {}", plural(errors, "error"), plural(warnings, "warning"))),
    }
}

fn fault(out: &mut String, fault: &Fault, files: &Files, paint: &Paint) {
    let word = match fault.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let _ = writeln!(out, "{}{}", paint.severity(fault.severity, word), paint.strong(&format!(": {}", fault.message)));
    let places = fault.place.iter().chain(fault.also.iter().map(|(place, _)| place));
    let gutter = places.filter_map(|place| files.line(place)).map(|line| digits(line.number)).max().unwrap_or(0);
    if let Some(place) = &fault.place {
        snippet(out, &Snippet { place, arrow: "-->", mark: '^', label: "", gutter }, files, paint, fault.severity);
    }
    if let Some((place, label)) = &fault.also {
        snippet(out, &Snippet { place, arrow: ":::", mark: '-', label, gutter }, files, paint, fault.severity);
    }
    if let Some(hint) = &fault.hint {
        if gutter > 0 {
            let _ = writeln!(out, "{:gutter$} {}", "", paint.frame("|"));
        }
        let indent = " ".repeat(gutter + if gutter > 0 { 3 } else { 2 } + "help: ".len());
        let hint = hint.replace('\n', &format!("\n{indent}"));
        let _ = writeln!(out, "{:gutter$} {} {}: {hint}", "", paint.frame("="), paint.strong("help"));
    }
}

struct Snippet<'a> {
    place: &'a Place,
    arrow: &'a str,
    mark: char,
    label: &'a str,
    gutter: usize,
}

fn snippet(out: &mut String, snippet: &Snippet<'_>, files: &Files, paint: &Paint, severity: Severity) {
    let gutter = snippet.gutter;
    let _ = writeln!(out, "{:gutter$}{} {}", "", paint.frame(snippet.arrow), files.locate(snippet.place));
    let Some(line) = files.line(snippet.place) else { return };
    let shown = Shown::new(&line, snippet.place);
    let _ = writeln!(out, "{:gutter$} {}", "", paint.frame("|"));
    let _ = writeln!(
        out,
        "{} {} {}",
        paint.frame(&format!("{:>gutter$}", line.number)),
        paint.frame("|"),
        shown.text.trim_end()
    );
    let mut mark = snippet.mark.to_string().repeat(shown.width);
    if !snippet.label.is_empty() {
        let _ = write!(mark, " {}", snippet.label);
    }
    let mark = if snippet.mark == '^' { paint.severity(severity, &mark) } else { paint.frame(&mark) };
    let _ = writeln!(out, "{:gutter$} {} {:indent$}{mark}", "", paint.frame("|"), "", indent = shown.column);
}

/// A line as it is shown, and where the mark goes, in characters.
struct Shown {
    text: String,
    column: usize,
    width: usize,
}

impl Shown {
    fn new(line: &Line<'_>, place: &Place) -> Self {
        let mut chars = Vec::new();
        let (mut first, mut last) = (None, 0);
        for (offset, char) in line.text.char_indices() {
            let at = line.start + offset;
            let marked = place.span.start < at + char.len_utf8() && at < place.span.end.max(place.span.start + 1);
            let column = chars.len();
            match line.secrets.iter().find(|secret| secret.contains(&at)) {
                Some(secret) if at == secret.start.max(line.start) => chars.extend(['*'; 3]),
                Some(_) => {}
                None if char == '\t' => chars.extend([' '; 4]),
                None if char.is_control() => chars.push('\u{fffd}'),
                None => chars.push(char),
            }
            if marked {
                // Inside a secret the mark covers the stars.
                first.get_or_insert(if chars.len() > column { column } else { column.saturating_sub(3) });
                last = chars.len();
            }
        }
        let column = first.unwrap_or(chars.len());
        let width = last.saturating_sub(column).max(1);
        Self::cut(&chars, column, width)
    }

    fn cut(chars: &[char], column: usize, width: usize) -> Self {
        let start = if column + width > WIDEST_LINE_CHARS { column.saturating_sub(WIDEST_LINE_CHARS / 3) } else { 0 };
        let mut text: String = chars.iter().skip(start).take(WIDEST_LINE_CHARS).collect();
        if start + WIDEST_LINE_CHARS < chars.len() {
            text.push('…');
        }
        let lead = if start > 0 { "…" } else { "" };
        let column = column - start + lead.chars().count();
        Self {
            text: format!("{lead}{text}"),
            column,
            width: width.min(WIDEST_LINE_CHARS - column.min(WIDEST_LINE_CHARS - 1)),
        }
    }
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}
