//! Judges the mapped tables and the publication. Pure.

use std::collections::BTreeSet;

use passerelle_change::{Class, Finding, TableName};

use super::Request;
use super::observed::{Observed, Rights};
use crate::catalog::{Generated, Persistence, TableFacts, TableKind};
use crate::publication::{self, Wanted};
use crate::{Error, Options, sql};

/// A column's name further away than this is no misspelling.
const NEAR: f64 = 0.7;
/// A table's: there are many, and their names begin alike.
const NEAR_TABLE: f64 = 0.88;

/// Everything about the mapped tables, in their order, and then about the publication.
pub(super) fn findings(observed: &Observed, options: &Options, request: &Request<'_>) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut wanted = Vec::new();
    for (name, mapped) in request.tables {
        let Ok(facts) = observed.catalog.table(name) else {
            findings.push(missing(name, &observed.other_names));
            continue;
        };
        let before = findings.len();
        findings.extend(kind(facts));
        if findings.len() > before {
            continue;
        }
        findings.extend(row_key(facts));
        findings.extend(columns(facts, mapped, observed.server.version));
        let rights = observed.rights.get(&facts.oid).cloned().unwrap_or_default();
        findings.extend(leaves(facts, &rights));
        findings.extend(reading(facts, mapped, &rights, options));
        match Wanted::new(facts, mapped, request.columns, observed.server.version) {
            Ok(table) => wanted.push(table),
            Err(Error::NotPublishable { why, remedy, .. }) => {
                let title = format!("{} cannot be published", facts.name);
                findings.push(Finding::fault("unpublishable", title, why).mended_by(format!("{remedy};")));
            }
            // A column that is missing, a table without a key: found above.
            Err(_) => {}
        }
    }
    // What is wrong with the tables is mended first: then what is to be published is known.
    if wanted.len() == request.tables.len() {
        findings.extend(publication(observed, options, request, &wanted));
    }
    findings
}

fn missing(name: &TableName, others: &[TableName]) -> Finding {
    let finding = Finding::fault("table", format!("there is no table {name}"), "a mapping names it");
    // The schema counts only among tables of one name.
    let near = |other: &&TableName| {
        let schema = if other.schema == name.schema { 1.0 } else { 0.99 };
        strsim::jaro_winkler(&other.name.to_lowercase(), &name.name.to_lowercase()) * schema
    };
    let nearest = others.iter().max_by(|a, b| near(a).total_cmp(&near(b)));
    match nearest.filter(|other| near(other) >= NEAR_TABLE) {
        Some(nearest) => finding.mended_by(format!("did you mean {nearest}?")),
        None => finding,
    }
}

/// PG-60: what is never in the stream.
fn kind(facts: &TableFacts) -> Option<Finding> {
    let table = sql::table(&facts.name);
    let refuse = |what: &str, why: &str| Some(Finding::fault("table_kind", format!("{} is {what}", facts.name), why));
    match (facts.kind, facts.persistence) {
        (TableKind::View, _) => refuse("a view", "the log tells changes of tables only: map the tables behind it"),
        (TableKind::MaterializedView, _) => {
            refuse("a materialised view", "the log tells changes of tables only: map the tables behind it")
        }
        (TableKind::Foreign, _) => {
            refuse("a foreign table", "its changes are in the other server's log: make that a source")
        }
        (TableKind::Other, _) => refuse("no table", "the log tells changes of tables only"),
        (_, Persistence::Temporary) => refuse("a temporary table", "its changes are not logged"),
        (_, Persistence::Unlogged) => refuse("an unlogged table", "its changes are not logged")
            .map(|finding| finding.mended_by(format!("ALTER TABLE {table} SET LOGGED;"))),
        (TableKind::Ordinary | TableKind::Partitioned | TableKind::Partition, Persistence::Logged) => None,
    }
}

/// PG-18: once published, the application's own updates and deletes would fail.
fn row_key(facts: &TableFacts) -> Option<Finding> {
    let error = facts.row_key().err()?;
    let Class::Operator { hint } = error.class() else { return None };
    let detail =
        "updates and deletes cannot be followed; once it is published, the server refuses them to the application";
    Some(Finding::fault("row_key", error.to_string(), detail).mended_by(format!("{hint};")))
}

fn columns(facts: &TableFacts, mapped: &[String], version: u32) -> Vec<Finding> {
    let mut findings = Vec::new();
    for name in mapped {
        match facts.column(name).map(|column| column.generated) {
            Err(_) => findings.push(missing_column(facts, name)),
            Ok(generated) if generated.is_streamed(version) => {}
            // PG-59.
            Ok(generated) => {
                let kind = if generated == Generated::Virtual { "virtual generated" } else { "generated" };
                findings.push(Finding::fault(
                    "generated",
                    format!("{}.{name} is a {kind} column", facts.name),
                    "this server does not tell its changes: compute it in the mapping from the columns it is made of",
                ));
            }
        }
    }
    findings
}

fn missing_column(facts: &TableFacts, name: &str) -> Finding {
    let finding = Finding::fault("column", format!("{} has no column {name}", facts.name), "a mapping names it");
    let near = |other: &str| strsim::jaro_winkler(other, name);
    let names = facts.columns.iter().map(|column| column.name.as_str());
    match names.max_by(|a, b| near(a).total_cmp(&near(b))).filter(|other| near(other) >= NEAR) {
        Some(nearest) => finding.mended_by(format!("did you mean {nearest}?")),
        None => finding,
    }
}

fn leaves(facts: &TableFacts, rights: &Rights) -> Option<Finding> {
    let list = &rights.leaves_without_identity;
    (!list.is_empty()).then(|| {
        let title = format!("{} has {} partitions whose rows cannot be told apart", facts.name, list.len());
        let mend = |(leaf, identity): &(String, &str)| format!("ALTER TABLE {leaf} REPLICA IDENTITY {identity};");
        let mend: Vec<_> = list.iter().take(20).map(mend).collect();
        Finding::fault(
            "row_key",
            title,
            "once they are published, the server refuses updates and deletes to the application",
        )
        .mended_by(mend.join(" "))
    })
}

fn reading(facts: &TableFacts, mapped: &[String], rights: &Rights, options: &Options) -> Vec<Finding> {
    let user = sql::identifier(&options.user);
    let table = sql::table(&facts.name);
    let mut findings = Vec::new();
    if !rights.usage_of_schema {
        let title = format!("{} may not use schema {}", options.user, facts.name.schema);
        findings.push(
            Finding::fault("usage", title, "the first load reads the table")
                .mended_by(format!("GRANT USAGE ON SCHEMA {} TO {user};", sql::identifier(&facts.name.schema))),
        );
    }
    let key = facts.row_key().unwrap_or_default();
    let needed: BTreeSet<&String> = mapped.iter().chain(key).filter(|name| facts.column(name).is_ok()).collect();
    let readable = |name: &&String| rights.select || rights.select_columns.contains(name);
    if !needed.iter().all(readable) {
        let title = format!("{} may not read {}", options.user, facts.name);
        findings.push(
            Finding::fault("select", title, "the first load reads the mapped columns and the key").mended_by(format!(
                "GRANT SELECT ({}) ON {table} TO {user};",
                sql::identifiers(needed.iter().copied())
            )),
        );
    }
    if rights.rows_hidden {
        let title = format!("a row security policy hides rows of {} from {}", facts.name, options.user);
        findings.push(
            Finding::fault("row_security", title, "the log tells changes of every row, and the first load could not")
                .mended_by(format!("ALTER ROLE {user} BYPASSRLS;")),
        );
    }
    findings
}

fn publication(observed: &Observed, options: &Options, request: &Request<'_>, wanted: &[Wanted]) -> Option<Finding> {
    let name = request.publication;
    let current = observed.publication.as_ref();
    let statements = publication::plan(current, name, wanted, observed.server.version);
    if statements.is_empty() {
        let all = current.is_some_and(|current| current.all_tables || !current.schemas.is_empty());
        return all.then(|| {
            let title = format!("publication {name} publishes more than the mapped tables");
            Finding::warning("publication_wide", title, "the server sends changes that nobody maps").mended_by(format!(
                "DROP PUBLICATION {}; the daemon makes one of the mapped tables at its next start",
                sql::identifier(name)
            ))
        });
    }
    let user = sql::identifier(&options.user);
    let owns_tables = || {
        let owned = |wanted: &Wanted| {
            let facts = observed.catalog.table(&wanted.table).ok();
            facts.and_then(|facts| observed.rights.get(&facts.oid)).is_some_and(|rights| rights.owner)
        };
        wanted.iter().all(owned)
    };
    let allowed = observed.role.superuser
        || match current {
            None => observed.role.may_create_in_database && owns_tables(),
            Some(_) => observed.owns_publication && owns_tables(),
        };
    let script = format!("{};", statements.join("; "));
    match (allowed, current) {
        (true, None) => None,
        (true, Some(_)) => Some(Finding::warning(
            "publication",
            format!("publication {name} is not as the mappings need it"),
            format!("it is altered at the next start: {script}"),
        )),
        (false, _) => {
            let error = Error::MissingRights { what: format!("create or alter publication {name}"), statements };
            let detail = format!(
                "{error}: it takes the tables' owner or a superuser (as {user} it would also take CREATE on the database)"
            );
            let title =
                format!("publication {name} is {}", if current.is_some() { "not as needed" } else { "not there" });
            Some(Finding::fault("publication", title, detail).mended_by(script))
        }
    }
}
