//! Stand-in.
use super::{
    change::{Decision, Patch},
    weigh::Weighed,
};
use crate::config::model;
use crate::mapping::MappingFault;
use crate::source::table::TableFacts;
use passerelle_change::Column;
use std::collections::BTreeSet;
/// .
pub struct Settled {
    /// .
    pub patch: Patch,
    /// .
    pub reload: BTreeSet<String>,
}
/// .
pub struct Undecided {
    /// .
    pub text: String,
    /// .
    pub hint: String,
}
/// .
pub fn decide(
    _: &[Weighed],
    _: Option<&TableFacts>,
    current: &Patch,
    decisions: &[Decision],
) -> Result<Settled, Undecided> {
    let mut patch = current.clone();
    let mut reload = BTreeSet::new();
    for d in decisions {
        match d.clone() {
            Decision::Rename { column, to } => {
                patch.renamed.insert(column, to);
            }
            Decision::Drop(c) => {
                patch.dropped.insert(c);
            }
            Decision::AsNull(c) => {
                patch.nulls.insert(c);
            }
            Decision::Reload(c) => {
                reload.insert(c);
            }
        }
    }
    Ok(Settled { patch, reload })
}
/// .
pub fn patched(config: &model::Mapping, _: &Patch) -> Result<model::Mapping, Vec<MappingFault>> {
    Ok(config.clone())
}
/// .
pub fn columns_for(patch: &Patch, columns: Vec<Column>) -> Vec<Column> {
    let mut out = Vec::new();
    for c in columns {
        let name = patch.renamed.iter().find(|(_, now)| **now == c.name).map(|(n, _)| n.clone());
        out.push(Column { name: name.unwrap_or(c.name.clone()), ..c });
    }
    out
}
