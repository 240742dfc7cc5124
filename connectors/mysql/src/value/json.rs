//! MySQL's binary JSON as text, exactly as the server prints it (MY-75), and changes of parts of it (MY-57).
//!
//! A document is read into a tree of borrowed pieces. Its containers hold offsets, which may lie: each byte is counted
//! when it is used, and a document that uses more than it has is refused, as is one deeper than the server allows.

mod diff;
mod print;

pub(super) use diff::apply;

use crate::wire::{Malformed, Reader};

/// As deep as the server nests.
const MAX_DEPTH: usize = 100;

/// A value of a document.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Node<'a> {
    Null,
    Bool(bool),
    Int(i64),
    Uint(u64),
    Double(f64),
    /// UTF-8.
    Text(&'a [u8]),
    /// A value that JSON has no form for: its column type, and its bytes.
    Opaque(u8, &'a [u8]),
    Array(Vec<Node<'a>>),
    /// Keys are in the server's order: by length, then by bytes.
    Object(Vec<(std::borrow::Cow<'a, [u8]>, Node<'a>)>),
}

/// Reads a whole document. None at all is what a JSON column has where it was made `NOT NULL` without a value: null.
pub(super) fn read(bytes: &[u8]) -> Result<Node<'_>, Malformed> {
    let Some((&kind, body)) = bytes.split_first() else { return Ok(Node::Null) };
    Parser { left: bytes.len() }.value(kind, body, 0)
}

/// Appends the document's text.
pub(super) fn push_text(bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    print::push(&read(bytes)?, out)
}

const WRONG: Malformed = Malformed("a JSON document that is damaged");

struct Parser {
    /// How many bytes may still be used.
    left: usize,
}

impl Parser {
    fn spend(&mut self, bytes: usize) -> Result<(), Malformed> {
        self.left = self.left.checked_sub(bytes).ok_or(WRONG)?;
        Ok(())
    }

    fn value<'a>(&mut self, kind: u8, body: &'a [u8], depth: usize) -> Result<Node<'a>, Malformed> {
        if depth > MAX_DEPTH {
            return Err(Malformed("a JSON document that is nested too deep"));
        }
        self.spend(1)?;
        let mut read = Reader(body);
        Ok(match kind {
            0 | 2 => self.container(body, 2, kind == 0, depth)?,
            1 | 3 => self.container(body, 4, kind == 1, depth)?,
            4 => literal(u64::from(read.u8()?))?,
            5 => Node::Int(i64::from(read.u16()?.cast_signed())),
            6 => Node::Uint(u64::from(read.u16()?)),
            7 => Node::Int(i64::from(read.u32()?.cast_signed())),
            8 => Node::Uint(u64::from(read.u32()?)),
            9 => Node::Int(read.u64()?.cast_signed()),
            10 => Node::Uint(read.u64()?),
            11 => Node::Double(f64::from_bits(read.u64()?)),
            12 => Node::Text(self.text(&mut read)?),
            15 => {
                let kind = read.u8()?;
                Node::Opaque(kind, self.text(&mut read)?)
            }
            _ => return Err(WRONG),
        })
    }

    /// Bytes behind a length of seven bits a byte, five bytes at most.
    fn text<'a>(&mut self, read: &mut Reader<'a>) -> Result<&'a [u8], Malformed> {
        let mut length = 0_usize;
        for shift in (0..35).step_by(7) {
            let byte = read.u8()?;
            length |= usize::from(byte & 0x7f) << shift;
            if byte < 0x80 {
                self.spend(length)?;
                return read.bytes(length);
            }
        }
        Err(WRONG)
    }

    /// Counts and offsets are of `wide` bytes; offsets count from the container's beginning.
    fn container<'a>(
        &mut self,
        body: &'a [u8],
        wide: usize,
        is_object: bool,
        depth: usize,
    ) -> Result<Node<'a>, Malformed> {
        let mut read = Reader(body);
        let count = read.uint(wide)? as usize;
        let size = read.uint(wide)? as usize;
        let body = body.get(..size).ok_or(WRONG)?;
        let mut keys = Reader(body.get(2 * wide..).ok_or(WRONG)?);
        let mut values = keys;
        if is_object {
            values.bytes(count.checked_mul(wide + 2).ok_or(WRONG)?)?;
        }
        // Entries are bounded by what they take of the document.
        self.spend(count.checked_mul(1 + wide).ok_or(WRONG)?)?;
        let (mut items, mut members) = (Vec::new(), Vec::new());
        for _ in 0..count {
            let kind = values.u8()?;
            let entry = values.bytes(wide)?;
            let value = match kind {
                4 => literal(Reader(entry).uint(wide)?)?,
                5 | 6 => self.value(kind, entry, depth + 1)?,
                7 | 8 if wide == 4 => self.value(kind, entry, depth + 1)?,
                _ => {
                    let at = Reader(entry).uint(wide)? as usize;
                    self.value(kind, body.get(at..).ok_or(WRONG)?, depth + 1)?
                }
            };
            if is_object {
                let (at, length) = (keys.uint(wide)? as usize, usize::from(keys.u16()?));
                self.spend(length)?;
                let key = body.get(at..).and_then(|from| from.get(..length)).ok_or(WRONG)?;
                members.push((key.into(), value));
            } else {
                items.push(value);
            }
        }
        Ok(if is_object { Node::Object(members) } else { Node::Array(items) })
    }
}

fn literal(n: u64) -> Result<Node<'static>, Malformed> {
    match n {
        0 => Ok(Node::Null),
        1 => Ok(Node::Bool(true)),
        2 => Ok(Node::Bool(false)),
        _ => Err(WRONG),
    }
}

#[cfg(test)]
mod tests;
