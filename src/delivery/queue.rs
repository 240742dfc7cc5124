//! A lane of the state as delivery drains it: closed generations in order, and how much of each is in hand.

use std::collections::BTreeMap;

use passerelle_state::{Generation, MappingId, Queued, Since, StateError, Store, View};

use super::lane::{Entry, Origin};

/// Where delivery stands in one lane.
pub(super) struct Queue {
    id: MappingId,
    /// The newest closed generation of the view.
    closed: Generation,
    /// Where the last row that was taken stands.
    oldest: Generation,
    after: Option<(Generation, Vec<u8>)>,
    exhausted: bool,
    newest_since: Option<(Generation, Option<Since>)>,
    /// Rows in hand, by generation.
    in_hand: BTreeMap<Generation, usize>,
    /// Generations before this one are tidied away.
    drained: Generation,
}

impl Queue {
    /// The lane with this number, from its beginning.
    pub(super) fn new(id: MappingId) -> Self {
        Self {
            id,
            closed: Generation(0),
            oldest: Generation(0),
            after: None,
            exhausted: false,
            newest_since: None,
            in_hand: BTreeMap::new(),
            drained: Generation(0),
        }
    }

    /// Its number.
    pub(super) fn id(&self) -> MappingId {
        self.id
    }

    /// A new view shows generations up to `closed`.
    pub(super) fn sees(&mut self, closed: Generation) {
        if closed > self.closed {
            self.closed = closed;
            self.exhausted = false;
        }
    }

    /// The newest closed generation that was seen.
    pub(super) fn closed(&self) -> Generation {
        self.closed
    }

    /// Everything that the view shows has been taken: the next generation may be closed.
    pub(super) fn is_exhausted(&self) -> bool {
        self.exhausted
    }

    /// It is looked through again from where it stands.
    pub(super) fn begin(&mut self) {
        self.exhausted = false;
    }

    /// Where rows may stand: those in hand, and those still to come.
    pub(super) fn generations(&self) -> (Generation, Generation) {
        let in_hand = self.in_hand.keys().next().copied();
        (in_hand.map_or(self.oldest, |oldest| oldest.min(self.oldest)), self.closed)
    }

    /// Takes the next rows of generations up to `newest`, at most `most`.
    pub(super) fn take(
        &mut self,
        store: &Store,
        view: &View<'_>,
        newest: Generation,
        most: usize,
    ) -> Result<Vec<Entry>, StateError> {
        let after = self.after.as_ref().map(|(generation, key)| (*generation, key.as_slice()));
        let found = view.queued(self.id, newest, after, most)?;
        self.exhausted = found.len() < most;
        let mut entries = Vec::with_capacity(found.len());
        for Queued { generation, row_key, seq } in found {
            self.after = Some((generation, row_key.clone()));
            self.oldest = generation;
            let since = self.since(store, generation)?;
            *self.in_hand.entry(generation).or_default() += 1;
            entries.push(Entry { row_key, origin: Origin::Queue(generation, seq), since, ahead: false });
        }
        Ok(entries)
    }

    fn since(&mut self, store: &Store, generation: Generation) -> Result<Option<Since>, StateError> {
        if self.newest_since.as_ref().is_none_or(|(known, _)| *known != generation) {
            self.newest_since = Some((generation, store.generation_since(self.id, generation)?));
        }
        Ok(self.newest_since.as_ref().and_then(|(_, since)| since.clone()))
    }

    /// A row of that generation is settled.
    pub(super) fn settled(&mut self, generation: Generation) {
        if let Some(left) = self.in_hand.get_mut(&generation) {
            *left -= 1;
            if *left == 0 {
                self.in_hand.remove(&generation);
            }
        }
    }

    /// Generations before this one hold nothing any more, if that has moved on far enough to be worth noting.
    pub(super) fn drained_before(&mut self) -> Option<Generation> {
        let next = Generation(self.closed.0 + 1);
        let low = self.in_hand.keys().next().copied();
        let low = low.unwrap_or(if self.exhausted { next } else { self.oldest });
        (low.0 >= self.drained.0 + 64).then(|| {
            self.drained = low;
            low
        })
    }
}
