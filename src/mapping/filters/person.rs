//! The `person` filter: a full name's first and last name.

use std::borrow::Cow;

use passerelle_change::Value;

/// Which part of a person's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum NamePart {
    First,
    Last,
}

/// What stands before a name and is no part of it. `M.` only with its point: without it, it is an initial.
const TITLES: &[&str] = &[
    "m.", "mr", "mr.", "mrs", "mrs.", "ms", "ms.", "mme", "mme.", "mlle", "mlle.", "dr", "dr.", "prof.", "herr", "frau",
];

/// `Last, First` by its comma; else words in capitals among others are the last name (`Jean MARTIN`, `MARTIN Jean`);
/// else the first word is the first name, and all others are the last (`Ludwig van Beethoven`). One word is a last name.
pub(super) fn part(name: &str, part: NamePart) -> Value<'static> {
    let (first, last) = parts(name);
    let words = match part {
        NamePart::First => first,
        NamePart::Last => last,
    };
    if words.is_empty() { Value::Null } else { Value::Text(Cow::Owned(words.join(" "))) }
}

/// Words of the first and of the last name.
fn parts(name: &str) -> (Vec<&str>, Vec<&str>) {
    if let Some((last, first)) = name.split_once(',') {
        return (words(first), words(last));
    }
    let mut words = words(name);
    let (capitals, others): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| is_capitals(word));
    if !capitals.is_empty() && !others.is_empty() {
        return (others, capitals);
    }
    match words.len() {
        0 | 1 => (Vec::new(), words),
        _ => (vec![words.remove(0)], words),
    }
}

/// The words behind titles.
fn words(name: &str) -> Vec<&str> {
    let is_title = |word: &&str| TITLES.iter().any(|title| title.eq_ignore_ascii_case(word));
    name.split_whitespace().skip_while(is_title).collect()
}

/// Two letters or more, none of them small: `J.` is an initial.
fn is_capitals(word: &str) -> bool {
    word.chars().filter(|c| c.is_uppercase()).count() > 1
        && !word.chars().any(char::is_lowercase)
        && !word.contains('.')
}
