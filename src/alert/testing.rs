//! What the tests of the parts share: a configuration, a calm status, an alert.

use std::path::Path;

use jiff::Timestamp;

use super::model::{About, Alert, Event, Message};
use super::setting::Setting;
use crate::config::model::{AlertKind, Severity};

/// Two sources, a CRM, two mappings and these channels.
pub(super) fn setting(channels: &str) -> Setting {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("conf.toml");
    let source = |name: &str| {
        format!(
            "[source.{name}]\nkind = \"postgres\"\nhost = \"10.0.0.1\"\nslot = \"{name}\"\ndatabase = \"{name}\"\nuser = \"p\"\n"
        )
    };
    let mapping = |name: &str, source: &str, more: &str| {
        format!(
            "[mapping.{name}]\nsource = \"{source}\"\ntable = \"{name}\"\ncrm = \"sales\"\nobject = \"{name}\"\n{more}\n\
             key = {{ field = \"K__c\", value = \"id\" }}\nfields = {{ Name = \"name\" }}\n"
        )
    };
    let text = [
        source("erp"),
        source("web"),
        "[crm.sales]\nkind = \"salesforce\"\nurl = \"https://a.my.salesforce.com\"\n\
         auth = { method = \"token\", token = { env = \"T\" } }\n"
            .to_owned(),
        mapping("contacts", "erp", "owner = \"ada@acme.example\"\npurpose = \"sales\""),
        mapping("visitors", "web", "owner = \"the web team\"\npurpose = \"sales\""),
        channels.to_owned(),
    ];
    std::fs::write(&path, text.concat()).unwrap();
    let loaded = crate::config::load_without_secrets(Path::new(&path)).unwrap_or_else(|faults| panic!("{faults}"));
    Setting::of(&loaded.config)
}

pub(super) fn second(second: i64) -> Timestamp {
    Timestamp::from_second(second).unwrap()
}

/// The guard of `contacts` has tripped, at second 1,000.
pub(super) fn alert() -> Alert {
    Alert {
        id: "00000000000000aa".to_owned(),
        kind: AlertKind::Guard,
        severity: Severity::Warning,
        about: About::Mapping("contacts".to_owned()),
        of: Some(("erp".to_owned(), "sales".to_owned())),
        text: "the guard holds its deletions <now> & here".to_owned(),
        next_command: Some("passerelle resume mapping/contacts --confirm".to_owned()),
        owner: Some("ada@acme.example".to_owned()),
        since: second(1_000),
    }
}

/// What is said of it at second 1,060.
pub(super) fn message(event: Event) -> Message {
    let alert = alert();
    let id = format!("{}-{}", alert.id, event.word());
    Message { id, channel: "ops".to_owned(), copy_to: None, event, at: second(1_060), alert }
}
