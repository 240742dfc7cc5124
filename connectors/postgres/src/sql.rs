//! Connections for the catalogue, the publication and COPY.

mod handed;

use std::io;
use std::time::Duration;

use passerelle_change::TableName;
use postgres_protocol::escape::{escape_identifier, escape_literal};
use secrecy::ExposeSecret;
use tokio_postgres::config::{SslMode, SslNegotiation};
use tokio_postgres::{Client, Config};

use crate::connection::socket::{self, Protection};
use crate::{Error, Options, ServerError};
use handed::{Done, Handed};

/// How long connecting may take in all, with the handshakes.
const TIMEOUT: Duration = Duration::from_secs(30);

/// Settings of these connections beyond [`crate::options::SESSION`]: they bound a query on the catalogue, in
/// milliseconds.
const SETTINGS: &str = "-c statement_timeout=60000 -c lock_timeout=10000 -c idle_in_transaction_session_timeout=60000";

/// Connects. The connection runs as a task of the current runtime until the client is dropped.
pub async fn connect(options: &Options) -> Result<Client, Error> {
    let late = |_| Error::Timeout { step: "connecting", after: TIMEOUT };
    tokio::time::timeout(TIMEOUT, connect_now(options)).await.map_err(late)?
}

/// A name in quotes, whatever is in it.
pub fn identifier(name: &str) -> String {
    escape_identifier(name)
}

/// A text constant in quotes, whatever is in it.
pub fn literal(text: &str) -> String {
    escape_literal(text).trim_start().to_owned()
}

/// A table's full name in quotes.
pub fn table(name: &TableName) -> String {
    format!("{}.{}", identifier(&name.schema), identifier(&name.name))
}

/// Names in quotes, joined by commas.
pub fn identifiers<'a>(names: impl IntoIterator<Item = &'a String>) -> String {
    names.into_iter().map(|name| identifier(name)).collect::<Vec<_>>().join(", ")
}

async fn connect_now(options: &Options) -> Result<Client, Error> {
    let (socket, protection) = socket::open(options).await?;
    // A handshake that is done already passes for one that begins without being asked for.
    let mut config = config(options);
    match protection {
        Protection::Tls { .. } => config.ssl_mode(SslMode::Require).ssl_negotiation(SslNegotiation::Direct),
        Protection::None | Protection::Local => config.ssl_mode(SslMode::Disable),
    };
    let connected = config.connect_raw(Handed::new(socket, protection), Done).await;
    let (client, connection) = connected.map_err(|error| of_startup(options, error))?;
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            // Whoever waits for an answer sees it too; this is for the connection that nobody is using.
            tracing::debug!(error = %Error::from(error), "a connection for queries ended");
        }
    });
    Ok(client)
}

fn config(options: &Options) -> Config {
    let mut config = Config::new();
    config
        .user(&options.user)
        .dbname(&options.database)
        .application_name(&options.application_name)
        .options(format!("{} {SETTINGS}", Options::session()));
    if let Some(password) = &options.password {
        config.password(password.expose_secret());
    }
    config
}

/// Names what `tokio-postgres` tells by text, or wraps.
fn of_startup(options: &Options, error: tokio_postgres::Error) -> Error {
    if let Some(db) = error.as_db_error() {
        // PgBouncer's words (PG-47).
        if db.message().contains("unsupported startup parameter") {
            return Error::NotAServer { address: options.address() };
        }
        let (code, message) = (db.code().code().to_owned(), db.message().to_owned());
        return Error::Server(ServerError { code, message, hint: db.hint().map(str::to_owned) });
    }
    let Some(source) = error.into_source() else { return Error::Closed };
    if source.to_string().contains("password missing") {
        return Error::NoPassword;
    }
    match source.downcast::<io::Error>() {
        Ok(io) => io.downcast::<Error>().unwrap_or_else(Error::Broken),
        Err(other) => Error::Authentication(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_constants_are_quoted_whatever_is_in_them() {
        let name = TableName { schema: "My \"Shop\"".into(), name: "order".into() };
        assert_eq!(table(&name), "\"My \"\"Shop\"\"\".\"order\"");
        assert_eq!(literal("it's"), "'it''s'");
        assert_eq!(literal("a\\b"), "E'a\\\\b'");
        assert_eq!(identifiers(&["a".into(), "B c".into()]), "\"a\", \"B c\"");
    }
}
