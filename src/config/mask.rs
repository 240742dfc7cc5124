//! Finds the secrets in a text, so that no fault shows one. Works on any text, also on one that is no TOML: a password
//! with a missing quote is a syntax error, and must not be shown for it.

use std::ops::Range;

/// Keys whose value is a secret. What is spelt nearly like one counts as well.
const SECRET_KEYS: [&str; 9] = [
    "password",
    "passwd",
    "passphrase",
    "token",
    "secret",
    "client_secret",
    "private_key",
    "access_token",
    "refresh_token",
];

/// Keys that say where a secret is found: not secret themselves.
const WHEREABOUTS: [&str; 3] = ["file", "env", "credential"];

/// The byte ranges that hold secrets, without their quotes, in order.
pub(super) fn secrets(text: &str) -> Vec<Range<usize>> {
    let mut found: Vec<Range<usize>> = Vec::new();
    let mut at = 0;
    // The end of the table that is the value of a secret's key, while inside it.
    let mut inside_until = 0;
    while let Some(equals) = text[at..].find('=').map(|offset| at + offset) {
        at = equals + 1;
        let start = at + text[at..].len() - text[at..].trim_start_matches([' ', '\t']).len();
        let key = key_before(text, equals);
        let in_table = equals < inside_until;
        let secret =
            if in_table { !WHEREABOUTS.contains(&key) } else { is_secret_key(key) || is_damaged_key(text, equals) };
        if !secret || text[start..].starts_with('=') {
            continue;
        }
        if text[start..].starts_with('{') {
            inside_until = start + text[start..].find(['}', '\n']).unwrap_or(text.len() - start);
            continue;
        }
        let value = value_at(text, start);
        at = value.end;
        found.push(value);
    }
    found.extend(without_equals(text));
    found.extend(user_info(text));
    let of_urls: Vec<_> = url_tokens(text).filter(|token| !found.iter().any(|range| meet(range, token))).collect();
    found.extend(of_urls);
    found.sort_by_key(|range| range.start);
    found
}

/// The bare key that ends before an `=`.
fn key_before(text: &str, equals: usize) -> &str {
    let before = text[..equals].trim_end_matches([' ', '\t']).trim_end_matches(['"', '\'']);
    let other = |(_, char): &(usize, char)| !char.is_ascii_alphanumeric() && *char != '_' && *char != '-';
    let start = before.char_indices().rev().find(other).map_or(0, |(at, char)| at + char.len_utf8());
    &before[start..]
}

/// Whether what stands before an `=` is a secret's key with other characters in it.
fn is_damaged_key(text: &str, equals: usize) -> bool {
    let before = &text[..equals];
    let before = before.rsplit(['\n', ',', '{']).next().unwrap_or_default();
    let squeezed: String = before.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '_').collect();
    is_secret_key(&squeezed)
}

/// The values of lines such as `password "hunter2"`, where the `=` is missing or something else.
fn without_equals(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices(['"', '\'']).filter_map(|(quote, _)| {
        let before = text[..quote].rsplit(['\n', ',', '{']).next().unwrap_or_default();
        let key: String = before.chars().filter(|char| char.is_ascii_alphanumeric() || *char == '_').collect();
        let quoted_key = text[quote + 1..].trim_start().starts_with('=');
        (!quoted_key && !before.contains('=') && is_secret_key(&key)).then(|| value_at(text, quote))
    })
}

fn is_secret_key(key: &str) -> bool {
    let near = |secret: &str| key.len().abs_diff(secret.len()) <= 1 && strsim::damerau_levenshtein(key, secret) <= 1;
    // `tokens` is what people name other things.
    SECRET_KEYS.into_iter().any(|secret| key == secret || (key != "tokens" && near(secret)))
}

/// The value that starts at an offset, without its quotes. Where it is not closed it goes to the end of the line, and one
/// over several lines to the end of the text.
fn value_at(text: &str, start: usize) -> Range<usize> {
    let rest = &text[start..];
    for (quote, several_lines) in [("\"\"\"", true), ("'''", true), ("\"", false), ("'", false)] {
        let Some(body) = rest.strip_prefix(quote) else { continue };
        let line_end = if several_lines { body.len() } else { body.find('\n').unwrap_or(body.len()) };
        let length = closing(&body[..line_end], quote).unwrap_or(line_end);
        let start = start + quote.len();
        let behind = &body[length..line_end];
        let ended =
            several_lines || behind[quote.len().min(behind.len())..].trim_start().starts_with(['#', ',', '}', '\r']);
        let ended = ended || behind.trim_end().len() <= quote.len();
        // What follows a quote too early is likely to be the rest of the secret.
        return start..start + if ended { length } else { line_end };
    }
    let end = rest.find(['\n', '\r', '}', ',']).unwrap_or(rest.len());
    start..start + end
}

fn closing(body: &str, quote: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, char)| {
        let closes = !escaped && body[at..].starts_with(quote);
        escaped = char == '\\' && !escaped && quote.starts_with('"');
        closes.then_some(at)
    })
}

/// `user:password` of `https://user:password@host`.
fn user_info(text: &str) -> impl Iterator<Item = Range<usize>> {
    text.match_indices("://").filter_map(|(at, mark)| {
        let start = at + mark.len();
        let authority = text[start..].split(['"', '\'', '/', '\n', ' ']).next().unwrap_or_default();
        authority.rfind('@').map(|end| start..start + end)
    })
}

/// The long parts behind the host of a URL: the addresses of webhooks are secrets.
fn url_tokens(text: &str) -> impl Iterator<Item = Range<usize>> {
    const SHORTEST: usize = 16;
    text.match_indices("://").flat_map(move |(at, mark)| {
        let start = at + mark.len();
        let url = text[start..].split(['"', '\'', '\n', ' ']).next().unwrap_or_default();
        let path = start + url.find('/').unwrap_or(url.len());
        let parts = text[path..start + url.len()].split(['/', '?', '&', '=', '#']);
        let mut at = path;
        parts.filter_map(move |part| {
            let range = at..at + part.len();
            at = range.end + 1;
            (part.len() >= SHORTEST).then_some(range)
        })
    })
}

fn meet(a: &Range<usize>, b: &Range<usize>) -> bool {
    a.start < b.end && b.start < a.end
}

#[cfg(test)]
mod tests {
    use super::secrets;

    fn check(text: &str, expect: &str) {
        let mut shown = text.to_owned();
        for range in secrets(text).into_iter().rev() {
            shown.replace_range(range, "***");
        }
        assert_eq!(shown, expect);
    }

    #[test]
    fn secrets_are_found_in_good_and_in_broken_text() {
        check(r#"password = "hunter2" # a"#, r#"password = "***" # a"#);
        check(r#"password = "hun\"ter2""#, r#"password = "***""#);
        check("password = hunter2\nport = 1", "password = ***\nport = 1");
        check("password = \"hunter2\nport = 1", "password = \"***\nport = 1");
        check("pasword = 'hunter2'", "pasword = '***'");
        check("private_key = \"\"\"\n-----BEGIN\nMII\n\"\"\"\nx = 1", "private_key = \"\"\"***\"\"\"\nx = 1");
        check("private_key = \"\"\"\n-----BEGIN\nMII", "private_key = \"\"\"***");
        check(r#"auth = { method = "token", token = "abc" }"#, r#"auth = { method = "token", token = "***" }"#);
        check(r#""password" = "a""#, r#""password" = "***""#);
        check(r#"auth.token = "a""#, r#"auth.token = "***""#);
        check(r#"url = "https://me:pw@acme.example""#, r#"url = "https://***@acme.example""#);
        check(r#"url = "https://a.example/T0/hunter2hunter2hunter2""#, r#"url = "https://a.example/T0/***""#);
        check(
            r#"url = "https://a.example/x?key=hunter2hunter2hunter2&y=1""#,
            r#"url = "https://a.example/x?key=***&y=1""#,
        );
        check(r#"password = "https://a.example/hunter2hunter2hunter2""#, r#"password = "***""#);
        check(r#"password "hunter2""#, r#"password "***""#);
        check(r#"passé"word = "hunter2""#, r#"passé"word = "***""#);
        check(r#"épassword = "hunter2""#, r#"épassword = "***""#);
        check(r#"password = "hun"ter2" "#, r#"password = "***"#);
        check(r#"password = { valeu = "hunter2" }"#, r#"password = { valeu = "***" }"#);
    }

    #[test]
    fn what_is_no_secret_stays() {
        for text in [
            r#"password = { file = "/run/pw" }"#,
            r#"token = { env = "SF_TOKEN" }"#,
            r#"where = "token == 'a'""#,
            r#"Token__c = "tok""#,
            r#"token_url = "https://acme.example/a@b""#,
        ] {
            check(text, text);
        }
    }
}
