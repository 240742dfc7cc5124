//! Filters on numbers, amounts and booleans.

use passerelle_change::Value;

use super::{Filter, Op, Param};
use crate::mapping::fault::Fault;
use crate::mapping::filters::amount;
use crate::mapping::kind::Kind;
use crate::mapping::program::Node;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "abs",
        takes: "a number",
        params: &[],
        gives: "the same type",
        about: "Without its sign.",
        errors: "",
        examples: &[("-2.50 | abs", "2.50"), ("3 | abs", "3")],
        accepts: Kind::is_number,
        build: |call| Ok((Op::Abs, call.input.clone())),
    },
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
        name: "minor_units",
        takes: "an integer, a decimal",
        params: &[Param {
            name: "currency",
            default: None,
            about: "its code of three letters, or a column that holds it",
        }],
        gives: "a decimal",
        about: "An amount in a currency's smallest unit as one in the currency: 12345 of EUR is 123.45. Null where the currency is.",
        errors: "a code that ISO 4217 does not know, or one without a smallest unit",
        examples: &[
            ("12345 | minor_units('EUR')", "123.45"),
            ("12345 | minor_units('JPY')", "12345"),
            ("12345 | minor_units('kwd')", "12.345"),
            ("12345 | minor_units('EU' ~ 'X')", "bad: not a currency with minor units"),
        ],
        accepts: |kind| matches!(kind, Kind::Int | Kind::Decimal | Kind::Null),
        build: |call| {
            let currency = call.take(0)?;
            if !currency.kind.is_text() {
                let message = format!("a currency is text; this is {}", currency.kind.name());
                return Err(Fault::new(currency.span, message));
            }
            if let Node::Constant(Value::Text(code)) = &currency.node
                && amount::minor_places(code).is_none()
            {
                let fault = Fault::new(currency.span, format!("'{code}' is no currency"));
                return Err(match amount::probable_currency(code) {
                    Some(near) => fault.hint(format!("did you mean '{near}'?")),
                    None => fault.hint("its code has three letters, like 'EUR'"),
                });
            }
            Ok((Op::MinorUnits(currency.node), Kind::Decimal))
        },
    },
    Filter {
        name: "number",
        takes: "text, a number",
        params: &[Param { name: "decimal", default: Some("'.'"), about: "the mark before the fraction: '.' or ','" }],
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
                _ => Err(call.fault(0, "the decimal mark is '.' or ','").hint("for 1.234,50: `number(',')`")),
            }
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
];
