//! Filters on people: their names, how to reach them, where they live.

use passerelle_change::Value;

use super::{Filter, Op, Param};
use crate::mapping::fault::Fault;
use crate::mapping::filters::contact;
use crate::mapping::filters::person::NamePart;
use crate::mapping::kind::Kind;
use crate::mapping::program::Node;

pub(super) const FILTERS: &[Filter] = &[
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
        name: "person",
        takes: "text",
        params: &[Param { name: "part", default: None, about: "'first' or 'last'" }],
        gives: "text",
        about: "The first or the last name in a full name: by its comma (`Last, First`); else words in capitals among others are the last name; else the first word is the first name. One word is a last name. Titles are left out.",
        errors: "",
        examples: &[
            ("'Jean-Pierre MARTIN' | person('last')", "MARTIN"),
            ("'Mme Ada de Lovelace' | person('last')", "de Lovelace"),
            ("'Lovelace, Ada' | person('first')", "Ada"),
            ("'Madonna' | person('first')", "null"),
        ],
        accepts: Kind::is_text,
        build: |call| match call.text(0)?.as_deref() {
            Some("first") => Ok((Op::Person(NamePart::First), Kind::Text)),
            Some("last") => Ok((Op::Person(NamePart::Last), Kind::Text)),
            _ => Err(call.fault(0, "the part of a name is 'first' or 'last'")),
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
                return Err(fault.hint("its code has two letters, like 'FR'"));
            }
            Ok((Op::Phone(Some(country.node)), Kind::Text))
        },
    },
];
