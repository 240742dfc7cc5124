//! Values on disk: a version, a checksum, then `bincode`.
//!
//! `bincode` is not self-describing and lets trailing bytes pass, so every value wears an envelope: one byte of
//! version, one of flags (reserved: a sealed value names its key there), four of CRC-32C over the payload. One struct
//! a version; an older version is read by the struct it was written with.

use serde::{Deserialize, Serialize};

/// The version written today.
const VERSION: u8 = 1;
/// Flags: none are in use; bit 0 is reserved for "sealed".
const FLAGS: u8 = 0;
const HEADER: usize = 6;
/// No value on disk is larger: a row's cells are bounded by the database's own 1 GB a field.
const MAX_BYTES: usize = 2 << 30;

/// A value that can't be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// Shorter than its envelope.
    #[error("a value of {0} bytes is shorter than its envelope")]
    Short(usize),
    /// Written by a newer passerelle, or not by passerelle.
    #[error("a value has version {0}, and this passerelle reads up to {VERSION}")]
    Version(u8),
    /// Sealed with a key that is not here.
    #[error("a value has flags {0:#x} that this passerelle does not know")]
    Flags(u8),
    /// The checksum does not fit the bytes.
    #[error("a value's checksum does not match: the disk or a copy has damaged it")]
    Checksum,
    /// The payload is not what the key says.
    #[error("a value does not decode: {0}")]
    Payload(String),
}

/// Encodes a value with its envelope at the end of `out`.
pub fn encode_into<T: Serialize>(value: &T, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[VERSION, FLAGS, 0, 0, 0, 0]);
    // Writing to memory fails only for types that bincode can't carry, which every type here can.
    let written = bincode::serde::encode_into_std_write(value, out, bincode::config::standard());
    debug_assert!(written.is_ok(), "a state type that bincode can't carry");
    let checksum = crc32c::crc32c(&out[start + HEADER..]);
    out[start + 2..start + HEADER].copy_from_slice(&checksum.to_le_bytes());
}

/// Encodes a value with its envelope.
pub fn encode<T: Serialize>(value: &T) -> Vec<u8> {
    let mut out = Vec::with_capacity(32);
    encode_into(value, &mut out);
    out
}

/// Reads a value back, borrowing bytes where the type does.
pub fn decode<'a, T: Deserialize<'a>>(bytes: &'a [u8]) -> Result<T, Damage> {
    let Some((&[version, flags, c0, c1, c2, c3], payload)) = bytes.split_first_chunk::<HEADER>() else {
        return Err(Damage::Short(bytes.len()));
    };
    if version != VERSION {
        return Err(Damage::Version(version));
    }
    if flags != FLAGS {
        return Err(Damage::Flags(flags));
    }
    if crc32c::crc32c(payload) != u32::from_le_bytes([c0, c1, c2, c3]) {
        return Err(Damage::Checksum);
    }
    let config = bincode::config::standard().with_limit::<MAX_BYTES>();
    let (value, used) = bincode::serde::borrow_decode_from_slice(payload, config)
        .map_err(|error| Damage::Payload(error.to_string()))?;
    if used == payload.len() { Ok(value) } else { Err(Damage::Payload("bytes are left over".into())) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_encoded_is_decoded(value: (u64, String, Option<Vec<u8>>)) {
            prop_assert_eq!(decode::<(u64, String, Option<Vec<u8>>)>(&encode(&value)), Ok(value));
        }

        #[test]
        fn a_flipped_bit_is_seen(value: (u64, String), at: prop::sample::Index, bit in 0_u8..8) {
            let mut bytes = encode(&value);
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(decode::<(u64, String)>(&bytes).is_err());
        }

        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            let _ = decode::<(u64, String, Option<Vec<u8>>)>(&bytes);
        }
    }

    #[test]
    fn a_newer_version_is_refused_by_name() {
        let mut bytes = encode(&7_u64);
        bytes[0] = 9;
        assert_eq!(decode::<u64>(&bytes), Err(Damage::Version(9)));
    }
}
