//! `[alerts]` and `[alert.NAME]`.

use std::time::Duration;

use secrecy::{ExposeSecret, SecretString};

use super::crm::{is_loopback, proxy};
use super::keys::{Cases, Form, Key, Keys, NAME, PATH, SHARE, TEXT, Words, text};
use super::model::{AlertChannel, AlertKind, Alerts, ChannelKind, Email, MailTls, Severity, Webhook, WebhookFormat};
use super::secret;
use super::section::{Found, Section};
use super::source::pem_file;
use super::tree::Value;
use super::units;

const SECOND: Duration = Duration::from_secs(1);
const MONTH: Duration = Duration::from_hours(30 * 24);

/// How long something lasts.
const SPAN: Form = Form::Duration { least: SECOND, most: MONTH };

/// The keys of `[alerts]`.
pub(super) static LIMITS: Keys = Keys::all(&[
    Key::or("lag", SPAN, r#""15m""#, "`lag`: a source's oldest commit that is not captured is older than this"),
    Key::or(
        "source_down",
        SPAN,
        r#""1m""#,
        "`source_down`: a source is disconnected, or has not been heard, for longer than this. One that is stopped and needs a person is told at once",
    ),
    Key::or("crm_down", SPAN, r#""5m""#, "`crm_down`: a CRM is not reached, or fails, for longer than this"),
    Key::or(
        "dead_letters",
        SHARE,
        r#""1%""#,
        "`dead_letters`: more than this share of a mapping's records is refused for good",
    ),
    Key::or(
        "freshness",
        SPAN,
        r#""5m""#,
        "`freshness`: a mapping is later than its own `freshness` for longer than this",
    ),
    Key::or(
        "quota",
        SPAN,
        r#""10m""#,
        "`quota`: for longer than this, the forecast says that a CRM's day will be used up before it is over. One that is used up is told at once",
    ),
    Key::or("disk_budget", SHARE, r#""90%""#, "`disk_budget`: the state takes more than this share of `disk_budget`"),
    Key::or("disk_full", SPAN, r#""1h""#, "`disk_budget`: or it will take all of it within this time"),
    Key::or(
        "log_lost",
        SPAN,
        r#""1d""#,
        "`log_lost`: the source's server will drop log that is needed within this time; critical at a quarter of it",
    ),
    Key::or("quiet", SPAN, r#""5m""#, "an alert has ended when nothing was seen of it for this long"),
]);

/// How a channel tells.
#[derive(Clone, Copy, Debug)]
enum Kind {
    Webhook,
    Command,
    Email,
}

static KINDS: Words<Kind> =
    Words::new(&[("webhook", Kind::Webhook), ("command", Kind::Command), ("email", Kind::Email)]);
static FORMATS: Words<WebhookFormat> = Words::new(&[("json", WebhookFormat::Json), ("slack", WebhookFormat::Slack)]);
static TLS: Words<MailTls> =
    Words::new(&[("none", MailTls::None), ("starttls", MailTls::StartTls), ("tls", MailTls::Tls)]);
static ON: Words<AlertKind> = Words::new(&AlertKind::ALL);
static SEVERITIES: Words<Severity> = Words::new(&[("warning", Severity::Warning), ("critical", Severity::Critical)]);

const WEBHOOK: &[&str] = &["webhook"];
const COMMAND: &[&str] = &["command"];
const EMAIL: &[&str] = &["email"];

const URLS: &str = r#"^https?://[^\s"]+$"#;
/// A URL, or where one with a secret in it is found.
const URL: Form = Form::Called("URL or secret", &Form::Any(&[text("URL", URLS), Form::Table(&secret::KEYS)]));
const ADDRESS: Form = text("e-mail address", r"^\S+@\S+$");

/// The keys of `[alert.NAME]`.
pub(super) static KEYS: Keys = Keys {
    keys: &[
        Key::need(
            "kind",
            Form::Words(&KINDS),
            r#""webhook""#,
            "`\"webhook\"`: an HTTP request; `\"command\"`: a program is run; `\"email\"`: over SMTP",
        ),
        Key::maybe("on", Form::List(&Form::Words(&ON)), r#"["drift", "source_down", "log_lost"]"#, "the kinds of alerts that it tells")
            .without("all kinds"),
        Key::or("severity", Form::Words(&SEVERITIES), r#""warning""#, "the least severity that it tells"),
        Key::maybe("sources", Form::List(&NAME), r#"["erp"]"#, "only what touches mappings of these sources").without("all"),
        Key::maybe("mappings", Form::List(&NAME), r#"["accounts"]"#, "only what touches these mappings: alerts about them, their source and CRM, and the daemon itself")
            .without("all"),
        Key::or(
            "timeout",
            Form::Duration { least: SECOND, most: Duration::from_secs(50) },
            r#""10s""#,
            "the most that one try may take; a command is killed then, with all that it started",
        ),
        Key::need(
            "url",
            URL,
            r#""https://hooks.example/passerelle""#,
            "where to. `https`, or `http` on a loopback address. One that is a secret, as Slack's are, is kept as one: `{ credential = \"slack\" }`",
        )
        .with(WEBHOOK),
        Key::or("format", Form::Words(&FORMATS), r#""json""#, "what the body looks like: see [alerts.md](alerts.md)").with(WEBHOOK),
        Key::maybe(
            "secret",
            secret::FORM,
            r#"{ credential = "alert-secret" }"#,
            "what requests are signed with: HMAC-SHA256, see [alerts.md](alerts.md#verifying-a-signature)",
        )
        .without("not signed")
        .with(WEBHOOK),
        Key::maybe(
            "proxy",
            text("URL", r#"^https?://[^\s/@?#"]+/*$"#),
            r#""http://proxy.example:3128""#,
            "requests go through it. `HTTPS_PROXY` of the environment is not used",
        )
        .with(WEBHOOK),
        Key::need(
            "command",
            Form::List(&TEXT),
            r#"["/usr/local/bin/page", "--team", "integration"]"#,
            "the program and its arguments, no shell between; the alert is on its standard input as JSON and in `PASSERELLE_ALERT_*`",
        )
        .with(COMMAND),
        Key::need("host", text("text", r"^[^\s/@]+$"), r#""smtp.example""#, "the mail server").with(EMAIL),
        Key::maybe("port", Form::Whole { least: 1, most: 65_535 }, "587", "its port")
            .without("`587`; with `tls = \"tls\"` `465`, with `\"none\"` `25`")
            .with(EMAIL),
        Key::or(
            "tls",
            Form::Words(&TLS),
            r#""starttls""#,
            "`\"starttls\"`: plain text at first, then always TLS; `\"tls\"`: from the first byte; `\"none\"`",
        )
        .with(EMAIL),
        Key::need("from", ADDRESS, r#""passerelle@acme.example""#, "the sender").with(EMAIL),
        Key::need("to", Form::List(&ADDRESS), r#"["ops@acme.example"]"#, "the receivers").with(EMAIL),
        Key::or(
            "to_owner",
            Form::Bool,
            "true",
            "an alert about a mapping goes to its `owner`, too, where that is an e-mail address",
        )
        .with(EMAIL),
        Key::maybe("user", TEXT, r#""passerelle""#, "whom the mail server knows us as").beside("password").with(EMAIL),
        Key::maybe("password", secret::FORM, r#"{ credential = "smtp" }"#, "the user's password").beside("user").with(EMAIL),
        Key::maybe("ca", PATH, r#""/etc/passerelle/ca.pem""#, "PEM file of authorities to trust beside the system's")
            .with(&["webhook", "email"]),
    ],
    cases: Cases::Word("kind"),
};

/// Reads `[alerts]`.
pub(super) fn limits(mut section: Section<'_>) -> Option<Alerts> {
    let [lag, source_down, crm_down, freshness, quota, disk_full, log_lost, quiet] =
        ["lag", "source_down", "crm_down", "freshness", "quota", "disk_full", "log_lost", "quiet"]
            .map(|key| section.or(key, |found| found.duration()));
    let [dead_letters, disk_budget] =
        ["dead_letters", "disk_budget"].map(|key| section.or(key, |found| found.parsed("a share", units::share)));
    section.finish(|key| match key {
        "kind" | "url" | "to" | "command" => Some("a channel has a name: [alert.NAME]".to_owned()),
        key => {
            let limits: Vec<&str> = LIMITS.keys.iter().map(|key| key.name).collect();
            Some(format!("limits: {}; a channel is [alert.{key}]", limits.join(", ")))
        }
    });
    Some(Alerts {
        lag: lag?,
        source_down: source_down?,
        crm_down: crm_down?,
        dead_letters: dead_letters?,
        freshness: freshness?,
        quota: quota?,
        disk_budget: disk_budget?,
        disk_full: disk_full?,
        log_lost: log_lost?,
        quiet: quiet?,
    })
}

/// Reads `[alert.NAME]`.
pub(super) fn read(name: &str, mut section: Section<'_>, sources: &[&str], mappings: &[&str]) -> Option<AlertChannel> {
    let kind = section.need("kind", |found| found.word(&KINDS));
    let on = section.maybe("on", |found| each(found, r#"["drift", "lag"]"#, |item| item.word(&ON)));
    let severity = section.or("severity", |found| found.word(&SEVERITIES));
    let sources = section.maybe("sources", |found| each(found, r#"["erp"]"#, |item| item.declared("source", sources)));
    let mappings =
        section.maybe("mappings", |found| each(found, r#"["contacts"]"#, |item| item.declared("mapping", mappings)));
    let timeout = section.or("timeout", |found| found.duration());
    let kind = match kind {
        Some(Kind::Webhook) => webhook(&mut section).map(ChannelKind::Webhook),
        Some(Kind::Command) => section
            .need("command", |found| each(found, r#"["/usr/local/bin/page"]"#, Found::string))
            .map(|argv| ChannelKind::Command { argv }),
        Some(Kind::Email) => email(&mut section).map(ChannelKind::Email),
        // Which keys would be right is not known without it.
        None => None,
    };
    section.finish(|key| match key {
        "token" | "auth" => Some("`secret` signs the requests; a token may stand in the `url`".to_owned()),
        "argv" | "run" | "exec" => Some("did you mean `command`?".to_owned()),
        _ => None,
    });
    Some(AlertChannel {
        name: name.to_owned(),
        kind: kind?,
        on: on?.unwrap_or_else(|| AlertKind::ALL.map(|(_, kind)| kind).to_vec()),
        severity: severity?,
        sources: sources?,
        mappings: mappings?,
        timeout: timeout?,
    })
}

fn webhook(section: &mut Section<'_>) -> Option<Webhook> {
    let url = section.need("url", url);
    let format = section.or("format", |found| found.word(&FORMATS));
    let secret = section.maybe("secret", secret::read);
    let proxy = section.maybe("proxy", proxy);
    let ca = section.maybe("ca", pem_file);
    Some(Webhook { url: url?, format: format?, secret: secret?, proxy: proxy?, ca: ca? })
}

fn email(section: &mut Section<'_>) -> Option<Email> {
    let host = section.need("host", host);
    let port = section.maybe("port", Found::int);
    let tls = section.or("tls", |found| found.word(&TLS));
    let ca = section.maybe("ca", pem_file);
    let from = section.need("from", address);
    let to = section.need("to", |found| each(found, r#"["ops@acme.example"]"#, address));
    let to_owner = section.or("to_owner", |found| found.bool());
    let user = section.maybe("user", Found::string);
    let login = section.maybe("password", |found| {
        let password = secret::read(found)?;
        let is_plain = tls == Some(MailTls::None) && host.as_deref().is_some_and(|host| !is_loopback(host));
        if is_plain {
            let fault = "the password would cross the network in plain text";
            return found.fault(fault, "tls = \"starttls\" or \"tls\"; or leave `user` and `password` out");
        }
        Some(password)
    });
    let (tls, host) = (tls?, host?);
    let usual = match tls {
        MailTls::None => 25,
        MailTls::StartTls => 587,
        MailTls::Tls => 465,
    };
    let login = user?.zip(login?);
    Some(Email { host, port: port?.unwrap_or(usual), tls, ca: ca?, from: from?, to: to?, to_owner: to_owner?, login })
}

/// The entries of a list, each read the same way; every faulty one is noted.
fn each<'a, T>(found: &Found<'a>, form: &str, read: impl Fn(&Found<'a>) -> Option<T>) -> Option<Vec<T>> {
    let read: Vec<Option<T>> = found.list(form)?.iter().map(read).collect();
    read.into_iter().collect()
}

/// `https://…`, or `http` for a loopback address; or where it is found. What follows the host may be secret, and is not
/// shown.
fn url(found: &Found<'_>) -> Option<SecretString> {
    let url = match &found.node.value {
        Value::Text(text, _) => text.trim().to_owned().into(),
        _ => secret::read(found)?,
    };
    if matches!(found.node.value, Value::Table(_)) && !found.context.read_secrets {
        return Some(url);
    }
    let form = "url = \"https://hooks.example/passerelle\"";
    let Some((scheme, rest)) = url.expose_secret().split_once("://") else {
        return found.fault("`url` is not a URL", form);
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    if authority.is_empty() || rest.contains(|char: char| char.is_whitespace() || char == '"') {
        return found.fault("`url` is not a URL", form);
    }
    if authority.contains('@') {
        return found.fault("`url` has a user name or password in it", "take it out; `secret` signs the requests");
    }
    match scheme {
        "https" => Some(url),
        "http" if is_loopback(authority) => Some(url),
        "http" => found.fault("`url` must be https: alerts would cross the network in plain text", form),
        _ => found.fault("`url` is neither https nor http", form),
    }
}

fn host(found: &Found<'_>) -> Option<String> {
    let text = found.text()?.trim();
    if text.contains(|char: char| char.is_whitespace() || char == '/' || char == '@') {
        return found.fault(format!("`{text}` is not a host"), "a name or an address: host = \"smtp.example\"");
    }
    if text.parse::<std::net::Ipv6Addr>().is_err()
        && let Some((name, port)) = text.rsplit_once(':')
    {
        return found.fault(
            "the port is a key of its own",
            format!("host = \"{name}\" and port = {}", if port.is_empty() { "587" } else { port }),
        );
    }
    Some(text.to_owned())
}

fn address(found: &Found<'_>) -> Option<String> {
    let text = found.text()?;
    if is_address(text) {
        return Some(text.to_owned());
    }
    found.fault(format!("`{text}` is not an e-mail address"), "without a name before it: \"ops@acme.example\"")
}

/// Whether a text is an e-mail address and nothing else.
pub(crate) fn is_address(text: &str) -> bool {
    use email_address::{EmailAddress, Options};
    let options = Options::default().without_display_text().without_domain_literal();
    EmailAddress::parse_with_options(text, options).is_ok()
}
