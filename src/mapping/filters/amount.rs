//! Filters on numbers and amounts of money: exact, or refused.

use std::borrow::Cow;

use iso_currency::Currency;
use passerelle_change::Value;
use rust_decimal::{Decimal, RoundingStrategy};

use super::WRONG_KIND;
use crate::mapping::program::{Bad, Yield};

const TOO_LONG: Bad = Bad("the number needs more than 28 digits");

pub(super) fn abs(value: Value<'_>) -> Yield<'_> {
    match value {
        Value::Int(n) => n.checked_abs().map(Value::Int).ok_or(TOO_LONG),
        Value::Decimal(n) => Ok(Value::Decimal(n.abs())),
        Value::Float(n) => Ok(Value::Float(n.abs())),
        Value::BigNumber(text) => Ok(Value::BigNumber(match text {
            Cow::Borrowed(text) => Cow::Borrowed(text.trim_start_matches('-')),
            Cow::Owned(text) => Cow::Owned(text.trim_start_matches('-').to_owned()),
        })),
        _ => Err(WRONG_KIND),
    }
}

/// Half away from zero.
pub(super) fn round(value: &Value<'_>, places: u32) -> Yield<'static> {
    Ok(Value::Decimal(exact(value)?.round_dp_with_strategy(places, RoundingStrategy::MidpointAwayFromZero)))
}

/// `12345` of EUR as `123.45`; null where the currency is.
pub(super) fn minor_units(value: &Value<'_>, currency: &Value<'_>) -> Yield<'static> {
    let code = match currency {
        Value::Null => return Ok(Value::Null),
        Value::Text(code) if code.trim().is_empty() => return Ok(Value::Null),
        Value::Text(code) => code,
        _ => return Err(WRONG_KIND),
    };
    let places = minor_places(code).ok_or(Bad("not a currency with minor units"))?;
    let mut amount = exact(value)?;
    let scale = amount.scale() + places;
    if scale > Decimal::MAX_SCALE {
        return Err(TOO_LONG);
    }
    amount.set_scale(scale).map_err(|_| TOO_LONG)?;
    Ok(Value::Decimal(amount))
}

/// The digits behind the point of a currency's amounts (ISO 4217); `None` when it has no such code, or no minor unit
/// (gold).
pub(super) fn minor_places(code: &str) -> Option<u32> {
    Currency::from_code(&code.trim().to_ascii_uppercase())?.exponent().map(u32::from)
}

/// The currency that a text probably means: `EURO`, `€`.
pub(super) fn probable_currency(text: &str) -> Option<String> {
    let text = text.trim().to_ascii_uppercase();
    let of_sign = match text.as_str() {
        "€" => Some("EUR"),
        "$" | "DOLLAR" | "US" | "US$" => Some("USD"),
        "£" | "POUND" | "STERLING" => Some("GBP"),
        "¥" | "YEN" => Some("JPY"),
        _ => text.get(..3).filter(|code| minor_places(code).is_some()),
    };
    of_sign.map(str::to_owned)
}

fn exact(value: &Value<'_>) -> Result<Decimal, Bad> {
    match value {
        Value::Int(n) => Decimal::try_from_i128_with_scale(*n, 0).map_err(|_| TOO_LONG),
        Value::Decimal(n) => Ok(*n),
        Value::BigNumber(_) => Err(TOO_LONG),
        _ => Err(WRONG_KIND),
    }
}
