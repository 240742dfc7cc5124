//! The configuration: TOML to [`Config`], with every fault at once, each with its place and what to do about it.
//!
//! Invariants:
//! - What [`load`] returns needs no interpretation: defaults are filled in, names refer to what exists. Only expressions
//!   are still text; `mapping` compiles them against the catalogue, and its faults are shown in the same form ([`Fault`]).
//! - An unknown key is a fault: nothing that somebody wrote is passed over.
//! - No fault, log line or `Debug` output shows a secret.
//! - Nothing outside is touched, except that secrets are read.

mod crm;
mod daemon;
mod difference;
mod escapes;
pub mod fault;
pub(crate) mod field;
mod files;
mod mapping;
mod mask;
pub mod model;
mod nearest;
mod references;
mod render;
pub(crate) mod schedule;
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

use mapping::Names;
use model::{Place, Standard};
use section::{Context, Found, Section};
use tree::{Entry, Table, Value};

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
    let context = Context { files: &files, env, read_secrets, faults: RefCell::new(faults) };
    let config = config(&table, &context);
    let list = context.faults.into_inner();
    let faulty = list.iter().any(|fault| fault.severity == Severity::Error);
    let faults = Faults::new(list, files);
    match config {
        Some(config) if !faulty => Ok(Loaded { config, warnings: faults.list, files: faults.files }),
        _ => Err(faults),
    }
}

fn config(table: &Table, context: &Context<'_>) -> Option<Config> {
    let nowhere = Place { file: 0, span: 0..0 };
    let mut top = Section::new("the configuration".to_owned(), &nowhere, table, context);
    let daemon = top.or("daemon", daemon::defaults(), |found| daemon::read(found.table("[daemon]".to_owned())?));
    let [sources, crms, mappings] =
        ["source", "crm", "mapping"].map(|kind| top.take(kind).map_or_else(Vec::new, |found| named(kind, &found)));
    let standard = top
        .or("standard", Standard::default(), |found| standard::read(found.table("[standard]".to_owned())?))
        .unwrap_or_default();
    top.later(&[("record", "give each mapping its `crm`, `object` and `key`")]);
    top.finish(|_| Some("tables: [daemon], [standard], [source.NAME], [crm.NAME], [mapping.NAME]".to_owned()));
    what_is_missing(context, &sources, &mappings);

    let declared = names(&sources);
    let sources = read_each("source", &sources, context, |name, entry, section| {
        Some((head(entry, context), source::read(name, section)?))
    });
    let names = Names {
        sources: declared,
        known: &sources,
        standard: Arc::new(standard),
        crms: names(&crms),
        mappings: names(&mappings),
    };
    let crms = read_each("crm", &crms, context, |name, _, section| crm::read(name, section));
    let mappings = read_each("mapping", &mappings, context, |name, entry, section| {
        mapping::read(name, &head(entry, context), section, &names)
    });
    context.faults.borrow_mut().extend(references::check(&sources, &mappings));
    Some(Config {
        daemon: daemon?,
        sources: sources.into_iter().map(|(name, (_, source))| (name, source)).collect(),
        crms,
        mappings,
        hash: hash(context.files),
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
        context.note(Fault::error(format!("`{name}` cannot be the name of a {kind}")).at(&entry.key_place).hint(hint));
    }
    fits
}

fn names<'a>(entries: &[&'a Entry]) -> Vec<&'a str> {
    entries.iter().map(|entry| entry.key.as_str()).collect()
}

fn read_each<'a, T>(
    kind: &str,
    entries: &[&'a Entry],
    context: &'a Context<'a>,
    read: impl Fn(&str, &'a Entry, Section<'a>) -> Option<T>,
) -> BTreeMap<String, T> {
    let mut all = BTreeMap::new();
    for entry in entries {
        let Value::Table(table) = &entry.node.value else {
            continue;
        };
        let section = Section::new(format!("[{kind}.{}]", entry.key), &entry.key_place, table, context);
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

/// Changes when a byte of a file does; stable over versions and machines.
fn hash(files: &Files) -> String {
    let mut hasher = SipHasher13::new_with_keys(0x7061_7373_6572_656c, 0x6c65_636f_6e66_6967);
    for text in files.texts() {
        hasher.write_u64(text.len() as u64);
        hasher.write(text.as_bytes());
    }
    let hash = hasher.finish128();
    format!("{:016x}{:016x}", hash.h1, hash.h2)
}
