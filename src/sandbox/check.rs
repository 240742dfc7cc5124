//! Whether a value fits its field: what does not decode refuses the request, what decodes but breaks a rule of the field
//! refuses the record.

use serde_json::Value;

use super::problem::Problem;
use super::schema::{Field, FieldType};

/// Longest text of a field, in the message and elsewhere cut to this.
const SHOWN: usize = 40;

/// Why a value does not fit.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Misfit {
    /// It does not decode: the whole request is refused.
    Undecodable(Problem),
    /// It breaks a rule: this record is refused.
    Refused(Problem),
}

/// The value as it is stored: empty text is null, as in Salesforce; numbers given as text become numbers. References are
/// checked elsewhere, for their shape only here.
pub(super) fn fit(name: &str, field: &Field, value: Value) -> Result<Value, Misfit> {
    if value.is_null() || value == "" {
        return if field.kind == FieldType::Boolean { Err(undecodable("boolean", &value)) } else { Ok(Value::Null) };
    }
    match field.kind {
        FieldType::String | FieldType::TextArea | FieldType::Phone | FieldType::Url => {
            text(name, field, "string", value)
        }
        FieldType::Reference => text(name, field, "reference", value),
        FieldType::Email => {
            let value = text(name, field, "email", value)?;
            match value.as_str() {
                Some(address) if !is_email(address) => Err(Misfit::Refused(
                    Problem::new("INVALID_EMAIL_ADDRESS", format!("{name}: invalid email address: {}", shown(address)))
                        .about(name),
                )),
                _ => Ok(value),
            }
        }
        FieldType::Picklist => {
            let value = text(name, field, "picklist", value)?;
            allowed(name, field, value, |chosen, values| values.iter().any(|known| known == chosen))
        }
        FieldType::MultiPicklist => {
            let value = text(name, field, "multipicklist", value)?;
            let every =
                |chosen: &str, values: &[String]| chosen.split(';').all(|one| values.iter().any(|known| known == one));
            allowed(name, field, value, every)
        }
        FieldType::Boolean => match value {
            Value::Bool(_) => Ok(value),
            other => Err(undecodable("boolean", &other)),
        },
        FieldType::Int => match number(&value) {
            Some(number) if number.fract() == 0.0 => in_range(name, field, number, value),
            _ => Err(undecodable("int", &value)),
        },
        FieldType::Double => real(name, field, "double", value),
        FieldType::Currency => real(name, field, "currency", value),
        FieldType::Percent => real(name, field, "percent", value),
        FieldType::Date => match value.as_str() {
            Some(date) if is_date(date) => Ok(value),
            _ => Err(undecodable("date", &value)),
        },
        FieldType::DateTime => match value.as_str() {
            Some(moment) if moment.parse::<jiff::Timestamp>().is_ok() => Ok(value),
            _ => Err(undecodable("datetime", &value)),
        },
        FieldType::Any => match value {
            Value::Array(_) | Value::Object(_) => Err(undecodable("string", &value)),
            Value::String(_) => text(name, field, "string", value),
            scalar => Ok(scalar),
        },
    }
}

/// Whether two stored values are the same to a reader: numbers by their worth.
pub(super) fn same(left: &Value, right: &Value) -> bool {
    match (left, right) {
        (Value::Number(left), Value::Number(right)) => left == right || left.as_f64() == right.as_f64(),
        _ => left == right,
    }
}

fn text(name: &str, field: &Field, kind: &str, value: Value) -> Result<Value, Misfit> {
    let Value::String(text) = &value else { return Err(undecodable(kind, &value)) };
    // Bytes are never fewer than characters, so most texts need no counting.
    if text.len() > field.length && text.chars().count() > field.length {
        let message = format!("{name}: data value too large: {} (max length={})", shown(text), field.length);
        return Err(Misfit::Refused(Problem::new("STRING_TOO_LONG", message).about(name)));
    }
    Ok(value)
}

fn allowed(name: &str, field: &Field, value: Value, fits: impl Fn(&str, &[String]) -> bool) -> Result<Value, Misfit> {
    match value.as_str() {
        Some(chosen) if !field.values.is_empty() && !fits(chosen, &field.values) => Err(Misfit::Refused(
            Problem::new(
                "INVALID_OR_NULL_FOR_RESTRICTED_PICKLIST",
                format!("{name}: bad value for restricted picklist field: {}", shown(chosen)),
            )
            .about(name),
        )),
        _ => Ok(value),
    }
}

fn real(name: &str, field: &Field, kind: &str, value: Value) -> Result<Value, Misfit> {
    match number(&value) {
        Some(number) => in_range(name, field, number, value),
        None => Err(undecodable(kind, &value)),
    }
}

/// The number a value is, also if it is written as text.
fn number(value: &Value) -> Option<f64> {
    match value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => text.parse().ok().filter(|number: &f64| number.is_finite()),
        _ => None,
    }
}

fn in_range(name: &str, field: &Field, number: f64, value: Value) -> Result<Value, Misfit> {
    let whole_digits = field.precision.saturating_sub(field.scale).min(300);
    if number.abs() >= 10_f64.powi(whole_digits.cast_signed()) {
        let message = format!("{name}: value outside of valid range on numeric field: {number}");
        return Err(Misfit::Refused(Problem::new("NUMBER_OUTSIDE_VALID_RANGE", message).about(name)));
    }
    Ok(if value.is_number() { value } else { Value::from(number) })
}

fn is_date(text: &str) -> bool {
    text.len() == 10 && text.parse::<jiff::civil::Date>().is_ok_and(|date| (1700..=4000).contains(&date.year()))
}

/// The shape that Salesforce asks for: one `@`, something before it, a dot within what follows, nothing blank.
fn is_email(address: &str) -> bool {
    let Some((local, domain)) = address.rsplit_once('@') else { return false };
    let plain = |text: &str| {
        !text.is_empty()
            && !text.contains(|c: char| c.is_whitespace() || c.is_control() || "<>()[],;:\\\"@".contains(c))
    };
    plain(local)
        && local.len() <= 64
        && !local.starts_with('.')
        && !local.ends_with('.')
        && plain(domain)
        && domain.split('.').count() >= 2
        && domain.split('.').all(|label| !label.is_empty() && !label.starts_with('-') && !label.ends_with('-'))
}

fn undecodable(kind: &str, value: &Value) -> Misfit {
    let token = match value {
        Value::Null => "VALUE_NULL",
        Value::Bool(true) => "VALUE_TRUE",
        Value::Bool(false) => "VALUE_FALSE",
        Value::Number(number) if number.is_f64() => "VALUE_NUMBER_FLOAT",
        Value::Number(_) => "VALUE_NUMBER_INT",
        Value::String(_) => "VALUE_STRING",
        Value::Array(_) => "START_ARRAY",
        Value::Object(_) => "START_OBJECT",
    };
    let text = match value {
        Value::String(text) => shown(text),
        Value::Array(_) => "[".to_owned(),
        Value::Object(_) => "{".to_owned(),
        scalar => scalar.to_string(),
    };
    Misfit::Undecodable(Problem::deserialize(kind, token, &text))
}

fn shown(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::schema::Schema;
    use super::*;

    /// The stored value, or the code of the refusal; `!` before it when the request is refused.
    #[allow(clippy::needless_pass_by_value, reason = "the cases read better")]
    fn check(object: &str, field: &str, value: Value, expect: Value) {
        let schema = Schema::standard();
        let (name, described) = schema.object(schema.number(object).unwrap()).field(field).unwrap();
        let found = match fit(name, described, value.clone()) {
            Ok(stored) => stored,
            Err(Misfit::Refused(problem)) => json!(problem.code),
            Err(Misfit::Undecodable(problem)) => json!(format!("!{}", problem.code)),
        };
        assert_eq!(found, expect, "{object}.{field} = {value}");
    }

    #[test]
    fn values_fit_or_are_refused() {
        check("Contact", "LastName", json!("Ada"), json!("Ada"));
        check("Contact", "LastName", json!(""), json!(null));
        check("Contact", "LastName", json!("é".repeat(80)), json!("é".repeat(80)));
        check("Contact", "LastName", json!("é".repeat(81)), json!("STRING_TOO_LONG"));
        check("Contact", "LastName", json!(17), json!("!JSON_PARSER_ERROR"));
        check("Contact", "LastName", json!({"a": 1}), json!("!JSON_PARSER_ERROR"));
        check("Contact", "Email", json!("ada@example.com"), json!("ada@example.com"));
        for bad in ["ada", "ada@", "@example.com", "a b@example.com", "ada@example", "ada@example..com", "a@b@c.de"] {
            check("Contact", "Email", json!(bad), json!("INVALID_EMAIL_ADDRESS"));
        }
        check("Contact", "DoNotCall", json!(true), json!(true));
        check("Contact", "DoNotCall", json!("yes"), json!("!JSON_PARSER_ERROR"));
        check("Contact", "DoNotCall", json!(null), json!("!JSON_PARSER_ERROR"));
        check("Contact", "Birthdate", json!("1815-12-10"), json!("1815-12-10"));
        check("Contact", "Birthdate", json!("1815-02-30"), json!("!JSON_PARSER_ERROR"));
        check("Contact", "Birthdate", json!("1600-01-01"), json!("!JSON_PARSER_ERROR"));
        check("Opportunity", "Amount", json!(12.5), json!(12.5));
        check("Opportunity", "Amount", json!("12.5"), json!(12.5));
        check("Opportunity", "Amount", json!("NaN"), json!("!JSON_PARSER_ERROR"));
        check("Opportunity", "Amount", json!(1e16), json!("NUMBER_OUTSIDE_VALID_RANGE"));
        check("Account", "NumberOfEmployees", json!(12), json!(12));
        check("Account", "NumberOfEmployees", json!(1.5), json!("!JSON_PARSER_ERROR"));
    }

    #[test]
    fn moments_need_a_zone() {
        let field = Field { kind: FieldType::DateTime, ..described("Contact", "Birthdate") };
        for good in ["2026-01-31T10:00:00Z", "2026-01-31T10:00:00.123+01:00", "2026-01-31T10:00:00.000+0000"] {
            assert!(fit("At__c", &field, json!(good)).is_ok(), "{good}");
        }
        for bad in ["2026-01-31T10:00:00", "2026-01-31", "soon"] {
            assert!(fit("At__c", &field, json!(bad)).is_err(), "{bad}");
        }
    }

    #[test]
    fn restricted_picklists_refuse_other_values() {
        let values = vec!["Hot".to_owned(), "Cold".to_owned()];
        let one = Field { kind: FieldType::Picklist, values, ..described("Contact", "LeadSource") };
        let several = Field { kind: FieldType::MultiPicklist, ..one.clone() };
        assert!(fit("A", &one, json!("Hot")).is_ok());
        assert!(matches!(fit("A", &one, json!("Hot;Cold")), Err(Misfit::Refused(_))));
        assert!(fit("A", &several, json!("Hot;Cold")).is_ok());
        assert!(matches!(fit("A", &several, json!("Hot;Warm")), Err(Misfit::Refused(_))));
    }

    fn described(object: &str, field: &str) -> Field {
        let schema = Schema::standard();
        schema.object(schema.number(object).unwrap()).field(field).unwrap().1.clone()
    }
}
