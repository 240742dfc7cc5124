//! Filters on anything.

use super::{Filter, Op, Param};
use crate::mapping::fault::Fault;

pub(super) const FILTERS: &[Filter] = &[Filter {
    name: "default",
    takes: "anything",
    params: &[
        Param { name: "value", default: None, about: "what stands for null; of the same type" },
        Param { name: "blank", default: Some("false"), about: "whether it stands for empty and blank text too" },
    ],
    gives: "the same type",
    about: "Replaces null. An absent column stays absent.",
    errors: "",
    examples: &[("none | default('?')", "?"), ("'' | default('?')", ""), ("' ' | default('?', blank=true)", "?")],
    accepts: |_| true,
    build: |call| {
        let blank = call.flag(1)?;
        let value = call.take(0)?;
        let Some(kind) = call.input.unified(&value.kind) else {
            let message = format!("{} is replaced by {}", call.input.name(), value.kind.name());
            return Err(Fault::new(value.span, message).hint("both must be of one type"));
        };
        Ok((Op::Default { value: value.node, blank }, kind))
    },
}];
