//! The text of a document, as the server prints it.

use super::{Malformed, Node, WRONG};
use crate::value::number::{push_decimal, push_int, push_uint};
use crate::value::{base64, push_gcvt};

/// Appends the text.
pub(super) fn push(node: &Node<'_>, out: &mut Vec<u8>) -> Result<(), Malformed> {
    match node {
        Node::Null => out.extend_from_slice(b"null"),
        Node::Bool(true) => out.extend_from_slice(b"true"),
        Node::Bool(false) => out.extend_from_slice(b"false"),
        Node::Int(n) => push_int(*n, out),
        Node::Uint(n) => push_uint(*n, out),
        Node::Double(n) => {
            let start = out.len();
            push_gcvt(*n, out);
            // That it is no integer shows.
            if out.get(start..).is_some_and(|text| text.iter().all(|byte| byte.is_ascii_digit() || *byte == b'-')) {
                out.extend_from_slice(b".0");
            }
        }
        Node::Text(text) => push_quoted(text, out),
        Node::Opaque(kind, bytes) => opaque(*kind, bytes, out)?,
        Node::Array(items) => {
            out.push(b'[');
            for (at, item) in items.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                push(item, out)?;
            }
            out.push(b']');
        }
        Node::Object(members) => {
            out.push(b'{');
            for (at, (key, value)) in members.iter().enumerate() {
                out.extend_from_slice(if at > 0 { b", " } else { b"" });
                push_quoted(key, out);
                out.extend_from_slice(b": ");
                push(value, out)?;
            }
            out.push(b'}');
        }
    }
    Ok(())
}

fn push_quoted(text: &[u8], out: &mut Vec<u8>) {
    out.push(b'"');
    for &byte in text {
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            0x08 => out.extend_from_slice(b"\\b"),
            0x0c => out.extend_from_slice(b"\\f"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            b'\t' => out.extend_from_slice(b"\\t"),
            0..0x20 => {
                const HEX: &[u8; 16] = b"0123456789abcdef";
                let digit = |n: u8| HEX.get(usize::from(n)).copied().unwrap_or(b'0');
                out.extend_from_slice(&[b'\\', b'u', b'0', b'0', digit(byte >> 4), digit(byte & 15)]);
            }
            _ => out.push(byte),
        }
    }
    out.push(b'"');
}

/// Values that came from columns: decimals as numbers, times as texts, the rest in base64.
fn opaque(kind: u8, bytes: &[u8], out: &mut Vec<u8>) -> Result<(), Malformed> {
    match kind {
        246 => match bytes {
            [precision, scale, packed @ ..] if *precision <= 65 && scale <= precision => {
                push_decimal(packed, *precision, *scale, out)
            }
            _ => Err(WRONG),
        },
        7 | 10 | 11 | 12 => {
            let &packed = bytes.first_chunk::<8>().filter(|_| bytes.len() == 8).ok_or(WRONG)?;
            out.push(b'"');
            temporal(kind, i64::from_le_bytes(packed), out);
            out.push(b'"');
            Ok(())
        }
        _ => {
            out.extend_from_slice(b"\"base64:type");
            push_uint(u64::from(kind), out);
            out.push(b':');
            base64(bytes, out);
            out.push(b'"');
            Ok(())
        }
    }
}

/// Dates and times of a document: 24 bits of microseconds, above them a time or a date and a time.
fn temporal(kind: u8, packed: i64, out: &mut Vec<u8>) {
    if packed < 0 {
        out.push(b'-');
    }
    let packed = packed.unsigned_abs();
    let (micros, high) = (packed & 0xff_ffff, packed >> 24);
    let text = if kind == 11 {
        format!("{:02}:{:02}:{:02}.{micros:06}", high >> 12 & 0x3ff, high >> 6 & 63, high & 63)
    } else {
        let (date, clock) = (high >> 17, high & 0x1_ffff);
        let (year, month, day) = ((date >> 5) / 13, (date >> 5) % 13, date & 31);
        if kind == 10 {
            format!("{year:04}-{month:02}-{day:02}")
        } else {
            let (hours, minutes, seconds) = (clock >> 12, clock >> 6 & 63, clock & 63);
            format!("{year:04}-{month:02}-{day:02} {hours:02}:{minutes:02}:{seconds:02}.{micros:06}")
        }
    };
    out.extend_from_slice(text.as_bytes());
}
