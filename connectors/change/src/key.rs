//! The key of a row: its key columns' values, in an encoding that sorts, is self-delimiting and reads back.
//!
//! Each part is a tag and a body: `0x01` and eight bytes for an integer (big-endian, sign flipped, so that keys in
//! ascending order are written in ascending order), or `0x02` and the canonical text with `00` escaped as `00 FF` and
//! ended by `00 00`. An `int4` key that becomes `int8` keeps its encoding.

/// One column of a row key, read back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum KeyPart {
    /// An integer column.
    Int(i64),
    /// Any other column, as canonical text.
    Text(Vec<u8>),
}

impl KeyPart {
    /// The part as text, as the database prints it. Bytes that are no UTF-8 are replaced: for people only.
    pub fn to_text(&self) -> String {
        match self {
            Self::Int(n) => n.to_string(),
            Self::Text(text) => String::from_utf8_lossy(text).into_owned(),
        }
    }
}

/// Appends encoded parts to any byte vector.
#[derive(Debug)]
pub struct KeyBuf<'a>(pub &'a mut Vec<u8>);

impl KeyBuf<'_> {
    /// Appends an integer part.
    pub fn push_int(&mut self, n: i64) {
        self.0.push(1);
        self.0.extend_from_slice(&(n.cast_unsigned() ^ (1 << 63)).to_be_bytes());
    }

    /// Appends a text part.
    pub fn push_text(&mut self, text: &[u8]) {
        self.0.push(2);
        for &byte in text {
            self.0.push(byte);
            if byte == 0 {
                self.0.push(0xff);
            }
        }
        self.0.extend_from_slice(&[0, 0]);
    }

    /// Appends a part of a column: as an integer where the column is one and the text fits, else as text.
    pub fn push(&mut self, is_integer: bool, text: &[u8]) {
        let integer = is_integer.then(|| std::str::from_utf8(text).ok()?.parse().ok()).flatten();
        match integer {
            Some(n) => self.push_int(n),
            None => self.push_text(text),
        }
    }
}

/// Reads the parts of an encoded key back; `None` when the bytes are no key.
pub fn parts(mut key: &[u8]) -> Option<Vec<KeyPart>> {
    let mut parts = Vec::new();
    while let Some((&tag, rest)) = key.split_first() {
        key = match tag {
            1 => {
                let (body, after) = rest.split_first_chunk::<8>()?;
                parts.push(KeyPart::Int((u64::from_be_bytes(*body) ^ (1 << 63)).cast_signed()));
                after
            }
            2 => {
                let (text, after) = take_text(rest)?;
                parts.push(KeyPart::Text(text));
                after
            }
            _ => return None,
        };
    }
    Some(parts)
}

/// The key as people read it: parts joined by `,`.
pub fn printed(key: &[u8]) -> String {
    match parts(key) {
        Some(parts) => parts.iter().map(KeyPart::to_text).collect::<Vec<_>>().join(","),
        None => "(damaged key)".into(),
    }
}

fn take_text(mut rest: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut text = Vec::new();
    loop {
        let (&byte, after) = rest.split_first()?;
        rest = after;
        if byte != 0 {
            text.push(byte);
            continue;
        }
        let (&escape, after) = rest.split_first()?;
        rest = after;
        match escape {
            0xff => text.push(0),
            0 => return Some((text, rest)),
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn part() -> impl Strategy<Value = KeyPart> {
        prop_oneof![any::<i64>().prop_map(KeyPart::Int), any::<Vec<u8>>().prop_map(KeyPart::Text)]
    }

    fn encode(parts: &[KeyPart]) -> Vec<u8> {
        let mut out = Vec::new();
        let mut key = KeyBuf(&mut out);
        for part in parts {
            match part {
                KeyPart::Int(n) => key.push_int(*n),
                KeyPart::Text(text) => key.push_text(text),
            }
        }
        out
    }

    proptest! {
        #[test]
        fn keys_read_back(want in proptest::collection::vec(part(), 0..5)) {
            prop_assert_eq!(parts(&encode(&want)), Some(want));
        }

        #[test]
        fn keys_sort_as_their_parts(a in proptest::collection::vec(part(), 1..4), b in proptest::collection::vec(part(), 1..4)) {
            prop_assert_eq!(encode(&a).cmp(&encode(&b)), a.cmp(&b));
        }

        #[test]
        fn no_key_is_a_prefix_of_another_of_its_arity(a in part(), b in part()) {
            let (a, b) = (encode(&[a]), encode(&[b]));
            prop_assert!(a == b || !b.starts_with(&a));
        }

        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            let _ = parts(&bytes);
        }
    }
}
