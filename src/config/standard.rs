//! `[standard]`: what holds in every mapping, said once.

use super::keys::{Form, Key, Keys, Words, text};
use super::model::Standard;
use super::section::{Found, Section};

/// What a column's empty and blank text is: whether it is null.
static EMPTY: Words<bool> = Words::new(&[("keep", false), ("null", true)]);

/// The keys of `[standard]`.
pub(super) static KEYS: Keys = Keys::all(&[
    Key::maybe(
        "country",
        text("two letters", "^[A-Z]{2}$"),
        r#""FR""#,
        "the country of numbers where `phone` names none",
    ),
    Key::maybe(
        "date",
        text("form", r"\S"),
        r#""DD/MM/YYYY""#,
        "how text is read where `date` names no form: `\"DD/MM/YYYY\"`",
    )
    .without("ISO 8601"),
    Key::or("empty", Form::Words(&EMPTY), r#""keep""#, "`\"null\"`: a column's empty and blank text is null"),
]);

/// Reads `[standard]`.
pub(super) fn read(mut section: Section<'_>) -> Option<Standard> {
    let country = section.maybe("country", country);
    let date = section.maybe("date", date);
    let empty = section.or("empty", |found| found.word(&EMPTY));
    section.finish(|_| None);
    Some(Standard { country: country?, date: date?, empty_is_null: empty?, ..Standard::default() })
}

/// Two letters, as `phone('FR')` takes them.
fn country(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    if rust_iso3166::from_alpha2(text).is_some() {
        return Some(text.to_owned());
    }
    let upper = text.to_uppercase();
    let hint = if rust_iso3166::from_alpha2(&upper).is_some() {
        format!("country = \"{upper}\"")
    } else {
        "two letters of ISO 3166: country = \"FR\"".to_owned()
    };
    found.fault(format!("`{text}` is not a country's code"), hint)
}

/// A form of dates, as `date('DD/MM/YYYY')` takes it.
fn date(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    if crate::mapping::is_date_form(text) {
        return Some(text.to_owned());
    }
    found.fault(format!("`{text}` is not a form of dates"), "it is made of YYYY, MM and DD: date = \"DD/MM/YYYY\"")
}
