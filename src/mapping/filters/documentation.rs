//! The reference of the filters, from their table.

use std::fmt::Write as _;

use super::{Filter, THEMES};

const HEAD: &str = "\
# Filters

What stands behind a bar in an [expression](mapping.md#expressions): `name | trim | upper`. Each says on what it works, what it gives,
and which values are bad; a field whose value is bad follows its `on_bad`.

A filter on null gives null, but `default`. Blank text counts as null for those that read something from it: `email`, `date`,
`number`… No filter makes a text of more than 4 MiB, or a list of more than 10,000 items.
";

/// The filters as a page of the documentation: `docs/filters.md`.
pub fn reference() -> String {
    let mut page = String::from(HEAD);
    let _ = write!(page, "\n|  |  |\n| --- | --- |\n");
    for theme in THEMES {
        let names = theme.filters.iter().map(|filter| format!("[`{}`](#{})", filter.name, filter.name));
        line(&mut page, &format!("| {} | {} |", theme.title, names.collect::<Vec<_>>().join(" ")));
    }
    for theme in THEMES {
        line(&mut page, &format!("\n## {}", theme.title));
        theme.filters.iter().for_each(|filter| section(&mut page, filter));
    }
    page
}

fn section(page: &mut String, filter: &Filter) {
    let Filter { name, takes, gives, about, errors, .. } = filter;
    line(page, &format!("\n### {name}\n\n`{}`: {takes} → {gives}.\n\n{about}", filter.signature()));
    if !errors.is_empty() {
        line(page, &format!("\nBad: {errors}."));
    }
    if !filter.params.is_empty() {
        line(page, "");
    }
    for param in filter.params {
        let default = param.default.map_or("required".to_owned(), |default| format!("default {default}"));
        line(page, &format!("- `{}`: {} ({default})", param.name, param.about));
    }
    if !filter.examples.is_empty() {
        line(page, "\n| expression | value |\n| --- | --- |");
    }
    for (expr, value) in filter.examples {
        line(page, &format!("| {} | {} |", code(expr), code(value)));
    }
}

/// In a table's cell, bars and line breaks would end it.
fn code(text: &str) -> String {
    let text = text.replace('|', "\\|").replace('\n', "\\n");
    if text.is_empty() { "empty text".into() } else { format!("`{text}`") }
}

fn line(page: &mut String, text: &str) {
    page.push_str(text);
    page.push('\n');
}
