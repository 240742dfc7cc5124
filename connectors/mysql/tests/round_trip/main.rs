//! The server is the oracle: what is decoded from its log is what it answers to a SELECT.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and reads better"
)]

mod columns;
mod log;
mod mysql;
mod rows;
mod types;
