//! The mapped tables. Pure.

use passerelle_change::{Finding, TableName};

use super::Request;
use super::observed::Observed;
use crate::catalog::{TableFacts, TableKind};
use crate::{Error, Flavor, sql};

/// Engines with transactions, by which a first load sees one moment, and a rollback leaves nothing behind.
const TRANSACTIONAL: [&str; 5] = ["innodb", "rocksdb", "tokudb", "ndbcluster", "columnstore"];

/// The least likeness of a name that is offered in place of another.
const ALIKE: f64 = 0.8;

pub(super) fn findings(observed: &Observed, request: &Request<'_>) -> Vec<Finding> {
    let of_table = |(name, mapped): &(TableName, Vec<String>)| match observed.catalog.table(name) {
        Ok(facts) => of(observed, facts, mapped),
        Err(_) => vec![missing(observed, name)],
    };
    request.tables.iter().flat_map(of_table).collect()
}

fn of(observed: &Observed, facts: &TableFacts, mapped: &[String]) -> Vec<Finding> {
    if let Some(finding) = kind(facts) {
        return vec![finding];
    }
    let mut findings: Vec<_> = mapped.iter().filter_map(|name| column(facts, name)).collect();
    findings.extend(row_key(facts));
    findings.extend(select(observed, facts, mapped));
    findings.extend(engine(facts));
    findings.extend(cascades(observed, facts));
    findings
}

fn missing(observed: &Observed, name: &TableName) -> Finding {
    let likeness = |other: &&TableName| {
        let schema = if other.schema == name.schema { 1.0 } else { 0.9 };
        strsim::jaro_winkler(&other.name.to_lowercase(), &name.name.to_lowercase()) * schema
    };
    let near = observed.other_names.iter().max_by(|a, b| likeness(a).total_cmp(&likeness(b)));
    let near = near.filter(|other| likeness(other) >= ALIKE);
    let detail = match near {
        Some(near) => format!("there is {near}"),
        None => "or our user has no right on it: the server tells no difference".to_owned(),
    };
    let grant = format!("if it is there: GRANT SELECT ON {} TO {};", sql::name(name), observed.account);
    Finding::fault("table", format!("there is no table {name}"), detail).mended_by(match near {
        Some(near) => format!("map {near}; or, {grant}"),
        None => grant,
    })
}

fn kind(facts: &TableFacts) -> Option<Finding> {
    let (title, mend) = match facts.kind {
        TableKind::Base | TableKind::SystemVersioned => return None,
        TableKind::View => (format!("{} is a view", facts.name), "map the tables behind the view"),
        TableKind::Sequence => (format!("{} is a sequence", facts.name), "map a table"),
        TableKind::Other => (format!("{} is no table of data", facts.name), "map a table"),
    };
    Some(Finding::fault("table_kind", title, "the log has changes of tables alone").mended_by(mend))
}

fn column(facts: &TableFacts, name: &str) -> Option<Finding> {
    if facts.column(name).is_ok() {
        return None;
    }
    let near = |other: &&str| strsim::jaro_winkler(&other.to_lowercase(), &name.to_lowercase());
    let names = facts.columns.iter().map(|column| column.name.as_str());
    let near = names.max_by(|a, b| near(a).total_cmp(&near(b))).filter(|other| near(other) >= ALIKE);
    let detail = near.map_or_else(|| "the mapping names it".to_owned(), |near| format!("there is \"{near}\""));
    let title = format!("{} has no column \"{name}\"", facts.name);
    Some(Finding::fault("column", title, detail).mended_by(match near {
        Some(near) => format!("map \"{near}\""),
        None => "correct the name in the mapping".to_owned(),
    }))
}

fn row_key(facts: &TableFacts) -> Option<Finding> {
    let Err(Error::NoRowKey { why, remedy, .. }) = facts.row_key() else { return None };
    let title = format!("rows of {} cannot be told apart", facts.name);
    Some(Finding::fault("row_key", title, why).mended_by(format!("{remedy};")))
}

/// The columns that are mapped and those of the key.
fn select(observed: &Observed, facts: &TableFacts, mapped: &[String]) -> Option<Finding> {
    let key = facts.row_key().unwrap_or_default();
    let needed = |name: &String| mapped.contains(name) || key.contains(name);
    let hidden: Vec<_> = facts
        .columns
        .iter()
        .filter(|column| !column.readable && needed(&column.name))
        .map(|column| &column.name)
        .collect();
    let title = match hidden.as_slice() {
        [] if facts.seen_whole => return None,
        [] => format!("nothing but some columns of {} may be seen", facts.name),
        [first] => format!("column \"{first}\" of {} may not be read", facts.name),
        [first, more @ ..] => format!("\"{first}\" and {} more columns of {} may not be read", more.len(), facts.name),
    };
    Some(Finding::fault("select", title, "the first load reads the table").mended_by(format!(
        "GRANT SELECT ON {} TO {};",
        sql::name(&facts.name),
        observed.account
    )))
}

fn engine(facts: &TableFacts) -> Option<Finding> {
    let engine = facts.engine.as_deref()?;
    if TRANSACTIONAL.contains(&engine.to_lowercase().as_str()) {
        return None;
    }
    Some(
        Finding::warning(
            "engine",
            format!("{} is a table of {engine}, which has no transactions", facts.name),
            "the first load does not see one moment of it, and after a crash of the server its rows and the log may differ",
        )
        .mended_by(format!("ALTER TABLE {} ENGINE = InnoDB;", sql::name(&facts.name))),
    )
}

/// MY-31.
fn cascades(observed: &Observed, facts: &TableFacts) -> Option<Finding> {
    let cascade = facts.cascades.first()?;
    let title = format!(
        "foreign key {} changes rows of {} without a word in the log ({})",
        cascade.constraint, facts.name, cascade.action
    );
    Some(match observed.server.flavor {
        // The statement names the table, though not the rows.
        Flavor::Mariadb => Finding::warning(
            "cascades",
            title,
            format!("whenever a row of {} is deleted or given another key, the table is read again", cascade.parent),
        ),
        Flavor::Mysql => Finding::warning(
            "cascades",
            title,
            format!("rows that go with a row of {} are missed until the table is read again", cascade.parent),
        )
        .mended_by("from version 9.6 on the server logs them; before: delete the rows by statements of their own"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::preflight::server::tests::{observed, request};

    #[test]
    fn names_that_are_nearly_right_are_told() {
        let mut observed = observed();
        let table = |name: &str| TableName { schema: "shop".into(), name: name.into() };
        observed.other_names = vec![table("customers"), table("orders")];
        let tables = [(table("order"), Vec::new())];
        let findings = findings(&observed, &request(&tables));
        assert_eq!(findings.len(), 1);
        assert_eq!((findings[0].code, findings[0].detail.as_str()), ("table", "there is shop.orders"));
        assert!(findings[0].remedy.as_deref().unwrap().ends_with("GRANT SELECT ON `shop`.`order` TO 'p'@'%';"));
    }
}
