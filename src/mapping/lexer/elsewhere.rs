//! Symbols of other languages where one of ours is due: SQL's, JavaScript's, Excel's, Jinja's, a word processor's.

use crate::mapping::fault::Fault;

/// A symbol of another language.
struct Foreign {
    symbol: &'static str,
    message: &'static str,
    hint: Option<&'static str>,
    /// What stands for it, where it is always the same.
    instead: Option<&'static str>,
}

const fn foreign(
    symbol: &'static str,
    message: &'static str,
    hint: Option<&'static str>,
    instead: Option<&'static str>,
) -> Foreign {
    Foreign { symbol, message, hint, instead }
}

/// What people who come from SQL, JavaScript, Excel or Jinja write; the longer ones first.
const FOREIGN: &[Foreign] = &[
    foreign("!==", "`!==` is written `!=`", None, Some("!=")),
    foreign("===", "`===` is written `==`", None, Some("==")),
    foreign("<=>", "there is no `<=>`", Some("write `==`, or `is none` for null"), None),
    foreign("<>", "`<>` is written `!=`", None, Some("!=")),
    foreign("=!", "`=!` is written `!=`", None, Some("!=")),
    foreign("=<", "`=<` is written `<=`", None, Some("<=")),
    foreign("=>", "`=>` is written `>=`", None, Some(">=")),
    foreign("=~", "`=~` is the filter `matches`", Some("write `name | matches('^x')`"), None),
    foreign("&&", "`&&` is written `and`", None, Some("and")),
    foreign("||", "`||` is written `or` between conditions, and `~` between texts", None, None),
    foreign("&", "`&` joins nothing here: texts are joined with `~`", None, Some("~")),
    foreign("**", "powers are not part of the language", Some("a square is `x * x`"), None),
    foreign("++", "there is no `++`", Some("texts are joined with `~`"), Some("~")),
    foreign("??", "`??` is written `or`", Some("it takes the first that is neither null nor empty"), Some("or")),
    foreign("?", "a choice is written in another order", Some("`a if condition else b`"), None),
    foreign(
        "::",
        "`::` casts nothing here",
        Some("a filter reads one type as another: `x | date`, `x | number`; text is `x ~ ''`"),
        None,
    ),
    foreign("!", "`!` is written `not`", None, Some("not ")),
    foreign(";", "an expression ends without `;`", None, Some("")),
    foreign("^", "there is no `^`", None, None),
    foreign("@", "a column is written by its bare name", None, Some("")),
    foreign("\\", "`\\` stands outside of a text", Some("a text is written 'in quotes'"), None),
    foreign("×", "`×` is written `*`", None, Some("*")),
    foreign("÷", "`÷` is written `/`", None, Some("/")),
    foreign("≤", "`≤` is written `<=`", None, Some("<=")),
    foreign("≥", "`≥` is written `>=`", None, Some(">=")),
    foreign("≠", "`≠` is written `!=`", None, Some("!=")),
    foreign("–", "this is a dash, not a minus", None, Some("-")),
    foreign("—", "this is a dash, not a minus", None, Some("-")),
    foreign("−", "this is a sign like a minus, not `-` itself", None, Some("-")),
];

/// Quotes that word processors and chats make of straight ones: opening, closing.
const TYPOGRAPHIC: &[(char, &[char])] = &[
    ('\u{2018}', &['\u{2019}', '\'']),
    ('\u{2019}', &['\u{2019}', '\'']),
    ('\u{201a}', &['\u{2018}', '\u{2019}']),
    ('\u{201c}', &['\u{201d}', '"']),
    ('\u{201d}', &['\u{201d}', '"']),
    ('\u{201e}', &['\u{201c}', '\u{201d}']),
    ('\u{ab}', &['\u{bb}']),
    ('\u{b4}', &['\u{b4}']),
    ('`', &['`']),
];

/// What another language has, and what is written here.
pub(super) fn of_elsewhere(text: &str, at: usize, first: char) -> Option<Fault> {
    let rest = &text[at..];
    if let Some((_, closing)) = TYPOGRAPHIC.iter().find(|(opening, _)| *opening == first) {
        return Some(typographic(text, at, first, closing));
    }
    if first == '{' || rest.starts_with("${") {
        return Some(braces(text, at));
    }
    if first == '$' {
        let fault = Fault::new(at..at + 1, "a column is written by its bare name");
        return Some(fault.instead(replaced(text, at, "$", "")));
    }
    if first == ':' && !rest.starts_with("::") {
        return Some(colon(text, at));
    }
    // What we have as well is none.
    let ours = ["!=", "==", "<=", ">="].iter().any(|ours| rest.starts_with(ours));
    let found =
        FOREIGN.iter().find(|foreign| rest.starts_with(foreign.symbol) && (!ours || foreign.symbol.len() > 2))?;
    let fault = Fault::new(at..at + found.symbol.len(), found.message);
    if let Some(meant) = (found.symbol == "?").then(|| ternary(text, at)).flatten() {
        return Some(fault.instead(meant));
    }
    if found.symbol == ";" && !rest[1..].trim().is_empty() {
        return Some(fault.hint("it makes one value; texts are joined with `~`: `name ~ ' ' ~ city`"));
    }
    if let Some(meant) = (found.symbol == "::").then(|| cast(text, at)).flatten() {
        return Some(fault.hint("a filter reads one type as another").instead(meant));
    }
    let fault = fault.maybe_hint(found.hint.map(str::to_owned));
    let joins = text.contains(['\'', '"']) && !text.contains("==");
    Some(match found.instead.or((found.symbol == "||").then_some(if joins { "~" } else { "or" })) {
        Some(instead) => fault.instead(replaced(text, at, found.symbol, instead)),
        None => fault,
    })
}

/// `born::date`, where the colons stand at `at`.
fn cast(text: &str, at: usize) -> Option<String> {
    let rest = &text[at + 2..];
    let end = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
    let filter = match rest[..end].to_lowercase().as_str() {
        "date" => "| date",
        "timestamp" | "timestamptz" => "| datetime",
        "time" => "| time",
        "int" | "integer" | "bigint" | "smallint" | "numeric" | "decimal" | "real" | "float" => "| number",
        "bool" | "boolean" => "| bool",
        "text" | "varchar" | "char" => "~ ''",
        _ => return None,
    };
    Some(format!("{} {filter}{}", text[..at].trim_end(), &rest[end..]))
}

/// `c ? a : b`, where the question mark stands at `at`.
fn ternary(text: &str, at: usize) -> Option<String> {
    let mut quote = None;
    let colon = text[at..].char_indices().find_map(|(offset, c)| match quote {
        None if c == ':' => Some(at + offset),
        None => {
            quote = (c == '\'' || c == '"').then_some(c);
            None
        }
        Some(open) => {
            quote = (c != open).then_some(open);
            None
        }
    })?;
    let (condition, then, otherwise) = (text[..at].trim(), text[at + 1..colon].trim(), text[colon + 1..].trim());
    Some(format!("{then} if {condition} else {otherwise}"))
}

/// The text with a symbol replaced wherever it stands from here on, but not in quotes.
fn replaced(text: &str, from: usize, symbol: &str, with: &str) -> String {
    let mut out = text[..from].to_owned();
    let (mut at, mut quote) = (from, None);
    while let Some(c) = text[at..].chars().next() {
        if quote.is_none() && text[at..].starts_with(symbol) {
            out.push_str(with);
            at += symbol.len();
            continue;
        }
        match quote {
            None if c == '\'' || c == '"' => quote = Some(c),
            Some(open) if open == c => quote = None,
            _ => {}
        }
        out.push(c);
        at += c.len_utf8();
    }
    out
}

/// `“name”`: from a word processor, or a backtick of MySQL's.
fn typographic(text: &str, at: usize, first: char, closing: &[char]) -> Fault {
    let inside = at + first.len_utf8();
    let close = text[inside..].find(closing).map(|offset| inside + offset);
    let end = close.map_or(inside, |close| close + text[close..].chars().next().map_or(0, char::len_utf8));
    let word = &text[inside..close.unwrap_or(inside)];
    if first == '`' {
        let bare = word.chars().all(|c| c == '_' || c.is_alphanumeric()) && !word.is_empty();
        let instead = if bare { word.to_owned() } else { format!("row['{word}']") };
        let fault = Fault::new(at..end, "a column stands in no backticks").hint("only its name");
        return fault.instead(format!("{}{instead}{}", &text[..at], &text[end..]));
    }
    let fault = Fault::new(at..end, "these quotes are typographic: a text stands in straight ones");
    fault.instead(format!("{}'{word}'{}", &text[..at], &text[end..]))
}

/// `{{ name }}`, `{% if %}`, `${name}`, `{name}`.
fn braces(text: &str, at: usize) -> Fault {
    let rest = &text[at..];
    if rest.starts_with("{%") {
        let end = rest.find("%}").map_or(2, |end| end + 2);
        let fault = Fault::new(at..at + end, "there are no statements, only expressions");
        let statement = rest[2..end].trim_matches(['%', '}', '-', ' ']);
        return match statement.split_whitespace().next() {
            Some("if") => fault.hint("a choice is `'a' if condition else 'b'`"),
            Some("for") => fault.hint("a filter acts on each item: `list | map('trim') | concat(', ')`"),
            Some("set") => fault.hint("write the expression where it is used"),
            _ => fault.hint("an expression stands without braces: `name | trim`"),
        };
    }
    if rest.starts_with("{#") {
        let end = rest.find("#}").map_or(2, |end| end + 2);
        return Fault::new(at..at + end, "a comment stands behind `#` at the end of the line, outside of the quotes");
    }
    let (open, close) = if rest.starts_with("{{") {
        ("{{", "}}")
    } else if rest.starts_with("${") {
        ("${", "}")
    } else {
        ("{", "}")
    };
    let (end, inner) = match rest.find(close) {
        Some(end) => (end + close.len(), rest[open.len()..end].trim_matches(['-', ' '])),
        None => (open.len(), rest[open.len()..].trim()),
    };
    let fault = Fault::new(at..at + end, "an expression stands without braces");
    let alone = text[..at].trim().is_empty() && text[at + end..].trim().is_empty();
    if alone || open == "{" {
        return fault.instead(format!("{}{inner}{}", &text[..at], &text[at + end..]));
    }
    fault.hint("parts are joined with `~`, and text stands in quotes: `name ~ ' ' ~ city`")
}

/// Liquid's argument, Python's slice, a parameter of SQL's.
fn colon(text: &str, at: usize) -> Fault {
    let before = text[..at].trim_end();
    let name_length =
        before.chars().rev().take_while(|c| *c == '_' || c.is_alphanumeric()).map(char::len_utf8).sum::<usize>();
    let (head, name) = before.split_at(before.len() - name_length);
    let is_filter = head.trim_end().ends_with('|');
    let rest = text[at + 1..].trim_start();
    if is_filter {
        let value = rest.find('|').map_or(rest, |end| &rest[..end]).trim_end();
        let fault = Fault::new(at..at + 1, format!("`{name}` takes its arguments in parentheses"));
        return fault.instead(format!("{before}({value}){}", &rest[value.len()..]));
    }
    if before.matches('[').count() > before.matches(']').count() {
        let fault = Fault::new(at..at + 1, "values are not cut with `[a:b]`");
        return fault.hint("the first characters: `name | truncate(3)`");
    }
    if name.is_empty() && rest.starts_with(|c: char| c == '_' || c.is_alphabetic()) {
        return Fault::new(at..at + 1, "a column is written by its bare name").instead(replaced(text, at, ":", ""));
    }
    Fault::new(at..at + 1, "`:` has no meaning here").hint("a choice is `a if condition else b`")
}

pub(super) fn no_meaning(text: &str, at: usize, first: char) -> Fault {
    let span = at..at + first.len_utf8();
    if matches!(first, '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}' | '\u{ad}') || first.is_control() {
        let fault = Fault::new(span, format!("an invisible character stands here (U+{:04X})", u32::from(first)));
        return fault.hint("delete it and type the place anew");
    }
    if first == '#' {
        return Fault::new(span, "`#` has no meaning inside of the quotes").hint("a comment stands behind them");
    }
    let fault = Fault::new(span, format!("`{}` has no meaning here", first.escape_debug()));
    // Part of a name that is none of the language's.
    let part = |c: char| c == '_' || c == first || c.is_alphanumeric();
    let start = at - text[..at].chars().rev().take_while(|c| part(*c)).map(char::len_utf8).sum::<usize>();
    let end = text[at..].find(|c: char| !part(c)).map_or(text.len(), |end| at + end);
    let word = &text[start..end];
    if word.chars().count() > 1 {
        let fault = fault.hint("a column of such a name");
        return fault.instead(format!("{}row['{word}']{}", &text[..start], &text[end..]));
    }
    fault
}
