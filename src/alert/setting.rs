//! What of the configuration alerts go by.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::model::About;
use crate::config::Config;
use crate::config::model::{AlertChannel, Alerts};

/// What of the configuration alerts go by.
#[derive(Debug)]
pub(super) struct Setting {
    /// From where on something is worth an alert.
    pub limits: Alerts,
    /// What the state may take.
    pub disk_budget_bytes: u64,
    /// The sources that run: those of a mapping.
    pub sources: BTreeSet<String>,
    /// The CRMs that are written to.
    pub crms: BTreeSet<String>,
    /// The mappings.
    pub mappings: BTreeMap<String, Watched>,
    /// Whom alerts go to.
    pub channels: BTreeMap<String, Arc<AlertChannel>>,
}

/// A mapping.
#[derive(Clone, Debug)]
pub(super) struct Watched {
    /// Its source.
    pub source: String,
    /// Its CRM.
    pub crm: String,
    /// Whom to ask.
    pub owner: Option<String>,
}

impl Setting {
    /// Reads it off the configuration.
    pub(super) fn of(config: &Config) -> Self {
        let mappings: BTreeMap<String, Watched> = config
            .mappings
            .values()
            .map(|mapping| {
                let (source, crm, owner) = (mapping.source.clone(), mapping.crm.clone(), mapping.owner.clone());
                (mapping.name.to_string(), Watched { source, crm, owner })
            })
            .collect();
        let channels = config.channels.values().cloned();
        Self {
            limits: config.alerts.clone(),
            disk_budget_bytes: config.daemon.disk_budget_bytes,
            sources: mappings.values().map(|mapping| mapping.source.clone()).collect(),
            crms: mappings.values().map(|mapping| mapping.crm.clone()).collect(),
            channels: channels.map(|channel| (channel.name.clone(), Arc::new(channel))).collect(),
            mappings,
        }
    }

    /// Whether a thing is configured still.
    pub(super) fn has(&self, about: &About) -> bool {
        match about {
            About::Daemon => true,
            About::Source(name) => self.sources.contains(name),
            About::Crm(name) => self.crms.contains(name),
            About::Mapping(name) => self.mappings.contains_key(name),
        }
    }

    /// Whether a channel is for what touches a thing: for one of the mappings that depend on it.
    pub(super) fn concerns(&self, channel: &AlertChannel, about: &About) -> bool {
        let is_all = channel.sources.is_none() && channel.mappings.is_none();
        is_all
            || self.mappings.iter().any(|(name, mapping)| {
                let depends = match about {
                    About::Daemon => true,
                    About::Source(source) => mapping.source == *source,
                    About::Crm(crm) => mapping.crm == *crm,
                    About::Mapping(about) => name == about,
                };
                depends && channel.is_of(name, &mapping.source)
            })
    }
}
