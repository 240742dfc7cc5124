//! What the sources' catalogues say of the mapped tables.

use std::collections::BTreeMap;

use passerelle_change::{Column, ColumnId, TableName};

use crate::config::Config;
use crate::config::model::Mapping;
use crate::mapping::{ParentInfo, RelatedTable};
use crate::source::table::{ColumnFacts, TableFacts};

/// The catalogues that could be read.
#[derive(Debug, Default)]
pub struct Tables {
    by_source: BTreeMap<String, Vec<TableFacts>>,
}

impl Tables {
    /// Keeps what was read of a source.
    pub fn add(&mut self, source: &str, tables: Vec<TableFacts>) {
        self.by_source.insert(source.to_owned(), tables);
    }

    /// The table of a mapping; `None` where it is not there, or its source could not be asked.
    pub fn table(&self, mapping: &Mapping) -> Option<&TableFacts> {
        self.of_source(&mapping.source).iter().find(|table| table.name == mapping.table)
    }

    /// A table of a mapping's source, as relations need to know it; `None` where it is not there.
    pub fn related(&self, mapping: &Mapping, name: &TableName) -> Option<RelatedTable> {
        let facts = self.of_source(&mapping.source).iter().find(|table| table.name == *name)?;
        Some(RelatedTable {
            columns: columns(facts),
            names: facts.columns.iter().map(|column| column.name.clone()).collect(),
            key: facts.row_key.clone().unwrap_or_default(),
            folded: facts.folded(),
        })
    }

    /// The tables that were read of a source.
    pub fn of_source(&self, source: &str) -> &[TableFacts] {
        self.by_source.get(source).map_or(&[], Vec::as_slice)
    }

    /// The columns of a mapping's table.
    pub fn columns(&self, mapping: &Mapping) -> Option<Vec<Column>> {
        self.table(mapping).map(columns)
    }

    /// What a reference needs to know of its parents' mapping. Mappings are numbered by their place in `config`.
    pub fn parent(&self, config: &Config, name: &str) -> Option<ParentInfo> {
        let number = config.mappings.keys().position(|known| known.as_str() == name)?;
        let mapping = config.mappings.get(name)?;
        let key = self.table(mapping)?.typed_key()?;
        Some(ParentInfo { mapping: number, key, key_field: mapping.key_field.clone() })
    }
}

/// A table's columns as the mapping language knows them, numbered by their place: other numbers matter to the state alone.
pub fn columns(table: &TableFacts) -> Vec<Column> {
    let column = |(number, column): (usize, &ColumnFacts)| Column {
        id: ColumnId(number as u32),
        name: column.name.clone(),
        ty: column.ty.clone(),
        type_name: column.type_name.clone(),
        nullable: column.nullable,
    };
    table.columns.iter().enumerate().map(column).collect()
}
