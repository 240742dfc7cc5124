//! `lookup`: a text by its key, from a table of the configuration.

use std::borrow::Cow;
use std::sync::Arc;

use passerelle_change::Value;

use super::Call;
use crate::config::model::Lookup;
use crate::mapping::fault::Fault;
use crate::mapping::kind::Kind;
use crate::mapping::program::{Bad, Node, Yield};
use crate::mapping::row::Row;
use crate::mapping::text;

/// A table, the column to read from it, and what stands for a key that it has not.
#[derive(Debug)]
pub(in crate::mapping) struct Found {
    table: Arc<Lookup>,
    column: usize,
    other: Option<Node>,
}

impl Found {
    /// From `lookup('table', column=…, other=…)`.
    pub(super) fn build(call: &mut Call) -> Result<Self, Fault> {
        let name = call.text(0)?.unwrap_or_default();
        let Some(table) = call.lookups.get(&name).cloned() else {
            let fault = call.fault(0, &format!("there is no [lookup.{name}]"));
            let hint =
                format!("add [lookup.{name}] to the configuration, with file = \"{name}.csv\" or values = {{ … }}");
            return Err(fault.hint(hint).nearest(&name, call.lookups.keys().map(String::as_str)));
        };
        let column = match call.text(1)? {
            None => 0,
            Some(column) => table.columns.iter().position(|known| *known == column).ok_or_else(|| {
                let fault = call.fault(1, &format!("[lookup.{name}] has no column `{column}`"));
                fault
                    .hint(format!("it has {}", table.columns.join(", ")))
                    .nearest(&column, table.columns.iter().map(String::as_str))
            })?,
        };
        let other = call.optional(2);
        if let Some(typed) =
            other.as_ref().filter(|typed| !typed.kind.is_text() && !matches!(typed.kind, Kind::Null | Kind::Any))
        {
            return Err(Fault::new(typed.span.clone(), format!("`other` is text; this is {}", typed.kind.name())));
        }
        Ok(Self { table, column, other: other.map(|typed| typed.node) })
    }

    /// The text for a value; null where the cell is empty, or the value is blank.
    pub(super) fn of<'v>(&'v self, input: Value<'v>, row: &'v Row<'v>) -> Yield<'v> {
        let key = text::of(input)?;
        if key.trim().is_empty() {
            return Ok(Value::Null);
        }
        match (self.table.entries.get(&*key).and_then(|cells| cells.get(self.column)), &self.other) {
            (Some(cell), _) if cell.is_empty() => Ok(Value::Null),
            (Some(cell), _) => Ok(Value::Text(Cow::Borrowed(cell))),
            (None, Some(other)) => other.evaluate(row),
            (None, None) => Err(Bad("a value that the lookup does not have")),
        }
    }
}
