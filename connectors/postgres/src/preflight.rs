//! What stands in the way of following a database: every fault at once, each with the statement that mends it.
//!
//! [`check`] asks the server ([`observed`]), the rest is pure: [`connecting`] reads why a connection failed, [`server`]
//! judges settings, slots and rights, [`tables`] the mapped tables.

mod connecting;
mod observed;
mod server;
mod tables;

use passerelle_change::{Finding, TableName};

use crate::{Error, Options, publication, sql};
use observed::Observed;

/// What is to be followed.
#[derive(Clone, Debug)]
pub struct Request<'a> {
    /// The slot, there or to be made.
    pub slot: &'a str,
    /// The publication, there or to be made.
    pub publication: &'a str,
    /// Which columns it is to have.
    pub columns: publication::Columns,
    /// Each mapped table with its mapped columns.
    pub tables: &'a [(TableName, Vec<String>)],
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
    let client = sql::connect(options).await?;
    let observed = Observed::read(&client, request).await?;
    let mut findings = server::findings(&observed, options, request);
    // A role without the right is told so already; the server's words would say it again.
    if observed.role.may_replicate && observed.sender_is_free() {
        match crate::replication::Replication::connect(options).await {
            Ok(connection) => connection.close().await,
            Err(error) => findings.push(connecting::finding(options, &error)),
        }
    }
    findings.extend(tables::findings(&observed, options, request));
    Ok(findings)
}
