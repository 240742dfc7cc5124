//! The mappings against what both ends say of themselves: a source's catalogue ([`tables`]), a CRM's description of its
//! objects ([`ask`]).
//!
//! [`compare`] is pure: from the configuration and what the CRM describes to everything that cannot work, as faults with
//! their places, and to what its administrator has to make ([`Wish`]). [`crm_fields`] and [`dba`] write what others have
//! to do, in full. Nothing here changes anything at either end.

mod ask;
mod compare;
pub mod crm_fields;
pub mod dba;
mod field;
mod given;
mod places;
pub mod tables;

pub use ask::{AskError, Org, ask};
pub use compare::compare;

use crate::config::Fault;

/// What the comparison with one CRM found.
#[derive(Debug, Default)]
pub struct Comparison {
    /// Everything that is wrong or looks so.
    pub faults: Vec<Fault>,
    /// What the CRM's administrator has to make or change for it.
    pub wishes: Vec<Wish>,
}

/// Something that the CRM's administrator has to make or change.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wish {
    /// The object's API name.
    pub object: String,
    /// What is to be done: `create field`, `change field`, `create object`, `give rights`.
    pub action: &'static str,
    /// The field's API name; empty where it is about the object.
    pub api_name: String,
    /// Its name for people.
    pub label: String,
    /// Its type as the CRM's own pages name it.
    pub kind: String,
    /// Its length or digits, where it has some.
    pub length: String,
    /// Whether upserts go by it.
    pub external_id: bool,
    /// Whether no two records may share a value.
    pub unique: bool,
    /// What else there is to know.
    pub note: String,
    /// The mapping that needs it.
    pub mapping: String,
}

/// The name for people that an API name suggests: `Last_Order__c` is `Last Order`.
fn label_of(api_name: &str) -> String {
    let stem = api_name.strip_suffix("__c").or_else(|| api_name.strip_suffix("__r")).unwrap_or(api_name);
    // A package's prefix stands before a double underscore.
    let stem = stem.rsplit("__").next().unwrap_or(stem);
    stem.split('_').filter(|word| !word.is_empty()).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests;
