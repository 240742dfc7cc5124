//! Filters on lists.

use super::{Filter, Op, Param};
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "concat",
        takes: "a list",
        params: &[Param { name: "separator", default: Some("''"), about: "what stands between them" }],
        gives: "text",
        about: "The items one after the other, as an address wants it: without blanks around them, without those that are null or blank. Null when nothing is left.",
        errors: "",
        examples: &[
            ("['12 rue X', none, ' '] | concat(', ')", "12 rue X"),
            ("[' Ada', 'Lovelace '] | concat(' ')", "Ada Lovelace"),
        ],
        accepts: is_list_of_texts,
        build: |call| Ok((Op::Join { separator: call.text(0)?.unwrap_or_default(), skip_blank: true }, Kind::Text)),
    },
    Filter {
        name: "join",
        takes: "a list",
        params: &[Param { name: "separator", default: Some("''"), about: "what stands between them" }],
        gives: "text",
        about: "The items one after the other, each as it is, without those that are null. Null when nothing is left.",
        errors: "",
        examples: &[("['a', none, 'b'] | join(';')", "a;b"), ("[1, 2] | join", "12"), ("[none] | join(';')", "null")],
        accepts: is_list_of_texts,
        build: |call| Ok((Op::Join { separator: call.text(0)?.unwrap_or_default(), skip_blank: false }, Kind::Text)),
    },
    Filter {
        name: "lines",
        takes: "text",
        params: &[],
        gives: "a list of texts",
        about: "Its lines, without blanks around them and without blank lines.",
        errors: "more than 10000 lines",
        examples: &[(r"'12 rue X\n\n Bât B ' | lines", "[12 rue X, Bât B]")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Lines, texts())),
    },
    Filter {
        name: "map",
        takes: "a list",
        params: &[Param {
            name: "filter",
            default: None,
            about: "a filter's name in quotes; its own arguments follow",
        }],
        gives: "a list",
        about: "A filter on each item, nulls too; what follows the filter's name are its arguments.",
        errors: "an item that is bad to the filter",
        examples: &[
            ("'A; B' | split(';') | map('trim') | map('lower')", "[a, b]"),
            ("['3.456', none] | map('number') | map('round', 1)", "[3.5, null]"),
            ("['1', 'x'] | map('number')", "bad: not a number of the expected form"),
        ],
        accepts: |kind| matches!(kind, Kind::List(_) | Kind::Null),
        build: |call| Err(Fault::new(call.span.clone(), "a map is built of its filter")),
    },
    Filter {
        name: "split",
        takes: "text",
        params: &[Param { name: "separator", default: None, about: "what stands between the parts" }],
        gives: "a list of texts",
        about: "The parts between separators, as they are.",
        errors: "more than 10000 parts",
        examples: &[("'a;b;;c' | split(';')", "[a, b, , c]"), ("' ' | split(';')", "null")],
        accepts: Kind::is_text,
        build: |call| match call.text(0)?.unwrap_or_default() {
            separator if separator.is_empty() => Err(call.fault(0, "the separator is empty")),
            separator => Ok((Op::Split(separator), texts())),
        },
    },
];

fn texts() -> Kind {
    Kind::List(Box::new(Kind::Text))
}

fn is_list_of_texts(kind: &Kind) -> bool {
    match kind {
        Kind::List(item) => !matches!(**item, Kind::List(_) | Kind::Bytes),
        kind => *kind == Kind::Null,
    }
}
