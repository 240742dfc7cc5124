//! passerelle: keeps a CRM in step with the databases a company really runs on.
//!
//! One daemon tails the replication logs of ERP and shop databases, keeps what it knows in RocksDB, and turns row changes
//! by mappings into upserts of the CRM's own API, inside its quota.
//!
//! # The path of a row
//!
//! ```text
//! wire bytes ── passerelle_postgres, passerelle_mysql: decode (pure), only mapped tables and columns
//!   └─ byte-bounded batches, one bounded channel
//!        └─ capture: fold into the row store, name the row in its mappings' lanes
//!             └─ passerelle_state: ONE write batch {rows, lanes, checkpoint}, synced ── then acknowledge
//! passerelle_state: a view at a transaction's end; closed generations of each lane
//!   └─ mapping: row → the record as it should be: pure
//!        └─ delivery: what differs from the accepted; batch; a permit of the limiter; one request in flight per record
//!             └─ passerelle_crm: one vendor's API → one outcome per record
//!                  └─ passerelle_state: ONE write batch {accepted, parked, dead letters, lane entries done}
//! ```
//!
//! # Invariants, and the module that keeps each
//!
//! 1. The CRM never holds back the database: [`capture`] acknowledges what is durable here and awaits no CRM. What waits
//!    is names of rows (`passerelle_state::lanes`), so a record changed a thousand times costs one upsert.
//! 2. Effects and checkpoint are one synced batch (`passerelle_state::capture`), and a transaction is seen as a whole or
//!    not at all, also where the log may take it back ([`capture`], `passerelle_state::spool`); a history that does not fit is a refusal
//!    that names its reason and the next command (`history` of each connector, shown by [`source`]).
//! 3. For one record, deliveries are in order ([`delivery`]: a record that a request carries is in no other); parents go
//!    before their children, and hold none for ever (`delivery/parents.rs`).
//! 4. A record leaves pending only when the CRM accepted that very version, or as a dead letter (`delivery/settle.rs`).
//! 5. Replaying is harmless: writes are addressed by external key or by id (`passerelle_crm`).
//! 6. No request exceeds the limits, over any rolling window and across restarts (`passerelle_crm::limiter`).
//! 7. Only what differs is sent (`delivery/reconcile.rs`).
//! 8. Unmapped columns and rows never reach the disk (`decode` of each connector, the publication); no value and no
//!    secret reaches a log.
//! 9. Everything is bounded; at the disk budget reading stops, with hysteresis (`source/tail.rs`).
//! 10. A mapping that is held holds no other ([`delivery`]). One whose table has changed is held from the first row behind the
//!     change on: capture notes what the log shows in that row's batch, and every view of delivery's shows it (`passerelle_state::drift`);
//!     [`drift`] weighs it when the source is set up, and the source's watch sees what no traffic shows.
//!
//! Beside them, [`alert`] reads what all of them publish, and tells people what is wrong: no pipeline knows of it, or waits for it.
//!
//! # What is deliberately not here
//!
//! [`mapping`] does no I/O and has no clock. Nothing in [`delivery`] reads a source. [`sandbox`] shares no type with the
//! connector, so that one's mistake is not the other's. The store is a struct and the connectors are picked by one
//! `match`: there is no `dyn` on the path of a row.

pub mod alert;
pub mod capture;
pub mod cli;
pub mod config;
pub mod control;
pub mod crm;
pub mod daemon;
pub mod delivery;
pub mod demo;
pub mod drift;
pub mod failpoint;
pub mod logging;
pub mod mapping;
pub mod online;
pub mod preview;
pub mod sandbox;
pub mod source;
pub mod wanted;
