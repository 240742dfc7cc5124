//! Takes numbers and texts from the front of bytes. Little-endian, as the binary log is, unless a name says otherwise.

use super::{Malformed, Result};

/// What ends before it is whole.
pub(crate) const SHORT: Malformed = Malformed("an event that ends too early");

/// The bytes that are left.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn array<const N: usize>(&mut self) -> Result<[u8; N]> {
        let (array, rest) = self.0.split_first_chunk::<N>().ok_or(SHORT)?;
        self.0 = rest;
        Ok(*array)
    }

    pub(crate) fn u8(&mut self) -> Result<u8> {
        self.array::<1>().map(|[byte]| byte)
    }

    pub(crate) fn u16(&mut self) -> Result<u16> {
        self.array().map(u16::from_le_bytes)
    }

    pub(crate) fn u32(&mut self) -> Result<u32> {
        self.array().map(u32::from_le_bytes)
    }

    pub(crate) fn u64(&mut self) -> Result<u64> {
        self.array().map(u64::from_le_bytes)
    }

    /// A number of `bytes` bytes, eight at most.
    pub(crate) fn uint(&mut self, bytes: usize) -> Result<u64> {
        let taken = self.bytes(bytes)?;
        Ok(taken.iter().rev().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    /// The same, big-endian.
    pub(crate) fn uint_be(&mut self, bytes: usize) -> Result<u64> {
        let taken = self.bytes(bytes)?;
        Ok(taken.iter().fold(0, |n, &byte| n << 8 | u64::from(byte)))
    }

    /// A length-encoded number: one byte below 251, else a byte that says how many follow.
    pub(crate) fn lenenc(&mut self) -> Result<u64> {
        match self.u8()? {
            small @ 0..=250 => Ok(u64::from(small)),
            252 => self.uint(2),
            253 => self.uint(3),
            254 => self.uint(8),
            251 | 255 => Err(Malformed("a length-encoded number of no length")),
        }
    }

    /// A length-encoded number that counts or measures something in memory.
    pub(crate) fn lenenc_size(&mut self) -> Result<usize> {
        usize::try_from(self.lenenc()?).map_err(|_| SHORT)
    }

    pub(crate) fn bytes(&mut self, length: usize) -> Result<&'a [u8]> {
        let (bytes, rest) = self.0.split_at_checked(length).ok_or(SHORT)?;
        self.0 = rest;
        Ok(bytes)
    }

    /// Bytes behind their length-encoded length.
    pub(crate) fn lenenc_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.lenenc_size()?;
        self.bytes(length)
    }

    /// Bytes behind their length of one byte.
    pub(crate) fn short_bytes(&mut self) -> Result<&'a [u8]> {
        let length = self.u8()?;
        self.bytes(usize::from(length))
    }

    /// `length` bytes and the zero byte behind them, which is taken too.
    pub(crate) fn terminated(&mut self, length: usize) -> Result<&'a [u8]> {
        let text = self.bytes(length)?;
        if self.u8()? == 0 { Ok(text) } else { Err(Malformed("a name that is longer than it says")) }
    }

    /// Up to a zero byte, which is taken too.
    pub(crate) fn until_zero(&mut self) -> Result<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == 0).ok_or(SHORT)?;
        self.terminated(end)
    }

    /// A bitmap of `bits` bits.
    pub(crate) fn bitmap(&mut self, bits: usize) -> Result<Bitmap<'a>> {
        self.bytes(bits.div_ceil(8)).map(Bitmap)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// Bits as rows have them: the first is the lowest of the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bitmap<'a>(pub(crate) &'a [u8]);

impl Bitmap<'_> {
    /// Whether a bit is set; those outside are not.
    pub fn get(self, bit: usize) -> bool {
        self.0.get(bit / 8).is_some_and(|byte| byte >> (bit % 8) & 1 == 1)
    }

    /// How many of the first `bits` bits are set.
    pub fn count(self, bits: usize) -> usize {
        let whole: usize = self.0.iter().take(bits / 8).map(|byte| byte.count_ones() as usize).sum();
        let rest = self.0.get(bits / 8).map_or(0, |byte| (byte & ((1 << (bits % 8)) - 1)).count_ones() as usize);
        whole + rest
    }
}

/// Bits as the metadata of a table has them: the first is the highest of the first byte.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct HighFirst<'a>(pub(crate) &'a [u8]);

impl HighFirst<'_> {
    pub(crate) fn get(self, bit: usize) -> bool {
        self.0.get(bit / 8).is_some_and(|byte| byte << (bit % 8) & 0x80 != 0)
    }
}
