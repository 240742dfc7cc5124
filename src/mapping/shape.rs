//! What an expression can give, as far as that is known without a row: for the comparison with a CRM's fields.

use std::collections::BTreeSet;

use jiff::tz::TimeZone;
use passerelle_change::{Column, Type, Value};

use super::check::Checker;
use super::kind::Kind;
use super::syntax::{self, BinaryOp, Expr, ExprKind};
use crate::config::model::Standard;

/// How a value is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sent {
    /// Always null.
    Null,
    /// `true` or `false`.
    Bool,
    /// A number without a fraction.
    Integer,
    /// Any number.
    Number,
    /// Text, enum labels, UUIDs, JSON.
    Text,
    /// `YYYY-MM-DD`.
    Date,
    /// A time of day.
    Time,
    /// An instant.
    Instant,
    /// Values joined by `;`.
    List,
}

/// What an expression can give, besides null.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shape {
    /// How it is sent.
    pub sent: Sent,
    /// The most characters of its text, where that is known.
    pub most_chars: Option<u32>,
    /// The texts that it can give, where these are few and known: constants, an enum's labels.
    pub texts: Option<BTreeSet<String>>,
    /// Digits in all and after the point, of a column that declares them.
    pub precision: Option<(u16, i16)>,
}

impl Shape {
    /// The shape of an expression over these columns, where `standard` holds; `None` where it has faults, or gives what
    /// cannot be sent.
    pub fn of(expr: &str, columns: &[Column], time_zone: &str, standard: &Standard) -> Option<Self> {
        let tree = syntax::parse(expr).ok()?;
        let zone = TimeZone::get(time_zone).unwrap_or(TimeZone::UTC);
        let mut checker = Checker::new(columns, zone).with_standard(standard);
        let (_, kind) = checker.compile(expr).ok()?;
        let texts = known(&tree, columns);
        let precision = match &tree.kind {
            ExprKind::Column(name) => match column(name, columns).map(|column| &column.ty) {
                Some(Type::Decimal { precision }) => *precision,
                _ => None,
            },
            _ => None,
        };
        Some(Self { sent: sent(&kind)?, most_chars: texts.most_chars, texts: texts.all, precision })
    }
}

fn sent(kind: &Kind) -> Option<Sent> {
    Some(match kind {
        Kind::Null => Sent::Null,
        Kind::Bool => Sent::Bool,
        Kind::Int => Sent::Integer,
        Kind::Decimal | Kind::Float => Sent::Number,
        Kind::Text | Kind::Enum(_) | Kind::Uuid | Kind::Json => Sent::Text,
        Kind::Date => Sent::Date,
        Kind::Time => Sent::Time,
        Kind::DateTime | Kind::Timestamp => Sent::Instant,
        Kind::List(_) => Sent::List,
        Kind::Bytes | Kind::Any => return None,
    })
}

/// What is known of the texts of a part.
#[derive(Default)]
struct Texts {
    most_chars: Option<u32>,
    all: Option<BTreeSet<String>>,
}

impl Texts {
    fn of(texts: impl IntoIterator<Item = String>) -> Self {
        let all: BTreeSet<String> = texts.into_iter().collect();
        Self { most_chars: Some(all.iter().map(|text| chars(text)).max().unwrap_or(0)), all: Some(all) }
    }

    fn up_to(most_chars: Option<u32>) -> Self {
        Self { most_chars, all: None }
    }

    /// One or the other.
    fn or(self, other: Self) -> Self {
        Self {
            most_chars: self.most_chars.zip(other.most_chars).map(|(a, b)| a.max(b)),
            all: self.all.zip(other.all).map(|(mut a, b)| {
                a.extend(b);
                a
            }),
        }
    }
}

fn known(expr: &Expr, columns: &[Column]) -> Texts {
    match &expr.kind {
        ExprKind::Constant(Value::Text(text)) => Texts::of([text.to_string()]),
        ExprKind::Constant(Value::Null) => Texts::of([]),
        ExprKind::Column(name) => match column(name, columns).map(|column| &column.ty) {
            Some(Type::Text { max_chars }) => Texts::up_to(*max_chars),
            Some(Type::Enum { labels }) if !labels.is_empty() => Texts::of(labels.iter().cloned()),
            Some(Type::Uuid) => Texts::up_to(Some(36)),
            _ => Texts::default(),
        },
        ExprKind::If { then, otherwise, .. } => {
            let otherwise = otherwise.as_ref().map_or_else(|| Texts::of([]), |other| known(other, columns));
            known(then, columns).or(otherwise)
        }
        ExprKind::Binary(BinaryOp::Or, left, right) => known(left, columns).or(known(right, columns)),
        ExprKind::Binary(BinaryOp::Concat, left, right) => {
            let (left, right) = (known(left, columns).most_chars, known(right, columns).most_chars);
            Texts::up_to(left.zip(right).map(|(left, right)| left.saturating_add(right)))
        }
        ExprKind::Filter { input, name, arguments, .. } => {
            let input = known(input, columns);
            let first = arguments.first().map(|argument| &argument.value);
            match name.as_str() {
                "trim" | "lower" | "upper" | "title" => Texts::up_to(input.most_chars),
                "truncate" => {
                    Texts::up_to(first.and_then(length).map(|most| input.most_chars.unwrap_or(most).min(most)))
                }
                "default" => first.map_or_else(Texts::default, |other| input.or(known(other, columns))),
                "country" => Texts::up_to(Some(2)),
                // A plus and fifteen digits (E.164).
                "phone" => Texts::up_to(Some(16)),
                _ => Texts::default(),
            }
        }
        _ => Texts::default(),
    }
}

fn length(expr: &Expr) -> Option<u32> {
    match &expr.kind {
        ExprKind::Constant(Value::Int(n)) => u32::try_from(*n).ok(),
        _ => None,
    }
}

/// The newest column of that name.
fn column<'c>(name: &str, columns: &'c [Column]) -> Option<&'c Column> {
    columns.iter().rev().find(|column| column.name == name)
}

fn chars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use passerelle_change::ColumnId;

    use super::*;

    fn check(expr: &str, expect: &str) {
        let labels = ["draft", "sale"].map(str::to_owned).to_vec();
        let types = [
            ("id", Type::Int),
            ("name", Type::Text { max_chars: None }),
            ("code", Type::Text { max_chars: Some(8) }),
            ("state", Type::Enum { labels }),
            ("amount", Type::Decimal { precision: Some((10, 2)) }),
            ("at", Type::Timestamp),
            ("raw", Type::Bytes),
        ];
        let column = |(at, (name, ty)): (usize, (&str, Type))| Column {
            id: ColumnId(at as u32),
            name: name.to_owned(),
            type_name: String::new(),
            ty,
            nullable: true,
        };
        let columns: Vec<_> = types.into_iter().enumerate().map(column).collect();
        let shown = Shape::of(expr, &columns, "UTC", &Standard::default()).map_or_else(
            || "nothing".to_owned(),
            |shape| {
                let most = shape.most_chars.map_or_else(String::new, |most| format!(" up to {most}"));
                let texts = shape.texts.map_or_else(String::new, |texts| {
                    format!(" of {}", texts.into_iter().collect::<Vec<_>>().join("|"))
                });
                let digits = shape.precision.map_or_else(String::new, |digits| format!(" {digits:?}"));
                format!("{:?}{most}{texts}{digits}", shape.sent)
            },
        );
        assert_eq!(shown, expect, "{expr}");
    }

    #[test]
    fn what_an_expression_can_give() {
        check("id", "Integer");
        check("amount", "Number (10, 2)");
        check("amount * 2", "Number");
        check("name", "Text");
        check("code | trim | upper", "Text up to 8");
        check("name | truncate(80)", "Text up to 80");
        check("code | truncate(80)", "Text up to 8");
        check("code ~ '-' ~ code", "Text up to 17");
        check("state", "Text up to 5 of draft|sale");
        check("'Gold' if id > 3 else 'Silver'", "Text up to 6 of Gold|Silver");
        check("state | default('none')", "Text up to 5 of draft|none|sale");
        check("name | default('?')", "Text");
        check("at | date", "Date");
        check("at", "Instant");
        check("raw", "nothing");
        check("nobody", "nothing");
    }
}
