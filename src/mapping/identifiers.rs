//! `check` of a field: whether a value is the number that it should be. Pure; what is not letters and digits of ASCII
//! separates and is passed over where people write it (`732 829 320 00074`).

use passerelle_change::FieldValue;
use regex::Regex;

use super::program::Bad;
use crate::config::model;

/// A `check`, ready to be asked.
#[derive(Debug)]
pub(super) enum Check {
    Siret,
    Vat,
    Iban,
    Pattern(Regex),
}

impl Check {
    /// `None` for a regular expression that does not compile.
    pub(super) fn new(check: &model::Check) -> Option<Self> {
        Some(match check {
            model::Check::Siret => Self::Siret,
            model::Check::Vat => Self::Vat,
            model::Check::Iban => Self::Iban,
            model::Check::Pattern(text) => Self::Pattern(crate::config::field::whole_pattern(text).ok()?),
        })
    }

    /// A value that fails is bad; what is null or blank has nothing to be checked.
    pub(super) fn passed(&self, value: FieldValue) -> Result<FieldValue, Bad> {
        let text = match &value {
            FieldValue::Text(text) | FieldValue::Number(text) if !text.trim().is_empty() => text.trim(),
            FieldValue::Bool(true) => "true",
            FieldValue::Bool(false) => "false",
            FieldValue::Null
            | FieldValue::Text(_)
            | FieldValue::Number(_)
            | FieldValue::Reference { .. }
            | FieldValue::ReferenceById(_) => return Ok(value),
        };
        let (fits, bad) = match self {
            Self::Siret => (is_siret(text), "not a SIRET"),
            Self::Vat => (is_vat(text), "not a VAT number"),
            Self::Iban => (is_iban(text), "not an IBAN"),
            Self::Pattern(pattern) => (pattern.is_match(text), "not of the form that `check` asks for"),
        };
        if fits { Ok(value) } else { Err(Bad(bad)) }
    }
}

/// The longest number here, with what separates its parts: longer text is none.
const LONGEST: usize = 64;

/// Without blanks, points and hyphens; `None` where anything else stands in it.
fn compact(text: &str) -> Option<String> {
    if text.len() > LONGEST {
        return None;
    }
    let kept = text.chars().filter(|char| !matches!(char, ' ' | '\u{a0}' | '\u{202f}' | '.' | '-'));
    kept.map(|char| char.is_ascii_alphanumeric().then(|| char.to_ascii_uppercase())).collect()
}

fn digits(text: &str) -> Option<Vec<u32>> {
    text.chars().map(|char| char.to_digit(10)).collect()
}

/// 14 digits with a check digit by Luhn. Those of La Poste (SIREN 356 000 000) add up to a multiple of five instead.
fn is_siret(text: &str) -> bool {
    let Some(digits) = compact(text).and_then(|text| digits(&text)).filter(|digits| digits.len() == 14) else {
        return false;
    };
    let is_la_poste = digits[..9] == [3, 5, 6, 0, 0, 0, 0, 0, 0];
    luhn(&digits) || (is_la_poste && digits.iter().sum::<u32>() % 5 == 0)
}

fn luhn(digits: &[u32]) -> bool {
    let weighed = digits.iter().rev().enumerate().map(|(at, digit)| match digit * (1 + at as u32 % 2) {
        twice if twice > 9 => twice - 9,
        once => once,
    });
    weighed.sum::<u32>() % 10 == 0
}

/// The forms of VAT numbers by country: `9` a digit, `A` a letter, `*` either; what else stands there, stands in the
/// number. From the European Commission's list (VIES, question 11), and those of Norway and Switzerland.
const VAT_FORMS: [(&str, &[&str]); 31] = [
    ("AT", &["U99999999"]),
    ("BE", &["0999999999", "1999999999"]),
    ("BG", &["999999999", "9999999999"]),
    ("CHE", &["999999999", "999999999MWST", "999999999TVA", "999999999IVA"]),
    ("CY", &["99999999A"]),
    ("CZ", &["99999999", "999999999", "9999999999"]),
    ("DE", &["999999999"]),
    ("DK", &["99999999"]),
    ("EE", &["999999999"]),
    ("EL", &["999999999"]),
    ("ES", &["A9999999A", "99999999A", "A99999999"]),
    ("FI", &["99999999"]),
    ("FR", &["**999999999"]),
    ("HR", &["99999999999"]),
    ("HU", &["99999999"]),
    ("IE", &["9999999A", "9999999AA", "9*99999A"]),
    ("IT", &["99999999999"]),
    ("LT", &["999999999", "999999999999"]),
    ("LU", &["99999999"]),
    ("LV", &["99999999999"]),
    ("MT", &["99999999"]),
    ("NL", &["999999999B99"]),
    ("NO", &["999999999", "999999999MVA"]),
    ("PL", &["9999999999"]),
    ("PT", &["999999999"]),
    ("RO", &["99", "999", "9999", "99999", "999999", "9999999", "99999999", "999999999", "9999999999"]),
    ("SE", &["999999999901"]),
    ("SI", &["99999999"]),
    ("SK", &["9999999999"]),
    ("XI", &["999999999", "999999999999"]),
    ("GB", &["999999999", "999999999999"]),
];

fn is_vat(text: &str) -> bool {
    let Some(text) = compact(text) else { return false };
    let form = VAT_FORMS.iter().find_map(|(country, forms)| Some((*country, *forms, text.strip_prefix(country)?)));
    let Some((country, forms, number)) = form else { return false };
    forms.iter().any(|form| has_form(number, form)) && (country != "FR" || french_key(number))
}

fn has_form(number: &str, form: &str) -> bool {
    number.len() == form.len()
        && number.chars().zip(form.chars()).all(|(char, form)| match form {
            '9' => char.is_ascii_digit(),
            'A' => char.is_ascii_uppercase(),
            '*' => true,
            fixed => char == fixed,
        })
}

/// Two digits before the SIREN are reckoned from it; a newer key with letters says nothing that can be checked here.
fn french_key(number: &str) -> bool {
    let (key, siren) = number.split_at(2);
    match (key.parse::<u64>(), siren.parse::<u64>()) {
        (Ok(key), Ok(siren)) => key == (12 + 3 * (siren % 97)) % 97,
        _ => true,
    }
}

/// Lengths of the IBANs of countries, from the ISO 13616 registry.
const IBAN_LENGTHS: [(&str, usize); 78] = [
    ("AD", 24),
    ("AE", 23),
    ("AL", 28),
    ("AT", 20),
    ("AZ", 28),
    ("BA", 20),
    ("BE", 16),
    ("BG", 22),
    ("BH", 22),
    ("BR", 29),
    ("BY", 28),
    ("CH", 21),
    ("CR", 22),
    ("CY", 28),
    ("CZ", 24),
    ("DE", 22),
    ("DK", 18),
    ("DO", 28),
    ("EE", 20),
    ("EG", 29),
    ("ES", 24),
    ("FI", 18),
    ("FO", 18),
    ("FR", 27),
    ("GB", 22),
    ("GE", 22),
    ("GI", 23),
    ("GL", 18),
    ("GR", 27),
    ("GT", 28),
    ("HR", 21),
    ("HU", 28),
    ("IE", 22),
    ("IL", 23),
    ("IQ", 23),
    ("IS", 26),
    ("IT", 27),
    ("JO", 30),
    ("KW", 30),
    ("KZ", 20),
    ("LB", 28),
    ("LC", 32),
    ("LI", 21),
    ("LT", 20),
    ("LU", 20),
    ("LV", 21),
    ("LY", 25),
    ("MC", 27),
    ("MD", 24),
    ("ME", 22),
    ("MK", 19),
    ("MR", 27),
    ("MT", 31),
    ("MU", 30),
    ("NL", 18),
    ("NO", 15),
    ("PK", 24),
    ("PL", 28),
    ("PS", 29),
    ("PT", 25),
    ("QA", 29),
    ("RO", 24),
    ("RS", 22),
    ("SA", 24),
    ("SC", 31),
    ("SD", 18),
    ("SE", 24),
    ("SI", 19),
    ("SK", 24),
    ("SM", 27),
    ("ST", 25),
    ("SV", 28),
    ("TL", 23),
    ("TN", 24),
    ("TR", 26),
    ("UA", 29),
    ("VA", 22),
    ("XK", 20),
];

fn is_iban(text: &str) -> bool {
    let Some(text) = compact(text).filter(|text| (15..=34).contains(&text.len())) else { return false };
    let (head, account) = text.split_at(4);
    let (country, check) = head.split_at(2);
    let is_formed =
        country.chars().all(|char| char.is_ascii_uppercase()) && check.chars().all(|char| char.is_ascii_digit());
    let length = IBAN_LENGTHS.iter().find(|(known, _)| *known == country).map(|(_, length)| *length);
    if !is_formed || length.is_some_and(|length| length != text.len()) {
        return false;
    }
    let rest = account.chars().chain(head.chars()).filter_map(|char| char.to_digit(36));
    rest.fold(0, |rest, digit| (rest * if digit < 10 { 10 } else { 100 } + digit) % 97) == 1
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn sirets() {
        for good in ["73282932000074", "732 829 320 00074", "35600000049837", "35600000000048"] {
            assert!(is_siret(good), "{good}");
        }
        for bad in ["", "73282932000075", "7328293200007", "7328293200007A", "732829320000741", "35600000049838", "٧٣"]
        {
            assert!(!is_siret(bad), "{bad}");
        }
    }

    #[test]
    fn vat_numbers() {
        for good in [
            "FR40303265045",
            "fr 40 303 265 045",
            "DE123456789",
            "ATU12345678",
            "NL123456789B01",
            "BE0123456789",
            "CHE-123.456.789 MWST",
            "IE1234567FA",
            "FRXX303265045",
            "SE123456789001",
        ] {
            assert!(is_vat(good), "{good}");
        }
        for bad in ["", "FR41303265045", "DE12345678", "303265045", "US123456789", "AT12345678", "BE2123456789", "FR4"]
        {
            assert!(!is_vat(bad), "{bad}");
        }
    }

    #[test]
    fn ibans() {
        for good in
            ["FR1420041010050500013M02606", "GB29 NWBK 6016 1331 9268 19", "de89370400440532013000", "NO9386011117947"]
        {
            assert!(is_iban(good), "{good}");
        }
        for bad in
            ["", "FR1420041010050500013M02607", "GB29NWBK6016133192681", "DE8937040044053201300O", "12345678901234567"]
        {
            assert!(!is_iban(bad), "{bad}");
        }
    }

    #[test]
    fn a_pattern_matches_the_whole_value_and_blanks_pass() {
        let check = Check::new(&model::Check::Pattern("[A-Z]{2}|[0-9]+".into())).unwrap();
        let passes = |value: FieldValue| check.passed(value).is_ok();
        let text = |text: &str| FieldValue::Text(text.into());
        assert!(passes(text("FR")) && passes(text("12")) && passes(FieldValue::Number("7".into())));
        assert!(passes(text("  ")) && passes(FieldValue::Null));
        assert!(!passes(text("FRA")) && !passes(text("12a")) && !passes(FieldValue::Bool(true)));
    }

    proptest! {
        #[test]
        fn any_text_is_judged_without_panic(text: String) {
            let _ = (is_siret(&text), is_vat(&text), is_iban(&text));
        }
    }
}
