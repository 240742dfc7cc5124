//! Rows of PostgreSQL.
//!
//! By simple queries: they answer with the text of the same output functions that the stream and COPY use, under the
//! settings that every connection of ours pins.

use passerelle_change::TableName;
use passerelle_postgres::catalog::{self, Catalog, TableKind};
use passerelle_postgres::publication::GENERATED_COLUMNS;
use passerelle_postgres::sql;
use tokio_postgres::{Client, SimpleQueryMessage, SimpleQueryRow};

use super::{RowText, Shape};
use crate::config::model::Source;
use crate::source::table::{ColumnFacts, Generated, TableFacts};
use crate::source::{Error, postgres as source};

/// Rows of one fetch of a scan.
const FETCHED: usize = 50;

/// A connection that can only read.
pub(in crate::preview) struct Reader {
    client: Client,
    version: u32,
    catalog: Catalog,
}

impl Reader {
    pub(super) async fn open(config: &Source, names: &[TableName]) -> Result<(Self, Vec<TableFacts>), Error> {
        let client = connect(config).await?;
        let version = catalog::server_version(&client).await?;
        let catalog = catalog::read(&client, names).await?;
        // Rows that a policy hides would be missing without a word: rather an error.
        let settings = "SET default_transaction_read_only = on; SET row_security = off";
        client.batch_execute(settings).await.map_err(of_query)?;
        let tables = source::facts(&catalog);
        Ok((Self { client, version, catalog }, tables))
    }

    pub(super) fn is_streamed(&self, column: &ColumnFacts) -> bool {
        match column.generated {
            Generated::No => true,
            Generated::Stored => self.version >= GENERATED_COLUMNS,
            Generated::Virtual => false,
        }
    }

    pub(super) async fn by_key(&self, shape: &Shape, parts: &[String]) -> Result<Option<RowText>, Error> {
        let values: Vec<(String, String)> = shape.key.iter().cloned().zip(parts.iter().cloned()).collect();
        self.one(shape, &values).await
    }

    /// A row with these values in these columns.
    pub(super) async fn one(&self, shape: &Shape, values: &[(String, String)]) -> Result<Option<RowText>, Error> {
        Ok(self.matching(shape, values, 1).await?.pop())
    }

    /// At most so many rows with these values in these columns, in the order of their keys.
    pub(super) async fn matching(
        &self,
        shape: &Shape,
        values: &[(String, String)],
        most: usize,
    ) -> Result<Vec<RowText>, Error> {
        let is = |(name, value): &(String, String)| format!("{} = {}", sql::identifier(name), sql::literal(value));
        let condition = values.iter().map(is).collect::<Vec<_>>().join(" AND ");
        let order = sql::identifiers(&shape.key);
        let query = format!("{} WHERE {condition} ORDER BY {order} LIMIT {most}", self.select(shape)?);
        match self.client.simple_query(&query).await {
            Ok(messages) => rows(&messages).map(|found| row(shape, found)).collect(),
            // Class 22: the text is no value of the column's type, so that no row can have it.
            Err(fault) if fault.code().is_some_and(|code| code.code().starts_with("22")) => Ok(Vec::new()),
            Err(fault) => Err(of_query(fault)),
        }
    }

    pub(super) async fn scan(
        &self,
        shape: &Shape,
        most: usize,
        mut take: impl FnMut(RowText) -> bool,
    ) -> Result<bool, Error> {
        let order = sql::identifiers(&shape.key);
        let open = format!("BEGIN; DECLARE preview NO SCROLL CURSOR FOR {} ORDER BY {order}", self.select(shape)?);
        self.client.batch_execute(&open).await.map_err(of_query)?;
        let mut seen = 0;
        let more = 'read: loop {
            let fetch = format!("FETCH {FETCHED} FROM preview");
            let messages = self.client.simple_query(&fetch).await.map_err(of_query)?;
            let fetched: Vec<&SimpleQueryRow> = rows(&messages).collect();
            for (at, found) in fetched.iter().enumerate() {
                seen += 1;
                if !take(row(shape, found)?) || seen >= most {
                    break 'read at + 1 < fetched.len() || fetched.len() == FETCHED;
                }
            }
            if fetched.len() < FETCHED {
                break false;
            }
        };
        self.client.batch_execute("ROLLBACK").await.map_err(of_query)?;
        Ok(more)
    }

    fn select(&self, shape: &Shape) -> Result<String, Error> {
        let names: Vec<String> = shape.columns.iter().map(|(_, name, _)| name.clone()).collect();
        // As they are published.
        let is_ordinary = matches!(self.catalog.table(&shape.table)?.kind, TableKind::Ordinary);
        let only = if is_ordinary { "ONLY " } else { "" };
        Ok(format!("SELECT {} FROM {only}{}", sql::identifiers(&names), sql::table(&shape.table)))
    }
}

async fn connect(config: &Source) -> Result<Client, Error> {
    Ok(sql::connect(&source::options(config, "passerelle preview")).await?)
}

fn row(shape: &Shape, row: &SimpleQueryRow) -> Result<RowText, Error> {
    let texts: Result<Vec<_>, _> = (0..shape.columns.len()).map(|at| row.try_get(at)).collect();
    Ok(shape.row(&texts.map_err(of_query)?))
}

fn rows(messages: &[SimpleQueryMessage]) -> impl Iterator<Item = &SimpleQueryRow> {
    messages.iter().filter_map(|message| match message {
        SimpleQueryMessage::Row(row) => Some(row),
        _ => None,
    })
}

fn of_query(error: tokio_postgres::Error) -> Error {
    passerelle_postgres::Error::from(error).into()
}
