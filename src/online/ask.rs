//! Asks a CRM how its objects are: one call for their names, one for each mapped object.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use passerelle_change::RequestError;
use passerelle_crm::limiter::DayRecord;
use passerelle_crm::salesforce::{Described, SalesforceError};
use passerelle_crm::{Acquire, Limiter, Limits, Moment, Permit, Salesforce};

use crate::config::model;

/// A CRM as it describes itself.
#[derive(Debug, Default)]
pub struct Org {
    /// The API names of all objects that the integration user sees.
    pub objects: Vec<String>,
    described: BTreeMap<String, Described>,
}

/// Why a CRM could not be asked.
#[derive(Debug, thiserror::Error)]
pub enum AskError {
    /// Its settings.
    #[error(transparent)]
    Settings(#[from] SalesforceError),
    /// The request.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// `expect` names another org: nothing was compared.
    #[error("the url leads to the org {found}, and `expect` names {expected}")]
    OtherOrg {
        /// The org's id.
        found: String,
        /// As configured.
        expected: String,
    },
    /// The configured limits leave no call.
    #[error("the limits of the crm leave no call today")]
    Exhausted,
}

impl AskError {
    /// What a person can do.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Settings(_) => Some("check `url` and `auth` of the crm".to_owned()),
            Self::Request(RequestError::Operator { hint, .. }) => Some(hint.clone()),
            Self::Request(RequestError::Transient { .. } | RequestError::Throttled { .. }) => {
                Some("try again later; the mappings were not compared with it".to_owned())
            }
            Self::Request(RequestError::Rejected(_)) => None,
            Self::OtherOrg { .. } => {
                Some("correct `url` or `expect` of the crm: this may be a copy, or production".to_owned())
            }
            Self::Exhausted => Some("raise `per_day` or lower `reserve` in `limits`".to_owned()),
        }
    }
}

impl Org {
    /// Adds an object's description.
    pub fn add(&mut self, described: Described) {
        if !self.has(&described.name) {
            self.objects.push(described.name.clone());
        }
        self.described.insert(described.name.to_lowercase(), described);
    }

    /// The description of an object, whatever the case of its name.
    pub fn object(&self, name: &str) -> Option<&Described> {
        self.described.get(&name.to_lowercase())
    }

    fn has(&self, name: &str) -> bool {
        self.objects.iter().any(|known| known.eq_ignore_ascii_case(name))
    }
}

/// Asks for all objects' names and for the description of those that are mapped and there.
///
/// Each call takes a permit of a limiter with the CRM's short limits. The day's account is the daemon's, which the vendor
/// tells of these few calls.
pub async fn ask(crm: &model::Crm, objects: &BTreeSet<&str>) -> Result<Org, AskError> {
    match crm.kind {
        model::CrmKind::Salesforce => salesforce(crm, objects).await,
    }
}

async fn salesforce(crm: &model::Crm, objects: &BTreeSet<&str>) -> Result<Org, AskError> {
    let limits = Limits {
        per_second: crm.limits.per_second,
        per_10_seconds: crm.limits.per_10_seconds,
        per_minute: crm.limits.per_minute,
        per_day: None,
        concurrent: Some(1),
        reserve: 0.0,
    };
    let limiter = Arc::new(Limiter::new(&limits, DayRecord::default(), Moment::now()));
    let client = Salesforce::new(crate::crm::salesforce(crm, &limiter))?;
    if let Some(expected) = &crm.expect_org {
        let _permit = permit(&limiter).await?;
        let found = client.identity().await?.organization_id;
        if !same_org(&found, expected) {
            return Err(AskError::OtherOrg { found, expected: expected.clone() });
        }
    }
    let names = {
        let _permit = permit(&limiter).await?;
        client.objects().await?
    };
    let mut org = Org { objects: names, ..Org::default() };
    for object in objects {
        if org.has(object) {
            let _permit = permit(&limiter).await?;
            let described = client.describe(object).await?;
            org.add(described);
        }
    }
    Ok(org)
}

/// Ids of 15 characters and of 18 are of one org where the first 15 are the same.
fn same_org(a: &str, b: &str) -> bool {
    a.get(..15).is_some_and(|start| b.get(..15) == Some(start))
}

async fn permit(limiter: &Limiter) -> Result<Permit, AskError> {
    loop {
        match limiter.try_acquire(Moment::now()) {
            Acquire::Granted(permit) => return Ok(permit),
            Acquire::Busy => limiter.slot_free().await,
            Acquire::Wait(wait) => tokio::time::sleep(wait).await,
            // Kept nowhere: it is the vendor who counts these calls.
            Acquire::NeedsDayReservation(reservation) => drop(limiter.reserved(&reservation, Moment::now())),
            Acquire::Exhausted { .. } => return Err(AskError::Exhausted),
        }
    }
}
