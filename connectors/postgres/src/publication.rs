//! The publication: only the mapped tables; and where that is asked for and the server can (15 and later), only the mapped
//! columns. A server that publishes a list of columns refuses to drop them or to change their types, which holds up the
//! application: so a list is not made unasked.
//!
//! [`plan`] is pure: from what is there to what is wanted, as statements. [`ensure`] runs them in one transaction, or
//! hands them to the DBA where our user may not. It is made before the slot (PG-13).

mod current;
pub mod lacking;

use std::collections::BTreeSet;

use passerelle_change::TableName;
use tokio_postgres::Client;

use crate::catalog::{Generated, ReplicaIdentity, TableFacts, TableKind};
use crate::{Error, sql};

pub use current::current;
pub use lacking::{Lack, Lacking, lacking};

/// Column lists came with 15.
pub const COLUMN_LISTS: u32 = 150_000;
/// `publish_via_partition_root` came with 13.
pub const VIA_ROOT: u32 = 130_000;
/// Stored generated columns can be published from 18 on.
pub const GENERATED_COLUMNS: u32 = 180_000;

/// Which columns of a mapped table are published.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Columns {
    /// All, and what nobody maps is passed over here.
    #[default]
    All,
    /// Those that are mapped, and those that the server demands. It refuses to drop them, or to change their types, as long
    /// as they are listed.
    Mapped,
}

/// A publication as it is.
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of the catalogue")]
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
    /// Where it names no columns of a table, it publishes the stored generated ones, too; from 18 on.
    pub generated: bool,
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
    /// Stored generated columns are to be published with it (PG-59).
    pub generated: bool,
}

/// What was done to a publication.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Changes {
    /// The statements that were run, in order; none where it was right.
    pub statements: Vec<String>,
}

impl Wanted {
    /// A table with all its columns, or with the mapped ones and those that the server demands: the row key and the replica
    /// identity. Under REPLICA IDENTITY FULL, of the table or of one of its partitions, it demands all.
    ///
    /// What a server of this version cannot publish, or only so that it refuses updates to the application, is an error.
    pub fn new(facts: &TableFacts, mapped: &[String], columns: Columns, server_version: u32) -> Result<Self, Error> {
        let needed = facts.needed(mapped)?;
        if let Some((why, remedy)) = obstacle(facts, server_version)? {
            return Err(Error::NotPublishable { table: facts.name.clone(), why, remedy });
        }
        let streamed: Vec<_> =
            needed.iter().filter(|column| column.generated.is_streamed(server_version)).copied().collect();
        let names = streamed.iter().map(|column| column.name.clone()).chain(facts.identity_columns.iter().cloned());
        let is_listed = columns == Columns::Mapped && server_version >= COLUMN_LISTS && !is_whole(facts);
        let columns = is_listed.then(|| names.collect());
        let is_stored = |generated| server_version >= GENERATED_COLUMNS && generated == Generated::Stored;
        Ok(Self {
            table: facts.name.clone(),
            only: matches!(facts.kind, TableKind::Ordinary),
            generated: streamed.iter().any(|column| is_stored(column.generated))
                || (is_whole(facts) && facts.columns.iter().any(|column| is_stored(column.generated))),
            columns,
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
            options_clause(server_version, needs_generated(None, wanted))
        )];
    };
    let mut statements = Vec::new();
    let generated = needs_generated(Some(current), wanted);
    let lacks = !current.every_operation || (server_version >= VIA_ROOT && !current.via_root);
    if lacks || (generated && !current.generated) {
        statements.push(format!(
            "ALTER PUBLICATION {} SET ({})",
            sql::identifier(name),
            options_clause(server_version, generated)
        ));
    }
    if wanted.is_empty() {
        // `SET TABLE` needs one: where none is wanted any more, each goes by itself.
        let drop = |table: &Published| {
            format!("ALTER PUBLICATION {} DROP TABLE {}", sql::identifier(name), sql::table(&table.table))
        };
        statements.extend(current.tables.iter().map(drop));
    } else if !covers_everything(current, wanted) && !same_tables(current, wanted) {
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
        return Err(match error.sqlstate() {
            Some("42501") => Error::MissingRights { what: format!("{verb} publication \"{name}\""), statements },
            // A table, a column or the publication itself is gone since the catalogue was read, or is there again.
            Some("42P01" | "42703" | "42704" | "42710") => Error::Overtaken { publication: name.to_owned() },
            _ => error,
        });
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

fn options_clause(server_version: u32, generated: bool) -> String {
    let via_root = if server_version >= VIA_ROOT { ", publish_via_partition_root = true" } else { "" };
    let generated = if generated { ", publish_generated_columns = stored" } else { "" };
    format!("publish = 'insert, update, delete, truncate'{via_root}{generated}")
}

/// Whether the publication has to be told to publish generated columns: those that a list names it publishes anyway.
fn needs_generated(current: Option<&Publication>, wanted: &[Wanted]) -> bool {
    let unlisted = current.is_some_and(|current| covers_everything(current, wanted));
    wanted.iter().any(|wanted| wanted.generated && (unlisted || wanted.columns.is_none()))
}

/// The server allows no list of columns.
fn is_whole(facts: &TableFacts) -> bool {
    facts.identity == ReplicaIdentity::Full || facts.whole_partitions
}

/// Why a table cannot be published, and what mends it. An error where it has no row key.
fn obstacle(facts: &TableFacts, server_version: u32) -> Result<Option<(&'static str, String)>, Error> {
    if facts.kind == TableKind::Partitioned && server_version < VIA_ROOT {
        let why = "it is partitioned, and before version 13 partitions are published one by one only";
        return Ok(Some((why, "map its partitions, or upgrade the server".into())));
    }
    let table = sql::table(&facts.name);
    let is_told = |name: &String| facts.column(name).is_ok_and(|column| column.generated.is_streamed(server_version));
    if !facts.row_key()?.iter().all(is_told) {
        let why = "a column of its key is generated, and this server does not tell it";
        let remedy = format!(
            "ALTER TABLE {table} REPLICA IDENTITY USING INDEX a unique index on columns that are not generated"
        );
        return Ok(Some((why, remedy)));
    }
    // From 18 on the server refuses updates where the replica identity takes in what it does not publish.
    let is_virtual = facts.columns.iter().any(|column| column.generated == Generated::Virtual);
    if is_virtual && is_whole(facts) && server_version >= GENERATED_COLUMNS {
        let why = "its replica identity is FULL and a column is virtual: once it is published, the server refuses updates and deletes to the application";
        let at = if facts.whole_partitions { "each of its partitions" } else { &table };
        return Ok(Some((why, format!("ALTER TABLE {at} REPLICA IDENTITY DEFAULT"))));
    }
    Ok(None)
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
        Wanted { table: name(table), columns: Some(set(columns)), only: true, generated: false }
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
    fn a_publication_of_nothing_is_no_fault_of_syntax() {
        let two = right(vec![published("b", &["id"]), published("a", &["x", "id"])]);
        let drops =
            [r#"ALTER PUBLICATION "p" DROP TABLE "public"."b""#, r#"ALTER PUBLICATION "p" DROP TABLE "public"."a""#];
        check(&two, &[], &drops);
        check(&Publication { all_tables: true, ..right(vec![]) }, &[], &[]);
    }

    #[test]
    fn pg_28_a_row_filter_is_kept() {
        let filtered = Published { filter: Some("(id > 5)".into()), ..published("a", &["id"]) };
        check(&right(vec![filtered.clone()]), &[wanted("a", &["id"])], &[]);
        let expect = ["ALTER PUBLICATION \"p\" SET TABLE ONLY \"public\".\"a\" (\"id\", \"x\") WHERE ((id > 5))"];
        check(&right(vec![filtered]), &[wanted("a", &["id", "x"])], &expect);
    }

    #[test]
    fn pg_59_generated_columns_are_published_where_no_list_names_them() {
        let listed = Wanted { generated: true, ..wanted("a", &["id", "twice"]) };
        let whole = Wanted { columns: None, ..listed.clone() };
        let set = "publish = 'insert, update, delete, truncate', publish_via_partition_root = true, publish_generated_columns = stored";
        check(&right(vec![published("a", &["id", "twice"])]), std::slice::from_ref(&listed), &[]);
        let all_columns = right(vec![Published { columns: None, ..published("a", &[]) }]);
        check(&all_columns, std::slice::from_ref(&whole), &[&format!("ALTER PUBLICATION \"p\" SET ({set})")]);
        check(&Publication { generated: true, ..all_columns }, std::slice::from_ref(&whole), &[]);
        let all_tables = Publication { all_tables: true, ..right(vec![]) };
        check(&all_tables, &[listed], &[&format!("ALTER PUBLICATION \"p\" SET ({set})")]);
        let made = plan(None, "p", &[whole], 180_000);
        assert_eq!(made, [format!("CREATE PUBLICATION \"p\" FOR TABLE ONLY \"public\".\"a\" WITH ({set})")]);
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
