//! The body of a collections request, with numbers digit by digit as they are.
//!
//! Page: `developer.salesforce.com/docs/platform/api-rest/guide/resources-composite-sobjects-collections-upsert.html`.

use std::io;

use passerelle_change::{FieldValue, Write, WriteOp};
use serde::ser::{Serialize, SerializeMap, SerializeSeq, Serializer};
use serde_json::value::RawValue;

use super::names::References;

/// The most records of one request.
pub const MAX_RECORDS: usize = 200;
/// The most bytes of one body. The vendor's own limit is ten times that; what is lost with a broken connection is less.
pub const MAX_BODY_BYTES: usize = 5 << 20;

/// Room for what stands around the records.
const FRAME_BYTES: usize = 64;

/// How many of the first writes fit one request: of one object, one form and one key field, within [`MAX_RECORDS`] and
/// [`MAX_BODY_BYTES`]. At least one, unless there is none.
pub(super) fn records_per_request(writes: &[Write], references: &References) -> usize {
    let Some(first) = writes.first() else { return 0 };
    let mut bytes = FRAME_BYTES;
    let fits = |write: &&Write| {
        bytes += length(&Record { write, references }) + 1;
        alike(first, write) && bytes <= MAX_BODY_BYTES
    };
    writes.iter().take(MAX_RECORDS).take_while(fits).count().max(1)
}

/// Whether two writes may stand in one request.
pub(super) fn alike(a: &Write, b: &Write) -> bool {
    a.op == b.op && a.object == b.object && a.key_field == b.key_field
}

/// The body of an upsert or an update of these writes.
pub(super) fn body(writes: &[Write], references: &References) -> Vec<u8> {
    let mut body = Vec::with_capacity(256 * writes.len() + FRAME_BYTES);
    // Writing JSON of maps with text keys to memory does not fail.
    let written = serde_json::to_writer(&mut body, &Collection { writes, references });
    debug_assert!(written.is_ok(), "it is written to memory");
    body
}

/// One write's record alone.
pub(super) fn record(write: &Write, references: &References) -> String {
    // As above: writing it does not fail.
    serde_json::to_string(&Record { write, references }).unwrap_or_default()
}

struct Collection<'a> {
    writes: &'a [Write],
    references: &'a References,
}

impl Serialize for Collection<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        map.serialize_entry("allOrNone", &false)?;
        map.serialize_entry("records", &Records(self))?;
        map.end()
    }
}

struct Records<'a>(&'a Collection<'a>);

impl Serialize for Records<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut seq = serializer.serialize_seq(Some(self.0.writes.len()))?;
        for write in self.0.writes {
            seq.serialize_element(&Record { write, references: self.0.references })?;
        }
        seq.end()
    }
}

struct Record<'a> {
    write: &'a Write,
    references: &'a References,
}

impl Serialize for Record<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let write = self.write;
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("attributes", &Attributes { object: &write.object })?;
        let upsert = write.op == WriteOp::Upsert;
        if upsert {
            map.serialize_entry(&*write.key_field, &Json(&write.key))?;
        } else if let Some(id) = &write.crm_id {
            map.serialize_entry("id", id)?;
        }
        for (field, value) in &write.fields {
            if upsert && field.eq_ignore_ascii_case(&write.key_field) {
                continue;
            }
            map.serialize_entry(&self.references.written(&write.object, field, value), &Json(value))?;
        }
        map.end()
    }
}

#[derive(serde::Serialize)]
struct Attributes<'a> {
    #[serde(rename = "type")]
    object: &'a str,
}

struct Json<'a>(&'a FieldValue);

impl Serialize for Json<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0 {
            FieldValue::Null => serializer.serialize_unit(),
            FieldValue::Bool(b) => serializer.serialize_bool(*b),
            // What JSON has no number for (`NaN`, `+5`) goes as text: the vendor refuses it by name.
            FieldValue::Number(text) => match number(text) {
                Some(raw) => raw.serialize(serializer),
                None => serializer.serialize_str(text),
            },
            FieldValue::Text(text) | FieldValue::ReferenceById(text) => serializer.serialize_str(text),
            FieldValue::Reference { key_field, key } => {
                let mut map = serializer.serialize_map(Some(1))?;
                map.serialize_entry(key_field, key)?;
                map.end()
            }
        }
    }
}

fn number(text: &str) -> Option<&RawValue> {
    let starts = text.bytes().next().is_some_and(|b| b == b'-' || b.is_ascii_digit());
    let ends = text.bytes().last().is_some_and(|b| b.is_ascii_digit());
    (starts && ends).then(|| serde_json::from_str(text).ok()).flatten()
}

fn length(record: &Record<'_>) -> usize {
    struct Count(usize);
    impl io::Write for Count {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0 += bytes.len();
            Ok(bytes.len())
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut count = Count(0);
    match serde_json::to_writer(&mut count, record) {
        Ok(()) => count.0,
        Err(_) => MAX_BODY_BYTES,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn write(op: WriteOp, key: FieldValue, fields: &[(&str, FieldValue)]) -> Write {
        Write {
            object: "Contact".into(),
            op,
            key_field: "Erp_Id__c".into(),
            key,
            crm_id: (op != WriteOp::Upsert).then(|| "003000000000001AAA".into()),
            fields: fields.iter().map(|(name, value)| ((*name).into(), value.clone())).collect(),
        }
    }

    fn text(text: &str) -> FieldValue {
        FieldValue::Text(text.into())
    }

    fn check(write: &Write, expect: &str) {
        let references = References::new([("Contact".into(), "Account".into())]);
        let body = String::from_utf8(body(std::slice::from_ref(write), &references)).expect("JSON");
        assert_eq!(body, format!(r#"{{"allOrNone":false,"records":[{expect}]}}"#));
    }

    #[test]
    fn an_upsert_carries_its_key_once() {
        let parent = FieldValue::Reference { key_field: "Erp_Id__c".into(), key: "A-1".into() };
        check(
            &write(
                WriteOp::Upsert,
                text("C-1"),
                &[("LastName", text("O'Brien \"é\"\n")), ("erp_id__c", text("x")), ("Account", parent)],
            ),
            r#"{"attributes":{"type":"Contact"},"Erp_Id__c":"C-1","LastName":"O'Brien \"é\"\n","Account":{"Erp_Id__c":"A-1"}}"#,
        );
    }

    #[test]
    fn an_update_is_by_id_and_may_rename() {
        check(
            &write(
                WriteOp::Update,
                text("C-2"),
                &[("Erp_Id__c", text("C-2")), ("Account", FieldValue::Null), ("Phone", FieldValue::Null)],
            ),
            r#"{"attributes":{"type":"Contact"},"id":"003000000000001AAA","Erp_Id__c":"C-2","AccountId":null,"Phone":null}"#,
        );
    }

    #[test]
    fn numbers_keep_their_digits() {
        let n = |text: &str| FieldValue::Number(text.into());
        check(
            &write(
                WriteOp::Upsert,
                n("12345678901234567890"),
                &[
                    ("A", n("0.1000")),
                    ("B", n("-99999999999999999999.99")),
                    ("C", n("NaN")),
                    ("D", n("1e400")),
                    ("E", n("1, 2")),
                    ("F", FieldValue::Bool(true)),
                ],
            ),
            r#"{"attributes":{"type":"Contact"},"Erp_Id__c":12345678901234567890,"A":0.1000,"B":-99999999999999999999.99,"C":"NaN","D":1e400,"E":"1, 2","F":true}"#,
        );
    }

    #[test]
    fn a_request_is_bounded_and_of_one_kind() {
        let references = References::default();
        let small = write(WriteOp::Upsert, text("C"), &[]);
        assert_eq!(records_per_request(&[], &references), 0);
        assert_eq!(records_per_request(&vec![small.clone(); 300], &references), MAX_RECORDS);
        let large = write(WriteOp::Upsert, text("C"), &[("Notes", text(&"x".repeat(1 << 20)))]);
        assert_eq!(records_per_request(&vec![large; 10], &references), 4);
        let huge = write(WriteOp::Upsert, text("C"), &[("Notes", text(&"x".repeat(6 << 20)))]);
        assert_eq!(records_per_request(&[huge.clone(), huge], &references), 1);
        let other = write(WriteOp::Update, text("C"), &[]);
        assert_eq!(records_per_request(&[small.clone(), small, other], &references), 2);
    }

    proptest! {
        #[test]
        fn any_text_makes_json_of_the_length_foreseen(key: String, value: String, digits in "[-+0-9.eE ]{0,12}") {
            let write = write(WriteOp::Upsert, FieldValue::Text(key), &[("A", FieldValue::Text(value)), ("B", FieldValue::Number(digits))]);
            let references = References::default();
            let body = body(std::slice::from_ref(&write), &references);
            prop_assert!(serde_json::from_slice::<&RawValue>(&body).is_ok());
            let foreseen = length(&Record { write: &write, references: &references }) + FRAME_BYTES;
            prop_assert!(body.len() <= foreseen);
        }
    }
}
