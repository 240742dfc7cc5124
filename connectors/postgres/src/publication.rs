//! The publication: only the mapped tables, and only the mapped columns where the server can (15 and later).
//!
//! [`plan`] is pure: from what is there to what is wanted, as statements. [`ensure`] runs them in one transaction, or
//! hands them to the DBA where our user may not. It is made before the slot (PG-13).

mod current;

use std::collections::BTreeSet;

use passerelle_change::TableName;
use tokio_postgres::Client;

use crate::catalog::{Generated, ReplicaIdentity, TableFacts, TableKind};
use crate::{Error, sql};

pub use current::current;

/// Column lists came with 15.
pub const COLUMN_LISTS: u32 = 150_000;
/// `publish_via_partition_root` came with 13.
pub const VIA_ROOT: u32 = 130_000;
/// Stored generated columns can be published from 18 on.
pub const GENERATED_COLUMNS: u32 = 180_000;

/// A publication as it is.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Publication {
    /// `FOR ALL TABLES`.
    pub all_tables: bool,
    /// Schemas of `FOR TABLES IN SCHEMA`.
    pub schemas: Vec<String>,
    /// It publishes inserts, updates, deletes and truncates.
    pub every_operation: bool,
    /// Changes of partitions go under the root's name.
    pub via_root: bool,
    /// Tables that it names.
    pub tables: Vec<Published>,
}

/// A table that a publication names.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// Its name.
    pub table: TableName,
    /// The columns; `None` publishes all.
    pub columns: Option<BTreeSet<String>>,
    /// The row filter, as the server prints it (PG-28). Someone set it on purpose: kept, never made.
    pub filter: Option<String>,
}

/// A table as it is to be published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name.
    pub table: TableName,
    /// The columns; `None` publishes all.
    pub columns: Option<BTreeSet<String>>,
    /// An ordinary table is published without tables that inherit from it.
    pub only: bool,
}

/// What was done to a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The statements that were run, in order; none where it was right.
    pub statements: Vec<String>,
}

impl Wanted {
    /// The mapped columns of a table with those that the server demands: the row key and the replica identity. Under
    /// REPLICA IDENTITY FULL it demands all.
    pub fn new(facts: &TableFacts, mapped: &[String], server_version: u32) -> Result<Self, Error> {
        let needed = facts.needed(mapped)?;
        let listed = server_version >= COLUMN_LISTS && facts.identity != ReplicaIdentity::Full;
        let columns = needed.iter().filter(|column| match column.generated {
            Generated::No => true,
            Generated::Stored => server_version >= GENERATED_COLUMNS,
            Generated::Virtual => false,
        });
        let names = columns.map(|column| column.name.clone()).chain(facts.identity_columns.iter().cloned());
        Ok(Self {
            table: facts.name.clone(),
            columns: listed.then(|| names.collect()),
            only: matches!(facts.kind, TableKind::Ordinary),
        })
    }
}

/// The statements that make a publication right; none where it is. `current` is `None` where it is not there.
///
/// One `FOR ALL TABLES`, or of schemas that hold every wanted table, is left as it is: someone made it so, and the
/// decoder passes over what nobody maps.
pub fn plan(current: Option<&Publication>, name: &str, wanted: &[Wanted], server_version: u32) -> Vec<String> {
    let Some(current) = current else {
        let tables = tables_clause(wanted, None);
        let tables = if tables.is_empty() { String::new() } else { format!(" FOR TABLE {tables}") };
        return vec![format!(
            "CREATE PUBLICATION {}{tables} WITH ({})",
            sql::identifier(name),
            options_clause(server_version)
        )];
    };
    let mut statements = Vec::new();
    if !current.every_operation || (server_version >= VIA_ROOT && !current.via_root) {
        statements.push(format!(
            "ALTER PUBLICATION {} SET ({})",
            sql::identifier(name),
            options_clause(server_version)
        ));
    }
    if !covers_everything(current, wanted) && !same_tables(current, wanted) {
        let tables = tables_clause(wanted, Some(current));
        statements.push(format!("ALTER PUBLICATION {} SET TABLE {tables}", sql::identifier(name)));
    }
    statements
}

/// Makes the publication right. With `allow_create` false, or where our user may not, the error carries the statements
/// ([`Error::MissingRights`]).
pub async fn ensure(client: &Client, name: &str, wanted: &[Wanted], allow_create: bool) -> Result<Changes, Error> {
    let version = crate::catalog::server_version(client).await?;
    let found = current(client, name, version).await?;
    let statements = plan(found.as_ref(), name, wanted, version);
    if statements.is_empty() {
        return Ok(Changes::default());
    }
    let verb = if found.is_none() { "create" } else { "alter" };
    if found.is_none() && !allow_create {
        return Err(Error::MissingRights { what: format!("{verb} publication \"{name}\""), statements });
    }
    let script = format!("BEGIN; {}; COMMIT", statements.join("; "));
    if let Err(error) = client.batch_execute(&script).await {
        // The server has ended the transaction's effects; this ends the transaction itself, if it is still there.
        let _ = client.batch_execute("ROLLBACK").await;
        let error = Error::from(error);
        if error.sqlstate() == Some("42501") {
            return Err(Error::MissingRights { what: format!("{verb} publication \"{name}\""), statements });
        }
        return Err(error);
    }
    tracing::info!(publication = name, ?statements, "publication changed");
    Ok(Changes { statements })
}

fn covers_everything(current: &Publication, wanted: &[Wanted]) -> bool {
    let in_schemas = || wanted.iter().all(|wanted| current.schemas.contains(&wanted.table.schema));
    current.all_tables || (!current.schemas.is_empty() && in_schemas())
}

fn same_tables(current: &Publication, wanted: &[Wanted]) -> bool {
    let is_as_wanted = |wanted: &Wanted| {
        let same = |published: &&Published| published.table == wanted.table && published.columns == wanted.columns;
        current.tables.iter().any(|published| same(&published))
    };
    current.schemas.is_empty() && current.tables.len() == wanted.len() && wanted.iter().all(is_as_wanted)
}

fn tables_clause(wanted: &[Wanted], current: Option<&Publication>) -> String {
    let one = |wanted: &Wanted| {
        let only = if wanted.only { "ONLY " } else { "" };
        let columns = wanted.columns.as_ref().map(|names| format!(" ({})", sql::identifiers(names)));
        let published = current.and_then(|current| current.tables.iter().find(|table| table.table == wanted.table));
        let filter = published.and_then(|table| table.filter.as_ref()).map(|filter| format!(" WHERE ({filter})"));
        let (columns, filter) = (columns.unwrap_or_default(), filter.unwrap_or_default());
        format!("{only}{}{columns}{filter}", sql::table(&wanted.table))
    };
    wanted.iter().map(one).collect::<Vec<_>>().join(", ")
}

fn options_clause(server_version: u32) -> String {
    let via_root = if server_version >= VIA_ROOT { ", publish_via_partition_root = true" } else { "" };
    format!("publish = 'insert, update, delete, truncate'{via_root}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(name: &str) -> TableName {
        TableName { schema: "public".into(), name: name.into() }
    }

    fn set(columns: &[&str]) -> BTreeSet<String> {
        columns.iter().map(|column| (*column).to_owned()).collect()
    }

    fn wanted(table: &str, columns: &[&str]) -> Wanted {
        Wanted { table: name(table), columns: Some(set(columns)), only: true }
    }

    fn published(table: &str, columns: &[&str]) -> Published {
        Published { table: name(table), columns: Some(set(columns)), filter: None }
    }

    fn right(tables: Vec<Published>) -> Publication {
        Publication { every_operation: true, via_root: true, tables, ..Publication::default() }
    }

    fn check(current: &Publication, want: &[Wanted], expect: &[&str]) {
        assert_eq!(plan(Some(current), "p", want, 150_000), expect);
    }

    #[test]
    fn a_new_one_names_tables_and_columns() {
        let statements = plan(None, "erp \"1\"", &[wanted("a", &["id", "Name"]), wanted("b", &["id"])], 150_000);
        assert_eq!(
            statements,
            ["CREATE PUBLICATION \"erp \"\"1\"\"\" FOR TABLE ONLY \"public\".\"a\" (\"Name\", \"id\"), \
             ONLY \"public\".\"b\" (\"id\") \
             WITH (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)"]
        );
    }

    #[test]
    fn an_old_server_is_not_told_what_it_does_not_know() {
        let all = Wanted { columns: None, only: false, ..wanted("a", &[]) };
        let statements = plan(None, "p", &[all], 110_000);
        assert_eq!(
            statements,
            ["CREATE PUBLICATION \"p\" FOR TABLE \"public\".\"a\" WITH (publish = 'insert, update, delete, truncate')"]
        );
    }

    #[test]
    fn what_is_right_is_left_alone() {
        let two = right(vec![published("b", &["id"]), published("a", &["x", "id"])]);
        check(&two, &[wanted("a", &["id", "x"]), wanted("b", &["id"])], &[]);
        let all = Publication { all_tables: true, ..right(vec![]) };
        check(&all, &[wanted("a", &["id"])], &[]);
        let schema = Publication { schemas: vec!["public".into()], ..right(vec![]) };
        check(&schema, &[wanted("a", &["id"])], &[]);
    }

    #[test]
    fn tables_and_columns_that_differ_are_set() {
        let one = right(vec![published("a", &["id"])]);
        let expect = ["ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\", \"x\")"];
        check(&one, &[wanted("a", &["id", "x"])], &expect);
        let too_many = right(vec![published("a", &["id"]), published("b", &["id"])]);
        check(
            &too_many,
            &[wanted("a", &["id"])],
            &["ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\")"],
        );
        let all_columns = right(vec![Published { columns: None, ..published("a", &[]) }]);
        check(
            &all_columns,
            &[wanted("a", &["id"])],
            &["ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\")"],
        );
    }

    #[test]
    fn pg_28_a_row_filter_is_kept() {
        let filtered = Published { filter: Some("(id > 5)".into()), ..published("a", &["id"]) };
        check(&right(vec![filtered.clone()]), &[wanted("a", &["id"])], &[]);
        let expect = ["ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\", \"x\") WHERE ((id > 5))"];
        check(&right(vec![filtered]), &[wanted("a", &["id", "x"])], &expect);
    }

    #[test]
    fn options_that_lose_changes_are_mended() {
        let insert_only = Publication { every_operation: false, ..right(vec![published("a", &["id"])]) };
        let expect = [
            "ALTER PUBLICATION \"p\" SET (publish = 'insert, update, delete, truncate', publish_via_partition_root = true)",
        ];
        check(&insert_only, &[wanted("a", &["id"])], &expect);
        let by_leaf = Publication { via_root: false, ..right(vec![published("a", &["id"])]) };
        check(&by_leaf, &[wanted("a", &["id"])], &expect);
    }
}
