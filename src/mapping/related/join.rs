//! Join keys: values that two tables have in common, as bytes that are the same for equal values.

use std::borrow::Cow;

use passerelle_change::{KeyBuf, Value};

use super::JoinKey;
use crate::mapping::kind::Kind;
use crate::mapping::program::{Bad, Program};
use crate::mapping::row::Row;
use crate::mapping::{filters, text};

/// How a column compares its text, where it is not by its bytes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Fold {
    /// Upper and lower case are the same.
    pub case: bool,
    /// Letters with marks are those without.
    pub accents: bool,
    /// Blanks at the end do not count.
    pub padding: bool,
}

impl Fold {
    /// By a collation of MySQL or MariaDB: `utf8mb4_0900_ai_ci`, `latin1_swedish_ci`, `utf8mb4_bin`.
    pub fn of_collation(name: &str) -> Self {
        let name = name.to_ascii_lowercase();
        let has = |word: &str| name.split('_').any(|part| part == word);
        let case = !(has("bin") || has("cs") || name == "binary");
        Self {
            case,
            accents: case && !has("as"),
            // Those of UCA 9.0.0 do not pad, nor do MariaDB's of UCA 14.0.0 whose name says so.
            padding: name != "binary" && !has("0900") && !has("nopad") && name != "utf8mb4_0900_bin",
        }
    }

    /// By a type's name in PostgreSQL: `citext` ignores case, `character(n)` the blanks at the end.
    pub fn of_type(name: &str) -> Self {
        let name = name.rsplit('.').next().unwrap_or(name);
        let padding = name == "bpchar" || name == "character" || name.starts_with("character(");
        Self { case: name == "citext", accents: false, padding }
    }

    /// Whether text is compared by its bytes.
    pub fn is_none(self) -> bool {
        self == Self::default()
    }

    /// What equal texts have in common.
    pub fn apply<'t>(self, text: Cow<'t, str>) -> Cow<'t, str> {
        let mut text = text;
        if self.padding && text.ends_with(' ') {
            text = match text {
                Cow::Borrowed(text) => Cow::Borrowed(text.trim_end_matches(' ')),
                Cow::Owned(text) => Cow::Owned(text.trim_end_matches(' ').to_owned()),
            };
        }
        if self.accents && !text.is_ascii() {
            text = Cow::Owned(filters::without_accents(&text));
        }
        let is_lower = |text: &str| text.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase());
        if self.case && !is_lower(&text) {
            text = Cow::Owned(text.to_lowercase());
        }
        text
    }
}

/// How one part of a join key is written. It is the same on both sides.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(in crate::mapping) struct Part {
    /// Both sides are integers.
    pub(in crate::mapping) integer: bool,
    /// Both sides are numbers with a point: zeros at the end do not count.
    pub(in crate::mapping) number: bool,
    pub(in crate::mapping) fold: Fold,
}

/// The class of a kind that is not known.
pub(super) const ANY: &str = "any";

/// Of what class a kind is when it joins: only those of one class do. `None`: none of its kind joins.
pub(super) fn class(kind: &Kind) -> Option<&'static str> {
    Some(match kind {
        Kind::Bool => "boolean",
        Kind::Int => "integer",
        Kind::Decimal => "decimal",
        Kind::Float => "float",
        Kind::Text | Kind::Enum(_) | Kind::Uuid => "text",
        Kind::Date => "date",
        Kind::Time => "time",
        Kind::DateTime => "datetime",
        Kind::Timestamp => "instant",
        Kind::Bytes => "bytes",
        Kind::Any => ANY,
        Kind::Null | Kind::Json | Kind::List(_) => return None,
    })
}

/// The key of a row.
pub(super) fn key(parts: &[(Program, Part)], row: &Row<'_>) -> JoinKey {
    if parts.iter().any(|(program, _)| program.needs.iter().any(|&slot| row.is_absent(slot))) {
        return JoinKey::Absent;
    }
    let mut key = Vec::with_capacity(9 * parts.len());
    for (program, part) in parts {
        match program.evaluate(row) {
            Ok(Value::Absent) => return JoinKey::Absent,
            Ok(Value::Null) | Err(_) => return JoinKey::Null,
            Ok(value) => {
                if push(&mut key, *part, value).is_err() {
                    return JoinKey::Null;
                }
            }
        }
    }
    JoinKey::Key(key)
}

fn push(key: &mut Vec<u8>, part: Part, value: Value<'_>) -> Result<(), Bad> {
    let is_text = matches!(value, Value::Text(_) | Value::Uuid(_));
    let mut text = text::canonical(value)?;
    if part.number {
        text = Cow::Owned(without_zeros(&text));
    }
    if is_text && !part.fold.is_none() {
        text = part.fold.apply(text);
    }
    KeyBuf(key).push(part.integer, text.as_bytes());
    Ok(())
}

/// A number's text without zeros at the end of its fraction.
fn without_zeros(text: &str) -> String {
    let text = if text.contains('.') && !text.contains(['e', 'E']) {
        text.trim_end_matches('0').trim_end_matches('.')
    } else {
        text
    };
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn collations() {
        let check = |name: &str, case: bool, accents: bool, padding: bool| {
            assert_eq!(Fold::of_collation(name), Fold { case, accents, padding }, "{name}");
        };
        check("utf8mb4_general_ci", true, true, true);
        check("utf8mb4_unicode_520_ci", true, true, true);
        check("latin1_swedish_ci", true, true, true);
        check("utf8mb4_0900_ai_ci", true, true, false);
        check("utf8mb4_0900_as_ci", true, false, false);
        check("utf8mb4_0900_as_cs", false, false, false);
        check("utf8mb4_bin", false, false, true);
        check("utf8mb4_0900_bin", false, false, false);
        check("utf8mb4_uca1400_ai_ci", true, true, true);
        check("utf8mb4_uca1400_nopad_as_ci", true, false, false);
        check("latin1_general_cs", false, false, true);
        check("binary", false, false, false);
    }

    #[test]
    fn types_of_postgresql() {
        for (name, case, padding) in [
            ("citext", true, false),
            ("public.citext", true, false),
            ("character(5)", false, true),
            ("text", false, false),
        ] {
            assert_eq!(Fold::of_type(name), Fold { case, accents: false, padding }, "{name}");
        }
    }

    #[test]
    fn texts_that_a_collation_holds_to_be_equal() {
        let all = Fold { case: true, accents: true, padding: true };
        for (text, expect) in [("Élodie  ", "elodie"), ("ABC", "abc"), ("abc", "abc"), (" a", " a"), ("ß", "ss")] {
            assert_eq!(all.apply(text.into()), expect);
        }
        assert_eq!(Fold { case: true, ..Fold::default() }.apply("É ".into()), "é ");
        assert_eq!(Fold::default().apply("É ".into()), "É ");
    }

    #[test]
    fn numbers_are_the_same_however_many_zeros_they_have() {
        for (text, expect) in
            [("7.00", "7"), ("7", "7"), ("-0.0", "0"), ("100", "100"), ("1.50", "1.5"), ("1e30", "1e30")]
        {
            assert_eq!(without_zeros(text), expect);
        }
    }
}
