use std::fmt::Write;

use super::*;
use crate::alert::testing::{second, setting};
use crate::config::model::Severity;

const CHANNELS: &str = "
[alerts]
quiet = \"10s\"
[alert.ops]
kind = \"webhook\"
url = \"https://hooks.example\"
[alert.page]
kind = \"command\"
command = [\"page\"]
severity = \"critical\"
[alert.web]
kind = \"command\"
command = [\"page\"]
sources = [\"web\"]
on = [\"source_down\", \"crm_down\", \"guard\"]
";
const MAIL: &str = "
[alert.mail]
kind = \"email\"
host = \"smtp.example\"
from = \"p@acme.example\"
to = [\"ops@acme.example\"]
";

/// A book under a clock of seconds.
struct World {
    book: Book,
    setting: Setting,
    now: i64,
}

impl World {
    fn new(channels: &str) -> Self {
        Self { book: Book::default(), setting: setting(channels), now: 1_000 }
    }

    /// Looks each second for so long, with these conditions; gives what was told in all, as `second channel event about`.
    fn look(&mut self, seconds: i64, conditions: &[Condition], unknown: &[(AlertKind, About)]) -> String {
        let mut told = String::new();
        for _ in 0..seconds {
            self.now += 1;
            let seen = Seen { conditions: conditions.to_vec(), unknown: unknown.iter().cloned().collect() };
            let look = Look { at: second(self.now), passed: Duration::from_secs(1) };
            for message in self.book.look(seen, &self.setting, look).messages {
                let Message { channel, event, alert, copy_to, .. } = &message;
                let copy = copy_to.as_ref().map_or_else(String::new, |to| format!(" to {to}"));
                writeln!(told, "{} {channel}{copy} {} {}", self.now - 1_000, event.word(), alert.about).unwrap();
            }
        }
        told
    }

    fn restart(&mut self) {
        let kept = self.book.open.iter().map(|(key, open)| (key.clone(), serde_json::to_string(open).unwrap()));
        self.book = Book::restored(kept.collect::<Vec<_>>());
    }
}

fn condition(kind: AlertKind, about: About, grace: u64) -> Condition {
    let news = BTreeSet::from(["warning".to_owned()]);
    Condition {
        kind,
        about,
        part: String::new(),
        severity: Severity::Warning,
        text: "something is wrong".to_owned(),
        next_command: None,
        since: None,
        grace: Duration::from_secs(grace),
        news,
    }
}

fn down(source: &str) -> Condition {
    condition(AlertKind::SourceDown, About::Source(source.to_owned()), 5)
}

fn guard() -> Condition {
    condition(AlertKind::Guard, About::Mapping("contacts".to_owned()), 0)
}

#[test]
fn an_alert_is_told_once_after_its_grace_and_its_end_once_after_a_quiet_time() {
    let mut world = World::new(CHANNELS);
    assert_eq!(world.look(5, &[down("erp")], &[]), "", "a reconnect is no alert");
    assert_eq!(world.look(100, &[down("erp")], &[]), "6 ops began source erp\n");
    assert_eq!(world.look(9, &[], &[]), "");
    assert_eq!(world.look(1, &[down("erp")], &[]), "", "it has come back within the quiet time: it is the same alert");
    assert_eq!(world.look(100, &[], &[]), "125 ops ended source erp\n");
    assert_eq!(world.book.open().count(), 0);
    assert_eq!(world.look(6, &[down("erp")], &[]), "221 ops began source erp\n", "and the next one is another");
}

#[test]
fn what_comes_and_goes_is_one_alert_in_the_end() {
    let mut world = World::new(CHANNELS);
    let mut told = String::new();
    for _ in 0..10 {
        told += &world.look(2, &[down("erp")], &[]);
        told += &world.look(3, &[], &[]);
    }
    assert_eq!(told, "", "it is there most of the time");
    for _ in 0..10 {
        told += &world.look(4, &[down("erp")], &[]);
        told += &world.look(1, &[], &[]);
    }
    assert_eq!(told, "58 ops began source erp\n");
}

#[test]
fn what_is_not_known_ends_nothing_and_begins_nothing() {
    let mut world = World::new(CHANNELS);
    world.look(6, &[down("erp")], &[]);
    let unknown = (AlertKind::SourceDown, About::Source("erp".to_owned()));
    assert_eq!(world.look(1_000, &[], &[unknown]), "");
    assert_eq!(world.look(10, &[], &[]), "1016 ops ended source erp\n");
}

#[test]
fn a_restart_forgets_no_alert_and_tells_none_again() {
    let mut world = World::new(CHANNELS);
    assert_eq!(world.look(6, &[down("erp"), guard()], &[]), "1 ops began mapping contacts\n6 ops began source erp\n");
    world.restart();
    assert_eq!(world.look(20, &[down("erp"), guard()], &[]), "");
    world.restart();
    assert_eq!(world.look(10, &[guard()], &[]), "36 ops ended source erp\n");
}

#[test]
fn what_becomes_worse_is_told_again_and_whom_it_concerns_only_then_as_new() {
    let mut world = World::new(CHANNELS);
    let mut guard = guard();
    assert_eq!(world.look(2, &[guard.clone()], &[]), "1 ops began mapping contacts\n");
    guard.severity = Severity::Critical;
    guard.news.insert("critical".to_owned());
    assert_eq!(world.look(2, &[guard.clone()], &[]), "3 ops changed mapping contacts\n3 page began mapping contacts\n");
    guard.news.insert("column_dropped phone".to_owned());
    assert_eq!(
        world.look(2, &[guard.clone()], &[]),
        "5 ops changed mapping contacts\n5 page changed mapping contacts\n"
    );
    guard.severity = Severity::Warning;
    assert_eq!(world.look(5, &[guard], &[]), "", "that it is better is nothing new");
    assert_eq!(world.look(60, &[], &[]), "21 ops ended mapping contacts\n21 page ended mapping contacts\n");
}

#[test]
fn a_channel_tells_what_touches_its_mappings() {
    let mut world = World::new(CHANNELS);
    assert_eq!(world.look(6, &[down("web")], &[]), "6 ops began source web\n6 web began source web\n");
    let crm = condition(AlertKind::CrmDown, About::Crm("sales".to_owned()), 0);
    assert_eq!(world.look(1, &[down("web"), crm], &[]), "7 ops began crm sales\n7 web began crm sales\n");
    let quota = condition(AlertKind::Quota, About::Crm("sales".to_owned()), 0);
    assert_eq!(
        world.look(1, &[quota, guard()], &[]),
        "8 ops began mapping contacts\n8 ops began crm sales\n",
        "not its kind, not its mapping"
    );
}

#[test]
fn an_owner_gets_a_copy_where_it_is_an_address() {
    let mut world = World::new(MAIL);
    let visitors = condition(AlertKind::Guard, About::Mapping("visitors".to_owned()), 0);
    assert_eq!(
        world.look(1, &[guard(), visitors], &[]),
        "1 mail began mapping contacts\n1 mail to ada@acme.example began mapping contacts\n1 mail began mapping visitors\n"
    );
}

#[test]
fn a_reload_tells_new_channels_and_ends_what_is_configured_no_more() {
    let mut world = World::new("");
    assert_eq!(world.look(2, &[guard()], &[]), "", "it is open, with nobody to be told");
    world.setting = setting(CHANNELS);
    assert_eq!(world.look(2, &[guard()], &[]), "3 ops began mapping contacts\n");
    let ops = world.setting.channels.remove("ops").unwrap();
    assert_eq!(world.look(2, &[guard()], &[]), "");
    world.setting.channels.insert("ops".to_owned(), ops);
    assert_eq!(world.look(2, &[guard()], &[]), "7 ops began mapping contacts\n", "what it had not told is forgotten");
    world.setting.mappings.remove("contacts");
    assert_eq!(world.look(2, &[], &[]), "9 ops ended mapping contacts\n");
}

#[test]
fn the_same_message_has_the_same_id_and_another_another() {
    let mut world = World::new(CHANNELS);
    let ids = |world: &mut World, conditions: &[Condition]| {
        world.now += 1;
        let seen = Seen { conditions: conditions.to_vec(), ..Seen::default() };
        let look = Look { at: second(world.now), passed: Duration::from_secs(60) };
        let changes = world.book.look(seen, &world.setting, look);
        changes.messages.into_iter().map(|message| message.id).collect::<Vec<_>>()
    };
    let began = ids(&mut world, &[guard()]);
    let ended = ids(&mut world, &[]);
    let again = ids(&mut world, &[guard()]);
    let alert = |ids: &[String]| ids[0].split('-').next().unwrap().to_owned();
    assert_eq!((began[0].len(), alert(&began)), (22, alert(&ended)));
    assert!(began[0].ends_with("-began") && ended[0].ends_with("-ended") && began != again);
}

#[test]
fn open_alerts_are_bounded() {
    let mut world = World::new(CHANNELS);
    let many: Vec<Condition> = (0..MOST_OPEN + 50).map(|n| Condition { part: n.to_string(), ..guard() }).collect();
    world.look(2, &many, &[]);
    assert_eq!(world.book.open().count(), MOST_OPEN);
    let long = Condition { text: "é".repeat(5_000), ..guard() };
    world.look(31, &[], &[]);
    world.look(1, &[long], &[]);
    assert_eq!(world.book.open().map(|open| open.alert.text.chars().count()).max(), Some(LONGEST_TEXT + 1));
}
