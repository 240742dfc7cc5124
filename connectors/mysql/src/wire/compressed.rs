//! What the servers compress: MariaDB's events (MY-45) and columns (MY-61) by zlib, MySQL's transactions by zstd (MY-44).
//!
//! Nothing is inflated in one piece by a length that the peer supplies: room grows with what really comes, up to a
//! ceiling, and another length than the one announced is an error.

use std::io::{Cursor, Read};

use flate2::read::{DeflateDecoder, ZlibDecoder};
use ruzstd::decoding::{FrameDecoder, StreamingDecoder};

use super::reader::{Reader, SHORT};
use super::{HEADER_BYTES, MAX_EVENT_BYTES, Malformed, Result};

/// The most that one transaction may inflate to: many times what a server keeps for one in memory.
pub const MAX_PAYLOAD_BYTES: u64 = 1 << 40;

const DAMAGED: Malformed = Malformed("compressed data that cannot be inflated");
const OTHER_LENGTH: Malformed = Malformed("compressed data of another length than announced");

/// The part of an event that may be compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Packed<'a> {
    bytes: &'a [u8],
    inflated: Option<usize>,
}

impl<'a> Packed<'a> {
    pub(super) fn plain(bytes: &'a [u8]) -> Self {
        Self { bytes, inflated: None }
    }

    /// Behind a byte `1aaa0lll` (algorithm, which is zlib's 0, and how many bytes the length has) and the length,
    /// big-endian.
    pub(super) fn compressed(bytes: &'a [u8]) -> Result<Self> {
        let mut read = Reader(bytes);
        let head = read.u8()?;
        if head & 0xf0 != 0x80 {
            return Err(Malformed("data compressed in an unknown way"));
        }
        let length = match head & 0x07 {
            bytes @ 1..=4 => read.uint_be(usize::from(bytes))? as usize,
            _ => return Err(Malformed("compressed data without a length")),
        };
        if length > MAX_EVENT_BYTES {
            return Err(Malformed("compressed data that is too long"));
        }
        Ok(Self { bytes: read.0, inflated: Some(length) })
    }

    /// The bytes; where they are compressed, in `buffer`.
    pub fn open<'b>(&self, buffer: &'b mut Vec<u8>) -> Result<&'b [u8]>
    where
        'a: 'b,
    {
        let Some(length) = self.inflated else { return Ok(self.bytes) };
        inflate_exactly(ZlibDecoder::new(self.bytes), length, buffer)?;
        Ok(buffer)
    }

    /// Whether it is compressed.
    pub fn is_compressed(&self) -> bool {
        self.inflated.is_some()
    }
}

/// The value of a compressed column of MariaDB (types 140 and 141); `buffer` holds it where it was compressed.
///
/// A byte `mmmmwlll`: the method (0 none, 8 zlib), whether it is bare deflate, and how many bytes the length has; then
/// the length, big-endian, and the data. An empty value has no bytes at all.
pub fn open_column<'b>(bytes: &'b [u8], buffer: &'b mut Vec<u8>) -> Result<&'b [u8]> {
    let mut read = Reader(bytes);
    if read.is_empty() {
        return Ok(&[]);
    }
    let head = read.u8()?;
    match head >> 4 {
        0 => Ok(read.0),
        8 => {
            let length = match head & 0x07 {
                bytes @ 1..=4 => read.uint_be(usize::from(bytes))? as usize,
                _ => return Err(Malformed("a compressed column without a length")),
            };
            if length > MAX_EVENT_BYTES {
                return Err(Malformed("a compressed column that is too long"));
            }
            if head & 0x08 == 0 {
                inflate_exactly(ZlibDecoder::new(read.0), length, buffer)?;
            } else {
                inflate_exactly(DeflateDecoder::new(read.0), length, buffer)?;
            }
            Ok(buffer)
        }
        _ => Err(Malformed("a column compressed in an unknown way")),
    }
}

/// Replaces `buffer` by what `from` gives, which must be `length` bytes.
fn inflate_exactly(from: impl Read, length: usize, buffer: &mut Vec<u8>) -> Result<()> {
    buffer.clear();
    // One more than announced, to see that there is no more.
    from.take(length as u64 + 1).read_to_end(buffer).map_err(|_| DAMAGED)?;
    if buffer.len() == length { Ok(()) } else { Err(OTHER_LENGTH) }
}

/// TRANSACTION_PAYLOAD: the events of a transaction, compressed together (MY-44).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Payload<'a> {
    is_compressed: bool,
    /// What it inflates to, as announced.
    pub inflated_bytes: u64,
    bytes: &'a [u8],
}

impl<'a> Payload<'a> {
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        let (mut size, mut is_compressed, mut inflated) = (None, true, None);
        loop {
            let kind = read.lenenc()?;
            if kind == 0 {
                break;
            }
            let mut value = Reader(read.lenenc_bytes()?);
            match kind {
                1 => size = Some(value.lenenc_size()?),
                2 => {
                    is_compressed = match value.lenenc()? {
                        0 => true,
                        255 => false,
                        _ => return Err(Malformed("a transaction compressed in an unknown way")),
                    };
                }
                3 => inflated = Some(value.lenenc()?),
                _ => {}
            }
        }
        let bytes = read.bytes(size.ok_or(Malformed("a compressed transaction without its length"))?)?;
        let inflated_bytes = if is_compressed {
            inflated.ok_or(Malformed("a compressed transaction that does not say what it inflates to"))?
        } else {
            bytes.len() as u64
        };
        if inflated_bytes > MAX_PAYLOAD_BYTES {
            return Err(Malformed("a compressed transaction that is too long"));
        }
        Ok(Self { is_compressed, inflated_bytes, bytes })
    }

    /// Begins to inflate it. The compressed bytes are kept, so that it can be gone on with later.
    pub fn open(&self) -> Result<PayloadEvents> {
        let bytes = Cursor::new(self.bytes.to_vec());
        let source = if self.is_compressed {
            let decoder = StreamingDecoder::new(bytes).map_err(|_| DAMAGED)?;
            Source::Zstd(Box::new(decoder))
        } else {
            Source::Plain(bytes)
        };
        Ok(PayloadEvents { source, left: self.inflated_bytes })
    }
}

/// The events inside a transaction's payload, inflated one at a time.
pub struct PayloadEvents {
    source: Source,
    /// What is still to come, as announced.
    left: u64,
}

enum Source {
    Plain(Cursor<Vec<u8>>),
    Zstd(Box<StreamingDecoder<Cursor<Vec<u8>>, FrameDecoder>>),
}

impl PayloadEvents {
    /// Replaces `event` by the bytes of the next one, for [`super::Framing::inner`]; false at the end.
    pub fn next(&mut self, event: &mut Vec<u8>) -> Result<bool> {
        event.clear();
        if self.left == 0 {
            // Whether anything is left decides whether the announced length was true.
            self.take(1, event)?;
            return if event.is_empty() { Ok(false) } else { Err(OTHER_LENGTH) };
        }
        self.take(HEADER_BYTES, event)?;
        let header = super::Header::read(&mut Reader(event))?;
        let length = header.size as usize;
        if !(HEADER_BYTES..=MAX_EVENT_BYTES).contains(&length) {
            return Err(Malformed("an event of an impossible length"));
        }
        self.take(length - HEADER_BYTES, event)?;
        if event.len() < length {
            return Err(SHORT);
        }
        self.left = self.left.checked_sub(length as u64).ok_or(OTHER_LENGTH)?;
        Ok(true)
    }

    /// Appends up to `length` bytes.
    fn take(&mut self, length: usize, to: &mut Vec<u8>) -> Result<()> {
        let limit = length as u64;
        let taken = match &mut self.source {
            Source::Plain(bytes) => bytes.take(limit).read_to_end(to),
            Source::Zstd(decoder) => decoder.take(limit).read_to_end(to),
        };
        taken.map_err(|_| DAMAGED)?;
        Ok(())
    }
}

impl std::fmt::Debug for PayloadEvents {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PayloadEvents").field("left", &self.left).finish_non_exhaustive()
    }
}
