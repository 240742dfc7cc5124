use super::*;
use crate::alert::testing::message;

fn check_json(text: &str, expect: &str) {
    let shown: Value = serde_json::from_str(text).unwrap();
    assert_eq!(format!("{shown:#}"), expect.trim());
}

#[test]
fn an_alert_as_json() {
    check_json(
        &json(&message(Event::Began), "gate-1"),
        r#"
{
  "id": "00000000000000aa-began",
  "alert": "00000000000000aa",
  "event": "began",
  "kind": "guard",
  "severity": "warning",
  "about": "mapping contacts",
  "source": "erp",
  "crm": "sales",
  "mapping": "contacts",
  "text": "the guard holds its deletions <now> & here",
  "next_command": "passerelle resume mapping/contacts --confirm",
  "owner": "ada@acme.example",
  "since": "1970-01-01T00:16:40Z",
  "at": "1970-01-01T00:17:40Z",
  "host": "gate-1"
}"#,
    );
    let test = Message::test("ops", message(Event::Began).at);
    check_json(
        &json(&test, "gate-1"),
        r#"
{
  "id": "test-1060000000",
  "alert": "test-1060000000",
  "event": "test",
  "kind": "test",
  "severity": "warning",
  "about": "daemon",
  "source": null,
  "crm": null,
  "mapping": null,
  "text": "this is a test of the channel: nothing is wrong",
  "next_command": null,
  "owner": null,
  "since": "1970-01-01T00:17:40Z",
  "at": "1970-01-01T00:17:40Z",
  "host": "gate-1"
}"#,
    );
}

#[test]
fn an_alert_for_slack() {
    let mut critical = message(Event::Began);
    critical.alert.severity = Severity::Critical;
    check_json(
        &slack(&critical, "gate-1"),
        r#"
{
  "text": "*critical: mapping contacts*: the guard holds its deletions &lt;now&gt; &amp; here",
  "attachments": [
    {
      "color": "danger",
      "fallback": "*critical: mapping contacts*: the guard holds its deletions &lt;now&gt; &amp; here",
      "fields": [
        {
          "title": "Kind",
          "value": "guard",
          "short": true
        },
        {
          "title": "Since",
          "value": "1970-01-01 00:16:40 UTC",
          "short": true
        },
        {
          "title": "Next",
          "value": "`passerelle resume mapping/contacts --confirm`",
          "short": true
        },
        {
          "title": "Owner",
          "value": "ada@acme.example",
          "short": true
        },
        {
          "title": "Host",
          "value": "gate-1",
          "short": true
        }
      ],
      "ts": 1060
    }
  ]
}"#,
    );
    let colour = |event| {
        let text: Value = serde_json::from_str(&slack(&message(event), "h")).unwrap();
        text["attachments"][0]["color"].as_str().unwrap().to_owned()
    };
    assert_eq!([Event::Began, Event::Changed, Event::Ended].map(colour), ["warning", "warning", "good"]);
}

#[test]
fn an_alert_as_a_letter() {
    let began = message(Event::Began);
    assert_eq!(subject(&began), "[passerelle] warning: mapping contacts: the guard holds its deletions <now> & here");
    let expect = "\
warning: mapping contacts: the guard holds its deletions <now> & here.

since     1970-01-01 00:16:40 UTC
kind      guard, warning
source    erp
crm       sales
mapping   contacts
owner     ada@acme.example
next      passerelle resume mapping/contacts --confirm
host      gate-1
alert     00000000000000aa
";
    assert_eq!(letter(&began, "gate-1"), expect);
    let expect = "\
ended: mapping contacts: the guard holds its deletions <now> & here.

ended     1970-01-01 00:17:40 UTC
since     1970-01-01 00:16:40 UTC
kind      guard, warning
source    erp
crm       sales
mapping   contacts
owner     ada@acme.example
host      gate-1
alert     00000000000000aa
";
    assert_eq!(letter(&message(Event::Ended), "gate-1"), expect);
    let mut long = message(Event::Changed);
    long.alert.text = format!("two\nlines {}", "é".repeat(300));
    let subject = subject(&long);
    assert!(subject.starts_with("[passerelle] warning, changed: mapping contacts: two lines é"), "{subject}");
    assert_eq!(subject.chars().count(), LONGEST_SUBJECT + 3);
}

#[test]
fn an_alert_in_the_environment() {
    let variables = variables(&message(Event::Ended), "gate-1");
    let get = |name: &str| {
        let found = variables.iter().find(|(known, _)| *known == format!("PASSERELLE_ALERT_{name}"));
        found.map(|(_, value)| value.as_str())
    };
    assert_eq!((get("EVENT"), get("KIND"), get("SEVERITY")), (Some("ended"), Some("guard"), Some("warning")));
    assert_eq!((get("ABOUT"), get("MAPPING")), (Some("mapping contacts"), Some("contacts")));
    assert_eq!(get("SINCE"), Some("1970-01-01T00:16:40Z"));
    assert_eq!(variables.len(), 15);
}
