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
    match (parts(key), of_left_behind(key)) {
        (Some(parts), _) => parts.iter().map(KeyPart::to_text).collect::<Vec<_>>().join(","),
        (None, Some((row_key, _))) => format!("{} (left behind)", printed(row_key)),
        (None, None) => "(damaged key)".into(),
    }
}

/// No tag of a part.
const LEFT_BEHIND: u8 = 0xff;

/// A name for something that a row has left behind. It stands where row keys do and is none: it sorts behind them, and
/// those of one row begin alike.
pub fn left_behind(row_key: &[u8], what: &[u8]) -> Vec<u8> {
    let mut name = Vec::with_capacity(5 + row_key.len() + what.len());
    name.push(LEFT_BEHIND);
    name.extend_from_slice(&(row_key.len() as u32).to_be_bytes());
    name.extend_from_slice(row_key);
    name.extend_from_slice(what);
    name
}

/// The row key and what was left behind; `None` for a row key.
pub fn of_left_behind(name: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = name.strip_prefix(&[LEFT_BEHIND])?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    rest.split_at_checked(u32::from_be_bytes(*length) as usize)
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

    #[test]
    fn what_a_row_left_behind_is_no_row() {
        let mut key = Vec::new();
        super::KeyBuf(&mut key).push_int(17);
        let name = super::left_behind(&key, b"abc");
        assert_eq!(super::of_left_behind(&name), Some((&*key, &b"abc"[..])));
        assert!(name.starts_with(&super::left_behind(&key, &[])));
        assert_eq!((super::parts(&name), super::of_left_behind(&key)), (None, None));
        assert_eq!(super::printed(&name), "17 (left behind)");
        assert_eq!(super::of_left_behind(&[0xff, 0, 0, 0, 9, 1]), None);
    }

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
