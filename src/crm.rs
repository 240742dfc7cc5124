//! From a CRM as it is configured to how it is signed in to and reached: the same for delivery, for `check --online` and
//! for whoever else asks it.

use std::sync::Arc;

use passerelle_crm::http::HttpOptions;
use passerelle_crm::{Auth, Limiter, SalesforceOptions};

use crate::config::model;

/// The options of a Salesforce client. It waits for the limiter's word before it signs in.
pub fn salesforce(crm: &model::Crm, limiter: &Arc<Limiter>) -> SalesforceOptions {
    SalesforceOptions {
        limiter: Some(Arc::clone(limiter)),
        http: HttpOptions { proxy: crm.proxy.clone(), ca: crm.ca.clone(), ..HttpOptions::default() },
        ..SalesforceOptions::new(crm.url.clone(), auth(crm.auth.clone()))
    }
}

fn auth(auth: model::Auth) -> Auth {
    match auth {
        model::Auth::Token { token } => Auth::Token { token },
        model::Auth::Jwt { client_id, username, private_key, audience, token_url } => {
            Auth::Jwt { client_id, username, private_key, audience, token_url }
        }
        model::Auth::ClientCredentials { client_id, client_secret, token_url } => {
            Auth::ClientCredentials { client_id, client_secret, token_url }
        }
    }
}
