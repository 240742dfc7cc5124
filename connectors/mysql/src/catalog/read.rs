//! The queries on the catalogue, a table at a time: MariaDB looks up a table that is named and no other, where it would
//! open every table of the server to answer a list.

use std::collections::BTreeSet;

use passerelle_change::TableName;

use super::column::Raw;
use super::{Catalog, ColumnFacts, Readings, Special, TableFacts, TableKind, made};
use crate::sql::{self, Connection, Row, literal};
use crate::{Error, Flavor};

/// What MariaDB adds to a table that is `WITH SYSTEM VERSIONING` and names no period (MY-58).
const IMPLICIT_PERIOD: [(&str, Special); 2] = [("row_start", Special::None), ("row_end", Special::RowEnd)];

/// From here on MySQL itself carries out what a foreign key says, and logs the rows.
const LOGS_CASCADES: u32 = 90_600;

/// Reads what is known of these tables, whatever they are. Those that are not there are left out, as are those on which our
/// user has no right at all: the server tells no difference.
pub async fn read(connection: &mut Connection, names: &[TableName], readings: &Readings) -> Result<Catalog, Error> {
    let rows_of_keys_are_logged = logs_cascades(connection).await?;
    let mut tables = Vec::with_capacity(names.len());
    for name in names {
        let read = read_table(connection, name, *readings, rows_of_keys_are_logged).await?;
        tables.extend(read.map(|(table, _)| table));
    }
    Ok(Catalog { tables })
}

/// A table, and the statement that makes it; none of it where it is not there.
pub(super) async fn read_table(
    connection: &mut Connection,
    name: &TableName,
    readings: Readings,
    rows_of_keys_are_logged: bool,
) -> Result<Option<(TableFacts, Option<String>)>, Error> {
    let Some(found) = find(connection, name).await? else { return Ok(None) };
    let (mut table, made) = match table(connection, name, &found, readings).await {
        Ok(read) => read,
        Err(error) if is_no_table(&error) => return Ok(None),
        Err(other) => return Err(other),
    };
    if rows_of_keys_are_logged {
        table.cascades.clear();
    }
    Ok(Some((table, made)))
}

/// The statement that makes the table of that name; `None` where there is none, or our user may not see it.
pub(super) async fn statement_of(connection: &mut Connection, name: &TableName) -> Result<Option<String>, Error> {
    match connection.row(&format!("SHOW CREATE TABLE {}", sql::name(name))).await {
        Ok(row) => Ok(row.as_ref().and_then(|row| row.text(1)).map(str::to_owned)),
        // ER_TABLEACCESS_DENIED_ERROR.
        Err(Error::Server(error)) if error.code == 1142 => Ok(None),
        Err(error) if is_no_table(&error) => Ok(None),
        Err(other) => Err(other),
    }
}

/// `ER_NO_SUCH_TABLE`: gone since, as while it is exchanged for an altered one.
fn is_no_table(error: &Error) -> bool {
    matches!(error, Error::Server(error) if error.code == 1146)
}

/// The tables that our user can see, those of the same database first, for "did you mean".
pub async fn names_like(connection: &mut Connection, name: &TableName) -> Result<Vec<TableName>, Error> {
    let rows = connection
        .rows(&format!(
            "SELECT table_schema, table_name FROM information_schema.tables \
             WHERE table_schema NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys') \
             ORDER BY (table_schema = {}) DESC, (lower(table_name) = lower({})) DESC, 1, 2 LIMIT 2000",
            literal(&name.schema),
            literal(&name.name)
        ))
        .await?;
    let name = |row: &Row| Some(TableName { schema: row.text(0)?.to_owned(), name: row.text(1)?.to_owned() });
    Ok(rows.iter().filter_map(name).collect())
}

/// A table as it is there.
struct Found {
    name: TableName,
    ignores_case: bool,
    kind: TableKind,
    engine: Option<String>,
    is_partitioned: bool,
    estimated_rows: u64,
}

pub(super) async fn logs_cascades(connection: &mut Connection) -> Result<bool, Error> {
    if connection.flavor() != Flavor::Mysql || connection.version() < LOGS_CASCADES {
        return Ok(false);
    }
    let native = connection.row("SHOW GLOBAL VARIABLES LIKE 'innodb\\_native\\_foreign\\_keys'").await?;
    Ok(native.is_none_or(|row| row.text(1) != Some("ON")))
}

/// MariaDB's catalogue ignores case also where the server does not (MY-79).
async fn find(connection: &mut Connection, name: &TableName) -> Result<Option<Found>, Error> {
    let rows = connection
        .rows(&format!(
            "SELECT table_schema, table_name, table_type, engine, table_rows, create_options FROM information_schema.tables WHERE {}",
            of("table_schema", "table_name", name)
        ))
        .await?;
    let ignores_case = connection.server().names_ignore_case();
    let of_name = |row: &&Row| is_named(row, 0, name, ignores_case);
    Ok(rows.iter().find(of_name).map(|row| Found {
        ignores_case,
        name: TableName {
            schema: row.text(0).unwrap_or(&name.schema).to_owned(),
            name: row.text(1).unwrap_or(&name.name).to_owned(),
        },
        kind: match row.text(2) {
            Some("BASE TABLE") => TableKind::Base,
            Some("VIEW") => TableKind::View,
            Some("SYSTEM VERSIONED") => TableKind::SystemVersioned,
            Some("SEQUENCE") => TableKind::Sequence,
            Some(_) | None => TableKind::Other,
        },
        engine: row.text(3).map(str::to_owned),
        is_partitioned: row.text(5).is_some_and(|options| options.to_ascii_lowercase().contains("partitioned")),
        estimated_rows: row.number(4).unwrap_or(0),
    }))
}

async fn table(
    connection: &mut Connection,
    asked: &TableName,
    found: &Found,
    readings: Readings,
) -> Result<(TableFacts, Option<String>), Error> {
    let made = made(connection, found).await?;
    let statement = made.as_deref().unwrap_or_default();
    let json = if connection.flavor() == Flavor::Mariadb { made::json_columns(statement) } else { Vec::new() };
    let mut columns = columns(connection, found, &json, readings).await?;
    let keys = keys(connection, found).await?;
    add_hidden(&mut columns, found, &keys, connection.flavor(), readings);
    // Every key of a system-versioned table that names its period ends with the end of it; of a row that is there, that is
    // always the same.
    let is_end = |name: &String| columns.iter().any(|column| column.name == *name && column.special == Special::RowEnd);
    let of_rows_that_are = |key: &Key| key.columns.iter().filter(|name| !is_end(name)).cloned().collect::<Vec<_>>();
    let (primary, others): (Vec<_>, Vec<_>) = keys.iter().filter(|key| key.is_whole).partition(|key| key.is_primary);
    let facts = TableFacts {
        name: asked.clone(),
        kind: found.kind,
        engine: found.engine.clone(),
        primary_key: primary.first().map(|key| of_rows_that_are(key)).unwrap_or_default(),
        unique_keys: others.iter().map(|key| of_rows_that_are(key)).collect(),
        cascades: made::cascades(statement),
        seen_whole: made.is_some(),
        partitions: if found.is_partitioned { partitions(connection, found).await? } else { Vec::new() },
        columns,
        estimated_rows: found.estimated_rows,
    };
    Ok((facts, made))
}

async fn columns(
    connection: &mut Connection,
    found: &Found,
    json: &[String],
    readings: Readings,
) -> Result<Vec<ColumnFacts>, Error> {
    let flavor = connection.flavor();
    let rows = connection
        .rows(&format!(
            "SELECT column_name, column_type, character_set_name, is_nullable, extra, generation_expression, privileges, \
             table_schema, table_name, ordinal_position, column_default, collation_name FROM information_schema.columns WHERE {} ORDER BY ordinal_position",
            of("table_schema", "table_name", &found.name)
        ))
        .await?;
    let column = |row: &Row| {
        let name = row.text(0)?;
        let privileges = row.text(6).unwrap_or_default();
        let raw = Raw {
            name,
            column_type: row.text(1)?,
            charset: row.text(2),
            collation: row.text(11),
            nullable: row.text(3) == Some("YES"),
            extra: row.text(4).unwrap_or_default(),
            expression: row.text(5),
            readable: privileges.split(',').any(|right| right.trim().eq_ignore_ascii_case("select")),
            json: json.iter().any(|json| json == name),
            number: row.number(9).unwrap_or(0),
            default: row.text(10),
        };
        Some(ColumnFacts::new(&raw, flavor, readings))
    };
    Ok(rows.iter().filter(|row| found.has(row, 7)).filter_map(column).collect())
}

async fn partitions(connection: &mut Connection, found: &Found) -> Result<Vec<String>, Error> {
    let rows = connection
        .rows(&format!(
            "SELECT partition_name, subpartition_name, table_schema, table_name FROM information_schema.partitions WHERE {}",
            of("table_schema", "table_name", &found.name)
        ))
        .await?;
    let names = |row: &Row| [row.text(0).map(str::to_owned), row.text(1).map(str::to_owned)];
    let names: BTreeSet<String> = rows.iter().filter(|row| found.has(row, 2)).flat_map(names).flatten().collect();
    Ok(names.into_iter().collect())
}

/// A unique key.
struct Key {
    is_primary: bool,
    columns: Vec<String>,
    /// No column may be null, none is there with its beginning alone, none is an expression.
    is_whole: bool,
    /// It is kept as a hash.
    is_hash: bool,
}

/// The unique keys in the server's order: the primary key first, then those without nulls. `information_schema.statistics`
/// has none.
async fn keys(connection: &mut Connection, found: &Found) -> Result<Vec<Key>, Error> {
    match found.kind {
        TableKind::Base | TableKind::SystemVersioned => {}
        TableKind::View | TableKind::Sequence | TableKind::Other => return Ok(Vec::new()),
    }
    let rows = connection.rows(&format!("SHOW INDEX FROM {}", sql::name(&found.name))).await?;
    let (mut keys, mut last): (Vec<Key>, Option<String>) = (Vec::new(), None);
    for row in rows.iter().filter(|row| row.named("Non_unique") == Some("0")) {
        let name = row.named("Key_name").unwrap_or_default();
        if last.as_deref() != Some(name) {
            last = Some(name.to_owned());
            keys.push(Key {
                is_primary: name == "PRIMARY",
                columns: Vec::new(),
                is_whole: true,
                is_hash: row.named("Index_type") == Some("HASH"),
            });
        }
        let Some(key) = keys.last_mut() else { continue };
        match row.named("Column_name") {
            Some(column) => key.columns.push(column.to_owned()),
            None => key.is_whole = false,
        }
        let is_primary = key.is_primary;
        // A primary key is one however little of a column it looks at: the whole of it tells rows apart all the more.
        key.is_whole &= is_primary || row.named("Sub_part").is_none();
        key.is_whole &= row.named("Null") != Some("YES");
    }
    Ok(keys)
}

/// Columns that the log has and the catalogue has not: the period of a table that names none (MY-58), then the hashes by
/// which MariaDB keeps unique keys over what is too long for one (MY-59).
fn add_hidden(columns: &mut Vec<ColumnFacts>, found: &Found, keys: &[Key], flavor: Flavor, readings: Readings) {
    if flavor != Flavor::Mariadb {
        return;
    }
    let is_readable = !columns.is_empty() && columns.iter().all(|column| column.readable);
    let names_a_period = columns.iter().any(|column| column.special == Special::RowEnd);
    let mut add = |name: &str, column_type: &str, nullable, readable, special| {
        let number = columns.last().map_or(1, |last| last.number + 1);
        let raw = Raw { name, column_type, nullable, readable, extra: "INVISIBLE", number, ..Raw::default() };
        columns.push(ColumnFacts { special, ..ColumnFacts::new(&raw, flavor, readings) });
    };
    if found.kind == TableKind::SystemVersioned && !names_a_period {
        for (name, special) in IMPLICIT_PERIOD {
            add(name, "timestamp(6)", false, is_readable, special);
        }
    }
    let in_memory = found.engine.as_deref().is_some_and(|engine| matches!(engine, "MEMORY" | "HEAP"));
    for at in 1..=keys.iter().filter(|key| key.is_hash && !in_memory).count() {
        add(&format!("DB_ROW_HASH_{at}"), "bigint(20) unsigned", true, false, Special::None);
    }
}

/// The statement that makes the table; empty of what is none, `None` where our user has rights on some columns alone.
async fn made(connection: &mut Connection, found: &Found) -> Result<Option<String>, Error> {
    match found.kind {
        TableKind::Base | TableKind::SystemVersioned => {}
        TableKind::View | TableKind::Sequence | TableKind::Other => return Ok(Some(String::new())),
    }
    match connection.row(&format!("SHOW CREATE TABLE {}", sql::name(&found.name))).await {
        Ok(row) => Ok(Some(row.as_ref().and_then(|row| row.text(1)).unwrap_or_default().to_owned())),
        // ER_TABLEACCESS_DENIED_ERROR.
        Err(Error::Server(error)) if error.code == 1142 => Ok(None),
        Err(other) => Err(other),
    }
}

/// The condition that names a table.
fn of(schema: &str, table: &str, name: &TableName) -> String {
    format!("{schema} = {} AND {table} = {}", literal(&name.schema), literal(&name.name))
}

impl Found {
    /// Whether a row is of this table and not of one that differs by case; its names stand at `at`.
    fn has(&self, row: &Row, at: usize) -> bool {
        is_named(row, at, &self.name, self.ignores_case)
    }
}

fn is_named(row: &Row, at: usize, name: &TableName, ignores_case: bool) -> bool {
    let same = |text: Option<&str>, wanted: &str| {
        text.is_some_and(|text| text == wanted || (ignores_case && text.to_lowercase() == wanted.to_lowercase()))
    };
    same(row.text(at), &name.schema) && same(row.text(at + 1), &name.name)
}
