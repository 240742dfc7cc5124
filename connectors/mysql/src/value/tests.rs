#![allow(clippy::indexing_slicing, reason = "a test fails by panicking, and reads better")]

use passerelle_change::{Type, Value};
use proptest::prelude::*;

use super::*;

fn text_of(codec: &Codec, bytes: &[u8], zero_dates: ZeroDates) -> String {
    let mut out = Vec::new();
    match codec.write(bytes, zero_dates, &mut Vec::new(), &mut out) {
        Written::Null => "null".into(),
        Written::Text if out.first() == Some(&0xff) => format!("undecodable {:?}", &out[1..]),
        Written::Text => String::from_utf8_lossy(&out).into_owned(),
    }
}

fn check(codec: &Codec, bytes: &[u8], want: &str) {
    assert_eq!(text_of(codec, bytes, ZeroDates::Null), want, "{codec:?} {bytes:02x?}");
}

fn labels(of: &[&str]) -> Box<[Box<str>]> {
    of.iter().map(|&label| label.into()).collect()
}

#[test]
fn my_62_zero_dates_by_policy_and_never_1970() {
    let zero = [0, 0, 0];
    for (policy, want) in
        [(ZeroDates::Null, "null"), (ZeroDates::Text, "0000-00-00"), (ZeroDates::DeadLetter, "0000-00-00")]
    {
        assert_eq!(text_of(&Codec::Date, &zero, policy), want);
    }
    assert!(Value::parse(&Type::Date, Some(b"0000-00-00")).is_err());
}

#[test]
fn my_65_labels_by_their_number() {
    let codec = Codec::Enum(labels(&["a", "ü"]));
    check(&codec, &[2], "ü");
    check(&codec, &[1, 0], "a");
    check(&codec, &[0], "");
    check(&codec, &[3], "undecodable [3]");
    let codec = Codec::Set(labels(&["x", "y", "z"]));
    check(&codec, &[0], "");
    check(&codec, &[5], "x,z");
    check(&codec, &[8], "undecodable [8]");
    check(&Codec::Set((0..64).map(|n| format!("l{n}").into()).collect()), &[1, 0, 0, 0, 0, 0, 0, 0x80], "l0,l63");
}

#[test]
fn my_70_bits_are_digits() {
    check(&Codec::Bit(10), &[2, 1], "1000000001");
    check(&Codec::Bit(1), &[1], "1");
    check(&Codec::Bit(64), &[0x80, 0, 0, 0, 0, 0, 0, 1], &format!("1{}1", "0".repeat(62)));
    check(&Codec::Signed(1), &[2], "2");
}

#[test]
fn my_72_binary_is_filled_up_again() {
    check(&Codec::Bytes(4), &[1], "\\x01000000");
    check(&Codec::Bytes(0), &[0, 255], "\\x00ff");
    check(&Codec::Bytes(0), &[], "\\x");
}

#[test]
fn my_74_bytes_that_are_no_text_are_kept_and_refused() {
    let codec = Codec::Text(Charset::named("cp1257").unwrap());
    let mut out = Vec::new();
    codec.write(b"a\xa1", ZeroDates::Null, &mut Vec::new(), &mut out);
    assert_eq!(out, b"\xffa\xa1");
    assert!(Value::parse(&Type::Text { max_chars: None }, Some(&out)).is_err());
}

#[test]
fn my_77_addresses_and_uuids() {
    check(&Codec::Inet4, &[10, 0], "10.0.0.0");
    check(&Codec::Inet6, b"\x20\x01\x0d\xb8", "2001:db8::");
    check(&Codec::Inet6, b"\0\0\0\0\0\0\0\0\0\0\xff\xff\x01\x02\x03\x04", "::ffff:1.2.3.4");
    check(&Codec::Inet6, b"", "::");
    check(
        &Codec::Uuid,
        b"\x12\x3e\x45\x67\xe8\x9b\x12\xd3\xa4\x56\x42\x66\x55\x44",
        "123e4567-e89b-12d3-a456-426655440000",
    );
    check(&Codec::Uuid, &[0; 17], &format!("undecodable {:?}", [0; 17]));
}

#[test]
fn my_78_vectors() {
    check(&Codec::Vector, &[0, 0, 0x80, 0x3f, 0, 0, 0, 0xc0], "[1,-2]");
    check(&Codec::Vector, &[], "[]");
    check(&Codec::Vector, &[1, 2], "undecodable [1, 2]");
}

#[test]
fn base64_has_lines_as_the_servers() {
    let of = |bytes: &[u8]| {
        let mut out = Vec::new();
        base64(bytes, &mut out);
        String::from_utf8(out).unwrap()
    };
    assert_eq!([of(b""), of(b"a"), of(b"ab"), of(b"abc")], ["", "YQ==", "YWI=", "YWJj"]);
    assert_eq!(of(&[0xab; 58]), format!("{}q6s=", ["q6ur".repeat(19), "\\n".into()].concat()).replace("q6s=", "qw=="));
}

#[test]
fn floats_inside_documents_are_the_servers() {
    for (n, want) in [
        (1e14, "100000000000000"),
        (1e15, "1e15"),
        (1e-15, "0.000000000000001"),
        (1e-16, "1e-16"),
        (-0.0, "-0"),
        (1.234_567_890_123_456_8e17, "1.2345678901234568e17"),
    ] {
        let mut out = Vec::new();
        push_gcvt(n, &mut out);
        assert_eq!(String::from_utf8(out).unwrap(), want);
    }
}

/// The same datum has the same cell as from PostgreSQL, whose texts these are.
#[test]
fn one_canonical_form_with_postgresql() {
    check(&Codec::Decimal(10, 2), &[0x80, 0, 0, 0, 0x32], "0.50");
    check(&Codec::Double, &0.1_f64.to_le_bytes(), "0.1");
    check(&Codec::Single, &1e-5_f32.to_le_bytes(), "1e-05");
    check(
        &Codec::Timestamp(3),
        &[&1_706_659_200_u32.to_be_bytes()[..], &[0x13, 0x88]].concat(),
        "2024-01-31 00:00:00.5+00",
    );
    check(&Codec::Bytes(0), b"\0\xff", "\\x00ff");
    check(&Codec::Bit(3), &[5], "101");
}

fn every_codec() -> Vec<Codec> {
    let mut codecs = vec![
        Codec::Single,
        Codec::Double,
        Codec::Date,
        Codec::Year,
        Codec::Bytes(3),
        Codec::CompressedBytes,
        Codec::Json,
        Codec::Geometry,
        Codec::Vector,
        Codec::Uuid,
        Codec::Inet4,
        Codec::Inet6,
        Codec::Text(Charset::Utf16Be),
        Codec::CompressedText(Charset::Utf8),
        Codec::Enum(labels(&["a"])),
        Codec::Set(labels(&["a"])),
        Codec::Bit(9),
        Codec::Decimal(65, 30),
    ];
    for digits in 0..=6 {
        codecs.extend([Codec::Time(digits), Codec::DateTime(digits), Codec::Timestamp(digits)]);
        codecs.extend([Codec::OldTime(digits), Codec::OldDateTime(digits), Codec::OldTimestamp(digits)]);
    }
    for wide in [1, 2, 3, 4, 8] {
        codecs.extend([Codec::Signed(wide), Codec::Unsigned(wide)]);
    }
    codecs
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(bytes: Vec<u8>) {
        for codec in every_codec() {
            text_of(&codec, &bytes, ZeroDates::Text);
        }
    }
}
