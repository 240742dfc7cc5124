//! Filters that make lists of texts, and texts of lists.

use std::borrow::Cow;

use passerelle_change::Value;

use super::{Op, WRONG_KIND};
use crate::mapping::program::{Bad, Yield};
use crate::mapping::row::Row;
use crate::mapping::text as print;

/// The most items of a list that a filter makes.
pub(super) const MAX_ITEMS: usize = 10_000;
pub(super) const TOO_MANY: Bad = Bad("a list of more than 10000 items");

pub(super) fn split<'v>(text: Cow<'v, str>, separator: &str) -> Yield<'v> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    cut(text, |text| bounded(text.split(separator)))
}

/// What stands on its lines, without blanks around it and without blank lines.
pub(super) fn lines(text: Cow<'_, str>) -> Yield<'_> {
    if text.trim().is_empty() {
        return Ok(Value::Null);
    }
    cut(text, |text| bounded(text.lines().map(str::trim).filter(|line| !line.is_empty())))
}

/// One text of a list's items. Skips nulls; with `skip_blank` also blank text, and blanks around the items. Null when
/// nothing is left.
pub(super) fn join<'v>(list: Value<'v>, separator: &str, skip_blank: bool) -> Yield<'v> {
    let Value::List(items) = list else { return Err(WRONG_KIND) };
    let mut joined: Option<Cow<'v, str>> = None;
    for item in items.into_iter().filter(|item| *item != Value::Null) {
        let mut text = print::of(item)?;
        if skip_blank && text.trim().len() < text.len() {
            text = Cow::Owned(text.trim().to_owned());
        }
        if skip_blank && text.is_empty() {
            continue;
        }
        match &mut joined {
            None => joined = Some(text),
            Some(before) => {
                print::bounded(before.len() + separator.len() + text.len())?;
                let before = before.to_mut();
                before.push_str(separator);
                before.push_str(&text);
            }
        }
    }
    Ok(joined.map_or(Value::Null, Value::Text))
}

/// A filter on each item.
pub(super) fn map<'v>(list: Value<'v>, filter: &'v Op, row: &'v Row<'v>) -> Yield<'v> {
    let Value::List(items) = list else { return Err(WRONG_KIND) };
    let mut size = 0;
    let mapped = items.into_iter().map(|item| {
        let item = filter.apply(item, row)?;
        size += if let Value::Text(text) = &item { text.len() } else { 0 };
        print::bounded(size)?;
        Ok(item)
    });
    mapped.collect::<Result<_, _>>().map(Value::List)
}

/// Items that borrow from the text where it is borrowed itself.
#[expect(clippy::needless_pass_by_value, reason = "what borrows from it and what it owns are told apart here")]
fn cut<'v>(text: Cow<'v, str>, pieces: impl for<'t> Fn(&'t str) -> Result<Vec<&'t str>, Bad>) -> Yield<'v> {
    let items = match &text {
        Cow::Borrowed(text) => pieces(text)?.into_iter().map(|item| Value::Text(Cow::Borrowed(item))).collect(),
        Cow::Owned(text) => pieces(text)?.into_iter().map(|item| Value::Text(Cow::Owned(item.to_owned()))).collect(),
    };
    Ok(Value::List(items))
}

fn bounded<'t>(items: impl Iterator<Item = &'t str>) -> Result<Vec<&'t str>, Bad> {
    let items: Vec<_> = items.take(MAX_ITEMS + 1).collect();
    if items.len() > MAX_ITEMS { Err(TOO_MANY) } else { Ok(items) }
}
