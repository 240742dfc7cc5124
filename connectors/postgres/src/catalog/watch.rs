//! A connection that looks at the catalogue again and again: changes of a schema that nobody writes to show nowhere else
//! (PG-23).

use std::time::Duration;

use passerelle_change::TableName;
use tokio_postgres::Client;

use super::{Catalog, read};
use crate::publication::{self, Lacking, Wanted};
use crate::{Error, Options, sql};

/// No look at a few rows of the catalogue takes longer; and what waits for a lock waits for somebody's `ALTER TABLE`.
const SETTINGS: &str = "SET statement_timeout = '5s'; SET lock_timeout = '3s'";

/// For all of a look, whatever became of the connection.
const LIMIT: Duration = Duration::from_secs(15);

/// Keeps one connection, and makes another one where it broke.
pub struct Watch {
    options: Options,
    connection: Option<Connection>,
}

struct Connection {
    client: Client,
    version: u32,
}

impl std::fmt::Debug for Watch {
    /// Without the options, which hold the password.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("is_connected", &self.connection.is_some()).finish_non_exhaustive()
    }
}

impl Watch {
    /// Connects by these options when it is first asked.
    pub fn new(options: Options) -> Self {
        Self { options, connection: None }
    }

    /// What the catalogue says of these tables now, by eight small statements over indexes, whatever their number.
    ///
    /// An error is that of this look alone: the next one connects anew. So does one after a look that was not waited for.
    pub async fn read(&mut self, names: &[TableName]) -> Result<Catalog, Error> {
        self.look(async |connection| read::read(&connection.client, names).await).await
    }

    /// What these tables are called now, by their oids; those that were dropped are left out.
    pub async fn names(&mut self, oids: &[u32]) -> Result<Vec<(u32, TableName)>, Error> {
        const NAMES: &str = "SELECT c.oid, n.nspname::text, c.relname::text FROM pg_class c \
             JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = ANY($1::oid[]) ORDER BY c.oid";
        self.look(async |connection| {
            let rows = connection.client.query(NAMES, &[&oids]).await?;
            let named = |row: &tokio_postgres::Row| {
                Ok((row.try_get(0)?, TableName { schema: row.try_get(1)?, name: row.try_get(2)? }))
            };
            rows.iter().map(named).collect()
        })
        .await
    }

    /// What the publication does not tell now of these tables ([`publication::lacking()`]).
    pub async fn lacking(&mut self, publication: &str, wanted: &[Wanted]) -> Result<Vec<Lacking>, Error> {
        self.look(async |connection| {
            publication::lacking(&connection.client, publication, wanted, connection.version).await
        })
        .await
    }

    /// Makes the publication right ([`publication::ensure`]).
    pub async fn publish(&mut self, publication: &str, wanted: &[Wanted]) -> Result<publication::Changes, Error> {
        self.look(async |connection| publication::ensure(&connection.client, publication, wanted, true).await).await
    }

    /// The server's version, `server_version_num`: what [`Wanted::new`] is made for.
    pub async fn server_version(&mut self) -> Result<u32, Error> {
        self.look(async |connection| Ok(connection.version)).await
    }

    async fn look<T>(&mut self, how: impl AsyncFnOnce(&Connection) -> Result<T, Error>) -> Result<T, Error> {
        // Put back where all went well: what is half read is of no more use.
        let kept = self.connection.take().filter(|connection| !connection.client.is_closed());
        let looking = async {
            let connection = match kept {
                Some(connection) => connection,
                None => self.connect().await?,
            };
            Ok::<_, Error>((how(&connection).await?, connection))
        };
        let late = |_| Error::Timeout { step: "looking at the catalogue", after: LIMIT };
        let (seen, connection) = tokio::time::timeout(LIMIT, looking).await.map_err(late)??;
        self.connection = Some(connection);
        Ok(seen)
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let client = sql::connect(&self.options).await?;
        client.batch_execute(SETTINGS).await?;
        let version = read::server_version(&client).await?;
        Ok(Connection { client, version })
    }
}
