//! The small events: where the log goes on, signs of life, ends of transactions, and what cannot be replicated by rows.

use super::reader::Reader;
use super::{Malformed, Result};

/// ROTATE: the log goes on in another file (MY-03, MY-04).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rotate<'a> {
    /// Where in that file; 4 is its beginning.
    pub position: u64,
    /// The file.
    pub file: &'a [u8],
}

impl<'a> Rotate<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        let position = read.u64()?;
        if read.is_empty() {
            return Err(Malformed("a rotation to a file without a name"));
        }
        Ok(Self { position, file: read.0 })
    }
}

/// HEARTBEAT of either version: the server has sent all it has (MY-06).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Heartbeat<'a> {
    /// The file.
    pub file: &'a [u8],
    /// Where in it, where the heartbeat itself says so (version 2); else the header does.
    pub position: Option<u64>,
}

impl<'a> Heartbeat<'a> {
    pub(super) fn read_v2(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        let mut heartbeat = Self { file: &[], position: None };
        while !read.is_empty() {
            let kind = read.lenenc()?;
            if kind == 0 {
                break;
            }
            let value = read.lenenc_bytes()?;
            match kind {
                1 => heartbeat.file = value,
                2 => heartbeat.position = Some(Reader(value).lenenc()?),
                _ => {}
            }
        }
        Ok(heartbeat)
    }
}

/// The name of a distributed transaction.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Xid<'a> {
    /// Format.
    pub format: u32,
    /// Global part, 64 bytes at most.
    pub global: &'a [u8],
    /// Branch, 64 bytes at most.
    pub branch: &'a [u8],
}

impl<'a> Xid<'a> {
    /// The longest part that the servers allow.
    const MAX_PART_BYTES: usize = 64;

    /// Reads both parts, whose lengths are known.
    pub(super) fn read(read: &mut Reader<'a>, format: u32, global: usize, branch: usize) -> Result<Self> {
        if global > Self::MAX_PART_BYTES || branch > Self::MAX_PART_BYTES {
            return Err(Malformed("a transaction's name that is too long"));
        }
        Ok(Self { format, global: read.bytes(global)?, branch: read.bytes(branch)? })
    }
}

/// XA_PREPARE: the end of the first half of a distributed transaction (MY-28).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Prepare<'a> {
    /// `XA COMMIT … ONE PHASE`: it is committed with this event.
    pub one_phase: bool,
    /// Its name.
    pub xid: Xid<'a>,
}

impl<'a> Prepare<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        let one_phase = read.u8()? != 0;
        let (format, global, branch) = (read.u32()?, read.u32()? as usize, read.u32()? as usize);
        Ok(Self { one_phase, xid: Xid::read(&mut read, format, global, branch)? })
    }
}

/// INCIDENT: the log has a hole (MY-36).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Incident<'a> {
    /// 1 is LOST_EVENTS.
    pub number: u16,
    /// The server's words.
    pub text: &'a [u8],
}

impl<'a> Incident<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        Ok(Self { number: read.u16()?, text: if read.is_empty() { &[] } else { read.short_bytes()? } })
    }
}
