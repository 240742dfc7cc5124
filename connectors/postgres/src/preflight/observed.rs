//! What the server says, read for the judges. Every query works with the least rights.

use std::collections::HashMap;

use passerelle_change::TableName;
use tokio_postgres::Client;

use super::Request;
use crate::Error;
use crate::catalog::{self, Catalog};
use crate::history::{self, ServerFacts};
use crate::publication::{self, Publication};

/// Everything that is judged.
#[derive(Clone, Debug)]
pub(super) struct Observed {
    pub(super) server: ServerFacts,
    /// Settings by name, as `SHOW` would not print them: the plain number in the setting's own unit.
    pub(super) settings: HashMap<String, String>,
    pub(super) slots: i64,
    pub(super) senders: i64,
    pub(super) encoding: String,
    pub(super) role: Role,
    pub(super) publication: Option<Publication>,
    /// Our user is a member of its owner.
    pub(super) owns_publication: bool,
    pub(super) catalog: Catalog,
    /// Rights on the tables that are there, by oid.
    pub(super) rights: HashMap<u32, Rights>,
    /// For tables that are not there: what there is.
    pub(super) other_names: Vec<TableName>,
    /// The oldest transaction that has written, in seconds, with its server process.
    pub(super) oldest_transaction: Option<(i32, i64)>,
}

/// What our user may do anywhere.
#[derive(Clone, Debug)]
pub(super) struct Role {
    pub(super) superuser: bool,
    pub(super) may_replicate: bool,
    pub(super) may_create_in_database: bool,
}

/// What our user may do with a table: independent facts, as the server answers them.
#[allow(clippy::struct_excessive_bools)]
#[derive(Clone, Debug, Default)]
pub(super) struct Rights {
    pub(super) usage_of_schema: bool,
    pub(super) select: bool,
    /// Where not the whole table: the columns.
    pub(super) select_columns: Vec<String>,
    pub(super) owner: bool,
    /// A policy would hide rows from us.
    pub(super) rows_hidden: bool,
    /// Partitions whose changes the log cannot tell apart, each with the replica identity that mends it.
    pub(super) leaves_without_identity: Vec<(String, &'static str)>,
}

impl Observed {
    pub(super) async fn read(client: &Client, request: &Request<'_>) -> Result<Self, Error> {
        let names: Vec<TableName> = request.tables.iter().map(|(name, _)| name.clone()).collect();
        // First: of a server that is too old nothing else can be asked.
        let catalog = catalog::read(client, &names).await?;
        let server = history::facts(client, request.slot).await?;
        let other_names = match names.iter().find(|name| catalog.table(name).is_err()) {
            Some(missing) => catalog::names_like(client, missing).await?,
            None => Vec::new(),
        };
        let counts = client
            .query_one(
                "SELECT (SELECT count(*) FROM pg_replication_slots), (SELECT count(*) FROM pg_stat_replication), \
                        (SELECT pg_encoding_to_char(encoding)::text FROM pg_database WHERE datname = current_database()), \
                        (SELECT pg_has_role(pubowner, 'MEMBER') FROM pg_publication WHERE pubname = $1)",
                &[&request.publication],
            )
            .await?;
        let oldest = client
            .query_opt(
                "SELECT pid, extract(epoch FROM now() - xact_start)::int8 FROM pg_stat_activity \
                 WHERE backend_xid IS NOT NULL AND pid <> pg_backend_pid() AND xact_start IS NOT NULL \
                 ORDER BY xact_start LIMIT 1",
                &[],
            )
            .await?;
        Ok(Self {
            settings: settings(client).await?,
            slots: counts.try_get(0)?,
            senders: counts.try_get(1)?,
            encoding: counts.try_get(2)?,
            role: role(client).await?,
            publication: publication::current(client, request.publication, server.version).await?,
            owns_publication: counts.try_get::<_, Option<bool>>(3)?.unwrap_or(false),
            rights: rights(client, &catalog, server.version).await?,
            oldest_transaction: oldest.map(|row| Ok::<_, Error>((row.try_get(0)?, row.try_get(1)?))).transpose()?,
            server,
            catalog,
            other_names,
        })
    }

    /// A setting that is a number.
    pub(super) fn number(&self, setting: &str) -> Option<i64> {
        self.settings.get(setting)?.parse().ok()
    }

    /// Whether a walsender can be had.
    pub(super) fn sender_is_free(&self) -> bool {
        self.number("max_wal_senders").is_none_or(|max| self.senders < max)
    }
}

async fn settings(client: &Client) -> Result<HashMap<String, String>, Error> {
    let names = [
        "wal_level",
        "max_replication_slots",
        "max_wal_senders",
        "max_slot_wal_keep_size",
        "idle_replication_slot_timeout",
        "synchronous_standby_names",
    ];
    let rows =
        client.query("SELECT name, setting FROM pg_settings WHERE name = ANY($1::text[])", &[&&names[..]]).await?;
    rows.iter().map(|row| Ok((row.try_get(0)?, row.try_get(1)?))).collect()
}

/// Managed services give the right to replicate by membership in a role of theirs.
async fn role(client: &Client) -> Result<Role, Error> {
    let row = client
        .query_one(
            "SELECT r.rolsuper, r.rolreplication OR EXISTS (SELECT FROM pg_roles s \
                        WHERE s.rolname IN ('rds_replication', 'alloydbreplica') AND pg_has_role(s.oid, 'MEMBER')), \
                    has_database_privilege(current_database(), 'CREATE') \
             FROM pg_roles r WHERE r.rolname = current_user",
            &[],
        )
        .await?;
    let superuser = row.try_get(0)?;
    Ok(Role {
        superuser,
        may_replicate: superuser || row.try_get::<_, bool>(1)?,
        may_create_in_database: row.try_get(2)?,
    })
}

async fn rights(client: &Client, catalog: &Catalog, version: u32) -> Result<HashMap<u32, Rights>, Error> {
    let oids: Vec<u32> = catalog.tables.iter().map(|table| table.oid).collect();
    let rows = client
        .query(
            "SELECT c.oid, has_schema_privilege(c.relnamespace, 'USAGE'), has_table_privilege(c.oid, 'SELECT'), \
                    pg_has_role(c.relowner, 'MEMBER'), \
                    c.relrowsecurity AND row_security_active(c.oid), \
                    ARRAY(SELECT a.attname::text FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 \
                          AND NOT a.attisdropped AND has_column_privilege(c.oid, a.attnum, 'SELECT')) \
             FROM pg_class c WHERE c.oid = ANY($1::oid[])",
            &[&oids],
        )
        .await?;
    let mut rights: HashMap<u32, Rights> = HashMap::new();
    for row in &rows {
        rights.insert(
            row.try_get(0)?,
            Rights {
                usage_of_schema: row.try_get(1)?,
                select: row.try_get(2)?,
                owner: row.try_get(3)?,
                rows_hidden: row.try_get(4)?,
                select_columns: row.try_get(5)?,
                leaves_without_identity: Vec::new(),
            },
        );
    }
    if version >= publication::VIA_ROOT {
        for row in client.query(LEAVES, &[&oids]).await? {
            let Some(rights) = rights.get_mut(&row.try_get(0)?) else { continue };
            // FULL alone would do for all, but then the server allows no list of columns.
            let identity = if row.try_get(2)? { "DEFAULT" } else { "FULL" };
            rights.leaves_without_identity.push((row.try_get(1)?, identity));
        }
    }
    Ok(rights)
}

/// Partitions at the ends of the tree whose updates and deletes the server would refuse once they are published.
const LEAVES: &str = "\
WITH RECURSIVE tree(root, oid) AS (
    SELECT oid, oid FROM pg_class WHERE oid = ANY($1::oid[]) AND relkind = 'p'
    UNION ALL SELECT tree.root, i.inhrelid FROM tree JOIN pg_inherits i ON i.inhparent = tree.oid
)
SELECT tree.root, format('%I.%I', n.nspname, c.relname),
       EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND x.indisvalid)
FROM tree
JOIN pg_class c ON c.oid = tree.oid AND c.relkind = 'r'
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relreplident = 'n'
   OR (c.relreplident = 'd' AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisprimary AND x.indisvalid))
   OR (c.relreplident = 'i' AND NOT EXISTS (SELECT FROM pg_index x WHERE x.indrelid = c.oid AND x.indisreplident AND x.indisvalid))
ORDER BY 1, 2";
