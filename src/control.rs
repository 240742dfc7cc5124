//! How people and programs see the daemon and steer it: the status socket, the metrics and the dashboard.
//!
//! The pipelines publish what they know on the [`Board`]; the server reads it from there and never reaches into a
//! pipeline. What changes something is a [`Request`], sent to the daemon over one bounded channel. So a slow reader of
//! the socket holds nothing back, and a pipeline never waits for one.
//!
//! Invariants that live here:
//! - a reading needs no more than the socket's group; a command needs root or the daemon's own user;
//! - what is not known is `null`, never left out and never a zero;
//! - no cell value leaves through the loopback address: only the socket shows the payload of a dead letter.

pub mod board;
mod connections;
pub mod growth;
mod health;
mod metrics;
pub mod model;
pub mod request;
mod routes;
pub mod server;
mod socket;

pub use board::Board;
pub use request::{
    AcceptDrift, CommandError, CommandFault, DeadLetterQuery, Done, Handle, Reply, Request, Retry, Target,
};
pub use server::{Options, ServeError, serve};
