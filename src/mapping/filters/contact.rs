//! Filters on how to reach people: phone numbers, e-mail addresses, countries.

use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::LazyLock;

use email_address::{EmailAddress, Options};
use passerelle_change::Value;
use rlibphonenumber::enums::Region;
use rlibphonenumber::{PHONE_NUMBER_UTIL, PhoneNumberFormat};

use crate::mapping::program::{Bad, Yield};

/// The longest text that is looked at as a phone number, in bytes.
const MAX_PHONE: usize = 250;

/// Names that people write and the standard does not.
const COMMON_NAMES: &[(&str, &str)] = &[
    ("america", "US"),
    ("bolivia", "BO"),
    ("brunei", "BN"),
    ("burma", "MM"),
    ("cape verde", "CV"),
    ("czech republic", "CZ"),
    ("dr congo", "CD"),
    ("east timor", "TL"),
    ("england", "GB"),
    ("great britain", "GB"),
    ("holland", "NL"),
    ("ivory coast", "CI"),
    ("laos", "LA"),
    ("macau", "MO"),
    ("north korea", "KP"),
    ("russia", "RU"),
    ("scotland", "GB"),
    ("south korea", "KR"),
    ("swaziland", "SZ"),
    ("syria", "SY"),
    ("turkey", "TR"),
    ("uk", "GB"),
    ("united kingdom", "GB"),
    ("united states", "US"),
    ("vatican", "VA"),
    ("vatican city", "VA"),
    ("vietnam", "VN"),
    ("wales", "GB"),
];

/// Lower-case names of countries, also without what stands in brackets where that is one country only.
static NAMES: LazyLock<HashMap<String, &'static str>> = LazyLock::new(|| {
    let mut names: HashMap<String, &'static str> = HashMap::new();
    let mut short: HashMap<String, Vec<&'static str>> = HashMap::new();
    for country in rust_iso3166::ALL {
        let name = country.name.to_lowercase();
        if let Some((before, _)) = name.split_once(" (") {
            short.entry(before.to_owned()).or_default().push(country.alpha2);
        }
        names.insert(name, country.alpha2);
    }
    for (name, codes) in short {
        if let [code] = codes[..] {
            names.entry(name).or_insert(code);
        }
    }
    names.extend(COMMON_NAMES.iter().map(|(name, code)| ((*name).to_owned(), *code)));
    names
});

pub(super) fn country(text: &str) -> Yield<'static> {
    match text.trim() {
        "" => Ok(Value::Null),
        name => match alpha2(name) {
            Some(code) => Ok(Value::Text(Cow::Borrowed(code))),
            None => Err(Bad("not a country")),
        },
    }
}

pub(super) fn email(text: Cow<'_, str>) -> Yield<'_> {
    let trimmed = text.trim();
    if trimmed.is_empty() {
        return Ok(Value::Null);
    }
    let options = Options::default().without_display_text().without_domain_literal().with_required_tld();
    let address = EmailAddress::parse_with_options(trimmed, options).map_err(|_| Bad("not an e-mail address"))?;
    if trimmed.len() == text.len() && !address.domain().chars().any(char::is_uppercase) {
        return Ok(Value::Text(text));
    }
    let normal = format!("{}@{}", address.local_part(), address.domain().to_lowercase());
    Ok(Value::Text(Cow::Owned(normal)))
}

/// `country` is a code or a name; null when it is not known, as for numbers that carry their country.
pub(super) fn phone(text: &str, country: &Value<'_>) -> Yield<'static> {
    const BAD: Bad = Bad("not a valid phone number");
    let text = text.trim();
    if text.is_empty() {
        return Ok(Value::Null);
    }
    if text.len() > MAX_PHONE {
        return Err(BAD);
    }
    let region = match country {
        Value::Text(name) => region(name),
        _ => None,
    };
    let number = PHONE_NUMBER_UTIL.parse(text, region).map_err(|_| BAD)?;
    if !number.is_valid() {
        return Err(BAD);
    }
    Ok(Value::Text(Cow::Owned(number.format_as(PhoneNumberFormat::E164).to_string())))
}

/// The phone numbers' region of a country's code or name.
pub(super) fn region(country: &str) -> Option<Region> {
    Region::from_code(alpha2(country.trim())?).ok()
}

/// The code of two letters.
fn alpha2(name: &str) -> Option<&'static str> {
    let by_code = match name.len() {
        2 => rust_iso3166::from_alpha2(&name.to_ascii_uppercase()),
        3 => rust_iso3166::from_alpha3(&name.to_ascii_uppercase()),
        _ => None,
    };
    by_code.map(|country| country.alpha2).or_else(|| NAMES.get(&name.to_lowercase()).copied())
}
