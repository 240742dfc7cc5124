//! Filters on text.

use regex::RegexBuilder;

use super::{Filter, Op, Param};
use crate::mapping::kind::Kind;

/// What a compiled pattern may take, in bytes.
const MAX_PATTERN: usize = 1 << 20;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "html_text",
        takes: "text",
        params: &[],
        gives: "text",
        about: "What a page shows of HTML: no tags, entities resolved, blanks drawn together, a line for each block.",
        errors: "",
        examples: &[
            ("'<p>A&amp;B&nbsp;Ltd</p><p>2 &lt; 3<br>end</p>' | html_text", "A&B Ltd\n2 < 3\nend"),
            ("'<style>p{}</style>a <b>b</b>' | html_text", "a b"),
        ],
        accepts: Kind::is_text,
        build: |_| Ok((Op::HtmlText, Kind::Text)),
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
        name: "matches",
        takes: "text",
        params: &[Param {
            name: "pattern",
            default: None,
            about: "a regular expression, in the syntax of Rust's regex crate: no back references, no looking around",
        }],
        gives: "a boolean",
        about: "Whether the pattern is found in the text, as SQL's `~`: `^` and `$` bind it to the ends, `(?i)` makes it blind to case.",
        errors: "",
        examples: &[
            ("'75001' | matches('^[0-9]{5}$')", "true"),
            ("'F-75001' | matches('^[0-9]{5}$')", "false"),
            ("'Dr. Who' | matches('(?i)^dr')", "true"),
        ],
        accepts: Kind::is_text,
        build: |call| {
            let pattern = call.text(0)?.unwrap_or_default();
            let compiled = RegexBuilder::new(&pattern).size_limit(MAX_PATTERN).dfa_size_limit(MAX_PATTERN).build();
            let regex = compiled.map_err(|error| call.fault(0, &no_pattern(&error)))?;
            Ok((Op::Matches(Box::new(regex)), Kind::Bool))
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
        name: "slug",
        takes: "text",
        params: &[],
        gives: "text",
        about: "Lower-case letters and digits of ASCII, a hyphen for all between: for keys and addresses. Null when nothing is left.",
        errors: "",
        examples: &[("'L\u{2019}Été à Nîmes !' | slug", "l-ete-a-nimes"), ("'***' | slug", "null")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::Slug, Kind::Text)),
    },
    Filter {
        name: "strip_accents",
        takes: "text",
        params: &[],
        gives: "text",
        about: "Latin letters without their accents; other scripts as they are.",
        errors: "",
        examples: &[("'Crème brûlée, Łódź, Straße' | strip_accents", "Creme brulee, Lodz, Strasse")],
        accepts: Kind::is_text,
        build: |_| Ok((Op::StripAccents, Kind::Text)),
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

/// What is wrong with a pattern, without the drawing of it.
fn no_pattern(error: &regex::Error) -> String {
    match error {
        regex::Error::CompiledTooBig(_) => "the pattern is too big".to_owned(),
        other => {
            let printed = other.to_string();
            let reason = printed.lines().last().unwrap_or_default().trim_start_matches("error: ");
            format!("not a pattern: {reason}")
        }
    }
}
