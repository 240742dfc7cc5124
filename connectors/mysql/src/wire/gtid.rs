//! The events that name transactions: MySQL's GTIDs, plain and tagged (MY-21, MY-22), and MariaDB's (MY-23, MY-24).

use super::control::Xid;
use super::reader::{Reader, SHORT};
use super::{Malformed, Result};

/// GTID, ANONYMOUS_GTID or GTID_TAGGED of MySQL: a transaction begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Gtid<'a> {
    /// The server that it was first committed on; meaningless where `number` is 0.
    pub uuid: [u8; 16],
    /// The tag behind it; empty is none.
    pub tag: &'a [u8],
    /// Its number there; 0 where it is anonymous.
    pub number: u64,
    /// When it was committed here, in microseconds since 1970, where the server says so (from 8.0.1 on).
    pub committed_micros: Option<u64>,
    /// Its bytes in the log with this event, where the server says so (from 8.0.2 on).
    pub transaction_bytes: Option<u64>,
}

impl<'a> Gtid<'a> {
    pub(super) fn read(body: &'a [u8], is_anonymous: bool) -> Result<Self> {
        let mut read = Reader(body);
        let _flags = read.u8()?;
        let uuid = read.array()?;
        let number = read.u64()?;
        let mut gtid = Self {
            uuid,
            tag: &[],
            number: if is_anonymous { 0 } else { number },
            committed_micros: None,
            transaction_bytes: None,
        };
        // What follows came with later versions; what is cut off was not written.
        let _ = gtid.logical_clock(read);
        Ok(gtid)
    }

    fn logical_clock(&mut self, mut read: Reader<'a>) -> Result<()> {
        if read.u8()? != 2 {
            return Ok(());
        }
        read.bytes(16)?;
        // 55 bits, and one that says that the original's follows.
        let committed = read.uint(7)?;
        if committed >> 55 == 1 {
            read.uint(7)?;
        }
        self.committed_micros = Some(committed & ((1 << 55) - 1));
        self.transaction_bytes = Some(read.lenenc()?);
        Ok(())
    }

    /// MySQL's own serialisation, from 8.3 on: numbered fields of numbers of variable length.
    pub(super) fn read_tagged(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        if variable(&mut read)? != 1 {
            return Err(Malformed("a tagged GTID in an unknown serialisation"));
        }
        let (_size, last_needed) = (variable(&mut read)?, variable(&mut read)?);
        let mut gtid = Self { uuid: [0; 16], tag: &[], number: 0, committed_micros: None, transaction_bytes: None };
        while !read.is_empty() {
            match variable(&mut read)? {
                1 => {
                    for byte in &mut gtid.uuid {
                        *byte = u8::try_from(variable(&mut read)?).map_err(|_| SHORT)?;
                    }
                }
                2 => {
                    let number = signed(variable(&mut read)?);
                    gtid.number = u64::try_from(number).map_err(|_| Malformed("a GTID with a negative number"))?;
                }
                3 => {
                    let length = usize::try_from(variable(&mut read)?).map_err(|_| SHORT)?;
                    gtid.tag = read.bytes(length)?;
                }
                6 => gtid.committed_micros = Some(variable(&mut read)?),
                8 => gtid.transaction_bytes = Some(variable(&mut read)?),
                // Flags, logical clock, versions, the commit's ticket.
                0 | 4 | 5 | 7 | 9..=11 => drop(variable(&mut read)?),
                unknown if unknown <= last_needed => {
                    return Err(Malformed("a tagged GTID with a field that is not known"));
                }
                // Its length is not known either; fields come in order, and what we need was before it.
                _ => break,
            }
        }
        if gtid.number == 0 { Err(Malformed("a tagged GTID without a number")) } else { Ok(gtid) }
    }
}

/// A number of MySQL's serialisation: as many ones at the low end of the first byte as bytes follow it.
fn variable(read: &mut Reader<'_>) -> Result<u64> {
    let first = read.u8()?;
    let more = first.trailing_ones() as usize;
    let rest = read.uint(more)?;
    Ok(match more {
        0..=6 => u64::from(first) >> (more + 1) | rest << (7 - more),
        _ => rest,
    })
}

/// The sign is the lowest bit, the rest of a negative number its complement.
fn signed(n: u64) -> i64 {
    (n >> 1).cast_signed() ^ -((n & 1).cast_signed())
}

/// PREVIOUS_GTIDS: what the files before this one hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousGtids<'a>(pub(super) &'a [u8]);

/// Some transactions of one server and tag.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PreviousInterval<'a> {
    /// The server.
    pub uuid: [u8; 16],
    /// The tag; empty is none.
    pub tag: &'a [u8],
    /// The first.
    pub first: u64,
    /// Behind the last.
    pub end: u64,
}

impl<'a> PreviousGtids<'a> {
    /// The set that these bytes are.
    #[cfg(test)]
    pub(crate) fn of(bytes: &'a [u8]) -> Self {
        Self(bytes)
    }

    /// Gives each interval to `take`.
    pub fn each(&self, mut take: impl FnMut(PreviousInterval<'a>)) -> Result<()> {
        let mut read = Reader(self.0);
        let head = read.u64()?;
        // Format 1 (with tags) says so in the first and in the last byte; the count is between them.
        let (sources, is_tagged) = match head >> 56 {
            0 => (head, false),
            1 => (head >> 8 & 0xffff_ffff_ffff, true),
            _ => return Err(Malformed("a set of GTIDs in an unknown format")),
        };
        for _ in 0..sources {
            let uuid = read.array()?;
            let tag = if is_tagged {
                let length = usize::try_from(variable(&mut read)?).map_err(|_| SHORT)?;
                read.bytes(length)?
            } else {
                &[]
            };
            let intervals = read.u64()?;
            for _ in 0..intervals {
                take(PreviousInterval { uuid, tag, first: read.u64()?, end: read.u64()? });
            }
        }
        Ok(())
    }
}

/// GTID of MariaDB: a group begins. The server is in the header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MariadbGtid<'a> {
    /// Its number.
    pub sequence: u64,
    /// Its domain.
    pub domain: u32,
    /// It is one event, without an end of its own: a data definition (MY-24).
    pub standalone: bool,
    /// Nothing but transactional tables: it can't end in a ROLLBACK that keeps some of its rows.
    pub transactional: bool,
    /// A data definition.
    pub ddl: bool,
    /// What it does to a distributed transaction (MY-28).
    pub xa: Option<Xa<'a>>,
    /// Which half of an ALTER it is, where it is one (MY-27).
    pub alter: Alter,
}

/// What a group does to a distributed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Xa<'a> {
    /// It holds its rows, and ends in XA PREPARE.
    Prepared(Xid<'a>),
    /// It is XA COMMIT or XA ROLLBACK.
    Completed(Xid<'a>),
}

/// Which half of an ALTER a group is, where the server logs them apart (`binlog_alter_two_phase`).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Alter {
    /// None of it, or a whole one.
    No,
    /// The beginning.
    Start,
    /// The end of the one that began as this number.
    Commit(u64),
    /// The one that began as this number did not happen.
    Rollback(u64),
}

impl<'a> MariadbGtid<'a> {
    const STANDALONE: u8 = 1;
    const GROUP_COMMIT_ID: u8 = 2;
    const TRANSACTIONAL: u8 = 4;
    const DDL: u8 = 32;
    const PREPARED_XA: u8 = 64;
    const COMPLETED_XA: u8 = 128;
    const MULTI_ENGINE: u8 = 1;
    const START_ALTER: u8 = 2;
    const COMMIT_ALTER: u8 = 4;
    const ROLLBACK_ALTER: u8 = 8;

    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        let (sequence, domain, flags) = (read.u64()?, read.u32()?, read.u8()?);
        if flags & Self::GROUP_COMMIT_ID != 0 {
            read.u64()?;
        }
        let mut xa = None;
        if flags & (Self::PREPARED_XA | Self::COMPLETED_XA) != 0 {
            let (format, global, branch) = (read.u32()?, read.u8()?, read.u8()?);
            let xid = Xid::read(&mut read, format, usize::from(global), usize::from(branch))?;
            xa = Some(if flags & Self::PREPARED_XA != 0 { Xa::Prepared(xid) } else { Xa::Completed(xid) });
        }
        // Padding of older servers is zeros, which say nothing.
        let mut alter = Alter::No;
        if let Ok(extra) = read.u8() {
            if extra & Self::MULTI_ENGINE != 0 {
                read.u8()?;
            }
            if extra & (Self::COMMIT_ALTER | Self::ROLLBACK_ALTER) != 0 {
                let began = read.u64()?;
                alter = if extra & Self::COMMIT_ALTER != 0 { Alter::Commit(began) } else { Alter::Rollback(began) };
            } else if extra & Self::START_ALTER != 0 {
                alter = Alter::Start;
            }
        }
        Ok(Self {
            sequence,
            domain,
            standalone: flags & Self::STANDALONE != 0,
            transactional: flags & Self::TRANSACTIONAL != 0,
            ddl: flags & Self::DDL != 0,
            xa,
            alter,
        })
    }
}

/// GTID_LIST of MariaDB: the last of every domain and server before this file, or where the log was entered (MY-25).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct GtidList<'a>(&'a [u8]);

impl<'a> GtidList<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        let count = (read.u32()? & 0x0fff_ffff) as usize;
        Ok(Self(read.bytes(count.checked_mul(16).ok_or(SHORT)?)?))
    }

    /// Domain, server and sequence of each.
    pub fn iter(&self) -> impl Iterator<Item = (u32, u32, u64)> + 'a {
        self.0.as_chunks::<16>().0.iter().filter_map(|entry| {
            let mut read = Reader(entry);
            Some((read.u32().ok()?, read.u32().ok()?, read.u64().ok()?))
        })
    }
}
