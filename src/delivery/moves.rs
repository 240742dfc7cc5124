//! Rows that changed their key: what is known of them moves along, before any row of that view is looked at.

use std::collections::BTreeSet;

use passerelle_change::Seq;
use passerelle_state::{DeliveryBatch, Durability, Link, Move, SourceId, StateError, View};

use super::commands::again;
use super::engine::Engine;
use super::now_micros;
use super::parents::RowName;

impl Engine<'_> {
    /// Applies key changes before any row of the view is looked at. False while requests are under way.
    pub(super) fn apply_moves(&mut self, views: &[Option<View<'_>>]) -> Result<bool, StateError> {
        for (index, view) in views.iter().enumerate() {
            let Some(view) = view else { continue };
            let source = self.sources[index].id;
            loop {
                let after = self.moves_done.get(&source).copied().unwrap_or_default();
                let moves = view.moves(source, after, 500)?;
                if moves.is_empty() {
                    break;
                }
                if self.requests.in_flight() > 0 {
                    return Ok(false);
                }
                self.put_back_staged();
                for (seq, moved) in moves {
                    self.apply_move(source, seq, &moved)?;
                    self.moves_done.insert(source, seq);
                }
            }
        }
        Ok(true)
    }

    /// What was known of the new key's row, which is gone then, stays behind under the old key, so that its record is let
    /// go as a deleted row's. Rows that refer to the one or the other are looked at again: those that followed it find
    /// the same record.
    fn apply_move(&self, source: SourceId, seq: Seq, moved: &Move) -> Result<(), StateError> {
        let store = self.store;
        let mut batch = DeliveryBatch::new(store);
        let lanes = || self.lanes.iter().filter(|lane| lane.table == moved.table);
        // A row may refer to the row by several of its mappings.
        let swapped =
            Swapped(lanes().map(|lane| ((lane.id, moved.old.clone()), (lane.id, moved.new.clone()))).collect());
        for (lane, (old, new)) in lanes().zip(&swapped.0) {
            let links = [store.link(lane.id, &moved.old)?, store.link(lane.id, &moved.new)?];
            let replaces =
                links[1].as_ref().is_some_and(|link| link.record.is_some() && link.revision == lane.revision());
            let [came, went] = links;
            swapped.carry(&mut batch, old, came, new);
            swapped.carry(&mut batch, new, went, old);
            // Both are read before either is written.
            self.take_along(&mut batch, old, new)?;
            self.take_along(&mut batch, new, old)?;
            if replaces {
                batch.park(lane.id, now_micros(), &moved.old, &again(None))?;
            }
            if store.dead_letter(lane.id, &moved.old)?.is_some() {
                batch.dead(lane.id, &moved.old, None);
            }
            batch.waiting(lane.id, &moved.old, None);
            if lane.hopes {
                batch.hopes(lane.id, &moved.old, &[]);
            }
        }
        if lanes().any(|lane| lane.has_children) {
            self.follow(&mut batch, &swapped)?;
        }
        batch.move_done(source, seq);
        store.write_delivery(batch, Durability::WithTheNext)
    }

    /// The rows that refer to a moved one know it by its new key, and are looked at again.
    fn follow(&self, batch: &mut DeliveryBatch<'_>, swapped: &Swapped) -> Result<(), StateError> {
        let store = self.store;
        let mut children = BTreeSet::new();
        for parent in swapped.0.iter().flat_map(|(old, new)| [old, new]) {
            children.extend(store.children((parent.0, &parent.1), usize::MAX)?);
        }
        let is_swapped = |child: &RowName| swapped.0.iter().any(|(old, new)| child == old || child == new);
        for child in children.into_iter().filter(|child| !is_swapped(child)) {
            // What the child holds `delivered` back to, it goes on holding back.
            let parked = store.parked(child.0, &child.1)?.and_then(|parked| parked.since);
            let since = parked.or(store.waiting(child.0, &child.1)?.and_then(|waiting| waiting.since));
            batch.waiting(child.0, &child.1, None);
            batch.park(child.0, now_micros(), &child.1, &again(since))?;
            if let Some(link) = store.link(child.0, &child.1)? {
                swapped.carry(batch, &child, Some(link), &child);
            }
        }
        Ok(())
    }
}

/// Two row keys that change places, in each mapping of their table.
struct Swapped(Vec<(RowName, RowName)>);

impl Swapped {
    fn parent(&self, parent: RowName) -> RowName {
        let other = self.0.iter().find_map(|(old, new)| match &parent {
            known if known == old => Some(new),
            known if known == new => Some(old),
            _ => None,
        });
        other.cloned().unwrap_or(parent)
    }

    /// Writes a row's link under another key, with its membership and references.
    fn carry(&self, batch: &mut DeliveryBatch<'_>, from: &RowName, link: Option<Link>, to: &RowName) {
        let link = link.map(|mut link| {
            if let Some(record) = link.record {
                batch.member(record, from.0, &from.1, false);
                batch.member(record, to.0, &to.1, true);
            }
            for (parent, parent_key) in &link.parents {
                batch.backref((*parent, parent_key), (from.0, &from.1), false);
            }
            link.parents = link.parents.into_iter().map(|parent| self.parent(parent)).collect();
            for (parent, parent_key) in &link.parents {
                batch.backref((*parent, parent_key), (to.0, &to.1), true);
            }
            link
        });
        batch.link(to.0, &to.1, link.as_ref());
    }
}
