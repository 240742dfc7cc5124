//! The JSON Schema: what the reader takes it takes, and each kind of fault it refuses as well.

use std::path::Path;

use jsonschema::Validator;
use serde_json::Value;

use super::{BASE, SEPARATOR, env};
use crate::config::keys::{Cases, Form, Key, Keys, Rule};
use crate::config::{self, Faults, Files, Loaded, alert, daemon, example, parse, schema, standard};

const SHIPPED: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/passerelle.schema.json");

#[test]
fn what_is_shipped_is_what_the_keys_give() {
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(SHIPPED, schema()).unwrap();
    }
    let shipped = std::fs::read_to_string(SHIPPED).unwrap_or_default();
    let renew =
        "docs/passerelle.schema.json is not what the keys give: renew it by running this test with PASSERELLE_RENEW=1";
    assert!(shipped == schema(), "{renew}");
}

#[test]
fn what_the_reader_takes_the_schema_takes() {
    let demo = include_str!("../../demo/passerelle.toml").replace("@crm_url@", "http://127.0.0.1:8080");
    let demo = demo.replace("@shop_port@", "5432").replace("@webshop_port@", "3306").replace("@per_second@", "20");
    let mut texts = vec![
        ("every_key.toml".to_owned(), include_str!("../every_key.toml").to_owned()),
        ("the base of the tests".to_owned(), BASE.to_owned()),
        ("the example".to_owned(), example().to_owned()),
        ("the demo".to_owned(), demo),
    ];
    let examples = std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/examples")).unwrap();
    for path in
        examples.map(|entry| entry.unwrap().path()).filter(|path| path.extension().is_some_and(|end| end == "toml"))
    {
        texts.push((path.display().to_string(), std::fs::read_to_string(&path).unwrap()));
    }
    for (path, text, screen) in golden() {
        if !screen.contains("error: ") {
            texts.push((path, text));
        }
    }
    let validator = validator();
    for (name, text) in texts {
        assert_eq!(refusals(&validator, &text), Vec::<String>::new(), "{name}");
    }
}

/// Faults that the schema finds, each in a configuration that is good without it.
const FAULTS: [(&str, &str); 28] = [
    ("a kind of alert that is none", "[alert.ops]\nkind = \"command\"\ncommand = [\"page\"]\non = [\"delay\"]"),
    (
        "a key of another kind of channel",
        "[alert.ops]\nkind = \"command\"\ncommand = [\"page\"]\nurl = \"https://x.example\"",
    ),
    ("a channel without its keys", "[alert.ops]\nkind = \"email\""),
    ("a channel among the limits", "[alerts.ops]\nkind = \"webhook\""),
    ("an unknown table", "[mappings.x]"),
    ("an unknown key", "[daemon]\nstate_folder = \"/srv\""),
    ("a number in quotes", "[crm.sales.limits]\nper_second = \"25\""),
    ("a number without quotes", "[source.erp]\nprefix = 7"),
    ("a number out of range", "[source.erp]\nport = 70000"),
    ("a table that is none", "[crm.sales]\nexpect = \"00D5g000004Xyz1EAC\""),
    ("a word that is none", "[mapping.accounts]\non_gone = \"ignore\""),
    ("a word that is not built yet", "[source.erp]\nkind = \"sqlserver\""),
    ("a word or table that is neither", "[mapping.accounts]\non_delete = \"remove\""),
    ("a size without its unit", "[daemon]\ndisk_budget = \"20G\""),
    ("a duration in words", "[mapping.accounts]\nquiet = \"10 minutes\""),
    ("a name that is none", "[crm.\"my crm\"]\nkind = \"salesforce\""),
    ("a port in the host", "[source.erp]\nhost = \"127.0.0.1:5432\""),
    ("a missing key", "[source.shop]\nkind = \"postgres\""),
    ("a missing key of a method", "[crm.sales]\nauth = { method = \"jwt\", client_id = \"3MVG9\" }"),
    (
        "a key of another method",
        "[crm.sales]\nauth = { method = \"token\", token = { env = \"T\" }, username = \"u\" }",
    ),
    ("a key of another kind of database", "[source.erp]\nserver_id = 4001"),
    ("two places of a secret", "[source.erp]\npassword = { env = \"A\", file = \"b\" }"),
    ("one half of a pair", "[source.erp]\ntls_cert = \"a.pem\""),
    ("a field without a value", "[mapping.accounts.fields]\nPhone = { required = true }"),
    ("a field with two values", "[mapping.accounts.fields]\nPhone = { value = \"a\", const = \"b\" }"),
    ("a key of another form of field", "[mapping.accounts.fields]\nPhone = { value = \"a\", missing = \"null\" }"),
    ("a relation without its join", "[mapping.accounts.with.country]\ntable = \"country\""),
    (
        "a relation with a pivot that is none",
        "[mapping.accounts.with.m]\ntable = \"meta\"\non = { id = \"id\" }\npivot = { name = \"k\" }",
    ),
];

#[test]
fn what_the_reader_refuses_for_its_form_the_schema_refuses() {
    let validator = validator();
    for (what, text) in FAULTS {
        let mut document = BASE.parse::<toml::Table>().unwrap();
        merge(&mut document, text.parse().unwrap());
        let text = document.to_string();
        assert!(read(&text).is_err(), "the reader takes {what}:\n{text}");
        assert!(!refusals(&validator, &text).is_empty(), "the schema takes {what}:\n{text}");
    }
    let mut screens = 0;
    for (path, text, screen) in golden() {
        const OF_FORM: [&str; 5] =
            ["unknown key `", "missing in ", "is not supported yet", "does not go with", "` beside it"];
        let is_one_file = !text.contains("==== ") && text.parse::<toml::Table>().is_ok();
        if is_one_file && OF_FORM.iter().any(|form| screen.contains(form)) {
            assert!(!refusals(&validator, &text).is_empty(), "the schema takes {path}");
            screens += 1;
        }
    }
    assert!(screens >= 8, "{screens}");
}

fn merge(document: &mut toml::Table, other: toml::Table) {
    for (key, value) in other {
        match (document.get_mut(&key), value) {
            (Some(toml::Value::Table(table)), toml::Value::Table(other)) => merge(table, other),
            (_, value) => drop(document.insert(key, value)),
        }
    }
}

/// Values of every kind.
const PROBES: [&str; 14] = [
    "true",
    "-1",
    "0",
    "70000",
    "1.5",
    "2024-01-31",
    "\"\"",
    "\" \"",
    "\"nonsense\"",
    "\"a b\"",
    "[]",
    "[\"a\", true]",
    "{}",
    "{ nonsense = 1 }",
];

/// Every key with its example, its default and every probe, and without it: no editor underlines what the daemon takes,
/// and it does underline what is of the wrong kind. Of texts the schema may take more.
#[test]
fn the_schema_and_the_reader_agree_on_every_key() {
    let mut agreement = Agreement { validator: validator(), tried: 0 };
    // What is tried has nothing to do with the mapping that is there, but for references.
    let base: toml::Table = BASE.replace("\"Account\"", "\"Company__c\"").parse().unwrap();
    for (kind, name) in
        [("source", "erp"), ("crm", "sales"), ("mapping", "contacts"), ("lookup", "terms"), ("alert", "ops")]
    {
        let Some(Form::Named { of, .. }) = config::KEYS.get(kind).map(|key| &key.form) else { panic!("{kind}") };
        agreement.on(of.keys().unwrap(), &|table| {
            let mut document = base.clone();
            let named = document.entry(kind).or_insert(toml::Table::new().into());
            named.as_table_mut().unwrap().insert(name.to_owned(), table.into());
            document
        });
    }
    for (kind, keys) in [("daemon", &daemon::KEYS), ("standard", &standard::KEYS), ("alerts", &alert::LIMITS)] {
        agreement.on(keys, &|table| {
            let mut document = base.clone();
            document.insert(kind.to_owned(), table.into());
            document
        });
    }
    assert!(agreement.tried > 2_000, "{}", agreement.tried);
}

struct Agreement {
    validator: Validator,
    tried: usize,
}

impl Agreement {
    /// Tries every key of a table, of which `whole` makes a configuration.
    fn on(&mut self, keys: &'static Keys, whole: &dyn Fn(toml::Table) -> toml::Table) {
        let cases: Vec<_> = keys.case_names().into_iter().map(Some).collect();
        for case in if cases.is_empty() { vec![None] } else { cases } {
            let names_case = |key: &Key| matches!(keys.cases, Cases::Word(name) if name == key.name);
            let example = |key: &Key| match case {
                Some(case) if names_case(key) => toml::Value::String(case.to_owned()),
                Some(_) | None => value(key.example),
            };
            let needed: Vec<&Key> = keys.of(case).filter(|key| matches!(key.rule, Rule::Needed)).collect();
            let table: toml::Table = needed.iter().map(|key| (key.name.to_owned(), example(key))).collect();
            assert!(self.agree(&whole(table.clone()), true), "the examples are no configuration: {table}");
            for key in needed {
                let mut without = table.clone();
                without.remove(key.name);
                self.agree(&whole(without), true);
            }
            for key in keys.of(None) {
                let mut table = table.clone();
                if let Some(beside) = key.beside.and_then(|beside| keys.get(beside)) {
                    table.insert(beside.name.to_owned(), value(beside.example));
                }
                let fits = key.is_of(case) && !names_case(key);
                self.key(key, fits, &|value| {
                    let mut table = table.clone();
                    table.insert(key.name.to_owned(), value);
                    whole(table)
                });
            }
        }
    }

    /// Tries the values of a key, which goes with the others where it `fits`.
    fn key(&mut self, key: &'static Key, fits: bool, with: &dyn Fn(toml::Value) -> toml::Table) {
        let takes_example = self.agree(&with(value(key.example)), true);
        assert!(takes_example || !fits, "its example is not taken: {} = {}", key.name, key.example);
        if let Rule::Default(default) = key.rule {
            self.agree(&with(value(default)), true);
        }
        for probe in PROBES.map(value) {
            let is_exact = match probe {
                toml::Value::String(_) => !has_text(&key.form),
                toml::Value::Datetime(_) => false,
                _ => true,
            };
            self.agree(&with(probe), is_exact);
        }
        if !fits {
            return;
        }
        if let Some(keys) = key.form.keys() {
            self.on(keys, &|table| with(table.into()));
        }
        if let Form::Named { of, .. } = &key.form
            && let Some(keys) = of.keys()
        {
            self.on(keys, &|table| with(toml::Table::from_iter([("Name".to_owned(), table.into())]).into()));
        }
    }

    /// Whether the reader takes a configuration. The schema then does; where it is exact, it refuses the others.
    fn agree(&mut self, document: &toml::Table, is_exact: bool) -> bool {
        let text = document.to_string();
        let (read, refusals) = (read(&text), refusals(&self.validator, &text));
        self.tried += 1;
        match &read {
            Ok(_) => assert!(refusals.is_empty(), "the reader takes, the schema does not:\n{text}\n{refusals:?}"),
            Err(faults) => {
                assert!(!is_exact || !refusals.is_empty(), "the schema takes, the reader does not:\n{text}\n{faults}");
            }
        }
        read.is_ok()
    }
}

/// Whether text is looked at more closely by the reader than by a pattern.
fn has_text(form: &Form) -> bool {
    match form {
        Form::Text { .. } | Form::Duration { .. } => true,
        Form::Called(_, form) => has_text(form),
        Form::Any(forms) => forms.iter().any(has_text),
        Form::Bool
        | Form::Whole { .. }
        | Form::Words(_)
        | Form::Constant
        | Form::List(_)
        | Form::Named { .. }
        | Form::Table(_) => false,
    }
}

fn value(text: &str) -> toml::Value {
    format!("x = {text}").parse::<toml::Table>().unwrap_or_else(|error| panic!("{text}: {error}"))["x"].clone()
}

/// A configuration as the daemon reads it, but for what lies in other files.
fn read(text: &str) -> Result<Loaded, Faults> {
    let mut files = Files::default();
    files.add(Path::new("conf.toml"), text.to_owned());
    parse(files, &env, false)
}

fn validator() -> Validator {
    let schema: Value = serde_json::from_str(&schema()).unwrap();
    jsonschema::draft7::new(&schema).unwrap()
}

/// What the schema has against a text.
fn refusals(validator: &Validator, text: &str) -> Vec<String> {
    let table: toml::Table = text.parse().unwrap();
    let json = as_json(toml::Value::Table(table));
    validator.iter_errors(&json).map(|error| format!("{}: {error}", error.instance_path())).collect()
}

/// As editors hand TOML to a schema: times are text.
fn as_json(value: toml::Value) -> Value {
    match value {
        toml::Value::String(text) => text.into(),
        toml::Value::Integer(number) => number.into(),
        toml::Value::Float(number) => number.into(),
        toml::Value::Boolean(value) => value.into(),
        toml::Value::Datetime(time) => time.to_string().into(),
        toml::Value::Array(items) => items.into_iter().map(as_json).collect(),
        toml::Value::Table(table) => table.into_iter().map(|(key, value)| (key, as_json(value))).collect(),
    }
}

/// The cases of `golden/`: the path, the configuration, what is shown.
fn golden() -> Vec<(String, String, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/config/golden");
    let paths = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    paths
        .map(|path| {
            let case = std::fs::read_to_string(&path).unwrap();
            let (text, screen) = case.split_once(SEPARATOR).unwrap();
            (path.display().to_string(), text.to_owned(), screen.to_owned())
        })
        .collect()
}
