//! What the demo says on the terminal: a line a happening.

use std::io::Write;
use std::time::{Duration, Instant};

use serde_json::{Map, Value};

use crate::sandbox::{Operation, WriteEntry};

/// Where the second column begins.
const SHOP_WIDTH: usize = 50;
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

    /// Times are told from now on.
    pub(super) fn restart(&mut self) {
        self.since = Instant::now();
    }

    /// Since it began.
    pub(super) fn elapsed(&self) -> Duration {
        self.since.elapsed()
    }

    /// One happening: in the shop, and what the CRM got for it.
    pub(super) fn happened(&self, shop: &str, crm: &str) {
        say(&format!("{:6.1} s  {shop:<SHOP_WIDTH$} → {crm}", self.since.elapsed().as_secs_f64()));
    }

    /// More of what the CRM got for the last one.
    pub(super) fn more(&self, crm: &str) {
        say(&format!("{:8}  {:SHOP_WIDTH$}   {crm}", "", ""));
    }
}

/// Says a line, or several. A terminal that is gone is told nothing.
pub(super) fn say(text: &str) {
    let mut out = std::io::stdout().lock();
    let _ = writeln!(out, "{text}").and_then(|()| out.flush());
}

/// What a write did, in words: `Contact updated: MailingCity "Paris"`.
pub(super) fn in_words(entry: &WriteEntry) -> String {
    let fields = named(&entry.fields);
    let text = match entry.op {
        Operation::Created => format!("{} created: {fields}", entry.object),
        Operation::Updated => format!("{} updated: {fields}", entry.object),
        Operation::Deleted => format!("{} deleted", entry.object),
    };
    shortened(&text, CRM_WIDTH)
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

/// Fields and values; what says least comes last, where it may not fit.
fn named(fields: &Map<String, Value>) -> String {
    let mut all: Vec<_> = fields.iter().filter(|(name, _)| !name.ends_with("__c")).collect();
    all.sort_by_key(|(name, _)| (name.ends_with("Id"), !name.ends_with("Name")));
    let one = |(name, value): (&String, &Value)| match value {
        Value::Null => format!("{name} emptied"),
        Value::String(_) if name.ends_with("Id") => name.trim_end_matches("Id").to_owned(),
        Value::String(text) => format!("{name} {text}"),
        other => format!("{name} {other}"),
    };
    all.into_iter().map(one).collect::<Vec<_>>().join(", ")
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
        let check = |op, fields: Value, expect: &str| {
            let Value::Object(fields) = fields else { panic!("fields are an object") };
            let (object, id) = ("Contact".to_owned(), String::new());
            let entry = WriteEntry { n: 1, at: 0, object, id, key: None, op, fields, duplicate_of_previous: false, version: 1 };
            assert_eq!(in_words(&entry), expect);
        };
        check(Operation::Updated, json!({"MailingCity": "Paris"}), "Contact updated: MailingCity Paris");
        check(Operation::Updated, json!({"Email": null, "Shop_Id__c": "7"}), "Contact updated: Email emptied");
        check(Operation::Updated, json!({"AccountId": "001…", "LastName": "Rossi"}), "Contact updated: LastName Rossi, Account");
        check(Operation::Deleted, json!({}), "Contact deleted");
        let long = json!({"LastName": "x".repeat(100)});
        check(Operation::Created, long, &format!("Contact created: LastName {}…", "x".repeat(33)));
    }

    #[test]
    fn durations() {
        assert_eq!(lasting(Duration::from_micros(300)), "under 1 ms");
        assert_eq!(lasting(Duration::from_millis(8)), "8 ms");
        assert_eq!(lasting(Duration::from_millis(1_240)), "1.2 s");
    }
}
