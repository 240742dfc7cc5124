//! Filters on text, and those that read numbers and booleans from it.

use std::borrow::Cow;

use passerelle_change::{Type, Value};

use super::WRONG_KIND;
use crate::mapping::program::{Bad, Yield};
use crate::mapping::text as print;

/// The mark before the fraction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Mark {
    Point,
    Comma,
}

impl From<bool> for Mark {
    fn from(is_comma: bool) -> Self {
        if is_comma { Self::Comma } else { Self::Point }
    }
}

pub(super) fn text(value: Value<'_>) -> Result<Cow<'_, str>, Bad> {
    match value {
        Value::Text(text) => Ok(text),
        _ => Err(WRONG_KIND),
    }
}

pub(super) fn trim(text: Cow<'_, str>) -> Value<'_> {
    Value::Text(part(text, |text| text.trim()))
}

pub(super) fn truncate(text: Cow<'_, str>, length: usize) -> Value<'_> {
    Value::Text(part(text, |text| {
        let end = text.char_indices().nth(length).map_or(text.len(), |(at, _)| at);
        &text[..end]
    }))
}

/// A part of a text, without a copy where the text is borrowed.
fn part<'v>(text: Cow<'v, str>, cut: impl for<'t> Fn(&'t str) -> &'t str) -> Cow<'v, str> {
    match text {
        Cow::Borrowed(text) => Cow::Borrowed(cut(text)),
        Cow::Owned(text) if cut(&text).len() == text.len() => Cow::Owned(text),
        Cow::Owned(text) => Cow::Owned(cut(&text).to_owned()),
    }
}

pub(super) fn lower(text: Cow<'_, str>) -> Value<'_> {
    let same = text.chars().all(|c| c.to_lowercase().eq([c]));
    Value::Text(if same { text } else { Cow::Owned(text.to_lowercase()) })
}

pub(super) fn upper(text: Cow<'_, str>) -> Value<'_> {
    let same = text.chars().all(|c| c.to_uppercase().eq([c]));
    Value::Text(if same { text } else { Cow::Owned(text.to_uppercase()) })
}

pub(super) fn title(text: &str) -> Value<'static> {
    let mut out = String::with_capacity(text.len());
    let mut in_word = false;
    for c in text.chars() {
        if in_word {
            out.extend(c.to_lowercase());
        } else {
            out.extend(c.to_uppercase());
        }
        in_word = c.is_alphanumeric();
    }
    Value::Text(Cow::Owned(out))
}

pub(super) fn replace<'v>(text: Cow<'v, str>, old: &str, new: &str) -> Yield<'v> {
    if !text.contains(old) {
        return Ok(Value::Text(text));
    }
    if new.len() > old.len() {
        print::bounded(text.len() + text.matches(old).count() * (new.len() - old.len()))?;
    }
    Ok(Value::Text(Cow::Owned(text.replace(old, new))))
}

pub(super) fn boolean(value: Value<'_>) -> Yield<'_> {
    const BAD: Bad = Bad("not a yes or no");
    const YES: &[&str] = &["true", "t", "yes", "y", "on", "1", "oui", "vrai", "ja"];
    const NO: &[&str] = &["false", "f", "no", "n", "off", "0", "non", "faux", "nein"];
    match value {
        Value::Bool(_) => Ok(value),
        Value::Int(0) => Ok(Value::Bool(false)),
        Value::Int(1) => Ok(Value::Bool(true)),
        Value::Int(_) => Err(BAD),
        Value::Text(text) => {
            let text = text.trim();
            let is_one_of = |words: &[&str]| words.iter().any(|word| word.eq_ignore_ascii_case(text));
            match (text.is_empty(), is_one_of(YES), is_one_of(NO)) {
                (true, _, _) => Ok(Value::Null),
                (false, true, _) => Ok(Value::Bool(true)),
                (false, false, true) => Ok(Value::Bool(false)),
                (false, false, false) => Err(BAD),
            }
        }
        _ => Err(WRONG_KIND),
    }
}

pub(super) fn number(value: Value<'_>, decimal: Mark) -> Yield<'_> {
    const BAD: Bad = Bad("not a number of the expected form");
    let printed = match value {
        Value::Int(_) | Value::Decimal(_) | Value::BigNumber(_) => return Ok(value),
        Value::Float(n) if n.is_finite() => n.to_string(),
        Value::Float(_) => return Err(BAD),
        Value::Text(text) if text.trim().is_empty() => return Ok(Value::Null),
        Value::Text(text) => plain(text.trim(), decimal).ok_or(BAD)?,
        _ => return Err(WRONG_KIND),
    };
    let ty = Type::Decimal { precision: None };
    Value::parse(&ty, Some(printed.as_bytes())).map(Value::into_owned).map_err(|_| BAD)
}

/// `1 234,50` as `1234.50`. Groups are of three digits, so that `12,5` is never read as 125.
fn plain(text: &str, decimal: Mark) -> Option<String> {
    let (mark, other) = match decimal {
        Mark::Point => ('.', ','),
        Mark::Comma => (',', '.'),
    };
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    let (whole, fraction) = match unsigned.split_once(mark) {
        Some((whole, fraction)) => (whole, Some(fraction)),
        None => (unsigned, None),
    };
    let separates = |c: char| c == other || matches!(c, ' ' | '\'' | '\u{a0}' | '\u{202f}' | '\u{2019}');
    let mut groups = whole.split(separates);
    let mut out = String::with_capacity(text.len());
    out.extend(text.starts_with('-').then_some('-'));
    out.push_str(groups.next()?);
    for group in groups {
        if group.len() != 3 {
            return None;
        }
        out.push_str(group);
    }
    if let Some(fraction) = fraction {
        out.push('.');
        out.push_str(fraction);
    }
    Some(out)
}
