//! The configuration as the rest of the daemon reads it: parsed, checked, with nothing left to interpret.

mod alert;
mod field;
mod related;

use std::collections::{BTreeMap, HashMap};
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use passerelle_change::TableName;
use secrecy::SecretString;

pub use alert::{AlertChannel, AlertKind, Alerts, ChannelKind, Email, MailTls, Severity, Webhook, WebhookFormat};
pub use field::{Check, Field, FieldMap, FieldSource, MapOther, Missing, OnBad};
pub use passerelle_net::TlsMode as Tls;
pub use related::{OnlyName, Related, RelatedForm};

/// Everything that was configured.
#[derive(Debug)]
pub struct Config {
    /// The daemon's own settings.
    pub daemon: Daemon,
    /// Sources by name.
    pub sources: BTreeMap<String, Source>,
    /// CRMs by name.
    pub crms: BTreeMap<String, Crm>,
    /// Mappings by name.
    pub mappings: BTreeMap<String, Mapping>,
    /// From where on something is worth an alert.
    pub alerts: Alerts,
    /// Whom alerts go to, by name.
    pub channels: BTreeMap<String, AlertChannel>,
    /// A hash of the files' text, for `config_hash` and `config_stale`.
    pub hash: String,
}

/// `[daemon]`.
#[derive(Clone, Debug)]
pub struct Daemon {
    /// Where RocksDB lives.
    pub state_dir: PathBuf,
    /// The status socket.
    pub socket: PathBuf,
    /// Address of the dashboard and `/metrics`, loopback.
    pub http: Option<std::net::SocketAddr>,
    /// How much disk the state may take, in bytes.
    pub disk_budget_bytes: u64,
}

/// Where a piece of text stands in the configuration: for faults found after parsing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    /// The file, by its number in the loaded [`Files`](super::Files).
    pub file: usize,
    /// Bytes of the file.
    pub span: Range<usize>,
}

/// `[source.NAME]`.
#[derive(Clone, Debug)]
pub struct Source {
    /// Its name.
    pub name: String,
    /// Which kind of database, with what is set of it alone.
    pub kind: SourceKind,
    /// Host name, address, or the folder of a Unix socket; of MySQL and MariaDB also its path.
    pub host: String,
    /// Port.
    pub port: u16,
    /// Database.
    pub database: String,
    /// User.
    pub user: String,
    /// Password, where one is needed.
    pub password: Option<SecretString>,
    /// How the connection is protected.
    pub tls: Tls,
    /// PEM file of the authorities trusted for `verify-ca` and `verify-full`; the system's otherwise.
    pub tls_ca: Option<PathBuf>,
    /// PEM file of a client certificate.
    pub tls_cert: Option<PathBuf>,
    /// PEM file of its key.
    pub tls_key: Option<PathBuf>,
    /// Zone in which naive times are read, an IANA name. Default `UTC`.
    pub time_zone: String,
    /// What the names of its tables begin with: mappings leave it out. Empty when nothing is said.
    pub prefix: String,
}

/// `kind` of a source, and the settings that only this kind has.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SourceKind {
    /// PostgreSQL 11 and later.
    Postgres(Postgres),
    /// MySQL or MariaDB.
    Mysql(Mysql),
}

/// Settings of PostgreSQL.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Postgres {
    /// Replication slot. Default `passerelle_<source>`.
    pub slot: String,
    /// Publication. Default `passerelle_<source>`.
    pub publication: String,
    /// Which columns the publication has. Default all of them.
    pub publish_columns: PublishColumns,
}

/// Which columns of the mapped tables PostgreSQL publishes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PublishColumns {
    /// All: what nobody maps is passed over here.
    #[default]
    All,
    /// The mapped ones, from version 15 on. The server refuses to drop them or to change their types then.
    Mapped,
}

/// Settings of MySQL and MariaDB.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mysql {
    /// Which of the two.
    pub flavor: Flavor,
    /// The number by which the server tells its replicas apart; by chance where nothing is said.
    pub server_id: Option<u32>,
    /// What is made of dates that no calendar has: `0000-00-00`.
    pub zero_dates: ZeroDates,
    /// What a `tinyint(1)` is.
    pub tinyint1: Tinyint1,
}

/// MySQL and what has grown from it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Flavor {
    /// MySQL.
    Mysql,
    /// MariaDB.
    Mariadb,
}

/// `zero_dates` of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ZeroDates {
    /// Null.
    Null,
    /// The text that the server shows.
    Text,
    /// A value that can't be read: what needs it is refused.
    DeadLetter,
}

/// `tinyint1` of a source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tinyint1 {
    /// A boolean.
    Bool,
    /// A number.
    Int,
}

impl SourceKind {
    /// As it is written.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "postgres",
            Self::Mysql(Mysql { flavor: Flavor::Mysql, .. }) => "mysql",
            Self::Mysql(Mysql { flavor: Flavor::Mariadb, .. }) => "mariadb",
        }
    }

    /// Its name for people.
    pub fn title(&self) -> &'static str {
        match self {
            Self::Postgres(_) => "PostgreSQL",
            Self::Mysql(Mysql { flavor: Flavor::Mysql, .. }) => "MySQL",
            Self::Mysql(Mysql { flavor: Flavor::Mariadb, .. }) => "MariaDB",
        }
    }
}

/// `[crm.NAME]`.
#[derive(Clone, Debug)]
pub struct Crm {
    /// Its name.
    pub name: String,
    /// Which vendor.
    pub kind: CrmKind,
    /// Base address, without a slash at its end.
    pub url: String,
    /// How we show who we are.
    pub auth: Auth,
    /// What may be used.
    pub limits: Limits,
    /// The org that `url` must lead to, by its id: 15 or 18 characters. Checked before anything is written.
    pub expect_org: Option<String>,
    /// Address of the proxy that requests go through; the environment's is not used.
    pub proxy: Option<String>,
    /// PEM file of authorities to trust beside the system's.
    pub ca: Option<PathBuf>,
}

/// `kind` of a CRM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CrmKind {
    /// Salesforce.
    Salesforce,
}

/// `auth` of a CRM.
#[derive(Clone, Debug)]
pub enum Auth {
    /// A token that someone else keeps fresh.
    Token {
        /// The token.
        token: SecretString,
    },
    /// OAuth 2.0 JWT bearer.
    Jwt {
        /// Consumer key.
        client_id: String,
        /// The user to act as.
        username: String,
        /// RSA private key, PEM.
        private_key: SecretString,
        /// `https://login.salesforce.com`, `https://test.salesforce.com` or the site's URL.
        audience: String,
        /// Where to ask for the token; default the audience.
        token_url: Option<String>,
    },
    /// OAuth 2.0 client credentials, asked for at the CRM's own address.
    ClientCredentials {
        /// Consumer key.
        client_id: String,
        /// Consumer secret.
        client_secret: SecretString,
        /// Where to ask for the token; default the CRM's url.
        token_url: Option<String>,
    },
}

/// `limits` of a CRM. What is not set does not limit.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Calls in any second.
    pub per_second: Option<u32>,
    /// Calls in any 10 seconds.
    pub per_10_seconds: Option<u32>,
    /// Calls in any minute.
    pub per_minute: Option<u32>,
    /// Calls in any 24 hours.
    pub per_day: Option<u64>,
    /// Requests at once. Default 8.
    pub concurrent: Option<u32>,
    /// Share of the day that is left to others, 0.0 to 1.0.
    pub reserve: f64,
}

/// An expression of the mapping language, as written, and where.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Expr {
    /// Its text.
    pub text: String,
    /// Where it stands: the span of the text between the quotes. [`Files::place_in`](super::Files::place_in) gives the
    /// place of a part.
    pub place: Place,
}

/// `[mapping.NAME]`.
#[derive(Clone, Debug)]
pub struct Mapping {
    /// Its name.
    pub name: Arc<str>,
    /// The source's name.
    pub source: String,
    /// The table.
    pub table: TableName,
    /// The CRM's name.
    pub crm: String,
    /// The CRM object.
    pub object: Arc<str>,
    /// The external key's field.
    pub key_field: Arc<str>,
    /// The external key's value.
    pub key_value: Expr,
    /// `where`.
    pub filter: Option<Expr>,
    /// `deleted`: true for a row that is deleted softly.
    pub deleted: Option<Expr>,
    /// What a deleted row does to its record. Default `delete`.
    pub on_delete: Departure,
    /// What a row that left the filter does to its record. Default `ignore`.
    pub on_leave: Departure,
    /// What TRUNCATE does. Default `ignore`: deletes nothing.
    pub on_truncate: OnTruncate,
    /// What happens when a person deleted the record. Default `recreate`.
    pub on_gone: OnGone,
    /// What becomes of a record whose external key changes. Default `rename`.
    pub on_key_change: OnKeyChange,
    /// Two members that write one field. Default `reject`.
    pub on_collision: OnCollision,
    /// What a change of the table's schema does. By its class where nothing is said.
    pub on_drift: Option<OnDrift>,
    /// The guard on deletions.
    pub guard: Guard,
    /// When it is delivered.
    pub delivery: Delivery,
    /// The age of a waiting change that raises an alert; the most a batch may linger for quota's sake.
    pub freshness: Duration,
    /// How long a row must have been still before it is sent (`quiet`).
    pub quiet: Option<Duration>,
    /// Which records are written.
    pub canary: Canary,
    /// Everything but the writing is done (`mode = "observe"`).
    pub observe: bool,
    /// Ahead of everything else.
    pub urgent: bool,
    /// Whom to ask (`owner`).
    pub owner: Option<String>,
    /// What the data is for (`purpose`).
    pub purpose: Option<String>,
    /// `[standard]`, the same for all mappings.
    pub standard: Arc<Standard>,
    /// The fields in the order written.
    pub fields: Vec<Field>,
    /// `with`: related rows, in the order written.
    pub with: Vec<Related>,
    /// The mapping with whose records its own associate others (`[mapping.NAME.associations]`): its first two fields refer to
    /// them, and without one of the two there is no record.
    pub association_of: Option<Arc<str>>,
    /// Where the mapping's table head stands.
    pub place: Place,
}

impl Mapping {
    /// How many of its fields, from the first, name what its records join: without one of them there is no record.
    pub fn ends(&self) -> usize {
        if self.association_of.is_some() { 2 } else { 0 }
    }

    /// What becomes of a record that its row gives up for another, or that joins nothing any more.
    pub fn on_replaced(&self) -> &Departure {
        if self.association_of.is_some() { &Departure::Delete } else { &self.on_delete }
    }
}

/// `limit` and `only`: which records of a mapping are written.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Canary {
    /// At most so many records.
    pub limit: Option<u64>,
    /// Only the rows with these row keys, as they are printed.
    pub only: Option<Vec<String>>,
}

/// `[standard]`: what holds in every mapping.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Standard {
    /// Country of phone numbers without one, two letters.
    pub country: Option<String>,
    /// How dates in text are written: `DD/MM/YYYY`.
    pub date: Option<String>,
    /// Empty and blank text is null.
    pub empty_is_null: bool,
    /// `[lookup.NAME]`, by name.
    pub lookups: BTreeMap<String, Arc<Lookup>>,
}

/// `[lookup.NAME]`: texts by key, for the filter `lookup`.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Lookup {
    /// The names of the columns behind the key, in order: at least one.
    pub columns: Vec<String>,
    /// The cells of those columns, by key. An empty one is null.
    pub entries: HashMap<String, Vec<String>>,
    /// Changes when a byte of it does; the same over versions and machines.
    pub hash: u64,
}

/// `on_delete` and `on_leave`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Departure {
    /// The record is deleted.
    Delete,
    /// The record stays as it is.
    Ignore,
    /// These fields are set on it.
    Set(Vec<(Arc<str>, passerelle_change::FieldValue)>),
}

/// `on_truncate`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnTruncate {
    /// Records are deleted, behind the guard.
    Delete,
    /// Records stay.
    Ignore,
}

/// `on_gone`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnGone {
    /// Created again, in full.
    Recreate,
    /// A dead letter.
    Reject,
}

/// `on_key_change`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnKeyChange {
    /// It is renamed by its id.
    Rename,
    /// A new record is created, what refers to the old one refers to the new one then, and the old one goes as
    /// `on_delete` says.
    Recreate,
}

/// `on_collision`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnCollision {
    /// The second member is a dead letter.
    Reject,
    /// The newest change wins.
    Newest,
}

/// `on_drift`: what a change of the table's schema does that touches the mapping. Additions never do anything.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnDrift {
    /// Holds it, whatever the change does to it.
    Hold,
    /// Goes on with what is left of it.
    Continue,
    /// Stops its source.
    Fail,
}

/// `guard = { deletes = "1% or 50 in 1h" }`: at most the larger of a share of the mapping's records and a number, in
/// any such time.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Guard {
    /// Share of the mapping's records, 0.0 to 1.0. 1.0 switches the guard off.
    pub share: f64,
    /// Number of deletions.
    pub count: u64,
    /// The time.
    pub within: Duration,
}

/// `delivery`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Delivery {
    /// As changes come.
    Realtime,
    /// At intervals.
    Every(Duration),
    /// At times of the calendar: five fields and the time zone, `0 2 * * * Europe/Paris`. It has a next time.
    Cron(String),
}
