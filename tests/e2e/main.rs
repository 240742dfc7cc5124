//! End to end: a real PostgreSQL or MariaDB, the sandbox of a CRM, and the daemon between them as a process of its own, told what to
//! do by its command line and watched through its status socket. Nothing here looks into the daemon.

#![expect(clippy::unwrap_used, reason = "a test that can't go on says where")]
#![allow(clippy::await_holding_refcell_ref, reason = "one task a test")]

mod absent;
mod alerts;
mod associations;
mod away;
mod chaos;
mod daemon;
mod database;
mod doubts;
mod drift;
mod enforce;
mod lookups;
mod machine_stops;
mod mappings;
mod mariadb;
mod online;
mod orphans;
mod outage;
mod poison;
mod preview;
mod records;
mod recreate;
mod references;
mod refusals;
mod related;
mod reload;
mod screens;
mod settings;
mod shop;
mod suspects;
mod table;
mod tls;
mod unkept;
mod urgent;
mod world;
