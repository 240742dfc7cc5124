//! Watches over the schema of a source's tables: what the log shows, and what the catalogue says where there is no traffic.
//!
//! Nothing is decided here. Where something has changed that touches a mapping, the source is set up anew, which weighs it
//! ([`crate::drift`]). Until then capture holds what the log shows to be strange, so that no row behind a change is
//! delivered before it was looked at. What this costs is off the path of a row: a look into the state now and then, and a
//! few queries to the catalogue every five seconds, over one connection.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use passerelle_state::{StateError, Store};
use tokio_util::sync::CancellationToken;

use super::database::Database;
use super::setup::{CompiledMapping, Tables, tables_of};
use super::table::TableFacts;
use super::{Source, chain};
use crate::config::model;
use crate::control::board::Board;
use crate::drift::{Child, Hints, Look, Stand};

/// What the log has shown is looked for this often.
const GLANCE: Duration = Duration::from_millis(250);
/// The catalogue is read this often: a change without traffic is flagged within ten seconds.
const LOOK: Duration = Duration::from_secs(5);
/// A look takes no longer.
const PATIENCE: Duration = Duration::from_secs(5);

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
        let mut look_at = tokio::time::Instant::now() + LOOK;
        loop {
            match self.glance() {
                Ok(None) => {}
                Ok(Some(mapping)) => return self.changed(mapping, "the log has rows of another schema"),
                Err(error) => {
                    tracing::warn!(source, error = %chain(&error), "the state can't be asked for changed schemas")
                }
            }
            if tokio::time::Instant::now() >= look_at {
                let looked = tokio::time::timeout(PATIENCE, self.look()).await;
                match looked.unwrap_or_else(|_| Err("no answer within 5 s".to_owned())) {
                    Ok(None) => self.unreadable(None),
                    Ok(Some(mapping)) => return self.changed(mapping, "the catalogue has another schema"),
                    // An alert, and no drift.
                    Err(text) => self.unreadable(Some(text)),
                }
                look_at = tokio::time::Instant::now() + LOOK;
            }
            tokio::time::sleep(GLANCE).await; // both are looked at now and then
        }
    }

    /// A mapping of which the log has shown a schema that nobody has weighed.
    fn glance(&self) -> Result<Option<&str>, StateError> {
        for mapping in self.mappings.iter().filter(|mapping| mapping.footing.stand == Stand::Fits) {
            if let Some(strange) = self.store.strange(mapping.id)?
                && !self.store.fit(mapping.id)?.is_some_and(|fit| fit.known.contains(&strange.schema))
            {
                return Ok(Some(&mapping.config.name));
            }
        }
        Ok(None)
    }

    /// A mapping whose table the catalogue has otherwise than when the source was set up.
    async fn look(&self) -> Result<Option<&str>, String> {
        let configs: Vec<_> = self.mappings.iter().map(|mapping| Arc::clone(&mapping.config)).collect();
        let now = Database::read(&self.config, &tables_of(&configs)).await.map_err(|error| chain(&error))?;
        let (before, now) = (self.tables.database.tables(), now.tables());
        let mut mappings = self.mappings.iter();
        let touched = mappings.find(|mapping| self.is_touched(mapping, &before, &now));
        Ok(touched.map(|mapping| &*mapping.config.name))
    }

    fn is_touched(&self, mapping: &CompiledMapping, before: &[TableFacts], now: &[TableFacts]) -> bool {
        let of = |tables: &'_ [TableFacts]| tables.iter().position(|table| table.name == mapping.config.table);
        let (before, now) = (of(before).map(|at| &before[at]), of(now).map(|at| &now[at]));
        let Some(before) = before else { return now.is_some() };
        let parents = |name: &str| self.tables.parent(&self.mappings, name);
        let children = Child::of(&mapping.config.name, self.mappings.iter().map(|other| &*other.config));
        let look = Look {
            mapping: &mapping.config,
            written: mapping.footing.accepted.written,
            table: now,
            hints: &Hints::default(),
            children: &children,
            parents: &parents,
            time_zone: &self.config.time_zone,
            now: Timestamp::now(),
        };
        !look.weighed(before, &mapping.footing.accepted.patch).is_empty()
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

    fn changed(&self, mapping: &str, how: &str) {
        tracing::warn!(source = %self.config.name, mapping, "{how}: the source is set up anew");
        self.outdated.cancel();
    }
}
