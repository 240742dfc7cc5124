//! Filters at their edges, and their documentation.

use super::super::{THEMES, reference};
use super::{columns, evaluated, packed};

/// Each filter of the cases over `name`, once for each text and what it gives.
fn check(cases: &[(&str, &[(&str, &str)])]) {
    let columns = columns();
    for (expr, texts) in cases {
        for (text, expect) in *texts {
            let row = packed(&columns, &[("name", Some(text))]);
            assert_eq!(&evaluated(expr, &columns, "UTC", row.as_cells()), expect, "{expr} of {text:?}");
        }
    }
}

#[test]
fn the_page_of_the_documentation_is_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/filters.md");
    if std::env::var_os("PASSERELLE_RENEW").is_some() {
        std::fs::write(path, reference()).expect("docs/filters.md can be written");
    }
    let page = std::fs::read_to_string(path).unwrap_or_default();
    let renew =
        "docs/filters.md is not what the table of filters gives: renew it by running this test with PASSERELLE_RENEW=1";
    assert!(page == reference(), "{renew}");
}

#[test]
fn every_filter_is_documented_and_shown() {
    for filter in THEMES.iter().flat_map(|theme| theme.filters) {
        assert!(!filter.about.is_empty() && filter.about.ends_with('.'), "{}", filter.name);
        // Bytes cannot be written in an expression.
        assert!(!filter.examples.is_empty() || filter.takes == "bytes", "{} has no example", filter.name);
        let shows_bad = filter.examples.iter().any(|(_, value)| value.starts_with("bad: "));
        assert!(!shows_bad || !filter.errors.is_empty(), "{} says of no value that it is bad", filter.name);
    }
}

#[test]
fn null_gives_null_and_absent_absent() {
    let columns = columns();
    let filters: [(&str, &[&str]); 7] = [
        (
            "name",
            &[
                "html_text",
                "matches('a')",
                "slug",
                "strip_accents",
                "person('first')",
                "time",
                "lines",
                "split(';')",
                "base64",
                "hash",
                "json('a')",
                "php",
                "php('a')",
            ],
        ),
        ("n", &["abs", "minor_units('EUR')"]),
        ("clock", &["time"]),
        ("tags", &["concat(', ')", "join(';')", "map('upper')"]),
        ("raw", &["base64", "hash('md5')", "hex"]),
        ("doc", &["json(0)"]),
        ("uid", &["hash", "base64"]),
    ];
    for (column, filters) in filters {
        let row = packed(&columns, &[(column, None)]);
        for filter in filters {
            let expr = format!("{column} | {filter}");
            assert_eq!(evaluated(&expr, &columns, "UTC", row.as_cells()), "null", "{expr}");
            assert_eq!(evaluated(&expr, &columns, "UTC", packed(&columns, &[]).as_cells()), "absent", "{expr}");
        }
    }
}

#[test]
fn names_of_people() {
    check(&[(
        "(name | person('first') | default('-')) ~ '/' ~ (name | person('last') | default('-'))",
        &[
            ("Jean-Pierre Martin", "Jean-Pierre/Martin"),
            ("Ludwig van Beethoven", "Ludwig/van Beethoven"),
            ("MARTIN Jean", "Jean/MARTIN"),
            ("Jean-Luc DE LA TOUR", "Jean-Luc/DE LA TOUR"),
            ("JEAN MARTIN", "JEAN/MARTIN"),
            ("John F. Kennedy", "John/F. Kennedy"),
            ("Kennedy, John F.", "John F./Kennedy"),
            ("M. Dupont", "-/Dupont"),
            ("Herr Dr. Max Planck", "Max/Planck"),
            ("  Ada   Lovelace ", "Ada/Lovelace"),
            ("", "-/-"),
            ("Mme", "-/-"),
            ("李 小龍", "李/小龍"),
        ],
    )]);
}

#[test]
fn letters_and_marks() {
    check(&[
        (
            "name | strip_accents",
            &[
                ("plain", "plain"),
                ("e\u{301}te\u{301}", "ete"),
                ("Smørrebrød Ærø", "Smorrebrod AEro"),
                ("Nguyễn Văn Đức", "Nguyen Van Duc"),
                ("й한 ε\u{301}", "й한 ε\u{301}"),
            ],
        ),
        ("name | slug", &[("  Crème--Brûlée, 2 x ", "creme-brulee-2-x"), ("東京", "null"), ("", "null")]),
        ("name | matches('^(?:a+)+$')", &[("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab", "false"), ("aa", "true")]),
    ]);
}

#[test]
fn html_as_it_is_shown() {
    check(&[(
        "name | html_text",
        &[
            ("1 < 2 & 3", "1 < 2 & 3"),
            ("<ul><li>a</li><li>b</li></ul>", "a\nb"),
            ("<table><tr><td>a</td><td>b</td></tr></table>", "a b"),
            ("a<!-- <b> -->b<script>if (a < b) {}</script>c", "abc"),
            ("<a title='>'>link</a>", "link"),
            ("<p>one\n two&nbsp;&nbsp;three</p>\n\n<p>&eacute;&#233;&#x41;</p>", "one two three\nééA"),
            ("&lt;b&gt;", "<b>"),
            ("cut <a href=\"x", "cut"),
            ("<script>never closed", ""),
        ],
    )]);
}

#[test]
fn lists_and_texts() {
    check(&[
        ("name | lines | concat(', ')", &[(" 12 rue X\r\n\r\nBât B", "12 rue X, Bât B"), ("\n \n", "null")]),
        ("name | split(',') | join('|')", &[("a, b,", "a| b|"), (",", "|")]),
        ("name | split(',') | map('trim') | map('default', '?', blank=true) | join('|')", &[("a, b, ", "a|b|?")]),
        ("'b' in (name | split(','))", &[("a,b", "true"), ("a,c", "false")]),
        ("name | split(',') | map('number') | map('abs')", &[("-1,2.5", "[1, 2.5]")]),
    ]);
}

#[test]
fn json_to_the_last_digit() {
    let cells = r#"{"a": {"b": [10, {"c": "x\"y"}]}, "n": 12345678901234567890.10, "e": 1.5e3, "t": true, "z": null, "a.b": "dots", "n2": "1.50", "dup": 1, "dup": 2, "l": ["x", 1, null, {"k": []}]}"#;
    let cases = [
        ("name | json('a.b.1.c')", "x\"y"),
        ("name | json('a.b.0')", "10"),
        ("name | json('a.b.2')", "null"),
        ("name | json('a.b.x')", "null"),
        ("name | json('a')", r#"{"b": [10, {"c": "x\"y"}]}"#),
        ("name | json('n')", "12345678901234567890.10"),
        ("name | json('n', as='number')", "12345678901234567890.10"),
        ("(name | json('n2', as='number')) + 1", "2.50"),
        ("name | json('e', as='number')", "1500"),
        ("name | json('t', as='boolean')", "true"),
        ("name | json('t', as='number')", "bad: no number in the JSON"),
        ("name | json('a', as='boolean')", "bad: no boolean in the JSON"),
        ("name | json('a', as='list')", "bad: no list in the JSON"),
        ("name | json('z')", "null"),
        ("name | json('z', as='list')", "null"),
        ("name | json(['a.b'])", "dots"),
        ("name | json('dup')", "2"),
        ("name | json('t.x')", "null"),
        ("name | json('l', as='list')", r#"[x, 1, null, {"k": []}]"#),
        ("name | json('a', as='json') | json('b.0')", "10"),
    ];
    for (expr, expect) in cases {
        check(&[(expr, &[(cells, expect)])]);
    }
    let columns = columns();
    let row = packed(&columns, &[("doc", Some(cells))]);
    assert_eq!(evaluated("doc | json('a.b.0')", &columns, "UTC", row.as_cells()), "10");
    let deep = "[".repeat(5000);
    check(&[("name | json('a')", &[(&deep, "bad: not JSON"), ("{\"a\": 1} x", "bad: not JSON"), ("", "null")])]);
    let long = format!("[{}1]", "1,".repeat(20_000));
    check(&[("name | json([], as='list')", &[(&long, "bad: a list of more than 10000 items")])]);
}

#[test]
fn what_php_serialised() {
    let capabilities = r#"a:3:{s:8:"customer";b:1;s:6:"editor";b:0;s:6:"author";i:1;}"#;
    let nested = r#"a:2:{s:3:"geo";a:2:{i:0;d:48.85;i:1;d:2.35;}s:4:"name";s:6:"Zoé!!";}"#;
    let object = "O:8:\"stdClass\":2:{s:1:\"a\";i:7;s:4:\"\0*\0b\";N;}";
    check(&[
        ("name | php", &[(capabilities, "[customer, author]"), ("s:2:\"é\";", "[é]"), ("N;", "[null]"), ("", "null")]),
        ("'customer' in (name | php)", &[(capabilities, "true"), ("a:0:{}", "false")]),
        ("name | php('geo.1', as='number')", &[(nested, "2.35")]),
        ("name | php('geo', as='list') | join(' ')", &[(nested, "48.85 2.35")]),
        ("name | php('name')", &[(nested, "Zoé!!")]),
        ("name | php('a')", &[(object, "7"), ("E:11:\"Suit:Hearts\";", "null")]),
        ("name | php('b')", &[(object, "null")]),
        (
            "name | php",
            &[
                ("a:1:{i:0;R:1;}", "bad: a serialised PHP value with references or a class's own form"),
                ("C:3:\"Foo\":2:{x}", "bad: a serialised PHP value with references or a class's own form"),
                ("s:3:\"é\";", "bad: not a serialised PHP value"),
                ("a:99999999999:{}", "bad: not a serialised PHP value"),
                ("i:1;i:2;", "bad: not a serialised PHP value"),
                (&"a:1:{i:0;".repeat(100), "bad: a serialised PHP value that is nested deeper than 32"),
            ],
        ),
    ]);
}

#[test]
fn amounts_in_their_currency() {
    let columns = columns();
    let check = |amount: &str, currency: Option<&str>, expect: &str| {
        let row = packed(&columns, &[("n", Some(amount)), ("name", currency)]);
        assert_eq!(
            evaluated("n | minor_units(name)", &columns, "UTC", row.as_cells()),
            expect,
            "{amount} {currency:?}"
        );
    };
    check("-5", Some("EUR"), "-0.05");
    check("0", Some("EUR"), "0.00");
    check("1990", Some(" usd "), "19.90");
    check("1990", None, "null");
    check("1990", Some(""), "null");
    check("1990", Some("XAU"), "bad: not a currency with minor units");
    check("79228162514264337593543950336", Some("EUR"), "bad: the number needs more than 28 digits");
    check("170141183460469231731687303715884105728", Some("EUR"), "bad: the number needs more than 28 digits");
}

#[test]
fn nothing_grows_without_bound() {
    let long = "a".repeat(1 << 20);
    let grows = "bad: a text that grows beyond 4 MiB";
    let many = "x;".repeat(20_000);
    check(&[
        ("name | replace('a', 'aaaaaaaa')", &[(&long, grows)]),
        ("(name ~ name) ~ (name ~ name) ~ name", &[(&long, grows)]),
        ("[name, name, name, name, name] | join", &[(&long, grows)]),
        ("[name, name, name, name, name] | map('upper') | join | hash", &[(&long, grows)]),
        ("name | split(';')", &[(&many, "bad: a list of more than 10000 items")]),
        ("name | base64 | base64 | base64 | base64 | base64 | base64", &[(&long, grows)]),
    ]);
    // What the row itself holds is no growth.
    let row_text = "a".repeat(5 << 20);
    check(&[("name | replace('a', 'b') | truncate(3)", &[(&row_text, "bbb")])]);
}
