//! End to end: a real PostgreSQL, the sandbox of a CRM, and the daemon between them as a process of its own, told what to
//! do by its command line and watched through its status socket. Nothing here looks into the daemon.

mod chaos;
mod daemon;
mod machine_stops;
mod orphans;
mod outage;
mod records;
mod refusals;
mod shop;
mod table;
mod world;
