//! Alerts: what is wrong is told to people, once, and its end as well.
//!
//! ```text
//! the board's documents ── look (pure): which conditions hold now
//!   └─ book (pure): grace before an alert begins, quiet before it ends, who is to be told of it
//!        └─ passerelle_state: ONE write batch {alerts, what is to be told}, synced ── then
//!             └─ outbox: one for each channel, with its own task: webhook, command, e-mail
//!                  └─ passerelle_state: what was told is taken off
//! ```
//!
//! Invariants that live here:
//! - an alert is told once on each channel, and once that it has ended; what was to be told when the process died is told after
//!   the next start. A message that was under way then is sent again: receivers know it by its `id`;
//! - what is not known ends no alert: a source that is being connected, a figure that was not counted yet;
//! - a channel that is slow or fails holds up no other, and nothing else in the daemon;
//! - no secret and no cell value is in an alert: it says what the status says.
//!
//! Everything is bounded: open alerts, messages that wait, their size, the time of a try.

mod book;
mod channel;
mod engine;
mod form;
mod look;
mod model;
mod outbox;
mod setting;
#[cfg(test)]
mod testing;
mod trial;
mod worker;

pub use engine::{Alerts, start};
pub use trial::TestReply;
