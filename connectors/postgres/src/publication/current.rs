//! Reads a publication.

use std::collections::BTreeSet;

use passerelle_change::TableName;
use tokio_postgres::{Client, Row};

use super::{COLUMN_LISTS, GENERATED_COLUMNS, Publication, Published, VIA_ROOT};
use crate::Error;

/// The publication of that name as it is; `None` where there is none.
pub async fn current(client: &Client, name: &str, server_version: u32) -> Result<Option<Publication>, Error> {
    let via_root = if server_version >= VIA_ROOT { "pubviaroot" } else { "true" };
    let generated = if server_version >= GENERATED_COLUMNS { "pubgencols = 's'" } else { "false" };
    let head = client
        .query_opt(
            &format!(
                "SELECT oid, puballtables, pubinsert AND pubupdate AND pubdelete AND pubtruncate, {via_root}, {generated} \
                 FROM pg_publication WHERE pubname = $1"
            ),
            &[&name],
        )
        .await?;
    let Some(head) = head else { return Ok(None) };
    let oid: u32 = head.try_get(0)?;
    let mut publication = Publication {
        all_tables: head.try_get(1)?,
        every_operation: head.try_get(2)?,
        via_root: head.try_get(3)?,
        generated: head.try_get(4)?,
        schemas: Vec::new(),
        tables: tables(client, oid, server_version).await?,
    };
    if server_version >= COLUMN_LISTS {
        let rows = client
            .query(
                "SELECT n.nspname::text FROM pg_publication_namespace p JOIN pg_namespace n ON n.oid = p.pnnspid \
                 WHERE p.pnpubid = $1 ORDER BY 1",
                &[&oid],
            )
            .await?;
        publication.schemas = rows.iter().map(|row| row.try_get(0)).collect::<Result<_, _>>()?;
    }
    Ok(Some(publication))
}

async fn tables(client: &Client, publication: u32, server_version: u32) -> Result<Vec<Published>, Error> {
    let (columns, filter) = if server_version >= COLUMN_LISTS {
        (
            "CASE WHEN p.prattrs IS NOT NULL THEN ARRAY(SELECT a.attname::text FROM pg_attribute a \
             WHERE a.attrelid = c.oid AND a.attnum = ANY(p.prattrs::int2[])) END",
            "pg_get_expr(p.prqual, p.prrelid)",
        )
    } else {
        ("NULL::text[]", "NULL::text")
    };
    let rows = client
        .query(
            &format!(
                "SELECT n.nspname::text, c.relname::text, {columns}, {filter} FROM pg_publication_rel p \
                 JOIN pg_class c ON c.oid = p.prrelid JOIN pg_namespace n ON n.oid = c.relnamespace \
                 WHERE p.prpubid = $1 ORDER BY 1, 2"
            ),
            &[&publication],
        )
        .await?;
    let published = |row: &Row| {
        Ok(Published {
            table: TableName { schema: row.try_get(0)?, name: row.try_get(1)? },
            columns: row.try_get::<_, Option<Vec<String>>>(2)?.map(BTreeSet::from_iter),
            filter: row.try_get(3)?,
        })
    };
    rows.iter().map(published).collect()
}
