//! Filters that write bytes as text: digits, Base64, digests.

use std::borrow::Cow;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use md5::Md5;
use passerelle_change::Value;
use sha2::{Digest as _, Sha256, Sha512};

use super::WRONG_KIND;
use crate::mapping::program::{Bad, Yield};
use crate::mapping::text as print;

/// How a digest is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::mapping) enum Digest {
    Sha256,
    Sha512,
    /// Not against attackers: some vendors name their records by it.
    Md5,
}

impl Digest {
    pub(super) fn of_name(name: &str) -> Option<Self> {
        match name {
            "sha256" => Some(Self::Sha256),
            "sha512" => Some(Self::Sha512),
            "md5" => Some(Self::Md5),
            _ => None,
        }
    }
}

pub(super) fn hex(value: &Value<'_>) -> Yield<'static> {
    bytes(value).map(|bytes| text(print::hex(bytes)))
}

pub(super) fn base64(value: &Value<'_>) -> Yield<'static> {
    let bytes = bytes(value)?;
    print::bounded(bytes.len().div_ceil(3) * 4)?;
    Ok(text(STANDARD.encode(bytes)))
}

pub(super) fn hash(value: &Value<'_>, digest: Digest) -> Yield<'static> {
    let bytes = bytes(value)?;
    Ok(text(match digest {
        Digest::Sha256 => print::hex(&Sha256::digest(bytes)),
        Digest::Sha512 => print::hex(&Sha512::digest(bytes)),
        Digest::Md5 => print::hex(&Md5::digest(bytes)),
    }))
}

/// Bytes as they are, text as UTF-8.
fn bytes<'v>(value: &'v Value<'_>) -> Result<&'v [u8], Bad> {
    match value {
        Value::Bytes(bytes) => Ok(bytes),
        Value::Text(text) | Value::Uuid(text) => Ok(text.as_bytes()),
        _ => Err(WRONG_KIND),
    }
}

fn text(text: String) -> Value<'static> {
    Value::Text(Cow::Owned(text))
}
