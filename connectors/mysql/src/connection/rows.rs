//! Rows of a query in the text protocol ("COM_QUERY Response"), read where they were received: the driver would make a
//! value of each cell, and read the rest of a table's rows before it lets go of a connection.

use super::{COM_QUERY, Connection, ERROR, OK, SMALL_READ_BYTES, server_error};
use crate::Error;
use crate::wire::{Malformed, Reader};

/// More columns than a table can have.
const MAX_COLUMNS: u64 = 4096;

/// What is at hand of a result.
#[derive(Debug)]
pub(crate) enum Next<'a> {
    /// A row.
    Row(Cells<'a>),
    /// There are no more.
    End,
    /// More has to be read first.
    Nothing,
}

/// The cells of a row.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Cells<'a>(&'a [u8]);

impl<'a> Cells<'a> {
    /// The next cell: null or its bytes.
    pub(crate) fn next(&mut self) -> Result<Option<&'a [u8]>, Malformed> {
        const NULL: u8 = 0xfb;
        if let [NULL, rest @ ..] = self.0 {
            self.0 = rest;
            return Ok(None);
        }
        let mut read = Reader(self.0);
        let cell = read.lenenc_bytes()?;
        self.0 = read.0;
        Ok(Some(cell))
    }
}

impl Connection {
    /// Sends a query, and reads up to its first row. Not cancel-safe: the connection is of no use after.
    pub(crate) async fn query(&mut self, sql: &str) -> Result<(), Error> {
        let mut command = vec![COM_QUERY];
        command.extend_from_slice(sql.as_bytes());
        self.send_command(&command).await?;
        let head = self.packet().await?;
        if let Some(error) = server_error(&head) {
            return Err(error);
        }
        let columns = Reader(&head).lenenc()?;
        if columns == u64::from(OK) || columns > MAX_COLUMNS {
            return Err(Malformed("an answer to a query that has no rows").into());
        }
        for _ in 0..columns {
            self.packet().await?;
        }
        if is_end(&self.packet().await?) { Ok(()) } else { Err(Malformed("columns without an end").into()) }
    }

    /// What of the result is at hand.
    pub(crate) fn next_row(&mut self) -> Result<Next<'_>, Error> {
        match self.inbound.next()? {
            None => Ok(Next::Nothing),
            Some(packet) if is_end(packet) => Ok(Next::End),
            Some(packet) if packet.first() == Some(&ERROR) => Err(server_error(packet).unwrap_or(Error::Closed)),
            Some(packet) => Ok(Next::Row(Cells(packet))),
        }
    }

    /// The rows of a query that has few.
    pub(crate) async fn rows(&mut self, sql: &str) -> Result<Vec<Vec<Option<String>>>, Error> {
        self.query(sql).await?;
        let mut rows = Vec::new();
        loop {
            match self.next_row()? {
                Next::Row(mut cells) => {
                    let mut row = Vec::new();
                    while !cells.0.is_empty() {
                        row.push(cells.next()?.map(|cell| String::from_utf8_lossy(cell).into_owned()));
                    }
                    rows.push(row);
                }
                Next::End => return Ok(rows),
                Next::Nothing => {
                    self.read_some(SMALL_READ_BYTES).await?;
                }
            }
        }
    }
}

/// `EOF`: a row that begins so has a cell of more than 16 MiB.
fn is_end(packet: &[u8]) -> bool {
    packet.first() == Some(&0xfe) && packet.len() < 9
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_cells_differ() {
        let mut cells = Cells(b"\xfb\x00\x02ab\xfc\x01\x00c\x03d");
        assert_eq!(cells.next(), Ok(None));
        assert_eq!(cells.next(), Ok(Some(b"".as_slice())));
        assert_eq!(cells.next(), Ok(Some(b"ab".as_slice())));
        assert_eq!(cells.next(), Ok(Some(b"c".as_slice())));
        assert!(cells.next().is_err());
    }

    #[test]
    fn the_end_of_a_result() {
        assert!(is_end(b"\xfe\0\0\x02\0"));
        assert!(!is_end(b"\xfe\0\0\0\x01\0\0\0\0x"));
        assert!(!is_end(b"\x01x"));
    }
}
