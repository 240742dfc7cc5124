//! Asks the databases and the CRMs: whether they can be followed and written, and whether the mappings fit both.

mod mysql;
mod postgres;

use std::collections::{BTreeMap, BTreeSet};

use passerelle_change::{Finding, Severity, TableName};
use passerelle_crm::salesforce::is_api_name;

use super::{Asked, Report};
use crate::config::model::{Crm, FieldSource, Mapping, Related, Source, SourceKind};
use crate::config::{Config, Fault, Files};
use crate::mapping::{self, MappingFault};
use crate::online::tables::{self, Tables};
use crate::online::{self, Comparison};
use crate::source::table::TableFacts;

/// What our connections are called there.
const NAME: &str = "passerelle check";

/// What a database said.
struct Told {
    findings: Vec<Finding>,
    /// The mapped tables that are there; `None` where they could not be read. Why is among the findings.
    tables: Option<Vec<TableFacts>>,
    /// Columns that are there and can't be had.
    closed: Vec<Closed>,
}

/// A column that can't be had, why, and what mends it.
struct Closed {
    table: TableName,
    column: String,
    why: String,
    hint: String,
}

/// What was found at each source and each CRM, and what they say of the mappings.
pub(super) async fn check(config: &Config, files: &Files) -> Asked {
    let mut asked = Asked::default();
    let mut tables = Tables::default();
    for source in config.sources.values() {
        let (report, more) = of_source(config, files, source, &mut tables).await;
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
    let named = ours.flat_map(|mapping| {
        let unkept = mapping.fields.iter().filter_map(|field| match &field.value {
            FieldSource::Unkept { object, .. } => Some(&**object),
            FieldSource::Value(_) | FieldSource::Const(_) | FieldSource::Reference { .. } => None,
        });
        std::iter::once(&*mapping.object).chain(unkept)
    });
    let objects: BTreeSet<&str> = named.filter(|name| is_api_name(name)).collect();
    let mut report = Report { name: crm.name.clone(), told_in_files: false, findings: Vec::new() };
    match online::ask(crm, &objects).await {
        Ok(org) => (report, Some(online::compare(config, files, crm, &org, tables))),
        Err(fault) => {
            report.findings.push(Finding {
                code: "crm",
                severity: Severity::Fault,
                title: format!("{} could not be asked", crm.url),
                detail: fault.to_string(),
                remedy: fault.hint(),
            });
            (report, None)
        }
    }
}

async fn of_source(config: &Config, files: &Files, source: &Source, known: &mut Tables) -> (Report, Vec<Fault>) {
    let (mapped, unused) = (mapped_tables(config, source), unused_tables(config, source));
    let Told { mut findings, tables, closed } = match &source.kind {
        SourceKind::Postgres(settings) => postgres::ask(source, settings, &mapped, &unused).await,
        SourceKind::Mysql(settings) => mysql::ask(source, settings, &mapped, &unused).await,
    };
    let mut faults = Vec::new();
    if let Some(tables) = tables {
        known.add(&source.name, tables);
        faults.extend(missing_tables(config, source, known, &findings));
        faults.extend(mapping_faults(config, source, known, &findings));
        faults.extend(mappings(config, source).flat_map(|mapping| closed_columns(mapping, &closed)));
        // They stand in the files, at their places.
        findings.retain(|finding| !["table", "column"].contains(&finding.code));
    }
    let report = Report { name: source.name.clone(), told_in_files: !faults.is_empty(), findings };
    (report, faults.into_iter().map(|fault| fault.shown(files)).collect())
}

fn mappings<'c>(config: &'c Config, source: &'c Source) -> impl Iterator<Item = &'c Mapping> {
    config.mappings.values().filter(move |mapping| mapping.source == source.name)
}

/// Each mapped table with the columns that its mappings name, and each table of related rows.
fn mapped_tables(config: &Config, source: &Source) -> Vec<(TableName, Vec<String>)> {
    let mut tables: BTreeMap<TableName, BTreeSet<String>> = BTreeMap::new();
    for mapping in mappings(config, source) {
        // The syntax was checked before.
        let columns = mapping::columns_of(mapping).unwrap_or_default();
        tables.entry(mapping.table.clone()).or_default().extend(columns);
        for (table, columns) in mapping::tables_of(mapping) {
            tables.entry(table).or_default().extend(columns);
        }
    }
    tables.into_iter().map(|(name, columns)| (name, columns.into_iter().collect())).collect()
}

/// Tables of relations that no expression asks for: they are looked at, and nothing has to be granted of them.
fn unused_tables(config: &Config, source: &Source) -> Vec<TableName> {
    fn add(all: &mut BTreeSet<TableName>, with: &[Related]) {
        for related in with {
            all.extend(related.tables.iter().cloned());
            add(all, &related.with);
        }
    }
    let mut all = BTreeSet::new();
    mappings(config, source).for_each(|mapping| add(&mut all, &mapping.with));
    let used = mapped_tables(config, source);
    all.into_iter().filter(|table| used.iter().all(|(known, _)| known != table)).collect()
}

/// Tables that are not there, at the mappings that name them.
fn missing_tables(config: &Config, source: &Source, known: &Tables, findings: &[Finding]) -> Vec<MappingFault> {
    let missing = mappings(config, source).filter(|mapping| known.table(mapping).is_none());
    let fault = |mapping: &Mapping| {
        let title = format!("there is no table {}", mapping.table);
        let hint = elsewhere(source, &title, findings);
        MappingFault::of_setting(mapping, "table", title).with_hint(hint)
    };
    missing.map(fault).collect()
}

/// Where a table may be that is not there.
fn elsewhere(source: &Source, title: &str, findings: &[Finding]) -> String {
    // The finding knows all names.
    let near = findings.iter().find(|finding| finding.title == title).and_then(|finding| finding.remedy.clone());
    near.unwrap_or_else(|| {
        format!("it is looked for in database {}: another schema? `table = \"schema.name\"`", source.database)
    })
}

/// Faults of the mappings against the columns that there are: names, types, references, and related rows, also of relations
/// that no expression asks for.
fn mapping_faults(config: &Config, source: &Source, known: &Tables, findings: &[Finding]) -> Vec<MappingFault> {
    let parent = |name: &str| known.parent(config, name);
    let mut faults = Vec::new();
    for mapping in mappings(config, source) {
        let Some(table) = known.table(mapping) else { continue };
        let related = |name: &TableName| known.related(mapping, name);
        let columns = tables::columns(table);
        let with = mapping::Compile {
            related: Some(&related),
            check_unused: true,
            ..mapping::Compile::new(&columns, &parent, &source.time_zone)
        };
        let Err(found) = mapping::Mapping::compile(mapping, &with) else { continue };
        faults.extend(found.into_iter().map(|fault| {
            if !fault.message.starts_with("there is no table ") {
                return fault;
            }
            let hint = elsewhere(source, &fault.message, findings);
            fault.with_hint(hint)
        }));
    }
    faults
}

/// Columns of a mapping that can't be had.
fn closed_columns(mapping: &Mapping, closed: &[Closed]) -> Vec<MappingFault> {
    mapping::column_faults(mapping, &|table, column| {
        let is_it = |closed: &&Closed| closed.table == *table && closed.column == column;
        closed.iter().find(is_it).map(|closed| (closed.why.clone(), closed.hint.clone()))
    })
}
