//! What a PostgreSQL database says when it is asked.

use passerelle_change::{Finding, Severity, TableName};
use passerelle_postgres::catalog::{self, Catalog};
use passerelle_postgres::publication::{self, Publication};
use passerelle_postgres::{Error, Options, preflight, sql};

use super::{Closed, NAME, Told};
use crate::config::model::{Postgres, Source};
use crate::source::postgres as source;

/// Asks whether it can be followed, and for the mapped tables: each with the columns that its mappings name. Of the
/// `unused` ones only what they are like.
pub(super) async fn ask(
    config: &Source,
    settings: &Postgres,
    mapped: &[(TableName, Vec<String>)],
    unused: &[TableName],
) -> Told {
    let options = source::options(config, NAME);
    let request = preflight::Request {
        slot: &settings.slot,
        publication: &settings.publication,
        columns: source::published(settings),
        tables: mapped,
    };
    let findings = preflight::check(&options, &request).await;
    let Ok((catalog, publication)) = read(&options, settings, mapped, unused).await else {
        return Told { findings, tables: None, closed: Vec::new() };
    };
    // A publication that we may alter gets what it lacks at the next start.
    let is_fault = |finding: &Finding| finding.code == "publication" && finding.severity == Severity::Fault;
    let published = publication.filter(|_| findings.iter().any(is_fault));
    let closed = closed(config, settings, &catalog, published.as_ref());
    Told { findings, tables: Some(source::facts(&catalog)), closed }
}

async fn read(
    options: &Options,
    settings: &Postgres,
    mapped: &[(TableName, Vec<String>)],
    unused: &[TableName],
) -> Result<(Catalog, Option<Publication>), Error> {
    let client = sql::connect(options).await?;
    let names: Vec<TableName> = mapped.iter().map(|(name, _)| name).chain(unused).cloned().collect();
    let catalog = catalog::read(&client, &names).await?;
    let version = catalog::server_version(&client).await?;
    Ok((catalog, publication::current(&client, &settings.publication, version).await?))
}

/// Columns that our user may not read, or that the publication leaves out.
fn closed(config: &Source, settings: &Postgres, catalog: &Catalog, published: Option<&Publication>) -> Vec<Closed> {
    let user = sql::identifier(&config.user);
    let mut all = Vec::new();
    for table in &catalog.tables {
        let listed = published.into_iter().flat_map(|published| &published.tables);
        let listed = listed.filter(|listed| listed.table == table.name).find_map(|listed| listed.columns.as_ref());
        for column in &table.columns {
            let name = &column.name;
            let (why, hint) = if !column.readable {
                let grant =
                    format!("GRANT SELECT ({}) ON {} TO {user};", sql::identifier(name), sql::table(&table.name));
                (format!("`{name}` is there, but {} may not read it", config.user), grant)
            } else if listed.is_some_and(|listed| !listed.contains(name)) {
                let why = format!("`{name}` is there, but publication {} leaves it out", settings.publication);
                (why, "its owner has to add it; the statement stands below".to_owned())
            } else {
                continue;
            };
            all.push(Closed { table: table.name.clone(), column: name.clone(), why, hint });
        }
    }
    all
}
