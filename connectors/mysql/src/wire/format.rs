//! FORMAT_DESCRIPTION: how the events that follow are laid out (MY-01, MY-02).

use super::reader::{Reader, SHORT};
use super::{Malformed, Result};

/// Bytes of a checksum.
pub(crate) const CHECKSUM_BYTES: usize = 4;

/// How events are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Checksum {
    /// Not at all.
    None,
    /// CRC-32 of the event, in its last four bytes.
    Crc32,
}

/// A format description.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Format<'a> {
    /// The server's version, as it prints it: `10.11.19-MariaDB-log`.
    pub version: &'a [u8],
    /// When the file was begun, in seconds since 1970; 0 where it goes on (not the first after a start).
    pub created: u32,
    /// Of the events that follow.
    pub checksum: Checksum,
    /// Lengths of the fixed parts that follow the header, by type of event from 1 on.
    pub(crate) post_header: &'a [u8],
}

impl<'a> Format<'a> {
    /// Reads the whole body, with the trailing checksum where there is one: only the description itself says whether.
    pub(super) fn read(body: &'a [u8]) -> Result<Self> {
        let mut read = Reader(body);
        if read.u16()? != 4 {
            return Err(Malformed("a binary log of a version before MySQL 5.0"));
        }
        let version = read.bytes(50)?;
        let version = version.split(|&byte| byte == 0).next().unwrap_or_default();
        let created = read.u32()?;
        if usize::from(read.u8()?) != super::HEADER_BYTES {
            return Err(Malformed("a binary log with headers of an unknown length"));
        }
        let (post_header, checksum) = if knows_checksums(version) {
            // The algorithm and a checksum, which is there whatever the algorithm is.
            let at = read.0.len().checked_sub(1 + CHECKSUM_BYTES).ok_or(SHORT)?;
            let (lengths, tail) = read.0.split_at_checked(at).ok_or(SHORT)?;
            let checksum = match tail.first() {
                Some(0) => Checksum::None,
                Some(1) => Checksum::Crc32,
                _ => return Err(Malformed("a binary log with checksums of an unknown kind")),
            };
            (lengths, checksum)
        } else {
            (read.0, Checksum::None)
        };
        Ok(Self { version, created, checksum, post_header })
    }

    /// Whether it is MariaDB that wrote it.
    pub fn is_mariadb(&self) -> bool {
        self.version.windows(7).any(|part| part.eq_ignore_ascii_case(b"mariadb"))
    }
}

/// MySQL from 5.6.1 on and MariaDB from 5.3 on.
pub(super) fn knows_checksums(version: &[u8]) -> bool {
    let mut numbers = version.split(|byte| !byte.is_ascii_digit()).map_while(|digits| {
        let text = std::str::from_utf8(digits).ok()?;
        text.parse::<u32>().ok()
    });
    let number = (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0), numbers.next().unwrap_or(0));
    let is_mariadb = version.windows(7).any(|part| part.eq_ignore_ascii_case(b"mariadb"));
    number >= if is_mariadb { (5, 3, 0) } else { (5, 6, 1) }
}
