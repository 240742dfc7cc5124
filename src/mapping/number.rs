//! Arithmetic and order of numbers.
//!
//! Integers and decimals are exact: a result that 28 digits cannot hold is refused, never rounded. The one exception
//! is `/`, whose quotient is a decimal rounded to the nearest at the 28th digit (`2 / 3`); `//` and `%` cut towards zero
//! as SQL's do. A float makes the result a float.

use std::cmp::Ordering;

use passerelle_change::Value;
use rust_decimal::Decimal;

use super::program::Bad;
use super::syntax::BinaryOp;

const TOO_LONG: Bad = Bad("the number needs more than 28 digits");
const BY_ZERO: Bad = Bad("division by zero");
const NO_NUMBER: Bad = Bad("not a number");

/// `a op b` for two numbers that are not null.
pub(super) fn compute(op: BinaryOp, a: &Value<'_>, b: &Value<'_>) -> Result<Value<'static>, Bad> {
    if matches!(a, Value::Float(_)) || matches!(b, Value::Float(_)) {
        return floats(op, float(a)?, float(b)?).map(Value::Float);
    }
    let both_int = matches!((a, b), (Value::Int(_), Value::Int(_)));
    let (a, b) = (Exact::of(a)?, Exact::of(b)?);
    let divides = matches!(op, BinaryOp::Divide | BinaryOp::DivideWhole | BinaryOp::Remainder);
    if divides && b.mantissa == 0 {
        return Err(BY_ZERO);
    }
    let result = match op {
        BinaryOp::Add => aligned(a, b, i128::checked_add),
        BinaryOp::Subtract => aligned(a, b, i128::checked_sub),
        BinaryOp::Multiply => a.times(b).or_else(|| a.short().times(b.short())),
        BinaryOp::Divide => {
            let quotient = a.decimal().ok_or(TOO_LONG)?.checked_div(b.decimal().ok_or(TOO_LONG)?);
            return quotient.map(|quotient| Value::Decimal(quotient.normalize())).ok_or(TOO_LONG);
        }
        BinaryOp::DivideWhole => aligned(a, b, i128::checked_div).map(|whole| Exact { scale: 0, ..whole }),
        BinaryOp::Remainder => aligned(a, b, i128::checked_rem),
        _ => return Err(NO_NUMBER),
    };
    let result = result.ok_or(TOO_LONG)?;
    if both_int {
        return Ok(Value::Int(result.mantissa));
    }
    result.decimal().or_else(|| result.short().decimal()).map(Value::Decimal).ok_or(TOO_LONG)
}

/// `-a`.
pub(super) fn negate(a: &Value<'_>) -> Result<Value<'static>, Bad> {
    match a {
        Value::Int(n) => n.checked_neg().map(Value::Int).ok_or(TOO_LONG),
        Value::Decimal(n) if n.is_zero() => Ok(Value::Decimal(*n)),
        Value::Decimal(n) => Ok(Value::Decimal(-n)),
        Value::Float(n) => Ok(Value::Float(-n)),
        Value::BigNumber(_) => Err(TOO_LONG),
        _ => Err(NO_NUMBER),
    }
}

/// The order of two numbers, however many digits they have. NaN equals itself and is above all others, as in
/// PostgreSQL. Against a float, both are compared as floats.
pub(super) fn compare(a: &Value<'_>, b: &Value<'_>) -> Result<Ordering, Bad> {
    match (a, b) {
        (Value::Int(a), Value::Int(b)) => Ok(a.cmp(b)),
        (Value::Decimal(a), Value::Decimal(b)) => Ok(a.cmp(b)),
        (Value::Float(_), _) | (_, Value::Float(_)) => {
            let (a, b) = (float(a)?, float(b)?);
            Ok(a.partial_cmp(&b).unwrap_or_else(|| a.is_nan().cmp(&b.is_nan())))
        }
        _ => Ok(compare_texts(&plain(a)?, &plain(b)?)),
    }
}

#[derive(Clone, Copy)]
struct Exact {
    mantissa: i128,
    scale: u32,
}

impl Exact {
    fn of(value: &Value<'_>) -> Result<Self, Bad> {
        match value {
            Value::Int(n) => Ok(Self { mantissa: *n, scale: 0 }),
            Value::Decimal(n) => Ok(Self { mantissa: n.mantissa(), scale: n.scale() }),
            Value::BigNumber(_) => Err(TOO_LONG),
            _ => Err(NO_NUMBER),
        }
    }

    fn decimal(self) -> Option<Decimal> {
        Decimal::try_from_i128_with_scale(self.mantissa, self.scale).ok()
    }

    /// Without zeros behind the point.
    fn short(mut self) -> Self {
        while self.scale > 0 && self.mantissa % 10 == 0 {
            self.mantissa /= 10;
            self.scale -= 1;
        }
        self
    }

    fn times(self, other: Self) -> Option<Self> {
        let mantissa = self.mantissa.checked_mul(other.mantissa)?;
        Some(Self { mantissa, scale: self.scale + other.scale })
    }

    fn with_scale(self, scale: u32) -> Option<i128> {
        self.mantissa.checked_mul(10_i128.checked_pow(scale - self.scale)?)
    }
}

/// Computes with both at the larger scale.
fn aligned(a: Exact, b: Exact, compute: fn(i128, i128) -> Option<i128>) -> Option<Exact> {
    let at_scale = |a: Exact, b: Exact| {
        let scale = a.scale.max(b.scale);
        Some(Exact { mantissa: compute(a.with_scale(scale)?, b.with_scale(scale)?)?, scale })
    };
    at_scale(a, b).or_else(|| at_scale(a.short(), b.short()))
}

fn floats(op: BinaryOp, a: f64, b: f64) -> Result<f64, Bad> {
    if b == 0.0 && matches!(op, BinaryOp::Divide | BinaryOp::DivideWhole | BinaryOp::Remainder) {
        return Err(BY_ZERO);
    }
    match op {
        BinaryOp::Add => Ok(a + b),
        BinaryOp::Subtract => Ok(a - b),
        BinaryOp::Multiply => Ok(a * b),
        BinaryOp::Divide => Ok(a / b),
        BinaryOp::DivideWhole => Ok((a / b).trunc()),
        BinaryOp::Remainder => Ok(a % b),
        _ => Err(NO_NUMBER),
    }
}

fn float(value: &Value<'_>) -> Result<f64, Bad> {
    match value {
        Value::Float(n) => Ok(*n),
        Value::Int(n) => Ok(*n as f64),
        // Through the text: it rounds once, to the nearest float.
        Value::Decimal(_) | Value::BigNumber(_) => plain(value)?.parse().map_err(|_| NO_NUMBER),
        _ => Err(NO_NUMBER),
    }
}

fn plain(value: &Value<'_>) -> Result<String, Bad> {
    match value {
        Value::Int(n) => Ok(n.to_string()),
        Value::Decimal(n) => Ok(n.to_string()),
        Value::BigNumber(text) => Ok(text.to_string()),
        _ => Err(NO_NUMBER),
    }
}

/// Orders decimal texts of any length by value.
fn compare_texts(a: &str, b: &str) -> Ordering {
    let rank = |text: &str| match text {
        "-Infinity" => -1,
        "Infinity" => 1,
        "NaN" => 2,
        _ => 0,
    };
    if (rank(a), rank(b)) != (0, 0) {
        return rank(a).cmp(&rank(b));
    }
    let (a_negative, a) = magnitude(a);
    let (b_negative, b) = magnitude(b);
    match (a_negative, b_negative) {
        (false, false) => a.cmp(&b),
        (true, true) => b.cmp(&a),
        (true, false) => Ordering::Less,
        (false, true) => Ordering::Greater,
    }
}

/// Whether it is below zero, and its size in a form that sorts: digits before the point, those digits, the fraction.
fn magnitude(text: &str) -> (bool, (usize, &str, &str)) {
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, fraction) = unsigned.split_once('.').unwrap_or((unsigned, ""));
    let (whole, fraction) = (whole.trim_start_matches('0'), fraction.trim_end_matches('0'));
    let zero = whole.is_empty() && fraction.is_empty();
    (text.starts_with('-') && !zero, (whole.len(), whole, fraction))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(text: &str) -> Value<'_> {
        let ty = if text.contains('.') || text == "NaN" {
            passerelle_change::Type::Decimal { precision: None }
        } else {
            passerelle_change::Type::Int
        };
        Value::parse(&ty, Some(text.as_bytes())).expect("a number")
    }

    fn check(op: BinaryOp, cases: &[(&str, &str, &str)]) {
        for (a, b, expect) in cases {
            let got = match compute(op, &number(a), &number(b)) {
                Ok(value) => plain(&value).expect("a number"),
                Err(bad) => bad.0.to_owned(),
            };
            assert_eq!(&got, expect, "{a} {} {b}", op.symbol());
        }
    }

    #[test]
    fn sums_and_products_are_exact_or_refused() {
        check(
            BinaryOp::Add,
            &[
                ("12.50", "9.75", "22.25"),
                ("0.1", "0.2", "0.3"),
                ("1", "0.50", "1.50"),
                ("79228162514264337593543950335", "0.1", TOO_LONG.0),
                ("79228162514264337593543950335", "0.0", "79228162514264337593543950335"),
                ("79228162514264337593543950335", "1", "79228162514264337593543950336"),
                ("170141183460469231731687303715884105727", "1", TOO_LONG.0),
                ("NaN", "1", TOO_LONG.0),
            ],
        );
        check(BinaryOp::Subtract, &[("119.90", "19.98", "99.92"), ("1", "1.00", "0.00")]);
        check(
            BinaryOp::Multiply,
            &[
                ("19.99", "3", "59.97"),
                ("0.01", "0.01", "0.0001"),
                ("0.0000000000000001", "0.0000000000000001", TOO_LONG.0),
                ("79228162514264337593543950335", "10.0", TOO_LONG.0),
            ],
        );
    }

    #[test]
    fn quotients() {
        check(
            BinaryOp::Divide,
            &[
                ("7", "2", "3.5"),
                ("1", "3", "0.3333333333333333333333333333"),
                ("2", "3", "0.6666666666666666666666666667"),
                ("1", "0", BY_ZERO.0),
                ("1", "0.00", BY_ZERO.0),
            ],
        );
        check(BinaryOp::DivideWhole, &[("7", "2", "3"), ("-7", "2", "-3"), ("7.5", "2", "3"), ("1", "0", BY_ZERO.0)]);
        check(BinaryOp::Remainder, &[("7", "2", "1"), ("-7", "2", "-1"), ("7.5", "2", "1.5"), ("1", "0", BY_ZERO.0)]);
    }

    #[test]
    fn numbers_of_any_length_have_an_order() {
        let ascending = [
            "-79228162514264337593543950336.5",
            "-79228162514264337593543950336",
            "-10",
            "-9.9",
            "0",
            "0.00000000000000000000000000001",
            "9.9",
            "10",
            "79228162514264337593543950336",
            "79228162514264337593543950336.5",
            "NaN",
        ];
        for (i, a) in ascending.iter().enumerate() {
            for (j, b) in ascending.iter().enumerate() {
                assert_eq!(compare(&number(a), &number(b)), Ok(i.cmp(&j)), "{a} {b}");
            }
        }
        assert_eq!(compare(&number("1"), &number("1.00")), Ok(Ordering::Equal));
    }
}
