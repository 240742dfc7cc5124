//! What the CRM is to be sent, given what it accepted and what the row says now. Pure.

use std::collections::BTreeMap;
use std::sync::Arc;

use passerelle_change::{FieldValue, Refusal, Seq, WriteOp};
use passerelle_state::{AcceptedField, MappingId, Record, RecordId};

/// A record as it should be, with its references resolved.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Wanted {
    /// Its external key.
    pub key: String,
    /// Its address.
    pub id: RecordId,
    /// The fields with a value, and whether each is for a creation only.
    pub fields: Vec<WantedField>,
    /// Fields left out because their parent is not in the CRM: what was accepted for them is forgotten.
    pub parentless: Vec<Arc<str>>,
    /// Of these, the ones that named another parent before: the CRM must not go on pointing there.
    pub cleared: Vec<Arc<str>>,
    /// The keyed hash of null.
    pub null_hash: u64,
    /// A column that a field needs is absent: good for an update, not for a creation.
    pub incomplete: bool,
    /// The row's version.
    pub seq: Seq,
}

/// One field of it.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct WantedField {
    pub name: Arc<str>,
    pub value: FieldValue,
    /// The keyed hash of the value.
    pub hash: u64,
    pub create_only: bool,
    /// It goes with every write of its record.
    pub enforced: bool,
    /// What a new record begins with instead, and its keyed hash.
    pub first: Option<(FieldValue, u64)>,
}

impl WantedField {
    /// Whether a new record begins with another value than it is to have.
    pub(super) fn begins_otherwise(&self) -> bool {
        !self.create_only && self.first.as_ref().is_some_and(|(_, hash)| *hash != self.hash)
    }

    /// The value that a new record begins with, and its hash.
    fn at_creation(&self) -> (&FieldValue, u64) {
        self.first.as_ref().map_or((&self.value, self.hash), |(value, hash)| (value, *hash))
    }
}

/// How a record stands that the row is to feed.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Standing {
    /// It is not in the CRM, as far as we know.
    Unknown,
    /// The row feeds it already, or it has no other member: `renamed` says that its key changes.
    Ours { record: Record, renamed: bool },
    /// The row joins a record that others feed, or that nobody feeds any more.
    Joined { record: Record, others: bool },
}

/// What to do.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Decision {
    /// The CRM holds all of it.
    Nothing { record: Record },
    /// Send this; once accepted, the record is as `after`.
    Send { op: WriteOp, fields: Vec<(Arc<str>, FieldValue)>, after: Record },
    /// A creation, but a column is absent: it waits until it is whole.
    Incomplete,
    /// Another member owns a field.
    Collision(Refusal),
}

/// Compares field by field.
pub(super) fn decide(
    wanted: &Wanted,
    standing: Standing,
    mapping: MappingId,
    key_field: &Arc<str>,
    newest_wins: bool,
) -> Decision {
    match standing {
        Standing::Unknown => create(wanted, mapping, None),
        Standing::Ours { record, .. } if record.crm_id.is_none() => create(wanted, mapping, None),
        Standing::Joined { record, .. } if record.crm_id.is_none() => create(wanted, mapping, None),
        Standing::Ours { record, renamed } => update(wanted, record, mapping, (key_field, renamed), false),
        Standing::Joined { record, others } => {
            if let Some(refusal) = collision(wanted, &record, mapping).filter(|_| others && !newest_wins) {
                return Decision::Collision(refusal);
            }
            update(wanted, record, mapping, (key_field, false), !others)
        }
    }
}

fn create(wanted: &Wanted, mapping: MappingId, crm_id: Option<String>) -> Decision {
    if wanted.incomplete {
        return Decision::Incomplete;
    }
    let fields = wanted.fields.iter().map(|field| (Arc::clone(&field.name), field.at_creation().0.clone())).collect();
    let kept = wanted.fields.iter().filter(|field| !field.create_only);
    let accepted = kept.map(|field| {
        let hash = field.at_creation().1;
        (field.name.to_string(), AcceptedField { hash, owner: mapping, seq: wanted.seq })
    });
    let accepted = accepted.collect();
    let after = Record { key: wanted.key.clone(), crm_id, fields: accepted, ..Record::default() };
    Decision::Send { op: WriteOp::Upsert, fields, after }
}

fn update(
    wanted: &Wanted,
    mut record: Record,
    mapping: MappingId,
    (key_field, renamed): (&Arc<str>, bool),
    in_full: bool,
) -> Decision {
    let mut fields = Vec::new();
    for name in &wanted.parentless {
        let Some(known) = record.fields.get_mut(&**name).filter(|known| known.hash != wanted.null_hash) else {
            continue;
        };
        if wanted.cleared.contains(name) {
            fields.push((Arc::clone(name), FieldValue::Null));
            *known = AcceptedField { hash: wanted.null_hash, owner: mapping, seq: wanted.seq };
        } else {
            record.fields.remove(&**name);
        }
    }
    let differs = |field: &&WantedField| {
        !field.create_only && (in_full || record.fields.get(&*field.name).is_none_or(|known| known.hash != field.hash))
    };
    let changed: Vec<&WantedField> = wanted.fields.iter().filter(differs).collect();
    fields.extend(changed.iter().map(|field| (Arc::clone(&field.name), field.value.clone())));
    let new: BTreeMap<_, _> =
        changed.iter().map(|field| (field.name.to_string(), accepted(field, mapping, wanted.seq))).collect();
    record.fields.extend(new);
    let is_unsure = !std::mem::take(&mut record.perhaps).is_empty();
    if renamed || is_unsure || !fields.is_empty() {
        // After this write nobody sees that a person edited the record before.
        let is_sent = |field: &&WantedField| fields.iter().any(|(name, _)| *name == field.name);
        let carried = wanted.fields.iter().filter(|field| field.enforced && !field.create_only && !is_sent(field));
        let carried: Vec<_> = carried.map(|field| (Arc::clone(&field.name), field.value.clone())).collect();
        fields.extend(carried);
    }
    if renamed || is_unsure {
        fields.push((Arc::clone(key_field), FieldValue::Text(wanted.key.clone())));
        record.key.clone_from(&wanted.key);
    }
    if fields.is_empty() {
        return Decision::Nothing { record };
    }
    Decision::Send { op: WriteOp::Update, fields, after: record }
}

/// A field that another mapping wrote, with another value.
fn collision(wanted: &Wanted, record: &Record, mapping: MappingId) -> Option<Refusal> {
    let clash = wanted.fields.iter().find(|field| {
        let known = record.fields.get(&*field.name);
        known.is_some_and(|known| known.owner != mapping && known.hash != field.hash)
    })?;
    Some(Refusal {
        code: "FIELD_COLLISION".into(),
        message: format!("another mapping writes {} of this record; see on_collision", clash.name),
        fields: vec![clash.name.to_string()],
    })
}

fn accepted(field: &WantedField, owner: MappingId, seq: Seq) -> AcceptedField {
    AcceptedField { hash: field.hash, owner, seq }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: MappingId = MappingId(1);
    const THEIRS: MappingId = MappingId(2);

    fn hash(text: &str) -> u64 {
        text.bytes().fold(7, |hash, byte| hash * 31 + u64::from(byte))
    }

    /// `Name=Ada ~Source=ERP !Owner=Bo` : a field `Name`, `Source` for the creation only, and `Owner` enforced.
    fn wanted(text: &str) -> Wanted {
        let fields = text.split_whitespace().map(|pair| {
            let (name, value) = pair.split_once('=').expect("name=value");
            WantedField {
                name: name.trim_start_matches(['~', '!']).into(),
                value: FieldValue::Text(value.into()),
                hash: hash(value),
                create_only: name.starts_with('~'),
                enforced: name.starts_with('!'),
                first: None,
            }
        });
        Wanted {
            key: "K".into(),
            id: RecordId { object: 1, hash: [0; 16] },
            fields: fields.collect(),
            parentless: Vec::new(),
            cleared: Vec::new(),
            null_hash: hash("null"),
            incomplete: false,
            seq: Seq(9),
        }
    }

    fn record(text: &str, owner: MappingId) -> Record {
        let fields = text.split_whitespace().map(|pair| {
            let (name, value) = pair.split_once('=').expect("name=value");
            (name.to_owned(), AcceptedField { hash: hash(value), owner, seq: Seq(1) })
        });
        Record { key: "K".into(), crm_id: Some("001".into()), fields: fields.collect(), ..Record::default() }
    }

    fn check(wanted: &Wanted, standing: Standing, want: &str) {
        let shown = match decide(wanted, standing, OURS, &"Ext".into(), false) {
            Decision::Nothing { .. } => "nothing".into(),
            Decision::Incomplete => "incomplete".into(),
            Decision::Collision(refusal) => refusal.code,
            Decision::Send { op, fields, .. } => {
                let fields: Vec<_> = fields.iter().map(|(name, value)| format!("{name}={value}")).collect();
                format!("{op:?} {}", fields.join(" "))
            }
        };
        assert_eq!(shown, want);
    }

    #[test]
    fn a_new_record_is_sent_in_full() {
        check(&wanted("Name=Ada ~Source=ERP"), Standing::Unknown, "Upsert Name=Ada Source=ERP");
    }

    #[test]
    fn only_what_differs_is_sent() {
        let ours = |text| Standing::Ours { record: record(text, OURS), renamed: false };
        check(&wanted("Name=Ada City=Paris"), ours("Name=Ada City=Lyon"), "Update City=Paris");
        check(&wanted("Name=Ada City=Paris"), ours("Name=Ada City=Paris"), "nothing");
        check(&wanted("Name=Ada ~Source=Shop"), ours("Name=Ada"), "nothing");
    }

    #[test]
    fn a_write_carries_the_enforced_fields_and_none_is_made_for_them() {
        let ours = |text| Standing::Ours { record: record(text, OURS), renamed: false };
        check(&wanted("Name=Ada !Owner=Bo"), ours("Name=Ada Owner=Bo"), "nothing");
        check(&wanted("Name=Ada !Owner=Bo"), ours("Name=Eve Owner=Bo"), "Update Name=Ada Owner=Bo");
        check(&wanted("Name=Ada !Owner=Bo"), ours("Name=Ada Owner=Cy"), "Update Owner=Bo");
        check(&wanted("Name=Ada !Owner=Bo"), ours("Name=Ada"), "Update Owner=Bo");
        let renamed = Standing::Ours { record: record("Name=Ada Owner=Bo", OURS), renamed: true };
        check(&wanted("Name=Ada !Owner=Bo"), renamed, "Update Owner=Bo Ext=K");
    }

    #[test]
    fn a_rename_carries_the_new_key() {
        let standing = Standing::Ours { record: record("Name=Ada", OURS), renamed: true };
        check(&wanted("Name=Ada"), standing, "Update Ext=K");
    }

    #[test]
    fn a_new_record_begins_with_its_first_value_and_an_old_one_does_not() {
        let mut wanted = wanted("Name=Ada Status=Activated");
        wanted.fields[1].first = Some((FieldValue::Text("Draft".into()), hash("Draft")));
        assert!(wanted.fields[1].begins_otherwise());
        check(&wanted, Standing::Unknown, "Upsert Name=Ada Status=Draft");
        let Decision::Send { after, .. } = decide(&wanted, Standing::Unknown, OURS, &"Ext".into(), false) else {
            panic!("a creation")
        };
        let after = Record { crm_id: Some("001".into()), ..after };
        check(&wanted, Standing::Ours { record: after, renamed: false }, "Update Status=Activated");
        wanted.fields[1].first = Some((FieldValue::Text("Activated".into()), hash("Activated")));
        assert!(!wanted.fields[1].begins_otherwise());
    }

    #[test]
    fn a_creation_waits_for_absent_columns_and_an_update_does_not() {
        let mut wanted = wanted("Name=Ada");
        wanted.incomplete = true;
        check(&wanted, Standing::Unknown, "incomplete");
        check(&wanted, Standing::Ours { record: record("Name=Bo", OURS), renamed: false }, "Update Name=Ada");
    }

    #[test]
    fn members_write_their_own_fields_and_do_not_fight() {
        let joined = |text| Standing::Joined { record: record(text, THEIRS), others: true };
        check(&wanted("Name=Ada"), joined("Phone=1"), "Update Name=Ada");
        check(&wanted("Name=Ada"), joined("Name=Ada"), "nothing");
        check(&wanted("Name=Ada"), joined("Name=Bo"), "FIELD_COLLISION");
    }

    #[test]
    fn a_record_that_nobody_feeds_is_written_in_full_by_id() {
        let joined = Standing::Joined { record: record("Name=Ada", OURS), others: false };
        check(&wanted("Name=Ada"), joined, "Update Name=Ada");
    }

    #[test]
    fn a_reference_that_moved_to_a_parent_that_does_not_come_is_cleared() {
        let mut moved = wanted("Name=Ada");
        moved.parentless = vec!["Account".into()];
        moved.cleared = vec!["Account".into()];
        let standing = |text| Standing::Ours { record: record(text, OURS), renamed: false };
        check(&moved, standing("Name=Ada Account=A"), "Update Account=null");
        check(&moved, standing("Name=Ada"), "nothing");
        let Decision::Send { after, .. } = decide(&moved, standing("Name=Ada Account=A"), OURS, &"Ext".into(), false)
        else {
            panic!("the reference is cleared")
        };
        check(&moved, Standing::Ours { record: after.clone(), renamed: false }, "nothing");
        let nobody = wanted("Name=Ada Account=null");
        check(&nobody, Standing::Ours { record: after, renamed: false }, "nothing");
    }

    #[test]
    fn a_reference_whose_parent_went_is_forgotten_and_sent_again_with_it() {
        let mut without = wanted("Name=Ada");
        without.parentless = vec!["Account".into()];
        let standing = Standing::Ours { record: record("Name=Ada Account=A", OURS), renamed: false };
        let Decision::Nothing { record } = decide(&without, standing, OURS, &"Ext".into(), false) else {
            panic!("nothing to send")
        };
        check(&wanted("Name=Ada Account=A"), Standing::Ours { record, renamed: false }, "Update Account=A");
    }
}
