//! What one part of the configuration says about another: checked when all parts are read.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use super::fault::Fault;
use super::files::Files;
use super::model::{Crm, Delivery, Field, Mapping, Place, Source, SourceKind};
use crate::mapping;

/// References between mappings, and sources that would take each other's slot.
pub(super) fn check(
    sources: &BTreeMap<String, (Place, Source)>,
    crms: &BTreeMap<String, Crm>,
    mappings: &BTreeMap<String, Mapping>,
    files: &Files,
) -> Vec<Fault> {
    let mut faults = same_names_on_one_server(sources);
    faults.extend(circles(mappings));
    faults.extend(mappings.values().filter_map(|mapping| too_fresh(mapping, crms.get(&mapping.crm)?, files)));
    for mapping in mappings.values() {
        faults.extend(unused_relations(mapping, mappings));
        faults.extend(parents(mapping, mappings));
        faults.extend(enforces_alone(mapping, mappings));
    }
    faults
}

/// Relations that no expression names: they are not captured, and nothing comes of them.
fn unused_relations(mapping: &Mapping, mappings: &BTreeMap<String, Mapping>) -> impl Iterator<Item = Fault> {
    let mut unused = match mapping.association_of {
        // Said of its mapping, whose relations it has.
        Some(_) => Vec::new(),
        None => mapping::unused_relations(mapping),
    };
    let is_of = |other: &&Mapping| other.association_of.as_deref() == Some(&*mapping.name);
    for association in mappings.values().filter(is_of) {
        let others = mapping::unused_relations(association);
        unused.retain(|one| others.contains(one));
    }
    unused.into_iter().map(|(path, place)| {
        let fault = Fault::warning(format!("no field uses the relation `{path}`")).at(&place);
        fault.hint(format!("its columns are named in expressions: `{path}.…`; otherwise leave it out"))
    })
}

/// Who edited a record last tells a person's edit from ours: another mapping's write would hide it.
fn enforces_alone<'a>(mapping: &'a Mapping, mappings: &'a BTreeMap<String, Mapping>) -> Option<Fault> {
    let field = mapping.fields.iter().find(|field| field.enforce)?;
    let is_other = |other: &&Mapping| {
        other.name != mapping.name && other.crm == mapping.crm && other.object.eq_ignore_ascii_case(&mapping.object)
    };
    let other = mappings.values().find(is_other)?;
    let message =
        format!("`{}` cannot be enforced: [mapping.{}] writes {}, too", field.name, other.name, mapping.object);
    let hint = "leave `enforce` out, or write the object by one mapping: a write of the other hides that a person edited the record";
    Some(Fault::error(message).at(&field.place).also(&other.place, "the other mapping").hint(hint))
}

/// A slot belongs to a server, a publication to a database; a server id is one replica's.
fn same_names_on_one_server(sources: &BTreeMap<String, (Place, Source)>) -> Vec<Fault> {
    let all: Vec<_> = sources.values().collect();
    let mut faults = Vec::new();
    for (index, (place, source)) in all.iter().enumerate() {
        for (first_place, first) in &all[..index] {
            if (&source.host, source.port) != (&first.host, first.port) {
                continue;
            }
            let of = format!("[source.{}] and [source.{}] use the same", first.name, source.name);
            let (message, hint) = match (&source.kind, &first.kind) {
                (SourceKind::Postgres(ours), SourceKind::Postgres(theirs)) if ours.slot == theirs.slot => (
                    format!("{of} slot `{}` on one server", ours.slot),
                    format!("give one of them another: slot = \"{}_2\"", ours.slot),
                ),
                (SourceKind::Postgres(ours), SourceKind::Postgres(theirs))
                    if source.database == first.database && ours.publication == theirs.publication =>
                {
                    (
                        format!("{of} publication `{}`", ours.publication),
                        format!("give one of them another: publication = \"{}_2\"", ours.publication),
                    )
                }
                (SourceKind::Mysql(ours), SourceKind::Mysql(theirs))
                    if ours.server_id.is_some() && ours.server_id == theirs.server_id =>
                {
                    let id = ours.server_id.unwrap_or_default();
                    (
                        format!("{of} server_id {id} on one server, which ends the one connection for the other"),
                        format!("give one of them another: server_id = {}", id.checked_add(1).unwrap_or(1)),
                    )
                }
                (SourceKind::Postgres(_) | SourceKind::Mysql(_), _) => continue,
            };
            faults.push(Fault::error(message).at(place).also(first_place, "the other").hint(hint));
        }
    }
    faults
}

/// Mappings whose required references lead back to themselves: the first record of such a circle can never be created, and
/// its rows are dead letters.
fn circles(mappings: &BTreeMap<String, Mapping>) -> Vec<Fault> {
    let mut faults = Vec::new();
    for start in mappings.values() {
        let Some((field, way)) = way_back(start, mappings) else { continue };
        // Each circle once, at its first mapping.
        if way.iter().any(|name| **name < *start.name) {
            continue;
        }
        let message = if way.len() == 1 {
            format!("`{}` requires another record of its own mapping: none can be the first", field.name)
        } else {
            format!("required references lead in a circle: {} → {}", way.join(" → "), start.name)
        };
        let hint = "such rows are dead letters; take `required` out of one of them: it is sent without the reference, and again when the other is there";
        let fault = Fault::warning(message).at(&field.place).hint(hint);
        let next = way.get(1).and_then(|name| mappings.get(*name));
        let closing =
            next.and_then(|next| required(next).find(|(_, parent)| way.contains(parent) || **parent == *start.name));
        faults.push(match closing {
            Some((field, _)) => fault.also(&field.place, "and this is required, too"),
            None => fault,
        });
    }
    faults
}

/// The required references of a mapping: the field, and the mapping that it refers to. One of several mappings is as good
/// as another, so that such a reference leads in no circle by itself.
fn required(mapping: &Mapping) -> impl Iterator<Item = (&Field, &str)> {
    mapping.fields.iter().filter(|field| field.required).filter_map(|field| match field.value.parents() {
        [mapping] => Some((field, mapping.as_str())),
        _ => None,
    })
}

/// The shortest way over required references from a mapping back to it: its first field, and the mappings on it.
fn way_back<'m>(start: &'m Mapping, mappings: &'m BTreeMap<String, Mapping>) -> Option<(&'m Field, Vec<&'m str>)> {
    let mut waiting: VecDeque<_> = required(start).map(|(field, next)| (field, vec![&*start.name], next)).collect();
    let mut seen = BTreeSet::new();
    while let Some((field, way, name)) = waiting.pop_front() {
        if *name == *start.name {
            return Some((field, way));
        }
        if let Some(next) = mappings.get(name).filter(|_| seen.insert(name)) {
            let way: Vec<&str> = way.into_iter().chain([&*next.name]).collect();
            waiting.extend(required(next).map(|(_, parent)| (field, way.clone(), parent)));
        }
    }
    None
}

/// A mapping's `freshness` that the day's calls cannot keep while changes never cease: one call in each such time.
fn too_fresh(mapping: &Mapping, crm: &Crm, files: &Files) -> Option<Fault> {
    const DAY: Duration = Duration::from_hours(24);
    let calls = crm.limits.per_day? as f64 * (1.0 - crm.limits.reserve);
    let place = files.setting_of(&mapping.place, "freshness")?;
    let wanted = DAY.as_secs_f64() / mapping.freshness.as_secs_f64();
    if mapping.delivery != Delivery::Realtime || calls < 1.0 || wanted <= calls {
        return None;
    }
    let message =
        format!("`freshness` may take {wanted:.0} calls a day, and the limits of [crm.{}] leave {calls:.0}", crm.name);
    let least = (DAY.as_secs_f64() / calls).ceil();
    let hint = format!("\"{least}s\" fits; with less, a busy day is slower than that in the end");
    Some(Fault::warning(message).at(&place).hint(hint))
}

/// A reference is resolved by the parent's row key: the parent must come from the same database and go to the same CRM.
fn parents<'a>(mapping: &'a Mapping, mappings: &'a BTreeMap<String, Mapping>) -> impl Iterator<Item = Fault> + use<'a> {
    let named = mapping.fields.iter().flat_map(|field| field.value.parents().iter().map(move |parent| (field, parent)));
    named.filter_map(move |(field, parent)| {
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
