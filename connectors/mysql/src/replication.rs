//! Becoming a replica: a `server_id` that nobody else has, the session that the server's sender reads its orders from, and
//! the command that starts it.
//!
//! Sources: "Replication Protocol" of MySQL's source documentation and of MariaDB's knowledge base. Semi-synchronous
//! replication is never asked for (MY-07): a commit of the shop must not wait for us.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::catalog::Readings;
use crate::connection::Connection;
use crate::gtid::{MysqlGtids, Source};
use crate::position::Gtids;
use crate::stream::Stream;
use crate::wire::MAX_EVENT_BYTES;
use crate::{Error, Flavor, LogPosition, Options, sql};

/// A server that has nothing to send says so this often (MY-06).
pub(crate) const HEARTBEAT: Duration = Duration::from_secs(10);

/// A sender that we do not read from waits this long before it gives up (MY-14): our disk may be slow, and no worse comes of
/// it than of connecting again.
const SENDER_WAITS: Duration = Duration::from_hours(1);

/// Where a file of the log begins, behind its magic bytes.
const FILE_BEGINS: u64 = 4;

/// A connection that may become a replica's.
#[derive(Debug)]
pub struct Replication {
    connection: Connection,
    options: Options,
    flavor: Flavor,
    server_id: u32,
    /// Places are told by GTIDs: always by MariaDB, by MySQL where `gtid_mode` is ON and not on the way there (MY-22).
    by_gtids: bool,
}

impl Replication {
    /// Connects, and finds a `server_id`: the configured one, or one by chance that nobody has (MY-08).
    ///
    /// [`Error::ServerIdClash`] where another replica, or the server itself, has the configured one.
    pub async fn connect(options: &Options) -> Result<Self, Error> {
        let mut asking = sql::connect(options).await?;
        let server_id = server_id(&mut asking, options).await?;
        let flavor = asking.flavor();
        let by_gtids = match flavor {
            Flavor::Mariadb => true,
            Flavor::Mysql => {
                let mode = asking.row("SELECT @@global.gtid_mode").await?;
                mode.is_some_and(|mode| mode.text(0) == Some("ON"))
            }
        };
        asking.close().await;
        let connection = Connection::open(options).await?;
        Ok(Self { connection, options: options.clone(), flavor, server_id, by_gtids })
    }

    /// The `server_id` that the server is told.
    pub fn server_id(&self) -> u32 {
        self.server_id
    }

    /// Starts the stream behind `from`: by GTIDs where it has some, else by file and offset (MY-22). `readings` are for
    /// tables that change while it runs.
    ///
    /// That the server cannot start there is told by the stream.
    pub async fn start(mut self, from: &LogPosition, readings: Readings) -> Result<Stream, Error> {
        let connect_state = match &from.gtids {
            Gtids::Mariadb(gtids) if self.flavor == Flavor::Mariadb && !gtids.is_empty() => Some(gtids.to_string()),
            _ => None,
        };
        for statement in session(self.flavor, connect_state.as_deref()) {
            self.connection.run(&statement).await?;
        }
        self.connection.command(&register(self.server_id, &self.options.application_name)).await?;
        let command = match &from.gtids {
            Gtids::Mysql(gtids) if self.flavor == Flavor::Mysql && self.by_gtids && !gtids.is_empty() => {
                dump_gtids(self.server_id, gtids)
            }
            _ if connect_state.is_some() => dump(self.server_id, "", FILE_BEGINS as u32),
            _ => {
                // The command has 32 bits for it (MY-11).
                let offset = u32::try_from(from.offset).map_err(|_| Error::OffsetTooLarge(from.offset))?;
                dump(self.server_id, &from.file, offset)
            }
        };
        // A byte says that a packet is an event.
        self.connection.inbound.allow(MAX_EVENT_BYTES + 16);
        self.connection.send_command(&command).await?;
        Ok(Stream { connection: self.connection, options: self.options, server_id: self.server_id, readings })
    }

    /// Ends the connection.
    pub async fn close(self) {
        self.connection.end().await;
    }
}

/// What the sender reads from variables of the session. Names with `source` are those of MySQL from 8.0.26 on.
fn session(flavor: Flavor, connect_state: Option<&str>) -> Vec<String> {
    let heartbeat = HEARTBEAT.as_nanos();
    let mut statements = vec![format!(
        "SET @master_binlog_checksum = 'CRC32', @source_binlog_checksum = 'CRC32', \
         @master_heartbeat_period = {heartbeat}, @source_heartbeat_period = {heartbeat}, \
         SESSION net_write_timeout = {}",
        SENDER_WAITS.as_secs()
    )];
    if flavor == Flavor::Mariadb {
        // 4 is GTIDs and all that came with them; with less the server writes dummies in their place (MY-18).
        statements.push(
            "SET @mariadb_slave_capability = 4, @slave_gtid_strict_mode = 1, @slave_gtid_ignore_duplicates = 0".into(),
        );
        if let Some(state) = connect_state {
            statements.push(format!("SET @slave_connect_state = {}", sql::literal(state)));
        }
    }
    statements
}

/// `COM_REGISTER_SLAVE`: what `SHOW REPLICAS` shows of us.
fn register(server_id: u32, name: &str) -> Vec<u8> {
    let mut command = vec![0x15];
    command.extend_from_slice(&server_id.to_le_bytes());
    let host = reported_host(name);
    command.push(host.len() as u8);
    command.extend_from_slice(host.as_bytes());
    // No user, no password, no port, no rank; who the source is, it knows.
    command.extend_from_slice(&[0; 12]);
    command
}

/// The name that we go by among the replicas: the servers keep 60 bytes of it.
fn reported_host(name: &str) -> &str {
    name.get(..name.floor_char_boundary(60)).unwrap_or_default()
}

/// `COM_BINLOG_DUMP`.
fn dump(server_id: u32, file: &str, offset: u32) -> Vec<u8> {
    let mut command = vec![0x12];
    command.extend_from_slice(&offset.to_le_bytes());
    // No flags: it waits for more at the end, and the texts of statements are not sent with their rows (MY-25).
    command.extend_from_slice(&[0, 0]);
    command.extend_from_slice(&server_id.to_le_bytes());
    command.extend_from_slice(file.as_bytes());
    command
}

/// `COM_BINLOG_DUMP_GTID` (MY-21).
fn dump_gtids(server_id: u32, gtids: &MysqlGtids) -> Vec<u8> {
    let set = encoded(gtids);
    let mut command = vec![0x1e, 0, 0];
    command.extend_from_slice(&server_id.to_le_bytes());
    command.extend_from_slice(&0_u32.to_le_bytes());
    command.extend_from_slice(&FILE_BEGINS.to_le_bytes());
    command.extend_from_slice(&(set.len() as u32).to_le_bytes());
    command.extend_from_slice(&set);
    command
}

/// A set as the server reads it: for each server (and tag) its intervals. Where there are tags (8.3 and later) the format is
/// another, and says so in the first and in the last byte of the count.
fn encoded(gtids: &MysqlGtids) -> Vec<u8> {
    let is_tagged = gtids.iter().any(|(source, _)| !source.tag.is_empty());
    let sources = gtids.iter().count() as u64;
    let head = if is_tagged { 1 << 56 | sources << 8 | 1 } else { sources };
    let mut out = head.to_le_bytes().to_vec();
    for (Source { uuid, tag }, intervals) in gtids.iter() {
        out.extend_from_slice(uuid);
        if is_tagged {
            // A length of one byte, in the servers' format of numbers of any length: tags have 32 letters at most.
            out.push((tag.len() as u8) << 1);
            out.extend_from_slice(tag.as_bytes());
        }
        out.extend_from_slice(&(intervals.len() as u64).to_le_bytes());
        for (first, end) in intervals {
            out.extend_from_slice(&first.to_le_bytes());
            out.extend_from_slice(&end.to_le_bytes());
        }
    }
    out
}

async fn server_id(asking: &mut sql::Connection, options: &Options) -> Result<u32, Error> {
    let own = asking.row("SELECT @@global.server_id").await?.and_then(|row| row.number(0)).unwrap_or(0);
    let replicas = replicas(asking).await?;
    let Some(wanted) = options.server_id else {
        let taken: BTreeSet<u32> = replicas.iter().map(|replica| replica.server_id).chain([own]).collect();
        return Ok(by_chance(&taken));
    };
    // One of our name is a connection of ours that the server has not seen end yet: it ends it for this one.
    let name = reported_host(&options.application_name);
    let is_taken = replicas.iter().any(|replica| replica.server_id == wanted && replica.host != name);
    if is_taken || wanted == own { Err(Error::ServerIdClash(wanted)) } else { Ok(wanted) }
}

/// A number that is not among those: small ones are what people give their replicas.
fn by_chance(taken: &BTreeSet<u32>) -> u32 {
    std::iter::repeat_with(|| rand::random_range(1_000_000..u32::MAX))
        .find(|server_id| !taken.contains(server_id))
        .unwrap_or(u32::MAX)
}

/// A replica as the server knows it.
struct Replica {
    server_id: u32,
    host: String,
}

/// The replicas that are connected. Of who may not see them, none.
async fn replicas(asking: &mut sql::Connection) -> Result<Vec<Replica>, Error> {
    let statement = match (asking.flavor(), asking.version()) {
        (Flavor::Mysql, 80_022..) => "SHOW REPLICAS",
        (_, _) => "SHOW SLAVE HOSTS",
    };
    let rows = match asking.rows(statement).await {
        Ok(rows) => rows,
        Err(Error::Server(error)) => {
            tracing::debug!(code = error.code, "the replicas of the server are not known: {}", error.message);
            return Ok(Vec::new());
        }
        Err(other) => return Err(other),
    };
    let replica = |row: &sql::Row| {
        let host = row.named("Host").unwrap_or_default().to_owned();
        Some(Replica { server_id: row.named("Server_id")?.parse().ok()?, host })
    };
    Ok(rows.iter().filter_map(replica).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::PreviousGtids;

    #[test]
    fn my_21_sets_are_sent_as_the_log_has_them() {
        const A: &str = "3e11fa47-71ca-11e1-9e33-c80aa9429562";
        for text in [format!("{A}:1-5:7"), format!("{A}:1-3:tag_a:9-12:tag_b:1")] {
            let gtids: MysqlGtids = text.parse().unwrap();
            let mut read = MysqlGtids::default();
            let bytes = encoded(&gtids);
            PreviousGtids::of(&bytes)
                .each(|interval| {
                    let tag = String::from_utf8(interval.tag.to_vec()).unwrap().into();
                    read.add_interval(Source { uuid: interval.uuid, tag }, interval.first, interval.end);
                })
                .unwrap();
            assert_eq!(read, gtids, "{text}");
        }
    }

    #[test]
    fn commands_as_the_manual_has_them() {
        assert_eq!(dump(7, "mbin.000001", 4), b"\x12\x04\0\0\0\0\0\x07\0\0\0mbin.000001");
        assert_eq!(register(7, "x"), b"\x15\x07\0\0\0\x01x\0\0\0\0\0\0\0\0\0\0\0\0");
        let set: MysqlGtids = "3e11fa47-71ca-11e1-9e33-c80aa9429562:1-5".parse().unwrap();
        let command = dump_gtids(7, &set);
        assert_eq!(command[..19], *b"\x1e\0\0\x07\0\0\0\0\0\0\0\x04\0\0\0\0\0\0\0");
        assert_eq!(command[19..23], 48_u32.to_le_bytes());
        assert_eq!(command.len(), 23 + 48);
    }

    #[test]
    fn my_08_a_number_by_chance_is_nobodys() {
        let taken: BTreeSet<u32> = (1_000_000..1_100_000).collect();
        assert!((0..1000).all(|_| !taken.contains(&by_chance(&taken))));
    }

    #[test]
    fn my_18_mariadb_is_told_what_we_know() {
        let statements = session(Flavor::Mariadb, Some("0-1-2,1-1-7"));
        assert!(statements[1].contains("@mariadb_slave_capability = 4"));
        assert_eq!(statements[2], "SET @slave_connect_state = '0-1-2,1-1-7'");
        assert_eq!(session(Flavor::Mysql, None).len(), 1);
    }
}
