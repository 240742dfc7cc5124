//! Asks the databases and the CRMs: whether they can be followed and written, and whether the mappings fit both.

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::TableName;
use passerelle_crm::salesforce::is_api_name;
use passerelle_postgres::catalog::{self, Catalog};
use passerelle_postgres::{Error, Options, preflight, sql};

use super::{Asked, Report, of_mapping};
use crate::config::model::{Crm, Mapping, Source, SourceKind};
use crate::config::{Config, Fault, Files};
use crate::mapping;
use crate::online::tables::{self, Tables};
use crate::online::{self, Comparison};
use crate::source;

/// What was found at each source and each CRM, and what they say of the mappings.
pub(super) async fn check(config: &Config, files: &Files) -> Asked {
    let mut asked = Asked::default();
    let mut tables = Tables::default();
    for source in config.sources.values() {
        let (report, more) = match source.kind {
            SourceKind::Postgres => postgres(config, source, &mut tables).await,
        };
        asked.sources.push(report);
        asked.faults.extend(more);
    }
    for crm in config.crms.values() {
        let (report, compared) = of_crm(config, files, crm, &tables).await;
        asked.crms.push(report);
        asked.wishes.push(compared.is_some().then(Vec::new));
        if let (Some(compared), Some(Some(wishes))) = (compared, asked.wishes.last_mut()) {
            asked.faults.extend(compared.faults);
            wishes.extend(compared.wishes);
        }
    }
    asked
}

async fn of_crm(config: &Config, files: &Files, crm: &Crm, tables: &Tables) -> (Report, Option<Comparison>) {
    let ours = config.mappings.values().filter(|mapping| mapping.crm == crm.name);
    let objects: BTreeSet<&str> = ours.map(|mapping| &*mapping.object).filter(|name| is_api_name(name)).collect();
    let mut report = Report { name: crm.name.clone(), findings: Vec::new() };
    match online::ask(crm, &objects).await {
        Ok(org) => (report, Some(online::compare(config, files, crm, &org, tables))),
        Err(fault) => {
            report.findings.push(preflight::Finding {
                code: "crm",
                severity: preflight::Severity::Fault,
                title: format!("{} could not be asked", crm.url),
                detail: fault.to_string(),
                remedy: fault.hint(),
            });
            (report, None)
        }
    }
}

async fn postgres(config: &Config, source: &Source, known: &mut Tables) -> (Report, Vec<Fault>) {
    let tables = mapped_tables(config, source);
    let options = options(source);
    let request = preflight::Request { slot: &source.slot, publication: &source.publication, tables: &tables };
    let findings = preflight::check(&options, &request).await;
    let names: Vec<TableName> = tables.into_iter().map(|(name, _)| name).collect();
    let faults = match read_catalog(&options, &names).await {
        Ok(catalog) => {
            known.add(&source.name, catalog);
            mapping_faults(config, source, known)
        }
        // Why it cannot be read is among the findings.
        Err(_) => Vec::new(),
    };
    (Report { name: source.name.clone(), findings }, faults)
}

async fn read_catalog(options: &Options, names: &[TableName]) -> Result<Catalog, Error> {
    let client = sql::connect(options).await?;
    catalog::read(&client, names).await
}

/// How the source is reached.
fn options(source: &Source) -> Options {
    Options { application_name: "passerelle check".to_owned(), ..source::options(source) }
}

fn mappings<'c>(config: &'c Config, source: &'c Source) -> impl Iterator<Item = &'c Mapping> {
    config.mappings.values().filter(move |mapping| mapping.source == source.name)
}

/// Each mapped table with the columns that its mappings name.
fn mapped_tables(config: &Config, source: &Source) -> Vec<(TableName, Vec<String>)> {
    let mut tables: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
    for mapping in mappings(config, source) {
        // The syntax was checked before.
        let columns = mapping::columns_of(mapping).unwrap_or_default();
        tables.entry(mapping.table.clone()).or_default().extend(columns);
    }
    tables.into_iter().map(|(name, columns)| (name, columns.into_iter().collect())).collect()
}

/// Faults of the mappings against the columns that there are: names, types, references.
fn mapping_faults(config: &Config, source: &Source, known: &Tables) -> Vec<Fault> {
    let parent = |name: &str| known.parent(config, name);
    let mut faults = Vec::new();
    for mapping in mappings(config, source) {
        // A table that is missing is among the findings.
        let Some(table) = known.table(mapping) else { continue };
        if let Err(found) = mapping::Mapping::compile(mapping, &tables::columns(table), &parent, &source.time_zone) {
            faults.extend(found.into_iter().map(of_mapping));
        }
    }
    faults
}
