//! Tests by tables in a small text form: `id bigint key; phone varchar(40) null`.

mod compare;
mod count;
mod decide;
mod footing;
mod patch;
mod policy;
mod properties;
mod related;
mod retyping;
mod shown;
mod weigh;

use std::sync::Arc;

use passerelle_change::{TableName, Type};

use super::{Change, Child, Hints, Patch, Subject, Weighed};
use crate::config::{self, model};
use crate::mapping::ParentInfo;
use crate::source::table::{ColumnFacts, Generated, TableFacts};

/// A mapping of `public.orders`, and the table that it was written for.
struct World {
    mapping: model::Mapping,
    table: TableFacts,
    patch: Patch,
    children: Vec<Child>,
}

impl World {
    /// A mapping with these settings and fields, of a table of PostgreSQL with these columns.
    fn new(settings: &str, fields: &str, columns: &str) -> Self {
        let text = format!(
            r#"
[source.erp]
kind = "postgres"
host = "db"
database = "erp"
user = "erp"
[crm.sales]
kind = "salesforce"
url = "https://acme.my.salesforce.com"
auth = {{ method = "token", token = {{ env = "TOKEN" }} }}
[mapping.accounts]
source = "erp"
table = "public.account"
crm = "sales"
object = "Account"
key = {{ field = "Erp_Id__c", value = "id" }}
fields = {{ Name = "name" }}
[mapping.contacts]
source = "erp"
table = "public.orders"
crm = "sales"
object = "Contact"
key = {{ field = "Erp_Id__c", value = "id" }}
{settings}
[mapping.contacts.fields]
{fields}
"#
        );
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("passerelle.toml");
        std::fs::write(&file, text).expect("a file");
        let loaded = config::load_without_secrets(&file).unwrap_or_else(|faults| panic!("{faults}"));
        let mapping = loaded.config.mappings["contacts"].clone();
        Self { mapping, table: postgres(columns), patch: Patch::default(), children: Vec::new() }
    }

    fn subject(&self) -> Subject<'_> {
        Subject {
            mapping: &self.mapping,
            patch: &self.patch,
            table: &self.table,
            parents: &|_| {
                let key = vec![("id".to_owned(), Type::Int)];
                Some(ParentInfo { mapping: 0, key, key_field: Arc::from("Erp_Id__c") })
            },
            children: &self.children,
            time_zone: "UTC",
            relation: None,
        }
    }

    /// What of the changes to a table with these columns touches the mapping. What is gone in PostgreSQL is gone: a column
    /// that has to be guessed at stands behind `my`.
    fn weigh(&self, now: &str) -> Vec<Weighed> {
        let changes = super::compare(&self.table, Some(&self.now(now)), &Hints::default());
        super::weigh(&changes, &self.subject())
    }

    /// The table with these columns. One without a number of its own has that of the old one of its name, else that of the
    /// one at its place, if that is gone: it was renamed. `my` before them makes it one of MySQL, whose columns go by name.
    fn now(&self, now: &str) -> TableFacts {
        if let Some(columns) = now.strip_prefix("my ") {
            return TableFacts { name: self.table.name.clone(), ..mysql(columns) };
        }
        let mut table = postgres(now);
        let texts = now.split(';').map(str::trim).filter(|text| !text.is_empty());
        let names: Vec<String> = table.columns.iter().map(|column| column.name.clone()).collect();
        for (place, (column, text)) in table.columns.iter_mut().zip(texts).enumerate() {
            let is_renamed = |old: &&ColumnFacts| !names.contains(&old.name) && names.len() == self.table.columns.len();
            let old = self.table.column(&column.name).or(self.table.columns.get(place).filter(is_renamed));
            if !text.contains('#') {
                column.number = old.map_or(100 + place as u32, |old| old.number);
            }
        }
        table
    }

    fn weigh_one(&self, change: Change) -> Vec<Weighed> {
        super::weigh(&[change], &self.subject())
    }
}

/// A table of PostgreSQL, `public.orders`: its columns' numbers and definitions are known.
fn postgres(columns: &str) -> TableFacts {
    let mut table = table("public.orders", columns);
    (table.object, table.storage, table.replica_identity) = (Some(16_384), Some(16_384), Some("default".to_owned()));
    table
}

/// A table of MySQL or MariaDB, `shop.orders`.
fn mysql(columns: &str) -> TableFacts {
    let mut table = table("shop.orders", columns);
    for (place, column) in table.columns.iter_mut().enumerate() {
        (column.number, column.definition) = (place as u32 + 1, None);
    }
    table
}

fn table(name: &str, columns: &str) -> TableFacts {
    let all = columns.split(';').map(str::trim).filter(|text| !text.is_empty()).enumerate();
    let (columns, keys): (Vec<_>, Vec<_>) = all.map(|(place, text)| column(place as u32 + 1, text)).unzip();
    let key: Vec<String> =
        columns.iter().zip(keys).filter(|(_, is_key)| *is_key).map(|(column, _)| column.name.clone()).collect();
    TableFacts {
        name: table_name(name),
        columns,
        row_key: if key.is_empty() { Err("it has no primary key".to_owned()) } else { Ok(key) },
        estimated_rows: 40_310,
        object: None,
        storage: None,
        replica_identity: None,
        partitions: Vec::new(),
    }
}

fn table_name(name: &str) -> TableName {
    let (schema, name) = name.split_once('.').expect("a schema");
    TableName { schema: schema.to_owned(), name: name.to_owned() }
}

/// `NAME TYPE` and words: `null`, `key`, `#7` (its number), `@3` (its definition), `=now()` (its default), `latin1` (its
/// charset), `:1,2` (what its labels are known by), `computed`, `unreadable`. A blank in a type is written `_`.
fn column(number: u32, text: &str) -> (ColumnFacts, bool) {
    let mut words = text.split_whitespace();
    let (name, spelled) = (words.next().expect("a name"), words.next().expect("a type").replace('_', " "));
    let (ty, type_name) = typed(&spelled);
    let mut column = ColumnFacts {
        name: name.to_owned(),
        ty,
        type_name,
        nullable: false,
        generated: Generated::No,
        readable: true,
        number,
        default: None,
        charset: None,
        collation: None,
        definition: Some(700),
        label_ids: Vec::new(),
    };
    let mut is_key = false;
    for word in words {
        match (word, word.split_at(1)) {
            ("null", _) => column.nullable = true,
            ("key", _) => is_key = true,
            ("computed", _) => column.generated = Generated::Stored,
            ("unreadable", _) => column.readable = false,
            (_, ("#", number)) => column.number = number.parse().expect("a number"),
            (_, ("@", definition)) => column.definition = definition.parse().ok(),
            (_, (":", ids)) => column.label_ids = ids.split(',').map(|id| id.parse().expect("an id")).collect(),
            (_, ("=", default)) => column.default = Some(default.to_owned()),
            (charset, _) => column.charset = Some(charset.to_owned()),
        }
    }
    (column, is_key)
}

/// A type by its spelling; `enum(a,b)` is one of MySQL, `mood(a,b)` one of PostgreSQL.
fn typed(spelled: &str) -> (Type, String) {
    if let Some(element) = spelled.strip_suffix("[]") {
        let (element, name) = typed(element);
        return (Type::Array(Box::new(element)), format!("{name}[]"));
    }
    let (word, rest) = spelled.split_once('(').unwrap_or((spelled, ""));
    let inside: Vec<&str> =
        rest.split_once(')').map_or("", |(inside, _)| inside).split(',').filter(|part| !part.is_empty()).collect();
    let number = |place: usize| inside.get(place).and_then(|text: &&str| text.parse::<u32>().ok());
    let labels = || inside.iter().map(ToString::to_string).collect();
    let ty = match word {
        "enum" | "mood" => return (Type::Enum { labels: labels() }, word.to_owned()),
        "boolean" => Type::Bool,
        "tinyint" if number(0) == Some(1) => Type::Bool,
        "numeric" | "decimal" => {
            Type::Decimal { precision: number(0).map(|digits| (digits as u16, number(1).unwrap_or_default() as i16)) }
        }
        "real" | "float" | "double" | "double precision" => Type::Float,
        "text" | "tinytext" | "mediumtext" | "longtext" | "set" | "varchar" | "char" | "character varying"
        | "character" => Type::Text { max_chars: number(0) },
        "date" => Type::Date,
        "time" => Type::Time,
        "interval" => Type::Interval,
        "datetime" | "timestamp without time zone" => Type::DateTime,
        "timestamp" if spelled.ends_with("without time zone") => Type::DateTime,
        "timestamp" | "timestamp with time zone" => Type::Timestamp,
        "uuid" => Type::Uuid,
        "bytea" | "blob" | "longblob" | "binary" | "varbinary" => Type::Bytes,
        "json" | "jsonb" => Type::Json,
        "bit" | "inet" => Type::Other(spelled.to_owned()),
        _ => Type::Int,
    };
    (ty, spelled.to_owned())
}
