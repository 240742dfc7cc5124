//! `[mapping.NAME.with.NAME]`: related rows, four deep.

use std::sync::Arc;

use super::Fault;
use super::keys::{EXPRESSION, Form, Key, Keys, TEXT};
use super::mapping::{TABLE, table};
use super::model::{Expr, OnlyName, Place, Related, RelatedForm, Source};
use super::section::{Found, Section};
use super::tree::Value;

/// Names that expressions can say: of relations and of figures.
const NAMES: &str = "^[A-Za-z_][A-Za-z0-9_]*$";
/// Words that mean something else at the beginning of an expression's part.
const RESERVED: &[&str] =
    &["row", "and", "or", "not", "in", "is", "if", "else", "true", "True", "false", "False", "none", "None", "null"];
/// The most relations of a table, and the most figures of one relation.
const MOST: usize = 32;
/// The most tables of one pivot.
const MOST_TABLES: usize = 16;
/// The most names in `only`.
const MOST_NAMES: usize = 1_000;

const EXAMPLE: &str = r#"{ country = { table = "public.res_country", on = { id = "country_id" } } }"#;

/// `with` of a mapping.
pub(super) const WITH: Key = Key::maybe(
    "with",
    Form::Named { names: NAMES, of: &FIRST, least: 1 },
    EXAMPLE,
    "related rows of other tables, `[mapping.NAME.with.NAME]`: see [mapping.md](mapping.md#related-rows)",
);

/// The keys of a relation at one depth; the last one is `with`, or what is said of it at the greatest depth.
macro_rules! keys {
    ($with:expr) => {
        Keys::all(&[
            Key::need(
                "table",
                Form::Any(&[TABLE, Form::List(&TABLE)]),
                r#""public.res_country""#,
                "the rows' table, written as the mapping's; with `pivot` it may be several, in a list",
            ),
            Key::need(
                "on",
                Form::Named { names: r"\S", of: &EXPRESSION, least: 1 },
                r#"{ id = "country_id" }"#,
                "which rows are related: an expression over the related row (mostly a column) `=` one over the row that it belongs to",
            ),
            Key::maybe("where", EXPRESSION, r#""active""#, "only related rows for which it is true").without("all of them"),
            Key::maybe(
                "pick",
                EXPRESSION,
                r#""is_primary desc, idx""#,
                "of several rows, the first in this order: expressions over the related row, each perhaps with `desc`; null comes last",
            )
            .without("the row with the lowest key"),
            Key::maybe(
                "pivot",
                Form::Table(&PIVOT),
                r#"{ name = "meta_key", value = "meta_value" }"#,
                "rows to named values: `meta.billing_phone` is the value of the row of that name",
            ),
            Key::maybe(
                "rollup",
                Form::Named { names: NAMES, of: &EXPRESSION, least: 1 },
                r#"{ n = "count()", total = "sum(amount_total)" }"#,
                "all rows to figures: `orders.total`",
            ),
            $with,
        ])
    };
}

const ABOUT_WITH: &str = "rows that belong to a related row: `bill.country.code`";

const fn nested(form: &'static Form) -> Key {
    Key::maybe("with", Form::Named { names: NAMES, of: form, least: 1 }, EXAMPLE, ABOUT_WITH)
}

/// The keys of `[mapping.NAME.with.NAME]`.
pub(super) static KEYS: Keys = keys!(nested(&SECOND));
static FIRST: Form = Form::Table(&KEYS);
static SECOND: Form = Form::Table(&SECOND_KEYS);
static SECOND_KEYS: Keys = keys!(nested(&THIRD));
static THIRD: Form = Form::Table(&THIRD_KEYS);
static THIRD_KEYS: Keys = keys!(nested(&FOURTH));
static FOURTH: Form = Form::Table(&FOURTH_KEYS);
static FOURTH_KEYS: Keys = keys!(Key::later("with", "relations nest four deep"));

/// The keys of `pivot`.
pub(super) static PIVOT: Keys = Keys::all(&[
    Key::need("name", EXPRESSION, r#""meta_key""#, "what a row is called: an expression over the related row"),
    Key::need("value", EXPRESSION, r#""meta_value""#, "what it holds"),
    Key::maybe(
        "only",
        Form::List(&TEXT),
        r#"["billing_phone", "billing_city"]"#,
        "the names that there are: another one in an expression is a fault",
    )
    .without("any name can be used"),
    Key::maybe("pick", EXPRESSION, r#""umeta_id""#, "of several rows with one name, the first in this order")
        .without("the row with the lowest key"),
]);

/// Reads `with`: all relations of a table, in the order written.
pub(super) fn read_all(found: &Found<'_>, source: Option<&Source>) -> Option<Vec<Related>> {
    let entries = found.named()?;
    if entries.is_empty() {
        return found.fault("`with` names no relation", format!("with = {EXAMPLE}"));
    }
    if entries.len() > MOST {
        return found.fault(format!("`with` names more than {MOST} relations"), "leave out what no field uses");
    }
    let all: Vec<Option<Related>> = entries.iter().map(|entry| read(entry, source)).collect();
    all.into_iter().collect()
}

fn read(found: &Found<'_>, source: Option<&Source>) -> Option<Related> {
    let name = name(found, "a relation");
    let mut section = found.titled_table(format!("`with.{}`", found.name))?;
    let tables = section.need("table", |found| tables(found, source));
    let on = section.need("on", on);
    let filter = section.maybe("where", Found::expr);
    let form = form(&mut section);
    // At the greatest depth the key is left, and said to be too deep.
    let with = match section.knows("with") {
        true => section.maybe("with", |found| read_all(found, source)),
        false => Some(None),
    };
    section.finish(|key| Some(hint_of(key)?.to_owned()));
    let (tables, form) = (tables?, form?);
    if let ([_, _, ..], RelatedForm::One { .. } | RelatedForm::Rollup(_)) = (&tables[..], &form) {
        return found.fault("several tables go with `pivot` only", "table = \"…\", one of them");
    }
    Some(Related {
        name: name?,
        tables,
        on: on?,
        filter: filter?,
        form,
        with: with?.unwrap_or_default(),
        place: found.key_place.clone(),
    })
}

/// What is meant by keys of elsewhere.
fn hint_of(key: &str) -> Option<&'static str> {
    Some(match key {
        "order" | "order_by" | "sort" => "which of several rows is taken: pick = \"is_primary desc, idx\"",
        "join" | "using" | "key" | "foreign_key" | "references" => "rows are related by on = { id = \"country_id\" }",
        "fields" | "columns" | "select" => {
            "every column of a related row can be used as it is: `country.code`; nothing else is captured"
        }
        "filter" | "when" => "rows are left out with `where`",
        "count" | "sum" | "min" | "max" | "list" => "rollup = { n = \"count()\", total = \"sum(amount)\" }",
        _ => return None,
    })
}

fn name(found: &Found<'_>, what: &str) -> Option<Arc<str>> {
    let name = found.name;
    let fits = name.starts_with(|char: char| char.is_ascii_alphabetic() || char == '_')
        && name.chars().all(|char| char.is_ascii_alphanumeric() || char == '_');
    let (message, hint) = if !fits {
        (format!("`{name}` cannot be the name of {what}"), "letters, digits and _, beginning with a letter".to_owned())
    } else if RESERVED.contains(&name) {
        (format!("`{name}` is a word of the language"), format!("another name for {what}: {name}_"))
    } else {
        return Some(Arc::from(name));
    };
    found.context.note(Fault::error(message).at(found.key_place).hint(hint));
    None
}

fn tables(found: &Found<'_>, source: Option<&Source>) -> Option<Vec<passerelle_change::TableName>> {
    if !matches!(found.node.value, Value::List(_)) {
        return Some(vec![table(found, source)?]);
    }
    let items = found.list("[\"eav_varchar\", \"eav_int\"]")?;
    if items.len() > MOST_TABLES {
        return found.fault(format!("`table` names more than {MOST_TABLES} tables"), "name those whose rows are used");
    }
    let tables: Vec<_> = items.iter().map(|item| table(item, source)).collect();
    let tables = tables.into_iter().collect::<Option<Vec<_>>>()?;
    match tables.iter().enumerate().find(|(at, table)| tables[..*at].contains(table)) {
        Some((_, twice)) => found.fault(format!("`table` names {twice} twice"), "name it once"),
        None => Some(tables),
    }
}

fn on(found: &Found<'_>) -> Option<Vec<(Expr, Expr)>> {
    const FORM: &str = "on = { id = \"country_id\" }, their column = ours";
    if !matches!(found.node.value, Value::Table(_)) {
        return found.wrong_form("a table", FORM);
    }
    let pairs = found.named()?;
    if pairs.is_empty() {
        return found.fault("`on` says which rows are related", FORM);
    }
    let pairs: Vec<_> = pairs.iter().map(|pair| Some((key_expr(pair)?, pair.expr()?))).collect();
    pairs.into_iter().collect()
}

/// A key that is an expression.
fn key_expr(found: &Found<'_>) -> Option<Expr> {
    if found.name.trim().is_empty() {
        let fault = Fault::error("`on` has a key that is empty").at(found.key_place);
        found.context.note(fault.hint("their column = ours: on = { id = \"country_id\" }"));
        return None;
    }
    let Place { file, span } = found.key_place.clone();
    // Between its quotes, where it has some and no escapes.
    let quoted = span.len() == found.name.len() + 2;
    let span = if quoted { span.start + 1..span.end - 1 } else { span };
    Some(Expr { text: found.name.to_owned(), place: Place { file, span } })
}

fn form(section: &mut Section<'_>) -> Option<RelatedForm> {
    let (pick_key, rollup_key) = (section.find("pick"), section.find("rollup"));
    let pick = section.maybe("pick", Found::expr);
    let pivot = section.maybe("pivot", pivot);
    let rollup = section.maybe("rollup", rollup);
    let (pick, pivot, rollup) = (pick?, pivot?, rollup?);
    match (pick, pivot, rollup) {
        (_, Some(_), Some(_)) => {
            rollup_key?.fault("`rollup` does not go with `pivot`", "give each a relation of its own")
        }
        (Some(_), Some(_), None) => {
            pick_key?.fault("`pick` stands in `pivot`, where there is one", "pivot = { name = …, value = …, pick = … }")
        }
        (Some(_), None, Some(_)) => pick_key?.fault(
            "`pick` takes one row, and `rollup` makes figures of all",
            "keep one of them; the last one by an order: last(name, by = date_order)",
        ),
        (None, Some(pivot), None) => Some(pivot),
        (None, None, Some(rollup)) => Some(rollup),
        (pick, None, None) => Some(RelatedForm::One { pick }),
    }
}

fn pivot(found: &Found<'_>) -> Option<RelatedForm> {
    let mut section = found.table()?;
    let name = section.need("name", Found::expr);
    let value = section.need("value", Found::expr);
    let only = section.maybe("only", only);
    let pick = section.maybe("pick", Found::expr);
    section.finish(|_| None);
    Some(RelatedForm::Pivot { name: name?, value: value?, only: only?, pick: pick? })
}

fn only(found: &Found<'_>) -> Option<Vec<OnlyName>> {
    let items = found.list("[\"billing_phone\", \"billing_city\"]")?;
    if items.len() > MOST_NAMES {
        return found
            .fault(format!("`only` has more than {MOST_NAMES} names"), "without it, those that are used count");
    }
    let place = |item: &Found<'_>| match &item.node.value {
        Value::Text(_, place) => place.clone(),
        _ => item.node.place.clone(),
    };
    let names: Vec<_> = items.iter().map(|item| Some(OnlyName { name: item.string()?, place: place(item) })).collect();
    names.into_iter().collect()
}

fn rollup(found: &Found<'_>) -> Option<RelatedForm> {
    const FORM: &str = "rollup = { n = \"count()\", total = \"sum(amount_total)\" }";
    let figures = found.named()?;
    if figures.is_empty() {
        return found.fault("`rollup` names no figure", FORM);
    }
    if figures.len() > MOST {
        return found.fault(format!("`rollup` names more than {MOST} figures"), "give some a relation of their own");
    }
    let figures: Vec<_> = figures.iter().map(|figure| Some((name(figure, "a figure")?, figure.expr()?))).collect();
    figures.into_iter().collect::<Option<Vec<_>>>().map(RelatedForm::Rollup)
}
