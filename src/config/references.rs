//! What one part of the configuration says about another: checked when all parts are read.

use std::collections::BTreeMap;

use super::fault::Fault;
use super::model::{FieldSource, Mapping, Place, Source};

/// References between mappings, and sources that would take each other's slot.
pub(super) fn check(sources: &BTreeMap<String, (Place, Source)>, mappings: &BTreeMap<String, Mapping>) -> Vec<Fault> {
    let mut faults = same_names_on_one_server(sources);
    for mapping in mappings.values() {
        faults.extend(parents(mapping, mappings));
    }
    faults
}

/// A slot belongs to a server, a publication to a database.
fn same_names_on_one_server(sources: &BTreeMap<String, (Place, Source)>) -> Vec<Fault> {
    let all: Vec<_> = sources.values().collect();
    let mut faults = Vec::new();
    for (index, (place, source)) in all.iter().enumerate() {
        for (first_place, first) in &all[..index] {
            let same_server = (&source.host, source.port) == (&first.host, first.port);
            if same_server && source.slot == first.slot {
                let message = format!(
                    "[source.{}] and [source.{}] use the same slot `{}` on one server",
                    first.name, source.name, source.slot
                );
                let hint = format!("give one of them another: slot = \"{}_2\"", source.slot);
                faults.push(Fault::error(message).at(place).also(first_place, "the other").hint(hint));
            } else if same_server && source.database == first.database && source.publication == first.publication {
                let message = format!(
                    "[source.{}] and [source.{}] use the same publication `{}`",
                    first.name, source.name, source.publication
                );
                let hint = format!("give one of them another: publication = \"{}_2\"", source.publication);
                faults.push(Fault::error(message).at(place).also(first_place, "the other").hint(hint));
            }
        }
    }
    faults
}

/// A reference is resolved by the parent's row key: the parent must come from the same database and go to the same CRM.
fn parents<'a>(mapping: &'a Mapping, mappings: &'a BTreeMap<String, Mapping>) -> impl Iterator<Item = Fault> + use<'a> {
    mapping.fields.iter().filter_map(move |field| {
        let FieldSource::Reference { mapping: parent, .. } = &field.value else {
            return None;
        };
        let parent = mappings.get(parent)?;
        let (what, theirs, ours) = if parent.source != mapping.source {
            ("source", &parent.source, &mapping.source)
        } else if parent.crm != mapping.crm {
            ("crm", &parent.crm, &mapping.crm)
        } else {
            return None;
        };
        let message = format!("`{}` refers to [mapping.{}], which has another {what}", field.name, parent.name);
        let hint = format!("that one has {what} = \"{theirs}\", this one \"{ours}\"; refer to a mapping with the same");
        Some(Fault::error(message).at(&field.place).also(&parent.place, "the mapping referred to").hint(hint))
    })
}
