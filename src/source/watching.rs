//! Watches over the schema of a source's tables: what the log shows, and what the catalogue says where there is no traffic.
//!
//! Nothing is decided here. Where something has changed that touches a mapping, the source is set up anew, which weighs it
//! ([`crate::drift`]). Until then capture holds what the log shows to be strange, so that no row behind a change is
//! delivered before it was looked at. What this costs is off the path of a row: a look into the state now and then, and a
//! few queries to the catalogue every five seconds, over one connection.

use std::sync::Arc;
use std::time::Duration;

use passerelle_state::{StateError, Store};
use tokio_util::sync::CancellationToken;

use super::database::Sight;
use super::setup::{CompiledMapping, Footed, Tables, look};
use super::table::TableFacts;
use super::{Source, chain};
use crate::config::model;
use crate::control::board::Board;
use crate::control::model::SourceState;
use crate::drift::{Child, Hints, Look, Stand, compare};

/// What the log has shown is looked for this often.
const GLANCE: Duration = Duration::from_millis(250);
/// The catalogue is read this often: a change without traffic is flagged within ten seconds.
const LOOK: Duration = Duration::from_secs(5);

/// Watches one source until its tables are not what it was set up for.
pub(super) struct Watching {
    config: model::Source,
    mappings: Arc<[CompiledMapping]>,
    tables: Arc<Tables>,
    store: Arc<Store>,
    board: Arc<Board>,
    outdated: CancellationToken,
}

impl Watching {
    pub(super) fn of(source: &Source) -> Self {
        Self {
            config: source.config.clone(),
            mappings: Arc::clone(&source.mappings),
            tables: Arc::clone(&source.tables),
            store: Arc::clone(&source.store),
            board: Arc::clone(&source.board),
            outdated: source.outdated.clone(),
        }
    }

    pub(super) async fn run(self) {
        let source = &self.config.name;
        let mut watch = self.tables.database.watch();
        let mut look_at = tokio::time::Instant::now() + LOOK;
        loop {
            match self.glance() {
                Ok(None) => {}
                Ok(Some(mapping)) => return self.changed(mapping, "the log shows another schema"),
                Err(error) => {
                    tracing::warn!(source, error = %chain(&error), "the state can't be asked for changed schemas");
                }
            }
            if tokio::time::Instant::now() >= look_at {
                match watch.look(&self.tables).await {
                    Ok(sight) => {
                        self.unreadable(None);
                        if let Some((what, how)) = self.difference(&sight) {
                            return self.changed(what, how);
                        }
                    }
                    // An alert, and no drift.
                    Err(error) => self.unreadable(Some(chain(&error))),
                }
                look_at = tokio::time::Instant::now() + LOOK;
            }
            tokio::time::sleep(GLANCE).await; // both are looked at now and then
        }
    }

    /// A mapping of which the log has shown what nobody has weighed.
    fn glance(&self) -> Result<Option<&str>, StateError> {
        for (name, mut renamed) in self.tables.database.renamed_columns() {
            let Some(table) = self.tables.all.iter().find(|table| table.facts.name == name) else { continue };
            let mut all = self.store.renamed_columns(table.id)?;
            all.append(&mut renamed);
            self.store.set_renamed_columns(table.id, &all)?;
            let is_its = |footed: Footed<'_>| footed.table == table.id && footed.footing.pending.is_some();
            if let Some(held) = self.mappings.iter().find(|mapping| mapping.footed().any(is_its)) {
                return Ok(Some(&held.config.name));
            }
        }
        if self.tables.are_remembered() {
            // Nobody could say what it is; the connection compares first.
            return Ok(None);
        }
        for mapping in self.mappings.iter() {
            for footed in mapping.footed().filter(|footed| footed.footing.stand == Stand::Fits) {
                if let Some(strange) = self.store.strange(footed.fit)?
                    && !self.store.fit(footed.fit)?.is_some_and(|fit| fit.is_settled(&strange))
                {
                    return Ok(Some(&mapping.config.name));
                }
            }
        }
        Ok(None)
    }

    /// What the catalogue has otherwise than when the source was set up, and how.
    fn difference<'s>(&'s self, sight: &'s Sight) -> Option<(&'s str, &'static str)> {
        // Where the stream could not be opened, it may be for that: what is missing is told there.
        if let Some(untold) = sight.untold.first().filter(|_| self.is_streaming()) {
            return Some((&untold.table.name, "the publication does not have all of the table"));
        }
        let before = self.tables.database.tables();
        let is_touched = |mapping: &&CompiledMapping| {
            mapping.footed().any(|footed| self.is_touched(mapping, &footed, &before, &sight.tables))
        };
        let touched = self.mappings.iter().find(is_touched);
        touched.map(|mapping| (&*mapping.config.name, "the catalogue has another schema"))
    }

    fn is_streaming(&self) -> bool {
        let mut is_streaming = false;
        self.board.source(&self.config.name, |source| {
            is_streaming =
                matches!(source.state, SourceState::Loading | SourceState::CatchingUp | SourceState::Streaming);
        });
        is_streaming
    }

    fn is_touched(
        &self,
        mapping: &CompiledMapping,
        footed: &Footed<'_>,
        before: &[TableFacts],
        now: &[TableFacts],
    ) -> bool {
        let of = |tables: &'_ [TableFacts]| tables.iter().position(|table| table.name == footed.config.table);
        let (before, now) = (of(before).map(|at| &before[at]), of(now).map(|at| &now[at]));
        let Some(before) = before else { return now.is_some() };
        // What is held is shown as it is: whatever changes may be the half of what was, or put it back.
        if footed.footing.pending.is_some() {
            return !compare(before, now, &Hints::default()).is_empty();
        }
        let parents = |name: &str| self.tables.parent(&self.mappings, name);
        let children = Child::of(&mapping.config.name, self.mappings.iter().map(|other| &*other.config));
        let children = if footed.relation.is_none() { &children[..] } else { &[] };
        let hints = Hints::default();
        let look = look(&self.config, (footed.config, now), &hints, &parents, children);
        let look = Look { relation: footed.relation, ..look };
        !look.weighed(before, &footed.footing.accepted.patch).is_empty()
    }

    fn unreadable(&self, error: Option<String>) {
        self.board.source(&self.config.name, |source| {
            if let Some(text) = &error
                && source.catalog_error.is_none()
            {
                tracing::warn!(source = %self.config.name, error = text, "the catalogue can't be read: changes of the schema show in the log only");
            }
            source.catalog_error = error;
        });
    }

    fn changed(&self, what: &str, how: &str) {
        tracing::warn!(source = %self.config.name, of = what, "{how}: the source is set up anew");
        self.outdated.cancel();
    }
}
