//! Changes of parts of a document, as `binlog_row_value_options = PARTIAL_JSON` logs them (MY-57).

use std::borrow::Cow;

use super::{MAX_DEPTH, Malformed, Node, Parser, WRONG};
use crate::wire::Reader;

/// Appends the text of the document that `before` becomes by `diffs`.
pub(in crate::value) fn apply(before: &[u8], diffs: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    let mut root = super::read(before)?;
    let mut read = Reader(diffs);
    while !read.is_empty() {
        let operation = read.u8()?;
        let path = legs(read.lenenc_bytes()?)?;
        let value = match operation {
            0 | 1 => Some(read.lenenc_bytes()?),
            2 => None,
            _ => return Err(Malformed("a change of a JSON document of an unknown kind")),
        };
        let value = value.map(value_of).transpose()?;
        change(&mut root, &path, value, operation == 1)?;
    }
    super::print::push(&root, out)
}

fn value_of(bytes: &[u8]) -> Result<Node<'_>, Malformed> {
    let (&kind, body) = bytes.split_first().ok_or(WRONG)?;
    Parser { left: bytes.len() }.value(kind, body, 0)
}

/// A step of a path.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Leg<'a> {
    Key(Cow<'a, [u8]>),
    Item(usize),
}

const NO_PATH: Malformed = Malformed("a change of a JSON document at a path that is none");
const NO_PLACE: Malformed = Malformed("a change of a JSON document at a place that it does not have");

/// Replaces (`value`, not `insert`), inserts, or removes (no value) what is at the path.
fn change<'a>(root: &mut Node<'a>, path: &[Leg<'_>], value: Option<Node<'a>>, insert: bool) -> Result<(), Malformed> {
    let Some((last, way)) = path.split_last() else {
        *root = value.ok_or(NO_PLACE)?;
        return Ok(());
    };
    let mut parent = root;
    for leg in way {
        parent = match (leg, parent) {
            (Leg::Key(key), Node::Object(members)) => {
                members.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value).ok_or(NO_PLACE)?
            }
            (Leg::Item(at), Node::Array(items)) => items.get_mut(*at).ok_or(NO_PLACE)?,
            // What is no array is an array of itself.
            (Leg::Item(0), scalar) => scalar,
            _ => return Err(NO_PLACE),
        };
    }
    match (last, parent) {
        (Leg::Key(key), Node::Object(members)) => {
            let order =
                |(name, _): &(Cow<'_, [u8]>, Node<'_>)| (name.len(), name.as_ref()).cmp(&(key.len(), key.as_ref()));
            match (members.binary_search_by(order), value, insert) {
                (Ok(at), None, _) => drop(members.remove(at)),
                (Ok(at), Some(value), false) => members.get_mut(at).ok_or(NO_PLACE)?.1 = value,
                (Err(at), Some(value), true) => members.insert(at, (Cow::Owned(key.to_vec()), value)),
                _ => return Err(NO_PLACE),
            }
        }
        (Leg::Item(at), Node::Array(items)) => match (value, insert) {
            (None, _) if *at < items.len() => drop(items.remove(*at)),
            (Some(value), false) => *items.get_mut(*at).ok_or(NO_PLACE)? = value,
            // Behind the end is at the end.
            (Some(value), true) => items.insert((*at).min(items.len()), value),
            (None, _) => return Err(NO_PLACE),
        },
        (Leg::Item(0), scalar) if !insert => *scalar = value.ok_or(NO_PLACE)?,
        _ => return Err(NO_PLACE),
    }
    Ok(())
}

/// `$.key."quoted key"[3]`.
fn legs(path: &[u8]) -> Result<Vec<Leg<'_>>, Malformed> {
    let mut rest = path.strip_prefix(b"$").ok_or(NO_PATH)?;
    let mut legs = Vec::new();
    while let Some((&sign, after)) = rest.split_first() {
        let (leg, after) = match sign {
            b'.' if after.first() == Some(&b'"') => quoted(after.get(1..).ok_or(NO_PATH)?)?,
            b'.' => {
                let end = after.iter().position(|byte| matches!(byte, b'.' | b'[')).unwrap_or(after.len());
                let (key, after) = after.split_at_checked(end).ok_or(NO_PATH)?;
                (Leg::Key(Cow::Borrowed(key)), after)
            }
            b'[' => {
                let end = after.iter().position(|&byte| byte == b']').ok_or(NO_PATH)?;
                let (digits, after) = after.split_at_checked(end).ok_or(NO_PATH)?;
                let at = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
                (Leg::Item(at.ok_or(NO_PATH)?), after.get(1..).unwrap_or_default())
            }
            _ => return Err(NO_PATH),
        };
        legs.push(leg);
        if legs.len() > MAX_DEPTH {
            return Err(NO_PATH);
        }
        rest = after;
    }
    Ok(legs)
}

/// A key in quotes, escaped as JSON texts are.
fn quoted(text: &[u8]) -> Result<(Leg<'_>, &[u8]), Malformed> {
    let mut key = Vec::new();
    let mut rest = text;
    loop {
        let (&byte, after) = rest.split_first().ok_or(NO_PATH)?;
        rest = after;
        match byte {
            b'"' => return Ok((Leg::Key(Cow::Owned(key)), rest)),
            b'\\' => {
                let (&escaped, after) = rest.split_first().ok_or(NO_PATH)?;
                rest = after;
                match escaped {
                    b'b' => key.push(8),
                    b'f' => key.push(12),
                    b'n' => key.push(b'\n'),
                    b'r' => key.push(b'\r'),
                    b't' => key.push(b'\t'),
                    b'u' => {
                        let (digits, after) = rest.split_at_checked(4).ok_or(NO_PATH)?;
                        rest = after;
                        let code = std::str::from_utf8(digits).ok().and_then(|hex| u32::from_str_radix(hex, 16).ok());
                        let char = code.and_then(char::from_u32).ok_or(NO_PATH)?;
                        key.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes());
                    }
                    plain => key.push(plain),
                }
            }
            plain => key.push(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn my_57_paths() {
        let key = |key: &'static str| Leg::Key(Cow::Borrowed(key.as_bytes()));
        assert_eq!(legs(b"$").unwrap(), []);
        assert_eq!(legs(b"$.a[10].b").unwrap(), [key("a"), Leg::Item(10), key("b")]);
        assert_eq!(legs(br#"$."a b\"c\u00e9"[0]"#).unwrap(), [key("a b\"cé"), Leg::Item(0)]);
        for wrong in ["", "a", "$a", "$[", "$[x]", "$.\"a", "$.\"\\"] {
            assert!(legs(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(legs(&[b"$".as_slice(), &b"[0]".repeat(101)].concat()).is_err());
    }

    #[test]
    fn my_57_changes() {
        let node = |n| Node::Int(n);
        let mut root = Node::Object(vec![
            (Cow::Borrowed(b"b"), node(1)),
            (Cow::Borrowed(b"aa"), Node::Array(vec![node(1), node(2)])),
        ]);
        let mut apply = |path: &str, value: Option<i64>, insert: bool| {
            change(&mut root, &legs(path.as_bytes()).unwrap(), value.map(node), insert).map(|()| {
                let mut out = Vec::new();
                super::super::print::push(&root, &mut out).unwrap();
                String::from_utf8(out).unwrap()
            })
        };
        assert_eq!(apply("$.b", Some(9), false).unwrap(), r#"{"b": 9, "aa": [1, 2]}"#);
        assert_eq!(apply("$.c", Some(3), true).unwrap(), r#"{"b": 9, "c": 3, "aa": [1, 2]}"#);
        assert_eq!(apply("$.aa[1]", Some(7), true).unwrap(), r#"{"b": 9, "c": 3, "aa": [1, 7, 2]}"#);
        assert_eq!(apply("$.aa[99]", Some(8), true).unwrap(), r#"{"b": 9, "c": 3, "aa": [1, 7, 2, 8]}"#);
        assert_eq!(apply("$.aa[0]", None, false).unwrap(), r#"{"b": 9, "c": 3, "aa": [7, 2, 8]}"#);
        assert_eq!(apply("$.b", None, false).unwrap(), r#"{"c": 3, "aa": [7, 2, 8]}"#);
        for (path, value, insert) in [
            ("$.x", Some(1), false),
            ("$.x", None, false),
            ("$.c", Some(1), true),
            ("$.aa[9]", None, false),
            ("$.c.d", Some(1), true),
        ] {
            assert!(apply(path, value, insert).is_err(), "{path}");
        }
    }
}
