//! Faults as text: the message, the line with a caret under the place, and what to do.

use std::fmt::Write;

use super::fault::{Fault, Severity};
use super::files::{Files, Line};
use super::model::Place;

/// How wide a screen is, in characters: longer lines are cut around the place, hints go on in the next line. The same
/// everywhere, so that a screen can be sent to somebody.
const WIDTH: usize = 80;

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
        let indent = gutter + " = help: ".len();
        let lines: Vec<String> = hint.lines().flat_map(|line| wrapped(line, WIDTH - indent)).collect();
        let hint = lines.join(&format!("\n{}", " ".repeat(indent)));
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
    let shown = Shown::new(&line, snippet.place, WIDTH - gutter - " | ".len());
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
    fn new(line: &Line<'_>, place: &Place, widest: usize) -> Self {
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
        Self::cut(&chars, column, width, widest)
    }

    /// At most `widest` characters of a line, with the place among them and an ellipsis where it is cut.
    fn cut(chars: &[char], column: usize, width: usize, widest: usize) -> Self {
        if chars.len() <= widest {
            return Self { text: chars.iter().collect(), column, width };
        }
        // The end of the place can be seen, and where it fits some of what stands before.
        let room = widest - 1;
        let start = if column + width < room {
            0
        } else {
            (column + width + 1).saturating_sub(room).min(column.saturating_sub(8))
        };
        let lead = usize::from(start > 0);
        let cut_end = start + room - lead < chars.len();
        let shown = &chars[start..chars.len().min(start + room - lead + usize::from(!cut_end))];
        let (before, behind) = (if lead > 0 { "…" } else { "" }, if cut_end { "…" } else { "" });
        let text = format!("{before}{}{behind}", shown.iter().collect::<String>());
        let column = column - start + lead;
        Self { text, column, width: width.min(widest.saturating_sub(column).max(1)) }
    }
}

/// A hint's line as lines of at most `width` characters. What stands in backticks, double quotes or braces is to be
/// copied, and stays in one piece.
fn wrapped(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in words(text) {
        let Some(line) = lines.last_mut() else { break };
        if line.is_empty() {
            line.push_str(word);
        } else if line.chars().count() + 1 + word.chars().count() <= width {
            line.push(' ');
            line.push_str(word);
        } else {
            lines.push(word.to_owned());
        }
    }
    lines
}

/// The pieces of a text between the blanks at which it may be broken.
fn words(text: &str) -> Vec<&str> {
    let (mut words, mut start, mut closer, mut depth) = (Vec::new(), 0, None, 0_usize);
    for (at, char) in text.char_indices() {
        match (closer, char) {
            (None, ' ') if depth == 0 => {
                words.push(&text[start..at]);
                start = at + 1;
            }
            (None, '`' | '"') => closer = Some(char),
            (Some(open), char) if open == char => closer = None,
            (None, '{' | '[') => depth += 1,
            (None, '}' | ']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    words.push(&text[start..]);
    words.retain(|word| !word.is_empty());
    words
}

fn digits(number: usize) -> usize {
    number.to_string().len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hints_are_broken_between_words_and_never_in_what_is_copied() {
        let check = |text: &str, width: usize, expect: &[&str]| assert_eq!(wrapped(text, width), expect, "{text}");
        check("one two three", 80, &["one two three"]);
        check("one two three", 8, &["one two", "three"]);
        check("write `a if b else c` there", 12, &["write", "`a if b else c`", "there"]);
        check(
            "add key = { field = \"Erp_Id__c\", value = \"id\" }",
            20,
            &["add key =", "{ field = \"Erp_Id__c\", value = \"id\" }"],
        );
        check("", 8, &[""]);
    }

    #[test]
    fn a_long_line_is_cut_around_its_place() {
        let line: Vec<char> = ('a'..='z').cycle().take(100).collect();
        for column in 0..100 {
            for width in 1..=(100 - column) {
                let shown = Shown::cut(&line, column, width, 40);
                assert!(shown.text.chars().count() <= 40, "{}", shown.text);
                assert_eq!(shown.text.chars().nth(shown.column), Some(line[column]), "{column} {width} {}", shown.text);
                assert!(shown.column + shown.width <= 40, "{column} {width}");
            }
        }
    }
}
