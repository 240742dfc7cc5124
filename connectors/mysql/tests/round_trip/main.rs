//! The server is the oracle: what is decoded from its log, read from a file or streamed, and what is loaded, is what it
//! answers to a SELECT.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::needless_pass_by_value,
    reason = "a test fails by panicking, and reads better"
)]

mod altered;
mod columns;
mod ending;
mod loaded;
mod log;
mod mysql;
mod rows;
mod shop;
mod streamed;
mod types;
mod values;
