//! Alerts as their receivers get them: by HTTP, by mail, by a program; each once, and none lost.

mod receivers;

use hmac::{Hmac, KeyInit, Mac};
use passerelle::sandbox::{Fault, FaultKind};
use passerelle_test_servers::tls::Certificates;
use serde_json::Value;
use sha2::Sha256;
use tokio::net::TcpListener;

use crate::daemon::is_failpoint;
use crate::table::{ACCOUNT, accounts};
use crate::world::{LIMIT, World};

use receivers::{Hook, Hooks, Mail, words};

const OWNED: &str = "guard = { deletes = \"1 in 1h\" }\nowner = \"ada@acme.example\"\npurpose = \"tests\"";

/// A channel to an HTTP listener.
fn webhook(name: &str, port: u16, more: &str) -> String {
    format!("[alert.{name}]\nkind = \"webhook\"\nurl = \"http://127.0.0.1:{port}/hook\"\n{more}\n")
}

fn email(name: &str, port: u16, more: &str) -> String {
    format!(
        "[alert.{name}]\nkind = \"email\"\nhost = \"127.0.0.1\"\nport = {port}\nfrom = \"passerelle@acme.example\"\n\
         to = [\"ops@acme.example\"]\n{more}\n"
    )
}

/// Three accounts that are delivered, with these channels; not begun to be delivered to a channel of what is wrong.
async fn with_three(channels: &str) -> World {
    let world = World::new(ACCOUNT, &configured(channels)).await;
    world.sql("insert into account (id, code, name) values (1, 'a1', 'Ada'), (2, 'a2', 'Bob'), (3, 'a3', 'Eve')");
    world.start().await;
    world.settled().await;
    world
}

fn configured(channels: &str) -> String {
    format!("{}[alerts]\nquiet = \"1s\"\ncrm_down = \"1s\"\n{channels}", accounts(OWNED))
}

/// Trips the guard: the alert of most of these tests, which begins at once and ends by a command.
fn trip(world: &World) {
    world.sql("delete from account");
}

fn confirm(world: &World) {
    world.cli(&["resume", "mapping/accounts", "--confirm"]);
}

async fn open(world: &World) -> Vec<Value> {
    world.get("/v1/status").await.map_or_else(Vec::new, |status| status["alerts"].as_array().unwrap().clone())
}

/// Waits until the daemon knows that everything it has sent was received.
async fn answers_are_kept(world: &World) {
    world
        .until("no channel to have something to tell", async || {
            let status = world.get("/v1/status").await?;
            let channels = status["alert_channels"].as_array()?;
            channels.iter().all(|channel| channel["waiting"] == 0).then_some(())
        })
        .await;
}

/// Waits until a listener has got so many messages.
async fn got(world: &World, hooks: &Hooks, number: usize) -> Vec<Hook> {
    world
        .until(&format!("message {number} of an alert"), async || {
            let got = hooks.got();
            (got.len() >= number).then_some(got)
        })
        .await
}

async fn calm(world: &World) {
    world.until("no alert to be open", async || open(world).await.is_empty().then_some(())).await;
}

/// As `docs/alerts.md` tells receivers to do it.
fn is_signed_by(hook: &Hook, secret: &str) -> bool {
    let signature = hook.header("passerelle-signature");
    let (time, digest) = signature.strip_prefix("t=").unwrap().split_once(",v1=").unwrap();
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{time}.{}", hook.body).as_bytes());
    let ours: Vec<String> = mac.finalize().into_bytes().iter().map(|byte| format!("{byte:02x}")).collect();
    ours.concat() == digest
}

#[tokio::test(flavor = "multi_thread")]
async fn an_alert_and_its_end_are_received_once_on_every_channel_and_by_the_owner() {
    let (hooks, slack, mail) = (Hooks::listen().await, Hooks::listen().await, Mail::listen().await);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let script = format!("cat >> {0}; echo >> {0}", log.display());
    let command = format!("[alert.page]\nkind = \"command\"\ncommand = [\"/bin/sh\", \"-c\", \"{script}\"]\n");
    let channels = [
        webhook("ops", hooks.port, "secret = { env = \"SANDBOX_SECRET\" }"),
        webhook("chat", slack.port, "format = \"slack\""),
        webhook("else", hooks.port, "on = [\"lag\"]"),
        email("mail", mail.port, "tls = \"none\""),
        command,
    ];
    let world = with_three(&channels.concat()).await;
    trip(&world);
    let began = got(&world, &hooks, 1).await.remove(0);
    assert_eq!(words(&began.json()), "began guard mapping accounts");
    let document = began.json();
    for (key, expect) in [
        ("severity", "warning"),
        ("source", "erp"),
        ("crm", "sales"),
        ("mapping", "accounts"),
        ("owner", "ada@acme.example"),
        ("next_command", "passerelle resume mapping/accounts --confirm"),
    ] {
        assert_eq!(document[key], expect, "{document:#}");
    }
    assert!(is_signed_by(&began, "any") && !is_signed_by(&began, "another"), "{:?}", began.headers);
    assert_eq!(began.header("passerelle-alert-id"), document["id"].as_str().unwrap());

    let alert = world
        .until("every channel to have told it", async || {
            let alert = open(&world).await.into_iter().next()?;
            (alert["told"].as_array()?.len() == 4).then_some(alert)
        })
        .await;
    assert_eq!((&alert["id"], &alert["kind"]), (&document["alert"], &Value::from("guard")), "{alert:#}");
    assert_eq!(alert["told"], serde_json::json!(["chat", "mail", "ops", "page"]));
    let metrics = world.daemon.borrow().text("/metrics").await.unwrap();
    for line in ["passerelle_alerts{kind=\"guard\"} 1", "passerelle_alerts{kind=\"lag\"} 0"] {
        assert!(metrics.lines().any(|have| have == line), "{line}\n{metrics}");
    }
    let screen = world.cli(&["status"]);
    assert!(screen.contains("chat, mail, ops, page"), "{screen}");
    assert!(
        world.daemon.borrow().log().contains("alert began: mapping accounts: the guard holds"),
        "{}",
        world.story()
    );

    confirm(&world);
    let ended = got(&world, &hooks, 2).await.remove(1).json();
    assert_eq!((words(&ended).as_str(), &ended["alert"]), ("ended guard mapping accounts", &document["alert"]));
    calm(&world).await;
    world
        .until("the mail and the program to have told it", async || {
            let lines = std::fs::read_to_string(&log).unwrap_or_default();
            (mail.got().len() == 4 && lines.lines().count() == 2 && slack.got().len() == 2).then_some(())
        })
        .await;
    let letters = mail.got();
    let mut lines: Vec<String> = letters.iter().map(receivers::Letter::line).collect();
    lines.sort_unstable();
    let text = "mapping accounts: the guard holds its deletions: more records were to be deleted than it lets through";
    let text: Vec<String> = ["ended", "warning"].iter().map(|word| format!("[passerelle] {word}: {text}")).collect();
    for (line, expect) in lines.iter().zip([
        format!("ada@acme.example: {}", text[0]),
        format!("ada@acme.example: {}", text[1]),
        format!("ops@acme.example: {}", text[0]),
        format!("ops@acme.example: {}", text[1]),
    ]) {
        assert!(expect.starts_with(line.trim_end_matches('.')), "{line}\n{expect}");
    }
    let documents = std::fs::read_to_string(&log).unwrap();
    let documents: Vec<Value> = documents.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(documents, [document, ended]);
    assert!(slack.got()[0].json()["text"].as_str().unwrap().starts_with("*warning: mapping accounts*"));
    assert_eq!(hooks.got().len(), 2, "and nothing else: {:?}", hooks.words());
    assert!(world.daemon.borrow().log().contains("alert ended: mapping accounts"), "{}", world.story());
}

#[tokio::test(flavor = "multi_thread")]
async fn no_alert_is_lost_or_told_twice_where_the_daemon_is_killed() {
    let hooks = Hooks::listen().await;
    let world = with_three(&webhook("ops", hooks.port, "")).await;
    // Killed when it is kept, and not sent.
    world.daemon.borrow_mut().stop();
    world.daemon.borrow_mut().start(Some("alert_kept:1"));
    world.answering().await;
    trip(&world);
    let status = tokio::time::timeout(LIMIT, async { world.daemon.borrow_mut().end().await }).await;
    assert!(is_failpoint(status.unwrap()), "{}", world.story());
    assert_eq!(hooks.words(), [""; 0]);
    // Killed when it is sent, and that is not kept: it is sent again, and its receiver can know it.
    world.daemon.borrow_mut().start(Some("alert_sent:1"));
    let status = tokio::time::timeout(LIMIT, async { world.daemon.borrow_mut().end().await }).await;
    assert!(is_failpoint(status.unwrap()), "{}", world.story());
    world.start().await;
    let both = got(&world, &hooks, 2).await;
    assert_eq!(both[0].body, both[1].body, "the same message");
    assert_eq!(words(&both[0].json()), "began guard mapping accounts");
    // Killed at any time after its receiver's answer is kept, it is not told again, and is open still.
    answers_are_kept(&world).await;
    world.restart().await;
    world.until("the alert to be open", async || (open(&world).await.len() == 1).then_some(())).await;
    world.captured().await;
    assert_eq!(hooks.got().len(), 2);
    confirm(&world);
    let all = got(&world, &hooks, 3).await;
    assert_eq!(words(&all[2].json()), "ended guard mapping accounts");
    assert_eq!(all[2].json()["alert"], all[0].json()["alert"]);
    answers_are_kept(&world).await;
    world.restart().await;
    calm(&world).await;
    assert_eq!(hooks.got().len(), 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_receiver_that_is_away_holds_up_no_other_and_gets_it_later_also_after_a_restart() {
    let (hooks, refusing) = (Hooks::listen().await, Hooks::listen().await);
    let away = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = away.local_addr().unwrap().port();
    drop(away);
    refusing.answer(503);
    let ops = webhook("ops", hooks.port, "");
    let channels = [ops.clone(), webhook("away", port, ""), webhook("busy", refusing.port, "")].concat();
    let mut world = with_three(&channels).await;
    trip(&world);
    got(&world, &hooks, 1).await;
    let channel = async |name: &str| {
        let status = world.get("/v1/status").await?;
        status["alert_channels"].as_array()?.iter().find(|channel| channel["name"] == name).cloned()
    };
    for (name, error) in [("away", "onnection refused"), ("busy", "HTTP 503")] {
        let failing = world
            .until("the channel to fail", async || {
                channel(name).await.filter(|channel| channel["failing_since"].is_string())
            })
            .await;
        assert!(failing["last_error"].as_str().unwrap().contains(error), "{failing:#}");
        assert!(!failing.to_string().contains("/hook"), "an address may be a secret: {failing:#}");
        assert_eq!(failing["waiting"], 1);
    }
    let screen = world.cli(&["status"]);
    assert!(screen.contains("alert away: fails since") && screen.contains("passerelle alert test away"), "{screen}");
    assert_eq!(open(&world).await[0]["told"], serde_json::json!(["ops"]));

    // It ends meanwhile: whoever was not there hears of both, in their order.
    confirm(&world);
    got(&world, &hooks, 2).await;
    world.restart().await;
    let back = Hooks::on(TcpListener::bind(("127.0.0.1", port)).await.unwrap());
    refusing.answer(200);
    for late in [&back, &refusing] {
        got(&world, late, 2).await;
        assert_eq!(late.words(), ["began guard mapping accounts", "ended guard mapping accounts"]);
    }
    world
        .until("the channels to work", async || {
            let status = world.get("/v1/status").await?;
            let channels = status["alert_channels"].as_array()?;
            let is_well = |channel: &Value| channel["waiting"] == 0 && channel["failing_since"].is_null();
            channels.iter().all(is_well).then_some(())
        })
        .await;

    // A reload brings a channel that is told what is open, and takes another away.
    world.crm().inject(Fault::new(FaultKind::Down)).unwrap();
    world.sql("insert into account (id, code, name) values (9, 'a9', 'Zoe')");
    let down = got(&world, &hooks, 3).await;
    assert_eq!(words(&down[2].json()), "began crm_down crm sales");
    assert_eq!(down[2].json()["severity"], "critical");
    let new = Hooks::listen().await;
    world.remap(&configured(&[ops, webhook("new", new.port, "severity = \"critical\"")].concat()));
    world.cli(&["reload"]);
    got(&world, &new, 1).await;
    assert_eq!(new.words(), ["began crm_down crm sales"]);
    world.crm().clear_faults();
    // It may be about to wait a minute for the next try; a restart asks at once.
    world.restart().await;
    got(&world, &new, 2).await;
    assert_eq!(new.words()[1], "ended crm_down crm sales");
    got(&world, &hooks, 4).await;
    calm(&world).await;
    assert_eq!(hooks.got().len(), 4, "{:?}", hooks.words());
}

#[tokio::test(flavor = "multi_thread")]
async fn channels_are_tried_by_a_command() {
    let hooks = Hooks::listen().await;
    let folder = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(folder.path(), "nobody").unwrap();
    let mail = Mail::behind_tls(&certificates).await;
    let login = "user = \"passerelle\"\npassword = { env = \"SANDBOX_SECRET\" }";
    let ca = format!("ca = \"{}\"", certificates.ca().display());
    let good = format!("{}{}", webhook("ops", hooks.port, ""), email("mail", mail.port, &format!("{ca}\n{login}")));
    let mut world = with_three(&good).await;
    let said = world.cli(&["alert", "test"]);
    assert_eq!(said, "mail (email): told\nops (webhook): told\nall channels work\n");
    assert_eq!(words(&hooks.got()[0].json()), "test test daemon");
    let letters = mail.got();
    assert_eq!(
        letters[0].line(),
        "ops@acme.example: [passerelle] test: this is a test of the channel: nothing is wrong"
    );
    assert_eq!((letters[0].tls, letters[0].user.as_deref()), (true, Some("passerelle")));

    let cli = |world: &World, arguments: &[&str]| {
        let (status, text) = world.daemon.borrow().cli(arguments);
        (status.code(), text)
    };
    let (status, text) = cli(&world, &["alert", "test", "opps"]);
    assert_eq!(status, Some(1));
    assert!(text.contains("no channel of alerts is named opps") && text.contains("did you mean ops?"), "{text}");

    let bad = [
        email("untrusted", mail.port, login),
        email("unknown", mail.port, &format!("{ca}\nuser = \"passerelle\"\npassword = {{ env = \"PATH\" }}")),
        "[alert.none]\nkind = \"command\"\ncommand = [\"/nonexistent\"]\n".to_owned(),
    ];
    world.remap(&configured(&bad.concat()));
    world.cli(&["reload"]);
    let (status, text) = cli(&world, &["alert", "test"]);
    assert_eq!(status, Some(1), "{text}");
    for line in [
        "none (command): not told: /nonexistent cannot be run: No such file or directory (os error 2)",
        "unknown (email): not told: permanent error (535): who are you",
        "untrusted (email): not told: ",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
    assert_eq!(mail.got().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_schema_is_told_with_the_mappings_owner_and_what_to_run_and_its_end_once_it_is_accepted() {
    let hooks = Hooks::listen().await;
    let world = with_three(&webhook("ops", hooks.port, "on = [\"drift\", \"mapping_held\"]")).await;
    world.sql("alter table account drop column city");
    let began = got(&world, &hooks, 1).await.remove(0).json();
    assert_eq!(words(&began), "began drift mapping accounts", "{began:#}");
    assert_eq!((&began["severity"], &began["owner"]), (&"critical".into(), &"ada@acme.example".into()), "{began:#}");
    assert!(began["text"].as_str().unwrap().contains("the schema of public.account has changed"), "{began:#}");
    let next = began["next_command"].as_str().unwrap();
    assert!(next.starts_with("passerelle drift"), "{began:#}");
    world.cli(&["drift", "accept", "accounts", "--drop", "city"]);
    got(&world, &hooks, 2).await;
    assert_eq!(hooks.words(), ["began drift mapping accounts", "ended drift mapping accounts"]);
}
