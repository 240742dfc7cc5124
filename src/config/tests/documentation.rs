//! The tables of keys in `docs/`: between their marks stands what the tables of the code give.

use crate::config::keys::{Cases, Key, Keys, Rule};
use crate::config::{alert, association, crm, daemon, field, lookup, mapping, related, source, standard};

const CONFIGURATION: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/configuration.md");
const MAPPING: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/mapping.md");

#[test]
fn the_tables_of_keys_are_the_codes() {
    let tables = [
        ("daemon", &daemon::KEYS),
        ("source", &source::KEYS),
        ("crm", &crm::KEYS),
        ("auth", &crm::AUTH),
        ("limits", &crm::LIMITS),
        ("mapping", &mapping::KEYS),
        ("standard", &standard::KEYS),
        ("lookup", &lookup::KEYS),
        ("alerts", &alert::LIMITS),
        ("alert", &alert::KEYS),
    ];
    check(CONFIGURATION, &tables);
    check(
        MAPPING,
        &[
            ("field", &field::KEYS),
            ("association", &association::KEYS),
            ("related", &related::KEYS),
            ("pivot", &related::PIVOT),
        ],
    );
}

#[test]
fn the_functions_over_rows_are_the_codes() {
    let page = std::fs::read_to_string(MAPPING).unwrap();
    let mark = "<!-- functions over rows -->\n";
    let (before, rest) = page.split_once(mark).unwrap();
    let (_, after) = rest.split_once("<!-- end -->").unwrap();
    let renewed = format!("{before}{mark}{}<!-- end -->{after}", crate::mapping::related::reference());
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(MAPPING, &renewed).unwrap();
    }
    let page = std::fs::read_to_string(MAPPING).unwrap();
    assert!(page == renewed, "renew it by running this test with PASSERELLE_RENEW=1");
}

fn check(path: &str, tables: &[(&str, &'static Keys)]) {
    let page = std::fs::read_to_string(path).unwrap();
    let renewed = tables.iter().fold(page.clone(), |page, (name, keys)| with_table(&page, name, keys));
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(path, &renewed).unwrap();
    }
    let page = std::fs::read_to_string(path).unwrap();
    assert!(page == renewed, "{path} is not what the keys give: renew it by running this test with PASSERELLE_RENEW=1");
}

/// The page with the table of that name between its marks.
fn with_table(page: &str, name: &str, keys: &'static Keys) -> String {
    let mark = format!("<!-- keys of {name} -->\n");
    let (before, rest) = page.split_once(&mark).unwrap_or_else(|| panic!("there is no {mark}"));
    let (_, after) = rest.split_once("<!-- end -->").unwrap_or_else(|| panic!("there is no end of {mark}"));
    format!("{before}{mark}{}<!-- end -->{after}", table(keys))
}

fn table(keys: &'static Keys) -> String {
    let lines = keys.of(None).map(|key| {
        let default = match key.rule {
            Rule::Needed | Rule::Later(_) => "required".to_owned(),
            Rule::Default(default) => format!("`{default}`"),
            Rule::Optional(without) => without.to_owned(),
        };
        let with = cases(keys, key).map_or_else(String::new, |with| format!(" {with} |"));
        line(&format!("| `{}` |{with} {} | {default} | {} |", key.name, cell(&key.form.shown()), cell(key.about)))
    });
    let (head, dashes) = match keys.cases {
        Cases::None => ("", ""),
        Cases::Word(_) | Cases::Key(_) => (" with |", " --- |"),
    };
    let head = format!("| key |{head} type | default | meaning |\n| --- |{dashes} --- | --- | --- |\n");
    head + &lines.collect::<String>()
}

/// With what a key goes, where not all go together.
fn cases(keys: &Keys, key: &Key) -> Option<String> {
    let shown = |case: &&str| match keys.cases {
        Cases::Word(_) => format!("`\"{case}\"`"),
        Cases::Key(_) | Cases::None => format!("`{case}`"),
    };
    match keys.cases {
        Cases::None => None,
        Cases::Word(_) | Cases::Key(_) if key.cases.is_empty() => Some("all".to_owned()),
        Cases::Word(_) | Cases::Key(_) => Some(key.cases.iter().map(shown).collect::<Vec<_>>().join(", ")),
    }
}

/// A bar would end the cell.
fn cell(text: &str) -> String {
    text.replace('|', "\\|")
}

fn line(text: &str) -> String {
    format!("{text}\n")
}
