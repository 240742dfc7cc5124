//! What is wrong with a line that is no TOML, in the words of whoever wrote it: the parser's own are about its grammar.

use std::ops::Range;

/// The message of a line that stands, to the parser, in a table that began in a line above: so does all that follows.
pub(super) const SWALLOWED: &str = "a table that stands in braces is not closed before this line";

/// What is wrong, where, and what to write.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Explained {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    /// Bytes of the whole text.
    pub(super) span: Range<usize>,
    /// What cannot be read for it; `None` where that is the line.
    pub(super) lost: Option<Range<usize>>,
}

/// The line with an error, taken apart.
struct Line<'t> {
    /// Offset of its first byte.
    start: usize,
    text: &'t str,
    /// What stands before the first `=`, and behind it; nothing where there is none.
    key: &'t str,
    value: Option<&'t str>,
    /// Where the parser stopped, in the line.
    at: usize,
    /// It must not be repeated.
    is_secret: bool,
}

/// Explains an error of the parser's at `span` of `text`. Where `is_secret`, nothing of the line is repeated.
pub(super) fn explain(text: &str, span: &Range<usize>, parser: &str, is_secret: bool) -> Explained {
    let at = span.start.min(text.len());
    let start = text.get(..at).unwrap_or_default().rfind('\n').map_or(0, |end| end + 1);
    let line = text.get(start..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    let (key, value) = match line.split_once('=') {
        Some((key, value)) => (key.trim(), Some(value.trim())),
        None => ("", None),
    };
    let line = Line { start, text: line, key, value, at: at - start, is_secret };
    let found = not_closed_before(text, &line, parser)
        .or_else(|| comma(&line, parser))
        .or_else(|| head(&line))
        .or_else(|| other_format(&line))
        .or_else(|| no_equals(&line))
        .or_else(|| key_of_other_letters(&line))
        .or_else(|| behind(&line, parser))
        .or_else(|| escape(&line, parser))
        .or_else(|| quotes(&line, parser))
        .or_else(|| bare_value(&line, parser))
        .or_else(|| braces(&line));
    let mut found = found.unwrap_or_else(|| Explained {
        message: format!("this is not TOML: {parser}"),
        hint: None,
        span: span.clone(),
        lost: None,
    });
    if found.message.starts_with("this looks like JSON") {
        found.lost = Some(0..text.len());
    } else if line.text.trim_start().starts_with('[') && line.value.is_none() {
        // The keys of a head that cannot be read belong to no table.
        let end = text.get(start + line.text.len()..).and_then(|rest| rest.find("\n["));
        found.lost = Some(start..end.map_or(text.len(), |end| start + line.text.len() + end));
    }
    found
}

impl<'t> Line<'t> {
    /// A fault of a part of the line.
    #[expect(clippy::unnecessary_wraps, reason = "what every look at a line ends with")]
    fn fault(&self, part: Range<usize>, message: impl Into<String>, hint: Option<String>) -> Option<Explained> {
        let span = self.start + part.start..self.start + part.end;
        Some(Explained { message: message.into(), hint, span, lost: None })
    }

    /// Where a part of the line stands in it.
    fn range(&self, part: &str) -> Range<usize> {
        let start = part.as_ptr().addr().saturating_sub(self.text.as_ptr().addr()).min(self.text.len());
        start..(start + part.len()).min(self.text.len())
    }

    /// A line to write, unless it would show a secret.
    fn write(&self, line: &str) -> Option<String> {
        (!self.is_secret).then(|| format!("write {line}"))
    }

    /// The value without a comment behind it.
    fn value(&self) -> Option<&'t str> {
        let value = self.value?;
        let quoted = value.starts_with(['"', '\'']);
        Some(if quoted { value } else { value.split(" #").next().unwrap_or(value).trim_end() })
    }
}

/// A text of several lines, or an array or table over several, that has no end.
fn not_closed_before(text: &str, line: &Line<'_>, parser: &str) -> Option<Explained> {
    let quote = ["\"\"\"", "'''"].into_iter().find(|quote| {
        let multi = parser.contains("multi-line") || line.start + line.at >= text.len();
        multi && text.matches(quote).count() % 2 == 1
    })?;
    let at = text.rfind(quote)?;
    let hint = Some(format!("end it with {quote}, or write a text of one line in one pair of quotes"));
    Some(Explained {
        message: format!("the text that begins with {quote} has no end"),
        hint,
        span: at..at + quote.len(),
        lost: Some(text[..at].rfind('\n').map_or(0, |end| end + 1)..text.len()),
    })
}

/// Between two entries of an inline table or a list.
fn comma(line: &Line<'_>, parser: &str) -> Option<Explained> {
    let is_comma = parser.contains("missing comma");
    if !is_comma && !parser.contains("inline table") {
        return None;
    }
    let before = line.text.get(..line.at)?.trim();
    let word = line.text.get(line.at..)?;
    let end = word.find([' ', '=', ',', '}', ']']).unwrap_or(word.len()).max(1).min(word.len());
    if before.is_empty() {
        let hint = "a `{` or `[` in a line above has no end, or its entries have no comma between them".to_owned();
        return line.fault(line.at..line.at + end, SWALLOWED, Some(hint));
    }
    let hint = line.write(&format!("{before}, {}", word.trim()));
    if is_comma { line.fault(line.at..line.at + end, "a comma is missing before this", hint) } else { None }
}

/// `[source.erp` and the like.
fn head(line: &Line<'_>) -> Option<Explained> {
    let trimmed = line.text.trim();
    let inner = trimmed.strip_prefix('[')?;
    let range = line.range(trimmed);
    if line.value.is_some() && !inner.split('=').next()?.contains(']') {
        return None;
    }
    let Some(end) = inner.find(']') else {
        let name = inner.split(" #").next()?.trim();
        return line.fault(range, "the head of a table is not closed", Some(format!("write [{name}]")));
    };
    let name = &inner[..end];
    let bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | '"' | '\'' | ' ' | '[');
    if !name.chars().all(bare) || name.trim().contains(' ') && !name.contains(['"', '\'']) {
        let message = format!("`{name}` cannot be the name of a table");
        let hint = "letters, digits, _ and -, with a point between the parts: [mapping.contacts]";
        return line.fault(line.range(name), message, Some(hint.to_owned()));
    }
    let behind = inner[end..].trim_start_matches(']').trim();
    if !behind.is_empty() && !behind.starts_with('#') {
        let hint = "its keys follow on lines of their own".to_owned();
        return line.fault(line.range(behind), "something stands behind the head of a table", Some(hint));
    }
    None
}

/// YAML, JSON, INI.
fn other_format(line: &Line<'_>) -> Option<Explained> {
    let trimmed = line.text.trim();
    if trimmed.starts_with('{') && line.start == 0 {
        let hint = "a table is [source.erp], and its keys follow line by line: `kind = \"postgres\"`".to_owned();
        return line.fault(line.range(trimmed), "this looks like JSON, and the configuration is TOML", Some(hint));
    }
    let bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | '"');
    let (key, value) = trimmed.split_once(':')?;
    let key = key.trim().trim_start_matches("- ");
    if key.is_empty() || !key.chars().all(bare) || line.key.len() < key.len() && line.value.is_some() {
        return None;
    }
    let value = value.trim();
    if value.is_empty() || trimmed.starts_with("- ") {
        let hint = "a table is [source.erp], and its keys follow line by line: `kind = \"postgres\"`".to_owned();
        return line.fault(line.range(trimmed), "this looks like YAML, and the configuration is TOML", Some(hint));
    }
    let colon = line.range(trimmed).start + trimmed.find(':')?;
    let hint = line.write(&format!("{} = {}", key.trim_matches('"'), in_toml(value)));
    line.fault(colon..colon + 1, "behind a key stands `=`, not `:`", hint)
}

/// `Name "name"`, `Name`.
fn no_equals(line: &Line<'_>) -> Option<Explained> {
    let trimmed = line.text.trim();
    let key = trimmed.split([' ', '\t', '=']).next().unwrap_or(trimmed);
    let bare = |char: char| char.is_alphanumeric() || matches!(char, '_' | '-' | '.');
    if key.is_empty() || !key.chars().all(bare) {
        return None;
    }
    let range = line.range(key);
    match line.value {
        None => {
            let rest = trimmed[key.len()..].trim();
            let end = range.end;
            let hint = match rest {
                "" => Some(format!("write {key} = \"…\", or begin a comment with #")),
                rest => line.write(&format!("{key} = {}", in_toml(rest))),
            };
            line.fault(range.start..end, format!("`=` is missing behind `{key}`"), hint)
        }
        Some("") => {
            let hint = Some(format!("write {key} = \"…\", or take the line out"));
            line.fault(range, format!("`{key}` has no value"), hint)
        }
        Some(_) if line.key.contains(' ') && !line.key.contains(['"', '\'', '{', '[', '.']) => {
            let name = line.key;
            let hint = format!(
                "in quotes it can: \"{name}\" = …\na field of the CRM goes by its API name, which has none: {}",
                name.replace(' ', "_") + "__c"
            );
            line.fault(line.range(name), "a key without quotes cannot have a space in it", Some(hint))
        }
        Some(_) => None,
    }
}

fn key_of_other_letters(line: &Line<'_>) -> Option<Explained> {
    let key = line.key;
    let bare = |char: char| char.is_ascii_alphanumeric() || matches!(char, '_' | '-' | '.' | ' ');
    if line.value.is_none() || key.is_empty() || key.chars().all(bare) || key.contains(['"', '\'', '[', '{', '#']) {
        return None;
    }
    let hint = format!("a key with other characters than letters, digits, _ and - stands in quotes: \"{key}\"");
    line.fault(line.range(key), format!("`{key}` cannot be a key without quotes"), Some(hint))
}

/// What stands behind a value that is whole: a comma, a comment of another language.
fn behind(line: &Line<'_>, parser: &str) -> Option<Explained> {
    if !parser.starts_with("unexpected key or value") {
        return None;
    }
    let rest = line.text.get(line.at..)?.trim();
    let value = line.text.get(..line.at)?.trim_end();
    if rest.starts_with("//") || rest.starts_with("--") || rest.starts_with("/*") {
        let comment = rest.trim_start_matches(['/', '-', '*']).trim();
        return line.fault(line.range(rest), "a comment begins with `#`", line.write(&format!("{value} # {comment}")));
    }
    if rest == "," || rest == ";" {
        return line.fault(line.range(rest), format!("a line does not end with `{rest}`"), line.write(value));
    }
    // `1m`, `20GiB`, `10%`: a value with its unit.
    let whole = line.value()?;
    let number = whole.starts_with(|char: char| char.is_ascii_digit()) && !whole.contains([' ', '"']);
    if number {
        let hint = line.write(&format!("{} = \"{whole}\"", line.key));
        return line.fault(line.range(whole), "a value with a unit stands in quotes", hint);
    }
    None
}

/// `\d` in double quotes.
fn escape(line: &Line<'_>, parser: &str) -> Option<Explained> {
    if !parser.contains("escape") {
        return None;
    }
    let value = line.value?;
    let at = line.text.get(..line.at)?.rfind('\\').unwrap_or(line.at);
    let end = line.text.get(at..)?.char_indices().nth(2).map_or(line.text.len(), |(offset, _)| at + offset);
    let inner = value.strip_prefix('"').and_then(|value| value.strip_suffix('"'))?;
    let quote = if inner.contains('\'') { "'''" } else { "'" };
    let message = format!("in double quotes a backslash is written twice: `{}` means nothing", &line.text[at..end]);
    let hint = line.write(&format!("{} = {quote}{inner}{quote}", line.key));
    line.fault(
        at..end,
        if line.is_secret { "in double quotes a backslash is written twice".to_owned() } else { message },
        hint,
    )
}

/// Quotes that are not closed, or stand in a text of the same quotes.
fn quotes(line: &Line<'_>, parser: &str) -> Option<Explained> {
    let value = line.value?;
    let is_text = parser.contains("invalid basic string") || parser.contains("invalid literal string");
    if is_text && value.starts_with(['{', '[']) {
        let quote = if parser.contains("basic") { '"' } else { '\'' };
        let message = format!("a text in this line has no closing {quote}");
        return line.fault(line.range(value), message, Some(format!("end it with {quote}")));
    }
    let quote = value.chars().next().filter(|quote| matches!(quote, '"' | '\'' | '“' | '”' | '„' | '‘' | '’' | '«'))?;
    let range = line.range(value);
    if !quote.is_ascii() {
        let inner = value.trim_matches(|char: char| matches!(char, '“' | '”' | '„' | '‘' | '’' | '«' | '»' | ' '));
        let hint = line.write(&format!("{} = \"{inner}\"", line.key));
        return line.fault(range, "these quotes are typographic: a text stands in straight ones", hint);
    }
    if value.starts_with("\"\"\"") || value.starts_with("'''") {
        return None;
    }
    let count = value.matches(quote).count();
    if count == 1 || (count % 2 == 1 && parser.contains("invalid")) {
        let hint = format!("end it with {quote}");
        let at = range.start;
        return line.fault(at..at + 1, "the text has no closing quote", Some(hint));
    }
    if count > 2 && value.ends_with(quote) {
        let inner = &value[1..value.len() - 1];
        let other = match (quote, inner.contains('\''), inner.contains('"')) {
            ('\'', _, false) => "\"",
            ('"', false, _) => "'",
            _ => "'''",
        };
        let message = format!("a text in {quote} has more of them in it");
        return line.fault(range, message, line.write(&format!("{} = {other}{inner}{other}", line.key)));
    }
    None
}

/// A value that is neither text nor number, true or false.
fn bare_value(line: &Line<'_>, parser: &str) -> Option<Explained> {
    let value = line.value()?;
    let range = line.range(value);
    let key = line.key;
    if value.is_empty() || value.starts_with(['"', '\'', '{', '[']) || value == "true" || value == "false" {
        return None;
    }
    match value.to_lowercase().as_str() {
        word @ ("true" | "false") => {
            return line.fault(
                range,
                "true and false are written in lower case",
                Some(format!("write {key} = {word}")),
            );
        }
        "yes" | "on" => {
            return line.fault(range, format!("`{value}` is written true"), Some(format!("write {key} = true")));
        }
        "no" | "off" => {
            return line.fault(range, format!("`{value}` is written false"), Some(format!("write {key} = false")));
        }
        "null" | "none" | "nil" => {
            let hint = "leave the line out; for a field that is always null: { value = \"none\" }".to_owned();
            return line.fault(range, "TOML has no null", Some(hint));
        }
        _ => {}
    }
    let digits = value.trim_start_matches('0');
    if parser.contains("leading zero") && digits.len() < value.len() {
        return line.fault(range, "a number does not begin with 0", line.write(&format!("{key} = {digits}")));
    }
    if value.starts_with(|char: char| char.is_ascii_digit()) {
        let hint = line.write(&format!("{key} = \"{value}\""));
        return line.fault(range, "a value with a unit, or text, stands in quotes", hint);
    }
    let hint = line.write(&format!("{key} = {}", in_toml(value))).or_else(|| Some(format!("write {key} = \"…\"")));
    line.fault(range, "text must stand in quotes", hint)
}

/// An inline table or a list.
fn braces(line: &Line<'_>) -> Option<Explained> {
    let value = line.value?;
    let range = line.range(value);
    let open = value.chars().next().filter(|char| matches!(char, '{' | '['))?;
    let close = if open == '{' { '}' } else { ']' };
    if value.matches(open).count() > value.matches(close).count() {
        let message = format!("this `{open}` is not closed");
        return line.fault(range.start..range.start + 1, message, Some(format!("end it with {close}")));
    }
    let pairs = value.split_once(':').filter(|(key, _)| open == '{' && !key.contains('='));
    if let Some((key, _)) = pairs {
        let colon = range.start + key.len();
        let hint =
            line.write(&format!("{} = {}", line.key, value.replacen(':', " =", value.matches("\":").count().max(1))));
        return line.fault(colon..colon + 1, "in a table behind a key stands `=`, not `:`", hint);
    }
    None
}

/// A value as TOML has it: what is none of its numbers, tables, texts stands in quotes.
fn in_toml(value: &str) -> String {
    let value = value.trim().trim_end_matches(',');
    let is_number = value.parse::<f64>().is_ok() && !value.starts_with('0');
    let is_written = is_number || value == "true" || value == "false" || value.starts_with(['"', '\'', '{', '[']);
    match value.to_lowercase().as_str() {
        "yes" | "true" => "true".to_owned(),
        "no" | "false" => "false".to_owned(),
        _ if is_written => value.to_owned(),
        _ if value.contains('"') => format!("'{value}'"),
        _ => format!("\"{value}\""),
    }
}
