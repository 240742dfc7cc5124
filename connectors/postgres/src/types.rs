//! What a column holds, by the server's type: one function for the stream and for the catalogue, so that a column gets
//! the same id from both.

use passerelle_change::Type;
use serde::{Deserialize, Serialize};

/// A type that the server made up after it was installed: its oid means something on that server only (PG-24).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DynamicType {
    /// Its schema.
    pub schema: String,
    /// Its name, `pg_type.typname`.
    pub name: String,
    /// What it is.
    pub kind: DynamicKind,
}

/// What a [`DynamicType`] is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DynamicKind {
    /// `CREATE TYPE … AS ENUM`.
    Enum {
        /// Labels in the enum's own order.
        labels: Vec<String>,
        /// The oid of each in `pg_enum`: it stays when the label is renamed. Empty where nobody asked.
        #[serde(default)]
        label_ids: Vec<u32>,
    },
    /// `CREATE DOMAIN`.
    Domain {
        /// `typbasetype`.
        base: u32,
        /// `typtypmod`.
        typmod: i32,
        /// What `base` is, where it is dynamic itself.
        dynamic: Option<Box<DynamicType>>,
    },
    /// The array type of a dynamic type.
    Array {
        /// `typelem`.
        element: u32,
        /// What `element` is.
        dynamic: Option<Box<DynamicType>>,
    },
    /// Composite, range, base types of extensions, and what is only known by name.
    Other,
}

impl DynamicType {
    /// The oids of an enum's labels, in their order; those of the enum that a domain is of or an array is made of. Empty of
    /// anything else.
    pub fn label_ids(&self) -> &[u32] {
        match &self.kind {
            DynamicKind::Enum { label_ids, .. } => label_ids,
            DynamicKind::Domain { dynamic: Some(inner), .. } | DynamicKind::Array { dynamic: Some(inner), .. } => {
                inner.label_ids()
            }
            DynamicKind::Domain { dynamic: None, .. }
            | DynamicKind::Array { dynamic: None, .. }
            | DynamicKind::Other => &[],
        }
    }
}

/// The first oid that is not fixed at the server's making (`FirstGenbkiObjectId` of the server's source): from here on
/// types are looked up by name.
pub const FIRST_DYNAMIC_OID: u32 = 10_000;

/// What a column of type `oid` and `typmod` holds, and the type's name as `format_type` prints it where the search path
/// is empty: `numeric(10,2)`, `character varying(40)`, `public.mood`, `public.mood[]`.
///
/// `dynamic` is what is known of an oid that is not built in. An oid that is neither is `Other("oid 12345")`.
pub fn describe(oid: u32, typmod: i32, dynamic: Option<&DynamicType>) -> (Type, String) {
    match dynamic {
        Some(dynamic) => describe_dynamic(typmod, dynamic),
        None => describe_built_in(oid, typmod).unwrap_or_else(|| {
            let name = format!("oid {oid}");
            (Type::Other(name.clone()), name)
        }),
    }
}

/// Whether `describe` knows the oid without a [`DynamicType`].
pub fn is_built_in(oid: u32) -> bool {
    describe_built_in(oid, -1).is_some()
}

fn describe_dynamic(typmod: i32, dynamic: &DynamicType) -> (Type, String) {
    let name = format!("{}.{}", quoted(&dynamic.schema), quoted(&dynamic.name));
    match &dynamic.kind {
        DynamicKind::Enum { labels, .. } => (Type::Enum { labels: labels.clone() }, name),
        DynamicKind::Domain { base, typmod, dynamic } => (describe(*base, *typmod, dynamic.as_deref()).0, name),
        DynamicKind::Array { element, dynamic } => array(describe(*element, typmod, dynamic.as_deref())),
        // The one extension type that is text and nothing else.
        DynamicKind::Other if dynamic.name == "citext" => (Type::Text { max_chars: None }, name),
        DynamicKind::Other => (Type::Other(name.clone()), name),
    }
}

fn array((element, name): (Type, String)) -> (Type, String) {
    let name = format!("{name}[]");
    // Boxes are told apart by `;`, not by the comma that a reader of arrays expects.
    let ty = if name == "box[]" { Type::Other(name.clone()) } else { Type::Array(Box::new(element)) };
    (ty, name)
}

/// As `quote_identifier` prints a name, without its list of keywords: a name in both halves is the same, which is what
/// counts.
fn quoted(name: &str) -> String {
    let plain = |(at, byte): (usize, u8)| matches!(byte, b'a'..=b'z' | b'_') || (at > 0 && byte.is_ascii_digit());
    if !name.is_empty() && name.bytes().enumerate().all(plain) {
        name.to_owned()
    } else {
        format!("\"{}\"", name.replace('"', "\"\""))
    }
}

/// Built-in types by their fixed oids (`pg_type.dat` of the server's source).
fn describe_built_in(oid: u32, typmod: i32) -> Option<(Type, String)> {
    if let Some(element) = built_in_element(oid) {
        return describe_built_in(element, typmod).map(array);
    }
    let plain = |ty: Type, name: &str| Some((ty, name.to_owned()));
    match oid {
        16 => plain(Type::Bool, "boolean"),
        17 => plain(Type::Bytes, "bytea"),
        20 => plain(Type::Int, "bigint"),
        21 => plain(Type::Int, "smallint"),
        23 => plain(Type::Int, "integer"),
        26 => plain(Type::Int, "oid"),
        18 => plain(Type::Text { max_chars: None }, "\"char\""),
        19 => plain(Type::Text { max_chars: Some(63) }, "name"),
        25 => plain(Type::Text { max_chars: None }, "text"),
        1042 => Some(characters("character", typmod)),
        1043 => Some(characters("character varying", typmod)),
        1700 => Some(numeric(typmod)),
        700 => plain(Type::Float, "real"),
        701 => plain(Type::Float, "double precision"),
        1082 => plain(Type::Date, "date"),
        1083 => Some((Type::Time, with_precision("time", typmod, " without time zone"))),
        1114 => Some((Type::DateTime, with_precision("timestamp", typmod, " without time zone"))),
        1184 => Some((Type::Timestamp, with_precision("timestamp", typmod, " with time zone"))),
        1266 => {
            let name = with_precision("time", typmod, " with time zone");
            Some((Type::Other(name.clone()), name))
        }
        1186 => Some((Type::Interval, interval(typmod))),
        2950 => plain(Type::Uuid, "uuid"),
        114 => plain(Type::Json, "json"),
        3802 => plain(Type::Json, "jsonb"),
        1560 => Some(bits("bit", typmod)),
        1562 => Some(bits("bit varying", typmod)),
        _ => {
            let name = OTHERS.iter().find(|(other, _)| *other == oid)?.1;
            plain(Type::Other(name.into()), name)
        }
    }
}

/// Types that are handed on as text.
const OTHERS: &[(u32, &str)] = &[
    (24, "regproc"),
    (27, "tid"),
    (28, "xid"),
    (29, "cid"),
    (142, "xml"),
    (600, "point"),
    (601, "lseg"),
    (602, "path"),
    (603, "box"),
    (604, "polygon"),
    (628, "line"),
    (650, "cidr"),
    (718, "circle"),
    (774, "macaddr8"),
    (790, "money"),
    (829, "macaddr"),
    (869, "inet"),
    (1033, "aclitem"),
    (2202, "regprocedure"),
    (2205, "regclass"),
    (2206, "regtype"),
    (3220, "pg_lsn"),
    (3614, "tsvector"),
    (3615, "tsquery"),
    (3904, "int4range"),
    (3906, "numrange"),
    (3908, "tsrange"),
    (3910, "tstzrange"),
    (3912, "daterange"),
    (3926, "int8range"),
    (4072, "jsonpath"),
    (4451, "int4multirange"),
    (4532, "nummultirange"),
    (4533, "tsmultirange"),
    (4534, "tstzmultirange"),
    (4535, "datemultirange"),
    (4536, "int8multirange"),
    (5069, "xid8"),
];

/// The element type of a built-in array type.
fn built_in_element(array: u32) -> Option<u32> {
    const ARRAYS: &[(u32, u32)] = &[
        (1000, 16),
        (1001, 17),
        (1002, 18),
        (1003, 19),
        (1005, 21),
        (1007, 23),
        (1009, 25),
        (1014, 1042),
        (1015, 1043),
        (1016, 20),
        (1017, 600),
        (1020, 603),
        (1021, 700),
        (1022, 701),
        (1028, 26),
        (1040, 829),
        (1041, 869),
        (1115, 1114),
        (1182, 1082),
        (1183, 1083),
        (1185, 1184),
        (1187, 1186),
        (1231, 1700),
        (1270, 1266),
        (1561, 1560),
        (1563, 1562),
        (143, 142),
        (199, 114),
        (651, 650),
        (791, 790),
        (2951, 2950),
        (3807, 3802),
        (3643, 3614),
        (3905, 3904),
        (3907, 3906),
        (3909, 3908),
        (3911, 3910),
        (3913, 3912),
        (3927, 3926),
    ];
    ARRAYS.iter().find(|(oid, _)| *oid == array).map(|(_, element)| *element)
}

/// The typmod of text types is the length and four bytes of header.
fn characters(name: &str, typmod: i32) -> (Type, String) {
    match u32::try_from(typmod - 4.min(typmod)) {
        Ok(max) if typmod > 4 => (Type::Text { max_chars: Some(max) }, format!("{name}({max})")),
        // Without a length, `character` is one of any length only when cast; the server prints it as `bpchar`.
        _ => (Type::Text { max_chars: None }, if name == "character" { "bpchar".into() } else { name.into() }),
    }
}

/// The typmod of numeric: precision in the high half, scale in the low eleven bits with sign, and four.
fn numeric(typmod: i32) -> (Type, String) {
    if typmod < 4 {
        return (Type::Decimal { precision: None }, "numeric".into());
    }
    let packed = typmod - 4;
    let precision = (packed >> 16) & 0xffff;
    let scale = ((packed & 0x7ff) ^ 1024) - 1024;
    (Type::Decimal { precision: Some((precision as u16, scale as i16)) }, format!("numeric({precision},{scale})"))
}

fn bits(name: &str, typmod: i32) -> (Type, String) {
    let name = if typmod >= 0 { format!("{name}({typmod})") } else { name.to_owned() };
    (Type::Other(name.clone()), name)
}

fn with_precision(name: &str, typmod: i32, zone: &str) -> String {
    if typmod >= 0 { format!("{name}({typmod}){zone}") } else { format!("{name}{zone}") }
}

/// The typmod of interval: a mask of fields in the high half, the precision in the low one (0xffff is none).
fn interval(typmod: i32) -> String {
    if typmod < 0 {
        return "interval".into();
    }
    let fields = match (typmod >> 16) & 0x7fff {
        0x0004 => " year",
        0x0002 => " month",
        0x0008 => " day",
        0x0400 => " hour",
        0x0800 => " minute",
        0x1000 => " second",
        0x0006 => " year to month",
        0x0408 => " day to hour",
        0x0c08 => " day to minute",
        0x1c08 => " day to second",
        0x0c00 => " hour to minute",
        0x1c00 => " hour to second",
        0x1800 => " minute to second",
        _ => "",
    };
    let precision = typmod & 0xffff;
    if precision == 0xffff { format!("interval{fields}") } else { format!("interval{fields}({precision})") }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(oid: u32, typmod: i32, want: Type, name: &str) {
        assert_eq!(describe(oid, typmod, None), (want, name.to_owned()));
    }

    #[test]
    fn built_in_types() {
        check(23, -1, Type::Int, "integer");
        check(1043, 44, Type::Text { max_chars: Some(40) }, "character varying(40)");
        check(1043, -1, Type::Text { max_chars: None }, "character varying");
        check(1042, 5, Type::Text { max_chars: Some(1) }, "character(1)");
        check(1700, -1, Type::Decimal { precision: None }, "numeric");
        check(1700, (10 << 16 | 2) + 4, Type::Decimal { precision: Some((10, 2)) }, "numeric(10,2)");
        check(1700, (3 << 16 | (-2 & 0x7ff)) + 4, Type::Decimal { precision: Some((3, -2)) }, "numeric(3,-2)");
        check(1184, 3, Type::Timestamp, "timestamp(3) with time zone");
        check(1186, -1, Type::Interval, "interval");
        check(1007, -1, Type::Array(Box::new(Type::Int)), "integer[]");
        check(1015, 14, Type::Array(Box::new(Type::Text { max_chars: Some(10) })), "character varying(10)[]");
        check(1020, -1, Type::Other("box[]".into()), "box[]");
        check(99_999, -1, Type::Other("oid 99999".into()), "oid 99999");
    }

    #[test]
    fn pg_24_types_made_by_users_go_by_name() {
        let mood = DynamicType {
            schema: "public".into(),
            name: "mood".into(),
            kind: DynamicKind::Enum { labels: vec!["sad".into(), "ok".into()], label_ids: vec![7, 9] },
        };
        let labels = Type::Enum { labels: vec!["sad".into(), "ok".into()] };
        assert_eq!(describe(16_385, -1, Some(&mood)), (labels.clone(), "public.mood".into()));
        let list = DynamicType {
            schema: "public".into(),
            name: "_mood".into(),
            kind: DynamicKind::Array { element: 16_385, dynamic: Some(Box::new(mood)) },
        };
        assert_eq!(list.label_ids(), [7, 9]);
        assert_eq!(describe(16_384, -1, Some(&list)), (Type::Array(Box::new(labels)), "public.mood[]".into()));
        let price = DynamicType {
            schema: "My Shop".into(),
            name: "price".into(),
            kind: DynamicKind::Domain { base: 1700, typmod: (10 << 16 | 2) + 4, dynamic: None },
        };
        let decimal = Type::Decimal { precision: Some((10, 2)) };
        assert_eq!(describe(16_390, -1, Some(&price)), (decimal, "\"My Shop\".price".into()));
    }
}
