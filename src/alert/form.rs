//! What a message looks like to its receiver: JSON, Slack, e-mail, environment. Pure.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::{Value, json};

use super::model::{Event, Message};
use crate::config::model::Severity;

/// The longest subject of an e-mail, in characters.
const LONGEST_SUBJECT: usize = 120;

/// The document of an alert, as `docs/alerts.md` has it.
#[derive(Debug, Serialize)]
struct Document<'a> {
    id: &'a str,
    alert: &'a str,
    event: &'a str,
    kind: &'a str,
    severity: &'a str,
    about: String,
    source: Option<&'a str>,
    crm: Option<&'a str>,
    mapping: Option<&'a str>,
    text: &'a str,
    next_command: Option<&'a str>,
    owner: Option<&'a str>,
    since: Timestamp,
    at: Timestamp,
    host: &'a str,
}

/// The document, as JSON.
pub(super) fn json(message: &Message, host: &str) -> String {
    let alert = &message.alert;
    let document = Document {
        id: &message.id,
        alert: &alert.id,
        event: message.event.word(),
        kind: message.kind(),
        severity: alert.severity.word(),
        about: alert.about.to_string(),
        source: alert.source(),
        crm: alert.crm(),
        mapping: alert.mapping(),
        text: &alert.text,
        next_command: alert.next_command.as_deref(),
        owner: alert.owner.as_deref(),
        since: alert.since,
        at: message.at,
        host,
    };
    // Texts and times: what serde writes of them can't fail.
    serde_json::to_string(&document).unwrap_or_default()
}

/// What Slack's incoming webhooks take; Mattermost and Rocket.Chat take it, too.
/// <https://docs.slack.dev/messaging/sending-messages-using-incoming-webhooks>
pub(super) fn slack(message: &Message, host: &str) -> String {
    let alert = &message.alert;
    let colour = match (message.event, alert.severity) {
        (Event::Ended | Event::Test, _) => "good",
        (Event::Began | Event::Changed, Severity::Warning) => "warning",
        (Event::Began | Event::Changed, Severity::Critical) => "danger",
    };
    let mut fields =
        vec![field("Kind", message.kind()), field("Since", &alert.since.strftime("%F %T UTC").to_string())];
    fields.extend(alert.next_command.as_ref().map(|next| field("Next", &format!("`{next}`"))));
    fields.extend(alert.owner.as_ref().map(|owner| field("Owner", owner)));
    fields.push(field("Host", host));
    let headline = format!("*{}*: {}", escaped(&head(message)), escaped(&alert.text));
    json!({
        "text": headline,
        "attachments": [{ "color": colour, "fallback": headline, "fields": fields, "ts": message.at.as_second() }],
    })
    .to_string()
}

fn field(title: &str, value: &str) -> Value {
    json!({ "title": title, "value": escaped(value), "short": true })
}

/// The three characters that Slack reads as marks.
fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

/// The subject of an e-mail.
pub(super) fn subject(message: &Message) -> String {
    let text = format!("[passerelle] {}: {}", head(message), message.alert.text);
    // One line, whatever a server's message had in it; in ASCII where the text is.
    let text: String = text.chars().map(|char| if char.is_control() { ' ' } else { char }).collect();
    match text.char_indices().nth(LONGEST_SUBJECT) {
        Some((end, _)) => format!("{}...", &text[..end]),
        None => text,
    }
}

/// The text of an e-mail.
pub(super) fn letter(message: &Message, host: &str) -> String {
    let alert = &message.alert;
    let time = |at: Timestamp| at.strftime("%F %T UTC").to_string();
    let mut lines = vec![format!("{}: {}.", head(message), alert.text), String::new()];
    if message.event == Event::Ended {
        lines.push(format!("ended     {}", time(message.at)));
    }
    lines.push(format!("since     {}", time(alert.since)));
    lines.push(format!("kind      {}, {}", message.kind(), alert.severity.word()));
    for (name, value) in [("source", alert.source()), ("crm", alert.crm()), ("mapping", alert.mapping())] {
        lines.extend(value.map(|value| format!("{name:<9} {value}")));
    }
    lines.extend(alert.owner.as_ref().map(|owner| format!("owner     {owner}")));
    if matches!(message.event, Event::Began | Event::Changed) {
        lines.extend(alert.next_command.as_ref().map(|next| format!("next      {next}")));
    }
    lines.push(format!("host      {host}"));
    lines.push(format!("alert     {}", alert.id));
    lines.join("\n") + "\n"
}

/// The variables that a command finds in its environment.
pub(super) fn variables(message: &Message, host: &str) -> Vec<(&'static str, String)> {
    let alert = &message.alert;
    let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
    vec![
        ("PASSERELLE_ALERT_ID", message.id.clone()),
        ("PASSERELLE_ALERT_ALERT", alert.id.clone()),
        ("PASSERELLE_ALERT_EVENT", message.event.word().to_owned()),
        ("PASSERELLE_ALERT_KIND", message.kind().to_owned()),
        ("PASSERELLE_ALERT_SEVERITY", alert.severity.word().to_owned()),
        ("PASSERELLE_ALERT_ABOUT", alert.about.to_string()),
        ("PASSERELLE_ALERT_SOURCE", text(alert.source())),
        ("PASSERELLE_ALERT_CRM", text(alert.crm())),
        ("PASSERELLE_ALERT_MAPPING", text(alert.mapping())),
        ("PASSERELLE_ALERT_TEXT", alert.text.clone()),
        ("PASSERELLE_ALERT_NEXT_COMMAND", text(alert.next_command.as_deref())),
        ("PASSERELLE_ALERT_OWNER", text(alert.owner.as_deref())),
        ("PASSERELLE_ALERT_SINCE", alert.since.to_string()),
        ("PASSERELLE_ALERT_AT", message.at.to_string()),
        ("PASSERELLE_ALERT_HOST", host.to_owned()),
    ]
}

/// `critical: source erp`, `ended: mapping contacts`, `test`.
fn head(message: &Message) -> String {
    let alert = &message.alert;
    match message.event {
        Event::Began => format!("{}: {}", alert.severity.word(), alert.about),
        Event::Changed => format!("{}, changed: {}", alert.severity.word(), alert.about),
        Event::Ended => format!("ended: {}", alert.about),
        Event::Test => "test".to_owned(),
    }
}

#[cfg(test)]
mod tests;
