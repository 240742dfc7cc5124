//! `passerelle dead-letters list|show|retry|drop`.

use jiff::Timestamp;
use serde_json::json;

use super::client::Client;
use super::humane::{UNKNOWN, ago, known, tame};
use super::table::{Paint, Side, Table, Tone};
use super::{Failure, Global, print_done, print_json, stdout_paint};
use crate::control::Retry;
use crate::control::model::{DeadLetter, DeadLetterPage};

/// The verbs.
#[derive(Debug, clap::Subcommand)]
pub(super) enum Verb {
    /// List them, oldest first
    List {
        /// Of this mapping only
        mapping: Option<String>,
        /// At most so many
        #[arg(long, value_name = "NUMBER", default_value_t = 100)]
        limit: usize,
        /// The page after this one, as the page before names it
        #[arg(long, value_name = "MARK")]
        after: Option<String>,
    },
    /// Show one with what was sent
    Show {
        /// Its mapping
        mapping: String,
        /// Its row key, as the list prints it
        key: String,
    },
    /// Try them again, with the newest state of their rows
    #[command(group = clap::ArgGroup::new("which").required(true).multiple(true).args(["mapping", "code", "all"]))]
    Retry {
        /// Of this mapping
        mapping: Option<String>,
        /// Of this row key only
        #[arg(requires = "mapping")]
        key: Option<String>,
        /// With this code only
        #[arg(long)]
        code: Option<String>,
        /// All of them
        #[arg(long)]
        all: bool,
    },
    /// Forget one; its row is delivered again when it changes
    Drop {
        /// Its mapping
        mapping: String,
        /// Its row key, as the list prints it
        key: String,
    },
}

/// Runs a verb.
pub(super) async fn dead_letters(global: &Global, verb: Verb) -> Result<(), Failure> {
    let client = Client::new(global)?;
    match verb {
        Verb::List { mapping, limit, after } => list(global, &client, mapping, limit, after).await,
        Verb::Show { mapping, key } => {
            let query = [("mapping", mapping), ("key", key)];
            let document = client.get("/v1/dead-letters/show", &query).await?;
            if global.json {
                return print_json(&document);
            }
            super::print(&one(&client.read(document)?, Timestamp::now(), stdout_paint()))
        }
        Verb::Retry { mapping, key, code, all } => {
            let body = json!(Retry { mapping, key, code, all });
            print_done(global, &client.post("/v1/dead-letters/retry", &body).await?)
        }
        Verb::Drop { mapping, key } => {
            let body = json!({ "mapping": mapping, "key": key });
            print_done(global, &client.post("/v1/dead-letters/drop", &body).await?)
        }
    }
}

async fn list(
    global: &Global,
    client: &Client,
    mapping: Option<String>,
    limit: usize,
    after: Option<String>,
) -> Result<(), Failure> {
    let mut query = vec![("limit", limit.to_string())];
    query.extend(mapping.map(|mapping| ("mapping", mapping)));
    query.extend(after.map(|after| ("after", after)));
    let document = client.get("/v1/dead-letters", &query).await?;
    if global.json {
        return print_json(&document);
    }
    super::print(&page(&client.read(document)?, Timestamp::now(), stdout_paint()))
}

/// The list.
fn page(page: &DeadLetterPage, now: Timestamp, paint: Paint) -> String {
    if page.dead_letters.is_empty() {
        return "no dead letters\n".to_owned();
    }
    let mut table = Table::new(&[
        ("MAPPING", Side::Left),
        ("KEY", Side::Left),
        ("RECORD", Side::Left),
        ("SINCE", Side::Right),
        ("CODE", Side::Left),
        ("REASON", Side::Left),
    ]);
    let plain = |text: &str| (tame(text), Tone::Plain);
    for letter in &page.dead_letters {
        table.row([
            plain(&letter.mapping),
            plain(&letter.key),
            plain(&record(letter)),
            plain(&ago(letter.at, now)),
            (tame(&letter.code), Tone::Bad),
            plain(&letter.reason),
        ]);
    }
    let mut text = table.render(paint);
    if let Some(next) = &page.next {
        text.push_str("more: --after '");
        text.push_str(&tame(next));
        text.push_str("'\n");
    }
    text
}

/// One dead letter in full.
fn one(letter: &DeadLetter, now: Timestamp, paint: Paint) -> String {
    let fields = if letter.fields.is_empty() { UNKNOWN.to_owned() } else { letter.fields.join(", ") };
    let position = letter.position.clone().unwrap_or_else(|| UNKNOWN.to_owned());
    let at = letter.at.map_or_else(|| UNKNOWN.to_owned(), |at| format!("{at} ({})", ago(Some(at), now)));
    let facts = [
        ("mapping", letter.mapping.clone()),
        ("key", letter.key.clone()),
        ("record", record(letter)),
        ("crm", letter.crm.clone().unwrap_or_else(|| UNKNOWN.to_owned())),
        ("code", letter.code.clone()),
        ("reason", letter.reason.clone()),
        ("fields", fields),
        ("position", position),
        ("since", at),
        ("attempts", known(letter.attempts, |attempts| attempts.to_string())),
    ];
    let mut text = String::new();
    for (name, fact) in facts {
        text.push_str(&paint.text(Tone::Soft, &format!("{name:<10}")));
        text.push_str(&tame(&fact));
        text.push('\n');
    }
    if let Some(payload) = &letter.payload {
        text.extend(["\n", &format!("{payload:#}"), "\n"]);
    }
    text
}

fn record(letter: &DeadLetter) -> String {
    let object = letter.object.as_deref().unwrap_or(UNKNOWN);
    letter.record.as_ref().map_or_else(|| object.to_owned(), |record| format!("{object} {record}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn letter() -> DeadLetter {
        DeadLetter {
            mapping: "contacts".to_owned(),
            key: "42".to_owned(),
            object: Some("Contact".to_owned()),
            record: Some("erp-42".to_owned()),
            code: "STRING_TOO_LONG".to_owned(),
            reason: "Last Name: data value too large".to_owned(),
            fields: vec!["LastName".to_owned()],
            position: Some("16/B374D848".to_owned()),
            at: Timestamp::from_second(0).ok(),
            attempts: Some(1),
            payload: Some(json!({ "LastName": "…" })),
            ..DeadLetter::default()
        }
    }

    #[test]
    fn a_list() {
        let now = Timestamp::from_second(120).unwrap();
        let listed = DeadLetterPage { dead_letters: vec![letter()], next: Some("m1".to_owned()) };
        let expect = "\
MAPPING   KEY  RECORD              SINCE  CODE             REASON
contacts  42   Contact erp-42  2 min ago  STRING_TOO_LONG  Last Name: data value too large
more: --after 'm1'
";
        assert_eq!(page(&listed, now, Paint(false)), expect);
        assert_eq!(page(&DeadLetterPage::default(), now, Paint(false)), "no dead letters\n");
    }

    #[test]
    fn one_in_full() {
        let expect = "\
mapping   contacts
key       42
record    Contact erp-42
crm       –
code      STRING_TOO_LONG
reason    Last Name: data value too large
fields    LastName
position  16/B374D848
since     1970-01-01T00:00:00Z (2 min ago)
attempts  1

{
  \"LastName\": \"…\"
}
";
        assert_eq!(one(&letter(), Timestamp::from_second(120).unwrap(), Paint(false)), expect);
    }
}
