//! The stream against a real server. Tests are named after the cases of the protocol checklist.

#![allow(missing_docs, clippy::unwrap_used, reason = "a test fails by panicking")]

mod ending;
mod positions;
mod printed;
mod rig;
mod rows;
mod schema;
mod types;
