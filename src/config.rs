//! The configuration: TOML to [`Config`], with every fault at once, each with its place and what to do about it.
//!
//! Invariants:
//! - What [`load`] returns needs no interpretation: defaults are filled in, names refer to what exists. Only expressions
//!   are still text; `mapping` compiles them against the catalogue, and its faults are shown in the same form ([`Fault`]).
//! - An unknown key is a fault: nothing that somebody wrote is passed over. Each key is known once (`keys.rs`): what the
//!   reader takes, the JSON Schema and the tables of `docs/` come from there.
//! - No fault, log line or `Debug` output shows a secret.
//! - Nothing outside is touched, except that secrets and the files of lookups are read.

// A default is read with a lifetime of its own, which `Found::bool` would fix; the lint does not see it.
#![allow(clippy::redundant_closure_for_method_calls)]

pub(crate) mod alert;
mod association;
mod crm;
mod daemon;
mod difference;
mod escapes;
pub mod fault;
pub(crate) mod field;
mod files;
mod keys;
mod lookup;
mod mapping;
mod mask;
pub mod model;
mod nearest;
mod not_toml;
mod references;
mod related;
mod render;
pub(crate) mod schedule;
mod schema;
mod secret;
mod section;
mod source;
mod standard;
mod tree;
mod units;

#[cfg(test)]
mod tests;

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::hash::Hasher;
use std::path::Path;
use std::sync::Arc;

use siphasher::sip128::{Hasher128, SipHasher13};

pub use difference::{Change, KeyChange, What, difference};
pub use fault::{Fault, Faults, Severity, print};
pub use files::Files;
pub use model::Config;
pub use nearest::nearest;
pub use schema::schema;
pub(crate) use units::duration;

use keys::{Form, Key, Keys, NAMES};
use mapping::Names;
use model::{Place, Standard};
use section::{Context, Found, Section};
use tree::{Entry, Table, Value};

/// The tables of the configuration. Each may stand in another file, so none has to be there.
static KEYS: Keys = Keys::all(&[
    Key::or("daemon", Form::Table(&daemon::KEYS), "{}", "the daemon's own settings"),
    Key::or("standard", Form::Table(&standard::KEYS), "{}", "what holds in every mapping"),
    Key::maybe("lookup", named_tables(&LOOKUP), "{}", "texts by key, for the filter `lookup`: `[lookup.NAME]`"),
    Key::maybe("source", named_tables(&SOURCE), "{}", "a database whose log is tailed: `[source.NAME]`"),
    Key::maybe("crm", named_tables(&CRM), "{}", "a CRM that is written to: `[crm.NAME]`"),
    Key::or("alerts", Form::Table(&alert::LIMITS), "{}", "from where on something is worth an alert"),
    Key::maybe("alert", named_tables(&ALERT), "{}", "whom alerts go to: `[alert.NAME]`"),
    Key::maybe("mapping", named_tables(&MAPPING), "{}", "one table to one CRM object: `[mapping.NAME]`"),
    Key::later("record", "give each mapping its `crm`, `object` and `key`"),
]);

const LOOKUP: Form = Form::Table(&lookup::KEYS);
const SOURCE: Form = Form::Table(&source::KEYS);
const CRM: Form = Form::Table(&crm::KEYS);
const MAPPING: Form = Form::Table(&mapping::KEYS);
const ALERT: Form = Form::Table(&alert::KEYS);

const fn named_tables(of: &'static Form) -> Form {
    Form::Named { names: NAMES, of, least: 0 }
}

/// A configuration that can be run.
#[derive(Debug)]
pub struct Loaded {
    /// The configuration.
    pub config: Config,
    /// What somebody should look at.
    pub warnings: Vec<Fault>,
    /// The files, to show faults that are found later.
    pub files: Files,
}

/// The longest name of a source, CRM or mapping.
const LONGEST_NAME: usize = 63;

/// Reads a file, or the `*.toml` of a folder, and the secrets that they name.
///
/// # Errors
/// Every fault, among them at least one error.
pub fn load(path: &Path) -> Result<Loaded, Faults> {
    read(path, true)
}

/// The same without reading secrets, which are empty then, and key files: for commands that only need to know where the
/// daemon listens, and may not read them.
///
/// # Errors
/// As [`load`].
pub fn load_without_secrets(path: &Path) -> Result<Loaded, Faults> {
    read(path, false)
}

/// A configuration to start from, with comments; `systemd/passerelle.toml.example` in the sources.
pub fn example() -> &'static str {
    include_str!("../systemd/passerelle.toml.example")
}

fn read(path: &Path, read_secrets: bool) -> Result<Loaded, Faults> {
    match Files::read(path) {
        Ok(files) => parse(files, &|name| std::env::var(name).ok(), read_secrets),
        Err(faults) => Err(Faults::new(faults, Files::default())),
    }
}

fn parse(files: Files, env: &dyn Fn(&str) -> Option<String>, read_secrets: bool) -> Result<Loaded, Faults> {
    let (table, faults) = tree::parse(&files);
    let broken = faults.clone();
    let context = Context { files: &files, env, read_secrets, faults: RefCell::new(faults) };
    let config = config(&table, &context);
    let mut list = context.faults.into_inner();
    fault::drop_echoes(&broken, &mut list, &files);
    let faulty = list.iter().any(|fault| fault.severity == Severity::Error);
    let faults = Faults::new(list, files);
    match config {
        Some(config) if !faulty => Ok(Loaded { config, warnings: faults.list, files: faults.files }),
        _ => Err(faults),
    }
}

/// A configuration in one file, for tests of what it is used for.
#[cfg(test)]
pub(crate) fn from_text(text: &str) -> Result<Loaded, Faults> {
    let mut files = Files::default();
    files.add(Path::new("conf.toml"), text.to_owned());
    parse(files, &|_| None, false)
}

fn config(table: &Table, context: &Context<'_>) -> Option<Config> {
    let nowhere = Place { file: 0, span: 0..0 };
    let mut top = Section::new("the configuration".to_owned(), &nowhere, table, &KEYS, context);
    let daemon = top.or("daemon", |found| daemon::read(found.titled_table("[daemon]".to_owned())?));
    let [sources, crms, mappings, channels] = ["source", "crm", "mapping", "alert"]
        .map(|kind| top.take(kind).map_or_else(Vec::new, |found| named(kind, &found)));
    let standard = top.or("standard", |found| standard::read(found.titled_table("[standard]".to_owned())?));
    let alerts = top.or("alerts", |found| alert::limits(found.titled_table("[alerts]".to_owned())?));
    let lookups = top.take("lookup").map_or_else(Vec::new, |found| named("lookup", &found));
    let lookups =
        read_each("lookup", &lookups, &lookup::KEYS, context, |_, _, section| lookup::read(section).map(Arc::new));
    let standard = Arc::new(Standard { lookups, ..standard.unwrap_or_default() });
    top.finish(|_| {
        let tables =
            "[daemon], [standard], [lookup.NAME], [source.NAME], [crm.NAME], [mapping.NAME], [alerts], [alert.NAME]";
        Some(format!("tables: {tables}"))
    });
    what_is_missing(context, &sources, &mappings);

    let declared = names(&sources);
    let channels = read_each("alert", &channels, &alert::KEYS, context, |name, _, section| {
        alert::read(name, section, &declared, &names(&mappings))
    });
    let sources = read_each("source", &sources, &source::KEYS, context, |name, entry, section| {
        Some((head(entry, context), source::read(name, section)?))
    });
    let names = Names {
        sources: declared,
        known: &sources,
        standard: Arc::clone(&standard),
        crms: names(&crms),
        mappings: names(&mappings),
    };
    let crms = read_each("crm", &crms, &crm::KEYS, context, |name, _, section| crm::read(name, section));
    let mappings = read_each("mapping", &mappings, &mapping::KEYS, context, |name, entry, section| {
        mapping::read(name, &head(entry, context), section, &names)
    });
    let mappings =
        mappings.into_values().flat_map(|(mapping, associations)| std::iter::once(mapping).chain(associations));
    let mappings: BTreeMap<_, _> = mappings.map(|mapping| (mapping.name.to_string(), mapping)).collect();
    context.faults.borrow_mut().extend(references::check(&sources, &crms, &mappings, context.files));
    Some(Config {
        daemon: daemon?,
        sources: sources.into_iter().map(|(name, (_, source))| (name, source)).collect(),
        crms,
        mappings,
        alerts: alerts?,
        channels,
        hash: hash(context.files, &standard),
    })
}

fn what_is_missing(context: &Context<'_>, sources: &[&Entry], mappings: &[&Entry]) {
    // A file that could not be read as TOML may have them.
    if !context.faults.borrow().is_empty() {
        return;
    }
    if sources.is_empty() {
        let hint =
            "add [source.NAME] with kind, host, database and user; systemd/passerelle.toml.example shows all of it";
        context.note(Fault::error("there is no source").hint(hint));
    } else if mappings.is_empty() {
        context
            .note(Fault::warning("there is no mapping: nothing will be captured or sent").hint("add [mapping.NAME]"));
    }
}

/// The entries of `[source.*]`, `[crm.*]` or `[mapping.*]` whose names can be used.
fn named<'a>(kind: &str, found: &Found<'a>) -> Vec<&'a Entry> {
    let Value::Table(table) = &found.node.value else {
        let _ = found.wrong::<()>("a table");
        return Vec::new();
    };
    table.entries.iter().filter(|entry| check_name(kind, entry, found.context)).collect()
}

fn check_name(kind: &str, entry: &Entry, context: &Context<'_>) -> bool {
    let name = entry.key.as_str();
    if matches!(entry.node.value, Value::List(_)) {
        let fault = Fault::error(format!("[[{kind}.{name}]] makes a list, and {} is one table", with_article(kind)))
            .at(&entry.key_place);
        context.note(fault.hint(format!("one pair of brackets: [{kind}.{name}]")));
        return false;
    }
    if !matches!(entry.node.value, Value::Table(_)) {
        let fault =
            Fault::error(format!("`{name}` stands directly under [{kind}], which needs a name")).at(&entry.key_place);
        context.note(fault.hint(format!("give the {kind} a name of your own: [{kind}.NAME]")));
        return false;
    }
    let fits = name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_' || char == '-')
        && name.len() <= LONGEST_NAME;
    if !fits {
        let hint = format!("letters, digits, _ and -, starting with a letter, at most {LONGEST_NAME}");
        context.note(
            Fault::error(format!("`{name}` cannot be the name of {}", with_article(kind)))
                .at(&entry.key_place)
                .hint(hint),
        );
    }
    fits
}

/// `a source`, `an alert`.
fn with_article(kind: &str) -> String {
    format!("{} {kind}", if kind.starts_with(['a', 'e', 'i', 'o', 'u']) { "an" } else { "a" })
}

fn names<'a>(entries: &[&'a Entry]) -> Vec<&'a str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn read_each<'a, T>(
    kind: &str,
    entries: &[&'a Entry],
    keys: &'static Keys,
    context: &'a Context<'a>,
    read: impl Fn(&str, &'a Entry, Section<'a>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for entry in entries {
        let Value::Table(table) = &entry.node.value else {
            continue;
        };
        let section = Section::new(format!("[{kind}.{}]", entry.key), &entry.key_place, table, keys, context);
        if let Some(value) = read(&entry.key, entry, section) {
            all.insert(entry.key.clone(), value);
        }
    }
    all
}

/// `[mapping.contacts]` where it is written out, else the name.
fn head(entry: &Entry, context: &Context<'_>) -> Place {
    let place = &entry.node.place;
    let raw = context.files.text(place.file).get(place.span.clone()).unwrap_or_default();
    if raw.starts_with('[') { place.clone() } else { entry.key_place.clone() }
}

/// Changes when a byte of a file does, or of one that a lookup is read from; stable over versions and machines.
fn hash(files: &Files, standard: &Standard) -> String {
    let mut hasher = SipHasher13::new_with_keys(0x7061_7373_6572_656c, 0x6c65_636f_6e66_6967);
    for text in files.texts() {
        hasher.write_u64(text.len() as u64);
        hasher.write(text.as_bytes());
    }
    standard.lookups.values().for_each(|lookup| hasher.write_u64(lookup.hash));
    let hash = hasher.finish128();
    format!("{:016x}{:016x}", hash.h1, hash.h2)
}
