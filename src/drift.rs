//! Drift: the schema of a source's table is no longer the one that a mapping was written for (invariant 10).
//!
//! [`change`] has the words: what changed. `compare` finds it between two looks at a table, `weigh` says what it does to each
//! mapping, `decide` what a person may decide about it, and `count` how many rows it touches: all of them pure, but for
//! the rows that are counted. What is seen, held and decided is kept in the state, so that a restart forgets none of it.

pub mod change;
pub mod compare;
pub mod decide;
pub mod footing;
pub mod policy;
mod retyping;
pub mod weigh;

pub use change::{Change, Decision, Effect, Part, Patch, Severity};
pub use compare::Hints;
pub use decide::{columns_for, decide, patched};
pub use footing::{Decided, Footing, Kept, Look, Reread, Stand, by_the_mappings_names};
