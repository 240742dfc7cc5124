//! From the configuration and the catalogue to what is captured and what is delivered.
//!
//! What was read of the catalogue is kept in the state: a daemon that starts while the database is away delivers what is
//! pending by it. The first connection compares.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use passerelle_change::{ColumnIds, TableId, TableName, TableSchema};
use passerelle_state::{MappingId, SourceId, StateError, Store};

use super::database::{Database, Error};
use super::table::TableFacts;
use crate::config::model::{self, FieldSource};
use crate::mapping::{self, Mapping, MappingFault, ParentInfo};

/// The tables of a source.
#[derive(Debug)]
pub struct Tables {
    /// Each once.
    pub all: Vec<Table>,
    /// Where they are, and what its catalogue said when they were set up.
    pub database: Database,
    loading: Mutex<HashSet<TableId>>,
    /// The catalogue is what the last run read, and nobody has looked since.
    is_remembered: AtomicBool,
}

/// A captured table.
#[derive(Debug)]
pub struct Table {
    /// Its number in the state.
    pub id: TableId,
    /// As the catalogue has it.
    pub facts: TableFacts,
    /// Its mapped columns and its key, with their ids.
    pub schema: TableSchema,
    /// The mapped columns.
    pub mapped: Vec<String>,
}

/// A mapping that is ready to run.
#[derive(Clone, Debug)]
pub struct CompiledMapping {
    /// Its number.
    pub id: MappingId,
    /// As configured.
    pub config: Arc<model::Mapping>,
    /// Its table.
    pub table: TableId,
    /// The columns of its table that are loaded, by id.
    pub columns: Vec<u32>,
    /// Compiled.
    pub mapping: Arc<Mapping>,
    /// The mappings it refers to.
    pub parents: Vec<MappingId>,
    /// The lane of its urgent fields, if it has some.
    pub ahead: Option<MappingId>,
}

/// Why a source can't be set up.
#[derive(Debug, thiserror::Error)]
pub enum SetupFault {
    /// The server: its class says what to do.
    #[error(transparent)]
    Database(#[from] Error),
    /// The mappings: the configuration is wrong.
    #[error("the mappings do not fit the tables")]
    Mappings(Vec<MappingFault>),
    /// The state.
    #[error(transparent)]
    State(#[from] StateError),
}

impl Tables {
    /// The table with this number.
    pub fn table(&self, id: TableId) -> Option<&Table> {
        self.all.iter().find(|table| table.id == id)
    }

    /// Keeps the catalogue for a start without the database.
    pub fn remember(&self, source: SourceId, store: &Store) -> Result<(), StateError> {
        if self.is_remembered.load(Ordering::Relaxed) {
            return Ok(());
        }
        store.set_catalog(source, &self.database.catalog())
    }

    /// The catalogue is what an earlier start read, and nobody has looked since.
    pub(super) fn are_remembered(&self) -> bool {
        self.is_remembered.load(Ordering::Relaxed)
    }

    /// Somebody has looked, and it is as it was.
    pub(super) fn are_as_remembered(&self) {
        self.is_remembered.store(false, Ordering::Relaxed);
    }

    pub(super) fn is_loading(&self, table: TableId) -> bool {
        self.loading.lock().unwrap_or_else(PoisonError::into_inner).contains(&table)
    }

    pub(super) fn set_loading(&self, table: TableId, loading: bool) {
        let mut all = self.loading.lock().unwrap_or_else(PoisonError::into_inner);
        if loading {
            all.insert(table);
        } else {
            all.remove(&table);
        }
    }
}

/// Reads the catalogue of a source, and compiles its mappings. All faults of the mappings come out at once.
pub async fn prepare(
    config: &model::Source,
    id: SourceId,
    mappings: &[Arc<model::Mapping>],
    store: &Store,
    ids: &Mutex<ColumnIds>,
) -> Result<(Tables, Vec<CompiledMapping>), SetupFault> {
    let mapped = columns_by_table(mappings).map_err(SetupFault::Mappings)?;
    let names: Vec<TableName> = mapped.keys().cloned().collect();
    let database = Database::read(config, &names).await?;
    let tables = tables(database, id, mapped, mappings, store, ids)?;
    let compiled = compile(config, mappings, &tables, store)?;
    Ok((tables, compiled))
}

/// The same by the catalogue as it was read last; `None` where the mappings want more than was known then.
pub fn prepare_remembered(
    config: &model::Source,
    id: SourceId,
    mappings: &[Arc<model::Mapping>],
    store: &Store,
    ids: &Mutex<ColumnIds>,
) -> Result<Option<(Tables, Vec<CompiledMapping>)>, StateError> {
    let kept = store.catalog(id)?.and_then(|catalog| Database::remembered(config, &catalog));
    let (Some(database), Ok(mapped)) = (kept, columns_by_table(mappings)) else { return Ok(None) };
    let prepared = tables(database, id, mapped, mappings, store, ids).and_then(|tables| {
        let compiled = compile(config, mappings, &tables, store)?;
        Ok((Tables { is_remembered: true.into(), ..tables }, compiled))
    });
    match prepared {
        Ok(prepared) => Ok(Some(prepared)),
        Err(SetupFault::State(error)) => Err(error),
        // Only the database as it is now can say whether that is right.
        Err(SetupFault::Mappings(_) | SetupFault::Database(_)) => Ok(None),
    }
}

fn columns_by_table(
    mappings: &[Arc<model::Mapping>],
) -> Result<BTreeMap<TableName, BTreeSet<String>>, Vec<MappingFault>> {
    let (mut tables, mut faults) = (BTreeMap::<_, BTreeSet<String>>::new(), Vec::new());
    for mapping in mappings {
        match mapping::columns_of(mapping) {
            Ok(columns) => tables.entry(mapping.table.clone()).or_default().extend(columns),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(tables) } else { Err(faults) }
}

fn tables(
    database: Database,
    source: SourceId,
    mapped: BTreeMap<TableName, BTreeSet<String>>,
    mappings: &[Arc<model::Mapping>],
    store: &Store,
    ids: &Mutex<ColumnIds>,
) -> Result<Tables, SetupFault> {
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    let known = database.tables();
    for (name, columns) in mapped {
        let Some(facts) = known.iter().find(|table| table.name == name) else {
            faults.extend(mappings.iter().filter(|mapping| mapping.table == name).map(|mapping| {
                let message = format!("there is no table {name} in the database");
                let hint = "`passerelle check --online` names the table that was probably meant";
                MappingFault::of_setting(mapping, "table", message).with_hint(hint)
            }));
            continue;
        };
        // Columns that are not there are faults of their expressions, found when these are compiled.
        let there: Vec<String> = columns.into_iter().filter(|column| facts.column(column).is_some()).collect();
        let id = store.table_id(source, &name)?;
        let schema = {
            let mut ids = ids.lock().unwrap_or_else(PoisonError::into_inner);
            database.schema(&name, id, &there, &mut ids)?
        };
        for column in &schema.columns {
            store.set_column(id, column)?;
        }
        all.push(Table { id, facts: facts.clone(), schema, mapped: there });
    }
    if !faults.is_empty() {
        return Err(SetupFault::Mappings(faults));
    }
    Ok(Tables { all, database, loading: Mutex::default(), is_remembered: false.into() })
}

fn compile(
    config: &model::Source,
    mappings: &[Arc<model::Mapping>],
    tables: &Tables,
    store: &Store,
) -> Result<Vec<CompiledMapping>, SetupFault> {
    let mut numbers = HashMap::new();
    for mapping in mappings {
        numbers.insert(mapping.name.to_string(), store.mapping_id(&mapping.name)?);
    }
    let parent = |name: &str| -> Option<ParentInfo> {
        let mapping = mappings.iter().find(|mapping| *mapping.name == *name)?;
        let key = tables.all.iter().find(|table| table.facts.name == mapping.table)?.facts.typed_key()?;
        let number = numbers.get(name)?.0 as usize;
        Some(ParentInfo { mapping: number, key, key_field: Arc::clone(&mapping.key_field) })
    };
    let (mut compiled, mut faults) = (Vec::new(), Vec::new());
    for mapping in mappings {
        let Some(table) = tables.all.iter().find(|table| table.facts.name == mapping.table) else { continue };
        // Cells of older types may still stand in the row store; those of today come last and win.
        let mut columns = store.columns_of(table.id)?;
        columns.retain(|column| !table.schema.columns.iter().any(|now| now.id == column.id));
        columns.retain(|column| table.schema.columns.iter().any(|now| now.name == column.name));
        columns.extend(table.schema.columns.iter().cloned());
        let is_urgent = mapping.fields.iter().any(|field| field.urgent);
        // No mapping has such a name.
        let ahead = is_urgent.then(|| store.mapping_id(&format!("{}/urgent", mapping.name))).transpose()?;
        let names: Vec<String> = table.facts.columns.iter().map(|column| column.name.clone()).collect();
        match Mapping::compile_among(mapping, &columns, &names, &parent, &config.time_zone) {
            Ok(ready) => compiled.push(CompiledMapping {
                ahead,
                id: numbers[&mapping.name.to_string()],
                config: Arc::clone(mapping),
                table: table.id,
                columns: table.schema.columns.iter().map(|column| column.id.0).collect(),
                mapping: Arc::new(ready),
                parents: parents(mapping, &numbers),
            }),
            Err(more) => faults.extend(more),
        }
    }
    if faults.is_empty() { Ok(compiled) } else { Err(SetupFault::Mappings(faults)) }
}

fn parents(mapping: &model::Mapping, numbers: &HashMap<String, MappingId>) -> Vec<MappingId> {
    let names = mapping.fields.iter().filter_map(|field| match &field.value {
        FieldSource::Reference { mapping, .. } => Some(mapping),
        FieldSource::Value(_) | FieldSource::Const(_) => None,
    });
    names.filter_map(|name| numbers.get(name).copied()).collect()
}
