//! What is said of a relation that will not do.

use std::sync::Arc;

use passerelle_change::TableName;

use crate::config::model::{Expr, OnlyName, Related};
use crate::config::nearest;
use crate::mapping::compile::MappingFault;
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;

/// The most names that are shown.
const NAMES_SHOWN: usize = 16;

pub(super) fn no_table(related: &Related, table: &TableName) -> MappingFault {
    let fault = MappingFault::of_setting_at(&related.place, "table", format!("there is no table {table}"));
    fault.with_hint("`passerelle check --online` names the table that was probably meant")
}

pub(super) fn no_row_key(related: &Related, table: &TableName) -> MappingFault {
    let message = format!("{table} has no key by which its rows are told apart");
    let hint = "give it a primary key, or a unique key whose columns are not null; a view cannot be tailed";
    MappingFault::of_setting_at(&related.place, "table", message).with_hint(hint)
}

pub(super) fn named_as_column(related: &Related, table: &str) -> MappingFault {
    let name = &related.name;
    let table = if table == "the table" { "the mapping's table" } else { table };
    let fault = MappingFault::at(&related.place, format!("`{name}` is a column of {table}, too"));
    fault.with_hint(format!("another name for the relation: {name}_row"))
}

pub(super) fn circle(related: &Related, names: &[&str]) -> MappingFault {
    let message = match names {
        [_, _] => format!("`{}` is asked for by itself", related.name),
        _ => format!("relations lead in a circle: {}", names.join(" → ")),
    };
    let hint = "the right side of `on` names columns of the row that it belongs to, or of a relation that needs it not";
    MappingFault::at(&related.place, message).with_hint(hint)
}

/// Two sides of `on` that are never equal.
pub(super) fn unlike_join(left: &Expr, right: &Expr, kinds: [&Kind; 2], is_flag: bool) -> MappingFault {
    let [theirs, ours] = kinds;
    let message = match (theirs, ours) {
        (Kind::Json | Kind::List(_), _) => format!("{} is not joined: `{}`", theirs.name(), left.text),
        (_, Kind::Json | Kind::List(_)) => format!("{} is not joined", ours.name()),
        _ => format!("`{}` is {}, and this is {}: they are not joined", left.text, theirs.name(), ours.name()),
    };
    let fault = Fault::new(0..right.text.len(), message);
    let operand = |expr: &Expr| match expr.text.chars().all(|c| c == '_' || c == '.' || c.is_alphanumeric()) {
        true => expr.text.clone(),
        false => format!("({})", expr.text),
    };
    let fault = match (theirs, ours) {
        (Kind::Json, _) => fault.hint(format!("a part of it is: \"{} | json('id')\"", left.text)),
        (_, Kind::Json) => fault.hint(format!("a part of it is: \"{} | json('id')\"", right.text)),
        (Kind::Bool, Kind::Int) if is_flag => {
            fault.hint("a tinyint(1) is true or false; tinyint1 = \"int\" of the source makes it a number")
        }
        (kind, Kind::Int) if kind.is_text() => fault.hint(format!("as text: \"{} ~ ''\"", operand(right))),
        (Kind::Int, kind) if kind.is_text() => {
            fault.hint(format!("their number as text: \"{} ~ ''\" = \"{}\"", operand(left), right.text))
        }
        (Kind::Int, Kind::Decimal | Kind::Float) | (Kind::Decimal | Kind::Float, Kind::Int) => {
            fault.hint("name columns of one type, or make text of both: `id ~ ''`")
        }
        (Kind::Date, Kind::DateTime | Kind::Timestamp) => {
            fault.hint(format!("its date: \"{} | date\"", operand(right)))
        }
        _ => fault.hint("both sides are of one type"),
    };
    MappingFault::of(fault, right)
}

pub(super) fn lefts_of_unlike_kinds(left: &Expr, kinds: [&Kind; 2], tables: [&TableName; 2]) -> MappingFault {
    let [first, other] = kinds;
    let message = format!("`{}` is {} in {} and {} in {}", left.text, first.name(), tables[0], other.name(), tables[1]);
    MappingFault::of(Fault::new(0..left.text.len(), message).hint("give each table a relation of its own"), left)
}

pub(super) fn pivot_of_unlike_values(related: &Related) -> MappingFault {
    let message = "the tables' values are of types that have no text in common";
    let fault = MappingFault::at(&related.place, message);
    fault.with_hint("bytes have a text: value = \"value | hex\"; or give each table a relation of its own")
}

/// The fault's place is the name's.
pub(super) fn not_in_only(name: &str, only: &[OnlyName]) -> Fault {
    let fault = Fault::new(0..0, format!("`{name}` is none of the names in `only`"));
    match nearest(name, only.iter().map(|known| known.name.as_str())) {
        Some(near) => fault.hint(format!("did you mean `{near}`? otherwise add it to `only`")),
        None => fault.hint("add it to `only`"),
    }
}

/// The fault's place is the name's.
pub(super) fn no_figure(relation: &str, name: &str, figures: &[(Arc<str>, Kind)]) -> Fault {
    let fault = Fault::new(0..0, format!("`{relation}` has no figure `{name}`"));
    if let Some(near) = nearest(name, figures.iter().map(|(name, _)| &**name)) {
        return fault.hint(format!("did you mean `{near}`?"));
    }
    let names: Vec<String> = figures.iter().take(NAMES_SHOWN).map(|(name, _)| format!("`{name}`")).collect();
    fault.hint(format!("its figures: {}; another one is added to its `rollup`", names.join(", ")))
}
