//! Delivery: reconciles what the rows say with what the CRM accepted, record by record, inside the CRM's limits.
//!
//! One task a CRM. It takes a permit of the limiter first and decides what to send last, so that a record that changed
//! meanwhile is sent once, as it is then. It sees whole transactions only (a view at a transaction's end), sends no
//! record in two requests at once, and takes a row off its lane only when the CRM accepted that very version or it is a
//! dead letter (invariants 3, 4, 6, 7).
//!
//! - [`engine`]: the loop; [`round`]: decide and send; [`answers`]: what comes back;
//! - [`ahead`]: urgent fields, before everything else;
//! - [`queue`], [`lane`]: which rows are to be reconciled, and where they stand until they are;
//! - [`prepare`], [`keys`], [`parents`], [`reconcile`]: one row → a verdict (the last is pure);
//! - [`requests`]: verdicts → requests of one object and form; what a failed request does;
//! - [`settle`]: verdicts and outcomes → one write batch;
//! - [`reach`]: rows that are not written yet, or not at all, because the mapping says so;
//! - [`enforce`]: what people edited and is put back;
//! - [`unkept`]: records of the CRM that no mapping keeps, and rows refer to;
//! - [`related`]: the indexes that a mapping's related rows are found by;
//! - [`former`]: records that their rows have left for others;
//! - [`moves`]: rows that changed their key. [`guard`]: the guard on deletions. [`commands`]: what people ask for.

mod ahead;
mod answers;
mod aside;
pub mod commands;
mod enforce;
mod engine;
mod former;
mod guard;
mod keys;
mod lane;
mod moves;
mod parents;
mod prepare;
mod queue;
mod reach;
mod reconcile;
mod related;
mod report;
mod requests;
mod round;
mod settle;
mod suspicion;
mod unkept;

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use passerelle_change::{Answer, RequestError, Write, WriteOp};
use passerelle_crm::Salesforce;

pub use commands::Command;
pub use engine::{Delivery, LaneSetup, SourceView};
pub use related::RelatedSetup;
pub(crate) use related::make_indexes_again;
pub use unkept::LineSetup;

/// The CRMs, picked by one `match`.
#[derive(Debug)]
pub enum Client {
    /// Salesforce.
    Salesforce(Salesforce),
}

impl Client {
    async fn submit(&self, op: WriteOp, writes: &[Write]) -> Result<Answer, RequestError> {
        match self {
            Self::Salesforce(salesforce) => salesforce.submit(op, writes).await,
        }
    }

    /// Whether the org has this id; an operator's fault when it is another.
    async fn is_org(&self, org: &str) -> Result<(), RequestError> {
        match self {
            Self::Salesforce(salesforce) => {
                let found = salesforce.identity().await?.organization_id;
                // 18 characters are the 15 and a checksum of their case.
                let same = |text: &str| text.get(..15).map(str::to_owned);
                if same(&found).is_some_and(|found| Some(found) == same(org)) {
                    return Ok(());
                }
                Err(RequestError::Operator {
                    code: "WRONG_ORG".into(),
                    text: format!("the CRM is the org {found}, and `expect` names {org}: nothing is written"),
                    hint: "check the CRM's url and auth, or correct expect.org".into(),
                })
            }
        }
    }

    fn records_per_request(&self, writes: &[Write]) -> usize {
        match self {
            Self::Salesforce(salesforce) => salesforce.records_per_request(writes),
        }
    }

    fn requests_total(&self) -> u64 {
        match self {
            Self::Salesforce(salesforce) => salesforce.requests_total(),
        }
    }
}

/// A shared client.
pub type SharedClient = Arc<Client>;

/// Microseconds since 1970 by the wall clock.
fn now_micros() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or(Duration::ZERO);
    u64::try_from(since.as_micros()).unwrap_or(u64::MAX)
}
