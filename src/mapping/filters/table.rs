//! The table of filters: what each takes, gives and refuses, with examples that a test holds it to. The documentation
//! comes from it too.

use passerelle_change::Value;

use super::{Filter, Op, Param, contact};
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;
use crate::mapping::program::Node;

/// Every filter, by name.
pub const FILTERS: &[Filter] = &[
    Filter {
        name: "bool",
        takes: "text, an integer, a boolean",
        params: &[],
        gives: "a boolean",
        about: "Reads yes and no: true/false, t/f, yes/no, y/n, on/off, 1/0, oui/non, vrai/faux, ja/nein.",
        errors: "any other text or number",
        examples: &[("'Yes' | bool", "true"), ("0 | bool", "false"), ("'maybe' | bool", "bad: not a yes or no")],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Int | Kind::Bool),
        build: |_| Ok((Op::Bool, Kind::Bool)),
    },
    Filter {
        name: "country",
        takes: "text",
        params: &[],
        gives: "text",
        about: "The ISO 3166 code of two letters, from that code, the one of three letters, or the English name.",
        errors: "a country that is not known",
        examples: &[
            ("'fra' | country", "FR"),
            ("'Germany' | country", "DE"),
            ("'Atlantis' | country", "bad: not a country"),
        ],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Country, Kind::Text)),
    },
    Filter {
        name: "date",
        takes: "text, a date, a date and time, an instant",
        params: &[
            Param {
                name: "format",
                default: Some("YYYY-MM-DD"),
                about: "how text is written: YYYY, YY, MM, DD, HH, mm, ss, or strptime's % directives",
            },
            Param { name: "zone", default: Some("the source's"), about: "zone in which an instant's date is taken" },
        ],
        gives: "a date",
        about: "The date of a time, or the date that text says.",
        errors: "text of another form",
        examples: &[
            ("'31/01/2024' | date('DD/MM/YYYY')", "2024-01-31"),
            ("'2024-06-30T23:30:00Z' | datetime | date(zone='Europe/Paris')", "2024-07-01"),
            ("'soon' | date", "bad: not a date of the expected form"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Date | Kind::DateTime | Kind::Timestamp),
        build: |call| Ok((Op::Date(call.time_form(0, 1)?), Kind::Date)),
    },
    Filter {
        name: "datetime",
        takes: "text, a date, a date and time, an instant",
        params: &[
            Param {
                name: "format",
                default: Some("ISO 8601"),
                about: "how text is written: YYYY, YY, MM, DD, HH, mm, ss, or strptime's % directives",
            },
            Param { name: "zone", default: Some("the source's"), about: "zone in which a naive time is read" },
        ],
        gives: "an instant",
        about: "The instant of a naive time; of a date, its midnight.",
        errors: "text of another form",
        examples: &[
            ("'2024-01-31 10:00:00' | datetime(zone='Europe/Paris')", "2024-01-31T09:00:00Z"),
            ("'31.01.2024 10:00' | datetime('DD.MM.YYYY HH:mm')", "2024-01-31T10:00:00Z"),
            ("'soon' | datetime", "bad: not a date and time of the expected form"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Date | Kind::DateTime | Kind::Timestamp),
        build: |call| Ok((Op::DateTime(call.time_form(0, 1)?), Kind::Timestamp)),
    },
    Filter {
        name: "default",
        takes: "anything",
        params: &[
            Param { name: "value", default: None, about: "what stands for null; of the same type" },
            Param { name: "blank", default: Some("false"), about: "whether it stands for empty and blank text too" },
        ],
        gives: "the same type",
        about: "Replaces null. An absent column stays absent.",
        errors: "",
        examples: &[("none | default('?')", "?"), ("'' | default('?')", ""), ("' ' | default('?', blank=true)", "?")],
        accepts: |_| true,
        build: |call| {
            let blank = call.flag(1)?;
            let value = call.take(0)?;
            let Some(kind) = call.input.unified(&value.kind) else {
                let message = format!("{} is replaced by {}", call.input.name(), value.kind.name());
                return Err(Fault::new(value.span, message).hint("both must be of one type"));
            };
            Ok((Op::Default { value: value.node, blank }, kind))
        },
    },
    Filter {
        name: "email",
        takes: "text",
        params: &[],
        gives: "text",
        about: "An e-mail address without blanks around it and its domain in lower case.",
        errors: "what is not one address",
        examples: &[
            ("' Ada@Example.ORG ' | email", "Ada@example.org"),
            ("'ada' | email", "bad: not an e-mail address"),
        ],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Email, Kind::Text)),
    },
    Filter {
        name: "hex",
        takes: "bytes",
        params: &[],
        gives: "text",
        about: "The bytes as lower-case hex digits.",
        errors: "",
        examples: &[],
        accepts: |kind| matches!(kind, Kind::Bytes | Kind::Null),
        build: |_| Ok((Op::Hex, Kind::Text)),
    },
    Filter {
        name: "lower",
        takes: "text",
        params: &[],
        gives: "text",
        about: "In lower case.",
        errors: "",
        examples: &[("'ÉTÉ' | lower", "été")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Lower, Kind::Text)),
    },
    Filter {
        name: "number",
        takes: "text, a number",
        params: &[Param { name: "decimal", default: Some("."), about: "the mark before the fraction: . or ," }],
        gives: "a decimal",
        about: "Reads a number, with or without marks between groups of three digits (the other mark, a blank or ').",
        errors: "text that is no number, or whose groups are not of three digits",
        examples: &[
            ("'1,234.50' | number", "1234.50"),
            ("'1 234,50' | number(',')", "1234.50"),
            ("'12,5' | number", "bad: not a number of the expected form"),
        ],
        accepts: |kind| kind.is_text() || kind.is_number(),
        build: |call| {
            let mark = call.text(0)?.unwrap_or_else(|| ".".to_owned());
            match mark.as_str() {
                "." | "," => Ok((Op::Number { decimal: mark.starts_with(',').into() }, Kind::Decimal)),
                _ => Err(call.fault(0, "the decimal mark is '.' or ','")),
            }
        },
    },
    Filter {
        name: "phone",
        takes: "text",
        params: &[Param {
            name: "country",
            default: Some("none"),
            about: "country of numbers that are written without one: a code or a column",
        }],
        gives: "text",
        about: "The number in international form (E.164).",
        errors: "what is not a valid number there",
        examples: &[
            ("'01 42 68 53 00' | phone('FR')", "+33142685300"),
            ("'+44 20 7183 8750' | phone", "+442071838750"),
            ("'12' | phone('FR')", "bad: not a valid phone number"),
        ],
        accepts: Kind::is_text,
        build: |call| {
            let Some(country) = call.optional(0) else { return Ok((Op::Phone(None), Kind::Text)) };
            if !country.kind.is_text() {
                let message = format!("a country is text; this is {}", country.kind.name());
                return Err(Fault::new(country.span, message));
            }
            if let Node::Constant(Value::Text(code)) = &country.node
                && contact::region(code).is_none()
            {
                let fault = Fault::new(country.span, format!("'{code}' is no country"));
                return Err(fault.hint("write its code of two letters, like 'FR'"));
            }
            Ok((Op::Phone(Some(country.node)), Kind::Text))
        },
    },
    Filter {
        name: "replace",
        takes: "text",
        params: &[
            Param { name: "old", default: None, about: "the text to replace, everywhere" },
            Param { name: "new", default: None, about: "what to put there" },
        ],
        gives: "text",
        about: "Replaces a part of the text.",
        errors: "",
        examples: &[("'a-b-c' | replace('-', ' ')", "a b c")],
        accepts: Kind::is_text,
        build: |call| {
            let (old, new) = (call.text(0)?.unwrap_or_default(), call.text(1)?.unwrap_or_default());
            if old.is_empty() {
                return Err(call.fault(0, "the text to replace is empty"));
            }
            Ok((Op::Replace { old, new }, Kind::Text))
        },
    },
    Filter {
        name: "round",
        takes: "an integer, a decimal",
        params: &[Param { name: "places", default: Some("0"), about: "digits after the point, 0 to 28" }],
        gives: "a decimal",
        about: "Rounds half away from zero, as SQL's round does.",
        errors: "a number of more than 28 digits",
        examples: &[("(2 / 3) | round(2)", "0.67"), ("-2.5 | round", "-3")],
        accepts: |kind| matches!(kind, Kind::Int | Kind::Decimal | Kind::Null),
        build: |call| {
            let places = call.integer(0)?.unwrap_or(0);
            match u32::try_from(places) {
                Ok(places @ 0..=28) => Ok((Op::Round(places), Kind::Decimal)),
                _ => Err(call.fault(0, "digits after the point are 0 to 28")),
            }
        },
    },
    Filter {
        name: "title",
        takes: "text",
        params: &[],
        gives: "text",
        about: "Each word with a capital, the rest in lower case.",
        errors: "",
        examples: &[("'JEAN-PIERRE martin' | title", "Jean-Pierre Martin")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Title, Kind::Text)),
    },
    Filter {
        name: "trim",
        takes: "text",
        params: &[],
        gives: "text",
        about: "Without blanks before and behind.",
        errors: "",
        examples: &[("'  a b ' | trim", "a b")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Trim, Kind::Text)),
    },
    Filter {
        name: "truncate",
        takes: "text",
        params: &[Param { name: "length", default: None, about: "the most characters" }],
        gives: "text",
        about: "The first characters.",
        errors: "",
        examples: &[("'élève' | truncate(3)", "élè"), ("'ab' | truncate(3)", "ab")],
        accepts: Kind::is_text,
        build: |call| match usize::try_from(call.integer(0)?.unwrap_or(0)) {
            Ok(length) => Ok((Op::Truncate(length), Kind::Text)),
            Err(_) => Err(call.fault(0, "a length is not negative")),
        },
    },
    Filter {
        name: "upper",
        takes: "text",
        params: &[],
        gives: "text",
        about: "In upper case.",
        errors: "",
        examples: &[("'été' | upper", "ÉTÉ")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Upper, Kind::Text)),
    },
];

/// Filters of the specification that are not there yet.
pub(super) const LATER: &[&str] = &[
    "abs",
    "base64",
    "concat",
    "hash",
    "html_text",
    "join",
    "json",
    "lines",
    "lookup",
    "map",
    "matches",
    "minor_units",
    "person",
    "php",
    "slug",
    "split",
    "strip_accents",
    "time",
];
