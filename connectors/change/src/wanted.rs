//! A table that is captured, and which columns of it a description in the log has.
//!
//! Columns are matched by name, as neither log numbers them. A name may have changed since the mapping was written, or may
//! change while the log is read: then the value is to be found all the same, or at least not to be lost, until somebody has
//! said what became of the column.

use std::collections::{BTreeMap, BTreeSet};

use crate::{TableId, TableName};

/// A table that is captured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct WantedTable {
    /// Its number in the state.
    pub table: TableId,
    /// Its name. Of a partitioned table of PostgreSQL, the root's; in MySQL the schema is the database.
    pub name: TableName,
    /// The mapped columns.
    pub columns: BTreeSet<String>,
    /// The columns of the row key in order, by the catalogue.
    pub key: Vec<String>,
    /// Columns, mapped or of the key, that the log may have under other names: those of before a rename that was accepted,
    /// or of after it. Values found so stand under the name that the log has, in a cell of their own.
    pub renamed: BTreeMap<String, BTreeSet<String>>,
    /// Every column that the table had when this was set up, mapped or not, in the table's order. Where a wanted column is
    /// missing from the log, what the log has beyond these may be what became of it ([`WantedTable::find`]). Empty where
    /// that is not to be asked.
    pub known: Vec<KnownName>,
}

/// A column that was there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KnownName {
    /// Its name.
    pub name: String,
    /// Its type, as [`crate::Column::type_name`] has it.
    pub type_name: String,
}

/// What of a description in the log is wanted. Columns are named by their place in it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Those whose values are kept, in the table's order.
    pub cells: Vec<usize>,
    /// Those of the key, in its order; none where one is missing: rows cannot be told apart then.
    pub key: Option<Vec<usize>>,
    /// Every wanted column is there, under one of its names.
    pub is_whole: bool,
}

impl WantedTable {
    /// A table none of whose columns has another name, and of which nothing else is known.
    pub fn new(table: TableId, name: TableName, columns: BTreeSet<String>, key: Vec<String>) -> Self {
        Self { table, name, columns, key, renamed: BTreeMap::new(), known: Vec::new() }
    }

    /// Looks for the wanted columns in a description: pairs of name and type's name in the table's order.
    ///
    /// - A wanted column that is there under its own name is taken; otherwise it is taken under any of its other names.
    /// - Where one is missing under all of them, every column that is new since the set-up, or is of another type, is
    ///   taken: one of them may be what it is called now, and what is not kept is lost.
    /// - A missing column of the key is taken to be the one new column that has its type and its place among the columns
    ///   that were known before; where there are none, or several, there is no key.
    pub fn find(&self, described: &[(&str, &str)]) -> Found {
        let mut cells = BTreeSet::new();
        let mut is_whole = true;
        for name in &self.columns {
            let there = self.places(name, described);
            is_whole &= !there.is_empty();
            cells.extend(there);
        }
        let key = self.key(described);
        if !is_whole || key.is_none() {
            cells.extend((0..described.len()).filter(|at| self.may_be_renamed(*at, described)));
        }
        Found { cells: cells.into_iter().collect(), key, is_whole }
    }

    /// Where a wanted column is, under its own name or its other ones.
    fn places(&self, name: &str, described: &[(&str, &str)]) -> Vec<usize> {
        let place = |name: &str| described.iter().position(|(other, _)| *other == name);
        match place(name) {
            Some(at) => vec![at],
            None => self.renamed.get(name).into_iter().flatten().filter_map(|other| place(other)).collect(),
        }
    }

    fn key(&self, described: &[(&str, &str)]) -> Option<Vec<usize>> {
        let part = |name: &String| match self.places(name, described).first() {
            Some(at) => Some(*at),
            None => self.stand_in(name, described),
        };
        let key: Vec<usize> = self.key.iter().map(part).collect::<Option<_>>()?;
        let is_distinct = key.iter().collect::<BTreeSet<_>>().len() == key.len();
        (is_distinct && !key.is_empty()).then_some(key)
    }

    /// The one new column that stands where a column of the key stood, and holds what it held.
    fn stand_in(&self, missing: &str, described: &[(&str, &str)]) -> Option<usize> {
        let was_at = self.known_at(missing)?;
        let type_name = &self.known.get(was_at)?.type_name;
        let is_at_its_place = |at: usize| {
            described.iter().enumerate().all(|(other, (name, _))| match self.known_at(name) {
                Some(known) if other < at => known < was_at,
                Some(known) => known > was_at,
                None => true,
            })
        };
        let fits = |at: &usize| {
            described.get(*at).is_some_and(|(name, ty)| self.is_new(name) && ty == type_name) && is_at_its_place(*at)
        };
        let mut fitting = (0..described.len()).filter(fits);
        fitting.next().filter(|_| fitting.next().is_none())
    }

    /// Whether a column may be another one that was given a new name. One whose name was known may be, too, where it holds
    /// something else now.
    fn may_be_renamed(&self, at: usize, described: &[(&str, &str)]) -> bool {
        let Some((name, type_name)) = described.get(at) else { return false };
        let before = self.known_at(name).and_then(|at| self.known.get(at));
        !self.known.is_empty() && before.map_or_else(|| self.is_new(name), |before| before.type_name != *type_name)
    }

    /// Nobody has heard of a column of that name.
    fn is_new(&self, name: &str) -> bool {
        let is_wanted = || self.columns.contains(name) || self.key.iter().any(|part| part == name);
        let is_other_name = || self.renamed.values().any(|others| others.contains(name));
        self.known_at(name).is_none() && !is_wanted() && !is_other_name()
    }

    fn known_at(&self, name: &str) -> Option<usize> {
        self.known.iter().position(|known| known.name == name)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `name type, name type` as pairs.
    fn described(text: &str) -> Vec<(&str, &str)> {
        text.split(", ").filter_map(|column| column.split_once(' ')).collect()
    }

    /// `id int, name text, n int, at date`, of which `id` is the key and `id`, `name` and `n` are mapped.
    fn wanted() -> WantedTable {
        let name = TableName { schema: "public".into(), name: "t".into() };
        let columns = ["id", "name", "n"].map(str::to_owned).into();
        let known = described("id int, name text, n int, at date");
        let known = known.into_iter().map(|(name, ty)| KnownName { name: name.into(), type_name: ty.into() });
        WantedTable { known: known.collect(), ..WantedTable::new(TableId(1), name, columns, vec!["id".into()]) }
    }

    fn renamed(wanted: &str, others: &[&str]) -> WantedTable {
        let others = others.iter().map(ToString::to_string).collect();
        WantedTable { renamed: [(wanted.to_owned(), others)].into(), ..self::wanted() }
    }

    /// Names of what is kept; behind `|` those of the key, or `none`; `partial` where something is missing.
    fn check(wanted: &WantedTable, text: &str, want: &str) {
        let described = described(text);
        let found = wanted.find(&described);
        let names = |places: &[usize]| places.iter().map(|at| described[*at].0).collect::<Vec<_>>().join(" ");
        let key = found.key.as_deref().map_or_else(|| "none".into(), names);
        let whole = if found.is_whole { "" } else { " partial" };
        assert_eq!(format!("{} | {key}{whole}", names(&found.cells)), want, "{text}");
    }

    #[test]
    fn what_is_wanted_is_found_wherever_it_stands() {
        check(&wanted(), "id int, name text, n int, at date", "id name n | id");
        check(&wanted(), "more int, n int, id int, name text", "n id name | id");
        check(&wanted(), "id int, name varchar, n int", "id name n | id");
    }

    #[test]
    fn pg_20_what_may_be_a_renamed_column_is_kept() {
        check(&wanted(), "id int, title text, n int, at date", "id title n | id partial");
        check(&wanted(), "id int, title text, n int, at date, more jsonb", "id title n more | id partial");
        // Nothing is kept for its own sake.
        check(&wanted(), "id int, name text, n int, title text", "id name n | id");
        check(&wanted(), "id int, n int, at date", "id n | id partial");
        // A name that was there before is looked at where it is of another type.
        check(&wanted(), "id int, n int, at text", "id n at | id partial");
        // Where nobody knows what was there, nothing is guessed.
        let blind = WantedTable { known: Vec::new(), ..wanted() };
        check(&blind, "id int, title text, n int", "id n | id partial");
    }

    #[test]
    fn pg_20_an_accepted_rename_is_followed_in_older_and_newer_log() {
        let wanted = renamed("name", &["title", "label"]);
        check(&wanted, "id int, title text, n int, at date", "id title n | id");
        check(&wanted, "id int, label text, n int, new int", "id label n | id");
        // Under its own name it is meant, and a column that took the other one is another column.
        check(&wanted, "id int, name text, n int, title text", "id name n | id");
        check(&wanted, "id int, n int, new text", "id n new | id partial");
    }

    #[test]
    fn pg_20_a_renamed_key_is_found() {
        check(&renamed("id", &["number"]), "number int, name text, n int, at date", "number name n | number");
        // Not accepted yet: the one that stands in its place and holds what it held.
        check(&wanted(), "number int, name text, n int, at date", "number name n | number partial");
        check(&wanted(), "name text, n int, at date, number int", "name n number | none partial");
        check(&wanted(), "number text, name text, n int, at date", "number name n | none partial");
        check(&wanted(), "a int, b int, name text, n int", "a b name n | none partial");
        check(&wanted(), "name text, n int, at date", "name n | none partial");
    }

    #[test]
    fn one_column_does_not_stand_in_for_two() {
        let known = described("a int, b int, name text");
        let known = known.into_iter().map(|(name, ty)| KnownName { name: name.into(), type_name: ty.into() });
        let columns = ["name".to_owned()].into();
        let two = WantedTable { known: known.collect(), columns, key: vec!["a".into(), "b".into()], ..wanted() };
        check(&two, "c int, name text", "c name | none");
        check(&two, "c int, b int, name text", "name | c b");
        check(&two, "c int, d int, name text", "c d name | none");
    }

    proptest! {
        #[test]
        fn whatever_is_described_is_found_in_order_and_once(
            described in prop::collection::vec(("[abn]|id|name|at", "int|text"), 0..8),
        ) {
            let described: Vec<_> = described.iter().map(|(name, ty)| (name.as_str(), ty.as_str())).collect();
            let found = renamed("name", &["a", "b"]).find(&described);
            prop_assert!(found.cells.is_sorted_by(|a, b| a < b));
            let key = found.key.unwrap_or_default();
            prop_assert!(found.cells.iter().chain(&key).all(|at| *at < described.len()));
        }
    }
}
