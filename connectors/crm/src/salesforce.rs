//! Salesforce, by sObject Collections of its REST API: up to 200 records a call, one outcome each.
//!
//! The pages are those of the REST API Developer Guide, `developer.salesforce.com/docs/platform/api-rest/guide/`; every
//! endpoint names its own.

use std::collections::HashSet;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use passerelle_change::{Answer, FieldValue, Outcome, Refusal, RequestError, Usage, Write, WriteOp};
use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use reqwest::{Method, Url};
use secrecy::ExposeSecret;
use serde::Deserialize;

use crate::auth::{Auth, AuthError, Token, Tokens};
use crate::http::{Http, HttpError, HttpOptions, Reply};
use crate::limiter::{Acquire, Limiter, Moment};

mod body;
mod edits;
mod lookup;
mod matches;
mod names;
mod outcome;
mod refused;

pub use body::{MAX_BODY_BYTES, MAX_RECORDS};
pub use edits::{Edits, EditsWanted};
pub use lookup::{Described, DescribedField, Found, Identity, MAX_IDS, PicklistValue, Wanted, keys_per_read};
pub use matches::Match;
pub use names::is_api_name;

use names::References;
use outcome::NotUnderstood;

/// The version of the API where none is configured: Spring '26.
pub const API_VERSION: &str = "v66.0";

/// How to reach an org.
#[derive(Clone, Debug)]
pub struct SalesforceOptions {
    /// The org's My Domain address, `https://NAME.my.salesforce.com`. Where signing in names another, that one is used.
    pub url: String,
    /// Who we are.
    pub auth: Auth,
    /// `v66.0`.
    pub api_version: String,
    /// Timeout and proxy.
    pub http: HttpOptions,
    /// (object, field) of every field that mappings write as a reference, under either name of the lookup: so that null clears
    /// the lookup. Fields that end in `__r` need not be named.
    pub references: HashSet<(String, String)>,
    /// The credential's limiter: a request that is repeated after signing in anew takes a permit of its own; where none is to
    /// be had at once, it is not repeated but transient. Without a limiter it is always repeated.
    pub limiter: Option<Arc<Limiter>>,
}

impl SalesforceOptions {
    /// Everything else at its default.
    pub fn new(url: impl Into<String>, auth: Auth) -> Self {
        Self {
            url: url.into(),
            auth,
            api_version: API_VERSION.into(),
            http: HttpOptions::default(),
            references: HashSet::new(),
            limiter: None,
        }
    }
}

/// What is wrong with the options. Nothing has been sent.
#[derive(Debug, thiserror::Error)]
pub enum SalesforceError {
    /// An address or a key.
    #[error("the way to sign in is not usable")]
    Auth(#[source] AuthError),
    /// The HTTP client.
    #[error(transparent)]
    Http(HttpError),
    /// Not of the form `v66.0`.
    #[error("`{0}` is no version of the API, such as v66.0")]
    ApiVersion(String),
}

/// A write's record as it stands in a request's body, as JSON text. `references` as [`SalesforceOptions::references`].
pub fn record_json(write: &Write, references: impl IntoIterator<Item = (String, String)>) -> String {
    body::record(write, &References::new(references))
}

/// The calls of a period, told by `GET /limits`.
#[derive(Deserialize)]
struct OrgLimits {
    #[serde(rename = "DailyApiRequests")]
    daily: DailyLimit,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct DailyLimit {
    max: u64,
    remaining: u64,
}

/// One org under one credential.
#[derive(Debug)]
pub struct Salesforce {
    http: Http,
    tokens: Tokens,
    version: String,
    references: References,
    limiter: Option<Arc<Limiter>>,
    usage: Mutex<Option<Usage>>,
    requests: AtomicU64,
}

impl Salesforce {
    /// Checks the options; sends nothing.
    pub fn new(options: SalesforceOptions) -> Result<Self, SalesforceError> {
        let SalesforceOptions { url, auth, api_version, http, references, limiter } = options;
        let is_version =
            api_version.strip_prefix('v').and_then(|v| v.strip_suffix(".0")).is_some_and(|v| v.parse::<u16>().is_ok());
        if !is_version {
            return Err(SalesforceError::ApiVersion(api_version));
        }
        let http = Http::new(&http).map_err(SalesforceError::Http)?;
        Ok(Self {
            tokens: Tokens::new(auth, &url, http.clone()).map_err(SalesforceError::Auth)?,
            http,
            version: api_version,
            references: References::new(references),
            limiter,
            usage: Mutex::new(None),
            requests: AtomicU64::new(0),
        })
    }

    /// How many of the first writes fit one request: of one object and one form, at most [`MAX_RECORDS`] and [`MAX_BODY_BYTES`].
    /// At least one, unless there is none.
    pub fn records_per_request(&self, writes: &[Write]) -> usize {
        if let Some(first) = writes.first().filter(|first| first.op == WriteOp::Find) {
            let keys: Vec<FieldValue> = writes.iter().map(|write| write.key.clone()).collect();
            return keys_per_read(&first.key_field, &keys);
        }
        body::records_per_request(writes, &self.references)
    }

    /// Sends writes of one object and one form, at most [`Salesforce::records_per_request`] of them, each record once, and
    /// gives one outcome a write. One call; none for no writes.
    ///
    /// - [`WriteOp::Upsert`]: `PATCH /composite/sobjects/{object}/{key field}`
    ///   (`resources-composite-sobjects-collections-upsert.html`);
    /// - [`WriteOp::Update`]: `PATCH /composite/sobjects`, by id (`resources-composite-sobjects-collections-update.html`);
    /// - [`WriteOp::Find`]: as [`Salesforce::read`] by key; accepted with the id, or missing;
    /// - [`WriteOp::Delete`]: `DELETE /composite/sobjects?ids=` (`resources-composite-sobjects-collections-delete.html`).
    ///
    /// A reference is written under the relationship's name (`Account: {Erp_Id__c: "A-1"}`), given under either name. Null
    /// clears it under the id field's name (`AccountId: null`, `Shop__c: null`). Lookups that may name several kinds of
    /// objects (`Owner`, `What`) are not written by external key.
    ///
    /// Not cancel-safe: a request that is dropped may have been done, which is harmless to repeat.
    pub async fn submit(&self, op: WriteOp, writes: &[Write]) -> Result<Answer, RequestError> {
        let Some(first) = writes.first() else {
            return Ok(Answer { outcomes: Vec::new(), usage: None });
        };
        fit(op, writes)?;
        let request = match op {
            WriteOp::Upsert => Request {
                method: Method::PATCH,
                path: vec!["composite", "sobjects", &first.object, &first.key_field],
                query: None,
                body: Some(body::body(writes, &self.references)),
            },
            WriteOp::Update => Request {
                method: Method::PATCH,
                path: vec!["composite", "sobjects"],
                query: None,
                body: Some(body::body(writes, &self.references)),
            },
            WriteOp::Find => return self.find(writes).await,
            WriteOp::Delete => Request {
                method: Method::DELETE,
                path: vec!["composite", "sobjects"],
                query: Some(vec![("ids", ids(writes).join(",")), ("allOrNone", "false".into())]),
                body: None,
            },
        };
        let reply = self.call(&request).await?;
        let outcomes = outcome::outcomes(writes, &reply.body)?;
        Ok(Answer { outcomes, usage: refused::usage(&reply.headers) })
    }

    /// Looks ids up by external key: accepted with the id, or missing.
    async fn find(&self, writes: &[Write]) -> Result<Answer, RequestError> {
        let Some(first) = writes.first() else {
            return Ok(Answer { outcomes: Vec::new(), usage: None });
        };
        let keys: Vec<FieldValue> = writes.iter().map(|write| write.key.clone()).collect();
        let found = self.read(&first.object, Wanted::Keys { field: &first.key_field, keys: &keys }, &[]).await?;
        let outcome = |found: Option<Found>| {
            found.map_or(Outcome::Missing, |found| Outcome::Accepted { crm_id: found.crm_id, created: false })
        };
        Ok(Answer { outcomes: found.into_iter().map(outcome).collect(), usage: self.last_usage() })
    }

    /// Reads records back: one entry for each id or key, in their order, `None` where there is none. One call.
    ///
    /// By id `POST /composite/sobjects/{object}` (`resources-composite-sobjects-collections-retrieve.html`), by key
    /// `GET /query?q=SELECT … WHERE {field} IN (…)` (`resources-query.html`).
    pub async fn read(
        &self,
        object: &str,
        wanted: Wanted<'_>,
        fields: &[&str],
    ) -> Result<Vec<Option<Found>>, RequestError> {
        names_are_plain([object].into_iter().chain(fields.iter().copied()))?;
        match wanted {
            Wanted::Ids([]) | Wanted::Keys { keys: [], .. } => Ok(Vec::new()),
            Wanted::Ids(ids) => {
                if ids.len() > MAX_IDS {
                    return Err(misfit("more ids than one read takes"));
                }
                let body = serde_json::json!({ "ids": ids, "fields": lookup::selected("Id", fields) });
                let path = vec!["composite", "sobjects", object];
                let request =
                    Request { method: Method::POST, path, query: None, body: Some(body.to_string().into_bytes()) };
                Ok(lookup::found_by_id(ids, &self.call(&request).await?.body)?)
            }
            Wanted::Keys { field, keys } => {
                names_are_plain([field])?;
                if keys_per_read(field, keys) < keys.len() {
                    return Err(misfit("more keys than one read takes"));
                }
                let query = Some(vec![("q", lookup::query(object, field, keys, fields))]);
                let request = Request { method: Method::GET, path: vec!["query"], query, body: None };
                Ok(lookup::found_by_key(field, keys, &self.call(&request).await?.body)?)
            }
        }
    }

    /// An object's fields as this user sees them: `GET /sobjects/{object}/describe` (`resources-sobject-describe.html`).
    pub async fn describe(&self, object: &str) -> Result<Described, RequestError> {
        names_are_plain([object])?;
        let reply = self.call(&Request::get(vec!["sobjects", object, "describe"])).await?;
        Ok(lookup::parse(&reply.body, "description")?)
    }

    /// The API names of the org's objects that this user sees: `GET /sobjects` (`resources-describeGlobal.html`).
    pub async fn objects(&self) -> Result<Vec<String>, RequestError> {
        let reply = self.call(&Request::get(vec!["sobjects"])).await?;
        let objects: lookup::Objects = lookup::parse(&reply.body, "list of objects")?;
        Ok(objects.sobjects.into_iter().map(|object| object.name).collect())
    }

    /// Who we are: `GET /services/oauth2/userinfo` (`help.salesforce.com`, "The UserInfo Endpoint").
    pub async fn identity(&self) -> Result<Identity, RequestError> {
        let reply = self.call(&Request::get(vec!["", "services", "oauth2", "userinfo"])).await?;
        Ok(lookup::parse(&reply.body, "identity")?)
    }

    /// The vendor's count, asked for: `GET /limits` (`resources-limits.html`). Needs the right "View Setup and Configuration".
    pub async fn limits(&self) -> Result<Usage, RequestError> {
        let reply = self.call(&Request::get(vec!["limits"])).await?;
        let OrgLimits { daily } = lookup::parse(&reply.body, "list of limits")?;
        Ok(Usage { used: daily.max.saturating_sub(daily.remaining), limit: daily.max })
    }

    /// The vendor's count from the last answer that told it, a refusal included.
    pub fn last_usage(&self) -> Option<Usage> {
        *self.usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Requests sent to the API since the start, those that were repeated included; signing in is none of them.
    pub fn requests_total(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// Sends a request; a token that is not taken is minted anew once, and the request repeated once if the limits allow.
    async fn call(&self, request: &Request<'_>) -> Result<Reply, RequestError> {
        let token = self.tokens.current().await?;
        let reply = self.send(request, &token).await?;
        if reply.status != 401 {
            return done(reply);
        }
        let Some(token) = self.tokens.renewed(&token).await? else {
            return Err(refused::signed_out(true));
        };
        let _permit = match self.limiter.as_ref().map(|limiter| limiter.try_acquire(Moment::now())) {
            None => None,
            Some(Acquire::Granted(permit)) => Some(permit),
            Some(Acquire::Busy | Acquire::Wait(_) | Acquire::NeedsDayReservation(_) | Acquire::Exhausted { .. }) => {
                return Err(RequestError::Transient { text: "the session had ended; signed in anew".into() });
            }
        };
        done(self.send(request, &token).await?)
    }

    async fn send(&self, request: &Request<'_>, token: &Token) -> Result<Reply, RequestError> {
        let url = request.url(&token.base, &self.version);
        let mut bearer = HeaderValue::from_str(&format!("Bearer {}", token.access.expose_secret())).map_err(|_| {
            let hint = "give the token without spaces or line ends".into();
            RequestError::Operator { code: "TOKEN".into(), text: "the token cannot stand in a header".into(), hint }
        })?;
        bearer.set_sensitive(true);
        let mut sending = self
            .http
            .client()
            .request(request.method.clone(), url)
            .header(AUTHORIZATION, bearer)
            .header("Sforce-Call-Options", "client=passerelle");
        if let Some(query) = &request.query {
            sending = sending.query(query);
        }
        if let Some(body) = &request.body {
            sending = sending.header(CONTENT_TYPE, "application/json").body(body.clone());
        }
        self.requests.fetch_add(1, Ordering::Relaxed);
        let reply = self.http.send(sending).await?;
        if let Some(usage) = refused::usage(&reply.headers) {
            *self.usage.lock().unwrap_or_else(PoisonError::into_inner) = Some(usage);
        }
        Ok(reply)
    }
}

fn done(reply: Reply) -> Result<Reply, RequestError> {
    if (200..300).contains(&reply.status) {
        return Ok(reply);
    }
    Err(refused::refused(&reply, refused::usage(&reply.headers), SystemTime::now()))
}

/// One request, so that it can be sent twice.
struct Request<'a> {
    method: Method,
    /// Below `/services/data/{version}`, or from the root where it begins with an empty part.
    path: Vec<&'a str>,
    query: Option<Vec<(&'static str, String)>>,
    body: Option<Vec<u8>>,
}

impl<'a> Request<'a> {
    fn get(path: Vec<&'a str>) -> Self {
        Self { method: Method::GET, path, query: None, body: None }
    }

    fn url(&self, base: &Url, version: &str) -> Url {
        let mut url = base.clone();
        // An http address has a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty();
            match self.path.split_first() {
                Some((&"", from_root)) => path.extend(from_root),
                Some(_) | None => path.extend(["services", "data", version]).extend(&self.path),
            };
        }
        url
    }
}

/// Whether the writes can stand in one request. What they cannot, delivery's splitting mends.
fn fit(op: WriteOp, writes: &[Write]) -> Result<(), RequestError> {
    let Some(first) = writes.first() else { return Ok(()) };
    if writes.len() > MAX_RECORDS || writes.iter().any(|write| write.op != op || !body::alike(first, write)) {
        return Err(misfit("too many records, or records of several kinds, in one request"));
    }
    if matches!(op, WriteOp::Update | WriteOp::Delete) && ids(writes).len() < writes.len() {
        return Err(misfit("a record to update or delete has no valid id"));
    }
    names_are_plain([&*first.object, &*first.key_field])
}

fn ids(writes: &[Write]) -> Vec<&str> {
    writes.iter().filter_map(|write| write.crm_id.as_deref()).filter(|id| outcome::is_id(id)).collect()
}

fn names_are_plain<'a>(names: impl IntoIterator<Item = &'a str>) -> Result<(), RequestError> {
    match names.into_iter().find(|name| !is_api_name(name)) {
        Some(name) => Err(RequestError::Operator {
            code: "NAME".into(),
            text: format!("`{name}` is no API name of an object or a field"),
            hint: "check the mapping's object, key and fields".into(),
        }),
        None => Ok(()),
    }
}

fn misfit(message: &str) -> RequestError {
    RequestError::Rejected(Refusal { code: "REQUEST".into(), message: message.into(), fields: Vec::new() })
}

impl From<NotUnderstood> for RequestError {
    fn from(error: NotUnderstood) -> Self {
        Self::Transient { text: error.to_string() }
    }
}
