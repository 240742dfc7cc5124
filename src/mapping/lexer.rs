//! An expression's text as tokens.

mod elsewhere;

use std::ops::Range;

use rust_decimal::Decimal;

use super::fault::Fault;
use elsewhere::{no_meaning, of_elsewhere};

/// A token and where it stands.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Token {
    pub(super) kind: TokenKind,
    pub(super) span: Range<usize>,
}

#[derive(Clone, Debug, PartialEq)]
pub(super) enum TokenKind {
    /// A name or a keyword.
    Name(String),
    /// Text between quotes, escapes resolved.
    Text(String),
    Int(i128),
    Decimal(Decimal),
    /// `==`, `(`, `~`, …
    Symbol(&'static str),
    /// Behind the last token.
    End,
}

/// The longer ones first, so that `//` is not two `/`.
const SYMBOLS: &[&str] =
    &["==", "!=", "<=", ">=", "//", "<", ">", "=", "+", "-", "*", "/", "%", "~", "|", "(", ")", "[", "]", ",", "."];

/// Splits the text; the last token is [`TokenKind::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Token>, Fault> {
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        if c.is_whitespace() {
            at += c.len_utf8();
            continue;
        }
        let (kind, length) = token(text, at, c)?;
        tokens.push(Token { kind, span: at..at + length });
        at += length;
    }
    tokens.push(Token { kind: TokenKind::End, span: text.len()..text.len() });
    Ok(tokens)
}

fn token(text: &str, at: usize, first: char) -> Result<(TokenKind, usize), Fault> {
    let rest = &text[at..];
    if first == '"' || first == '\'' {
        return quoted(text, at, first);
    }
    if first.is_ascii_digit() {
        return number(rest, at);
    }
    if first == '_' || first.is_alphabetic() {
        let length = rest.find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len());
        return Ok((TokenKind::Name(rest[..length].to_owned()), length));
    }
    if let Some(fault) = of_elsewhere(text, at, first) {
        return Err(fault);
    }
    match SYMBOLS.iter().find(|symbol| rest.starts_with(**symbol)) {
        Some(symbol) => Ok((TokenKind::Symbol(symbol), symbol.len())),
        None => Err(no_meaning(text, at, first)),
    }
}

fn quoted(whole: &str, at: usize, quote: char) -> Result<(TokenKind, usize), Fault> {
    let rest = &whole[at..];
    let mut text = String::new();
    let mut chars = rest.char_indices().skip(1);
    while let Some((index, c)) = chars.next() {
        if c == quote {
            return Ok((TokenKind::Text(text), index + 1));
        }
        if c != '\\' {
            text.push(c);
            continue;
        }
        let Some((_, escaped)) = chars.next() else { break };
        text.push(match escaped {
            'n' => '\n',
            't' => '\t',
            'r' => '\r',
            '\\' | '\'' | '"' => escaped,
            other => {
                let span = at + index..at + index + 1 + other.len_utf8();
                let message = format!("`\\{}` is no escape", other.escape_debug());
                return Err(Fault::new(span, message).hint(r#"these are: \n \t \r \\ \' \""#));
            }
        });
    }
    let fault = Fault::new(at..at + rest.len(), "the text has no closing quote");
    // `'it's'`: what stood before looked like a text.
    let inside = at > 0 && !whole[..at].ends_with([' ', '(', ',', '[', '=', '|', '~']);
    let other = if quote == '\'' { '"' } else { '\'' };
    Err(if inside {
        fault.hint(format!("a text with {quote} in it stands in {other}, or has \\{quote} for it"))
    } else {
        fault.hint(format!("end it with {quote}"))
    })
}

fn number(rest: &str, at: usize) -> Result<(TokenKind, usize), Fault> {
    let digits = |from: usize| rest[from..].bytes().take_while(u8::is_ascii_digit).count();
    let whole = digits(0);
    let fraction = if rest[whole..].starts_with('.') { digits(whole + 1) } else { 0 };
    let length = if fraction > 0 { whole + 1 + fraction } else { whole };
    let text = &rest[..length];
    let tail = rest[length..].find(|c: char| c != '_' && !c.is_alphanumeric()).unwrap_or(rest.len() - length);
    if tail > 0 {
        let fault = Fault::new(at..at + length + tail, "this is not a number");
        let plain: String = rest[..length + tail].chars().filter(|c| *c != '_').collect();
        let grouped = plain.bytes().all(|byte| byte.is_ascii_digit());
        let hint = "numbers are written like 12 or 12.50, texts stand in quotes";
        return Err(if grouped { fault.hint(format!("write {plain}")) } else { fault.hint(hint) });
    }
    let kind = if fraction > 0 {
        Decimal::from_str_exact(text).ok().map(TokenKind::Decimal)
    } else {
        text.parse().ok().map(TokenKind::Int)
    };
    match kind {
        Some(kind) => Ok((kind, length)),
        None => Err(Fault::new(at..at + length, "the number has more digits than can be held exactly")),
    }
}
