//! A statement's text cut into words (MY-37): comments are left out, but for those that the servers carry out.

/// A piece of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Word {
    /// A word that is not quoted: a keyword, a name, a number.
    Plain(String),
    /// A quoted name.
    Name(String),
    /// A text, or bytes in hex.
    Bytes(Vec<u8>),
    /// Anything else.
    Sign(u8),
}

impl Word {
    pub(super) fn is(&self, keyword: &str) -> bool {
        matches!(self, Self::Plain(word) if word.eq_ignore_ascii_case(keyword))
    }
}

/// More words than any statement needs to show what it does; the texts of long inserts go on for megabytes.
const MAX_WORDS: usize = 50_000;

/// Cuts `text`. With `ansi_quotes` names stand in `"`; with `plain_backslash` a `\` in a text is a letter.
pub(super) fn words(text: &[u8], ansi_quotes: bool, plain_backslash: bool) -> Vec<Word> {
    let mut words = Vec::new();
    let mut rest = text;
    while let Some((&byte, after)) = rest.split_first() {
        if words.len() >= MAX_WORDS {
            break;
        }
        match byte {
            b' ' | b'\t' | b'\r' | b'\n' | 0 => rest = after,
            b'#' => rest = after_line(rest),
            b'-' if is_line_comment(rest) => rest = after_line(rest),
            b'/' if after.first() == Some(&b'*') => rest = after_comment(rest),
            // The end of a comment that is carried out.
            b'*' if after.first() == Some(&b'/') => rest = after.get(1..).unwrap_or_default(),
            b'`' => {
                let (name, after) = quoted(after, b'`', true);
                words.push(Word::Name(lossy(&name)));
                rest = after;
            }
            b'"' if ansi_quotes => {
                let (name, after) = quoted(after, b'"', true);
                words.push(Word::Name(lossy(&name)));
                rest = after;
            }
            b'\'' | b'"' => {
                let (text, after) = quoted(after, byte, plain_backslash);
                words.push(Word::Bytes(text));
                rest = after;
            }
            b'x' | b'X' if after.first() == Some(&b'\'') => {
                let (digits, after) = quoted(after.get(1..).unwrap_or_default(), b'\'', true);
                words.push(Word::Bytes(unhex(&digits)));
                rest = after;
            }
            _ if is_letter(byte) => {
                let end = rest.iter().position(|&byte| !is_letter(byte)).unwrap_or(rest.len());
                let (word, after) = rest.split_at_checked(end).unwrap_or((rest, &[]));
                words.push(Word::Plain(lossy(word)));
                rest = after;
            }
            _ => {
                words.push(Word::Sign(byte));
                rest = after;
            }
        }
    }
    words
}

fn is_letter(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | 0x80..)
}

fn lossy(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// `-- `, where the blank may be the end.
fn is_line_comment(rest: &[u8]) -> bool {
    matches!(rest, [b'-', b'-'] | [b'-', b'-', b' ' | b'\t' | b'\n' | b'\r', ..])
}

fn after_line(rest: &[u8]) -> &[u8] {
    let end = rest.iter().position(|&byte| byte == b'\n').unwrap_or(rest.len());
    rest.get(end..).unwrap_or_default()
}

/// Behind a comment; of one that is carried out (`/*!50003 …*/`, `/*M!100100 …*/`), behind its head.
fn after_comment(rest: &[u8]) -> &[u8] {
    let inside = rest.get(2..).unwrap_or_default();
    let carried_out = inside.strip_prefix(b"!").or_else(|| inside.strip_prefix(b"M!"));
    if let Some(inside) = carried_out {
        let digits = inside.iter().take_while(|byte| byte.is_ascii_digit()).count();
        return inside.get(digits..).unwrap_or_default();
    }
    let end = inside.windows(2).position(|two| two == b"*/").map_or(inside.len(), |at| at + 2);
    inside.get(end..).unwrap_or_default()
}

/// What is between here and the closing quote, which is doubled inside; and what follows it.
fn quoted(rest: &[u8], quote: u8, plain_backslash: bool) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut rest = rest;
    while let Some((&byte, after)) = rest.split_first() {
        rest = after;
        match (byte, after.first()) {
            (b'\\', Some(&escaped)) if !plain_backslash => {
                text.push(escaped);
                rest = after.get(1..).unwrap_or_default();
            }
            (byte, Some(&next)) if byte == quote && next == quote => {
                text.push(quote);
                rest = after.get(1..).unwrap_or_default();
            }
            (byte, _) if byte == quote => break,
            (byte, _) => text.push(byte),
        }
    }
    (text, rest)
}

fn unhex(digits: &[u8]) -> Vec<u8> {
    let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or(0);
    digits.as_chunks::<2>().0.iter().map(|&[high, low]| (digit(high) << 4 | digit(low)) as u8).collect()
}
