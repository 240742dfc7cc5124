//! The CRMs: one vendor's API a file, [`http`] (one client, retry classes), [`auth`] (who we are), [`limiter`] (how much
//! we may).
//!
//! A vendor's client turns [`Write`](passerelle_change::Write)s into one request and its answer into one
//! [`Outcome`](passerelle_change::Outcome) a write, in their order, or into one
//! [`RequestError`](passerelle_change::RequestError). It keeps nothing but its token, decides nothing about when to send or send
//! again, and batches nothing: that is delivery's.
//!
//! Invariants that live here:
//! - no request leaves without a permit of the credential's limiter, and no rolling window is passed;
//! - every write is addressed by external key or by id, so that sending it again is harmless;
//! - an answer that does not fit its request is never guessed at;
//! - no secret and no cell value stands in a log or in an error's text; the vendor's words, which may repeat values, stand in
//!   [`Refusal`](passerelle_change::Refusal) only.

pub mod auth;
pub mod http;
pub mod limiter;
pub mod salesforce;

pub use auth::{Auth, AuthError};
pub use limiter::{Acquire, Limiter, Limits, Moment, Permit};
pub use salesforce::{Salesforce, SalesforceOptions};
