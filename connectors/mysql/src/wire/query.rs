//! QUERY: a statement, and what its text means (MY-37).

use super::Result;
use super::compressed::Packed;
use super::reader::Reader;

/// A statement as it was logged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Query<'a> {
    /// The connection that ran it.
    pub thread: u32,
    /// Its error on the source; not 0 where it failed half-way and was logged all the same.
    pub error: u16,
    /// The default database; empty is none.
    pub database: &'a [u8],
    /// What its text depends on.
    pub status: Status<'a>,
    /// Its text.
    pub text: Packed<'a>,
}

/// Session settings that the text of a statement depends on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Status<'a> {
    /// `sql_mode` as bits: 4 is `ANSI_QUOTES`, where `"` quotes names.
    pub sql_mode: Option<u64>,
    /// `character_set_client`, the collation's number: what the text is written in.
    pub charset: Option<u16>,
    /// `collation_server`'s or the database's collation.
    pub database_charset: Option<u16>,
    /// `time_zone`, where the statement used it.
    pub time_zone: Option<&'a [u8]>,
    /// Microseconds of the moment it began, behind the header's seconds.
    pub micros: Option<u32>,
    /// The number of the transaction that a data definition was committed as (MySQL: `Q_DDL_LOGGED_WITH_XID`, MariaDB:
    /// `Q_XID`).
    pub xid: Option<u64>,
}

impl Status<'_> {
    /// Whether `"` quotes names.
    pub fn ansi_quotes(&self) -> bool {
        self.sql_mode.is_some_and(|mode| mode & 4 != 0)
    }

    /// Whether `\` is a letter like others in texts.
    pub fn no_backslash_escapes(&self) -> bool {
        self.sql_mode.is_some_and(|mode| mode & 0x10_0000 != 0)
    }
}

impl<'a> Query<'a> {
    /// `fixed` is what the format description says of its length, from 13 on.
    pub(super) fn read(body: &'a [u8], fixed: usize, is_mariadb: bool, is_compressed: bool) -> Result<Self> {
        let mut read = Reader(body);
        let mut head = Reader(read.bytes(fixed)?);
        let (thread, _seconds) = (head.u32()?, head.u32()?);
        let database = usize::from(head.u8()?);
        let error = head.u16()?;
        let status = usize::from(head.u16()?);
        let status = read.bytes(status)?;
        let database = read.terminated(database)?;
        let text = if is_compressed { Packed::compressed(read.0)? } else { Packed::plain(read.0) };
        Ok(Self { thread, error, database, status: Status::read(status, is_mariadb), text })
    }
}

impl<'a> Status<'a> {
    /// What is cut off or unknown ends the list, as in the servers: the rest has no length to skip it by.
    fn read(bytes: &'a [u8], is_mariadb: bool) -> Self {
        let mut status = Self::default();
        let mut read = Reader(bytes);
        while let Ok(Some(())) = status.variable(&mut read, is_mariadb) {}
        status
    }

    fn variable(&mut self, read: &mut Reader<'a>, is_mariadb: bool) -> Result<Option<()>> {
        match read.u8()? {
            // Q_FLAGS2, Q_AUTO_INCREMENT, Q_MASTER_DATA_WRITTEN
            0 | 3 | 10 => drop(read.u32()?),
            1 => self.sql_mode = Some(read.u64()?),
            // Q_CATALOG, with a zero byte behind it.
            2 => {
                read.short_bytes()?;
                read.u8()?;
            }
            4 => {
                self.charset = Some(read.u16()?);
                read.u32()?;
            }
            5 => self.time_zone = Some(read.short_bytes()?),
            6 => drop(read.short_bytes()?),
            // Q_LC_TIME_NAMES, Q_DEFAULT_COLLATION_FOR_UTF8MB4
            7 | 18 => drop(read.u16()?),
            8 => self.database_charset = Some(read.u16()?),
            // Q_TABLE_MAP_FOR_UPDATE
            9 => drop(read.u64()?),
            // Q_INVOKER
            11 => {
                read.short_bytes()?;
                read.short_bytes()?;
            }
            // Q_UPDATED_DB_NAMES; 254 is "too many".
            12 => match read.u8()? {
                254 => {}
                names => {
                    for _ in 0..names {
                        read.until_zero()?;
                    }
                }
            },
            13 => self.micros = Some(read.uint(3)? as u32),
            // Q_EXPLICIT_DEFAULTS_FOR_TIMESTAMP, Q_SQL_REQUIRE_PRIMARY_KEY, Q_DEFAULT_TABLE_ENCRYPTION
            16 | 19 | 20 => drop(read.u8()?),
            17 if !is_mariadb => self.xid = Some(read.u64()?),
            // Q_HRNOW
            128 if is_mariadb => self.micros = Some(read.uint(3)? as u32),
            129 if is_mariadb => self.xid = Some(read.u64()?),
            // Q_GTID_FLAGS3
            130 if is_mariadb => drop(read.u16()?),
            // Q_CHARACTER_SET_COLLATIONS
            131 if is_mariadb => {
                let pairs = usize::from(read.u8()?);
                read.bytes(pairs * 4)?;
            }
            _ => return Ok(None),
        }
        Ok(Some(()))
    }
}
