//! `[lookup.NAME]`: texts by key, from a CSV file beside the configuration or written out, for the filter `lookup`.
//!
//! A table is small and is kept in memory: a file has at most 8 MiB, a table 100,000 keys. It is read with the
//! configuration, at the start and at a reload, and never in between.

use std::collections::HashMap;
use std::hash::Hasher;
use std::io::Read;
use std::path::Path;
use std::{fs, io};

use siphasher::sip::SipHasher24;

use super::keys::{Cases, Form, Key, Keys, PATH, Words};
use super::model::Lookup;
use super::section::{Found, Section};

/// The largest file.
const LARGEST_FILE_BYTES: u64 = 8 << 20;
/// The most keys of a table.
const MOST_KEYS: usize = 100_000;
/// The keys of `[lookup.NAME]`.
pub(super) static KEYS: Keys = Keys {
    keys: &[
        Key::need(
            "file",
            PATH,
            r#""terms.csv""#,
            "a CSV file in UTF-8: the first line names the columns, the first column is the key",
        )
        .with(&["file"]),
        Key::or("delimiter", Form::Words(&DELIMITERS), r#"",""#, "what stands between the cells of the file")
            .with(&["file"]),
        Key::need(
            "values",
            Form::Named { names: "", of: &Form::Constant, least: 1 },
            r#"{ NET30 = "30 days" }"#,
            "the texts themselves, by key",
        )
        .with(&["values"]),
    ],
    cases: Cases::Key(&["file", "values"]),
};

static DELIMITERS: Words<u8> = Words::new(&[(",", b','), (";", b';'), ("\t", b'\t'), ("|", b'|')]);

/// Reads `[lookup.NAME]`.
pub(super) fn read(mut section: Section<'_>) -> Option<Lookup> {
    let delimiter = section.or("delimiter", |found| found.word(&DELIMITERS));
    let file = section.take("file");
    let values = section.take("values");
    section.finish(|_| None);
    match file {
        Some(file) => from_file(&file, delimiter?),
        None => written_out(&values?),
    }
}

fn written_out(found: &Found<'_>) -> Option<Lookup> {
    let values = found.named()?.into_iter();
    let values: Vec<_> = values.map(|value| Some((value.name.to_owned(), value.constant()?.to_string()))).collect();
    let values: Vec<(String, String)> = values.into_iter().collect::<Option<_>>()?;
    if values.is_empty() {
        return found.fault("`values` is empty", "values = { NET30 = \"30 days\" }");
    }
    if values.len() > MOST_KEYS {
        return found.fault(format!("a lookup has at most {MOST_KEYS} keys"), "keep the table in the database");
    }
    let mut sorted: Vec<_> = values.iter().collect();
    sorted.sort_unstable();
    let mut hash = hasher();
    for (key, value) in sorted {
        for text in [key, value] {
            hash.write_u64(text.len() as u64);
            hash.write(text.as_bytes());
        }
    }
    let entries = values.into_iter().map(|(key, value)| (key, vec![value])).collect();
    Some(Lookup { columns: vec!["value".to_owned()], entries, hash: hash.finish() })
}

/// Where secrets are not read, a file that can't be read is no fault: who asks does not evaluate.
fn from_file(found: &Found<'_>, separator: u8) -> Option<Lookup> {
    let path = found.path()?;
    let bytes = match bytes_of(&path) {
        Ok(bytes) => bytes,
        Err(_) if !found.context.read_secrets => return Some(Lookup::default()),
        Err(error) => {
            let hint =
                "a relative path starts at the folder of the configuration; the user that runs passerelle reads it";
            return found.fault(format!("cannot read {}: {error}", path.display()), hint);
        }
    };
    let mut hash = hasher();
    hash.write_u8(separator);
    hash.write(&bytes);
    let hash = hash.finish();
    if !found.context.read_secrets {
        return Some(Lookup { hash, ..Lookup::default() });
    }
    if bytes.len() as u64 > LARGEST_FILE_BYTES {
        let message = format!("{} has more than {} MiB", path.display(), LARGEST_FILE_BYTES >> 20);
        return found.fault(message, "keep the table in the database");
    }
    match parsed(&bytes, separator) {
        Ok((columns, entries)) => Some(Lookup { columns, entries, hash }),
        Err((message, hint)) => found.fault(format!("{}: {message}", path.display()), hint),
    }
}

fn bytes_of(path: &Path) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path)?.take(LARGEST_FILE_BYTES + 1).read_to_end(&mut bytes)?;
    Ok(bytes)
}

type Entries = HashMap<String, Vec<String>>;

/// The columns behind the key, and the rows; or what is wrong, and what to do.
fn parsed(bytes: &[u8], separator: u8) -> Result<(Vec<String>, Entries), (String, &'static str)> {
    const CELLS: &str = "a cell that holds the delimiter or a line break stands in double quotes";
    const FORM: &str = "the first line names the columns: the first is the key, the others are values; `delimiter = \";\"` where it is one";
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let line = bytes[..error.valid_up_to()].split(|&byte| byte == b'\n').count();
        (format!("line {line} is not UTF-8"), "save it as UTF-8; Excel calls it `CSV UTF-8`")
    })?;
    let mut reader = csv::ReaderBuilder::new().delimiter(separator).from_reader(text.as_bytes());
    let malformed = |error: &csv::Error| match error.kind() {
        csv::ErrorKind::UnequalLengths { pos, expected_len, len } => {
            let line = pos.as_ref().map_or(0, csv::Position::line);
            (format!("line {line} has {len} cells, and the first line {expected_len}"), CELLS)
        }
        _ => ("not a CSV file".to_owned(), CELLS),
    };
    let head = reader.headers().map_err(|error| malformed(&error))?.clone();
    let columns: Vec<String> = head.iter().skip(1).map(|name| name.trim().to_owned()).collect();
    if columns.is_empty() {
        return Err(("the first line names less than two columns".to_owned(), FORM));
    }
    if let Some(twice) = columns.iter().enumerate().find(|(at, name)| columns[..*at].contains(name)) {
        return Err((format!("two columns are named `{}`", twice.1), FORM));
    }
    let mut entries = Entries::new();
    for record in reader.records() {
        let record = record.map_err(|error| malformed(&error))?;
        let line = record.position().map_or(0, csv::Position::line);
        let mut cells = record.iter().map(str::to_owned);
        let key = cells.next().unwrap_or_default();
        if key.trim().is_empty() {
            return Err((format!("line {line} has no key"), "the key is the first column"));
        }
        if entries.len() >= MOST_KEYS {
            return Err((format!("it has more than {MOST_KEYS} keys"), "keep the table in the database"));
        }
        if entries.contains_key(&key) {
            return Err((format!("line {line} has the key `{key}`, which stands there before"), "keep one of them"));
        }
        entries.insert(key, cells.collect());
    }
    Ok((columns, entries))
}

/// With fixed keys: what it gives is written to the state.
fn hasher() -> SipHasher24 {
    SipHasher24::new_with_keys(0x7061_7373_6572_656c, 0x6c65_2f6c_6f6f_6b01)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expected: &str) {
        let shown = match parsed(text.as_bytes(), b';') {
            Ok((columns, entries)) => {
                let mut entries: Vec<_> =
                    entries.into_iter().map(|(key, cells)| format!("{key}={}", cells.join("+"))).collect();
                entries.sort_unstable();
                format!("{}: {}", columns.join(" "), entries.join(" "))
            }
            Err((message, _)) => message,
        };
        assert_eq!(shown, expected, "{text}");
    }

    #[test]
    fn a_file_is_a_key_and_its_values() {
        check("code;label\nNET30;30 days\nNET60;60 days\n", "label: NET30=30 days NET60=60 days");
        check("\u{feff}code;label; iso \r\n1;\"a;b\";FR\r\n2;;\r\n", "label iso: 1=a;b+FR 2=+");
        check("code;label\n\n1;a\n", "label: 1=a");
    }

    #[test]
    fn what_is_no_table_says_where() {
        check("", "the first line names less than two columns");
        check("code,label\n1,a\n", "the first line names less than two columns");
        check("code;a;a\n", "two columns are named `a`");
        check("code;label\n1;a\n2;b;c\n", "line 3 has 3 cells, and the first line 2");
        check("code;label\n1;a\n ;b\n", "line 3 has no key");
        check("code;label\n1;a\n1;b\n", "line 3 has the key `1`, which stands there before");
        assert_eq!(parsed(b"code;label\n1;\xe9\n", b';').unwrap_err().0, "line 2 is not UTF-8");
        let many = (0..=MOST_KEYS).fold(String::from("code;label\n"), |text, n| text + &format!("{n};a\n"));
        check(&many, "it has more than 100000 keys");
    }
}
