//! What the demo says on the terminal: a line a happening.

use std::io::Write;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::sandbox::{Operation, WriteEntry};

/// Where the second column begins.
const SHOP_WIDTH: usize = 48;
/// What fits beside it on most screens.
const CRM_WIDTH: usize = 60;

/// Tells, with the time since it began.
#[derive(Debug)]
pub(super) struct Teller {
    since: Instant,
}

impl Teller {
    /// Begins now.
    pub(super) fn new() -> Self {
        Self { since: Instant::now() }
    }

    /// Names the columns.
    pub(super) fn head() {
        say(&format!("            {:SHOP_WIDTH$}   {}", "in the shop", "in the CRM (how long after the commit)"));
    }

    /// One happening: in the shop, and what the CRM got for it.
    pub(super) fn happened(&self, shop: &str, crm: &str) {
        say(&format!("{:7.1} s   {shop:<SHOP_WIDTH$} → {crm}", self.since.elapsed().as_secs_f64()));
    }

    /// More of what the CRM got for the last one.
    pub(super) fn more(crm: &str) {
        say(&format!("            {:SHOP_WIDTH$}   {crm}", ""));
    }

    /// Something that nobody did in the shop.
    pub(super) fn meanwhile(&self, what: &str) {
        say(&format!("{:7.1} s   * {what}", self.since.elapsed().as_secs_f64()));
    }
}

/// Says a line, or several. A terminal that is gone is told nothing.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// What writes did, in words, a line each: `Contact updated: MailingCity Paris`. Deletions of one object are one line.
pub(super) fn in_words(entries: &[Arc<WriteEntry>]) -> Vec<String> {
    let mut lines = Vec::new();
    let mut deleted: Vec<(&str, u64)> = Vec::new();
    for entry in entries {
        let object = entry.object.as_str();
        match (entry.op, deleted.iter_mut().find(|(name, _)| *name == object)) {
            (Operation::Created, _) => lines.push(of_new(&format!("{object} created: "), &entry.fields)),
            (Operation::Updated, _) => lines.push(format!("{object} updated: {}", of_known(&entry.fields))),
            (Operation::Deleted, Some((_, number))) => *number += 1,
            (Operation::Deleted, None) => deleted.push((object, 1)),
        }
    }
    lines.extend(deleted.into_iter().map(|(object, number)| match number {
        1 => format!("{object} deleted"),
        number => format!("{} deleted", counted(number, object)),
    }));
    lines.iter().map(|line| shortened(line, CRM_WIDTH)).collect()
}

/// A duration as people read it: `8 ms`, `1.2 s`.
pub(super) fn lasting(time: Duration) -> String {
    match time.as_millis() {
        0 => "under 1 ms".to_owned(),
        ms @ 1..1_000 => format!("{ms} ms"),
        _ => format!("{:.1} s", time.as_secs_f64()),
    }
}

/// `1 write`, `2 writes`.
pub(super) fn counted(number: u64, what: &str) -> String {
    format!("{number} {what}{}", if number == 1 { "" } else { "s" })
}

/// A new record's fields with their values, names first, as many as fit behind `head`; how many more there are.
fn of_new(head: &str, fields: &Map<String, Value>) -> String {
    let mut all: Vec<_> = ours(fields).filter(|(_, value)| !value.is_null()).collect();
    all.sort_by_key(|(name, _)| (name.ends_with("Id"), !name.ends_with("Name")));
    let words: Vec<String> = all.iter().map(|(name, value)| in_word(name, value)).collect();
    let line = |told: usize| match words.len() - told {
        0 => format!("{head}{}", words.join(", ")),
        more => format!("{head}{} and {more} more", words[..told].join(", ")),
    };
    (1..=words.len())
        .rev()
        .map(line)
        .find(|line| line.chars().count() <= CRM_WIDTH)
        .unwrap_or_else(|| line(words.len()))
}

/// All fields that were written.
fn of_known(fields: &Map<String, Value>) -> String {
    ours(fields).map(|(name, value)| in_word(name, value)).collect::<Vec<_>>().join(", ")
}

/// Without the external key, which is always sent.
fn ours(fields: &Map<String, Value>) -> impl Iterator<Item = (&String, &Value)> {
    fields.iter().filter(|(name, _)| !name.ends_with("__c"))
}

fn in_word(name: &str, value: &Value) -> String {
    match value {
        Value::Null => format!("{name} emptied"),
        // The id of another record says nothing to a reader.
        Value::String(_) if name.ends_with("Id") => name.trim_end_matches("Id").to_owned(),
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    }
}

fn shortened(text: &str, most: usize) -> String {
    if text.chars().count() <= most {
        return text.to_owned();
    }
    let kept: String = text.chars().take(most - 1).collect();
    format!("{}…", kept.trim_end_matches([',', ' ']))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn writes_in_words() {
        let check = |writes: &[(Operation, Value)], expect: &[&str]| {
            let entry = |(op, fields): &(Operation, Value)| {
                let fields = fields.as_object().cloned().unwrap_or_default();
                let (object, id, op) = ("Contact".to_owned(), String::new(), *op);
                Arc::new(WriteEntry {
                    n: 1,
                    at: 0,
                    object,
                    id,
                    key: None,
                    op,
                    fields,
                    duplicate_of_previous: false,
                    version: 1,
                })
            };
            assert_eq!(in_words(&writes.iter().map(entry).collect::<Vec<_>>()), expect);
        };
        let updated = |fields| (Operation::Updated, fields);
        check(&[updated(json!({"MailingCity": "Paris"}))], &["Contact updated: MailingCity Paris"]);
        check(&[updated(json!({"Email": null, "Shop_Id__c": "7"}))], &["Contact updated: Email emptied"]);
        check(&[updated(json!({"AccountId": "001…", "Total": 1.5}))], &["Contact updated: Account, Total 1.5"]);
        let long = json!({"Description": "x".repeat(100)});
        check(&[updated(long)], &[&format!("Contact updated: Description {}…", "x".repeat(30))]);
        let new = json!({"AccountId": "001…", "Phone": null, "Email": "a@b.example", "LastName": "Rossi"});
        check(&[(Operation::Created, new)], &["Contact created: LastName Rossi, Email a@b.example, Account"]);
        let long = json!({"LastName": "Rossi", "City": "Torino", "Street": "x".repeat(40)});
        check(&[(Operation::Created, long)], &["Contact created: LastName Rossi, City Torino and 1 more"]);
        let gone = || (Operation::Deleted, json!({}));
        check(&[gone()], &["Contact deleted"]);
        check(&[gone(), gone()], &["2 Contacts deleted"]);
    }

    #[test]
    fn durations() {
        assert_eq!(lasting(Duration::from_micros(300)), "under 1 ms");
        assert_eq!(lasting(Duration::from_millis(8)), "8 ms");
        assert_eq!(lasting(Duration::from_millis(1_240)), "1.2 s");
    }
}
