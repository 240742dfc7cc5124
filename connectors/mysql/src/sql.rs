//! Connections for the catalogue, the history and whatever else is asked in a few rows.
//!
//! Every one has the same session ([`session`]): UTC, UTF-8, no mode that changes what a value looks like, no limit of the
//! server's on how long a statement may run. What is asked for here is bounded on our side.

mod row;
mod session;
mod tls;

use std::fmt;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};
use passerelle_change::TableName;
use secrecy::ExposeSecret;
use tokio::task::JoinSet;

use crate::{Error, Flavor, Options, TlsMode};

pub use row::Row;
pub(crate) use session::statements as session_statements;

/// How long connecting may take in all, with the handshakes and the session.
const CONNECT_LIMIT: Duration = Duration::from_secs(30);

/// How long a query on the catalogue may take.
const QUERY_LIMIT: Duration = Duration::from_secs(60);

/// How long a parting may take.
const END_LIMIT: Duration = Duration::from_secs(1);

/// After this much silence TCP asks whether the server is still there.
const KEEPALIVE: Duration = Duration::from_secs(30);

/// The most that both servers allow in a packet: what is larger they cannot have written.
const MAX_PACKET_BYTES: usize = 1 << 30;

/// An open connection, whose session is pinned.
pub struct Connection {
    conn: Conn,
    server: Server,
    /// How long a query may take.
    limit: Duration,
}

/// Which server it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its kind.
    pub flavor: Flavor,
    /// Its version: 101119 is 10.11.19.
    pub version: u32,
    /// What it says of itself: `10.11.19-MariaDB-log`.
    pub version_text: String,
    /// `version_comment`: who built it.
    pub version_comment: String,
    /// `lower_case_table_names`: 0, 1 or 2 (MY-79).
    pub lower_case_table_names: u8,
}

impl Server {
    /// Names of databases and tables are compared without regard to case (MY-79).
    pub fn names_ignore_case(&self) -> bool {
        self.lower_case_table_names != 0
    }
}

impl fmt::Debug for Connection {
    /// Without the driver's part, which holds the password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection").field("id", &self.conn.id()).field("server", &self.server).finish_non_exhaustive()
    }
}

/// Connects, checks that the server is of the kind that was configured and not too old, and pins the session.
pub async fn connect(options: &Options) -> Result<Connection, Error> {
    let late = |_| Error::Timeout { step: "connecting", after: CONNECT_LIMIT };
    let connecting = async {
        let conn = open(options).await?;
        let mut connection = Connection { conn, server: Server::unknown(options.flavor), limit: QUERY_LIMIT };
        session::pin(&mut connection).await?;
        connection.server = session::server(&mut connection).await?;
        fits(options, &connection.server)?;
        session::pin_more(&mut connection).await?;
        Ok(connection)
    };
    tokio::time::timeout(CONNECT_LIMIT, connecting).await.map_err(late)?
}

impl Connection {
    /// The server's kind.
    pub fn flavor(&self) -> Flavor {
        self.server.flavor
    }

    /// The server's version: 101119 is 10.11.19.
    pub fn version(&self) -> u32 {
        self.server.version
    }

    /// Which server it is.
    pub fn server(&self) -> &Server {
        &self.server
    }

    /// The server's number of the connection, as `SHOW PROCESSLIST` has it.
    pub fn id(&self) -> u32 {
        self.conn.id()
    }

    /// Sets how long each statement may take from here on; a minute otherwise.
    pub fn set_limit(&mut self, limit: Duration) {
        self.limit = limit;
    }

    /// Runs a statement and answers its rows, all of them: for the catalogue, not for tables. After its limit, a minute
    /// where nothing else was set, the connection is of no use any more.
    pub async fn rows(&mut self, sql: &str) -> Result<Vec<Row>, Error> {
        let late = |_| Error::Timeout { step: "a query", after: self.limit };
        let rows: Vec<mysql_async::Row> =
            tokio::time::timeout(self.limit, self.conn.query(sql)).await.map_err(late)??;
        Ok(rows.into_iter().map(Row::from).collect())
    }

    /// The first row of what a statement answers, if any.
    pub async fn row(&mut self, sql: &str) -> Result<Option<Row>, Error> {
        Ok(self.rows(sql).await?.into_iter().next())
    }

    /// Runs a statement of which no rows are wanted. The same limit.
    pub async fn execute(&mut self, sql: &str) -> Result<(), Error> {
        let late = |_| Error::Timeout { step: "a statement", after: self.limit };
        Ok(tokio::time::timeout(self.limit, self.conn.query_drop(sql)).await.map_err(late)??)
    }

    /// Says goodbye, as far as the other side listens.
    pub async fn close(self) {
        let _ = tokio::time::timeout(END_LIMIT, self.conn.disconnect()).await;
    }
}

/// A table's name in SQL: `` `db`.`t` ``.
pub fn name(table: &TableName) -> String {
    format!("{}.{}", identifier(&table.schema), identifier(&table.name))
}

/// A name in SQL.
pub fn identifier(name: &str) -> String {
    format!("`{}`", name.replace('`', "``"))
}

/// A text in SQL, as the pinned session reads it.
pub fn literal(text: &str) -> String {
    let mut literal = String::with_capacity(text.len() + 2);
    literal.push('\'');
    for char in text.chars() {
        match char {
            '\'' => literal.push_str("''"),
            '\\' => literal.push_str("\\\\"),
            '\0' => literal.push_str("\\0"),
            '\x1a' => literal.push_str("\\Z"),
            char => literal.push(char),
        }
    }
    literal.push('\'');
    literal
}

/// Socket, TLS and authentication, by the mode of the options.
async fn open(options: &Options) -> Result<Conn, Error> {
    let over_socket = options.socket_path().is_some();
    match options.tls {
        _ if over_socket => open_once(options, None).await,
        TlsMode::Disable => open_once(options, None).await,
        // Its certificate is not looked at, so nothing is lost by going on without: who could take the offer away could
        // also have answered it.
        TlsMode::Prefer => match open_once(options, Some(tls::options(options)?)).await {
            Err(Error::NoTls { .. }) => open_once(options, None).await,
            other => other,
        },
        TlsMode::Require | TlsMode::VerifyCa | TlsMode::VerifyFull => {
            open_once(options, Some(tls::options(options)?)).await
        }
    }
}

async fn open_once(options: &Options, tls: Option<mysql_async::SslOpts>) -> Result<Conn, Error> {
    let socket = options.socket_path();
    let is_protected = tls.is_some() || socket.is_some();
    let opts = OptsBuilder::default()
        .ip_or_hostname(options.host.clone())
        .tcp_port(options.port)
        .socket(socket.map(|path| path.to_string_lossy().into_owned()))
        // Not the server's idea of a better socket.
        .prefer_socket(false)
        .user(Some(options.user.clone()))
        .pass(options.password.as_ref().map(|password| password.expose_secret().to_owned()))
        .db_name(Some(options.database.clone()))
        .tcp_keepalive(Some(KEEPALIVE))
        .max_allowed_packet(Some(MAX_PACKET_BYTES))
        // Said here, it need not be asked for.
        .wait_timeout(Some(28_800))
        .stmt_cache_size(0)
        .enable_cleartext_plugin(is_protected)
        .connect_attribute("program_name", options.application_name.clone())
        .ssl_opts(tls);
    // In a task of its own, which ends with ours: on what no server sends, the library panics where it reads the answers of
    // the authentication.
    let mut connecting = JoinSet::new();
    connecting.spawn(Conn::new(Opts::from(opts)));
    match connecting.join_next().await {
        Some(Ok(connected)) => connected.map_err(|error| while_connecting(options, error)),
        Some(Err(_)) | None => Err(Error::Protocol("what answers does not speak the protocol as it should")),
    }
}

/// Before there is a connection, what breaks is the way to the server, or its TLS.
fn while_connecting(options: &Options, error: mysql_async::Error) -> Error {
    let address = options.address();
    if let mysql_async::Error::Io(mysql_async::IoError::Io(error)) = &error
        && let Some(tls) = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>())
    {
        return Error::TlsHandshake { address, why: tls.to_string() };
    }
    match Error::from(error) {
        Error::NoTls { .. } => Error::NoTls { address },
        Error::Broken(why) => Error::Connect { address, why },
        Error::TlsSettings(why) => Error::TlsHandshake { address, why: why.0 },
        other => other,
    }
}

fn fits(options: &Options, server: &Server) -> Result<(), Error> {
    let version = || format!("{} {}", server.version_text, server.version_comment).trim_end().to_owned();
    if server.flavor != options.flavor {
        return Err(Error::OtherFlavor { configured: options.flavor, found: server.flavor, version: version() });
    }
    if server.version < server.flavor.oldest_version() {
        return Err(Error::ServerTooOld { flavor: server.flavor, version: server.version_text.clone() });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_79_names_and_texts_are_quoted() {
        let table = TableName { schema: "a`b".into(), name: "c.d é".into() };
        assert_eq!(name(&table), "`a``b`.`c.d é`");
        assert_eq!(literal("it's \\ \0\x1a"), "'it''s \\\\ \\0\\Z'");
    }
}
