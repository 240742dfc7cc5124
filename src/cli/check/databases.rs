//! Asks the databases: whether they can be followed, and whether the mappings fit their tables.

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::{Column, ColumnId, TableName};
use passerelle_postgres::catalog::{self, Catalog, TableFacts};
use passerelle_postgres::{Error, Options, TlsMode, preflight, sql};

use super::{SourceReport, of_mapping};
use crate::config::model::{Mapping, Source, SourceKind, Tls};
use crate::config::{Config, Fault};
use crate::mapping::{self, ParentInfo};

/// What was found at each source, and what its tables say of the mappings.
pub(super) async fn check(config: &Config) -> (Vec<SourceReport>, Vec<Fault>) {
    let (mut reports, mut faults) = (Vec::new(), Vec::new());
    for source in config.sources.values() {
        let (report, more) = match source.kind {
            SourceKind::Postgres => postgres(config, source).await,
        };
        reports.push(report);
        faults.extend(more);
    }
    (reports, faults)
}

async fn postgres(config: &Config, source: &Source) -> (SourceReport, Vec<Fault>) {
    let tables = mapped_tables(config, source);
    let options = options(source);
    let request = preflight::Request { slot: &source.slot, publication: &source.publication, tables: &tables };
    let findings = preflight::check(&options, &request).await;
    let names: Vec<TableName> = tables.into_iter().map(|(name, _)| name).collect();
    let faults = match read_catalog(&options, &names).await {
        Ok(catalog) => mapping_faults(config, source, &catalog),
        // Why it cannot be read is among the findings.
        Err(_) => Vec::new(),
    };
    (SourceReport { name: source.name.clone(), findings }, faults)
}

async fn read_catalog(options: &Options, names: &[TableName]) -> Result<Catalog, Error> {
    let client = sql::connect(options).await?;
    catalog::read(&client, names).await
}

/// How the source is reached.
fn options(source: &Source) -> Options {
    Options {
        host: source.host.clone(),
        port: source.port,
        database: source.database.clone(),
        user: source.user.clone(),
        password: source.password.clone(),
        tls: match source.tls {
            Tls::Disable => TlsMode::Disable,
            Tls::Prefer => TlsMode::Prefer,
            Tls::Require => TlsMode::Require,
            Tls::VerifyCa => TlsMode::VerifyCa,
            Tls::VerifyFull => TlsMode::VerifyFull,
        },
        tls_ca: source.tls_ca.clone(),
        tls_cert: source.tls_cert.clone(),
        tls_key: source.tls_key.clone(),
        application_name: "passerelle check".to_owned(),
    }
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
fn mapping_faults(config: &Config, source: &Source, catalog: &Catalog) -> Vec<Fault> {
    let parent = |name: &str| parent(config, catalog, name);
    let mut faults = Vec::new();
    for mapping in mappings(config, source) {
        // A table that is missing is among the findings.
        let Ok(table) = catalog.table(&mapping.table) else { continue };
        if let Err(found) = mapping::Mapping::compile(mapping, &columns(table), &parent, &source.time_zone) {
            faults.extend(found.into_iter().map(of_mapping));
        }
    }
    faults
}

/// What a reference needs to know of its parents' mapping.
fn parent(config: &Config, catalog: &Catalog, name: &str) -> Option<ParentInfo> {
    let number = config.mappings.keys().position(|known| known.as_str() == name)?;
    let mapping = config.mappings.get(name)?;
    let table = catalog.table(&mapping.table).ok()?;
    let key = table.row_key().ok()?.iter();
    let key = key.filter_map(|name| Some((name.clone(), table.column(name).ok()?.ty.clone()))).collect();
    Some(ParentInfo { mapping: number, key, key_field: mapping.key_field.clone() })
}

/// The table's columns as the mapping language knows them. Their numbers matter to the state alone.
fn columns(table: &TableFacts) -> Vec<Column> {
    let column = |(number, column): (usize, &catalog::ColumnFacts)| Column {
        id: ColumnId(number as u32),
        name: column.name.clone(),
        ty: column.ty.clone(),
        type_name: column.type_name.clone(),
        nullable: column.nullable,
    };
    table.columns.iter().enumerate().map(column).collect()
}
