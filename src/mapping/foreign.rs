//! What people write who come from SQL, JavaScript, Python, Excel, Liquid or Jinja, and what is written here instead.

/// What stands here for a filter or a function of elsewhere.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Instead {
    /// The same under another name.
    Called(&'static str),
    /// Something else, in words.
    Say(&'static str),
}

use Instead::{Called, Say};

const CHOICE: Instead = Say("a choice is written `a if condition else b`");
const FIRST_OF: Instead =
    Say("`a or b` takes the first that is neither null nor empty; `a | default(b)` replaces null only");
const CLOCK: Instead = Say("an expression has no clock: what a record is must follow from its row alone");
const AS_TEXT: Instead = Say("text is made with `~`: `x ~ ''`");
const JOINED: Instead = Say("texts are joined with `~`: `a ~ ' ' ~ b`");
const LENGTH: Instead = Say("`truncate(80)` cuts a text; a field's `check = '.{1,80}'` refuses a longer one");
const PART: Instead = Say("`truncate(3)` gives the first characters, `replace('a', 'b')` changes some");
const OVER_ROWS: Instead =
    Say("over related rows it is a `rollup` in `with`: `rollup = { total = \"sum(amount)\" }`, then `orders.total`");

/// Filters and functions of elsewhere, in lower case.
const NAMES: &[(&[&str], Instead)] = &[
    (&["uppercase", "upcase", "ucase", "toupper", "to_upper", "touppercase"], Called("upper")),
    (&["lowercase", "downcase", "lcase", "tolower", "to_lower", "tolowercase"], Called("lower")),
    (
        &["capitalize", "capitalise", "capfirst", "ucfirst", "ucwords", "initcap", "titlecase", "proper"],
        Called("title"),
    ),
    (
        &["strip", "lstrip", "rstrip", "ltrim", "rtrim", "btrim", "trimstart", "trimend", "normalize_space"],
        Called("trim"),
    ),
    (&["truncatechars", "left", "first_chars", "limit", "cut", "shorten"], Called("truncate")),
    (&["gsub", "regex_replace", "regexp_replace", "replaceall", "substitute", "translate", "sub"], Called("replace")),
    (
        &["regex", "match", "test", "regex_match", "regexp_like", "regex_search", "search", "regexp_matches"],
        Called("matches"),
    ),
    (&["slugify", "parameterize", "handleize", "handle"], Called("slug")),
    (&["unaccent", "remove_accents", "removeaccents", "ascii", "asciifolding"], Called("strip_accents")),
    (&["striptags", "strip_tags", "strip_html", "html", "html2text", "unescape", "html_decode"], Called("html_text")),
    (&["splitlines", "newline_to_br", "nl2br"], Called("lines")),
    (&["explode", "tokenize", "string_to_array"], Called("split")),
    (&["implode", "array_to_string", "array_join"], Called("join")),
    (
        &[
            "int",
            "integer",
            "float",
            "decimal",
            "numeric",
            "tonumber",
            "to_number",
            "to_decimal",
            "parsefloat",
            "parseint",
            "val",
            "value",
        ],
        Called("number"),
    ),
    (&["boolean", "to_bool", "as_bool"], Called("bool")),
    (
        &["to_date", "strftime", "date_format", "format_date", "dateformat", "cdate", "datevalue", "parse_date"],
        Called("date"),
    ),
    (
        &["to_timestamp", "to_datetime", "timestamp", "parse_datetime", "fromisoformat", "date_time", "date_parse"],
        Called("datetime"),
    ),
    (&["to_time", "timevalue"], Called("time")),
    (&["e164", "phone_number", "phonenumber", "format_phone", "tel", "telephone"], Called("phone")),
    (&["country_code", "iso_country", "countrycode", "iso3166"], Called("country")),
    (&["mail", "e_mail", "email_address", "normalize_email"], Called("email")),
    (&["from_cents", "cents", "money", "currency", "to_currency"], Called("minor_units")),
    (&["from_json", "parse_json", "fromjson", "json_extract", "json_value", "jsonpath", "get"], Called("json")),
    (&["unserialize", "php_unserialize", "phpserialize"], Called("php")),
    (&["b64encode", "base64_encode", "to_base64", "b64"], Called("base64")),
    (&["md5", "sha1", "sha256", "sha512", "sha2", "digest"], Called("hash")),
    (&["bin2hex", "hexdigest", "to_hex", "encode"], Called("hex")),
    (&["firstname", "first_name", "lastname", "last_name", "surname"], Called("person")),
    (&["default_if_none", "d", "default_value"], Called("default")),
    (&["each", "apply", "foreach"], Called("map")),
    (&["round_half_up", "rounded", "to_fixed", "tofixed"], Called("round")),
    (&["coalesce", "nvl", "ifnull", "isnull", "ifempty", "ifblank"], FIRST_OF),
    (&["iif", "iff", "ternary", "decode", "choose", "switch", "yesno"], CHOICE),
    (
        &[
            "now",
            "today",
            "current_date",
            "current_timestamp",
            "getdate",
            "sysdate",
            "utcnow",
            "localtime",
            "datediff",
            "age",
        ],
        CLOCK,
    ),
    (
        &["str", "string", "text", "to_char", "tostring", "to_string", "to_text", "char", "cast", "convert", "format"],
        AS_TEXT,
    ),
    (&["concat_ws", "append", "prepend", "group_concat", "string_agg"], JOINED),
    (&["length", "len", "char_length", "size", "wordcount"], LENGTH),
    (&["substr", "substring", "mid", "slice", "right", "last_chars", "charindex", "instr", "position"], PART),
    (&["sum", "count", "avg", "min", "max", "first_value", "array_agg", "total"], OVER_ROWS),
    (&["plus", "add"], Say("numbers are added with `+`")),
    (&["minus", "subtract"], Say("numbers are subtracted with `-`")),
    (&["times", "multiply", "multiplied_by"], Say("numbers are multiplied with `*`")),
    (&["divided_by", "divide"], Say("numbers are divided with `/`, or `//` for whole numbers")),
    (&["modulo", "mod"], Say("the remainder is `%`")),
    (&["ceil", "ceiling", "floor", "trunc"], Say("`round(2)` rounds; `x // 1` cuts the fraction off")),
    (
        &["random", "uuid", "newid", "gen_random_uuid"],
        Say("an expression has no chance in it: the same row always makes the same record"),
    ),
    (&["tojson", "to_json", "json_encode"], Say("JSON of a column is sent as its text: name the column alone")),
    (&["nullif"], Say("write `none if a == b else a`")),
    (&["safe", "escape", "e", "url_encode", "urlencode"], Say("nothing is escaped here: leave it out")),
];

/// What stands for a filter or a function of elsewhere.
pub(super) fn filter(name: &str) -> Option<Instead> {
    let lower = name.to_lowercase();
    NAMES.iter().find(|(names, _)| names.contains(&lower.as_str())).map(|(_, instead)| *instead)
}

/// A call `name(arguments)` as it is written here; `is_ours` knows the filters.
pub(super) fn call(name: &str, arguments: &[&str], is_ours: impl Fn(&str) -> bool) -> Option<String> {
    let lower = name.to_lowercase();
    match (lower.as_str(), arguments) {
        ("coalesce" | "nvl" | "ifnull", [_, _, ..]) => return Some(arguments.join(" or ")),
        ("concat" | "concatenate", [_, _, ..]) => return Some(arguments.join(" ~ ")),
        ("iif" | "iff", [condition, then, otherwise]) => {
            return Some(format!("{then} if {condition} else {otherwise}"));
        }
        ("nullif", [a, b]) => return Some(format!("none if {a} == {b} else {a}")),
        ("isnull" | "isblank" | "isempty", [value]) => return Some(format!("{} is none", operand(value))),
        ("str" | "string" | "to_char" | "text", [value]) => return Some(format!("{} ~ ''", operand(value))),
        ("contains" | "includes", [whole, part]) => return Some(format!("{part} in {}", operand(whole))),
        _ => {}
    }
    let filter = match filter(name) {
        _ if is_ours(&lower) => lower.as_str(),
        Some(Called(filter)) => filter,
        Some(Say(_)) | None => return None,
    };
    let (input, rest) = arguments.split_first()?;
    let input = operand(input);
    Some(if rest.is_empty() {
        format!("{input} | {filter}")
    } else {
        format!("{input} | {filter}({})", rest.join(", "))
    })
}

/// In parentheses where it is more than one word.
fn operand(text: &str) -> String {
    let plain = text.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '.');
    let quoted = text.len() > 1
        && text.starts_with('\'')
        && text.find('\'').map(|at| text[at + 1..].find('\'')) == Some(Some(text.len() - 2));
    if plain || quoted { text.to_owned() } else { format!("({text})") }
}

/// What a word of elsewhere between two values would be: what is wrong with it, and the hint.
pub(super) fn word(lower: &str) -> Option<(&'static str, &'static str)> {
    Some(match lower {
        "like" | "ilike" | "rlike" | "regexp" | "similar" | "glob" | "startswith" | "starts" | "endswith" | "ends"
        | "matches" => ("text is compared with a pattern by the filter `matches`", "`^` is the beginning, `$` the end"),
        "between" => ("there is no `between`", "both ends are compared: `x >= 1 and x <= 9`"),
        "contains" | "includes" | "has" => ("there is no `contains`", "the part stands first: `'x' in name`"),
        "when" | "then" | "case" | "end" | "elif" | "elsif" | "elseif" | "unless" => {
            ("a choice is written in another order", "`a if condition else b`; a third: `a if x else b if y else c`")
        }
        "select" | "from" | "where" | "join" | "order" | "group" | "having" | "limit" => {
            ("an expression is no query", "it makes one value of one row: `name | trim`")
        }
        "as" => ("a value has no other name here", "the field's name stands before the `=`"),
        "xor" => ("there is no `xor`", "for two conditions: `a != b`"),
        _ => return None,
    })
}

/// An operator in words.
pub(super) fn operator(lower: &str) -> Option<&'static str> {
    Some(match lower {
        "eq" | "equals" | "equal" => "==",
        "ne" | "neq" => "!=",
        "gt" => ">",
        "ge" | "gte" => ">=",
        "lt" => "<",
        "le" | "lte" => "<=",
        "mod" => "%",
        "div" => "//",
        _ => return None,
    })
}

/// SQL's pattern as a regular expression: `a%` is `^a`.
pub(super) fn pattern(like: &str, blind_to_case: bool) -> String {
    let (start, end) = (!like.starts_with('%'), !like.ends_with('%'));
    let inner = like.trim_matches('%');
    let parts = inner.chars().map(|c| match c {
        '%' => ".*".to_owned(),
        '_' => ".".to_owned(),
        // A class needs no backslash, which a text would have to double.
        '^' => r"\\^".to_owned(),
        c if c.is_alphanumeric() || c.is_whitespace() => c.to_string(),
        c => format!("[{c}]"),
    });
    let mark = |is: bool, mark: &'static str| if is { mark } else { "" };
    format!("{}{}{}{}", mark(blind_to_case, "(?i)"), mark(start, "^"), parts.collect::<String>(), mark(end, "$"))
}

#[cfg(test)]
mod tests {
    use super::super::filters;
    use super::*;

    #[test]
    fn what_is_offered_is_there() {
        for (names, instead) in NAMES {
            for name in *names {
                assert!(!filters::is_filter(name), "{name} is a filter of ours");
                assert_eq!(filter(&name.to_uppercase()), Some(*instead), "{name} stands twice");
            }
            if let Called(ours) = instead {
                assert!(filters::is_filter(ours), "{ours}");
            }
        }
    }

    #[test]
    fn patterns_of_sql() {
        for (like, expect) in
            [("a%", "^a"), ("%a", "a$"), ("%a%", "a"), ("a", "^a$"), ("a_c%x", "^a.c.*x$"), ("+33 1%", "^[+]33 1")]
        {
            assert_eq!(pattern(like, false), expect, "{like}");
        }
        assert_eq!(pattern("a%", true), "(?i)^a");
    }

    #[test]
    fn calls() {
        let ours = |name: &str| ["upper", "truncate", "replace"].contains(&name);
        for (name, arguments, expect) in [
            ("UPPER", &["name"][..], Some("name | upper")),
            ("upper", &["name ~ city"], Some("(name ~ city) | upper")),
            ("replace", &["name", "'a'", "'b'"], Some("name | replace('a', 'b')")),
            ("coalesce", &["a", "b", "'x'"], Some("a or b or 'x'")),
            ("iif", &["active", "'y'", "'n'"], Some("'y' if active else 'n'")),
            ("left", &["name", "3"], Some("name | truncate(3)")),
            ("now", &[], None),
            ("frobnicate", &["x"], None),
        ] {
            assert_eq!(call(name, arguments, ours).as_deref(), expect, "{name}");
        }
    }
}
