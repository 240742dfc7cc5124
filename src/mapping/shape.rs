//! What an expression can give, as far as that is known without a row: for the comparison with a CRM's fields.

use std::collections::BTreeSet;

use passerelle_change::{Type, Value};

use super::check::Checker;
use super::compile::{self, Compile};
use super::kind::Kind;
use super::program::Node;
use super::syntax::{self, BinaryOp, Expr, ExprKind};
use crate::config::model::Mapping;

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
    /// The shape of an expression of a mapping; `None` where it has faults, or gives what cannot be sent.
    pub fn of(expr: &str, config: &Mapping, with: &Compile<'_>) -> Option<Self> {
        Self::with(compile::checker(config, with), expr)
    }

    fn with(mut checker: Checker<'_>, expr: &str) -> Option<Self> {
        let tree = syntax::parse(expr).ok()?;
        let (_, kind) = checker.compile(expr).ok()?;
        let mut types = |part: &Expr| {
            let (program, _) = checker.compile_tree(0, expr, part, None).ok()?;
            match program.root {
                Node::Slot(slot) => checker.slots.get(slot)?.ty().cloned(),
                _ => None,
            }
        };
        let texts = known(&tree, &mut types);
        let precision = match types(&tree) {
            Some(Type::Decimal { precision }) => precision,
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

/// `types` gives the type of what is a column.
fn known(expr: &Expr, types: &mut dyn FnMut(&Expr) -> Option<Type>) -> Texts {
    match &expr.kind {
        ExprKind::Constant(Value::Text(text)) => Texts::of([text.to_string()]),
        ExprKind::Constant(Value::Null) => Texts::of([]),
        ExprKind::Column(_) | ExprKind::Related(_) => match types(expr) {
            Some(Type::Text { max_chars }) => Texts::up_to(max_chars),
            Some(Type::Enum { labels }) if !labels.is_empty() => Texts::of(labels),
            Some(Type::Uuid) => Texts::up_to(Some(36)),
            _ => Texts::default(),
        },
        ExprKind::If { then, otherwise, .. } => {
            let otherwise = otherwise.as_ref().map_or_else(|| Texts::of([]), |other| known(other, types));
            known(then, types).or(otherwise)
        }
        ExprKind::Binary(BinaryOp::Or, left, right) => known(left, types).or(known(right, types)),
        ExprKind::Binary(BinaryOp::Concat, left, right) => {
            let (left, right) = (known(left, types).most_chars, known(right, types).most_chars);
            Texts::up_to(left.zip(right).map(|(left, right)| left.saturating_add(right)))
        }
        ExprKind::Filter { input, name, arguments, .. } => {
            let input = known(input, types);
            let first = arguments.first().map(|argument| &argument.value);
            match name.as_str() {
                "trim" | "lower" | "upper" | "title" => Texts::up_to(input.most_chars),
                "truncate" => {
                    Texts::up_to(first.and_then(length).map(|most| input.most_chars.unwrap_or(most).min(most)))
                }
                "default" => first.map_or_else(Texts::default, |other| input.or(known(other, types))),
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

fn chars(text: &str) -> u32 {
    u32::try_from(text.chars().count()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use jiff::tz::TimeZone;
    use passerelle_change::{Column, ColumnId};

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
        let shown = Shape::with(Checker::new(&columns, TimeZone::UTC), expr).map_or_else(
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
