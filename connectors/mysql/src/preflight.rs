//! What stands in the way of following a server: every fault at once, each with the statement that mends it.
//!
//! [`check`] asks the server ([`observed`]), the rest is pure: [`connecting`] reads why a connection failed, [`server`] judges
//! the log, its settings and rights, [`tables`] the mapped tables.

mod connecting;
mod observed;
mod server;
mod tables;

use passerelle_change::{Finding, Severity, TableName};

use crate::catalog::Readings;
use crate::replication::Replication;
use crate::{Error, Options, sql};
use observed::Observed;

/// What is to be followed.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// Each mapped table with its mapped columns.
    pub tables: &'a [(TableName, Vec<String>)],
    /// How ambiguous columns are read.
    pub readings: Readings,
}

/// Checks a source: faults first, in the order in which they are best mended. Changes nothing; empty is ready.
pub async fn check(options: &Options, request: &Request<'_>) -> Vec<Finding> {
    match findings(options, request).await {
        Ok(mut findings) => {
            findings.sort_by_key(|finding| finding.severity);
            findings
        }
        Err(error) => vec![connecting::finding(options, &error)],
    }
}

async fn findings(options: &Options, request: &Request<'_>) -> Result<Vec<Finding>, Error> {
    let mut connection = sql::connect(options).await?;
    let observed = Observed::read(&mut connection, request).await?;
    connection.close().await;
    let mut findings = server::findings(&observed, options, request);
    // Where it cannot become a replica anyway, the server's words would say so again.
    if findings.iter().all(|finding| finding.severity != Severity::Fault) {
        match Replication::connect(options).await {
            Ok(replication) => replication.close().await,
            Err(error) => findings.push(connecting::finding(options, &error)),
        }
    }
    findings.extend(tables::findings(&observed, request));
    Ok(findings)
}
