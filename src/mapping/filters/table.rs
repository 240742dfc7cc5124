//! The table of filters, by theme: what each takes, gives and refuses, with examples that a test holds it to. The
//! documentation comes from it too (`docs/filters.md`).

mod any;
mod data;
mod lists;
mod numbers;
mod people;
mod text;
mod times;

use super::{Filter, Op, Param};

/// Filters on one kind of thing.
#[derive(Debug)]
pub struct Theme {
    /// Its title in the documentation.
    pub title: &'static str,
    /// Its filters, by name.
    pub filters: &'static [Filter],
}

/// Every filter.
pub const THEMES: &[Theme] = &[
    Theme { title: "Anything", filters: any::FILTERS },
    Theme { title: "Text", filters: text::FILTERS },
    Theme { title: "People", filters: people::FILTERS },
    Theme { title: "Dates and times", filters: times::FILTERS },
    Theme { title: "Numbers and booleans", filters: numbers::FILTERS },
    Theme { title: "Lists", filters: lists::FILTERS },
    Theme { title: "Data in a column", filters: data::FILTERS },
];
