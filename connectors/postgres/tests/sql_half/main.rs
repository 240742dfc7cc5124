//! The SQL half against a real server: catalogue, publication, history, first load, preflight.

mod catalog;
mod connect;
mod history;
mod preflight;
mod publication;
mod rig;
mod snapshot;
mod values;
mod watch;
