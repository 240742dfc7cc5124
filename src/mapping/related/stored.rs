//! Values as an index keeps them: a tag and a body, read back exactly.

use std::borrow::Cow;
use std::str::FromStr;

use passerelle_change::Value;
use rust_decimal::Decimal;

/// The stored form of a value.
pub fn encode(value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(24);
    push(&mut out, value);
    out
}

/// Reads a value back; `None` where the bytes are none.
pub fn decode(bytes: &[u8]) -> Option<Value<'static>> {
    let (&tag, body) = bytes.split_first()?;
    let text = || String::from_utf8(body.to_vec()).ok();
    Some(match tag {
        0 => Value::Null,
        1 => Value::Bool(*body.first()? == 1),
        2 => Value::Int(i128::from_le_bytes(body.try_into().ok()?)),
        3 => Value::Decimal(Decimal::deserialize(body.try_into().ok()?)),
        4 => Value::BigNumber(Cow::Owned(text()?)),
        5 => Value::Float(f64::from_bits(u64::from_le_bytes(body.try_into().ok()?))),
        6 => Value::Text(Cow::Owned(text()?)),
        7 => Value::Date(FromStr::from_str(&text()?).ok()?),
        8 => Value::Time(FromStr::from_str(&text()?).ok()?),
        9 => Value::DateTime(FromStr::from_str(&text()?).ok()?),
        10 => Value::Timestamp(FromStr::from_str(&text()?).ok()?),
        11 => Value::Uuid(Cow::Owned(text()?)),
        12 => Value::Bytes(Cow::Owned(body.to_vec())),
        13 => Value::Json(Cow::Owned(text()?)),
        14 => Value::List(sized(body)?.into_iter().map(decode).collect::<Option<_>>()?),
        15 => Value::Absent,
        _ => return None,
    })
}

/// A name and its value, as a pivot's entry holds them.
pub fn pivot(name: &str, value: &Value<'_>) -> Vec<u8> {
    let mut out = Vec::with_capacity(name.len() + 28);
    out.extend_from_slice(&(name.len() as u32).to_le_bytes());
    out.extend_from_slice(name.as_bytes());
    push(&mut out, value);
    out
}

/// Reads them back.
pub fn of_pivot(bytes: &[u8]) -> Option<(&str, &[u8])> {
    let (length, rest) = bytes.split_first_chunk::<4>()?;
    let (name, value) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    Some((std::str::from_utf8(name).ok()?, value))
}

fn push(out: &mut Vec<u8>, value: &Value<'_>) {
    let mut put = |tag: u8, body: &[u8]| {
        out.push(tag);
        out.extend_from_slice(body);
    };
    match value {
        Value::Null => put(0, &[]),
        Value::Bool(b) => put(1, &[u8::from(*b)]),
        Value::Int(n) => put(2, &n.to_le_bytes()),
        Value::Decimal(n) => put(3, &n.serialize()),
        Value::BigNumber(text) => put(4, text.as_bytes()),
        Value::Float(n) => put(5, &n.to_bits().to_le_bytes()),
        Value::Text(text) => put(6, text.as_bytes()),
        Value::Date(date) => put(7, date.to_string().as_bytes()),
        Value::Time(time) => put(8, time.to_string().as_bytes()),
        Value::DateTime(time) => put(9, time.to_string().as_bytes()),
        Value::Timestamp(time) => put(10, time.to_string().as_bytes()),
        Value::Uuid(text) => put(11, text.as_bytes()),
        Value::Bytes(bytes) => put(12, bytes),
        Value::Json(text) => put(13, text.as_bytes()),
        Value::List(items) => {
            put(14, &[]);
            for item in items {
                let item = encode(item);
                out.extend_from_slice(&(item.len() as u32).to_le_bytes());
                out.extend_from_slice(&item);
            }
        }
        Value::Absent => put(15, &[]),
    }
}

fn sized(mut bytes: &[u8]) -> Option<Vec<&[u8]>> {
    let mut items = Vec::new();
    while !bytes.is_empty() {
        let (length, rest) = bytes.split_first_chunk::<4>()?;
        let (item, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
        items.push(item);
        bytes = rest;
    }
    Some(items)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(value: Value<'static>) {
        assert_eq!(decode(&encode(&value)), Some(value.clone()));
        let held = pivot("billing_é", &value);
        let (name, bytes) = of_pivot(&held).expect("a pivot's entry");
        assert_eq!((name, decode(bytes)), ("billing_é", Some(value)));
    }

    #[test]
    fn every_kind_of_value_reads_back() {
        check(Value::Null);
        check(Value::Absent);
        check(Value::Bool(true));
        check(Value::Int(i128::MIN));
        check(Value::Decimal("1.10".parse().unwrap()));
        check(Value::BigNumber("NaN".into()));
        check(Value::Float(-0.1));
        check(Value::Text("é\0".into()));
        check(Value::Date("2024-02-29".parse().unwrap()));
        check(Value::Time("23:59:59.000001".parse().unwrap()));
        check(Value::DateTime("2024-02-29T23:59:59.5".parse().unwrap()));
        check(Value::Timestamp("2024-02-29T23:59:59.123456Z".parse().unwrap()));
        check(Value::Uuid("0b1e".into()));
        check(Value::Bytes(vec![0, 255].into()));
        check(Value::Json("{\"a\":1.0}".into()));
        check(Value::List(vec![Value::Text("".into()), Value::Null, Value::List(vec![Value::Int(1)])]));
    }

    proptest::proptest! {
        #[test]
        fn any_bytes_end_without_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
            let _ = of_pivot(&bytes);
        }
    }
}
