//! The bytes of the replication protocol: frames, copy data, pgoutput version 1. Pure, bounds-checked, borrowed.
//!
//! Sources: the server's manual, "Message Formats", "Streaming Replication Protocol", "Logical Replication Message
//! Formats". Nothing here allocates by a number that the peer supplies, and nothing panics on any bytes
//! ([`read_everything`] is the entry for a fuzzer).

#![deny(clippy::indexing_slicing)]

use passerelle_change::Micros;

use crate::{Lsn, ServerError};

/// Bytes that are not the protocol.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Malformed(pub &'static str);

type Result<T> = std::result::Result<T, Malformed>;

/// Microseconds from 1970-01-01 to 2000-01-01, where PostgreSQL's clock begins.
const EPOCH: i64 = 946_684_800_000_000;

/// The longest frame a server sends: its own allocations end at 1 GiB.
pub const MAX_FRAME_BYTES: usize = 1 << 30;

/// One message of the protocol: tag and body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Frame<'a> {
    /// What it is.
    pub tag: u8,
    /// What follows the length.
    pub body: &'a [u8],
}

impl Frame<'_> {
    /// How many bytes it takes on the wire.
    pub fn wire_bytes(&self) -> usize {
        self.body.len() + 5
    }
}

/// The frame at the front of `bytes`, or `None` while it is not whole. One longer than `limit` is an error.
pub fn frame(bytes: &[u8], limit: usize) -> Result<Option<Frame<'_>>> {
    let Some((&[tag, a, b, c, d], rest)) = bytes.split_first_chunk::<5>() else { return Ok(None) };
    let length = u32::from_be_bytes([a, b, c, d]) as usize;
    if length < 4 || length > limit {
        return Err(Malformed("a frame of an impossible length"));
    }
    Ok(rest.get(..length - 4).map(|body| Frame { tag, body }))
}

/// What a `CopyData` frame carries while replication streams.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Copied<'a> {
    /// `w`: one message of the output plugin.
    Data {
        /// Where it is in the log.
        start: Lsn,
        /// The end of the log as the server states it; for logical replication the same as `start`.
        end: Lsn,
        /// The server's clock.
        sent_at: Micros,
        /// For [`message`].
        message: &'a [u8],
    },
    /// `k`: a sign of life.
    Keepalive {
        /// Up to here everything has been sent.
        end: Lsn,
        /// The server's clock.
        sent_at: Micros,
        /// An answer is wanted at once.
        reply: bool,
    },
}

/// Reads the body of a `CopyData` frame.
pub fn copied(body: &[u8]) -> Result<Copied<'_>> {
    let mut read = Reader(body);
    match read.u8()? {
        b'w' => {
            let (start, end, sent_at) = (read.lsn()?, read.lsn()?, read.time()?);
            Ok(Copied::Data { start, end, sent_at, message: read.0 })
        }
        b'k' => {
            let (end, sent_at, reply) = (read.lsn()?, read.time()?, read.u8()? != 0);
            read.finish(Copied::Keepalive { end, sent_at, reply })
        }
        _ => Err(Malformed("copy data of an unknown kind")),
    }
}

/// A message of pgoutput, version 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Message<'a> {
    /// `B`.
    Begin {
        /// Where the transaction's commit is in the log: its number for us.
        final_lsn: Lsn,
        /// By the server's clock.
        committed_at: Micros,
        /// Transaction id.
        xid: u32,
    },
    /// `C`.
    Commit {
        /// Where the commit is in the log.
        commit_lsn: Lsn,
        /// What follows it: what is acknowledged (PG-38).
        end_lsn: Lsn,
        /// By the server's clock.
        committed_at: Micros,
    },
    /// `O`: the transaction came from elsewhere (PG-31).
    Origin {
        /// Its commit there.
        lsn: Lsn,
        /// The origin's name.
        name: &'a [u8],
    },
    /// `R`: a table's columns from here on.
    Relation(Relation<'a>),
    /// `Y`: the name of a type of one of the columns that follow. Of a domain, the name is that of its base type.
    Type {
        /// `pg_type.oid`.
        oid: u32,
        /// Its schema; empty is `pg_catalog`.
        schema: &'a [u8],
        /// Its name.
        name: &'a [u8],
    },
    /// `I`.
    Insert {
        /// The table's oid.
        relation: u32,
        /// The row.
        new: Tuple<'a>,
    },
    /// `U`.
    Update {
        /// The table's oid.
        relation: u32,
        /// The row before, where the key moved or the identity is full.
        old: Option<Old<'a>>,
        /// The row.
        new: Tuple<'a>,
    },
    /// `D`.
    Delete {
        /// The table's oid.
        relation: u32,
        /// The row before.
        old: Old<'a>,
    },
    /// `T`: several tables at once (PG-25).
    Truncate {
        /// `CASCADE` was given.
        cascade: bool,
        /// `RESTART IDENTITY` was given.
        restart_identity: bool,
        /// The tables' oids.
        relations: Oids<'a>,
    },
    /// `M`: `pg_logical_emit_message`. One that is not transactional may stand outside any transaction (PG-32).
    Logical {
        /// Part of the open transaction.
        transactional: bool,
        /// Where it is in the log.
        lsn: Lsn,
        /// Its prefix.
        prefix: &'a [u8],
        /// Its content.
        content: &'a [u8],
    },
}

/// A row before the change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Old<'a> {
    /// `K`: the columns of the replica identity; the others are nulls that mean nothing (PG-17).
    Key(Tuple<'a>),
    /// `O`: all columns.
    Full(Tuple<'a>),
}

/// A table as `R` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Relation<'a> {
    /// `pg_class.oid`.
    pub oid: u32,
    /// Its schema; empty is `pg_catalog`.
    pub schema: &'a [u8],
    /// Its name.
    pub name: &'a [u8],
    /// `pg_class.relreplident`: `d`, `n`, `f` or `i`.
    pub identity: u8,
    count: u16,
    columns: &'a [u8],
}

/// A column as `R` describes it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RelationColumn<'a> {
    /// Part of the replica identity (under FULL every one is).
    pub identity: bool,
    /// Its name.
    pub name: &'a [u8],
    /// `pg_type.oid`.
    pub type_oid: u32,
    /// `atttypmod`.
    pub typmod: i32,
}

impl<'a> Relation<'a> {
    /// Its columns in order.
    pub fn columns(&self) -> impl Iterator<Item = Result<RelationColumn<'a>>> {
        let mut read = Reader(self.columns);
        (0..self.count).map(move |_| read.column())
    }
}

/// A row: read by [`Tuple::read`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Tuple<'a> {
    count: u16,
    bytes: &'a [u8],
}

/// A column of a [`Tuple`]: texts are places in its bytes, so that the list of them can be kept and filled again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Field {
    /// `n`.
    Null,
    /// `u`: a TOASTed value that did not change and is not sent (PG-15).
    Unchanged,
    /// `t`.
    Text {
        /// First byte.
        start: u32,
        /// Behind the last byte.
        end: u32,
    },
}

impl<'a> Tuple<'a> {
    /// Replaces `fields` by this row's.
    pub fn read(&self, fields: &mut Vec<Field>) -> Result<()> {
        fields.clear();
        let rest = self.walk(|field| fields.push(field))?;
        if rest.is_empty() { Ok(()) } else { Err(Malformed("bytes after a row")) }
    }

    /// The text of a field of this tuple; `None` for null and unchanged.
    pub fn text(&self, field: Field) -> Option<&'a [u8]> {
        match field {
            Field::Text { start, end } => self.bytes.get(start as usize..end as usize),
            Field::Null | Field::Unchanged => None,
        }
    }

    /// Gives each field to `take`; returns the bytes behind the tuple.
    fn walk(&self, mut take: impl FnMut(Field)) -> Result<&'a [u8]> {
        let mut rest = self.bytes;
        for _ in 0..self.count {
            let (&kind, after) = rest.split_first().ok_or(SHORT)?;
            rest = after;
            match kind {
                b't' => {
                    let (length, after) = rest.split_first_chunk::<4>().ok_or(SHORT)?;
                    let length = u32::from_be_bytes(*length) as usize;
                    rest = after.get(length..).ok_or(SHORT)?;
                    let end = self.bytes.len() - rest.len();
                    take(Field::Text { start: (end - length) as u32, end: end as u32 });
                }
                b'n' => take(Field::Null),
                b'u' => take(Field::Unchanged),
                _ => return Err(Malformed("a value of an unknown kind")),
            }
        }
        Ok(rest)
    }
}

/// A list of oids.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Oids<'a>(&'a [u8]);

impl Oids<'_> {
    /// Each in order.
    pub fn iter(&self) -> impl Iterator<Item = u32> {
        self.0.as_chunks::<4>().0.iter().map(|oid| u32::from_be_bytes(*oid))
    }
}

/// Reads a message of pgoutput. The rows in it are read later, by [`Tuple::read`].
pub fn message(bytes: &[u8]) -> Result<Message<'_>> {
    let mut read = Reader(bytes);
    match read.u8()? {
        b'I' => {
            let relation = read.u32()?;
            Ok(Message::Insert { relation, new: read.tuple_after(b'N')? })
        }
        b'U' => update(read),
        b'D' => {
            let relation = read.u32()?;
            let old = read.old()?.ok_or(Malformed("a delete without the row before it"))?;
            Ok(Message::Delete { relation, old })
        }
        b'B' => {
            let begin = Message::Begin { final_lsn: read.lsn()?, committed_at: read.time()?, xid: read.u32()? };
            read.finish(begin)
        }
        b'C' => {
            let _flags = read.u8()?;
            let commit = Message::Commit { commit_lsn: read.lsn()?, end_lsn: read.lsn()?, committed_at: read.time()? };
            read.finish(commit)
        }
        b'R' => relation(read),
        b'Y' => {
            let oid = read.u32()?;
            let (schema, name) = (read.text()?, read.text()?);
            read.finish(Message::Type { oid, schema, name })
        }
        b'T' => {
            let count = read.u32()? as usize;
            let options = read.u8()?;
            if count.checked_mul(4) != Some(read.0.len()) {
                return Err(Malformed("a truncate whose list has another length than it says"));
            }
            let (cascade, restart_identity) = (options & 1 != 0, options & 2 != 0);
            Ok(Message::Truncate { cascade, restart_identity, relations: Oids(read.0) })
        }
        b'O' => {
            let (lsn, name) = (read.lsn()?, read.text()?);
            read.finish(Message::Origin { lsn, name })
        }
        b'M' => {
            let (flags, lsn, prefix) = (read.u8()?, read.lsn()?, read.text()?);
            let length = read.u32()? as usize;
            let content = read.bytes(length)?;
            read.finish(Message::Logical { transactional: flags & 1 != 0, lsn, prefix, content })
        }
        _ => Err(Malformed("a message of an unknown kind")),
    }
}

fn update(mut read: Reader<'_>) -> Result<Message<'_>> {
    let relation = read.u32()?;
    let old = read.old()?;
    if let Some(Old::Key(tuple) | Old::Full(tuple)) = old {
        read.0 = tuple.walk(|_| ())?;
    }
    let new = read.tuple_after(b'N')?;
    // The old tuple ends where the new one begins.
    let behind = 3 + new.bytes.len();
    let cut = |tuple: Tuple<'_>| tuple.bytes.len().checked_sub(behind).ok_or(SHORT);
    let old = match old {
        Some(Old::Key(t)) => Some(Old::Key(Tuple { bytes: t.bytes.get(..cut(t)?).ok_or(SHORT)?, ..t })),
        Some(Old::Full(t)) => Some(Old::Full(Tuple { bytes: t.bytes.get(..cut(t)?).ok_or(SHORT)?, ..t })),
        None => None,
    };
    Ok(Message::Update { relation, old, new })
}

fn relation(mut read: Reader<'_>) -> Result<Message<'_>> {
    let oid = read.u32()?;
    let (schema, name) = (read.text()?, read.text()?);
    let (identity, count) = (read.u8()?, read.u16()?);
    let columns = read.0;
    for _ in 0..count {
        read.column()?;
    }
    read.finish(Message::Relation(Relation { oid, schema, name, identity, count, columns }))
}

/// Appends a standby status update ('r') in its `CopyData` frame (PG-01).
pub fn push_status(out: &mut Vec<u8>, received: Lsn, flushed: Lsn, now: Micros, reply: bool) {
    out.push(b'd');
    out.extend_from_slice(&(4 + 34_u32).to_be_bytes());
    out.push(b'r');
    for lsn in [received, flushed, flushed] {
        out.extend_from_slice(&lsn.0.to_be_bytes());
    }
    out.extend_from_slice(&now.0.saturating_sub(EPOCH).to_be_bytes());
    out.push(u8::from(reply));
}

/// Reads the body of an `ErrorResponse` or `NoticeResponse`. The detail is left out: it may quote rows. What cannot be
/// read stays empty.
pub fn server_error(body: &[u8]) -> ServerError {
    /// More than any message of the server that is meant for people.
    const MAX_TEXT_BYTES: usize = 2_000;
    let mut error = ServerError::default();
    let mut read = Reader(body);
    while let Ok(kind @ 1..) = read.u8() {
        let Ok(text) = read.text() else { break };
        let text = || String::from_utf8_lossy(text.get(..MAX_TEXT_BYTES).unwrap_or(text)).into_owned();
        match kind {
            b'C' => error.code = text(),
            b'M' => error.message = text(),
            b'H' => error.hint = Some(text()),
            _ => {}
        }
    }
    error
}

/// Reads `bytes` as frames, as copy data and as a message of pgoutput, with everything in them. Answers how many rows
/// and columns were seen; never panics.
pub fn read_everything(bytes: &[u8]) -> usize {
    let mut rest = bytes;
    let mut seen = read_message(bytes);
    while let Ok(Some(frame)) = frame(rest, MAX_FRAME_BYTES) {
        match frame.tag {
            b'E' | b'N' => seen += server_error(frame.body).message.len(),
            _ => {
                if let Ok(Copied::Data { message, .. }) = copied(frame.body) {
                    seen += read_message(message);
                }
            }
        }
        rest = rest.get(frame.wire_bytes()..).unwrap_or_default();
    }
    seen
}

fn read_message(bytes: &[u8]) -> usize {
    let mut fields = Vec::new();
    let mut row = |tuple: Tuple<'_>| {
        let read = tuple.read(&mut fields);
        fields.iter().filter(|field| read.is_ok() && tuple.text(**field).is_some()).count()
    };
    match message(bytes) {
        Ok(Message::Update { old: Some(Old::Key(old) | Old::Full(old)), new, .. }) => row(old) + row(new),
        Ok(Message::Insert { new, .. } | Message::Update { old: None, new, .. }) => row(new),
        Ok(Message::Delete { old: Old::Key(old) | Old::Full(old), .. }) => row(old),
        Ok(Message::Relation(relation)) => relation.columns().flatten().count(),
        Ok(Message::Truncate { relations, .. }) => relations.iter().count(),
        Ok(_) | Err(_) => 0,
    }
}

const SHORT: Malformed = Malformed("a message that ends too early");

/// Takes from the front.
#[derive(Clone, Copy)]
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*array)
    }

    fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_be_bytes)
    }

    fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_be_bytes)
    }

    fn lsn(&mut self) -> Result<Lsn> {
        self.array().map(u64::from_be_bytes).map(Lsn)
    }

    fn time(&mut self) -> Result<Micros> {
        self.array().map(|bytes| Micros(i64::from_be_bytes(bytes).saturating_add(EPOCH)))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Up to a zero byte, which is taken too.
    fn text(&mut self) -> Result<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or(SHORT)?;
        let text = self.bytes(end)?;
        self.u8()?;
        Ok(text)
    }

    fn column(&mut self) -> Result<RelationColumn<'a>> {
        let (flags, name) = (self.u8()?, self.text()?);
        let (type_oid, typmod) = (self.u32()?, self.u32()?.cast_signed());
        Ok(RelationColumn { identity: flags & 1 != 0, name, type_oid, typmod })
    }

    /// A tuple up to the end of the message.
    fn tuple(&mut self) -> Result<Tuple<'a>> {
        Ok(Tuple { count: self.u16()?, bytes: self.0 })
    }

    fn tuple_after(&mut self, tag: u8) -> Result<Tuple<'a>> {
        if self.u8()? == tag { self.tuple() } else { Err(Malformed("a row of an unknown kind")) }
    }

    /// The old tuple, if the next one is.
    fn old(&mut self) -> Result<Option<Old<'a>>> {
        match self.0.first() {
            Some(b'K') => Ok(Some(Old::Key(self.tuple_after(b'K')?))),
            Some(b'O') => Ok(Some(Old::Full(self.tuple_after(b'O')?))),
            _ => Ok(None),
        }
    }

    fn finish<T>(&self, done: T) -> Result<T> {
        if self.0.is_empty() { Ok(done) } else { Err(Malformed("bytes after the end of a message")) }
    }
}

#[cfg(test)]
mod tests;
