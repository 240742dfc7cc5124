//! Names and addresses that nobody has.

use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

/// A person's name.
#[derive(Clone, Debug)]
pub(super) struct Person {
    /// First name.
    pub(super) first: String,
    /// Last name.
    pub(super) last: String,
}

/// Where somebody lives.
#[derive(Clone, Debug)]
pub(super) struct Address {
    /// Street and number.
    pub(super) street: String,
    /// Postal code.
    pub(super) postal_code: String,
    /// City.
    pub(super) city: &'static str,
    /// ISO code of the country.
    pub(super) country_code: &'static str,
}

impl Person {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        Self { first: pick(rng, FIRST_NAMES).to_owned(), last: pick(rng, LAST_NAMES).to_owned() }
    }

    /// First and last name.
    pub(super) fn name(&self) -> String {
        format!("{} {}", self.first, self.last)
    }

    /// An address of a domain that is reserved for examples.
    pub(super) fn email(&self, number: i64) -> String {
        format!("{}.{}.{number}@example.com", self.first, self.last).to_lowercase()
    }
}

impl Address {
    pub(super) fn any(rng: &mut StdRng) -> Self {
        let &(city, country_code) = CITIES.choose(rng).unwrap_or(&("Paris", "FR"));
        let street = format!("{} {}", rng.random_range(1..120), pick(rng, STREETS));
        let postal_code = format!("{:05}", rng.random_range(1_000..98_000));
        Self { street, postal_code, city, country_code }
    }
}

/// A company's name.
pub(super) fn company(rng: &mut StdRng) -> String {
    format!("{} {}", pick(rng, LAST_NAMES), pick(rng, TRADES))
}

/// A telephone number.
pub(super) fn phone(rng: &mut StdRng) -> String {
    format!("+331{:08}", rng.random_range(40_000_000..49_999_999))
}

/// The name with two neighbouring letters swapped: `Pairs` for `Paris`.
pub(super) fn mistyped(name: &str) -> String {
    let mut letters: Vec<char> = name.chars().collect();
    if let Some(at) = (1..letters.len().saturating_sub(1)).find(|&at| letters[at] != letters[at + 1]) {
        letters.swap(at, at + 1);
    }
    letters.into_iter().collect()
}

fn pick(rng: &mut StdRng, names: &[&'static str]) -> &'static str {
    names.choose(rng).copied().unwrap_or_default()
}

const FIRST_NAMES: &[&str] = &[
    "Ada", "Bruno", "Chiara", "Dario", "Elena", "Felix", "Greta", "Hugo", "Irene", "Jonas", "Katrin", "Leo", "Marta",
    "Nils", "Olga", "Pablo", "Rosa", "Sven", "Tania", "Ugo", "Vera", "Yann", "Zoe",
];

const LAST_NAMES: &[&str] = &[
    "Almeida", "Bertrand", "Castelli", "Dubois", "Ebner", "Ferreira", "Gallo", "Hofmann", "Iglesias", "Jansen",
    "Keller", "Lambert", "Moreau", "Navarro", "Oliveira", "Perrin", "Rossi", "Schulz", "Torres", "Vidal", "Weber",
];

const TRADES: &[&str] =
    &["Books", "Bakery", "Cycles", "Garden", "Interiors", "Optics", "Print", "Tools", "Toys", "Wines"];

const STREETS: &[&str] =
    &["Harbour Street", "Mill Lane", "Station Road", "Church Square", "Old Market", "River Walk", "Garden Street"];

const CITIES: &[(&str, &str)] = &[
    ("Paris", "FR"),
    ("Lyon", "FR"),
    ("Nantes", "FR"),
    ("Berlin", "DE"),
    ("Bremen", "DE"),
    ("Leipzig", "DE"),
    ("Milan", "IT"),
    ("Torino", "IT"),
    ("Madrid", "ES"),
    ("Sevilla", "ES"),
    ("Lisbon", "PT"),
    ("Porto", "PT"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typo_differs() {
        for (city, _) in CITIES {
            assert_ne!(mistyped(city), *city);
        }
        assert_eq!(mistyped("Paris"), "Prais");
        assert_eq!(mistyped("X"), "X");
    }
}
