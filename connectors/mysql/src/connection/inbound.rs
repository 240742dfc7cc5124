//! Packets from the bytes of the connection. Pure.
//!
//! A packet is a length of three bytes, a number that counts packets, and so many bytes; one of 16 MiB less a byte goes on
//! in the next (MY-05).

use bytes::{Buf, BytesMut};

use crate::wire::Malformed;

/// A packet of this length goes on.
const WHOLE: usize = 0xff_ffff;
const HEAD: usize = 4;

/// After something that needed more, buffers are made small again.
const KEPT_BYTES: usize = 4 << 20;

/// What was received and not yet read.
#[derive(Debug)]
pub(crate) struct Inbound {
    bytes: BytesMut,
    /// Up to here it is read.
    read: usize,
    /// A packet that came in pieces.
    joined: Vec<u8>,
    /// More pieces of it are to come.
    is_open: bool,
    /// The number of the next packet of either side.
    sequence: u8,
    /// The longest packet.
    limit: usize,
}

impl Inbound {
    /// A packet of more than `limit` bytes is refused.
    pub(crate) fn new(limit: usize) -> Self {
        Self { bytes: BytesMut::new(), read: 0, joined: Vec::new(), is_open: false, sequence: 0, limit }
    }

    /// Packets of up to so many bytes are taken from here on.
    pub(crate) fn allow(&mut self, limit: usize) {
        self.limit = limit;
    }

    /// A command begins to count anew.
    pub(crate) fn begin_command(&mut self) {
        self.sequence = 0;
    }

    /// The number of a packet that is to be sent.
    pub(crate) fn next_sequence(&mut self) -> u8 {
        let sequence = self.sequence;
        self.sequence = sequence.wrapping_add(1);
        sequence
    }

    /// Nothing is left to be read.
    pub(crate) fn is_empty(&self) -> bool {
        self.read == self.bytes.len()
    }

    /// Bytes of packets that were given out since the last [`Inbound::room`].
    pub(crate) fn taken(&self) -> usize {
        self.read
    }

    /// The payload of the next packet; `None` until all of it was received.
    pub(crate) fn next(&mut self) -> Result<Option<&[u8]>, Malformed> {
        if !self.is_open {
            self.joined.clear();
            self.joined.shrink_to(KEPT_BYTES);
        }
        loop {
            let rest = self.bytes.get(self.read..).unwrap_or_default();
            let Some(&[a, b, c, sequence]) = rest.first_chunk::<HEAD>() else { return Ok(None) };
            let length = u32::from_le_bytes([a, b, c, 0]) as usize;
            if self.joined.len() + length > self.limit {
                return Err(Malformed("a packet that is longer than any is"));
            }
            if sequence != self.sequence {
                return Err(Malformed("a packet out of order"));
            }
            if rest.len() < HEAD + length {
                return Ok(None);
            }
            self.sequence = sequence.wrapping_add(1);
            let start = self.read + HEAD;
            self.read = start + length;
            let payload = self.bytes.get(start..self.read).unwrap_or_default();
            if !self.is_open && length < WHOLE {
                return Ok(self.bytes.get(start..self.read));
            }
            self.joined.extend_from_slice(payload);
            self.is_open = length == WHOLE;
            if !self.is_open {
                return Ok(Some(&self.joined));
            }
        }
    }

    /// The buffer with room for at least `room` bytes more. What was read is thrown away.
    pub(crate) fn room(&mut self, room: usize) -> &mut BytesMut {
        self.bytes.advance(self.read);
        self.read = 0;
        if self.bytes.capacity() > KEPT_BYTES && self.bytes.len() < KEPT_BYTES / 4 {
            let mut smaller = BytesMut::with_capacity(self.bytes.len() + room);
            smaller.extend_from_slice(&self.bytes);
            self.bytes = smaller;
        }
        self.bytes.reserve(room);
        &mut self.bytes
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn framed(payloads: &[Vec<u8>]) -> Vec<u8> {
        let (mut bytes, mut sequence) = (Vec::new(), 0_u8);
        for payload in payloads {
            let mut chunks: Vec<&[u8]> = payload.chunks(WHOLE).collect();
            if chunks.last().is_none_or(|last| last.len() == WHOLE) {
                chunks.push(&[]);
            }
            for chunk in chunks {
                bytes.extend_from_slice(&(chunk.len() as u32).to_le_bytes()[..3]);
                bytes.push(sequence);
                bytes.extend_from_slice(chunk);
                sequence = sequence.wrapping_add(1);
            }
        }
        bytes
    }

    fn read(bytes: &[u8], piece: usize, limit: usize) -> Result<Vec<Vec<u8>>, Malformed> {
        let mut inbound = Inbound::new(limit);
        let mut packets = Vec::new();
        for piece in bytes.chunks(piece) {
            inbound.room(piece.len()).extend_from_slice(piece);
            while let Some(packet) = inbound.next()? {
                packets.push(packet.to_vec());
            }
        }
        assert!(inbound.is_empty());
        Ok(packets)
    }

    #[test]
    fn my_05_packets_of_more_than_16_mib_are_joined() {
        for length in [WHOLE - 1, WHOLE, WHOLE + 1, 2 * WHOLE, 2 * WHOLE + 7] {
            let payloads = [vec![1], vec![7; length], vec![2, 3], vec![]];
            assert_eq!(read(&framed(&payloads), 1 << 20, 1 << 30), Ok(payloads.to_vec()), "{length}");
        }
        let long = framed(&[vec![7; WHOLE + 10]]);
        assert_eq!(read(&long, 1 << 20, WHOLE + 9), Err(Malformed("a packet that is longer than any is")));
    }

    #[test]
    fn packets_out_of_order_are_refused() {
        let mut bytes = framed(&[vec![1], vec![2]]);
        bytes[8] = 7;
        assert_eq!(read(&bytes, 100, 100), Err(Malformed("a packet out of order")));
    }

    proptest! {
        #[test]
        fn packets_come_out_as_they_went_in(payloads: Vec<Vec<u8>>, piece in 1..50_usize) {
            prop_assert_eq!(read(&framed(&payloads), piece, 1 << 20), Ok(payloads));
        }

        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            let mut inbound = Inbound::new(1 << 16);
            inbound.room(bytes.len()).extend_from_slice(&bytes);
            while let Ok(Some(_)) = inbound.next() {}
        }
    }
}
