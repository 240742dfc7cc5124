//! The half that asks: connecting, the catalogue, the history, what stands in the way. Against a real MariaDB.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test fails by panicking, and reads better")]

mod catalog;
mod connect;
mod history;
mod preflight;
mod rig;
mod watch;
