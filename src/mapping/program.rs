//! A compiled expression, and its evaluation over one row: bounded by the expression's own size.

use std::borrow::Cow;
use std::cmp::Ordering;

use passerelle_change::Value;

use super::filters::Op;
use super::row::Row;
use super::syntax::BinaryOp;
use super::{number, text};

/// Why a value could not be had: one of a few reasons, without anything of the row, so that it can be counted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Bad(pub(super) &'static str);

/// What an expression yields for a row.
pub(super) type Yield<'v> = Result<Value<'v>, Bad>;

/// An expression, checked, with its columns resolved to slots.
#[derive(Debug)]
pub(super) struct Program {
    pub(super) root: Node,
    /// The slots that it names.
    pub(super) needs: Vec<usize>,
}

impl Program {
    /// The value for a row; [`Value::Absent`] when it names a column that is absent, whatever the rest says.
    pub(super) fn evaluate<'v>(&'v self, row: &'v Row<'v>) -> Yield<'v> {
        if self.waits(row) {
            return Ok(Value::Absent);
        }
        self.root.evaluate(row)
    }

    /// The slot that it is, and nothing else.
    pub(super) fn slot(&self) -> Option<usize> {
        match &self.root {
            Node::Slot(slot) => Some(*slot),
            _ => None,
        }
    }

    /// Whether it names something that is absent.
    pub(super) fn waits(&self, row: &Row<'_>) -> bool {
        self.needs.iter().any(|&slot| row.is_absent(slot))
    }
}

/// A node of a compiled expression. The kinds of its operands were checked.
#[derive(Debug)]
pub(super) enum Node {
    Constant(Value<'static>),
    Slot(usize),
    List(Vec<Node>),
    Not(Box<Node>),
    Negate(Box<Node>),
    /// SQL's three-valued `and`.
    And(Box<[Node; 2]>),
    /// SQL's three-valued `or`.
    Or(Box<[Node; 2]>),
    /// `or` over other kinds: the first that is neither null nor empty text.
    Coalesce(Box<[Node; 2]>),
    Arithmetic(BinaryOp, Box<[Node; 2]>),
    Compare(BinaryOp, Box<[Node; 2]>),
    In {
        negated: bool,
        operands: Box<[Node; 2]>,
    },
    IsNull {
        negated: bool,
        operand: Box<Node>,
    },
    Concat(Vec<Node>),
    If(Box<[Node; 3]>),
    Filter {
        op: Box<Op>,
        input: Box<Node>,
    },
}

const MISMATCH: Bad = Bad("values of these types cannot be compared");

impl Node {
    pub(super) fn evaluate<'v>(&'v self, row: &'v Row<'v>) -> Yield<'v> {
        match self {
            Self::Constant(value) => Ok(value.borrowed()),
            Self::Slot(slot) => row.value(*slot),
            Self::List(items) => items.iter().map(|item| item.evaluate(row)).collect::<Result<_, _>>().map(Value::List),
            Self::Not(operand) => Ok(truth(operand.truth(row)?.map(|b| !b))),
            Self::Negate(operand) => match operand.evaluate(row)? {
                Value::Null => Ok(Value::Null),
                value => number::negate(&value),
            },
            Self::And(operands) => connective(operands, row, false),
            Self::Or(operands) => connective(operands, row, true),
            Self::Coalesce(operands) => {
                let [first, second] = &**operands;
                let value = first.evaluate(row)?;
                if is_nothing(&value) { second.evaluate(row) } else { Ok(value) }
            }
            Self::Arithmetic(op, operands) => match both(operands, row)? {
                Some((a, b)) => number::compute(*op, &a, &b),
                None => Ok(Value::Null),
            },
            Self::Compare(op, operands) => match both(operands, row)? {
                Some((a, b)) => compare(*op, &a, &b).map(Value::Bool),
                None => Ok(Value::Null),
            },
            Self::In { negated, operands } => Ok(truth(is_in(operands, row)?.map(|found| found != *negated))),
            Self::IsNull { negated, operand } => Ok(Value::Bool((operand.evaluate(row)? == Value::Null) != *negated)),
            Self::Concat(parts) => concat(parts, row),
            Self::If(parts) => {
                let [condition, then, otherwise] = &**parts;
                if condition.truth(row)? == Some(true) { then.evaluate(row) } else { otherwise.evaluate(row) }
            }
            Self::Filter { op, input } => op.apply(input.evaluate(row)?, row),
        }
    }

    /// The value of a condition; `None` is null.
    fn truth<'v>(&'v self, row: &'v Row<'v>) -> Result<Option<bool>, Bad> {
        match self.evaluate(row)? {
            Value::Null => Ok(None),
            Value::Bool(b) => Ok(Some(b)),
            _ => Err(Bad("not a boolean")),
        }
    }
}

/// Null, or text without a character: what `or` passes over.
fn is_nothing(value: &Value<'_>) -> bool {
    matches!(value, Value::Null) || matches!(value, Value::Text(text) if text.is_empty())
}

fn truth(value: Option<bool>) -> Value<'static> {
    value.map_or(Value::Null, Value::Bool)
}

/// `and` ends at the first false, `or` at the first true; a null leaves the answer to the other side.
fn connective<'v>(operands: &'v [Node; 2], row: &'v Row<'v>, ends_at: bool) -> Yield<'v> {
    let [left, right] = operands;
    let left = left.truth(row)?;
    if left == Some(ends_at) {
        return Ok(Value::Bool(ends_at));
    }
    let right = right.truth(row)?;
    if right == Some(ends_at) {
        return Ok(Value::Bool(ends_at));
    }
    Ok(truth(left.and(right)))
}

/// Both values; `None` when one is null.
fn both<'v>(operands: &'v [Node; 2], row: &'v Row<'v>) -> Result<Option<(Value<'v>, Value<'v>)>, Bad> {
    let [left, right] = operands;
    let (left, right) = (left.evaluate(row)?, right.evaluate(row)?);
    Ok((left != Value::Null && right != Value::Null).then_some((left, right)))
}

fn compare(op: BinaryOp, a: &Value<'_>, b: &Value<'_>) -> Result<bool, Bad> {
    let ordering = order(a, b)?;
    match op {
        BinaryOp::Equal => Ok(ordering == Ordering::Equal),
        BinaryOp::NotEqual => Ok(ordering != Ordering::Equal),
        BinaryOp::Less => Ok(ordering == Ordering::Less),
        BinaryOp::LessOrEqual => Ok(ordering != Ordering::Greater),
        BinaryOp::Greater => Ok(ordering == Ordering::Greater),
        BinaryOp::GreaterOrEqual => Ok(ordering != Ordering::Less),
        _ => Err(MISMATCH),
    }
}

fn order(a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, Bad> {
    match (a, b) {
        (Value::Bool(a), Value::Bool(b)) => Ok(a.cmp(b)),
        (Value::Text(a), Value::Text(b)) | (Value::Uuid(a), Value::Uuid(b)) => Ok(a.cmp(b)),
        (Value::Date(a), Value::Date(b)) => Ok(a.cmp(b)),
        (Value::Time(a), Value::Time(b)) => Ok(a.cmp(b)),
        (Value::DateTime(a), Value::DateTime(b)) => Ok(a.cmp(b)),
        (Value::Timestamp(a), Value::Timestamp(b)) => Ok(a.cmp(b)),
        (Value::Bytes(a), Value::Bytes(b)) => Ok(a.cmp(b)),
        (
            Value::Int(_) | Value::Decimal(_) | Value::BigNumber(_) | Value::Float(_),
            Value::Int(_) | Value::Decimal(_) | Value::BigNumber(_) | Value::Float(_),
        ) => number::compare(a, b),
        _ => Err(MISMATCH),
    }
}

/// Three-valued: a null among the items, or as the needle, makes "not found" null.
fn is_in<'v>(operands: &'v [Node; 2], row: &'v Row<'v>) -> Result<Option<bool>, Bad> {
    let [needle, haystack] = operands;
    let needle = needle.evaluate(row)?;
    if needle == Value::Null {
        return Ok(None);
    }
    let mut unknown = false;
    let mut is_it = |item: Value<'_>| {
        unknown |= item == Value::Null;
        Ok(item != Value::Null && order(&needle, &item)? == Ordering::Equal)
    };
    let mut found = false;
    if let Node::List(items) = haystack {
        for item in items {
            found = found || is_it(item.evaluate(row)?)?;
        }
    } else {
        match (&needle, haystack.evaluate(row)?) {
            (_, Value::Null) => return Ok(None),
            (Value::Text(part), Value::Text(whole)) => return Ok(Some(whole.contains(&**part))),
            (_, Value::List(items)) => {
                for item in items {
                    found = found || is_it(item)?;
                }
            }
            _ => return Err(MISMATCH),
        }
    }
    Ok(if found {
        Some(true)
    } else if unknown {
        None
    } else {
        Some(false)
    })
}

/// Joins what is not null; null when nothing is left.
fn concat<'v>(parts: &'v [Node], row: &'v Row<'v>) -> Yield<'v> {
    let mut joined: Option<Cow<'v, str>> = None;
    for part in parts {
        let value = part.evaluate(row)?;
        if value == Value::Null {
            continue;
        }
        let next = text::of(value)?;
        match &mut joined {
            None => joined = Some(next),
            Some(before) => {
                text::bounded(before.len() + next.len())?;
                before.to_mut().push_str(&next);
            }
        }
    }
    Ok(joined.map_or(Value::Null, Value::Text))
}
