//! Tables in memory, and their relations answered by looking at every row: what an index has to come to.

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;

use passerelle_change::{Cells, CellsBuf, Column, ColumnId, FieldValue, KeyBuf, TableName, Type};

use super::super::super::related::rollup::{Group, Lines, Rollup};
use super::super::super::related::stored;
use super::super::super::{
    Compile, Desired, Fold, Form, Found, JoinKey, Made, Mapping, MappingFault, ParentInfo, RelatedTable, Scope, Target,
};
use crate::config::{self, Loaded};

pub(super) const HEAD: &str = r#"
[source.erp]
kind = "postgres"
host = "db"
database = "erp"
user = "erp"

[crm.sales]
kind = "salesforce"
url = "https://acme.my.salesforce.com"
auth = { method = "token", token = { env = "SF_TOKEN" } }

[mapping.m]
source = "erp"
table = "partner"
crm = "sales"
object = "Account"
key = { field = "Erp_Id__c", value = "id" }
"#;

/// A table with its rows.
#[derive(Clone, Debug)]
pub(super) struct Table {
    pub(super) known: RelatedTable,
    /// By row key.
    pub(super) rows: BTreeMap<Vec<u8>, Vec<u8>>,
}

/// Tables by name.
#[derive(Clone, Debug, Default)]
pub(super) struct World(pub(super) BTreeMap<String, Table>);

pub(super) fn config(text: &str) -> Loaded {
    config::from_text(&format!("{HEAD}{text}")).unwrap_or_else(|faults| panic!("{faults}"))
}

impl World {
    /// Tables as `name: column type, …; key` and a line for each row, its cells divided by blanks: `-` is null, `?` absent,
    /// `_` a blank.
    pub(super) fn of(text: &str) -> Self {
        let mut world = Self::default();
        let mut name = String::new();
        let mut next_id = 0;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            if let Some((table, rest)) = line.split_once(": ") {
                table.clone_into(&mut name);
                world.0.insert(name.clone(), Table { known: table_of(rest, &mut next_id), rows: BTreeMap::new() });
            } else {
                let cells: Vec<&str> = line.split_whitespace().collect();
                world.put(&name, &cells);
            }
        }
        world
    }

    pub(super) fn put(&mut self, table: &str, cells: &[&str]) {
        let table = self.0.get_mut(table).expect("a table");
        let mut row = CellsBuf::new();
        let mut parts = BTreeMap::new();
        for (column, cell) in table.known.columns.iter().zip(cells) {
            let cell = cell.replace('_', " ");
            parts.insert(column.name.as_str(), (column.ty == Type::Int, cell.clone()));
            match cell.as_str() {
                "?" => {}
                "-" => row.push(column.id, None),
                text => row.push(column.id, Some(text.as_bytes())),
            }
        }
        let mut key = Vec::new();
        for name in &table.known.key {
            let (is_integer, text) = &parts[name.as_str()];
            KeyBuf(&mut key).push(*is_integer, text.as_bytes());
        }
        table.rows.insert(key, row.into_bytes());
    }

    pub(super) fn compile(&self, loaded: &Loaded) -> Result<Mapping, Vec<MappingFault>> {
        let config = &loaded.config.mappings["m"];
        let own = self.table(&config.table).expect("the mapping's table").known.columns.clone();
        let parents = |_: &str| -> Option<ParentInfo> { None };
        let related = |name: &TableName| self.table(name).map(|table| table.known.clone());
        Mapping::compile(
            config,
            &Compile { related: Some(&related), check_unused: true, ..Compile::new(&own, &parents, "Europe/Paris") },
        )
    }

    pub(super) fn table(&self, name: &TableName) -> Option<&Table> {
        self.0.get(&name.name)
    }

    /// What a scope's asks find for a row.
    pub(super) fn found(&self, mapping: &Mapping, scope: &Scope, cells: Cells<'_>, now: i64) -> Vec<Found> {
        let mut found = Vec::new();
        for (at, ask) in scope.asks().iter().enumerate() {
            let relation = ask.relation;
            let next = match scope.join_key(at, cells, &found) {
                JoinKey::Key(key) => self.look(mapping, relation, Some(&key), now),
                JoinKey::Null => self.look(mapping, relation, None, now),
                JoinKey::Absent => Found::Unknown,
            };
            found.push(next);
        }
        found
    }

    fn look(&self, mapping: &Mapping, relation: usize, key: Option<&[u8]>, now: i64) -> Found {
        let relation = &mapping.relations()[relation];
        let mut entries = Vec::new();
        for branch in relation.branches() {
            for (row_key, row) in &self.table(branch.table()).expect("a table").rows {
                let found = self.found(mapping, branch.scope(), Cells::new(row), now);
                match branch.entry(Cells::new(row), &found) {
                    Made::In(entry) if Some(&*entry.key) == key => {
                        entries.push((entry.order, row_key.clone(), entry.holds, row));
                    }
                    Made::In(_) | Made::Out => {}
                    Made::Incomplete { .. } => return Found::Unknown,
                }
            }
        }
        entries.sort();
        match relation.form() {
            Form::One { by_row_key, picks } => {
                assert!(*picks || entries.iter().all(|(order, ..)| order.is_empty()));
                if *by_row_key {
                    let table = self.table(relation.branches()[0].table()).expect("a table");
                    let direct = key.and_then(|key| table.rows.get(key));
                    assert_eq!(direct, entries.first().map(|(.., row)| *row), "the join key is the row key");
                }
                entries.first().map_or(Found::Nothing, |(.., row)| Found::Row((*row).clone()))
            }
            Form::Pivot if entries.is_empty() => Found::Nothing,
            Form::Pivot => {
                let mut all: Vec<(String, Vec<u8>)> = Vec::new();
                for (_, _, holds, _) in &entries {
                    let (name, value) = stored::of_pivot(holds).expect("a pivot's entry");
                    if all.iter().all(|(known, _)| known != name) {
                        all.push((name.to_owned(), value.to_vec()));
                    }
                }
                Found::Pivot(all)
            }
            Form::Rollup(rollup) => figures(rollup, entries.iter().map(|(_, _, holds, _)| holds.as_slice()), now),
        }
    }

    /// The record of the partner with a key: `Field=value`, one behind the other.
    pub(super) fn record(&self, mapping: &Mapping, id: i64, now: i64) -> String {
        let mut key = Vec::new();
        KeyBuf(&mut key).push_int(id);
        let row = &self.0["partner"].rows[&key];
        let found = self.found(mapping, mapping.scope(), Cells::new(row), now);
        shown(mapping, &mapping.evaluate(Cells::new(row), &found))
    }
}

/// What is desired, in a line.
pub(super) fn shown(mapping: &Mapping, desired: &Desired) -> String {
    let record = match desired {
        Desired::Present(record) => record,
        Desired::Incomplete { columns } => return format!("incomplete: {}", columns.join(" ")),
        Desired::Refused(refusal) => return format!("refused: {}", refusal.message),
        Desired::Left => return "left".to_owned(),
        Desired::Deleted => return "deleted".to_owned(),
        Desired::Apart => return "apart".to_owned(),
    };
    let fields = record.fields.iter().map(|field| {
        let name = &mapping.fields[field.index].name;
        let bad = record.bad.iter().find(|bad| bad.index == field.index);
        match (&field.target, bad) {
            (_, Some(bad)) => format!("{name}!{}", bad.reason),
            (Target::Set(FieldValue::Null), _) => format!("{name}=null"),
            (Target::Set(FieldValue::Text(text) | FieldValue::Number(text)), _) => format!("{name}={text}"),
            (Target::Set(FieldValue::Bool(value)), _) => format!("{name}={value}"),
            (Target::Absent, _) => format!("{name}?"),
            (other, _) => format!("{name}={other:?}"),
        }
    });
    fields.collect::<Vec<_>>().join(" ")
}

fn table_of(text: &str, next_id: &mut u32) -> RelatedTable {
    let (columns, key) = text.split_once(';').unwrap_or((text, ""));
    let mut table =
        RelatedTable { key: key.split_whitespace().map(str::to_owned).collect(), ..RelatedTable::default() };
    for column in columns.split(',') {
        let (name, word) = column.trim().split_once(' ').expect("a name and a type");
        let ty = match word {
            "int" | "tiny" => Type::Int,
            "text" | "ci" | "citext" => Type::Text { max_chars: None },
            "dec" => Type::Decimal { precision: Some((12, 2)) },
            "float" => Type::Float,
            "bool" | "flag" => Type::Bool,
            "date" => Type::Date,
            "naive" => Type::DateTime,
            "at" => Type::Timestamp,
            "uuid" => Type::Uuid,
            "bytes" => Type::Bytes,
            "json" => Type::Json,
            "enum" => Type::Enum { labels: ["draft", "sale"].map(str::to_owned).to_vec() },
            other => panic!("{other} is no type"),
        };
        match word {
            "ci" => drop(table.folded.insert(name.to_owned(), Fold::of_collation("utf8mb4_general_ci"))),
            "citext" => drop(table.folded.insert(name.to_owned(), Fold::of_type("citext"))),
            _ => {}
        }
        *next_id += 1;
        let type_name = if word == "flag" { "tinyint(1)" } else { word }.to_owned();
        table.names.push(name.to_owned());
        table.columns.push(Column { id: ColumnId(*next_id), name: name.to_owned(), ty, type_name, nullable: true });
    }
    table
}

struct InOrder(BTreeSet<(u8, Vec<u8>, usize, Vec<u8>)>);

impl Lines for InOrder {
    type Error = Infallible;

    fn scan(
        &self,
        figure: u8,
        from: &[u8],
        backwards: bool,
        visit: &mut dyn FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<(), Infallible> {
        let ours = self.0.iter().filter(|(of, sort, ..)| *of == figure && sort.as_slice() >= from);
        let mut ours: Vec<_> = ours.collect();
        if backwards {
            ours.reverse();
        }
        let _ = ours.into_iter().all(|(_, sort, _, value)| visit(sort, value));
        Ok(())
    }
}

/// The figures of rows that hold this, as of `now` in microseconds.
fn figures<'h>(rollup: &Rollup, all: impl Iterator<Item = &'h [u8]>, now: i64) -> Found {
    let (mut group, mut lines) = (Group::default(), InOrder(BTreeSet::new()));
    let Ok(_) = rollup.advance(&mut group, now, &lines);
    for (at, holds) in all.enumerate() {
        let Ok(()) = rollup.change(&mut group, holds, true, &lines);
        lines.0.extend(rollup.lines(holds).into_iter().map(|line| (line.figure, line.sort, at, line.value)));
    }
    let Ok(figures) = rollup.figures(&group, &lines);
    Found::Figures(figures)
}
