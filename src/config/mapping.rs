//! `[mapping.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{FieldValue, TableName};

use super::Fault;
use super::field;
use super::model::{
    Canary, Delivery, Departure, Expr, Guard, Mapping, OnCollision, OnGone, OnTruncate, Place, Source, Standard,
};
use super::nearest::nearest;
use super::schedule;
use super::section::{Found, Section};
use super::tree::Value;
use super::units;

const SECOND: Duration = Duration::from_secs(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);

/// How old a waiting change may be, where nothing is said and changes are delivered as they come.
const DEFAULT_FRESHNESS: Duration = Duration::from_mins(1);

/// `guard` where nothing is said: at most 1 % of the records or 50 in an hour.
const DEFAULT_GUARD: Guard = Guard { share: 0.01, count: 50, within: HOUR };

/// What is declared elsewhere, for references by name.
pub(super) struct Names<'a> {
    pub(super) sources: Vec<&'a str>,
    /// The sources that have no fault.
    pub(super) known: &'a BTreeMap<String, (Place, Source)>,
    pub(super) standard: Arc<Standard>,
    pub(super) crms: Vec<&'a str>,
    pub(super) mappings: Vec<&'a str>,
}

/// Reads `[mapping.NAME]`. `head` is where its table starts.
pub(super) fn read(name: &str, head: &Place, mut section: Section<'_>, names: &Names<'_>) -> Option<Mapping> {
    let source = section.need("source", "\"erp\"", |found| found.declared("source", &names.sources));
    let known = source.as_ref().and_then(|name| names.known.get(name)).map(|(_, source)| source);
    let table = section.need("table", "\"public.customer\"", table);
    let table = table.map(|table| prefixed(table, known));
    let crm = section.need("crm", "\"sales\"", |found| crm(found, names));
    let object = section.need("object", "\"Account\"", api_name_value);
    let key = section.need("key", "{ field = \"Erp_Id__c\", value = \"id\" }", key);
    let filter = section.maybe("where", Found::expr);
    let deleted = section.maybe("deleted", Found::expr);
    let on_delete = section.or("on_delete", Departure::Delete, departure);
    let on_leave = section.or("on_leave", Departure::Ignore, departure);
    let truncate = [("delete", OnTruncate::Delete), ("ignore", OnTruncate::Ignore)];
    let on_truncate = section.or("on_truncate", OnTruncate::Ignore, |found| found.one_of(&truncate, &[]));
    let gone = [("recreate", OnGone::Recreate), ("reject", OnGone::Reject)];
    let on_gone = section.or("on_gone", OnGone::Recreate, |found| found.one_of(&gone, &[]));
    let collision = [("reject", OnCollision::Reject), ("newest", OnCollision::Newest)];
    let on_collision = section.or("on_collision", OnCollision::Reject, |found| found.one_of(&collision, &[]));
    let guard = section.or("guard", DEFAULT_GUARD, guard);
    let delivery = section
        .or("delivery", Delivery::Realtime, |found| delivery(found, known.map_or("UTC", |source| &source.time_zone)));
    let freshness = section.take("freshness");
    let freshness = freshness.map_or_else(
        || delivery.as_ref().map(default_freshness),
        |found| {
            found
                .duration(SECOND..=30 * DAY)
                .inspect(|freshness| warn_of_freshness(&found, *freshness, delivery.as_ref()))
        },
    );
    let urgent = section.or("urgent", false, Found::bool);
    let fields = section.need("fields", "{ Name = \"name\" }", |found| field::read_all(name, found, names));
    let quiet = section.maybe("quiet", |found| found.duration(SECOND..=30 * DAY));
    let canary = canary(&mut section);
    let observe = section.or("mode", false, |found| found.one_of(&[("live", false), ("observe", true)], &[]));
    let owner = section.maybe("owner", Found::string);
    let purpose = section.maybe("purpose", Found::string);
    let on_key_change = section.take("on_key_change");
    let key_change = on_key_change.map_or(Some(()), |found| key_change(&found));
    section.later(&LATER);
    let title = format!("[mapping.{name}.fields]");
    let context = section.context;
    section.finish(|key| {
        key.starts_with(|char: char| char.is_ascii_uppercase()).then(|| format!("the CRM's fields stand under {title}"))
    });

    key_change?;
    let key = key?;
    let fields = fields?;
    if let Some(field) = fields.iter().find(|field| field.name.eq_ignore_ascii_case(&key.field)) {
        let fault =
            Fault::error(format!("`{}` is the key of the record and a field as well", field.name)).at(&field.place);
        context.note(fault.also(&key.place, "the key").hint("take it out of the fields: the key is always sent"));
        return None;
    }
    Some(Mapping {
        name: Arc::from(name),
        source: source?,
        table: table?,
        crm: crm?,
        object: object?,
        key_field: key.field,
        key_value: key.value,
        filter: filter?,
        deleted: deleted?,
        on_delete: on_delete?,
        on_leave: on_leave?,
        on_truncate: on_truncate?,
        on_gone: on_gone?,
        on_collision: on_collision?,
        guard: guard?,
        delivery: delivery?,
        freshness: freshness?,
        quiet: quiet?,
        canary: canary?,
        observe: observe?,
        urgent: urgent?,
        owner: owner?,
        purpose: purpose?,
        standard: Arc::clone(&names.standard),
        fields,
        place: head.clone(),
    })
}

/// Keys of the language that come later, with what to do until then.
const LATER: [(&str, &str); 8] = [
    ("with", "keep the related value in a column of this table, or leave the field out (a view cannot be tailed)"),
    ("associations", "leave it out; a `reference` field sets a parent record"),
    ("on_drift", "leave it out"),
    ("record", "give `crm`, `object` and `key` instead"),
    ("value_key", "give `key = { field = \"…\", value = \"…\" }` instead"),
    ("identity", "leave it out"),
    ("enforce", "leave it out"),
    ("crms", "write one mapping for each CRM"),
];

/// `key`, read.
struct Key {
    field: Arc<str>,
    /// Where the field's name stands.
    place: Place,
    value: Expr,
}

fn key(found: &Found<'_>) -> Option<Key> {
    let mut section = found.table_like("{ field = \"Erp_Id__c\", value = \"id\" }")?;
    let field =
        section.need("field", "\"Erp_Id__c\"", |found| Some((api_name_value(found)?, found.node.place.clone())));
    let value = section.need("value", "\"id\"", Found::expr);
    section.finish(|_| None);
    let (field, place) = field?;
    Some(Key { field, place, value: value? })
}

/// `schema.table`; the schema is `public` where none is named. What is behind the first point is the table.
fn table(found: &Found<'_>) -> Option<TableName> {
    let text = found.text()?;
    if text.contains('"') || text.contains('`') {
        let plain = text.replace(['"', '`'], "");
        return found.fault("names of tables are quoted by passerelle", format!("table = \"{plain}\""));
    }
    let (schema, name) = text.split_once('.').unwrap_or(("public", text));
    if schema.is_empty() || name.is_empty() {
        return found.fault(format!("`{text}` is not the name of a table"), "table = \"public.customer\"");
    }
    Some(TableName { schema: schema.to_owned(), name: name.to_owned() })
}

fn crm(found: &Found<'_>, names: &Names<'_>) -> Option<String> {
    if matches!(found.node.value, Value::List(_)) {
        return found.fault("several CRMs in one mapping are not supported yet", "write one mapping for each CRM");
    }
    found.declared("crm", &names.crms)
}

/// The API name of an object or a field: letters, digits and underscores. The fault stands at `place`.
pub(super) fn api_name(found: &Found<'_>, place: &Place, name: &str) -> Option<Arc<str>> {
    let fits = name.starts_with(|char: char| char.is_ascii_alphabetic())
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    if fits {
        return Some(Arc::from(name));
    }
    let hint = if name.contains(' ') {
        "that looks like a label; the API name stands in Setup, Object Manager: Erp_Id__c"
    } else {
        "letters, digits and _, starting with a letter: Erp_Id__c"
    };
    found.context.note(Fault::error(format!("`{name}` is not an API name")).at(place).hint(hint));
    None
}

/// The same for a key's value.
fn api_name_value(found: &Found<'_>) -> Option<Arc<str>> {
    api_name(found, &found.node.place, found.text()?)
}

/// What `on_delete` and `on_leave` can be.
const DEPARTURES: &str = "\"delete\", \"ignore\", { set = { Active__c = false } }";

fn departure(found: &Found<'_>) -> Option<Departure> {
    if !matches!(found.node.value, Value::Table(_)) {
        return departure_word(found);
    }
    let mut section = found.table(format!("`{}`", found.name))?;
    let set = section.need("set", "{ Active__c = false }", |found| {
        let fields: Vec<Option<(Arc<str>, FieldValue)>> = found
            .table("`set`".to_owned())?
            .all()
            .map(|field| Some((api_name(&field, field.key_place, field.name)?, field.constant()?)))
            .collect();
        if fields.is_empty() {
            return found.fault("`set` names no field", "set = { Active__c = false }");
        }
        fields.into_iter().collect::<Option<Vec<_>>>()
    });
    section.finish(|_| Some(format!("allowed: {DEPARTURES}")));
    Some(Departure::Set(set?))
}

fn departure_word(found: &Found<'_>) -> Option<Departure> {
    match &found.node.value {
        Value::Text(text, _) if text == "delete" => Some(Departure::Delete),
        Value::Text(text, _) if text == "ignore" => Some(Departure::Ignore),
        Value::Text(text, _) => {
            let near = nearest(text, ["delete", "ignore"]).map(|near| format!("did you mean \"{near}\"? "));
            let hint = format!("{}allowed: {DEPARTURES}", near.unwrap_or_default());
            found.fault(format!("`{}` cannot be \"{text}\"", found.name), hint)
        }
        other => found.fault(format!("`{}` cannot be {}", found.name, other.kind()), format!("allowed: {DEPARTURES}")),
    }
}

fn guard(found: &Found<'_>) -> Option<Guard> {
    let mut section = found.table_like("{ deletes = \"1% or 50 in 1h\" }")?;
    let guard = section.need("deletes", "\"1% or 50 in 1h\"", |found| found.parsed("a guard", units::guard));
    section.finish(|_| None);
    guard
}

/// A source's `prefix` is left out of its tables' names, which may be written in full all the same.
fn prefixed(table: TableName, source: Option<&Source>) -> TableName {
    let prefix = source.map_or("", |source| &source.prefix);
    let name = if table.name.starts_with(prefix) { table.name } else { format!("{prefix}{}", table.name) };
    TableName { name, ..table }
}

/// The most records of a canary: those it names are kept in memory.
const MOST_ONLY: usize = 10_000;

fn canary(section: &mut Section<'_>) -> Option<Canary> {
    let limit = section.maybe("limit", |found| found.int(1..=i128::from(i64::MAX)));
    let only = section.maybe("only", |found| {
        const FORM: &str = "[17, 42], the rows' keys; of several columns \"17,FR\"";
        let items = found.list(FORM)?;
        if items.len() > MOST_ONLY {
            return found.fault(format!("`only` names more than {MOST_ONLY} rows"), "`where` narrows the rows, too");
        }
        let keys: Vec<Option<String>> = items
            .iter()
            .map(|item| match &item.node.value {
                Value::Int(number) => Some(number.to_string()),
                Value::Text(..) => item.string(),
                _ => item.wrong_form("a list of whole numbers and text", format!("only = {FORM}")),
            })
            .collect();
        keys.into_iter().collect()
    });
    Some(Canary { limit: limit?, only: only? })
}

/// Salesforce renames a record by its id; nothing else is needed there.
fn key_change(found: &Found<'_>) -> Option<()> {
    const HINT: &str = "leave it out: the record is renamed by its id, and its children stay with it";
    match &found.node.value {
        Value::Text(text, _) if text == "recreate" => {
            found.fault("on_key_change = \"recreate\" is not supported yet", HINT)
        }
        _ => found.one_of(&[("rename", ())], &[]),
    }
}

fn delivery(found: &Found<'_>, zone: &str) -> Option<Delivery> {
    if !matches!(found.node.value, Value::Table(_)) {
        return found.one_of(&[("realtime", ())], &[]).map(|()| Delivery::Realtime);
    }
    let mut section = found.table("`delivery`".to_owned())?;
    if let Some(cron) = section.take("cron") {
        if section.has("every") {
            return cron.fault("`delivery` has both `cron` and `every`", "keep one of them");
        }
        section.finish(|_| None);
        return schedule::read(&cron, zone).map(Delivery::Cron);
    }
    let every = section.need("every", "\"1h\"", |found| found.duration(SECOND..=30 * DAY));
    section.finish(|_| Some("delivery = \"realtime\", { every = \"1h\" } or { cron = \"0 2 * * *\" }".to_owned()));
    Some(Delivery::Every(every?))
}

/// With intervals nothing is late before the next one has passed.
fn default_freshness(delivery: &Delivery) -> Duration {
    match delivery {
        Delivery::Realtime => DEFAULT_FRESHNESS,
        Delivery::Every(interval) => *interval + DEFAULT_FRESHNESS,
        Delivery::Cron(text) => schedule::longest_wait(text) + DEFAULT_FRESHNESS,
    }
}

fn warn_of_freshness(found: &Found<'_>, freshness: Duration, delivery: Option<&Delivery>) {
    let interval = match delivery {
        Some(Delivery::Every(interval)) => *interval,
        Some(Delivery::Cron(text)) => schedule::longest_wait(text),
        Some(Delivery::Realtime) | None => return,
    };
    if freshness < interval {
        found.warn(
            "`freshness` is shorter than the interval of `delivery`: it will be missed each time",
            "make it longer, or leave it out",
        );
    }
}
