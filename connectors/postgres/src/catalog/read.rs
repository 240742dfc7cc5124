//! The queries on the catalogue.

use std::collections::HashMap;

use passerelle_change::TableName;
use tokio_postgres::{Client, Row};

use super::{Catalog, ColumnFacts, Generated, Persistence, ReplicaIdentity, TableFacts, TableKind};
use crate::types::{DynamicKind, DynamicType, FIRST_DYNAMIC_OID, describe};
use crate::{Error, OLDEST_VERSION};

/// A domain over a domain over …: deeper than this nobody nests, and a catalogue that says so is damaged.
const MAX_TYPE_DEPTH: u32 = 32;

/// The queries are to see one moment: what is put together of two is no table that ever was.
const ONE_MOMENT: &str = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";

/// Reads what is known of these tables, whatever they are, in a transaction of its own. Those that are not there are left
/// out. [`Error::TooOld`] where the server is.
pub async fn read(client: &Client, names: &[TableName]) -> Result<Catalog, Error> {
    client.batch_execute(ONE_MOMENT).await?;
    let read = read_here(client, names).await;
    // Whatever became of it, the transaction ends: it is not to be waited for by whoever cleans the catalogue up.
    let ended = client.batch_execute("ROLLBACK").await;
    let catalog = read?;
    ended?;
    Ok(catalog)
}

async fn read_here(client: &Client, names: &[TableName]) -> Result<Catalog, Error> {
    let version = server_version(client).await?;
    if version < OLDEST_VERSION {
        return Err(Error::TooOld { version });
    }
    let schemas: Vec<&str> = names.iter().map(|name| name.schema.as_str()).collect();
    let tables: Vec<&str> = names.iter().map(|name| name.name.as_str()).collect();
    let rows = client.query(TABLES, &[&schemas, &tables]).await?;
    let oids: Vec<u32> = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    let columns = client.query(&columns_query(version), &[&oids]).await?;
    let keys = client.query(KEYS, &[&oids]).await?;
    let type_oids: Vec<u32> = columns.iter().map(|row| row.try_get(3)).collect::<Result<_, _>>()?;
    let types = dynamic_types(client, &type_oids).await?;
    let tables = rows.iter().map(|row| table(row, &columns, &keys, &types));
    Ok(Catalog { tables: tables.collect::<Result<_, _>>()?, types })
}

/// `server_version_num`: 150018 for 15.18.
pub async fn server_version(client: &Client) -> Result<u32, Error> {
    let row = client.query_one("SELECT current_setting('server_version_num')::int4", &[]).await?;
    Ok(row.try_get::<_, i32>(0)?.cast_unsigned())
}

/// The types among `oids` that are not built in, and those they are made of, by oid (PG-24).
pub async fn dynamic_types(client: &Client, oids: &[u32]) -> Result<HashMap<u32, DynamicType>, Error> {
    let mut oids: Vec<u32> = oids.iter().copied().filter(|&oid| oid >= FIRST_DYNAMIC_OID).collect();
    oids.sort_unstable();
    oids.dedup();
    if oids.is_empty() {
        return Ok(HashMap::new());
    }
    let rows = client.query(TYPES, &[&oids]).await?;
    let raw: HashMap<u32, Raw> = rows.iter().map(Raw::read).collect::<Result<_, _>>()?;
    Ok(raw.keys().filter_map(|&oid| Some((oid, resolve(oid, &raw, 0)?))).collect())
}

/// Every ordinary and partitioned table that our user can see, for "did you mean".
pub async fn names_like(client: &Client, name: &TableName) -> Result<Vec<TableName>, Error> {
    let rows = client
        .query(
            "SELECT n.nspname::text, c.relname::text FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace \
             WHERE c.relkind IN ('r', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema', 'pg_toast') \
             ORDER BY (n.nspname = $1) DESC, (lower(c.relname) = lower($2)) DESC, 1, 2 LIMIT 2000",
            &[&name.schema, &name.name],
        )
        .await?;
    rows.iter().map(|row| Ok(TableName { schema: row.try_get(0)?, name: row.try_get(1)? })).collect()
}

const TABLES: &str = "\
SELECT c.oid, n.nspname::text, c.relname::text, c.relkind::text, c.relispartition, c.relpersistence::text,
       c.relreplident::text,
       CASE WHEN c.relkind = 'p' THEN (
           WITH RECURSIVE tree(oid) AS (
               SELECT c.oid UNION ALL SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
           ) SELECT sum(greatest(leaf.reltuples, 0)) FROM tree JOIN pg_class leaf ON leaf.oid = tree.oid
       ) ELSE greatest(c.reltuples, 0) END::int8,
       c.relkind = 'p' AND EXISTS (
           WITH RECURSIVE tree(oid) AS (
               SELECT c.oid UNION ALL SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
           ) SELECT FROM tree JOIN pg_class leaf ON leaf.oid = tree.oid
             WHERE leaf.relkind = 'r' AND leaf.relreplident = 'f'),
       nullif(c.relfilenode, 0),
       CASE WHEN c.relkind = 'p' THEN ARRAY(
           WITH RECURSIVE tree(oid) AS (
               SELECT i.inhrelid FROM pg_inherits i WHERE i.inhparent = c.oid
               UNION ALL SELECT i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
           ) SELECT CASE WHEN leaf.relnamespace = c.relnamespace THEN '' ELSE of_leaf.nspname || '.' END || leaf.relname
             FROM tree JOIN pg_class leaf ON leaf.oid = tree.oid JOIN pg_namespace of_leaf ON of_leaf.oid = leaf.relnamespace)
       END::text[]
FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS w(schema, name, at)
JOIN pg_namespace n ON n.nspname = w.schema
JOIN pg_class c ON c.relnamespace = n.oid AND c.relname = w.name
ORDER BY w.at";

const KEYS: &str = "\
SELECT i.indrelid, i.indisprimary, i.indisreplident, a.attname::text
FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(attnum, at)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
WHERE i.indrelid = ANY($1::oid[]) AND (i.indisprimary OR i.indisreplident) AND i.indisvalid AND k.at <= i.indnkeyatts
ORDER BY i.indrelid, i.indexrelid, k.at";

const TYPES: &str = "\
WITH RECURSIVE needed(oid) AS (
    SELECT unnest($1::oid[])
    UNION
    SELECT part.oid FROM needed
    JOIN pg_type t ON t.oid = needed.oid
    LEFT JOIN pg_type e ON e.typarray = t.oid
    CROSS JOIN LATERAL (VALUES (CASE WHEN t.typtype = 'd' THEN t.typbasetype END), (e.oid)) AS part(oid)
    WHERE part.oid IS NOT NULL
)
SELECT t.oid, n.nspname::text, t.typname::text, t.typtype::text, t.typbasetype, t.typtypmod, e.oid,
       ARRAY(SELECT l.enumlabel::text FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder),
       ARRAY(SELECT l.oid FROM pg_enum l WHERE l.enumtypid = t.oid ORDER BY l.enumsortorder)
FROM needed JOIN pg_type t ON t.oid = needed.oid
JOIN pg_namespace n ON n.oid = t.typnamespace
LEFT JOIN pg_type e ON e.typarray = t.oid";

/// Generated columns came with version 12. No default names another column, so that it can be printed without the table,
/// which newer servers would lock: an `ALTER TABLE` that takes an hour is not to be waited for. The privilege is asked of
/// the catalogue as it is now: null is the answer where the column is gone since.
fn columns_query(version: u32) -> String {
    let generated = if version >= 120_000 { "a.attgenerated::text" } else { "''::text" };
    format!(
        "SELECT a.attrelid, a.attname::text, a.attnum, a.atttypid, a.atttypmod, NOT a.attnotnull, {generated}, \
         coalesce(has_column_privilege(a.attrelid, a.attnum, 'SELECT'), false), \
         pg_get_expr(d.adbin, 0), a.xmin::text::int8 \
         FROM pg_attribute a \
         LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum AND {generated} = '' \
         WHERE a.attrelid = ANY($1::oid[]) AND a.attnum > 0 AND NOT a.attisdropped \
         ORDER BY a.attrelid, a.attnum"
    )
}

fn table(
    row: &Row,
    columns: &[Row],
    keys: &[Row],
    types: &HashMap<u32, DynamicType>,
) -> Result<TableFacts, tokio_postgres::Error> {
    let oid: u32 = row.try_get(0)?;
    let of_table = |other: &&Row| other.try_get::<_, u32>(0).is_ok_and(|of| of == oid);
    let columns = columns.iter().filter(of_table).map(|row| column(row, types)).collect::<Result<Vec<_>, _>>()?;
    let key = |of: usize| -> Result<Vec<String>, _> {
        let of_key = |row: &&Row| row.try_get(of).unwrap_or(false);
        keys.iter().filter(of_table).filter(of_key).map(|row| row.try_get(3)).collect()
    };
    let (primary_key, index) = (key(1)?, key(2)?);
    let identity = match row.try_get::<_, &str>(6)? {
        "f" => ReplicaIdentity::Full,
        "n" => ReplicaIdentity::Nothing,
        "i" if index.is_empty() => ReplicaIdentity::DroppedIndex,
        "i" => ReplicaIdentity::Index,
        _ => ReplicaIdentity::Default,
    };
    let identity_columns = match identity {
        ReplicaIdentity::Default => primary_key.clone(),
        ReplicaIdentity::Full => columns.iter().map(|column| column.name.clone()).collect(),
        ReplicaIdentity::Index => index,
        ReplicaIdentity::Nothing | ReplicaIdentity::DroppedIndex => Vec::new(),
    };
    let mut partitions = row.try_get::<_, Option<Vec<String>>>(10)?.unwrap_or_default();
    partitions.sort_unstable();
    Ok(TableFacts {
        oid,
        name: TableName { schema: row.try_get(1)?, name: row.try_get(2)? },
        kind: kind(row.try_get(3)?, row.try_get(4)?),
        persistence: match row.try_get::<_, &str>(5)? {
            "u" => Persistence::Unlogged,
            "t" => Persistence::Temporary,
            _ => Persistence::Logged,
        },
        identity,
        primary_key,
        identity_columns,
        columns,
        partitions,
        storage: row.try_get(9)?,
        whole_partitions: row.try_get(8)?,
        estimated_rows: row.try_get::<_, i64>(7)?.cast_unsigned(),
    })
}

fn kind(relkind: &str, is_partition: bool) -> TableKind {
    match relkind {
        "r" | "p" if is_partition => TableKind::Partition,
        "r" => TableKind::Ordinary,
        "p" => TableKind::Partitioned,
        "v" => TableKind::View,
        "m" => TableKind::MaterializedView,
        "f" => TableKind::Foreign,
        _ => TableKind::Other,
    }
}

fn column(row: &Row, types: &HashMap<u32, DynamicType>) -> Result<ColumnFacts, tokio_postgres::Error> {
    let (type_oid, typmod) = (row.try_get(3)?, row.try_get(4)?);
    let dynamic = types.get(&type_oid);
    let (ty, type_name) = describe(type_oid, typmod, dynamic);
    Ok(ColumnFacts {
        name: row.try_get(1)?,
        attnum: row.try_get(2)?,
        type_oid,
        typmod,
        ty,
        type_name,
        nullable: row.try_get(5)?,
        generated: match row.try_get::<_, &str>(6)? {
            "s" => Generated::Stored,
            "v" => Generated::Virtual,
            _ => Generated::No,
        },
        readable: row.try_get(7)?,
        default: row.try_get(8)?,
        definition: u32::try_from(row.try_get::<_, i64>(9)?).ok(),
        label_ids: dynamic.map(DynamicType::label_ids).unwrap_or_default().to_vec(),
    })
}

/// A row of `pg_type`.
struct Raw {
    schema: String,
    name: String,
    typtype: String,
    base: u32,
    typmod: i32,
    element: Option<u32>,
    labels: Vec<String>,
    label_ids: Vec<u32>,
}

impl Raw {
    fn read(row: &Row) -> Result<(u32, Self), tokio_postgres::Error> {
        let raw = Self {
            schema: row.try_get(1)?,
            name: row.try_get(2)?,
            typtype: row.try_get(3)?,
            base: row.try_get(4)?,
            typmod: row.try_get(5)?,
            element: row.try_get(6)?,
            labels: row.try_get(7)?,
            label_ids: row.try_get(8)?,
        };
        Ok((row.try_get(0)?, raw))
    }
}

/// What an oid is; `None` where it is built in, so that nobody need ask.
fn resolve(oid: u32, types: &HashMap<u32, Raw>, depth: u32) -> Option<DynamicType> {
    if oid < FIRST_DYNAMIC_OID || depth > MAX_TYPE_DEPTH {
        return None;
    }
    let raw = types.get(&oid)?;
    let within = |oid| resolve(oid, types, depth + 1).map(Box::new);
    let kind = match (raw.typtype.as_str(), raw.element) {
        ("e", _) => DynamicKind::Enum { labels: raw.labels.clone(), label_ids: raw.label_ids.clone() },
        ("d", _) => DynamicKind::Domain { base: raw.base, typmod: raw.typmod, dynamic: within(raw.base) },
        (_, Some(element)) => DynamicKind::Array { element, dynamic: within(element) },
        (_, None) => DynamicKind::Other,
    };
    Some(DynamicType { schema: raw.schema.clone(), name: raw.name.clone(), kind })
}
