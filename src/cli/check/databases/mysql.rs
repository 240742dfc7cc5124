//! What a MySQL or MariaDB server says when it is asked.

use passerelle_change::TableName;
use passerelle_mysql::catalog::{self, Catalog};
use passerelle_mysql::{Error, preflight, sql};

use super::{Closed, NAME, Told};
use crate::config::model::{Mysql, Source};
use crate::source::mysql as source;

/// Asks whether it can be followed, and for the mapped tables: each with the columns that its mappings name. Of the
/// `unused` ones only what they are like.
pub(super) async fn ask(
    config: &Source,
    settings: &Mysql,
    mapped: &[(TableName, Vec<String>)],
    unused: &[TableName],
) -> Told {
    let options = source::options(config, settings, NAME);
    let readings = source::readings(settings);
    let findings = preflight::check(&options, &preflight::Request { tables: mapped, readings }).await;
    let read = async {
        let mut connection = sql::connect(&options).await?;
        let names: Vec<TableName> = mapped.iter().map(|(name, _)| name).chain(unused).cloned().collect();
        let catalog = catalog::read(&mut connection, &names, &readings).await?;
        let account = connection.row("SELECT CURRENT_USER()").await?;
        connection.close().await;
        let account = account.and_then(|row| row.text(0).map(str::to_owned));
        Ok::<_, Error>((catalog, account.unwrap_or_else(|| config.user.clone())))
    };
    match read.await {
        Ok((catalog, account)) => {
            let closed = closed(config, &account, &catalog);
            Told { findings, tables: Some(source::facts(&catalog)), closed }
        }
        // Why is among the findings.
        Err(_) => Told { findings, tables: None, closed: Vec::new() },
    }
}

/// Columns that our user may not read.
fn closed(config: &Source, account: &str, catalog: &Catalog) -> Vec<Closed> {
    let (user, host) = account.rsplit_once('@').unwrap_or((account, "%"));
    let account = format!("{}@{}", sql::literal(user), sql::literal(host));
    let columns = catalog.tables.iter().flat_map(|table| table.columns.iter().map(move |column| (table, column)));
    let closed = columns.filter(|(_, column)| !column.readable).map(|(table, column)| Closed {
        table: table.name.clone(),
        column: column.name.clone(),
        why: format!("`{}` is there, but {} may not read it", column.name, config.user),
        hint: format!("GRANT SELECT ({}) ON {} TO {account};", sql::identifier(&column.name), sql::name(&table.name)),
    });
    closed.collect()
}
