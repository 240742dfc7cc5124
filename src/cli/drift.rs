//! `passerelle drift list|show|accept`.

use jiff::Timestamp;
use serde_json::json;

use super::client::Client;
use super::humane::{ago, counted, tame};
use super::table::{Paint, Side, Table, Tone};
use super::{Failure, Global, print_done, print_json, stdout_paint};
use crate::control::AcceptDrift;
use crate::control::model::{Drift, DriftEffect, DriftList};
use crate::drift::Decision;

/// The verbs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List what has changed and is not settled
    List {
        /// Of this mapping's table only
        mapping: Option<String>,
    },
    /// Show what has changed for a mapping, what it does to each field, and what can be said of it
    Show {
        /// The mapping
        mapping: String,
    },
    /// Let a held mapping go on with its table as it is now
    Accept(Accepting),
}

/// What is accepted.
#[derive(Debug, clap::Args)]
pub(super) struct Accepting {
    /// The mapping
    mapping: String,
    /// What the mapping calls OLD is the column NEW now
    #[arg(long, value_name = "OLD=NEW", value_parser = renamed)]
    rename: Vec<(String, String)>,
    /// Go on without a column: fields that need it are left out, and what they wrote stays in the CRM
    #[arg(long, value_name = "COLUMN")]
    drop: Vec<String>,
    /// Take a column for null in every row
    #[arg(long, value_name = "COLUMN")]
    as_null: Vec<String>,
    /// Read a column's values from the table again
    #[arg(long, value_name = "COLUMN")]
    reload: Vec<String>,
    /// Refuse if it is not what was shown, by the mark that `show --json` prints
    #[arg(long, value_name = "MARK")]
    seen: Option<String>,
    /// Show what would be, and decide nothing
    #[arg(long)]
    dry_run: bool,
}

/// Runs a verb.
pub(super) async fn drift(global: &Global, verb: Verb) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match verb {
        Verb::List { mapping } => {
            let query: Vec<_> = mapping.map(|mapping| ("mapping", mapping)).into_iter().collect();
            let document = client.get("/v1/drift", &query).await?;
            if global.json {
                return print_json(&document);
            }
            super::print(&list(&client.read(document)?, Timestamp::now(), stdout_paint()))
        }
        Verb::Show { mapping } => {
            let document = client.get("/v1/drift", &[("mapping", mapping.clone())]).await?;
            if global.json {
                return print_json(&document);
            }
            super::print(&one(&mapping, &client.read(document)?, Timestamp::now(), stdout_paint()))
        }
        Verb::Accept(accepting) => {
            let body = json!(accept(accepting));
            print_done(global, &client.post("/v1/drift/accept", &body).await?)
        }
    }
}

fn renamed(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((old, new)) if !old.is_empty() && !new.is_empty() => Ok((old.to_owned(), new.to_owned())),
        Some(_) | None => Err("write OLD=NEW: the name in the mapping, and the column's name now".to_owned()),
    }
}

fn accept(accepting: Accepting) -> AcceptDrift {
    let Accepting { mapping, rename, drop, as_null, reload, seen, dry_run } = accepting;
    let renames = rename.into_iter().map(|(column, to)| Decision::Rename { column, to });
    let decisions = renames
        .chain(drop.into_iter().map(Decision::Drop))
        .chain(as_null.into_iter().map(Decision::AsNull))
        .chain(reload.into_iter().map(Decision::Reload))
        .collect();
    AcceptDrift { mapping, decisions, seen, dry_run }
}

/// The list.
fn list(list: &DriftList, now: Timestamp, paint: Paint) -> String {
    if list.drift.is_empty() {
        return "every mapping fits its table\n".to_owned();
    }
    let mut table = Table::new(&[
        ("MAPPING", Side::Left),
        ("TABLE", Side::Left),
        ("SINCE", Side::Right),
        ("EFFECT", Side::Left),
        ("CHANGE", Side::Left),
        ("FIELDS", Side::Left),
    ]);
    let plain = |text: &str| (tame(text), Tone::Plain);
    for drift in &list.drift {
        table.row([
            plain(name(drift)),
            plain(&table_of(drift)),
            plain(&ago(drift.since, now)),
            (tame(&drift.severity), tone(&drift.severity)),
            plain(&drift.change),
            plain(&drift.fields.join(", ")),
        ]);
    }
    let mut text = table.render(paint);
    let mut held: Vec<&str> = list.drift.iter().filter(|drift| drift.held).map(name).collect();
    held.dedup();
    for mapping in held {
        let mapping = tame(mapping);
        text.extend([
            "
",
            &mapping,
            " is held: its changes wait, none is lost
  passerelle drift show ",
            &mapping,
            "
",
        ]);
    }
    text
}

/// All that has changed for one mapping, and how to settle it.
fn one(mapping: &str, list: &DriftList, now: Timestamp, paint: Paint) -> String {
    let mapping = tame(mapping);
    if list.drift.is_empty() {
        return format!("{mapping} fits its table\n");
    }
    let is_held = list.drift.iter().any(|drift| drift.held);
    let since = list.drift.iter().filter_map(|drift| drift.since).min();
    let state = if is_held { paint.text(Tone::Bad, "held") } else { paint.text(Tone::Good, "delivered") };
    let at = since.map_or_else(String::new, |at| format!(" since {at} ({})", ago(Some(at), now)));
    let mut text = format!(
        "{}  {state}{at}\n{}, {}\n",
        paint.text(Tone::Bold, &mapping),
        tame(&tables(list)),
        counted(list.drift.len() as u64, "change", "changes"),
    );
    for drift in &list.drift {
        text.push('\n');
        text.push_str(&paragraph(drift, paint));
    }
    if is_held {
        text.push('\n');
        text.push_str(&next(&mapping, list, paint));
    }
    text
}

fn paragraph(drift: &Drift, paint: Paint) -> String {
    let change = match &drift.relation {
        Some(relation) => format!("{relation}: {}", drift.change),
        None => drift.change.clone(),
    };
    let mut text = format!("{}\n", paint.text(Tone::Bold, &tame(&change)));
    for effect in &drift.effects {
        let DriftEffect { part, severity, text: what } = effect;
        let what = if part == WHOLE { tame(what) } else { format!("{}: {}", tame(part), tame(what)) };
        line(&mut text, &paint.text(tone(severity), &padded(severity)), &what);
    }
    if let Some(counted) = &drift.counted {
        line(&mut text, &paint.text(Tone::Soft, &padded("rows")), &tame(counted));
    }
    for answer in &drift.answers {
        line(&mut text, &paint.text(Tone::Soft, &padded("say")), &tame(answer));
    }
    if let Some(way_out) = &drift.way_out {
        line(&mut text, &paint.text(Tone::Soft, &padded("do")), &tame(way_out));
    }
    text
}

/// How it goes on: what is typed, one answer to each change that needs one.
fn next(mapping: &str, list: &DriftList, paint: Paint) -> String {
    let mut text = "Its changes are captured and wait; nothing is lost. ".to_owned();
    if list.drift.iter().any(|drift| drift.way_out.is_some()) {
        text.push_str("It goes on by itself once that is done.\n");
        return text;
    }
    let open = list.drift.iter().filter(|drift| !drift.answers.is_empty());
    let words: Vec<String> = open.map(|drift| tame(&alternatives(&drift.answers))).collect();
    text.push_str(if words.is_empty() { "To go on with the table as it is:\n" } else { "To go on, say which:\n" });
    let command = ["passerelle drift accept", mapping].into_iter().chain(words.iter().map(String::as_str));
    let command = command.collect::<Vec<_>>().join(" ");
    text.extend(["  ", &paint.text(Tone::Bold, &command), "\n"]);
    text.push_str("or write the mapping anew, then:\n");
    text.extend(["  ", &paint.text(Tone::Bold, "passerelle reload"), "\n"]);
    text
}

/// One of these: `[--rename phone=tel | --drop phone]`.
fn alternatives(answers: &[String]) -> String {
    match answers {
        [only] => only.clone(),
        answers => format!("[{}]", answers.join(" | ")),
    }
}

/// The table, and whose rows it has: `public.country (country)`.
fn table_of(drift: &Drift) -> String {
    match &drift.relation {
        Some(relation) => format!("{} ({relation})", drift.table),
        None => drift.table.clone(),
    }
}

/// The tables that have changed for one mapping.
fn tables(list: &DriftList) -> String {
    let mut tables: Vec<String> = list.drift.iter().map(table_of).collect();
    tables.dedup();
    tables.join(", ")
}

/// How the documents call all of a mapping.
const WHOLE: &str = "all of it";

fn line(text: &mut String, head: &str, what: &str) {
    text.extend(["  ", head, "  ", what, "\n"]);
}

fn padded(head: &str) -> String {
    format!("{head:<8}")
}

fn name(drift: &Drift) -> &str {
    drift.mapping.as_deref().unwrap_or(super::humane::UNKNOWN)
}

fn tone(severity: &str) -> Tone {
    match severity {
        "breaking" => Tone::Bad,
        "lossy" => Tone::Warning,
        _ => Tone::Good,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn effect(part: &str, severity: &str, text: &str) -> DriftEffect {
        DriftEffect { part: part.to_owned(), severity: severity.to_owned(), text: text.to_owned() }
    }

    fn drift(change: &str, effects: &[DriftEffect], answers: &[&str]) -> Drift {
        Drift {
            mapping: Some("contacts".to_owned()),
            table: "public.res_partner".to_owned(),
            change: change.to_owned(),
            severity: effects[0].severity.clone(),
            fields: effects.iter().filter(|effect| effect.part != WHOLE).map(|effect| effect.part.clone()).collect(),
            effects: effects.to_vec(),
            answers: answers.iter().map(ToString::to_string).collect(),
            since: Timestamp::from_second(0).ok(),
            held: true,
            ..Drift::default()
        }
    }

    fn phone() -> Drift {
        let counted = Some("38,112 of 40,310 rows have a value".to_owned());
        let answers = ["--rename phone=tel", "--drop phone", "--as-null phone"];
        let effects = [
            effect("Phone", "breaking", "can't be computed without it, unless tel is the same"),
            effect("Fax", "breaking", "can't be computed without it, unless tel is the same"),
        ];
        let change = "phone is gone, and tel looks like it: same place, same type";
        Drift { counted, ..drift(change, &effects, &answers) }
    }

    fn narrowed() -> Drift {
        let change = "name was text and is character varying(40) now: narrowed";
        let counted = Some("112 of 40,310 rows would be cut at 40 characters".to_owned());
        Drift {
            counted,
            ..drift(change, &[effect("LastName", "lossy", "values that do not fit are cut, rounded or refused")], &[])
        }
    }

    fn now() -> Timestamp {
        Timestamp::from_second(120).unwrap()
    }

    fn shown(drift: Vec<Drift>) -> String {
        one("contacts", &DriftList { drift }, now(), Paint(false))
    }

    #[test]
    fn a_list() {
        let added = Drift {
            mapping: Some("orders".to_owned()),
            table: "public.sale_order".to_owned(),
            held: false,
            ..drift("state has a new label 'sent'", &[effect("Status__c", "none", "'sent' is sent for it")], &[])
        };
        let expect = "\
MAPPING   TABLE                   SINCE  EFFECT    CHANGE                                                       FIELDS
contacts  public.res_partner  2 min ago  breaking  phone is gone, and tel looks like it: same place, same type  Phone, Fax
contacts  public.res_partner  2 min ago  lossy     name was text and is character varying(40) now: narrowed     LastName
orders    public.sale_order   2 min ago  none      state has a new label 'sent'                                 Status__c

contacts is held: its changes wait, none is lost
  passerelle drift show contacts
";
        let all = DriftList { drift: vec![phone(), narrowed(), added] };
        assert_eq!(list(&all, now(), Paint(false)), expect);
        assert_eq!(list(&DriftList::default(), now(), Paint(false)), "every mapping fits its table\n");
    }

    #[test]
    fn one_that_needs_a_word() {
        let expect = "\
contacts  held since 1970-01-01T00:00:00Z (2 min ago)
public.res_partner, 2 changes

phone is gone, and tel looks like it: same place, same type
  breaking  Phone: can't be computed without it, unless tel is the same
  breaking  Fax: can't be computed without it, unless tel is the same
  rows      38,112 of 40,310 rows have a value
  say       --rename phone=tel
  say       --drop phone
  say       --as-null phone

name was text and is character varying(40) now: narrowed
  lossy     LastName: values that do not fit are cut, rounded or refused
  rows      112 of 40,310 rows would be cut at 40 characters

Its changes are captured and wait; nothing is lost. To go on, say which:
  passerelle drift accept contacts [--rename phone=tel | --drop phone | --as-null phone]
or write the mapping anew, then:
  passerelle reload
";
        assert_eq!(shown(vec![phone(), narrowed()]), expect);
    }

    #[test]
    fn one_that_needs_none() {
        let expect = "\
contacts  held since 1970-01-01T00:00:00Z (2 min ago)
public.res_partner, 1 change

name was text and is character varying(40) now: narrowed
  lossy     LastName: values that do not fit are cut, rounded or refused
  rows      112 of 40,310 rows would be cut at 40 characters

Its changes are captured and wait; nothing is lost. To go on with the table as it is:
  passerelle drift accept contacts
or write the mapping anew, then:
  passerelle reload
";
        assert_eq!(shown(vec![narrowed()]), expect);
        assert_eq!(shown(vec![]), "contacts fits its table\n");
    }

    #[test]
    fn one_that_can_t_be_accepted() {
        let gone = Drift {
            way_out: Some("put the table back".to_owned()),
            ..drift("the table is gone", &[effect(WHOLE, "breaking", "there is nothing to deliver")], &[])
        };
        let expect = "\
contacts  held since 1970-01-01T00:00:00Z (2 min ago)
public.res_partner, 1 change

the table is gone
  breaking  there is nothing to deliver
  do        put the table back

Its changes are captured and wait; nothing is lost. It goes on by itself once that is done.
";
        assert_eq!(shown(vec![gone]), expect);
    }

    #[test]
    fn decisions_are_asked_for_as_they_were_typed() {
        let text = |texts: &[&str]| texts.iter().map(ToString::to_string).collect::<Vec<_>>();
        let accepting = Accepting {
            mapping: "contacts".to_owned(),
            rename: vec![renamed("phone=tel").unwrap()],
            drop: text(&["note"]),
            as_null: text(&["born"]),
            reload: text(&["name"]),
            seen: None,
            dry_run: false,
        };
        let expect = json!({
            "mapping": "contacts",
            "decisions": [
                { "rename": { "column": "phone", "to": "tel" } },
                { "drop": "note" },
                { "as_null": "born" },
                { "reload": "name" },
            ],
            "seen": null,
            "dry_run": false,
        });
        assert_eq!(json!(accept(accepting)), expect);
    }
}
