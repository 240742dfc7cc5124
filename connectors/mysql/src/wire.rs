//! The bytes of the binary log: events from their bytes. Pure, bounds-checked, borrowed.
//!
//! Sources: the MySQL source documentation ("Replication Protocol", "Binary Log Event"), MariaDB's knowledge base
//! ("Replication Protocol"), and what both servers write. Nothing here allocates by a number that the peer supplies, and
//! nothing panics on any bytes ([`read_everything`] is the entry for a fuzzer).
//!
//! [`Framing`] holds what a format description said; [`Framing::event`] checks an event's checksum and reads it. Rows,
//! compressed texts and transactions are opened later, by whoever wants them.

#![deny(clippy::indexing_slicing)]

mod compressed;
mod control;
mod everything;
mod format;
mod gtid;
mod metadata;
mod query;
mod reader;
mod rows;
mod table_map;

pub use compressed::{MAX_PAYLOAD_BYTES, Packed, Payload, PayloadEvents, open_column};
pub use control::{Heartbeat, Incident, Prepare, Rotate, Xid};
pub use everything::{file_events, read_everything};
pub use format::{Checksum, Format};
pub use gtid::{Alter, Gtid, GtidList, MariadbGtid, PreviousGtids, PreviousInterval, Xa};
pub use metadata::{Labels, Metadata};
pub use query::{Query, Status};
pub use reader::Bitmap;
pub(crate) use reader::Reader;
pub(crate) use rows::decimal_bytes;
pub use rows::{Field, Images, NO_TABLE, Rows, RowsKind};
pub use table_map::{Layout, TableMap};

use format::CHECKSUM_BYTES;
use reader::SHORT;
use rows::Form;

/// Bytes that are not the binary log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// Bytes of an event's header.
pub const HEADER_BYTES: usize = 19;

/// The longest event: packets of the servers end at 1 GiB.
pub const MAX_EVENT_BYTES: usize = 1 << 30;

/// The first bytes of a file of the log.
pub const MAGIC: &[u8] = b"\xfebin";

/// What stands before every event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Header {
    /// When the statement began, in seconds since 1970, by the clock of the server that ran it first; 0 where the event
    /// is made up for us.
    pub timestamp: u32,
    /// The type.
    pub kind: u8,
    /// The server that wrote it first.
    pub server_id: u32,
    /// Its bytes, with header and checksum.
    pub size: u32,
    /// Where the next event begins, modulo 4 GiB (MY-11); 0 where that is unknown (MY-26).
    pub end: u32,
    /// Flags.
    pub flags: u16,
}

impl Header {
    const IN_USE: u16 = 0x1;
    const ARTIFICIAL: u16 = 0x20;
    const IGNORABLE: u16 = 0x80;

    fn read(read: &mut Reader<'_>) -> Result<Self> {
        Ok(Self {
            timestamp: read.u32()?,
            kind: read.u8()?,
            server_id: read.u32()?,
            size: read.u32()?,
            end: read.u32()?,
            flags: read.u16()?,
        })
    }

    /// The server made it up when we connected; it is not in the file (MY-03).
    pub fn is_artificial(&self) -> bool {
        self.flags & Self::ARTIFICIAL != 0
    }

    /// It may be skipped by whoever does not know it.
    pub fn is_ignorable(&self) -> bool {
        self.flags & Self::IGNORABLE != 0
    }
}

/// An event.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event<'a> {
    /// What stands before it.
    pub header: Header,
    /// What it says.
    pub body: Body<'a>,
}

/// What an event says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Body<'a> {
    /// How the events that follow are laid out.
    Format(Format<'a>),
    /// The log goes on elsewhere.
    Rotate(Rotate<'a>),
    /// The server stopped after this.
    Stop,
    /// A statement.
    Query(Query<'a>),
    /// A transaction was committed.
    Commit {
        /// Its number within the server.
        xid: u64,
    },
    /// The first half of a distributed transaction ended.
    Prepare(Prepare<'a>),
    /// A table that rows will be of.
    Table(TableMap<'a>),
    /// Rows.
    Rows(Rows<'a>),
    /// A whole transaction, compressed.
    Payload(Payload<'a>),
    /// A transaction of MySQL begins.
    Gtid(Gtid<'a>),
    /// What the files before this one hold (MySQL).
    PreviousGtids(PreviousGtids<'a>),
    /// A group of MariaDB begins.
    MariadbGtid(MariadbGtid<'a>),
    /// What the files before this one hold (MariaDB).
    GtidList(GtidList<'a>),
    /// A sign of life.
    Heartbeat(Heartbeat<'a>),
    /// The log has a hole.
    Incident(Incident<'a>),
    /// Part of a change that was logged as a statement: it cannot be followed.
    Statement {
        /// What it is, by the servers' name for it.
        name: &'static str,
    },
    /// What says nothing of rows: texts of statements, checkpoints of the server itself, keys.
    Skipped,
    /// A type that is not known here; whether it may be skipped is in the header's flags.
    Unknown,
}

/// How events are framed: what the last format description said. One for a connection or a file.
#[derive(Clone, Debug)]
pub struct Framing {
    checksum: Option<Checksum>,
    is_mariadb: bool,
    /// Lengths of the fixed parts by type from 1 on.
    post_header: Box<[u8]>,
}

impl Default for Framing {
    fn default() -> Self {
        Self::new()
    }
}

impl Framing {
    /// Before the first format description.
    pub fn new() -> Self {
        Self { checksum: None, is_mariadb: false, post_header: Box::default() }
    }

    /// Whether MariaDB writes the log.
    pub fn is_mariadb(&self) -> bool {
        self.is_mariadb
    }

    /// How events are protected, once that is known.
    pub fn checksum(&self) -> Option<Checksum> {
        self.checksum
    }

    /// Reads an event of the log from its bytes, header and checksum included, and checks the latter (MY-01). A format
    /// description is taken over.
    pub fn event<'a>(&mut self, bytes: &'a [u8]) -> Result<Event<'a>> {
        let (header, body) = whole(bytes)?;
        if header.kind == kind::FORMAT_DESCRIPTION {
            return self.format(header, body, bytes);
        }
        let body = match self.checksum {
            Some(Checksum::Crc32) => checked(bytes)?,
            Some(Checksum::None) => body,
            // The first of a connection is a rotation that is made up, before anything says whether it is protected:
            // its last bytes tell.
            None => checked(bytes).unwrap_or(body),
        };
        self.read(header, body)
    }

    /// Reads an event from inside a transaction's payload: those have no checksums.
    pub fn inner<'a>(&self, bytes: &'a [u8]) -> Result<Event<'a>> {
        let (header, body) = whole(bytes)?;
        if matches!(header.kind, kind::FORMAT_DESCRIPTION | kind::TRANSACTION_PAYLOAD) {
            return Err(Malformed("an event inside a transaction that does not belong there"));
        }
        self.read(header, body)
    }

    fn format<'a>(&mut self, header: Header, body: &'a [u8], bytes: &'a [u8]) -> Result<Event<'a>> {
        let format = Format::read(body)?;
        if format.checksum == Checksum::Crc32 {
            checked(bytes)?;
        }
        self.checksum = Some(format.checksum);
        self.is_mariadb = format.is_mariadb();
        self.post_header = format.post_header.into();
        Ok(Event { header, body: Body::Format(format) })
    }

    /// The length of the fixed part of a type's body.
    fn fixed(&self, kind: u8, otherwise: usize) -> usize {
        let known = usize::from(kind).checked_sub(1).and_then(|at| self.post_header.get(at));
        known.map_or(otherwise, |&length| usize::from(length))
    }

    fn read<'a>(&self, header: Header, body: &'a [u8]) -> Result<Event<'a>> {
        let body = self.body(header.kind, body)?;
        Ok(Event { header, body })
    }

    fn body<'a>(&self, kind: u8, body: &'a [u8]) -> Result<Body<'a>> {
        let rows = |rows: RowsKind, is_v2: bool, is_compressed: bool| {
            let form = Form { kind: rows, is_v2, is_compressed, has_diffs: kind == kind::PARTIAL_UPDATE_ROWS };
            Rows::read(body, self.fixed(kind, if is_v2 { 10 } else { 8 }), form).map(Body::Rows)
        };
        match kind {
            23 => rows(RowsKind::Write, false, false),
            24 => rows(RowsKind::Update, false, false),
            25 => rows(RowsKind::Delete, false, false),
            30 => rows(RowsKind::Write, true, false),
            31 | kind::PARTIAL_UPDATE_ROWS => rows(RowsKind::Update, true, false),
            32 => rows(RowsKind::Delete, true, false),
            19 => TableMap::read(body, self.fixed(kind, 8)).map(Body::Table),
            2 => Query::read(body, self.fixed(kind, 13), self.is_mariadb, false).map(Body::Query),
            16 => Ok(Body::Commit { xid: Reader(body).u64()? }),
            4 => Rotate::read(body).map(Body::Rotate),
            3 => Ok(Body::Stop),
            26 => Incident::read(body).map(Body::Incident),
            27 => Ok(Body::Heartbeat(Heartbeat { file: body, position: None })),
            33 => Gtid::read(body, false).map(Body::Gtid),
            34 => Gtid::read(body, true).map(Body::Gtid),
            35 => Ok(Body::PreviousGtids(PreviousGtids(body))),
            38 => Prepare::read(body).map(Body::Prepare),
            kind::TRANSACTION_PAYLOAD => Payload::read(body).map(Body::Payload),
            41 => Heartbeat::read_v2(body).map(Body::Heartbeat),
            42 => Gtid::read_tagged(body).map(Body::Gtid),
            // EXECUTE_LOAD_QUERY: a statement behind what names the file that was loaded.
            18 => Query::read(body, self.fixed(kind, 26), self.is_mariadb, false).map(Body::Query),
            1 | 5..=14 | 17 | 20..=22 => Ok(statement(kind)),
            // IGNORABLE, ROWS_QUERY, TRANSACTION_CONTEXT, VIEW_CHANGE.
            28 | 29 | 36 | 37 => Ok(Body::Skipped),
            _ if self.is_mariadb => self.mariadb(kind, body),
            _ => Ok(Body::Unknown),
        }
    }

    /// What only MariaDB writes: from 160 on.
    fn mariadb<'a>(&self, kind: u8, body: &'a [u8]) -> Result<Body<'a>> {
        let rows = |rows: RowsKind, is_v2: bool| {
            let form = Form { kind: rows, is_v2, is_compressed: true, has_diffs: false };
            Rows::read(body, self.fixed(kind, if is_v2 { 10 } else { 8 }), form).map(Body::Rows)
        };
        match kind {
            // ANNOTATE_ROWS, which may hold personal data (MY-25); BINLOG_CHECKPOINT; START_ENCRYPTION: what comes over
            // the network is not encrypted.
            160 | 161 | 164 => Ok(Body::Skipped),
            162 => MariadbGtid::read(body).map(Body::MariadbGtid),
            163 => GtidList::read(body).map(Body::GtidList),
            165 => Query::read(body, self.fixed(kind, 13), true, true).map(Body::Query),
            166 => rows(RowsKind::Write, false),
            167 => rows(RowsKind::Update, false),
            168 => rows(RowsKind::Delete, false),
            169 => rows(RowsKind::Write, true),
            170 => rows(RowsKind::Update, true),
            171 => rows(RowsKind::Delete, true),
            _ => Ok(Body::Unknown),
        }
    }
}

/// Types that are told apart in more than one place.
mod kind {
    pub(super) const FORMAT_DESCRIPTION: u8 = 15;
    pub(super) const PARTIAL_UPDATE_ROWS: u8 = 39;
    pub(super) const TRANSACTION_PAYLOAD: u8 = 40;
}

/// The name of an event's type, for people.
pub fn kind_name(kind: u8) -> &'static str {
    match kind {
        172 => "PARTIAL_ROW_DATA",
        43.. => "an unknown event",
        _ => match statement(kind) {
            Body::Statement { name } => name,
            _ => "an unknown event",
        },
    }
}

/// Changes that are logged as statements, their parameters and files, and rows as they were before MySQL 5.1.
fn statement(kind: u8) -> Body<'static> {
    let name = match kind {
        1 => "START_V3",
        5 => "INTVAR",
        6 | 12 => "LOAD",
        7 => "SLAVE",
        8 => "CREATE_FILE",
        9 => "APPEND_BLOCK",
        10 => "EXEC_LOAD",
        11 => "DELETE_FILE",
        13 => "RAND",
        14 => "USER_VAR",
        17 => "BEGIN_LOAD_QUERY",
        20 => "PRE_GA_WRITE_ROWS",
        21 => "PRE_GA_UPDATE_ROWS",
        22 => "PRE_GA_DELETE_ROWS",
        _ => return Body::Unknown,
    };
    Body::Statement { name }
}

/// The header, and the rest of an event that is as long as it says.
fn whole(bytes: &[u8]) -> Result<(Header, &[u8])> {
    let mut read = Reader(bytes);
    let header = Header::read(&mut read)?;
    if header.size as usize != bytes.len() {
        return Err(Malformed("an event of another length than it says"));
    }
    Ok((header, read.0))
}

/// The body of an event between its header and its checksum, which must be right.
fn checked(bytes: &[u8]) -> Result<&[u8]> {
    let at = bytes.len().checked_sub(CHECKSUM_BYTES).ok_or(SHORT)?;
    let (event, checksum) = bytes.split_at_checked(at).ok_or(SHORT)?;
    let body = event.get(HEADER_BYTES..).ok_or(SHORT)?;
    let said = Reader(checksum).u32()?;
    let mut crc = crc32fast::Hasher::new();
    let (header, _) = event.split_at_checked(HEADER_BYTES).ok_or(SHORT)?;
    match header {
        // The file in use is marked in its format description after the checksum was taken.
        [head @ .., low, high] if header.get(4) == Some(&kind::FORMAT_DESCRIPTION) => {
            crc.update(head);
            crc.update(&[*low & !(Header::IN_USE as u8), *high]);
            crc.update(body);
        }
        _ => crc.update(event),
    }
    if crc.finalize() == said { Ok(body) } else { Err(Malformed("an event whose checksum is wrong")) }
}

#[cfg(test)]
mod tests;
