//! What becomes of a column's values when its type changes. Pure.

use passerelle_change::Type;

use super::change::Retyping;

/// A type and how its database spells it: `Type::Int`, `bigint unsigned`.
#[derive(Clone, Copy, Debug)]
pub struct Spelled<'t> {
    /// What it holds.
    pub ty: &'t Type,
    /// The database's own spelling.
    pub name: &'t str,
}

/// How the values fare; `None` where the type is the same. Other labels alone are no other type.
///
/// Where a spelling says nothing of the range, as that of a domain, values of one [`Type`] are taken to stay.
pub fn retyping(from: Spelled<'_>, to: Spelled<'_>) -> Option<Retyping> {
    let is_same = from.name == to.name
        && (from.ty == to.ty || matches!((from.ty, to.ty), (Type::Enum { .. }, Type::Enum { .. })));
    (!is_same).then(|| how(from, to))
}

/// Whether values that stay what they are may yet be printed otherwise: `5` as `5.00`, the `0.1` of four bytes as
/// `0.10000000149011612`.
pub(super) fn prints_otherwise(from: Spelled<'_>, to: Spelled<'_>) -> bool {
    matches!((from.ty, to.ty), (Type::Float, Type::Float) | (Type::Decimal { .. }, Type::Decimal { .. }))
        || std::mem::discriminant(from.ty) != std::mem::discriminant(to.ty)
}

fn how(from: Spelled<'_>, to: Spelled<'_>) -> Retyping {
    match (from.ty, to.ty) {
        (Type::Int, Type::Int) => widened(match (range(from.name), range(to.name)) {
            (Some((low, high)), Some((lowest, highest))) => lowest <= low && high <= highest,
            _ => true,
        }),
        (Type::Int, Type::Decimal { precision }) => widened(precision.is_none_or(|(digits, scale)| {
            whole_digits(from.name).is_some_and(|needed| needed <= i32::from(digits) - i32::from(scale))
        })),
        (Type::Int, Type::Float) => widened(range(from.name).is_some_and(|(low, high)| {
            let exact = 1_i128 << mantissa(to.name);
            -exact <= low && high <= exact
        })),
        (Type::Float, Type::Float) => widened(mantissa(from.name) <= mantissa(to.name)),
        (Type::Decimal { precision: a }, Type::Decimal { precision: b }) => {
            let loses_sign = is_unsigned(to.name) && !is_unsigned(from.name);
            widened(!loses_sign && decimals_fit(*a, *b))
        }
        (Type::Float | Type::Decimal { .. }, Type::Int)
        | (Type::Float, Type::Decimal { .. })
        | (Type::Decimal { .. }, Type::Float)
        | (Type::Text { .. }, Type::Enum { .. }) => Retyping::Narrowed,
        (Type::Text { .. }, Type::Text { .. }) if is_padded(to.name) && !is_padded(from.name) => Retyping::Converted,
        (Type::Text { max_chars: a }, Type::Text { max_chars: b }) => {
            widened(most(from.name, *a) <= least(to.name, from.name, *b))
        }
        (Type::Bytes, Type::Bytes) => {
            let length = |name: &str| number(name).and_then(|length| u32::try_from(length).ok());
            widened(most(from.name, length(from.name)) <= least(to.name, from.name, length(to.name)))
        }
        (Type::Enum { labels: from }, Type::Enum { labels: to }) => {
            widened(from.iter().all(|label| to.contains(label)))
        }
        (Type::Enum { labels }, Type::Text { max_chars }) => {
            let longest = labels.iter().map(|label| label.chars().count()).max().unwrap_or(0) as u64;
            widened(longest <= least(to.name, from.name, *max_chars))
        }
        (Type::Uuid, Type::Text { max_chars }) => widened(least(to.name, from.name, *max_chars) >= UUID_CHARS),
        (Type::Time, Type::Time) | (Type::DateTime, Type::DateTime) | (Type::Timestamp, Type::Timestamp) => {
            widened(fraction_digits(from.name) <= fraction_digits(to.name))
        }
        (Type::Interval, Type::Interval) => widened(to.name == "interval"),
        (Type::Array(a), Type::Array(b)) => {
            let element = |ty, name: &'_ str| (ty, name.strip_suffix("[]").unwrap_or(name).to_owned());
            let ((a, a_name), (b, b_name)) = (element(a, from.name), element(b, to.name));
            how(Spelled { ty: a, name: &a_name }, Spelled { ty: b, name: &b_name })
        }
        // Domains of one type, `json` and `jsonb`.
        (Type::Bool, Type::Bool) | (Type::Date, Type::Date) | (Type::Uuid, Type::Uuid) | (Type::Json, Type::Json) => {
            Retyping::Widened
        }
        _ => Retyping::Converted,
    }
}

/// The characters of a UUID's text.
const UUID_CHARS: u64 = 36;

fn widened(is_wider: bool) -> Retyping {
    if is_wider { Retyping::Widened } else { Retyping::Narrowed }
}

fn is_unsigned(name: &str) -> bool {
    name.ends_with(" unsigned")
}

/// The range of an integer type (PostgreSQL 8.1.1; MySQL 11.1.2).
pub(super) fn range(name: &str) -> Option<(i128, i128)> {
    let bits = match name.trim_end_matches(" unsigned") {
        "tinyint" => 8,
        "smallint" => 16,
        "mediumint" => 24,
        "int" | "integer" => 32,
        "bigint" => 64,
        "oid" => return Some((0, (1 << 32) - 1)),
        "year" => return Some((0, 2155)),
        _ => return None,
    };
    Some(if is_unsigned(name) { (0, (1 << bits) - 1) } else { (-(1 << (bits - 1)), (1 << (bits - 1)) - 1) })
}

fn whole_digits(name: &str) -> Option<i32> {
    range(name).map(|(low, high)| low.abs().max(high).to_string().len() as i32)
}

/// Bits of a float that are exact.
fn mantissa(name: &str) -> u32 {
    if name == "real" || name.starts_with("float") { 24 } else { 53 }
}

fn decimals_fit(from: Option<(u16, i16)>, to: Option<(u16, i16)>) -> bool {
    let whole = |(digits, scale): (u16, i16)| i32::from(digits) - i32::from(scale);
    match (from, to) {
        (_, None) => true,
        (None, Some(_)) => false,
        (Some(from), Some(to)) => from.1 <= to.1 && whole(from) <= whole(to),
    }
}

/// PostgreSQL's `character(n)`: filled up with blanks, and printed so.
fn is_padded(name: &str) -> bool {
    name == "character" || name.starts_with("character(")
}

/// The most characters that a value of the type has.
fn most(name: &str, declared: Option<u32>) -> u64 {
    declared.map(u64::from).or_else(|| sized(name)).unwrap_or(u64::MAX)
}

/// The characters that fit into the type whatever they are. `text` of MySQL ends at 64 KiB; that it is MySQL's shows by
/// what it was before.
fn least(name: &str, from: &str, declared: Option<u32>) -> u64 {
    let fits = declared.map(u64::from).or_else(|| match name {
        "set" => Some(0),
        "text" | "blob" if sized(from).is_none() => None,
        // As bytes, of which a character takes up to four; from one such type to another they are the same bytes.
        _ if sized(from).is_some() => sized(name),
        _ => sized(name).map(|bytes| bytes / 4),
    });
    fits.unwrap_or(u64::MAX)
}

/// The types of MySQL and MariaDB whose name is their size, in bytes.
fn sized(name: &str) -> Option<u64> {
    match name {
        "tinytext" | "tinyblob" => Some(255),
        "text" | "blob" => Some(65_535),
        "mediumtext" | "mediumblob" => Some(16_777_215),
        "longtext" | "longblob" => Some(4_294_967_295),
        _ => None,
    }
}

/// Digits behind the second: six in PostgreSQL, none in MySQL, where nothing is said.
fn fraction_digits(name: &str) -> u64 {
    number(name).unwrap_or(if name.contains("time zone") { 6 } else { 0 })
}

/// The first number in parentheses.
fn number(name: &str) -> Option<u64> {
    let (_, rest) = name.split_once('(')?;
    let end = rest.find(|char: char| !char.is_ascii_digit())?;
    rest.get(..end)?.parse().ok()
}
