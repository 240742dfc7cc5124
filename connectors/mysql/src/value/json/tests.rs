use proptest::prelude::*;

use super::*;

fn text(bytes: &[u8]) -> String {
    let mut out = Vec::new();
    match push_text(bytes, &mut out) {
        Ok(()) => String::from_utf8(out).unwrap(),
        Err(error) => error.to_string(),
    }
}

#[test]
fn my_75_a_document_as_mysql_wrote_it() {
    let bytes = b"\0\x02\0\x2b\0\x12\0\x01\0\x13\0\x01\0\x02\x14\0\x04\0\0ab\x03\0\x17\0\x05\x01\0\x0b\x0d\0\x0c\x15\0\0\0\0\0\0\0\x04\x40\x01x";
    assert_eq!(text(bytes), r#"{"a": [1, 2.5, "x"], "b": null}"#);
    let mut out = Vec::new();
    apply(bytes, b"\0\x06$.a[0]\x03\x05\x63\0\x02\x03$.b", &mut out).unwrap();
    assert_eq!(String::from_utf8(out).unwrap(), r#"{"a": [99, 2.5, "x"]}"#);
}

#[test]
fn my_75_no_bytes_are_null_and_scalars_stand_alone() {
    assert_eq!(text(b""), "null");
    assert_eq!(text(b"\x04\x01"), "true");
    assert_eq!(text(b"\x05\xff\xff"), "-1");
    assert_eq!(text(b"\x06\xff\xff"), "65535");
    assert_eq!(text(b"\x0a\xff\xff\xff\xff\xff\xff\xff\xff"), "18446744073709551615");
    assert_eq!(text(b"\x0c\x03a\"\n"), r#""a\"\n""#);
    assert_eq!(text(b"\x0f\x0f\x02\0\xff"), r#""base64:type15:AP8=""#);
    assert_eq!(text(b"\x0f\xf6\x04\x03\x02\x81\x32"), "1.50");
}

#[test]
fn my_75_documents_that_lie_are_refused() {
    let damaged = "a JSON document that is damaged";
    // A kind that is none; a size beyond the end; a value that is its own container.
    assert_eq!(text(b"\x0e"), damaged);
    assert_eq!(text(b"\x02\x01\0\xff\0"), damaged);
    assert_eq!(text(b"\x02\x01\0\x07\0\x02\0\0"), damaged);
    assert!(text(b"\x0c\xff\xff\xff\xff\xff\x01").starts_with("a JSON"));
}

proptest! {
    #[test]
    fn any_bytes_end_without_panic(bytes: Vec<u8>, diffs: Vec<u8>) {
        let _ = push_text(&bytes, &mut Vec::new());
        let _ = apply(&bytes, &diffs, &mut Vec::new());
    }

    /// Bytes that begin as a container do go further into it.
    #[test]
    fn any_container_ends_without_panic(kind in 0..4_u8, count in 0..5_u8, rest: Vec<u8>) {
        let head = if kind % 2 == 0 { vec![kind, count, 0, rest.len() as u8 + 4, 0] } else { vec![kind, count, 0, 0, 0, rest.len() as u8 + 8, 0, 0, 0] };
        let _ = push_text(&[head, rest].concat(), &mut Vec::new());
    }
}
