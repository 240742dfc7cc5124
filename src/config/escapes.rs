//! Where a byte of a TOML text stands in the file, when escapes make the two differ.

/// The offset in `raw` (a basic string between its quotes, as written) of the byte `offset` of the text it stands for.
/// Past the end it is the end.
pub(super) fn raw_offset(raw: &str, offset: usize) -> usize {
    let mut decoded = 0;
    let mut rest = raw;
    while decoded < offset {
        let (raw_bytes, text_bytes) = unit(rest);
        if raw_bytes == 0 {
            break;
        }
        decoded += text_bytes;
        rest = rest.get(raw_bytes..).unwrap_or_default();
    }
    raw.len() - rest.len()
}

/// How long the first character or escape is as written, and the text it stands for.
fn unit(raw: &str) -> (usize, usize) {
    let mut chars = raw.chars();
    let Some(first) = chars.next() else { return (0, 0) };
    if first != '\\' {
        return (first.len_utf8(), first.len_utf8());
    }
    let digits = match chars.next() {
        Some('x') => 2,
        Some('u') => 4,
        Some('U') => 8,
        // The end of a line: it and the blanks that follow stand for nothing.
        Some(char) if char.is_whitespace() => return (1 + raw[1..].len() - raw[1..].trim_start().len(), 0),
        Some(_) => return (2, 1),
        None => return (1, 1),
    };
    let code = raw.get(2..2 + digits).and_then(|hex| u32::from_str_radix(hex, 16).ok()).and_then(char::from_u32);
    (raw.len().min(2 + digits), code.map_or(1, char::len_utf8))
}

#[cfg(test)]
mod tests {
    use super::raw_offset;

    #[test]
    fn an_offset_is_found_behind_escapes() {
        for (raw, wanted) in [
            (r"name | X", 7),
            (r"a ~ '\n' ~ X", 11),
            (r#"'\"' ~ X"#, 7),
            (r"'\u00e9' ~ X", 11),
            (r"'\U0001F600' ~ X", 15),
            (r"'\x41' ~ X", 9),
            ("a \\\n   ~ X", 9),
            ("'é' ~ X", 7),
        ] {
            let text = toml_text(raw);
            let at = text.find('X').unwrap();
            assert_eq!((raw_offset(raw, at), &raw[wanted..=wanted]), (wanted, "X"), "{raw}");
        }
        assert_eq!(raw_offset("ab", 9), 2);
        assert_eq!(raw_offset("\\", 9), 1);
    }

    /// What the parser makes of it.
    fn toml_text(raw: &str) -> String {
        let document = format!("x = \"\"\"{raw}\"\"\"");
        let table = toml::de::DeTable::parse(&document).unwrap().into_inner();
        table["x"].get_ref().as_str().unwrap().to_owned()
    }
}
