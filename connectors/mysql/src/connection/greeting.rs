//! The server's first packet and our answer to it ("Protocol::HandshakeV10", "Protocol::HandshakeResponse41"). Pure.

use crate::Options;
use crate::wire::{Malformed, Reader};

/// What the server says first.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    capabilities: u32,
    /// What passwords are mixed with.
    pub(super) nonce: Vec<u8>,
    /// How it authenticates users unless it says otherwise later.
    pub(super) plugin: Vec<u8>,
}

/// Capabilities (the manuals' "Capability Flags").
mod can {
    pub(super) const LONG_PASSWORD: u32 = 1;
    pub(super) const LONG_FLAG: u32 = 1 << 2;
    pub(super) const PROTOCOL_41: u32 = 1 << 9;
    pub(super) const TLS: u32 = 1 << 11;
    pub(super) const TRANSACTIONS: u32 = 1 << 13;
    pub(super) const SECURE_CONNECTION: u32 = 1 << 15;
    pub(super) const PLUGIN_AUTH: u32 = 1 << 19;
    pub(super) const CONNECT_ATTRIBUTES: u32 = 1 << 20;
}

/// What we need: servers since 5.5 have it.
const NEEDED: u32 = can::PROTOCOL_41 | can::SECURE_CONNECTION | can::PLUGIN_AUTH;

const WANTED: u32 = NEEDED | can::LONG_PASSWORD | can::LONG_FLAG | can::TRANSACTIONS | can::CONNECT_ATTRIBUTES;

/// The longest packet that we take: the longest there is.
const MAX_PACKET_BYTES: u32 = 1 << 30;

/// `utf8mb4_general_ci`.
const COLLATION: u8 = 45;

impl Greeting {
    pub(super) fn read(packet: &[u8]) -> Result<Self, Malformed> {
        let mut read = Reader(packet);
        if read.u8()? != 10 {
            return Err(Malformed("a greeting of a protocol that is not known"));
        }
        let _version = read.until_zero()?;
        let _connection = read.u32()?;
        let mut nonce = read.bytes(8)?.to_vec();
        read.u8()?;
        let low = u32::from(read.u16()?);
        let _collation_and_status = read.bytes(3)?;
        let capabilities = low | u32::from(read.u16()?) << 16;
        let nonce_bytes = usize::from(read.u8()?);
        let _reserved = read.bytes(10)?;
        if capabilities & NEEDED != NEEDED {
            return Err(Malformed("a greeting of a server that is older than 5.5"));
        }
        let second = read.bytes(nonce_bytes.saturating_sub(8).max(13))?;
        nonce.extend_from_slice(second.strip_suffix(&[0]).unwrap_or(second));
        // Some leave out the zero at its end.
        let plugin = read.0.strip_suffix(&[0]).unwrap_or(read.0).to_vec();
        Ok(Self { capabilities, nonce, plugin })
    }

    pub(super) fn offers_tls(&self) -> bool {
        self.capabilities & can::TLS != 0
    }

    pub(super) fn login(&self, options: &Options) -> Login {
        Login {
            capabilities: WANTED & self.capabilities,
            user: options.user.clone(),
            program: options.application_name.clone(),
        }
    }
}

/// Our answer.
#[derive(Debug)]
pub(super) struct Login {
    capabilities: u32,
    user: String,
    program: String,
}

impl Login {
    /// What asks for TLS: the head of the answer.
    pub(super) fn tls_request(&self) -> Vec<u8> {
        self.head(can::TLS)
    }

    /// The answer, with the proof of the password by `plugin`.
    pub(super) fn packet(&self, is_protected: bool, plugin: &[u8], proof: &[u8]) -> Vec<u8> {
        let mut out = self.head(if is_protected { can::TLS } else { 0 });
        out.extend_from_slice(self.user.as_bytes());
        out.push(0);
        push_short(proof, &mut out);
        out.extend_from_slice(plugin);
        out.push(0);
        if self.capabilities & can::CONNECT_ATTRIBUTES != 0 {
            let mut attribute = Vec::new();
            push_short(b"program_name", &mut attribute);
            push_short(self.program.as_bytes(), &mut attribute);
            push_short(&attribute, &mut out);
        }
        out
    }

    fn head(&self, more: u32) -> Vec<u8> {
        let mut out = Vec::with_capacity(200);
        out.extend_from_slice(&(self.capabilities | more).to_le_bytes());
        out.extend_from_slice(&MAX_PACKET_BYTES.to_le_bytes());
        out.push(COLLATION);
        out.extend_from_slice(&[0; 23]);
        out
    }
}

/// Bytes behind their length, cut at what a length of one byte can say.
fn push_short(bytes: &[u8], out: &mut Vec<u8>) {
    let bytes = bytes.get(..bytes.len().min(200)).unwrap_or_default();
    out.push(bytes.len() as u8);
    out.extend_from_slice(bytes);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// As MariaDB 10.11 greets.
    const GREETING: &[u8] =
        b"\x0a5.5.5-10.11.19-MariaDB-log\0\x07\0\0\0abcdefgh\0\xfe\xf7\x2d\x02\0\xff\x81\x15\0\0\0\0\0\0\
        \x1d\0\0\0ijklmnopqrst\0mysql_native_password\0";

    #[test]
    fn a_greeting_is_read() {
        let greeting = Greeting::read(GREETING).unwrap();
        assert_eq!(greeting.nonce, b"abcdefghijklmnopqrst");
        assert_eq!(greeting.plugin, b"mysql_native_password");
        assert!(greeting.offers_tls() == (greeting.capabilities & 0x800 != 0));
        for length in 0..60 {
            assert!(Greeting::read(&GREETING[..length]).is_err(), "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end_without_panic(mut bytes: Vec<u8>) {
            bytes.insert(0, 10);
            let _ = Greeting::read(&bytes);
        }
    }
}
