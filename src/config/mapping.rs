//! `[mapping.NAME]`.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::{FieldValue, TableName};

use super::Fault;
use super::association;
use super::field;
use super::keys::{API_NAME, API_NAMES, Cases, EXPRESSION, Form, Key, Keys, NAME, TEXT, Words, text};
use super::model::{
    Canary, Delivery, Departure, Expr, Guard, Mapping, OnCollision, OnDrift, OnGone, OnKeyChange, OnTruncate, Place,
    Source, SourceKind, Standard,
};
use super::related;
use super::schedule;
use super::section::{Found, Section};
use super::tree::Value;
use super::units;

/// How old a waiting change may be, where nothing is said and changes are delivered as they come.
const DEFAULT_FRESHNESS: Duration = Duration::from_mins(1);

/// How long something may take that people wait for.
const WAIT: Form = Form::Duration { least: Duration::from_secs(1), most: Duration::from_hours(30 * 24) };

/// The name of a table.
pub(super) const TABLE: Form = text("text", r#"^[^."`]+(\.[^"`]+)?$"#);

/// The keys of `[mapping.NAME]`.
pub(super) static KEYS: Keys = Keys::all(&[
    Key::need("source", NAME, r#""erp""#, "of a `[source.NAME]`"),
    Key::need(
        "table",
        TABLE,
        r#""public.customer""#,
        "`\"public.customer\"`; without a schema, `public`. Of MySQL and MariaDB `\"shop.customer\"`; without a database, the source's. Never quoted: passerelle does it",
    ),
    Key::need("crm", NAME, r#""sales""#, "of a `[crm.NAME]`"),
    Key::need("object", API_NAME, r#""Account""#, "`\"Account\"`, `\"Invoice__c\"`"),
    Key::need(
        "key",
        Form::Table(&KEY),
        r#"{ field = "Erp_Id__c", value = "id" }"#,
        "the external id's field, and the expression for its value",
    ),
    Key::need(
        "fields",
        Form::Named { names: API_NAMES, of: &field::FORM, least: 1 },
        r#"{ Name = "name" }"#,
        "`[mapping.NAME.fields]`: see [mapping.md](mapping.md#fields)",
    ),
    Key::maybe("where", EXPRESSION, r#""not is_company""#, "only rows for which it is true").without("all rows"),
    Key::maybe("deleted", EXPRESSION, r#""not active""#, "true for a row that is deleted softly"),
    Key::or("on_delete", DEPARTURE, r#""delete""#, "what a deleted row does to its record; see below"),
    Key::or("on_leave", DEPARTURE, r#""ignore""#, "what a row that does not match `where` any more does; see below"),
    Key::or(
        "on_truncate",
        Form::Words(&ON_TRUNCATE),
        r#""ignore""#,
        "what TRUNCATE does; `\"delete\"` is behind the guard",
    ),
    Key::or(
        "on_gone",
        Form::Words(&ON_GONE),
        r#""recreate""#,
        "a person deleted the record: create it again in full, or make it a dead letter",
    ),
    Key::or(
        "on_key_change",
        Form::Words(&ON_KEY_CHANGE),
        r#""rename""#,
        "the external key changes: the record is renamed by its id, or a new one is made, what refers to the old one is pointed at it, and the old one goes as `on_delete` says",
    ),
    Key::or(
        "on_collision",
        Form::Words(&ON_COLLISION),
        r#""reject""#,
        "two rows that write one field: the second is a dead letter, or the newest wins",
    ),
    Key::maybe(
        "on_drift",
        Form::Words(&ON_DRIFT),
        r#""hold""#,
        "the table's schema changes under the mapping: hold it until a person decides, go on with what is left, or stop the source; see [drift.md](drift.md#what-is-held)",
    )
    .without("by the kind of change"),
    Key::or(
        "guard",
        Form::Table(&GUARD),
        r#"{ deletes = "1% or 50 in 1h" }"#,
        "more deletions than the larger of the two wait for a person; see below",
    ),
    Key::or(
        "delivery",
        Form::Any(&[Form::Words(&REALTIME), Form::Table(&DELIVERY)]),
        r#""realtime""#,
        "when changes are sent; see below",
    ),
    Key::maybe(
        "freshness",
        WAIT,
        r#""1m""#,
        "alerted when a change waits longer; the most that a batch waits to save calls",
    )
    .without("`\"1m\"`, with `every` and `cron` the longest wait and 1m"),
    Key::maybe("quiet", WAIT, r#""10m""#, "a changed row is sent when it has been still for that long"),
    Key::or("urgent", Form::Bool, "false", "ahead of every other mapping"),
    Key::maybe(
        "limit",
        Form::Whole { least: 1, most: i64::MAX as i128 },
        "100",
        "a canary: at most so many records; see below",
    ),
    Key::maybe(
        "only",
        Form::List(&Form::Any(&[Form::Whole { least: i128::MIN, most: i128::MAX }, TEXT])),
        "[17, 42]",
        "a canary: only the rows with these primary keys; of several columns `[\"17,FR\"]`; see below",
    )
    .without("all rows"),
    Key::or("mode", Form::Words(&MODE), r#""live""#, "`\"observe\"`: everything but the writing; see below"),
    Key::maybe("owner", TEXT, r#""crm-team@acme.example""#, "for people: whom to ask"),
    Key::maybe("purpose", TEXT, r#""customer relationship""#, "for people: what the data is for"),
    related::WITH,
    association::ASSOCIATIONS,
    Key::later("record", "give `crm`, `object` and `key` instead"),
    Key::later("value_key", "give `key = { field = \"…\", value = \"…\" }` instead"),
    Key::later("identity", "leave it out"),
    Key::later("enforce", "write it with each field: { value = \"…\", enforce = true }"),
    Key::later("crms", "write one mapping for each CRM"),
]);

pub(super) static KEY: Keys = Keys::all(&[
    Key::need("field", API_NAME, r#""Erp_Id__c""#, "the field with the external id, unique"),
    Key::need("value", EXPRESSION, r#""id""#, "its value"),
]);

const DEPARTURE: Form = Form::Any(&[Form::Words(&DEPARTURES), Form::Table(&SET)]);

static DEPARTURES: Words<Departure> = Words::new(&[("delete", Departure::Delete), ("ignore", Departure::Ignore)]);

static SET: Keys = Keys::all(&[Key::need(
    "set",
    Form::Named { names: API_NAMES, of: &Form::Constant, least: 1 },
    "{ Active__c = false }",
    "fields that are set on the record",
)]);

static ON_TRUNCATE: Words<OnTruncate> = Words::new(&[("ignore", OnTruncate::Ignore), ("delete", OnTruncate::Delete)]);

static ON_GONE: Words<OnGone> = Words::new(&[("recreate", OnGone::Recreate), ("reject", OnGone::Reject)]);

static ON_KEY_CHANGE: Words<OnKeyChange> =
    Words::new(&[("rename", OnKeyChange::Rename), ("recreate", OnKeyChange::Recreate)]);

static ON_COLLISION: Words<OnCollision> =
    Words::new(&[("reject", OnCollision::Reject), ("newest", OnCollision::Newest)]);

static ON_DRIFT: Words<OnDrift> =
    Words::new(&[("hold", OnDrift::Hold), ("continue", OnDrift::Continue), ("fail", OnDrift::Fail)]);

static GUARD: Keys = Keys::all(&[Key::need(
    "deletes",
    text("text", r"^\s*(100\s*%|([0-9.]+\s*%(\s+or\s+[0-9]+)?|[0-9]+)\s+in\s+[0-9]+[a-z].*)\s*$"),
    r#""1% or 50 in 1h""#,
    "a share of the mapping's records, a number, and a time; `\"100%\"` switches the guard off",
)]);

static REALTIME: Words<Delivery> = Words::new(&[("realtime", Delivery::Realtime)]);

static DELIVERY: Keys = Keys {
    keys: &[
        Key::need("every", WAIT, r#""1h""#, "at intervals").with(&["every"]),
        Key::need(
            "cron",
            text("text", r"^\s*\S+(\s+\S+){4,5}\s*$"),
            r#""0 2 * * *""#,
            "at times of the calendar: minute, hour, day, month, day of the week, and perhaps a time zone",
        )
        .with(&["cron"]),
    ],
    cases: Cases::Key(&["every", "cron"]),
};

/// Whether a mapping only observes.
static MODE: Words<bool> = Words::new(&[("live", false), ("observe", true)]);

/// What is declared elsewhere, for references by name.
pub(super) struct Names<'a> {
    pub(super) sources: Vec<&'a str>,
    /// The sources that have no fault.
    pub(super) known: &'a BTreeMap<String, (Place, Source)>,
    pub(super) standard: Arc<Standard>,
    pub(super) crms: Vec<&'a str>,
    pub(super) mappings: Vec<&'a str>,
}

/// Reads `[mapping.NAME]`, and the mappings that its associations are. `head` is where its table starts.
pub(super) fn read(
    name: &str,
    head: &Place,
    mut section: Section<'_>,
    names: &Names<'_>,
) -> Option<(Mapping, Vec<Mapping>)> {
    let associations = section.maybe("associations", |found| association::read_all(found, name, names));
    let mapping = read_alone(name, head, section, names)?;
    let associations = associations?.unwrap_or_default();
    let associations = associations.into_iter().map(|association| association.mapping(&mapping)).collect();
    Some((mapping, associations))
}

fn read_alone(name: &str, head: &Place, mut section: Section<'_>, names: &Names<'_>) -> Option<Mapping> {
    let source = section.need("source", |found| found.declared("source", &names.sources));
    let known = source.as_ref().and_then(|name| names.known.get(name)).map(|(_, source)| source);
    let table = section.need("table", |found| table(found, known));
    let crm = section.need("crm", |found| crm(found, names));
    let object = section.need("object", api_name_value);
    let key = section.need("key", key);
    let filter = section.maybe("where", Found::expr);
    let deleted = section.maybe("deleted", Found::expr);
    let on_delete = section.or("on_delete", departure);
    let on_leave = section.or("on_leave", departure);
    let on_truncate = section.or("on_truncate", |found| found.word(&ON_TRUNCATE));
    let on_gone = section.or("on_gone", |found| found.word(&ON_GONE));
    let on_collision = section.or("on_collision", |found| found.word(&ON_COLLISION));
    let on_drift = section.maybe("on_drift", |found| found.word(&ON_DRIFT));
    let guard = section.or("guard", guard);
    let zone = known.map_or("UTC", |source| &source.time_zone);
    let delivery = section.or("delivery", |found| delivery(found, zone));
    let freshness = section.take("freshness");
    let freshness = freshness.map_or_else(
        || delivery.as_ref().map(default_freshness),
        |found| found.duration().inspect(|freshness| warn_of_freshness(&found, *freshness, delivery.as_ref())),
    );
    let urgent = section.or("urgent", |found| found.bool());
    let fields = section.need("fields", |found| field::read_all(name, found, names));
    let with = section.maybe("with", |found| related::read_all(found, known));
    let quiet = section.maybe("quiet", Found::duration);
    let canary = canary(&mut section);
    let observe = section.or("mode", |found| found.word(&MODE));
    let owner = section.maybe("owner", Found::string);
    let purpose = section.maybe("purpose", Found::string);
    let on_key_change = section.or("on_key_change", |found| found.word(&ON_KEY_CHANGE));
    let title = format!("[mapping.{name}.fields]");
    let context = section.context;
    section.finish(|key| {
        key.starts_with(|char: char| char.is_ascii_uppercase()).then(|| format!("the CRM's fields stand under {title}"))
    });

    let key = key?;
    let fields = fields?;
    field::check_names(&fields, &key.field, &key.place, context)?;
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
        on_key_change: on_key_change?,
        on_collision: on_collision?,
        on_drift: on_drift?,
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
        with: with?.unwrap_or_default(),
        association_of: None,
        place: head.clone(),
    })
}

/// `key`, read.
pub(super) struct ExternalKey {
    pub(super) field: Arc<str>,
    /// Where the field's name stands.
    pub(super) place: Place,
    pub(super) value: Expr,
}

pub(super) fn key(found: &Found<'_>) -> Option<ExternalKey> {
    let mut section = found.table()?;
    let field = section.need("field", |found| Some((api_name_value(found)?, found.node.place.clone())));
    let value = section.need("value", Found::expr);
    section.finish(|_| None);
    let (field, place) = field?;
    Some(ExternalKey { field, place, value: value? })
}

/// `schema.table`, of MySQL and MariaDB `database.table`. Where only the table is named, the schema is `public`, the database
/// the source's. What is behind the first point is the table.
/// The source's prefix is added where it is left out.
pub(super) fn table(found: &Found<'_>, source: Option<&Source>) -> Option<TableName> {
    let text = found.text()?;
    if text.contains('"') || text.contains('`') {
        let plain = text.replace(['"', '`'], "");
        return found.fault("names of tables are quoted by passerelle", format!("table = \"{plain}\""));
    }
    let default = match source.map(|source| (&source.kind, &source.database)) {
        Some((SourceKind::Mysql(_), database)) => database,
        Some((SourceKind::Postgres(_), _)) | None => "public",
    };
    let (schema, name) = text.split_once('.').unwrap_or((default, text));
    if schema.is_empty() || name.is_empty() {
        return found.fault(format!("`{text}` is not the name of a table"), format!("table = \"{default}.customer\""));
    }
    Some(prefixed(TableName { schema: schema.to_owned(), name: name.to_owned() }, source))
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
pub(super) fn api_name_value(found: &Found<'_>) -> Option<Arc<str>> {
    api_name(found, &found.node.place, found.text()?)
}

fn departure(found: &Found<'_>) -> Option<Departure> {
    if !matches!(found.node.value, Value::Table(_)) {
        return found.word(&DEPARTURES);
    }
    let mut section = found.table()?;
    let set = section.need("set", |found| {
        let fields: Vec<Option<(Arc<str>, FieldValue)>> = found
            .named()?
            .into_iter()
            .map(|field| Some((api_name(&field, field.key_place, field.name)?, field.constant()?)))
            .collect();
        if fields.is_empty() {
            return found.fault("`set` names no field", "set = { Active__c = false }");
        }
        fields.into_iter().collect::<Option<Vec<_>>>()
    });
    section.finish(|_| Some(format!("allowed: {}", DEPARTURE.allowed())));
    Some(Departure::Set(set?))
}

fn guard(found: &Found<'_>) -> Option<Guard> {
    let mut section = found.table()?;
    let guard = section.need("deletes", |found| found.parsed("a guard", units::guard));
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
    let limit = section.maybe("limit", Found::int);
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

fn delivery(found: &Found<'_>, zone: &str) -> Option<Delivery> {
    if !matches!(found.node.value, Value::Table(_)) {
        return found.word(&REALTIME);
    }
    let mut section = found.table()?;
    let every = section.maybe("every", Found::duration);
    let cron = section.maybe("cron", |found| schedule::read(found, zone));
    section.finish(|_| None);
    every?.map(Delivery::Every).or(cron?.map(Delivery::Cron))
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
