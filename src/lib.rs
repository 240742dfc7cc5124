//! passerelle (the crate documentation follows with the daemon)
pub mod capture;
pub mod cli;

pub mod config;
pub mod control;
pub mod daemon;
pub mod delivery;
pub mod demo;
pub mod failpoint;
pub mod logging;
pub mod mapping;
pub mod sandbox;
pub mod source;
