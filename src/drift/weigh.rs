//! Stand-in.
use super::change::{Change, Effect, Part, Severity};
use crate::config::model;
use crate::mapping::{self, ParentInfo};
use crate::source::table::TableFacts;
use serde::{Deserialize, Serialize};

/// One.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Weighed {
    /// .
    pub change: Change,
    /// .
    pub effects: Vec<Effect>,
}

/// Weighs.
pub fn weigh(
    changes: &[Change],
    config: &model::Mapping,
    _now: Option<&TableFacts>,
    _p: &dyn Fn(&str) -> Option<ParentInfo>,
    _tz: &str,
) -> Vec<Weighed> {
    let uses = mapping::columns_of(config).unwrap_or_default();
    changes
        .iter()
        .filter(|change| match change {
            Change::ColumnDropped { column }
            | Change::ColumnRenamed { column, .. }
            | Change::Retyped { column, .. } => uses.contains(column),
            Change::TableDropped => true,
            _ => false,
        })
        .map(|change| Weighed {
            change: change.clone(),
            effects: vec![Effect {
                part: Part::Whole,
                severity: if matches!(change, Change::Retyped { how: super::change::Retyping::Widened, .. }) {
                    Severity::None
                } else {
                    Severity::Breaking
                },
                text: format!("{change:?}"),
            }],
        })
        .collect()
}
