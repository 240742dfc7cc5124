//! Filters on letters: without accents, and names for addresses of pages.

use std::borrow::Cow;

use passerelle_change::Value;
use unicode_normalization::char::{decompose_canonical, is_combining_mark};

/// Latin letters that are no letter with a mark.
const SPELLED: &[(char, &str)] = &[
    ('Æ', "AE"),
    ('æ', "ae"),
    ('Œ', "OE"),
    ('œ', "oe"),
    ('Ø', "O"),
    ('ø', "o"),
    ('Ł', "L"),
    ('ł', "l"),
    ('Đ', "D"),
    ('đ', "d"),
    ('Ð', "D"),
    ('ð', "d"),
    ('Þ', "Th"),
    ('þ', "th"),
    ('ẞ', "SS"),
    ('ß', "ss"),
    ('Ħ', "H"),
    ('ħ', "h"),
    ('ı', "i"),
];

/// Latin letters without their marks; everything else as it is, for in other scripts marks make other letters.
pub(super) fn strip_accents(text: Cow<'_, str>) -> Value<'_> {
    Value::Text(if text.is_ascii() { text } else { Cow::Owned(plain(&text)) })
}

/// Lower-case letters and digits of ASCII, with a hyphen where others stand between; null when nothing is left.
pub(super) fn slug(text: &str) -> Value<'static> {
    let mut out = String::with_capacity(text.len());
    let mut gap = false;
    for c in plain(text).chars() {
        if !c.is_ascii_alphanumeric() {
            gap = true;
            continue;
        }
        if gap && !out.is_empty() {
            out.push('-');
        }
        gap = false;
        out.push(c.to_ascii_lowercase());
    }
    if out.is_empty() { Value::Null } else { Value::Text(Cow::Owned(out)) }
}

/// Latin letters without their marks.
pub(in crate::mapping) fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut after_latin = false;
    for c in text.chars() {
        if is_combining_mark(c) && after_latin {
            continue;
        }
        if let Some((_, spelled)) = SPELLED.iter().find(|(letter, _)| *letter == c) {
            out.push_str(spelled);
            after_latin = true;
            continue;
        }
        let base = base(c);
        after_latin = base.is_ascii_alphabetic();
        out.push(if after_latin { base } else { c });
    }
    out
}

/// The letter without its marks.
fn base(c: char) -> char {
    if c.is_ascii() {
        return c;
    }
    let mut first = None;
    decompose_canonical(c, |part| first = first.or(Some(part)));
    first.unwrap_or(c)
}
