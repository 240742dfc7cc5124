//! Filters on what is packed in one column.

use passerelle_change::Value;

use super::{Filter, Op, Param};
use crate::mapping::fault::Fault;
use crate::mapping::filters::Call;
use crate::mapping::filters::coded::Digest;
use crate::mapping::filters::json::{Form, Path};
use crate::mapping::filters::lookup::Found;
use crate::mapping::kind::Kind;
use crate::mapping::program::Node;

pub(super) const FILTERS: &[Filter] = &[
    Filter {
        name: "base64",
        takes: "bytes, text, a UUID",
        params: &[],
        gives: "text",
        about: "The bytes in Base64 with its padding; text as UTF-8.",
        errors: "",
        examples: &[("'Ada' | base64", "QWRh"), ("'é' | base64", "w6k=")],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Bytes | Kind::Uuid),
        build: |_| Ok((Op::Base64, Kind::Text)),
    },
    Filter {
        name: "hash",
        takes: "bytes, text, a UUID",
        params: &[Param { name: "digest", default: Some("'sha256'"), about: "'sha256', 'sha512' or 'md5'" }],
        gives: "text",
        about: "The digest as lower-case hex digits; of text, of its UTF-8. `md5` is for vendors that name records by it, not for secrets.",
        errors: "",
        examples: &[
            ("'ada@example.org' | hash", "cfe00dde46ef942601ffafb9e2825e802858b460e586b8305b344c1eb826357d"),
            ("'ada@example.org' | hash('md5')", "5bfcf2d8e394674550332640d72db509"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Bytes | Kind::Uuid),
        build: |call| {
            let name = call.text(0)?;
            match Digest::of_name(name.as_deref().unwrap_or("sha256")) {
                Some(digest) => Ok((Op::Hash(digest), Kind::Text)),
                None => Err(call.fault(0, "the digests are 'sha256', 'sha512' and 'md5'")),
            }
        },
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
        name: "json",
        takes: "JSON, text",
        params: &[
            Param {
                name: "path",
                default: None,
                about: "names with dots between them, or a place in a list from 0; a list of names where they hold dots",
            },
            Param {
                name: "as",
                default: Some("'text'"),
                about: "'text', 'number', 'boolean', 'list' (of texts) or 'json'",
            },
        ],
        gives: "text, or what `as` says",
        about: "The value at a path in the JSON; null where there is none. Numbers keep every digit. As text, what is no string is as it is written.",
        errors: "what is not JSON; a value that is not what `as` says",
        examples: &[
            (r#"'{"city": "Paris", "geo": {"lat": 48.850}}' | json('city')"#, "Paris"),
            (r#"'{"city": "Paris", "geo": {"lat": 48.850}}' | json('geo.lat', as='number')"#, "48.850"),
            (r#"'["FR1", "FR2"]' | json(0)"#, "FR1"),
            (r#"'{"a.b": 1}' | json(['a.b'])"#, "1"),
            (r#"'{"tags": ["x", null]}' | json('tags', as='list')"#, "[x, null]"),
            (r#"'{"a": 1}' | json('b')"#, "null"),
            ("'{a: 1}' | json('a')", "bad: not JSON"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Json),
        build: |call| {
            let path = path(call)?;
            let form = form(call)?;
            Ok((Op::Json { path, form }, form.kind()))
        },
    },
    Filter {
        name: "lookup",
        takes: "text, an integer, a boolean, a UUID",
        params: &[
            Param { name: "table", default: None, about: "the name of a [lookup](configuration.md#lookupname)" },
            Param {
                name: "column",
                default: Some("the first behind the key"),
                about: "which column of its file is given",
            },
            Param {
                name: "other",
                default: Some("bad"),
                about: "what stands for a value that the table has not: text, `none`, or an expression",
            },
        ],
        gives: "text",
        about: "What a table of the configuration has for the value: letters, blanks and case as they stand there. Null where the cell is empty.",
        errors: "a value that the table has not, without `other`",
        examples: &[
            ("'NET30' | lookup('terms')", "30 days"),
            ("'NET30' | lookup('terms', column='label_fr')", "30 jours"),
            ("'NET90' | lookup('terms')", "bad: a value that the lookup does not have"),
            ("'NET90' | lookup('terms', other=none)", "null"),
            ("'NET90' | lookup('terms', other='?')", "?"),
        ],
        accepts: |kind| kind.is_text() || matches!(kind, Kind::Int | Kind::Bool | Kind::Uuid),
        build: |call| Ok((Op::Lookup(Box::new(Found::build(call)?)), Kind::Text)),
    },
    Filter {
        name: "php",
        takes: "text",
        params: &[
            Param { name: "path", default: Some("none"), about: "as `json`'s" },
            Param { name: "as", default: Some("'text'"), about: "as `json`'s" },
        ],
        gives: "a list of texts; with a path text, or what `as` says",
        about: "Reads what PHP's serialize() wrote. Without a path the items of a list, or the names in a map whose value is not empty; with one, as `json`.",
        errors: "what is not serialised PHP; references, and classes with a form of their own",
        examples: &[
            (r#"'customer' in ('a:1:{s:8:"customer";b:1;}' | php)"#, "true"),
            (r#"'a:2:{i:0;s:1:"a";i:1;d:0.5;}' | php"#, "[a, 0.5]"),
            (r#"'a:1:{s:4:"city";s:5:"Paris";}' | php('city')"#, "Paris"),
            (r#"'a:1:{s:4:"ci' | php"#, "bad: not a serialised PHP value"),
        ],
        accepts: Kind::is_text,
        build: |call| {
            if !call.is_given(0) {
                return Ok((Op::PhpItems, texts()));
            }
            let path = path(call)?;
            let form = form(call)?;
            Ok((Op::Php { path, form }, form.kind()))
        },
    },
];

fn texts() -> Kind {
    Kind::List(Box::new(Kind::Text))
}

/// The first argument as a path.
fn path(call: &mut Call) -> Result<Path, Fault> {
    let given = call.take(0)?;
    let fault = || Fault::new(given.span.clone(), "a path is names in quotes, or a place in a list, written out");
    match &given.node {
        Node::Constant(Value::Text(names)) => Ok(Path::new(names.split('.'))),
        Node::Constant(Value::Int(place)) => Ok(Path::new([place.to_string().as_str()].into_iter())),
        Node::List(names) => {
            let name = |node: &Node| match node {
                Node::Constant(Value::Text(name)) => Ok(name.to_string()),
                _ => Err(fault()),
            };
            let names = names.iter().map(name).collect::<Result<Vec<_>, _>>()?;
            Ok(Path::new(names.iter().map(String::as_str)))
        }
        _ => Err(fault()),
    }
}

/// The second argument: what the value is read as.
fn form(call: &mut Call) -> Result<Form, Fault> {
    let Some(name) = call.text(1)? else { return Ok(Form::Text) };
    let fault = || Fault::new(call.span_of(1), format!("'{name}' is nothing that a value is read as"));
    Form::of_name(&name).ok_or_else(|| fault().nearest(&name, Form::NAMES.iter().copied()))
}
