//! What two configurations do not have in common, key by key, as it is written.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use toml::{Table, Value};

use super::Files;

/// A table of the configuration that is not the same in both.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// What kind of table: `daemon`, `source`, `crm`, `mapping`.
    pub kind: String,
    /// Its name; empty where the kind has but one.
    pub name: String,
    /// How it differs.
    pub what: What,
}

/// How a table differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum What {
    /// Only the new configuration has it.
    Added,
    /// Only the old one has it.
    Removed,
    /// Both have it, with these keys different.
    Keys(Vec<KeyChange>),
}

/// A key that differs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyChange {
    /// The key, with its tables: `fields.LastName`.
    pub key: String,
    /// The value as TOML writes it. Only a mapping's is kept: others may be secrets.
    pub old: Option<String>,
    /// The same of the new one.
    pub new: Option<String>,
}

impl fmt::Display for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.kind)?;
        if self.name.is_empty() { Ok(()) } else { write!(f, " {}", self.name) }
    }
}

/// The differences, by kind and name. The order in which things are written, comments and blanks are none.
pub fn difference(old: &Files, new: &Files) -> Vec<Change> {
    let (old, new) = (tables(old), tables(new));
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let changes = names.into_iter().filter_map(|name| {
        let what = match (old.get(name), new.get(name)) {
            (None, _) => What::Added,
            (Some(_), None) => What::Removed,
            (Some(old), Some(new)) if old == new => return None,
            (Some(old), Some(new)) => What::Keys(keys(old, new, name.0 == "mapping")),
        };
        Some(Change { kind: name.0.clone(), name: name.1.clone(), what })
    });
    changes.collect()
}

/// The entries of every named table, flat. Texts that do not parse have been refused before.
fn tables(files: &Files) -> BTreeMap<(String, String), BTreeMap<String, Value>> {
    const NAMED: [&str; 6] = ["lookup", "source", "crm", "mapping", "record", "alert"];
    let mut tables = BTreeMap::<_, BTreeMap<_, _>>::new();
    for (kind, value) in files.texts().filter_map(|text| text.parse::<Table>().ok()).flatten() {
        match value {
            Value::Table(named) if NAMED.contains(&kind.as_str()) => {
                for (name, value) in named {
                    flatten(tables.entry((kind.clone(), name)).or_default(), String::new(), value);
                }
            }
            value => flatten(tables.entry((kind, String::new())).or_default(), String::new(), value),
        }
    }
    tables
}

/// A mapping's fields, relations and the like are compared one by one; what stands in them is one value.
fn flatten(entries: &mut BTreeMap<String, Value>, key: String, value: Value) {
    match value {
        Value::Table(table) if !key.contains('.') => {
            for (name, value) in table {
                let key = if key.is_empty() { name } else { format!("{key}.{name}") };
                flatten(entries, key, value);
            }
        }
        value => drop(entries.insert(key, value)),
    }
}

fn keys(old: &BTreeMap<String, Value>, new: &BTreeMap<String, Value>, shown: bool) -> Vec<KeyChange> {
    let names: BTreeSet<_> = old.keys().chain(new.keys()).collect();
    let text = |value: Option<&Value>| value.map(|value| if shown { value.to_string() } else { String::new() });
    names
        .into_iter()
        .filter(|key| old.get(*key) != new.get(*key))
        .map(|key| KeyChange { key: key.clone(), old: text(old.get(key)), new: text(new.get(key)) })
        .collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn files(text: &str) -> Files {
        let mut files = Files::default();
        files.add(Path::new("a.toml"), text.to_owned());
        files
    }

    fn check(old: &str, new: &str, expect: &[&str]) {
        let shown = difference(&files(old), &files(new)).into_iter().flat_map(|change| match &change.what {
            What::Added => vec![format!("+ {change}")],
            What::Removed => vec![format!("- {change}")],
            What::Keys(keys) => {
                keys.iter().map(|key| format!("~ {change} {}: {:?} {:?}", key.key, key.old, key.new)).collect()
            }
        });
        assert_eq!(shown.collect::<Vec<_>>(), expect, "{old} → {new}");
    }

    #[test]
    fn tables_come_and_go() {
        let (one, two) = ("[mapping.a]\nobject = \"A\"", "[mapping.b]\nobject = \"A\"");
        check(one, two, &["- mapping a", "+ mapping b"]);
        check("", "[daemon]\nhttp = \"x\"", &["+ daemon"]);
        check(one, &format!("# a comment\n\n{one}"), &[]);
    }

    #[test]
    fn fields_are_compared_one_by_one_however_they_are_written() {
        let old = "[mapping.a.fields]\nName = \"name\"\nCity = { value = \"city\" }";
        check(old, "[mapping.a]\nfields = { City = { value = \"city\" }, Name = \"name\" }", &[]);
        check(
            old,
            "[mapping.a]\nwhere = \"active\"\nfields = { City = { value = \"town\" } }",
            &[
                "~ mapping a fields.City: Some(\"{ value = \\\"city\\\" }\") Some(\"{ value = \\\"town\\\" }\")",
                "~ mapping a fields.Name: Some(\"\\\"name\\\"\") None",
                "~ mapping a where: None Some(\"\\\"active\\\"\")",
            ],
        );
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        check(
            "[crm.s]\nauth = { token = \"one\" }\nurl = \"x\"",
            "[crm.s]\nauth = { token = \"two\" }\nurl = \"x\"",
            &["~ crm s auth.token: Some(\"\") Some(\"\")"],
        );
    }
}
