//! What a publication does not tell of the tables that are wanted: changes that it leaves out are lost without a word.
//!
//! A publication holds on to tables and columns by their numbers. A table that takes the name of a published one is not
//! published, nor is one that was dropped and made again; and `DROP COLUMN … CASCADE` of a column that a list names takes
//! the whole table out.

use std::collections::BTreeSet;

use passerelle_change::TableName;
use tokio_postgres::Client;

use super::{Publication, VIA_ROOT, Wanted, covers_everything, current, needs_generated};
use crate::Error;

/// A table of which something is not published.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Lacking {
    /// The table.
    pub table: TableName,
    /// What of it.
    pub what: Lack,
}

/// What is not published of a table.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lack {
    /// None of its changes.
    Table,
    /// The values of these columns.
    Columns(BTreeSet<String>),
    /// Some kinds of change (`publish`), changes of partitions under the table's name (`publish_via_partition_root`), or
    /// generated columns: an option of the publication is wrong.
    Options,
}

/// What the publication of that name does not tell now of these tables; none where it is right. A few rows of the
/// catalogue: cheap enough to be asked every few seconds. [`ensure`](super::ensure) mends it.
pub async fn lacking(
    client: &Client,
    name: &str,
    wanted: &[Wanted],
    server_version: u32,
) -> Result<Vec<Lacking>, Error> {
    Ok(of(current(client, name, server_version).await?.as_ref(), wanted, server_version))
}

/// The same of a publication that was read; `None` where there is none.
pub fn of(current: Option<&Publication>, wanted: &[Wanted], server_version: u32) -> Vec<Lacking> {
    let lack = |wanted: &Wanted| match current {
        None => Some(Lack::Table),
        Some(current) => of_table(current, wanted, server_version),
    };
    wanted.iter().filter_map(|wanted| Some(Lacking { table: wanted.table.clone(), what: lack(wanted)? })).collect()
}

fn of_table(current: &Publication, wanted: &Wanted, server_version: u32) -> Option<Lack> {
    let wrong = !current.every_operation || (server_version >= VIA_ROOT && !wanted.only && !current.via_root);
    let one = std::slice::from_ref(wanted);
    let generated = needs_generated(Some(current), one) && !current.generated;
    let options = (wrong || generated).then_some(Lack::Options);
    if covers_everything(current, one) {
        return options;
    }
    let Some(published) = current.tables.iter().find(|published| published.table == wanted.table) else {
        return Some(Lack::Table);
    };
    let listed = published.columns.as_ref();
    let missing: BTreeSet<String> = match (&wanted.columns, listed) {
        (_, None) => BTreeSet::new(),
        (Some(wanted), Some(listed)) => wanted.difference(listed).cloned().collect(),
        // Every column is wanted, which no list can be relied on to have.
        (None, Some(_)) => return Some(Lack::Columns(BTreeSet::new())),
    };
    if missing.is_empty() { options } else { Some(Lack::Columns(missing)) }
}

#[cfg(test)]
mod tests {
    use super::super::Published;
    use super::*;

    fn name(name: &str) -> TableName {
        TableName { schema: "public".into(), name: name.into() }
    }

    fn set(columns: &[&str]) -> BTreeSet<String> {
        columns.iter().map(|column| (*column).to_owned()).collect()
    }

    fn right(tables: Vec<Published>) -> Publication {
        Publication { every_operation: true, via_root: true, tables, ..Publication::default() }
    }

    fn published(table: &str, columns: Option<&[&str]>) -> Published {
        Published { table: name(table), columns: columns.map(set), filter: None }
    }

    fn wanted(columns: Option<&[&str]>) -> Wanted {
        Wanted { table: name("a"), columns: columns.map(set), only: true, generated: false }
    }

    fn check(current: &Publication, wanted: &Wanted, want: Option<Lack>) {
        let lacks = of(Some(current), std::slice::from_ref(wanted), 150_000);
        assert_eq!(lacks, want.map(|what| Lacking { table: name("a"), what }).into_iter().collect::<Vec<_>>());
    }

    #[test]
    fn what_is_not_published_is_told() {
        let ids = wanted(Some(&["id", "x"]));
        assert_eq!(of(None, std::slice::from_ref(&ids), 150_000)[0].what, Lack::Table);
        check(&right(vec![published("a_old", Some(&["id", "x"]))]), &ids, Some(Lack::Table));
        check(&right(vec![published("a", Some(&["id"]))]), &ids, Some(Lack::Columns(set(&["x"]))));
        check(&right(vec![published("a", Some(&["id", "x", "y"]))]), &ids, None);
        check(&right(vec![published("a", None)]), &ids, None);
        check(&right(vec![published("a", Some(&["id", "x"]))]), &wanted(None), Some(Lack::Columns(set(&[]))));
        check(&Publication { all_tables: true, ..right(vec![]) }, &ids, None);
        check(&Publication { schemas: vec!["public".into()], ..right(vec![]) }, &ids, None);
        check(&Publication { schemas: vec!["other".into()], ..right(vec![]) }, &ids, Some(Lack::Table));
    }

    #[test]
    fn options_that_leave_changes_out_are_told() {
        let whole = wanted(None);
        let one = right(vec![published("a", None)]);
        check(&Publication { every_operation: false, ..one.clone() }, &whole, Some(Lack::Options));
        check(&Publication { via_root: false, ..one.clone() }, &whole, None);
        check(
            &Publication { via_root: false, ..one.clone() },
            &Wanted { only: false, ..whole.clone() },
            Some(Lack::Options),
        );
        check(&one, &Wanted { generated: true, ..whole }, Some(Lack::Options));
    }
}
