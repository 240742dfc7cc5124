//! From the configuration and the catalogue to what is captured and what is delivered.
//!
//! Three steps: how each mapping stands to its table as that is now ([`crate::drift::footing`]), which columns of each
//! table are read for them (`names`), and the mappings compiled, each for the table that it was accepted for (`compile`).
//! Nothing is written but numbers of tables and columns: [`Tables::keep`] writes the rest once it is to run.
//!
//! What was read of the catalogue is kept in the state: a daemon that starts while the database is away delivers what is
//! pending by it. The first connection compares.

mod compile;
mod keep;
mod names;
mod standing;

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use passerelle_change::{ColumnIds, Position, TableId, TableName, TableSchema, WantedTable};
use passerelle_state::{MappingId, SourceId, StateError, Store};

use super::database::{Database, Error};
use super::table::TableFacts;
use crate::capture::WantedRows;
use crate::config::model;
use crate::delivery::RelatedSetup;
use crate::drift::{Child, Footing, Hints, Kept, Look, Stand};
use crate::mapping::{self, Mapping, MappingFault, ParentInfo};
use compile::Compiler;
use names::Names;
use standing::{Standing, kept_of};

/// The tables of a source.
#[derive(Debug)]
pub struct Tables {
    /// Each once.
    pub all: Vec<Table>,
    /// Where they are, and what its catalogue said when they were set up.
    pub database: Database,
    /// Where the log was before the catalogue was read; `None` of one that is remembered.
    looked_at: Option<Position>,
    loading: Mutex<HashSet<TableId>>,
    /// The catalogue is what the last run read, and nobody has looked since.
    is_remembered: AtomicBool,
}

/// A table that is captured, or that is to be again.
#[derive(Debug)]
pub struct Table {
    /// Its number in the state.
    pub id: TableId,
    /// As the catalogue has it; where it is gone, as it was when it was accepted.
    pub facts: TableFacts,
    /// Its columns that are read and those of its key, with their ids.
    pub schema: TableSchema,
    /// The columns that are read, of those that it has now.
    pub mapped: Vec<String>,
    /// Columns that it does not have any more, and that the log may still have.
    pub former: BTreeSet<String>,
    /// Other names of its columns, by the names that they have now.
    pub renamed: BTreeMap<String, BTreeSet<String>>,
    /// It is there, and its rows can be told apart: it can be read.
    pub is_there: bool,
}

/// A mapping that is ready to run.
#[derive(Clone, Debug)]
pub struct CompiledMapping {
    /// Its number.
    pub id: MappingId,
    /// As configured.
    pub config: Arc<model::Mapping>,
    /// As it is run: without the fields that were given up. Its fields are those of the compiled one, in its order.
    pub run: Arc<model::Mapping>,
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
    /// The tables whose rows it is evaluated with.
    pub related: Vec<RelatedSetup>,
    /// How it stands to its table.
    pub footing: Arc<Footing>,
    /// The columns that it depends on, by every name that they go by.
    pub names: BTreeSet<String>,
    /// How it stands to the tables of its related rows.
    pub beside: Vec<CompiledBeside>,
}

/// How a mapping stands to a table of related rows.
#[derive(Clone, Debug)]
pub struct CompiledBeside {
    /// The number under which that is kept.
    pub fit: MappingId,
    /// The table.
    pub table: TableId,
    /// The first relation that has its rows.
    pub relation: String,
    /// The mapping [over](crate::drift::over) it.
    pub over: Arc<model::Mapping>,
    /// How it stands to it.
    pub footing: Arc<Footing>,
    /// The columns that it depends on, by every name that they go by.
    pub names: BTreeSet<String>,
}

/// One table of a mapping, and how the mapping stands to it.
#[derive(Clone, Copy, Debug)]
pub struct Footed<'m> {
    /// The number under which that is kept: the mapping's, of its own table.
    pub fit: MappingId,
    /// The table.
    pub table: TableId,
    /// The relation that has its rows; `None` of the mapping's own table.
    pub relation: Option<&'m str>,
    /// The mapping as changes of that table are weighed for it.
    pub config: &'m model::Mapping,
    /// How it stands to it.
    pub footing: &'m Footing,
    /// The columns that it depends on, by every name that they go by.
    pub names: &'m BTreeSet<String>,
}

impl CompiledMapping {
    /// All its tables, its own first.
    pub fn footed(&self) -> impl Iterator<Item = Footed<'_>> {
        let own = Footed {
            fit: self.id,
            table: self.table,
            relation: None,
            config: &self.config,
            footing: &self.footing,
            names: &self.names,
        };
        let beside = self.beside.iter().map(|beside| Footed {
            fit: beside.fit,
            table: beside.table,
            relation: Some(&beside.relation),
            config: &beside.over,
            footing: &beside.footing,
            names: &beside.names,
        });
        std::iter::once(own).chain(beside)
    }

    /// Something of its tables is not settled.
    pub fn is_pending(&self) -> bool {
        self.footed().any(|footed| footed.footing.pending.is_some())
    }

    /// Why its source does not run, by its `on_drift`.
    pub fn fails(&self) -> Option<&str> {
        self.footed().find_map(|footed| match &footed.footing.stand {
            Stand::Fails(reason) => Some(reason.as_str()),
            Stand::Fits | Stand::Held(_) => None,
        })
    }
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

    /// Those that can be read.
    pub fn there(&self) -> impl Iterator<Item = &Table> {
        self.all.iter().filter(|table| table.is_there)
    }

    /// What a mapping needs to know of another one that its reference names.
    pub(crate) fn parent(&self, mappings: &[CompiledMapping], name: &str) -> Option<ParentInfo> {
        let mapping = mappings.iter().find(|mapping| *mapping.config.name == *name)?;
        let key = self.table(mapping.table)?.facts.typed_key()?;
        let key_field = Arc::clone(&mapping.config.key_field);
        Some(ParentInfo { mapping: mapping.id.0 as usize, key, key_field })
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

impl Table {
    /// What is looked for in the log: what the catalogue has, and what the log may have by other names.
    pub(super) fn wanted(&self, catalogued: WantedTable) -> WantedTable {
        let mut wanted = catalogued;
        let is_other_name = |name: &&String| self.renamed.values().any(|others| others.contains(*name));
        wanted.columns.extend(self.former.iter().filter(|name| !is_other_name(name)).cloned());
        wanted.renamed.clone_from(&self.renamed);
        wanted
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
    let names = tables_of(mappings);
    let (database, looked_at) = Database::read(config, &names).await?;
    let setup = Setup { config, id, mappings, store, ids };
    let moved = setup.moved(&database).await?;
    let (tables, compiled) = setup.by(database, &moved)?;
    Ok((Tables { looked_at, ..tables }, compiled))
}

/// The same by the catalogue as it was read last; `None` where the mappings want more than was known then.
pub fn prepare_remembered(
    config: &model::Source,
    id: SourceId,
    mappings: &[Arc<model::Mapping>],
    store: &Store,
    ids: &Mutex<ColumnIds>,
) -> Result<Option<(Tables, Vec<CompiledMapping>)>, StateError> {
    let Some(catalog) = store.catalog(id)? else { return Ok(None) };
    let Some(database) = Database::remembered(config, &catalog) else { return Ok(None) };
    match (Setup { config, id, mappings, store, ids }).by(database, &HashMap::new()) {
        Ok((tables, compiled)) => Ok(Some((Tables { is_remembered: true.into(), ..tables }, compiled))),
        Err(SetupFault::State(error)) => Err(error),
        // Only the database as it is now can say whether that is right.
        Err(SetupFault::Mappings(_) | SetupFault::Database(_)) => Ok(None),
    }
}

/// A mapping as it is written now, by its revision.
pub fn written(mapping: &model::Mapping, source: &model::Source) -> u64 {
    mapping::revision_of(mapping, &source.time_zone)
}

/// What is known of a mapping and its table now: what else is known of changes, which mappings its references name, and which
/// fields lead to its rows.
pub(crate) fn look<'a>(
    source: &'a model::Source,
    (mapping, table): (&'a model::Mapping, Option<&'a TableFacts>),
    hints: &'a Hints<'a>,
    parents: &'a dyn Fn(&str) -> Option<ParentInfo>,
    children: &'a [Child],
) -> Look<'a> {
    let (written, time_zone, now) = (written(mapping, source), &source.time_zone, Timestamp::now());
    Look { mapping, written, table, hints, children, parents, time_zone, now, relation: None, whole: &|_, _| Ok(()) }
}

/// The name under which it is kept how a mapping stands to a table of related rows. No mapping has such a name.
fn fit_name(mapping: &str, table: &TableName) -> String {
    format!("{mapping}/with/{table}")
}

/// The tables that mappings name, each once: their own, and those of related rows.
pub(super) fn tables_of(mappings: &[Arc<model::Mapping>]) -> Vec<TableName> {
    let related = mappings.iter().flat_map(|mapping| mapping::tables_of(mapping)).map(|(name, _)| name);
    let names: BTreeSet<TableName> = mappings.iter().map(|mapping| mapping.table.clone()).chain(related).collect();
    names.into_iter().collect()
}

/// Of tables of which only pivots take rows, by names that are written out: those rows. No other ones need be captured.
pub fn wanted_rows(mappings: &[CompiledMapping]) -> BTreeMap<TableId, WantedRows> {
    let mut wanted: BTreeMap<TableId, Option<WantedRows>> = BTreeMap::new();
    for mapping in mappings {
        wanted.insert(mapping.table, None);
        for relation in mapping.mapping.relations() {
            for branch in relation.branches() {
                let Some(table) = mapping.related.iter().find(|related| related.name == *branch.table()) else {
                    continue;
                };
                let rows = relation
                    .wanted_rows()
                    .map(|(column, values)| WantedRows { column: column.to_owned(), values: values.clone() });
                match (wanted.get_mut(&table.table), rows) {
                    (None, rows) => drop(wanted.insert(table.table, rows)),
                    (Some(Some(known)), Some(rows)) if known.column == rows.column => known.values.extend(rows.values),
                    (Some(known), _) => *known = None,
                }
            }
        }
    }
    wanted.into_iter().filter_map(|(table, rows)| Some((table, rows?))).collect()
}

/// Where tables have gone that stand no more under their names, or have another in their place.
async fn moved(
    database: &Database,
    before: impl Iterator<Item = &TableFacts>,
) -> Result<HashMap<TableName, TableName>, Error> {
    let known = database.tables();
    let now = |name: &TableName| known.iter().find(|table| table.name == *name).and_then(|table| table.object);
    let gone =
        before.filter_map(|table| Some((table.object.filter(|object| Some(*object) != now(&table.name))?, table)));
    let mut gone: BTreeMap<u32, TableName> = gone.map(|(object, table)| (object, table.name.clone())).collect();
    if gone.is_empty() {
        return Ok(HashMap::new());
    }
    let called = database.called_now(&gone.keys().copied().collect::<Vec<_>>()).await?;
    Ok(called.into_iter().filter_map(|(object, now)| Some((gone.remove(&object)?, now))).collect())
}

/// A table as it is now, with what else is known of its changes.
pub(crate) struct Seen {
    pub(crate) table: Option<TableFacts>,
    renamed: Vec<(String, String)>,
    moved: Option<TableName>,
}

impl Seen {
    /// Asks for the table of a mapping that was accepted for it as it was `before`.
    pub(crate) async fn of(
        config: &model::Source,
        (id, store): (TableId, &Store),
        before: &TableFacts,
    ) -> Result<Self, SetupFault> {
        let (database, _) = Database::read(config, std::slice::from_ref(&before.name)).await?;
        let moved = moved(&database, std::iter::once(before)).await?.remove(&before.name);
        let table = database.tables().into_iter().find(|table| table.name == before.name);
        Ok(Self { table, renamed: store.renamed_columns(id)?, moved })
    }

    pub(crate) fn hints(&self) -> Hints<'_> {
        hints(&self.renamed, self.moved.clone())
    }
}

/// Tables that are not published are read again for that: it is no drift of theirs.
fn hints(renamed_columns: &[(String, String)], renamed_table: Option<TableName>) -> Hints<'_> {
    Hints { renamed_columns, renamed_table, unpublished: false }
}

/// One set-up.
struct Setup<'a> {
    config: &'a model::Source,
    id: SourceId,
    mappings: &'a [Arc<model::Mapping>],
    store: &'a Store,
    ids: &'a Mutex<ColumnIds>,
}

impl Setup<'_> {
    /// Where tables have gone that stand no more under their names, or have another in their place.
    async fn moved(&self, database: &Database) -> Result<HashMap<TableName, TableName>, SetupFault> {
        let mut kept = Vec::new();
        for mapping in self.mappings {
            let all = kept_of(self.store, mapping)?.into_iter();
            kept.extend(all.filter_map(|kept| kept.accepted).map(|accepted| accepted.table));
        }
        Ok(moved(database, kept.iter()).await?)
    }

    /// `moved` says where tables have gone.
    fn by(
        &self,
        database: Database,
        moved: &HashMap<TableName, TableName>,
    ) -> Result<(Tables, Vec<CompiledMapping>), SetupFault> {
        let known = database.tables();
        let mut numbers = HashMap::new();
        for mapping in self.mappings {
            numbers.insert(mapping.name.to_string(), self.store.mapping_id(&mapping.name)?);
        }
        let kept = self.kept(&numbers)?;
        let parent = |name: &str| -> Option<ParentInfo> {
            let mapping = self.mappings.iter().find(|mapping| *mapping.name == *name)?;
            let is_there = |table: &&TableFacts| table.name == mapping.table && table.row_key.is_ok();
            let accepted = || kept.get(name)?.accepted.as_ref().map(|accepted| &accepted.table);
            let key = known.iter().find(is_there).or_else(accepted)?.typed_key()?;
            let number = numbers.get(name)?.0 as usize;
            Some(ParentInfo { mapping: number, key, key_field: Arc::clone(&mapping.key_field) })
        };
        let all = self.standings(&known, moved, &parent)?;
        let tables = self.tables(database, &known, &all)?;
        let compiler = Compiler {
            store: self.store,
            ids: self.ids,
            time_zone: &self.config.time_zone,
            numbers: &numbers,
            parents: &parent,
        };
        let compiled = compiler.compile(all, &tables)?;
        Ok((tables, compiled))
    }

    /// What the state has of each mapping.
    fn kept(&self, numbers: &HashMap<String, MappingId>) -> Result<HashMap<String, Kept>, StateError> {
        numbers.iter().map(|(name, number)| Ok((name.clone(), Kept::read(self.store, *number)?))).collect()
    }

    fn tables(&self, database: Database, known: &[TableFacts], all: &[Standing]) -> Result<Tables, SetupFault> {
        let mut tables: BTreeMap<TableName, (&TableFacts, Names)> = BTreeMap::new();
        for (name, footing, names) in all.iter().flat_map(Standing::tables) {
            let facts = known.iter().find(|table| table.name == *name).unwrap_or(&footing.accepted.table);
            tables.entry(name.clone()).or_insert((facts, Names::default())).1.and(names.clone());
        }
        let mut captured = Vec::new();
        for (name, (facts, names)) in tables {
            let name = &name;
            let id = self.store.table_id(self.id, name)?;
            // One that was never accepted, and has no key, is refused below.
            let is_new = || {
                let mut those = all.iter().flat_map(Standing::tables).filter(|(table, ..)| *table == name);
                those.all(|(_, footing, _)| footing.accepted.table.row_key.is_err())
            };
            let is_known = known.iter().any(|table| table.name == *name);
            let is_there = is_known && (facts.row_key.is_ok() || is_new());
            let is_now = |column: &String| is_there && facts.column(column).is_some();
            let (mapped, former): (Vec<String>, BTreeSet<String>) = {
                let (now, gone): (BTreeSet<_>, BTreeSet<_>) = names.all().into_iter().partition(is_now);
                (now.into_iter().collect(), gone)
            };
            let schema = {
                let mut ids = self.ids.lock().unwrap_or_else(PoisonError::into_inner);
                if is_there {
                    database.schema(name, id, &mapped, &mut ids)?
                } else {
                    TableSchema { table: id, name: name.clone(), columns: Vec::new(), key: Vec::new() }
                }
            };
            for column in &schema.columns {
                self.store.set_column(id, column)?;
            }
            let renamed = names.renamed;
            captured.push(Table { id, facts: facts.clone(), schema, mapped, former, renamed, is_there });
        }
        let (loading, is_remembered) = (Mutex::default(), false.into());
        Ok(Tables { all: captured, database, looked_at: None, loading, is_remembered })
    }
}
